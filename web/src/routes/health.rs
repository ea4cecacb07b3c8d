use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::AppState;

/// `GET /health`
#[derive(Serialize)]
pub struct Health {
    status: &'static str,
    version: &'static str,
    snapshot: String,
}

pub async fn health(State(state): State<AppState>) -> Json<Health> {
    let snapshot = state.view().snapshot.id().to_string();
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), snapshot })
}
