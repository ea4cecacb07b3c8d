//! Tables of Apache Parquet, and what loads them back.
//!
//! | file | holds |
//! |---|---|
//! | `nodes/<type>.parquet` | a row a node: its key, then an attribute a column |
//! | `edges/<source>.<relation>.<target>.parquet` | a row an edge: the keys of its ends, then an attribute a column |
//! | `schema.toml` | node types, relations and attributes, those without rows too |
//! | `manifest.toml` | for the loader: the tables, and which column is what |
//!
//! | attribute | column |
//! |---|---|
//! | number | float64; float32 on edges |
//! | count | uint64; float32 on edges, as the snapshot holds it |
//! | category | dictionary of strings |
//! | text, sequence | string |
//! | boolean | boolean |
//! | time | int64 in the attribute's unit; not a timestamp, since its zero is not known to be 1970 |
//! | interval | four columns: `name.contig`, `name.start`, `name.end` (0-based, half-open), `name.strand` (`+`, `-`, `.`) |
//! | vector | fixed-size list of float32 |
//!
//! Missing is null. An attribute that is missing throughout has no column, and a type or relation without rows no file. A
//! symmetric edge comes once. Kind, unit and description of an attribute stand in the field's metadata.
//!
//! The ends of edges are dictionaries. On the disk that is the same; but pandas, polars and pyarrow then hold a code an edge
//! instead of a text, and from codes to the indices that PyG asks for is one look-up a key. DuckDB sees texts either way.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use indicatif::ProgressBar;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use relata_schema::{Attribute, AttributeId, AttributeKind, Direction, Interval, NodeTypeId, RelationId, Schema, Strand, Value};

use super::edges::{EdgeBatch, each_batch, time};
use super::manifest::{INTERVAL, Manifest};
use super::output::Output;
use super::{Exported, Options};
use crate::snapshot::{EdgeColumn, NodeColumn, Snapshot};
use crate::{Error, Result, progress};

/// Rows of a row group, at most: what readers take at once.
const ROW_GROUP: usize = 1 << 20;
/// Bytes of a row group, at most: it is held in memory until it is whole.
const ROW_GROUP_BYTES: usize = 128 << 20;
/// Nodes that become columns at once.
const NODES: u32 = 1 << 13;
/// Bytes of texts and sequences that become columns at once, unless one alone is longer.
const TEXTS: usize = 32 << 20;
/// Edges that become columns at once.
const EDGES: usize = 1 << 17;
const SCHEMA: &str = "schema.toml";
const MANIFEST: &str = "manifest.toml";

/// Writes a snapshot as a folder of Parquet tables, with `schema.toml` and `manifest.toml` that load it back.
///
/// # Errors
/// When something is at `out` that may not be replaced, or it cannot be written.
pub fn to_parquet(snapshot: &Snapshot, out: &Path, options: Options) -> Result<Exported> {
    let output = Output::folder(out, &[SCHEMA, MANIFEST], options)?;
    let mut exported = Exported::new("parquet", out, snapshot);
    let schema = snapshot.schema();
    let mut manifest = Manifest::of(snapshot, SCHEMA);
    for folder in ["nodes", "edges"] {
        let folder = output.path().join(folder);
        fs::create_dir(&folder).map_err(Error::io(&folder, "cannot make the folder"))?;
    }
    let nodes: u64 = schema.node_type_ids().map(|id| u64::from(snapshot.node_count(id))).sum();
    let edges: u64 = schema.relation_ids().map(|id| snapshot.edge_count(id)).sum();
    let bar = progress::bar("parquet", nodes + edges, "rows", options.quiet);
    for node_type in schema.node_type_ids().filter(|&id| snapshot.node_count(id) > 0) {
        let path = format!("nodes/{}.parquet", schema.node(node_type).name);
        bar.set_message(path.clone());
        let table = NodeTable::of(snapshot, node_type);
        table.write(&output.path().join(&path), &bar)?;
        exported.part(path.clone(), snapshot.node_count(node_type).into());
        let attributes = table.attributes.iter().map(|(_, attribute)| (attribute.name.as_str(), attribute.kind));
        manifest.nodes(path, snapshot, node_type, table.key, attributes);
    }
    for relation in schema.relation_ids().filter(|&id| snapshot.edge_count(id) > 0) {
        let path = format!("edges/{}.parquet", schema.relation_title(relation));
        bar.set_message(path.clone());
        let table = EdgeTable::of(snapshot, relation);
        table.write(&output.path().join(&path), &bar)?;
        exported.part(path.clone(), snapshot.edge_count(relation));
        // In a manifest `source` and `target` are the ends, so that an attribute of that name cannot be named there.
        let attributes = table.attributes.iter().map(|(_, attribute)| (attribute.name.as_str(), attribute.kind));
        let (named, unnamed): (Vec<_>, Vec<_>) = attributes.partition(|(name, _)| !ENDS.contains(name));
        let lost = unnamed.iter().map(|(name, _)| {
            format!("{path}: a manifest has no word for the attribute `{name}`, so loading the folder back leaves it out")
        });
        exported.notes.extend(lost);
        manifest.edges(path, snapshot, relation, table.ends, named.into_iter());
    }
    bar.finish_and_clear();
    write_text(&output.path().join(SCHEMA), &schema_text(schema, &mut exported.notes))?;
    write_text(&output.path().join(MANIFEST), &manifest.to_toml(snapshot))?;
    exported.bytes = output.publish(snapshot)?;
    Ok(exported)
}

fn schema_text(schema: &Schema, notes: &mut Vec<String>) -> String {
    let text = schema.to_toml();
    let same = Schema::default().extended_by(&text, SCHEMA).is_ok_and(|read| read == *schema);
    if !same {
        notes
            .push("the schema names its identifiers in an order that a file cannot tell: loaded back, the id differs".to_owned());
    }
    text
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io(path, "cannot write"))
}

/// An open table.
struct Table<'p> {
    path: &'p Path,
    schema: Arc<ArrowSchema>,
    writer: ArrowWriter<BufWriter<File>>,
}

impl<'p> Table<'p> {
    fn create(path: &'p Path, fields: Vec<Field>) -> Result<Self> {
        let file = File::create(path).map_err(Error::io(path, "cannot write the table"))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            // The keys of a million edges' ends: beyond the default of 1 MiB each row would hold its text.
            .set_dictionary_page_size_limit(16 << 20)
            .build();
        let schema = Arc::new(ArrowSchema::new(fields));
        let writer = ArrowWriter::try_new(BufWriter::new(file), schema.clone(), Some(properties));
        Ok(Self { path, schema, writer: writer.map_err(|error| refused(path, error))? })
    }

    fn write(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| refused(self.path, error))?;
        self.writer.write(&batch).map_err(|error| refused(self.path, error))
    }

    fn close(self) -> Result<()> {
        self.writer.close().map(drop).map_err(|error| refused(self.path, error))
    }
}

pub(super) fn refused(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::io(path, "cannot write the table")(std::io::Error::other(error))
}

pub(super) fn strings() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// A column of an attribute, with what the schema says of it.
pub(super) fn field(name: &str, attribute: &Attribute, data_type: DataType) -> Field {
    let mut metadata = HashMap::from([("kind".to_owned(), attribute.kind.to_string())]);
    metadata.extend(attribute.unit.iter().map(|unit| ("unit".to_owned(), unit.clone())));
    if !attribute.about.is_empty() {
        metadata.insert("about".to_owned(), attribute.about.clone());
    }
    Field::new(name, data_type, true).with_metadata(metadata)
}

/// The nodes of a type.
struct NodeTable<'s> {
    snapshot: &'s Snapshot,
    node_type: NodeTypeId,
    /// The name of the key's column; an attribute's name never starts with `_`.
    key: &'static str,
    /// Those that some node has.
    attributes: Vec<(AttributeId, &'s Attribute)>,
}

impl<'s> NodeTable<'s> {
    fn of(snapshot: &'s Snapshot, node_type: NodeTypeId) -> Self {
        let owner = snapshot.schema().node(node_type);
        let has = |id: AttributeId| (0..snapshot.node_count(node_type)).any(|node| is_present(snapshot, node_type, id, node));
        let attributes = (0..).map(AttributeId).zip(&owner.attributes).filter(|&(id, _)| has(id)).collect();
        let key = if owner.attribute("key").is_some() { "_key" } else { "key" };
        Self { snapshot, node_type, key, attributes }
    }

    fn write(&self, path: &Path, bar: &ProgressBar) -> Result<()> {
        let mut fields = vec![Field::new(self.key, DataType::Utf8, false)];
        fields.extend(self.attributes.iter().flat_map(|(_, attribute)| node_fields(attribute)));
        let categories: Vec<ArrayRef> = self.attributes.iter().map(|&(id, _)| self.categories(id)).collect();
        let mut table = Table::create(path, fields)?;
        let count = self.snapshot.node_count(self.node_type);
        let mut start = 0;
        while start < count {
            let rows = start..self.end_of_batch(start, count);
            let keys: StringArray = rows.clone().map(|node| Some(self.snapshot.key(self.node_type, node))).collect();
            let mut columns: Vec<ArrayRef> = vec![Arc::new(keys)];
            for (&(id, attribute), categories) in self.attributes.iter().zip(&categories) {
                columns.extend(self.columns(id, attribute.kind, rows.clone(), categories)?);
            }
            table.write(columns)?;
            bar.inc(u64::from(rows.end - rows.start));
            start = rows.end;
        }
        table.close()
    }

    /// As many rows from `start` as are a batch.
    fn end_of_batch(&self, start: u32, count: u32) -> u32 {
        let is_long = |kind| matches!(kind, AttributeKind::Text | AttributeKind::Sequence);
        let texts: Vec<AttributeId> = self.attributes.iter().filter(|(_, long)| is_long(long.kind)).map(|&(id, _)| id).collect();
        let length =
            |node| texts.iter().filter_map(|&id| self.snapshot.text(self.node_type, id, node)).map(str::len).sum::<usize>();
        let mut bytes = 0;
        let most = start.saturating_add(NODES).min(count);
        (start + 1..most)
            .find(|&node| {
                bytes += length(node - 1);
                bytes + length(node) > TEXTS
            })
            .unwrap_or(most)
    }

    /// The names of a category's or contig's codes.
    fn categories(&self, id: AttributeId) -> ArrayRef {
        Arc::new(StringArray::from(self.snapshot.categories(self.node_type, id)))
    }

    /// One attribute's columns: four of an interval, else one.
    fn columns(&self, id: AttributeId, kind: AttributeKind, rows: Range<u32>, categories: &ArrayRef) -> Result<Vec<ArrayRef>> {
        let (snapshot, node_type) = (self.snapshot, self.node_type);
        let places = rows.start as usize..rows.end as usize;
        Ok(vec![match snapshot.column(node_type, id) {
            NodeColumn::Number(numbers) if kind == AttributeKind::Count => {
                let count = |number: &f64| (!number.is_nan()).then_some(*number as u64);
                Arc::new(numbers[places].iter().map(count).collect::<UInt64Array>())
            }
            NodeColumn::Number(numbers) => {
                Arc::new(numbers[places].iter().map(|number| (!number.is_nan()).then_some(*number)).collect::<Float64Array>())
            }
            NodeColumn::Category(codes) => dictionary_of(codes[places].iter().copied(), categories)?,
            NodeColumn::Boolean(truths) => {
                Arc::new(truths[places].iter().map(|&truth| (truth != u8::MAX).then_some(truth == 1)).collect::<BooleanArray>())
            }
            NodeColumn::Time(times) => {
                Arc::new(times[places].iter().map(|&time| (time != i64::MIN).then_some(time)).collect::<Int64Array>())
            }
            NodeColumn::Vector { dimension, values } => {
                let width = dimension as usize;
                let rows = &values[places.start * width..places.end * width];
                let present: NullBuffer = rows.chunks_exact(width).map(|row| !row[0].is_nan()).collect();
                let numbers = Arc::new(Float32Array::from(rows.to_vec()));
                Arc::new(FixedSizeListArray::new(vector_item(), dimension as i32, numbers, Some(present)))
            }
            NodeColumn::Text => Arc::new(rows.map(|node| snapshot.text(node_type, id, node)).collect::<StringArray>()),
            NodeColumn::Interval => return self.intervals(id, rows, categories),
        }])
    }

    fn intervals(&self, id: AttributeId, rows: Range<u32>, contigs: &ArrayRef) -> Result<Vec<ArrayRef>> {
        let intervals: Vec<Option<Interval>> = rows.map(|node| interval(self.snapshot, self.node_type, id, node)).collect();
        let known = || intervals.iter().map(Option::as_ref);
        let names = self.snapshot.categories(self.node_type, id);
        let code = |interval: &Interval| names.binary_search(&interval.contig()).map_or(u32::MAX, |code| code as u32);
        let symbols: ArrayRef = Arc::new(StringArray::from(STRANDS.map(|strand| strand.symbol().to_string()).to_vec()));
        let strands = known().map(|interval| interval.map_or(u32::MAX, |interval| interval.strand() as u32));
        Ok(vec![
            dictionary_of(known().map(|interval| interval.map_or(u32::MAX, code)), contigs)?,
            Arc::new(known().map(|interval| interval.map(Interval::start)).collect::<UInt64Array>()),
            Arc::new(known().map(|interval| interval.map(Interval::end)).collect::<UInt64Array>()),
            dictionary_of(strands, &symbols)?,
        ])
    }
}

/// In the order of their discriminants.
const STRANDS: [Strand; 3] = [Strand::Unknown, Strand::Forward, Strand::Reverse];

fn is_present(snapshot: &Snapshot, node_type: NodeTypeId, id: AttributeId, node: u32) -> bool {
    match snapshot.column(node_type, id) {
        NodeColumn::Text => snapshot.text(node_type, id, node).is_some(),
        _ => snapshot.value(node_type, id, node).is_some(),
    }
}

fn interval(snapshot: &Snapshot, node_type: NodeTypeId, id: AttributeId, node: u32) -> Option<Interval> {
    match snapshot.value(node_type, id, node) {
        Some(Value::Interval(interval)) => Some(interval),
        _ => None,
    }
}

pub(super) fn vector_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, true))
}

fn node_fields(attribute: &Attribute) -> Vec<Field> {
    let data_type = match attribute.kind {
        AttributeKind::Number => DataType::Float64,
        AttributeKind::Count => DataType::UInt64,
        AttributeKind::Category => strings(),
        AttributeKind::Text | AttributeKind::Sequence => DataType::Utf8,
        AttributeKind::Boolean => DataType::Boolean,
        AttributeKind::Time => DataType::Int64,
        AttributeKind::Vector(dimension) => DataType::FixedSizeList(vector_item(), dimension as i32),
        AttributeKind::Interval => {
            let types = [strings(), DataType::UInt64, DataType::UInt64, strings()];
            let part = |(part, data_type)| field(&format!("{}.{part}", attribute.name), attribute, data_type);
            return INTERVAL.into_iter().zip(types).map(part).collect();
        }
    };
    vec![field(&attribute.name, attribute, data_type)]
}

/// Codes, `u32::MAX` for missing, with the names that they stand for.
pub(super) fn dictionary_of(codes: impl Iterator<Item = u32>, names: &ArrayRef) -> Result<ArrayRef> {
    let keys: Int32Array = codes.map(|code| i32::try_from(code).ok()).collect();
    let column = DictionaryArray::<Int32Type>::try_new(keys, names.clone());
    let limit = |_| Error::Limit { what: "names of a category".to_owned(), found: names.len() as u64, most: i32::MAX as u64 };
    Ok(Arc::new(column.map_err(limit)?))
}

/// The words for an edge's ends.
const ENDS: [&str; 2] = ["source", "target"];

/// The edges of a relation.
struct EdgeTable<'s> {
    snapshot: &'s Snapshot,
    relation: RelationId,
    /// The names of the ends' columns; an attribute's name never starts with `_`.
    ends: [&'static str; 2],
    /// Those that some edge has.
    attributes: Vec<(AttributeId, &'s Attribute)>,
}

impl<'s> EdgeTable<'s> {
    fn of(snapshot: &'s Snapshot, relation: RelationId) -> Self {
        let edge = snapshot.schema().edge(relation);
        let times = snapshot.adjacency(relation, Direction::Outgoing).times;
        let has = |id: AttributeId| match snapshot.edge_column(relation, Direction::Outgoing, id) {
            _ if edge.attributes[id.index()].kind == AttributeKind::Time => {
                (0..times.len()).any(|edge| times.get(edge).is_some())
            }
            EdgeColumn::Number(numbers) => !numbers.is_empty(),
            EdgeColumn::Category(codes) => !codes.is_empty(),
        };
        let attributes = (0..).map(AttributeId).zip(&edge.attributes).filter(|&(id, _)| has(id)).collect();
        let is_taken = ENDS.iter().any(|end| edge.attribute(end).is_some());
        Self { snapshot, relation, ends: if is_taken { ["_source", "_target"] } else { ENDS }, attributes }
    }

    fn write(&self, path: &Path, bar: &ProgressBar) -> Result<()> {
        let mut fields = self.ends.map(|end| Field::new(end, strings(), false)).to_vec();
        fields.extend(self.attributes.iter().map(|(_, attribute)| {
            let data_type = match attribute.kind {
                AttributeKind::Category => strings(),
                AttributeKind::Boolean => DataType::Boolean,
                AttributeKind::Time => DataType::Int64,
                _ => DataType::Float32,
            };
            field(&attribute.name, attribute, data_type)
        }));
        let categories: Vec<ArrayRef> = self.attributes.iter().map(|&(id, _)| self.categories(id)).collect();
        let edge = self.snapshot.schema().edge(self.relation);
        let mut table = Table::create(path, fields)?;
        each_batch(self.snapshot, self.relation, EDGES, |batch| {
            let mut columns = vec![self.ends_of(edge.source, &batch.sources)?, self.ends_of(edge.target, &batch.targets)?];
            for (&(id, attribute), categories) in self.attributes.iter().zip(&categories) {
                columns.push(self.column(id, attribute.kind, batch, categories)?);
            }
            table.write(columns)?;
            bar.inc(batch.sources.len() as u64);
            Ok::<_, Error>(())
        })?;
        table.close()
    }

    /// Keys of nodes, each once, in the order of their first edge.
    fn ends_of(&self, node_type: NodeTypeId, nodes: &[u32]) -> Result<ArrayRef> {
        let mut codes = HashMap::new();
        let mut keys = Vec::new();
        let mut column = Vec::with_capacity(nodes.len());
        let mut before = None;
        for &node in nodes {
            let code = match before {
                Some((same, code)) if same == node => code,
                _ => *codes.entry(node).or_insert_with(|| {
                    keys.push(self.snapshot.key(node_type, node));
                    keys.len() as u32 - 1
                }),
            };
            before = Some((node, code));
            column.push(code);
        }
        let names: ArrayRef = Arc::new(StringArray::from(keys));
        dictionary_of(column.into_iter(), &names)
    }

    fn categories(&self, id: AttributeId) -> ArrayRef {
        Arc::new(StringArray::from(self.snapshot.edge_categories(self.relation, id)))
    }

    fn column(&self, id: AttributeId, kind: AttributeKind, batch: &EdgeBatch, categories: &ArrayRef) -> Result<ArrayRef> {
        let adjacency = self.snapshot.adjacency(self.relation, Direction::Outgoing);
        let positions = batch.positions.iter();
        if kind == AttributeKind::Time {
            return Ok(Arc::new(positions.map(|&at| time(&adjacency, at)).collect::<Int64Array>()));
        }
        Ok(match self.snapshot.edge_column(self.relation, Direction::Outgoing, id) {
            EdgeColumn::Category(codes) => dictionary_of(positions.map(|&at| codes[at]), categories)?,
            EdgeColumn::Number(numbers) if kind == AttributeKind::Boolean => {
                let truth = |&at: &usize| (!numbers[at].is_nan()).then_some(numbers[at] != 0.0);
                Arc::new(positions.map(truth).collect::<BooleanArray>())
            }
            EdgeColumn::Number(numbers) => {
                // Another NaN than the one that stands for missing is a value of the file that it came from.
                let number = |&at: &usize| (numbers[at].to_bits() != f32::NAN.to_bits()).then_some(numbers[at]);
                Arc::new(positions.map(number).collect::<Float32Array>())
            }
        })
    }
}
