//! The rows of a table, one after another, and how they become nodes and edges: the same in every format of tables.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use relata_schema::{Attribute, AttributeId, AttributeKind, EdgeValue, Interval, RelationId, Schema, Strand, Value};

use crate::identity::Match;
use crate::meaning::{Edges, Nodes};
use crate::reference::{Named, Reference};
use crate::{At, ColumnSpec, Error, Result, Sink, Unmatched};

/// A table that is read row by row; it stands at one of them, once [`next`](Self::next) was called.
pub(crate) trait Rows {
    /// The file, for errors.
    fn path(&self) -> &Path;

    /// Goes to the next row; false behind the last one.
    fn next(&mut self, sink: &Sink<'_>) -> Result<bool>;

    /// Where it stands.
    fn at(&self) -> At;

    /// The number of a column.
    ///
    /// # Errors
    /// Where there is none of this name: the nearest name.
    fn column(&self, name: &str) -> Result<usize>;

    /// The text in a column, as it stands there.
    fn text(&self, column: usize) -> Cow<'_, str>;

    /// The value of an attribute in a column.
    ///
    /// # Errors
    /// Where it is none.
    fn value_in(&self, column: usize, spec: &ColumnSpec, attribute: &Attribute) -> Result<Option<Value>>;

    /// An error in a column of this row.
    fn wrong(&self, column: usize, message: &str) -> Error;

    /// The text in a column, empty where it says that it is missing.
    fn cell(&self, column: usize) -> Cow<'_, str> {
        match self.text(column) {
            Cow::Borrowed(text) => Cow::Borrowed(present(text)),
            Cow::Owned(text) => Cow::Owned(present(&text).to_owned()),
        }
    }

    /// The place of what a source's settings name.
    ///
    /// # Errors
    /// Where there is no such column.
    fn place(&self, spec: &ColumnSpec) -> Result<Place> {
        let column = |name: &Option<String>| name.as_deref().map(|name| self.column(name)).transpose();
        Ok(match column(&spec.column)? {
            Some(column) => Place::Column(column),
            None => match (column(&spec.contig)?, column(&spec.start)?, column(&spec.end)?) {
                (Some(contig), Some(start), Some(end)) => {
                    Place::Interval { contig, start, end, strand: column(&spec.strand)?, base: spec.base }
                }
                _ => Place::Nowhere,
            },
        })
    }

    /// The interval at a place, if one is there.
    ///
    /// # Errors
    /// Where the columns hold something else.
    fn interval(&self, place: Place) -> Result<Option<Interval>> {
        let Place::Interval { contig, start, end, strand, base } = place else { return Ok(None) };
        let (name, first, last) = (self.cell(contig), self.cell(start), self.cell(end));
        if name.is_empty() || first.is_empty() || last.is_empty() {
            return Ok(None);
        }
        let coordinate = |column: usize, text: &str| {
            text.parse::<u64>().map_err(|_| self.wrong(column, &format!("found `{text}`, expected a whole number of base pairs")))
        };
        let (from, to) = (coordinate(start, &first)?, coordinate(end, &last)?);
        // Not `cell`, to which `-` is a missing value.
        let text = strand.map_or(Cow::Borrowed(""), |column| self.text(column));
        let strand = match text.trim() {
            "1" => Strand::Forward,
            "-1" => Strand::Reverse,
            symbol => Strand::from_symbol(symbol).ok_or_else(|| {
                self.wrong(strand.unwrap_or_default(), &format!("found strand `{symbol}`, expected `+`, `-` or `.`"))
            })?,
        };
        let interval =
            if base == 1 { Interval::from_one_based(&*name, from, to, strand) } else { Interval::new(&*name, from, to, strand) };
        interval.map(Some).map_err(|error| self.wrong(start, &error.to_string()))
    }

    /// The value of an attribute at a place.
    ///
    /// # Errors
    /// Where something else stands there.
    fn value(&self, place: Place, spec: &ColumnSpec, attribute: &Attribute) -> Result<Option<Value>> {
        match place {
            Place::Nowhere => Ok(None),
            Place::Interval { start, .. } => {
                let interval = self.interval(place)?;
                if attribute.kind != AttributeKind::Interval {
                    return Err(self.wrong(start, &format!("an interval cannot be a {}", attribute.kind)));
                }
                Ok(interval.map(Value::Interval))
            }
            Place::Column(column) => self.value_in(column, spec, attribute),
        }
    }
}

/// Where a value stands in a row.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Nowhere,
    Column(usize),
    Interval { contig: usize, start: usize, end: usize, strand: Option<usize>, base: u8 },
}

/// A cell's text, empty where it says that it is missing.
pub(crate) fn present(text: &str) -> &str {
    match text.trim() {
        "-" | "NA" | "N/A" | "NaN" | "nan" | "null" | "None" => "",
        text => text,
    }
}

/// What is counted where a row names nothing.
pub(crate) fn names_none(node_type: &str) -> String {
    format!("row that names no {node_type}")
}

/// A reference with the places of its columns.
pub(crate) struct Placed<'r> {
    pub reference: &'r Reference,
    /// One for each of the reference's chain.
    pub places: Vec<Place>,
}

impl<'r> Placed<'r> {
    pub fn of(reference: &'r Reference, rows: &impl Rows) -> Result<Self> {
        let places = reference.chain().map(|one| rows.place(&one.spec)).collect::<Result<_>>()?;
        Ok(Self { reference, places })
    }

    /// The text of the nth column.
    pub fn cell<'c>(&self, rows: &'c impl Rows, at: usize) -> Cow<'c, str> {
        let is_exact = self.reference.chain().nth(at).is_some_and(|one| one.spec.exact);
        match self.places.get(at) {
            Some(Place::Column(column)) if is_exact => rows.text(*column),
            Some(Place::Column(column)) => rows.cell(*column),
            _ => Cow::Borrowed(""),
        }
    }

    fn nodes(&self, rows: &impl Rows, makes: bool, sink: &mut Sink<'_>) -> Result<Named> {
        if let [place @ Place::Interval { .. }] = self.places[..] {
            return self.region(rows, place, makes, sink);
        }
        let cells: Vec<Cow<'_, str>> = (0..self.places.len()).map(|at| self.cell(rows, at)).collect();
        let named = self.reference.nodes(|at| &*cells[at], makes, rows.at(), sink)?;
        if named.names == 0 {
            let reason = names_none(&sink.schema().node(self.reference.node_type).name);
            sink.drop(&reason, &rows.at().to_string());
        }
        Ok(named)
    }

    /// The node of an interval: made with its locus where it is new, unless the manifest says otherwise.
    fn region(&self, rows: &impl Rows, place: Place, makes: bool, sink: &mut Sink<'_>) -> Result<Named> {
        let Some(interval) = rows.interval(place)? else {
            sink.drop("row without an interval", &rows.at().to_string());
            return Ok(Named { nodes: Vec::new(), names: 0 });
        };
        let node_type = self.reference.node_type;
        let key = format!("{}:{}-{}", interval.contig(), interval.start(), interval.end());
        let is_known = sink.find(node_type, &key, None)? != Match::Nothing;
        if is_known || !(makes || self.reference.spec.unmatched.is_none_or(|word| word == Unmatched::Make)) {
            let node = self.reference.node(&key, rows.at(), sink)?;
            return Ok(Named { nodes: node.into_iter().collect(), names: 1 });
        }
        let node = sink.node(node_type, &key)?;
        let owner = sink.schema().node(node_type);
        let locus = owner.attributes.iter().position(|attribute| attribute.kind == AttributeKind::Interval);
        if let Some(locus) = locus {
            sink.set(node_type, node, AttributeId(locus as u16), Value::Interval(interval))?;
        }
        Ok(Named { nodes: vec![node], names: 1 })
    }
}

impl Nodes {
    /// Brings every row as a node with its attributes.
    pub fn read(&self, schema: &Schema, rows: &mut impl Rows, sink: &mut Sink<'_>) -> Result<()> {
        let node_type = self.key.node_type;
        let owner = schema.node(node_type);
        let key = Placed::of(&self.key, rows)?;
        let makes = self.unmatched == Unmatched::Make;
        let mut places = Vec::new();
        for (attribute, spec) in &self.attributes {
            places.push((*attribute, spec, rows.place(spec)?, &owner.attributes[attribute.index()]));
        }
        let mut described = HashSet::new();
        while rows.next(sink)? {
            sink.read(1);
            let mut nodes = key.nodes(rows, makes, sink)?.nodes;
            if nodes.is_empty() {
                continue;
            }
            // Of several rows about one node the first stays whole: mixed, they would describe nothing that exists.
            nodes.retain(|&node| described.insert(node));
            if nodes.is_empty() {
                let reason = format!("row about a {} that an earlier row is about", owner.name);
                sink.drop(&reason, &rows.at().to_string());
                continue;
            }
            sink.kept(1);
            for (attribute, spec, place, declared) in &places {
                if let Some(value) = rows.value(*place, spec, declared)? {
                    for &node in &nodes[1..] {
                        sink.set(node_type, node, *attribute, value.clone())?;
                    }
                    sink.set(node_type, nodes[0], *attribute, value)?;
                }
            }
            for (attribute, value) in &self.constants {
                for &node in &nodes {
                    sink.set(node_type, node, *attribute, value.clone())?;
                }
            }
        }
        Ok(())
    }
}

impl Edges {
    /// A row is one edge, or where a column is split, an edge for each pair of its values; so are they counted.
    pub fn read(&self, schema: &Schema, rows: &mut impl Rows, sink: &mut Sink<'_>) -> Result<()> {
        let edge = schema.edge(self.relation);
        let ends = [Placed::of(&self.ends[0], rows)?, Placed::of(&self.ends[1], rows)?];
        let mut places = Vec::new();
        for (attribute, spec) in &self.attributes {
            places.push((*attribute, spec, rows.place(spec)?, &edge.attributes[attribute.index()]));
        }
        let (mut values, mut time) = self.constants(schema, rows.path(), sink)?;
        while rows.next(sink)? {
            let sources = ends[0].nodes(rows, false, sink)?;
            // One reason a row: where the source is missing, the target is not asked.
            let targets = match sources.nodes.is_empty() {
                true => Named { nodes: Vec::new(), names: 1 },
                false => ends[1].nodes(rows, false, sink)?,
            };
            sink.read((sources.names * targets.names).max(1));
            sink.kept((sources.nodes.len() * targets.nodes.len()) as u64);
            if sources.nodes.is_empty() || targets.nodes.is_empty() {
                continue;
            }
            for (attribute, spec, place, declared) in &places {
                let value = rows.value(*place, spec, declared)?;
                match declared.kind {
                    AttributeKind::Time => time = time_of(value),
                    _ => values[attribute.index()] = edge_value(self.relation, *attribute, value, sink)?,
                }
            }
            for &source in &sources.nodes {
                for &target in &targets.nodes {
                    sink.edge(self.relation, source, target, time, &values)?;
                }
            }
        }
        Ok(())
    }

    /// What all edges have: a value of each attribute, and the time.
    pub fn constants(&self, schema: &Schema, path: &Path, sink: &mut Sink<'_>) -> Result<(Vec<EdgeValue>, Option<i64>)> {
        let edge = schema.edge(self.relation);
        let mut values = vec![EdgeValue::Missing; edge.attributes.len()];
        let mut time = None;
        for (attribute, text) in &self.constants {
            let declared = &edge.attributes[attribute.index()];
            let value = Value::parse(text, declared.kind)
                .map_err(|message| Error::content(path, format!("the manifest's constant {}", declared.name), message))?;
            match declared.kind {
                AttributeKind::Time => time = time_of(value),
                _ => values[attribute.index()] = edge_value(self.relation, *attribute, value, sink)?,
            }
        }
        Ok((values, time))
    }
}

/// An edge's attribute as the store takes it.
fn edge_value(relation: RelationId, attribute: AttributeId, value: Option<Value>, sink: &mut Sink<'_>) -> Result<EdgeValue> {
    Ok(match value {
        Some(Value::Number(number)) => EdgeValue::Number(number as f32),
        Some(Value::Count(count)) => EdgeValue::Number(count as f32),
        Some(Value::Boolean(truth)) => EdgeValue::Number(f32::from(u8::from(truth))),
        Some(Value::Category(name)) => EdgeValue::Category(sink.category(relation, attribute, &name)?),
        _ => EdgeValue::Missing,
    })
}

fn time_of(value: Option<Value>) -> Option<i64> {
    match value {
        Some(Value::Time(time)) => Some(time),
        _ => None,
    }
}
