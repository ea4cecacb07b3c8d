//! Tokens and answers by semantic type, as the relational transformer has them (Ranjan et al. 2025, RT-v1,
//! <https://arxiv.org/abs/2510.06377>).
//!
//! A token is the column's name, a text, plus its value: each passes the linear layer of its semantic type and that type's
//! norm. A masked value is the type's learnt vector. Where RT-v1 leaves cells out or knows no such columns: a token of a
//! missing value, or of an edge without attributes, is the column's name alone; vectors and sequences have a layer and a norm
//! for each column.
//!
//! An answer is a linear layer of the last state, one a semantic type. A boolean's is one logit. A category, which RT-v1 never
//! asks for, is answered as a text: the product of the answer with the text of each of the column's names is its score.

use std::ops::Range;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::{Linear, RmsNorm};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::init::Initializer;
use super::{Shape, indices};
use crate::task::ModelConfig;
use crate::tokens::{Batch, ColumnKind, Form, Group, SemanticType};

/// What a model with typed tokens must know of the columns. A text is as many numbers as the configuration says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TypedColumns {
    /// What each column's values mean.
    pub types: Vec<SemanticType>,
    /// The columns' names as texts: `[columns, text]`.
    pub names: Vec<f32>,
    /// The names of all columns' categories as texts: `[categories, text]`.
    pub categories: Vec<f32>,
    /// For each column what false and true are, standardised as numbers are, if it is one of booleans.
    pub truths: Vec<[f32; 2]>,
}

/// A linear layer and a norm; and what stands for a masked value, where values can be masked.
#[derive(Module, Debug)]
struct ValueEncoder {
    linear: Linear,
    norm: RmsNorm,
    mask: Option<Param<Tensor<1>>>,
}

impl ValueEncoder {
    fn new(inputs: usize, width: usize, epsilon: f64, has_mask: bool, init: &mut Initializer<'_>) -> Self {
        Self {
            linear: init.biased(inputs, width),
            norm: init.norm(width, epsilon),
            mask: has_mask.then(|| init.normal([width], 1.0)),
        }
    }

    /// # Shapes
    /// `[values, inputs]`, row-major, to `[values, width]`.
    fn forward(&self, values: Vec<f32>, device: &Device) -> Tensor<2> {
        let [inputs, _] = self.linear.weight.dims();
        let shape = [values.len() / inputs, inputs];
        self.norm.forward(self.linear.forward(Tensor::from_data(TensorData::new(values, shape), device)))
    }
}

/// The first state of each token: its column's name, plus its value.
#[derive(Module, Debug)]
pub(super) struct TypedEmbedding {
    name: ValueEncoder,
    number: ValueEncoder,
    datetime: ValueEncoder,
    boolean: ValueEncoder,
    text: ValueEncoder,
    /// One a column of vectors or sequences, in the columns' order.
    vectors: Vec<ValueEncoder>,
    #[module(skip)]
    columns: Arc<TypedColumns>,
    #[module(skip)]
    first_category: Vec<u32>,
}

impl TypedEmbedding {
    pub(super) fn new(shape: &Shape, columns: &TypedColumns, init: &mut Initializer<'_>) -> Self {
        let config = &shape.config;
        let (width, text, epsilon) = (config.width, config.text as usize, config.epsilon);
        let mut encoder = |inputs, has_mask| ValueEncoder::new(inputs, width, epsilon, has_mask, init);
        let (name, number, datetime) = (encoder(text, false), encoder(1, true), encoder(1, true));
        let (boolean, text_encoder) = (encoder(1, true), encoder(text, true));
        let dimensions = shape.columns.iter().zip(&columns.types).filter_map(|column| match column {
            ((ColumnKind::Vector(dimension), _), SemanticType::Vector) => Some(*dimension as usize),
            _ => None,
        });
        let vectors = dimensions.map(|dimension| encoder(dimension, false)).collect();
        Self {
            name,
            number,
            datetime,
            boolean,
            text: text_encoder,
            vectors,
            columns: Arc::new(columns.clone()),
            first_category: shape.columns.iter().map(|(_, first)| *first).collect(),
        }
    }

    /// # Shapes
    /// `[tokens, width]`, in the batch's order.
    pub(super) fn forward(&self, batch: &Batch, device: &Device) -> Tensor<2> {
        let names = self.name.forward(self.columns.names.clone(), device); // [columns, width]
        let [_, width] = names.dims();
        let parts = batch.groups.iter().map(|group| {
            let column = usize::from(group.column);
            let name = names.clone().slice_dim(0, column..column + 1);
            let token = match self.value(batch, group, device) {
                Some(value) => name + value,
                None => name,
            };
            token.expand([group.tokens.len(), width])
        });
        Tensor::cat(parts.collect(), 0)
    }

    /// The share of a group's values, `[tokens, width]`, or `[1, width]` where it is the same for all; `None` where there is none.
    fn value(&self, batch: &Batch, group: &Group, device: &Device) -> Option<Tensor<2>> {
        let column = usize::from(group.column);
        let encoder = self.encoder(column)?;
        let codes = &batch.codes[group.tokens.clone()];
        Some(match group.form {
            Form::Missing | Form::Link => return None,
            Form::Masked => encoder.mask.as_ref()?.val().unsqueeze(),
            Form::Number => encoder.forward(batch.numbers[group.tokens.clone()].to_vec(), device),
            Form::Vector => encoder.forward(group.vectors.clone(), device),
            Form::Category if self.columns.types[column] == SemanticType::Boolean => {
                encoder.forward(codes.iter().map(|&code| self.columns.truths[column][code as usize]).collect(), device)
            }
            Form::Category => {
                // Each name once.
                let mut distinct = codes.to_vec();
                distinct.sort_unstable();
                distinct.dedup();
                let first = self.first_category[column];
                let texts = distinct.iter().flat_map(|code| self.category((first + code) as usize)).copied().collect();
                let place = |code: &u32| distinct.partition_point(|known| known < code) as u32;
                let places: Vec<u32> = codes.iter().map(place).collect();
                encoder.forward(texts, device).select(0, indices(&places, device))
            }
        })
    }

    /// A category's name as a text.
    fn category(&self, category: usize) -> &[f32] {
        let [text, _] = self.text.linear.weight.dims();
        &self.columns.categories[category * text..(category + 1) * text]
    }

    fn encoder(&self, column: usize) -> Option<&ValueEncoder> {
        let types = &self.columns.types;
        match types[column] {
            SemanticType::Number => Some(&self.number),
            SemanticType::Datetime => Some(&self.datetime),
            SemanticType::Boolean => Some(&self.boolean),
            SemanticType::Text => Some(&self.text),
            SemanticType::Vector => {
                self.vectors.get(types[..column].iter().filter(|&&other| other == SemanticType::Vector).count())
            }
            SemanticType::Link => None,
        }
    }
}

/// What is said of a last state: a linear layer a semantic type.
#[derive(Module, Debug)]
pub(super) struct TypedHeads {
    number: Linear,
    datetime: Linear,
    boolean: Linear,
    text: Linear,
    #[module(skip)]
    columns: Arc<TypedColumns>,
}

impl TypedHeads {
    pub(super) fn new(config: &ModelConfig, columns: &TypedColumns, init: &mut Initializer<'_>) -> Self {
        Self {
            number: init.biased(config.width, 1),
            datetime: init.biased(config.width, 1),
            boolean: init.biased(config.width, 1),
            text: init.biased(config.width, config.text as usize),
            columns: Arc::new(columns.clone()),
        }
    }

    /// Scores of a column's categories, which are these among all; of a boolean 0 and its logit.
    ///
    /// # Shapes
    /// `[reads, width]` to `[reads, categories of the column]`.
    pub(super) fn scores(&self, states: Tensor<2>, column: u16, categories: Range<usize>) -> Tensor<2> {
        if self.columns.types[usize::from(column)] == SemanticType::Boolean {
            let logit = self.boolean.forward(states);
            return Tensor::cat(vec![logit.zeros_like(), logit], 1);
        }
        let [_, text] = self.text.weight.dims();
        let device = states.device();
        let names = self.columns.categories[categories.start * text..categories.end * text].to_vec();
        let names = Tensor::<2>::from_data(TensorData::new(names, [categories.len(), text]), &device);
        self.text.forward(states).matmul(names.transpose())
    }

    /// The numbers of a column, standardised.
    ///
    /// # Shapes
    /// `[reads, width]` to `[reads]`.
    pub(super) fn numbers(&self, states: Tensor<2>, column: u16) -> Tensor<1> {
        let [reads, _] = states.dims();
        let head = match self.columns.types[usize::from(column)] {
            SemanticType::Datetime => &self.datetime,
            _ => &self.number,
        };
        head.forward(states).reshape([reads])
    }
}
