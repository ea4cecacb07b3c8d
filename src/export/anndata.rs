//! One relation as an AnnData file (`.h5ad`): cells × genes, or any other.
//!
//! | element | holds |
//! |---|---|
//! | `X` | sources × targets of the relation in compressed sparse rows: an attribute of its edges |
//! | `obs`, `var` | the keys of sources and targets as the index; their attributes; links to other types |
//! | `obsm`, `varm` | attributes that are vectors; embeddings as `X_<model>`, and their layouts as `X_<model>_layout` |
//! | `uns/relata` | the snapshot, the relation, and where the content came from |
//!
//! Entries of `X` are 32-bit floats (NaN where an edge has no value), or 32-bit integers where the attribute is a count and
//! every edge has a whole one; 1 where the relation has no number. A matrix has one entry a place: parallel edges, of which
//! neither the sum nor the last need be meant, are an error that names them.
//!
//! Numbers are floats with NaN for missing; counts and times integers, and booleans truth values, nullable where one is
//! missing; categories, and texts of which some are missing, are categorical, since a string array of anndata 0.8 has no
//! missing ones; an interval is `name.contig`, `name.start`, `name.end` (0-based, half-open) and `name.strand`. A relation of
//! which each row has one edge at most is a categorical column of the other ends' keys, called by the relation
//! (`from_tissue`), or for edges that end at the row, by their source too (`donor.gave`).

use std::collections::BTreeSet;
use std::path::Path;

use indicatif::ProgressBar;
use relata_schema::{AttributeId, AttributeKind, Direction, Interval, NodeTypeId, RelationId, Strand, Value};
use rust_hdf5::types::{H5Type, HBool};

use super::hdf5::{self, Group};
use super::output::Output;
use super::{Exported, Options};
use crate::embedding::EmbeddingTable;
use crate::snapshot::{EdgeColumn, NodeColumn, Snapshot};
use crate::{Error, Result, progress};

/// Numbers that are handed over at once.
pub(super) const PIECE: usize = 1 << 16;
/// Parallel edges that an error names.
const EXAMPLES: usize = 5;

/// What the matrix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Its sources are the rows, its targets the columns.
    pub relation: RelationId,
    /// The attribute that the entries are; 1 throughout without.
    pub value: Option<AttributeId>,
}

impl Matrix {
    /// By names. Without `relation` it is the one from `cell` to `gene` that carries numbers and has edges; without `value`
    /// it is the relation's first number or count.
    ///
    /// # Errors
    /// For unknown names, with the nearest; when there is no such relation, or several; when the value is no number.
    pub fn of(snapshot: &Snapshot, relation: Option<&str>, value: Option<&str>) -> Result<Self> {
        let schema = snapshot.schema();
        let relation = match relation {
            Some(name) => schema.relation(name)?,
            None => expression(snapshot)?,
        };
        let edge = schema.edge(relation);
        let value = match value {
            Some(name) => Some(schema.edge_attribute(relation, name)?),
            None => (0..).map(AttributeId).zip(&edge.attributes).find(|(_, known)| is_number(known.kind)).map(|(id, _)| id),
        };
        let kind = value.map(|value| edge.attributes[value.index()].kind);
        match kind {
            Some(kind @ (AttributeKind::Category | AttributeKind::Time)) => Err(Error::Setting {
                setting: "value".to_owned(),
                found: format!("a {kind}"),
                expected: "a number, count or boolean of the relation".to_owned(),
            }),
            _ => Ok(Self { relation, value }),
        }
    }
}

fn is_number(kind: AttributeKind) -> bool {
    matches!(kind, AttributeKind::Number | AttributeKind::Count)
}

fn expression(snapshot: &Snapshot) -> Result<RelationId> {
    let schema = snapshot.schema();
    let fits = |&id: &RelationId| {
        let edge = schema.edge(id);
        let ends = [edge.source, edge.target].map(|end| schema.node(end).name.as_str());
        ends == ["cell", "gene"] && edge.attributes.iter().any(|known| is_number(known.kind)) && snapshot.edge_count(id) > 0
    };
    let found: Vec<RelationId> = schema.relation_ids().filter(fits).collect();
    let names: Vec<String> = found.iter().map(|&id| schema.relation_title(id)).collect();
    match found.as_slice() {
        [only] => Ok(*only),
        several => Err(Error::Setting {
            setting: "relation".to_owned(),
            found: if several.is_empty() { "none from cell to gene with numbers".to_owned() } else { names.join(", ") },
            expected: "the name of the relation whose edges are the matrix".to_owned(),
        }),
    }
}

/// Writes one relation of a snapshot as an AnnData file. Embeddings are looked for in `store`.
///
/// # Errors
/// When the relation has parallel edges, an embedding is damaged, something is at `out` that may not be replaced, or it cannot
/// be written.
pub fn to_anndata(snapshot: &Snapshot, store: &Path, matrix: Matrix, out: &Path, options: Options) -> Result<Exported> {
    let schema = snapshot.schema();
    let edge = schema.edge(matrix.relation);
    let entries = Entries::of(snapshot, matrix);
    entries.refuse_parallel()?;
    let output = Output::file(out, options)?;
    let mut exported = Exported::new("h5ad", out, snapshot);
    let (rows, columns) = (snapshot.node_count(edge.source), snapshot.node_count(edge.target));
    let stored = snapshot.adjacency(matrix.relation, Direction::Outgoing).targets.len() as u64;
    let bar = progress::bar("h5ad", stored + u64::from(rows) + u64::from(columns), "rows and entries", options.quiet);
    let (file, root) = hdf5::create(output.path())?;
    root.encode("anndata", "0.1.0")?;
    for empty in ["layers", "obsp", "varp"] {
        root.group(empty, "dict", "0.1.0")?;
    }
    for (name, many, node_type) in [("obs", "obsm", edge.source), ("var", "varm", edge.target)] {
        let frame = Frame { snapshot, node_type, matrix };
        frame.write(&root.group(name, "dataframe", "0.2.0")?, &mut exported.notes)?;
        frame.write_arrays(&root.group(many, "dict", "0.1.0")?, store)?;
        exported.part(name, snapshot.node_count(node_type).into());
        bar.inc(snapshot.node_count(node_type).into());
    }
    let group = root.group("X", "csr_matrix", "0.1.0")?;
    group.numbers_attribute("shape", &[rows.into(), columns.into()])?;
    entries.write(&group, &bar)?;
    exported.part("X", stored);
    write_provenance(snapshot, matrix, &root.group("uns", "dict", "0.1.0")?)?;
    hdf5::close(file, output.path())?;
    bar.finish_and_clear();
    exported.bytes = output.publish(snapshot)?;
    Ok(exported)
}

fn write_provenance(snapshot: &Snapshot, matrix: Matrix, uns: &Group<'_>) -> Result<()> {
    let group = uns.group("relata", "dict", "0.1.0")?;
    let schema = snapshot.schema();
    group.text("snapshot", snapshot.id().as_str())?;
    group.text("version", env!("CARGO_PKG_VERSION"))?;
    group.text("relation", &schema.relation_title(matrix.relation))?;
    if let Some(value) = matrix.value {
        group.text("value", &schema.edge(matrix.relation).attributes[value.index()].name)?;
    }
    // Records hold lists of records, for which `uns` has no encoding.
    let sources = serde_json::to_string(snapshot.sources()).expect("records are texts and numbers");
    group.text("sources", &sources)
}

/// The matrix's stored entries.
struct Entries<'s> {
    snapshot: &'s Snapshot,
    relation: RelationId,
    /// One a place of the outgoing adjacency; empty where the relation has no value to take, or no edge has one.
    values: &'s [f32],
    kind: Option<AttributeKind>,
}

impl<'s> Entries<'s> {
    fn of(snapshot: &'s Snapshot, matrix: Matrix) -> Self {
        let edge = snapshot.schema().edge(matrix.relation);
        let column = |value| match snapshot.edge_column(matrix.relation, Direction::Outgoing, value) {
            EdgeColumn::Number(numbers) => numbers,
            EdgeColumn::Category(_) => &[],
        };
        let kind = matrix.value.map(|value| edge.attributes[value.index()].kind);
        Self { snapshot, relation: matrix.relation, values: matrix.value.map_or(&[], column), kind }
    }

    /// A row's entries in the order of their columns.
    fn row(&self, source: u32) -> Vec<(u32, f32)> {
        let adjacency = self.snapshot.adjacency(self.relation, Direction::Outgoing);
        let without = if self.kind.is_some() { f32::NAN } else { 1.0 };
        let entry = |at: usize| (adjacency.targets[at], self.values.get(at).copied().unwrap_or(without));
        let mut row: Vec<(u32, f32)> = adjacency.range(source).map(entry).collect();
        if !row.is_sorted_by_key(|&(column, _)| column) {
            row.sort_by_key(|&(column, _)| column);
        }
        row
    }

    fn refuse_parallel(&self) -> Result<()> {
        let schema = self.snapshot.schema();
        let edge = schema.edge(self.relation);
        let (mut count, mut examples) = (0_u64, Vec::new());
        for source in 0..self.snapshot.node_count(edge.source) {
            for pair in self.row(source).windows(2).filter(|pair| pair[0].0 == pair[1].0) {
                count += 1;
                if examples.len() < EXAMPLES {
                    let ends = (self.snapshot.key(edge.source, source), self.snapshot.key(edge.target, pair[0].0));
                    examples.push(format!("`{}` to `{}`", ends.0, ends.1));
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
        Err(Error::Setting {
            setting: format!("the matrix of {}", schema.relation_title(self.relation)),
            found: format!("{count} parallel edges ({})", examples.join(", ")),
            expected: "one edge at most between two nodes; Parquet and GraphML keep parallel ones".to_owned(),
        })
    }

    fn write(&self, group: &Group<'_>, bar: &ProgressBar) -> Result<()> {
        let edge = self.snapshot.schema().edge(self.relation);
        let stored = self.snapshot.adjacency(self.relation, Direction::Outgoing).targets.len();
        let is_count = |&value: &f32| value >= 0.0 && value.fract() == 0.0 && value < i32::MAX as f32;
        let whole = self.kind == Some(AttributeKind::Count) && self.values.len() == stored && self.values.iter().all(is_count);
        let short = i32::try_from(stored).is_ok() && i32::try_from(self.snapshot.node_count(edge.target)).is_ok();
        match (short, whole) {
            (true, true) => self.write_as(group, bar, |index| index as i32, |value| value as i32),
            (true, false) => self.write_as(group, bar, |index| index as i32, |value| value),
            (false, true) => self.write_as(group, bar, |index| index as i64, |value| value as i32),
            (false, false) => self.write_as(group, bar, |index| index as i64, |value| value),
        }
    }

    fn write_as<I: H5Type, V: H5Type>(
        &self,
        group: &Group<'_>,
        bar: &ProgressBar,
        index: fn(u64) -> I,
        number: fn(f32) -> V,
    ) -> Result<()> {
        let edge = self.snapshot.schema().edge(self.relation);
        let rows = self.snapshot.node_count(edge.source);
        let adjacency = self.snapshot.adjacency(self.relation, Direction::Outgoing);
        let pointer = |row: u32| index(adjacency.offsets.get(row as usize).copied().unwrap_or_default());
        group.array("indptr", rows as usize + 1, (0..=rows).map(pointer))?;
        let stored = [adjacency.targets.len()];
        let (mut indices, mut data) = (group.rows::<I>("indices", &stored)?, group.rows::<V>("data", &stored)?);
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for source in 0..rows {
            for (column, value) in self.row(source) {
                columns.push(index(column.into()));
                values.push(number(value));
            }
            if columns.len() >= PIECE || source + 1 == rows {
                indices.push(&columns)?;
                data.push(&values)?;
                bar.inc(columns.len() as u64);
                columns.clear();
                values.clear();
            }
        }
        Ok(())
    }
}

/// What is known of the rows, or of the columns.
struct Frame<'s> {
    snapshot: &'s Snapshot,
    node_type: NodeTypeId,
    matrix: Matrix,
}

impl Frame<'_> {
    fn count(&self) -> u32 {
        self.snapshot.node_count(self.node_type)
    }

    fn write(&self, group: &Group<'_>, notes: &mut Vec<String>) -> Result<()> {
        let owner = self.snapshot.schema().node(self.node_type);
        group.text_attribute("_index", "_index")?;
        group.texts("_index", (0..self.count()).map(|node| self.snapshot.key(self.node_type, node)))?;
        let mut columns: Vec<String> = Vec::new();
        for (id, attribute) in (0..).map(AttributeId).zip(&owner.attributes) {
            columns.extend(self.write_attribute(group, id, &attribute.name, attribute.kind)?);
        }
        self.write_links(group, &mut columns, notes)?;
        group.texts_attribute("column-order", &columns.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// One attribute's columns, and their names; none where it is missing throughout, or a vector.
    fn write_attribute(&self, group: &Group<'_>, id: AttributeId, name: &str, kind: AttributeKind) -> Result<Vec<String>> {
        let snapshot = self.snapshot;
        let (nodes, count) = (0..self.count(), self.count() as usize);
        match snapshot.column(self.node_type, id) {
            NodeColumn::Number([]) | NodeColumn::Category([]) | NodeColumn::Boolean([]) | NodeColumn::Time([]) => {
                return Ok(Vec::new());
            }
            NodeColumn::Vector { .. } => return Ok(Vec::new()),
            NodeColumn::Number(numbers) if kind == AttributeKind::Count => {
                let values = numbers.iter().map(|number| (!number.is_nan()).then_some(*number as i64));
                group.nullable(name, "nullable-integer", count, values)?;
            }
            NodeColumn::Number(numbers) => group.array(name, count, numbers.iter().copied())?,
            NodeColumn::Time(times) => {
                let values = times.iter().map(|&time| (time != i64::MIN).then_some(time));
                group.nullable(name, "nullable-integer", count, values)?;
            }
            NodeColumn::Boolean(truths) => {
                let values = truths.iter().map(|&truth| (truth != u8::MAX).then_some(HBool::from(truth == 1)));
                group.nullable(name, "nullable-boolean", count, values)?;
            }
            NodeColumn::Category(codes) => {
                let codes = codes.iter().map(|&code| (code != u32::MAX).then_some(code as usize));
                group.categorical(name, &snapshot.categories(self.node_type, id), count, codes)?;
            }
            NodeColumn::Text => {
                let texts = nodes.map(|node| snapshot.text(self.node_type, id, node));
                if texts.clone().all(|text| text.is_none()) {
                    return Ok(Vec::new());
                }
                if texts.clone().all(|text| text.is_some()) {
                    group.texts(name, texts.flatten())?;
                } else {
                    let names: Vec<&str> = texts.clone().flatten().collect::<BTreeSet<_>>().into_iter().collect();
                    let codes = texts.map(|text| text.and_then(|text| names.binary_search(&text).ok()));
                    group.categorical(name, &names, count, codes)?;
                }
            }
            NodeColumn::Interval => return self.write_interval(group, id, name),
        }
        Ok(vec![name.to_owned()])
    }

    fn write_interval(&self, group: &Group<'_>, id: AttributeId, name: &str) -> Result<Vec<String>> {
        let (snapshot, count) = (self.snapshot, self.count() as usize);
        let intervals = (0..self.count()).map(|node| match snapshot.value(self.node_type, id, node) {
            Some(Value::Interval(interval)) => Some(interval),
            _ => None,
        });
        if intervals.clone().all(|interval| interval.is_none()) {
            return Ok(Vec::new());
        }
        let [contig, start, end, strand] = super::manifest::INTERVAL.map(|part| format!("{name}.{part}"));
        let contigs = snapshot.categories(self.node_type, id);
        let code = |interval: Interval| contigs.binary_search(&interval.contig()).ok();
        group.categorical(&contig, &contigs, count, intervals.clone().map(|interval| interval.and_then(code)))?;
        let starts = intervals.clone().map(|interval| interval.map(|interval| interval.start() as i64));
        group.nullable(&start, "nullable-integer", count, starts)?;
        let ends = intervals.clone().map(|interval| interval.map(|interval| interval.end() as i64));
        group.nullable(&end, "nullable-integer", count, ends)?;
        // In byte order, as all categories are.
        let strands = [Strand::Forward, Strand::Reverse, Strand::Unknown];
        let code = |interval: Interval| strands.iter().position(|&strand| strand == interval.strand());
        group.categorical(&strand, &["+", "-", "."], count, intervals.map(|interval| interval.and_then(code)))?;
        Ok(vec![contig, start, end, strand])
    }

    /// Relations of which each row has one edge at most.
    fn write_links(&self, group: &Group<'_>, columns: &mut Vec<String>, notes: &mut Vec<String>) -> Result<()> {
        let schema = self.snapshot.schema();
        for relation in schema.relation_ids().filter(|&relation| relation != self.matrix.relation) {
            let edge = schema.edge(relation);
            let walks: &[Direction] = if edge.symmetric { &[] } else { &Direction::BOTH };
            for &direction in walks.iter().filter(|&&direction| edge.near(direction) == self.node_type) {
                let adjacency = self.snapshot.adjacency(relation, direction);
                let most = (0..self.count()).map(|node| adjacency.degree(node)).max().unwrap_or_default();
                if most == 0 {
                    continue;
                }
                if most > 1 {
                    let owner = &schema.node(self.node_type).name;
                    notes.push(format!(
                        "{} ({direction}) is no column: a {owner} has up to {most} of its edges",
                        schema.relation_title(relation)
                    ));
                    continue;
                }
                let far = edge.far(direction);
                let (name, longer) = match direction {
                    Direction::Outgoing => (edge.name.clone(), format!("{}.{}", edge.name, schema.node(far).name)),
                    Direction::Incoming => (format!("{}.{}", schema.node(far).name, edge.name), schema.relation_title(relation)),
                };
                let name = if columns.contains(&name) { longer } else { name };
                let link = |node: u32| adjacency.neighbors(node).first().copied();
                let used: Vec<u32> = (0..self.count()).filter_map(link).collect::<BTreeSet<_>>().into_iter().collect();
                let keys: Vec<&str> = used.iter().map(|&node| self.snapshot.key(far, node)).collect();
                let codes = (0..self.count()).map(|node| link(node).and_then(|far| used.binary_search(&far).ok()));
                group.categorical(&name, &keys, self.count() as usize, codes)?;
                columns.push(name);
            }
        }
        Ok(())
    }

    /// Vectors, embeddings and layouts: NaN in the rows of nodes that have none.
    fn write_arrays(&self, group: &Group<'_>, store: &Path) -> Result<()> {
        let owner = self.snapshot.schema().node(self.node_type);
        let count = self.count() as usize;
        for (id, attribute) in (0..).map(AttributeId).zip(&owner.attributes) {
            if let NodeColumn::Vector { dimension, values } = self.snapshot.column(self.node_type, id)
                && !values.is_empty()
            {
                let mut rows = group.rows::<f32>(&attribute.name, &[count, dimension as usize])?;
                values.chunks(dimension as usize * PIECE).try_for_each(|piece| rows.push(piece))?;
            }
        }
        for info in EmbeddingTable::list(store)?.into_iter().filter(|info| info.node_type == owner.name) {
            let table = EmbeddingTable::read(store, &info.model, &info.node_type)?;
            let dimension = info.dimension as usize;
            self.write_rows(group, &format!("X_{}", info.model), &table, &table.vectors, dimension)?;
            if info.has_layout {
                self.write_rows(group, &format!("X_{}_layout", info.model), &table, &table.layout, 2)?;
            }
        }
        Ok(())
    }

    /// A table's numbers in the order of the snapshot's nodes, which an older table need not have.
    fn write_rows(&self, group: &Group<'_>, name: &str, table: &EmbeddingTable, numbers: &[f32], width: usize) -> Result<()> {
        let mut rows = group.rows::<f32>(name, &[self.count() as usize, width])?;
        let mut piece = Vec::new();
        for node in 0..self.count() {
            match table.row(self.snapshot.key(self.node_type, node)) {
                Some(row) => piece.extend_from_slice(&numbers[row * width..(row + 1) * width]),
                None => piece.resize(piece.len() + width, f32::NAN),
            }
            if piece.len() >= PIECE || node + 1 == self.count() {
                rows.push(&piece)?;
                piece.clear();
            }
        }
        Ok(())
    }
}
