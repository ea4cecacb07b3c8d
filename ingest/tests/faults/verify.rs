//! What must hold after a fault: the store has one of two contents, whole, and goes on from there.

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
        match found.difference(&series.states[step].content.without_values(&categories)) {
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

/// Does a step again, and verifies that the store is as if nothing had ever happened.
pub fn is_completed_by_doing_it_again(series: &Series, store: &Path, step: usize) -> Result<(), String> {
    series.steps[step - 1].act(store).map_err(|error| format!("doing the step again: {error}"))?;
    let found = holds_one_of_two(series, store, step, true)?;
    assert_eq!(found, step);
    if current(series, store, step..=step)? != step {
        return Err("the current snapshot is not of the step that was done again".to_owned());
    }
    strays(series, store, step)
}

/// What lies in a store that nothing refers to, when the next load has begun.
fn strays(series: &Series, store: &Path, step: usize) -> Result<(), String> {
    let mut opened = Store::open(store).map_err(|error| error.to_string())?;
    let schema = opened.schema().clone();
    drop(opened.begin(&schema).map_err(|error| error.to_string())?);
    drop(opened);
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.collect()
    };
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
    let snapshots = names(&store.join("snapshots"));
    let is_known = |name: &String| name == "CURRENT" || SnapshotId::parse(name).is_some();
    match snapshots.iter().find(|name| !is_known(name)) {
        Some(stray) => Err(format!("a stray snapshots/{stray}")),
        None if snapshots.len() > 3 => Err(format!("old snapshots are still there: {snapshots:?}")),
        None => Ok(()),
    }
}
