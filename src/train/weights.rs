//! A model's weights in a file of their own.

use std::path::{Path, PathBuf};

use burn_store::{ModuleSnapshot, SafetensorsStore};

use crate::model::RelationalTransformer;
use crate::{Error, Result};

/// Of a member, in a run's folder.
pub(super) fn path(run: &Path, member: u32) -> PathBuf {
    run.join(format!("model-{member}.safetensors"))
}

/// Writes them, instead of what the file holds.
pub(super) fn save(model: &RelationalTransformer, path: &Path) -> Result<()> {
    let mut store = SafetensorsStore::from_file(path).overwrite(true);
    model.save_into(&mut store).map_err(|error| Error::Training(format!("{}: cannot write the weights: {error}", path.display())))
}

/// Reads them into a model of the same shape.
pub(super) fn load(model: &mut RelationalTransformer, path: &Path) -> Result<()> {
    let damaged = |found: String| Error::Damaged {
        path: path.to_owned(),
        record: "the weights".to_owned(),
        found,
        remedy: "Train again with `relata train`".to_owned(),
    };
    let mut store = SafetensorsStore::from_file(path);
    let applied = model.load_from(&mut store).map_err(|error| damaged(error.to_string()))?;
    if !applied.missing.is_empty() || !applied.errors.is_empty() {
        return Err(damaged(format!("it lacks {} of the model's tensors", applied.missing.len() + applied.errors.len())));
    }
    Ok(())
}
