//! A typed graph of biology in an embedded store, and a relational transformer trained on
//! subgraphs of it.
//!
//! The way of the data, and the modules in that order:
//!
//! * [`store`]: what was loaded, in sled; [`snapshot`]: an immutable, memory-mapped copy to read fast;
//!   [`edit`]: changes of people's own, as lines of JSON.
//! * [`sampler`]: subgraphs around seed nodes; [`task`]: what is to be learnt, on which split.
//! * `kernels`, `tokens`, `model`, `train`, `baselines` (feature `train`): from subgraphs to a trained relational
//!   transformer, and the plain models beside it; `kernels` is the arithmetic, by itself.
//! * [`embedding`]: what a model thinks of each node, on the disk, and its nearest neighbours; `layout` (feature
//!   `train`): a picture of it for the eye.
//! * `export` (feature `export`): a snapshot, and subgraphs of it, in the formats of other programs.
//!
//! It knows no file format of biology (that is `relata-ingest`) and no HTTP (`relata-web`).

pub mod allocator;
#[cfg(feature = "train")]
pub mod baselines;
#[cfg(feature = "train")]
mod bits;
mod disk;
pub mod edit;
pub mod embedding;
mod error;
#[cfg(feature = "export")]
pub mod export;
#[cfg(feature = "train")]
pub mod kernels;
#[cfg(feature = "train")]
pub mod layout;
mod memory;
#[cfg(feature = "train")]
pub mod model;
mod pack;
mod partition;
#[cfg(all(test, feature = "train"))]
mod planted;
pub mod pool;
pub mod progress;
pub mod sampler;
pub mod snapshot;
mod spare;
pub mod store;
pub mod task;
#[cfg(feature = "train")]
pub mod tokens;
#[cfg(feature = "train")]
pub mod train;
mod vectorised;

pub use error::{Error, Result};
