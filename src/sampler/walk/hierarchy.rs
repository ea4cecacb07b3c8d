use std::collections::HashMap;
use std::ops::Range;

use crate::sampler::graph::Graph;
use crate::sampler::random::{Key, Random};
use crate::sampler::steps::Step;
use crate::sampler::subgraph::growing::{Growing, Taken};

/// Names the choices of a level; above every word that names a node at a hop, and of the context walk's turns.
const LEVELS: u64 = u64::MAX - 2;

/// Memory for the edges of a level.
#[derive(Default)]
pub(in crate::sampler) struct Levels {
    rows: Vec<Row>,
    groups: Vec<Group>,
    /// Place of the near node, step, position of the first edge that time allows, offset from it.
    chosen: Vec<(u32, usize, usize, u32)>,
    /// By group and place in its order, the edge that stands there, where it is not the one of this number.
    moved: HashMap<(usize, u64), u64>,
}

/// The edges of one node in one step that time allows.
struct Row {
    near: u32,
    node: u32,
    base: usize,
    /// Of the group's edges, the number of the first.
    first: u64,
}

/// The edges of all nodes of a level in one step.
struct Group {
    step: usize,
    rows: Range<usize>,
    edges: u64,
    /// How many were looked at.
    tried: u64,
    random: Random,
    turn: u64,
}

/// The hierarchy walk: from the seeds up, and from the seeds down, level by level. See the [module](super).
pub(in crate::sampler) fn walk(
    graph: &Graph<'_>,
    key: Key,
    last: Option<i64>,
    [up, down]: [&[u32]; 2],
    growing: &mut Growing,
    memory: &mut Levels,
) {
    let seeds = 0..growing.nodes().len();
    for (is_up, budgets) in [(true, up), (false, down)] {
        let mut level = seeds.clone();
        for (hop, &budget) in budgets.iter().enumerate() {
            let end = growing.nodes().len();
            let key = key.with(LEVELS).with(u64::from(is_up)).with(hop as u64);
            memory.level(graph, key, last, (is_up, level, budget), growing, hop + 1);
            level = end..growing.nodes().len();
        }
    }
}

impl Levels {
    /// Takes from the nodes of a level to the next: the steps take turns, each giving an edge of those that time allows, in an
    /// order by lot, until so many new nodes have come.
    fn level(
        &mut self,
        graph: &Graph<'_>,
        key: Key,
        last: Option<i64>,
        (is_up, level, budget): (bool, Range<usize>, u32),
        growing: &mut Growing,
        hop: usize,
    ) {
        let Self { rows, groups, chosen, moved } = self;
        rows.clear();
        groups.clear();
        chosen.clear();
        for (at, step) in graph.steps.steps.iter().enumerate().filter(|(_, step)| leads(step, is_up)) {
            let start = rows.len();
            let mut edges = 0;
            for near in level.clone() {
                let node = growing.nodes()[near];
                if !graph.steps.of(node.node_type).contains(&at) {
                    continue;
                }
                let allowed = graph.allowed(at, node.node, last);
                if !allowed.is_empty() {
                    rows.push(Row { near: near as u32, node: node.node, base: allowed.start, first: edges });
                    edges += allowed.len() as u64;
                }
            }
            if edges > 0 {
                let mut random = key.mixed(step.word).random();
                let turn = random.word();
                groups.push(Group { step: at, rows: start..rows.len(), edges, tried: 0, random, turn });
            }
        }
        groups.sort_unstable_by_key(|group| (group.turn, group.step));
        moved.clear();
        let mut left = budget;
        while left > 0 && groups.iter().any(|group| group.tried < group.edges) {
            for (number, group) in groups.iter_mut().enumerate() {
                if left == 0 || group.tried == group.edges {
                    continue;
                }
                // As Fisher and Yates have it: what was tried stands first.
                let at = group.tried + group.random.below(group.edges - group.tried);
                let first = moved.get(&(number, group.tried)).copied().unwrap_or(group.tried);
                let edge = moved.insert((number, at), first).unwrap_or(at);
                group.tried += 1;
                let row = &rows[group.rows.clone()];
                let row = &row[row.partition_point(|row| row.first <= edge) - 1];
                let offset = (edge - row.first) as u32;
                let position = row.base + offset as usize;
                if !graph.may(group.step, row.node, position, last) {
                    continue;
                }
                let before = growing.nodes().len();
                growing.node(graph.far_hit(group.step, position), hop);
                left -= u32::from(growing.nodes().len() > before);
                chosen.push((row.near, group.step, row.base, offset));
            }
        }
        chosen.sort_unstable();
        let mut offsets = Vec::new();
        for same in chosen.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let (near, step, base, _) = same[0];
            offsets.clear();
            offsets.extend(same.iter().map(|&(.., offset)| offset));
            growing.take(graph, &Taken { step, near, base, offsets: &offsets }, hop);
        }
    }
}

/// Whether a step goes up the hierarchy, or down.
fn leads(step: &Step, is_up: bool) -> bool {
    step.up.is_some_and(|up| (up == step.direction) == is_up)
}
