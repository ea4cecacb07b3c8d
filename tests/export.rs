//! Exports of a planted graph, read back: by the loader, and by the libraries that people open such files with.

#[path = "export/planted.rs"]
mod planted;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use planted::Planted;
use relata::embedding::{EmbeddingInfo, EmbeddingTable};
use relata::export::subgraphs::{Drawing, Grouping, Shards, to_shards};
use relata::export::{Matrix, Options, Selection, SymmetricEdges, TableFormat, to_anndata, to_graphml, to_parquet};
use relata::sampler::{Listed, Sampler, SamplerConfig, Walk};
use relata::snapshot::{EdgeColumn, Hit, Snapshot};
use relata_ingest::{Manifest, run};
use relata_schema::Direction;
use serde_json::{Map, json};

const QUIET: Options = Options { overwrite: false, quiet: true };

/// A folder with the planted store in it.
fn planted_store() -> (tempfile::TempDir, Planted, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let planted = Planted::graph(7);
    let store = folder.path().join("planted.relata");
    let id = planted.write(&store);
    let snapshot = Snapshot::current(&store).unwrap();
    assert_eq!(snapshot.id(), &id);
    (folder, planted, snapshot)
}

fn load(manifest: &Path, store: &Path) -> relata_ingest::Report {
    let manifest = Manifest::read(manifest).unwrap_or_else(|error| panic!("{error}"));
    run(&manifest, store, relata_ingest::Options { quiet: true, ..relata_ingest::Options::default() })
        .unwrap_or_else(|error| panic!("{error}"))
}

/// An embedding of every third cell, as one of an older snapshot could be.
fn embed(store: &Path, snapshot: &Snapshot) -> serde_json::Value {
    let cell = snapshot.schema().node_type("cell").unwrap();
    let keys: Vec<String> = (0..snapshot.node_count(cell)).step_by(3).map(|node| snapshot.key(cell, node).to_owned()).collect();
    let table = EmbeddingTable {
        info: EmbeddingInfo {
            model: "first".to_owned(),
            snapshot: "0".repeat(32),
            node_type: "cell".to_owned(),
            dimension: 5,
            count: keys.len() as u32,
            run: "runs/first".to_owned(),
            has_layout: true,
        },
        vectors: (0..keys.len() * 5).map(|at| at as f32 * 0.5).collect(),
        layout: (0..keys.len() * 2).map(|at| -(at as f32)).collect(),
        keys,
    };
    table.write(store).unwrap();
    let rows = table.keys.iter().zip(table.vectors.chunks(5)).zip(table.layout.chunks(2));
    rows.map(|((key, vectors), layout)| (key.clone(), json!({ "vectors": vectors, "layout": layout })))
        .collect::<Map<_, _>>()
        .into()
}

/// A Python with anndata, networkx and pyarrow, or nothing and a word about it.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("RELATA_PYTHON").filter(|python| !python.is_empty()).map(PathBuf::from);
    if python.is_none() {
        println!("skipped: RELATA_PYTHON names no Python with anndata, networkx and pyarrow");
    }
    python
}

#[test]
fn the_libraries_that_people_use_read_what_was_planted() {
    let Some(python) = python() else { return };
    let (folder, planted, snapshot) = planted_store();
    let (place, store) = (|name: &str| folder.path().join(name), folder.path().join("planted.relata"));
    fs::write(place("planted.json"), planted.json().to_string()).unwrap();
    fs::write(place("embedding.json"), embed(&store, &snapshot).to_string()).unwrap();
    fs::write(place("snapshot"), snapshot.id().as_str()).unwrap();
    to_parquet(&snapshot, &place("parquet"), QUIET).unwrap();
    let all = Selection::of(&snapshot, &[], &[]).unwrap();
    to_graphml(&snapshot, &all, SymmetricEdges::Both, &place("both.graphml"), QUIET).unwrap();
    to_graphml(&snapshot, &all, SymmetricEdges::Undirected, &place("mixed.graphml"), QUIET).unwrap();
    let interacts = Selection::of(&snapshot, &[], &["interacts".to_owned()]).unwrap();
    to_graphml(&snapshot, &interacts, SymmetricEdges::Undirected, &place("interacts.graphml"), QUIET).unwrap();
    for (name, relation) in [("cells", None), ("tissues", Some("from_tissue")), ("interacts", Some("interacts"))] {
        let matrix = Matrix::of(&snapshot, relation, None).unwrap();
        to_anndata(&snapshot, &store, matrix, &place(&format!("{name}.h5ad")), QUIET).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/check.py");
    let checked = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success(), "{said}\n{complained}");
    let compared: Map<String, serde_json::Value> = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    println!("{said}");
    assert!(["parquet", "graphml", "h5ad"].iter().all(|format| compared[*format].as_u64() > Some(500)), "{said}");
}

/// The README's own code makes `HeteroData` of the shards; a model trains on them.
#[test]
fn pytorch_geometric_trains_on_subgraphs() {
    let Some(python) = python() else { return };
    if !Command::new(&python).args(["-c", "import pyarrow, torch, torch_geometric"]).output().unwrap().status.success() {
        println!("skipped: {} has no pyarrow, torch and torch_geometric", python.display());
        return;
    }
    let (folder, _, snapshot) = planted_store();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("snapshot"), snapshot.id().as_str()).unwrap();
    to_parquet(&snapshot, &place("parquet"), QUIET).unwrap();
    let cell = snapshot.schema().node_type("cell").unwrap();
    let seeds: Vec<Hit> = (0..snapshot.node_count(cell)).map(|node| Hit { node_type: cell, node }).collect();
    let write = |name: &str, fanouts: &[u32], grouping, format| {
        let walk = Walk::neighbour(fanouts);
        let config = SamplerConfig::new(walk, snapshot.schema().relation_ids());
        let sampler = Sampler::new(&snapshot, SamplerConfig { listed: Listed::Once, seed: 3, ..config }).unwrap();
        let drawing = Drawing::new(sampler, 0, seeds.clone(), grouping, true).unwrap();
        to_shards(drawing, &place(name), Shards { format, rows: 100 }, QUIET).unwrap();
    };
    write("subgraphs", &[6, 4], Grouping::Each, TableFormat::Arrow);
    write("subgraphs-parquet", &[6, 4], Grouping::Each, TableFormat::Parquet);
    write("all", &[u32::MAX], Grouping::Batch(11), TableFormat::Arrow);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = [root.join("tests/export/pyg.py"), folder.path().to_owned(), root.join("README.md")];
    let checked = Command::new(python).args(script).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success(), "{said}\n{complained}");
    let compared: Map<String, serde_json::Value> = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    println!("{said}{complained}");
    assert!(["values", "edges", "edge_index"].iter().all(|what| compared[*what].as_u64() > Some(5000)), "{said}");
}

/// The project's own reader of AnnData brings the matrix, the labels and the links back.
#[test]
fn the_loader_reads_the_anndata_export() {
    let (folder, _, snapshot) = planted_store();
    let store = folder.path().join("planted.relata");
    let matrix = Matrix::of(&snapshot, None, None).unwrap();
    to_anndata(&snapshot, &store, matrix, &folder.path().join("cells.h5ad"), QUIET).unwrap();
    let manifest = r#"
        [dataset]
        name = "again"
        [[source]]
        path = "cells.h5ad"
        relation = "expresses"
        unmatched = "make"
        cells = { attributes = { celltype = "celltype" }, links = { from_tissue = "from_tissue" } }
    "#;
    fs::write(folder.path().join("again.toml"), manifest).unwrap();
    let again = folder.path().join("again.relata");
    load(&folder.path().join("again.toml"), &again);
    let again = Snapshot::current(&again).unwrap();
    for relation in ["expresses", "from_tissue"] {
        assert_eq!(edges(&again, relation), edges(&snapshot, relation), "{relation}");
    }
    let celltypes = |snapshot: &Snapshot| -> Vec<Option<relata_schema::Value>> {
        let cell = snapshot.schema().node_type("cell").unwrap();
        let celltype = snapshot.schema().node_attribute(cell, "celltype").unwrap();
        (0..snapshot.node_count(cell)).map(|node| snapshot.value(cell, celltype, node)).collect()
    };
    // That reader takes the word for a missing one, as in tables.
    let none = Some(relata_schema::Value::Category("None".to_owned()));
    let expected: Vec<_> = celltypes(&snapshot).into_iter().map(|value| if value == none { None } else { value }).collect();
    assert_eq!(celltypes(&again), expected);
}

/// Edges by keys, with the first attribute where it is a number.
fn edges(snapshot: &Snapshot, relation: &str) -> Vec<(String, String, Option<u32>)> {
    let schema = snapshot.schema();
    let id = schema.relation(relation).unwrap();
    let edge = schema.edge(id);
    let adjacency = snapshot.adjacency(id, Direction::Outgoing);
    let numbers = match edge.attributes.first() {
        Some(_) => match snapshot.edge_column(id, Direction::Outgoing, relata_schema::AttributeId(0)) {
            EdgeColumn::Number(numbers) => numbers,
            EdgeColumn::Category(_) => &[],
        },
        None => &[],
    };
    let mut found = Vec::new();
    for source in 0..snapshot.node_count(edge.source) {
        for at in adjacency.range(source) {
            let ends = (snapshot.key(edge.source, source), snapshot.key(edge.target, adjacency.targets[at]));
            found.push((ends.0.to_owned(), ends.1.to_owned(), numbers.get(at).map(|number| number.to_bits())));
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn parallel_edges_are_no_matrix_and_the_error_names_them() {
    let (folder, _, snapshot) = planted_store();
    let matrix = Matrix::of(&snapshot, Some("divides_into"), None).unwrap();
    let out = folder.path().join("cells.h5ad");
    let error = to_anndata(&snapshot, folder.path(), matrix, &out, QUIET).unwrap_err().to_string();
    assert!(error.contains("cell.divides_into.cell") && error.contains("parallel edges (`cell"), "{error}");
    assert!(!out.exists());
}

/// Loaded back, the tables make a snapshot of the same content, to the last bit: ids are hashes of it.
#[test]
fn the_loader_makes_the_same_snapshot_of_the_parquet_export() {
    let (folder, _, snapshot) = planted_store();
    let tables = folder.path().join("tables");
    to_parquet(&snapshot, &tables, QUIET).unwrap();
    let again = folder.path().join("again.relata");
    let report = load(&tables.join("manifest.toml"), &again);
    for source in &report.sources {
        assert_eq!((source.tally.read, &source.tally.drops), (source.tally.kept, &Vec::new()), "{}", source.name);
    }
    assert_eq!(report.snapshot.as_deref(), Some(snapshot.id().as_str()));
    // The id would tell a lost text, time, parallel edge or node that nothing else names.
    let loaded = Snapshot::current(&again).unwrap();
    let second = folder.path().join("second");
    to_parquet(&loaded, &second, QUIET).unwrap();
    let manifest = |tables: &Path| fs::read_to_string(tables.join("manifest.toml")).unwrap();
    assert_eq!(manifest(&second), manifest(&tables));
}
