//! Records of edges, gathered by ranges of their near node: in memory, and on the disk where there are more than the
//! memory allowed.
//!
//! A record is a run of 32-bit words: its ends, and behind them what else is known of the edge. Records go to the bucket of
//! their near node's range; each bucket is small enough to be sorted in the processor's cache, and is taken out once.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::disk::{read_at, write_at};
use crate::pack::{Malformed, Reader, put_packed};
use crate::spare::Spare;
use crate::vectorised::vectorised;
use crate::{Error, Result};

/// Records that a bucket should have: some of them fit a core's second-level cache.
const BUCKET_RECORDS: u64 = 1 << 16;
/// The most buckets, so that the chunk that each is filling is little memory.
const BUCKETS: u64 = 1 << 10;
/// About how many words a bucket takes at a time.
const CHUNK_WORDS: usize = 1 << 14;

/// Memory that partitions may use, and where they go when it is used up.
pub(crate) struct Memory {
    folder: PathBuf,
    allowed: usize,
    held: AtomicUsize,
    /// Chunks that are empty by now: the next partition fills them, as fresh pages would cost more than what is put there.
    spare: Spare<Vec<u32>>,
}

impl Memory {
    /// So many bytes; what is above goes to a file in `folder`, which ends with the partition.
    pub(crate) fn new(folder: &Path, allowed: usize) -> Self {
        Self { folder: folder.to_owned(), allowed, held: AtomicUsize::new(0), spare: Spare::default() }
    }

    /// As many bytes as there are.
    pub(crate) fn unbounded() -> Self {
        Self::new(Path::new(""), usize::MAX)
    }

    /// Takes a chunk's memory back.
    fn give_back(&self, mut chunk: Vec<u32>) {
        if chunk.capacity() == CHUNK_WORDS {
            chunk.clear();
            self.spare.give(chunk);
        }
    }

    /// An empty chunk.
    fn chunk(&self) -> Vec<u32> {
        self.spare.take().unwrap_or_else(|| Vec::with_capacity(CHUNK_WORDS))
    }
}

/// How the first words of a record hold the ends of its edge. Of the near node they have its place in the bucket's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// One word, the far node in so many low bits (fewer than 32) and the near node's place above.
    Joined { far_bits: u32 },
    /// The near node's place, then the far node.
    Apart,
}

impl Ends {
    /// How many words they take.
    pub(crate) fn words(self) -> usize {
        match self {
            Self::Joined { .. } => 1,
            Self::Apart => 2,
        }
    }

    /// The near node's place and the far node of a record.
    #[inline(always)]
    pub(crate) fn of(self, record: &[u32]) -> (u32, u32) {
        match self {
            Self::Joined { far_bits } => (record[0] >> far_bits, record[0] & !(u32::MAX << far_bits)),
            Self::Apart => (record[0], record[1]),
        }
    }
}

/// Records by ranges of near nodes.
pub(crate) struct Partition<'m> {
    memory: &'m Memory,
    ends: Ends,
    /// Words of a record.
    width: usize,
    /// A bucket has the nodes that are equal without this many low bits.
    shift: u32,
    buckets: Vec<Mutex<Bucket>>,
    spill: OnceLock<File>,
    spilled: AtomicU64,
}

#[derive(Default)]
struct Bucket {
    full: Vec<Chunk>,
    last: Vec<u32>,
}

enum Chunk {
    Held(Vec<u32>),
    /// So many records in so many bytes of the temporary file: each word's column packed.
    Spilled {
        offset: u64,
        bytes: usize,
        records: usize,
    },
}

/// Memory that a thread keeps between pieces.
#[derive(Default)]
pub(crate) struct Scratch {
    starts: Vec<usize>,
    words: Vec<u32>,
}

impl<'m> Partition<'m> {
    /// For about so many records, whose near and far nodes are below `nodes`, with so many words behind the ends.
    pub(crate) fn new(memory: &'m Memory, records: u64, nodes: [u32; 2], rest: usize) -> Self {
        let [nodes, fars] = nodes;
        let wanted = (records / BUCKET_RECORDS).clamp(1, BUCKETS);
        let mut shift = 0;
        while u64::from(nodes.saturating_sub(1) >> shift) + 1 > wanted {
            shift += 1;
        }
        let buckets = (nodes.saturating_sub(1) >> shift) as usize + 1;
        let far_bits = u32::BITS - fars.saturating_sub(1).leading_zeros();
        let ends = if far_bits < u32::BITS && shift + far_bits <= u32::BITS { Ends::Joined { far_bits } } else { Ends::Apart };
        Self {
            memory,
            ends,
            width: ends.words() + rest,
            shift,
            buckets: (0..buckets).map(|_| Mutex::default()).collect(),
            spill: OnceLock::new(),
            spilled: AtomicU64::new(0),
        }
    }

    pub(crate) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// The nodes of a bucket; of the last one, some may not exist.
    pub(crate) fn nodes(&self, bucket: usize) -> std::ops::Range<u32> {
        // 2^32 nodes in one bucket do not occur: nodes are fewer.
        let first = (bucket as u64) << self.shift;
        first as u32..((first + (1u64 << self.shift)).min(u64::from(u32::MAX))) as u32
    }

    /// Adds records: their near and far nodes, and the other words as columns.
    pub(crate) fn push(&self, nears: &[u32], fars: &[u32], columns: &[&[u32]], scratch: &mut Scratch) -> Result<()> {
        deal(self, nears, fars, columns, scratch);
        let Scratch { starts, words } = scratch;
        // Threads begin far from each other, so that none waits for another.
        let (thread, threads) = (rayon::current_thread_index().unwrap_or(0), rayon::current_num_threads());
        let first = self.buckets.len() * thread / threads;
        for bucket in (first..self.buckets.len()).chain(0..first) {
            let begin = if bucket == 0 { 0 } else { starts[bucket - 1] };
            let words = &words[begin * self.width..starts[bucket] * self.width];
            if !words.is_empty() {
                self.append(&mut self.buckets[bucket].lock().unwrap_or_else(PoisonError::into_inner), words)?;
            }
        }
        Ok(())
    }

    /// Puts records into the order of their buckets; each start becomes its bucket's end.
    #[inline(always)]
    fn deal(&self, nears: &[u32], fars: &[u32], columns: &[&[u32]], scratch: &mut Scratch) {
        debug_assert_eq!(columns.len() + self.ends.words(), self.width);
        let Scratch { starts, words } = scratch;
        starts.clear();
        starts.resize(self.buckets.len() + 1, 0);
        let bucket_of = |near: u32| (near >> self.shift) as usize;
        // Where neighbours mostly have a bucket in common, it is counted, and filled, without going back to memory.
        let changes = nears.windows(2).filter(|pair| bucket_of(pair[0]) != bucket_of(pair[1])).count();
        let in_runs = changes * 8 < nears.len();
        if in_runs {
            for run in nears.chunk_by(|&one, &next| bucket_of(one) == bucket_of(next)) {
                starts[bucket_of(run[0]) + 1] += run.len();
            }
        } else {
            nears.iter().for_each(|&near| starts[bucket_of(near) + 1] += 1);
        }
        for bucket in 1..starts.len() {
            starts[bucket] += starts[bucket - 1];
        }
        words.resize(nears.len() * self.width, 0);
        self.place(nears, fars, columns, in_runs, starts, words);
    }

    /// Puts each record behind those of its bucket. The forms that occur most are known to the compiler.
    #[inline(always)]
    fn place(&self, nears: &[u32], fars: &[u32], columns: &[&[u32]], in_runs: bool, starts: &mut [usize], words: &mut [u32]) {
        let shift = self.shift;
        let fars = &fars[..nears.len()];
        /// Of records of `WIDTH` words, of which `REST` come from columns.
        #[inline(always)]
        fn of_width<const REST: usize, const WIDTH: usize>(
            nears: &[u32],
            ends: impl Fn(usize) -> u32,
            columns: [&[u32]; REST],
            shift: u32,
            in_runs: bool,
            starts: &mut [usize],
            words: &mut [u32],
        ) {
            let columns = columns.map(|column| &column[..nears.len()]);
            let records = words.as_chunks_mut::<WIDTH>().0;
            let record = |at: usize| {
                let mut record = [ends(at); WIDTH];
                record[1..].iter_mut().zip(columns).for_each(|(word, column)| *word = column[at]);
                record
            };
            if !in_runs {
                for (at, &near) in nears.iter().enumerate() {
                    let start = &mut starts[(near >> shift) as usize];
                    records[*start] = record(at);
                    *start += 1;
                }
                return;
            }
            let mut at = 0;
            for run in nears.chunk_by(|&one, &next| one >> shift == next >> shift) {
                let start = &mut starts[(run[0] >> shift) as usize];
                let end = *start + run.len();
                records[*start..end].iter_mut().zip(at..).for_each(|(to, at)| *to = record(at));
                at += run.len();
                *start = end;
            }
        }
        let place_of = |near: u32| near & !u32::MAX.unbounded_shl(shift);
        if let Ends::Joined { far_bits } = self.ends {
            let ends = |at: usize| place_of(nears[at]) << far_bits | fars[at];
            match *columns {
                [] => return of_width::<0, 1>(nears, ends, [], shift, in_runs, starts, words),
                [a] => return of_width::<1, 2>(nears, ends, [a], shift, in_runs, starts, words),
                [a, b] => return of_width::<2, 3>(nears, ends, [a, b], shift, in_runs, starts, words),
                [a, b, c] => return of_width::<3, 4>(nears, ends, [a, b, c], shift, in_runs, starts, words),
                _ => {}
            }
        }
        for (at, (&near, &far)) in nears.iter().zip(fars).enumerate() {
            let start = &mut starts[(near >> shift) as usize];
            let (first, rest) = words[*start * self.width..][..self.width].split_at_mut(self.ends.words());
            match self.ends {
                Ends::Joined { far_bits } => first[0] = place_of(near) << far_bits | far,
                Ends::Apart => first.copy_from_slice(&[place_of(near), far]),
            }
            rest.iter_mut().zip(columns).for_each(|(word, column)| *word = column[at]);
            *start += 1;
        }
    }

    fn append(&self, bucket: &mut Bucket, mut words: &[u32]) -> Result<()> {
        let most = CHUNK_WORDS / self.width * self.width;
        while !words.is_empty() {
            if bucket.last.capacity() == 0 {
                bucket.last = self.memory.chunk();
            }
            let (now, later) = words.split_at(words.len().min(most - bucket.last.len()));
            bucket.last.extend_from_slice(now);
            words = later;
            if bucket.last.len() == most {
                let full = std::mem::take(&mut bucket.last);
                bucket.full.push(self.keep(full)?);
            }
        }
        Ok(())
    }

    /// Keeps a full chunk in memory if that is allowed.
    fn keep(&self, words: Vec<u32>) -> Result<Chunk> {
        let bytes = words.len() * 4;
        if self.memory.held.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.memory.allowed {
            return Ok(Chunk::Held(words));
        }
        self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
        let packed = self.packed(&words);
        let offset = self.spilled.fetch_add(packed.len() as u64, Ordering::Relaxed);
        write_at(self.spill()?, &packed, offset).map_err(self.failed())?;
        let records = words.len() / self.width;
        self.memory.give_back(words);
        Ok(Chunk::Spilled { offset, bytes: packed.len(), records })
    }

    /// Records as packed columns: near nodes are of one range, and counts and codes are small.
    fn packed(&self, words: &[u32]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(words.len() * 4);
        let mut column = Vec::with_capacity(words.len() / self.width);
        for at in 0..self.width {
            column.clear();
            column.extend(words.iter().skip(at).step_by(self.width).map(|&word| u64::from(word)));
            put_packed(&mut packed, &column);
        }
        packed
    }

    fn unpacked(&self, packed: &[u8], records: usize) -> Result<Vec<u32>> {
        let mut words = self.memory.chunk();
        words.resize(records * self.width, 0);
        let mut reader = Reader::new(packed);
        let mut column = Vec::with_capacity(records);
        for at in 0..self.width {
            column.clear();
            reader.packed(records, &mut column).map_err(|Malformed(found)| Error::Damaged {
                path: self.memory.folder.clone(),
                record: "the temporary file in which edges are sorted".to_owned(),
                found: found.to_owned(),
                remedy: "Check the disk and run the command again".to_owned(),
            })?;
            for (record, &word) in words.chunks_exact_mut(self.width).zip(&column) {
                record[at] = word as u32;
            }
        }
        Ok(words)
    }

    fn spill(&self) -> Result<&File> {
        if let Some(file) = self.spill.get() {
            return Ok(file);
        }
        let file = tempfile::tempfile_in(&self.memory.folder).map_err(self.failed())?;
        Ok(self.spill.get_or_init(|| file))
    }

    fn failed(&self) -> impl FnOnce(std::io::Error) -> Error + use<> {
        Error::io(&self.memory.folder, "cannot sort edges in a temporary file")
    }

    /// The records of a bucket; it is empty afterwards.
    pub(crate) fn take(&self, bucket: usize) -> Result<Runs<'m>> {
        let Bucket { full, last } = std::mem::take(&mut *self.buckets[bucket].lock().unwrap_or_else(PoisonError::into_inner));
        let Self { memory, ends, width, .. } = *self;
        let mut runs = Runs { ends, width, memory, runs: Vec::with_capacity(full.len() + 1) };
        for chunk in full {
            runs.runs.push(match chunk {
                Chunk::Held(words) => {
                    self.memory.held.fetch_sub(words.len() * 4, Ordering::Relaxed);
                    words
                }
                Chunk::Spilled { offset, bytes, records } => {
                    let mut packed = vec![0; bytes];
                    read_at(self.spill()?, &mut packed, offset).map_err(self.failed())?;
                    self.unpacked(&packed, records)?
                }
            });
        }
        runs.runs.push(last);
        Ok(runs)
    }
}

vectorised! {
    /// See [`Partition::deal`].
    fn deal(partition: &Partition<'_>, nears: &[u32], fars: &[u32], columns: &[&[u32]], scratch: &mut Scratch) {
        partition.deal(nears, fars, columns, scratch);
    }
}

/// The records of a bucket, in runs of whole ones. Their memory serves again when they are dropped.
pub(crate) struct Runs<'m> {
    /// How a record holds its ends.
    pub ends: Ends,
    /// Words of a record.
    pub width: usize,
    memory: &'m Memory,
    runs: Vec<Vec<u32>>,
}

impl Deref for Runs<'_> {
    type Target = [Vec<u32>];

    fn deref(&self) -> &[Vec<u32>] {
        &self.runs
    }
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.runs.drain(..).for_each(|run| self.memory.give_back(run));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_record_comes_back_from_the_bucket_of_its_node_in_memory_and_from_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        // Far nodes that fit a word beside the near node's place, and such that do not.
        for (allowed, fars, rest) in [usize::MAX, 100_000, 0].into_iter().flat_map(|allowed| {
            [1 << 20, u32::MAX].into_iter().flat_map(move |fars| [0usize, 1, 3, 5].map(|rest| (allowed, fars, rest)))
        }) {
            let memory = Memory::new(folder.path(), allowed);
            let partition = Partition::new(&memory, 300_000, [1000, fars], rest);
            assert_eq!(partition.ends == Ends::Apart, fars == u32::MAX);
            let mut plain: BTreeMap<u32, Vec<Vec<u32>>> = BTreeMap::new();
            let mut scratch = Scratch::default();
            for piece in 0..30u32 {
                let nears: Vec<u32> = (0..10_000u32).map(|at| (at * 7 + piece * 13) % 1000).collect();
                let ends: Vec<u32> = (0..10_000u32).map(|at| fars - 1 - at * 17 % 5000).collect();
                let columns: Vec<Vec<u32>> =
                    (1..=rest as u32).map(|column| nears.iter().map(|near| near * column + piece).collect()).collect();
                let slices: Vec<&[u32]> = columns.iter().map(Vec::as_slice).collect();
                partition.push(&nears, &ends, &slices, &mut scratch).unwrap();
                for (at, &near) in nears.iter().enumerate() {
                    let record = [ends[at]].into_iter().chain(columns.iter().map(|column| column[at])).collect();
                    plain.entry(near).or_default().push(record);
                }
            }
            assert!(partition.buckets() > 1 && partition.buckets() <= 10);
            assert_eq!(partition.spill.get().is_some(), allowed < usize::MAX);
            for bucket in 0..partition.buckets() {
                let nodes = partition.nodes(bucket);
                let mut found: BTreeMap<u32, Vec<Vec<u32>>> = BTreeMap::new();
                for record in partition.take(bucket).unwrap().iter().flat_map(|run| run.chunks(partition.width)) {
                    let (place, far) = partition.ends.of(record);
                    let rest = record[partition.ends.words()..].iter().copied();
                    found.entry(nodes.start + place).or_default().push([far].into_iter().chain(rest).collect());
                }
                let mut expected: BTreeMap<u32, _> = plain.range(nodes).map(|(near, records)| (*near, records.clone())).collect();
                found.values_mut().chain(expected.values_mut()).for_each(|records| records.sort());
                assert_eq!(found, expected);
            }
            assert_eq!(memory.held.load(Ordering::Relaxed), 0);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file is left");
    }
}
