//! A file or folder that appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use super::Options;
use crate::disk::sync_folder;
use crate::snapshot::Snapshot;
use crate::{Error, Result};

/// Written beside its place under another name, and renamed. Dropping it before leaves nothing behind.
pub(super) struct Output {
    home: PathBuf,
    temporary: PathBuf,
    published: bool,
}

impl Output {
    /// A file at `home`.
    ///
    /// # Errors
    /// When something is there that may not be replaced, or there is no such folder.
    pub fn file(home: &Path, options: Options) -> Result<Self> {
        let output = Self::at(home, options)?;
        if home.is_dir() {
            return Err(refused(home, "a folder", "the name of a file to write"));
        }
        Ok(output)
    }

    /// A folder at `home`, made under its temporary name. Only a folder that holds all of `marks`, as an earlier export
    /// does, is ever replaced.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn folder(home: &Path, marks: &[&str], options: Options) -> Result<Self> {
        let output = Self::at(home, options)?;
        let is_ours = home.is_dir() && marks.iter().all(|mark| home.join(mark).exists());
        if home.exists() && !is_ours {
            return Err(refused(home, "something that is no export", "a new folder, or that of an earlier export"));
        }
        fs::create_dir(&output.temporary).map_err(Error::io(&output.temporary, "cannot make the folder"))?;
        Ok(output)
    }

    fn at(home: &Path, options: Options) -> Result<Self> {
        if home.exists() && !options.overwrite {
            return Err(refused(home, "something that is there already", "a new name, or `--overwrite`"));
        }
        let Some(name) = home.file_name() else {
            return Err(refused(home, "no name", "the name of the file or folder to write"));
        };
        let temporary = home.with_file_name(format!(".{}.writing-{}", name.to_string_lossy(), std::process::id()));
        let output = Self { home: home.to_owned(), temporary, published: false };
        output.clear();
        Ok(output)
    }

    /// Where to write until it is published.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Makes what was written of a snapshot durable and puts it in its place. Returns its size in bytes.
    ///
    /// # Errors
    /// When it cannot be, or the snapshot's file is no longer what it was; what was there before is then there still.
    pub fn publish(mut self, snapshot: &Snapshot) -> Result<u64> {
        snapshot.intact()?;
        let bytes = synced(&self.temporary)?;
        let before = self.temporary.with_extension("before");
        let replaces = self.home.is_dir();
        let io = || Error::io(&self.home, "cannot put the export in place");
        if replaces {
            fs::rename(&self.home, &before).map_err(io())?;
        }
        if let Err(error) = fs::rename(&self.temporary, &self.home) {
            if replaces {
                let _ = fs::rename(&before, &self.home);
            }
            return Err(io()(error));
        }
        self.published = true;
        if replaces {
            fs::remove_dir_all(&before).map_err(Error::io(&before, "cannot remove the earlier export"))?;
        }
        let parent = self.home.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_folder(parent)?;
        Ok(bytes)
    }

    fn clear(&self) {
        // What cannot be removed is found again, and told, when it is written to.
        let _ = if self.temporary.is_dir() { fs::remove_dir_all(&self.temporary) } else { fs::remove_file(&self.temporary) };
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.published {
            self.clear();
        }
    }
}

fn refused(home: &Path, found: &str, expected: &str) -> Error {
    let found = format!("{} ({found})", home.display());
    Error::setting("the export's place", found, expected)
}

/// Syncs a file, or a folder with all that it holds, and says how many bytes its files have.
fn synced(path: &Path) -> Result<u64> {
    let io = || Error::io(path, "cannot sync the export");
    if !path.is_dir() {
        let file = fs::File::open(path).map_err(io())?;
        file.sync_all().map_err(io())?;
        return Ok(file.metadata().map_err(io())?.len());
    }
    let mut bytes = 0;
    for entry in fs::read_dir(path).map_err(io())? {
        bytes += synced(&entry.map_err(io())?.path())?;
    }
    sync_folder(path)?;
    Ok(bytes)
}
