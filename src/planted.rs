//! A small graph with a planted truth, for the tests of tokens, model and training.

use std::path::Path;

use relata_schema::{EdgeValue, Schema, Value};

use crate::sampler::random::Key;
use crate::snapshot::{EdgeData, Snapshot, SnapshotWriter};
use crate::task::{ResolvedTask, Task};

/// Genes 0 to 9 are markers of type A, 10 to 19 of type B, the others of neither.
pub const GENES: u32 = 40;

/// Cells of types A and B by turns (so the majority is half); markers have a mean of 3 in their own type and 1 in the
/// other, all other genes of 1. Every cell has a type in the ontology, and every gene but the last a term. Every seventh
/// cell's label is missing.
pub fn snapshot(store: &Path, cells: u32, seed: u64) -> Snapshot {
    snapshot_with(store, cells, seed, |_, _| {})
}

/// The same, with what `more` writes.
pub fn snapshot_with(store: &Path, cells: u32, seed: u64, more: impl FnOnce(&mut SnapshotWriter, &Schema)) -> Snapshot {
    let schema = Schema::biology();
    let mut writer = SnapshotWriter::create(store, &schema).unwrap();
    let node = |name| schema.node_type(name).unwrap();
    let keys = |prefix: &str, count: u32| (0..count).map(|at| format!("{prefix}{at:04}")).collect::<Vec<_>>();
    writer.nodes(node("gene"), &keys("g", GENES)).unwrap();
    writer.nodes(node("cell"), &keys("c", cells)).unwrap();
    writer.nodes(node("cell_type"), &keys("CL:", 2)).unwrap();
    writer.nodes(node("term"), &keys("GO:", 3)).unwrap();
    let label = |cell: u32| if cell.is_multiple_of(2) { "A" } else { "B" };
    let labels: Vec<_> = (0..cells).map(|cell| (cell % 7 != 6).then(|| Value::Category(label(cell).to_owned()))).collect();
    writer.column(node("cell"), schema.node_attribute(node("cell"), "celltype").unwrap(), &labels).unwrap();
    let symbols: Vec<_> = (0..GENES).map(|gene| (gene % 3 != 2).then(|| Value::Text(format!("SYM{gene}")))).collect();
    writer.column(node("gene"), schema.node_attribute(node("gene"), "symbol").unwrap(), &symbols).unwrap();
    let mut random = Key::new("planted", seed).random();
    let mut expresses = EdgeData { attributes: vec![Vec::new()], ..EdgeData::default() };
    for cell in 0..cells {
        for gene in 0..GENES {
            let is_marker = gene / 10 == cell % 2;
            // Geometric counts of that mean, so that many are 0.
            let mean = if is_marker { 3.0 } else { 1.0 };
            let mut count = 0;
            while (random.below(1_000_000) as f64) < 1_000_000.0 * mean / (1.0 + mean) {
                count += 1;
            }
            if count > 0 {
                expresses.sources.push(cell);
                expresses.targets.push(gene);
                expresses.attributes[0].push(EdgeValue::Number(count as f32));
            }
        }
    }
    writer.relation(schema.relation("expresses").unwrap(), &expresses).unwrap();
    let has_type =
        EdgeData { sources: (0..cells).collect(), targets: (0..cells).map(|cell| cell % 2).collect(), ..EdgeData::default() };
    writer.relation(schema.relation("has_type").unwrap(), &has_type).unwrap();
    let annotated = EdgeData {
        sources: (0..GENES - 1).collect(),
        targets: (0..GENES - 1).map(|gene| gene % 3).collect(),
        ..EdgeData::default()
    };
    writer.relation(schema.relation("annotated_with").unwrap(), &annotated).unwrap();
    more(&mut writer, &schema);
    writer.publish(&[]).unwrap();
    Snapshot::current(store).unwrap()
}

/// The task of the labels, with more settings behind.
pub fn task(snapshot: &Snapshot, settings: &str) -> ResolvedTask {
    let text = format!("[task]\nnode = \"cell\"\ntarget = \"celltype\"\nhide = [\"has_type\"]\n{settings}");
    Task::parse(&text, "task.toml", snapshot.schema()).unwrap()
}
