//! AdamW's step (Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>) in one pass over the memory.

use rayon::prelude::*;

use super::vector::{LANES, Task, Vector, dispatch};

/// Numbers that a thread goes through at a time.
const PIECE: usize = 1 << 14;

/// What a step is told.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// How far it goes.
    pub learning_rate: f64,
    /// How much of the mean of gradients stays.
    pub beta_1: f64,
    /// How much of the mean of their squares stays.
    pub beta_2: f64,
    /// Added to the root of the latter.
    pub epsilon: f64,
    /// Share that parameters lose, times the learning rate.
    pub weight_decay: f64,
    /// Which step it is, from 1.
    pub time: usize,
    /// What gradients are multiplied by first.
    pub factor: f64,
}

/// Moves `parameters` against their gradients `grad`; `means` and `squares` are the running means, 0 at first.
///
/// # Panics
/// When the slices are not of one length.
pub fn adamw(step: AdamWStep, parameters: &mut [f32], grad: &[f32], means: &mut [f32], squares: &mut [f32]) {
    assert!(parameters.len() == grad.len() && means.len() == grad.len() && squares.len() == grad.len());
    let pieces = parameters.par_chunks_mut(PIECE).zip(grad.par_chunks(PIECE));
    let running = means.par_chunks_mut(PIECE).zip(squares.par_chunks_mut(PIECE));
    pieces.zip(running).for_each(|((parameters, grad), (means, squares))| {
        dispatch(Piece { step, parameters, grad, means, squares });
    });
}

struct Piece<'a> {
    step: AdamWStep,
    parameters: &'a mut [f32],
    grad: &'a [f32],
    means: &'a mut [f32],
    squares: &'a mut [f32],
}

impl Task for Piece<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { step, parameters, grad, means, squares } = self;
        let time = step.time as i32;
        let mean_share = (1.0 - step.beta_1) as f32;
        let square_share = (1.0 - step.beta_2) as f32;
        let (beta_1, beta_2) = (step.beta_1 as f32, step.beta_2 as f32);
        let length = (step.learning_rate / (1.0 - step.beta_1.powi(time))) as f32;
        let correction = (1.0 / (1.0 - step.beta_2.powi(time))) as f32;
        let stays = (1.0 - step.learning_rate * step.weight_decay) as f32;
        let (epsilon, factor) = (step.epsilon as f32, step.factor as f32);
        let whole = grad.len() / LANES * LANES;
        // SAFETY: all slices are of one length; the rest is the caller's.
        unsafe {
            let splat = |number| V::splat(number);
            for at in (0..whole).step_by(LANES) {
                let place = parameters.as_mut_ptr().add(at);
                let (mean_at, square_at) = (means.as_mut_ptr().add(at), squares.as_mut_ptr().add(at));
                let grad = V::load(grad.as_ptr().add(at)).mul(splat(factor));
                let mean = V::load(mean_at).mul_add(splat(beta_1), grad.mul(splat(mean_share)));
                let square = V::load(square_at).mul_add(splat(beta_2), grad.mul(grad).mul(splat(square_share)));
                mean.store(mean_at);
                square.store(square_at);
                let root = square.mul(splat(correction)).sqrt().add(splat(epsilon));
                V::load(place).mul(splat(stays)).sub(mean.mul(splat(length)).div(root)).store(place);
            }
        }
        for at in whole..grad.len() {
            let grad = grad[at] * factor;
            means[at] = means[at] * beta_1 + grad * mean_share;
            squares[at] = squares[at] * beta_2 + grad * grad * square_share;
            let root = (squares[at] * correction).sqrt() + epsilon;
            parameters[at] = parameters[at] * stays - means[at] * length / root;
        }
    }
}

/// The sum of the numbers' squares; the same on any number of threads.
pub fn sum_of_squares(numbers: &[f32]) -> f64 {
    let pieces: Vec<f64> = numbers
        .par_chunks(PIECE)
        .map(|piece| {
            let mut lanes = [0.0_f32; LANES];
            let mut chunks = piece.chunks_exact(LANES);
            for chunk in &mut chunks {
                lanes.iter_mut().zip(chunk).for_each(|(lane, number)| *lane += number * number);
            }
            let rest: f32 = chunks.remainder().iter().map(|number| number * number).sum();
            lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest)
        })
        .collect();
    pieces.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_equal_those_of_the_definition() {
        for count in [1, 15, 16, 100, 3 * PIECE + 5] {
            let start: Vec<f32> = (0..count).map(|at| (at as f32 * 0.37).sin()).collect();
            let mut parameters = start.clone();
            let (mut means, mut squares) = (vec![0.0; count], vec![0.0; count]);
            let mut plain: Vec<[f64; 3]> = start.iter().map(|&x| [f64::from(x), 0.0, 0.0]).collect();
            for time in 1..=4 {
                let grad: Vec<f32> = (0..count).map(|at| ((at * 7 + time * 13) as f32).cos()).collect();
                let step = AdamWStep {
                    learning_rate: 0.01,
                    beta_1: 0.9,
                    beta_2: 0.99,
                    epsilon: 1e-8,
                    weight_decay: 0.1,
                    time,
                    factor: 0.5,
                };
                adamw(step, &mut parameters, &grad, &mut means, &mut squares);
                for ([x, mean, square], grad) in plain.iter_mut().zip(&grad) {
                    let grad = f64::from(*grad) * 0.5;
                    *mean = 0.9 * *mean + 0.1 * grad;
                    *square = 0.99 * *square + 0.01 * grad * grad;
                    let (mean, square) =
                        (*mean / (1.0 - 0.9_f64.powi(time as i32)), *square / (1.0 - 0.99_f64.powi(time as i32)));
                    *x = *x * (1.0 - 0.01 * 0.1) - 0.01 * mean / (square.sqrt() + 1e-8);
                }
            }
            let error = parameters.iter().zip(&plain).map(|(x, plain)| (f64::from(*x) - plain[0]).abs()).fold(0.0, f64::max);
            assert!(error < 1e-6, "{count}: off by {error}");
        }
    }

    #[test]
    fn squares_add_up() {
        let numbers: Vec<f32> = (0..2 * PIECE + 17).map(|at| (at % 13) as f32 - 6.0).collect();
        let expected: f64 = numbers.iter().map(|&number| f64::from(number * number)).sum();
        assert!((sum_of_squares(&numbers) - expected).abs() < 1e-6 * expected);
    }
}
