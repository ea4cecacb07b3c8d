use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use relata::baselines::{self, Features};
use relata::progress;
use relata::snapshot::Snapshot;
use relata::task::metrics::{Scores, accuracy, macro_f1, mean_absolute_error, r2};
use relata::task::{Baseline, Fold, Labels, Metric, ResolvedTask, SplitKind, Task, folds, labels};
use relata::train::metrics::Line;
use relata::train::{Answer, FitOptions, fit};
use relata_schema::suggestion;
use serde::Serialize;

use crate::info::{drawn, grouped};

/// Cross-validate a task beside its baselines, on the same folds.
#[derive(clap::Args)]
pub struct Args {
    /// The task, such as cell-type.toml
    task: PathBuf,
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Folds, instead of the task's
    #[arg(long)]
    folds: Option<u32>,
    /// Only these models, such as knn,relata; the task's baselines and relata if omitted
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

/// What the table calls the relational transformer.
const OURS: &str = "relata";

/// Learns from the training rows of a fold, which has a number, and answers for each of its test rows, in their order.
type Learner<'a, T> = dyn Fn(u32, &Fold) -> anyhow::Result<Vec<T>> + 'a;

struct Model<'a, T> {
    name: &'static str,
    answer: Box<Learner<'a, T>>,
}

/// What was compared, as JSON has it.
#[derive(Serialize)]
struct Comparison {
    task: PathBuf,
    target: String,
    snapshot: String,
    split: SplitKind,
    folds: usize,
    /// Nodes with a target.
    rows: usize,
    /// Names of the classes; empty where the target is a number.
    classes: Vec<String>,
    models: Vec<Row>,
}

/// One line of the table.
#[derive(Serialize)]
struct Row {
    model: &'static str,
    scores: BTreeMap<&'static str, Scores>,
    /// For training and answers, over all folds.
    seconds: f64,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let snapshot = Snapshot::current_verified(&self.store)?;
        let mut task = Task::read(&self.task, snapshot.schema())?;
        task.task.split.folds = self.folds.unwrap_or(task.task.split.folds);
        let folds = folds(&snapshot, &task)?;
        let chosen = self.chosen(&task)?;
        let (classes, models) = match labels(&snapshot, &task)? {
            Labels::Classes { names, codes } => {
                let truth: Vec<u32> = codes.iter().map(|code| code.unwrap_or_default()).collect();
                let mut models = of_classes(&snapshot, &task, &chosen, &codes, names.len())?;
                if self.ours() {
                    let answer = |number, fold: &Fold| {
                        let answers = answers(&snapshot, &task, number, fold, self.quiet)?;
                        answers.iter().map(|answer| answer.class().context("the model answers with a number")).collect()
                    };
                    models.push(Model { name: OURS, answer: Box::new(answer) });
                }
                let score = |truth: &[u32], answers: &[u32]| {
                    BTreeMap::from([("accuracy", accuracy(truth, answers)), ("macro_f1", macro_f1(truth, answers))])
                };
                (names, self.cross_validate(&models, &folds, &truth, score)?)
            }
            Labels::Numbers(numbers) => {
                let truth: Vec<f64> = numbers.iter().map(|number| number.unwrap_or_default()).collect();
                let mut models = of_numbers(&snapshot, &task, &chosen, &numbers)?;
                if self.ours() {
                    let answer = |at, fold: &Fold| answers(&snapshot, &task, at, fold, self.quiet)?.iter().map(number).collect();
                    models.push(Model { name: OURS, answer: Box::new(answer) });
                }
                let score = |truth: &[f64], answers: &[f64]| {
                    BTreeMap::from([("r2", r2(truth, answers)), ("mean_absolute_error", mean_absolute_error(truth, answers))])
                };
                (Vec::new(), self.cross_validate(&models, &folds, &truth, score)?)
            }
        };
        let comparison = Comparison {
            task: self.task,
            target: title(&snapshot, &task),
            snapshot: snapshot.id().to_string(),
            split: task.task.split.kind,
            folds: folds.len(),
            rows: folds.iter().map(|fold| fold.test.len()).sum(),
            classes,
            models,
        };
        snapshot.intact()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&comparison)?);
        } else {
            comparison.print();
        }
        Ok(())
    }

    /// The baselines that are asked for, or else the task's; the relational transformer is asked for by `ours`.
    fn chosen(&self, task: &ResolvedTask) -> anyhow::Result<Vec<Baseline>> {
        let mut chosen = if self.only.is_empty() { task.task.task.baselines.clone() } else { Vec::new() };
        for name in self.only.iter().filter(|name| *name != OURS) {
            let known: Vec<&str> = Baseline::ALL.map(Baseline::name).into_iter().chain([OURS]).collect();
            match Baseline::ALL.into_iter().find(|baseline| baseline.name() == name) {
                Some(baseline) => chosen.push(baseline),
                None => bail!("--only: found `{name}`, expected {}{}", known.join(", "), suggestion(name, known.iter().copied())),
            }
        }
        chosen.sort_unstable_by_key(|&chosen| Baseline::ALL.iter().position(|&known| known == chosen));
        chosen.dedup();
        Ok(chosen)
    }

    /// Whether the relational transformer is compared.
    fn ours(&self) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == OURS)
    }

    /// Each model on each fold.
    fn cross_validate<T: Copy>(
        &self,
        models: &[Model<'_, T>],
        folds: &[Fold],
        truth: &[T],
        score: impl Fn(&[T], &[T]) -> BTreeMap<&'static str, f64>,
    ) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for model in models {
            let bar = progress::bar(model.name, folds.len() as u64, "folds", self.quiet);
            let start = Instant::now();
            let mut scores: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
            for (at, fold) in folds.iter().enumerate() {
                let answers = (model.answer)(at as u32, fold).with_context(|| format!("{}, fold {}", model.name, at + 1))?;
                let truth: Vec<T> = fold.test.iter().map(|&row| truth[row as usize]).collect();
                let found = score(&truth, &answers);
                bar.set_message(
                    found.iter().map(|(metric, score)| format!("{metric} {score:.3}")).collect::<Vec<_>>().join(", "),
                );
                bar.inc(1);
                found.into_iter().for_each(|(metric, score)| scores.entry(metric).or_default().push(score));
            }
            bar.finish_and_clear();
            let scores = scores.into_iter().map(|(metric, folds)| (metric, Scores::of(folds))).collect();
            rows.push(Row { model: model.name, scores, seconds: start.elapsed().as_secs_f64() });
        }
        Ok(rows)
    }
}

fn number(answer: &Answer) -> anyhow::Result<f64> {
    match answer {
        Answer::Number(number) => Ok(*number),
        Answer::Classes(_) => bail!("the model answers with classes"),
    }
}

/// What the relational transformer, trained on a fold's training rows, says of its test rows.
fn answers(snapshot: &Snapshot, task: &ResolvedTask, number: u32, fold: &Fold, quiet: bool) -> anyhow::Result<Vec<Answer>> {
    let mut ignore = |_: &Line| Ok(());
    let options = FitOptions { quiet, label: String::new(), fold: Some(number), log: &mut ignore, keep: None };
    let model = fit(snapshot, task, &fold.train, options)?;
    Ok(model.predict(snapshot, &fold.test, quiet)?)
}

/// The models that predict a class.
fn of_classes<'a>(
    snapshot: &Snapshot,
    task: &ResolvedTask,
    chosen: &[Baseline],
    codes: &'a [Option<u32>],
    classes: usize,
) -> anyhow::Result<Vec<Model<'a, u32>>> {
    let seed = task.task.train.seed;
    let mut models: Vec<Model<'a, u32>> = Vec::new();
    if chosen.is_empty() {
        return Ok(models);
    }
    let features = std::rc::Rc::new(Features::of(snapshot, task)?);
    for &baseline in chosen {
        let features = features.clone();
        let answer = move |_, fold: &Fold| Ok(baselines::predict(baseline, &features, codes, classes, fold, seed)?);
        models.push(Model { name: baseline.name(), answer: Box::new(answer) });
    }
    Ok(models)
}

/// The models that predict a number: of the plain ones, the mean of the training rows.
fn of_numbers<'a>(
    snapshot: &Snapshot,
    task: &ResolvedTask,
    chosen: &[Baseline],
    numbers: &'a [Option<f64>],
) -> anyhow::Result<Vec<Model<'a, f64>>> {
    if let Some(baseline) = chosen.iter().find(|&&baseline| baseline != Baseline::Majority) {
        let (name, target) = (baseline.name(), title(snapshot, task));
        bail!("{name} needs classes, and `{target}` is a number; take {name} out of task.baselines, or say `--only majority`");
    }
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let mean = |_, fold: &Fold| {
        let known: Vec<f64> = fold.train.iter().filter_map(|&row| numbers[row as usize]).collect();
        Ok(vec![known.iter().sum::<f64>() / known.len() as f64; fold.test.len()])
    };
    Ok(vec![Model { name: "mean", answer: Box::new(mean) }])
}

/// `cell.celltype`
fn title(snapshot: &Snapshot, task: &ResolvedTask) -> String {
    let owner = snapshot.schema().node(task.node_type);
    format!("{}.{}", owner.name, owner.attributes[task.target.index()].name)
}

impl Comparison {
    fn print(&self) {
        let metrics: [(&str, Metric); 2] = if self.classes.is_empty() {
            [("R²", Metric::R2), ("mean absolute error", Metric::MeanAbsoluteError)]
        } else {
            [("accuracy", Metric::Accuracy), ("macro-F1", Metric::MacroF1)]
        };
        let classes = if self.classes.is_empty() { String::new() } else { format!(", {} classes", self.classes.len()) };
        let split = match self.split {
            SplitKind::Random => "random",
            SplitKind::Stratified => "stratified",
            SplitKind::Group => "grouped",
        };
        let rows = grouped(self.rows as u64);
        println!("{}: {rows} rows{classes}, {} {split} folds, snapshot {}\n", self.target, self.folds, self.snapshot);
        let mut table = drawn(&["model", metrics[0].0, metrics[1].0, "seconds"], &[1, 2, 3]);
        for row in &self.models {
            let shown = metrics.map(|(_, metric)| row.scores.get(metric.name()).map(Scores::to_string).unwrap_or_default());
            let [first, second] = shown;
            table.add_row([row.model.to_owned(), first, second, format!("{:.1}", row.seconds)]);
        }
        println!("{table}");
        println!("Mean and standard deviation over folds.");
    }
}
