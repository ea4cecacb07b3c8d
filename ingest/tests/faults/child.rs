//! This test program as a user of the library, in a process of its own: started by the harness with a command in the
//! environment.

use std::path::{Path, PathBuf};

use relata::store::Store;

/// The command and its arguments, separated by tabs.
pub const VARIABLE: &str = "RELATA_FAULT_COMMAND";
/// The store's folder.
pub const STORE: &str = "RELATA_FAULT_STORE";
/// The test that does what is asked.
pub const NAME: &str = "child::does_what_the_harness_asks_in_a_process_of_its_own";

#[test]
fn does_what_the_harness_asks_in_a_process_of_its_own() {
    let Ok(command) = std::env::var(VARIABLE) else { return };
    let store = PathBuf::from(std::env::var_os(STORE).unwrap());
    let words: Vec<&str> = command.split('\t').collect();
    match act(&store, &words) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}

/// Does what a command says.
pub fn act(store: &Path, words: &[&str]) -> relata::Result<()> {
    match words {
        ["remove", source] => {
            let mut store = Store::open(store)?;
            let schema = store.schema().clone();
            // Removed before, where the command is run again.
            if store.sources().iter().any(|record| record.name == *source) {
                let mut load = store.begin(&schema)?;
                load.remove("faults", source)?;
                load.commit()?;
            }
            store.snapshot(true).map(|_| ())
        }
        ["publish"] => Store::open(store)?.snapshot(true).map(|_| ()),
        other => panic!("{other:?}: no such command"),
    }
}
