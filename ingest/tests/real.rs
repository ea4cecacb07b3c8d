//! Readers beside other programs' reading of the same real files.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use fastobo::ast::{EntityFrame, TermClause};
use flate2::read::MultiGzDecoder;
use noodles_gtf::LineBuf;
use relata_ingest::formats::h5ad::AnnData;
use relata_schema::Value;
use support::{Folder, edges, keys, real_data, text, value};

fn gunzip(path: &Path) -> BufReader<MultiGzDecoder<File>> {
    BufReader::new(MultiGzDecoder::new(File::open(path).unwrap()))
}

fn first_columns(path: &Path) -> Vec<String> {
    gunzip(path).lines().map(|line| line.unwrap().split('\t').next().unwrap().to_owned()).collect()
}

/// The same cells as AnnData and as the Matrix Market file of 10x: every entry is compared, by names.
#[test]
fn pbmc_has_the_counts_of_its_matrix_market_file() {
    let Some(data) = real_data() else { return };
    let folder = data.join("rna_pbmc_facs/mtx");
    let (genes, barcodes) = (first_columns(&folder.join("features.tsv.gz")), first_columns(&folder.join("barcodes.tsv.gz")));
    let mut expected = Vec::new();
    // `gene cell count`, from 1, behind remarks and a line of sizes.
    let lines = gunzip(&folder.join("matrix.mtx.gz")).lines().map(Result::unwrap);
    for line in lines.filter(|line| !line.starts_with('%')).skip(1) {
        let [gene, cell, count] = line.split(' ').map(|word| word.parse::<u32>().unwrap()).collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        expected.push((cell - 1, gene - 1, count));
    }
    let file = AnnData::open(&data.join("rna_pbmc_facs/pbmc_facs.h5ad")).unwrap();
    let (obs, var) = (file.frame("obs").unwrap(), file.frame("var").unwrap());
    let places = |names: &[String]| -> HashMap<String, u32> { names.iter().cloned().zip(0..).collect() };
    let (cell_places, gene_places) = (places(&barcodes), places(&genes));
    let cells: Vec<u32> = obs.index().iter().map(|barcode| cell_places[barcode]).collect();
    let relata_ingest::formats::h5ad::Column::Text(ids) = var.column("ensembl").unwrap() else { panic!("ids are texts") };
    let columns: Vec<u32> = ids.iter().map(|id| gene_places[id]).collect();
    assert_eq!((cells.len(), columns.len()), (3774, 16_791));
    let mut found = Vec::new();
    let matrix = file.matrix("X", cells.len(), columns.len()).unwrap();
    matrix
        .each(|row, column, count| {
            assert_eq!(count.fract(), 0.0);
            found.push((cells[row], columns[column], count as u32));
            Ok(())
        })
        .unwrap();
    assert_eq!(found.len(), 2_702_861);
    expected.sort_unstable();
    found.sort_unstable();
    assert!(found == expected, "the first difference: {:?}", found.iter().zip(&expected).find(|(one, other)| one != other));
}

/// Terms, names and `is_a` of the Cell Ontology as fastobo reads them.
#[test]
fn the_cell_ontology_is_as_fastobo_reads_it() {
    let Some(data) = real_data() else { return };
    let path = data.join("ontologies/cl-basic_2022-12-15.obo");
    let document = fastobo::from_file(&path).unwrap();
    let (mut names, mut is_a, mut develops_from) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for entity in document.entities() {
        let EntityFrame::Term(term) = entity else { continue };
        let id = term.id().as_inner().to_string();
        if !id.starts_with("CL:") {
            continue;
        }
        names.insert(id.clone(), None);
        for clause in term.clauses() {
            match clause.as_inner() {
                TermClause::Name(name) => {
                    names.insert(id.clone(), Some(name.as_str().to_owned()));
                }
                TermClause::IsA(parent) => {
                    is_a.insert((id.clone(), parent.to_string(), None));
                }
                TermClause::Relationship(relation, target) if relation.to_string() == "develops_from" => {
                    develops_from.insert((id.clone(), target.to_string(), None));
                }
                _ => {}
            }
        }
    }
    assert_eq!(names.len(), 2795);
    let folder = Folder::new(&[]);
    let (_, snapshot) = folder.load(&format!("[[source]]\npath = {path:?}\n")).unwrap();
    assert_eq!(keys(&snapshot, "cell_type"), names.keys().cloned().collect::<Vec<_>>());
    for (id, name) in &names {
        assert_eq!(text(&snapshot, "cell_type", id, "name"), *name, "{id}");
    }
    let sorted = |found: Vec<(String, String, Option<f32>)>| -> Vec<_> {
        found.into_iter().map(|(source, target, _)| (source, target, None::<()>)).collect()
    };
    assert_eq!(sorted(edges(&snapshot, "cell_type.is_a.cell_type", None)), is_a.into_iter().collect::<Vec<_>>());
    let found = sorted(edges(&snapshot, "cell_type.develops_from.cell_type", None));
    assert_eq!(found, develops_from.into_iter().collect::<Vec<_>>());
}

/// The genes of a GENCODE file as noodles reads them: 1-based, the end included.
#[test]
fn gencode_genes_are_as_noodles_reads_them() {
    let Some(data) = real_data() else { return };
    let path = data.join("genes_tables/gencode_human.gtf.gz");
    let mut expected = BTreeMap::new();
    for line in noodles_gtf::io::Reader::new(gunzip(&path)).line_bufs() {
        let LineBuf::Record(record) = line.unwrap() else { continue };
        if record.ty() == "gene" {
            let id = record.attributes().get(b"gene_id").unwrap().as_string().unwrap().to_string();
            let place =
                (record.start().get() as u64 - 1, record.end().get() as u64, record.reference_sequence_name().to_string());
            expected.insert(id.split('.').next().unwrap().to_owned(), place);
        }
    }
    assert!(expected.len() > 100);
    let folder = Folder::new(&[]);
    let (_, snapshot) = folder.load(&format!("[[source]]\npath = {path:?}\n")).unwrap();
    assert_eq!(keys(&snapshot, "gene"), expected.keys().cloned().collect::<Vec<_>>());
    for (id, (start, end, contig)) in &expected {
        let Some(Value::Interval(locus)) = value(&snapshot, "gene", id, "locus") else { panic!("{id} has no locus") };
        assert_eq!((locus.start(), locus.end(), locus.contig()), (*start, *end, contig.as_str()), "{id}");
    }
}

/// Files that once broke a reader of HDF5: an error, whatever is wrong with them, and no panic.
#[test]
fn malformed_hdf5_is_an_error() {
    let Some(data) = real_data() else { return };
    let mut tried = 0;
    for entry in std::fs::read_dir(data.join("hdf5_malformed")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            continue;
        }
        let folder = Folder::new(&[]);
        let source = format!("[[source]]\npath = {path:?}\nformat = \"h5ad\"\ngenes = {{ unmatched = \"make\" }}\n");
        let error = folder.load(&source).err().unwrap_or_else(|| panic!("{} was read", path.display()));
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        tried += 1;
    }
    assert!(tried > 0);
}
