//! A damaged store is rebuilt from its snapshot, whenever the repair was interrupted before.

use std::path::PathBuf;

use super::edits::{committed, town};
use super::plain::Content;
use super::*;
use crate::store::Repair;

/// Two sources of many edges, an edit, a snapshot; and the path, the content and the snapshot's id.
fn store_with_snapshot(folder: &Path) -> (PathBuf, Content, SnapshotId) {
    let path = folder.join("town.relata");
    let mut store = town(folder);
    let mut sources = (0..).map(|seed| random_source(&mut Random(seed)));
    let source = sources.find(|source| source.edges.len() > 1000).unwrap();
    let mut load = store.begin_with(&schema(), LoadOptions { staging_bytes: 9000 }).unwrap();
    bring(&mut load, "other", "many", "7", &source);
    load.commit().unwrap();
    committed(&mut store, |edit| {
        edit.delete_node(NodeTypeId(0), "z").unwrap();
        let a = edit.upsert_node(NodeTypeId(0), "a").unwrap();
        edit.set(NodeTypeId(0), a, AttributeId(1), Some(Value::Number(0.1))).unwrap();
        let locus = Interval::new("chr1", 5, 9, Strand::Reverse).unwrap();
        edit.set(NodeTypeId(0), a, AttributeId(3), Some(Value::Interval(locus))).unwrap();
    });
    let id = store.snapshot(true).unwrap();
    (path, Content::of_store(&store), id)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            assert!(fs::copy(entry.path(), target).is_ok())
        }
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn segments_of(path: &Path) -> Vec<PathBuf> {
    names_in(&segment::folder(path)).into_iter().map(|name| segment::folder(path).join(name)).collect()
}

fn assert_rebuilt(path: &Path, content: &Content, id: &SnapshotId, what: &str) -> PathBuf {
    let records = Snapshot::current(path).unwrap().sources().to_vec();
    let Repair::Rebuilt { from, sources, damaged, findings } = Store::repair(path, true).unwrap() else {
        panic!("{what}: it was damaged");
    };
    assert_eq!((&from, &sources), (id, &records), "{what}");
    assert!(!findings.is_empty(), "{what}");
    let store = Store::open(path).unwrap();
    assert!(Content::of_store(&store) == *content, "{what}");
    assert_eq!(store.sources(), records, "{what}");
    assert_eq!(store.check(), [], "{what}");
    let snapshot = Snapshot::current(path).unwrap();
    assert_eq!(snapshot.id(), id, "{what}: equal content is one snapshot");
    assert_eq!(snapshot.sources(), records, "{what}");
    assert!(!path.join("repairing").exists(), "{what}");
    drop(store);
    assert_eq!(Store::repair(path, true).unwrap(), Repair::Whole, "{what}");
    damaged
}

#[test]
fn a_store_that_is_whole_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (path, content, _) = store_with_snapshot(folder.path());
    let before = names_in(&path);
    assert_eq!(Store::repair(&path, true).unwrap(), Repair::Whole);
    assert_eq!(names_in(&path), before);
    fs::remove_file(path.join("STORE")).unwrap();
    assert_eq!(Store::repair(&path, true).unwrap(), Repair::Marked);
    assert!(Content::of_store(&Store::open(&path).unwrap()) == content);
    let held = Store::open(&path).unwrap();
    assert!(matches!(Store::repair(&path, true), Err(Error::Locked { .. })));
    drop(held);
    assert!(matches!(Store::repair(&folder.path().join("nowhere"), true), Err(Error::NoStore { .. })));
    fs::write(path.join("STORE"), "Relata store\nformat version 9\n").unwrap();
    assert!(matches!(Store::repair(&path, true), Err(Error::Version { found: 9, .. })));
}

/// What is done to a store, in words and in deed.
type Damage<'d> = (&'d str, &'d dyn Fn(&Path));

#[test]
fn a_damaged_database_or_segment_or_both_are_rebuilt_from_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let (path, content, id) = store_with_snapshot(folder.path());
    let database = |path: &Path| path.join("db/db");
    let damages: [Damage; 9] = [
        ("no database", &|path| fs::remove_dir_all(path.join("db")).unwrap()),
        ("an empty database", &|path| fs::write(database(path), b"").unwrap()),
        ("a database of other bytes", &|path| fs::write(database(path), vec![0xa5; 40_000]).unwrap()),
        ("half a database", &|path| {
            let bytes = fs::read(database(path)).unwrap();
            fs::write(database(path), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("an older database", &|path| {
            fs::write(path.join("COMMIT"), format!("99 {}\n", blake3::hash(b"another").to_hex())).unwrap();
        }),
        ("no segments", &|path| fs::remove_dir_all(path.join("segments")).unwrap()),
        ("a segment less", &|path| fs::remove_file(&segments_of(path)[0]).unwrap()),
        ("a changed byte in a segment", &|path| {
            let segment = &segments_of(path)[1];
            let mut bytes = fs::read(segment).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(segment, bytes).unwrap();
        }),
        ("neither database nor segments nor a readable marker", &|path| {
            fs::remove_dir_all(path.join("db")).unwrap();
            fs::remove_dir_all(path.join("segments")).unwrap();
            fs::write(path.join("STORE"), "").unwrap();
        }),
    ];
    for (number, (what, damage)) in damages.iter().enumerate() {
        let copied = folder.path().join(format!("{number}.relata"));
        copy(&path, &copied);
        damage(&copied);
        let left = copied.join("segments").is_dir().then(|| names_in(&copied.join("segments")));
        let damaged = assert_rebuilt(&copied, &content, &id, what);
        if let Some(left) = left {
            assert_eq!(names_in(&damaged.join("segments")), left, "{what}: nothing is deleted");
        }
    }
}

#[test]
fn a_repair_that_ended_at_any_step_is_finished_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (path, content, id) = store_with_snapshot(folder.path());
    // What a repair builds, and a store that needs one.
    let built = folder.path().join("built.relata");
    copy(&path, &built);
    fs::remove_dir_all(built.join("db")).unwrap();
    assert_rebuilt(&built, &content, &id, "built");
    fs::write(&segments_of(&path)[0], b"").unwrap();
    for steps in 0..=6 {
        let copied = folder.path().join(format!("{steps}.relata"));
        copy(&path, &copied);
        let (building, away) = (copied.join("repairing"), copied.join("damaged-earlier"));
        copy(&built.join("db"), &building.join("db"));
        copy(&built.join("segments"), &building.join("segments"));
        fs::copy(built.join("COMMIT"), building.join("COMMIT")).unwrap();
        fs::write(building.join("STORE"), "Relata store\nformat version 3\n").unwrap();
        fs::create_dir(&away).unwrap();
        let out = ["db", "COMMIT", "segments"].map(|part| (copied.join(part), away.join(part)));
        let back = ["segments", "COMMIT", "db"].map(|part| (building.join(part), copied.join(part)));
        let moves = [out, back].concat();
        moves.iter().take(steps).for_each(|(from, to)| fs::rename(from, to).unwrap());
        if steps == 6 {
            // All is in place; what is left of the building is not.
            assert!(Content::of_store(&Store::open(&copied).unwrap()) == content);
            assert_eq!(Store::repair(&copied, true).unwrap(), Repair::Whole);
            assert!(!building.exists());
            continue;
        }
        if steps % 2 == 1 {
            let error = Store::open(&copied).err().expect("it has no database").to_string();
            assert!(error.contains("relata repair"), "{error}");
        }
        assert_rebuilt(&copied, &content, &id, &format!("after {steps} steps"));
    }
}

#[test]
fn what_was_committed_after_the_snapshot_is_lost_and_an_older_snapshot_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let (path, content, id) = store_with_snapshot(folder.path());
    let mut store = Store::open(&path).unwrap();
    // Somebody reads it, so it stays.
    let reader = Snapshot::current(&path).unwrap();
    committed(&mut store, |edit| assert!(edit.upsert_node(NodeTypeId(0), "later").is_ok()));
    let later = store.snapshot(true).unwrap();
    assert_ne!(later, id);
    committed(&mut store, |edit| assert!(edit.upsert_node(NodeTypeId(0), "never published").is_ok()));
    drop((store, reader));
    fs::remove_dir_all(path.join("db")).unwrap();
    let graph = Snapshot::file_of(&path, &later);
    let mut bytes = fs::read(&graph).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(&graph, bytes).unwrap();
    let Repair::Rebuilt { from, damaged, .. } = Store::repair(&path, true).unwrap() else { panic!("it has no database") };
    assert_eq!(from, id);
    assert!(damaged.join("snapshots").join(later.as_str()).join("graph.relata").is_file());
    assert!(Content::of_store(&Store::open(&path).unwrap()) == content);
    assert_eq!(Snapshot::current(&path).unwrap().id(), &id);
    // Without any whole snapshot nothing is touched.
    fs::remove_dir_all(path.join("segments")).unwrap();
    fs::remove_file(Snapshot::file_of(&path, &id)).unwrap();
    let before = names_in(&path);
    let error = Store::repair(&path, true).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(id.as_str()) && error.to_string().contains("every snapshot is damaged"), "{error}");
    assert_eq!(names_in(&path), before);
}

#[test]
fn sources_that_a_repair_put_together_are_kept_or_replaced_together() {
    let folder = tempfile::tempdir().unwrap();
    let (path, content, _) = store_with_snapshot(folder.path());
    fs::remove_dir_all(path.join("db")).unwrap();
    Store::repair(&path, true).unwrap();
    let mut store = Store::open(&path).unwrap();
    let before = store.commit.clone();
    assert_eq!((before.sources.len(), before.sources[0].records.len()), (1, 3));
    // Keeping one keeps all, in any number.
    for names in [vec![("set", "town")], vec![("other", "many"), ("set", "town")]] {
        let mut load = store.begin(&schema()).unwrap();
        assert!(load.is_current("set", "town", "1") && load.is_current("other", "many", "7"));
        names.iter().for_each(|(dataset, name)| load.keep(dataset, name).unwrap());
        assert!(load.keep("set", "town").is_err(), "twice");
        assert_eq!(load.keys(NodeTypeId(0)).unwrap().len(), content.nodes.iter().filter(|node| node.0 == "place").count());
        load.commit().unwrap();
        assert_eq!(store.commit, before);
    }
    let brought = |load: &mut super::super::Load<'_>, dataset: &str, name: &str| {
        load.begin_source(dataset, name).unwrap();
        load.node(NodeTypeId(0), "anew").unwrap();
        load.end_source(record(dataset, name, "9")).unwrap();
    };
    // One of them alone is refused, early and late.
    let mut load = store.begin(&schema()).unwrap();
    let error = load.expect_replaceable(&[("set", "town")]).unwrap_err().to_string();
    assert!(error.contains("`town` of `set` anew without `many` of `other`") && error.contains("into a new store"), "{error}");
    brought(&mut load, "set", "town");
    assert!(load.commit().is_err());
    let mut load = store.begin(&schema()).unwrap();
    load.keep("other", "many").unwrap();
    brought(&mut load, "set", "town");
    assert!(load.commit().is_err());
    let mut load = store.begin(&schema()).unwrap();
    load.remove("set", "town").unwrap();
    assert!(load.commit().is_err());
    assert_eq!(store.commit, before);
    // Other sources come beside them.
    let mut load = store.begin(&schema()).unwrap();
    assert!(load.expect_replaceable(&[("set", "third")]).unwrap().is_empty());
    brought(&mut load, "set", "third");
    load.commit().unwrap();
    assert_eq!(store.commit.sources.len(), 2);
    // All of them anew replace it, and tell which edits go with it.
    let mut load = store.begin(&schema()).unwrap();
    let edits = load.expect_replaceable(&[("set", "town"), ("other", "many")]).unwrap();
    assert!(edits.len() == 1 && edits[0].dataset == "edits");
    brought(&mut load, "set", "town");
    assert_eq!(load.find(NodeTypeId(0), "x").unwrap(), None, "all that it replaces is out of sight");
    brought(&mut load, "other", "many");
    load.commit().unwrap();
    let names: Vec<&str> = store.sources().iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["third", "town", "many"]);
    assert_eq!(Content::of_store(&store).nodes, BTreeSet::from([("place".to_owned(), "anew".to_owned())]));
    assert_eq!(store.check(), []);
}

#[test]
fn a_repaired_source_of_one_data_set_names_the_way_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = town(folder.path());
    let path = store.path.clone();
    let mut load = store.begin(&schema()).unwrap();
    load.begin_source("set", "more").unwrap();
    load.end_source(record("set", "more", "1")).unwrap();
    load.commit().unwrap();
    store.snapshot(true).unwrap();
    drop(store);
    fs::remove_dir_all(path.join("db")).unwrap();
    Store::repair(&path, true).unwrap();
    let mut store = Store::open(&path).unwrap();
    let load = store.begin(&schema()).unwrap();
    let error = load.expect_replaceable(&[("set", "more")]).unwrap_err().to_string();
    assert!(error.contains("`relata-load run MANIFEST.toml --store STORE --again`"), "{error}");
}
