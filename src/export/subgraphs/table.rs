//! The columns of a drawing's subgraphs, and the rows that fill them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use rayon::prelude::*;
use relata_schema::{Attribute, AttributeId, AttributeKind, Direction, NodeTypeId, RelationId, Schema};

use super::columns::{EdgeRows, NodeRows, Shown, list, list_of};
use crate::export::parquet::{field, strings, vector_item};
use crate::sampler::{EqualTime, Sampler, SamplerConfig, Subgraph};
use crate::snapshot::Snapshot;
use crate::{Error, Result};

/// A subgraph on its way into a table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    /// Its number in the drawing.
    pub number: u64,
    /// What was drawn.
    pub subgraph: &'r Subgraph,
    /// Under which cutoff: the configuration's, or the seed's own.
    pub cutoff: Option<i64>,
}

/// Whether a node's value of an attribute may be shown; the last argument says whether the node is a seed.
type Guard = dyn Fn(NodeTypeId, AttributeId, u32, bool) -> bool + Send + Sync;

/// Makes columns of subgraphs around seeds of one type, as the [module](super) describes them.
#[derive(Clone)]
pub struct SubgraphTable {
    snapshot: Snapshot,
    equal_time: EqualTime,
    seed_type: NodeTypeId,
    /// For each node type and relation of the schema, whether it has columns.
    has_type: Vec<bool>,
    has_relation: Vec<bool>,
    columns: Vec<Column>,
    schema: SchemaRef,
    guard: Option<Arc<Guard>>,
}

/// What a column holds; of an attribute, with the names of its categories.
#[derive(Clone)]
enum Column {
    Number,
    SeedType,
    Seeds,
    Retrieved,
    Cutoff,
    /// Of the seeds, with the names of its categories.
    Target(AttributeId, Option<ArrayRef>),
    Node(NodeTypeId, OfNode),
    Edge(RelationId, OfEdge),
}

#[derive(Clone)]
enum OfNode {
    Number,
    Hop,
    Key,
    Value(AttributeId, Option<ArrayRef>),
}

#[derive(Clone)]
enum OfEdge {
    Source,
    Target,
    Incoming,
    Value(AttributeId, AttributeKind, Option<ArrayRef>),
}

/// Some subgraphs, taken apart by type and relation.
struct Parts<'r> {
    rows: &'r [Row<'r>],
    /// By the numbers of node types and relations.
    nodes: Vec<NodeRows>,
    edges: Vec<EdgeRows>,
    seeds: Vec<u32>,
    seed_nodes: Vec<u32>,
    seed_ends: Vec<usize>,
    retrieved: Vec<u32>,
    retrieved_ends: Vec<usize>,
}

impl SubgraphTable {
    /// The table of what `sampler` draws around seeds of a type, in the draw of that number; with nodes' keys, or without.
    pub fn new(sampler: &Sampler, draw: u64, seed_type: NodeTypeId, with_keys: bool) -> Self {
        let (snapshot, config) = (sampler.snapshot(), sampler.config());
        let schema = snapshot.schema();
        let (has_type, has_relation) = reached(snapshot, config, seed_type);
        let mut columns = vec![Column::Number, Column::SeedType, Column::Seeds, Column::Retrieved, Column::Cutoff];
        let mut fields = vec![
            Field::new("subgraph", DataType::UInt64, false),
            Field::new("seed_type", DataType::Utf8, false),
            Field::new("seeds", list_of(DataType::UInt32, false), false),
            Field::new("retrieved", list_of(DataType::UInt32, false), false),
            Field::new("cutoff", DataType::Int64, true),
        ];
        for node_type in schema.node_type_ids().filter(|id| has_type[id.index()]) {
            let (of_type, owner) = (of_node_type(snapshot, node_type, with_keys), schema.node(node_type));
            let taken = |name: &str| owner.attribute(name).is_some();
            fields.extend(of_type.iter().map(|column| column.field(&owner.name, &owner.attributes, taken)));
            columns.extend(of_type.into_iter().map(|column| Column::Node(node_type, column)));
        }
        for relation in schema.relation_ids().filter(|id| has_relation[id.index()]) {
            let (of_relation, edge) = (of_relation(snapshot, relation), schema.edge(relation));
            let (title, taken) = (schema.relation_title(relation), |name: &str| edge.attribute(name).is_some());
            fields.extend(of_relation.iter().map(|column| column.field(&title, &edge.attributes, taken)));
            columns.extend(of_relation.into_iter().map(|column| Column::Edge(relation, column)));
        }
        Self {
            snapshot: snapshot.clone(),
            equal_time: config.equal_time,
            seed_type,
            has_type,
            has_relation,
            columns,
            schema: Arc::new(ArrowSchema::new_with_metadata(fields, metadata(snapshot, config, draw))),
            guard: None,
        }
    }

    /// Shows a node's value only where `is_shown` says so, which is asked with the node's type, the attribute, the node's
    /// number in the snapshot, and whether it is a seed. Without it all values are shown.
    #[must_use]
    pub fn showing(self, is_shown: impl Fn(NodeTypeId, AttributeId, u32, bool) -> bool + Send + Sync + 'static) -> Self {
        Self { guard: Some(Arc::new(is_shown)), ..self }
    }

    /// With a column `target`: the seeds' own values of an attribute, whatever a guard hides. They are what a model is asked
    /// for.
    #[must_use]
    pub fn asking(mut self, target: AttributeId) -> Self {
        let attribute = &self.snapshot.schema().node(self.seed_type).attributes[target.index()];
        let is_category = attribute.kind == AttributeKind::Category;
        let names = is_category.then(|| names(self.snapshot.categories(self.seed_type, target)));
        let asked = field("target", attribute, list_of(value_type(attribute, DataType::Float64), true)).with_nullable(false);
        let fields = self.schema.fields().iter().cloned().chain([Arc::new(asked)]).collect::<Vec<_>>();
        self.schema = Arc::new(ArrowSchema::new_with_metadata(fields, self.schema.metadata().clone()));
        self.columns.push(Column::Target(target, names));
        self
    }

    /// Names, types and metadata of its columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The node type of all seeds.
    pub fn seed_type(&self) -> NodeTypeId {
        self.seed_type
    }

    /// The columns of some subgraphs: a row each, in their order.
    ///
    /// # Errors
    /// [`Error::Setting`] for a subgraph of another sampler: one with a seed of another type, or with nodes or edges that have
    /// no column. [`Error::Limit`] for more nodes, edges or bytes of keys at once than a column can count.
    pub fn batch(&self, rows: &[Row<'_>]) -> Result<RecordBatch> {
        let parts = self.parts(rows)?;
        let columns = self.columns.par_iter().zip(self.schema.fields().par_iter());
        let columns: Vec<ArrayRef> =
            columns.map(|(column, field)| self.column(column, &parts, field.data_type())).collect::<Result<_>>()?;
        // The columns are made beside their fields, and all have a value a row.
        RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| Error::Setting {
            setting: "subgraphs".to_owned(),
            found: error.to_string(),
            expected: "columns of the table's schema".to_owned(),
        })
    }

    fn parts<'r>(&self, rows: &'r [Row<'r>]) -> Result<Parts<'r>> {
        let schema = self.snapshot.schema();
        let mut parts = Parts {
            rows,
            nodes: schema.node_types().iter().map(|_| NodeRows::default()).collect(),
            edges: schema.relations().iter().map(|_| EdgeRows::default()).collect(),
            seeds: Vec::new(),
            seed_nodes: Vec::new(),
            seed_ends: Vec::with_capacity(rows.len()),
            retrieved: Vec::new(),
            retrieved_ends: Vec::with_capacity(rows.len()),
        };
        let mut places = Vec::new();
        for row in rows {
            parts.add(row.subgraph, &mut places);
            let is_other = |&&place: &&u32| row.subgraph.nodes[place as usize].node_type != self.seed_type;
            if let Some(&other) = row.subgraph.seeds.iter().find(is_other) {
                let found = schema.node(row.subgraph.nodes[other as usize].node_type).name.clone();
                return Err(strange("seeds", found, schema.node(self.seed_type).name.clone()));
            }
        }
        let unknown = |has: &[bool], counts: &mut dyn Iterator<Item = usize>| {
            has.iter().zip(counts).position(|(has, count)| !has && count > 0)
        };
        if let Some(at) = unknown(&self.has_type, &mut parts.nodes.iter().map(|nodes| nodes.nodes.len())) {
            let found = schema.node_types()[at].name.clone();
            return Err(strange("nodes", found, "types that the sampler reaches from the seeds".to_owned()));
        }
        if let Some(at) = unknown(&self.has_relation, &mut parts.edges.iter().map(|edges| edges.positions.len())) {
            let found = schema.relation_title(RelationId(at as u16));
            return Err(strange("edges", found, "relations that the sampler follows".to_owned()));
        }
        Ok(parts)
    }

    fn column(&self, column: &Column, parts: &Parts<'_>, data_type: &DataType) -> Result<ArrayRef> {
        let rows = parts.rows;
        match column {
            Column::Number => Ok(Arc::new(rows.iter().map(|row| row.number).collect::<UInt64Array>())),
            Column::SeedType => {
                let name = self.snapshot.schema().node(self.seed_type).name.as_str();
                Ok(Arc::new(StringArray::from_iter_values(rows.iter().map(|_| name))))
            }
            Column::Seeds => list(&parts.seed_ends, Arc::new(UInt32Array::from(parts.seeds.clone())), data_type),
            Column::Retrieved => list(&parts.retrieved_ends, Arc::new(UInt32Array::from(parts.retrieved.clone())), data_type),
            Column::Target(id, names) => {
                let column = self.snapshot.column(self.seed_type, *id);
                let asked = NodeRows { nodes: parts.seed_nodes.clone(), ends: parts.seed_ends.clone(), ..NodeRows::default() };
                list(&parts.seed_ends, asked.values(column, names.as_ref(), &None, |_, _| true)?, data_type)
            }
            Column::Cutoff => Ok(Arc::new(rows.iter().map(|row| row.cutoff).collect::<Int64Array>())),
            Column::Node(node_type, column) => {
                let nodes = &parts.nodes[node_type.index()];
                let values = match column {
                    OfNode::Number => nodes.numbers(),
                    OfNode::Hop => nodes.hops(),
                    OfNode::Key => nodes.keys(&self.snapshot, *node_type)?,
                    OfNode::Value(id, names) => {
                        let is_known = |subgraph: usize, time| self.is_known(rows[subgraph].cutoff, time);
                        let shown = self.shown(*node_type, *id, nodes);
                        nodes.values(self.snapshot.column(*node_type, *id), names.as_ref(), &shown, is_known)?
                    }
                };
                list(&nodes.ends, values, data_type)
            }
            Column::Edge(relation, column) => {
                let edges = &parts.edges[relation.index()];
                let values = match column {
                    OfEdge::Source => edges.sources(),
                    OfEdge::Target => edges.targets(),
                    OfEdge::Incoming => edges.incoming(),
                    OfEdge::Value(id, kind, names) => edges.values(&self.snapshot, *relation, (*id, *kind), names.as_ref())?,
                };
                list(&edges.ends, values, data_type)
            }
        }
    }

    fn shown(&self, node_type: NodeTypeId, id: AttributeId, nodes: &NodeRows) -> Shown {
        let guard = self.guard.as_ref()?;
        Some(nodes.nodes.iter().zip(&nodes.is_seed).map(|(&node, &is_seed)| guard(node_type, id, node, is_seed)).collect())
    }

    /// Whether a time is one that a cutoff lets know.
    fn is_known(&self, cutoff: Option<i64>, time: i64) -> bool {
        cutoff.is_none_or(|cutoff| match self.equal_time {
            EqualTime::Keep => time <= cutoff,
            EqualTime::Drop => time < cutoff,
        })
    }
}

impl Parts<'_> {
    /// Puts a subgraph behind the others. `places` is memory for each node's place among those of its type.
    fn add(&mut self, subgraph: &Subgraph, places: &mut Vec<u32>) {
        places.clear();
        let starts: Vec<usize> = self.nodes.iter().map(|nodes| nodes.nodes.len()).collect();
        places.extend(subgraph.nodes.iter().map(|node| {
            let nodes = &mut self.nodes[node.node_type.index()];
            nodes.nodes.push(node.node);
            nodes.hops.push(node.hop);
            nodes.is_seed.push(false);
            (nodes.nodes.len() - 1 - starts[node.node_type.index()]) as u32
        }));
        for &seed in &subgraph.seeds {
            let of = subgraph.nodes[seed as usize].node_type.index();
            self.nodes[of].is_seed[starts[of] + places[seed as usize] as usize] = true;
        }
        for (run, ends) in subgraph.edges.runs() {
            let edges = &mut self.edges[run.relation.index()];
            let near = std::iter::repeat_n(places[run.near as usize], ends.len());
            let far = ends.iter().map(|end| places[end.far as usize]);
            let incoming = run.direction == Direction::Incoming;
            if incoming {
                edges.sources.extend(far);
                edges.targets.extend(near);
            } else {
                edges.sources.extend(near);
                edges.targets.extend(far);
            }
            edges.incoming.resize(edges.sources.len(), incoming);
            edges.positions.extend(ends.iter().map(|end| run.base + u64::from(end.offset)));
        }
        self.seeds.extend(subgraph.seeds.iter().map(|&seed| places[seed as usize]));
        self.seed_nodes.extend(subgraph.seeds.iter().map(|&seed| subgraph.nodes[seed as usize].node));
        self.seed_ends.push(self.seeds.len());
        self.retrieved.extend(subgraph.retrieved.iter().map(|&row| places[row as usize]));
        self.retrieved_ends.push(self.retrieved.len());
        self.nodes.iter_mut().for_each(|nodes| nodes.ends.push(nodes.nodes.len()));
        self.edges.iter_mut().for_each(|edges| edges.ends.push(edges.sources.len()));
    }
}

impl OfNode {
    /// Its field, where the type's own attributes may have `taken` the name of another column.
    fn field(&self, owner: &str, attributes: &[Attribute], taken: impl Fn(&str) -> bool) -> Field {
        let (name, item) = match self {
            Self::Number => ("node", DataType::UInt32),
            Self::Hop => ("hop", DataType::UInt16),
            Self::Key => ("key", DataType::Utf8),
            Self::Value(id, _) => return value_field(owner, &attributes[id.index()], DataType::Float64),
        };
        own_field(owner, name, item, taken)
    }
}

impl OfEdge {
    fn field(&self, owner: &str, attributes: &[Attribute], taken: impl Fn(&str) -> bool) -> Field {
        let (name, item) = match self {
            Self::Source => ("source", DataType::UInt32),
            Self::Target => ("target", DataType::UInt32),
            Self::Incoming => ("incoming", DataType::Boolean),
            Self::Value(id, ..) => return value_field(owner, &attributes[id.index()], DataType::Float32),
        };
        own_field(owner, name, item, taken)
    }
}

/// A column that is no attribute; an attribute's name never starts with `_`.
fn own_field(owner: &str, name: &str, item: DataType, taken: impl Fn(&str) -> bool) -> Field {
    let name = if taken(name) { format!("{owner}._{name}") } else { format!("{owner}.{name}") };
    Field::new(name, list_of(item, false), false)
}

/// The type of an attribute's values, where numbers are of this one.
fn value_type(attribute: &Attribute, number: DataType) -> DataType {
    match attribute.kind {
        AttributeKind::Category => strings(),
        AttributeKind::Boolean => DataType::Boolean,
        AttributeKind::Time => DataType::Int64,
        AttributeKind::Vector(dimension) => DataType::FixedSizeList(vector_item(), dimension as i32),
        _ => number,
    }
}

fn value_field(owner: &str, attribute: &Attribute, number: DataType) -> Field {
    let item = value_type(attribute, number);
    field(&format!("{owner}.{}", attribute.name), attribute, list_of(item, true)).with_nullable(false)
}

fn of_node_type(snapshot: &Snapshot, node_type: NodeTypeId, with_keys: bool) -> Vec<OfNode> {
    let mut columns = vec![OfNode::Number, OfNode::Hop];
    columns.extend(with_keys.then_some(OfNode::Key));
    for (id, attribute) in (0..).map(AttributeId).zip(&snapshot.schema().node(node_type).attributes) {
        if snapshot.column(node_type, id).is_empty() {
            continue;
        }
        let is_category = attribute.kind == AttributeKind::Category;
        columns.push(OfNode::Value(id, is_category.then(|| names(snapshot.categories(node_type, id)))));
    }
    columns
}

fn of_relation(snapshot: &Snapshot, relation: RelationId) -> Vec<OfEdge> {
    let mut columns = vec![OfEdge::Source, OfEdge::Target, OfEdge::Incoming];
    for (id, attribute) in (0..).map(AttributeId).zip(&snapshot.schema().edge(relation).attributes) {
        let is_empty = match attribute.kind {
            AttributeKind::Time => snapshot.adjacency(relation, Direction::Outgoing).times.is_empty(),
            _ => snapshot.edge_column(relation, Direction::Outgoing, id).is_empty(),
        };
        if !is_empty {
            let is_category = attribute.kind == AttributeKind::Category;
            let names = is_category.then(|| names(snapshot.edge_categories(relation, id)));
            columns.push(OfEdge::Value(id, attribute.kind, names));
        }
    }
    columns
}

fn names(names: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(names))
}

/// For each node type whether a walk from the seeds can come to it, and for each relation whether it can find an edge of it.
fn reached(snapshot: &Snapshot, config: &SamplerConfig, seed_type: NodeTypeId) -> (Vec<bool>, Vec<bool>) {
    let schema = snapshot.schema();
    let has_edges = |&&relation: &&RelationId| !snapshot.adjacency(relation, Direction::Outgoing).targets.is_empty();
    let followed: Vec<RelationId> = config.relations.iter().filter(has_edges).copied().collect();
    let mut has_type = vec![false; schema.node_types().len()];
    let mut has_relation = vec![false; schema.relations().len()];
    has_type[seed_type.index()] = true;
    loop {
        let next = followed.iter().find(|relation| {
            let edge = schema.edge(**relation);
            !has_relation[relation.index()] && (has_type[edge.source.index()] || has_type[edge.target.index()])
        });
        let Some(&relation) = next else { return (has_type, has_relation) };
        let edge = schema.edge(relation);
        has_relation[relation.index()] = true;
        has_type[edge.source.index()] = true;
        has_type[edge.target.index()] = true;
    }
}

fn metadata(snapshot: &Snapshot, config: &SamplerConfig, draw: u64) -> HashMap<String, String> {
    let schema = snapshot.schema();
    let json = |value: serde_json::Result<String>| value.expect("numbers and texts are JSON");
    let (node_types, relations) = titles(schema);
    crate::export::table::metadata(
        snapshot,
        [
            ("sampler", json(serde_json::to_string(config))),
            ("draw", draw.to_string()),
            ("node_types", json(serde_json::to_string(&node_types))),
            ("relations", json(serde_json::to_string(&relations))),
        ],
    )
}

/// The names of node types and relations, by their numbers.
pub(super) fn titles(schema: &Schema) -> (Vec<&str>, Vec<String>) {
    let node_types = schema.node_types().iter().map(|node_type| node_type.name.as_str()).collect();
    (node_types, schema.relation_ids().map(|id| schema.relation_title(id)).collect())
}

fn strange(what: &str, found: String, expected: String) -> Error {
    Error::setting(format!("the subgraphs' {what}"), found, expected)
}
