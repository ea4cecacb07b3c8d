//! Who still reads a snapshot: a shared lock of the operating system on its file, for as long as it is open.
//!
//! The system counts the holders, in this process and in others, and forgets those that die. A publisher drops what it can
//! lock alone. A reader that comes upon a snapshot that is just being dropped is told that it is not there.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use fs4::{FileExt, TryLockError};

use super::SnapshotId;
use super::writer::FILE;
use crate::disk::sync_folder;

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, Ordering};

    use relata_schema::Schema;

    use super::*;
    use crate::snapshot::{Snapshot, SnapshotWriter};

    /// A snapshot of so many genes, made current.
    fn publish(store: &Path, genes: u32) -> SnapshotId {
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(store, &schema).unwrap();
        let keys: Vec<String> = (0..genes).map(|at| format!("{genes:04}-{at:04}")).collect();
        writer.nodes(schema.node_type("gene").unwrap(), &keys).unwrap();
        writer.publish(&[]).unwrap()
    }

    /// Whether it says of every gene what was written.
    fn is_right(snapshot: &Snapshot) -> bool {
        let gene = snapshot.schema().node_type("gene").unwrap();
        let genes = snapshot.node_count(gene);
        (0..genes).all(|at| snapshot.key(gene, at) == format!("{genes:04}-{at:04}")) && snapshot.intact().is_ok()
    }

    fn folders(store: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(store.join("snapshots")).unwrap().map(|entry| entry.unwrap());
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    fn names(ids: &[&SnapshotId]) -> BTreeSet<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_reader_keeps_what_it_reads_while_twenty_loads_publish() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        let first = publish(store, 500);
        let held = Snapshot::current(store).unwrap();
        for round in 1..=20 {
            let id = publish(store, round);
            assert!(is_right(&held));
            assert_eq!(folders(store), names(&[&id, &first]), "round {round}");
        }
        held.verify().unwrap();
        drop(held);
        let id = publish(store, 21);
        assert_eq!(folders(store), names(&[&id]));
    }

    #[test]
    fn two_readers_of_one_file_both_count() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        let first = publish(store, 3);
        let (one, other) = (Snapshot::current(store).unwrap(), Snapshot::current(store).unwrap());
        let copy = other.clone();
        drop(one);
        let id = publish(store, 4);
        assert_eq!(folders(store), names(&[&id, &first]));
        drop(other);
        let id = publish(store, 5);
        assert_eq!(folders(store), names(&[&id, &first]));
        assert!(Snapshot::is_held(&store.join("snapshots").join(first.as_str())).unwrap());
        drop(copy);
        assert!(!Snapshot::is_held(&store.join("snapshots").join(first.as_str())).unwrap());
        let id = publish(store, 6);
        assert_eq!(folders(store), names(&[&id]));
    }

    #[test]
    fn content_that_comes_back_is_current_again_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        let first = publish(store, 3);
        let held = Snapshot::current(store).unwrap();
        publish(store, 4);
        assert_eq!(publish(store, 3), first);
        assert_eq!(folders(store), names(&[&first]));
        assert!(is_right(&held) && is_right(&Snapshot::current(store).unwrap()));
    }

    /// Opening and dropping cross all the time: an opener finds the newer one, and never an error.
    #[test]
    fn whoever_opens_while_loads_publish_gets_a_whole_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        publish(store, 1);
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut seen = BTreeSet::new();
                        while !ended.load(Ordering::Relaxed) {
                            let snapshot = Snapshot::current(store).unwrap();
                            assert!(is_right(&snapshot));
                            seen.insert(snapshot.id().clone());
                        }
                        seen.len()
                    })
                })
                .collect();
            let mut last = publish(store, 2);
            for round in 0..60 {
                last = publish(store, 1 + round % 7);
            }
            ended.store(true, Ordering::Relaxed);
            for reader in readers {
                assert!(reader.join().unwrap() > 1, "a reader saw no change");
            }
            publish(store, 9);
            assert!(!folders(store).contains(last.as_str()));
        });
    }

    #[cfg(unix)]
    #[test]
    fn leftovers_of_dead_processes_go_and_what_is_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        publish(store, 3);
        let snapshots = store.join("snapshots");
        for name in ["dropping-0123-99", "writing-4000001", "writing-4000002", "0123456789abcdef0123456789abcdef"] {
            fs::create_dir(snapshots.join(name)).unwrap();
        }
        for name in ["dropping-0123-99", "writing-4000001"] {
            fs::write(snapshots.join(name).join(FILE), b"half").unwrap();
        }
        fs::create_dir(snapshots.join("somebody's own")).unwrap();
        let living = snapshots.join("writing-4000003");
        fs::create_dir(&living).unwrap();
        let file = File::create(living.join(FILE)).unwrap();
        let writing = Hold::writing(&file).unwrap();
        let id = publish(store, 4);
        let kept = |more: &[&str]| more.iter().map(|name| (*name).to_owned()).chain([id.to_string()]).collect::<BTreeSet<_>>();
        assert_eq!(folders(store), kept(&["somebody's own", "writing-4000003"]));
        drop((file, writing));
        drop_unheld(&snapshots, &id);
        assert_eq!(folders(store), kept(&["somebody's own"]));
    }

    const CHILD: &str = "RELATA_HOLD_CHILD";

    /// Starts [`reads_until_told`] in a process of its own, and waits until it has opened the snapshot.
    fn child(store: &Path) -> std::process::Child {
        use std::process::{Command, Stdio};
        let arguments = ["--exact", "snapshot::hold::tests::reads_until_told", "--ignored", "--nocapture"];
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments).env(CHILD, store).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        wait_for(&mut child, "opened");
        child
    }

    fn wait_for(child: &mut std::process::Child, word: &str) {
        use std::io::Read;
        let mut text = String::new();
        let mut byte = [0];
        while !text.ends_with(word) {
            assert_eq!(child.stdout.as_mut().unwrap().read(&mut byte).unwrap(), 1, "the child ended after: {text}");
            text.push(char::from(byte[0]));
        }
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn reads_until_told() {
        use std::io::BufRead;
        let store = std::env::var_os(CHILD).expect("run by the test that it belongs to");
        let snapshot = Snapshot::current(Path::new(&store)).unwrap();
        println!("opened");
        for line in std::io::stdin().lock().lines() {
            assert_eq!(line.unwrap(), "read");
            assert!(is_right(&snapshot));
            println!("right");
        }
    }

    #[test]
    fn readers_in_other_processes_count_until_they_end_or_are_killed() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        let first = publish(store, 300);
        let mut one = child(store);
        let second = publish(store, 200);
        let mut other = child(store);
        for round in 1..=20 {
            let id = publish(store, round);
            for child in [&mut one, &mut other] {
                child.stdin.as_mut().unwrap().write_all(b"read\n").unwrap();
                wait_for(child, "right");
            }
            assert_eq!(folders(store), names(&[&id, &first, &second]), "round {round}");
        }
        drop(one.stdin.take());
        assert!(one.wait().unwrap().success());
        let id = publish(store, 21);
        assert_eq!(folders(store), names(&[&id, &second]));
        other.kill().unwrap();
        other.wait().unwrap();
        let id = publish(store, 22);
        assert_eq!(folders(store), names(&[&id]));
    }
}
