use std::path::PathBuf;

/// Written soon.
#[derive(clap::Args)]
pub struct Args {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not written yet: {}", self.store.display())
    }
}
