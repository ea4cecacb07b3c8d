//! A snapshot in the formats of other programs.
//!
//! * [`to_parquet`]: all of it as tables, with the schema and a manifest that loads them back: the snapshot that the load
//!   publishes has the same id.
//! * [`to_graphml`]: some of it, or all, as one graph for networkx, Gephi and Cytoscape.
//! * [`to_anndata`]: one relation as a matrix (cells × genes) with what is known of its rows and columns.
//! * [`subgraphs`]: what a sampler draws of it, as shards or a stream for other programs to learn from.
//! * [`negatives`]: edges of a relation, and beside each some pairs that are none.
//!
//! **Invariants:** what is written appears whole or not at all, and memory is bounded: a batch of rows or edges, beside what
//! a format keeps of each node while it is written.

mod anndata;
mod edges;
mod graphml;
mod hdf5;
mod manifest;
pub mod negatives;
mod output;
mod parquet;
pub mod subgraphs;
mod table;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use anndata::{Matrix, to_anndata};
pub use graphml::{Selection, SymmetricEdges, to_graphml};
pub use parquet::to_parquet;
pub use table::TableFormat;

/// How an export is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether an earlier export at the same place is replaced.
    pub overwrite: bool,
    /// Show no progress.
    pub quiet: bool,
}

/// What an export wrote.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    /// `parquet`, `graphml`, `h5ad` or `arrow`.
    pub format: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The snapshot's id.
    pub snapshot: String,
    /// Its tables, or what the one file holds.
    pub parts: Vec<Part>,
    /// On the disk.
    pub bytes: u64,
    /// What the reader of the file should know: what the format cannot hold, and what became of it.
    pub notes: Vec<String>,
}

/// A part of an export.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// `nodes/gene.parquet`, `part-00000.arrow`, `gene`, `obs`.
    pub name: String,
    /// Nodes, edges, subgraphs, pairs or stored entries of a matrix.
    pub rows: u64,
}

impl Exported {
    fn new(format: &'static str, path: &Path, snapshot: &crate::snapshot::Snapshot) -> Self {
        let snapshot = snapshot.id().to_string();
        Self { format, path: path.to_owned(), snapshot, parts: Vec::new(), bytes: 0, notes: Vec::new() }
    }

    fn part(&mut self, name: impl Into<String>, rows: u64) {
        self.parts.push(Part { name: name.into(), rows });
    }
}
