//! Which edges a subgraph lists of those that its walk met.

use std::collections::HashSet;

use relata_schema::{Direction, RelationId};

use crate::sampler::graph::Graph;
use crate::sampler::subgraph::places::Places;
use crate::sampler::subgraph::{Edges, SampledEdge, Subgraph};

/// Leaves each edge once: where it was walked from both ends, that of the node that came first.
pub(in crate::sampler) fn once(graph: &Graph<'_>, subgraph: &mut Subgraph) {
    let mut known: HashSet<(RelationId, u64)> = HashSet::with_capacity(subgraph.edges.len());
    let Subgraph { nodes, edges, .. } = subgraph;
    edges.retain(|edge| {
        let near = nodes[edge.near as usize].hit();
        let Some(step) = graph.steps.find(edge.relation, edge.direction) else { return true };
        let position = edge.position as usize;
        let twin = || graph.twin(step, near.node, position);
        // By its position at its source; of a symmetric relation, by the first of its two.
        let name = match edge.direction {
            _ if graph.steps.steps[step].back == edge.direction => position.min(twin()),
            Direction::Outgoing => position,
            Direction::Incoming => twin(),
        };
        known.insert((edge.relation, name as u64))
    });
}

/// Lists all edges between the nodes in place of those that were walked, as far as the cutoff allows.
pub(in crate::sampler) fn induced(graph: &Graph<'_>, last: Option<i64>, places: &Places, subgraph: &mut Subgraph) {
    let mut found = Vec::new();
    for (at, step) in graph.steps.steps.iter().enumerate().filter(|(_, step)| step.direction == Direction::Outgoing) {
        let symmetric = step.back == step.direction;
        let back = graph.steps.find(step.relation, step.back);
        // Of the two ends, those that have fewer edges are gone through.
        let degrees = |at: usize| -> usize {
            let own = subgraph.nodes.iter().filter(|node| graph.steps.of(node.node_type).contains(&at));
            own.map(|node| graph.allowed(at, node.node, last).len()).sum()
        };
        let from = back.filter(|&back| !symmetric && degrees(back) < degrees(at)).unwrap_or(at);
        for (near, node) in (0_u32..).zip(&subgraph.nodes).filter(|(_, node)| graph.steps.of(node.node_type).contains(&from)) {
            let allowed = graph.allowed(from, node.node, last);
            let is_filtered = graph.is_filtered(from, node.node, last);
            for position in allowed {
                let Some(far) = places.get(graph.far_hit(from, position)) else { continue };
                // A symmetric edge stands at both of its ends.
                let is_other_end = symmetric && far < near;
                if is_other_end || (is_filtered && !graph.may(from, node.node, position, last)) {
                    continue;
                }
                let (near, far, position) = match from == at {
                    true => (near, far, position),
                    false => (far, near, graph.twin(from, node.node, position)),
                };
                let (relation, direction) = (step.relation, Direction::Outgoing);
                found.push(SampledEdge { relation, direction, position: position as u64, near, far });
            }
        }
    }
    found.sort_unstable_by_key(|edge| (edge.near, edge.relation, edge.position));
    let mut edges = Edges::default();
    found.into_iter().for_each(|edge| edges.push(edge));
    subgraph.edges = edges;
}
