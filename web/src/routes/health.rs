use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::{ApiError, AppState};

/// `GET /health`
#[derive(Serialize)]
pub struct Health {
    status: &'static str,
    version: &'static str,
    snapshot: String,
}

pub async fn health(State(state): State<AppState>) -> Result<Json<Health>, ApiError> {
    let snapshot = state.snapshot_id()?.to_string();
    Ok(Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), snapshot }))
}
