//! Edits as lines of JSON: what `relata edit` reads.
//!
//! ```text
//! {"upsert": "node", "type": "gene", "key": "CD4", "set": {"symbol": "CD4", "length": null}}
//! {"delete": "node", "type": "gene", "key": "X"}
//! {"upsert": "edge", "relation": "interacts", "source": "A", "target": "B", "set": {"score": 0.9}, "time": 12}
//! {"delete": "edge", "relation": "interacts", "source": "A", "target": "B"}
//! ```
//!
//! `null` removes a node's value; what `set` does not name stays as it is. An upserted edge replaces all edges of the relation
//! between its ends, with the values that it is given and no others. A value is written as JSON has it (a vector as a list, an
//! interval as `{"contig": "chr1", "start": 999, "end": 2000, "strand": "+"}`, 0-based and half-open), or, where the attribute
//! is no text, as the text that a table would hold. What a person says last counts.

use std::io::BufRead;

use relata_schema::located::LocatedError;
use relata_schema::{AttributeId, AttributeKind, EdgeValue, Interval, Strand, Value, suggestion};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::store::Edit;
use crate::{Error, Result};

/// What lines said, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Nodes upserted.
    pub upserted_nodes: u64,
    /// Nodes deleted.
    pub deleted_nodes: u64,
    /// Edges upserted.
    pub upserted_edges: u64,
    /// Pairs of nodes whose edges were deleted.
    pub deleted_edges: u64,
    /// Values of node attributes set.
    pub set_values: u64,
    /// Values of node attributes removed.
    pub removed_values: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Node,
    Edge,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    upsert: Option<Kind>,
    delete: Option<Kind>,
    #[serde(rename = "type")]
    node_type: Option<String>,
    key: Option<String>,
    relation: Option<String>,
    source: Option<String>,
    target: Option<String>,
    set: Option<Map<String, Json>>,
    time: Option<i64>,
}

/// Says all lines to an edit, in their order. `file` is only for messages. Empty lines are passed over.
///
/// # Errors
/// [`Error::Located`] with file, line, what was found, what was expected and the nearest known name.
pub fn apply(edit: &mut Edit<'_>, lines: impl BufRead, file: &str) -> Result<Applied> {
    let mut applied = Applied::default();
    for (number, line) in (1..).zip(lines.lines()) {
        let located = |column, message| Error::Located(LocatedError { file: file.to_owned(), line: number, column, message });
        let line = line.map_err(|error| located(1, format!("it cannot be read: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).map_err(|error| located(error.column().max(1), syntax(&error)))?;
        match line.apply(edit, &mut applied) {
            Err(error @ (Error::UnknownKey { .. } | Error::Setting { .. } | Error::Schema(_) | Error::Limit { .. })) => {
                return Err(located(1, error.to_string()));
            }
            other => other?,
        }
    }
    Ok(applied)
}

/// serde's words, without the place (which is that in one line), and with the nearest name.
fn syntax(error: &serde_json::Error) -> String {
    let shown = error.to_string();
    let message = shown.rsplit_once(" at line ").map_or(shown.as_str(), |(message, _)| message);
    let mut quoted = message.split('`').skip(1).step_by(2);
    match quoted.next() {
        Some(found) if message.starts_with("unknown ") => format!("{message}{}", suggestion(found, quoted)),
        _ => message.to_owned(),
    }
}

impl Line {
    fn apply(self, edit: &mut Edit<'_>, applied: &mut Applied) -> Result<()> {
        let (kind, upserts) = match (self.upsert, self.delete) {
            (Some(kind), None) => (kind, true),
            (None, Some(kind)) => (kind, false),
            (Some(_), Some(_)) => return Err(Error::setting("a line", "`upsert` and `delete`", "one of them")),
            (None, None) => {
                return Err(Error::setting("a line", "neither `upsert` nor `delete`", "one of them: \"node\" or \"edge\""));
            }
        };
        match kind {
            Kind::Node => self.node(edit, upserts, applied),
            Kind::Edge => self.edge(edit, upserts, applied),
        }
    }

    fn node(self, edit: &mut Edit<'_>, upserts: bool, applied: &mut Applied) -> Result<()> {
        let beside =
            [("relation", self.relation.is_some()), ("source", self.source.is_some()), ("target", self.target.is_some())];
        none_of(&beside, "a node")?;
        none_of(&[("time", self.time.is_some())], "a node; `set` has its attributes")?;
        let node_type = edit.schema().node_type(&given(self.node_type, "type")?)?;
        let key = given(self.key, "key")?;
        if !upserts {
            none_of(&[("set", self.set.is_some())], "a deletion")?;
            applied.deleted_nodes += 1;
            return edit.delete_node(node_type, &key);
        }
        let node = edit.upsert_node(node_type, &key)?;
        applied.upserted_nodes += 1;
        for (name, value) in self.set.unwrap_or_default() {
            let attribute = edit.schema().node_attribute(node_type, &name)?;
            let owner = edit.schema().node(node_type);
            let place = format!("{}.{name}", owner.name);
            let value = value_of(&value, owner.attributes[attribute.index()].kind, &place)?;
            *(if value.is_some() { &mut applied.set_values } else { &mut applied.removed_values }) += 1;
            edit.set(node_type, node, attribute, value)?;
        }
        Ok(())
    }

    fn edge(self, edit: &mut Edit<'_>, upserts: bool, applied: &mut Applied) -> Result<()> {
        none_of(&[("type", self.node_type.is_some()), ("key", self.key.is_some())], "an edge")?;
        let relation = edit.schema().relation(&given(self.relation, "relation")?)?;
        let known = edit.schema().edge(relation).clone();
        let source = edit.node(known.source, &given(self.source, "source")?)?;
        let target = edit.node(known.target, &given(self.target, "target")?)?;
        if !upserts {
            none_of(&[("set", self.set.is_some()), ("time", self.time.is_some())], "a deletion")?;
            applied.deleted_edges += 1;
            return edit.delete_edge(relation, source, target);
        }
        let mut time = self.time;
        let mut attributes = vec![EdgeValue::Missing; known.attributes.len()];
        for (name, value) in self.set.unwrap_or_default() {
            let attribute = edit.schema().edge_attribute(relation, &name)?;
            let place = format!("{}, {name}", edit.schema().relation_title(relation));
            let Some(value) = value_of(&value, known.attributes[attribute.index()].kind, &place)? else { continue };
            if let (Value::Time(_), Some(time)) = (&value, time) {
                return Err(Error::setting(&place, format!("also `time`: {time}"), "the time once"));
            }
            match value {
                Value::Time(found) => time = Some(found),
                value => attributes[attribute.index()] = edge_value(edit, relation, attribute, value)?,
            }
        }
        applied.upserted_edges += 1;
        edit.upsert_edge(relation, source, target, time, &attributes)
    }
}

/// A value that fits an edge, as an edge has it.
fn edge_value(
    edit: &mut Edit<'_>,
    relation: relata_schema::RelationId,
    attribute: AttributeId,
    value: Value,
) -> Result<EdgeValue> {
    Ok(match value {
        Value::Number(number) => EdgeValue::Number(number as f32),
        Value::Count(count) => EdgeValue::Number(count as f32),
        Value::Boolean(truth) => EdgeValue::Number(f32::from(u8::from(truth))),
        Value::Category(name) => EdgeValue::Category(edit.category(relation, attribute, &name)?),
        // No schema gives an edge an attribute of another kind.
        other => {
            return Err(Error::setting("an edge's value", format!("a {}", other.kind()), "a number, count, boolean or category"));
        }
    })
}

/// A value as JSON has it; `None` for `null`.
fn value_of(json: &Json, kind: AttributeKind, place: &str) -> Result<Option<Value>> {
    let expected = |expected: &str| Error::setting(place, json.to_string(), expected);
    let value = match (kind, json) {
        (_, Json::Null) => return Ok(None),
        (AttributeKind::Text, Json::String(text)) => Value::Text(text.clone()),
        (AttributeKind::Category, Json::String(name)) => Value::Category(name.clone()),
        (AttributeKind::Number, Json::Number(number)) => Value::Number(number.as_f64().ok_or_else(|| expected("a number"))?),
        (AttributeKind::Count, Json::Number(number)) => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && (0.0..9.0e15).contains(number));
            let count = number.as_u64().or(whole.map(|number| number as u64));
            Value::Count(count.ok_or_else(|| expected("a non-negative whole number"))?)
        }
        (AttributeKind::Time, Json::Number(number)) => {
            Value::Time(number.as_i64().ok_or_else(|| expected("a whole number of time units"))?)
        }
        (AttributeKind::Boolean, Json::Bool(truth)) => Value::Boolean(*truth),
        (AttributeKind::Vector(_), Json::Array(numbers)) => {
            let numbers = numbers.iter().map(|number| number.as_f64().map(|number| number as f32));
            Value::Vector(numbers.collect::<Option<_>>().ok_or_else(|| expected("a list of numbers"))?)
        }
        (AttributeKind::Interval, Json::Object(_)) => Value::Interval(interval(json).map_err(|found| expected(&found))?),
        // An empty cell of a table is a missing value; here that is `null`.
        (kind, Json::String(text)) => match Value::parse(text, kind) {
            Ok(Some(value)) => value,
            Ok(None) => return Err(expected(&format!("a {kind}, or null"))),
            Err(message) => return Err(Error::setting(place, json.to_string(), format!("a {kind} ({message})"))),
        },
        (kind, _) => return Err(expected(&format!("a {kind}, or null"))),
    };
    Ok(Some(value))
}

fn interval(json: &Json) -> Result<Interval, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Place {
        contig: String,
        start: u64,
        end: u64,
        #[serde(default)]
        strand: String,
    }
    let form = "an interval {\"contig\": …, \"start\": …, \"end\": …, \"strand\": \"+\"}";
    let place: Place = serde_json::from_value(json.clone()).map_err(|error| format!("{form} ({error})"))?;
    let strand = Strand::from_symbol(&place.strand).ok_or_else(|| format!("{form}; a strand is \"+\", \"-\" or \".\""))?;
    Interval::new(place.contig, place.start, place.end, strand).map_err(|error| format!("{form} ({error})"))
}

fn given(field: Option<String>, name: &str) -> Result<String> {
    field.ok_or_else(|| Error::setting("a line", format!("no `{name}`"), format!("`{name}`")))
}

fn none_of(fields: &[(&str, bool)], of: &str) -> Result<()> {
    match fields.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Error::setting("a line", format!("`{name}`"), format!("no such field for {of}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use relata_schema::{Direction, Schema, SourceRecord};

    use super::*;
    use crate::store::Store;

    fn schema() -> Schema {
        let text = r#"
            [node.gene]
            attributes.symbol = { kind = "text" }
            attributes.length = { kind = "count" }
            attributes.weight = { kind = "number" }
            attributes.family = { kind = "category" }
            attributes.essential = { kind = "boolean" }
            attributes.found = { kind = "time" }
            attributes.locus = { kind = "interval" }
            attributes.profile = { kind = "vector(2)" }
            attributes.promoter = { kind = "sequence" }
            [[relation]]
            name = "interacts"
            source = "gene"
            target = "gene"
            symmetric = true
            attributes.score = { kind = "number" }
            attributes.reads = { kind = "count" }
            attributes.method = { kind = "category" }
            attributes.direct = { kind = "boolean" }
            attributes.year = { kind = "time" }
        "#;
        Schema::default().extended_by(text, "test.toml").unwrap()
    }

    /// A store with genes A and B.
    fn store(folder: &std::path::Path) -> Store {
        let mut store = Store::open_or_create(&folder.join("s.relata")).unwrap();
        let mut load = store.begin(&schema()).unwrap();
        load.begin_source("d", "s").unwrap();
        for key in ["A", "B"] {
            load.node(relata_schema::NodeTypeId(0), key).unwrap();
        }
        load.end_source(SourceRecord { dataset: "d".into(), name: "s".into(), ..SourceRecord::default() }).unwrap();
        load.commit().unwrap();
        store
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
        let lines = r#"
            {"upsert":"node","type":"gene","key":"C","set":{"symbol":"NA","length":12.0,"weight":0.1,"family":"x","essential":true,"found":-4,"locus":{"contig":"chr1","start":9,"end":20,"strand":"-"},"profile":[1,2.5],"promoter":"ACGT"}}

            {"upsert":"node","type":"gene","key":"D","set":{"length":"12","weight":"0.1","essential":"yes","found":"-4","locus":"chr1:9-20","profile":"1,2.5"}}
            {"upsert":"node","type":"gene","key":"D","set":{"essential":null}}
            {"upsert":"edge","relation":"interacts","source":"C","target":"A","set":{"score":0.9,"reads":3,"method":"pull down","direct":true},"time":2001}
            {"upsert":"edge","relation":"interacts","source":"B","target":"A","set":{"year":1999,"score":null}}
            {"upsert":"edge","relation":"gene.interacts.gene","source":"C","target":"D"}
            {"delete":"edge","relation":"interacts","source":"D","target":"C"}
            {"delete":"node","type":"gene","key":"B"}
        "#;
        let mut edit = store.edit().unwrap();
        let applied = apply(&mut edit, lines.as_bytes(), "edits.jsonl").unwrap();
        let expected = Applied {
            upserted_nodes: 3,
            deleted_nodes: 1,
            upserted_edges: 3,
            deleted_edges: 1,
            set_values: 15,
            removed_values: 1,
        };
        assert_eq!(applied, expected);
        edit.commit().unwrap();
        let gene = relata_schema::NodeTypeId(0);
        let node = |key: &str| store.find(gene, key).unwrap();
        let value = |key: &str, name: &str| {
            store.value(gene, node(key).unwrap(), store.schema().node_attribute(gene, name).unwrap()).unwrap()
        };
        assert_eq!(value("C", "symbol"), Some(Value::Text("NA".into())));
        assert_eq!(value("C", "family"), Some(Value::Category("x".into())));
        assert_eq!(value("C", "promoter"), Some(Value::Sequence("ACGT".into())));
        assert_eq!(value("C", "essential"), Some(Value::Boolean(true)));
        assert_eq!(value("D", "essential"), None);
        let locus = |strand| Some(Value::Interval(Interval::new("chr1", 9, 20, strand).unwrap()));
        assert_eq!((value("C", "locus"), value("D", "locus")), (locus(Strand::Reverse), locus(Strand::Unknown)));
        for key in ["C", "D"] {
            assert_eq!(value(key, "length"), Some(Value::Count(12)));
            assert_eq!(value(key, "weight"), Some(Value::Number(0.1)));
            assert_eq!(value(key, "found"), Some(Value::Time(-4)));
            assert_eq!(value(key, "profile"), Some(Value::Vector(vec![1.0, 2.5])));
        }
        assert_eq!(node("B"), None);
        let interacts = store.schema().relation("interacts").unwrap();
        let edges = store.neighbors(interacts, Direction::Outgoing, node("A").unwrap()).unwrap();
        assert_eq!((edges.len(), edges[0].time, edges[0].node), (1, Some(2001), node("C").unwrap()));
        let of = |name: &str| edges[0].attributes[store.schema().edge_attribute(interacts, name).unwrap().index()];
        assert_eq!([of("score"), of("reads"), of("direct")], [0.9, 3.0, 1.0].map(EdgeValue::Number));
        assert_eq!((of("method"), of("year")), (EdgeValue::Category(0), EdgeValue::Missing));
        assert_eq!(store.edge_count(interacts).unwrap(), 1);
    }

    #[test]
    fn a_mistake_has_its_line_what_was_found_and_what_would_do() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
        for (line, said) in [
            (r#"{"upsert":"node","type":"gene","key":"#, ": EOF while parsing a value"),
            (
                r#"{"upsert":"noed","type":"gene","key":"A"}"#,
                "unknown variant `noed`, expected `node` or `edge`; did you mean `node`?",
            ),
            (r#"{"upsert":"node","tpye":"gene","key":"A"}"#, "did you mean `type` or `time`?"),
            (r#"{"type":"gene","key":"A"}"#, "neither `upsert` nor `delete`"),
            (r#"{"upsert":"node","delete":"node","type":"gene","key":"A"}"#, "`upsert` and `delete`, expected one"),
            (r#"{"upsert":"node","type":"gene"}"#, "no `key`"),
            (r#"{"upsert":"node","type":"gnee","key":"A"}"#, "did you mean `gene`?"),
            (r#"{"upsert":"node","type":"gene","key":"A","source":"B"}"#, "found `source`"),
            (r#"{"delete":"node","type":"gene","key":"A","set":{}}"#, "found `set`, expected no such field for a deletion"),
            (r#"{"delete":"node","type":"gene","key":"a"}"#, "no gene has the key `a`; did you mean `A`"),
            (r#"{"upsert":"node","type":"gene","key":"A","set":{"lenght":1}}"#, "did you mean `length` or"),
            (
                r#"{"upsert":"node","type":"gene","key":"A","set":{"length":-1}}"#,
                "gene.length: found -1, expected a non-negative",
            ),
            (
                r#"{"upsert":"node","type":"gene","key":"A","set":{"length":"NA"}}"#,
                "gene.length: found \"NA\", expected a count, or null",
            ),
            (r#"{"upsert":"node","type":"gene","key":"A","set":{"symbol":1}}"#, "gene.symbol: found 1, expected a text, or null"),
            (
                r#"{"upsert":"node","type":"gene","key":"A","set":{"profile":[1]}}"#,
                "gene.profile: found a vector(1), expected a vector(2)",
            ),
            (
                r#"{"upsert":"node","type":"gene","key":"A","set":{"locus":{"contig":"c","start":5,"end":1}}}"#,
                "start 5 lies behind end 1",
            ),
            (r#"{"upsert":"edge","relation":"interact","source":"A","target":"B"}"#, "did you mean `interacts`?"),
            (
                r#"{"upsert":"edge","relation":"interacts","source":"A","target":"BB"}"#,
                "no gene has the key `BB`; did you mean `B`",
            ),
            (
                r#"{"upsert":"edge","relation":"interacts","source":"A","target":"B","time":1,"set":{"year":2}}"#,
                "found also `time`: 1",
            ),
            (
                r#"{"upsert":"edge","relation":"interacts","source":"A","target":"B","set":{"score":1e300}}"#,
                "score: found Number(inf)",
            ),
            (r#"{"delete":"edge","relation":"interacts","source":"A","target":"B"}"#, "found none from `A` to `B`"),
        ] {
            let mut edit = store.edit().unwrap();
            let text = format!("{{\"upsert\":\"node\",\"type\":\"gene\",\"key\":\"N\"}}\n\n{line}\n");
            let error = apply(&mut edit, text.as_bytes(), "edits.jsonl").unwrap_err().to_string();
            assert!(error.starts_with("edits.jsonl:3:") && error.contains(said), "{line}: {error}");
        }
        assert_eq!(store.find(relata_schema::NodeTypeId(0), "N").unwrap(), None);
        let mut edit = store.edit().unwrap();
        let error = apply(&mut edit, &b"{\"upsert\xff"[..], "edits.jsonl").unwrap_err().to_string();
        assert!(error.starts_with("edits.jsonl:1:1: it cannot be read"), "{error}");
    }
}
