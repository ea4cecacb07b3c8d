//! This test program as a user of the library, in a process of its own: started by the harness with a command in the
//! environment.

use std::path::{Path, PathBuf};

use relata::embedding::EmbeddingTable;
use relata::snapshot::Snapshot;
use relata::store::Store;
use sha2::{Digest, Sha256};

use crate::content::Content;

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
        ["read", answer] => std::fs::write(answer, read(store)).map_err(relata::Error::io(Path::new(answer), "cannot write")),
        other => panic!("{other:?}: no such command"),
    }
}

/// Reads and verifies everything of a store: a hash of it as the first line, and what was found to be wrong as the others.
fn read(path: &Path) -> String {
    let mut wrong = Vec::new();
    let mut content = Vec::new();
    match Store::open(path) {
        Ok(store) => {
            wrong.extend(store.check().iter().map(ToString::to_string));
            if wrong.is_empty() {
                match Content::of_store(&store) {
                    Ok(found) => content.push(format!("{found:?} {:?} {:?}", store.schema(), store.sources())),
                    Err(error) => wrong.push(error.to_string()),
                }
            }
        }
        Err(error) => wrong.push(error.to_string()),
    }
    match Snapshot::current(path) {
        Ok(snapshot) => content.push(format!("{:?}", snapshot.id())),
        Err(error) => wrong.push(error.to_string()),
    }
    for folder in folders(&path.join("snapshots")) {
        let verified = Snapshot::open(&folder).and_then(|snapshot| snapshot.verify().map(|()| snapshot));
        match verified {
            Ok(snapshot) => {
                let found = Content::of_snapshot(&snapshot);
                content.push(format!("{:?} {found:?} {:?} {:?}", snapshot.id(), snapshot.schema(), snapshot.sources()));
            }
            Err(error) => wrong.push(error.to_string()),
        }
    }
    match EmbeddingTable::list(path) {
        Ok(infos) => {
            for info in infos {
                match EmbeddingTable::read(path, &info.model, &info.node_type) {
                    Ok(table) => content.push(format!("{table:?}")),
                    Err(error) => wrong.push(error.to_string()),
                }
            }
        }
        Err(error) => wrong.push(error.to_string()),
    }
    let hash = Sha256::digest(content.join("\n").as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    [vec![hash], wrong].concat().join("\n")
}

/// The folders in a folder, in the order of their names.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
