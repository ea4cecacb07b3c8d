use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand_distr::{Distribution, Normal};

use super::Gene;
use super::chance::rounded;

/// How likely two genes of one programme interact.
const WITHIN: f64 = 0.25;
/// Interactions of other genes.
const ELSEWHERE: usize = 300;
/// Share of a programme's genes that are annotated with it.
const ANNOTATED: f64 = 0.8;
/// Genes that are annotated with a programme in which they are not.
const WRONGLY_ANNOTATED: usize = 20;
/// Symbols of no gene: withdrawn since somebody wrote them down.
const WITHDRAWN: [&str; 5] = ["XUX1", "XUX2", "QAQ1", "QAQ2", "QAQ3"];

/// The products of two genes bind each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Interaction {
    /// Its place among the genes, before `second`.
    pub first: usize,
    /// Its place among the genes.
    pub second: usize,
    /// 0 to 1.
    pub score: f64,
}

/// Many within programmes, some between any two genes; each pair once.
pub(super) fn interactions(chance: &mut ChaCha8Rng, genes: &[Gene]) -> Vec<Interaction> {
    let mut pairs = BTreeSet::new();
    for (second, gene) in genes.iter().enumerate() {
        for (first, other) in genes[..second].iter().enumerate() {
            if gene.programme.is_some() && gene.programme == other.programme && chance.random_bool(WITHIN) {
                pairs.insert((first, second));
            }
        }
    }
    for _ in 0..ELSEWHERE {
        let (one, other) = (chance.random_range(0..genes.len()), chance.random_range(0..genes.len()));
        if one != other {
            pairs.insert((one.min(other), one.max(other)));
        }
    }
    let spread: Normal<f64> = Normal::new(0.6, 0.15).expect("the spread is finite and not negative");
    let mut score = || rounded(spread.sample(chance).clamp(0.05, 0.999));
    pairs.into_iter().map(|(first, second)| Interaction { first, second, score: score() }).collect()
}

/// Rows of the file of interactions that name a gene by a symbol that no gene has: a gene, and that symbol.
pub(super) fn withdrawn(chance: &mut ChaCha8Rng, genes: &[Gene]) -> Vec<(usize, &'static str)> {
    WITHDRAWN.iter().map(|&symbol| (chance.random_range(0..genes.len()), symbol)).collect()
}

/// Gene and programme, as the file of programmes has them: most of the truth, and some that is wrong.
pub(super) fn annotations(chance: &mut ChaCha8Rng, genes: &[Gene], programmes: usize) -> Vec<(usize, usize)> {
    let mut annotations = BTreeSet::new();
    for (place, gene) in genes.iter().enumerate() {
        if let Some(programme) = gene.programme
            && chance.random_bool(ANNOTATED)
        {
            annotations.insert((place, programme));
        }
    }
    let others: Vec<usize> = (0..genes.len()).filter(|&place| genes[place].programme.is_none()).collect();
    for _ in 0..WRONGLY_ANNOTATED {
        if let Some(&gene) = others.choose(chance) {
            annotations.insert((gene, chance.random_range(0..programmes)));
        }
    }
    annotations.into_iter().collect()
}
