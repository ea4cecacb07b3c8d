use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::prefetch::prefetch;
use super::steps::{Step, Steps};
use crate::snapshot::Snapshot;

/// Where the edges that a configuration's cutoff allows end in each row, as far as that was looked for: a cutoff is mostly that of
/// many seeds, which come to the same nodes again and again.
///
/// 4 bytes a node and step with times; what was never looked for takes no memory where the system gives pages when they are
/// first written to.
#[derive(Clone, Debug)]
pub(super) struct Until {
    last: i64,
    /// By step and node, how many edges of the row that is, and one more; 0 where it is not known. Empty for steps without times.
    found: Arc<[Vec<AtomicU32>]>,
}

impl Until {
    pub(super) fn new(snapshot: &Snapshot, steps: &Steps, last: i64) -> Self {
        let schema = snapshot.schema();
        let nodes = |step: &Step| match step.is_timed {
            true => snapshot.node_count(schema.edge(step.relation).near(step.direction)) as usize,
            false => 0,
        };
        Self { last, found: steps.steps.iter().map(|step| bytemuck::zeroed_vec(nodes(step))).collect() }
    }

    fn of(&self, step: usize, last: Option<i64>) -> Option<&[AtomicU32]> {
        (last == Some(self.last)).then(|| self.found[step].as_slice())
    }

    /// Asks for what is known of a row.
    #[inline(always)]
    pub(super) fn ask(&self, step: usize, node: u32, last: Option<i64>) {
        if let Some(found) = self.of(step, last) {
            prefetch(found, node as usize);
        }
    }

    /// How many edges of a row it is, if that is known.
    #[inline(always)]
    pub(super) fn get(&self, step: usize, node: u32, last: Option<i64>) -> Option<usize> {
        let known = self.of(step, last)?.get(node as usize)?.load(Ordering::Relaxed);
        known.checked_sub(1).map(|count| count as usize)
    }

    /// Keeps how many edges of a row it is.
    #[inline(always)]
    pub(super) fn put(&self, step: usize, node: u32, last: Option<i64>, count: usize) {
        let place = self.of(step, last).and_then(|found| found.get(node as usize));
        if let (Some(place), Some(known)) = (place, u32::try_from(count).ok().and_then(|count| count.checked_add(1))) {
            place.store(known, Ordering::Relaxed);
        }
    }
}
