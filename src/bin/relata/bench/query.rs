use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use relata::snapshot::{EdgeColumn, Marks, Snapshot, Walk};
use relata::store::Store;
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId};
use serde::Serialize;

use super::seeds;
use crate::info::{drawn, grouped};

/// How long one answer takes, in the process: neighbours from the snapshot and from the store, walks of several steps.
#[derive(clap::Args)]
pub struct Query {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// The node type that walks begin at
    #[arg(long = "type", value_name = "TYPE")]
    node_type: String,
    /// Relations to walk, in order, `<` before one that is walked from target to source: `expresses,<regulates`. Repeat
    /// the option for more walks
    #[arg(long = "walk", required = true)]
    walks: Vec<String>,
    /// A file with a key in each line, of nodes to begin at [default: random ones]
    #[arg(long)]
    seeds: Option<PathBuf>,
    /// How many nodes to begin at
    #[arg(long, default_value_t = 1000)]
    queries: usize,
    /// How many ways of a walk of several steps are listed
    #[arg(long, default_value_t = 100)]
    first: usize,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Serialize)]
struct Report {
    snapshot: String,
    /// Opening the snapshot, in milliseconds.
    open_ms: f64,
    queries: Vec<Measured>,
}

/// One kind of answer, over all nodes that it was begun at.
#[derive(Serialize)]
struct Measured {
    walk: String,
    /// `edges` (all, with their first attribute), `store` (the same without a snapshot), `first` (so many ways) or
    /// `distinct` (how many different nodes).
    answer: &'static str,
    /// Rows of an answer, or nodes counted, on average.
    rows: f64,
    p50_us: f64,
    p99_us: f64,
    queries: usize,
}

impl Query {
    pub fn run(self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let snapshot = Snapshot::current(&self.store)?;
        let open_ms = begun.elapsed().as_secs_f64() * 1e3;
        let from = snapshot.schema().node_type(&self.node_type)?;
        let seeds = seeds(&snapshot, from, self.seeds.as_deref(), self.queries)?;
        let mut queries = Vec::new();
        for name in &self.walks {
            let steps = steps(&snapshot, name)?;
            let walk = Walk::new(&snapshot, from, &steps)?;
            if let [(relation, direction)] = steps[..] {
                queries.push(edges(&snapshot, relation, direction, name, &seeds));
                queries.push(from_store(&self.store, &snapshot, from, (relation, direction), name, &seeds)?);
            } else {
                queries.push(self.first(&walk, name, &seeds));
                let mut marks = Marks::default();
                let count = |&seed: &u32| walk.count_distinct(seed, &mut marks);
                queries.push(measured(name, "distinct", &seeds, count));
            }
        }
        let report = Report { snapshot: snapshot.id().to_string(), open_ms, queries };
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            report.print();
        }
        Ok(())
    }

    fn first(&self, walk: &Walk<'_>, name: &str, seeds: &[u32]) -> Measured {
        let mut rows: Vec<u32> = Vec::new();
        measured(name, "first", seeds, |&seed| {
            rows.clear();
            let mut ways = 0;
            if self.first > 0 {
                walk.ways(seed, |way| {
                    rows.extend_from_slice(way);
                    ways += 1;
                    ways < self.first
                });
            }
            black_box(&rows);
            ways as u64
        })
    }
}

/// The relations of a walk, as they are written on the command line.
fn steps(snapshot: &Snapshot, name: &str) -> anyhow::Result<Vec<(RelationId, Direction)>> {
    let step = |step: &str| {
        let (name, direction) = match step.trim().strip_prefix('<') {
            Some(name) => (name, Direction::Incoming),
            None => (step.trim(), Direction::Outgoing),
        };
        Ok((snapshot.schema().relation(name)?, direction))
    };
    name.split(',').map(step).collect()
}

/// All edges of a node with their first attribute, copied out.
fn edges(snapshot: &Snapshot, relation: RelationId, direction: Direction, name: &str, seeds: &[u32]) -> Measured {
    let adjacency = snapshot.adjacency(relation, direction);
    let attributes = &snapshot.schema().edge(relation).attributes;
    let first = attributes.iter().position(|attribute| attribute.kind != AttributeKind::Time);
    let column = first.map(|at| snapshot.edge_column(relation, direction, AttributeId(at as u16)));
    let mut rows: Vec<(u32, f32)> = Vec::new();
    measured(name, "edges", seeds, |&seed| {
        let range = adjacency.range(seed);
        rows.clear();
        match column {
            Some(EdgeColumn::Number(numbers)) if !numbers.is_empty() => {
                rows.extend(adjacency.targets[range.clone()].iter().copied().zip(numbers[range].iter().copied()));
            }
            _ => rows.extend(adjacency.targets[range].iter().map(|&far| (far, 0.0))),
        }
        black_box(&rows);
        rows.len() as u64
    })
}

/// The same from the store's blocks.
fn from_store(
    store: &Path,
    snapshot: &Snapshot,
    from: NodeTypeId,
    (relation, direction): (RelationId, Direction),
    name: &str,
    seeds: &[u32],
) -> anyhow::Result<Measured> {
    let store = Store::open(store)?;
    let nodes = seeds.iter().map(|&seed| store.find(from, snapshot.key(from, seed)));
    let nodes: Vec<u32> = nodes.collect::<relata::Result<Vec<_>>>()?.into_iter().flatten().collect();
    let mut failed = None;
    let measured = measured(name, "store", &nodes, |&node| match store.neighbors(relation, direction, node) {
        Ok(rows) => black_box(rows).len() as u64,
        Err(error) => {
            failed = Some(error);
            0
        }
    });
    failed.map_or(Ok(measured), |error| Err(error.into()))
}

fn measured<T>(walk: &str, answer: &'static str, over: &[T], mut ask: impl FnMut(&T) -> u64) -> Measured {
    // The first ones bring pages into memory.
    over.iter().rev().take(20).for_each(|one| {
        ask(one);
    });
    let mut rows = 0;
    let mut times: Vec<Duration> = over
        .iter()
        .map(|one| {
            let begun = Instant::now();
            rows += ask(one);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: f64| times.get(((times.len().saturating_sub(1)) as f64 * share) as usize).copied().unwrap_or_default();
    Measured {
        walk: walk.to_owned(),
        answer,
        rows: rows as f64 / over.len().max(1) as f64,
        p50_us: at(0.5).as_secs_f64() * 1e6,
        p99_us: at(0.99).as_secs_f64() * 1e6,
        queries: times.len(),
    }
}

impl Report {
    fn print(&self) {
        println!("snapshot {} opened in {:.2} ms\n", self.snapshot, self.open_ms);
        let mut table = drawn(&["walk", "answer", "rows", "p50 µs", "p99 µs", "queries"], &[2, 3, 4, 5]);
        for row in &self.queries {
            table.add_row([
                row.walk.clone(),
                row.answer.to_owned(),
                format!("{:.1}", row.rows),
                format!("{:.2}", row.p50_us),
                format!("{:.2}", row.p99_us),
                grouped(row.queries as u64),
            ]);
        }
        println!("{table}");
    }
}
