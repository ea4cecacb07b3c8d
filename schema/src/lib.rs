//! What exists in a Relata graph.
//!
//! * A [`Schema`] names node types (gene, cell, region, tissue, …), their [`Attribute`]s and the
//!   [`Relation`]s between them. It is read from TOML; [`Schema::biology`] is built in, and a
//!   user's file extends it without code.
//! * [`Interval`] is the one way to write a place on a genome: 0-based, half-open.
//! * [`Value`] is what an attribute holds; a missing value is absent, never 0.
//! * [`identifier`] brings the spellings of one identifier together.
//! * [`located`] turns a mistake in a TOML file into an error that names file, line and the
//!   nearest known name; manifests and tasks use it too.
//!
//! It knows nothing of files other than its TOML, of storage, models or HTTP.
//!
//! ```
//! use relata_schema::Schema;
//!
//! let extended = Schema::biology().extended_by(
//!     r#"
//!     [node.drug]
//!     about = "A small molecule"
//!     [[relation]]
//!     name = "binds"
//!     source = "drug"
//!     target = "protein"
//!     attributes = { affinity = { kind = "number", unit = "nM" } }
//!     "#,
//!     "drugs.toml",
//! )?;
//! let binds = extended.relation("binds")?;
//! assert_eq!(extended.relation_title(binds), "drug.binds.protein");
//! # Ok::<(), relata_schema::SchemaError>(())
//! ```
//!
//! **Invariant:** ids ([`NodeTypeId`], [`RelationId`], [`AttributeId`]) are positions, and a schema
//! only ever grows at its ends, so that an id that once reached a disk keeps its meaning.

mod attribute;
mod error;
pub mod identifier;
mod interval;
pub mod located;
mod metagraph;
mod nearest;
mod parse;
mod record;
mod schema;
mod value;
mod write;

pub use attribute::{Attribute, AttributeKind, Transform};
pub use error::SchemaError;
pub use interval::{Interval, IntervalError, Strand};
pub use metagraph::MetaGraph;
pub use nearest::{nearest, suggestion};
pub use record::{Drop, SourceRecord, Tally};
pub use schema::{AttributeId, Container, Direction, NodeType, NodeTypeId, Relation, RelationId, Schema};
pub use value::{EdgeValue, Value};
