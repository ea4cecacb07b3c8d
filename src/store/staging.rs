//! What a source has brought and no segment holds yet: columns in memory, and how they become blocks.

use std::collections::BTreeMap;

use rayon::prelude::*;
use relata_schema::{AttributeId, Direction, NodeTypeId, RelationId, Value};

use super::bytes::Malformed;
use super::key::{BlockKey, Run};
use super::nodes::{self, NodeSet};
use super::posting::{BLOCK_EDGES, Encoder, MISSING, NO_TIME, Postings};
use super::segment::{Frames, SegmentWriter};
use super::{EdgeBatch, column};
use crate::snapshot::EdgeColumn;
use crate::{Error, Result};

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
}

/// The edges of one relation, in the order in which they came.
#[derive(Default)]
struct Edges {
    sources: Vec<u32>,
    targets: Vec<u32>,
    /// Empty where no edge so far has a time.
    times: Vec<i64>,
    attributes: Vec<Vec<u32>>,
}

impl Staging {
    /// About how much memory writing all this out takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.columns.is_empty()
    }

    pub(super) fn edge(&mut self, relation: RelationId, source: u32, target: u32, time: Option<i64>, attributes: &[u32]) {
        let edges = self.edges.entry(relation).or_default();
        if edges.attributes.len() < attributes.len() {
            edges.attributes.resize_with(attributes.len(), Vec::new);
        }
        if time.is_some() && edges.times.is_empty() {
            edges.times = vec![NO_TIME; edges.sources.len()];
        }
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
        let edges = self.edges.entry(relation).or_default();
        let (before, after) = (edges.sources.len(), edges.sources.len() + batch.sources.len());
        edges.sources.extend_from_slice(batch.sources);
        edges.targets.extend_from_slice(batch.targets);
        if !batch.times.is_empty() || !edges.times.is_empty() {
            edges.times.resize(before, NO_TIME);
            edges.times.extend_from_slice(batch.times);
            edges.times.resize(after, NO_TIME);
        }
        if edges.attributes.len() < batch.attributes.len() {
            edges.attributes.resize_with(batch.attributes.len(), || vec![MISSING; before]);
        }
        for (column, values) in edges.attributes.iter_mut().zip(batch.attributes) {
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
            edges.write(relation, writer)?;
            writer.count_edges(relation, edges.sources.len() as u64);
        }
        for ((node_type, attribute), rows) in std::mem::take(&mut self.columns) {
            write_column(node_type, attribute, rows, writer)?;
        }
        Ok(())
    }
}

impl Edges {
    /// Writes the edges by their sources with all that is known of them, and by their targets the sources alone: what else
    /// an incoming edge has, its outgoing block tells.
    fn write(&self, relation: RelationId, writer: &mut SegmentWriter) -> Result<()> {
        let segment = writer.number();
        let (outgoing, incoming) = rayon::join(
            || self.write_outgoing(Run::Postings { relation, direction: Direction::Outgoing }, writer),
            || Incoming::of(&self.targets, &self.sources),
        );
        outgoing?;
        incoming.write(Run::Postings { relation, direction: Direction::Incoming }, segment, writer)
    }

    fn write_outgoing(&self, run: Run, writer: &mut SegmentWriter) -> Result<()> {
        let segment = writer.number();
        let mut order = ordered(&self.sources);
        let mut groups = grouped(&mut order, |edge| self.sources[edge as usize]);
        for groups in groups.chunks_mut(GROUPS) {
            let sort_and_encode = |encoding: &mut Encoding, group: &mut &mut [u32]| {
                for list in group.chunk_by_mut(|&a, &b| self.sources[a as usize] == self.sources[b as usize]) {
                    let key = |&edge: &u32| {
                        (self.targets[edge as usize], self.times.get(edge as usize).copied().unwrap_or(NO_TIME), edge)
                    };
                    if !list.is_sorted_by_key(key) {
                        list.sort_unstable_by_key(key);
                    }
                }
                encoding.frames(
                    segment,
                    run,
                    group.chunks(BLOCK_EDGES).map(|edges| {
                        move |block: &mut Postings| {
                            let gather =
                                |from: &[u32], to: &mut Vec<u32>| to.extend(edges.iter().map(|&edge| from[edge as usize]));
                            gather(&self.sources, &mut block.nears);
                            gather(&self.targets, &mut block.fars);
                            block.times.extend(edges.iter().filter_map(|&edge| self.times.get(edge as usize).copied()));
                            block.attributes.resize_with(self.attributes.len(), Vec::new);
                            self.attributes.iter().zip(&mut block.attributes).for_each(|(from, to)| gather(from, to));
                        }
                    }),
                )
            };
            let frames: Vec<Frames> = groups.par_iter_mut().map_init(Encoding::default, sort_and_encode).collect();
            frames.iter().try_for_each(|frames| writer.put(frames))?;
        }
        Ok(())
    }
}

/// The sources of all edges by their targets.
struct Incoming {
    /// Ascending.
    targets: Vec<u32>,
    /// Ascending among those of a target.
    sources: Vec<u32>,
}

impl Incoming {
    fn of(targets: &[u32], sources: &[u32]) -> Self {
        let order = ordered(targets);
        let picked = |from: &[u32]| order.par_iter().map(|&edge| from[edge as usize]).collect::<Vec<u32>>();
        let (targets, mut sources) = (picked(targets), picked(sources));
        let mut lists = Vec::new();
        let mut rest = sources.as_mut_slice();
        for list in targets.chunk_by(|a, b| a == b) {
            let (list, behind) = rest.split_at_mut(list.len());
            lists.push(list);
            rest = behind;
        }
        lists.into_par_iter().with_min_len(64).for_each(|list| {
            if !list.is_sorted() {
                list.sort_unstable();
            }
        });
        Self { targets, sources }
    }

    fn write(&self, run: Run, segment: u32, writer: &mut SegmentWriter) -> Result<()> {
        let mut places: Vec<u32> = (0..self.targets.len() as u32).collect();
        let mut groups = grouped(&mut places, |edge| self.targets[edge as usize]);
        for groups in groups.chunks_mut(GROUPS) {
            let encode = |encoding: &mut Encoding, group: &mut &mut [u32]| {
                encoding.frames(
                    segment,
                    run,
                    group.chunks(BLOCK_EDGES).map(|edges| {
                        move |block: &mut Postings| {
                            let range = edges[0] as usize..edges[0] as usize + edges.len();
                            block.nears.extend_from_slice(&self.targets[range.clone()]);
                            block.fars.extend_from_slice(&self.sources[range]);
                        }
                    }),
                )
            };
            let frames: Vec<Frames> = groups.par_iter_mut().map_init(Encoding::default, encode).collect();
            frames.iter().try_for_each(|frames| writer.put(frames))?;
        }
        Ok(())
    }
}

/// What a thread keeps while it encodes blocks.
#[derive(Default)]
struct Encoding {
    encoder: Encoder,
    block: Postings,
}

impl Encoding {
    /// The blocks of a group, each filled by its turn of `fills`.
    fn frames(&mut self, segment: u32, run: Run, fills: impl Iterator<Item = impl FnOnce(&mut Postings)>) -> Frames {
        let mut frames = Frames::new(segment);
        let (mut before, mut number) = (None, 0);
        for fill in fills {
            self.block.clear();
            fill(&mut self.block);
            let (first, last) = (self.block.nears[0], self.block.nears[self.block.len() - 1]);
            number = if before == Some(first) { number + 1 } else { 0 };
            before = Some(first);
            frames.add(BlockKey { run, first, number }, last, |out| self.encoder.encode(&self.block, out));
        }
        frames
    }
}

/// The places of `nears` in ascending order of what stands there; equal ones as they come.
fn ordered(nears: &[u32]) -> Vec<u32> {
    if nears.is_sorted() {
        return (0..nears.len() as u32).collect();
    }
    let nodes = nears.iter().max().map_or(0, |&most| most as usize + 1);
    if nodes > 4 * nears.len() + (1 << 16) {
        let mut order: Vec<u32> = (0..nears.len() as u32).collect();
        order.par_sort_unstable_by_key(|&edge| (nears[edge as usize], edge));
        return order;
    }
    let mut next = vec![0u32; nodes + 1];
    for &near in nears {
        next[near as usize + 1] += 1;
    }
    for node in 1..next.len() {
        next[node] += next[node - 1];
    }
    let mut order = vec![0; nears.len()];
    for (edge, &near) in nears.iter().enumerate() {
        let place = &mut next[near as usize];
        order[*place as usize] = edge as u32;
        *place += 1;
    }
    order
}

/// Cuts the order into groups of whole lists.
fn grouped(mut order: &mut [u32], near: impl Fn(u32) -> u32) -> Vec<&mut [u32]> {
    let mut groups = Vec::new();
    while !order.is_empty() {
        let mut end = GROUP_EDGES.min(order.len());
        let last = near(order[end - 1]);
        end += order[end..].partition_point(|&edge| near(edge) == last);
        let (group, rest) = order.split_at_mut(end);
        groups.push(group);
        order = rest;
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
        frames.add(BlockKey { run, first, number: 0 }, last, |out| out.extend_from_slice(&payload));
        rest = behind;
    }
    writer.put(&frames)
}

/// Writes the nodes that a source names; `named` is by node type.
pub(super) fn write_nodes(named: &[NodeSet], writer: &mut SegmentWriter) -> Result<()> {
    for (node_type, set) in (0u16..).zip(named) {
        let run = Run::Nodes { node_type: NodeTypeId(node_type) };
        let list: Vec<u32> = set.iter().collect();
        let mut frames = Frames::new(writer.number());
        for block in list.chunks(nodes::BLOCK_NODES) {
            let key = BlockKey { run, first: block[0], number: 0 };
            frames.add(key, block[block.len() - 1], |out| out.extend_from_slice(&nodes::encode(block)));
        }
        writer.put(&frames)?;
    }
    Ok(())
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
