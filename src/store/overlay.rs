//! What edits hide of the layers below them.
//!
//! All sources together are layer 0; the edits that the commit lists are layers 1, 2, …. An edit hides nodes, values and
//! edges of every layer below its own, and never any of its own.

use std::borrow::Cow;
use std::collections::HashMap;

use relata_schema::{AttributeId, NodeTypeId, Relation, RelationId, Schema};

use super::key::Run;
use super::nodes::NodeSet;
use super::posting::Postings;
use super::segment::Segment;
use crate::Result;

/// Answers whether something is hidden, from memory that grows with the edits alone.
#[derive(Default)]
pub(super) struct Overlay {
    nodes: HashMap<NodeTypeId, Hidden<u32>>,
    values: HashMap<(NodeTypeId, AttributeId), Hidden<u32>>,
    /// The lower end of a symmetric edge first.
    edges: HashMap<RelationId, Hidden<(u32, u32)>>,
}

/// The highest layer that hides each.
#[derive(Default)]
struct Hidden<T> {
    /// The nodes, or the first nodes of the pairs: most questions end here.
    nodes: NodeSet,
    layers: HashMap<T, u32>,
}

impl<T: Copy + Eq + std::hash::Hash> Hidden<T> {
    /// Layers come in ascending order.
    fn insert(&mut self, node: u32, hidden: T, layer: u32) {
        self.nodes.insert(node);
        self.layers.insert(hidden, layer);
    }

    fn hides(&self, layer: u32, node: u32, asked: T) -> bool {
        self.nodes.contains(node) && self.layers.get(&asked).is_some_and(|&hiding| hiding > layer)
    }
}

impl Overlay {
    /// Of the edits' segments, in the order of their layers.
    pub(super) fn of<'s>(edits: impl IntoIterator<Item = &'s Segment>, schema: &Schema) -> Result<Self> {
        let mut overlay = Self::default();
        for (segment, layer) in edits.into_iter().zip(1..) {
            for block in segment.blocks() {
                match block.key.run {
                    Run::DeletedNodes { node_type } => {
                        let hidden = overlay.nodes.entry(node_type).or_default();
                        segment.nodes(block, schema)?.into_iter().for_each(|node| hidden.insert(node, node, layer));
                    }
                    Run::UnsetValues { node_type, attribute } => {
                        let hidden = overlay.values.entry((node_type, attribute)).or_default();
                        segment.nodes(block, schema)?.into_iter().for_each(|node| hidden.insert(node, node, layer));
                    }
                    Run::HiddenEdges { relation } => {
                        let hidden = overlay.edges.entry(relation).or_default();
                        segment.pairs(block, schema)?.into_iter().for_each(|pair| hidden.insert(pair.0, pair, layer));
                    }
                    Run::Postings { .. } | Run::Column { .. } | Run::Nodes { .. } => {}
                }
            }
        }
        Ok(overlay)
    }

    /// Whether nothing is hidden, so that nothing else need be asked.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.values.is_empty() && self.edges.is_empty()
    }

    /// Whether a layer above deletes the node.
    pub(super) fn hides_node(&self, layer: u32, node_type: NodeTypeId, node: u32) -> bool {
        self.nodes.get(&node_type).is_some_and(|hidden| hidden.hides(layer, node, node))
    }

    /// Whether a layer above removes the value, or deletes its node.
    pub(super) fn hides_value(&self, layer: u32, node_type: NodeTypeId, attribute: AttributeId, node: u32) -> bool {
        self.values.get(&(node_type, attribute)).is_some_and(|hidden| hidden.hides(layer, node, node))
            || self.hides_node(layer, node_type, node)
    }

    /// Whether a layer above removes the edges between these ends, or deletes one of them.
    pub(super) fn hides_edge(&self, layer: u32, id: RelationId, relation: &Relation, source: u32, target: u32) -> bool {
        let (first, second) = ends(relation, source, target);
        self.edges.get(&id).is_some_and(|hidden| hidden.hides(layer, first, (first, second)))
            || self.hides_node(layer, relation.source, source)
            || self.hides_node(layer, relation.target, target)
    }

    /// Whether it may hide edges of a relation.
    pub(super) fn may_hide_edges(&self, id: RelationId, relation: &Relation) -> bool {
        self.edges.contains_key(&id) || self.nodes.contains_key(&relation.source) || self.nodes.contains_key(&relation.target)
    }

    /// What is not hidden of outgoing edges.
    pub(super) fn visible<'p>(
        &self,
        layer: u32,
        id: RelationId,
        relation: &Relation,
        outgoing: &'p Postings,
    ) -> Cow<'p, Postings> {
        if !self.may_hide_edges(id, relation) {
            return Cow::Borrowed(outgoing);
        }
        let hides = |edge: usize| self.hides_edge(layer, id, relation, outgoing.nears[edge], outgoing.fars[edge]);
        let places: Vec<usize> = (0..outgoing.len()).filter(|&edge| !hides(edge)).collect();
        if places.len() == outgoing.len() {
            return Cow::Borrowed(outgoing);
        }
        let picked = |from: &[u32]| places.iter().filter_map(|&edge| from.get(edge).copied()).collect::<Vec<u32>>();
        Cow::Owned(Postings {
            nears: picked(&outgoing.nears),
            fars: picked(&outgoing.fars),
            times: places.iter().filter_map(|&edge| outgoing.times.get(edge).copied()).collect(),
            attributes: outgoing.attributes.iter().map(|column| picked(column)).collect(),
        })
    }
}

/// An edge's ends as its relation's hidden edges name them.
pub(super) fn ends(relation: &Relation, source: u32, target: u32) -> (u32, u32) {
    if relation.symmetric { (source.min(target), source.max(target)) } else { (source, target) }
}
