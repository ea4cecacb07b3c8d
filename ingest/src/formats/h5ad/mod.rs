//! AnnData's `.h5ad`: a matrix of cells × genes with tables of both.
//!
//! <https://anndata.readthedocs.io/en/stable/fileformat-prose.html>

mod file;
mod number;

use relata_schema::identifier::unversioned;
use relata_schema::{AttributeId, AttributeKind, EdgeValue, NodeTypeId, RelationId, Schema, Value};

use super::Format;
use crate::{Error, Input, Manifest, Result, Sink, Source};

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
        let cells = read_cells(&plan, &file, sink)?;
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
    links: Vec<(RelationId, NodeTypeId, usize, &'m str)>,
    prefix: &'m str,
    matrix: &'m str,
    gene_column: Option<&'m str>,
    gene_match: Option<AttributeId>,
    gene_unmatched: Option<crate::Unmatched>,
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
            gene_column: None,
            gene_match: None,
            gene_unmatched: None,
        };
        if let Some(cells) = &source.cells {
            plan.prefix = cells.get_ref().prefix.as_deref().unwrap_or_default();
            for (attribute, column) in &cells.get_ref().attributes {
                let id = schema.node_attribute(cell, attribute).map_err(manifest.at(cells))?;
                plan.attributes.push((id, schema.node(cell).attributes[id.index()].kind, column));
            }
            for (name, column) in &cells.get_ref().links {
                let id = schema.relation(name).map_err(manifest.at(cells))?;
                let link = schema.edge(id);
                if link.source != cell {
                    let message = format!("relation {} does not start at {}", schema.relation_title(id), schema.node(cell).name);
                    return Err(manifest.error(cells.span(), message));
                }
                plan.links.push((id, link.target, link.attributes.len(), column));
            }
        }
        if let Some(genes) = &source.genes {
            plan.gene_column = genes.get_ref().column.as_deref();
            plan.gene_unmatched = genes.get_ref().unmatched;
            if let Some(name) = &genes.get_ref().r#match {
                plan.gene_match = Some(schema.node_attribute(gene, name).map_err(manifest.at(genes))?);
            }
        }
        Ok(plan)
    }
}

fn read_cells(plan: &Plan<'_>, file: &AnnData, sink: &mut Sink<'_>) -> Result<Vec<u32>> {
    let obs = file.frame("obs")?;
    // Every column is looked up before the first cell is made, so that a misspelt one is told at once.
    let columns = plan.attributes.iter().map(|(_, _, column)| obs.column(column)).collect::<Result<Vec<_>>>()?;
    let linked = plan.links.iter().map(|(_, _, _, column)| obs.column(column)).collect::<Result<Vec<_>>>()?;
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
    sink.read(cells.len() as u64);
    sink.kept(cells.len() as u64);
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
    for ((relation, far, width, name), column) in plan.links.iter().zip(&linked) {
        let missing = vec![EdgeValue::Missing; *width];
        for (row, &cell) in cells.iter().enumerate() {
            let value = column
                .value(row, AttributeKind::Text)
                .map_err(|message| Error::content(file.path(), format!("obs/{name}, row {row}"), message))?;
            if let Some(Value::Text(text)) = value
                && let Some(target) = sink.link(*far, &text, None, None, 0)?
            {
                sink.edge(*relation, cell, target, None, &missing)?;
            }
        }
    }
    Ok(cells)
}

/// The node of each row of `var`; `None` where nothing has that name.
fn read_genes(plan: &Plan<'_>, file: &AnnData, schema: &Schema, sink: &mut Sink<'_>) -> Result<Vec<Option<u32>>> {
    let path = if plan.matrix.starts_with("raw/") { "raw/var" } else { "var" };
    let var = file.frame(path)?;
    let names: Vec<String> = match plan.gene_column {
        None => var.index().to_vec(),
        Some(name) => {
            let column = var.column(name)?;
            let text = |row| match column.value(row, AttributeKind::Text) {
                Ok(Some(Value::Text(text))) => text,
                _ => String::new(),
            };
            (0..var.index().len()).map(text).collect()
        }
    };
    let is_gene = schema.node(plan.gene).name == "gene";
    names
        .iter()
        .map(|name| sink.link(plan.gene, if is_gene { unversioned(name) } else { name }, plan.gene_match, plan.gene_unmatched, 0))
        .collect()
}

fn read_matrix(plan: &Plan<'_>, file: &AnnData, cells: &[u32], genes: &[Option<u32>], sink: &mut Sink<'_>) -> Result<()> {
    let matrix = file.matrix(plan.matrix, cells.len(), genes.len())?;
    let mut totals = vec![0.0_f64; cells.len()];
    let mut values = vec![EdgeValue::Missing; plan.width];
    let mut unmatched = 0_u64;
    let mut entries = 0_u64;
    matrix.each(|row, column, value| {
        if value == 0.0 {
            return Ok(());
        }
        if !value.is_finite() || value < 0.0 {
            let message = format!("found {value} at row {row}, column {column}, expected a count: finite and not negative");
            return Err(Error::content(file.path(), plan.matrix, message));
        }
        totals[row] += value;
        entries += 1;
        let Some(gene) = genes[column] else {
            unmatched += 1;
            return Ok(());
        };
        if let Some(attribute) = plan.value {
            values[attribute.index()] = EdgeValue::Number(value as f32);
        }
        sink.edge(plan.relation, cells[row], gene, None, &values)
    })?;
    sink.read(entries);
    sink.kept(entries - unmatched);
    if unmatched > 0 {
        sink.drop_many("matrix entries of a gene that no node is", unmatched, "");
    }
    if let Some(total) = plan.total {
        for (&cell, &sum) in cells.iter().zip(&totals) {
            sink.set(plan.cell, cell, total, Value::Number(sum))?;
        }
    }
    Ok(())
}
