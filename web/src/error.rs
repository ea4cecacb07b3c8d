use std::fmt::Display;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// What is answered where the answer is not what was asked for.
///
/// As JSON: `{"error": {"code", "message", "parameter", "suggestions"}}`. What the caller can mend is said in full; what
/// went wrong inside is logged, and not shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The status of the answer.
    pub status: StatusCode,
    /// What it is, for programs.
    pub code: ErrorCode,
    /// What was found, what was expected, and what to do, for people.
    pub message: String,
    /// The parameter that is to blame, as the caller spells it: `limit`, `seeds[0].key`.
    pub parameter: Option<String>,
    /// Names that exist, nearest first.
    pub suggestions: Vec<String>,
}

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A node type that the schema does not have.
    UnknownType,
    /// A key, label or identifier that no node, or more than one, has.
    UnknownKey,
    /// A relation that the schema does not have.
    UnknownRelation,
    /// A model that the store has no embedding of.
    UnknownModel,
    /// An attribute that the node type does not have.
    UnknownAttribute,
    /// A parameter of the query, the path or the body that cannot be.
    BadParameter,
    /// The body is not marked as JSON.
    UnsupportedMediaType,
    /// The body has too many bytes.
    TooLarge,
    /// There is nothing at this path.
    NotFound,
    /// The path has no such method.
    MethodNotAllowed,
    /// The `Host` header names another machine.
    BadHost,
    /// It took too long.
    TimedOut,
    /// What would be answered from is damaged.
    Unavailable,
    /// The server's own failure.
    Internal,
}

impl ApiError {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), parameter: None, suggestions: Vec::new() }
    }

    /// Something named in a request does not exist: 404.
    pub fn unknown(code: ErrorCode, parameter: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message).at(parameter)
    }

    /// A parameter of the path or the query cannot be: 400.
    pub fn bad_query(parameter: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadParameter, message).at(parameter)
    }

    /// A field of the body cannot be: 422.
    pub fn bad_field(parameter: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::BadParameter, message).at(parameter)
    }

    /// What the library refuses of a body: 422, at the field, or else at what it calls by the first word of its name.
    /// Anything else is the server's own failure.
    pub fn bad_setting(field: Option<&str>, error: relata::Error) -> Self {
        match (field, error) {
            (Some(field), relata::Error::Setting { found, expected, .. }) => {
                Self::bad_field(field, format!("{field}: found {found}, expected {expected}"))
            }
            (None, error @ relata::Error::Setting { .. }) => {
                let message = error.to_string();
                let name: String = message.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
                Self::bad_field(&name, message)
            }
            (Some(field), relata::Error::Located(error)) => Self::bad_field(field, format!("{field}: {error}")),
            (_, other) => Self::internal(other),
        }
    }

    /// The body is no JSON at all: 400.
    pub fn malformed_body(message: impl Display) -> Self {
        Self::bad_query("body", format!("the body is not JSON: {message}"))
    }

    /// The body is not marked as JSON: 415.
    pub fn not_json(found: &str) -> Self {
        let found = if found.is_empty() { "no content type".to_owned() } else { format!("`{found}`") };
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::UnsupportedMediaType,
            format!("found {found}, expected the header `content-type: application/json`"),
        )
        .at("body")
    }

    /// The body has more than `most` bytes: 413.
    pub fn too_large(most: usize) -> Self {
        let message = format!("the body has more than {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, message).at("body")
    }

    /// There is nothing at this path: 404.
    pub fn not_found(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
            format!("nothing is at `{path}`; a `/` or a space within a key is written `%2F` or `%20`"),
        )
    }

    /// What was asked for does not exist though all names do: 404.
    pub fn absent(parameter: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message).at(parameter)
    }

    /// The path has no such method: 405.
    pub fn method_not_allowed(method: &str, path: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::MethodNotAllowed,
            format!("`{path}` does not answer {method}; the header `allow` says what it answers"),
        )
    }

    /// The `Host` header names another machine: 403.
    pub fn bad_host(found: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            ErrorCode::BadHost,
            format!("found the host `{found}`, expected `localhost` or an address of this machine's loopback"),
        )
    }

    /// It took longer than `seconds`: 503.
    pub fn timed_out(seconds: u64) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::TimedOut,
            format!("no answer within {seconds} s; ask for less, or again later"),
        )
    }

    /// The snapshot that is served is not what it was when it was opened: 503. Logged here with the file's path.
    pub fn unavailable(error: &relata::Error) -> Self {
        tracing::error!("{error}");
        let reason = match error {
            relata::Error::Damaged { record, found, .. } => format!("{record} is damaged: {found}"),
            _ => "the snapshot cannot be read".to_owned(),
        };
        let message = format!(
            "{reason}; no answer is given from it. The server takes up the next whole one that it finds: write it with \
             `relata snapshot --store STORE`, and ask again"
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
    }

    /// The server's own failure: 500. Logged here; the caller sees only that it happened.
    pub fn internal(error: impl Display) -> Self {
        tracing::error!("{error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, "the server failed; its log says how")
    }

    /// With names that exist, nearest first.
    pub fn suggesting<T: Into<String>>(self, suggestions: impl IntoIterator<Item = T>) -> Self {
        Self { suggestions: suggestions.into_iter().map(Into::into).collect(), ..self }
    }

    /// With another code.
    pub fn coded(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    fn at(self, parameter: &str) -> Self {
        Self { parameter: Some(parameter.to_owned()), ..self }
    }
}

/// Whatever of a store the caller cannot have caused.
impl From<relata::Error> for ApiError {
    fn from(error: relata::Error) -> Self {
        Self::internal(error)
    }
}

#[derive(Serialize)]
struct Envelope<'e> {
    error: Shown<'e>,
}

#[derive(Serialize)]
struct Shown<'e> {
    code: ErrorCode,
    message: &'e str,
    parameter: Option<&'e str>,
    suggestions: &'e [String],
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = Shown {
            code: self.code,
            message: &self.message,
            parameter: self.parameter.as_deref(),
            suggestions: &self.suggestions,
        };
        (self.status, Json(Envelope { error })).into_response()
    }
}
