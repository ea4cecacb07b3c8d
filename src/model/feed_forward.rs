use burn::module::Module;
use burn::nn::{Linear, RmsNorm};
use burn::tensor::{Tensor, activation};

use super::fused::{self, FeedForwardOptions, FeedForwardWeights};
use super::init::Initializer;
use super::precision::product;
use crate::task::{ModelConfig, Precision};

/// Norm, and SwiGLU: `(silu(x G) ⊙ x U) D`; added to what goes in.
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
    /// Whether the way back computes again what lies between: half of the layer's products, for much of its memory.
    recomputes: bool,
    #[module(skip)]
    precision: Precision,
    /// Made of the backend's operations though there are kernels.
    pub(super) is_dense: bool,
}

impl FeedForward {
    pub(super) fn new(config: &ModelConfig, init: &mut Initializer<'_>) -> Self {
        let width = config.width;
        let hidden = ((width as f64 * config.expansion).round() as usize).max(1);
        Self {
            norm: init.norm(width, config.epsilon),
            gate: init.linear(width, hidden, 1.0),
            up: init.linear(width, hidden, 1.0),
            down: init.linear(hidden, width, 0.5),
            recomputes: config.recompute,
            precision: config.precision,
            is_dense: false,
        }
    }

    /// # Shapes
    /// `[states, width]` to the same.
    pub(super) fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        if fused::is_fused(&states) && !self.is_dense {
            let options = FeedForwardOptions { epsilon: self.norm.epsilon as f32, recomputes: self.recomputes };
            let weights = FeedForwardWeights {
                gate: self.gate.weight.val().into_dispatch(),
                up: self.up.weight.val().into_dispatch(),
                down: self.down.weight.val().into_dispatch(),
                gamma: self.norm.gamma.val().into_dispatch(),
            };
            return fused::feed_forward(states, weights, options);
        }
        let normed = self.norm.forward(states.clone());
        let times = |x: Tensor<2>, linear: &Linear| product(x, linear.weight.val(), self.precision);
        let gate = activation::silu(times(normed.clone(), &self.gate));
        states + times(gate * times(normed, &self.up), &self.down)
    }
}
