use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use relata_schema::{
    AttributeId, AttributeKind, Direction, EdgeValue, NodeTypeId, RelationId, Schema, SourceRecord, Strand, Value,
};

use super::format::{ALIGNMENT, ENTRY, Entry, HEADER, MAGIC, Part, SectionKey, VERSION, checksum};
use super::hold::{Hold, WRITING, drop_unheld};
use super::{Snapshot, SnapshotId};
use crate::{Error, Result};

/// Name of the one file of a snapshot.
pub(super) const FILE: &str = "graph.relata";
/// Name of the provenance beside it.
pub(super) const SOURCES: &str = "sources.json";
/// Name of the file that says which snapshot is the current one.
pub(super) const CURRENT: &str = "CURRENT";

/// A relation's edges, in any order.
#[derive(Clone, Debug, Default)]
pub struct EdgeData {
    /// Source nodes.
    pub sources: Vec<u32>,
    /// Target nodes.
    pub targets: Vec<u32>,
    /// One an edge, or empty where the relation has no time attribute; `i64::MIN` is missing.
    pub times: Vec<i64>,
    /// For each attribute of the relation, in its order: one an edge, or empty (missing throughout, or the time).
    pub attributes: Vec<Vec<EdgeValue>>,
    /// For each attribute of the relation, in its order: the names of its category codes, in any order, else empty.
    pub categories: Vec<Vec<String>>,
}

/// Writes a snapshot: nodes of every type first, then columns and relations, then [`publish`](Self::publish).
///
/// Dropping it before leaves nothing behind.
pub struct SnapshotWriter {
    snapshots: PathBuf,
    folder: PathBuf,
    file: BufWriter<File>,
    _hold: Hold,
    position: u64,
    entries: Vec<Entry>,
    schema: Schema,
    counts: Vec<u32>,
    published: bool,
}

impl SnapshotWriter {
    /// Begins in a temporary folder under `<store>/snapshots/`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(store: &Path, schema: &Schema) -> Result<Self> {
        let snapshots = store.join("snapshots");
        let folder = snapshots.join(format!("{WRITING}{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot make the snapshot's folder"))?;
        let path = folder.join(FILE);
        let file = File::create(&path).map_err(Error::io(&path, "cannot write the snapshot"))?;
        let hold = Hold::writing(&file).map_err(Error::io(&path, "cannot hold the snapshot"))?;
        let mut writer = Self {
            snapshots,
            folder,
            file: BufWriter::with_capacity(1 << 20, file),
            _hold: hold,
            position: 0,
            entries: Vec::new(),
            schema: schema.clone(),
            counts: vec![0; schema.node_types().len()],
            published: false,
        };
        writer.write(&[0; HEADER])?;
        let text = serde_json::to_vec(schema).map_err(|error| Error::Training(format!("cannot write the schema: {error}")))?;
        writer.section(SectionKey::of(Part::Schema, 0), &text)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io(&self.folder, "cannot write the snapshot"))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn section<T: bytemuck::NoUninit>(&mut self, key: SectionKey, values: &[T]) -> Result<()> {
        let padding = (ALIGNMENT - (self.position as usize) % ALIGNMENT) % ALIGNMENT;
        self.write(&[0; ALIGNMENT][..padding])?;
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.entries.push(Entry { key, offset: self.position, length: bytes.len() as u64, checksum: checksum(bytes) });
        self.write(bytes)
    }

    /// Offsets and bytes of a list of texts.
    fn texts<'a>(&mut self, offsets: SectionKey, bytes: SectionKey, texts: impl Iterator<Item = &'a str>) -> Result<()> {
        let mut ends = vec![0_u64];
        let mut joined = Vec::new();
        for text in texts {
            joined.extend_from_slice(text.as_bytes());
            ends.push(joined.len() as u64);
        }
        self.section(offsets, &ends)?;
        self.section(bytes, &joined)
    }

    /// The keys of a type, strictly ascending in byte order.
    ///
    /// # Errors
    /// When they are not ascending, too many, or cannot be written.
    pub fn nodes(&mut self, node_type: NodeTypeId, keys: &[String]) -> Result<()> {
        let what = || format!("nodes of type {}", self.schema.node(node_type).name);
        let limit = |found: usize| Error::Limit { what: what(), found: found as u64, most: u64::from(u32::MAX - 1) };
        self.counts[node_type.index()] = match u32::try_from(keys.len()) {
            Ok(count) if count < u32::MAX => count,
            _ => return Err(limit(keys.len())),
        };
        if let Some(pair) = keys.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Error::Setting {
                setting: what(),
                found: format!("`{}` before `{}`", pair[0], pair[1]),
                expected: "keys in ascending order, each once".to_owned(),
            });
        }
        let key = |part| SectionKey::of(part, node_type.0);
        self.texts(key(Part::KeyOffsets), key(Part::KeyBytes), keys.iter().map(String::as_str))
    }

    /// A column of a node attribute, in node order. One that is never given is missing throughout.
    ///
    /// # Errors
    /// When it has not one value a node, a value is of another kind, or it cannot be written.
    pub fn column(&mut self, node_type: NodeTypeId, attribute: AttributeId, values: &[Option<Value>]) -> Result<()> {
        let owner = self.schema.node(node_type);
        let declared = &owner.attributes[attribute.index()];
        let kind = declared.kind;
        let setting = format!("column {}.{}", owner.name, declared.name);
        if values.len() != self.counts[node_type.index()] as usize {
            return Err(Error::Setting {
                setting,
                found: format!("{} values", values.len()),
                expected: format!("{}, one a node", self.counts[node_type.index()]),
            });
        }
        if let Some(other) = values.iter().flatten().find(|value| value.kind() != kind) {
            return Err(Error::Setting { setting, found: format!("a {}", other.kind()), expected: format!("a {kind}") });
        }
        if values.iter().all(Option::is_none) {
            return Ok(());
        }
        let key = |part| SectionKey::attribute(part, node_type.0, attribute.0);
        match kind {
            AttributeKind::Number | AttributeKind::Count => {
                let numbers: Vec<f64> = values
                    .iter()
                    .map(|value| match value {
                        Some(Value::Number(number)) => *number,
                        Some(Value::Count(count)) => *count as f64,
                        _ => f64::NAN,
                    })
                    .collect();
                self.section(key(Part::NodeValues), &numbers)
            }
            AttributeKind::Boolean => {
                let truths: Vec<u8> = values
                    .iter()
                    .map(|value| match value {
                        Some(Value::Boolean(truth)) => u8::from(*truth),
                        _ => u8::MAX,
                    })
                    .collect();
                self.section(key(Part::NodeValues), &truths)
            }
            AttributeKind::Time => {
                let times: Vec<i64> = values
                    .iter()
                    .map(|value| match value {
                        Some(Value::Time(time)) => *time,
                        _ => i64::MIN,
                    })
                    .collect();
                self.section(key(Part::NodeValues), &times)
            }
            AttributeKind::Vector(dimension) => {
                let mut rows = Vec::with_capacity(values.len() * dimension as usize);
                for value in values {
                    match value {
                        Some(Value::Vector(row)) => rows.extend_from_slice(row),
                        _ => rows.resize(rows.len() + dimension as usize, f32::NAN),
                    }
                }
                self.section(key(Part::NodeValues), &rows)
            }
            AttributeKind::Category => {
                let name = |value: &'_ Option<Value>| match value {
                    Some(Value::Category(name)) => Some(name.clone()),
                    _ => None,
                };
                let names = values.iter().map(name).collect::<Vec<_>>();
                self.names_and_codes(node_type, attribute, &names)
            }
            AttributeKind::Interval => {
                let interval = |value: &'_ Option<Value>| match value {
                    Some(Value::Interval(interval)) => Some(interval.clone()),
                    _ => None,
                };
                let intervals: Vec<_> = values.iter().map(interval).collect();
                let contigs: Vec<_> =
                    intervals.iter().map(|interval| interval.as_ref().map(|interval| interval.contig().to_owned())).collect();
                self.names_and_codes(node_type, attribute, &contigs)?;
                let starts: Vec<u64> = intervals.iter().flatten_or(|interval| interval.start(), 0);
                let ends: Vec<u64> = intervals.iter().flatten_or(|interval| interval.end(), 0);
                let strands: Vec<u8> = intervals.iter().flatten_or(
                    |interval| match interval.strand() {
                        Strand::Unknown => 0,
                        Strand::Forward => 1,
                        Strand::Reverse => 2,
                    },
                    0,
                );
                self.section(key(Part::IntervalStarts), &starts)?;
                self.section(key(Part::IntervalEnds), &ends)?;
                self.section(key(Part::IntervalStrands), &strands)
            }
            AttributeKind::Text | AttributeKind::Sequence => {
                let text = |value: &'_ Option<Value>| match value {
                    Some(Value::Text(text) | Value::Sequence(text)) => Some(text.clone()),
                    _ => None,
                };
                let texts: Vec<_> = values.iter().map(text).collect();
                let present: Vec<u8> = texts.iter().map(|text| u8::from(text.is_some())).collect();
                let shown = texts.iter().map(|text| text.as_deref().unwrap_or_default());
                self.texts(key(Part::TextOffsets), key(Part::TextBytes), shown)?;
                self.section(key(Part::TextPresent), &present)
            }
        }
    }

    fn names_and_codes(&mut self, node_type: NodeTypeId, attribute: AttributeId, values: &[Option<String>]) -> Result<()> {
        let key = |part| SectionKey::attribute(part, node_type.0, attribute.0);
        let names: Vec<&str> = values.iter().flatten().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
        let code = |value: &Option<String>| {
            value.as_deref().and_then(|value| names.binary_search(&value).ok()).map_or(u32::MAX, |code| code as u32)
        };
        let codes: Vec<u32> = values.iter().map(code).collect();
        self.texts(key(Part::NameOffsets), key(Part::NameBytes), names.iter().copied())?;
        self.section(key(Part::NodeValues), &codes)
    }

    /// A relation's edges. One that is never given has none.
    ///
    /// # Errors
    /// When the columns differ in length, an end is no node of its type, or it cannot be written.
    pub fn relation(&mut self, id: RelationId, mut data: EdgeData) -> Result<()> {
        let relation = self.schema.edge(id).clone();
        let title = self.schema.relation_title(id);
        self.check_edges(&title, &relation, &data)?;
        if data.sources.is_empty() {
            return Ok(());
        }
        let mut columns = Vec::new();
        for (at, attribute) in relation.attributes.iter().enumerate() {
            let values = data.attributes.get_mut(at).map(std::mem::take).unwrap_or_default();
            if values.iter().all(|value| *value == EdgeValue::Missing) {
                continue;
            }
            let is_category = attribute.kind == AttributeKind::Category;
            let (names, codes) = sorted_names(data.categories.get(at).map_or(&[], Vec::as_slice), &values);
            if is_category {
                let key = |part| SectionKey::attribute(part, id.0, at as u16);
                self.texts(key(Part::EdgeNameOffsets), key(Part::EdgeNameBytes), names.iter().map(String::as_str))?;
            }
            let words: Vec<u32> = values
                .iter()
                .map(|value| match value {
                    EdgeValue::Number(number) if !is_category => number.to_bits(),
                    EdgeValue::Category(code) if is_category => codes.get(*code as usize).copied().unwrap_or(u32::MAX),
                    _ if is_category => u32::MAX,
                    _ => f32::NAN.to_bits(),
                })
                .collect();
            columns.push((at as u16, words));
        }
        if relation.symmetric {
            mirror(&mut data, &mut columns);
        }
        let walks: &[Direction] = if relation.symmetric { &[Direction::Outgoing] } else { &Direction::BOTH };
        for &direction in walks {
            let near_count = self.counts[relation.near(direction).index()];
            let (near, far) = match direction {
                Direction::Outgoing => (&data.sources, &data.targets),
                Direction::Incoming => (&data.targets, &data.sources),
            };
            let (offsets, order) = sorted(near_count, near, far, &data.times, &columns);
            let key = |part| SectionKey::of(part, id.0).toward(direction);
            self.section(key(Part::EdgeOffsets), &offsets)?;
            self.section(key(Part::EdgeTargets), &order.par_iter().map(|&at| far[at as usize]).collect::<Vec<u32>>())?;
            if !data.times.is_empty() {
                self.section(key(Part::EdgeTimes), &order.par_iter().map(|&at| data.times[at as usize]).collect::<Vec<i64>>())?;
            }
            for (attribute, words) in &columns {
                let key = SectionKey::attribute(Part::EdgeValues, id.0, *attribute).toward(direction);
                self.section(key, &order.par_iter().map(|&at| words[at as usize]).collect::<Vec<u32>>())?;
            }
        }
        Ok(())
    }

    fn check_edges(&self, title: &str, relation: &relata_schema::Relation, data: &EdgeData) -> Result<()> {
        let edges = data.sources.len();
        if edges >= u32::MAX as usize {
            return Err(Error::Limit { what: format!("edges of {title}"), found: edges as u64, most: u64::from(u32::MAX - 1) });
        }
        let odd = |length: usize| length != 0 && length != edges;
        if data.targets.len() != edges || odd(data.times.len()) || data.attributes.iter().any(|column| odd(column.len())) {
            return Err(Error::Setting {
                setting: format!("edges of {title}"),
                found: "columns of different lengths".to_owned(),
                expected: format!("{edges} of each"),
            });
        }
        for (ends, node_type) in [(&data.sources, relation.source), (&data.targets, relation.target)] {
            let count = self.counts[node_type.index()];
            if let Some(&outside) = ends.iter().find(|&&end| end >= count) {
                return Err(Error::Setting {
                    setting: format!("edges of {title}"),
                    found: format!("node {outside}"),
                    expected: format!("below {count}, the number of nodes of {}", self.schema.node(node_type).name),
                });
            }
        }
        Ok(())
    }

    /// Syncs, renames to the content's identity, and makes it the store's current snapshot. Older ones that nobody has
    /// open go.
    ///
    /// # Errors
    /// When something cannot be written; the current snapshot is then as before.
    pub fn publish(mut self, sources: &[SourceRecord]) -> Result<SnapshotId> {
        let (table_offset, table) = self.write_table()?;
        let mut identity = blake3::Hasher::new();
        for entry in table.chunks_exact(ENTRY) {
            let entry: &[u8; ENTRY] = entry.try_into().expect("chunks_exact gives chunks of that length");
            identity.update(&Entry::identity(entry));
        }
        let id = SnapshotId::of(&identity.finalize());
        self.write_header(table_offset, &table)?;

        let provenance = serde_json::to_vec_pretty(sources)
            .map_err(|error| Error::Training(format!("cannot write the provenance: {error}")))?;
        write_durably(&self.folder.join(SOURCES), &provenance)?;
        sync_folder(&self.folder)?;
        let home = self.snapshots.join(id.as_str());
        // Held until it is the current one, so that nobody drops it before.
        let existing = Snapshot::open(&home).and_then(|existing| existing.verify().map(|()| existing)).ok();
        if existing.is_some() {
            write_durably(&home.join(SOURCES), &provenance)?;
        } else {
            if home.exists() {
                fs::remove_dir_all(&home).map_err(Error::io(&home, "cannot remove a damaged snapshot"))?;
            }
            fs::rename(&self.folder, &home).map_err(Error::io(&home, "cannot put the snapshot in place"))?;
            self.published = true;
        }
        sync_folder(&self.snapshots)?;
        write_durably(&self.snapshots.join(CURRENT), id.as_str().as_bytes())?;
        sync_folder(&self.snapshots)?;
        drop_unheld(&self.snapshots, &id);
        Ok(id)
    }

    fn write_table(&mut self) -> Result<(u64, Vec<u8>)> {
        self.entries.sort_by_key(|entry| entry.key);
        let padding = (ALIGNMENT - (self.position as usize) % ALIGNMENT) % ALIGNMENT;
        self.write(&[0; ALIGNMENT][..padding])?;
        let table: Vec<u8> = self.entries.iter().flat_map(|entry| entry.to_bytes()).collect();
        let offset = self.position;
        self.write(&table)?;
        Ok((offset, table))
    }

    fn write_header(&mut self, table_offset: u64, table: &[u8]) -> Result<()> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(self.entries.len() as u32).to_le_bytes());
        header[16..24].copy_from_slice(&table_offset.to_le_bytes());
        header[24..32].copy_from_slice(&self.position.to_le_bytes());
        header[32..].copy_from_slice(blake3::hash(table).as_bytes());
        let io = Error::io(&self.folder, "cannot write the snapshot's header");
        let finish = |file: &mut BufWriter<File>| {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.flush()?;
            file.get_ref().sync_all()
        };
        finish(&mut self.file).map_err(io)
    }
}

impl std::ops::Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.published {
            // What is left is a folder that no reader looks at; the next writer of this process clears it.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The snapshot that `CURRENT` names, if it can be read.
pub(super) fn current_id(snapshots: &Path) -> Option<SnapshotId> {
    SnapshotId::parse(&fs::read_to_string(snapshots.join(CURRENT)).ok()?)
}

/// Writes a small file whole or not at all, and durably.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("writing");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::io(path, "cannot write")(error)
    })?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes renames and removals in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(folder, "cannot sync the folder"))
}

/// Names in byte order that some value uses, and each old code's new one.
fn sorted_names(names: &[String], values: &[EdgeValue]) -> (Vec<String>, Vec<u32>) {
    let mut used = vec![false; names.len()];
    for value in values {
        if let EdgeValue::Category(code) = value
            && let Some(used) = used.get_mut(*code as usize)
        {
            *used = true;
        }
    }
    let mut kept: Vec<String> = names.iter().zip(&used).filter(|&(_, &used)| used).map(|(name, _)| name.clone()).collect();
    kept.sort_unstable();
    kept.dedup();
    let codes = names.iter().map(|name| kept.binary_search(name).map_or(u32::MAX, |code| code as u32)).collect();
    (kept, codes)
}

/// Gives a symmetric relation's edges their other direction; an edge from a node to itself stays one.
fn mirror(data: &mut EdgeData, columns: &mut [(u16, Vec<u32>)]) {
    for at in 0..data.sources.len() {
        let (source, target) = (data.sources[at], data.targets[at]);
        if source == target {
            continue;
        }
        data.sources.push(target);
        data.targets.push(source);
        if !data.times.is_empty() {
            data.times.push(data.times[at]);
        }
        for (_, words) in columns.iter_mut() {
            words.push(words[at]);
        }
    }
}

/// Offsets of each near node's edges, and the edges in their order: by near node, time, far node, attributes.
fn sorted(near_count: u32, near: &[u32], far: &[u32], times: &[i64], columns: &[(u16, Vec<u32>)]) -> (Vec<u64>, Vec<u32>) {
    let mut offsets = vec![0_u64; near_count as usize + 1];
    for &node in near {
        offsets[node as usize + 1] += 1;
    }
    for at in 1..offsets.len() {
        offsets[at] += offsets[at - 1];
    }
    let mut next = offsets.clone();
    let mut order = vec![0_u32; near.len()];
    for (edge, &node) in near.iter().enumerate() {
        order[next[node as usize] as usize] = edge as u32;
        next[node as usize] += 1;
    }
    let compare = |&one: &u32, &other: &u32| {
        let (one, other) = (one as usize, other as usize);
        let time = |at: usize| times.get(at).copied().unwrap_or_default();
        (time(one), far[one]).cmp(&(time(other), far[other])).then_with(|| {
            columns
                .iter()
                .map(|(_, words)| words[one].cmp(&words[other]))
                .find(|found| found.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        })
    };
    let mut lists = Vec::with_capacity(near_count as usize);
    let mut rest = order.as_mut_slice();
    for pair in offsets.windows(2) {
        let (list, behind) = rest.split_at_mut((pair[1] - pair[0]) as usize);
        lists.push(list);
        rest = behind;
    }
    lists.par_iter_mut().with_min_len(1024).for_each(|list| list.sort_unstable_by(compare));
    drop(lists);
    (offsets, order)
}

/// A column of a part of intervals, with a filler where the interval is missing.
trait FlattenOr<T> {
    fn flatten_or<U>(self, part: impl Fn(&T) -> U, filler: U) -> Vec<U>
    where
        U: Copy;
}

impl<'a, T: 'a, I: Iterator<Item = &'a Option<T>>> FlattenOr<T> for I {
    fn flatten_or<U: Copy>(self, part: impl Fn(&T) -> U, filler: U) -> Vec<U> {
        self.map(|value| value.as_ref().map_or(filler, &part)).collect()
    }
}
