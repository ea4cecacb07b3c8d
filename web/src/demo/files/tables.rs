use std::io::Write;

use anyhow::Result;

use super::Organism;
use crate::demo::organism::kinds::DONORS;

/// `regions.narrowPeak`: 0-based, half-open, ten columns.
///
/// <https://genome.ucsc.edu/FAQ/FAQformat.html#format12>
pub(super) fn regions(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    for (number, region) in (1..).zip(&organism.regions) {
        let (contig, start, end) = (region.locus.contig(), region.locus.start(), region.locus.end());
        // Column 5 is for browsers: 0 to 1000.
        let score = (region.signal * 50.0).min(1000.0) as u32;
        writeln!(
            out,
            "{contig}\t{start}\t{end}\tpeak_{number}\t{score}\t.\t{:.3}\t{:.3}\t{:.3}\t{}",
            region.signal, region.p_value, region.q_value, region.summit
        )?;
    }
    Ok(())
}

/// `regulates.tsv`: links of regions (0-based, half-open) and genes (by id).
pub(super) fn regulates(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "chrom\tstart\tend\tgene\tdistance\tscore")?;
    for link in &organism.reported_links {
        let locus = &organism.regions[link.region].locus;
        let (contig, start, end, gene) = (locus.contig(), locus.start(), locus.end(), &organism.genes[link.gene].id);
        writeln!(out, "{contig}\t{start}\t{end}\t{gene}\t{}\t{:.3}", link.distance, link.score)?;
    }
    Ok(())
}

/// `interacts.tsv`: pairs of genes by symbol, as interaction databases have them, some of them withdrawn.
pub(super) fn interacts(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "symbol_a\tsymbol_b\tscore")?;
    let symbol = |gene: usize| organism.genes[gene].symbol.as_str();
    for pair in &organism.interactions {
        writeln!(out, "{}\t{}\t{:.3}", symbol(pair.first), symbol(pair.second), pair.score)?;
    }
    for &(gene, withdrawn) in &organism.withdrawn {
        writeln!(out, "{}\t{withdrawn}\t0.500", symbol(gene))?;
    }
    Ok(())
}

/// `programmes.tsv`: genes (by id) and the programmes that they are annotated with.
pub(super) fn programmes(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "gene\tterm")?;
    for &(gene, programme) in &organism.annotations {
        writeln!(out, "{}\t{}", organism.genes[gene].id, organism.programmes[programme].id)?;
    }
    Ok(())
}

/// `donors.tsv`.
pub(super) fn donors(_organism: &Organism, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "donor\tsex\tage")?;
    for donor in DONORS {
        writeln!(out, "{}\t{}\t{}", donor.id, donor.sex, donor.age)?;
    }
    Ok(())
}
