//! A port, and what a network asks for: time-outs, a most of connections, an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use tower_http::trace::TraceLayer;

use crate::{ApiError, host};

/// How long and how much at once.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// From a connection's start, or its last answer, to the end of a request's headers. Longer than a browser leaves a
    /// connection idle between two clicks of a reader is not needed: it opens another.
    pub header_timeout: Duration,
    /// From there to the answer.
    pub request_timeout: Duration,
    /// For requests under way when the server is told to end.
    pub shutdown_timeout: Duration,
    /// Open at once; further ones wait in the system's queue.
    pub connections: usize,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
            // Each takes a file handle, and systems give 1,024 of them unless told otherwise.
            connections: 512,
        }
    }
}

/// Why the server cannot listen.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("{address} is in use by another program; choose another with `--address {ip}:{next}`, or `{ip}:0` for any that is free",
        ip = .address.ip(), next = .address.port().wrapping_add(1).max(1024))]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("{address}: cannot listen there: {source}; choose another address with `--address`")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Why. It stands in the message, so it is no `Error::source`, which programs print behind it: hence `r#`.
        r#source: std::io::Error,
    },
}

/// Listens at an address; port 0 is any that is free.
///
/// # Errors
/// When the address is in use or the system refuses it.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => BindError::InUse { address },
        _ => BindError::Refused { address, source },
    })?;
    if !address.ip().is_loopback() {
        tracing::warn!("{address} is open to other machines, and there is no authentication: whoever reaches it reads the store");
    }
    Ok(listener)
}

/// Serves until `end` comes, then answers what is under way.
///
/// Beside the application: compression, a time for headers and one for answers, a most of connections, and on the
/// loopback only requests that are meant for it.
///
/// # Errors
/// When the system does not tell the listener's address.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    config: &ServeConfig,
    end: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let service = TowerToHyperService::new(layered(app, config, listener.local_addr()?.ip().is_loopback()));
    let connections = Arc::new(Semaphore::new(config.connections));
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(config.header_timeout);
    tokio::pin!(end);
    loop {
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, stream) = tokio::select! {
            (permit, accepted) = accepted => match accepted {
                Ok((stream, _)) => (permit, stream),
                Err(error) => {
                    // Mostly out of file handles: some come free when connections end.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut end => break,
        };
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(config.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were not answered within {} s and are dropped", config.shutdown_timeout.as_secs());
    }
    Ok(())
}

fn layered(app: Router, config: &ServeConfig, on_loopback: bool) -> Router {
    let app = app.layer(from_fn_with_state(config.request_timeout, within)).layer(CompressionLayer::new());
    let app = if on_loopback { app.layer(from_fn(host::loopback_only)) } else { app };
    app.layer(TraceLayer::new_for_http())
}

async fn within(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::timed_out(limit.as_secs()).into_response(),
    }
}

/// Ends when the terminal's ctrl-c or the system's SIGTERM comes.
pub async fn told_to_end() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
