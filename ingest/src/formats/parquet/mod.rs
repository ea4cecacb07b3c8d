//! Apache Parquet: tables in typed columns.
//!
//! <https://parquet.apache.org/docs/file-format/>

mod column;
mod edges;
mod file;
mod pages;

use std::borrow::Cow;
use std::path::Path;

use relata_schema::{Attribute, Schema, Value};

use super::Format;
use crate::meaning::Meaning;
use crate::reference::Reference;
use crate::rows::Rows;
use crate::{At, ColumnSpec, Error, Input, Manifest, Result, Sink, Source};

use column::Purpose;
use edges::EdgeColumns;
use file::{File, Part, Parts};

/// Tables in Parquet, with the settings of tables of text.
///
/// A null is a missing value, and a text is read as a cell of a table of text is. A whole number names the node whose key is
/// its decimal digits. Dates and timestamps become whole numbers in the attribute's unit, if that is a length of time.
pub struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn about(&self) -> &'static str {
        "Apache Parquet: rows as nodes (`node`) or as edges (`relation`), as in tables of text"
    }

    fn settings(&self) -> &'static [&'static str] {
        &["node", "key", "attributes", "relation", "columns", "constants"]
    }

    fn is_likely(&self, start: &[u8], name: &str) -> bool {
        start.starts_with(b"PAR1") || start.starts_with(b"PARE") || name.ends_with(".parquet")
    }

    fn check(&self, manifest: &Manifest, source: &Source) -> Result<()> {
        Meaning::of(manifest, source, &manifest.schema).map(|_| ())
    }

    fn read(&self, manifest: &Manifest, source: &Source, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        let schema = sink.schema().clone();
        let meaning = Meaning::of(manifest, source, &schema)?;
        let mut file = File::open(input)?;
        choose(&meaning, &schema, &mut file)?;
        match &meaning {
            Meaning::Nodes(nodes) => file.read(|parts| nodes.read(&schema, &mut PartRows::of(parts), sink)),
            Meaning::Edges(edges) | Meaning::Matrix(edges) => match EdgeColumns::of(edges, &schema, &file, sink)? {
                Some(columns) => file.read(|parts| columns.read(parts, sink)),
                None => file.read(|parts| edges.read(&schema, &mut PartRows::of(parts), sink)),
            },
        }
    }
}

/// Chooses the columns that the source's settings name.
fn choose(meaning: &Meaning, schema: &Schema, file: &mut File) -> Result<()> {
    let (references, attributes, owner): (Vec<&Reference>, &[_], _) = match meaning {
        Meaning::Nodes(nodes) => (vec![&nodes.key], &nodes.attributes, &schema.node(nodes.key.node_type).attributes),
        Meaning::Edges(edges) | Meaning::Matrix(edges) => {
            (edges.ends.iter().collect(), &edges.attributes, &schema.edge(edges.relation).attributes)
        }
    };
    for reference in references {
        let what = format!("the name of a {}", schema.node(reference.node_type).name);
        for one in reference.chain() {
            file.choose(&one.spec, Purpose::Name, &what)?;
        }
    }
    for (id, spec) in attributes {
        let attribute = &owner[id.index()];
        let what = format!("`{}`, a {}", attribute.name, attribute.kind);
        file.choose(spec, Purpose::Attribute(attribute), &what)?;
    }
    Ok(())
}

/// The rows of a file, one after another.
struct PartRows<'a, 'scope> {
    parts: Parts<'a, 'scope>,
    part: Part,
    /// Where it stands in the part.
    row: usize,
    /// Whether a row was asked for.
    has_begun: bool,
}

impl<'a, 'scope> PartRows<'a, 'scope> {
    fn of(parts: Parts<'a, 'scope>) -> Self {
        Self { parts, part: Part { first_row: 0, rows: 0, columns: Vec::new() }, row: 0, has_begun: false }
    }
}

impl Rows for PartRows<'_, '_> {
    fn path(&self) -> &Path {
        self.parts.file().path()
    }

    fn next(&mut self, sink: &Sink<'_>) -> Result<bool> {
        self.row += usize::from(self.has_begun);
        self.has_begun = true;
        while self.row >= self.part.rows {
            match self.parts.next()? {
                Some(part) => (self.part, self.row) = (part, 0),
                None => return Ok(false),
            }
            sink.progress_share(self.part.first_row, self.parts.file().rows());
        }
        Ok(true)
    }

    fn at(&self) -> At {
        At::Row(self.part.first_row + self.row as u64 + 1)
    }

    fn column(&self, name: &str) -> Result<usize> {
        self.parts
            .file()
            .column(name)
            .ok_or_else(|| Error::content(self.path(), "the columns", format!("`{name}` was not chosen")))
    }

    fn text(&self, column: usize) -> Cow<'_, str> {
        self.part.columns[column].text(self.row)
    }

    fn value_in(&self, column: usize, spec: &ColumnSpec, attribute: &Attribute) -> Result<Option<Value>> {
        self.part.columns[column].value(self.row, spec, attribute).map_err(|message| self.wrong(column, &message))
    }

    fn wrong(&self, column: usize, message: &str) -> Error {
        let place = format!("{}, column {}", self.at(), self.parts.file().name(column));
        Error::content(self.path(), place, message)
    }
}
