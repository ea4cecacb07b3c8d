//! What must hold after a fault: the store has one of two contents, whole, and goes on from there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use relata::Error;
use relata::snapshot::{Snapshot, SnapshotId};
use relata::store::Store;

use crate::content::{Content, edge_categories};
use crate::series::Series;

/// Verifies a store after a fault in a step (from 1), and returns after which step it is now: the one before, or that one
/// where the fault came late enough. Where that step was `acknowledged`, it must be that one. Nothing is changed but what
/// opening a store changes.
pub fn holds_one_of_two(series: &Series, store: &Path, step: usize, acknowledged: bool) -> Result<usize, String> {
    let allowed = if acknowledged { step..=step } else { step - 1..=step };
    let snapshot = current(series, store, allowed.clone())?;
    every_snapshot_is_whole(store)?;
    let opened = match Store::open(store) {
        Ok(opened) => opened,
        Err(Error::NoStore { .. }) if *allowed.start() == 0 && snapshot == 0 => return Ok(0),
        Err(error) => return Err(format!("it does not open: {error}")),
    };
    let findings = opened.check();
    if !findings.is_empty() {
        return Err(format!("check finds {findings:?}"));
    }
    let found = Content::of_store(&opened).map_err(|error| format!("it cannot be read: {error}"))?;
    let categories = edge_categories(opened.schema());
    let mut differences = Vec::new();
    // Of two equal contents the later one: there is nothing to do between them.
    for step in allowed.rev() {
        match found.difference(&series.states[step].content.with_some_categories(&categories)) {
            None if step < snapshot => return Err("the snapshot is ahead of the store".to_owned()),
            None => return Ok(step),
            Some(difference) => differences.push(format!("as after step {step} but for {difference}")),
        }
    }
    Err(differences.join("; or "))
}

/// The step that the current snapshot is of; 0 where there is none and may be none.
fn current(series: &Series, store: &Path, allowed: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    let snapshot = match Snapshot::current(store) {
        Ok(snapshot) => snapshot,
        Err(Error::NoStore { .. }) if *allowed.start() == 0 => return Ok(0),
        Err(error) => return Err(format!("the current snapshot does not open: {error}")),
    };
    snapshot.verify().map_err(|error| format!("the current snapshot does not verify: {error}"))?;
    let id = snapshot.id().to_string();
    let mut steps = allowed.rev();
    let step = steps.find(|&step| series.states[step].snapshot.as_ref() == Some(&id));
    let step = step.ok_or_else(|| format!("the current snapshot is {id}, which is of neither step"))?;
    match Content::of_snapshot(&snapshot).difference(&series.states[step].content) {
        None => Ok(step),
        Some(difference) => Err(format!("the current snapshot is not as after step {step}: {difference}")),
    }
}

/// What is named as a snapshot is one, to its last byte: none is ever half-made or half-removed under its name.
pub fn every_snapshot_is_whole(store: &Path) -> Result<(), String> {
    for id in names(&store.join("snapshots")).iter().filter_map(|name| SnapshotId::parse(name)) {
        let opened = Snapshot::open(&store.join("snapshots").join(id.as_str()));
        match opened.and_then(|snapshot| snapshot.verify().map(|()| snapshot)) {
            Ok(snapshot) if *snapshot.id() == id => {}
            Ok(snapshot) => return Err(format!("the snapshot {id} has the content of {}", snapshot.id())),
            Err(error) => return Err(format!("the snapshot {id} is not whole: {error}")),
        }
    }
    Ok(())
}

/// Does a step again, and verifies that the store is as if nothing had ever happened. Of old snapshots there are those that
/// processes hold.
pub fn is_completed_by_doing_it_again(series: &Series, store: &Path, step: usize, held: &[&str]) -> Result<(), String> {
    series.steps[step - 1].act(store).map_err(|error| format!("doing the step again: {error}"))?;
    let found = holds_one_of_two(series, store, step, true)?;
    assert_eq!(found, step);
    if current(series, store, step..=step)? != step {
        return Err("the current snapshot is not of the step that was done again".to_owned());
    }
    strays(series, store, step, held)
}

/// What lies in a store that nothing refers to, when the next load has begun.
fn strays(series: &Series, store: &Path, step: usize, held: &[&str]) -> Result<(), String> {
    let mut opened = Store::open(store).map_err(|error| error.to_string())?;
    let schema = opened.schema().clone();
    drop(opened.begin(&schema).map_err(|error| error.to_string())?);
    drop(opened);
    let segments = names(&store.join("segments"));
    if segments.len() != series.states[step].segments {
        return Err(format!("segments: {segments:?}, expected {}", series.states[step].segments));
    }
    // Each commit writes over what an interrupted one has left in `COMMIT.writing`.
    let known = ["STORE", "COMMIT", "COMMIT.writing", "LOCK", "db", "segments", "snapshots"];
    let is_known = |name: &String| known.contains(&name.as_str());
    if let Some(stray) = names(store).into_iter().find(|name| !is_known(name)) {
        return Err(format!("a stray file {stray}"));
    }
    let current = series.states[step].snapshot.as_deref().expect("a step was taken");
    only_these_snapshots(store, &[held, &[current]].concat())
}

/// The snapshots that there are, and that nothing else is there.
pub fn only_these_snapshots(store: &Path, ids: &[&str]) -> Result<(), String> {
    let expected: BTreeSet<String> = ids.iter().copied().chain(["CURRENT"]).map(str::to_owned).collect();
    let found: BTreeSet<String> = names(&store.join("snapshots")).into_iter().collect();
    if found == expected { Ok(()) } else { Err(format!("in snapshots: {found:?}, expected {expected:?}")) }
}

/// The names in a folder, sorted; none where it is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
