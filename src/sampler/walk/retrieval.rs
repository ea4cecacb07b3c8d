use std::ops::Range;

use rayon::prelude::*;
use relata_schema::NodeTypeId;

use crate::sampler::Retrieval;
use crate::sampler::graph::{Graph, Lane};
use crate::sampler::prefetch::prefetch;
use crate::sampler::random::{Key, Random};
use crate::snapshot::{Adjacency, Hit};

/// Names the walks among what is by lot of a seed; above every word that names a node at a hop.
const WALKS: u64 = u64::MAX - 1;

/// Walks that go on together: while the memory answers one of them, the others are moved.
const TOGETHER: u32 = 64;

/// Walks that a thread takes at a time.
const A_TIME: u32 = 512;

/// Edges that are tried at a node by lot before all that may be taken are listed.
const TRIES: usize = 8;

/// A walk on its way.
struct Wanderer {
    random: Random,
    node: Hit,
    /// The step that it tries next.
    step: usize,
    /// The position of the edge that it takes, in that step; the highest number where it stays.
    position: usize,
}

/// The nodes of the seed's own type that random walks from it meet most often, the most frequent first; of equally frequent
/// ones, in an order by lot. See [`Retrieval`].
pub(in crate::sampler) fn retrieve(
    graph: &Graph<'_>,
    key: Key,
    last: Option<i64>,
    seed: Hit,
    retrieval: &Retrieval,
    counted: &mut Counted,
) -> Vec<Hit> {
    let key = key.with(WALKS);
    let chunks = retrieval.walks.div_ceil(A_TIME);
    let met: Vec<Vec<u32>> = (0..chunks)
        .into_par_iter()
        .map(|chunk| {
            let walks = chunk * A_TIME..((chunk + 1) * A_TIME).min(retrieval.walks);
            let mut met = Vec::with_capacity(walks.len() * retrieval.steps as usize / 2);
            for first in walks.clone().step_by(TOGETHER as usize) {
                wander(graph, key, last, seed, first..walks.end.min(first + TOGETHER), retrieval.steps, &mut met);
            }
            met
        })
        .collect();
    let nodes = graph.counts[seed.node_type.index()] as usize;
    let mut counts = counted.count(met, nodes);
    counts.retain(|&(node, _)| node != seed.node);
    let rows = retrieval.rows as usize;
    if rows < counts.len() {
        // The lots are drawn of those only that may be among the first.
        let (_, &mut (_, least), _) = counts.select_nth_unstable_by(rows - 1, |one, other| other.1.cmp(&one.1));
        counts.retain(|&(_, count)| count >= least);
    }
    let lot = |node: u32| key.with(u64::from(node)).random().word();
    counts.sort_by_cached_key(|&(node, count)| (u32::MAX - count, lot(node), node));
    counts.truncate(rows);
    counts.into_iter().map(|(node, _)| Hit { node_type: seed.node_type, node }).collect()
}

/// Memory for counting nodes.
#[derive(Default)]
pub(in crate::sampler) struct Counted {
    /// By node; all of them 0.
    counts: Vec<u32>,
}

/// Of a type of at most so many nodes, those that were met are counted by node: 4 MB. Of a larger one, they are sorted.
const FEW_NODES: usize = 1 << 20;

impl Counted {
    /// Each of those that were met, and how often.
    fn count(&mut self, met: Vec<Vec<u32>>, nodes: usize) -> Vec<(u32, u32)> {
        if nodes > FEW_NODES {
            let mut met = met.concat();
            met.par_sort_unstable();
            return met.chunk_by(|one, other| one == other).map(|same| (same[0], same.len() as u32)).collect();
        }
        self.counts.resize(self.counts.len().max(nodes), 0);
        let mut found = Vec::new();
        for &node in met.iter().flatten() {
            let count = &mut self.counts[node as usize];
            if *count == 0 {
                found.push((node, 0));
            }
            *count += 1;
        }
        found.iter_mut().for_each(|(node, count)| *count = std::mem::take(&mut self.counts[*node as usize]));
        found
    }
}

/// A step as a walk goes along it.
struct Way<'s> {
    adjacency: Adjacency<'s>,
    far: NodeTypeId,
    last_far: u32,
    /// Whether all of its edges may be taken.
    is_free: bool,
}

impl<'s> Way<'s> {
    fn of(lane: &Lane<'s>, last: Option<i64>) -> Self {
        let is_free = lane.is_plain(last) && (last.is_none() || !lane.step.is_timed);
        Self { adjacency: lane.adjacency, far: lane.step.far, last_far: lane.last_far, is_free }
    }
}

/// Moves some walks, all of them step by step.
fn wander(graph: &Graph<'_>, key: Key, last: Option<i64>, seed: Hit, walks: Range<u32>, steps: u32, met: &mut Vec<u32>) {
    let ways: Vec<Way<'_>> = graph.lanes.iter().map(|lane| Way::of(lane, last)).collect();
    let wanderer = |walk| Wanderer { random: key.with(u64::from(walk)).random(), node: seed, step: 0, position: usize::MAX };
    let mut wanderers: Vec<Wanderer> = walks.map(wanderer).collect();
    wanderers.iter_mut().for_each(|wanderer| wanderer.turn(graph, &ways));
    // Whether a node is of the seed's type is not foreseeable: so it is written all the same, and counted or not.
    let mut end = met.len();
    met.resize(end + wanderers.len() * steps as usize + 1, 0);
    for _ in 0..steps {
        for wanderer in &mut wanderers {
            wanderer.choose(graph, &ways, last);
        }
        for wanderer in &mut wanderers {
            wanderer.go(graph, &ways);
            met[end] = wanderer.node.node;
            end += usize::from(wanderer.node.node_type == seed.node_type);
        }
    }
    met.truncate(end);
}

impl Wanderer {
    /// Chooses a step of the node, and asks for its row.
    #[inline(always)]
    fn turn(&mut self, graph: &Graph<'_>, ways: &[Way<'_>]) {
        let steps = graph.steps.of(self.node.node_type);
        self.step = steps.start + self.random.below(steps.len() as u64) as usize;
        if let Some(way) = ways.get(self.step) {
            prefetch(way.adjacency.offsets, self.node.node as usize);
        }
    }

    /// Chooses an edge, each of the step's that may be taken equally likely, and asks for its far end. Where the step has none,
    /// it is another's turn, so that each step that has some is equally likely.
    #[inline(always)]
    fn choose(&mut self, graph: &Graph<'_>, ways: &[Way<'_>], last: Option<i64>) {
        let steps = graph.steps.of(self.node.node_type);
        self.position = usize::MAX;
        if steps.is_empty() {
            return;
        }
        for _ in 0..TRIES {
            let way = &ways[self.step];
            let row = way.adjacency.range(self.node.node);
            let found = match way.is_free {
                true if row.is_empty() => None,
                true => Some(row.start + self.random.below(row.len() as u64) as usize),
                false => self.edge(graph, last),
            };
            if let Some(position) = found {
                self.position = position;
                return prefetch(way.adjacency.targets, position);
            }
            self.step = steps.start + self.random.below(steps.len() as u64) as usize;
        }
        self.choose_having(graph, last);
    }

    /// Most steps have nothing that may be taken: only those that have are chosen from.
    #[cold]
    #[inline(never)]
    fn choose_having(&mut self, graph: &Graph<'_>, last: Option<i64>) {
        let has = |&step: &usize| {
            graph.allowed(step, self.node.node, last).any(|position| graph.may(step, self.node.node, position, last))
        };
        let having: Vec<usize> = graph.steps.of(self.node.node_type).filter(has).collect();
        if let Some(&step) = having.get(self.random.below(having.len() as u64) as usize) {
            self.step = step;
            self.position = self.edge(graph, last).unwrap_or(usize::MAX);
        }
    }

    /// An edge of the step by lot, if it has one that may be taken.
    #[inline(never)]
    fn edge(&mut self, graph: &Graph<'_>, last: Option<i64>) -> Option<usize> {
        let (step, node) = (self.step, self.node.node);
        let allowed = graph.allowed(step, node, last);
        if allowed.is_empty() {
            return None;
        }
        for _ in 0..TRIES {
            let position = allowed.start + self.random.below(allowed.len() as u64) as usize;
            if graph.lanes[step].is_plain(last) || graph.may(step, node, position, last) {
                return Some(position);
            }
        }
        let those: Vec<usize> = allowed.filter(|&position| graph.may(step, node, position, last)).collect();
        those.get(self.random.below(those.len() as u64) as usize).copied()
    }

    /// Takes the edge, and turns to the next.
    #[inline(always)]
    fn go(&mut self, graph: &Graph<'_>, ways: &[Way<'_>]) {
        if self.position != usize::MAX {
            let Way { adjacency, far, last_far, .. } = &ways[self.step];
            // A snapshot that is not verified may name what is not there.
            self.node = Hit { node_type: *far, node: adjacency.targets[self.position].min(*last_far) };
        }
        self.turn(graph, ways);
    }
}
