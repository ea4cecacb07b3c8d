use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use relata::sampler::random::Key;
use relata::snapshot::Snapshot;
use relata::task::{Ask, Asked, Fold, Labels, labels};
use relata::train::{Answer, Model, Run, Told, scores};
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

/// Edges that are asked for at most.
const MOST_EDGES: usize = 10_000;

/// How good a model is at all that it was trained for.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    target: Measured,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<Measured>,
}

/// How good a model is at one of its objectives.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Measured {
    /// At saying an attribute of rows.
    Rows(Rows),
    /// At telling edges from pairs that are none.
    Edges {
        objective: String,
        /// All edges that were held out; those that were asked for are as many of them as [`MOST_EDGES`], by lot.
        held_out: usize,
        told: Told,
    },
}

#[derive(Serialize)]
pub struct Rows {
    objective: String,
    /// With a known target.
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
        let mut measured = measure(&snapshot, &model, info.fold, &rows, self.quiet)?;
        snapshot.intact()?;
        if self.json {
            let also = measured.split_off(1);
            let report = measured.pop().map(|target| Report { target, also });
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            measured.iter().for_each(Measured::print);
        }
        Ok(())
    }
}

/// Asks a model about what was held out, for each objective that can be right or wrong, and compares with the truth; the target
/// comes first, of `rows`.
pub fn measure(
    snapshot: &Snapshot,
    model: &Model,
    fold: Option<u32>,
    rows: &[u32],
    quiet: bool,
) -> anyhow::Result<Vec<Measured>> {
    let task = &model.task;
    let dealt = task.dealt(snapshot, &Fold { train: Vec::new(), test: rows.to_vec() }, fold)?;
    let mut measured = Vec::new();
    for (at, (objective, dealt)) in task.objectives.iter().zip(dealt).enumerate() {
        let name = objective.name.clone();
        match (&objective.ask, dealt.test) {
            (Ask::Attribute { .. }, Asked::Nodes(rows)) if !rows.is_empty() => {
                let answers = model.predict_objective(at, snapshot, &rows, quiet)?;
                measured.push(Measured::Rows(Rows::of(name, &labels(snapshot, &task.asking(at))?, &rows, &answers)));
            }
            (Ask::Link { .. }, Asked::Edges(mut edges)) if !edges.is_empty() => {
                let held_out = edges.len();
                Key::new("relata evaluate", task.task.train.seed).random().shuffle(&mut edges);
                edges.truncate(MOST_EDGES);
                let told = model.tell_edges(at, snapshot, &edges, quiet)?;
                measured.push(Measured::Edges { objective: name, held_out, told });
            }
            _ => {}
        }
    }
    Ok(measured)
}

impl Rows {
    fn of(objective: String, labels: &Labels, rows: &[u32], answers: &[Answer]) -> Self {
        let scores = scores(labels, rows, answers);
        let (count, classes) = match labels {
            Labels::Classes { names, codes } => {
                let known = rows.iter().zip(answers).filter_map(|(&row, answer)| Some((codes[row as usize]?, answer.class()?)));
                let known: Vec<(u32, u32)> = known.collect();
                let count = |is: &dyn Fn(&(u32, u32)) -> bool| known.iter().filter(|pair| is(pair)).count();
                let class = |(code, name): (u32, &String)| Class {
                    name: name.clone(),
                    rows: count(&|pair| pair.0 == code),
                    found: count(&|pair| *pair == (code, code)),
                    answers: count(&|pair| pair.1 == code),
                };
                (known.len(), (0..).zip(names).map(class).collect())
            }
            Labels::Numbers(numbers) => (rows.iter().filter(|&&row| numbers[row as usize].is_some()).count(), Vec::new()),
        };
        Self { objective, rows: count, scores, classes }
    }
}

impl Measured {
    pub fn print(&self) {
        match self {
            Self::Rows(Rows { objective, rows, scores, classes }) => {
                let scores: Vec<String> = scores.iter().map(|(name, score)| format!("{name} {score:.3}")).collect();
                println!("{objective}, {rows} held-out rows: {}", scores.join(", "));
                if !classes.is_empty() {
                    let mut table = drawn(&["class", "rows", "found", "answers"], &[1, 2, 3]);
                    for class in classes.iter().filter(|class| class.rows + class.answers > 0) {
                        let counts = [class.rows, class.found, class.answers].map(|count| count.to_string());
                        table.add_row(std::iter::once(class.name.clone()).chain(counts));
                    }
                    println!("{table}");
                }
            }
            Self::Edges { objective, held_out, told: Told { edges, negatives, higher, reciprocal_rank } } => {
                println!(
                    "{objective}, {edges} of {held_out} held-out edges, each beside {negatives} pairs that are none: higher than one of them \
                     {higher:.3}, mean reciprocal rank {reciprocal_rank:.3}"
                );
            }
        }
    }
}
