use burn::tensor::{Tensor, activation};

use super::FirstOrder;
use super::batches::{Laid, Pass, Question};
use super::judge::Told;
use super::objectives::{Cost, Objective, Visible};
use crate::embedding::{EmbeddingInfo, EmbeddingTable};
use crate::layout::layout;
use crate::model::{RelationalTransformer, floats};
use crate::sampler::random::Key;
use crate::snapshot::Snapshot;
use crate::task::calibration::Temperature;
use crate::task::{Asked, ResolvedTask};
use crate::tokens::{ColumnKind, Read, Vocabulary, VocabularyColumn};
use crate::{Error, Result, progress};

/// A trained model: one or more transformers whose answers are averaged, and what their tokens mean.
pub struct Model {
    /// What it was trained for.
    pub task: ResolvedTask,
    /// What training saw.
    pub vocabulary: Vocabulary,
    /// Its transformers.
    pub members: Vec<RelationalTransformer>,
    /// The linear term that answers beside them.
    pub first_order: Option<FirstOrder>,
    /// What makes the probabilities of its classes as often right as they say, for each of the task's objectives; 1 where nothing
    /// was held back to tell.
    pub temperatures: Vec<Temperature>,
    /// What of the snapshot that it was trained on its contexts may show.
    pub visible: Visible,
}

/// What a model says of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of a category or boolean: the probability of each of the target's names, in byte order.
    Classes(Vec<f32>),
    /// Of a number or count: in the attribute's unit.
    Number(f64),
}

/// What a model says of a column's reads: `[reads, classes]`, row-major, with 1 for the classes of a number.
pub(super) fn said(
    model: &RelationalTransformer,
    states: Tensor<2>,
    read: &Read,
    column: &VocabularyColumn,
    is_count: bool,
) -> (usize, Vec<f32>) {
    if column.kind == ColumnKind::Category {
        let values = activation::softmax(model.scores(states, read), 1);
        return (column.categories.len(), floats(values));
    }
    let numbers = floats(model.numbers(states, read));
    let original = |number: f32| match is_count {
        true => f64::from(number).exp(),
        false => column.original(f64::from(number)),
    };
    (1, numbers.into_iter().map(|number| original(number) as f32).collect())
}

impl Answer {
    /// The most probable class; the first of equals.
    pub fn class(&self) -> Option<u32> {
        match self {
            Self::Number(_) => None,
            Self::Classes(probabilities) => {
                let best =
                    (0..).zip(probabilities).max_by(|one, other| one.1.total_cmp(other.1).then(u32::cmp(&other.0, &one.0)));
                best.map(|(class, _)| class)
            }
        }
    }
}

impl Model {
    /// What it says of the target of `rows`, in their order.
    ///
    /// # Errors
    /// When the snapshot does not fit the model.
    pub fn predict(&self, snapshot: &Snapshot, rows: &[u32], quiet: bool) -> Result<Vec<Answer>> {
        self.predict_objective(0, snapshot, rows, quiet)
    }

    /// What it says of the attribute that an objective of its task asks for.
    ///
    /// # Errors
    /// When the objective asks for no attribute, or the snapshot does not fit the model.
    pub fn predict_objective(&self, at: usize, snapshot: &Snapshot, rows: &[u32], quiet: bool) -> Result<Vec<Answer>> {
        let mut answers = self.uncalibrated(at, snapshot, rows, quiet)?;
        let temperature = self.temperatures[at];
        for answer in &mut answers {
            if let (Answer::Classes(probabilities), true) = (answer, temperature != Temperature::default()) {
                *probabilities = temperature.apply(&logits(probabilities));
            }
        }
        Ok(answers)
    }

    /// What its transformers, and its linear term, say together.
    pub(super) fn uncalibrated(&self, at: usize, snapshot: &Snapshot, rows: &[u32], quiet: bool) -> Result<Vec<Answer>> {
        let mut answers = vec![Answer::Number(f64::NAN); rows.len()];
        let mut linear = vec![Vec::new(); rows.len()];
        let objective = Objective::new(snapshot, &self.task, at, &self.vocabulary, &self.visible)?;
        let Some(column) = objective.column().map(|column| &self.vocabulary.columns[usize::from(column)]) else {
            return Err(Error::setting("objective", objective.name, "one that asks for an attribute"));
        };
        let first_order = self.first_order.as_ref().filter(|_| at == 0);
        let share = if first_order.is_some() { 0.5 } else { 1.0 } / self.members.len() as f32;
        self.ask(&objective, rows, first_order.is_some(), "predict", quiet, |model, device, laid| {
            let Some(read) = laid.batch.reads.first() else { return };
            let states = model.forward(&laid.batch, device);
            let (classes, values) = said(model, states, read, column, objective.is_count());
            for (entries, &place) in laid.entries.iter().zip(&laid.places) {
                if let (Some(term), true) = (first_order, linear[place as usize].is_empty()) {
                    linear[place as usize] = term.probabilities(entries);
                }
            }
            for (values, place) in values.chunks_exact(classes).zip(places(&laid, read)) {
                match (&mut answers[place], column.kind) {
                    (Answer::Classes(sums), _) => sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * share),
                    (answer, ColumnKind::Category) => {
                        *answer = Answer::Classes(values.iter().map(|value| value * share).collect())
                    }
                    (Answer::Number(sum), _) => {
                        *sum = if sum.is_nan() { 0.0 } else { *sum } + f64::from(values[0]) * f64::from(share);
                    }
                }
            }
        })?;
        for (answer, linear) in answers.iter_mut().zip(&linear) {
            if let Answer::Classes(sums) = answer {
                sums.iter_mut().zip(linear).for_each(|(sum, probability)| *sum += 0.5 * probability);
            }
        }
        Ok(answers)
    }

    /// How well an objective tells edges from pairs that are none, over `edges` and as many negatives of each as the task says.
    ///
    /// # Errors
    /// When the objective asks for no edges, or the snapshot does not fit the model.
    pub fn tell_edges(&self, at: usize, snapshot: &Snapshot, edges: &[(u32, u32)], quiet: bool) -> Result<Told> {
        let objective = Objective::new(snapshot, &self.task, at, &self.vocabulary, &self.visible)?;
        let Cost::Link { pairs } = objective.cost(&Asked::Edges(edges.to_vec()))? else {
            return Err(Error::setting("objective", objective.name, "one that asks for edges"));
        };
        let device = crate::model::device()?;
        let batches = objective.batches(Key::new("relata asking", self.task.task.train.seed))?;
        let bar = progress::bar("predict", (edges.len() * self.members.len()) as u64, "edges", quiet);
        // By edge, its score and those of its negatives.
        let mut scores: Vec<Vec<f32>> = vec![Vec::new(); edges.len()];
        for member in &self.members {
            batches.run_asked(&Asked::Edges(edges.to_vec()), &Pass::asking(Question::Whole, false), &mut |laid| {
                bar.inc(laid.places.len() as u64);
                let Some(found) = laid.pairs.as_ref().filter(|found| !found.one.is_empty()) else { return Ok(true) };
                let states = member.forward(&laid.batch, &device);
                let positive = floats(member.pair_scores(states.clone(), pairs, &found.one, &found.other));
                let [one, other] = &found.negatives;
                let negative = floats(member.pair_scores(states, pairs, one, other));
                let of_each = negative.chunks(one.len() / found.one.len());
                for ((&place, score), negatives) in laid.places.iter().zip(positive).zip(of_each) {
                    let sums = &mut scores[place as usize];
                    sums.resize(1 + negatives.len(), 0.0);
                    sums.iter_mut().zip(std::iter::once(&score).chain(negatives)).for_each(|(sum, score)| *sum += score);
                }
                Ok(true)
            })?;
        }
        bar.finish_and_clear();
        Ok(Told::of(&scores))
    }

    /// The vector of each of `rows`: the last state of its target's token, members one behind the other.
    ///
    /// # Errors
    /// When the snapshot does not fit the model.
    pub fn vectors(&self, snapshot: &Snapshot, rows: &[u32], quiet: bool) -> Result<(usize, Vec<f32>)> {
        let width = self.task.task.model.width;
        let dimension = width * self.members.len();
        let mut vectors = vec![0.0; rows.len() * dimension];
        let mut filled = vec![0; rows.len()];
        let objective = Objective::new(snapshot, &self.task, 0, &self.vocabulary, &self.visible)?;
        self.ask(&objective, rows, false, "embed", quiet, |model, device, laid| {
            let states = floats(model.forward(&laid.batch, device));
            let Some(read) = laid.batch.reads.first() else { return };
            for (&state, place) in read.states.iter().zip(places(&laid, read)) {
                let start = place * dimension + filled[place];
                vectors[start..start + width].copy_from_slice(&states[state as usize * width..(state as usize + 1) * width]);
                filled[place] += width;
            }
        })?;
        Ok((dimension, vectors))
    }

    /// Embeds every node of the task's type, and the identities that training learnt of other types (genes, terms, …); with typed
    /// tokens there are none of these.
    /// `run` is noted as their origin. The task's nodes get a layout for the eye.
    ///
    /// # Errors
    /// When the snapshot does not fit the model, or its vectors are not finite.
    pub fn embed(&self, snapshot: &Snapshot, name: &str, run: &str, quiet: bool) -> Result<Vec<EmbeddingTable>> {
        let schema = snapshot.schema();
        let rows: Vec<u32> = (0..snapshot.node_count(self.task.node_type)).collect();
        let (dimension, vectors) = self.vectors(snapshot, &rows, quiet)?;
        let keys = rows.iter().map(|&row| snapshot.key(self.task.node_type, row).to_owned()).collect();
        let table = |node_type: &str, keys: Vec<String>, dimension: usize, vectors: Vec<f32>, layout: Vec<f32>| EmbeddingTable {
            info: EmbeddingInfo {
                model: name.to_owned(),
                snapshot: snapshot.id().to_string(),
                node_type: node_type.to_owned(),
                dimension: dimension as u32,
                count: keys.len() as u32,
                run: run.to_owned(),
                has_layout: !layout.is_empty(),
            },
            keys,
            vectors,
            layout,
        };
        let picture = layout(&vectors, dimension, self.task.task.train.seed, quiet)?;
        let mut tables = vec![table(&schema.node(self.task.node_type).name, keys, dimension, vectors, picture)];
        let width = self.task.task.model.width;
        let identities: Vec<Vec<f32>> = self.members.iter().filter_map(RelationalTransformer::identities).map(floats).collect();
        if identities.is_empty() {
            return Ok(tables);
        }
        for (node_type, unknown, keys) in self.vocabulary.identity_places() {
            let mut vectors = Vec::with_capacity(keys.len() * dimension);
            for row in (unknown as usize + 1..).take(keys.len()) {
                identities.iter().for_each(|table| vectors.extend_from_slice(&table[row * width..(row + 1) * width]));
            }
            tables.push(table(node_type, keys.to_vec(), dimension, vectors, Vec::new()));
        }
        Ok(tables)
    }

    fn ask(
        &self,
        objective: &Objective<'_>,
        rows: &[u32],
        wants_entries: bool,
        what: &str,
        quiet: bool,
        mut each: impl FnMut(&RelationalTransformer, &burn::tensor::Device, Laid),
    ) -> Result<()> {
        let known = objective.node_count();
        if let Some(&row) = rows.iter().find(|&&row| row >= known) {
            return Err(Error::setting("rows", row.to_string(), format!("below {known}")));
        }
        let device = crate::model::device()?;
        let batches = objective.batches(Key::new("relata asking", self.task.task.train.seed))?;
        let bar = progress::bar(what, (rows.len() * self.members.len()) as u64, "contexts", quiet);
        for member in &self.members {
            batches.run(rows, &Pass::asking(Question::Target, wants_entries), |laid| {
                bar.inc(laid.places.len() as u64);
                each(member, &device, laid);
                Ok(true)
            })?;
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// What a softmax makes these probabilities of.
pub(super) fn logits(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|probability| probability.max(f32::MIN_POSITIVE).ln()).collect()
}

/// For each of a read's states the place of its row among those asked for.
fn places(laid: &Laid, read: &Read) -> Vec<usize> {
    read.contexts.iter().map(|&context| laid.places[context as usize] as usize).collect()
}
