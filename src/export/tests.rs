use std::fs;
use std::path::Path;

use relata_schema::{EdgeValue, Schema, SourceRecord, Value};

use super::*;
use crate::snapshot::Snapshot;
use crate::store::Store;

const QUIET: Options = Options { overwrite: false, quiet: true };
const AGAIN: Options = Options { overwrite: true, quiet: true };

/// Cells that express genes, one of them twice where `parallel`, and genes that interact.
fn snapshot(store: &Path, parallel: bool) -> Snapshot {
    let mut store_of = Store::open_or_create(store).unwrap();
    let schema = Schema::biology();
    let mut load = store_of.begin(&schema).unwrap();
    load.begin_source("small", "graph").unwrap();
    let (cell, gene) = (schema.node_type("cell").unwrap(), schema.node_type("gene").unwrap());
    let (expresses, interacts) = (schema.relation("expresses").unwrap(), schema.relation("interacts").unwrap());
    for at in 0..40_u32 {
        let one = load.node(cell, &format!("cell{at:02}")).unwrap();
        for other in 0..25 {
            let other = load.node(gene, &format!("gene{other:02}")).unwrap();
            load.edge(expresses, one, other, None, &[EdgeValue::Number(2.0)]).unwrap();
        }
        load.set(cell, one, schema.node_attribute(cell, "celltype").unwrap(), Value::Category("T".into())).unwrap();
    }
    let (one, other) = (load.node(gene, "gene00").unwrap(), load.node(gene, "gene01").unwrap());
    load.edge(interacts, one, other, None, &[EdgeValue::Missing, EdgeValue::Missing]).unwrap();
    if parallel {
        let cell = load.node(cell, "cell07").unwrap();
        load.edge(expresses, cell, other, None, &[EdgeValue::Number(5.0)]).unwrap();
    }
    let record = SourceRecord { dataset: "small".into(), name: "graph".into(), ..SourceRecord::default() };
    load.end_source(record).unwrap();
    load.commit().unwrap();
    store_of.snapshot(true).unwrap();
    Snapshot::current(store).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn an_export_replaces_nothing_unasked_and_nothing_but_an_export() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&folder.path().join("s.relata"), false);
    let out = folder.path().join("tables");
    to_parquet(&snapshot, &out, QUIET).unwrap();
    fs::write(out.join("nodes/old.parquet"), "of the earlier export").unwrap();
    let refused = to_parquet(&snapshot, &out, QUIET).unwrap_err().to_string();
    assert!(refused.contains("tables") && refused.contains("--overwrite"), "{refused}");
    to_parquet(&snapshot, &out, AGAIN).unwrap();
    assert_eq!(names(&out.join("nodes")), ["cell.parquet", "gene.parquet"]);
    assert_eq!(names(&out.join("edges")), ["cell.expresses.gene.parquet", "gene.interacts.gene.parquet"]);

    let precious = folder.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("thesis.txt"), "years").unwrap();
    for error in [
        to_parquet(&snapshot, &precious, AGAIN).unwrap_err(),
        to_graphml(&snapshot, &Selection::of(&snapshot, &[], &[]).unwrap(), SymmetricEdges::Both, &precious, AGAIN).unwrap_err(),
    ] {
        assert!(error.to_string().contains("precious"), "{error}");
    }
    assert_eq!(fs::read_to_string(precious.join("thesis.txt")).unwrap(), "years");
    assert_eq!(names(folder.path()), ["precious", "s.relata", "tables"]);
}

#[test]
fn what_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&folder.path().join("s.relata"), true);
    let matrix = Matrix::of(&snapshot, None, None).unwrap();
    let error = to_anndata(&snapshot, folder.path(), matrix, &folder.path().join("x.h5ad"), QUIET).unwrap_err().to_string();
    assert!(error.contains("1 parallel edges (`cell07` to `gene01`)"), "{error}");
    let nowhere = folder.path().join("missing/x.graphml");
    let all = Selection::of(&snapshot, &[], &[]).unwrap();
    let error = to_graphml(&snapshot, &all, SymmetricEdges::Both, &nowhere, QUIET).unwrap_err().to_string();
    assert!(error.contains("missing/x.graphml"), "{error}");
    assert_eq!(names(folder.path()), ["s.relata"]);
}

#[test]
fn the_schema_file_is_the_graphs_schema() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&folder.path().join("s.relata"), false);
    let exported = to_parquet(&snapshot, &folder.path().join("tables"), QUIET).unwrap();
    let text = fs::read_to_string(folder.path().join("tables/schema.toml")).unwrap();
    assert_eq!(&Schema::default().extended_by(&text, "schema.toml").unwrap(), snapshot.schema());
    assert!(exported.notes.is_empty(), "{:?}", exported.notes);
    let rows: Vec<(&str, u64)> = exported.parts.iter().map(|part| (part.name.as_str(), part.rows)).collect();
    let expected = [
        ("nodes/cell.parquet", 40),
        ("nodes/gene.parquet", 25),
        ("edges/cell.expresses.gene.parquet", 1000),
        ("edges/gene.interacts.gene.parquet", 1),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn names_of_a_selection_or_a_matrix_that_do_not_exist_are_answered_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&folder.path().join("s.relata"), false);
    let selected = |types: &[&str], relations: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        Selection::of(&snapshot, &owned(types), &owned(relations)).map_err(|error| error.to_string())
    };
    assert!(selected(&["gnee"], &[]).unwrap_err().contains("did you mean `gene`?"));
    assert!(selected(&["gene"], &["expresses"]).unwrap_err().contains("whose end `cell` is not selected"));
    assert_eq!(selected(&["gene"], &[]), selected(&[], &["interacts"]));
    let matrix = |relation, value| Matrix::of(&snapshot, relation, value).map_err(|error| error.to_string());
    assert!(matrix(Some("expreses"), None).unwrap_err().contains("did you mean `expresses`?"));
    assert!(matrix(Some("interacts"), Some("method")).unwrap_err().contains("found a category"));
    assert_eq!(matrix(None, Some("count")), matrix(None, None));
}

#[test]
fn the_estimate_of_the_size_is_near_and_mixed_edges_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&folder.path().join("s.relata"), false);
    let all = Selection::of(&snapshot, &[], &[]).unwrap();
    for symmetric in [SymmetricEdges::Undirected, SymmetricEdges::Both] {
        let out = folder.path().join(format!("{symmetric:?}.graphml"));
        let exported = to_graphml(&snapshot, &all, symmetric, &out, QUIET).unwrap();
        let estimate = graphml::estimate(&snapshot, &all, symmetric) as f64;
        assert!((0.9..1.0).contains(&(estimate / exported.bytes as f64)), "{estimate} of {}", exported.bytes);
        assert_eq!(exported.notes.len(), usize::from(symmetric == SymmetricEdges::Undirected), "{:?}", exported.notes);
    }
}
