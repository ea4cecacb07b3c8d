//! What each route answers, beside what the snapshot says and what was written by hand.

use axum::body::Body;
use axum::http::{Request, header};
use relata_schema::Direction;
use serde_json::json;

use crate::small::{Small, bytes, encoded, get, got, post, send};

#[tokio::test]
async fn health_names_the_snapshot() {
    let small = Small::new();
    let answer = got(&small.app(), "/health").await;
    assert_eq!(answer["status"], "ok");
    assert_eq!(answer["snapshot"], small.snapshot().id().as_str());
    assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn the_schema_is_that_of_the_snapshot() {
    let small = Small::new();
    let answer = got(&small.app(), "/v1/schema").await;
    let snapshot = small.snapshot();
    let schema = snapshot.schema();
    assert_eq!(answer["node_types"].as_array().unwrap().len(), schema.node_types().len());
    assert_eq!(answer["relations"].as_array().unwrap().len(), schema.relations().len());
    let gene = answer["node_types"].as_array().unwrap().iter().find(|known| known["name"] == "gene").unwrap();
    assert_eq!((&gene["label"], &gene["nodes"]), (&json!("symbol"), &json!(4)));
    assert_eq!(
        gene["attributes"][7],
        json!({"name": "length", "kind": "count", "unit": "bp", "transform": "log1p", "about": "", "identifier": false})
    );
    assert_eq!((&gene["attributes"][0]["identifier"], &gene["attributes"][0]["unit"]), (&json!(true), &json!(null)));
    let find = |name: &str| answer["relations"].as_array().unwrap().iter().find(|known| known["name"] == name).unwrap();
    let expresses = find("cell.expresses.gene");
    for (field, value) in [
        ("bare", json!("expresses")),
        ("source", json!("cell")),
        ("target", json!("gene")),
        ("contains", json!("source")),
        ("symmetric", json!(false)),
        ("edges", json!(3)),
    ] {
        assert_eq!(expresses[field], value, "{field}");
    }
    let interacts = find("gene.interacts.gene");
    assert_eq!((&interacts["symmetric"], &interacts["edges"]), (&json!(true), &json!(2)));
    assert_eq!(interacts["contains"], json!(null));
}

#[tokio::test]
async fn stats_add_up() {
    let small = Small::new();
    let answer = got(&small.app(), "/v1/stats").await;
    assert_eq!((&answer["nodes"], &answer["edges"]), (&json!(4 + 3 + 2 + 1), &json!(3 + 2 + 1 + 4 + 3)));
    assert_eq!(answer["bytes"], small.snapshot().bytes());
    assert_eq!((&answer["node_types"]["gene"], &answer["node_types"]["assay"]), (&json!(4), &json!(0)));
    assert_eq!(answer["relations"]["donor.visited.tissue"], 3);
    assert_eq!(answer["sources"][0]["name"], "by hand");
    assert_eq!(answer["models"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn search_finds_keys_labels_and_identifiers_and_keeps_to_types_and_limit() {
    let small = Small::new();
    let app = small.app();
    let answer = got(&app, "/v1/search?q=tp53").await;
    assert_eq!(answer, json!({"query": "tp53", "hits": [{"type": "gene", "key": "ENSG3", "label": "TP53"}]}));
    assert_eq!(got(&app, "/v1/search?q=LFS1").await["hits"][0]["key"], "ENSG3");
    assert_eq!(got(&app, "/v1/search?q=%C3%BCn%C3%AFc").await["hits"][0]["key"], "HLA-A/B odd key");
    let types = |answer: &serde_json::Value| {
        answer["hits"].as_array().unwrap().iter().map(|hit| hit["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // "c" is in keys of cells, in MYC, and in c-Myc.
    assert!(types(&got(&app, "/v1/search?q=c&type=cell").await).iter().all(|found| found == "cell"));
    let both = types(&got(&app, "/v1/search?q=c&type=cell&type=gene").await);
    assert_eq!(both, types(&got(&app, "/v1/search?q=c&type=cell,gene").await));
    assert!(both.contains(&"gene".to_owned()) && both.contains(&"cell".to_owned()));
    assert_eq!(types(&got(&app, "/v1/search?q=c&limit=2").await).len(), 2);
}

#[tokio::test]
async fn a_node_has_all_its_attributes_and_its_degrees() {
    let small = Small::new();
    let app = small.app();
    let myc = got(&app, "/v1/nodes/gene/ENSG1").await;
    assert_eq!(
        myc,
        json!({
            "type": "gene", "key": "ENSG1", "label": "MYC",
            "attributes": {
                "symbol": "MYC", "entrez": "4609", "hgnc": null, "synonyms": "twice|c-Myc", "description": null,
                "biotype": "protein_coding", "length": 2541,
                "locus": {"contig": "chr8", "start": 127_735_433, "end": 127_742_951, "strand": "+"},
            },
            "degrees": [
                {"relation": "cell.expresses.gene", "direction": "incoming", "type": "cell", "count": 1},
                {"relation": "gene.interacts.gene", "direction": "outgoing", "type": "gene", "count": 1},
                {"relation": "gene.present_in.tissue", "direction": "outgoing", "type": "tissue", "count": 1},
            ],
        })
    );
    let cell = got(&app, "/v1/nodes/cell/c1").await;
    assert_eq!((&cell["attributes"]["time"], &cell["attributes"]["total_counts"]), (&json!(-5), &json!(10.25)));
    assert_eq!((&cell["label"], &cell["attributes"]["celltype"]), (&json!("c1"), &json!("T cell")));
    let tissue = got(&app, "/v1/nodes/tissue/UBERON:0000178").await;
    assert_eq!(tissue["attributes"]["obsolete"], json!(false));
}

#[tokio::test]
async fn attributes_come_in_the_order_of_the_schema() {
    let small = Small::new();
    let response = send(&small.app(), Request::get("/v1/nodes/gene/ENSG1").body(Body::empty()).unwrap()).await;
    let text = String::from_utf8(bytes(response).await).unwrap();
    let place = |name: &str| text.find(&format!("\"{name}\":")).unwrap();
    let names = ["symbol", "entrez", "hgnc", "synonyms", "description", "biotype", "locus", "length"];
    assert!(names.is_sorted_by_key(|name| place(name)), "{text}");
}

#[tokio::test]
async fn every_node_is_found_by_its_percent_encoded_key() {
    let small = Small::new();
    let (app, snapshot) = (small.app(), small.snapshot());
    let mut seen = 0;
    for node_type in snapshot.schema().node_type_ids() {
        let name = &snapshot.schema().node(node_type).name;
        for node in 0..snapshot.node_count(node_type) {
            let key = snapshot.key(node_type, node);
            let answer = got(&app, &format!("/v1/nodes/{name}/{}", encoded(key))).await;
            assert_eq!((&answer["key"], &answer["label"]), (&json!(key), &json!(snapshot.label(node_type, node))));
            seen += 1;
        }
    }
    assert_eq!(seen, 10);
    for (path, key) in [
        ("tissue/UBERON%3A0000178", "UBERON:0000178"),
        ("tissue/UBERON:0000178", "UBERON:0000178"),
        ("tissue/blood", "UBERON:0000178"),
        ("gene/HLA-A%2FB%20odd%20key", "HLA-A/B odd key"),
        ("gene/%C3%9Cn%C3%AFcode", "HLA-A/B odd key"),
        ("gene/tp53", "ENSG3"),
        ("gene/4609", "ENSG1"),
        ("donor/d%201", "d 1"),
    ] {
        assert_eq!(got(&app, &format!("/v1/nodes/{path}")).await["key"], key, "{path}");
        assert_eq!(got(&app, &format!("/v1/nodes/{path}/neighbors")).await["node"]["key"], key, "{path}");
    }
}

#[tokio::test]
async fn neighbors_carry_times_and_attributes_in_the_order_of_time() {
    let small = Small::new();
    let answer = got(&small.app(), "/v1/nodes/donor/d%201/neighbors?relation=visited").await;
    let (blood, lung) = (json!("UBERON:0000178"), json!("UBERON:0002048"));
    let visit = |key: &serde_json::Value, label: &str, time, attributes| {
        json!({"relation": "donor.visited.tissue", "direction": "outgoing", "type": "tissue", "key": key, "label": label,
               "time": time, "attributes": attributes})
    };
    assert_eq!(
        answer,
        json!({
            "node": {"type": "donor", "key": "d 1", "label": "d 1"},
            "total": 3,
            "neighbors": [
                visit(&lung, "lung", json!(null), json!({"urgent": null, "reason": "check", "samples": 3})),
                visit(&lung, "lung", json!(-7), json!({"urgent": false, "reason": null, "samples": null})),
                visit(&blood, "blood", json!(30), json!({"urgent": true, "reason": "fever", "samples": 2})),
            ],
        })
    );
}

#[tokio::test]
async fn numbers_of_edges_are_written_as_they_were_read() {
    let small = Small::new();
    let request = Request::get("/v1/nodes/gene/MYC/neighbors?relation=interacts").body(Body::empty()).unwrap();
    let text = String::from_utf8(bytes(send(&small.app(), request).await).await).unwrap();
    assert!(text.contains(r#""attributes":{"score":0.1,"method":"pull down"}"#), "{text}");
}

#[tokio::test]
async fn all_neighbors_of_all_nodes_are_those_of_the_snapshot_page_by_page() {
    let small = Small::new();
    let (app, snapshot) = (small.app(), small.snapshot());
    let schema = snapshot.schema();
    let mut edges = 0;
    for node_type in schema.node_type_ids() {
        for node in 0..snapshot.node_count(node_type) {
            let path = format!("/v1/nodes/{}/{}/neighbors", schema.node(node_type).name, encoded(snapshot.key(node_type, node)));
            let mut expected = Vec::new();
            for relation in schema.relation_ids() {
                for direction in Direction::BOTH {
                    let ends = schema.edge(relation);
                    if ends.near(direction) != node_type || (ends.symmetric && direction == Direction::Incoming) {
                        continue;
                    }
                    let fars = snapshot.adjacency(relation, direction).neighbors(node);
                    let title = schema.relation_title(relation);
                    expected.extend(fars.iter().map(|&far| (title.clone(), snapshot.key(ends.far(direction), far).to_owned())));
                }
            }
            let mut found = Vec::new();
            loop {
                let page = got(&app, &format!("{path}?limit=2&offset={}", found.len())).await;
                assert_eq!(page["total"], expected.len());
                let page = page["neighbors"].as_array().unwrap().clone();
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                found.extend(page.iter().map(|one| (text(&one["relation"]), text(&one["key"]))));
                if page.len() < 2 {
                    break;
                }
            }
            found.sort();
            expected.sort();
            edges += expected.len();
            assert_eq!(found, expected, "{path}");
        }
    }
    // Both ends of every edge; the loop of TP53 is at one.
    assert_eq!(edges, 2 * 13 - 1);
}

#[tokio::test]
async fn relations_take_turns_and_can_be_chosen() {
    let small = Small::new();
    let app = small.app();
    let tp53 = got(&app, "/v1/nodes/gene/TP53/neighbors?limit=3").await;
    let relations: Vec<_> = tp53["neighbors"].as_array().unwrap().iter().map(|one| one["relation"].as_str().unwrap()).collect();
    assert_eq!(relations, ["cell.expresses.gene", "gene.interacts.gene", "gene.present_in.tissue"]);
    assert_eq!(tp53["total"], 5);
    let total = async |query: &str| got(&app, &format!("/v1/nodes/{query}")).await["total"].as_u64().unwrap();
    assert_eq!(total("gene/TP53/neighbors?direction=incoming").await, 4);
    assert_eq!(total("gene/TP53/neighbors?direction=outgoing").await, 3);
    assert_eq!(total("gene/TP53/neighbors?relation=cell.expresses.gene").await, 2);
    assert_eq!(total("gene/TP53/neighbors?relation=interacts&direction=incoming").await, 2);
    assert_eq!(total("gene/TP53/neighbors?offset=99").await, 5);
    // `is_a` is the name of three relations, but of one of tissues.
    assert_eq!(total("tissue/lung/neighbors?relation=is_a").await, 1);
    assert_eq!(total("tissue/lung/neighbors?relation=is_a&direction=outgoing").await, 0);
}

#[tokio::test]
async fn embeddings_are_listed_and_read() {
    let small = Small::new();
    let app = small.app();
    let models = got(&app, "/v1/embeddings").await;
    assert_eq!(models["models"][0]["model"], "first");
    assert_eq!(models["models"][1]["node_type"], "gene");
    let answer = got(&app, "/v1/embeddings/first/cell/c1").await;
    assert_eq!(
        answer,
        json!({"model": "first", "type": "cell", "key": "c1", "label": "c1", "vector": [0.5, 0.0], "layout": [0.1, 0.2]})
    );
    let gene = got(&app, "/v1/embeddings/second/gene/myc").await;
    assert_eq!((&gene["key"], &gene["label"], &gene["layout"]), (&json!("ENSG1"), &json!("MYC"), &json!(null)));
    assert_eq!(got(&app, "/v1/embeddings/second/gene/HLA-A%2FB%20odd%20key").await["vector"], json!([0.0, 1.0]));
}

#[tokio::test]
async fn the_nearest_come_by_angle_without_the_key_itself() {
    let small = Small::new();
    let app = small.app();
    let ask = async |body: &str| post(&app, "/v1/embeddings/first/cell/nearest", body.to_owned()).await;
    let (status, answer) = ask(r#"{"key": "c2"}"#).await;
    assert_eq!(status, 200, "{answer}");
    let hits = answer["hits"].as_array().unwrap();
    assert_eq!((&hits[0]["key"], &hits[1]["key"], hits.len()), (&json!("c1"), &json!("gone"), 2));
    // (3, 4) and (1, 0): 3/5. (3, 4) and (0, -2): -4/5.
    assert!((hits[0]["similarity"].as_f64().unwrap() - 0.6).abs() < 1e-6);
    assert!((hits[1]["similarity"].as_f64().unwrap() + 0.8).abs() < 1e-6);
    let (_, answer) = ask(r#"{"vector": [0, -1], "count": 1}"#).await;
    assert_eq!(answer, json!({"hits": [{"key": "gone", "label": "gone", "similarity": 1.0}]}));
}

#[tokio::test]
async fn layouts_have_a_place_and_a_colour_for_each_key() {
    let small = Small::new();
    let app = small.app();
    let plain = got(&app, "/v1/layouts/first/cell").await;
    assert_eq!(plain["keys"], json!(["c1", "c2", "gone"]));
    assert_eq!((&plain["x"], &plain["y"]), (&json!([0.1, -1.0, 5.0]), &json!([0.2, 1.0, 6.0])));
    assert_eq!((&plain["model"], &plain["type"], &plain["color"]), (&json!("first"), &json!("cell"), &json!(null)));
    let color = async |name: &str| got(&app, &format!("/v1/layouts/first/cell?color={name}")).await["color"].clone();
    assert_eq!(
        color("celltype").await,
        json!({"attribute": "celltype", "kind": "category", "names": ["B cell", "T cell"], "codes": [1, 0, -1]})
    );
    assert_eq!(
        color("total_counts").await,
        json!({"attribute": "total_counts", "kind": "number", "values": [10.25, null, null]})
    );
    assert_eq!(color("time").await, json!({"attribute": "time", "kind": "number", "values": [-5.0, null, null]}));
    // No cell has a batch: the column is not there at all.
    assert_eq!(color("batch").await, json!({"attribute": "batch", "kind": "category", "names": [], "codes": [-1, -1, -1]}));
}

#[tokio::test]
async fn the_root_is_a_page_and_head_has_no_body() {
    let small = Small::new();
    let app = small.app();
    let response = send(&app, Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-eval"), "{policy}");
    let text = String::from_utf8(bytes(response).await).unwrap();
    assert!(text.contains("<title>Relata"), "{text}");
    if !relata_web::page::is_built() {
        assert!(text.contains("Node.js 20.19 or newer"), "{text}");
    }
    for path in ["/", "/health"] {
        let response = send(&app, Request::head(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert!(bytes(response).await.is_empty());
    }
    assert_eq!(get(&app, "/no/such/file.js").await.0, 404);
}

/// One hop with a fanout as large as any degree is every edge of the seed, each once.
#[tokio::test]
async fn a_subgraph_of_one_hop_is_the_whole_neighborhood() {
    let small = Small::new();
    let app = small.app();
    let (status, answer) = post(&app, "/v1/subgraph", r#"{"seeds": [{"type": "donor", "key": "d 1"}], "hops": 1}"#).await;
    assert_eq!(status, 200, "{answer}");
    let visit = |target, time, attributes| json!({"relation": "donor.visited.tissue", "source": 0, "target": target, "time": time, "attributes": attributes});
    let tissue = |key: &str, label: &str| json!({"type": "tissue", "key": key, "label": label, "hop": 1, "seed": false});
    assert_eq!(
        answer,
        json!({
            "snapshot": small.snapshot().id().as_str(),
            "nodes": [
                {"type": "donor", "key": "d 1", "label": "d 1", "hop": 0, "seed": true},
                tissue("UBERON:0002048", "lung"),
                tissue("UBERON:0000178", "blood"),
            ],
            "edges": [
                visit(1, json!(null), json!({"urgent": null, "reason": "check", "samples": 3})),
                visit(1, json!(-7), json!({"urgent": false, "reason": null, "samples": null})),
                visit(2, json!(30), json!({"urgent": true, "reason": "fever", "samples": 2})),
            ],
        })
    );
}

#[tokio::test]
async fn edges_of_a_subgraph_run_in_their_relations_direction_and_exist() {
    let small = Small::new();
    let (app, snapshot) = (small.app(), small.snapshot());
    let schema = snapshot.schema();
    let body = r#"{"seeds": [{"type": "gene", "key": "tp53"}, {"type": "gene", "key": "ENSG3"}], "hops": 3, "fanout": 100}"#;
    let (status, answer) = post(&app, "/v1/subgraph", body).await;
    assert_eq!(status, 200, "{answer}");
    let (nodes, edges) = (answer["nodes"].as_array().unwrap(), answer["edges"].as_array().unwrap());
    let end = |edge: &serde_json::Value, end: &str| {
        let node = &nodes[edge[end].as_u64().unwrap() as usize];
        let node_type = schema.node_type(node["type"].as_str().unwrap()).unwrap();
        (node_type, snapshot.find(node_type, node["key"].as_str().unwrap()).unwrap(), node["hop"].as_u64().unwrap())
    };
    for edge in edges {
        let relation = schema.relation(edge["relation"].as_str().unwrap()).unwrap();
        let (source, target) = (end(edge, "source"), end(edge, "target"));
        assert_eq!((source.0, target.0), (schema.edge(relation).source, schema.edge(relation).target), "{edge}");
        let fars = snapshot.adjacency(relation, Direction::Outgoing).neighbors(source.1);
        assert!(fars.contains(&target.1), "{edge}");
        assert!(source.2.abs_diff(target.2) <= 1, "{edge}");
    }
    // All edges are within three hops of TP53, and the seed that was asked for twice is one.
    assert_eq!(edges.len(), 13);
    assert_eq!(nodes.iter().filter(|node| node["seed"] == true).count(), 1);
    assert_eq!(nodes.len(), 9, "{answer}"); // all but the third cell
}

#[tokio::test]
async fn relations_cutoff_fanout_and_seed_decide_what_a_subgraph_shows() {
    let small = Small::new();
    let app = small.app();
    let ask = async |rest: &str| {
        let body = format!(r#"{{"seeds": [{{"type": "tissue", "key": "blood"}}], {rest}}}"#);
        let (status, answer) = post(&app, "/v1/subgraph", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let relations = async |rest: &str| {
        let answer = ask(rest).await;
        let names = answer["edges"].as_array().unwrap().iter().map(|edge| edge["relation"].as_str().unwrap().to_owned());
        names.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(relations(r#""hops": 1, "relations": ["visited"]"#).await, ["donor.visited.tissue"]);
    assert_eq!(relations(r#""hops": 1, "relations": ["visited"], "cutoff": 29"#).await, [""; 0]);
    assert_eq!(relations(r#""hops": 1, "relations": ["visited"], "cutoff": 30"#).await, ["donor.visited.tissue"]);
    assert_eq!(
        relations(r#""hops": 1, "relations": ["tissue.is_a.tissue", "gene.present_in.tissue"]"#).await,
        ["gene.present_in.tissue", "tissue.is_a.tissue"]
    );
    let drawn = async |seed: u64| {
        let relation = r#""hops": 1, "fanout": 1, "relations": ["gene.present_in.tissue"]"#;
        let answer = ask(&format!(r#"{relation}, "seed": {seed}"#)).await;
        assert_eq!(answer["edges"].as_array().unwrap().len(), 1);
        answer["nodes"][1]["key"].as_str().unwrap().to_owned()
    };
    assert_eq!(drawn(5).await, drawn(5).await);
    let mut keys = std::collections::BTreeSet::new();
    for seed in 0..40 {
        keys.insert(drawn(seed).await);
    }
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["ENSG1", "ENSG2", "ENSG3"]);
}

/// Of TP53's two cells the second has a count; of the genes that are present in blood the first interacts with the third, and
/// that one with itself. The donor saw blood on day 30, and lung on no known day and on day -7.
#[tokio::test]
async fn choices_lists_and_times_decide_what_a_subgraph_shows() {
    let small = Small::new();
    let app = small.app();
    let ask = async |node_type: &str, key: &str, rest: &str| {
        let body = format!(r#"{{"seeds": [{{"type": "{node_type}", "key": "{key}"}}], "hops": 1, {rest}}}"#);
        let (status, answer) = post(&app, "/v1/subgraph", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    for seed in 0..9 {
        for choice in [r#""choice": "top:count""#, r#""choice_of": {"expresses": "weighted:count"}"#] {
            let rest = format!(r#""relations": ["expresses"], "fanout": 1, "seed": {seed}, {choice}"#);
            let answer = ask("gene", "TP53", &rest).await;
            assert_eq!(answer["nodes"][1]["key"], "c2", "{rest}");
        }
    }
    let edges = async |listed: &str| {
        let rest = format!(r#""relations": ["gene.present_in.tissue", "interacts"]{listed}"#);
        ask("tissue", "blood", &rest).await["edges"].as_array().unwrap().len()
    };
    assert_eq!([edges("").await, edges(r#", "listed": "once""#).await, edges(r#", "listed": "induced""#).await], [3, 3, 5]);
    let visits = async |rest: &str| {
        let rest = format!(r#""relations": ["visited"], "cutoff": 30, {rest}"#);
        ask("donor", "d 1", &rest).await["edges"].as_array().unwrap().len()
    };
    assert_eq!(visits(r#""equal_time": "keep""#).await, 3);
    assert_eq!(visits(r#""equal_time": "drop""#).await, 2);
    assert_eq!(visits(r#""missing_time": "drop", "time_of": {"cell": null}"#).await, 2);
}

#[tokio::test]
async fn a_path_names_its_nodes_and_edges() {
    let small = Small::new();
    let app = small.app();
    // MYC and TP53 interact and are expressed in c1; gene ENSG2 shares with MYC only the blood.
    let answer = got(&app, "/v1/path?from=gene:MYC&to=gene:ENSG2").await;
    let node = |node_type: &str, key: &str, label: &str| json!({"type": node_type, "key": key, "label": label});
    let step = |direction: &str| {
        json!({
            "relation": "gene.present_in.tissue", "direction": direction, "cost": 1.0, "time": null, "attributes": {"level": 1.5}
        })
    };
    assert_eq!(
        answer,
        json!({
            "snapshot": small.snapshot().id().as_str(),
            "from": node("gene", "ENSG1", "MYC"), "to": node("gene", "ENSG2", "ENSG2"),
            "paths": [{
                "hops": 2, "cost": 2.0,
                "nodes": [node("gene", "ENSG1", "MYC"), node("tissue", "UBERON:0000178", "blood"), node("gene", "ENSG2", "ENSG2")],
                "steps": [step("outgoing"), step("incoming")],
            }],
            "visited": answer["visited"].as_u64().unwrap(), "complete": true, "most_visits": 2_000_000, "message": null,
        })
    );
    // The nearest cells of MYC: c1 that expresses it, and c2 by way of TP53.
    let cells = got(&app, "/v1/path?from=MYC&to=cell&paths=9&relations=expresses,interacts&hops=2").await;
    let ends = |answer: &serde_json::Value| {
        let last =
            |path: &serde_json::Value| path["nodes"].as_array().unwrap().last().unwrap()["key"].as_str().unwrap().to_owned();
        answer["paths"].as_array().unwrap().iter().map(last).collect::<Vec<_>>()
    };
    assert_eq!(ends(&cells)[0], "c1");
    assert_eq!((ends(&cells).len(), cells["to"].clone()), (3, json!({"type": "cell"})));
    assert_eq!(cells["message"], "there are no more paths within 2 hops");
    let none = got(&app, "/v1/path?from=MYC&to=c1&directed=true").await;
    assert_eq!((&none["paths"], &none["message"]), (&json!([]), &json!("there is no path within 6 hops")));
    // The score of MYC and TP53 is 0.1; by way of c1 it costs twice the 1 of what has no score.
    let weighted = got(&app, "/v1/path?from=MYC&to=TP53&weight=score&paths=2").await;
    let cost = |at: usize| weighted["paths"][at]["cost"].as_f64().unwrap();
    assert!((cost(0) - 0.1).abs() < 1e-6 && (cost(1) - 2.0).abs() < 1e-6, "{weighted}");
}
