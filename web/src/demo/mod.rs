//! A small synthetic organism, so that all of Relata can be seen without data of one's own.
//!
//! [`write()`] makes its files in the field's formats, [`load`] brings them into a store through the same loader that real
//! data takes, [`learn()`] trains on it. The truth behind them is an [`Organism`]: cell types with programmes of genes,
//! enhancers that carry a
//! programme's motif and act on its genes, and files that tell most of this with some mistakes. Whatever is learnt can
//! be checked against it.
//!
//! ```no_run
//! # let folder = std::path::Path::new("demo");
//! let organism = relata_web::demo::write(folder, relata_web::demo::SEED)?;
//! let store = relata_web::demo::load(folder, false)?;
//! let snapshot = relata::snapshot::Snapshot::current(&store)?;
//! # Ok::<(), anyhow::Error>(())
//! ```

mod files;
mod learn;
mod marker;
pub mod organism;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use relata::progress;
use relata_ingest::{Manifest, Options};

pub use learn::{Learnt, MODEL, learn};
pub use organism::Organism;

/// The organism that the demo shows unless told otherwise.
pub const SEED: u64 = 7;

/// The store's name in the demo's folder.
const STORE: &str = "demo.relata";

/// Where the task of the demo stands in its folder: which type a cell is of.
pub fn task(folder: &Path) -> PathBuf {
    folder.join(files::TASK)
}

/// Writes the files of a seed's organism into a folder (made if it is not there), unless an earlier call already has.
///
/// # Errors
/// When the folder holds things that are not the demo's, or a file cannot be written.
pub fn write(folder: &Path, seed: u64) -> Result<Organism> {
    let bar = progress::bar("writing the organism", files::ALL.len() as u64, "files", false);
    let organism = Organism::new(seed);
    let is_complete = marker::is_complete(folder, seed)? && files::ALL.iter().all(|(name, _)| folder.join(name).is_file());
    if !is_complete {
        fs::create_dir_all(folder).with_context(|| format!("{}: cannot make the demo's folder", folder.display()))?;
        marker::write(folder, seed, false)?;
        files::write(&organism, folder, &bar)?;
        marker::write(folder, seed, true)?;
    }
    bar.finish_and_clear();
    Ok(organism)
}

/// Loads the folder's manifest into its store, `demo.relata`, and prints the report unless `quiet`. Loading again what
/// has not changed changes nothing.
///
/// # Errors
/// When a file or the store is at fault; the store is then as it was.
pub fn load(folder: &Path, quiet: bool) -> Result<PathBuf> {
    let store = folder.join(STORE);
    let manifest = Manifest::read(&folder.join(files::MANIFEST))?;
    let report = relata_ingest::run(&manifest, &store, Options { quiet, ..Options::default() })?;
    if !quiet {
        println!("{report}");
    }
    Ok(store)
}

#[cfg(test)]
mod tests;
