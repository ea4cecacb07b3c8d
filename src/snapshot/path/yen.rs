//! Path after path: Yen's algorithm around a search for one.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;

use super::ways::{Sense, Ways};
use super::{FoundPaths, Path, PathEnd, PathQuery, breadth, cheapest};

/// Visits that are left to all searches of a query.
pub(super) struct Budget {
    most: u64,
    spent: u64,
    is_short: bool,
}

impl Budget {
    /// Takes one; whether there was one left.
    pub(super) fn spend(&mut self) -> bool {
        self.is_short |= self.spent == self.most;
        self.spent += u64::from(!self.is_short);
        !self.is_short
    }

    /// Whether more was asked for than there was.
    pub(super) fn is_spent(&self) -> bool {
        self.is_short
    }
}

/// Where a search ends.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    Node(u32),
    /// Nodes with these numbers, but not the query's first.
    Type {
        numbers: Range<u32>,
        first: u32,
    },
}

impl Goal {
    pub(super) fn is_at(&self, node: u32) -> bool {
        match self {
            Self::Node(goal) => *goal == node,
            Self::Type { numbers, first } => numbers.contains(&node) && node != *first,
        }
    }
}

/// A search for one path, and what earlier paths leave of the graph.
pub(super) struct Search<'q> {
    pub(super) start: u32,
    pub(super) goal: &'q Goal,
    pub(super) most_hops: u32,
    /// Nodes of the path before `start`.
    before: &'q [u32],
    /// Nodes that earlier paths go on to from `start`.
    tried: HashSet<u32>,
}

impl Search<'_> {
    /// Whether the walk from `node` on to `far`, or with the sense against the walk from `far` on to `node`, is closed.
    pub(super) fn forbids(&self, sense: Sense, node: u32, far: u32) -> bool {
        let (from, to) = if sense == Sense::With { (node, far) } else { (far, node) };
        self.before.contains(&far) || (from == self.start && self.tried.contains(&to))
    }
}

/// A path as numbers.
#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    cost: f64,
    nodes: Vec<u32>,
}

impl Candidate {
    fn order(&self, other: &Self) -> Ordering {
        let hops = self.nodes.len().cmp(&other.nodes.len());
        self.cost.total_cmp(&other.cost).then(hops).then_with(|| self.nodes.cmp(&other.nodes))
    }
}

pub(super) fn paths(ways: &Ways<'_>, query: &PathQuery) -> FoundPaths {
    let first = ways.index(query.from);
    let goal = match query.to {
        PathEnd::Node(hit) => Goal::Node(ways.index(hit)),
        PathEnd::Type(node_type) => Goal::Type { numbers: ways.numbers(node_type), first },
    };
    let mut budget = Budget { most: query.most_visits, spent: 0, is_short: false };
    let shortest = |search: &Search<'_>, budget: &mut Budget| match query.weight {
        None => breadth::shortest(ways, search, budget),
        Some(_) => cheapest::cheapest(ways, search, budget),
    };
    let mut found: Vec<Candidate> = Vec::new();
    let mut waiting: Vec<Candidate> = Vec::new();
    let start = Search { start: first, goal: &goal, most_hops: query.most_hops, before: &[], tried: HashSet::new() };
    waiting.extend(shortest(&start, &mut budget).map(|nodes| candidate(ways, nodes)));
    while let Some(best) = take_least(&mut waiting) {
        found.push(best);
        let latest = &found[found.len() - 1].nodes;
        if found.len() == query.count || budget.is_spent() {
            break;
        }
        for at in 0..latest.len() - 1 {
            let (root, spur) = (&latest[..=at], latest[at]);
            let same = found.iter().filter(|path| path.nodes.len() > at + 1 && path.nodes[..=at] == *root);
            let search = Search {
                start: spur,
                goal: &goal,
                most_hops: query.most_hops - at as u32,
                before: &root[..at],
                tried: same.map(|path| path.nodes[at + 1]).collect(),
            };
            let Some(rest) = shortest(&search, &mut budget) else { continue };
            let path = candidate(ways, root[..at].iter().copied().chain(rest).collect());
            if !waiting.contains(&path) {
                waiting.push(path);
            }
        }
    }
    let paths = found.into_iter().map(|candidate| named(ways, candidate)).collect();
    FoundPaths { paths, visited: budget.spent, complete: !budget.is_short }
}

fn take_least(waiting: &mut Vec<Candidate>) -> Option<Candidate> {
    let least = (0..waiting.len()).min_by(|&one, &other| waiting[one].order(&waiting[other]))?;
    Some(waiting.swap_remove(least))
}

fn candidate(ways: &Ways<'_>, nodes: Vec<u32>) -> Candidate {
    let cost = nodes.windows(2).filter_map(|pair| ways.step(pair[0], pair[1])).map(|step| step.cost).sum();
    Candidate { cost, nodes }
}

fn named(ways: &Ways<'_>, Candidate { cost, nodes }: Candidate) -> Path {
    let steps = nodes.windows(2).filter_map(|pair| ways.step(pair[0], pair[1])).collect();
    Path { nodes: nodes.into_iter().map(|node| ways.hit(node)).collect(), steps, cost }
}
