//! Who a request believes to talk to.
//!
//! A server on the loopback has no password, since only its own machine reaches it. But a web site can give its own name
//! the address 127.0.0.1 (DNS rebinding), and then its scripts may read what the server answers. Such a request names
//! that site in its `Host` header, so only names of the loopback are answered there.

use axum::extract::Request;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::ApiError;

/// Answers only requests for a name of the loopback.
pub async fn loopback_only(request: Request, next: Next) -> Response {
    let header = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    let host = header.or(request.uri().authority().map(|authority| authority.as_str())).unwrap_or_default();
    if is_loopback(host) { next.run(request).await } else { ApiError::bad_host(host).into_response() }
}

/// Whether `host`, with or without a port, is the loopback's.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
        Some(_) => return false,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        // RFC 6761: names under `localhost` are the loopback's, and no site can own one.
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_the_loopbacks_names_are_its_own() {
        for host in ["localhost", "localhost:7373", "LOCALHOST", "127.0.0.1:1", "127.1.2.3", "[::1]:7373", "[::1]", "a.localhost"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:7373", "10.0.0.1", "[::2]:1", "[::1]x"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
