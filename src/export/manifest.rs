//! The manifest that loads an export back.

use std::collections::{BTreeMap, BTreeSet};

use relata_schema::{AttributeKind, NodeTypeId, RelationId};
use serde::Serialize;

use crate::snapshot::Snapshot;

/// `manifest.toml`, as the loader reads it.
#[derive(Serialize)]
pub(super) struct Manifest {
    schema: OwnSchema,
    dataset: Dataset,
    source: Vec<Source>,
}

/// In the stead of the built-in schema, which may grow with later versions.
#[derive(Serialize)]
struct OwnSchema {
    path: &'static str,
    builtin: bool,
}

#[derive(Serialize)]
struct Dataset {
    name: String,
}

#[derive(Default, Serialize)]
struct Source {
    path: String,
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Column>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unmatched: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, Column>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    columns: BTreeMap<String, Column>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Column {
    Name(String),
    /// A text, which is what it is.
    Exact {
        column: String,
        exact: bool,
    },
    Interval {
        contig: String,
        start: String,
        end: String,
        strand: String,
    },
}

/// The columns of an interval: its attribute's name, a dot, and one of these.
pub(super) const INTERVAL: [&str; 4] = ["contig", "start", "end", "strand"];

impl Manifest {
    /// Of a schema file and no table yet.
    pub fn of(snapshot: &Snapshot, schema: &'static str) -> Self {
        let names: BTreeSet<&str> = snapshot.sources().iter().map(|source| source.dataset.as_str()).collect();
        let name = if names.is_empty() { "export".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
        let schema = OwnSchema { path: schema, builtin: false };
        Self { schema, dataset: Dataset { name }, source: Vec::new() }
    }

    /// Adds a table of nodes with a column for each of these attributes.
    pub fn nodes<'a>(
        &mut self,
        path: String,
        snapshot: &Snapshot,
        node_type: NodeTypeId,
        key: &str,
        attributes: impl Iterator<Item = (&'a str, AttributeKind)>,
    ) {
        let attributes = attributes.map(|(name, kind)| (name.to_owned(), column(name, kind))).collect();
        let (node, key) = (Some(snapshot.schema().node(node_type).name.clone()), Some(exact(key)));
        self.source.push(Source { path, format: "parquet", node, key, attributes, ..Source::default() });
    }

    /// Adds a table of edges: the columns of its ends, and a column for each of these attributes.
    pub fn edges<'a>(
        &mut self,
        path: String,
        snapshot: &Snapshot,
        relation: RelationId,
        ends: [&str; 2],
        attributes: impl Iterator<Item = (&'a str, AttributeKind)>,
    ) {
        let mut columns: BTreeMap<String, Column> =
            attributes.map(|(name, kind)| (name.to_owned(), column(name, kind))).collect();
        for (end, name) in ["source", "target"].into_iter().zip(ends) {
            columns.insert(end.to_owned(), exact(name));
        }
        let relation = Some(snapshot.schema().relation_title(relation));
        // Every node has its row in a table before: a name that has none is damage.
        let unmatched = Some("fail");
        self.source.push(Source { path, format: "parquet", relation, unmatched, columns, ..Source::default() });
    }

    /// As text, with a line on what it is.
    pub fn to_toml(&self, snapshot: &Snapshot) -> String {
        let text = toml::to_string(self).expect("texts and tables of texts are TOML");
        format!(
            "# Snapshot {}, written by `relata export`.\n# `relata-load run manifest.toml --store STORE` loads it back.\n\n{text}",
            snapshot.id()
        )
    }
}

fn column(name: &str, kind: AttributeKind) -> Column {
    match kind {
        AttributeKind::Category | AttributeKind::Text | AttributeKind::Sequence => exact(name),
        AttributeKind::Interval => {
            let [contig, start, end, strand] = INTERVAL.map(|part| format!("{name}.{part}"));
            Column::Interval { contig, start, end, strand }
        }
        _ => Column::Name(name.to_owned()),
    }
}

fn exact(name: &str) -> Column {
    Column::Exact { column: name.to_owned(), exact: true }
}
