//! The store beside a plain model of it, and what must happen when something is in the way.

mod edits;
mod fixtures;
mod plain;
mod repair;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use relata_schema::{AttributeId, Direction, EdgeValue, Interval, NodeTypeId, RelationId, Schema, SourceRecord, Strand, Value};

use super::dictionary::Owner;
use super::engine::Tree;
use super::{LoadOptions, Store, segment};
use crate::Error;
use crate::snapshot::{EdgeColumn, Snapshot, SnapshotId};

/// Uniform numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn schema() -> Schema {
    let text = r#"
        [node.place]
        attributes.name = { kind = "text", identifier = true }
        attributes.size = { kind = "number" }
        attributes.kind = { kind = "category" }
        attributes.locus = { kind = "interval" }
        [node.person]
        attributes.traits = { kind = "vector(3)" }
        [[relation]]
        name = "visits"
        source = "person"
        target = "place"
        attributes = { score = { kind = "number" }, year = { kind = "time" }, purpose = { kind = "category" } }
        [[relation]]
        name = "near"
        source = "place"
        target = "place"
        symmetric = true
        attributes.distance = { kind = "number" }
        [[relation]]
        name = "knows"
        source = "person"
        target = "person"
    "#;
    Schema::default().extended_by(text, "test.toml").unwrap()
}

fn record(dataset: &str, name: &str, fingerprint: &str) -> SourceRecord {
    SourceRecord {
        dataset: dataset.to_owned(),
        name: name.to_owned(),
        fingerprint: fingerprint.to_owned(),
        ..SourceRecord::default()
    }
}

/// An edge as a person would write it.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
struct PlainEdge {
    relation: usize,
    source: String,
    target: String,
    time: Option<i64>,
    number: Option<f32>,
    category: Option<String>,
}

/// An edge as one of its ends sees it: time, key of the other end, number, category.
type SeenEdge = (Option<i64>, String, Option<f32>, Option<String>);

/// What a source brings, in a plain form.
#[derive(Clone, Debug, Default)]
struct PlainSource {
    edges: Vec<PlainEdge>,
    /// By place.
    names: BTreeMap<String, String>,
    /// (node type, key).
    named: BTreeSet<(u16, String)>,
}

const ENDS: [(u16, u16); 3] = [(1, 0), (0, 0), (1, 1)];

fn random_source(random: &mut Random) -> PlainSource {
    let mut source = PlainSource::default();
    let key =
        |random: &mut Random, node_type: u16| format!("{}{}", if node_type == 0 { "place" } else { "person" }, random.below(40));
    for _ in 0..random.below(5) {
        let node_type = random.below(2) as u16;
        let key = key(random, node_type);
        source.named.insert((node_type, key));
    }
    for _ in 0..random.below(10) {
        let place = key(random, 0);
        source.named.insert((0, place.clone()));
        source.names.insert(place, format!("name {}", random.below(1000)));
    }
    // Some sources have lists that are longer than a block.
    let edges = if random.chance(15) { 3000 } else { random.below(60) };
    let narrow = random.chance(30);
    for _ in 0..edges {
        let relation = random.below(3) as usize;
        let (from, to) = ENDS[relation];
        let edge = PlainEdge {
            relation,
            source: if narrow { format!("{}7", if from == 0 { "place" } else { "person" }) } else { key(random, from) },
            target: key(random, to),
            time: (relation == 0 && random.chance(70)).then(|| random.below(50) as i64 - 25),
            number: (relation != 2 && random.chance(80)).then(|| random.below(100) as f32 / 4.0),
            category: (relation == 0 && random.chance(60)).then(|| format!("purpose {}", random.below(6))),
        };
        source.named.insert((from, edge.source.clone()));
        source.named.insert((to, edge.target.clone()));
        source.edges.push(edge);
    }
    source
}

/// Brings a plain source through the load's API.
fn bring(load: &mut super::Load<'_>, dataset: &str, name: &str, fingerprint: &str, plain: &PlainSource) {
    load.begin_source(dataset, name).unwrap();
    for (node_type, key) in &plain.named {
        load.node(NodeTypeId(*node_type), key).unwrap();
    }
    for (place, name) in &plain.names {
        let node = load.find(NodeTypeId(0), place).unwrap().unwrap();
        load.set(NodeTypeId(0), node, AttributeId(0), Value::Text(name.clone())).unwrap();
    }
    for edge in &plain.edges {
        let (from, to) = ENDS[edge.relation];
        let source = load.node(NodeTypeId(from), &edge.source).unwrap();
        let target = load.node(NodeTypeId(to), &edge.target).unwrap();
        let relation = RelationId(edge.relation as u16);
        let number = edge.number.map_or(EdgeValue::Missing, EdgeValue::Number);
        let attributes = match edge.relation {
            0 => {
                let purpose = edge.category.as_ref().map(|name| load.category(relation, AttributeId(2), name).unwrap());
                vec![number, EdgeValue::Missing, purpose.map_or(EdgeValue::Missing, EdgeValue::Category)]
            }
            1 => vec![number],
            _ => vec![],
        };
        load.edge(relation, source, target, edge.time, &attributes).unwrap();
    }
    let tally = load.end_source(record(dataset, name, fingerprint)).unwrap();
    assert_eq!(tally.edges, plain.edges.len() as u64);
    assert_eq!(tally.nodes, plain.named.len() as u64);
    assert_eq!(tally.values, plain.names.len() as u64);
}

/// Compares all that can be asked of a store with the plain sources that it should hold.
fn assert_holds(store: &Store, sources: &[(String, PlainSource)]) {
    assert_eq!(
        store.sources().iter().map(|source| source.name.clone()).collect::<Vec<_>>(),
        sources.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    );
    if store.schema().node_types().is_empty() {
        assert!(sources.is_empty());
        return;
    }
    let named: BTreeSet<(u16, String)> = sources.iter().flat_map(|(_, source)| source.named.clone()).collect();
    let all: Vec<PlainEdge> = sources.iter().flat_map(|(_, source)| source.edges.clone()).collect();
    let purposes = store.read_names(Owner::Categories(RelationId(0), AttributeId(2))).unwrap();
    for node_type in [0u16, 1] {
        for number in 0..40 {
            let key = format!("{}{number}", if node_type == 0 { "place" } else { "person" });
            let found = store.find(NodeTypeId(node_type), &key).unwrap();
            assert_eq!(found.is_some(), named.contains(&(node_type, key.clone())), "{key}");
            let Some(node) = found else { continue };
            for relation in 0..3 {
                for direction in Direction::BOTH {
                    let ends = store.schema().edge(RelationId(relation as u16));
                    if ends.near(direction).0 != node_type {
                        continue;
                    }
                    let mut expected: Vec<SeenEdge> = all
                        .iter()
                        .filter(|edge| edge.relation == relation)
                        .filter_map(|edge| {
                            let (near, far) = match direction {
                                Direction::Outgoing => (&edge.source, &edge.target),
                                Direction::Incoming => (&edge.target, &edge.source),
                            };
                            let other = if *near == key {
                                far
                            } else if ends.symmetric && *far == key {
                                near
                            } else {
                                return None;
                            };
                            Some((edge.time, other.clone(), edge.number, edge.category.clone()))
                        })
                        .collect();
                    let neighbors = store.neighbors(RelationId(relation as u16), direction, node).unwrap();
                    assert!(neighbors.is_sorted_by_key(|neighbor| (neighbor.time, neighbor.node)));
                    let mut found: Vec<_> = neighbors
                        .into_iter()
                        .map(|neighbor| {
                            let number = match neighbor.attributes.first() {
                                Some(EdgeValue::Number(number)) => Some(*number),
                                _ => None,
                            };
                            let category = match neighbor.attributes.get(2) {
                                Some(EdgeValue::Category(code)) => Some(purposes.get(*code).to_owned()),
                                _ => None,
                            };
                            let far = store.key(ends.far(direction), neighbor.node).unwrap().to_owned();
                            (neighbor.time, far, number, category)
                        })
                        .collect();
                    expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
                    found.sort_by(|a, b| a.partial_cmp(b).unwrap());
                    assert_eq!(found, expected, "{key}, relation {relation}, {direction}");
                }
            }
        }
    }
    for relation in 0..3 {
        let expected = all.iter().filter(|edge| edge.relation == relation).count() as u64;
        assert_eq!(store.edge_count(RelationId(relation as u16)).unwrap(), expected);
    }
    assert_eq!(store.check(), []);
}

#[test]
fn a_store_holds_what_a_plain_model_of_it_holds() {
    for seed in 0..6 {
        let mut random = Random(seed);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.relata");
        let mut store = Store::open_or_create(&path).unwrap();
        let mut model: Vec<(String, PlainSource)> = Vec::new();
        for step in 0..12 {
            // Small enough at times that a source becomes several segments.
            let staging_bytes = if random.chance(50) { 2000 } else { 1 << 30 };
            let mut load = store.begin_with(&schema(), LoadOptions { staging_bytes }).unwrap();
            let mut next = model.clone();
            let mut changed = false;
            for name in ["a", "b", "c", "d"] {
                let known = model.iter().any(|(known, _)| known == name);
                match random.below(5) {
                    0 if known => {
                        load.keep("set", name).unwrap();
                        let at = next.iter().position(|(known, _)| known == name).unwrap();
                        let kept = next.remove(at);
                        next.push(kept);
                    }
                    1 if known => {
                        load.remove("set", name).unwrap();
                        next.retain(|(known, _)| known != name);
                        changed = true;
                    }
                    2 | 3 => {
                        let source = random_source(&mut random);
                        bring(&mut load, "set", name, &format!("{step}"), &source);
                        next.retain(|(known, _)| known != name);
                        next.push((name.to_owned(), source));
                        changed = true;
                    }
                    _ => {}
                }
            }
            if random.chance(75) {
                load.commit().unwrap();
                if changed {
                    model = next;
                }
            } else {
                drop(load);
            }
            if random.chance(40) {
                drop(store);
                store = Store::open(&path).unwrap();
            }
            if step % 3 == 2 {
                assert_holds(&store, &model);
                assert_publishes(&mut store, &model);
            }
        }
        drop(store);
        assert_holds(&Store::open(&path).unwrap(), &model);
    }
}

/// Writes a snapshot and compares it with the plain sources.
fn assert_publishes(store: &mut Store, sources: &[(String, PlainSource)]) -> SnapshotId {
    let id = store.snapshot(true).unwrap();
    let snapshot = Snapshot::current(store.path()).unwrap();
    snapshot.verify().unwrap();
    assert_eq!(snapshot.id(), &id);
    assert_eq!(snapshot.sources(), store.sources());
    for node_type in snapshot.schema().node_type_ids() {
        let named = sources.iter().flat_map(|(_, source)| &source.named);
        let expected: BTreeSet<&str> = named.filter(|named| named.0 == node_type.0).map(|named| named.1.as_str()).collect();
        let keys: Vec<&str> = (0..snapshot.node_count(node_type)).map(|node| snapshot.key(node_type, node)).collect();
        assert_eq!(keys, expected.into_iter().collect::<Vec<_>>());
    }
    let mut names = BTreeMap::new();
    sources.iter().for_each(|(_, source)| names.extend(source.names.iter().map(|(place, name)| (place.as_str(), name.as_str()))));
    let places = if snapshot.schema().node_types().is_empty() { 0 } else { snapshot.node_count(NodeTypeId(0)) };
    for place in 0..places {
        let key = snapshot.key(NodeTypeId(0), place);
        assert_eq!(snapshot.text(NodeTypeId(0), AttributeId(0), place), names.get(key).copied(), "{key}");
    }
    for relation in snapshot.schema().relation_ids() {
        let ends = snapshot.schema().edge(relation);
        let plain = sources.iter().flat_map(|(_, source)| &source.edges).filter(|edge| edge.relation == relation.index());
        let mut expected: Vec<PlainEdge> = plain.clone().cloned().collect();
        if ends.symmetric {
            let mirrored =
                |edge: &PlainEdge| PlainEdge { source: edge.target.clone(), target: edge.source.clone(), ..edge.clone() };
            expected.extend(plain.filter(|edge| edge.source != edge.target).map(mirrored));
        }
        let adjacency = snapshot.adjacency(relation, Direction::Outgoing);
        let mut found = Vec::new();
        for source in 0..snapshot.node_count(ends.source) {
            for at in if adjacency.offsets.is_empty() { 0..0 } else { adjacency.range(source) } {
                let number = (!ends.attributes.is_empty())
                    .then(|| match snapshot.edge_column(relation, Direction::Outgoing, AttributeId(0)) {
                        EdgeColumn::Number(numbers) => numbers.get(at).copied(),
                        EdgeColumn::Category(_) => panic!("the attribute is a number"),
                    })
                    .flatten();
                let category = (ends.attributes.len() == 3)
                    .then(|| match snapshot.edge_column(relation, Direction::Outgoing, AttributeId(2)) {
                        EdgeColumn::Category(codes) => codes.get(at).copied(),
                        EdgeColumn::Number(_) => panic!("the attribute is a category"),
                    })
                    .flatten();
                found.push(PlainEdge {
                    relation: relation.index(),
                    source: snapshot.key(ends.source, source).to_owned(),
                    target: snapshot.key(ends.target, adjacency.targets[at]).to_owned(),
                    time: adjacency.times.get(at),
                    number: number.filter(|number| !number.is_nan()),
                    category: category
                        .filter(|&code| code != u32::MAX)
                        .map(|code| snapshot.edge_categories(relation, AttributeId(2))[code as usize].to_owned()),
                });
            }
        }
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        found.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(found, expected, "relation {}", relation.0);
    }
    id
}

#[test]
fn equal_content_is_one_snapshot_whatever_way_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let sources: Vec<(String, PlainSource)> =
        ["a", "b", "c"].into_iter().zip(40..).map(|(name, seed)| (name.to_owned(), random_source(&mut Random(seed)))).collect();
    let mut straight = Store::open_or_create(&folder.path().join("straight.relata")).unwrap();
    let mut load = straight.begin(&schema()).unwrap();
    for (name, source) in &sources {
        bring(&mut load, "set", name, "1", source);
    }
    load.commit().unwrap();
    let id = assert_publishes(&mut straight, &sources);
    assert_eq!(straight.snapshot(true).unwrap(), id, "nothing changed");
    // One load a source, in small segments, after others that were replaced or removed.
    let mut crooked = Store::open_or_create(&folder.path().join("crooked.relata")).unwrap();
    for seed in 0..3 {
        let mut load = crooked.begin(&schema()).unwrap();
        bring(&mut load, "set", "b", "0", &random_source(&mut Random(seed)));
        bring(&mut load, "set", &format!("old{seed}"), "0", &random_source(&mut Random(seed + 9)));
        load.commit().unwrap();
    }
    for (name, source) in &sources {
        let mut load = crooked.begin_with(&schema(), LoadOptions { staging_bytes: 999 }).unwrap();
        bring(&mut load, "set", name, "1", source);
        load.commit().unwrap();
    }
    assert_ne!(crooked.snapshot(true).unwrap(), id);
    let mut load = crooked.begin(&schema()).unwrap();
    for seed in 0..3 {
        load.remove("set", &format!("old{seed}")).unwrap();
    }
    load.commit().unwrap();
    assert_eq!(assert_publishes(&mut crooked, &sources), id);
}

#[test]
fn a_damaged_block_is_never_published() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = small_store(folder.path());
    let id = store.snapshot(true).unwrap();
    let path = segment::path(&store.path, store.commit.segments().next().unwrap().number);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = store.snapshot(true).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(Snapshot::current(store.path()).unwrap().id(), &id);
    let snapshots = fs::read_dir(store.path().join("snapshots")).unwrap().count();
    assert_eq!(snapshots, 2, "the snapshot and CURRENT");
}

/// A file system of 24 MiB, where the system lets a test make one.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(folder.path());
        let mounted = mount.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_clear_error_and_the_content_is_as_before() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no right to mount a small file system");
        return;
    };
    let (mut store, source) = small_store(disk.0.path());
    let fill = disk.0.path().join("fill");
    // Full while loading, full while committing, and full before.
    for free in [300 << 10, 3 << 20, 0] {
        let load = store.begin_with(&schema(), LoadOptions { staging_bytes: 1 << 20 }).unwrap();
        let available = fs4::available_space(disk.0.path()).unwrap();
        fs::write(&fill, vec![0; available.saturating_sub(free) as usize]).unwrap();
        let bring_much = |mut load: super::Load<'_>| {
            load.begin_source("set", "b")?;
            let person = load.node(NodeTypeId(1), "p")?;
            for number in 0..100_000u64 {
                let place = load.node(NodeTypeId(0), &format!("place number {number}"))?;
                let name = format!("{}", Random(number).below(u64::MAX));
                load.set(NodeTypeId(0), place, AttributeId(0), Value::Text(name))?;
                load.edge(RelationId(0), person, place, None, &[EdgeValue::Missing; 3])?;
                if free > 1 << 20 && number == 1000 {
                    break;
                }
            }
            load.end_source(record("set", "b", "1"))?;
            load.commit()
        };
        let error = bring_much(load).unwrap_err();
        assert!(error.to_string().to_lowercase().contains("no space left on"), "{error}");
        assert_holds(&store, &[("a".to_owned(), source.clone())]);
        fs::remove_file(&fill).unwrap();
    }
    let other = random_source(&mut Random(8));
    let mut load = store.begin(&schema()).unwrap();
    bring(&mut load, "set", "b", "1", &other);
    load.commit().unwrap();
    let path = store.path().to_owned();
    drop(store);
    assert_holds(&Store::open(&path).unwrap(), &[("a".to_owned(), source), ("b".to_owned(), other)]);
}

/// A store with one source, and the path that it lies at.
fn small_store(folder: &Path) -> (Store, PlainSource) {
    let mut store = Store::open_or_create(&folder.join("small.relata")).unwrap();
    let mut source = PlainSource::default();
    while source.edges.len() < 20 || source.names.is_empty() {
        source = random_source(&mut Random(source.edges.len() as u64 + 77));
        source.edges.truncate(400);
        source.named.extend((0..30).map(|number| (0, format!("place{number}"))));
        source.names.insert("place3".to_owned(), "Ulm".to_owned());
        for (from, to, edge) in source.edges.iter().map(|edge| (ENDS[edge.relation].0, ENDS[edge.relation].1, edge)) {
            source.named.insert((from, edge.source.clone()));
            source.named.insert((to, edge.target.clone()));
        }
    }
    let mut load = store.begin(&schema()).unwrap();
    bring(&mut load, "set", "a", "1", &source);
    load.commit().unwrap();
    (store, source)
}

fn segment_files(store: &Store) -> Vec<String> {
    let entries = fs::read_dir(segment::folder(&store.path)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_load_that_is_dropped_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, source) = small_store(folder.path());
    let (before, files) = (store.commit.clone(), segment_files(&store));
    let mut load = store.begin(&schema()).unwrap();
    bring(&mut load, "set", "a", "2", &random_source(&mut Random(1)));
    bring(&mut load, "set", "b", "1", &random_source(&mut Random(2)));
    load.begin_source("set", "c").unwrap();
    load.node(NodeTypeId(0), "nowhere").unwrap();
    drop(load);
    assert_eq!(store.commit, before);
    assert_eq!(segment_files(&store), files);
    assert_eq!(store.find(NodeTypeId(0), "nowhere").unwrap(), None);
    assert_holds(&store, &[("a".to_owned(), source)]);
}

#[test]
fn what_an_interrupted_commit_left_is_removed_by_the_next_load() {
    let folder = tempfile::tempdir().unwrap();
    let (store, source) = small_store(folder.path());
    // As after the loss of power between the segments and the commit record.
    let number = store.commit.next_segment;
    fs::write(segment::path(&store.path, number), b"half a segment").unwrap();
    store.engine.put(Tree::Blocks, [([number.to_be_bytes(), [0; 4]].concat(), vec![1, 2, 3])]).unwrap();
    let mut names = store.read_names(Owner::Nodes(NodeTypeId(0))).unwrap();
    for number in 0..900 {
        names.insert(&format!("lost {number}")).unwrap();
    }
    let entry = store.dictionary(Owner::Nodes(NodeTypeId(0))).unwrap().clone();
    super::dictionary::append(&store.engine, &entry, &names).unwrap();
    drop(store);
    let mut store = Store::open(&folder.path().join("small.relata")).unwrap();
    assert_holds(&store, &[("a".to_owned(), source.clone())]);
    let other = random_source(&mut Random(5));
    let mut load = store.begin(&schema()).unwrap();
    bring(&mut load, "set", "b", "1", &other);
    load.commit().unwrap();
    assert_eq!(store.find(NodeTypeId(0), "lost 1").unwrap(), None);
    assert_holds(&store, &[("a".to_owned(), source), ("b".to_owned(), other)]);
}

#[test]
fn a_source_with_a_known_fingerprint_is_current_and_keeping_it_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = small_store(folder.path());
    let (before, files) = (store.commit.clone(), segment_files(&store));
    let mut load = store.begin(&schema()).unwrap();
    assert!(load.is_current("set", "a", "1"));
    assert!(!load.is_current("set", "a", "2"));
    assert!(!load.is_current("other", "a", "1"));
    load.keep("set", "a").unwrap();
    assert!(load.keep("set", "a").is_err(), "twice");
    assert!(load.keep("set", "b").is_err(), "not there");
    load.commit().unwrap();
    assert_eq!(store.commit, before);
    assert_eq!(segment_files(&store), files);
}

#[test]
fn replaced_segments_are_removed_and_their_nodes_disappear() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = small_store(folder.path());
    let old = segment_files(&store);
    let mut load = store.begin(&schema()).unwrap();
    load.begin_source("set", "a").unwrap();
    assert_eq!(load.find(NodeTypeId(0), "place3").unwrap(), None, "the load replaces what had it");
    let node = load.node(NodeTypeId(0), "place3").unwrap();
    load.end_source(record("set", "a", "2")).unwrap();
    load.commit().unwrap();
    assert_eq!(store.find(NodeTypeId(0), "place3").unwrap(), Some(node));
    assert_eq!(store.find(NodeTypeId(0), "place4").unwrap(), None);
    assert!(segment_files(&store).iter().all(|file| !old.contains(file)));
    let sources: Vec<&str> = store.sources().iter().map(|source| source.fingerprint.as_str()).collect();
    assert_eq!(sources, ["2"]);
}

#[test]
fn a_load_sees_texts_and_keys_of_what_it_does_not_replace_and_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(&folder.path().join("s.relata")).unwrap();
    let (place, name) = (NodeTypeId(0), AttributeId(0));
    let text = |text: &str| Value::Text(text.to_owned());
    for (source, values) in [("a", [("x", "a's x"), ("y", "a's y")]), ("b", [("y", "b's y"), ("z", "b's z")])] {
        let mut load = store.begin(&schema()).unwrap();
        load.begin_source("set", source).unwrap();
        for (key, value) in values {
            let node = load.node(place, key).unwrap();
            load.set(place, node, name, text("overwritten")).unwrap();
            load.set(place, node, name, text(value)).unwrap();
        }
        load.end_source(record("set", source, "1")).unwrap();
        load.commit().unwrap();
    }
    let mut load = store.begin_with(&schema(), LoadOptions { staging_bytes: 1 }).unwrap();
    let texts =
        |load: &super::Load<'_>| -> Vec<String> { load.texts(place, name).unwrap().into_iter().map(|(_, text)| text).collect() };
    let keys = |load: &super::Load<'_>| -> Vec<String> { load.keys(place).unwrap().into_iter().map(|(_, key)| key).collect() };
    assert_eq!(texts(&load), ["a's x", "b's y", "b's z"]);
    load.begin_source("set", "b").unwrap();
    assert_eq!(texts(&load), ["a's x", "a's y"]);
    assert_eq!(keys(&load), ["x", "y"]);
    let node = load.node(place, "w").unwrap();
    load.set(place, node, name, text("new")).unwrap();
    assert_eq!(texts(&load), ["a's x", "a's y", "new"]);
    load.end_source(record("set", "b", "2")).unwrap();
    load.keep("set", "a").unwrap();
    assert_eq!(texts(&load), ["a's x", "a's y", "new"]);
    assert_eq!(keys(&load), ["x", "y", "w"]);
    assert!(load.texts(place, AttributeId(1)).is_err(), "a number is no text");
}

#[test]
fn values_that_do_not_fit_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(&folder.path().join("s.relata")).unwrap();
    let mut load = store.begin(&schema()).unwrap();
    let (place, person) = (NodeTypeId(0), NodeTypeId(1));
    assert!(load.node(place, "x").unwrap_err().to_string().contains("begin_source"));
    load.begin_source("set", "a").unwrap();
    let x = load.node(place, "x").unwrap();
    let p = load.node(person, "p").unwrap();
    let visits = RelationId(0);
    let missing = EdgeValue::Missing;
    let said = |result: crate::Result<()>| result.unwrap_err().to_string();
    assert!(load.node(place, "").is_err());
    assert!(load.node(NodeTypeId(9), "x").is_err());
    assert!(said(load.set(place, x, AttributeId(1), Value::Count(1))).contains("place.size: found a count, expected a number"));
    assert!(said(load.set(place, x, AttributeId(1), Value::Number(f64::NAN))).contains("finite"));
    assert!(load.set(place, x + 1, AttributeId(1), Value::Number(1.0)).is_err());
    assert!(load.set(person, p, AttributeId(0), Value::Vector(vec![1.0])).is_err());
    assert!(load.edge(visits, p, x + 1, None, &[missing; 3]).is_err());
    assert!(said(load.edge(visits, p, x, None, &[missing])).contains("expected 3"));
    assert!(load.edge(visits, p, x, None, &[missing, missing, EdgeValue::Category(0)]).is_err());
    assert!(load.edge(visits, p, x, None, &[missing, EdgeValue::Number(1.0), missing]).is_err());
    assert!(load.edge(visits, p, x, None, &[EdgeValue::Number(f32::INFINITY), missing, missing]).is_err());
    assert!(load.edge(RelationId(2), p, p, Some(3), &[]).is_err());
    assert!(load.category(visits, AttributeId(0), "x").is_err());
    assert!(said(load.begin_source("set", "b")).contains("`a` of `set`"));
    assert!(load.end_source(record("set", "b", "1")).is_err());
    assert!(load.commit().unwrap_err().to_string().contains("end_source"));
    assert!(store.sources().is_empty());
}

#[test]
fn a_schema_grows_and_older_edges_lack_the_new_attribute() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(&folder.path().join("s.relata")).unwrap();
    let mut load = store.begin(&schema()).unwrap();
    load.begin_source("set", "a").unwrap();
    let person = NodeTypeId(1);
    let (p, q) = (load.node(person, "p").unwrap(), load.node(person, "q").unwrap());
    load.edge(RelationId(2), p, q, None, &[]).unwrap();
    load.end_source(record("set", "a", "1")).unwrap();
    load.commit().unwrap();
    let text = r#"
        [node.person]
        [[relation]]
        name = "knows"
        source = "person"
        target = "person"
        attributes.since = { kind = "number" }
    "#;
    let wider = Schema::default().extended_by(text, "wider.toml").unwrap();
    let mut load = store.begin(&wider).unwrap();
    let knows = load.schema().relation("knows").unwrap();
    assert_eq!(knows, RelationId(2));
    load.begin_source("set", "b").unwrap();
    load.edge(knows, q, p, None, &[EdgeValue::Number(3.0)]).unwrap();
    load.end_source(record("set", "b", "1")).unwrap();
    load.commit().unwrap();
    let attributes = |node| store.neighbors(knows, Direction::Outgoing, node).unwrap()[0].attributes.clone();
    assert_eq!(attributes(p), [EdgeValue::Missing]);
    assert_eq!(attributes(q), [EdgeValue::Number(3.0)]);
    assert_eq!(store.check(), []);
    let conflict = Schema::default().extended_by("[node.place]\nattributes.size = { kind = \"text\" }", "c.toml").unwrap();
    assert!(matches!(store.begin(&conflict), Err(Error::Schema(_))));
}

#[test]
fn the_commit_tells_the_times_of_a_segments_edges() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(&folder.path().join("s.relata")).unwrap();
    let mut load = store.begin(&schema()).unwrap();
    let told = |store: &Store, source: usize, relation: usize| {
        let known = store.commit.sources[source].segments[0].edges[relation];
        (known.edges, known.times.map(|times| (times.first, times.last, times.missing)).unwrap())
    };
    for (source, times) in [("a", vec![Some(7), Some(-3), Some(5)]), ("b", vec![None, Some(1)]), ("c", vec![None, None])] {
        load.begin_source("set", source).unwrap();
        let (p, x) = (load.node(NodeTypeId(1), "p").unwrap(), load.node(NodeTypeId(0), "x").unwrap());
        for time in times {
            load.edge(RelationId(0), p, x, time, &[EdgeValue::Missing; 3]).unwrap();
        }
        load.edge(RelationId(2), p, p, None, &[]).unwrap();
        load.end_source(record("set", source, "1")).unwrap();
    }
    load.commit().unwrap();
    assert_eq!(told(&store, 0, 0), (3, (-3, 7, false)));
    assert_eq!(told(&store, 1, 0), (2, (1, 1, true)));
    assert_eq!(told(&store, 2, 0), (2, (i64::MAX, i64::MIN, true)));
    assert_eq!(told(&store, 0, 1), (1, (i64::MAX, i64::MIN, true)));
    assert_eq!(store.check(), []);
    let path = store.path.clone();
    let mut wrong = store.commit.clone();
    wrong.sources[0].segments[0].edges[0].times.as_mut().unwrap().first = 0;
    wrong.write(&store.engine, &store.path).unwrap();
    drop(store);
    let findings = Store::open(&path).unwrap().check();
    assert!(findings.len() == 1 && findings[0].record == "the times of person.visits.place", "{findings:?}");
}

#[test]
fn all_kinds_of_values_pass_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(&folder.path().join("s.relata")).unwrap();
    let place = NodeTypeId(0);
    let mut load = store.begin(&schema()).unwrap();
    load.begin_source("set", "a").unwrap();
    for number in 0..2500u32 {
        let node = load.node(place, &format!("place {number}")).unwrap();
        load.set(place, node, AttributeId(1), Value::Number(f64::from(number) / 3.0)).unwrap();
        load.set(place, node, AttributeId(2), Value::Category(format!("kind {}", number % 3))).unwrap();
        let locus = Interval::new("chr1", u64::from(number), u64::from(number) + 10, Strand::Forward).unwrap();
        load.set(place, node, AttributeId(3), Value::Interval(locus)).unwrap();
    }
    load.end_source(record("set", "a", "1")).unwrap();
    load.commit().unwrap();
    assert_eq!(store.check(), []);
    let segment = store.segment(store.commit.segments().next().unwrap()).unwrap();
    let mut rows = 0;
    for attribute in 1..4u16 {
        let run = super::key::Run::Column { node_type: place, attribute: AttributeId(attribute) };
        for block in segment.run(run) {
            for (node, value) in segment.column(block, store.schema()).unwrap() {
                match value {
                    Value::Number(number) => assert_eq!(number, f64::from(node) / 3.0),
                    Value::Category(name) => assert_eq!(name, format!("kind {}", node % 3)),
                    Value::Interval(locus) => assert_eq!((locus.start(), locus.contig()), (u64::from(node), "chr1")),
                    other => panic!("{other:?}"),
                }
                rows += 1;
            }
        }
    }
    assert_eq!(rows, 7500);
}

#[test]
fn every_changed_byte_of_a_segment_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = small_store(folder.path());
    let path = segment::path(&store.path, store.commit.segments().next().unwrap().number);
    let whole = fs::read(&path).unwrap();
    let mut random = Random(3);
    let places = (0..40).chain((0..150).map(|_| random.below(whole.len() as u64) as usize)).chain([whole.len() - 1]);
    for at in places.collect::<BTreeSet<_>>() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        let findings = store.check();
        assert!(!findings.is_empty(), "byte {at}");
        assert!(findings.iter().all(|finding| finding.path == path), "{findings:?}");
        assert!(findings.iter().all(|finding| !finding.record.is_empty() && !finding.found.is_empty()));
        if at >= 16 {
            let record = &findings[0].record;
            let known = ["posting block", "column block", "node list"].iter().any(|kind| record.starts_with(kind));
            assert!(known, "{record}");
        }
    }
    for length in [0, 5, 16, 17, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(!store.check().is_empty(), "{length} bytes");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(store.check().len(), 1);
    fs::write(&path, &whole).unwrap();
    assert_eq!(store.check(), []);
}

#[test]
fn two_blocks_that_changed_places_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = small_store(folder.path());
    let entry = store.commit.segments().next().unwrap().clone();
    let segment = store.segment(&entry).unwrap();
    let path = segment.path().to_owned();
    let whole = fs::read(&path).unwrap();
    let blocks = segment.blocks();
    // Whole frames, checksums and all, in another order.
    let frame = |at: usize| {
        let end = blocks.get(at + 1).map_or(whole.len(), |next| next.offset as usize);
        whole[blocks[at].offset as usize..end].to_vec()
    };
    let mut bytes = whole[..16].to_vec();
    for at in [1, 0].into_iter().chain(2..blocks.len()) {
        bytes.extend(frame(at));
    }
    assert_eq!(bytes.len(), whole.len());
    fs::write(&path, bytes).unwrap();
    assert!(!store.check().is_empty());
}

#[test]
fn a_lost_index_page_or_dictionary_block_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = small_store(folder.path());
    for tree in [Tree::Blocks, Tree::Dictionaries] {
        let key = store.engine.next_key(tree, &[]).unwrap().unwrap();
        let value = store.engine.get(tree, &key).unwrap().unwrap();
        store.engine.remove(tree, std::slice::from_ref(&key)).unwrap();
        assert!(!store.check().is_empty());
        for at in 0..value.len() {
            let mut bytes = value.clone();
            bytes[at] ^= 0x40;
            store.engine.put(tree, [(key.clone(), bytes)]).unwrap();
            assert!(!store.check().is_empty(), "byte {at} of {tree:?}");
        }
        store.engine.put(tree, [(key, value)]).unwrap();
        assert_eq!(store.check(), []);
    }
}

#[test]
fn a_damaged_commit_record_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = small_store(folder.path());
    let path = store.path.clone();
    let mut value = store.engine.get(Tree::Commit, b"commit").unwrap().unwrap();
    let middle = value.len() / 2;
    value[middle] ^= 1;
    store.engine.put(Tree::Commit, [(b"commit".to_vec(), value)]).unwrap();
    drop(store);
    let error = Store::open(&path).err().expect("the record was changed").to_string();
    assert!(error.contains("the commit record is damaged"), "{error}");
}

#[test]
fn a_second_writer_is_told_who_holds_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = small_store(folder.path());
    let path = store.path.clone();
    for open in [Store::open, Store::open_or_create] {
        let error = open(&path).err().expect("the store is in use");
        assert!(matches!(&error, Error::Locked { holder, .. } if holder.contains(&std::process::id().to_string())), "{error}");
    }
    drop(store);
    Store::open(&path).unwrap();
}

#[test]
fn another_version_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = small_store(folder.path());
    let path = store.path.clone();
    drop(store);
    fs::write(path.join("STORE"), "Relata store\nformat version 7\n").unwrap();
    for open in [Store::open, Store::open_or_create] {
        let error = open(&path).err().expect("the version is unknown").to_string();
        assert!(error.contains("format version 7") && error.contains("reads version 3"), "{error}");
        assert!(error.contains("newer relata"), "{error}");
    }
    fs::write(path.join("STORE"), "something else\n").unwrap();
    assert!(matches!(Store::open(&path), Err(Error::Damaged { .. })));
}

#[test]
fn a_store_is_made_only_where_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er.relata");
    assert!(matches!(Store::open(&path), Err(Error::NoStore { .. })));
    drop(Store::open_or_create(&path).unwrap());
    Store::open(&path).unwrap();
    let other = folder.path().join("thesis");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("chapter1.tex"), "").unwrap();
    let error = Store::open_or_create(&other).err().expect("the folder holds something else").to_string();
    assert!(error.contains("chapter1.tex"), "{error}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1, "nothing was written there");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Store::open_or_create(&file), Err(Error::NoStore { .. })));
    assert!(matches!(Store::open(&file), Err(Error::NoStore { .. })));
}

#[test]
fn a_store_whose_making_was_interrupted_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.relata");
    drop(Store::open_or_create(&path).unwrap());
    fs::remove_file(path.join("STORE")).unwrap();
    assert!(matches!(Store::open(&path), Err(Error::NoStore { .. })));
    drop(Store::open_or_create(&path).unwrap());
    Store::open(&path).unwrap();
}
