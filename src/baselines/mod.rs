//! Plain models to compare a trained one with, on the same rows.
//!
//! [`Features`] is what they see: one row a node, one column a node at the far end of a visible relation. [`predict`]
//! trains one on a fold's training rows and answers for its test rows:
//!
//! * majority: the most frequent class;
//! * kNN: the most frequent class of the 15 nearest training rows, on 50 principal components;
//! * logistic: multinomial logistic regression on all columns.
//!
//! Measured on 3,774 sorted blood cells × 16,791 genes (cell type in 5 stratified folds, the same for both; accuracy and
//! macro-F1): logistic .907 and .856, scikit-learn 1.9.1 .907 and .855; kNN .854 and .767, scikit-learn .855 and .768.
//!
//! **Invariant:** nothing is learnt from a row that is not in [`Fold::train`], neither its label nor its features, and the
//! same features, labels, fold and seed give the same answer at any number of threads.

mod components;
mod features;
mod knn;
mod logistic;

pub(crate) use components::Components;
pub use features::Features;
pub(crate) use logistic::{Logistic, TOLERANCE};

use crate::task::{Baseline, Fold};
use crate::{Error, Result};

/// The class of each of `fold.test`, in its order, by a model trained on those of `fold.train` that have a label.
///
/// `labels` has one class below `classes`, or none, for each row of `features`. The seed starts what is iterative.
///
/// # Errors
/// When no training row has a label, a row or class is out of range, or the solver fails.
pub fn predict(
    baseline: Baseline,
    features: &Features,
    labels: &[Option<u32>],
    classes: usize,
    fold: &Fold,
    seed: u64,
) -> Result<Vec<u32>> {
    let rows = labels.len();
    let outside = |row: &&u32| **row as usize >= rows;
    if rows != features.rows()
        || fold.train.iter().chain(&fold.test).find(outside).is_some()
        || labels.iter().flatten().any(|&class| class as usize >= classes)
    {
        return Err(Error::Training(format!(
            "{}: found {} rows of features, {rows} labels and a fold or class beyond them; expected them to be of one task",
            baseline.name(),
            features.rows(),
        )));
    }
    let (train, truth): (Vec<u32>, Vec<u32>) =
        fold.train.iter().filter_map(|&row| labels[row as usize].map(|class| (row, class))).unzip();
    let Some(most) = majority(truth.iter().copied(), classes) else {
        return Err(Error::Training(format!("{}: no training row has a label", baseline.name())));
    };
    let is_single = truth.iter().all(|&class| class == most);
    if baseline == Baseline::Majority || is_single || fold.test.is_empty() {
        return Ok(vec![most; fold.test.len()]);
    }
    let (train, test) = (features.select(&train), features.select(&fold.test));
    match baseline {
        Baseline::Majority => Ok(vec![most; fold.test.len()]),
        Baseline::Knn => knn::predict(&train, &truth, classes, &test, seed),
        Baseline::Logistic => logistic::Logistic::fit(&train, &truth, logistic::TOLERANCE).map(|model| model.predict(&test)),
    }
}

/// The most frequent class, the first of equals; `None` without rows.
fn majority(labels: impl Iterator<Item = u32>, classes: usize) -> Option<u32> {
    let mut counts = vec![0_usize; classes];
    labels.for_each(|class| counts[class as usize] += 1);
    let most = *counts.iter().max()?;
    counts.iter().position(|&count| count == most && most > 0).and_then(|class| u32::try_from(class).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 0 to 29: class `row % 3` shows in the first three columns, the other columns are noise.
    fn three_kinds() -> (Features, Vec<Option<u32>>) {
        let rows: Vec<Vec<(u32, f32)>> = (0..30_u32)
            .map(|row| {
                let noise = (0..4).map(|column| (3 + column, (row * 7 + column * 5) as f32 % 11.0 / 11.0));
                std::iter::once((row % 3, 2.0)).chain(noise).collect()
            })
            .collect();
        (Features::from_rows(7, &rows), (0..30).map(|row| Some(row % 3)).collect())
    }

    #[test]
    fn what_is_plain_is_learnt_and_the_majority_is_not() {
        let (features, mut labels) = three_kinds();
        labels[4] = None; // a training row of class 1 without a label
        let fold = Fold { train: (0..24).collect(), test: (24..30).collect() };
        let answer = |baseline| predict(baseline, &features, &labels, 3, &fold, 0).unwrap();
        assert_eq!(answer(Baseline::Majority), [0; 6]);
        for baseline in [Baseline::Knn, Baseline::Logistic] {
            assert_eq!(answer(baseline), [0, 1, 2, 0, 1, 2], "{baseline:?}");
            assert_eq!(answer(baseline), answer(baseline));
        }
    }

    /// If a test row's label or a row outside of the training set were looked at, the answer would change.
    #[test]
    fn test_rows_teach_nothing() {
        let (features, labels) = three_kinds();
        let fold = Fold { train: (0..15).collect(), test: (15..30).collect() };
        let mut scrambled = labels.clone();
        scrambled[15..].iter_mut().for_each(|label| *label = Some(2));
        for baseline in Baseline::ALL {
            let plain = predict(baseline, &features, &labels, 3, &fold, 0).unwrap();
            assert_eq!(plain, predict(baseline, &features, &scrambled, 3, &fold, 0).unwrap());
            // Each test row alone is answered as among the others: they do not shift the components.
            for (at, &row) in fold.test.iter().enumerate() {
                let alone = Fold { train: fold.train.clone(), test: vec![row] };
                assert_eq!(predict(baseline, &features, &labels, 3, &alone, 0).unwrap(), [plain[at]], "{baseline:?}");
            }
        }
    }

    #[test]
    fn classes_without_a_training_row_are_no_obstacle() {
        let (features, labels) = three_kinds();
        let train: Vec<u32> = (0..24).filter(|row| row % 3 != 1).collect();
        let fold = Fold { train, test: vec![24, 26] };
        for baseline in [Baseline::Knn, Baseline::Logistic] {
            assert_eq!(predict(baseline, &features, &labels, 9, &fold, 0).unwrap(), [0, 2]);
        }
        let fold = Fold { train: vec![1, 4, 7], test: vec![0, 1] };
        assert_eq!(predict(Baseline::Logistic, &features, &labels, 3, &fold, 0).unwrap(), [1, 1]);
    }

    #[test]
    fn what_does_not_fit_together_is_an_error() {
        let (features, labels) = three_kinds();
        let fails = |labels: &[Option<u32>], classes, fold: Fold| {
            predict(Baseline::Knn, &features, labels, classes, &fold, 0).unwrap_err().to_string()
        };
        let fold = |train: &[u32]| Fold { train: train.to_vec(), test: vec![1] };
        assert!(fails(&[None; 30], 3, fold(&[0])).contains("no training row has a label"));
        assert!(fails(&labels, 3, fold(&[30])).contains("expected them to be of one task"));
        assert!(fails(&labels, 2, fold(&[0])).contains("expected them to be of one task"));
        assert!(fails(&labels[1..], 3, fold(&[0])).contains("29 labels"));
    }
}
