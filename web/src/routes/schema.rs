use axum::extract::State;
use relata_schema::{Attribute, AttributeId, AttributeKind, Container, Transform};
use serde::Serialize;

use crate::state::Answer;
use crate::{ApiError, AppState};

#[derive(Serialize)]
struct SchemaAnswer<'s> {
    snapshot: &'s str,
    node_types: Vec<NodeTypeAnswer<'s>>,
    relations: Vec<RelationAnswer<'s>>,
}

#[derive(Serialize)]
struct NodeTypeAnswer<'s> {
    name: &'s str,
    about: &'s str,
    /// The name of an attribute.
    label: Option<&'s str>,
    nodes: u32,
    attributes: Vec<AttributeAnswer<'s>>,
}

#[derive(Serialize)]
struct RelationAnswer<'s> {
    /// In full: `cell.expresses.gene`.
    name: String,
    bare: &'s str,
    source: &'s str,
    target: &'s str,
    contains: Option<Container>,
    symmetric: bool,
    about: &'s str,
    /// A symmetric edge counts once.
    edges: u64,
    attributes: Vec<AttributeAnswer<'s>>,
}

#[derive(Serialize)]
struct AttributeAnswer<'s> {
    name: &'s str,
    kind: AttributeKind,
    unit: Option<&'s str>,
    transform: Transform,
    about: &'s str,
    /// Whether a node can be found by it.
    identifier: bool,
}

fn attributes<'s>(attributes: &'s [Attribute], identifiers: &[AttributeId]) -> Vec<AttributeAnswer<'s>> {
    let answers = (0..).map(AttributeId).zip(attributes).map(|(id, attribute)| AttributeAnswer {
        name: &attribute.name,
        kind: attribute.kind,
        unit: attribute.unit.as_deref(),
        transform: attribute.transform,
        about: &attribute.about,
        identifier: identifiers.contains(&id),
    });
    answers.collect()
}

/// `GET /v1/schema`
pub async fn schema(State(state): State<AppState>) -> Result<Answer, ApiError> {
    state
        .answer(|state| {
            let view = state.view();
            let snapshot = &view.snapshot;
            let schema = snapshot.schema();
            let node_types = schema.node_type_ids().map(|id| {
                let node_type = schema.node(id);
                NodeTypeAnswer {
                    name: &node_type.name,
                    about: &node_type.about,
                    label: node_type.label.map(|label| node_type.attributes[label.index()].name.as_str()),
                    nodes: snapshot.node_count(id),
                    attributes: attributes(&node_type.attributes, &node_type.identifiers),
                }
            });
            let relations = schema.relation_ids().zip(view.edge_counts()).map(|(id, &edges)| {
                let relation = schema.edge(id);
                RelationAnswer {
                    name: schema.relation_title(id),
                    bare: &relation.name,
                    source: &schema.node(relation.source).name,
                    target: &schema.node(relation.target).name,
                    contains: relation.contains,
                    symmetric: relation.symmetric,
                    about: &relation.about,
                    edges,
                    attributes: attributes(&relation.attributes, &[]),
                }
            });
            let (node_types, relations) = (node_types.collect(), relations.collect());
            Answer::of(&SchemaAnswer { snapshot: snapshot.id().as_str(), node_types, relations })
        })
        .await
}
