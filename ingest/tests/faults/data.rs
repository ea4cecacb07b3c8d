//! Random data of the series' schema: tables of a manifest, and words of edits.

use std::fmt::Write;

use crate::content::Attributes;
use crate::model::{Graph, PlainEdit, PlainSource, Word, ends};
use crate::random::Random;

pub const SCHEMA: &str = r#"
[node.place]
attributes.size = { kind = "number" }
attributes.visitors = { kind = "count" }
attributes.kind = { kind = "category" }
attributes.note = { kind = "text" }
attributes.open = { kind = "boolean" }
attributes.founded = { kind = "time" }
attributes.area = { kind = "interval" }
attributes.position = { kind = "vector(3)" }
attributes.motif = { kind = "sequence" }
[node.person]
attributes.age = { kind = "number" }
[[relation]]
name = "visits"
source = "person"
target = "place"
[relation.attributes]
score = { kind = "number" }
times = { kind = "count" }
paid = { kind = "boolean" }
year = { kind = "time" }
purpose = { kind = "category" }
[[relation]]
name = "near"
source = "place"
target = "place"
symmetric = true
attributes.distance = { kind = "number" }
[[relation]]
name = "knows"
source = "person"
target = "person"
"#;

/// The sources that a manifest of the series may have, with their settings.
pub const SOURCES: [(&str, &str); 6] = [
    (
        "places",
        r#"node = "place"
key = "key"
attributes = { size = "size", visitors = "visitors", kind = "kind", note = "note", open = "open", founded = "founded", area = "area", position = "position", motif = "motif" }"#,
    ),
    (
        "more-places",
        r#"node = "place"
key = "key"
attributes = { size = "size", visitors = "visitors", kind = "kind", note = "note", open = "open", founded = "founded", area = "area", position = "position", motif = "motif" }"#,
    ),
    (
        "persons",
        r#"node = "person"
key = "key"
attributes = { age = "age" }"#,
    ),
    (
        "visits",
        r#"relation = "visits"
columns = { source = "source", target = "target", score = "score", times = "times", paid = "paid", year = "year", purpose = "purpose" }
unmatched = "make""#,
    ),
    (
        "near",
        r#"relation = "near"
columns = { source = "source", target = "target", distance = "distance" }
unmatched = "make""#,
    ),
    (
        "knows",
        r#"relation = "knows"
columns = { source = "source", target = "target" }
unmatched = "make""#,
    ),
];

/// Edges of a source that has several blocks of them.
const MANY: u64 = 2500;

/// Keys that edges and edits draw from.
const KEYS: u64 = 30;

/// What one of [`SOURCES`] holds this time, and the table of it.
pub fn source(name: &str, random: &mut Random, large: bool) -> (PlainSource, String) {
    match name {
        "places" | "more-places" => nodes("place", random),
        "persons" => nodes("person", random),
        relation => edges(relation, random, large),
    }
}

/// The attributes of a node type.
pub fn attributes(node_type: &str) -> &'static [&'static str] {
    match node_type {
        "place" => &["size", "visitors", "kind", "note", "open", "founded", "area", "position", "motif"],
        _ => &["age"],
    }
}

/// The attributes of a relation, in the order of its tables.
pub fn columns(relation: &str) -> &'static [&'static str] {
    match relation {
        "visits" => &["score", "times", "paid", "year", "purpose"],
        "near" => &["distance"],
        _ => &[],
    }
}

fn nodes(node_type: &str, random: &mut Random) -> (PlainSource, String) {
    let columns = attributes(node_type);
    let mut source = PlainSource::default();
    let mut table = format!("key\t{}\n", columns.join("\t"));
    let start = random.below(20);
    for number in start..start + 1 + random.below(15) {
        let key = format!("{node_type}{number}");
        let mut attributes = Attributes::new();
        write!(table, "{key}").unwrap();
        for column in columns {
            let value = cell_or_none(column, random);
            write!(table, "\t{value}").unwrap();
            if !value.is_empty() {
                attributes.insert((*column).to_owned(), value);
            }
        }
        table.push('\n');
        source.nodes.push(((node_type.to_owned(), key), attributes));
    }
    (source, table)
}

fn cell_or_none(column: &str, random: &mut Random) -> String {
    if random.chance(20) { String::new() } else { cell(column, random) }
}

/// A value of a column, as it is shown again.
fn cell(column: &str, random: &mut Random) -> String {
    match column {
        "size" | "age" | "score" | "distance" => (random.below(400) as f64 / 4.0).to_string(),
        "visitors" | "times" => random.below(1000).to_string(),
        "kind" | "purpose" => format!("{column} {}", random.below(6)),
        "note" => format!("note {}, été", random.below(1000)),
        "open" | "paid" => random.chance(50).to_string(),
        "founded" | "year" => (random.below(200) as i64 - 100).to_string(),
        "area" => {
            let start = random.below(10_000);
            format!("chr{}:{start}-{}", 1 + random.below(3), start + 1 + random.below(500))
        }
        "position" => (0..3).map(|_| (random.below(40) as f32 / 4.0).to_string()).collect::<Vec<_>>().join(","),
        "motif" => (0..1 + random.below(30)).map(|_| ['A', 'C', 'G', 'T'][random.below(4) as usize]).collect(),
        other => panic!("a column {other}"),
    }
}

fn edges(relation: &str, random: &mut Random, large: bool) -> (PlainSource, String) {
    let columns = columns(relation);
    let (from, to) = ends(relation);
    let mut source = PlainSource::default();
    let mut table = ["source", "target"].iter().chain(columns).copied().collect::<Vec<_>>().join("\t");
    table.push('\n');
    let count = if large { MANY } else { random.below(40) };
    for _ in 0..count {
        let edge = edge(relation, random);
        let row: Vec<&str> = [&edge.1, &edge.2].into_iter().chain(&edge.3).map(String::as_str).collect();
        writeln!(table, "{}", row.join("\t")).unwrap();
        source.nodes.push(((from.to_owned(), edge.1.clone()), Attributes::new()));
        source.nodes.push(((to.to_owned(), edge.2.clone()), Attributes::new()));
        source.edges.push(edge);
    }
    (source, table)
}

fn edge(relation: &str, random: &mut Random) -> crate::model::Edge {
    let (from, to) = ends(relation);
    let ends = [format!("{from}{}", random.below(KEYS)), format!("{to}{}", random.below(KEYS))];
    let values = columns(relation).iter().map(|column| cell_or_none(column, random)).collect();
    let [source, target] = ends;
    (relation.to_owned(), source, target, values)
}

fn one_of<'s>(of: &[&'s str], random: &mut Random) -> &'s str {
    of[random.below(of.len() as u64) as usize]
}

/// An edit that says something true of this graph: what it deletes is there.
pub fn words(graph: &Graph, random: &mut Random) -> Vec<Word> {
    let mut words = Vec::new();
    let wanted = 1 + random.below(8) as usize;
    while words.len() < wanted {
        let mut seen = graph.clone();
        seen.apply(&PlainEdit::of(&words));
        let some_node = |random: &mut Random| {
            let at = random.below(seen.nodes.len().max(1) as u64) as usize;
            seen.nodes.keys().nth(at).cloned()
        };
        match random.below(10) {
            0 | 1 => {
                let node_type = one_of(&["place", "person"], random);
                words.push(Word::UpsertNode((node_type.to_owned(), format!("{node_type}{}", random.below(2 * KEYS)))));
            }
            2 => words.extend(some_node(random).map(Word::DeleteNode)),
            3..=5 => {
                let Some(node) = some_node(random) else { continue };
                let attribute = one_of(attributes(&node.0), random);
                let value = cell_or_none(attribute, random);
                words.push(Word::Set(node, attribute.to_owned(), Some(value).filter(|value| !value.is_empty())));
            }
            6 | 7 if !seen.edges.is_empty() => {
                let (relation, source, target, _) = seen.edges[random.below(seen.edges.len() as u64) as usize].clone();
                // A symmetric one is found whichever way round.
                let turned = relation == "near" && random.chance(50);
                let (source, target) = if turned { (target, source) } else { (source, target) };
                words.push(Word::DeleteEdge(relation, source, target));
            }
            _ => {
                let edge = edge(one_of(&["visits", "near", "knows"], random), random);
                let (from, to) = ends(&edge.0);
                for node in [(from.to_owned(), edge.1.clone()), (to.to_owned(), edge.2.clone())] {
                    if !seen.nodes.contains_key(&node) {
                        words.push(Word::UpsertNode(node));
                    }
                }
                words.push(Word::UpsertEdge(edge));
            }
        }
    }
    words
}
