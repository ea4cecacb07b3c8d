use std::collections::HashMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rayon::prelude::*;
use relata_schema::{
    AttributeId, AttributeKind, Direction, Interval, NodeTypeId, RelationId, Schema, SourceRecord, Strand, Value,
};

use super::format::{ALIGNMENT, ENTRY, Entry, HEADER, MAGIC, Part, SectionKey, VERSION, checksum, read_u32, read_u64};
use super::guard::Mapping;
use super::hold::{Hold, is_held};
use super::provenance::Provenance;
use super::search::SearchIndex;
use super::writer::{CURRENT, FILE, SOURCES, current_id, make_current};
use super::{Adjacency, EdgeColumn, Intervals, NodeColumn, SnapshotId, Times, times};
use crate::{Error, Result};

/// An open snapshot: immutable, memory-mapped, cheap to clone and to share between threads.
///
/// Opening reads the header, the section table and the schema only, so it takes milliseconds at any size;
/// [`verify`](Self::verify) reads everything. No accessor panics on a damaged file: positions are clamped to
/// what is there. While it is open, no publisher removes it; a file that somebody else shortens all the same reads
/// as zeros from there on, and [`intact`](Self::intact) says so.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    map: Mapping,
    _hold: Arc<Hold>,
    id: SnapshotId,
    schema: Schema,
    sources: Vec<SourceRecord>,
    entries: Vec<Entry>,
    sections: HashMap<SectionKey, Range<usize>>,
    counts: Vec<u32>,
    search: OnceLock<SearchIndex>,
}

/// How often the current snapshot is looked for while loads publish one after another.
const ATTEMPTS: u32 = 100;

/// Bytes of a snapshot that are verified for one answer.
const MOST_CHECKED: u64 = 1 << 30;

pub(super) const REBUILD: &str = "Write the snapshot anew with `relata snapshot --store STORE`";

impl Snapshot {
    /// Opens the store's current snapshot, the one that `<store>/snapshots/CURRENT` names.
    ///
    /// # Errors
    /// [`Error::NoStore`], and those of [`open`](Self::open).
    pub fn current(store: &Path) -> Result<Self> {
        let snapshots = store.join("snapshots");
        let mut attempts = 0..ATTEMPTS;
        loop {
            let Some(id) = current_id(&snapshots) else { return Err(no_snapshot(store)) };
            match Self::open(&snapshots.join(id.as_str())) {
                // A load published another meanwhile, and dropped this one.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound && attempts.next().is_some() => {
                    if current_id(&snapshots).as_ref() == Some(&id) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Opens the store's current snapshot and verifies all of it: for what is kept (a model, an embedding, an export) or served.
    ///
    /// # Errors
    /// Those of [`current`](Self::current) and [`verify`](Self::verify).
    pub fn current_verified(store: &Path) -> Result<Self> {
        let snapshot = Self::current(store)?;
        snapshot.verify()?;
        Ok(snapshot)
    }

    /// Opens the store's current snapshot for one answer that is shown and not kept: verifies all of it up to a size of 1 GiB,
    /// a fifth of a second on two cores once it is in memory. Beyond that it would take many times as long as the answer, and what
    /// [`open`](Self::open) checks has to do; a warning says so.
    ///
    /// # Errors
    /// Those of [`current_verified`](Self::current_verified).
    pub fn current_checked(store: &Path) -> Result<Self> {
        Self::current_checked_to(store, MOST_CHECKED)
    }

    pub(super) fn current_checked_to(store: &Path, most_bytes: u64) -> Result<Self> {
        let snapshot = Self::current(store)?;
        if snapshot.bytes() <= most_bytes {
            snapshot.verify()?;
        } else {
            let (path, bytes) = (snapshot.path().display(), snapshot.bytes());
            tracing::warn!("{path}: its {bytes} bytes are not verified for one answer; `relata check` verifies them");
        }
        Ok(snapshot)
    }

    /// The identity of the store's current snapshot: a look at one small file.
    pub fn current_id(store: &Path) -> Option<SnapshotId> {
        current_id(&store.join("snapshots"))
    }

    /// Makes a snapshot that is there the current one, durably.
    pub(crate) fn make_current(store: &Path, id: &SnapshotId) -> Result<()> {
        make_current(&store.join("snapshots"), id)
    }

    /// Where a store's snapshot of this identity lies, or would.
    pub fn file_of(store: &Path, id: &SnapshotId) -> PathBuf {
        store.join("snapshots").join(id.as_str()).join(FILE)
    }

    /// Opens `<store>/snapshots/<id>/`.
    ///
    /// # Errors
    /// When there is none, it has another version, or its header, table or schema are damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let file = File::open(&path).map_err(Error::io(&path, "cannot open the snapshot"))?;
        let hold = Hold::reading(&path, &file).map_err(Error::io(&path, "cannot hold the snapshot"))?;
        let map = Mapping::of(file).map_err(Error::io(&path, "cannot map the snapshot"))?;
        let entries = read_table(&path, &map)?;
        let mut sections = HashMap::with_capacity(entries.len());
        for entry in &entries {
            sections.insert(entry.key, entry.offset as usize..(entry.offset + entry.length) as usize);
        }
        let mut identity = blake3::Hasher::new();
        for entry in &entries {
            identity.update(&Entry::identity(&entry.to_bytes()));
        }
        let id = SnapshotId::of(&identity.finalize());
        let damaged = |record: &str, found: String| damaged(&path, record, found);
        let text = sections.get(&SectionKey::of(Part::Schema, 0)).map(|range| &map[range.clone()]).unwrap_or_default();
        let expected = entries.iter().find(|entry| entry.key.part == Part::Schema).map(|entry| entry.checksum);
        if expected != Some(checksum(text)) {
            return Err(damaged("the schema", "its checksum does not match".to_owned()));
        }
        let schema: Schema = serde_json::from_slice(text).map_err(|error| damaged("the schema", error.to_string()))?;
        let sources = Provenance::read(&folder.join(SOURCES))?;
        let mut snapshot = Inner {
            path,
            map,
            _hold: Arc::new(hold),
            id,
            schema,
            sources,
            entries,
            sections,
            counts: Vec::new(),
            search: OnceLock::new(),
        };
        snapshot.counts = snapshot.read_counts();
        snapshot.check_lengths()?;
        Ok(Self { inner: Arc::new(snapshot) })
    }

    /// The same snapshot, copied into memory, in large pages where the system has them: for what draws from it at random for
    /// long, some 10 to 30 % faster than through the file's pages. It takes as much memory as the file has bytes.
    ///
    /// # Errors
    /// When there is not so much memory, or the file changed while it was copied.
    pub fn in_memory(&self) -> Result<Self> {
        let inner = &*self.inner;
        let map = inner.map.copy().map_err(Error::io(&inner.path, "cannot copy the snapshot into memory"))?;
        self.intact()?;
        let inner = Inner {
            path: inner.path.clone(),
            map,
            _hold: inner._hold.clone(),
            id: inner.id.clone(),
            schema: inner.schema.clone(),
            sources: inner.sources.clone(),
            entries: inner.entries.clone(),
            sections: inner.sections.clone(),
            counts: inner.counts.clone(),
            search: OnceLock::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads every byte and checks every checksum and every index.
    ///
    /// # Errors
    /// [`Error::Damaged`] names the file and the section.
    pub fn verify(&self) -> Result<()> {
        let inner = &*self.inner;
        inner.entries.par_iter().try_for_each(|entry| {
            let bytes = &inner.map[entry.offset as usize..(entry.offset + entry.length) as usize];
            if checksum(bytes) == entry.checksum {
                inner.check_indices(entry)
            } else {
                Err(damaged(&inner.path, &inner.title(entry.key), "its checksum does not match".to_owned()))
            }
        })?;
        self.intact()
    }

    /// Whether the file is still what it was when it was opened. What was computed from the snapshot counts only if
    /// this says so afterwards; it costs a microsecond.
    ///
    /// # Errors
    /// [`Error::Damaged`] when somebody shortened the file or wrote to it, or a part of it could not be read.
    pub fn intact(&self) -> Result<()> {
        let inner = &*self.inner;
        inner.map.intact().map_err(|found| damaged(&inner.path, "the snapshot", found.to_owned()))
    }

    /// Whether some process has the snapshot in `<store>/snapshots/<id>/` open.
    ///
    /// # Errors
    /// When its file is not there or cannot be locked.
    pub fn is_held(folder: &Path) -> Result<bool> {
        is_held(folder).map_err(Error::io(folder, "cannot tell who holds the snapshot"))
    }

    /// Its identity.
    pub fn id(&self) -> &SnapshotId {
        &self.inner.id
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.inner.map.len() as u64
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.inner.schema
    }

    /// Where its content came from.
    pub fn sources(&self) -> &[SourceRecord] {
        &self.inner.sources
    }

    /// How many nodes a type has; they are numbered from 0 in the byte order of their keys.
    pub fn node_count(&self, node_type: NodeTypeId) -> u32 {
        self.inner.counts.get(node_type.index()).copied().unwrap_or_default()
    }

    /// How many edges a relation has; a symmetric edge counts once.
    pub fn edge_count(&self, relation: RelationId) -> u64 {
        let adjacency = self.adjacency(relation, Direction::Outgoing);
        if !self.schema().edge(relation).symmetric {
            return adjacency.targets.len() as u64;
        }
        let near = 0..self.node_count(self.schema().edge(relation).source);
        let loops: usize = near.map(|node| adjacency.neighbors(node).iter().filter(|&&far| far == node).count()).sum();
        ((adjacency.targets.len() + loops) / 2) as u64
    }

    /// A node's key; empty for a node that the type does not have.
    pub fn key(&self, node_type: NodeTypeId, node: u32) -> &str {
        let key = |part| SectionKey::of(part, node_type.0);
        self.inner.text_at(key(Part::KeyOffsets), key(Part::KeyBytes), node)
    }

    /// The node with exactly this key.
    pub fn find(&self, node_type: NodeTypeId, key: &str) -> Option<u32> {
        let at = self.lower_bound(node_type, key);
        (at < self.node_count(node_type) && self.key(node_type, at) == key).then_some(at)
    }

    /// The first node whose key is not before `key`.
    pub fn lower_bound(&self, node_type: NodeTypeId, key: &str) -> u32 {
        let (mut low, mut high) = (0, self.node_count(node_type));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(node_type, middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// What people call the node: its label attribute, else its key.
    pub fn label(&self, node_type: NodeTypeId, node: u32) -> &str {
        let label = self.schema().node(node_type).label;
        label.and_then(|attribute| self.text(node_type, attribute, node)).unwrap_or_else(|| self.key(node_type, node))
    }

    /// A column of an attribute.
    pub fn column(&self, node_type: NodeTypeId, attribute: AttributeId) -> NodeColumn<'_> {
        let key = SectionKey::attribute(Part::NodeValues, node_type.0, attribute.0);
        match self.schema().node(node_type).attributes[attribute.index()].kind {
            AttributeKind::Number | AttributeKind::Count => NodeColumn::Number(self.inner.slice(key)),
            AttributeKind::Category => NodeColumn::Category(self.inner.slice(key)),
            AttributeKind::Boolean => NodeColumn::Boolean(self.inner.slice(key)),
            AttributeKind::Time => NodeColumn::Time(self.inner.slice(key)),
            AttributeKind::Vector(dimension) => NodeColumn::Vector { dimension, values: self.inner.slice(key) },
            AttributeKind::Text | AttributeKind::Sequence => NodeColumn::Text,
            AttributeKind::Interval => NodeColumn::Interval,
        }
    }

    /// The names of a category attribute's codes, or of an interval attribute's contigs, in byte order.
    pub fn categories(&self, node_type: NodeTypeId, attribute: AttributeId) -> Vec<&str> {
        let key = |part| SectionKey::attribute(part, node_type.0, attribute.0);
        self.inner.names(key(Part::NameOffsets), key(Part::NameBytes))
    }

    /// The codes of a category attribute's values, or of an interval attribute's contigs: those of
    /// [`categories`](Self::categories). `u32::MAX` is missing; of other attributes, and where it is missing throughout, there are none.
    pub fn codes(&self, node_type: NodeTypeId, attribute: AttributeId) -> &[u32] {
        match self.column(node_type, attribute) {
            NodeColumn::Category(codes) => codes,
            NodeColumn::Interval => self.intervals(node_type, attribute).contigs,
            _ => &[],
        }
    }

    /// A text or sequence; `None` where missing.
    pub fn text(&self, node_type: NodeTypeId, attribute: AttributeId, node: u32) -> Option<&str> {
        let key = |part| SectionKey::attribute(part, node_type.0, attribute.0);
        let present: &[u8] = self.inner.slice(key(Part::TextPresent));
        (*present.get(node as usize)? == 1).then(|| self.inner.text_at(key(Part::TextOffsets), key(Part::TextBytes), node))
    }

    /// Any attribute's value; `None` where missing.
    pub fn value(&self, node_type: NodeTypeId, attribute: AttributeId, node: u32) -> Option<Value> {
        let at = node as usize;
        let kind = self.schema().node(node_type).attributes[attribute.index()].kind;
        match self.column(node_type, attribute) {
            NodeColumn::Number(numbers) => {
                let number = *numbers.get(at)?;
                let is_count = kind == AttributeKind::Count;
                (!number.is_nan()).then_some(if is_count { Value::Count(number as u64) } else { Value::Number(number) })
            }
            NodeColumn::Category(codes) => {
                let code = *codes.get(at)?;
                let key = |part| SectionKey::attribute(part, node_type.0, attribute.0);
                (code != u32::MAX)
                    .then(|| Value::Category(self.inner.text_at(key(Part::NameOffsets), key(Part::NameBytes), code).to_owned()))
            }
            NodeColumn::Boolean(truths) => match truths.get(at)? {
                0 => Some(Value::Boolean(false)),
                1 => Some(Value::Boolean(true)),
                _ => None,
            },
            NodeColumn::Time(times) => times.get(at).filter(|&&time| time != i64::MIN).map(|&time| Value::Time(time)),
            NodeColumn::Vector { dimension, values } => {
                let row = values.get(at * dimension as usize..(at + 1) * dimension as usize)?;
                (!row.first()?.is_nan()).then(|| Value::Vector(row.to_vec()))
            }
            NodeColumn::Text => {
                let text = self.text(node_type, attribute, node)?.to_owned();
                Some(if kind == AttributeKind::Sequence { Value::Sequence(text) } else { Value::Text(text) })
            }
            NodeColumn::Interval => self.interval(node_type, attribute, node).map(Value::Interval),
        }
    }

    /// The columns of an interval attribute.
    pub(crate) fn intervals(&self, node_type: NodeTypeId, attribute: AttributeId) -> Intervals<'_> {
        let key = |part| SectionKey::attribute(part, node_type.0, attribute.0);
        Intervals {
            contigs: self.inner.slice(key(Part::NodeValues)),
            starts: self.inner.slice(key(Part::IntervalStarts)),
            ends: self.inner.slice(key(Part::IntervalEnds)),
            strands: self.inner.slice(key(Part::IntervalStrands)),
        }
    }

    fn interval(&self, node_type: NodeTypeId, attribute: AttributeId, node: u32) -> Option<Interval> {
        let at = node as usize;
        let key = |part| SectionKey::attribute(part, node_type.0, attribute.0);
        let Intervals { contigs, starts, ends, strands } = self.intervals(node_type, attribute);
        let contig = *contigs.get(at)?;
        if contig == u32::MAX {
            return None;
        }
        let strand = match strands.get(at)? {
            1 => Strand::Forward,
            2 => Strand::Reverse,
            _ => Strand::Unknown,
        };
        let contig = self.inner.text_at(key(Part::NameOffsets), key(Part::NameBytes), contig);
        Interval::new(contig, *starts.get(at)?, *ends.get(at)?, strand).ok()
    }

    /// A relation in one direction. A symmetric relation's two directions are the same, with every edge at both
    /// of its ends.
    pub fn adjacency(&self, relation: RelationId, direction: Direction) -> Adjacency<'_> {
        let key = |part| SectionKey::of(part, relation.0).toward(self.stored(relation, direction));
        let targets: &[u32] = self.inner.slice(key(Part::EdgeTargets));
        let times = match self.inner.slice(key(Part::EdgeTimesPacked)) {
            [] => Times::plain(self.inner.slice(key(Part::EdgeTimes))),
            packed => Times::packed(packed, targets.len()),
        };
        Adjacency { offsets: self.inner.slice(key(Part::EdgeOffsets)), targets, times }
    }

    /// A column of an edge attribute, in the order of that direction's targets; empty where it is missing
    /// throughout. A time attribute has none: it is [`Adjacency::times`].
    pub fn edge_column(&self, relation: RelationId, direction: Direction, attribute: AttributeId) -> EdgeColumn<'_> {
        let key = SectionKey::attribute(Part::EdgeValues, relation.0, attribute.0).toward(self.stored(relation, direction));
        match self.schema().edge(relation).attributes[attribute.index()].kind {
            AttributeKind::Category => EdgeColumn::Category(self.inner.slice(key)),
            _ => EdgeColumn::Number(self.inner.slice(key)),
        }
    }

    /// The names of an edge category's codes, in byte order.
    pub fn edge_categories(&self, relation: RelationId, attribute: AttributeId) -> Vec<&str> {
        let key = |part| SectionKey::attribute(part, relation.0, attribute.0);
        self.inner.names(key(Part::EdgeNameOffsets), key(Part::EdgeNameBytes))
    }

    fn stored(&self, relation: RelationId, direction: Direction) -> Direction {
        if self.schema().edge(relation).symmetric { Direction::Outgoing } else { direction }
    }

    pub(super) fn search_index(&self) -> &SearchIndex {
        self.inner.search.get_or_init(|| SearchIndex::of(self))
    }
}

impl Inner {
    /// A section as numbers; empty where there is none or where it does not fit its element type.
    fn slice<T: bytemuck::AnyBitPattern>(&self, key: SectionKey) -> &[T] {
        let bytes = self.sections.get(&key).map(|range| &self.map[range.clone()]).unwrap_or_default();
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }

    fn text_at(&self, offsets: SectionKey, bytes: SectionKey, at: u32) -> &str {
        let offsets: &[u64] = self.slice(offsets);
        let bytes: &[u8] = self.slice(bytes);
        match (offsets.get(at as usize), offsets.get(at as usize + 1)) {
            (Some(&start), Some(&end)) => {
                let text = bytes.get(start as usize..end as usize).unwrap_or_default();
                std::str::from_utf8(text).unwrap_or_default()
            }
            _ => "",
        }
    }

    fn names(&self, offsets: SectionKey, bytes: SectionKey) -> Vec<&str> {
        let count = self.slice::<u64>(offsets).len().saturating_sub(1) as u32;
        (0..count).map(|at| self.text_at(offsets, bytes, at)).collect()
    }

    fn read_counts(&self) -> Vec<u32> {
        let offsets = |id: NodeTypeId| self.slice::<u64>(SectionKey::of(Part::KeyOffsets, id.0)).len();
        self.schema.node_type_ids().map(|id| offsets(id).saturating_sub(1) as u32).collect()
    }

    fn title(&self, key: SectionKey) -> String {
        let owner = usize::from(key.owner);
        let name = if key.part >= Part::EdgeOffsets {
            (owner < self.schema.relations().len()).then(|| self.schema.relation_title(RelationId(key.owner)))
        } else {
            self.schema.node_types().get(owner).map(|node_type| node_type.name.clone())
        };
        format!(
            "section {:?} of {} (attribute {}, {})",
            key.part,
            name.unwrap_or_else(|| owner.to_string()),
            key.attribute,
            key.direction
        )
    }

    /// Every section has the length that the counts of nodes and edges ask for.
    fn check_lengths(&self) -> Result<()> {
        for entry in &self.entries {
            let key = entry.key;
            let wrong = |found: u64, expected: u64| {
                damaged(&self.path, &self.title(key), format!("found {found} bytes, expected {expected}"))
            };
            let expected = match self.expected_length(key) {
                Ok(Some(expected)) => expected,
                Ok(None) => continue,
                Err(what) => return Err(damaged(&self.path, &self.title(key), format!("the schema has no such {what}"))),
            };
            if entry.length != expected {
                return Err(wrong(entry.length, expected));
            }
        }
        Ok(())
    }

    fn expected_length(&self, key: SectionKey) -> Result<Option<u64>, &'static str> {
        let owner = usize::from(key.owner);
        if key.part == Part::Schema {
            return Ok(None);
        }
        if key.part < Part::EdgeOffsets {
            let node_type = self.schema.node_types().get(owner).ok_or("node type")?;
            let nodes = u64::from(self.counts[owner]);
            let kind = || node_type.attributes.get(usize::from(key.attribute)).map(|attribute| attribute.kind).ok_or("attribute");
            return Ok(match key.part {
                Part::NodeValues => Some(match kind()? {
                    AttributeKind::Number | AttributeKind::Count | AttributeKind::Time => nodes * 8,
                    AttributeKind::Category | AttributeKind::Interval => nodes * 4,
                    AttributeKind::Boolean => nodes,
                    AttributeKind::Vector(dimension) => nodes * 4 * u64::from(dimension),
                    AttributeKind::Text | AttributeKind::Sequence => return Err("column"),
                }),
                Part::TextOffsets => Some((nodes + 1) * 8),
                Part::TextPresent | Part::IntervalStrands => Some(nodes),
                Part::IntervalStarts | Part::IntervalEnds => Some(nodes * 8),
                _ => None,
            });
        }
        let relation = self.schema.relations().get(owner).ok_or("relation")?;
        let edges = self.slice::<u32>(SectionKey::of(Part::EdgeTargets, key.owner).toward(key.direction)).len() as u64;
        let near = u64::from(self.counts[relation.near(key.direction).index()]);
        Ok(match key.part {
            Part::EdgeOffsets => Some((near + 1) * 8),
            Part::EdgeTimes => Some(edges * 8),
            Part::EdgeTimesPacked => Some(match self.slice::<u64>(key) {
                [_, width @ 0..=64, ..] => times::HEAD as u64 + 8 * times::words_of(edges as usize, *width as u32) as u64,
                _ => return Err("width of times"),
            }),
            Part::EdgeValues => Some(edges * 4),
            _ => None,
        })
    }

    /// Offsets ascend to the end of what they point into, and targets are nodes.
    fn check_indices(&self, entry: &Entry) -> Result<()> {
        let key = entry.key;
        let other = |part| SectionKey { part, ..key };
        let wrong = |found: &str| Err(damaged(&self.path, &self.title(key), found.to_owned()));
        let end = match key.part {
            Part::KeyOffsets => self.slice::<u8>(other(Part::KeyBytes)).len(),
            Part::TextOffsets => self.slice::<u8>(other(Part::TextBytes)).len(),
            Part::NameOffsets => self.slice::<u8>(other(Part::NameBytes)).len(),
            Part::EdgeNameOffsets => self.slice::<u8>(other(Part::EdgeNameBytes)).len(),
            Part::EdgeOffsets => self.slice::<u32>(other(Part::EdgeTargets)).len(),
            Part::EdgeTargets => {
                let relation = &self.schema.relations()[usize::from(key.owner)];
                let far = self.counts[relation.far(key.direction).index()];
                let inside = self.slice::<u32>(key).iter().all(|&target| target < far);
                return if inside { Ok(()) } else { wrong("an edge ends at a node that does not exist") };
            }
            _ => return Ok(()),
        };
        let offsets: &[u64] = self.slice(key);
        let ascends = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        let spans = offsets.first() == Some(&0) && offsets.last() == Some(&(end as u64));
        if ascends && spans { Ok(()) } else { wrong("its offsets do not ascend from 0 to the end") }
    }
}

fn no_snapshot(store: &Path) -> Error {
    let current = store.join("snapshots").join(CURRENT);
    if current.exists() {
        return damaged(&current, "the name of the current snapshot", "it is none".to_owned());
    }
    let found = match fs::metadata(store) {
        Err(_) => "nothing is there",
        Ok(found) if !found.is_dir() => "a file, not a folder",
        Ok(_) => "a folder without a current snapshot: `snapshots/CURRENT` is missing",
    };
    Error::NoStore { path: store.to_owned(), found: found.to_owned() }
}

pub(super) fn damaged(path: &Path, record: &str, found: String) -> Error {
    Error::Damaged { path: path.to_owned(), record: record.to_owned(), found, remedy: REBUILD.to_owned() }
}

fn read_table(path: &Path, map: &[u8]) -> Result<Vec<Entry>> {
    let wrong = |record: &str, found: &str| damaged(path, record, found.to_owned());
    if map.len() < HEADER || map[..8] != MAGIC {
        return Err(wrong("the header", "it is not that of a snapshot"));
    }
    let version = read_u32(map, 8);
    if !(1..=VERSION).contains(&version) {
        return Err(Error::Version {
            path: path.to_owned(),
            what: "the snapshot",
            found: version,
            expected: VERSION,
            remedy: REBUILD.to_owned(),
        });
    }
    let (count, offset, length) = (read_u32(map, 12) as usize, read_u64(map, 16), read_u64(map, 24));
    if length != map.len() as u64 {
        return Err(wrong("the file", &format!("it has {} bytes, expected {length}", map.len())));
    }
    let table = usize::try_from(offset)
        .ok()
        .and_then(|start| map.get(start..start.checked_add(count.checked_mul(ENTRY)?)?))
        .ok_or_else(|| wrong("the section table", "it lies outside of the file"))?;
    if blake3::hash(table).as_bytes() != &map[32..64] {
        return Err(wrong("the section table", "its checksum does not match"));
    }
    table
        .chunks_exact(ENTRY)
        .map(|bytes| {
            let bytes = bytes.try_into().expect("chunks_exact gives chunks of that length");
            let entry = Entry::from_bytes(bytes).ok_or_else(|| wrong("the section table", "an entry of an unknown kind"))?;
            let inside = entry.offset.checked_add(entry.length).is_some_and(|end| end <= length);
            let aligned = entry.offset % ALIGNMENT as u64 == 0;
            if inside && aligned { Ok(entry) } else { Err(wrong("the section table", "a section outside of the file")) }
        })
        .collect()
}
