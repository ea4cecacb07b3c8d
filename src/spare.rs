//! Memory that goes from one use to the next: fresh pages would cost more than what is put there.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is not in use, for all threads. What is taken may hold what its last user left there.
pub(crate) struct Spare<T>(Mutex<Vec<T>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Spare<T> {
    fn all(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of them, if there is one.
    pub(crate) fn take(&self) -> Option<T> {
        self.all().pop()
    }

    /// Keeps it for the next who asks.
    pub(crate) fn give(&self, used: T) {
        self.all().push(used);
    }
}
