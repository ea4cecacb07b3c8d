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
    writer.relation(schema.relation("expresses").unwrap(), &expresses).unwrap();
    let interacts = EdgeData {
        sources: vec![2, 0],
        targets: vec![0, 0],
        attributes: vec![vec![], vec![EdgeValue::Category(1), EdgeValue::Category(0)]],
        categories: vec![vec![], vec!["two hybrid".into(), "pull down".into()]],
        ..EdgeData::default()
    };
    writer.relation(schema.relation("interacts").unwrap(), &interacts).unwrap();
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
        writer.relation(interacts, &EdgeData { sources, targets, ..EdgeData::default() }).unwrap();
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
fn one_answer_is_checked_up_to_a_size() {
    let store = tempfile::tempdir().unwrap();
    let id = small(store.path());
    let path = Snapshot::file_of(store.path(), &id);
    let whole = std::fs::read(&path).unwrap();
    let length = whole.len() as u64;
    assert_eq!(Snapshot::current_checked(store.path()).unwrap().id(), &id);
    // A key, which opening does not look at.
    let key = whole.windows(4).position(|bytes| bytes == b"b1b2").unwrap();
    let mut damaged = whole;
    damaged[key] = b'a';
    std::fs::write(&path, &damaged).unwrap();
    assert!(matches!(Snapshot::current_checked(store.path()), Err(Error::Damaged { .. })));
    assert!(matches!(Snapshot::current_checked_to(store.path(), length), Err(Error::Damaged { .. })));
    assert_eq!(Snapshot::current_checked_to(store.path(), length - 1).unwrap().id(), &id);
}

#[test]
fn another_version_is_named() {
    let store = tempfile::tempdir().unwrap();
    let id = small(store.path());
    let folder = store.path().join("snapshots").join(id.as_str());
    let mut bytes = std::fs::read(folder.join("graph.relata")).unwrap();
    bytes[8] = 9;
    std::fs::write(folder.join("graph.relata"), bytes).unwrap();
    let Err(Error::Version { found: 9, expected: format::VERSION, .. }) = Snapshot::open(&folder) else { panic!() };
}

/// Edges as people would list them: source, target, time, number, category.
type Row = (u32, u32, i64, Option<u32>, Option<String>, u32);

#[test]
fn sorted_rows_are_those_of_a_plain_sort_in_memory_and_from_the_disk() {
    let text = r#"
        [node.a]
        [node.b]
        [[relation]]
        name = "thin"
        source = "a"
        target = "b"
        [[relation]]
        name = "light"
        source = "a"
        target = "b"
        attributes.weight = { kind = "number" }
        [[relation]]
        name = "timed"
        source = "a"
        target = "b"
        attributes = { weight = { kind = "number" }, when = { kind = "time" }, kind = { kind = "category" } }
        [[relation]]
        name = "broad"
        source = "b"
        target = "b"
        attributes = { weight = { kind = "number" }, when = { kind = "time" }, kind = { kind = "category" }, rank = { kind = "count" } }
    "#;
    let schema = Schema::default().extended_by(text, "test.toml").unwrap();
    let names: Vec<String> = ["late", "early", "unused", "middle"].map(String::from).to_vec();
    for (name, edges, span) in [
        ("thin", 200_000u64, 1u64),
        ("light", 140_000, 1),
        ("timed", 200_000, 300),
        ("timed", 90_000, u64::MAX),
        ("broad", 150_000, 9),
    ] {
        let relation = schema.relation(name).unwrap();
        let known = schema.edge(relation);
        let counts = [3000, 70];
        let mut state = edges ^ span;
        let mut next = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let rows: Vec<Row> = (0..edges)
            .map(|_| {
                let source = next(u64::from(counts[known.source.index()])) as u32;
                let time = match next(10) {
                    0 => i64::MIN,
                    _ if span == u64::MAX => (next(1 << 31) << 33 | next(1 << 31)) as i64 | 1,
                    _ => next(span) as i64 - 5,
                };
                let kind = [Some(0), Some(1), Some(3), None][next(4) as usize].map(|code: usize| names[code].clone());
                // Few different values, so that many edges are equal but for one thing.
                (source, next(70) as u32, time, (next(4) > 0).then(|| next(5) as u32), kind, next(3) as u32)
            })
            .collect();
        let place = |attribute: &str| known.attributes.iter().position(|known| known.name == attribute);
        let mut data = EdgeData {
            sources: rows.iter().map(|row| row.0).collect(),
            targets: rows.iter().map(|row| row.1).collect(),
            times: if place("when").is_some() { rows.iter().map(|row| row.2).collect() } else { vec![] },
            attributes: vec![vec![]; known.attributes.len()],
            categories: vec![vec![]; known.attributes.len()],
        };
        if let Some(at) = place("weight") {
            let number = |row: &Row| row.3.map_or(EdgeValue::Missing, |number| EdgeValue::Number(number as f32 / 2.0));
            data.attributes[at] = rows.iter().map(number).collect();
        }
        if let Some(at) = place("kind") {
            let code = |name: &String| names.iter().position(|known| known == name).unwrap() as u32;
            let category = |row: &Row| row.4.as_ref().map_or(EdgeValue::Missing, |name| EdgeValue::Category(code(name)));
            data.attributes[at] = rows.iter().map(category).collect();
            data.categories[at].clone_from(&names);
        }
        if let Some(at) = place("rank") {
            data.attributes[at] = rows.iter().map(|row| EdgeValue::Number(row.5 as f32)).collect();
        }
        let written = [usize::MAX, 300_000, 0].map(|memory| {
            let store = tempfile::tempdir().unwrap();
            let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap().with_memory(memory);
            for (id, count) in schema.node_type_ids().zip(counts) {
                writer.nodes(id, &(0..count).map(|node| format!("{node:04}")).collect::<Vec<_>>()).unwrap();
            }
            writer.relation(relation, &data).unwrap();
            (writer.publish(&[]).unwrap(), store)
        });
        assert!(written.iter().all(|(id, _)| *id == written[0].0), "the memory allowed changes nothing");
        let snapshot = Snapshot::current(written[2].1.path()).unwrap();
        snapshot.verify().unwrap();
        for direction in Direction::BOTH {
            // Missing numbers and categories sort behind all others, missing times before.
            let mut plain: Vec<Row> = rows
                .iter()
                .cloned()
                .map(|(source, target, time, number, kind, rank)| {
                    let (near, far) = if direction == Direction::Outgoing { (source, target) } else { (target, source) };
                    let time = if place("when").is_some() { time } else { 0 };
                    let number = place("weight").and(number);
                    let kind = place("kind").and(kind);
                    (near, far, time, number, kind, place("rank").map_or(0, |_| rank))
                })
                .collect();
            plain.sort_by_key(|(near, far, time, number, kind, rank)| {
                (*near, *time, *far, number.unwrap_or(u32::MAX), kind.is_none(), kind.clone(), *rank)
            });
            let adjacency = snapshot.adjacency(relation, direction);
            let numbers =
                place("weight").map(|at| snapshot.edge_column(relation, direction, relata_schema::AttributeId(at as u16)));
            let kinds = place("kind").map(|at| snapshot.edge_column(relation, direction, relata_schema::AttributeId(at as u16)));
            let ranks = place("rank").map(|at| snapshot.edge_column(relation, direction, relata_schema::AttributeId(at as u16)));
            let kind_names = place("kind").map(|at| snapshot.edge_categories(relation, relata_schema::AttributeId(at as u16)));
            assert!(kind_names.as_ref().is_none_or(|names| names == &["early", "late", "middle"]));
            let mut found: Vec<Row> = Vec::new();
            for near in 0..counts[known.near(direction).index()] {
                for at in adjacency.range(near) {
                    let number = match numbers {
                        Some(EdgeColumn::Number(numbers)) => Some(numbers[at]).filter(|n| !n.is_nan()).map(|n| (n * 2.0) as u32),
                        _ => None,
                    };
                    let kind = match kinds {
                        Some(EdgeColumn::Category(codes)) => {
                            kind_names.as_ref().unwrap().get(codes[at] as usize).map(|&name| name.to_owned())
                        }
                        _ => None,
                    };
                    let rank = match ranks {
                        Some(EdgeColumn::Number(ranks)) => ranks[at] as u32,
                        _ => 0,
                    };
                    let time = if adjacency.times.is_empty() { 0 } else { adjacency.times.raw(at) };
                    found.push((near, adjacency.targets[at], time, number, kind, rank));
                }
            }
            assert_eq!(found.len(), plain.len());
            assert!(found == plain, "{name} {direction}");
        }
    }
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
        writer.relation(interacts, &EdgeData { sources, targets, ..EdgeData::default() }).unwrap();
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
