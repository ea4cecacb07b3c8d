mod leaks;
mod plain;
mod reference;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use relata_schema::{Direction, RelationId};

use super::*;
use crate::snapshot::EdgeColumn;
use plain::{Node, Plain, PlainEdge, PlainRelation, medium, plain_and_seeds, seed, single, times};

fn node(sampled: SampledNode) -> Node {
    (sampled.node_type.0, sampled.node)
}

/// The edge of the plain list that a sampled edge is, read from the columns at its position; both ends are checked.
fn read(plain: &Plain, snapshot: &Snapshot, subgraph: &Subgraph, edge: &SampledEdge) -> PlainEdge {
    let adjacency = snapshot.adjacency(edge.relation, edge.direction);
    let position = edge.position as usize;
    let (near, far) = (subgraph.nodes[edge.near as usize], subgraph.nodes[edge.far as usize]);
    let relation = snapshot.schema().edge(edge.relation);
    assert_eq!((near.node_type, far.node_type), (relation.near(edge.direction), relation.far(edge.direction)));
    assert!(adjacency.range(near.node).contains(&position) && adjacency.targets[position] == far.node, "{edge:?}");
    let weight = snapshot.schema().edge_attribute(edge.relation, "weight").unwrap();
    let EdgeColumn::Number(weights) = snapshot.edge_column(edge.relation, edge.direction, weight) else { panic!() };
    let (source, target) = edge.ends();
    plain.canonical(PlainEdge {
        relation: edge.relation.0,
        source: subgraph.nodes[source as usize].node,
        target: subgraph.nodes[target as usize].node,
        time: adjacency.times.raw(position),
        weight: weights[position] as u32,
    })
}

/// How often each edge of the plain list occurs in a subgraph.
fn read_all(plain: &Plain, snapshot: &Snapshot, subgraph: &Subgraph) -> BTreeMap<PlainEdge, usize> {
    let mut counts = BTreeMap::new();
    for edge in subgraph.edges.iter() {
        *counts.entry(read(plain, snapshot, subgraph, &edge)).or_insert(0) += 1;
    }
    counts
}

/// What is true of every subgraph.
fn assert_sound(plain: &Plain, sampler: &Sampler, seeds: &[Hit], subgraph: &Subgraph) {
    let config = sampler.config();
    let hops = match &config.walk {
        Walk::Neighbour { fanouts, .. } => fanouts.len() as u16,
        Walk::Context { hops, .. } => *hops as u16,
        Walk::Hierarchy { up, down } => up.len().max(down.len()) as u16,
    };
    let (reached, allowed) = plain.reach(seeds, hops, config);
    let nodes = &subgraph.nodes;
    assert_eq!(subgraph.seeds.iter().map(|&place| nodes[place as usize].hit()).collect::<Vec<_>>(), seeds);
    assert_eq!(nodes.iter().map(|&sampled| node(sampled)).collect::<BTreeSet<_>>().len(), nodes.len(), "a node twice");
    assert!(nodes.is_sorted_by_key(|node| node.hop));
    let mut distances: BTreeMap<u32, u16> = subgraph.seeds.iter().map(|&place| (place, 0)).collect();
    for edge in subgraph.edges.iter() {
        let hop = nodes[edge.near as usize].hop;
        assert!(hop < hops, "walked from a node of the last hop");
        let distance = distances.entry(edge.far).or_insert(hop + 1);
        *distance = (*distance).min(hop + 1);
    }
    for (place, sampled) in nodes.iter().enumerate() {
        assert_eq!(distances.get(&(place as u32)), Some(&sampled.hop), "{sampled:?} was not discovered by an edge");
        assert!(reached.get(&node(*sampled)).is_some_and(|&hop| hop <= sampled.hop), "{sampled:?} is out of reach");
    }
    for (edge, count) in read_all(plain, sampler.snapshot(), subgraph) {
        // Both ends may have drawn it.
        let ends = if config.listed == Listed::Drawn && matches!(config.walk, Walk::Neighbour { .. }) { 2 } else { 1 };
        let most = ends * allowed.get(&edge).copied().unwrap_or_default();
        assert!(count <= most, "{edge:?} occurs {count} times, expected at most {most}");
    }
    match &config.walk {
        Walk::Neighbour { fanouts, fanout_of } if config.listed == Listed::Drawn => {
            assert_fanouts(plain, config, fanouts, fanout_of, subgraph);
        }
        Walk::Neighbour { .. } => {}
        Walk::Context { .. } => assert_within_budget(config, subgraph),
        Walk::Hierarchy { .. } => {}
    }
}

/// Every node draws its fanout or all of its edges.
fn assert_fanouts(
    plain: &Plain,
    config: &SamplerConfig,
    fanouts: &[u32],
    fanout_of: &[(RelationId, Direction, Vec<u32>)],
    subgraph: &Subgraph,
) {
    for (place, &sampled) in subgraph.nodes.iter().enumerate() {
        let hop = usize::from(sampled.hop);
        if hop == fanouts.len() {
            continue;
        }
        for &relation in &config.relations {
            let symmetric = plain.relations[relation.index()].symmetric;
            for direction in Direction::BOTH {
                let named = fanout_of.iter().find(|(other, way, _)| *other == relation && (symmetric || *way == direction));
                let fanout = named.map_or(fanouts, |(_, _, fanouts)| fanouts)[hop] as usize;
                let drawn = plain.edges_of(node(sampled), relation.0, direction, config).len().min(fanout);
                if symmetric && direction == Direction::Incoming {
                    continue;
                }
                let is_listed =
                    |edge: &SampledEdge| (edge.near as usize, edge.relation, edge.direction) == (place, relation, direction);
                let listed = subgraph.edges.iter().filter(is_listed).count();
                assert_eq!(listed, drawn, "{sampled:?}, {relation:?} {direction}");
            }
        }
    }
}

fn cost(config: &SamplerConfig, subgraph: &Subgraph) -> (u64, u64) {
    let Walk::Context { hops, costs, .. } = &config.walk else { panic!() };
    let price = |node: &SampledNode| u64::from(costs.nodes[node.node_type.index()]);
    let shown = subgraph.nodes.iter().filter(|node| u32::from(node.hop) < *hops);
    let edges: u64 = subgraph.edges.iter().map(|edge| u64::from(costs.edges[edge.relation.index()])).sum();
    (shown.map(price).sum::<u64>() + edges, subgraph.nodes.iter().filter(|node| node.hop == 0).map(price).sum())
}

fn assert_within_budget(config: &SamplerConfig, subgraph: &Subgraph) {
    let Walk::Context { tokens, .. } = config.walk else { panic!() };
    let (spent, seeds) = cost(config, subgraph);
    assert!(spent <= u64::from(tokens).max(seeds), "{spent} tokens spent of {tokens}, {seeds} of them on seeds");
    assert!(subgraph.edges.len() <= tokens as usize);
    if seeds >= u64::from(tokens) {
        assert!(subgraph.edges.is_empty());
    }
}

/// In a context walk with budget enough, a node takes its width, or all edges to nodes that were not expanded before it.
fn assert_widths(plain: &Plain, config: &SamplerConfig, subgraph: &Subgraph) {
    let Walk::Context { hops, width, width_of, .. } = &config.walk else { panic!() };
    // A node that took nothing had nothing left to take: it came after all of its neighbours.
    let rank = |place: u32| subgraph.edges.iter().position(|edge| edge.near == place).unwrap_or(usize::MAX);
    let ranks: BTreeMap<Node, usize> = (0_u32..).zip(&subgraph.nodes).map(|(place, &known)| (node(known), rank(place))).collect();
    for (place, &sampled) in subgraph.nodes.iter().enumerate().filter(|(_, node)| u32::from(node.hop) < *hops) {
        for &relation in &config.relations {
            let named = width_of.iter().find(|(other, _)| *other == relation).map(|&(_, width)| width);
            let width = named.or(*width).map_or(usize::MAX, |width| width as usize);
            for direction in Direction::BOTH {
                let own = ranks[&node(sampled)];
                let is_candidate = |far: &Node| match *far == node(sampled) {
                    true => direction == Direction::Outgoing,
                    false => ranks.get(far).is_none_or(|&rank| rank >= own),
                };
                let edges = plain.edges_of(node(sampled), relation.0, direction, config);
                let expected = edges.iter().filter(|(far, _)| is_candidate(far)).count().min(width);
                let is_listed =
                    |edge: &SampledEdge| (edge.near as usize, edge.relation, edge.direction) == (place, relation, direction);
                let listed = subgraph.edges.iter().filter(is_listed).count();
                assert_eq!(listed, expected, "{sampled:?}, {relation:?} {direction}");
            }
        }
    }
}

/// Each type's and relation's cost, from a list that is long enough.
fn costs(plain: &Plain, nodes: &[u32], edges: &[u32]) -> Costs {
    Costs { nodes: nodes[..plain.counts.len()].to_vec(), edges: edges[..plain.relations.len()].to_vec() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn without_subsampling_both_walks_give_all_that_is_within_reach(
        (plain, seeds) in plain_and_seeds(),
        (cutoff, equal_time, missing_time) in times(),
        hops in 1_u16..4,
        left_out in any::<prop::sample::Index>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = plain.write(folder.path());
        let mut relations = plain.all();
        relations.remove(left_out.index(relations.len()));
        let costs = costs(&plain, &[1; 4], &[1; 4]);
        for relations in [plain.all(), relations] {
            for walk in [
                Walk::neighbour(vec![u32::MAX; usize::from(hops)]),
                Walk::context(10_000, u32::from(hops), costs.clone()),
            ] {
                let listed = Listed::Once;
                let config = SamplerConfig { cutoff, equal_time, missing_time, listed, ..SamplerConfig::new(walk, relations.clone()) };
                let (nodes, edges) = plain.reach(&seeds, hops, &config);
                let sampler = Sampler::new(&snapshot, config).unwrap();
                let subgraph = sampler.sample(&seeds, 0).unwrap();
                assert_sound(&plain, &sampler, &seeds, &subgraph);
                let found: BTreeMap<_, _> = subgraph.nodes.iter().map(|&sampled| (node(sampled), sampled.hop)).collect();
                prop_assert_eq!(&found, &nodes);
                prop_assert_eq!(&read_all(&plain, &snapshot, &subgraph), &edges);
            }
        }
    }

    #[test]
    fn subsampled_walks_are_sound_and_each_node_takes_what_it_may(
        (plain, seeds) in plain_and_seeds(),
        (cutoff, equal_time, missing_time) in times(),
        fanouts in prop::collection::vec(0_u32..4, 1..4),
        (named, outgoing, width) in (any::<prop::sample::Index>(), any::<bool>(), 0_u32..4),
        (node_costs, edge_costs, tokens) in (any::<[bool; 4]>(), prop::collection::vec(0_u32..4, 4), 1_u32..40),
        draw in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = plain.write(folder.path());
        let named = RelationId(named.index(plain.relations.len()) as u16);
        let direction = if outgoing { Direction::Outgoing } else { Direction::Incoming };
        let costs = costs(&plain, &node_costs.map(|cost| 3 * u32::from(cost)), &edge_costs);
        let hops = fanouts.len() as u32;
        let context = |tokens| {
            let width_of = vec![(named, width)];
            Walk::Context { tokens, hops, width: Some(fanouts[0]), width_of, costs: costs.clone() }
        };
        let fanout_of = vec![(named, direction, vec![width; fanouts.len()])];
        for walk in [Walk::Neighbour { fanouts: fanouts.clone(), fanout_of }, context(10_000), context(tokens)] {
            let config = SamplerConfig { cutoff, equal_time, missing_time, seed: 7, ..SamplerConfig::new(walk, plain.all()) };
            let is_ample = matches!(config.walk, Walk::Context { tokens: 10_000, .. });
            let sampler = Sampler::new(&snapshot, config).unwrap();
            let merged = sampler.sample(&seeds, draw).unwrap();
            assert_sound(&plain, &sampler, &seeds, &merged);
            if is_ample {
                assert_widths(&plain, sampler.config(), &merged);
            }
            for (seed, own) in seeds.iter().zip(sampler.sample_each(&seeds, draw).unwrap()) {
                assert_sound(&plain, &sampler, std::slice::from_ref(seed), &own);
                prop_assert_eq!(sampler.sample(&[*seed], draw).unwrap(), own);
            }
        }
    }
}

/// χ² of how often each of `n` positions was among the `k` chosen of `draws`: 19 degrees of freedom where n is 20.
fn chi_square(counts: &[u64], k: u64, draws: u64) -> f64 {
    let n = counts.len() as f64;
    let share = k as f64 / n;
    let expected = draws as f64 * share;
    // Positions of one draw exclude each other: the variance is a binomial's, times n / (n - 1).
    let variance = expected * (1.0 - share) * n / (n - 1.0);
    counts.iter().map(|&count| (count as f64 - expected).powi(2) / variance).sum()
}

#[test]
fn every_edge_before_the_cutoff_is_equally_likely_and_none_after_it() {
    const DRAWS: u64 = 80_000;
    let folder = tempfile::tempdir().unwrap();
    // Node 0 of type 0 has forty edges; twenty are at 100 or before. It is also the second hop from the node of type 2.
    let mut plain = single(&[1, 40], false, (0..40).map(|at| (0, at, 81 + i64::from(at))));
    plain.counts.push(1);
    plain.relations.push(PlainRelation { source: 2, target: 0, symmetric: false, timed: false, contains: false });
    plain.edges.push(PlainEdge { relation: 1, source: 0, target: 0, time: i64::MIN, weight: 0 });
    let snapshot = plain.write(folder.path());
    let costs = Costs { nodes: vec![0; 3], edges: vec![1, 1] };
    let narrow = Walk::Context { tokens: 99, hops: 1, width: Some(5), width_of: Vec::new(), costs: costs.clone() };
    let cases = [
        ("neighbour", Walk::neighbour([5]), seed(0, 0)),
        ("neighbour, second hop", Walk::neighbour([5, 5]), seed(2, 0)),
        ("context by width", narrow, seed(0, 0)),
        // Of six tokens, the first hop costs one.
        ("context by budget", Walk::context(6, 2, costs), seed(2, 0)),
    ];
    for (name, walk, start) in cases {
        let config = SamplerConfig { cutoff: Some(100), seed: 11, ..SamplerConfig::new(walk, plain.all()) };
        println!("{name}: seed {}", config.seed);
        let sampler = Sampler::new(&snapshot, config).unwrap();
        let mut counts = [0; 40];
        for draw in 0..DRAWS {
            let subgraph = sampler.sample(&[start], draw).unwrap();
            let drawn: Vec<_> = subgraph.edges.iter().filter(|edge| edge.relation == RelationId(0)).collect();
            assert_eq!(drawn.len(), 5, "{name}");
            drawn.iter().for_each(|edge| counts[edge.position as usize] += 1);
        }
        assert_eq!(counts[20..], [0; 20], "{name}: an edge after the cutoff");
        let found = chi_square(&counts[..20], 5, DRAWS);
        assert!((5.4..43.8).contains(&found), "{name}: χ² {found} of {counts:?} (19 degrees of freedom, p = 0.001 and 0.999)");
        for (tenth, part) in [("first", &counts[..2]), ("last", &counts[18..20])] {
            let sum: u64 = part.iter().sum();
            // Of two positions in a draw: 2 × 1/4 × 3/4 × (1 − 1/19). Eight sums are looked at.
            let deviation = (DRAWS as f64 * 0.355).sqrt();
            assert!(sum.abs_diff(DRAWS / 2) as f64 <= 4.0 * deviation, "{name}: the {tenth} tenth was drawn {sum} times");
        }
    }
}

#[test]
fn an_edge_after_the_cutoff_is_reached_by_no_path_and_one_at_it_is_reached() {
    // 0 –5– 1 –10– 3 and 0 –3– 2 –9– 3 –9– 4 –12– 5, and 2 –?– 6: node 5 is behind a later edge only.
    let edges = [(0, 1, 5), (1, 3, 10), (0, 2, 3), (2, 3, 9), (3, 4, 9), (4, 5, 12), (2, 6, i64::MIN)];
    for symmetric in [false, true] {
        let plain = single(&[7], symmetric, edges);
        let folder = tempfile::tempdir().unwrap();
        let snapshot = plain.write(folder.path());
        let costs = Costs { nodes: vec![1], edges: vec![1] };
        for walk in [
            Walk::neighbour([9; 5]),
            Walk::neighbour([1; 5]),
            Walk::context(99, 5, costs.clone()),
            // Enough for the seed, its two edges, and one more.
            Walk::context(8, 5, costs),
        ] {
            for missing_time in [MissingTime::Keep, MissingTime::Drop] {
                let config = SamplerConfig { cutoff: Some(9), missing_time, ..SamplerConfig::new(walk.clone(), plain.all()) };
                let sampler = Sampler::new(&snapshot, config).unwrap();
                let mut seen = BTreeSet::new();
                for draw in 0..300 {
                    let subgraph = sampler.sample(&[seed(0, 0)], draw).unwrap();
                    seen.extend(subgraph.edges.iter().map(|edge| read(&plain, &snapshot, &subgraph, &edge).time));
                    assert!(subgraph.nodes.iter().all(|node| node.node != 5), "{walk:?}");
                }
                let times: &[i64] = if missing_time == MissingTime::Keep { &[i64::MIN, 3, 5, 9] } else { &[3, 5, 9] };
                assert_eq!(seen, times.iter().copied().collect(), "{walk:?}");
            }
        }
    }
}

#[test]
fn a_dated_relation_without_any_date_is_dropped_or_kept_as_a_whole() {
    let mut plain = single(&[3], false, [(0, 1, i64::MIN), (0, 2, i64::MIN)]);
    for (timed, missing_time, expected) in
        [(true, MissingTime::Keep, 2), (true, MissingTime::Drop, 0), (false, MissingTime::Drop, 2)]
    {
        plain.relations[0].timed = timed;
        let folder = tempfile::tempdir().unwrap();
        let config = SamplerConfig::new(Walk::neighbour([9]), plain.all());
        let config = SamplerConfig { cutoff: Some(0), missing_time, ..config };
        let sampler = Sampler::new(&plain.write(folder.path()), config).unwrap();
        assert_eq!(sampler.sample(&[seed(0, 0)], 0).unwrap().edges.len(), expected, "{timed} {missing_time:?}");
    }
}

#[test]
fn an_edge_may_be_drawn_again_from_its_far_end_by_the_neighbour_walk_and_not_by_the_context_walk() {
    // 0 – 1 – 2: with a fanout of 1, node 1 draws the edge back or the one on.
    let plain = single(&[3], true, [(0, 1, 0), (1, 2, 0)]);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let count = |walk: Walk| {
        let config = SamplerConfig { listed: Listed::Once, ..SamplerConfig::new(walk, plain.all()) };
        let sampler = Sampler::new(&snapshot, config).unwrap();
        let edges = |draw| sampler.sample(&[seed(0, 0)], draw).unwrap().edges.len();
        (0..2_000).filter(|&draw| edges(draw) == 2).count()
    };
    let found = count(Walk::neighbour([1, 1]));
    assert!((850..1150).contains(&found), "{found} of 2,000 went on, expected about half");
    let costs = Costs { nodes: vec![1], edges: vec![1] };
    let found = count(Walk::Context { tokens: 99, hops: 2, width: Some(1), width_of: Vec::new(), costs });
    assert_eq!(found, 2_000);
}

#[test]
fn a_context_that_was_not_drawn_from_one_end_does_not_come_from_the_other() {
    // The seed has ten children, of which two are taken; whatever they do, no third edge of the seed appears.
    let plain = single(&[1, 10], false, (0..10).map(|at| (0, at, 0)));
    let folder = tempfile::tempdir().unwrap();
    let costs = Costs { nodes: vec![1; 2], edges: vec![1] };
    let walk = Walk::Context { tokens: 99, hops: 3, width: Some(2), width_of: Vec::new(), costs };
    let sampler = Sampler::new(&plain.write(folder.path()), SamplerConfig::new(walk, plain.all())).unwrap();
    assert!((0..200).all(|draw| sampler.sample(&[seed(0, 0)], draw).unwrap().edges.len() == 2));
}

#[test]
fn loops_and_symmetric_and_parallel_edges_are_each_there_once() {
    let edges = [(0, 0, 1), (0, 0, 1), (0, 1, 2), (1, 0, 2), (0, 1, 2), (1, 1, 0), (1, 2, 3), (2, 0, 3)];
    for symmetric in [false, true] {
        let mut plain = single(&[3], symmetric, edges);
        plain.edges.iter_mut().for_each(|edge| edge.weight = 0);
        let folder = tempfile::tempdir().unwrap();
        let snapshot = plain.write(folder.path());
        for walk in [Walk::neighbour([9, 9, 9]), Walk::context(99, 3, Costs { nodes: vec![1], edges: vec![1] })] {
            for seeds in [&[seed(0, 0)][..], &[seed(0, 0), seed(0, 1), seed(0, 2), seed(0, 0)]] {
                let config = SamplerConfig { listed: Listed::Once, ..SamplerConfig::new(walk.clone(), plain.all()) };
                let sampler = Sampler::new(&snapshot, config).unwrap();
                let subgraph = sampler.sample(seeds, 0).unwrap();
                assert_sound(&plain, &sampler, seeds, &subgraph);
                assert_eq!(subgraph.edges.len(), edges.len(), "{walk:?} {subgraph:?}");
            }
        }
    }
}

#[test]
fn relations_share_a_budget_that_is_too_small_for_a_node() {
    // 100 edges of the first relation, 100 of the second, 4 of the third.
    let relation = |target| PlainRelation { source: 0, target, symmetric: false, timed: false, contains: false };
    let edges = (0..3_u16).flat_map(|relation| (0..if relation == 2 { 4 } else { 100 }).map(move |target| (relation, target)));
    let edge = |(relation, target)| PlainEdge { relation, source: 0, target, time: i64::MIN, weight: 0 };
    let plain = Plain {
        counts: vec![1, 100, 100, 4],
        relations: vec![relation(1), relation(2), relation(3)],
        edges: edges.map(edge).collect(),
        born: Vec::new(),
    };
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let shares = |tokens, hops, edges: [u32; 3], nodes: [u32; 4]| {
        let costs = Costs { nodes: nodes.to_vec(), edges: edges.to_vec() };
        let sampler = Sampler::new(&snapshot, SamplerConfig::new(Walk::context(tokens, hops, costs), plain.all())).unwrap();
        let mut shares = [0; 3];
        for draw in 0..300 {
            let subgraph = sampler.sample(&[seed(0, 0)], draw).unwrap();
            assert_sound(&plain, &sampler, &[seed(0, 0)], &subgraph);
            subgraph.edges.iter().for_each(|edge| shares[edge.relation.index()] += 1);
        }
        shares
    };
    assert_eq!(shares(25, 1, [1, 1, 1], [1; 4]), [10, 10, 4].map(|share| share * 300));
    // Nodes of the first hop are shown if there is a second: an edge and its node cost 2.
    assert_eq!(shares(49, 2, [1, 1, 1], [1; 4]), [10, 10, 4].map(|share| share * 300));
    // What costs more takes as many turns as long as it fits.
    assert_eq!(shares(45, 1, [3, 1, 1], [1; 4]), [10, 10, 4].map(|share| share * 300));
    // The last of 25 edges goes to the first relation or the second, by lot.
    let [first, second, third] = shares(26, 1, [1, 1, 1], [1; 4]);
    assert_eq!((first + second, third), (21 * 300, 4 * 300));
    assert!((3_100..3_200).contains(&first), "{first} of the first relation, expected about 3,150");
    // Edges that cost nothing are no more than the tokens.
    assert_eq!(shares(30, 1, [0, 0, 0], [0; 4]), [13, 13, 4].map(|share| share * 300));
    // A seed that costs all there is, or more, is there alone.
    assert_eq!(shares(5, 2, [0, 0, 0], [5, 0, 0, 0]), [0, 0, 0]);
    assert_eq!(shares(4, 2, [1, 1, 1], [5, 0, 0, 0]), [0, 0, 0]);
}

#[test]
fn which_nodes_of_a_hop_are_expanded_first_is_by_lot() {
    // The seed has ten neighbours with a leaf each; the budget is enough for all of them and two leaves.
    let edges = (1..11).flat_map(|middle| [(0, middle, 0), (middle, middle + 10, 0)]);
    let plain = single(&[21], false, edges);
    let folder = tempfile::tempdir().unwrap();
    let walk = Walk::context(12, 2, Costs { nodes: vec![0], edges: vec![1] });
    let sampler = Sampler::new(&plain.write(folder.path()), SamplerConfig::new(walk, plain.all())).unwrap();
    let mut counts = [0_u64; 10];
    for draw in 0..5_000 {
        let subgraph = sampler.sample(&[seed(0, 0)], draw).unwrap();
        assert_eq!(subgraph.edges.len(), 12);
        subgraph.nodes.iter().filter(|node| node.hop == 2).for_each(|node| counts[node.node as usize - 11] += 1);
    }
    let found = chi_square(&counts, 2, 5_000);
    assert!(found < 27.9, "χ² {found} of {counts:?} (9 degrees of freedom, p = 0.001)");
}

#[test]
fn a_subgraph_is_the_same_on_any_number_of_threads_and_whatever_other_seeds_there_are() {
    let plain = medium();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let costs = Costs::of_attributes(snapshot.schema());
    let seeds: Vec<Hit> = (0..300).map(|node| seed(0, node)).chain((0..120).map(|node| seed(1, node))).collect();
    let context =
        Walk::Context { tokens: 300, hops: 3, width: Some(4), width_of: vec![(RelationId(1), 2)], costs: costs.clone() };
    for walk in [Walk::neighbour([5, 3]), context, Walk::context(40, 2, costs)] {
        let config = SamplerConfig { cutoff: Some(30), seed: 5, ..SamplerConfig::new(walk, plain.all()) };
        let sampler = Sampler::new(&snapshot, config.clone()).unwrap();
        let expected = (sampler.sample_each(&seeds, 3).unwrap(), sampler.sample(&seeds[..50], 3).unwrap());
        assert_sound(&plain, &sampler, &seeds[..50], &expected.1);
        let again = Sampler::new(&Snapshot::current(folder.path()).unwrap(), config.clone()).unwrap();
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool.install(|| (again.sample_each(&seeds, 3).unwrap(), again.sample(&seeds[..50], 3).unwrap()));
            assert_eq!(found, expected, "{threads} threads");
        }
        for at in (0..seeds.len()).step_by(17) {
            assert_sound(&plain, &sampler, &seeds[at..=at], &expected.0[at]);
            assert_eq!(sampler.sample(&seeds[at..=at], 3).unwrap(), expected.0[at]);
            assert_eq!(sampler.sample_each(&seeds[at..], 3).unwrap()[0], expected.0[at]);
        }
        // Another draw and another seed are others, and not each other's.
        let other = |seed, draw| {
            let sampler = Sampler::new(&snapshot, SamplerConfig { seed, ..config.clone() }).unwrap();
            sampler.sample_each(&seeds, draw).unwrap()
        };
        let others = [other(5, 3), other(5, 4), other(4, 4), other(3, 5), other(6, 2)];
        assert_eq!(others[0], expected.0);
        for at in 1..others.len() {
            assert!(others[..at].iter().all(|earlier| *earlier != others[at]));
        }
    }
}

#[test]
fn what_a_node_draws_has_nothing_to_do_with_what_another_draws() {
    // Two seeds with ten children each draw one: all hundred pairs are equally likely.
    let edges = (0..2).flat_map(|source| (0..10).map(move |target| (source, source * 10 + target, 0)));
    let plain = single(&[2, 20], false, edges);
    let folder = tempfile::tempdir().unwrap();
    let sampler = Sampler::new(&plain.write(folder.path()), SamplerConfig::new(Walk::neighbour([1]), plain.all())).unwrap();
    let seeds = [seed(0, 0), seed(0, 1)];
    let mut counts = vec![[0_u64; 100]; 2];
    for draw in 0..20_000 {
        let merged = sampler.sample(&seeds, draw).unwrap();
        let own = sampler.sample_each(&seeds, draw).unwrap();
        let edges = |drawn: &[&Subgraph]| drawn.iter().flat_map(|drawn| drawn.edges.iter()).collect::<Vec<_>>();
        let positions = [edges(&[&merged]), edges(&[&own[0], &own[1]])];
        for (counts, edges) in counts.iter_mut().zip(positions) {
            let &[one, other] = edges.as_slice() else { panic!("{edges:?}") };
            counts[one.position as usize * 10 + other.position as usize - 10] += 1;
        }
    }
    for counts in counts {
        let found = chi_square(&counts, 1, 20_000);
        assert!((60.0..149.0).contains(&found), "χ² {found} (99 degrees of freedom, p = 0.001 and 0.999)");
    }
}

#[test]
fn no_seeds_give_nothing_and_no_relations_the_seeds() {
    let plain = single(&[3], false, [(0, 1, 0)]);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let sampler = Sampler::new(&snapshot, SamplerConfig::new(Walk::neighbour([2]), [])).unwrap();
    assert_eq!(sampler.sample(&[], 0).unwrap(), Subgraph::default());
    let subgraph = sampler.sample(&[seed(0, 2), seed(0, 0), seed(0, 2)], 0).unwrap();
    assert_eq!((subgraph.seeds, subgraph.nodes.len(), subgraph.edges.len()), (vec![0, 1, 0], 2, 0));
}

#[test]
fn what_cannot_be_is_named() {
    let plain = single(&[3, 2], false, [(0, 1, 0)]);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let costs = || Costs { nodes: vec![1; 2], edges: vec![1] };
    let context = |tokens, hops, width_of, costs| Walk::Context { tokens, hops, width: None, width_of, costs };
    let neighbour = |fanouts: &[u32], fanout_of| Walk::Neighbour { fanouts: fanouts.to_vec(), fanout_of };
    let (known, unknown) = (RelationId(0), RelationId(1));
    let out = Direction::Outgoing;
    let cases = [
        (neighbour(&[1], vec![]), vec![unknown], "relations: found relation number 1, expected below 1"),
        (neighbour(&[], vec![]), vec![known], "fanouts: found 0 numbers, expected 1 to 64"),
        (neighbour(&[1; 65], vec![]), vec![known], "fanouts: found 65 numbers"),
        (neighbour(&[1, 1], vec![(known, out, vec![1])]), vec![known], "fanout_of t0.r0.t1, outgoing: found 1 numbers"),
        (neighbour(&[1], vec![(known, out, vec![1])]), vec![], "fanout_of: found t0.r0.t1, expected a relation"),
        (neighbour(&[1], vec![(known, out, vec![1]), (known, out, vec![2])]), vec![known], "the same twice"),
        (context(0, 1, vec![], costs()), vec![known], "tokens: found 0"),
        (context(9, 0, vec![], costs()), vec![known], "hops: found 0, expected 1 to 64"),
        (context(9, 65, vec![], costs()), vec![known], "hops: found 65"),
        (context(9, 1, vec![(unknown, 1)], costs()), vec![known], "width_of: found relation number 1"),
        (context(9, 1, vec![(known, 1), (known, 2)], costs()), vec![known], "width_of t0.r0.t1: found the same twice"),
        (context(9, 1, vec![], Costs { nodes: vec![1], ..costs() }), vec![known], "costs.nodes: found 1 numbers, expected 2"),
        (context(9, 1, vec![], Costs { edges: vec![], ..costs() }), vec![known], "costs.edges: found 0 numbers, expected 1"),
    ];
    for (walk, relations, expected) in cases {
        let Err(error @ Error::Setting { .. }) = Sampler::new(&snapshot, SamplerConfig::new(walk, relations)) else {
            panic!("{expected}")
        };
        assert!(error.to_string().contains(expected), "{error}, expected: {expected}");
    }
    let sampler = Sampler::new(&snapshot, SamplerConfig::new(Walk::neighbour([1]), [known])).unwrap();
    for (hit, expected) in [(seed(1, 2), "seeds: found node 2 of t1, expected below 2"), (seed(2, 0), "node type number 2")] {
        let error = sampler.sample(&[seed(0, 0), hit], 0).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(sampler.sample_each(&[hit], 0).unwrap_err().to_string(), error);
    }
}

/// A random graph with hubs, of which two relations are steps of the hierarchy.
fn leveled() -> Plain {
    let mut plain = medium();
    plain.relations[0].contains = true;
    plain.relations[2].contains = true;
    plain
}

#[test]
fn every_walk_choice_and_list_is_the_same_on_any_number_of_threads_and_opened_again() {
    let plain = leveled();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let seeds: Vec<Hit> = (0..60).map(|node| seed(0, node * 5)).chain((0..40).map(|node| seed(1, node * 3))).collect();
    let dated: Vec<(Hit, i64)> = seeds.iter().copied().zip((0..50).cycle()).collect();
    let base = SamplerConfig { cutoff: Some(49), seed: 5, ..SamplerConfig::new(Walk::neighbour([4, 3]), plain.all()) };
    let by = |choice: Choice| SamplerConfig { choice, ..base.clone() };
    let weight = || "weight".to_owned();
    let hierarchy = Walk::Hierarchy { up: vec![20, 10], down: vec![15, 10] };
    // More walks than a thread takes at a time.
    let retrieval = Some(Retrieval { walks: 2_500, steps: 6, rows: 5 });
    let cases = [
        ("neighbour", base.clone()),
        ("hierarchy", SamplerConfig { walk: hierarchy.clone(), ..base.clone() }),
        ("hierarchy with retrieved rows", SamplerConfig { walk: hierarchy, retrieval, ..base.clone() }),
        ("retrieved rows", SamplerConfig { retrieval, ..base.clone() }),
        ("weighted", by(Choice::Weighted(weight()))),
        ("latest", by(Choice::Latest)),
        ("top", by(Choice::Top(weight()))),
        ("induced", SamplerConfig { listed: Listed::Induced, ..base.clone() }),
        ("once", SamplerConfig { listed: Listed::Once, ..base.clone() }),
    ];
    let mut earlier: Vec<(&str, Vec<Subgraph>)> = Vec::new();
    for (name, config) in cases {
        let drawn = |sampler: &Sampler| {
            let batches: Vec<&[Hit]> = seeds.chunks(7).collect();
            let each = sampler.sample_each(&seeds, 3).unwrap();
            let until = sampler.sample_each_until(&dated, 3).unwrap();
            (each, until, sampler.sample_batches(&batches, 3).unwrap(), sampler.sample(&seeds, 3).unwrap())
        };
        let expected = drawn(&Sampler::new(&snapshot, config.clone()).unwrap());
        let again = Sampler::new(&Snapshot::current(folder.path()).unwrap(), config.clone()).unwrap();
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| drawn(&again)) == expected, "{name}, {threads} threads");
        }
        // A seed's own subgraph has nothing to do with the others, and its cutoff is as one of the configuration.
        for at in (0..seeds.len()).step_by(13) {
            let alone = SamplerConfig { cutoff: Some(dated[at].1), ..config.clone() };
            let alone = Sampler::new(&snapshot, alone).unwrap().sample(&seeds[at..=at], 3).unwrap();
            assert_eq!(alone, expected.1[at], "{name}");
        }
        let edges: usize = expected.0.iter().map(|subgraph| subgraph.edges.len()).sum();
        assert!(edges > seeds.len(), "{name}: {edges} edges");
        assert_eq!(expected.0.iter().any(|subgraph| !subgraph.retrieved.is_empty()), config.retrieval.is_some(), "{name}");
        // What is asked for changes something.
        assert!(earlier.iter().all(|(_, other)| *other != expected.0), "{name} is as one of those before");
        earlier.push((name, expected.0));
    }
}

#[test]
fn batches_and_negatives_are_the_same_on_any_number_of_threads_and_opened_again() {
    let plain = leveled();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let balances = [None, Some(Balance::Classes((0..300).map(|at| if at % 7 == 0 { 1 } else { at % 2 * 2 }).collect()))];
    let positives: Vec<(u32, u32)> =
        plain.edges.iter().filter(|edge| edge.relation == 0).map(|edge| (edge.source, edge.target)).collect();
    let drawn = |snapshot: &Snapshot| {
        let mut batches: Vec<Vec<Hit>> = Vec::new();
        for balance in &balances {
            let config = EpochConfig { balance: balance.clone(), seed: 3, ..EpochConfig::new(16) };
            let epochs = Epochs::new(snapshot, Seeds::all(snapshot, seed(0, 0).node_type), config).unwrap();
            for epoch in 0..3 {
                batches.extend((0..epochs.batches()).map(|number| epochs.batch(epoch, number)));
            }
        }
        let walk = Walk::Hierarchy { up: vec![9], down: vec![9] };
        let sampler = Sampler::new(snapshot, SamplerConfig::new(walk, plain.all())).unwrap();
        let subgraphs = sampler.sample_batches(&batches, 1).unwrap();
        let mut pairs = Vec::new();
        for corrupt in [Corrupt::Source, Corrupt::Target, Corrupt::Either] {
            for by in [EndWeight::Uniform, EndWeight::WORD2VEC] {
                let config = NegativeConfig { per_positive: 3, corrupt, by, seed: 9, ..NegativeConfig::new(RelationId(0)) };
                pairs.push(Negatives::new(snapshot, config).unwrap().draw(&positives, 2).unwrap());
            }
        }
        (batches, subgraphs, pairs)
    };
    let expected = drawn(&snapshot);
    // Each seed once an epoch.
    let mut first: Vec<u32> = expected.0[..19].iter().flatten().map(|hit| hit.node).collect();
    first.sort_unstable();
    assert_eq!(first, (0..300).collect::<Vec<_>>());
    for threads in [1, 2, 7] {
        let again = Snapshot::current(folder.path()).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| drawn(&again)) == expected, "{threads} threads");
    }
}
