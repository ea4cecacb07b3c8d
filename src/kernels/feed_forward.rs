//! `states + (silu(n G) ⊙ n U) D`, n being the norm of the states: one layer, forward and backward.

use super::gated::{gated, gated_backward};
use super::layer::{chunks, sum, with_scratch};
use super::norm::Norm;
use super::product::{Matrix, WeightGradient, multiply, weight_gradients};
use super::rows::Rows;
use super::{Buffer, Shared};

/// The layer's parameters.
#[derive(Clone, Copy, Debug)]
pub struct FeedForward<'a> {
    /// Of what goes in.
    pub norm: Norm<'a>,
    /// `[width, hidden]`
    pub gate: &'a [f32],
    /// `[width, hidden]`
    pub up: &'a [f32],
    /// `[hidden, width]`
    pub down: &'a [f32],
}

/// What the way back needs again, unless it is to compute it again.
#[derive(Clone, Debug)]
pub struct FeedForwardKept {
    /// `[states, hidden]` each.
    gate: Buffer,
    up: Buffer,
}

/// Gradients of a loss by what went in.
#[derive(Debug)]
pub struct FeedForwardGradients {
    /// `[states, width]`
    pub states: Vec<f32>,
    /// `[width]`
    pub gamma: Vec<f32>,
    /// `[width, hidden]`
    pub gate: Vec<f32>,
    /// `[width, hidden]`
    pub up: Vec<f32>,
    /// `[hidden, width]`
    pub down: Vec<f32>,
}

impl FeedForward<'_> {
    fn width(&self) -> usize {
        self.norm.gamma.len()
    }

    fn hidden(&self) -> usize {
        self.gate.len() / self.width()
    }

    /// The states that come out, and what the way back needs if `keeps`.
    ///
    /// # Shapes
    /// `[states, width]` to the same.
    pub fn forward(&self, states: &[f32], keeps: bool) -> (Vec<f32>, Option<FeedForwardKept>) {
        let (width, hidden) = (self.width(), self.hidden());
        let count = states.len() / width;
        let mut out = states.to_vec();
        let mut kept = keeps.then(|| FeedForwardKept { gate: Buffer::of(count * hidden), up: Buffer::of(count * hidden) });
        let to = Shared(out.as_mut_ptr());
        let kept_to = kept.as_mut().map(|kept| [Shared(kept.gate.as_mut_ptr()), Shared(kept.up.as_mut_ptr())]);
        chunks(count, |rows| {
            let length = rows.len();
            with_scratch(length * (width + 3 * hidden), |scratch| {
                let (normed, scratch) = scratch.split_at_mut(length * width);
                let (inner, scratch) = scratch.split_at_mut(length * hidden);
                let (gate, up) = match kept_to {
                    // SAFETY: chunks have rows of their own.
                    Some([gate, up]) => unsafe { (gate.rows(rows.clone(), hidden), up.rows(rows.clone(), hidden)) },
                    None => scratch.split_at_mut(length * hidden),
                };
                self.norm.forward(states, &Rows::First(count), rows.clone(), normed);
                self.inner(normed, gate, up);
                gated(gate, up, inner);
                // SAFETY: as above.
                let out = unsafe { to.rows(rows, width) };
                multiply(Matrix::of(inner, hidden), Matrix::of(self.down, width), out, true);
            });
        });
        (out, kept)
    }

    fn inner(&self, normed: &[f32], gate: &mut [f32], up: &mut [f32]) {
        let normed = Matrix::of(normed, self.width());
        multiply(normed, Matrix::of(self.gate, self.hidden()), gate, false);
        multiply(normed, Matrix::of(self.up, self.hidden()), up, false);
    }

    /// Gradients of a loss, of `grad`, the one by what came out.
    pub fn backward(&self, states: &[f32], kept: Option<FeedForwardKept>, grad: &[f32]) -> FeedForwardGradients {
        let (width, hidden) = (self.width(), self.hidden());
        let count = states.len() / width;
        let is_kept = kept.is_some();
        let mut kept =
            kept.unwrap_or_else(|| FeedForwardKept { gate: Buffer::of(count * hidden), up: Buffer::of(count * hidden) });
        let mut inner = Buffer::of(count * hidden);
        let mut normed = Buffer::of(count * width);
        let mut to_states = grad.to_vec();
        let [gates, ups, inners, norms, to] = [&mut *kept.gate, &mut *kept.up, &mut *inner, &mut *normed, &mut to_states[..]]
            .map(|buffer| Shared(buffer.as_mut_ptr()));
        let gammas = chunks(count, |rows| {
            // SAFETY: chunks have rows of their own.
            let (gate, up, inner, normed) = unsafe {
                let [gate, up, inner] = [gates, ups, inners].map(|buffer| buffer.rows(rows.clone(), hidden));
                (gate, up, inner, norms.rows(rows.clone(), width))
            };
            let grad = &grad[rows.start * width..rows.end * width];
            self.norm.forward(states, &Rows::First(count), rows.clone(), normed);
            if !is_kept {
                self.inner(normed, gate, up);
            }
            multiply(Matrix::of(grad, width), Matrix::of(self.down, width).transposed(), inner, false);
            gated_backward(gate, up, inner);
            let mut gamma = vec![0.0; width];
            with_scratch(rows.len() * width, |to_normed| {
                multiply(Matrix::of(gate, hidden), Matrix::of(self.gate, hidden).transposed(), to_normed, false);
                multiply(Matrix::of(up, hidden), Matrix::of(self.up, hidden).transposed(), to_normed, true);
                // SAFETY: as above.
                unsafe { self.norm.backward(states, &Rows::First(count), rows, to_normed, to, &mut gamma) };
            });
            gamma
        });
        let mut gradients = FeedForwardGradients {
            states: to_states,
            gamma: vec![0.0; width],
            gate: vec![0.0; width * hidden],
            up: vec![0.0; width * hidden],
            down: vec![0.0; hidden * width],
        };
        sum(&gammas, &mut gradients.gamma);
        let normed = Matrix::of(&normed, width);
        weight_gradients(&mut [
            WeightGradient { inputs: normed, outputs: Matrix::of(&kept.gate, hidden), to: &mut gradients.gate },
            WeightGradient { inputs: normed, outputs: Matrix::of(&kept.up, hidden), to: &mut gradients.up },
            WeightGradient { inputs: Matrix::of(&inner, hidden), outputs: Matrix::of(grad, width), to: &mut gradients.down },
        ]);
        gradients
    }
}
