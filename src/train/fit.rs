use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use relata_schema::RelationId;

use super::checkpoint::Checkpoint;
use super::first_order::{Entry, entries, spectral};
use super::metrics::Line;
use super::model::logits;
use super::objectives::{Objective, Visible, sampler, shape};
use super::settings::check;
use super::trainer::Fitting;
use super::{Answer, FirstOrder, Model};
use crate::allocator::Keeping;
use crate::sampler::random::Key;
use crate::snapshot::{Hit, Snapshot};
use crate::task::calibration::Temperature;
use crate::task::{Ask, Asked, Dealt, Fold, Labels, ResolvedTask, Tokens, labels};
use crate::tokens::{ColumnKind, Context, Learning, Vocabulary};
use crate::{Error, Result};

/// Rows that are looked at together before training.
const CHUNK: usize = 4096;

/// Rows at most that the linear term and the principal axes are learnt from.
const FEW: usize = 1 << 16;

/// How [`fit`] reports, and what it keeps.
pub struct FitOptions<'f> {
    /// No progress bar.
    pub quiet: bool,
    /// What the progress bar says before the phase, such as `fold 1/5`.
    pub label: String,
    /// The fold that is held out; `None` where none is.
    pub fold: Option<u32>,
    /// Called with each line of the metrics.
    pub log: &'f mut dyn FnMut(&Line) -> Result<()>,
    /// Where checkpoints go, and the batch at which the loss stops being a number.
    pub keep: Option<Keep<'f>>,
}

/// Where training keeps what it needs to go on.
#[derive(Clone, Copy)]
pub struct Keep<'k> {
    /// A run's folder.
    pub run: &'k Path,
    /// Whether it goes on from the run's last checkpoint, if there is one.
    pub resumes: bool,
}

/// Trains a model on the rows `training` of the task's node type. Nothing of other rows' targets is looked at.
///
/// # Errors
/// When a setting cannot be, a training row has no target, the loss stops being a number, or the checkpoint is of another
/// snapshot or fold.
pub fn fit(snapshot: &Snapshot, task: &ResolvedTask, training: &[u32], mut options: FitOptions<'_>) -> Result<Model> {
    let started = Instant::now();
    let _keeping = Keeping::new();
    check(task)?;
    if training.is_empty() {
        return Err(Error::Training("there is no training row: no node of the task's type has the target".to_owned()));
    }
    let resumed = resumed(snapshot, &options)?;
    let mut dealt = task.dealt(snapshot, &Fold { train: training.to_vec(), test: Vec::new() }, options.fold)?;
    let (rows, validation) = held_back(task, training);
    for (objective, dealt) in task.objectives.iter().zip(&mut dealt) {
        if let (Ask::Attribute { node_type, .. }, Asked::Nodes(nodes)) = (&objective.ask, &mut dealt.train)
            && *node_type == task.node_type
        {
            nodes.retain(|node| validation.binary_search(node).is_err());
        }
        if objective.weight > 0.0 && dealt.train.is_empty() {
            return Err(Error::Training(format!(
                "{}: there is nothing to train on: no such value or edge is known",
                objective.name
            )));
        }
    }
    let visible = Visible::new(task, rows.clone(), &dealt);
    let vocabulary = learn(snapshot, task, &dealt, &visible.excluded)?;
    let objectives = (0..task.objectives.len())
        .map(|at| Objective::new(snapshot, task, at, &vocabulary, &visible))
        .collect::<Result<Vec<_>>>()?;
    let (entries, codes) = edges_of(snapshot, task, &objectives[0], &vocabulary, &rows)?;
    let config = &task.task.model;
    let start = match config.start {
        crate::task::Start::Spectral if config.tokens == Tokens::Identity && entries.iter().any(|row| !row.is_empty()) => {
            Some(spectral(&entries, &vocabulary, config.width, task.task.train.seed)?)
        }
        _ => None,
    };
    let is_class = vocabulary.target_column().kind == ColumnKind::Category;
    let first_order = if config.first_order && is_class {
        let classes = vocabulary.target_column().categories.len();
        Some(FirstOrder::fit(&entries, &codes, classes, vocabulary.identity_count())?)
    } else {
        None
    };
    drop((entries, codes));
    let fitting = Fitting {
        snapshot,
        task,
        vocabulary: &vocabulary,
        costs: objectives.iter().zip(&dealt).map(|(objective, dealt)| objective.cost(&dealt.train)).collect::<Result<_>>()?,
        objectives: &objectives,
        dealt: &dealt,
        validation: &validation,
        labels: labels(snapshot, task)?,
        shape: &shape(&vocabulary, task, snapshot.schema()),
        device: &crate::model::device()?.autodiff(),
        before: resumed.as_ref().map_or(0.0, |checkpoint| checkpoint.progress.seconds),
        started,
    };
    let members = fitting.members(start.as_ref(), resumed, &mut options)?;
    drop(objectives);
    let temperatures = vec![Temperature::default(); task.objectives.len()];
    let mut model = Model { task: task.clone(), vocabulary, members, first_order, temperatures, visible };
    if task.task.train.calibrate && !validation.is_empty() {
        model.temperatures = calibrated(snapshot, &model, &validation)?;
    }
    model.visible = Visible::new(task, training.to_vec(), &dealt);
    Ok(model)
}

/// The checkpoint that the options ask for, if there is one.
fn resumed(snapshot: &Snapshot, options: &FitOptions<'_>) -> Result<Option<Checkpoint>> {
    let Some(keep) = options.keep.filter(|keep| keep.resumes) else { return Ok(None) };
    let Some(found) = Checkpoint::open(keep.run)? else { return Ok(None) };
    let progress = &found.progress;
    if progress.snapshot != snapshot.id().as_str() {
        let expected = format!("{}, the store's current one", snapshot.id());
        return Err(Error::setting("--resume", format!("a checkpoint of snapshot {}", progress.snapshot), expected));
    }
    if progress.fold != options.fold {
        let name = |fold: Option<u32>| fold.map_or("no fold".to_owned(), |fold| format!("fold {fold}"));
        return Err(Error::setting(
            "--resume",
            format!("a checkpoint that holds out {}", name(progress.fold)),
            name(options.fold),
        ));
    }
    Ok(Some(found))
}

/// The rows that train, and those that are held back to tell which model is best.
fn held_back(task: &ResolvedTask, training: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let share = task.task.train.validation;
    let key = Key::new("relata validation", task.task.train.seed);
    let is_held_back = |row: &u32| key.with(u64::from(*row)).random().below(1 << 32) < (share * (1_u64 << 32) as f64) as u64;
    let (validation, rows): (Vec<u32>, Vec<u32>) = training.iter().partition(|row| is_held_back(row));
    // Of a few rows chance may hold all back.
    if rows.is_empty() { (validation, rows) } else { (rows, validation) }
}

/// What the rows that train say of tokens.
fn learn(snapshot: &Snapshot, task: &ResolvedTask, dealt: &[Dealt], excluded: &[(RelationId, u32, u32)]) -> Result<Vocabulary> {
    let mut learning = Learning::new(snapshot, task);
    for (at, (objective, dealt)) in task.objectives.iter().zip(dealt).enumerate() {
        let sampler = sampler(snapshot, &task.asking(at), excluded)?;
        let schema = snapshot.schema();
        let hits: Vec<Hit> = match (&objective.ask, &dealt.train) {
            (Ask::Attribute { node_type, .. } | Ask::Contrast { node_type, .. }, Asked::Nodes(nodes)) => {
                nodes.iter().map(|&node| Hit { node_type: *node_type, node }).collect()
            }
            (Ask::Link { relation, .. }, Asked::Edges(edges)) => {
                let known = schema.edge(*relation);
                let ends = |&(source, target): &(u32, u32)| {
                    [Hit { node_type: known.source, node: source }, Hit { node_type: known.target, node: target }]
                };
                let mut hits: Vec<Hit> = edges.iter().flat_map(ends).collect();
                hits.sort_unstable_by_key(|hit| (hit.node_type, hit.node));
                hits.dedup();
                hits
            }
            _ => Vec::new(),
        };
        for hits in hits.chunks(CHUNK) {
            learning.add(&sampler.sample_each(hits, 0)?);
        }
    }
    for (objective, dealt) in task.objectives.iter().zip(dealt) {
        if let (Ask::Attribute { node_type, target, .. }, Asked::Nodes(rows)) = (&objective.ask, &dealt.train) {
            learning.add_target(*node_type, *target, rows);
        }
    }
    Ok(learning.finish())
}

/// The edges of the rows that train, one by one, and the rows' classes: of as many rows as are needed.
fn edges_of(
    snapshot: &Snapshot,
    task: &ResolvedTask,
    objective: &Objective<'_>,
    vocabulary: &Vocabulary,
    rows: &[u32],
) -> Result<(Vec<Vec<Entry>>, Vec<u32>)> {
    let column = vocabulary.target_column();
    let some: Vec<u32> = rows.iter().copied().step_by(rows.len().div_ceil(FEW)).collect();
    let (mut found, mut codes) = (Vec::with_capacity(some.len()), Vec::with_capacity(some.len()));
    for rows in some.chunks(CHUNK) {
        let seeds: Vec<Hit> = rows.iter().map(|&node| Hit { node_type: task.node_type, node }).collect();
        let subgraphs = objective.sampler().sample_each(&seeds, 0)?;
        let contexts: Vec<Context> = subgraphs.par_iter().map(|subgraph| objective.encoder().encode(subgraph)).collect();
        for (context, &row) in contexts.iter().zip(rows) {
            let code = context.tokens[context.target as usize].code;
            if column.kind == ColumnKind::Category && code as usize >= column.categories.len() {
                let key = snapshot.key(task.node_type, row);
                return Err(Error::Training(format!("the training row `{key}` has no target")));
            }
            codes.push(code);
            found.push(entries(context, vocabulary));
        }
    }
    Ok((found, codes))
}

/// For each objective the temperature that rows which did not train ask for.
fn calibrated(snapshot: &Snapshot, model: &Model, validation: &[u32]) -> Result<Vec<Temperature>> {
    let task = &model.task;
    let temperature = |(at, objective): (usize, &crate::task::Objective)| {
        let Ask::Attribute { node_type, .. } = objective.ask else { return Ok(Temperature::default()) };
        if node_type != task.node_type {
            return Ok(Temperature::default());
        }
        let Labels::Classes { names, codes } = labels(snapshot, &task.asking(at))? else { return Ok(Temperature::default()) };
        let answers = model.uncalibrated(at, snapshot, validation, true)?;
        let said: Vec<f32> = answers
            .iter()
            .flat_map(|answer| match answer {
                Answer::Classes(probabilities) => logits(probabilities),
                Answer::Number(_) => Vec::new(),
            })
            .collect();
        let truth: Vec<u32> = validation.iter().map(|&row| codes[row as usize].unwrap_or(u32::MAX)).collect();
        Ok(Temperature::fit(&said, names.len(), &truth))
    };
    task.objectives.iter().enumerate().map(temperature).collect()
}
