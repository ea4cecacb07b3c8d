//! What questions for subgraphs have in common: bounds, and names of relations, choices and times.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use relata::sampler::{Choice, SamplerConfig};
use relata::snapshot::Snapshot;
use relata_schema::{AttributeId, NodeTypeId, RelationId, Schema, nearest};

use crate::{ApiError, ErrorCode, lookup};

/// Whether a number is within its bounds.
pub fn within(parameter: &str, found: usize, least: usize, most: usize) -> Result<(), ApiError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(ApiError::bad_field(parameter, format!("{parameter}: found {found}, expected {least} to {most}")))
}

/// The relations of these names; all without any.
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

/// What is said of relations, by their names; `read` is told what to call the parameter.
pub fn of_relations<T, U>(
    schema: &Schema,
    parameter: &str,
    said: &BTreeMap<String, T>,
    read: impl Fn(&str, &T) -> Result<U, ApiError>,
) -> Result<Vec<(RelationId, U)>, ApiError> {
    let one = |(name, value): (&String, &T)| {
        let parameter = format!("{parameter}.{name}");
        let relation = lookup::relation(schema, &parameter, name, None, StatusCode::UNPROCESSABLE_ENTITY)?;
        Ok((relation, read(&parameter, value)?))
    };
    said.iter().map(one).collect()
}

/// A choice, as [`Choice`] reads it.
pub fn choice(parameter: &str, text: &str) -> Result<Choice, ApiError> {
    text.parse().map_err(|error| ApiError::bad_setting(Some(parameter), error))
}

/// What is said of a cutoff, each by its name and whether it is said, belongs to one.
pub fn of_a_cutoff(has_cutoff: bool, said: [(&str, bool); 3]) -> Result<(), ApiError> {
    match said.into_iter().find(|(_, is_given)| *is_given) {
        Some((parameter, _)) if !has_cutoff => {
            let message = format!("{parameter}: found it without a cutoff, expected one, which it belongs to");
            Err(ApiError::bad_field(parameter, message))
        }
        _ => Ok(()),
    }
}

/// Entries of [`SamplerConfig::time_of`], by their names.
pub fn times(
    schema: &Schema,
    said: &BTreeMap<String, Option<String>>,
) -> Result<Vec<(NodeTypeId, Option<AttributeId>)>, ApiError> {
    said.iter().map(|(owner, name)| time_of(schema, owner, name.as_deref())).collect()
}

fn time_of(schema: &Schema, owner: &str, name: Option<&str>) -> Result<(NodeTypeId, Option<AttributeId>), ApiError> {
    let parameter = format!("time_of.{owner}");
    let node_type = lookup::node_type(schema, &parameter, owner)?;
    SamplerConfig::named_time(schema, owner, name).map_err(|error| match error {
        relata::Error::Schema(error) => {
            let known = schema.node(node_type).attributes.iter().map(|known| known.name.as_str());
            let near = nearest(name.unwrap_or_default(), known);
            ApiError::unknown(ErrorCode::UnknownAttribute, &parameter, error.to_string()).suggesting(near)
        }
        other => ApiError::bad_setting(Some(&parameter), other),
    })
}
