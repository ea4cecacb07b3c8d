//! What was loaded: an embedded store with its own integrity, open for one writer.
//!
//! A store is a folder, such as `atlas.relata/`:
//!
//! | entry | holds | written |
//! |---|---|---|
//! | `STORE` | what the folder is, and the version of its format | last of all when a store is made; by its first commit of a later version |
//! | `COMMIT` | the number and hash of the last commit | last of all at a commit |
//! | `LOCK` | who writes: a lock of the operating system, and text for people | by each writer |
//! | `db/` | sled: the commit record, dictionaries, indexes of segments | at a commit |
//! | `segments/` | posting blocks, columns and node lists, a file or more a source, a file an edit | while loading; never changed |
//! | `snapshots/`, `models/` | see [`snapshot`](crate::snapshot) and [`embedding`](crate::embedding) | |
//! | `damaged-<time>/` | the database and segments that a repair replaced | by [`Store::repair`] |
//!
//! **The way of a load.** [`Store::begin`] gives a [`Load`]; each source stages its edges and values in memory as columns
//! and writes them as blocks of a new segment ([`Load::end_source`], or earlier where memory runs out). [`Load::commit`]
//! writes new names and indexes, syncs, and then replaces one key, the commit record. Before that nothing is visible,
//! after it everything is. A source that is loaded again replaces the segments that it had; these are removed afterwards.
//!
//! **Layers.** What a store holds is its sources, in their order, and above them the edits, in the order in which they were
//! committed. An [`Edit`] ([`Store::edit`]) adds nodes, values and edges as a source does, in a segment of its own, and hides
//! some of all layers below: nodes with their values and edges, values, edges between two nodes. Sources come, go and are
//! replaced beneath the edits, which stay in force. So that reading stays fast, many edits become one (their content does
//! not change), and what they hide is kept in memory.
//!
//! **Invariant:** nothing is believed that is not verified: every block, dictionary and index page has a checksum over its
//! key and bytes, and the commit record has their number and the hash of all. [`Store::check`] goes through all of it.
//!
//! **Invariant:** an edge's ends and a value's node are named by the segment that holds the edge or value, so that what is
//! live never refers to what is not.
//!
//! ```
//! use relata::store::Store;
//! use relata_schema::{EdgeValue, Schema, SourceRecord};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("atlas.relata");
//! let mut store = Store::open_or_create(&path)?;
//! let mut load = store.begin(&Schema::biology())?;
//! let expresses = load.schema().relation("expresses")?;
//! let (cell_type, gene_type) = (load.schema().edge(expresses).source, load.schema().edge(expresses).target);
//! load.begin_source("blood", "counts")?;
//! let (cell, gene) = (load.node(cell_type, "AAACCTG")?, load.node(gene_type, "ENSG00000010610")?);
//! load.edge(expresses, cell, gene, None, &[EdgeValue::Number(3.0)])?;
//! load.end_source(SourceRecord { dataset: "blood".into(), name: "counts".into(), ..SourceRecord::default() })?;
//! load.commit()?;
//!
//! let genes = store.neighbors(expresses, relata_schema::Direction::Outgoing, cell)?;
//! assert_eq!(store.key(gene_type, genes[0].node)?, "ENSG00000010610");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod changes;
mod check;
mod column;
mod commit;
mod dictionary;
mod edit;
mod engine;
mod fits;
mod index;
mod key;
mod load;
mod lock;
mod marker;
mod names;
mod nodes;
mod overlay;
mod pairs;
mod posting;
mod publish;
mod repair;
mod segment;
mod staging;
#[expect(clippy::module_inception, reason = "the module's noun is that of its first type")]
mod store;
mod writing;

#[cfg(test)]
mod encodings;
#[cfg(test)]
mod tests;

pub use check::{Checked, Finding};
pub use edit::Edit;
pub use load::{EdgeBatch, Load, LoadOptions};
pub use lock::utc;
pub use repair::Repair;
pub use store::{Neighbor, Store};

/// What to do about damage.
const REMEDY_DAMAGED: &str =
    "`relata check` lists all that is damaged; `relata repair` rebuilds the store from its newest whole snapshot";

/// bincode's standard encoding: little-endian, integers of variable length, so no platform's sizes.
fn encoded<T: serde::Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .expect("the types of this module have known lengths, which is all that bincode asks")
}

/// Reads back what [`encoded`] wrote, to its last byte.
fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, crate::pack::Malformed> {
    match bincode::serde::decode_from_slice(bytes, bincode::config::standard()) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        _ => Err(crate::pack::Malformed("it does not decode")),
    }
}
