use std::fmt;

use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::attention::RelationalAttention;
use super::embedding::{Start, TokenEmbedding};
use super::feed_forward::FeedForward;
use super::heads::{Heads, Loss};
use super::init::Initializer;
use super::typed::{TypedColumns, TypedEmbedding};
use crate::task::{AttentionKind, ModelConfig};
use crate::tokens::{Batch, ColumnKind, Read};

/// What a model must know of the tokens: counts, no names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shape {
    /// Layers and widths.
    pub config: ModelConfig,
    /// For each column what its values are, and where its categories begin among all.
    pub columns: Vec<(ColumnKind, u32)>,
    /// How many categories each column has.
    pub category_counts: Vec<u32>,
    /// Rows of the identity table.
    pub identities: usize,
    /// Categories of all columns together.
    pub categories: usize,
    /// What is asked, beside values of columns.
    pub asked: AskedShape,
    /// What typed tokens are made of; `None` where tokens have identities.
    pub typed: Option<TypedColumns>,
}

/// What a model must know of what it is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AskedShape {
    /// What the numbers of a column start at, if not at 0: logarithms of counts' means.
    pub biases: Vec<(u16, f32)>,
    /// Whether the logarithms of variances and dispersions are said too.
    pub has_spread: bool,
    /// How many objectives ask for pairs of nodes.
    pub pairs: usize,
}

#[derive(Module, Debug)]
struct Block {
    attention: Vec<RelationalAttention>,
    feed_forward: FeedForward,
}

/// See the [module](super).
#[derive(Module, Debug)]
pub struct RelationalTransformer {
    /// Of tokens with identities; the other of typed ones.
    embedding: Option<TokenEmbedding>,
    typed: Option<TypedEmbedding>,
    blocks: Vec<Block>,
    norm: RmsNorm,
    heads: Heads,
    /// Of each block's layers of attention.
    #[module(skip)]
    kinds: Vec<Vec<AttentionKind>>,
}

impl RelationalTransformer {
    /// With first values from `seed`, and from `start` where it says more: of identities, which typed tokens do not have.
    pub fn new(shape: &Shape, start: Option<&Start>, seed: u64, device: &Device) -> Self {
        let config = &shape.config;
        let width = config.width;
        let init = &mut Initializer::new(seed, device);
        let blocks = config
            .blocks
            .iter()
            .map(|kinds| Block {
                attention: kinds.iter().map(|_| RelationalAttention::new(config, init)).collect(),
                feed_forward: FeedForward::new(config, init),
            })
            .collect();
        let typed = shape.typed.as_ref();
        Self {
            embedding: typed.is_none().then(|| TokenEmbedding::new(shape, start, init)),
            typed: typed.map(|columns| TypedEmbedding::new(shape, columns, init)),
            blocks,
            norm: init.norm(width, config.epsilon),
            heads: Heads::new(shape, init),
            kinds: config.blocks.clone(),
        }
    }

    /// The same model, whose layers are made of the backend's own operations, with a mask for every pair of tokens, whether
    /// there are kernels for it or not.
    #[must_use]
    pub fn with_dense_layers(mut self) -> Self {
        for block in &mut self.blocks {
            block.attention.iter_mut().for_each(|attention| attention.is_dense = true);
            block.feed_forward.is_dense = true;
        }
        self
    }

    /// The first states of the batch's tokens, in its order.
    ///
    /// # Shapes
    /// `[tokens, width]`
    pub fn embed(&self, batch: &Batch, device: &Device) -> Tensor<2> {
        match &self.typed {
            Some(typed) => typed.forward(batch, device),
            None => self.embedding.as_ref().expect("a model's tokens have identities, or are typed").forward(batch, device),
        }
    }

    /// The last states of the tokens that the batch reads.
    ///
    /// # Shapes
    /// `[states, width]`; [`Read::states`] are places in it.
    pub fn forward(&self, batch: &Batch, device: &Device) -> Tensor<2> {
        self.watched(batch, device, |_, _| {})
    }

    /// As [`forward`](Self::forward); `watch` is called with the states behind each layer, and what it is: `embedding`,
    /// `block 1, row`, `block 1, feed-forward`, `norm`.
    pub fn watched(&self, batch: &Batch, device: &Device, mut watch: impl FnMut(fmt::Arguments<'_>, &Tensor<2>)) -> Tensor<2> {
        let mut states = self.embed(batch, device);
        watch(format_args!("embedding"), &states);
        for (at, (block, layers)) in (1..).zip(self.blocks.iter().zip(&batch.blocks)) {
            for ((attention, layer), kind) in block.attention.iter().zip(layers).zip(&self.kinds[at - 1]) {
                states = attention.forward(states, layer);
                watch(format_args!("block {at}, {}", kind.name()), &states);
            }
            states = block.feed_forward.forward(states);
            watch(format_args!("block {at}, feed-forward"), &states);
        }
        let states = self.norm.forward(states);
        watch(format_args!("norm"), &states);
        states
    }

    /// Scores of the categories of a read column, before the softmax.
    ///
    /// # Shapes
    /// `[states, width]` to `[reads, categories of the column]`.
    pub fn scores(&self, states: Tensor<2>, read: &Read) -> Tensor<2> {
        self.heads.scores(states, read)
    }

    /// The numbers of a read column, standardised; of a column whose loss is a negative binomial's, logarithms of means.
    ///
    /// # Shapes
    /// `[states, width]` to `[reads]`.
    pub fn numbers(&self, states: Tensor<2>, read: &Read) -> Tensor<1> {
        self.heads.numbers(states, read)
    }

    /// The sum of the losses of the batch's reads whose values are known, each times its weight, and the sum of the weights.
    /// `of` says what is made small, by column; reads of columns that it says nothing of have no loss.
    ///
    /// # Shapes
    /// `[1]`; `None` where no value is known.
    pub fn losses<'l>(&self, batch: &Batch, of: impl Fn(&Read) -> Option<&'l Loss>, device: &Device) -> Option<Tensor<1>> {
        let states = self.forward(batch, device);
        let sums = batch.reads.iter().filter_map(|read| self.heads.loss(states.clone(), read, of(read)?));
        sums.reduce(|sum, other| sum + other)
    }

    /// The mean loss over the batch's reads whose values are known, each [by its kind](Loss::by_kind).
    ///
    /// # Shapes
    /// `[1]`; `None` where no value is known.
    pub fn loss(&self, batch: &Batch, smoothing: f64, device: &Device) -> Option<Tensor<1>> {
        let losses = Loss::by_kind(smoothing);
        let weight: f64 = batch.reads.iter().filter_map(|read| Some(losses.of(read)?.weight(read))).sum();
        self.losses(batch, |read| losses.of(read), device).map(|sum| sum / weight)
    }

    /// How alike two nodes are to an objective of pairs, for several pairs: places among the last states.
    ///
    /// # Shapes
    /// `[states, width]` to `[pairs]`.
    pub fn pair_scores(&self, states: Tensor<2>, pairs: usize, one: &[u32], other: &[u32]) -> Tensor<1> {
        self.heads.pairs[pairs].scores(states, one, other)
    }

    /// What an objective of contrasts compares: the projections of some of the last states.
    ///
    /// # Shapes
    /// `[states, width]` to two of `[places, width]`.
    pub fn projections(&self, states: Tensor<2>, pairs: usize, one: &[u32], other: &[u32]) -> (Tensor<2>, Tensor<2>) {
        self.heads.pairs[pairs].projections(states, one, other)
    }

    /// The vectors of identities, `[identities, width]`; `None` where tokens are typed.
    pub fn identities(&self) -> Option<Tensor<2>> {
        self.embedding.as_ref().map(TokenEmbedding::identities)
    }
}
