use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, EdgeRef};

use crate::{Container, NodeTypeId, RelationId, Schema};

/// The graph of types: node types as nodes, relations as edges from source to target.
#[derive(Clone, Debug)]
pub struct MetaGraph {
    /// Node weights are type ids in order, so an index and an id are the same number.
    graph: DiGraph<NodeTypeId, RelationId>,
    /// From container to contained, without the self-loops of ontologies.
    containment: DiGraph<NodeTypeId, RelationId>,
}

impl MetaGraph {
    pub(crate) fn of(schema: &Schema) -> Self {
        let mut graph = DiGraph::new();
        for id in schema.node_type_ids() {
            graph.add_node(id);
        }
        let mut containment = graph.map(|_, &id| id, |_, &id: &RelationId| id);
        for id in schema.relation_ids() {
            let relation = schema.edge(id);
            let (source, target) = (index(relation.source), index(relation.target));
            graph.add_edge(source, target, id);
            if source != target {
                match relation.contains {
                    Some(Container::Source) => containment.add_edge(source, target, id),
                    Some(Container::Target) => containment.add_edge(target, source, id),
                    None => continue,
                };
            }
        }
        Self { graph, containment }
    }

    /// Types and relations, for petgraph's algorithms.
    pub fn graph(&self) -> &DiGraph<NodeTypeId, RelationId> {
        &self.graph
    }

    /// The hierarchy's types from the top (tissue) to the bottom (region); a container comes before
    /// what it contains. Types that no `contains` relation touches are left out.
    pub fn hierarchy(&self) -> Vec<NodeTypeId> {
        toposort(&self.containment, None)
            .unwrap_or_default()
            .into_iter()
            .filter(|&node| self.containment.neighbors_undirected(node).next().is_some())
            .map(|node| self.containment[node])
            .collect()
    }

    /// Types that can be reached from `start` along relations in either direction, itself included.
    pub fn reachable(&self, start: NodeTypeId) -> Vec<NodeTypeId> {
        let undirected = self.graph.clone().into_edge_type::<petgraph::Undirected>();
        let mut search = Dfs::new(&undirected, index(start));
        let mut found = Vec::new();
        while let Some(node) = search.next(&undirected) {
            found.push(undirected[node]);
        }
        found.sort_unstable();
        found
    }

    /// A circle in `contains` over two types or more, its first type repeated at the end.
    pub fn containment_cycle(&self) -> Option<Vec<NodeTypeId>> {
        let component = tarjan_scc(&self.containment).into_iter().find(|component| component.len() > 1)?;
        // Walk inside the component until a type comes again: the walk's tail is a circle.
        let mut walk = vec![component[0]];
        loop {
            let here = *walk.last()?;
            let next = self.containment.edges(here).map(|edge| edge.target()).find(|target| component.contains(target))?;
            if let Some(at) = walk.iter().position(|&seen| seen == next) {
                walk.push(next);
                return Some(walk[at..].iter().map(|&node| self.containment[node]).collect());
            }
            walk.push(next);
        }
    }
}

fn index(id: NodeTypeId) -> NodeIndex {
    NodeIndex::new(id.index())
}
