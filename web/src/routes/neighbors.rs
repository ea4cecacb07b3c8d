use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use relata::snapshot::Adjacency;
use relata_schema::{Direction, NodeTypeId, RelationId, Schema};
use serde::Serialize;

use super::nodes::{NodeAnswer, ways};
use crate::request::{Parameters, Segments};
use crate::state::Answer;
use crate::values::{EdgeReader, Named, Shown};
use crate::{ApiError, AppState, lookup};

#[derive(Serialize)]
struct NeighborsAnswer<'s> {
    node: NodeAnswer<'s>,
    /// With those that this page of the answer does not show.
    total: usize,
    neighbors: Vec<NeighborAnswer<'s>>,
}

#[derive(Serialize)]
struct NeighborAnswer<'s> {
    relation: &'s str,
    direction: Direction,
    #[serde(flatten)]
    node: NodeAnswer<'s>,
    time: Option<i64>,
    attributes: Named<'s, Shown<'s>>,
}

/// `GET /v1/nodes/{type}/{key}/neighbors?relation=&direction=&limit=&offset=`
pub async fn neighbors(
    State(state): State<AppState>,
    Segments((node_type, key)): Segments<(String, String)>,
    parameters: Parameters,
) -> Result<Answer, ApiError> {
    parameters.only(&["relation", "direction", "limit", "offset"])?;
    let direction = parameters.choice(
        "direction",
        &[("both", None), ("outgoing", Some(Direction::Outgoing)), ("incoming", Some(Direction::Incoming))],
    )?;
    let limit = parameters.number("limit", 1..=1000, 50)?;
    let offset = parameters.number("offset", 0..=usize::MAX, 0)?;
    let relation = parameters.text("relation")?.map(str::to_owned);
    state
        .answer(move |state| {
            let view = state.view();
            let snapshot = &view.snapshot;
            let schema = snapshot.schema();
            let node_type = lookup::node_type(schema, "type", &node_type)?;
            let node = lookup::node(snapshot, node_type, "key", &key)?;
            let ways = chosen(schema, node_type, relation.as_deref(), direction)?;
            let adjacencies: Vec<Adjacency<'_>> =
                ways.iter().map(|&(relation, direction)| snapshot.adjacency(relation, direction)).collect();
            let degrees: Vec<usize> = adjacencies.iter().map(|adjacency| adjacency.degree(node)).collect();
            let titles: Vec<String> = ways.iter().map(|&(relation, _)| schema.relation_title(relation)).collect();
            let mut readers = HashMap::new();
            let neighbors = round_robin(&degrees, offset, limit).into_iter().map(|(way, at)| {
                let (relation, direction) = ways[way];
                let position = adjacencies[way].range(node).start + at;
                let reader = readers.entry(way).or_insert_with(|| EdgeReader::new(snapshot, relation, direction));
                NeighborAnswer {
                    relation: &titles[way],
                    direction,
                    node: NodeAnswer::of(snapshot, schema.edge(relation).far(direction), adjacencies[way].targets[position]),
                    time: reader.time(position),
                    attributes: reader.attributes(position),
                }
            });
            Answer::of(&NeighborsAnswer {
                node: NodeAnswer::of(snapshot, node_type, node),
                neighbors: neighbors.collect(),
                total: degrees.iter().sum(),
            })
        })
        .await
}

/// The ways that the request allows.
fn chosen(
    schema: &Schema,
    node_type: NodeTypeId,
    relation: Option<&str>,
    direction: Option<Direction>,
) -> Result<Vec<(RelationId, Direction)>, ApiError> {
    let relation =
        relation.map(|name| lookup::relation(schema, "relation", name, Some(node_type), StatusCode::BAD_REQUEST)).transpose()?;
    let fits = |way: &(RelationId, Direction)| {
        relation.is_none_or(|relation| way.0 == relation)
            && direction.is_none_or(|direction| way.1 == direction || schema.edge(way.0).symmetric)
    };
    let ways: Vec<_> = ways(schema, node_type).filter(fits).collect();
    match (ways.is_empty(), relation, direction) {
        (true, Some(relation), Some(direction)) => {
            let (title, other) = (schema.relation_title(relation), direction.reverse());
            let near = &schema.node(node_type).name;
            let message = format!("direction: found `{direction}`, but from a {near} the relation {title} is {other}");
            Err(ApiError::bad_query("direction", message).suggesting([other.to_string()]))
        }
        _ => Ok(ways),
    }
}

/// Takes turns among lists of these lengths: the first of each, the second of each that has one, and so on. Of that
/// order, `limit` from `offset` on, as (list, place in the list).
fn round_robin(lengths: &[usize], offset: usize, limit: usize) -> Vec<(usize, usize)> {
    let before = |round: usize| lengths.iter().map(|&length| length.min(round)).sum::<usize>();
    let longest = lengths.iter().copied().max().unwrap_or_default();
    // The last round that starts at or before the offset.
    let (mut low, mut high) = (0, longest);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if before(middle) <= offset { low = middle } else { high = middle - 1 }
    }
    (low..longest)
        .flat_map(|round| {
            lengths.iter().enumerate().filter(move |&(_, &length)| length > round).map(move |(list, _)| (list, round))
        })
        .skip(offset - before(low))
        .take(limit)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::round_robin;

    /// The whole order, element by element.
    fn plainly(lengths: &[usize]) -> Vec<(usize, usize)> {
        let mut order = Vec::new();
        for round in 0..lengths.iter().copied().max().unwrap_or_default() {
            for (list, &length) in lengths.iter().enumerate() {
                if round < length {
                    order.push((list, round));
                }
            }
        }
        order
    }

    #[test]
    fn every_page_is_that_part_of_the_whole_order() {
        for lengths in [&[][..], &[0], &[3], &[1, 0, 4], &[5, 2, 2, 7], &[1, 1, 1]] {
            let order = plainly(lengths);
            for offset in 0..order.len() + 3 {
                for limit in 1..order.len() + 2 {
                    let expected: Vec<_> = order.iter().copied().skip(offset).take(limit).collect();
                    assert_eq!(round_robin(lengths, offset, limit), expected, "{lengths:?} from {offset}, {limit}");
                }
            }
        }
        assert_eq!(round_robin(&[2, 1], usize::MAX, 5), []);
    }
}
