use std::collections::BTreeMap;

use relata_schema::identifier::curie;
use relata_schema::{EdgeValue, NodeTypeId, Schema, Value};

use super::Format;
use crate::{At, Error, Input, Manifest, Result, Sink, Source, Unmatched};

/// OBO 1.2 and 1.4 ontologies.
///
/// <https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html>. Clauses are read line by line: the field still
/// uses files of 2010 that no strict parser of 1.4 accepts.
pub struct Obo;

/// Node types of well-known id prefixes.
const PREFIXES: [(&str, &str); 3] = [("CL", "cell_type"), ("UBERON", "tissue"), ("GO", "term")];

impl Format for Obo {
    fn name(&self) -> &'static str {
        "obo"
    }

    fn about(&self) -> &'static str {
        "OBO 1.2 and 1.4 ontologies: terms as nodes, is_a and relationships as edges"
    }

    fn settings(&self) -> &'static [&'static str] {
        &["terms"]
    }

    fn is_likely(&self, start: &[u8], name: &str) -> bool {
        name.ends_with(".obo") || start.starts_with(b"format-version:")
    }

    fn check(&self, manifest: &Manifest, source: &Source) -> Result<()> {
        types_by_prefix(manifest, source, &manifest.schema).map(|_| ())
    }

    fn read(&self, manifest: &Manifest, source: &Source, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        let schema = sink.schema().clone();
        let types = types_by_prefix(manifest, source, &schema)?;
        let mut reading = Reading { schema, types, links: Vec::new() };
        let mut stanza: Option<Stanza> = None;
        input.lines(|number, line| {
            let line = line.trim();
            if number % 1024 == 0 {
                sink.progress(input);
            }
            if line.starts_with('[') {
                if let Some(done) = stanza.take() {
                    reading.term(&done, input, sink)?;
                }
                if !line.ends_with(']') {
                    return Err(Error::line(input.path(), number, format!("found `{line}`, expected a stanza such as `[Term]`")));
                }
                stanza = (line == "[Term]").then(|| Stanza { line: number, clauses: Vec::new() });
                return Ok(());
            }
            let Some(stanza) = stanza.as_mut().filter(|_| !line.is_empty() && !line.starts_with('!')) else { return Ok(()) };
            let Some((tag, value)) = line.split_once(':') else {
                return Err(Error::line(input.path(), number, format!("found `{line}`, expected `tag: value`")));
            };
            stanza.clauses.push((number, tag.trim().to_owned(), value.trim().to_owned()));
            Ok(())
        })?;
        if let Some(done) = stanza.take() {
            reading.term(&done, input, sink)?;
        }
        reading.link(source.unmatched, sink)
    }
}

fn types_by_prefix(manifest: &Manifest, source: &Source, schema: &Schema) -> Result<BTreeMap<String, NodeTypeId>> {
    let mut types = BTreeMap::new();
    match &source.terms {
        None => {
            for (prefix, node_type) in PREFIXES {
                types.insert(prefix.to_owned(), schema.node_type(node_type)?);
            }
        }
        Some(terms) => {
            for (prefix, node_type) in terms.get_ref() {
                types.insert(prefix.clone(), schema.node_type(node_type).map_err(manifest.at(terms))?);
            }
        }
    }
    Ok(types)
}

/// The clauses of a `[Term]`, with their lines.
struct Stanza {
    line: u64,
    clauses: Vec<(u64, String, String)>,
}

impl Stanza {
    fn first(&self, tag: &str) -> Option<&str> {
        self.clauses.iter().find(|(_, known, _)| known == tag).map(|(_, _, value)| value.as_str())
    }

    fn all<'s>(&'s self, tag: &'s str) -> impl Iterator<Item = (u64, &'s str)> {
        self.clauses.iter().filter(move |(_, known, _)| known == tag).map(|(line, _, value)| (*line, value.as_str()))
    }
}

struct Reading {
    schema: Schema,
    types: BTreeMap<String, NodeTypeId>,
    /// Relation's name, source's type and number, target's id, line: made when all terms are known.
    links: Vec<(String, NodeTypeId, u32, String, u64)>,
}

impl Reading {
    fn type_of(&self, id: &str) -> Option<NodeTypeId> {
        self.types.get(id.split_once(':')?.0).copied()
    }

    fn term(&mut self, stanza: &Stanza, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        sink.read(1);
        let id = stanza
            .first("id")
            .map(without_remark)
            .ok_or_else(|| Error::line(input.path(), stanza.line, "a [Term] without `id:`"))?;
        let id = curie(id);
        let Some(node_type) = self.type_of(&id) else {
            let prefix = id.split_once(':').map_or("none", |(prefix, _)| prefix);
            sink.drop(&format!("term of prefix {prefix}, which no node type takes (see `terms`)"), &id);
            return Ok(());
        };
        let node = sink.node(node_type, &id)?;
        let owner = self.schema.node(node_type).clone();
        let mut set = |name: &str, value: Option<Value>| -> Result<()> {
            match (owner.attribute(name), value) {
                (Some(attribute), Some(value)) => sink.set(node_type, node, attribute, value),
                _ => Ok(()),
            }
        };
        set("name", stanza.first("name").map(|name| Value::Text(unescaped(name))))?;
        set("definition", stanza.first("def").and_then(quoted).map(Value::Text))?;
        set("namespace", stanza.first("namespace").map(|namespace| Value::Category(namespace.to_owned())))?;
        set("obsolete", Some(Value::Boolean(stanza.first("is_obsolete") == Some("true"))))?;
        let mut synonyms: Vec<String> = stanza.all("synonym").filter_map(|(_, value)| quoted(value)).collect();
        synonyms.extend(stanza.all("alt_id").map(|(_, id)| curie(without_remark(id))));
        let synonyms: Vec<String> = synonyms.into_iter().map(|synonym| synonym.replace('|', "/")).collect();
        set("synonyms", (!synonyms.is_empty()).then(|| Value::Text(synonyms.join("|"))))?;
        for (line, target) in stanza.all("is_a") {
            self.links.push(("is_a".to_owned(), node_type, node, curie(without_remark(target)), line));
        }
        for (line, value) in stanza.all("relationship") {
            let (relation, target) = without_remark(value).split_once(char::is_whitespace).ok_or_else(|| {
                Error::line(input.path(), line, format!("found `relationship: {value}`, expected `relationship: RELATION TERM`"))
            })?;
            self.links.push((relation.to_owned(), node_type, node, curie(target.trim()), line));
        }
        sink.kept(1);
        Ok(())
    }

    fn link(self, unmatched: Option<Unmatched>, sink: &mut Sink<'_>) -> Result<()> {
        for (relation, source_type, source, target, line) in &self.links {
            let Some(target_type) = self.type_of(target) else {
                let prefix = target.split_once(':').map_or("none", |(prefix, _)| prefix);
                sink.drop("relationship of a kept term to another ontology (see `terms`)", &format!("{relation} {prefix}"));
                continue;
            };
            let title = format!("{}.{relation}.{}", self.schema.node(*source_type).name, self.schema.node(target_type).name);
            let Ok(id) = self.schema.relation(&title) else {
                sink.drop("relationship of a kept term that the schema does not have", &title);
                continue;
            };
            if let Some(target) = sink.link(target_type, target, None, unmatched, At::Line(*line))? {
                let missing = [EdgeValue::Missing; 8];
                let count = self.schema.edge(id).attributes.len();
                if count <= missing.len() {
                    sink.edge(id, *source, target, None, &missing[..count])?;
                } else {
                    sink.edge(id, *source, target, None, &vec![EdgeValue::Missing; count])?;
                }
            }
        }
        Ok(())
    }
}

/// A value without its trailing `{modifiers}` and `! remark`.
fn without_remark(value: &str) -> &str {
    let value = value.split(" !").next().unwrap_or(value);
    value.split(" {").next().unwrap_or(value).trim()
}

/// What stands between the first pair of quotes.
fn quoted(value: &str) -> Option<String> {
    let inside = value.trim_start().strip_prefix('"')?;
    let mut end = None;
    let mut is_escaped = false;
    for (at, letter) in inside.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    Some(unescaped(&inside[..end?]))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => plain.push('\n'),
                Some('W') => plain.push(' '),
                Some('t') => plain.push('\t'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_modifiers_quotes_and_escapes_are_read_as_the_format_has_them() {
        assert_eq!(without_remark("CL:0000000 {source=\"x\"} ! cell"), "CL:0000000");
        assert_eq!(without_remark("part_of UBERON:0000955 ! brain"), "part_of UBERON:0000955");
        assert_eq!(quoted("\"a \\\"b\\\" c\" EXACT []").as_deref(), Some("a \"b\" c"));
        assert_eq!(quoted("no quotes"), None);
        assert_eq!(quoted("\"open"), None);
        assert_eq!(unescaped("a\\, b\\nc"), "a, b\nc");
    }
}
