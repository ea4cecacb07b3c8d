use std::mem::MaybeUninit;
use std::ops::Deref;

/// A vector whose memory behind its end is written to before it is known how much of it will count, and which is handed over
/// when it is done.
pub(in crate::sampler) struct Buffer<T> {
    things: Vec<T>,
    /// About how many it will hold: the most of late.
    expected: usize,
}

/// What is left of an expectation for the next time: fifteen sixteenths.
const FADES: usize = 16;

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self { things: Vec::new(), expected: 0 }
    }
}

impl<T: Copy> Buffer<T> {
    /// Empties it and keeps its memory.
    pub(in crate::sampler) fn clear(&mut self) {
        self.things.clear();
    }

    /// Puts one at the end.
    #[inline(always)]
    pub(in crate::sampler) fn push(&mut self, thing: T) {
        self.things.push(thing);
    }

    /// The memory behind the end: for so many at least.
    #[inline(always)]
    pub(in crate::sampler) fn room(&mut self, more: usize) -> &mut [MaybeUninit<T>] {
        if self.things.capacity() - self.things.len() < more {
            self.grow(more);
        }
        self.things.spare_capacity_mut()
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        self.things.reserve(more.max(self.expected).max(self.things.len()));
    }

    /// Counts as many more.
    ///
    /// # Safety
    /// They were written into the [room](Self::room).
    #[inline(always)]
    pub(in crate::sampler) unsafe fn fill(&mut self, more: usize) {
        debug_assert!(self.things.capacity() - self.things.len() >= more);
        // SAFETY: the caller wrote them.
        unsafe { self.things.set_len(self.things.len() + more) };
    }

    /// What it holds.
    pub(in crate::sampler) fn hand_over(&mut self) -> Vec<T> {
        self.expected = self.things.len().max(self.expected - self.expected / FADES);
        std::mem::take(&mut self.things)
    }

    /// Takes back memory that was handed over.
    pub(in crate::sampler) fn take_back(&mut self, things: Vec<T>) {
        if things.capacity() > self.things.capacity() {
            self.things = things;
        }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.things
    }
}
