//! Gates: sigmoids, and SwiGLU's middle (Shazeer 2020, <https://arxiv.org/abs/2002.05202>): `silu(gate) ⊙ up`.

use std::f32::consts::LOG2_E;

use super::vector::{LANES, Task, Vector, dispatch};

/// `to = silu(gate) ⊙ up`
pub(super) fn gated(gate: &[f32], up: &[f32], to: &mut [f32]) {
    assert!(gate.len() == up.len() && gate.len() == to.len());
    dispatch(Forward { gate, up, to });
}

/// Of the gradient `hidden` by `silu(gate) ⊙ up`: those by `gate` and `up` take their places, and the value that of `hidden`.
pub(super) fn gated_backward(gate: &mut [f32], up: &mut [f32], hidden: &mut [f32]) {
    assert!(gate.len() == up.len() && gate.len() == hidden.len());
    dispatch(Backward { gate, up, hidden });
}

/// Each number's sigmoid takes its place.
pub(super) fn sigmoids(numbers: &mut [f32]) {
    dispatch(Sigmoids(numbers));
}

struct Sigmoids<'a>(&'a mut [f32]);

impl Task for Sigmoids<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let (whole, rest) = self.0.as_chunks_mut::<LANES>();
        // SAFETY: each is of as many numbers as a vector.
        whole.iter_mut().for_each(|numbers| unsafe { sigmoid(V::load(numbers.as_ptr())).store(numbers.as_mut_ptr()) });
        rest.iter_mut().for_each(|number| *number = sigmoid_of(*number));
    }
}

/// `1 / (1 + e⁻ˣ)`
fn sigmoid_of(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The same of sixteen numbers.
///
/// # Safety
/// See [`Vector`].
#[inline(always)]
unsafe fn sigmoid<V: Vector>(x: V) -> V {
    unsafe {
        // At most 2^126: its reciprocal is a number, and above 2^-126 of 1 there is no difference.
        let power = V::splat(0.0).sub(x).mul(V::splat(LOG2_E)).min(V::splat(126.0)).exp2();
        V::splat(1.0).div(power.add(V::splat(1.0)))
    }
}

struct Forward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    to: &'a mut [f32],
}

impl Task for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { gate, up, to } = self;
        let whole = gate.len() / LANES * LANES;
        // SAFETY: all slices are of this length.
        unsafe {
            for at in (0..whole).step_by(LANES) {
                let gate = V::load(gate.as_ptr().add(at));
                gate.mul(sigmoid(gate)).mul(V::load(up.as_ptr().add(at))).store(to.as_mut_ptr().add(at));
            }
        }
        for at in whole..gate.len() {
            to[at] = gate[at] * sigmoid_of(gate[at]) * up[at];
        }
    }
}

struct Backward<'a> {
    gate: &'a mut [f32],
    up: &'a mut [f32],
    hidden: &'a mut [f32],
}

impl Task for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { gate, up, hidden } = self;
        let whole = gate.len() / LANES * LANES;
        // SAFETY: all slices are of the same length.
        unsafe {
            for at in (0..whole).step_by(LANES) {
                let [gate, up, hidden] = [gate.as_mut_ptr(), up.as_mut_ptr(), hidden.as_mut_ptr()].map(|slice| slice.add(at));
                let (x, grad) = (V::load(gate), V::load(hidden));
                let share = sigmoid(x);
                let silu = x.mul(share);
                // silu′ = σ + x σ (1 − σ)
                let slope = silu.mul_add(V::splat(1.0).sub(share), share);
                grad.mul(V::load(up)).mul(slope).store(gate);
                silu.mul(V::load(up)).store(hidden);
                grad.mul(silu).store(up);
            }
        }
        for at in whole..gate.len() {
            let (x, grad) = (gate[at], hidden[at]);
            let share = sigmoid_of(x);
            gate[at] = grad * up[at] * (share + x * share * (1.0 - share));
            hidden[at] = x * share * up[at];
            up[at] = grad * x * share;
        }
    }
}
