//! What the tests of the whole path share: the real data, and the human blood store made of it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use relata::snapshot::Snapshot;
use relata_ingest::{Manifest, Options, Report, run};

/// The store of `tests/manifests/human-blood.toml`. It goes with the process that made it.
pub struct HumanBlood {
    pub store: PathBuf,
    pub report: Report,
    folder: tempfile::TempDir,
}

impl HumanBlood {
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::current(&self.store).unwrap()
    }

    /// Loads the manifest once more.
    pub fn load_again(&self) -> Report {
        load(&self.store)
    }
}

/// The folder of real data, or nothing and a word about it.
pub fn real_data() -> Option<PathBuf> {
    let folder = match std::env::var_os("RELATA_DATA").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: the real data is not at {}; set RELATA_DATA to its folder", folder.display());
    None
}

/// The human blood store, loaded once a process; nothing where the data is absent.
pub fn human_blood() -> Option<&'static HumanBlood> {
    static LOADED: OnceLock<Option<HumanBlood>> = OnceLock::new();
    let made = LOADED.get_or_init(|| {
        real_data()?;
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("blood.relata");
        let report = load(&store);
        Some(HumanBlood { store, report, folder })
    });
    if made.is_none() {
        println!("skipped: without the real data there is no human blood store");
    }
    made.as_ref()
}

fn load(store: &Path) -> Report {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/human-blood.toml");
    let manifest = Manifest::read(&manifest).unwrap_or_else(|error| panic!("{error}"));
    run(&manifest, store, Options { quiet: true, ..Options::default() }).unwrap_or_else(|error| panic!("{error}"))
}
