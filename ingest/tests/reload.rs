//! Loading again: the same manifest, a changed file, one source more, a second manifest.

mod support;

use relata::snapshot::Snapshot;
use relata_ingest::{Manifest, Options, Report, run};
use support::{Content, Folder, edges, keys, text};

const SOURCES: &str = r#"
[[source]]
path = "genes.csv"
node = "gene"
key = "id"
attributes = { symbol = "symbol" }
"#;
const EDGES: &str = r#"
[[source]]
path = "ppi.tsv"
relation = "interacts"
columns = { source = "a", target = "b" }
"#;

fn folder() -> Folder {
    Folder::new(&[("genes.csv", b"id,symbol\nG1,AAA\nG2,BBB\n"), ("ppi.tsv", b"a\tb\nAAA\tBBB\nAAA\tCCC\n")])
}

fn load(folder: &Folder, sources: &str) -> (Report, Snapshot) {
    let manifest = Manifest::read(&folder.manifest("m.toml", sources)).unwrap();
    let report = run(&manifest, &folder.path("s.relata"), Options { quiet: true, ..Options::default() }).unwrap();
    (report, Snapshot::current(&folder.path("s.relata")).unwrap())
}

#[test]
fn the_same_manifest_again_changes_nothing_even_when_its_lines_move() {
    let folder = folder();
    let (first, _) = load(&folder, &[SOURCES, EDGES].concat());
    let before = Content::of(&folder.path("s.relata"));
    let (again, _) = load(&folder, &["# a remark\n\n", SOURCES, "# another\n", EDGES].concat());
    assert_eq!(again.unchanged, ["genes.csv", "ppi.tsv"]);
    assert_eq!(again.sources, first.sources);
    assert_eq!(Content::of(&folder.path("s.relata")), before);
}

#[test]
fn a_source_more_is_merged_and_those_before_it_are_not_read_again() {
    let folder = folder();
    load(&folder, SOURCES);
    let (report, snapshot) = load(&folder, &[SOURCES, EDGES].concat());
    assert_eq!(report.unchanged, ["genes.csv"]);
    assert_eq!(edges(&snapshot, "interacts", None).len(), 2, "one edge, seen from both its ends");
    let other = folder.manifest("other.toml", &EDGES.replace("[[source]]", "[[source]]\nname = \"mine\""));
    let other = std::fs::read_to_string(other).unwrap().replace("\"small\"", "\"other\"");
    let manifest = Manifest::parse(other, "other.toml", folder.path("")).unwrap();
    let report = run(&manifest, &folder.path("s.relata"), Options { quiet: true, ..Options::default() }).unwrap();
    let others: Vec<&str> = report.others.iter().map(|other| other.name.as_str()).collect();
    assert_eq!((report.sources.len(), others), (1, vec!["genes.csv", "ppi.tsv"]), "two data sets in one store");
}

#[test]
fn a_changed_file_replaces_what_it_brought_and_is_read_with_what_follows() {
    let folder = folder();
    load(&folder, &[SOURCES, EDGES].concat());
    folder.write("genes.csv", "id,symbol\nG1,AAA\nG3,CCC\n");
    let (report, snapshot) = load(&folder, &[SOURCES, EDGES].concat());
    assert!(report.unchanged.is_empty());
    assert_eq!(keys(&snapshot, "gene"), ["G1", "G3"]);
    assert_eq!(text(&snapshot, "gene", "G3", "symbol").as_deref(), Some("CCC"));
    let found: Vec<_> = edges(&snapshot, "interacts", None).into_iter().map(|edge| (edge.0, edge.1)).collect();
    assert!(found.contains(&("G1".to_owned(), "G3".to_owned())) && !found.iter().any(|edge| edge.1 == "G2"), "{found:?}");
    let drop = &report.source("ppi.tsv").unwrap().tally.drops[0];
    assert_eq!((drop.count, drop.examples.as_slice()), (1, &["BBB".to_owned()][..]));
}

#[test]
fn a_source_that_the_manifest_no_longer_names_stays_and_is_told() {
    let folder = folder();
    load(&folder, &[SOURCES, EDGES].concat());
    let (report, snapshot) = load(&folder, SOURCES);
    assert!(report.to_string().contains("The store also holds `ppi.tsv`"), "{report}");
    assert_eq!(edges(&snapshot, "interacts", None).len(), 2, "one edge, seen from both its ends");
}

#[test]
fn a_repaired_store_keeps_its_sources_until_all_of_them_are_read_again() {
    let folder = folder();
    let (_, before) = load(&folder, &[SOURCES, EDGES].concat());
    let store = folder.path("s.relata");
    std::fs::remove_dir_all(store.join("db")).unwrap();
    let repaired = relata::store::Store::repair(&store, true).unwrap();
    assert!(matches!(repaired, relata::store::Repair::Rebuilt { from, .. } if from == *before.id()));
    // Nothing has changed, so all is current.
    let (report, snapshot) = load(&folder, &[SOURCES, EDGES].concat());
    assert_eq!(report.unchanged, ["genes.csv", "ppi.tsv"]);
    assert_eq!(snapshot.id(), before.id());
    // The second file alone cannot be replaced.
    folder.write("ppi.tsv", "a\tb\nBBB\tBBB\n");
    let manifest = Manifest::read(&folder.manifest("m.toml", &[SOURCES, EDGES].concat())).unwrap();
    let quiet = Options { quiet: true, ..Options::default() };
    let error = run(&manifest, &store, quiet).unwrap_err().to_string();
    assert!(error.contains("`ppi.tsv` of `small` anew without `genes.csv`") && error.contains("--again"), "{error}");
    assert_eq!(Snapshot::current(&store).unwrap().id(), before.id());
    let report = run(&manifest, &store, Options { again: true, ..quiet }).unwrap();
    assert!(report.unchanged.is_empty());
    let snapshot = Snapshot::current(&store).unwrap();
    assert_eq!(keys(&snapshot, "gene"), ["G1", "G2"]);
    assert_eq!(edges(&snapshot, "interacts", None).len(), 1);
    // From then on each is a source of its own.
    folder.write("ppi.tsv", "a\tb\nAAA\tBBB\n");
    let report = run(&manifest, &store, quiet).unwrap();
    assert_eq!(report.unchanged, ["genes.csv"]);
}
