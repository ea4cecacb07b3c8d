//! From subgraphs to tokens, and from tokens to the index arrays that a model computes with.
//!
//! A *row* is a node, or an edge (its parents are its two ends). A *token* is one attribute of one row: a [`Column`], a
//! value, and an identity. Rows of edges carry the identity of their far end, so that a cell with 1,500 expressed genes
//! costs 1,500 tokens; nodes of the last hop are known by that identity alone and have no row of their own.
//!
//! * [`Columns`] lists what can be a token for a task; [`Vocabulary`] learns from the training rows which identities,
//!   categories and scales there are, and is saved with the run;
//! * [`Encoder`] turns a [`Subgraph`](crate::sampler::Subgraph) into a [`Context`];
//! * [`Batch`] lays contexts out for the model: which tokens each attention layer reads and writes.
//!
//! | attribute kind | token |
//! |---|---|
//! | number, count, time, interval (its length in bp, log1p) | the number, transformed as the schema says, then standardised |
//! | category, boolean | one of the names of the column |
//! | text, sequence, vector | a vector: hashed n-grams ([`features`]), counts of 4-mers, the vector itself |
//! | an edge without attributes | that it is there |
//!
//! A missing value of a node's row is a token of its own (a learnt vector), never 0; an edge shows what it has.
//!
//! **Invariant:** the target of a seed, and what the task says is derived from it, is in no token. Other rows of the
//! task's node type show their target only where [`Encoder::encode`] is told that they may.

mod batch;
mod column;
mod context;
mod encoder;
pub mod features;
mod sight;
mod values;
mod visible;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Form, Group, Read, Sublayer};
pub use column::{Column, ColumnKind, Columns, Owner, SemanticType};
pub use context::{Context, NO_ROW, Row, State, Token};
pub use encoder::Encoder;
pub use visible::visible;
pub use vocabulary::{Learning, Vocabulary, VocabularyColumn};
