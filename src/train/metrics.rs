//! The lines of a run's `metrics.jsonl`, as they are written and read.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Result};

/// The file of a run that holds them.
pub const FILE: &str = "metrics.jsonl";

/// What training is for at a time; they come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Masked values.
    Pretrain,
    /// The task's objectives.
    Train,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pretrain => "pretrain",
            Self::Train => "train",
        })
    }
}

/// One line: a JSON object whose `kind` says which it is. A number that is not finite is `null`, and is read as NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// One step of training.
    Step(Step),
    /// The model on rows that do not train.
    Validation(Validation),
    /// One pass over the training rows.
    Epoch(Epoch),
}

/// One step of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which member of the ensemble, from 0.
    pub member: u32,
    /// What it is for.
    pub phase: Phase,
    /// What the step's batch was of.
    pub task: String,
    /// Steps of the phase that were done, this one among them.
    pub step: u64,
    /// From 0, in its phase.
    pub epoch: u32,
    /// Mean over the batch.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// Of this step.
    #[serde(deserialize_with = "number")]
    pub learning_rate: f64,
    /// The Euclidean length of all gradients together, before it is clipped.
    #[serde(deserialize_with = "number")]
    pub gradient_norm: f64,
    /// Tokens of the contexts, a second.
    #[serde(deserialize_with = "number")]
    pub tokens_per_second: f64,
    /// Share of the step's time that it waited for the sampler.
    #[serde(deserialize_with = "number")]
    pub waiting: f64,
    /// Since the fit began.
    #[serde(deserialize_with = "number")]
    pub seconds: f64,
}

/// A model, in the middle of training, on rows that do not train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Which member of the ensemble, from 0.
    pub member: u32,
    /// What it is for.
    pub phase: Phase,
    /// What was asked.
    pub task: String,
    /// Steps of the phase that were done before.
    pub step: u64,
    /// From 0, in its phase.
    pub epoch: u32,
    /// Mean over the rows.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// By their names, such as `macro_f1`.
    #[serde(deserialize_with = "numbers")]
    pub scores: BTreeMap<String, f64>,
    /// Since the fit began.
    #[serde(deserialize_with = "number")]
    pub seconds: f64,
}

/// One pass over the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Which member of the ensemble, from 0.
    pub member: u32,
    /// What it is for.
    pub phase: Phase,
    /// From 0, in its phase.
    pub epoch: u32,
    /// Mean loss over the steps.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// At the end of the epoch.
    #[serde(deserialize_with = "number")]
    pub learning_rate: f64,
    /// Tokens of the contexts, a second.
    #[serde(deserialize_with = "number")]
    pub tokens_per_second: f64,
    /// Share of the epoch's time that it waited for the sampler.
    #[serde(deserialize_with = "number")]
    pub waiting: f64,
    /// Since the fit began.
    #[serde(deserialize_with = "number")]
    pub seconds: f64,
}

/// The lines of a run's folder, in the order in which they were written.
///
/// A last line that is cut short, as a kill leaves it, is not there.
///
/// # Errors
/// When the file cannot be read, or a line before the last is none of these.
pub fn read(run: &Path) -> Result<Vec<Line>> {
    let file = run.join(FILE);
    let text = fs::read(&file).map_err(Error::io(&file, "cannot read the metrics (is this the folder of a run?)"))?;
    parse(&text, &file)
}

fn parse(text: &[u8], file: &Path) -> Result<Vec<Line>> {
    // What stands behind the last newline is nothing, or was cut.
    let mut texts: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    texts.pop();
    let mut lines = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        match serde_json::from_slice(text) {
            Ok(line) => lines.push(line),
            Err(_) if at + 1 == texts.len() => {}
            Err(error) => {
                return Err(Error::Damaged {
                    path: file.to_owned(),
                    record: format!("line {}", at + 1),
                    found: error.to_string(),
                    remedy: "Remove the line, or train again with `relata train`".to_owned(),
                });
            }
        }
    }
    Ok(lines)
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::<f64>::deserialize(deserializer).map(|number| number.unwrap_or(f64::NAN))
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let numbers = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|(name, number)| (name, number.unwrap_or(f64::NAN))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        let (phase, task) = (Phase::Train, "celltype".to_owned());
        let step = Step {
            member: 1,
            phase,
            task: task.clone(),
            step: 3_000_000_000,
            epoch: 2,
            loss: 0.1 + 0.2,
            learning_rate: 1e-5,
            gradient_norm: 12.5,
            tokens_per_second: 1.5e6,
            waiting: 0.25,
            seconds: 7.0,
        };
        let scores = BTreeMap::from([("macro_f1".to_owned(), 0.5), ("r2".to_owned(), -3.0)]);
        let validation = Validation { member: 0, phase, task, step: 0, epoch: 0, loss: 1.5, scores, seconds: 8.0 };
        let epoch = Epoch {
            member: 0,
            phase,
            epoch: 0,
            loss: 2.0,
            learning_rate: 0.001,
            tokens_per_second: 10.0,
            waiting: 0.0,
            seconds: 9.0,
        };
        vec![Line::Step(step), Line::Validation(validation), Line::Epoch(epoch)]
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| format!("{}\n", serde_json::to_string(line).unwrap())).collect()
    }

    fn parsed(text: impl AsRef<[u8]>) -> Result<Vec<Line>> {
        parse(text.as_ref(), Path::new("runs/first/metrics.jsonl"))
    }

    #[test]
    fn lines_read_back() {
        let text = text(&lines());
        assert_eq!(parsed(&text).unwrap(), lines());
        assert!(text.starts_with(r#"{"kind":"step","member":1,"phase":"train","task":"celltype","step":3000000000,"#), "{text}");
        assert_eq!(parsed("").unwrap(), []);
        let by_hand = concat!(
            r#"{"member":0, "phase":"train","epoch":4,"loss":1,"learning_rate":0,"tokens_per_second":2e3,"#,
            r#""waiting":0.5,"seconds":3,"kind":"epoch","of_a_later_version":[1]}"#,
            "\n"
        );
        let read = parsed(by_hand).unwrap();
        let [Line::Epoch(epoch)] = read.as_slice() else { panic!() };
        assert_eq!((epoch.epoch, epoch.loss, epoch.tokens_per_second, epoch.waiting), (4, 1.0, 2000.0, 0.5));
    }

    #[test]
    fn what_is_no_number_reads_back_as_none() {
        let mut lines = lines();
        let [Line::Step(step), Line::Validation(validation), _] = lines.as_mut_slice() else { panic!() };
        step.gradient_norm = f64::INFINITY;
        validation.scores.insert("accuracy".to_owned(), f64::NAN);
        let read = parsed(text(&lines)).unwrap();
        let [Line::Step(step), Line::Validation(validation), _] = read.as_slice() else { panic!() };
        assert!(step.gradient_norm.is_nan() && step.loss == 0.1 + 0.2);
        assert!(validation.scores["accuracy"].is_nan() && validation.scores["macro_f1"] == 0.5);
    }

    /// A kill may cut the file at any byte: no line that is whole is lost, and no part of one is taken for a line.
    #[test]
    fn a_file_that_was_cut_anywhere_has_its_whole_lines() {
        let whole = text(&lines()).replace("celltype", "Zelltyp-ä");
        for cut in 0..=whole.len() {
            let kept = &whole.as_bytes()[..cut];
            let expected = kept.iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(parsed(kept).unwrap().len(), expected, "cut at byte {cut}");
        }
        // The cut line may also have been ended, by whoever wrote on.
        assert_eq!(parsed(format!("{}{{\"kind\":\"st\n", text(&lines()))).unwrap().len(), 3);
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        for (damaged, found) in [("{\"kind\":\"st", "EOF"), ("{\"kind\":\"stop\"}", "unknown variant `stop`"), ("", "EOF")] {
            let text = format!("{}{damaged}\n{}", text(&lines()), text(&lines()));
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains("runs/first/metrics.jsonl: line 4 is damaged") && error.contains(found), "{error}");
        }
        let error = read(Path::new("nowhere")).unwrap_err().to_string();
        assert!(error.contains("nowhere/metrics.jsonl: cannot read the metrics"), "{error}");
    }
}
