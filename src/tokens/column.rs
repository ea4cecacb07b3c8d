use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId, Schema, Transform};

use crate::sampler::Costs;
use crate::snapshot::{EdgeColumn, NodeColumn, Snapshot};
use crate::task::ResolvedTask;

/// Whose attribute a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A node's own.
    Node(NodeTypeId),
    /// An edge's, seen from its near end: the same relation is two columns, one a direction.
    Edge(RelationId, Direction),
}

/// What a column's values are to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// One number.
    Number,
    /// One of some names.
    Category,
    /// As many numbers.
    Vector(u32),
    /// Nothing but that the edge is there.
    Link,
}

/// What a column's values mean, to a model that has one encoder a meaning; it follows from the attribute's kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SemanticType {
    /// Numbers, counts, and lengths of intervals.
    Number,
    /// Times.
    Datetime,
    /// Booleans.
    Boolean,
    /// Texts, and the names of categories.
    Text,
    /// Vectors and sequences: each column for itself.
    Vector,
    /// Nothing but that the edge is there.
    #[default]
    Link,
}

/// What can be a token: one attribute of one node type, or of one relation in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Whose.
    pub owner: Owner,
    /// Which; `None` for the column of an edge that carries nothing, and for that of a node as a whole.
    pub attribute: Option<AttributeId>,
    /// What its values are.
    pub kind: ColumnKind,
}

impl Column {
    /// Its name for people and files: `cell.total_counts`, `cell.expresses.gene>count`, `cell.has_type.cell_type<`, `gene`.
    pub fn title(&self, schema: &Schema) -> String {
        match self.owner {
            Owner::Node(node_type) => {
                let owner = schema.node(node_type);
                match self.attribute {
                    Some(attribute) => format!("{}.{}", owner.name, owner.attributes[attribute.index()].name),
                    None => owner.name.clone(),
                }
            }
            Owner::Edge(relation, direction) => {
                let way = if direction == Direction::Outgoing { '>' } else { '<' };
                let known = &schema.edge(relation).attributes;
                let attribute = self.attribute.map_or("", |attribute| known[attribute.index()].name.as_str());
                format!("{}{way}{attribute}", schema.relation_title(relation))
            }
        }
    }

    /// What its values mean.
    pub fn semantic_type(&self, schema: &Schema) -> SemanticType {
        let Some(attribute) = self.attribute else { return SemanticType::Link };
        let attributes = match self.owner {
            Owner::Node(node_type) => &schema.node(node_type).attributes,
            Owner::Edge(relation, _) => &schema.edge(relation).attributes,
        };
        match attributes[attribute.index()].kind {
            AttributeKind::Number | AttributeKind::Count | AttributeKind::Interval => SemanticType::Number,
            AttributeKind::Time => SemanticType::Datetime,
            AttributeKind::Boolean => SemanticType::Boolean,
            AttributeKind::Category | AttributeKind::Text => SemanticType::Text,
            AttributeKind::Sequence | AttributeKind::Vector(_) => SemanticType::Vector,
        }
    }
}

impl Column {
    /// What the schema says that its numbers are transformed by.
    pub fn transform(&self, schema: &Schema) -> Transform {
        let Some(attribute) = self.attribute else { return Transform::None };
        match self.owner {
            Owner::Node(node_type) => schema.node(node_type).attributes[attribute.index()].transform,
            Owner::Edge(relation, _) => schema.edge(relation).attributes[attribute.index()].transform,
        }
    }
}

/// The columns that a task can show, numbered.
#[derive(Clone, Debug)]
pub struct Columns {
    list: Vec<Column>,
    /// By node type.
    nodes: Vec<Vec<u16>>,
    /// By relation and direction.
    edges: Vec<[Vec<u16>; 2]>,
    target: u16,
    targets: Vec<u16>,
    /// By node type, the column of nodes that are asked for as a whole.
    wholes: Vec<Option<u16>>,
}

impl Columns {
    /// Every attribute with a value in the snapshot that is not hidden; the targets are among them.
    pub fn of(snapshot: &Snapshot, task: &ResolvedTask) -> Self {
        let schema = snapshot.schema();
        let kind_of = |kind| kind_of(kind, task.task.model.text);
        let mut list = Vec::new();
        let mut add = |column| {
            list.push(column);
            (list.len() - 1) as u16
        };
        let (mut target, mut targets) = (0, Vec::new());
        let asked: Vec<_> = task.targets().collect();
        let mut nodes = Vec::new();
        for node_type in schema.node_type_ids() {
            let mut own = Vec::new();
            for (at, attribute) in (0..).zip(&schema.node(node_type).attributes) {
                let at = AttributeId(at);
                let is_target = asked.contains(&(node_type, at));
                let is_hidden = task.hidden_attributes.contains(&(node_type, at));
                if is_target || (!is_hidden && has_values(snapshot, node_type, at)) {
                    let id = add(Column { owner: Owner::Node(node_type), attribute: Some(at), kind: kind_of(attribute.kind) });
                    own.push(id);
                    if is_target {
                        targets.push(id);
                    }
                    if (node_type, at) == (task.node_type, task.target) {
                        target = id;
                    }
                }
            }
            nodes.push(own);
        }
        let mut edges = Vec::new();
        for relation in schema.relation_ids() {
            let both = Direction::BOTH.map(|direction| {
                if !task.relations.contains(&relation) {
                    return Vec::new();
                }
                let owner = Owner::Edge(relation, direction);
                let mut own = Vec::new();
                for (at, attribute) in (0..).zip(&schema.edge(relation).attributes) {
                    let at = AttributeId(at);
                    if attribute.kind != AttributeKind::Time && edge_has_values(snapshot, relation, direction, at) {
                        own.push(add(Column { owner, attribute: Some(at), kind: kind_of(attribute.kind) }));
                    }
                }
                if own.is_empty() {
                    own.push(add(Column { owner, attribute: None, kind: ColumnKind::Link }));
                }
                own
            });
            edges.push(both);
        }
        let mut wholes = vec![None; nodes.len()];
        for objective in &task.objectives {
            for node_type in objective.ask.wholes(schema) {
                let whole: &mut Option<u16> = &mut wholes[node_type.index()];
                *whole = whole.or_else(|| {
                    list.push(Column { owner: Owner::Node(node_type), attribute: None, kind: ColumnKind::Link });
                    Some((list.len() - 1) as u16)
                });
            }
        }
        Self { list, nodes, edges, target, targets, wholes }
    }

    /// All, by number.
    pub fn list(&self) -> &[Column] {
        &self.list
    }

    /// The columns of a node's row.
    pub fn of_node(&self, node_type: NodeTypeId) -> &[u16] {
        &self.nodes[node_type.index()]
    }

    /// The columns of an edge's row; none where the task does not show the relation.
    pub fn of_edge(&self, relation: RelationId, direction: Direction) -> &[u16] {
        &self.edges[relation.index()][usize::from(direction == Direction::Incoming)]
    }

    /// The target's.
    pub fn target(&self) -> u16 {
        self.target
    }

    /// Whether it is a column that some objective predicts.
    pub fn is_target(&self, column: u16) -> bool {
        self.targets.contains(&column)
    }

    /// The column of a node type's nodes where they are asked for as a whole, if an objective of the task does that.
    pub fn whole(&self, node_type: NodeTypeId) -> Option<u16> {
        self.wholes[node_type.index()]
    }

    /// What rows cost at most, in tokens: what the sampler's budget counts.
    pub fn costs(&self) -> Costs {
        Costs {
            nodes: self.nodes.iter().map(|columns| columns.len() as u32).collect(),
            edges: self.edges.iter().map(|both| both.iter().map(Vec::len).max().unwrap_or(0).max(1) as u32).collect(),
        }
    }
}

/// `text` is how many numbers a text becomes.
fn kind_of(kind: AttributeKind, text: u32) -> ColumnKind {
    match kind {
        AttributeKind::Number | AttributeKind::Count | AttributeKind::Time | AttributeKind::Interval => ColumnKind::Number,
        AttributeKind::Category | AttributeKind::Boolean => ColumnKind::Category,
        AttributeKind::Text => ColumnKind::Vector(text),
        AttributeKind::Sequence => ColumnKind::Vector(super::features::SEQUENCE_DIMENSION),
        AttributeKind::Vector(dimension) => ColumnKind::Vector(dimension),
    }
}

fn has_values(snapshot: &Snapshot, node_type: NodeTypeId, attribute: AttributeId) -> bool {
    match snapshot.column(node_type, attribute) {
        NodeColumn::Number(values) => !values.is_empty(),
        NodeColumn::Category(codes) => !codes.is_empty(),
        NodeColumn::Boolean(truths) => !truths.is_empty(),
        NodeColumn::Time(times) => !times.is_empty(),
        NodeColumn::Vector { values, .. } => !values.is_empty(),
        NodeColumn::Text | NodeColumn::Interval => {
            (0..snapshot.node_count(node_type)).any(|node| snapshot.value(node_type, attribute, node).is_some())
        }
    }
}

fn edge_has_values(snapshot: &Snapshot, relation: RelationId, direction: Direction, attribute: AttributeId) -> bool {
    match snapshot.edge_column(relation, direction, attribute) {
        EdgeColumn::Number(values) => !values.is_empty(),
        EdgeColumn::Category(codes) => !codes.is_empty(),
    }
}
