use std::collections::BTreeMap;

use relata::sampler::{SampledEdge, SampledNode, Subgraph};
use relata::snapshot::{EdgeColumn, Hit, Snapshot};
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId};
use serde::Serialize;
use serde_json::Value;

use crate::info::{drawn, grouped};

/// Nodes and edges that are printed for people; JSON has them all.
const SHOWN: usize = 10;

/// The subgraph with names, as JSON has it: the form of the server's `/v1/subgraph`.
#[derive(Serialize)]
pub struct Named<'s> {
    snapshot: String,
    nodes: Vec<MetNode<'s>>,
    edges: Vec<NamedEdge>,
}

/// A node as people call it.
#[derive(Serialize)]
pub struct NamedNode<'s> {
    #[serde(rename = "type")]
    pub node_type: &'s str,
    pub key: &'s str,
    pub label: &'s str,
}

#[derive(Serialize)]
struct MetNode<'s> {
    #[serde(flatten)]
    named: NamedNode<'s>,
    hop: u16,
    seed: bool,
}

/// `source` and `target` are positions in `nodes`, in the relation's own direction.
#[derive(Serialize)]
struct NamedEdge {
    relation: String,
    source: u32,
    target: u32,
    #[serde(flatten)]
    carried: Carried,
}

/// What an edge carries.
#[derive(Serialize)]
pub struct Carried {
    time: Option<i64>,
    /// Missing ones are null.
    attributes: BTreeMap<String, Value>,
}

impl<'s> NamedNode<'s> {
    pub fn of(snapshot: &'s Snapshot, hit: Hit) -> Self {
        Self {
            node_type: &snapshot.schema().node(hit.node_type).name,
            key: snapshot.key(hit.node_type, hit.node),
            label: snapshot.label(hit.node_type, hit.node),
        }
    }

    /// `gene CD3D (ENSG00000167286)`
    pub fn shown(&self) -> String {
        let key = if self.key == self.label { String::new() } else { format!(" ({})", self.key) };
        format!("{} {}{key}", self.node_type, self.label)
    }
}

impl<'s> Named<'s> {
    pub fn of(snapshot: &'s Snapshot, subgraph: &Subgraph) -> Self {
        let named = |(place, node): (u32, &SampledNode)| MetNode {
            named: NamedNode::of(snapshot, node.hit()),
            hop: node.hop,
            seed: subgraph.seeds.contains(&place),
        };
        let mut categories = BTreeMap::new();
        Self {
            snapshot: snapshot.id().to_string(),
            nodes: (0..).zip(&subgraph.nodes).map(named).collect(),
            edges: subgraph.edges.iter().map(|edge| NamedEdge::of(snapshot, &edge, &mut categories)).collect(),
        }
    }

    pub fn print(&self, snapshot: &Snapshot, subgraph: &Subgraph) {
        let schema = snapshot.schema();
        let count = |number: usize| grouped(number as u64);
        let (nodes, edges) = (count(self.nodes.len()), count(self.edges.len()));
        println!("snapshot {}: {} seeds, {nodes} nodes, {edges} edges\n", self.snapshot, count(subgraph.seeds.len()));

        let hops = self.nodes.iter().map(|node| usize::from(node.hop) + 1).max().unwrap_or_default();
        let mut by_type: BTreeMap<NodeTypeId, Vec<usize>> = BTreeMap::new();
        for node in &subgraph.nodes {
            by_type.entry(node.node_type).or_insert_with(|| vec![0; hops])[usize::from(node.hop)] += 1;
        }
        let titles: Vec<String> = (0..hops).map(|hop| format!("hop {hop}")).collect();
        let header: Vec<&str> = ["node type"].into_iter().chain(titles.iter().map(String::as_str)).collect();
        let mut table = drawn(&header, &(1..=hops).collect::<Vec<_>>());
        for (node_type, counts) in by_type {
            table.add_row([schema.node(node_type).name.clone()].into_iter().chain(counts.into_iter().map(count)));
        }
        println!("{table}\n");

        let mut by_relation: BTreeMap<RelationId, [usize; 2]> = BTreeMap::new();
        for edge in subgraph.edges.iter() {
            by_relation.entry(edge.relation).or_default()[usize::from(edge.direction == Direction::Incoming)] += 1;
        }
        let mut table = drawn(&["relation", "outgoing", "incoming"], &[1, 2]);
        for (relation, counts) in by_relation {
            table.add_row([schema.relation_title(relation)].into_iter().chain(counts.map(count)));
        }
        println!("{table}\n");

        let mut table = drawn(&["node", "key", "label", "hop"], &[3]);
        for MetNode { named, hop, .. } in self.nodes.iter().take(SHOWN) {
            table.add_row([named.node_type.to_owned(), named.key.to_owned(), named.label.to_owned(), hop.to_string()]);
        }
        println!("{table}\n");

        let mut table = drawn(&["source", "edge", "target", "attributes"], &[]);
        for edge in self.edges.iter().take(SHOWN) {
            let end = |place: u32| self.nodes[place as usize].named.label.to_owned();
            table.add_row([end(edge.source), edge.relation.clone(), end(edge.target), edge.carried.shown()]);
        }
        println!("{table}");
        if self.nodes.len().max(self.edges.len()) > SHOWN {
            println!("At most {SHOWN} nodes and edges are shown; `--json` prints all.");
        }
    }
}

impl NamedEdge {
    fn of<'s>(snapshot: &'s Snapshot, edge: &SampledEdge, categories: &mut Categories<'s>) -> Self {
        let (source, target) = edge.ends();
        let carried = Carried::of(snapshot, (edge.relation, edge.direction, edge.position as usize), categories);
        Self { relation: snapshot.schema().relation_title(edge.relation), source, target, carried }
    }
}

/// The names of the codes of an edge attribute that was met.
pub type Categories<'s> = BTreeMap<(RelationId, AttributeId), Vec<&'s str>>;

impl Carried {
    /// Of an edge, by its place in a relation's adjacency.
    pub fn of<'s>(
        snapshot: &'s Snapshot,
        (relation, direction, at): (RelationId, Direction, usize),
        categories: &mut Categories<'s>,
    ) -> Self {
        let mut attributes = BTreeMap::new();
        for (id, attribute) in (0..).map(AttributeId).zip(&snapshot.schema().edge(relation).attributes) {
            let value = match snapshot.edge_column(relation, direction, id) {
                _ if attribute.kind == AttributeKind::Time => continue,
                EdgeColumn::Number(numbers) => {
                    numbers.get(at).filter(|number| !number.is_nan()).map(|&number| match attribute.kind {
                        AttributeKind::Boolean => Value::from(number != 0.0),
                        AttributeKind::Count => Value::from(number as u64),
                        _ => Value::from(number),
                    })
                }
                EdgeColumn::Category(codes) => {
                    let names = categories.entry((relation, id)).or_insert_with(|| snapshot.edge_categories(relation, id));
                    codes.get(at).and_then(|&code| names.get(code as usize)).map(|&name| Value::from(name))
                }
            };
            attributes.insert(attribute.name.clone(), value.unwrap_or(Value::Null));
        }
        let times = snapshot.adjacency(relation, direction).times;
        Self { time: times.get(at), attributes }
    }

    /// `at 12, count 3`
    pub fn shown(&self) -> String {
        let time = self.time.map(|time| format!("at {time}"));
        let known = self.attributes.iter().filter(|(_, value)| !value.is_null());
        time.into_iter().chain(known.map(|(name, value)| format!("{name} {value}"))).collect::<Vec<_>>().join(", ")
    }
}
