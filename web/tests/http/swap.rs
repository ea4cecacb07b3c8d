//! A store that changes while it is served.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::small::{Small, embed, get, got, publish};

#[tokio::test]
async fn a_new_snapshot_is_served_from_the_next_request_on() {
    let small = Small::new();
    let app = small.app();
    assert_eq!(get(&app, "/v1/nodes/cell/c4").await.0, 404);
    let id = publish(small.store(), &["c1", "c2", "c3", "c4"]);
    assert_eq!(got(&app, "/health").await["snapshot"], id.as_str());
    assert_eq!(got(&app, "/v1/nodes/cell/c4").await["key"], "c4");
    assert_eq!(got(&app, "/v1/search?q=c4").await["hits"][0]["key"], "c4");
    assert_eq!(got(&app, "/v1/stats").await["node_types"]["cell"], 4);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_leaves_the_one_before() {
    let small = Small::new();
    let app = small.app();
    let before = got(&app, "/health").await;
    let id = publish(small.store(), &["c1", "c2", "c9"]);
    let file = small.store().join("snapshots").join(id.as_str()).join("graph.relata");
    let good = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    assert_eq!(got(&app, "/health").await, before);
    assert_eq!(get(&app, "/v1/nodes/cell/c9").await.0, 404);
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &good).unwrap();
    assert_eq!(got(&app, "/v1/nodes/cell/c9").await["key"], "c9");
}

#[tokio::test]
async fn a_new_embedding_is_served_from_the_next_request_on() {
    let small = Small::new();
    let app = small.app();
    for first in [0.5, 0.25, 0.75, 0.125] {
        embed(small.store(), first);
        assert_eq!(got(&app, "/v1/embeddings/first/cell/c1").await["vector"][0], first);
    }
    std::fs::remove_dir_all(small.store().join("models/first")).unwrap();
    assert_eq!(get(&app, "/v1/embeddings/first/cell/c1").await.0, 404);
}

/// Readers all the time, snapshots coming and going: each answer belongs to one of them, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_are_of_one_snapshot_while_loads_go_on() {
    let small = Small::new();
    let app = small.app();
    let sets: [&[&str]; 3] = [&["c1", "c2", "c3"], &["c1", "c2", "c3", "c4", "c5"], &["c1", "c2"]];
    let cells: HashMap<String, usize> =
        sets.iter().map(|cells| (publish(small.store(), cells).to_string(), cells.len())).collect();
    assert_eq!(cells.len(), 3);
    let ended = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (app, ended, cells) = (app.clone(), Arc::clone(&ended), cells.clone());
            tokio::spawn(async move {
                let mut seen = std::collections::HashSet::new();
                while !ended.load(Ordering::Relaxed) {
                    let stats = got(&app, "/v1/stats").await;
                    let id = stats["snapshot"].as_str().unwrap().to_owned();
                    assert_eq!(stats["node_types"]["cell"], cells[&id], "{id}");
                    assert_eq!(got(&app, "/v1/nodes/gene/tp53/neighbors").await["total"], 5);
                    seen.insert(id);
                }
                seen.len()
            })
        })
        .collect();
    let store = small.store().to_owned();
    tokio::task::spawn_blocking(move || {
        for round in 0..30 {
            publish(&store, sets[round % 3]);
        }
    })
    .await
    .unwrap();
    ended.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 1, "no reader saw a change");
    }
}
