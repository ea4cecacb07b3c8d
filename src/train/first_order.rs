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
