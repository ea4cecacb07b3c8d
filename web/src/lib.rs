//! Serves a Relata store over HTTP: search, nodes, neighbourhoods and embeddings as JSON, and a page to explore them.
//!
//! * [`AppState`] opens a store: its current snapshot, which is replaced when a load publishes another, and its embeddings.
//! * [`app`] is the whole application as a [`Router`](axum::Router); it needs no port. `routes` has a file for each
//!   resource, `request` takes requests apart, [`page`] holds what the page is made of.
//! * [`ApiError`] is every answer that is not what was asked for.
//! * [`serve`](serve::serve) puts an application on a port, with its time-outs and limits; `host` sees to it that no web
//!   site's script reads a server on the reader's own machine.
//! * [`demo`] makes a small organism to look at.
//!
//! It only reads: no route changes a store. It has no users and no encryption; it listens on the loopback unless told
//! otherwise, and belongs behind a proxy that has both where others shall reach it.
//!
//! ```no_run
//! use relata_web::serve::{ServeConfig, bind, serve, told_to_end};
//! use relata_web::{AppState, app};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let state = AppState::open("atlas.relata".as_ref())?;
//! let listener = bind(([127, 0, 0, 1], 7373).into()).await?;
//! serve(listener, app(state), &ServeConfig::default(), told_to_end()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Invariant:** only this crate names HTTP and the JSON of its bodies; the snapshot and the embeddings know neither.

pub mod demo;
mod error;
mod host;
mod lookup;
pub mod page;
mod request;
mod routes;
pub mod serve;
mod state;
mod tables;
mod values;

pub use error::{ApiError, ErrorCode};
pub use routes::app;
pub use state::AppState;
