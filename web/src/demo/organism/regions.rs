use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_distr::{Distribution, Normal};
use relata_schema::{Interval, Strand};

use super::chance::rounded;
use super::genome::interval;
use super::{Contig, Gene};

/// Regions in all.
const REGIONS: usize = 600;
/// Share of genes whose promoter is among them.
const WITH_PROMOTER: f64 = 0.6;
/// Base pairs of a motif.
pub(super) const MOTIF: usize = 10;
/// An enhancer acts on genes that start within so many base pairs, the nearer the likelier.
const REACH: u64 = 15_000;
/// Over this distance (bp) the likelihood falls to 1/e.
const DECAY: f64 = 4_000.0;
/// Share of the true links that the file of links reports.
const REPORTED: f64 = 0.85;
/// Wrong links that it reports beside, as a share of the true ones.
const WRONG: f64 = 0.15;

/// A stretch of the genome that acts on genes; written as a peak.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// 0-based, half-open, of no strand.
    pub locus: Interval,
    /// The gene at whose start it lies, by its place; `None` for an enhancer.
    pub promoter_of: Option<usize>,
    /// The programme whose motif stands in its sequence, if any: that of the first gene that an enhancer acts on.
    pub programme: Option<usize>,
    /// narrowPeak's column 7.
    pub signal: f64,
    /// narrowPeak's column 8, as -log10.
    pub p_value: f64,
    /// narrowPeak's column 9, as -log10.
    pub q_value: f64,
    /// narrowPeak's column 10: base pairs from the start.
    pub summit: u64,
}

impl Region {
    /// `chrA:100-250`, as BED tools and the store name it.
    pub fn key(&self) -> String {
        format!("{}:{}-{}", self.locus.contig(), self.locus.start(), self.locus.end())
    }

    fn middle(&self) -> u64 {
        self.locus.start().midpoint(self.locus.end())
    }
}

/// A region acts on a gene.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its place among the regions.
    pub region: usize,
    /// Its place among the genes.
    pub gene: usize,
    /// From the region's middle to where transcription starts, in base pairs.
    pub distance: u64,
    /// How sure the report is, 0 to 1.
    pub score: f64,
}

/// One motif a programme, none like another (or its complement) in more than half of its bases.
pub(super) fn motifs(chance: &mut ChaCha8Rng, count: usize) -> Vec<String> {
    let mut motifs: Vec<Vec<u8>> = Vec::new();
    while motifs.len() < count {
        let motif: Vec<u8> = (0..MOTIF).map(|_| base(chance)).collect();
        let is_like = |other: &[u8]| other.iter().zip(&motif).filter(|(a, b)| a == b).count() > MOTIF / 2;
        if !motifs.iter().any(|known| is_like(known) || is_like(&complement(known))) && !is_like(&complement(&motif)) {
            motifs.push(motif);
        }
    }
    motifs.into_iter().map(text).collect()
}

/// Promoters of most genes, and enhancers between; none overlaps another. Sorted by contig and start.
pub(super) fn regions(chance: &mut ChaCha8Rng, contigs: &[Contig], genes: &[Gene]) -> Vec<Region> {
    let mut loci: Vec<(Interval, Option<usize>)> = Vec::new();
    for (place, gene) in genes.iter().enumerate() {
        let has_promoter = chance.random_bool(WITH_PROMOTER);
        let (site, contig) = (gene.start_site(), gene.locus.contig());
        let (upstream, downstream) = (150, 50);
        let (start, end) = match gene.locus.strand() {
            Strand::Reverse => (site.saturating_sub(downstream - 1), site + 1 + upstream),
            Strand::Forward | Strand::Unknown => (site.saturating_sub(upstream), site + downstream),
        };
        let length = contigs.iter().find(|known| known.name == contig).map_or(0, |contig| contig.sequence.len() as u64);
        let locus = interval(contig, start, end.min(length), Strand::Unknown);
        if has_promoter && loci.last().is_none_or(|(before, _)| !overlap(before, &locus)) {
            loci.push((locus, Some(place)));
        }
    }
    let stretch = 240;
    let places = |contig: &Contig| (0..contig.sequence.len() as u64 / stretch).map(|place| place * stretch).collect::<Vec<_>>();
    let mut places: Vec<(&str, u64)> =
        contigs.iter().flat_map(|contig| places(contig).into_iter().map(|start| (contig.name.as_str(), start))).collect();
    places.shuffle(chance);
    let promoters = loci.len();
    for (contig, start) in places {
        let length = chance.random_range(120..=200);
        let start = start + chance.random_range(0..=stretch - length);
        let locus = interval(contig, start, start + length, Strand::Unknown);
        if loci.len() < REGIONS && !loci[..promoters].iter().any(|(promoter, _)| overlap(promoter, &locus)) {
            loci.push((locus, None));
        }
    }
    loci.sort_by(|(one, _), (other, _)| one.cmp(other));
    loci.into_iter()
        .map(|(locus, promoter_of)| {
            let signal: f64 = chance.random_range(if promoter_of.is_some() { 8.0..20.0 } else { 3.0..12.0 });
            let p_value = signal * chance.random_range(1.5..2.5);
            let summit = locus.length() / 2 + chance.random_range(0..20);
            let (signal, p_value, q_value) = (rounded(signal), rounded(p_value), rounded(p_value * 0.8));
            Region { locus, promoter_of, programme: None, signal, p_value, q_value, summit }
        })
        .collect()
}

fn overlap(one: &Interval, other: &Interval) -> bool {
    one.contig() == other.contig() && one.start() < other.end() && other.start() < one.end()
}

/// What acts on what, in truth: a promoter on its gene, an enhancer on one or two genes near by, of programmes rather
/// than not. The programme of an enhancer is noted in it.
pub(super) fn links(chance: &mut ChaCha8Rng, regions: &mut [Region], genes: &[Gene]) -> Vec<Link> {
    let mut links = Vec::new();
    for (place, region) in regions.iter_mut().enumerate() {
        if let Some(gene) = region.promoter_of {
            let distance = genes[gene].start_site().abs_diff(region.middle());
            links.push(Link { region: place, gene, distance, score: score(chance, 0.9) });
            continue;
        }
        let mut near = near(region, genes);
        let wanted = if chance.random_bool(0.25) { 2 } else { 1 };
        for turn in 0..wanted {
            let weight = |&(gene, distance): &(usize, u64)| {
                let favour = if genes[gene].programme.is_some() { 2.0 } else { 1.0 };
                favour * (-(distance as f64) / DECAY).exp()
            };
            // No gene near by is the only error that there can be.
            let Ok(&(gene, distance)) = near.choose_weighted(chance, weight) else { break };
            near.retain(|&(known, _)| known != gene);
            if turn == 0 {
                region.programme = genes[gene].programme;
            }
            links.push(Link { region: place, gene, distance, score: score(chance, 0.7) });
        }
    }
    links
}

/// What the file of links says: most of the truth, and some that is wrong with lower scores.
pub(super) fn reported(chance: &mut ChaCha8Rng, truth: &[Link], regions: &[Region], genes: &[Gene]) -> Vec<Link> {
    let mut taken: BTreeSet<(usize, usize)> = truth.iter().map(|link| (link.region, link.gene)).collect();
    let mut reported: Vec<Link> = truth.iter().filter(|_| chance.random_bool(REPORTED)).cloned().collect();
    for _ in 0..(truth.len() as f64 * WRONG) as usize {
        let region = chance.random_range(0..regions.len());
        if let Some(&(gene, distance)) = near(&regions[region], genes).choose(chance)
            && taken.insert((region, gene))
        {
            reported.push(Link { region, gene, distance, score: score(chance, 0.4) });
        }
    }
    reported.sort_by_key(|link| (link.region, link.gene));
    reported
}

/// Genes in reach of a region, with their distances.
fn near(region: &Region, genes: &[Gene]) -> Vec<(usize, u64)> {
    let same_contig = |gene: &Gene| gene.locus.contig() == region.locus.contig();
    let distances = genes
        .iter()
        .enumerate()
        .filter(|(_, gene)| same_contig(gene))
        .map(|(at, gene)| (at, gene.start_site().abs_diff(region.middle())));
    distances.filter(|&(_, distance)| distance <= REACH).collect()
}

fn score(chance: &mut ChaCha8Rng, mean: f64) -> f64 {
    let spread: Normal<f64> = Normal::new(mean, 0.12).expect("the spread is finite and not negative");
    rounded(spread.sample(chance).clamp(0.05, 0.999))
}

/// Writes two or three copies of its programme's motif into the sequence of each enhancer, on either strand, one base in
/// twenty of them changed.
pub(super) fn plant(chance: &mut ChaCha8Rng, contigs: &mut [Contig], regions: &[Region], motifs: &[String]) {
    for contig in contigs {
        let mut sequence = std::mem::take(&mut contig.sequence).into_bytes();
        for region in regions.iter().filter(|region| region.locus.contig() == contig.name) {
            let Some(motif) = region.programme.map(|programme| motifs[programme].as_bytes()) else { continue };
            let mut places: Vec<usize> = (0..region.locus.length() as usize / (MOTIF + 2)).collect();
            places.shuffle(chance);
            for place in places.into_iter().take(chance.random_range(2..=3)) {
                let copy = if chance.random() { motif.to_vec() } else { complement(motif) };
                let start = region.locus.start() as usize + place * (MOTIF + 2);
                for (at, letter) in (start..).zip(copy) {
                    sequence[at] = if chance.random_bool(0.05) { base(chance) } else { letter };
                }
            }
        }
        contig.sequence = text(sequence);
    }
}

fn base(chance: &mut ChaCha8Rng) -> u8 {
    b"ACGT"[chance.random_range(0..4)]
}

fn text(bases: Vec<u8>) -> String {
    bases.into_iter().map(char::from).collect()
}

/// The other strand, read in its own direction.
pub(super) fn complement(bases: &[u8]) -> Vec<u8> {
    let paired = |&base: &u8| match base {
        b'A' => b'T',
        b'C' => b'G',
        b'G' => b'C',
        _ => b'A',
    };
    bases.iter().rev().map(paired).collect()
}
