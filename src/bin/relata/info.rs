use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};
use relata::embedding::{EmbeddingInfo, EmbeddingTable};
use relata::snapshot::Snapshot;
use relata_schema::SourceRecord;
use serde::Serialize;

/// What a store holds: types, relations, counts, sources, snapshots, models.
#[derive(clap::Args)]
pub struct Args {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// All of it, as JSON has it.
#[derive(Serialize)]
struct Info {
    snapshot: String,
    /// Of the snapshot on the disk.
    bytes: u64,
    node_types: Vec<NodeTypeInfo>,
    relations: Vec<RelationInfo>,
    sources: Vec<SourceRecord>,
    models: Vec<EmbeddingInfo>,
}

#[derive(Serialize)]
struct NodeTypeInfo {
    name: String,
    nodes: u32,
    attributes: usize,
    about: String,
}

#[derive(Serialize)]
struct RelationInfo {
    name: String,
    /// A symmetric edge counts once.
    edges: u64,
    symmetric: bool,
    attributes: Vec<String>,
    about: String,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let store = self.store.display();
        if self.store.join("STORE").exists() && Snapshot::current_id(&self.store).is_none() {
            anyhow::bail!("{store}: the store has no snapshot yet; write one with `relata snapshot --store {store}`");
        }
        let snapshot = Snapshot::current(&self.store)?;
        let schema = snapshot.schema();
        let info = Info {
            snapshot: snapshot.id().to_string(),
            bytes: snapshot.bytes(),
            node_types: schema
                .node_type_ids()
                .map(|id| NodeTypeInfo {
                    name: schema.node(id).name.clone(),
                    nodes: snapshot.node_count(id),
                    attributes: schema.node(id).attributes.len(),
                    about: schema.node(id).about.clone(),
                })
                .collect(),
            relations: schema
                .relation_ids()
                .map(|id| RelationInfo {
                    name: schema.relation_title(id),
                    edges: snapshot.edge_count(id),
                    symmetric: schema.edge(id).symmetric,
                    attributes: schema.edge(id).attributes.iter().map(|attribute| attribute.name.clone()).collect(),
                    about: schema.edge(id).about.clone(),
                })
                .collect(),
            sources: snapshot.sources().to_vec(),
            models: EmbeddingTable::list(&self.store)?,
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&info)?);
        } else {
            info.print();
        }
        Ok(())
    }
}

impl Info {
    fn print(&self) {
        println!("snapshot {}, {} bytes\n", self.snapshot, grouped(self.bytes));
        let mut table = drawn(&["node type", "nodes", "about"], &[1]);
        for known in self.node_types.iter().filter(|known| known.nodes > 0) {
            table.add_row([known.name.clone(), grouped(known.nodes.into()), known.about.clone()]);
        }
        println!("{table}\n");
        let mut table = drawn(&["relation", "edges", "attributes", "about"], &[1]);
        for known in self.relations.iter().filter(|known| known.edges > 0) {
            table.add_row([known.name.clone(), grouped(known.edges), known.attributes.join(", "), known.about.clone()]);
        }
        println!("{table}\n");
        let empty = self.node_types.iter().filter(|known| known.nodes == 0).count();
        let unused = self.relations.iter().filter(|known| known.edges == 0).count();
        println!("{empty} node types and {unused} relations of the schema have no rows yet (`--json` lists them).\n");
        let mut table = drawn(&["data set", "source", "format", "read", "kept", "dropped", "edges", "values"], &[3, 4, 5, 6, 7]);
        for source in &self.sources {
            let tally = &source.tally;
            let counts = [tally.read, tally.kept, tally.read.saturating_sub(tally.kept), tally.edges, tally.values].map(grouped);
            let names = [&source.dataset, &source.name, &source.format].map(Clone::clone);
            table.add_row(names.into_iter().chain(counts));
        }
        println!("{table}");
        for source in &self.sources {
            for reason in &source.tally.drops {
                let examples =
                    if reason.examples.is_empty() { String::new() } else { format!(": {}", reason.examples.join(", ")) };
                println!("  {}: {} {}{examples}", source.name, grouped(reason.count), reason.reason);
            }
        }
        if !self.models.is_empty() {
            let mut table = drawn(&["model", "node type", "rows", "dimension", "snapshot", "run"], &[2, 3]);
            for model in &self.models {
                let stale = if model.snapshot == self.snapshot { "" } else { " (older)" };
                table.add_row([
                    model.model.clone(),
                    model.node_type.clone(),
                    grouped(model.count.into()),
                    model.dimension.to_string(),
                    format!("{}{stale}", model.snapshot),
                    model.run.clone(),
                ]);
            }
            println!("\n{table}");
        }
    }
}

/// An empty table; the columns with these places hold numbers.
pub fn drawn(header: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    for &at in numbers {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// `2702861` as `2,702,861`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn large_numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 2_702_861].map(super::grouped), ["0", "999", "1,000", "2,702,861"]);
    }
}
