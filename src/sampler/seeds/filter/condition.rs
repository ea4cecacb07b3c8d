//! What a filter asks, read but not yet looked up in a snapshot.

use std::ops::Range;

use relata_schema::{AttributeId, Direction, RelationId};

/// Conditions, of which all or any must hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    One(Subject, Question),
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Subject {
    Key,
    Attribute(AttributeId),
    /// A part of an interval.
    Part(AttributeId, Part),
    /// How many edges a node has of a relation in some directions.
    Degree(RelationId, Vec<Direction>),
}

/// A part of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Contig,
    Start,
    End,
    Length,
    Strand,
}

impl Part {
    pub(super) const NAMED: [(&'static str, Self); 5] = [
        ("contig", Self::Contig),
        ("start", Self::Start),
        ("end", Self::End),
        ("length", Self::Length),
        ("strand", Self::Strand),
    ];
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    Missing,
    Known,
    /// With at least one value; with several, whether any of them is equal, or none.
    Compare(Operator, Values),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Operator {
    pub(super) fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::Unequal,
            Self::Unequal => Self::Equal,
            Self::Below => Self::AtLeast,
            Self::AtMost => Self::Above,
            Self::Above => Self::AtMost,
            Self::AtLeast => Self::Below,
        }
    }

    /// Whether it needs an order.
    pub(super) fn is_ordered(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }
}

/// What is compared with, as the kind of the subject has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Numbers(Vec<f64>),
    Times(Vec<i64>),
    /// Booleans as 0 and 1; strands as 0 (not known), 1 and 2.
    Small(Vec<u8>),
    /// Categories, contigs, texts and keys.
    Names(Vec<Name>),
}

/// A name and its place in the filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) place: Range<usize>,
}
