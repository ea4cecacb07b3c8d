use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use relata::snapshot::Snapshot;
use relata::task::metrics::{accuracy, macro_f1, mean_absolute_error, r2};
use relata::task::{Labels, labels};
use relata::train::{Answer, Model, Run};
use serde::Serialize;

use crate::info::drawn;

/// Measure a trained model on its held-out rows.
#[derive(clap::Args)]
pub struct Args {
    /// The run's folder
    run: PathBuf,
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

/// How good a model is on some rows.
#[derive(Serialize)]
pub struct Measured {
    /// Rows with a known target.
    rows: usize,
    scores: BTreeMap<&'static str, f64>,
    /// For each class: rows, how many were found, how many answers it was.
    classes: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    name: String,
    rows: usize,
    found: usize,
    answers: usize,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let snapshot = Snapshot::current_verified(&self.store)?;
        let (info, model) = Run::open(&self.run, &snapshot)?;
        let mut rows = Vec::new();
        for key in &info.held_out {
            rows.extend(snapshot.find(model.task.node_type, key));
        }
        if rows.is_empty() {
            bail!(
                "{}: the run held out {} rows, of which the store has none; train with `--fold` to hold a fold out",
                self.run.display(),
                info.held_out.len()
            );
        }
        let measured = measure(&snapshot, &model, &rows, self.quiet)?;
        snapshot.intact()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&measured)?);
        } else {
            measured.print();
        }
        Ok(())
    }
}

/// Asks a model about rows and compares with the truth.
pub fn measure(snapshot: &Snapshot, model: &Model, rows: &[u32], quiet: bool) -> anyhow::Result<Measured> {
    let answers = model.predict(snapshot, rows, quiet)?;
    Ok(match labels(snapshot, &model.task)? {
        Labels::Classes { names, codes } => {
            let known: Vec<(u32, u32)> =
                rows.iter().zip(&answers).filter_map(|(&row, answer)| Some((codes[row as usize]?, answer.class()?))).collect();
            let (truth, found): (Vec<u32>, Vec<u32>) = known.iter().copied().unzip();
            let count = |is: &dyn Fn(&(u32, u32)) -> bool| known.iter().filter(|pair| is(pair)).count();
            let classes = (0..)
                .zip(names)
                .map(|(code, name)| Class {
                    name,
                    rows: count(&|pair| pair.0 == code),
                    found: count(&|pair| *pair == (code, code)),
                    answers: count(&|pair| pair.1 == code),
                })
                .collect();
            let scores = BTreeMap::from([("accuracy", accuracy(&truth, &found)), ("macro_f1", macro_f1(&truth, &found))]);
            Measured { rows: known.len(), scores, classes }
        }
        Labels::Numbers(numbers) => {
            let known = rows.iter().zip(&answers).filter_map(|(&row, answer)| match answer {
                Answer::Number(number) => Some((numbers[row as usize]?, *number)),
                Answer::Classes(_) => None,
            });
            let (truth, found): (Vec<f64>, Vec<f64>) = known.unzip();
            let scores =
                BTreeMap::from([("r2", r2(&truth, &found)), ("mean_absolute_error", mean_absolute_error(&truth, &found))]);
            Measured { rows: truth.len(), scores, classes: Vec::new() }
        }
    })
}

impl Measured {
    pub fn print(&self) {
        let scores: Vec<String> = self.scores.iter().map(|(name, score)| format!("{name} {score:.3}")).collect();
        println!("{} held-out rows: {}", self.rows, scores.join(", "));
        if !self.classes.is_empty() {
            let mut table = drawn(&["class", "rows", "found", "answers"], &[1, 2, 3]);
            for class in self.classes.iter().filter(|class| class.rows + class.answers > 0) {
                table.add_row([class.name.clone(), class.rows.to_string(), class.found.to_string(), class.answers.to_string()]);
            }
            println!("{table}");
        }
    }
}
