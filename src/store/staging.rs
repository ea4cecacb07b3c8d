//! What a source has brought and no segment holds yet: columns in memory, and how they become blocks.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use relata_schema::{AttributeId, Direction, NodeTypeId, RelationId, Value};

use super::key::Run;
use super::nodes::{self, NodeSet};
use super::posting::{BLOCK_EDGES, Encoder, MISSING, NO_TIME, Postings};
use super::segment::{EdgeStats, EdgeTimes, Frames, SegmentWriter};
use super::{EdgeBatch, column};
use crate::pack::Malformed;
use crate::partition::{Ends, Memory, Partition, Scratch};
use crate::snapshot::{Coding, EdgeColumn};
use crate::spare::Spare;
use crate::{Error, Result};

/// Staged bytes that become a segment while more is read, so that threads that write have work early.
pub(super) const SEGMENT_BYTES: usize = 64 << 20;

/// Edges that one thread sorts and encodes at a time. Blocks end where such a group ends, so it must not depend on the
/// number of threads.
const GROUP_EDGES: usize = 1 << 16;

/// Groups whose blocks are in memory at a time.
const GROUPS: usize = 16;

/// Edges, attribute values and their memory.
#[derive(Default)]
pub(super) struct Staging {
    edges: BTreeMap<RelationId, Edges>,
    columns: BTreeMap<(NodeTypeId, AttributeId), Vec<(u32, Value)>>,
    bytes: usize,
    spare: Arc<Columns>,
}

/// Columns that were written and are empty by now: those staged next take their memory.
#[derive(Default)]
pub(super) struct Columns {
    words: Spare<Vec<u32>>,
    times: Spare<Vec<i64>>,
    /// That of blocks.
    frames: Spare<Vec<u8>>,
}

impl Columns {
    fn words(&self) -> Vec<u32> {
        self.words.take().unwrap_or_default()
    }

    fn times(&self) -> Vec<i64> {
        self.times.take().unwrap_or_default()
    }
}

/// The edges of one relation, in the order in which they came.
#[derive(Default)]
struct Edges {
    sources: Vec<u32>,
    targets: Vec<u32>,
    /// Empty where no edge so far has a time.
    times: Vec<i64>,
    attributes: Vec<Vec<u32>>,
    span: EdgeTimes,
}

impl Staging {
    /// Empty, with the memory of others that are written.
    pub(super) fn with(spare: Arc<Columns>) -> Self {
        Self { spare, ..Self::default() }
    }

    /// About how much memory writing all this out takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.columns.is_empty()
    }

    pub(super) fn edge(&mut self, relation: RelationId, source: u32, target: u32, time: Option<i64>, attributes: &[u32]) {
        let edges = self.edges.entry(relation).or_insert_with(|| Edges::with(&self.spare));
        if edges.attributes.len() < attributes.len() {
            edges.attributes.resize_with(attributes.len(), || self.spare.words());
        }
        if time.is_some() && edges.times.is_empty() {
            edges.times = self.spare.times();
            edges.times.resize(edges.sources.len(), NO_TIME);
        }
        edges.span = edges.span.and(EdgeTimes::of(time.as_slice(), 1));
        edges.sources.push(source);
        edges.targets.push(target);
        if time.is_some() || !edges.times.is_empty() {
            edges.times.push(time.unwrap_or(NO_TIME));
        }
        for (column, &value) in edges.attributes.iter_mut().zip(attributes) {
            column.push(value);
        }
        // Source, target, and the place in the order by which it is written; then time and attributes.
        self.bytes += 12 + if edges.times.is_empty() { 0 } else { 8 } + 4 * attributes.len();
    }

    pub(super) fn edges(&mut self, relation: RelationId, batch: &EdgeBatch<'_>) {
        let edges = self.edges.entry(relation).or_insert_with(|| Edges::with(&self.spare));
        let (before, after) = (edges.sources.len(), edges.sources.len() + batch.sources.len());
        edges.span = edges.span.and(EdgeTimes::of(batch.times, batch.sources.len()));
        for (column, ends) in [(&mut edges.sources, batch.sources), (&mut edges.targets, batch.targets)] {
            make_room(column, after);
            column.extend_from_slice(ends);
        }
        if !batch.times.is_empty() || !edges.times.is_empty() {
            if edges.times.is_empty() {
                edges.times = self.spare.times();
            }
            make_room(&mut edges.times, after);
            edges.times.resize(before, NO_TIME);
            edges.times.extend_from_slice(batch.times);
            edges.times.resize(after, NO_TIME);
        }
        if edges.attributes.len() < batch.attributes.len() {
            let missing = || {
                let mut column = self.spare.words();
                column.resize(before, MISSING);
                column
            };
            edges.attributes.resize_with(batch.attributes.len(), missing);
        }
        for (column, values) in edges.attributes.iter_mut().zip(batch.attributes) {
            make_room(column, after);
            match values {
                EdgeColumn::Number(numbers) => column.extend(numbers.iter().map(|&number| number_bits(number))),
                EdgeColumn::Category(codes) => column.extend_from_slice(codes),
            }
            column.resize(after, MISSING);
        }
        self.bytes += batch.sources.len() * (12 + if edges.times.is_empty() { 0 } else { 8 } + 4 * edges.attributes.len());
    }

    pub(super) fn value(&mut self, node_type: NodeTypeId, node: u32, attribute: AttributeId, value: Value) {
        self.bytes += size_of::<(u32, Value)>() + column::heap_bytes(&value);
        self.columns.entry((node_type, attribute)).or_default().push((node, value));
    }

    /// The values of an attribute, in the order in which they came.
    pub(super) fn values(&self, node_type: NodeTypeId, attribute: AttributeId) -> &[(u32, Value)] {
        self.columns.get(&(node_type, attribute)).map_or(&[], Vec::as_slice)
    }

    /// Writes everything as blocks, and is empty afterwards.
    pub(super) fn write(&mut self, writer: &mut SegmentWriter) -> Result<()> {
        self.bytes = 0;
        for (relation, edges) in std::mem::take(&mut self.edges) {
            edges.write(relation, writer, &self.spare)?;
            writer.count_edges(EdgeStats { relation, edges: edges.sources.len() as u64, times: Some(edges.span) });
            edges.give_back(&self.spare);
        }
        for ((node_type, attribute), rows) in std::mem::take(&mut self.columns) {
            write_column(node_type, attribute, rows, writer)?;
        }
        Ok(())
    }
}

/// Makes room for so many values: in a column that is large already, for all that a segment may bring.
fn make_room<T>(column: &mut Vec<T>, values: usize) {
    const LARGE: usize = 1 << 17;
    let all = if values > LARGE { values.max(SEGMENT_BYTES / 16) } else { values };
    if column.capacity() < values {
        column.reserve(all - column.len());
    }
}

impl Edges {
    fn with(spare: &Columns) -> Self {
        Self { sources: spare.words(), targets: spare.words(), ..Self::default() }
    }

    fn give_back(self, spare: &Columns) {
        fn give<T>(spare: &Spare<Vec<T>>, mut column: Vec<T>) {
            if column.capacity() > 0 {
                column.clear();
                spare.give(column);
            }
        }
        [self.sources, self.targets].into_iter().chain(self.attributes).for_each(|column| give(&spare.words, column));
        give(&spare.times, self.times);
    }

    /// Writes the edges by their sources with all that is known of them, and by their targets the sources alone: what else
    /// an incoming edge has, its outgoing block tells.
    fn write(&self, relation: RelationId, writer: &mut SegmentWriter, spare: &Columns) -> Result<()> {
        let (outgoing, incoming) = rayon::join(
            || self.write_outgoing(Run::Postings { relation, direction: Direction::Outgoing }, writer, spare),
            || Incoming::of(&self.targets, &self.sources),
        );
        outgoing?;
        incoming.write(Run::Postings { relation, direction: Direction::Incoming }, writer, spare)
    }

    /// Whether they come by source, target and time.
    fn is_sorted(&self) -> bool {
        let edges = self.sources.len();
        let ends = |edge: usize| u64::from(self.sources[edge]) << 32 | u64::from(self.targets[edge]);
        let follows = |edge: usize| match ends(edge - 1).cmp(&ends(edge)) {
            Ordering::Less => true,
            Ordering::Equal => self.times.get(edge - 1) <= self.times.get(edge),
            Ordering::Greater => false,
        };
        // What is not sorted is so from the start, mostly.
        (0..edges.div_ceil(GROUP_EDGES)).into_par_iter().all(|group| {
            let first = group * GROUP_EDGES;
            (first.max(1)..edges.min(first + GROUP_EDGES)).all(follows)
        })
    }

    fn write_outgoing(&self, run: Run, writer: &mut SegmentWriter, spare: &Columns) -> Result<()> {
        if self.is_sorted() {
            return self.write_sorted(run, writer, spare);
        }
        let memory = Memory::unbounded();
        let coding = (!self.times.is_empty()).then(|| Coding::of(self.span.first, self.span.last));
        let partition = self.partition(&memory, coding)?;
        write_groups(run, partition.buckets(), writer, spare, |encoding, bucket| {
            let runs = partition.take(bucket)?;
            let records = Records { words: runs.concat(), width: runs.width, ends: runs.ends, coding };
            Ok(records.frames(partition.nodes(bucket), encoding))
        })
    }

    /// The edges as records, in ranges of their sources: see [`Records`]. Sorting them where they stand would wait for
    /// memory at every edge.
    fn partition<'m>(&self, memory: &'m Memory, coding: Option<Coding>) -> Result<Partition<'m>> {
        let edges = self.sources.len();
        let nodes = [&self.sources, &self.targets].map(|ends| ends.iter().max().map_or(0, |&most| most.saturating_add(1)));
        let time_words = coding.map_or(0, Coding::words);
        let partition = Partition::new(memory, edges as u64, nodes, time_words + self.attributes.len());
        (0..edges.div_ceil(GROUP_EDGES)).into_par_iter().try_for_each_init(
            || (Scratch::default(), [Vec::new(), Vec::new()]),
            |(scratch, times), group| {
                let range = group * GROUP_EDGES..((group + 1) * GROUP_EDGES).min(edges);
                if let Some(coding) = coding {
                    for (words, shift) in times[..time_words].iter_mut().zip([0, 32]) {
                        words.clear();
                        words.extend(self.times[range.clone()].iter().map(|&time| (coding.code(time) >> shift) as u32));
                    }
                }
                let times = times[..time_words].iter().map(Vec::as_slice);
                let columns: Vec<&[u32]> = times.chain(self.attributes.iter().map(|column| &column[range.clone()])).collect();
                partition.push(&self.sources[range.clone()], &self.targets[range], &columns, scratch)
            },
        )?;
        Ok(partition)
    }

    /// Writes edges that come in the order of the blocks.
    fn write_sorted(&self, run: Run, writer: &mut SegmentWriter, spare: &Columns) -> Result<()> {
        let groups = grouped(&self.sources);
        write_groups(run, groups.len(), writer, spare, |encoding, at| {
            let group = groups[at].clone();
            let blocks = group.clone().step_by(BLOCK_EDGES).map(|start| start..group.end.min(start + BLOCK_EDGES));
            Ok(encoding.frames(blocks.map(|range| {
                move |block: &mut Postings| {
                    block.nears.extend_from_slice(&self.sources[range.clone()]);
                    block.fars.extend_from_slice(&self.targets[range.clone()]);
                    block.times.extend_from_slice(self.times.get(range.clone()).unwrap_or_default());
                    block.attributes.resize_with(self.attributes.len(), Vec::new);
                    for (from, to) in self.attributes.iter().zip(&mut block.attributes) {
                        to.extend_from_slice(&from[range.clone()]);
                    }
                }
            })))
        })
    }
}

/// The edges of a range of sources, as records of 32-bit words: the ends, the time's code where the relation has one, and the
/// attributes.
struct Records {
    words: Vec<u32>,
    width: usize,
    ends: Ends,
    /// How times became codes.
    coding: Option<Coding>,
}

impl Records {
    /// The record whose place is in the low half.
    fn record(&self, edge: u64) -> &[u32] {
        &self.words[edge as u32 as usize * self.width..][..self.width]
    }

    /// The time's code, and the attributes.
    fn behind_ends<'r>(&self, record: &'r [u32]) -> (u64, &'r [u32]) {
        let rest = &record[self.ends.words()..];
        match (self.coding.map_or(0, Coding::words), rest) {
            (1, [low, attributes @ ..]) => (u64::from(*low), attributes),
            (2, [low, high, attributes @ ..]) => (u64::from(*high) << 32 | u64::from(*low), attributes),
            _ => (0, rest),
        }
    }

    /// Sorts them by source, target, time and attributes, and encodes them.
    fn frames(&self, nodes: Range<u32>, encoding: &mut Encoding<'_>) -> Frames {
        let ends = |record| self.ends.of(record);
        let mut next = starts(self.words.chunks_exact(self.width).map(|record| ends(record).0), nodes.len());
        // The target, and behind it the place among the records.
        let mut order = vec![0u64; self.words.len() / self.width];
        for (edge, record) in (0u32..).zip(self.words.chunks_exact(self.width)) {
            let (near, far) = ends(record);
            let place = &mut next[near as usize];
            order[*place as usize] = u64::from(far) << 32 | u64::from(edge);
            *place += 1;
        }
        let key = |edge: u64| self.behind_ends(self.record(edge));
        // By now each place is its list's end.
        let mut begin = 0;
        for &end in &next[..nodes.len()] {
            let list = &mut order[begin..end as usize];
            list.sort_unstable();
            for parallel in list.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|parallel| parallel.len() > 1) {
                parallel.sort_by(|&a, &b| key(a).cmp(&key(b)));
            }
            begin = end as usize;
        }
        let fills = order.chunks(BLOCK_EDGES).map(|edges| {
            move |block: &mut Postings| {
                let time_words = self.coding.map_or(0, Coding::words);
                block.attributes.resize_with(self.width - self.ends.words() - time_words, Vec::new);
                for &edge in edges {
                    let record = self.record(edge);
                    let ((near, far), (code, attributes)) = (ends(record), self.behind_ends(record));
                    block.nears.push(nodes.start + near);
                    block.fars.push(far);
                    if let Some(coding) = self.coding {
                        block.times.push(coding.time(code));
                    }
                    block.attributes.iter_mut().zip(attributes).for_each(|(column, &bits)| column.push(bits));
                }
            }
        });
        encoding.frames(fills)
    }
}

/// The sources of all edges by their targets.
struct Incoming {
    /// Each target that has an edge, and where its sources begin; ascending.
    lists: Vec<(u32, u32)>,
    /// Ascending among those of a target.
    sources: Vec<u32>,
}

impl Incoming {
    fn of(targets: &[u32], sources: &[u32]) -> Self {
        let nodes = targets.iter().max().map_or(0, |&most| most as usize + 1);
        let (mut lists, mut near) = (Vec::new(), None);
        if is_sparse(nodes, targets.len()) {
            let mut pairs: Vec<(u32, u32)> = targets.iter().copied().zip(sources.iter().copied()).collect();
            pairs.par_sort_unstable();
            for (at, &(target, _)) in (0u32..).zip(&pairs) {
                if near.replace(target) != Some(target) {
                    lists.push((target, at));
                }
            }
            return Self { lists, sources: pairs.into_iter().map(|(_, source)| source).collect() };
        }
        let mut next = starts(targets.iter().copied(), nodes);
        for target in 0..nodes {
            if next[target + 1] > next[target] {
                lists.push((target as u32, next[target]));
            }
        }
        let mut sorted = vec![0; sources.len()];
        for (&target, &source) in targets.iter().zip(sources) {
            let place = &mut next[target as usize];
            sorted[*place as usize] = source;
            *place += 1;
        }
        // What comes by ascending sources is in order by now.
        if !sources.is_sorted() {
            let mut rest = sorted.as_mut_slice();
            let mut slices = Vec::with_capacity(lists.len());
            for pair in lists.windows(2) {
                let (list, behind) = rest.split_at_mut((pair[1].1 - pair[0].1) as usize);
                slices.push(list);
                rest = behind;
            }
            slices.push(rest);
            slices.into_par_iter().with_min_len(64).for_each(<[u32]>::sort_unstable);
        }
        Self { lists, sources: sorted }
    }

    fn write(&self, run: Run, writer: &mut SegmentWriter, spare: &Columns) -> Result<()> {
        // Groups of whole lists; a list's sources end where the next one's begin.
        let mut groups: Vec<&[(u32, u32)]> = Vec::new();
        let mut rest = self.lists.as_slice();
        while let Some(&(_, begin)) = rest.first() {
            let lists = rest.partition_point(|&(_, start)| ((start - begin) as usize) < GROUP_EDGES);
            let (group, behind) = rest.split_at(lists);
            groups.push(group);
            rest = behind;
        }
        write_groups(run, groups.len(), writer, spare, |encoding, at| {
            let group = groups[at];
            let next = groups.get(at + 1).map_or(self.sources.len(), |next| next[0].1 as usize);
            let begin = group[0].1 as usize;
            let mut nears = Vec::with_capacity(next - begin);
            for (place, &(target, _)) in group.iter().enumerate() {
                let end = group.get(place + 1).map_or(next, |list| list.1 as usize);
                nears.resize(end - begin, target);
            }
            let blocks = nears.chunks(BLOCK_EDGES).zip(self.sources[begin..next].chunks(BLOCK_EDGES));
            Ok(encoding.frames(blocks.map(|(nears, fars)| {
                move |block: &mut Postings| {
                    block.nears.extend_from_slice(nears);
                    block.fars.extend_from_slice(fars);
                }
            })))
        })
    }
}

/// Encodes groups of a run's blocks on all threads, some at a time, and writes them in their order.
fn write_groups(
    run: Run,
    groups: usize,
    writer: &mut SegmentWriter,
    spare: &Columns,
    encode: impl Fn(&mut Encoding<'_>, usize) -> Result<Frames> + Sync,
) -> Result<()> {
    let segment = writer.number();
    for start in (0..groups).step_by(GROUPS) {
        let some = start..groups.min(start + GROUPS);
        let encoding =
            || Encoding { segment, run, spare: &spare.frames, encoder: Encoder::default(), block: Postings::default() };
        let frames = some.into_par_iter().map_init(encoding, &encode).collect::<Result<Vec<Frames>>>()?;
        for frames in frames {
            writer.put(&frames)?;
            spare.frames.give(frames.into_memory());
        }
    }
    Ok(())
}

/// What a thread keeps while it encodes blocks.
struct Encoding<'s> {
    segment: u32,
    run: Run,
    spare: &'s Spare<Vec<u8>>,
    encoder: Encoder,
    block: Postings,
}

impl Encoding<'_> {
    /// The blocks of a group, each filled by its turn of `fills`.
    fn frames(&mut self, fills: impl Iterator<Item = impl FnOnce(&mut Postings)>) -> Frames {
        let mut frames = Frames::within(self.segment, self.spare.take().unwrap_or_default());
        for fill in fills {
            self.block.clear();
            fill(&mut self.block);
            let (first, last) = (self.block.nears[0], self.block.nears[self.block.len() - 1]);
            frames.add(self.run, first, last, |out| self.encoder.encode(&self.block, out));
        }
        frames
    }
}

/// Whether counting every node would take more memory than sorting.
fn is_sparse(nodes: usize, edges: usize) -> bool {
    nodes > 4 * edges + (1 << 16)
}

/// Where the edges of each node begin when they are sorted by it, and the number of all.
fn starts(nears: impl Iterator<Item = u32>, nodes: usize) -> Vec<u32> {
    let mut starts = vec![0u32; nodes + 1];
    for near in nears {
        starts[near as usize + 1] += 1;
    }
    for node in 1..starts.len() {
        starts[node] += starts[node - 1];
    }
    starts
}

/// Cuts ascending nodes into groups of whole lists.
fn grouped(nears: &[u32]) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < nears.len() {
        let mut end = (start + GROUP_EDGES).min(nears.len());
        let last = nears[end - 1];
        end += nears[end..].partition_point(|&near| near == last);
        groups.push(start..end);
        start = end;
    }
    groups
}

fn write_column(
    node_type: NodeTypeId,
    attribute: AttributeId,
    mut rows: Vec<(u32, Value)>,
    writer: &mut SegmentWriter,
) -> Result<()> {
    // Stable, so that of a node's several values the last stands behind the others.
    rows.sort_by_key(|row| row.0);
    rows.reverse();
    rows.dedup_by_key(|row| row.0);
    rows.reverse();
    let run = Run::Column { node_type, attribute };
    let mut frames = Frames::new(writer.number());
    let mut rest = rows.as_slice();
    while let Some(first) = rest.first().map(|row| row.0) {
        let mut bytes = 0;
        let closed = rest.iter().take(column::BLOCK_VALUES).position(|(_, value)| {
            bytes += column::heap_bytes(value);
            bytes > column::BLOCK_BYTES
        });
        let count = closed.map_or(rest.len().min(column::BLOCK_VALUES), |at| at + 1);
        let (block, behind) = rest.split_at(count);
        let payload = column::encode(block).map_err(|Malformed(found)| Error::Setting {
            setting: "the values of a column".to_owned(),
            found: found.to_owned(),
            expected: "values of the attribute's kind".to_owned(),
        })?;
        let last = block[block.len() - 1].0;
        frames.add(run, first, last, |out| out.extend_from_slice(&payload));
        rest = behind;
    }
    writer.put(&frames)
}

/// Writes the nodes that a source names; `named` is by node type.
pub(super) fn write_nodes(named: &[NodeSet], writer: &mut SegmentWriter) -> Result<()> {
    for (node_type, set) in (0u16..).zip(named) {
        write_list(Run::Nodes { node_type: NodeTypeId(node_type) }, &set.iter().collect::<Vec<_>>(), writer)?;
    }
    Ok(())
}

/// Writes ascending nodes.
pub(super) fn write_list(run: Run, list: &[u32], writer: &mut SegmentWriter) -> Result<()> {
    let mut frames = Frames::new(writer.number());
    for block in list.chunks(nodes::BLOCK_NODES) {
        frames.add(run, block[0], block[block.len() - 1], |out| out.extend_from_slice(&nodes::encode(block)));
    }
    writer.put(&frames)
}

/// An edge attribute as 32 bits. NaN is missing.
pub(super) fn bits(value: relata_schema::EdgeValue) -> u32 {
    match value {
        relata_schema::EdgeValue::Missing => MISSING,
        relata_schema::EdgeValue::Number(number) => number_bits(number),
        relata_schema::EdgeValue::Category(code) => code,
    }
}

fn number_bits(number: f32) -> u32 {
    if number.is_nan() { MISSING } else { number.to_bits() }
}
