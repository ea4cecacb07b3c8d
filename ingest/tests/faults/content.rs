//! Everything that can be read of a graph, as sorted text: what the plain model expects, and what a store or snapshot says.

use std::collections::{BTreeMap, BTreeSet};

use relata::snapshot::{EdgeColumn, Snapshot};
use relata::store::{Neighbor, Store};
use relata_schema::{AttributeId, AttributeKind, Direction, EdgeValue, NodeTypeId, RelationId, Value};
use sha2::{Digest, Sha256};

/// The texts of a node's attributes, by their names.
pub type Attributes = BTreeMap<String, String>;

/// An edge as one of its ends sees it: near key, far key, the texts of its attributes, empty where missing.
pub type SeenEdge = (String, String, Vec<String>);

/// A graph's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// By type and key.
    pub nodes: BTreeMap<(String, String), Attributes>,
    /// By relation and direction, sorted. A symmetric relation's edges stand at both of their ends, in both directions.
    pub edges: BTreeMap<(String, Direction), Vec<SeenEdge>>,
}

/// In place of a category's name, where only the number of it is known.
pub const SOME: &str = "some";

impl Content {
    /// Says where two contents differ, shortly.
    pub fn difference(&self, other: &Self) -> Option<String> {
        for key in self.nodes.keys().chain(other.nodes.keys()) {
            let (one, two) = (self.nodes.get(key), other.nodes.get(key));
            if one != two {
                return Some(format!("node {key:?}: {one:?}, expected {two:?}"));
            }
        }
        let none = Vec::new();
        for key in self.edges.keys().chain(other.edges.keys()) {
            let (one, two) = (self.edges.get(key).unwrap_or(&none), other.edges.get(key).unwrap_or(&none));
            if one != two {
                let first = one.iter().zip(two).find(|(one, two)| one != two);
                return Some(format!("edges {key:?}: {} and {}, the first other: {first:?}", one.len(), two.len()));
            }
        }
        None
    }

    /// SHA-256 of all of it.
    pub fn hash(&self) -> String {
        hash_of(&format!("{self:?}"))
    }

    /// What the store's own reading shows of it: of edges' categories only that there is one.
    pub fn with_some_categories(&self, categories: &BTreeSet<(String, usize)>) -> Self {
        let mut content = self.clone();
        for ((relation, _), edges) in &mut content.edges {
            for (_, _, values) in &mut *edges {
                for (at, value) in values.iter_mut().enumerate() {
                    if !value.is_empty() && categories.contains(&(relation.clone(), at)) {
                        *value = SOME.to_owned();
                    }
                }
            }
            edges.sort();
        }
        content
    }

    /// All of a snapshot, through its accessors.
    pub fn of_snapshot(snapshot: &Snapshot) -> Self {
        let schema = snapshot.schema();
        let mut content = Self::default();
        for node_type in schema.node_type_ids() {
            let owner = schema.node(node_type);
            for node in 0..snapshot.node_count(node_type) {
                let mut attributes = Attributes::new();
                for (at, attribute) in (0u16..).zip(&owner.attributes) {
                    if let Some(value) = snapshot.value(node_type, AttributeId(at), node) {
                        attributes.insert(attribute.name.clone(), text(&value));
                    }
                }
                content.nodes.insert((owner.name.clone(), snapshot.key(node_type, node).to_owned()), attributes);
            }
        }
        for relation in schema.relation_ids() {
            for direction in Direction::BOTH {
                let edges = edges_of_snapshot(snapshot, relation, direction);
                if !edges.is_empty() {
                    content.edges.insert((schema.edge(relation).name.clone(), direction), edges);
                }
            }
        }
        content
    }

    /// What an open store says of its committed nodes and edges; compare with
    /// [`with_some_categories`](Self::with_some_categories).
    pub fn of_store(store: &Store) -> relata::Result<Self> {
        let schema = store.schema();
        let mut content = Self::default();
        let mut nodes: Vec<Vec<(u32, &str)>> = Vec::new();
        for node_type in schema.node_type_ids() {
            let mut live = Vec::new();
            let mut number = 0;
            while let Ok(key) = store.key(node_type, number) {
                if let Some(found) = store.find(node_type, key)? {
                    assert_eq!(found, number, "{key} has two numbers");
                    live.push((number, key));
                    let attributes = attributes_of(store, node_type, number)?;
                    content.nodes.insert((schema.node(node_type).name.clone(), key.to_owned()), attributes);
                }
                number += 1;
            }
            nodes.push(live);
        }
        for relation in schema.relation_ids() {
            let ends = schema.edge(relation);
            for direction in Direction::BOTH {
                let mut edges = Vec::new();
                for &(node, key) in &nodes[ends.near(direction).index()] {
                    for neighbor in store.neighbors(relation, direction, node)? {
                        edges.push(seen_edge(store, relation, direction, key, &neighbor)?);
                    }
                }
                edges.sort();
                let loops = edges.iter().filter(|edge| ends.symmetric && edge.0 == edge.1).count();
                let counted = if ends.symmetric { (edges.len() + loops) / 2 } else { edges.len() };
                assert_eq!(store.edge_count(relation)?, counted as u64, "{}", ends.name);
                if !edges.is_empty() {
                    content.edges.insert((ends.name.clone(), direction), edges);
                }
            }
        }
        Ok(content)
    }
}

/// SHA-256 of a text, hexadecimal.
pub fn hash_of(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The values of a node, as an open store has them.
pub fn attributes_of(store: &Store, node_type: NodeTypeId, node: u32) -> relata::Result<Attributes> {
    let mut attributes = Attributes::new();
    for (at, attribute) in (0u16..).zip(&store.schema().node(node_type).attributes) {
        if let Some(value) = store.value(node_type, node, AttributeId(at))? {
            attributes.insert(attribute.name.clone(), text(&value));
        }
    }
    Ok(attributes)
}

/// An edge as an open store has it.
pub fn seen_edge(
    store: &Store,
    relation: RelationId,
    direction: Direction,
    near: &str,
    neighbor: &Neighbor,
) -> relata::Result<SeenEdge> {
    let known = store.schema().edge(relation);
    let far = store.key(known.far(direction), neighbor.node)?.to_owned();
    let values = known.attributes.iter().zip(&neighbor.attributes).map(|(attribute, value)| match (attribute.kind, value) {
        (AttributeKind::Time, _) => neighbor.time.map(|time| time.to_string()).unwrap_or_default(),
        (_, EdgeValue::Missing) => String::new(),
        (_, EdgeValue::Category(_)) => SOME.to_owned(),
        (kind, EdgeValue::Number(number)) => edge_number(kind, *number),
    });
    Ok((near.to_owned(), far, values.collect()))
}

fn edges_of_snapshot(snapshot: &Snapshot, relation: RelationId, direction: Direction) -> Vec<SeenEdge> {
    let schema = snapshot.schema();
    let ends = schema.edge(relation);
    let adjacency = snapshot.adjacency(relation, direction);
    let value = |at: usize, edge: usize| -> String {
        let id = AttributeId(at as u16);
        let kind = ends.attributes[at].kind;
        if kind == AttributeKind::Time {
            let time = adjacency.times.get(edge).filter(|&time| time != i64::MIN);
            return time.map(|time| time.to_string()).unwrap_or_default();
        }
        match snapshot.edge_column(relation, direction, id) {
            EdgeColumn::Number(numbers) => match numbers.get(edge).filter(|number| !number.is_nan()) {
                Some(&number) => edge_number(kind, number),
                None => String::new(),
            },
            EdgeColumn::Category(codes) => {
                let code = codes.get(edge).copied().unwrap_or(u32::MAX);
                let names = snapshot.edge_categories(relation, id);
                names.get(code as usize).map(|&name| name.to_owned()).unwrap_or_default()
            }
        }
    };
    let mut edges = Vec::new();
    for node in 0..snapshot.node_count(ends.near(direction)) {
        for edge in adjacency.range(node) {
            let values = (0..ends.attributes.len()).map(|at| value(at, edge)).collect();
            let near = snapshot.key(ends.near(direction), node).to_owned();
            edges.push((near, snapshot.key(ends.far(direction), adjacency.targets[edge]).to_owned(), values));
        }
    }
    edges.sort();
    edges
}

fn edge_number(kind: AttributeKind, number: f32) -> String {
    match kind {
        AttributeKind::Boolean => (number != 0.0).to_string(),
        _ => number.to_string(),
    }
}

/// As the tables of the tests write it.
fn text(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Count(count) => count.to_string(),
        Value::Category(text) | Value::Text(text) | Value::Sequence(text) => text.clone(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Time(time) => time.to_string(),
        Value::Interval(interval) => format!("{}:{}-{}", interval.contig(), interval.start(), interval.end()),
        Value::Vector(numbers) => numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(","),
    }
}

/// The edge attributes that are categories, by relation and place.
pub fn edge_categories(schema: &relata_schema::Schema) -> BTreeSet<(String, usize)> {
    let mut categories = BTreeSet::new();
    for relation in schema.relations() {
        for (at, attribute) in relation.attributes.iter().enumerate() {
            if attribute.kind == AttributeKind::Category {
                categories.insert((relation.name.clone(), at));
            }
        }
    }
    categories
}
