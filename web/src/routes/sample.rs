use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body as Stream, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use relata::export::subgraphs::{ArrowStream, Drawing, Grouping};
use relata::sampler::{Costs, Listed, Sampler, SamplerConfig, Seeds, Walk};
use relata::snapshot::{Hit, Snapshot};
use relata_schema::{NodeTypeId, RelationId};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::nodes::ways;
use super::subgraph::{relations, within};
use crate::request::Body;
use crate::state::View;
use crate::{ApiError, AppState, lookup};

/// Keys that a question names: some of a body's megabyte.
const MOST_KEYS: usize = 10_000;
/// Seeds of one answer. A stream may be long, but whoever wants all of a large store asks `relata sample`.
const MOST_SEEDS: usize = 1_000_000;
/// Edges that one subgraph may have: some 100 MB, which are held in memory.
const MOST_EDGES: u64 = 1 << 22;
/// Tokens of a context, and so its edges.
const MOST_TOKENS: usize = 1 << 16;
/// Pieces that wait for the network, of some megabytes each.
const WAITING: usize = 1;

/// The body of a question for many subgraphs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleQuestion {
    /// Node type of the seeds.
    #[serde(rename = "type")]
    node_type: String,
    /// The seeds: by their keys, so many by lot, or all of the type.
    keys: Option<Vec<String>>,
    count: Option<u32>,
    #[serde(default)]
    all: bool,
    /// Neighbour walk: for each hop, the edges that a node takes of each relation and direction.
    fanouts: Option<Vec<u32>>,
    /// Context walk, which is the default: its budget, its hops, and the edges that a node takes of each relation and direction.
    tokens: Option<u32>,
    hops: Option<u32>,
    width: Option<u32>,
    /// All if left out.
    relations: Option<Vec<String>>,
    /// No edge later than this.
    cutoff: Option<i64>,
    /// Another draw for another number.
    #[serde(default)]
    seed: u64,
    /// Seeds of a subgraph; left out, each has its own.
    batch: Option<u32>,
    /// Whether nodes' keys are among the columns.
    #[serde(default)]
    with_keys: bool,
}

/// `POST /v1/sample`: subgraphs as a stream of Arrow IPC, a row each. It is drawn as fast as it is read, and all of it from
/// the snapshot that it began with. When something fails on the way, the connection ends before the stream does.
pub async fn sample(State(state): State<AppState>, Body(question): Body<SampleQuestion>) -> Result<Response, ApiError> {
    question.check()?;
    let first = state.compute(None, move |state| {
        let mut stream = question.stream(&state.view().snapshot)?;
        let piece = stream.next_piece()?;
        Ok((stream, piece, state.held()))
    });
    let (stream, piece, view) = first.await?;
    let (send, pieces) = mpsc::channel(WAITING);
    tokio::spawn(draw_on(state, view, stream, piece, send));
    let kind = [(CONTENT_TYPE, "application/vnd.apache.arrow.stream")];
    Ok((kind, Stream::from_stream(Pieces(pieces))).into_response())
}

/// Sends a piece, and draws the next, until there is none or nobody listens. It holds no permit while it waits for the
/// network: a slow reader keeps nobody from an answer.
async fn draw_on(
    state: AppState,
    view: Arc<View>,
    mut stream: ArrowStream,
    mut piece: Option<Vec<u8>>,
    send: mpsc::Sender<io::Result<Bytes>>,
) {
    while let Some(found) = piece {
        // When there is room for it. So one piece waits at most, and one more is drawn meanwhile.
        if send.send(Ok(Bytes::from(found))).await.is_err() {
            return;
        }
        let next = state.compute(Some(Arc::clone(&view)), move |_| {
            let piece = stream.next_piece()?;
            Ok((stream, piece))
        });
        match next.await {
            Ok((same, found)) => (stream, piece) = (same, found),
            Err(error) => {
                let _ = send.send(Err(io::Error::other(error.message))).await;
                return;
            }
        }
    }
}

/// What comes through a channel, as a body.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl SampleQuestion {
    /// Whether all numbers are within their bounds, and nothing is said twice.
    fn check(&self) -> Result<(), ApiError> {
        let given = usize::from(self.keys.is_some()) + usize::from(self.count.is_some()) + usize::from(self.all);
        if given != 1 {
            let parameter = if self.keys.is_some() { "keys" } else { "count" };
            let message = format!("{parameter}: found {given} of `keys`, `count` and `all`, expected one");
            return Err(ApiError::bad_field(parameter, message));
        }
        if let Some(keys) = &self.keys {
            within("keys", keys.len(), 1, MOST_KEYS)?;
        }
        let bounds = [
            ("count", self.count, MOST_SEEDS),
            ("tokens", self.tokens, MOST_TOKENS),
            ("hops", self.hops, 8),
            ("width", self.width, u32::MAX as usize),
            ("batch", self.batch, MOST_SEEDS),
        ];
        for (parameter, found, most) in bounds {
            found.map_or(Ok(()), |found| within(parameter, found as usize, 1, most))?;
        }
        let Some(fanouts) = &self.fanouts else { return Ok(()) };
        let context = [("tokens", self.tokens), ("hops", self.hops), ("width", self.width)];
        if let Some((parameter, _)) = context.iter().find(|(_, given)| given.is_some()) {
            let message = format!("{parameter}: found it beside `fanouts`, expected one of them: they are of different walks");
            return Err(ApiError::bad_field(parameter, message));
        }
        if !(1..=4).contains(&fanouts.len()) {
            let message = format!("fanouts: found {} numbers, expected 1 to 4, one a hop", fanouts.len());
            return Err(ApiError::bad_field("fanouts", message));
        }
        for (at, &fanout) in fanouts.iter().enumerate() {
            within(&format!("fanouts[{at}]"), fanout as usize, 1, 1000)?;
        }
        Ok(())
    }

    fn stream(&self, snapshot: &Snapshot) -> Result<ArrowStream, ApiError> {
        let schema = snapshot.schema();
        let node_type = lookup::node_type(schema, "type", &self.node_type)?;
        let seeds = self.seeds(snapshot, node_type)?;
        let relations = relations(snapshot, self.relations.as_deref())?;
        let grouping = self.batch.map_or(Grouping::Each, Grouping::Batch);
        let walk = match &self.fanouts {
            Some(fanouts) => {
                let together = self.batch.map_or(1, |batch| (batch as usize).min(seeds.len())) as u64;
                let possible = possible(snapshot, (node_type, together), &relations, fanouts);
                if possible > MOST_EDGES {
                    let message = format!(
                        "fanouts: a subgraph can have {possible} edges, expected at most {MOST_EDGES}; ask for smaller fanouts, a \
                         smaller batch, or name the relations to follow"
                    );
                    return Err(ApiError::bad_field("fanouts", message));
                }
                Walk::neighbour(fanouts.clone())
            }
            None => Walk::Context {
                tokens: self.tokens.unwrap_or(1024),
                hops: self.hops.unwrap_or(2),
                width: self.width,
                width_of: Vec::new(),
                costs: Costs::of_attributes(schema),
            },
        };
        let config =
            SamplerConfig { cutoff: self.cutoff, seed: self.seed, listed: Listed::Once, ..SamplerConfig::new(walk, relations) };
        let sampler = Sampler::new(snapshot, config)?;
        Ok(ArrowStream::new(Drawing::new(sampler, 0, seeds, grouping, self.with_keys)?)?)
    }

    fn seeds(&self, snapshot: &Snapshot, node_type: NodeTypeId) -> Result<Vec<Hit>, ApiError> {
        if let Some(keys) = &self.keys {
            let hit = |(at, key): (usize, &String)| {
                Ok(Hit { node_type, node: lookup::node(snapshot, node_type, &format!("keys[{at}]"), key)? })
            };
            return keys.iter().enumerate().map(hit).collect();
        }
        let all = Seeds::all(snapshot, node_type);
        if all.is_empty() {
            let message = format!("type: found `{}`, expected a type that the snapshot has nodes of", self.node_type);
            return Err(ApiError::bad_field("type", message));
        }
        if let Some(count) = self.count {
            return Ok(all.by_lot(count, self.seed).iter().collect());
        }
        if all.len() > MOST_SEEDS {
            let nodes = all.len();
            let message = format!("all: found {nodes} nodes, expected at most {MOST_SEEDS}; ask for a `count` of them");
            return Err(ApiError::bad_field("all", message));
        }
        Ok(all.iter().collect())
    }
}

/// How many edges a subgraph around so many seeds of a type can have: hop by hop, if no two nodes found the same one.
fn possible(snapshot: &Snapshot, seeds: (NodeTypeId, u64), relations: &[RelationId], fanouts: &[u32]) -> u64 {
    let schema = snapshot.schema();
    let mut edges = 0_u64;
    let mut frontier = vec![0_u64; schema.node_types().len()];
    frontier[seeds.0.index()] = seeds.1;
    for &fanout in fanouts {
        let mut next = vec![0_u64; frontier.len()];
        for (node_type, &nodes) in schema.node_type_ids().zip(&frontier).filter(|&(_, &nodes)| nodes > 0) {
            for (relation, direction) in ways(schema, node_type).filter(|(relation, _)| relations.contains(relation)) {
                let all = snapshot.adjacency(relation, direction).targets.len() as u64;
                let drawn = nodes.saturating_mul(u64::from(fanout)).min(all);
                edges += drawn;
                let far = schema.edge(relation).far(direction);
                let found = &mut next[far.index()];
                *found = (*found + drawn).min(u64::from(snapshot.node_count(far)));
            }
        }
        frontier = next;
    }
    edges
}
