//! The path of fewest hops, by breadth-first searches from both ends that take turns, the cheaper one first.

use super::ways::{Sense, Ways};
use super::yen::{Budget, Goal, Search};

/// A search from one end.
struct Side {
    sense: Sense,
    /// By node: one more than the one before it on the way from this end, or than itself at the end; 0 where the search has
    /// not been, so that the system gives pages only for where it has.
    before: Vec<u32>,
    /// The nodes at the greatest distance so far.
    frontier: Vec<u32>,
    /// Edges that leave them.
    edges: usize,
    hops: u32,
}

impl Side {
    fn new(ways: &Ways<'_>, sense: Sense, start: u32) -> Self {
        let mut before = vec![0; ways.node_count()];
        before[start as usize] = start + 1;
        Self { sense, before, frontier: vec![start], edges: ways.degree(start, sense), hops: 0 }
    }

    fn knows(&self, node: u32) -> bool {
        self.before[node as usize] != 0
    }

    /// From this side's end to `node`.
    fn way_to(&self, node: u32) -> Vec<u32> {
        let mut way = vec![node];
        let mut at = node;
        while self.before[at as usize] != at + 1 {
            at = self.before[at as usize] - 1;
            way.push(at);
        }
        way.reverse();
        way
    }

    /// Goes a hop further. The node where `met` first says so, or nothing.
    fn advance(&mut self, ways: &Ways<'_>, search: &Search<'_>, budget: &mut Budget, met: impl Fn(u32) -> bool) -> Option<u32> {
        let (mut next, mut meeting) = (Vec::new(), None);
        for node in std::mem::take(&mut self.frontier) {
            let before = &mut self.before;
            ways.neighbors(node, self.sense, |far| {
                if before[far as usize] != 0 || search.forbids(self.sense, node, far) {
                    return false;
                }
                before[far as usize] = node + 1;
                if met(far) {
                    meeting = Some(far);
                    return true;
                }
                next.push(far);
                !budget.spend()
            });
            if meeting.is_some() || budget.is_spent() {
                return meeting;
            }
        }
        self.hops += 1;
        self.edges = next.iter().map(|&node| ways.degree(node, self.sense)).sum();
        self.frontier = next;
        None
    }
}

/// The nodes of a shortest path from `search.start`, of at most `search.most_hops` edges.
pub(super) fn shortest(ways: &Ways<'_>, search: &Search<'_>, budget: &mut Budget) -> Option<Vec<u32>> {
    let mut with = Side::new(ways, Sense::With, search.start);
    let &Goal::Node(goal) = search.goal else {
        while with.hops < search.most_hops && !with.frontier.is_empty() && !budget.is_spent() {
            if let Some(met) = with.advance(ways, search, budget, |node| search.goal.is_at(node)) {
                return Some(with.way_to(met));
            }
        }
        return None;
    };
    if goal == search.start {
        return Some(vec![goal]);
    }
    let mut against = Side::new(ways, Sense::Against, goal);
    while with.hops + against.hops < search.most_hops && !budget.is_spent() {
        if with.frontier.is_empty() || against.frontier.is_empty() {
            return None;
        }
        // A node that one side meets at its new distance is at the other's greatest: nearer ones were met before.
        let met = if with.edges <= against.edges {
            with.advance(ways, search, budget, |node| against.knows(node))
        } else {
            against.advance(ways, search, budget, |node| with.knows(node))
        };
        if let Some(met) = met {
            let mut way = with.way_to(met);
            way.extend(against.way_to(met).into_iter().rev().skip(1));
            return Some(way);
        }
    }
    None
}
