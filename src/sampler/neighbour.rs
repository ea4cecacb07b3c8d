use super::random::Key;
use super::steps::Graph;
use super::subgraph::{Growing, SampledEdge, Subgraph};
use super::{Scratch, choice};
use crate::snapshot::Hit;

/// The neighbour walk: each node of a hop draws, of each relation and direction, as many of the edges that time allows as
/// the fanout of the hop says. See the [module](super).
pub(super) fn walk(graph: &Graph<'_>, key: Key, seeds: &[Hit], scratch: &mut Scratch) -> Subgraph {
    let Scratch { places, chosen, firsts, .. } = scratch;
    let mut growing = Growing::from_seeds(seeds, places);
    // For each node that has drawn, its first edge. Nodes draw in the order of their places.
    firsts.clear();
    for hop in 0..graph.hops() {
        for near in firsts.len()..growing.drawn.nodes.len() {
            firsts.push(growing.drawn.edges.len());
            let node = growing.drawn.nodes[near].hit();
            for fan in graph.fans(node) {
                let (relation, direction, back) = (fan.step.relation, fan.step.direction, fan.step.back);
                let mut random = choice(key, hop, node, fan.step).random();
                random.choose(fan.allowed.clone(), fan.step.most[hop], |_| true, chosen);
                for &position in chosen.iter() {
                    let far = growing.node(fan.far(position), hop + 1);
                    // The far end may have drawn the same edge. What it drew stands in order.
                    if let Some(&first) = firsts.get(far as usize) {
                        let end = firsts.get(far as usize + 1).copied().unwrap_or(growing.drawn.edges.len());
                        let sought = (relation, back, fan.twin(position) as u64);
                        let drawn = &growing.drawn.edges[first..end];
                        if drawn.binary_search_by_key(&sought, |edge| (edge.relation, edge.direction, edge.position)).is_ok() {
                            continue;
                        }
                    }
                    let (position, near) = (position as u64, near as u32);
                    growing.drawn.edges.push(SampledEdge { relation, direction, position, near, far });
                }
            }
        }
    }
    growing.drawn
}
