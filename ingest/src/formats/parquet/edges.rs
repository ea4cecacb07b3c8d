use std::borrow::Cow;
use std::collections::HashMap;

use relata::snapshot::EdgeColumn;
use relata::store::EdgeBatch;
use relata_schema::{Attribute, AttributeId, AttributeKind, EdgeValue, RelationId, Schema, Value};

use super::column::{Codes, Column, Entries, acts_on_text, nanoseconds};
use super::file::{File, Part, Parts};
use crate::known::{Entry, Known};
use crate::meaning::Edges;
use crate::reference::Reference;
use crate::rows::{names_none, present};
use crate::{At, ColumnSpec, Error, Result, Sink, Unmatched};

/// A missing category, as the store has it.
const NO_CATEGORY: u32 = u32::MAX;

/// A missing time, as the store has it.
const NO_TIME: i64 = i64::MIN;

/// Reads a table of edges column by column, where both ends are named by one column each, whose every value means the same
/// in every row. It brings and counts what [`Edges::read`] does.
pub(super) struct EdgeColumns<'m> {
    relation: RelationId,
    ends: [End<'m>; 2],
    attributes: Vec<EdgeAttribute<'m>>,
    time: Option<EdgeTime<'m>>,
    sources: Vec<u32>,
    targets: Vec<u32>,
    /// The row of each edge, where not each row is one.
    rows: Vec<usize>,
}

/// One end of the edges.
struct End<'m> {
    reference: &'m Reference,
    column: usize,
    entries: Entries,
    node_type: String,
    known: Known,
    lost: HashMap<i64, Lost>,
    /// Whether what is known holds for other sources too: integers that are keys as they stand.
    is_shared: bool,
}

/// Why a code names no node.
struct Lost {
    reason: String,
    name: String,
    /// The state of the names in which that was so.
    state: u64,
}

/// An attribute but the time.
struct EdgeAttribute<'m> {
    id: AttributeId,
    attribute: &'m Attribute,
    /// Its column, if it has one.
    column: Option<(usize, &'m ColumnSpec)>,
    constant: EdgeValue,
    entries: Entries,
    /// The codes of categories, by those of the column.
    categories: Known,
}

struct EdgeTime<'m> {
    attribute: &'m Attribute,
    column: Option<(usize, &'m ColumnSpec)>,
    constant: Option<i64>,
}

/// Which rows of a part become edges.
#[derive(Clone)]
enum Kept<'k> {
    All(usize),
    Some(&'k [usize]),
}

impl Kept<'_> {
    fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::Some(rows) => rows.len(),
        }
    }

    fn map<T>(&self, each: impl FnMut(usize) -> Result<T>) -> Result<Vec<T>> {
        match self {
            Self::All(rows) => (0..*rows).map(each).collect(),
            Self::Some(rows) => rows.iter().copied().map(each).collect(),
        }
    }
}

impl<'m> EdgeColumns<'m> {
    /// `None` where a row's ends cannot be told column by column.
    ///
    /// # Errors
    /// For a constant that does not fit its attribute.
    pub fn of(edges: &'m Edges, schema: &'m Schema, file: &File, sink: &mut Sink<'_>) -> Result<Option<Self>> {
        let [Some(near), Some(far)] = edges.ends.each_ref().map(|end| End::of(end, schema, file)) else { return Ok(None) };
        let (values, time) = edges.constants(schema, file.path(), sink)?;
        let column_of = |id: AttributeId| {
            let (_, spec) = edges.attributes.iter().find(|(known, _)| *known == id)?;
            Some((file.column(spec.column.as_deref()?)?, spec))
        };
        // An interval's columns are no edge's attribute; the row-wise way says so.
        if edges.attributes.iter().any(|(_, spec)| spec.column.is_none()) {
            return Ok(None);
        }
        let (mut attributes, mut timed) = (Vec::new(), None);
        for (place, (attribute, constant)) in (0u16..).zip(schema.edge(edges.relation).attributes.iter().zip(values)) {
            let id = AttributeId(place);
            if attribute.kind == AttributeKind::Time {
                timed = Some(EdgeTime { attribute, column: column_of(id), constant: time });
            }
            attributes.push(EdgeAttribute {
                id,
                attribute,
                column: column_of(id),
                constant,
                entries: Entries::default(),
                categories: Known::default(),
            });
        }
        Ok(Some(Self {
            relation: edges.relation,
            ends: [near, far],
            attributes,
            time: timed,
            sources: Vec::new(),
            targets: Vec::new(),
            rows: Vec::new(),
        }))
    }

    /// Brings every part.
    ///
    /// # Errors
    /// For a part that cannot be decoded, a value that does not fit, or a name that the manifest wants to be known.
    pub fn read(mut self, mut parts: Parts<'_, '_>, sink: &mut Sink<'_>) -> Result<()> {
        while let Some(part) = parts.next()? {
            self.begin(&part, sink);
            self.bring(parts.file(), &part, sink)?;
            sink.progress_share(part.first_row + part.rows as u64, parts.file().rows());
        }
        for end in self.ends.into_iter().filter(|end| end.is_shared) {
            sink.keep_integers(end.reference.node_type, end.reference.identifier(), end.known);
        }
        Ok(())
    }

    /// Places in another dictionary than that of the part before mean something else.
    fn begin(&mut self, part: &Part, sink: &mut Sink<'_>) {
        if part.first_row == 0 {
            self.ends.iter_mut().for_each(|end| end.share(part, sink));
        }
        for end in &mut self.ends {
            if end.entries.changes_with(&part.columns[end.column]) {
                end.known.clear();
                end.lost.clear();
            }
        }
        for attribute in &mut self.attributes {
            if attribute.column.is_some_and(|(column, _)| attribute.entries.changes_with(&part.columns[column])) {
                attribute.categories.clear();
            }
        }
    }

    fn bring(&mut self, file: &File, part: &Part, sink: &mut Sink<'_>) -> Result<()> {
        let is_whole = self.resolve(part, sink)?;
        let kept = if is_whole { Kept::All(part.rows) } else { Kept::Some(&self.rows) };
        sink.read(part.rows as u64);
        sink.kept(kept.len() as u64);
        if kept.len() == 0 {
            return Ok(());
        }
        let times = match &self.time {
            Some(time) => time.of(file, part, &kept)?,
            None => Cow::Borrowed(&[][..]),
        };
        let mut built = Vec::with_capacity(self.attributes.len());
        for attribute in &mut self.attributes {
            built.push(attribute.of(self.relation, file, part, &kept, sink)?);
        }
        let columns: Vec<EdgeColumn<'_>> = built.iter().map(Built::column).collect();
        let batch = EdgeBatch { sources: &self.sources, targets: &self.targets, times: &times, attributes: &columns };
        sink.edges(self.relation, &batch)
    }

    /// Fills in the nodes of both ends; says whether each row has them, or else in which rows they are.
    fn resolve(&mut self, part: &Part, sink: &mut Sink<'_>) -> Result<bool> {
        let [near, far] = &mut self.ends;
        let codes = [&*near, &*far].map(|end| end.codes(part));
        if let [Some(near_codes), Some(far_codes)] = codes
            && near_codes.are_known(&near.known, &mut self.sources)
            && far_codes.are_known(&far.known, &mut self.targets)
        {
            return Ok(true);
        }
        let mut is_whole = true;
        self.sources.clear();
        self.targets.clear();
        for row in 0..part.rows {
            let ends = match (near.known_node(codes[0], row), far.known_node(codes[1], row)) {
                (Entry::Number(source), Entry::Number(target)) => Some((source, target)),
                // One reason a row: where the source is missing, the target is not asked.
                _ => match near.node(part, row, sink)? {
                    Some(source) => far.node(part, row, sink)?.map(|target| (source, target)),
                    None => None,
                },
            };
            if let Some((source, target)) = ends {
                self.sources.push(source);
                self.targets.push(target);
                if !is_whole {
                    self.rows.push(row);
                }
            } else if is_whole {
                is_whole = false;
                self.rows.clear();
                self.rows.extend(0..row);
            }
        }
        Ok(is_whole)
    }
}

impl<'m> End<'m> {
    fn of(reference: &'m Reference, schema: &Schema, file: &File) -> Option<Self> {
        let column = file.column(reference.spec.column.as_deref()?)?;
        // A node that is made under its key does not answer to `match`, so that each row makes it anew.
        let makes = reference.identifier().is_some() && reference.spec.unmatched == Some(Unmatched::Make);
        if !reference.is_single() || makes {
            return None;
        }
        let node_type = schema.node(reference.node_type).name.clone();
        Some(Self {
            reference,
            column,
            entries: Entries::default(),
            node_type,
            known: Known::default(),
            lost: HashMap::new(),
            is_shared: false,
        })
    }

    /// Takes over what earlier sources found out.
    fn share(&mut self, part: &Part, sink: &mut Sink<'_>) {
        let is_signed = matches!(part.columns[self.column], Column::Integers { unsigned: false, .. });
        self.is_shared = is_signed && !acts_on_text(&self.reference.spec);
        if self.is_shared {
            self.known = sink.take_integers(self.reference.node_type, self.reference.identifier());
        }
    }

    /// The codes of a part's rows, where none is missing.
    fn codes<'p>(&self, part: &'p Part) -> Option<Codes<'p>> {
        let column = &part.columns[self.column];
        column.codes().filter(|_| !column.has_missing())
    }

    fn known_node(&self, codes: Option<Codes<'_>>, row: usize) -> Entry {
        codes.map_or(Entry::Unseen, |codes| self.known.get(codes.at(row)))
    }

    /// The node that a row names, or nothing where that is counted.
    fn node(&mut self, part: &Part, row: usize, sink: &mut Sink<'_>) -> Result<Option<u32>> {
        let column = &part.columns[self.column];
        let at = At::Row(part.first_row + row as u64 + 1);
        let code = column.codes().filter(|_| !column.is_missing(row)).map(|codes| codes.at(row));
        match code.map(|code| (code, self.known.get(code))) {
            Some((_, Entry::Number(node))) => return Ok(Some(node)),
            Some((code, Entry::Lost)) => {
                let state = sink.names_state(self.reference.node_type);
                if let Some(lost) = self.lost.get(&code).filter(|lost| lost.state == state) {
                    sink.drop(&lost.reason, &lost.name);
                    return Ok(None);
                }
            }
            _ => {}
        }
        let text = column.text(row);
        let shown = if self.reference.spec.exact { &*text } else { present(&text) };
        let Some(name) = self.reference.name(shown) else {
            sink.drop(&names_none(&self.node_type), &at.to_string());
            return Ok(None);
        };
        match self.reference.resolve(name, at, sink)? {
            Ok(node) => {
                if let Some(code) = code {
                    self.known.insert(code, node);
                }
                Ok(Some(node))
            }
            Err(reason) => {
                let name = name.trim().to_owned();
                sink.drop(&reason, &name);
                if let Some(code) = code {
                    let state = sink.names_state(self.reference.node_type);
                    self.known.lose(code);
                    self.lost.insert(code, Lost { reason, name, state });
                }
                Ok(None)
            }
        }
    }
}

/// An attribute's column as it was built.
enum Built<'p> {
    Numbers(Cow<'p, [f32]>),
    Categories(Vec<u32>),
}

impl Built<'_> {
    fn column(&self) -> EdgeColumn<'_> {
        match self {
            Self::Numbers(numbers) => EdgeColumn::Number(numbers),
            Self::Categories(codes) => EdgeColumn::Category(codes),
        }
    }
}

impl EdgeAttribute<'_> {
    fn of<'p>(
        &mut self,
        relation: RelationId,
        file: &File,
        part: &'p Part,
        kept: &Kept<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Built<'p>> {
        let missing = Ok(Built::Numbers(Cow::Borrowed(&[])));
        match (self.attribute.kind, self.column, self.constant) {
            (AttributeKind::Time, _, _) => missing,
            (_, None, EdgeValue::Missing) => missing,
            (_, None, EdgeValue::Number(number)) => Ok(Built::Numbers(Cow::Owned(vec![number; kept.len()]))),
            (_, None, EdgeValue::Category(code)) => Ok(Built::Categories(vec![code; kept.len()])),
            (AttributeKind::Category, Some((at, spec)), _) => {
                let column = &part.columns[at];
                let code =
                    |row| self.category(relation, column, spec, row, sink).map_err(|error| error.told(file, at, part, row));
                kept.map(code).map(Built::Categories)
            }
            (_, Some((at, spec)), _) => {
                let column = &part.columns[at];
                if let (Column::Singles(values), AttributeKind::Number, Kept::All(_)) = (column, self.attribute.kind, kept)
                    && !column.has_missing()
                {
                    let numbers = values.values();
                    if !numbers.iter().any(|number| number.is_infinite()) {
                        return Ok(Built::Numbers(Cow::Borrowed(numbers)));
                    }
                }
                let number =
                    |row| column.number(row, spec, self.attribute).map_err(|message| wrong(file, at, part, row, message));
                kept.map(number).map(|numbers| Built::Numbers(Cow::Owned(numbers)))
            }
        }
    }

    /// The category's code of a row.
    fn category(
        &mut self,
        relation: RelationId,
        column: &Column,
        spec: &ColumnSpec,
        row: usize,
        sink: &mut Sink<'_>,
    ) -> Result<u32, Unfit> {
        if column.is_missing(row) {
            return Ok(NO_CATEGORY);
        }
        let code = column.codes().map(|codes| codes.at(row));
        match code.map(|code| self.categories.get(code)) {
            Some(Entry::Number(category)) => return Ok(category),
            Some(Entry::Lost) => return Ok(NO_CATEGORY),
            _ => {}
        }
        let category = match column.value(row, spec, self.attribute).map_err(Unfit::Value)? {
            Some(Value::Category(name)) => Some(sink.category(relation, self.id, &name).map_err(Unfit::Store)?),
            _ => None,
        };
        match (code, category) {
            (Some(code), Some(category)) => self.categories.insert(code, category),
            (Some(code), None) => self.categories.lose(code),
            (None, _) => {}
        }
        Ok(category.unwrap_or(NO_CATEGORY))
    }
}

/// Why there is no category.
enum Unfit {
    Value(String),
    Store(Error),
}

impl Unfit {
    fn told(self, file: &File, column: usize, part: &Part, row: usize) -> Error {
        match self {
            Self::Value(message) => wrong(file, column, part, row, message),
            Self::Store(error) => error,
        }
    }
}

impl EdgeTime<'_> {
    fn of<'p>(&self, file: &File, part: &'p Part, kept: &Kept<'_>) -> Result<Cow<'p, [i64]>> {
        let Some((at, spec)) = self.column else {
            return Ok(self.constant.map_or(Cow::Borrowed(&[]), |time| Cow::Owned(vec![time; kept.len()])));
        };
        let column = &part.columns[at];
        if let (Column::Integers { values, unsigned: false }, Kept::All(_)) = (column, kept)
            && !column.has_missing()
            && !acts_on_text(spec)
        {
            let times = values.values();
            if !times.contains(&NO_TIME) {
                return Ok(Cow::Borrowed(times));
            }
        }
        let unit = nanoseconds(self.attribute);
        let time = |row| {
            let is_plain = matches!(column, Column::Integers { .. } | Column::Moments { .. }) && !acts_on_text(spec);
            let found = match column.is_missing(row) {
                true => Ok(None),
                false if is_plain => column.time(row, unit),
                false => column.value(row, spec, self.attribute).map(|value| match value {
                    Some(Value::Time(time)) => Some(time),
                    _ => None,
                }),
            };
            found.map(|time| time.unwrap_or(NO_TIME)).map_err(|message| wrong(file, at, part, row, message))
        };
        kept.map(time).map(Cow::Owned)
    }
}

/// An error at a row of a column.
fn wrong(file: &File, column: usize, part: &Part, row: usize, message: String) -> Error {
    let place = format!("row {}, column {}", part.first_row + row as u64 + 1, file.name(column));
    Error::content(file.path(), place, message)
}
