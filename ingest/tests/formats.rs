//! Each format, from bytes to nodes and edges of a snapshot.

mod support;

use std::io::Write;

use relata_ingest::Report;
use relata_schema::{Strand, Value};
use support::{COUNTS, Folder, Layout, anndata, edges, keys, text, value};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Rows read and kept, and each reason with its count.
fn counts(report: &Report, source: &str) -> (u64, u64, Vec<(String, u64)>) {
    let tally = &report.source(source).unwrap().tally;
    (tally.read, tally.kept, tally.drops.iter().map(|drop| (drop.reason.clone(), drop.count)).collect())
}

fn interval(found: Option<Value>) -> (String, u64, u64, Strand) {
    match found {
        Some(Value::Interval(interval)) => (interval.contig().to_owned(), interval.start(), interval.end(), interval.strand()),
        other => panic!("{other:?} is no interval"),
    }
}

const GENES: &str = "id,symbol,old\nENSG00000000001,AAA,A1|A2\nENSG00000000002.7,BBB,\nENSG00000000003,CCC,A2\n";
const GENE_SOURCE: &str = r#"
[[source]]
path = "genes.csv"
node = "gene"
key = "id"
attributes = { symbol = "symbol", synonyms = "old" }
"#;

#[test]
fn h5ad_is_the_same_in_every_layout() {
    let source = r#"
[[source]]
path = "cells.h5ad"
genes = { column = "symbol", unmatched = "make" }

[source.cells]
prefix = "p:"
attributes = { celltype = "celltype", batch = "note" }

[source.cells.links.from_tissue]
column = "celltype"
map = { B = "blood", T = "thymus" }
unmatched = "make"
"#;
    for layout in [Layout::Csr, Layout::Csc, Layout::Dense] {
        let folder = Folder::new(&[("cells.h5ad", &anndata(layout))]);
        let (report, snapshot) = folder.load(source).unwrap();
        assert_eq!(counts(&report, "cells.h5ad").0, 3, "{layout:?}: what is not zero");
        assert_eq!(keys(&snapshot, "cell"), ["p:c1", "p:c2", "p:c3"]);
        let mut expected = Vec::new();
        for (row, counts) in COUNTS.iter().enumerate() {
            for (column, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                expected.push((format!("p:c{}", row + 1), ["A", "B", "C", "D"][column].to_owned(), Some(count as f32)));
            }
        }
        assert_eq!(edges(&snapshot, "expresses", Some("count")), expected, "{layout:?}");
        let of = |cell: &str, attribute: &str| text(&snapshot, "cell", cell, attribute);
        assert_eq!(["p:c1", "p:c2", "p:c3"].map(|cell| of(cell, "celltype")), [Some("T".to_owned()), Some("B".to_owned()), None]);
        assert_eq!((of("p:c1", "batch"), of("p:c2", "batch")), (Some("x".to_owned()), None));
        assert_eq!(value(&snapshot, "cell", "p:c1", "total_counts"), Some(Value::Number(3.0)));
        assert_eq!(value(&snapshot, "cell", "p:c3", "total_counts"), Some(Value::Number(0.0)));
        let linked = [("p:c1", "thymus"), ("p:c2", "blood")].map(|(cell, tissue)| (cell.to_owned(), tissue.to_owned(), None));
        assert_eq!(edges(&snapshot, "from_tissue", None), linked);
        assert!(counts(&report, "cells.h5ad").2.contains(&("cell that names no tissue".to_owned(), 1)));
    }
}

/// A damaged file is an error or another file, and never a panic.
#[test]
fn h5ad_with_any_byte_changed_does_not_panic() {
    let whole = anndata(Layout::Csr);
    let (mut refused, step) = (0, 7);
    for at in (0..whole.len()).step_by(step) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let folder = Folder::new(&[("cells.h5ad", &bytes)]);
        let source = "[[source]]\npath = \"cells.h5ad\"\nformat = \"h5ad\"\ngenes = { unmatched = \"make\" }\n\
                      cells = { attributes = { celltype = \"celltype\" } }\n";
        let manifest = folder.manifest("m.toml", source);
        let manifest = relata_ingest::Manifest::read(&manifest).unwrap();
        refused += usize::from(relata_ingest::plan(&manifest, relata_ingest::Options { quiet: true }).is_err());
    }
    assert!(refused > whole.len() / step / 20, "{refused} of {} changes were noticed", whole.len() / step);
}

#[test]
fn h5ad_genes_are_found_by_another_column_made_or_counted() {
    let genes = "id,symbol\nENSG00000000001,A\ng3,Z\n";
    let folder = Folder::new(&[("cells.h5ad", &anndata(Layout::Csr)), ("genes.csv", genes.as_bytes())]);
    let sources = |genes: &str| {
        let known = "[[source]]\npath = \"genes.csv\"\nnode = \"gene\"\nkey = \"id\"\nattributes = { symbol = \"symbol\" }\n";
        format!("{known}[[source]]\npath = \"cells.h5ad\"\ngenes = {genes}\n")
    };
    // g1 is A by its symbol, g3 is known by its key, g4 is D.
    let (report, snapshot) = folder
        .load(&sources(
            "{ or = { column = \"symbol\", match = \"symbol\" }, unmatched = \"make\", attributes = { symbol = \"symbol\" } }",
        ))
        .unwrap();
    let targets: Vec<String> = edges(&snapshot, "expresses", None).into_iter().map(|edge| edge.1).collect();
    assert_eq!(targets, ["ENSG00000000001", "g4", "g3"]);
    assert_eq!(text(&snapshot, "gene", "g4", "symbol").as_deref(), Some("D"), "a made gene takes the file's symbol");
    assert_eq!(text(&snapshot, "gene", "g3", "symbol").as_deref(), Some("Z"), "a known gene keeps its own");
    assert_eq!(counts(&report, "cells.h5ad").2, [("gene made, since none had this key or name".to_owned(), 2)]);

    let folder = Folder::new(&[("cells.h5ad", &anndata(Layout::Csr)), ("genes.csv", genes.as_bytes())]);
    let (report, snapshot) = folder.load(&sources("{ unmatched = \"skip\" }")).unwrap();
    assert_eq!(edges(&snapshot, "expresses", Some("count")), [("c2".to_owned(), "g3".to_owned(), Some(3.0))]);
    let lost = "entry in a column: no gene has this key or name".to_owned();
    assert_eq!(counts(&report, "cells.h5ad"), (3, 1, vec![(lost, 2)]));
    assert_eq!(value(&snapshot, "cell", "c1", "total_counts"), Some(Value::Number(3.0)), "totals count what is lost too");
}

#[test]
fn obo_terms_synonyms_and_links() {
    let obo = "format-version: 1.2\n\n[Term]\nid: CL:0000001\nname: cell \\, old\nsynonym: \"a \\\"b\\\" | c\" EXACT []\nalt_id: CL:0000009\n\
               def: \"What lives.\" [X:1]\nis_a: CL_0000002 {x=\"y\"} ! other\nis_a: CL:7777777\nrelationship: part_of UBERON:0000178 ! blood\n\
               relationship: likes CL:0000002\nrelationship: in_taxon NCBITaxon:9606\n\n[Term]\nid: CL:0000002 ! remark\nis_obsolete: true\n\n\
               [Typedef]\nid: part_of\nis_a: CL:0000001\n\n[Term]\nid: UBERON:0000178\nname: blood\n\n[Term]\nid: CP:1\n";
    for bytes in [obo.as_bytes().to_vec(), obo.replace('\n', "\r\n").into_bytes(), gzip(obo.as_bytes())] {
        let folder = Folder::new(&[("cl.obo", &bytes)]);
        let (report, snapshot) = folder.load("[[source]]\npath = \"cl.obo\"\n").unwrap();
        assert_eq!(keys(&snapshot, "cell_type"), ["CL:0000001", "CL:0000002"]);
        let of = |attribute: &str| text(&snapshot, "cell_type", "CL:0000001", attribute).unwrap();
        assert_eq!((of("name"), of("definition")), ("cell , old".to_owned(), "What lives.".to_owned()));
        assert_eq!(of("synonyms"), "a \"b\" / c|CL:0000009");
        assert_eq!(value(&snapshot, "cell_type", "CL:0000002", "obsolete"), Some(Value::Boolean(true)));
        let is_a = edges(&snapshot, "cell_type.is_a.cell_type", None);
        assert_eq!(is_a, [("CL:0000001".to_owned(), "CL:0000002".to_owned(), None)]);
        let part_of = edges(&snapshot, "cell_type.part_of.tissue", None);
        assert_eq!(part_of, [("CL:0000001".to_owned(), "UBERON:0000178".to_owned(), None)]);
        let (read, kept, mut drops) = counts(&report, "cl.obo");
        drops.sort();
        let expected = [
            ("no cell_type has this key or name", 1),
            ("relationship of a kept term that the schema does not have", 1),
            ("relationship of a kept term to another ontology (see `terms`)", 1),
            ("term of prefix CP, which no node type takes (see `terms`)", 1),
        ];
        assert_eq!((read, kept, drops), (4, 3, expected.map(|(reason, count)| (reason.to_owned(), count)).to_vec()));
    }
}

#[test]
fn a_table_of_nodes_finds_keys_in_several_columns() {
    let ids = "name;refs;entrez;note\n\
               AAA;MIM:1|Ensembl:ENSG00000000003;11;by symbol first\n\
               XXX;MIM:1|Ensembl:ENSG00000000002.3|Ensembl:ENSG00000000009;12;by the second column, of which one is unknown\n\
               YYY;MIM:3;13;nothing\n\
               aaa;;14;a second row about the first gene\n\
               ;;15;no name\n";
    let folder = Folder::new(&[("genes.csv", GENES.as_bytes()), ("ids.csv", &gzip(ids.as_bytes()))]);
    let source = r#"
[[source]]
path = "ids.csv"
node = "gene"
unmatched = "skip"
key = { column = "name", match = "symbol", or = { column = "refs", split = "|", prefix = "Ensembl:" } }
attributes = { entrez = "entrez" }
constants = { biotype = "protein_coding" }
"#;
    let (report, snapshot) = folder.load(&format!("{GENE_SOURCE}{source}")).unwrap();
    let entrez = |key: &str| text(&snapshot, "gene", key, "entrez");
    assert_eq!(keys(&snapshot, "gene"), ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003"]);
    assert_eq!(entrez("ENSG00000000001").as_deref(), Some("11"));
    assert_eq!(entrez("ENSG00000000002").as_deref(), Some("12"));
    assert_eq!(entrez("ENSG00000000003"), None);
    assert_eq!(text(&snapshot, "gene", "ENSG00000000002", "biotype").as_deref(), Some("protein_coding"));
    let reasons = [
        ("no gene has this key or name", 1),
        ("no gene has this symbol; `or` names none either", 1),
        ("row about a gene that an earlier row is about", 1),
        ("row that names no gene", 1),
    ];
    let (read, kept, mut drops) = counts(&report, "ids.csv");
    drops.sort();
    assert_eq!((read, kept, drops), (5, 2, reasons.map(|(reason, count)| (reason.to_owned(), count)).to_vec()));
}

#[test]
fn a_table_of_edges_splits_maps_and_counts() {
    let table =
        "# two lines of remarks\n#\nterm\tgenes\tstate\tkind\nGO:1\tAAA|BBB|ZZZ\ton\tx\nGO:2\tA2\toff\ty\nGO:3\t-\ton\tx\n";
    let folder = Folder::new(&[("genes.csv", GENES.as_bytes()), ("go.tsv", table.as_bytes())]);
    let source = r##"
[[source]]
path = "go.tsv"
comment = "#"
relation = "annotated_with"
columns = { source = { column = "genes", split = "|" }, target = { column = "term", unmatched = "make", map = { "GO:2" = "GO:9" } } }
"##;
    let (report, snapshot) = folder.load(&format!("{GENE_SOURCE}{source}")).unwrap();
    let found: Vec<_> = edges(&snapshot, "annotated_with", None).into_iter().map(|edge| (edge.0, edge.1)).collect();
    let expected = [("ENSG00000000001", "GO:1"), ("ENSG00000000002", "GO:1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(found, expected);
    let (read, kept, mut drops) = counts(&report, "go.tsv");
    drops.sort();
    // Three pairs of the first line, one of the second (A2 is a synonym of two genes), and a line without a gene.
    let reasons = [
        ("no gene has this key or name", 1),
        ("row that names no gene", 1),
        ("several genes have this key or name, so none is taken", 1),
        ("term made, since none had this key or name", 1),
    ];
    assert_eq!((read, kept, drops), (5, 2, reasons.map(|(reason, count)| (reason.to_owned(), count)).to_vec()));
}

#[test]
fn intervals_of_a_table_have_a_base_a_strand_and_make_regions() {
    let table =
        "chr,from,to,strand,gene,score,hit,set\nchr1,1,10,-,AAA,0.5,TRUE,s1\nchr1,11,20,+,BBB,NA,FALSE,s2\nchr1,,20,+,BBB,1,,\n";
    for base in [0, 1] {
        let folder = Folder::new(&[("genes.csv", GENES.as_bytes()), ("links.csv", table.as_bytes())]);
        let source = format!(
            r#"
[[source]]
path = "links.csv"
relation = "regulates"
constants = {{ distance = 7 }}
[source.columns]
source = {{ contig = "chr", start = "from", end = "to", strand = "strand", base = {base} }}
target = "gene"
score = "score"
significant = "hit"
evidence = "set"
"#
        );
        let (report, snapshot) = folder.load(&format!("{GENE_SOURCE}{source}")).unwrap();
        let first = 1 - base;
        let key = format!("chr1:{first}-10");
        assert_eq!(interval(value(&snapshot, "region", &key, "locus")), ("chr1".to_owned(), first, 10, Strand::Reverse));
        let of =
            |attribute: &str| edges(&snapshot, "regulates", Some(attribute)).into_iter().map(|edge| edge.2).collect::<Vec<_>>();
        assert_eq!(of("score"), [Some(0.5), None]);
        assert_eq!(of("significant"), [Some(1.0), Some(0.0)]);
        assert_eq!(of("distance"), [Some(7.0), Some(7.0)]);
        assert_eq!(counts(&report, "links.csv"), (3, 2, vec![("row without an interval".to_owned(), 1)]));
    }
    let folder = Folder::new(&[("genes.csv", GENES.as_bytes()), ("links.csv", b"c,s,e,gene\nchr1,0,5,AAA\n")]);
    let source = "[[source]]\npath = \"links.csv\"\nrelation = \"regulates\"\n\
                  columns = { source = { contig = \"c\", start = \"s\", end = \"e\", base = 1 }, target = \"gene\" }\n";
    let shown = folder.load(&format!("{GENE_SOURCE}{source}")).err().unwrap().to_string();
    assert!(shown.contains("links.csv:2: column 2 (s): ") && shown.contains('0'), "{shown}");
}

#[test]
fn a_matrix_counts_its_entries_by_the_name_that_is_missing() {
    let table = "gene\tUBERON:1\tUBERON:2\tnote\nAAA\t1\t0\tx\nBBB\t2.5\t3\tx\nZZZ\t1\t1\tx\n\t1\t\tx\n";
    let tissues = "id\tname\nUBERON:1\tblood\n";
    let folder = Folder::new(&[("genes.csv", GENES.as_bytes()), ("t.tsv", tissues.as_bytes()), ("m.tsv", table.as_bytes())]);
    let source = r#"
[[source]]
path = "t.tsv"
node = "tissue"
key = "id"
attributes = { name = "name" }
[[source]]
path = "m.tsv"
relation = "gene.present_in.tissue"
layout = "matrix"
columns = { source = "gene" }
columns_with = "UBERON:"
value = "level"
"#;
    let (report, snapshot) = folder.load(&format!("{GENE_SOURCE}{source}")).unwrap();
    let expected = [("ENSG00000000001", 1.0), ("ENSG00000000002", 2.5)];
    let expected = expected.map(|(gene, level)| (gene.to_owned(), "UBERON:1".to_owned(), Some(level)));
    assert_eq!(edges(&snapshot, "gene.present_in.tissue", Some("level")), expected);
    let (read, kept, mut drops) = counts(&report, "m.tsv");
    drops.sort();
    let reasons = [
        ("entry in a column: no tissue has this key or name", 1),
        ("entry in a row: no gene has this key or name", 2),
        ("entry in a row: row that names no gene", 1),
    ];
    assert_eq!((read, kept, drops), (6, 2, reasons.map(|(reason, count)| (reason.to_owned(), count)).to_vec()));
}

#[test]
fn tables_as_r_and_ncbi_write_them() {
    let quoted = b"\"id\"\t\"symbol\"\n\"G1\"\t\"A \"\"x\"\"\"\n".as_slice();
    let ncbi = b"#id\tsymbol\nG2\tB \"y\n".as_slice();
    let headless = b"G3\tC\n".as_slice();
    let folder = Folder::new(&[("r.tsv", quoted), ("ncbi.tsv", ncbi), ("bare.tsv", headless)]);
    let source = |file: &str, more: &str| {
        format!("[[source]]\npath = \"{file}\"\nnode = \"gene\"\nkey = \"id\"\nattributes = {{ symbol = \"symbol\" }}\n{more}\n")
    };
    let sources = [source("r.tsv", ""), source("ncbi.tsv", ""), source("bare.tsv", "header = [\"id\", \"symbol\"]")].concat();
    let (_, snapshot) = folder.load(&sources).unwrap();
    let symbols = ["G1", "G2", "G3"].map(|key| text(&snapshot, "gene", key, "symbol").unwrap());
    assert_eq!(symbols, ["A \"x\"", "B \"y", "C"]);
}

#[test]
fn bed_and_peaks_with_remarks_breaks_of_windows_and_missing_values() {
    let bed = "track name=x\nbrowser position chr1\n# remark\nchr1\t0\t100\tone\t7.5\t-\n\nchr1\t100\t200\nchr1\t0\t100\ttwo\n";
    for bytes in [bed.as_bytes().to_vec(), bed.replace('\n', "\r\n").into_bytes(), gzip(bed.as_bytes())] {
        let folder = Folder::new(&[("a.bed", &bytes), ("empty.bed", b"")]);
        let (report, snapshot) = folder.load("[[source]]\npath = \"a.bed\"\n[[source]]\npath = \"empty.bed\"\n").unwrap();
        assert_eq!(keys(&snapshot, "region"), ["chr1:0-100", "chr1:100-200"]);
        assert_eq!(text(&snapshot, "region", "chr1:0-100", "name").as_deref(), Some("one"));
        assert_eq!(value(&snapshot, "region", "chr1:0-100", "score"), Some(Value::Number(7.5)));
        let locus = interval(value(&snapshot, "region", "chr1:0-100", "locus"));
        assert_eq!(locus, ("chr1".to_owned(), 0, 100, Strand::Reverse));
        assert_eq!(text(&snapshot, "region", "chr1:100-200", "name"), None);
        let (read, kept, drops) = counts(&report, "a.bed");
        assert_eq!((read, kept, drops.len(), drops[0].1), (3, 2, 1, 1));
        assert_eq!(counts(&report, "empty.bed"), (0, 0, vec![]));
    }
    let peaks = "chr2\t5\t9\t.\t100\t.\t2.5\t3.5\t-1\t2\nchr2\t10\t19\tp\t0\t+\t0\t-1\t-1\t-1\n";
    let folder = Folder::new(&[("a.narrowPeak", peaks.as_bytes())]);
    let (_, snapshot) = folder.load("[[source]]\npath = \"a.narrowPeak\"\n").unwrap();
    let of = |key: &str, attribute: &str| value(&snapshot, "region", key, attribute);
    assert_eq!(of("chr2:5-9", "signal"), Some(Value::Number(2.5)));
    assert_eq!(of("chr2:5-9", "p_value"), Some(Value::Number(3.5)));
    assert_eq!(of("chr2:5-9", "summit"), Some(Value::Count(2)));
    assert_eq!((of("chr2:5-9", "q_value"), of("chr2:5-9", "name")), (None, None));
    assert_eq!((of("chr2:10-19", "summit"), of("chr2:10-19", "p_value")), (None, None));
    assert_eq!(of("chr2:10-19", "signal"), Some(Value::Number(0.0)), "a peak of no signal is not a missing one");
}

#[test]
fn a_bad_line_of_a_bed_is_named() {
    for (line, part) in [
        ("chr1\t5\n", "found 2 columns, expected at least 3"),
        ("chr1 5 9\n", "separated by spaces?"),
        ("chr1\tx\t9\n", "start `x` is no whole number"),
        ("chr1\t9\t5\n", "start 9 lies behind end 5"),
        ("chr1\t5\t9\tn\t0\tup\n", "strand `up`"),
        ("chr1\t5\t9\tn\thigh\t+\n", "column 5 (score): found `high`, expected a number"),
    ] {
        let folder = Folder::new(&[("a.bed", format!("chr1\t0\t1\n{line}").as_bytes())]);
        let shown = folder.load("[[source]]\npath = \"a.bed\"\n").err().unwrap().to_string();
        assert!(shown.contains("a.bed:2: ") && shown.contains(part), "{shown}");
    }
}

#[test]
fn fasta_records_are_regions_with_a_sequence() {
    let fasta = ">chr1:0-8 what bedtools writes\nACGT\nnnRY\n\n>chr1:8-10\nAC\n>other\n-N\n>other\nGG\n";
    let bed = "chr1\t8\t10\tsecond\t0\t-\n";
    for bytes in [fasta.as_bytes().to_vec(), fasta.replace('\n', "\r\n").into_bytes(), gzip(fasta.as_bytes())] {
        let folder = Folder::new(&[("a.fa", &bytes), ("a.bed", bed.as_bytes())]);
        let (report, snapshot) = folder.load("[[source]]\npath = \"a.bed\"\n[[source]]\npath = \"a.fa\"\n").unwrap();
        let of = |key: &str| text(&snapshot, "region", key, "sequence");
        assert_eq!(keys(&snapshot, "region"), ["chr1:0-8", "chr1:8-10", "other"]);
        assert_eq!(of("chr1:0-8").as_deref(), Some("ACGTnnRY"));
        assert_eq!((of("chr1:8-10").as_deref(), of("other").as_deref()), (Some("AC"), Some("-N")));
        assert_eq!(interval(value(&snapshot, "region", "chr1:0-8", "locus")), ("chr1".to_owned(), 0, 8, Strand::Unknown));
        let locus = interval(value(&snapshot, "region", "chr1:8-10", "locus"));
        assert_eq!(locus.3, Strand::Reverse, "a region that is known keeps its strand");
        let (read, kept, drops) = counts(&report, "a.fa");
        assert_eq!((read, kept, drops.len(), drops[0].1), (4, 3, 1, 1));
    }
    // By the manifest's word only regions that are known.
    let folder = Folder::new(&[("a.fa", fasta.as_bytes()), ("a.bed", bed.as_bytes())]);
    let (report, snapshot) =
        folder.load("[[source]]\npath = \"a.bed\"\n[[source]]\npath = \"a.fa\"\nunmatched = \"skip\"\n").unwrap();
    assert_eq!(keys(&snapshot, "region"), ["chr1:8-10"]);
    assert_eq!(counts(&report, "a.fa"), (4, 1, vec![("no region has this key or name".to_owned(), 3)]));
}

#[test]
fn a_bad_line_of_a_fasta_is_named() {
    for (fasta, part) in [
        (">a\nACGT\nACXT\n", "a.fa:3: found `X` at column 3 of record `a`"),
        (">a\nAC GT\n", "a.fa:2: found ` ` at column 3"),
        (">a\n>b\nAC\n", "a.fa:1: record `a` has no sequence"),
        (">a\nAC\n> b\nAC\n", "a.fa:3: found `> b`, expected `>` and the record's name"),
        ("ACGT\n>a\nAC\n", "a.fa:1: found `ACGT`, expected a record's first line"),
    ] {
        let folder = Folder::new(&[("a.fa", fasta.as_bytes())]);
        let shown = folder.load("[[source]]\npath = \"a.fa\"\nformat = \"fasta\"\n").err().unwrap().to_string();
        assert!(shown.contains(part), "{shown}");
    }
    let folder = Folder::new(&[("a.fa", b">a\nAC\n")]);
    let shown = folder.load("[[source]]\npath = \"a.fa\"\nnode = \"gene\"\n").err().unwrap().to_string();
    assert!(shown.contains("gene has no attribute of kind sequence (types that have one: region)"), "{shown}");
}

#[test]
fn a_gtf_brings_genes_and_transcripts_if_asked() {
    let gtf = "##description: x\nchr1\tX\tgene\t11\t20\t.\t-\t.\tgene_id \"ENSG00000000001.2\"; gene_name \"AAA\"; gene_type \"lncRNA\";\n\
               chr1\tX\ttranscript\t11\t20\t.\t-\t.\tgene_id \"ENSG00000000001.2\"; transcript_id \"ENST00000000001.1\"; transcript_name \"AAA-1\";\n\
               chr1\tX\texon\t11\t15\t.\t-\t.\tgene_id \"ENSG00000000001.2\"; transcript_id \"ENST00000000001.1\";\n";
    let folder = Folder::new(&[("a.gtf", &gzip(gtf.as_bytes()))]);
    let (report, snapshot) = folder.load("[[source]]\npath = \"a.gtf\"\ntranscripts = true\n").unwrap();
    let locus = interval(value(&snapshot, "gene", "ENSG00000000001", "locus"));
    assert_eq!(locus, ("chr1".to_owned(), 10, 20, Strand::Reverse));
    assert_eq!(text(&snapshot, "gene", "ENSG00000000001", "symbol").as_deref(), Some("AAA"));
    let transcribed = edges(&snapshot, "transcribed_to", None);
    assert_eq!(transcribed, [("ENSG00000000001".to_owned(), "ENST00000000001".to_owned(), None)]);
    assert_eq!(counts(&report, "a.gtf"), (3, 2, vec![("feature exon".to_owned(), 1)]));
}

/// Without `exact` the same cells are trimmed, lose a version, or are missing.
#[test]
fn exact_texts_and_keys_are_what_they_are() {
    let table = "id\tsymbol\tbiotype\nENSG00000000001.7\t NA\tnull\n NA\tNone\t-\nplain\t\t x \n";
    let folder = Folder::new(&[("genes.tsv", table.as_bytes()), ("pairs.tsv", b"a\tb\tm\n NA\tENSG00000000001.7\tNA\n")]);
    let source = |exact: bool| {
        let column = |name: &str| format!("{{ column = \"{name}\", exact = {exact} }}");
        format!(
            "[[source]]\npath = \"genes.tsv\"\nnode = \"gene\"\nkey = {}\nattributes = {{ symbol = {}, biotype = {} }}\n\
             [[source]]\npath = \"pairs.tsv\"\nrelation = \"interacts\"\ncolumns = {{ source = {}, target = {}, method = {} }}\n",
            column("id"),
            column("symbol"),
            column("biotype"),
            column("a"),
            column("b"),
            column("m"),
        )
    };
    let (_, snapshot) = folder.load(&source(true)).unwrap();
    assert_eq!(keys(&snapshot, "gene"), [" NA", "ENSG00000000001.7", "plain"]);
    let shown = |key: &str, attribute: &str| text(&snapshot, "gene", key, attribute);
    assert_eq!(shown("ENSG00000000001.7", "symbol").as_deref(), Some(" NA"));
    assert_eq!(shown("ENSG00000000001.7", "biotype").as_deref(), Some("null"));
    assert_eq!((shown(" NA", "symbol").as_deref(), shown(" NA", "biotype").as_deref()), (Some("None"), Some("-")));
    assert_eq!((shown("plain", "symbol"), shown("plain", "biotype").as_deref()), (None, Some(" x ")));
    let relation = snapshot.schema().relation("interacts").unwrap();
    assert_eq!(snapshot.edge_count(relation), 1);
    assert_eq!(snapshot.edge_categories(relation, snapshot.schema().edge_attribute(relation, "method").unwrap()), ["NA"]);

    let folder = Folder::new(&[("genes.tsv", table.as_bytes()), ("pairs.tsv", b"a\tb\tm\n NA\tENSG00000000001.7\tNA\n")]);
    let (_, snapshot) = folder.load(&source(false)).unwrap();
    assert_eq!(keys(&snapshot, "gene"), ["ENSG00000000001", "plain"]);
    assert_eq!(snapshot.edge_count(snapshot.schema().relation("interacts").unwrap()), 0);
    let wrong = "[[source]]\npath = \"genes.tsv\"\nnode = \"gene\"\nkey = { column = \"id\", exact = true, prefix = \"x\" }\n";
    let error = folder.load(wrong).err().expect("a prefix is of no use to exact keys").to_string();
    assert!(
        error.starts_with(&folder.path("load.toml").display().to_string()) && error.contains("`exact` takes texts"),
        "{error}"
    );
}
