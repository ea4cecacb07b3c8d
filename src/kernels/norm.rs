//! Root-mean-square norm (Zhang and Sennrich 2019, <https://arxiv.org/abs/1910.07467>): `y = x / √(mean x² + ε) ⊙ γ`.

use super::Shared;
use super::rows::Rows;
use super::vector::{LANES, Task, Vector, dispatch};

/// γ and ε.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// As many numbers as a row has.
    pub gamma: &'a [f32],
    /// Added to the mean square.
    pub epsilon: f32,
}

impl Norm<'_> {
    /// The norms of some of `rows` of `states`.
    pub(super) fn forward(self, states: &[f32], rows: &Rows, some: std::ops::Range<usize>, to: &mut [f32]) {
        assert_eq!(to.len(), some.len() * self.gamma.len());
        dispatch(Forward { norm: self, states, rows, some, to });
    }

    /// Of the gradient by the norms of some of `rows`: adds that by the rows themselves to `to`, and that by γ to `to_gamma`.
    ///
    /// # Safety
    /// `to` has as many rows as `states`, and no other thread touches these.
    pub(super) unsafe fn backward(
        self,
        states: &[f32],
        rows: &Rows,
        some: std::ops::Range<usize>,
        grad: &[f32],
        to: Shared,
        to_gamma: &mut [f32],
    ) {
        assert_eq!(grad.len(), some.len() * self.gamma.len());
        assert_eq!(to_gamma.len(), self.gamma.len());
        dispatch(Backward { norm: self, states, rows, some, grad, to, to_gamma });
    }
}

struct Forward<'a> {
    norm: Norm<'a>,
    states: &'a [f32],
    rows: &'a Rows,
    some: std::ops::Range<usize>,
    to: &'a mut [f32],
}

impl Task for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let width = self.norm.gamma.len();
        for (to, at) in self.to.chunks_exact_mut(width).zip(self.some) {
            let row = &self.states[self.rows.at(at) * width..][..width];
            // SAFETY: the caller's.
            let squares = unsafe { sum::<V, 2>([row, row]) };
            let scale = (squares / width as f32 + self.norm.epsilon).sqrt().recip();
            for ((to, x), gamma) in to.iter_mut().zip(row).zip(self.norm.gamma) {
                *to = x * scale * gamma;
            }
        }
    }
}

struct Backward<'a> {
    norm: Norm<'a>,
    states: &'a [f32],
    rows: &'a Rows,
    some: std::ops::Range<usize>,
    grad: &'a [f32],
    to: Shared,
    to_gamma: &'a mut [f32],
}

impl Task for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let gamma = self.norm.gamma;
        let width = gamma.len();
        for (grad, at) in self.grad.chunks_exact(width).zip(self.some) {
            let place = self.rows.at(at) * width;
            let row = &self.states[place..][..width];
            // SAFETY: the caller's.
            let (squares, product, to) = unsafe {
                let to = std::slice::from_raw_parts_mut(self.to.at(place).0, width);
                (sum::<V, 2>([row, row]), sum::<V, 3>([row, gamma, grad]), to)
            };
            let scale = (squares / width as f32 + self.norm.epsilon).sqrt().recip();
            // dx = γδ/rms − x ⟨x, γδ⟩ / (n rms³)
            let mean = product * scale * scale * scale / width as f32;
            let numbers = row.iter().zip(grad).zip(gamma);
            for ((to, to_gamma), ((x, grad), gamma)) in to.iter_mut().zip(self.to_gamma.iter_mut()).zip(numbers) {
                *to += grad * gamma * scale - x * mean;
                *to_gamma += grad * x * scale;
            }
        }
    }
}

/// The sum of products of the slices' numbers; they are of one length.
///
/// # Safety
/// See [`Vector`].
#[inline(always)]
unsafe fn sum<V: Vector, const N: usize>(slices: [&[f32]; N]) -> f32 {
    let count = slices[0].len();
    let whole = count / LANES * LANES;
    let mut lanes = [0.0_f32; LANES];
    unsafe {
        let mut sum = V::splat(0.0);
        for at in (0..whole).step_by(LANES) {
            let mut product = V::load(slices[0].as_ptr().add(at));
            for slice in &slices[1..N - 1] {
                product = product.mul(V::load(slice.as_ptr().add(at)));
            }
            sum = product.mul_add(V::load(slices[N - 1].as_ptr().add(at)), sum);
        }
        sum.store(lanes.as_mut_ptr());
    }
    let rest = (whole..count).map(|at| slices.iter().map(|slice| slice[at]).product::<f32>()).sum::<f32>();
    lanes.iter().sum::<f32>() + rest
}
