use burn::tensor::activation;

use super::FirstOrder;
use super::batches::{Batches, Laid, Pass, Question};
use super::fit::ASKING;
use crate::embedding::{EmbeddingInfo, EmbeddingTable};
use crate::layout::layout;
use crate::model::{RelationalTransformer, Shape, TypedColumns, floats};
use crate::sampler::random::Key;
use crate::sampler::{Sampler, Walk};
use crate::snapshot::Snapshot;
use crate::task::{ResolvedTask, Tokens};
use crate::tokens::{ColumnKind, Columns, Encoder, Read, Vocabulary, features};
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
    /// The rows of the training snapshot whose target it may be shown beside a seed.
    pub labelled: Vec<u32>,
}

/// What a model says of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of a category or boolean: the probability of each of the target's names, in byte order.
    Classes(Vec<f32>),
    /// Of a number: in the attribute's unit.
    Number(f64),
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

/// The sampler of a task's contexts.
pub(super) fn sampler(snapshot: &Snapshot, task: &ResolvedTask) -> Result<Sampler> {
    let context = &task.task.context;
    let schema = snapshot.schema();
    let mut width_of = Vec::new();
    for (name, &width) in &context.width_of {
        width_of.push((schema.relation(name)?, width));
    }
    let walk = Walk::Context {
        tokens: context.tokens,
        hops: context.hops,
        width: context.width,
        width_of,
        costs: Columns::of(snapshot, task).costs(),
    };
    Sampler::new(snapshot, task.sampler_config(walk))
}

/// The shape of the model that a vocabulary and a task ask for.
pub(super) fn shape(vocabulary: &Vocabulary, task: &ResolvedTask) -> Shape {
    Shape {
        config: task.task.model.clone(),
        columns: vocabulary.columns.iter().map(|column| (column.kind, column.first_category)).collect(),
        category_counts: vocabulary.columns.iter().map(|column| column.categories.len() as u32).collect(),
        identities: vocabulary.identity_count(),
        categories: vocabulary.category_count(),
        typed: (task.task.model.tokens == Tokens::Typed).then(|| typed(vocabulary, task.task.model.text)),
    }
}

/// What typed tokens are made of: names as `text` numbers each.
fn typed(vocabulary: &Vocabulary, text: u32) -> TypedColumns {
    let columns = &vocabulary.columns;
    let names = columns.iter().flat_map(|column| &column.categories);
    TypedColumns {
        types: columns.iter().map(|column| column.semantic).collect(),
        names: columns.iter().flat_map(|column| features::text(&column.phrase(), text)).collect(),
        categories: names.flat_map(|name| features::text(name, text)).collect(),
        truths: columns.iter().map(|column| [0.0, 1.0].map(|truth| ((truth - column.mean) / column.deviation) as f32)).collect(),
    }
}

impl Model {
    /// What it says of `rows`, in their order.
    ///
    /// # Errors
    /// When the snapshot does not fit the model.
    pub fn predict(&self, snapshot: &Snapshot, rows: &[u32], quiet: bool) -> Result<Vec<Answer>> {
        let mut answers = vec![Answer::Number(f64::NAN); rows.len()];
        let mut linear = vec![Vec::new(); rows.len()];
        let column = self.vocabulary.target_column();
        self.ask(snapshot, rows, "predict", quiet, |model, device, laid| {
            let states = model.forward(&laid.batch, device);
            let Some(read) = laid.batch.reads.first() else { return };
            let values = match column.kind {
                ColumnKind::Category => activation::softmax(model.scores(states, read), 1),
                _ => model.numbers(states, read).unsqueeze_dim(1),
            };
            let [_, classes] = values.dims();
            let share = if self.first_order.is_some() { 0.5 } else { 1.0 } / self.members.len() as f32;
            let values = floats(values);
            for (entries, &place) in laid.entries.iter().zip(&laid.places) {
                if let (Some(term), true) = (&self.first_order, linear[place as usize].is_empty()) {
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
                        let number = f64::from(values[0]) * column.deviation + column.mean;
                        *sum = if sum.is_nan() { 0.0 } else { *sum } + number * f64::from(share);
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

    /// The vector of each of `rows`: the last state of its target's token, members one behind the other.
    ///
    /// # Errors
    /// When the snapshot does not fit the model.
    pub fn vectors(&self, snapshot: &Snapshot, rows: &[u32], quiet: bool) -> Result<(usize, Vec<f32>)> {
        let width = self.task.task.model.width;
        let dimension = width * self.members.len();
        let mut vectors = vec![0.0; rows.len() * dimension];
        let mut filled = vec![0; rows.len()];
        self.ask(snapshot, rows, "embed", quiet, |model, device, laid| {
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
        snapshot: &Snapshot,
        rows: &[u32],
        what: &str,
        quiet: bool,
        mut each: impl FnMut(&RelationalTransformer, &burn::tensor::Device, Laid),
    ) -> Result<()> {
        if let Some(&row) = rows.iter().find(|&&row| row >= snapshot.node_count(self.task.node_type)) {
            return Err(Error::Setting {
                setting: "rows".to_owned(),
                found: row.to_string(),
                expected: format!("below {}", snapshot.node_count(self.task.node_type)),
            });
        }
        let device = crate::model::device()?;
        let batches = Batches {
            sampler: &sampler(snapshot, &self.task)?,
            encoder: &Encoder::new(snapshot, &self.task, &self.vocabulary, &self.labelled)?,
            vocabulary: &self.vocabulary,
            task: &self.task,
            kinds: self.vocabulary.columns.iter().map(|column| column.kind).collect(),
            key: Key::new("relata asking", self.task.task.train.seed),
        };
        let pass = Pass {
            draw: ASKING,
            question: Question::Target,
            edge_dropout: 0.0,
            shuffled: false,
            wants_entries: self.first_order.is_some(),
        };
        let bar = progress::bar(what, (rows.len() * self.members.len()) as u64, "contexts", quiet);
        for member in &self.members {
            batches.run(rows, &pass, |laid| {
                bar.inc(laid.places.len() as u64);
                each(member, &device, laid);
                Ok(true)
            })?;
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// For each of a read's states the place of its row among those asked for.
fn places(laid: &Laid, read: &Read) -> Vec<usize> {
    read.contexts.iter().map(|&context| laid.places[context as usize] as usize).collect()
}
