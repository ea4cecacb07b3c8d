use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::init::Initializer;
use super::{Shape, floats, indices};
use crate::tokens::{Batch, ColumnKind, Form, Group};

/// Fourier features of a standardised number: itself, and sine and cosine of so many octaves
/// (Tancik et al. 2020, <https://arxiv.org/abs/2006.10739>).
const OCTAVES: usize = 4;
const FEATURES: usize = 1 + 2 * OCTAVES;

/// Where a model's embedding starts, if not at random.
#[derive(Clone, Debug)]
pub struct Start {
    /// `[identities, width]`
    pub identities: Vec<f32>,
    /// What the columns below start at: `[width]`.
    pub centre: Vec<f32>,
    /// Columns, and for numbers the slope of the identity's scale with the standardised number: 1 + slope × number.
    pub columns: Vec<(u16, Option<f32>)>,
}

/// The first state of each token: whose it is, scaled by its value, plus its value, plus its column.
#[derive(Module, Debug)]
pub(super) struct TokenEmbedding {
    /// `[identities, width]`; the first stands for nobody, or somebody that has no identity here.
    identity: Param<Tensor<2>>,
    /// `[columns, width]`
    column: Param<Tensor<2>>,
    /// `[categories of all columns, width]`
    category: Param<Tensor<2>>,
    /// For each column `[FEATURES, 2 × width]`: a number's scale of the identity, and its shift.
    number: Param<Tensor<3>>,
    /// `[sum of the vector columns' dimensions, width]`
    vector: Param<Tensor<2>>,
    /// Missing and masked, `[2 × columns, width]`.
    absent: Param<Tensor<2>>,
    #[module(skip)]
    first_category: Vec<u32>,
    #[module(skip)]
    first_dimension: Vec<usize>,
}

impl TokenEmbedding {
    pub(super) fn new(shape: &Shape, start: Option<&Start>, init: &mut Initializer<'_>) -> Self {
        let width = shape.config.width;
        let columns = shape.columns.len();
        let mut dimensions = 0;
        let first_dimension = shape
            .columns
            .iter()
            .map(|(kind, _)| {
                let first = dimensions;
                if let ColumnKind::Vector(dimension) = kind {
                    dimensions += *dimension as usize;
                }
                first
            })
            .collect();
        let mut identity = init.normal([shape.identities.max(1), width], 0.1);
        let mut column = init.normal([columns, width], 0.1);
        let mut number = init.normal([columns, FEATURES, 2 * width], 0.05);
        if let Some(start) = start {
            identity = init.given([shape.identities.max(1), width], start.identities.clone());
            let (mut constants, mut weights) = (floats(column.val()), floats(number.val()));
            for (id, slope) in &start.columns {
                let id = usize::from(*id);
                constants[id * width..(id + 1) * width].copy_from_slice(&start.centre);
                if let Some(slope) = slope {
                    let own = &mut weights[id * FEATURES * 2 * width..(id + 1) * FEATURES * 2 * width];
                    own.fill(0.0);
                    own[..width].fill(*slope);
                }
            }
            column = init.given([columns, width], constants);
            number = init.given([columns, FEATURES, 2 * width], weights);
        }
        Self {
            identity,
            column,
            category: init.normal([shape.categories.max(1), width], 1.0),
            number,
            vector: init.normal([dimensions.max(1), width], 1.0),
            absent: init.normal([2 * columns, width], 1.0),
            first_category: shape.columns.iter().map(|(_, first)| *first).collect(),
            first_dimension,
        }
    }

    /// # Shapes
    /// `[tokens, width]`, in the batch's order.
    pub(super) fn forward(&self, batch: &Batch, device: &Device) -> Tensor<2> {
        let parts = batch.groups.iter().map(|group| self.group(batch, group, device)).collect();
        Tensor::cat(parts, 0)
    }

    fn group(&self, batch: &Batch, group: &Group, device: &Device) -> Tensor<2> {
        let [_, width] = self.column.dims();
        let column = usize::from(group.column);
        let count = group.tokens.len();
        let identities = &batch.identities[group.tokens.clone()];
        let identity = self.identity.val().select(0, indices(identities, device)); // [tokens, width]
        let constant = self.column.val().slice_dim(0, column..column + 1); // [1, width]
        match group.form {
            Form::Number => {
                let features = fourier(&batch.numbers[group.tokens.clone()], device);
                let weights = self.number.val().slice_dim(0, column..column + 1).reshape([FEATURES, 2 * width]);
                let (scale, shift) =
                    (weights.clone().slice([0..FEATURES, 0..width]), weights.slice([0..FEATURES, width..2 * width]));
                identity * (features.clone().matmul(scale) + 1.0) + (features.matmul(shift) + constant)
            }
            Form::Category => {
                let first = self.first_category[column];
                let codes: Vec<u32> = batch.codes[group.tokens.clone()].iter().map(|code| first + code).collect();
                identity + (self.category.val().select(0, indices(&codes, device)) + constant)
            }
            Form::Vector => {
                let dimension = group.vectors.len() / count.max(1);
                let first = self.first_dimension[column];
                let vectors = Tensor::<2>::from_data(TensorData::new(group.vectors.clone(), [count, dimension]), device);
                identity + (vectors.matmul(self.vector.val().slice_dim(0, first..first + dimension)) + constant)
            }
            Form::Link => identity + constant,
            Form::Missing | Form::Masked => {
                let row = 2 * column + usize::from(group.form == Form::Masked);
                let absent = self.absent.val().slice_dim(0, row..row + 1) + constant;
                identity + absent
            }
        }
    }

    /// `[identities, width]`
    pub(super) fn identities(&self) -> Tensor<2> {
        self.identity.val()
    }
}

/// `[numbers, FEATURES]`
fn fourier(numbers: &[f32], device: &Device) -> Tensor<2> {
    let mut features = Vec::with_capacity(numbers.len() * FEATURES);
    for &number in numbers {
        features.push(number);
        for octave in 0..OCTAVES {
            let angle = number * std::f32::consts::FRAC_PI_4 * (1 << octave) as f32;
            features.extend([angle.sin(), angle.cos()]);
        }
    }
    Tensor::from_data(TensorData::new(features, [numbers.len(), FEATURES]), device)
}
