//! AnnData's `.h5ad`: a matrix of cells × genes with tables of both.
//!
//! <https://anndata.readthedocs.io/en/stable/fileformat-prose.html>

mod file;
mod number;

use std::collections::HashSet;

use relata::snapshot::EdgeColumn;
use relata::store::EdgeBatch;
use relata_schema::identifier::unversioned;
use relata_schema::{AttributeId, AttributeKind, EdgeValue, NodeTypeId, RelationId, Schema, Value};

use super::Format;
use crate::identity::Match;
use crate::reference::Reference;
use crate::{At, ColumnSpec, Error, Genes, Input, Manifest, Result, Sink, Source};

pub use file::{AnnData, Column, Frame, Matrix};

/// AnnData in HDF5, as anndata 0.7 and later write it.
pub struct H5ad;

impl Format for H5ad {
    fn name(&self) -> &'static str {
        "h5ad"
    }

    fn about(&self) -> &'static str {
        "AnnData in HDF5 (anndata 0.7 and later): cells, their labels, and a matrix of counts"
    }

    fn settings(&self) -> &'static [&'static str] {
        &["cells", "genes", "matrix", "relation"]
    }

    fn is_likely(&self, start: &[u8], _name: &str) -> bool {
        start.starts_with(b"\x89HDF\r\n\x1a\n")
    }

    fn check(&self, manifest: &Manifest, source: &Source) -> Result<()> {
        Plan::of(manifest, source, &manifest.schema).map(|_| ())
    }

    fn read(&self, manifest: &Manifest, source: &Source, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        let schema = sink.schema().clone();
        let plan = Plan::of(manifest, source, &schema)?;
        let file = AnnData::open(input.path())?;
        let cells = read_cells(&plan, &file, &schema, sink)?;
        let genes = read_genes(&plan, &file, &schema, sink)?;
        read_matrix(&plan, &file, &cells, &genes, sink)
    }
}

/// What a source's settings mean in a schema.
struct Plan<'m> {
    relation: RelationId,
    cell: NodeTypeId,
    gene: NodeTypeId,
    /// The attribute that takes the matrix' values, and how many attributes the relation has.
    value: Option<AttributeId>,
    width: usize,
    total: Option<AttributeId>,
    attributes: Vec<(AttributeId, AttributeKind, &'m str)>,
    links: Vec<(RelationId, Reference)>,
    prefix: &'m str,
    matrix: &'m str,
    genes: Reference,
    /// Of genes that the source makes.
    gene_attributes: Vec<(AttributeId, AttributeKind, &'m str)>,
}

impl<'m> Plan<'m> {
    fn of(manifest: &Manifest, source: &'m Source, schema: &Schema) -> Result<Self> {
        let relation = match &source.relation {
            Some(name) => schema.relation(name.get_ref()).map_err(manifest.at(name))?,
            None => schema.relation("cell.expresses.gene")?,
        };
        let edge = schema.edge(relation);
        let (cell, gene) = (edge.source, edge.target);
        let is_value = |kind| matches!(kind, AttributeKind::Count | AttributeKind::Number);
        let value = edge.attributes.iter().position(|attribute| is_value(attribute.kind)).map(|at| AttributeId(at as u16));
        let (genes, span) = match &source.genes {
            Some(genes) => (genes.get_ref().clone(), genes.span()),
            None => (Genes::default(), source.path.span()),
        };
        let Genes { column, r#match, or, unmatched, attributes: _ } = genes;
        let genes = ColumnSpec { column, r#match, or, unmatched, ..ColumnSpec::default() };
        let genes = Reference::of(manifest, schema, gene, &genes, span)?;
        let mut plan = Self {
            relation,
            cell,
            gene,
            value,
            width: edge.attributes.len(),
            total: schema.node(cell).attribute("total_counts"),
            attributes: Vec::new(),
            links: Vec::new(),
            prefix: "",
            matrix: source.matrix.as_ref().map_or("X", |matrix| matrix.get_ref().as_str()),
            genes,
            gene_attributes: Vec::new(),
        };
        if let Some(cells) = &source.cells {
            plan.prefix = cells.get_ref().prefix.as_deref().unwrap_or_default();
            for (attribute, column) in &cells.get_ref().attributes {
                let id = schema.node_attribute(cell, attribute).map_err(manifest.at(cells))?;
                plan.attributes.push((id, schema.node(cell).attributes[id.index()].kind, column));
            }
            for (name, spec) in &cells.get_ref().links {
                let id = schema.relation(name).map_err(manifest.at(cells))?;
                let link = schema.edge(id);
                if link.source != cell {
                    let message = format!("relation {} does not start at {}", schema.relation_title(id), schema.node(cell).name);
                    return Err(manifest.error(cells.span(), message));
                }
                if spec.column.is_none() {
                    return Err(manifest.error(cells.span(), format!("`{name}` needs `column`, a column of `obs`")));
                }
                plan.links.push((id, Reference::of(manifest, schema, link.target, spec, cells.span())?));
            }
        }
        if let Some(genes) = &source.genes {
            for (attribute, column) in &genes.get_ref().attributes {
                let id = schema.node_attribute(gene, attribute).map_err(manifest.at(genes))?;
                plan.gene_attributes.push((id, schema.node(gene).attributes[id.index()].kind, column));
            }
        }
        Ok(plan)
    }
}

fn read_cells(plan: &Plan<'_>, file: &AnnData, schema: &Schema, sink: &mut Sink<'_>) -> Result<Vec<u32>> {
    let obs = file.frame("obs")?;
    // Every column is looked up before the first cell is made, so that a misspelt one is told at once.
    let columns = plan.attributes.iter().map(|(_, _, column)| obs.column(column)).collect::<Result<Vec<_>>>()?;
    let column_of = |one: &Reference| obs.column(one.spec.column.as_deref().unwrap_or_default());
    let linked = plan.links.iter().map(|(_, link)| link.chain().map(column_of).collect::<Result<Vec<_>>>());
    let linked = linked.collect::<Result<Vec<_>>>()?;
    let mut cells = Vec::with_capacity(obs.index().len());
    for barcode in obs.index() {
        cells.push(sink.node(plan.cell, &format!("{}{barcode}", plan.prefix))?);
    }
    let mut sorted: Vec<u32> = cells.clone();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let twice = cells.iter().position(|cell| *cell == pair[0]).map_or("", |at| obs.index()[at].as_str());
        return Err(Error::content(
            file.path(),
            "obs/_index",
            format!("cell `{twice}` stands there twice; make the names unique (`obs_names_make_unique`)"),
        ));
    }
    for ((attribute, kind, name), column) in plan.attributes.iter().zip(&columns) {
        for (row, &cell) in cells.iter().enumerate() {
            let value = column
                .value(row, *kind)
                .map_err(|message| Error::content(file.path(), format!("obs/{name}, row {row}"), message))?;
            if let Some(value) = value {
                sink.set(plan.cell, cell, *attribute, value)?;
            }
        }
    }
    for ((relation, link), columns) in plan.links.iter().zip(&linked) {
        let missing = vec![EdgeValue::Missing; schema.edge(*relation).attributes.len()];
        let far = &schema.node(link.node_type).name;
        for (row, &cell) in cells.iter().enumerate() {
            let text = |(one, column): (&Reference, &Column)| match column.value(row, AttributeKind::Text) {
                Ok(Some(Value::Text(text))) => Ok(text),
                Ok(_) => Ok(String::new()),
                Err(message) => {
                    let name = one.spec.column.as_deref().unwrap_or_default();
                    Err(Error::content(file.path(), format!("obs/{name}, row {row}"), message))
                }
            };
            let texts = link.chain().zip(columns).map(text).collect::<Result<Vec<_>>>()?;
            let named = link.nodes(|place| &texts[place], false, At::File, sink)?;
            if named.names == 0 {
                sink.drop(&format!("cell that names no {far}"), &obs.index()[row]);
            }
            for target in named.nodes {
                sink.edge(*relation, cell, target, None, &missing)?;
            }
        }
    }
    Ok(cells)
}

/// A row of `var`: its name in the file, and its node or why there is none.
struct Gene {
    name: String,
    node: Result<u32, String>,
}

fn read_genes(plan: &Plan<'_>, file: &AnnData, schema: &Schema, sink: &mut Sink<'_>) -> Result<Vec<Gene>> {
    let path = if plan.matrix.starts_with("raw/") { "raw/var" } else { "var" };
    let var = file.frame(path)?;
    let names_of = |one: &Reference| -> Result<Vec<String>> {
        let Some(name) = &one.spec.column else { return Ok(var.index().to_vec()) };
        let column = var.column(name)?;
        let text = |row| match column.value(row, AttributeKind::Text) {
            Ok(Some(Value::Text(text))) => Ok(text),
            Ok(_) => Ok(String::new()),
            Err(message) => Err(Error::content(file.path(), format!("{path}/{name}, row {row}"), message)),
        };
        (0..var.index().len()).map(text).collect()
    };
    let columns = plan.gene_attributes.iter().map(|(_, _, column)| var.column(column)).collect::<Result<Vec<_>>>()?;
    let chain = plan.genes.chain().map(|one| Ok((one, names_of(one)?))).collect::<Result<Vec<_>>>()?;
    let names = chain.first().map_or(&[][..], |(_, names)| names);
    let is_gene = schema.node(plan.gene).name == "gene";
    let keys: Vec<&str> = names.iter().map(|name| if is_gene { unversioned(name) } else { name }).collect();
    let found = keys.iter().map(|key| plan.genes.find(key, sink)).collect::<Result<Vec<Match>>>()?;
    let mut taken: HashSet<u32> =
        found.iter().filter_map(|found| if let Match::Node(node) = found { Some(*node) } else { None }).collect();
    let mut genes = Vec::with_capacity(keys.len());
    for (row, (&key, found)) in keys.iter().zip(found).enumerate() {
        let mut instead = None;
        if !matches!(found, Match::Node(_)) {
            for (one, names) in chain.iter().skip(1) {
                if let Match::Node(node) = one.find(&names[row], sink)?
                    && taken.insert(node)
                {
                    instead = Some(one.resolve(&names[row], At::File, sink)?);
                    break;
                }
            }
        }
        let node = match instead {
            Some(node) => node,
            None if key.is_empty() => Err(format!("row of `{path}` that names no {}", schema.node(plan.gene).name)),
            None => {
                let node = plan.genes.resolve(key, At::File, sink)?;
                if let (Match::Nothing, Ok(node)) = (found, &node) {
                    for ((attribute, kind, column), values) in plan.gene_attributes.iter().zip(&columns) {
                        let wrong = |message| Error::content(file.path(), format!("{path}/{column}, row {row}"), message);
                        if let Some(value) = values.value(row, *kind).map_err(wrong)? {
                            sink.set(plan.gene, *node, *attribute, value)?;
                        }
                    }
                }
                node
            }
        };
        let name = if key.is_empty() { var.index()[row].clone() } else { key.to_owned() };
        genes.push(Gene { name, node });
    }
    Ok(genes)
}

/// Entries that go to the sink at a time.
const BATCH_ENTRIES: usize = 1 << 16;

/// Entries of the matrix that are not with the sink yet.
#[derive(Default)]
struct Batch {
    sources: Vec<u32>,
    targets: Vec<u32>,
    values: Vec<f32>,
}

impl Batch {
    fn bring(&mut self, plan: &Plan<'_>, sink: &mut Sink<'_>) -> Result<()> {
        let mut attributes = vec![EdgeColumn::Number(&[]); plan.width];
        if let Some(attribute) = plan.value {
            attributes[attribute.index()] = EdgeColumn::Number(&self.values);
        }
        let batch = EdgeBatch { sources: &self.sources, targets: &self.targets, times: &[], attributes: &attributes };
        sink.edges(plan.relation, &batch)?;
        self.sources.clear();
        self.targets.clear();
        self.values.clear();
        Ok(())
    }
}

/// What is read and kept are the matrix' entries that are not zero.
fn read_matrix(plan: &Plan<'_>, file: &AnnData, cells: &[u32], genes: &[Gene], sink: &mut Sink<'_>) -> Result<()> {
    let matrix = file.matrix(plan.matrix, cells.len(), genes.len())?;
    let mut totals = vec![0.0_f64; cells.len()];
    let mut batch = Batch::default();
    let mut lost = vec![0_u64; genes.len()];
    let (mut stored, mut entries) = (0_u64, 0_u64);
    matrix.each(|row, column, value| {
        stored += 1;
        if stored.is_multiple_of(1 << 16) {
            sink.progress_share(stored, matrix.stored());
        }
        if value == 0.0 {
            return Ok(());
        }
        if !value.is_finite() || value < 0.0 {
            let message = format!("found {value} at row {row}, column {column}, expected a count: finite and not negative");
            return Err(Error::content(file.path(), plan.matrix, message));
        }
        totals[row] += value;
        entries += 1;
        let Ok(gene) = genes[column].node else {
            lost[column] += 1;
            return Ok(());
        };
        batch.sources.push(cells[row]);
        batch.targets.push(gene);
        batch.values.push(value as f32);
        if batch.sources.len() == BATCH_ENTRIES { batch.bring(plan, sink) } else { Ok(()) }
    })?;
    batch.bring(plan, sink)?;
    sink.read(entries);
    sink.kept(entries - lost.iter().sum::<u64>());
    for (gene, &count) in genes.iter().zip(&lost) {
        if let (Err(reason), true) = (&gene.node, count > 0) {
            sink.drop_many(&format!("entry in a column: {reason}"), count, &gene.name);
        }
    }
    if let Some(total) = plan.total {
        for (&cell, &sum) in cells.iter().zip(&totals) {
            sink.set(plan.cell, cell, total, Value::Number(sum))?;
        }
    }
    Ok(())
}
