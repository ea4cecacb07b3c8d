//! A folder of shards: files of subgraphs, and a manifest.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::table::titles;
use super::{Drawing, Grouping};
use crate::export::output::Output;
use crate::export::table::TableWriter;
use crate::export::{Exported, Options, TableFormat};
use crate::sampler::SamplerConfig;
use crate::{Error, Result, progress};

const MANIFEST: &str = "manifest.json";

/// In which format shards are, and how many subgraphs one has.
#[derive(Clone, Copy, Debug)]
pub struct Shards {
    /// Of each file.
    pub format: TableFormat,
    /// Subgraphs of a shard; the last one has what is left.
    pub rows: u64,
}

/// `manifest.json`.
#[derive(Serialize)]
struct Manifest<'d> {
    format: &'static str,
    relata: &'static str,
    snapshot: &'d str,
    seed_type: &'d str,
    seeds: usize,
    grouping: Grouping,
    draw: u64,
    /// Whether seeds have cutoffs of their own: the latest is that of `sampler`.
    own_cutoffs: bool,
    sampler: &'d SamplerConfig,
    /// Names by the numbers in `sampler`.
    node_types: Vec<&'d str>,
    relations: Vec<String>,
    subgraphs: u64,
    nodes: u64,
    edges: u64,
    shards: Vec<Shard>,
}

#[derive(Serialize)]
struct Shard {
    file: String,
    subgraphs: u64,
    nodes: u64,
    edges: u64,
}

/// Draws all subgraphs of a drawing and writes them as a folder: shards `part-00000.arrow` or `.parquet` and so on, each with
/// the columns that the [module](super) describes, and `manifest.json`, which says how they were drawn and how many there are.
///
/// # Errors
/// When something is at `out` that may not be replaced, it cannot be written, or a seed is not in the snapshot.
pub fn to_shards(mut drawing: Drawing, out: &Path, shards: Shards, options: Options) -> Result<Exported> {
    if shards.rows == 0 {
        return Err(Error::setting("the rows of a shard", "0", "1 at least"));
    }
    let snapshot = drawing.sampler().snapshot().clone();
    // An earlier one may be of either format.
    let earlier = [TableFormat::Parquet, TableFormat::Arrow].map(|format| name(0, format));
    let mark = earlier.iter().find(|first| out.join(first).exists()).unwrap_or(&earlier[0]);
    let output = Output::folder(out, &[MANIFEST, mark], options)?;
    let mut exported = Exported::new(shards.format.name(), out, &snapshot);
    let bar = progress::bar("sample", drawing.len(), "subgraphs", options.quiet);
    let mut written = Vec::new();
    while drawing.drawn()[0] < drawing.len() {
        let file = name(written.len(), shards.format);
        bar.set_message(file.clone());
        let before = drawing.drawn();
        let mut writer = TableWriter::create(output.path().join(&file), drawing.table().schema(), shards.format)?;
        while let Some(batch) = drawing.next_batch(shards.rows - (drawing.drawn()[0] - before[0]))? {
            writer.write(&batch)?;
            bar.inc(batch.num_rows() as u64);
        }
        writer.close()?;
        let after = drawing.drawn();
        let [subgraphs, nodes, edges] = [0, 1, 2].map(|at| after[at] - before[at]);
        exported.part(file.clone(), subgraphs);
        written.push(Shard { file, subgraphs, nodes, edges });
    }
    bar.finish_and_clear();
    let path = output.path().join(MANIFEST);
    fs::write(&path, manifest(&drawing, shards.format, written)).map_err(Error::io(&path, "cannot write"))?;
    exported.bytes = output.publish(&snapshot)?;
    Ok(exported)
}

fn name(number: usize, format: TableFormat) -> String {
    format!("part-{number:05}.{}", format.name())
}

fn manifest(drawing: &Drawing, format: TableFormat, shards: Vec<Shard>) -> String {
    let (sampler, snapshot) = (drawing.sampler(), drawing.sampler().snapshot());
    let (node_types, relations) = titles(snapshot.schema());
    let [subgraphs, nodes, edges] = drawing.drawn();
    let manifest = Manifest {
        format: format.name(),
        relata: env!("CARGO_PKG_VERSION"),
        snapshot: snapshot.id().as_str(),
        seed_type: &snapshot.schema().node(drawing.seed_type()).name,
        seeds: drawing.seeds(),
        grouping: drawing.grouping(),
        draw: drawing.draw(),
        own_cutoffs: drawing.cutoffs().is_some(),
        sampler: sampler.config(),
        node_types,
        relations,
        subgraphs,
        nodes,
        edges,
        shards,
    };
    serde_json::to_string_pretty(&manifest).expect("numbers and texts are JSON") + "\n"
}
