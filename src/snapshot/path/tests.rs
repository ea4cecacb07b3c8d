use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::UndirectedAdaptor;
use relata_schema::{EdgeValue, Schema};

use super::super::{Cost, DataGraph, EdgeData, SnapshotWriter};
use super::*;

/// A graph of genes, cells and tissues, and the same as a list.
struct Random {
    _store: tempfile::TempDir,
    snapshot: Snapshot,
    /// Relation, both ends as numbers of the [`DataGraph`], value.
    edges: Vec<(RelationId, u32, u32, f32)>,
    types: [NodeTypeId; 3],
    counts: [u32; 3],
}

/// splitmix64, for graphs only.
struct Lot(u64);

impl Lot {
    fn below(&mut self, most: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((word ^ (word >> 31)) % u64::from(most)) as u32
    }
}

fn random(seed: u64, counts: [u32; 3], edges: u32) -> Random {
    let mut lot = Lot(seed);
    let store = tempfile::tempdir().unwrap();
    let schema = Schema::biology();
    let types = ["gene", "cell", "tissue"].map(|name| schema.node_type(name).unwrap());
    let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
    for (node_type, count) in types.into_iter().zip(counts) {
        writer.nodes(node_type, &(0..count).map(|at| format!("n{at:07}")).collect::<Vec<_>>()).unwrap();
    }
    // The genes lead, whatever the order of types in the schema.
    let mut list = Vec::new();
    for name in ["interacts", "expresses", "gene.present_in.tissue"] {
        let relation = schema.relation(name).unwrap();
        let known = schema.edge(relation);
        let count = |node_type| counts[types.iter().position(|&known| known == node_type).unwrap()];
        let mut data = EdgeData { attributes: vec![Vec::new(); known.attributes.len()], ..EdgeData::default() };
        let value = known.attributes.iter().position(|known| ["score", "count"].contains(&known.name.as_str()));
        for _ in 0..edges / 3 {
            let (source, target) = (lot.below(count(known.source)), lot.below(count(known.target)));
            let number = if lot.below(5) == 0 { f32::NAN } else { (1 + lot.below(16)) as f32 / 16.0 };
            data.sources.push(source);
            data.targets.push(target);
            if let Some(value) = value {
                data.attributes[value].push(if number.is_nan() { EdgeValue::Missing } else { EdgeValue::Number(number) });
            }
            list.push((relation, source, target, if value.is_some() { number } else { f32::NAN }));
        }
        writer.relation(relation, &data).unwrap();
    }
    writer.publish(&[]).unwrap();
    let snapshot = Snapshot::current(store.path()).unwrap();
    let graph = DataGraph::new(&snapshot, []);
    let numbered = |&(relation, source, target, value): &(RelationId, u32, u32, f32)| {
        let known = schema.edge(relation);
        (relation, graph.index(known.source, source), graph.index(known.target, target), value)
    };
    let edges = list.iter().map(numbered).collect();
    Random { edges, types, counts, snapshot: snapshot.clone(), _store: store }
}

impl Random {
    /// petgraph's own graph of it: both ways where an edge can be walked both ways.
    fn plain(&self, directed: bool, relations: &[RelationId], cost: impl Fn(RelationId, f32) -> f64) -> DiGraph<(), f64> {
        let mut plain = DiGraph::new();
        let count = self.snapshot.schema().node_type_ids().map(|id| self.snapshot.node_count(id)).sum::<u32>();
        for _ in 0..count {
            plain.add_node(());
        }
        for &(relation, source, target, value) in self.edges.iter().filter(|edge| relations.contains(&edge.0)) {
            let (source, target) = (NodeIndex::new(source as usize), NodeIndex::new(target as usize));
            let cost = cost(relation, value);
            if cost < f64::INFINITY {
                plain.add_edge(source, target, cost);
                if !directed || self.snapshot.schema().edge(relation).symmetric {
                    plain.add_edge(target, source, cost);
                }
            }
        }
        plain
    }

    fn hit(&self, lot: &mut Lot) -> Hit {
        let at = lot.below(3) as usize;
        Hit { node_type: self.types[at], node: lot.below(self.counts[at]) }
    }
}

/// Each step is an edge of the snapshot between the nodes beside it, no node comes twice, and the costs add up.
#[track_caller]
fn check(snapshot: &Snapshot, query: &PathQuery, path: &Path) {
    assert_eq!((path.steps.len() + 1, path.nodes[0]), (path.nodes.len(), query.from));
    assert!(path.steps.len() <= query.most_hops as usize);
    let last = path.nodes[path.nodes.len() - 1];
    match query.to {
        PathEnd::Node(hit) => assert_eq!(last, hit),
        PathEnd::Type(node_type) => {
            let ends: Vec<usize> = (1..path.nodes.len()).filter(|&at| path.nodes[at].node_type == node_type).collect();
            let first_is_of_it = path.nodes[0].node_type == node_type && ends.is_empty();
            assert!(ends == [path.nodes.len() - 1] && !first_is_of_it, "{path:?}");
        }
    }
    let distinct: HashSet<(NodeTypeId, u32)> = path.nodes.iter().map(|hit| (hit.node_type, hit.node)).collect();
    assert_eq!(distinct.len(), path.nodes.len());
    for (step, pair) in path.steps.iter().zip(path.nodes.windows(2)) {
        let known = snapshot.schema().edge(step.relation);
        assert_eq!((known.near(step.direction), known.far(step.direction)), (pair[0].node_type, pair[1].node_type));
        let adjacency = snapshot.adjacency(step.relation, step.direction);
        assert!(adjacency.range(pair[0].node).contains(&step.position));
        assert_eq!(adjacency.targets[step.position], pair[1].node);
        assert!(!query.directed || known.symmetric || step.direction == Direction::Outgoing);
        assert!(query.relations.as_ref().is_none_or(|relations| relations.contains(&step.relation)));
    }
    assert!((path.cost - path.steps.iter().map(|step| step.cost).sum::<f64>()).abs() < 1e-9);
}

/// Of every simple path in petgraph's graph: the costs of those that the query allows, least first.
fn every_cost(random: &Random, plain: &DiGraph<(), f64>, query: &PathQuery) -> Vec<f64> {
    let graph = DataGraph::new(&random.snapshot, []);
    let number = |hit: Hit| NodeIndex::new(graph.index(hit.node_type, hit.node) as usize);
    let is_end = |node: NodeIndex| match query.to {
        PathEnd::Node(hit) => node == number(hit),
        PathEnd::Type(node_type) => graph.node(node.index() as u32).node_type == node_type && node != number(query.from),
    };
    let mut ways = BTreeSet::new();
    for end in plain.node_indices().filter(|&node| is_end(node)) {
        let most = query.most_hops as usize - 1;
        let simple = petgraph::algo::all_simple_paths::<Vec<_>, _, std::collections::hash_map::RandomState>(
            plain,
            number(query.from),
            end,
            0,
            Some(most),
        );
        ways.extend(simple.filter(|way| way[1..way.len() - 1].iter().all(|&node| !is_end(node))));
    }
    let cheapest =
        |pair: &[NodeIndex]| plain.edges_connecting(pair[0], pair[1]).map(|edge| *edge.weight()).fold(f64::INFINITY, f64::min);
    let mut costs: Vec<f64> = ways.iter().map(|way| way.windows(2).map(cheapest).sum()).collect();
    costs.sort_by(f64::total_cmp);
    costs
}

fn weights() -> [Option<Weight>; 4] {
    let weight = |attribute: &str, cost, missing| Some(Weight { attribute: attribute.into(), cost, missing });
    [None, weight("score", Cost::Value, 0.5), weight("score", Cost::NegativeLogarithm, 2.0), weight("count", Cost::Inverse, 0.0)]
}

/// What an edge costs, from its value as it was written.
fn plain_cost(snapshot: &Snapshot, weight: Option<&Weight>, relation: RelationId, value: f32) -> f64 {
    let Some(weight) = weight else { return 1.0 };
    let has = snapshot.schema().edge(relation).attributes.iter().any(|known| known.name == weight.attribute);
    match weight.cost {
        _ if !has || value.is_nan() => weight.missing,
        Cost::Value => f64::from(value),
        Cost::Inverse => f64::from(value).recip(),
        Cost::NegativeLogarithm => -f64::from(value).ln(),
    }
}

#[test]
fn the_first_paths_are_those_of_all_simple_paths_that_cost_least() {
    let (mut more_than_one, mut none) = (0, 0);
    for seed in 0..60 {
        let random = random(seed, [4, 3, 2], 12);
        let snapshot = &random.snapshot;
        let all: Vec<RelationId> = snapshot.schema().relation_ids().collect();
        let mut lot = Lot(seed + 1000);
        for weight in weights() {
            for directed in [false, true] {
                let some: Vec<RelationId> = all.iter().copied().filter(|_| lot.below(4) > 0).collect();
                let has = |id: &RelationId| {
                    let known = &snapshot.schema().edge(*id).attributes;
                    weight.as_ref().is_none_or(|weight| known.iter().any(|known| known.name == weight.attribute))
                };
                let relations = Some(some).filter(|some| some.iter().any(has));
                let walked = relations.clone().unwrap_or_else(|| all.clone());
                let cost = |relation, value| plain_cost(snapshot, weight.as_ref(), relation, value);
                let plain = random.plain(directed, &walked, cost);
                for hops in [1, 2, 3, 8] {
                    let to = match lot.below(3) {
                        0 => PathEnd::Type(random.types[lot.below(3) as usize]),
                        _ => PathEnd::Node(random.hit(&mut lot)),
                    };
                    let from = random.hit(&mut lot);
                    let query = PathQuery {
                        relations: relations.clone(),
                        directed,
                        weight: weight.clone(),
                        most_hops: hops,
                        count: 1 + lot.below(7) as usize,
                        ..PathQuery::new(from, to)
                    };
                    if to == PathEnd::Node(from) {
                        let found = snapshot.paths(&query).unwrap();
                        assert_eq!(found.paths, [Path { nodes: vec![from], steps: vec![], cost: 0.0 }]);
                        continue;
                    }
                    let found = snapshot.paths(&query).unwrap();
                    assert_eq!(found, snapshot.paths(&query).unwrap());
                    assert!(found.complete);
                    found.paths.iter().for_each(|path| check(snapshot, &query, path));
                    let expected = every_cost(&random, &plain, &query);
                    let expected = &expected[..expected.len().min(query.count)];
                    let costs: Vec<f64> = found.paths.iter().map(|path| path.cost).collect();
                    assert_eq!(costs.len(), expected.len(), "seed {seed}, {query:?}");
                    for (one, other) in costs.iter().zip(expected) {
                        assert!((one - other).abs() < 1e-6, "seed {seed}, {query:?}: {costs:?}, expected {expected:?}");
                    }
                    let ways: BTreeSet<Vec<u32>> = found
                        .paths
                        .iter()
                        .map(|path| path.nodes.iter().map(|hit| graph_number(snapshot, *hit)).collect())
                        .collect();
                    assert_eq!(ways.len(), found.paths.len(), "a path came twice");
                    more_than_one += u32::from(costs.len() > 1);
                    none += u32::from(costs.is_empty());
                }
            }
        }
    }
    assert!(more_than_one > 100 && none > 100, "{more_than_one}, {none}: the graphs show too little");
}

fn graph_number(snapshot: &Snapshot, hit: Hit) -> u32 {
    DataGraph::new(snapshot, []).index(hit.node_type, hit.node)
}

#[test]
fn lengths_are_those_of_petgraphs_dijkstra_from_every_node() {
    for seed in 0..6 {
        let random = random(seed, [60, 50, 10], 240);
        let snapshot = &random.snapshot;
        let all: Vec<RelationId> = snapshot.schema().relation_ids().collect();
        for (weight, directed) in weights().into_iter().flat_map(|weight| [(weight.clone(), false), (weight, true)]) {
            let graph = match &weight {
                None => DataGraph::new(snapshot, all.iter().copied()),
                Some(weight) => DataGraph::weighted(snapshot, all.iter().copied(), weight).unwrap(),
            };
            let plain = random.plain(directed, &all, |id, value| plain_cost(snapshot, weight.as_ref(), id, value));
            for from in (0..120).step_by(7) {
                let dijkstra = if directed {
                    petgraph::algo::dijkstra(&graph, from, None, |edge| *petgraph::visit::EdgeRef::weight(&edge))
                } else {
                    petgraph::algo::dijkstra(UndirectedAdaptor(&graph), from, None, |edge| {
                        *petgraph::visit::EdgeRef::weight(&edge)
                    })
                };
                let own = petgraph::algo::dijkstra(&plain, NodeIndex::new(from as usize), None, |edge| *edge.weight());
                for to in 0..120 {
                    let expected = dijkstra.get(&to).copied();
                    let close = |one: Option<f64>, other: Option<f64>| match (one, other) {
                        (Some(one), Some(other)) => (one - other).abs() < 1e-6,
                        (one, other) => one == other,
                    };
                    assert!(close(expected, own.get(&NodeIndex::new(to as usize)).copied()), "seed {seed}, {from} to {to}");
                    let query = PathQuery {
                        directed,
                        weight: weight.clone(),
                        most_hops: MOST_PATH_HOPS,
                        ..PathQuery::new(graph.node(from), PathEnd::Node(graph.node(to)))
                    };
                    let found = snapshot.paths(&query).unwrap();
                    let found = found.paths.first().map(|path| path.cost);
                    assert!(close(expected, found), "seed {seed}, {from} to {to}: {expected:?}, found {found:?}");
                }
            }
        }
    }
}

#[test]
fn a_search_that_meets_its_limit_says_so() {
    let random = random(3, [500, 400, 5], 3000);
    let graph = DataGraph::new(&random.snapshot, []);
    let query = PathQuery::new(graph.node(1), PathEnd::Node(graph.node(700)));
    let whole = random.snapshot.paths(&query).unwrap();
    assert!(whole.complete && whole.paths.len() == 1);
    for most_visits in [0, 1, whole.visited / 2, whole.visited - 1] {
        let found = random.snapshot.paths(&PathQuery { most_visits, ..query.clone() }).unwrap();
        assert!(!found.complete && found.visited <= most_visits, "{most_visits}: {found:?}");
    }
    let found = random.snapshot.paths(&PathQuery { most_visits: whole.visited, ..query.clone() }).unwrap();
    assert_eq!(found, whole);
    let more = random.snapshot.paths(&PathQuery { most_visits: whole.visited + 1, count: 50, ..query }).unwrap();
    assert!(!more.complete && more.paths[0] == whole.paths[0]);
}

#[test]
fn what_cannot_be_asked_is_said() {
    let random = random(1, [4, 3, 2], 12);
    let snapshot = &random.snapshot;
    let gene = Hit { node_type: random.types[0], node: 0 };
    let query = PathQuery::new(gene, PathEnd::Type(random.types[2]));
    let weighted = |weight| PathQuery { weight: Some(weight), ..query.clone() };
    let count = Weight { cost: Cost::NegativeLogarithm, ..Weight::new("count") };
    let expresses = snapshot.schema().relation("expresses").unwrap();
    for (query, expected) in [
        (PathQuery { most_hops: 0, ..query.clone() }, "hops: found 0, expected 1 to 250"),
        (PathQuery { most_hops: 251, ..query.clone() }, "hops: found 251"),
        (PathQuery { count: 0, ..query.clone() }, "paths: found 0, expected 1 to 1000"),
        (PathQuery { relations: Some(vec![RelationId(999)]), ..query.clone() }, "relation: found number 999"),
        (PathQuery { from: Hit { node: 4, ..gene }, ..query.clone() }, "node: found 4, expected a gene below 4"),
        (PathQuery { to: PathEnd::Type(NodeTypeId(999)), ..query.clone() }, "node type: found number 999"),
        (
            weighted(Weight::new("scores")),
            "weight: found `scores`, expected a number attribute of the relations that are walked, such as `score`",
        ),
        (weighted(Weight { missing: -1.0, ..Weight::new("score") }), "an edge without a value: found -1"),
        (weighted(Weight { missing: f64::NAN, ..Weight::new("score") }), "an edge without a value: found NaN"),
        (PathQuery { relations: Some(vec![expresses]), ..weighted(Weight::new("score")) }, "such as `count`"),
    ] {
        let shown = snapshot.paths(&query).unwrap_err().to_string();
        assert!(shown.contains(expected), "{shown}, expected: {expected}");
    }
    // Counts are at most 1 here, so that their logarithms are no costs below 0.
    assert!(snapshot.paths(&weighted(count)).is_ok());
}

#[test]
fn a_value_below_zero_is_no_cost() {
    let store = tempfile::tempdir().unwrap();
    let schema = Schema::biology();
    let (gene, interacts) = (schema.node_type("gene").unwrap(), schema.relation("interacts").unwrap());
    let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
    writer.nodes(gene, &["a", "b", "c"].map(String::from)).unwrap();
    let score = schema.edge_attribute(interacts, "score").unwrap().index();
    let mut attributes = vec![Vec::new(); schema.edge(interacts).attributes.len()];
    attributes[score] = vec![EdgeValue::Number(0.0), EdgeValue::Number(-0.5)];
    writer
        .relation(interacts, &EdgeData { sources: vec![0, 1], targets: vec![1, 2], attributes, ..EdgeData::default() })
        .unwrap();
    writer.publish(&[]).unwrap();
    let snapshot = Snapshot::current(store.path()).unwrap();
    let shown = DataGraph::weighted(&snapshot, [interacts], &Weight::new("score")).err().unwrap().to_string();
    assert!(shown.contains("weight `score`: found -0.5 at an edge of gene.interacts.gene, expected values from 0"), "{shown}");
    let logarithm = Weight { cost: Cost::NegativeLogarithm, ..Weight::new("score") };
    assert!(DataGraph::weighted(&snapshot, [interacts], &logarithm).is_err());
}

/// Forty million entries of adjacency: `cargo test -p relata --lib --no-default-features measured_ -- --ignored --nocapture`.
#[test]
#[ignore = "prints times, asserts none of them"]
fn measured_on_forty_million_entries() {
    let store = tempfile::tempdir().unwrap();
    let schema = Schema::biology();
    let (gene, cell) = (schema.node_type("gene").unwrap(), schema.node_type("cell").unwrap());
    let (genes, cells, each) = (20_000, 400_000, 50);
    let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
    writer.nodes(gene, &(0..genes).map(|at| format!("g{at:07}")).collect::<Vec<_>>()).unwrap();
    writer.nodes(cell, &(0..cells).map(|at| format!("c{at:07}")).collect::<Vec<_>>()).unwrap();
    let mut lot = Lot(1);
    let (sources, targets): (Vec<u32>, Vec<u32>) = (0..cells * each).map(|at| (at / each, lot.below(genes))).unzip();
    let values = (0..cells * each).map(|_| EdgeValue::Number((1 + lot.below(30)) as f32)).collect();
    let expresses = schema.relation("expresses").unwrap();
    let attributes = vec![values];
    writer.relation(expresses, &EdgeData { sources, targets, attributes, ..EdgeData::default() }).unwrap();
    // A chain of genes: long paths.
    let interacts = schema.relation("interacts").unwrap();
    let (sources, targets) = (0..200_u32).map(|at| (at, at + 1)).unzip();
    writer.relation(interacts, &EdgeData { sources, targets, ..EdgeData::default() }).unwrap();
    writer.publish(&[]).unwrap();

    let timed = |what: &str, work: &mut dyn FnMut() -> String| {
        let start = Instant::now();
        let found = work();
        println!("{what}: {:.3} ms; {found}", start.elapsed().as_secs_f64() * 1e3);
    };
    for _ in 0..3 {
        timed("open", &mut || format!("{} bytes", Snapshot::current(store.path()).unwrap().bytes()));
    }
    let snapshot = Snapshot::current(store.path()).unwrap();
    timed("verify", &mut || format!("{:?}", snapshot.verify()));
    timed("intact", &mut || format!("{:?}", snapshot.intact()));
    let all: Vec<RelationId> = schema.relation_ids().collect();
    let graph = DataGraph::new(&snapshot, all.iter().copied());
    let pairs = [((gene, 5), (gene, 19_000)), ((cell, 7), (cell, 399_000)), ((gene, 3), (cell, 100_000))];
    for ((from_type, from), (to_type, to)) in pairs {
        let hit = |node_type, node| Hit { node_type, node };
        let query = PathQuery::new(hit(from_type, from), PathEnd::Node(hit(to_type, to)));
        let shown = |query: &PathQuery| {
            let found = snapshot.paths(query).unwrap();
            let costs: BTreeMap<String, usize> = found.paths.iter().fold(BTreeMap::new(), |mut counts, path| {
                *counts.entry(format!("{:.3}", path.cost)).or_default() += 1;
                counts
            });
            format!("{} visited, paths by cost {costs:?}", found.visited)
        };
        timed("one path", &mut || shown(&query));
        timed("3 paths", &mut || shown(&PathQuery { count: 3, ..query.clone() }));
        timed("20 paths", &mut || shown(&PathQuery { count: 20, ..query.clone() }));
        let weight = Weight { cost: Cost::Inverse, ..Weight::new("count") };
        timed("one path by 1/count", &mut || shown(&PathQuery { weight: Some(weight.clone()), ..query.clone() }));
        let (from, to) = (graph.index(from_type, from), graph.index(to_type, to));
        timed("petgraph dijkstra", &mut || {
            let costs = petgraph::algo::dijkstra(UndirectedAdaptor(&graph), from, Some(to), |_| 1_u32);
            format!("{:?} hops, {} known", costs[&to], costs.len())
        });
        timed("petgraph astar", &mut || {
            let path = petgraph::algo::astar(UndirectedAdaptor(&graph), from, |node| node == to, |_| 1_u32, |_| 0);
            format!("{:?} hops", path.unwrap().0)
        });
    }
    let far = PathQuery {
        relations: Some(vec![interacts]),
        most_hops: 250,
        ..PathQuery::new(Hit { node_type: gene, node: 0 }, PathEnd::Node(Hit { node_type: gene, node: 200 }))
    };
    timed("a chain of 200", &mut || format!("{} hops", snapshot.paths(&far).unwrap().paths[0].steps.len()));
    timed("petgraph connected_components", &mut || petgraph::algo::connected_components(&graph).to_string());
}
