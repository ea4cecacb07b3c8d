//! The file `STORE`: two lines of text that say what the folder is.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::disk::write_durably;
use crate::{Error, Result};

const NAME: &str = "STORE";
const FIRST_LINE: &str = "Relata store";

/// The version of everything under a store's folder but the snapshots and models, which have their own. 2 brought edits and
/// another commit record, 3 another checksum of the segments' blocks.
pub(super) const VERSION: u32 = 3;

/// The lowest version that is still read.
const LOWEST: u32 = 1;

/// Whether the marker is there and of a version that is read.
pub(super) fn is_there(store: &Path) -> Result<bool> {
    Ok(version(store)?.is_some())
}

/// The version that the marker tells, if there is one.
fn version(store: &Path) -> Result<Option<u32>> {
    let path = store.join(NAME);
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(Error::io(&path, "cannot read the store's marker")(error)),
    };
    let mut lines = text.lines();
    let version =
        (lines.next() == Some(FIRST_LINE)).then(|| lines.next()?.strip_prefix("format version ")?.parse::<u32>().ok()).flatten();
    match version {
        Some(found @ LOWEST..=VERSION) => Ok(Some(found)),
        Some(found) => Err(version_error(store, found)),
        None => Err(Error::Damaged {
            path,
            record: "the store's marker".to_owned(),
            found: format!("it does not read `{FIRST_LINE}` and `format version {VERSION}`"),
            remedy: "If this is a Relata store, `relata repair` writes it anew".to_owned(),
        }),
    }
}

pub(super) fn version_error(store: &Path, found: u32) -> Error {
    let remedy = if found > VERSION {
        format!("Get a newer relata, or make a new store with `relata-load run MANIFEST.toml --store {}.new`", store.display())
    } else {
        format!("Load its manifests again with `relata-load run MANIFEST.toml --store {}.new`", store.display())
    };
    Error::Version { path: store.to_owned(), what: "the store", found, expected: VERSION, remedy }
}

/// Makes a store of an earlier version one of this: see [`commit`](super::commit) for when.
pub(super) fn upgrade(store: &Path) -> Result<()> {
    if version(store)? == Some(VERSION) { Ok(()) } else { write(store) }
}

/// Writes the marker, whole or not at all.
pub(super) fn write(store: &Path) -> Result<()> {
    write_durably(&store.join(NAME), format!("{FIRST_LINE}\nformat version {VERSION}\n").as_bytes())
}
