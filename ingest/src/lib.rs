//! Reads the file formats of biology into a Relata store by a manifest.
//!
//! * A [`Manifest`] names a data set and its [`Source`]s; [`plan`] says what they would bring, [`run`] brings it
//!   into a store as one commit. Both give the same [`Report`].
//! * Each format is a module of [`formats`], which turns rows of its files into calls of a [`Sink`]; a format is
//!   added by writing such a module and naming it in [`formats::ALL`].
//! * The [`identity`] module finds the node that a text means: by key, by identifier, in another spelling; what does
//!   not match, or matches twice, is counted and shown, never guessed.
//!
//! It knows nothing of how a store keeps its content, of models, or of HTTP.

mod error;
pub mod formats;
pub mod identity;
mod input;
mod known;
mod load;
mod manifest;
mod meaning;
mod reference;
mod report;
mod rows;
mod sink;

pub use error::{At, Error, Result};
pub use input::Input;
pub use load::{Options, plan, run};
pub use manifest::{Cells, ColumnSpec, Dataset, Genes, Manifest, Source, Unmatched};
pub use report::Report;
pub use sink::{Backend, DryBackend, Sink};
