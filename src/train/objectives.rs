//! What each objective of a task needs to be asked: where its contexts come from, and what its answers cost.

use burn::tensor::{Device, Tensor};
use relata_schema::{NodeTypeId, RelationId, Schema};
use serde::{Deserialize, Serialize};

use super::batches::{Batches, Laid, Makes};
use crate::model::{AskedShape, Loss, RelationalTransformer, Shape, TypedColumns, losses};
use crate::sampler::random::Key;
use crate::sampler::{NegativeConfig, Negatives, Sampler, SamplerConfig, Walk};
use crate::snapshot::Snapshot;
use crate::task::{Ask, Asked, Dealt, Labels, LossKind, ResolvedTask, Tokens, labels};
use crate::tokens::{Columns, Encoder, Vocabulary, VocabularyColumn, features};
use crate::{Error, Result};

/// What of a graph contexts may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible {
    /// The nodes of a type whose targets may be seen beside a seed; the task's own type first.
    pub labelled: Vec<(NodeTypeId, Vec<u32>)>,
    /// Edges that are in no context.
    pub excluded: Vec<(RelationId, u32, u32)>,
}

impl Visible {
    /// The task's labelled rows, and what goes with what its other objectives were dealt.
    pub(super) fn new(task: &ResolvedTask, labelled: Vec<u32>, dealt: &[Dealt]) -> Self {
        let mut all = vec![(task.node_type, labelled)];
        for (objective, dealt) in task.objectives.iter().zip(dealt) {
            if let (Ask::Attribute { node_type, .. }, Asked::Nodes(nodes)) = (&objective.ask, &dealt.train) {
                // Of two attributes of one type the rows of the first count.
                if all.iter().all(|(known, _)| known != node_type) {
                    all.push((*node_type, nodes.clone()));
                }
            }
        }
        Self { labelled: all, excluded: dealt.iter().flat_map(|dealt| dealt.excluded.iter().copied()).collect() }
    }
}

/// The sampler of a task's contexts.
pub(super) fn sampler(snapshot: &Snapshot, task: &ResolvedTask, excluded: &[(RelationId, u32, u32)]) -> Result<Sampler> {
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
    Sampler::new(snapshot, SamplerConfig { excluded: excluded.to_vec(), ..task.sampler_config(walk) })
}

/// One objective, ready to be asked on a snapshot.
pub(super) struct Objective<'o> {
    pub(super) name: &'o str,
    pub(super) weight: f64,
    task: ResolvedTask,
    at: usize,
    ask: &'o Ask,
    sampler: Sampler,
    /// Of a contrast whose views differ.
    views: Option<[Sampler; 2]>,
    encoder: Encoder,
    vocabulary: &'o Vocabulary,
    snapshot: &'o Snapshot,
    /// Its place among the objectives of pairs.
    pairs: usize,
}

impl<'o> Objective<'o> {
    pub(super) fn new(
        snapshot: &'o Snapshot,
        task: &'o ResolvedTask,
        at: usize,
        vocabulary: &'o Vocabulary,
        visible: &Visible,
    ) -> Result<Self> {
        let (known, own) = (&task.objectives[at], task.asking(at));
        let mut encoder = Encoder::new(snapshot, &own, vocabulary, &[])?;
        for (node_type, labelled) in &visible.labelled {
            encoder.label(*node_type, labelled);
        }
        let views = match &known.ask {
            Ask::Contrast { views: Some(views), .. } => {
                let one = |relations: &Vec<RelationId>| {
                    sampler(snapshot, &ResolvedTask { relations: relations.clone(), ..own.clone() }, &visible.excluded)
                };
                Some([one(&views[0])?, one(&views[1])?])
            }
            _ => None,
        };
        Ok(Self {
            name: &known.name,
            weight: known.weight,
            sampler: sampler(snapshot, &own, &visible.excluded)?,
            task: own,
            at,
            ask: &known.ask,
            views,
            encoder,
            vocabulary,
            snapshot,
            pairs: task.objectives[..at].iter().filter(|objective| is_of_pairs(&objective.ask)).count(),
        })
    }

    pub(super) fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Whether the column's numbers are logarithms of counts' means.
    pub(super) fn is_count(&self) -> bool {
        matches!(self.ask, Ask::Attribute { loss: LossKind::NegativeBinomial, .. })
    }

    /// The column whose numbers are asked for as they are, not standardised.
    pub(super) fn counts(&self) -> Option<&'o VocabularyColumn> {
        self.column().filter(|_| self.is_count()).map(|column| &self.vocabulary.columns[usize::from(column)])
    }

    /// How many nodes there are of the type that it asks about.
    pub(super) fn node_count(&self) -> u32 {
        match self.ask {
            Ask::Attribute { node_type, .. } | Ask::Contrast { node_type, .. } => self.snapshot.node_count(*node_type),
            Ask::Link { .. } => 0,
        }
    }

    /// The types of the nodes that it asks about; of an edge its source's and its target's.
    pub(super) fn types(&self) -> [NodeTypeId; 2] {
        match self.ask {
            Ask::Attribute { node_type, .. } | Ask::Contrast { node_type, .. } => [*node_type; 2],
            Ask::Link { relation, .. } => {
                let known = self.snapshot.schema().edge(*relation);
                [known.source, known.target]
            }
        }
    }

    pub(super) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// What makes its batches. The first objective's draws are those of the key itself.
    pub(super) fn batches(&'o self, key: Key) -> Result<Batches<'o>> {
        let schema = self.snapshot.schema();
        let makes = match self.ask {
            Ask::Attribute { node_type, .. } => Makes::Nodes(*node_type),
            Ask::Link { relation, negatives, .. } => {
                let config = NegativeConfig {
                    per_positive: *negatives,
                    seed: self.task.task.train.seed,
                    ..NegativeConfig::new(*relation)
                };
                let known = schema.edge(*relation);
                let negatives = Box::new(Negatives::new(self.snapshot, config)?);
                Makes::Edges { ends: [known.source, known.target], negatives }
            }
            Ask::Contrast { node_type, .. } => {
                let samplers = match &self.views {
                    Some([one, other]) => [one, other],
                    None => [&self.sampler; 2],
                };
                Makes::Views { node_type: *node_type, samplers }
            }
        };
        Ok(Batches {
            sampler: &self.sampler,
            encoder: &self.encoder,
            vocabulary: self.vocabulary,
            task: &self.task,
            kinds: self.vocabulary.columns.iter().map(|column| column.kind).collect(),
            key: if self.at == 0 { key } else { key.with(self.at as u64) },
            counts: self.counts(),
            makes,
        })
    }

    /// The column that it asks for, if it asks for one.
    pub(super) fn column(&self) -> Option<u16> {
        match self.ask {
            Ask::Attribute { node_type, target, .. } => self.vocabulary.column(self.snapshot.schema(), *node_type, *target),
            Ask::Link { .. } | Ask::Contrast { .. } => None,
        }
    }

    /// What training makes small, as the rows that train tell it.
    pub(super) fn cost(&self, training: &Asked) -> Result<Cost> {
        let (Ask::Attribute { loss, balance, .. }, Asked::Nodes(rows)) = (self.ask, training) else {
            return Ok(match self.ask {
                Ask::Contrast { temperature, .. } => Cost::Contrast { pairs: self.pairs, temperature: *temperature },
                _ => Cost::Link { pairs: self.pairs },
            });
        };
        let smoothing = self.task.task.train.label_smoothing;
        Ok(Cost::Column(match (labels(self.snapshot, &self.task)?, loss) {
            (Labels::Classes { names, codes }, _) if *balance => {
                let mut counts = vec![0; names.len()];
                rows.iter().filter_map(|&row| codes[row as usize]).for_each(|code| counts[code as usize] += 1);
                Loss::CrossEntropy { smoothing, weights: losses::class_weights(&counts) }
            }
            (Labels::Classes { .. }, _) => Loss::CrossEntropy { smoothing, weights: Vec::new() },
            (Labels::Numbers(_), LossKind::Gaussian) => Loss::Gaussian,
            (Labels::Numbers(numbers), LossKind::NegativeBinomial) => {
                let counts: Vec<f64> = rows.iter().filter_map(|&row| numbers[row as usize]).collect();
                if let Some(count) = counts.iter().find(|count| **count < 0.0 || count.fract() != 0.0) {
                    let expected = "0, 1, 2, …, or another loss: huber, gaussian";
                    return Err(Error::setting(format!("{}: loss negative_binomial", self.name), count.to_string(), expected));
                }
                Loss::NegativeBinomial
            }
            (Labels::Numbers(_), _) => Loss::Huber,
        }))
    }
}

/// Whether it needs a head of pairs.
fn is_of_pairs(ask: &Ask) -> bool {
    matches!(ask, Ask::Link { .. } | Ask::Contrast { .. })
}

/// The shape of the model that a vocabulary and a task ask for.
pub(super) fn shape(vocabulary: &Vocabulary, task: &ResolvedTask, schema: &Schema) -> Shape {
    let mut asked = AskedShape {
        pairs: task.objectives.iter().filter(|objective| is_of_pairs(&objective.ask)).count(),
        ..AskedShape::default()
    };
    for objective in &task.objectives {
        let Ask::Attribute { node_type, target, loss, .. } = objective.ask else { continue };
        asked.has_spread |= matches!(loss, LossKind::Gaussian | LossKind::NegativeBinomial);
        if let (LossKind::NegativeBinomial, Some(column)) = (loss, vocabulary.column(schema, node_type, target)) {
            // What is read in training has this mean, be it of logarithms.
            let mean = vocabulary.columns[usize::from(column)].original(0.0);
            asked.biases.push((column, mean.max(1e-6).ln() as f32));
        }
    }
    Shape {
        config: task.task.model.clone(),
        columns: vocabulary.columns.iter().map(|column| (column.kind, column.first_category)).collect(),
        category_counts: vocabulary.columns.iter().map(|column| column.categories.len() as u32).collect(),
        identities: vocabulary.identity_count(),
        categories: vocabulary.category_count(),
        typed: (task.task.model.tokens == Tokens::Typed).then(|| typed(vocabulary, task.task.model.text)),
        asked,
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

/// What the answers to an objective cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Cost {
    /// A column's.
    Column(Loss),
    /// All columns' that are read, each by its kind: of masked values.
    Masked { smoothing: f64 },
    /// That edges are taken for none, and the other way round.
    Link { pairs: usize },
    /// That a view is taken for another node's.
    Contrast { pairs: usize, temperature: f64 },
}

impl Cost {
    /// How much what was laid out weighs in a mean.
    pub(super) fn weight(&self, laid: &Laid) -> f64 {
        let reads = &laid.batch.reads;
        match self {
            Self::Column(loss) => reads.iter().map(|read| loss.weight(read)).sum(),
            Self::Masked { smoothing } => {
                let losses = Loss::by_kind(*smoothing);
                reads.iter().filter_map(|read| Some(losses.of(read)?.weight(read))).sum()
            }
            Self::Link { .. } | Self::Contrast { .. } => laid.pairs.as_ref().map_or(0.0, |pairs| pairs.one.len() as f64),
        }
    }

    /// The sum of the costs: `[1]`; `None` where nothing is known.
    pub(super) fn of(&self, model: &RelationalTransformer, laid: &Laid, device: &Device) -> Option<Tensor<1>> {
        match (self, &laid.pairs) {
            (Self::Column(loss), _) => model.losses(&laid.batch, |_| Some(loss), device),
            (Self::Masked { smoothing }, _) => {
                let losses = Loss::by_kind(*smoothing);
                model.losses(&laid.batch, |read| losses.of(read), device)
            }
            (_, None) => None,
            (_, Some(pairs)) if pairs.one.is_empty() => None,
            (Self::Link { pairs: at }, Some(pairs)) => {
                let states = model.forward(&laid.batch, device);
                let positive = model.pair_scores(states.clone(), *at, &pairs.one, &pairs.other);
                let [one, other] = &pairs.negatives;
                let negative = model.pair_scores(states, *at, one, other);
                let shape = [pairs.one.len(), one.len() / pairs.one.len()];
                Some(losses::link(positive, negative.reshape(shape)).sum())
            }
            (Self::Contrast { pairs: at, temperature }, Some(pairs)) => {
                let states = model.forward(&laid.batch, device);
                let (one, other) = model.projections(states, *at, &pairs.one, &pairs.other);
                Some(losses::contrastive(one, other, *temperature).sum())
            }
        }
    }
}
