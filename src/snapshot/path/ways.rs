use std::ops::Range;

use relata_schema::{Direction, NodeTypeId, RelationId};

use super::super::cost::Costs;
use super::super::{Adjacency, DataGraph, Hit, Snapshot, Weight};
use super::PathStep;

/// One relation in one direction, as it leaves nodes of a type.
struct Way<'s> {
    relation: RelationId,
    direction: Direction,
    adjacency: Adjacency<'s>,
    costs: Costs<'s>,
    /// The number of the first node at the far end.
    far: u32,
}

/// The edges of a graph, by the type of the node that they leave, with numbers that go through all types.
pub(super) struct Ways<'s> {
    graph: DataGraph<'s>,
    /// By node type: how its nodes are left, and how they are reached.
    of: Vec<[Vec<Way<'s>>; 2]>,
}

/// With or against the walk: from the first node on, or from the last one back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    With = 0,
    Against = 1,
}

impl<'s> Ways<'s> {
    pub(super) fn new(snapshot: &'s Snapshot, relations: &[RelationId], directed: bool, weight: Option<&Weight>) -> Self {
        let schema = snapshot.schema();
        let graph = DataGraph::new(snapshot, relations.iter().copied());
        let mut chosen = relations.to_vec();
        chosen.sort_unstable();
        chosen.dedup();
        let ways = |node_type, sense| {
            let mut ways = Vec::new();
            for &relation in &chosen {
                let known = schema.edge(relation);
                let directions: &[Direction] = match (known.symmetric, directed, sense) {
                    (true, _, _) | (false, true, Sense::With) => &[Direction::Outgoing],
                    (false, true, Sense::Against) => &[Direction::Incoming],
                    (false, false, _) => &Direction::BOTH,
                };
                for &direction in directions.iter().filter(|&&direction| known.near(direction) == node_type) {
                    let far = graph.index(known.far(direction), 0);
                    let costs = Costs::of(snapshot, weight, relation, direction);
                    ways.push(Way { relation, direction, adjacency: snapshot.adjacency(relation, direction), costs, far });
                }
            }
            ways
        };
        let of = schema.node_type_ids().map(|id| [ways(id, Sense::With), ways(id, Sense::Against)]).collect();
        Self { graph, of }
    }

    pub(super) fn node_count(&self) -> usize {
        petgraph::visit::NodeCount::node_count(&self.graph)
    }

    /// The numbers of a type's nodes.
    pub(super) fn numbers(&self, node_type: NodeTypeId) -> Range<u32> {
        self.graph.numbers(node_type)
    }

    pub(super) fn index(&self, hit: Hit) -> u32 {
        self.graph.index(hit.node_type, hit.node)
    }

    pub(super) fn hit(&self, index: u32) -> Hit {
        self.graph.node(index)
    }

    /// How many edges a node has.
    pub(super) fn degree(&self, index: u32, sense: Sense) -> usize {
        let Hit { node_type, node } = self.hit(index);
        self.of[node_type.index()][sense as usize].iter().map(|way| way.adjacency.degree(node)).sum()
    }

    /// The far nodes of a node, until `visit` says that it is enough.
    #[inline]
    pub(super) fn neighbors(&self, index: u32, sense: Sense, mut visit: impl FnMut(u32) -> bool) -> bool {
        let Hit { node_type, node } = self.hit(index);
        for way in &self.of[node_type.index()][sense as usize] {
            if way.adjacency.neighbors(node).iter().any(|&far| visit(way.far + far)) {
                return true;
            }
        }
        false
    }

    /// The far nodes of a node, and what it costs to walk to each.
    #[inline]
    pub(super) fn costs(&self, index: u32, mut visit: impl FnMut(u32, f64)) {
        let Hit { node_type, node } = self.hit(index);
        for way in &self.of[node_type.index()][Sense::With as usize] {
            for position in way.adjacency.range(node) {
                let cost = way.costs.at(position);
                if cost < f64::INFINITY {
                    visit(way.far + way.adjacency.targets[position], cost);
                }
            }
        }
    }

    /// The cheapest edge from one node to another; of equal ones the first.
    pub(super) fn step(&self, from: u32, to: u32) -> Option<PathStep> {
        let Hit { node_type, node } = self.hit(from);
        let mut best: Option<PathStep> = None;
        for way in &self.of[node_type.index()][Sense::With as usize] {
            for position in way.adjacency.range(node).filter(|&position| way.far + way.adjacency.targets[position] == to) {
                let cost = way.costs.at(position);
                if cost < f64::INFINITY && best.is_none_or(|best| cost < best.cost) {
                    best = Some(PathStep { relation: way.relation, direction: way.direction, position, cost });
                }
            }
        }
        best
    }
}
