use std::collections::BTreeSet;

use relata_schema::Strand;

use super::kinds::{CELL_TYPES, is_kind_of};
use super::regions::complement;
use super::*;

const SEED: u64 = 7;

#[test]
fn a_seed_always_gives_the_same_organism_and_another_seed_another() {
    let organism = Organism::new(SEED);
    assert!(organism == Organism::new(SEED));
    let other = Organism::new(SEED + 1);
    assert_ne!(organism.contigs, other.contigs);
    assert_ne!(organism.cells, other.cells);
}

#[test]
fn it_has_the_size_that_the_demo_expects() {
    let organism = Organism::new(SEED);
    let counts = [organism.genes.len(), organism.regions.len(), organism.cells.len(), organism.programmes.len()];
    assert_eq!(counts, [400, 600, 1_200, 12]);
    assert!(organism.programmes.iter().all(|programme| programme.genes.len() == 14));
    let distinct = |names: BTreeSet<&str>, count: usize| assert_eq!(names.len(), count);
    distinct(organism.genes.iter().map(|gene| gene.id.as_str()).collect(), 400);
    distinct(organism.genes.iter().map(|gene| gene.symbol.as_str()).collect(), 400);
    distinct(organism.cells.iter().map(|cell| cell.barcode.as_str()).collect(), 1_200);
    assert!(organism.withdrawn.iter().all(|(_, symbol)| organism.genes.iter().all(|gene| gene.symbol != *symbol)));
}

#[test]
fn everything_lies_on_its_contig_and_regions_and_genes_do_not_overlap_their_like() {
    let organism = Organism::new(SEED);
    let length = |name: &str| organism.contigs.iter().find(|contig| contig.name == name).unwrap().sequence.len() as u64;
    for loci in [
        organism.genes.iter().map(|gene| &gene.locus).collect::<Vec<_>>(),
        organism.regions.iter().map(|region| &region.locus).collect(),
    ] {
        assert!(loci.iter().all(|locus| locus.length() > 100 && locus.end() <= length(locus.contig())));
        assert!(loci.windows(2).all(|pair| pair[0].contig() != pair[1].contig() || pair[0].end() <= pair[1].start()));
    }
    for gene in &organism.genes {
        for transcript in &gene.transcripts {
            assert!(transcript.exons.iter().all(|exon| exon.start() < exon.end() && exon.strand() == gene.locus.strand()));
            assert!(transcript.exons.windows(2).all(|pair| pair[0].end() < pair[1].start()));
            assert!(transcript.exons[0].start() >= gene.locus.start());
            assert!(transcript.exons.last().unwrap().end() <= gene.locus.end());
        }
    }
    for region in &organism.regions {
        assert!(region.summit < region.locus.length());
        assert_eq!(region.locus.strand(), Strand::Unknown);
        assert_eq!(organism.sequence(region).len() as u64, region.locus.length());
    }
}

/// Of a programme's enhancers most have its motif unchanged; of 10⁶ random places about one has it by chance.
#[test]
fn motifs_stand_in_the_enhancers_of_their_programme_and_hardly_elsewhere() {
    let organism = Organism::new(SEED);
    let has = |sequence: &str, motif: &str| {
        let reverse: String = complement(motif.as_bytes()).into_iter().map(char::from).collect();
        sequence.contains(motif) || sequence.contains(&reverse)
    };
    let (mut own, mut with_own, mut other, mut with_other) = (0, 0, 0, 0);
    for region in &organism.regions {
        for (place, programme) in organism.programmes.iter().enumerate() {
            let found = usize::from(has(organism.sequence(region), &programme.motif));
            if region.programme == Some(place) {
                (own, with_own) = (own + 1, with_own + found);
            } else {
                (other, with_other) = (other + 1, with_other + found);
            }
        }
    }
    assert!(own > 150 && with_own * 10 > own * 8, "{with_own} of {own}");
    assert!(with_other * 200 < other, "{with_other} of {other}");
}

#[test]
fn links_are_near_and_reported_ones_are_mostly_true() {
    let organism = Organism::new(SEED);
    let pairs = |links: &[Link]| links.iter().map(|link| (link.region, link.gene)).collect::<BTreeSet<_>>();
    let (truth, reported) = (pairs(&organism.links), pairs(&organism.reported_links));
    assert_eq!(truth.len(), organism.links.len());
    assert_eq!(reported.len(), organism.reported_links.len());
    let shared = truth.intersection(&reported).count();
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    assert!((0.75..0.95).contains(&share(shared, truth.len())), "{}", share(shared, truth.len()));
    assert!((0.75..0.95).contains(&share(shared, reported.len())), "{}", share(shared, reported.len()));
    for link in organism.links.iter().chain(&organism.reported_links) {
        let (region, gene) = (&organism.regions[link.region], &organism.genes[link.gene]);
        assert_eq!(region.locus.contig(), gene.locus.contig());
        let middle = (region.locus.start() + region.locus.end()) / 2;
        assert_eq!(link.distance, middle.abs_diff(gene.start_site()));
        assert!(link.distance <= 15_000 && link.score > 0.0 && link.score < 1.0);
    }
}

/// A programme's genes make up more of the cells that have it on than of the others, each of the ten that types switch on.
#[test]
fn programmes_are_on_in_their_cells() {
    let organism = Organism::new(SEED);
    for programme in &organism.programmes {
        let Trigger::CellType(ancestor) = programme.trigger else { continue };
        let (mut on, mut off) = ((0.0, 0.0), (0.0, 0.0));
        for cell in &organism.cells {
            let sum = if is_kind_of(cell.cell_type, ancestor) { &mut on } else { &mut off };
            for &(gene, count) in &cell.counts {
                sum.1 += f64::from(count);
                sum.0 += if programme.genes.binary_search(&(gene as usize)).is_ok() { f64::from(count) } else { 0.0 };
            }
        }
        let ratio = (on.0 / on.1) / (off.0 / off.1);
        assert!((1.3..6.0).contains(&ratio), "{}: {ratio}", programme.name);
    }
}

#[test]
fn cells_know_their_type_and_a_few_have_no_label() {
    let organism = Organism::new(SEED);
    let unlabelled = organism.cells.iter().filter(|cell| !cell.is_labelled).count();
    assert!((10..80).contains(&unlabelled), "{unlabelled}");
    let cell = &organism.cells[3];
    assert_eq!(organism.cell_type(&cell.barcode), Some(CELL_TYPES[cell.cell_type].name));
    assert_eq!(organism.cell_type("no such cell"), None);
    let total: f64 = CELL_TYPES.iter().map(|cell_type| cell_type.share).sum();
    assert!((total - 1.0).abs() < 1e-9);
}
