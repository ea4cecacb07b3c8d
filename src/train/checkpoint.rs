//! What training goes on from when it was stopped: a folder of a run, replaced as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::average::Average;
use super::metrics::Phase;
use super::optimizer::Optimizer;
use super::weights;
use crate::bits;
use crate::disk::write_durably;
use crate::model::RelationalTransformer;
use crate::{Error, Result};

/// Of the folder's files.
pub(super) const VERSION: u32 = 1;

/// How far training was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) format_version: u32,
    /// The snapshot that it trains on, and the fold that it holds out.
    pub(super) snapshot: String,
    pub(super) fold: Option<u32>,
    pub(super) member: u32,
    pub(super) phase: Phase,
    pub(super) epoch: u32,
    /// Steps of the epoch that are done, and of those that changed the model, of the phase.
    pub(super) taken: usize,
    pub(super) step: u64,
    /// Of this epoch: the sum of the losses, how many, tokens, seconds, and those of them that were waited.
    pub(super) sums: Sums,
    /// The best epoch so far, its score, and how many epochs have been worse since.
    pub(super) best: Option<Score>,
    pub(super) worse: u32,
    /// Seconds of the phase, and of all.
    pub(super) phase_seconds: f64,
    pub(super) seconds: f64,
}

/// Of a model on the rows of validation; more is better.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Score(#[serde(with = "bits::precise")] pub(super) f64);

/// Of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    #[serde(with = "bits::precise")]
    pub(super) loss: f64,
    pub(super) steps: u32,
    pub(super) tokens: u64,
    pub(super) seconds: f64,
    pub(super) waited: f64,
}

/// What is trained, beside the counts.
pub(super) struct Trained {
    pub(super) model: RelationalTransformer,
    pub(super) optimizer: Optimizer,
    pub(super) average: Option<Average>,
    pub(super) best: Option<RelationalTransformer>,
}

/// A checkpoint on the disk.
pub(super) struct Checkpoint {
    folder: PathBuf,
    pub(super) progress: Progress,
}

fn folder(run: &Path) -> PathBuf {
    run.join("checkpoint")
}

/// Writes a checkpoint into a run's folder, in place of the one before: whenever the process ends, one of the two is whole.
pub(super) fn save(run: &Path, progress: &Progress, trained: &Trained) -> Result<()> {
    let new = run.join("checkpoint.new");
    let remove = |folder: &Path| match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(folder, "cannot remove an earlier checkpoint")(error))
        }
        _ => Ok(()),
    };
    remove(&new)?;
    fs::create_dir_all(&new).map_err(Error::io(&new, "cannot make the checkpoint"))?;
    weights::save(&trained.model, &new.join("model.safetensors"))?;
    trained.optimizer.save(&new.join("optimizer.burnpack"))?;
    if let Some(average) = &trained.average {
        weights::save(&average.model, &new.join("average.safetensors"))?;
    }
    if let Some(best) = &trained.best {
        weights::save(best, &new.join("best.safetensors"))?;
    }
    let text = serde_json::to_vec_pretty(progress).expect("a struct of texts and numbers is JSON");
    write_durably(&new.join("progress.json"), &text)?;
    let (now, before) = (folder(run), run.join("checkpoint.old"));
    let rename = |from: &Path, to: &Path| fs::rename(from, to).map_err(Error::io(from, "cannot put the checkpoint in its place"));
    remove(&before)?;
    if now.exists() {
        rename(&now, &before)?;
    }
    rename(&new, &now)?;
    remove(&before)
}

/// Removes what a run no longer needs.
pub(super) fn clear(run: &Path) {
    for name in ["checkpoint", "checkpoint.new", "checkpoint.old"] {
        // What stays does no harm but for its size.
        let _ = fs::remove_dir_all(run.join(name));
    }
}

impl Checkpoint {
    /// The last one of a run; `None` where it has none yet.
    ///
    /// # Errors
    /// When it cannot be read, or is of another version.
    pub(super) fn open(run: &Path) -> Result<Option<Self>> {
        for folder in [folder(run), run.join("checkpoint.old")] {
            let path = folder.join("progress.json");
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(&path, "cannot read the checkpoint")(error)),
            };
            let remedy = "Train again without `--resume`".to_owned();
            let progress: Progress = serde_json::from_slice(&text).map_err(|error| Error::Damaged {
                path: path.clone(),
                record: "the checkpoint".to_owned(),
                found: error.to_string(),
                remedy: remedy.clone(),
            })?;
            if progress.format_version != VERSION {
                let (found, expected) = (progress.format_version, VERSION);
                return Err(Error::Version { path, what: "the checkpoint", found, expected, remedy });
            }
            return Ok(Some(Self { folder, progress }));
        }
        Ok(None)
    }

    /// Reads what is trained; `model` and `optimizer` are such as training begins with.
    pub(super) fn load(&self, mut model: RelationalTransformer, optimizer: Optimizer, ema: f64) -> Result<Trained> {
        weights::load(&mut model, &self.folder.join("model.safetensors"))?;
        let optimizer = optimizer.load(&self.folder.join("optimizer.burnpack"))?;
        let other = |name: &str| {
            let path = self.folder.join(name);
            path.exists()
                .then(|| {
                    let mut other = model.valid();
                    weights::load(&mut other, &path).map(|()| other)
                })
                .transpose()
        };
        let average = other("average.safetensors")?.map(|model| Average { decay: ema, model });
        let best = other("best.safetensors")?;
        Ok(Trained { model, optimizer, average, best })
    }
}
