//! A made-up organism whose truth is known: what is learnt from its files can be checked against it.
//!
//! Nothing of it is of a real species; ids of genes, cell types and tissues are none of the real ontologies'.

mod chance;
mod expression;
mod genome;
pub mod kinds;
mod network;
mod regions;

pub use expression::Cell;
pub use genome::{Contig, Gene, Transcript};
pub use kinds::{CellType, Donor, Tissue, Trigger};
pub use network::Interaction;
pub use regions::{Link, Region};

use chance::{Chance, Part};

/// Genes that are made together, and the motif of the enhancers that make them so.
#[derive(Clone, Debug, PartialEq)]
pub struct Programme {
    /// `PROGRAMME:03`
    pub id: &'static str,
    /// `T cell programme`
    pub name: &'static str,
    /// Which cells have it on.
    pub trigger: Trigger,
    /// The programme that is on in a wider set of cells, if any: its place.
    pub parent: Option<usize>,
    /// Places of its genes, ascending.
    pub genes: Vec<usize>,
    /// Bases that stand in the sequence of its enhancers, two or three times.
    pub motif: String,
}

/// Everything that is true of the organism, and what its files say of it where that is not the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Organism {
    /// From which everything follows.
    pub seed: u64,
    /// The genome.
    pub contigs: Vec<Contig>,
    /// In the order of the genome.
    pub genes: Vec<Gene>,
    /// In the order of the genome.
    pub regions: Vec<Region>,
    /// Which region acts on which gene.
    pub links: Vec<Link>,
    /// The links that the file of links has: some true ones are not there, some that are there are not true.
    pub reported_links: Vec<Link>,
    /// See [`kinds::PROGRAMMES`].
    pub programmes: Vec<Programme>,
    /// Gene and programme as the file of programmes has them: some true ones are not there, some are not true.
    pub annotations: Vec<(usize, usize)>,
    /// All are in the file.
    pub interactions: Vec<Interaction>,
    /// Interactions in the file whose second symbol no gene has, so that the loader leaves them out.
    pub withdrawn: Vec<(usize, &'static str)>,
    /// In the byte order of their barcodes.
    pub cells: Vec<Cell>,
}

impl Organism {
    /// The organism of a seed: always the same one.
    pub fn new(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let mut contigs = genome::contigs(&mut chance.stream(Part::Genome, 0));
        let genes = genome::genes(&mut chance.stream(Part::Genes, 0), kinds::PROGRAMMES.len());
        let mut stream = chance.stream(Part::Regions, 0);
        let motifs = regions::motifs(&mut stream, kinds::PROGRAMMES.len());
        let mut regions = regions::regions(&mut stream, &contigs, &genes);
        let links = regions::links(&mut stream, &mut regions, &genes);
        let reported_links = regions::reported(&mut stream, &links, &regions, &genes);
        regions::plant(&mut stream, &mut contigs, &regions, &motifs);
        let mut stream = chance.stream(Part::Network, 0);
        let interactions = network::interactions(&mut stream, &genes);
        let withdrawn = network::withdrawn(&mut stream, &genes);
        let annotations = network::annotations(&mut stream, &genes, kinds::PROGRAMMES.len());
        let cells = expression::cells(chance, &genes);
        let programmes = (kinds::PROGRAMMES.iter().zip(motifs).enumerate())
            .map(|(place, (&(id, name, trigger), motif))| {
                let own = (0..genes.len()).filter(|&gene| genes[gene].programme == Some(place)).collect();
                Programme { id, name, trigger, parent: kinds::wider(place), genes: own, motif }
            })
            .collect();
        Self { seed, contigs, genes, regions, links, reported_links, programmes, annotations, interactions, withdrawn, cells }
    }

    /// The name of a cell's true type, by its barcode.
    pub fn cell_type(&self, barcode: &str) -> Option<&'static str> {
        let at = self.cells.binary_search_by(|cell| cell.barcode.as_str().cmp(barcode)).ok()?;
        Some(kinds::CELL_TYPES[self.cells[at].cell_type].name)
    }

    /// The bases of a region.
    pub fn sequence(&self, region: &Region) -> &str {
        let contig = self.contigs.iter().find(|contig| contig.name == region.locus.contig());
        let range = region.locus.start() as usize..region.locus.end() as usize;
        contig.and_then(|contig| contig.sequence.get(range)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
