use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The file that says that a folder is the demo's.
const NAME: &str = ".relata-demo.toml";
/// Of what the files hold; raised whenever the same seed would give other files.
const VERSION: u32 = 1;

/// Whose folder it is, and of what.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    version: u32,
    seed: u64,
    /// False while files are being written.
    is_complete: bool,
}

/// Whether the folder holds the whole demo of this seed and version.
///
/// # Errors
/// When the folder holds things that are not the demo's, or cannot be read.
pub(super) fn is_complete(folder: &Path, seed: u64) -> Result<bool> {
    let path = folder.join(NAME);
    match fs::read_to_string(&path) {
        // Whatever it says otherwise, the folder is the demo's and may be written again.
        Ok(text) => Ok(toml::from_str(&text).ok() == Some(Marker { version: VERSION, seed, is_complete: true })),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_dir(folder) {
            Ok(mut entries) => match entries.next() {
                None => Ok(false),
                Some(_) => bail!(
                    "{}: found other things here, expected an empty folder, a new one, or an earlier demo's",
                    folder.display()
                ),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("{}: cannot read the folder", folder.display())),
        },
        Err(error) => Err(error).with_context(|| format!("{}: cannot read the demo's marker", path.display())),
    }
}

/// Notes what the folder holds, before the files are written and after.
pub(super) fn write(folder: &Path, seed: u64, is_complete: bool) -> Result<()> {
    let path = folder.join(NAME);
    let text = toml::to_string(&Marker { version: VERSION, seed, is_complete })?;
    fs::write(&path, text).with_context(|| format!("{}: cannot write the demo's marker", path.display()))
}
