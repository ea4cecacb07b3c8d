//! An immutable, memory-mapped copy of a store's graph, to read fast.
//!
//! A [`SnapshotWriter`] writes one, a [`Snapshot`] reads it and finds [paths](PathQuery) in it; [`DataGraph`] shows it to
//! petgraph's algorithms. The bytes are described in [`mod@format`].
//!
//! A snapshot stays on the disk while some process has it open; what a publisher finds unheld it drops.
//!
//! **Invariants:** a snapshot never changes, and its [`SnapshotId`] is its content. Nodes are numbered in
//! the byte order of their keys, edges of a node are sorted by time, then far node, then attributes, and
//! category codes are in the byte order of their names: equal content has equal bytes.

mod bucket;
mod column;
mod cost;
mod edges;
pub mod format;
mod gather;
mod graph;
mod guard;
mod hold;
mod id;
pub mod path;
mod provenance;
mod reader;
mod relation;
mod search;
mod times;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use column::Intervals;
pub use column::{Adjacency, EdgeColumn, NodeColumn};
pub use cost::{Cost, Weight};
pub use edges::EdgeData;
pub(crate) use edges::{EdgeBlock, EdgeStream};
pub(crate) use gather::Gathered;
pub use graph::{DataEdge, DataGraph};
pub use id::SnapshotId;
pub use path::{FoundPaths, MOST_PATH_HOPS, MOST_PATHS, Path, PathEnd, PathQuery, PathStep};
pub use reader::Snapshot;
pub use search::Hit;
pub(crate) use times::Coding;
pub use times::Times;
pub use walk::{Marks, Walk};
pub use writer::SnapshotWriter;
