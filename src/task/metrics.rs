//! How good predictions are, as scikit-learn defines it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Share of rows whose predicted class is the true one; NaN where there is no row.
pub fn accuracy(truth: &[u32], predicted: &[u32]) -> f64 {
    let right = truth.iter().zip(predicted).filter(|(truth, predicted)| truth == predicted).count();
    right as f64 / truth.len() as f64
}

/// The mean, without weights, of the F1 of each class that occurs in `truth` or in `predicted`; NaN where there is no
/// row. A class that is never predicted right has an F1 of 0.
pub fn macro_f1(truth: &[u32], predicted: &[u32]) -> f64 {
    let classes = truth.iter().chain(predicted).max().map_or(0, |&most| most as usize + 1);
    let mut right = vec![0_u64; classes];
    // F1 = 2 right / (rows of the class + rows predicted as the class), the harmonic mean of precision and recall.
    let mut occurs = vec![0_u64; classes];
    for (&truth, &predicted) in truth.iter().zip(predicted) {
        occurs[truth as usize] += 1;
        occurs[predicted as usize] += 1;
        if truth == predicted {
            right[truth as usize] += 1;
        }
    }
    let present: Vec<f64> = right
        .iter()
        .zip(&occurs)
        .filter(|&(_, &occurs)| occurs > 0)
        .map(|(&right, &occurs)| 2.0 * right as f64 / occurs as f64)
        .collect();
    present.iter().sum::<f64>() / present.len() as f64
}

/// Coefficient of determination: 1 − (squared error) / (squared distance of `truth` from its mean). Where `truth` does
/// not vary it is 1 for exact predictions and else 0; NaN where there is no row.
pub fn r2(truth: &[f64], predicted: &[f64]) -> f64 {
    if truth.is_empty() {
        return f64::NAN;
    }
    let mean = truth.iter().sum::<f64>() / truth.len() as f64;
    let residual: f64 = truth.iter().zip(predicted).map(|(truth, predicted)| (truth - predicted).powi(2)).sum();
    let total: f64 = truth.iter().map(|truth| (truth - mean).powi(2)).sum();
    match (total > 0.0, residual > 0.0) {
        (true, _) => 1.0 - residual / total,
        (false, true) => 0.0,
        (false, false) => 1.0,
    }
}

/// Mean of the absolute differences, in the target's unit; NaN where there is no row.
pub fn mean_absolute_error(truth: &[f64], predicted: &[f64]) -> f64 {
    truth.iter().zip(predicted).map(|(truth, predicted)| (truth - predicted).abs()).sum::<f64>() / truth.len() as f64
}

/// A measure over folds; shown as `.908 ± .006`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean over folds.
    pub mean: f64,
    /// Standard deviation over folds (of the sample: divided by folds − 1); 0 for a single fold.
    pub deviation: f64,
    /// For each fold, in their order.
    pub folds: Vec<f64>,
}

impl Scores {
    /// From one number a fold.
    pub fn of(folds: Vec<f64>) -> Self {
        let count = folds.len() as f64;
        let mean = folds.iter().sum::<f64>() / count;
        let squares: f64 = folds.iter().map(|fold| (fold - mean).powi(2)).sum();
        let deviation = if folds.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
        Self { mean, deviation, folds }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ± {}", short(self.mean), short(self.deviation))
    }
}

/// Three digits after the point, and no zero before it.
fn short(number: f64) -> String {
    let shown = format!("{number:.3}");
    match shown.strip_prefix("-0.").map(|digits| format!("-.{digits}")) {
        Some(negative) => negative,
        None => shown.strip_prefix("0.").map_or(shown.clone(), |digits| format!(".{digits}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
    }

    /// By hand: class 0 has 2 rows, both found, and one false alarm: F1 = 4/5. Class 1 has 2 rows, one found: 2/3.
    /// Class 2 is predicted and never true, class 4 is true
    /// and never predicted: 0. Class 3 occurs nowhere and does not count.
    #[test]
    fn classes_by_hand() {
        let (truth, predicted) = ([0, 0, 1, 1, 4], [0, 0, 0, 1, 2]);
        close(accuracy(&truth, &predicted), 3.0 / 5.0);
        close(macro_f1(&truth, &predicted), (4.0 / 5.0 + 2.0 / 3.0 + 0.0 + 0.0) / 4.0);
        close(macro_f1(&[7, 7], &[7, 7]), 1.0);
        assert!(accuracy(&[], &[]).is_nan() && macro_f1(&[], &[]).is_nan());
    }

    /// scikit-learn 1.9.1: `truth = [i * i % 7 for i in range(40)]`, `predicted = [i * 3 % 5 for i in range(40)]`;
    /// `accuracy_score` and `f1_score(average="macro")`.
    #[test]
    fn classes_as_scikit_learn_has_them() {
        let truth: Vec<u32> = (0..40).map(|i| i * i % 7).collect();
        let predicted: Vec<u32> = (0..40).map(|i| i * 3 % 5).collect();
        close(accuracy(&truth, &predicted), 0.225);
        close(macro_f1(&truth, &predicted), 0.2013533834586466);
    }

    /// scikit-learn 1.9.1: `truth = [math.sin(i) for i in range(30)]`, `predicted = [t + 0.1 * (i % 4) ...]`;
    /// `r2_score` and `mean_absolute_error`.
    #[test]
    fn numbers_as_scikit_learn_has_them() {
        let truth: Vec<f64> = (0..30).map(|i| f64::from(i).sin()).collect();
        let predicted: Vec<f64> = truth.iter().enumerate().map(|(i, truth)| truth + 0.1 * (i % 4) as f64).collect();
        close(r2(&truth, &predicted), 0.9317581405130737);
        close(mean_absolute_error(&truth, &predicted), 0.14333333333333337);
        close(r2(&[1.0, 1.0], &[1.0, 1.0]), 1.0);
        close(r2(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
        // Worse than the mean: 1 − (9 + 1) / (1 + 1).
        close(r2(&[0.0, 2.0], &[3.0, 1.0]), -4.0);
    }

    #[test]
    fn scores_are_shown_with_their_spread() {
        let scores = Scores::of(vec![0.9, 0.91, 0.92]);
        close(scores.deviation, 0.01);
        assert_eq!(scores.to_string(), ".910 ± .010");
        assert_eq!(Scores::of(vec![1.0]).to_string(), "1.000 ± .000");
        assert_eq!(Scores::of(vec![-0.25, -0.25]).to_string(), "-.250 ± .000");
        assert_eq!(Scores::of(vec![12.0, 13.0]).to_string(), "12.500 ± .707");
    }
}
