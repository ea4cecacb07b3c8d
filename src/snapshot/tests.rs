use std::collections::BTreeSet;

use petgraph::visit::{Bfs, NodeCount};
use relata_schema::{Direction, EdgeValue, Interval, Schema, Strand, Value};

use super::*;
use crate::Error;

/// Three genes, two cells; cell b2 expresses genes g1 and g3, b1 expresses g2; g1 interacts with g3 and with itself.
fn small(store: &std::path::Path) -> SnapshotId {
    let schema = Schema::biology();
    let mut writer = SnapshotWriter::create(store, &schema).unwrap();
    let gene = schema.node_type("gene").unwrap();
    let cell = schema.node_type("cell").unwrap();
    writer.nodes(gene, &["g1", "g2", "g3"].map(String::from)).unwrap();
    writer.nodes(cell, &["b1", "b2"].map(String::from)).unwrap();
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    writer.column(gene, schema.node_attribute(gene, "symbol").unwrap(), &[text("MYC"), None, text("TP53")]).unwrap();
    let locus = Interval::new("chr8", 10, 20, Strand::Reverse).unwrap();
    writer.column(gene, schema.node_attribute(gene, "locus").unwrap(), &[None, Some(Value::Interval(locus)), None]).unwrap();
    let category = |name: &str| Some(Value::Category(name.to_owned()));
    writer.column(cell, schema.node_attribute(cell, "celltype").unwrap(), &[category("T"), category("B")]).unwrap();
    let count = |count: f32| EdgeValue::Number(count);
    let expresses = EdgeData {
        sources: vec![1, 0, 1],
        targets: vec![2, 1, 0],
        attributes: vec![vec![count(3.0), EdgeValue::Missing, count(1.0)]],
        ..EdgeData::default()
    };
    writer.relation(schema.relation("expresses").unwrap(), expresses).unwrap();
    let interacts = EdgeData {
        sources: vec![2, 0],
        targets: vec![0, 0],
        attributes: vec![vec![], vec![EdgeValue::Category(1), EdgeValue::Category(0)]],
        categories: vec![vec![], vec!["two hybrid".into(), "pull down".into()]],
        ..EdgeData::default()
    };
    writer.relation(schema.relation("interacts").unwrap(), interacts).unwrap();
    writer.publish(&[]).unwrap()
}

#[test]
fn what_was_written_is_read() {
    let store = tempfile::tempdir().unwrap();
    let id = small(store.path());
    let snapshot = Snapshot::current(store.path()).unwrap();
    snapshot.verify().unwrap();
    assert_eq!(snapshot.id(), &id);
    let schema = snapshot.schema();
    let (gene, cell) = (schema.node_type("gene").unwrap(), schema.node_type("cell").unwrap());
    assert_eq!((snapshot.node_count(gene), snapshot.node_count(cell)), (3, 2));
    assert_eq!((snapshot.key(gene, 2), snapshot.find(gene, "g3"), snapshot.find(gene, "g4")), ("g3", Some(2), None));
    assert_eq!((snapshot.label(gene, 0), snapshot.label(gene, 1)), ("MYC", "g2"));
    let locus = snapshot.value(gene, schema.node_attribute(gene, "locus").unwrap(), 1).unwrap();
    assert_eq!(locus, Value::Interval(Interval::new("chr8", 10, 20, Strand::Reverse).unwrap()));
    let celltype = schema.node_attribute(cell, "celltype").unwrap();
    assert_eq!(snapshot.categories(cell, celltype), ["B", "T"]);
    assert!(matches!(snapshot.column(cell, celltype), NodeColumn::Category([1, 0])));

    let expresses = schema.relation("expresses").unwrap();
    let count = schema.edge_attribute(expresses, "count").unwrap();
    assert_eq!(snapshot.adjacency(expresses, Direction::Outgoing).neighbors(1), [0, 2]);
    assert_eq!(snapshot.adjacency(expresses, Direction::Incoming).neighbors(2), [1]);
    let EdgeColumn::Number(counts) = snapshot.edge_column(expresses, Direction::Outgoing, count) else { panic!() };
    assert!(counts[0].is_nan());
    assert_eq!(counts[1..], [1.0, 3.0]);

    let interacts = schema.relation("interacts").unwrap();
    assert_eq!(snapshot.edge_count(interacts), 2);
    for direction in Direction::BOTH {
        let adjacency = snapshot.adjacency(interacts, direction);
        assert_eq!((adjacency.neighbors(0), adjacency.neighbors(1), adjacency.neighbors(2)), (&[0, 2][..], &[][..], &[0][..]));
    }
    let method = schema.edge_attribute(interacts, "method").unwrap();
    assert_eq!(snapshot.edge_categories(interacts, method), ["pull down", "two hybrid"]);
    assert!(matches!(snapshot.edge_column(interacts, Direction::Outgoing, method), EdgeColumn::Category([1, 0, 0])));
}

#[test]
fn equal_content_has_an_equal_identity_whatever_the_order_of_edges() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(small(one.path()), small(other.path()));
    assert_eq!(small(one.path()), small(one.path()));
    let schema = Schema::biology();
    let gene = schema.node_type("gene").unwrap();
    let interacts = schema.relation("interacts").unwrap();
    let write = |edges: [(u32, u32); 3]| {
        let store = tempfile::tempdir().unwrap();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        writer.nodes(gene, &["a", "b", "c"].map(String::from)).unwrap();
        let (sources, targets) = edges.into_iter().unzip();
        writer.relation(interacts, EdgeData { sources, targets, ..EdgeData::default() }).unwrap();
        writer.publish(&[]).unwrap()
    };
    assert_eq!(write([(0, 1), (1, 2), (0, 2)]), write([(0, 2), (2, 1), (0, 1)]));
    assert_ne!(write([(0, 1), (1, 2), (0, 2)]), write([(0, 1), (1, 2), (0, 1)]));
}

#[test]
fn a_damaged_file_is_an_error_or_clearly_unchanged_and_never_a_panic() {
    let store = tempfile::tempdir().unwrap();
    let id = small(store.path());
    let folder = store.path().join("snapshots").join(id.as_str());
    let path = folder.join("graph.relata");
    let good = std::fs::read(&path).unwrap();
    let mut silent = 0;
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bad).unwrap();
        let opened = Snapshot::open(&folder);
        if let Ok(snapshot) = &opened {
            let schema = snapshot.schema();
            let gene = schema.node_type("gene").unwrap();
            for node in 0..5 {
                let _ = (snapshot.key(gene, node), snapshot.label(gene, node), snapshot.search("myc", None, 3));
            }
        }
        if opened.and_then(|snapshot| snapshot.verify()).is_ok() {
            silent += 1; // a byte of padding between sections
            assert_eq!(good[at], 0, "byte {at} was changed and nobody noticed");
        }
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(Snapshot::open(&folder).is_err(), "cut at {at}");
    }
    assert!(silent < good.len() / 7, "no change was found at all");
}

#[test]
fn another_version_is_named() {
    let store = tempfile::tempdir().unwrap();
    let id = small(store.path());
    let folder = store.path().join("snapshots").join(id.as_str());
    let mut bytes = std::fs::read(folder.join("graph.relata")).unwrap();
    bytes[8] = 9;
    std::fs::write(folder.join("graph.relata"), bytes).unwrap();
    let Err(Error::Version { found: 9, expected: 1, .. }) = Snapshot::open(&folder) else { panic!() };
}

#[test]
fn names_are_searched_and_misspelt_keys_answered_with_the_nearest() {
    let store = tempfile::tempdir().unwrap();
    small(store.path());
    let snapshot = Snapshot::current(store.path()).unwrap();
    let gene = snapshot.schema().node_type("gene").unwrap();
    assert_eq!(snapshot.search("tp5", None, 5), [Hit { node_type: gene, node: 2 }]);
    assert_eq!(snapshot.search("p53", None, 5), [Hit { node_type: gene, node: 2 }]);
    assert_eq!(snapshot.search("g", Some(&[gene]), 2).len(), 2);
    assert_eq!(snapshot.resolve(gene, "myc").unwrap(), 0);
    let shown = snapshot.resolve(gene, "g9").unwrap_err().to_string();
    assert!(shown.contains("no gene has the key `g9`; did you mean `g1`"), "{shown}");
}

#[test]
fn a_node_is_located_by_type_and_key_or_by_a_name_that_only_it_has() {
    let store = tempfile::tempdir().unwrap();
    let schema = Schema::biology();
    let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
    let of = |name: &str| schema.node_type(name).unwrap();
    let (gene, tissue, cell) = (of("gene"), of("tissue"), of("cell"));
    writer.nodes(gene, &["ENSG1", "ENSG2", "both"].map(String::from)).unwrap();
    writer.nodes(tissue, &["UBERON:1", "UBERON:2"].map(String::from)).unwrap();
    writer.nodes(cell, &["both"].map(String::from)).unwrap();
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    writer.column(gene, schema.node_attribute(gene, "symbol").unwrap(), &[text("CD3D"), text("CD3E"), None]).unwrap();
    writer.column(tissue, schema.node_attribute(tissue, "name").unwrap(), &[text("blood"), text("cd3d")]).unwrap();
    writer.publish(&[]).unwrap();
    let snapshot = Snapshot::current(store.path()).unwrap();
    for (text, expected) in [
        ("gene:ENSG1", "gene:ENSG1"),
        ("gene:cd3e", "gene:ENSG2"),
        ("CD3E", "gene:ENSG2"),
        ("blood", "tissue:UBERON:1"),
        ("UBERON:1", "tissue:UBERON:1"),
        ("tissue:UBERON:2", "tissue:UBERON:2"),
        ("cell:both", "cell:both"),
    ] {
        assert_eq!(snapshot.title(snapshot.locate(text).unwrap()), expected, "{text}");
    }
    for (text, expected) in [
        ("both", "`both`: found 2 nodes of this name, expected one of cell:both, gene:both"),
        ("CD3D", "expected one of tissue:UBERON:2, gene:ENSG1"),
        ("ENSG3", "no node has the key `ENSG3`; did you mean `gene:ENSG1`"),
        ("UBERON:9", "no node has the key `UBERON:9`; did you mean `tissue:UBERON:1`"),
        ("gnee:ENSG1", "did you mean `gene`"),
        ("gene:ENSG9", "no gene has the key `ENSG9`"),
        ("zzzzzzzzz", "no node has the key `zzzzzzzzz`"),
    ] {
        let shown = snapshot.locate(text).unwrap_err().to_string();
        assert!(shown.contains(expected), "{shown}, expected: {expected}");
    }
}

#[test]
fn petgraph_walks_a_snapshot_as_it_walks_its_own_graph() {
    let store = tempfile::tempdir().unwrap();
    small(store.path());
    let snapshot = Snapshot::current(store.path()).unwrap();
    let schema = snapshot.schema();
    let graph = DataGraph::new(&snapshot, schema.relation_ids());
    let mut own = petgraph::graph::DiGraph::<(), ()>::new();
    let nodes: Vec<_> = (0..graph.node_count()).map(|_| own.add_node(())).collect();
    let (gene, cell) = (schema.node_type("gene").unwrap(), schema.node_type("cell").unwrap());
    let at = |node_type, node| nodes[graph.index(node_type, node) as usize];
    for (source, target) in [
        (at(cell, 1), at(gene, 2)),
        (at(cell, 0), at(gene, 1)),
        (at(cell, 1), at(gene, 0)),
        (at(gene, 2), at(gene, 0)),
        (at(gene, 0), at(gene, 2)),
        (at(gene, 0), at(gene, 0)),
    ] {
        own.add_edge(source, target, ());
    }
    assert_eq!(petgraph::algo::connected_components(&graph), petgraph::algo::connected_components(&own));
    for start in 0..graph.node_count() as u32 {
        let reached = |bfs: &mut dyn FnMut() -> Option<usize>| std::iter::from_fn(bfs).collect::<BTreeSet<_>>();
        let mut theirs = Bfs::new(&own, nodes[start as usize]);
        let mut ours = Bfs::new(&graph, start);
        let expected = reached(&mut || theirs.next(&own).map(|node| node.index()));
        assert_eq!(reached(&mut || ours.next(&graph).map(|node| node as usize)), expected);
        assert_eq!(graph.index(graph.node(start).node_type, graph.node(start).node), start);
    }
    let costs = petgraph::algo::dijkstra(&graph, graph.index(cell, 1), None, |_| 1_u32);
    assert_eq!(costs[&graph.index(gene, 0)], 1);
    assert!(!costs.contains_key(&graph.index(gene, 1)));
}

/// Each accessor, over all nodes and edges of a snapshot whose file has been cut.
#[cfg(unix)]
#[test]
fn a_snapshot_that_is_cut_short_while_it_is_open_can_be_read_to_the_end_and_says_so() {
    for part in [0, 1, 2] {
        let store = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let gene = schema.node_type("gene").unwrap();
        let interacts = schema.relation("interacts").unwrap();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        writer.nodes(gene, &(0..20_000).map(|at| format!("g{at:05}")).collect::<Vec<_>>()).unwrap();
        let (sources, targets) = (0..60_000_u32).map(|at| (at % 20_000, (at * 7) % 20_000)).unzip();
        writer.relation(interacts, EdgeData { sources, targets, ..EdgeData::default() }).unwrap();
        writer.publish(&[]).unwrap();
        let snapshot = Snapshot::current(store.path()).unwrap();
        snapshot.intact().unwrap();
        if part < 2 {
            let file = std::fs::File::options().write(true).open(snapshot.path()).unwrap();
            file.set_len(snapshot.bytes() * part / 2).unwrap();
        }
        let adjacency = snapshot.adjacency(interacts, Direction::Outgoing);
        let read = |node: u32| snapshot.label(gene, node).len() + adjacency.neighbors(node).len();
        let read: usize = (0..20_000).map(read).sum();
        assert!(part < 2 || read > 20_000 * 6);
        let (graph, found) = (DataGraph::new(&snapshot, [interacts]), snapshot.search("g1", None, 5).len());
        petgraph::algo::connected_components(&graph);
        assert_eq!(found, if part == 0 { 0 } else { 5 });
        let outcomes = [snapshot.intact(), snapshot.verify(), Snapshot::current(store.path()).map(|_| ())];
        for outcome in outcomes {
            assert_eq!(outcome.is_ok(), part == 2, "{part}/2 are left");
        }
        if part < 2 {
            let shown = snapshot.intact().unwrap_err().to_string();
            assert!(shown.contains("cut short") && shown.contains("`relata snapshot"), "{shown}");
        }
    }
}
