use linfa_linalg::LinalgError;
use linfa_linalg::eigh::{EigSort, Eigh};
use linfa_linalg::qr::QR;
use ndarray::{Array1, Array2, Axis, s};

use super::Features;
use crate::{Error, Result};

/// Vectors that are iterated beyond those that are wanted, and rounds of iteration: scikit-learn's for matrices of this
/// shape (`svd_solver="auto"`).
const OVERSAMPLES: usize = 10;
const ROUNDS: usize = 7;

/// Principal components of sparse rows, without a dense copy of them.
///
/// Subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4) on the centred matrix `C = X − 1 mean`, which is
/// never formed: `C Q = X Q − 1 (mean Q)`. It works on the side of the rows (`C Cᵀ`), which are the fewer, and ends with
/// the exact components within the subspace that was found (Rayleigh and Ritz). Where as many vectors are iterated as
/// there are rows or columns, the components are exact; else the leading ones are and the last are close.
pub(crate) struct Components {
    /// `[columns]`
    mean: Array1<f64>,
    /// `[columns, components]`, orthonormal, by falling variance.
    axes: Array2<f64>,
}

impl Components {
    /// The `count` first components of `rows`, or as many as there can be.
    pub(crate) fn fit(rows: &Features, count: usize, seed: u64) -> Result<Self> {
        let limit = rows.rows().min(rows.columns());
        let width = (count + OVERSAMPLES).min(limit);
        let transposed = rows.transposed();
        let ones = Array2::ones((rows.rows(), 1));
        let mean = transposed.times(ones.view()).remove_axis(Axis(1)) / rows.rows() as f64;
        let failed = |error: LinalgError| Error::Training(format!("principal components: {error}"));
        let inward = |basis: &Array2<f64>| {
            let sums = basis.sum_axis(Axis(0)).insert_axis(Axis(0));
            let centre = mean.view().insert_axis(Axis(1));
            transposed.times(basis.view()) - centre.dot(&sums) // [columns, width]
        };
        let mut basis = random(rows.rows(), width, seed); // [rows, width]
        for _ in 0..ROUNDS {
            let spread = project(rows, &mean, &inward(&basis));
            basis = spread.qr().map_err(failed)?.generate_q();
        }
        let ritz = inward(&basis);
        let (variances, turn) = ritz.t().dot(&ritz).eigh().map_err(failed)?.sort_eig_desc();
        let most = variances.first().copied().unwrap_or_default();
        let kept = variances.iter().take(count).filter(|&&variance| variance > 1e-12 * most).count();
        let mut axes = ritz.dot(&turn.slice(s![.., ..kept]));
        for (mut axis, variance) in axes.columns_mut().into_iter().zip(&variances) {
            axis /= variance.sqrt();
        }
        Ok(Self { mean, axes })
    }

    /// The columns' means: `[columns]`.
    pub(crate) fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// Orthonormal, by falling variance: `[columns, components]`.
    pub(crate) fn axes(&self) -> &Array2<f64> {
        &self.axes
    }

    /// `[rows, components]`
    pub(crate) fn project(&self, rows: &Features) -> Array2<f64> {
        project(rows, &self.mean, &self.axes)
    }
}

/// `(X − 1 mean) axes`
fn project(rows: &Features, mean: &Array1<f64>, axes: &Array2<f64>) -> Array2<f64> {
    rows.times(axes.view()) - mean.dot(axes)
}

/// Numbers between −1 and 1.
fn random(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut bytes = vec![0; rows * columns * 8];
    blake3::Hasher::new_derive_key("relata components 1").update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    let (words, _) = bytes.as_chunks::<8>();
    let numbers = words.iter().map(|&word| i64::from_le_bytes(word) as f64 / -(i64::MIN as f64)).collect();
    Array2::from_shape_vec((rows, columns), numbers).expect("it was made of that shape")
}

#[cfg(test)]
mod tests {
    use linfa::traits::{Fit, Predict};

    use super::*;

    /// Two thirds zeros; columns of falling weight.
    fn rows(count: u32, columns: u32) -> (Features, Array2<f64>) {
        let value = |row: u32, column: u32| {
            let hash = row.wrapping_mul(2_654_435_761).wrapping_add(column.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 8;
            if hash.is_multiple_of(3) { (hash % 1000) as f32 / 100.0 * 0.7_f32.powi(column as i32) } else { 0.0 }
        };
        let sparse: Vec<Vec<(u32, f32)>> = (0..count)
            .map(|row| (0..columns).map(|column| (column, value(row, column))).filter(|entry| entry.1 != 0.0).collect())
            .collect();
        let dense = Array2::from_shape_fn((count as usize, columns as usize), |(row, column)| {
            f64::from(value(row as u32, column as u32))
        });
        (Features::from_rows(columns as usize, &sparse), dense)
    }

    /// linfa-reduction finds the same components of the dense matrix by another method (LOBPCG), up to their sign.
    #[test]
    fn they_are_those_of_linfa() {
        for (count, columns) in [(60, 12), (20, 30), (80, 40)] {
            let (sparse, dense) = rows(count, columns);
            let ours = Components::fit(&sparse, 4, 1).unwrap().project(&sparse);
            let theirs = linfa_reduction::Pca::params(4).fit(&linfa::DatasetBase::from(dense.clone())).unwrap();
            let theirs: Array2<f64> = theirs.predict(&dense);
            for (ours, theirs) in ours.columns().into_iter().zip(theirs.columns()) {
                let sign = ours.dot(&theirs).signum();
                let apart = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours - sign * theirs).abs()).fold(0.0, f64::max);
                assert!(apart < 1e-4, "{count} × {columns}: {apart}");
            }
        }
    }

    #[test]
    fn rows_without_variance_have_no_component() {
        let sparse = Features::from_rows(3, &vec![vec![(0, 1.0), (2, 2.0)]; 5]);
        let found = Components::fit(&sparse, 2, 0).unwrap().project(&sparse);
        assert!(found.iter().all(|number| number.abs() < 1e-9), "{found}");
        let one = Features::from_rows(3, &[vec![(0, 1.0)]]);
        assert_eq!(Components::fit(&one, 2, 0).unwrap().project(&one).nrows(), 1);
    }
}
