//! Who still reads a snapshot: a shared lock of the operating system on its file, for as long as it is open.
//!
//! The system counts the holders, in this process and in others, and forgets those that die. A publisher drops what it can
//! lock alone. A reader that comes upon a snapshot that is just being dropped is told that it is not there.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use fs4::{FileExt, TryLockError};

use super::SnapshotId;
use super::writer::{FILE, sync_folder};

/// Start of the name of a folder that is being written, before the writer's process.
pub(super) const WRITING: &str = "writing-";
/// Start of the name of a folder that is being removed.
const DROPPING: &str = "dropping-";

/// A shared lock, held until dropped.
pub(super) struct Hold {
    file: File,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Closing is not enough: a child that is just being started has a copy of the descriptor. See `store::lock`.
        let _ = FileExt::unlock(&self.file);
    }
}

impl Hold {
    /// Holds the snapshot whose `file` was opened at `path`.
    ///
    /// # Errors
    /// `NotFound` when it is being dropped, or was between opening and holding.
    pub(super) fn reading(path: &Path, file: &File) -> std::io::Result<Self> {
        let dropped = || std::io::Error::new(ErrorKind::NotFound, "it was dropped for a newer one");
        let file = file.try_clone()?;
        match FileExt::try_lock_shared(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(dropped()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let hold = Self { file };
        if is_at(&hold.file, path)? { Ok(hold) } else { Err(dropped()) }
    }

    /// Tells others that the process that writes `file` lives.
    pub(super) fn writing(file: &File) -> std::io::Result<Self> {
        let file = file.try_clone()?;
        // On Windows a lock would keep its own holder from writing.
        if cfg!(unix) {
            FileExt::try_lock_shared(&file)?;
        }
        Ok(Self { file })
    }
}

/// Whether an open file is still the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let there = match fs::metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// On Windows nothing can be renamed away that is open.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> std::io::Result<bool> {
    path.try_exists()
}

/// Whether somebody reads, or writes, the snapshot in this folder.
///
/// # Errors
/// When its file cannot be opened.
pub(super) fn is_held(folder: &Path) -> std::io::Result<bool> {
    Ok(alone(folder)?.is_none())
}

/// Locks a folder's file for us alone; nothing where somebody holds it.
fn alone(folder: &Path) -> std::io::Result<Option<Hold>> {
    let file = File::open(folder.join(FILE))?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Some(Hold { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes every snapshot but `current` that nobody holds, and what processes left that died while writing or removing.
///
/// What cannot be removed now is left for the next time, and the log says so.
pub(super) fn drop_unheld(snapshots: &Path, current: &SnapshotId) {
    let Ok(entries) = fs::read_dir(snapshots) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let outcome = if name.starts_with(DROPPING) {
            remove(&path)
        } else if name.starts_with(WRITING) {
            remove_unfinished(&path)
        } else if SnapshotId::parse(&name).is_some_and(|id| id != *current) {
            drop_one(snapshots, &path, &name)
        } else {
            Ok(())
        };
        if let Err(error) = outcome {
            tracing::warn!("{}: cannot be removed now and stays for the next time: {error}", path.display());
        }
    }
}

/// Renames it away, so that nobody finds a half of it, and removes it.
fn drop_one(snapshots: &Path, path: &Path, name: &str) -> std::io::Result<()> {
    let hold = match alone(path) {
        Ok(Some(hold)) => Some(hold),
        Ok(None) => return Ok(()),
        // A folder without its file is nobody's.
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // On Windows a folder with an open file in it has its name for good.
    let hold = hold.filter(|_| cfg!(unix));
    let dropping = snapshots.join(format!("{DROPPING}{name}-{}", std::process::id()));
    fs::rename(path, &dropping)?;
    sync_folder(snapshots).map_err(std::io::Error::other)?;
    // Whoever opened it before the rename, and waits to hold it, must find it gone.
    remove(&dropping)?;
    drop(hold);
    Ok(())
}

fn remove_unfinished(path: &Path) -> std::io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match alone(path) {
        Ok(Some(_hold)) => remove(path),
        Ok(None) => Ok(()),
        // Its writer died before it made the file: there is one publisher at a time, by the store's lock.
        Err(error) if error.kind() == ErrorKind::NotFound => gone_is_fine(fs::remove_dir(path)),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    gone_is_fine(fs::remove_dir_all(path))
}

/// Another publisher may be at the same.
fn gone_is_fine(outcome: std::io::Result<()>) -> std::io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
