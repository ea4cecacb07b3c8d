//! What a source has brought and no segment holds yet: columns in memory, and how they become blocks.

use std::collections::BTreeMap;

use rayon::prelude::*;
use relata_schema::{AttributeId, Direction, NodeTypeId, RelationId, Value};

use super::bytes::Malformed;
use super::key::{BlockKey, Run};
use super::nodes::{self, NodeSet};
use super::posting::{BLOCK_EDGES, MISSING, NO_TIME, Postings};
use super::segment::{Frame, SegmentWriter};
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
            for direction in Direction::BOTH {
                edges.write(relation, direction, writer)?;
            }
            writer.count_edges(relation, edges.sources.len() as u64);
        }
        for ((node_type, attribute), rows) in std::mem::take(&mut self.columns) {
            write_column(node_type, attribute, rows, writer)?;
        }
        Ok(())
    }
}

impl Edges {
    fn write(&self, relation: RelationId, direction: Direction, writer: &mut SegmentWriter) -> Result<()> {
        let (nears, fars) = match direction {
            Direction::Outgoing => (&self.sources, &self.targets),
            Direction::Incoming => (&self.targets, &self.sources),
        };
        let run = Run::Postings { relation, direction };
        let segment = writer.number();
        let mut order = ordered(nears);
        let mut groups = grouped(&mut order, nears);
        for groups in groups.chunks_mut(GROUPS) {
            let frames: Vec<Vec<Frame>> = groups
                .par_iter_mut()
                .map(|group| {
                    for list in group.chunk_by_mut(|&a, &b| nears[a as usize] == nears[b as usize]) {
                        if self.times.is_empty() {
                            list.sort_unstable_by_key(|&edge| (fars[edge as usize], edge));
                        } else {
                            list.sort_unstable_by_key(|&edge| (self.times[edge as usize], fars[edge as usize], edge));
                        }
                    }
                    self.frames(segment, run, nears, fars, group)
                })
                .collect();
            for frame in frames.iter().flatten() {
                writer.put(frame)?;
            }
        }
        Ok(())
    }

    fn frames(&self, segment: u32, run: Run, nears: &[u32], fars: &[u32], group: &[u32]) -> Vec<Frame> {
        let (mut before, mut number) = (None, 0);
        let gathered = |column: &[u32], edges: &[u32]| edges.iter().map(|&edge| column[edge as usize]).collect::<Vec<_>>();
        group
            .chunks(BLOCK_EDGES)
            .map(|edges| {
                let block = Postings {
                    nears: gathered(nears, edges),
                    fars: gathered(fars, edges),
                    times: edges.iter().filter_map(|&edge| self.times.get(edge as usize).copied()).collect(),
                    attributes: self.attributes.iter().map(|column| gathered(column, edges)).collect(),
                };
                let (first, last) = (block.nears[0], block.nears[block.nears.len() - 1]);
                number = if before == Some(first) { number + 1 } else { 0 };
                before = Some(first);
                Frame::new(segment, BlockKey { run, first, number }, last, &block.encode())
            })
            .collect()
    }
}

/// The places of `nears` in ascending order of what stands there; equal ones as they come.
fn ordered(nears: &[u32]) -> Vec<u32> {
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
fn grouped<'o>(mut order: &'o mut [u32], nears: &[u32]) -> Vec<&'o mut [u32]> {
    let mut groups = Vec::new();
    while !order.is_empty() {
        let mut end = GROUP_EDGES.min(order.len());
        let last = nears[order[end - 1] as usize];
        end += order[end..].partition_point(|&edge| nears[edge as usize] == last);
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
        writer.put(&Frame::new(writer.number(), BlockKey { run, first, number: 0 }, last, &payload))?;
        rest = behind;
    }
    Ok(())
}

/// Writes the nodes that a source names; `named` is by node type.
pub(super) fn write_nodes(named: &[NodeSet], writer: &mut SegmentWriter) -> Result<()> {
    for (node_type, set) in (0u16..).zip(named) {
        let run = Run::Nodes { node_type: NodeTypeId(node_type) };
        let list: Vec<u32> = set.iter().collect();
        for block in list.chunks(nodes::BLOCK_NODES) {
            let key = BlockKey { run, first: block[0], number: 0 };
            writer.put(&Frame::new(writer.number(), key, block[block.len() - 1], &nodes::encode(block)))?;
        }
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
