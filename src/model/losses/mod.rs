//! What training makes small: losses, one a row.
//!
//! They are made of tensor operations alone, so that burn differentiates them on any backend, and without infinities: a
//! finite input has a finite loss and a finite gradient. Where a text says nothing else, a tensor is `[rows]`, and so is the
//! loss; [`weighted_mean`] makes one number of it.

mod negative_binomial;

#[cfg(test)]
mod tests;

pub use negative_binomial::negative_binomial;

use burn::tensor::{Int, Tensor, activation};

/// The logarithm of a variance or a dispersion counts as within ± this. Its exponential, times the square of what can be
/// predicted, is far from the largest 32-bit number.
const LOG_LIMIT: f64 = 30.0;

/// Huber's loss: `e² / 2` of an error `e` up to `delta`, a straight line beyond, so that outliers do not rule.
///
/// Source: Huber, "Robust estimation of a location parameter", 1964, <https://doi.org/10.1214/aoms/1177703732>.
pub fn huber(prediction: Tensor<1>, truth: Tensor<1>, delta: f64) -> Tensor<1> {
    let error = (prediction - truth).abs();
    let near = error.clone().clamp_max(delta);
    near.clone() * (error - near * 0.5)
}

/// The negative log-likelihood of a normal distribution, in nats. A log-variance counts as within ± 30.
pub fn gaussian(mean: Tensor<1>, log_variance: Tensor<1>, truth: Tensor<1>) -> Tensor<1> {
    let log_variance = held(log_variance, LOG_LIMIT);
    let error = (truth - mean) * (log_variance.clone() * -0.5).exp();
    (error.clone() * error + log_variance + std::f64::consts::TAU.ln()) * 0.5
}

/// The cross-entropy of a yes or no, in nats; `truth` is 0, 1, or the probability of yes.
pub fn binary(logit: Tensor<1>, truth: Tensor<1>) -> Tensor<1> {
    let no = -truth.clone() + 1.0;
    truth * softplus(-logit.clone()) + no * softplus(logit)
}

/// The cross-entropy of one class among several, in nats; `smoothing` of the truth is dealt to all classes alike.
///
/// Source of the smoothing: Szegedy et al. 2016, <https://arxiv.org/abs/1512.00567>, section 7.
///
/// # Shapes
/// logits `[rows, classes]`, codes `[rows]`, each below `classes`, to `[rows]`.
pub fn multiclass(logits: Tensor<2>, codes: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let logs = activation::log_softmax(logits, 1);
    let own: Tensor<1> = logs.clone().gather(1, codes.unsqueeze_dim::<2>(1)).squeeze_dim(1);
    let all: Tensor<1> = logs.mean_dim(1).squeeze_dim(1);
    -(own * (1.0 - smoothing) + all * smoothing)
}

/// The binary cross-entropy of the score of a true pair, and beside it the mean one of pairs that are none; both weigh the
/// same, however many candidates there are.
///
/// # Shapes
/// positive `[rows]`, negative `[rows, candidates]`, at least one, to `[rows]`.
pub fn link(positive: Tensor<1>, negative: Tensor<2>) -> Tensor<1> {
    let none: Tensor<1> = softplus(negative).mean_dim(1).squeeze_dim(1);
    softplus(-positive) + none
}

/// InfoNCE in both directions: row i of `one` belongs to row i of `other`, and to none of the other rows; each finds the other
/// by the cosine of their angle, divided by the temperature. The mean of the two cross-entropies.
///
/// Sources: van den Oord et al. 2018, <https://arxiv.org/abs/1807.03748>; Radford et al. 2021 (CLIP),
/// <https://arxiv.org/abs/2103.00020>.
///
/// # Shapes
/// `[rows, width]` both, to `[rows]`. Rows are brought to length 1 first; zeros stay.
pub fn contrastive(one: Tensor<2>, other: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [rows, _] = one.dims();
    let places = Tensor::<1, Int>::arange(0..rows as i64, &one.device());
    let scores = unit(one).matmul(unit(other).transpose()) / temperature; // [rows, rows]
    (multiclass(scores.clone(), places.clone(), 0.0) + multiclass(scores.transpose(), places, 0.0)) * 0.5
}

/// The mean of losses by their weights, `[1]`. A row of weight 0 counts for nothing, and where all do the mean is 0.
pub fn weighted_mean(losses: Tensor<1>, weights: Tensor<1>) -> Tensor<1> {
    (losses * weights.clone()).sum() / weights.sum().clamp_min(f32::MIN_POSITIVE)
}

/// A weight a class, inverse to how many rows it has, and 1 in the mean over the rows; 0 for a class of no row.
pub fn class_weights(counts: &[u64]) -> Vec<f32> {
    let rows: u64 = counts.iter().sum();
    let present = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &u64| if count > 0 { rows as f64 / (present as f64 * count as f64) } else { 0.0 };
    counts.iter().map(|count| weight(count) as f32).collect()
}

/// `ln(1 + eˣ)`
fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::softplus(x, 1.0)
}

/// Within ± `limit`. Beyond it the gradient is that of the limit, so that descent leads back.
fn held(x: Tensor<1>, limit: f64) -> Tensor<1> {
    let passed = x.clone() - x.clone().detach(); // 0, with a gradient of 1
    x.clamp(-limit, limit).detach() + passed
}

/// Rows of length 1, `[rows, width]`.
fn unit(rows: Tensor<2>) -> Tensor<2> {
    let length = ((rows.clone() * rows.clone()).sum_dim(1) + 1e-12).sqrt();
    rows / length
}
