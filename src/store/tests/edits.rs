//! Edits beside a plain model of them, and each rule by hand.

use std::collections::{BTreeMap, BTreeSet};

use super::plain::{Content, PlainEdge};
use super::*;
use crate::store::Edit;
use crate::store::edit::MOST_EDITS;

const PLACE: NodeTypeId = NodeTypeId(0);
const PERSON: NodeTypeId = NodeTypeId(1);
const VISITS: RelationId = RelationId(0);
const NEAR: RelationId = RelationId(1);
const KNOWS: RelationId = RelationId(2);
const NAME: AttributeId = AttributeId(0);
const TYPES: [&str; 2] = ["place", "person"];
const TITLES: [&str; 3] = ["person.visits.place", "place.near.place", "person.knows.person"];

/// One thing that a person says.
#[derive(Clone, Debug)]
enum Said {
    Upsert(u16, String),
    Delete(u16, String),
    /// The name of a place.
    Name(String, Option<String>),
    Edge(PlainEdge),
    NoEdge(PlainEdge),
}

fn node(node_type: u16, key: &str) -> (String, String) {
    (TYPES[usize::from(node_type)].to_owned(), key.to_owned())
}

/// What sources of the tests bring, in names.
fn content_of(sources: &[(String, PlainSource)]) -> Content {
    let mut content = Content::default();
    for (_, source) in sources {
        content.nodes.extend(source.named.iter().map(|(node_type, key)| node(*node_type, key)));
        for (place, name) in &source.names {
            let at = ("place".to_owned(), place.clone(), "name".to_owned());
            content.values.insert(at, Value::Text(name.clone()));
        }
        content.edges.extend(source.edges.iter().map(|edge| {
            let mut attributes = BTreeMap::new();
            let number = if edge.relation == 0 { "score" } else { "distance" };
            attributes.extend(edge.number.map(|value| (number.to_owned(), value.to_string())));
            attributes.extend(edge.category.clone().map(|name| ("purpose".to_owned(), name)));
            let (mut source, mut target) = (edge.source.clone(), edge.target.clone());
            if edge.relation == 1 && source > target {
                std::mem::swap(&mut source, &mut target);
            }
            PlainEdge { relation: TITLES[edge.relation].to_owned(), source, target, time: edge.time, attributes }
        }));
    }
    content.edges.sort();
    content
}

fn same_ends(one: &PlainEdge, other: &PlainEdge) -> bool {
    (&one.relation, &one.source, &one.target) == (&other.relation, &other.source, &other.target)
}

fn ends_of(edge: &PlainEdge) -> [(String, String); 2] {
    let relation = TITLES.iter().position(|title| *title == edge.relation).unwrap();
    [node(ENDS[relation].0, &edge.source), node(ENDS[relation].1, &edge.target)]
}

/// Applies what was said, in its order.
fn say(content: &mut Content, said: &Said) {
    match said {
        Said::Upsert(node_type, key) => drop(content.nodes.insert(node(*node_type, key))),
        Said::Delete(node_type, key) => {
            let gone = node(*node_type, key);
            content.nodes.remove(&gone);
            content.values.retain(|at, _| (&at.0, &at.1) != (&gone.0, &gone.1));
            content.edges.retain(|edge| !ends_of(edge).contains(&gone));
        }
        Said::Name(key, name) => {
            let at = ("place".to_owned(), key.clone(), "name".to_owned());
            match name {
                Some(name) => drop(content.values.insert(at, Value::Text(name.clone()))),
                None => drop(content.values.remove(&at)),
            }
        }
        Said::Edge(edge) => {
            content.edges.retain(|known| !same_ends(known, edge));
            content.edges.push(edge.clone());
            content.edges.sort();
        }
        Said::NoEdge(edge) => content.edges.retain(|known| !same_ends(known, edge)),
    }
}

/// Sources, and above them the edits.
fn edited(sources: &[(String, PlainSource)], edits: &[Vec<Said>]) -> Content {
    let mut content = content_of(sources);
    for edit in edits {
        // An edit names what it brings, as a source does; what it deletes again afterwards, it does not bring.
        let mut own = Content::default();
        for said in edit {
            say(&mut content, said);
            say(&mut own, said);
        }
        content.nodes.extend(own.nodes);
        content.nodes.extend(own.values.into_keys().map(|(node_type, key, _)| (node_type, key)));
        content.nodes.extend(own.edges.iter().flat_map(ends_of));
    }
    content
}

fn random_key(random: &mut Random, node_type: u16, range: u64) -> String {
    format!("{}{}", TYPES[usize::from(node_type)], random.below(range))
}

fn random_said(random: &mut Random, range: u64) -> Said {
    let node_type = random.below(2) as u16;
    match random.below(9) {
        0 | 1 => Said::Upsert(node_type, random_key(random, node_type, range)),
        2 => Said::Delete(node_type, random_key(random, node_type, range)),
        3 | 4 => {
            let name = random.chance(60).then(|| format!("edited {}", random.below(1000)));
            Said::Name(random_key(random, 0, range), name)
        }
        other => {
            let relation = random.below(3) as usize;
            let (from, to) = ENDS[relation];
            let (mut source, mut target) = (random_key(random, from, range), random_key(random, to, range));
            if relation == 1 && source > target {
                std::mem::swap(&mut source, &mut target);
            }
            let mut attributes = BTreeMap::new();
            if relation < 2 && random.chance(70) {
                let name = if relation == 0 { "score" } else { "distance" };
                attributes.insert(name.to_owned(), (random.below(90) as f32 / 8.0).to_string());
            }
            if relation == 0 && random.chance(50) {
                attributes.insert("purpose".to_owned(), format!("purpose {}", random.below(9)));
            }
            let time = (relation == 0 && random.chance(50)).then(|| random.below(90) as i64);
            let edge = PlainEdge { relation: TITLES[relation].to_owned(), source, target, time, attributes };
            if other < 7 { Said::Edge(edge) } else { Said::NoEdge(edge) }
        }
    }
}

/// Says it through the API. `before` is what the edit sees; what cannot be said must be refused.
fn try_to_say(edit: &mut Edit<'_>, before: &Content, said: &Said, random: &mut Random) -> bool {
    let sees = |edit: &Edit<'_>, node_type: u16, key: &str| {
        let found = edit.find(NodeTypeId(node_type), key).unwrap();
        assert_eq!(found.is_some(), before.nodes.contains(&node(node_type, key)), "{key}");
        found
    };
    match said {
        Said::Upsert(node_type, key) => drop(edit.upsert_node(NodeTypeId(*node_type), key).unwrap()),
        Said::Delete(node_type, key) => {
            let is_there = sees(edit, *node_type, key).is_some();
            let done = edit.delete_node(NodeTypeId(*node_type), key);
            assert_eq!(done.is_ok(), is_there, "{done:?}");
            assert!(is_there || matches!(done, Err(Error::UnknownKey { .. })));
            return is_there;
        }
        Said::Name(key, name) => {
            let Some(place) = sees(edit, 0, key) else { return false };
            edit.set(PLACE, place, NAME, name.clone().map(Value::Text)).unwrap();
        }
        Said::Edge(edge) | Said::NoEdge(edge) => {
            let relation = TITLES.iter().position(|title| *title == edge.relation).unwrap();
            let (Some(mut source), Some(mut target)) =
                (sees(edit, ENDS[relation].0, &edge.source), sees(edit, ENDS[relation].1, &edge.target))
            else {
                return false;
            };
            // Either orientation of a symmetric edge is the same edge.
            if relation == 1 && random.chance(50) {
                std::mem::swap(&mut source, &mut target);
            }
            let id = RelationId(relation as u16);
            if let Said::NoEdge(_) = said {
                let is_there = before.edges.iter().any(|known| same_ends(known, edge));
                let done = edit.delete_edge(id, source, target);
                assert_eq!(done.is_ok(), is_there, "{done:?}");
                return is_there;
            }
            let number = |name: &str| {
                edge.attributes.get(name).map_or(EdgeValue::Missing, |text| EdgeValue::Number(text.parse().unwrap()))
            };
            let purpose = edge.attributes.get("purpose").map(|name| edit.category(VISITS, AttributeId(2), name).unwrap());
            let attributes = match relation {
                0 => vec![number("score"), EdgeValue::Missing, purpose.map_or(EdgeValue::Missing, EdgeValue::Category)],
                1 => vec![number("distance")],
                _ => vec![],
            };
            edit.upsert_edge(id, source, target, edge.time, &attributes).unwrap();
        }
    }
    true
}

fn random_edit(
    store: &mut Store,
    random: &mut Random,
    sources: &[(String, PlainSource)],
    edits: &mut Vec<Vec<Said>>,
    range: u64,
) {
    let mut edit = store.edit().unwrap();
    let mut content = edited(sources, edits);
    let mut said = Vec::new();
    for _ in 0..random.below(12) {
        let next = random_said(random, range);
        if try_to_say(&mut edit, &content, &next, random) {
            say(&mut content, &next);
            said.push(next);
        }
    }
    if random.chance(80) {
        edit.commit().unwrap();
        if !said.is_empty() {
            edits.push(said);
        }
    }
}

fn assert_same(found: &Content, expected: &Content, what: &str) {
    assert_eq!(found.nodes, expected.nodes, "{what}");
    assert_eq!(found.values, expected.values, "{what}");
    assert_eq!(found.edges, expected.edges, "{what}");
}

fn assert_store(store: &mut Store, expected: &Content, what: &str) {
    assert_same(&Content::of_store(store), expected, what);
    assert_eq!(store.check(), [], "{what}");
    store.snapshot(true).unwrap();
    let snapshot = Snapshot::current(store.path()).unwrap();
    assert_same(&Content::of_snapshot(&snapshot), expected, what);
    assert_eq!(snapshot.sources(), store.sources());
}

/// What a load sees of places' keys and names: the other sources, and the edits.
fn assert_load_sees(store: &mut Store, replaced: Option<&str>, expected: &Content, what: &str) {
    let mut load = store.begin(&schema()).unwrap();
    if let Some(name) = replaced {
        load.begin_source("set", name).unwrap();
    }
    let all: BTreeMap<u32, String> = load.keys(PLACE).unwrap().into_iter().collect();
    let mut keys: Vec<String> = all.values().cloned().collect();
    keys.sort();
    let places: Vec<String> = expected.nodes.iter().filter(|node| node.0 == "place").map(|node| node.1.clone()).collect();
    assert_eq!(keys, places, "{what}");
    for number in 0..40 {
        let key = format!("place{number}");
        assert_eq!(load.find(PLACE, &key).unwrap().is_some(), places.contains(&key), "{what}");
    }
    let names = load.texts(PLACE, NAME).unwrap().into_iter();
    let names: BTreeSet<(String, String)> = names.map(|(node, text)| (all[&node].clone(), text)).collect();
    let known = expected.values.iter().map(|(at, value)| match value {
        Value::Text(text) => (at.1.clone(), text.clone()),
        other => panic!("{other:?}"),
    });
    assert_eq!(names, known.collect(), "{what}");
}

#[test]
fn loads_and_edits_in_any_order_hold_what_a_plain_model_of_them_holds() {
    for seed in 100..106 {
        let mut random = Random(seed);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.relata");
        let mut store = Store::open_or_create(&path).unwrap();
        let (mut sources, mut edits): (Vec<(String, PlainSource)>, Vec<Vec<Said>>) = (Vec::new(), Vec::new());
        for step in 0..16 {
            let what = format!("seed {seed}, step {step}");
            if step == 0 || random.chance(35) {
                let staging_bytes = if random.chance(50) { 2000 } else { 1 << 30 };
                let mut load = store.begin_with(&schema(), LoadOptions { staging_bytes }).unwrap();
                let mut next = sources.clone();
                for name in ["a", "b", "c"] {
                    let known = sources.iter().any(|(known, _)| known == name);
                    match random.below(4) {
                        0 if known => {
                            load.remove("set", name).unwrap();
                            next.retain(|(known, _)| known != name);
                        }
                        1 | 2 => {
                            let source = random_source(&mut random);
                            bring_hidden(&mut load, name, &source);
                            next.retain(|(known, _)| known != name);
                            next.push((name.to_owned(), source));
                        }
                        _ => {}
                    }
                }
                load.commit().unwrap();
                sources = next;
            } else {
                random_edit(&mut store, &mut random, &sources, &mut edits, 40);
            }
            if random.chance(30) {
                drop(store);
                store = Store::open(&path).unwrap();
            }
            if step % 4 == 3 {
                let expected = edited(&sources, &edits);
                assert_store(&mut store, &expected, &what);
                assert_load_sees(&mut store, None, &expected, &what);
                let others: Vec<_> = sources.iter().filter(|(name, _)| name != "a").cloned().collect();
                assert_load_sees(&mut store, Some("a"), &edited(&others, &edits), &what);
            }
        }
        drop(store);
        assert_same(&Content::of_store(&Store::open(&path).unwrap()), &edited(&sources, &edits), "opened again");
    }
}

/// As `bring`, for nodes that an edit may have deleted: the load does not find those.
fn bring_hidden(load: &mut super::super::Load<'_>, name: &str, plain: &PlainSource) {
    let mut without = plain.clone();
    let names = std::mem::take(&mut without.names);
    load.begin_source("set", name).unwrap();
    for (node_type, key) in &plain.named {
        load.node(NodeTypeId(*node_type), key).unwrap();
    }
    for (place, text) in &names {
        let place = load.node(PLACE, place).unwrap();
        load.set(PLACE, place, NAME, Value::Text(text.clone())).unwrap();
    }
    for edge in &plain.edges {
        let (from, to) = ENDS[edge.relation];
        let (source, target) =
            (load.node(NodeTypeId(from), &edge.source).unwrap(), load.node(NodeTypeId(to), &edge.target).unwrap());
        let relation = RelationId(edge.relation as u16);
        let number = edge.number.map_or(EdgeValue::Missing, EdgeValue::Number);
        let purpose = edge.category.as_ref().map(|name| load.category(relation, AttributeId(2), name).unwrap());
        let attributes = match edge.relation {
            0 => vec![number, EdgeValue::Missing, purpose.map_or(EdgeValue::Missing, EdgeValue::Category)],
            1 => vec![number],
            _ => vec![],
        };
        load.edge(relation, source, target, edge.time, &attributes).unwrap();
    }
    load.end_source(record("set", name, "1")).unwrap();
}

#[test]
fn many_edits_are_folded_and_the_content_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open_or_create(&folder.path().join("s.relata")).unwrap();
    let mut random = Random(5);
    let sources = vec![("a".to_owned(), random_source(&mut random))];
    let mut load = store.begin(&schema()).unwrap();
    bring(&mut load, "set", "a", "1", &sources[0].1);
    load.commit().unwrap();
    let mut edits = Vec::new();
    let mut folds = 0;
    while folds < 2 {
        let before = (store.commit.edits.len(), edits.len());
        random_edit(&mut store, &mut random, &sources, &mut edits, 12);
        assert!(store.commit.edits.len() <= MOST_EDITS);
        assert_eq!(store.commit.edits.iter().map(|edit| edit.records.len()).sum::<usize>(), edits.len());
        if store.commit.edits.len() < before.0 {
            folds += 1;
            assert_eq!(store.commit.edits.len(), 1);
            assert_eq!(before.0, MOST_EDITS);
            assert_store(&mut store, &edited(&sources, &edits), &format!("fold {folds}"));
            assert_eq!(segment_files(&store).len(), 2, "the source's and the edits'");
        }
    }
    // What is folded lies above a source that comes later, and above none.
    let other = random_source(&mut random);
    let mut load = store.begin(&schema()).unwrap();
    load.remove("set", "a").unwrap();
    bring_hidden(&mut load, "b", &other);
    load.commit().unwrap();
    assert_store(&mut store, &edited(&[("b".to_owned(), other)], &edits), "another source");
    let mut load = store.begin(&schema()).unwrap();
    load.remove("set", "b").unwrap();
    load.commit().unwrap();
    assert_store(&mut store, &edited(&[], &edits), "edits alone");
}

/// Places x, y, z, persons p, q; p visits x twice and y; x near y; q knows p and itself; x is named.
pub(super) fn town(folder: &Path) -> Store {
    let mut store = Store::open_or_create(&folder.join("town.relata")).unwrap();
    load_town(&mut store, "1");
    store
}

fn load_town(store: &mut Store, fingerprint: &str) {
    let mut load = store.begin(&schema()).unwrap();
    load.begin_source("set", "town").unwrap();
    let [x, y, _z] = ["x", "y", "z"].map(|key| load.node(PLACE, key).unwrap());
    let [p, q] = ["p", "q"].map(|key| load.node(PERSON, key).unwrap());
    load.set(PLACE, x, NAME, Value::Text("Xanten".to_owned())).unwrap();
    let score = |score: f32| [EdgeValue::Number(score), EdgeValue::Missing, EdgeValue::Missing];
    load.edge(VISITS, p, x, Some(1), &score(1.0)).unwrap();
    load.edge(VISITS, p, x, Some(2), &score(2.0)).unwrap();
    load.edge(VISITS, p, y, None, &score(3.0)).unwrap();
    load.edge(NEAR, x, y, None, &[EdgeValue::Number(7.0)]).unwrap();
    load.edge(KNOWS, q, p, None, &[]).unwrap();
    load.edge(KNOWS, q, q, None, &[]).unwrap();
    load.end_source(record("set", "town", fingerprint)).unwrap();
    load.commit().unwrap();
}

/// Far nodes' keys, times and first attributes.
fn seen(store: &Store, relation: RelationId, direction: Direction, key: &str) -> Vec<(String, Option<i64>, Option<f32>)> {
    let known = store.schema().edge(relation);
    let node = store.find(known.near(direction), key).unwrap().unwrap();
    let neighbors = store.neighbors(relation, direction, node).unwrap().into_iter();
    let number = |value: Option<&EdgeValue>| match value {
        Some(EdgeValue::Number(number)) => Some(*number),
        _ => None,
    };
    let far = |node| store.key(known.far(direction), node).unwrap().to_owned();
    neighbors.map(|edge| (far(edge.node), edge.time, number(edge.attributes.first()))).collect()
}

pub(super) fn committed(store: &mut Store, change: impl FnOnce(&mut Edit<'_>)) {
    let mut edit = store.edit().unwrap();
    change(&mut edit);
    edit.commit().unwrap();
}

#[test]
fn a_deleted_node_stays_deleted_when_its_source_is_loaded_again_and_upserting_brings_it_back_empty() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = town(folder.path());
    let x = store.find(PLACE, "x").unwrap().unwrap();
    committed(&mut store, |edit| edit.delete_node(PLACE, "x").unwrap());
    for fingerprint in ["1", "2"] {
        assert_eq!(store.find(PLACE, "x").unwrap(), None);
        assert_eq!(store.value(PLACE, x, NAME).unwrap(), None);
        assert_eq!(seen(&store, VISITS, Direction::Outgoing, "p"), [("y".to_owned(), None, Some(3.0))]);
        assert_eq!(seen(&store, NEAR, Direction::Outgoing, "y"), []);
        let counts = [VISITS, NEAR, KNOWS].map(|relation| store.edge_count(relation).unwrap());
        assert_eq!(counts, [1, 0, 2]);
        assert_eq!(store.check(), []);
        let load = store.begin(&schema()).unwrap();
        assert_eq!(load.find(PLACE, "x").unwrap(), None);
        assert_eq!(load.texts(PLACE, NAME).unwrap(), []);
        assert_eq!(load.keys(PLACE).unwrap().len(), 2);
        drop(load);
        load_town(&mut store, fingerprint);
    }
    committed(&mut store, |edit| {
        assert_eq!(edit.find(PLACE, "x").unwrap(), None);
        assert_eq!(edit.upsert_node(PLACE, "x").unwrap(), x, "its number is kept");
    });
    assert_eq!(store.find(PLACE, "x").unwrap(), Some(x));
    assert_eq!(store.value(PLACE, x, NAME).unwrap(), None);
    assert_eq!(seen(&store, VISITS, Direction::Incoming, "x"), []);
    committed(&mut store, |edit| {
        let (p, q) = (edit.node(PERSON, "p").unwrap(), edit.node(PERSON, "q").unwrap());
        edit.upsert_edge(VISITS, p, x, Some(9), &[EdgeValue::Number(0.5), EdgeValue::Missing, EdgeValue::Missing]).unwrap();
        // Deleted and upserted at once: its edges go, and those that come afterwards stay.
        edit.delete_node(PERSON, "q").unwrap();
        assert!(edit.upsert_edge(KNOWS, p, q, None, &[]).is_err(), "q is deleted");
        assert_eq!(edit.upsert_node(PERSON, "q").unwrap(), q);
        assert!(edit.delete_edge(KNOWS, q, p).is_err(), "that edge went with q");
        edit.upsert_edge(KNOWS, p, q, None, &[]).unwrap();
    });
    assert_eq!(seen(&store, VISITS, Direction::Incoming, "x"), [("p".to_owned(), Some(9), Some(0.5))]);
    assert_eq!(seen(&store, KNOWS, Direction::Outgoing, "q"), []);
    assert_eq!(seen(&store, KNOWS, Direction::Incoming, "q"), [("p".to_owned(), None, None)]);
    assert_eq!(store.check(), []);
}

#[test]
fn an_upserted_edge_replaces_all_between_its_ends_and_a_deleted_one_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = town(folder.path());
    let missing = EdgeValue::Missing;
    committed(&mut store, |edit| {
        let [x, y] = ["x", "y"].map(|key| edit.node(PLACE, key).unwrap());
        let p = edit.node(PERSON, "p").unwrap();
        let walk = edit.category(VISITS, AttributeId(2), "a walk").unwrap();
        edit.upsert_edge(VISITS, p, x, None, &[missing, missing, EdgeValue::Category(walk)]).unwrap();
        // The other orientation of a symmetric edge is the same edge.
        edit.upsert_edge(NEAR, y, x, None, &[EdgeValue::Number(8.0)]).unwrap();
        edit.delete_edge(VISITS, p, y).unwrap();
        assert!(edit.delete_edge(VISITS, p, y).is_err(), "within one edit it is gone already");
    });
    for fingerprint in ["1", "2"] {
        assert_eq!(seen(&store, VISITS, Direction::Outgoing, "p"), [("x".to_owned(), None, None)]);
        assert_eq!(seen(&store, VISITS, Direction::Incoming, "y"), []);
        for direction in Direction::BOTH {
            assert_eq!(seen(&store, NEAR, direction, "x"), [("y".to_owned(), None, Some(8.0))]);
            assert_eq!(seen(&store, NEAR, direction, "y"), [("x".to_owned(), None, Some(8.0))]);
        }
        assert_eq!([VISITS, NEAR, KNOWS].map(|relation| store.edge_count(relation).unwrap()), [1, 1, 2]);
        load_town(&mut store, fingerprint);
    }
    committed(&mut store, |edit| {
        let [x, y] = ["x", "y"].map(|key| edit.node(PLACE, key).unwrap());
        let q = edit.node(PERSON, "q").unwrap();
        edit.delete_edge(NEAR, x, y).unwrap();
        edit.delete_edge(KNOWS, q, q).unwrap();
    });
    assert_eq!(seen(&store, NEAR, Direction::Outgoing, "x"), []);
    assert_eq!(seen(&store, KNOWS, Direction::Outgoing, "q"), [("p".to_owned(), None, None)]);
    let mut edit = store.edit().unwrap();
    let (x, y) = (edit.node(PLACE, "x").unwrap(), edit.node(PLACE, "y").unwrap());
    let error = edit.delete_edge(NEAR, y, x).unwrap_err().to_string();
    assert!(error.contains("place.near.place: found none from `y` to `x`"), "{error}");
}

#[test]
fn a_value_is_set_removed_and_set_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = town(folder.path());
    let x = store.find(PLACE, "x").unwrap().unwrap();
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    for (value, expected) in [(text("Ypern"), text("Ypern")), (None, None), (None, None), (text("Xanten"), text("Xanten"))] {
        committed(&mut store, |edit| {
            edit.set(PLACE, x, NAME, text("overwritten in the same edit")).unwrap();
            edit.set(PLACE, x, NAME, value).unwrap();
        });
        load_town(&mut store, "again");
        assert_eq!(store.value(PLACE, x, NAME).unwrap(), expected);
        let seen: Vec<(u32, String)> = store.begin(&schema()).unwrap().texts(PLACE, NAME).unwrap();
        assert_eq!(seen.into_iter().map(|(_, text)| Value::Text(text)).next(), expected);
    }
    assert_eq!(store.check(), []);
}

#[test]
fn a_dropped_edit_leaves_nothing_behind_and_an_empty_one_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = town(folder.path());
    let (before, files, content) = (store.commit.clone(), segment_files(&store), Content::of_store(&store));
    let mut edit = store.edit().unwrap();
    edit.upsert_node(PLACE, "nowhere").unwrap();
    edit.delete_node(PLACE, "x").unwrap();
    edit.category(VISITS, AttributeId(2), "for nothing").unwrap();
    drop(edit);
    store.edit().unwrap().commit().unwrap();
    assert_eq!(store.commit, before);
    assert_eq!(segment_files(&store), files);
    assert!(Content::of_store(&store) == content);
    assert_eq!(store.find(PLACE, "nowhere").unwrap(), None);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = town(folder.path());
    let mut edit = store.edit().unwrap();
    edit.upsert_node(PLACE, "Paderborn").unwrap();
    let said = |result: crate::Result<()>| result.unwrap_err().to_string();
    let (x, p) = (edit.node(PLACE, "x").unwrap(), edit.node(PERSON, "p").unwrap());
    assert!(said(edit.delete_node(PLACE, "paderbron")).contains("no place has the key `paderbron`; did you mean `Paderborn`?"));
    assert!(said(edit.set(PLACE, x, AttributeId(1), Some(Value::Count(1)))).contains("place.size: found a count"));
    assert!(edit.set(PLACE, x, AttributeId(9), None).is_err());
    assert!(edit.set(PLACE, 77, NAME, None).is_err());
    assert!(edit.set(NodeTypeId(7), 0, NAME, None).is_err());
    assert!(edit.upsert_node(PLACE, "").is_err());
    assert!(edit.upsert_edge(VISITS, p, 77, None, &[EdgeValue::Missing; 3]).is_err());
    assert!(edit.upsert_edge(VISITS, p, x, None, &[EdgeValue::Missing]).is_err());
    assert!(edit.upsert_edge(KNOWS, p, p, Some(1), &[]).is_err());
    assert!(edit.upsert_edge(RelationId(8), p, p, None, &[]).is_err());
    assert!(edit.category(VISITS, AttributeId(0), "x").is_err());
}

#[test]
fn an_edit_tells_who_asks_where_the_content_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = town(folder.path());
    committed(&mut store, |edit| {
        edit.note("  after the\n survey ");
        edit.delete_node(PLACE, "z").unwrap();
        let (x, p) = (edit.node(PLACE, "x").unwrap(), edit.node(PERSON, "p").unwrap());
        edit.delete_edge(VISITS, p, x).unwrap();
        edit.upsert_node(PLACE, "w").unwrap();
        edit.set(PLACE, x, NAME, None).unwrap();
    });
    let record = &store.sources()[1];
    assert_eq!((record.dataset.as_str(), record.format.as_str()), ("edits", "edit"));
    assert!(record.name.starts_with("commit 2, 20") && record.name.ends_with(" UTC: after the survey"), "{}", record.name);
    let drops: Vec<_> = record.tally.drops.iter().map(|drop| (drop.count, drop.examples.join(", "))).collect();
    assert_eq!(drops, [(1, "place z".to_owned()), (1, "p visits x".to_owned()), (1, "place x.name".to_owned())]);
    assert_eq!((record.tally.read, record.tally.nodes), (4, 1));
    store.snapshot(true).unwrap();
    assert_eq!(Snapshot::current(store.path()).unwrap().sources()[1], store.sources()[1]);
}

#[test]
fn an_edit_and_a_source_that_say_the_same_give_the_same_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let mut edited = town(folder.path());
    let before = edited.snapshot(true).unwrap();
    committed(&mut edited, |edit| {
        edit.delete_node(PLACE, "z").unwrap();
        let (p, q) = (edit.node(PERSON, "p").unwrap(), edit.node(PERSON, "q").unwrap());
        let a = edit.upsert_node(PLACE, "a").unwrap();
        edit.set(PLACE, a, NAME, Some(Value::Text("Aachen".to_owned()))).unwrap();
        let purpose = edit.category(VISITS, AttributeId(2), "bath").unwrap();
        edit.upsert_edge(VISITS, q, a, Some(5), &[EdgeValue::Missing, EdgeValue::Missing, EdgeValue::Category(purpose)]).unwrap();
        edit.delete_edge(KNOWS, q, p).unwrap();
        let (x, y) = (edit.node(PLACE, "x").unwrap(), edit.node(PLACE, "y").unwrap());
        edit.upsert_edge(NEAR, y, x, None, &[EdgeValue::Number(6.0)]).unwrap();
    });
    let mut loaded = Store::open_or_create(&folder.path().join("loaded.relata")).unwrap();
    let mut load = loaded.begin(&schema()).unwrap();
    load.begin_source("set", "all").unwrap();
    let [a, y, x] = ["a", "y", "x"].map(|key| load.node(PLACE, key).unwrap());
    let [q, p] = ["q", "p"].map(|key| load.node(PERSON, key).unwrap());
    for (place, name) in [(x, "Xanten"), (a, "Aachen")] {
        load.set(PLACE, place, NAME, Value::Text(name.to_owned())).unwrap();
    }
    let score = |score: f32| [EdgeValue::Number(score), EdgeValue::Missing, EdgeValue::Missing];
    load.edge(VISITS, p, y, None, &score(3.0)).unwrap();
    load.edge(VISITS, p, x, Some(2), &score(2.0)).unwrap();
    load.edge(VISITS, p, x, Some(1), &score(1.0)).unwrap();
    let purpose = load.category(VISITS, AttributeId(2), "bath").unwrap();
    load.edge(VISITS, q, a, Some(5), &[EdgeValue::Missing, EdgeValue::Missing, EdgeValue::Category(purpose)]).unwrap();
    load.edge(NEAR, x, y, None, &[EdgeValue::Number(6.0)]).unwrap();
    load.edge(KNOWS, q, q, None, &[]).unwrap();
    load.end_source(record("set", "all", "1")).unwrap();
    load.commit().unwrap();
    let id = edited.snapshot(true).unwrap();
    assert_ne!(id, before);
    assert_eq!(loaded.snapshot(true).unwrap(), id);
    // Taking it back gives the snapshot of before.
    committed(&mut edited, |edit| {
        edit.delete_node(PLACE, "a").unwrap();
        edit.upsert_node(PLACE, "z").unwrap();
        let (p, q) = (edit.node(PERSON, "p").unwrap(), edit.node(PERSON, "q").unwrap());
        edit.upsert_edge(KNOWS, q, p, None, &[]).unwrap();
        let (x, y) = (edit.node(PLACE, "x").unwrap(), edit.node(PLACE, "y").unwrap());
        edit.upsert_edge(NEAR, x, y, None, &[EdgeValue::Number(7.0)]).unwrap();
    });
    assert_eq!(edited.snapshot(true).unwrap(), before);
}

#[test]
fn every_changed_byte_of_an_edit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = town(folder.path());
    committed(&mut store, |edit| {
        edit.upsert_node(PLACE, "w").unwrap();
        let (x, q) = (edit.node(PLACE, "x").unwrap(), edit.node(PERSON, "q").unwrap());
        edit.set(PLACE, x, NAME, None).unwrap();
        edit.delete_edge(KNOWS, q, q).unwrap();
        edit.delete_node(PERSON, "p").unwrap();
    });
    let path = store.path.clone();
    let segment = segment::path(&path, store.commit.edits[0].segment.number);
    let whole = fs::read(&segment).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(&segment, &bytes).unwrap();
        assert!(!store.check().is_empty(), "byte {at}");
    }
    fs::write(&segment, &whole).unwrap();
    assert_eq!(store.check(), []);
}
