//! The text files, read back with nothing but string functions.

use std::collections::HashMap;

use super::*;

fn text(name: &str, organism: &Organism) -> String {
    let (_, writer) = ALL.iter().find(|(known, _)| *known == name).unwrap();
    let mut bytes = Vec::new();
    writer(organism, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Records by the first word of their name, lines joined.
fn fasta(text: &str) -> Vec<(String, String)> {
    let mut records: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix('>') {
            Some(title) => records.push((title.split(' ').next().unwrap().to_owned(), String::new())),
            None => records.last_mut().unwrap().1.push_str(line),
        }
    }
    records
}

#[test]
fn regions_of_fasta_are_slices_of_the_genome_and_named_as_the_peaks_lie() {
    let organism = Organism::new(7);
    let genome = text("genome.fa", &organism);
    assert!(genome.lines().all(|line| line.len() <= 60));
    let genome: HashMap<String, String> = fasta(&genome).into_iter().collect();
    assert_eq!(genome.values().map(String::len).sum::<usize>(), 360_000);
    let regions = fasta(&text("regions.fa", &organism));
    let peaks = text("regions.narrowPeak", &organism);
    assert_eq!((regions.len(), peaks.lines().count()), (600, 600));
    for ((name, sequence), peak) in regions.iter().zip(peaks.lines()) {
        let fields: Vec<&str> = peak.split('\t').collect();
        assert_eq!(fields.len(), 10);
        assert_eq!(*name, format!("{}:{}-{}", fields[0], fields[1], fields[2]));
        let (start, end): (usize, usize) = (fields[1].parse().unwrap(), fields[2].parse().unwrap());
        assert_eq!(*sequence, genome[fields[0]][start..end]);
        let summit: usize = fields[9].parse().unwrap();
        assert!(summit < end - start && (0..=1000).contains(&fields[4].parse::<u32>().unwrap()));
    }
}

#[test]
fn gtf_counts_from_one_and_includes_the_end() {
    let organism = Organism::new(7);
    let gtf = text("genes.gtf", &organism);
    let lines: Vec<Vec<&str>> =
        gtf.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect();
    let of = |feature: &str| lines.iter().filter(|fields| fields[2] == feature).collect::<Vec<_>>();
    let (genes, transcripts, exons) = (of("gene"), of("transcript"), of("exon"));
    assert_eq!(genes.len(), 400);
    assert_eq!(transcripts.len(), organism.genes.iter().map(|gene| gene.transcripts.len()).sum::<usize>());
    assert!(exons.len() > transcripts.len());
    for (fields, gene) in genes.iter().zip(&organism.genes) {
        let (start, end): (u64, u64) = (fields[3].parse().unwrap(), fields[4].parse().unwrap());
        assert_eq!((fields[0], end - start + 1), (gene.locus.contig(), gene.locus.length()));
        assert_eq!(start - 1, gene.locus.start());
        assert!(fields[8].starts_with(&format!("gene_id \"{}\"; gene_name \"{}\";", gene.id, gene.symbol)));
        // Transcription starts at the first base of a forward gene, the last of a reverse one; both count from 1 here.
        assert_eq!(gene.start_site() + 1, if fields[6] == "+" { start } else { end });
    }
    let mut within = (0, 0);
    for fields in &lines {
        let span: (u64, u64) = (fields[3].parse().unwrap(), fields[4].parse().unwrap());
        match fields[2] {
            "exon" => assert!(within.0 <= span.0 && span.0 <= span.1 && span.1 <= within.1, "{fields:?}"),
            _ => within = span,
        }
    }
}

#[test]
fn links_name_regions_and_genes_that_are_there() {
    let organism = Organism::new(7);
    let peaks = text("regions.narrowPeak", &organism);
    let starts: Vec<String> = peaks.lines().map(|line| line.split('\t').take(3).collect::<Vec<_>>().join("\t")).collect();
    let gtf = text("genes.gtf", &organism);
    let links = text("regulates.tsv", &organism);
    assert_eq!(links.lines().next(), Some("chrom\tstart\tend\tgene\tdistance\tscore"));
    for line in links.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        assert!(starts.contains(&fields[..3].join("\t")), "{line}");
        assert!(gtf.contains(&format!("gene_id \"{}\"", fields[3])), "{line}");
    }
}

#[test]
#[allow(clippy::result_large_err, reason = "the closure's error is the loader's")]
fn the_h5ad_is_the_counts_and_its_categories_are_sorted() {
    let organism = Organism::new(7);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.h5ad");
    let mut bytes = Vec::new();
    h5ad::cells(&organism, &mut bytes).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let file = relata_ingest::formats::h5ad::AnnData::open(&path).unwrap();
    let (obs, var) = (file.frame("obs").unwrap(), file.frame("var").unwrap());
    assert_eq!((obs.index().len(), var.index().len()), (1_200, 400));
    assert_eq!(var.index()[11], organism.genes[11].id);
    let relata_ingest::formats::h5ad::Column::Category(names, codes) = obs.column("celltype").unwrap() else {
        panic!("celltype is no category")
    };
    assert!(names.is_sorted() && names.len() == 6);
    for (cell, code) in organism.cells.iter().zip(codes) {
        let name = usize::try_from(code).ok().map(|code| names[code].as_str());
        assert_eq!(name, cell.is_labelled.then(|| organism.cell_type(&cell.barcode).unwrap()));
    }
    let mut counts = vec![Vec::new(); 1_200];
    let matrix = file.matrix("X", 1_200, 400).unwrap();
    matrix
        .each(|row, column, value| {
            counts[row].push((column as u32, value as u32));
            Ok(())
        })
        .unwrap();
    assert!(organism.cells.iter().map(|cell| &cell.counts).eq(&counts));
}
