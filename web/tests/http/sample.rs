//! `POST /v1/sample`: the stream beside what the sampler draws, and what ends it early.

use std::future::poll_fn;
use std::pin::Pin;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_ipc::reader::StreamReader;
use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{Request, Response, header};
use futures_core::Stream;
use relata::export::subgraphs::{ArrowStream, Drawing, Grouping};
use relata::sampler::{Costs, Listed, Sampler, SamplerConfig, Walk};
use relata::snapshot::{Hit, Snapshot};
use serde_json::{Value, json};

use crate::small::{Small, bytes, post, send};

async fn ask(app: &Router, body: &Value) -> Response<Body> {
    let request = Request::post("/v1/sample").header(header::CONTENT_TYPE, "application/json");
    send(app, request.body(Body::from(body.to_string())).unwrap()).await
}

/// A stream that must succeed.
async fn stream(app: &Router, body: Value) -> Vec<u8> {
    let response = ask(app, &body).await;
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let (status, bytes) = (response.status(), bytes(response).await);
    assert_eq!(
        (status.as_u16(), kind.as_str()),
        (200, "application/vnd.apache.arrow.stream"),
        "{body}: {}",
        String::from_utf8_lossy(&bytes)
    );
    bytes
}

fn hits(snapshot: &Snapshot, node_type: &str, keys: &[&str]) -> Vec<Hit> {
    let node_type = snapshot.schema().node_type(node_type).unwrap();
    keys.iter().map(|key| Hit { node_type, node: snapshot.resolve(node_type, key).unwrap() }).collect()
}

fn written(drawing: Drawing) -> Vec<u8> {
    let mut stream = ArrowStream::new(drawing).unwrap();
    std::iter::from_fn(|| stream.next_piece().unwrap()).flatten().collect()
}

#[tokio::test]
async fn a_stream_is_what_the_sampler_draws() {
    let small = Small::new();
    let (app, snapshot) = (small.app(), small.snapshot());
    let all: Vec<_> = snapshot.schema().relation_ids().collect();
    let expresses = vec![snapshot.schema().relation("expresses").unwrap()];
    let costs = Costs::of_attributes(snapshot.schema());
    let context = |tokens, hops, width| Walk::Context { tokens, hops, width, width_of: Vec::new(), costs: costs.clone() };
    let cells = ["c1", "c2", "c3"];
    for (body, walk, relations, cutoff, keys, grouping) in [
        (json!({"type": "cell", "all": true}), context(1024, 2, None), &all, None, &cells[..], Grouping::Each),
        (
            json!({"type": "cell", "keys": ["c3", "c1", "c1"], "fanouts": [2, 1], "seed": 5, "batch": 2}),
            Walk::neighbour([2, 1]),
            &all,
            None,
            &["c3", "c1", "c1"],
            Grouping::Batch(2),
        ),
        (
            json!({"type": "gene", "keys": ["TP53"], "tokens": 20, "hops": 3, "width": 1, "seed": 5, "relations": ["expresses"]}),
            context(20, 3, Some(1)),
            &expresses,
            None,
            &["TP53"],
            Grouping::Each,
        ),
        (
            json!({"type": "donor", "count": 9, "cutoff": 0, "seed": 5, "fanouts": [9]}),
            Walk::neighbour([9]),
            &all,
            Some(0),
            &["d 1"],
            Grouping::Each,
        ),
    ] {
        let seed = body["seed"].as_u64().unwrap_or_default();
        let config = SamplerConfig { cutoff, seed, listed: Listed::Once, ..SamplerConfig::new(walk, relations.clone()) };
        let sampler = Sampler::new(&snapshot, config).unwrap();
        let seeds = hits(&snapshot, body["type"].as_str().unwrap(), keys);
        let found = stream(&app, body.clone()).await;
        let drawing = Drawing::new(sampler.clone(), 0, seeds.clone(), grouping, false).unwrap();
        assert!(found == written(drawing), "{body}");
        // And once more without what the server has in common with the file's writer.
        let expected = match grouping {
            Grouping::Each => sampler.sample_each(&seeds, 0).unwrap(),
            Grouping::Batch(size) => seeds.chunks(size as usize).map(|seeds| sampler.sample(seeds, 0).unwrap()).collect(),
        };
        let mut rows = expected.iter();
        for batch in StreamReader::try_new(&found[..], None).unwrap().map(Result::unwrap) {
            for row in 0..batch.num_rows() {
                let subgraph = rows.next().unwrap();
                for column in batch.schema().fields().iter().filter(|field| field.name().ends_with(".node")) {
                    let of = snapshot.schema().node_type(column.name().split('.').next().unwrap()).unwrap();
                    let nodes = batch.column_by_name(column.name()).unwrap().as_list::<i32>().value(row);
                    let met = subgraph.nodes.iter().filter(|node| node.node_type == of).map(|node| node.node);
                    assert_eq!(nodes.as_primitive::<UInt32Type>().values(), &met.collect::<Vec<_>>()[..]);
                }
            }
        }
        assert!(rows.next().is_none());
    }
}

#[tokio::test]
async fn keys_come_where_they_are_asked_for() {
    let small = Small::new();
    let bytes = stream(&small.app(), json!({"type": "gene", "keys": ["MYC"], "hops": 1, "with_keys": true})).await;
    let batch = StreamReader::try_new(&bytes[..], None).unwrap().next().unwrap().unwrap();
    let keys = batch.column_by_name("gene.key").unwrap().as_list::<i32>().value(0);
    assert_eq!(keys.as_string::<i32>().value(0), "ENSG1");
}

#[tokio::test]
async fn what_cannot_be_is_said_as_json_and_named() {
    let small = Small::new();
    let app = small.app();
    for (body, status, parameter) in [
        (json!({"count": 1}), 422, "type"),
        (json!({"type": "cell"}), 422, "count"),
        (json!({"type": "cell", "count": 1, "all": true}), 422, "count"),
        (json!({"type": "cell", "count": 1, "keys": ["c1"]}), 422, "keys"),
        (json!({"type": "cell", "keys": []}), 422, "keys"),
        (json!({"type": "cell", "keys": vec!["c1"; 10_001]}), 422, "keys"),
        (json!({"type": "cell", "keys": ["c1", 5]}), 422, "keys[1]"),
        (json!({"type": "cell", "keys": ["c1", "c9"]}), 404, "keys[1]"),
        (json!({"type": "cel", "all": true}), 404, "type"),
        (json!({"type": "assay", "all": true}), 422, "type"),
        (json!({"type": "cell", "count": 0}), 422, "count"),
        (json!({"type": "cell", "count": 1_000_001}), 422, "count"),
        (json!({"type": "cell", "all": true, "tokens": 0}), 422, "tokens"),
        (json!({"type": "cell", "all": true, "tokens": 65_537}), 422, "tokens"),
        (json!({"type": "cell", "all": true, "hops": 9}), 422, "hops"),
        (json!({"type": "cell", "all": true, "width": 0}), 422, "width"),
        (json!({"type": "cell", "all": true, "batch": 0}), 422, "batch"),
        (json!({"type": "cell", "all": true, "fanouts": []}), 422, "fanouts"),
        (json!({"type": "cell", "all": true, "fanouts": [1, 1, 1, 1, 1]}), 422, "fanouts"),
        (json!({"type": "cell", "all": true, "fanouts": [1, 0]}), 422, "fanouts[1]"),
        (json!({"type": "cell", "all": true, "fanouts": [1, 1001]}), 422, "fanouts[1]"),
        (json!({"type": "cell", "all": true, "fanouts": [1], "hops": 1}), 422, "hops"),
        (json!({"type": "cell", "all": true, "relations": []}), 422, "relations"),
        (json!({"type": "cell", "all": true, "relations": ["expreses"]}), 400, "relations[0]"),
        (json!({"type": "cell", "all": true, "cutoff": "today"}), 422, "cutoff"),
        (json!({"type": "cell", "all": true, "fanout": [1]}), 422, "fanout"),
    ] {
        let (found, answer) = post(&app, "/v1/sample", body.to_string()).await;
        let short = body.to_string().chars().take(100).collect::<String>();
        assert_eq!((found, &answer["error"]["parameter"]), (status, &json!(parameter)), "{short}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty(), "{short}");
    }
}

async fn next(stream: &mut BodyDataStream) -> Option<Result<Bytes, axum::Error>> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

/// A subgraph a key, so that there are many pieces.
fn many() -> Value {
    json!({"type": "cell", "keys": vec!["c1"; 10_000]})
}

#[tokio::test]
async fn a_long_stream_comes_in_pieces_with_every_row_once() {
    let small = Small::new();
    let mut pieces = ask(&small.app(), &many()).await.into_body().into_data_stream();
    let mut found = Vec::new();
    let mut count = 0;
    while let Some(piece) = next(&mut pieces).await {
        found.extend(piece.unwrap());
        count += 1;
    }
    assert!(count > 4, "{count}");
    let mut numbers = Vec::new();
    for batch in StreamReader::try_new(&found[..], None).unwrap().map(Result::unwrap) {
        numbers.extend_from_slice(batch.column_by_name("subgraph").unwrap().as_primitive::<UInt64Type>().values());
    }
    assert_eq!(numbers, (0..10_000).collect::<Vec<_>>());
}

/// A reader that does not go on keeps nobody from an answer, however many there are of them.
#[tokio::test]
async fn slow_readers_hold_up_nobody() {
    let small = Small::new();
    let app = small.app();
    let mut waiting = Vec::new();
    for _ in 0..64 {
        waiting.push(ask(&app, &many()).await);
    }
    let bytes = stream(&app, json!({"type": "cell", "all": true})).await;
    assert!(StreamReader::try_new(&bytes[..], None).unwrap().next().is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn a_snapshot_that_is_cut_short_ends_a_stream_before_its_end() {
    let small = Small::new();
    let app = small.app();
    let mut pieces = ask(&app, &many()).await.into_body().into_data_stream();
    let first = next(&mut pieces).await.unwrap().unwrap();
    let snapshot = small.snapshot();
    let file = std::fs::File::options().write(true).open(snapshot.path()).unwrap();
    file.set_len(snapshot.bytes() / 2).unwrap();
    let (mut found, mut failed) = (first.to_vec(), false);
    while let Some(piece) = next(&mut pieces).await {
        match piece {
            Ok(piece) => found.extend(piece),
            Err(_) => failed = true,
        }
    }
    assert!(failed);
    // What came before is whole, and the last piece, which ends a stream, is not there.
    let rows: usize = StreamReader::try_new(&found[..], None).unwrap().map_while(Result::ok).map(|batch| batch.num_rows()).sum();
    assert!((1..10_000).contains(&rows), "{rows}");
    let (status, answer) = post(&app, "/v1/sample", many().to_string()).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("unavailable")));
}
