use relata_schema::NodeTypeId;

use super::buffer::Buffer;
use super::graph::Graph;
use super::places::Places;
use super::steps::Step;
use super::subgraph::{Edges, End, Run, SampledNode, Subgraph};
use crate::snapshot::Hit;
use crate::{Error, Result};

/// A subgraph that is being drawn; its memory is used again for the next.
pub(super) struct Growing {
    places: Places,
    seeds: Vec<u32>,
    retrieved: Vec<u32>,
    nodes: Buffer<SampledNode>,
    runs: Vec<Run>,
    ends: Buffer<End>,
}

/// Edges of one node in one step, which are taken.
pub(super) struct Taken<'t> {
    pub(super) step: usize,
    /// The node's place.
    pub(super) near: u32,
    /// The position that the offsets count from.
    pub(super) base: usize,
    pub(super) offsets: &'t [u32],
}

impl Default for Growing {
    fn default() -> Self {
        let nodes = Buffer::new(SampledNode { node: 0, node_type: NodeTypeId(0), hop: 0 });
        Self {
            places: Places::default(),
            seeds: Vec::new(),
            retrieved: Vec::new(),
            nodes,
            runs: Vec::new(),
            ends: Buffer::new(End::default()),
        }
    }
}

impl Growing {
    /// Begins anew, with these seeds.
    pub(super) fn begin(&mut self, seeds: &[Hit], counts: &[u32]) {
        self.places.clear(self.nodes.len(), counts);
        self.nodes.clear();
        self.ends.clear();
        self.runs.clear();
        self.seeds.clear();
        self.retrieved.clear();
        for &seed in seeds {
            let place = self.node(seed, 0);
            self.seeds.push(place);
        }
    }

    /// Rows to begin at beside the seeds.
    pub(super) fn retrieve(&mut self, rows: Vec<Hit>) {
        for row in rows {
            let next = self.nodes.len() as u32;
            // One that is there is a seed, or was retrieved for another.
            if self.node(row, 0) == next {
                self.retrieved.push(next);
            }
        }
    }

    /// The nodes so far.
    pub(super) fn nodes(&self) -> &[SampledNode] {
        &self.nodes
    }

    /// A node's place, if it is there already.
    pub(super) fn place(&self, node: Hit) -> Option<u32> {
        self.places.get(node)
    }

    /// A node's place: its own, or the next, discovered at this hop.
    pub(super) fn node(&mut self, node: Hit, hop: usize) -> u32 {
        let table = self.places.of(node.node_type);
        table.reserve(1);
        let (place, is_new) = table.get_or_insert(node.node, self.nodes.len() as u32);
        if is_new {
            self.nodes.room(1)[0] = SampledNode { node: node.node, node_type: node.node_type, hop: hop as u16 };
            self.nodes.fill(1);
        }
        place
    }

    /// Takes edges of a node, with the nodes at their far ends, discovered at this hop.
    #[inline(always)]
    pub(super) fn take(&mut self, graph: &Graph<'_>, taken: &Taken<'_>, hop: usize) {
        let &Taken { step, near, base, offsets } = taken;
        if offsets.is_empty() {
            return;
        }
        let lane = &graph.lanes[step];
        let &Step { relation, direction, far: node_type, .. } = lane.step;
        self.runs.push(Run { base: base as u64, near, first: self.ends.len() as u32, relation, direction });
        let targets = &lane.adjacency.targets[base..];
        let ends = &mut self.ends.room(offsets.len())[..offsets.len()];
        for (end, &offset) in ends.iter_mut().zip(offsets) {
            debug_assert!((offset as usize) < targets.len());
            // SAFETY: offsets are chosen below the number of a node's edges, and these are within the targets.
            let far = unsafe { *targets.get_unchecked(offset as usize) };
            // A snapshot that is not verified may name what is not there.
            *end = End { far: far.min(lane.last_far), offset };
        }
        let table = self.places.of(node_type);
        table.reserve(offsets.len());
        let next = self.nodes.len() as u32;
        let nodes = self.nodes.room(offsets.len() + 1);
        let new = table.place_all(ends, nodes, SampledNode { node: 0, node_type, hop: hop as u16 }, next);
        self.nodes.fill(new);
        self.ends.fill(offsets.len());
    }

    /// The subgraph, in memory of its own size.
    ///
    /// # Errors
    /// [`Error::Limit`] where its edges are more than 32 bits number.
    pub(super) fn finish(&self) -> Result<Subgraph> {
        let most = self.ends.len().max(self.nodes.len());
        if most > u32::MAX as usize {
            let what = "nodes or edges of a subgraph".to_owned();
            return Err(Error::Limit { what, found: most as u64, most: u64::from(u32::MAX) });
        }
        let edges = Edges { runs: self.runs.clone(), ends: self.ends.to_vec() };
        let (seeds, retrieved) = (self.seeds.clone(), self.retrieved.clone());
        Ok(Subgraph { seeds, retrieved, nodes: self.nodes.to_vec(), edges })
    }
}
