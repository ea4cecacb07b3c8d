use relata_schema::{Direction, RelationId, Schema};
use serde::{Deserialize, Serialize};

/// How subgraphs are drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// Which edges of a node are taken, and where it ends.
    pub walk: Walk,
    /// The relations that are followed, each in both directions unless a fanout of 0 names one that is not.
    pub relations: Vec<RelationId>,
    /// No edge later than this is taken, in the unit of the relations' time attributes.
    pub cutoff: Option<i64>,
    /// What a cutoff does with an edge whose time is missing.
    pub missing_time: MissingTime,
    /// Other subgraphs for another seed.
    pub seed: u64,
}

/// Which edges of a node are taken, and where the walk ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Walk {
    /// A fanout per hop and relation, as PyG and DGL have it.
    Neighbour {
        /// For each hop, how many edges of each relation and direction a node takes at most; `u32::MAX` is all.
        fanouts: Vec<u32>,
        /// The same for one relation walked in one direction, one number a hop; 0 follows nothing there. A symmetric
        /// relation has one direction, whichever is named.
        fanout_of: Vec<(RelationId, Direction, Vec<u32>)>,
    },
    /// Breadth-first under a budget of tokens.
    Context {
        /// Tokens that a subgraph costs at most, and edges that it has at most.
        tokens: u32,
        /// Steps from a seed.
        hops: u32,
        /// Edges of each relation and direction that a node takes at most; all that the budget allows if `None`.
        width: Option<u32>,
        /// The same for one relation, in both directions.
        width_of: Vec<(RelationId, u32)>,
        /// What each row costs.
        costs: Costs,
    },
}

/// Tokens that a row costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// For each node type, a node whose attributes are shown.
    pub nodes: Vec<u32>,
    /// For each relation, an edge.
    pub edges: Vec<u32>,
}

/// What a cutoff does with an edge of a relation that has times, where the edge's own is missing. A relation without a
/// time attribute has no missing times: its edges always were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingTime {
    /// It may be taken. The default: most of biology's relations were never dated, and a file that dates some of its rows
    /// rarely means that the others came later.
    #[default]
    Keep,
    /// It is never taken.
    Drop,
}

impl SamplerConfig {
    /// No cutoff, and seed 0: what is drawn then depends on the draw alone.
    pub fn new(walk: Walk, relations: impl IntoIterator<Item = RelationId>) -> Self {
        let relations = relations.into_iter().collect();
        Self { walk, relations, cutoff: None, missing_time: MissingTime::default(), seed: 0 }
    }
}

impl Walk {
    /// The same fanout for all relations, one number a hop.
    pub fn neighbour(fanouts: impl Into<Vec<u32>>) -> Self {
        Self::Neighbour { fanouts: fanouts.into(), fanout_of: Vec::new() }
    }

    /// No width beside the budget.
    pub fn context(tokens: u32, hops: u32, costs: Costs) -> Self {
        Self::Context { tokens, hops, width: None, width_of: Vec::new(), costs }
    }
}

impl Costs {
    /// A token an attribute, and one for a row that has none: that it is there, and what it refers to, is said too.
    pub fn of_attributes(schema: &Schema) -> Self {
        let cost = |attributes: usize| attributes.max(1) as u32;
        Self {
            nodes: schema.node_types().iter().map(|node_type| cost(node_type.attributes.len())).collect(),
            edges: schema.relations().iter().map(|relation| cost(relation.attributes.len())).collect(),
        }
    }
}
