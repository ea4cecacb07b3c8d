//! A graph of every kind of attribute, value and edge, kept in plain lists beside the store that is made of it.

use std::collections::BTreeMap;
use std::path::Path;

use relata::snapshot::SnapshotId;
use relata::store::{Load, Store};
use relata_schema::{AttributeKind, EdgeValue, Interval, Schema, SourceRecord, Strand, Value};
use serde_json::{Map, Number, json};

/// What the built-in schema lacks.
pub const SCHEMA: &str = r#"
[node.cell]
attributes.age = { kind = "number", unit = "days" }
attributes.doublet = { kind = "boolean" }
attributes.gait = { kind = "vector(3)" }
attributes.note = { kind = "text", about = "of \"quotes\" and \\" }
attributes.reads = { kind = "count" }
attributes.kind = { kind = "category" }
[node.gene]
attributes.kind = { kind = "number" }
attributes.essential = { kind = "boolean" }
[node.lonely]
about = "Never met"
[[relation]]
name = "divides_into"
source = "cell"
target = "cell"
attributes.at = { kind = "time", unit = "hours" }
attributes.sure = { kind = "boolean" }
attributes.rate = { kind = "number" }
attributes.how = { kind = "category" }
"#;

pub struct Planted {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

/// Type, key, and values by the names of attributes.
pub type Node = (&'static str, String, Vec<(&'static str, Value)>);

pub struct Edge {
    pub relation: &'static str,
    pub ends: [String; 2],
    pub values: Vec<(&'static str, Planned)>,
}

/// A value of an edge.
#[derive(Clone)]
pub enum Planned {
    Number(f32),
    Truth(bool),
    Name(String),
    Time(i64),
}

/// A small generator of its own (Steele et al. 2014, SplitMix64), so that a seed means the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    /// Three times of four.
    fn has(&mut self) -> bool {
        self.below(4) > 0
    }
}

/// Keys that a careless writer breaks, and that are no two of them the same to any resolver.
const ODD: [&str; 9] = ["a b", "ä→β", "x&y<z>\"'", "100%", "100%25", "in|two", "tab\there", "null", "bell\u{7}\u{FFFE}"];

fn keys(prefix: &str, count: usize) -> Vec<String> {
    let odd = ODD.iter().map(|odd| format!("{prefix} {odd}"));
    (0..count).map(|at| format!("{prefix}{at:04}")).chain(odd).collect()
}

impl Planted {
    pub fn graph(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut planted = Self { nodes: Vec::new(), edges: Vec::new() };
        let (cells, genes) = (keys("cell", 300), keys("gene", 200));
        let (tissues, kinds) = (keys("tissue", 4), keys("type", 3));
        planted.plant_cells(&cells, &mut chance);
        planted.plant_genes(&genes, &mut chance);
        for (node_type, keys) in [("tissue", &tissues), ("cell_type", &kinds)] {
            for key in keys {
                let named = vec![("name", Value::Text(format!("the {key}"))), ("obsolete", Value::Boolean(chance.has()))];
                planted.nodes.push((node_type, key.clone(), named));
            }
        }
        planted.plant_edges(&cells, &genes, &tissues, &kinds, &mut chance);
        planted
    }

    fn plant_cells(&mut self, cells: &[String], chance: &mut Chance) {
        let texts = ["", "NA", "plain", " spaces ", "two\nlines\r\nand \u{1} one", "\"quoted\", \\ <&>"];
        for key in cells {
            let mut values = Vec::new();
            let mut give = |name: &'static str, value: Value| {
                if chance.has() {
                    values.push((name, value))
                }
            };
            let number = key.len() as f64 + key.bytes().map(f64::from).sum::<f64>() / 7.0;
            give("age", Value::Number(number));
            give("total_counts", Value::Number(-0.0));
            give("time", Value::Time(-(key.len() as i64) << 40));
            give("celltype", Value::Category(["B cell", "T cell", "None"][number as usize % 3].to_owned()));
            give("note", Value::Text(texts[number as usize % texts.len()].to_owned()));
            give("gait", Value::Vector(vec![0.1, number as f32, f32::MIN_POSITIVE / 2.0]));
            give("reads", Value::Count(number as u64 * 1_000_003));
            give("doublet", Value::Boolean((number as u64).is_multiple_of(2)));
            values.push(("kind", Value::Category(key.clone())));
            self.nodes.push(("cell", key.clone(), values));
        }
    }

    fn plant_genes(&mut self, genes: &[String], chance: &mut Chance) {
        for (at, key) in (0_u64..).zip(genes) {
            let mut values = vec![("essential", Value::Boolean(at % 3 == 0)), ("symbol", Value::Text(format!("SYM{at}")))];
            values.push(("length", Value::Count(at)));
            if chance.has() {
                let strand = [Strand::Forward, Strand::Reverse, Strand::Unknown][at as usize % 3];
                let locus = Interval::new(["chr1", "chrX", "MT"][chance.below(3)], at * 10, at * 10 + 5, strand).unwrap();
                values.push(("locus", Value::Interval(locus)));
            }
            if chance.has() {
                values.push(("kind", Value::Number(at as f64 / 3.0)));
            }
            self.nodes.push(("gene", key.clone(), values));
        }
        for at in 0..20_u64 {
            let region = Interval::new("chr2", at * 100, at * 100 + 50, Strand::Unknown).unwrap();
            let sequence = Value::Sequence("ACGTNacgt".repeat(at as usize));
            let mut values = vec![("locus", Value::Interval(region.clone()))];
            if at > 0 {
                values.push(("sequence", sequence));
            }
            self.nodes.push(("region", region.to_string(), values));
        }
    }

    fn plant_edges(&mut self, cells: &[String], genes: &[String], tissues: &[String], kinds: &[String], chance: &mut Chance) {
        let mut edge = |relation, source: &String, target: &String, values| {
            self.edges.push(Edge { relation, ends: [source.clone(), target.clone()], values });
        };
        // The last cell has no edge at all.
        for cell in &cells[..cells.len() - 1] {
            for gene in genes {
                if chance.below(5) == 0 {
                    let count = Planned::Number(1.0 + chance.below(40) as f32);
                    edge("cell.expresses.gene", cell, gene, vec![("count", count)]);
                }
            }
            if chance.has() {
                edge("cell.from_tissue.tissue", cell, &tissues[chance.below(tissues.len())], Vec::new());
            }
            for kind in &kinds[..chance.below(3)] {
                edge("cell.has_type.cell_type", cell, kind, Vec::new());
            }
            // Parallel edges: some the same in everything, some at other times, some without.
            for _ in 0..chance.below(3) {
                let other = &cells[chance.below(5)];
                let mut values = Vec::new();
                let mut give = |name: &'static str, value: Planned| {
                    if chance.has() {
                        values.push((name, value))
                    }
                };
                give("at", Planned::Time(cell.len() as i64 - 9));
                give("sure", Planned::Truth(cell.len() % 2 == 0));
                give("rate", Planned::Number(0.1 * cell.len() as f32));
                give("how", Planned::Name(["mitosis", "NA", "budding & more"][cell.len() % 3].to_owned()));
                let twice = chance.below(3) == 0;
                edge("cell.divides_into.cell", cell, other, values.clone());
                if twice {
                    edge("cell.divides_into.cell", cell, other, values);
                }
            }
        }
        // No two of them join the same genes, so that they are a matrix.
        for (at, gene) in genes.iter().enumerate() {
            let other = &genes[(at + 1 + chance.below(3)) % genes.len()];
            let score = vec![("score", Planned::Number(chance.below(1000) as f32 / 1000.0))];
            edge("gene.interacts.gene", gene, other, if chance.has() { score } else { Vec::new() });
        }
        edge("gene.interacts.gene", &genes[0], &genes[0], vec![("method", Planned::Name("itself".to_owned()))]);
    }

    /// Loads it, and publishes a snapshot.
    pub fn write(&self, store: &Path) -> SnapshotId {
        let schema = Schema::biology().extended_by(SCHEMA, "planted.toml").unwrap();
        let mut store = Store::open_or_create(store).unwrap();
        let mut load = store.begin(&schema).unwrap();
        load.begin_source("planted", "graph").unwrap();
        for (node_type, key, values) in &self.nodes {
            let node_type = schema.node_type(node_type).unwrap();
            let node = load.node(node_type, key).unwrap();
            for (name, value) in values {
                load.set(node_type, node, schema.node_attribute(node_type, name).unwrap(), value.clone()).unwrap();
            }
        }
        self.edges.iter().for_each(|edge| edge.write(&schema, &mut load));
        let record = SourceRecord { dataset: "planted".into(), name: "graph".into(), ..SourceRecord::default() };
        load.end_source(record).unwrap();
        load.commit().unwrap();
        store.snapshot(true).unwrap()
    }

    /// Nodes by type and key, edges by relation in the order of planting.
    pub fn json(&self) -> serde_json::Value {
        let mut nodes: BTreeMap<&str, Map<String, serde_json::Value>> = BTreeMap::new();
        for (node_type, key, values) in &self.nodes {
            let values: Map<_, _> = values.iter().map(|(name, value)| ((*name).to_owned(), plain(value))).collect();
            nodes.entry(node_type).or_default().insert(key.clone(), values.into());
        }
        let mut edges: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
        for edge in &self.edges {
            let values: Map<_, _> = edge.values.iter().map(|(name, value)| ((*name).to_owned(), value.plain())).collect();
            edges.entry(edge.relation).or_default().push(json!([edge.ends[0], edge.ends[1], values]));
        }
        json!({ "nodes": nodes, "edges": edges })
    }
}

impl Edge {
    fn write(&self, schema: &Schema, load: &mut Load<'_>) {
        let relation = schema.relation(self.relation).unwrap();
        let known = schema.edge(relation);
        let ends = [known.source, known.target];
        let [source, target] = [0, 1].map(|end| load.node(ends[end], &self.ends[end]).unwrap());
        let mut values = vec![EdgeValue::Missing; known.attributes.len()];
        let mut time = None;
        for (name, value) in &self.values {
            let attribute = schema.edge_attribute(relation, name).unwrap();
            values[attribute.index()] = match value {
                Planned::Number(number) => EdgeValue::Number(*number),
                Planned::Truth(truth) => EdgeValue::Number(f32::from(u8::from(*truth))),
                Planned::Name(name) => EdgeValue::Category(load.category(relation, attribute, name).unwrap()),
                Planned::Time(at) => {
                    assert_eq!(known.attributes[attribute.index()].kind, AttributeKind::Time);
                    time = Some(*at);
                    EdgeValue::Missing
                }
            };
        }
        load.edge(relation, source, target, time, &values).unwrap();
    }
}

impl Planned {
    fn plain(&self) -> serde_json::Value {
        match self {
            Self::Number(number) => single(*number),
            Self::Truth(truth) => (*truth).into(),
            Self::Name(name) => name.as_str().into(),
            Self::Time(time) => (*time).into(),
        }
    }
}

/// A 32-bit number as exactly the 64-bit one that it is.
fn single(number: f32) -> serde_json::Value {
    Number::from_f64(number.into()).unwrap().into()
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(number) => Number::from_f64(*number).unwrap().into(),
        Value::Count(count) => (*count).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Time(time) => (*time).into(),
        Value::Category(text) | Value::Text(text) | Value::Sequence(text) => text.as_str().into(),
        Value::Interval(place) => {
            json!({ "contig": place.contig(), "start": place.start(), "end": place.end(), "strand": place.strand().symbol() })
        }
        Value::Vector(numbers) => numbers.iter().map(|&number| single(number)).collect(),
    }
}
