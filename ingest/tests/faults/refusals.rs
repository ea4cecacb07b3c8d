//! Parts that are missing or of another version: what is said, and that nothing is changed by trying.

use std::fs;
use std::path::{Path, PathBuf};

use relata::snapshot::Snapshot;
use relata::store::Store;

use crate::content::Content;
use crate::program;
use crate::random::{copy_folder, scratch};
use crate::series::{Series, Step};

/// A store that a load made, and the manifest of that load.
struct Made {
    series: Series,
    folder: tempfile::TempDir,
}

impl Made {
    fn new() -> Self {
        let made = Self { series: Series::new(5, 1, false), folder: scratch() };
        copy_folder(&made.series.store, &made.store());
        made
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("s.relata")
    }

    fn manifest(&self) -> &Path {
        match &self.series.steps[0] {
            Step::Load(manifest) => manifest,
            other => panic!("{other:?}: the first step loads"),
        }
    }

    /// What `relata-load run` says with exit code 1.
    fn refused(&self) -> String {
        let ended = program::load(self.manifest(), &self.store()).run();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        ended.stderr
    }

    /// All of the store is as it was made.
    fn assert_whole(&self) {
        let store = Store::open(&self.store()).unwrap();
        assert_eq!(store.check(), []);
        let snapshot = Snapshot::current(&self.store()).unwrap();
        snapshot.verify().unwrap();
        assert_eq!(Content::of_snapshot(&snapshot).difference(&self.series.states[1].content), None);
    }
}

fn assert_says(shown: &str, parts: &[&str]) {
    for part in parts {
        assert!(shown.contains(part), "`{part}` is missing in: {shown}");
    }
}

/// What a reader of the store's own and a loader say while an entry is away; then it is put back, and all is as before.
#[test]
fn a_store_without_one_of_its_entries_says_which_and_is_not_changed() {
    for (entry, opening, loading) in [
        ("STORE", "a folder without the file STORE", "STORE: the store's marker is damaged: it is missing beside a database"),
        ("db", "s.relata/db: the database is damaged: it is missing. `relata check`", "/db: the database is damaged"),
        (
            "segments",
            "s.relata/segments: the folder of the segments is damaged: it is missing. `relata check`",
            "/segments: the folder of the segments",
        ),
    ] {
        let made = Made::new();
        let (here, away) = (made.store().join(entry), made.folder.path().join("away"));
        fs::rename(&here, &away).unwrap();
        let error = Store::open(&made.store()).err().expect("an entry is missing").to_string();
        assert_says(&error, &[opening]);
        assert_says(&made.refused(), &[loading]);
        assert!(!here.exists(), "{entry} was made anew");
        fs::rename(&away, &here).unwrap();
        made.assert_whole();
    }
}

#[test]
fn a_store_without_its_snapshots_says_so_and_gets_them_back() {
    for entry in ["snapshots", "snapshots/CURRENT"] {
        let made = Made::new();
        let path = made.store().join(entry);
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.unwrap();
        let error = Snapshot::current(&made.store()).err().expect("there is none").to_string();
        assert_says(&error, &["without a current snapshot", "snapshots/CURRENT", "relata-load run"]);
        let ended = program::load(made.manifest(), &made.store()).run();
        assert!(ended.status.success(), "{ended:?}");
        made.assert_whole();
    }
}

/// What can be made anew without a loss is, and nothing is said.
#[test]
fn a_lock_and_the_number_of_the_last_commit_are_made_anew() {
    for entry in ["LOCK", "COMMIT"] {
        let made = Made::new();
        fs::remove_file(made.store().join(entry)).unwrap();
        made.assert_whole();
        let source = Store::open(&made.store()).unwrap().sources()[0].name.clone();
        Step::Remove(source).act(&made.store()).unwrap();
        assert!(made.store().join(entry).exists(), "{entry}");
        Store::open(&made.store()).unwrap();
    }
}

#[test]
fn a_segment_that_is_missing_is_named_with_what_to_do() {
    let made = Made::new();
    let segment = made.store().join("segments/00000000.segment");
    fs::remove_file(&segment).unwrap();
    let findings = Store::open(&made.store()).unwrap().check();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((&findings[0].path, findings[0].found.as_str()), (&segment, "it is missing"));
    assert_says(&made.refused(), &["00000000.segment: the segment is damaged: it is missing. `relata check`"]);
}

/// Sets the version of a file to 9: a number at byte 8, behind the magic, in each of the formats.
fn of_version_9(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_newer_version_names_both_and_what_to_do() {
    let both = ["has format version 9; this program reads version "];
    let made = Made::new();
    fs::write(made.store().join("STORE"), "Relata store\nformat version 9\n").unwrap();
    assert_says(&made.refused(), &[both[0], "s.relata: the store", "Get a newer relata"]);

    let made = Made::new();
    of_version_9(&made.store().join("segments/00000000.segment"));
    let findings = Store::open(&made.store()).unwrap().check();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_says(&findings[0].to_string(), &["00000000.segment", "it has format version 9, expected "]);
    assert_says(&made.refused(), &[both[0], "00000000.segment: the segment", "Get a newer relata"]);

    let made = Made::new();
    let snapshot = Snapshot::current(&made.store()).unwrap().path().to_owned();
    of_version_9(&snapshot);
    let error = Snapshot::current(&made.store()).err().expect("another version").to_string();
    assert_says(&error, &[both[0], "graph.relata: the snapshot", "`relata snapshot --store STORE`"]);
    // What is said is what helps.
    Store::open(&made.store()).unwrap().snapshot(true).unwrap();
    made.assert_whole();
}
