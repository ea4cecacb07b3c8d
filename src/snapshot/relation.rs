//! How a relation's edges become sections: compressed sparse rows of both directions.
//!
//! The edges come in any order. They are gathered by ranges of their source ([`Partition`]); each range is sorted in the
//! processor's cache, written, and at the same time gathered by ranges of the target, which are sorted and written then.
//! So every edge is moved a few times, in order, whatever the size of the relation, and memory is what is allowed.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Atomic};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use relata_schema::{AttributeKind, Direction, RelationId, Schema};

use super::edges::{EdgeBlock, EdgeData, EdgeStream};
use super::format::{Part, SectionKey};
use super::times::{self, Coding, Packer};
use super::writer::{Section, SnapshotWriter};
use crate::partition::{Memory, Partition, Scratch};
use crate::spare::Spare;
use crate::vectorised::vectorised;
use crate::{Error, Result};

/// What a relation is, for its writing.
struct Shape {
    id: RelationId,
    title: String,
    /// Nodes at the source and the target.
    counts: [u32; 2],
    symmetric: bool,
    timed: bool,
    /// How times become codes, where that is known before they are read.
    coding: Option<Coding>,
    /// Places of the attributes that have a column: all but the time.
    columns: Vec<usize>,
    /// Whether each of `columns` is a category.
    is_category: Vec<bool>,
}

/// What the edges turned out to hold, once all were read.
struct Found {
    edges: u64,
    coding: Coding,
    /// Whether each of the shape's columns has a value.
    present: Vec<bool>,
    /// For each of the shape's columns, a category's code in the snapshot by the one that came.
    codes: Vec<Vec<u32>>,
}

/// The same while they are being read.
struct Survey {
    edges: AtomicU64,
    times: Mutex<(i64, i64)>,
    present: Vec<AtomicBool>,
    /// For each of the shape's columns, which codes occur.
    used: Vec<Vec<AtomicBool>>,
}

/// Edges of buckets that are sorted before any of them is appended.
const EDGES_AT_ONCE: u64 = 1 << 20;

impl SnapshotWriter {
    /// A relation's edges. One that is never given has none.
    ///
    /// # Errors
    /// When the columns differ in length, an end is no node of its type, or it cannot be written.
    pub fn relation(&mut self, id: RelationId, data: &EdgeData) -> Result<()> {
        let edges = data.sources.len();
        let odd = |length: usize| length != 0 && length != edges;
        if data.targets.len() != edges || odd(data.times.len()) || data.attributes.iter().any(|column| odd(column.len())) {
            return Err(Error::Setting {
                setting: format!("edges of {}", self.schema.relation_title(id)),
                found: "columns of different lengths".to_owned(),
                expected: format!("{edges} of each"),
            });
        }
        let memory = self.memory();
        let gathered = Gathered::of(&self.schema, &self.counts, &memory, id, data, data.categories.clone())?;
        self.gathered(gathered)
    }

    /// Writes the edges that were gathered.
    pub(crate) fn gathered(&mut self, gathered: Gathered<'_>) -> Result<()> {
        let Gathered { shape, memory, outgoing, survey, names } = gathered;
        let edges = survey.edges.into_inner();
        if edges == 0 {
            return Ok(());
        }
        let (first, last) = survey.times.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut found = Found {
            edges,
            coding: shape.coding.unwrap_or_else(|| Coding::of(first, last)),
            present: survey.present.into_iter().map(AtomicBool::into_inner).collect(),
            codes: Vec::new(),
        };
        for (((&at, used), names), &is_category) in shape.columns.iter().zip(survey.used).zip(&names).zip(&shape.is_category) {
            let (names, codes) = sorted_names(names, &used);
            if is_category && !names.is_empty() {
                let key = |part| SectionKey::attribute(part, shape.id.0, at as u16);
                self.texts(key(Part::EdgeNameOffsets), key(Part::EdgeNameBytes), names.iter().copied())?;
            }
            found.codes.push(codes);
        }
        let passed_on = 2 + found.time_words(&shape) + found.present.iter().filter(|&&present| present).count();
        let incoming = (!shape.symmetric).then(|| Partition::new(memory, found.edges, shape.counts[1], passed_on));
        self.direction(&shape, &found, Direction::Outgoing, &outgoing, incoming.as_ref())?;
        drop(outgoing);
        match &incoming {
            Some(incoming) => self.direction(&shape, &found, Direction::Incoming, incoming, None),
            None => Ok(()),
        }
    }

    /// Sorts and writes one direction's buckets, in order; at the same time passes their edges on to the other direction.
    fn direction(
        &mut self,
        shape: &Shape,
        found: &Found,
        direction: Direction,
        from: &Partition<'_>,
        pass_on: Option<&Partition<'_>>,
    ) -> Result<()> {
        let near_count = shape.counts[usize::from(direction == Direction::Incoming)];
        let mut sections = self.sections(shape, found, direction, near_count)?;
        // Enough for every thread to have one while another ends, and where buckets are large no more than that.
        let threads = rayon::current_num_threads();
        let average = (found.edges / from.buckets() as u64).max(1);
        let at_once = ((EDGES_AT_ONCE / average) as usize).max(threads);
        let writer = &*self;
        let pool = Pool::default();
        let mut ready: Vec<Rows> = Vec::new();
        for first in (0..from.buckets()).step_by(at_once) {
            let group = first..from.buckets().min(first + at_once);
            let (written, sorted) = rayon::join(
                || -> Result<()> {
                    writer.append(&mut sections, &ready)?;
                    ready.drain(..).for_each(|rows| pool.rows.give(rows));
                    Ok(())
                },
                || {
                    let sort = |bucket: usize| {
                        let nodes = from.nodes(bucket);
                        let nodes = nodes.start..nodes.end.min(near_count);
                        let (mut rows, mut desk) = (pool.rows.take().unwrap_or_default(), pool.desks.take().unwrap_or_default());
                        sort_bucket(shape, found, direction, nodes, &from.take(bucket)?, &mut rows, &mut desk);
                        if let Some(other) = pass_on {
                            rows.pass_on(other, &mut desk)?;
                        }
                        pool.desks.give(desk);
                        Ok(rows)
                    };
                    group.into_par_iter().with_max_len(1).map(sort).collect::<Result<Vec<_>>>()
                },
            );
            written?;
            ready = sorted?;
        }
        writer.append(&mut sections, &ready)?;
        if let (Some(times), Some(packer)) = (&mut sections.times, sections.packer.take()) {
            let mut last = Vec::new();
            packer.finish(&mut last);
            self.put(times, &last)?;
        }
        let Sections { offsets, targets, times, columns, .. } = sections;
        [Some(offsets), Some(targets), times].into_iter().flatten().chain(columns).for_each(|section| self.end(section));
        Ok(())
    }

    /// Places of a direction's sections in the file.
    fn sections(&mut self, shape: &Shape, found: &Found, direction: Direction, near_count: u32) -> Result<Sections> {
        let key = |part| SectionKey::of(part, shape.id.0).toward(direction);
        let mut offsets = self.begin(key(Part::EdgeOffsets), (u64::from(near_count) + 1) * 8);
        self.put(&mut offsets, bytemuck::bytes_of(&0u64))?;
        let targets = self.begin(key(Part::EdgeTargets), found.edges * 4);
        let words = times::words_of(found.edges as usize, found.coding.width) as u64;
        let mut times = shape.timed.then(|| self.begin(key(Part::EdgeTimesPacked), times::HEAD as u64 + 8 * words));
        if let Some(times) = &mut times {
            self.put(times, bytemuck::cast_slice(&found.coding.head()))?;
        }
        let present = shape.columns.iter().zip(&found.present).filter(|&(_, &present)| present);
        let columns = present
            .map(|(&at, _)| {
                let key = SectionKey::attribute(Part::EdgeValues, shape.id.0, at as u16).toward(direction);
                self.begin(key, found.edges * 4)
            })
            .collect();
        let packer = shape.timed.then(|| Packer::new(found.coding.width));
        Ok(Sections { offsets, targets, times, columns, packer, edges: 0, ends: Vec::new(), packed: Vec::new() })
    }

    /// Appends what was sorted, in its order.
    fn append(&self, sections: &mut Sections, sorted: &[Rows]) -> Result<()> {
        let Sections { offsets, targets, times, columns, packer, edges, ends, packed } = sections;
        ends.clear();
        for &degree in sorted.iter().flat_map(|rows| &rows.degrees) {
            *edges += u64::from(degree);
            ends.push(*edges);
        }
        self.put(offsets, bytemuck::cast_slice(ends))?;
        let of_each = |column: &dyn Fn(&Rows) -> &[u32]| -> Vec<&[u8]> {
            sorted.iter().map(|rows| bytemuck::cast_slice(column(rows))).collect()
        };
        self.put_all(targets, &of_each(&|rows| &rows.fars))?;
        if let (Some(times), Some(packer)) = (times, packer) {
            packed.clear();
            sorted.iter().for_each(|rows| packer.pack(rows.codes.each_ref().map(Vec::as_slice), packed));
            self.put(times, packed)?;
        }
        for (at, section) in columns.iter_mut().enumerate() {
            self.put_all(section, &of_each(&|rows| &rows.columns[at]))?;
        }
        Ok(())
    }
}

/// A direction's sections while they are written.
struct Sections {
    offsets: Section,
    targets: Section,
    times: Option<Section>,
    columns: Vec<Section>,
    packer: Option<Packer>,
    /// How many edges were appended.
    edges: u64,
    /// Memory for what is appended: where each list ends, and times.
    ends: Vec<u64>,
    packed: Vec<u8>,
}

/// What a thread keeps while it gathers pieces.
#[derive(Default)]
struct Gathering {
    block: EdgeBlock,
    low: Vec<u32>,
    high: Vec<u32>,
    missing: Vec<u32>,
    scratch: Scratch,
}

/// A relation's edges by ranges of their sources, from where they came in any order.
pub(crate) struct Gathered<'m> {
    shape: Shape,
    memory: &'m Memory,
    outgoing: Partition<'m>,
    survey: Survey,
    /// For each of the shape's columns, the names of its codes.
    names: Vec<Vec<String>>,
}

impl<'m> Gathered<'m> {
    /// Reads a stream; `counts` has the nodes of each type, and `categories` for each attribute the names of its codes.
    ///
    /// # Errors
    /// When an end is no node of its type, or the stream or a temporary file cannot be read or written.
    pub(crate) fn of(
        schema: &Schema,
        counts: &[u32],
        memory: &'m Memory,
        id: RelationId,
        stream: &dyn EdgeStream,
        mut categories: Vec<Vec<String>>,
    ) -> Result<Self> {
        let relation = schema.edge(id);
        let columns: Vec<usize> =
            (0..relation.attributes.len()).filter(|&at| relation.attributes[at].kind != AttributeKind::Time).collect();
        let shape = Shape {
            id,
            title: schema.relation_title(id),
            counts: [relation.source, relation.target].map(|end| counts[end.index()]),
            symmetric: relation.symmetric,
            timed: columns.len() < relation.attributes.len(),
            coding: stream.times().map(|(first, last)| Coding::of(first, last)),
            is_category: columns.iter().map(|&at| relation.attributes[at].kind == AttributeKind::Category).collect(),
            columns,
        };
        let expected = stream.edges() * if shape.symmetric { 2 } else { 1 };
        let width = 2 + shape.gathered_time_words() + shape.columns.len();
        let outgoing = Partition::new(memory, expected, shape.counts[0], width);
        categories.resize(relation.attributes.len().max(categories.len()), Vec::new());
        let names: Vec<Vec<String>> = shape.columns.iter().map(|&at| std::mem::take(&mut categories[at])).collect();
        let survey = Survey {
            edges: AtomicU64::new(0),
            times: Mutex::new((i64::MAX, i64::MIN)),
            present: shape.columns.iter().map(|_| AtomicBool::new(false)).collect(),
            used: names.iter().map(|names| names.iter().map(|_| AtomicBool::new(false)).collect()).collect(),
        };
        (0..stream.pieces()).into_par_iter().try_for_each_init(Gathering::default, |gathering, piece| {
            gathering.block.clear();
            stream.read(piece, &mut gathering.block)?;
            gather(&shape, gathering, &outgoing, &survey)
        })?;
        Ok(Self { shape, memory, outgoing, survey, names })
    }
}

vectorised! {
    /// See [`Shape::gather`].
    fn gather(shape: &Shape, gathering: &mut Gathering, partition: &Partition<'_>, survey: &Survey) -> Result<()> {
        shape.gather(gathering, partition, survey)
    }
}

impl Shape {
    /// Sees that a piece's edges are such, notes what they hold, and puts them into the partition.
    #[inline(always)]
    fn gather(&self, gathering: &mut Gathering, partition: &Partition<'_>, survey: &Survey) -> Result<()> {
        let Gathering { block, low, high, missing, scratch } = gathering;
        let edges = block.sources.len();
        self.expect_ends(&block.sources, 0)?;
        self.expect_ends(&block.targets, 1)?;
        missing.resize(edges, EdgeBlock::MISSING);
        if self.timed {
            block.times.resize(edges, i64::MIN);
            match self.coding {
                Some(coding) => {
                    refill(low, block.times.iter().map(|&time| coding.code(time) as u32));
                    if coding.words() > 1 {
                        refill(high, block.times.iter().map(|&time| (coding.code(time) >> 32) as u32));
                    }
                }
                None => {
                    // The least of all is no time but a missing one.
                    let first = block.times.iter().map(|&time| if time == i64::MIN { i64::MAX } else { time }).min();
                    let last = block.times.iter().copied().max();
                    refill(low, block.times.iter().map(|&time| time as u32));
                    refill(high, block.times.iter().map(|&time| (time >> 32) as u32));
                    let mut times = survey.times.lock().unwrap_or_else(PoisonError::into_inner);
                    *times = (times.0.min(first.unwrap_or(i64::MAX)), times.1.max(last.unwrap_or(i64::MIN)));
                }
            }
        }
        let column = |at: usize| block.attributes.get(at).filter(|column| !column.is_empty());
        for (place, &at) in self.columns.iter().enumerate() {
            let Some(column) = column(at) else { continue };
            if column.iter().any(|&bits| bits != EdgeBlock::MISSING) {
                survey.present[place].store(true, Atomic::Relaxed);
            }
            if self.is_category[place] {
                for &code in column {
                    if let Some(used) = survey.used[place].get(code as usize) {
                        used.store(true, Atomic::Relaxed);
                    }
                }
            }
        }
        let mut columns: Vec<&[u32]> = Vec::with_capacity(3 + self.columns.len());
        columns.push(&block.targets);
        columns.extend([low.as_slice(), high.as_slice()].into_iter().take(self.gathered_time_words()));
        columns.extend(self.columns.iter().map(|&at| column(at).map_or(&missing[..edges], Vec::as_slice)));
        partition.push(&block.sources, &columns, scratch)?;
        survey.edges.fetch_add(edges as u64, Atomic::Relaxed);
        if self.symmetric {
            // Each edge stands at both its ends; one from a node to itself stays one.
            let others: Vec<usize> = (0..edges).filter(|&edge| block.sources[edge] != block.targets[edge]).collect();
            let picked = |column: &[u32]| others.iter().map(|&edge| column[edge]).collect::<Vec<u32>>();
            let nears = picked(&block.targets);
            columns[0] = &block.sources;
            let columns: Vec<Vec<u32>> = columns.iter().map(|column| picked(column)).collect();
            partition.push(&nears, &columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), scratch)?;
            survey.edges.fetch_add(others.len() as u64, Atomic::Relaxed);
        }
        Ok(())
    }

    /// In how many words a time is gathered: as it is, or as its code.
    fn gathered_time_words(&self) -> usize {
        match (self.timed, self.coding) {
            (false, _) => 0,
            (true, Some(coding)) => coding.words(),
            (true, None) => 2,
        }
    }

    fn expect_ends(&self, ends: &[u32], which: usize) -> Result<()> {
        match ends.iter().max() {
            Some(&highest) if highest >= self.counts[which] => Err(Error::Setting {
                setting: format!("edges of {}", self.title),
                found: format!("node {highest}"),
                expected: format!("below {}, the number of nodes at that end", self.counts[which]),
            }),
            _ => Ok(()),
        }
    }
}

impl Found {
    /// In how many words a time is passed on.
    fn time_words(&self, shape: &Shape) -> usize {
        if shape.timed { self.coding.words() } else { 0 }
    }
}

/// Memory that goes from bucket to bucket: fresh pages would cost more than what is done in them.
#[derive(Default)]
struct Pool {
    rows: Spare<Rows>,
    desks: Spare<Desk>,
}

/// What a thread needs to sort a bucket and to pass it on.
#[derive(Default)]
struct Desk {
    starts: Vec<u32>,
    keys: Vec<u64>,
    spare: Vec<u64>,
    placed: Vec<Vec<u32>>,
    nears: Vec<u32>,
    scratch: Scratch,
}

/// The sorted edges of some consecutive near nodes.
#[derive(Default)]
struct Rows {
    first: u32,
    /// Of each near node.
    degrees: Vec<u32>,
    fars: Vec<u32>,
    /// Codes of times, the lower halves and the higher ones; empty where the relation has none.
    codes: [Vec<u32>; 2],
    /// Those of the shape's columns that are present.
    columns: Vec<Vec<u32>>,
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
    fn pass_on(&self, other: &Partition<'_>, desk: &mut Desk) -> Result<()> {
        let Desk { nears, scratch, .. } = desk;
        if self.fars.is_empty() {
            return Ok(());
        }
        nears.clear();
        for (near, &degree) in (self.first..).zip(&self.degrees) {
            nears.resize(nears.len() + degree as usize, near);
        }
        let codes = self.codes.iter().filter(|codes| !codes.is_empty());
        let columns: Vec<&[u32]> = [&*nears].into_iter().chain(codes).chain(&self.columns).map(Vec::as_slice).collect();
        other.push(&self.fars, &columns, scratch)
    }
}

vectorised! {
    /// Sorts a bucket's edges by near node, time, far node and attributes.
    fn sort_bucket(
        shape: &Shape,
        found: &Found,
        direction: Direction,
        nodes: Range<u32>,
        runs: &[Vec<u32>],
        rows: &mut Rows,
        desk: &mut Desk,
    ) {
        sort_bucket_here(shape, found, direction, nodes, runs, rows, desk);
    }
}

#[inline(always)]
fn sort_bucket_here(
    shape: &Shape,
    found: &Found,
    direction: Direction,
    nodes: Range<u32>,
    runs: &[Vec<u32>],
    rows: &mut Rows,
    desk: &mut Desk,
) {
    // Buckets of the outgoing direction hold what was gathered, those of the incoming one what was passed on.
    let gathered = direction == Direction::Outgoing;
    let time_words = if gathered { shape.gathered_time_words() } else { found.time_words(shape) };
    let width = 2 + time_words + if gathered { shape.columns.len() } else { found.present.iter().filter(|&&p| p).count() };
    let columns: Vec<Column<'_>> = (0..shape.columns.len())
        .filter(|&place| found.present[place])
        .enumerate()
        .map(|(passed, place)| Column {
            at: 2 + time_words + if gathered { place } else { passed },
            codes: (gathered && shape.is_category[place]).then_some(found.codes[place].as_slice()),
            missing: if shape.is_category[place] { u32::MAX } else { f32::NAN.to_bits() },
            translate: gathered,
        })
        .collect();
    let uncoded = (gathered && shape.coding.is_none()).then_some(found.coding);
    let far_count = shape.counts[usize::from(gathered)];
    let far_bits = u32::BITS - far_count.leading_zeros();
    let time_bits = if shape.timed { found.coding.width } else { 0 };
    let in_runs = comes_in_runs(width, runs);
    let record = Record { width, time_words, uncoded, columns, far_bits, time_bits, in_runs };
    record.count(&nodes, runs, rows, &mut desk.starts);
    rows.make_room(found.time_words(shape), record.columns.len());
    let longest = rows.degrees.iter().copied().max().unwrap_or(0);
    let index_bits = u32::BITS - longest.leading_zeros();
    if record.end_bits() + 32 * record.columns.len() as u32 <= 64 {
        record.sort_whole(runs, rows, desk);
    } else if record.end_bits() + index_bits <= 64 {
        record.sort_indexed(index_bits, runs, rows, desk);
    } else {
        record.sort_by_comparing(runs, rows, &mut desk.starts);
    }
}

/// Whether records of a near node mostly follow each other, by the first ones.
fn comes_in_runs(width: usize, runs: &[Vec<u32>]) -> bool {
    let nears = || runs.iter().flat_map(|run| run.iter().step_by(width)).take(1 << 10);
    let changes = nears().zip(nears().skip(1)).filter(|(one, next)| one != next).count();
    changes * 8 < nears().count()
}

/// Where the next edge of each near node goes. Of a node whose edges follow each other, memory is not asked again.
struct Places<'s> {
    first: u32,
    starts: &'s mut [u32],
    near: u32,
    next: u32,
}

impl<'s> Places<'s> {
    fn new(first: u32, starts: &'s mut [u32]) -> Self {
        let next = starts.first().copied().unwrap_or(0);
        Self { first, starts, near: first, next }
    }

    #[inline]
    fn next(&mut self, near: u32) -> usize {
        if near != self.near {
            self.starts[(self.near - self.first) as usize] = self.next;
            self.near = near;
            self.next = self.starts[(near - self.first) as usize];
        }
        self.next += 1;
        self.next as usize - 1
    }
}

/// How a bucket's records read.
struct Record<'f> {
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
    /// Its place in a record.
    at: usize,
    /// A category's code in the snapshot by that of the record.
    codes: Option<&'f [u32]>,
    missing: u32,
    /// Whether the record's bits are those that came, and not yet the snapshot's.
    translate: bool,
}

impl Column<'_> {
    #[inline]
    fn bits(&self, record: &[u32]) -> u32 {
        let bits = record[self.at];
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
    /// The time's code.
    #[inline]
    fn code(&self, record: &[u32]) -> u64 {
        match self.time_words {
            0 => 0,
            1 => u64::from(record[2]),
            _ => {
                let word = u64::from(record[3]) << 32 | u64::from(record[2]);
                self.uncoded.map_or(word, |coding| coding.code(word as i64))
            }
        }
    }

    /// Calls `visit` with every record. The widths that occur most are known to the compiler.
    #[inline(always)]
    fn each(&self, runs: &[Vec<u32>], visit: impl FnMut(&[u32])) {
        #[inline(always)]
        fn of_width<const N: usize>(runs: &[Vec<u32>], mut visit: impl FnMut(&[u32])) {
            runs.iter().flat_map(|run| run.as_chunks::<N>().0).for_each(|record| visit(record));
        }
        match self.width {
            2 => of_width::<2>(runs, visit),
            3 => of_width::<3>(runs, visit),
            4 => of_width::<4>(runs, visit),
            5 => of_width::<5>(runs, visit),
            width => runs.iter().flat_map(|run| run.chunks_exact(width)).for_each(visit),
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
            let (mut near, mut count) = (nodes.start, 0);
            self.each(runs, |record| {
                if record[0] != near {
                    degrees[(near - nodes.start) as usize] += std::mem::take(&mut count);
                    near = record[0];
                }
                count += 1;
            });
            degrees[(near - nodes.start) as usize] += count;
        } else {
            // In two strands, so that a count of a node that occurs often waits less for the one before.
            starts.resize(nodes.len(), 0);
            let mut strands = [&mut *degrees, &mut *starts];
            self.each(runs, |record| {
                strands[0][(record[0] - nodes.start) as usize] += 1;
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

    /// Calls `put` with every record and its place among those that are ordered by near node; each start becomes its
    /// node's end.
    #[inline(always)]
    fn each_placed(&self, runs: &[Vec<u32>], first: u32, starts: &mut [u32], mut put: impl FnMut(usize, &[u32])) {
        if self.in_runs {
            let mut places = Places::new(first, starts);
            self.each(runs, |record| put(places.next(record[0]), record));
        } else {
            self.each(runs, |record| {
                let start = &mut starts[(record[0] - first) as usize];
                put(*start as usize, record);
                *start += 1;
            });
        }
    }

    /// In how many bits a time's code and a far node fit.
    fn end_bits(&self) -> u32 {
        self.time_bits + self.far_bits
    }

    /// The time's code and the far node as a number that sorts as they do.
    #[inline]
    fn ends(&self, record: &[u32]) -> u64 {
        self.code(record) << self.far_bits | u64::from(record[1])
    }

    /// Fills in times' codes and far nodes from numbers that have them above `shift` bits.
    #[inline(always)]
    fn fill_ends(&self, keys: &[u64], shift: u32, rows: &mut Rows) {
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
        self.each_placed(runs, rows.first, starts, |place, record| {
            let attributes = self.columns.iter().map(|column| u64::from(column.bits(record)));
            keys[place] = attributes.fold(self.ends(record), |key, bits| key << 32 | bits);
        });
        let words = 32 * self.columns.len() as u32;
        rows.for_each_list(keys, |list| sort_numbers(list, spare, 0..self.end_bits() + words));
        self.fill_ends(keys, words, rows);
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
            ([to], [column]) => self.each_placed(runs, rows.first, starts, |place, record| {
                keys[place] = self.ends(record);
                to[place] = column.bits(record);
            }),
            (placed, columns) => self.each_placed(runs, rows.first, starts, |place, record| {
                keys[place] = self.ends(record);
                placed.iter_mut().zip(columns).for_each(|(to, column)| to[place] = column.bits(record));
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
            sort_numbers(list, spare, index_bits..index_bits + self.end_bits());
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
        self.fill_ends(keys, index_bits, rows);
    }

    /// The same for records that no whole number holds.
    fn sort_by_comparing(&self, runs: &[Vec<u32>], rows: &mut Rows, starts: &mut [u32]) {
        let edges = rows.fars.len();
        let none: &[u32] = &[];
        let mut order = vec![(0u64, 0u32, none); edges];
        for record in runs.iter().flat_map(|run| run.chunks_exact(self.width)) {
            let start = &mut starts[(record[0] - rows.first) as usize];
            order[*start as usize] = (self.code(record), record[1], record);
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

fn refill<T>(to: &mut Vec<T>, from: impl Iterator<Item = T>) {
    to.clear();
    to.extend(from);
}

/// Names in byte order that some edge uses, and each old code's new one.
fn sorted_names<'n>(names: &'n [String], used: &[AtomicBool]) -> (Vec<&'n str>, Vec<u32>) {
    let is_used = |at: usize| used.get(at).is_some_and(|used| used.load(Atomic::Relaxed));
    let mut kept: Vec<&str> = (0..names.len()).filter(|&at| is_used(at)).map(|at| names[at].as_str()).collect();
    kept.sort_unstable();
    kept.dedup();
    let codes = names.iter().map(|name| kept.binary_search(&name.as_str()).map_or(u32::MAX, |code| code as u32)).collect();
    (kept, codes)
}
