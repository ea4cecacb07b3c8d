//! Random neighbourhood queries, of a snapshot and straight from the store, beside the source tables, which are read plainly
//! here: after a load, an edit and the load of one table anew, each time also after the store was closed and opened again.
//!
//! ```text
//! RELATA_QUERIES=1000000 cargo test --release -p relata-ingest --test queries -- --nocapture
//! ```
//!
//! asks so many (by default 20,000) in the six states together; `RELATA_QUERIES_SEED` makes other tables and other queries.

mod plain;
#[path = "../faults/random.rs"]
#[allow(dead_code, reason = "the fault tests use the rest")]
mod random;
#[path = "../support/mod.rs"]
mod support;
mod tables;

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use relata::snapshot::{Adjacency, EdgeColumn, Marks, Snapshot, Walk};
use relata::store::{LoadOptions, Store};
use relata_ingest::{Manifest, Options, run};
use relata_schema::{AttributeId, Direction, EdgeValue, NodeTypeId, RelationId, Schema};

use plain::{CATEGORIES, Content, Edge, Graph, MISSING, RELATIONS, TYPES};
use random::{Random, number};
use support::Folder;

/// So little that each table becomes several segments.
const STAGING_BYTES: usize = 400 << 10;

/// Queries that one thread asks at a time.
const CHUNK: u64 = 100;

/// Loaded, edited, a table replaced; each then opened again.
const STATES: u64 = 6;

/// One list in this many is also asked for two steps from the store, which takes long.
const TWO_STEPS_EACH: u64 = 20;

fn load(folder: &Folder, manifest: &Path) {
    let load = LoadOptions { staging_bytes: STAGING_BYTES };
    let options = Options { quiet: true, load, ..Options::default() };
    run(&Manifest::read(manifest).unwrap(), &folder.path("s.relata"), options).unwrap();
}

/// A relation and direction of a snapshot, with what tells its numbers in those of a plain graph.
struct Side<'s> {
    adjacency: Adjacency<'s>,
    columns: Vec<EdgeColumn<'s>>,
    /// By attribute and code.
    categories: Vec<Vec<u32>>,
}

/// A snapshot and a store of the same content, and a plain graph of it.
struct Asked<'s> {
    graph: &'s Graph,
    snapshot: &'s Snapshot,
    store: &'s Store,
    /// By relation and direction.
    sides: Vec<[Side<'s>; 2]>,
    /// By relation, attribute and code of the store.
    categories: Vec<Vec<Vec<u32>>>,
    /// By type: the store's number of each plain node, and the plain number of each of the store's.
    numbers: Vec<(Vec<u32>, Vec<u32>)>,
}

fn category(name: &str) -> u32 {
    CATEGORIES.iter().position(|known| *known == name).unwrap_or_else(|| panic!("no table has {name}")) as u32
}

impl<'s> Asked<'s> {
    /// Also compares the nodes, which are numbered by their keys.
    fn of(graph: &'s Graph, snapshot: &'s Snapshot, store: &'s Store) -> Self {
        let schema = snapshot.schema();
        assert_eq!(schema, store.schema());
        let mut numbers = Vec::new();
        for (id, keys) in schema.node_type_ids().zip(&graph.keys) {
            let found: Vec<&str> = (0..snapshot.node_count(id)).map(|node| snapshot.key(id, node)).collect();
            assert!(found == *keys, "{}: found {} nodes, expected {}", schema.node(id).name, found.len(), keys.len());
            let plain: HashMap<&str, u32> = keys.iter().map(String::as_str).zip(0..).collect();
            // A number that the store gave once may be that of a key that is gone.
            let given: Vec<&str> = (0..).map_while(|number| store.key(id, number).ok()).collect();
            let theirs: Vec<u32> = given.iter().map(|key| plain.get(key).copied().unwrap_or(u32::MAX)).collect();
            let mut ours = vec![u32::MAX; keys.len()];
            (0..)
                .zip(&theirs)
                .filter(|&(_, &plain)| plain != u32::MAX)
                .for_each(|(number, &plain)| ours[plain as usize] = number);
            for gone in &graph.gone[id.index()] {
                assert_eq!((snapshot.find(id, gone), store.find(id, gone).unwrap()), (None, None), "{gone}");
            }
            numbers.push((ours, theirs));
        }
        let coded = |names: Vec<&str>| names.into_iter().map(category).collect::<Vec<u32>>();
        let attributes = |id: RelationId| (0..schema.edge(id).attributes.len() as u16).map(AttributeId);
        let side = |id: RelationId, direction| Side {
            adjacency: snapshot.adjacency(id, direction),
            columns: attributes(id).map(|at| snapshot.edge_column(id, direction, at)).collect(),
            categories: attributes(id).map(|at| coded(snapshot.edge_categories(id, at))).collect(),
        };
        let stored = |id: RelationId, at: AttributeId| match snapshot.edge_column(id, Direction::Outgoing, at) {
            EdgeColumn::Category(_) => coded(store.edge_categories(id, at).unwrap().iter().map(String::as_str).collect()),
            EdgeColumn::Number(_) => Vec::new(),
        };
        Self {
            graph,
            snapshot,
            store,
            sides: schema.relation_ids().map(|id| Direction::BOTH.map(|direction| side(id, direction))).collect(),
            categories: schema.relation_ids().map(|id| attributes(id).map(|at| stored(id, at)).collect()).collect(),
            numbers,
        }
    }

    /// A node's edges in the snapshot, in its order.
    fn in_snapshot(&self, relation: usize, direction: Direction, node: u32) -> Vec<Edge> {
        let Side { adjacency, columns, categories } = &self.sides[relation][usize::from(direction == Direction::Incoming)];
        let value = |at: usize, edge: usize| match columns[at] {
            EdgeColumn::Number(numbers) => numbers.get(edge).filter(|number| !number.is_nan()).map(|number| number.to_bits()),
            EdgeColumn::Category(codes) => {
                codes.get(edge).filter(|&&code| code != u32::MAX).map(|&code| categories[at][code as usize])
            }
        };
        let edge = |edge: usize| Edge {
            time: adjacency.times.get(edge),
            far: adjacency.targets[edge],
            values: std::array::from_fn(|at| if at < columns.len() { value(at, edge).unwrap_or(MISSING) } else { MISSING }),
        };
        adjacency.range(node).map(edge).collect()
    }

    /// The same straight from the store's blocks.
    fn in_store(&self, relation: usize, direction: Direction, node: u32) -> Vec<Edge> {
        let known = &RELATIONS[relation];
        let (near, far) = (&self.numbers[known.near(direction)].0, &self.numbers[known.far(direction)].1);
        let neighbors = self.store.neighbors(RelationId(relation as u16), direction, near[node as usize]).unwrap();
        let is_sorted = neighbors.is_sorted_by_key(|neighbor| (neighbor.time, neighbor.node));
        assert!(is_sorted, "by time, then by the number of the far node");
        let edge = |neighbor: &relata::store::Neighbor| Edge {
            time: neighbor.time,
            far: far[neighbor.node as usize],
            values: std::array::from_fn(|at| match neighbor.attributes.get(at) {
                None | Some(EdgeValue::Missing) => MISSING,
                Some(EdgeValue::Number(number)) => number.to_bits(),
                Some(EdgeValue::Category(code)) => self.categories[relation][at][*code as usize],
            }),
        };
        neighbors.iter().map(edge).collect()
    }

    /// One random query: all edges of a node in one relation, and all ways of two steps that begin with them.
    fn compare(&self, random: &mut Random, marks: &mut Marks) -> Counts {
        let start = random.below(TYPES.len() as u64) as usize;
        let node = random.below(self.graph.keys[start].len() as u64) as u32;
        let (relation, direction) = step(start, random);
        let expected = self.graph.edges(relation, direction, node);
        let told =
            || format!("{} {}: {} ({direction})", TYPES[start], self.graph.keys[start][node as usize], RELATIONS[relation].name);
        let found = self.in_snapshot(relation, direction, node);
        assert!(found.is_sorted_by_key(|edge| (edge.time, edge.far)), "{}: by time, then far node", told());
        assert_same(found, expected, || format!("{}, from the snapshot", told()));
        let found = self.in_store(relation, direction, node);
        assert_same(found, expected, || format!("{}, from the store", told()));

        let (next, onward) = step(RELATIONS[relation].far(direction), random);
        let pair = |first: &Edge, second: &Edge| [first.far, second.far];
        let mut ways: Vec<[u32; 2]> = Vec::new();
        expected
            .iter()
            .for_each(|first| ways.extend(self.graph.edges(next, onward, first.far).iter().map(|second| pair(first, second))));
        ways.sort_unstable();
        let steps = [(relation, direction), (next, onward)].map(|(relation, direction)| (RelationId(relation as u16), direction));
        let walk = Walk::new(self.snapshot, NodeTypeId(start as u16), &steps).unwrap();
        let mut found = Vec::with_capacity(ways.len());
        walk.ways(node, |way| {
            found.push([way[0], way[1]]);
            true
        });
        found.sort_unstable();
        assert!(found == ways, "{}, then {} ({onward}): ways in the snapshot", told(), RELATIONS[next].name);
        let mut ends: Vec<u32> = ways.iter().map(|way| way[1]).collect();
        ends.sort_unstable();
        ends.dedup();
        let mut found = walk.distinct(node, marks).to_vec();
        found.sort_unstable();
        assert!(found == ends, "{}, then {} ({onward}): where it ends", told(), RELATIONS[next].name);
        let mut counts = Counts { one: expected.len() as u64, two: ways.len() as u64, stored: 0 };
        if random.below(TWO_STEPS_EACH) == 0 {
            let number = self.store.find(NodeTypeId(start as u16), &self.graph.keys[start][node as usize]).unwrap();
            assert_eq!(number, Some(self.numbers[start].0[node as usize]), "{}", told());
            for first in expected.chunk_by(|one, other| one.far == other.far).map(|edges| &edges[0]) {
                let found = self.in_store(next, onward, first.far);
                counts.stored += found.len() as u64;
                let middle = &self.graph.keys[RELATIONS[relation].far(direction)][first.far as usize];
                let told = || format!("{}, then {} ({onward}) of {middle}, from the store", told(), RELATIONS[next].name);
                assert_same(found, self.graph.edges(next, onward, first.far), told);
            }
        }
        counts
    }
}

fn assert_same(mut found: Vec<Edge>, expected: &[Edge], told: impl Fn() -> String) {
    found.sort_unstable();
    if found != expected {
        let first = found.iter().zip(expected).find(|(found, expected)| found != expected);
        panic!("{}: found {} edges, expected {}; the first that differ: {first:?}", told(), found.len(), expected.len());
    }
}

/// A relation and direction that lead from a type.
fn step(from: usize, random: &mut Random) -> (usize, Direction) {
    loop {
        let relation = random.below(RELATIONS.len() as u64) as usize;
        let direction = Direction::BOTH[random.below(2) as usize];
        if RELATIONS[relation].near(direction) == from {
            return (relation, direction);
        }
    }
}

/// Edges that answers had.
#[derive(Clone, Copy, Default)]
struct Counts {
    one: u64,
    two: u64,
    stored: u64,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self { one: self.one + other.one, two: self.two + other.two, stored: self.stored + other.stored }
    }
}

/// Random queries of a state, by all threads.
struct Queries {
    seed: u64,
    count: u64,
}

impl Queries {
    fn ask(&mut self, state: &str, graph: &Graph, store: &Store) {
        let begun = Instant::now();
        let snapshot = Snapshot::current(store.path()).unwrap();
        snapshot.verify().unwrap();
        let asked = Asked::of(graph, &snapshot, store);
        self.seed = Random(self.seed).next();
        let of_chunk = |at: u64| {
            let (mut random, mut marks) = (Random(self.seed ^ at.wrapping_mul(0x9e37_79b9)), Marks::default());
            let queries = (at * CHUNK)..((at + 1) * CHUNK).min(self.count);
            queries.map(|_| asked.compare(&mut random, &mut marks)).fold(Counts::default(), Counts::and)
        };
        let chunks = self.count.div_ceil(CHUNK);
        let Counts { one, two, stored } = (0..chunks).into_par_iter().map(of_chunk).reduce(Counts::default, Counts::and);
        println!(
            "{state}: {} queries in {:.1?}; {one} edges at one step, {two} at two, {stored} of them from the store",
            self.count,
            begun.elapsed()
        );
        assert!(one > self.count && two > one && stored > 0, "the queries meet edges");
        assert_eq!(snapshot.intact().map_err(|error| error.to_string()), Ok(()));
    }
}

#[test]
fn random_neighbourhoods_are_those_of_the_source_tables() {
    let seed = number("RELATA_QUERIES_SEED", 1);
    println!("RELATA_QUERIES_SEED={seed}");
    let mut random = Random(seed);
    let mut queries = Queries { seed, count: number("RELATA_QUERIES", 20_000).div_ceil(STATES) };
    let folder = Folder::new(&[]);
    let path = folder.path("s.relata");
    tables::write(&folder, &mut random);
    let mut content = Content::default();
    content.read_all(&folder);

    load(&folder, &folder.path("all.toml"));
    let mut store = Store::open(&path).unwrap();
    let segments = std::fs::read_dir(path.join("segments")).unwrap().count();
    assert!(segments > 2 * store.sources().len(), "{segments} segments of {} sources", store.sources().len());
    let mut graph = Graph::of(&content);
    queries.ask("loaded", &graph, &store);
    drop(store);
    store = Store::open(&path).unwrap();
    queries.ask("loaded, opened again", &graph, &store);

    for _ in 0..2 {
        let changes = content.change(&mut random);
        let lines: String = changes.iter().map(|change| format!("{}\n", change.line())).collect();
        let mut edit = store.edit().unwrap();
        relata::edit::apply(&mut edit, lines.as_bytes(), "changes").unwrap();
        edit.commit().unwrap();
    }
    store.snapshot(true).unwrap();
    graph = Graph::of(&content);
    queries.ask("edited", &graph, &store);
    drop(store);
    queries.ask("edited, opened again", &graph, &Store::open(&path).unwrap());

    tables::rewrite_one(&folder, &mut random);
    content.read_again(&folder, tables::REWRITTEN);
    load(&folder, &folder.path("one.toml"));
    store = Store::open(&path).unwrap();
    graph = Graph::of(&content);
    queries.ask("a table replaced", &graph, &store);
    drop(store);
    queries.ask("a table replaced, opened again", &graph, &Store::open(&path).unwrap());
}

/// What numbers relations, types and attributes here is what numbers them in the schema.
#[test]
fn relations_and_types_are_numbered_as_the_schema_has_them() {
    let schema = Schema::default().extended_by(tables::SCHEMA, "schema.toml").unwrap();
    let types: Vec<&str> = schema.node_types().iter().map(|known| known.name.as_str()).collect();
    assert_eq!(types, TYPES);
    assert_eq!(schema.relations().len(), RELATIONS.len());
    for (known, relation) in schema.relations().iter().zip(&RELATIONS) {
        assert_eq!((known.name.as_str(), known.symmetric), (relation.name, relation.symmetric));
        assert_eq!([known.source.index(), known.target.index()], [relation.source, relation.target]);
        let attributes: Vec<&str> = known.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(attributes, relation.attributes.iter().map(|attribute| attribute.0).collect::<Vec<_>>());
    }
}
