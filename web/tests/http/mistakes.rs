//! What a caller can get wrong: each has its status, its code, and the parameter's name.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use crate::small::{Small, bytes, get, post, send};

fn suggestions(answer: &Value) -> Vec<&str> {
    answer["error"]["suggestions"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[track_caller]
fn check(what: &str, (status, answer): (u16, Value), expected: (u16, &str, Option<&str>)) -> Value {
    let error = &answer["error"];
    assert_eq!((status, error["code"].as_str().unwrap()), (expected.0, expected.1), "{what}: {answer}");
    assert_eq!(error["parameter"].as_str(), expected.2, "{what}: {answer}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{what}: {answer}");
    assert!(error["suggestions"].is_array(), "{what}: {answer}");
    answer
}

#[tokio::test]
async fn unknown_names_in_paths_are_404_with_the_nearest() {
    let small = Small::new();
    let app = small.app();
    for (path, code, parameter, nearest) in [
        ("/v1/nodes/gnee/ENSG1", "unknown_type", "type", "gene"),
        ("/v1/nodes/gene/ENSG9", "unknown_key", "key", "ENSG1"),
        ("/v1/nodes/gene/ensg99/neighbors", "unknown_key", "key", "ENSG1"),
        ("/v1/nodes/tissue/UBERON:0000179", "unknown_key", "key", "UBERON:0000178"),
        // No key is near, but a label is.
        ("/v1/nodes/gene/TP35", "unknown_key", "key", "TP53"),
        ("/v1/nodes/tissue/bloood/neighbors", "unknown_key", "key", "blood"),
        // Two genes have this synonym: neither is meant, both are named.
        ("/v1/nodes/gene/twice", "unknown_key", "key", "ENSG1"),
        ("/v1/embeddings/frist/cell/c1", "unknown_model", "model", "first"),
        ("/v1/embeddings/first/gene/ENSG1", "unknown_type", "type", "cell"),
        ("/v1/embeddings/first/cell/c4", "unknown_key", "key", "c1"),
        ("/v1/layouts/third-one/cell", "unknown_model", "model", "first"),
        ("/v1/embeddings/..%2F..%2Fetc/cell/c1", "unknown_model", "model", "first"),
        ("/v1/search?q=x&type=tisue", "unknown_type", "type", "tissue"),
        ("/v1/path?from=gene:ENSG9&to=cell", "unknown_key", "from", "gene:ENSG1"),
        ("/v1/path?from=gene:TP53&to=ENSG9", "unknown_key", "to", "gene:ENSG1"),
        ("/v1/path?from=gnee:TP53&to=cell", "unknown_type", "from", "gene"),
    ] {
        let answer = check(path, get(&app, path).await, (404, code, Some(parameter)));
        assert!(suggestions(&answer).contains(&nearest), "{path}: {answer}");
    }
    // The cell is in the snapshot, and was embedded without it.
    let answer = check("c3", get(&app, "/v1/embeddings/first/cell/c3").await, (404, "unknown_key", Some("key")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("relata embed"), "{answer}");
    check("no layout", get(&app, "/v1/layouts/second/gene").await, (404, "not_found", Some("model")));
}

#[tokio::test]
async fn bad_parameters_of_a_query_are_400_and_named() {
    let small = Small::new();
    let app = small.app();
    let neighbors = "/v1/nodes/gene/TP53/neighbors";
    for (path, code, parameter) in [
        ("/v1/search".to_owned(), "bad_parameter", "q"),
        ("/v1/search?q=%20".to_owned(), "bad_parameter", "q"),
        ("/v1/search?q=a&q=b".to_owned(), "bad_parameter", "q"),
        ("/v1/search?q=a&limit=0".to_owned(), "bad_parameter", "limit"),
        ("/v1/search?q=a&limit=101".to_owned(), "bad_parameter", "limit"),
        ("/v1/search?q=a&limit=ten".to_owned(), "bad_parameter", "limit"),
        ("/v1/search?q=a&typ=gene".to_owned(), "bad_parameter", "typ"),
        (format!("{neighbors}?limit=1001"), "bad_parameter", "limit"),
        (format!("{neighbors}?offset=-1"), "bad_parameter", "offset"),
        (format!("{neighbors}?direction=up"), "bad_parameter", "direction"),
        (format!("{neighbors}?relation=expreses"), "unknown_relation", "relation"),
        (format!("{neighbors}?relation=present_in"), "bad_parameter", "relation"),
        (format!("{neighbors}?relation=visited"), "bad_parameter", "relation"),
        (format!("{neighbors}?relation=expresses&direction=outgoing"), "bad_parameter", "direction"),
        ("/v1/layouts/first/cell?color=celltyp".to_owned(), "unknown_attribute", "color"),
        ("/v1/layouts/first/cell?colour=celltype".to_owned(), "bad_parameter", "colour"),
        ("/v1/nodes/gene/%FF".to_owned(), "bad_parameter", "key"),
        ("/v1/path?to=cell".to_owned(), "bad_parameter", "from"),
        ("/v1/path?from=TP53".to_owned(), "bad_parameter", "to"),
        ("/v1/path?from=twice&to=cell".to_owned(), "bad_parameter", "from"),
        ("/v1/path?from=TP53&to=cell&hops=0".to_owned(), "bad_parameter", "hops"),
        ("/v1/path?from=TP53&to=cell&paths=101".to_owned(), "bad_parameter", "paths"),
        ("/v1/path?from=TP53&to=cell&directed=perhaps".to_owned(), "bad_parameter", "directed"),
        ("/v1/path?from=TP53&to=cell&cost=inverse".to_owned(), "bad_parameter", "cost"),
        ("/v1/path?from=TP53&to=cell&weight=scoer".to_owned(), "bad_parameter", "weight"),
        ("/v1/path?from=TP53&to=cell&relations=expreses".to_owned(), "unknown_relation", "relations"),
        ("/v1/path?from=TP53&to=cell&relations=present_in".to_owned(), "bad_parameter", "relations"),
    ] {
        check(&path, get(&app, &path).await, (400, code, Some(parameter)));
    }
    let answer = get(&app, "/v1/path?from=twice&to=cell").await.1;
    assert_eq!(suggestions(&answer), ["gene:ENSG1", "gene:ENSG2"]);
    let answer = get(&app, &format!("{neighbors}?relation=expreses")).await.1;
    assert_eq!(suggestions(&answer)[0], "expresses");
    let answer = get(&app, &format!("{neighbors}?relation=present_in")).await.1;
    assert_eq!(suggestions(&answer), ["gene.present_in.tissue", "gene.present_in.cell_type"]);
    let answer = get(&app, "/v1/layouts/first/cell?color=celltyp").await.1;
    assert_eq!(suggestions(&answer), ["celltype"]);
    let answer = get(&app, &format!("{neighbors}?relation=expresses&direction=outgoing")).await.1;
    assert_eq!(suggestions(&answer), ["incoming"]);
}

#[tokio::test]
async fn a_colour_that_is_no_colour_says_what_would_be() {
    let small = Small::new();
    // Model `first` of donors would do as well; genes have text and interval attributes.
    let mut genes = relata::embedding::EmbeddingTable::read(small.store(), "second", "gene").unwrap();
    genes.info.has_layout = true;
    genes.layout = vec![0.0; 4];
    genes.write(small.store()).unwrap();
    let app = small.app();
    for attribute in ["symbol", "locus"] {
        let path = format!("/v1/layouts/second/gene?color={attribute}");
        check(&path, get(&app, &path).await, (400, "bad_parameter", Some("color")));
    }
    assert_eq!(get(&app, "/v1/layouts/second/gene?color=biotype").await.1["color"]["codes"], json!([1, -1]));
}

#[tokio::test]
async fn bad_fields_of_a_body_are_422_and_named() {
    let small = Small::new();
    let app = small.app();
    let path = "/v1/embeddings/first/cell/nearest";
    for (body, parameter) in [
        ("{}", "key"),
        (r#"{"key": "c1", "vector": [1, 2]}"#, "vector"),
        (r#"{"key": "c1", "count": 0}"#, "count"),
        (r#"{"key": "c1", "count": 1001}"#, "count"),
        (r#"{"key": "c1", "count": -1}"#, "count"),
        (r#"{"key": 5}"#, "key"),
        (r#"{"vector": [1]}"#, "vector"),
        (r#"{"vector": [1, "x"]}"#, "vector[1]"),
        (r#"{"vector": [1, 1e39]}"#, "vector[1]"),
        (r#"{"kye": "c1"}"#, "kye"),
        ("[]", "body"),
    ] {
        check(body, post(&app, path, body).await, (422, "bad_parameter", Some(parameter)));
    }
    check("key", post(&app, path, r#"{"key": "c9"}"#).await, (404, "unknown_key", Some("key")));
    for body in ["", "{", "nonsense", r#"{"key": "c1"} and more"#] {
        check(body, post(&app, path, body).await, (400, "bad_parameter", Some("body")));
    }
}

#[tokio::test]
async fn bad_fields_of_a_question_for_a_subgraph_are_named() {
    let small = Small::new();
    let app = small.app();
    let good = r#"{"type": "gene", "key": "ENSG1"}"#;
    for (body, status, code, parameter) in [
        ("{}".to_owned(), 422, "bad_parameter", "seeds"),
        (r#"{"seeds": []}"#.to_owned(), 422, "bad_parameter", "seeds"),
        (format!(r#"{{"seeds": [{}]}}"#, [good; 101].join(",")), 422, "bad_parameter", "seeds"),
        (format!(r#"{{"seeds": [{good}, {{"type": "gene"}}]}}"#), 422, "bad_parameter", "seeds[1].key"),
        (format!(r#"{{"seeds": [{good}, {{"type": "gene", "key": 7}}]}}"#), 422, "bad_parameter", "seeds[1].key"),
        (format!(r#"{{"seeds": [{good}, {{"type": "gnee", "key": "a"}}]}}"#), 404, "unknown_type", "seeds[1].type"),
        (format!(r#"{{"seeds": [{good}, {{"type": "gene", "key": "a"}}]}}"#), 404, "unknown_key", "seeds[1].key"),
        (format!(r#"{{"seeds": [{good}], "hops": 0}}"#), 422, "bad_parameter", "hops"),
        (format!(r#"{{"seeds": [{good}], "hops": 5}}"#), 422, "bad_parameter", "hops"),
        (format!(r#"{{"seeds": [{good}], "fanout": 101}}"#), 422, "bad_parameter", "fanout"),
        (format!(r#"{{"seeds": [{good}], "fanout": 0}}"#), 422, "bad_parameter", "fanout"),
        (format!(r#"{{"seeds": [{good}], "cutoff": 1.5}}"#), 422, "bad_parameter", "cutoff"),
        (format!(r#"{{"seeds": [{good}], "hop": 1}}"#), 422, "bad_parameter", "hop"),
        (format!(r#"{{"seeds": [{good}], "relations": []}}"#), 422, "bad_parameter", "relations"),
        (format!(r#"{{"seeds": [{good}], "relations": ["expresses", "expreses"]}}"#), 400, "unknown_relation", "relations[1]"),
        (format!(r#"{{"seeds": [{good}], "relations": ["is_a"]}}"#), 422, "bad_parameter", "relations[0]"),
        (format!(r#"{{"seeds": [{good}], "choice": "best"}}"#), 422, "bad_parameter", "choice"),
        (format!(r#"{{"seeds": [{good}], "choice": "top:cuont"}}"#), 422, "bad_parameter", "choice"),
        (format!(r#"{{"seeds": [{good}], "choice_of": {{"is_a": "latest"}}}}"#), 422, "bad_parameter", "choice_of.is_a"),
        (format!(r#"{{"seeds": [{good}], "listed": "twice"}}"#), 422, "bad_parameter", "listed"),
        (format!(r#"{{"seeds": [{good}], "missing_time": "drop"}}"#), 422, "bad_parameter", "missing_time"),
        (format!(r#"{{"seeds": [{good}], "cutoff": 1, "time_of": {{"gnee": null}}}}"#), 404, "unknown_type", "time_of.gnee"),
        (
            format!(r#"{{"seeds": [{good}], "cutoff": 1, "time_of": {{"cell": "tme"}}}}"#),
            404,
            "unknown_attribute",
            "time_of.cell",
        ),
    ] {
        check(&body, post(&app, "/v1/subgraph", body.clone()).await, (status, code, Some(parameter)));
    }
}

/// 1,200 genes that all interact: a hop brings 100 edges, a second 10,000 more, and with them nearly all genes, so that a
/// third could bring 100 of each.
#[tokio::test]
async fn a_subgraph_that_would_be_too_large_is_refused_before_it_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let schema = relata_schema::Schema::biology();
    let mut writer = relata::snapshot::SnapshotWriter::create(folder.path(), &schema).unwrap();
    let keys: Vec<String> = (0..1200).map(|at| format!("g{at:04}")).collect();
    writer.nodes(schema.node_type("gene").unwrap(), &keys).unwrap();
    let (sources, targets) = (0..1200_u32).flat_map(|one| (one + 1..1200).map(move |other| (one, other))).unzip();
    let edges = relata::snapshot::EdgeData { sources, targets, ..Default::default() };
    writer.relation(schema.relation("interacts").unwrap(), &edges).unwrap();
    writer.publish(&[]).unwrap();
    let app = relata_web::app(relata_web::AppState::open(folder.path()).unwrap());
    let ask = |hops: u32| format!(r#"{{"seeds": [{{"type": "gene", "key": "g0000"}}], "fanout": 100, "hops": {hops}}}"#);
    let (status, answer) = post(&app, "/v1/subgraph", ask(2)).await;
    assert_eq!(status, 200);
    let edges = answer["edges"].as_array().unwrap().len();
    assert!((9_000..=100 + 100 * 100).contains(&edges), "{edges}");
    let answer = check("hops", post(&app, "/v1/subgraph", ask(3)).await, (422, "bad_parameter", Some("hops")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("hop 3"), "{answer}");
    // Eleven genes have 55 edges between them, of 1,199 that each has; nearly all genes have too many to look at.
    let induced = |hops: u32, fanout: u32| {
        format!(r#"{{"seeds": [{{"type": "gene", "key": "g0000"}}], "listed": "induced", "hops": {hops}, "fanout": {fanout}}}"#)
    };
    let (status, answer) = post(&app, "/v1/subgraph", induced(1, 10)).await;
    assert_eq!((status, answer["edges"].as_array().unwrap().len()), (200, 55));
    check("listed", post(&app, "/v1/subgraph", induced(2, 99)).await, (422, "bad_parameter", Some("listed")));
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_json_are_refused() {
    let small = Small::new();
    let app = small.app();
    let path = "/v1/embeddings/first/cell/nearest";
    let padding = " ".repeat(1 << 20);
    check("1 MiB and more", post(&app, path, format!("{{\"key\": \"c1\"}}{padding}")).await, (413, "too_large", Some("body")));
    // Without a length, too.
    let pieces = Body::from_stream(Pieces(vec![padding.clone(), r#"{"key": "c1"}"#.to_owned()]));
    check("in pieces", post(&app, path, pieces).await, (413, "too_large", Some("body")));
    let fits = format!("{{\"key\": \"c1\"}}{}", &padding[20..]);
    assert_eq!(post(&app, path, fits).await.0, 200);
    for kind in [None, Some("application/x-www-form-urlencoded")] {
        let mut request = Request::post(path);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let response = send(&app, request.body(Body::from(r#"{"key": "c1"}"#)).unwrap()).await;
        assert_eq!(response.status(), 415);
        let answer: Value = serde_json::from_slice(&bytes(response).await).unwrap();
        assert_eq!(answer["error"]["code"], "unsupported_media_type");
    }
}

/// A body that comes piece by piece, the last first.
struct Pieces(Vec<String>);

impl futures_core::Stream for Pieces {
    type Item = Result<String, std::convert::Infallible>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop().map(Ok))
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_answer_in_json() {
    let small = Small::new();
    let app = small.app();
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/nodes/gene", "/v1/nodes/gene/", "/v1/nodes/gene/HLA-A/B", "/v1/schema/"] {
        check(path, get(&app, path).await, (404, "not_found", None));
    }
    for (path, allowed) in [("/v1/schema", "GET,HEAD"), ("/v1/nodes/gene/ENSG1", "GET,HEAD"), ("/health", "GET,HEAD")] {
        let response = send(&app, Request::delete(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.headers()[header::ALLOW], allowed, "{path}");
        let status = response.status().as_u16();
        let answer = serde_json::from_slice(&bytes(response).await).unwrap();
        check(path, (status, answer), (405, "method_not_allowed", None));
    }
    // `nearest` may also be the key of a node.
    let got = get(&app, "/v1/embeddings/first/cell/nearest").await;
    assert!(matches!(got.0, 404 | 405), "{got:?}");
    check("page", post(&app, "/", "{}").await, (405, "method_not_allowed", None));
}

#[tokio::test]
async fn what_fails_inside_is_not_shown() {
    let small = Small::new();
    let path = small.store().join("models/first/cell.embedding");
    let mut damaged = std::fs::read(&path).unwrap();
    let last = damaged.len() - 40;
    damaged[last] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let app = small.app();
    let answer = check("damaged", get(&app, "/v1/embeddings/first/cell/c1").await, (500, "internal", None));
    assert!(!answer.to_string().contains("embedding"), "{answer}");
    // The others are there still.
    let (_, models) = get(&app, "/v1/embeddings").await;
    assert_eq!(models["models"].as_array().unwrap().len(), 1);
    assert_eq!(get(&app, "/v1/embeddings/second/gene/MYC").await.0, 200);
}
