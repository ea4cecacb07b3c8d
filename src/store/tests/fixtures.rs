//! Stores that earlier versions wrote stay readable. Beside each lies what was loaded into it, as lines of JSON.

use std::fs;
use std::path::{Path, PathBuf};

use relata_schema::{AttributeId, AttributeKind, EdgeValue, Schema};
use serde_json::{Map, Value as Json};

use super::plain::{Content, value_of};
use super::record;
use crate::snapshot::Snapshot;
use crate::store::engine::Tree;
use crate::store::{LoadOptions, Store};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Puts a fixture's store into a folder.
fn unpacked(name: &str, folder: &Path) -> PathBuf {
    let file = fs::File::open(fixture(&format!("{name}.tar.gz"))).unwrap();
    tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(folder).unwrap();
    folder.join(format!("{name}.relata"))
}

fn described(name: &str) -> Vec<Map<String, Json>> {
    let text = fs::read_to_string(fixture(&format!("{name}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The schemas that the lines give, each added to those before.
fn schemas(lines: &[Map<String, Json>]) -> Schema {
    lines.iter().filter_map(|line| line.get("schema")).fold(Schema::default(), |schema, text| {
        schema.merged_with(&Schema::default().extended_by(text.as_str().unwrap(), "fixture").unwrap()).unwrap()
    })
}

/// Loads what the lines describe, as one commit.
fn load(store: &mut Store, lines: &[Map<String, Json>], options: LoadOptions) {
    let mut load = store.begin_with(&schemas(lines), options).unwrap();
    let mut current = None;
    for line in lines {
        let text = |name: &str| line[name].as_str().unwrap();
        let none = Map::new();
        let set = line.get("set").map_or(&none, |set| set.as_object().unwrap());
        if let Some(source) = line.get("loaded") {
            if let Some(before) = current.replace(source.as_str().unwrap()) {
                load.end_source(record("fixture", before, "1")).unwrap();
            }
            load.begin_source("fixture", source.as_str().unwrap()).unwrap();
        } else if line.contains_key("node") {
            let node_type = load.schema().node_type(text("node")).unwrap();
            let node = load.node(node_type, text("key")).unwrap();
            for (name, value) in set {
                let attribute = load.schema().node_attribute(node_type, name).unwrap();
                let kind = load.schema().node(node_type).attributes[attribute.index()].kind;
                load.set(node_type, node, attribute, value_of(value, kind)).unwrap();
            }
        } else if line.contains_key("edge") {
            let relation = load.schema().relation(text("edge")).unwrap();
            let known = load.schema().edge(relation).clone();
            let (source, target) =
                (load.node(known.source, text("source")).unwrap(), load.node(known.target, text("target")).unwrap());
            let mut attributes = Vec::new();
            for (at, attribute) in (0u16..).zip(&known.attributes) {
                attributes.push(match set.get(&attribute.name) {
                    None => EdgeValue::Missing,
                    Some(Json::String(name)) if attribute.kind == AttributeKind::Category => {
                        EdgeValue::Category(load.category(relation, AttributeId(at), name).unwrap())
                    }
                    Some(Json::Bool(truth)) => EdgeValue::Number(f32::from(u8::from(*truth))),
                    Some(number) => EdgeValue::Number(number.as_f64().unwrap() as f32),
                });
            }
            load.edge(relation, source, target, line.get("time").and_then(Json::as_i64), &attributes).unwrap();
        }
    }
    load.end_source(record("fixture", current.unwrap(), "1")).unwrap();
    load.commit().unwrap();
}

#[test]
fn a_store_of_version_1_holds_what_was_loaded_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = unpacked("store-v1", folder.path());
    let lines = described("store-v1");
    let snapshot = Snapshot::current(&path).unwrap();
    let expected = Content::of_lines(snapshot.schema(), &lines);
    assert!(expected.edges.len() > 1500 && expected.nodes.len() > 200 && expected.values.len() > 500);
    assert!(expected == Content::of_snapshot(&snapshot), "the snapshot of version 1");
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.check(), []);
    assert!(expected == Content::of_store(&store), "the store of version 1");
    assert_eq!(store.sources(), snapshot.sources());
    assert!(store.commit.segments().flat_map(|entry| &entry.edges).all(|known| known.times.is_none()));
    let id = store.snapshot(true).unwrap();
    assert!(expected == Content::of_snapshot(&Snapshot::current(&path).unwrap()), "a new snapshot of it");
    drop(store);
    assert!(expected == Content::of_store(&Store::open(&path).unwrap()), "opened again");
    // The same content, loaded by this version.
    let mut anew = Store::open_or_create(&folder.path().join("anew.relata")).unwrap();
    load(&mut anew, &lines, LoadOptions::default());
    assert!(expected == Content::of_store(&anew));
    assert_eq!(anew.snapshot(true).unwrap(), id);
}

/// What version 1 holds, and an edit by hand.
#[test]
fn a_store_of_version_2_holds_what_was_loaded_and_edited() {
    let folder = tempfile::tempdir().unwrap();
    let path = unpacked("store-v2", folder.path());
    let mut store = Store::open(&path).unwrap();
    let mut expected = Content::of_lines(store.schema(), &described("store-v1"));
    expected.nodes.insert(("person".to_owned(), "newcomer".to_owned()));
    let snapshot = Snapshot::current(&path).unwrap();
    assert!(expected == Content::of_snapshot(&snapshot), "the snapshot");
    assert_eq!(store.check(), []);
    assert!(expected == Content::of_store(&store), "the store");
    assert!(store.sources().last().unwrap().name.ends_with(": a newcomer"));
    assert_eq!(&store.snapshot(true).unwrap(), snapshot.id());
}

#[test]
fn a_store_of_version_1_becomes_one_of_this_version_by_its_first_commit() {
    becomes_current_by_its_first_commit("store-v1", 1, "newcomer");
}

#[test]
fn a_store_of_version_2_becomes_one_of_this_version_by_its_first_commit() {
    becomes_current_by_its_first_commit("store-v2", 2, "another");
}

fn becomes_current_by_its_first_commit(name: &str, version: u8, key: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = unpacked(name, folder.path());
    let marker = || fs::read_to_string(path.join("STORE")).unwrap();
    let record = |store: &Store| store.engine.get(Tree::Commit, b"commit").unwrap().unwrap()[..4].to_vec();
    let written = format!("Relata store\nformat version {version}\n");
    let mut store = Store::open(&path).unwrap();
    let before = Content::of_store(&store);
    let sources = store.sources().len();
    let schema = store.schema().clone();
    // Neither reading, nor a snapshot, nor a load that brings nothing changes the version.
    store.snapshot(true).unwrap();
    store.begin(&schema).unwrap().commit().unwrap();
    drop(store.begin(&schema).unwrap());
    assert_eq!((marker().as_str(), record(&store)), (written.as_str(), vec![version, 0, 0, 0]));
    // As when power is lost between the marker and the record: still the content of before.
    drop(store);
    super::super::marker::upgrade(&path).unwrap();
    let mut store = Store::open(&path).unwrap();
    assert_eq!((marker().as_str(), record(&store)), ("Relata store\nformat version 3\n", vec![version, 0, 0, 0]));
    assert!(Content::of_store(&store) == before);
    let mut load = store.begin(&schema).unwrap();
    load.begin_source("other", "one").unwrap();
    let person = load.schema().node_type("person").unwrap();
    load.node(person, key).unwrap();
    load.end_source(super::record("other", "one", "1")).unwrap();
    load.commit().unwrap();
    assert_eq!((marker().as_str(), record(&store)), ("Relata store\nformat version 3\n", vec![3, 0, 0, 0]));
    // The newcomer came by the edit of version 2, or comes now.
    let mut expected = Content::of_lines(store.schema(), &described("store-v1"));
    expected.nodes.extend(["newcomer", key].map(|key| ("person".to_owned(), key.to_owned())));
    drop(store);
    let store = Store::open(&path).unwrap();
    assert!(Content::of_store(&store) == expected);
    assert_eq!(store.check(), []);
    assert_eq!(store.sources().len(), sources + 1);
}
