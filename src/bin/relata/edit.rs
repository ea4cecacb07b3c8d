use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::{Path, PathBuf};

use anyhow::Context;
use relata::Error;
use relata::edit::{self, Applied};
use relata::store::Store;
use serde::Serialize;

/// Upsert and delete nodes and edges, as one commit above all that is loaded.
#[derive(clap::Args)]
pub struct Args {
    /// Lines of JSON, such as {"upsert":"node","type":"gene","key":"CD4","set":{"symbol":"CD4"}}; - reads the standard input
    file: PathBuf,
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Why: it is kept with the edit, and `relata info` shows it
    #[arg(long)]
    note: Option<String>,
    /// Write no snapshot: readers see the edit after the next one
    #[arg(long)]
    no_snapshot: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    applied: Applied,
    /// The snapshot that was published, if one was.
    snapshot: Option<String>,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let path = self.store.display();
        let mut store = Store::open(&self.store)?;
        let mut edit = store.edit()?;
        if let Some(note) = &self.note {
            edit.note(note);
        }
        if self.no_snapshot {
            edit.without_snapshot();
        }
        let lines: Box<dyn BufRead> = if self.file == Path::new("-") {
            Box::new(stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(&self.file).map_err(Error::io(&self.file, "cannot open the edits"))?))
        };
        let applied = edit::apply(&mut edit, lines, &self.file.display().to_string())?;
        edit.commit()?;
        let snapshot = (!self.no_snapshot)
            .then(|| store.snapshot(self.quiet || self.json))
            .transpose()
            .with_context(|| {
                format!(
                    "the edit is committed, but its snapshot could not be written; make it with `relata snapshot --store {path}`"
                )
            })?
            .map(|id| id.to_string());
        let report = Report { applied, snapshot };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
            return Ok(());
        }
        println!("nodes: {} upserted, {} deleted", applied.upserted_nodes, applied.deleted_nodes);
        println!("edges: {} upserted, {} pairs of nodes lost theirs", applied.upserted_edges, applied.deleted_edges);
        println!("values: {} set, {} removed", applied.set_values, applied.removed_values);
        match &report.snapshot {
            Some(id) => println!("{path} now holds snapshot {id}"),
            None => println!("no snapshot was written; `relata snapshot --store {path}` makes the edit visible to readers"),
        }
        Ok(())
    }
}
