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
//!
//! [`metrics::read`] reads what a run has written so far, and [`plot::svg`] draws it.
//!
//! While one batch is computed, the next are sampled and laid out on another thread.

mod batches;
mod first_order;
mod fit;
pub mod metrics;
mod model;
mod optimizer;
pub mod plot;
mod run;

#[cfg(test)]
mod tests;

pub use first_order::FirstOrder;
pub use fit::{FitOptions, fit};
pub use metrics::Epoch;
pub use model::{Answer, Model};
pub use optimizer::Optimizer;
pub use run::{Run, RunInfo};
