use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The strand of a double helix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Strand {
    /// Not stated, or both.
    #[default]
    Unknown,
    /// The strand of the reference sequence.
    Forward,
    /// Its complement.
    Reverse,
}

impl Strand {
    /// Reads `+`, `-`, and `.` or `?` or nothing (unknown), as BED and GTF write them.
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        match symbol {
            "+" => Some(Self::Forward),
            "-" => Some(Self::Reverse),
            "." | "?" | "" => Some(Self::Unknown),
            _ => None,
        }
    }

    /// `+`, `-` or `.`.
    pub fn symbol(self) -> char {
        match self {
            Self::Unknown => '.',
            Self::Forward => '+',
            Self::Reverse => '-',
        }
    }
}

/// A place on a genome: **0-based, half-open** `[start, end)`, in base pairs, as BED has it.
///
/// GTF, GFF and SAM count from 1 and include the end; they are converted once, where they are read,
/// by [`Interval::from_one_based`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval {
    contig: String,
    start: u64,
    end: u64,
    strand: Strand,
}

/// Why two numbers are no interval.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IntervalError {
    /// The start lies behind the end.
    #[error("start {start} lies behind end {end}: the smaller coordinate comes first on either strand")]
    Reversed {
        /// As it was given.
        start: u64,
        /// As it was given.
        end: u64,
    },
    /// A 1-based coordinate of 0.
    #[error("coordinate 0 in a format that counts from 1")]
    ZeroInOneBased,
    /// The sequence has no name.
    #[error("the contig (chromosome) has no name")]
    NoContig,
}

impl Interval {
    /// From 0-based, half-open coordinates (BED).
    ///
    /// # Errors
    /// When `start > end` or the contig is empty.
    pub fn new(contig: impl Into<String>, start: u64, end: u64, strand: Strand) -> Result<Self, IntervalError> {
        let contig = contig.into();
        if contig.is_empty() {
            return Err(IntervalError::NoContig);
        }
        if start > end {
            return Err(IntervalError::Reversed { start, end });
        }
        Ok(Self { contig, start, end, strand })
    }

    /// From 1-based coordinates that include the end (GTF, GFF, SAM).
    ///
    /// # Errors
    /// When a coordinate is 0, `start > end`, or the contig is empty.
    pub fn from_one_based(contig: impl Into<String>, start: u64, end: u64, strand: Strand) -> Result<Self, IntervalError> {
        if start == 0 || end == 0 {
            return Err(IntervalError::ZeroInOneBased);
        }
        if start > end {
            return Err(IntervalError::Reversed { start, end });
        }
        Self::new(contig, start - 1, end, strand)
    }

    /// The contig (chromosome, scaffold), spelt as in its assembly.
    pub fn contig(&self) -> &str {
        &self.contig
    }

    /// The first base, counted from 0.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// One behind the last base, counted from 0.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The strand.
    pub fn strand(&self) -> Strand {
        self.strand
    }

    /// Base pairs covered.
    pub fn length(&self) -> u64 {
        self.end - self.start
    }
}

/// `chr1:999-2000`, 0-based and half-open; the strand follows in brackets where it is known.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}-{}", self.contig, self.start, self.end)?;
        match self.strand {
            Strand::Unknown => Ok(()),
            known => write!(f, "({})", known.symbol()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GENCODE's DDX11L1 starts at base 11,869 (counted from 1) and is 2,541 bases long.
    #[test]
    fn one_based_closed_becomes_zero_based_half_open() {
        let interval = Interval::from_one_based("chr1", 11869, 14409, Strand::Forward).unwrap();
        assert_eq!((interval.start(), interval.end(), interval.length()), (11868, 14409, 2541));
        assert_eq!(interval.to_string(), "chr1:11868-14409(+)");
    }

    #[test]
    fn impossible_intervals_say_why() {
        assert_eq!(Interval::new("1", 5, 4, Strand::Unknown), Err(IntervalError::Reversed { start: 5, end: 4 }));
        assert_eq!(Interval::from_one_based("1", 0, 4, Strand::Unknown), Err(IntervalError::ZeroInOneBased));
        assert_eq!(Interval::new("", 1, 4, Strand::Unknown), Err(IntervalError::NoContig));
        assert_eq!(Interval::new("1", 4, 4, Strand::Unknown).unwrap().length(), 0);
    }
}
