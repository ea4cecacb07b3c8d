//! What the loader's tests share: a folder with files and a manifest, the loader's binary, and small AnnData files.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hdf5_writer::{AttributeBuilder, DatasetBuilder, Hdf5Builder, WriteOptions};
use relata::snapshot::{EdgeColumn, Snapshot};
use relata::store::Store;
use relata_ingest::{Manifest, Options, Report};
use relata_schema::{Direction, SourceRecord, Value};
use sha2::{Digest, Sha256};

/// A folder of files; it goes with its owner.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            folder.write(name, bytes);
        }
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes a manifest with these sources.
    pub fn manifest(&self, name: &str, sources: &str) -> PathBuf {
        self.write(name, format!("[dataset]\nname = \"small\"\n\n{sources}"))
    }

    /// Loads these sources and opens what came of it.
    pub fn load(&self, sources: &str) -> relata_ingest::Result<(Report, Snapshot)> {
        let manifest = Manifest::read(&self.manifest("load.toml", sources))?;
        let store = self.path("load.relata");
        let quiet = Options { quiet: true, ..Options::default() };
        let planned = relata_ingest::plan(&manifest, quiet)?;
        let report = relata_ingest::run(&manifest, &store, quiet)?;
        assert_eq!(planned.sources, report.sources, "a plan counts what a run counts");
        Ok((report, Snapshot::current(&store).unwrap()))
    }
}

/// Runs `relata-load`.
pub fn relata_load(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relata-load")).args(arguments).output().unwrap()
}

/// `relata-load run MANIFEST --store STORE`
pub fn run(manifest: &Path, store: &Path) -> Output {
    relata_load(&[Path::new("run"), manifest, Path::new("--store"), store])
}

/// Everything that a store's readers and its next loads see.
#[derive(Debug, PartialEq)]
pub struct Content {
    sources: Vec<SourceRecord>,
    snapshot: Option<String>,
    /// SHA-256 of each file of its segments and snapshots.
    files: BTreeMap<PathBuf, String>,
}

impl Content {
    pub fn of(store: &Path) -> Self {
        let mut files = BTreeMap::new();
        for part in ["segments", "snapshots"] {
            hash_files(&store.join(part), &mut files);
        }
        let sources = Store::open(store).unwrap().sources().to_vec();
        Self { sources, snapshot: Snapshot::current_id(store).map(|id| id.to_string()), files }
    }
}

fn hash_files(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            hash_files(&path, files);
        } else {
            let hash = Sha256::digest(fs::read(&path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
            files.insert(path, hash);
        }
    }
}

/// A node's attribute, or nothing.
pub fn value(snapshot: &Snapshot, node_type: &str, key: &str, attribute: &str) -> Option<Value> {
    let node_type = snapshot.schema().node_type(node_type).unwrap();
    let node = snapshot.find(node_type, key).unwrap_or_else(|| panic!("no node has the key {key}"));
    snapshot.value(node_type, snapshot.schema().node_attribute(node_type, attribute).unwrap(), node)
}

pub fn text(snapshot: &Snapshot, node_type: &str, key: &str, attribute: &str) -> Option<String> {
    value(snapshot, node_type, key, attribute).map(|value| match value {
        Value::Text(text) | Value::Category(text) | Value::Sequence(text) => text,
        other => panic!("{other:?} is no text"),
    })
}

/// The keys of all nodes of a type, sorted.
pub fn keys(snapshot: &Snapshot, node_type: &str) -> Vec<String> {
    let node_type = snapshot.schema().node_type(node_type).unwrap();
    (0..snapshot.node_count(node_type)).map(|node| snapshot.key(node_type, node).to_owned()).collect()
}

/// All edges of a relation: the keys of both ends, and the value of `attribute` where it is a number.
pub fn edges(snapshot: &Snapshot, relation: &str, attribute: Option<&str>) -> Vec<(String, String, Option<f32>)> {
    let schema = snapshot.schema();
    let relation = schema.relation(relation).unwrap();
    let (source, target) = (schema.edge(relation).source, schema.edge(relation).target);
    let adjacency = snapshot.adjacency(relation, Direction::Outgoing);
    let column =
        attribute.map(|name| snapshot.edge_column(relation, Direction::Outgoing, schema.edge_attribute(relation, name).unwrap()));
    let mut edges = Vec::new();
    for node in 0..snapshot.node_count(source) {
        for edge in adjacency.range(node) {
            let far = snapshot.key(target, adjacency.targets[edge]).to_owned();
            edges.push((snapshot.key(source, node).to_owned(), far, column.and_then(|column| number(column, edge))));
        }
    }
    edges.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    edges
}

fn number(column: EdgeColumn<'_>, edge: usize) -> Option<f32> {
    match column {
        EdgeColumn::Number(numbers) => Some(numbers[edge]).filter(|number| !number.is_nan()),
        EdgeColumn::Category(_) => None,
    }
}

/// How a small AnnData file keeps its matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Csr,
    Csc,
    Dense,
}

/// Three cells × four genes; `c3` has no count, `g2` no cell.
pub const COUNTS: [[u32; 4]; 3] = [[1, 0, 0, 2], [0, 0, 3, 0], [0, 0, 0, 0]];

/// AnnData as anndata 0.8 and later write it: `obs` has `celltype` (a category: B, T, missing), `depth` (numbers) and `note`
/// (texts); `var` has `symbol`.
pub fn anndata(layout: Layout) -> Vec<u8> {
    let text = |name: &str, values: &[&str]| DatasetBuilder::vlen_string_data(name, [values.len() as u64], values).unwrap();
    let attribute = |name: &str, value: &str| AttributeBuilder::vlen_strings(name, &[value]).unwrap();
    let mut file = Hdf5Builder::new()
        .group_attribute("obs", AttributeBuilder::fixed_string("_index", "_index"))
        .dataset(text("obs/_index", &["c1", "c2", "c3"]))
        .dataset(text("obs/celltype/categories", &["B", "T"]))
        .dataset(DatasetBuilder::typed_data("obs/celltype/codes", [3], &[1_i8, 0, -1]).unwrap())
        .dataset(DatasetBuilder::typed_data("obs/depth", [3], &[1.5_f64, f64::NAN, 2.0]).unwrap())
        .dataset(text("obs/note", &["x", "", "z"]))
        .group_attribute("var", attribute("_index", "gene"))
        .dataset(text("var/gene", &["g1", "g2", "g3", "g4"]))
        .dataset(text("var/symbol", &["A", "B", "C", "D"]));
    file = match layout {
        Layout::Dense => {
            let all: Vec<f32> = COUNTS.iter().flatten().map(|&count| count as f32).collect();
            file.dataset(DatasetBuilder::typed_data("X", [3, 4], &all).unwrap())
        }
        Layout::Csr | Layout::Csc => {
            let by_row = layout == Layout::Csr;
            // What is compressed: the rows, or the columns as rows.
            let lines: Vec<Vec<u32>> = match by_row {
                true => COUNTS.iter().map(|row| row.to_vec()).collect(),
                false => (0..4).map(|column| COUNTS.iter().map(|row| row[column]).collect()).collect(),
            };
            let (mut pointers, mut indices, mut data) = (vec![0_i32], Vec::new(), Vec::new());
            for line in lines {
                for (place, count) in line.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                    indices.push(place as i32);
                    data.push(f64::from(count));
                }
                pointers.push(data.len() as i32);
            }
            file.group_attribute("X", attribute("encoding-type", if by_row { "csr_matrix" } else { "csc_matrix" }))
                .group_attribute("X", AttributeBuilder::vector("shape", &[3_i64, 4]).unwrap())
                .dataset(DatasetBuilder::typed_data("X/indptr", [pointers.len() as u64], &pointers).unwrap())
                .dataset(DatasetBuilder::typed_data("X/indices", [indices.len() as u64], &indices).unwrap())
                .dataset(DatasetBuilder::typed_data("X/data", [data.len() as u64], &data).unwrap())
        }
    };
    file.into_plan().unwrap().encode(WriteOptions::default()).unwrap()
}

/// The folder of real data, or nothing and a word about it.
pub fn real_data() -> Option<PathBuf> {
    let folder = match std::env::var_os("RELATA_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: the real data is not at {}; set RELATA_DATA to its folder", folder.display());
    None
}
