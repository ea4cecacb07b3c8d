use std::path::PathBuf;

use relata::snapshot::Snapshot;
use relata::train::Run;

/// Write a vector for every node of the task's type, and for the identities that training learnt.
#[derive(clap::Args)]
pub struct Args {
    /// The run's folder
    run: PathBuf,
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// The model's name in the store; the run's folder's name if omitted
    #[arg(long)]
    model: Option<String>,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let snapshot = Snapshot::current_verified(&self.store)?;
        let (_, model) = Run::open(&self.run, &snapshot)?;
        let folder = std::path::absolute(&self.run)?;
        let name = self.model.unwrap_or_else(|| folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        relata::embedding::check_name(&name)?;
        let tables = model.embed(&snapshot, &name, &self.run.display().to_string(), self.quiet)?;
        snapshot.intact()?;
        for table in tables {
            table.write(&self.store)?;
            let info = &table.info;
            println!("embedding {name} of {}: {} × {}", info.node_type, info.count, info.dimension);
        }
        Ok(())
    }
}
