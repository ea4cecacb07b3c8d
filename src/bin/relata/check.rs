use std::fs;
use std::path::Path;

use relata::Error;
use relata::embedding::EmbeddingTable;
use relata::snapshot::{Snapshot, SnapshotId};
use relata::store::Store;

pub fn run(path: &Path, quiet: bool) -> anyhow::Result<()> {
    let mut findings = Vec::new();
    match Store::open(path) {
        Ok(store) => {
            let checked = store.check_with(quiet);
            println!(
                "store: {} sources, {} edits, {} segments, {} blocks in {} bytes, {} edges, {} names",
                checked.sources, checked.edits, checked.segments, checked.blocks, checked.bytes, checked.edges, checked.names
            );
            findings.extend(checked.findings.iter().map(ToString::to_string));
        }
        // What is damaged so that the store does not open is a finding; the snapshots may be whole still.
        Err(error @ (Error::Damaged { .. } | Error::Engine { .. })) => findings.push(error.to_string()),
        Err(error) => return Err(error.into()),
    }
    check_snapshots(path, &mut findings)?;
    check_embeddings(path, &mut findings);
    for finding in &findings {
        println!("damaged: {finding}");
    }
    match findings.len() {
        0 => {
            println!("all is well");
            Ok(())
        }
        count => {
            let store = path.display();
            anyhow::bail!(
                "{store}: found {count} damaged records; `relata repair --store {store}` rebuilds a store from its newest \
                 whole snapshot, `relata snapshot --store {store}` writes a snapshot anew from a whole store"
            )
        }
    }
}

fn check_snapshots(store: &Path, findings: &mut Vec<String>) -> anyhow::Result<()> {
    let folder = store.join("snapshots");
    let mut ids = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder).map_err(Error::io(&folder, "cannot list the snapshots"))? {
            let name = entry.map_err(Error::io(&folder, "cannot list the snapshots"))?.file_name();
            ids.extend(name.to_str().and_then(SnapshotId::parse));
        }
    }
    ids.sort();
    let current = Snapshot::current_id(store);
    if current.is_none() && folder.join("CURRENT").exists() {
        findings.push(format!("{}: it names no snapshot", folder.join("CURRENT").display()));
    }
    if let Some(current) = current.as_ref().filter(|current| !ids.contains(current)) {
        findings.push(format!("{}: the snapshot {current} that it names is not there", folder.join("CURRENT").display()));
    }
    for id in &ids {
        let path = folder.join(id.as_str());
        let verified = Snapshot::open(&path).and_then(|snapshot| {
            snapshot.verify()?;
            Ok(snapshot)
        });
        match verified {
            Ok(snapshot) if snapshot.id() != id => {
                findings.push(format!("{}: its content is that of snapshot {}", path.display(), snapshot.id()));
            }
            Ok(snapshot) => {
                let note = if current.as_ref() == Some(id) { ", the current one" } else { "" };
                println!("snapshot {id}: {} bytes{note}", snapshot.bytes());
            }
            Err(error) => findings.push(error.to_string()),
        }
    }
    Ok(())
}

fn check_embeddings(store: &Path, findings: &mut Vec<String>) {
    for (_, info) in EmbeddingTable::survey(store) {
        match info {
            Ok(info) => println!("embedding {} of {}: {} × {}", info.model, info.node_type, info.count, info.dimension),
            Err(error) => findings.push(error.to_string()),
        }
    }
}
