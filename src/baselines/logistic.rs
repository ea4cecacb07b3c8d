use std::cell::RefCell;

use argmin::core::{CostFunction, Executor, Gradient, State, TerminationReason, TerminationStatus};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use super::Features;
use crate::{Error, Result};

/// Training ends where the gradient of the mean loss is shorter than this: scikit-learn's `tol`.
pub(crate) const TOLERANCE: f64 = 1e-4;
/// Steps of the solver at most; ten times scikit-learn's, which stops early on unscaled counts.
const STEPS: u64 = 1000;
/// Past steps that L-BFGS remembers, as scikit-learn's and linfa's do.
const MEMORY: usize = 10;

/// Logistic regression with an L2 penalty: scikit-learn's `LogisticRegression(C=1.0)`.
///
/// It minimises `Σ −ln p(class of the row) + α/2 Σ W²`, the intercept not being penalised, with `p = softmax(X W + b)` and
/// `α = 1/C = 1`. For two classes scikit-learn fits a single vector `w`, which is the same with `W = (−w/2, w/2)` and
/// `α = 2`. This is linfa-logistic's objective and its solver (argmin's L-BFGS), but on sparse rows, since a dense copy of
/// cells × genes would be six times as large and as slow.
pub(crate) struct Logistic {
    /// The class of each column of `weights`: those that the training rows have, ascending.
    classes: Vec<u32>,
    /// `[columns + 1, classes]`; the last row is the intercept.
    weights: Array2<f64>,
}

impl Logistic {
    /// `tolerance` bounds the length of the mean loss's gradient.
    pub(crate) fn fit(rows: &Features, truth: &[u32], tolerance: f64) -> Result<Self> {
        let mut classes = truth.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let place = |class: &u32| classes.binary_search(class).unwrap_or_default();
        let loss = Loss {
            rows,
            transposed: rows.transposed(),
            truth: truth.iter().map(place).collect(),
            classes: classes.len(),
            penalty: if classes.len() == 2 { 2.0 } else { 1.0 },
            last: RefCell::default(),
        };
        let start = Array1::zeros((rows.columns() + 1) * classes.len());
        let failed = |error: argmin::core::Error| Error::Training(format!("logistic regression: {error}"));
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(tolerance * rows.rows() as f64)
            .map_err(failed)?;
        let solved = Executor::new(loss, solver).configure(|state| state.param(start).max_iters(STEPS)).run().map_err(failed)?;
        tracing::debug!(steps = solved.state.get_iter(), loss = solved.state.get_best_cost(), "logistic regression");
        if let TerminationStatus::Terminated(TerminationReason::MaxItersReached) = solved.state.get_termination_status() {
            tracing::warn!(steps = STEPS, "logistic regression did not converge");
        }
        let weights =
            solved.state.best_param.ok_or_else(|| Error::Training("logistic regression: no step was made".to_owned()))?;
        let weights = shaped(&weights, classes.len()).to_owned();
        Ok(Self { classes, weights })
    }

    /// The classes that the training rows have, ascending, and for each column and the intercept one weight a class:
    /// `[columns + 1, classes]`.
    pub(crate) fn into_parts(self) -> (Vec<u32>, Array2<f64>) {
        (self.classes, self.weights)
    }

    /// `[rows, classes]`: logarithms of probabilities, up to a constant a row.
    fn scores(&self, rows: &Features) -> Array2<f64> {
        scores(rows, self.weights.view())
    }

    /// The most probable class of each row, the first of equals.
    pub(super) fn predict(&self, rows: &Features) -> Vec<u32> {
        let best = |row: ndarray::ArrayView1<'_, f64>| {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter().position(|&score| score == most).unwrap_or_default()
        };
        self.scores(rows).rows().into_iter().map(|row| self.classes[best(row)]).collect()
    }
}

/// The parameters as `[columns + 1, classes]`.
fn shaped(weights: &Array1<f64>, classes: usize) -> ArrayView2<'_, f64> {
    weights.view().into_shape_with_order((weights.len() / classes, classes)).expect("there are (columns + 1) × classes of them")
}

fn scores(rows: &Features, weights: ArrayView2<'_, f64>) -> Array2<f64> {
    let (weights, intercept) = weights.split_at(Axis(0), rows.columns());
    rows.times(weights) + intercept
}

/// What is minimised.
struct Loss<'f> {
    rows: &'f Features,
    transposed: Features,
    /// For each row the place of its class.
    truth: Vec<usize>,
    classes: usize,
    penalty: f64,
    /// The solver asks for loss and gradient of one point in two calls; both come from the probabilities there.
    last: RefCell<Point>,
}

#[derive(Default)]
struct Point {
    weights: Array1<f64>,
    /// `[rows, classes]`
    probabilities: Array2<f64>,
    loss: f64,
}

impl Loss<'_> {
    fn visit(&self, weights: &Array1<f64>) {
        if self.last.borrow().weights == weights {
            return;
        }
        let mut probabilities = scores(self.rows, shaped(weights, self.classes));
        let mut loss = 0.0;
        for (mut row, &class) in probabilities.rows_mut().into_iter().zip(&self.truth) {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own = row[class] - most;
            row.mapv_inplace(|score| (score - most).exp());
            let sum = row.sum();
            loss += sum.ln() - own;
            row /= sum;
        }
        let slopes = &weights.as_slice().unwrap_or_default()[..self.rows.columns() * self.classes];
        loss += 0.5 * self.penalty * slopes.iter().map(|weight| weight * weight).sum::<f64>();
        *self.last.borrow_mut() = Point { weights: weights.clone(), probabilities, loss };
    }
}

impl CostFunction for Loss<'_> {
    type Param = Array1<f64>;
    type Output = f64;

    fn cost(&self, weights: &Array1<f64>) -> Result<f64, argmin::core::Error> {
        self.visit(weights);
        Ok(self.last.borrow().loss)
    }
}

impl Gradient for Loss<'_> {
    type Param = Array1<f64>;
    type Gradient = Array1<f64>;

    /// `Xᵀ (p − truth) + α W`, and for the intercept the sums of `p − truth`.
    fn gradient(&self, weights: &Array1<f64>) -> Result<Array1<f64>, argmin::core::Error> {
        self.visit(weights);
        let mut errors = self.last.borrow().probabilities.clone();
        for (mut row, &class) in errors.rows_mut().into_iter().zip(&self.truth) {
            row[class] -= 1.0;
        }
        let columns = self.rows.columns();
        let mut gradient = Array2::zeros((columns + 1, self.classes));
        let slopes = shaped(weights, self.classes);
        let pull = &slopes.slice(s![..columns, ..]) * self.penalty;
        gradient.slice_mut(s![..columns, ..]).assign(&(self.transposed.times(errors.view()) + pull));
        gradient.row_mut(columns).assign(&errors.sum_axis(Axis(0)));
        Ok(gradient.flatten().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use linfa::Dataset;
    use linfa::traits::Fit;
    use linfa_logistic::{LogisticRegression, MultiLogisticRegression};

    use super::*;

    /// Classes that overlap: the class shows in two of the columns and the rest is noise.
    fn overlapping(count: u32, classes: u32) -> (Features, Array2<f64>, Vec<u32>) {
        let columns = 8;
        let value = |row: u32, column: u32| {
            let hash = row.wrapping_mul(2_654_435_761).wrapping_add(column.wrapping_mul(97_003)).wrapping_mul(2_246_822_519) >> 9;
            let noise = (hash % 100) as f32 / 50.0;
            if column == row % classes {
                noise + 0.6
            } else if hash.is_multiple_of(2) {
                noise
            } else {
                0.0
            }
        };
        let sparse: Vec<Vec<(u32, f32)>> =
            (0..count).map(|row| (0..columns).map(|column| (column, value(row, column))).collect()).collect();
        let dense = Array2::from_shape_fn((count as usize, columns as usize), |(row, column)| {
            f64::from(value(row as u32, column as u32))
        });
        (Features::from_rows(columns as usize, &sparse), dense, (0..count).map(|row| row % classes).collect())
    }

    fn probabilities(model: &Logistic, rows: &Features) -> Array2<f64> {
        let mut scores = model.scores(rows);
        for mut row in scores.rows_mut() {
            row.mapv_inplace(f64::exp);
            let sum = row.sum();
            row /= sum;
        }
        scores
    }

    #[test]
    fn the_fit_is_that_of_linfa_on_dense_rows() {
        let (sparse, dense, truth) = overlapping(90, 3);
        let ours = probabilities(&Logistic::fit(&sparse, &truth, 1e-9).unwrap(), &sparse);
        let data = Dataset::new(dense.clone(), Array1::from(truth));
        let theirs = MultiLogisticRegression::default().alpha(1.0).gradient_tolerance(1e-7).max_iterations(1000);
        let theirs = theirs.fit(&data).unwrap().predict_probabilities(&dense);
        let apart = (&ours - &theirs).iter().fold(0.0_f64, |most, apart| most.max(apart.abs()));
        assert!(apart < 1e-6, "{apart}");
        // The penalty matters: linfa with another one is far away.
        let data = Dataset::new(dense.clone(), Array1::from_iter((0..90).map(|row| row % 3)));
        let other = MultiLogisticRegression::default().alpha(0.1).max_iterations(1000).fit(&data).unwrap();
        let apart = (&ours - &other.predict_probabilities(&dense)).iter().fold(0.0_f64, |most, apart| most.max(apart.abs()));
        assert!(apart > 1e-2, "{apart}");
    }

    #[test]
    fn two_classes_are_fitted_as_one_vector() {
        let (sparse, dense, truth) = overlapping(60, 2);
        let ours = probabilities(&Logistic::fit(&sparse, &truth, 1e-9).unwrap(), &sparse);
        let data = Dataset::new(dense.clone(), Array1::from(truth));
        let theirs = LogisticRegression::default().alpha(1.0).gradient_tolerance(1e-7).max_iterations(1000).fit(&data).unwrap();
        let positive = theirs.labels().pos.class as usize;
        let theirs = theirs.predict_probabilities(&dense);
        for (ours, theirs) in ours.column(positive).iter().zip(&theirs) {
            assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let (rows, _, truth) = overlapping(30, 3);
        let loss = Loss {
            rows: &rows,
            transposed: rows.transposed(),
            truth: truth.iter().map(|&class| class as usize).collect(),
            classes: 3,
            penalty: 1.0,
            last: RefCell::default(),
        };
        let point = Array1::from_shape_fn(27, |at| (at as f64).sin());
        let gradient = loss.gradient(&point).unwrap();
        for at in 0..27 {
            let moved = |by: f64| {
                let mut point = point.clone();
                point[at] += by;
                loss.cost(&point).unwrap()
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - gradient[at]).abs() < 1e-6, "{at}: {slope} {}", gradient[at]);
        }
    }
}
