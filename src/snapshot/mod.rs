//! An immutable, memory-mapped copy of a store's graph, to read fast.

use std::path::Path;

use relata_schema::{AttributeId, Direction, EdgeValue, NodeTypeId, RelationId, Schema, SourceRecord, Value};

use crate::Result;

/// A snapshot's identity: the BLAKE3 hash of its schema and content, in hexadecimal (32 digits).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotId(String);

/// An open snapshot: cheap to clone (an `Arc` inside), `Send + Sync`.
#[derive(Clone)]
pub struct Snapshot {}

/// One relation, walked in one direction: a CSR over the near end's nodes.
#[derive(Clone, Copy)]
pub struct Adjacency<'s> {
    /// `near nodes + 1` positions.
    pub offsets: &'s [u64],
    /// Far nodes; within a near node by time, then far node.
    pub targets: &'s [u32],
    /// In the unit of the relation's time attribute; `i64::MIN` is missing. Empty where the relation has no time.
    pub times: &'s [i64],
}

/// A column of an edge attribute, aligned with [`Adjacency::targets`].
#[derive(Clone, Copy)]
pub enum EdgeColumn<'s> {
    /// Numbers, counts and booleans (0, 1); NaN is missing.
    Number(&'s [f32]),
    /// Codes into [`Snapshot::edge_categories`]; `u32::MAX` is missing.
    Category(&'s [u32]),
}

/// A column of a node attribute; as long as the type has nodes.
#[derive(Clone, Copy)]
pub enum NodeColumn<'s> {
    /// Numbers and counts (f64); NaN is missing.
    Number(&'s [f64]),
    /// Codes into [`Snapshot::categories`]; `u32::MAX` is missing.
    Category(&'s [u32]),
    /// 0, 1, or 255 for missing.
    Boolean(&'s [u8]),
    /// `i64::MIN` is missing.
    Time(&'s [i64]),
    /// Row-major, `dimension` numbers a node; a row of NaN is missing.
    Vector {
        /// Numbers a node.
        dimension: u32,
        /// `nodes × dimension`.
        values: &'s [f32],
    },
    /// Texts and sequences: read them with [`Snapshot::text`].
    Text,
    /// Intervals: read them with [`Snapshot::value`].
    Interval,
}

impl Snapshot {
    /// Opens `<store>/snapshots/<id>/`.
    pub fn open(_folder: &Path) -> Result<Self> {
        todo!()
    }
    /// Opens the store's current snapshot, the one that `<store>/snapshots/CURRENT` names.
    pub fn current(_store: &Path) -> Result<Self> {
        todo!()
    }
    /// Its identity.
    pub fn id(&self) -> &SnapshotId {
        todo!()
    }
    /// The schema.
    pub fn schema(&self) -> &Schema {
        todo!()
    }
    /// Where it came from.
    pub fn sources(&self) -> &[SourceRecord] {
        todo!()
    }
    /// How many nodes a type has; they are numbered 0.. in the byte order of their keys.
    pub fn node_count(&self, _node_type: NodeTypeId) -> u32 {
        todo!()
    }
    /// How many edges a relation has (a symmetric edge counts once).
    pub fn edge_count(&self, _relation: RelationId) -> u64 {
        todo!()
    }
    /// A node's key.
    pub fn key(&self, _node_type: NodeTypeId, _node: u32) -> &str {
        todo!()
    }
    /// The node with exactly this key (binary search).
    pub fn find(&self, _node_type: NodeTypeId, _key: &str) -> Option<u32> {
        todo!()
    }
    /// What people call the node: its label attribute, else its key.
    pub fn label(&self, _node_type: NodeTypeId, _node: u32) -> &str {
        todo!()
    }
    /// A column of an attribute.
    pub fn column(&self, _node_type: NodeTypeId, _attribute: AttributeId) -> NodeColumn<'_> {
        todo!()
    }
    /// The names of a category attribute's codes, in byte order.
    pub fn categories(&self, _node_type: NodeTypeId, _attribute: AttributeId) -> Vec<&str> {
        todo!()
    }
    /// A text or sequence; `None` where missing.
    pub fn text(&self, _node_type: NodeTypeId, _attribute: AttributeId, _node: u32) -> Option<&str> {
        todo!()
    }
    /// Any attribute's value; `None` where missing.
    pub fn value(&self, _node_type: NodeTypeId, _attribute: AttributeId, _node: u32) -> Option<Value> {
        todo!()
    }
    /// A relation in one direction. A symmetric relation's two directions are the same CSR, with every edge at both ends.
    pub fn adjacency(&self, _relation: RelationId, _direction: Direction) -> Adjacency<'_> {
        todo!()
    }
    /// A column of an edge attribute, in the order of that direction's targets. A time attribute has no column: it is
    /// [`Adjacency::times`].
    pub fn edge_column(&self, _relation: RelationId, _direction: Direction, _attribute: AttributeId) -> EdgeColumn<'_> {
        todo!()
    }
    /// The names of an edge category's codes, in byte order.
    pub fn edge_categories(&self, _relation: RelationId, _attribute: AttributeId) -> Vec<&str> {
        todo!()
    }
}

impl<'s> Adjacency<'s> {
    /// The positions in `targets` of a near node's edges.
    pub fn range(&self, _node: u32) -> std::ops::Range<usize> {
        todo!()
    }
    /// The far nodes of a near node.
    pub fn neighbors(&self, _node: u32) -> &'s [u32] {
        todo!()
    }
}

/// Columns that a [`SnapshotWriter`] takes; a missing value is `None`.
pub enum NodeData {
    /// In node order.
    Values(Vec<Option<Value>>),
}

/// A relation's edges, in any order.
#[derive(Default)]
pub struct EdgeData {
    /// Source nodes.
    pub sources: Vec<u32>,
    /// Target nodes.
    pub targets: Vec<u32>,
    /// One an edge, or empty where the relation has no time attribute; `i64::MIN` is missing.
    pub times: Vec<i64>,
    /// For each attribute of the relation, in its order: one an edge, or empty for the time attribute.
    pub attributes: Vec<Vec<EdgeValue>>,
    /// For each attribute of the relation, in its order: the names of its category codes (any order), else empty.
    pub categories: Vec<Vec<String>>,
}

/// Writes a snapshot: nodes of every type first, then columns and relations, then [`publish`](Self::publish).
pub struct SnapshotWriter {}

impl SnapshotWriter {
    /// Begins in a temporary folder under `<store>/snapshots/`.
    pub fn create(_store: &Path, _schema: &Schema) -> Result<Self> {
        todo!()
    }
    /// The keys of a type, strictly ascending in byte order.
    pub fn nodes(&mut self, _node_type: NodeTypeId, _keys: &[String]) -> Result<()> {
        todo!()
    }
    /// A column of a node attribute. One that is never given is missing throughout.
    pub fn column(&mut self, _node_type: NodeTypeId, _attribute: AttributeId, _data: NodeData) -> Result<()> {
        todo!()
    }
    /// A relation's edges.
    pub fn relation(&mut self, _relation: RelationId, _data: EdgeData) -> Result<()> {
        todo!()
    }
    /// Checksums, syncs, renames to its identity, and makes it the store's current one.
    pub fn publish(self, _sources: &[SourceRecord]) -> Result<SnapshotId> {
        todo!()
    }
}
