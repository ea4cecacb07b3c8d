use std::ops::Range;

use super::{choice, node_key};
use crate::sampler::distinct::{FEW, few};
use crate::sampler::graph::{From, Graph, Room, RowEnd};
use crate::sampler::prefetch::prefetch;
use crate::sampler::random::Key;
use crate::sampler::subgraph::SampledNode;
use crate::sampler::subgraph::growing::Piece;
use crate::sampler::subgraph::places::Places;
use crate::vectorised::vectorised;

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

/// The edges of some nodes of a subgraph in one step.
#[derive(Default)]
struct Block {
    part: usize,
    step: usize,
    /// How many edges a node takes at most.
    most: usize,
    last: Option<i64>,
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
const TOGETHER: usize = 16;

/// Blocks that wait until the memory has answered: of each, the places of its rows are asked for; some rows later they are found,
/// and their times asked for; some rows later it is chosen from them, and the far ends are asked for; some rows later these are
/// taken. Each of these is a short loop over a block, without a branch that cannot be foreseen.
struct Line {
    blocks: Vec<Block>,
    /// Blocks that came so far, and how many of them are past each stage.
    begun: usize,
    past: [usize; STAGES],
    /// Rows in blocks that came so far, and in those past each stage.
    rows: usize,
    rows_past: [usize; STAGES],
}

/// To be found, chosen from, taken.
const STAGES: usize = 3;

/// For each stage, how many rows come before it is a block's turn.
const UNTIL: [usize; STAGES] = [8, 14, 24];

/// Blocks on their way at most: as many as there are rows, where each has one, and one more that comes.
const MOST_BLOCKS: usize = 32;

impl Default for Line {
    fn default() -> Self {
        let mut blocks = Vec::new();
        blocks.resize_with(MOST_BLOCKS, Block::default);
        Self { blocks, begun: 0, past: [0; STAGES], rows: 0, rows_past: [0; STAGES] }
    }
}

/// The neighbour walk: each node of a hop draws, of each relation and direction, as many of the edges that time allows as the
/// fanout of the hop says. See the [module](super). Of several subgraphs all draw a hop before any draws the next, so that
/// there is always something to do while the memory answers; what they draw does not depend on each other.
///
/// The places are those of the only subgraph if there is one, and else of whichever was last.
pub(in crate::sampler) fn walk(graph: &Graph<'_>, parts: &mut [Part], places: &mut Places, memory: &mut Rows) {
    let Rows { line, frontier, room } = memory;
    parts.iter_mut().for_each(|part| part.begun = 0);
    let mut walk = Walk { graph, hop: 0, current: None, room };
    if parts.len() == 1 {
        walk.current = Some(0);
    }
    for hop in 0..graph.steps.hops {
        walk.hop = hop;
        for at in 0..parts.len() {
            let part = &mut parts[at];
            let begun = std::mem::replace(&mut part.begun, part.piece.nodes().len());
            let (key, last) = (part.key, part.last);
            frontier.fill(graph, key, hop, begun, part.piece.nodes());
            for node_type in 0..frontier.ends.len() {
                let nodes = frontier.of(node_type);
                if nodes.is_empty() {
                    continue;
                }
                for step in graph.steps.of(relata_schema::NodeTypeId(node_type as u16)) {
                    let most = graph.steps.fanouts[hop][step];
                    if most == 0 || graph.lanes[step].adjacency.targets.is_empty() {
                        continue;
                    }
                    for nodes in frontier.nodes[nodes.clone()].chunks(TOGETHER) {
                        let block = line.next();
                        (block.part, block.step, block.most, block.last) = (at, step, most, last);
                        begin(graph, block, nodes);
                        line.advance(&mut walk, parts, places, nodes.len());
                    }
                }
            }
        }
        line.finish(&mut walk, parts, places);
    }
}

/// What goes on.
struct Walk<'w, 's> {
    graph: &'w Graph<'s>,
    hop: usize,
    /// Whose nodes' places are known.
    current: Option<usize>,
    room: &'w mut Room,
}

impl Frontier {
    fn of(&self, node_type: usize) -> Range<usize> {
        let start = node_type.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[node_type]
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

impl Line {
    /// The next block.
    fn next(&mut self) -> &mut Block {
        &mut self.blocks[self.begun % MOST_BLOCKS]
    }

    /// Counts the next block, and does what is its turn now.
    #[inline(always)]
    fn advance(&mut self, walk: &mut Walk<'_, '_>, parts: &mut [Part], places: &mut Places, rows: usize) {
        self.begun += 1;
        self.rows += rows;
        self.go_on(walk, parts, places, UNTIL);
    }

    /// Does what is left to do.
    fn finish(&mut self, walk: &mut Walk<'_, '_>, parts: &mut [Part], places: &mut Places) {
        self.go_on(walk, parts, places, [0; STAGES]);
    }

    fn go_on(&mut self, walk: &mut Walk<'_, '_>, parts: &mut [Part], places: &mut Places, until: [usize; STAGES]) {
        for (stage, until) in until.into_iter().enumerate() {
            while self.past[stage] < self.begun {
                let block = &mut self.blocks[self.past[stage] % MOST_BLOCKS];
                let rows = block.rows.len();
                if self.rows - self.rows_past[stage] - rows < until {
                    break;
                }
                match stage {
                    0 => find(walk.graph, block),
                    1 => choose(walk.graph, block, walk.room),
                    _ => take(walk, block, parts, places),
                }
                self.past[stage] += 1;
                self.rows_past[stage] += rows;
            }
        }
    }
}

/// Asks for the places of nodes' rows.
fn begin(graph: &Graph<'_>, block: &mut Block, nodes: &[Near]) {
    block.rows.clear();
    block.rows.extend(nodes.iter().map(|&near| {
        graph.ask(block.step, near.node, block.last);
        Row { near, ..Row::default() }
    }));
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
    fn find(graph: &Graph<'_>, block: &mut Block) {
        let lane = &graph.lanes[block.step];
        for row in &mut block.rows {
            row.edges = lane.adjacency.range(row.near.node);
            row.until = graph.row_end((block.step, row.near.node), &row.edges, block.last);
        }
    }
}

vectorised! {
    /// Chooses from the rows, and asks for the far ends.
    fn choose(graph: &Graph<'_>, block: &mut Block, room: &mut Room) {
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

/// Takes what was chosen.
fn take(walk: &mut Walk<'_, '_>, block: &Block, parts: &mut [Part], places: &mut Places) {
    let piece = &mut parts[block.part].piece;
    if walk.current != Some(block.part) {
        piece.take_places(places, walk.graph);
        walk.current = Some(block.part);
    }
    take_edges(walk.graph, block, piece, places, walk.hop + 1);
}

vectorised! {
    fn take_edges(graph: &Graph<'_>, block: &Block, piece: &mut Piece, places: &mut Places, hop: usize) {
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
