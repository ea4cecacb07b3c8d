use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use relata_schema::{Interval, Strand};

/// Name, base pairs and genes of each contig.
const CONTIGS: [(&str, u64, u64); 3] = [("chrA", 140_000, 156), ("chrB", 120_000, 133), ("chrC", 100_000, 111)];
/// Share of G and C, near that of a human genome.
const GC: f64 = 0.42;
/// Genes of each programme.
pub(super) const PROGRAMME_GENES: usize = 14;

/// One sequence of the genome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contig {
    /// `chrA`
    pub name: String,
    /// Upper-case A, C, G, T.
    pub sequence: String,
}

/// A gene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gene {
    /// `RLDG00000001`
    pub id: String,
    /// `KAV1`; says nothing of what the gene does.
    pub symbol: String,
    /// As GTF has it.
    pub biotype: &'static str,
    /// 0-based, half-open.
    pub locus: Interval,
    /// The programme that it is of, if any.
    pub programme: Option<usize>,
    /// At least one.
    pub transcripts: Vec<Transcript>,
}

/// A transcript of a gene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// `RLDT00000001`
    pub id: String,
    /// `KAV1-201`
    pub name: String,
    /// In the order of the genome, apart from each other; at least one.
    pub exons: Vec<Interval>,
}

impl Gene {
    /// The base, counted from 0, at which transcription starts.
    pub fn start_site(&self) -> u64 {
        match self.locus.strand() {
            Strand::Reverse => self.locus.end() - 1,
            Strand::Forward | Strand::Unknown => self.locus.start(),
        }
    }
}

/// Random bases; motifs are planted later.
pub(super) fn contigs(chance: &mut ChaCha8Rng) -> Vec<Contig> {
    let mut base = || match (chance.random_bool(GC), chance.random::<bool>()) {
        (true, true) => 'G',
        (true, false) => 'C',
        (false, true) => 'A',
        (false, false) => 'T',
    };
    CONTIGS
        .iter()
        .map(|&(name, length, _)| Contig { name: name.to_owned(), sequence: (0..length).map(|_| base()).collect() })
        .collect()
}

/// Genes on equal stretches of their contigs, apart from each other, `programmes` times [`PROGRAMME_GENES`] of them in
/// programmes.
pub(super) fn genes(chance: &mut ChaCha8Rng, programmes: usize) -> Vec<Gene> {
    let total: u64 = CONTIGS.iter().map(|(_, _, genes)| genes).sum();
    let symbols = symbols(chance, total as usize);
    let mut programme_of: Vec<Option<usize>> = (0..total as usize).map(|at| Some(at / PROGRAMME_GENES)).collect();
    programme_of.iter_mut().for_each(|programme| *programme = programme.filter(|&programme| programme < programmes));
    programme_of.shuffle(chance);
    let mut genes = Vec::with_capacity(total as usize);
    let mut transcripts = 0;
    for (contig, length, count) in CONTIGS {
        let stretch = length / count;
        for place in 0..count {
            let span = chance.random_range(250..=600);
            let start = place * stretch + chance.random_range(0..=stretch - span);
            let strand = if chance.random() { Strand::Forward } else { Strand::Reverse };
            let number = genes.len();
            let symbol = symbols[number].clone();
            let programme = programme_of[number];
            let biotype = if programme.is_none() && chance.random_bool(0.15) { "lncRNA" } else { "protein_coding" };
            let mut own = Vec::new();
            for version in 0..chance.random_range(1..=2) {
                transcripts += 1;
                // A second transcript ends earlier in the genome's direction.
                let span = if version == 0 { span } else { span * 4 / 5 };
                let exons = exons(contig, start, span, chance.random_range(1..=3), strand);
                own.push(Transcript { id: format!("RLDT{transcripts:08}"), name: format!("{symbol}-{}", 201 + version), exons });
            }
            let locus = interval(contig, start, start + span, strand);
            genes.push(Gene { id: format!("RLDG{:08}", number + 1), symbol, biotype, locus, programme, transcripts: own });
        }
    }
    genes
}

/// `count` exons and the introns between them, all of about the same length.
fn exons(contig: &str, start: u64, span: u64, count: u64, strand: Strand) -> Vec<Interval> {
    let pieces = 2 * count - 1;
    let edge = |piece: u64| start + span * piece / pieces;
    (0..count).map(|exon| interval(contig, edge(2 * exon), edge(2 * exon + 1), strand)).collect()
}

pub(super) fn interval(contig: &str, start: u64, end: u64, strand: Strand) -> Interval {
    Interval::new(contig, start, end, strand).expect("contigs have names, and every caller adds a length to a start")
}

/// Made-up families of symbols, each of a few members.
fn symbols(chance: &mut ChaCha8Rng, count: usize) -> Vec<String> {
    const CONSONANTS: &[u8] = b"BDFGKLMNPRSTVZ";
    const VOWELS: &[u8] = b"AEIOU";
    let mut families = BTreeSet::new();
    let mut symbols = Vec::with_capacity(count);
    while symbols.len() < count {
        let letters = [CONSONANTS, VOWELS, CONSONANTS].map(|letters| letters.choose(chance).copied().unwrap_or(b'X'));
        let family: String = letters.iter().map(|&letter| char::from(letter)).collect();
        if families.insert(family.clone()) {
            let members = chance.random_range(1..=6);
            symbols.extend((1..=members).map(|member| format!("{family}{member}")));
        }
    }
    symbols.truncate(count);
    symbols.shuffle(chance);
    symbols
}
