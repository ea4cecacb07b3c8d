use std::io::Write;

use anyhow::Result;

use super::Organism;

/// Letters a line, as most genomes are wrapped.
const LINE: usize = 60;

/// `genome.fa`: every contig, its lines wrapped.
pub(super) fn genome(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    for contig in &organism.contigs {
        writeln!(out, ">{} synthetic", contig.name)?;
        for line in contig.sequence.as_bytes().chunks(LINE) {
            out.write_all(line)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// `regions.fa`: every region's bases on one line, as `bedtools getfasta` writes and names them.
pub(super) fn regions(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    for region in &organism.regions {
        writeln!(out, ">{}\n{}", region.key(), organism.sequence(region))?;
    }
    Ok(())
}
