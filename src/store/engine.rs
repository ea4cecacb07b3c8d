//! The seam to sled: its errors and its panics become this crate's errors.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// sled's page cache, in bytes. Blocks lie in files of their own, so only dictionaries and block indexes pass through it.
const CACHE_BYTES: u64 = 64 << 20;

/// How long a database that is being closed is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Entries that go to sled in one batch; a batch is held in memory.
const BATCH_ENTRIES: usize = 256;

/// The trees of the database.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tree {
    /// One key: the commit record. It is sled's default tree.
    Commit,
    /// Names of nodes and of edge categories, in blocks.
    Dictionaries,
    /// For each segment, the keys and lengths of its blocks, in pages.
    Blocks,
}

/// An open sled database.
pub(super) struct Engine {
    path: PathBuf,
    /// `Some` until dropped.
    handles: Option<Handles>,
    /// The names of its files and folders when they were synced last.
    synced: Mutex<BTreeSet<PathBuf>>,
}

struct Handles {
    database: sled::Db,
    dictionaries: sled::Tree,
    blocks: sled::Tree,
}

impl Engine {
    /// Whether a database was ever made there.
    pub(super) fn is_there(path: &Path) -> bool {
        path.join("db").exists()
    }

    /// Opens the database, or makes one. The caller holds the store's lock.
    pub(super) fn open(path: &Path) -> Result<Self> {
        remove_unfinished(path)?;
        let since = Instant::now();
        loop {
            match Self::try_open(path) {
                // sled's own threads may hold its file for a moment after the last handle was dropped.
                Err(Error::Io { source, .. })
                    if source.to_string().contains("could not acquire lock") && since.elapsed() < PATIENCE =>
                {
                    thread::sleep(Duration::from_millis(5));
                }
                opened => return opened,
            }
        }
    }

    fn try_open(path: &Path) -> Result<Self> {
        let handles = guarded(path, "opening the database", || {
            let database = sled::Config::new()
                .path(path)
                .mode(sled::Mode::HighThroughput)
                .cache_capacity(CACHE_BYTES)
                // Only `flush` makes anything durable, so that no thread of sled's own meets an error that nobody sees.
                .flush_every_ms(None)
                .open()?;
            let dictionaries = database.open_tree("dictionaries")?;
            let blocks = database.open_tree("blocks")?;
            Ok(Handles { database, dictionaries, blocks })
        })?;
        Ok(Self { path: path.to_owned(), handles: Some(handles), synced: Mutex::default() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn handles(&self) -> &Handles {
        self.handles.as_ref().expect("only `drop` takes them")
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        let handles = self.handles();
        match tree {
            Tree::Commit => &handles.database,
            Tree::Dictionaries => &handles.dictionaries,
            Tree::Blocks => &handles.blocks,
        }
    }

    pub(super) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        guarded(&self.path, "reading", || Ok(self.tree(tree).get(key)?.map(|value| value.to_vec())))
    }

    /// All entries whose key starts with `prefix`, in the order of their keys, until `visit` returns `false`.
    pub(super) fn scan(&self, tree: Tree, prefix: &[u8], mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool>) -> Result<()> {
        let mut entries = guarded(&self.path, "reading", || Ok(self.tree(tree).scan_prefix(prefix)))?;
        while let Some((key, value)) = guarded(&self.path, "reading", || entries.next().transpose())? {
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    /// The first key that is not below `from`.
    pub(super) fn next_key(&self, tree: Tree, from: &[u8]) -> Result<Option<Vec<u8>>> {
        guarded(&self.path, "reading", || {
            let next = self.tree(tree).range(from..).next().transpose()?;
            Ok(next.map(|(key, _)| key.to_vec()))
        })
    }

    /// Writes entries in the order given. Durable after [`flush`](Self::flush), and not atomic: nothing may refer to them
    /// before.
    pub(super) fn put(&self, tree: Tree, entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<()> {
        let mut entries = entries.into_iter();
        loop {
            let mut batch = sled::Batch::default();
            let count = entries.by_ref().take(BATCH_ENTRIES).map(|(key, value)| batch.insert(key, value)).count();
            if count == 0 {
                return Ok(());
            }
            guarded(&self.path, "writing", || self.tree(tree).apply_batch(batch))?;
        }
    }

    /// Removes the keys. Not atomic.
    pub(super) fn remove(&self, tree: Tree, keys: &[Vec<u8>]) -> Result<()> {
        for keys in keys.chunks(BATCH_ENTRIES) {
            let mut batch = sled::Batch::default();
            keys.iter().for_each(|key| batch.remove(key.as_slice()));
            guarded(&self.path, "removing what is no longer needed", || self.tree(tree).apply_batch(batch))?;
        }
        Ok(())
    }

    /// Returns when all that was written is on the disk.
    pub(super) fn flush(&self) -> Result<()> {
        guarded(&self.path, "writing to the disk", || flush(&self.handles().database))?;
        // On Linux sled's own flush is `sync_file_range`, which leaves out the file's length and the disk's cache; and no
        // folder is synced anywhere.
        self.sync_files()
    }

    /// Syncs the log, what is new since the last time (all else is written once), and the folders where names have changed.
    fn sync_files(&self) -> Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = BTreeSet::from([self.path.clone()]);
        list(&self.path, &mut names)?;
        let (is_log, is_changed) = (|path: &Path| path == self.path.join("db"), names != *synced);
        for path in &names {
            let wanted = if path.is_dir() { is_changed } else { is_log(path) || !synced.contains(path) };
            match File::open(path).and_then(|file| if wanted { file.sync_all() } else { Ok(()) }) {
                // sled removes what it no longer needs at any time.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io(path, "cannot sync the database")(error));
                }
                _ => {}
            }
        }
        *synced = names;
        Ok(())
    }
}

/// sled's flush, which at times forgets to wake who waits for a write that failed. Another flush wakes all, so there is one
/// more from time to time while one waits.
fn flush(database: &sled::Db) -> sled::Result<()> {
    let waiting = AtomicUsize::new(1);
    let flush = || {
        let flushed = quietly(|| database.flush());
        waiting.fetch_sub(1, Ordering::AcqRel);
        flushed.unwrap_or_else(|panic| resume_unwind(panic)).map(|_| ())
    };
    thread::scope(|scope| {
        let waker = scope.spawn(|| {
            let mut patience = Duration::from_millis(500);
            loop {
                thread::park_timeout(patience);
                if waiting.load(Ordering::Acquire) == 0 {
                    return;
                }
                waiting.fetch_add(1, Ordering::AcqRel);
                // What it returns is what the first one returns.
                scope.spawn(|| drop(quietly(flush)));
                patience *= 2;
            }
        });
        let flushed = flush();
        waker.thread().unpark();
        flushed
    })
}

/// sled takes the file in which it was writing a snapshot of its index when the process ended for a whole one, and does not
/// open. The snapshot before is still there then, and the log has all that is in neither.
fn remove_unfinished(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io(folder, "cannot look into the database"))?,
    };
    for entry in entries {
        let path = entry.map_err(Error::io(folder, "cannot look into the database"))?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(&path).map_err(Error::io(&path, "cannot remove what an interrupted process left"))?;
        }
    }
    Ok(())
}

/// Adds the names of all files and folders in a folder.
fn list(folder: &Path, names: &mut BTreeSet<PathBuf>) -> Result<()> {
    let failed = |source| Error::Io { path: folder.to_owned(), action: "cannot look into the database", source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            list(&path, names)?;
        }
        names.insert(path);
    }
    Ok(())
}

/// sled flushes when the last handle goes, and may panic in that on a full or failing disk. What matters is flushed before.
impl Drop for Engine {
    fn drop(&mut self) {
        let handles = self.handles.take();
        let close = || {
            // Here rather than by sled itself, which may wait for ever.
            let flushed = handles.as_ref().map(|handles| flush(&handles.database));
            drop(handles);
            flushed.transpose()
        };
        if !matches!(quietly(close), Ok(Ok(_))) {
            tracing::warn!("{}: the storage engine failed while closing", self.path.display());
        }
    }
}

/// Does what may panic inside of sled. The panic becomes an error that says all there is to say, so it is not printed.
fn quietly<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    static HOOK: Once = Once::new();
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // The threads of sled's own hand their failures on to whoever waits for them.
            let is_sled = || thread::current().name().is_some_and(|name| name.starts_with("sled-io"));
            if !QUIET.get() && !is_sled() {
                before(panic);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    outcome
}

fn guarded<T>(path: &Path, action: &'static str, work: impl FnOnce() -> sled::Result<T>) -> Result<T> {
    match quietly(work) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Io(source))) => Err(Error::Io { path: path.to_owned(), action: "the database failed", source }),
        Ok(Err(error)) => Err(failure(path, action, error.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(failure(path, action, said.unwrap_or("it panicked and did not say why").to_owned()))
        }
    }
}

/// sled wraps some errors of the operating system in text.
fn failure(path: &Path, action: &'static str, message: String) -> Error {
    if message.contains("StorageFull") || message.contains("No space left on device") {
        let source = io::Error::new(io::ErrorKind::StorageFull, "no space left on the device");
        return Error::Io { path: path.to_owned(), action: "the database failed", source };
    }
    Error::Engine { path: path.to_owned(), action, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_engine_is_an_error() {
        let error = guarded::<()>(Path::new("db"), "reading", || panic!("index out of bounds")).unwrap_err();
        assert_eq!(error.to_string(), "db: the storage engine failed while reading: index out of bounds");
        let error = guarded::<()>(Path::new("db"), "writing", || panic!("Io(Os {{ kind: StorageFull }})")).unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
    }

    #[test]
    fn entries_are_scanned_in_the_order_of_their_keys() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("db")).unwrap();
        let entry = |number: u32| (number.to_be_bytes().to_vec(), vec![number as u8]);
        engine.put(Tree::Blocks, (0..1000).rev().map(entry)).unwrap();
        engine.remove(Tree::Blocks, &[entry(5).0]).unwrap();
        engine.flush().unwrap();
        let mut seen = Vec::new();
        engine
            .scan(Tree::Blocks, &[0, 0, 0], |key, value| {
                seen.push((key[3], value[0]));
                Ok(seen.len() < 10)
            })
            .unwrap();
        assert_eq!(seen, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10].map(|number| (number, number)));
        assert_eq!(engine.get(Tree::Blocks, &entry(5).0).unwrap(), None);
        assert_eq!(engine.get(Tree::Dictionaries, &entry(6).0).unwrap(), None);
    }
}
