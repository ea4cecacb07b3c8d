use std::path::Path;

use relata::store::{Repair, Store};

pub fn run(path: &Path, quiet: bool) -> anyhow::Result<()> {
    let shown = path.display();
    match Store::repair(path, quiet)? {
        Repair::Whole => println!("{shown} is whole: nothing was done"),
        Repair::Marked => println!("{shown} is whole but for its file STORE, which was written anew"),
        Repair::Rebuilt { from, sources, damaged, findings } => {
            for finding in &findings {
                println!("damaged: {finding}");
            }
            println!("{shown} was rebuilt from snapshot {from}, which holds:");
            for source in &sources {
                println!("  {} of {}", source.name, source.dataset);
            }
            println!("What was committed after that snapshot is lost; what it was, nobody can tell.");
            println!("The damaged parts are in {}", damaged.display());
        }
    }
    Ok(())
}
