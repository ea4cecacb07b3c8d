mod block;
mod line;

use std::ops::Range;

use relata_schema::NodeTypeId;

use super::node_key;
use crate::sampler::graph::{Graph, Room};
use crate::sampler::random::Key;
use crate::sampler::subgraph::SampledNode;
use crate::sampler::subgraph::growing::Piece;
use crate::sampler::subgraph::places::Places;
use block::TOGETHER;
use line::{Line, Walk};

/// A subgraph that is drawn beside others.
#[derive(Default)]
pub(in crate::sampler) struct Part {
    pub(in crate::sampler) key: Key,
    pub(in crate::sampler) last: Option<i64>,
    pub(in crate::sampler) piece: Piece,
    /// The nodes of the hop: those up to here have had theirs.
    begun: usize,
}

/// Memory for edges on their way.
#[derive(Default)]
pub(in crate::sampler) struct Rows {
    line: Line,
    frontier: Frontier,
    room: Room,
}

/// The nodes that draw at a hop, by type.
#[derive(Default)]
struct Frontier {
    nodes: Vec<Near>,
    /// For each type, where its nodes end.
    ends: Vec<usize>,
}

/// A node that draws.
#[derive(Clone, Copy, Default)]
struct Near {
    place: u32,
    node: u32,
    key: Key,
}

/// The neighbour walk: each node of a hop draws, of each relation and direction, as many of the edges that time allows as the
/// fanout of the hop says. See the [module](super). Of several subgraphs all draw a hop before any draws the next, so that
/// there is always something to do while the memory answers; what they draw does not depend on each other.
///
/// The places are those of the only subgraph if there is one, and else of whichever was last.
pub(in crate::sampler) fn walk(graph: &Graph<'_>, parts: &mut [Part], places: &mut Places, memory: &mut Rows) {
    let Rows { line, frontier, room } = memory;
    parts.iter_mut().for_each(|part| part.begun = 0);
    let mut walk = Walk { graph, hop: 0, current: (parts.len() == 1).then_some(0), room };
    for hop in 0..graph.steps.hops {
        walk.hop = hop;
        for at in 0..parts.len() {
            let part = &mut parts[at];
            let begun = std::mem::replace(&mut part.begun, part.piece.nodes().len());
            let (key, last) = (part.key, part.last);
            frontier.fill(graph, key, hop, begun, part.piece.nodes());
            for node_type in (0..frontier.ends.len() as u16).map(NodeTypeId) {
                let nodes = frontier.of(node_type);
                if nodes.is_empty() {
                    continue;
                }
                for step in graph.steps.of(node_type) {
                    let most = graph.steps.fanouts[hop][step];
                    if most == 0 || graph.lanes[step].adjacency.targets.is_empty() {
                        continue;
                    }
                    for nodes in frontier.nodes[nodes.clone()].chunks(TOGETHER) {
                        let block = line.next();
                        (block.part, block.step, block.most, block.last) = (at, step, most, last);
                        block.begin(graph, nodes);
                        line.advance(&mut walk, parts, places, nodes.len());
                    }
                }
            }
        }
        line.finish(&mut walk, parts, places);
    }
}

impl Frontier {
    fn of(&self, node_type: NodeTypeId) -> Range<usize> {
        let start = node_type.index().checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[node_type.index()]
    }

    fn fill(&mut self, graph: &Graph<'_>, key: Key, hop: usize, begun: usize, nodes: &[SampledNode]) {
        let Self { nodes: rows, ends } = self;
        ends.clear();
        ends.resize(graph.counts.len(), 0);
        let new = &nodes[begun..];
        new.iter().for_each(|node| ends[node.node_type.index()] += 1);
        let mut start = 0;
        for end in ends.iter_mut() {
            start += std::mem::replace(end, start);
        }
        rows.clear();
        rows.resize(new.len(), Near::default());
        for (place, node) in (begun as u32..).zip(new) {
            let at = &mut ends[node.node_type.index()];
            rows[*at] = Near { place, node: node.node, key: node_key(key, hop, node.hit()) };
            *at += 1;
        }
    }
}
