use petgraph::Direction as Way;
use petgraph::visit::{
    EdgeRef, GraphBase, GraphProp, GraphRef, IntoEdgeReferences, IntoEdges, IntoNeighbors, IntoNeighborsDirected,
    IntoNodeIdentifiers, NodeCount, NodeIndexable, VisitMap, Visitable,
};
use relata_schema::{Direction, NodeTypeId, RelationId};

use super::{Hit, Snapshot};

/// A snapshot, or some relations of it, as petgraph's algorithms see a directed graph.
///
/// Nodes are numbered through all types: [`index`](Self::index) and [`node`](Self::node) translate.
///
/// ```no_run
/// use relata::snapshot::{DataGraph, Snapshot};
///
/// let snapshot = Snapshot::current("atlas.relata".as_ref())?;
/// let graph = DataGraph::new(&snapshot, snapshot.schema().relation_ids());
/// println!("{} weakly connected components", petgraph::algo::connected_components(&graph));
/// # Ok::<(), relata::Error>(())
/// ```
#[derive(Clone)]
pub struct DataGraph<'s> {
    snapshot: &'s Snapshot,
    relations: Vec<RelationId>,
    /// The first number of each type, and the number of all nodes at the end.
    starts: Vec<u32>,
}

/// An edge of a [`DataGraph`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataEdge {
    source: u32,
    target: u32,
    /// Relation, and position in its outgoing adjacency.
    id: (RelationId, usize),
    weight: (),
}

impl EdgeRef for DataEdge {
    type NodeId = u32;
    type EdgeId = (RelationId, usize);
    type Weight = ();

    fn source(&self) -> u32 {
        self.source
    }

    fn target(&self) -> u32 {
        self.target
    }

    fn weight(&self) -> &() {
        &self.weight
    }

    fn id(&self) -> (RelationId, usize) {
        self.id
    }
}

/// Nodes that a walk has seen, one bit each.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    words: Vec<u64>,
}

impl VisitMap<u32> for Seen {
    fn visit(&mut self, node: u32) -> bool {
        let (word, bit) = (node as usize / 64, 1 << (node % 64));
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    fn is_visited(&self, node: &u32) -> bool {
        self.words[*node as usize / 64] & (1 << (node % 64)) != 0
    }

    fn unvisit(&mut self, node: u32) -> bool {
        let was_seen = self.is_visited(&node);
        self.words[node as usize / 64] &= !(1 << (node % 64));
        was_seen
    }
}

impl<'s> DataGraph<'s> {
    /// The graph of some relations.
    pub fn new(snapshot: &'s Snapshot, relations: impl IntoIterator<Item = RelationId>) -> Self {
        let mut starts = vec![0];
        for node_type in snapshot.schema().node_type_ids() {
            starts.push(starts[starts.len() - 1] + snapshot.node_count(node_type));
        }
        Self { snapshot, relations: relations.into_iter().collect(), starts }
    }

    /// A node's number through all types.
    pub fn index(&self, node_type: NodeTypeId, node: u32) -> u32 {
        self.starts[node_type.index()] + node
    }

    /// Which node a number is.
    pub fn node(&self, index: u32) -> Hit {
        let at = self.starts.partition_point(|&start| start <= index) - 1;
        // Types without nodes share their start with the next one; the last of them holds the node.
        Hit { node_type: NodeTypeId(at as u16), node: index - self.starts[at] }
    }

    fn edges_of(&self, index: u32, way: Direction) -> impl Iterator<Item = DataEdge> + use<'_, 's> {
        let Hit { node_type, node } = self.node(index);
        let schema = self.snapshot.schema();
        self.relations.iter().filter(move |&&id| schema.edge(id).near(way) == node_type).flat_map(move |&id| {
            let far = self.starts[schema.edge(id).far(way).index()];
            let adjacency = self.snapshot.adjacency(id, way);
            adjacency.range(node).map(move |position| {
                let other = far + adjacency.targets[position];
                let (source, target) = if way == Direction::Outgoing { (index, other) } else { (other, index) };
                DataEdge { source, target, id: (id, position), weight: () }
            })
        })
    }
}

impl GraphBase for DataGraph<'_> {
    type NodeId = u32;
    type EdgeId = (RelationId, usize);
}

impl GraphProp for DataGraph<'_> {
    type EdgeType = petgraph::Directed;
}

impl petgraph::visit::Data for DataGraph<'_> {
    type NodeWeight = ();
    type EdgeWeight = ();
}

impl NodeCount for DataGraph<'_> {
    fn node_count(&self) -> usize {
        self.starts[self.starts.len() - 1] as usize
    }
}

impl NodeIndexable for DataGraph<'_> {
    fn node_bound(&self) -> usize {
        self.node_count()
    }

    fn to_index(&self, node: u32) -> usize {
        node as usize
    }

    fn from_index(&self, index: usize) -> u32 {
        index as u32
    }
}

impl petgraph::visit::NodeCompactIndexable for DataGraph<'_> {}

impl Visitable for DataGraph<'_> {
    type Map = Seen;

    fn visit_map(&self) -> Seen {
        Seen { words: vec![0; self.node_count().div_ceil(64)] }
    }

    fn reset_map(&self, map: &mut Seen) {
        *map = self.visit_map();
    }
}

impl<'g, 's> IntoNodeIdentifiers for &'g DataGraph<'s> {
    type NodeIdentifiers = std::ops::Range<u32>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        0..self.node_count() as u32
    }
}

type Nodes<'g> = Box<dyn Iterator<Item = u32> + 'g>;
type Edges<'g> = Box<dyn Iterator<Item = DataEdge> + 'g>;

impl<'g, 's> IntoNeighbors for &'g DataGraph<'s> {
    type Neighbors = Nodes<'g>;

    fn neighbors(self, node: u32) -> Nodes<'g> {
        Box::new(self.edges_of(node, Direction::Outgoing).map(|edge| edge.target))
    }
}

impl<'g, 's> IntoNeighborsDirected for &'g DataGraph<'s> {
    type NeighborsDirected = Nodes<'g>;

    fn neighbors_directed(self, node: u32, way: Way) -> Nodes<'g> {
        match way {
            Way::Outgoing => self.neighbors(node),
            Way::Incoming => Box::new(self.edges_of(node, Direction::Incoming).map(|edge| edge.source)),
        }
    }
}

impl<'g, 's> IntoEdgeReferences for &'g DataGraph<'s> {
    type EdgeRef = DataEdge;
    type EdgeReferences = Edges<'g>;

    fn edge_references(self) -> Edges<'g> {
        Box::new((0..self.node_count() as u32).flat_map(move |node| self.edges_of(node, Direction::Outgoing)))
    }
}

impl<'g, 's> IntoEdges for &'g DataGraph<'s> {
    type Edges = Edges<'g>;

    fn edges(self, node: u32) -> Edges<'g> {
        Box::new(self.edges_of(node, Direction::Outgoing))
    }
}

const _: () = {
    const fn is_graph_ref<G: GraphRef>() {}
    is_graph_ref::<&DataGraph<'_>>();
};
