//! What the nodes and edges of some subgraphs have, gathered into Arrow arrays.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray, StringArray, UInt16Array,
    UInt32Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId};

use crate::export::parquet::{dictionary_of, vector_item};
use crate::snapshot::{EdgeColumn, NodeColumn, Snapshot};
use crate::{Error, Result};

/// The nodes of one type, of one subgraph after another.
#[derive(Default)]
pub(super) struct NodeRows {
    pub nodes: Vec<u32>,
    pub hops: Vec<u16>,
    /// Whether each is a seed: what a guard asks.
    pub is_seed: Vec<bool>,
    /// For each subgraph, where its nodes end.
    pub ends: Vec<usize>,
}

/// The edges of one relation, of one subgraph after another.
#[derive(Default)]
pub(super) struct EdgeRows {
    pub sources: Vec<u32>,
    pub targets: Vec<u32>,
    pub incoming: Vec<bool>,
    /// Of each in the adjacency of the direction that it was walked in.
    pub positions: Vec<u64>,
    /// For each subgraph, where its edges end.
    pub ends: Vec<usize>,
}

/// Which of a type's nodes may show a value; `None` is all of them.
pub(super) type Shown = Option<Vec<bool>>;

/// The type of a list whose items are these.
pub(super) fn list_of(item: DataType, nullable: bool) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, nullable)))
}

/// A list a subgraph, of values that stand one after another.
///
/// # Errors
/// [`Error::Limit`] when there are more than a list can count.
pub(super) fn list(ends: &[usize], values: ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let limit = || Error::Limit {
        what: "nodes or edges that are written at once".to_owned(),
        found: values.len() as u64,
        most: i32::MAX as u64,
    };
    let DataType::List(item) = data_type else { unreachable!("every column with ends is a list") };
    let offset = |&end: &usize| i32::try_from(end).ok();
    let offsets: Option<Vec<i32>> = std::iter::once(Some(0)).chain(ends.iter().map(offset)).collect();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets.ok_or_else(limit)?));
    Ok(Arc::new(ListArray::new(item.clone(), offsets, values, None)))
}

impl NodeRows {
    pub fn numbers(&self) -> ArrayRef {
        Arc::new(UInt32Array::from(self.nodes.clone()))
    }

    pub fn hops(&self) -> ArrayRef {
        Arc::new(UInt16Array::from(self.hops.clone()))
    }

    /// # Errors
    /// [`Error::Limit`] when they have more bytes than a column can count.
    pub fn keys(&self, snapshot: &Snapshot, node_type: NodeTypeId) -> Result<ArrayRef> {
        let keys = || self.nodes.iter().map(|&node| snapshot.key(node_type, node));
        let found = keys().map(|key| key.len() as u64).sum();
        let most = i32::MAX as u64;
        if found > most {
            return Err(Error::Limit { what: "bytes of keys that are written at once".to_owned(), found, most });
        }
        Ok(Arc::new(StringArray::from_iter_values(keys())))
    }

    /// The values of an attribute; null where one is missing, may not be shown, or is a time that `is_known` refuses, which
    /// is asked with the subgraph's place among these and the time.
    ///
    /// # Errors
    /// When there are more categories than a dictionary can hold.
    pub fn values(
        &self,
        column: NodeColumn<'_>,
        names: Option<&ArrayRef>,
        shown: &Shown,
        is_known: impl Fn(usize, i64) -> bool,
    ) -> Result<ArrayRef> {
        let is_shown = |at: usize| shown.as_ref().is_none_or(|shown| shown[at]);
        let nodes = || self.nodes.iter().enumerate().map(|(at, &node)| is_shown(at).then_some(node as usize));
        Ok(match column {
            NodeColumn::Number(numbers) => {
                let number = |node: Option<usize>| numbers.get(node?).copied().filter(|number| !number.is_nan());
                Arc::new(nodes().map(number).collect::<Float64Array>())
            }
            NodeColumn::Category(codes) => {
                let code = |node: Option<usize>| node.and_then(|node| codes.get(node).copied()).unwrap_or(u32::MAX);
                let nameless: ArrayRef = Arc::new(StringArray::new_null(0));
                dictionary_of(nodes().map(code), names.unwrap_or(&nameless))?
            }
            NodeColumn::Boolean(truths) => {
                let truth = |node: Option<usize>| truths.get(node?).filter(|&&truth| truth != u8::MAX).map(|&truth| truth == 1);
                Arc::new(nodes().map(truth).collect::<BooleanArray>())
            }
            NodeColumn::Time(times) => {
                let time = |node: Option<usize>| times.get(node?).copied().filter(|&time| time != i64::MIN);
                let mut start = 0;
                let mut gathered = Vec::with_capacity(self.nodes.len());
                let mut found = nodes();
                for (subgraph, &end) in self.ends.iter().enumerate() {
                    let known = |time: &i64| is_known(subgraph, *time);
                    gathered.extend(found.by_ref().take(end - start).map(|node| time(node).filter(known)));
                    start = end;
                }
                Arc::new(Int64Array::from(gathered))
            }
            NodeColumn::Vector { dimension, values } => {
                let width = dimension as usize;
                let row = |node: Option<usize>| {
                    let start = node?.checked_mul(width)?;
                    values.get(start..start + width).filter(|row| !row[0].is_nan())
                };
                let mut numbers = Vec::with_capacity(self.nodes.len() * width);
                let mut present = Vec::with_capacity(self.nodes.len());
                for row in nodes().map(row) {
                    present.push(row.is_some());
                    match row {
                        Some(row) => numbers.extend_from_slice(row),
                        None => numbers.resize(numbers.len() + width, 0.0),
                    }
                }
                let numbers = Arc::new(Float32Array::from(numbers));
                Arc::new(FixedSizeListArray::new(vector_item(), dimension as i32, numbers, Some(NullBuffer::from(present))))
            }
            NodeColumn::Text | NodeColumn::Interval => unreachable!("they have no column"),
        })
    }
}

impl EdgeRows {
    pub fn sources(&self) -> ArrayRef {
        Arc::new(UInt32Array::from(self.sources.clone()))
    }

    pub fn targets(&self) -> ArrayRef {
        Arc::new(UInt32Array::from(self.targets.clone()))
    }

    pub fn incoming(&self) -> ArrayRef {
        Arc::new(BooleanArray::from(self.incoming.clone()))
    }

    /// The values of an attribute; null where one is missing.
    ///
    /// # Errors
    /// When there are more categories than a dictionary can hold.
    pub fn values(
        &self,
        snapshot: &Snapshot,
        relation: RelationId,
        (id, kind): (AttributeId, AttributeKind),
        names: Option<&ArrayRef>,
    ) -> Result<ArrayRef> {
        // Each edge's place in a column, of which there is one a direction.
        let edges = || self.incoming.iter().zip(&self.positions).map(|(&incoming, &at)| (usize::from(incoming), at as usize));
        if kind == AttributeKind::Time {
            let times = Direction::BOTH.map(|direction| snapshot.adjacency(relation, direction).times);
            return Ok(Arc::new(edges().map(|(way, at)| times[way].get(at)).collect::<Int64Array>()));
        }
        let columns = Direction::BOTH.map(|direction| snapshot.edge_column(relation, direction, id));
        if kind == AttributeKind::Category {
            let codes = columns.map(|column| if let EdgeColumn::Category(codes) = column { codes } else { &[] });
            let code = |(way, at): (usize, usize)| codes[way].get(at).copied().unwrap_or(u32::MAX);
            let nameless: ArrayRef = Arc::new(StringArray::new_null(0));
            return dictionary_of(edges().map(code), names.unwrap_or(&nameless));
        }
        let numbers = columns.map(|column| if let EdgeColumn::Number(numbers) = column { numbers } else { &[] });
        let number = |(way, at): (usize, usize)| numbers[way].get(at).copied();
        Ok(if kind == AttributeKind::Boolean {
            let truth = |edge| number(edge).filter(|number| !number.is_nan()).map(|number| number != 0.0);
            Arc::new(edges().map(truth).collect::<BooleanArray>())
        } else {
            // Another NaN than the one that stands for missing is a value of the file that it came from.
            let is_there = |number: &f32| number.to_bits() != f32::NAN.to_bits();
            Arc::new(edges().map(|edge| number(edge).filter(is_there)).collect::<Float32Array>())
        })
    }
}
