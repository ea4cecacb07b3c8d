use rayon::prelude::*;
use relata_schema::{AttributeId, Direction, Relation, RelationId, nearest};

use super::{EdgeColumn, Snapshot};
use crate::{Error, Result};

/// What an edge costs to walk: a number attribute of it, read as a distance.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// The attribute's name. Edges of relations that do not have it cost `missing`.
    pub attribute: String,
    /// How its value becomes a cost.
    pub cost: Cost,
    /// What an edge costs whose value is missing: a number from 0.
    pub missing: f64,
}

/// How a value becomes a cost. A cost is never negative; an infinite one is an edge that cannot be walked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// The value is a distance.
    #[default]
    Value,
    /// `1 / value`: the value is a strength, such as a count.
    Inverse,
    /// `-ln(value)`: the value is a probability, so that the cheapest path is the most probable one.
    NegativeLogarithm,
}

impl Weight {
    /// Costs that are the values of an attribute; 1 where there is none.
    pub fn new(attribute: impl Into<String>) -> Self {
        Self { attribute: attribute.into(), cost: Cost::default(), missing: 1.0 }
    }
}

impl Cost {
    /// The cost of a value that [`reads`](Self::reads) it.
    fn of(self, value: f32) -> f64 {
        // Not -0, whose inverse is below everything.
        let value = f64::from(value) + 0.0;
        match self {
            Self::Value => value,
            Self::Inverse => 1.0 / value,
            // Not -0 for a certain edge.
            Self::NegativeLogarithm => 0.0 - value.ln(),
        }
    }

    /// Whether a value, or a missing one, has a cost from 0.
    fn reads(self, value: f32) -> bool {
        value.is_nan() || (value >= 0.0 && (self != Self::NegativeLogarithm || value <= 1.0))
    }
}

/// The costs of one relation's edges in one direction, by position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Costs<'s> {
    /// The same for every edge.
    Same(f64),
    /// By a column.
    Column { values: &'s [f32], cost: Cost, missing: f64 },
}

impl<'s> Costs<'s> {
    /// Those of a relation that may or may not have the attribute; 1 without a weight.
    pub(super) fn of(snapshot: &'s Snapshot, weight: Option<&Weight>, relation: RelationId, way: Direction) -> Self {
        let Some(weight) = weight else { return Self::Same(1.0) };
        let attribute = find(snapshot.schema().edge(relation), &weight.attribute);
        match attribute.map(|attribute| snapshot.edge_column(relation, way, attribute)) {
            Some(EdgeColumn::Number(values)) if !values.is_empty() => {
                Self::Column { values, cost: weight.cost, missing: weight.missing }
            }
            _ => Self::Same(weight.missing),
        }
    }

    /// The cost of the edge at a position.
    pub(super) fn at(&self, position: usize) -> f64 {
        match *self {
            Self::Same(cost) => cost,
            Self::Column { values, cost, missing } => match values.get(position) {
                Some(value) if !value.is_nan() => cost.of(*value),
                _ => missing,
            },
        }
    }

    /// A value that has no cost.
    fn unreadable(&self) -> Option<f32> {
        match *self {
            Self::Same(_) => None,
            Self::Column { values, cost, .. } => values.par_iter().copied().find_first(|&value| !cost.reads(value)),
        }
    }
}

fn find(relation: &Relation, name: &str) -> Option<AttributeId> {
    relation.numbers().find(|(_, known)| known.name == name).map(|(id, _)| id)
}

impl Weight {
    /// Checks that some of the relations have the attribute, and that no edge of theirs would cost less than nothing.
    pub(super) fn check(&self, snapshot: &Snapshot, relations: &[RelationId]) -> Result<()> {
        let schema = snapshot.schema();
        if !self.missing.is_finite() || self.missing < 0.0 {
            return Err(Error::Setting {
                setting: "the cost of an edge without a value".to_owned(),
                found: self.missing.to_string(),
                expected: "a finite number from 0".to_owned(),
            });
        }
        let has = |id: &RelationId| find(schema.edge(*id), &self.attribute).is_some();
        if !relations.iter().any(has) {
            let numbers = relations.iter().flat_map(|&id| schema.edge(id).numbers());
            let mut names: Vec<&str> = numbers.map(|(_, known)| known.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let near = nearest(&self.attribute, names.iter().copied());
            let known = if near.is_empty() { names } else { near };
            let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(Error::Setting {
                setting: "weight".to_owned(),
                found: format!("`{}`", self.attribute),
                expected: match known.as_str() {
                    "" => "none: the relations that are walked have no number attribute".to_owned(),
                    known => format!("a number attribute of the relations that are walked, such as {known}"),
                },
            });
        }
        for &relation in relations {
            let costs = Costs::of(snapshot, Some(self), relation, Direction::Outgoing);
            if let Some(value) = costs.unreadable() {
                let range = if self.cost == Cost::NegativeLogarithm { "from 0 to 1" } else { "from 0" };
                return Err(Error::Setting {
                    setting: format!("weight `{}`", self.attribute),
                    found: format!("{value} at an edge of {}", schema.relation_title(relation)),
                    expected: format!("values {range}; read them in another way, or leave the relation out"),
                });
            }
        }
        Ok(())
    }
}
