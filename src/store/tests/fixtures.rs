//! Stores that earlier versions wrote stay readable. Beside each lies what was loaded into it, as lines of JSON.

use std::fs;
use std::path::{Path, PathBuf};

use relata_schema::{AttributeId, AttributeKind, EdgeValue, Schema};
use serde_json::{Map, Value as Json};

use super::plain::{Content, value_of};
use super::record;
use crate::snapshot::Snapshot;
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
