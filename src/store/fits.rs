//! Whether keys, values and edges fit the schema: the same for loads and edits.

use relata_schema::{Attribute, AttributeId, AttributeKind, EdgeValue, NodeTypeId, Relation, RelationId, Schema, Value};

use super::EdgeBatch;
use super::posting::{MISSING, NO_TIME};
use crate::snapshot::EdgeColumn;
use crate::{Error, Result};

/// The longest key, name or text, in bytes.
pub(super) const LONGEST_TEXT: usize = 1 << 28;

/// What is expected of the times of a relation without a time attribute.
const NO_TIMES: &str = "none: the relation has no time attribute";

/// The name of a node type.
pub(super) fn type_name(schema: &Schema, node_type: NodeTypeId) -> Result<&str> {
    match schema.node_types().get(node_type.index()) {
        Some(known) => Ok(&known.name),
        None => Err(Error::setting("node type", format!("number {}", node_type.0), "one of the schema's")),
    }
}

/// A relation.
pub(super) fn relation(schema: &Schema, relation: RelationId) -> Result<&Relation> {
    let unknown = || Error::setting("relation", format!("number {}", relation.0), "one of the schema's");
    schema.relations().get(relation.index()).ok_or_else(unknown)
}

/// The kind of a node attribute.
pub(super) fn attribute_kind(schema: &Schema, node_type: NodeTypeId, attribute: AttributeId) -> Result<AttributeKind> {
    let owner = type_name(schema, node_type)?;
    let unknown = || Error::setting(format!("attribute of {owner}"), format!("number {}", attribute.0), "one of its own");
    Ok(schema.node(node_type).attributes.get(attribute.index()).ok_or_else(unknown)?.kind)
}

/// A key is neither empty nor much too long.
pub(super) fn key(schema: &Schema, node_type: NodeTypeId, key: &str) -> Result<()> {
    let owner = type_name(schema, node_type)?;
    if key.is_empty() {
        return Err(Error::setting("key", "an empty text", format!("a key for a {owner}")));
    }
    within_limit(&format!("bytes in a key of a {owner}"), key.len() as u64, LONGEST_TEXT as u64)
}

/// A value is of its attribute's kind, finite, and not much too long.
pub(super) fn value(schema: &Schema, node_type: NodeTypeId, attribute: AttributeId, value: &Value) -> Result<()> {
    let kind = attribute_kind(schema, node_type, attribute)?;
    let place = || {
        let owner = schema.node(node_type);
        format!("{}.{}", owner.name, owner.attributes[attribute.index()].name)
    };
    if value.kind() != kind {
        return Err(Error::setting(place(), format!("a {}", value.kind()), format!("a {kind}")));
    }
    let finite = match value {
        Value::Number(number) => number.is_finite(),
        Value::Vector(numbers) => numbers.iter().all(|number| number.is_finite()),
        Value::Time(time) => *time != NO_TIME,
        _ => true,
    };
    if !finite {
        return Err(Error::setting(place(), format!("{value:?}"), "finite numbers; a missing value is not set"));
    }
    within_limit(&format!("bytes in a value of {}", place()), super::column::heap_bytes(value) as u64, LONGEST_TEXT as u64)
}

/// An attribute of a relation is a category, and the name not much too long.
pub(super) fn category(schema: &Schema, relation: RelationId, attribute: AttributeId, name: &str) -> Result<()> {
    let known = schema.relations().get(relation.index()).and_then(|known| known.attributes.get(attribute.index()));
    match known {
        Some(known) if known.kind == AttributeKind::Category => {}
        Some(known) => return Err(Error::setting(&known.name, format!("a category `{name}`"), format!("a {}", known.kind))),
        None => return Err(Error::setting("attribute", format!("number {}", attribute.0), "one of the relation's")),
    }
    within_limit("bytes in a category's name", name.len() as u64, LONGEST_TEXT as u64)
}

/// An edge has one value an attribute, each of its kind, and a time only where there is an attribute for it.
/// `categories` tells how many codes an attribute has.
pub(super) fn edge(
    schema: &Schema,
    id: RelationId,
    time: Option<i64>,
    attributes: &[EdgeValue],
    categories: impl Fn(AttributeId) -> u32,
) -> Result<()> {
    let known = relation(schema, id)?;
    let title = || schema.relation_title(id);
    if attributes.len() != known.attributes.len() {
        let expected = format!("{}, one an attribute of {}", known.attributes.len(), title());
        return Err(Error::setting("an edge's values", attributes.len().to_string(), expected));
    }
    let mut timed = false;
    for ((at, attribute), value) in (0u16..).zip(&known.attributes).zip(attributes) {
        timed |= attribute.kind == AttributeKind::Time;
        let fits = match (attribute.kind, value) {
            (_, EdgeValue::Missing) => true,
            (AttributeKind::Time, _) => false,
            (AttributeKind::Category, EdgeValue::Category(code)) => *code < categories(AttributeId(at)),
            (AttributeKind::Category, _) | (_, EdgeValue::Category(_)) => false,
            (_, EdgeValue::Number(number)) => !number.is_infinite(),
        };
        if !fits {
            return Err(unfit(&title(), attribute, format!("{value:?}")));
        }
    }
    if time.is_some_and(|time| !timed || time == NO_TIME) {
        let expected = if timed { "a time above the lowest of 64 bits" } else { NO_TIMES };
        return Err(Error::setting(format!("the time of {}", title()), format!("{time:?}"), expected));
    }
    Ok(())
}

/// A batch has a column an attribute, each of its kind and as long as the others, and times only where there is an attribute
/// for them. `categories` tells how many codes an attribute has.
pub(super) fn batch(
    schema: &Schema,
    id: RelationId,
    batch: &EdgeBatch<'_>,
    categories: impl Fn(AttributeId) -> u32,
) -> Result<()> {
    let known = relation(schema, id)?;
    let title = || schema.relation_title(id);
    let edges = batch.sources.len();
    let lengths = batch.attributes.iter().map(EdgeColumn::len).chain([batch.times.len()]);
    if batch.targets.len() != edges || lengths.into_iter().any(|length| length != 0 && length != edges) {
        return Err(Error::setting(format!("edges of {}", title()), "columns of different lengths", edges.to_string()));
    }
    if batch.attributes.len() != known.attributes.len() {
        let expected = format!("{}, one an attribute of {}", known.attributes.len(), title());
        return Err(Error::setting("a batch's columns", batch.attributes.len().to_string(), expected));
    }
    let mut timed = false;
    for ((at, attribute), column) in (0u16..).zip(&known.attributes).zip(batch.attributes) {
        timed |= attribute.kind == AttributeKind::Time;
        let found = match (attribute.kind, column) {
            (_, column) if column.is_empty() => continue,
            (AttributeKind::Category, EdgeColumn::Category(codes)) => {
                let names = categories(AttributeId(at));
                codes.iter().find(|&&code| code >= names && code != MISSING).map(|code| format!("category {code}"))
            }
            (AttributeKind::Category | AttributeKind::Time, _) => Some("numbers".to_owned()),
            (_, EdgeColumn::Category(_)) => Some("categories".to_owned()),
            (_, EdgeColumn::Number(numbers)) => {
                numbers.iter().find(|number| number.is_infinite()).map(|number| number.to_string())
            }
        };
        if let Some(found) = found {
            return Err(unfit(&title(), attribute, found));
        }
    }
    if !timed && !batch.times.is_empty() {
        return Err(Error::setting(format!("the times of {}", title()), "some", NO_TIMES));
    }
    Ok(())
}

/// The error for an edge's value of another kind than its attribute's.
fn unfit(title: &str, attribute: &Attribute, found: String) -> Error {
    let expected = format!("a {} (a category's code comes from `category`)", attribute.kind);
    Error::setting(format!("{title}, {}", attribute.name), found, expected)
}

pub(super) fn within_limit(what: &str, found: u64, most: u64) -> Result<()> {
    if found > most { Err(Error::Limit { what: what.to_owned(), found, most }) } else { Ok(()) }
}
