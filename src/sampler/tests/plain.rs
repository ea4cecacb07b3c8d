//! Graphs as plain lists of edges, for the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use proptest::prelude::*;
use relata_schema::{Direction, EdgeValue, NodeTypeId, RelationId, Schema, Value};

use crate::sampler::random::Key;
use crate::sampler::{EqualTime, MissingTime, SamplerConfig};
use crate::snapshot::{EdgeData, Hit, Snapshot, SnapshotWriter};

/// A relation of a plain graph; its name is `r` and its number.
#[derive(Clone, Debug)]
pub(super) struct PlainRelation {
    pub(super) source: u16,
    pub(super) target: u16,
    pub(super) symmetric: bool,
    pub(super) timed: bool,
    /// Whether it is a step of the hierarchy; the type with the higher number is the container, or the target.
    pub(super) contains: bool,
}

/// An edge as a plain list has it. What is equal is a parallel edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PlainEdge {
    pub(super) relation: u16,
    pub(super) source: u32,
    pub(super) target: u32,
    /// `i64::MIN` is missing, or there are none.
    pub(super) time: i64,
    pub(super) weight: u32,
}

/// A node type and a number.
pub(super) type Node = (u16, u32);

/// A graph as a list of edges.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    /// Nodes of each type; its name is `t` and its number.
    pub(super) counts: Vec<u32>,
    pub(super) relations: Vec<PlainRelation>,
    pub(super) edges: Vec<PlainEdge>,
    /// Of each type, since when its nodes have been there; `i64::MIN` is missing. Types behind the end have no times.
    pub(super) born: Vec<Vec<i64>>,
}

impl Plain {
    pub(super) fn schema(&self) -> Schema {
        let mut text = String::new();
        for at in 0..self.counts.len() {
            writeln!(text, "[node.t{at}]").unwrap();
            if self.born.get(at).is_some_and(|born| !born.is_empty()) {
                writeln!(text, "attributes.born = {{ kind = \"time\" }}").unwrap();
            }
        }
        for (at, relation) in self.relations.iter().enumerate() {
            let &PlainRelation { source, target, symmetric, timed, contains } = relation;
            let contains = match contains {
                true if source > target => "contains = \"source\"\n",
                true => "contains = \"target\"\n",
                false => "",
            };
            let time = if timed { "attributes.time = { kind = \"time\" }" } else { "" };
            writeln!(
                text,
                "[[relation]]\nname = \"r{at}\"\nsource = \"t{source}\"\ntarget = \"t{target}\"\nsymmetric = {symmetric}\n\
                 {contains}attributes.weight = {{ kind = \"number\" }}\n{time}"
            )
            .unwrap();
        }
        Schema::default().extended_by(&text, "plain.toml").unwrap()
    }

    pub(super) fn write(&self, folder: &std::path::Path) -> Snapshot {
        let schema = self.schema();
        let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
        for (id, &count) in schema.node_type_ids().zip(&self.counts) {
            writer.nodes(id, &(0..count).map(|node| format!("{node:06}")).collect::<Vec<_>>()).unwrap();
            if let Some(born) = self.born.get(id.index()).filter(|born| !born.is_empty()) {
                let values: Vec<_> = born.iter().map(|&time| (time != i64::MIN).then_some(Value::Time(time))).collect();
                writer.column(id, schema.node_attribute(id, "born").unwrap(), &values).unwrap();
            }
        }
        for (id, relation) in schema.relation_ids().zip(&self.relations) {
            let mut data = EdgeData { attributes: vec![Vec::new(); schema.edge(id).attributes.len()], ..EdgeData::default() };
            let weight = schema.edge_attribute(id, "weight").unwrap().index();
            for edge in self.edges.iter().filter(|edge| edge.relation == id.0) {
                data.sources.push(edge.source);
                data.targets.push(edge.target);
                data.attributes[weight].push(EdgeValue::Number(edge.weight as f32));
                if relation.timed {
                    data.times.push(edge.time);
                }
            }
            writer.relation(id, &data).unwrap();
        }
        writer.publish(&[]).unwrap();
        Snapshot::current(folder).unwrap()
    }

    pub(super) fn is_allowed(&self, edge: &PlainEdge, config: &SamplerConfig) -> bool {
        !self.relations[usize::from(edge.relation)].timed || is_in_time(edge.time, config)
    }

    /// Whether a node has been there before the cutoff.
    pub(super) fn is_there(&self, (node_type, node): Node, config: &SamplerConfig) -> bool {
        let born = self.born.get(usize::from(node_type)).and_then(|born| born.get(node as usize));
        born.is_none_or(|&time| is_in_time(time, config))
    }

    /// The far ends of a node's edges of a relation in a direction, with the edge; a symmetric relation has only outgoing ones.
    pub(super) fn edges_of(
        &self,
        node: Node,
        relation: u16,
        direction: Direction,
        config: &SamplerConfig,
    ) -> Vec<(Node, PlainEdge)> {
        let known = &self.relations[usize::from(relation)];
        let mut found = Vec::new();
        for edge in self.edges.iter().filter(|edge| edge.relation == relation && self.is_allowed(edge, config)) {
            let (source, target) = ((known.source, edge.source), (known.target, edge.target));
            let (out, back) = (source == node, target == node);
            match (known.symmetric, direction) {
                (true, Direction::Outgoing) if out => found.push((target, *edge)),
                (true, Direction::Outgoing) if back => found.push((source, *edge)),
                (false, Direction::Outgoing) if out => found.push((target, *edge)),
                (false, Direction::Incoming) if back => found.push((source, *edge)),
                _ => {}
            }
        }
        found.retain(|&(far, _)| self.is_there(far, config));
        found
    }

    /// Every node within reach and its hop, and how often each edge within reach occurs.
    pub(super) fn reach(
        &self,
        seeds: &[Hit],
        hops: u16,
        config: &SamplerConfig,
    ) -> (BTreeMap<Node, u16>, BTreeMap<PlainEdge, usize>) {
        let mut nodes: BTreeMap<Node, u16> = seeds.iter().map(|seed| ((seed.node_type.0, seed.node), 0)).collect();
        let mut edges: BTreeSet<usize> = BTreeSet::new();
        for hop in 0..hops {
            let before = nodes.clone();
            for (at, edge) in self.edges.iter().enumerate() {
                let relation = &self.relations[usize::from(edge.relation)];
                if !config.relations.contains(&RelationId(edge.relation)) || !self.is_allowed(edge, config) {
                    continue;
                }
                let ends = [(relation.source, edge.source), (relation.target, edge.target)];
                for [near, far] in [ends, [ends[1], ends[0]]] {
                    if before.get(&near) == Some(&hop) && self.is_there(far, config) {
                        edges.insert(at);
                        nodes.entry(far).or_insert(hop + 1);
                    }
                }
            }
        }
        let mut counts = BTreeMap::new();
        edges.into_iter().for_each(|at| *counts.entry(self.canonical(self.edges[at])).or_insert(0) += 1);
        (nodes, counts)
    }

    /// A symmetric edge, whichever way it was written.
    pub(super) fn canonical(&self, edge: PlainEdge) -> PlainEdge {
        let PlainRelation { symmetric, timed, .. } = self.relations[usize::from(edge.relation)];
        let (source, target) = (edge.source, edge.target);
        let (source, target) = if symmetric { (source.min(target), source.max(target)) } else { (source, target) };
        PlainEdge { source, target, time: if timed { edge.time } else { i64::MIN }, ..edge }
    }

    pub(super) fn all(&self) -> Vec<RelationId> {
        (0..self.relations.len() as u16).map(RelationId).collect()
    }
}

/// What a cutoff says of a time.
fn is_in_time(time: i64, config: &SamplerConfig) -> bool {
    match config.cutoff {
        None => true,
        Some(_) if time == i64::MIN => config.missing_time == MissingTime::Keep,
        Some(cutoff) => time < cutoff || (time == cutoff && config.equal_time == EqualTime::Keep),
    }
}

/// One relation between two types, or within one, its edges from a list of source, target and time.
pub(super) fn single(counts: &[u32], symmetric: bool, edges: impl IntoIterator<Item = (u32, u32, i64)>) -> Plain {
    let target = counts.len() as u16 - 1;
    let relation = PlainRelation { source: 0, target, symmetric, timed: true, contains: false };
    let edge = |(at, (source, target, time)): (usize, _)| PlainEdge { relation: 0, source, target, time, weight: at as u32 };
    let edges = edges.into_iter().enumerate().map(edge).collect();
    Plain { counts: counts.to_vec(), relations: vec![relation], edges, born: Vec::new() }
}

/// A random graph of a few hundred nodes with hubs.
pub(super) fn medium() -> Plain {
    let mut random = Key::new("a test's graph", 1).random();
    let mut edges = Vec::new();
    for at in 0..6_000 {
        let relation = random.below(3) as u16;
        let (sources, targets) = [(300, 120), (120, 120), (300, 300)][usize::from(relation)];
        // The smaller of two is low more often than high.
        let mut below = |bound| random.below(bound).min(random.below(bound)) as u32;
        let (source, target, time) = (below(sources), below(targets), i64::from(below(50)));
        edges.push(PlainEdge { relation, source, target, time, weight: at });
    }
    let relation = |source, target, symmetric, timed| PlainRelation { source, target, symmetric, timed, contains: false };
    let relations = vec![relation(0, 1, false, true), relation(1, 1, true, false), relation(0, 0, false, true)];
    Plain { counts: vec![300, 120], relations, edges, born: Vec::new() }
}

pub(super) fn seed(node_type: u16, node: u32) -> Hit {
    Hit { node_type: NodeTypeId(node_type), node }
}

/// A small graph in which parallel edges, loops, equal and missing times are common, and seeds in it.
pub(super) fn plain_and_seeds() -> impl Strategy<Value = (Plain, Vec<Hit>)> {
    let counts = prop::collection::vec(1_u32..6, 1..4);
    counts.prop_flat_map(|counts| {
        let types = counts.len() as u16;
        let relation = (0..types, 0..types, any::<[bool; 3]>()).prop_map(|(source, target, [symmetric, timed, contains])| {
            let symmetric = symmetric && source == target;
            PlainRelation { source, target, symmetric, timed, contains: contains && !symmetric }
        });
        let edge = (any::<prop::sample::Index>(), any::<[u32; 2]>(), 0_i64..6, 0_u32..3);
        let parts = (
            prop::collection::vec(relation, 1..5),
            prop::collection::vec(edge, 0..40),
            prop::collection::vec((0..types, any::<u32>()), 1..4),
            prop::collection::vec(prop_oneof![Just(Vec::new()), prop::collection::vec(0_i64..6, 6)], 3),
        );
        parts.prop_map(move |(relations, edges, seeds, mut born)| {
            let edge = |(relation, [source, target], time, weight): (prop::sample::Index, [u32; 2], i64, u32)| {
                let relation = relation.index(relations.len());
                let count = |node_type: u16| counts[usize::from(node_type)];
                let (source, target) = (source % count(relations[relation].source), target % count(relations[relation].target));
                let time = if time == 0 { i64::MIN } else { time };
                PlainEdge { relation: relation as u16, source, target, time, weight }
            };
            let edges = edges.into_iter().map(edge).collect();
            let seeds = seeds.into_iter().map(|(node_type, node)| seed(node_type, node % counts[usize::from(node_type)]));
            let seeds: Vec<Hit> = seeds.collect();
            for (born, &count) in born.iter_mut().zip(&counts) {
                born.truncate(count as usize);
                born.iter_mut().filter(|time| **time == 0).for_each(|time| *time = i64::MIN);
            }
            born.truncate(counts.len());
            // What a cutoff does with a seed that comes later has a test of its own.
            for seed in &seeds {
                if let Some(time) = born.get_mut(seed.node_type.index()).and_then(|born| born.get_mut(seed.node as usize)) {
                    *time = -1;
                }
            }
            (Plain { counts: counts.clone(), relations, edges, born }, seeds)
        })
    })
}

/// A cutoff, and what it does with equal and missing times.
pub(super) fn times() -> impl Strategy<Value = (Option<i64>, EqualTime, MissingTime)> {
    let equal = prop_oneof![Just(EqualTime::Keep), Just(EqualTime::Drop)];
    (prop::option::of(0_i64..6), equal, prop_oneof![Just(MissingTime::Keep), Just(MissingTime::Drop)])
}
