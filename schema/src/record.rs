use serde::{Deserialize, Serialize};

/// What one source of a load was, and what became of its rows: the provenance that a store keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The data set that the manifest names.
    pub dataset: String,
    /// The source's name, unique in its data set.
    pub name: String,
    /// The file, as the manifest writes it.
    pub path: String,
    /// The format that it was read as.
    pub format: String,
    /// SHA-256 of the file's bytes as they lie on the disk, in hexadecimal.
    pub sha256: String,
    /// The file's size on the disk, in bytes.
    pub bytes: u64,
    /// The loader's version.
    pub loader: String,
    /// A hash of everything that decides what the source brings: the file, the manifest's settings,
    /// the loader's version and the sources before it. Equal fingerprints bring equal contents.
    pub fingerprint: String,
    /// Counts.
    pub tally: Tally,
}

/// What became of a source's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows (lines, terms, cells, matrix entries) that the file holds.
    pub read: u64,
    /// Rows that reached the graph.
    pub kept: u64,
    /// Nodes that this source names, new ones and known ones.
    pub nodes: u64,
    /// Edges that it brought.
    pub edges: u64,
    /// Values of attributes that it brought.
    pub values: u64,
    /// Why rows did not reach the graph whole, with counts.
    pub drops: Vec<Drop>,
}

/// One reason for which rows were left out or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// The reason, as a phrase: "no gene has this entrez id".
    pub reason: String,
    /// Rows or identifiers concerned.
    pub count: u64,
    /// A few of them.
    pub examples: Vec<String>,
}
