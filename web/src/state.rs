use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use relata::snapshot::{Snapshot, SnapshotId};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::ApiError;
use crate::tables::Tables;

/// What the server answers from: a store's current snapshot and its embeddings.
///
/// When a load publishes a new snapshot, the next request sees it; requests that are under way end with the one that
/// they began with. The same for embeddings.
#[derive(Clone)]
pub struct AppState {
    inner: Arc<Inner>,
}

struct Inner {
    store: PathBuf,
    view: RwLock<Arc<View>>,
    /// The snapshot that could not be opened last, so that it is complained of once.
    unreadable: Mutex<Option<SnapshotId>>,
    tables: Tables,
    /// For each answer that is being computed; as many at once as the processor can do with some waiting for the disk.
    permits: Arc<Semaphore>,
}

/// A snapshot, and what is computed of it once.
pub struct View {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The identity that the store calls it by.
    named: Option<SnapshotId>,
    edge_counts: OnceLock<Vec<u64>>,
}

impl View {
    fn new(snapshot: Snapshot, named: Option<SnapshotId>) -> Self {
        Self { snapshot, named, edge_counts: OnceLock::new() }
    }

    /// Edges of each relation, by its id; a symmetric edge counts once.
    pub fn edge_counts(&self) -> &[u64] {
        let count = || self.snapshot.schema().relation_ids().map(|id| self.snapshot.edge_count(id)).collect();
        self.edge_counts.get_or_init(count)
    }

    /// Computes in the background what the first request would wait for.
    fn warm(self: &Arc<Self>) {
        let view = Arc::clone(self);
        std::thread::spawn(move || {
            view.edge_counts();
            view.snapshot.search("-", None, 1);
        });
    }
}

impl AppState {
    /// Opens the store's current snapshot.
    ///
    /// # Errors
    /// When there is no store or no snapshot, or it cannot be read.
    pub fn open(store: &Path) -> relata::Result<Self> {
        let named = Snapshot::current_id(store);
        let view = Arc::new(View::new(Snapshot::current(store)?, named));
        view.warm();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            inner: Arc::new(Inner {
                store: store.to_owned(),
                view: RwLock::new(view),
                unreadable: Mutex::new(None),
                tables: Tables::new(store),
                permits: Arc::new(Semaphore::new(2 * threads)),
            }),
        })
    }

    /// The store's embeddings.
    pub(crate) fn tables(&self) -> &Tables {
        &self.inner.tables
    }

    /// The current snapshot: a look at one small file, and milliseconds where it is a new one. Where the new one cannot
    /// be opened, the log says so and the one before stays.
    pub(crate) fn view(&self) -> Arc<View> {
        let held = Arc::clone(&self.inner.view.read().unwrap_or_else(PoisonError::into_inner));
        let Some(named) = Snapshot::current_id(&self.inner.store).filter(|named| held.named.as_ref() != Some(named)) else {
            return held;
        };
        let mut place = self.inner.view.write().unwrap_or_else(PoisonError::into_inner);
        if place.named.as_ref() == Some(&named) {
            return Arc::clone(&place);
        }
        match Snapshot::open(&self.inner.store.join("snapshots").join(named.as_str())) {
            Ok(snapshot) => {
                tracing::info!("snapshot {named} takes the place of {}", place.snapshot.id());
                *place = Arc::new(View::new(snapshot, Some(named)));
                place.warm();
            }
            Err(error) => {
                let mut unreadable = self.inner.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                if unreadable.as_ref() != Some(&named) {
                    tracing::error!("snapshot {named} is not served, {} still is: {error}", place.snapshot.id());
                    *unreadable = Some(named);
                }
            }
        }
        Arc::clone(&place)
    }

    /// Computes an answer away from the threads that move bytes: walks, searches and products may take long.
    ///
    /// # Errors
    /// Those of `work`; [`ApiError::internal`] when it panics.
    pub(crate) async fn answer(
        &self,
        work: impl FnOnce(&Self) -> Result<Answer, ApiError> + Send + 'static,
    ) -> Result<Answer, ApiError> {
        let permits = Arc::clone(&self.inner.permits);
        let permit = permits.acquire_owned().await.map_err(ApiError::internal)?;
        let state = self.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            // Held until the work ends, even if nobody waits for it any more.
            let _permit = permit;
            work(&state)
        });
        outcome.await.map_err(ApiError::internal)?
    }
}

/// JSON, already written.
pub struct Answer(Vec<u8>);

impl Answer {
    /// Writes it.
    ///
    /// # Errors
    /// [`ApiError::internal`] where JSON has no form for it.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, ApiError> {
        serde_json::to_vec(value).map(Self).map_err(ApiError::internal)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], Body::from(self.0)).into_response()
    }
}
