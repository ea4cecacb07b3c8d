//! The segments of a load: each is encoded and written by a thread of its own, while the load goes on to read.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::nodes::NodeSet;
use super::segment::{SegmentWriter, Written};
use super::staging::{self, Staging};
use crate::{Error, Result};

/// Segments that are being written, or done with, by number.
#[derive(Default)]
pub(super) struct Writing {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    threads: VecDeque<Thread>,
    written: BTreeMap<u32, Arc<Written>>,
    /// One could not be written, and what it would have held is lost.
    failed: bool,
}

/// A thread that writes a segment.
struct Thread {
    number: u32,
    /// About how much memory it takes.
    bytes: usize,
    handle: JoinHandle<Result<Written>>,
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
            writer.finish()
        };
        let thread = std::thread::Builder::new().name("segment".to_owned()).spawn(write);
        let handle = match thread {
            Ok(handle) => handle,
            Err(error) => return Err(state.fail(Error::io(&folder, "cannot begin a thread that writes a segment")(error))),
        };
        state.threads.push_back(Thread { number, bytes, handle });
        Ok(())
    }

    /// A segment, when it is on the disk; the folder's entry is synced by the commit.
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

    /// Ends what is under way, whatever comes of it.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        // The load was given up: there is nobody left to tell.
        state.threads.drain(..).for_each(|thread| drop(thread.handle.join()));
    }
}

impl State {
    fn fail(&mut self, error: Error) -> Error {
        self.failed = true;
        error
    }

    /// Waits for the oldest segment that is being written.
    fn settle_one(&mut self) -> Result<()> {
        if self.failed {
            return Err(lost());
        }
        let Some(Thread { number, handle, .. }) = self.threads.pop_front() else { return Ok(()) };
        let outcome = handle.join().unwrap_or_else(|_| Err(lost()));
        let written = outcome.map_err(|error| self.fail(error))?;
        self.written.insert(number, Arc::new(written));
        Ok(())
    }
}

fn lost() -> Error {
    Error::setting("load", "a source that could not be written", "a new load")
}
