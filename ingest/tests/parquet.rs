//! Parquet, beside the same tables as text, which another reader reads.

mod support;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMillisecondArray, UInt16Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use relata::snapshot::{EdgeColumn, Snapshot};
use relata::store::LoadOptions;
use relata_ingest::{Manifest, Options, plan, run};
use relata_schema::{Direction, Tally};
use support::{Content, Folder};

const QUIET: Options = Options { quiet: true, again: false, no_snapshot: false, load: LoadOptions { staging_bytes: 1 << 30 } };

const SCHEMA: &str = r#"
[node.user]
attributes.name = { kind = "text", identifier = true }
attributes.height = { kind = "number" }
attributes.visits = { kind = "count" }
attributes.active = { kind = "boolean" }
attributes.group = { kind = "category" }
attributes.joined = { kind = "time", unit = "s" }
attributes.born = { kind = "time", unit = "h" }
attributes.taste = { kind = "vector(3)" }
attributes.place = { kind = "interval" }
attributes.letters = { kind = "sequence" }

[node.item]
attributes.name = { kind = "text" }
attributes.locus = { kind = "interval" }

[[relation]]
name = "bought"
source = "user"
target = "item"
attributes.price = { kind = "number" }
attributes.pieces = { kind = "count" }
attributes.gift = { kind = "boolean" }
attributes.channel = { kind = "category" }
attributes.at = { kind = "time", unit = "s" }
attributes.shop = { kind = "category" }

[[relation]]
name = "knows"
source = "user"
target = "user"
"#;

fn parquet_with(columns: Vec<(&str, ArrayRef)>, properties: WriterPropertiesBuilder) -> Vec<u8> {
    // Nullable whether or not there is a null, as most writers have it.
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// In row groups of 100 rows.
fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    parquet_with(columns, WriterProperties::builder().set_max_row_group_row_count(Some(100)))
}

/// A folder with the schema of these tests.
fn folder(files: &[(&str, &[u8])]) -> Folder {
    let folder = Folder::new(files);
    folder.write("schema.toml", SCHEMA);
    folder
}

fn manifest(folder: &Folder, name: &str, sources: &str) -> PathBuf {
    let head = "schema = { path = \"schema.toml\", builtin = false }\n[dataset]\nname = \"small\"\n";
    folder.write(name, format!("{head}{sources}"))
}

/// Plans and loads sources into a new store: the tally of each, and all that the snapshot holds, line by line.
fn load(folder: &Folder, sources: &str) -> (Vec<Tally>, Vec<String>) {
    let manifest = Manifest::read(&manifest(folder, "m.toml", sources)).unwrap();
    let store = folder.path("m.relata");
    let _ = std::fs::remove_dir_all(&store);
    let planned = plan(&manifest, QUIET).unwrap();
    let report = run(&manifest, &store, QUIET).unwrap();
    assert_eq!(planned.sources, report.sources, "a plan counts what a run counts");
    let tallies = report.sources.into_iter().map(|source| source.tally).collect();
    (tallies, content(&Snapshot::current(&store).unwrap()))
}

fn content(snapshot: &Snapshot) -> Vec<String> {
    let schema = snapshot.schema();
    let mut lines = Vec::new();
    for id in schema.node_type_ids() {
        for node in 0..snapshot.node_count(id) {
            let ids = (0u16..).zip(&schema.node(id).attributes);
            let values: Vec<String> = ids
                .map(|(at, known)| format!("{}={:?}", known.name, snapshot.value(id, relata_schema::AttributeId(at), node)))
                .collect();
            lines.push(format!("{} {}: {}", schema.node(id).name, snapshot.key(id, node), values.join(" ")));
        }
    }
    for id in schema.relation_ids() {
        let (relation, adjacency) = (schema.edge(id), snapshot.adjacency(id, Direction::Outgoing));
        for node in 0..snapshot.node_count(relation.source) {
            for edge in adjacency.range(node) {
                let far = snapshot.key(relation.target, adjacency.targets[edge]);
                let near = snapshot.key(relation.source, node);
                let mut line = format!("{near} {} {far} at {:?}", relation.name, adjacency.times.get(edge));
                for (at, known) in (0u16..).zip(&relation.attributes) {
                    let at = relata_schema::AttributeId(at);
                    line += &match snapshot.edge_column(id, Direction::Outgoing, at) {
                        EdgeColumn::Number(numbers) => format!(" {}={:?}", known.name, numbers.get(edge)),
                        EdgeColumn::Category(codes) => {
                            let names = snapshot.edge_categories(id, at);
                            format!(" {}={:?}", known.name, codes.get(edge).and_then(|&code| names.get(code as usize)))
                        }
                    };
                }
                lines.push(line);
            }
        }
    }
    // Parallel edges of one time stand in the order of the load, which the codes of categories do not change.
    lines.sort();
    lines
}

/// A table of text counts its header as line 1, Parquet its first row as row 1.
fn rows_for_lines(mut tallies: Vec<Tally>) -> Vec<Tally> {
    let examples = tallies.iter_mut().flat_map(|tally| &mut tally.drops).flat_map(|drop| &mut drop.examples);
    for example in examples {
        if let Some(line) = example.strip_prefix("line ").and_then(|line| line.parse::<u64>().ok()) {
            *example = format!("row {}", line - 1);
        }
    }
    tallies
}

/// The same sources, of text and of Parquet, come to the same.
fn assert_same(folder: &Folder, sources: &str) -> (Vec<Tally>, Vec<String>) {
    let (as_text, text_content) = load(folder, &sources.replace(".parquet", ".tsv"));
    let (tallies, found) = load(folder, sources);
    assert_eq!(found, text_content, "{sources}");
    assert_eq!(tallies, rows_for_lines(as_text), "{sources}");
    (tallies, found)
}

/// Knuth's linear congruential generator of MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }

    /// Now and then nothing.
    fn some<T>(&mut self, value: T) -> Option<T> {
        (self.below(7) > 0).then_some(value)
    }
}

fn cell<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(String::new, ToString::to_string)
}

fn tsv(columns: &[(&str, Vec<String>)]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let row = |row: usize| columns.iter().map(|column| column.1[row].as_str()).collect::<Vec<_>>().join("\t");
    let rows: Vec<String> = (0..columns[0].1.len()).map(row).collect();
    format!("{}\n{}\n", names.join("\t"), rows.join("\n"))
}

/// Both forms of a table of 450 users, whose keys are 0, 3, 6, …, with one null and one key twice.
fn users(random: &mut Random) -> (Vec<u8>, String) {
    let rows = 450;
    let mut each = |make: &mut dyn FnMut(&mut Random, i64) -> Option<i64>| -> Vec<Option<i64>> {
        (0..rows).map(|row| make(random, row)).collect()
    };
    let id = each(&mut |_, row| (row != 40).then_some(if row == 41 { 0 } else { 3 * row }));
    let height = each(&mut |random, _| {
        let height = random.below(2000) as i64;
        random.some(height)
    });
    let visits = each(&mut |random, _| {
        let visits = random.below(9) as i64;
        random.some(visits)
    });
    let active = each(&mut |random, _| {
        let active = random.below(2) as i64;
        random.some(active)
    });
    let group = each(&mut |random, _| {
        let group = random.below(5) as i64;
        random.some(group)
    });
    // Before 1970 too, and between two seconds, which belongs to the earlier one.
    let joined = each(&mut |random, _| {
        let joined = random.below(4_000_000) as i64 - 2_000_000;
        random.some(joined)
    });
    let born = each(&mut |random, _| {
        let born = random.below(20_000) as i64 - 5_000;
        random.some(born)
    });
    let taste = each(&mut |random, row| random.some(row));
    let of = |values: &[Option<i64>], show: &dyn Fn(i64) -> String| -> Vec<Option<String>> {
        values.iter().map(|value| value.map(show)).collect()
    };
    let name = of(&id, &|id| format!("user {id}"));
    let group = of(&group, &|group| format!("g{group}"));
    let place = of(&visits, &|visits| format!("chr{visits}:{}-{}", 10 * visits, 10 * visits + 5));
    let letters = of(&born, &|born| "ACGT".repeat(born.rem_euclid(3) as usize + 1));
    let mut lists = ListBuilder::new(Float32Builder::new());
    for row in &taste {
        if let Some(row) = row {
            lists.values().append_slice(&[*row as f32, 0.5, -1.0]);
        }
        lists.append(row.is_some());
    }
    let halves: Vec<Option<f64>> = height.iter().map(|height| height.map(|height| height as f64 / 2.0)).collect();
    let strings = |values: &[Option<String>]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let bytes = parquet(vec![
        ("id", Arc::new(Int64Array::from(id.clone()))),
        ("name", strings(&name)),
        ("height", Arc::new(Float64Array::from(halves.clone()))),
        ("visits", Arc::new(Int32Array::from_iter(visits.iter().map(|value| value.map(|value| value as i32))))),
        ("active", Arc::new(BooleanArray::from_iter(active.iter().map(|value| value.map(|value| value == 1))))),
        ("group", strings(&group)),
        ("joined", Arc::new(TimestampMillisecondArray::from(joined.clone()))),
        ("born", Arc::new(Date32Array::from_iter(born.iter().map(|value| value.map(|value| value as i32))))),
        ("taste", Arc::new(lists.finish())),
        ("place", strings(&place)),
        ("letters", strings(&letters)),
    ]);
    let cells = |values: &[Option<String>]| values.iter().map(cell).collect::<Vec<_>>();
    let text = tsv(&[
        ("id", id.iter().map(cell).collect()),
        ("name", cells(&name)),
        ("height", halves.iter().map(cell).collect()),
        ("visits", visits.iter().map(cell).collect()),
        ("active", cells(&of(&active, &|active| if active == 1 { "yes" } else { "no" }.to_owned()))),
        ("group", cells(&group)),
        ("joined", cells(&of(&joined, &|joined| joined.div_euclid(1000).to_string()))),
        ("born", cells(&of(&born, &|born| (24 * born).to_string()))),
        ("taste", cells(&of(&taste, &|row| format!("{row},0.5,-1")))),
        ("place", cells(&place)),
        ("letters", cells(&letters)),
    ]);
    (bytes, text)
}

const USERS: &str = r#"
[[source]]
path = "users.parquet"
node = "user"
key = "id"
attributes = { name = "name", height = "height", visits = "visits", active = "active", group = "group", joined = "joined", born = "born", taste = "taste", place = "place", letters = "letters" }
"#;

#[test]
fn nodes_with_attributes_of_all_kinds_are_those_of_the_same_text() {
    let (bytes, text) = users(&mut Random(1));
    let folder = folder(&[("users.parquet", &bytes), ("users.tsv", text.as_bytes())]);
    let (tallies, found) = assert_same(&folder, USERS);
    assert_eq!((tallies[0].read, tallies[0].kept, tallies[0].nodes, found.len()), (450, 448, 448, 448));
    let reasons: Vec<&str> = tallies[0].drops.iter().map(|drop| drop.reason.as_str()).collect();
    assert_eq!(reasons, ["row that names no user", "row about a user that an earlier row is about"]);
    let first = "user 3: name=Some(Text(\"user 3\"))";
    assert!(found.iter().any(|line| line.starts_with(first)), "an integer key is its decimal digits: {}", found[0]);
    for (what, value) in [("taste", "Vector([1.0, 0.5, -1.0])"), ("place", "contig: \"chr"), ("letters", "Sequence(\"ACGT")] {
        assert!(found.iter().any(|line| line.contains(&format!("{what}=Some(")) && line.contains(value)), "{what}");
    }
}

/// Both forms of a table of edges, by integers (`src`, `dst`), strings (`from`), names (`who`) and intervals. Of the
/// integers, a third names no user, and some are null; of items, none is there before.
fn purchases(random: &mut Random, rows: usize) -> (Vec<u8>, String) {
    let of = |random: &mut Random, bound: u64| -> Vec<Option<i64>> {
        (0..rows)
            .map(|_| {
                let value = random.below(bound) as i64;
                random.some(value)
            })
            .collect()
    };
    let (src, dst, price) = (of(random, 60), of(random, 40), of(random, 1000));
    let (pieces, gift, channel, at) = (of(random, 9), of(random, 2), of(random, 4), of(random, 100_000));
    let prices: Vec<Option<f32>> = price.iter().map(|price| price.map(|price| price as f32 / 4.0)).collect();
    let from: Vec<Option<String>> = src.iter().map(|src| src.map(|src| format!("u{src}"))).collect();
    let who: Vec<Option<String>> = src.iter().map(|src| src.map(|src| format!("user {src}"))).collect();
    let two: Vec<Option<String>> = dst.iter().map(|dst| dst.map(|dst| format!("{dst};{}", dst + 1))).collect();
    let channels: Vec<Option<String>> = channel.iter().map(|channel| channel.map(|channel| format!("c{channel}"))).collect();
    let ends: Vec<Option<i64>> = dst.iter().map(|dst| dst.map(|dst| dst + 7)).collect();
    let strings = |values: &[Option<String>]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let bytes = parquet(vec![
        ("src", Arc::new(Int64Array::from(src.clone()))),
        ("dst", Arc::new(UInt64Array::from_iter(dst.iter().map(|dst| dst.map(|dst| dst as u64))))),
        ("from", strings(&from)),
        ("who", strings(&who)),
        ("two", strings(&two)),
        ("end", Arc::new(Int64Array::from(ends.clone()))),
        ("price", Arc::new(Float32Array::from(prices.clone()))),
        ("pieces", Arc::new(UInt16Array::from_iter(pieces.iter().map(|value| value.map(|value| value as u16))))),
        ("gift", Arc::new(BooleanArray::from_iter(gift.iter().map(|value| value.map(|value| value == 1))))),
        ("channel", strings(&channels)),
        ("at", Arc::new(Int64Array::from(at.clone()))),
    ]);
    let cells = |values: &[Option<String>]| values.iter().map(cell).collect::<Vec<_>>();
    let integers = |values: &[Option<i64>]| values.iter().map(cell).collect::<Vec<_>>();
    let text = tsv(&[
        ("src", integers(&src)),
        ("dst", integers(&dst)),
        ("from", cells(&from)),
        ("who", cells(&who)),
        ("two", cells(&two)),
        ("end", integers(&ends)),
        ("price", prices.iter().map(cell).collect()),
        ("pieces", integers(&pieces)),
        ("gift", integers(&gift)),
        ("channel", cells(&channels)),
        ("at", integers(&at)),
    ]);
    (bytes, text)
}

#[test]
fn edges_are_those_of_the_same_text_however_their_ends_are_named() {
    let mut random = Random(2);
    let ((users, users_text), (bytes, text)) = (users(&mut random), purchases(&mut random, 730));
    let folder = folder(&[
        ("users.parquet", &users),
        ("users.tsv", users_text.as_bytes()),
        ("bought.parquet", &bytes),
        ("bought.tsv", text.as_bytes()),
    ]);
    let values = "price = \"price\", pieces = \"pieces\", gift = \"gift\", channel = \"channel\", at = \"at\"";
    let mapped = "{ column = \"channel\", map = { c1 = \"one\", c2 = \"NA\" } }";
    for columns in [
        format!("source = \"src\", target = {{ column = \"dst\", unmatched = \"make\" }}, {values}"),
        format!("source = {{ column = \"src\", unmatched = \"make\" }}, target = {{ column = \"dst\", unmatched = \"make\" }}, {values}"),
        "source = { column = \"src\", unmatched = \"make\" }, target = \"dst\"".to_owned(),
        format!("source = {{ column = \"who\", match = \"name\" }}, target = {{ column = \"dst\", unmatched = \"make\" }}, channel = {mapped}"),
        "source = { column = \"who\", match = \"name\", unmatched = \"make\" }, target = { column = \"dst\", unmatched = \"make\" }".to_owned(),
        format!("source = {{ column = \"from\", prefix = \"u\", map = {{ 1 = \"3\" }} }}, target = {{ column = \"two\", unmatched = \"make\" }}, {values}"),
        format!("source = \"src\", target = {{ column = \"two\", split = \";\", unmatched = \"make\" }}, {values}"),
        "source = { column = \"from\", or = { column = \"src\" } }, target = { column = \"dst\", unmatched = \"make\" }".to_owned(),
        format!("source = \"src\", target = {{ contig = \"channel\", start = \"dst\", end = \"end\" }}, {values}"),
    ] {
        let edges = format!("[[source]]\npath = \"bought.parquet\"\nrelation = \"bought\"\ncolumns = {{ {columns} }}\n");
        for constants in ["", "constants = { shop = \"Riga\" }\n"] {
            let (tallies, _) = assert_same(&folder, &format!("{USERS}{edges}{constants}"));
            let (read, kept) = (tallies[1].read, tallies[1].kept);
            assert!(read >= 730 && kept < read, "{read} {kept} {columns}");
        }
    }
    // Another source goes on with what the first one found, and with what it made.
    let first = "[[source]]\npath = \"bought.parquet\"\nname = \"first\"\nrelation = \"bought\"\ncolumns = { source = \"src\", target = { column = \"dst\", unmatched = \"make\" } }\n";
    let made = "[[source]]\npath = \"bought.parquet\"\nname = \"made\"\nrelation = \"knows\"\ncolumns = { source = { column = \"dst\", unmatched = \"make\" }, target = \"src\" }\n";
    let again = first.replace("name = \"first\"", "name = \"again\"");
    let (tallies, _) = assert_same(&folder, &format!("{USERS}{first}{made}{again}"));
    assert!(tallies[3].kept > tallies[1].kept, "users that the second source made are found by the third");
}

/// A time that one row lacks is missing there, whatever the row before it has.
#[test]
fn a_missing_time_is_not_that_of_the_row_before() {
    let columns = || -> Vec<(&str, ArrayRef)> {
        vec![
            ("src", Arc::new(Int64Array::from(vec![1, 1, 1]))),
            ("dst", Arc::new(Int64Array::from(vec![5, 6, 7]))),
            ("at", Arc::new(Int64Array::from(vec![Some(9), None, Some(11)]))),
        ]
    };
    let text = "src\tdst\tat\n1\t5\t9\n1\t6\t\n1\t7\t11\n";
    let folder = folder(&[("e.parquet", &parquet(columns())), ("e.tsv", text.as_bytes())]);
    let source = "[[source]]\npath = \"e.parquet\"\nrelation = \"bought\"\nunmatched = \"make\"\ncolumns = { source = \"src\", target = \"dst\", at = \"at\" }\n";
    let (_, found) = assert_same(&folder, source);
    let bought = |item: u32, time: &str| found.iter().any(|line| line.starts_with(&format!("1 bought {item} at {time} ")));
    assert!(bought(5, "Some(9)") && bought(6, "None") && bought(7, "Some(11)"), "{found:?}");
}

/// Keys far apart, negative and at the ends of 64 bits.
#[test]
fn integers_of_any_range_are_keys() {
    let keys = [i64::MIN, -7, 0, 3, 1 << 40, i64::MAX];
    let mut random = Random(5);
    let pairs: Vec<(i64, i64)> = (0..500).map(|_| (keys[random.below(6) as usize], keys[random.below(6) as usize])).collect();
    let ends = [pairs.iter().map(|pair| pair.0).collect::<Vec<_>>(), pairs.iter().map(|pair| pair.1).collect()];
    let text = tsv(&[("a", ends[0].iter().map(i64::to_string).collect()), ("b", ends[1].iter().map(i64::to_string).collect())]);
    let [a, b] = ends.map(|end| Arc::new(Int64Array::from(end)) as ArrayRef);
    let large = Arc::new(UInt64Array::from(vec![u64::MAX, 1 << 63])) as ArrayRef;
    let large = parquet(vec![("a", large.clone()), ("b", large)]);
    let large_text = format!("a\tb\n{0}\t{0}\n{1}\t{1}\n", u64::MAX, 1_u64 << 63);
    let folder = folder(&[
        ("e.parquet", &parquet(vec![("a", a), ("b", b)])),
        ("e.tsv", text.as_bytes()),
        ("large.parquet", &large),
        ("large.tsv", large_text.as_bytes()),
    ]);
    let source = |path: &str| {
        format!(
            "[[source]]\npath = \"{path}\"\nrelation = \"knows\"\nunmatched = \"make\"\ncolumns = {{ source = \"a\", target = \"b\" }}\n"
        )
    };
    let (tallies, _) = assert_same(&folder, &format!("{}{}", source("e.parquet"), source("large.parquet")));
    assert_eq!((tallies[0].nodes, tallies[0].edges, tallies[1].nodes), (6, 500, 2));
}

#[test]
fn every_codec_and_encoding_is_read() {
    let mut random = Random(3);
    let names: Vec<String> = (0..3000).map(|_| format!("n{}", random.below(500))).collect();
    let numbers: Vec<f64> = (0..3000).map(|row| row as f64 / 8.0).collect();
    let table = || -> Vec<(&str, ArrayRef)> {
        vec![
            ("from", Arc::new(StringArray::from(names.clone()))),
            ("to", Arc::new(Int32Array::from_iter_values((0..3000).map(|row| row % 77)))),
            ("price", Arc::new(Float64Array::from(numbers.clone()))),
        ]
    };
    let source = "[[source]]\npath = \"e.parquet\"\nrelation = \"bought\"\nunmatched = \"make\"\ncolumns = { source = \"from\", target = \"to\", price = \"price\" }\n";
    let folder = folder(&[]);
    let mut expected = None;
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ] {
        for has_dictionary in [true, false] {
            let properties = WriterProperties::builder().set_compression(codec).set_dictionary_enabled(has_dictionary);
            folder.write("e.parquet", parquet_with(table(), properties.set_max_row_group_row_count(Some(1000))));
            let (tallies, found) = load(&folder, source);
            assert_eq!((tallies[0].kept, tallies[0].edges), (3000, 3000));
            assert_eq!(&found, expected.get_or_insert(found.clone()), "{codec:?}, {has_dictionary}");
        }
    }
}

/// Row groups of more rows than one part has come whole and in order; ends are named by integers, by texts of one
/// dictionary a row group, and by texts whose dictionary ends before the row group does, so that parts have their own.
#[test]
fn large_row_groups_come_in_parts() {
    let (rows, nodes) = (400_000_u64, 3000);
    let mut random = Random(4);
    let pairs: Vec<(u64, u64)> = (0..rows).map(|_| (random.below(nodes), random.below(nodes))).collect();
    let integers =
        |of: fn(&(u64, u64)) -> u64| Arc::new(Int64Array::from_iter_values(pairs.iter().map(|pair| of(pair) as i64))) as ArrayRef;
    let texts = |of: fn(&(u64, u64)) -> u64| {
        Arc::new(StringArray::from_iter_values(pairs.iter().map(|pair| of(pair).to_string()))) as ArrayRef
    };
    let groups = || WriterProperties::builder().set_max_row_group_row_count(Some(300_000));
    let small = || groups().set_dictionary_page_size_limit(1 << 10).set_data_page_size_limit(1 << 14);
    for (ends, properties) in [
        ([integers(|pair| pair.0), integers(|pair| pair.1)], groups()),
        ([texts(|pair| pair.0), texts(|pair| pair.1)], groups()),
        ([texts(|pair| pair.0), integers(|pair| pair.1)], small()),
        ([texts(|pair| pair.0), texts(|pair| pair.1)], small()),
    ] {
        let [a, b] = ends;
        let at = Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef;
        let folder = folder(&[("e.parquet", &parquet_with(vec![("a", a), ("b", b), ("at", at)], properties))]);
        let source = "[[source]]\npath = \"e.parquet\"\nrelation = \"bought\"\nunmatched = \"make\"\ncolumns = { source = \"a\", target = \"b\", at = \"at\" }\n";
        let manifest = Manifest::read(&manifest(&folder, "m.toml", source)).unwrap();
        let report = run(&manifest, &folder.path("m.relata"), QUIET).unwrap();
        assert_eq!((report.sources[0].tally.read, report.sources[0].tally.edges), (rows, rows));
        let snapshot = Snapshot::current(&folder.path("m.relata")).unwrap();
        let (user, item) = (snapshot.schema().node_type("user").unwrap(), snapshot.schema().node_type("item").unwrap());
        let adjacency = snapshot.adjacency(snapshot.schema().relation("bought").unwrap(), Direction::Outgoing);
        let mut found = vec![(0, 0); rows as usize];
        for node in 0..snapshot.node_count(user) {
            for edge in adjacency.range(node) {
                let key = |text: &str| text.parse::<u64>().unwrap();
                found[adjacency.times.raw(edge) as usize] =
                    (key(snapshot.key(user, node)), key(snapshot.key(item, adjacency.targets[edge])));
            }
        }
        assert!(found == pairs, "the edge of each row is known by its time");
    }
}

/// Both a plan and a run into a store that holds something fail with all of `parts`, and the store is as it was.
fn assert_refused(folder: &Folder, sources: &str, parts: &[&str]) {
    let store = folder.path("good.relata");
    if !store.exists() {
        folder.write("good.tsv", "id\n1\n2\n");
        let good = "[[source]]\npath = \"good.tsv\"\nnode = \"user\"\nkey = \"id\"\n";
        run(&Manifest::read(&manifest(folder, "good.toml", good)).unwrap(), &store, QUIET).unwrap();
    }
    let before = Content::of(&store);
    let manifest = Manifest::read(&manifest(folder, "bad.toml", sources)).unwrap();
    let shown = run(&manifest, &store, QUIET).expect_err(sources).to_string();
    for part in parts {
        assert!(shown.contains(part), "`{part}` is missing in: {shown}");
    }
    assert_eq!(plan(&manifest, QUIET).unwrap_err().to_string(), shown);
    assert_eq!(Content::of(&store), before);
}

#[test]
fn a_column_of_another_type_or_name_is_refused_with_what_would_do() {
    let list = |numbers: Vec<Option<f32>>| -> ArrayRef {
        let mut lists = ListBuilder::new(Float32Builder::new());
        numbers.iter().for_each(|&number| lists.values().append_option(number));
        lists.append(true);
        let lists: ListArray = lists.finish();
        assert_eq!(lists.len(), 1);
        Arc::new(lists)
    };
    let of = |array: ArrayRef| parquet(vec![("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef), ("value", array)]);
    let real = || Arc::new(Float64Array::from(vec![0.5])) as ArrayRef;
    let integer = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let moment = || Arc::new(TimestampMillisecondArray::from(vec![5])) as ArrayRef;
    let folder = folder(&[]);
    let cases: Vec<(ArrayRef, &str, &[&str])> = vec![
        (real(), "group", &["column value: found DOUBLE", "`group`, a category", "expected strings, integers or booleans"]),
        (real(), "joined", &["found DOUBLE", "expected a date, a timestamp or integers"]),
        (real(), "taste", &["found DOUBLE", "expected lists of 3 numbers"]),
        (real(), "place", &["found DOUBLE", "expected strings such as `chr1:999-2000`"]),
        (moment(), "height", &["found INT64 (Timestamp", "expected integers, floating-point numbers or strings"]),
        (list(vec![Some(1.0)]), "visits", &["found a group (List)", "expected integers"]),
        (list(vec![Some(1.0)]), "taste", &["row 1, column value: found 1 numbers, expected 3"]),
        (list(vec![Some(1.0), None, Some(2.0)]), "taste", &["row 1, column value: found a list with a null in it"]),
        (integer(-1), "visits", &["row 1, column value: found -1, expected a non-negative whole number"]),
        (real(), "visits", &["row 1, column value: found 0.5, expected a non-negative whole number"]),
        (integer(2), "active", &["row 1, column value: found 2, expected true or false"]),
        (Arc::new(Float64Array::from(vec![f64::INFINITY])), "height", &["found inf, expected a finite number"]),
        (integer(i64::MIN), "joined", &["row 1, column value: found -9223372036854775808"]),
        (Arc::new(StringArray::from(vec!["tall"])), "height", &["row 1, column value: found `tall`, expected a number"]),
    ];
    for (array, attribute, parts) in cases {
        folder.write("n.parquet", of(array));
        let source = format!(
            "[[source]]\npath = \"n.parquet\"\nnode = \"user\"\nkey = \"id\"\nattributes = {{ {attribute} = \"value\" }}\n"
        );
        assert_refused(&folder, &source, parts);
    }
    folder.write("n.parquet", of(real()));
    let node = |key: &str| format!("[[source]]\npath = \"n.parquet\"\nnode = \"user\"\nkey = {key}\n");
    assert_refused(&folder, &node("\"value\""), &["found DOUBLE", "the name of a user", "strings or integers"]);
    assert_refused(&folder, &node("\"valeu\""), &["there is no column `valeu`; did you mean `value`? (columns: id, value)"]);
    let split = format!("{}attributes = {{ height = {{ column = \"value\", split = \";\" }} }}\n", node("\"id\""));
    assert_refused(&folder, &split, &["column value: found DOUBLE", "`split`, `prefix` and `map` act on texts"]);
    let edge = "[[source]]\npath = \"n.parquet\"\nrelation = \"bought\"\nunmatched = \"fail\"\ncolumns = { source = { column = \"id\", unmatched = \"make\" }, target = \"id\", price = \"value\" }\n";
    assert_refused(&folder, edge, &["n.parquet: row 1: no item has the key or name `1`", "unmatched"]);
    folder.write("n.parquet", of(Arc::new(Float64Array::from(vec![1e300]))));
    assert_refused(&folder, &edge.replace("fail", "make"), &["row 1, column value: found 1", "that 32 bits hold"]);
    let layout = format!("{}header = [\"a\"]\n", node("\"id\""));
    assert_refused(&folder, &layout, &["`header` does not belong to a source of format parquet"]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_no_parquet_file_or_a_truncated_one_is_refused() {
    let (whole, _) = users(&mut Random(6));
    let folder = folder(&[]);
    for (bytes, parts) in [
        (b"id\n1\n".to_vec(), ["n.parquet: the file: found 5 bytes", "Parquet"]),
        (b"id\n1\n2\n3\n4\n5\n6\n".to_vec(), ["n.parquet: the file: it is no Parquet file", "PAR1"]),
        (gzip(&whole), ["n.parquet: the file: it is compressed as a whole", "unpack it"]),
        ([&whole[..whole.len() - 4], b"PARE"].concat(), ["encrypted", "without encryption"]),
        ([&b"PAR1"[..], &[0xff; 40], b"PAR1"].concat(), ["n.parquet: the footer: ", "damaged or incomplete"]),
    ] {
        folder.write("n.parquet", bytes);
        assert_refused(&folder, &USERS.replace("users", "n"), &parts);
    }
    for length in [12, 100, whole.len() / 2, whole.len() - 100, whole.len() - 9, whole.len() - 1] {
        folder.write("n.parquet", &whole[..length]);
        assert_refused(&folder, &USERS.replace("users", "n"), &["n.parquet: the file: it does not end with `PAR1`"]);
    }
}

/// A damaged file is an error or another file, and never a panic that ends the program.
#[test]
fn a_file_with_any_byte_changed_is_refused_or_read() {
    let bytes = |codec| {
        let properties = WriterProperties::builder().set_compression(codec).set_max_row_group_row_count(Some(20));
        let integers = |factor: i64| Arc::new(Int64Array::from_iter_values((0..50).map(|row| row * factor % 17))) as ArrayRef;
        let text = Arc::new(StringArray::from_iter_values((0..50).map(|row| format!("c{}", row % 4)))) as ArrayRef;
        parquet_with(vec![("a", integers(3)), ("b", integers(5)), ("channel", text)], properties)
    };
    let source = "[[source]]\npath = \"e.parquet\"\nrelation = \"bought\"\nunmatched = \"make\"\ncolumns = { source = \"a\", target = \"b\", channel = \"channel\" }\n";
    let folder = folder(&[]);
    let manifest = manifest(&folder, "m.toml", source);
    for codec in [Compression::UNCOMPRESSED, Compression::ZSTD(ZstdLevel::default())] {
        let whole = bytes(codec);
        let (mut refused, step) = (0, 5);
        for at in (4..whole.len() - 4).step_by(step) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            folder.write("e.parquet", &changed);
            refused += usize::from(plan(&Manifest::read(&manifest).unwrap(), QUIET).is_err());
        }
        assert!(refused > whole.len() / step / 10, "{refused} of {} changes were noticed", whole.len() / step);
    }
    // One page overwritten: the store is as it was.
    let mut damaged = bytes(Compression::ZSTD(ZstdLevel::default()));
    damaged[40..80].fill(0xa5);
    folder.write("e.parquet", damaged);
    assert_refused(&folder, source, &["e.parquet: row group 0, column a: cannot be decoded", "damaged or incomplete"]);
}
