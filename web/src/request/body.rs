use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use relata_schema::nearest;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::ApiError;

/// Bytes that a request's body has at most.
pub const BODY_LIMIT: usize = 1 << 20;

/// A body of JSON.
pub struct Body<T>(
    /// What it says.
    pub T,
);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence != "application/json" {
            return Err(ApiError::not_json(kind));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(BODY_LIMIT),
            _ => ApiError::bad_query("body", rejection.body_text()),
        })?;
        parse(&bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            Category::Data => wrong_field(&path, &error.to_string()),
            _ => ApiError::malformed_body(error),
        }
    })?;
    reader.end().map_err(ApiError::malformed_body)?;
    Ok(value)
}

/// serde names a missing or unknown field in its message, and the path leads only to the object around it, or to the
/// unknown field.
fn wrong_field(path: &str, message: &str) -> ApiError {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let is_missing = message.starts_with("missing field ");
    let is_unknown = message.starts_with("unknown field ");
    let field = if is_missing || is_unknown { quoted.next() } else { None };
    let parameter = match (path, field) {
        (".", Some(field)) => field.to_owned(),
        (".", None) => "body".to_owned(),
        (path, Some(field)) if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        (path, Some(field)) => format!("{path}.{field}"),
        (path, None) => path.to_owned(),
    };
    let suggestions = if is_unknown { nearest(field.unwrap_or_default(), quoted) } else { Vec::new() };
    ApiError::bad_field(&parameter, format!("{parameter}: {message}")).suggesting(suggestions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        seeds: Vec<Inner>,
        #[serde(default)]
        hops: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        key: String,
    }

    fn mistake(text: &str) -> (u16, String, Vec<String>) {
        let error = parse::<Outer>(text.as_bytes()).unwrap_err();
        (error.status.as_u16(), error.parameter.unwrap_or_default(), error.suggestions)
    }

    #[test]
    fn each_mistake_names_its_field() {
        assert!(parse::<Outer>(br#"{"seeds":[{"key":"a"}],"hops":2}"#).is_ok());
        assert_eq!(mistake(r#"{"hops":2}"#), (422, "seeds".into(), vec![]));
        assert_eq!(mistake(r#"{"seeds":[{"key":"a"},{}]}"#), (422, "seeds[1].key".into(), vec![]));
        assert_eq!(mistake(r#"{"seeds":[{"key":3}]}"#), (422, "seeds[0].key".into(), vec![]));
        assert_eq!(mistake(r#"{"seeds":[],"hop":3}"#), (422, "hop".into(), vec!["hops".into()]));
        assert_eq!(mistake(r#"{"seeds":[{"kye":3}]}"#), (422, "seeds[0].kye".into(), vec!["key".into()]));
        assert_eq!(mistake(r#"{"seeds":[],"hops":-3}"#), (422, "hops".into(), vec![]));
        assert_eq!(mistake("[]").0, 422);
        for text in ["", "{", r#"{"seeds":[]} x"#, "\u{7}"] {
            assert_eq!(mistake(text), (400, "body".into(), vec![]), "{text}");
        }
    }
}
