use std::collections::HashMap;

use relata_schema::{Container, Direction, NodeTypeId, Schema};

use super::values::{Raw, Values};
use super::vocabulary::categories;
use super::{Column, ColumnKind, Columns, Context, NO_ROW, Row, State, Token, Vocabulary};
use crate::sampler::{SampledEdge, Subgraph};
use crate::snapshot::Snapshot;
use crate::task::{Guard, ResolvedTask};
use crate::{Error, Result};

/// Turns subgraphs of one snapshot into contexts, with the numbers of one vocabulary.
pub struct Encoder {
    snapshot: Snapshot,
    task: ResolvedTask,
    columns: Columns,
    values: Values,
    /// By column of the snapshot, the vocabulary's.
    known: Vec<Option<Known>>,
    /// By node type and node, the place of the identity.
    identities: Vec<Vec<u32>>,
    guard: Guard,
}

struct Known {
    id: u16,
    mean: f64,
    deviation: f64,
    /// By code of the snapshot, the place among the vocabulary's names.
    codes: Vec<u32>,
}

impl Encoder {
    /// For a snapshot that may be another than the one that the vocabulary was learnt from. `labelled` are the nodes
    /// whose target may be shown where they are met beside a seed: training rows, and no others.
    ///
    /// # Errors
    /// When a column of the vocabulary is of another kind here.
    pub fn new(snapshot: &Snapshot, task: &ResolvedTask, vocabulary: &Vocabulary, labelled: &[u32]) -> Result<Self> {
        let schema = snapshot.schema();
        let columns = Columns::of(snapshot, task);
        let ids: HashMap<&str, usize> =
            vocabulary.columns.iter().enumerate().map(|(id, column)| (column.title.as_str(), id)).collect();
        let mut known = Vec::new();
        for column in columns.list() {
            known.push(match ids.get(column.title(schema).as_str()) {
                Some(&id) => Some(Known::of(snapshot, column, &vocabulary.columns[id], id, schema)?),
                None => None,
            });
        }
        if known[usize::from(columns.target())].is_none() {
            return Err(Error::Setting {
                setting: "the task's target".to_owned(),
                found: columns.list()[usize::from(columns.target())].title(schema),
                expected: format!("`{}`, which the model was trained on", vocabulary.target_column().title),
            });
        }
        let identities = schema.node_type_ids().map(|node_type| vocabulary.places(snapshot, node_type)).collect();
        let guard = Guard::new(snapshot, task, labelled);
        let values = Values::of(snapshot, columns.list());
        Ok(Self { snapshot: snapshot.clone(), task: task.clone(), columns, values, known, identities, guard })
    }

    /// Says which nodes of another type than the task's may show their targets where they are met beside a seed.
    pub fn label(&mut self, node_type: NodeTypeId, labelled: &[u32]) {
        self.guard.label(&self.snapshot, node_type, labelled);
    }

    /// The context of a subgraph of one seed, which is asked for its target.
    pub fn encode(&self, subgraph: &Subgraph) -> Context {
        self.context(subgraph, false)
    }

    /// The context of a subgraph of one seed, which is asked for as a whole: a token of the node itself stands for it.
    pub fn encode_whole(&self, subgraph: &Subgraph) -> Context {
        self.context(subgraph, true)
    }

    fn context(&self, subgraph: &Subgraph, is_whole: bool) -> Context {
        let mut context = Context::default();
        let hops = self.task.task.context.hops;
        let mut row_of_node = vec![NO_ROW; subgraph.nodes.len()];
        let mut edges = subgraph.edges.iter().peekable();
        for (place, node) in subgraph.nodes.iter().enumerate() {
            if u32::from(node.hop) >= hops {
                continue;
            }
            row_of_node[place] = context.rows.len() as u32;
            self.push_node(&mut context, subgraph, place, is_whole);
            // The walk lists edges by their near end, in the order of the nodes.
            while let Some(edge) = edges.next_if(|edge| edge.near as usize == place) {
                self.push_edge(&mut context, subgraph, &edge);
            }
        }
        // Whatever is listed otherwise.
        for edge in edges {
            self.push_edge(&mut context, subgraph, &edge);
        }
        // Until here the rows of edges name nodes by place.
        for row in context.rows.iter_mut().filter(|row| row.is_edge()) {
            for end in row.parents.iter_mut().chain([&mut row.upper, &mut row.lower]) {
                *end = row_of_node.get(*end as usize).copied().unwrap_or(NO_ROW);
            }
        }
        context
    }

    fn push_node(&self, context: &mut Context, subgraph: &Subgraph, place: usize, is_whole: bool) {
        let node = &subgraph.nodes[place];
        let row = context.rows.len() as u32;
        let start = context.tokens.len() as u32;
        let is_seed = subgraph.seeds.contains(&(place as u32));
        // What is asked of a seed is not to be learnt by heart.
        let is_nobody = is_seed && !is_whole;
        let identity = if is_nobody { 0 } else { self.identities[node.node_type.index()][node.node as usize] };
        let whole = self.columns.whole(node.node_type).and_then(|id| self.known[usize::from(id)].as_ref());
        if let (true, true, Some(known)) = (is_seed, is_whole, whole) {
            context.target = context.tokens.len() as u32;
            self.push_token(context, row, known, State::Masked, identity, None);
        }
        for &id in self.columns.of_node(node.node_type) {
            let Some(known) = &self.known[usize::from(id)] else { continue };
            let column = &self.columns.list()[usize::from(id)];
            let is_asked = is_seed && !is_whole && id == self.columns.target();
            let is_hidden = self.columns.is_target(id)
                && column.attribute.is_some_and(|target| !self.guard.shows(node.node_type, target, node.node, is_seed));
            let raw = self.values.of_node(column, node.node);
            let state = match &raw {
                _ if is_asked => State::Masked,
                _ if is_hidden => State::Missing,
                Some(_) => State::Shown,
                None => State::Missing,
            };
            if is_asked {
                context.target = context.tokens.len() as u32;
            }
            let raw = if state == State::Missing { None } else { raw };
            self.push_token(context, row, known, state, identity, raw);
        }
        let tokens = start..context.tokens.len() as u32;
        context.rows.push(Row { tokens, parents: [NO_ROW; 2], upper: NO_ROW, lower: NO_ROW });
    }

    fn push_edge(&self, context: &mut Context, subgraph: &Subgraph, edge: &SampledEdge) {
        let row = context.rows.len() as u32;
        let start = context.tokens.len() as u32;
        let far = &subgraph.nodes[edge.far as usize];
        let near = &subgraph.nodes[edge.near as usize];
        let identity = self.identities[far.node_type.index()][far.node as usize];
        let outgoing = edge.direction == Direction::Outgoing;
        let (source, target) = if outgoing { (near.node, far.node) } else { (far.node, near.node) };
        let mut missing = None;
        for &id in self.columns.of_edge(edge.relation, edge.direction) {
            let Some(known) = &self.known[usize::from(id)] else { continue };
            let column = &self.columns.list()[usize::from(id)];
            match self.values.of_edge(column, edge.position, source, target) {
                Some(raw) => self.push_token(context, row, known, State::Shown, identity, Some(raw)),
                None if column.kind == ColumnKind::Link => self.push_token(context, row, known, State::Shown, identity, None),
                None => missing = missing.or(Some(known)),
            }
        }
        if let (Some(known), true) = (missing, context.tokens.len() as u32 == start) {
            self.push_token(context, row, known, State::Missing, identity, None);
        }
        let (source, target) = if outgoing { (edge.near, edge.far) } else { (edge.far, edge.near) };
        let (upper, lower) = match self.snapshot.schema().edge(edge.relation).contains {
            Some(Container::Source) => (source, target),
            Some(Container::Target) => (target, source),
            None => (NO_ROW, NO_ROW),
        };
        let tokens = start..context.tokens.len() as u32;
        context.rows.push(Row { tokens, parents: [edge.near, edge.far], upper, lower });
    }

    fn push_token(&self, context: &mut Context, row: u32, known: &Known, state: State, identity: u32, raw: Option<Raw>) {
        let (mut number, mut code) = (0.0, u32::MAX);
        let mut state = state;
        match raw {
            Some(Raw::Number(raw)) => number = ((raw - known.mean) / known.deviation) as f32,
            Some(Raw::Code(raw)) => {
                code = known.codes.get(raw as usize).copied().unwrap_or(u32::MAX);
                // A name that training never saw says as little as none.
                if code == u32::MAX && state == State::Shown {
                    state = State::Missing;
                }
            }
            Some(Raw::Vector(vector)) => code = context.push_vector(known.id, &vector),
            // The number of a target that is not known.
            None => number = f32::NAN,
        }
        context.push_token(row, Token { column: known.id, state, identity, number, code });
    }
}

impl Known {
    fn of(snapshot: &Snapshot, column: &Column, learnt: &super::VocabularyColumn, id: usize, schema: &Schema) -> Result<Self> {
        if column.kind != learnt.kind {
            return Err(Error::Setting {
                setting: format!("column {}", column.title(schema)),
                found: format!("{:?}", column.kind),
                expected: format!("{:?}, as the model was trained on", learnt.kind),
            });
        }
        let code = |name: &String| learnt.categories.binary_search(name).map_or(u32::MAX, |code| code as u32);
        let codes = categories(snapshot, column).iter().map(code).collect();
        Ok(Self { id: id as u16, mean: learnt.mean, deviation: learnt.deviation, codes })
    }
}
