//! How a row's columns name the nodes at one end of an edge, or the node that a row is about.

use std::ops::Range;

use relata_schema::identifier::unversioned;
use relata_schema::{AttributeId, AttributeKind, NodeTypeId, Schema, Value};

use crate::identity::Match;
use crate::{At, ColumnSpec, Manifest, Result, Sink, Unmatched};

/// A column with its settings, checked against the schema, and the columns that stand in for it.
pub(crate) struct Reference {
    pub node_type: NodeTypeId,
    pub spec: ColumnSpec,
    identifier: Option<AttributeId>,
    or: Option<Box<Reference>>,
}

/// What a row's reference came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub nodes: Vec<u32>,
    /// How many names the row gave; 0 where its columns are empty.
    pub names: u64,
}

impl Reference {
    /// # Errors
    /// When `match` names no identifier of the node type: the place `span` of the manifest, and the nearest name.
    pub fn of(
        manifest: &Manifest,
        schema: &Schema,
        node_type: NodeTypeId,
        spec: &ColumnSpec,
        span: Range<usize>,
    ) -> Result<Self> {
        let identifier = match &spec.r#match {
            None => None,
            Some(name) => {
                let owner = schema.node(node_type);
                let known: Vec<&str> = owner.identifiers.iter().map(|id| owner.attributes[id.index()].name.as_str()).collect();
                let found = owner.attribute(name).filter(|id| owner.identifiers.contains(id));
                Some(
                    found
                        .ok_or_else(|| manifest.unknown(span.clone(), &format!("identifier of {}", owner.name), name, &known))?,
                )
            }
        };
        let or = match &spec.or {
            Some(other) => Some(Box::new(Self::of(manifest, schema, node_type, other, span)?)),
            None => None,
        };
        Ok(Self { node_type, spec: spec.clone(), identifier, or })
    }

    /// Itself and the columns that stand in for it, in their order.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |reference| reference.or.as_deref())
    }

    /// What one name means, without counting.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn find(&self, name: &str, sink: &mut Sink<'_>) -> Result<Match> {
        sink.find(self.node_type, name, self.identifier)
    }

    /// The node of one name, counted in the sink where there is none.
    ///
    /// # Errors
    /// Where the manifest says that an unknown name stops the load.
    pub fn node(&self, name: &str, at: At, sink: &mut Sink<'_>) -> Result<Option<u32>> {
        sink.link(self.node_type, name, self.identifier, self.spec.unmatched, at)
    }

    /// As [`node`](Self::node), but the reason comes back instead of being counted.
    ///
    /// # Errors
    /// As there.
    pub fn resolve(&self, name: &str, at: At, sink: &mut Sink<'_>) -> Result<Result<u32, String>> {
        if self.spec.exact
            && self.identifier.is_none()
            && let Some(node) = sink.find_key(self.node_type, name)?
        {
            return Ok(Ok(node));
        }
        sink.resolve(self.node_type, name, self.identifier, self.spec.unmatched, at)
    }

    /// Whether it is one column that gives at most one name a row.
    pub fn is_single(&self) -> bool {
        self.or.is_none() && self.spec.column.is_some() && self.spec.split.is_none()
    }

    /// The identifier attribute in which alone names are looked up.
    pub fn identifier(&self) -> Option<AttributeId> {
        self.identifier
    }

    /// The name that a cell of a [single](Self::is_single) column gives.
    pub fn name<'n>(&'n self, cell: &'n str) -> Option<&'n str> {
        self.names(cell).first().copied()
    }

    /// The nodes that a row names: those of the first column of the chain that names at least one. Where none does, the
    /// first column that is not empty decides, by its `unmatched`. `cell` gives the text of the chain's nth column.
    ///
    /// `makes` is for the rows of a node table: a first column without `match` is then the key itself, which is made.
    ///
    /// # Errors
    /// Where the manifest says that an unknown name stops the load.
    pub fn nodes<'c>(&self, cell: impl Fn(usize) -> &'c str, makes: bool, at: At, sink: &mut Sink<'_>) -> Result<Named> {
        let makes = makes && self.identifier.is_none();
        let mut decides: Option<(&Self, Vec<&str>)> = None;
        let mut names_one = false;
        for (place, reference) in self.chain().enumerate() {
            let names = reference.names(cell(place));
            if names.is_empty() {
                continue;
            }
            let is_last = reference.or.is_none() && decides.is_none();
            names_one = !is_last && reference.finds(&names, sink)?;
            if is_last || (makes && place == 0) || names_one {
                decides = Some((reference, names));
                break;
            }
            decides = decides.or(Some((reference, names)));
        }
        let Some((reference, names)) = decides else { return Ok(Named { nodes: Vec::new(), names: 0 }) };
        let mut nodes = Vec::with_capacity(names.len());
        for name in &names {
            if makes && std::ptr::eq(reference, self) {
                let key = if self.spec.exact { name } else { unversioned(name) };
                nodes.push(sink.node(self.node_type, key)?);
                continue;
            }
            match reference.resolve(name, at, sink)? {
                Ok(node) => nodes.push(node),
                Err(reason) if self.or.is_some() && !names_one => {
                    sink.drop(&format!("{reason}; `or` names none either"), name.trim())
                }
                Err(reason) => sink.drop(&reason, name.trim()),
            }
        }
        Ok(Named { nodes, names: names.len() as u64 })
    }

    fn finds(&self, names: &[&str], sink: &mut Sink<'_>) -> Result<bool> {
        for name in names {
            if let Match::Node(_) = self.find(name, sink)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn names<'n>(&'n self, cell: &'n str) -> Vec<&'n str> {
        parts(cell, &self.spec).into_iter().filter(|name| !name.is_empty()).collect()
    }
}

/// The values in a cell, by `split`, `prefix` and `map`.
pub(crate) fn parts<'c>(cell: &'c str, spec: &'c ColumnSpec) -> Vec<&'c str> {
    let split = spec.split.as_deref().filter(|split| !split.is_empty());
    let mut all: Vec<&str> = match split {
        Some(split) => cell.split(split).map(str::trim).filter(|part| !part.is_empty()).collect(),
        None => vec![cell],
    };
    if let Some(prefix) = spec.prefix.as_deref() {
        all = all.into_iter().filter_map(|part| part.strip_prefix(prefix)).collect();
    }
    if !spec.map.is_empty() {
        all.iter_mut().for_each(|part| *part = spec.map.get(*part).map_or(*part, String::as_str));
    }
    all
}

/// A cell as an attribute's value, by `split`, `prefix` and `map`; several parts become one text with `|` between them.
///
/// # Errors
/// What was found and what was expected.
pub(crate) fn value_of(cell: &str, spec: &ColumnSpec, kind: AttributeKind) -> Result<Option<Value>, String> {
    match parts(cell, spec)[..] {
        [part] => Value::parse(part, kind),
        ref parts => Value::parse(&parts.join("|"), kind),
    }
}

/// Refuses settings of a column that only make sense where it names nodes.
pub(crate) fn expect_value(manifest: &Manifest, name: &str, spec: &ColumnSpec, span: Range<usize>) -> Result<()> {
    let found = [("or", spec.or.is_some()), ("match", spec.r#match.is_some()), ("unmatched", spec.unmatched.is_some())];
    match found.iter().find(|(_, is_given)| *is_given) {
        Some((setting, _)) => {
            let message = format!("`{setting}` belongs to a column that names nodes; `{name}` is an attribute");
            Err(manifest.error(span, message))
        }
        None => Ok(()),
    }
}

/// The word on unknown names that a reference has, or else the source's.
pub(crate) fn policy(spec: &ColumnSpec, source: Option<Unmatched>, default: Unmatched) -> Unmatched {
    spec.unmatched.or(source).unwrap_or(default)
}
