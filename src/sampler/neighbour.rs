use std::ops::Range;

use super::graph::{From, Graph, Room};
use super::growing::{Growing, Taken};
use super::random::Key;
use super::subgraph::SampledNode;
use super::{choice, node_key};
use crate::vectorised::vectorised;

/// Memory for rows whose edges were chosen and are not taken yet.
#[derive(Default)]
pub(super) struct Rows {
    waiting: [Row; WAITING],
    room: Room,
}

/// The edges of one node in one step.
#[derive(Default)]
struct Row {
    near: u32,
    step: usize,
    key: Key,
    node: u32,
    /// How many are taken at most.
    most: usize,
    /// Their positions.
    all: Range<usize>,
    /// Where the last that time allows may stand.
    guess: usize,
    /// The position of the first that time allows.
    base: usize,
    /// Which of them are taken.
    chosen: Vec<u32>,
}

/// Rows that wait until the memory has answered. Of each node and step the row is found and its times are asked for; some rows
/// later it is chosen from, and the far nodes are asked for; some rows later these are taken. A power of two.
const WAITING: usize = 16;

/// Rows between finding one and choosing from it.
const UNTIL_CHOSEN: usize = 6;

/// Rows between finding one and taking what was chosen.
const UNTIL_TAKEN: usize = 14;

/// How many nodes ahead the places of their rows are asked for.
const AHEAD: usize = 8;

vectorised! {
    /// The neighbour walk: each node of a hop draws, of each relation and direction, as many of the edges that time allows as
    /// the fanout of the hop says. See the [module](super).
    pub(super) fn walk(graph: &Graph<'_>, key: Key, last: Option<i64>, growing: &mut Growing, memory: &mut Rows) {
        let Rows { waiting, room } = memory;
        let mut begun = 0;
        for hop in 0..graph.steps.hops {
            let ends = growing.nodes().len();
            let fanouts = &graph.steps.fanouts[hop];
            let mut rows = 0;
            growing.nodes()[begun..].iter().take(AHEAD).for_each(|&node| ask(graph, node));
            for near in begun..ends {
                let nodes = &growing.nodes()[..ends];
                if let Some(&ahead) = nodes.get(near + AHEAD) {
                    ask(graph, ahead);
                }
                let node = nodes[near].hit();
                let key = node_key(key, hop, node);
                for step in graph.steps.of(node.node_type) {
                    let lane = &graph.lanes[step];
                    let (all, most) = (lane.adjacency.range(node.node), fanouts[step]);
                    if most == 0 || all.is_empty() {
                        continue;
                    }
                    let row = &mut waiting[rows % WAITING];
                    row.guess = graph.guess(step, &all, last);
                    (row.near, row.step, row.node) = (near as u32, step, node.node);
                    (row.all, row.most, row.key) = (all, most, choice(key, lane.step));
                    if let Some(at) = rows.checked_sub(UNTIL_CHOSEN) {
                        choose(graph, last, &mut waiting[at % WAITING], room);
                    }
                    if let Some(at) = rows.checked_sub(UNTIL_TAKEN) {
                        take(graph, growing, &waiting[at % WAITING], hop);
                    }
                    rows += 1;
                }
            }
            for at in rows.saturating_sub(UNTIL_CHOSEN)..rows {
                choose(graph, last, &mut waiting[at % WAITING], room);
            }
            for at in rows.saturating_sub(UNTIL_TAKEN)..rows {
                take(graph, growing, &waiting[at % WAITING], hop);
            }
            begun = ends;
        }
    }
}

/// Asks for the places of a node's rows.
#[inline(always)]
fn ask(graph: &Graph<'_>, node: SampledNode) {
    graph.lanes[graph.steps.of(node.node_type)].iter().for_each(|lane| lane.ask(node.node));
}

/// Chooses from a row, and asks for the far ends.
#[inline(always)]
fn choose(graph: &Graph<'_>, last: Option<i64>, row: &mut Row, room: &mut Room) {
    let allowed = graph.allowed_of(row.step, row.all.clone(), last, row.guess);
    row.base = allowed.start;
    row.chosen.clear();
    graph.choose(From { step: row.step, node: row.node, allowed, last }, row.most, row.key, room, &mut row.chosen);
    let lane = &graph.lanes[row.step];
    row.chosen.iter().for_each(|&offset| lane.ask_for(row.base + offset as usize));
}

#[inline(always)]
fn take(graph: &Graph<'_>, growing: &mut Growing, row: &Row, hop: usize) {
    let &Row { near, step, base, ref chosen, .. } = row;
    growing.take(graph, &Taken { step, near, base, offsets: chosen }, hop + 1);
}
