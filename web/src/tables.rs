use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use relata::embedding::{EmbeddingInfo, EmbeddingTable};
use relata_schema::nearest;

use crate::{ApiError, ErrorCode};

/// The embeddings of a store: each is read when it is first asked for, and again when its file has changed.
pub struct Tables {
    store: PathBuf,
    /// By model and node type.
    known: Mutex<BTreeMap<(String, String), Known>>,
}

struct Known {
    stamp: Stamp,
    /// `None` for a file that cannot be read; the log says why.
    info: Option<EmbeddingInfo>,
    table: Option<Arc<EmbeddingTable>>,
}

/// What changes when a file is replaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    /// The inode, where there is such a thing: two writes may fall into one tick of the clock.
    number: u64,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&found);
        #[cfg(not(unix))]
        let number = 0;
        Some(Self { bytes: found.len(), modified: found.modified().ok(), number })
    }
}

impl Tables {
    pub(crate) fn new(store: &Path) -> Self {
        Self { store: store.to_owned(), known: Mutex::default() }
    }

    /// What there is, in order of model and node type. A file that cannot be read is left out, and the log names it.
    pub fn list(&self) -> Vec<EmbeddingInfo> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut known);
        known.values().filter_map(|known| known.info.clone()).collect()
    }

    /// One model's embedding of a node type.
    ///
    /// # Errors
    /// Unknown model, or a type that it does not embed, each with those that exist.
    pub fn get(&self, model: &str, node_type: &str) -> Result<Arc<EmbeddingTable>, ApiError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut known);
        let Some(entry) = known.get_mut(&(model.to_owned(), node_type.to_owned())) else {
            return Err(unknown(model, node_type, &known));
        };
        if let Some(table) = &entry.table {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(EmbeddingTable::read(&self.store, model, node_type)?);
        entry.table = Some(Arc::clone(&table));
        Ok(table)
    }

    fn refresh(&self, known: &mut BTreeMap<(String, String), Known>) {
        let found = self.files();
        known.retain(|name, _| found.contains_key(name));
        for (name, stamp) in found {
            if known.get(&name).is_some_and(|known| known.stamp == stamp) {
                continue;
            }
            let info = EmbeddingTable::read(&self.store, &name.0, &name.1)
                .map_err(|error| tracing::error!("embedding {} of {} is not served: {error}", name.0, name.1))
                .ok()
                .map(|table| table.info);
            known.insert(name, Known { stamp, info, table: None });
        }
    }

    /// `models/<model>/<node type>.embedding`
    fn files(&self) -> BTreeMap<(String, String), Stamp> {
        let mut found = BTreeMap::new();
        for folder in fs::read_dir(self.store.join("models")).into_iter().flatten().flatten() {
            let Some(model) = folder.file_name().to_str().map(str::to_owned) else { continue };
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let path = file.path();
                let is_table = path.extension().is_some_and(|extension| extension == "embedding");
                let node_type = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_table);
                if let (Some(node_type), Some(stamp)) = (node_type, Stamp::of(&path)) {
                    found.insert((model.clone(), node_type.to_owned()), stamp);
                }
            }
        }
        found
    }
}

fn unknown(model: &str, node_type: &str, known: &BTreeMap<(String, String), Known>) -> ApiError {
    let listed = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut models: Vec<&str> = known.keys().map(|(model, _)| model.as_str()).collect();
    models.dedup();
    let types: Vec<&str> = known.keys().filter(|(known, _)| known == model).map(|(_, of)| of.as_str()).collect();
    let (code, parameter, message, names) = if !types.is_empty() {
        let message = format!("model `{model}` has no embedding of `{node_type}`; it has those of {}", listed(&types));
        (ErrorCode::UnknownType, "type", message, (node_type, types))
    } else if models.is_empty() {
        let message = format!("unknown model `{model}`: the store has no embedding yet; `relata embed` writes one");
        (ErrorCode::UnknownModel, "model", message, (model, models))
    } else {
        let message = format!("unknown model `{model}`; there are {}", listed(&models));
        (ErrorCode::UnknownModel, "model", message, (model, models))
    };
    let (wanted, names) = names;
    let near = nearest(wanted, names.iter().copied());
    // Few exist, so that all of them help where none is near.
    let suggestions = if near.is_empty() { names.into_iter().take(5).collect() } else { near };
    ApiError::unknown(code, parameter, message).suggesting(suggestions)
}
