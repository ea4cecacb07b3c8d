//! How large a subgraph can become, found before it is drawn: from what is asked for, and from how many edges there are.

use relata::sampler::{Listed, SamplerConfig, Walk};
use relata::snapshot::Snapshot;
use relata_schema::{Direction, NodeTypeId, RelationId, Schema};

use crate::ApiError;
use crate::routes::nodes::ways;

/// Edges that one subgraph may have: some 100 MB, which are held in memory.
const MOST_EDGES: u64 = 1 << 22;
/// Steps of all random walks from the seeds of one subgraph: less than a second of a processor.
const MOST_STEPS: u64 = 1 << 22;

/// What a subgraph can have at most.
struct Most {
    /// Nodes of each type.
    nodes: Vec<u64>,
    /// Edges that its walk draws.
    edges: u64,
}

/// Whether a subgraph around so many seeds of a type is within bounds, whatever its walk meets.
pub fn check(snapshot: &Snapshot, config: &SamplerConfig, seeds: (NodeTypeId, u64)) -> Result<(), ApiError> {
    check_within(snapshot, config, seeds, MOST_EDGES)
}

fn check_within(
    snapshot: &Snapshot,
    config: &SamplerConfig,
    (node_type, seeds): (NodeTypeId, u64),
    most: u64,
) -> Result<(), ApiError> {
    let mut starts = seeds;
    if let Some(retrieval) = config.retrieval {
        let steps = u64::from(retrieval.walks).saturating_mul(u64::from(retrieval.steps)).saturating_mul(seeds);
        if steps > MOST_STEPS {
            let message = format!(
                "retrieve_walks: the walks from the {seeds} seeds of a subgraph take {steps} steps, expected at most {MOST_STEPS}; \
                 ask for fewer walks, shorter ones, or a smaller batch"
            );
            return Err(ApiError::bad_field("retrieve_walks", message));
        }
        starts = starts.saturating_mul(1 + u64::from(retrieval.rows));
    }
    let (parameter, found) = match &config.walk {
        Walk::Neighbour { .. } => ("fanouts", neighbour(snapshot, config, (node_type, starts))),
        Walk::Context { tokens, .. } => {
            let nodes = vec![starts.saturating_add(u64::from(*tokens)); snapshot.schema().node_types().len()];
            ("tokens", Most { nodes, edges: u64::from(*tokens) })
        }
        Walk::Hierarchy { up, .. } => (if up.is_empty() { "down" } else { "up" }, hierarchy(snapshot, config, starts)),
    };
    if found.edges > most {
        let found = found.edges;
        let message = format!(
            "{parameter}: a subgraph can have {found} edges, expected at most {most}; ask for smaller numbers, a smaller batch, or \
             name the relations to follow"
        );
        return Err(ApiError::bad_field(parameter, message));
    }
    if config.listed == Listed::Induced {
        let found = induced(snapshot, config, &found.nodes);
        if found > most {
            let message = format!(
                "listed: the nodes of a subgraph can have {found} edges to look at, expected at most {most}; ask for fewer nodes, \
                 which `{parameter}` bounds, name the relations to follow, or list what is drawn"
            );
            return Err(ApiError::bad_field("listed", message));
        }
    }
    Ok(())
}

/// Hop by hop, if no two nodes found the same one.
fn neighbour(snapshot: &Snapshot, config: &SamplerConfig, starts: (NodeTypeId, u64)) -> Most {
    let Walk::Neighbour { fanouts, fanout_of } = &config.walk else { unreachable!("asked for a neighbour walk alone") };
    let schema = snapshot.schema();
    let count = |node_type: NodeTypeId| u64::from(snapshot.node_count(node_type));
    let fanout = |hop: usize, relation: RelationId, direction: Direction| {
        let named = fanout_of.iter().find(|(other, way, _)| (*other, *way) == (relation, direction));
        let fanouts = named.map_or(fanouts, |(.., fanouts)| fanouts);
        u64::from(fanouts.get(hop).copied().unwrap_or_default())
    };
    let mut frontier = vec![0_u64; schema.node_types().len()];
    frontier[starts.0.index()] = starts.1.min(count(starts.0));
    let mut most = Most { nodes: frontier.clone(), edges: 0 };
    for hop in 0..fanouts.len() {
        let mut next = vec![0_u64; frontier.len()];
        for (node_type, &nodes) in schema.node_type_ids().zip(&frontier).filter(|&(_, &nodes)| nodes > 0) {
            for (relation, direction) in ways(schema, node_type).filter(|(relation, _)| config.relations.contains(relation)) {
                let all = snapshot.adjacency(relation, direction).targets.len() as u64;
                let drawn = nodes.saturating_mul(fanout(hop, relation, direction)).min(all);
                most.edges += drawn;
                let far = schema.edge(relation).far(direction);
                let found = &mut next[far.index()];
                *found = (*found + drawn).min(count(far));
            }
        }
        for (node_type, (nodes, &found)) in schema.node_type_ids().zip(most.nodes.iter_mut().zip(&next)) {
            *nodes = (*nodes + found).min(count(node_type));
        }
        frontier = next;
    }
    most
}

/// Level by level, if each of its nodes were linked once to each node that was met. (Parallel edges of the hierarchy are not
/// counted, but never more than there are.)
fn hierarchy(snapshot: &Snapshot, config: &SamplerConfig, starts: u64) -> Most {
    let Walk::Hierarchy { up, down } = &config.walk else { unreachable!("asked for a hierarchy walk alone") };
    let schema = snapshot.schema();
    let steps = config.relations.iter().filter(|&&relation| schema.edge(relation).up().is_some());
    let all: u64 = steps.map(|&relation| snapshot.adjacency(relation, Direction::Outgoing).targets.len() as u64).sum();
    let (mut met, mut edges) = (starts, 0_u64);
    for budgets in [up, down] {
        let mut level = starts;
        for &budget in budgets {
            let budget = u64::from(budget);
            met = met.saturating_add(budget);
            edges = edges.saturating_add(level.saturating_mul(met).min(all));
            level = budget;
        }
    }
    Most { nodes: vec![met; schema.node_types().len()], edges }
}

/// Edges that are looked at where all between so many nodes of each type are listed, and so the edges that there can be: of
/// each relation, those of the end that has fewer, if its nodes were those with the most.
fn induced(snapshot: &Snapshot, config: &SamplerConfig, nodes: &[u64]) -> u64 {
    let schema = snapshot.schema();
    let is_hierarchy = matches!(config.walk, Walk::Hierarchy { .. });
    let is_walked = |relation: &&RelationId| !is_hierarchy || schema.edge(**relation).up().is_some();
    let end = |relation, direction| richest(snapshot, (relation, direction), nodes[near(schema, relation, direction).index()]);
    let least = |&relation: &RelationId| {
        let ends = schema.edge(relation).directions().iter().map(|&direction| end(relation, direction));
        ends.min().unwrap_or_default()
    };
    let edges = config.relations.iter().filter(is_walked).map(least);
    edges.fold(0, u64::saturating_add)
}

fn near(schema: &Schema, relation: RelationId, direction: Direction) -> NodeTypeId {
    schema.edge(relation).near(direction)
}

/// How many edges the `count` nodes have that have the most.
fn richest(snapshot: &Snapshot, (relation, direction): (RelationId, Direction), count: u64) -> u64 {
    let rows = snapshot.adjacency(relation, direction);
    let nodes = snapshot.node_count(near(snapshot.schema(), relation, direction));
    if count >= u64::from(nodes) {
        return rows.targets.len() as u64;
    }
    let mut degrees: Vec<u32> = (0..nodes).map(|node| rows.degree(node) as u32).collect();
    let count = count as usize;
    if count > 0 {
        degrees.select_nth_unstable_by(count - 1, |one, other| other.cmp(one));
    }
    degrees[..count].iter().map(|&degree| u64::from(degree)).sum()
}

#[cfg(test)]
mod tests {
    use relata::sampler::{Costs, Retrieval};
    use relata::snapshot::{EdgeData, SnapshotWriter};

    use super::*;

    /// Five cells that express 4, 3, 2, 1 and 0 of four genes, and are all of the first of two types; the first gene interacts
    /// with the three others.
    fn snapshot(folder: &std::path::Path) -> Snapshot {
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
        for (node_type, count) in [("cell", 5), ("gene", 4), ("cell_type", 2)] {
            let keys: Vec<String> = (0..count).map(|at| format!("{node_type}{at}")).collect();
            writer.nodes(schema.node_type(node_type).unwrap(), &keys).unwrap();
        }
        let mut relation = |name: &str, edges: &[(u32, u32)]| {
            let (sources, targets) = edges.iter().copied().unzip();
            let id = schema.relation(name).unwrap();
            let attributes = vec![Vec::new(); schema.edge(id).attributes.len()];
            writer.relation(id, &EdgeData { sources, targets, attributes, ..EdgeData::default() }).unwrap();
        };
        let expresses: Vec<(u32, u32)> = (0..4).flat_map(|cell| (0..4 - cell).map(move |gene| (cell, gene))).collect();
        relation("expresses", &expresses);
        relation("has_type", &(0..5).map(|cell| (cell, 0)).collect::<Vec<_>>());
        relation("interacts", &[(0, 1), (0, 2), (0, 3)]);
        writer.publish(&[]).unwrap();
        Snapshot::current(folder).unwrap()
    }

    fn config(snapshot: &Snapshot, walk: Walk) -> SamplerConfig {
        SamplerConfig::new(walk, snapshot.schema().relation_ids())
    }

    #[test]
    fn a_neighbour_walk_has_what_its_fanouts_and_the_relations_allow() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(folder.path());
        let schema = snapshot.schema();
        let (cell, gene) = (schema.node_type("cell").unwrap(), schema.node_type("gene").unwrap());
        let expresses = schema.relation("expresses").unwrap();
        // One cell, as far as fanouts say: three genes and three types, of which there are two. Three genes: two cells each, and
        // two genes, of which no more edges stand at both of their ends. Two types: two cells each.
        let found = neighbour(&snapshot, &config(&snapshot, Walk::neighbour([3, 2])), (cell, 1));
        assert_eq!((found.edges, found.nodes[cell.index()], found.nodes[gene.index()]), (3 + 3 + 6 + 6 + 4, 5, 4));
        // Two cells, from which `expresses` is not followed: all edges to types, and two from each of those.
        let fanout_of = vec![(expresses, Direction::Outgoing, vec![0, 0])];
        let walk = Walk::Neighbour { fanouts: vec![3, 2], fanout_of };
        let found = neighbour(&snapshot, &config(&snapshot, walk), (cell, 2));
        assert_eq!((found.edges, found.nodes[gene.index()]), (5 + 4, 0));
    }

    #[test]
    fn a_level_is_linked_to_all_that_was_met_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(folder.path());
        let walk = |up: &[u32], down: &[u32]| Walk::Hierarchy { up: up.to_vec(), down: down.to_vec() };
        let found = |walk, starts| hierarchy(&snapshot, &config(&snapshot, walk), starts).edges;
        assert_eq!(found(walk(&[1], &[]), 1), 2);
        assert_eq!(found(walk(&[], &[2, 1]), 1), 3 + 2 * 4);
        assert_eq!(found(walk(&[1], &[1]), 1), 2 + 3);
        // A cell contains its genes, and nothing else here contains anything: there are ten such edges.
        assert_eq!(found(walk(&[u32::MAX; 3], &[]), u64::MAX), 3 * 10);
    }

    #[test]
    fn all_edges_between_nodes_are_those_of_the_richest_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(folder.path());
        let schema = snapshot.schema();
        let expresses = schema.relation("expresses").unwrap();
        let interacts = schema.relation("interacts").unwrap();
        let outgoing = |relation, count| richest(&snapshot, (relation, Direction::Outgoing), count);
        assert_eq!([0, 1, 2, 3, 4, 5, 99].map(|count| outgoing(expresses, count)), [0, 4, 7, 9, 10, 10, 10]);
        assert_eq!([0, 1, 2, 3, 4].map(|count| outgoing(interacts, count)), [0, 3, 4, 5, 6]);
        let mut nodes = vec![0; schema.node_types().len()];
        nodes[schema.node_type("cell").unwrap().index()] = 4;
        nodes[schema.node_type("gene").unwrap().index()] = 1;
        // The four cells have ten edges to genes, and the one gene four to cells, and three to genes.
        let config = config(&snapshot, Walk::neighbour([1]));
        assert_eq!(induced(&snapshot, &config, &nodes), 4 + 3);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(folder.path());
        let cell = snapshot.schema().node_type("cell").unwrap();
        let context = Walk::context(3, 2, Costs::of_attributes(snapshot.schema()));
        let down = Walk::Hierarchy { up: Vec::new(), down: vec![9] };
        let induced = |walk| SamplerConfig { listed: Listed::Induced, ..config(&snapshot, walk) };
        let retrieval = |walks| SamplerConfig {
            retrieval: Some(Retrieval { walks, steps: 1 << 10, rows: 1 }),
            ..config(&snapshot, Walk::neighbour([0]))
        };
        for (config, most, expected) in [
            (config(&snapshot, Walk::neighbour([3])), 6, None),
            (config(&snapshot, Walk::neighbour([3])), 5, Some("fanouts: a subgraph can have 6 edges, expected at most 5")),
            (config(&snapshot, down), 9, Some("down: a subgraph can have 10 edges")),
            // A cell, three genes and two types: four genes of a cell, its type, and five ends of `interacts`.
            (induced(Walk::neighbour([3])), 10, None),
            (induced(Walk::neighbour([3])), 9, Some("listed: the nodes of a subgraph can have 10 edges to look at")),
            // Four nodes of each type: ten edges to genes, four to types, and all six ends of `interacts`.
            (induced(context.clone()), 20, None),
            (induced(context), 19, Some("listed: the nodes of a subgraph can have 20 edges to look at")),
            (retrieval(1 << 12), 0, None),
            (retrieval(1 + (1 << 12)), 0, Some("retrieve_walks: the walks from the 1 seeds of a subgraph take 4195328 steps")),
        ] {
            let found = check_within(&snapshot, &config, (cell, 1), most).err().map(|error| error.message);
            match (&found, expected) {
                (None, None) => {}
                (Some(found), Some(expected)) if found.contains(expected) => {}
                _ => panic!("{found:?}, expected {expected:?}"),
            }
        }
    }
}
