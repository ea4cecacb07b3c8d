use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use relata_schema::SchemaError;
use relata_schema::located::LocatedError;
use thiserror::Error as ThisError;

/// Why a load stopped. Each message says where, what was found, what was expected and what to do.
#[derive(Debug, ThisError)]
pub enum Error {
    /// A file is not there.
    #[error("{path}: there is no such file{suggestion}")]
    Missing {
        /// As the manifest has it, in full.
        path: PathBuf,
        /// Empty, or `; did you mean …?` with names of the same folder.
        suggestion: String,
    },
    /// The operating system refused something.
    #[error("{path}: {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not. It stands in the message, so it is no `Error::source`, which programs print behind it: hence `r#`.
        r#source: std::io::Error,
    },
    /// A row, line, term or record of a file is not as its format has it.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1, in the decompressed text.
        line: u64,
        /// What was found, what was expected.
        message: String,
    },
    /// A file as a whole, or a part of it that has no line, is not as its format has it.
    #[error("{path}: {place}: {message}")]
    Content {
        /// The file.
        path: PathBuf,
        /// The part: a dataset's path, "the header".
        place: String,
        /// What was found, what was expected, what to do.
        message: String,
    },
    /// A mistake in the manifest.
    #[error(transparent)]
    Located(#[from] LocatedError),
    /// A mistake in a schema, or a name that the schema does not have.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The load is committed, but readers still see the snapshot before it.
    #[error(
        "the load is committed, but its snapshot could not be written: {source}; make it with `relata snapshot --store {path}`"
    )]
    Unpublished {
        /// The store.
        path: PathBuf,
        /// Why not; in the message, as that of [`Io`](Self::Io).
        r#source: Box<relata::Error>,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] relata::Error),
}

/// Where in a file something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// In the file as a whole, or at no place that has a number.
    File,
    /// A line of its decompressed text, from 1.
    Line(u64),
    /// A row of a table without lines, from 1.
    Row(u64),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the file"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err`: puts a path and what was tried around an error of the operating system.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    /// At a line.
    pub fn line(path: &Path, line: u64, message: impl Into<String>) -> Self {
        Self::Line { path: path.to_owned(), line, message: message.into() }
    }

    /// At a part of a file.
    pub fn content(path: &Path, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), place: place.into(), message: message.into() }
    }

    /// At a line or row, or else at a part of the file.
    pub fn at(path: &Path, at: At, part: &str, message: impl Into<String>) -> Self {
        match at {
            At::Line(line) => Self::line(path, line, message),
            At::Row(_) => Self::content(path, at.to_string(), message),
            At::File => Self::content(path, part, message),
        }
    }
}

/// The seam to a reader that panics on some damaged files: that becomes an error too.
pub(crate) fn guarded<T>(path: &Path, place: &str, reader: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("it did not say why");
        let message = format!("the {reader} reader failed ({said}); the file is damaged: fetch or write it again");
        Err(Error::content(path, place, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_prints_each_cause_once() {
        let full = || std::io::Error::other("the disk is full");
        let refused = relata::Error::io(Path::new("s/snapshots"), "cannot write the snapshot")(full());
        let unpublished = Error::Unpublished { path: PathBuf::from("s"), source: Box::new(refused) };
        let told = "the load is committed, but its snapshot could not be written: s/snapshots: cannot write the snapshot: \
                    the disk is full; make it with `relata snapshot --store s`";
        assert_eq!(format!("{:#}", anyhow::Error::from(unpublished)), told);
        let refused = Error::Store(relata::Error::io(Path::new("s"), "cannot commit")(full()));
        assert_eq!(format!("{:#}", anyhow::Error::from(refused)), "s: cannot commit: the disk is full");
    }
}
