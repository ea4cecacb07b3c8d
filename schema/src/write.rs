//! A schema as the TOML that it can be read from.

use std::fmt::Write;

use crate::{Attribute, AttributeId, Container, Schema, Transform};

impl Schema {
    /// The whole schema, in the order of its ids, as [`extended_by`](Self::extended_by) reads it: an empty schema
    /// (`Schema::default()`) extended by it is this one, ids included.
    ///
    /// The one thing that TOML has no word for is an order of identifiers other than that of the attributes, which only
    /// a schema that several files made has.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for node_type in &self.node_types {
            line(&mut text, format_args!("[node.{}]", node_type.name));
            about(&mut text, &node_type.about);
            if let Some(label) = node_type.label {
                line(&mut text, format_args!("label = {}", quoted(&node_type.attributes[label.index()].name)));
            }
            for (at, attribute) in (0..).map(AttributeId).zip(&node_type.attributes) {
                attribute_line(&mut text, attribute, node_type.identifiers.contains(&at));
            }
            text.push('\n');
        }
        for relation in &self.relations {
            line(&mut text, format_args!("[[relation]]"));
            line(&mut text, format_args!("name = {}", quoted(&relation.name)));
            line(&mut text, format_args!("source = {}", quoted(&self.node(relation.source).name)));
            line(&mut text, format_args!("target = {}", quoted(&self.node(relation.target).name)));
            about(&mut text, &relation.about);
            match relation.contains {
                Some(Container::Source) => line(&mut text, format_args!("contains = \"source\"")),
                Some(Container::Target) => line(&mut text, format_args!("contains = \"target\"")),
                None => {}
            }
            if relation.symmetric {
                line(&mut text, format_args!("symmetric = true"));
            }
            for attribute in &relation.attributes {
                attribute_line(&mut text, attribute, false);
            }
            text.push('\n');
        }
        text
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a String takes every text");
}

fn about(text: &mut String, about: &str) {
    if !about.is_empty() {
        line(text, format_args!("about = {}", quoted(about)));
    }
}

fn attribute_line(text: &mut String, attribute: &Attribute, is_identifier: bool) {
    let mut fields = vec![format!("kind = {}", quoted(&attribute.kind.to_string()))];
    fields.extend(attribute.unit.as_ref().map(|unit| format!("unit = {}", quoted(unit))));
    match attribute.transform {
        Transform::None => {}
        Transform::Log1p => fields.push("transform = \"log1p\"".to_owned()),
        Transform::Log1pPer10k => fields.push("transform = \"log1p_per_10k\"".to_owned()),
        Transform::ZScore => fields.push("transform = \"z_score\"".to_owned()),
    }
    if is_identifier {
        fields.push("identifier = true".to_owned());
    }
    if !attribute.about.is_empty() {
        fields.push(format!("about = {}", quoted(&attribute.about)));
    }
    line(text, format_args!("attributes.{} = {{ {} }}", attribute.name, fields.join(", ")));
}

/// A basic string of TOML, on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(schema: &Schema) -> Schema {
        Schema::default().extended_by(&schema.to_toml(), "written.toml").unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_built_in_schema_reads_back() {
        assert_eq!(read_back(&Schema::biology()), Schema::biology());
    }

    #[test]
    fn every_kind_transform_and_flag_reads_back() {
        let schema = Schema::default()
            .extended_by(
                r#"
                [node.zebra]
                about = "striped \"horse\" \\ \t \u0007 β"
                label = "name"
                attributes.weight = { kind = "number", unit = "kg", transform = "z_score" }
                attributes.name = { kind = "text", identifier = true }
                attributes.foals = { kind = "count", transform = "log1p" }
                attributes.herd = { kind = "category", about = "of \"many\"" }
                attributes.tame = { kind = "boolean" }
                attributes.born = { kind = "time", unit = "days" }
                attributes.locus = { kind = "interval" }
                attributes.gait = { kind = "vector(3)" }
                attributes.dna = { kind = "sequence" }
                attributes.alias = { kind = "text", identifier = true }
                [node.ant]
                [[relation]]
                name = "near"
                source = "zebra"
                target = "zebra"
                symmetric = true
                [[relation]]
                name = "carries"
                source = "zebra"
                target = "ant"
                contains = "source"
                attributes.since = { kind = "time" }
                attributes.number = { kind = "count", transform = "log1p_per_10k" }
                [[relation]]
                name = "lives_on"
                source = "ant"
                target = "zebra"
                contains = "target"
                "#,
                "zoo.toml",
            )
            .unwrap();
        assert_eq!(read_back(&schema), schema);
        let grown = Schema::biology().merged_with(&schema).unwrap();
        assert_eq!(read_back(&grown), grown);
    }
}
