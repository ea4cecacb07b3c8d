use std::path::PathBuf;

use relata::store::{Repair, Store};

/// Rebuild a damaged store from its newest whole snapshot.
///
/// The damaged database and segments move to a folder in the store; nothing is deleted. What was committed after the snapshot
/// is lost. A store that is whole is left alone.
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
        let path = self.store.display();
        match Store::repair(&self.store, self.quiet)? {
            Repair::Whole => println!("{path} is whole: nothing was done"),
            Repair::Marked => println!("{path} is whole but for its file STORE, which was written anew"),
            Repair::Rebuilt { from, sources, damaged, findings } => {
                for finding in &findings {
                    println!("damaged: {finding}");
                }
                println!("{path} was rebuilt from snapshot {from}, which holds:");
                for source in &sources {
                    println!("  {} of {}", source.name, source.dataset);
                }
                println!("What was committed after that snapshot is lost; what it was, nobody can tell.");
                println!("The damaged parts are in {}", damaged.display());
            }
        }
        Ok(())
    }
}
