//! What the rows of a table are, by the settings of their source: the same in every format of tables.

use relata_schema::{AttributeId, NodeTypeId, RelationId, Schema, Value};

use crate::reference::{Reference, expect_value, policy};
use crate::{ColumnSpec, Manifest, Result, Source, Unmatched};

/// What a row is, by the source's settings.
pub(crate) enum Meaning {
    Nodes(Nodes),
    Edges(Edges),
    Matrix(Edges),
}

/// Rows that are nodes.
pub(crate) struct Nodes {
    pub key: Reference,
    pub unmatched: Unmatched,
    pub attributes: Vec<(AttributeId, ColumnSpec)>,
    pub constants: Vec<(AttributeId, Value)>,
}

/// Rows that are edges, or nodes with an edge in each of many columns.
pub(crate) struct Edges {
    pub relation: RelationId,
    pub ends: [Reference; 2],
    pub attributes: Vec<(AttributeId, ColumnSpec)>,
    pub constants: Vec<(AttributeId, String)>,
    pub columns_with: Option<String>,
    pub value: Option<AttributeId>,
}

impl Meaning {
    /// # Errors
    /// A place of the manifest: what is missing, unknown or does not belong there.
    pub fn of(manifest: &Manifest, source: &Source, schema: &Schema) -> Result<Self> {
        match (&source.node, &source.relation) {
            (Some(name), None) => {
                for (setting, span) in source.settings() {
                    if ["columns", "layout", "columns_with", "value"].contains(&setting) {
                        return Err(manifest.error(
                            span,
                            format!("`{setting}` belongs to a table of edges (`relation`), not of nodes (`node`)"),
                        ));
                    }
                }
                let node_type = schema.node_type(name.get_ref()).map_err(manifest.at(name))?;
                let Some(key) = &source.key else {
                    return Err(manifest.error(name.span(), "a table of nodes needs `key`: the column that names the node"));
                };
                let unmatched = policy(key.get_ref(), source.unmatched, Unmatched::Make);
                let own = ColumnSpec { unmatched: Some(unmatched), ..key.get_ref().clone() };
                let key = Reference::of(manifest, schema, node_type, &own, key.span())?;
                let mut attributes = Vec::new();
                if let Some(table) = &source.attributes {
                    for (attribute, spec) in table.get_ref() {
                        expect_value(manifest, attribute, spec, table.span())?;
                        attributes.push((schema.node_attribute(node_type, attribute).map_err(manifest.at(table))?, spec.clone()));
                    }
                }
                let mut constants = Vec::new();
                if let Some(table) = &source.constants {
                    for (attribute, value) in table.get_ref() {
                        let id = schema.node_attribute(node_type, attribute).map_err(manifest.at(table))?;
                        let value = Value::parse(&plain(value), schema.node(node_type).attributes[id.index()].kind)
                            .map_err(|message| manifest.error(table.span(), format!("{attribute}: {message}")))?;
                        constants.extend(value.map(|value| (id, value)));
                    }
                }
                Ok(Self::Nodes(Nodes { key, unmatched, attributes, constants }))
            }
            (None, Some(name)) => {
                let relation = schema.relation(name.get_ref()).map_err(manifest.at(name))?;
                Self::edges(manifest, source, schema, relation, name.span())
            }
            (Some(both), Some(_)) => {
                Err(manifest.error(both.span(), "a table has either `node` or `relation`; load it twice for both"))
            }
            (None, None) => {
                let message =
                    "a table needs `node` (and `key`) when its rows are nodes, or `relation` (and `columns`) when they are edges";
                Err(manifest.error(source.path.span(), message))
            }
        }
    }

    fn edges(
        manifest: &Manifest,
        source: &Source,
        schema: &Schema,
        relation: RelationId,
        span: std::ops::Range<usize>,
    ) -> Result<Self> {
        for (setting, span) in source.settings() {
            if ["key", "attributes"].contains(&setting) {
                return Err(manifest.error(
                    span,
                    format!("`{setting}` belongs to a table of nodes (`node`); an edge's columns stand in `columns`"),
                ));
            }
        }
        let is_matrix = match source.layout.as_ref().map(|layout| (layout, layout.get_ref().as_str())) {
            None | Some((_, "rows")) => false,
            Some((_, "matrix")) => true,
            Some((layout, other)) => return Err(manifest.unknown(layout.span(), "layout", other, &["rows", "matrix"])),
        };
        let Some(columns) = &source.columns else {
            return Err(manifest.error(span, "a table of edges needs `columns = { source = …, target = … }`"));
        };
        let edge = schema.edge(relation);
        let mut attributes = Vec::new();
        for (name, spec) in columns.get_ref() {
            if name != "source" && name != "target" {
                expect_value(manifest, name, spec, columns.span())?;
                attributes.push((schema.edge_attribute(relation, name).map_err(manifest.at(columns))?, spec.clone()));
            }
        }
        let end = |name: &str, node_type: NodeTypeId| -> Result<Reference> {
            let none = ColumnSpec::default();
            let spec = match columns.get_ref().get(name) {
                Some(spec) => spec,
                None if is_matrix => &none,
                None => return Err(manifest.error(columns.span(), format!("`columns` has no `{name}`: the column of that end"))),
            };
            Reference::of(manifest, schema, node_type, spec, columns.span())
        };
        let ends = [end("source", edge.source)?, end("target", edge.target)?];
        if is_matrix && (ends[0].spec.column.is_some() == ends[1].spec.column.is_some() || !attributes.is_empty()) {
            let message = "a matrix has one of `source` and `target` as a column of its rows; the other end is the column's name, and `value` names the attribute of its entries";
            return Err(manifest.error(columns.span(), message));
        }
        if is_matrix && ends.iter().any(|end| end.spec.or.is_some() || end.spec.split.is_some()) {
            return Err(manifest.error(columns.span(), "`or` and `split` do not work in a matrix; its rows have one name each"));
        }
        let mut constants = Vec::new();
        if let Some(table) = &source.constants {
            for (attribute, value) in table.get_ref() {
                let id = schema.edge_attribute(relation, attribute).map_err(manifest.at(table))?;
                constants.push((id, plain(value)));
            }
        }
        let value = match &source.value {
            Some(name) => Some(schema.edge_attribute(relation, name.get_ref()).map_err(manifest.at(name))?),
            None => None,
        };
        let columns_with = source.columns_with.as_ref().map(|prefix| prefix.get_ref().clone());
        if let (false, Some(setting)) = (is_matrix, source.value.as_ref().or(source.columns_with.as_ref())) {
            return Err(manifest.error(setting.span(), "`value` and `columns_with` belong to `layout = \"matrix\"`"));
        }
        let edges = Edges { relation, ends, attributes, constants, columns_with, value };
        Ok(if is_matrix { Self::Matrix(edges) } else { Self::Edges(edges) })
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
