use std::ops::Range;

/// Some of a matrix' rows, in an order of their own; none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// So many, from the first, in their order.
    First(usize),
    /// These.
    These(Vec<u32>),
}

impl Rows {
    /// These; the first in their order are said so.
    pub fn new(rows: Vec<u32>) -> Self {
        if rows.iter().enumerate().all(|(at, &row)| at == row as usize) { Self::First(rows.len()) } else { Self::These(rows) }
    }

    /// How many.
    pub fn count(&self) -> usize {
        match self {
            Self::First(count) => *count,
            Self::These(rows) => rows.len(),
        }
    }

    /// The place of one of them.
    #[inline(always)]
    pub fn at(&self, at: usize) -> usize {
        match self {
            Self::First(_) => at,
            Self::These(rows) => rows[at] as usize,
        }
    }

    /// The places of all.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.count()).map(|at| self.at(at))
    }

    /// The place beyond the last that there is.
    pub(super) fn end(&self) -> usize {
        match self {
            Self::First(count) => *count,
            Self::These(rows) => rows.iter().map(|&row| row as usize + 1).max().unwrap_or(0),
        }
    }

    /// A copy of all.
    pub(super) fn gathered(&self, from: &[f32], width: usize) -> Vec<f32> {
        match self {
            Self::First(count) => from[..count * width].to_vec(),
            Self::These(rows) => rows.iter().flat_map(|&row| &from[row as usize * width..][..width]).copied().collect(),
        }
    }

    /// Copies some of them.
    pub(super) fn copy(&self, from: &[f32], width: usize, some: Range<usize>, to: &mut [f32]) {
        match self {
            Self::First(_) => to.copy_from_slice(&from[some.start * width..some.end * width]),
            Self::These(rows) => {
                for (to, &row) in to.chunks_exact_mut(width).zip(&rows[some]) {
                    to.copy_from_slice(&from[row as usize * width..][..width]);
                }
            }
        }
    }
}
