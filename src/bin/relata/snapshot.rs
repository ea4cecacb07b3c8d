use std::path::PathBuf;

use relata::snapshot::Snapshot;
use relata::store::Store;

/// Write what is committed as a snapshot.
#[derive(clap::Args)]
pub struct Args {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let before = Snapshot::current_id(&self.store);
        let id = Store::open(&self.store)?.snapshot(self.quiet)?;
        let note = if before.as_ref() == Some(&id) { ", as before: the content has not changed" } else { "" };
        println!("snapshot {id}{note}");
        Ok(())
    }
}
