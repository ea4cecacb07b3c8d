//! Training, and what a trained model says.
//!
//! [`fit`] trains a [`Model`] on some rows of a task; [`Model::predict`] and [`Model::embed`] ask it about any rows;
//! a [`Run`] keeps it on the disk:
//!
//! | file of a run | holds |
//! |---|---|
//! | `task.toml` | the task, as it was given |
//! | `run.json` | [`RunInfo`]: snapshot, fold, counts, every setting with its default |
//! | `vocabulary.json` | [`Vocabulary`](crate::tokens::Vocabulary) |
//! | `metrics.jsonl` | one JSON object a line: [`metrics::Line`] |
//! | `model-0.safetensors`, … | the weights of each member |
//! | `first-order.json` | the weights of the linear term, [`FirstOrder`], if the task has one |
//! | `checkpoint/` | while it trains: what `relata train --resume` goes on from |
//! | `failed/` | the batch at which the loss stopped being a number, and the weights that it met: see [`Replay`] |
//!
//! [`metrics::read`] reads what a run has written so far, and [`plot::svg`] draws it.
//!
//! While one step is computed, the next are sampled and laid out on another thread. A step is of one of the task's objectives;
//! those of an epoch come in a random order. Every random choice is drawn by what it is for (the epoch, the row), so that a run
//! that was stopped and goes on from a checkpoint makes the steps that it would have made; but where `train.minutes` ends it, by
//! the clock.

mod average;
mod batches;
mod checkpoint;
mod failure;
mod first_order;
mod fit;
mod judge;
pub mod metrics;
mod model;
mod objectives;
mod optimizer;
pub mod plot;
mod run;
mod schedule;
mod settings;
mod trainer;
mod weights;

#[cfg(test)]
mod tests;

pub use failure::{Looked, Replay};
pub use first_order::FirstOrder;
pub use fit::{FitOptions, Keep, fit};
pub use judge::{Told, scores};
pub use metrics::Epoch;
pub use model::{Answer, Model};
pub use objectives::Visible;
pub use optimizer::Optimizer;
pub use run::{Run, RunInfo};
