//! The routes, a file for each resource. A handler takes a request apart, asks the snapshot or an embedding, and writes
//! what it hears as JSON, or for many subgraphs as Arrow.

mod embeddings;
mod health;
mod layouts;
mod neighbors;
mod nodes;
mod path;
mod sample;
mod schema;
mod search;
mod settings;
mod stats;
mod subgraph;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{get, post};

use crate::request::BODY_LIMIT;
use crate::{ApiError, AppState, page};

/// The whole application: the API and the page. Needs no port, so a test can call it as a function.
pub fn app(state: AppState) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/v1/schema", get(schema::schema))
        .route("/v1/stats", get(stats::stats))
        .route("/v1/search", get(search::search))
        .route("/v1/nodes/{type}/{key}", get(nodes::node))
        .route("/v1/nodes/{type}/{key}/neighbors", get(neighbors::neighbors))
        .route("/v1/path", get(path::path))
        .route("/v1/subgraph", post(subgraph::subgraph))
        .route("/v1/sample", post(sample::sample))
        .route("/v1/embeddings", get(embeddings::list))
        .route("/v1/embeddings/{model}/{type}/nearest", post(embeddings::nearest))
        .route("/v1/embeddings/{model}/{type}/{key}", get(embeddings::vector))
        .route("/v1/layouts/{model}/{type}", get(layouts::layout))
        .fallback(page::page)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(axum::middleware::map_response(harden))
        .with_state(state)
}

async fn wrong_method(request: Request) -> ApiError {
    ApiError::method_not_allowed(request.method().as_str(), request.uri().path())
}

/// Whatever is answered is what its content type says, and tells nobody where the reader came from.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
