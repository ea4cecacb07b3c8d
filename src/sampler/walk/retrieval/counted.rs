//! How often nodes are met, and which are met most often.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::spare::Spare;
use crate::vectorised::vectorised;

/// Of a type of at most so many nodes, those that are met are counted by node: 4 MB a thread. Of a larger one, they are listed,
/// and the list is sorted.
const FEW_NODES: usize = 1 << 20;

/// Tables of one seed at most: as many threads share its walks.
const TABLES: usize = 8;

/// Counts that are gone through at a time.
const SOME: usize = 1 << 16;

/// Takes note of the nodes of one type as they are met.
pub(super) trait Meet {
    /// A node, and whether it is of that type: it is not foreseeable, so a branch on it would cost more than taking note.
    fn meet(&mut self, node: u32, is_one: bool);
}

/// Walks that meet nodes.
pub(super) trait Walks: Sync {
    fn go(&self, walks: Range<u32>, met: &mut impl Meet);
}

/// Counts by node; the last is of what is of another type.
#[derive(Default)]
struct Table(Vec<u32>);

impl Meet for Table {
    #[inline(always)]
    fn meet(&mut self, node: u32, is_one: bool) {
        let last = self.0.len() - 1;
        let at = if is_one { node as usize } else { last };
        self.0[at.min(last)] += 1;
    }
}

impl Meet for Vec<u32> {
    #[inline(always)]
    fn meet(&mut self, node: u32, is_one: bool) {
        self.push(node);
        self.truncate(self.len() - usize::from(!is_one));
    }
}

/// Memory for counting nodes.
#[derive(Default)]
pub(in crate::sampler) struct Counted {
    /// All counts of nodes are 0.
    tables: Spare<Table>,
}

impl Counted {
    /// Of a type's nodes but one, those that walks meet most often, each with how often: at least `rows` if there are so many, and
    /// all that are met as often as the last of them. A thread takes a part of the walks at a time.
    pub(super) fn most(
        &mut self,
        walks: &impl Walks,
        parts: &[Range<u32>],
        (nodes, but): (usize, u32),
        rows: usize,
    ) -> Vec<(u32, u32)> {
        if nodes <= FEW_NODES { self.tabled(walks, parts, (nodes, but), rows) } else { listed(walks, parts, but, rows) }
    }

    /// The same, counted in tables.
    fn tabled(&self, walks: &impl Walks, parts: &[Range<u32>], (nodes, but): (usize, u32), rows: usize) -> Vec<(u32, u32)> {
        let next = AtomicUsize::new(0);
        let counted = |_| {
            let mut own = None;
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                walks.go(part.clone(), own.get_or_insert_with(|| self.table(nodes)));
            }
            own
        };
        let threads = rayon::current_num_threads().min(TABLES);
        let tables: Vec<Table> = (0..threads).into_par_iter().with_max_len(1).filter_map(counted).collect();
        let mut tables = tables.into_iter();
        let Some(Table(mut counts)) = tables.next() else { return Vec::new() };
        for Table(mut other) in tables {
            let added = counts[..nodes].par_chunks_mut(SOME).zip(other.par_chunks_mut(SOME));
            added.for_each(|(counts, other)| add(counts, other));
            self.tables.give(Table(other));
        }
        counts[but as usize] = 0;
        let least = least(&counts[..nodes], rows);
        let most = (0..).zip(&counts[..nodes]).filter(|&(_, &count)| count >= least);
        let most = most.map(|(node, &count)| (node, count)).collect();
        counts[..nodes].fill(0);
        self.tables.give(Table(counts));
        most
    }

    /// A table for so many nodes.
    fn table(&self, nodes: usize) -> Table {
        let mut table = self.tables.take().unwrap_or_default();
        // What was met of other types is no count of a node's.
        if let Some(last) = table.0.last_mut() {
            *last = 0;
        }
        table.0.resize(table.0.len().max(nodes + 1), 0);
        table
    }
}

vectorised! {
    /// Adds counts to others, and leaves none.
    fn add(counts: &mut [u32], other: &mut [u32]) {
        for (count, other) in counts.iter_mut().zip(other) {
            *count += *other;
            *other = 0;
        }
    }
}

/// The highest count that at least `rows` of these reach, at least 1.
fn least(counts: &[u32], rows: usize) -> u32 {
    let (mut low, mut high) = (1, counts.iter().copied().max().unwrap_or_default());
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if reaching(counts, middle) >= rows { low = middle } else { high = middle - 1 }
    }
    low
}

vectorised! {
    /// How many of these are at least so high.
    fn reaching(counts: &[u32], least: u32) -> usize {
        let mut found = 0_usize;
        for counts in counts.chunks(SOME) {
            let mut some = 0_u32;
            for &count in counts {
                some += u32::from(count >= least);
            }
            found += some as usize;
        }
        found
    }
}

/// The same as [`Counted::tabled`], counted in a sorted list.
fn listed(walks: &impl Walks, parts: &[Range<u32>], but: u32, rows: usize) -> Vec<(u32, u32)> {
    let met = |part: &Range<u32>| {
        let mut met = Vec::new();
        walks.go(part.clone(), &mut met);
        met
    };
    let met: Vec<Vec<u32>> = parts.par_iter().map(met).collect();
    let mut met = met.concat();
    met.par_sort_unstable();
    let same = || met.chunk_by(|one, other| one == other).filter(|same| same[0] != but);
    let least = least(&same().map(|same| same.len() as u32).collect::<Vec<_>>(), rows);
    same().map(|same| (same[0], same.len() as u32)).filter(|&(_, count)| count >= least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walk i meets node i, those of its prime factors that are below ten, and as many nodes of another type.
    struct Factors;

    impl Walks for Factors {
        fn go(&self, walks: Range<u32>, met: &mut impl Meet) {
            for walk in walks {
                met.meet(walk, true);
                for factor in [2, 3, 5, 7] {
                    if walk.is_multiple_of(factor) {
                        met.meet(factor, true);
                        met.meet(factor, false);
                    }
                }
            }
        }
    }

    #[test]
    fn those_met_most_often_are_found_by_counting_and_by_sorting() {
        // Of 0..1000: 500 are even, 334, 200 and 143 are multiples of 3, 5 and 7; each is met once more as itself.
        let cases = [
            (999, 4, vec![(2, 501), (3, 335), (5, 201), (7, 144)]),
            (3, 3, vec![(2, 501), (5, 201), (7, 144)]),
            (2, 1, vec![(3, 335)]),
        ];
        let parts: Vec<Range<u32>> = (0..1000).step_by(64).map(|first| first..(first + 64).min(1000)).collect();
        let mut counted = Counted::default();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            // A type that has few nodes, more, and so many that they are sorted; and fewer again with the same memory.
            for nodes in [1000, 5000, FEW_NODES + 1, 1001] {
                for (but, rows, expected) in &cases {
                    let mut found = pool.install(|| counted.most(&Factors, &parts, (nodes, *but), *rows));
                    found.sort_unstable_by_key(|&(node, count)| (u32::MAX - count, node));
                    assert_eq!(&found, expected, "{nodes} nodes, {rows} but {but}");
                }
                // The fifth is any of the others, and all of them are as often met.
                let found = pool.install(|| counted.most(&Factors, &parts, (nodes, 999), 5));
                assert_eq!(found.len(), 999);
            }
        }
    }
}
