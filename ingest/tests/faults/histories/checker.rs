//! Whether what processes told of a history can have happened in one order that all of them saw.
//!
//! Writers have the store to themselves, so that their changes have an order. A reader must see exactly what is committed after
//! some change: not an older one than the last that was acknowledged before the reader began, nor a newer one than the last
//! that was begun before it ended. Of a change that was under way when its process was killed nobody knows whether it was
//! committed: one of the two must explain all that was seen afterwards.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use relata_schema::Direction;

use super::threads::{Change, Event, Seen, SeenNode, Time, Told, whole};
use crate::content::Content;
use crate::model::{Model, Node, ends};

/// What a process told, and whether it was killed.
pub struct Process {
    pub told: Vec<Told>,
    pub killed: bool,
}

/// What somebody did with the store to itself.
struct Turn {
    began: Time,
    /// None where the process was killed in it.
    ended: Option<Time>,
    /// None of a publishing.
    change: Option<Change>,
}

/// What is committed after a change.
struct Committed {
    /// As a snapshot has it.
    content: Content,
    /// As an open store tells it.
    told: Content,
    records: Vec<String>,
    whole: OnceCell<String>,
    hash: OnceCell<String>,
}

impl Committed {
    fn of(model: &Model, categories: &BTreeSet<(String, usize)>) -> Self {
        let content = model.content();
        let told = content.with_some_categories(categories);
        Self { content, told, records: model.records(), whole: OnceCell::new(), hash: OnceCell::new() }
    }

    fn is(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Whole(hash) => self.whole.get_or_init(|| whole(&self.told, &self.records)) == hash,
            Seen::Node(node, seen) => self.node(node) == *seen,
        }
    }

    fn node(&self, node: &Node) -> Option<SeenNode> {
        let attributes = self.told.nodes.get(node)?.clone();
        let mut edges = Vec::new();
        for ((relation, direction), all) in &self.told.edges {
            let (source, target) = ends(relation);
            let is_outgoing = *direction == Direction::Outgoing;
            if node.0 == if is_outgoing { source } else { target } {
                let own = all.iter().filter(|(near, ..)| *near == node.1);
                edges.extend(own.map(|edge| (relation.clone(), is_outgoing, edge.clone())));
            }
        }
        edges.sort();
        Some(SeenNode { attributes, edges })
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| self.content.hash())
    }
}

/// What was at the start of what is checked.
#[derive(Clone)]
pub struct Start {
    pub model: Model,
    /// A hash of the current snapshot's content.
    pub published: String,
}

/// Checks what processes told since the start, and returns what is committed at the end. `ids` has the contents of all snapshots
/// that were seen until then.
pub fn check(
    start: &Start,
    processes: &[Process],
    categories: &BTreeSet<(String, usize)>,
    ids: &mut BTreeMap<String, String>,
) -> Result<Model, String> {
    let all: Vec<&Told> = processes.iter().flat_map(|process| &process.told).collect();
    for told in &all {
        match &told.event {
            Event::Failed { what } => return Err(format!("thread {} failed: {what}", told.thread)),
            Event::Opened { id, hash, .. } => {
                let known = ids.entry(id.clone()).or_insert_with(|| hash.clone());
                if known != hash {
                    return Err(format!("the snapshot {id} has two contents: {known} and {hash}"));
                }
            }
            _ => {}
        }
    }
    snapshots_stay(&all)?;
    let turns = turns(processes)?;
    let open: Vec<usize> =
        turns.iter().enumerate().filter(|(_, turn)| turn.ended.is_none() && turn.change.is_some()).map(|(at, _)| at).collect();
    assert!(open.len() <= processes.len(), "a process has one change under way at most");
    let mut wrong = String::new();
    for chosen in 0..1_u32 << open.len() {
        let happened = |at: usize| open.iter().position(|&open| open == at).is_none_or(|bit| chosen >> bit & 1 == 1);
        let turns: Vec<&Turn> = turns.iter().enumerate().filter(|(at, _)| happened(*at)).map(|(_, turn)| turn).collect();
        match explains(start, &turns, &all, categories) {
            Ok(model) => return Ok(model),
            Err(error) => {
                let taken = if open.is_empty() { "" } else { "; with a change under way the other way round: " };
                wrong = if wrong.is_empty() { error } else { format!("{wrong}{taken}{error}") };
            }
        }
    }
    Err(wrong)
}

/// An open snapshot reads the same for ever.
fn snapshots_stay(all: &[&Told]) -> Result<(), String> {
    let mut first: BTreeMap<u64, &str> = BTreeMap::new();
    for told in all {
        if let Event::Opened { handle, hash, .. } = &told.event {
            first.insert(*handle, hash);
        }
    }
    for told in all {
        if let Event::Again { handle, hash } = &told.event
            && first.get(handle) != Some(&hash.as_str())
        {
            return Err(format!("thread {}: an open snapshot had {:?}, and has {hash}", told.thread, first.get(handle)));
        }
    }
    Ok(())
}

/// Who had the store to himself, in order: one after another.
fn turns(processes: &[Process]) -> Result<Vec<Turn>, String> {
    let mut turns: Vec<Turn> = Vec::new();
    for process in processes {
        let mut under_way: BTreeMap<usize, usize> = BTreeMap::new();
        for told in &process.told {
            match &told.event {
                Event::Began { change } => {
                    under_way.insert(told.thread, turns.len());
                    turns.push(Turn { began: told.at, ended: None, change: Some(change.clone()) });
                }
                Event::Publishing => {
                    under_way.insert(told.thread, turns.len());
                    turns.push(Turn { began: told.at, ended: None, change: None });
                }
                Event::Acknowledged | Event::Published { .. } => {
                    let at = under_way.remove(&told.thread).expect("a thread begins before it ends");
                    turns[at].ended = Some(told.at);
                }
                _ => {}
            }
        }
        if !process.killed && !under_way.is_empty() {
            return Err("a process ended in the middle of a change".to_owned());
        }
    }
    turns.sort_by_key(|turn| turn.began);
    for pair in turns.windows(2) {
        if pair[0].ended.is_some_and(|ended| ended > pair[1].began) {
            return Err(format!("two had the store to themselves: {:?} and {:?}", pair[0].change, pair[1].change));
        }
    }
    Ok(turns)
}

/// Whether these turns explain all that was seen.
fn explains(start: &Start, turns: &[&Turn], all: &[&Told], categories: &BTreeSet<(String, usize)>) -> Result<Model, String> {
    let mut model = start.model.clone();
    let mut states = vec![Committed::of(&model, categories)];
    let mut changes: Vec<&Turn> = Vec::new();
    // When publishing began and ended, and of which state.
    let mut publishings: Vec<(Time, Option<Time>, usize)> = Vec::new();
    for turn in turns {
        match &turn.change {
            None => {
                publishings.push((turn.began, turn.ended, states.len() - 1));
                continue;
            }
            Some(Change::Edit { note, words }) => model.edit(note, words),
            Some(Change::Bring(sources)) => model.bring(sources.clone()),
            Some(Change::Remove(source)) => model.remove(source),
        }
        states.push(Committed::of(&model, categories));
        changes.push(turn);
    }
    for told in all {
        match &told.event {
            Event::Read { began, seen } => {
                let acknowledged = |turn: &&Turn| turn.ended.is_some_and(|ended| ended < *began);
                let first = changes.iter().rposition(acknowledged).map_or(0, |at| at + 1);
                let last = changes.partition_point(|turn| turn.began < told.at);
                if !states[first..=last].iter().any(|state| state.is(seen)) {
                    let elsewhere: Vec<usize> = (0..states.len()).filter(|&at| states[at].is(seen)).collect();
                    return Err(format!(
                        "thread {} read what is committed after none of the changes {first} to {last} of {}, but after {elsewhere:?}: \
                         {seen:?}; after {first}: {}",
                        told.thread,
                        changes.len(),
                        match seen {
                            Seen::Whole(_) => String::new(),
                            Seen::Node(node, _) => format!("{:?}", states[first].node(node)),
                        }
                    ));
                }
            }
            Event::Opened { began, hash, .. } => {
                let acknowledged = |published: &(Time, Option<Time>, usize)| published.1.is_some_and(|ended| ended < *began);
                let first = publishings.iter().rposition(acknowledged);
                let mut allowed = publishings
                    .iter()
                    .enumerate()
                    .filter(|(at, published)| first.is_none_or(|first| *at >= first) && published.0 < told.at);
                let is_start = first.is_none() && start.published == *hash;
                if !is_start && !allowed.any(|(_, published)| states[published.2].hash() == hash) {
                    let elsewhere: Vec<usize> = (0..states.len()).filter(|&at| states[at].hash() == hash).collect();
                    return Err(format!(
                        "thread {} opened a snapshot of changes {elsewhere:?} of {}, where publishing {first:?} of {:?} had ended",
                        told.thread,
                        changes.len(),
                        publishings.iter().map(|published| published.2).collect::<Vec<_>>()
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(model)
}
