//! What the layers have in common: they go through rows in chunks, a thread a chunk.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

/// Rows of a chunk: their states stay in the processor's second cache.
const CHUNK: usize = 256;

/// Calls `each` with chunks of `0..count`, on all threads; what it gives comes in the chunks' order.
pub(super) fn chunks<T: Send>(count: usize, each: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    (0..count.div_ceil(CHUNK)).into_par_iter().map(|at| each(at * CHUNK..((at + 1) * CHUNK).min(count))).collect()
}

/// Numbers of a chunk's own, of whatever value, kept for the thread's next one.
pub(super) fn with_scratch<T>(count: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out: work that this one waits for may be another chunk's.
    let mut scratch = SCRATCH.take();
    if scratch.len() < count {
        scratch.resize(count, 0.0);
    }
    let result = work(&mut scratch[..count]);
    SCRATCH.set(scratch);
    result
}

/// Adds up what chunks give, in their order.
pub(super) fn sum(parts: &[Vec<f32>], to: &mut [f32]) {
    to.fill(0.0);
    for part in parts {
        to.iter_mut().zip(part).for_each(|(to, number)| *to += number);
    }
}
