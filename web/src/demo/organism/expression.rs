use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_distr::{Distribution, Gamma, LogNormal, Normal, Poisson};

use super::Gene;
use super::chance::{Chance, Part};
use super::kinds::{CELL_TYPES, DONORS, PROGRAMMES, SAMPLED, Trigger, is_kind_of};

/// Cells in all.
const CELLS: usize = 1_200;
/// Share of cells whose type nobody wrote down.
const UNLABELLED: f64 = 0.03;
/// Molecules of a cell: the median, and the spread of its logarithm.
const LIBRARY: (f64, f64) = (420.0, 0.45);
/// Spread of the logarithm of what a gene makes without its programme.
const BASE: f64 = 1.1;
/// What an active programme adds to the logarithm of a gene: mean and spread over genes.
const EFFECT: (f64, f64) = (0.85, 0.35);
/// How active a programme is in a cell that has it on: mean and spread over cells.
const ACTIVITY: (f64, f64) = (1.0, 0.4);
/// Spread of the activity of a programme that is off.
const LEAK: f64 = 0.25;
/// Spread of the logarithm of a gene between donors, and between tissues.
const DONOR: f64 = 0.3;
const TISSUE: f64 = 0.15;
/// Shape of the gamma distribution of a gene's rate: the variance is mean + mean² / shape.
const SHAPE: f64 = 2.0;
/// How likely a gene's molecules are lost from a cell altogether, the more the fewer there are.
const DROPOUT: f64 = 0.25;

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// 16 bases and `-1`, as 10x Genomics has them.
    pub barcode: String,
    /// What it is in truth: a place in [`CELL_TYPES`].
    pub cell_type: usize,
    /// Whether the file says so.
    pub is_labelled: bool,
    /// A place in [`DONORS`].
    pub donor: usize,
    /// A place in [`TISSUES`](super::kinds::TISSUES).
    pub tissue: usize,
    /// Genes (by their places, ascending) and their molecules, never 0.
    pub counts: Vec<(u32, u32)>,
}

/// What decides a gene's share of a cell's molecules, beside the cell.
struct Rates {
    base: Vec<f64>,
    effect: Vec<f64>,
    donor: Vec<Vec<f64>>,
    tissue: Vec<Vec<f64>>,
}

impl Rates {
    fn new(chance: &mut ChaCha8Rng, genes: &[Gene]) -> Self {
        let mut each = |mean: f64, spread: f64| {
            let law = normal(mean, spread);
            genes.iter().map(|_| law.sample(chance)).collect::<Vec<f64>>()
        };
        Self {
            base: each(0.0, BASE),
            effect: each(EFFECT.0, EFFECT.1),
            donor: DONORS.iter().map(|_| each(0.0, DONOR)).collect(),
            tissue: SAMPLED.iter().map(|_| each(0.0, TISSUE)).collect(),
        }
    }
}

fn normal(mean: f64, spread: f64) -> Normal<f64> {
    Normal::new(mean, spread).expect("the spreads are constants, finite and not negative")
}

/// Cells of all types in random order, each drawn from its own stream.
pub(super) fn cells(chance: Chance, genes: &[Gene]) -> Vec<Cell> {
    let mut stream = chance.stream(Part::Expression, 0);
    let rates = Rates::new(&mut stream, genes);
    let mut types = Vec::with_capacity(CELLS);
    for (place, cell_type) in CELL_TYPES.iter().enumerate() {
        types.extend(std::iter::repeat_n(place, (cell_type.share * CELLS as f64).round() as usize));
    }
    types.shuffle(&mut stream);
    let mut barcodes = BTreeSet::new();
    while barcodes.len() < types.len() {
        let bases: String = (0..16).map(|_| char::from(b"ACGT"[stream.random_range(0..4)])).collect();
        barcodes.insert(format!("{bases}-1"));
    }
    let drawn = types.into_iter().zip(barcodes).zip(0..);
    drawn
        .map(|((cell_type, barcode), index)| cell(&mut chance.stream(Part::Cells, index), genes, &rates, cell_type, barcode))
        .collect()
}

fn cell(chance: &mut ChaCha8Rng, genes: &[Gene], rates: &Rates, cell_type: usize, barcode: String) -> Cell {
    let weighted = |chance: &mut ChaCha8Rng, weights: &[f64]| {
        let places: Vec<usize> = (0..weights.len()).collect();
        places.choose_weighted(chance, |&place| weights[place]).copied().unwrap_or(0)
    };
    let donor = weighted(chance, &DONORS.map(|donor| donor.share));
    let place = weighted(chance, &CELL_TYPES[cell_type].places);
    let activities: Vec<f64> = PROGRAMMES
        .iter()
        .map(|&(_, _, trigger)| {
            let is_on = match trigger {
                Trigger::CellType(ancestor) => is_kind_of(cell_type, ancestor),
                Trigger::State(share) => chance.random_bool(share),
            };
            let (mean, spread) = if is_on { ACTIVITY } else { (0.0, LEAK) };
            normal(mean, spread).sample(chance).max(0.0)
        })
        .collect();
    let rate = |(at, gene): (usize, &Gene)| {
        let programme = gene.programme.map_or(0.0, |programme| activities[programme] * rates.effect[at]);
        (rates.base[at] + programme + rates.donor[donor][at] + rates.tissue[place][at]).exp()
    };
    let shares: Vec<f64> = genes.iter().enumerate().map(rate).collect();
    let total: f64 = shares.iter().sum();
    let library = LogNormal::new(LIBRARY.0.ln(), LIBRARY.1).expect("the spread is finite").sample(chance);
    let gamma = Gamma::new(SHAPE, 1.0 / SHAPE).expect("shape and scale are positive");
    let mut counts = Vec::new();
    for (gene, share) in (0..).zip(shares) {
        let mean = library * share / total;
        let is_lost = chance.random_bool(DROPOUT * (-mean).exp());
        let rate = mean * gamma.sample(chance);
        // A rate of 0 or beyond what a Poisson law can hold draws nothing.
        let count = Poisson::new(rate).map_or(0.0, |law| law.sample(chance)) as u32;
        if count > 0 && !is_lost {
            counts.push((gene, count));
        }
    }
    let is_labelled = !chance.random_bool(UNLABELLED);
    Cell { barcode, cell_type, is_labelled, donor, tissue: SAMPLED[place], counts }
}
