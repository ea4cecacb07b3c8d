//! A plain model of what a store holds, in names: its sources in their order, and above them the edits.

use std::collections::{BTreeMap, BTreeSet};

use relata_schema::Direction;
use serde::{Deserialize, Serialize};

use crate::content::{Attributes, Content};

/// Type and key.
pub type Node = (String, String);

/// Relation, source, target, the texts of its attributes, empty where missing.
pub type Edge = (String, String, String, Vec<String>);

/// The relation of the series' schema that has no orientation.
const SYMMETRIC: &str = "near";

/// What a source brings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PlainSource {
    /// What the record of it says of its content; empty where the loader says something of its own.
    pub fingerprint: String,
    pub nodes: Vec<(Node, Attributes)>,
    pub edges: Vec<Edge>,
}

/// A word of an edit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Word {
    UpsertNode(Node),
    DeleteNode(Node),
    /// The attribute and its value, or that it has none any more.
    Set(Node, String, Option<String>),
    UpsertEdge(Edge),
    /// Relation and ends.
    DeleteEdge(String, String, String),
}

/// What an edit says in the end: within it the last word wins, and a deleted node takes all that was said of it before along.
#[derive(Clone, Debug, Default)]
pub struct PlainEdit {
    deleted: BTreeSet<Node>,
    nodes: BTreeSet<Node>,
    values: BTreeMap<(Node, String), Option<String>>,
    /// By relation and ends.
    edges: BTreeMap<(String, String, String), Option<Edge>>,
}

impl PlainEdit {
    pub fn of(words: &[Word]) -> Self {
        let mut edit = Self::default();
        words.iter().for_each(|word| edit.say(word));
        edit
    }

    /// This edit and a later one as one that does the same.
    pub fn then(mut self, later: &Self) -> Self {
        // What an edit gives a value or an edge it names, also where a later one takes the value or edge away again.
        let valued = self.values.iter().filter(|(_, value)| value.is_some()).map(|((node, _), _)| node.clone());
        let linked = self.edges.values().flatten().flat_map(|edge| {
            let (from, to) = ends(&edge.0);
            [(from.to_owned(), edge.1.clone()), (to.to_owned(), edge.2.clone())]
        });
        let named: Vec<Node> = valued.chain(linked).collect();
        self.nodes.extend(named);
        for node in &later.deleted {
            self.say(&Word::DeleteNode(node.clone()));
        }
        self.nodes.extend(later.nodes.iter().cloned());
        self.values.extend(later.values.clone());
        self.edges.extend(later.edges.clone());
        self
    }

    fn say(&mut self, word: &Word) {
        match word.clone() {
            Word::UpsertNode(node) => drop(self.nodes.insert(node)),
            Word::DeleteNode(node) => {
                self.nodes.remove(&node);
                self.values.retain(|(of, _), _| *of != node);
                self.edges.retain(|(relation, source, target), _| !touches(relation, source, target, &node));
                self.deleted.insert(node);
            }
            Word::Set(node, attribute, value) => drop(self.values.insert((node, attribute), value)),
            Word::UpsertEdge(edge) => drop(self.edges.insert(pair(&edge.0, &edge.1, &edge.2), Some(edge))),
            Word::DeleteEdge(relation, source, target) => drop(self.edges.insert(pair(&relation, &source, &target), None)),
        }
    }
}

/// The types of a relation's ends, in the series' schema.
pub fn ends(relation: &str) -> (&'static str, &'static str) {
    match relation {
        "visits" => ("person", "place"),
        "near" => ("place", "place"),
        "knows" => ("person", "person"),
        other => panic!("a relation {other}"),
    }
}

fn touches(relation: &str, source: &str, target: &str, node: &Node) -> bool {
    let (from, to) = ends(relation);
    (node.0 == from && node.1 == source) || (node.0 == to && node.1 == target)
}

/// An edge by its ends, whichever way round where that does not matter.
fn pair(relation: &str, source: &str, target: &str) -> (String, String, String) {
    let turned = relation == SYMMETRIC && source > target;
    let (source, target) = if turned { (target, source) } else { (source, target) };
    (relation.to_owned(), source.to_owned(), target.to_owned())
}

/// Nodes with their values, and edges.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub nodes: BTreeMap<Node, Attributes>,
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Of an attribute the last source's value, of edges all.
    fn add(&mut self, source: &PlainSource) {
        for (node, attributes) in &source.nodes {
            self.nodes.entry(node.clone()).or_default().extend(attributes.clone());
        }
        self.edges.extend_from_slice(&source.edges);
    }

    /// What it takes away of all below it, and then what it puts there.
    pub fn apply(&mut self, edit: &PlainEdit) {
        for node in &edit.deleted {
            self.nodes.remove(node);
            self.edges.retain(|edge| !touches(&edge.0, &edge.1, &edge.2, node));
        }
        self.edges.retain(|edge| !edit.edges.contains_key(&pair(&edge.0, &edge.1, &edge.2)));
        for node in &edit.nodes {
            self.nodes.entry(node.clone()).or_default();
        }
        for ((node, attribute), value) in &edit.values {
            match value {
                Some(value) => {
                    self.nodes.entry(node.clone()).or_default().insert(attribute.clone(), value.clone());
                }
                None => {
                    self.nodes.get_mut(node).map(|attributes| attributes.remove(attribute));
                }
            }
        }
        for edge in edit.edges.values().flatten() {
            let (from, to) = ends(&edge.0);
            self.nodes.entry((from.to_owned(), edge.1.clone())).or_default();
            self.nodes.entry((to.to_owned(), edge.2.clone())).or_default();
            self.edges.push(edge.clone());
        }
    }

    /// As each end sees it.
    pub fn content(&self) -> Content {
        let mut edges: BTreeMap<(String, Direction), Vec<_>> = BTreeMap::new();
        for (relation, near, far, values) in &self.edges {
            let (out, back) = ((near.clone(), far.clone(), values.clone()), (far.clone(), near.clone(), values.clone()));
            let both = relation == SYMMETRIC && near != far;
            for (direction, edge, other) in [(Direction::Outgoing, &out, &back), (Direction::Incoming, &back, &out)] {
                let seen = edges.entry((relation.clone(), direction)).or_default();
                seen.push(edge.clone());
                if both {
                    seen.push(other.clone());
                }
            }
        }
        edges.values_mut().for_each(|edges| edges.sort());
        Content { nodes: self.nodes.clone(), edges }
    }
}

/// What a store holds, and why.
#[derive(Clone, Debug, Default)]
pub struct Model {
    sources: Vec<(String, PlainSource)>,
    /// All edits, as one.
    edits: PlainEdit,
    notes: Vec<String>,
}

impl Model {
    /// A load of these: what it does not name stays, before what it names.
    pub fn bring(&mut self, brought: Vec<(String, PlainSource)>) {
        self.sources.retain(|(name, _)| !brought.iter().any(|(other, _)| other == name));
        self.sources.extend(brought);
    }

    pub fn remove(&mut self, source: &str) {
        self.sources.retain(|(name, _)| name != source);
    }

    pub fn edit(&mut self, note: &str, words: &[Word]) {
        self.edits = std::mem::take(&mut self.edits).then(&PlainEdit::of(words));
        self.notes.push(note.to_owned());
    }

    /// Names of the sources, in their order.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = &str> {
        self.sources.iter().map(|(name, _)| name.as_str())
    }

    /// What the records of sources and edits say, in their order: fingerprints and notes.
    pub fn records(&self) -> Vec<String> {
        self.sources.iter().map(|(_, source)| source.fingerprint.clone()).chain(self.notes.iter().cloned()).collect()
    }

    pub fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        self.sources.iter().for_each(|(_, source)| graph.add(source));
        graph.apply(&self.edits);
        graph
    }

    pub fn content(&self) -> Content {
        self.graph().content()
    }
}

/// The one edit that stands for many does what they do, whatever lies below.
#[test]
fn edits_one_by_one_are_as_one() {
    use crate::random::{Random, seed};
    let mut random = Random(seed());
    for _ in 0..30 {
        let mut base = Graph::default();
        for name in ["places", "persons", "visits", "near", "knows"] {
            base.add(&crate::data::source(name, &mut random, false).0);
        }
        let (mut graph, mut edits, mut as_one) = (base.clone(), Vec::new(), PlainEdit::default());
        for _ in 0..6 {
            let edit = PlainEdit::of(&crate::data::words(&graph, &mut random));
            graph.apply(&edit);
            as_one = as_one.then(&edit);
            edits.push(edit);
        }
        let mut other = Graph::default();
        other.add(&crate::data::source("near", &mut random, false).0);
        for mut below in [base, Graph::default(), other] {
            let mut one_by_one = below.clone();
            edits.iter().for_each(|edit| one_by_one.apply(edit));
            below.apply(&as_one);
            assert_eq!(below.content().difference(&one_by_one.content()), None);
        }
    }
}
