//! From the names in a request to the ids of a snapshot.

use axum::http::StatusCode;
use relata::snapshot::Snapshot;
use relata_schema::{NodeTypeId, RelationId, Schema, SchemaError, nearest};

use crate::{ApiError, ErrorCode};

/// How many keys are suggested.
const SUGGESTIONS: usize = 3;

/// How many labels are compared with a misspelt one: some 0.1 s on one thread.
const MOST_LABELS: u32 = 200_000;

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
/// 404 with the nearest keys or labels.
pub fn node(snapshot: &Snapshot, node_type: NodeTypeId, parameter: &str, key: &str) -> Result<u32, ApiError> {
    match snapshot.resolve(node_type, key) {
        Ok(node) => Ok(node),
        Err(relata::Error::UnknownKey { node_type: name, .. }) => {
            let near = near_names(snapshot, node_type, key);
            let quoted: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
            let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", quoted.join(" or ")) };
            let message = format!("no {name} has the key `{key}`, nor is it the label or identifier of one only{hint}");
            Err(ApiError::unknown(ErrorCode::UnknownKey, parameter, message).suggesting(near))
        }
        Err(other) => Err(ApiError::internal(other)),
    }
}

/// Names of nodes that a misspelt one may mean, best first: keys, and where none is near, labels.
pub fn near_names<'s>(snapshot: &'s Snapshot, node_type: NodeTypeId, name: &str) -> Vec<&'s str> {
    let keys = snapshot.nearest_keys(node_type, name, SUGGESTIONS);
    if !keys.is_empty() || snapshot.schema().node(node_type).label.is_none() {
        return keys;
    }
    let nodes = 0..snapshot.node_count(node_type).min(MOST_LABELS);
    let labels = nodes.map(|node| snapshot.label(node_type, node));
    nearest(name, labels).into_iter().filter(|label| snapshot.resolve(node_type, label).is_ok()).collect()
}

/// The relation called `name`, in full or bare. With `near`, only relations with an end of that type count, so that a
/// bare name is enough more often.
///
/// # Errors
/// `unknown_relation`, 400, with the nearest names; and with `status` `bad_parameter` where the bare name is ambiguous or
/// the relation has no end of that type.
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
            Err(ApiError::bad_query(parameter, error.to_string())
                .coded(ErrorCode::UnknownRelation)
                .suggesting(nearest(name, known)))
        }
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
