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

/// The nodes of a cheapest path from `search.start`; of equally cheap ones, one of the fewest hops.
pub(super) fn cheapest(ways: &Ways<'_>, search: &Search<'_>, budget: &mut Budget) -> Option<Vec<u32>> {
    let mut labels: Vec<Label> = Vec::new();
    // By node: one more than the hops of its last label; 0 where it has none.
    let mut taken = vec![0_u8; ways.node_count()];
    let is_shorter = |hops: u32, taken: u8| taken == 0 || hops + 1 < u32::from(taken);
    let mut waiting = BinaryHeap::from([Reverse(Waiting { cost: 0.0, hops: 0, node: search.start, before: usize::MAX })]);
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
            if is_shorter(hops + 1, taken[far as usize]) && !search.forbids(Sense::With, node, far) {
                waiting.push(Reverse(Waiting { cost: cost + more, hops: hops + 1, node: far, before: labels.len() - 1 }));
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
