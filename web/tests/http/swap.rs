//! A store that changes while it is served.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::small::{Small, embed, eventually, get, got, publish};

#[tokio::test]
async fn a_new_snapshot_is_served_once_it_is_verified() {
    let small = Small::new();
    let app = small.app();
    let before = small.snapshot();
    assert_eq!(get(&app, "/v1/nodes/cell/c4").await.0, 404);
    let id = publish(small.store(), &["c1", "c2", "c3", "c4"]);
    eventually(&app, "/health", |health| health["snapshot"] == id.as_str()).await;
    assert_eq!(got(&app, "/v1/nodes/cell/c4").await["key"], "c4");
    assert_eq!(got(&app, "/v1/search?q=c4").await["hits"][0]["key"], "c4");
    assert_eq!(got(&app, "/v1/stats").await["node_types"]["cell"], 4);
    // The one before is nobody's now, and goes with the next load.
    let folder = before.path().parent().unwrap().to_owned();
    drop(before);
    for _ in 0..2000 {
        if relata::snapshot::Snapshot::is_held(&folder).unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    publish(small.store(), &["c1", "c8"]);
    assert_eq!(snapshots(small.store()), 2);
}

/// How many snapshots lie in a store.
fn snapshots(store: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(store.join("snapshots")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir()).count()
}

/// Cut short, and with one bit flipped in the middle, which only reading all of it shows.
#[tokio::test]
async fn a_snapshot_that_is_damaged_leaves_the_one_before() {
    let small = Small::new();
    let state = small.state();
    let app = relata_web::app(state.clone());
    let before = got(&app, "/health").await;
    let id = publish(small.store(), &["c1", "c2", "c9"]);
    let file = small.store().join("snapshots").join(id.as_str()).join("graph.relata");
    let good = std::fs::read(&file).unwrap();
    let mut flipped = good.clone();
    let place = good.windows(5).rposition(|bytes| bytes == b"ENSG3").unwrap();
    flipped[place] ^= 1;
    for bad in [&good[..good.len() / 2], &flipped] {
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, bad).unwrap();
        state.refresh();
        assert_eq!(got(&app, "/health").await, before);
        assert_eq!(get(&app, "/v1/nodes/cell/c9").await.0, 404);
    }
    assert!(relata_web::AppState::open(small.store()).is_err());
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &good).unwrap();
    assert_eq!(eventually(&app, "/v1/nodes/cell/c9", |_| true).await["key"], "c9");
}

/// Every route of the API that reads the snapshot.
const ROUTES: [&str; 9] = [
    "/health",
    "/v1/schema",
    "/v1/stats",
    "/v1/search?q=tp53",
    "/v1/nodes/gene/ENSG3",
    "/v1/nodes/gene/ENSG3/neighbors",
    "/v1/path?from=gene:ENSG1&to=cell",
    "/v1/embeddings/first/cell/c1",
    "/v1/layouts/first/cell?color=celltype",
];

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_answered_from_a_snapshot_that_is_cut_short_while_it_is_served() {
    for part in [0, 1] {
        let small = Small::new();
        let app = small.app();
        for path in ROUTES {
            got(&app, path).await;
        }
        let snapshot = small.snapshot();
        let file = std::fs::File::options().write(true).open(snapshot.path()).unwrap();
        file.set_len(snapshot.bytes() * part / 2).unwrap();
        for path in ROUTES {
            let (status, answer) = get(&app, path).await;
            let message = answer["error"]["message"].as_str().unwrap_or_default();
            assert_eq!((status, &answer["error"]["code"]), (503, &serde_json::json!("unavailable")), "{path}: {answer}");
            assert!(message.contains("cut short") && message.contains("relata snapshot"), "{message}");
            assert!(!message.contains(small.store().to_str().unwrap()), "{message}");
        }
        // The page is no part of the snapshot, and the server is up.
        let page = axum::http::Request::get("/").body(axum::body::Body::empty()).unwrap();
        assert_eq!(crate::small::send(&app, page).await.status(), 200);
        // The same content once more: the publisher finds the damage and writes it anew.
        assert_eq!(&publish(small.store(), &["c1", "c2", "c3"]), snapshot.id());
        eventually(&app, "/health", |health| health["snapshot"] == snapshot.id().as_str()).await;
        for path in ROUTES {
            got(&app, path).await;
        }
    }
}

/// Requests all the time while the file is cut: an answer is right or it is a 503.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_is_right_or_refused_whenever_the_file_is_cut() {
    for round in 0..20 {
        let small = Small::new();
        let app = small.app();
        let mut expected = HashMap::new();
        for path in ROUTES {
            expected.insert(path, got(&app, path).await);
        }
        let expected = Arc::new(expected);
        let askers: Vec<_> = (0..4)
            .map(|asker| {
                let (app, expected) = (app.clone(), Arc::clone(&expected));
                tokio::spawn(async move {
                    let mut refused = 0;
                    for at in 0..60 {
                        let path = ROUTES[(asker + at) % ROUTES.len()];
                        match get(&app, path).await {
                            (200, answer) => assert_eq!(answer, expected[path], "{path}"),
                            (status, answer) => {
                                assert_eq!(status, 503, "{path}: {answer}");
                                refused += 1;
                            }
                        }
                    }
                    refused
                })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(round)).await;
        let snapshot = small.snapshot();
        std::fs::File::options().write(true).open(snapshot.path()).unwrap().set_len(round * 100).unwrap();
        for asker in askers {
            asker.await.unwrap();
        }
        assert_eq!(get(&app, "/health").await.0, 503);
    }
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
