//! Where subgraphs begin: which nodes, in which order, and which pairs of them that are no edges.

mod classes;
mod epochs;
mod filter;
mod negatives;
mod permutation;

pub use epochs::{Balance, EpochConfig, Epochs, Seeds};
pub use filter::Filter;
pub use negatives::{Corrupt, EndWeight, NegativeConfig, Negatives};
pub use permutation::Permutation;
