use std::borrow::Cow;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use relata_schema::{Attribute, EdgeValue, Schema, Value, suggestion};

use super::Format;
use crate::meaning::{Edges, Meaning};
use crate::reference::{parts, value_of};
use crate::rows::{Place, Placed, Rows, names_none};
use crate::{At, ColumnSpec, Error, Input, Manifest, Result, Sink, Source};

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
        let mut rows = TextRows::open(manifest, source, input)?;
        match meaning {
            Meaning::Nodes(nodes) => nodes.read(&schema, &mut rows, sink),
            Meaning::Edges(edges) => edges.read(&schema, &mut rows, sink),
            Meaning::Matrix(matrix) => {
                let row_end = usize::from(matrix.ends[0].spec.column.is_none());
                read_matrix(&matrix, &mut rows, &schema, sink, row_end)
            }
        }
    }
}

/// The records of a table.
struct TextRows<'i> {
    input: &'i Input,
    header: Vec<String>,
    reader: csv::Reader<Box<dyn std::io::BufRead + Send>>,
    record: StringRecord,
    line: u64,
}

impl<'i> TextRows<'i> {
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
}

impl Rows for TextRows<'_> {
    fn path(&self) -> &Path {
        self.input.path()
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

    fn at(&self) -> At {
        At::Line(self.line)
    }

    fn column(&self, name: &str) -> Result<usize> {
        self.header.iter().position(|known| known == name).ok_or_else(|| {
            let near = suggestion(name, self.header.iter().map(String::as_str));
            Error::line(self.input.path(), 1, format!("there is no column `{name}`{near} (columns: {})", self.header.join(", ")))
        })
    }

    fn text(&self, column: usize) -> Cow<'_, str> {
        Cow::Borrowed(self.record.get(column).unwrap_or_default())
    }

    fn value_in(&self, column: usize, spec: &ColumnSpec, attribute: &Attribute) -> Result<Option<Value>> {
        let value = match self.text(column) {
            text if spec.exact && text.is_empty() => Ok(None),
            text if spec.exact => Value::of_text(&text, attribute.kind).map(Some),
            _ => value_of(&self.cell(column), spec, attribute.kind),
        };
        value.map_err(|message| self.wrong(column, &message))
    }

    fn wrong(&self, column: usize, message: &str) -> Error {
        let name = self.header.get(column).map_or("", String::as_str);
        Error::line(self.input.path(), self.line, format!("column {} ({name}): {message}", column + 1))
    }
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

/// A wide table: a row's node, and a column for each node of the other end. Entries are counted, zeros and empty ones
/// not.
fn read_matrix(edges: &Edges, rows: &mut TextRows<'_>, schema: &Schema, sink: &mut Sink<'_>, row_end: usize) -> Result<()> {
    let own = Placed::of(&edges.ends[row_end], rows)?;
    let other = &edges.ends[1 - row_end];
    let mut columns = Vec::new();
    for (at, name) in rows.header.iter().enumerate() {
        let is_wanted = edges.columns_with.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()));
        if is_wanted && !own.places.iter().any(|place| matches!(place, Place::Column(own) if *own == at)) {
            columns.push((at, name.clone(), other.resolve(name, At::Line(1), sink)?));
        }
    }
    if columns.is_empty() {
        let wanted = edges.columns_with.as_deref().unwrap_or_default();
        let message = format!("no column starts with `{wanted}` (columns: {})", rows.header.join(", "));
        return Err(Error::line(rows.input.path(), 1, message));
    }
    let (mut values, time) = edges.constants(schema, rows.path(), sink)?;
    while rows.next(sink)? {
        let cell = own.cell(rows, 0);
        let name = parts(&cell, &own.reference.spec).first().copied().unwrap_or_default();
        let node = match name {
            "" => Err(names_none(&schema.node(own.reference.node_type).name)),
            name => own.reference.resolve(name, rows.at(), sink)?,
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
            if let Some(attribute) = edges.value {
                values[attribute.index()] = EdgeValue::Number(number);
            }
            let (source, target) = if row_end == 0 { (node, other) } else { (other, node) };
            sink.edge(edges.relation, source, target, time, &values)?;
            sink.kept(1);
        }
    }
    Ok(())
}
