//! The payload of a column block: the values of one node attribute, for nodes in ascending order.
//!
//! bincode's standard encoding of [`Column`]; `nodes` holds each node's distance from the one before (the first from the
//! key's). Categories and contigs are spelt once a block.

use std::collections::HashMap;

use relata_schema::{Interval, Strand, Value};
use serde::{Deserialize, Serialize};

use crate::pack::Malformed;

/// The most values in one block.
pub(super) const BLOCK_VALUES: usize = 1024;

/// The bytes of text after which a block is closed.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Column {
    nodes: Vec<u32>,
    values: Values,
}

#[derive(Serialize, Deserialize)]
enum Values {
    Numbers(Vec<f64>),
    Counts(Vec<u64>),
    Categories { names: Vec<String>, codes: Vec<u32> },
    Texts(Vec<String>),
    Booleans(Vec<bool>),
    Times(Vec<i64>),
    Intervals { contigs: Vec<String>, places: Vec<(u32, u64, u64, Strand)> },
    Vectors { dimension: u32, numbers: Vec<f32> },
    Sequences(Vec<String>),
}

/// The memory that a value takes besides itself.
pub(super) fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::Category(text) | Value::Text(text) | Value::Sequence(text) => text.len(),
        Value::Vector(numbers) => numbers.len() * 4,
        Value::Interval(interval) => interval.contig().len(),
        Value::Number(_) | Value::Count(_) | Value::Boolean(_) | Value::Time(_) => 0,
    }
}

/// The bytes of a block of values of one kind, ascending by node.
pub(super) fn encode(rows: &[(u32, Value)]) -> Result<Vec<u8>, Malformed> {
    let mut before = rows.first().map_or(0, |row| row.0);
    let nodes = rows.iter().map(|&(node, _)| node - std::mem::replace(&mut before, node)).collect();
    let values = values(rows).ok_or(Malformed("its values are of several kinds"))?;
    bincode::serde::encode_to_vec(Column { nodes, values }, bincode::config::standard())
        .map_err(|_| Malformed("its values cannot be encoded"))
}

fn values(rows: &[(u32, Value)]) -> Option<Values> {
    macro_rules! all {
        ($pattern:pat => $value:expr) => {
            rows.iter().map(|row| if let $pattern = &row.1 { Some($value) } else { None }).collect::<Option<Vec<_>>>()?
        };
    }
    Some(match &rows.first()?.1 {
        Value::Number(_) => Values::Numbers(all!(Value::Number(number) => *number)),
        Value::Count(_) => Values::Counts(all!(Value::Count(count) => *count)),
        Value::Category(_) => {
            let mut names = Spellings::default();
            let codes = all!(Value::Category(name) => names.code(name));
            Values::Categories { names: names.names, codes }
        }
        Value::Text(_) => Values::Texts(all!(Value::Text(text) => text.clone())),
        Value::Boolean(_) => Values::Booleans(all!(Value::Boolean(truth) => *truth)),
        Value::Time(_) => Values::Times(all!(Value::Time(time) => *time)),
        Value::Interval(_) => {
            let mut names = Spellings::default();
            let places = all!(Value::Interval(place) => (
                names.code(place.contig()), place.start(), place.length(), place.strand()
            ));
            Values::Intervals { contigs: names.names, places }
        }
        Value::Vector(first) => {
            let numbers = all!(Value::Vector(numbers) => numbers.as_slice());
            if numbers.iter().any(|numbers| numbers.len() != first.len()) {
                return None;
            }
            Values::Vectors { dimension: u32::try_from(first.len()).ok()?, numbers: numbers.concat() }
        }
        Value::Sequence(_) => Values::Sequences(all!(Value::Sequence(letters) => letters.clone())),
    })
}

#[derive(Default)]
struct Spellings<'v> {
    names: Vec<String>,
    codes: HashMap<&'v str, u32>,
}

impl<'v> Spellings<'v> {
    fn code(&mut self, name: &'v str) -> u32 {
        *self.codes.entry(name).or_insert_with(|| {
            self.names.push(name.to_owned());
            self.names.len() as u32 - 1
        })
    }
}

/// Reads a block back; `first` is the node of its key.
pub(super) fn decode(first: u32, payload: &[u8]) -> Result<Vec<(u32, Value)>, Malformed> {
    let (column, read): (Column, usize) = bincode::serde::decode_from_slice(payload, bincode::config::standard())
        .map_err(|_| Malformed("it does not decode as a column"))?;
    if read != payload.len() {
        return Err(Malformed("bytes follow its end"));
    }
    let of =
        |names: &[String], code: u32| names.get(code as usize).cloned().ok_or(Malformed("a code lies outside its dictionary"));
    let values: Vec<Value> = match column.values {
        Values::Numbers(numbers) => numbers.into_iter().map(Value::Number).collect(),
        Values::Counts(counts) => counts.into_iter().map(Value::Count).collect(),
        Values::Categories { names, codes } => {
            codes.into_iter().map(|code| Ok(Value::Category(of(&names, code)?))).collect::<Result<_, _>>()?
        }
        Values::Texts(texts) => texts.into_iter().map(Value::Text).collect(),
        Values::Booleans(truths) => truths.into_iter().map(Value::Boolean).collect(),
        Values::Times(times) => times.into_iter().map(Value::Time).collect(),
        Values::Intervals { contigs, places } => places
            .into_iter()
            .map(|(contig, start, length, strand)| {
                let end = start.checked_add(length).ok_or(Malformed("an interval ends above 64 bits"))?;
                let interval = Interval::new(of(&contigs, contig)?, start, end, strand);
                Ok(Value::Interval(interval.map_err(|_| Malformed("an interval has no contig"))?))
            })
            .collect::<Result<_, _>>()?,
        Values::Vectors { dimension, numbers } => {
            if dimension == 0 || numbers.len() % dimension as usize != 0 {
                return Err(Malformed("its vectors are not whole"));
            }
            numbers.chunks(dimension as usize).map(|numbers| Value::Vector(numbers.to_vec())).collect()
        }
        Values::Sequences(sequences) => sequences.into_iter().map(Value::Sequence).collect(),
    };
    if values.len() != column.nodes.len() {
        return Err(Malformed("it has not as many values as nodes"));
    }
    let mut node = first;
    let nodes = column.nodes.into_iter().map(|gap| {
        node = node.checked_add(gap).ok_or(Malformed("a node is above 32 bits"))?;
        Ok(node)
    });
    nodes.zip(values).map(|(node, value)| Ok((node?, value))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column() -> impl Strategy<Value = Vec<Value>> {
        let many = 1..40;
        prop_oneof![
            prop::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::Number), many.clone()),
            prop::collection::vec(any::<u64>().prop_map(Value::Count), many.clone()),
            prop::collection::vec("[a-c]{0,2}".prop_map(Value::Category), many.clone()),
            prop::collection::vec(".{0,20}".prop_map(Value::Text), many.clone()),
            prop::collection::vec(any::<bool>().prop_map(Value::Boolean), many.clone()),
            prop::collection::vec(any::<i64>().prop_map(Value::Time), many.clone()),
            prop::collection::vec(prop::array::uniform3(-1e3f32..1e3).prop_map(|v| Value::Vector(v.to_vec())), many.clone()),
            prop::collection::vec(
                ("chr[0-9]", any::<u32>(), any::<u32>()).prop_map(|(contig, start, length)| {
                    let (start, length) = (u64::from(start), u64::from(length));
                    Value::Interval(Interval::new(contig, start, start + length, Strand::Reverse).unwrap())
                }),
                many.clone()
            ),
            prop::collection::vec("[ACGTN]{0,30}".prop_map(Value::Sequence), many),
        ]
    }

    proptest! {
        #[test]
        fn a_block_reads_back(values in column(), first in 0u32..1_000_000, step in 1u32..1000) {
            let rows: Vec<(u32, Value)> =
                values.into_iter().enumerate().map(|(at, value)| (first + at as u32 * step, value)).collect();
            prop_assert_eq!(decode(first, &encode(&rows).unwrap()).unwrap(), rows);
        }
    }

    #[test]
    fn values_of_several_kinds_are_no_column() {
        assert!(encode(&[(1, Value::Count(1)), (2, Value::Number(1.0))]).is_err());
    }
}
