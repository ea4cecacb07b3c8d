use axum::extract::State;
use relata::embedding::{EmbeddingInfo, EmbeddingTable};
use relata::snapshot::Snapshot;
use serde::{Deserialize, Serialize};

use crate::request::{Body, Parameters, Segments};
use crate::state::Answer;
use crate::{ApiError, AppState, ErrorCode, lookup};

#[derive(Serialize)]
struct ModelsAnswer {
    models: Vec<EmbeddingInfo>,
}

#[derive(Serialize)]
struct VectorAnswer<'t> {
    model: &'t str,
    #[serde(rename = "type")]
    node_type: &'t str,
    key: &'t str,
    label: &'t str,
    vector: &'t [f32],
    layout: Option<[f32; 2]>,
}

/// The body of a question for the nearest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearestQuestion {
    key: Option<String>,
    vector: Option<Vec<f32>>,
    #[serde(default = "default_count")]
    count: usize,
}

/// As many as a person reads.
fn default_count() -> usize {
    10
}

#[derive(Serialize)]
struct NearestAnswer<'t> {
    hits: Vec<Similar<'t>>,
}

#[derive(Serialize)]
struct Similar<'t> {
    key: &'t str,
    label: &'t str,
    similarity: f32,
}

/// `GET /v1/embeddings`
pub async fn list(State(state): State<AppState>, parameters: Parameters) -> Result<Answer, ApiError> {
    parameters.only(&[])?;
    state.answer(|state| Answer::of(&ModelsAnswer { models: state.tables().list() })).await
}

/// `GET /v1/embeddings/{model}/{type}/{key}`
pub async fn vector(
    State(state): State<AppState>,
    Segments((model, node_type, key)): Segments<(String, String, String)>,
    parameters: Parameters,
) -> Result<Answer, ApiError> {
    parameters.only(&[])?;
    state
        .answer(move |state| {
            let view = state.view();
            let table = state.tables().get(&model, &node_type)?;
            let row = row_of(&view.snapshot, &table, &key)?;
            let layout = table.layout.get(row * 2..row * 2 + 2).map(|place| [place[0], place[1]]);
            Answer::of(&VectorAnswer {
                model: &table.info.model,
                node_type: &table.info.node_type,
                key: &table.keys[row],
                label: label(&view.snapshot, &table, row),
                vector: table.vector(row),
                layout,
            })
        })
        .await
}

/// `POST /v1/embeddings/{model}/{type}/nearest`
pub async fn nearest(
    State(state): State<AppState>,
    Segments((model, node_type)): Segments<(String, String)>,
    Body(question): Body<NearestQuestion>,
) -> Result<Answer, ApiError> {
    if !(1..=1000).contains(&question.count) {
        let message = format!("count: found {}, expected a whole number from 1 to 1000", question.count);
        return Err(ApiError::bad_field("count", message));
    }
    state
        .answer(move |state| {
            let view = state.view();
            let table = state.tables().get(&model, &node_type)?;
            let (row, vector) = match (&question.key, &question.vector) {
                (Some(key), None) => {
                    let row = row_of(&view.snapshot, &table, key)?;
                    (Some(row), table.vector(row))
                }
                (None, Some(vector)) => {
                    check_vector(vector, &table)?;
                    (None, vector.as_slice())
                }
                (None, None) => return Err(ApiError::bad_field("key", "key: found neither `key` nor `vector`, expected one")),
                (Some(_), Some(_)) => {
                    return Err(ApiError::bad_field("vector", "vector: found both `key` and `vector`, expected one"));
                }
            };
            let hits = table.nearest(vector, question.count, row).into_iter().map(|(row, similarity)| Similar {
                key: &table.keys[row],
                label: label(&view.snapshot, &table, row),
                similarity,
            });
            Answer::of(&NearestAnswer { hits: hits.collect() })
        })
        .await
}

fn check_vector(vector: &[f32], table: &EmbeddingTable) -> Result<(), ApiError> {
    let dimension = table.info.dimension as usize;
    if vector.len() != dimension {
        let message = format!("vector: found {} numbers, expected {dimension}", vector.len());
        return Err(ApiError::bad_field("vector", message));
    }
    match vector.iter().position(|number| !number.is_finite()) {
        None => Ok(()),
        Some(at) => Err(ApiError::bad_field(
            &format!("vector[{at}]"),
            format!("vector[{at}]: found a number beyond those of 32 bits, expected a finite one"),
        )),
    }
}

/// The row of a node: by its key in the table, else by what the snapshot knows it by.
fn row_of(snapshot: &Snapshot, table: &EmbeddingTable, name: &str) -> Result<usize, ApiError> {
    if let Some(row) = table.row(name) {
        return Ok(row);
    }
    let (model, of) = (&table.info.model, &table.info.node_type);
    let known_type = snapshot.schema().node_type(of).ok();
    let resolved = known_type.and_then(|node_type| {
        let node = snapshot.resolve(node_type, name).ok()?;
        Some(snapshot.key(node_type, node))
    });
    if let Some(row) = resolved.and_then(|key| table.row(key)) {
        return Ok(row);
    }
    let message = match resolved {
        Some(key) => format!("{of} `{key}` has no vector of model `{model}`: it was embedded without it; `relata embed` anew"),
        None => format!("model `{model}` has no vector of a {of} with the key `{name}`"),
    };
    let near = match known_type {
        Some(node_type) if resolved.is_none() => lookup::near_names(snapshot, node_type, name),
        _ => Vec::new(),
    };
    Err(ApiError::unknown(ErrorCode::UnknownKey, "key", message).suggesting(near))
}

/// What people call a row's node; its key where the snapshot no longer has it.
fn label<'t>(snapshot: &'t Snapshot, table: &'t EmbeddingTable, row: usize) -> &'t str {
    let key = table.keys[row].as_str();
    let node_type = snapshot.schema().node_type(&table.info.node_type).ok();
    let known = node_type.and_then(|node_type| snapshot.find(node_type, key).map(|node| snapshot.label(node_type, node)));
    known.unwrap_or(key)
}
