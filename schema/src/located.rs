//! Mistakes in TOML files, with file, line, column and the nearest known name.

use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;

/// A mistake at a place of a text file: `blood.toml:7:1: unknown field …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedError {
    /// The file's name as the user gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was found, what was expected, and the nearest known name.
    pub message: String,
}

impl std::error::Error for LocatedError {}

impl fmt::Display for LocatedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl LocatedError {
    /// At the bytes `span` of `text`.
    pub fn new(text: &str, file: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let before = &text[..floor_char_boundary(text, span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

fn floor_char_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Reads a TOML text; `file` is only for messages.
///
/// # Errors
/// Syntax, wrong types and unknown fields, each with its place; an unknown field also with the nearest
/// field that exists. Types should carry `#[serde(deny_unknown_fields)]`.
pub fn from_toml<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, LocatedError> {
    toml::from_str(text).map_err(|error| {
        let message = error.message();
        let message = match unknown_field(message) {
            Some((found, known)) => format!("{message}{}", crate::suggestion(found, known)),
            None => message.to_owned(),
        };
        LocatedError::new(text, file, error.span().unwrap_or(0..0), message)
    })
}

/// The names in serde's "unknown field `x`, expected one of `a`, `b`" (or "unknown variant").
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let found = quoted.next()?;
    Some((found, quoted.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Table {
        path: String,
        format: Option<String>,
    }

    #[test]
    fn a_misspelt_field_has_its_line_and_the_nearest_name() {
        let error = from_toml::<Table>("# é\npath = \"x\"\nfromat = \"bed\"\n", "m.toml").unwrap_err();
        assert_eq!((error.line, error.column), (3, 1));
        let shown = error.to_string();
        assert!(shown.starts_with("m.toml:3:1: unknown field `fromat`"), "{shown}");
        assert!(shown.ends_with("did you mean `format`?"), "{shown}");
    }

    #[test]
    fn syntax_errors_have_their_place() {
        let error = from_toml::<Table>("path = \n", "m.toml").unwrap_err();
        assert_eq!(error.line, 1);
    }
}
