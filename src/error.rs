use std::path::{Path, PathBuf};

use relata_schema::SchemaError;
use relata_schema::located::LocatedError;
use thiserror::Error;

/// What can go wrong in this crate. Each message says where, what was found, what was expected and
/// what to do.
#[derive(Debug, Error)]
pub enum Error {
    /// The operating system refused something.
    #[error("{path}: {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: "cannot read the snapshot".
        action: &'static str,
        /// Why not. It stands in the message, so it is no `Error::source`, which programs print behind it: hence `r#`.
        r#source: std::io::Error,
    },
    /// There is no store at this place.
    #[error("{path}: no Relata store here ({found}); make one with `relata-load run MANIFEST.toml --store {path}`")]
    NoStore {
        /// Where one was looked for.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// Someone else writes to the store.
    #[error("{path}: the store is in use by {holder}; wait for it to end, or work on a copy")]
    Locked {
        /// The store.
        path: PathBuf,
        /// Process id, command and start, as the holder wrote them.
        holder: String,
    },
    /// Written by another version of the format.
    #[error("{path}: {what} has format version {found}; this program reads version {expected}. {remedy}")]
    Version {
        /// The file or folder.
        path: PathBuf,
        /// "the store", "the snapshot", "the checkpoint".
        what: &'static str,
        /// As found.
        found: u32,
        /// As readable.
        expected: u32,
        /// The command to run or the program to get.
        remedy: String,
    },
    /// Bytes on the disk are not what was written.
    #[error("{path}: {record} is damaged: {found}. {remedy}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The record in it: "posting block cell.expresses.gene, outgoing, node 17".
        record: String,
        /// What was found and what was expected.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// The storage engine failed.
    #[error("{path}: the storage engine failed while {action}: {message}")]
    Engine {
        /// The store.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// As the engine says it.
        message: String,
    },
    /// A schema, or a name looked up in one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A mistake in a text: a task's TOML, a filter.
    #[error(transparent)]
    Located(#[from] LocatedError),
    /// A node's key that the graph does not have.
    #[error("no {node_type} has the key `{key}`{suggestion}")]
    UnknownKey {
        /// The node type's name.
        node_type: String,
        /// As it was asked for.
        key: String,
        /// Empty, or `; did you mean …?`.
        suggestion: String,
    },
    /// A setting that cannot be.
    #[error("{setting}: found {found}, expected {expected}")]
    Setting {
        /// Its name: `context.tokens`.
        setting: String,
        /// As given.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A limit of the format.
    #[error("too many {what}: {found}, at most {most}")]
    Limit {
        /// Of what.
        what: String,
        /// How many there would be.
        found: u64,
        /// How many there can be.
        most: u64,
    },
    /// Training cannot go on.
    #[error("{0}")]
    Training(String),
}

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A setting that cannot be: its name, what was found, and what would do.
    pub fn setting(setting: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Setting { setting: setting.into(), found: found.into(), expected: expected.into() }
    }

    /// For `map_err`: puts a path and what was tried around an error of the operating system.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_prints_the_cause_once() {
        let refused = Error::io(Path::new("a/b"), "cannot read the snapshot")(std::io::Error::other("the disk is gone"));
        let shown = format!("error: {:#}", anyhow::Error::from(refused));
        assert_eq!(shown, "error: a/b: cannot read the snapshot: the disk is gone");
    }
}
