use linfa_nn::distance::L2Dist;
use linfa_nn::{LinearSearch, NearestNeighbour};
use ndarray::Array2;
use rayon::prelude::*;

use super::components::Components;
use super::{Features, majority};
use crate::{Error, Result};

/// Training rows that vote.
const NEIGHBOURS: usize = 15;
/// Principal components, of the training rows only, on which distances are measured.
const COMPONENTS: usize = 50;

/// The most frequent class of the nearest training rows; of equally frequent ones the first.
///
/// A linear search: on 50 components a tree is no faster.
pub(super) fn predict(train: &Features, truth: &[u32], classes: usize, test: &Features, seed: u64) -> Result<Vec<u32>> {
    let components = Components::fit(train, COMPONENTS, seed)?;
    let (near, asked): (Array2<f64>, Array2<f64>) = (components.project(train), components.project(test));
    if near.ncols() == 0 {
        let most = majority(truth.iter().copied(), classes).unwrap_or_default();
        return Ok(vec![most; test.rows()]); // all training rows are the same
    }
    let failed = |error: &dyn std::fmt::Display| Error::Training(format!("nearest neighbours: {error}"));
    let index = LinearSearch::new().from_batch(&near, L2Dist).map_err(|error| failed(&error))?;
    (0..test.rows())
        .into_par_iter()
        .map(|row| {
            let found = index.k_nearest(asked.row(row), NEIGHBOURS).map_err(|error| failed(&error))?;
            Ok(majority(found.into_iter().map(|(_, row)| truth[row]), classes).unwrap_or_default())
        })
        .collect()
}
