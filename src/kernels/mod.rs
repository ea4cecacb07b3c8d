//! The model's arithmetic on the processor: slices in, slices out.
//!
//! * A [`Pattern`] says which keys each query sees, as ranges: memory by the number of ranges, never of pairs.
//! * [`attend`] is attention along a pattern, [`attend_backward`] its gradients: online softmax (Milakov and Gimelshein 2018,
//!   <https://arxiv.org/abs/1805.02867>), probabilities computed again on the way back (Dao et al. 2022,
//!   <https://arxiv.org/abs/2205.14135>).
//!
//! Results are the same on any number of threads: what several threads add to is added in a fixed order.
//!
//! **Invariant:** nothing here knows of a backend, of tokens or of files.

mod attention;
mod pattern;
mod vector;

pub use attention::{Attention, Gradients, attend, attend_backward};
pub use pattern::{Pattern, PatternBuilder};
