use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{SystemTime, UNIX_EPOCH};

use relata_schema::{AttributeId, Drop, EdgeValue, NodeTypeId, RelationId, Schema, SourceRecord, Tally, Value, suggestion};

use super::Store;
use super::changes::{Changes, Counts, Edge};
use super::commit::{Commit, EditEntry};
use super::dictionary::{self, Owner};
use super::engine::Tree;
use super::fits;
use super::lock::utc;
use super::names::Names;
use super::segment::{self, SegmentWriter, Written};
use crate::disk::sync_folder;
use crate::{Error, Result};

/// Segments of edits that a commit lists at most; when there would be more, they become one.
pub(super) const MOST_EDITS: usize = 64;

/// The data set that the records of edits name.
pub(super) const DATASET: &str = "edits";

/// Deletions that a record names.
const EXAMPLES: usize = 5;

/// Changes of people's own, under way: above all that is loaded and all edits before, and in force until a later edit takes
/// them back. Loading a source again does not undo them.
///
/// Within an edit the last word wins. Nothing is visible before [`commit`](Self::commit); dropping it leaves the store as it
/// was. All of it is in memory until then.
pub struct Edit<'s> {
    store: &'s mut Store,
    /// The keys of node types that get new ones.
    nodes: BTreeMap<NodeTypeId, Names>,
    /// The same of edge categories.
    categories: BTreeMap<(RelationId, AttributeId), Names>,
    changes: Changes,
    note: Option<String>,
    /// Whether the commit sees that a snapshot fits the disk as well.
    snapshot_follows: bool,
}

impl Store {
    /// Begins an edit.
    ///
    /// # Errors
    /// When a commit failed before, or the disk refuses.
    pub fn edit(&mut self) -> Result<Edit<'_>> {
        self.expect_certain("beginning an edit")?;
        self.remove_unlisted()?;
        Ok(Edit {
            store: self,
            nodes: BTreeMap::new(),
            categories: BTreeMap::new(),
            changes: Changes::default(),
            note: None,
            snapshot_follows: true,
        })
    }
}

impl Edit<'_> {
    /// The store's schema. An edit does not change it.
    pub fn schema(&self) -> &Schema {
        self.store.schema()
    }

    /// Why: it becomes a part of the name in the edit's record.
    pub fn note(&mut self, text: &str) {
        self.note = Some(text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|note| !note.is_empty());
    }

    /// No snapshot follows soon: the commit does not ask for its room on the disk then.
    pub fn without_snapshot(&mut self) {
        self.snapshot_follows = false;
    }

    /// The node with this key, as the edit sees it.
    ///
    /// # Errors
    /// When the store is damaged.
    pub fn find(&self, node_type: NodeTypeId, key: &str) -> Result<Option<u32>> {
        let names = match self.nodes.get(&node_type) {
            Some(names) => names,
            None => self.store.names(node_type)?,
        };
        let Some(node) = names.find(key) else { return Ok(None) };
        Ok(self.is_live(node_type, node)?.then_some(node))
    }

    /// The node with this key.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] with the nearest keys.
    pub fn node(&self, node_type: NodeTypeId, key: &str) -> Result<u32> {
        self.find(node_type, key)?.map_or_else(|| Err(self.unknown_key(node_type, key)?), Ok)
    }

    /// The node with this key, made if there is none.
    ///
    /// # Errors
    /// For an empty or much too long key, or 2^32 − 1 nodes of the type.
    pub fn upsert_node(&mut self, node_type: NodeTypeId, key: &str) -> Result<u32> {
        fits::key(self.schema(), node_type, key)?;
        let node = match self.store.names(node_type)?.find(key) {
            Some(node) => node,
            None => {
                let what = format!("keys of {}", self.schema().node(node_type).name);
                self.new_names(node_type)?.number(key, || what)?
            }
        };
        self.changes.upsert_node(node_type, node);
        Ok(node)
    }

    /// Deletes a node with its values and its edges. It stays deleted when a source that has it is loaded again; upserting
    /// it brings it back, empty.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] with the nearest keys.
    pub fn delete_node(&mut self, node_type: NodeTypeId, key: &str) -> Result<()> {
        let node = self.node(node_type, key)?;
        self.changes.delete_node(node_type, node);
        Ok(())
    }

    /// Sets an attribute, or removes its value.
    ///
    /// # Errors
    /// For a value of another kind than the attribute's, a number that is not finite, or a node that is not there.
    pub fn set(&mut self, node_type: NodeTypeId, node: u32, attribute: AttributeId, value: Option<Value>) -> Result<()> {
        match &value {
            Some(value) => fits::value(self.schema(), node_type, attribute, value)?,
            None => drop(fits::attribute_kind(self.schema(), node_type, attribute)?),
        }
        self.expect_live(node_type, node)?;
        self.changes.set(node_type, attribute, node, value);
        Ok(())
    }

    /// The code of a category's name, for [`EdgeValue::Category`].
    ///
    /// # Errors
    /// When the attribute is no category.
    pub fn category(&mut self, relation: RelationId, attribute: AttributeId, name: &str) -> Result<u32> {
        fits::category(self.schema(), relation, attribute, name)?;
        self.store.category(&mut self.categories, relation, attribute, name)
    }

    /// Makes this the one edge of a relation between two nodes, whatever was between them before; a symmetric edge in either
    /// orientation. `time` and `attributes` are as in [`Load::edge`](super::Load::edge).
    ///
    /// # Errors
    /// As there, and for a node that is not there.
    pub fn upsert_edge(
        &mut self,
        relation: RelationId,
        source: u32,
        target: u32,
        time: Option<i64>,
        attributes: &[EdgeValue],
    ) -> Result<()> {
        let categories = |at| self.categories.get(&(relation, at)).map_or(0, Names::len);
        fits::edge(self.store.schema(), relation, time, attributes, categories)?;
        self.expect_ends(relation, source, target)?;
        let edge = Edge { time, attributes: attributes.to_vec() };
        self.changes.edge(self.store.schema(), relation, source, target, Some(edge));
        Ok(())
    }

    /// Deletes all edges of a relation between two nodes; of a symmetric one in either orientation.
    ///
    /// # Errors
    /// When there is none, or a node is not there.
    pub fn delete_edge(&mut self, relation: RelationId, source: u32, target: u32) -> Result<()> {
        self.expect_ends(relation, source, target)?;
        if !self.has_edge(relation, source, target)? {
            let known = self.schema().edge(relation);
            let ends = (self.key(known.source, source)?, self.key(known.target, target)?);
            return Err(Error::setting(
                format!("an edge of {}", self.schema().relation_title(relation)),
                format!("none from `{}` to `{}`", ends.0, ends.1),
                "one that is there",
            ));
        }
        self.changes.edge(self.store.schema(), relation, source, target, None);
        Ok(())
    }

    /// Makes the whole edit visible, durably, at once. One in which nothing was said writes nothing.
    ///
    /// # Errors
    /// When the disk refuses: the store is as it was then.
    pub fn commit(mut self) -> Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let number = self.store.commit.next_segment;
        match self.prepare(number) {
            Ok(commit) => self.store.make_current(commit),
            Err(error) => {
                if let Err(error) = segment::remove(&self.store.path, &self.store.engine, number) {
                    // The next load or edit tries again.
                    tracing::warn!("{error}");
                }
                Err(error)
            }
        }
    }

    /// Writes all that the next commit record names, durably, and returns that record.
    fn prepare(&mut self, number: u32) -> Result<Commit> {
        let record = self.record()?;
        let changes = std::mem::take(&mut self.changes);
        let store = &*self.store;
        let before = &store.commit;
        let next_segment = segment::after(number)?;
        let (mut edits, changes, mut records) = if before.edits.len() < MOST_EDITS {
            (before.edits.clone(), changes, Vec::new())
        } else {
            let folded = store.folded(changes)?;
            (Vec::new(), folded, before.edits.iter().flat_map(|edit| edit.records.clone()).collect())
        };
        records.push(record);
        let mut writer = SegmentWriter::create(&store.path, number)?;
        changes.write(store.schema(), &mut writer)?;
        let Written { entry: segment, blocks } = writer.finish()?;
        let names = self.nodes.values().chain(self.categories.values()).map(Names::bytes).sum::<usize>();
        let snapshot = if self.snapshot_follows { 2 * segment.bytes + current_snapshot_bytes(store) } else { 0 };
        store.expect_space(segment::index_bytes(&blocks) + names, snapshot)?;
        store.engine.put(Tree::Blocks, segment::index_pages(number, &blocks))?;
        let nodes = self.nodes.iter().map(|(&node_type, names)| (Owner::Nodes(node_type), names));
        let categories = self.categories.iter().map(|(&(relation, at), names)| (Owner::Categories(relation, at), names));
        let dictionaries = dictionary::append_all(&store.engine, &before.dictionaries, nodes.chain(categories))?;
        sync_folder(&segment::folder(&store.path))?;
        store.engine.flush()?;
        edits.push(EditEntry { records, segment });
        Ok(Commit {
            sequence: before.sequence + 1,
            next_segment,
            schema: before.schema.clone(),
            sources: before.sources.clone(),
            edits,
            dictionaries,
        })
    }

    /// Who reads where the content came from sees that people changed it, when, and what.
    fn record(&self) -> Result<SourceRecord> {
        let counts = self.changes.counts(self.schema());
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let note = self.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        Ok(SourceRecord {
            dataset: DATASET.to_owned(),
            name: format!("commit {}, {}{note}", self.store.commit.sequence + 1, utc(seconds)),
            format: "edit".to_owned(),
            loader: env!("CARGO_PKG_VERSION").to_owned(),
            tally: Tally {
                read: self.changes.said(),
                kept: self.changes.said(),
                nodes: counts.nodes,
                edges: counts.edges,
                values: counts.values,
                drops: self.drops(&counts)?,
            },
            ..SourceRecord::default()
        })
    }

    fn drops(&self, counts: &Counts) -> Result<Vec<Drop>> {
        let schema = self.schema();
        let mut nodes = Vec::new();
        for &(node_type, node) in counts.deleted_nodes.iter().take(EXAMPLES) {
            nodes.push(format!("{} {}", schema.node(node_type).name, self.key(node_type, node)?));
        }
        let mut edges = Vec::new();
        for &(relation, source, target) in counts.deleted_edges.iter().take(EXAMPLES) {
            let known = schema.edge(relation);
            edges.push(format!("{} {} {}", self.key(known.source, source)?, known.name, self.key(known.target, target)?));
        }
        let mut values = Vec::new();
        for &(node_type, attribute, node) in counts.unset_values.iter().take(EXAMPLES) {
            let owner = schema.node(node_type);
            values.push(format!("{} {}.{}", owner.name, self.key(node_type, node)?, owner.attributes[attribute.index()].name));
        }
        let all = [
            ("nodes were deleted", counts.deleted_nodes.len(), nodes),
            ("pairs of nodes lost their edge", counts.deleted_edges.len(), edges),
            ("values were removed", counts.unset_values.len(), values),
        ];
        let drops = all.into_iter().filter(|(_, count, _)| *count > 0);
        Ok(drops.map(|(reason, count, examples)| Drop { reason: reason.to_owned(), count: count as u64, examples }).collect())
    }

    fn new_names(&mut self, node_type: NodeTypeId) -> Result<&mut Names> {
        Ok(match self.nodes.entry(node_type) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(self.store.names(node_type)?.clone()),
        })
    }

    fn key(&self, node_type: NodeTypeId, node: u32) -> Result<&str> {
        match self.nodes.get(&node_type) {
            Some(names) if node < names.len() => Ok(names.get(node)),
            _ => self.store.key(node_type, node),
        }
    }

    fn is_live(&self, node_type: NodeTypeId, node: u32) -> Result<bool> {
        if self.changes.upserts(node_type, node) {
            return Ok(true);
        }
        Ok(!self.changes.deletes(node_type, node) && self.store.is_live(node_type, node)?)
    }

    fn expect_live(&self, node_type: NodeTypeId, node: u32) -> Result<()> {
        if self.is_live(node_type, node)? {
            return Ok(());
        }
        let owner = fits::type_name(self.schema(), node_type)?;
        let expected = "one that is there: `Edit::find` and `Edit::upsert_node` give it".to_owned();
        Err(Error::setting(format!("node of type {owner}"), node.to_string(), expected))
    }

    fn expect_ends(&self, relation: RelationId, source: u32, target: u32) -> Result<()> {
        let known = fits::relation(self.schema(), relation)?;
        self.expect_live(known.source, source)?;
        self.expect_live(known.target, target)
    }

    fn has_edge(&self, relation: RelationId, source: u32, target: u32) -> Result<bool> {
        if let Some(said) = self.changes.said_of_edge(self.schema(), relation, source, target) {
            return Ok(said.is_some());
        }
        let known = self.schema().edge(relation);
        if self.changes.deletes(known.source, source) || self.changes.deletes(known.target, target) {
            return Ok(false);
        }
        let neighbors = self.store.neighbors(relation, relata_schema::Direction::Outgoing, source)?;
        Ok(neighbors.iter().any(|neighbor| neighbor.node == target))
    }

    /// The error for a key that no live node has.
    fn unknown_key(&self, node_type: NodeTypeId, key: &str) -> Result<Error> {
        let names = match self.nodes.get(&node_type) {
            Some(names) => names,
            None => self.store.names(node_type)?,
        };
        let live = self.store.live(node_type)?;
        let is_live =
            |node: u32| self.changes.upserts(node_type, node) || (live.contains(node) && !self.changes.deletes(node_type, node));
        let keys = (0..names.len()).filter(|&node| is_live(node)).map(|node| names.get(node));
        let node_type = fits::type_name(self.schema(), node_type)?.to_owned();
        Ok(Error::UnknownKey { node_type, key: key.to_owned(), suggestion: suggestion(key, keys) })
    }
}

impl Store {
    /// All edits as one, and `last` above them.
    fn folded(&self, last: Changes) -> Result<Changes> {
        let mut folded = Changes::default();
        for edit in &self.commit.edits {
            folded.read(&*self.segment(&edit.segment)?, self.schema())?;
        }
        folded.extend(self.schema(), last);
        Ok(folded)
    }
}

fn current_snapshot_bytes(store: &Store) -> u64 {
    crate::snapshot::Snapshot::current(&store.path).map_or(0, |snapshot| snapshot.bytes())
}
