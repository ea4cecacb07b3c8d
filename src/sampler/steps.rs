//! What a configuration says of each relation in each direction, resolved once.

use std::ops::Range;

use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, Relation, RelationId, Schema};

use super::random::{Key, Mixture};
use super::{Choice, Costs, SamplerConfig, Walk};
use crate::{Error, Result};

/// Steps from a seed at most: beyond, no graph of biology has anything new.
pub const MOST_HOPS: usize = 64;

/// Random walks of a seed at most, and steps of one: what they meet is held until it is counted.
pub const MOST_WALKS: u32 = 1 << 20;

/// One relation walked in one direction.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) relation: RelationId,
    pub(super) direction: Direction,
    /// How the step that leads back is called: the reverse direction, or the same where the relation is symmetric.
    pub(super) back: Direction,
    pub(super) far: NodeTypeId,
    /// The direction that leads up the hierarchy, if its relation is a step of that.
    pub(super) up: Option<Direction>,
    /// For each hop, how many edges a node takes at most.
    pub(super) most: Vec<usize>,
    /// Which edges it takes where it does not take all.
    pub(super) choice: Chosen,
    /// Whether its edges have times.
    pub(super) is_timed: bool,
    /// Names it among a node's choices.
    pub(super) word: Mixture,
}

/// A [`Choice`] of a relation that has what it is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    Uniform,
    Latest,
    Weighted(AttributeId),
    Top(AttributeId),
}

/// All steps, by the node type that they start from, then by relation and direction.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    pub(super) steps: Vec<Step>,
    /// For each node type, its steps.
    of: Vec<Range<usize>>,
    /// Steps from a seed.
    pub(super) hops: usize,
    /// For each hop, of each step, how many edges a node takes at most.
    pub(super) fanouts: Vec<Vec<usize>>,
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
            return Err(Error::setting("relations", format!("relation number {}", unknown.0), expected));
        }
        let hops = match &config.walk {
            Walk::Neighbour { fanouts, .. } => fanouts.len(),
            Walk::Context { hops, .. } => *hops as usize,
            Walk::Hierarchy { up, down } => up.len().max(down.len()),
        };
        if hops == 0 || hops > MOST_HOPS {
            let (name, found) = match &config.walk {
                Walk::Neighbour { .. } => ("fanouts", format!("{hops} numbers")),
                Walk::Context { .. } => ("hops", hops.to_string()),
                Walk::Hierarchy { .. } => ("up and down", format!("{hops} numbers")),
            };
            return Err(Error::setting(name, found, format!("1 to {MOST_HOPS}")));
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
                        return Err(Error::setting(title(), format!("{} numbers", fanouts.len()), format!("{hops}, one a hop")));
                    }
                    let is_meant = |step: &&mut Step| {
                        step.relation == *relation && (step.direction == *direction || step.back == step.direction)
                    };
                    for step in steps.iter_mut().filter(is_meant) {
                        if named.contains(&(step.relation, step.direction)) {
                            return Err(Error::setting(title(), "the same twice", "each once"));
                        }
                        named.push((step.relation, step.direction));
                        step.most = wide(fanouts);
                    }
                }
            }
            Walk::Hierarchy { .. } => {
                steps.retain(|step| step.up.is_some());
                if steps.is_empty() {
                    let found = "no relation that is a step of the hierarchy".to_owned();
                    return Err(Error::setting("relations", found, "one that the schema marks with `contains`"));
                }
                steps.iter_mut().for_each(|step| step.most = vec![usize::MAX; hops]);
            }
            Walk::Context { tokens, width, width_of, costs, .. } => {
                if *tokens == 0 {
                    return Err(Error::setting("tokens", "0", "at least 1"));
                }
                check_costs(schema, costs)?;
                let wide = |width: Option<u32>| vec![width.map_or(usize::MAX, |width| width as usize); hops];
                steps.iter_mut().for_each(|step| step.most = wide(*width));
                for (at, &(relation, width)) in width_of.iter().enumerate() {
                    check_followed("width_of", schema, &relations, relation)?;
                    if width_of[..at].iter().any(|&(named, _)| named == relation) {
                        let title = format!("width_of {}", schema.relation_title(relation));
                        return Err(Error::setting(title, "the same twice", "each once"));
                    }
                    steps.iter_mut().filter(|step| step.relation == relation).for_each(|step| step.most = wide(Some(width)));
                }
            }
        }
        check_retrieval(config)?;
        choose_by(schema, config, &relations, &mut steps)?;
        let near = |step: &Step| schema.edge(step.relation).near(step.direction);
        steps.sort_by_key(|step| (near(step), step.relation, step.direction));
        let of = schema
            .node_type_ids()
            .map(|id| steps.partition_point(|step| near(step) < id)..steps.partition_point(|step| near(step) <= id));
        let of = of.collect();
        let fanouts = (0..hops).map(|hop| steps.iter().map(|step| step.most[hop]).collect()).collect();
        Ok(Self { steps, of, hops, fanouts })
    }

    /// The numbers of a node type's steps.
    #[inline(always)]
    pub(super) fn of(&self, node_type: NodeTypeId) -> Range<usize> {
        let Range { start, end } = self.of[node_type.index()];
        start..end
    }

    /// The number of a relation's step in a direction.
    pub(super) fn find(&self, relation: RelationId, direction: Direction) -> Option<usize> {
        self.steps.iter().position(|step| (step.relation, step.direction) == (relation, direction))
    }
}

/// The steps that a relation allows: two, or one if it is symmetric.
fn steps_of(schema: &Schema, id: RelationId) -> impl Iterator<Item = Step> {
    let relation = schema.edge(id);
    let is_timed = has_times(relation);
    relation.directions().iter().map(move |&direction| Step {
        relation: id,
        direction,
        back: if relation.symmetric { direction } else { direction.reverse() },
        far: relation.far(direction),
        up: relation.up(),
        most: Vec::new(),
        choice: Chosen::Uniform,
        is_timed,
        word: Key::mixture(u64::from(id.0) << 1 | u64::from(direction == Direction::Incoming)),
    })
}

/// What a choice is for a relation; nothing where the relation does not have what it is made by.
fn chosen(relation: &Relation, choice: &Choice) -> Option<Chosen> {
    let number = |name: &str| relation.numbers().find(|(_, known)| known.name == name).map(|(id, _)| id);
    match choice {
        Choice::Uniform => Some(Chosen::Uniform),
        Choice::Latest => has_times(relation).then_some(Chosen::Latest),
        Choice::Weighted(name) => number(name).map(Chosen::Weighted),
        Choice::Top(name) => number(name).map(Chosen::Top),
    }
}

fn has_times(relation: &Relation) -> bool {
    relation.attributes.iter().any(|attribute| attribute.kind == AttributeKind::Time)
}

/// What is said where none of some relations has what a choice is made by.
fn no_choice(schema: &Schema, name: String, relations: &[RelationId], choice: &Choice) -> Error {
    let (found, what) = match choice {
        Choice::Weighted(name) | Choice::Top(name) => (format!("`{name}`"), "number attribute"),
        // Any edges can be chosen from uniformly, and where there are times, by them.
        Choice::Uniform | Choice::Latest => {
            return Error::setting(name, "latest", "a time attribute, and there is none");
        }
    };
    let numbers = relations.iter().flat_map(|&id| schema.edge(id).numbers());
    let mut names: Vec<&str> = numbers.map(|(_, known)| known.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let known = match names.as_slice() {
        [] => format!("a {what}, and there is none"),
        names => format!("a {what}: {}", names.join(", ")),
    };
    Error::setting(name, found, known)
}

/// Resolves the choices of all steps.
fn choose_by(schema: &Schema, config: &SamplerConfig, relations: &[RelationId], steps: &mut [Step]) -> Result<()> {
    let mut is_met = false;
    for step in steps.iter_mut() {
        if let Some(found) = chosen(schema.edge(step.relation), &config.choice) {
            step.choice = found;
            is_met = true;
        }
    }
    if !is_met && !steps.is_empty() {
        return Err(no_choice(schema, "choice".to_owned(), relations, &config.choice));
    }
    for (at, (relation, choice)) in config.choice_of.iter().enumerate() {
        check_followed("choice_of", schema, relations, *relation)?;
        let title = || format!("choice_of {}", schema.relation_title(*relation));
        if config.choice_of[..at].iter().any(|(named, _)| named == relation) {
            return Err(Error::setting(title(), "the same twice", "each once"));
        }
        let found = chosen(schema.edge(*relation), choice);
        let found = found.ok_or_else(|| no_choice(schema, title(), &[*relation], choice))?;
        steps.iter_mut().filter(|step| step.relation == *relation).for_each(|step| step.choice = found);
    }
    Ok(())
}

fn check_followed(name: &str, schema: &Schema, relations: &[RelationId], relation: RelationId) -> Result<()> {
    if relations.contains(&relation) {
        return Ok(());
    }
    let found = match schema.relations().get(relation.index()) {
        Some(_) => schema.relation_title(relation),
        None => format!("relation number {}", relation.0),
    };
    Err(Error::setting(name, found, "a relation that `relations` lists"))
}

fn check_retrieval(config: &SamplerConfig) -> Result<()> {
    let Some(retrieval) = &config.retrieval else { return Ok(()) };
    for (name, found, most) in [
        ("retrieval.walks", retrieval.walks, MOST_WALKS),
        ("retrieval.steps", retrieval.steps, MOST_WALKS),
        ("retrieval.rows", retrieval.rows, u32::MAX),
    ] {
        if found == 0 || found > most {
            return Err(Error::setting(name, found.to_string(), format!("1 to {most}")));
        }
    }
    Ok(())
}

fn check_costs(schema: &Schema, costs: &Costs) -> Result<()> {
    for (name, found, expected) in [
        ("costs.nodes", costs.nodes.len(), schema.node_types().len()),
        ("costs.edges", costs.edges.len(), schema.relations().len()),
    ] {
        if found != expected {
            return Err(Error::setting(
                name,
                format!("{found} numbers"),
                format!("{expected}, one for each that the schema has"),
            ));
        }
    }
    Ok(())
}
