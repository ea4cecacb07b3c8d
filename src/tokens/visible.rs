use std::ops::Range;

use super::{Context, NO_ROW, Row};
use crate::task::AttentionKind;

/// The tokens that `token` may see by one kind of attention, as ascending ranges that do not overlap.
///
/// This is the definition that everything else is tested against; see [`AttentionKind`] for the words.
pub fn visible(context: &Context, token: u32, kind: AttentionKind) -> Vec<Range<u32>> {
    let row_at = context.row_of[token as usize];
    let row = &context.rows[row_at as usize];
    let mut rows = Vec::new();
    match kind {
        AttentionKind::Full => return single(0..context.tokens.len() as u32),
        AttentionKind::Column => {
            let column = context.tokens[token as usize].column;
            let same = (0..).zip(&context.tokens).filter(|(_, other)| other.column == column);
            return joined(same.map(|(at, _)| at..at + 1).collect());
        }
        AttentionKind::Row => {
            rows.push(row_at);
            rows.extend(row.parents);
        }
        AttentionKind::Neighbour => rows.extend(edges_where(context, |edge| edge.parents.contains(&row_at))),
        AttentionKind::Up => {
            rows = step(context, row_at, |edge| edge.lower, |edge| edge.upper);
        }
        AttentionKind::Down => {
            rows = step(context, row_at, |edge| edge.upper, |edge| edge.lower);
        }
    }
    rows.retain(|&row| row != NO_ROW);
    joined(rows.into_iter().map(|row| context.rows[row as usize].tokens.clone()).collect())
}

/// One step along the hierarchy: from an edge to its far end; from a node to the edges that it is the near end of, and to
/// their far ends.
fn step(context: &Context, row_at: u32, near: impl Fn(&Row) -> u32, far: impl Fn(&Row) -> u32) -> Vec<u32> {
    let row = &context.rows[row_at as usize];
    if row.is_edge() {
        return vec![far(row)];
    }
    edges_where(context, |edge| near(edge) == row_at).flat_map(|edge| [edge, far(&context.rows[edge as usize])]).collect()
}

fn edges_where(context: &Context, is: impl Fn(&Row) -> bool) -> impl Iterator<Item = u32> {
    (0..).zip(&context.rows).filter(move |(_, row)| row.is_edge() && is(row)).map(|(at, _)| at)
}

fn single(range: Range<u32>) -> Vec<Range<u32>> {
    std::iter::once(range).collect()
}

fn joined(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u32>> = Vec::new();
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
