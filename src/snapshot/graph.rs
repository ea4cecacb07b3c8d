use std::ops::Range;

use petgraph::Direction as Way;
use petgraph::visit::{
    EdgeCount, EdgeRef, GraphBase, GraphProp, GraphRef, IntoEdgeReferences, IntoEdges, IntoEdgesDirected, IntoNeighbors,
    IntoNeighborsDirected, IntoNodeIdentifiers, NodeCount, NodeIndexable, VisitMap, Visitable,
};
use relata_schema::{Direction, NodeTypeId, RelationId};

use super::cost::{Costs, Weight};
use super::{Hit, Snapshot};
use crate::Result;

/// A snapshot, or some relations of it, as petgraph's algorithms see a directed graph.
///
/// Nodes are numbered through all types: [`index`](Self::index) and [`node`](Self::node) translate. A symmetric relation's
/// edges lead both ways; for all others, [`UndirectedAdaptor`](petgraph::visit::UndirectedAdaptor) forgets their direction.
///
/// petgraph's `page_rank` compares every node with every other (petgraph 0.8.3): it is for thousands of nodes, not for
/// millions.
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
    /// For each of the relations: outgoing and incoming.
    costs: Vec<[Costs<'s>; 2]>,
    /// The first number of each type, and the number of all nodes at the end.
    starts: Vec<u32>,
}

/// An edge of a [`DataGraph`]. Its weight is its cost: 1, or what a [`Weight`] makes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataEdge {
    source: u32,
    target: u32,
    id: EdgeNumber,
    weight: f64,
}

/// Relation, direction that it was found in, and position in the adjacency of that direction.
type EdgeNumber = (RelationId, Direction, usize);

impl EdgeRef for DataEdge {
    type NodeId = u32;
    type EdgeId = EdgeNumber;
    type Weight = f64;

    fn source(&self) -> u32 {
        self.source
    }

    fn target(&self) -> u32 {
        self.target
    }

    fn weight(&self) -> &f64 {
        &self.weight
    }

    fn id(&self) -> EdgeNumber {
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
    /// The graph of some relations; each edge costs 1.
    pub fn new(snapshot: &'s Snapshot, relations: impl IntoIterator<Item = RelationId>) -> Self {
        Self::of(snapshot, relations.into_iter().collect(), None)
    }

    /// The graph of some relations, whose edges cost what `weight` says.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) when none of the relations has the attribute, or a cost would be negative.
    pub fn weighted(snapshot: &'s Snapshot, relations: impl IntoIterator<Item = RelationId>, weight: &Weight) -> Result<Self> {
        let relations: Vec<RelationId> = relations.into_iter().collect();
        weight.check(snapshot, &relations)?;
        Ok(Self::of(snapshot, relations, Some(weight)))
    }

    fn of(snapshot: &'s Snapshot, relations: Vec<RelationId>, weight: Option<&Weight>) -> Self {
        let mut starts = vec![0];
        for node_type in snapshot.schema().node_type_ids() {
            starts.push(starts[starts.len() - 1] + snapshot.node_count(node_type));
        }
        let costs = |&id: &RelationId| Direction::BOTH.map(|way| Costs::of(snapshot, weight, id, way));
        let costs = relations.iter().map(costs).collect();
        Self { snapshot, relations, costs, starts }
    }

    /// A node's number through all types.
    pub fn index(&self, node_type: NodeTypeId, node: u32) -> u32 {
        self.starts[node_type.index()] + node
    }

    /// The numbers of a type's nodes.
    pub fn numbers(&self, node_type: NodeTypeId) -> Range<u32> {
        self.starts[node_type.index()]..self.starts[node_type.index() + 1]
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
        let relations = self.relations.iter().zip(&self.costs);
        let near = move |id: RelationId| schema.edge(id).near(way) == node_type;
        relations.filter(move |&(&id, _)| near(id)).flat_map(move |(&id, costs)| {
            let far = self.starts[schema.edge(id).far(way).index()];
            let adjacency = self.snapshot.adjacency(id, way);
            let costs = &costs[usize::from(way == Direction::Incoming)];
            adjacency.range(node).map(move |position| {
                let other = far + adjacency.targets[position];
                let (source, target) = if way == Direction::Outgoing { (index, other) } else { (other, index) };
                DataEdge { source, target, id: (id, way, position), weight: costs.at(position) }
            })
        })
    }
}

impl GraphBase for DataGraph<'_> {
    type NodeId = u32;
    type EdgeId = EdgeNumber;
}

impl GraphProp for DataGraph<'_> {
    type EdgeType = petgraph::Directed;
}

impl petgraph::visit::Data for DataGraph<'_> {
    type NodeWeight = ();
    type EdgeWeight = f64;
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

impl<'g, 's> IntoEdgesDirected for &'g DataGraph<'s> {
    type EdgesDirected = Edges<'g>;

    fn edges_directed(self, node: u32, way: Way) -> Edges<'g> {
        match way {
            Way::Outgoing => self.edges(node),
            Way::Incoming => Box::new(self.edges_of(node, Direction::Incoming)),
        }
    }
}

/// A symmetric edge counts once for each end that it is found from.
impl EdgeCount for DataGraph<'_> {
    fn edge_count(&self) -> usize {
        let outgoing = |&id: &RelationId| self.snapshot.adjacency(id, Direction::Outgoing).targets.len();
        self.relations.iter().map(outgoing).sum()
    }
}

const _: () = {
    const fn is_graph_ref<G: GraphRef>() {}
    is_graph_ref::<&DataGraph<'_>>();
};
