use std::collections::HashSet;

use csv::{ReaderBuilder, StringRecord};
use relata_schema::{AttributeId, AttributeKind, EdgeValue, Interval, NodeTypeId, RelationId, Schema, Strand, Value, suggestion};

use super::Format;
use crate::identity::Match;
use crate::reference::{Named, Reference, expect_value, parts, policy};
use crate::{ColumnSpec, Error, Input, Manifest, Result, Sink, Source, Unmatched};

/// Tables of text: comma-, semicolon- or tab-separated, one record a line, with or without a header.
///
/// Quoting is that of RFC 4180 in comma- and semicolon-separated files; tab-separated ones have none.
pub struct Table;

impl Format for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn about(&self) -> &'static str {
        "CSV and TSV: rows as nodes (`node`), as edges (`relation`), or a matrix of edges (`layout = \"matrix\"`)"
    }

    fn settings(&self) -> &'static [&'static str] {
        &[
            "node",
            "key",
            "attributes",
            "relation",
            "columns",
            "constants",
            "header",
            "delimiter",
            "comment",
            "layout",
            "columns_with",
            "value",
        ]
    }

    fn is_likely(&self, _start: &[u8], _name: &str) -> bool {
        true
    }

    fn check(&self, manifest: &Manifest, source: &Source) -> Result<()> {
        Meaning::of(manifest, source, &manifest.schema).map(|_| ())
    }

    fn read(&self, manifest: &Manifest, source: &Source, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        let schema = sink.schema().clone();
        let meaning = Meaning::of(manifest, source, &schema)?;
        let mut rows = Rows::open(manifest, source, input)?;
        match meaning {
            Meaning::Nodes(nodes) => nodes.read(&schema, &mut rows, sink),
            Meaning::Edges(edges) => edges.read(&schema, &mut rows, sink),
            Meaning::Matrix(matrix) => {
                let row_end = usize::from(matrix.ends[0].spec.column.is_none());
                matrix.read_matrix(&mut rows, &schema, sink, row_end)
            }
        }
    }
}

/// What a row is, by the source's settings.
enum Meaning {
    Nodes(Nodes),
    Edges(Edges),
    Matrix(Edges),
}

struct Nodes {
    key: Reference,
    unmatched: Unmatched,
    attributes: Vec<(AttributeId, ColumnSpec)>,
    constants: Vec<(AttributeId, Value)>,
}

struct Edges {
    relation: RelationId,
    ends: [Reference; 2],
    attributes: Vec<(AttributeId, ColumnSpec)>,
    constants: Vec<(AttributeId, String)>,
    columns_with: Option<String>,
    value: Option<AttributeId>,
}

impl Meaning {
    fn of(manifest: &Manifest, source: &Source, schema: &Schema) -> Result<Self> {
        match (&source.node, &source.relation) {
            (Some(name), None) => {
                for (setting, span) in source.settings() {
                    if ["columns", "layout", "columns_with", "value"].contains(&setting) {
                        return Err(manifest.error(
                            span,
                            format!("`{setting}` belongs to a table of edges (`relation`), not of nodes (`node`)"),
                        ));
                    }
                }
                let node_type = schema.node_type(name.get_ref()).map_err(manifest.at(name))?;
                let Some(key) = &source.key else {
                    return Err(manifest.error(name.span(), "a table of nodes needs `key`: the column that names the node"));
                };
                let unmatched = policy(key.get_ref(), source.unmatched, Unmatched::Make);
                let own = ColumnSpec { unmatched: Some(unmatched), ..key.get_ref().clone() };
                let key = Reference::of(manifest, schema, node_type, &own, key.span())?;
                let mut attributes = Vec::new();
                if let Some(table) = &source.attributes {
                    for (attribute, spec) in table.get_ref() {
                        expect_value(manifest, attribute, spec, table.span())?;
                        attributes.push((schema.node_attribute(node_type, attribute).map_err(manifest.at(table))?, spec.clone()));
                    }
                }
                let mut constants = Vec::new();
                if let Some(table) = &source.constants {
                    for (attribute, value) in table.get_ref() {
                        let id = schema.node_attribute(node_type, attribute).map_err(manifest.at(table))?;
                        let value = Value::parse(&plain(value), schema.node(node_type).attributes[id.index()].kind)
                            .map_err(|message| manifest.error(table.span(), format!("{attribute}: {message}")))?;
                        constants.extend(value.map(|value| (id, value)));
                    }
                }
                Ok(Self::Nodes(Nodes { key, unmatched, attributes, constants }))
            }
            (None, Some(name)) => {
                let relation = schema.relation(name.get_ref()).map_err(manifest.at(name))?;
                Self::edges(manifest, source, schema, relation, name.span())
            }
            (Some(both), Some(_)) => {
                Err(manifest.error(both.span(), "a table has either `node` or `relation`; load it twice for both"))
            }
            (None, None) => {
                let message =
                    "a table needs `node` (and `key`) when its rows are nodes, or `relation` (and `columns`) when they are edges";
                Err(manifest.error(source.path.span(), message))
            }
        }
    }

    fn edges(
        manifest: &Manifest,
        source: &Source,
        schema: &Schema,
        relation: RelationId,
        span: std::ops::Range<usize>,
    ) -> Result<Self> {
        for (setting, span) in source.settings() {
            if ["key", "attributes"].contains(&setting) {
                return Err(manifest.error(
                    span,
                    format!("`{setting}` belongs to a table of nodes (`node`); an edge's columns stand in `columns`"),
                ));
            }
        }
        let is_matrix = match source.layout.as_ref().map(|layout| (layout, layout.get_ref().as_str())) {
            None | Some((_, "rows")) => false,
            Some((_, "matrix")) => true,
            Some((layout, other)) => return Err(manifest.unknown(layout.span(), "layout", other, &["rows", "matrix"])),
        };
        let Some(columns) = &source.columns else {
            return Err(manifest.error(span, "a table of edges needs `columns = { source = …, target = … }`"));
        };
        let edge = schema.edge(relation);
        let mut attributes = Vec::new();
        for (name, spec) in columns.get_ref() {
            if name != "source" && name != "target" {
                expect_value(manifest, name, spec, columns.span())?;
                attributes.push((schema.edge_attribute(relation, name).map_err(manifest.at(columns))?, spec.clone()));
            }
        }
        let end = |name: &str, node_type: NodeTypeId| -> Result<Reference> {
            let none = ColumnSpec::default();
            let spec = match columns.get_ref().get(name) {
                Some(spec) => spec,
                None if is_matrix => &none,
                None => return Err(manifest.error(columns.span(), format!("`columns` has no `{name}`: the column of that end"))),
            };
            Reference::of(manifest, schema, node_type, spec, columns.span())
        };
        let ends = [end("source", edge.source)?, end("target", edge.target)?];
        if is_matrix && (ends[0].spec.column.is_some() == ends[1].spec.column.is_some() || !attributes.is_empty()) {
            let message = "a matrix has one of `source` and `target` as a column of its rows; the other end is the column's name, and `value` names the attribute of its entries";
            return Err(manifest.error(columns.span(), message));
        }
        if is_matrix && ends.iter().any(|end| end.spec.or.is_some() || end.spec.split.is_some()) {
            return Err(manifest.error(columns.span(), "`or` and `split` do not work in a matrix; its rows have one name each"));
        }
        let mut constants = Vec::new();
        if let Some(table) = &source.constants {
            for (attribute, value) in table.get_ref() {
                let id = schema.edge_attribute(relation, attribute).map_err(manifest.at(table))?;
                constants.push((id, plain(value)));
            }
        }
        let value = match &source.value {
            Some(name) => Some(schema.edge_attribute(relation, name.get_ref()).map_err(manifest.at(name))?),
            None => None,
        };
        let columns_with = source.columns_with.as_ref().map(|prefix| prefix.get_ref().clone());
        if let (false, Some(setting)) = (is_matrix, source.value.as_ref().or(source.columns_with.as_ref())) {
            return Err(manifest.error(setting.span(), "`value` and `columns_with` belong to `layout = \"matrix\"`"));
        }
        let edges = Edges { relation, ends, attributes, constants, columns_with, value };
        Ok(if is_matrix { Self::Matrix(edges) } else { Self::Edges(edges) })
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The records of a table, with the places of its columns.
struct Rows<'i> {
    input: &'i Input,
    header: Vec<String>,
    reader: csv::Reader<Box<dyn std::io::BufRead + Send>>,
    record: StringRecord,
    line: u64,
}

impl<'i> Rows<'i> {
    fn open(manifest: &Manifest, source: &Source, input: &'i Input) -> Result<Self> {
        let one_byte = |setting: &toml::Spanned<String>| match setting.get_ref().as_bytes() {
            [byte] => Ok(*byte),
            _ => Err(manifest.error(setting.span(), format!("found `{}`, expected one character", setting.get_ref()))),
        };
        let comment = source.comment.as_ref().map(one_byte).transpose()?;
        let delimiter = match &source.delimiter {
            Some(setting) => one_byte(setting)?,
            None => delimiter(&input.start(1 << 16)?, comment),
        };
        // R quotes tab-separated tables too, and its header gives it away.
        let is_quoted = delimiter != b'\t' || input.start(1)? == b"\"";
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(is_quoted)
            .comment(comment)
            .has_headers(source.header.is_none())
            .buffer_capacity(1 << 17)
            .from_reader(input.text()?);
        let header = match &source.header {
            Some(names) => names.get_ref().clone(),
            None => {
                let header = reader.headers().map_err(|error| table_error(input, &error))?;
                // NCBI's tables hide the header behind a `#`.
                header
                    .iter()
                    .enumerate()
                    .map(|(at, name)| if at == 0 { name.trim_start_matches('#') } else { name }.trim().to_owned())
                    .collect()
            }
        };
        Ok(Self { input, header, reader, record: StringRecord::new(), line: 0 })
    }

    fn next(&mut self, sink: &Sink<'_>) -> Result<bool> {
        let found = self.reader.read_record(&mut self.record).map_err(|error| table_error(self.input, &error))?;
        self.line = self.record.position().map_or(0, csv::Position::line);
        if self.line.is_multiple_of(1024) {
            sink.progress(self.input);
        }
        if found && self.record.len() != self.header.len() {
            let message =
                format!("found {} columns, expected {}: {}", self.record.len(), self.header.len(), self.header.join(", "));
            return Err(Error::line(self.input.path(), self.line, message));
        }
        Ok(found)
    }

    /// The place of a column.
    fn column(&self, name: &str) -> Result<usize> {
        self.header.iter().position(|known| known == name).ok_or_else(|| {
            let near = suggestion(name, self.header.iter().map(String::as_str));
            Error::line(self.input.path(), 1, format!("there is no column `{name}`{near} (columns: {})", self.header.join(", ")))
        })
    }

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

    fn wrong(&self, column: usize, message: &str) -> Error {
        let name = self.header.get(column).map_or("", String::as_str);
        Error::line(self.input.path(), self.line, format!("column {} ({name}): {message}", column + 1))
    }

    /// The cell, empty where it says that it is missing.
    fn cell(&self, column: usize) -> &str {
        match self.record.get(column).unwrap_or_default().trim() {
            "-" | "NA" | "N/A" | "NaN" | "nan" | "null" | "None" => "",
            text => text,
        }
    }

    fn interval(&self, place: Place) -> Result<Option<Interval>> {
        let Place::Interval { contig, start, end, strand, base } = place else { return Ok(None) };
        let name = self.cell(contig);
        if name.is_empty() || self.cell(start).is_empty() || self.cell(end).is_empty() {
            return Ok(None);
        }
        let coordinate = |column: usize| {
            let text = self.cell(column);
            text.parse::<u64>().map_err(|_| self.wrong(column, &format!("found `{text}`, expected a whole number of base pairs")))
        };
        let (from, to) = (coordinate(start)?, coordinate(end)?);
        // Not `cell`, to which `-` is a missing value.
        let symbol = strand.map_or("", |column| self.record.get(column).unwrap_or_default().trim());
        let strand = match symbol {
            "1" => Strand::Forward,
            "-1" => Strand::Reverse,
            symbol => Strand::from_symbol(symbol).ok_or_else(|| {
                self.wrong(strand.unwrap_or_default(), &format!("found strand `{symbol}`, expected `+`, `-` or `.`"))
            })?,
        };
        let interval =
            if base == 1 { Interval::from_one_based(name, from, to, strand) } else { Interval::new(name, from, to, strand) };
        interval.map(Some).map_err(|error| self.wrong(start, &error.to_string()))
    }

    /// The cell as a value of a kind.
    fn value(&self, place: Place, spec: &ColumnSpec, kind: AttributeKind) -> Result<Option<Value>> {
        match place {
            Place::Nowhere => Ok(None),
            Place::Interval { start, .. } => {
                let interval = self.interval(place)?;
                if kind != AttributeKind::Interval {
                    return Err(self.wrong(start, &format!("an interval cannot be a {kind}")));
                }
                Ok(interval.map(Value::Interval))
            }
            Place::Column(column) => {
                let parts = parts(self.cell(column), spec);
                let text = if parts.len() == 1 { parts[0].to_owned() } else { parts.join("|") };
                Value::parse(&text, kind).map_err(|message| self.wrong(column, &message))
            }
        }
    }
}

/// Where a value stands in a record.
#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    Column(usize),
    Interval { contig: usize, start: usize, end: usize, strand: Option<usize>, base: u8 },
}

fn delimiter(start: &[u8], comment: Option<u8>) -> u8 {
    let first = start.split(|&byte| byte == b'\n').find(|line| comment.is_none_or(|comment| line.first() != Some(&comment)));
    let count = |delimiter: u8| first.unwrap_or_default().iter().filter(|&&byte| byte == delimiter).count();
    match (count(b'\t'), count(b','), count(b';')) {
        (0, 0, 0) => b'\t',
        (tabs, _, _) if tabs > 0 => b'\t',
        (_, commas, semicolons) if commas >= semicolons => b',',
        _ => b';',
    }
}

fn table_error(input: &Input, error: &csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::Io(source) => input.read_error(line, source),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            Error::line(input.path(), line, format!("found {len} columns, expected {expected_len} as in the rows before"))
        }
        csv::ErrorKind::Utf8 { err, .. } => Error::line(input.path(), line, format!("found bytes that are no UTF-8 ({err})")),
        _ => Error::line(input.path(), line, error.to_string()),
    }
}

/// A reference with the places of its columns.
struct Placed<'r> {
    reference: &'r Reference,
    /// One for each of the reference's chain.
    places: Vec<Place>,
}

impl<'r> Placed<'r> {
    fn of(reference: &'r Reference, rows: &Rows<'_>) -> Result<Self> {
        let places = reference.chain().map(|one| rows.place(&one.spec)).collect::<Result<_>>()?;
        Ok(Self { reference, places })
    }

    /// The text of the nth column.
    fn cell<'c>(&self, rows: &'c Rows<'_>, at: usize) -> &'c str {
        match self.places.get(at) {
            Some(Place::Column(column)) => rows.cell(*column),
            _ => "",
        }
    }

    fn nodes(&self, rows: &Rows<'_>, makes: bool, sink: &mut Sink<'_>) -> Result<Named> {
        if let [place @ Place::Interval { .. }] = self.places[..] {
            return self.region(rows, place, makes, sink);
        }
        let named = self.reference.nodes(|at| self.cell(rows, at), makes, rows.line, sink)?;
        if named.names == 0 {
            let name = &sink.schema().node(self.reference.node_type).name;
            sink.drop(&format!("row that names no {name}"), &format!("line {}", rows.line));
        }
        Ok(named)
    }

    /// The node of an interval: made with its locus where it is new, unless the manifest says otherwise.
    fn region(&self, rows: &Rows<'_>, place: Place, makes: bool, sink: &mut Sink<'_>) -> Result<Named> {
        let Some(interval) = rows.interval(place)? else {
            sink.drop("row without an interval", &format!("line {}", rows.line));
            return Ok(Named { nodes: Vec::new(), names: 0 });
        };
        let node_type = self.reference.node_type;
        let key = format!("{}:{}-{}", interval.contig(), interval.start(), interval.end());
        let is_known = sink.find(node_type, &key, None)? != Match::Nothing;
        if is_known || !(makes || self.reference.spec.unmatched.is_none_or(|word| word == Unmatched::Make)) {
            let node = self.reference.node(&key, rows.line, sink)?;
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
    fn read(&self, schema: &Schema, rows: &mut Rows<'_>, sink: &mut Sink<'_>) -> Result<()> {
        let node_type = self.key.node_type;
        let owner = schema.node(node_type);
        let key = Placed::of(&self.key, rows)?;
        let makes = self.unmatched == Unmatched::Make;
        let mut places = Vec::new();
        for (attribute, spec) in &self.attributes {
            places.push((*attribute, spec, rows.place(spec)?, owner.attributes[attribute.index()].kind));
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
                sink.drop(&reason, &format!("line {}", rows.line));
                continue;
            }
            sink.kept(1);
            for (attribute, spec, place, kind) in &places {
                if let Some(value) = rows.value(*place, spec, *kind)? {
                    for &node in &nodes {
                        sink.set(node_type, node, *attribute, value.clone())?;
                    }
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
    fn read(&self, schema: &Schema, rows: &mut Rows<'_>, sink: &mut Sink<'_>) -> Result<()> {
        let edge = schema.edge(self.relation);
        let ends = [Placed::of(&self.ends[0], rows)?, Placed::of(&self.ends[1], rows)?];
        let mut places = Vec::new();
        for (attribute, spec) in &self.attributes {
            places.push((*attribute, spec, rows.place(spec)?, edge.attributes[attribute.index()].kind));
        }
        let (mut values, mut time) = self.constants(schema, rows, sink)?;
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
            for (attribute, spec, place, kind) in &places {
                let value = rows.value(*place, spec, *kind)?;
                if *kind == AttributeKind::Time {
                    // An empty cell is a missing time, not that of the row before.
                    time = None;
                }
                set_edge_value(self.relation, *attribute, value, &mut values, &mut time, sink)?;
            }
            for &source in &sources.nodes {
                for &target in &targets.nodes {
                    sink.edge(self.relation, source, target, time, &values)?;
                }
            }
        }
        Ok(())
    }

    fn constants(&self, schema: &Schema, rows: &Rows<'_>, sink: &mut Sink<'_>) -> Result<(Vec<EdgeValue>, Option<i64>)> {
        let edge = schema.edge(self.relation);
        let mut values = vec![EdgeValue::Missing; edge.attributes.len()];
        let mut time = None;
        for (attribute, text) in &self.constants {
            let declared = &edge.attributes[attribute.index()];
            let value = Value::parse(text, declared.kind).map_err(|message| {
                Error::content(rows.input.path(), format!("the manifest's constant {}", declared.name), message)
            })?;
            set_edge_value(self.relation, *attribute, value, &mut values, &mut time, sink)?;
        }
        Ok((values, time))
    }

    /// A wide table: a row's node, and a column for each node of the other end. Entries are counted, zeros and empty ones
    /// not.
    fn read_matrix(&self, rows: &mut Rows<'_>, schema: &Schema, sink: &mut Sink<'_>, row_end: usize) -> Result<()> {
        let own = Placed::of(&self.ends[row_end], rows)?;
        let other = &self.ends[1 - row_end];
        let mut columns = Vec::new();
        for (at, name) in rows.header.iter().enumerate() {
            let is_wanted = self.columns_with.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()));
            if is_wanted && !own.places.iter().any(|place| matches!(place, Place::Column(own) if *own == at)) {
                columns.push((at, name.clone(), other.resolve(name, 1, sink)?));
            }
        }
        if columns.is_empty() {
            let wanted = self.columns_with.as_deref().unwrap_or_default();
            let message = format!("no column starts with `{wanted}` (columns: {})", rows.header.join(", "));
            return Err(Error::line(rows.input.path(), 1, message));
        }
        let (mut values, time) = self.constants(schema, rows, sink)?;
        while rows.next(sink)? {
            let name = parts(own.cell(rows, 0), &own.reference.spec).first().copied().unwrap_or_default();
            let node = match name {
                "" => Err(format!("row that names no {}", schema.node(own.reference.node_type).name)),
                name => own.reference.resolve(name, rows.line, sink)?,
            };
            for (at, column, other) in &columns {
                let text = rows.cell(*at);
                if text.is_empty() || text == "0" {
                    continue;
                }
                let number: f32 = text.parse().map_err(|_| rows.wrong(*at, &format!("found `{text}`, expected a number")))?;
                if number == 0.0 {
                    continue;
                }
                sink.read(1);
                let (node, other) = match (&node, other) {
                    (Ok(node), Ok(other)) => (*node, *other),
                    (Err(reason), _) => {
                        sink.drop(&format!("entry in a row: {reason}"), if name.is_empty() { "no name" } else { name });
                        continue;
                    }
                    (_, Err(reason)) => {
                        sink.drop(&format!("entry in a column: {reason}"), column);
                        continue;
                    }
                };
                if let Some(attribute) = self.value {
                    values[attribute.index()] = EdgeValue::Number(number);
                }
                let (source, target) = if row_end == 0 { (node, other) } else { (other, node) };
                sink.edge(self.relation, source, target, time, &values)?;
                sink.kept(1);
            }
        }
        Ok(())
    }
}

fn set_edge_value(
    relation: RelationId,
    attribute: AttributeId,
    value: Option<Value>,
    values: &mut [EdgeValue],
    time: &mut Option<i64>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    values[attribute.index()] = match value {
        Some(Value::Number(number)) => EdgeValue::Number(number as f32),
        Some(Value::Count(count)) => EdgeValue::Number(count as f32),
        Some(Value::Boolean(truth)) => EdgeValue::Number(f32::from(u8::from(truth))),
        Some(Value::Category(name)) => EdgeValue::Category(sink.category(relation, attribute, &name)?),
        Some(Value::Time(at)) => {
            *time = Some(at);
            EdgeValue::Missing
        }
        _ => EdgeValue::Missing,
    };
    Ok(())
}
