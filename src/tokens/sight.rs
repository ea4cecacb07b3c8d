use std::ops::Range;

use super::{Context, NO_ROW, Row};
use crate::task::AttentionKind;

/// What the tokens of a context see by one kind of attention, group by group: those of a group see the same, whether they
/// share a row or a column.
///
/// It gives what [`visible`](super::visible) does, which looks through the whole context for each token, in time by the
/// number of tokens and links.
pub(super) struct Sight {
    /// Tokens in the order of the groups.
    order: Vec<u32>,
    groups: Vec<Group>,
    /// Ranges of tokens; or of places in `order`, where groups are columns.
    ranges: Vec<Range<u32>>,
    is_by_column: bool,
}

/// Places in [`Sight`]'s lists.
struct Group {
    tokens: Range<u32>,
    sees: Range<u32>,
}

impl Sight {
    pub(super) fn of(context: &Context, kind: AttentionKind) -> Self {
        let count = context.tokens.len() as u32;
        match kind {
            AttentionKind::Full => {
                let all = 0..count;
                let groups = vec![Group { tokens: all.clone(), sees: 0..1 }];
                Self { order: all.clone().collect(), groups, ranges: std::iter::once(all).collect(), is_by_column: false }
            }
            AttentionKind::Column => Self::columns(context),
            AttentionKind::Row => Self::rows(context, |at, add| {
                let row = &context.rows[at];
                add(at as u32);
                row.parents.iter().for_each(|&parent| add(parent));
            }),
            AttentionKind::Neighbour => {
                let children = Links::of(context, |row| row.parents);
                Self::rows(context, |at, add| children.from(at).iter().for_each(|&child| add(child)))
            }
            AttentionKind::Up => Self::steps(context, |row| row.lower, |row| row.upper),
            AttentionKind::Down => Self::steps(context, |row| row.upper, |row| row.lower),
        }
    }

    fn columns(context: &Context) -> Self {
        let mut order: Vec<u32> = (0..context.tokens.len() as u32).collect();
        order.sort_by_key(|&token| context.tokens[token as usize].column);
        let column = |token: &u32| context.tokens[*token as usize].column;
        let (mut groups, mut ranges) = (Vec::new(), Vec::new());
        let mut start = 0;
        for own in order.chunk_by(|one, other| column(one) == column(other)) {
            let end = start + own.len() as u32;
            let at = ranges.len() as u32;
            ranges.push(start..end);
            groups.push(Group { tokens: start..end, sees: at..at + 1 });
            start = end;
        }
        Self { order, groups, ranges, is_by_column: true }
    }

    /// Groups are rows; `sees` says which rows each sees, those that there are not among them.
    fn rows(context: &Context, sees: impl Fn(usize, &mut dyn FnMut(u32))) -> Self {
        let (mut groups, mut ranges) = (Vec::new(), Vec::<Range<u32>>::new());
        let mut seen: Vec<u32> = Vec::new();
        for (at, row) in context.rows.iter().enumerate() {
            seen.clear();
            sees(at, &mut |other| {
                if other != NO_ROW {
                    seen.push(other);
                }
            });
            seen.sort_unstable();
            seen.dedup();
            let first = ranges.len();
            for &other in &seen {
                let tokens = context.rows[other as usize].tokens.clone();
                match ranges[first..].last_mut() {
                    _ if tokens.is_empty() => {}
                    Some(last) if last.end == tokens.start => last.end = tokens.end,
                    _ => ranges.push(tokens),
                }
            }
            groups.push(Group { tokens: row.tokens.clone(), sees: first as u32..ranges.len() as u32 });
        }
        Self { order: (0..context.tokens.len() as u32).collect(), groups, ranges, is_by_column: false }
    }

    /// One step along the hierarchy: from an edge to its far end; from a node to the edges that it is the near end of, and to
    /// their far ends.
    fn steps(context: &Context, near: impl Fn(&Row) -> u32, far: impl Fn(&Row) -> u32) -> Self {
        let edges = Links::of(context, |row| [near(row), NO_ROW]);
        Self::rows(context, |at, add| {
            if context.rows[at].is_edge() {
                add(far(&context.rows[at]));
                return;
            }
            for &edge in edges.from(at) {
                add(edge);
                add(far(&context.rows[edge as usize]));
            }
        })
    }

    /// Which tokens see something, in the order of their groups, and which are seen: for those of `asked` alone.
    pub(super) fn reach(&self, asked: &[bool]) -> Seen {
        let mut seen = Seen { is_by_column: self.is_by_column, ..Seen::default() };
        // First by place in `order`, later its number among the keys.
        let mut number = vec![u32::MAX; self.order.len()];
        for group in &self.groups {
            let own = &self.order[group.tokens.start as usize..group.tokens.end as usize];
            let first = seen.queries.len();
            if group.sees.is_empty() {
                continue;
            }
            seen.queries.extend(own.iter().copied().filter(|&token| asked[token as usize]));
            if seen.queries.len() == first {
                continue;
            }
            let ranges = &self.ranges[group.sees.start as usize..group.sees.end as usize];
            let first_range = seen.ranges.len();
            for range in ranges {
                number[range.start as usize..range.end as usize].fill(0);
                seen.ranges.push(range.clone());
            }
            seen.groups.push((seen.queries.len() - first, first_range..seen.ranges.len()));
        }
        for (place, number) in number.iter_mut().enumerate().filter(|(_, number)| **number == 0) {
            *number = seen.keys.len() as u32;
            seen.keys.push(self.order[place]);
        }
        // All of a range are keys, so their numbers are consecutive.
        for range in &mut seen.ranges {
            let start = number[range.start as usize];
            *range = start..start + range.len() as u32;
        }
        seen
    }
}

/// What some tokens of a context see.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Tokens that see something.
    pub(super) queries: Vec<u32>,
    /// Tokens that are seen.
    pub(super) keys: Vec<u32>,
    /// How many queries see the same, one group after the other, and where among `ranges` is what.
    pub(super) groups: Vec<(usize, Range<usize>)>,
    /// Of places among `keys`.
    pub(super) ranges: Vec<Range<u32>>,
    /// Whether groups are columns, which have nothing in common.
    pub(super) is_by_column: bool,
}

/// For each row, the edges that name it.
struct Links {
    first: Vec<u32>,
    edges: Vec<u32>,
}

impl Links {
    fn of(context: &Context, names: impl Fn(&Row) -> [u32; 2]) -> Self {
        let named = |row: &Row| {
            let [one, other] = names(row);
            [one, if other == one { NO_ROW } else { other }].into_iter().filter(|&name| name != NO_ROW)
        };
        let edges = || (0..).zip(&context.rows).filter(|(_, row)| row.is_edge());
        let mut first = vec![0; context.rows.len() + 1];
        for name in edges().flat_map(|(_, row)| named(row)) {
            first[name as usize + 1] += 1;
        }
        for at in 1..first.len() {
            first[at] += first[at - 1];
        }
        let mut next = first.clone();
        let mut list = vec![0; first[context.rows.len()] as usize];
        for (edge, row) in edges() {
            for name in named(row) {
                list[next[name as usize] as usize] = edge;
                next[name as usize] += 1;
            }
        }
        Self { first, edges: list }
    }

    fn from(&self, row: usize) -> &[u32] {
        &self.edges[self.first[row] as usize..self.first[row + 1] as usize]
    }
}
