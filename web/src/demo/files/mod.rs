//! An organism's files, each in a format of the field and written as the field's own tools write it.

mod fasta;
mod gtf;
mod h5ad;
mod obo;
mod settings;
mod tables;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::Organism;

type Writer = fn(&Organism, &mut dyn Write) -> Result<()>;

/// Every file, and what writes it.
pub(super) const ALL: [(&str, Writer); 14] = [
    ("genome.fa", fasta::genome),
    ("regions.fa", fasta::regions),
    ("genes.gtf", gtf::genes),
    ("regions.narrowPeak", tables::regions),
    ("regulates.tsv", tables::regulates),
    ("interacts.tsv", tables::interacts),
    ("programmes.tsv", tables::programmes),
    ("donors.tsv", tables::donors),
    ("anatomy.obo", obo::anatomy),
    ("cell_types.obo", obo::cell_types),
    ("programmes.obo", obo::programmes),
    ("cells.h5ad", h5ad::cells),
    (MANIFEST, settings::manifest),
    (TASK, settings::task),
];

/// The manifest's name.
pub(super) const MANIFEST: &str = "demo.toml";
/// The task's name.
pub(super) const TASK: &str = "cell-type.toml";

/// Writes every file; the bar moves by one with each.
pub(super) fn write(organism: &Organism, folder: &Path, bar: &ProgressBar) -> Result<()> {
    for (name, writer) in ALL {
        let path = folder.join(name);
        let write = || -> Result<()> {
            let mut file = BufWriter::new(File::create(&path)?);
            writer(organism, &mut file)?;
            Ok(file.flush()?)
        };
        write().with_context(|| format!("{}: cannot write the demo's file", path.display()))?;
        bar.inc(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
