use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::batches::{Batches, Pass, Question};
use super::first_order::{Entry, entries, spectral};
use super::{Epoch, FirstOrder, Model, Optimizer};
use crate::allocator::Keeping;
use crate::model::{RelationalTransformer, Shape, Start};
use crate::sampler::Sampler;
use crate::sampler::random::Key;
use crate::snapshot::{Hit, Snapshot};
use crate::task::{ResolvedTask, Tokens, TrainConfig};
use crate::tokens::{ColumnKind, Context, Encoder, Vocabulary};
use crate::{Error, Result, progress};

/// Draws of the sampler below this are for training; this one is what models are asked with.
pub(super) const ASKING: u64 = 1 << 32;

/// How [`fit`] reports.
pub struct FitOptions<'f> {
    /// No progress bar.
    pub quiet: bool,
    /// What the progress bar says before the phase, such as `fold 1/5`.
    pub label: String,
    /// Called after each epoch.
    pub on_epoch: &'f mut dyn FnMut(&Epoch) -> Result<()>,
}

/// Trains a model on the rows `training` of the task's node type. Nothing of other rows' targets is looked at.
///
/// # Errors
/// When a setting cannot be, a training row has no target, or the loss stops being a number.
pub fn fit(snapshot: &Snapshot, task: &ResolvedTask, training: &[u32], mut options: FitOptions<'_>) -> Result<Model> {
    let started = Instant::now();
    let _keeping = Keeping::new();
    check(task)?;
    if training.is_empty() {
        return Err(Error::Training("there is no training row: no node of the task's type has the target".to_owned()));
    }
    let sampler = super::model::sampler(snapshot, task)?;
    let seeds: Vec<Hit> = training.iter().map(|&node| Hit { node_type: task.node_type, node }).collect();
    let subgraphs = sampler.sample_each(&seeds, 0)?;
    let vocabulary = Vocabulary::learn(snapshot, task, &subgraphs, training);
    let encoder = Encoder::new(snapshot, task, &vocabulary, training)?;
    let contexts: Vec<Context> = subgraphs.par_iter().map(|subgraph| encoder.encode(subgraph)).collect();
    let rows: Vec<Vec<Entry>> = contexts.iter().map(|context| entries(context, &vocabulary)).collect();
    let config = &task.task.model;
    let start = match config.start {
        crate::task::Start::Spectral if config.tokens == Tokens::Identity && rows.iter().any(|row| !row.is_empty()) => {
            Some(spectral(&rows, &vocabulary, config.width, task.task.train.seed)?)
        }
        _ => None,
    };
    let is_class = vocabulary.target_column().kind == ColumnKind::Category;
    let first_order = if config.first_order && is_class {
        let codes: Vec<u32> = contexts.iter().map(|context| context.tokens[context.target as usize].code).collect();
        let classes = vocabulary.target_column().categories.len();
        if let Some(at) = codes.iter().position(|&code| code as usize >= classes) {
            let key = snapshot.key(task.node_type, training[at]);
            return Err(Error::Training(format!("the training row `{key}` has no target")));
        }
        Some(FirstOrder::fit(&rows, &codes, classes, vocabulary.identity_count())?)
    } else {
        None
    };
    drop((contexts, rows, subgraphs));
    let fitting = Fitting {
        task,
        vocabulary: &vocabulary,
        sampler: &sampler,
        encoder: &encoder,
        shape: &super::model::shape(&vocabulary, task),
        start: start.as_ref(),
        training,
        all: &(0..snapshot.node_count(task.node_type)).collect::<Vec<u32>>(),
        device: &crate::model::device()?.autodiff(),
        started,
    };
    let mut members = Vec::new();
    for member in 0..task.task.train.members {
        members.push(fitting.run(member, &mut options)?.valid());
    }
    Ok(Model { task: task.clone(), vocabulary, members, first_order, labelled: training.to_vec() })
}

/// The first member has the task's seed, the others hashes of it.
fn seed_of(seed: u64, member: u32) -> u64 {
    if member == 0 { seed } else { Key::new("relata member", seed).with(u64::from(member)).random().word() }
}

fn check(task: &ResolvedTask) -> Result<()> {
    let model = &task.task.model;
    let train = &task.task.train;
    let wrong = |setting: &str, found: String, expected: &str| Err(Error::setting(setting, found, expected));
    let share = |value: f64| (0.0..1.0).contains(&value);
    if model.heads == 0 || model.width == 0 || !model.width.is_multiple_of(model.heads) {
        let found = format!("width {}, heads {}", model.width, model.heads);
        return wrong("model.width", found, "a multiple of `model.heads`");
    }
    if model.blocks.is_empty() || model.blocks.iter().any(Vec::is_empty) {
        return wrong(
            "model.blocks",
            format!("{:?}", model.blocks),
            "at least one block, each with at least one kind of attention",
        );
    }
    if model.text == 0 {
        return wrong("model.text", model.text.to_string(), "at least 1");
    }
    if !share(train.edge_dropout) || !share(train.label_smoothing) || !share(train.mask) {
        let found = format!("{}, {}, {}", train.edge_dropout, train.label_smoothing, train.mask);
        return wrong("train.edge_dropout, train.label_smoothing, train.mask", found, "shares from 0 to below 1");
    }
    if !(train.learning_rate > 0.0 && train.learning_rate.is_finite()) {
        return wrong("train.learning_rate", train.learning_rate.to_string(), "a number above 0");
    }
    if train.clip.is_nan() || train.clip <= 0.0 {
        return wrong("train.clip", train.clip.to_string(), "a number above 0");
    }
    if train.batch == 0 || train.members == 0 {
        return wrong("train.batch, train.members", format!("{}, {}", train.batch, train.members), "at least 1");
    }
    Ok(())
}

/// What the members of an ensemble are made of.
struct Fitting<'f> {
    task: &'f ResolvedTask,
    vocabulary: &'f Vocabulary,
    sampler: &'f Sampler,
    encoder: &'f Encoder,
    shape: &'f Shape,
    start: Option<&'f Start>,
    /// The rows that train, and all rows, which pretraining goes through.
    training: &'f [u32],
    all: &'f [u32],
    device: &'f Device,
    started: Instant,
}

impl Fitting<'_> {
    fn run(&self, member: u32, options: &mut FitOptions<'_>) -> Result<RelationalTransformer> {
        let train = &self.task.task.train;
        let seed = seed_of(train.seed, member);
        let batches = Batches {
            sampler: self.sampler,
            encoder: self.encoder,
            vocabulary: self.vocabulary,
            task: self.task,
            kinds: self.vocabulary.columns.iter().map(|column| column.kind).collect(),
            key: Key::new("relata training", seed),
        };
        let mut model = RelationalTransformer::new(self.shape, self.start, seed, self.device);
        if train.pretrain_epochs > 0 {
            model = self.phase(model, member, &batches, Question::Masked(train.mask), options)?;
        }
        if train.epochs > 0 {
            model = self.phase(model, member, &batches, Question::Target, options)?;
        }
        Ok(model)
    }

    fn phase(
        &self,
        model: RelationalTransformer,
        member: u32,
        batches: &Batches<'_>,
        question: Question,
        options: &mut FitOptions<'_>,
    ) -> Result<RelationalTransformer> {
        let train = &self.task.task.train;
        let (epochs, rows, first_draw, edge_dropout) = match question {
            Question::Target => (train.epochs, self.training, 1 << 16, train.edge_dropout),
            Question::Masked(_) => (train.pretrain_epochs, self.all, 1 << 17, 0.0),
        };
        let name = question.phase();
        let bar =
            progress::bar(&format!("{}{name}", options.label), u64::from(epochs) * rows.len() as u64, "contexts", options.quiet);
        let steps = u64::from(epochs) * rows.len().div_ceil(train.batch) as u64;
        let mut phase = Phase {
            optimizer: Optimizer::new(train),
            model: Some(model),
            clock: Clock { steps, step: 0, started: Instant::now(), limit: train.minutes },
            bar,
            losses: (0.0, 0),
        };
        for epoch in 0..epochs {
            let pass = Pass { draw: first_draw + u64::from(epoch), question, edge_dropout, shuffled: true, wants_entries: false };
            let begun = Instant::now();
            let mut tokens = 0;
            let mut computing = Duration::ZERO;
            phase.losses = (0.0, 0);
            batches.run(rows, &pass, |laid| {
                let begun = Instant::now();
                tokens += laid.tokens;
                phase.step(&laid.batch, train, self.device)?;
                phase.bar.inc(laid.places.len() as u64);
                computing += begun.elapsed();
                Ok(!phase.clock.is_over())
            })?;
            let elapsed = begun.elapsed().as_secs_f64();
            let report = Epoch {
                member,
                phase: name.to_owned(),
                epoch,
                loss: phase.losses.0 / f64::from(phase.losses.1.max(1)),
                learning_rate: phase.clock.learning_rate(train.learning_rate),
                tokens_per_second: tokens as f64 / elapsed,
                waiting: 1.0 - computing.as_secs_f64() / elapsed,
                seconds: self.started.elapsed().as_secs_f64(),
            };
            phase.bar.set_message(format!("epoch {}/{epochs}, loss {:.4}", epoch + 1, report.loss));
            (options.on_epoch)(&report)?;
            if phase.clock.is_over() {
                break;
            }
        }
        phase.bar.finish_and_clear();
        phase.model.ok_or_else(|| Error::Training("the model was lost in a step; this is a defect of Relata".to_owned()))
    }
}

struct Phase {
    optimizer: Optimizer,
    /// Taken out while a step changes it.
    model: Option<RelationalTransformer>,
    clock: Clock,
    bar: ProgressBar,
    /// Sum and count of this epoch's.
    losses: (f64, u32),
}

impl Phase {
    fn step(&mut self, batch: &crate::tokens::Batch, train: &TrainConfig, device: &Device) -> Result<()> {
        let Some(model) = self.model.take() else { return Ok(()) };
        let Some(loss) = model.loss(batch, train.label_smoothing, device) else {
            self.model = Some(model);
            return Ok(());
        };
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if !value.is_finite() {
            return Err(Error::Training(format!(
                "the loss became {value} at step {}; a lower `train.learning_rate` (now {}) usually helps",
                self.clock.step, train.learning_rate
            )));
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let (model, _) = self.optimizer.step(model, gradients, self.clock.learning_rate(train.learning_rate));
        self.model = Some(model);
        self.clock.step += 1;
        self.losses.0 += value;
        self.losses.1 += 1;
        Ok(())
    }
}

/// How far a phase is, by its steps or by its time, whichever is further.
struct Clock {
    steps: u64,
    step: u64,
    started: Instant,
    limit: Option<f64>,
}

impl Clock {
    fn done(&self) -> f64 {
        let by_steps = self.step as f64 / self.steps.max(1) as f64;
        let by_time = self.limit.map_or(0.0, |minutes| self.started.elapsed().as_secs_f64() / (minutes * 60.0));
        by_steps.max(by_time).min(1.0)
    }

    fn is_over(&self) -> bool {
        self.limit.is_some_and(|minutes| self.started.elapsed() >= Duration::from_secs_f64(minutes.max(0.0) * 60.0))
    }

    /// Linear over the first twentieth, then a cosine to 0.
    fn learning_rate(&self, highest: f64) -> f64 {
        const WARM_UP: f64 = 0.05;
        let done = self.done();
        let first = 1.0 / self.steps.max(1) as f64;
        if done < WARM_UP {
            return highest * (done + first) / (WARM_UP + first);
        }
        highest * 0.5 * (1.0 + (std::f64::consts::PI * (done - WARM_UP) / (1.0 - WARM_UP)).cos())
    }
}
