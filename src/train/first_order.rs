//! What a seed's own edges say, taken one by one: the linear term, and where identities start.

use serde::{Deserialize, Serialize};

use crate::baselines::{Components, Features, Logistic, TOLERANCE};
use crate::model::Start;
use crate::tokens::{ColumnKind, Context, State, Vocabulary};
use crate::{Error, Result};

/// An edge of a seed: its column, the identity at its far end, and its value, transformed as the schema says but not
/// standardised; 1 where it is no number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    column: u16,
    identity: u32,
    value: f64,
}

/// The entries of a context's seed.
pub(super) fn entries(context: &Context, vocabulary: &Vocabulary) -> Vec<Entry> {
    let seed = context.row_of[context.target as usize];
    let mut entries = Vec::new();
    for row in context.rows.iter().filter(|row| row.is_edge() && row.parents.contains(&seed)) {
        for token in &context.tokens[row.tokens.start as usize..row.tokens.end as usize] {
            let column = &vocabulary.columns[usize::from(token.column)];
            if token.state == State::Shown && token.identity != 0 {
                let value = match column.kind {
                    ColumnKind::Number => f64::from(token.number) * column.deviation + column.mean,
                    _ => 1.0,
                };
                entries.push(Entry { column: token.column, identity: token.identity, value });
            }
        }
    }
    entries
}

/// Multinomial logistic regression on the entries, with an L2 penalty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirstOrder {
    classes: usize,
    /// `[identities + 1, classes]`, the intercept last; −∞ of classes that no training row has is `f32::MIN`.
    weights: Vec<f32>,
}

impl FirstOrder {
    /// Learns from the training rows. An identity that is met by several edges adds up.
    pub(super) fn fit(rows: &[Vec<Entry>], codes: &[u32], classes: usize, identities: usize) -> Result<Self> {
        let sparse: Vec<Vec<(u32, f32)>> =
            rows.iter().map(|row| row.iter().map(|entry| (entry.identity, entry.value as f32)).collect()).collect();
        let fitted = Logistic::fit(&Features::from_rows(identities, &sparse), codes, TOLERANCE)?;
        let (present, learnt) = fitted.into_parts();
        let mut weights = vec![0.0; (identities + 1) * classes];
        for class in 0..classes {
            match present.binary_search(&(class as u32)) {
                Ok(at) => (0..=identities).for_each(|row| weights[row * classes + class] = learnt[[row, at]] as f32),
                Err(_) => weights[identities * classes + class] = f32::MIN,
            }
        }
        Ok(Self { classes, weights })
    }

    /// Whether it has weights for the vocabulary's classes and identities.
    pub(super) fn fits(&self, vocabulary: &Vocabulary) -> bool {
        let classes = vocabulary.target_column().categories.len();
        self.classes == classes && self.weights.len() == (vocabulary.identity_count() + 1) * classes
    }

    /// How many identities it has weights of.
    pub(super) fn identities(&self) -> usize {
        (self.weights.len() / self.classes.max(1)).saturating_sub(1)
    }

    /// The probability of each class.
    pub(super) fn probabilities(&self, row: &[Entry]) -> Vec<f32> {
        let weights = |at: usize| &self.weights[at * self.classes..(at + 1) * self.classes];
        let mut scores: Vec<f64> = weights(self.identities()).iter().map(|&weight| f64::from(weight)).collect();
        for entry in row {
            let own = weights(entry.identity as usize);
            scores.iter_mut().zip(own).for_each(|(score, &weight)| *score += entry.value * f64::from(weight));
        }
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - most).exp()).sum();
        scores.iter().map(|score| ((score - most).exp() / sum) as f32).collect()
    }
}

/// Where identities start, so that the mean over a training row's edges, each weighing its identity by its value, is the
/// row's principal components: centred, each divided by the root of its standard deviation, and of mean square 1 together.
pub(super) fn spectral(rows: &[Vec<Entry>], vocabulary: &Vocabulary, width: usize, seed: u64) -> Result<Start> {
    let identities = vocabulary.identity_count();
    let relative = |entry: &Entry| {
        let column = &vocabulary.columns[usize::from(entry.column)];
        if is_scaled(column.kind, column.mean) { entry.value / column.mean } else { 1.0 }
    };
    let pooled: Vec<Vec<(u32, f32)>> = rows
        .iter()
        .map(|row| row.iter().map(|entry| (entry.identity, (relative(entry) / row.len() as f64) as f32)).collect())
        .collect();
    let features = Features::from_rows(identities, &pooled);
    let components = Components::fit(&features, width, seed)?;
    let projected = components.project(&features);
    let count = projected.ncols();
    let mut scales: Vec<f64> = projected
        .columns()
        .into_iter()
        .map(|column| (column.iter().map(|number| number * number).sum::<f64>() / column.len() as f64).powf(-0.25))
        .collect();
    let square: f64 = projected
        .columns()
        .into_iter()
        .zip(&scales)
        .map(|(column, scale)| column.mapv(|number| (number * scale).powi(2)).sum())
        .sum();
    let overall = (square / (projected.nrows() * count).max(1) as f64).sqrt();
    if count == 0 || !overall.is_finite() || overall <= 0.0 {
        return Err(Error::Training(
            "the training rows' edges are all alike, so that identities have no principal axes; set `model.start = \"random\"`"
                .to_owned(),
        ));
    }
    scales.iter_mut().for_each(|scale| *scale /= overall);
    let mut table = vec![0.0; identities * width];
    for identity in 0..identities {
        for (component, scale) in scales.iter().enumerate() {
            table[identity * width + component] = (components.axes()[[identity, component]] * scale) as f32;
        }
    }
    let mut centre = vec![0.0; width];
    for (component, scale) in scales.iter().enumerate() {
        centre[component] = (-components.mean().dot(&components.axes().column(component)) * scale) as f32;
    }
    let mut met: Vec<u16> = rows.iter().flatten().map(|entry| entry.column).collect();
    met.sort_unstable();
    met.dedup();
    let columns = met
        .into_iter()
        .map(|id| {
            let column = &vocabulary.columns[usize::from(id)];
            let slope = is_scaled(column.kind, column.mean).then(|| (column.deviation / column.mean) as f32);
            (id, slope)
        })
        .collect();
    Ok(Start { identities: table, centre, columns })
}

fn is_scaled(kind: ColumnKind, mean: f64) -> bool {
    kind == ColumnKind::Number && mean > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{SemanticType, VocabularyColumn};

    fn entry(identity: u32, value: f64) -> Entry {
        Entry { column: 0, identity, value }
    }

    fn vocabulary(identities: usize) -> Vocabulary {
        let column = VocabularyColumn {
            transform: relata_schema::Transform::None,
            title: "cell.expresses.gene>count".into(),
            kind: ColumnKind::Number,
            semantic: SemanticType::Number,
            mean: 2.0,
            deviation: 0.5,
            categories: Vec::new(),
            first_category: 0,
        };
        let keys = (0..identities).map(|at| format!("g{at}")).collect();
        Vocabulary { columns: vec![column], target: 0, identities: [("gene".to_owned(), keys)].into() }
    }

    #[test]
    fn probabilities_are_the_softmax_of_weighted_values() {
        // Two identities and the intercept, two classes.
        let term = FirstOrder { classes: 2, weights: vec![0.0, 0.0, 1.0, -1.0, 0.5, 0.0] };
        let found = term.probabilities(&[entry(1, 0.75)]);
        let expected = 1.0 / (1.0 + (-(0.75 + 0.5 + 0.75_f64)).exp());
        assert!((f64::from(found[0]) - expected).abs() < 1e-6, "{found:?}");
        assert!((found[0] + found[1] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_class_that_no_training_row_has_is_never_said() {
        let rows = [vec![entry(1, 1.0)], vec![entry(2, 1.0)], vec![entry(1, 2.0)]];
        let term = FirstOrder::fit(&rows, &[0, 2, 0], 3, 3).unwrap();
        let found = term.probabilities(&[entry(1, 1.0)]);
        assert!(found[0] > found[2] && found[1] == 0.0, "{found:?}");
    }

    /// The mean of the identities that a row weighs by its values, plus the centre, is centred over the rows, its
    /// components are not correlated, and its mean square is 1.
    #[test]
    fn a_spectral_start_makes_a_rows_mean_its_principal_components() {
        let vocabulary = vocabulary(6);
        let mut random = crate::sampler::random::Key::new("spectral", 1).random();
        let mut rows: Vec<Vec<Entry>> = Vec::new();
        for _ in 0..40 {
            let chosen: Vec<u32> = (2..8).filter(|_| random.below(3) > 0).collect();
            rows.push(chosen.iter().map(|&identity| entry(identity, 0.5 + random.below(40) as f64 / 10.0)).collect());
        }
        rows.retain(|row| !row.is_empty());
        let width = 3;
        let start = spectral(&rows, &vocabulary, width, 0).unwrap();
        assert_eq!(start.columns, [(0, Some(0.25))]);
        let pooled: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| {
                let of = |at: usize| -> f64 {
                    let sum: f64 = row
                        .iter()
                        .map(|entry| {
                            // As the embedding has it: identity × (1 + slope × standardised number).
                            let scale = 1.0 + 0.25 * (entry.value - 2.0) / 0.5;
                            f64::from(start.identities[entry.identity as usize * width + at]) * scale
                        })
                        .sum();
                    sum / row.len() as f64 + f64::from(start.centre[at])
                };
                (0..width).map(of).collect()
            })
            .collect();
        let count = pooled.len() as f64;
        let mean = |one: usize, other: Option<usize>| -> f64 {
            pooled.iter().map(|row| row[one] * other.map_or(1.0, |other| row[other])).sum::<f64>() / count
        };
        for one in 0..width {
            assert!(mean(one, None).abs() < 1e-5);
            (0..one).for_each(|other| assert!(mean(one, Some(other)).abs() < 1e-5, "{one} and {other}"));
        }
        let square = (0..width).map(|at| mean(at, Some(at))).sum::<f64>() / width as f64;
        assert!((square - 1.0).abs() < 1e-5, "{square}");
    }
}
