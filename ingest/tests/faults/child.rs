//! This test program as a user of the library, in a process of its own: started by the harness with a command in the
//! environment.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use relata::embedding::EmbeddingTable;
use relata::snapshot::Snapshot;
use relata::store::{Edit, Load, LoadOptions, Store};
use relata_schema::{AttributeKind, EdgeValue, RelationId, Schema, SourceRecord, Value};

use crate::content::{Content, hash_of};
use crate::data::SCHEMA;
use crate::model::{Node, PlainSource, Word};

/// The command and its arguments, separated by tabs.
pub const VARIABLE: &str = "RELATA_FAULT_COMMAND";
/// The store's folder.
pub const STORE: &str = "RELATA_FAULT_STORE";
/// The test that does what is asked.
pub const NAME: &str = "child::does_what_the_harness_asks_in_a_process_of_its_own";
/// The data set of all sources.
pub const DATASET: &str = "faults";
/// What a reader's answers begin with, among what the test harness prints.
pub const ANSWER: &str = "reader: ";

#[test]
fn does_what_the_harness_asks_in_a_process_of_its_own() {
    let Ok(command) = std::env::var(VARIABLE) else { return };
    let store = PathBuf::from(std::env::var_os(STORE).unwrap());
    let words: Vec<String> = command.split('\t').map(str::to_owned).collect();
    match act(&store, &words) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}

/// Does what a command says. Each may be run again: what it had done before is done once.
pub fn act(store: &Path, words: &[String]) -> relata::Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["pieces", file, bytes] => {
            let brought: Vec<(String, PlainSource)> = parsed(file);
            let mut store = Store::open(store)?;
            let options = LoadOptions { staging_bytes: bytes.parse().expect("a number of bytes") };
            let mut load = store.begin_with(&schema(), options)?;
            for (name, source) in &brought {
                bring(&mut load, name, source)?;
            }
            load.commit()?;
            store.snapshot(true).map(|_| ())
        }
        ["edit", file, note] => {
            let mut store = Store::open(store)?;
            edit(&mut store, file, note)?;
            store.snapshot(true).map(|_| ())
        }
        ["edits", folder] => {
            let mut store = Store::open(store)?;
            for name in crate::verify::names(Path::new(folder)) {
                edit(&mut store, &format!("{folder}/{name}/edit.json"), &name)?;
            }
            store.snapshot(true).map(|_| ())
        }
        ["remove", source] => {
            let mut store = Store::open(store)?;
            let schema = store.schema().clone();
            if store.sources().iter().any(|record| record.name == *source) {
                let mut load = store.begin(&schema)?;
                load.remove(DATASET, source)?;
                load.commit()?;
            }
            store.snapshot(true).map(|_| ())
        }
        ["publish"] => Store::open(store)?.snapshot(true).map(|_| ()),
        ["repair"] => Store::repair(store, true).map(|_| ()),
        ["damage", file, length] => damage(&store.join(file), length.parse().expect("a length")),
        ["hold"] => hold(store),
        ["history", arguments @ ..] => crate::histories::threads::run(store, arguments),
        ["read", answer] => std::fs::write(answer, read(store)).map_err(relata::Error::io(Path::new(answer), "cannot write")),
        other => panic!("{other:?}: no such command"),
    }
}

/// Commits the edit in a file, unless it is committed already.
fn edit(store: &mut Store, file: &str, note: &str) -> relata::Result<()> {
    if has_edit(store, note) {
        return Ok(());
    }
    let words: Vec<Word> = parsed(file);
    let mut edit = store.edit()?;
    edit.note(note);
    words.iter().try_for_each(|word| say(&mut edit, word))?;
    edit.commit()
}

fn parsed<T: serde::de::DeserializeOwned>(file: &str) -> T {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

pub fn schema() -> Schema {
    Schema::default().extended_by(SCHEMA, "schema.toml").unwrap()
}

/// Whether an edit with this note is committed.
fn has_edit(store: &Store, note: &str) -> bool {
    let end = format!(": {note}");
    store.sources().iter().any(|record| record.format == "edit" && record.name.ends_with(&end))
}

/// Loads a source.
pub fn bring(load: &mut Load<'_>, name: &str, source: &PlainSource) -> relata::Result<()> {
    load.begin_source(DATASET, name)?;
    for ((node_type, key), attributes) in &source.nodes {
        let id = load.schema().node_type(node_type)?;
        let node = load.node(id, key)?;
        for (attribute, text) in attributes {
            let attribute = load.schema().node_attribute(id, attribute)?;
            let kind = load.schema().node(id).attributes[attribute.index()].kind;
            load.set(id, node, attribute, Value::parse(text, kind).unwrap().expect("a text that is not empty"))?;
        }
    }
    for (relation, near, far, values) in &source.edges {
        let id = load.schema().relation(relation)?;
        let known = load.schema().edge(id).clone();
        let (near, far) = (load.node(known.source, near)?, load.node(known.target, far)?);
        let (time, values) = edge_values(load.schema().clone(), id, values, |at, name| load.category(id, at, name))?;
        load.edge(id, near, far, time, &values)?;
    }
    let (dataset, name, fingerprint) = (DATASET.into(), name.into(), source.fingerprint.clone());
    load.end_source(SourceRecord { dataset, name, fingerprint, ..SourceRecord::default() }).map(|_| ())
}

/// Says a word of an edit.
pub fn say(edit: &mut Edit<'_>, word: &Word) -> relata::Result<()> {
    let ids = |edit: &Edit<'_>, relation: &str, near: &str, far: &str| -> relata::Result<_> {
        let id = edit.schema().relation(relation)?;
        let known = edit.schema().edge(id);
        Ok((id, edit.node(known.source, near)?, edit.node(known.target, far)?))
    };
    let node_type = |edit: &Edit<'_>, node: &Node| edit.schema().node_type(&node.0);
    match word {
        Word::UpsertNode(node) => edit.upsert_node(node_type(edit, node)?, &node.1).map(|_| ()),
        Word::DeleteNode(node) => edit.delete_node(node_type(edit, node)?, &node.1),
        Word::Set(node, attribute, value) => {
            let id = node_type(edit, node)?;
            let attribute = edit.schema().node_attribute(id, attribute)?;
            let kind = edit.schema().node(id).attributes[attribute.index()].kind;
            let value = value.as_ref().map(|text| Value::parse(text, kind).unwrap().expect("a text that is not empty"));
            edit.set(id, edit.node(id, &node.1)?, attribute, value)
        }
        Word::UpsertEdge((relation, near, far, values)) => {
            let (id, near, far) = ids(edit, relation, near, far)?;
            let (time, values) = edge_values(edit.schema().clone(), id, values, |at, name| edit.category(id, at, name))?;
            edit.upsert_edge(id, near, far, time, &values)
        }
        Word::DeleteEdge(relation, near, far) => {
            let (id, near, far) = ids(edit, relation, near, far)?;
            edit.delete_edge(id, near, far)
        }
    }
}

/// Texts of an edge's attributes as the library takes them: the time, and the others with none at the time's place.
fn edge_values(
    schema: Schema,
    relation: RelationId,
    texts: &[String],
    mut category: impl FnMut(relata_schema::AttributeId, &str) -> relata::Result<u32>,
) -> relata::Result<(Option<i64>, Vec<EdgeValue>)> {
    let known = schema.edge(relation);
    let mut time = None;
    let mut values = vec![EdgeValue::Missing; known.attributes.len()];
    for (name, text) in crate::data::columns(&known.name).iter().zip(texts).filter(|(_, text)| !text.is_empty()) {
        let at = schema.edge_attribute(relation, name)?;
        match known.attributes[at.index()].kind {
            AttributeKind::Time => time = Some(text.parse().expect("a time")),
            AttributeKind::Category => values[at.index()] = EdgeValue::Category(category(at, text)?),
            AttributeKind::Boolean => values[at.index()] = EdgeValue::Number(f32::from(u8::from(text == "true"))),
            _ => values[at.index()] = EdgeValue::Number(text.parse().expect("a number")),
        }
    }
    Ok((time, values))
}

/// Cuts a file, durably, so that a disk that loses power has lost nothing of the damage.
fn damage(path: &Path, length: u64) -> relata::Result<()> {
    let cut = std::fs::File::options().write(true).open(path).and_then(|file| {
        file.set_len(length)?;
        file.sync_all()
    });
    cut.map_err(relata::Error::io(path, "cannot cut"))
}

/// Opens the current snapshot, says what is in it, and says so again for every line of the standard input.
fn hold(store: &Path) -> relata::Result<()> {
    let snapshot = Snapshot::current(store)?;
    let say = || {
        let content = Content::of_snapshot(&snapshot);
        let state =
            snapshot.verify().and_then(|()| snapshot.intact()).err().map_or("intact".to_owned(), |error| error.to_string());
        println!("{ANSWER}{} {} {state}", snapshot.id(), content.hash());
        std::io::stdout().flush().unwrap();
    };
    say();
    std::io::stdin().lock().lines().for_each(|_| say());
    Ok(())
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
    [vec![hash_of(&content.join("\n"))], wrong].concat().join("\n")
}

/// The folders in a folder, in the order of their names.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
