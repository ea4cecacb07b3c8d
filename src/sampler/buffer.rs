use std::ops::Deref;

/// A vector whose room behind its end is there to be written to before it is known how much of it will count.
pub(super) struct Buffer<T> {
    /// What stands where nothing was written.
    nothing: T,
    things: Vec<T>,
    filled: usize,
}

impl<T: Copy> Buffer<T> {
    pub(super) fn new(nothing: T) -> Self {
        Self { nothing, things: Vec::new(), filled: 0 }
    }

    /// Empties it and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    /// What is behind the end: so many at least.
    #[inline(always)]
    pub(super) fn room(&mut self, more: usize) -> &mut [T] {
        if self.things.len() - self.filled < more {
            self.grow(more);
        }
        &mut self.things[self.filled..]
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        self.things.resize((2 * self.things.len()).max(self.filled + more), self.nothing);
    }

    /// Counts as many more of what was written there.
    #[inline(always)]
    pub(super) fn fill(&mut self, more: usize) {
        self.filled += more;
        debug_assert!(self.filled <= self.things.len());
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.things[..self.filled]
    }
}
