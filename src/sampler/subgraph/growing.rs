use super::buffer::Buffer;
use super::places::{Fars, Into, Places};
use super::{Edges, End, Run, SampledNode, Subgraph};
use crate::sampler::graph::Graph;
use crate::sampler::steps::Step;
use crate::snapshot::Hit;
use crate::{Error, Result};

/// A subgraph that is being drawn, and where each of its nodes stands.
#[derive(Default)]
pub(in crate::sampler) struct Growing {
    pub(in crate::sampler) places: Places,
    pub(in crate::sampler) piece: Piece,
    positions: Vec<u64>,
}

/// A subgraph that is being drawn.
#[derive(Default)]
pub(in crate::sampler) struct Piece {
    seeds: Vec<u32>,
    retrieved: Vec<u32>,
    nodes: Buffer<SampledNode>,
    runs: Buffer<Run>,
    ends: Buffer<End>,
}

/// Edges of one node in one step, which are taken.
pub(in crate::sampler) struct Taken<'t> {
    pub(in crate::sampler) step: usize,
    /// The node's place.
    pub(in crate::sampler) near: u32,
    /// The position that the offsets count from.
    pub(in crate::sampler) base: usize,
    pub(in crate::sampler) offsets: &'t [u32],
}

impl Growing {
    /// The nodes so far.
    pub(in crate::sampler) fn nodes(&self) -> &[SampledNode] {
        &self.piece.nodes
    }

    /// A node's place, if it is there already.
    pub(in crate::sampler) fn place(&self, node: Hit) -> Option<u32> {
        self.places.get(node)
    }

    /// A node's place: its own, or the next, discovered at this hop.
    pub(in crate::sampler) fn node(&mut self, node: Hit, hop: usize) -> u32 {
        self.piece.node(&mut self.places, node, hop)
    }

    /// Takes edges of a node, with the nodes at their far ends, discovered at this hop.
    pub(in crate::sampler) fn take(&mut self, graph: &Graph<'_>, taken: &Taken<'_>, hop: usize) {
        let &Taken { step, near, base, offsets } = taken;
        if offsets.is_empty() {
            return;
        }
        self.piece.run(graph.lanes[step].step, near, base, 0);
        self.positions.clear();
        self.positions.extend(offsets.iter().map(|&offset| base as u64 + u64::from(offset)));
        self.piece.take(&mut self.places, graph, (step, hop), &self.positions, offsets);
    }
}

impl Piece {
    /// Begins anew, with these seeds.
    pub(in crate::sampler) fn begin(&mut self, places: &mut Places, seeds: &[Hit], graph: &Graph<'_>) {
        places.clear(&graph.counts);
        self.nodes.clear();
        self.ends.clear();
        self.runs.clear();
        self.seeds.clear();
        self.retrieved.clear();
        for &seed in seeds {
            let place = self.node(places, seed, 0);
            self.seeds.push(place);
        }
    }

    /// Rows to begin at beside the seeds.
    pub(in crate::sampler) fn retrieve(&mut self, places: &mut Places, rows: Vec<Hit>) {
        for row in rows {
            let next = self.nodes.len() as u32;
            // One that is there is a seed, or was retrieved for another.
            if self.node(places, row, 0) == next {
                self.retrieved.push(next);
            }
        }
    }

    /// The nodes so far.
    pub(in crate::sampler) fn nodes(&self) -> &[SampledNode] {
        &self.nodes
    }

    /// Makes the places those of this subgraph's nodes.
    pub(in crate::sampler) fn take_places(&self, places: &mut Places, graph: &Graph<'_>) {
        places.clear(&graph.counts);
        for (place, node) in (0..).zip(self.nodes()) {
            let table = places.of(node.node_type);
            table.reserve(1);
            table.get_or_insert(node.node, place);
        }
    }

    fn node(&mut self, places: &mut Places, node: Hit, hop: usize) -> u32 {
        let table = places.of(node.node_type);
        table.reserve(1);
        let (place, is_new) = table.get_or_insert(node.node, self.nodes.len() as u32);
        if is_new {
            self.nodes.push(SampledNode { node: node.node, node_type: node.node_type, hop: hop as u16 });
        }
        place
    }

    /// Begins a run of a node's edges in a step, behind so many edges that are yet to be [taken](Self::take).
    #[inline(always)]
    pub(in crate::sampler) fn run(&mut self, step: &Step, near: u32, base: usize, behind: usize) {
        let &Step { relation, direction, .. } = step;
        self.runs.push(Run { base: base as u64, near, first: (self.ends.len() + behind) as u32, relation, direction });
    }

    /// Takes edges in a step, with the nodes at their far ends, discovered at this hop: of each its position, and its offset from
    /// the base of its run.
    #[inline(always)]
    pub(in crate::sampler) fn take(
        &mut self,
        places: &mut Places,
        graph: &Graph<'_>,
        (step, hop): (usize, usize),
        positions: &[u64],
        offsets: &[u32],
    ) {
        let lane = &graph.lanes[step];
        let node_type = lane.step.far;
        let count = offsets.len();
        if count == 0 {
            return;
        }
        let table = places.of(node_type);
        table.reserve(count);
        let next = self.nodes.len() as u32;
        let into = Into { ends: self.ends.room(count), nodes: self.nodes.room(count + 1) };
        let fars = Fars { targets: lane.adjacency.targets, last: lane.last_far, positions, offsets };
        let new = table.place_all(fars, into, SampledNode { node: 0, node_type, hop: hop as u16 }, next);
        // SAFETY: `place_all` wrote them.
        unsafe {
            self.nodes.fill(new);
            self.ends.fill(count);
        }
    }

    /// The subgraph.
    ///
    /// # Errors
    /// [`Error::Limit`] where its edges are more than 32 bits number.
    pub(in crate::sampler) fn finish(&mut self) -> Result<Subgraph> {
        let most = self.ends.len().max(self.nodes.len());
        if most > u32::MAX as usize {
            let what = "nodes or edges of a subgraph".to_owned();
            return Err(Error::Limit { what, found: most as u64, most: u64::from(u32::MAX) });
        }
        let edges = Edges { runs: self.runs.hand_over(), ends: self.ends.hand_over() };
        let (seeds, retrieved) = (std::mem::take(&mut self.seeds), std::mem::take(&mut self.retrieved));
        Ok(Subgraph { seeds, retrieved, nodes: self.nodes.hand_over(), edges })
    }

    /// Takes back the memory of a subgraph that is of no more use.
    pub(in crate::sampler) fn take_back(&mut self, subgraph: Subgraph) {
        let Subgraph { seeds, retrieved, nodes, edges } = subgraph;
        (self.seeds, self.retrieved) = (seeds, retrieved);
        self.nodes.take_back(nodes);
        self.runs.take_back(edges.runs);
        self.ends.take_back(edges.ends);
    }
}
