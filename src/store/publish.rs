//! From the store to a snapshot: live nodes numbered anew in the order of their keys, the last value of each attribute, and
//! all edges.

use std::sync::Arc;

use indicatif::ProgressBar;
use rayon::prelude::*;
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId};

use super::Store;
use super::dictionary::Owner;
use super::key::Run;
use super::names::Names;
use super::nodes::NodeSet;
use super::overlay::Overlay;
use super::posting::{MISSING, NO_TIME};
use super::segment::{Block, EdgeTimes, Segment};
use crate::partition::Memory;
use crate::snapshot::{EdgeBlock, EdgeStream, Gathered, SnapshotId, SnapshotWriter};
use crate::{Error, Result, progress};

/// The number of a node that is not in the snapshot.
const ABSENT: u32 = u32::MAX;

impl Store {
    /// Writes what is committed as a snapshot and makes it current. Equal contents give the same snapshot.
    ///
    /// # Errors
    /// When a block that it needs is damaged: nothing is published then.
    pub fn snapshot(&mut self, quiet: bool) -> Result<SnapshotId> {
        let layers = self.commit.layers().map(|(layer, entry)| Ok((layer, self.segment(entry)?)));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let outgoing = |run| !matches!(run, Run::Postings { direction: Direction::Incoming, .. });
        let blocks: usize =
            layers.iter().map(|(_, segment)| segment.blocks().iter().filter(|block| outgoing(block.key.run)).count()).sum();
        let pass = Pass {
            store: self,
            overlay: self.overlay()?,
            layers,
            bar: progress::bar("snapshot", blocks as u64, "blocks", quiet),
        };
        let mut writer = SnapshotWriter::create(&self.path, &self.commit.schema)?;
        let schema = &self.commit.schema;
        let node_types: Vec<NodeTypeId> = schema.node_type_ids().collect();
        let named = node_types.par_iter().map(|&node_type| pass.named(node_type)).collect::<Result<Vec<_>>>()?;
        let numbers: Vec<Numbers> = named.par_iter().map(Named::numbers).collect();
        let memory = writer.memory();
        let gather = |relation: RelationId| pass.relation(relation, &numbers, &memory);
        let relations: Vec<RelationId> = schema.relation_ids().collect();
        // What is read does not wait for what is written before it.
        let (written, first) = rayon::join(
            || pass.nodes(&named, &numbers, &mut writer),
            || relations.first().map(|&relation| gather(relation)).transpose(),
        );
        written?;
        drop(named);
        let mut gathered = first?;
        for (at, &relation) in relations.iter().enumerate() {
            let current = match gathered.take() {
                Some(gathered) => gathered,
                None => gather(relation)?,
            };
            // A large one would take the memory that this one needs.
            let next = relations.get(at + 1).filter(|&&next| self.edges_of_all_layers(next) <= EDGES_AHEAD);
            let (written, ahead) =
                rayon::join(|| writer.gathered(current), || next.map(|&relation| gather(relation)).transpose());
            written?;
            gathered = ahead?;
        }
        let id = writer.publish(self.sources())?;
        pass.bar.finish_and_clear();
        Ok(id)
    }
}

/// The most edges of a relation that are gathered while those of the one before are written.
const EDGES_AHEAD: u64 = 1 << 23;

/// One ordered pass over the committed segments.
struct Pass<'s> {
    store: &'s Store,
    overlay: &'s Overlay,
    /// See [`overlay`](super::overlay).
    layers: Vec<(u32, Arc<Segment>)>,
    bar: ProgressBar,
}

/// The live nodes of a type in the order of their keys.
struct Named {
    names: Names,
    nodes: Vec<u32>,
}

impl Named {
    fn keys(&self) -> Vec<&str> {
        self.nodes.iter().map(|&node| self.names.get(node)).collect()
    }

    fn numbers(&self) -> Numbers {
        let mut new = vec![ABSENT; self.names.len() as usize];
        for (at, &node) in (0u32..).zip(&self.nodes) {
            new[node as usize] = at;
        }
        Numbers { new, count: self.nodes.len() }
    }
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

    /// Appends the numbers of many nodes; the first that is not there is the error.
    fn of_all(&self, nodes: &[u32], into: &mut Vec<u32>) -> Result<(), u32> {
        let before = into.len();
        into.extend(nodes.iter().map(|&node| self.new.get(node as usize).copied().unwrap_or(ABSENT)));
        match into[before..].iter().position(|&new| new == ABSENT) {
            Some(at) => Err(nodes[at]),
            None => Ok(()),
        }
    }
}

impl Pass<'_> {
    /// Writes the nodes of all types, and their attributes.
    fn nodes(&self, named: &[Named], numbers: &[Numbers], writer: &mut SnapshotWriter) -> Result<()> {
        let schema = self.store.schema();
        for (node_type, named) in schema.node_type_ids().zip(named) {
            writer.nodes(node_type, &named.keys())?;
        }
        for (node_type, numbers) in schema.node_type_ids().zip(numbers) {
            for attribute in (0..schema.node(node_type).attributes.len() as u16).map(AttributeId) {
                self.column(node_type, attribute, numbers, writer)?;
            }
        }
        Ok(())
    }

    /// The live nodes of a type.
    fn named(&self, node_type: NodeTypeId) -> Result<Named> {
        let mut named = NodeSet::default();
        for (layer, segment) in &self.layers {
            for block in segment.run(Run::Nodes { node_type }) {
                let nodes = segment.nodes(block, self.store.schema())?.into_iter();
                for node in nodes.filter(|&node| !self.overlay.hides_node(*layer, node_type, node)) {
                    named.insert(node);
                }
                self.bar.inc(1);
            }
        }
        let names = self.store.read_names(Owner::Nodes(node_type))?;
        let nodes: Vec<u32> = named.iter().collect();
        if let Some(&node) = nodes.last().filter(|&&node| node >= names.len()) {
            return Err(self.unknown(node_type, node));
        }
        // Keys of a type often begin alike: what tells them apart comes behind that.
        let shared = shared_prefix(nodes.iter().map(|&node| names.get(node)));
        let mut keyed: Vec<(u64, u32)> =
            nodes.iter().map(|&node| (prefix(&names.get(node).as_bytes()[shared..]), node)).collect();
        keyed.par_sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| names.get(one.1).cmp(names.get(other.1))));
        let nodes = keyed.into_iter().map(|(_, node)| node).collect();
        Ok(Named { names, nodes })
    }

    fn column(
        &self,
        node_type: NodeTypeId,
        attribute: AttributeId,
        numbers: &Numbers,
        writer: &mut SnapshotWriter,
    ) -> Result<()> {
        let run = Run::Column { node_type, attribute };
        if self.layers.iter().all(|(_, segment)| segment.run(run).is_empty()) {
            return Ok(());
        }
        let mut values = vec![None; numbers.count];
        for (layer, segment) in &self.layers {
            for block in segment.run(run) {
                for (node, value) in segment.column(block, self.store.schema())? {
                    if self.overlay.hides_value(*layer, node_type, attribute, node) {
                        continue;
                    }
                    let at = numbers.of(node).ok_or_else(|| self.unknown(node_type, node))?;
                    values[at as usize] = Some(value);
                }
                self.bar.inc(1);
            }
        }
        writer.column(node_type, attribute, &values)
    }

    /// Reads a relation's edges.
    fn relation<'m>(&self, relation: RelationId, numbers: &[Numbers], memory: &'m Memory) -> Result<Gathered<'m>> {
        let known = self.store.schema().edge(relation);
        let ends = [known.source, known.target].map(|end| &numbers[end.index()]);
        let run = Run::Postings { relation, direction: Direction::Outgoing };
        let pieces = (self.layers.iter())
            .flat_map(|(layer, segment)| {
                segment.run(run).chunks(PIECE_BLOCKS).map(move |blocks| (*layer, segment.as_ref(), blocks))
            })
            .collect();
        let edges = self.store.edges_of_all_layers(relation);
        let stats = self.store.commit.segments().flat_map(|entry| &entry.edges).filter(|stats| stats.relation == relation);
        let span = stats.map(|stats| stats.times).try_fold(EdgeTimes::NONE, |all, times| Some(all.and(times?)));
        // What is hidden may be the first or the last.
        let times = span.filter(|_| self.overlay.is_empty()).map(|span| (span.first, span.last));
        let stream = Stored { pass: self, relation, ends, pieces, edges, times };
        let mut categories = vec![Vec::new(); known.attributes.len()];
        for (at, attribute) in (0u16..).zip(&known.attributes) {
            if attribute.kind == AttributeKind::Category {
                let names = self.store.read_names(Owner::Categories(relation, AttributeId(at)))?;
                categories[usize::from(at)] = (0..names.len()).map(|code| names.get(code).to_owned()).collect();
            }
        }
        // Fewer than 2^32 of each type: their numbers have 32 bits.
        let counts: Vec<u32> = numbers.iter().map(|numbers| numbers.count as u32).collect();
        Gathered::of(self.store.schema(), &counts, memory, relation, &stream, categories)
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

/// The first eight bytes as a number that sorts as they do; most keys differ in them.
fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = key.len().min(8);
    bytes[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(bytes)
}

/// With how many bytes all keys begin alike.
fn shared_prefix<'k>(mut keys: impl Iterator<Item = &'k str>) -> usize {
    let Some(first) = keys.next() else { return 0 };
    let alike = |length: usize, key: &str| {
        first.as_bytes()[..length].iter().zip(key.as_bytes()).take_while(|(one, other)| one == other).count()
    };
    keys.fold(first.len(), alike)
}

/// Blocks that are read at once.
const PIECE_BLOCKS: usize = 32;

/// The committed edges of a relation.
struct Stored<'p, 's> {
    pass: &'p Pass<'s>,
    relation: RelationId,
    ends: [&'p Numbers; 2],
    /// Each with its layer.
    pieces: Vec<(u32, &'p Segment, &'p [Block])>,
    edges: u64,
    /// See [`EdgeStream::times`].
    times: Option<(i64, i64)>,
}

impl EdgeStream for Stored<'_, '_> {
    fn pieces(&self) -> usize {
        self.pieces.len()
    }

    fn edges(&self) -> u64 {
        self.edges
    }

    fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    fn read(&self, piece: usize, into: &mut EdgeBlock) -> Result<()> {
        let (layer, segment, blocks) = self.pieces[piece];
        let schema = self.pass.store.schema();
        let known = schema.edge(self.relation);
        let [sources, targets] = self.ends;
        segment.postings_of(blocks, schema, |postings| {
            let postings = &*self.pass.overlay.visible(layer, self.relation, known, postings);
            let before = into.sources.len();
            let unknown = |node_type| move |node| self.pass.unknown(node_type, node);
            sources.of_all(&postings.nears, &mut into.sources).map_err(unknown(known.source))?;
            targets.of_all(&postings.fars, &mut into.targets).map_err(unknown(known.target))?;
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
