use burn::module::Module;
use burn::nn::{Linear, RmsNorm};
use burn::tensor::{Tensor, activation};

use super::init::Initializer;

/// Norm, and SwiGLU: `(silu(x G) ⊙ x U) D`.
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl FeedForward {
    pub(super) fn new(width: usize, hidden: usize, init: &mut Initializer<'_>) -> Self {
        Self {
            norm: init.norm(width),
            gate: init.linear(width, hidden, 1.0),
            up: init.linear(width, hidden, 1.0),
            down: init.linear(hidden, width, 0.5),
        }
    }

    /// # Shapes
    /// `[states, width]` to the same: what is to be added.
    pub(super) fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        let normed = self.norm.forward(states);
        let gate = activation::silu(self.gate.forward(normed.clone()));
        self.down.forward(gate * self.up.forward(normed))
    }
}
