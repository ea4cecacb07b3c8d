use std::path::PathBuf;

use relata::snapshot::{Cost, FoundPaths, Path, PathEnd, PathQuery, Snapshot, Weight};
use relata_schema::{Direction, RelationId};
use serde::Serialize;

use crate::info::grouped;
use crate::sample::{Carried, Categories, NamedNode};

/// Find the shortest paths between two nodes.
#[derive(clap::Args)]
pub struct Args {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Where from: `type:key`, or a key, label or identifier that only one node has
    from: String,
    /// Where to: the same, or a type alone for the nearest node of it
    to: String,
    /// Relations to walk, by name [default: all]
    #[arg(long, value_delimiter = ',')]
    relations: Vec<String>,
    /// Walk edges from source to target only
    #[arg(long)]
    directed: bool,
    /// Edges that a path has at most
    #[arg(long, default_value_t = 6)]
    hops: u32,
    /// How many paths, shortest first
    #[arg(long, default_value_t = 1)]
    paths: usize,
    /// Short is what costs little by this number attribute of edges [default: what has few edges]
    #[arg(long, value_name = "ATTRIBUTE")]
    weight: Option<String>,
    /// How a value becomes a cost
    #[arg(long, value_enum, default_value_t = CostName::Value, requires = "weight")]
    cost: CostName,
    /// What an edge without a value costs
    #[arg(long, default_value_t = 1.0, requires = "weight")]
    missing: f64,
    /// Stop after visiting so many nodes
    #[arg(long, default_value_t = 100_000_000)]
    visits: u64,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CostName {
    /// The value: a distance
    Value,
    /// 1 / value: of a count or strength
    Inverse,
    /// -ln(value): of a probability
    Logarithm,
}

/// The paths with names, as JSON has them: the form of the server's `/v1/path`.
#[derive(Serialize)]
struct Named<'s> {
    snapshot: String,
    from: NamedNode<'s>,
    to: NamedEnd<'s>,
    paths: Vec<NamedPath<'s>>,
    visited: u64,
    /// Whether the search went on to its end.
    complete: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum NamedEnd<'s> {
    Node(NamedNode<'s>),
    Type {
        #[serde(rename = "type")]
        node_type: &'s str,
    },
}

#[derive(Serialize)]
struct NamedPath<'s> {
    hops: usize,
    cost: f64,
    nodes: Vec<NamedNode<'s>>,
    steps: Vec<NamedStep>,
}

/// The edge from a node of the path to the next.
#[derive(Serialize)]
struct NamedStep {
    relation: String,
    direction: Direction,
    cost: f64,
    #[serde(flatten)]
    carried: Carried,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let snapshot = Snapshot::current_checked(&self.store)?;
        let query = self.query(&snapshot)?;
        let found = snapshot.paths(&query)?;
        let named = Named::of(&snapshot, &query, &found);
        snapshot.intact()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&named)?);
        } else {
            print!("{}", self.shown(&named));
        }
        Ok(())
    }

    fn query(&self, snapshot: &Snapshot) -> anyhow::Result<PathQuery> {
        let schema = snapshot.schema();
        let to = match schema.node_type(&self.to) {
            Ok(node_type) => PathEnd::Type(node_type),
            Err(_) => PathEnd::Node(snapshot.locate(&self.to)?),
        };
        let relations = self.relations.iter().map(|name| schema.relation(name)).collect::<Result<Vec<RelationId>, _>>()?;
        let cost = match self.cost {
            CostName::Value => Cost::Value,
            CostName::Inverse => Cost::Inverse,
            CostName::Logarithm => Cost::NegativeLogarithm,
        };
        Ok(PathQuery {
            relations: (!relations.is_empty()).then_some(relations),
            directed: self.directed,
            weight: self.weight.clone().map(|attribute| Weight { attribute, cost, missing: self.missing }),
            most_hops: self.hops,
            count: self.paths,
            most_visits: self.visits,
            ..PathQuery::new(snapshot.locate(&self.from)?, to)
        })
    }

    /// A line a step.
    fn shown(&self, found: &Named<'_>) -> String {
        let mut text = String::new();
        for (number, path) in (1..).zip(&found.paths) {
            let cost = if self.weight.is_some() { format!(", cost {}", rounded(path.cost)) } else { String::new() };
            let hops = if path.hops == 1 { "1 hop".to_owned() } else { format!("{} hops", path.hops) };
            text += &format!("path {number}: {hops}{cost}\n");
            if path.steps.is_empty() {
                text += &format!("  {}\n", path.nodes[0].shown());
            }
            for (step, ends) in path.steps.iter().zip(path.nodes.windows(2)) {
                let edge = match step.direction {
                    Direction::Outgoing => format!("--{}->", step.relation),
                    Direction::Incoming => format!("<-{}--", step.relation),
                };
                let carried = step.carried.shown();
                let carried = if carried.is_empty() { carried } else { format!("  [{carried}]") };
                text += &format!("  {} {edge} {}{carried}\n", ends[0].shown(), ends[1].shown());
            }
        }
        let visited = grouped(found.visited);
        if found.paths.is_empty() {
            let to = match &found.to {
                NamedEnd::Node(node) => node.shown(),
                NamedEnd::Type { node_type } => format!("any {node_type}"),
            };
            let hops = if self.hops == 1 { "1 hop".to_owned() } else { format!("{} hops", self.hops) };
            text += &match found.complete {
                true => format!("no path from {} to {to} within {hops}\n", found.from.shown()),
                false => format!("no path found from {} to {to} so far\n", found.from.shown()),
            };
        } else if found.paths.len() < self.paths && found.complete {
            text += &format!("there are no more within {} hops\n", self.hops);
        }
        if !found.complete {
            text += &format!("the search stopped after visiting {visited} nodes: there may be more; raise --visits to go on\n");
        }
        text
    }
}

/// As many digits as tell costs apart.
fn rounded(cost: f64) -> String {
    let text = format!("{cost:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl<'s> Named<'s> {
    fn of(snapshot: &'s Snapshot, query: &PathQuery, found: &FoundPaths) -> Self {
        let mut categories = Categories::new();
        let mut path = |path: &Path| NamedPath {
            hops: path.steps.len(),
            cost: path.cost,
            nodes: path.nodes.iter().map(|&hit| NamedNode::of(snapshot, hit)).collect(),
            steps: (path.steps.iter())
                .map(|step| {
                    let edge = (step.relation, step.direction, step.position);
                    let carried = Carried::of(snapshot, edge, &mut categories);
                    let relation = snapshot.schema().relation_title(step.relation);
                    NamedStep { relation, direction: step.direction, cost: step.cost, carried }
                })
                .collect(),
        };
        Self {
            snapshot: snapshot.id().to_string(),
            from: NamedNode::of(snapshot, query.from),
            to: match query.to {
                PathEnd::Node(hit) => NamedEnd::Node(NamedNode::of(snapshot, hit)),
                PathEnd::Type(id) => NamedEnd::Type { node_type: &snapshot.schema().node(id).name },
            },
            paths: found.paths.iter().map(&mut path).collect(),
            visited: found.visited,
            complete: found.complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use relata::snapshot::{EdgeData, SnapshotWriter};
    use relata_schema::{EdgeValue, Schema};
    use serde_json::Value;

    use super::*;
    use crate::testing::arguments;

    /// Cell `c1` expresses genes `g1` and `g2`, `c2` expresses `g2`; `g1` interacts with `g3`. A gene and a cell are `same`.
    fn store() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let of = |name: &str| schema.node_type(name).unwrap();
        let mut writer = SnapshotWriter::create(folder.path(), &schema).unwrap();
        writer.nodes(of("gene"), &["g1", "g2", "g3", "g4", "same"].map(String::from)).unwrap();
        writer.nodes(of("cell"), &["c1", "c2", "same"].map(String::from)).unwrap();
        let count = EdgeValue::Number;
        let expresses = EdgeData {
            sources: vec![0, 0, 1],
            targets: vec![0, 1, 1],
            attributes: vec![vec![count(3.0), EdgeValue::Missing, count(10.0)]],
            ..EdgeData::default()
        };
        writer.relation(schema.relation("expresses").unwrap(), &expresses).unwrap();
        let interacts = EdgeData { sources: vec![0], targets: vec![2], ..EdgeData::default() };
        writer.relation(schema.relation("interacts").unwrap(), &interacts).unwrap();
        writer.publish(&[]).unwrap();
        folder
    }

    fn args(store: &tempfile::TempDir, more: &[&str]) -> Args {
        arguments(store.path(), more).unwrap_or_else(|error| panic!("{error}"))
    }

    fn shown(store: &tempfile::TempDir, more: &[&str]) -> String {
        let args = args(store, more);
        let snapshot = Snapshot::current(store.path()).unwrap();
        let query = args.query(&snapshot).unwrap();
        args.shown(&Named::of(&snapshot, &query, &snapshot.paths(&query).unwrap()))
    }

    #[test]
    fn a_path_is_a_line_a_step() {
        let store = store();
        assert_eq!(
            shown(&store, &["g3", "cell:c2"]),
            "path 1: 4 hops\n  gene g3 --gene.interacts.gene-> gene g1\n  gene g1 <-cell.expresses.gene-- cell c1  [count 3]\n  \
             cell c1 --cell.expresses.gene-> gene g2\n  gene g2 <-cell.expresses.gene-- cell c2  [count 10]\n"
        );
        let nearest = shown(&store, &["g2", "cell", "--weight", "count", "--cost", "inverse", "--paths", "3"]);
        assert_eq!(
            nearest,
            "path 1: 1 hop, cost 0.1\n  gene g2 <-cell.expresses.gene-- cell c2  [count 10]\n\
             path 2: 1 hop, cost 1\n  gene g2 <-cell.expresses.gene-- cell c1\nthere are no more within 6 hops\n"
        );
        assert_eq!(shown(&store, &["g1", "g1"]), "path 1: 0 hops\n  gene g1\n");
        assert_eq!(shown(&store, &["g1", "g4"]), "no path from gene g1 to gene g4 within 6 hops\n");
        assert_eq!(shown(&store, &["g3", "c2", "--hops", "3"]), "no path from gene g3 to cell c2 within 3 hops\n");
        assert_eq!(shown(&store, &["g1", "c1", "--directed"]), "no path from gene g1 to cell c1 within 6 hops\n");
        let stopped = shown(&store, &["g3", "c2", "--visits", "1"]);
        assert!(stopped.starts_with("no path found") && stopped.contains("after visiting 1 nodes"), "{stopped}");
    }

    #[test]
    fn json_has_the_names_and_the_edges() {
        let store = store();
        let args = args(&store, &["c2", "gene:g1", "--relations", "expresses", "--json"]);
        let snapshot = Snapshot::current(store.path()).unwrap();
        let query = args.query(&snapshot).unwrap();
        let found = serde_json::to_value(Named::of(&snapshot, &query, &snapshot.paths(&query).unwrap())).unwrap();
        let node = |node_type, key| serde_json::json!({ "type": node_type, "key": key, "label": key });
        let step = |direction, count: Value| {
            let attributes = serde_json::json!({ "count": count });
            serde_json::json!({
                "relation": "cell.expresses.gene", "direction": direction, "cost": 1.0, "time": null, "attributes": attributes
            })
        };
        assert_eq!(found["from"], node("cell", "c2"));
        assert_eq!(found["to"], node("gene", "g1"));
        assert_eq!(
            found["paths"],
            serde_json::json!([{
                "hops": 3, "cost": 3.0,
                "nodes": [node("cell", "c2"), node("gene", "g2"), node("cell", "c1"), node("gene", "g1")],
                "steps": [step("outgoing", 10.into()), step("incoming", Value::Null), step("outgoing", 3.into())],
            }])
        );
        assert_eq!(found["complete"], true);
        args.run().unwrap();
    }

    #[test]
    fn what_is_misspelt_or_ambiguous_is_answered_with_what_would_do() {
        let store = store();
        for (more, expected) in [
            (&["same", "g1"][..], "expected one of"),
            (&["g9", "g1"], "no node has the key `g9`; did you mean `gene:g1`"),
            (&["gene:g9", "g1"], "no gene has the key `g9`"),
            (&["gnee:g1", "g2"], "did you mean `gene`"),
            (&["g1", "g2", "--relations", "expreses"], "did you mean `expresses`"),
            (&["g1", "g2", "--hops", "0"], "hops: found 0, expected 1 to 250"),
            (&["g1", "g2", "--paths", "0"], "paths: found 0"),
            (&["g1", "g2", "--weight", "cuont"], "such as `count`"),
            (&["gene", "g2"], "no node has the key `gene`"),
        ] {
            let error = format!("{:#}", args(&store, more).run().unwrap_err());
            assert!(error.contains(expected), "{error}, expected: {expected}");
        }
    }
}
