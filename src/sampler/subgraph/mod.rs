//! Subgraphs, and how they grow.

mod buffer;
pub(super) mod growing;
pub(super) mod places;

use relata_schema::{Direction, NodeTypeId, RelationId};

use crate::snapshot::Hit;

/// A typed piece of a snapshot's graph around its seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subgraph {
    /// For each seed that was asked for, its place in `nodes`; a seed that was asked for twice has one place.
    pub seeds: Vec<u32>,
    /// The places of the rows that were retrieved beside the seeds, the most alike first.
    pub retrieved: Vec<u32>,
    /// In the order of discovery, seeds first, each once. Hops ascend.
    pub nodes: Vec<SampledNode>,
    /// Those walked from one node along one relation in one direction together. In the order of the walk: by context and by
    /// hierarchy node by node; the neighbour walk hop by hop, of a hop relation by relation, of a relation node by node.
    pub edges: Edges,
}

/// A node of a [`Subgraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct SampledNode {
    /// Its number in the snapshot.
    pub node: u32,
    /// Its type.
    pub node_type: NodeTypeId,
    /// Steps from the nearest seed or retrieved row along the edges that were taken; the last hop's nodes are known by identity only.
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

/// Edges of a [`Subgraph`], kept as compressed sparse rows: those of one node, relation and direction are a [`Run`], and
/// of each only its far end and its place in the node's row are kept, 8 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    pub(in crate::sampler) runs: Vec<Run>,
    pub(in crate::sampler) ends: Vec<End>,
}

/// Edges that were walked from one node, along one relation, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The position that the ends' offsets count from.
    pub base: u64,
    /// The place in `nodes` of the node that they were walked from.
    pub near: u32,
    /// The place of the first among all ends; they reach to that of the next run.
    pub(in crate::sampler) first: u32,
    /// Their relation.
    pub relation: RelationId,
    /// As [`SampledEdge::direction`].
    pub direction: Direction,
}

/// An edge of a [`Run`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct End {
    /// The place in `nodes` of the node that it was walked to.
    pub far: u32,
    /// Its position, from the run's base.
    pub offset: u32,
}

impl Subgraph {
    /// The same, in memory of about its size.
    pub(in crate::sampler) fn fitted(mut self) -> Self {
        fit(&mut self.nodes);
        fit(&mut self.edges.runs);
        fit(&mut self.edges.ends);
        self
    }
}

/// Gives memory back if a third of it is not used.
fn fit<T>(things: &mut Vec<T>) {
    if things.capacity() > things.len() + things.len() / 2 {
        things.shrink_to_fit();
    }
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

impl Run {
    /// One of its edges.
    pub fn edge(&self, end: End) -> SampledEdge {
        let Self { base, near, relation, direction, .. } = *self;
        SampledEdge { relation, direction, position: base + u64::from(end.offset), near, far: end.far }
    }
}

impl Edges {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The runs, each with its edges; none is empty.
    pub fn runs(&self) -> impl Iterator<Item = (&Run, &[End])> {
        let ends = self.runs.iter().skip(1).map(|run| run.first as usize).chain([self.ends.len()]);
        self.runs.iter().zip(ends).map(|(run, end)| (run, &self.ends[run.first as usize..end]))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = SampledEdge> {
        self.runs().flat_map(|(run, ends)| ends.iter().map(|&end| run.edge(end)))
    }

    /// Keeps those that `is_kept` says, which it is asked of in order.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&SampledEdge) -> bool) {
        let mut kept = Self::default();
        for (run, ends) in self.runs() {
            let first = kept.ends.len();
            kept.ends.extend(ends.iter().filter(|&&end| is_kept(&run.edge(end))));
            if kept.ends.len() > first {
                kept.runs.push(Run { first: first as u32, ..*run });
            }
        }
        *self = kept;
    }

    /// Puts an edge behind all others: in the last run where it is of that one, else in one of its own.
    pub(in crate::sampler) fn push(&mut self, edge: SampledEdge) {
        let SampledEdge { relation, direction, position, near, far } = edge;
        let is_of = |run: &&Run| {
            let same = (run.near, run.relation, run.direction) == (near, relation, direction);
            same && position.checked_sub(run.base).is_some_and(|offset| u32::try_from(offset).is_ok())
        };
        let base = match self.runs.last().filter(is_of) {
            Some(run) => run.base,
            None => {
                self.runs.push(Run { base: position, near, first: self.ends.len() as u32, relation, direction });
                position
            }
        };
        self.ends.push(End { far, offset: (position - base) as u32 });
    }
}
