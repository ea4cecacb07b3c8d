use burn::module::{Module, Param};
use burn::nn::RmsNorm;
use burn::tensor::{Device, Tensor, TensorData, activation};

use super::attention::RelationalAttention;
use super::embedding::{Start, TokenEmbedding};
use super::feed_forward::FeedForward;
use super::indices;
use super::init::Initializer;
use super::typed::{TypedColumns, TypedEmbedding, TypedHeads};
use crate::task::ModelConfig;
use crate::tokens::{Batch, ColumnKind, Read};

/// What a model must know of the tokens: counts, no names.
#[derive(Clone, Debug)]
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
    /// What typed tokens are made of; `None` where tokens have identities.
    pub typed: Option<TypedColumns>,
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
    #[module(skip)]
    ranges: Vec<(u32, u32)>,
}

/// One of both.
#[derive(Module, Debug)]
struct Heads {
    by_column: Option<ColumnHeads>,
    by_type: Option<TypedHeads>,
}

#[derive(Module, Debug)]
struct ColumnHeads {
    /// Scores of the categories of all columns: `[width, categories]`.
    category: Param<Tensor<2>>,
    category_bias: Param<Tensor<1>>,
    /// Numbers of the columns: `[width, columns]`.
    number: Param<Tensor<2>>,
    number_bias: Param<Tensor<1>>,
}

/// Why the one or the other is there.
const EITHER: &str = "a model's tokens have identities, or are typed";

impl ColumnHeads {
    fn new(shape: &Shape, init: &mut Initializer<'_>) -> Self {
        let (width, columns, categories) = (shape.config.width, shape.columns.len(), shape.categories.max(1));
        Self {
            category: init.normal([width, categories], 0.02),
            category_bias: init.constant([categories], 0.0),
            number: init.normal([width, columns], 0.02),
            number_bias: init.constant([columns], 0.0),
        }
    }
}

impl RelationalTransformer {
    /// With first values from `seed`, and from `start` where it says more: of identities, which typed tokens do not have.
    pub fn new(shape: &Shape, start: Option<&Start>, seed: u64, device: &Device) -> Self {
        let config = &shape.config;
        let width = config.width;
        let hidden = (width as f64 * config.expansion).round() as usize;
        let init = &mut Initializer::new(seed, device);
        let blocks = config
            .blocks
            .iter()
            .map(|kinds| Block {
                attention: kinds.iter().map(|_| RelationalAttention::new(config, init)).collect(),
                feed_forward: FeedForward::new(width, hidden.max(1), config.epsilon, config.recompute, init),
            })
            .collect();
        let typed = shape.typed.as_ref();
        Self {
            embedding: typed.is_none().then(|| TokenEmbedding::new(shape, start, init)),
            typed: typed.map(|columns| TypedEmbedding::new(shape, columns, init)),
            blocks,
            norm: init.norm(width, config.epsilon),
            heads: Heads {
                by_column: typed.is_none().then(|| ColumnHeads::new(shape, init)),
                by_type: typed.map(|columns| TypedHeads::new(config, columns, init)),
            },
            ranges: shape.columns.iter().zip(&shape.category_counts).map(|((_, first), count)| (*first, *count)).collect(),
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
            None => self.embedding.as_ref().expect(EITHER).forward(batch, device),
        }
    }

    /// The last states of the tokens that the batch reads.
    ///
    /// # Shapes
    /// `[states, width]`; [`Read::states`] are places in it.
    pub fn forward(&self, batch: &Batch, device: &Device) -> Tensor<2> {
        let mut states = self.embed(batch, device);
        for (block, layers) in self.blocks.iter().zip(&batch.blocks) {
            for (attention, layer) in block.attention.iter().zip(layers) {
                states = attention.forward(states, layer);
            }
            states = block.feed_forward.forward(states);
        }
        self.norm.forward(states)
    }

    /// Scores of the categories of a read column, before the softmax.
    ///
    /// # Shapes
    /// `[states, width]` to `[reads, categories of the column]`.
    pub fn scores(&self, states: Tensor<2>, read: &Read) -> Tensor<2> {
        let device = states.device();
        let (first, count) = self.ranges[usize::from(read.column)];
        let (first, end) = (first as usize, (first + count) as usize);
        let states = states.select(0, indices(&read.states, &device));
        if let Some(heads) = &self.heads.by_type {
            return heads.scores(states, read.column, first..end);
        }
        let heads = self.heads.by_column.as_ref().expect(EITHER);
        let [width, _] = heads.category.dims();
        let weight = heads.category.val().slice([0..width, first..end]);
        states.matmul(weight) + heads.category_bias.val().slice_dim(0, first..end).unsqueeze::<2>()
    }

    /// The numbers of a read column, standardised.
    ///
    /// # Shapes
    /// `[states, width]` to `[reads]`.
    pub fn numbers(&self, states: Tensor<2>, read: &Read) -> Tensor<1> {
        let device = states.device();
        let column = usize::from(read.column);
        let states = states.select(0, indices(&read.states, &device));
        if let Some(heads) = &self.heads.by_type {
            return heads.numbers(states, read.column);
        }
        let heads = self.heads.by_column.as_ref().expect(EITHER);
        let [width, _] = heads.number.dims();
        let weight = heads.number.val().slice([0..width, column..column + 1]);
        let numbers = states.matmul(weight).reshape([read.states.len()]);
        numbers + heads.number_bias.val().slice_dim(0, column..column + 1)
    }

    /// The mean loss over the batch's reads whose values are known: cross-entropy of categories with some of the weight
    /// spread over all of them (`smoothing`), Huber's loss of standardised numbers.
    ///
    /// # Shapes
    /// `[1]`; `None` where no value is known.
    pub fn loss(&self, batch: &Batch, smoothing: f64, device: &Device) -> Option<Tensor<1>> {
        let states = self.forward(batch, device);
        let mut total: Option<Tensor<1>> = None;
        let mut count = 0;
        for read in &batch.reads {
            let (known, loss) = match read.kind {
                ColumnKind::Category => self.category_loss(states.clone(), read, smoothing, device),
                ColumnKind::Number => self.number_loss(states.clone(), read, device),
                ColumnKind::Vector(_) | ColumnKind::Link => continue,
            };
            if known > 0 {
                count += known;
                total = Some(match total {
                    Some(total) => total + loss,
                    None => loss,
                });
            }
        }
        total.map(|total| total / count as f64)
    }

    fn category_loss(&self, states: Tensor<2>, read: &Read, smoothing: f64, device: &Device) -> (usize, Tensor<1>) {
        let logs = activation::log_softmax(self.scores(states, read), 1);
        let [rows, classes] = logs.dims();
        let mut weights = vec![0.0_f32; rows * classes];
        let mut known = 0;
        for (row, &code) in read.codes.iter().enumerate() {
            if (code as usize) < classes {
                known += 1;
                weights[row * classes..(row + 1) * classes].fill((smoothing / classes as f64) as f32);
                weights[row * classes + code as usize] += (1.0 - smoothing) as f32;
            }
        }
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [rows, classes]), device);
        (known, (logs * weights).sum().neg())
    }

    fn number_loss(&self, states: Tensor<2>, read: &Read, device: &Device) -> (usize, Tensor<1>) {
        let count = read.numbers.len();
        let weights: Vec<f32> = read.numbers.iter().map(|number| if number.is_nan() { 0.0 } else { 1.0 }).collect();
        let known = weights.iter().filter(|&&weight| weight > 0.0).count();
        let truth: Vec<f32> = read.numbers.iter().map(|number| if number.is_nan() { 0.0 } else { *number }).collect();
        let truth = Tensor::<1>::from_data(TensorData::new(truth, [count]), device);
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [count]), device);
        let error = (self.numbers(states, read) - truth).abs();
        // Huber with δ = 1: e²/2 up to 1, e − 1/2 beyond.
        let near = error.clone().clamp_max(1.0);
        let loss = near.clone() * (error - near * 0.5);
        (known, (loss * weights).sum())
    }

    /// The vectors of identities, `[identities, width]`; `None` where tokens are typed.
    pub fn identities(&self) -> Option<Tensor<2>> {
        self.embedding.as_ref().map(TokenEmbedding::identities)
    }
}
