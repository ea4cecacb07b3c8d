//! A new database and new segments, from the newest whole snapshot.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use relata_schema::{AttributeId, AttributeKind, Direction, RelationId, SourceRecord};

use super::check::Finding;
use super::commit::{ACKNOWLEDGED, Commit};
use super::engine::Engine;
use super::lock::{Lock, utc};
use super::{EdgeBatch, Load, Store, marker, segment};
use crate::disk::sync_folder;
use crate::snapshot::{EdgeColumn, Snapshot, SnapshotId};
use crate::{Error, Result, progress};

/// Where the new database and segments are made.
const BUILDING: &str = "repairing";

/// Edges that are in memory at a time.
const BATCH_EDGES: usize = 1 << 20;

/// What a repair did.
#[derive(Clone, Debug, PartialEq)]
pub enum Repair {
    /// Nothing: the store is whole.
    Whole,
    /// It wrote the marker `STORE` anew: all else is whole.
    Marked,
    /// It rebuilt the store. What was committed after the snapshot is lost, and nobody can tell what that was.
    Rebuilt {
        /// The snapshot that it was rebuilt from.
        from: SnapshotId,
        /// Where that snapshot's content had come from.
        sources: Vec<SourceRecord>,
        /// Where the old database and segments are now.
        damaged: PathBuf,
        /// What was wrong with them.
        findings: Vec<Finding>,
    },
}

impl Store {
    /// Rebuilds the store at `path` from its newest whole snapshot where its database or segments are damaged or missing.
    /// The old ones move to `damaged-<time>/` in it.
    ///
    /// The rebuilt store has one source, which holds the records of all that the snapshot came from; see
    /// [`Load::keep`] and [`Load::expect_replaceable`] for what that means to later loads.
    ///
    /// **Invariant:** the new parts are built and verified beside the old. Then the whole snapshot becomes the current one, and
    /// the parts are put in place in the order old database out, old `COMMIT` and segments out, new segments and `COMMIT` in, new
    /// database in, each of them durable before the next. A process that ends in between leaves the damaged store, or one without
    /// a database, which does not open, and which a repair, run again, rebuilds from the same snapshot. Nothing is deleted but
    /// what an unfinished repair had built.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::Locked`], [`Error::Version`] of a newer store, and [`Error::Damaged`] where no snapshot
    /// is whole.
    pub fn repair(path: &Path, quiet: bool) -> Result<Repair> {
        let has_marker = match marker::is_there(path) {
            // A marker that cannot be read is written anew.
            Err(Error::Damaged { .. }) => false,
            other => other?,
        };
        if !has_marker && !path.join("snapshots").is_dir() {
            let found = if path.is_dir() { "a folder without STORE and snapshots" } else { "no such folder" };
            return Err(Error::NoStore { path: path.to_owned(), found: found.to_owned() });
        }
        let lock = Lock::acquire(path)?;
        let building = path.join(BUILDING);
        remove_folder(&building)?;
        let (findings, lock) = findings_of(path, lock, quiet)?;
        match (findings.is_empty(), has_marker) {
            (true, true) => return Ok(Repair::Whole),
            (true, false) => return marker::write(path).map(|()| Repair::Marked),
            (false, _) => {}
        }
        let snapshot = newest_whole(path)?;
        let sources = records_of(&snapshot);
        rebuild(&building, &snapshot, sources.clone(), quiet)?;
        // Before the old parts go: a folder with neither marker nor database might be taken for one to make a store in.
        marker::write(path)?;
        let damaged = new_folder(path)?;
        // Before the store is whole: then a repair, run again, does nothing.
        keep_damaged_snapshot(path, snapshot.id(), &damaged)?;
        put_in_place(path, &building, &damaged)?;
        let mut store = Self::locked(path, Engine::open(&path.join("db"))?, lock)?;
        // Equal content is the same snapshot, so this puts another in place only where the format has changed.
        store.snapshot(quiet)?;
        Ok(Repair::Rebuilt { from: snapshot.id().clone(), sources, damaged, findings })
    }
}

/// What is wrong with the database and the segments. The lock is given back, so that nobody comes in between.
fn findings_of(path: &Path, lock: Lock, quiet: bool) -> Result<(Vec<Finding>, Lock)> {
    let missing = |record: &str| Finding { path: path.to_owned(), record: record.to_owned(), found: "it is missing".to_owned() };
    let parts = [(path.join("db"), "the database"), (segment::folder(path), "the folder of the segments")];
    let absent: Vec<Finding> = parts.iter().filter(|(part, _)| !part.is_dir()).map(|(_, record)| missing(record)).collect();
    if !absent.is_empty() {
        return Ok((absent, lock));
    }
    let opened = Engine::open(&path.join("db")).and_then(|engine| Ok(Commit::read(&engine, path)?.map(|_| engine)));
    match opened {
        Ok(None) => Ok((vec![missing("the commit record")], lock)),
        Ok(Some(engine)) => {
            let store = Store::locked(path, engine, lock)?;
            let findings = store.check_with(quiet).findings;
            Ok((findings, store.into_lock()))
        }
        Err(error @ (Error::Damaged { .. } | Error::Engine { .. })) => Ok((vec![Finding::new(error)], lock)),
        Err(error @ Error::Io { .. }) if !is_refusal(&error) => Ok((vec![Finding::new(error)], lock)),
        Err(error) => Err(error),
    }
}

/// Whether the system refused what it might allow another time, so that it says nothing about the bytes.
fn is_refusal(error: &Error) -> bool {
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::StorageFull, ErrorKind::OutOfMemory, ErrorKind::ReadOnlyFilesystem];
    matches!(error, Error::Io { source, .. } if kinds.contains(&source.kind()))
}

/// The current snapshot if it is whole, else the newest other one that is.
fn newest_whole(path: &Path) -> Result<Snapshot> {
    let folder = path.join("snapshots");
    let failed = |error| Error::io(&folder, "cannot list the snapshots")(error);
    let current = Snapshot::current_id(path);
    let mut known = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(id) = entry.file_name().to_str().and_then(SnapshotId::parse) else { continue };
        let written = entry.metadata().and_then(|found| found.modified()).unwrap_or(UNIX_EPOCH);
        known.push((current.as_ref() == Some(&id), written, id));
    }
    known.sort();
    let mut found = String::new();
    for (_, _, id) in known.iter().rev() {
        let whole = Snapshot::open(&folder.join(id.as_str())).and_then(|snapshot| snapshot.verify().map(|()| snapshot));
        match whole {
            Ok(snapshot) if snapshot.id() == id => return Ok(snapshot),
            Ok(_) => found = format!("{found}; the content of {id} is another's"),
            Err(error) => found = format!("{found}; {error}"),
        }
    }
    Err(Error::Damaged {
        path: folder,
        record: "every snapshot".to_owned(),
        found: if known.is_empty() { "there is none".to_owned() } else { found.split_off(2) },
        remedy: "Load the store's manifests into a new store with `relata-load run MANIFEST.toml --store NEW`".to_owned(),
    })
}

/// Where a snapshot came from; one without that word comes from itself.
fn records_of(snapshot: &Snapshot) -> Vec<SourceRecord> {
    if !snapshot.sources().is_empty() {
        return snapshot.sources().to_vec();
    }
    let name = format!("snapshot {}", snapshot.id());
    vec![SourceRecord { dataset: "repair".to_owned(), name, format: "snapshot".to_owned(), ..SourceRecord::default() }]
}

/// Makes a store at `building` that holds what the snapshot holds, verified, as one source.
fn rebuild(building: &Path, snapshot: &Snapshot, records: Vec<SourceRecord>, quiet: bool) -> Result<()> {
    let mut store = Store::open_or_create(building)?;
    let schema = snapshot.schema();
    let mut load = store.begin(schema)?;
    let first = &records[0];
    load.begin_source(&first.dataset, &first.name)?;
    let steps = schema.node_types().len() + schema.relations().len();
    let bar = progress::bar("repair", steps as u64, "tables", quiet);
    for node_type in schema.node_type_ids() {
        for node in 0..snapshot.node_count(node_type) {
            // Numbers of a new store count up as keys come, so they are the snapshot's.
            let given = load.node(node_type, snapshot.key(node_type, node))?;
            debug_assert_eq!(given, node);
            for attribute in (0..schema.node(node_type).attributes.len() as u16).map(AttributeId) {
                if let Some(value) = snapshot.value(node_type, attribute, node) {
                    load.set(node_type, node, attribute, value)?;
                }
            }
        }
        bar.inc(1);
    }
    for relation in schema.relation_ids() {
        bring_edges(&mut load, snapshot, relation)?;
        bar.inc(1);
    }
    load.end_source_of(records)?;
    load.commit()?;
    bar.finish_and_clear();
    match store.check_with(quiet).findings.first() {
        None => Ok(()),
        Some(finding) => Err(Error::Damaged {
            path: finding.path.clone(),
            record: finding.record.clone(),
            found: format!("{}, just after it was written", finding.found),
            remedy: "Look at the disk and the memory of this machine, and run the repair again".to_owned(),
        }),
    }
}

fn bring_edges(load: &mut Load<'_>, snapshot: &Snapshot, relation: RelationId) -> Result<()> {
    let known = snapshot.schema().edge(relation);
    let adjacency = snapshot.adjacency(relation, Direction::Outgoing);
    let at = |attribute: usize| AttributeId(attribute as u16);
    let mut codes = Vec::new();
    for (attribute, declared) in known.attributes.iter().enumerate() {
        let mut of = Vec::new();
        if declared.kind == AttributeKind::Category {
            for name in snapshot.edge_categories(relation, at(attribute)) {
                of.push(load.category(relation, at(attribute), name)?);
            }
        }
        codes.push(of);
    }
    let mut places: Vec<(u32, usize)> = Vec::new();
    let nodes = snapshot.node_count(known.source);
    for source in 0..nodes {
        let here = adjacency.range(source).map(|place| (source, place));
        // A symmetric edge stands at both its ends, and is one.
        places.extend(here.filter(|&(source, place)| !known.symmetric || source <= adjacency.targets[place]));
        if places.len() < BATCH_EDGES && source + 1 < nodes {
            continue;
        }
        let mut columns = Vec::new();
        for (attribute, of) in codes.iter().enumerate() {
            columns.push(match snapshot.edge_column(relation, Direction::Outgoing, at(attribute)) {
                EdgeColumn::Number(numbers) if !numbers.is_empty() => {
                    Column::Numbers(places.iter().map(|&(_, place)| numbers[place]).collect())
                }
                EdgeColumn::Category(found) if !found.is_empty() => {
                    let code = |code: u32| of.get(code as usize).copied().unwrap_or(u32::MAX);
                    Column::Codes(places.iter().map(|&(_, place)| code(found[place])).collect())
                }
                EdgeColumn::Number(_) | EdgeColumn::Category(_) => Column::Numbers(Vec::new()),
            });
        }
        let timed = !adjacency.times.is_empty();
        let batch = EdgeBatch {
            sources: &places.iter().map(|place| place.0).collect::<Vec<_>>(),
            targets: &places.iter().map(|place| adjacency.targets[place.1]).collect::<Vec<_>>(),
            times: &places.iter().filter(|_| timed).map(|place| adjacency.times.raw(place.1)).collect::<Vec<_>>(),
            attributes: &columns.iter().map(Column::borrowed).collect::<Vec<_>>(),
        };
        if !places.is_empty() {
            load.edges(relation, &batch)?;
        }
        places.clear();
    }
    Ok(())
}

/// A column of a batch.
enum Column {
    Numbers(Vec<f32>),
    Codes(Vec<u32>),
}

impl Column {
    fn borrowed(&self) -> EdgeColumn<'_> {
        match self {
            Self::Numbers(numbers) => EdgeColumn::Number(numbers),
            Self::Codes(codes) => EdgeColumn::Category(codes),
        }
    }
}

/// Moves the old parts away and the new ones in.
fn put_in_place(path: &Path, building: &Path, damaged: &Path) -> Result<()> {
    let out = ["db", ACKNOWLEDGED, "segments"].map(|part| (path.join(part), damaged.join(part)));
    let back = ["segments", ACKNOWLEDGED, "db"].map(|part| (building.join(part), path.join(part)));
    for (from, to) in out.into_iter().chain(back) {
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound && !from.starts_with(building) => continue,
            moved => moved.map_err(Error::io(&from, "cannot put the repaired store in place"))?,
        }
        sync_folder(damaged)?;
        sync_folder(path)?;
    }
    remove_folder(building)
}

/// Makes the whole snapshot the current one. Where another is, moves that away, since the next to be published removes older
/// ones.
fn keep_damaged_snapshot(path: &Path, whole: &SnapshotId, damaged: &Path) -> Result<()> {
    match Snapshot::current_id(path) {
        Some(current) if current == *whole => return Ok(()),
        Some(current) => move_snapshot(path, &current, damaged)?,
        None => {}
    }
    Snapshot::make_current(path, whole)
}

fn move_snapshot(path: &Path, current: &SnapshotId, damaged: &Path) -> Result<()> {
    let folder = damaged.join("snapshots");
    fs::create_dir(&folder).map_err(Error::io(&folder, "cannot make the folder for the damaged snapshot"))?;
    let from = path.join("snapshots").join(current.as_str());
    match fs::rename(&from, folder.join(current.as_str())) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(&from, "cannot move the damaged snapshot away")(error))
        }
        _ => [&folder, damaged, &path.join("snapshots")].into_iter().try_for_each(sync_folder),
    }
}

/// `damaged-2026-11-23T20-44-36Z`, or that with a number where there is one.
fn new_folder(path: &Path) -> Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let time = utc(seconds).replace(" UTC", "Z").replace(' ', "T").replace(':', "-");
    let mut number = 1;
    loop {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let folder = path.join(format!("damaged-{time}{suffix}"));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            made => {
                made.map_err(Error::io(&folder, "cannot make the folder for the damaged parts"))?;
                sync_folder(path)?;
                return Ok(folder);
            }
        }
    }
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(folder, "cannot remove what an unfinished repair left")(error))
        }
        _ => Ok(()),
    }
}
