use std::f32::consts::LOG2_E;

use super::forward::columns;
use super::tile::{BLOCK, Block, Blocks, gather, scatter, scores};
use super::{Attention, Part, Scratch, Shared, pack, scale_of, to_columns, to_rows, unpack};
use crate::kernels::pattern::{Segment, Span};
use crate::kernels::vector::{LANES, Task, Vector};

/// What went in and came out, and the gradient of the loss by what came out.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'t> {
    pub(super) query: &'t [f32],
    pub(super) key: &'t [f32],
    pub(super) value: &'t [f32],
    pub(super) out: &'t [f32],
    pub(super) sums: &'t [f32],
    pub(super) grad: &'t [f32],
}

/// Its result is the segment's part of the gradient by the head's scale.
pub(super) struct Backward<'t, 'a> {
    pub(super) attention: &'t Attention<'a>,
    pub(super) segment: &'t Segment,
    pub(super) head: usize,
    pub(super) inputs: Inputs<'t>,
    pub(super) to_query: Shared,
    pub(super) to_key: Shared,
    pub(super) to_value: Shared,
    pub(super) scratch: &'t mut Scratch,
}

impl Task for Backward<'_, '_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<V: Vector>(mut self) -> f64 {
        let attention = self.attention;
        let part = Part::of(attention, self.head);
        let stride = part.stride;
        let seen = self.segment.keys.clone();
        let length = seen.len() * stride;
        let keys = Scratch::resize(&mut self.scratch.keys, length);
        pack(self.inputs.key, seen.clone(), part, keys, |_, row| scale_of(row, attention.is_normed));
        let values = Scratch::resize(&mut self.scratch.values, length);
        pack(self.inputs.value, seen.clone(), part, values, |_, _| 1.0);
        Scratch::resize(&mut self.scratch.to_keys, length).fill(0.0);
        Scratch::resize(&mut self.scratch.to_values, length).fill(0.0);
        let groups = &attention.pattern.groups[self.segment.groups.start as usize..self.segment.groups.end as usize];
        let mut to_scale = 0.0;
        let mut at = 0;
        while at < groups.len() {
            let pair = if V::FEW { None } else { attention.pair(&groups[at..]) };
            // SAFETY: the caller's; groups and spans were checked when the pattern was made.
            unsafe {
                match pair {
                    Some((first, second)) => {
                        let queries = first.queries.start as usize..second.queries.end as usize;
                        let seen = Some([first.all(), second.all()]);
                        to_scale += self.tile::<V, 2>(part, queries, attention.spans(first), seen);
                        at += 2;
                    }
                    None => {
                        let queries = groups[at].queries.start as usize..groups[at].queries.end as usize;
                        to_scale += self.tile::<V, 1>(part, queries, attention.spans(&groups[at]), None);
                        at += 1;
                    }
                }
            }
        }
        for (at, key) in seen.enumerate() {
            let own = at * stride..(at + 1) * stride;
            let to_key = &mut self.scratch.to_keys[own.clone()];
            if attention.is_normed {
                let row = &self.inputs.key[part.range(key as usize)];
                through_norm(row, &self.scratch.keys[own.clone()], &mut to_key[..part.dim]);
            }
            // SAFETY: no other task has these keys and this head.
            unsafe {
                unpack(to_key, key as usize, part, self.to_key);
                unpack(&self.scratch.to_values[own], key as usize, part, self.to_value);
            }
        }
        to_scale
    }
}

impl Backward<'_, '_> {
    /// The tile's part of the gradient by the head's scale.
    ///
    /// # Safety
    /// See [`Vector`].
    #[inline(always)]
    unsafe fn tile<V: Vector, const W: usize>(
        &mut self,
        part: Part,
        queries: std::ops::Range<usize>,
        spans: &[Span],
        seen: Option<[u16; W]>,
    ) -> f64 {
        let (attention, head, stride) = (self.attention, self.head, part.stride);
        let numbers = queries.start as u32..queries.end as u32;
        let [query_rows, grad_rows, to_rows_] = &mut self.scratch.rows;
        let query_rows = Scratch::resize(query_rows, W * LANES * stride);
        let grad_rows = Scratch::resize(grad_rows, W * LANES * stride);
        let to_query_rows = Scratch::resize(to_rows_, W * LANES * stride);
        query_rows[queries.len() * stride..].fill(0.0);
        grad_rows[queries.len() * stride..].fill(0.0);
        let scale = |query: usize, row: &[f32]| attention.factor(query, head) * scale_of(row, attention.is_normed);
        pack(self.inputs.query, numbers.clone(), part, query_rows, scale);
        pack(self.inputs.grad, numbers, part, grad_rows, |_, _| 1.0);
        // For each query the logarithm of its sum, and the product of its result with the gradient by it.
        let (mut logarithms, mut products) = ([[0.0_f32; LANES]; W], [[0.0_f32; LANES]; W]);
        for (at, query) in queries.clone().enumerate() {
            logarithms[at / LANES][at % LANES] = self.inputs.sums[head * attention.pattern.queries() + query];
            let (out, grad) = (&self.inputs.out[part.range(query)], &self.inputs.grad[part.range(query)]);
            products[at / LANES][at % LANES] = out.iter().zip(grad).map(|(out, grad)| out * grad).sum();
        }
        let [query_columns, grad_columns, to_query_columns] = &mut self.scratch.columns;
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
            let mut blocks = Blocks::new(spans, seen, self.segment.keys.start);
            while blocks.next(&mut block) {
                scores::<V, W>(query_columns, part.dim, self.scratch.keys.as_ptr(), stride, &block, &mut weights);
                scores::<V, W>(grad_columns, part.dim, self.scratch.values.as_ptr(), stride, &block, &mut to_scores);
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
                scatter::<V, W>(&weights, grad_rows.as_ptr(), stride, &block, self.scratch.to_values.as_mut_ptr());
                scatter::<V, W>(&to_scores, query_rows.as_ptr(), stride, &block, self.scratch.to_keys.as_mut_ptr());
                gather::<V, W>(&to_scores, self.scratch.keys.as_ptr(), stride, &block, to_query_columns);
            }
            to_rows::<V, W>(to_query_columns, stride, to_query_rows);
        }
        let mut to_scale = 0.0;
        for (at, query) in queries.enumerate() {
            let own = &mut to_query_rows[at * stride..at * stride + part.dim];
            let row = &self.inputs.query[part.range(query)];
            let factor = attention.factor(query, head);
            if attention.scales.is_some() {
                let normed = scale_of(row, attention.is_normed);
                let product: f32 = own.iter().zip(row).map(|(to, number)| to * number * normed).sum();
                to_scale += f64::from(product) * f64::from(attention.fixed_factor(query));
            }
            own.iter_mut().for_each(|to| *to *= factor);
            if attention.is_normed {
                let normed = scale_of(row, true);
                let scaled: Vec<f32> = row.iter().map(|number| number * normed).collect();
                through_norm(row, &scaled, own);
            }
            // SAFETY: no other task has these queries and this head.
            unsafe { unpack(own, query, part, self.to_query) };
        }
        to_scale
    }
}

/// The gradient by a row, of that by the normed row: (g − ŷ ⟨ŷ, g⟩ / n) / rms.
#[inline(always)]
fn through_norm(row: &[f32], normed: &[f32], to: &mut [f32]) {
    let scale = scale_of(row, true);
    let product: f32 = to.iter().zip(normed).map(|(to, normed)| to * normed).sum();
    let mean = product / row.len() as f32;
    for (to, normed) in to.iter_mut().zip(normed) {
        *to = (*to - normed * mean) * scale;
    }
}
