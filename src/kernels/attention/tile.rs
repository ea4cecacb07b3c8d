//! Products of a tile: up to sixteen (or twice sixteen) queries, one a lane, and a block of keys.

#![allow(clippy::needless_range_loop, reason = "one index goes through several arrays, which are to stay in registers")]

use crate::kernels::pattern::Span;
use crate::kernels::vector::{LANES, Vector};

/// Keys that are computed at a time: their scores stay in the fastest cache.
pub(super) const BLOCK: usize = 64;

/// Some of the keys that a tile's queries see.
pub(super) struct Block<const W: usize> {
    /// Places among the segment's keys. Behind the last, up to a multiple of eight, is the last again.
    pub(super) keys: [u32; BLOCK],
    /// For each vector of queries, which of them see the key.
    pub(super) queries: [[u16; W]; BLOCK],
    pub(super) count: usize,
    /// Whether every lane sees every key.
    pub(super) is_whole: bool,
}

/// Goes through spans, a block at a time.
pub(super) struct Blocks<'s, const W: usize> {
    spans: &'s [Span],
    /// The same for all spans, where there are several vectors of queries.
    queries: Option<[u16; W]>,
    first_key: u32,
    at: u32,
}

impl<'s, const W: usize> Blocks<'s, W> {
    /// `first_key` is the segment's; `queries` are those that see all spans, if they all are alike.
    pub(super) fn new(spans: &'s [Span], queries: Option<[u16; W]>, first_key: u32) -> Self {
        Self { spans, queries, first_key, at: spans.first().map_or(0, |span| span.start) }
    }

    #[inline(always)]
    pub(super) fn next(&mut self, block: &mut Block<W>) -> bool {
        let mut count = 0;
        let mut seen = u16::MAX;
        while count < BLOCK {
            let Some(span) = self.spans.first() else { break };
            let taken = (span.end - self.at).min((BLOCK - count) as u32);
            let queries = self.queries.unwrap_or([span.queries; W]);
            queries.iter().for_each(|queries| seen &= queries);
            let first = self.at - self.first_key;
            for at in 0..taken {
                block.keys[count + at as usize] = first + at;
                block.queries[count + at as usize] = queries;
            }
            count += taken as usize;
            self.at += taken;
            if self.at == span.end {
                self.spans = &self.spans[1..];
                self.at = self.spans.first().map_or(0, |span| span.start);
            }
        }
        block.count = count;
        block.is_whole = seen == u16::MAX;
        for at in count..count.next_multiple_of(8) {
            block.keys[at] = block.keys[count - 1];
        }
        count > 0
    }
}

/// `scores[key][query] = Σ_d columns[d][query] × rows[key][d]`; `rows` are `stride` numbers apart, `dim` of them count.
///
/// # Safety
/// `columns` has `dim` entries, `rows` a row for each of the block's keys; see [`Vector`].
#[inline(always)]
pub(super) unsafe fn scores<V: Vector, const W: usize>(
    columns: *const [V; W],
    dim: usize,
    rows: *const f32,
    stride: usize,
    block: &Block<W>,
    scores: &mut [[V; W]; BLOCK],
) {
    unsafe {
        let mut at = 0;
        if !V::FEW {
            while at + 4 < block.count {
                scores_of::<V, W, 8>(columns, dim, rows, stride, &block.keys[at..at + 8], &mut scores[at..at + 8]);
                at += 8;
            }
        }
        while at < block.count {
            scores_of::<V, W, 4>(columns, dim, rows, stride, &block.keys[at..at + 4], &mut scores[at..at + 4]);
            at += 4;
        }
    }
}

#[inline(always)]
unsafe fn scores_of<V: Vector, const W: usize, const K: usize>(
    columns: *const [V; W],
    dim: usize,
    rows: *const f32,
    stride: usize,
    keys: &[u32],
    scores: &mut [[V; W]],
) {
    unsafe {
        let rows: [*const f32; K] = std::array::from_fn(|at| rows.add(keys[at] as usize * stride));
        let mut sums = [[V::splat(0.0); W]; K];
        for d in 0..dim {
            let column = *columns.add(d);
            for key in 0..K {
                let number = V::splat(*rows[key].add(d));
                for w in 0..W {
                    sums[key][w] = column[w].mul_add(number, sums[key][w]);
                }
            }
        }
        scores[..K].copy_from_slice(&sums);
    }
}

/// `columns[d][query] += Σ_key weights[key][query] × rows[key][d]`.
///
/// # Safety
/// As of [`scores`]; `columns` has `stride` entries, a multiple of sixteen.
#[inline(always)]
pub(super) unsafe fn gather<V: Vector, const W: usize>(
    weights: &[[V; W]; BLOCK],
    rows: *const f32,
    stride: usize,
    block: &Block<W>,
    columns: *mut [V; W],
) {
    unsafe {
        let mut d = 0;
        while d < stride {
            match (V::FEW, W) {
                (false, 1) => gather_of::<V, W, 16>(weights, rows.add(d), stride, block, columns.add(d)),
                (false, _) => {
                    gather_of::<V, W, 8>(weights, rows.add(d), stride, block, columns.add(d));
                    gather_of::<V, W, 8>(weights, rows.add(d + 8), stride, block, columns.add(d + 8));
                }
                (true, _) => {
                    for part in (d..d + 16).step_by(4) {
                        gather_of::<V, W, 4>(weights, rows.add(part), stride, block, columns.add(part));
                    }
                }
            }
            d += LANES;
        }
    }
}

#[inline(always)]
unsafe fn gather_of<V: Vector, const W: usize, const D: usize>(
    weights: &[[V; W]; BLOCK],
    rows: *const f32,
    stride: usize,
    block: &Block<W>,
    columns: *mut [V; W],
) {
    unsafe {
        let mut sums: [[V; W]; D] = std::array::from_fn(|d| *columns.add(d));
        for key in 0..block.count {
            let weight = *weights.get_unchecked(key);
            let row = rows.add(*block.keys.get_unchecked(key) as usize * stride);
            for d in 0..D {
                let number = V::splat(*row.add(d));
                for w in 0..W {
                    sums[d][w] = weight[w].mul_add(number, sums[d][w]);
                }
            }
        }
        for d in 0..D {
            *columns.add(d) = sums[d];
        }
    }
}

/// `rows[key][d] += Σ_query weights[key][query] × of_queries[query][d]`.
///
/// # Safety
/// As of [`gather`]; `of_queries` has a row of `stride` numbers for each lane.
#[inline(always)]
pub(super) unsafe fn scatter<V: Vector, const W: usize>(
    weights: &[[V; W]; BLOCK],
    of_queries: *const f32,
    stride: usize,
    block: &Block<W>,
    rows: *mut f32,
) {
    unsafe {
        let mut d = 0;
        while d < stride {
            if !V::FEW && d + 2 * LANES <= stride {
                scatter_part::<V, W, 8, 2>(weights, of_queries.add(d), stride, block, rows.add(d));
                d += 2 * LANES;
            } else {
                scatter_part::<V, W, 4, 1>(weights, of_queries.add(d), stride, block, rows.add(d));
                d += LANES;
            }
        }
    }
}

#[inline(always)]
unsafe fn scatter_part<V: Vector, const W: usize, const K: usize, const D: usize>(
    weights: &[[V; W]; BLOCK],
    of_queries: *const f32,
    stride: usize,
    block: &Block<W>,
    rows: *mut f32,
) {
    unsafe {
        let weights = weights.as_ptr().cast::<f32>();
        let mut at = 0;
        while at + K <= block.count {
            scatter_of::<V, W, K, D>(weights.add(at * W * LANES), of_queries, stride, &block.keys[at..at + K], rows);
            at += K;
        }
        while at < block.count {
            scatter_of::<V, W, 1, D>(weights.add(at * W * LANES), of_queries, stride, &block.keys[at..at + 1], rows);
            at += 1;
        }
    }
}

#[inline(always)]
unsafe fn scatter_of<V: Vector, const W: usize, const K: usize, const D: usize>(
    weights: *const f32,
    of_queries: *const f32,
    stride: usize,
    keys: &[u32],
    rows: *mut f32,
) {
    unsafe {
        let rows: [*mut f32; K] = std::array::from_fn(|key| rows.add(keys[key] as usize * stride));
        let mut sums: [[V; D]; K] = std::array::from_fn(|key| std::array::from_fn(|d| V::load(rows[key].add(d * LANES))));
        for query in 0..W * LANES {
            let own: [V; D] = std::array::from_fn(|d| V::load(of_queries.add(query * stride + d * LANES)));
            for key in 0..K {
                let weight = V::splat(*weights.add(key * W * LANES + query));
                for d in 0..D {
                    sums[key][d] = weight.mul_add(own[d], sums[key][d]);
                }
            }
        }
        for key in 0..K {
            for d in 0..D {
                sums[key][d].store(rows[key].add(d * LANES));
            }
        }
    }
}
