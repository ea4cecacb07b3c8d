mod excluded;
mod named;
mod seeds;
mod walk;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use relata::export::subgraphs::{Drawing, Grouping, Shards, to_shards};
use relata::export::{Options, TableFormat};
use relata::sampler::Sampler;
use relata::snapshot::{Hit, Snapshot};

use crate::export::Summary;

use named::Named;
pub use named::{Carried, Categories, NamedNode};
use seeds::{Asked, SeedArgs};
use walk::WalkArgs;

/// Subgraphs of a shard, unless told otherwise.
const SHARD_ROWS: u64 = 10_000;

/// Draw one subgraph around seed nodes and print it; or, with `--out`, subgraphs around many, as files for other programs.
#[derive(clap::Args)]
pub struct Args {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    #[command(flatten)]
    seeds: SeedArgs,
    /// Write the subgraphs into this folder, one row each, instead of printing one
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Format of the files [default: arrow]
    #[arg(long, value_enum, requires = "out")]
    format: Option<FormatName>,
    /// One subgraph around each seed; the default with `--out`
    #[arg(long, requires = "out", conflicts_with = "batch")]
    each: bool,
    /// One subgraph around so many seeds
    #[arg(long, value_name = "SEEDS", requires = "out")]
    batch: Option<u32>,
    /// Subgraphs of a file [default: 10000]
    #[arg(long, value_name = "SUBGRAPHS", requires = "out")]
    shard_rows: Option<u64>,
    /// Write the nodes' keys too
    #[arg(long, requires = "out")]
    with_keys: bool,
    /// Replace an earlier folder of subgraphs
    #[arg(long, requires = "out")]
    overwrite: bool,
    #[command(flatten)]
    walk: WalkArgs,
    /// Of all that is by lot
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FormatName {
    /// Arrow IPC files, which readers map into memory
    Arrow,
    /// Parquet, compressed
    Parquet,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let snapshot = Snapshot::current_checked(&self.store)?;
        let asked = self.seeds.asked(&snapshot)?;
        let seeds = self.seeds.seeds(&snapshot, asked.as_ref(), self.batch, self.seed)?;
        let mut config = self.walk.config(&snapshot, self.seed)?;
        if let Some(asked) = &asked {
            self.walk.keep_within(&asked.task, &mut config);
        }
        let cutoffs = self.walk.cutoffs(&snapshot, &seeds)?;
        if let Some(cutoffs) = &cutoffs {
            config.cutoff = cutoffs.iter().max().copied();
        }
        let sampler = Sampler::new(&snapshot, config)?;
        if let Some(out) = &self.out {
            let drawing = self.drawing(sampler, seeds, cutoffs, asked)?;
            return self.write(drawing, out);
        }
        if cutoffs.is_some_and(|cutoffs| cutoffs.len() > 1) {
            bail!(
                "--cutoff-of: found {} seeds, expected one, or `--out`: a subgraph that is printed has one cutoff",
                seeds.len()
            );
        }
        let subgraph = sampler.sample(&seeds, 0)?;
        let named = Named::of(&snapshot, &subgraph);
        snapshot.intact()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&named)?);
        } else {
            named.print(&snapshot, &subgraph);
        }
        Ok(())
    }

    /// The subgraphs around `seeds`, in their order.
    fn drawing(
        &self,
        sampler: Sampler,
        seeds: Vec<Hit>,
        cutoffs: Option<Vec<i64>>,
        asked: Option<Asked>,
    ) -> anyhow::Result<Drawing> {
        let grouping = match (self.each, self.batch) {
            (true, _) | (_, None) => Grouping::Each,
            (_, Some(0)) => bail!("--batch: found 0, expected 1 at least"),
            (_, Some(seeds)) => Grouping::Batch(seeds),
        };
        let guard = asked.as_ref().map(|asked| asked.guard(sampler.snapshot()));
        let mut drawing = Drawing::new(sampler, self.seeds.draw(), seeds, grouping, self.with_keys)?;
        if let Some(cutoffs) = cutoffs {
            drawing = drawing.until(cutoffs)?;
        }
        if let (Some(asked), Some(guard)) = (asked, guard) {
            let shows = move |node_type, attribute, node, is_seed| guard.shows(node_type, attribute, node, is_seed);
            drawing = drawing.with_table(|table| table.asking(asked.task.target).showing(shows));
        }
        Ok(drawing)
    }

    /// Draws them, and writes them as shards.
    fn write(&self, drawing: Drawing, out: &Path) -> anyhow::Result<()> {
        let start = Instant::now();
        let format = match self.format {
            None | Some(FormatName::Arrow) => TableFormat::Arrow,
            Some(FormatName::Parquet) => TableFormat::Parquet,
        };
        let rows = self.shard_rows.unwrap_or(SHARD_ROWS);
        if rows == 0 {
            bail!("--shard-rows: found 0, expected 1 at least");
        }
        let options = Options { overwrite: self.overwrite, quiet: self.quiet };
        let exported = to_shards(drawing, out, Shards { format, rows }, options)?;
        Summary::of(exported, start).show(self.json)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int32Type, Int64Type, UInt32Type};
    use relata::snapshot::{EdgeData, SnapshotWriter};
    use relata_schema::{EdgeValue, Schema};
    use serde_json::Value;

    use super::*;
    use crate::testing::arguments;

    /// Cell `c1` expresses genes `g1` and `g2`, `c2` expresses `g2`; `g1` interacts with `g2`, by a named method.
    fn store() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(folder.path(), &schema).unwrap();
        writer.nodes(schema.node_type("cell").unwrap(), &["c1", "c2"].map(String::from)).unwrap();
        writer.nodes(schema.node_type("gene").unwrap(), &["g1", "g2"].map(String::from)).unwrap();
        let counts = vec![vec![EdgeValue::Number(3.0), EdgeValue::Missing, EdgeValue::Number(1.0)]];
        let expresses = EdgeData { sources: vec![0, 0, 1], targets: vec![0, 1, 1], attributes: counts, ..EdgeData::default() };
        writer.relation(schema.relation("expresses").unwrap(), &expresses).unwrap();
        let interacts = EdgeData {
            sources: vec![0],
            targets: vec![1],
            attributes: vec![vec![], vec![EdgeValue::Category(0)]],
            categories: vec![vec![], vec!["two hybrid".to_owned()]],
            ..EdgeData::default()
        };
        writer.relation(schema.relation("interacts").unwrap(), &interacts).unwrap();
        writer.publish(&[]).unwrap();
        folder
    }

    fn args(store: &tempfile::TempDir, more: &[&str]) -> Args {
        arguments(store.path(), more).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_subgraph_is_named_as_the_server_names_it() {
        let store = store();
        let snapshot = Snapshot::current(store.path()).unwrap();
        let args = args(&store, &["--type", "cell", "--key", "c1", "--hops", "1"]);
        let sampler = Sampler::new(&snapshot, args.walk.config(&snapshot, 0).unwrap()).unwrap();
        let subgraph = sampler.sample(&args.seeds.seeds(&snapshot, None, None, 0).unwrap(), 0).unwrap();
        let found = serde_json::to_value(Named::of(&snapshot, &subgraph)).unwrap();
        let node = |node_type, key, hop, seed| serde_json::json!({ "type": node_type, "key": key, "label": key, "hop": hop, "seed": seed });
        assert_eq!(
            found["nodes"],
            serde_json::json!([node("cell", "c1", 0, true), node("gene", "g1", 1, false), node("gene", "g2", 1, false)])
        );
        let edge = |target, count: Value| {
            let attributes = serde_json::json!({ "count": count });
            serde_json::json!({ "relation": "cell.expresses.gene", "source": 0, "target": target, "time": null, "attributes": attributes })
        };
        assert_eq!(found["edges"], serde_json::json!([edge(1, 3.into()), edge(2, Value::Null)]));
        args.run().unwrap();
    }

    #[test]
    fn every_walk_runs_and_prints() {
        let store = store();
        for more in [
            &["--type", "gene", "--key", "g1", "--key", "g2", "--walk", "neighbour", "--fanout", "5,1", "--json"][..],
            &["--type", "gene", "--key", "G1", "--walk", "neighbour", "--hops", "3", "--relations", "interacts,expresses"],
            &["--type", "cell", "--where", "total_counts is missing and degree(expresses) >= 2", "--retrieve", "1"],
            &[
                "--type",
                "cell",
                "--all",
                "--epoch",
                "3",
                "--walk",
                "hierarchy",
                "--up",
                "2,1",
                "--down",
                "3",
                "--choice",
                "uniform",
            ],
            &["--type", "gene", "--key", "g1", "--choice", "expresses=top:count", "--listed", "induced", "--walk", "neighbour"],
            &["--type", "cell", "--key", "c1", "--cutoff", "3", "--time-of", "cell=none", "--equal-time", "drop"],
            &["--type", "cell", "--count", "9", "--tokens", "30", "--width", "1", "--seed", "4", "--cutoff", "-5"],
        ] {
            args(&store, more).run().unwrap();
        }
    }

    #[test]
    fn subgraphs_become_a_folder_of_shards() {
        let store = store();
        let out = store.path().join("out");
        let place = out.to_str().unwrap();
        let written = |more: &[&str]| {
            let start = ["--type", "cell", "--quiet", "--out", place];
            args(&store, &[&start, more].concat()).run().map_err(|error| format!("{error:#}"))?;
            let manifest = std::fs::read_to_string(out.join("manifest.json")).unwrap();
            let manifest: Value = serde_json::from_str(&manifest).unwrap();
            let files = manifest["shards"].as_array().unwrap().iter().map(|shard| shard["file"].as_str().unwrap().to_owned());
            Ok::<_, String>((manifest["grouping"].clone(), files.collect::<Vec<_>>()))
        };
        let (each, batch) = (Value::from("each"), |seeds: u32| serde_json::json!({ "batch": seeds }));
        assert_eq!(written(&["--all"]), Ok((each.clone(), vec!["part-00000.arrow".to_owned()])));
        let refused = written(&["--all"]).unwrap_err();
        assert!(refused.contains("--overwrite") && refused.contains("out"), "{refused}");
        let shards = ["part-00000.parquet", "part-00001.parquet"].map(str::to_owned).to_vec();
        let more = ["--overwrite", "--count", "2", "--shard-rows", "1", "--format", "parquet", "--each", "--with-keys"];
        assert_eq!(written(&more), Ok((each, shards)));
        let more = ["--overwrite", "--key", "c1", "--key", "c2", "--batch", "2", "--json"];
        assert_eq!(written(&more), Ok((batch(2), vec!["part-00000.arrow".to_owned()])));
    }

    /// Of two cells of a donor, the second came after the task's cutoff.
    #[test]
    fn a_task_s_cutoff_holds_unless_another_is_asked_for() {
        let store = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let (cell, donor) = (schema.node_type("cell").unwrap(), schema.node_type("donor").unwrap());
        writer.nodes(cell, &(0..8).map(|at| format!("c{at}")).collect::<Vec<_>>()).unwrap();
        writer.nodes(donor, &["d".to_owned()]).unwrap();
        let times: Vec<_> = (0..8).map(|at| Some(relata_schema::Value::Time(at))).collect();
        writer.column(cell, schema.node_attribute(cell, "time").unwrap(), &times).unwrap();
        let labels: Vec<_> = (0..8).map(|at| Some(relata_schema::Value::Category(["A", "B"][at % 2].to_owned()))).collect();
        writer.column(cell, schema.node_attribute(cell, "celltype").unwrap(), &labels).unwrap();
        let edges = EdgeData { sources: (0..8).collect(), targets: vec![0; 8], ..EdgeData::default() };
        writer.relation(schema.relation("from_donor").unwrap(), &edges).unwrap();
        writer.publish(&[]).unwrap();
        let (task, out) = (store.path().join("task.toml"), store.path().join("out"));
        let met = |context: &str, more: &[&str]| {
            let text = format!("[task]\nnode = \"cell\"\ntarget = \"celltype\"\n[split]\nfolds = 2\n[context]\n{context}\n");
            std::fs::write(&task, text).unwrap();
            let start = ["--task", task.to_str().unwrap(), "--out", out.to_str().unwrap(), "--quiet", "--overwrite"];
            args(&store, &[&start[..], &["--walk", "neighbour", "--fanout", "99"], more].concat()).run().unwrap();
            let file = std::fs::File::open(out.join("part-00000.arrow")).unwrap();
            let mut met = std::collections::BTreeSet::new();
            for batch in arrow_ipc::reader::FileReader::try_new(file, None).unwrap().map(Result::unwrap) {
                for row in 0..batch.num_rows() {
                    let list = |name: &str| batch.column_by_name(name).unwrap().as_list::<i32>().value(row);
                    let seeds = list("seeds").as_primitive::<UInt32Type>().values().to_vec();
                    let nodes = list("cell.node").as_primitive::<UInt32Type>().values().to_vec();
                    met.extend((0..).zip(nodes).filter(|(place, _)| !seeds.contains(place)).map(|(_, node)| node));
                }
            }
            met.into_iter().max()
        };
        assert_eq!(met("", &[]), Some(7));
        assert_eq!(met("cutoff = 5", &[]), Some(5));
        assert_eq!(met("cutoff = 5\nequal_time = \"drop\"", &[]), Some(4));
        assert_eq!(met("cutoff = 5\nequal_time = \"drop\"", &["--cutoff", "6"]), Some(5));
        assert_eq!(met("cutoff = 5\nequal_time = \"drop\"", &["--cutoff", "6", "--equal-time", "keep"]), Some(6));
        assert_eq!(met("cutoff = 5\ntime_of = { cell = false }", &[]), Some(7));
        assert_eq!(met("cutoff = 5\ntime_of = { cell = false }", &["--cutoff", "5", "--time-of", "cell.time"]), Some(5));
    }

    /// Cells of the times 10, 20 and 30 and one without, which all have a donor; each but the last may show those before it.
    #[test]
    fn each_seed_has_a_cutoff_of_its_own() {
        let store = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let (cell, donor) = (schema.node_type("cell").unwrap(), schema.node_type("donor").unwrap());
        writer.nodes(cell, &["c1", "c2", "c3", "c4"].map(String::from)).unwrap();
        writer.nodes(donor, &["d".to_owned()]).unwrap();
        let times = [Some(20), Some(10), Some(30), None].map(|time| time.map(relata_schema::Value::Time));
        writer.column(cell, schema.node_attribute(cell, "time").unwrap(), &times).unwrap();
        let edges = EdgeData { sources: vec![0, 1, 2, 3], targets: vec![0; 4], ..EdgeData::default() };
        writer.relation(schema.relation("from_donor").unwrap(), &edges).unwrap();
        writer.publish(&[]).unwrap();
        let out = store.path().join("out");
        let sample = ["--type", "cell", "--cutoff-of", "time", "--missing-time", "drop"];
        let known = ["--where", "time is known", "--out", out.to_str().unwrap(), "--quiet"];
        args(&store, &[&sample[..], &known].concat()).run().unwrap();
        let file = std::fs::File::open(out.join("part-00000.arrow")).unwrap();
        let mut rows = Vec::new();
        for batch in arrow_ipc::reader::FileReader::try_new(file, None).unwrap().map(Result::unwrap) {
            let cutoffs = batch.column_by_name("cutoff").unwrap().as_primitive::<Int64Type>().clone();
            for (row, &cutoff) in cutoffs.values().iter().enumerate() {
                let nodes = batch.column_by_name("cell.node").unwrap().as_list::<i32>().value(row);
                let mut nodes = nodes.as_primitive::<UInt32Type>().values().to_vec();
                nodes.sort_unstable();
                rows.push((cutoff, nodes));
            }
        }
        assert_eq!(rows, [(20, vec![0, 1]), (10, vec![1]), (30, vec![0, 1, 2])]);
        let manifest: Value = serde_json::from_slice(&std::fs::read(out.join("manifest.json")).unwrap()).unwrap();
        assert_eq!((&manifest["own_cutoffs"], &manifest["sampler"]["cutoff"]), (&true.into(), &30.into()));
        // One is printed, of several there are as many cutoffs.
        args(&store, &[&sample[..], &["--key", "c1"]].concat()).run().unwrap();
        let refused = args(&store, &[&sample[..], &["--key", "c1", "--key", "c2"]].concat()).run().unwrap_err().to_string();
        assert!(refused.starts_with("--cutoff-of: found 2 seeds, expected one, or `--out`"), "{refused}");
        let refused = args(&store, &[&sample[..], &["--all"]].concat()).run().unwrap_err().to_string();
        assert!(refused.contains("found no `time` of 1 of 4 seeds, the first `c4`"), "{refused}");
        for more in [["--cutoff", "3"], ["--batch", "2"]] {
            let more = [&["--out", "x", "--all"], &sample[..], &more].concat();
            assert!(arguments::<Args>(store.path(), &more).is_err(), "{more:?}");
        }
    }

    #[test]
    fn a_task_s_subgraphs_show_no_target_but_those_of_training_rows_beside_the_seed() {
        let store = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let cell = schema.node_type("cell").unwrap();
        // Twelve cells that share a gene, so that each is two steps from any other.
        writer.nodes(cell, &(0..12).map(|at| format!("c{at:02}")).collect::<Vec<_>>()).unwrap();
        writer.nodes(schema.node_type("gene").unwrap(), &["g".to_owned()]).unwrap();
        let category = |name: &str| Some(relata_schema::Value::Category(name.to_owned()));
        let labels: Vec<_> = (0..12).map(|at| category(if at % 2 == 0 { "A" } else { "B" })).collect();
        for name in ["celltype", "subpopulation", "batch"] {
            writer.column(cell, schema.node_attribute(cell, name).unwrap(), &labels).unwrap();
        }
        let edges = EdgeData { sources: (0..12).collect(), targets: vec![0; 12], ..EdgeData::default() };
        writer.relation(schema.relation("expresses").unwrap(), &edges).unwrap();
        writer.publish(&[]).unwrap();
        let task = store.path().join("task.toml");
        let text = "[task]\nnode = \"cell\"\ntarget = \"celltype\"\nhide = [\"cell.subpopulation\"]\n[split]\nfolds = 3\n";
        std::fs::write(&task, text).unwrap();
        let snapshot = Snapshot::current(store.path()).unwrap();
        let task_of = relata::task::Task::read(&task, &schema).unwrap();
        let fold = relata::task::folds(&snapshot, &task_of).unwrap().swap_remove(1);
        for (part, rows) in [("train", &fold.train), ("test", &fold.test)] {
            let out = store.path().join(part);
            let more =
                ["--task", task.to_str().unwrap(), "--fold", "1", "--part", part, "--out", out.to_str().unwrap(), "--quiet"];
            args(&store, &[&["--walk", "neighbour", "--fanout", "99"], &more[..]].concat()).run().unwrap();
            let file = std::fs::File::open(out.join("part-00000.arrow")).unwrap();
            let batches: Vec<_> = arrow_ipc::reader::FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect();
            let mut seen = 0;
            for batch in &batches {
                let list = |name: &str| batch.column_by_name(name).unwrap().as_list::<i32>().clone();
                for row in 0..batch.num_rows() {
                    let values = |name: &str| list(name).value(row);
                    let nodes = values("cell.node").as_primitive::<UInt32Type>().values().to_vec();
                    let names = |name: &str| {
                        let values = values(name);
                        let values = values.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
                        values.into_iter().map(|name| name.map(str::to_owned)).collect::<Vec<_>>()
                    };
                    let label = |node: u32| Some(if node.is_multiple_of(2) { "A" } else { "B" }.to_owned());
                    let seed = rows[seen];
                    let shown = |&node: &u32| if node != seed && fold.train.contains(&node) { label(node) } else { None };
                    assert_eq!((nodes[0], nodes.len()), (seed, 12));
                    assert_eq!(names("cell.celltype"), nodes.iter().map(shown).collect::<Vec<_>>());
                    assert_eq!(names("cell.subpopulation"), vec![None; 12]);
                    assert_eq!(names("cell.batch"), nodes.iter().map(|&node| label(node)).collect::<Vec<_>>());
                    assert_eq!(names("target"), [label(seed)]);
                    seen += 1;
                }
            }
            assert_eq!(seen, rows.len());
        }
    }

    #[test]
    fn what_is_misspelt_or_misplaced_is_answered_with_what_would_do() {
        let store = store();
        for (more, expected) in [
            (&["--type", "cel", "--key", "c1"][..], "did you mean `cell`"),
            (&["--type", "cell", "--key", "c3"], "did you mean `c1`"),
            (&["--type", "cell", "--key", "c1", "--relations", "expreses"], "did you mean `expresses`"),
            (&["--type", "cell", "--key", "c1", "--fanout", "3"], "--fanout belongs to `--walk neighbour`"),
            (&["--type", "cell", "--key", "c1", "--walk", "neighbour", "--width", "3"], "--width belongs to `--walk context`"),
            (&["--type", "cell", "--key", "c1", "--walk", "neighbour", "--fanout", "3,2", "--hops", "3"], "expected one, or 3"),
            (&["--type", "cell", "--key", "c1", "--hops", "4000000000"], "--hops: found 4000000000, expected 1 to 64"),
            (&["--type", "cell", "--key", "c1", "--tokens", "0"], "tokens: found 0"),
            (&["--type", "donor", "--count", "1"], "--count: the snapshot has no donor"),
            (&["--type", "donor", "--all"], "--all: the snapshot has no donor"),
            (&["--type", "cell", "--all", "--out", "x", "--batch", "0"], "--batch: found 0"),
            (&["--type", "cell", "--all", "--out", "x", "--shard-rows", "0"], "--shard-rows: found 0"),
            (&["--type", "cell", "--count", "0", "--out", "x"], "seeds: found none"),
            (&["--type", "cell", "--all", "--choice", "best"], "--choice: choice: found `best`, expected `uniform`"),
            (&["--type", "cell", "--all", "--cutoff", "1", "--time-of", "cell"], "--time-of: found `cell`, expected"),
            (&["--type", "cell", "--all", "--cutoff", "1", "--time-of", "cell.batch"], "found `batch`, a category"),
            (&["--type", "cell", "--all", "--cutoff-of", "tme"], "did you mean `time`"),
            (
                &["--type", "cell", "--all", "--cutoff-of", "time"],
                "--cutoff-of: found no `time` of 2 of 2 seeds, the first `c1`, expected one of each",
            ),
        ] {
            let error = format!("{:#}", args(&store, more).run().unwrap_err());
            assert!(error.contains(expected), "{error}, expected: {expected}");
        }
    }
}
