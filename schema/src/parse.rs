//! The TOML of a schema.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::located::{LocatedError, from_toml};
use crate::{
    Attribute, AttributeId, AttributeKind, Container, NodeType, NodeTypeId, Relation, Schema, SchemaError, Transform, suggestion,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    node: BTreeMap<Spanned<String>, NodeTable>,
    #[serde(default)]
    relation: Vec<RelationTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeTable {
    #[serde(default)]
    about: String,
    label: Option<Spanned<String>>,
    #[serde(default)]
    attributes: BTreeMap<Spanned<String>, AttributeTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeTable {
    kind: Spanned<String>,
    unit: Option<String>,
    #[serde(default)]
    transform: Transform,
    #[serde(default)]
    identifier: bool,
    #[serde(default)]
    about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RelationTable {
    name: Spanned<String>,
    source: Spanned<String>,
    target: Spanned<String>,
    #[serde(default)]
    about: String,
    contains: Option<Spanned<Container>>,
    #[serde(default)]
    symmetric: bool,
    #[serde(default)]
    attributes: BTreeMap<Spanned<String>, AttributeTable>,
}

/// A text and its name, to place errors in.
struct Source<'a> {
    text: &'a str,
    file: &'a str,
}

impl Source<'_> {
    fn error<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> SchemaError {
        LocatedError::new(self.text, self.file, at.span(), message).into()
    }

    fn check_name(&self, name: &Spanned<String>, what: &str) -> Result<(), SchemaError> {
        let text = name.get_ref();
        let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
        if starts_well && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return Ok(());
        }
        Err(self.error(
            name,
            format!("{what} `{text}` must start with a lower-case letter and hold only lower-case letters, digits and `_`"),
        ))
    }

    /// Tables come as maps; their ids follow the order of the file.
    fn in_order<T>(table: BTreeMap<Spanned<String>, T>) -> Vec<(Spanned<String>, T)> {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries
    }

    fn attribute(&self, name: &Spanned<String>, table: AttributeTable) -> Result<Attribute, SchemaError> {
        self.check_name(name, "attribute")?;
        let kind: AttributeKind = table.kind.get_ref().parse().map_err(|message: String| self.error(&table.kind, message))?;
        let is_numeric =
            matches!(kind, AttributeKind::Number | AttributeKind::Count | AttributeKind::Time | AttributeKind::Vector(_));
        if table.transform != Transform::None && !is_numeric {
            return Err(self.error(&table.kind, format!("a transform needs a number, count, time or vector, not a {kind}")));
        }
        if table.identifier && kind != AttributeKind::Text {
            return Err(self.error(&table.kind, format!("an identifier is a `text`, not a `{kind}`")));
        }
        Ok(Attribute { name: name.get_ref().clone(), kind, unit: table.unit, transform: table.transform, about: table.about })
    }

    /// Adds an attribute, or accepts one that is there already and says the same.
    fn add_attribute(
        &self,
        to: &mut Vec<Attribute>,
        name: &Spanned<String>,
        attribute: Attribute,
        owner: &str,
    ) -> Result<AttributeId, SchemaError> {
        if let Some(at) = to.iter().position(|known| known.name == attribute.name) {
            let known = &to[at];
            if known.kind != attribute.kind || known.unit != attribute.unit {
                return Err(self.error(
                    name,
                    format!(
                        "attribute `{}` of `{owner}` is already a {}; it cannot become a {}",
                        known.name, known.kind, attribute.kind
                    ),
                ));
            }
            return Ok(AttributeId(at as u16));
        }
        to.push(attribute);
        match u16::try_from(to.len() - 1) {
            Ok(at) => Ok(AttributeId(at)),
            Err(_) => Err(self.error(name, format!("`{owner}` has more than 65,536 attributes"))),
        }
    }
}

pub(crate) fn extend(base: &Schema, text: &str, file: &str) -> Result<Schema, SchemaError> {
    let parsed: File = from_toml(text, file)?;
    let source = Source { text, file };
    let mut schema = base.clone();
    for (name, table) in Source::in_order(parsed.node) {
        add_node_type(&mut schema, &source, &name, table)?;
    }
    for table in parsed.relation {
        add_relation(&mut schema, &source, table)?;
    }
    Ok(schema)
}

fn add_node_type(schema: &mut Schema, source: &Source<'_>, name: &Spanned<String>, table: NodeTable) -> Result<(), SchemaError> {
    source.check_name(name, "node type")?;
    let at = match schema.node_types.iter().position(|known| known.name == *name.get_ref()) {
        Some(at) => at,
        None => {
            if schema.node_types.len() > usize::from(u16::MAX) {
                return Err(source.error(name, "more than 65,536 node types"));
            }
            schema.node_types.push(NodeType {
                name: name.get_ref().clone(),
                about: String::new(),
                attributes: Vec::new(),
                label: None,
                identifiers: Vec::new(),
            });
            schema.node_types.len() - 1
        }
    };
    let node_type = &mut schema.node_types[at];
    if !table.about.is_empty() {
        node_type.about = table.about;
    }
    for (attribute_name, attribute_table) in Source::in_order(table.attributes) {
        let is_identifier = attribute_table.identifier;
        let attribute = source.attribute(&attribute_name, attribute_table)?;
        let id = source.add_attribute(&mut node_type.attributes, &attribute_name, attribute, name.get_ref())?;
        if is_identifier && !node_type.identifiers.contains(&id) {
            node_type.identifiers.push(id);
        }
    }
    if let Some(label) = table.label {
        let texts =
            || node_type.attributes.iter().filter(|known| known.kind == AttributeKind::Text).map(|known| known.name.as_str());
        let id = node_type.attribute(label.get_ref()).filter(|id| node_type.attributes[id.index()].kind == AttributeKind::Text);
        node_type.label = Some(id.ok_or_else(|| {
            source.error(
                &label,
                format!(
                    "label `{}` is no text attribute of `{}`{}",
                    label.get_ref(),
                    name.get_ref(),
                    suggestion(label.get_ref(), texts())
                ),
            )
        })?);
    }
    Ok(())
}

fn add_relation(schema: &mut Schema, source: &Source<'_>, table: RelationTable) -> Result<(), SchemaError> {
    source.check_name(&table.name, "relation")?;
    let end = |schema: &Schema, name: &Spanned<String>| -> Result<NodeTypeId, SchemaError> {
        schema.node_type(name.get_ref()).map_err(|unknown| source.error(name, unknown.to_string()))
    };
    let (from, to) = (end(schema, &table.source)?, end(schema, &table.target)?);
    if table.symmetric && from != to {
        return Err(source.error(
            &table.name,
            format!(
                "relation `{}` is symmetric, so its two ends must have one type; found `{}` and `{}`",
                table.name.get_ref(),
                table.source.get_ref(),
                table.target.get_ref()
            ),
        ));
    }
    let at = schema
        .relations
        .iter()
        .position(|known| known.name == *table.name.get_ref() && known.source == from && known.target == to);
    let mut relation = match at {
        Some(at) => schema.relations[at].clone(),
        None => Relation {
            name: table.name.get_ref().clone(),
            source: from,
            target: to,
            about: String::new(),
            attributes: Vec::new(),
            contains: table.contains.as_ref().map(|contains| *contains.get_ref()),
            symmetric: table.symmetric,
        },
    };
    let contains = table.contains.as_ref().map(|contains| *contains.get_ref());
    if at.is_some() && ((contains.is_some() && contains != relation.contains) || table.symmetric != relation.symmetric) {
        return Err(source.error(
            &table.name,
            format!("relation `{}` exists already; its `contains` and `symmetric` cannot change", schema.title_of(&relation)),
        ));
    }
    if !table.about.is_empty() {
        relation.about = table.about;
    }
    let title = schema.title_of(&relation);
    for (attribute_name, attribute_table) in Source::in_order(table.attributes) {
        if attribute_table.identifier {
            return Err(source.error(&attribute_name, "edges are found by their ends: an edge's attribute is no identifier"));
        }
        let attribute = source.attribute(&attribute_name, attribute_table)?;
        if !attribute.kind.fits_an_edge() {
            return Err(source.error(
                &attribute_name,
                format!("an edge cannot carry a {}; expected number, count, category, boolean or time", attribute.kind),
            ));
        }
        let is_time = attribute.kind == AttributeKind::Time;
        let has_other_time =
            relation.attributes.iter().any(|known| known.kind == AttributeKind::Time && known.name != attribute.name);
        if is_time && has_other_time {
            return Err(source.error(&attribute_name, format!("`{title}` has a time already; an edge has one at most")));
        }
        source.add_attribute(&mut relation.attributes, &attribute_name, attribute, &title)?;
    }
    match at {
        Some(at) => schema.relations[at] = relation,
        None if schema.relations.len() > usize::from(u16::MAX) => {
            return Err(source.error(&table.name, "more than 65,536 relations"));
        }
        None => schema.relations.push(relation),
    }
    if let Some(cycle) = schema.metagraph().containment_cycle() {
        let names: Vec<_> = cycle.iter().map(|&id| format!("`{}`", schema.node(id).name)).collect();
        return Err(source.error(
            &table.name,
            format!(
                "`contains` goes round in a circle: {}; a hierarchy has a top, so leave `contains` off one of these relations",
                names.join(" contains ")
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Schema::biology().extended_by(text, "user.toml").unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_hierarchy_goes_from_tissue_to_region() {
        let schema = Schema::biology();
        let order: Vec<_> = schema.metagraph().hierarchy().iter().map(|&id| schema.node(id).name.clone()).collect();
        let place =
            |name: &str| order.iter().position(|known| known == name).unwrap_or_else(|| panic!("{name} is not in {order:?}"));
        assert!(place("tissue") < place("cell") && place("cell") < place("gene") && place("gene") < place("region"), "{order:?}");
    }

    #[test]
    fn a_users_file_adds_types_attributes_and_relations_and_keeps_ids() {
        let base = Schema::biology();
        let schema = base
            .extended_by(
                "[node.gene.attributes]\nconservation = { kind = \"number\" }\n[node.drug]\n[[relation]]\nname = \"binds\"\nsource = \"drug\"\ntarget = \"gene\"\n",
                "user.toml",
            )
            .unwrap();
        let gene = schema.node_type("gene").unwrap();
        assert_eq!(gene, base.node_type("gene").unwrap());
        assert_eq!(schema.node_attribute(gene, "symbol").unwrap(), base.node_attribute(gene, "symbol").unwrap());
        assert_eq!(schema.node_attribute(gene, "conservation").unwrap().index(), base.node(gene).attributes.len());
        assert_eq!(schema.relation_title(schema.relation("binds").unwrap()), "drug.binds.gene");
    }

    #[test]
    fn mistakes_name_file_line_and_the_nearest_name() {
        let shown = error("\n[[relation]]\nname = \"binds\"\nsource = \"gen\"\ntarget = \"gene\"\n");
        assert!(shown.starts_with("user.toml:4:10: unknown node type `gen`; did you mean `gene`?"), "{shown}");
        let shown = error("[node.drug]\nabuot = \"x\"\n");
        assert!(shown.starts_with("user.toml:2:1: unknown field `abuot`") && shown.contains("did you mean `about`?"), "{shown}");
        let shown = error("[node.drug.attributes]\nmass = { kind = \"nubmer\" }\n");
        assert!(shown.starts_with("user.toml:2:17:") && shown.contains("did you mean `number`?"), "{shown}");
        let shown = error("[node.gene.attributes]\nsymbol = { kind = \"number\" }\n");
        assert!(shown.contains("already a text"), "{shown}");
        let shown = error("[node.Drug]\n");
        assert!(shown.contains("lower-case"), "{shown}");
    }

    #[test]
    fn a_circle_in_contains_is_refused_with_its_path() {
        let shown = error("[[relation]]\nname = \"holds\"\nsource = \"region\"\ntarget = \"tissue\"\ncontains = \"source\"\n");
        assert!(shown.starts_with("user.toml:2:8:"), "{shown}");
        assert!(shown.contains("goes round in a circle") && shown.contains("`tissue`") && shown.contains("`region`"), "{shown}");
    }

    #[test]
    fn symmetric_relations_join_one_type_and_edges_carry_small_things() {
        assert!(
            error("[[relation]]\nname = \"near\"\nsource = \"gene\"\ntarget = \"cell\"\nsymmetric = true\n")
                .contains("symmetric")
        );
        let carries = |kind: &str| {
            error(&format!(
                "[[relation]]\nname = \"near\"\nsource = \"gene\"\ntarget = \"cell\"\nattributes = {{ x = {{ kind = \"{kind}\" }} }}\n"
            ))
        };
        assert!(carries("text").contains("an edge cannot carry a text"));
        assert!(carries("vector(3)").contains("an edge cannot carry a vector(3)"));
    }

    #[test]
    fn merging_keeps_our_ids_and_refuses_what_differs() {
        let base = Schema::biology();
        let one =
            base.extended_by("[node.drug]\n[[relation]]\nname = \"binds\"\nsource = \"drug\"\ntarget = \"gene\"\n", "a").unwrap();
        let two = base
            .extended_by("[node.guide]\n[[relation]]\nname = \"cuts\"\nsource = \"guide\"\ntarget = \"gene\"\n", "b")
            .unwrap();
        let merged = one.merged_with(&two).unwrap();
        assert_eq!(merged.relation("binds").unwrap(), one.relation("binds").unwrap());
        assert_eq!(merged.relation_title(merged.relation("cuts").unwrap()), "guide.cuts.gene");
        assert_eq!(merged.merged_with(&two).unwrap(), merged);
        let other = base.extended_by("[node.drug.attributes]\nmass = { kind = \"text\" }\n", "c").unwrap();
        let number = base.extended_by("[node.drug.attributes]\nmass = { kind = \"number\" }\n", "d").unwrap();
        assert!(other.merged_with(&number).unwrap_err().to_string().contains("`mass`"));
    }

    #[test]
    fn a_bare_relation_name_must_be_enough() {
        let schema = Schema::biology();
        let shown = schema.relation("is_a").unwrap_err().to_string();
        assert!(shown.contains("ambiguous") && shown.contains("`cell_type.is_a.cell_type`"), "{shown}");
        let shown = schema.relation("expreses").unwrap_err().to_string();
        assert!(shown.contains("did you mean `expresses`?"), "{shown}");
    }
}
