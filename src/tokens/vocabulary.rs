use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, Schema, Transform};
use serde::{Deserialize, Serialize};

use super::values::{Raw, Values};
use super::{Column, ColumnKind, Columns, Owner, SemanticType};
use crate::sampler::Subgraph;
use crate::snapshot::Snapshot;
use crate::task::ResolvedTask;

/// What the training rows taught about tokens. It is saved with a run, by names only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// By number.
    pub columns: Vec<VocabularyColumn>,
    /// The column that is predicted.
    pub target: u16,
    /// Keys of the nodes whose identity has a vector of its own, by node type; ascending.
    pub identities: BTreeMap<String, Vec<String>>,
}

/// A column, as training saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VocabularyColumn {
    /// See [`Column::title`].
    pub title: String,
    /// What its values are.
    pub kind: ColumnKind,
    /// What its values mean.
    #[serde(default)]
    pub semantic: SemanticType,
    /// Of a number, or a boolean as 0 and 1: the mean over the training rows' tokens.
    pub mean: f64,
    /// Of a number or boolean: the standard deviation, or 1 where all are equal.
    pub deviation: f64,
    /// Of a number: what the schema says that it is transformed by, before it is standardised.
    #[serde(default)]
    pub transform: Transform,
    /// Of a category: its names, in byte order.
    pub categories: Vec<String>,
    /// Where its names begin in the list of all columns' names.
    pub first_category: u32,
}

impl VocabularyColumn {
    /// Its title in words: `total counts of cell`, `count of cell expresses gene`, and behind that `, reversed` where edges are
    /// seen from their target.
    pub fn phrase(&self) -> String {
        let (owner, attribute) =
            self.title.split_once(['>', '<']).or_else(|| self.title.split_once('.')).unwrap_or((&self.title, ""));
        let words = |name: &str| name.replace(['.', '_'], " ");
        let of = if attribute.is_empty() { String::new() } else { format!("{} of ", words(attribute)) };
        let reversed = if self.title.contains('<') { ", reversed" } else { "" };
        format!("{of}{}{reversed}", words(owner))
    }

    /// A number as the data have it, from one that was transformed and standardised.
    pub fn original(&self, standardised: f64) -> f64 {
        let number = standardised * self.deviation + self.mean;
        match self.transform {
            Transform::None | Transform::ZScore => number,
            Transform::Log1p | Transform::Log1pPer10k => number.signum() * number.abs().exp_m1(),
        }
    }
}

/// A vocabulary that is being learnt.
pub struct Learning<'l> {
    snapshot: &'l Snapshot,
    task: &'l ResolvedTask,
    columns: Columns,
    values: Values,
    learnt: Learnt,
}

impl<'l> Learning<'l> {
    /// Nothing is known yet.
    pub fn new(snapshot: &'l Snapshot, task: &'l ResolvedTask) -> Self {
        let columns = Columns::of(snapshot, task);
        let values = Values::of(snapshot, columns.list());
        let learnt = Learnt::new(&columns, snapshot.schema().node_types().len());
        Self { snapshot, task, columns, values, learnt }
    }

    /// Learns from the subgraphs of some training rows. What is learnt from all does not hang on how they are dealt to calls, if
    /// each call but the last has a multiple of 64.
    pub fn add(&mut self, subgraphs: &[Subgraph]) {
        let node_types = self.snapshot.schema().node_types().len();
        let parts: Vec<Learnt> = subgraphs
            .par_chunks(64)
            .map(|subgraphs| {
                let mut learnt = Learnt::new(&self.columns, node_types);
                subgraphs.iter().for_each(|subgraph| learnt.add(subgraph, self.task, &self.columns, &self.values));
                learnt
            })
            .collect();
        parts.iter().for_each(|part| self.learnt.merge(part));
    }

    /// Learns the scale of one of the task's targets, which comes from the rows that train it alone.
    pub fn add_target(&mut self, node_type: NodeTypeId, target: AttributeId, training: &[u32]) {
        let is_it = |column: &Column| (column.owner, column.attribute) == (Owner::Node(node_type), Some(target));
        let Some(at) = self.columns.list().iter().position(is_it) else { return };
        let column = self.columns.list()[at];
        let sums = &mut self.learnt.sums[at];
        *sums = Sums::default();
        for &node in training {
            if let Some(number) = self.values.of_node(&column, node).as_ref().and_then(Raw::number) {
                sums.add(number);
            }
        }
    }

    /// What was learnt.
    pub fn finish(self) -> Vocabulary {
        let Self { snapshot, task, columns, learnt, .. } = self;
        let schema = snapshot.schema();
        let target = columns.target();
        let mut first_category = 0;
        let described = columns
            .list()
            .iter()
            .zip(&learnt.sums)
            .map(|(column, sums)| {
                let categories = categories(snapshot, column);
                let own = first_category;
                first_category += categories.len() as u32;
                let semantic = column.semantic_type(schema);
                let is_scaled = column.kind == ColumnKind::Number || semantic == SemanticType::Boolean;
                let sums = if is_scaled { *sums } else { Sums::default() };
                VocabularyColumn {
                    title: column.title(schema),
                    kind: column.kind,
                    semantic,
                    mean: sums.mean(),
                    deviation: sums.deviation(),
                    transform: column.transform(schema),
                    categories,
                    first_category: own,
                }
            })
            .collect();
        let identities = schema
            .node_type_ids()
            .filter(|&node_type| node_type != task.node_type)
            .map(|node_type| {
                let nodes = &learnt.identities[node_type.index()];
                let keys = nodes.iter().map(|&node| snapshot.key(node_type, node).to_owned()).collect();
                (schema.node(node_type).name.clone(), keys)
            })
            .filter(|(_, keys): &(String, Vec<String>)| !keys.is_empty())
            .collect();
        Vocabulary { columns: described, target, identities }
    }
}

impl Vocabulary {
    /// Learns from the subgraphs of the training rows of a task's target.
    pub fn learn(snapshot: &Snapshot, task: &ResolvedTask, subgraphs: &[Subgraph], training: &[u32]) -> Self {
        let mut learning = Learning::new(snapshot, task);
        learning.add(subgraphs);
        learning.add_target(task.node_type, task.target, training);
        learning.finish()
    }

    /// How many places identities have: none, and for each type an unknown node and the known ones.
    pub fn identity_count(&self) -> usize {
        1 + self.identities.values().map(|keys| keys.len() + 1).sum::<usize>()
    }

    /// How many names the category columns have together.
    pub fn category_count(&self) -> usize {
        self.columns.iter().map(|column| column.categories.len()).sum()
    }

    /// The place of each node of a type in a snapshot; 0 for types without identities.
    pub(super) fn places(&self, snapshot: &Snapshot, node_type: NodeTypeId) -> Vec<u32> {
        let nodes = 0..snapshot.node_count(node_type);
        let name = &snapshot.schema().node(node_type).name;
        let Some((_, unknown, keys)) = self.identity_places().find(|(known, ..)| known == name) else {
            return vec![0; nodes.len()];
        };
        let place = |key: &str| match keys.binary_search_by(|known| known.as_str().cmp(key)) {
            Ok(at) => unknown + 1 + at as u32,
            Err(_) => unknown,
        };
        nodes.into_par_iter().map(|node| place(snapshot.key(node_type, node))).collect()
    }

    /// For each node type with identities: its name, the place of its unknown nodes, and the keys of the known ones, which
    /// follow that place in their order.
    pub fn identity_places(&self) -> impl Iterator<Item = (&str, u32, &[String])> {
        self.identities.iter().scan(1, |next, (name, keys)| {
            let unknown = *next;
            *next += keys.len() as u32 + 1;
            Some((name.as_str(), unknown, keys.as_slice()))
        })
    }

    /// The number of an attribute's column.
    pub fn column(&self, schema: &Schema, node_type: NodeTypeId, attribute: AttributeId) -> Option<u16> {
        let column = Column { owner: Owner::Node(node_type), attribute: Some(attribute), kind: ColumnKind::Link };
        let title = column.title(schema);
        self.columns.iter().position(|column| column.title == title).map(|at| at as u16)
    }

    /// The column that is predicted.
    pub fn target_column(&self) -> &VocabularyColumn {
        &self.columns[usize::from(self.target)]
    }
}

/// The names of a category column in a snapshot.
pub(super) fn categories(snapshot: &Snapshot, column: &Column) -> Vec<String> {
    let Some(attribute) = column.attribute else { return Vec::new() };
    let schema = snapshot.schema();
    let (kind, names) = match column.owner {
        Owner::Node(node_type) => (
            schema.node(node_type).attributes[attribute.index()].kind,
            if column.kind == ColumnKind::Category { snapshot.categories(node_type, attribute) } else { Vec::new() },
        ),
        Owner::Edge(relation, _) => {
            (schema.edge(relation).attributes[attribute.index()].kind, snapshot.edge_categories(relation, attribute))
        }
    };
    match kind {
        AttributeKind::Boolean => vec!["false".to_owned(), "true".to_owned()],
        AttributeKind::Category => names.into_iter().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Running sums of a number column.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, number: f64) {
        self.count += 1.0;
        self.sum += number;
        self.squares += number * number;
    }

    fn mean(&self) -> f64 {
        if self.count > 0.0 { self.sum / self.count } else { 0.0 }
    }

    fn deviation(&self) -> f64 {
        let variance = if self.count > 0.0 { self.squares / self.count - self.mean().powi(2) } else { 0.0 };
        let deviation = variance.max(0.0).sqrt();
        if deviation > 1e-9 * self.mean().abs().max(1.0) { deviation } else { 1.0 }
    }
}

struct Learnt {
    sums: Vec<Sums>,
    identities: Vec<BTreeSet<u32>>,
}

impl Learnt {
    fn new(columns: &Columns, node_types: usize) -> Self {
        Self { sums: vec![Sums::default(); columns.list().len()], identities: vec![BTreeSet::new(); node_types] }
    }

    fn add(&mut self, subgraph: &Subgraph, task: &ResolvedTask, columns: &Columns, values: &Values) {
        for node in &subgraph.nodes {
            if u32::from(node.hop) < task.task.context.hops {
                for &id in columns.of_node(node.node_type) {
                    let raw = values.of_node(&columns.list()[usize::from(id)], node.node);
                    if let Some(number) = raw.as_ref().and_then(Raw::number) {
                        self.sums[usize::from(id)].add(number);
                    }
                }
            }
            self.identities[node.node_type.index()].insert(node.node);
        }
        for edge in subgraph.edges.iter() {
            let [near, far] = [edge.near, edge.far].map(|place| subgraph.nodes[place as usize].node);
            let (source, target) = if edge.direction == Direction::Outgoing { (near, far) } else { (far, near) };
            for &id in columns.of_edge(edge.relation, edge.direction) {
                let raw = values.of_edge(&columns.list()[usize::from(id)], edge.position, source, target);
                if let Some(number) = raw.as_ref().and_then(Raw::number) {
                    self.sums[usize::from(id)].add(number);
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        for (own, other) in self.sums.iter_mut().zip(&other.sums) {
            own.count += other.count;
            own.sum += other.sum;
            own.squares += other.squares;
        }
        for (own, other) in self.identities.iter_mut().zip(&other.identities) {
            own.extend(other);
        }
    }
}
