use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use relata_schema::{AttributeKind, Direction, EdgeValue, NodeTypeId, Relation, RelationId, Schema, SourceRecord};

use super::commit::{Commit, Source};
use super::dictionary::{self, DictionaryEntry, Owner};
use super::engine::Engine;
use super::key::Run;
use super::lock::Lock;
use super::names::Names;
use super::nodes::NodeSet;
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
    /// The records of `commit`'s sources.
    records: Vec<SourceRecord>,
    pub(super) engine: Engine,
    /// Segments that were read from, by number.
    segments: Mutex<HashMap<u32, Arc<Segment>>>,
    /// The keys of each node type, once they are asked for.
    names: Vec<OnceLock<Names>>,
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

    fn locked(path: &Path, engine: Engine, lock: Lock) -> Result<Self> {
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
            uncertain: false,
            _lock: lock,
        };
        store.adopt(commit);
        Ok(store)
    }

    /// Takes a commit record as the store's own.
    pub(super) fn adopt(&mut self, commit: Commit) {
        self.records = commit.sources.iter().map(|source| source.record.clone()).collect();
        self.names = commit.schema.node_types().iter().map(|_| OnceLock::new()).collect();
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

    /// What is committed, source by source.
    pub fn sources(&self) -> &[SourceRecord] {
        &self.records
    }

    /// How many edges of a relation are committed (a symmetric edge counts once).
    pub fn edge_count(&self, relation: RelationId) -> u64 {
        let edges = self.commit.segments().flat_map(|entry| &entry.edges);
        edges.filter(|(known, _)| *known == relation).map(|(_, edges)| edges).sum()
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
        if self.uncertain {
            return Err(Error::Engine {
                path: self.path.clone(),
                action: "beginning a load",
                message: "a commit failed before; open the store again, which finds the last whole commit".to_owned(),
            });
        }
        let schema = self.commit.schema.merged_with(schema)?;
        self.remove_unlisted()?;
        Load::new(self, schema, options)
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

    /// The node with this key, if a committed source names it.
    ///
    /// # Errors
    /// When the store is damaged. The first question about a type reads all its keys.
    pub fn find(&self, node_type: NodeTypeId, key: &str) -> Result<Option<u32>> {
        let Some(node) = self.names(node_type)?.find(key) else { return Ok(None) };
        for segment in self.commit.segments() {
            let segment = self.segment(segment)?;
            for block in segment.run_of(Run::Nodes { node_type }, node) {
                if segment.nodes(block, self.schema())?.binary_search(&node).is_ok() {
                    return Ok(Some(node));
                }
            }
        }
        Ok(None)
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
        for entry in self.commit.segments().filter(|entry| entry.edges.iter().any(|(id, _)| *id == relation)) {
            let segment = self.segment(entry)?;
            for (at, &direction) in directions.iter().enumerate() {
                // An edge from a node to itself stands in both directions, and is one.
                self.edges_at(&segment, relation, direction, node, &mut decoder, |neighbor| {
                    if at == 0 || neighbor.node != node {
                        neighbors.push(neighbor);
                    }
                })?;
            }
        }
        neighbors.sort_by_key(|neighbor| (neighbor.time, neighbor.node));
        Ok(neighbors)
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
