use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use comfy_table::{CellAlignment, Table, presets};
use relata::embedding::{EmbeddingInfo, EmbeddingTable};
use relata::snapshot::{Snapshot, SnapshotId};
use relata::store::{Store, utc};
use relata_schema::{NodeTypeId, RelationId, Schema, SourceRecord};
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
    /// The current snapshot; null where it is missing or damaged.
    snapshot: Option<String>,
    /// Of the current snapshot on the disk.
    bytes: Option<u64>,
    /// Whether types, relations and sources are those of the snapshot, or of what is committed in the store.
    shown: Shown,
    sizes: Sizes,
    snapshots: Vec<SnapshotInfo>,
    node_types: Vec<NodeTypeInfo>,
    relations: Vec<RelationInfo>,
    sources: Vec<SourceRecord>,
    models: Vec<ModelInfo>,
    /// What is missing or damaged, and what to do.
    problems: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Shown {
    Snapshot,
    Store,
    Nothing,
}

/// Bytes on the disk.
#[derive(Serialize)]
struct Sizes {
    /// Commits, dictionaries and indexes.
    db: u64,
    /// Edges and values.
    segments: u64,
    snapshots: u64,
    models: u64,
    total: u64,
}

#[derive(Serialize)]
struct SnapshotInfo {
    id: String,
    bytes: u64,
    /// When it was written: `2026-11-23 20:44:36 UTC`.
    date: Option<String>,
    current: bool,
    /// Whether some process has it open; null where nobody can tell.
    held: Option<bool>,
}

#[derive(Serialize)]
struct NodeTypeInfo {
    name: String,
    /// Null where only the store is shown.
    nodes: Option<u32>,
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

#[derive(Serialize)]
struct ModelInfo {
    #[serde(flatten)]
    info: EmbeddingInfo,
    /// Of its file.
    bytes: u64,
    /// Whether it is of the current snapshot.
    current: bool,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let info = Info::of(&self.store)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&info)?);
        } else {
            info.print();
        }
        Ok(())
    }
}

impl Info {
    fn of(store: &Path) -> anyhow::Result<Self> {
        let mut problems = Vec::new();
        let current = Snapshot::current_id(store);
        // Before one of them is opened here, which would hold it.
        let snapshots = snapshots(store, current.as_ref());
        let snapshot = match Snapshot::current(store) {
            Ok(snapshot) => Some(snapshot),
            Err(_) if store.join("STORE").exists() && current.is_none() => {
                let store = store.display();
                problems.push(format!("{store}: there is no current snapshot; write one with `relata snapshot --store {store}`"));
                None
            }
            Err(error) if store.join("STORE").exists() || store.join("snapshots").exists() => {
                problems.push(error.to_string());
                None
            }
            Err(error) => return Err(error.into()),
        };
        let mut info = Self {
            snapshot: snapshot.as_ref().map(|snapshot| snapshot.id().to_string()),
            bytes: snapshot.as_ref().map(Snapshot::bytes),
            shown: Shown::Nothing,
            sizes: Sizes::of(store),
            snapshots,
            node_types: Vec::new(),
            relations: Vec::new(),
            sources: Vec::new(),
            models: Vec::new(),
            problems,
        };
        match snapshot {
            Some(snapshot) => {
                info.describe(snapshot.schema(), |id| Some(snapshot.node_count(id)), |id| snapshot.edge_count(id));
                info.sources = snapshot.sources().to_vec();
                info.shown = Shown::Snapshot;
                // Counts of a symmetric relation are read from its edges.
                if let Err(error) = snapshot.intact() {
                    info.problems.push(error.to_string());
                }
            }
            None => match Store::open(store) {
                Ok(open) => {
                    match open.schema().relation_ids().map(|id| open.edge_count(id)).collect::<Result<Vec<u64>, _>>() {
                        Ok(edges) => info.describe(open.schema(), |_| None, |id| edges[id.index()]),
                        // Edits may hide edges, and blocks that have to be read for that may be damaged.
                        Err(error) => info.problems.push(error.to_string()),
                    }
                    info.sources = open.sources().to_vec();
                    info.shown = Shown::Store;
                }
                Err(error) => info.problems.push(error.to_string()),
            },
        }
        info.add_models(store);
        Ok(info)
    }

    fn describe(&mut self, schema: &Schema, nodes: impl Fn(NodeTypeId) -> Option<u32>, edges: impl Fn(RelationId) -> u64) {
        let node_types = schema.node_type_ids().map(|id| NodeTypeInfo {
            name: schema.node(id).name.clone(),
            nodes: nodes(id),
            attributes: schema.node(id).attributes.len(),
            about: schema.node(id).about.clone(),
        });
        self.node_types = node_types.collect();
        let relations = schema.relation_ids().map(|id| RelationInfo {
            name: schema.relation_title(id),
            edges: edges(id),
            symmetric: schema.edge(id).symmetric,
            attributes: schema.edge(id).attributes.iter().map(|attribute| attribute.name.clone()).collect(),
            about: schema.edge(id).about.clone(),
        });
        self.relations = relations.collect();
    }

    fn add_models(&mut self, store: &Path) {
        for (path, info) in EmbeddingTable::survey(store) {
            match info {
                Ok(info) => {
                    let current = Some(&info.snapshot) == self.snapshot.as_ref();
                    self.models.push(ModelInfo { info, bytes: size(&path), current });
                }
                Err(error) => self.problems.push(error.to_string()),
            }
        }
    }

    fn print(&self) {
        for problem in &self.problems {
            println!("problem: {problem}\n");
        }
        let Sizes { db, segments, snapshots, models, total } = &self.sizes;
        let [db, segments, snapshots, models, total] = [db, segments, snapshots, models, total].map(|bytes| grouped(*bytes));
        println!("{total} bytes: db {db}, segments {segments}, snapshots {snapshots}, models {models}\n");
        if !self.snapshots.is_empty() {
            let mut table = drawn(&["snapshot", "bytes", "written", ""], &[1]);
            for known in &self.snapshots {
                let notes = [(known.current, "current"), (known.held == Some(true), "in use")];
                let notes: Vec<&str> = notes.into_iter().filter(|(is, _)| *is).map(|(_, note)| note).collect();
                let date = known.date.clone().unwrap_or_default();
                table.add_row([known.id.clone(), grouped(known.bytes), date, notes.join(", ")]);
            }
            println!("{table}\n");
        }
        if self.shown == Shown::Store {
            println!("Without a snapshot, this is what is committed in the store:\n");
        }
        if self.shown != Shown::Nothing {
            self.print_graph();
            self.print_sources();
        }
        self.print_models();
    }

    fn print_graph(&self) {
        if self.shown == Shown::Snapshot {
            let mut table = drawn(&["node type", "nodes", "about"], &[1]);
            for known in &self.node_types {
                if let Some(nodes) = known.nodes.filter(|&nodes| nodes > 0) {
                    table.add_row([known.name.clone(), grouped(nodes.into()), known.about.clone()]);
                }
            }
            println!("{table}\n");
        }
        let mut table = drawn(&["relation", "edges", "attributes", "about"], &[1]);
        for known in self.relations.iter().filter(|known| known.edges > 0) {
            table.add_row([known.name.clone(), grouped(known.edges), known.attributes.join(", "), known.about.clone()]);
        }
        println!("{table}\n");
        let empty = self.node_types.iter().filter(|known| known.nodes == Some(0)).count();
        let unused = self.relations.iter().filter(|known| known.edges == 0).count();
        println!("{empty} node types and {unused} relations of the schema have no rows yet (`--json` lists them).\n");
    }

    fn print_sources(&self) {
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
        let mut table = drawn(&["source", "file", "bytes", "sha256", "loader"], &[2]);
        for source in &self.sources {
            let [name, path, sha256, loader] = [&source.name, &source.path, &source.sha256, &source.loader].map(Clone::clone);
            table.add_row([name, path, grouped(source.bytes), sha256, loader]);
        }
        println!("\n{table}");
    }

    fn print_models(&self) {
        if self.models.is_empty() {
            return;
        }
        let mut table = drawn(&["model", "node type", "rows", "dimension", "bytes", "snapshot", "run"], &[2, 3, 4]);
        for model in &self.models {
            let info = &model.info;
            let stale = if model.current { "" } else { " (not the current one)" };
            table.add_row([
                info.model.clone(),
                info.node_type.clone(),
                grouped(info.count.into()),
                info.dimension.to_string(),
                grouped(model.bytes),
                format!("{}{stale}", info.snapshot),
                info.run.clone(),
            ]);
        }
        println!("\n{table}");
    }
}

impl Sizes {
    fn of(store: &Path) -> Self {
        let [db, segments, snapshots, models] = ["db", "segments", "snapshots", "models"].map(|name| size(&store.join(name)));
        Self { db, segments, snapshots, models, total: size(store) }
    }
}

/// Bytes of a file, or of all files in a folder; links are not followed.
fn size(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}

/// The newest first.
fn snapshots(store: &Path, current: Option<&SnapshotId>) -> Vec<SnapshotInfo> {
    let mut found = Vec::new();
    for entry in fs::read_dir(store.join("snapshots")).into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(SnapshotId::parse) else { continue };
        let written = fs::metadata(Snapshot::file_of(store, &id)).and_then(|file| file.modified()).ok();
        let seconds = written.and_then(|written| written.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
        let info = SnapshotInfo {
            bytes: size(&entry.path()),
            date: seconds.map(utc),
            current: current == Some(&id),
            held: Snapshot::is_held(&entry.path()).ok(),
            id: id.to_string(),
        };
        found.push((seconds, info));
    }
    found.sort_by(|one, other| (other.0, &other.1.id).cmp(&(one.0, &one.1.id)));
    found.into_iter().map(|(_, info)| info).collect()
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
    use relata::Error;
    use relata_schema::EdgeValue;

    use super::*;

    #[test]
    fn large_numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 2_702_861].map(super::grouped), ["0", "999", "1,000", "2,702,861"]);
    }

    /// One cell that expresses two genes, loaded and published, and two embeddings.
    fn store() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(folder.path()).unwrap();
        let mut load = store.begin(&Schema::biology()).unwrap();
        let expresses = load.schema().relation("expresses").unwrap();
        let (cell, gene) = (load.schema().edge(expresses).source, load.schema().edge(expresses).target);
        load.begin_source("blood", "counts").unwrap();
        let one = load.node(cell, "c1").unwrap();
        for key in ["g1", "g2"] {
            let other = load.node(gene, key).unwrap();
            load.edge(expresses, one, other, None, &[EdgeValue::Number(3.0)]).unwrap();
        }
        let record = SourceRecord {
            dataset: "blood".into(),
            name: "counts".into(),
            path: "pbmc.h5ad".into(),
            sha256: "ab".repeat(32),
            ..SourceRecord::default()
        };
        load.end_source(record).unwrap();
        load.commit().unwrap();
        let snapshot = store.snapshot(true).unwrap();
        for (node_type, keys) in [("cell", &["c1"][..]), ("gene", &["g1", "g2"])] {
            let info = EmbeddingInfo {
                model: "first".into(),
                snapshot: snapshot.to_string(),
                node_type: node_type.into(),
                dimension: 1,
                count: keys.len() as u32,
                run: "runs/first".into(),
                has_layout: false,
            };
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            EmbeddingTable { info, vectors: vec![1.0; keys.len()], keys, layout: vec![] }.write(folder.path()).unwrap();
        }
        folder
    }

    fn edges(info: &Info) -> u64 {
        info.relations.iter().find(|known| known.name == "cell.expresses.gene").unwrap().edges
    }

    #[test]
    fn everything_that_is_there_is_shown() {
        let store = store();
        let info = Info::of(store.path()).unwrap();
        assert_eq!((info.problems.len(), info.shown == Shown::Snapshot, edges(&info)), (0, true, 2));
        let [snapshot] = info.snapshots.as_slice() else { panic!() };
        assert!(
            snapshot.current && snapshot.held == Some(false) && snapshot.date.as_ref().is_some_and(|date| date.ends_with("UTC"))
        );
        assert_eq!(Some(&snapshot.id), info.snapshot.as_ref());
        assert!(info.sizes.db > 0 && info.sizes.segments > 0 && info.sizes.models > 0);
        assert!(info.sizes.total >= info.sizes.db + info.sizes.segments + info.sizes.snapshots + info.sizes.models);
        assert_eq!((info.sources[0].path.as_str(), info.sources[0].sha256.len()), ("pbmc.h5ad", 64));
        assert!(info.models.iter().all(|model| model.current) && info.models.len() == 2);
        info.print();
        let held = Snapshot::current(store.path()).unwrap();
        assert_eq!(Info::of(store.path()).unwrap().snapshots[0].held, Some(true));
        drop(held);
        let json = serde_json::to_value(&info).unwrap();
        assert_eq!((&json["models"][1]["node_type"], &json["models"][1]["current"]), (&"gene".into(), &true.into()));
    }

    #[test]
    fn a_missing_or_damaged_part_does_not_hide_the_rest() {
        let store = store();
        let table = store.path().join("models/first/cell.embedding");
        fs::write(&table, b"RELATAEM").unwrap();
        let snapshot = Snapshot::current(store.path()).unwrap().path().to_owned();
        let whole = fs::read(&snapshot).unwrap();
        fs::write(&snapshot, &whole[..whole.len() / 2]).unwrap();
        let damaged = Info::of(store.path()).unwrap();
        assert_eq!((damaged.problems.len(), damaged.snapshot.clone(), damaged.snapshots.len()), (2, None, 1));
        fs::remove_dir_all(store.path().join("snapshots")).unwrap();
        let missing = Info::of(store.path()).unwrap();
        assert!(missing.problems[0].contains("`relata snapshot --store"), "{:?}", missing.problems);
        for info in [&damaged, &missing] {
            assert!(info.shown == Shown::Store && edges(info) == 2 && info.sources[0].name == "counts");
            assert_eq!((info.models.len(), info.models[0].info.node_type.as_str()), (1, "gene"));
            assert!(info.problems.iter().any(|problem| problem.contains("cell.embedding")), "{:?}", info.problems);
            info.print();
        }
    }

    #[test]
    fn what_is_no_store_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Info::of(&folder.path().join("none")).err().unwrap().downcast_ref(), Some(Error::NoStore { .. })));
        assert!(Info::of(folder.path()).is_err());
    }
}
