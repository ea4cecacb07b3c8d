#![allow(clippy::needless_range_loop, reason = "one index goes through several arrays, which are to stay in registers")]

use std::f32::consts::LOG2_E;

use super::tile::{BLOCK, Block, Blocks, gather, scores};
use super::{Part, Piece, Scratch, Shared, Tile, Tiles, pack, scale_of, to_columns, to_rows, unpack};
use crate::kernels::vector::{LANES, Vector};

/// Below any score, and no infinity, whose difference to itself is no number.
const LOWEST: f32 = -1e30;

pub(super) struct Forward<'t> {
    pub(super) query: &'t [f32],
    pub(super) out: Shared,
    pub(super) sums: Shared,
}

impl Tiles for Forward<'_> {
    type Output = ();

    fn begin(&self, _: Piece<'_>, _: Part, _: &mut Scratch) {}

    fn end(self, _: Piece<'_>, _: Part, _: &mut Scratch) {}

    #[inline(always)]
    unsafe fn tile<V: Vector, const W: usize>(&mut self, piece: Piece<'_>, tile: Tile<'_, W>, scratch: &mut Scratch) {
        let Tile { part, queries, spans, seen } = tile;
        let Piece { attention, segment, head, .. } = piece;
        let stride = part.stride;
        let [rows, ..] = &mut scratch.rows;
        let rows = Scratch::resize(rows, W * LANES * stride);
        rows[queries.len() * stride..].fill(0.0);
        let scale = |query: usize, row: &[f32]| attention.factor(query, head) * LOG2_E * scale_of(row, attention.is_normed);
        pack(self.query, queries.start as u32..queries.end as u32, part, rows, scale);
        let [query_columns, out_columns, _] = &mut scratch.columns;
        // SAFETY: the columns have room for `stride` times `W` vectors; the rest is the caller's.
        unsafe {
            let query_columns = columns::<V, W>(query_columns, stride);
            let out_columns = columns::<V, W>(out_columns, stride);
            to_columns::<V, W>(rows, stride, query_columns);
            for d in 0..stride {
                *out_columns.add(d) = [V::splat(0.0); W];
            }
            let mut highest = [V::splat(LOWEST); W];
            let mut sum = [V::splat(0.0); W];
            let mut block = Block { keys: [0; BLOCK], queries: [[0; W]; BLOCK], count: 0, is_whole: false };
            let mut weights = [[V::splat(0.0); W]; BLOCK];
            let mut blocks = Blocks::new(spans, seen, segment.keys.start);
            let mut is_first = true;
            while blocks.next(&mut block) {
                scores::<V, W>(query_columns, part.dim, scratch.keys.as_ptr(), stride, &block, &mut weights);
                let before = highest;
                let lowest = V::splat(LOWEST);
                for at in 0..block.count {
                    for w in 0..W {
                        if !block.is_whole {
                            weights[at][w] = weights[at][w].keep(block.queries[at][w], lowest);
                        }
                        highest[w] = highest[w].max(weights[at][w]);
                    }
                }
                if !is_first {
                    let mut fade = [V::splat(0.0); W];
                    for w in 0..W {
                        fade[w] = before[w].sub(highest[w]).exp2();
                        sum[w] = sum[w].mul(fade[w]);
                    }
                    for d in 0..stride {
                        for w in 0..W {
                            (*out_columns.add(d))[w] = (*out_columns.add(d))[w].mul(fade[w]);
                        }
                    }
                }
                is_first = false;
                for at in 0..block.count {
                    for w in 0..W {
                        let mut weight = weights[at][w].sub(highest[w]).exp2();
                        if !block.is_whole {
                            weight = weight.keep(block.queries[at][w], V::splat(0.0));
                        }
                        weights[at][w] = weight;
                        sum[w] = sum[w].add(weight);
                    }
                }
                gather::<V, W>(&weights, scratch.values.as_ptr(), stride, &block, out_columns);
            }
            let (mut sums, mut highests) = ([[0.0_f32; LANES]; W], [[0.0_f32; LANES]; W]);
            let mut shares = [[0.0_f32; LANES]; W];
            for w in 0..W {
                sum[w].store(sums[w].as_mut_ptr());
                highest[w].store(highests[w].as_mut_ptr());
                for lane in 0..LANES {
                    shares[w][lane] = if sums[w][lane] > 0.0 { sums[w][lane].recip() } else { 0.0 };
                }
                let share = V::load(shares[w].as_ptr());
                for d in 0..stride {
                    (*out_columns.add(d))[w] = (*out_columns.add(d))[w].mul(share);
                }
            }
            let [rows, ..] = &mut scratch.rows;
            to_rows::<V, W>(out_columns, stride, rows);
            for (at, query) in queries.enumerate() {
                unpack(&rows[at * stride..], query, part, self.out);
                let (sum, highest) = (sums[at / LANES][at % LANES], highests[at / LANES][at % LANES]);
                let logarithm = if sum > 0.0 { highest + sum.log2() } else { 0.0 };
                *self.sums.0.add(head * attention.pattern.queries() + query) = logarithm;
            }
        }
    }
}

/// Room for `count` times `W` vectors.
#[inline(always)]
pub(super) fn columns<V: Vector, const W: usize>(buffer: &mut Vec<[f32; LANES]>, count: usize) -> *mut [V; W] {
    const { assert!(size_of::<V>() == size_of::<[f32; LANES]>()) };
    // One more, to begin where a vector may.
    if buffer.len() < count * W + 1 {
        buffer.resize(count * W + 1, [0.0; LANES]);
    }
    let start = buffer.as_mut_ptr();
    start.cast::<u8>().wrapping_add(start.cast::<u8>().align_offset(align_of::<V>())).cast()
}
