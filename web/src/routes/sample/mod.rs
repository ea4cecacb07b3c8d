mod bounds;
mod question;
mod walk;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body as Stream, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use relata::export::subgraphs::ArrowStream;
use tokio::sync::mpsc;

use crate::request::Body;
use crate::state::View;
use crate::{ApiError, AppState};
use question::SampleQuestion;

/// Pieces that wait for the network, of some megabytes each.
const WAITING: usize = 1;

/// `POST /v1/sample`: subgraphs as a stream of Arrow IPC, a row each. It is drawn as fast as it is read, and all of it from
/// the snapshot that it began with. When something fails on the way, the connection ends before the stream does.
pub async fn sample(State(state): State<AppState>, Body(question): Body<SampleQuestion>) -> Result<Response, ApiError> {
    question.check()?;
    let first = state.compute(None, move |state| {
        let mut stream = question.stream(&state.view().snapshot)?;
        let piece = stream.next_piece()?;
        Ok((stream, piece, state.held()))
    });
    let (stream, piece, view) = first.await?;
    let (send, pieces) = mpsc::channel(WAITING);
    tokio::spawn(draw_on(state, view, stream, piece, send));
    let kind = [(CONTENT_TYPE, "application/vnd.apache.arrow.stream")];
    Ok((kind, Stream::from_stream(Pieces(pieces))).into_response())
}

/// Sends a piece, and draws the next, until there is none or nobody listens. It holds no permit while it waits for the
/// network: a slow reader keeps nobody from an answer.
async fn draw_on(
    state: AppState,
    view: Arc<View>,
    mut stream: ArrowStream,
    mut piece: Option<Vec<u8>>,
    send: mpsc::Sender<io::Result<Bytes>>,
) {
    while let Some(found) = piece {
        // When there is room for it. So one piece waits at most, and one more is drawn meanwhile.
        if send.send(Ok(Bytes::from(found))).await.is_err() {
            return;
        }
        let next = state.compute(Some(Arc::clone(&view)), move |_| {
            let piece = stream.next_piece()?;
            Ok((stream, piece))
        });
        match next.await {
            Ok((same, found)) => (stream, piece) = (same, found),
            Err(error) => {
                let _ = send.send(Err(io::Error::other(error.message))).await;
                return;
            }
        }
    }
}

/// What comes through a channel, as a body.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
