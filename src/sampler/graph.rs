//! What a walk reads of a snapshot, and which of a node's edges it may take.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;
use relata_schema::{AttributeId, AttributeKind, Direction, RelationId};

use super::prefetch::prefetch;
use super::random::Key;
use super::steps::{Chosen, Step, Steps};
use super::until::Until;
use super::{EqualTime, MissingTime, SamplerConfig};
use crate::snapshot::{Adjacency, EdgeColumn, Hit, NodeColumn, Snapshot};
use crate::{Error, Result};

/// A snapshot as the steps of a walk see it.
pub(super) struct Graph<'s> {
    pub(super) steps: &'s Steps,
    /// One a step.
    pub(super) lanes: Vec<Lane<'s>>,
    /// How many nodes each type has.
    pub(super) counts: Vec<u32>,
    config: &'s SamplerConfig,
    limits: &'s Limits,
}

/// A step's edges in the snapshot.
pub(super) struct Lane<'s> {
    pub(super) step: &'s Step,
    pub(super) adjacency: Adjacency<'s>,
    /// Those of the step back.
    pub(super) back: Adjacency<'s>,
    /// By position, what a choice goes by; empty where it goes by nothing.
    weights: &'s [f32],
    /// Whether the type at the far end says since when its nodes have been there.
    is_far_dated: bool,
    /// Since when; empty where that is not known of any.
    far_times: &'s [i64],
    /// The last node at the far end.
    pub(super) last_far: u32,
    /// Whether all edges that time allows are alike: without a cutoff, and with one.
    is_plain: [bool; 2],
}

impl Lane<'_> {
    /// Whether all edges that time allows are alike.
    #[inline(always)]
    pub(super) fn is_plain(&self, last: Option<i64>) -> bool {
        self.is_plain[usize::from(last.is_some())]
    }

    /// Asks for an edge's far end.
    #[inline(always)]
    pub(super) fn ask_for(&self, position: usize) {
        prefetch(self.adjacency.targets, position);
    }

    /// Asks for where a node's row is.
    #[inline(always)]
    pub(super) fn ask(&self, node: u32) {
        prefetch(self.adjacency.offsets, node as usize);
    }
}

/// What no walk crosses, resolved once for all draws from a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// By relation and direction: a node, and the far nodes of its edges that are never taken.
    far: BTreeMap<(RelationId, Direction, u32), Vec<u32>>,
    /// For each node type, the attribute that says since when a node has been there.
    times: Vec<Option<AttributeId>>,
    /// A type of which it is not known which of its times that is, as an error names it. A cutoff wants to know.
    undated: Option<[String; 3]>,
    /// For each step a late time of its edges, to guess by where a time stands; found when the first cutoff asks.
    latest: OnceLock<Vec<i64>>,
    /// With a cutoff of the configuration.
    until: Option<Until>,
}

/// Where in a row the edges that time allows end.
#[derive(Clone, Copy, Default)]
pub(super) enum RowEnd {
    /// There.
    Known(usize),
    /// About there.
    Guess(usize),
    /// Where the row does, or that is not known.
    #[default]
    Open,
}

impl Limits {
    /// # Errors
    /// [`Error::Setting`] names what the schema or the snapshot does not have.
    pub(super) fn resolve(snapshot: &Snapshot, config: &SamplerConfig, steps: &Steps) -> Result<Self> {
        let schema = snapshot.schema();
        let mut far: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for &(relation, source, target) in &config.excluded {
            let Some(known) = schema.relations().get(relation.index()) else {
                let expected = format!("below {}, the number of relations of the schema", schema.relations().len());
                return Err(Error::setting("excluded", format!("relation number {}", relation.0), expected));
            };
            for (node, node_type) in [(source, known.source), (target, known.target)] {
                let count = snapshot.node_count(node_type);
                if node >= count {
                    let name = &schema.node(node_type).name;
                    let expected = format!("below {count}, the number of its nodes");
                    return Err(Error::setting("excluded", format!("node {node} of {name}"), expected));
                }
            }
            let back = if known.symmetric { Direction::Outgoing } else { Direction::Incoming };
            far.entry((relation, Direction::Outgoing, source)).or_default().push(target);
            far.entry((relation, back, target)).or_default().push(source);
        }
        let (mut times, mut undated) = (Vec::new(), None);
        for id in schema.node_type_ids() {
            let owner = schema.node(id);
            let known = (0..).map(AttributeId).zip(&owner.attributes).filter(|(_, known)| known.kind == AttributeKind::Time);
            let known: Vec<_> = known.collect();
            let named = config.time_of.iter().find(|(node_type, _)| *node_type == id).map(|&(_, attribute)| attribute);
            times.push(match (named, known.as_slice()) {
                (Some(None), _) => None,
                (Some(Some(named)), known) if known.iter().any(|&(id, _)| id == named) => Some(named),
                (None, []) => None,
                (None, &[(id, _)]) => Some(id),
                (named, known) => {
                    let known: Vec<&str> = known.iter().map(|(_, known)| known.name.as_str()).collect();
                    let found = match named {
                        Some(Some(named)) => format!("attribute number {}", named.0),
                        _ => format!("none for `{}`, which has {} times", owner.name, known.len()),
                    };
                    let expected = format!("which of them says since when a node has been there: {}", known.join(", "));
                    let error = [format!("time_of {}", owner.name), found, expected];
                    if named.is_some() || config.cutoff.is_some() {
                        let [name, found, expected] = error;
                        return Err(Error::setting(name, found, expected));
                    }
                    undated.get_or_insert(error);
                    None
                }
            });
        }
        if let Some((unknown, _)) = config.time_of.iter().find(|(id, _)| id.index() >= schema.node_types().len()) {
            let expected = format!("below {}, the number of node types of the schema", schema.node_types().len());
            return Err(Error::setting("time_of", format!("node type number {}", unknown.0), expected));
        }
        let until = last(config, config.cutoff).map(|last| Until::new(snapshot, steps, last));
        Ok(Self { far, times, undated, latest: OnceLock::new(), until })
    }

    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) names a node type of which it is not known since when its nodes have been there.
    pub(super) fn check_dated(&self) -> Result<()> {
        match self.undated.clone() {
            Some([name, found, expected]) => Err(Error::setting(name, found, expected)),
            None => Ok(()),
        }
    }
}

impl<'s> Graph<'s> {
    pub(super) fn new(snapshot: &'s Snapshot, steps: &'s Steps, config: &'s SamplerConfig, limits: &'s Limits) -> Self {
        let lane = |step: &'s Step| {
            let column = |attribute| match snapshot.edge_column(step.relation, step.direction, attribute) {
                EdgeColumn::Number(numbers) => numbers,
                EdgeColumn::Category(_) => &[],
            };
            let far_times = limits.times[step.far.index()].map(|attribute| snapshot.column(step.far, attribute));
            let is_far_dated = far_times.is_some();
            let is_free = step.choice == Chosen::Uniform && limits.far.is_empty();
            Lane {
                step,
                adjacency: snapshot.adjacency(step.relation, step.direction),
                back: snapshot.adjacency(step.relation, step.direction.reverse()),
                weights: match step.choice {
                    Chosen::Weighted(attribute) | Chosen::Top(attribute) => column(attribute),
                    Chosen::Uniform | Chosen::Latest => &[],
                },
                is_far_dated,
                far_times: match far_times {
                    Some(NodeColumn::Time(times)) => times,
                    _ => &[],
                },
                last_far: snapshot.node_count(step.far).saturating_sub(1),
                is_plain: [is_free, is_free && !is_far_dated],
            }
        };
        let counts = snapshot.schema().node_type_ids().map(|id| snapshot.node_count(id)).collect();
        Self { steps, lanes: steps.steps.iter().map(lane).collect(), counts, config, limits }
    }

    /// # Errors
    /// [`Error::Setting`] names an edge whose weight is none.
    pub(super) fn check_weights(&self, snapshot: &Snapshot) -> Result<()> {
        // Both directions of a relation have the same weights.
        for Lane { step, weights, .. } in self.lanes.iter().filter(|lane| lane.step.direction == Direction::Outgoing) {
            let Chosen::Weighted(attribute) = step.choice else { continue };
            let is_none = |weight: &f32| *weight < 0.0 || weight.is_infinite();
            if let Some(weight) = weights.par_iter().copied().find_first(is_none) {
                let schema = snapshot.schema();
                let name = &schema.edge(step.relation).attributes[attribute.index()].name;
                let name = format!("choice weighted by `{name}`");
                let found = format!("{weight} at an edge of {}", schema.relation_title(step.relation));
                return Err(Error::setting(name, found, "finite numbers from 0"));
            }
        }
        Ok(())
    }

    /// The last time that a cutoff allows.
    pub(super) fn last(&self, cutoff: Option<i64>) -> Option<i64> {
        last(self.config, cutoff)
    }

    /// The positions of a node's edges in a step. Their times ascend, missing ones first, so what time allows is one range.
    #[inline(always)]
    pub(super) fn allowed(&self, step: usize, node: u32, last: Option<i64>) -> Range<usize> {
        let range = self.lanes[step].adjacency.range(node);
        if last.is_none() { range } else { self.allowed_in(step, node, last, range) }
    }

    #[inline(never)]
    fn allowed_in(&self, step: usize, node: u32, last: Option<i64>, range: Range<usize>) -> Range<usize> {
        let end = self.known_end((step, node), &range, last).map_or(RowEnd::Open, RowEnd::Known);
        self.allowed_of((step, node), range, last, end)
    }

    /// Where the edges of a node's row that time allows end, if that was found before.
    #[inline(always)]
    fn known_end(&self, (step, node): (usize, u32), row: &Range<usize>, last: Option<i64>) -> Option<usize> {
        let count = self.limits.until.as_ref()?.get(step, node, last)?;
        Some((row.start + count).min(row.end))
    }

    /// Asks for where a node's row is, and how far time allows it.
    #[inline(always)]
    pub(super) fn ask(&self, step: usize, node: u32, last: Option<i64>) {
        self.lanes[step].ask(node);
        if let Some(until) = &self.limits.until {
            until.ask(step, node, last);
        }
    }

    /// Where the edges of a node's row that time allows may end; asks for what [`allowed_of`](Self::allowed_of) will read.
    #[inline(always)]
    pub(super) fn row_end(&self, (step, node): (usize, u32), row: &Range<usize>, last: Option<i64>) -> RowEnd {
        let Some(time) = last.filter(|_| self.lanes[step].step.is_timed) else { return RowEnd::Open };
        if let Some(end) = self.known_end((step, node), row, last) {
            return RowEnd::Known(end);
        }
        let latest = self.limits.latest.get_or_init(|| self.lanes.iter().map(|lane| latest(&lane.adjacency)).collect());
        RowEnd::Guess(self.lanes[step].adjacency.times.guess(row, time, latest[step], prefetch))
    }

    /// The part of a node's row that time allows.
    #[inline(always)]
    pub(super) fn allowed_of(
        &self,
        (at, node): (usize, u32),
        range: Range<usize>,
        until: Option<i64>,
        end: RowEnd,
    ) -> Range<usize> {
        let Lane { step, adjacency, .. } = &self.lanes[at];
        let Some(last) = until.filter(|_| step.is_timed) else { return range };
        // Of a relation with a time attribute no edge may have one; then the snapshot has no times.
        if adjacency.times.is_empty() {
            return if self.config.missing_time == MissingTime::Keep { range } else { range.start..range.start };
        }
        let end = match end {
            RowEnd::Known(end) => end,
            RowEnd::Guess(_) | RowEnd::Open => {
                let guess = if let RowEnd::Guess(guess) = end { guess } else { range.start };
                let end = adjacency.times.until_from(range.clone(), last, guess);
                if let Some(known) = &self.limits.until {
                    known.put(at, node, until, end - range.start);
                }
                end
            }
        };
        let start = match self.config.missing_time {
            MissingTime::Keep => range.start,
            MissingTime::Drop => adjacency.times.until(range.start..end, i64::MIN),
        };
        start..end
    }

    /// Whether some of a node's edges in a step, though time allows them, may not be taken: see [`may`](Self::may).
    #[inline]
    pub(super) fn is_filtered(&self, step: usize, node: u32, last: Option<i64>) -> bool {
        let is_late = last.is_some() && self.lanes[step].is_far_dated;
        is_late || (!self.limits.far.is_empty() && self.excluded_of(step, node).is_some())
    }

    fn excluded_of(&self, step: usize, node: u32) -> Option<&Vec<u32>> {
        let &Step { relation, direction, .. } = self.lanes[step].step;
        self.limits.far.get(&(relation, direction, node))
    }

    /// Whether an edge that time allows may be taken: its far end has been there, and it is not one of those excluded.
    pub(super) fn may(&self, step: usize, node: u32, position: usize, last: Option<i64>) -> bool {
        let far = self.far(step, position);
        let lane = &self.lanes[step];
        let is_there = match last.filter(|_| lane.is_far_dated) {
            Some(last) => self.is_there(lane.far_times.get(far as usize).copied().unwrap_or(i64::MIN), last),
            None => true,
        };
        is_there && self.excluded_of(step, node).is_none_or(|excluded| !excluded.contains(&far))
    }

    fn is_there(&self, time: i64, last: i64) -> bool {
        time <= last && (time != i64::MIN || self.config.missing_time == MissingTime::Keep)
    }

    /// The far end of an edge.
    #[inline]
    pub(super) fn far(&self, step: usize, position: usize) -> u32 {
        let lane = &self.lanes[step];
        // A snapshot that is not verified may name what is not there.
        lane.adjacency.targets[position].min(lane.last_far)
    }

    /// The far end of an edge with its type.
    pub(super) fn far_hit(&self, step: usize, position: usize) -> Hit {
        Hit { node_type: self.lanes[step].step.far, node: self.far(step, position) }
    }

    /// Appends which of a node's allowed edges it takes, as offsets from the first of them.
    #[inline(always)]
    pub(super) fn choose(&self, from: From, most: usize, key: Key, room: &mut Room, chosen: &mut Vec<u32>) {
        if self.lanes[from.step].is_plain(from.last) {
            room.distinct.choose(key.draws(), from.allowed.len() as u32, most, chosen);
        } else {
            self.choose_if(&from, most, key, |_| true, room, chosen);
        }
    }

    /// The same, of those edges only whose far node `is_one`.
    #[inline(never)]
    pub(super) fn choose_if(
        &self,
        from: &From,
        most: usize,
        key: Key,
        is_one: impl Fn(u32) -> bool,
        room: &mut Room,
        chosen: &mut Vec<u32>,
    ) {
        let From { step, node, ref allowed, last } = *from;
        let is_filtered = self.is_filtered(step, node, last);
        let may = |offset: u32| {
            let position = allowed.start + offset as usize;
            is_one(self.far(step, position)) && (!is_filtered || self.may(step, node, position, last))
        };
        let weight = |offset: u32| self.lanes[step].weights.get(allowed.start + offset as usize).copied().unwrap_or(f32::NAN);
        let count = allowed.len() as u32;
        match self.lanes[step].step.choice {
            Chosen::Uniform => {
                let ask = |offset: u32| self.lanes[step].ask_for(allowed.start + offset as usize);
                room.distinct.choose_those(key.draws(), count, most, (ask, may), chosen);
            }
            Chosen::Latest => {
                let start = chosen.len();
                chosen.extend((0..count).rev().filter(|&offset| may(offset)).take(most));
                chosen[start..].reverse();
            }
            Chosen::Weighted(_) => {
                let weighted = (0..count).filter(|&offset| may(offset)).map(|offset| (offset, weight(offset)));
                room.ranked.weighted(key.random(), weighted, most, chosen);
            }
            Chosen::Top(_) => {
                let weighted = (0..count).filter(|&offset| may(offset)).map(|offset| (offset, weight(offset)));
                room.ranked.top(weighted, most, chosen);
            }
        }
    }

    /// The position of an edge of `node` among those of its far node, in the step back.
    ///
    /// A node's edges are in the order of time, far node, attributes. So the edges that share both ends and the time stand
    /// together at either end, in one order: that of their attributes. Where those are equal too, they are one as good as
    /// another, and are told apart by this order.
    pub(super) fn twin(&self, step: usize, node: u32, position: usize) -> usize {
        let Lane { adjacency, back, .. } = &self.lanes[step];
        let (time, far) = (adjacency.times.raw(position), self.far(step, position));
        let rank = position.saturating_sub(first(adjacency, node, time, far));
        first(back, far, time, node) + rank
    }
}

/// The last time that a cutoff allows.
fn last(config: &SamplerConfig, cutoff: Option<i64>) -> Option<i64> {
    cutoff.map(|cutoff| match config.equal_time {
        EqualTime::Keep => cutoff,
        EqualTime::Drop => cutoff.saturating_sub(1),
    })
}

/// The latest time of the edges of some nodes, from the first to the last.
fn latest(adjacency: &Adjacency<'_>) -> i64 {
    const SOME: usize = 256;
    let nodes = adjacency.offsets.len().saturating_sub(1);
    let some = (0..nodes).step_by((nodes / SOME).max(1)).filter_map(|node| adjacency.range(node as u32).last());
    some.map(|position| adjacency.times.raw(position)).max().unwrap_or_default()
}

/// The first of a node's edges that is not before a time and far node.
fn first(adjacency: &Adjacency<'_>, node: u32, time: i64, far: u32) -> usize {
    let Range { start: mut low, end: mut high } = adjacency.range(node);
    while low < high {
        let middle = low + (high - low) / 2;
        let there = (adjacency.times.raw(middle), adjacency.targets[middle]);
        if there < (time, far) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Whose edges are chosen from.
pub(super) struct From {
    pub(super) step: usize,
    pub(super) node: u32,
    /// Of [`Graph::allowed`].
    pub(super) allowed: Range<usize>,
    pub(super) last: Option<i64>,
}

/// Memory for choosing.
#[derive(Default)]
pub(super) struct Room {
    distinct: super::distinct::Distinct,
    ranked: super::ranked::Ranked,
}
