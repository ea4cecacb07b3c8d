use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of value an attribute holds.
///
/// In TOML: `"number"`, `"count"`, `"category"`, `"text"`, `"boolean"`, `"time"`, `"interval"`,
/// `"vector(64)"`, `"sequence"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AttributeKind {
    /// A real number; 64 bits on nodes, 32 bits on edges.
    Number,
    /// A non-negative whole number, such as reads or molecules.
    Count,
    /// One of a set of names that is learnt from the data.
    Category,
    /// Free text or a name; on nodes only.
    Text,
    /// True or false.
    Boolean,
    /// A whole number on a time axis, in the attribute's unit.
    Time,
    /// A place on a genome; on nodes only.
    Interval,
    /// As many 32-bit numbers as the dimension says; on nodes only.
    Vector(
        /// The dimension.
        u32,
    ),
    /// A DNA sequence; on nodes only.
    Sequence,
}

impl AttributeKind {
    /// The names that TOML accepts.
    pub const NAMES: [&'static str; 9] =
        ["number", "count", "category", "text", "boolean", "time", "interval", "vector(DIMENSION)", "sequence"];

    /// Whether an edge may carry it: what fits in 32 bits, and the time.
    pub fn fits_an_edge(self) -> bool {
        matches!(self, Self::Number | Self::Count | Self::Category | Self::Boolean | Self::Time)
    }
}

impl fmt::Display for AttributeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str("number"),
            Self::Count => f.write_str("count"),
            Self::Category => f.write_str("category"),
            Self::Text => f.write_str("text"),
            Self::Boolean => f.write_str("boolean"),
            Self::Time => f.write_str("time"),
            Self::Interval => f.write_str("interval"),
            Self::Vector(dimension) => write!(f, "vector({dimension})"),
            Self::Sequence => f.write_str("sequence"),
        }
    }
}

impl FromStr for AttributeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "number" => Self::Number,
            "count" => Self::Count,
            "category" => Self::Category,
            "text" => Self::Text,
            "boolean" => Self::Boolean,
            "time" => Self::Time,
            "interval" => Self::Interval,
            "sequence" => Self::Sequence,
            _ => {
                let dimension = text
                    .strip_prefix("vector(")
                    .and_then(|rest| rest.strip_suffix(')'))
                    .and_then(|digits| digits.trim().parse::<u32>().ok())
                    .filter(|&dimension| dimension > 0);
                return match dimension {
                    Some(dimension) => Ok(Self::Vector(dimension)),
                    None => Err(format!(
                        "unknown attribute kind `{text}`, expected one of {}{}",
                        Self::NAMES.map(|name| format!("`{name}`")).join(", "),
                        crate::suggestion(text, Self::NAMES),
                    )),
                };
            }
        })
    }
}

impl TryFrom<String> for AttributeKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AttributeKind> for String {
    fn from(kind: AttributeKind) -> Self {
        kind.to_string()
    }
}

/// How a number is changed before a model sees it. The store keeps the value as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// As it is.
    #[default]
    None,
    /// ln(1 + x).
    Log1p,
    /// ln(1 + 10,000 · x / the sum of x over the edges of the containing node): counts per 10,000 of a cell, whatever its
    /// depth. On edges only; where the relation does not contain, the source counts as the containing node.
    #[serde(rename = "log1p_per_10k")]
    Log1pPer10k,
    /// Minus the mean, divided by the standard deviation, both of the training rows.
    ZScore,
}

/// A named, typed property of a node type or of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name, unique within its owner.
    pub name: String,
    /// What it holds.
    pub kind: AttributeKind,
    /// The unit of a number or time, such as `"bp"`.
    pub unit: Option<String>,
    /// What a model does to it first.
    pub transform: Transform,
    /// One line for people.
    pub about: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back_as_they_are_written() {
        for name in ["number", "count", "category", "text", "boolean", "time", "interval", "vector(17)", "sequence"] {
            assert_eq!(name.parse::<AttributeKind>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn an_unknown_kind_is_answered_with_the_nearest() {
        let error = "catgory".parse::<AttributeKind>().unwrap_err();
        assert!(error.contains("did you mean `category`?"), "{error}");
        assert!("vector(0)".parse::<AttributeKind>().is_err());
        assert!("vector(-1)".parse::<AttributeKind>().is_err());
    }
}
