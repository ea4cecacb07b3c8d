//! The commit record: the one key that says what the store holds.
//!
//! ```text
//! key    "commit" in sled's default tree
//! value  format version u32 LE, the bincode bytes of `Commit`, and the BLAKE3 hash of both (32 bytes)
//! ```
//!
//! **Invariant:** everything that the record names is on the disk before the record is.

use std::path::Path;

use relata_schema::{Schema, SourceRecord};
use serde::{Deserialize, Serialize};

use super::dictionary::DictionaryEntry;
use super::engine::{Engine, Tree};
use super::segment::SegmentEntry;
use crate::{Error, Result};

const KEY: &[u8] = b"commit";
const VERSION: u32 = 1;
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
    /// Ascending by owner.
    pub dictionaries: Vec<DictionaryEntry>,
}

/// A source and what it brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Source {
    pub record: SourceRecord,
    /// In the order in which they were written; a later one overrides an earlier one.
    pub segments: Vec<SegmentEntry>,
}

impl Source {
    pub(super) fn is(&self, dataset: &str, name: &str) -> bool {
        self.record.dataset == dataset && self.record.name == name
    }
}

impl Commit {
    /// The segments of all sources, later ones later.
    pub(super) fn segments(&self) -> impl Iterator<Item = &SegmentEntry> {
        self.sources.iter().flat_map(|source| &source.segments)
    }

    /// The record in the database, if there is one. `store` is for messages.
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
        match u32::from_le_bytes(*version) {
            VERSION => super::decoded(body).map(Some).map_err(|_| damaged("it does not decode")),
            found => Err(super::marker::version_error(store, found)),
        }
    }

    /// Writes the record and returns when it is on the disk.
    pub(super) fn write(&self, engine: &Engine) -> Result<()> {
        let mut value = VERSION.to_le_bytes().to_vec();
        value.extend(super::encoded(self));
        let hash = blake3::hash(&value);
        value.extend_from_slice(hash.as_bytes());
        engine.put(Tree::Commit, [(KEY.to_vec(), value)])?;
        engine.flush()
    }
}
