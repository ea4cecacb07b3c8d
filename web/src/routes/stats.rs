use axum::extract::State;
use relata::embedding::EmbeddingInfo;
use relata_schema::SourceRecord;
use serde::Serialize;

use crate::state::Answer;
use crate::values::Named;
use crate::{ApiError, AppState};

#[derive(Serialize)]
struct StatsAnswer<'s> {
    snapshot: &'s str,
    /// Of the snapshot on the disk.
    bytes: u64,
    nodes: u64,
    edges: u64,
    node_types: Named<'s, u32>,
    relations: Named<'s, u64>,
    sources: &'s [SourceRecord],
    models: Vec<EmbeddingInfo>,
}

/// `GET /v1/stats`
pub async fn stats(State(state): State<AppState>) -> Result<Answer, ApiError> {
    state
        .answer(|state| {
            let view = state.view();
            let snapshot = &view.snapshot;
            let schema = snapshot.schema();
            let titles: Vec<String> = schema.relation_ids().map(|id| schema.relation_title(id)).collect();
            let node_types = schema.node_type_ids().map(|id| (schema.node(id).name.as_str(), snapshot.node_count(id)));
            let relations = titles.iter().map(String::as_str).zip(view.edge_counts().iter().copied());
            let (node_types, relations) = (node_types.collect::<Vec<_>>(), relations.collect::<Vec<_>>());
            Answer::of(&StatsAnswer {
                snapshot: snapshot.id().as_str(),
                bytes: snapshot.bytes(),
                nodes: node_types.iter().map(|&(_, count)| u64::from(count)).sum(),
                edges: relations.iter().map(|&(_, count)| count).sum(),
                node_types: Named(node_types),
                relations: Named(relations),
                sources: snapshot.sources(),
                models: state.tables().list(),
            })
        })
        .await
}
