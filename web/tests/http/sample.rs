//! `POST /v1/sample`: the stream beside what the sampler draws, and what ends it early.

use std::future::poll_fn;
use std::pin::Pin;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_ipc::reader::StreamReader;
use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{Request, Response, header};
use futures_core::Stream;
use relata::export::subgraphs::{ArrowStream, Drawing, Grouping};
use relata::sampler::{Choice, Costs, EqualTime, Listed, MissingTime, Retrieval, Sampler, SamplerConfig, Walk};
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

/// All that a question can say of how subgraphs are drawn, beside the configuration that it means.
#[tokio::test]
async fn a_question_reaches_what_the_sampler_does() {
    let small = Small::new();
    let (app, snapshot) = (small.app(), small.snapshot());
    let schema = snapshot.schema();
    let relation = |name: &str| schema.relation(name).unwrap();
    let (expresses, interacts, visited) = (relation("expresses"), relation("interacts"), relation("visited"));
    let all: Vec<_> = schema.relation_ids().collect();
    let plain = |walk: Walk| SamplerConfig { listed: Listed::Once, ..SamplerConfig::new(walk, all.clone()) };
    let context = || Walk::context(1024, 2, Costs::of_attributes(schema));
    let (donor, tissue) = (schema.node_type("donor").unwrap(), schema.node_type("tissue").unwrap());
    let cell = schema.node_type("cell").unwrap();
    let cell_time = schema.node_attribute(cell, "time").unwrap();
    let [out, back] = relata_schema::Direction::BOTH;
    let ways = vec![(expresses, out, vec![1, 0]), (expresses, back, vec![1, 0]), (interacts, out, vec![0, 2])];
    for (question, config) in [
        (json!({"walk": "neighbour"}), plain(Walk::neighbour([10, 10]))),
        (json!({"walk": "context", "hops": 2}), plain(context())),
        (
            json!({"fanouts": [2, 2], "fanout_of": {"expresses": [1, 0], "interacts": [0, 2]}}),
            plain(Walk::Neighbour { fanouts: vec![2, 2], fanout_of: ways }),
        ),
        (json!({"up": [2, 1], "down": [3]}), plain(Walk::Hierarchy { up: vec![2, 1], down: vec![3] })),
        (json!({"walk": "hierarchy", "down": [3, 2, 1]}), plain(Walk::Hierarchy { up: vec![], down: vec![3, 2, 1] })),
        (
            json!({"retrieve": 2, "tokens": 40}),
            SamplerConfig {
                retrieval: Some(Retrieval { walks: 1000, steps: 20, rows: 2 }),
                ..plain(Walk::context(40, 2, Costs::of_attributes(schema)))
            },
        ),
        (
            json!({"retrieve": 1, "retrieve_walks": 9, "retrieve_steps": 3, "fanouts": [1]}),
            SamplerConfig { retrieval: Some(Retrieval { walks: 9, steps: 3, rows: 1 }), ..plain(Walk::neighbour([1])) },
        ),
        (
            json!({"fanouts": [1, 1], "choice": "top:count", "choice_of": {"visited": "latest", "interacts": "weighted:score"}}),
            SamplerConfig {
                choice: Choice::Top("count".to_owned()),
                choice_of: vec![(interacts, Choice::Weighted("score".to_owned())), (visited, Choice::Latest)],
                ..plain(Walk::neighbour([1, 1]))
            },
        ),
        (
            json!({"listed": "drawn", "fanouts": [3, 3]}),
            SamplerConfig { listed: Listed::Drawn, ..plain(Walk::neighbour([3, 3])) },
        ),
        (json!({"listed": "induced", "hops": 1}), {
            let walk = Walk::context(1024, 1, Costs::of_attributes(schema));
            SamplerConfig { listed: Listed::Induced, ..plain(walk) }
        }),
        (
            json!({"cutoff": -5, "equal_time": "drop", "missing_time": "drop", "time_of": {"cell": "time", "tissue": null}}),
            SamplerConfig {
                cutoff: Some(-5),
                equal_time: EqualTime::Drop,
                missing_time: MissingTime::Drop,
                time_of: vec![(cell, Some(cell_time)), (tissue, None)],
                ..plain(context())
            },
        ),
    ] {
        for (node_type, key) in [("donor", "d 1"), ("gene", "MYC"), ("cell", "c2")] {
            let mut body = question.clone();
            body["type"] = json!(node_type);
            body["keys"] = json!([key, key]);
            let found = stream(&app, body.clone()).await;
            let sampler = Sampler::new(&snapshot, config.clone()).unwrap();
            let drawing = Drawing::new(sampler, 0, hits(&snapshot, node_type, &[key, key]), Grouping::Each, false).unwrap();
            assert!(found == written(drawing), "{body}");
        }
    }
    assert_eq!(snapshot.node_count(donor), 1);
}

/// The values of a list column, row by row.
fn lists(bytes: &[u8], column: &str) -> Vec<Vec<u32>> {
    let batches = StreamReader::try_new(bytes, None).unwrap().map(Result::unwrap);
    let row = |batch: &arrow_array::RecordBatch, row| {
        let values = batch.column_by_name(column).unwrap().as_list::<i32>().value(row);
        values.as_primitive::<UInt32Type>().values().to_vec()
    };
    batches.flat_map(|batch| (0..batch.num_rows()).map(|at| row(&batch, at)).collect::<Vec<_>>()).collect()
}

/// The donor saw blood on day 30, and lung on no known day and on day -7.
#[tokio::test]
async fn each_key_has_a_cutoff_of_its_own() {
    let small = Small::new();
    let body = json!({
        "type": "donor", "keys": ["d 1", "d 1", "d 1"], "cutoffs": [30, 29, -8], "missing_time": "drop",
        "fanouts": [9], "relations": ["visited"],
    });
    let bytes = stream(&small.app(), body).await;
    assert_eq!(lists(&bytes, "tissue.node"), [vec![1, 0], vec![1], vec![]]);
    let batch = StreamReader::try_new(&bytes[..], None).unwrap();
    let cutoffs: Vec<i64> = batch
        .map(Result::unwrap)
        .flat_map(|batch| batch.column_by_name("cutoff").unwrap().as_primitive::<Int64Type>().values().to_vec())
        .collect();
    assert_eq!(cutoffs, [30, 29, -8]);
}

#[tokio::test]
async fn seeds_are_those_that_a_condition_finds() {
    let small = Small::new();
    let app = small.app();
    for (more, expected) in [
        (json!({"where": "celltype in ('T cell', 'B cell')"}), vec![vec![0], vec![1]]),
        (json!({"where": "celltype is missing"}), vec![vec![2]]),
        (json!({"where": "degree(expresses) >= 1", "count": 9, "batch": 2}), vec![vec![0, 1]]),
    ] {
        let mut body = more;
        body["type"] = json!("cell");
        body["fanouts"] = json!([1]);
        body["fanout_of"] = json!({"expresses": [0]});
        let bytes = stream(&app, body.clone()).await;
        assert_eq!(lists(&bytes, "cell.node"), expected, "{body}");
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
        (json!({"type": "cell", "all": true, "where": "time is known"}), 422, "all"),
        (json!({"type": "cell", "where": "tme is known"}), 422, "where"),
        (json!({"type": "cell", "where": "celltype = 'T-cell'"}), 422, "where"),
        (json!({"type": "cell", "where": "time > 99"}), 404, "where"),
        (json!({"type": "cell", "all": true, "walk": "random"}), 422, "walk"),
        (json!({"type": "cell", "all": true, "walk": "context", "fanouts": [1]}), 422, "fanouts"),
        (json!({"type": "cell", "all": true, "walk": "neighbour", "down": [1]}), 422, "down"),
        (json!({"type": "cell", "all": true, "tokens": 9, "fanout_of": {"expresses": [1]}}), 422, "fanout_of"),
        (json!({"type": "cell", "all": true, "fanouts": [1], "fanout_of": {"expreses": [1]}}), 400, "fanout_of.expreses"),
        (json!({"type": "cell", "all": true, "fanouts": [1], "fanout_of": {"expresses": [1, 1]}}), 422, "fanout_of"),
        (json!({"type": "cell", "all": true, "fanouts": [1], "fanout_of": {"expresses": [1001]}}), 422, "fanout_of.expresses[0]"),
        (json!({"type": "cell", "all": true, "walk": "hierarchy"}), 422, "up"),
        (json!({"type": "cell", "all": true, "up": [], "down": []}), 422, "up"),
        (json!({"type": "cell", "all": true, "up": [1, 0]}), 422, "up[1]"),
        (json!({"type": "cell", "all": true, "up": vec![1; 9]}), 422, "up"),
        (json!({"type": "cell", "all": true, "up": [60_000], "down": [60_000]}), 422, "up"),
        (json!({"type": "cell", "all": true, "up": [1], "relations": ["has_type"]}), 422, "relations"),
        (json!({"type": "cell", "all": true, "retrieve": 0}), 422, "retrieve"),
        (json!({"type": "cell", "all": true, "retrieve": 1001}), 422, "retrieve"),
        (json!({"type": "cell", "all": true, "retrieve_walks": 10}), 422, "retrieve_walks"),
        (json!({"type": "cell", "all": true, "retrieve": 1, "retrieve_steps": 0}), 422, "retrieve_steps"),
        (
            json!({"type": "cell", "all": true, "retrieve": 1, "retrieve_steps": 1000, "retrieve_walks": 5000}),
            422,
            "retrieve_walks",
        ),
        (json!({"type": "cell", "all": true, "retrieve": 1, "batch": 3, "retrieve_walks": 100_000}), 422, "retrieve_walks"),
        (json!({"type": "cell", "all": true, "choice": "best"}), 422, "choice"),
        (json!({"type": "cell", "all": true, "choice": "top:cuont"}), 422, "choice"),
        (json!({"type": "cell", "all": true, "choice_of": {"expresses": "first"}}), 422, "choice_of.expresses"),
        (json!({"type": "cell", "all": true, "choice_of": {"expresses": "latest"}}), 422, "choice_of"),
        (json!({"type": "cell", "all": true, "choice_of": {"expreses": "uniform"}}), 400, "choice_of.expreses"),
        (json!({"type": "cell", "all": true, "listed": "twice"}), 422, "listed"),
        (json!({"type": "cell", "keys": ["c1"], "cutoffs": [1, 2]}), 422, "cutoffs"),
        (json!({"type": "cell", "keys": ["c1"], "cutoffs": [1], "cutoff": 1}), 422, "cutoffs"),
        (json!({"type": "cell", "keys": ["c1"], "cutoffs": [1], "batch": 1}), 422, "cutoffs"),
        (json!({"type": "cell", "all": true, "cutoffs": [1, 2, 3]}), 422, "cutoffs"),
        (json!({"type": "cell", "all": true, "equal_time": "drop"}), 422, "equal_time"),
        (json!({"type": "cell", "all": true, "missing_time": "drop"}), 422, "missing_time"),
        (json!({"type": "cell", "all": true, "cutoff": 1, "equal_time": "lose"}), 422, "equal_time"),
        (json!({"type": "cell", "all": true, "time_of": {"cell": "time"}}), 422, "time_of"),
        (json!({"type": "cell", "all": true, "cutoff": 1, "time_of": {"cel": "time"}}), 404, "time_of.cel"),
        (json!({"type": "cell", "all": true, "cutoff": 1, "time_of": {"cell": "tme"}}), 404, "time_of.cell"),
        (json!({"type": "cell", "all": true, "cutoff": 1, "time_of": {"cell": "batch"}}), 422, "time_of.cell"),
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
