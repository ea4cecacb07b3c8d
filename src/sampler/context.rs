use relata_schema::{Direction, NodeTypeId, RelationId};

use super::random::{Key, Random};
use super::steps::Graph;
use super::subgraph::{Growing, SampledEdge, Subgraph};
use super::{Costs, Scratch, choice};
use crate::snapshot::Hit;

/// Names the choice of who comes first; above every word that names a node at a hop.
const TURNS: u64 = u64::MAX;

/// An edge that may be taken.
pub(super) struct Candidate {
    relation: RelationId,
    direction: Direction,
    position: usize,
    far: Hit,
    /// When it is its turn: the round, and the relation's place in each round.
    turn: (u32, u32),
}

/// What is left to spend.
struct Budget<'c> {
    costs: &'c Costs,
    tokens: u64,
    edges: u64,
}

impl Budget<'_> {
    fn edge(&self, relation: RelationId) -> u64 {
        u64::from(self.costs.edges[relation.index()])
    }

    fn node(&self, node_type: NodeTypeId) -> u64 {
        u64::from(self.costs.nodes[node_type.index()])
    }

    /// Pays for an edge, if there is room for it.
    fn pay(&mut self, price: u64) -> bool {
        let fits = price <= self.tokens && self.edges > 0;
        if fits {
            self.tokens -= price;
            self.edges -= 1;
        }
        fits
    }

    /// How many edges of a relation there is room for at most.
    fn room(&self, relation: RelationId) -> u64 {
        self.tokens.checked_div(self.edge(relation)).unwrap_or(u64::MAX).min(self.edges)
    }
}

/// The context walk: hop by hop, the nodes of a hop in random order, each takes its edges, until a node's edges do not
/// all fit into the budget. See the [module](super).
pub(super) fn walk(graph: &Graph<'_>, key: Key, tokens: u32, costs: &Costs, seeds: &[Hit], scratch: &mut Scratch) -> Subgraph {
    let Scratch { places, chosen, candidates, is_expanded, .. } = scratch;
    let mut growing = Growing::from_seeds(seeds, places);
    let mut budget = Budget { costs, tokens: u64::from(tokens), edges: u64::from(tokens) };
    let price: u64 = growing.drawn.nodes.iter().map(|seed| budget.node(seed.node_type)).sum();
    budget.tokens = budget.tokens.saturating_sub(price);
    is_expanded.clear();
    for hop in 0..graph.hops() {
        let first = is_expanded.len();
        let mut order: Vec<usize> = (first..growing.drawn.nodes.len()).collect();
        is_expanded.resize(growing.drawn.nodes.len(), false);
        let turns = key.with(TURNS).with(hop as u64);
        turns.random().shuffle(&mut order);
        // The last hop's nodes are known by identity only, and cost nothing.
        let shown = hop + 1 < graph.hops();
        for near in order {
            if budget.tokens == 0 {
                return growing.drawn;
            }
            let node = growing.drawn.nodes[near].hit();
            candidates.clear();
            // What they cost if every node at their far ends is new.
            let mut most = 0;
            for fan in graph.fans(node) {
                let (relation, direction) = (fan.step.relation, fan.step.direction);
                // One more than there is room for: where they do not fit, that is seen, and no more are looked at.
                let room = usize::try_from(budget.room(relation) + 1).unwrap_or(usize::MAX);
                // An edge to a node that was expanded before was a candidate there; a loop is one going out.
                let is_candidate = |position| {
                    let far = fan.far(position);
                    if far == node {
                        return direction == Direction::Outgoing;
                    }
                    growing.place(far).and_then(|place| is_expanded.get(place as usize)) != Some(&true)
                };
                let mut random = choice(key, hop, node, fan.step).random();
                random.choose(fan.allowed.clone(), fan.step.most[hop].min(room), is_candidate, chosen);
                let price = budget.edge(relation) + if shown { budget.node(fan.step.far) } else { 0 };
                most += price * chosen.len() as u64;
                let turn = (0, 0);
                let edges =
                    chosen.iter().map(|&position| Candidate { relation, direction, position, far: fan.far(position), turn });
                candidates.extend(edges);
            }
            is_expanded[near] = true;
            if most > budget.tokens || candidates.len() as u64 > budget.edges {
                deal(candidates, &mut turns.with(near as u64).random());
            }
            let start = growing.drawn.edges.len();
            // The relations and directions of which an edge did not fit.
            let mut full = Vec::new();
            for candidate in candidates.iter() {
                let &Candidate { relation, direction, position, far, .. } = candidate;
                if full.contains(&(relation, direction)) {
                    continue;
                }
                let is_paid = !shown || growing.place(far).is_some();
                let price = budget.edge(relation) + if is_paid { 0 } else { budget.node(far.node_type) };
                if !budget.pay(price) {
                    full.push((relation, direction));
                    continue;
                }
                let far = growing.node(far, hop + 1);
                growing.drawn.edges.push(SampledEdge { relation, direction, position: position as u64, near: near as u32, far });
            }
            growing.drawn.edges[start..].sort_unstable();
            if !full.is_empty() {
                return growing.drawn;
            }
        }
    }
    growing.drawn
}

/// Gives the relations turns: in each round, one edge of each relation and direction that has any left, in a random order
/// of them, and each one's edges in a random order.
fn deal(candidates: &mut [Candidate], random: &mut Random) {
    for group in candidates.chunk_by_mut(|one, other| (one.relation, one.direction) == (other.relation, other.direction)) {
        random.shuffle(group);
        let place = random.word() as u32;
        for (round, candidate) in group.iter_mut().enumerate() {
            candidate.turn = (round as u32, place);
        }
    }
    candidates.sort_unstable_by_key(|candidate| (candidate.turn, candidate.relation, candidate.direction));
}
