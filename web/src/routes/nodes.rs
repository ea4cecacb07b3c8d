use axum::extract::State;
use relata::snapshot::Snapshot;
use relata_schema::{Direction, NodeTypeId, RelationId, Schema};
use serde::Serialize;

use crate::request::{Parameters, Segments};
use crate::state::Answer;
use crate::values::{Named, Shown, node_attributes};
use crate::{ApiError, AppState, lookup};

/// How a node is named in every answer.
#[derive(Serialize)]
pub struct NodeAnswer<'s> {
    #[serde(rename = "type")]
    node_type: &'s str,
    key: &'s str,
    label: &'s str,
}

impl<'s> NodeAnswer<'s> {
    pub fn of(snapshot: &'s Snapshot, node_type: NodeTypeId, node: u32) -> Self {
        Self {
            node_type: &snapshot.schema().node(node_type).name,
            key: snapshot.key(node_type, node),
            label: snapshot.label(node_type, node),
        }
    }
}

#[derive(Serialize)]
struct WholeNode<'s> {
    #[serde(flatten)]
    node: NodeAnswer<'s>,
    attributes: Named<'s, Shown<'s>>,
    degrees: Vec<Degree<'s>>,
}

#[derive(Serialize)]
struct Degree<'s> {
    relation: String,
    direction: Direction,
    #[serde(rename = "type")]
    far: &'s str,
    count: usize,
}

/// The ways to leave a node of a type: each relation and direction, a symmetric relation once.
pub fn ways(schema: &Schema, node_type: NodeTypeId) -> impl Iterator<Item = (RelationId, Direction)> + '_ {
    schema.relation_ids().flat_map(move |id| {
        let relation = schema.edge(id);
        let leaves = move |direction: &Direction| relation.near(*direction) == node_type;
        relation.directions().iter().copied().filter(leaves).map(move |direction| (id, direction))
    })
}

/// `GET /v1/nodes/{type}/{key}`
pub async fn node(
    State(state): State<AppState>,
    Segments((node_type, key)): Segments<(String, String)>,
    parameters: Parameters,
) -> Result<Answer, ApiError> {
    parameters.only(&[])?;
    state
        .answer(move |state| {
            let view = state.view();
            let snapshot = &view.snapshot;
            let schema = snapshot.schema();
            let node_type = lookup::node_type(schema, "type", &node_type)?;
            let node = lookup::node(snapshot, node_type, "key", &key)?;
            let degrees = ways(schema, node_type).map(|(relation, direction)| Degree {
                relation: schema.relation_title(relation),
                direction,
                far: &schema.node(schema.edge(relation).far(direction)).name,
                count: snapshot.adjacency(relation, direction).degree(node),
            });
            Answer::of(&WholeNode {
                node: NodeAnswer::of(snapshot, node_type, node),
                attributes: node_attributes(snapshot, node_type, node),
                degrees: degrees.filter(|degree| degree.count > 0).collect(),
            })
        })
        .await
}
