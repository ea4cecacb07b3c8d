//! Contents in a plain form, in names instead of numbers, and how a store and a snapshot are read into it.

use std::collections::{BTreeMap, BTreeSet};

use relata_schema::{AttributeId, AttributeKind, Direction, EdgeValue, Schema, Value};
use serde_json::{Map, Value as Json};

use crate::snapshot::{EdgeColumn, Snapshot};
use crate::store::Store;
use crate::store::dictionary::Owner;

/// An edge in names; a symmetric one has the lesser key first. Only the attributes that are not missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PlainEdge {
    pub relation: String,
    pub source: String,
    pub target: String,
    pub time: Option<i64>,
    /// A number as its `f32` is written, so that equal means equal bits.
    pub attributes: BTreeMap<String, String>,
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    /// (type, key).
    pub nodes: BTreeSet<(String, String)>,
    /// By type, key and attribute.
    pub values: BTreeMap<(String, String, String), Value>,
    /// Sorted.
    pub edges: Vec<PlainEdge>,
}

impl Content {
    /// Everything, asked one by one of a store; both directions of every relation must say the same.
    pub(super) fn of_store(store: &Store) -> Self {
        let schema = store.schema().clone();
        let mut content = Self::default();
        let mut live = BTreeMap::new();
        for node_type in schema.node_type_ids() {
            let owner = schema.node(node_type);
            let names = store.read_names(Owner::Nodes(node_type)).unwrap();
            let keys = (0..names.len()).map(|node| (node, names.get(node).to_owned()));
            let found: Vec<(u32, String)> = keys
                .filter(|(node, key)| store.find(node_type, key).unwrap().inspect(|found| assert_eq!(found, node)).is_some())
                .collect();
            for (node, key) in &found {
                content.nodes.insert((owner.name.clone(), key.clone()));
                for (at, attribute) in (0u16..).zip(&owner.attributes) {
                    if let Some(value) = store.value(node_type, *node, AttributeId(at)).unwrap() {
                        content.values.insert((owner.name.clone(), key.clone(), attribute.name.clone()), value);
                    }
                }
            }
            live.insert(node_type, found);
        }
        for relation in schema.relation_ids() {
            let known = schema.edge(relation);
            let categories: Vec<_> = (0..known.attributes.len() as u16)
                .map(|at| store.read_names(Owner::Categories(relation, AttributeId(at))).unwrap())
                .collect();
            let [outgoing, incoming] = Direction::BOTH.map(|direction| {
                let mut edges = Vec::new();
                for (node, key) in &live[&known.near(direction)] {
                    for neighbor in store.neighbors(relation, direction, *node).unwrap() {
                        let far = store.key(known.far(direction), neighbor.node).unwrap().to_owned();
                        let values = neighbor.attributes.iter().enumerate().map(|(at, value)| match value {
                            EdgeValue::Missing => None,
                            EdgeValue::Number(number) => Some(number.to_string()),
                            EdgeValue::Category(code) => Some(categories[at].get(*code).to_owned()),
                        });
                        edges.extend(seen(&schema, relation, direction, key, &far, neighbor.time, values));
                    }
                }
                edges.sort();
                edges
            });
            assert_eq!(outgoing, incoming, "{}", schema.relation_title(relation));
            assert_eq!(store.edge_count(relation).unwrap(), outgoing.len() as u64, "{}", schema.relation_title(relation));
            content.edges.extend(outgoing);
        }
        content.edges.sort();
        content
    }

    /// Everything of a snapshot; both directions of every relation must say the same.
    pub(super) fn of_snapshot(snapshot: &Snapshot) -> Self {
        snapshot.verify().unwrap();
        let schema = snapshot.schema();
        let mut content = Self::default();
        for node_type in schema.node_type_ids() {
            let owner = schema.node(node_type);
            for node in 0..snapshot.node_count(node_type) {
                let key = snapshot.key(node_type, node);
                content.nodes.insert((owner.name.clone(), key.to_owned()));
                for (at, attribute) in (0u16..).zip(&owner.attributes) {
                    if let Some(value) = snapshot.value(node_type, AttributeId(at), node) {
                        content.values.insert((owner.name.clone(), key.to_owned(), attribute.name.clone()), value);
                    }
                }
            }
        }
        for relation in schema.relation_ids() {
            let known = schema.edge(relation);
            let [outgoing, incoming] = Direction::BOTH.map(|direction| {
                let adjacency = snapshot.adjacency(relation, direction);
                let mut edges = Vec::new();
                for node in 0..snapshot.node_count(known.near(direction)) {
                    let key = snapshot.key(known.near(direction), node);
                    for edge in adjacency.range(node) {
                        let far = snapshot.key(known.far(direction), adjacency.targets[edge]);
                        let time = adjacency.times.get(edge).filter(|&time| time != i64::MIN);
                        let values = (0u16..).zip(&known.attributes).map(|(at, attribute)| {
                            if attribute.kind == AttributeKind::Time {
                                return None;
                            }
                            match snapshot.edge_column(relation, direction, AttributeId(at)) {
                                EdgeColumn::Number(numbers) => {
                                    numbers.get(edge).filter(|number| !number.is_nan()).map(ToString::to_string)
                                }
                                EdgeColumn::Category(codes) => codes
                                    .get(edge)
                                    .filter(|&&code| code != u32::MAX)
                                    .map(|&code| snapshot.edge_categories(relation, AttributeId(at))[code as usize].to_owned()),
                            }
                        });
                        edges.extend(seen(schema, relation, direction, key, far, time, values));
                    }
                }
                edges.sort();
                edges
            });
            assert_eq!(outgoing, incoming, "{}", schema.relation_title(relation));
            content.edges.extend(outgoing);
        }
        content.edges.sort();
        content
    }

    /// What lines of JSON describe, one after another: nodes with values, and edges.
    pub(super) fn of_lines(schema: &Schema, lines: &[Map<String, Json>]) -> Self {
        let mut content = Self::default();
        for line in lines {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            let none = Map::new();
            let set = line.get("set").map_or(&none, |set| set.as_object().unwrap());
            if line.contains_key("node") {
                let node_type = schema.node_type(&text("node")).unwrap();
                content.nodes.insert((text("node"), text("key")));
                for (name, value) in set {
                    let attribute = schema.node_attribute(node_type, name).unwrap();
                    let kind = schema.node(node_type).attributes[attribute.index()].kind;
                    content.values.insert((text("node"), text("key"), name.clone()), value_of(value, kind));
                }
            } else if line.contains_key("edge") {
                let relation = schema.relation(&text("edge")).unwrap();
                let known = schema.edge(relation);
                let (mut source, mut target) = (text("source"), text("target"));
                for (node_type, key) in [(known.source, &source), (known.target, &target)] {
                    content.nodes.insert((schema.node(node_type).name.clone(), key.clone()));
                }
                if known.symmetric && source > target {
                    std::mem::swap(&mut source, &mut target);
                }
                let written = |value: &Json| match value {
                    Json::String(name) => name.clone(),
                    Json::Bool(truth) => u8::from(*truth).to_string(),
                    number => (number.as_f64().unwrap() as f32).to_string(),
                };
                content.edges.push(PlainEdge {
                    relation: schema.relation_title(relation),
                    source,
                    target,
                    time: line.get("time").and_then(Json::as_i64),
                    attributes: set.iter().map(|(name, value)| (name.clone(), written(value))).collect(),
                });
            }
        }
        content.edges.sort();
        content
    }
}

/// The edge, if this end is the one that tells of it: a symmetric edge is seen from both.
fn seen(
    schema: &Schema,
    relation: relata_schema::RelationId,
    direction: Direction,
    near: &str,
    far: &str,
    time: Option<i64>,
    values: impl Iterator<Item = Option<String>>,
) -> Option<PlainEdge> {
    let known = schema.edge(relation);
    let (source, target) = match direction {
        Direction::Outgoing => (near, far),
        Direction::Incoming => (far, near),
    };
    let tells = !known.symmetric || source <= target;
    let names = known.attributes.iter().map(|attribute| attribute.name.clone());
    tells.then(|| PlainEdge {
        relation: schema.relation_title(relation),
        source: source.to_owned(),
        target: target.to_owned(),
        time,
        attributes: names.zip(values).filter_map(|(name, value)| Some((name, value?))).collect(),
    })
}

/// A value as the fixtures write it.
pub(super) fn value_of(value: &Json, kind: AttributeKind) -> Value {
    let text = || value.as_str().unwrap().to_owned();
    match kind {
        AttributeKind::Number => Value::Number(value.as_f64().unwrap()),
        AttributeKind::Count => Value::Count(value.as_u64().unwrap()),
        AttributeKind::Category => Value::Category(text()),
        AttributeKind::Text => Value::Text(text()),
        AttributeKind::Boolean => Value::Boolean(value.as_bool().unwrap()),
        AttributeKind::Time => Value::Time(value.as_i64().unwrap()),
        AttributeKind::Sequence => Value::Sequence(text()),
        AttributeKind::Vector(_) => {
            Value::Vector(value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect())
        }
        AttributeKind::Interval => {
            let strand = relata_schema::Strand::from_symbol(value["strand"].as_str().unwrap()).unwrap();
            let place = |name: &str| value[name].as_u64().unwrap();
            let interval = relata_schema::Interval::new(value["contig"].as_str().unwrap(), place("start"), place("end"), strand);
            Value::Interval(interval.unwrap())
        }
    }
}
