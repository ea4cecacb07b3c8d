//! The commit record: the one key that says what the store holds.
//!
//! ```text
//! key    "commit" in sled's default tree
//! value  format version u32 LE, the bincode bytes of `Commit`, and the BLAKE3 hash of both (32 bytes)
//! ```
//!
//! The file `COMMIT` beside the database says which commit was the last to be acknowledged: its number, a space, the hash
//! above in hexadecimal, and a line's end. For where its log is damaged the database takes up an older state and says
//! nothing, which is to be told from a commit that never was.
//!
//! Records of versions 1 and 2 are read too (the latter is as this one is); the first commit after that writes one of version 3.
//!
//! **Invariant:** everything that the record names is on the disk before the record is, and the record before `COMMIT`.
//!
//! **Invariant:** no record is newer than the store's marker. The marker is therefore rewritten first, durably, and then
//! the record: a program that knows only an earlier version accepts a store until the marker has changed, and refuses it
//! from then on without a look into the database; this program reads all three states. A commit that fails in between
//! leaves the content of the earlier version under a marker of this one, which is whole.

mod v1;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use relata_schema::{Schema, SourceRecord};
use serde::{Deserialize, Serialize};

use super::dictionary::DictionaryEntry;
use super::engine::{Engine, Tree};
use super::segment::SegmentEntry;
use crate::disk::write_durably;
use crate::{Error, Result};

const KEY: &[u8] = b"commit";
/// The file's name.
pub(super) const ACKNOWLEDGED: &str = "COMMIT";
const VERSION: u32 = super::marker::VERSION;
const HASH_BYTES: usize = 32;

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Commit {
    /// Counts the commits.
    pub sequence: u64,
    /// Above the number of every segment that was ever committed.
    pub next_segment: u32,
    pub schema: Schema,
    /// In the order in which they override each other: the last wins.
    pub sources: Vec<Source>,
    /// What people changed themselves, above all sources, in the order in which it was committed.
    pub edits: Vec<EditEntry>,
    /// Ascending by owner.
    pub dictionaries: Vec<DictionaryEntry>,
}

/// A source and what it brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Source {
    /// One; several where a repair put together what several sources had brought.
    pub records: Vec<SourceRecord>,
    /// In the order in which they were written; a later one overrides an earlier one.
    pub segments: Vec<SegmentEntry>,
}

/// Edits that were committed together, or folded into one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EditEntry {
    /// One an edit.
    pub records: Vec<SourceRecord>,
    pub segment: SegmentEntry,
}

impl Source {
    /// The record of this name, if it is one of the source's.
    pub(super) fn record(&self, dataset: &str, name: &str) -> Option<&SourceRecord> {
        self.records.iter().find(|record| record.dataset == dataset && record.name == name)
    }

    pub(super) fn is(&self, dataset: &str, name: &str) -> bool {
        self.record(dataset, name).is_some()
    }
}

impl Commit {
    /// The segments of all sources and then of the edits, later ones later.
    pub(super) fn segments(&self) -> impl Iterator<Item = &SegmentEntry> {
        self.layers().map(|(_, entry)| entry)
    }

    /// Segments with their layers: 0 for those of sources, then 1 and on for the edits.
    pub(super) fn layers(&self) -> impl DoubleEndedIterator<Item = (u32, &SegmentEntry)> {
        let sources = self.sources.iter().flat_map(|source| &source.segments).map(|entry| (0, entry));
        let edits = self.edits.iter().enumerate().map(|(at, edit)| (at as u32 + 1, &edit.segment));
        sources.chain(edits)
    }

    /// The records of all sources and then of the edits.
    pub(super) fn records(&self) -> impl Iterator<Item = &SourceRecord> {
        let sources = self.sources.iter().flat_map(|source| &source.records);
        sources.chain(self.edits.iter().flat_map(|edit| &edit.records))
    }

    /// The record in the database of the store at `store`, if there is one.
    pub(super) fn read(engine: &Engine, store: &Path) -> Result<Option<Self>> {
        let Some(value) = engine.get(Tree::Commit, KEY)? else { return Ok(None) };
        let damaged = |found: &str| Error::Damaged {
            path: engine.path().to_owned(),
            record: "the commit record".to_owned(),
            found: found.to_owned(),
            remedy: super::REMEDY_DAMAGED.to_owned(),
        };
        let (version, rest) = value.split_first_chunk().ok_or_else(|| damaged("it is shorter than its version"))?;
        let (body, hash) = rest.split_last_chunk::<HASH_BYTES>().ok_or_else(|| damaged("it is shorter than its hash"))?;
        let hashed = value.len() - HASH_BYTES;
        if blake3::hash(&value[..hashed]) != *hash {
            return Err(damaged("its hash is not that of its bytes"));
        }
        let commit: Self = match u32::from_le_bytes(*version) {
            1 => v1::decoded(body),
            2 | VERSION => super::decoded(body),
            found => return Err(super::marker::version_error(store, found)),
        }
        .map_err(|_| damaged("it does not decode"))?;
        match Acknowledged::read(store)? {
            // Made before there was such a file, or it was lost: then what the database has is all that is known.
            None => Ok(Some(commit)),
            Some(last) if last.sequence == commit.sequence && last.hash == blake3::Hash::from_bytes(*hash) => Ok(Some(commit)),
            // The process ended between the two.
            Some(last) if last.sequence.checked_add(1) == Some(commit.sequence) => Ok(Some(commit)),
            Some(last) => Err(damaged(&format!(
                "it is of commit {}, and `{ACKNOWLEDGED}` names commit {} as the last{}",
                commit.sequence,
                last.sequence,
                if last.sequence == commit.sequence { " with another hash" } else { "" },
            ))),
        }
    }

    /// Writes the record and returns when it is on the disk. The marker is of this version by then.
    pub(super) fn write(&self, engine: &Engine, store: &Path) -> Result<()> {
        let mut value = VERSION.to_le_bytes().to_vec();
        value.extend(super::encoded(self));
        let hash = blake3::hash(&value);
        value.extend_from_slice(hash.as_bytes());
        self.acknowledge_before(engine, store)?;
        engine.put(Tree::Commit, [(KEY.to_vec(), value)])?;
        engine.flush()?;
        acknowledge(store, self.sequence, &hash)
    }

    /// Sees that the commit before this one is acknowledged, where the process ended before that: the record is never two
    /// ahead of `COMMIT`.
    fn acknowledge_before(&self, engine: &Engine, store: &Path) -> Result<()> {
        let before = self.sequence.wrapping_sub(1);
        if Acknowledged::read(store)?.is_none_or(|last| last.sequence == before) {
            return Ok(());
        }
        let Some(value) = engine.get(Tree::Commit, KEY)? else { return Ok(()) };
        let Some(hash) = value.last_chunk::<HASH_BYTES>() else { return Ok(()) };
        // It may be in the system's memory alone.
        engine.flush()?;
        acknowledge(store, before, &blake3::Hash::from_bytes(*hash))
    }
}

/// Notes durably which commit is the last.
fn acknowledge(store: &Path, sequence: u64, hash: &blake3::Hash) -> Result<()> {
    write_durably(&store.join(ACKNOWLEDGED), format!("{sequence} {hash}\n").as_bytes())
}

/// What the file says.
struct Acknowledged {
    sequence: u64,
    hash: blake3::Hash,
}

impl Acknowledged {
    fn read(store: &Path) -> Result<Option<Self>> {
        let path = store.join(ACKNOWLEDGED);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path, "cannot read the number of the last commit")(error)),
        };
        let parsed = std::str::from_utf8(&bytes).ok().and_then(|text| {
            let (sequence, hash) = text.strip_suffix('\n')?.split_once(' ')?;
            Some(Self { sequence: sequence.parse().ok()?, hash: blake3::Hash::from_hex(hash).ok()? })
        });
        parsed.map(Some).ok_or_else(|| Error::Damaged {
            path,
            record: "the number of the last commit".to_owned(),
            found: "it is no number and hash".to_owned(),
            remedy: super::REMEDY_DAMAGED.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(sequence: u64) -> Commit {
        Commit { sequence, ..Commit::default() }
    }

    /// A database with the first commit, and what `COMMIT` says then.
    fn with_one_commit(store: &Path) -> (Engine, Vec<u8>) {
        let engine = Engine::open(&store.join("db")).unwrap();
        numbered(1).write(&engine, store).unwrap();
        let acknowledged = fs::read(store.join(ACKNOWLEDGED)).unwrap();
        (engine, acknowledged)
    }

    /// What the log of a database gives whose end was damaged.
    #[test]
    fn an_older_record_than_the_last_acknowledged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        let (engine, acknowledged) = with_one_commit(store);
        let first = engine.get(Tree::Commit, KEY).unwrap().unwrap();
        numbered(2).write(&engine, store).unwrap();
        assert_eq!(Commit::read(&engine, store).unwrap(), Some(numbered(2)));

        engine.put(Tree::Commit, [(KEY.to_vec(), first)]).unwrap();
        let error = Commit::read(&engine, store).unwrap_err().to_string();
        assert!(error.contains("it is of commit 1, and `COMMIT` names commit 2 as the last"), "{error}");
        // Nothing says that there was a second one.
        fs::write(store.join(ACKNOWLEDGED), &acknowledged).unwrap();
        assert_eq!(Commit::read(&engine, store).unwrap(), Some(numbered(1)));
        // The process ended before it acknowledged the second one.
        numbered(2).write(&engine, store).unwrap();
        fs::write(store.join(ACKNOWLEDGED), &acknowledged).unwrap();
        assert_eq!(Commit::read(&engine, store).unwrap(), Some(numbered(2)));
        // It cannot have written the third one then.
        numbered(3).write(&engine, store).unwrap();
        fs::write(store.join(ACKNOWLEDGED), &acknowledged).unwrap();
        assert!(Commit::read(&engine, store).is_err());
    }

    /// As when two processes, one after the other, end between the record and its acknowledgement.
    #[test]
    fn a_record_is_acknowledged_before_the_next_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        let (engine, acknowledged) = with_one_commit(store);
        numbered(2).write(&engine, store).unwrap();
        fs::write(store.join(ACKNOWLEDGED), acknowledged).unwrap();
        // Nothing can be acknowledged.
        let obstacle = store.join(ACKNOWLEDGED).with_extension("writing");
        fs::create_dir(&obstacle).unwrap();
        numbered(3).write(&engine, store).unwrap_err();
        assert_eq!(Commit::read(&engine, store).unwrap(), Some(numbered(2)));
        fs::remove_dir(&obstacle).unwrap();
        numbered(3).write(&engine, store).unwrap();
        assert_eq!(Commit::read(&engine, store).unwrap(), Some(numbered(3)));
    }

    #[test]
    fn another_record_of_the_same_number_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        let (engine, acknowledged) = with_one_commit(store);
        Commit { next_segment: 7, ..numbered(1) }.write(&engine, store).unwrap();
        fs::write(store.join(ACKNOWLEDGED), &acknowledged).unwrap();
        let error = Commit::read(&engine, store).unwrap_err().to_string();
        assert!(error.contains("with another hash"), "{error}");
        for broken in [&acknowledged[..acknowledged.len() - 1], b"", b"1\n", b"one 00\n"] {
            fs::write(store.join(ACKNOWLEDGED), broken).unwrap();
            let error = Commit::read(&engine, store).unwrap_err().to_string();
            assert!(error.contains("COMMIT: the number of the last commit is damaged"), "{error}");
        }
    }
}
