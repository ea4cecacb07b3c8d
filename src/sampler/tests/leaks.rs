//! What must not be seen is planted, once where it would be reached and once beside it: a guard that lets something through
//! fails here, and so does one that takes away more than it should.

use std::collections::BTreeSet;

use relata_schema::{Direction, RelationId};

use super::plain::{Node, Plain, PlainEdge, PlainRelation, seed};
use crate::sampler::*;

const DRAWS: u64 = 200;

/// A relation between two types.
fn relation(source: u16, target: u16, timed: bool) -> PlainRelation {
    PlainRelation { source, target, symmetric: false, timed, contains: source != target }
}

fn edge(relation: u16, source: u32, target: u32, time: i64) -> PlainEdge {
    PlainEdge { relation, source, target, time, weight: 1 }
}

/// All walks, each wide enough to meet all that it may.
fn walks(plain: &Plain) -> Vec<Walk> {
    let costs = Costs { nodes: vec![1; plain.counts.len()], edges: vec![1; plain.relations.len()] };
    vec![
        Walk::neighbour([u32::MAX; 4]),
        Walk::neighbour([2; 4]),
        Walk::context(10_000, 4, costs.clone()),
        Walk::context(12, 4, costs),
        Walk::Hierarchy { up: vec![99; 4], down: vec![99; 4] },
    ]
}

/// Whatever is ever met from a seed, over many draws, walks, ways to list edges and retrieved rows.
fn met(plain: &Plain, config: &SamplerConfig, start: Node) -> (BTreeSet<Node>, BTreeSet<(u16, u32, u32)>) {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let (mut nodes, mut edges) = (BTreeSet::new(), BTreeSet::new());
    for walk in walks(plain) {
        for listed in [Listed::Drawn, Listed::Once, Listed::Induced] {
            for retrieval in [None, Some(Retrieval { walks: 20, steps: 6, rows: 9 })] {
                let config = SamplerConfig { walk: walk.clone(), listed, retrieval, ..config.clone() };
                let sampler = Sampler::new(&snapshot, config).unwrap();
                for draw in 0..DRAWS {
                    let drawn = sampler.sample(&[seed(start.0, start.1)], draw).unwrap();
                    nodes.extend(drawn.nodes.iter().map(|node| (node.node_type.0, node.node)));
                    for edge in drawn.edges.iter() {
                        let (source, target) = edge.ends();
                        let number = |place: u32| drawn.nodes[place as usize].node;
                        edges.insert((edge.relation.0, number(source), number(target)));
                    }
                }
            }
        }
    }
    (nodes, edges)
}

/// Samples (type 0) of donors (type 1) with genes (type 2). The seed is sample 0, at time 10.
fn history() -> Plain {
    Plain {
        counts: vec![6, 2, 4],
        relations: vec![relation(0, 1, true), relation(0, 2, true), relation(2, 2, true)],
        edges: vec![
            edge(0, 0, 0, 10),
            edge(1, 0, 0, 9),
            // An edge that is later leads to a gene that is met by no other.
            edge(1, 0, 1, 11),
            // The donor's other samples: an earlier one, one of the same time, a later one whose link is early all the same,
            // and one whose link has no time.
            edge(0, 1, 0, 3),
            edge(0, 2, 0, 10),
            edge(0, 3, 0, 2),
            edge(0, 4, 0, i64::MIN),
            // Beyond the later sample is a gene that no other way leads to.
            edge(1, 3, 2, 2),
            // A parent that came later: the donor of an early sample.
            edge(0, 1, 1, 3),
            edge(0, 5, 1, 3),
            edge(2, 0, 3, 4),
        ],
        born: vec![vec![10, 3, 10, 12, i64::MIN, 3], vec![1, 20], vec![]],
    }
}

#[test]
fn nothing_later_than_the_cutoff_is_met_by_any_walk_and_all_else_is() {
    let plain = history();
    let config = |equal_time, missing_time| SamplerConfig {
        cutoff: Some(10),
        equal_time,
        missing_time,
        ..SamplerConfig::new(Walk::neighbour([1]), plain.all())
    };
    // Gene 1 lies behind a later edge, sample 3 came later, gene 2 lies behind it, donor 1 came later, and sample 5 lies
    // behind that.
    let common: BTreeSet<Node> = [(0, 0), (0, 1), (1, 0), (2, 0), (2, 3)].into();
    for (equal_time, missing_time, more) in
        [(EqualTime::Keep, MissingTime::Keep, vec![(0, 2), (0, 4)]), (EqualTime::Keep, MissingTime::Drop, vec![(0, 2)])]
    {
        let (nodes, edges) = met(&plain, &config(equal_time, missing_time), (0, 0));
        let expected: BTreeSet<Node> = common.iter().copied().chain(more).collect();
        assert_eq!(nodes, expected, "{equal_time:?} {missing_time:?}");
        let late = [(1, 0, 1), (0, 3, 0), (1, 3, 2), (0, 1, 1), (0, 5, 1)];
        assert!(late.iter().all(|late| !edges.contains(late)), "{edges:?}");
        let shown = expected.iter().filter(|node| node.0 == 0).count();
        assert_eq!(edges.iter().filter(|edge| edge.0 == 0).count(), shown, "each sample's link to the donor");
    }
    // Without what has just the cutoff's time the seed's own link to the donor is gone, and all that lies behind it.
    let (nodes, _) = met(&plain, &config(EqualTime::Drop, MissingTime::Keep), (0, 0));
    assert_eq!(nodes, [(0, 0), (2, 0), (2, 3)].into());
    // Without a cutoff all is met.
    let (nodes, _) = met(&plain, &SamplerConfig::new(Walk::neighbour([1]), plain.all()), (0, 0));
    assert_eq!(nodes.len(), 12);
}

#[test]
fn a_type_whose_nodes_always_were_is_not_cut_off() {
    let plain = history();
    let config = SamplerConfig::new(Walk::neighbour([1]), plain.all());
    let samples = relata_schema::NodeTypeId(0);
    let config = SamplerConfig { cutoff: Some(10), time_of: vec![(samples, None)], ..config };
    let (nodes, _) = met(&plain, &config, (0, 0));
    // Sample 3 and what lies behind it; donor 1 still came later.
    assert_eq!(nodes, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (2, 0), (2, 2), (2, 3)].into());
}

#[test]
fn a_seed_is_there_whatever_its_time_and_is_not_reached_from_another() {
    let plain = history();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let config = SamplerConfig { cutoff: Some(10), ..SamplerConfig::new(Walk::neighbour([9]), plain.all()) };
    let sampler = Sampler::new(&snapshot, config).unwrap();
    let drawn = sampler.sample(&[seed(0, 3), seed(1, 0)], 0).unwrap();
    let links: Vec<_> = drawn.edges.iter().filter(|edge| edge.relation == RelationId(0)).collect();
    // The late sample shows its own link to the donor; the donor does not show the link to the late sample.
    assert!(links.iter().any(|edge| edge.near == 0 && edge.direction == Direction::Outgoing));
    assert!(links.iter().all(|edge| edge.near != 1 || edge.far != 0));
}

#[test]
fn each_seed_may_have_a_cutoff_of_its_own() {
    let plain = history();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let sampler = |cutoff| {
        let config = SamplerConfig { cutoff, ..SamplerConfig::new(Walk::neighbour([9, 9]), plain.all()) };
        Sampler::new(&snapshot, config).unwrap()
    };
    let seeds: Vec<_> = (0..40).map(|at| (seed(0, at % 6), i64::from(at % 15))).collect();
    let drawn = sampler(None).sample_each_until(&seeds, 4).unwrap();
    for (&(seed, cutoff), drawn) in seeds.iter().zip(&drawn) {
        assert_eq!(*drawn, sampler(Some(cutoff)).sample(&[seed], 4).unwrap());
    }
    assert!(drawn.iter().map(|drawn| drawn.edges.len()).collect::<BTreeSet<_>>().len() > 3);
}

#[test]
fn an_excluded_edge_is_met_from_neither_end_and_its_parallels_neither() {
    let plain = history();
    let config = SamplerConfig::new(Walk::neighbour([1]), plain.all());
    let all = met(&plain, &config, (0, 0)).1;
    let config = SamplerConfig { excluded: vec![(RelationId(0), 0, 0), (RelationId(2), 0, 3)], ..config };
    for start in [(0, 0), (1, 0), (2, 0)] {
        let (_, edges) = met(&plain, &config, start);
        assert!(!edges.contains(&(0, 0, 0)) && !edges.contains(&(2, 0, 3)), "{edges:?}");
    }
    // From the donor, all others are met, and from the seed what is still connected to it.
    let (_, edges) = met(&plain, &config, (1, 0));
    let others: BTreeSet<_> = all.iter().copied().filter(|edge| ![(0, 0, 0), (2, 0, 3)].contains(edge)).collect();
    let near: BTreeSet<_> = others.iter().copied().filter(|edge| ![(1, 0, 0), (1, 0, 1)].contains(edge)).collect();
    assert_eq!(edges, near);
}

#[test]
fn a_type_with_several_times_asks_which_one_counts() {
    let text = "[node.t0]\nattributes.born = { kind = \"time\" }\nattributes.died = { kind = \"time\" }\n\
                [[relation]]\nname = \"r0\"\nsource = \"t0\"\ntarget = \"t0\"\n";
    let schema = relata_schema::Schema::default().extended_by(text, "two.toml").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut writer = crate::snapshot::SnapshotWriter::create(folder.path(), &schema).unwrap();
    writer.nodes(relata_schema::NodeTypeId(0), &["a".to_owned(), "b".to_owned()]).unwrap();
    writer.publish(&[]).unwrap();
    let snapshot = Snapshot::current(folder.path()).unwrap();
    let config =
        |time_of: Vec<_>| SamplerConfig { cutoff: Some(1), time_of, ..SamplerConfig::new(Walk::neighbour([1]), [RelationId(0)]) };
    let t0 = relata_schema::NodeTypeId(0);
    let Err(error) = Sampler::new(&snapshot, config(vec![])) else { panic!() };
    let error = error.to_string();
    assert!(error.contains("time_of t0") && error.contains("born, died"), "{error}");
    // Without a cutoff of the configuration, those of the seeds ask.
    let seeds = [(Hit { node_type: t0, node: 0 }, 1)];
    let late = |config: SamplerConfig| Sampler::new(&snapshot, SamplerConfig { cutoff: None, ..config }).unwrap();
    let error = late(config(vec![])).sample_each_until(&seeds, 0).unwrap_err().to_string();
    assert!(error.contains("time_of t0") && error.contains("born, died"), "{error}");
    for named in [Some(relata_schema::AttributeId(1)), None] {
        assert!(Sampler::new(&snapshot, config(vec![(t0, named)])).is_ok());
        assert!(late(config(vec![(t0, named)])).sample_each_until(&seeds, 0).is_ok());
    }
    let Err(error) = Sampler::new(&snapshot, config(vec![(t0, Some(relata_schema::AttributeId(7)))])) else { panic!() };
    assert!(error.to_string().contains("attribute number 7"), "{error}");
}
