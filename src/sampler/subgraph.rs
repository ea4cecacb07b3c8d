use relata_schema::{Direction, NodeTypeId, RelationId};

use super::places::Places;
use crate::snapshot::Hit;

/// A typed piece of a snapshot's graph around its seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subgraph {
    /// For each seed that was asked for, its place in `nodes`; a seed that was asked for twice has one place.
    pub seeds: Vec<u32>,
    /// In the order of discovery, seeds first, each once. Hops ascend.
    pub nodes: Vec<SampledNode>,
    /// Each once: those walked from one node together, by relation, direction and position.
    pub edges: Vec<SampledEdge>,
}

/// A node of a [`Subgraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampledNode {
    /// Its type.
    pub node_type: NodeTypeId,
    /// Its number in the snapshot.
    pub node: u32,
    /// Steps from the nearest seed along the edges that were taken; the last hop's nodes are known by identity only.
    pub hop: u16,
}

/// An edge of a [`Subgraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampledEdge {
    /// Its relation.
    pub relation: RelationId,
    /// The direction that it was walked in; outgoing where the relation is symmetric.
    pub direction: Direction,
    /// Its position in the targets, times and columns of the snapshot's adjacency of this relation and direction.
    pub position: u64,
    /// The place in `nodes` of the node that it was walked from: the source if it was walked outgoing.
    pub near: u32,
    /// The place in `nodes` of the node that it was walked to.
    pub far: u32,
}

impl SampledNode {
    /// Without the hop.
    pub fn hit(self) -> Hit {
        Hit { node_type: self.node_type, node: self.node }
    }
}

impl SampledEdge {
    /// The places in `nodes` of its source and target.
    pub fn ends(self) -> (u32, u32) {
        match self.direction {
            Direction::Outgoing => (self.near, self.far),
            Direction::Incoming => (self.far, self.near),
        }
    }
}

/// A subgraph that is being drawn.
pub(super) struct Growing<'p> {
    pub(super) drawn: Subgraph,
    places: &'p mut Places,
}

impl<'p> Growing<'p> {
    pub(super) fn from_seeds(seeds: &[Hit], places: &'p mut Places) -> Self {
        places.clear();
        let mut growing = Self { drawn: Subgraph::default(), places };
        for &seed in seeds {
            let place = growing.node(seed, 0);
            growing.drawn.seeds.push(place);
        }
        growing
    }

    /// A node's place, if it is there already.
    pub(super) fn place(&self, node: Hit) -> Option<u32> {
        self.places.get(node)
    }

    /// A node's place: its own, or the next, discovered at this hop.
    pub(super) fn node(&mut self, node: Hit, hop: usize) -> u32 {
        let next = self.drawn.nodes.len() as u32;
        self.places.get_or_insert(node, next).unwrap_or_else(|| {
            self.drawn.nodes.push(SampledNode { node_type: node.node_type, node: node.node, hop: hop as u16 });
            next
        })
    }
}
