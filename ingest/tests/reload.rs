//! Loading again: the same manifest, a changed file, one source more, a second manifest.

mod support;

use std::path::Path;

use hdf5_writer::{AttributeBuilder, DatasetBuilder, Hdf5Builder, WriteOptions};
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

/// Counts of the shards' cells, a line each; the genes are the same.
const SHARDS: [&[[u32; 3]]; 3] = [&[[1, 0, 2], [0, 0, 3]], &[[0, 4, 0]], &[[5, 0, 0], [0, 6, 7], [0, 0, 0]]];

fn cell(shard: usize, row: usize) -> String {
    format!("cell-{shard}-{row}")
}

/// A file of a shard's cells, as AnnData keeps them.
fn anndata(shard: usize, counts: &[[u32; 3]]) -> Vec<u8> {
    let texts = |name: &str, texts: &[String]| DatasetBuilder::vlen_string_data(name, [texts.len() as u64], texts).unwrap();
    let cells: Vec<String> = (0..counts.len()).map(|row| cell(shard, row)).collect();
    let genes: Vec<String> = (0..3).map(|gene| format!("gene-{gene}")).collect();
    let counted: Vec<u32> = counts.iter().flatten().copied().collect();
    let file = Hdf5Builder::new()
        .group_attribute("obs", AttributeBuilder::fixed_string("_index", "_index"))
        .dataset(texts("obs/_index", &cells))
        .group_attribute("var", AttributeBuilder::fixed_string("_index", "_index"))
        .dataset(texts("var/_index", &genes))
        .dataset(DatasetBuilder::typed_data("X", [counts.len() as u64, 3], &counted).unwrap());
    file.into_plan().unwrap().encode(WriteOptions::default()).unwrap()
}

/// A folder with a file a shard, each in a folder of its own.
fn shards() -> Folder {
    let folder = Folder::new(&[]);
    for (shard, counts) in SHARDS.iter().enumerate() {
        std::fs::create_dir(folder.path(&shard.to_string())).unwrap();
        folder.write(&format!("{shard}/shard-{shard}.h5ad"), anndata(shard, counts));
    }
    folder
}

fn shard_source(path: &str) -> String {
    format!("[[source]]\npath = \"{path}\"\ngenes = {{ unmatched = \"make\" }}\n\n")
}

/// That a snapshot has what these shards hold, and nothing else.
fn assert_holds(snapshot: &Snapshot, shards: &[&[[u32; 3]]]) {
    let (mut cells, mut expected) = (Vec::new(), Vec::new());
    for (shard, counts) in shards.iter().enumerate() {
        for (row, counts) in counts.iter().enumerate() {
            cells.push(cell(shard, row));
            let counted = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            expected.extend(counted.map(|(gene, &count)| (cell(shard, row), format!("gene-{gene}"), Some(count as f32))));
        }
    }
    assert_eq!(keys(snapshot, "cell"), cells);
    assert_eq!(keys(snapshot, "gene"), ["gene-0", "gene-1", "gene-2"]);
    assert_eq!(edges(snapshot, "expresses", Some("count")), expected);
}

#[test]
fn shards_are_merged_in_whichever_way_their_manifests_name_them() {
    let folder = shards();
    let paths: Vec<String> = (0..3).map(|shard| format!("{shard}/shard-{shard}.h5ad")).collect();
    let sources: Vec<String> = paths.iter().map(|path| shard_source(path)).collect();
    let quiet = Options { quiet: true, ..Options::default() };
    let load = |store: &str, manifest: &Path| {
        let report = run(&Manifest::read(manifest).unwrap(), &folder.path(store), quiet).unwrap();
        (report, Snapshot::current(&folder.path(store)).unwrap())
    };
    // All in one manifest.
    let (_, whole) = load("whole.relata", &folder.manifest("m.toml", &sources.concat()));
    assert_holds(&whole, &SHARDS);
    // A manifest that names one more each time.
    for count in 1..=3 {
        let (report, grown) = load("grown.relata", &folder.manifest("m.toml", &sources[..count].concat()));
        assert_holds(&grown, &SHARDS[..count]);
        assert_eq!((report.unchanged.len(), report.others.len()), (count - 1, 0));
        assert_eq!(grown.id() == whole.id(), count == 3);
    }
    // A manifest a shard, of one data set.
    for count in 1..=3 {
        let (report, one_by_one) = load("one.relata", &folder.manifest("m.toml", &sources[count - 1]));
        assert_holds(&one_by_one, &SHARDS[..count]);
        assert_eq!((report.unchanged.len(), report.others.len()), (0, count - 1));
        assert_eq!(one_by_one.id() == whole.id(), count == 3);
    }
    // A data set a shard, whose sources have the same name.
    for shard in 0..3 {
        let text = shard_source(&paths[shard]).replace("path", "name = \"cells\"\npath");
        let manifest = folder.write("m.toml", format!("[dataset]\nname = \"part {shard}\"\n\n{text}"));
        assert_holds(&load("sets.relata", &manifest).1, &SHARDS[..=shard]);
    }
    // One shard again, with other counts: its own edges go, and those of the others stay.
    let changed: &[[u32; 3]] = &[[8, 9, 0], [0, 0, 1]];
    folder.write(&paths[1], anndata(1, changed));
    let (_, replaced) = load("one.relata", &folder.manifest("m.toml", &sources[1]));
    assert_holds(&replaced, &[SHARDS[0], changed, SHARDS[2]]);
}

#[test]
fn loads_without_a_snapshot_are_seen_with_the_next_one() {
    let folder = shards();
    let (store, manifest) = (folder.path("s.relata"), folder.manifest("m.toml", &shard_source("${RELATA_SHARD}")));
    let load = |shard: usize, more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_relata-load"));
        command.env("RELATA_SHARD", folder.path(&format!("{shard}/shard-{shard}.h5ad")));
        let output = command.arg("run").arg(&manifest).arg("--store").arg(&store).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let told =
        format!("\nno snapshot was written; `relata snapshot --store {}` makes the load visible to readers\n", store.display());
    let shown = load(0, &["--no-snapshot"]);
    assert!(shown.ends_with(&told), "{shown}");
    assert_eq!(Snapshot::current_id(&store), None);
    assert_holds(&published(&store), &SHARDS[..1]);
    let before = Snapshot::current_id(&store);
    let shown = load(1, &["--no-snapshot", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert!(report["snapshot"].is_null() && report["others"][0]["name"] == "shard-0.h5ad", "{shown}");
    assert_eq!(Snapshot::current_id(&store), before);
    assert_holds(&Snapshot::current(&store).unwrap(), &SHARDS[..1]);
    load(2, &["--no-snapshot"]);
    // Nothing is new now, and the snapshot is made still.
    let shown = load(2, &[]);
    let snapshot = Snapshot::current(&store).unwrap();
    assert!(shown.ends_with(&format!("{} now holds snapshot {}\n", store.display(), snapshot.id())), "{shown}");
    assert_holds(&snapshot, &SHARDS);
}

/// What `relata snapshot` makes of a store.
fn published(store: &Path) -> Snapshot {
    relata::store::Store::open(store).unwrap().snapshot(true).unwrap();
    Snapshot::current(store).unwrap()
}
