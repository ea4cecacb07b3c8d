use std::ops::Range;

use super::Near;
use crate::sampler::distinct::{FEW, few};
use crate::sampler::graph::{From, Graph, Room, RowEnd};
use crate::sampler::prefetch::prefetch;
use crate::sampler::subgraph::growing::Piece;
use crate::sampler::subgraph::places::Places;
use crate::sampler::walk::choice;
use crate::vectorised::vectorised;

/// The edges of some nodes of a subgraph in one step.
#[derive(Default)]
pub(super) struct Block {
    /// Of which of the subgraphs that are drawn together.
    pub(super) part: usize,
    pub(super) step: usize,
    /// How many edges a node takes at most.
    pub(super) most: usize,
    pub(super) last: Option<i64>,
    rows: Vec<Row>,
    /// Of each edge that is taken, its offset from the first that time allows, and its position: those of the first row, then
    /// those of the second, and so on. What is behind `taken` is of no account.
    offsets: Vec<u32>,
    positions: Vec<u64>,
    taken: usize,
}

/// The edges of a node.
#[derive(Clone, Default)]
struct Row {
    near: Near,
    /// Their positions; once chosen from, of those that time allows.
    edges: Range<usize>,
    /// Where those that time allows may end.
    until: RowEnd,
    /// Where those that are taken end, among those of the block.
    end: usize,
}

/// Nodes of a block at most.
pub(super) const TOGETHER: usize = 16;

impl Block {
    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Begins anew with these nodes' rows, and asks for their places.
    pub(super) fn begin(&mut self, graph: &Graph<'_>, nodes: &[Near]) {
        self.rows.clear();
        self.rows.extend(nodes.iter().map(|&near| {
            graph.ask(self.step, near.node, self.last);
            Row { near, ..Row::default() }
        }));
    }
}

/// Writes as many positions as there may be offsets, and some more.
#[inline(always)]
fn put_positions(start: u64, offsets: &[u32], positions: &mut [u64], most: usize) {
    const HALF: usize = FEW / 2;
    let (Some(offsets), Some(positions)) = (offsets.first_chunk::<FEW>(), positions.first_chunk_mut::<FEW>()) else { return };
    for at in 0..HALF {
        positions[at] = start + u64::from(offsets[at]);
    }
    if most > HALF {
        for at in HALF..FEW {
            positions[at] = start + u64::from(offsets[at]);
        }
    }
}

vectorised! {
    /// Finds the rows, and asks for their times.
    pub(super) fn find(graph: &Graph<'_>, block: &mut Block) {
        let lane = &graph.lanes[block.step];
        for row in &mut block.rows {
            row.edges = lane.adjacency.range(row.near.node);
            row.until = graph.row_end((block.step, row.near.node), &row.edges, block.last);
        }
    }
}

vectorised! {
    /// Chooses from the rows, and asks for the far ends.
    pub(super) fn choose(graph: &Graph<'_>, block: &mut Block, room: &mut Room) {
        let &mut Block { step, most, last, ref mut rows, ref mut offsets, ref mut positions, ref mut taken, .. } = block;
        let lane = &graph.lanes[step];
        if last.is_some() {
            for row in rows.iter_mut() {
                row.edges = graph.allowed_of((step, row.near.node), row.edges.clone(), last, row.until);
            }
        }
        let (mut end, mut asked) = (0, 0);
        if lane.is_plain(last) && most <= FEW {
            let most_taken = (TOGETHER + 1) * FEW;
            if offsets.len() < most_taken {
                offsets.resize(most_taken, 0);
                positions.resize(most_taken, 0);
            }
            for row in rows.iter_mut() {
                let (start, count) = (row.edges.start as u64, row.edges.len());
                let draws = choice(row.near.key, lane.step).draws();
                let offsets = &mut offsets[end..end + FEW];
                let more = few(draws, count as u32, most, offsets);
                put_positions(start, offsets, &mut positions[end..], most);
                for &position in &positions[asked..end] {
                    prefetch(lane.adjacency.targets, position as usize);
                }
                asked = end;
                end += more;
                row.end = end;
            }
        } else {
            offsets.clear();
            positions.clear();
            for row in rows.iter_mut() {
                let allowed = row.edges.clone();
                let (start, node) = (allowed.start as u64, row.near.node);
                if !allowed.is_empty() {
                    let from = From { step, node, allowed, last };
                    graph.choose(from, most, choice(row.near.key, lane.step), room, offsets);
                }
                positions.extend(offsets[positions.len()..].iter().map(|&offset| start + u64::from(offset)));
                row.end = offsets.len();
            }
            end = offsets.len();
        }
        *taken = end;
        for &position in &positions[asked..end] {
            prefetch(lane.adjacency.targets, position as usize);
        }
    }
}

vectorised! {
    /// Takes what was chosen.
    pub(super) fn take(graph: &Graph<'_>, block: &Block, piece: &mut Piece, places: &mut Places, hop: usize) {
        let lane = &graph.lanes[block.step];
        let mut start = 0;
        for row in &block.rows {
            if row.end > start {
                piece.run(lane.step, row.near.place, row.edges.start, start);
            }
            start = row.end;
        }
        let (positions, offsets) = (&block.positions[..block.taken], &block.offsets[..block.taken]);
        piece.take(places, graph, (block.step, hop), positions, offsets);
    }
}
