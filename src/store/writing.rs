//! The segments of a load: each is encoded and written by a thread of its own, while the load goes on to read.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::fits::setting;
use super::nodes::NodeSet;
use super::segment::{Block, SegmentEntry, SegmentWriter, Syncing};
use super::staging::{self, Staging};
use crate::{Error, Result};

/// The most segments that are synced at a time while the load goes on.
const SYNCING: usize = 4;

/// A segment that is written: what the commit record says of it, and its blocks.
pub(super) struct Written {
    pub entry: SegmentEntry,
    pub blocks: Vec<Block>,
}

/// Segments that are being written, synced, or done with, by number.
#[derive(Default)]
pub(super) struct Writing {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    threads: VecDeque<Thread>,
    syncing: VecDeque<Syncing>,
    written: BTreeMap<u32, Arc<Written>>,
    /// One could not be written, and what it would have held is lost.
    failed: bool,
}

/// A thread that writes a segment.
struct Thread {
    number: u32,
    /// About how much memory it takes.
    bytes: usize,
    handle: JoinHandle<Result<(Written, Syncing)>>,
}

/// The most segments that are written at a time.
const THREADS: usize = 8;

impl Writing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to write what is staged, and the nodes that a source names where it ends with this segment. Waits for earlier
    /// segments while all would take more than `allowed` bytes.
    ///
    /// # Errors
    /// Those of segments before.
    pub(super) fn begin(
        &self,
        store: &Path,
        number: u32,
        mut staged: Staging,
        named: Option<Vec<NodeSet>>,
        allowed: usize,
    ) -> Result<()> {
        let mut state = self.state();
        let bytes = staged.bytes();
        let held = |state: &State| state.threads.iter().map(|thread| thread.bytes).sum::<usize>();
        while state.threads.len() >= THREADS || (!state.threads.is_empty() && held(&state) + bytes > allowed) {
            state.settle_one()?;
        }
        let (store, folder) = (store.to_owned(), store.to_owned());
        let write = move || {
            let mut writer = SegmentWriter::create(&store, number)?;
            staged.write(&mut writer)?;
            if let Some(named) = named {
                staging::write_nodes(&named, &mut writer)?;
            }
            let (entry, blocks, syncing) = writer.finish()?;
            Ok((Written { entry, blocks }, syncing))
        };
        let thread = std::thread::Builder::new().name("segment".to_owned()).spawn(write);
        let handle = match thread {
            Ok(handle) => handle,
            Err(error) => return Err(state.fail(Error::io(&folder, "cannot begin a thread that writes a segment")(error))),
        };
        state.threads.push_back(Thread { number, bytes, handle });
        Ok(())
    }

    /// A segment, when it is written.
    ///
    /// # Errors
    /// When one could not be written.
    pub(super) fn written(&self, number: u32) -> Result<Arc<Written>> {
        let mut state = self.state();
        while state.threads.iter().any(|thread| thread.number <= number) {
            state.settle_one()?;
        }
        state.written.get(&number).cloned().ok_or_else(lost)
    }

    /// Returns when all segments are on the disk; the folder's entries are synced by the commit.
    ///
    /// # Errors
    /// When one could not be written.
    pub(super) fn finish(&self) -> Result<()> {
        let mut state = self.state();
        state.settle()?;
        while let Some(oldest) = state.syncing.pop_front() {
            oldest.wait().map_err(|error| state.fail(error))?;
        }
        Ok(())
    }

    /// Ends what is under way, whatever comes of it.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        // The load was given up: there is nobody left to tell.
        state.threads.drain(..).for_each(|thread| drop(thread.handle.join()));
        state.syncing.drain(..).for_each(|syncing| drop(syncing.wait()));
    }
}

impl State {
    fn fail(&mut self, error: Error) -> Error {
        self.failed = true;
        error
    }

    /// Waits for all segments that are being written.
    fn settle(&mut self) -> Result<()> {
        while !self.threads.is_empty() {
            self.settle_one()?;
        }
        if self.failed { Err(lost()) } else { Ok(()) }
    }

    /// Waits for the oldest segment that is being written.
    fn settle_one(&mut self) -> Result<()> {
        if self.failed {
            return Err(lost());
        }
        let Some(Thread { number, handle, .. }) = self.threads.pop_front() else { return Ok(()) };
        let outcome = handle.join().unwrap_or_else(|_| Err(lost()));
        let (written, syncing) = outcome.map_err(|error| self.fail(error))?;
        self.written.insert(number, Arc::new(written));
        self.syncing.push_back(syncing);
        while self.syncing.len() > SYNCING
            && let Some(oldest) = self.syncing.pop_front()
        {
            oldest.wait().map_err(|error| self.fail(error))?;
        }
        Ok(())
    }
}

fn lost() -> Error {
    setting("load", "a source that could not be written".to_owned(), "a new load".to_owned())
}
