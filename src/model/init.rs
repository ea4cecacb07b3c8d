use burn::module::{Param, ParamId};
use burn::nn::{Linear, RmsNorm};
use burn::tensor::{Device, Tensor, TensorData};

use crate::sampler::random::{Key, Random};

/// Gives parameters their first values: from a generator of ours, so that equal seeds give equal models whatever else
/// the process draws. They are numbered in their order, so that what an optimizer keeps of each finds it again in another
/// process.
pub(super) struct Initializer<'d> {
    random: Random,
    next: std::cell::Cell<u64>,
    pub(super) device: &'d Device,
}

impl<'d> Initializer<'d> {
    pub(super) fn new(seed: u64, device: &'d Device) -> Self {
        Self { random: Key::new("relata model parameters", seed).random(), next: std::cell::Cell::new(0), device }
    }

    fn parameter<const D: usize>(&self, shape: [usize; D], values: Vec<f32>) -> Param<Tensor<D>> {
        let mut parameter = Param::from_data(TensorData::new(values, shape), self.device);
        parameter.id = ParamId::from(self.next.replace(self.next.get() + 1));
        parameter
    }

    /// From a normal distribution around 0.
    pub(super) fn normal<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Param<Tensor<D>> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| (normal(&mut self.random) * deviation) as f32).collect();
        self.parameter(shape, values)
    }

    /// These.
    pub(super) fn given<const D: usize>(&self, shape: [usize; D], values: Vec<f32>) -> Param<Tensor<D>> {
        self.parameter(shape, values)
    }

    /// All the same.
    pub(super) fn constant<const D: usize>(&self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        let count = shape.iter().product();
        self.parameter(shape, vec![value; count])
    }

    /// `[inputs, outputs]`, of variance `gain² / inputs`, without bias.
    pub(super) fn linear(&mut self, inputs: usize, outputs: usize, gain: f64) -> Linear {
        Linear { weight: self.normal([inputs, outputs], gain / (inputs as f64).sqrt()), bias: None }
    }

    /// `[inputs, outputs]`, and a bias, of variance `1 / (3 inputs)` both, as PyTorch's layers start.
    pub(super) fn biased(&mut self, inputs: usize, outputs: usize) -> Linear {
        let deviation = (3.0 * inputs as f64).sqrt().recip();
        Linear { weight: self.normal([inputs, outputs], deviation), bias: Some(self.normal([outputs], deviation)) }
    }

    /// `[width, width]`: near the identity.
    pub(super) fn pass(&mut self, width: usize) -> Linear {
        let noise = super::floats(self.normal([width, width], 0.02).val());
        let values =
            noise.into_iter().enumerate().map(|(at, noise)| noise + f32::from(u8::from(at % (width + 1) == 0))).collect();
        Linear { weight: self.given([width, width], values), bias: None }
    }

    pub(super) fn norm(&self, width: usize, epsilon: f64) -> RmsNorm {
        RmsNorm { gamma: self.constant([width], 1.0), epsilon }
    }
}

/// A draw from the standard normal distribution (Box and Muller, Ann. Math. Statist. 29(2), 1958).
fn normal(random: &mut Random) -> f64 {
    // Above 0, so that the logarithm is finite.
    let uniform = |word: u64| ((word >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let (radius, angle) = (uniform(random.word()), uniform(random.word()));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
