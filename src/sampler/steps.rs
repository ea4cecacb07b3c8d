//! What a configuration says of each relation in each direction, resolved once.

use std::ops::Range;

use relata_schema::{AttributeKind, Direction, NodeTypeId, RelationId, Schema};

use super::{Costs, MissingTime, SamplerConfig, Walk};
use crate::snapshot::{Adjacency, Hit, Snapshot};
use crate::{Error, Result};

/// Steps from a seed at most: beyond, no graph of biology has anything new.
pub const MOST_HOPS: usize = 64;

/// One relation walked in one direction.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) relation: RelationId,
    pub(super) direction: Direction,
    /// How the step that leads back is called: the reverse direction, or the same where the relation is symmetric.
    pub(super) back: Direction,
    pub(super) far: NodeTypeId,
    /// For each hop, how many edges a node takes at most.
    pub(super) most: Vec<usize>,
    /// Whether its edges have times.
    is_timed: bool,
}

/// All steps, by the node type that they start from, then by relation and direction.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    steps: Vec<Step>,
    /// For each node type, its steps.
    of: Vec<Range<usize>>,
    hops: usize,
}

impl Steps {
    /// # Errors
    /// [`Error::Setting`] names what cannot be.
    pub(super) fn resolve(schema: &Schema, config: &SamplerConfig) -> Result<Self> {
        let mut relations = config.relations.clone();
        relations.sort_unstable();
        relations.dedup();
        if let Some(unknown) = relations.iter().find(|id| id.index() >= schema.relations().len()) {
            let expected = format!("below {}, the number of relations of the schema", schema.relations().len());
            return Err(setting("relations", format!("relation number {}", unknown.0), expected));
        }
        let hops = match &config.walk {
            Walk::Neighbour { fanouts, .. } => fanouts.len(),
            Walk::Context { hops, .. } => *hops as usize,
        };
        if hops == 0 || hops > MOST_HOPS {
            let (name, found) = match &config.walk {
                Walk::Neighbour { .. } => ("fanouts", format!("{hops} numbers")),
                Walk::Context { .. } => ("hops", hops.to_string()),
            };
            return Err(setting(name, found, format!("1 to {MOST_HOPS}")));
        }
        let mut steps: Vec<Step> = relations.iter().flat_map(|&relation| steps_of(schema, relation)).collect();
        match &config.walk {
            Walk::Neighbour { fanouts, fanout_of } => {
                let wide = |fanouts: &[u32]| fanouts.iter().map(|&fanout| fanout as usize).collect::<Vec<_>>();
                steps.iter_mut().for_each(|step| step.most = wide(fanouts));
                let mut named = Vec::new();
                for (relation, direction, fanouts) in fanout_of {
                    check_followed("fanout_of", schema, &relations, *relation)?;
                    let title = || format!("fanout_of {}, {direction}", schema.relation_title(*relation));
                    if fanouts.len() != hops {
                        return Err(setting(title(), format!("{} numbers", fanouts.len()), format!("{hops}, one a hop")));
                    }
                    let is_meant = |step: &&mut Step| {
                        step.relation == *relation && (step.direction == *direction || step.back == step.direction)
                    };
                    for step in steps.iter_mut().filter(is_meant) {
                        if named.contains(&(step.relation, step.direction)) {
                            return Err(setting(title(), "the same twice".to_owned(), "each once".to_owned()));
                        }
                        named.push((step.relation, step.direction));
                        step.most = wide(fanouts);
                    }
                }
            }
            Walk::Context { tokens, width, width_of, costs, .. } => {
                if *tokens == 0 {
                    return Err(setting("tokens", "0".to_owned(), "at least 1".to_owned()));
                }
                check_costs(schema, costs)?;
                let wide = |width: Option<u32>| vec![width.map_or(usize::MAX, |width| width as usize); hops];
                steps.iter_mut().for_each(|step| step.most = wide(*width));
                for (at, &(relation, width)) in width_of.iter().enumerate() {
                    check_followed("width_of", schema, &relations, relation)?;
                    if width_of[..at].iter().any(|&(named, _)| named == relation) {
                        let title = format!("width_of {}", schema.relation_title(relation));
                        return Err(setting(title, "the same twice".to_owned(), "each once".to_owned()));
                    }
                    steps.iter_mut().filter(|step| step.relation == relation).for_each(|step| step.most = wide(Some(width)));
                }
            }
        }
        let near = |step: &Step| schema.edge(step.relation).near(step.direction);
        steps.sort_by_key(|step| (near(step), step.relation, step.direction));
        let of = schema
            .node_type_ids()
            .map(|id| steps.partition_point(|step| near(step) < id)..steps.partition_point(|step| near(step) <= id));
        let of = of.collect();
        Ok(Self { steps, of, hops })
    }
}

/// The steps that a relation allows: two, or one if it is symmetric.
fn steps_of(schema: &Schema, id: RelationId) -> impl Iterator<Item = Step> + use<> {
    let relation = schema.edge(id);
    let is_timed = relation.attributes.iter().any(|attribute| attribute.kind == AttributeKind::Time);
    let (symmetric, fars) = (relation.symmetric, Direction::BOTH.map(|direction| relation.far(direction)));
    let directions = Direction::BOTH.into_iter().zip(fars).take(if symmetric { 1 } else { 2 });
    directions.map(move |(direction, far)| Step {
        relation: id,
        direction,
        back: if symmetric { direction } else { direction.reverse() },
        far,
        most: Vec::new(),
        is_timed,
    })
}

fn check_followed(name: &str, schema: &Schema, relations: &[RelationId], relation: RelationId) -> Result<()> {
    if relations.contains(&relation) {
        return Ok(());
    }
    let found = match schema.relations().get(relation.index()) {
        Some(_) => schema.relation_title(relation),
        None => format!("relation number {}", relation.0),
    };
    Err(setting(name, found, "a relation that `relations` lists".to_owned()))
}

fn check_costs(schema: &Schema, costs: &Costs) -> Result<()> {
    for (name, found, expected) in [
        ("costs.nodes", costs.nodes.len(), schema.node_types().len()),
        ("costs.edges", costs.edges.len(), schema.relations().len()),
    ] {
        if found != expected {
            return Err(setting(name, format!("{found} numbers"), format!("{expected}, one for each that the schema has")));
        }
    }
    Ok(())
}

fn setting(name: impl Into<String>, found: String, expected: String) -> Error {
    Error::Setting { setting: name.into(), found, expected }
}

/// The steps on a snapshot: what a walk reads of the graph.
pub(super) struct Graph<'s> {
    steps: &'s Steps,
    /// For each step, its adjacency and that of the step back.
    adjacencies: Vec<(Adjacency<'s>, Adjacency<'s>)>,
    cutoff: Option<i64>,
    missing_time: MissingTime,
}

/// The edges of one node in one step.
pub(super) struct Fan<'g> {
    pub(super) step: &'g Step,
    /// The positions that time allows.
    pub(super) allowed: Range<usize>,
    near: u32,
    adjacency: Adjacency<'g>,
    back: Adjacency<'g>,
}

impl<'s> Graph<'s> {
    pub(super) fn new(snapshot: &'s Snapshot, steps: &'s Steps, config: &SamplerConfig) -> Self {
        let adjacencies = steps.steps.iter().map(|step| {
            (snapshot.adjacency(step.relation, step.direction), snapshot.adjacency(step.relation, step.direction.reverse()))
        });
        Self { steps, adjacencies: adjacencies.collect(), cutoff: config.cutoff, missing_time: config.missing_time }
    }

    /// Steps from a seed.
    pub(super) fn hops(&self) -> usize {
        self.steps.hops
    }

    /// A node's edges: a fan for each step, by relation and direction.
    pub(super) fn fans(&self, node: Hit) -> impl Iterator<Item = Fan<'_>> {
        let range = self.steps.of[node.node_type.index()].clone();
        self.steps.steps[range.clone()].iter().zip(&self.adjacencies[range]).map(move |(step, &(adjacency, back))| Fan {
            step,
            allowed: self.allowed(step, &adjacency, node.node),
            near: node.node,
            adjacency,
            back,
        })
    }

    /// Times of a node's edges ascend, missing ones first, so what a cutoff allows is one range.
    fn allowed(&self, step: &Step, adjacency: &Adjacency<'_>, node: u32) -> Range<usize> {
        let Some(cutoff) = self.cutoff.filter(|_| step.is_timed) else { return adjacency.range(node) };
        let range = adjacency.range_until(node, cutoff);
        let start = match self.missing_time {
            MissingTime::Keep => range.start,
            // No edge of the relation has a time.
            MissingTime::Drop if adjacency.times.is_empty() => range.end,
            MissingTime::Drop => adjacency.times.partition_point(range.clone(), |time| time == i64::MIN),
        };
        start..range.end
    }
}

impl Fan<'_> {
    /// The node at the other end of an edge.
    pub(super) fn far(&self, position: usize) -> Hit {
        Hit { node_type: self.step.far, node: self.adjacency.targets[position] }
    }

    /// The position of the same edge among those of its far node, in the step back.
    ///
    /// A node's edges are in the order of time, far node, attributes. So the edges that share both ends and the time stand
    /// together at either end, in one order: that of their attributes. Where those are equal too, they are one as good as
    /// another, and are told apart by this order.
    pub(super) fn twin(&self, position: usize) -> usize {
        let time = self.adjacency.times.raw(position);
        let far = self.adjacency.targets[position];
        let rank = position.saturating_sub(first(&self.adjacency, self.near, time, far));
        first(&self.back, far, time, self.near) + rank
    }
}

/// The first of a node's edges that is not before a time and far node.
fn first(adjacency: &Adjacency<'_>, node: u32, time: i64, far: u32) -> usize {
    let Range { start: mut low, end: mut high } = adjacency.range(node);
    while low < high {
        let middle = low + (high - low) / 2;
        let time_there = adjacency.times.raw(middle);
        if (time_there, adjacency.targets[middle]) < (time, far) { low = middle + 1 } else { high = middle }
    }
    low
}
