use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use relata::snapshot::{Cost, Hit, Path, PathEnd, PathQuery, Snapshot, Weight};
use relata_schema::{Direction, NodeTypeId, RelationId};
use serde::Serialize;

use super::nodes::NodeAnswer;
use crate::request::Parameters;
use crate::state::Answer;
use crate::values::{EdgeReader, Named, Shown};
use crate::{ApiError, AppState, ErrorCode, lookup};

/// Nodes that one request visits at most: a fraction of a second by hops, some seconds by weights.
const MOST_VISITS: u64 = 2_000_000;

/// As many suggestions as a person reads.
const SUGGESTIONS: usize = 3;

#[derive(Serialize)]
struct PathAnswer<'s> {
    snapshot: &'s str,
    from: NodeAnswer<'s>,
    to: End<'s>,
    /// Shortest first; none where there is none within the limits.
    paths: Vec<Found<'s>>,
    /// Nodes that were visited.
    visited: u64,
    /// Whether the search went on to its end; if not, it stopped at `most_visits`.
    complete: bool,
    most_visits: u64,
    /// What there is to say where fewer paths were found than asked for.
    message: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum End<'s> {
    Node(NodeAnswer<'s>),
    Type {
        #[serde(rename = "type")]
        node_type: &'s str,
    },
}

#[derive(Serialize)]
struct Found<'s> {
    hops: usize,
    cost: f64,
    nodes: Vec<NodeAnswer<'s>>,
    steps: Vec<Step<'s>>,
}

/// The edge from a node of the path to the next.
#[derive(Serialize)]
struct Step<'s> {
    relation: String,
    direction: Direction,
    cost: f64,
    time: Option<i64>,
    attributes: Named<'s, Shown<'s>>,
}

/// `GET /v1/path?from=&to=&relations=&directed=&hops=&paths=&weight=&cost=`
pub async fn path(State(state): State<AppState>, parameters: Parameters) -> Result<Answer, ApiError> {
    parameters.only(&["from", "to", "relations", "directed", "hops", "paths", "weight", "cost"])?;
    let required = |name: &'static str| match parameters.text(name)?.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(ApiError::bad_query(name, format!("{name}: found nothing, expected `type:key`, or a name of one node only"))),
    };
    let (from, to) = (required("from")?, required("to")?);
    let directed = parameters.choice("directed", &[("false", false), ("true", true)])?;
    let hops = parameters.number("hops", 1..=50, 6)? as u32;
    let paths = parameters.number("paths", 1..=100, 1)?;
    let weight = parameters.text("weight")?.map(str::to_owned);
    let costs = [("value", Cost::Value), ("inverse", Cost::Inverse), ("logarithm", Cost::NegativeLogarithm)];
    let cost = parameters.choice("cost", &costs)?;
    if weight.is_none() && parameters.text("cost")?.is_some() {
        return Err(ApiError::bad_query("cost", "cost: found it without `weight`, expected the attribute that it is made of"));
    }
    state
        .answer(move |reading| {
            let snapshot = &reading.view().snapshot;
            let query = PathQuery {
                relations: relations(snapshot, &parameters.list("relations"))?,
                directed,
                weight: weight.map(|attribute| Weight { cost, ..Weight::new(attribute) }),
                most_hops: hops,
                count: paths,
                most_visits: MOST_VISITS,
                ..PathQuery::new(node(snapshot, "from", &from)?, end(snapshot, &to)?)
            };
            // Names and numbers were looked at before: what is left to refuse is the weight.
            let found = snapshot.paths(&query).map_err(|error| match error {
                relata::Error::Setting { .. } => ApiError::bad_query("weight", error.to_string()),
                other => ApiError::internal(other),
            })?;
            let mut readers = HashMap::new();
            let shown = found.paths.iter().map(|path| shown(snapshot, path, &mut readers)).collect();
            Answer::of(&PathAnswer {
                snapshot: snapshot.id().as_str(),
                from: NodeAnswer::of(snapshot, query.from.node_type, query.from.node),
                to: match query.to {
                    PathEnd::Node(hit) => End::Node(NodeAnswer::of(snapshot, hit.node_type, hit.node)),
                    PathEnd::Type(id) => End::Type { node_type: &snapshot.schema().node(id).name },
                },
                message: message(found.paths.len(), paths, hops, found.complete),
                paths: shown,
                visited: found.visited,
                complete: found.complete,
                most_visits: MOST_VISITS,
            })
        })
        .await
}

fn message(found: usize, wanted: usize, hops: u32, complete: bool) -> Option<String> {
    let hops = if hops == 1 { "1 hop".to_owned() } else { format!("{hops} hops") };
    match (complete, found) {
        (false, _) => Some(format!(
            "the search stopped after visiting {MOST_VISITS} nodes: there may be more paths; name the relations to walk, or ask \
             for fewer hops or paths"
        )),
        (true, 0) => Some(format!("there is no path within {hops}")),
        (true, found) if found < wanted => Some(format!("there are no more paths within {hops}")),
        (true, _) => None,
    }
}

fn shown<'s>(snapshot: &'s Snapshot, path: &Path, readers: &mut HashMap<(RelationId, Direction), EdgeReader<'s>>) -> Found<'s> {
    let steps = path.steps.iter().map(|step| {
        let walked = (step.relation, step.direction);
        let reader = readers.entry(walked).or_insert_with(|| EdgeReader::new(snapshot, walked.0, walked.1));
        Step {
            relation: snapshot.schema().relation_title(step.relation),
            direction: step.direction,
            cost: step.cost,
            time: reader.time(step.position),
            attributes: reader.attributes(step.position),
        }
    });
    Found {
        hops: path.steps.len(),
        cost: path.cost,
        steps: steps.collect(),
        nodes: path.nodes.iter().map(|hit| NodeAnswer::of(snapshot, hit.node_type, hit.node)).collect(),
    }
}

fn relations(snapshot: &Snapshot, names: &[&str]) -> Result<Option<Vec<RelationId>>, ApiError> {
    let one = |name: &&str| lookup::relation(snapshot.schema(), "relations", name, None, StatusCode::BAD_REQUEST);
    let found = names.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    Ok((!found.is_empty()).then_some(found))
}

/// A type alone, or a node.
fn end(snapshot: &Snapshot, text: &str) -> Result<PathEnd, ApiError> {
    match snapshot.schema().node_type(text) {
        Ok(node_type) => Ok(PathEnd::Type(node_type)),
        Err(_) => Ok(PathEnd::Node(node(snapshot, "to", text)?)),
    }
}

/// `type:key`, or a name that only one node has.
fn node(snapshot: &Snapshot, parameter: &str, text: &str) -> Result<Hit, ApiError> {
    if let Some((node_type, key)) = snapshot.typed(text) {
        let node = lookup::node(snapshot, node_type, parameter, key).map_err(|error| titled(snapshot, node_type, error))?;
        return Ok(Hit { node_type, node });
    }
    match snapshot.named(text).as_slice() {
        &[only] => Ok(only),
        [] => match (snapshot.misspelt_type(text), text.split_once(':')) {
            (Some(_), Some((word, _))) => match lookup::node_type(snapshot.schema(), parameter, word) {
                Err(error) => Err(error),
                Ok(_) => Err(ApiError::internal("a type is both known and misspelt")),
            },
            _ => {
                let near = snapshot.titles(&snapshot.near(text, SUGGESTIONS));
                let message = format!("no node has the key `{text}`, nor is it the label or identifier of one only");
                Err(ApiError::unknown(ErrorCode::UnknownKey, parameter, message).suggesting(near))
            }
        },
        several => {
            let titles = snapshot.titles(several);
            let message =
                format!("{parameter}: `{text}` is the name of {} nodes, expected one of {}", several.len(), titles.join(", "));
            Err(ApiError::bad_query(parameter, message).suggesting(titles))
        }
    }
}

/// With suggestions that can be written as they are.
fn titled(snapshot: &Snapshot, node_type: NodeTypeId, error: ApiError) -> ApiError {
    let name = &snapshot.schema().node(node_type).name;
    let near: Vec<String> = error.suggestions.iter().map(|key| format!("{name}:{key}")).collect();
    error.suggesting(near)
}
