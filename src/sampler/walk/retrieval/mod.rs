//! Retrieval: random walks from a seed, and the nodes of its own type that they meet most often.

mod counted;

use std::ops::Range;

use relata_schema::NodeTypeId;

pub(in crate::sampler) use self::counted::Counted;
use self::counted::{Meet, Walks};
use crate::sampler::Retrieval;
use crate::sampler::graph::Graph;
use crate::sampler::prefetch::prefetch;
use crate::sampler::random::{Key, Random, split};
use crate::snapshot::{Adjacency, Hit};

/// Names the walks among what is by lot of a seed; above every word that names a node at a hop.
const WALKS: u64 = u64::MAX - 1;

/// Walks that go on together: while the memory answers one of them, the others are moved.
const TOGETHER: u32 = 64;

/// Walks that a thread takes at a time.
const A_TIME: u32 = 512;

/// Ways from a type that are looked at together, at most.
const FEW_WAYS: u32 = 64;

/// Edges that are tried at a node by lot before all that may be taken are listed.
const TRIES: usize = 8;

/// A walk on its way.
struct Wanderer {
    random: Random,
    /// What is left of the number that chose the way: it chooses the edge.
    rest: u64,
    /// The position of the edge that it takes; the highest number where it stays.
    position: usize,
    node: u32,
    /// The way that it tries next, one of its node's type; [`NO_WAY`] where that has none.
    way: u32,
    node_type: NodeTypeId,
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
    let wander = Wander::new(graph, key, last, seed, retrieval.steps);
    let parts: Vec<Range<u32>> = parts(0..retrieval.walks, A_TIME).collect();
    let (nodes, rows) = (graph.counts[seed.node_type.index()] as usize, retrieval.rows as usize);
    let mut found = counted.most(&wander, &parts, (nodes, seed.node), rows);
    // The lots are drawn of those only that may be among the first.
    let lot = |node: u32| key.with(u64::from(node)).random().word();
    found.sort_by_cached_key(|&(node, count)| (u32::MAX - count, lot(node), node));
    found.truncate(rows);
    found.into_iter().map(|(node, _)| Hit { node_type: seed.node_type, node }).collect()
}

/// Walks, so many at a time.
fn parts(walks: Range<u32>, most: u32) -> impl Iterator<Item = Range<u32>> {
    walks.clone().step_by(most as usize).map(move |first| first..walks.end.min(first + most))
}

/// A step of the graph that has edges, as a walk goes along it.
struct Way<'s> {
    adjacency: Adjacency<'s>,
    /// Where the ways of the far type begin, and how many there are.
    next: Ways,
    far: NodeTypeId,
    last_far: u32,
    /// Whether all of its edges may be taken.
    is_free: bool,
    /// Its number among the steps of the graph.
    step: u32,
}

impl Way<'_> {
    /// The position of one of a node's edges by lot, all of which may be taken, if it has one.
    #[inline(always)]
    fn edge(&self, wanderer: &Wanderer) -> Option<usize> {
        let Range { start, end } = self.row(wanderer.node);
        (start < end).then(|| (start + split(wanderer.rest, end - start).0) as usize)
    }

    /// The positions of a node's edges, as the snapshot has them.
    #[inline(always)]
    fn row(&self, node: u32) -> Range<u64> {
        match self.adjacency.offsets.get(node as usize..node as usize + 2) {
            Some(&[start, end]) => start..end,
            _ => 0..0,
        }
    }
}

/// No way's number.
const NO_WAY: u32 = u32::MAX;

/// The ways from a type: the first of them ([`NO_WAY`] if there is none), how many there are, and whether those of a node that
/// have edges are found at once: they are few, and of all of them all edges may be taken.
#[derive(Clone, Copy)]
struct Ways {
    first: u32,
    count: u32,
    is_free: bool,
}

/// Random walks from a seed.
struct Wander<'g, 's> {
    graph: &'g Graph<'s>,
    ways: Vec<Way<'s>>,
    /// By node type.
    of: Vec<Ways>,
    key: Key,
    last: Option<i64>,
    seed: Hit,
    steps: u32,
}

impl<'g, 's> Wander<'g, 's> {
    fn new(graph: &'g Graph<'s>, key: Key, last: Option<i64>, seed: Hit, steps: u32) -> Self {
        // A step without any edge is a way to nowhere.
        let has_edges = |&step: &usize| {
            let Adjacency { offsets, targets, .. } = graph.lanes[step].adjacency;
            offsets.len() > 1 && !targets.is_empty()
        };
        let is_free = |&step: &usize| {
            let lane = &graph.lanes[step];
            lane.is_plain(last) && (last.is_none() || !lane.step.is_timed)
        };
        let (mut numbers, mut of) = (Vec::new(), Vec::new());
        for node_type in (0..graph.counts.len()).map(|id| NodeTypeId(id as u16)) {
            let first = numbers.len();
            numbers.extend(graph.steps.of(node_type).filter(has_edges));
            let count = (numbers.len() - first) as u32;
            let is_free = count <= FEW_WAYS && numbers[first..].iter().all(is_free);
            of.push(Ways { first: if count == 0 { NO_WAY } else { first as u32 }, count, is_free });
        }
        let way = |&step: &usize| {
            let lane = &graph.lanes[step];
            let far = lane.step.far;
            let is_free = is_free(&step);
            Way { adjacency: lane.adjacency, next: of[far.index()], far, last_far: lane.last_far, is_free, step: step as u32 }
        };
        let ways = numbers.iter().map(way).collect();
        Self { graph, ways, of, key, last, seed, steps }
    }

    /// Moves some walks, all of them step by step: what each needs next is asked for while the others are moved.
    fn together(&self, walks: Range<u32>, met: &mut impl Meet) {
        let own = self.seed.node_type;
        let mut wanderers: Vec<Wanderer> = walks.map(|walk| self.begin(walk)).collect();
        for _ in 0..self.steps {
            for wanderer in &mut wanderers {
                self.choose(wanderer);
            }
            for wanderer in &mut wanderers {
                self.go(wanderer);
                met.meet(wanderer.node, wanderer.node_type == own);
            }
        }
    }

    fn begin(&self, walk: u32) -> Wanderer {
        let random = self.key.with(u64::from(walk)).random();
        let Hit { node_type, node } = self.seed;
        let mut wanderer = Wanderer { random, rest: 0, position: usize::MAX, node, way: 0, node_type };
        self.turn(&mut wanderer, self.of[node_type.index()]);
        wanderer
    }

    /// Chooses a way, each equally likely, and asks for the node's row.
    #[inline(always)]
    fn turn(&self, wanderer: &mut Wanderer, ways: Ways) {
        let (way, rest) = split(wanderer.random.word(), u64::from(ways.count));
        (wanderer.way, wanderer.rest) = (ways.first + way as u32, rest);
        if let Some(way) = self.ways.get(wanderer.way as usize) {
            prefetch(way.adjacency.offsets, wanderer.node as usize);
        }
    }

    /// Chooses an edge, each of the way's that may be taken equally likely, and asks for its far end. Where the way has none, it
    /// is another's turn, so that each way that has some is equally likely.
    #[inline(always)]
    fn choose(&self, wanderer: &mut Wanderer) {
        let free = self.ways.get(wanderer.way as usize).filter(|way| way.is_free);
        match free.and_then(|way| Some((way, way.edge(wanderer)?))) {
            Some((way, position)) => {
                wanderer.position = position;
                prefetch(way.adjacency.targets, position);
            }
            None => self.choose_other(wanderer),
        }
    }

    /// The same where the way has no edges, or not all of them may be taken.
    #[inline(never)]
    fn choose_other(&self, wanderer: &mut Wanderer) {
        let ways = self.of[wanderer.node_type.index()];
        wanderer.position = usize::MAX;
        if ways.count == 0 {
            return;
        }
        if ways.is_free {
            return self.choose_having(wanderer, ways);
        }
        for _ in 0..TRIES {
            if let Some(position) = self.edge(wanderer) {
                wanderer.position = position;
                return prefetch(self.ways[wanderer.way as usize].adjacency.targets, position);
            }
            self.turn(wanderer, ways);
        }
        // Most ways have nothing that may be taken: only those that have are chosen from.
        let has = |&way: &u32| {
            let (step, node) = (self.ways[way as usize].step as usize, wanderer.node);
            let mut allowed = self.graph.allowed(step, node, self.last);
            allowed.any(|position| self.graph.may(step, node, position, self.last))
        };
        let having: Vec<u32> = (ways.first..ways.first + ways.count).filter(has).collect();
        if let Some(&way) = having.get(wanderer.random.below(having.len() as u64) as usize) {
            wanderer.way = way;
            wanderer.position = self.edge(wanderer).unwrap_or(usize::MAX);
        }
    }

    /// The same among the ways that have edges.
    #[inline(always)]
    fn choose_having(&self, wanderer: &mut Wanderer, Ways { first, count, .. }: Ways) {
        // Which of them have edges is not foreseeable: so each is written down, and the next written over it.
        let (mut having, mut end) = ([0; FEW_WAYS as usize + 1], 0);
        for (number, way) in (first..).zip(&self.ways[first as usize..(first + count) as usize]) {
            having[end] = number;
            end += usize::from(!way.row(wanderer.node).is_empty());
        }
        let (at, rest) = split(wanderer.random.word(), end as u64);
        if end > 0 {
            (wanderer.way, wanderer.rest) = (having[at as usize], rest);
            let way = &self.ways[wanderer.way as usize];
            wanderer.position = way.edge(wanderer).unwrap_or(usize::MAX);
            prefetch(way.adjacency.targets, wanderer.position);
        }
    }

    /// An edge of the way by lot, if it has one that may be taken.
    #[inline(never)]
    fn edge(&self, wanderer: &mut Wanderer) -> Option<usize> {
        let (way, node) = (&self.ways[wanderer.way as usize], wanderer.node);
        let step = way.step as usize;
        let allowed = self.graph.allowed(step, node, self.last);
        if allowed.is_empty() {
            return None;
        }
        let may = |&position: &usize| way.is_free || self.graph.may(step, node, position, self.last);
        for _ in 0..TRIES {
            let position = allowed.start + split(wanderer.rest, allowed.len() as u64).0 as usize;
            if may(&position) {
                return Some(position);
            }
            wanderer.rest = wanderer.random.word();
        }
        let those: Vec<usize> = allowed.filter(may).collect();
        those.get(wanderer.random.below(those.len() as u64) as usize).copied()
    }

    /// Takes the edge, and turns to the next.
    #[inline(always)]
    fn go(&self, wanderer: &mut Wanderer) {
        // A snapshot that is not verified may name what is not there.
        if let Some(way) = self.ways.get(wanderer.way as usize)
            && let Some(&far) = way.adjacency.targets.get(wanderer.position)
        {
            wanderer.node = far.min(way.last_far);
            wanderer.node_type = way.far;
            self.turn(wanderer, way.next);
        } else {
            self.turn(wanderer, self.of[wanderer.node_type.index()]);
        }
    }
}

impl Walks for Wander<'_, '_> {
    fn go(&self, walks: Range<u32>, met: &mut impl Meet) {
        parts(walks, TOGETHER).for_each(|walks| self.together(walks, met));
    }
}
