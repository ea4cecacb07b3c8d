//! The path of least cost within a limit of hops: labels in the order of cost, each with its hops. A node takes a further
//! label only where it has fewer hops than all before: what costs more and is longer leads nowhere that the others do not.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::ways::{Sense, Ways};
use super::yen::{Budget, Search};

/// A way to a node, and the label before it.
struct Label {
    node: u32,
    before: usize,
}

#[derive(PartialEq)]
struct Waiting {
    cost: f64,
    hops: u32,
    node: u32,
    before: usize,
}

impl Eq for Waiting {}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        let rest = |waiting: &Self| (waiting.hops, waiting.node, waiting.before);
        self.cost.total_cmp(&other.cost).then_with(|| rest(self).cmp(&rest(other)))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By node, the cheapest label that waits or was taken: what costs no less and is no shorter need not wait.
struct Offered {
    costs: Vec<f64>,
    /// One more than the hops; 0 where there is no label, so that the system gives pages only for where the search was.
    hops: Vec<u8>,
}

impl Offered {
    /// Whether a label is worth its place; notes it where it is the cheapest of its node.
    fn takes(&mut self, node: u32, cost: f64, hops: u32) -> bool {
        let (known_cost, known_hops) = (&mut self.costs[node as usize], &mut self.hops[node as usize]);
        let is_first = *known_hops == 0;
        if !is_first && *known_cost <= cost && u32::from(*known_hops) <= hops + 1 {
            return false;
        }
        if is_first || cost < *known_cost {
            (*known_cost, *known_hops) = (cost, hops as u8 + 1);
        }
        true
    }
}

/// The nodes of a cheapest path from `search.start`; of equally cheap ones, one of the fewest hops.
pub(super) fn cheapest(ways: &Ways<'_>, search: &Search<'_>, budget: &mut Budget) -> Option<Vec<u32>> {
    let mut labels: Vec<Label> = Vec::new();
    // By node: one more than the hops of its last label; 0 where it has none.
    let mut taken = vec![0_u8; ways.node_count()];
    let mut offered = Offered { costs: vec![0.0; ways.node_count()], hops: vec![0; ways.node_count()] };
    let is_shorter = |hops: u32, taken: u8| taken == 0 || hops + 1 < u32::from(taken);
    let mut waiting = BinaryHeap::from([Reverse(Waiting { cost: 0.0, hops: 0, node: search.start, before: usize::MAX })]);
    // What the cheapest way to the goal costs that was met so far.
    let mut most = f64::INFINITY;
    while let Some(Reverse(Waiting { cost, hops, node, before })) = waiting.pop() {
        if !is_shorter(hops, taken[node as usize]) {
            continue;
        }
        taken[node as usize] = hops as u8 + 1;
        labels.push(Label { node, before });
        if search.goal.is_at(node) {
            return Some(way_to(&labels));
        }
        if !budget.spend() {
            return None;
        }
        if hops == search.most_hops {
            continue;
        }
        ways.costs(node, |far, more| {
            let (cost, hops) = (cost + more, hops + 1);
            if cost > most || !is_shorter(hops, taken[far as usize]) || search.forbids(Sense::With, node, far) {
                return;
            }
            if offered.takes(far, cost, hops) {
                if search.goal.is_at(far) {
                    most = cost;
                }
                waiting.push(Reverse(Waiting { cost, hops, node: far, before: labels.len() - 1 }));
            }
        });
    }
    None
}

/// From the first label to the last one.
fn way_to(labels: &[Label]) -> Vec<u32> {
    let mut way = Vec::new();
    let mut at = labels.len() - 1;
    while let Some(label) = labels.get(at) {
        way.push(label.node);
        at = label.before;
    }
    way.reverse();
    way
}
