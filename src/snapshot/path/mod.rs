//! Shortest paths: how two nodes, or a node and the nearest of a type, hang together.
//!
//! Without weights a path's cost is its number of hops, and a breadth-first search from both ends finds it; with them a
//! search in the order of costs does. Both stop at a limit of hops and at a limit of visited nodes. Further paths are those
//! of Yen (1971), "Finding the k shortest loopless paths in a network": each parts from the earlier ones at some node.
//!
//! petgraph's algorithms run on [`DataGraph`](super::DataGraph) too, and the tests hold these to them. They do not serve
//! here: `dijkstra` and `astar` walk from one end only and keep a hash map of what they met, which took 30 to 5,000 times
//! as long on 400,000 cells of 50 genes each; `k_shortest_path` tells costs only; and none has a limit.
//!
//! ```
//! use relata::snapshot::{EdgeData, Hit, PathEnd, PathQuery, Snapshot, SnapshotWriter};
//! # let folder = tempfile::tempdir()?;
//! # let store = folder.path();
//! # let schema = relata_schema::Schema::biology();
//! # let (gene, interacts) = (schema.node_type("gene")?, schema.relation("interacts")?);
//! let mut writer = SnapshotWriter::create(store, &schema)?;
//! writer.nodes(gene, &["CD3D", "CD3E", "LCK", "ZAP70"].map(String::from))?;
//! writer.relation(interacts, &EdgeData { sources: vec![0, 1, 2], targets: vec![1, 2, 3], ..EdgeData::default() })?;
//! writer.publish(&[])?;
//!
//! let snapshot = Snapshot::current(store)?;
//! let node = |key: &str| Hit { node_type: gene, node: snapshot.find(gene, key).expect("it was just written") };
//! let found = snapshot.paths(&PathQuery::new(node("CD3D"), PathEnd::Node(node("ZAP70"))))?;
//! let keys: Vec<&str> = found.paths[0].nodes.iter().map(|hit| snapshot.key(hit.node_type, hit.node)).collect();
//! assert_eq!(keys, ["CD3D", "CD3E", "LCK", "ZAP70"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod breadth;
mod cheapest;
mod ways;
mod yen;

#[cfg(test)]
mod tests;

use relata_schema::{Direction, NodeTypeId, RelationId};

use self::ways::Ways;
use super::{Hit, Snapshot, Weight};
use crate::{Error, Result};

/// Hops that a query may ask for.
pub const MOST_PATH_HOPS: u32 = 250;
/// Paths that a query may ask for.
pub const MOST_PATHS: usize = 1000;

/// Where from, where to, and over what.
#[derive(Clone, Debug, PartialEq)]
pub struct PathQuery {
    /// The first node.
    pub from: Hit,
    /// The last node.
    pub to: PathEnd,
    /// The relations to walk; all if left out.
    pub relations: Option<Vec<RelationId>>,
    /// Whether edges are walked from source to target only. Symmetric relations have no such direction.
    pub directed: bool,
    /// What makes a path short; the number of its hops if left out.
    pub weight: Option<Weight>,
    /// Edges that a path has at most.
    pub most_hops: u32,
    /// Paths that are looked for. They differ in their nodes; of parallel edges each takes the cheapest, then the first.
    pub count: usize,
    /// Nodes that are visited at most, by all searches together.
    pub most_visits: u64,
}

/// Where a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEnd {
    /// At this node.
    Node(Hit),
    /// At the nearest node of this type, other than the first. No path leads on from such a node.
    Type(NodeTypeId),
}

/// A way from one node to another; no node comes twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// From first to last.
    pub nodes: Vec<Hit>,
    /// Between them: one fewer.
    pub steps: Vec<PathStep>,
    /// The sum of the steps' costs.
    pub cost: f64,
}

/// An edge of a path, as it is walked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathStep {
    /// The edge's relation.
    pub relation: RelationId,
    /// Outgoing where it leads from its source to its target.
    pub direction: Direction,
    /// Its place in the relation's adjacency of that direction.
    pub position: usize,
    /// What it costs; 1 without a weight.
    pub cost: f64,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPaths {
    /// By cost, then by hops.
    pub paths: Vec<Path>,
    /// Nodes that were visited.
    pub visited: u64,
    /// Whether the search went on to its end. Otherwise it met [`PathQuery::most_visits`], and there may be more paths, and
    /// shorter ones than the last.
    pub complete: bool,
}

impl PathQuery {
    /// One path, over all relations in both directions, of at most 6 hops, after visiting at most 10 million nodes.
    pub fn new(from: Hit, to: PathEnd) -> Self {
        Self { from, to, relations: None, directed: false, weight: None, most_hops: 6, count: 1, most_visits: 10_000_000 }
    }

    fn check(&self, snapshot: &Snapshot, relations: &[RelationId]) -> Result<()> {
        let schema = snapshot.schema();
        if !(1..=MOST_PATH_HOPS).contains(&self.most_hops) {
            return Err(Error::setting("hops", self.most_hops.to_string(), format!("1 to {MOST_PATH_HOPS}")));
        }
        if !(1..=MOST_PATHS).contains(&self.count) {
            return Err(Error::setting("paths", self.count.to_string(), format!("1 to {MOST_PATHS}")));
        }
        if let Some(unknown) = relations.iter().find(|id| id.index() >= schema.relations().len()) {
            return Err(Error::setting(
                "relation",
                format!("number {}", unknown.0),
                format!("one of the {}", schema.relations().len()),
            ));
        }
        let type_of = |end: PathEnd| match end {
            PathEnd::Node(hit) => hit.node_type,
            PathEnd::Type(node_type) => node_type,
        };
        for end in [PathEnd::Node(self.from), self.to] {
            let node_type = type_of(end);
            if node_type.index() >= schema.node_types().len() {
                return Err(Error::setting(
                    "node type",
                    format!("number {}", node_type.0),
                    format!("one of the {}", schema.node_types().len()),
                ));
            }
            if let PathEnd::Node(hit) = end
                && hit.node >= snapshot.node_count(hit.node_type)
            {
                let count = snapshot.node_count(hit.node_type);
                return Err(Error::setting(
                    "node",
                    hit.node.to_string(),
                    format!("a {} below {count}", schema.node(node_type).name),
                ));
            }
        }
        self.weight.as_ref().map_or(Ok(()), |weight| weight.check(snapshot, relations))
    }
}

impl Snapshot {
    /// The shortest paths that a query asks for: at most [`PathQuery::count`], and none where there is none within its
    /// limits. Equal queries have equal answers.
    ///
    /// # Errors
    /// [`Error::Setting`] for nodes or relations that do not exist, a weight that no relation has or that makes a cost
    /// negative, and numbers beyond [`MOST_PATH_HOPS`] and [`MOST_PATHS`].
    pub fn paths(&self, query: &PathQuery) -> Result<FoundPaths> {
        let relations = match &query.relations {
            Some(relations) => relations.clone(),
            None => self.schema().relation_ids().collect(),
        };
        query.check(self, &relations)?;
        let ways = Ways::new(self, &relations, query.directed, query.weight.as_ref());
        Ok(yen::paths(&ways, query))
    }
}
