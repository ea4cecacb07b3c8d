//! Columns that were written and are empty by now. Those staged next take their memory: fresh pages would cost more than
//! what is put there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Empty columns, for all who hold a clone.
#[derive(Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Columns>>);

#[derive(Default)]
struct Columns {
    words: Vec<Vec<u32>>,
    times: Vec<Vec<i64>>,
}

impl Spare {
    fn columns(&self) -> MutexGuard<'_, Columns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn words(&self) -> Vec<u32> {
        self.columns().words.pop().unwrap_or_default()
    }

    pub(super) fn times(&self) -> Vec<i64> {
        self.columns().times.pop().unwrap_or_default()
    }

    pub(super) fn give_words(&self, column: Vec<u32>) {
        give(&mut self.columns().words, column);
    }

    pub(super) fn give_times(&self, column: Vec<i64>) {
        give(&mut self.columns().times, column);
    }
}

fn give<T>(columns: &mut Vec<Vec<T>>, mut column: Vec<T>) {
    if column.capacity() > 0 {
        column.clear();
        columns.push(column);
    }
}
