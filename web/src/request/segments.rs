use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::ApiError;

/// The variable segments of a path, percent-decoded.
pub struct Segments<T>(
    /// As the handler wants them.
    pub T,
);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(match error.into_kind() {
                ErrorKind::InvalidUtf8InPathParam { key } => {
                    ApiError::bad_query(&key, format!("{key}: its percent-encoded bytes are no UTF-8"))
                }
                other => ApiError::bad_query("path", other.to_string()),
            }),
            Err(other) => Err(ApiError::internal(other)),
        }
    }
}
