//! Attention along a [`Pattern`], forward and backward.
//!
//! Pieces are the pairs of a segment and a head. A thread copies a piece's keys and values, so that each is one line of memory, and
//! goes through the segment's groups of queries: a query is a lane of a vector, so that softmax needs no sums across lanes.

mod backward;
mod forward;
mod tile;

use std::ops::Range;

use rayon::prelude::*;

use self::backward::Backward;
use self::forward::Forward;
use super::pattern::{Group, Segment, Span};
use super::vector::{LANES, Task, Vector, dispatch};
use super::{Pattern, Shared};

/// Added to a mean square before its root, where queries and keys are normed.
const EPSILON: f32 = 1e-6;

/// What is computed, but for the numbers.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Who sees whom.
    pub pattern: &'a Pattern,
    /// Heads; rows of queries, keys, values and results hold so many parts of `dim` numbers.
    pub heads: usize,
    /// Numbers a head.
    pub dim: usize,
    /// Whether queries and keys are divided by their root mean square, head by head (Henry et al. 2020,
    /// <https://arxiv.org/abs/2010.04245>).
    pub is_normed: bool,
    /// Whether scores are multiplied by the logarithm of the number of keys that the query sees, so that attention over many
    /// stays as sharp as over few (scalable softmax: Nakanishi 2025, <https://arxiv.org/abs/2501.19399>).
    pub is_counted: bool,
    /// What scores are multiplied by, one a head; 1 where not given. Beside it they are divided by the root of `dim`.
    pub scales: Option<&'a [f32]>,
}

/// Where gradients go: they replace what is there.
pub struct Gradients<'a> {
    /// `[queries, heads × dim]`
    pub query: &'a mut [f32],
    /// `[keys, heads × dim]`
    pub key: &'a mut [f32],
    /// `[keys, heads × dim]`
    pub value: &'a mut [f32],
    /// `[heads]`
    pub scales: &'a mut [f32],
}

/// For each query and head the mean of the values that the query sees, weighed by the softmax of its scores; 0 where it sees
/// nothing.
///
/// # Shapes
/// `query` `[queries, heads × dim]`, `key` and `value` `[keys, heads × dim]`, `out` as `query`; `sums` is `[heads, queries]`:
/// the logarithm to base 2 of the sum of the exponentials, for [`attend_backward`].
///
/// # Panics
/// When a slice has another length.
pub fn attend(attention: &Attention<'_>, query: &[f32], key: &[f32], value: &[f32], out: &mut [f32], sums: &mut [f32]) {
    attention.check(query, key, value, out, sums);
    let (out, sums) = (Shared(out.as_mut_ptr()), Shared(sums.as_mut_ptr()));
    attention.pieces(key, value).for_each(|piece| {
        with_scratch(|scratch| dispatch(Work { piece, tiles: Forward { query, out, sums }, scratch }));
    });
}

/// The gradients of a loss by `query`, `key`, `value` and the scales, of `grad`, the one by `out`.
///
/// # Panics
/// When a slice has another length than [`attend`] says.
#[allow(clippy::too_many_arguments, reason = "what goes in, what came out, and where the results go")]
pub fn attend_backward(
    attention: &Attention<'_>,
    query: &[f32],
    key: &[f32],
    value: &[f32],
    out: &[f32],
    sums: &[f32],
    grad: &[f32],
    to: Gradients<'_>,
) {
    attention.check(query, key, value, out, sums);
    assert_eq!(grad.len(), out.len());
    assert_eq!((to.query.len(), to.key.len(), to.value.len()), (query.len(), key.len(), value.len()));
    assert_eq!(to.scales.len(), attention.heads);
    // Keys between segments are in no piece: nobody sees them.
    let width = attention.width();
    let mut at = 0;
    let seen = attention.pattern.segments.iter().map(|segment| segment.keys.start as usize..segment.keys.end as usize);
    for seen in seen.filter(|keys| !keys.is_empty()).chain(std::iter::once(attention.pattern.keys()..0)) {
        to.key[at * width..seen.start * width].fill(0.0);
        to.value[at * width..seen.start * width].fill(0.0);
        at = seen.end;
    }
    let (to_query, to_key, to_value) =
        (Shared(to.query.as_mut_ptr()), Shared(to.key.as_mut_ptr()), Shared(to.value.as_mut_ptr()));
    let parts: Vec<f64> = attention
        .pieces(key, value)
        .map(|piece| {
            let tiles = Backward { query, out, sums, grad, to_query, to_key, to_value, to_scale: 0.0 };
            with_scratch(|scratch| dispatch(Work { piece, tiles, scratch }))
        })
        .collect();
    for (head, scale) in to.scales.iter_mut().enumerate() {
        *scale = parts.iter().skip(head).step_by(attention.heads).sum::<f64>() as f32;
    }
}

impl Attention<'_> {
    fn check(&self, query: &[f32], key: &[f32], value: &[f32], out: &[f32], sums: &[f32]) {
        let (queries, keys, width) = (self.pattern.queries(), self.pattern.keys(), self.width());
        assert_eq!(query.len(), queries * width, "queries");
        assert_eq!(key.len(), keys * width, "keys");
        assert_eq!(value.len(), keys * width, "values");
        assert_eq!(out.len(), queries * width, "results");
        assert_eq!(sums.len(), queries * self.heads, "sums");
        assert!(self.scales.is_none_or(|scales| scales.len() == self.heads), "scales");
    }

    fn width(&self) -> usize {
        self.heads * self.dim
    }

    /// Every segment and head, heads of a segment one after the other.
    fn pieces<'t>(&'t self, key: &'t [f32], value: &'t [f32]) -> impl IndexedParallelIterator<Item = Piece<'t>> {
        (0..self.pattern.segments.len() * self.heads).into_par_iter().map(move |at| {
            let (segment, head) = (&self.pattern.segments[at / self.heads], at % self.heads);
            Piece { attention: self, segment, head, key, value }
        })
    }

    /// Numbers a row of a piece's copies: a multiple of the lanes.
    fn stride(&self) -> usize {
        self.dim.next_multiple_of(LANES)
    }

    /// What the score of a query is multiplied by.
    fn factor(&self, query: usize, head: usize) -> f32 {
        self.scales.map_or(1.0, |scales| scales[head]) * self.fixed_factor(query)
    }

    /// The same but for the scale of the head.
    fn fixed_factor(&self, query: usize) -> f32 {
        let root = (self.dim as f32).sqrt().recip();
        if self.is_counted { root * (self.pattern.visible()[query] as f32).max(1.0).ln() } else { root }
    }

    /// Whether the first two groups may be gone through together: both see the same throughout.
    fn is_pair(&self, groups: &[Group]) -> bool {
        let [first, second, ..] = groups else { return false };
        let ([one], [other]) = (self.pattern.spans_of(first), self.pattern.spans_of(second)) else { return false };
        let is_same = (one.start, one.end) == (other.start, other.end);
        is_same && one.queries == u16::MAX && other.queries == second.all()
    }
}

/// A segment and a head of what is computed.
#[derive(Clone, Copy)]
struct Piece<'t> {
    attention: &'t Attention<'t>,
    segment: &'t Segment,
    head: usize,
    key: &'t [f32],
    value: &'t [f32],
}

/// What is done with a piece: a beginning, tile after tile, and an end.
trait Tiles {
    type Output;

    fn begin(&self, piece: Piece<'_>, part: Part, scratch: &mut Scratch);

    /// # Safety
    /// See [`Vector`]; the scratch holds the piece's keys, normed if they are to be, and values.
    unsafe fn tile<V: Vector, const W: usize>(&mut self, piece: Piece<'_>, tile: Tile<'_, W>, scratch: &mut Scratch);

    fn end(self, piece: Piece<'_>, part: Part, scratch: &mut Scratch) -> Self::Output;
}

/// Queries that are gone through together, a lane each.
struct Tile<'t, const W: usize> {
    part: Part,
    queries: Range<usize>,
    spans: &'t [Span],
    /// Which queries see all spans, where there is more than one vector of them.
    seen: Option<[u16; W]>,
}

/// What is to be done with a piece, and memory for it.
struct Work<'t, T> {
    piece: Piece<'t>,
    tiles: T,
    scratch: &'t mut Scratch,
}

impl<T: Tiles> Task for Work<'_, T> {
    type Output = T::Output;

    #[inline(always)]
    unsafe fn run<V: Vector>(mut self) -> T::Output {
        let piece = self.piece;
        let Piece { attention, segment, head, key, value } = piece;
        let part = Part::of(attention, head);
        let length = segment.keys.len() * part.stride;
        let keys = Scratch::resize(&mut self.scratch.keys, length);
        pack(key, segment.keys.clone(), part, keys, |_, row| scale_of(row, attention.is_normed));
        let values = Scratch::resize(&mut self.scratch.values, length);
        pack(value, segment.keys.clone(), part, values, |_, _| 1.0);
        self.tiles.begin(piece, part, self.scratch);
        let mut groups = attention.pattern.groups_of(segment);
        while let [first, ..] = groups {
            let spans = attention.pattern.spans_of(first);
            let count = if !V::FEW && attention.is_pair(groups) { 2 } else { 1 };
            let queries = first.queries.start as usize..groups[count - 1].queries.end as usize;
            // SAFETY: the caller's; groups and spans were checked when the pattern was made.
            unsafe {
                if count == 2 {
                    let seen = Some([first.all(), groups[1].all()]);
                    self.tiles.tile::<V, 2>(piece, Tile { part, queries, spans, seen }, self.scratch);
                } else {
                    self.tiles.tile::<V, 1>(piece, Tile { part, queries, spans, seen: None }, self.scratch);
                }
            }
            groups = &groups[count..];
        }
        self.tiles.end(piece, part, self.scratch)
    }
}

/// The root mean square's reciprocal, where rows are normed.
#[inline(always)]
fn scale_of(row: &[f32], is_normed: bool) -> f32 {
    if !is_normed {
        return 1.0;
    }
    let squares: f32 = row.iter().map(|number| number * number).sum();
    (squares / row.len() as f32 + EPSILON).sqrt().recip()
}

/// Copies a head's part of some rows, each scaled by what `scale` says of it; what is beyond `dim` is 0.
#[inline(always)]
fn pack(from: &[f32], rows: Range<u32>, part: Part, to: &mut [f32], scale: impl Fn(usize, &[f32]) -> f32) {
    for (at, row) in rows.enumerate() {
        let own = &from[part.range(row as usize)];
        let scale = scale(row as usize, own);
        let to = &mut to[at * part.stride..(at + 1) * part.stride];
        for (to, from) in to.iter_mut().zip(own) {
            *to = from * scale;
        }
        to[own.len()..].fill(0.0);
    }
}

/// Which numbers of a row are a head's.
#[derive(Clone, Copy)]
struct Part {
    width: usize,
    start: usize,
    dim: usize,
    stride: usize,
}

impl Part {
    fn of(attention: &Attention<'_>, head: usize) -> Self {
        Self { width: attention.width(), start: head * attention.dim, dim: attention.dim, stride: attention.stride() }
    }

    fn range(self, row: usize) -> Range<usize> {
        let start = row * self.width + self.start;
        start..start + self.dim
    }
}

/// Copies a row of a piece's to where they belong.
///
/// # Safety
/// `to` has these rows, and no other thread touches the head's part of them.
#[inline(always)]
unsafe fn unpack(from: &[f32], row: usize, part: Part, to: Shared) {
    // SAFETY: the caller's.
    let to = unsafe { std::slice::from_raw_parts_mut(to.0.add(part.range(row).start), part.dim) };
    to.copy_from_slice(&from[..part.dim]);
}

/// Columns of rows, `[stride]` of vectors, to rows and back.
///
/// # Safety
/// See [`Vector`]; `rows` has `W × LANES` rows of `stride` numbers, `columns` `stride` entries.
#[inline(always)]
unsafe fn to_columns<V: Vector, const W: usize>(rows: &[f32], stride: usize, columns: *mut [V; W]) {
    unsafe {
        for w in 0..W {
            for d in (0..stride).step_by(LANES) {
                let block = V::transposed(rows.as_ptr().add(w * LANES * stride + d), stride);
                for (at, column) in block.into_iter().enumerate() {
                    (*columns.add(d + at))[w] = column;
                }
            }
        }
    }
}

/// # Safety
/// As of [`to_columns`].
#[inline(always)]
unsafe fn to_rows<V: Vector, const W: usize>(columns: *const [V; W], stride: usize, rows: &mut [f32]) {
    unsafe {
        for w in 0..W {
            for d in (0..stride).step_by(LANES) {
                let block: [V; LANES] = std::array::from_fn(|at| (*columns.add(d + at))[w]);
                V::transpose_to(&block, rows.as_mut_ptr().add(w * LANES * stride + d), stride);
            }
        }
    }
}

/// A piece's memory, kept for the thread's next one.
#[derive(Default)]
struct Scratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    to_keys: Vec<f32>,
    to_values: Vec<f32>,
    /// Rows of a tile's queries, and what belongs to them.
    rows: [Vec<f32>; 3],
    /// The same as columns: room for vectors.
    columns: [Vec<[f32; LANES]>; 3],
}

impl Scratch {
    fn resize(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
        if buffer.len() < length {
            buffer.resize(length, 0.0);
        }
        &mut buffer[..length]
    }
}

fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    thread_local! {
        static SCRATCH: std::cell::RefCell<Scratch> = std::cell::RefCell::default();
    }
    SCRATCH.with_borrow_mut(work)
}

#[cfg(test)]
mod tests;
