use burn::tensor::Tensor;

use super::{LOG_LIMIT, held, softplus};

/// The logarithm of a mean counts as within ± this.
const MEAN_LIMIT: f64 = 80.0;

/// The negative log-likelihood of a count, in nats, if it is negative binomial (NB2): with mean μ and variance μ + αμ²,
/// α being the dispersion. As α goes to 0 it goes to Poisson's. A log-dispersion counts as within ± 30, a log-mean as within
/// ± 80; counts are 0, 1, 2, ….
///
/// With r = 1/α, q = k/(k + r) and d = ln(μ/k) it is
///
/// > ln k! − k ln k + k + ½ ln(1 + αk) + R(r) − R(k + r) + (k + r) (ln(1 + q(eᵈ − 1)) − qd),
///
/// R being what Stirling's formula leaves of lnΓ. Large terms, such as lnΓ(k + r) and lnΓ(r), are gone from it before any is
/// rounded: what is left is the likelihood at its best, where μ = k, and how far from it the mean is.
///
/// Source of NB2: Hilbe, "Negative Binomial Regression", 2nd edition, 2011; the form above is a rearrangement of it.
pub fn negative_binomial(log_mean: Tensor<1>, log_dispersion: Tensor<1>, count: Tensor<1>) -> Tensor<1> {
    let log_mean = held(log_mean, MEAN_LIMIT);
    let log_dispersion = held(log_dispersion, LOG_LIMIT);
    let is_zero = count.clone().lower_equal_elem(0.0);
    let none = of_none(log_mean.clone(), log_dispersion.clone());
    let some = of_some(log_mean, log_dispersion, count.mask_fill(is_zero.clone(), 1.0));
    some.mask_where(is_zero, none)
}

/// Of a count of 0: `r ln(1 + αμ)`. Where αμ is small that is `μ (1 − αμ/2 + …)`, in which r does not stand.
fn of_none(log_mean: Tensor<1>, log_dispersion: Tensor<1>) -> Tensor<1> {
    /// Of ln αμ; the first term left out of the series is below 10⁻¹² of it.
    const SMALL: f64 = -7.0;
    let log_excess = log_mean.clone() + log_dispersion.clone();
    let is_small = log_excess.clone().lower_elem(SMALL);
    let excess = log_excess.clone().clamp_max(SMALL).exp();
    let series = -(-(-excess.clone() / 4.0 + 1.0 / 3.0) * excess.clone() + 0.5) * excess + 1.0;
    let whole = (-log_dispersion).exp() * softplus(log_excess);
    whole.mask_where(is_small, log_mean.exp() * series)
}

/// Of a count above 0.
fn of_some(log_mean: Tensor<1>, log_dispersion: Tensor<1>, count: Tensor<1>) -> Tensor<1> {
    let log_count = count.clone().log();
    let size = (-log_dispersion.clone()).exp(); // r
    let total = count.clone() + size.clone();
    let off = deviance(log_mean - log_count.clone(), &count, &size, &total);
    let best = (log_count.clone() + std::f64::consts::TAU.ln()) * 0.5
        + remainder(count)
        + softplus(log_count + log_dispersion) * 0.5
        + remainder(size)
        - remainder(total);
    best + off
}

/// `(k + r) (ln(1 + q(eᵈ − 1)) − qd)`: how much less likely the count is than if the mean were the count.
///
/// It is the same with p = 1 − q for q and −d for d; the smaller of p and q is taken, so that the logarithm's argument is
/// at least ½.
fn deviance(distance: Tensor<1>, count: &Tensor<1>, size: &Tensor<1>, total: &Tensor<1>) -> Tensor<1> {
    /// Beyond it `ln(1 + w(eˢ − 1))` is `ln w + s` to the last digit, for any share w that occurs here.
    const FAR: f64 = 60.0;
    let is_count_smaller = count.clone().lower_equal(size.clone());
    let sign = is_count_smaller.clone().float() * 2.0 - 1.0;
    let share = size.clone().mask_where(is_count_smaller, count.clone()) / total.clone();
    let step = distance * sign;
    let near = step.clone().clamp_max(FAR);
    let beyond = (step.clone() - FAR).clamp_min(0.0);
    total.clone() * ((share.clone() * expm1(near)).log1p() + beyond - share * step)
}

/// `eˣ − 1`, exact near 0 as well: tanh(x/2) (eˣ + 1).
fn expm1(x: Tensor<1>) -> Tensor<1> {
    (x.clone() * 0.5).tanh() * (x.exp() + 1.0)
}

/// R(x) = lnΓ(x) − (x − ½) ln x + x − ½ ln 2π, for x above 0: Gudermann's series up to x + 4, from there on Stirling's.
///
/// Source: NIST Digital Library of Mathematical Functions, <https://dlmf.nist.gov/5.11> (5.11.1) and
/// <https://dlmf.nist.gov/5.5> (5.5.1, whose logarithm gives each step).
fn remainder(x: Tensor<1>) -> Tensor<1> {
    const SHIFT: u32 = 4;
    let step = |x: Tensor<1>| (x.clone() + 0.5) * x.recip().log1p() - 1.0; // R(x) − R(x + 1)
    let inverse = (x.clone() + f64::from(SHIFT)).recip();
    let square = inverse.clone() * inverse.clone();
    let series = -(-(-square.clone() / 1680.0 + 1.0 / 1260.0) * square.clone() + 1.0 / 360.0) * square + 1.0 / 12.0;
    (0..SHIFT).fold(inverse * series, |sum, shift| sum + step(x.clone() + f64::from(shift)))
}
