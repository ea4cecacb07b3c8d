//! Edges on their way into a snapshot.

use relata_schema::EdgeValue;

use crate::Result;

/// A relation's edges in memory, in any order.
#[derive(Clone, Debug, Default)]
pub struct EdgeData {
    /// Source nodes.
    pub sources: Vec<u32>,
    /// Target nodes.
    pub targets: Vec<u32>,
    /// One an edge, or empty where the relation has no time attribute; `i64::MIN` is missing.
    pub times: Vec<i64>,
    /// For each attribute of the relation, in its order: one an edge, or empty (missing throughout, or the time).
    pub attributes: Vec<Vec<EdgeValue>>,
    /// For each attribute of the relation, in its order: the names of its category codes, in any order, else empty.
    pub categories: Vec<Vec<String>>,
}

/// Some edges as columns of equal length, by the snapshot's numbers of nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct EdgeBlock {
    pub sources: Vec<u32>,
    pub targets: Vec<u32>,
    /// Empty where none of these edges has a time; `i64::MIN` is missing.
    pub times: Vec<i64>,
    /// For each attribute of the relation, in its order: bits of an `f32`, or a category's code; [`MISSING`](Self::MISSING)
    /// is missing. An empty column, or one that is not there, is missing throughout.
    pub attributes: Vec<Vec<u32>>,
}

impl EdgeBlock {
    /// An attribute's 32 bits where it is missing: as a number it would be a NaN, which no edge carries.
    pub(crate) const MISSING: u32 = u32::MAX;

    /// Makes it empty, and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.sources.clear();
        self.targets.clear();
        self.times.clear();
        self.attributes.iter_mut().for_each(Vec::clear);
    }
}

/// Where a relation's edges come from: in pieces that are read once each, in any order and by several threads.
pub(crate) trait EdgeStream: Sync {
    /// How many pieces there are.
    fn pieces(&self) -> usize;

    /// At most how many edges all pieces have.
    fn edges(&self) -> u64;

    /// The first and the last time of all edges, if that is known before they are read; the first is above the last where
    /// no edge has a time.
    fn times(&self) -> Option<(i64, i64)>;

    /// Adds a piece's edges to a block.
    fn read(&self, piece: usize, block: &mut EdgeBlock) -> Result<()>;
}

/// Edges of a piece of [`EdgeData`].
const PIECE: usize = 1 << 16;

impl EdgeStream for EdgeData {
    fn pieces(&self) -> usize {
        self.sources.len().div_ceil(PIECE)
    }

    fn edges(&self) -> u64 {
        self.sources.len() as u64
    }

    fn times(&self) -> Option<(i64, i64)> {
        None
    }

    fn read(&self, piece: usize, block: &mut EdgeBlock) -> Result<()> {
        let range = piece * PIECE..((piece + 1) * PIECE).min(self.sources.len());
        block.sources.extend_from_slice(&self.sources[range.clone()]);
        block.targets.extend_from_slice(&self.targets[range.clone()]);
        block.times.extend_from_slice(self.times.get(range.clone()).unwrap_or_default());
        block.attributes.resize_with(self.attributes.len(), Vec::new);
        for (column, values) in block.attributes.iter_mut().zip(&self.attributes) {
            column.extend(values.get(range.clone()).unwrap_or_default().iter().map(|value| match value {
                EdgeValue::Number(number) if number.is_nan() => EdgeBlock::MISSING,
                EdgeValue::Number(number) => number.to_bits(),
                EdgeValue::Category(code) => *code,
                EdgeValue::Missing => EdgeBlock::MISSING,
            }));
        }
        Ok(())
    }
}
