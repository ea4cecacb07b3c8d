//! The sampler as plain lists and maps have it, which the fast one is compared with, edge by edge.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use relata_schema::{Direction, NodeTypeId, RelationId};

use super::plain::{Node, Plain, PlainEdge, PlainRelation, plain_and_seeds, times};
use crate::sampler::random::{Draws, Key};
use crate::sampler::*;
use crate::snapshot::Hit;

/// A relation and a direction.
type Way = (u16, Direction);

/// An edge as it was walked: places of both ends, and which of the near node's allowed edges it is.
type Walked = (u32, Way, usize, u32);

struct Reference<'p> {
    plain: &'p Plain,
    config: &'p SamplerConfig,
    key: Key,
    nodes: Vec<(Node, u16)>,
    edges: Vec<Walked>,
}

/// A node's row in one direction: what time allows, in the order of time, far node and weight.
fn row(plain: &Plain, config: &SamplerConfig, (node_type, node): Node, (relation, direction): Way) -> Vec<(u32, PlainEdge)> {
    let known = &plain.relations[usize::from(relation)];
    let mut row = Vec::new();
    for edge in plain.edges.iter().filter(|edge| edge.relation == relation && plain.is_allowed(edge, config)) {
        let is_near = |end: u32, of: u16| (of, end) == (node_type, node);
        let out = is_near(edge.source, known.source).then_some(edge.target);
        let back = is_near(edge.target, known.target).then_some(edge.source);
        let found = match direction {
            // A symmetric loop is one edge.
            Direction::Outgoing if known.symmetric => out.or(back),
            Direction::Outgoing => out,
            Direction::Incoming => back,
        };
        let time = if known.timed { edge.time } else { i64::MIN };
        row.extend(found.map(|far| (far, PlainEdge { time, ..*edge })));
    }
    row.sort_by_key(|&(far, edge)| (edge.time, far, edge.weight));
    row
}

/// The ways that a node type's edges are walked, in order.
fn ways(plain: &Plain, config: &SamplerConfig, node_type: u16) -> Vec<Way> {
    let mut ways = Vec::new();
    for (at, known) in (0_u16..).zip(&plain.relations).filter(|(at, _)| config.relations.contains(&RelationId(*at))) {
        if known.source == node_type {
            ways.push((at, Direction::Outgoing));
        }
        if known.target == node_type && !known.symmetric {
            ways.push((at, Direction::Incoming));
        }
    }
    ways
}

fn far_type(plain: &Plain, (relation, direction): Way) -> u16 {
    let known = &plain.relations[usize::from(relation)];
    if direction == Direction::Outgoing { known.target } else { known.source }
}

/// Floyd's algorithm with a set.
fn floyd(draws: Draws, count: usize, most: usize) -> Vec<usize> {
    if most >= count {
        return (0..count).collect();
    }
    let (mut more, mut list) = (most as u32.., Vec::new());
    for (place, last) in (0..most as u32).zip(count - most..) {
        let drawn = below(draws, place, last + 1, &mut more);
        list.push(if list.contains(&drawn) { last } else { drawn });
    }
    list
}

fn below(draws: Draws, place: u32, bound: usize, more: &mut std::ops::RangeFrom<u32>) -> usize {
    let mut word = u64::from(draws.at(place));
    while word * bound as u64 % (1 << 32) < (1 << 32) % bound as u64 {
        word = u64::from(draws.at(more.next().unwrap()));
    }
    ((word * bound as u64) >> 32) as usize
}

/// The same of those only that `is_one`.
fn floyd_those(draws: Draws, count: usize, most: usize, is_one: impl Fn(usize) -> bool) -> Vec<usize> {
    if count / 4 >= most && most > 0 {
        let (mut seen, mut list, mut more) = (BTreeSet::new(), Vec::new(), 1 << 31..);
        for _ in 0..8 * most + 16 {
            let place = more.next().unwrap();
            let number = below(draws, place, count, &mut more);
            if seen.insert(number) && is_one(number) {
                list.push(number);
            }
            if list.len() == most {
                return list;
            }
        }
    }
    let those: Vec<usize> = (0..count).filter(|&number| is_one(number)).collect();
    floyd(draws, those.len(), most).into_iter().map(|at| those[at]).collect()
}

impl Reference<'_> {
    fn place(&self, node: Node) -> Option<u32> {
        self.nodes.iter().position(|&(known, _)| known == node).map(|place| place as u32)
    }

    fn place_or_new(&mut self, node: Node, hop: u16) -> u32 {
        self.place(node).unwrap_or_else(|| {
            self.nodes.push((node, hop));
            self.nodes.len() as u32 - 1
        })
    }

    /// Which of a node's row are taken.
    fn choose(
        &self,
        key: Key,
        node: Node,
        way: Way,
        most: usize,
        is_candidate: impl Fn(u32) -> bool,
        plainly: bool,
    ) -> Vec<usize> {
        let (plain, config) = (self.plain, self.config);
        let row = row(plain, config, node, way);
        let far = far_type(plain, way);
        let known = &plain.relations[usize::from(way.0)];
        let is_excluded = |other: u32| {
            config.excluded.iter().any(|&(relation, source, target)| {
                let ends = if way.1 == Direction::Outgoing { (node.1, other) } else { (other, node.1) };
                let is_one = (source, target) == ends || (known.symmetric && (target, source) == ends);
                relation.0 == way.0 && is_one
            })
        };
        let may = |at: usize| plain.is_there((far, row[at].0), config) && is_candidate(row[at].0) && !is_excluded(row[at].0);
        let named = config.choice_of.iter().find(|(relation, _)| relation.0 == way.0).map(|(_, choice)| choice);
        let mut those: Vec<usize> = (0..row.len()).filter(|&at| may(at)).collect();
        let weight = |at: usize| f64::from(row[at].1.weight as f32);
        match named.unwrap_or(&config.choice) {
            Choice::Latest if known.timed => those.split_off(those.len().saturating_sub(most)),
            Choice::Weighted(_) => {
                let mut random = key.random();
                let mut keyed: Vec<(f64, usize)> = (those.iter().filter(|&&at| weight(at) > 0.0))
                    .map(|&at| {
                        let share = ((random.word() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
                        (-share.ln() / weight(at), at)
                    })
                    .collect();
                keyed.sort_by(|one, other| one.partial_cmp(other).unwrap());
                keyed.into_iter().take(most).map(|(_, at)| at).collect()
            }
            Choice::Top(_) => {
                those.sort_by(|&one, &other| weight(other).total_cmp(&weight(one)).then(one.cmp(&other)));
                those.truncate(most);
                those
            }
            Choice::Uniform | Choice::Latest => {
                let is_dated = plain.born.get(usize::from(far)).is_some_and(|born| !born.is_empty());
                let is_plain = plainly && config.excluded.is_empty() && !(config.cutoff.is_some() && is_dated);
                match is_plain {
                    true => floyd(key.draws(), row.len(), most),
                    false => floyd_those(key.draws(), row.len(), most, may),
                }
            }
        }
    }

    fn neighbour(&mut self, fanouts: &[u32]) {
        let mut begun = 0;
        for (hop, &fanout) in fanouts.iter().enumerate() {
            let end = self.nodes.len();
            let types = 0..self.plain.counts.len() as u16;
            let ways = |node_type| ways(self.plain, self.config, node_type).into_iter().map(move |way| (node_type, way));
            for (node_type, way) in types.flat_map(ways).collect::<Vec<_>>() {
                for near in (begun..end).filter(|&near| self.nodes[near].0.0 == node_type).collect::<Vec<_>>() {
                    let node = self.nodes[near].0;
                    let key = self.key.with(word(hop, hit(node))).with(name(way));
                    for at in self.choose(key, node, way, fanout as usize, |_| true, true) {
                        self.push(near as u32, way, at, hop as u16 + 1);
                    }
                }
            }
            begun = end;
        }
    }

    fn push(&mut self, near: u32, way: Way, at: usize, hop: u16) {
        let far = row(self.plain, self.config, self.nodes[near as usize].0, way)[at].0;
        let far = self.place_or_new((far_type(self.plain, way), far), hop);
        self.edges.push((near, way, at, far));
    }

    fn context(&mut self, tokens: u32, hops: u32, width: Option<u32>, costs: &Costs) {
        let (mut left, mut room) = (i64::from(tokens), i64::from(tokens));
        let price = |node_type: u16| i64::from(costs.nodes[usize::from(node_type)]);
        left -= self.nodes.iter().map(|&((node_type, _), _)| price(node_type)).sum::<i64>();
        left = left.max(0);
        let mut expanded = BTreeSet::new();
        for hop in 0..hops as usize {
            let mut order: Vec<u32> = (0..self.nodes.len() as u32).filter(|near| !expanded.contains(near)).collect();
            let turns = self.key.with(u64::MAX).with(hop as u64);
            turns.random().shuffle(&mut order);
            let shown = hop as u32 + 1 < hops;
            for near in order {
                if left == 0 {
                    return;
                }
                let node = self.nodes[near as usize].0;
                let edge_price = |way: Way| i64::from(costs.edges[usize::from(way.0)]);
                let node_price = |way: Way| if shown { price(far_type(self.plain, way)) } else { 0 };
                let mut groups: Vec<(Way, Vec<usize>)> = Vec::new();
                for way in ways(self.plain, self.config, node.0) {
                    let fits = if edge_price(way) > 0 { left / edge_price(way) } else { i64::MAX }.min(room) as usize;
                    let most = width.map_or(usize::MAX, |width| width as usize).min(fits + 1);
                    let key = self.key.with(word(hop, hit(node))).with(name(way));
                    let is_candidate = |far: u32| match self.place((far_type(self.plain, way), far)) {
                        Some(place) if place == near => way.1 == Direction::Outgoing,
                        Some(place) => !expanded.contains(&place),
                        None => true,
                    };
                    let chosen = self.choose(key, node, way, most, is_candidate, false);
                    if !chosen.is_empty() {
                        groups.push((way, chosen));
                    }
                }
                expanded.insert(near);
                let most: i64 =
                    groups.iter().map(|(way, chosen)| (edge_price(*way) + node_price(*way)) * chosen.len() as i64).sum();
                let count: usize = groups.iter().map(|(_, chosen)| chosen.len()).sum();
                if most <= left && count as i64 <= room {
                    for (way, chosen) in groups {
                        for at in chosen {
                            let before = self.nodes.len();
                            self.push(near, way, at, hop as u16 + 1);
                            let is_new = self.nodes.len() > before;
                            left -= i64::from(costs.edges[usize::from(way.0)])
                                + if shown && is_new { price(far_type(self.plain, way)) } else { 0 };
                            room -= 1;
                        }
                    }
                    continue;
                }
                // The groups take turns.
                let mut random = turns.with(u64::from(near)).random();
                let mut dealt: Vec<(u64, Way, Vec<usize>, usize, bool)> =
                    groups.into_iter().map(|(way, chosen)| (random.word(), way, chosen, 0, false)).collect();
                dealt.sort_by_key(|group| (group.0, group.1));
                let mut is_any = true;
                while std::mem::take(&mut is_any) {
                    for (_, way, chosen, taken, is_full) in dealt.iter_mut() {
                        if *is_full || *taken == chosen.len() {
                            continue;
                        }
                        let other = *taken + random.below((chosen.len() - *taken) as u64) as usize;
                        chosen.swap(*taken, other);
                        let far = row(self.plain, self.config, node, *way)[chosen[*taken]].0;
                        let far = (far_type(self.plain, *way), far);
                        let is_new = self.place(far).is_none();
                        let cost = i64::from(costs.edges[usize::from(way.0)]) + if shown && is_new { price(far.0) } else { 0 };
                        if cost <= left && room > 0 {
                            (left, room) = (left - cost, room - 1);
                            self.place_or_new(far, hop as u16 + 1);
                            *taken += 1;
                            is_any = true;
                        } else {
                            *is_full = true;
                        }
                    }
                }
                let is_full = dealt.iter().any(|group| group.4);
                dealt.sort_by_key(|group| group.1);
                for (_, way, chosen, taken, _) in dealt {
                    chosen[..taken].iter().for_each(|&at| self.push(near, way, at, hop as u16 + 1));
                }
                if is_full {
                    return;
                }
            }
        }
    }
}

fn hit((node_type, node): Node) -> Hit {
    Hit { node_type: NodeTypeId(node_type), node }
}

/// What names a way among the choices of a node.
fn name((relation, direction): Way) -> u64 {
    u64::from(relation) << 1 | u64::from(direction == Direction::Incoming)
}

/// The subgraph that a sampler draws, as the reference says it; whether it is the same is seen at once.
fn assert_same(plain: &Plain, sampler: &Sampler, seeds: &[Hit], draw: u64) {
    let config = sampler.config();
    let key = Key::new("relata sampler", config.seed).with(draw);
    let key = seeds.iter().fold(key, |key, &seed| key.with(word(0, seed)));
    let mut reference = Reference { plain, config, key, nodes: Vec::new(), edges: Vec::new() };
    for seed in seeds {
        reference.place_or_new((seed.node_type.0, seed.node), 0);
    }
    match &config.walk {
        Walk::Neighbour { fanouts, .. } => reference.neighbour(fanouts),
        Walk::Context { tokens, hops, width, costs, .. } => reference.context(*tokens, *hops, *width, costs),
        Walk::Hierarchy { .. } => unreachable!("it has tests of its own"),
    }
    let drawn = sampler.sample(seeds, draw).unwrap();
    let nodes: Vec<(Node, u16)> = drawn.nodes.iter().map(|node| ((node.node_type.0, node.node), node.hop)).collect();
    assert_eq!(nodes, reference.nodes);
    let edges: Vec<Walked> = drawn
        .edges
        .iter()
        .map(|edge| {
            let near = drawn.nodes[edge.near as usize].node;
            let adjacency = sampler.snapshot().adjacency(edge.relation, edge.direction);
            // Where time allows not all, missing times may be left out before the first.
            let own = adjacency.range(near).map(|position| adjacency.times.raw(position));
            let left_out = match config.missing_time {
                MissingTime::Drop if config.cutoff.is_some() => own.filter(|&time| time == i64::MIN).count(),
                _ => 0,
            };
            let is_timed = plain.relations[edge.relation.index()].timed;
            let first = adjacency.range(near).start + if is_timed { left_out } else { 0 };
            (edge.near, (edge.relation.0, edge.direction), edge.position as usize - first, edge.far)
        })
        .collect();
    assert_eq!(edges, reference.edges);
}

fn choice() -> impl Strategy<Value = Choice> {
    let weight = || "weight".to_owned();
    prop_oneof![Just(Choice::Uniform), Just(Choice::Weighted(weight())), Just(Choice::Top(weight()))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_sampler_draws_what_the_reference_draws(
        (plain, seeds) in plain_and_seeds(),
        (cutoff, equal_time, missing_time) in times(),
        fanouts in prop::collection::vec(0_u32..4, 1..4),
        (choice, choice_of) in (choice(), prop::option::of(choice())),
        excluded in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        (node_costs, edge_costs, tokens) in (any::<[bool; 4]>(), prop::collection::vec(0_u32..4, 4), 1_u32..40),
        draw in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = plain.write(folder.path());
        let types = plain.counts.len();
        let costs = Costs {
            nodes: node_costs[..types].iter().map(|&cost| 3 * u32::from(cost)).collect(),
            edges: edge_costs[..plain.relations.len()].to_vec(),
        };
        let excluded = excluded.iter().filter(|_| !plain.edges.is_empty()).map(|at| {
            let edge = at.get(&plain.edges);
            (RelationId(edge.relation), edge.source, edge.target)
        });
        let excluded: Vec<_> = excluded.collect();
        let hops = fanouts.len() as u32;
        let context = |tokens, width| Walk::Context { tokens, hops, width, width_of: Vec::new(), costs: costs.clone() };
        let walks = [Walk::neighbour(fanouts.clone()), context(tokens, None), context(tokens, Some(2)), context(9_999, Some(3))];
        for walk in walks {
            let choice_of = choice_of.iter().map(|choice| (RelationId(0), choice.clone())).collect();
            let config = SamplerConfig {
                cutoff,
                equal_time,
                missing_time,
                choice: choice.clone(),
                choice_of,
                excluded: excluded.clone(),
                seed: 3,
                ..SamplerConfig::new(walk, plain.all())
            };
            let sampler = Sampler::new(&snapshot, config).unwrap();
            assert_same(&plain, &sampler, &seeds, draw);
            seeds.iter().for_each(|seed| assert_same(&plain, &sampler, &[*seed], draw));
        }
    }
}

#[test]
fn rows_that_are_longer_than_registers_are_the_same_too() {
    let plain = super::plain::medium();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let seeds: Vec<Hit> = (0..40).map(|node| hit((0, node))).collect();
    for (fanouts, cutoff) in [(vec![20, 10], None), (vec![20, 10], Some(25)), (vec![40, 33], Some(40)), (vec![3, 2, 1], None)] {
        for choice in [Choice::Uniform, Choice::Latest] {
            let walk = Walk::neighbour(fanouts.clone());
            let config = SamplerConfig { cutoff, choice, ..SamplerConfig::new(walk, plain.all()) };
            let sampler = Sampler::new(&snapshot, config).unwrap();
            assert_same(&plain, &sampler, &seeds, 5);
            assert_same(&plain, &sampler, &seeds[3..4], 6);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn induced_edges_are_all_between_the_nodes_and_the_walk_is_the_same(
        (plain, seeds) in plain_and_seeds(),
        (cutoff, equal_time, missing_time) in times(),
        fanouts in prop::collection::vec(0_u32..4, 1..4),
        draw in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = plain.write(folder.path());
        let config = |listed| SamplerConfig {
            cutoff,
            equal_time,
            missing_time,
            listed,
            ..SamplerConfig::new(Walk::neighbour(fanouts.clone()), plain.all())
        };
        let draw = |listed| Sampler::new(&snapshot, config(listed)).unwrap().sample(&seeds, draw).unwrap();
        let [drawn, once, induced] = [Listed::Drawn, Listed::Once, Listed::Induced].map(draw);
        prop_assert_eq!(&induced.nodes, &drawn.nodes);
        prop_assert_eq!(&once.nodes, &drawn.nodes);
        let nodes: BTreeSet<Node> = drawn.nodes.iter().map(|node| (node.node_type.0, node.node)).collect();
        let mut expected: Vec<PlainEdge> = (plain.edges.iter())
            .filter(|edge| {
                let known = &plain.relations[usize::from(edge.relation)];
                let ends = [(known.source, edge.source), (known.target, edge.target)];
                plain.is_allowed(edge, &config(Listed::Induced)) && ends.iter().all(|end| nodes.contains(end))
            })
            .map(|&edge| plain.canonical(edge))
            .collect();
        expected.sort();
        let read = |drawn: &Subgraph| -> Vec<PlainEdge> {
            let mut edges: Vec<_> = drawn.edges.iter().map(|edge| super::read(&plain, &snapshot, drawn, &edge)).collect();
            edges.sort();
            edges
        };
        prop_assert_eq!(read(&induced), expected);
        prop_assert!(induced.edges.iter().all(|edge| edge.direction == Direction::Outgoing));
        // Each drawn edge is there once.
        let mut twice = read(&drawn);
        let once = read(&once);
        prop_assert!(once.len() <= twice.len() && twice.len() <= 2 * once.len());
        for edge in &once {
            let at = twice.binary_search(edge);
            prop_assert!(at.is_ok());
            twice.remove(at.unwrap());
        }
    }
}

/// Regions (0) of genes (1) of cells (2) of tissues (3), each step marked with `contains`; and genes that interact.
fn layers() -> Plain {
    let relation = |source, target, contains| PlainRelation { source, target, symmetric: false, timed: false, contains };
    let relations = vec![relation(0, 1, true), relation(1, 2, true), relation(2, 3, true), relation(1, 1, false)];
    let edge = |relation, source, target| PlainEdge { relation, source, target, time: i64::MIN, weight: 1 };
    let mut edges = Vec::new();
    for gene in 0..4 {
        edges.extend((0..10).map(|region| edge(0, gene * 10 + region, gene)));
        edges.extend((0..20).map(|cell| edge(1, gene, cell)));
        edges.extend((0..4).filter(|&other| other != gene).map(|other| edge(3, gene, other)));
    }
    edges.extend((0..20).map(|cell| edge(2, cell, cell % 2)));
    Plain { counts: vec![40, 4, 20, 2], relations, edges, born: Vec::new() }
}

#[test]
fn the_hierarchy_is_climbed_and_descended_within_each_level_s_budget_and_evenly() {
    let plain = layers();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let walk = Walk::Hierarchy { up: vec![5, 1, 9], down: vec![3] };
    let sampler = Sampler::new(&snapshot, SamplerConfig::new(walk, plain.all())).unwrap();
    let mut counts = [[0_u64; 40]; 4];
    const DRAWS: u64 = 8_000;
    for draw in 0..DRAWS {
        let drawn = sampler.sample(&[hit((1, 2))], draw).unwrap();
        // The gene, five of its cells, a tissue of one of these, and three of its regions.
        let found: Vec<(u16, u16)> = drawn.nodes.iter().map(|node| (node.node_type.0, node.hop)).collect();
        assert_eq!(found, [&[(1, 0)][..], &[(2, 1); 5], &[(3, 2)], &[(0, 1); 3]].concat());
        assert!(drawn.nodes.iter().filter(|node| node.node_type.0 == 0).all(|node| node.node / 10 == 2));
        // From the edges up, the second level takes those that it looked at until a tissue came: one.
        let by_relation = |relation| drawn.edges.iter().filter(|edge| edge.relation == RelationId(relation)).count();
        assert_eq!([0, 1, 2, 3].map(by_relation), [3, 5, 1, 0]);
        drawn.nodes.iter().for_each(|node| counts[node.node_type.index()][node.node as usize] += 1);
    }
    for (counts, most, highest) in [(&counts[2][..20], 5.0, 43.8), (&counts[0][20..30], 3.0, 27.9), (&counts[3][..2], 1.0, 10.8)]
    {
        let n = counts.len() as f64;
        let share = most / n;
        let variance = DRAWS as f64 * share * (1.0 - share) * n / (n - 1.0);
        let found: f64 = counts.iter().map(|&count| (count as f64 - DRAWS as f64 * share).powi(2) / variance).sum();
        assert!(found < highest, "χ² {found} of {counts:?} (p = 0.001)");
    }
    // With budgets for all, all that contains it and all that it contains is there, and no sibling.
    let walk = Walk::Hierarchy { up: vec![99; 3], down: vec![99; 3] };
    let sampler = Sampler::new(&snapshot, SamplerConfig::new(walk, plain.all())).unwrap();
    let drawn = sampler.sample(&[hit((1, 2))], 0).unwrap();
    assert_eq!((drawn.nodes.len(), drawn.edges.len()), (1 + 20 + 2 + 10, 20 + 20 + 10));
    let config = SamplerConfig::new(Walk::Hierarchy { up: vec![1], down: vec![] }, [RelationId(3)]);
    let Err(error) = Sampler::new(&snapshot, config) else { panic!() };
    assert!(error.to_string().contains("a step of the hierarchy"), "{error}");
}

#[test]
fn relations_share_a_level_evenly() {
    // A cell with 200 genes and 10 tissues above: of 20 parents, 10 are tissues.
    let mut plain = layers();
    plain.counts = vec![1, 1, 300, 20];
    let edge = |relation, source, target| PlainEdge { relation, source, target, time: i64::MIN, weight: 1 };
    plain.relations[1] = PlainRelation { source: 1, target: 2, symmetric: false, timed: false, contains: true };
    plain.relations[2] = PlainRelation { source: 1, target: 3, symmetric: false, timed: false, contains: true };
    plain.edges = (0..200).map(|cell| edge(1, 0, cell)).chain((0..15).map(|tissue| edge(2, 0, tissue))).collect();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    let walk = Walk::Hierarchy { up: vec![20], down: vec![] };
    let sampler = Sampler::new(&snapshot, SamplerConfig::new(walk, plain.all())).unwrap();
    let drawn = sampler.sample(&[hit((1, 0))], 0).unwrap();
    let count = |node_type| drawn.nodes.iter().filter(|node| node.node_type.0 == node_type).count();
    assert_eq!([1, 2, 3].map(count), [1, 10, 10]);
}

/// What random walks from a seed meet of its own type, as plain as they are described: one number of 64 bits chooses the step, and
/// what is left of it the edge; where the step has none, another number chooses among those that have some.
fn wandered(plain: &Plain, config: &SamplerConfig, key: Key, start: Node, retrieval: Retrieval) -> BTreeMap<u32, u32> {
    let mut counts = BTreeMap::new();
    let split = |word: u64, count: usize| {
        let product = u128::from(word) * count as u128;
        ((product >> 64) as usize, product as u64)
    };
    for walk in 0..retrieval.walks {
        let mut random = key.with(u64::MAX - 1).with(u64::from(walk)).random();
        let mut node = start;
        for _ in 0..retrieval.steps {
            // A step that no node has an edge of is none.
            let is_any =
                |way: &_| (0..plain.counts[usize::from(node.0)]).any(|near| !row(plain, config, (node.0, near), *way).is_empty());
            let ways: Vec<_> = ways(plain, config, node.0).into_iter().filter(is_any).collect();
            let (mut at, mut rest) = split(random.word(), ways.len());
            let mut found: Vec<_> = ways.iter().map(|&way| (way, row(plain, config, node, way))).collect();
            if found[at].1.is_empty() {
                found.retain(|(_, row)| !row.is_empty());
                (at, rest) = split(random.word(), found.len());
            }
            let (way, row) = &found[at];
            node = (far_type(plain, *way), row[split(rest, row.len()).0].0);
            if node.0 == start.0 && node != start {
                *counts.entry(node.1).or_insert(0) += 1;
            }
        }
    }
    counts
}

#[test]
fn retrieved_rows_are_those_that_random_walks_meet_most_often() {
    // Every node has an edge, so that no walk ends, but not of each relation, and of the third there is none; two thirds of a
    // cell's genes are its own kind's.
    let relation = |source, target| PlainRelation { source, target, symmetric: false, timed: false, contains: false };
    let mut random = Key::new("a test's cells", 1).random();
    let mut edges = Vec::new();
    for cell in 0..60 {
        for _ in 0..12 {
            let kind = if random.below(3) < 2 { cell % 3 } else { random.below(3) as u32 };
            let gene = kind * 20 + random.below(20) as u32;
            edges.push(PlainEdge { relation: 0, source: cell, target: gene, time: i64::MIN, weight: 1 });
        }
        if cell % 2 == 0 {
            edges.push(PlainEdge { relation: 1, source: cell, target: cell % 4 / 2, time: i64::MIN, weight: 1 });
        }
    }
    let plain = Plain {
        counts: vec![60, 60, 2],
        relations: vec![relation(0, 1), relation(0, 2), relation(1, 2)],
        edges,
        born: Vec::new(),
    };
    let folder = tempfile::tempdir().unwrap();
    let snapshot = plain.write(folder.path());
    // More walks than a thread takes at a time, and no multiple of those that go on together.
    let retrieval = Retrieval { walks: 2_500, steps: 5, rows: 12 };
    let config = SamplerConfig { retrieval: Some(retrieval), seed: 4, ..SamplerConfig::new(Walk::neighbour([3]), plain.all()) };
    let sampler = Sampler::new(&snapshot, config.clone()).unwrap();
    for cell in [0, 7, 59] {
        let drawn = sampler.sample(&[hit((0, cell))], 2).unwrap();
        let word = word(0, hit((0, cell)));
        let key = Key::new("relata sampler", 4).with(2).with(word).with(word);
        let counts = wandered(&plain, &config, key, (0, cell), retrieval);
        let found: Vec<u32> = drawn.retrieved.iter().map(|&place| drawn.nodes[place as usize].node).collect();
        assert_eq!(found.len(), 12);
        let mut expected: Vec<u32> = counts.values().copied().collect();
        expected.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(found.iter().map(|node| counts[node]).collect::<Vec<_>>(), expected[..12]);
        // They begin the walk too, as seeds do, and are no seeds.
        assert_eq!(drawn.seeds, [0]);
        assert!(drawn.nodes[..13].iter().all(|node| node.hop == 0 && node.node_type.0 == 0));
        assert!(drawn.retrieved.iter().all(|place| drawn.edges.iter().any(|edge| edge.near == *place)));
    }
}
