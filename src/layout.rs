//! A picture of an embedding for the eye: two numbers a row.
//!
//! Up to [`MOST_ROWS`] rows it is t-SNE (van der Maaten 2014, by the crate `bhtsne`), started from the first two principal
//! components as Kobak and Berens (2019) advise, so that what is far apart tends to stay so. Beyond, it is those two
//! components alone, which take seconds at any size.
//!
//! What to read from it: which rows are near each other. Not: distances between groups, nor their sizes.

use bhtsne::{Neighbor, tSNE};
use linfa_linalg::eigh::{EigSort, Eigh};
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::progress;
use crate::{Error, Result};

/// Beyond so many rows the layout is that of the principal components.
pub const MOST_ROWS: usize = 20_000;

/// Neighbours whose distances count; scikit-learn's.
const PERPLEXITY: f32 = 30.0;
/// Below so few rows there are not three times as many neighbours as the perplexity asks for.
const FEWEST_ROWS: usize = 3 * PERPLEXITY as usize + 2;
/// Steps; in the first 250 of them attraction is exaggerated.
const STEPS: usize = 750;
/// How coarsely far points are lumped together (Barnes and Hut); 0 would be exact.
const THETA: f32 = 0.5;
/// Standard deviation of the start along its longer side; scikit-learn's and openTSNE's.
const START: f64 = 1e-4;

/// `count × 2` numbers for `count × dimension` vectors, both row-major. Equal input and seed give an equal picture at any
/// number of threads.
///
/// The seed parts rows that are equal, by a hundredth of the start's spread.
///
/// # Errors
/// When `vectors` is no whole number of rows, or holds a number that is not finite.
pub fn layout(vectors: &[f32], dimension: usize, seed: u64, quiet: bool) -> Result<Vec<f32>> {
    if dimension == 0 || !vectors.len().is_multiple_of(dimension) {
        return Err(Error::Setting {
            setting: "layout".to_owned(),
            found: format!("{} numbers", vectors.len()),
            expected: format!("rows of {dimension}, and at least 1 number a row"),
        });
    }
    if let Some(at) = vectors.iter().position(|number| !number.is_finite()) {
        return Err(Error::Setting {
            setting: "layout".to_owned(),
            found: format!("{} in row {}", vectors[at], at / dimension),
            expected: "finite numbers".to_owned(),
        });
    }
    let count = vectors.len() / dimension;
    let rows = ArrayView2::from_shape((count, dimension), vectors).expect("count × dimension is their length");
    let plane = principal_plane(rows)?;
    if !(FEWEST_ROWS..=MOST_ROWS).contains(&count) {
        return Ok(plane.iter().map(|&number| number as f32).collect());
    }
    let start = started(&plane, seed);
    let neighbours = neighbours(rows, 3 * PERPLEXITY as usize);
    let bar = progress::bar("layout", STEPS as u64, "steps", quiet);
    // One thread: sums that several threads share would come in another order each time, and t-SNE enlarges such
    // differences until they are seen.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let alone = alone.map_err(|error| Error::Training(format!("layout: cannot start a thread: {error}")))?;
    let indices: Vec<usize> = (0..count).collect();
    let picture = alone.install(|| {
        let shown = bar.clone();
        let mut tsne: tSNE<'_, f32, usize> = tSNE::new(&indices);
        tsne.perplexity(PERPLEXITY).epochs(STEPS).initial_embedding(start).epoch_callback(move |_, _| shown.inc(1));
        tsne.barnes_hut_with_neighbors(THETA, &neighbours).embedding()
    });
    bar.finish_and_clear();
    Ok(picture)
}

/// The first two principal components, `[rows, 2]`; 0 where there is none. Of either sign of a component the one is taken
/// in which its largest weight is positive.
fn principal_plane(rows: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
    let mut plane = Array2::zeros((rows.nrows(), 2));
    let Some(mean) = rows.mapv(f64::from).mean_axis(Axis(0)) else { return Ok(plane) };
    let centred = rows.mapv(f64::from) - mean;
    let found = centred.t().dot(&centred).eigh().map_err(|error| Error::Training(format!("layout: {error}")))?;
    let (_, axes) = found.sort_eig_desc();
    for (at, axis) in axes.columns().into_iter().take(2).enumerate() {
        let largest = axis.iter().copied().fold(0.0, |most: f64, weight| if weight.abs() > most.abs() { weight } else { most });
        plane.column_mut(at).assign(&(centred.dot(&axis) * largest.signum()));
    }
    Ok(plane)
}

/// The plane, small, with a little of the seed in it.
fn started(plane: &Array2<f64>, seed: u64) -> Vec<f32> {
    let spread = plane.column(0).std(0.0);
    let scale = if spread > 0.0 { START / spread } else { 0.0 };
    let mut bytes = vec![0; plane.len() * 4];
    blake3::Hasher::new_derive_key("relata layout 1").update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    let (words, _) = bytes.as_chunks::<4>();
    let jitter = words.iter().map(|&word| f64::from(i32::from_le_bytes(word)) / f64::from(i32::MAX));
    plane.iter().zip(jitter).map(|(number, jitter)| (number * scale + jitter * START * 0.01) as f32).collect()
}

/// The `count` nearest rows of each but itself, nearest first, equally near ones by number. Every pair is compared.
fn neighbours(rows: ArrayView2<'_, f32>, count: usize) -> Vec<Vec<Neighbor<f32>>> {
    /// Rows whose distances are held at a time by one thread.
    const BLOCK: usize = 64;
    let squares: Vec<f32> = rows.rows().into_iter().map(|row| row.dot(&row)).collect();
    let firsts: Vec<usize> = (0..rows.nrows()).step_by(BLOCK).collect();
    let blocks = firsts.into_par_iter().map(|first| {
        let block = rows.slice(s![first..(first + BLOCK).min(rows.nrows()), ..]);
        let products = block.dot(&rows.t()); // [block, rows]
        let nearest = products.rows().into_iter().enumerate().map(|(at, products)| {
            let own = first + at;
            let mut found: Vec<(f32, usize)> = (0..rows.nrows())
                .filter(|&other| other != own)
                .map(|other| ((squares[own] + squares[other] - 2.0 * products[other]).max(0.0), other))
                .collect();
            let order = |one: &(f32, usize), other: &(f32, usize)| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1));
            if count < found.len() {
                found.select_nth_unstable_by(count, order);
                found.truncate(count);
            }
            found.sort_unstable_by(order);
            found.into_iter().map(|(square, index)| Neighbor { index, distance: square.sqrt() }).collect()
        });
        nearest.collect::<Vec<_>>()
    });
    blocks.collect::<Vec<_>>().into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four clouds in eight dimensions; a row's cloud is its number modulo 4.
    fn clouds(count: usize) -> Vec<f32> {
        let noise = |row: usize, column: usize| {
            let hash = (row as u32).wrapping_mul(2_654_435_761).wrapping_add((column as u32).wrapping_mul(97_003));
            (hash.wrapping_mul(2_246_822_519) >> 16) as f32 / 65_536.0
        };
        (0..count)
            .flat_map(|row| (0..8).map(move |column| noise(row, column) + if column == row % 4 { 3.0 } else { 0.0 }))
            .collect()
    }

    #[test]
    fn near_rows_are_near_in_the_picture() {
        let vectors = clouds(400);
        let picture = layout(&vectors, 8, 7, true).unwrap();
        assert_eq!(picture.len(), 800);
        let points: Vec<&[f32]> = picture.chunks(2).collect();
        let apart = |one: usize, other: usize| (points[one][0] - points[other][0]).hypot(points[one][1] - points[other][1]);
        for row in 0..400 {
            let nearest =
                (0..400).filter(|&other| other != row).min_by(|&a, &b| apart(row, a).total_cmp(&apart(row, b))).unwrap();
            assert_eq!(nearest % 4, row % 4, "row {row} lies beside row {nearest}");
        }
    }

    #[test]
    fn it_is_the_same_every_time() {
        let vectors = clouds(200);
        let picture = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| layout(&vectors, 8, seed, true).unwrap())
        };
        assert_eq!(picture(1, 7), picture(3, 7));
        assert_ne!(picture(1, 7), picture(1, 8));
    }

    /// By hand: points on a line along (3, 4), so that the first component is the distance from the mean and the second 0.
    #[test]
    fn few_rows_are_shown_on_their_principal_plane() {
        let picture = layout(&[0.0, 0.0, 3.0, 4.0, 6.0, 8.0], 2, 0, true).unwrap();
        for (found, expected) in picture.iter().zip([-5.0, 0.0, 0.0, 0.0, 5.0, 0.0]) {
            assert!((found - expected).abs() < 1e-5, "{picture:?}");
        }
        assert_eq!(layout(&[], 3, 0, true).unwrap(), [0.0; 0]);
        assert_eq!(layout(&[2.0; 6], 3, 0, true).unwrap(), [0.0; 4]);
        assert_eq!(layout(&[1.0, 2.0], 1, 0, true).unwrap(), [-0.5, 0.0, 0.5, 0.0]);
    }

    #[test]
    fn equal_rows_are_no_obstacle() {
        let picture = layout(&[1.0; 600], 3, 0, true).unwrap();
        assert!(picture.len() == 400 && picture.iter().all(|number| number.is_finite()));
    }

    #[test]
    fn what_is_no_matrix_is_an_error() {
        let message = layout(&[1.0; 5], 2, 0, true).unwrap_err().to_string();
        assert!(message.contains("found 5 numbers, expected rows of 2"), "{message}");
        assert!(layout(&[], 0, 0, true).is_err());
        let message = layout(&[1.0, 2.0, f32::NAN, 1.0], 2, 0, true).unwrap_err().to_string();
        assert!(message.contains("NaN in row 1"), "{message}");
    }

    #[test]
    fn neighbours_are_as_near_as_those_of_a_full_sort() {
        let vectors = clouds(150);
        let rows = ArrayView2::from_shape((150, 8), &vectors).unwrap();
        for (own, found) in neighbours(rows, 10).iter().enumerate() {
            let square = |other: usize| rows.row(own).iter().zip(rows.row(other)).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
            let mut all: Vec<f32> = (0..150).filter(|&other| other != own).map(square).collect();
            all.sort_by(f32::total_cmp);
            assert_eq!(found.len(), 10);
            for (neighbour, expected) in found.iter().zip(&all) {
                assert_ne!(neighbour.index, own);
                // The square of a difference and the difference of squares are rounded differently.
                assert!(
                    (square(neighbour.index) - expected).abs() < 1e-4 && (neighbour.distance.powi(2) - expected).abs() < 1e-4
                );
            }
        }
    }
}
