//! From the store to a snapshot: live nodes numbered anew in the order of their keys, the last value of each attribute, and
//! all edges.

use std::sync::Arc;

use indicatif::ProgressBar;
use rayon::prelude::*;
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId};

use super::Store;
use super::dictionary::Owner;
use super::key::Run;
use super::nodes::NodeSet;
use super::posting::{MISSING, NO_TIME};
use super::segment::{Block, Segment};
use crate::snapshot::{EdgeBlock, EdgeStream, SnapshotId, SnapshotWriter};
use crate::{Error, Result, progress};

/// The number of a node that is not in the snapshot.
const ABSENT: u32 = u32::MAX;

impl Store {
    /// Writes what is committed as a snapshot and makes it current. Equal contents give the same snapshot.
    ///
    /// # Errors
    /// When a block that it needs is damaged: nothing is published then.
    pub fn snapshot(&mut self, quiet: bool) -> Result<SnapshotId> {
        let segments = self.commit.segments().map(|entry| self.segment(entry)).collect::<Result<Vec<_>>>()?;
        let outgoing = |run| !matches!(run, Run::Postings { direction: Direction::Incoming, .. });
        let blocks: usize =
            segments.iter().map(|segment| segment.blocks().iter().filter(|block| outgoing(block.key.run)).count()).sum();
        let pass = Pass { store: self, segments, bar: progress::bar("snapshot", blocks as u64, "blocks", quiet) };
        let mut writer = SnapshotWriter::create(&self.path, &self.commit.schema)?;
        let schema = &self.commit.schema;
        let mut numbers = Vec::with_capacity(schema.node_types().len());
        for node_type in schema.node_type_ids() {
            numbers.push(pass.nodes(node_type, &mut writer)?);
        }
        for node_type in schema.node_type_ids() {
            for attribute in (0..schema.node(node_type).attributes.len() as u16).map(AttributeId) {
                pass.column(node_type, attribute, &numbers[node_type.index()], &mut writer)?;
            }
        }
        for relation in schema.relation_ids() {
            let ends = schema.edge(relation);
            pass.relation(relation, &numbers[ends.source.index()], &numbers[ends.target.index()], &mut writer)?;
        }
        let id = writer.publish(self.sources())?;
        pass.bar.finish_and_clear();
        Ok(id)
    }
}

/// One ordered pass over the committed segments.
struct Pass<'s> {
    store: &'s Store,
    segments: Vec<Arc<Segment>>,
    bar: ProgressBar,
}

/// The nodes of a type in the snapshot.
struct Numbers {
    /// By the store's number, the snapshot's, or [`ABSENT`].
    new: Vec<u32>,
    count: usize,
}

impl Numbers {
    fn of(&self, node: u32) -> Option<u32> {
        self.new.get(node as usize).copied().filter(|&new| new != ABSENT)
    }
}

impl Pass<'_> {
    fn nodes(&self, node_type: NodeTypeId, writer: &mut SnapshotWriter) -> Result<Numbers> {
        let mut named = NodeSet::default();
        for segment in &self.segments {
            for block in segment.run(Run::Nodes { node_type }) {
                segment.nodes(block, self.store.schema())?.into_iter().for_each(|node| {
                    named.insert(node);
                });
                self.bar.inc(1);
            }
        }
        let names = self.store.read_names(Owner::Nodes(node_type))?;
        let mut nodes: Vec<u32> = named.iter().collect();
        if let Some(&node) = nodes.last().filter(|&&node| node >= names.len()) {
            return Err(self.unknown(node_type, node));
        }
        nodes.par_sort_unstable_by_key(|&node| (prefix(names.get(node)), names.get(node)));
        let keys: Vec<&str> = nodes.iter().map(|&node| names.get(node)).collect();
        writer.nodes(node_type, &keys)?;
        let mut new = vec![ABSENT; names.len() as usize];
        for (at, &node) in (0u32..).zip(&nodes) {
            new[node as usize] = at;
        }
        Ok(Numbers { new, count: nodes.len() })
    }

    fn column(
        &self,
        node_type: NodeTypeId,
        attribute: AttributeId,
        numbers: &Numbers,
        writer: &mut SnapshotWriter,
    ) -> Result<()> {
        let run = Run::Column { node_type, attribute };
        if self.segments.iter().all(|segment| segment.run(run).is_empty()) {
            return Ok(());
        }
        let mut values = vec![None; numbers.count];
        for segment in &self.segments {
            for block in segment.run(run) {
                for (node, value) in segment.column(block, self.store.schema())? {
                    let at = numbers.of(node).ok_or_else(|| self.unknown(node_type, node))?;
                    values[at as usize] = Some(value);
                }
                self.bar.inc(1);
            }
        }
        writer.column(node_type, attribute, &values)
    }

    fn relation(&self, relation: RelationId, sources: &Numbers, targets: &Numbers, writer: &mut SnapshotWriter) -> Result<()> {
        let known = self.store.schema().edge(relation);
        let run = Run::Postings { relation, direction: Direction::Outgoing };
        let pieces = (self.segments.iter())
            .flat_map(|segment| segment.run(run).chunks(PIECE_BLOCKS).map(move |blocks| (segment.as_ref(), blocks)))
            .collect();
        let edges = self.store.edge_count(relation);
        let stream = Stored { pass: self, relation, ends: [sources, targets], pieces, edges };
        let mut categories = vec![Vec::new(); known.attributes.len()];
        for (at, attribute) in (0u16..).zip(&known.attributes) {
            if attribute.kind == AttributeKind::Category {
                let names = self.store.read_names(Owner::Categories(relation, AttributeId(at)))?;
                categories[usize::from(at)] = (0..names.len()).map(|code| names.get(code).to_owned()).collect();
            }
        }
        writer.relation_from(relation, &stream, &categories)
    }

    /// A block refers to a node that no live segment names, which no load writes.
    fn unknown(&self, node_type: NodeTypeId, node: u32) -> Error {
        Error::Damaged {
            path: self.store.path.clone(),
            record: format!("node {node} of type {}", self.store.schema().node(node_type).name),
            found: "a block refers to it, and no source names it".to_owned(),
            remedy: super::REMEDY_DAMAGED.to_owned(),
        }
    }
}

/// A key's first eight bytes as a number that sorts as they do; most keys differ in them.
fn prefix(key: &str) -> u64 {
    let mut bytes = [0; 8];
    let length = key.len().min(8);
    bytes[..length].copy_from_slice(&key.as_bytes()[..length]);
    u64::from_be_bytes(bytes)
}

/// Blocks that are read at once.
const PIECE_BLOCKS: usize = 128;

/// The committed edges of a relation.
struct Stored<'p, 's> {
    pass: &'p Pass<'s>,
    relation: RelationId,
    ends: [&'p Numbers; 2],
    pieces: Vec<(&'p Segment, &'p [Block])>,
    edges: u64,
}

impl EdgeStream for Stored<'_, '_> {
    fn pieces(&self) -> usize {
        self.pieces.len()
    }

    fn edges(&self) -> u64 {
        self.edges
    }

    fn read(&self, piece: usize, into: &mut EdgeBlock) -> Result<()> {
        let (segment, blocks) = self.pieces[piece];
        let schema = self.pass.store.schema();
        let known = schema.edge(self.relation);
        let [sources, targets] = self.ends;
        segment.postings_of(blocks, schema, |postings| {
            let before = into.sources.len();
            let number = |numbers: &Numbers, node_type, node| numbers.of(node).ok_or_else(|| self.pass.unknown(node_type, node));
            for &source in &postings.nears {
                into.sources.push(number(sources, known.source, source)?);
            }
            for &target in &postings.fars {
                into.targets.push(number(targets, known.target, target)?);
            }
            if !postings.times.is_empty() {
                into.times.resize(before, NO_TIME);
                into.times.extend(&postings.times);
            }
            // Blocks from before the relation had an attribute have no column of it.
            into.attributes.resize_with(known.attributes.len().max(into.attributes.len()), Vec::new);
            for (column, values) in into.attributes.iter_mut().zip(&postings.attributes) {
                column.resize(before, MISSING);
                column.extend(values);
            }
            for column in into.attributes.iter_mut().filter(|column| !column.is_empty()) {
                column.resize(into.sources.len(), MISSING);
            }
            if !into.times.is_empty() {
                into.times.resize(into.sources.len(), NO_TIME);
            }
            Ok(())
        })?;
        self.pass.bar.inc(blocks.len() as u64);
        Ok(())
    }
}
