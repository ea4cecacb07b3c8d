//! Attributes as JSON.

use relata::snapshot::{EdgeColumn, Snapshot, Times};
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId, Value};
use serde::{Serialize, Serializer};

/// A map of JSON in an order of our own: that of the schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Named<'s, T>(
    /// Names and what they stand for.
    pub Vec<(&'s str, T)>,
);

impl<T: Serialize> Serialize for Named<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// What an attribute holds. 32-bit numbers stay such, so that 0.1 is written `0.1`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Shown<'s> {
    /// `null`
    Missing,
    /// A number of a node.
    Number(f64),
    /// A number of an edge.
    Single(f32),
    /// A whole number.
    Count(u64),
    /// In the attribute's unit.
    Time(i64),
    /// True or false.
    Boolean(bool),
    /// A text, category or sequence of a node.
    Text(String),
    /// A category of an edge.
    Name(&'s str),
    /// A place on a genome.
    Interval {
        /// As the assembly spells it.
        contig: String,
        /// The first base, from 0.
        start: u64,
        /// One behind the last base.
        end: u64,
        /// `+`, `-`, or `.` for unknown.
        strand: char,
    },
    /// As many as the attribute's dimension.
    Vector(Vec<f32>),
}

impl From<Option<Value>> for Shown<'_> {
    fn from(value: Option<Value>) -> Self {
        match value {
            None => Self::Missing,
            Some(Value::Number(number)) => Self::Number(number),
            Some(Value::Count(count)) => Self::Count(count),
            Some(Value::Category(text) | Value::Text(text) | Value::Sequence(text)) => Self::Text(text),
            Some(Value::Boolean(truth)) => Self::Boolean(truth),
            Some(Value::Time(time)) => Self::Time(time),
            Some(Value::Interval(interval)) => Self::Interval {
                contig: interval.contig().to_owned(),
                start: interval.start(),
                end: interval.end(),
                strand: interval.strand().symbol(),
            },
            Some(Value::Vector(numbers)) => Self::Vector(numbers),
        }
    }
}

/// All attributes of a node, missing ones too.
pub fn node_attributes(snapshot: &Snapshot, node_type: NodeTypeId, node: u32) -> Named<'_, Shown<'_>> {
    let attributes = &snapshot.schema().node(node_type).attributes;
    let value = |at: u16| Shown::from(snapshot.value(node_type, AttributeId(at), node));
    Named((0..).zip(attributes).map(|(at, attribute)| (attribute.name.as_str(), value(at))).collect())
}

/// The attributes of a relation's edges, to be read by position in one direction's adjacency.
pub struct EdgeReader<'s> {
    times: Times<'s>,
    columns: Vec<(&'s str, AttributeKind, EdgeColumn<'s>, Vec<&'s str>)>,
}

impl<'s> EdgeReader<'s> {
    /// Looks the columns up.
    pub fn new(snapshot: &'s Snapshot, relation: RelationId, direction: Direction) -> Self {
        let attributes = (0..).map(AttributeId).zip(&snapshot.schema().edge(relation).attributes);
        let columns = attributes.filter(|(_, attribute)| attribute.kind != AttributeKind::Time).map(|(id, attribute)| {
            let column = snapshot.edge_column(relation, direction, id);
            let names = match column {
                EdgeColumn::Category(_) => snapshot.edge_categories(relation, id),
                EdgeColumn::Number(_) => Vec::new(),
            };
            (attribute.name.as_str(), attribute.kind, column, names)
        });
        Self { times: snapshot.adjacency(relation, direction).times, columns: columns.collect() }
    }

    /// When an edge was, in the unit of the relation's time attribute.
    pub fn time(&self, position: usize) -> Option<i64> {
        self.times.get(position)
    }

    /// All other attributes of an edge, missing ones too.
    pub fn attributes(&self, position: usize) -> Named<'s, Shown<'s>> {
        let shown = |kind: AttributeKind, column: &EdgeColumn<'s>, names: &[&'s str]| match column {
            EdgeColumn::Category(codes) => {
                let name = codes.get(position).and_then(|&code| names.get(code as usize));
                name.map_or(Shown::Missing, |name| Shown::Name(name))
            }
            EdgeColumn::Number(numbers) => match (numbers.get(position), kind) {
                (None, _) => Shown::Missing,
                (Some(number), _) if number.is_nan() => Shown::Missing,
                (Some(&number), AttributeKind::Boolean) => Shown::Boolean(number != 0.0),
                (Some(&number), AttributeKind::Count) => Shown::Count(number as u64),
                (Some(&number), _) => Shown::Single(number),
            },
        };
        Named(self.columns.iter().map(|(name, kind, column, names)| (*name, shown(*kind, column, names))).collect())
    }
}
