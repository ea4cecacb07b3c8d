use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use relata_schema::{
    AttributeId, AttributeKind, Direction, EdgeValue, NodeTypeId, Relation, RelationId, Schema, SourceRecord, Value,
};

use super::commit::{Commit, Source};
use super::dictionary::{self, DictionaryEntry, Owner};
use super::engine::Engine;
use super::key::Run;
use super::lock::Lock;
use super::names::Names;
use super::nodes::NodeSet;
use super::overlay::Overlay;
use super::posting::{Decoder, MISSING, NO_TIME, Postings};
use super::segment::{self, Segment, SegmentEntry};
use super::{Load, LoadOptions, REMEDY_DAMAGED, marker};
use crate::disk::sync_folder;
use crate::{Error, Result};

/// What a store's folder may hold before its marker is written.
const HALF_MADE: [&str; 7] = ["COMMIT", "COMMIT.writing", "LOCK", "STORE.writing", "db", "segments", "snapshots"];

/// A store, open for writing: one process at a time. Readers use [`Snapshot`](crate::snapshot::Snapshot)s.
pub struct Store {
    pub(super) path: PathBuf,
    pub(super) commit: Commit,
    /// The records of `commit`.
    records: Vec<SourceRecord>,
    pub(super) engine: Engine,
    /// Segments that were read from, by number.
    segments: Mutex<HashMap<u32, Arc<Segment>>>,
    /// The keys of each node type, once they are asked for.
    names: Vec<OnceLock<Names>>,
    /// What the edits hide, once it is asked for.
    overlay: OnceLock<Overlay>,
    /// A commit failed half-way: what the disk holds is one of two states, and only opening it again tells which.
    pub(super) uncertain: bool,
    /// Last, so that it is released when all else is closed.
    _lock: Lock,
}

/// An edge, seen from one of its ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbor {
    /// The node at the other end.
    pub node: u32,
    /// In the unit of the relation's time attribute.
    pub time: Option<i64>,
    /// One an attribute of the relation, in its order; `Missing` at the place of the time.
    pub attributes: Vec<EdgeValue>,
}

impl Store {
    /// Opens the store at `path`, or makes one there.
    ///
    /// # Errors
    /// As [`open`](Self::open); a folder that holds other things is [`Error::NoStore`].
    pub fn open_or_create(path: &Path) -> Result<Self> {
        if marker::is_there(path)? {
            return Self::open(path);
        }
        if let Some(found) = foreign(path)? {
            return Err(Error::NoStore { path: path.to_owned(), found });
        }
        for folder in [path.to_owned(), segment::folder(path), path.join("snapshots")] {
            fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot make the store"))?;
        }
        let lock = Lock::acquire(path)?;
        // Another process may have made it by now.
        if marker::is_there(path)? {
            return Self::locked(path, Engine::open(&path.join("db"))?, lock);
        }
        let (engine, commit) = unmarked(path)?;
        match commit {
            // The marker is still to come, and is of the record's version.
            None => Commit::default().write(&engine, path)?,
            // A process that made the store ended before it wrote the marker.
            Some(commit) if commit.sequence == 0 => {}
            Some(_) => {
                return Err(Error::Damaged {
                    path: path.join("STORE"),
                    record: "the store's marker".to_owned(),
                    found: "it is missing beside a database that has commits".to_owned(),
                    remedy: REMEDY_DAMAGED.to_owned(),
                });
            }
        }
        sync_folder(path)?;
        marker::write(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        Self::locked(path, engine, lock)
    }

    /// Opens the store at `path`.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::Locked`] with the holder, [`Error::Version`], or [`Error::Damaged`].
    pub fn open(path: &Path) -> Result<Self> {
        if !marker::is_there(path)? {
            let found = match fs::symlink_metadata(path) {
                Ok(found) if found.is_dir() => "a folder without the file STORE",
                Ok(_) => "a file",
                Err(_) => "nothing",
            };
            return Err(Error::NoStore { path: path.to_owned(), found: found.to_owned() });
        }
        let lock = Lock::acquire(path)?;
        let database = path.join("db");
        if !Engine::is_there(&database) {
            return Err(missing(database, "the database"));
        }
        Self::locked(path, Engine::open(&database)?, lock)
    }

    pub(super) fn locked(path: &Path, engine: Engine, lock: Lock) -> Result<Self> {
        let commit = Commit::read(&engine, path)?.ok_or_else(|| Error::Damaged {
            path: engine.path().to_owned(),
            record: "the commit record".to_owned(),
            found: "it is missing".to_owned(),
            remedy: REMEDY_DAMAGED.to_owned(),
        })?;
        let segments = segment::folder(path);
        if !segments.is_dir() && commit.segments().next().is_some() {
            return Err(missing(segments, "the folder of the segments"));
        }
        fs::create_dir_all(&segments).map_err(Error::io(&segments, "cannot make the folder of the segments"))?;
        let mut store = Self {
            path: path.to_owned(),
            commit: Commit::default(),
            records: Vec::new(),
            engine,
            segments: Mutex::default(),
            names: Vec::new(),
            overlay: OnceLock::new(),
            uncertain: false,
            _lock: lock,
        };
        store.adopt(commit);
        Ok(store)
    }

    /// Closes the store, and keeps others out still.
    pub(super) fn into_lock(self) -> Lock {
        self._lock
    }

    /// Takes a commit record as the store's own.
    pub(super) fn adopt(&mut self, commit: Commit) {
        self.records = commit.records().cloned().collect();
        self.names = commit.schema.node_types().iter().map(|_| OnceLock::new()).collect();
        self.overlay = OnceLock::new();
        let segments = self.segments.get_mut().unwrap_or_else(PoisonError::into_inner);
        segments.retain(|number, _| commit.segments().any(|entry| entry.number == *number));
        self.commit = commit;
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The schema of what is committed.
    pub fn schema(&self) -> &Schema {
        &self.commit.schema
    }

    /// What is committed, source by source, and then edit by edit.
    pub fn sources(&self) -> &[SourceRecord] {
        &self.records
    }

    /// How many edges of a relation the store has (a symmetric edge counts once). Where edits may hide some, all its blocks
    /// are read to count the others.
    ///
    /// # Errors
    /// When a block that has to be read for it is damaged.
    pub fn edge_count(&self, relation: RelationId) -> Result<u64> {
        let overlay = self.overlay()?;
        let Some(known) = self.schema().relations().get(relation.index()) else { return Ok(0) };
        if !overlay.may_hide_edges(relation, known) {
            return Ok(self.edges_of_all_layers(relation));
        }
        let mut edges = 0;
        for (layer, entry) in self.commit.layers() {
            let segment = self.segment(entry)?;
            let blocks = segment.run(Run::Postings { relation, direction: Direction::Outgoing });
            for blocks in blocks.chunks(64) {
                segment.postings_of(blocks, self.schema(), |postings| {
                    edges += overlay.visible(layer, relation, known, postings).len() as u64;
                    Ok(())
                })?;
            }
        }
        Ok(edges)
    }

    /// The edges of a relation in all segments, with those that edits hide.
    pub(super) fn edges_of_all_layers(&self, relation: RelationId) -> u64 {
        let edges = self.commit.segments().flat_map(|entry| &entry.edges);
        edges.filter(|known| known.relation == relation).map(|known| known.edges).sum()
    }

    /// Begins a load. Nothing of it is visible before [`Load::commit`]; dropping it leaves the store as it was.
    ///
    /// # Errors
    /// When the schema does not fit that of the store.
    pub fn begin(&mut self, schema: &Schema) -> Result<Load<'_>> {
        self.begin_with(schema, LoadOptions::default())
    }

    /// [`begin`](Self::begin) with other settings.
    ///
    /// # Errors
    /// As there.
    pub fn begin_with(&mut self, schema: &Schema, options: LoadOptions) -> Result<Load<'_>> {
        self.expect_certain("beginning a load")?;
        let schema = self.commit.schema.merged_with(schema)?;
        self.remove_unlisted()?;
        Load::new(self, schema, options)
    }

    /// After a commit that failed half-way nothing is begun.
    pub(super) fn expect_certain(&self, action: &'static str) -> Result<()> {
        if !self.uncertain {
            return Ok(());
        }
        Err(Error::Engine {
            path: self.path.clone(),
            action,
            message: "a commit failed before; open the store again, which finds the last whole commit".to_owned(),
        })
    }

    /// sled cannot be trusted with a full disk, so a commit that might fill it is refused before it begins. `entries` are
    /// the bytes that go into sled, `snapshot` those of the snapshot to come, without which nobody sees the commit.
    pub(super) fn expect_space(&self, entries: usize, snapshot: u64) -> Result<()> {
        // sled takes about 2.4 times the raw bytes, and rounds up to segments of half a megabyte.
        let needed = 3 * entries as u64 + (4 << 20) + snapshot;
        let free = fs4::available_space(&self.path).map_err(Error::io(&self.path, "cannot tell the free space"))?;
        if free >= needed {
            return Ok(());
        }
        let what = if snapshot > 0 { "the commit and its snapshot" } else { "the commit" };
        let text = format!("no space left on the device: {what} may need {needed} bytes, {free} are free");
        let source = std::io::Error::new(ErrorKind::StorageFull, text);
        Err(Error::Io { path: self.path.clone(), action: "cannot commit", source })
    }

    /// Makes a commit the current one, durably. All that it names is on the disk.
    pub(super) fn make_current(&mut self, commit: Commit) -> Result<()> {
        marker::upgrade(&self.path)?;
        // From here on the disk may hold the new record even if writing it is reported to have failed.
        self.uncertain = true;
        commit.write(&self.engine, &self.path)?;
        self.uncertain = false;
        self.adopt(commit);
        // It is committed: what fails now is tried again when the next load or edit begins.
        if let Err(error) = self.remove_unlisted() {
            tracing::warn!("{error}");
        }
        Ok(())
    }

    /// Removes the segments and names that no commit lists: what an interrupted load or commit left.
    pub(super) fn remove_unlisted(&mut self) -> Result<()> {
        for number in segment::present(&self.path, &self.engine)? {
            if !self.commit.segments().any(|entry| entry.number == number) {
                segment::remove(&self.path, &self.engine, number)?;
            }
        }
        dictionary::remove_uncommitted(&self.engine, &self.commit.dictionaries)
    }

    /// The node with this key, if a source or an edit names it and no later edit deletes it.
    ///
    /// # Errors
    /// When the store is damaged. The first question about a type reads all its keys.
    pub fn find(&self, node_type: NodeTypeId, key: &str) -> Result<Option<u32>> {
        let Some(node) = self.names(node_type)?.find(key) else { return Ok(None) };
        Ok(self.is_live(node_type, node)?.then_some(node))
    }

    /// Whether something names the node that no later edit hides.
    pub(super) fn is_live(&self, node_type: NodeTypeId, node: u32) -> Result<bool> {
        let overlay = self.overlay()?;
        for (layer, entry) in self.commit.layers() {
            if overlay.hides_node(layer, node_type, node) {
                continue;
            }
            let segment = self.segment(entry)?;
            for block in segment.run_of(Run::Nodes { node_type }, node) {
                if segment.nodes(block, self.schema())?.binary_search(&node).is_ok() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A node's key.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number that the store never gave.
    pub fn key(&self, node_type: NodeTypeId, node: u32) -> Result<&str> {
        let names = self.names(node_type)?;
        if node >= names.len() {
            return Err(Error::Setting {
                setting: "node".to_owned(),
                found: node.to_string(),
                expected: format!("a number below {}", names.len()),
            });
        }
        Ok(names.get(node))
    }

    /// A node's value of an attribute, straight from the committed blocks; `None` where it is missing.
    ///
    /// # Errors
    /// When a block is damaged.
    pub fn value(&self, node_type: NodeTypeId, node: u32, attribute: AttributeId) -> Result<Option<Value>> {
        let overlay = self.overlay()?;
        let layers: Vec<_> = self.commit.layers().collect();
        for (layer, entry) in layers.into_iter().rev() {
            if overlay.hides_value(layer, node_type, attribute, node) {
                return Ok(None);
            }
            let segment = self.segment(entry)?;
            for block in segment.run_of(Run::Column { node_type, attribute }, node) {
                let rows = segment.column(block, self.schema())?;
                if let Ok(at) = rows.binary_search_by_key(&node, |row| row.0) {
                    return Ok(rows.into_iter().nth(at).map(|row| row.1));
                }
            }
        }
        Ok(None)
    }

    /// The edges of a relation at a node, by time and then far node, straight from the committed blocks. A symmetric
    /// relation's edges are found from both their ends, in either direction.
    ///
    /// # Errors
    /// When a block is damaged, or the relation is of another schema.
    pub fn neighbors(&self, relation: RelationId, direction: Direction, node: u32) -> Result<Vec<Neighbor>> {
        let Some(known) = self.schema().relations().get(relation.index()) else {
            return Err(Error::Setting {
                setting: "relation".to_owned(),
                found: format!("number {}", relation.0),
                expected: format!("one of the store's {}", self.schema().relations().len()),
            });
        };
        let directions: &[Direction] = if known.symmetric { &Direction::BOTH } else { &[direction] };
        let mut neighbors = Vec::new();
        let mut decoder = Decoder::default();
        let overlay = self.overlay()?;
        for (layer, entry) in self.commit.layers().filter(|(_, entry)| entry.edges.iter().any(|known| known.relation == relation))
        {
            let segment = self.segment(entry)?;
            for (at, &direction) in directions.iter().enumerate() {
                // An edge from a node to itself stands in both directions, and is one.
                self.edges_at(&segment, relation, direction, node, &mut decoder, |neighbor| {
                    let (source, target) = match direction {
                        Direction::Outgoing => (node, neighbor.node),
                        Direction::Incoming => (neighbor.node, node),
                    };
                    let is_hidden = !overlay.is_empty() && overlay.hides_edge(layer, relation, known, source, target);
                    if !is_hidden && (at == 0 || neighbor.node != node) {
                        neighbors.push(neighbor);
                    }
                })?;
            }
        }
        neighbors.sort_by_key(|neighbor| (neighbor.time, neighbor.node));
        Ok(neighbors)
    }

    /// The names of an edge category's codes in [`Neighbor::attributes`], by code.
    ///
    /// # Errors
    /// When the store is damaged, or the attribute is no category of a relation of the store.
    pub fn edge_categories(&self, relation: RelationId, attribute: AttributeId) -> Result<Vec<String>> {
        let known = self.schema().relations().get(relation.index());
        let known = known.and_then(|known| known.attributes.get(attribute.index()));
        if known.is_none_or(|known| known.kind != AttributeKind::Category) {
            return Err(Error::Setting {
                setting: "edge category".to_owned(),
                found: format!("attribute {} of relation {}", attribute.0, relation.0),
                expected: "a category of one of the store's relations".to_owned(),
            });
        }
        let names = self.read_names(Owner::Categories(relation, attribute))?;
        Ok((0..names.len()).map(|code| names.get(code).to_owned()).collect())
    }

    /// A segment's edges of a relation at a node.
    fn edges_at(
        &self,
        segment: &Segment,
        relation: RelationId,
        direction: Direction,
        node: u32,
        decoder: &mut Decoder,
        mut visit: impl FnMut(Neighbor),
    ) -> Result<()> {
        let known = self.schema().edge(relation);
        let mut ends_only = Vec::new();
        for block in segment.run_of(Run::Postings { relation, direction }, node) {
            let postings = segment.postings(block, self.schema(), decoder)?;
            let start = postings.nears.partition_point(|&near| near < node);
            let end = postings.nears.partition_point(|&near| near <= node);
            if direction == Direction::Incoming && !known.attributes.is_empty() && postings.holds_ends_only() {
                ends_only.extend_from_slice(&postings.fars[start..end]);
            } else {
                (start..end).for_each(|edge| visit(neighbor(known, postings, edge)));
            }
        }
        // Equal ones stand together: they are parallel edges, which their source's list has all of.
        ends_only.dedup();
        for source in ends_only {
            for block in segment.run_of(Run::Postings { relation, direction: Direction::Outgoing }, source) {
                let postings = segment.postings(block, self.schema(), decoder)?;
                let start = postings.nears.partition_point(|&near| near < source);
                let end = postings.nears.partition_point(|&near| near <= source);
                let here = (start..end).filter(|&edge| postings.fars[edge] == node);
                here.for_each(|edge| visit(Neighbor { node: source, ..neighbor(known, postings, edge) }));
            }
        }
        Ok(())
    }

    /// The committed keys of a type, with those of nodes that are no longer live.
    pub(super) fn names(&self, node_type: NodeTypeId) -> Result<&Names> {
        let Some(cell) = self.names.get(node_type.index()) else {
            return Err(Error::Setting {
                setting: "node type".to_owned(),
                found: format!("number {}", node_type.0),
                expected: format!("one of the store's {}", self.names.len()),
            });
        };
        match cell.get() {
            Some(names) => Ok(names),
            None => {
                let names = self.read_names(Owner::Nodes(node_type))?;
                Ok(cell.get_or_init(|| names))
            }
        }
    }

    /// Reads an owner's committed names from the disk; none where it has no dictionary yet.
    pub(super) fn read_names(&self, owner: Owner) -> Result<Names> {
        match self.dictionary(owner) {
            Some(entry) => dictionary::read(&self.engine, entry, &self.commit.schema),
            None => Ok(Names::default()),
        }
    }

    /// The code of an edge category's name: the committed one, or one of those that a load or an edit has added.
    pub(super) fn category(
        &self,
        own: &mut BTreeMap<(RelationId, AttributeId), Names>,
        relation: RelationId,
        attribute: AttributeId,
        name: &str,
    ) -> Result<u32> {
        let names = match own.entry((relation, attribute)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(self.read_names(Owner::Categories(relation, attribute))?),
        };
        names.number(name, || "categories of an attribute".to_owned())
    }

    pub(super) fn dictionary(&self, owner: Owner) -> Option<&DictionaryEntry> {
        self.commit.dictionaries.iter().find(|entry| entry.owner == owner)
    }

    /// A committed segment, open.
    pub(super) fn segment(&self, entry: &SegmentEntry) -> Result<Arc<Segment>> {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = segments.get(&entry.number) {
            return Ok(Arc::clone(segment));
        }
        let segment = Arc::new(Segment::open(&self.path, &self.engine, entry)?);
        segments.insert(entry.number, Arc::clone(&segment));
        Ok(segment)
    }

    /// What the edits hide.
    pub(super) fn overlay(&self) -> Result<&Overlay> {
        match self.overlay.get() {
            Some(overlay) => Ok(overlay),
            None => {
                let edits = self.commit.edits.iter().map(|edit| self.segment(&edit.segment)).collect::<Result<Vec<_>>>()?;
                let overlay = Overlay::of(edits.iter().map(Arc::as_ref), self.schema())?;
                Ok(self.overlay.get_or_init(|| overlay))
            }
        }
    }

    /// The live nodes of a type.
    pub(super) fn live(&self, node_type: NodeTypeId) -> Result<NodeSet> {
        let mut live = self.unhidden(node_type, self.named(node_type, self.commit.sources.iter())?)?;
        live.extend(&self.named_by_edits(node_type)?);
        Ok(live)
    }

    /// Those of the nodes, which sources name, that no edit deletes.
    pub(super) fn unhidden(&self, node_type: NodeTypeId, named: NodeSet) -> Result<NodeSet> {
        let overlay = self.overlay()?;
        if overlay.is_empty() {
            return Ok(named);
        }
        Ok(named.iter().filter(|&node| !overlay.hides_node(0, node_type, node)).collect())
    }

    /// The nodes of a type that an edit names and no later one deletes.
    pub(super) fn named_by_edits(&self, node_type: NodeTypeId) -> Result<NodeSet> {
        let overlay = self.overlay()?;
        let mut named = NodeSet::default();
        for (edit, layer) in self.commit.edits.iter().zip(1..) {
            let segment = self.segment(&edit.segment)?;
            for block in segment.run(Run::Nodes { node_type }) {
                let nodes = segment.nodes(block, self.schema())?.into_iter();
                for node in nodes.filter(|&node| !overlay.hides_node(layer, node_type, node)) {
                    named.insert(node);
                }
            }
        }
        Ok(named)
    }

    /// The nodes of a type that these sources name.
    pub(super) fn named<'c>(&self, node_type: NodeTypeId, sources: impl Iterator<Item = &'c Source>) -> Result<NodeSet> {
        let mut named = NodeSet::default();
        for entry in sources.flat_map(|source| &source.segments) {
            let segment = self.segment(entry)?;
            for block in segment.run(Run::Nodes { node_type }) {
                for node in segment.nodes(block, &self.commit.schema)? {
                    named.insert(node);
                }
            }
        }
        Ok(named)
    }
}

/// An edge of a block as its near node sees it.
fn neighbor(relation: &Relation, postings: &Postings, edge: usize) -> Neighbor {
    Neighbor {
        node: postings.fars[edge],
        time: postings.times.get(edge).copied().filter(|&time| time != NO_TIME),
        attributes: (relation.attributes.iter().enumerate())
            .map(|(at, attribute)| {
                // Blocks from before the relation had the attribute have no column of it.
                edge_value(attribute.kind, postings.attributes.get(at).map_or(MISSING, |column| column[edge]))
            })
            .collect(),
    }
}

/// What 32 bits of an edge attribute mean.
pub(super) fn edge_value(kind: AttributeKind, bits: u32) -> EdgeValue {
    match kind {
        _ if bits == MISSING => EdgeValue::Missing,
        AttributeKind::Category => EdgeValue::Category(bits),
        _ => EdgeValue::Number(f32::from_bits(bits)),
    }
}

/// A part of a store that is gone.
fn missing(path: PathBuf, record: &str) -> Error {
    let found = "it is missing".to_owned();
    Error::Damaged { path, record: record.to_owned(), found, remedy: REMEDY_DAMAGED.to_owned() }
}

/// The database of a store that has no marker. One that cannot be read is what a process left that ended while it made it,
/// if there is no segment and no snapshot: it is made anew.
fn unmarked(path: &Path) -> Result<(Engine, Option<Commit>)> {
    let database = path.join("db");
    let open = || {
        let engine = Engine::open(&database)?;
        let commit = Commit::read(&engine, path)?;
        Ok((engine, commit))
    };
    let is_empty = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    match open() {
        Err(_) if database.exists() && is_empty(&segment::folder(path)) && is_empty(&path.join("snapshots")) => {
            fs::remove_dir_all(&database).map_err(Error::io(&database, "cannot remove a half-made database"))?;
            open()
        }
        opened => opened,
    }
}

/// What is in the way of making a store at `path`, or nothing.
fn foreign(path: &Path) -> Result<Option<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Some("a file".to_owned())),
        Err(error) => return Err(Error::io(path, "cannot look into the folder")(error)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io(path, "cannot look into the folder"))?.file_name();
        if !HALF_MADE.iter().any(|own| name == *own) {
            return Ok(Some(format!("a folder with `{}` in it", name.to_string_lossy())));
        }
    }
    Ok(None)
}
