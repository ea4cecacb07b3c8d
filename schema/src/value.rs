use serde::{Deserialize, Serialize};

use crate::{AttributeKind, Interval};

/// What an attribute of a node holds. A missing value is one that was never set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A finite real number.
    Number(f64),
    /// A non-negative whole number.
    Count(u64),
    /// A category's name.
    Category(String),
    /// Free text or a name.
    Text(String),
    /// True or false.
    Boolean(bool),
    /// A whole number in the attribute's unit.
    Time(i64),
    /// A place on a genome.
    Interval(Interval),
    /// As many numbers as the attribute's dimension.
    Vector(Vec<f32>),
    /// Upper- or lower-case IUPAC letters.
    Sequence(String),
}

impl Value {
    /// The kind of attribute that it fits.
    pub fn kind(&self) -> AttributeKind {
        match self {
            Self::Number(_) => AttributeKind::Number,
            Self::Count(_) => AttributeKind::Count,
            Self::Category(_) => AttributeKind::Category,
            Self::Text(_) => AttributeKind::Text,
            Self::Boolean(_) => AttributeKind::Boolean,
            Self::Time(_) => AttributeKind::Time,
            Self::Interval(_) => AttributeKind::Interval,
            Self::Vector(numbers) => AttributeKind::Vector(u32::try_from(numbers.len()).unwrap_or(u32::MAX)),
            Self::Sequence(_) => AttributeKind::Sequence,
        }
    }

    /// Reads a cell of a text table as the attribute's kind. Empty cells, `NA`, `NaN`, `null` and
    /// `None` are missing: `Ok(None)`.
    ///
    /// # Errors
    /// What was found and what was expected, without the place: the caller knows it.
    pub fn parse(text: &str, kind: AttributeKind) -> Result<Option<Self>, String> {
        let text = text.trim();
        if matches!(text, "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "None") {
            return Ok(None);
        }
        Self::of_text(text, kind).map(Some)
    }

    /// As [`parse`](Self::parse), of a text as it stands: no word is missing, and nothing is trimmed.
    ///
    /// # Errors
    /// As there.
    pub fn of_text(text: &str, kind: AttributeKind) -> Result<Self, String> {
        let wrong = |expected: &str| format!("found `{text}`, expected {expected}");
        Ok(match kind {
            AttributeKind::Number => {
                let number: f64 = text.parse().map_err(|_| wrong("a number"))?;
                if !number.is_finite() {
                    return Err(wrong("a finite number"));
                }
                Self::Number(number)
            }
            AttributeKind::Count => Self::Count(match text.parse::<u64>() {
                Ok(count) => count,
                // "12.0", as spreadsheets and pandas write counts beside missing ones.
                Err(_) => match text.parse::<f64>() {
                    Ok(count) if count >= 0.0 && count.fract() == 0.0 && count < 9.0e15 => count as u64,
                    _ => return Err(wrong("a non-negative whole number")),
                },
            }),
            AttributeKind::Category => Self::Category(text.to_owned()),
            AttributeKind::Text => Self::Text(text.to_owned()),
            AttributeKind::Boolean => Self::Boolean(match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "1" => true,
                "false" | "f" | "no" | "n" | "0" => false,
                _ => return Err(wrong("true or false")),
            }),
            AttributeKind::Time => Self::Time(text.parse().map_err(|_| wrong("a whole number of time units"))?),
            AttributeKind::Sequence => {
                if let Some(letter) = text.chars().find(|letter| !"ACGTURYSWKMBDHVNacgturyswkmbdhvn-".contains(*letter)) {
                    return Err(wrong(&format!("a nucleotide sequence; `{letter}` is no IUPAC letter")));
                }
                Self::Sequence(text.to_owned())
            }
            AttributeKind::Vector(dimension) => {
                let numbers = text
                    .split([',', ';', ' '])
                    .filter(|part| !part.is_empty())
                    .map(|part| part.parse::<f32>().map_err(|_| wrong("numbers separated by commas")))
                    .collect::<Result<Vec<_>, _>>()?;
                if numbers.len() != dimension as usize {
                    return Err(format!("found {} numbers, expected {dimension}", numbers.len()));
                }
                Self::Vector(numbers)
            }
            AttributeKind::Interval => {
                let expected = "an interval such as `chr1:999-2000` (0-based, half-open)";
                let (contig, range) = text.rsplit_once(':').ok_or_else(|| wrong(expected))?;
                let (start, end) = range.split_once('-').ok_or_else(|| wrong(expected))?;
                let number = |digits: &str| digits.replace(',', "").parse::<u64>().map_err(|_| wrong(expected));
                Self::Interval(
                    Interval::new(contig, number(start)?, number(end)?, crate::Strand::Unknown)
                        .map_err(|error| error.to_string())?,
                )
            }
        })
    }
}

/// What an attribute of an edge holds: small and without memory of its own, since there are many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EdgeValue {
    /// Not known.
    Missing,
    /// A number, a count, or 0 and 1 of a boolean.
    Number(f32),
    /// A category, by the number that the load gave its name.
    Category(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_table_become_values_of_their_kind() {
        let parse = |text, kind| Value::parse(text, kind).unwrap();
        assert_eq!(parse(" 1e-3 ", AttributeKind::Number), Some(Value::Number(0.001)));
        assert_eq!(parse("12.0", AttributeKind::Count), Some(Value::Count(12)));
        assert_eq!(parse("NA", AttributeKind::Count), None);
        assert_eq!(parse("TRUE", AttributeKind::Boolean), Some(Value::Boolean(true)));
        assert_eq!(parse("1,2.5", AttributeKind::Vector(2)), Some(Value::Vector(vec![1.0, 2.5])));
        let Some(Value::Interval(interval)) = parse("chr2:1,000-2,000", AttributeKind::Interval) else { panic!() };
        assert_eq!((interval.contig(), interval.start(), interval.end()), ("chr2", 1000, 2000));
    }

    #[test]
    fn a_wrong_cell_says_what_was_found_and_expected() {
        for (text, kind, expected) in [
            ("x", AttributeKind::Number, "a number"),
            ("inf", AttributeKind::Number, "a finite number"),
            ("-1", AttributeKind::Count, "whole number"),
            ("1.5", AttributeKind::Count, "whole number"),
            ("maybe", AttributeKind::Boolean, "true or false"),
            ("ACGZ", AttributeKind::Sequence, "`Z` is no IUPAC letter"),
            ("1,2,3", AttributeKind::Vector(2), "found 3 numbers, expected 2"),
            ("chr1", AttributeKind::Interval, "0-based"),
        ] {
            let error = Value::parse(text, kind).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
