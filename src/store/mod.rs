//! What was loaded: posting blocks and column blocks in sled, with their own integrity.

use std::path::Path;

use relata_schema::{AttributeId, EdgeValue, NodeTypeId, RelationId, Schema, SourceRecord, Tally, Value};

use crate::Result;
use crate::snapshot::SnapshotId;

/// A store, open for writing: one process at a time. Readers use [`Snapshot`](crate::snapshot::Snapshot)s.
pub struct Store {}

impl Store {
    /// Opens the store at `path`, or makes one there.
    pub fn open_or_create(_path: &Path) -> Result<Self> {
        todo!()
    }
    /// Opens the store at `path`.
    pub fn open(_path: &Path) -> Result<Self> {
        todo!()
    }
    /// The schema of what is committed.
    pub fn schema(&self) -> &Schema {
        todo!()
    }
    /// What is committed, source by source.
    pub fn sources(&self) -> &[SourceRecord] {
        todo!()
    }
    /// Begins a load. Nothing of it is visible before [`Load::commit`]; dropping it leaves the store as it was.
    pub fn begin(&mut self, _schema: &Schema) -> Result<Load<'_>> {
        todo!()
    }
    /// Writes what is committed as a snapshot and makes it current.
    pub fn snapshot(&mut self, _quiet: bool) -> Result<SnapshotId> {
        todo!()
    }
}

/// A load under way: the sources of one manifest, one after another.
pub struct Load<'s> {
    _store: &'s mut Store,
}

impl Load<'_> {
    /// The schema that the store will have: what it had, and what the load adds. Use its ids.
    pub fn schema(&self) -> &Schema {
        todo!()
    }
    /// Whether a committed source with this data set, name and fingerprint exists, so that it need not be read again.
    pub fn is_current(&self, _dataset: &str, _name: &str, _fingerprint: &str) -> bool {
        todo!()
    }
    /// Keeps such a source as it is in this load.
    pub fn keep(&mut self, _dataset: &str, _name: &str) -> Result<()> {
        todo!()
    }
    /// Begins a source: what follows belongs to it, and replaces what a committed source of the same data set and name
    /// brought.
    pub fn begin_source(&mut self, _dataset: &str, _name: &str) -> Result<()> {
        todo!()
    }
    /// The node with this key, made if there is none. Ids are stable for this store.
    pub fn node(&mut self, _node_type: NodeTypeId, _key: &str) -> Result<u32> {
        todo!()
    }
    /// The node with this key, if a source of this load or a committed one has it.
    pub fn find(&self, _node_type: NodeTypeId, _key: &str) -> Result<Option<u32>> {
        todo!()
    }
    /// All keys of a type that this load can see: committed sources that it does not replace, and its own so far.
    pub fn keys(&self, _node_type: NodeTypeId) -> Result<Vec<(u32, String)>> {
        todo!()
    }
    /// All values of a text attribute that this load can see.
    pub fn texts(&self, _node_type: NodeTypeId, _attribute: AttributeId) -> Result<Vec<(u32, String)>> {
        todo!()
    }
    /// Sets an attribute. Within a load the last source wins; a later one overrides an earlier one.
    pub fn set(&mut self, _node_type: NodeTypeId, _node: u32, _attribute: AttributeId, _value: Value) -> Result<()> {
        todo!()
    }
    /// The code of a category's name, for [`EdgeValue::Category`].
    pub fn category(&mut self, _relation: RelationId, _attribute: AttributeId, _name: &str) -> Result<u32> {
        todo!()
    }
    /// Adds an edge. `time` is that of the relation's time attribute; `attributes` holds one value an attribute of the
    /// relation, in its order (`Missing` at the place of the time). Parallel edges are kept.
    pub fn edge(
        &mut self,
        _relation: RelationId,
        _source: u32,
        _target: u32,
        _time: Option<i64>,
        _attributes: &[EdgeValue],
    ) -> Result<()> {
        todo!()
    }
    /// Ends the source: its blocks are written (not yet visible).
    pub fn end_source(&mut self, _record: SourceRecord) -> Result<Tally> {
        todo!()
    }
    /// Makes the whole load visible, durably, at once.
    pub fn commit(self) -> Result<()> {
        todo!()
    }
}
