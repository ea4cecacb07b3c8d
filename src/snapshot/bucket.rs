//! A bucket of a relation's edges, sorted in the processor's cache: by near node, time, far node and attributes.

use std::cmp::Ordering;
use std::ops::Range;

use relata_schema::Direction;

use super::edges::EdgeBlock;
use super::gather::Shape;
use super::relation::Found;
use super::times::Coding;
use crate::Result;
use crate::partition::{Ends, Partition, Runs, Scratch};
use crate::vectorised::vectorised;

/// What a thread needs to sort a bucket and to pass it on.
#[derive(Default)]
pub(super) struct Desk {
    starts: Vec<u32>,
    keys: Vec<u64>,
    spare: Vec<u64>,
    placed: Vec<Vec<u32>>,
    nears: Vec<u32>,
    scratch: Scratch,
}

/// The sorted edges of some consecutive near nodes.
#[derive(Default)]
pub(super) struct Rows {
    first: u32,
    /// Of each near node.
    pub degrees: Vec<u32>,
    pub fars: Vec<u32>,
    /// Codes of times, the lower halves and the higher ones; empty where the relation has none.
    pub codes: [Vec<u32>; 2],
    /// Those of the shape's columns that are present.
    pub columns: Vec<Vec<u32>>,
}

impl Rows {
    fn edges(&self) -> usize {
        self.degrees.iter().map(|&degree| degree as usize).sum()
    }

    /// Calls `each` with every near node's part of `keys`.
    fn for_each_list(&self, keys: &mut [u64], mut each: impl FnMut(&mut [u64])) {
        let mut rest = keys;
        for &degree in &self.degrees {
            let (list, behind) = rest.split_at_mut(degree as usize);
            each(list);
            rest = behind;
        }
    }

    /// Makes room for all edges, with times of so many words and so many attributes.
    fn make_room(&mut self, time_words: usize, columns: usize) {
        let edges = self.edges();
        self.fars.resize(edges, 0);
        for (at, codes) in self.codes.iter_mut().enumerate() {
            codes.resize(if at < time_words { edges } else { 0 }, 0);
        }
        self.columns.resize_with(columns, Vec::new);
        self.columns.iter_mut().for_each(|column| column.resize(edges, 0));
    }

    /// Hands the edges to the partition of the other direction.
    pub fn pass_on(&self, other: &Partition<'_>, desk: &mut Desk) -> Result<()> {
        let Desk { nears, scratch, .. } = desk;
        if self.fars.is_empty() {
            return Ok(());
        }
        nears.clear();
        for (near, &degree) in (self.first..).zip(&self.degrees) {
            nears.resize(nears.len() + degree as usize, near);
        }
        let codes = self.codes.iter().filter(|codes| !codes.is_empty());
        let columns: Vec<&[u32]> = codes.chain(&self.columns).map(Vec::as_slice).collect();
        other.push(&self.fars, nears, &columns, scratch)
    }
}

vectorised! {
    /// Sorts a bucket's edges by near node, time, far node and attributes.
    pub(super) fn sort_bucket(
        shape: &Shape,
        found: &Found,
        direction: Direction,
        nodes: Range<u32>,
        runs: &Runs<'_>,
        rows: &mut Rows,
        desk: &mut Desk,
    ) {
        // Buckets of the outgoing direction hold what was gathered, those of the incoming one what was passed on.
        let gathered = direction == Direction::Outgoing;
        let time_words = if gathered { shape.gathered_time_words() } else { found.time_words(shape) };
        let Runs { ends, width, .. } = *runs;
        let columns: Vec<Column<'_>> = (0..shape.columns.len())
            .filter(|&place| found.present[place])
            .enumerate()
            .map(|(passed, place)| Column {
                at: time_words + if gathered { place } else { passed },
                codes: (gathered && shape.is_category[place]).then_some(found.codes[place].as_slice()),
                missing: if shape.is_category[place] { u32::MAX } else { f32::NAN.to_bits() },
                translate: gathered,
            })
            .collect();
        let uncoded = (gathered && shape.coding.is_none()).then_some(found.coding);
        let far_count = shape.counts[usize::from(gathered)];
        let far_bits = u32::BITS - far_count.leading_zeros();
        let time_bits = if shape.timed { found.coding.width } else { 0 };
        let in_runs = comes_in_runs(ends, width, runs);
        let record = Record { ends, width, time_words, uncoded, columns, far_bits, time_bits, in_runs };
        record.count(&nodes, runs, rows, &mut desk.starts);
        rows.make_room(found.time_words(shape), record.columns.len());
        let longest = rows.degrees.iter().copied().max().unwrap_or(0);
        let index_bits = u32::BITS - longest.leading_zeros();
        if record.key_bits() + 32 * record.columns.len() as u32 <= 64 {
            record.sort_whole(runs, rows, desk);
        } else if record.key_bits() + index_bits <= 64 {
            record.sort_indexed(index_bits, runs, rows, desk);
        } else {
            record.sort_by_comparing(runs, rows, &mut desk.starts);
        }
    }
}

/// Whether records of a near node mostly follow each other, by the first ones.
fn comes_in_runs(ends: Ends, width: usize, runs: &[Vec<u32>]) -> bool {
    let nears = || runs.iter().flat_map(|run| run.chunks_exact(width)).map(|record| ends.of(record).0).take(1 << 10);
    let changes = nears().zip(nears().skip(1)).filter(|(one, next)| one != next).count();
    changes * 8 < nears().count()
}

/// Where the next edge of each near node goes. Of a node whose edges follow each other, memory is not asked again.
struct Places<'s> {
    starts: &'s mut [u32],
    near: u32,
    next: u32,
}

impl<'s> Places<'s> {
    fn new(starts: &'s mut [u32]) -> Self {
        let next = starts.first().copied().unwrap_or(0);
        Self { starts, near: 0, next }
    }

    #[inline]
    fn next(&mut self, near: u32) -> usize {
        if near != self.near {
            self.starts[self.near as usize] = self.next;
            self.near = near;
            self.next = self.starts[near as usize];
        }
        self.next += 1;
        self.next as usize - 1
    }
}

/// How a bucket's records read.
struct Record<'f> {
    ends: Ends,
    width: usize,
    time_words: usize,
    /// How times become codes, where the records hold them as they are.
    uncoded: Option<Coding>,
    columns: Vec<Column<'f>>,
    /// In how many bits every far node fits.
    far_bits: u32,
    /// In how many bits every time's code fits; none where the relation has no time.
    time_bits: u32,
    /// Whether those of a near node mostly follow each other: then it is not looked up anew for each.
    in_runs: bool,
}

struct Column<'f> {
    /// Its place behind the ends.
    at: usize,
    /// A category's code in the snapshot by that of the record.
    codes: Option<&'f [u32]>,
    missing: u32,
    /// Whether the record's bits are those that came, and not yet the snapshot's.
    translate: bool,
}

impl Column<'_> {
    #[inline]
    fn bits(&self, rest: &[u32]) -> u32 {
        let bits = rest[self.at];
        if !self.translate {
            return bits;
        }
        match self.codes {
            _ if bits == EdgeBlock::MISSING => self.missing,
            Some(codes) => codes.get(bits as usize).copied().unwrap_or(self.missing),
            None => bits,
        }
    }
}

impl Record<'_> {
    /// The time's code, of what is behind the ends.
    #[inline]
    fn code(&self, rest: &[u32]) -> u64 {
        match self.time_words {
            0 => 0,
            1 => u64::from(rest[0]),
            _ => {
                let word = u64::from(rest[1]) << 32 | u64::from(rest[0]);
                self.uncoded.map_or(word, |coding| coding.code(word as i64))
            }
        }
    }

    /// Calls `visit` with every record: the near node's place, the far node, and what is behind them. The forms that occur
    /// most are known to the compiler.
    #[inline(always)]
    fn each(&self, runs: &[Vec<u32>], mut visit: impl FnMut(u32, u32, &[u32])) {
        #[inline(always)]
        fn joined<const WIDTH: usize>(far_bits: u32, runs: &[Vec<u32>], mut visit: impl FnMut(u32, u32, &[u32])) {
            let ends = Ends::Joined { far_bits };
            for record in runs.iter().flat_map(|run| run.as_chunks::<WIDTH>().0) {
                let (place, far) = ends.of(record);
                visit(place, far, &record[1..]);
            }
        }
        match (self.ends, self.width) {
            (Ends::Joined { far_bits }, 1) => joined::<1>(far_bits, runs, visit),
            (Ends::Joined { far_bits }, 2) => joined::<2>(far_bits, runs, visit),
            (Ends::Joined { far_bits }, 3) => joined::<3>(far_bits, runs, visit),
            (Ends::Joined { far_bits }, 4) => joined::<4>(far_bits, runs, visit),
            (ends, width) => {
                for record in runs.iter().flat_map(|run| run.chunks_exact(width)) {
                    let (place, far) = ends.of(record);
                    visit(place, far, &record[ends.words()..]);
                }
            }
        }
    }

    /// Counts the records of each near node, and tells where its first one goes.
    #[inline(always)]
    fn count(&self, nodes: &Range<u32>, runs: &[Vec<u32>], rows: &mut Rows, starts: &mut Vec<u32>) {
        let Rows { first, degrees, .. } = rows;
        *first = nodes.start;
        degrees.clear();
        degrees.resize(nodes.len(), 0);
        starts.clear();
        if self.in_runs {
            let (mut near, mut count) = (0, 0);
            self.each(runs, |place, _, _| {
                if place != near {
                    degrees[near as usize] += std::mem::take(&mut count);
                    near = place;
                }
                count += 1;
            });
            if count > 0 {
                degrees[near as usize] += count;
            }
        } else {
            // In two strands, so that a count of a node that occurs often waits less for the one before.
            starts.resize(nodes.len(), 0);
            let mut strands = [&mut *degrees, &mut *starts];
            self.each(runs, |place, _, _| {
                strands[0][place as usize] += 1;
                strands.swap(0, 1);
            });
            degrees.iter_mut().zip(starts.drain(..)).for_each(|(degree, more)| *degree += more);
        }
        let mut next = 0;
        for &degree in &*degrees {
            starts.push(next);
            next += degree;
        }
    }

    /// Calls `put` with every record's place among those that are ordered by near node, its far node, and what is behind;
    /// each start becomes its node's end.
    #[inline(always)]
    fn each_placed(&self, runs: &[Vec<u32>], starts: &mut [u32], mut put: impl FnMut(usize, u32, &[u32])) {
        if self.in_runs {
            let mut places = Places::new(starts);
            self.each(runs, |near, far, rest| put(places.next(near), far, rest));
        } else {
            self.each(runs, |near, far, rest| {
                let start = &mut starts[near as usize];
                put(*start as usize, far, rest);
                *start += 1;
            });
        }
    }

    /// In how many bits a time's code and a far node fit.
    fn key_bits(&self) -> u32 {
        self.time_bits + self.far_bits
    }

    /// The time's code and the far node as a number that sorts as they do.
    #[inline]
    fn key(&self, far: u32, rest: &[u32]) -> u64 {
        self.code(rest) << self.far_bits | u64::from(far)
    }

    /// Fills in times' codes and far nodes from numbers that have them above `shift` bits.
    #[inline(always)]
    fn fill_keyed(&self, keys: &[u64], shift: u32, rows: &mut Rows) {
        let far_mask = !(u64::MAX << self.far_bits);
        rows.fars.iter_mut().zip(keys).for_each(|(far, key)| *far = (key >> shift & far_mask) as u32);
        // Of a number with all 64 bits behind the far node nothing is left for a time.
        let behind = shift + self.far_bits;
        for (codes, more) in rows.codes.iter_mut().zip([0, 32]) {
            codes.iter_mut().zip(keys).for_each(|(code, key)| *code = key.unbounded_shr(behind + more) as u32);
        }
    }

    /// Fills `rows`, whose records were counted, by sorting numbers that hold a record each.
    #[inline(always)]
    fn sort_whole(&self, runs: &[Vec<u32>], rows: &mut Rows, desk: &mut Desk) {
        let Desk { starts, keys, spare, .. } = desk;
        let keys = room(keys, rows.fars.len());
        self.each_placed(runs, starts, |place, far, rest| {
            let attributes = self.columns.iter().map(|column| u64::from(column.bits(rest)));
            keys[place] = attributes.fold(self.key(far, rest), |key, bits| key << 32 | bits);
        });
        let words = 32 * self.columns.len() as u32;
        rows.for_each_list(keys, |list| sort_numbers(list, spare, 0..self.key_bits() + words));
        self.fill_keyed(keys, words, rows);
        for (at, column) in (1..).zip(&mut rows.columns) {
            column.iter_mut().zip(&*keys).for_each(|(bits, key)| *bits = (key >> (words - 32 * at)) as u32);
        }
    }

    /// The same by sorting numbers that hold a record's ends and its place in its list.
    #[inline(always)]
    fn sort_indexed(&self, index_bits: u32, runs: &[Vec<u32>], rows: &mut Rows, desk: &mut Desk) {
        let Desk { starts, keys, spare, placed, .. } = desk;
        let edges = rows.fars.len();
        let keys = room(keys, edges);
        placed.resize_with(self.columns.len(), Vec::new);
        placed.iter_mut().for_each(|column| {
            room(column, edges);
        });
        match (&mut placed[..], &self.columns[..]) {
            ([to], [column]) => self.each_placed(runs, starts, |place, far, rest| {
                keys[place] = self.key(far, rest);
                to[place] = column.bits(rest);
            }),
            (placed, columns) => self.each_placed(runs, starts, |place, far, rest| {
                keys[place] = self.key(far, rest);
                placed.iter_mut().zip(columns).for_each(|(to, column)| to[place] = column.bits(rest));
            }),
        }
        let placed = &*placed;
        let index = |key: u64| (key & !(u64::MAX << index_bits)) as usize;
        let mut begin = 0;
        for &degree in &rows.degrees {
            let range = begin..begin + degree as usize;
            begin = range.end;
            let list = &mut keys[range.clone()];
            for (at, key) in (0u64..).zip(list.iter_mut()) {
                *key = *key << index_bits | at;
            }
            sort_numbers(list, spare, index_bits..index_bits + self.key_bits());
            // Parallel edges of one time are next to each other.
            let nearest = list.windows(2).map(|pair| pair[0] ^ pair[1]).min().unwrap_or(u64::MAX);
            if nearest >> index_bits == 0 {
                for equal in list.chunk_by_mut(|a, b| a >> index_bits == b >> index_bits) {
                    equal.sort_by(|&a, &b| {
                        let of = |key: u64| placed.iter().map(move |column| column[range.start + index(key)]);
                        of(a).cmp(of(b))
                    });
                }
            }
            for (column, from) in rows.columns.iter_mut().zip(placed) {
                let from = &from[range.clone()];
                column[range.clone()].iter_mut().zip(&*list).for_each(|(bits, &key)| *bits = from[index(key)]);
            }
        }
        self.fill_keyed(keys, index_bits, rows);
    }

    /// The same for records that no whole number holds.
    fn sort_by_comparing(&self, runs: &[Vec<u32>], rows: &mut Rows, starts: &mut [u32]) {
        let edges = rows.fars.len();
        let none: &[u32] = &[];
        let mut order = vec![(0u64, 0u32, none); edges];
        for record in runs.iter().flat_map(|run| run.chunks_exact(self.width)) {
            let ((near, far), rest) = (self.ends.of(record), &record[self.ends.words()..]);
            let start = &mut starts[near as usize];
            order[*start as usize] = (self.code(rest), far, rest);
            *start += 1;
        }
        let attributes = |one: &[u32], other: &[u32]| {
            let mut different = self.columns.iter().map(|column| column.bits(one).cmp(&column.bits(other)));
            different.find(|found| found.is_ne()).unwrap_or(Ordering::Equal)
        };
        let mut rest = order.as_mut_slice();
        for &degree in &rows.degrees {
            let (list, behind) = rest.split_at_mut(degree as usize);
            list.sort_unstable_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)).then_with(|| attributes(one.2, other.2)));
            rest = behind;
        }
        rows.fars.iter_mut().zip(&order).for_each(|(far, edge)| *far = edge.1);
        for (codes, shift) in rows.codes.iter_mut().zip([0, 32]) {
            codes.iter_mut().zip(&order).for_each(|(code, edge)| *code = (edge.0 >> shift) as u32);
        }
        for (column, to) in self.columns.iter().zip(&mut rows.columns) {
            to.iter_mut().zip(&order).for_each(|(bits, edge)| *bits = column.bits(edge.2));
        }
    }
}

/// Lists that are shorter are sorted by comparing.
const RADIX_LENGTH: usize = 1 << 10;
/// Bits that one round of a radix sort looks at.
const RADIX_BITS: u32 = 11;

/// Sorts numbers by these bits; those below ascend already, and above there are none. `spare` is memory for it.
fn sort_numbers(list: &mut [u64], spare: &mut Vec<u64>, bits: Range<u32>) {
    if list.len() < RADIX_LENGTH || list.is_sorted() {
        return list.sort_unstable();
    }
    let (mut to, mut from) = (room(spare, list.len()), &mut *list);
    let rounds = (bits.end - bits.start).div_ceil(RADIX_BITS);
    let digit = |key: u64, round: u32| (key >> (bits.start + round * RADIX_BITS)) as usize & ((1 << RADIX_BITS) - 1);
    // Of 64 bits there are at most so many digits. All are counted in one pass.
    let mut counts = [[0u32; 1 << RADIX_BITS]; 64usize.div_ceil(RADIX_BITS as usize)];
    let counts = &mut counts[..rounds as usize];
    for &key in &*from {
        (0..).zip(&mut *counts).for_each(|(round, counts)| counts[digit(key, round)] += 1);
    }
    for (round, next) in (0..).zip(counts) {
        let mut sum = 0;
        for count in &mut *next {
            sum += std::mem::replace(count, sum);
        }
        for &key in &*from {
            let place = &mut next[digit(key, round)];
            to[*place as usize] = key;
            *place += 1;
        }
        std::mem::swap(&mut from, &mut to);
    }
    if rounds % 2 == 1 {
        // The last round left them in the spare memory.
        to.copy_from_slice(from);
    }
}

/// So many numbers of memory that may hold others by now.
fn room<T: Clone + Default>(memory: &mut Vec<T>, count: usize) -> &mut [T] {
    if memory.len() < count {
        memory.resize(count, T::default());
    }
    &mut memory[..count]
}
