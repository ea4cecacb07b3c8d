use std::f32::consts::LOG2_E;

use super::forward::columns;
use super::tile::{BLOCK, Block, Blocks, gather, scatter, scores};
use super::{Part, Piece, Scratch, Shared, Tile, Tiles, pack, scale_of, to_columns, to_rows, unpack};
use crate::kernels::vector::{LANES, Vector};

/// Its result is the piece's part of the gradient by the head's scale.
pub(super) struct Backward<'t> {
    pub(super) query: &'t [f32],
    pub(super) out: &'t [f32],
    pub(super) sums: &'t [f32],
    pub(super) grad: &'t [f32],
    pub(super) to_query: Shared,
    pub(super) to_key: Shared,
    pub(super) to_value: Shared,
    /// So far.
    pub(super) to_scale: f64,
}

impl Tiles for Backward<'_> {
    type Output = f64;

    #[inline(always)]
    fn begin(&self, piece: Piece<'_>, part: Part, scratch: &mut Scratch) {
        let length = piece.segment.keys.len() * part.stride;
        Scratch::resize(&mut scratch.to_keys, length).fill(0.0);
        Scratch::resize(&mut scratch.to_values, length).fill(0.0);
    }

    #[inline(always)]
    fn end(self, piece: Piece<'_>, part: Part, scratch: &mut Scratch) -> f64 {
        let Piece { attention, segment, key: keys, .. } = piece;
        for (at, key) in segment.keys.clone().enumerate() {
            let own = at * part.stride..(at + 1) * part.stride;
            let to_key = &mut scratch.to_keys[own.clone()];
            if attention.is_normed {
                through_norm(&keys[part.range(key as usize)], &mut to_key[..part.dim]);
            }
            // SAFETY: no other piece has these keys and this head.
            unsafe {
                unpack(to_key, key as usize, part, self.to_key);
                unpack(&scratch.to_values[own], key as usize, part, self.to_value);
            }
        }
        self.to_scale
    }

    #[inline(always)]
    unsafe fn tile<V: Vector, const W: usize>(&mut self, piece: Piece<'_>, tile: Tile<'_, W>, scratch: &mut Scratch) {
        let Tile { part, queries, spans, seen } = tile;
        let Piece { attention, segment, head, .. } = piece;
        let stride = part.stride;
        let numbers = queries.start as u32..queries.end as u32;
        let [query_rows, grad_rows, to_query_rows] = &mut scratch.rows;
        let query_rows = Scratch::resize(query_rows, W * LANES * stride);
        let grad_rows = Scratch::resize(grad_rows, W * LANES * stride);
        let to_query_rows = Scratch::resize(to_query_rows, W * LANES * stride);
        query_rows[queries.len() * stride..].fill(0.0);
        grad_rows[queries.len() * stride..].fill(0.0);
        let scale = |query: usize, row: &[f32]| attention.factor(query, head) * scale_of(row, attention.is_normed);
        pack(self.query, numbers.clone(), part, query_rows, scale);
        pack(self.grad, numbers, part, grad_rows, |_, _| 1.0);
        // For each query the logarithm of its sum, and the product of its result with the gradient by it.
        let (mut logarithms, mut products) = ([[0.0_f32; LANES]; W], [[0.0_f32; LANES]; W]);
        for (at, query) in queries.clone().enumerate() {
            logarithms[at / LANES][at % LANES] = self.sums[head * attention.pattern.queries() + query];
            let (out, grad) = (&self.out[part.range(query)], &self.grad[part.range(query)]);
            products[at / LANES][at % LANES] = out.iter().zip(grad).map(|(out, grad)| out * grad).sum();
        }
        let [query_columns, grad_columns, to_query_columns] = &mut scratch.columns;
        // SAFETY: the columns have room for `stride` times `W` vectors; the rest is the caller's.
        unsafe {
            let query_columns = columns::<V, W>(query_columns, stride);
            let grad_columns = columns::<V, W>(grad_columns, stride);
            let to_query_columns = columns::<V, W>(to_query_columns, stride);
            to_columns::<V, W>(query_rows, stride, query_columns);
            to_columns::<V, W>(grad_rows, stride, grad_columns);
            for d in 0..stride {
                for w in 0..W {
                    (*query_columns.add(d))[w] = (*query_columns.add(d))[w].mul(V::splat(LOG2_E));
                }
                *to_query_columns.add(d) = [V::splat(0.0); W];
            }
            let logarithm: [V; W] = std::array::from_fn(|w| V::load(logarithms[w].as_ptr()));
            let product: [V; W] = std::array::from_fn(|w| V::load(products[w].as_ptr()));
            let mut block = Block { keys: [0; BLOCK], queries: [[0; W]; BLOCK], count: 0, is_whole: false };
            let mut weights = [[V::splat(0.0); W]; BLOCK];
            let mut to_scores = [[V::splat(0.0); W]; BLOCK];
            let mut blocks = Blocks::new(spans, seen, segment.keys.start);
            while blocks.next(&mut block) {
                scores::<V, W>(query_columns, part.dim, scratch.keys.as_ptr(), stride, &block, &mut weights);
                scores::<V, W>(grad_columns, part.dim, scratch.values.as_ptr(), stride, &block, &mut to_scores);
                for at in 0..block.count {
                    for w in 0..W {
                        let mut weight = weights[at][w].sub(logarithm[w]).exp2();
                        if !block.is_whole {
                            weight = weight.keep(block.queries[at][w], V::splat(0.0));
                        }
                        weights[at][w] = weight;
                        to_scores[at][w] = weight.mul(to_scores[at][w].sub(product[w]));
                    }
                }
                scatter::<V, W>(&weights, grad_rows.as_ptr(), stride, &block, scratch.to_values.as_mut_ptr());
                scatter::<V, W>(&to_scores, query_rows.as_ptr(), stride, &block, scratch.to_keys.as_mut_ptr());
                gather::<V, W>(&to_scores, scratch.keys.as_ptr(), stride, &block, to_query_columns);
            }
            to_rows::<V, W>(to_query_columns, stride, to_query_rows);
        }
        for (at, query) in queries.enumerate() {
            let own = &mut to_query_rows[at * stride..at * stride + part.dim];
            let row = &self.query[part.range(query)];
            let factor = attention.factor(query, head);
            if attention.scales.is_some() {
                let normed = scale_of(row, attention.is_normed);
                let product: f32 = own.iter().zip(row).map(|(to, number)| to * number * normed).sum();
                self.to_scale += f64::from(product) * f64::from(attention.fixed_factor(query));
            }
            own.iter_mut().for_each(|to| *to *= factor);
            if attention.is_normed {
                through_norm(row, own);
            }
            // SAFETY: no other piece has these queries and this head.
            unsafe { unpack(own, query, part, self.to_query) };
        }
    }
}

/// The gradient by a row, of that by the normed row ŷ: (g − ŷ ⟨ŷ, g⟩ / n) / rms.
#[inline(always)]
fn through_norm(row: &[f32], to: &mut [f32]) {
    let scale = scale_of(row, true);
    let product: f32 = to.iter().zip(row).map(|(to, number)| to * (number * scale)).sum();
    let mean = product / row.len() as f32;
    for (to, number) in to.iter_mut().zip(row) {
        *to = (*to - number * scale * mean) * scale;
    }
}
