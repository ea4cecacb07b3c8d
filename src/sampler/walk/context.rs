use std::ops::Range;

use relata_schema::{Direction, NodeTypeId, RelationId};

use super::{choice, node_key};
use crate::sampler::Costs;
use crate::sampler::graph::{From, Graph, Room};
use crate::sampler::random::{Key, Random};
use crate::sampler::subgraph::growing::{Growing, Taken};
use crate::snapshot::Hit;

/// Names the choice of who comes first; above every word that names a node at a hop.
const TURNS: u64 = u64::MAX;

/// Memory for the edges of a node.
#[derive(Default)]
pub(in crate::sampler) struct Considered {
    groups: Vec<Group>,
    chosen: Vec<u32>,
    order: Vec<u32>,
    /// By place, whether a node's edges were considered.
    is_expanded: Vec<bool>,
    room: Room,
}

/// Edges of one node in one step that may be taken.
struct Group {
    step: usize,
    base: usize,
    /// Their offsets, among the chosen; those that were taken stand first.
    offsets: Range<usize>,
    taken: usize,
    /// The order of the groups in each round.
    turn: u64,
    /// An edge did not fit.
    is_full: bool,
}

/// What is left to spend.
struct Budget<'c> {
    costs: &'c Costs,
    tokens: u64,
    edges: u64,
}

impl Budget<'_> {
    /// What an edge of a step costs at a hop, and a node at its far end. The last hop's nodes are known by identity only, and
    /// cost nothing.
    fn prices(&self, graph: &Graph<'_>, step: usize, hop: usize) -> (u64, u64) {
        let step = graph.lanes[step].step;
        let is_shown = hop + 1 < graph.steps.hops;
        (self.edge(step.relation), if is_shown { self.node(step.far) } else { 0 })
    }

    fn edge(&self, relation: RelationId) -> u64 {
        u64::from(self.costs.edges[relation.index()])
    }

    fn node(&self, node_type: NodeTypeId) -> u64 {
        u64::from(self.costs.nodes[node_type.index()])
    }

    /// Pays for edges, if there is room for them.
    fn pay(&mut self, price: u64, edges: u64) -> bool {
        let fits = price <= self.tokens && edges <= self.edges;
        if fits {
            self.tokens -= price;
            self.edges -= edges;
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
pub(in crate::sampler) fn walk(
    graph: &Graph<'_>,
    key: Key,
    last: Option<i64>,
    (tokens, costs): (u32, &Costs),
    growing: &mut Growing,
    memory: &mut Considered,
) {
    let mut budget = Budget { costs, tokens: u64::from(tokens), edges: u64::from(tokens) };
    let price: u64 = growing.nodes().iter().map(|seed| budget.node(seed.node_type)).sum();
    budget.tokens = budget.tokens.saturating_sub(price);
    memory.is_expanded.clear();
    for hop in 0..graph.steps.hops {
        let (first, end) = (memory.is_expanded.len(), growing.nodes().len());
        let mut order = std::mem::take(&mut memory.order);
        order.clear();
        order.extend(first as u32..end as u32);
        memory.is_expanded.resize(end, false);
        let turns = key.with(TURNS).with(hop as u64);
        turns.random().shuffle(&mut order);
        let goes_on = order.iter().all(|&near| {
            budget.tokens > 0 && {
                let node = growing.nodes()[near as usize].hit();
                memory.consider(graph, (node_key(key, hop, node), hop), (near, node), last, &budget, growing);
                memory.is_expanded[near as usize] = true;
                memory.take(graph, turns, near, hop, &mut budget, growing)
            }
        });
        memory.order = order;
        if !goes_on {
            return;
        }
    }
}

impl Considered {
    /// Chooses the edges that a node would take.
    fn consider(
        &mut self,
        graph: &Graph<'_>,
        (key, hop): (Key, usize),
        (near, node): (u32, Hit),
        last: Option<i64>,
        budget: &Budget<'_>,
        growing: &Growing,
    ) {
        let Self { groups, chosen, is_expanded, room, .. } = self;
        groups.clear();
        chosen.clear();
        for at in graph.steps.of(node.node_type) {
            let step = &graph.steps.steps[at];
            // One more than there is room for: where they do not fit, that is seen, and no more are looked at.
            let most = step.most[hop].min(usize::try_from(budget.room(step.relation) + 1).unwrap_or(usize::MAX));
            let allowed = graph.allowed(at, node.node, last);
            if most == 0 || allowed.is_empty() {
                continue;
            }
            let (base, start) = (allowed.start, chosen.len());
            let from = From { step: at, node: node.node, allowed, last };
            // An edge to a node that was expanded before was a candidate there; a loop is one going out.
            let is_candidate = |far: u32| match growing.place(Hit { node_type: step.far, node: far }) {
                Some(place) if place == near => step.direction == Direction::Outgoing,
                Some(place) => is_expanded.get(place as usize) != Some(&true),
                None => true,
            };
            graph.choose_if(&from, most, choice(key, step), is_candidate, room, chosen);
            if chosen.len() > start {
                groups.push(Group { step: at, base, offsets: start..chosen.len(), taken: 0, turn: 0, is_full: false });
            }
        }
    }

    /// Takes what was chosen, as far as the budget goes; says whether it was all.
    fn take(
        &mut self,
        graph: &Graph<'_>,
        turns: Key,
        near: u32,
        hop: usize,
        budget: &mut Budget<'_>,
        growing: &mut Growing,
    ) -> bool {
        // What they cost if every node at their far ends is new.
        let most = |group: &Group| {
            let (edge, node) = budget.prices(graph, group.step, hop);
            (edge + node) * group.offsets.len() as u64
        };
        let most: u64 = self.groups.iter().map(most).sum();
        let fits = most <= budget.tokens && self.chosen.len() as u64 <= budget.edges;
        if !fits {
            self.deal(graph, &mut turns.with(u64::from(near)).random(), hop, budget, growing);
        }
        for group in &self.groups {
            let offsets = if fits { group.offsets.clone() } else { group.offsets.start..group.offsets.start + group.taken };
            let before = growing.nodes().len();
            growing.take(graph, &Taken { step: group.step, near, base: group.base, offsets: &self.chosen[offsets] }, hop + 1);
            if fits {
                let (edge, node) = budget.prices(graph, group.step, hop);
                let new = (growing.nodes().len() - before) as u64;
                budget.pay(edge * group.offsets.len() as u64 + node * new, group.offsets.len() as u64);
            }
        }
        !self.groups.iter().any(|group| group.is_full)
    }

    /// Gives the relations turns: in each round, one edge of each relation and direction that has any left, in a random order
    /// of them, and each one's edges in a random order; until one does not fit.
    fn deal(&mut self, graph: &Graph<'_>, random: &mut Random, hop: usize, budget: &mut Budget<'_>, growing: &mut Growing) {
        self.groups.iter_mut().for_each(|group| group.turn = random.word());
        self.groups.sort_unstable_by_key(|group| (group.turn, group.step));
        loop {
            let mut is_any = false;
            for group in &mut self.groups {
                let left = group.offsets.start + group.taken..group.offsets.end;
                if group.is_full || left.is_empty() {
                    continue;
                }
                self.chosen.swap(left.start, left.start + random.below(left.len() as u64) as usize);
                let position = group.base + self.chosen[left.start] as usize;
                let far = graph.far_hit(group.step, position);
                let (edge, node) = budget.prices(graph, group.step, hop);
                let is_new = node > 0 && growing.place(far).is_none();
                if budget.pay(edge + if is_new { node } else { 0 }, 1) {
                    growing.node(far, hop + 1);
                    group.taken += 1;
                    is_any = true;
                } else {
                    group.is_full = true;
                }
            }
            if !is_any {
                break;
            }
        }
        self.groups.sort_unstable_by_key(|group| group.step);
    }
}
