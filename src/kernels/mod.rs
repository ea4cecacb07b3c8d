//! The model's arithmetic on the processor: slices in, slices out.
//!
//! * A [`Pattern`] says which keys each query sees, as ranges: memory by the number of ranges, never of pairs.
//! * [`attend`] is attention along a pattern, [`attend_backward`] its gradients: online softmax (Milakov and Gimelshein 2018,
//!   <https://arxiv.org/abs/1805.02867>), probabilities computed again on the way back (Dao et al. 2022,
//!   <https://arxiv.org/abs/2205.14135>).
//! * [`AttentionLayer`] and [`FeedForward`] are whole layers, from states to states; a [`Reach`] says which states a layer of
//!   attention reads and writes.
//! * [`adamw`] is the optimizer's step.
//!
//! Results are the same on any number of threads: what several threads add to is added in a fixed order.
//!
//! **Invariant:** nothing here knows of a backend, of tokens or of files.

mod adamw;
mod attention;
mod attention_layer;
mod buffers;
mod feed_forward;
mod gated;
mod layer;
mod norm;
mod pattern;
mod product;
mod rows;
mod vector;

pub use adamw::{AdamWStep, adamw, sum_of_squares};
pub use attention::{Attention, Gradients, attend, attend_backward};
pub use attention_layer::{AttentionGradients, AttentionKept, AttentionLayer, Reach};
pub use buffers::Buffer;
pub use feed_forward::{FeedForward, FeedForwardGradients, FeedForwardKept};
pub use norm::Norm;
pub use pattern::{Pattern, PatternBuilder};
pub use rows::Rows;

use std::ops::Range;

/// Memory that several threads write to, each in places of its own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);
// SAFETY: it is only a place; who writes there says why no other does.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// So many numbers further on.
    fn at(self, offset: usize) -> Self {
        Self(self.0.wrapping_add(offset))
    }

    /// Some rows of `width` numbers.
    ///
    /// # Safety
    /// They are there, and nobody else touches them while the slice is in use.
    unsafe fn rows<'a>(self, rows: Range<usize>, width: usize) -> &'a mut [f32] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(rows.start * width), rows.len() * width) }
    }
}

#[cfg(test)]
mod tests;
