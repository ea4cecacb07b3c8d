//! Which keys each query sees, as ranges.

use std::ops::Range;

use super::vector::LANES;

/// Some consecutive keys that the same queries of a group see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Bit *i*: the group's query *i* sees them.
    pub(super) queries: u16,
}

/// At most [`LANES`] consecutive queries, and what they see; spans are ascending and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) queries: Range<u32>,
    pub(super) spans: Range<u32>,
}

impl Group {
    /// The bits of all its queries.
    pub(super) fn all(&self) -> u16 {
        (((1_u32 << self.queries.len()) - 1) & 0xffff) as u16
    }
}

/// Groups of which no key is seen by others: what is computed by itself. Segments' keys are ascending and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) groups: Range<u32>,
    pub(super) keys: Range<u32>,
}

/// Which of some numbered keys each of some numbered queries sees: for each group of queries a short list of ranges of keys.
/// It takes memory by the number of ranges, not of pairs.
///
/// ```
/// use relata::kernels::PatternBuilder;
///
/// let mut pattern = PatternBuilder::default();
/// pattern.push(&[0..3, 8..9]);
/// pattern.push(&[0..3]);
/// let pattern = pattern.finish(9);
/// assert_eq!(pattern.visible(), [4, 3]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    keys: u32,
    /// How many keys each query sees.
    visible: Vec<u32>,
    pub(super) groups: Vec<Group>,
    pub(super) spans: Vec<Span>,
    pub(super) segments: Vec<Segment>,
}

impl Pattern {
    /// Queries of a group, at most.
    pub const GROUP: usize = LANES;

    /// How many queries there are.
    pub fn queries(&self) -> usize {
        self.visible.len()
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.keys as usize
    }

    /// For each query, how many keys it sees.
    pub fn visible(&self) -> &[u32] {
        &self.visible
    }

    /// What a group's queries see.
    pub(super) fn spans_of(&self, group: &Group) -> &[Span] {
        &self.spans[group.spans.start as usize..group.spans.end as usize]
    }

    /// A segment's groups.
    pub(super) fn groups_of(&self, segment: &Segment) -> &[Group] {
        &self.groups[segment.groups.start as usize..segment.groups.end as usize]
    }

    /// For each query the keys that it sees, ascending: as a plain program would have them.
    pub fn lists(&self) -> Vec<Vec<u32>> {
        let mut lists = vec![Vec::new(); self.queries()];
        for group in &self.groups {
            for span in self.spans_of(group) {
                for (at, query) in group.queries.clone().enumerate() {
                    if span.queries >> at & 1 == 1 {
                        lists[query as usize].extend(span.start..span.end);
                    }
                }
            }
        }
        lists
    }

    /// Pairs of a query and a key that it sees, and pairs that are computed for them: a group's queries take part in all
    /// that any of them sees.
    pub fn pairs(&self) -> (u64, u64) {
        let seen = self.visible.iter().map(|&count| u64::from(count)).sum();
        let computed = self
            .groups
            .iter()
            .flat_map(|group| self.spans_of(group))
            .map(|span| u64::from(span.end - span.start) * LANES as u64)
            .sum();
        (seen, computed)
    }
}

/// Makes a [`Pattern`], query by query.
#[derive(Clone, Debug, Default)]
pub struct PatternBuilder {
    pattern: Pattern,
    /// Of the group that is being filled: where ranges begin and end, and the queries that they begin or end for.
    bounds: Vec<(u32, u16)>,
    open: u32,
}

/// Pairs of a group and a key from which on a segment is worth a task of its own.
const WORTHWHILE: u64 = 2048;

impl PatternBuilder {
    /// Adds a query that sees these keys. Ranges may touch and come in any order, but not overlap.
    pub fn push(&mut self, ranges: &[Range<u32>]) {
        self.push_alike(1, ranges);
    }

    /// Adds queries that all see these keys.
    pub fn push_alike(&mut self, queries: usize, ranges: &[Range<u32>]) {
        let visible: u32 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        let mut left = queries as u32;
        while left > 0 {
            if self.open as usize == LANES {
                self.close();
            }
            let now = left.min(LANES as u32 - self.open);
            let bits = ((((1_u32 << now) - 1) << self.open) & 0xffff) as u16;
            for range in ranges.iter().filter(|range| range.start < range.end) {
                self.bounds.extend([(range.start, bits), (range.end, bits)]);
            }
            self.pattern.visible.extend((0..now).map(|_| visible));
            self.open += now;
            left -= now;
        }
    }

    /// Ends a group: what follows has little in common with what was before.
    pub fn close(&mut self) {
        if self.open == 0 {
            return;
        }
        let spans = &mut self.pattern.spans;
        let first = spans.len();
        self.bounds.sort_unstable_by_key(|(at, _)| *at);
        // A query's ranges do not overlap: each bound is where it begins to see or ends.
        let (mut seeing, mut since) = (0_u16, 0);
        for bounds in self.bounds.chunk_by(|one, other| one.0 == other.0) {
            let after = bounds.iter().fold(seeing, |seeing, (_, bits)| seeing ^ bits);
            if after != seeing {
                if seeing != 0 {
                    spans.push(Span { start: since, end: bounds[0].0, queries: seeing });
                }
                (seeing, since) = (after, bounds[0].0);
            }
        }
        let spans = first as u32..spans.len() as u32;
        let end = self.pattern.visible.len() as u32;
        self.pattern.groups.push(Group { queries: end - self.open..end, spans });
        self.bounds.clear();
        self.open = 0;
    }

    /// The pattern; `keys` is how many there are.
    ///
    /// # Panics
    /// When a query was said to see a key that there is not.
    pub fn finish(mut self, keys: usize) -> Pattern {
        self.close();
        let mut pattern = self.pattern;
        pattern.keys = u32::try_from(keys).expect("contexts have fewer than 2^32 tokens");
        assert!(pattern.spans.iter().all(|span| span.end <= pattern.keys), "a query sees a key beyond {keys}");
        pattern.segments = segments(&pattern);
        pattern
    }
}

/// Cuts the groups where no key is seen from both sides, and small pieces not at all.
fn segments(pattern: &Pattern) -> Vec<Segment> {
    let first_key = |group: &Group| pattern.spans_of(group).first().map_or(pattern.keys, |span| span.start);
    let last_key = |group: &Group| pattern.spans_of(group).iter().map(|span| span.end).max().unwrap_or(0);
    // The first key that any later group sees.
    let mut later = vec![pattern.keys; pattern.groups.len() + 1];
    for (at, group) in pattern.groups.iter().enumerate().rev() {
        later[at] = later[at + 1].min(first_key(group));
    }
    let mut segments: Vec<Segment> = Vec::new();
    let (mut start, mut first, mut last, mut work) = (0, pattern.keys, 0, 0);
    for (at, group) in pattern.groups.iter().enumerate() {
        first = first.min(first_key(group));
        last = last.max(last_key(group));
        work += pattern.spans_of(group).iter().map(|span| u64::from(span.end - span.start)).sum::<u64>();
        let is_last = at + 1 == pattern.groups.len();
        if is_last || (last <= later[at + 1] && work >= WORTHWHILE) {
            segments.push(Segment { groups: start..at as u32 + 1, keys: first.min(last)..last });
            (start, first, last, work) = (at as u32 + 1, pattern.keys, 0, 0);
        }
    }
    segments
}
