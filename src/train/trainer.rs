use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use indicatif::{HumanCount, ProgressBar};

use super::average::Average;
use super::batches::{self, Pass, Question, Source, Step};
use super::checkpoint::{self, Checkpoint, Progress, Score, Sums, Trained};
use super::failure::Failure;
use super::metrics::{self, Epoch, Line, Phase, Validation};
use super::model::said;
use super::objectives::{Cost, Objective};
use super::schedule::Clock;
use super::{Answer, FitOptions, Optimizer, judge, weights};
use crate::model::{RelationalTransformer, Shape, Start};
use crate::sampler::random::Key;
use crate::snapshot::Snapshot;
use crate::task::{Asked, Dealt, Labels, ResolvedTask};
use crate::tokens::{ColumnKind, Vocabulary};
use crate::{Error, Result, progress};

/// What the members of an ensemble are made of.
pub(super) struct Fitting<'f> {
    pub(super) snapshot: &'f Snapshot,
    pub(super) task: &'f ResolvedTask,
    pub(super) vocabulary: &'f Vocabulary,
    pub(super) objectives: &'f [Objective<'f>],
    /// Of each objective: what it is dealt, and what training makes small.
    pub(super) dealt: &'f [Dealt],
    pub(super) costs: Vec<Cost>,
    /// Rows that tell which epoch's model is best.
    pub(super) validation: &'f [u32],
    pub(super) labels: Labels,
    pub(super) shape: &'f Shape,
    pub(super) device: &'f Device,
    /// Seconds of earlier processes, and since when this one fits.
    pub(super) before: f64,
    pub(super) started: Instant,
}

/// The first member has the task's seed, the others hashes of it.
fn seed_of(seed: u64, member: u32) -> u64 {
    if member == 0 { seed } else { Key::new("relata member", seed).with(u64::from(member)).random().word() }
}

impl Fitting<'_> {
    /// All members, without gradients.
    pub(super) fn members(
        &self,
        start: Option<&Start>,
        mut resumed: Option<Checkpoint>,
        options: &mut FitOptions<'_>,
    ) -> Result<Vec<RelationalTransformer>> {
        let train = &self.task.task.train;
        let mut members = Vec::new();
        for member in 0..train.members {
            let seed = seed_of(train.seed, member);
            let mut model = RelationalTransformer::new(self.shape, start, seed, self.device);
            let at = resumed.as_ref().map(|checkpoint| (checkpoint.progress.member, checkpoint.progress.phase));
            if let (Some((now, _)), Some(keep)) = (at, options.keep)
                && member < now
            {
                let mut model = model.valid();
                weights::load(&mut model, &weights::path(keep.run, member))?;
                members.push(model);
                continue;
            }
            for phase in [Phase::Pretrain, Phase::Train] {
                let epochs = if phase == Phase::Pretrain { train.pretrain_epochs } else { train.epochs };
                let is_done = at.is_some_and(|(now, done)| now == member && phase < done);
                if epochs == 0 || is_done {
                    continue;
                }
                let own = resumed.take_if(|_| at == Some((member, phase)));
                model = Trainer::new(self, member, phase, model, own, options)?.run(options)?;
            }
            // What an average or the best epoch gave is there already.
            let model = model.valid();
            if let Some(keep) = options.keep {
                weights::save(&model, &weights::path(keep.run, member))?;
            }
            members.push(model);
        }
        Ok(members)
    }

    /// How many epochs a phase has, what it asks in each, and by which objective.
    fn asked(&self, phase: Phase) -> (u32, Vec<(usize, Asked)>) {
        let train = &self.task.task.train;
        match phase {
            Phase::Pretrain => {
                let all = (0..self.snapshot.node_count(self.task.node_type)).collect();
                (train.pretrain_epochs, vec![(0, Asked::Nodes(all))])
            }
            Phase::Train => {
                let weighs = |(at, _): &(usize, &Dealt)| self.objectives[*at].weight > 0.0;
                let asked = self.dealt.iter().enumerate().filter(weighs);
                (train.epochs, asked.map(|(at, dealt)| (at, dealt.train.clone())).collect())
            }
        }
    }

    /// How many steps of each an epoch has: all that what is asked makes, but of no other objective more than of the target. Those
    /// of another are then a sample, another one in each epoch.
    fn steps(&self, asked: &[(usize, Asked)]) -> Vec<usize> {
        let train = &self.task.task.train;
        let all = |asked: &Asked| asked.len().div_ceil(train.batch * train.accumulate);
        let most = asked.iter().find(|(at, _)| *at == 0).map_or(usize::MAX, |(_, asked)| all(asked));
        asked.iter().map(|(_, asked)| all(asked).min(most)).collect()
    }

    /// The loss of a model without gradients on the rows of validation, and its scores.
    fn validate(&self, model: &RelationalTransformer) -> Result<(f64, Vec<(&'static str, f64)>)> {
        let objective = &self.objectives[0];
        let device = self.device.clone().inner();
        let batches = objective.batches(Key::new("relata validating", self.task.task.train.seed))?;
        let column = self.vocabulary.target_column();
        let mut answers = vec![Answer::Number(f64::NAN); self.validation.len()];
        let (mut sum, mut weight) = (0.0, 0.0);
        batches.run(self.validation, &Pass::asking(Question::Target, false), |laid| {
            if let Some(loss) = self.costs[0].of(model, &laid, &device) {
                sum += f64::from(loss.into_scalar::<f32>());
                weight += self.costs[0].weight(&laid);
            }
            let Some(read) = laid.batch.reads.first() else { return Ok(true) };
            let states = model.forward(&laid.batch, &device);
            let (classes, values) = said(model, states, read, column, objective.is_count());
            for (values, &context) in values.chunks_exact(classes).zip(&read.contexts) {
                answers[laid.places[context as usize] as usize] = match column.kind {
                    ColumnKind::Category => Answer::Classes(values.to_vec()),
                    _ => Answer::Number(f64::from(values[0])),
                };
            }
            Ok(true)
        })?;
        Ok((sum / weight, judge::scores(&self.labels, self.validation, &answers).into_iter().collect()))
    }
}

/// One phase of one member's training.
struct Trainer<'t, 'f> {
    fitting: &'t Fitting<'f>,
    member: u32,
    phase: Phase,
    /// Taken out while a step changes it.
    trained: Option<Trained>,
    clock: Clock,
    bar: ProgressBar,
    epochs: u32,
    /// What is asked, and by which objective.
    asked: Arc<Vec<(usize, Asked)>>,
    epoch: u32,
    /// Steps of the epoch that are done, in this process or an earlier one.
    taken: usize,
    sums: Sums,
    best: Option<Score>,
    worse: u32,
    /// When a checkpoint was last written.
    saved: Instant,
}

impl<'t, 'f> Trainer<'t, 'f> {
    fn new(
        fitting: &'t Fitting<'f>,
        member: u32,
        phase: Phase,
        model: RelationalTransformer,
        resumed: Option<Checkpoint>,
        options: &FitOptions<'_>,
    ) -> Result<Self> {
        let train = &fitting.task.task.train;
        let optimizer = Optimizer::new(train);
        let average = (train.ema > 0.0 && phase == Phase::Train).then(|| Average::new(train.ema, &model));
        let found = resumed.as_ref().map(|checkpoint| checkpoint.progress.clone());
        let trained = match resumed {
            Some(checkpoint) => checkpoint.load(model, optimizer, train.ema)?,
            None => Trained { model, optimizer, average, best: None },
        };
        let (epochs, asked) = fitting.asked(phase);
        let of_epoch: usize = fitting.steps(&asked).iter().sum();
        let found = found.unwrap_or_else(|| Progress {
            format_version: checkpoint::VERSION,
            snapshot: fitting.snapshot.id().to_string(),
            fold: options.fold,
            member,
            phase,
            epoch: 0,
            taken: 0,
            step: 0,
            sums: Sums::default(),
            best: None,
            worse: 0,
            phase_seconds: 0.0,
            seconds: 0.0,
        });
        let steps = u64::from(epochs) * of_epoch as u64;
        Ok(Self {
            fitting,
            member,
            phase,
            trained: Some(trained),
            clock: Clock::new(train, steps, found.step, Duration::from_secs_f64(found.phase_seconds)),
            bar: progress::share(&format!("{}{phase}", options.label), options.quiet),
            epochs,
            asked: Arc::new(asked),
            epoch: found.epoch,
            taken: found.taken,
            sums: found.sums,
            best: found.best,
            worse: found.worse,
            saved: Instant::now(),
        })
    }

    fn seconds(&self) -> f64 {
        self.fitting.before + self.fitting.started.elapsed().as_secs_f64()
    }

    fn run(mut self, options: &mut FitOptions<'_>) -> Result<RelationalTransformer> {
        let train = &self.fitting.task.task.train;
        let key = Key::new("relata training", seed_of(train.seed, self.member));
        let asked = self.asked.clone();
        let batches = asked.iter().map(|(at, _)| self.fitting.objectives[*at].batches(key)).collect::<Result<Vec<_>>>()?;
        while self.epoch < self.epochs && !self.clock.is_over() && (train.patience == 0 || self.worse < train.patience) {
            let sources: Vec<Source<'_>> = batches
                .iter()
                .zip(asked.iter())
                .map(|(batches, (at, asked))| Source::new(batches, asked, self.pass(*at)))
                .collect();
            let steps = self.fitting.steps(&asked).into_iter().enumerate();
            let mut sequence: Vec<usize> = steps.flat_map(|(at, steps)| std::iter::repeat_n(at, steps)).collect();
            if sources.len() > 1 {
                key.with(u64::from(self.epoch)).with(u64::from(self.member)).with(2).random().shuffle(&mut sequence);
            }
            let skipped = self.taken;
            batches::run(sources, &sequence, skipped, |step| {
                let objective = asked[step.source].0;
                self.step(step, objective, options)?;
                Ok(!self.clock.is_over())
            })?;
            self.end_epoch(options)?;
        }
        self.bar.finish_and_clear();
        let lost = || Error::Training("the model was lost in a step; this is a defect of Relata".to_owned());
        let Trained { model, average, best, .. } = self.trained.ok_or_else(lost)?;
        Ok(match (best, average) {
            (Some(best), _) => best,
            (None, Some(average)) => average.model,
            (None, None) => model,
        })
    }

    fn pass(&self, objective: usize) -> Pass {
        let train = &self.fitting.task.task.train;
        let epoch = u64::from(self.epoch);
        let (first_draw, edge_dropout, question) = match (self.phase, &self.fitting.costs[objective]) {
            (Phase::Pretrain, _) => (1 << 17, 0.0, Question::Masked(train.mask)),
            (Phase::Train, Cost::Link { .. } | Cost::Contrast { .. }) => (1 << 16, train.edge_dropout, Question::Whole),
            (Phase::Train, _) => (1 << 16, train.edge_dropout, Question::Target),
        };
        Pass { draw: first_draw + epoch, question, edge_dropout, shuffled: true, wants_entries: false }
    }

    fn step(&mut self, step: Step, objective: usize, options: &mut FitOptions<'_>) -> Result<()> {
        let begun = Instant::now();
        let fitting = self.fitting;
        let train = &fitting.task.task.train;
        let name = fitting.objectives[objective].name;
        let masked = Cost::Masked { smoothing: train.label_smoothing };
        let cost = if self.phase == Phase::Pretrain { &masked } else { &fitting.costs[objective] };
        let learning_rate = self.clock.learning_rate(train.learning_rate);
        let tokens: usize = step.parts.iter().map(|laid| laid.tokens).sum();
        let weight: f64 = step.parts.iter().map(|laid| cost.weight(laid)).sum();
        self.taken += 1;
        let Some(Trained { mut model, mut optimizer, mut average, best }) = self.trained.take() else { return Ok(()) };
        let mut value = 0.0;
        let mut norm = 0.0;
        if weight > 0.0 {
            let mut gradients = GradientsAccumulator::new();
            for laid in &step.parts {
                let Some(sum) = cost.of(&model, laid, fitting.device) else { continue };
                let part = f64::from(sum.clone().into_scalar::<f32>()) / weight;
                value += part;
                if !part.is_finite() {
                    return Err(self.failure(objective, &model, cost, laid, format!("the loss became {part}"), options));
                }
                let loss = sum * (fitting.objectives[objective].weight / weight);
                let own = GradientsParams::from_grads(loss.backward(), &model);
                gradients.accumulate(&model, own);
            }
            (model, norm) = optimizer.step(model, gradients.grads(), learning_rate);
            if !norm.is_finite() {
                let what = format!("the loss is {value}, but its gradients became {norm}");
                return Err(match step.parts.first() {
                    Some(laid) => self.failure(objective, &model, cost, laid, what, options),
                    None => Error::Training(what),
                });
            }
            self.clock.step += 1;
            if let Some(average) = &mut average {
                average.add(&model, self.clock.step);
            }
        }
        self.trained = Some(Trained { model, optimizer, average, best });
        let waited = step.waited.as_secs_f64();
        let seconds = waited + begun.elapsed().as_secs_f64();
        self.sums.tokens += tokens as u64;
        self.sums.seconds += seconds;
        self.sums.waited += waited;
        if weight > 0.0 {
            self.sums.loss += value;
            self.sums.steps += 1;
            (options.log)(&Line::Step(metrics::Step {
                member: self.member,
                phase: self.phase,
                task: name.to_owned(),
                step: self.clock.step,
                epoch: self.epoch,
                loss: value,
                learning_rate,
                gradient_norm: norm,
                tokens_per_second: tokens as f64 / seconds,
                waiting: waited / seconds,
                seconds: self.seconds(),
            }))?;
        }
        self.show();
        self.save_in_time(options)
    }

    fn show(&self) {
        self.bar.set_position((self.clock.done() * progress::WHOLE as f64) as u64);
        let left = self.clock.left().map_or(String::new(), |left| format!(", {} left", progress::duration(left)));
        self.bar.set_message(format!(
            "epoch {}/{}, step {}, loss {:.4}, {} tokens/s{left}",
            self.epoch + 1,
            self.epochs,
            self.clock.step,
            self.sums.loss / f64::from(self.sums.steps.max(1)),
            HumanCount((self.sums.tokens as f64 / self.sums.seconds.max(1e-9)) as u64),
        ));
    }

    fn end_epoch(&mut self, options: &mut FitOptions<'_>) -> Result<()> {
        let train = &self.fitting.task.task.train;
        let sums = self.sums;
        (options.log)(&Line::Epoch(Epoch {
            member: self.member,
            phase: self.phase,
            epoch: self.epoch,
            loss: sums.loss / f64::from(sums.steps.max(1)),
            learning_rate: self.clock.learning_rate(train.learning_rate),
            tokens_per_second: sums.tokens as f64 / sums.seconds.max(1e-9),
            waiting: sums.waited / sums.seconds.max(1e-9),
            seconds: self.seconds(),
        }))?;
        if self.phase == Phase::Train && !self.fitting.validation.is_empty() {
            self.validate(options)?;
        }
        self.epoch += 1;
        self.taken = 0;
        self.sums = Sums::default();
        self.save_in_time(options)
    }

    /// Keeps the model if it is the best so far.
    fn validate(&mut self, options: &mut FitOptions<'_>) -> Result<()> {
        let Some(trained) = &mut self.trained else { return Ok(()) };
        let model = trained.average.as_ref().map_or_else(|| trained.model.valid(), |average| average.model.clone());
        let (loss, scores) = self.fitting.validate(&model)?;
        let metrics = &self.fitting.task.task.task.metrics;
        let known = metrics.iter().find_map(|metric| {
            let (_, score) = scores.iter().find(|(name, score)| *name == metric.name() && !score.is_nan())?;
            Some(if metric.is_error() { -score } else { *score })
        });
        let score = Score(known.unwrap_or(-loss));
        if self.best.is_none_or(|best| score > best) {
            (self.best, self.worse, trained.best) = (Some(score), 0, Some(model));
        } else {
            self.worse += 1;
        }
        (options.log)(&Line::Validation(Validation {
            member: self.member,
            phase: self.phase,
            task: self.fitting.objectives[0].name.to_owned(),
            step: self.clock.step,
            epoch: self.epoch,
            loss,
            scores: scores.into_iter().map(|(name, score)| (name.to_owned(), score)).collect(),
            seconds: self.seconds(),
        }))
    }

    fn save_in_time(&mut self, options: &FitOptions<'_>) -> Result<()> {
        let every = Duration::from_secs_f64(self.fitting.task.task.train.checkpoint_minutes * 60.0);
        let (Some(keep), Some(trained)) = (options.keep, &self.trained) else { return Ok(()) };
        if self.saved.elapsed() < every {
            return Ok(());
        }
        let progress = Progress {
            format_version: checkpoint::VERSION,
            snapshot: self.fitting.snapshot.id().to_string(),
            fold: options.fold,
            member: self.member,
            phase: self.phase,
            epoch: self.epoch,
            taken: self.taken,
            step: self.clock.step,
            sums: self.sums,
            best: self.best,
            worse: self.worse,
            phase_seconds: self.clock.elapsed().as_secs_f64(),
            seconds: self.seconds(),
        };
        checkpoint::save(keep.run, &progress, trained)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// The error of a step that gave no number, whose batch is kept if there is a place for it.
    fn failure(
        &self,
        objective: usize,
        model: &RelationalTransformer,
        cost: &Cost,
        laid: &batches::Laid,
        what: String,
        options: &FitOptions<'_>,
    ) -> Error {
        let train = &self.fitting.task.task.train;
        let place = format!("{what} at step {} of {}, epoch {}", self.clock.step + 1, self.phase, self.epoch + 1);
        let help = format!("a lower `train.learning_rate` (now {:?}) usually helps", train.learning_rate);
        let Some(keep) = options.keep else { return Error::Training(format!("{place}; {help}")) };
        let failure = Failure {
            what: place.clone(),
            objective: self.fitting.objectives[objective].name.to_owned(),
            rows: self.names(objective, &laid.places),
            columns: self.fitting.vocabulary.columns.iter().map(|column| column.title.clone()).collect(),
            kinds: self.fitting.vocabulary.columns.iter().map(|column| column.kind).collect(),
            shape: self.fitting.shape.clone(),
            cost: cost.clone(),
            contexts: laid.contexts.clone(),
            reads: laid.reads.clone(),
            counts: self.fitting.objectives[objective].counts().cloned(),
            pairs: laid.pairs.clone(),
        };
        match failure.save(keep.run, model) {
            Ok(()) => {
                let run = keep.run.display();
                Error::Training(format!("{place}; the batch is kept: `relata replay {run}` says where it begins; {help}"))
            }
            Err(error) => Error::Training(format!("{place}; {help}. The batch could not be kept: {error}")),
        }
    }

    /// The keys of what a batch asks about.
    fn names(&self, objective: usize, places: &[u32]) -> Vec<String> {
        let Some((_, asked)) = self.asked.iter().find(|(at, _)| *at == objective) else { return Vec::new() };
        let [one, other] = self.fitting.objectives[objective].types();
        let key = |node_type, node| self.fitting.snapshot.key(node_type, node).to_owned();
        let name = |&place: &u32| match asked {
            Asked::Nodes(nodes) => Some(key(one, *nodes.get(place as usize)?)),
            Asked::Edges(edges) => {
                let &(source, target) = edges.get(place as usize)?;
                Some(format!("{} → {}", key(one, source), key(other, target)))
            }
        };
        places.iter().filter_map(name).collect()
    }
}
