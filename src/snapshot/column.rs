use std::ops::Range;

use super::Times;

/// One relation, walked in one direction: compressed sparse rows over the near end's nodes.
#[derive(Clone, Copy, Debug)]
pub struct Adjacency<'s> {
    /// `near nodes + 1` positions in `targets`; empty where the relation has no edge.
    pub offsets: &'s [u64],
    /// Far nodes; within a near node by time, then far node.
    pub targets: &'s [u32],
    /// Those of the edges; missing ones come first. Empty where the relation has no time.
    pub times: Times<'s>,
}

impl<'s> Adjacency<'s> {
    /// The positions in `targets` of a near node's edges; empty for a node that the type does not have.
    pub fn range(&self, node: u32) -> Range<usize> {
        let at = node as usize;
        match (self.offsets.get(at), self.offsets.get(at + 1)) {
            (Some(&start), Some(&end)) => {
                let end = (end as usize).min(self.targets.len());
                (start as usize).min(end)..end
            }
            _ => 0..0,
        }
    }

    /// The far nodes of a near node.
    pub fn neighbors(&self, node: u32) -> &'s [u32] {
        &self.targets[self.range(node)]
    }

    /// How many edges a near node has.
    pub fn degree(&self, node: u32) -> usize {
        self.range(node).len()
    }

    /// The positions of a near node's edges that are no later than `cutoff`; edges without a time are among them.
    pub fn range_until(&self, node: u32, cutoff: i64) -> Range<usize> {
        let range = self.range(node);
        if self.times.is_empty() { range } else { range.start..self.times.until(range, cutoff) }
    }
}

/// A column of an edge attribute, aligned with the edges' ends; empty where it is missing throughout.
#[derive(Clone, Copy, Debug)]
pub enum EdgeColumn<'s> {
    /// Numbers, counts and booleans (0, 1); NaN is missing.
    Number(&'s [f32]),
    /// Codes into [`Snapshot::edge_categories`](super::Snapshot::edge_categories); `u32::MAX` is missing.
    Category(&'s [u32]),
}

impl EdgeColumn<'_> {
    /// How many edges it has a value or a gap for.
    pub fn len(&self) -> usize {
        match self {
            Self::Number(numbers) => numbers.len(),
            Self::Category(codes) => codes.len(),
        }
    }

    /// Whether the attribute is missing throughout.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl NodeColumn<'_> {
    /// Whether the attribute is missing throughout. Of texts and intervals, which are no columns of numbers, it is always true.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Number(numbers) => numbers.is_empty(),
            Self::Category(codes) => codes.is_empty(),
            Self::Boolean(truths) => truths.is_empty(),
            Self::Time(times) => times.is_empty(),
            Self::Vector { values, .. } => values.is_empty(),
            Self::Text | Self::Interval => true,
        }
    }
}

/// A column of a node attribute, as long as the type has nodes; empty where the attribute is missing throughout.
#[derive(Clone, Copy, Debug)]
pub enum NodeColumn<'s> {
    /// Numbers and counts; NaN is missing.
    Number(&'s [f64]),
    /// Codes into [`Snapshot::categories`](super::Snapshot::categories); `u32::MAX` is missing.
    Category(&'s [u32]),
    /// 0, 1, or 255 for missing.
    Boolean(&'s [u8]),
    /// In the attribute's unit; `i64::MIN` is missing.
    Time(&'s [i64]),
    /// `nodes × dimension`, row-major; a row that starts with NaN is missing.
    Vector {
        /// Numbers a node.
        dimension: u32,
        /// All rows.
        values: &'s [f32],
    },
    /// Texts and sequences: read them with [`Snapshot::text`](super::Snapshot::text).
    Text,
    /// Intervals: read them with [`Snapshot::value`](super::Snapshot::value).
    Interval,
}

/// The columns of an interval attribute, each as long as the type has nodes; all empty where it is missing throughout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervals<'s> {
    /// Codes into [`Snapshot::categories`](super::Snapshot::categories); `u32::MAX` where the interval is missing.
    pub(crate) contigs: &'s [u32],
    /// First bases, from 0.
    pub(crate) starts: &'s [u64],
    /// One behind the last bases, from 0.
    pub(crate) ends: &'s [u64],
    /// 1 forward, 2 reverse, else unknown.
    pub(crate) strands: &'s [u8],
}
