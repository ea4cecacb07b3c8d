use axum::extract::State;
use relata_schema::NodeTypeId;
use serde::Serialize;

use super::nodes::NodeAnswer;
use crate::request::Parameters;
use crate::state::Answer;
use crate::{ApiError, AppState, lookup};

#[derive(Serialize)]
struct SearchAnswer<'s> {
    query: &'s str,
    hits: Vec<NodeAnswer<'s>>,
}

/// `GET /v1/search?q=&type=&limit=`
pub async fn search(State(state): State<AppState>, parameters: Parameters) -> Result<Answer, ApiError> {
    parameters.only(&["q", "type", "limit"])?;
    let query = parameters.text("q")?.unwrap_or_default().trim().to_owned();
    if query.is_empty() {
        return Err(ApiError::bad_query("q", "q: found nothing, expected a part of a key, label or identifier"));
    }
    let limit = parameters.number("limit", 1..=100, 20)?;
    state
        .answer(move |state| {
            let view = state.view();
            let snapshot = &view.snapshot;
            let wanted = parameters.list("type");
            let types = wanted.iter().map(|name| lookup::node_type(snapshot.schema(), "type", name));
            let types = types.collect::<Result<Vec<NodeTypeId>, _>>()?;
            let hits = snapshot.search(&query, (!types.is_empty()).then_some(types.as_slice()), limit);
            let hits = hits.iter().map(|hit| NodeAnswer::of(snapshot, hit.node_type, hit.node)).collect();
            Answer::of(&SearchAnswer { query: &query, hits })
        })
        .await
}
