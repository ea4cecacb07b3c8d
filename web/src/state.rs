use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, TryLockError};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use relata::snapshot::{Snapshot, SnapshotId};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::ApiError;
use crate::tables::{Stamp, Tables};

/// What the server answers from: a store's current snapshot and its embeddings.
///
/// Only a verified snapshot is served. When a load publishes a new one, it is verified in the background while requests go
/// on with the one before; requests that are under way end with the one that they began with. If somebody shortens or
/// overwrites the file of the one that is served, nothing more is answered from it, and each request looks whether there is
/// another.
#[derive(Clone)]
pub struct AppState {
    inner: Arc<Inner>,
}

struct Inner {
    store: PathBuf,
    view: RwLock<Arc<View>>,
    /// Held by whoever verifies the snapshot that comes next. In it, the one that was refused last: it is verified again,
    /// and complained of, only when its file has changed.
    swap: Mutex<Option<Refused>>,
    tables: Tables,
    /// For each answer that is being computed; as many at once as the processor can do with some waiting for the disk.
    permits: Arc<Semaphore>,
}

type Refused = (Option<SnapshotId>, Option<Stamp>);

/// A snapshot, and what is computed of it once.
pub struct View {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The identity that the store calls it by: the name of its folder.
    named: Option<SnapshotId>,
    edge_counts: OnceLock<Vec<u64>>,
}

impl View {
    fn new(snapshot: Snapshot) -> Self {
        let folder = snapshot.path().parent().and_then(Path::file_name).and_then(|name| name.to_str());
        Self { named: folder.and_then(SnapshotId::parse), snapshot, edge_counts: OnceLock::new() }
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

    /// Whether what was read of it counts.
    fn intact(&self) -> Result<(), ApiError> {
        self.snapshot.intact().map_err(|error| ApiError::unavailable(&error))
    }
}

/// What one request is answered from, from its beginning to its end.
pub(crate) struct Reading {
    state: AppState,
    view: Arc<View>,
}

impl Reading {
    /// The snapshot.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The same, to go on with.
    pub(crate) fn held(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// The store's embeddings.
    pub(crate) fn tables(&self) -> &Tables {
        &self.state.inner.tables
    }
}

impl AppState {
    /// Opens the store's current snapshot, and verifies it.
    ///
    /// # Errors
    /// When there is no store or no snapshot, or it cannot be read or is damaged.
    pub fn open(store: &Path) -> relata::Result<Self> {
        let view = Arc::new(View::new(Snapshot::current_verified(store)?));
        view.warm();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            inner: Arc::new(Inner {
                store: store.to_owned(),
                view: RwLock::new(view),
                swap: Mutex::default(),
                tables: Tables::new(store),
                permits: Arc::new(Semaphore::new(2 * threads)),
            }),
        })
    }

    /// The snapshot that is served, whether or not it is intact. Where the store has another, that one is verified in the
    /// background, and takes its place.
    pub(crate) fn view(&self) -> Arc<View> {
        let held = self.held();
        if self.is_stale(&held) {
            self.begin_swap();
        }
        held
    }

    /// The identity of the snapshot that is served.
    ///
    /// # Errors
    /// 503 when it is no longer intact.
    pub(crate) fn snapshot_id(&self) -> Result<SnapshotId, ApiError> {
        let view = self.view();
        view.intact()?;
        Ok(view.snapshot.id().clone())
    }

    fn held(&self) -> Arc<View> {
        Arc::clone(&self.inner.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the store calls another snapshot the current one, or this one is lost.
    fn is_stale(&self, held: &View) -> bool {
        let named = Snapshot::current_id(&self.inner.store);
        (named.is_some() && named != held.named) || held.snapshot.intact().is_err()
    }

    fn begin_swap(&self) {
        let refused = match self.inner.swap.try_lock() {
            Ok(refused) => refused,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody is at it.
            Err(TryLockError::WouldBlock) => return,
        };
        if refused.as_ref() != Some(&self.found()) {
            drop(refused);
            let state = self.clone();
            std::thread::spawn(move || state.refresh());
        }
    }

    /// Serves the store's current snapshot if it is another than the one that is served, and whole. Returns when that is
    /// done, after verifying all of it; requests go on meanwhile. Where it is refused, the log says why.
    pub fn refresh(&self) {
        let mut refused = self.inner.swap.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.held();
        let found = self.found();
        if !self.is_stale(&held) || refused.as_ref() == Some(&found) {
            return;
        }
        match Snapshot::current_verified(&self.inner.store) {
            Ok(snapshot) => {
                tracing::info!("snapshot {} takes the place of {}", snapshot.id(), held.snapshot.id());
                let view = Arc::new(View::new(snapshot));
                view.warm();
                *self.inner.view.write().unwrap_or_else(PoisonError::into_inner) = view;
                *refused = None;
            }
            Err(error) => {
                tracing::error!("the store's current snapshot is not served: {error}");
                *refused = Some(found);
            }
        }
    }

    /// What the store calls its current snapshot, and its file as it is now.
    fn found(&self) -> Refused {
        let named = Snapshot::current_id(&self.inner.store);
        let stamp = named.as_ref().and_then(|named| Stamp::of(&Snapshot::file_of(&self.inner.store, named)));
        (named, stamp)
    }

    /// Computes an answer from the snapshot that is served, as [`compute`](Self::compute) does.
    ///
    /// # Errors
    /// Those of `compute`.
    pub(crate) async fn answer(
        &self,
        work: impl FnOnce(&Reading) -> Result<Answer, ApiError> + Send + 'static,
    ) -> Result<Answer, ApiError> {
        self.compute(None, work).await
    }

    /// Computes something away from the threads that move bytes: walks, searches and products may take long. What was
    /// computed while the snapshot was damaged is never given, whatever it is. Where an answer is computed in several steps,
    /// all but the first name the view that the first began with.
    ///
    /// # Errors
    /// Those of `work`; [`ApiError::unavailable`] for a damaged snapshot; [`ApiError::internal`] when `work` panics.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        view: Option<Arc<View>>,
        work: impl FnOnce(&Reading) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permits = Arc::clone(&self.inner.permits);
        let permit = permits.acquire_owned().await.map_err(ApiError::internal)?;
        let state = self.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            // Held until the work ends, even if nobody waits for it any more.
            let _permit = permit;
            let reading = Reading { view: view.unwrap_or_else(|| state.view()), state };
            reading.view.intact()?;
            // What is read from a lost map may be no sensible graph, and a panic over it no mistake of the program.
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&reading)));
            if let Err(lost) = reading.view.intact() {
                reading.state.begin_swap();
                return Err(lost);
            }
            outcome.unwrap_or_else(|_| Err(ApiError::internal("a request's work panicked")))
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
