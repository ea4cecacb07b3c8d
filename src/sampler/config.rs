use std::str::FromStr;

use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId, Schema};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How subgraphs are drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// Which edges of a node are taken, and where it ends.
    pub walk: Walk,
    /// The relations that are followed, each in both directions unless a fanout of 0 names one that is not.
    pub relations: Vec<RelationId>,
    /// Which edges a node takes where it does not take all.
    pub choice: Choice,
    /// The same for one relation, in both directions.
    pub choice_of: Vec<(RelationId, Choice)>,
    /// Which edges of those that the walk met are listed.
    pub listed: Listed,
    /// Edges that are never taken, from either end, whatever their times and attributes: those that a link task asks for.
    pub excluded: Vec<(RelationId, u32, u32)>,
    /// Rows like the seeds that the walk begins at too, if any.
    pub retrieval: Option<Retrieval>,
    /// Nothing later than this is taken, in the unit of the time attributes; a seed may have one of its own.
    pub cutoff: Option<i64>,
    /// What a cutoff does with what has just its time.
    pub equal_time: EqualTime,
    /// What a cutoff does with what has no time.
    pub missing_time: MissingTime,
    /// For a node type, the time attribute that says since when a node has been there, or that its nodes always were; else it
    /// is the only one that the type has. With a cutoff, a node that came later is not reached.
    pub time_of: Vec<(NodeTypeId, Option<AttributeId>)>,
    /// Other subgraphs for another seed.
    pub seed: u64,
}

/// Which edges a node takes where it does not take all that time allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Choice {
    /// Any, each set of them equally likely.
    #[default]
    Uniform,
    /// The latest; of those of one time, the ones whose far nodes have the highest numbers. An edge without a time is before
    /// all others. Of a relation without times, any.
    Latest,
    /// One after the other, each with a probability in proportion to its value of this attribute among those left. An edge
    /// whose value is missing or 0 is never taken. Of a relation without the attribute, any.
    Weighted(String),
    /// Those with the highest values of this attribute, of equal ones the earlier in the snapshot; missing ones come last.
    /// Of a relation without the attribute, any.
    Top(String),
}

/// Which edges a subgraph lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listed {
    /// Those that were drawn, as messages to the nodes that drew them: an edge that both of its ends drew is there twice, once
    /// in each direction. What PyG calls `directional`, and DGL a block.
    #[default]
    Drawn,
    /// Those that were drawn, each once: from the end that drew it first.
    Once,
    /// All edges of the relations followed between the nodes that were met, as far as time allows, each once and outgoing.
    Induced,
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
    /// Up and down the relations that the schema marks with `contains`: region, gene, cell, tissue, and the terms of
    /// ontologies. Other relations are not followed.
    Hierarchy {
        /// For each level above the seeds, how many nodes it brings at most: what contains those of the level below.
        up: Vec<u32>,
        /// The same for each level below: what those of the level above contain.
        down: Vec<u32>,
    },
}

/// Rows that are shown beside a seed because they are like it: the nodes of its type that random walks from it meet most often
/// (as PinSage ranks neighbours: Ying et al., KDD 2018, <https://arxiv.org/abs/1806.01973>). A walk takes at each node one of the
/// relations and directions that have an edge to take, each equally likely, and one of its edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrieval {
    /// Walks from each seed.
    pub walks: u32,
    /// Steps of a walk.
    pub steps: u32,
    /// Rows of a seed at most.
    pub rows: u32,
}

impl Retrieval {
    /// Walks from each seed, where nothing else is asked for.
    pub const WALKS: u32 = 1000;
    /// Steps of a walk, where nothing else is asked for.
    pub const STEPS: u32 = 20;
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

/// What a cutoff does with an edge or node that has just that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EqualTime {
    /// It may be taken. The default: a cutoff is the last moment that is known.
    #[default]
    Keep,
    /// It is never taken: what happened at the moment that is predicted says too much of it.
    Drop,
}

/// What a cutoff does with an edge of a relation, or a node of a type, that has times, where its own is missing. What has no
/// time attribute has no missing times: it always was.
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
        Self {
            walk,
            relations,
            choice: Choice::default(),
            choice_of: Vec::new(),
            listed: Listed::default(),
            excluded: Vec::new(),
            retrieval: None,
            cutoff: None,
            equal_time: EqualTime::default(),
            missing_time: MissingTime::default(),
            time_of: Vec::new(),
            seed: 0,
        }
    }

    /// An entry of [`time_of`](Self::time_of), by names: of a node type, one of its time attributes, or none.
    ///
    /// # Errors
    /// [`Error::Schema`] with the nearest name for a type or attribute that the schema does not have; [`Error::Setting`] for an
    /// attribute that is no time.
    pub fn named_time(schema: &Schema, node_type: &str, attribute: Option<&str>) -> Result<(NodeTypeId, Option<AttributeId>)> {
        let id = schema.node_type(node_type)?;
        let Some(name) = attribute else { return Ok((id, None)) };
        let attribute = schema.node_attribute(id, name)?;
        let known = &schema.node(id).attributes;
        match known[attribute.index()].kind {
            AttributeKind::Time => Ok((id, Some(attribute))),
            kind => {
                let times = known.iter().filter(|known| known.kind == AttributeKind::Time).map(|known| known.name.as_str());
                let expected = match times.collect::<Vec<_>>().as_slice() {
                    [] => format!("a time, of which {node_type} has none"),
                    times => format!("a time of {node_type}: {}", times.join(", ")),
                };
                Err(Error::setting(format!("time_of {node_type}"), format!("`{name}`, a {kind}"), expected))
            }
        }
    }
}

/// As commands and questions write it: `uniform`, `latest`, `weighted:ATTRIBUTE` or `top:ATTRIBUTE`.
impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "uniform" => Ok(Self::Uniform),
            None if text == "latest" => Ok(Self::Latest),
            Some(("weighted", name)) if !name.is_empty() => Ok(Self::Weighted(name.to_owned())),
            Some(("top", name)) if !name.is_empty() => Ok(Self::Top(name.to_owned())),
            _ => {
                let expected = "`uniform`, `latest`, `weighted:ATTRIBUTE` or `top:ATTRIBUTE`".to_owned();
                Err(Error::setting("choice", format!("`{text}`"), expected))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_from_its_text() {
        for (text, expected) in [
            ("uniform", Choice::Uniform),
            ("latest", Choice::Latest),
            ("weighted:score", Choice::Weighted("score".to_owned())),
            ("top:a:b", Choice::Top("a:b".to_owned())),
        ] {
            assert_eq!(text.parse::<Choice>().unwrap(), expected);
        }
        for text in ["", "top", "top:", "weighted:", "Latest", "latest:day", "first:score"] {
            let error = text.parse::<Choice>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("choice: found `{text}`, expected `uniform`")), "{error}");
        }
    }

    #[test]
    fn a_time_is_found_by_its_names() {
        let schema = Schema::biology();
        let cell = schema.node_type("cell").unwrap();
        let found = SamplerConfig::named_time(&schema, "cell", Some("time")).unwrap();
        assert_eq!(found, (cell, Some(schema.node_attribute(cell, "time").unwrap())));
        assert_eq!(SamplerConfig::named_time(&schema, "cell", None).unwrap(), (cell, None));
        for (node_type, attribute, expected) in [
            ("cel", "time", "did you mean `cell`"),
            ("cell", "tme", "did you mean `time`"),
            ("cell", "celltype", "time_of cell: found `celltype`, a category, expected a time of cell: time"),
            ("gene", "length", "time_of gene: found `length`, a count, expected a time, of which gene has none"),
        ] {
            let error = SamplerConfig::named_time(&schema, node_type, Some(attribute)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}, expected: {expected}");
        }
    }
}
