use std::path::Path;

use relata::snapshot::Snapshot;
use relata::store::Store;

pub fn run(path: &Path, quiet: bool) -> anyhow::Result<()> {
    let before = Snapshot::current_id(path);
    let id = Store::open(path)?.snapshot(quiet)?;
    let note = if before.as_ref() == Some(&id) { ", as before: the content has not changed" } else { "" };
    println!("snapshot {id}{note}");
    Ok(())
}
