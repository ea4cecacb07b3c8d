//! The human blood store over HTTP: a server on a port of the loopback, asked as a program would, beside the snapshot.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

use relata_schema::Direction;
use relata_web::serve::{ServeConfig, bind, serve};
use relata_web::{AppState, app};
use serde_json::{Value, json};
use support::human_blood;

/// Serves the store until `ask` returns.
fn served(ask: impl FnOnce(SocketAddr)) {
    let Some(blood) = human_blood() else { return };
    let state = AppState::open(&blood.store).unwrap();
    let (address, ready) = mpsc::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
            address.send(listener.local_addr().unwrap()).unwrap();
            let told = async move {
                let _ = ended.await;
            };
            serve(listener, app(state), &ServeConfig::default(), told).await.unwrap();
        });
    });
    ask(ready.recv().unwrap());
    end.send(()).unwrap();
    server.join().unwrap();
}

/// Status and JSON of an answer.
fn request(address: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status");
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
}

#[test]
fn what_the_store_holds_is_answered_over_http() {
    served(|address| {
        let get = |path: &str| request(address, "GET", path, None);
        let snapshot = human_blood().unwrap().snapshot();
        let schema = snapshot.schema();

        let (status, stats) = get("/v1/stats");
        assert_eq!((status, &stats["snapshot"]), (200, &json!(snapshot.id().as_str())));
        assert_eq!(stats["node_types"]["cell"], 3_774);
        assert_eq!(stats["relations"]["cell.expresses.gene"], 2_702_861);
        assert_eq!(stats["sources"].as_array().unwrap().len(), snapshot.sources().len());

        let (_, found) = get("/v1/search?q=cd3d&type=gene");
        assert_eq!(found["hits"][0], json!({ "type": "gene", "key": "ENSG00000167286", "label": "CD3D" }));
        let (_, found) = get("/v1/search?q=B%20cell&type=cell_type");
        assert_eq!(found["hits"][0]["key"], "CL:0000236");
        let (_, found) = get("/v1/search?q=blood&type=tissue");
        assert_eq!(found["hits"][0]["key"], "UBERON:0000178");

        // By symbol as well as by key, and as many cells as the snapshot's list.
        let (status, gene) = get("/v1/nodes/gene/CD3D");
        assert_eq!((status, &gene["attributes"]["symbol"]), (200, &json!("CD3D")));
        let expresses = schema.relation("cell.expresses.gene").unwrap();
        let node = snapshot.find(schema.node_type("gene").unwrap(), "ENSG00000167286").unwrap();
        let cells = snapshot.adjacency(expresses, Direction::Incoming).degree(node);
        let degrees = gene["degrees"].as_array().unwrap();
        let degree = degrees.iter().find(|degree| degree["relation"] == "cell.expresses.gene").unwrap();
        assert_eq!((&degree["direction"], &degree["count"]), (&json!("incoming"), &json!(cells)));

        let (status, near) = get("/v1/nodes/gene/CD3D/neighbors?relation=cell.expresses.gene&direction=incoming&limit=7");
        assert_eq!((status, near["total"].as_u64()), (200, Some(cells as u64)));
        let rows = near["neighbors"].as_array().unwrap();
        assert_eq!(rows.len(), 7);
        assert!(rows.iter().all(|row| row["type"] == "cell" && row["attributes"]["count"].as_f64().unwrap() >= 1.0));

        let body = json!({ "seeds": [{ "type": "tissue", "key": "UBERON:0000178" }], "hops": 2, "fanout": 5 });
        let (status, graph) = request(address, "POST", "/v1/subgraph", Some(&body));
        assert_eq!((status, &graph["nodes"][0]["key"]), (200, &json!("UBERON:0000178")));
        let nodes = graph["nodes"].as_array().unwrap().len() as u64;
        assert!(nodes > 5);
        let edges = graph["edges"].as_array().unwrap();
        assert!(edges.iter().all(|edge| edge["source"].as_u64().unwrap() < nodes && edge["target"].as_u64().unwrap() < nodes));
    });
}

#[test]
fn mistakes_are_answered_with_what_would_do() {
    served(|address| {
        let (status, unknown) = request(address, "GET", "/v1/nodes/gene/ENSG00000167287", None);
        assert_eq!((status, &unknown["error"]["code"]), (404, &json!("unknown_key")));
        assert!(!unknown["error"]["suggestions"].as_array().unwrap().is_empty(), "{unknown}");
        let (status, bad) = request(address, "GET", "/v1/nodes/gene/CD3D/neighbors?limit=many", None);
        assert_eq!((status, &bad["error"]["parameter"]), (400, &json!("limit")));
        let body = json!({ "seeds": [{ "type": "gene", "key": "CD3D" }], "hops": 0 });
        let (status, bad) = request(address, "POST", "/v1/subgraph", Some(&body));
        assert_eq!((status, &bad["error"]["parameter"]), (422, &json!("hops")));
        let (status, none) = request(address, "GET", "/v1/embeddings/none/cell/x", None);
        assert_eq!((status, &none["error"]["code"]), (404, &json!("unknown_model")));
    });
}
