use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use clap::ValueEnum;
use relata::export::{Exported, Matrix, Options, Selection, SymmetricEdges, to_anndata, to_graphml, to_parquet};
use relata::snapshot::{Snapshot, SnapshotId};
use serde::Serialize;

use crate::info::grouped;

/// Write a snapshot in the format of other programs.
#[derive(clap::Args)]
pub struct Args {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// parquet: a folder of tables that loads back; graphml: one graph; h5ad: one relation as an AnnData matrix
    #[arg(long)]
    format: Format,
    /// The file or folder to write
    #[arg(long)]
    out: PathBuf,
    /// Another snapshot than the current one, by its id
    #[arg(long)]
    snapshot: Option<String>,
    /// Replace an earlier export
    #[arg(long)]
    overwrite: bool,
    /// graphml: only these node types, such as gene,tissue
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// graphml: only these relations
    #[arg(long, value_delimiter = ',')]
    relations: Vec<String>,
    /// graphml: how edges of symmetric relations are written [default: undirected]
    #[arg(long)]
    symmetric: Option<Symmetric>,
    /// h5ad: the relation whose sources are rows and targets columns; the one from cell to gene if omitted
    #[arg(long)]
    relation: Option<String>,
    /// h5ad: the attribute of its edges that X holds; the first number or count if omitted
    #[arg(long)]
    value: Option<String>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Parquet,
    Graphml,
    H5ad,
}

#[derive(Clone, Copy, ValueEnum)]
enum Symmetric {
    /// Once, with directed="false"
    Undirected,
    /// Once in each direction: what networkx reads beside directed relations
    Both,
}

/// What was written, as JSON has it.
#[derive(Serialize)]
pub struct Summary {
    #[serde(flatten)]
    exported: Exported,
    seconds: f64,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        self.check_settings()?;
        let snapshot = self.open()?;
        let options = Options { overwrite: self.overwrite, quiet: self.quiet };
        let start = Instant::now();
        let exported = match self.format {
            Format::Parquet => to_parquet(&snapshot, &self.out, options)?,
            Format::Graphml => {
                let selection = Selection::of(&snapshot, &self.types, &self.relations)?;
                let symmetric = match self.symmetric {
                    Some(Symmetric::Both) => SymmetricEdges::Both,
                    Some(Symmetric::Undirected) | None => SymmetricEdges::Undirected,
                };
                to_graphml(&snapshot, &selection, symmetric, &self.out, options)?
            }
            Format::H5ad => {
                let matrix = Matrix::of(&snapshot, self.relation.as_deref(), self.value.as_deref())?;
                to_anndata(&snapshot, &self.store, matrix, &self.out, options)?
            }
        };
        Summary::of(exported, start).show(self.json)
    }

    /// Refuses options of another format, which would change nothing.
    fn check_settings(&self) -> anyhow::Result<()> {
        let given = [
            ("--types", Format::Graphml, !self.types.is_empty()),
            ("--relations", Format::Graphml, !self.relations.is_empty()),
            ("--symmetric", Format::Graphml, self.symmetric.is_some()),
            ("--relation", Format::H5ad, self.relation.is_some()),
            ("--value", Format::H5ad, self.value.is_some()),
        ];
        match given.into_iter().find(|&(_, format, is_given)| is_given && format != self.format) {
            Some((option, Format::Graphml, _)) => bail!("{option} belongs to `--format graphml`"),
            Some((option, ..)) => bail!("{option} belongs to `--format h5ad`"),
            None => Ok(()),
        }
    }

    fn open(&self) -> anyhow::Result<Snapshot> {
        let Some(id) = &self.snapshot else { return Ok(Snapshot::current_verified(&self.store)?) };
        let folder = self.store.join("snapshots");
        let known: Vec<String> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| SnapshotId::parse(&entry.file_name().to_string_lossy()))
            .map(|id| id.to_string())
            .collect();
        if !known.contains(id) {
            let known = if known.is_empty() { "no snapshot".to_owned() } else { known.join(", ") };
            bail!("{}: there is no snapshot `{id}`; the store has {known}", self.store.display());
        }
        let snapshot = Snapshot::open(&folder.join(id))?;
        snapshot.verify()?;
        Ok(snapshot)
    }
}

impl Summary {
    /// Of what was begun at `start`, and is done.
    pub fn of(exported: Exported, start: Instant) -> Self {
        Self { exported, seconds: start.elapsed().as_secs_f64() }
    }

    /// As JSON for programs, or for people.
    pub fn show(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
        } else {
            self.print();
        }
        Ok(())
    }

    fn print(&self) {
        let exported = &self.exported;
        let mut table = crate::info::drawn(&["part", "rows"], &[1]);
        for part in &exported.parts {
            table.add_row([part.name.clone(), grouped(part.rows)]);
        }
        println!("{table}");
        for note in &exported.notes {
            println!("note: {note}");
        }
        let bytes = grouped(exported.bytes);
        println!("{}: snapshot {}, {bytes} bytes in {:.1} s", exported.path.display(), exported.snapshot, self.seconds);
    }
}
