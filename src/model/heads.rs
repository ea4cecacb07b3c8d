use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::init::Initializer;
use super::typed::TypedHeads;
use super::{Shape, indices, losses};
use crate::tokens::{ColumnKind, Read};

/// What training makes small of the reads of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Loss {
    /// Of categories: their cross-entropy.
    CrossEntropy {
        /// Share of the truth that is dealt to all classes alike.
        smoothing: f64,
        /// What a row of each class weighs; 1 where it is empty.
        weights: Vec<f32>,
    },
    /// Of numbers, standardised: Huber's loss, with δ = 1.
    Huber,
    /// Of numbers, standardised: a normal distribution's, with the variance that the model says.
    Gaussian,
    /// Of counts, as they are: a negative binomial's, with the dispersion that the model says; what stands for the number is the
    /// logarithm of its mean.
    NegativeBinomial,
}

/// The usual losses of columns, by their kinds.
pub struct ByKind {
    classes: Loss,
}

impl ByKind {
    /// A column's; `None` where its kind has none.
    pub fn of(&self, read: &Read) -> Option<&Loss> {
        match read.kind {
            ColumnKind::Category => Some(&self.classes),
            ColumnKind::Number => Some(&Loss::Huber),
            ColumnKind::Vector(_) | ColumnKind::Link => None,
        }
    }
}

impl Loss {
    /// Cross-entropy of categories with some of the weight spread over all of them (`smoothing`), Huber's loss of standardised
    /// numbers.
    pub fn by_kind(smoothing: f64) -> ByKind {
        ByKind { classes: Self::CrossEntropy { smoothing, weights: Vec::new() } }
    }

    /// The weights of a column's reads together.
    pub fn weight(&self, read: &Read) -> f64 {
        self.weights(read).iter().map(|&weight| f64::from(weight)).sum()
    }

    /// The weight of each read; 0 where the value is not known.
    fn weights(&self, read: &Read) -> Vec<f32> {
        match self {
            Self::CrossEntropy { weights, .. } => {
                let known = |code: &u32| f32::from(u8::from(*code != u32::MAX));
                let of = |code: &u32| if weights.is_empty() { known(code) } else { *weights.get(*code as usize).unwrap_or(&0.0) };
                read.codes.iter().map(of).collect()
            }
            _ => read.numbers.iter().map(|number| f32::from(u8::from(!number.is_nan()))).collect(),
        }
    }
}

/// What a model says of its last states.
#[derive(Module, Debug)]
pub(super) struct Heads {
    /// One of both.
    by_column: Option<ColumnHeads>,
    by_type: Option<TypedHeads>,
    /// Logarithms of the variances or dispersions of the columns' numbers, if any loss asks for them: `[width, columns]`.
    spread: Option<Param<Tensor<2>>>,
    /// One an objective of pairs of nodes.
    pub(super) pairs: Vec<Pairs>,
    #[module(skip)]
    ranges: Vec<(u32, u32)>,
}

/// Answers by column.
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
const EITHER: &str = "a model answers by column or by type";

impl ColumnHeads {
    fn new(shape: &Shape, init: &mut Initializer<'_>) -> Self {
        let (width, columns, categories) = (shape.config.width, shape.columns.len(), shape.categories.max(1));
        let mut biases = vec![0.0; columns];
        shape.asked.biases.iter().for_each(|&(column, bias)| biases[usize::from(column)] = bias);
        Self {
            category: init.normal([width, categories], 0.02),
            category_bias: init.constant([categories], 0.0),
            number: init.normal([width, columns], 0.02),
            number_bias: init.given([columns], biases),
        }
    }
}

impl Heads {
    pub(super) fn new(shape: &Shape, init: &mut Initializer<'_>) -> Self {
        let (width, columns, typed) = (shape.config.width, shape.columns.len(), shape.typed.as_ref());
        Self {
            by_column: typed.is_none().then(|| ColumnHeads::new(shape, init)),
            by_type: typed.map(|columns| TypedHeads::new(&shape.config, columns, init)),
            spread: shape.asked.has_spread.then(|| init.normal([width, columns], 0.02)),
            pairs: (0..shape.asked.pairs).map(|_| Pairs::new(width, init)).collect(),
            ranges: shape.columns.iter().zip(&shape.category_counts).map(|((_, first), count)| (*first, *count)).collect(),
        }
    }

    /// See [`RelationalTransformer::scores`](super::RelationalTransformer::scores).
    pub(super) fn scores(&self, states: Tensor<2>, read: &Read) -> Tensor<2> {
        let (first, count) = self.ranges[usize::from(read.column)];
        let (first, end) = (first as usize, (first + count) as usize);
        let states = chosen(states, &read.states);
        if let Some(heads) = &self.by_type {
            return heads.scores(states, read.column, first..end);
        }
        let heads = self.by_column.as_ref().expect(EITHER);
        let [width, _] = heads.category.dims();
        let weight = heads.category.val().slice([0..width, first..end]);
        states.matmul(weight) + heads.category_bias.val().slice_dim(0, first..end).unsqueeze::<2>()
    }

    /// See [`RelationalTransformer::numbers`](super::RelationalTransformer::numbers).
    pub(super) fn numbers(&self, states: Tensor<2>, read: &Read) -> Tensor<1> {
        if let Some(heads) = &self.by_type {
            return heads.numbers(chosen(states, &read.states), read.column);
        }
        let heads = self.by_column.as_ref().expect(EITHER);
        let column = usize::from(read.column);
        of_column(&heads.number, states, read) + heads.number_bias.val().slice_dim(0, column..column + 1)
    }

    /// The sum of the losses of a column's reads, each times its weight: `[1]`. `None` where no value is known.
    pub(super) fn loss(&self, states: Tensor<2>, read: &Read, loss: &Loss) -> Option<Tensor<1>> {
        let weights = loss.weights(read);
        if !weights.iter().any(|&weight| weight > 0.0) {
            return None;
        }
        let device = states.device();
        let rows = match loss {
            Loss::CrossEntropy { smoothing, .. } => {
                let codes: Vec<u32> = read.codes.iter().map(|&code| if code == u32::MAX { 0 } else { code }).collect();
                losses::multiclass(self.scores(states, read), indices(&codes, &device), *smoothing)
            }
            Loss::Huber => losses::huber(self.numbers(states, read), truth(read, &device), 1.0),
            Loss::Gaussian => {
                losses::gaussian(self.numbers(states.clone(), read), self.spread(states, read), truth(read, &device))
            }
            Loss::NegativeBinomial => {
                let log_means = self.numbers(states.clone(), read);
                losses::negative_binomial(log_means, self.spread(states, read), truth(read, &device))
            }
        };
        let count = weights.len();
        Some((rows * Tensor::<1>::from_data(TensorData::new(weights, [count]), &device)).sum())
    }

    fn spread(&self, states: Tensor<2>, read: &Read) -> Tensor<1> {
        let spread = self.spread.as_ref().expect("a model has spreads where one of its losses asks for them");
        of_column(spread, states, read)
    }
}

/// The projection of a column: `[reads]`.
fn of_column(weights: &Param<Tensor<2>>, states: Tensor<2>, read: &Read) -> Tensor<1> {
    let column = usize::from(read.column);
    let [width, _] = weights.dims();
    chosen(states, &read.states).matmul(weights.val().slice([0..width, column..column + 1])).reshape([read.states.len()])
}

/// Some of the states.
fn chosen(states: Tensor<2>, places: &[u32]) -> Tensor<2> {
    let device = states.device();
    states.select(0, indices(places, &device))
}

/// The true numbers; 0 where they are not known.
fn truth(read: &Read, device: &Device) -> Tensor<1> {
    let numbers: Vec<f32> = read.numbers.iter().map(|number| if number.is_nan() { 0.0 } else { *number }).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count]), device)
}

/// Projections of the two nodes of a pair.
#[derive(Module, Debug)]
pub(super) struct Pairs {
    one: Linear,
    other: Linear,
    bias: Param<Tensor<1>>,
}

impl Pairs {
    fn new(width: usize, init: &mut Initializer<'_>) -> Self {
        Self { one: init.linear(width, width, 1.0), other: init.linear(width, width, 1.0), bias: init.constant([1], 0.0) }
    }

    /// The scalar product of the two projections over the root of their width, and a constant.
    pub(super) fn scores(&self, states: Tensor<2>, one: &[u32], other: &[u32]) -> Tensor<1> {
        let (one, other) = self.projections(states, one, other);
        let [rows, width] = one.dims();
        (one * other).sum_dim(1).reshape([rows]) / (width as f64).sqrt() + self.bias.val()
    }

    pub(super) fn projections(&self, states: Tensor<2>, one: &[u32], other: &[u32]) -> (Tensor<2>, Tensor<2>) {
        (self.one.forward(chosen(states.clone(), one)), self.other.forward(chosen(states, other)))
    }
}
