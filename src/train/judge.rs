//! How good answers are.

use std::collections::BTreeMap;

use super::Answer;
use crate::task::Labels;
use crate::task::calibration::expected_calibration_error;
use crate::task::metrics::{accuracy, macro_f1, mean_absolute_error, r2};

/// Bins of the expected calibration error.
const BINS: usize = 15;

/// The scores of what was said of rows, by the names that tasks have for them, and how far probabilities are off. Rows whose
/// label is not known do not count.
pub fn scores(labels: &Labels, rows: &[u32], answers: &[Answer]) -> BTreeMap<&'static str, f64> {
    match labels {
        Labels::Classes { names, codes } => {
            let (mut truth, mut found, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
            for (&row, answer) in rows.iter().zip(answers) {
                if let (Some(code), Some(class), Answer::Classes(said)) = (codes[row as usize], answer.class(), answer) {
                    truth.push(code);
                    found.push(class);
                    probabilities.extend_from_slice(said);
                }
            }
            BTreeMap::from([
                ("accuracy", accuracy(&truth, &found)),
                ("macro_f1", macro_f1(&truth, &found)),
                ("expected_calibration_error", expected_calibration_error(&probabilities, names.len(), &truth, BINS)),
            ])
        }
        Labels::Numbers(numbers) => {
            let known = rows.iter().zip(answers).filter_map(|(&row, answer)| match answer {
                Answer::Number(number) => Some((numbers[row as usize]?, *number)),
                Answer::Classes(_) => None,
            });
            let (truth, found): (Vec<f64>, Vec<f64>) = known.unzip();
            BTreeMap::from([("r2", r2(&truth, &found)), ("mean_absolute_error", mean_absolute_error(&truth, &found))])
        }
    }
}

/// How well edges are told from pairs that are none.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Told {
    /// Edges.
    pub edges: usize,
    /// Negatives of each.
    pub negatives: usize,
    /// The probability that an edge scores higher than one of its negatives; half of it where they are equal.
    pub higher: f64,
    /// The mean over edges of 1 / the place of the edge among itself and its negatives; of equals it is the last.
    pub reciprocal_rank: f64,
}

impl Told {
    /// For each edge its score, and those of its negatives. Edges that have none do not count.
    pub(super) fn of(scores: &[Vec<f32>]) -> Self {
        let known: Vec<(f32, &[f32])> =
            scores.iter().filter_map(|scores| scores.split_first()).map(|(score, negatives)| (*score, negatives)).collect();
        let pairs: usize = known.iter().map(|(_, negatives)| negatives.len()).sum();
        let count = |(score, negatives): &(f32, &[f32]), is: &dyn Fn(f32, f32) -> bool| {
            negatives.iter().filter(|negative| is(**negative, *score)).count() as f64
        };
        let higher: f64 =
            known.iter().map(|edge| count(edge, &|one, other| one < other) + 0.5 * count(edge, &|one, other| one == other)).sum();
        let ranks: f64 = known.iter().map(|edge| 1.0 / (1.0 + count(edge, &|one, other| one >= other))).sum();
        Self {
            edges: known.len(),
            negatives: pairs / known.len().max(1),
            higher: higher / pairs as f64,
            reciprocal_rank: ranks / known.len() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: the first edge is above both of its negatives, the second below one and equal to the other.
    #[test]
    fn edges_by_hand() {
        let told = Told::of(&[vec![3.0, 1.0, 2.0], vec![1.0, 1.0, 5.0], vec![]]);
        assert_eq!(told, Told { edges: 2, negatives: 2, higher: 2.5 / 4.0, reciprocal_rank: (1.0 + 1.0 / 3.0) / 2.0 });
        assert!(Told::of(&[]).higher.is_nan());
    }

    #[test]
    fn rows_without_a_label_do_not_count() {
        let labels = Labels::Classes { names: ["a", "b"].map(String::from).to_vec(), codes: vec![Some(0), None, Some(1)] };
        let answers = [[0.75, 0.25], [0.5, 0.5], [0.75, 0.25]].map(|said| Answer::Classes(said.to_vec()));
        let found = scores(&labels, &[0, 1, 2], &answers);
        assert_eq!((found["accuracy"], found["expected_calibration_error"]), (0.5, 0.25));
        let found = scores(&Labels::Numbers(vec![Some(1.0), None]), &[1, 0], &[Answer::Number(9.0), Answer::Number(3.0)]);
        assert_eq!(found["mean_absolute_error"], 2.0);
    }
}
