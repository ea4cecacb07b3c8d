use rayon::prelude::*;
use relata_schema::{AttributeKind, Container, Direction, RelationId, Transform, Value};

use super::{Column, ColumnKind, Owner, features};
use crate::snapshot::{EdgeColumn, NodeColumn, Snapshot};

/// A value as a token has it, before it is standardised.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// Transformed as the schema says.
    Number(f64),
    /// A category's code in the snapshot; booleans are 0 and 1.
    Code(u32),
    /// A vector.
    Vector(Vec<f32>),
}

impl Raw {
    /// A number as it is, a boolean as 0 or 1.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Code(code) => Some(f64::from(*code)),
            Self::Vector(_) => None,
        }
    }
}

/// Reads the values of columns from a snapshot.
pub(super) struct Values {
    snapshot: Snapshot,
    /// By relation: for each node of the upper end, the sum of the attribute that is shown per 10,000 of it.
    totals: Vec<Option<Vec<f32>>>,
}

impl Values {
    pub(super) fn of(snapshot: &Snapshot, columns: &[Column]) -> Self {
        let mut totals = vec![None; snapshot.schema().relations().len()];
        for column in columns {
            if let (Owner::Edge(relation, _), Some(attribute)) = (column.owner, column.attribute) {
                let known = &snapshot.schema().edge(relation).attributes[attribute.index()];
                let slot: &mut Option<Vec<f32>> = &mut totals[relation.index()];
                if known.transform == Transform::Log1pPer10k && slot.is_none() {
                    *slot = Some(sums(snapshot, relation, column));
                }
            }
        }
        Self { snapshot: snapshot.clone(), totals }
    }

    /// A node's value; `None` where missing.
    pub(super) fn of_node(&self, column: &Column, node: u32) -> Option<Raw> {
        let (Owner::Node(node_type), Some(attribute)) = (column.owner, column.attribute) else { return None };
        let at = node as usize;
        let declared = &self.snapshot.schema().node(node_type).attributes[attribute.index()];
        match self.snapshot.column(node_type, attribute) {
            NodeColumn::Number(numbers) => {
                let number = *numbers.get(at)?;
                (!number.is_nan()).then(|| Raw::Number(transformed(declared.transform, number)))
            }
            NodeColumn::Category(codes) => codes.get(at).filter(|&&code| code != u32::MAX).map(|&code| Raw::Code(code)),
            NodeColumn::Boolean(truths) => truths.get(at).filter(|&&truth| truth < 2).map(|&truth| Raw::Code(truth.into())),
            NodeColumn::Time(times) => times.get(at).filter(|&&time| time != i64::MIN).map(|&time| Raw::Number(time as f64)),
            NodeColumn::Vector { .. } | NodeColumn::Text | NodeColumn::Interval => {
                Some(match self.snapshot.value(node_type, attribute, node)? {
                    Value::Vector(numbers) => Raw::Vector(numbers),
                    Value::Text(text) => {
                        let ColumnKind::Vector(dimension) = column.kind else { return None };
                        Raw::Vector(features::text(&text, dimension))
                    }
                    Value::Sequence(letters) => Raw::Vector(features::sequence(&letters)),
                    Value::Interval(interval) => Raw::Number(((interval.end() - interval.start()) as f64).ln_1p()),
                    _ => return None,
                })
            }
        }
    }

    /// An edge's value, by its position in the column's direction; `source` and `target` are its ends.
    pub(super) fn of_edge(&self, column: &Column, position: u64, source: u32, target: u32) -> Option<Raw> {
        let (Owner::Edge(relation, direction), Some(attribute)) = (column.owner, column.attribute) else { return None };
        let at = position as usize;
        let known = self.snapshot.schema().edge(relation);
        let declared = &known.attributes[attribute.index()];
        match self.snapshot.edge_column(relation, direction, attribute) {
            EdgeColumn::Category(codes) => codes.get(at).filter(|&&code| code != u32::MAX).map(|&code| Raw::Code(code)),
            EdgeColumn::Number(numbers) => {
                let number = *numbers.get(at)?;
                if number.is_nan() {
                    return None;
                }
                if declared.kind == AttributeKind::Boolean {
                    return Some(Raw::Code(u32::from(number != 0.0)));
                }
                let number = match &self.totals[relation.index()] {
                    Some(totals) if declared.transform == Transform::Log1pPer10k => {
                        let upper = if known.contains == Some(Container::Target) { target } else { source };
                        let total = totals.get(upper as usize).copied().unwrap_or_default();
                        (f64::from(number) * 10_000.0 / f64::from(total.max(f32::MIN_POSITIVE))).ln_1p()
                    }
                    _ => transformed(declared.transform, f64::from(number)),
                };
                Some(Raw::Number(number))
            }
        }
    }
}

/// For each node of the relation's upper end (its source where there is none), the sum of an attribute over its edges.
fn sums(snapshot: &Snapshot, relation: RelationId, column: &Column) -> Vec<f32> {
    let known = snapshot.schema().edge(relation);
    let direction = if known.contains == Some(Container::Target) { Direction::Incoming } else { Direction::Outgoing };
    let adjacency = snapshot.adjacency(relation, direction);
    let Some(attribute) = column.attribute else { return Vec::new() };
    let EdgeColumn::Number(numbers) = snapshot.edge_column(relation, direction, attribute) else { return Vec::new() };
    (0..snapshot.node_count(known.near(direction)))
        .into_par_iter()
        .map(|node| {
            let own = numbers.get(adjacency.range(node)).unwrap_or_default();
            own.iter().filter(|number| !number.is_nan()).map(|&number| f64::from(number)).sum::<f64>() as f32
        })
        .collect()
}

fn transformed(transform: Transform, number: f64) -> f64 {
    match transform {
        Transform::None | Transform::ZScore => number,
        // Of a negative number too, so that no value becomes NaN: odd, and ln(1 + x) where x ≥ 0.
        Transform::Log1p | Transform::Log1pPer10k => number.signum() * number.abs().ln_1p(),
    }
}
