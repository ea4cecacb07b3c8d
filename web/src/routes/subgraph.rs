use std::collections::{BTreeMap, HashMap};

use axum::extract::State;
use relata::sampler::{Choice, EqualTime, Listed, MissingTime, Sampler, SamplerConfig, Subgraph, Walk};
use relata::snapshot::{Hit, Snapshot};
use relata_schema::{Direction, RelationId};
use serde::{Deserialize, Serialize};

use super::nodes::{NodeAnswer, ways};
use super::settings::{choice, of_a_cutoff, of_relations, relations, times, within};
use crate::request::Body;
use crate::state::Answer;
use crate::values::{EdgeReader, Named, Shown};
use crate::{ApiError, AppState, lookup};

/// Edges that an answer may have: some 20 MB of JSON.
const MOST_EDGES: usize = 100_000;

/// The body of a question for a subgraph.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubgraphQuestion {
    seeds: Vec<Seed>,
    #[serde(default = "default_hops")]
    hops: u32,
    /// Edges that a node takes of each relation and direction, at most.
    #[serde(default = "default_fanout")]
    fanout: u32,
    /// All if left out.
    relations: Option<Vec<String>>,
    /// Which edges a node takes, as [`Choice`] reads it; and of one relation.
    choice: Option<String>,
    #[serde(default)]
    choice_of: BTreeMap<String, String>,
    /// Which edges are listed; each once if left out.
    listed: Option<Listed>,
    /// Nothing later than this.
    cutoff: Option<i64>,
    /// What the cutoff does with what has just that time, and with what has none.
    equal_time: Option<EqualTime>,
    missing_time: Option<MissingTime>,
    /// Of a node type, the time attribute that says since when a node has been there, or null.
    #[serde(default)]
    time_of: BTreeMap<String, Option<String>>,
    /// Another draw for another number.
    #[serde(default)]
    seed: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    #[serde(rename = "type")]
    node_type: String,
    key: String,
}

/// What a node is related to, and how those are related to each other.
fn default_hops() -> u32 {
    2
}

/// As much as a drawing shows.
fn default_fanout() -> u32 {
    10
}

#[derive(Serialize)]
struct SubgraphAnswer<'s> {
    snapshot: &'s str,
    nodes: Vec<SampledNodeAnswer<'s>>,
    edges: Vec<SampledEdgeAnswer<'s>>,
}

#[derive(Serialize)]
struct SampledNodeAnswer<'s> {
    #[serde(flatten)]
    node: NodeAnswer<'s>,
    hop: u16,
    seed: bool,
}

#[derive(Serialize)]
struct SampledEdgeAnswer<'s> {
    relation: &'s str,
    /// A place in the nodes, as is `target`.
    source: u32,
    target: u32,
    time: Option<i64>,
    attributes: Named<'s, Shown<'s>>,
}

/// `POST /v1/subgraph`
pub async fn subgraph(State(state): State<AppState>, Body(question): Body<SubgraphQuestion>) -> Result<Answer, ApiError> {
    within("hops", question.hops as usize, 1, 4)?;
    within("fanout", question.fanout as usize, 1, 100)?;
    within("seeds", question.seeds.len(), 1, 100)?;
    let said = [
        ("equal_time", question.equal_time.is_some()),
        ("missing_time", question.missing_time.is_some()),
        ("time_of", !question.time_of.is_empty()),
    ];
    of_a_cutoff(question.cutoff.is_some(), said)?;
    state
        .answer(move |state| {
            let view = state.view();
            let snapshot = &view.snapshot;
            let seeds = seeds(snapshot, &question.seeds)?;
            let drawn = draw(snapshot, &question, &seeds)?;
            let schema = snapshot.schema();
            let titles: Vec<String> = schema.relation_ids().map(|id| schema.relation_title(id)).collect();
            let mut readers = HashMap::new();
            let nodes = drawn.nodes.iter().map(|node| SampledNodeAnswer {
                node: NodeAnswer::of(snapshot, node.node_type, node.node),
                hop: node.hop,
                seed: node.hop == 0,
            });
            let edges = drawn.edges.iter().map(|edge| {
                let (source, target) = edge.ends();
                let walked = (edge.relation, edge.direction);
                let reader = readers.entry(walked).or_insert_with(|| EdgeReader::new(snapshot, walked.0, walked.1));
                SampledEdgeAnswer {
                    relation: &titles[edge.relation.index()],
                    source,
                    target,
                    time: reader.time(edge.position as usize),
                    attributes: reader.attributes(edge.position as usize),
                }
            });
            let (nodes, edges) = (nodes.collect(), edges.collect());
            Answer::of(&SubgraphAnswer { snapshot: snapshot.id().as_str(), nodes, edges })
        })
        .await
}

fn seeds(snapshot: &Snapshot, seeds: &[Seed]) -> Result<Vec<Hit>, ApiError> {
    let seed = |(at, seed): (usize, &Seed)| {
        let node_type = lookup::node_type(snapshot.schema(), &format!("seeds[{at}].type"), &seed.node_type)?;
        let node = lookup::node(snapshot, node_type, &format!("seeds[{at}].key"), &seed.key)?;
        Ok(Hit { node_type, node })
    };
    seeds.iter().enumerate().map(seed).collect()
}

impl SubgraphQuestion {
    /// How it is drawn, apart from the walk.
    fn config(&self, snapshot: &Snapshot) -> Result<SamplerConfig, ApiError> {
        let schema = snapshot.schema();
        Ok(SamplerConfig {
            choice: self.choice.as_deref().map_or(Ok(Choice::Uniform), |text| choice("choice", text))?,
            choice_of: of_relations(schema, "choice_of", &self.choice_of, |parameter, text| choice(parameter, text))?,
            listed: Listed::Once,
            cutoff: self.cutoff,
            equal_time: self.equal_time.unwrap_or_default(),
            missing_time: self.missing_time.unwrap_or_default(),
            time_of: times(schema, &self.time_of)?,
            seed: self.seed,
            ..SamplerConfig::new(Walk::neighbour([self.fanout]), relations(snapshot, self.relations.as_deref())?)
        })
    }
}

/// Draws hop by hop: a walk of one hop more begins with the same edges, so that before each it is known how many there
/// can be. An answer that could be larger than [`MOST_EDGES`] is refused before it is drawn.
fn draw(snapshot: &Snapshot, question: &SubgraphQuestion, seeds: &[Hit]) -> Result<Subgraph, ApiError> {
    let config = question.config(snapshot)?;
    let walked = |hops: u32, listed: Listed| {
        let walk = Walk::neighbour(vec![question.fanout; hops as usize]);
        let config = SamplerConfig { walk, listed, ..config.clone() };
        let sampler = Sampler::new(snapshot, config).map_err(|error| ApiError::bad_setting(None, error))?;
        Ok::<_, ApiError>(sampler.sample(seeds, 0)?)
    };
    let listed = question.listed.unwrap_or(Listed::Once);
    let (mut drawn, mut frontier) = (Subgraph::default(), seeds.to_vec());
    for hop in 1..=question.hops {
        let possible = drawn.edges.len()
            + frontier.iter().map(|&node| possible(snapshot, node, &config.relations, question.fanout)).sum::<usize>();
        if possible > MOST_EDGES {
            let message = format!(
                "hops: hop {hop} can bring the subgraph to {possible} edges, expected at most {MOST_EDGES}; \
                 ask for fewer hops, a smaller fanout, fewer seeds, or name the relations to follow"
            );
            return Err(ApiError::bad_field("hops", message));
        }
        drawn = walked(hop, if listed == Listed::Drawn { Listed::Drawn } else { Listed::Once })?;
        frontier.clear();
        frontier.extend(drawn.nodes.iter().filter(|node| u32::from(node.hop) == hop).map(|node| node.hit()));
        if frontier.is_empty() {
            break;
        }
    }
    if listed != Listed::Induced {
        return Ok(drawn);
    }
    let possible = between(snapshot, &drawn, &config.relations);
    if possible > MOST_EDGES {
        let message = format!(
            "listed: the nodes of the subgraph have {possible} edges to look at, expected at most {MOST_EDGES}; \
             ask for fewer hops, a smaller fanout, fewer seeds, or name the relations to follow"
        );
        return Err(ApiError::bad_field("listed", message));
    }
    walked(question.hops, Listed::Induced)
}

/// How many edges are looked at to list all between the nodes: of each relation, those of the end that has fewer.
fn between(snapshot: &Snapshot, drawn: &Subgraph, relations: &[RelationId]) -> usize {
    let schema = snapshot.schema();
    let edges = |relation: RelationId, direction: Direction| -> usize {
        let near = schema.edge(relation).near(direction);
        let adjacency = snapshot.adjacency(relation, direction);
        drawn.nodes.iter().filter(|node| node.node_type == near).map(|node| adjacency.degree(node.node)).sum()
    };
    let least = |&relation: &RelationId| {
        let ends = schema.edge(relation).directions().iter().map(|&direction| edges(relation, direction));
        ends.min().unwrap_or_default()
    };
    relations.iter().map(least).sum()
}

/// How many edges a node draws at most.
fn possible(snapshot: &Snapshot, node: Hit, relations: &[RelationId], fanout: u32) -> usize {
    ways(snapshot.schema(), node.node_type)
        .filter(|(relation, _)| relations.contains(relation))
        .map(|(relation, direction)| snapshot.adjacency(relation, direction).degree(node.node).min(fanout as usize))
        .sum()
}
