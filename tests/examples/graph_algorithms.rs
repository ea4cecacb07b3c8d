//! petgraph's algorithms on a store: a shortest path, components and PageRank.
//!
//! `cargo run --example graph_algorithms`

use petgraph::algo::{astar, bellman_ford, connected_components, dijkstra, kosaraju_scc, page_rank};
use petgraph::visit::{EdgeRef, UndirectedAdaptor};
use relata::snapshot::{DataGraph, EdgeData, Hit, PathEnd, PathQuery, Snapshot, SnapshotWriter, Weight};
use relata_schema::{EdgeValue, NodeTypeId, Schema};

/// Genes that interact in a star around HUB, with a score that is a distance here; and three that regulate each other in a
/// ring, of which one, R1, regulates LEAF3 as well.
fn make(store: &std::path::Path) -> relata::Result<(Snapshot, NodeTypeId)> {
    let schema = Schema::biology();
    let gene = schema.node_type("gene")?;
    let mut writer = SnapshotWriter::create(store, &schema)?;
    writer.nodes(gene, &["HUB", "LEAF1", "LEAF2", "LEAF3", "R1", "R2", "R3"].map(String::from))?;
    let interacts = schema.relation("interacts")?;
    let scores = [0.5, 1.5, 0.25].map(EdgeValue::Number).to_vec();
    let star =
        EdgeData { sources: vec![0, 0, 0], targets: vec![1, 2, 3], attributes: vec![scores, Vec::new()], ..EdgeData::default() };
    writer.relation(interacts, &star)?;
    let ring = EdgeData { sources: vec![4, 5, 6, 4], targets: vec![5, 6, 4, 3], ..EdgeData::default() };
    writer.relation(schema.relation("activates_or_represses")?, &ring)?;
    writer.publish(&[])?;
    Ok((Snapshot::current(store)?, gene))
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (snapshot, gene) = make(folder.path())?;
    let schema = snapshot.schema();
    let key = |number: u32| snapshot.key(gene, number);
    let node = |key: &str| Hit { node_type: gene, node: snapshot.find(gene, key).unwrap_or_default() };

    let found = snapshot.paths(&PathQuery::new(node("R2"), PathEnd::Node(node("LEAF1"))))?;
    let way: Vec<&str> = found.paths[0].nodes.iter().map(|hit| key(hit.node)).collect();
    println!("the shortest path: {}", way.join(" – "));

    let (all, interacts) = (DataGraph::new(&snapshot, schema.relation_ids()), schema.relation("interacts")?);
    let start = all.index(gene, node("R2").node);
    let goal = all.index(gene, node("LEAF1").node);
    let walked = astar(UndirectedAdaptor(&all), start, |at| at == goal, |edge| *edge.weight(), |_| 0.0);
    println!("the same by petgraph: {:?} hops", walked.map(|(cost, _)| cost));
    let weighted = DataGraph::weighted(&snapshot, [interacts], &Weight::new("score"))?;
    println!("from LEAF2 by scores: {:?}", dijkstra(&weighted, weighted.index(gene, 2), None, |edge| *edge.weight()));
    println!("components without direction: {}", connected_components(&all));
    println!("components with direction: {}", kosaraju_scc(&all).len());
    let ranks = page_rank(&all, 0.85_f64, 50);
    let genes =
        (0..snapshot.node_count(gene)).map(|number| format!("{} {:.3}", key(number), ranks[all.index(gene, number) as usize]));
    println!("PageRank: {}", genes.collect::<Vec<_>>().join(", "));
    println!("by Bellman and Ford: {:?}", bellman_ford(&weighted, weighted.index(gene, 2)).map(|paths| paths.distances.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    #[test]
    fn it_runs() {
        main().unwrap();
    }

    /// By hand: R2 – R1 – LEAF3 – HUB – LEAF1 against and along the arrows; along them only, R2 → R3 → R1 → LEAF3 → HUB.
    #[test]
    fn paths_are_those_worked_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let (snapshot, gene) = make(folder.path()).unwrap();
        let node = |key: &str| Hit { node_type: gene, node: snapshot.find(gene, key).unwrap() };
        let query = PathQuery::new(node("R2"), PathEnd::Node(node("LEAF1")));
        let keys = |query: &PathQuery| {
            let found = snapshot.paths(query).unwrap();
            found.paths[0].nodes.iter().map(|hit| snapshot.key(gene, hit.node).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(keys(&query), ["R2", "R1", "LEAF3", "HUB", "LEAF1"]);
        assert_eq!(keys(&PathQuery { directed: true, ..query }), ["R2", "R3", "R1", "LEAF3", "HUB", "LEAF1"]);
        let all = DataGraph::new(&snapshot, snapshot.schema().relation_ids());
        let (start, goal) = (all.index(gene, 5), all.index(gene, 1));
        let along = astar(&all, start, |at| at == goal, |edge| *edge.weight(), |_| 0.0).unwrap();
        let both = astar(UndirectedAdaptor(&all), start, |at| at == goal, |edge| *edge.weight(), |_| 0.0).unwrap();
        assert_eq!((along.0, both.0), (5.0, 4.0));
        let weighted =
            DataGraph::weighted(&snapshot, [snapshot.schema().relation("interacts").unwrap()], &Weight::new("score")).unwrap();
        let first = weighted.index(gene, 0);
        let costs = dijkstra(&weighted, first + 2, None, |edge| *edge.weight());
        let distances = bellman_ford(&weighted, first + 2).unwrap().distances;
        // LEAF2 – HUB 1.5, and on to LEAF1 0.5 or LEAF3 0.25.
        for (number, expected) in [(0, 1.5), (1, 2.0), (2, 0.0), (3, 1.75)] {
            assert!(close(costs[&(first + number)], expected) && close(distances[(first + number) as usize], expected));
        }
        assert!(!costs.contains_key(&(first + 4)) && distances[(first + 4) as usize] == f64::INFINITY);
    }

    /// Without direction all genes hang together; along the arrows the star and the ring are one each.
    #[test]
    fn components_are_those_worked_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let (snapshot, gene) = make(folder.path()).unwrap();
        let all = DataGraph::new(&snapshot, snapshot.schema().relation_ids());
        assert_eq!(connected_components(&all), 1);
        let star = DataGraph::new(&snapshot, [snapshot.schema().relation("interacts").unwrap()]);
        assert_eq!(connected_components(&star), 4);
        let first = all.index(gene, 0);
        let found: BTreeSet<Vec<u32>> = kosaraju_scc(&all)
            .into_iter()
            .map(|mut part| {
                part.sort_unstable();
                part.into_iter().map(|number| number - first).collect()
            })
            .collect();
        assert_eq!(found, BTreeSet::from([vec![0, 1, 2, 3], vec![4, 5, 6]]));
    }

    /// petgraph's rule, written out over a matrix of the edges that `make` names.
    #[test]
    fn ranks_are_those_of_the_rule_over_a_matrix() {
        let folder = tempfile::tempdir().unwrap();
        let (snapshot, gene) = make(folder.path()).unwrap();
        let all = DataGraph::new(&snapshot, snapshot.schema().relation_ids());
        let mut edges = [[false; 7]; 7];
        for (source, target) in [(0, 1), (1, 0), (0, 2), (2, 0), (0, 3), (3, 0), (4, 5), (5, 6), (6, 4), (4, 3)] {
            edges[source][target] = true;
        }
        let mut expected = [1.0 / 7.0; 7];
        for _ in 0..50 {
            let mut next = [0.0; 7];
            for (source, row) in edges.iter().enumerate() {
                let degree = row.iter().filter(|&&is| is).count() as f64;
                for (target, rank) in next.iter_mut().enumerate() {
                    *rank += expected[source] * if row[target] { 0.85 / degree } else { 0.15 / 7.0 };
                }
            }
            let sum: f64 = next.iter().sum();
            expected = next.map(|rank| rank / sum);
        }
        let ranks = page_rank(&all, 0.85_f64, 50);
        for (number, expected) in expected.into_iter().enumerate() {
            let found = ranks[all.index(gene, number as u32) as usize];
            assert!(close(found, expected), "{number}: {found}, expected {expected}");
        }
        assert!(expected[0] > expected[3] && expected[3] > expected[1]);
    }
}
