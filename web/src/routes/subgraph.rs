use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use relata::sampler::{Listed, Sampler, SamplerConfig, Subgraph, Walk};
use relata::snapshot::{Hit, Snapshot};
use relata_schema::RelationId;
use serde::{Deserialize, Serialize};

use super::nodes::{NodeAnswer, ways};
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
    /// No edge later than this.
    cutoff: Option<i64>,
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
    state
        .answer(move |state| {
            let view = state.view();
            let snapshot = &view.snapshot;
            let seeds = seeds(snapshot, &question.seeds)?;
            let relations = relations(snapshot, question.relations.as_deref())?;
            let drawn = draw(snapshot, &question, &seeds, &relations)?;
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

pub fn within(parameter: &str, found: usize, least: usize, most: usize) -> Result<(), ApiError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(ApiError::bad_field(parameter, format!("{parameter}: found {found}, expected {least} to {most}")))
}

fn seeds(snapshot: &Snapshot, seeds: &[Seed]) -> Result<Vec<Hit>, ApiError> {
    let seed = |(at, seed): (usize, &Seed)| {
        let node_type = lookup::node_type(snapshot.schema(), &format!("seeds[{at}].type"), &seed.node_type)?;
        let node = lookup::node(snapshot, node_type, &format!("seeds[{at}].key"), &seed.key)?;
        Ok(Hit { node_type, node })
    };
    seeds.iter().enumerate().map(seed).collect()
}

pub fn relations(snapshot: &Snapshot, names: Option<&[String]>) -> Result<Vec<RelationId>, ApiError> {
    let schema = snapshot.schema();
    let Some(names) = names else { return Ok(schema.relation_ids().collect()) };
    let relation = |(at, name): (usize, &String)| {
        lookup::relation(schema, &format!("relations[{at}]"), name, None, StatusCode::UNPROCESSABLE_ENTITY)
    };
    let mut found = names.iter().enumerate().map(relation).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err(ApiError::bad_field("relations", "relations: found none, expected one at least, or no `relations` for all"));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Draws hop by hop: a walk of one hop more begins with the same edges, so that before each it is known how many there
/// can be. An answer that could be larger than [`MOST_EDGES`] is refused before it is drawn.
fn draw(snapshot: &Snapshot, question: &SubgraphQuestion, seeds: &[Hit], relations: &[RelationId]) -> Result<Subgraph, ApiError> {
    let mut drawn = Subgraph::default();
    let mut frontier = seeds.to_vec();
    for hop in 1..=question.hops {
        let possible =
            drawn.edges.len() + frontier.iter().map(|&node| possible(snapshot, node, relations, question.fanout)).sum::<usize>();
        if possible > MOST_EDGES {
            let message = format!(
                "hops: hop {hop} can bring the subgraph to {possible} edges, expected at most {MOST_EDGES}; \
                 ask for fewer hops, a smaller fanout, fewer seeds, or name the relations to follow"
            );
            return Err(ApiError::bad_field("hops", message));
        }
        let walk = Walk::neighbour(vec![question.fanout; hop as usize]);
        let config = SamplerConfig {
            cutoff: question.cutoff,
            seed: question.seed,
            listed: Listed::Once,
            ..SamplerConfig::new(walk, relations.to_vec())
        };
        drawn = Sampler::new(snapshot, config)?.sample(seeds, 0)?;
        frontier.clear();
        frontier.extend(drawn.nodes.iter().filter(|node| u32::from(node.hop) == hop).map(|node| node.hit()));
        if frontier.is_empty() {
            break;
        }
    }
    Ok(drawn)
}

/// How many edges a node draws at most.
fn possible(snapshot: &Snapshot, node: Hit, relations: &[RelationId], fanout: u32) -> usize {
    ways(snapshot.schema(), node.node_type)
        .filter(|(relation, _)| relations.contains(relation))
        .map(|(relation, direction)| snapshot.adjacency(relation, direction).degree(node.node).min(fanout as usize))
        .sum()
}
