use thiserror::Error;

use crate::located::LocatedError;

/// What is wrong with a schema, or with a name that was looked up in one.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// A mistake in a TOML file.
    #[error(transparent)]
    Located(#[from] LocatedError),
    /// A name that the schema does not have.
    #[error("unknown {what} `{found}`{suggestion} (known: {known})")]
    Unknown {
        /// "node type", "relation", "attribute of `gene`".
        what: String,
        /// The name that was looked up.
        found: String,
        /// Empty, or `; did you mean …?`.
        suggestion: String,
        /// The names that exist.
        known: String,
    },
    /// A relation's bare name that several relations share.
    #[error("relation `{found}` is ambiguous: write one of {candidates}")]
    Ambiguous {
        /// The bare name.
        found: String,
        /// The full names.
        candidates: String,
    },
    /// Two schemas that cannot be one.
    #[error("{0}")]
    Conflict(String),
}
