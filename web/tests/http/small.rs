//! A small store with one of everything, and requests without a port.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use relata::embedding::{EmbeddingInfo, EmbeddingTable};
use relata::snapshot::{EdgeData, Snapshot, SnapshotId, SnapshotWriter};
use relata_schema::{EdgeValue, Interval, NodeTypeId, Schema, SourceRecord, Strand, Value};
use relata_web::{AppState, app};
use serde_json::Value as Json;
use tower::ServiceExt;

/// A store that is removed when the test ends.
pub struct Small {
    pub folder: tempfile::TempDir,
}

impl Small {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        publish(folder.path(), &["c1", "c2", "c3"]);
        embed(folder.path(), 0.5);
        Self { folder }
    }

    pub fn store(&self) -> &Path {
        self.folder.path()
    }

    pub fn app(&self) -> Router {
        app(self.state())
    }

    pub fn state(&self) -> AppState {
        AppState::open(self.store()).unwrap()
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::current(self.store()).unwrap()
    }
}

/// biology.toml and a relation with a time, a boolean, a category and a count.
pub fn schema() -> Schema {
    let visited = r#"
        [[relation]]
        name = "visited"
        source = "donor"
        target = "tissue"
        attributes.day = { kind = "time", unit = "days" }
        attributes.urgent = { kind = "boolean" }
        attributes.reason = { kind = "category" }
        attributes.samples = { kind = "count" }
    "#;
    Schema::biology().extended_by(visited, "visited.toml").unwrap()
}

/// Genes g0 MYC (`ENSG1`), g1 (`ENSG2`), g2 TP53 (`ENSG3`), g3 (`HLA-A/B odd key`); tissues blood and lung; donor `d 1`;
/// and these cells, of which the first two express genes.
pub fn publish(store: &Path, cells: &[&str]) -> SnapshotId {
    let schema = schema();
    let mut writer = SnapshotWriter::create(store, &schema).unwrap();
    let of = |name: &str| schema.node_type(name).unwrap();
    let (gene, cell, tissue, donor) = (of("gene"), of("cell"), of("tissue"), of("donor"));
    let mut nodes = |node_type, keys: &[&str]| {
        writer.nodes(node_type, &keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>()).unwrap();
    };
    nodes(gene, &["ENSG1", "ENSG2", "ENSG3", "HLA-A/B odd key"]);
    nodes(cell, cells);
    nodes(tissue, &["UBERON:0000178", "UBERON:0002048"]);
    nodes(donor, &["d 1"]);
    let mut column = |node_type: NodeTypeId, name: &str, values: &[Option<Value>]| {
        writer.column(node_type, schema.node_attribute(node_type, name).unwrap(), values).unwrap();
    };
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let category = |name: &str| Some(Value::Category(name.to_owned()));
    column(gene, "symbol", &[text("MYC"), None, text("TP53"), text("Ünïcode")]);
    column(gene, "entrez", &[text("4609"), None, text("7157"), None]);
    column(gene, "synonyms", &[text("twice|c-Myc"), text("twice"), text("p53|LFS1"), None]);
    column(gene, "length", &[Some(Value::Count(2541)), None, Some(Value::Count(0)), None]);
    column(gene, "biotype", &[category("protein_coding"), category("lncRNA"), None, None]);
    let locus = Interval::new("chr8", 127_735_433, 127_742_951, Strand::Forward).unwrap();
    column(gene, "locus", &[Some(Value::Interval(locus)), None, None, None]);
    let padded = |mut values: Vec<Option<Value>>| {
        values.resize(cells.len(), None);
        values
    };
    column(cell, "celltype", &padded(vec![category("T cell"), category("B cell")]));
    column(cell, "time", &padded(vec![Some(Value::Time(-5)), None]));
    column(cell, "total_counts", &padded(vec![Some(Value::Number(10.25)), None]));
    column(tissue, "name", &[text("blood"), text("lung")]);
    column(tissue, "obsolete", &[Some(Value::Boolean(false)), None]);
    column(donor, "age", &[Some(Value::Number(0.1))]);

    let number = EdgeValue::Number;
    let relation = |name: &str| schema.relation(name).unwrap();
    let expresses = EdgeData {
        sources: vec![0, 0, 1],
        targets: vec![0, 2, 2],
        attributes: vec![vec![number(3.0), EdgeValue::Missing, number(7.0)]],
        ..EdgeData::default()
    };
    writer.relation(relation("expresses"), &expresses).unwrap();
    let interacts = EdgeData {
        sources: vec![0, 2],
        targets: vec![2, 2],
        attributes: vec![vec![number(0.1), number(0.9)], vec![EdgeValue::Category(1), EdgeValue::Category(0)]],
        categories: vec![vec![], vec!["two hybrid".into(), "pull down".into()]],
        ..EdgeData::default()
    };
    writer.relation(relation("interacts"), &interacts).unwrap();
    let is_a = EdgeData { sources: vec![0], targets: vec![1], ..EdgeData::default() };
    writer.relation(relation("tissue.is_a.tissue"), &is_a).unwrap();
    let present_in = EdgeData {
        sources: vec![0, 1, 2, 3],
        targets: vec![0, 0, 0, 1],
        attributes: vec![vec![number(1.5); 4]],
        ..EdgeData::default()
    };
    writer.relation(relation("gene.present_in.tissue"), &present_in).unwrap();
    let visited = EdgeData {
        sources: vec![0, 0, 0],
        targets: vec![0, 1, 1],
        times: vec![30, i64::MIN, -7],
        attributes: vec![
            vec![],
            vec![number(1.0), EdgeValue::Missing, number(0.0)],
            vec![EdgeValue::Category(0), EdgeValue::Category(1), EdgeValue::Missing],
            vec![number(2.0), number(3.0), EdgeValue::Missing],
        ],
        categories: vec![vec![], vec![], vec!["fever".into(), "check".into()], vec![]],
    };
    writer.relation(relation("visited"), &visited).unwrap();
    let record = SourceRecord { dataset: "small".into(), name: "by hand".into(), ..SourceRecord::default() };
    writer.publish(&[record]).unwrap()
}

/// Model `first` of cells, with a layout and a cell that the snapshot does not have; model `second` of genes, without.
pub fn embed(store: &Path, first: f32) {
    let info = |model: &str, node_type: &str, count, has_layout| EmbeddingInfo {
        model: model.into(),
        snapshot: "0".repeat(32),
        node_type: node_type.into(),
        dimension: 2,
        count,
        run: "runs/one".into(),
        has_layout,
    };
    let cells = EmbeddingTable {
        info: info("first", "cell", 3, true),
        keys: ["c1", "c2", "gone"].map(String::from).to_vec(),
        vectors: vec![first, 0.0, 3.0, 4.0, 0.0, -2.0],
        layout: vec![0.1, 0.2, -1.0, 1.0, 5.0, 6.0],
    };
    cells.write(store).unwrap();
    let genes = EmbeddingTable {
        info: info("second", "gene", 2, false),
        keys: ["ENSG1", "HLA-A/B odd key"].map(String::from).to_vec(),
        vectors: vec![1.0, 0.0, 0.0, 1.0],
        layout: vec![],
    };
    genes.write(store).unwrap();
}

pub async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

pub async fn bytes(response: Response<Body>) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
}

async fn json(response: Response<Body>) -> (u16, Json) {
    let status = response.status().as_u16();
    let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
    let body = bytes(response).await;
    assert_eq!(kind.as_deref(), Some("application/json"), "{}", String::from_utf8_lossy(&body));
    (status, serde_json::from_slice(&body).unwrap())
}

pub async fn get(app: &Router, path: &str) -> (u16, Json) {
    json(send(app, Request::get(path).body(Body::empty()).unwrap()).await).await
}

/// The answer to a request that must succeed.
pub async fn got(app: &Router, path: &str) -> Json {
    let (status, answer) = get(app, path).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// The first successful answer that `is` what is waited for: a new snapshot is verified before it is served.
pub async fn eventually(app: &Router, path: &str, is: impl Fn(&Json) -> bool) -> Json {
    for _ in 0..2000 {
        match get(app, path).await {
            (200, answer) if is(&answer) => return answer,
            _ => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
    panic!("{path} does not become what is waited for");
}

pub async fn post(app: &Router, path: &str, body: impl Into<Body>) -> (u16, Json) {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    json(send(app, request.body(body.into()).unwrap()).await).await
}

/// Percent-encodes all that is not surely plain.
pub fn encoded(key: &str) -> String {
    key.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
