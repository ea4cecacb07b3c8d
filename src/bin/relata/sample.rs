use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use relata::export::Options;
use relata::export::subgraphs::{Drawing, Grouping, ShardFormat, Shards, to_shards};
use relata::sampler::random::Key;
use relata::sampler::{Costs, Listed, MOST_HOPS, MissingTime, SampledEdge, Sampler, SamplerConfig, Subgraph, Walk};
use relata::snapshot::{EdgeColumn, Hit, Snapshot};
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId};
use serde::Serialize;
use serde_json::Value;

use crate::export::Summary;
use crate::info::{drawn, grouped};

/// Nodes and edges that are printed for people; JSON has them all.
const SHOWN: usize = 10;

/// Subgraphs of a shard, unless told otherwise.
const SHARD_ROWS: u64 = 10_000;

/// Draw one subgraph around seed nodes and print it; or, with `--out`, subgraphs around many, as files for other programs.
#[derive(clap::Args)]
pub struct Args {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Node type of the seeds
    #[arg(long = "type", value_name = "TYPE")]
    node_type: String,
    /// A seed: its key, or a label or identifier that only one node has; repeat for more
    #[arg(long = "key", value_name = "KEY", required_unless_present_any = ["count", "all"])]
    keys: Vec<String>,
    /// So many seeds by lot instead
    #[arg(long, conflicts_with_all = ["keys", "all"])]
    count: Option<u32>,
    /// All nodes of the type as seeds
    #[arg(long, conflicts_with = "keys")]
    all: bool,
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
    /// How edges are chosen
    #[arg(long, value_enum, default_value_t = WalkName::Context)]
    walk: WalkName,
    /// Steps from a seed [default: 2]
    #[arg(long)]
    hops: Option<u32>,
    /// Neighbour walk: edges of each relation and direction that a node takes, one number for all hops or one a hop
    /// [default: 10]
    #[arg(long, value_delimiter = ',')]
    fanout: Vec<u32>,
    /// Context walk: edges of each relation and direction that a node takes [default: all]
    #[arg(long)]
    width: Option<u32>,
    /// Context walk: the budget, where a row costs a token an attribute, at least one [default: 1024]
    #[arg(long)]
    tokens: Option<u32>,
    /// Relations to follow, by name [default: all]
    #[arg(long, value_delimiter = ',')]
    relations: Vec<String>,
    /// Take no edge later than this, in the unit of the time attributes
    #[arg(long, allow_negative_numbers = true)]
    cutoff: Option<i64>,
    /// What a cutoff does with edges of a dated relation that have no time
    #[arg(long, value_enum, default_value_t = MissingTimeName::Keep, requires = "cutoff")]
    missing_time: MissingTimeName,
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

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum WalkName {
    /// A fanout per hop and relation
    Neighbour,
    /// Breadth-first under a budget of tokens
    Context,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MissingTimeName {
    Keep,
    Drop,
}

/// The subgraph with names, as JSON has it: the form of the server's `/v1/subgraph`.
#[derive(Serialize)]
struct Named<'s> {
    snapshot: String,
    nodes: Vec<NamedNode<'s>>,
    edges: Vec<NamedEdge>,
}

#[derive(Serialize)]
struct NamedNode<'s> {
    #[serde(rename = "type")]
    node_type: &'s str,
    key: &'s str,
    label: &'s str,
    hop: u16,
    seed: bool,
}

/// `source` and `target` are positions in `nodes`, in the relation's own direction.
#[derive(Serialize)]
struct NamedEdge {
    relation: String,
    source: u32,
    target: u32,
    #[serde(flatten)]
    carried: Carried,
}

/// What an edge carries.
#[derive(Serialize)]
pub struct Carried {
    time: Option<i64>,
    /// Missing ones are null.
    attributes: BTreeMap<String, Value>,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let snapshot = Snapshot::current_checked(&self.store)?;
        let seeds = self.seeds(&snapshot)?;
        let sampler = Sampler::new(&snapshot, self.config(&snapshot)?)?;
        if let Some(out) = &self.out {
            return self.write(sampler, seeds, out);
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

    /// Writes the subgraphs around `seeds`, in their order, as shards.
    fn write(&self, sampler: Sampler, seeds: Vec<Hit>, out: &Path) -> anyhow::Result<()> {
        let start = Instant::now();
        let grouping = match (self.each, self.batch) {
            (true, _) | (_, None) => Grouping::Each,
            (_, Some(0)) => bail!("--batch: found 0, expected 1 at least"),
            (_, Some(seeds)) => Grouping::Batch(seeds),
        };
        let format = match self.format {
            None | Some(FormatName::Arrow) => ShardFormat::Arrow,
            Some(FormatName::Parquet) => ShardFormat::Parquet,
        };
        let rows = self.shard_rows.unwrap_or(SHARD_ROWS);
        if rows == 0 {
            bail!("--shard-rows: found 0, expected 1 at least");
        }
        let drawing = Drawing::new(sampler, 0, seeds, grouping, self.with_keys)?;
        let options = Options { overwrite: self.overwrite, quiet: self.quiet };
        let exported = to_shards(drawing, out, Shards { format, rows }, options)?;
        Summary::of(exported, start).show(self.json)
    }

    fn seeds(&self, snapshot: &Snapshot) -> anyhow::Result<Vec<Hit>> {
        let node_type = snapshot.schema().node_type(&self.node_type)?;
        if self.count.is_none() && !self.all {
            let seed = |key: &String| Ok(Hit { node_type, node: snapshot.resolve(node_type, key)? });
            return self.keys.iter().map(seed).collect();
        }
        let nodes = snapshot.node_count(node_type) as usize;
        if nodes == 0 {
            let option = if self.all { "all" } else { "count" };
            bail!("--{option}: the snapshot has no {}; `relata info` lists what it has", self.node_type);
        }
        let Some(count) = self.count else {
            return Ok((0..nodes as u32).map(|node| Hit { node_type, node }).collect());
        };
        let mut chosen = Vec::new();
        let mut random = Key::new("relata sample seeds", self.seed).random();
        random.choose(0..nodes, count as usize, |_| true, &mut chosen);
        Ok(chosen.into_iter().map(|node| Hit { node_type, node: node as u32 }).collect())
    }

    fn config(&self, snapshot: &Snapshot) -> anyhow::Result<SamplerConfig> {
        let schema = snapshot.schema();
        let hops = self.hops.unwrap_or(2);
        if hops == 0 || hops as usize > MOST_HOPS {
            bail!("--hops: found {hops}, expected 1 to {MOST_HOPS}");
        }
        let misplaced = |option: &str, walk: &str| bail!("--{option} belongs to `--walk {walk}`");
        let walk = match self.walk {
            WalkName::Neighbour if self.tokens.is_some() => misplaced("tokens", "context")?,
            WalkName::Neighbour if self.width.is_some() => misplaced("width", "context")?,
            WalkName::Context if !self.fanout.is_empty() => misplaced("fanout", "neighbour")?,
            WalkName::Neighbour => match (self.fanout.as_slice(), self.hops) {
                ([], _) => Walk::neighbour(vec![10; hops as usize]),
                (&[fanout], _) => Walk::neighbour(vec![fanout; hops as usize]),
                (fanouts, Some(hops)) if fanouts.len() != hops as usize => {
                    bail!("--fanout: found {} numbers, expected one, or {hops}: one a hop", fanouts.len())
                }
                (fanouts, _) => Walk::neighbour(fanouts),
            },
            WalkName::Context => Walk::Context {
                tokens: self.tokens.unwrap_or(1024),
                hops,
                width: self.width,
                width_of: Vec::new(),
                costs: Costs::of_attributes(schema),
            },
        };
        let relations: Vec<RelationId> = if self.relations.is_empty() {
            schema.relation_ids().collect()
        } else {
            self.relations.iter().map(|name| schema.relation(name)).collect::<Result<_, _>>()?
        };
        let missing_time = match self.missing_time {
            MissingTimeName::Keep => MissingTime::Keep,
            MissingTimeName::Drop => MissingTime::Drop,
        };
        let listed = Listed::Once;
        Ok(SamplerConfig { cutoff: self.cutoff, missing_time, listed, seed: self.seed, ..SamplerConfig::new(walk, relations) })
    }
}

impl<'s> Named<'s> {
    fn of(snapshot: &'s Snapshot, subgraph: &Subgraph) -> Self {
        let named = |(place, node): (u32, &relata::sampler::SampledNode)| NamedNode {
            node_type: &snapshot.schema().node(node.node_type).name,
            key: snapshot.key(node.node_type, node.node),
            label: snapshot.label(node.node_type, node.node),
            hop: node.hop,
            seed: subgraph.seeds.contains(&place),
        };
        let mut categories = BTreeMap::new();
        Self {
            snapshot: snapshot.id().to_string(),
            nodes: (0..).zip(&subgraph.nodes).map(named).collect(),
            edges: subgraph.edges.iter().map(|edge| NamedEdge::of(snapshot, &edge, &mut categories)).collect(),
        }
    }

    fn print(&self, snapshot: &Snapshot, subgraph: &Subgraph) {
        let schema = snapshot.schema();
        let count = |number: usize| grouped(number as u64);
        let (nodes, edges) = (count(self.nodes.len()), count(self.edges.len()));
        println!("snapshot {}: {} seeds, {nodes} nodes, {edges} edges\n", self.snapshot, count(subgraph.seeds.len()));

        let hops = self.nodes.iter().map(|node| usize::from(node.hop) + 1).max().unwrap_or_default();
        let mut by_type: BTreeMap<NodeTypeId, Vec<usize>> = BTreeMap::new();
        for node in &subgraph.nodes {
            by_type.entry(node.node_type).or_insert_with(|| vec![0; hops])[usize::from(node.hop)] += 1;
        }
        let titles: Vec<String> = (0..hops).map(|hop| format!("hop {hop}")).collect();
        let header: Vec<&str> = ["node type"].into_iter().chain(titles.iter().map(String::as_str)).collect();
        let mut table = drawn(&header, &(1..=hops).collect::<Vec<_>>());
        for (node_type, counts) in by_type {
            table.add_row([schema.node(node_type).name.clone()].into_iter().chain(counts.into_iter().map(count)));
        }
        println!("{table}\n");

        let mut by_relation: BTreeMap<RelationId, [usize; 2]> = BTreeMap::new();
        for edge in subgraph.edges.iter() {
            by_relation.entry(edge.relation).or_default()[usize::from(edge.direction == Direction::Incoming)] += 1;
        }
        let mut table = drawn(&["relation", "outgoing", "incoming"], &[1, 2]);
        for (relation, counts) in by_relation {
            table.add_row([schema.relation_title(relation)].into_iter().chain(counts.map(count)));
        }
        println!("{table}\n");

        let mut table = drawn(&["node", "key", "label", "hop"], &[3]);
        for node in self.nodes.iter().take(SHOWN) {
            table.add_row([node.node_type.to_owned(), node.key.to_owned(), node.label.to_owned(), node.hop.to_string()]);
        }
        println!("{table}\n");

        let mut table = drawn(&["source", "edge", "target", "attributes"], &[]);
        for edge in self.edges.iter().take(SHOWN) {
            let end = |place: u32| self.nodes[place as usize].label.to_owned();
            table.add_row([end(edge.source), edge.relation.clone(), end(edge.target), edge.carried.shown()]);
        }
        println!("{table}");
        if self.nodes.len().max(self.edges.len()) > SHOWN {
            println!("At most {SHOWN} nodes and edges are shown; `--json` prints all.");
        }
    }
}

impl NamedEdge {
    fn of<'s>(snapshot: &'s Snapshot, edge: &SampledEdge, categories: &mut Categories<'s>) -> Self {
        let (source, target) = edge.ends();
        let carried = Carried::of(snapshot, (edge.relation, edge.direction, edge.position as usize), categories);
        Self { relation: snapshot.schema().relation_title(edge.relation), source, target, carried }
    }
}

/// The names of the codes of an edge attribute that was met.
pub type Categories<'s> = BTreeMap<(RelationId, AttributeId), Vec<&'s str>>;

impl Carried {
    /// Of an edge, by its place in a relation's adjacency.
    pub fn of<'s>(
        snapshot: &'s Snapshot,
        (relation, direction, at): (RelationId, Direction, usize),
        categories: &mut Categories<'s>,
    ) -> Self {
        let mut attributes = BTreeMap::new();
        for (id, attribute) in (0..).map(AttributeId).zip(&snapshot.schema().edge(relation).attributes) {
            let value = match snapshot.edge_column(relation, direction, id) {
                _ if attribute.kind == AttributeKind::Time => continue,
                EdgeColumn::Number(numbers) => {
                    numbers.get(at).filter(|number| !number.is_nan()).map(|&number| match attribute.kind {
                        AttributeKind::Boolean => Value::from(number != 0.0),
                        AttributeKind::Count => Value::from(number as u64),
                        _ => Value::from(number),
                    })
                }
                EdgeColumn::Category(codes) => {
                    let names = categories.entry((relation, id)).or_insert_with(|| snapshot.edge_categories(relation, id));
                    codes.get(at).and_then(|&code| names.get(code as usize)).map(|&name| Value::from(name))
                }
            };
            attributes.insert(attribute.name.clone(), value.unwrap_or(Value::Null));
        }
        let times = snapshot.adjacency(relation, direction).times;
        Self { time: times.get(at), attributes }
    }

    /// `at 12, count 3`
    pub fn shown(&self) -> String {
        let time = self.time.map(|time| format!("at {time}"));
        let known = self.attributes.iter().filter(|(_, value)| !value.is_null());
        time.into_iter().chain(known.map(|(name, value)| format!("{name} {value}"))).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use relata::snapshot::{EdgeData, SnapshotWriter};
    use relata_schema::{EdgeValue, Schema};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

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
        let start = ["sample", "--store", store.path().to_str().unwrap()];
        Cli::parse_from(start.into_iter().chain(more.iter().copied())).args
    }

    #[test]
    fn a_subgraph_is_named_as_the_server_names_it() {
        let store = store();
        let snapshot = Snapshot::current(store.path()).unwrap();
        let args = args(&store, &["--type", "cell", "--key", "c1", "--hops", "1"]);
        let sampler = Sampler::new(&snapshot, args.config(&snapshot).unwrap()).unwrap();
        let subgraph = sampler.sample(&args.seeds(&snapshot).unwrap(), 0).unwrap();
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
    fn both_walks_run_and_print() {
        let store = store();
        for more in [
            &["--type", "gene", "--key", "g1", "--key", "g2", "--walk", "neighbour", "--fanout", "5,1", "--json"][..],
            &["--type", "gene", "--key", "G1", "--walk", "neighbour", "--hops", "3", "--relations", "interacts,expresses"],
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
        ] {
            let error = format!("{:#}", args(&store, more).run().unwrap_err());
            assert!(error.contains(expected), "{error}, expected: {expected}");
        }
    }
}
