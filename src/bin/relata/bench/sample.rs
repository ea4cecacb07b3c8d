use std::path::PathBuf;
use std::time::{Duration, Instant};

use relata::sampler::{Costs, Retrieval, Sampler, SamplerConfig, Subgraph, Walk};
use relata::snapshot::{Hit, Snapshot};
use relata_schema::{RelationId, Schema};
use serde::Serialize;

use super::seeds;
use crate::info::{drawn, grouped};

/// How many subgraphs this machine draws a second, and what an edge of them costs.
#[derive(clap::Args)]
pub struct Sample {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// The node type of the seeds
    #[arg(long = "type", value_name = "TYPE")]
    node_type: String,
    /// What is drawn; all that can be, if left out
    #[arg(long, value_enum, value_delimiter = ',')]
    walks: Vec<Kind>,
    /// Edges of each relation and direction that a node takes, one number a hop
    #[arg(long, value_delimiter = ',', default_value = "20,10")]
    fanout: Vec<u32>,
    /// Seeds of a batch
    #[arg(long, default_value_t = 1024)]
    batch: usize,
    /// Batches that are measured; the median counts
    #[arg(long, default_value_t = 20)]
    batches: usize,
    /// Batches that are drawn before: they bring pages into memory
    #[arg(long, default_value_t = 2)]
    warm_up: usize,
    /// A file with a key in each line, of seeds [default: random ones]
    #[arg(long)]
    seeds: Option<PathBuf>,
    /// The cutoff of `temporal`, in the unit of the time attributes
    #[arg(long, allow_negative_numbers = true)]
    cutoff: Option<i64>,
    /// Only edges have times for `temporal`: the nodes always were
    #[arg(long)]
    edge_times_only: bool,
    /// Threads that draw [default: all]
    #[arg(long)]
    threads: Option<usize>,
    /// Draw from a copy in memory, in large pages
    #[arg(long)]
    in_memory: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// One subgraph around each batch, with the fanouts
    Merged,
    /// One subgraph around each seed, with the fanouts
    Each,
    /// The same, all of a batch kept until its end
    EachKept,
    /// One around each seed, with a cutoff
    Temporal,
    /// A context of 1,024 tokens around each seed, a token an attribute
    Context,
    /// The same, a token a row
    ContextOfRows,
    /// A context of 8,192 tokens around each seed and the rows like it, by 10,000 random walks of 20 steps
    Retrieval,
}

#[derive(Serialize)]
struct Report {
    snapshot: String,
    threads: usize,
    in_memory: bool,
    batch: usize,
    walks: Vec<Measured>,
}

#[derive(Serialize)]
struct Measured {
    walk: Kind,
    /// By the median batch.
    seeds_per_second: f64,
    edges_per_second: f64,
    edges_per_seed: f64,
    nodes_per_seed: f64,
    ns_per_edge: f64,
    /// Of the median batch, divided by its seeds and multiplied by the threads.
    ms_per_seed: f64,
}

impl Sample {
    pub fn run(self) -> anyhow::Result<()> {
        let mut snapshot = Snapshot::current(&self.store)?;
        if self.in_memory {
            snapshot = snapshot.in_memory()?;
        }
        let from = snapshot.schema().node_type(&self.node_type)?;
        let nodes = seeds(&snapshot, from, self.seeds.as_deref(), self.batch * (self.batches.max(1) + self.warm_up))?;
        let seeds: Vec<Hit> = nodes.into_iter().map(|node| Hit { node_type: from, node }).collect();
        let mut pool = rayon::ThreadPoolBuilder::new();
        if let Some(threads) = self.threads {
            pool = pool.num_threads(threads);
        }
        let pool = pool.build()?;
        let all = [Kind::Merged, Kind::Each, Kind::EachKept, Kind::Temporal, Kind::Context, Kind::ContextOfRows, Kind::Retrieval];
        let asked = if self.walks.is_empty() { &all[..] } else { &self.walks };
        let asked = asked.iter().filter(|&&kind| kind != Kind::Temporal || self.cutoff.is_some() || !self.walks.is_empty());
        let mut walks = Vec::new();
        for &kind in asked {
            let sampler = Sampler::new(&snapshot, self.config(snapshot.schema(), kind)?)?;
            walks.push(pool.install(|| self.measured(kind, &sampler, &seeds))?);
        }
        snapshot.intact()?;
        let threads = pool.current_num_threads();
        let report = Report { snapshot: snapshot.id().to_string(), threads, in_memory: self.in_memory, batch: self.batch, walks };
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            report.print();
        }
        Ok(())
    }

    fn config(&self, schema: &Schema, kind: Kind) -> anyhow::Result<SamplerConfig> {
        let relations: Vec<RelationId> = schema.relation_ids().collect();
        let rows = || Costs { nodes: vec![1; schema.node_types().len()], edges: vec![1; relations.len()] };
        let walk = match kind {
            Kind::Merged | Kind::Each | Kind::EachKept | Kind::Temporal => Walk::neighbour(self.fanout.clone()),
            Kind::Context => Walk::context(1024, 2, Costs::of_attributes(schema)),
            Kind::ContextOfRows => Walk::context(1024, 2, rows()),
            Kind::Retrieval => Walk::context(8192, 2, Costs::of_attributes(schema)),
        };
        let mut config = SamplerConfig::new(walk, relations);
        if kind == Kind::Temporal {
            anyhow::ensure!(self.cutoff.is_some(), "--walks temporal needs a --cutoff, in the unit of the time attributes");
            config.cutoff = self.cutoff;
            if self.edge_times_only {
                config.time_of = schema.node_type_ids().map(|id| (id, None)).collect();
            }
        }
        if kind == Kind::Retrieval {
            config.retrieval = Some(Retrieval { walks: 10_000, steps: 20, rows: 16 });
        }
        Ok(config)
    }

    fn measured(&self, kind: Kind, sampler: &Sampler, seeds: &[Hit]) -> relata::Result<Measured> {
        let threads = rayon::current_num_threads();
        // Retrieval takes milliseconds a seed.
        let size = if kind == Kind::Retrieval { self.batch.div_ceil(32) } else { self.batch };
        let batches: Vec<&[Hit]> = seeds.chunks(size.max(1)).filter(|batch| batch.len() == size.min(seeds.len())).collect();
        // A merged subgraph is one thread's work: as many at a time as there are threads.
        let at_once = if kind == Kind::Merged { threads } else { 1 };
        let draw = |round: usize| -> relata::Result<(Duration, usize, Vec<[usize; 2]>)> {
            let some: Vec<&[Hit]> = (0..at_once).map(|at| batches[(round * at_once + at) % batches.len()]).collect();
            let begun = Instant::now();
            let (elapsed, drawn) = match kind {
                Kind::Merged => {
                    let extents = sampler.map_batches(&some, round as u64, |_, subgraph| extent(subgraph))?;
                    (begun.elapsed(), extents)
                }
                Kind::EachKept => kept(begun, sampler.sample_each(some[0], round as u64)?),
                Kind::Retrieval => {
                    let one = |&seed: &Hit| sampler.sample(&[seed], round as u64);
                    kept(begun, some[0].iter().map(one).collect::<Result<Vec<_>, _>>()?)
                }
                Kind::Each | Kind::Temporal | Kind::Context | Kind::ContextOfRows => {
                    let sizes = sampler.map_each(some[0], round as u64, |_, subgraph| extent(subgraph))?;
                    (begun.elapsed(), sizes)
                }
            };
            Ok((elapsed, some.iter().map(|batch| batch.len()).sum(), drawn))
        };
        (self.batches..self.batches + self.warm_up).try_for_each(|round| draw(round).map(|_| ()))?;
        let (mut rates, mut edges, mut nodes, mut count) = (Vec::new(), 0, 0, 0);
        for round in 0..self.batches.max(1) {
            let (elapsed, seeds, drawn) = draw(round)?;
            rates.push(elapsed.as_secs_f64() / seeds as f64);
            count += seeds;
            edges += drawn.iter().map(|[_, edges]| edges).sum::<usize>();
            nodes += drawn.iter().map(|[nodes, _]| nodes).sum::<usize>();
        }
        rates.sort_by(f64::total_cmp);
        let seconds = rates[rates.len() / 2];
        let edges_per_seed = edges as f64 / count as f64;
        Ok(Measured {
            walk: kind,
            seeds_per_second: 1.0 / seconds,
            edges_per_second: edges_per_seed / seconds,
            edges_per_seed,
            nodes_per_seed: nodes as f64 / count as f64,
            ns_per_edge: seconds / edges_per_seed * 1e9,
            ms_per_seed: seconds * 1e3 * if kind == Kind::Retrieval { 1.0 } else { threads as f64 },
        })
    }
}

/// Nodes and edges.
fn extent(subgraph: &mut Subgraph) -> [usize; 2] {
    [subgraph.nodes.len(), subgraph.edges.len()]
}

/// How long subgraphs took that are all there, and their sizes.
fn kept(begun: Instant, mut drawn: Vec<Subgraph>) -> (Duration, Vec<[usize; 2]>) {
    let elapsed = begun.elapsed();
    (elapsed, drawn.iter_mut().map(extent).collect())
}

impl Report {
    fn print(&self) {
        let place = if self.in_memory { "memory" } else { "its file" };
        println!("snapshot {} in {place}, {} threads, batches of {} seeds\n", self.snapshot, self.threads, self.batch);
        let header = ["walk", "seeds/s", "edges/s", "edges a seed", "nodes a seed", "ns an edge", "ms a seed"];
        let mut table = drawn(&header, &[1, 2, 3, 4, 5, 6]);
        for row in &self.walks {
            let name = serde_json::to_value(row.walk).ok().and_then(|name| name.as_str().map(str::to_owned));
            table.add_row([
                name.unwrap_or_default().replace('_', " "),
                grouped(row.seeds_per_second as u64),
                grouped(row.edges_per_second as u64),
                format!("{:.1}", row.edges_per_seed),
                format!("{:.1}", row.nodes_per_seed),
                format!("{:.1}", row.ns_per_edge),
                format!("{:.3}", row.ms_per_seed),
            ]);
        }
        println!("{table}");
    }
}
