use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Attribute, AttributeKind, MetaGraph, SchemaError, parse, suggestion};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u16);

        impl $name {
            /// As a position.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    };
}

id! {
    /// A node type, by its position in its schema.
    NodeTypeId
}
id! {
    /// A relation, by its position in its schema.
    RelationId
}
id! {
    /// An attribute, by its position in its node type or relation.
    AttributeId
}

/// Which way a relation is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From source to target.
    Outgoing,
    /// From target to source.
    Incoming,
}

impl Direction {
    /// Both, outgoing first.
    pub const BOTH: [Self; 2] = [Self::Outgoing, Self::Incoming];

    /// The other way.
    pub fn reverse(self) -> Self {
        match self {
            Self::Outgoing => Self::Incoming,
            Self::Incoming => Self::Outgoing,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
        })
    }
}

/// The end of a relation that contains the other: the upper one in the hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// The source contains the target: cell *expresses* gene.
    Source,
    /// The target contains the source: cell type *is a* cell type.
    Target,
}

/// A kind of thing: gene, cell, region, ….
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeType {
    /// Its name, unique in the schema.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// What is known of each; a node's key is not among them.
    pub attributes: Vec<Attribute>,
    /// The text attribute that people know a node by, if it is not the key.
    pub label: Option<AttributeId>,
    /// The text attributes by which a node can be found besides its key. One value may hold several
    /// identifiers, separated by `|`.
    pub identifiers: Vec<AttributeId>,
}

/// A kind of edge from one node type to another (or the same).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its bare name; with its two ends it is unique in the schema.
    pub name: String,
    /// Where its edges start.
    pub source: NodeTypeId,
    /// Where they end.
    pub target: NodeTypeId,
    /// One line for people.
    pub about: String,
    /// What each edge carries.
    pub attributes: Vec<Attribute>,
    /// Whether it is a step of the hierarchy, and which end is the upper one.
    pub contains: Option<Container>,
    /// Whether a–b says the same as b–a. Source and target have one type then.
    pub symmetric: bool,
}

impl Relation {
    /// The node type at the near end when walking in `direction`.
    pub fn near(&self, direction: Direction) -> NodeTypeId {
        match direction {
            Direction::Outgoing => self.source,
            Direction::Incoming => self.target,
        }
    }

    /// The node type at the far end when walking in `direction`.
    pub fn far(&self, direction: Direction) -> NodeTypeId {
        self.near(direction.reverse())
    }

    /// The directions in which it is walked: a symmetric relation has one, with all of a node's edges.
    pub fn directions(&self) -> &'static [Direction] {
        if self.symmetric { &[Direction::Outgoing] } else { &Direction::BOTH }
    }

    /// The direction that leads up the hierarchy, if the relation is a step of it.
    pub fn up(&self) -> Option<Direction> {
        self.contains.map(|container| match container {
            Container::Source => Direction::Incoming,
            Container::Target => Direction::Outgoing,
        })
    }

    /// The attribute with this name.
    pub fn attribute(&self, name: &str) -> Option<AttributeId> {
        position(&self.attributes, |attribute| attribute.name == name).map(AttributeId)
    }

    /// The attributes whose values are numbers: numbers, counts and booleans (0, 1).
    pub fn numbers(&self) -> impl Iterator<Item = (AttributeId, &Attribute)> {
        let is_number = |kind| !matches!(kind, AttributeKind::Category | AttributeKind::Time);
        (0..).map(AttributeId).zip(&self.attributes).filter(move |(_, attribute)| is_number(attribute.kind))
    }
}

impl NodeType {
    /// The attribute with this name.
    pub fn attribute(&self, name: &str) -> Option<AttributeId> {
        position(&self.attributes, |attribute| attribute.name == name).map(AttributeId)
    }
}

fn position<T>(items: &[T], found: impl Fn(&T) -> bool) -> Option<u16> {
    items.iter().position(found).and_then(|at| u16::try_from(at).ok())
}

/// Node types and the relations between them. See the [crate's page](crate).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub(crate) node_types: Vec<NodeType>,
    pub(crate) relations: Vec<Relation>,
}

impl Schema {
    /// The built-in schema: genes, cells, regions, tissues, cell types, and what lies around them.
    pub fn biology() -> Self {
        parse::extend(&Self::default(), include_str!("../biology.toml"), "biology.toml")
            .expect("biology.toml is part of the program, and a test reads it")
    }

    /// This schema and what `text` adds. `file` is only for messages.
    ///
    /// # Errors
    /// Syntax, an unknown field, kind or node type, a redefinition, a cycle in `contains`: each with
    /// file, line and the nearest known name.
    pub fn extended_by(&self, text: &str, file: &str) -> Result<Self, SchemaError> {
        parse::extend(self, text, file)
    }

    /// This schema and what `other` has beyond it. What both have must agree.
    ///
    /// # Errors
    /// [`SchemaError::Conflict`] names what differs.
    pub fn merged_with(&self, other: &Self) -> Result<Self, SchemaError> {
        let mut merged = self.clone();
        for theirs in &other.node_types {
            let Some(ours) = merged.node_types.iter_mut().find(|ours| ours.name == theirs.name) else {
                merged.node_types.push(theirs.clone());
                continue;
            };
            merge_attributes(&mut ours.attributes, &theirs.attributes, &format!("node type `{}`", theirs.name))?;
            let own_id = |id: &AttributeId| ours.attribute(&theirs.attributes[id.index()].name);
            let identifiers: Vec<_> = theirs.identifiers.iter().filter_map(own_id).collect();
            let label = theirs.label.as_ref().and_then(own_id);
            ours.label = ours.label.or(label);
            for identifier in identifiers {
                if !ours.identifiers.contains(&identifier) {
                    ours.identifiers.push(identifier);
                }
            }
        }
        for theirs in &other.relations {
            let end = |id: NodeTypeId| merged.node_type(&other.node_types[id.index()].name);
            let (source, target) = (end(theirs.source)?, end(theirs.target)?);
            let title = other.title_of(theirs);
            let found = merged
                .relations
                .iter_mut()
                .find(|ours| ours.name == theirs.name && ours.source == source && ours.target == target);
            match found {
                None => merged.relations.push(Relation { source, target, ..theirs.clone() }),
                Some(ours) => {
                    if ours.contains != theirs.contains || ours.symmetric != theirs.symmetric {
                        return Err(SchemaError::Conflict(format!(
                            "relation `{title}` has `contains` or `symmetric` set differently in the two schemas"
                        )));
                    }
                    merge_attributes(&mut ours.attributes, &theirs.attributes, &format!("relation `{title}`"))?;
                }
            }
        }
        if let Some(cycle) = merged.metagraph().containment_cycle() {
            return Err(SchemaError::Conflict(format!(
                "`contains` goes round in a circle: {}",
                cycle.iter().map(|&id| merged.node_types[id.index()].name.as_str()).collect::<Vec<_>>().join(" > ")
            )));
        }
        Ok(merged)
    }

    /// The node types, by id.
    pub fn node_types(&self) -> &[NodeType] {
        &self.node_types
    }

    /// The relations, by id.
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// Ids of all node types.
    pub fn node_type_ids(&self) -> impl Iterator<Item = NodeTypeId> + use<> {
        (0..self.node_types.len() as u16).map(NodeTypeId)
    }

    /// Ids of all relations.
    pub fn relation_ids(&self) -> impl Iterator<Item = RelationId> + use<> {
        (0..self.relations.len() as u16).map(RelationId)
    }

    /// The node type with an id of this schema.
    ///
    /// # Panics
    /// When the id is of another schema.
    pub fn node(&self, id: NodeTypeId) -> &NodeType {
        &self.node_types[id.index()]
    }

    /// The relation with an id of this schema.
    ///
    /// # Panics
    /// When the id is of another schema.
    pub fn edge(&self, id: RelationId) -> &Relation {
        &self.relations[id.index()]
    }

    /// The node type called `name`.
    ///
    /// # Errors
    /// [`SchemaError::Unknown`] with the nearest name.
    pub fn node_type(&self, name: &str) -> Result<NodeTypeId, SchemaError> {
        position(&self.node_types, |node_type| node_type.name == name)
            .map(NodeTypeId)
            .ok_or_else(|| unknown("node type", name, self.node_types.iter().map(|node_type| node_type.name.as_str())))
    }

    /// The attribute called `name` of a node type.
    ///
    /// # Errors
    /// [`SchemaError::Unknown`] with the nearest name.
    pub fn node_attribute(&self, node_type: NodeTypeId, name: &str) -> Result<AttributeId, SchemaError> {
        let owner = self.node(node_type);
        owner.attribute(name).ok_or_else(|| {
            unknown(&format!("attribute of `{}`", owner.name), name, owner.attributes.iter().map(|known| known.name.as_str()))
        })
    }

    /// The attribute called `name` of a relation.
    ///
    /// # Errors
    /// [`SchemaError::Unknown`] with the nearest name.
    pub fn edge_attribute(&self, relation: RelationId, name: &str) -> Result<AttributeId, SchemaError> {
        let owner = self.edge(relation);
        owner.attribute(name).ok_or_else(|| {
            unknown(
                &format!("attribute of `{}`", self.title_of(owner)),
                name,
                owner.attributes.iter().map(|known| known.name.as_str()),
            )
        })
    }

    /// The relation called `name`: bare (`expresses`) where that is enough, else in full
    /// (`cell.expresses.gene`).
    ///
    /// # Errors
    /// [`SchemaError::Unknown`] with the nearest name, [`SchemaError::Ambiguous`] with the full names.
    pub fn relation(&self, name: &str) -> Result<RelationId, SchemaError> {
        let titles: Vec<String> = self.relations.iter().map(|relation| self.title_of(relation)).collect();
        if let Some(id) = position(&titles, |title| title == name) {
            return Ok(RelationId(id));
        }
        let named: Vec<u16> =
            self.relation_ids().map(|id| id.0).filter(|&id| self.relations[usize::from(id)].name == name).collect();
        match named.as_slice() {
            [only] => Ok(RelationId(*only)),
            [] => {
                let bare = self.relations.iter().map(|relation| relation.name.as_str());
                Err(unknown("relation", name, bare.chain(titles.iter().map(String::as_str))))
            }
            several => Err(SchemaError::Ambiguous {
                found: name.to_owned(),
                candidates: several.iter().map(|&id| format!("`{}`", titles[usize::from(id)])).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// A relation's full name: `cell.expresses.gene`.
    ///
    /// # Panics
    /// When the id is of another schema.
    pub fn relation_title(&self, id: RelationId) -> String {
        self.title_of(self.edge(id))
    }

    pub(crate) fn title_of(&self, relation: &Relation) -> String {
        format!("{}.{}.{}", self.node(relation.source).name, relation.name, self.node(relation.target).name)
    }

    /// The types and relations as a graph of petgraph's.
    pub fn metagraph(&self) -> MetaGraph {
        MetaGraph::of(self)
    }
}

fn unknown<'a>(what: &str, found: &str, known: impl Iterator<Item = &'a str> + Clone) -> SchemaError {
    let mut names: Vec<&str> = known.clone().collect();
    names.sort_unstable();
    names.dedup();
    SchemaError::Unknown {
        what: what.to_owned(),
        found: found.to_owned(),
        suggestion: suggestion(found, names.iter().copied()),
        known: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
    }
}

fn merge_attributes(ours: &mut Vec<Attribute>, theirs: &[Attribute], owner: &str) -> Result<(), SchemaError> {
    for attribute in theirs {
        match ours.iter().find(|known| known.name == attribute.name) {
            None => ours.push(attribute.clone()),
            Some(known) if known.kind == attribute.kind && known.unit == attribute.unit => {}
            Some(known) => {
                let unit = |unit: &Option<String>| unit.as_ref().map_or(String::new(), |unit| format!(" in {unit}"));
                return Err(SchemaError::Conflict(format!(
                    "attribute `{}` of {owner} is a {}{} in one schema and a {}{} in the other",
                    attribute.name,
                    known.kind,
                    unit(&known.unit),
                    attribute.kind,
                    unit(&attribute.unit),
                )));
            }
        }
    }
    Ok(())
}
