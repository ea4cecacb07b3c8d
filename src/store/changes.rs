//! Changes of people's own, in memory: what was said last of each node, value and edge.

use std::collections::BTreeMap;

use relata_schema::{AttributeId, AttributeKind, Direction, EdgeValue, NodeTypeId, RelationId, Schema, Value};

use super::key::Run;
use super::nodes::NodeSet;
use super::overlay::ends;
use super::pairs;
use super::posting::{Decoder, MISSING, NO_TIME};
use super::segment::{Frames, Segment, SegmentWriter};
use super::staging::{self, Staging};
use super::store::edge_value;
use crate::Result;

/// What stands and what is taken away. All that was said before a node's deletion of it, its values and its edges counts no
/// more; that is decided when it is asked for, so that a deletion costs no search.
#[derive(Default)]
pub(super) struct Changes {
    /// Counts what was said.
    clock: u64,
    /// When a node was last deleted.
    deleted: BTreeMap<NodeTypeId, BTreeMap<u32, u64>>,
    /// When a node was last upserted.
    upserted: BTreeMap<NodeTypeId, BTreeMap<u32, u64>>,
    values: BTreeMap<(NodeTypeId, AttributeId), BTreeMap<u32, Said<Value>>>,
    edges: BTreeMap<RelationId, BTreeMap<(u32, u32), Said<Edge>>>,
}

/// What was said last, and when; `None` takes away what lies below.
struct Said<T> {
    at: u64,
    what: Option<T>,
}

/// What an edge carries.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    pub time: Option<i64>,
    pub attributes: Vec<EdgeValue>,
}

/// How much of it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub nodes: u64,
    pub edges: u64,
    pub values: u64,
    pub deleted_nodes: Vec<(NodeTypeId, u32)>,
    pub deleted_edges: Vec<(RelationId, u32, u32)>,
    pub unset_values: Vec<(NodeTypeId, AttributeId, u32)>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.clock == 0
    }

    /// How often something was said.
    pub(super) fn said(&self) -> u64 {
        self.clock
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn upsert_node(&mut self, node_type: NodeTypeId, node: u32) {
        let at = self.tick();
        self.upserted.entry(node_type).or_default().insert(node, at);
    }

    pub(super) fn delete_node(&mut self, node_type: NodeTypeId, node: u32) {
        let at = self.tick();
        self.deleted.entry(node_type).or_default().insert(node, at);
    }

    pub(super) fn set(&mut self, node_type: NodeTypeId, attribute: AttributeId, node: u32, value: Option<Value>) {
        let at = self.tick();
        self.values.entry((node_type, attribute)).or_default().insert(node, Said { at, what: value });
    }

    /// The edge between these ends, or none.
    pub(super) fn edge(&mut self, schema: &Schema, relation: RelationId, source: u32, target: u32, edge: Option<Edge>) {
        let at = self.tick();
        let pair = ends(schema.edge(relation), source, target);
        self.edges.entry(relation).or_default().insert(pair, Said { at, what: edge });
    }

    /// Whether it was deleted, be it that it was upserted after that.
    pub(super) fn deletes(&self, node_type: NodeTypeId, node: u32) -> bool {
        self.deleted.get(&node_type).is_some_and(|deleted| deleted.contains_key(&node))
    }

    /// Whether it was upserted, and not deleted after that.
    pub(super) fn upserts(&self, node_type: NodeTypeId, node: u32) -> bool {
        let upserted = self.upserted.get(&node_type).and_then(|upserted| upserted.get(&node));
        upserted.is_some_and(|&at| self.stands(node_type, node, at))
    }

    /// What was said of the edge between these ends, if that stands.
    pub(super) fn said_of_edge(&self, schema: &Schema, relation: RelationId, source: u32, target: u32) -> Option<Option<&Edge>> {
        let known = schema.edge(relation);
        let said = self.edges.get(&relation)?.get(&ends(known, source, target))?;
        let stands = self.stands(known.source, source, said.at) && self.stands(known.target, target, said.at);
        stands.then_some(said.what.as_ref())
    }

    /// Whether what was said of a node at a time was said after its deletion.
    fn stands(&self, node_type: NodeTypeId, node: u32, at: u64) -> bool {
        self.deleted.get(&node_type).and_then(|deleted| deleted.get(&node)).is_none_or(|&deleted| deleted < at)
    }

    /// Values that stand, and those taken away, by attribute and node.
    fn standing_values(&self) -> impl Iterator<Item = (NodeTypeId, AttributeId, u32, Option<&Value>)> {
        self.values.iter().flat_map(move |(&(node_type, attribute), rows)| {
            let rows = rows.iter().filter(move |&(&node, said)| self.stands(node_type, node, said.at));
            rows.map(move |(&node, said)| (node_type, attribute, node, said.what.as_ref()))
        })
    }

    /// Edges that stand, and those taken away, by relation and ends.
    fn standing_edges(&self, schema: &Schema) -> impl Iterator<Item = (RelationId, u32, u32, Option<&Edge>)> {
        self.edges.iter().flat_map(move |(&relation, edges)| {
            let (near, far) = (schema.edge(relation).source, schema.edge(relation).target);
            let stands = move |&(&(source, target), said): &(&(u32, u32), &Said<Edge>)| {
                self.stands(near, source, said.at) && self.stands(far, target, said.at)
            };
            edges.iter().filter(stands).map(move |(&(source, target), said)| (relation, source, target, said.what.as_ref()))
        })
    }

    /// By node type, the nodes that what stands names.
    fn named(&self, schema: &Schema) -> Vec<NodeSet> {
        let mut named = vec![NodeSet::default(); schema.node_types().len()];
        for (&node_type, upserted) in &self.upserted {
            for (&node, _) in upserted.iter().filter(|&(&node, &at)| self.stands(node_type, node, at)) {
                named[node_type.index()].insert(node);
            }
        }
        for (node_type, _, node, value) in self.standing_values() {
            if value.is_some() {
                named[node_type.index()].insert(node);
            }
        }
        for (relation, source, target, edge) in self.standing_edges(schema) {
            if edge.is_some() {
                named[schema.edge(relation).source.index()].insert(source);
                named[schema.edge(relation).target.index()].insert(target);
            }
        }
        named
    }

    pub(super) fn counts(&self, schema: &Schema) -> Counts {
        let mut counts = Counts { nodes: self.named(schema).iter().map(|set| set.len() as u64).sum(), ..Counts::default() };
        for (node_type, attribute, node, value) in self.standing_values() {
            match value {
                Some(_) => counts.values += 1,
                None => counts.unset_values.push((node_type, attribute, node)),
            }
        }
        for (relation, source, target, edge) in self.standing_edges(schema) {
            match edge {
                Some(_) => counts.edges += 1,
                None => counts.deleted_edges.push((relation, source, target)),
            }
        }
        for (&node_type, deleted) in &self.deleted {
            counts.deleted_nodes.extend(deleted.keys().map(|&node| (node_type, node)));
        }
        counts
    }

    /// Writes all of it as the blocks of a segment.
    pub(super) fn write(&self, schema: &Schema, writer: &mut SegmentWriter) -> Result<()> {
        let mut staging = Staging::default();
        let mut unset: BTreeMap<Run, Vec<u32>> = BTreeMap::new();
        for (node_type, attribute, node, value) in self.standing_values() {
            match value {
                Some(value) => staging.value(node_type, node, attribute, value.clone()),
                None => unset.entry(Run::UnsetValues { node_type, attribute }).or_default().push(node),
            }
        }
        let mut hidden: BTreeMap<RelationId, Vec<(u32, u32)>> = BTreeMap::new();
        for (relation, source, target, edge) in self.standing_edges(schema) {
            hidden.entry(relation).or_default().push((source, target));
            if let Some(edge) = edge {
                let bits: Vec<u32> = edge.attributes.iter().map(|&value| staging::bits(value)).collect();
                staging.edge(relation, source, target, edge.time, &bits);
            }
        }
        staging.write(writer)?;
        staging::write_nodes(&self.named(schema), writer)?;
        for (&node_type, deleted) in &self.deleted {
            staging::write_list(Run::DeletedNodes { node_type }, &deleted.keys().copied().collect::<Vec<_>>(), writer)?;
        }
        for (run, list) in unset {
            staging::write_list(run, &list, writer)?;
        }
        for (relation, list) in hidden {
            write_pairs(Run::HiddenEdges { relation }, &list, writer)?;
        }
        Ok(())
    }

    /// Says again what a segment of edits says, after all that was said before.
    pub(super) fn read(&mut self, segment: &Segment, schema: &Schema) -> Result<()> {
        for block in segment.blocks() {
            match block.key.run {
                Run::DeletedNodes { node_type } => {
                    segment.nodes(block, schema)?.into_iter().for_each(|node| self.delete_node(node_type, node));
                }
                Run::UnsetValues { node_type, attribute } => {
                    segment.nodes(block, schema)?.into_iter().for_each(|node| self.set(node_type, attribute, node, None));
                }
                Run::HiddenEdges { relation } => {
                    let pairs = segment.pairs(block, schema)?;
                    pairs.into_iter().for_each(|(source, target)| self.edge(schema, relation, source, target, None));
                }
                Run::Postings { .. } | Run::Column { .. } | Run::Nodes { .. } => {}
            }
        }
        let mut decoder = Decoder::default();
        for block in segment.blocks() {
            match block.key.run {
                Run::Nodes { node_type } => {
                    segment.nodes(block, schema)?.into_iter().for_each(|node| self.upsert_node(node_type, node));
                }
                Run::Column { node_type, attribute } => {
                    let rows = segment.column(block, schema)?;
                    rows.into_iter().for_each(|(node, value)| self.set(node_type, attribute, node, Some(value)));
                }
                Run::Postings { relation, direction: Direction::Outgoing } => {
                    let postings = segment.postings(block, schema, &mut decoder)?;
                    for at in 0..postings.len() {
                        let value = |(column, kind): (usize, AttributeKind)| {
                            edge_value(kind, postings.attributes.get(column).map_or(MISSING, |column| column[at]))
                        };
                        let kinds = schema.edge(relation).attributes.iter().map(|attribute| attribute.kind);
                        let edge = Edge {
                            time: postings.times.get(at).copied().filter(|&time| time != NO_TIME),
                            attributes: kinds.enumerate().map(value).collect(),
                        };
                        self.edge(schema, relation, postings.nears[at], postings.fars[at], Some(edge));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Says what `later` says, after all that was said before.
    pub(super) fn extend(&mut self, schema: &Schema, later: Self) {
        for (&node_type, deleted) in &later.deleted {
            deleted.keys().for_each(|&node| self.delete_node(node_type, node));
        }
        for (&node_type, upserted) in &later.upserted {
            for (&node, _) in upserted.iter().filter(|&(&node, &at)| later.stands(node_type, node, at)) {
                self.upsert_node(node_type, node);
            }
        }
        for (node_type, attribute, node, value) in later.standing_values() {
            self.set(node_type, attribute, node, value.cloned());
        }
        for (relation, source, target, edge) in later.standing_edges(schema) {
            self.edge(schema, relation, source, target, edge.cloned());
        }
    }
}

fn write_pairs(run: Run, list: &[(u32, u32)], writer: &mut SegmentWriter) -> Result<()> {
    let mut frames = Frames::new(writer.number());
    for block in list.chunks(pairs::BLOCK_PAIRS) {
        let (first, last) = (block[0].0, block[block.len() - 1].0);
        frames.add(run, first, last, |out| out.extend_from_slice(&pairs::encode(block)));
    }
    writer.put(&frames)
}
