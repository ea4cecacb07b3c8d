use std::path::Path;

use proptest::prelude::*;
use relata_schema::{Interval, RelationId, Strand, Value};

use super::*;
use crate::snapshot::{EdgeData, SnapshotWriter};

const GENE: NodeTypeId = NodeTypeId(0);

fn schema() -> Schema {
    let text = r#"
        [node.gene.attributes]
        size = { kind = "number" }
        reads = { kind = "count" }
        biotype = { kind = "category" }
        symbol = { kind = "text" }
        is_known = { kind = "boolean" }
        found = { kind = "time" }
        locus = { kind = "interval" }
        place = { kind = "vector(2)" }
        bases = { kind = "sequence" }
        empty = { kind = "category" }
        not = { kind = "number" }
        [node.cell]
        [node.tissue]
        [[relation]]
        name = "expresses"
        source = "cell"
        target = "gene"
        [[relation]]
        name = "acts_on"
        source = "gene"
        target = "gene"
        [[relation]]
        name = "near"
        source = "gene"
        target = "gene"
        symmetric = true
        [[relation]]
        name = "in"
        source = "cell"
        target = "tissue"
    "#;
    Schema::default().extended_by(text, "test.toml").unwrap()
}

/// Six genes; the last has no values.
fn write(folder: &Path) -> Snapshot {
    let schema = schema();
    let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
    writer.nodes(GENE, &["g0", "g1", "g2", "g3", "g5", "g6"]).unwrap();
    writer.nodes(NodeTypeId(1), &["c0", "c1"]).unwrap();
    let mut column = |name: &str, values: [Option<Value>; 5]| {
        let values: Vec<_> = values.into_iter().chain([None]).collect();
        writer.column(GENE, schema.node_attribute(GENE, name).unwrap(), &values).unwrap();
    };
    column("size", [-1.5, 0.0, 2.0, 2.5, 1e9].map(|number| Some(Value::Number(number))));
    column("reads", [0, 1, 2, 3, 4].map(|count| Some(Value::Count(count))));
    column("not", [0, 1, 2, 3, 4].map(|number| Some(Value::Number(f64::from(number)))));
    let category = |name: &str| Some(Value::Category(name.to_owned()));
    column("biotype", [category("lncRNA"), category("protein_coding"), category("B \"x\""), None, category("lncRNA")]);
    let text = |name: &str| Some(Value::Text(name.to_owned()));
    column("symbol", [text("CD4"), text("CD8A"), None, text("MS4A1"), text("é, (x)")]);
    column("is_known", [Some(true), Some(false), None, Some(true), Some(false)].map(|truth| truth.map(Value::Boolean)));
    column("found", [-5, 0, 1_700_000_000_000, 7, 8].map(|time| Some(Value::Time(time))));
    let locus = |contig: &str, start, strand| Some(Value::Interval(Interval::new(contig, start, start + 10, strand).unwrap()));
    column(
        "locus",
        [
            locus("chr1", 0, Strand::Forward),
            locus("chr1", 100, Strand::Reverse),
            locus("chr10", 100, Strand::Unknown),
            None,
            locus("chrX", 500, Strand::Forward),
        ],
    );
    column("place", [Some(vec![0.0, 1.0]), None, Some(vec![1.0, 1.0]), None, None].map(|row| row.map(Value::Vector)));
    column(
        "bases",
        [Some("ACGT"), None, None, None, Some("T")].map(|bases| bases.map(|bases| Value::Sequence(bases.to_owned()))),
    );
    let edges = |sources: &[u32], targets: &[u32]| EdgeData {
        sources: sources.to_vec(),
        targets: targets.to_vec(),
        ..EdgeData::default()
    };
    writer.relation(RelationId(0), &edges(&[0, 0, 1, 1], &[0, 1, 1, 4])).unwrap();
    writer.relation(RelationId(1), &edges(&[0, 0, 1], &[1, 2, 2])).unwrap();
    writer.relation(RelationId(2), &edges(&[0, 0], &[1, 2])).unwrap();
    writer.publish(&[]).unwrap();
    Snapshot::current(folder).unwrap()
}

#[test]
fn each_kind_answers_its_questions() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = write(folder.path());
    let cases: [(&str, &[u32]); 60] = [
        ("size = 2", &[2]),
        ("size == 2.0", &[2]),
        ("size != 2", &[0, 1, 3, 4]),
        ("size<2.5", &[0, 1, 2]),
        ("size <= 2.5", &[0, 1, 2, 3]),
        ("size > -1.5", &[1, 2, 3, 4]),
        ("size >= 1e9", &[4]),
        ("size in (0, '2.5', 7)", &[1, 3]),
        ("size not in (0, 2.5, 7)", &[0, 2, 4]),
        ("not size in (0, 2.5, 7)", &[0, 2, 4]),
        ("reads > 1.5", &[2, 3, 4]),
        ("reads is missing", &[5]),
        ("biotype = lncRNA", &[0, 4]),
        ("biotype != lncRNA", &[1, 2]),
        ("not biotype = lncRNA", &[1, 2]),
        ("biotype is missing", &[3, 5]),
        ("biotype is known", &[0, 1, 2, 4]),
        ("biotype is not missing", &[0, 1, 2, 4]),
        ("not biotype is missing", &[0, 1, 2, 4]),
        ("biotype = \"B \\\"x\\\"\"", &[2]),
        ("biotype = 'B \"x\"'", &[2]),
        ("biotype in (lncRNA, protein_coding)", &[0, 1, 4]),
        ("empty is missing", &[0, 1, 2, 3, 4, 5]),
        ("empty is known", &[]),
        ("symbol = CD4", &[0]),
        ("symbol = cd4", &[]),
        ("symbol != CD4", &[1, 3, 4]),
        ("symbol >= CD8A", &[1, 3, 4]),
        ("symbol = 'é, (x)'", &[4]),
        ("symbol is missing", &[2, 5]),
        ("is_known = true", &[0, 3]),
        ("is_known != true", &[1, 4]),
        ("is_known = false or is_known is missing", &[1, 2, 4, 5]),
        ("found = 1700000000000", &[2]),
        ("found < 0", &[0]),
        ("found > 7 and found != 8", &[2]),
        ("locus.contig = chr1", &[0, 1]),
        ("locus.contig != chr1", &[2, 4]),
        ("locus.start < 100", &[0]),
        ("locus.end <= 110", &[0, 1, 2]),
        ("locus.length = 10", &[0, 1, 2, 4]),
        ("locus.strand = +", &[0, 4]),
        ("locus.strand != +", &[1, 2]),
        ("locus.strand in (., -)", &[1, 2]),
        ("locus is missing", &[3, 5]),
        ("locus.start is missing", &[3, 5]),
        ("place is known", &[0, 2]),
        ("bases = ACGT", &[0]),
        ("key = g5", &[4]),
        ("key != g5", &[0, 1, 2, 3, 5]),
        ("key < g2", &[0, 1]),
        ("key <= g2", &[0, 1, 2]),
        ("key > g4 or key <= g0", &[0, 4, 5]),
        ("key >= g4 and key is known", &[4, 5]),
        ("key in (g0, g6)", &[0, 5]),
        ("degree(expresses) >= 1", &[0, 1, 4]),
        ("degree(acts_on) = 2", &[0, 1, 2]),
        ("degree(acts_on, incoming) = 2", &[2]),
        ("degree(gene.near.gene) > 1 and degree(near, incoming) > 1", &[0]),
        ("'not' > 3 OR ((Not (reads < 3)) AND biotype is missing)", &[3, 4]),
    ];
    for (text, expected) in cases {
        let filter = Filter::parse(snapshot.schema(), GENE, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(filter.nodes(&snapshot).unwrap_or_else(|error| panic!("{text}: {error}")), expected, "{text}");
        assert_eq!((filter.text(), filter.node_type(), filter.to_string().as_str()), (text, "gene", text));
    }
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = write(folder.path());
    let nodes = |text| Filter::parse(snapshot.schema(), GENE, text).unwrap().nodes(&snapshot).unwrap();
    assert_eq!(nodes("reads = 0 or reads = 1 and reads = 2"), [0]);
    assert_eq!(nodes("(reads = 0 or reads = 1) and reads = 1"), [1]);
    assert_eq!(nodes("not reads = 0 and reads < 2"), [1]);
    assert_eq!(nodes("not (reads = 0 and reads < 2)"), [1, 2, 3, 4]);
    assert_eq!(nodes("not (reads = 0 or not reads < 2)"), [1]);
}

#[test]
fn mistakes_have_a_place_and_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = write(folder.path());
    let cases = [
        ("", "filter:1:1: found the end, expected an attribute"),
        ("size", "filter:1:5: found the end, expected `=`"),
        ("size =", "filter:1:7: found the end, expected a value"),
        ("size = and reads = 1", "filter:1:8: found `and`, expected a value; one that is called so stands in quotes"),
        ("size = 1 reads = 2", "filter:1:10: found `reads`, expected `and`, `or` or the end"),
        ("size = 1 and\nraeds = 2", "filter:2:1: unknown attribute `raeds` of gene; did you mean `reads`? (known: bases, "),
        ("(size = 1", "filter:1:10: found the end, expected `and`, `or` or `)`"),
        ("size ! 1", "filter:1:6: found `!`, expected `!=` or `not`"),
        ("symbol = 'CD4", "filter:1:10: found ' without an end"),
        ("size = big", "filter:1:8: found `big`, expected a number"),
        ("size = NaN", "filter:1:8: found `NaN`, expected a number"),
        ("found = 1.5", "filter:1:9: found `1.5`, expected a whole number"),
        ("is_known = maybe", "filter:1:12: found `maybe`, expected true or false"),
        ("biotype < x", "filter:1:9: found `<`, expected `=`, `!=` or `in`: `biotype` is a category, which has no order"),
        ("is_known > true", "filter:1:10: found `>`, expected `=`"),
        ("locus = chr1", "filter:1:7: `locus` is an interval: ask for `locus.contig`, "),
        ("locus.strat < 1", "filter:1:1: unknown part `strat` of `locus`; did you mean `start`"),
        ("size.start < 1", "filter:1:1: `size` is a number; only an interval has parts"),
        ("locus.strand = x", "filter:1:16: found `x`, expected `+`, `-` or `.`"),
        ("locus.strand < +", "filter:1:14: found `<`, expected `=`"),
        ("place = 1", "filter:1:7: `place` is a vector(2): it can only be asked"),
        ("size in 1", "filter:1:9: found `1`, expected `(`"),
        ("size in (1 2)", "filter:1:12: found `2`, expected `,` or `)`"),
        ("size in ()", "filter:1:10: found `)`, expected a value"),
        ("size not = 1", "filter:1:10: found `=`, expected `in`"),
        ("size is unknown", "filter:1:9: found `unknown`, expected `missing` or `known`"),
        ("degree(expreses) = 1", "filter:1:8: unknown relation `expreses`; did you mean `expresses`?"),
        ("degree(\"in\") = 1", "filter:1:8: found cell.in.tissue, expected a relation of gene: cell.expresses.gene, "),
        ("degree(expresses, outgoing) = 1", "filter:1:19: found `outgoing`, expected `incoming`"),
        ("degree(acts_on, up) = 1", "filter:1:17: found `up`, expected `outgoing` or `incoming`"),
        ("degree = 1", "filter:1:1: unknown attribute `degree` of gene"),
        (
            "biotype = lncrna",
            "filter:1:11: no `biotype` is `lncrna`; did you mean `lncRNA`? (known: B \"x\", lncRNA, protein_coding)",
        ),
        ("biotype in (lncRNA, x)", "filter:1:21: no `biotype` is `x` (known"),
        ("empty != x", "filter:1:10: no `empty` is `x` (known: none; it is missing throughout)"),
        ("locus.contig = 1", "filter:1:16: no `locus` is `1`"),
        ("key = g4", "filter:1:7: no gene has the key `g4`; did you mean `g0`"),
    ];
    for (text, expected) in cases {
        let found = Filter::parse(snapshot.schema(), GENE, text).and_then(|filter| filter.nodes(&snapshot));
        let error = found.map(|_| ()).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{error}, expected: {expected}");
    }
    for text in ["(".repeat(1 << 20), "not ".repeat(1 << 20)] {
        let error = Filter::parse(snapshot.schema(), GENE, &text).unwrap_err().to_string();
        assert!(error.contains("more than 100 parentheses"), "{error}");
    }
    assert!(Filter::parse(snapshot.schema(), NodeTypeId(9), "size = 1").is_err());
}

/// A condition to be written as a text and asked plainly: `None` is neither true nor false.
#[derive(Clone, Debug)]
enum Plain {
    Compare(&'static str, &'static str, i32),
    Missing(&'static str),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// The value of `one` and `other` of a node.
type Row = [Option<i32>; 2];

impl Plain {
    fn text(&self) -> String {
        let joined = |parts: &[Self], by: &str| format!("({})", parts.iter().map(Self::text).collect::<Vec<_>>().join(by));
        match self {
            Self::Compare(name, operator, value) => format!("{name} {operator} {value}"),
            Self::Missing(name) => format!("{name} is missing"),
            Self::Not(part) => format!("not {}", part.text()),
            Self::And(parts) => joined(parts, " and "),
            Self::Or(parts) => joined(parts, " or "),
        }
    }

    /// Kleene's logic.
    fn holds(&self, row: &Row) -> Option<bool> {
        let value = |name: &str| row[usize::from(name == "other")];
        match self {
            Self::Compare(name, operator, wanted) => value(name).map(|value| match *operator {
                "=" => value == *wanted,
                "!=" => value != *wanted,
                "<" => value < *wanted,
                "<=" => value <= *wanted,
                ">" => value > *wanted,
                _ => value >= *wanted,
            }),
            Self::Missing(name) => Some(value(name).is_none()),
            Self::Not(part) => part.holds(row).map(|holds| !holds),
            Self::And(parts) => {
                let found: Vec<_> = parts.iter().map(|part| part.holds(row)).collect();
                if found.contains(&Some(false)) { Some(false) } else { found.into_iter().min().flatten() }
            }
            Self::Or(parts) => {
                let found: Vec<_> = parts.iter().map(|part| part.holds(row)).collect();
                if found.contains(&Some(true)) { Some(true) } else { found.into_iter().min().flatten() }
            }
        }
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let name = || prop::sample::select(vec!["one", "other"]);
    let operator = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        4 => (name(), operator, 0..4_i32).prop_map(|(name, operator, value)| Plain::Compare(name, operator, value)),
        1 => name().prop_map(Plain::Missing),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Plain::Not(Box::new(part))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Plain::And),
            prop::collection::vec(inner, 1..4).prop_map(Plain::Or),
        ]
    })
}

fn write_rows(rows: &[Row], folder: &Path) -> Snapshot {
    let text = "[node.thing.attributes]\none = { kind = \"number\" }\nother = { kind = \"time\" }\n";
    let schema = Schema::default().extended_by(text, "test.toml").unwrap();
    let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
    writer.nodes(GENE, &(0..rows.len()).map(|at| format!("{at:06}")).collect::<Vec<_>>()).unwrap();
    let one: Vec<_> = rows.iter().map(|row| row[0].map(|value| Value::Number(value.into()))).collect();
    let other: Vec<_> = rows.iter().map(|row| row[1].map(|value| Value::Time(value.into()))).collect();
    writer.column(GENE, schema.node_attribute(GENE, "one").unwrap(), &one).unwrap();
    writer.column(GENE, schema.node_attribute(GENE, "other").unwrap(), &other).unwrap();
    writer.publish(&[]).unwrap();
    Snapshot::current(folder).unwrap()
}

/// Every pair of values from 0 to 3 and missing.
fn pairs() -> Vec<Row> {
    let values = || [None, Some(0), Some(1), Some(2), Some(3)];
    values().into_iter().flat_map(|one| values().map(|other| [one, other])).collect()
}

#[test]
fn any_condition_finds_what_the_plain_one_finds() {
    let folder = tempfile::tempdir().unwrap();
    let rows = pairs();
    let snapshot = write_rows(&rows, folder.path());
    proptest!(|(plain in plain())| {
        let expected: Vec<u32> = (0..).zip(&rows).filter(|(_, row)| plain.holds(row) == Some(true)).map(|(at, _)| at).collect();
        let filter = Filter::parse(snapshot.schema(), GENE, &plain.text()).unwrap();
        prop_assert_eq!(filter.nodes(&snapshot).unwrap(), expected, "{}", plain.text());
    });
}

#[test]
fn many_nodes_come_in_order_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = pairs().into_iter().cycle().take(3 * TOGETHER + 7).collect();
    let snapshot = write_rows(&rows, folder.path());
    let filter = Filter::parse(snapshot.schema(), GENE, "one > 1 or other is missing").unwrap();
    let is_one = |row: &Row| row[0].is_some_and(|one| one > 1) || row[1].is_none();
    let expected: Vec<u32> = (0..).zip(&rows).filter(|(_, row)| is_one(row)).map(|(at, _)| at).collect();
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| filter.nodes(&snapshot)).unwrap(), expected);
    }
    let seeds = crate::sampler::Seeds::matching(&snapshot, &filter).unwrap();
    assert!(seeds.iter().map(|hit| hit.node).eq(expected));
}
