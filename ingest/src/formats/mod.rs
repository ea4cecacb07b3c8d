//! The file formats, one module each.
//!
//! A format is a type that implements [`Format`] and stands in [`ALL`].

mod bed;
mod fasta;
mod gtf;
pub mod h5ad;
mod obo;
mod parquet;
mod table;

use std::path::Path;

use crate::{Input, Manifest, Result, Sink, Source};

/// How files of one format become nodes and edges.
pub trait Format: Send + Sync {
    /// Its name in manifests.
    fn name(&self) -> &'static str;

    /// One line for people: what it is, and where it is specified.
    fn about(&self) -> &'static str;

    /// The settings of [`Source`] that it knows, beyond `path`, `name`, `format` and `unmatched`.
    fn settings(&self) -> &'static [&'static str];

    /// Whether a file is probably of this format, by its first bytes (decompressed) and its name without `.gz`.
    fn is_likely(&self, start: &[u8], name: &str) -> bool;

    /// Checks a source's settings before any file is read.
    ///
    /// # Errors
    /// A place in the manifest, what was found and what was expected.
    fn check(&self, manifest: &Manifest, source: &Source) -> Result<()>;

    /// Goes through the file and tells the sink what is in it.
    ///
    /// # Errors
    /// The file and the place in it, what was found and what was expected.
    fn read(&self, manifest: &Manifest, source: &Source, input: &Input, sink: &mut Sink<'_>) -> Result<()>;
}

/// Every format; the first one that finds a file likely is taken, so the most particular come first.
pub const ALL: &[&dyn Format] = &[&h5ad::H5ad, &parquet::Parquet, &obo::Obo, &gtf::Gtf, &fasta::Fasta, &bed::Bed, &table::Table];

/// The format of a source: as the manifest says, or by content and name.
///
/// # Errors
/// When the manifest names an unknown format or the file cannot be read.
pub fn of(manifest: &Manifest, source: &Source, input: &Input) -> Result<&'static dyn Format> {
    if let Some(wanted) = &source.format {
        let names: Vec<&str> = ALL.iter().map(|format| format.name()).collect();
        let found = ALL.iter().find(|format| format.name() == wanted.get_ref());
        return found.copied().ok_or_else(|| manifest.unknown(wanted.span(), "format", wanted.get_ref(), &names));
    }
    let start = input.start(4096)?;
    let name = plain_name(input.path());
    // A table's `is_likely` is always true.
    Ok(ALL.iter().copied().find(|format| format.is_likely(&start, &name)).unwrap_or(&table::Table))
}

/// A file's name in lower case, without the ending of a compression.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".bgz")).unwrap_or(&name).to_owned()
}
