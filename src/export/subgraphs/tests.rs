use std::fs;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use relata_schema::{AttributeId, AttributeKind, Direction, EdgeValue, Interval, NodeTypeId, RelationId, Schema, Strand, Value};

use super::*;
use crate::export::table::read;
use crate::export::{Options, TableFormat};
use crate::sampler::random::{Key, Random};
use crate::sampler::{Costs, EqualTime, Listed, Sampler, SamplerConfig, Subgraph, Walk};
use crate::snapshot::{EdgeColumn, EdgeData, Hit, Snapshot, SnapshotWriter};

const QUIET: Options = Options { overwrite: false, quiet: true };
const AGAIN: Options = Options { overwrite: true, quiet: true };

/// Every kind of attribute, names that columns have too, a relation without edges and a type that is out of reach.
const SCHEMA: &str = r#"
[node.a]
attributes.number = { kind = "number" }
attributes.reads = { kind = "count" }
attributes.flag = { kind = "boolean" }
attributes.kind = { kind = "category" }
attributes.at = { kind = "time", unit = "hours", about = "since the start" }
attributes.place = { kind = "vector(2)" }
attributes.note = { kind = "text" }
attributes.locus = { kind = "interval" }
attributes.node = { kind = "number" }
attributes.never = { kind = "number" }
[node.b]
[node.c]
[node.d]
[[relation]]
name = "r"
source = "a"
target = "b"
attributes.weight = { kind = "number" }
attributes.sure = { kind = "boolean" }
attributes.how = { kind = "category" }
attributes.at = { kind = "time" }
[[relation]]
name = "s"
source = "a"
target = "a"
symmetric = true
attributes.source = { kind = "count" }
[[relation]]
name = "t"
source = "b"
target = "c"
[[relation]]
name = "u"
source = "c"
target = "d"
"#;

/// A random store. Every third value is missing.
fn store(folder: &Path, seed: u64) -> Snapshot {
    let schema = Schema::default().extended_by(SCHEMA, "random.toml").unwrap();
    let mut random = Key::new("subgraphs test", seed).random();
    let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
    let counts = [30, 12, 3, 2];
    for (node_type, count) in schema.node_type_ids().zip(counts) {
        let name = &schema.node(node_type).name;
        writer.nodes(node_type, &(0..count).map(|at| format!("{name}{at:02}")).collect::<Vec<_>>()).unwrap();
    }
    let a = NodeTypeId(0);
    for (id, attribute) in (0..).map(AttributeId).zip(&schema.node(a).attributes) {
        let value = |random: &mut Random, at: u64| match attribute.kind {
            AttributeKind::Count => Value::Count(at * 7),
            AttributeKind::Boolean => Value::Boolean(at.is_multiple_of(2)),
            AttributeKind::Category => Value::Category(["x", "y", "z"][random.below(3) as usize].to_owned()),
            AttributeKind::Time => Value::Time(random.below(20) as i64 - 5),
            AttributeKind::Vector(_) => Value::Vector(vec![at as f32, -0.5]),
            AttributeKind::Text => Value::Text("said".to_owned()),
            AttributeKind::Interval => Value::Interval(Interval::new("chr1", at, at + 5, Strand::Forward).unwrap()),
            _ => Value::Number(at as f64 / 3.0),
        };
        let values: Vec<Option<Value>> =
            (0..counts[0]).map(|at| (attribute.name != "never" && random.below(3) > 0).then(|| value(&mut random, at))).collect();
        writer.column(a, id, &values).unwrap();
    }
    let mut edges = |count: usize, [sources, targets]: [u64; 2]| {
        let mut ends = |most: u64| (0..count).map(|_| random.below(most) as u32).collect::<Vec<_>>();
        EdgeData { sources: ends(sources), targets: ends(targets), ..EdgeData::default() }
    };
    let mut r = edges(80, [counts[0], counts[1]]);
    let mut s = edges(40, [counts[0], counts[0]]);
    let mut some = |value: &dyn Fn(u64) -> EdgeValue, count| {
        let value = |at| if random.below(3) > 0 { value(at) } else { EdgeValue::Missing };
        (0..count).map(value).collect::<Vec<_>>()
    };
    r.attributes = vec![
        some(&|at| EdgeValue::Number(at as f32 / 7.0), 80),
        some(&|at| EdgeValue::Number((at % 2) as f32), 80),
        some(&|at| EdgeValue::Category((at % 2) as u32), 80),
        vec![],
    ];
    r.categories = vec![vec![], vec![], vec!["by hand".into(), "at once".into()], vec![]];
    r.times = (0..80).map(|at| if at % 5 == 0 { i64::MIN } else { at % 13 }).collect();
    s.attributes = vec![some(&|at| EdgeValue::Number(at as f32), 40)];
    writer.relation(RelationId(0), &r).unwrap();
    writer.relation(RelationId(1), &s).unwrap();
    let u = EdgeData { sources: vec![0], targets: vec![1], ..EdgeData::default() };
    writer.relation(RelationId(3), &u).unwrap();
    writer.publish(&[]).unwrap();
    Snapshot::current(folder).unwrap()
}

fn config(snapshot: &Snapshot, seed: u64) -> SamplerConfig {
    let walk = match seed % 2 {
        0 => Walk::neighbour([3, 2]),
        _ => Walk::context(60, 3, Costs::of_attributes(snapshot.schema())),
    };
    let cutoff = (!seed.is_multiple_of(3)).then_some(6);
    let listed = if seed % 5 < 3 { Listed::Drawn } else { Listed::Once };
    let equal_time = if seed % 7 < 4 { EqualTime::Keep } else { EqualTime::Drop };
    SamplerConfig { cutoff, listed, equal_time, seed, ..SamplerConfig::new(walk, snapshot.schema().relation_ids()) }
}

fn seeds(snapshot: &Snapshot, name: &str) -> Vec<Hit> {
    let node_type = snapshot.schema().node_type(name).unwrap();
    (0..snapshot.node_count(node_type)).map(|node| Hit { node_type, node }).collect()
}

fn drawing(snapshot: &Snapshot, seed: u64, grouping: Grouping) -> Drawing {
    let sampler = Sampler::new(snapshot, config(snapshot, seed)).unwrap();
    Drawing::new(sampler, 4, seeds(snapshot, "a"), grouping, true).unwrap()
}

/// What the sampler draws without a table.
fn subgraphs(drawing: &Drawing, snapshot: &Snapshot, grouping: Grouping) -> Vec<Subgraph> {
    let seeds = seeds(snapshot, "a");
    match grouping {
        Grouping::Each => drawing.sampler().sample_each(&seeds, 4).unwrap(),
        Grouping::Batch(count) => seeds.chunks(count as usize).map(|seeds| drawing.sampler().sample(seeds, 4).unwrap()).collect(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What a row has in a list column.
fn items(batch: &RecordBatch, row: usize, name: &str) -> ArrayRef {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    column.as_list::<i32>().value(row)
}

fn numbers(batch: &RecordBatch, row: usize, name: &str) -> Vec<u32> {
    items(batch, row, name).as_primitive::<UInt32Type>().values().to_vec()
}

/// An item as the snapshot would say it; numbers of edges are single.
fn value(items: &ArrayRef, at: usize, kind: AttributeKind, single: bool) -> Option<Value> {
    items.is_valid(at).then(|| match kind {
        AttributeKind::Category => {
            let items = items.as_dictionary::<Int32Type>();
            let code = items.keys().value(at) as usize;
            Value::Category(items.values().as_string::<i32>().value(code).to_owned())
        }
        AttributeKind::Boolean => Value::Boolean(items.as_boolean().value(at)),
        AttributeKind::Time => Value::Time(items.as_primitive::<Int64Type>().value(at)),
        AttributeKind::Vector(_) => {
            Value::Vector(items.as_fixed_size_list().value(at).as_primitive::<Float32Type>().values().to_vec())
        }
        _ => {
            let number = if single {
                f64::from(items.as_primitive::<Float32Type>().value(at))
            } else {
                items.as_primitive::<Float64Type>().value(at)
            };
            if kind == AttributeKind::Count { Value::Count(number as u64) } else { Value::Number(number) }
        }
    })
}

fn edge_value(snapshot: &Snapshot, relation: RelationId, direction: Direction, id: AttributeId, at: usize) -> Option<Value> {
    let kind = snapshot.schema().edge(relation).attributes[id.index()].kind;
    if kind == AttributeKind::Time {
        return snapshot.adjacency(relation, direction).times.get(at).map(Value::Time);
    }
    match snapshot.edge_column(relation, direction, id) {
        EdgeColumn::Category(codes) => {
            let names = snapshot.edge_categories(relation, id);
            names.get(codes[at] as usize).map(|name| Value::Category((*name).to_owned()))
        }
        EdgeColumn::Number(numbers) if numbers[at].is_nan() => None,
        EdgeColumn::Number(numbers) => Some(match kind {
            AttributeKind::Boolean => Value::Boolean(numbers[at] == 1.0),
            AttributeKind::Count => Value::Count(numbers[at] as u64),
            _ => Value::Number(f64::from(numbers[at])),
        }),
    }
}

/// Compares a row with the subgraph that it is of, value by value. `is_shown` says what a guard let show.
fn compare(
    batch: &RecordBatch,
    row: usize,
    (snapshot, config): (&Snapshot, &SamplerConfig),
    subgraph: &Subgraph,
    is_shown: &dyn Fn(AttributeId, u32, bool) -> bool,
) -> usize {
    let schema = snapshot.schema();
    let mut compared = 0;
    // Each node's place among those of its type, found the slow way.
    let place = |at: u32| {
        let node_type = subgraph.nodes[at as usize].node_type;
        subgraph.nodes[..at as usize].iter().filter(|node| node.node_type == node_type).count() as u32
    };
    assert_eq!(numbers(batch, row, "seeds"), subgraph.seeds.iter().map(|&seed| place(seed)).collect::<Vec<_>>());
    let cutoff = batch.column_by_name("cutoff").unwrap().as_primitive::<Int64Type>();
    assert_eq!(cutoff.is_valid(row).then(|| cutoff.value(row)), config.cutoff);
    assert_eq!(batch.column_by_name("seed_type").unwrap().as_string::<i32>().value(row), "a");
    let is_known = |value: &Value| match (value, config.cutoff) {
        (&Value::Time(time), Some(cutoff)) => time < cutoff || (time == cutoff && config.equal_time == EqualTime::Keep),
        _ => true,
    };
    for (node_type, number) in [("a", "a._node"), ("b", "b.node")] {
        let id = schema.node_type(node_type).unwrap();
        let nodes: Vec<_> = subgraph.nodes.iter().filter(|node| node.node_type == id).collect();
        assert_eq!(numbers(batch, row, number), nodes.iter().map(|node| node.node).collect::<Vec<_>>());
        let hops = items(batch, row, &format!("{node_type}.hop"));
        assert_eq!(hops.as_primitive::<UInt16Type>().values(), &nodes.iter().map(|node| node.hop).collect::<Vec<_>>()[..]);
        let keys = items(batch, row, &format!("{node_type}.key"));
        for (at, node) in nodes.iter().enumerate() {
            assert_eq!(keys.as_string::<i32>().value(at), snapshot.key(id, node.node));
        }
        for (attribute, known) in (0..).map(AttributeId).zip(&schema.node(id).attributes) {
            if matches!(known.name.as_str(), "note" | "locus" | "never") {
                assert!(batch.column_by_name(&format!("a.{}", known.name)).is_none());
                continue;
            }
            let found = items(batch, row, &format!("{node_type}.{}", known.name));
            assert_eq!(found.len(), nodes.len());
            for (at, node) in nodes.iter().enumerate() {
                let expected = snapshot.value(id, attribute, node.node).filter(is_known);
                let expected = expected.filter(|_| is_shown(attribute, node.node, node.hop == 0));
                assert_eq!(value(&found, at, known.kind, false), expected, "{} of {}", known.name, node.node);
                compared += 1;
            }
        }
    }
    for (relation, ends) in
        [(RelationId(0), ["a.r.b.source", "a.r.b.target"]), (RelationId(1), ["a.s.a._source", "a.s.a.target"])]
    {
        let edges: Vec<_> = subgraph.edges.iter().filter(|edge| edge.relation == relation).collect();
        let expected: Vec<(u32, u32)> = edges.iter().map(|edge| edge.ends()).map(|(a, b)| (place(a), place(b))).collect();
        let [sources, targets] = ends.map(|end| numbers(batch, row, end));
        assert_eq!(sources.into_iter().zip(targets).collect::<Vec<_>>(), expected);
        let title = schema.relation_title(relation);
        let incoming = items(batch, row, &format!("{title}.incoming"));
        for (attribute, known) in (0..).map(AttributeId).zip(&schema.edge(relation).attributes) {
            let found = items(batch, row, &format!("{title}.{}", known.name));
            for (at, edge) in edges.iter().enumerate() {
                assert_eq!(incoming.as_boolean().value(at), edge.direction == Direction::Incoming);
                let expected = edge_value(snapshot, relation, edge.direction, attribute, edge.position as usize);
                assert_eq!(value(&found, at, known.kind, true), expected, "{} of edge {at}", known.name);
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn shards_hold_what_the_sampler_draws() {
    let mut compared = 0;
    for seed in 0..24 {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = store(&folder.path().join("s.relata"), seed);
        let grouping = if seed % 4 < 2 { Grouping::Each } else { Grouping::Batch(7) };
        let format = if seed % 8 < 4 { TableFormat::Arrow } else { TableFormat::Parquet };
        let drawing = drawing(&snapshot, seed, grouping);
        let expected = subgraphs(&drawing, &snapshot, grouping);
        let out = folder.path().join("out");
        let exported = to_shards(drawing.clone(), &out, Shards { format, rows: 4 }, QUIET).unwrap();
        let rows = exported.parts.iter().map(|part| part.rows).sum::<u64>();
        assert_eq!((rows, drawing.len()), (expected.len() as u64, expected.len() as u64), "seed {seed}");
        let mut next = 0;
        for part in &exported.parts {
            for batch in read(&out.join(&part.name)) {
                assert_eq!(batch.schema().fields(), drawing.table().schema().fields());
                for row in 0..batch.num_rows() {
                    let number = batch.column_by_name("subgraph").unwrap().as_primitive::<UInt64Type>().value(row);
                    assert_eq!(number, next as u64, "seed {seed}");
                    let context = (&snapshot, drawing.sampler().config());
                    compared += compare(&batch, row, context, &expected[next], &|_, _, _| true);
                    next += 1;
                }
            }
        }
        assert_eq!(next, expected.len());
        let manifest: serde_json::Value = serde_json::from_str(&fs::read_to_string(out.join("manifest.json")).unwrap()).unwrap();
        let edges: usize = expected.iter().map(|subgraph| subgraph.edges.len()).sum();
        assert_eq!((&manifest["subgraphs"], &manifest["edges"]), (&expected.len().into(), &edges.into()));
        assert_eq!((&manifest["snapshot"], &manifest["seed_type"]), (&snapshot.id().as_str().into(), &"a".into()));
        assert_eq!(manifest["shards"].as_array().unwrap().len(), expected.len().div_ceil(4));
        let config: SamplerConfig = serde_json::from_value(manifest["sampler"].clone()).unwrap();
        assert_eq!(&config, drawing.sampler().config());
    }
    assert!(compared > 20_000, "{compared}");
}

#[test]
fn the_schema_says_how_it_was_drawn_and_leaves_out_what_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = store(folder.path(), 1);
    let drawing = drawing(&snapshot, 1, Grouping::Each);
    let schema = drawing.table().schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let expected = "subgraph seed_type seeds retrieved cutoff \
        a._node a.hop a.key a.number a.reads a.flag a.kind a.at a.place a.node b.node b.hop b.key \
        a.r.b.source a.r.b.target a.r.b.incoming a.r.b.weight a.r.b.sure a.r.b.how a.r.b.at \
        a.s.a._source a.s.a.target a.s.a.incoming a.s.a.source";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    let metadata = schema.metadata();
    assert_eq!(metadata["relata.snapshot"], snapshot.id().as_str());
    assert_eq!((metadata["relata.version"].as_str(), metadata["relata.draw"].as_str()), (env!("CARGO_PKG_VERSION"), "4"));
    assert_eq!(metadata["relata.relations"], r#"["a.r.b","a.s.a","b.t.c","c.u.d"]"#);
    assert_eq!(metadata["relata.node_types"], r#"["a","b","c","d"]"#);
    assert_eq!(&serde_json::from_str::<SamplerConfig>(&metadata["relata.sampler"]).unwrap(), drawing.sampler().config());
    let at = schema.field_with_name("a.at").unwrap().metadata();
    assert_eq!((at["kind"].as_str(), at["unit"].as_str(), at["about"].as_str()), ("time", "hours", "since the start"));
}

#[test]
fn a_stream_is_the_same_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = store(folder.path(), 3);
    let drawing = drawing(&snapshot, 3, Grouping::Each);
    let expected = subgraphs(&drawing, &snapshot, Grouping::Each);
    let context = (&snapshot, &drawing.sampler().config().clone());
    let mut stream = ArrowStream::new(drawing).unwrap();
    let mut bytes = Vec::new();
    let mut pieces = 0;
    while let Some(piece) = stream.next_piece().unwrap() {
        bytes.extend(piece);
        pieces += 1;
    }
    assert!(pieces > 2 && stream.next_piece().unwrap().is_none());
    let mut rows = expected.iter();
    for batch in StreamReader::try_new(&bytes[..], None).unwrap().map(Result::unwrap) {
        (0..batch.num_rows()).for_each(|row| {
            compare(&batch, row, context, rows.next().unwrap(), &|_, _, _| true);
        });
    }
    assert!(rows.next().is_none());
}

/// A guard hides the seeds' own numbers, and one node's everything.
#[test]
fn what_a_guard_hides_is_null_and_all_else_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = store(folder.path(), 5);
    let shows = |attribute: AttributeId, node: u32, is_seed: bool| !(is_seed && attribute.0 == 0 || node == 3);
    let drawing = drawing(&snapshot, 5, Grouping::Batch(4)).with_table(|table| {
        table.showing(move |node_type, attribute, node, is_seed| node_type != NodeTypeId(0) || shows(attribute, node, is_seed))
    });
    let expected = subgraphs(&drawing, &snapshot, Grouping::Batch(4));
    let rows: Vec<Row<'_>> = (0..)
        .zip(&expected)
        .map(|(number, subgraph)| Row { number, subgraph, cutoff: drawing.sampler().config().cutoff })
        .collect();
    let batch = drawing.table().batch(&rows).unwrap();
    let context = (&snapshot, drawing.sampler().config());
    for (row, subgraph) in expected.iter().enumerate() {
        compare(&batch, row, context, subgraph, &shows);
    }
    // Nothing stands under the nulls.
    let number = batch.column_by_name("a.number").unwrap().as_list::<i32>().values().clone();
    let number = number.as_primitive::<Float64Type>();
    assert!((0..number.len()).all(|at| number.is_valid(at) || number.values()[at] == 0.0));
    let place = batch.column_by_name("a.place").unwrap().as_list::<i32>().values().clone();
    let place = place.as_fixed_size_list();
    let values = place.values().as_primitive::<Float32Type>();
    assert!((0..place.len()).all(|at| place.is_valid(at) || values.values()[2 * at + 1] == 0.0));
}

#[test]
fn a_seed_alone_is_a_row_with_empty_lists_and_no_rows_are_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = store(folder.path(), 2);
    let config = SamplerConfig { cutoff: Some(-100), ..config(&snapshot, 2) };
    let config = SamplerConfig { relations: vec![RelationId(0)], missing_time: crate::sampler::MissingTime::Drop, ..config };
    let sampler = Sampler::new(&snapshot, config).unwrap();
    let mut drawing = Drawing::new(sampler, 0, seeds(&snapshot, "b")[..1].to_vec(), Grouping::Each, false).unwrap();
    assert_eq!(drawing.table().batch(&[]).unwrap().num_rows(), 0);
    let batch = drawing.next_batch(9).unwrap().unwrap();
    assert_eq!((batch.num_rows(), drawing.drawn()), (1, [1, 1, 0]));
    assert_eq!((numbers(&batch, 0, "b.node"), numbers(&batch, 0, "seeds")), (vec![0], vec![0]));
    for name in ["a._node", "a.r.b.source", "a.r.b.target"] {
        assert_eq!(numbers(&batch, 0, name), Vec::<u32>::new());
    }
    assert!(batch.column_by_name("b.key").is_none());
    assert!(drawing.next_batch(9).unwrap().is_none());
}

#[test]
fn shards_replace_nothing_unasked_and_nothing_but_shards() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = store(&folder.path().join("s.relata"), 0);
    let out = folder.path().join("out");
    let write = |format, rows, options| to_shards(drawing(&snapshot, 0, Grouping::Each), &out, Shards { format, rows }, options);
    write(TableFormat::Arrow, 10, QUIET).unwrap();
    assert_eq!(names(&out), ["manifest.json", "part-00000.arrow", "part-00001.arrow", "part-00002.arrow"]);
    let refused = write(TableFormat::Parquet, 100, QUIET).unwrap_err().to_string();
    assert!(refused.contains("out") && refused.contains("--overwrite"), "{refused}");
    write(TableFormat::Parquet, 100, AGAIN).unwrap();
    assert_eq!(names(&out), ["manifest.json", "part-00000.parquet"]);
    write(TableFormat::Arrow, 100, AGAIN).unwrap();
    assert_eq!(names(&out), ["manifest.json", "part-00000.arrow"]);
    fs::remove_file(out.join("part-00000.arrow")).unwrap();
    fs::write(out.join("thesis.txt"), "years").unwrap();
    assert!(write(TableFormat::Arrow, 100, AGAIN).unwrap_err().to_string().contains("no export"));
    assert_eq!(names(&out), ["manifest.json", "thesis.txt"]);
    assert!(write(TableFormat::Arrow, 0, AGAIN).unwrap_err().to_string().contains("the rows of a shard: found 0"));
    assert_eq!(names(folder.path()), ["out", "s.relata"]);
}

#[test]
fn what_cannot_be_drawn_is_said_before_anything_is() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = store(folder.path(), 0);
    let sampler = Sampler::new(&snapshot, config(&snapshot, 0)).unwrap();
    let refused = |seeds: Vec<Hit>, grouping| match Drawing::new(sampler.clone(), 0, seeds, grouping, false) {
        Err(error) => error.to_string(),
        Ok(_) => "none".to_owned(),
    };
    let a = Hit { node_type: NodeTypeId(0), node: 0 };
    assert_eq!(refused(vec![], Grouping::Each), "seeds: found none, expected one at least");
    let b = Hit { node_type: NodeTypeId(1), node: 0 };
    assert_eq!(refused(vec![a, b], Grouping::Each), "seeds: found nodes of several types, expected nodes of one type");
    assert_eq!(refused(vec![a], Grouping::Batch(0)), "batch: found 0, expected 1 at least");
    assert!(refused(vec![Hit { node: 30, ..a }], Grouping::Each).contains("node 30 of a"));
    assert!(refused(vec![Hit { node_type: NodeTypeId(9), node: 0 }], Grouping::Each).contains("node type number 9"));
    // A subgraph of another sampler has what this one's table has no column for.
    let table = SubgraphTable::new(&sampler, 0, NodeTypeId(0), false);
    let other = Sampler::new(&snapshot, SamplerConfig::new(Walk::neighbour([5]), [RelationId(3)])).unwrap();
    let foreign = other.sample(&[Hit { node_type: NodeTypeId(2), node: 0 }], 0).unwrap();
    let error = table.batch(&[Row { number: 0, subgraph: &foreign, cutoff: None }]).unwrap_err().to_string();
    assert_eq!(error, "the subgraphs' seeds: found c, expected a");
    let foreign = Subgraph { seeds: vec![], ..foreign };
    let error = table.batch(&[Row { number: 0, subgraph: &foreign, cutoff: None }]).unwrap_err().to_string();
    assert!(error.contains("found c, expected types that the sampler reaches"), "{error}");
}

#[test]
fn seeds_have_cutoffs_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = store(folder.path(), 4);
    let seeds = seeds(&snapshot, "a");
    let cutoffs: Vec<i64> = (0..seeds.len() as i64).map(|at| at % 9 - 1).collect();
    let with = |cutoff, grouping| {
        let config = SamplerConfig { cutoff, ..config(&snapshot, 4) };
        Drawing::new(Sampler::new(&snapshot, config).unwrap(), 4, seeds.clone(), grouping, true).unwrap()
    };
    let mut drawing = with(Some(7), Grouping::Each).until(cutoffs.clone()).unwrap();
    let mut at = 0;
    while let Some(batch) = drawing.next_batch(u64::MAX).unwrap() {
        for row in 0..batch.num_rows() {
            // What the seed alone is with a configuration that has its cutoff.
            let alone = with(Some(cutoffs[at]), Grouping::Each);
            let expected = alone.sampler().sample(&seeds[at..=at], 4).unwrap();
            compare(&batch, row, (&snapshot, alone.sampler().config()), &expected, &|_, _, _| true);
            at += 1;
        }
    }
    assert_eq!(at, seeds.len());
    let refused = |drawing: Drawing, cutoffs| drawing.until(cutoffs).err().unwrap().to_string();
    let error = refused(with(Some(7), Grouping::Batch(2)), cutoffs.clone());
    assert_eq!(error, "cutoffs: found seeds that share a subgraph, expected a subgraph around each");
    let error = refused(with(Some(7), Grouping::Each), vec![7]);
    assert_eq!(error, "cutoffs: found 1, expected 30, one for each seed");
    for (found, shown) in [(None, "none"), (Some(8), "8")] {
        let error = refused(with(found, Grouping::Each), cutoffs.clone());
        assert_eq!(error, format!("cutoff: found {shown}, expected 7, the latest of the seeds' own"));
    }
}
