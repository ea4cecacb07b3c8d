//! Subgraphs for other programs: one row a subgraph, in Arrow IPC or Parquet.
//!
//! A [`Drawing`] says which subgraphs are drawn, and draws them batch by batch; a [`SubgraphTable`] makes columns of them;
//! [`to_shards`] writes a folder of them, and [`ArrowStream`] the pieces of a stream. What a reader needs is pyarrow and NumPy:
//! places are those that PyG's `edge_index` wants.
//!
//! | column | type | what it is |
//! |---|---|---|
//! | `subgraph` | uint64 | its number in the drawing, from 0 |
//! | `seed_type` | string | the node type of its seeds |
//! | `seeds` | list of uint32 | for each seed that was asked for, its place in the nodes of that type |
//! | `retrieved` | list of uint32 | the same of the rows that were retrieved beside the seeds, the most alike first |
//! | `cutoff` | int64 | nothing later was taken; null without a cutoff; of [seeds with cutoffs of their own](Drawing::until), the seed's |
//! | `target` | list | the last column, only where it is [asked](SubgraphTable::asking) for: the seeds' own values of an attribute |
//! | `T.node` | list of uint32 | for each node of type `T` in order of discovery, its number in the snapshot |
//! | `T.hop` | list of uint16 | steps from the nearest seed; 0 for the seeds and the rows retrieved |
//! | `T.key` | list of string | its key; only where keys are asked for |
//! | `T.ATTRIBUTE` | list | its value, null where missing: see below |
//! | `S.R.T.source`, `S.R.T.target` | list of uint32 | for each edge of relation `R` its ends, as places in `S.node` and `T.node` of the same row, in the relation's own direction |
//! | `S.R.T.incoming` | list of boolean | whether it was walked from its target; never for a symmetric relation |
//! | `S.R.T.ATTRIBUTE` | list | its value, null where missing |
//!
//! | attribute | list of |
//! |---|---|
//! | number, count | float64; float32 on edges, as the snapshot holds them |
//! | boolean | boolean |
//! | category | dictionary of strings, in Arrow the same in all shards of a snapshot: a code is a class |
//! | time | int64 in the attribute's unit |
//! | vector | fixed-size list of float32 |
//!
//! Intervals, texts and sequences are left out: `relata export --format parquet` has them, by key. So is an attribute that is
//! missing throughout the snapshot, a relation that has no edges in it, and a type that no walk from the seeds reaches.
//! An attribute that is called like a column (`node`, `hop`, `key`, `source`, `target`, `incoming`) keeps its name, and the
//! column becomes `_node`. A list is never null; that of a type or relation of which a subgraph has nothing is empty.
//!
//! The schema's metadata says how a shard was drawn:
//!
//! | entry | what it is |
//! |---|---|
//! | `relata.version` | the program's |
//! | `relata.snapshot` | the snapshot's id |
//! | `relata.sampler` | JSON of the [`SamplerConfig`](crate::sampler::SamplerConfig), its seed among it |
//! | `relata.draw` | the draw's number, such as an epoch's |
//! | `relata.node_types`, `relata.relations` | JSON lists of names, by the numbers that the configuration calls them |
//!
//! That of an attribute's field says its kind, and its unit and description where it has them.
//!
//! Where seeds have cutoffs of their own, the configuration's is the latest of them, and `own_cutoffs` in the manifest is true.
//!
//! **Invariants:** a value that a guard ([`SubgraphTable::showing`]) hides, or a node's time that is later than the subgraph's
//! cutoff, is null and nowhere in the bytes. Rows, and which shard each is in, depend on the snapshot, the configuration, the
//! seeds and the draw, not on threads.

mod columns;
mod drawing;
mod shards;
mod stream;
mod table;

#[cfg(test)]
mod tests;

pub use drawing::{Drawing, Grouping};
pub use shards::{Shards, to_shards};
pub use stream::ArrowStream;
pub use table::{Row, SubgraphTable};
