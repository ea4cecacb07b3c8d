//! `sources.json` beside a snapshot: where its content came from, and a checksum, since no section of the file covers it.
//!
//! ```text
//! { "checksum": first half of the BLAKE3 of the compact JSON of the sources, hexadecimal, "sources": [ … ] }
//! ```

use std::fs;
use std::path::Path;

use relata_schema::SourceRecord;
use serde::{Deserialize, Serialize};

use super::format::checksum;
use super::reader::damaged;
use crate::disk::write_durably;
use crate::{Error, Result};

#[derive(Serialize, Deserialize)]
pub(super) struct Provenance {
    checksum: String,
    sources: Vec<SourceRecord>,
}

impl Provenance {
    /// Writes the file, whole or not at all.
    pub(super) fn write(sources: &[SourceRecord], path: &Path) -> Result<()> {
        let provenance = Self { checksum: summed(sources), sources: sources.to_vec() };
        let text = serde_json::to_vec_pretty(&provenance).expect("texts, numbers and lists of them are JSON");
        write_durably(path, &text)
    }

    pub(super) fn read(path: &Path) -> Result<Vec<SourceRecord>> {
        let text = fs::read(path).map_err(Error::io(path, "cannot read the provenance"))?;
        let wrong = |found: String| damaged(path, "the provenance", found);
        // Written before there was a checksum. No flipped bit makes this of the other form.
        if text.first() == Some(&b'[') {
            return serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()));
        }
        let provenance: Self = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if summed(&provenance.sources) != provenance.checksum {
            return Err(wrong("its checksum does not match".to_owned()));
        }
        Ok(provenance.sources)
    }
}

fn summed(sources: &[SourceRecord]) -> String {
    let text = serde_json::to_vec(sources).expect("texts, numbers and lists of them are JSON");
    checksum(&text).iter().map(|byte| format!("{byte:02x}")).collect()
}
