//! The page, as the build made it, from within the program.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::ApiError;

/// Written by the build script: `ASSETS` has path, media type and bytes of each file.
mod built {
    include!(concat!(env!("OUT_DIR"), "/page.rs"));
}

/// Nothing comes from elsewhere, and nobody shows the page within theirs. Drawing libraries set styles on elements, make
/// images of their canvas, and start their workers from blobs.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PLAIN: &str = include_str!("page.html");

/// Everything that is no route of the API: a file of the page, or the page itself, whose script reads the path.
pub async fn page(request: Request) -> Result<Response, ApiError> {
    let path = request.uri().path();
    if path == "/v1" || path.starts_with("/v1/") {
        return Err(ApiError::not_found(path));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(ApiError::method_not_allowed(request.method().as_str(), path));
    }
    file(built::ASSETS, path).ok_or_else(|| ApiError::not_found(path))
}

fn file(assets: &[(&'static str, &'static str, &'static [u8])], path: &str) -> Option<Response> {
    let wanted = path.trim_start_matches('/');
    let find = |wanted: &str| assets.iter().find(|(known, ..)| known.trim_start_matches('/') == wanted);
    if let Some((_, kind, bytes)) = find(wanted).filter(|_| wanted != "index.html") {
        // The builder puts a hash of the content into the names of what lies under `assets/`.
        let lasting = wanted.starts_with("assets/");
        return Some(answer(kind, bytes, if lasting { "public, max-age=31536000, immutable" } else { "no-cache" }));
    }
    let is_file = wanted.rsplit('/').next().is_some_and(|name| name.contains('.')) && wanted != "index.html";
    match find("index.html") {
        _ if is_file => None,
        Some((_, kind, bytes)) => Some(answer(kind, bytes, "no-cache")),
        None => Some(answer("text/html; charset=utf-8", PLAIN.as_bytes(), "no-cache")),
    }
}

fn answer(kind: &'static str, bytes: &'static [u8], cache: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    ];
    (StatusCode::OK, headers, bytes).into_response()
}

/// Whether the page is part of this program.
pub fn is_built() -> bool {
    built::IS_BUILT
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSETS: &[(&str, &str, &[u8])] = &[
        ("/index.html", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/assets/index-1a2b3c.js", "text/javascript", b"1"),
        ("/icon.svg", "image/svg+xml", b"<svg/>"),
    ];

    fn header(response: &Response, name: header::HeaderName) -> &str {
        response.headers()[name].to_str().unwrap()
    }

    #[test]
    fn files_are_served_as_what_they_are_and_hashed_ones_kept() {
        let script = file(ASSETS, "/assets/index-1a2b3c.js").unwrap();
        assert_eq!(header(&script, header::CONTENT_TYPE), "text/javascript");
        assert!(header(&script, header::CACHE_CONTROL).contains("immutable"));
        let icon = file(ASSETS, "/icon.svg").unwrap();
        assert_eq!((header(&icon, header::CONTENT_TYPE), header(&icon, header::CACHE_CONTROL)), ("image/svg+xml", "no-cache"));
    }

    #[test]
    fn paths_of_the_pages_own_get_the_page_and_missing_files_nothing() {
        for path in ["/", "/index.html", "/nodes/gene/TP53", "/a/"] {
            let page = file(ASSETS, path).unwrap();
            assert_eq!(header(&page, header::CONTENT_TYPE), "text/html; charset=utf-8", "{path}");
            assert_eq!(header(&page, header::CACHE_CONTROL), "no-cache", "{path}");
            assert!(header(&page, header::CONTENT_SECURITY_POLICY).contains("default-src 'none'"));
        }
        for path in ["/assets/gone.js", "/favicon.ico"] {
            assert!(file(ASSETS, path).is_none(), "{path}");
            assert!(file(&[], path).is_none(), "{path}");
        }
        assert!(file(&[], "/").is_some());
    }
}
