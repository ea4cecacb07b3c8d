use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use relata_schema::{AttributeId, AttributeKind, NodeTypeId, Schema, SourceRecord, Strand, Value};

use super::format::{ALIGNMENT, ENTRY, Entry, HEADER, MAGIC, Part, SectionKey, VERSION, first_half};
use super::hold::{Hold, WRITING, drop_unheld};
use super::provenance::Provenance;
use super::{Snapshot, SnapshotId};
use crate::disk::{begin_writing_back, sync_folder, write_at, write_durably, write_parts_at};
use crate::partition::Memory;
use crate::{Error, Result};

/// Name of the one file of a snapshot.
pub(super) const FILE: &str = "graph.relata";
/// Name of the provenance beside it.
pub(super) const SOURCES: &str = "sources.json";
/// Bytes of memory that sorting a relation's edges may take.
const MEMORY: usize = 1 << 30;
/// Name of the file that says which snapshot is the current one.
pub(super) const CURRENT: &str = "CURRENT";

/// Writes a snapshot: nodes of every type first, then columns and relations, then [`publish`](Self::publish).
///
/// Dropping it before leaves nothing behind.
pub struct SnapshotWriter {
    snapshots: PathBuf,
    pub(super) folder: PathBuf,
    file: File,
    _hold: Hold,
    position: u64,
    entries: Vec<Entry>,
    pub(super) schema: Schema,
    pub(super) counts: Vec<u32>,
    memory: Arc<Memory>,
    published: bool,
}

/// A section that is written a part at a time.
pub(super) struct Section {
    key: SectionKey,
    pub(super) offset: u64,
    reserved: u64,
    written: u64,
    /// Bytes that the system was asked to write to the disk.
    written_back: u64,
    hasher: blake3::Hasher,
}

/// Bytes of a section that are written back at a time.
const WRITE_BACK: u64 = 8 << 20;

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
        let memory = Arc::new(Memory::new(&folder, MEMORY));
        let mut writer = Self {
            snapshots,
            folder,
            file,
            _hold: hold,
            position: HEADER as u64,
            entries: Vec::new(),
            schema: schema.clone(),
            counts: vec![0; schema.node_types().len()],
            memory,
            published: false,
        };
        let text = serde_json::to_vec(schema).map_err(|error| Error::Training(format!("cannot write the schema: {error}")))?;
        writer.section(SectionKey::of(Part::Schema, 0), &text)?;
        Ok(writer)
    }

    /// Sets the bytes of memory that sorting a relation's edges may take (1 GiB unless told otherwise); what is above goes
    /// to a temporary file beside the snapshot.
    #[must_use]
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = Arc::new(Memory::new(&self.folder, bytes));
        self
    }

    /// What sorting relations' edges may take, all together.
    pub(crate) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    /// Takes a place in the file for a section of so many bytes.
    pub(super) fn begin(&mut self, key: SectionKey, bytes: u64) -> Section {
        let offset = self.position.next_multiple_of(ALIGNMENT as u64);
        self.position = offset + bytes;
        Section { key, offset, reserved: bytes, written: 0, written_back: 0, hasher: blake3::Hasher::new() }
    }

    /// Appends to a section.
    pub(super) fn put(&self, section: &mut Section, bytes: &[u8]) -> Result<()> {
        self.put_all(section, &[bytes])
    }

    /// Appends several parts to a section.
    pub(super) fn put_all(&self, section: &mut Section, parts: &[&[u8]]) -> Result<()> {
        write_parts_at(&self.file, parts, section.offset + section.written)
            .map_err(Error::io(&self.folder, "cannot write the snapshot"))?;
        for bytes in parts {
            section.hasher.update(bytes);
            section.written += bytes.len() as u64;
        }
        debug_assert!(section.written <= section.reserved);
        // The last part as well, so that there is little left to wait for at the end.
        if section.written - section.written_back >= WRITE_BACK || section.written == section.reserved {
            begin_writing_back(&self.file, section.offset + section.written_back, section.written - section.written_back);
            section.written_back = section.written;
        }
        Ok(())
    }

    /// Lists a section that is whole.
    pub(super) fn end(&mut self, section: Section) {
        debug_assert_eq!(section.written, section.reserved);
        let Section { key, offset, written: length, hasher, .. } = section;
        self.entries.push(Entry { key, offset, length, checksum: first_half(&hasher.finalize()) });
    }

    fn section<T: bytemuck::NoUninit>(&mut self, key: SectionKey, values: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let mut section = self.begin(key, bytes.len() as u64);
        self.put(&mut section, bytes)?;
        self.end(section);
        Ok(())
    }

    /// Offsets and bytes of a list of texts.
    pub(super) fn texts<'a>(
        &mut self,
        offsets: SectionKey,
        bytes: SectionKey,
        texts: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
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
    pub fn nodes<K: AsRef<str>>(&mut self, node_type: NodeTypeId, keys: &[K]) -> Result<()> {
        let what = || format!("nodes of type {}", self.schema.node(node_type).name);
        let limit = |found: usize| Error::Limit { what: what(), found: found as u64, most: u64::from(u32::MAX - 1) };
        self.counts[node_type.index()] = match u32::try_from(keys.len()) {
            Ok(count) if count < u32::MAX => count,
            _ => return Err(limit(keys.len())),
        };
        let keys = || keys.iter().map(AsRef::as_ref);
        if let Some((one, next)) = keys().zip(keys().skip(1)).find(|(one, next)| one >= next) {
            return Err(Error::Setting {
                setting: what(),
                found: format!("`{one}` before `{next}`"),
                expected: "keys in ascending order, each once".to_owned(),
            });
        }
        let key = |part| SectionKey::of(part, node_type.0);
        self.texts(key(Part::KeyOffsets), key(Part::KeyBytes), keys())
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

        Provenance::write(sources, &self.folder.join(SOURCES))?;
        sync_folder(&self.folder)?;
        let home = self.snapshots.join(id.as_str());
        // Held until it is the current one, so that nobody drops it before.
        let existing = Snapshot::open(&home).and_then(|existing| existing.verify().map(|()| existing)).ok();
        if existing.is_some() {
            Provenance::write(sources, &home.join(SOURCES))?;
        } else {
            if home.exists() {
                fs::remove_dir_all(&home).map_err(Error::io(&home, "cannot remove a damaged snapshot"))?;
            }
            fs::rename(&self.folder, &home).map_err(Error::io(&home, "cannot put the snapshot in place"))?;
            self.published = true;
        }
        sync_folder(&self.snapshots)?;
        make_current(&self.snapshots, &id)?;
        drop_unheld(&self.snapshots, &id);
        Ok(id)
    }

    fn write_table(&mut self) -> Result<(u64, Vec<u8>)> {
        self.entries.sort_by_key(|entry| entry.key);
        let table: Vec<u8> = self.entries.iter().flat_map(|entry| entry.to_bytes()).collect();
        let offset = self.position.next_multiple_of(ALIGNMENT as u64);
        self.position = offset + table.len() as u64;
        write_at(&self.file, &table, offset).map_err(Error::io(&self.folder, "cannot write the snapshot"))?;
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
        write_at(&self.file, &header, 0).and_then(|()| self.file.sync_all()).map_err(io)
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

/// Has `CURRENT` name a snapshot, durably.
pub(super) fn make_current(snapshots: &Path, id: &SnapshotId) -> Result<()> {
    write_durably(&snapshots.join(CURRENT), id.as_str().as_bytes())
}

/// The snapshot that `CURRENT` names, if it can be read.
pub(super) fn current_id(snapshots: &Path) -> Option<SnapshotId> {
    SnapshotId::parse(&fs::read_to_string(snapshots.join(CURRENT)).ok()?)
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
