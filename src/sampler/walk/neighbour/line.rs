use super::Part;
use super::block::{Block, choose, find, take};
use crate::sampler::graph::{Graph, Room};
use crate::sampler::subgraph::places::Places;

/// Blocks that wait until the memory has answered: of each, the places of its rows are asked for; some rows later they are found,
/// and their times asked for; some rows later it is chosen from them, and the far ends are asked for; some rows later these are
/// taken. Each of these is a short loop over a block, without a branch that cannot be foreseen.
pub(super) struct Line {
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

/// What goes on.
pub(super) struct Walk<'w, 's> {
    pub(super) graph: &'w Graph<'s>,
    pub(super) hop: usize,
    /// Whose nodes' places are known.
    pub(super) current: Option<usize>,
    pub(super) room: &'w mut Room,
}

impl Line {
    /// The next block.
    pub(super) fn next(&mut self) -> &mut Block {
        &mut self.blocks[self.begun % MOST_BLOCKS]
    }

    /// Counts the next block, and does what is its turn now.
    pub(super) fn advance(&mut self, walk: &mut Walk<'_, '_>, parts: &mut [Part], places: &mut Places, rows: usize) {
        self.begun += 1;
        self.rows += rows;
        self.go_on(walk, parts, places, UNTIL);
    }

    /// Does what is left to do.
    pub(super) fn finish(&mut self, walk: &mut Walk<'_, '_>, parts: &mut [Part], places: &mut Places) {
        self.go_on(walk, parts, places, [0; STAGES]);
    }

    fn go_on(&mut self, walk: &mut Walk<'_, '_>, parts: &mut [Part], places: &mut Places, until: [usize; STAGES]) {
        for (stage, until) in until.into_iter().enumerate() {
            while self.past[stage] < self.begun {
                let block = &mut self.blocks[self.past[stage] % MOST_BLOCKS];
                let rows = block.rows();
                if self.rows - self.rows_past[stage] - rows < until {
                    break;
                }
                match stage {
                    0 => find(walk.graph, block),
                    1 => choose(walk.graph, block, walk.room),
                    _ => walk.take(block, parts, places),
                }
                self.past[stage] += 1;
                self.rows_past[stage] += rows;
            }
        }
    }
}

impl Walk<'_, '_> {
    fn take(&mut self, block: &Block, parts: &mut [Part], places: &mut Places) {
        let piece = &mut parts[block.part].piece;
        if self.current != Some(block.part) {
            piece.take_places(places, self.graph);
            self.current = Some(block.part);
        }
        take(self.graph, block, piece, places, self.hop + 1);
    }
}
