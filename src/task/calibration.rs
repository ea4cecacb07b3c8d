//! Probabilities that are as often right as they say.

use serde::{Deserialize, Serialize};

/// What logits are divided by before they become probabilities, so that a model that is too sure (above 1) or not sure
/// enough (below 1) says what it knows. Which class is the most probable stays the same.
///
/// Source: Guo et al., "On calibration of modern neural networks", 2017, <https://arxiv.org/abs/1706.04599>.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Temperature(pub f64);

impl Default for Temperature {
    /// 1: logits as they are.
    fn default() -> Self {
        Self(1.0)
    }
}

/// A row's logits and the place of its class.
type Row<'l> = (&'l [f32], usize);

impl Temperature {
    /// The lowest that [`fit`](Self::fit) gives: rows that are all right, as a few can be by chance, would ask for 0.
    pub const LOWEST: f64 = 0.05;
    /// The highest that [`fit`](Self::fit) gives: logits that say nothing of the classes would ask for infinity.
    pub const HIGHEST: f64 = 20.0;

    /// The temperature under which rows that were held out are the most likely, within [`LOWEST`](Self::LOWEST) and
    /// [`HIGHEST`](Self::HIGHEST).
    ///
    /// `logits` is `[rows, classes]`, row-major. A row whose code is no class, or whose logits are not finite or all equal,
    /// says nothing of it; where none does, as with a single class, it is 1.
    pub fn fit(logits: &[f32], classes: usize, codes: &[u32]) -> Self {
        let rows: Vec<Row<'_>> = logits
            .chunks_exact(classes.max(1))
            .zip(codes.iter().map(|&code| code as usize))
            .filter(|(row, code)| *code < classes && row.iter().all(|logit| logit.is_finite()))
            .filter(|(row, _)| row.iter().any(|logit| *logit != row[0]))
            .collect();
        if rows.is_empty() {
            return Self::default();
        }
        // The negative log-likelihood is convex in 1 / temperature.
        let (mut low, mut high) = (1.0 / Self::HIGHEST, 1.0 / Self::LOWEST);
        if slopes(&rows, low).0 >= 0.0 {
            return Self(Self::HIGHEST);
        }
        if slopes(&rows, high).0 <= 0.0 {
            return Self(Self::LOWEST);
        }
        let mut inverse = 1.0;
        // Bisection alone would need 60 steps.
        for _ in 0..100 {
            let (slope, curvature) = slopes(&rows, inverse);
            if slope > 0.0 {
                high = inverse;
            } else {
                low = inverse;
            }
            let newton = inverse - slope / curvature;
            let next = if (low..=high).contains(&newton) { newton } else { 0.5 * (low + high) };
            let moved = (next - inverse).abs();
            inverse = next;
            if moved <= 1e-12 * inverse {
                break;
            }
        }
        Self(1.0 / inverse)
    }

    /// The probabilities of one row's logits.
    pub fn apply(self, logits: &[f32]) -> Vec<f32> {
        softmax(logits, 1.0 / self.0).into_iter().map(|probability| probability as f32).collect()
    }
}

/// The first and second derivative, by 1 / temperature, of the negative log-likelihood of rows: what the logits are expected
/// to be less what they are for the true class, and their variance.
fn slopes(rows: &[Row<'_>], inverse: f64) -> (f64, f64) {
    let (mut slope, mut curvature) = (0.0, 0.0);
    for &(logits, code) in rows {
        let probabilities = softmax(logits, inverse);
        let expected = |of: &dyn Fn(f64) -> f64| -> f64 {
            probabilities.iter().zip(logits).map(|(probability, &logit)| probability * of(f64::from(logit))).sum()
        };
        let mean = expected(&|logit| logit);
        slope += mean - f64::from(logits[code]);
        curvature += expected(&|logit| (logit - mean).powi(2));
    }
    (slope, curvature)
}

fn softmax(logits: &[f32], inverse: f64) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| (inverse * (f64::from(logit) - f64::from(most))).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

/// How far off the probabilities of the most probable classes are from how often these are right: over `bins` of equal width,
/// the mean, by rows, of the distance between both. NaN where there is no row.
///
/// `probabilities` is `[rows, classes]`, row-major; of equals the first is the most probable class. A row whose code is no
/// class is not counted.
///
/// Source: Naeini et al. 2015, as Guo et al. write it, <https://arxiv.org/abs/1706.04599>, equation 3.
pub fn expected_calibration_error(probabilities: &[f32], classes: usize, codes: &[u32], bins: usize) -> f64 {
    let bins = bins.max(1);
    // Of each bin: how many are right, less the sum of the probabilities.
    let mut excess = vec![0.0_f64; bins];
    let mut count = 0_u64;
    for (row, &code) in probabilities.chunks_exact(classes.max(1)).zip(codes) {
        if code as usize >= classes {
            continue;
        }
        let (mut best, mut confidence) = (0, row[0]);
        for (class, &probability) in row.iter().enumerate() {
            if probability > confidence {
                (best, confidence) = (class, probability);
            }
        }
        // Bin m holds what is above m / bins, up to (m + 1) / bins.
        let bin = ((confidence * bins as f32).ceil() as usize).clamp(1, bins) - 1;
        excess[bin] += f64::from(u8::from(best == code as usize)) - f64::from(confidence);
        count += 1;
    }
    excess.iter().map(|excess| excess.abs()).sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::random::Key;

    const CLASSES: usize = 4;

    /// Logits, and classes drawn by the probabilities that they have at a temperature.
    fn planted(rows: usize, temperature: f64, seed: u64) -> (Vec<f32>, Vec<u32>) {
        let mut random = Key::new("calibration", seed).random();
        let mut share = || random.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        let logits: Vec<f32> = (0..rows * CLASSES).map(|_| (8.0 * share() - 4.0) as f32).collect();
        let drawn = |row: &[f32]| {
            let weights: Vec<f64> = row.iter().map(|&logit| (f64::from(logit) / temperature).exp()).collect();
            let mut left = share() * weights.iter().sum::<f64>();
            let is_drawn = |weight: &f64| {
                left -= weight;
                left < 0.0
            };
            weights.iter().position(is_drawn).unwrap_or(0) as u32
        };
        let codes = logits.chunks_exact(CLASSES).map(drawn).collect();
        (logits, codes)
    }

    /// The mean negative log-likelihood, straight from its definition.
    fn loss(logits: &[f32], codes: &[u32], temperature: f64) -> f64 {
        let of = |(row, &code): (&[f32], &u32)| {
            let total: f64 = row.iter().map(|&logit| (f64::from(logit) / temperature).exp()).sum();
            total.ln() - f64::from(row[code as usize]) / temperature
        };
        logits.chunks_exact(CLASSES).zip(codes).map(of).sum::<f64>() / codes.len() as f64
    }

    #[test]
    fn a_planted_temperature_is_found() {
        for (seed, planted_temperature) in [(1, 0.5), (2, 1.0), (3, 2.5), (4, 8.0)] {
            let rows = 20_000;
            let (logits, codes) = planted(rows, planted_temperature, seed);
            let Temperature(found) = Temperature::fit(&logits, CLASSES, &codes);
            // The standard error of 1 / T, from the curvature of the loss as second differences have it.
            let at = |inverse: f64| loss(&logits, &codes, 1.0 / inverse) * rows as f64;
            let (inverse, step) = (1.0 / found, 1e-3 / found);
            let curvature = (at(inverse + step) - 2.0 * at(inverse) + at(inverse - step)) / (step * step);
            let error = curvature.sqrt().recip();
            assert!(error < 0.05 / planted_temperature, "{error}: the sample says too little to test anything");
            assert!((inverse - 1.0 / planted_temperature).abs() < 4.0 * error, "planted {planted_temperature}, found {found}");
            // It is the lowest point: the slope there is nothing beside the standard error's.
            let slope = (at(inverse + step) - at(inverse - step)) / (2.0 * step);
            assert!(slope.abs() < 1e-3 * error * curvature, "{slope}");
        }
    }

    #[test]
    fn a_model_that_is_too_sure_is_put_right() {
        let (logits, codes) = planted(20_000, 3.0, 5);
        let temperature = Temperature::fit(&logits, CLASSES, &codes);
        let error = |temperature: Temperature| {
            let probabilities: Vec<f32> = logits.chunks_exact(CLASSES).flat_map(|row| temperature.apply(row)).collect();
            expected_calibration_error(&probabilities, CLASSES, &codes, 15)
        };
        let (before, after) = (error(Temperature::default()), error(temperature));
        assert!(before > 0.2 && after < 0.02, "{before}, {after}");
        let json = serde_json::to_string(&Temperature(1.5)).unwrap();
        assert_eq!((json.as_str(), serde_json::from_str(&json).unwrap()), ("1.5", Temperature(1.5)));
    }

    #[test]
    fn probabilities_are_those_of_the_softmax() {
        // exp(ln 4 / 2) : exp(0 / 2) = 2 : 1.
        let found = Temperature(2.0).apply(&[4.0_f32.ln(), 0.0]);
        assert!((found[0] - 2.0 / 3.0).abs() < 1e-6 && (found[1] - 1.0 / 3.0).abs() < 1e-6, "{found:?}");
        assert_eq!(Temperature(0.05).apply(&[1e4, -1e4, 1e4]), [0.5, 0.0, 0.5]);
    }

    #[test]
    fn rows_that_say_nothing_leave_logits_as_they_are() {
        let one = Temperature::default();
        assert_eq!(Temperature::fit(&[], 3, &[]), one);
        assert_eq!(Temperature::fit(&[], 0, &[]), one);
        assert_eq!(Temperature::fit(&[2.0, -1.0], 1, &[0, 0]), one);
        assert_eq!(Temperature::fit(&[2.0, 2.0], 2, &[1]), one);
        assert_eq!(Temperature::fit(&[2.0, 1.0], 2, &[u32::MAX]), one);
        assert_eq!(Temperature::fit(&[f32::NAN, 1.0, f32::INFINITY, 1.0], 2, &[0, 1]), one);
    }

    #[test]
    fn the_temperature_stays_within_its_limits() {
        assert_eq!(Temperature::fit(&[3.0, 1.0, 0.0, 2.0], 2, &[0, 1]), Temperature(Temperature::LOWEST));
        assert_eq!(Temperature::fit(&[3.0, 1.0, 0.0, 2.0], 2, &[1, 0]), Temperature(Temperature::HIGHEST));
        assert_eq!(Temperature::fit(&[1e30, -1e30], 2, &[1]), Temperature(Temperature::HIGHEST));
    }

    /// By hand, in bins of a half: .5 wrong | .9 right, .8 wrong, 1 right. Of four rows: (|0 − .5| + |2 − 2.7|) / 4.
    #[test]
    fn calibration_errors_by_hand() {
        let probabilities = [0.5, 0.5, 0.9, 0.1, 0.2, 0.8, 0.0, 1.0];
        let found = expected_calibration_error(&probabilities, 2, &[1, 0, 0, 1], 2);
        assert!((found - 0.3).abs() < 1e-7, "{found}");
        // In one bin, with the first of them right, what is off in one cancels what is off in another: |3 − 3.2| / 4.
        let found = expected_calibration_error(&probabilities, 2, &[0, 0, 0, 1], 1);
        assert!((found - 0.05).abs() < 1e-7, "{found}");
        // In ten each row is alone: (.5 + .1 + .8 + 0) / 4.
        let found = expected_calibration_error(&probabilities, 2, &[1, 0, 0, 1], 10);
        assert!((found - 0.35).abs() < 1e-7, "{found}");
        // A row of no class does not count.
        let found = expected_calibration_error(&probabilities, 2, &[1, 0, u32::MAX, 1], 10);
        assert!((found - 0.2).abs() < 1e-7, "{found}");
        assert_eq!(expected_calibration_error(&[1.0, 1.0], 1, &[0, 0], 15), 0.0);
        assert!(expected_calibration_error(&[], 3, &[], 15).is_nan());
    }
}
