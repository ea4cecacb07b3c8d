use std::io::Write;

use anyhow::Result;
use relata_schema::Interval;

use super::Organism;

/// `genes.gtf`: GTF 2.2 as Ensembl writes it (1-based, the end included): genes, transcripts, exons.
///
/// <https://www.ensembl.org/info/website/upload/gff.html>
pub(super) fn genes(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "#!genome-build synthetic, of seed {}", organism.seed)?;
    for gene in &organism.genes {
        let of_gene = format!("gene_id \"{}\"; gene_name \"{}\"; gene_biotype \"{}\";", gene.id, gene.symbol, gene.biotype);
        line(out, "gene", &gene.locus, gene.locus.start(), gene.locus.end(), &of_gene)?;
        for transcript in &gene.transcripts {
            let of_transcript = format!(
                "{of_gene} transcript_id \"{}\"; transcript_name \"{}\"; transcript_biotype \"{}\";",
                transcript.id, transcript.name, gene.biotype
            );
            let starts = transcript.exons.iter().map(Interval::start).min();
            let ends = transcript.exons.iter().map(Interval::end).max();
            if let (Some(start), Some(end)) = (starts, ends) {
                line(out, "transcript", &gene.locus, start, end, &of_transcript)?;
            }
            for (number, exon) in (1..).zip(&transcript.exons) {
                let of_exon = format!("{of_transcript} exon_number \"{number}\";");
                line(out, "exon", exon, exon.start(), exon.end(), &of_exon)?;
            }
        }
    }
    Ok(())
}

/// `start` and `end` are 0-based and half-open, as in [`Interval`]; the line counts from 1 and includes the end.
fn line(out: &mut dyn Write, feature: &str, on: &Interval, start: u64, end: u64, attributes: &str) -> Result<()> {
    let (contig, strand) = (on.contig(), on.strand().symbol());
    writeln!(out, "{contig}\trelata\t{feature}\t{}\t{end}\t.\t{strand}\t.\t{attributes}", start + 1)?;
    Ok(())
}
