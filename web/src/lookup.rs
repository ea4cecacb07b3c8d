//! From the names in a request to the ids of a snapshot.

use axum::http::StatusCode;
use relata::snapshot::Snapshot;
use relata_schema::{NodeTypeId, RelationId, Schema, SchemaError, nearest};

use crate::{ApiError, ErrorCode};

/// How many keys are suggested.
const SUGGESTIONS: usize = 3;

/// The node type called `name`; `parameter` is where the request names it.
///
/// # Errors
/// 404 with the nearest names.
pub fn node_type(schema: &Schema, parameter: &str, name: &str) -> Result<NodeTypeId, ApiError> {
    schema.node_type(name).map_err(|error| {
        let known = schema.node_types().iter().map(|node_type| node_type.name.as_str());
        ApiError::unknown(ErrorCode::UnknownType, parameter, error.to_string()).suggesting(nearest(name, known))
    })
}

/// The node with this key, or with a label or identifier that only it has.
///
/// # Errors
/// 404 with the nearest keys.
pub fn node(snapshot: &Snapshot, node_type: NodeTypeId, parameter: &str, key: &str) -> Result<u32, ApiError> {
    match snapshot.resolve(node_type, key) {
        Ok(node) => Ok(node),
        Err(error @ relata::Error::UnknownKey { .. }) => Err(ApiError::unknown(
            ErrorCode::UnknownKey,
            parameter,
            error.to_string(),
        )
        .suggesting(snapshot.nearest_keys(node_type, key, SUGGESTIONS))),
        Err(other) => Err(ApiError::internal(other)),
    }
}

/// The relation called `name`, in full or bare. With `near`, only relations with an end of that type count, so that a
/// bare name is enough more often.
///
/// # Errors
/// `unknown_relation` with the nearest names, and `bad_parameter` where the bare name is ambiguous or the relation has
/// no end of that type; with `status`.
pub fn relation(
    schema: &Schema,
    parameter: &str,
    name: &str,
    near: Option<NodeTypeId>,
    status: StatusCode,
) -> Result<RelationId, ApiError> {
    let refused = |message: String| ApiError { status, ..ApiError::bad_query(parameter, message) };
    let touches = |id: &RelationId| {
        let relation = schema.edge(*id);
        near.is_none_or(|near| relation.source == near || relation.target == near)
    };
    let titles = |ids: &[RelationId]| ids.iter().map(|&id| schema.relation_title(id)).collect::<Vec<_>>();
    let bare: Vec<RelationId> = schema.relation_ids().filter(|id| schema.edge(*id).name == name).filter(touches).collect();
    if let [only] = bare.as_slice() {
        return Ok(*only);
    }
    match schema.relation(name) {
        Ok(id) if touches(&id) => Ok(id),
        Err(SchemaError::Ambiguous { .. }) if bare.len() > 1 => {
            let titles = titles(&bare);
            let message = format!("{parameter}: `{name}` is ambiguous: write one of {}", listed(&titles));
            Err(refused(message).suggesting(titles))
        }
        Ok(_) | Err(SchemaError::Ambiguous { .. }) => {
            let near = near.map_or("node", |near| schema.node(near).name.as_str());
            let titles = titles(&schema.relation_ids().filter(touches).collect::<Vec<_>>());
            let known = if titles.is_empty() { "it has none".to_owned() } else { format!("it has {}", listed(&titles)) };
            let message = format!("{parameter}: a {near} has no relation `{name}`; {known}");
            Err(refused(message).suggesting(nearest(name, titles.iter().map(String::as_str))))
        }
        Err(error) => {
            let titles = titles(&schema.relation_ids().collect::<Vec<_>>());
            let known = schema.relations().iter().map(|relation| relation.name.as_str());
            let mut known: Vec<&str> = known.chain(titles.iter().map(String::as_str)).collect();
            known.sort_unstable();
            known.dedup();
            Err(refused(error.to_string()).coded(ErrorCode::UnknownRelation).suggesting(nearest(name, known)))
        }
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
