//! The threads of a history, in a process that may be killed at any instant. What they do and see goes to the standard output,
//! a line of JSON an event, with the time.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use relata::Error;
use relata::snapshot::Snapshot;
use relata::store::{LoadOptions, Store};
use relata_schema::Direction;
use serde::{Deserialize, Serialize};

use super::Mode;
use crate::child::{self, DATASET};
use crate::content::{Attributes, Content, SeenEdge, attributes_of, hash_of, seen_edge};
use crate::data::{self, SOURCES};
use crate::model::{Graph, Node, PlainSource, Word};
use crate::random::Random;

/// What an event's line begins with.
pub const EVENT: &str = "event: ";

/// Nanoseconds of the system's monotonic clock, which all processes share.
pub type Time = u64;

/// A change of what is committed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    Edit { note: String, words: Vec<Word> },
    Bring(Vec<(String, PlainSource)>),
    Remove(String),
}

/// What a reader of the store saw.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub enum Seen {
    /// A hash of everything, with the records.
    Whole(String),
    /// A node, if it is there.
    Node(Node, Option<SeenNode>),
}

/// A node's values, and its edges by relation and whether they are outgoing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct SeenNode {
    pub attributes: Attributes,
    pub edges: Vec<(String, bool, SeenEdge)>,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The writer has the store to itself; nothing is committed yet.
    Began {
        change: Change,
    },
    /// The commit was acknowledged; the writer still has the store.
    Acknowledged,
    /// A writer that has the store begins to publish what is committed.
    Publishing,
    Published {
        id: String,
    },
    /// The store was read.
    Read {
        began: Time,
        seen: Seen,
    },
    /// A snapshot was opened, and all of it read.
    Opened {
        began: Time,
        handle: u64,
        id: String,
        hash: String,
    },
    /// An open snapshot was read again.
    Again {
        handle: u64,
        hash: String,
    },
    /// An edit or load was given up.
    GivenUp,
    /// Another had the store.
    Refused,
    /// What should never be.
    Failed {
        what: String,
    },
}

/// An event with the thread and the time at which it was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    pub at: Time,
    pub thread: usize,
    pub event: Event,
}

/// An anomaly that is planted, for the checker to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plant {
    Nothing,
    /// An edit is acknowledged and never committed.
    LostEdit,
    /// A reader of the store tells what it saw before.
    StaleRead,
    /// A reader of the store sees a node that nobody ever committed.
    UncommittedRead,
    /// A snapshot is another one when it is read again.
    ChangedSnapshot,
    /// An older snapshot is opened after a newer one was published.
    OldSnapshot,
}

/// The command of [`child`]: its arguments are a [`Setting`].
pub fn run(store: &Path, arguments: &[&str]) -> relata::Result<()> {
    let setting: Setting = serde_json::from_str(&arguments.join("\t")).expect("the parent writes it");
    let history = History {
        path: store,
        shared: match setting.mode {
            Mode::Shared => Some(RwLock::new(Store::open(store)?)),
            Mode::Apart => None,
        },
        ended: AtomicBool::new(false),
        handles: AtomicU64::new(setting.seed << 20),
        output: Mutex::new(()),
        planted: AtomicU64::new(0),
        setting: &setting,
    };
    std::thread::scope(|scope| {
        for thread in 0..setting.threads {
            let history = &history;
            scope.spawn(move || Worker::new(history, thread).work());
        }
        // The parent closes it when it is time to end, and kills otherwise.
        let _ = std::io::stdin().read(&mut [0]);
        history.ended.store(true, Ordering::Relaxed);
    });
    Ok(())
}

/// What a process of a history is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setting {
    pub mode: Mode,
    pub threads: usize,
    pub seed: u64,
    pub plant: Plant,
}

struct History<'p> {
    path: &'p Path,
    /// Where the threads share one open store.
    shared: Option<RwLock<Store>>,
    ended: AtomicBool,
    handles: AtomicU64,
    output: Mutex<()>,
    /// How often the anomaly was planted.
    planted: AtomicU64,
    setting: &'p Setting,
}

pub fn now() -> Time {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the answer has room.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl History<'_> {
    fn tell(&self, thread: usize, event: Event) {
        let _turn = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let told = Told { at: now(), thread, event };
        let line = format!("\n{EVENT}{}\n", serde_json::to_string(&told).unwrap());
        let mut output = std::io::stdout().lock();
        // Where the parent has gone there is nobody to tell.
        let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
    }

    /// Whether the anomaly is to be planted now: a few times, since one may by chance look like what is allowed.
    fn plants(&self, plant: Plant) -> bool {
        self.setting.plant == plant && self.planted.fetch_add(1, Ordering::Relaxed) < 10
    }
}

struct Worker<'h> {
    history: &'h History<'h>,
    thread: usize,
    random: Random,
    /// Snapshots that it holds.
    held: Vec<(u64, Snapshot)>,
    edits: u64,
    before: Option<Seen>,
    /// The snapshot that it opened first, kept for [`Plant::OldSnapshot`].
    first: Option<Snapshot>,
}

impl<'h> Worker<'h> {
    fn new(history: &'h History<'h>, thread: usize) -> Self {
        let random = Random(history.setting.seed ^ (thread as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { history, thread, random, held: Vec::new(), edits: 0, before: None, first: None }
    }

    fn tell(&self, event: Event) {
        self.history.tell(self.thread, event);
    }

    fn work(mut self) {
        while !self.history.ended.load(Ordering::Relaxed) {
            let outcome = match self.random.below(100) {
                0..=24 => self.writes(Self::edit),
                25..=29 => self.writes(Self::load),
                30..=31 => self.writes(Self::remove),
                32..=39 => self.writes(Self::publish),
                40..=42 => self.writes(Self::give_up),
                43..=69 => self.read_node(),
                70..=79 => self.read_whole(),
                // A lost edit is missing from snapshots as well; here, reads of the store are to find it.
                80..=89 if self.history.setting.plant == Plant::LostEdit => self.read_whole(),
                80..=89 => self.open_snapshot(),
                _ => self.read_snapshot_again(),
            };
            match outcome {
                Ok(()) => {}
                Err(Error::Locked { .. }) => {
                    self.tell(Event::Refused);
                    std::thread::sleep(Duration::from_micros(self.random.below(3000)));
                }
                Err(error) => self.tell(Event::Failed { what: error.to_string() }),
            }
        }
    }

    /// Does something with the store to itself.
    fn writes(&mut self, act: impl FnOnce(&mut Self, &mut Store) -> relata::Result<()>) -> relata::Result<()> {
        match &self.history.shared {
            Some(store) => act(self, &mut store.write().unwrap_or_else(PoisonError::into_inner)),
            None => act(self, &mut Store::open(self.history.path)?),
        }
    }

    fn reads(&mut self, act: impl FnOnce(&mut Self, &Store) -> relata::Result<Seen>) -> relata::Result<()> {
        let began = now();
        let seen = match &self.history.shared {
            Some(store) => act(self, &store.read().unwrap_or_else(PoisonError::into_inner))?,
            None => act(self, &Store::open(self.history.path)?)?,
        };
        self.tell(Event::Read { began, seen });
        Ok(())
    }

    fn edit(&mut self, store: &mut Store) -> relata::Result<()> {
        let words = data::words(&graph_of(&Content::of_store(store)?), &mut self.random);
        self.edits += 1;
        let note = format!("edit {} of thread {} of {}", self.edits, self.thread, self.history.setting.seed);
        let mut edit = store.edit()?;
        edit.note(&note);
        words.iter().try_for_each(|word| child::say(&mut edit, word))?;
        self.tell(Event::Began { change: Change::Edit { note, words } });
        if self.history.plants(Plant::LostEdit) {
            drop(edit);
        } else {
            edit.commit()?;
        }
        self.tell(Event::Acknowledged);
        Ok(())
    }

    /// One or two sources, anew, each with one or several segments.
    fn load(&mut self, store: &mut Store) -> relata::Result<()> {
        let mut brought: BTreeMap<String, PlainSource> = BTreeMap::new();
        for _ in 0..1 + self.random.below(2) {
            let (name, _) = SOURCES[self.random.below(SOURCES.len() as u64) as usize];
            let (mut source, _) = data::source(name, &mut self.random, false);
            source.fingerprint = format!("{:016x}", self.random.next());
            brought.insert(name.to_owned(), source);
        }
        let brought: Vec<(String, PlainSource)> = brought.into_iter().collect();
        let options = LoadOptions { staging_bytes: 512 << self.random.below(8) };
        let mut load = store.begin_with(&child::schema(), options)?;
        brought.iter().try_for_each(|(name, source)| child::bring(&mut load, name, source))?;
        self.tell(Event::Began { change: Change::Bring(brought) });
        load.commit()?;
        self.tell(Event::Acknowledged);
        Ok(())
    }

    fn remove(&mut self, store: &mut Store) -> relata::Result<()> {
        let loaded: Vec<String> =
            store.sources().iter().filter(|record| record.dataset == DATASET).map(|record| record.name.clone()).collect();
        if loaded.len() < 3 {
            return Ok(());
        }
        let name = loaded[self.random.below(loaded.len() as u64) as usize].clone();
        let mut load = store.begin(&child::schema())?;
        load.remove(DATASET, &name)?;
        self.tell(Event::Began { change: Change::Remove(name) });
        load.commit()?;
        self.tell(Event::Acknowledged);
        Ok(())
    }

    fn publish(&mut self, store: &mut Store) -> relata::Result<()> {
        self.tell(Event::Publishing);
        let id = store.snapshot(true)?;
        self.tell(Event::Published { id: id.to_string() });
        Ok(())
    }

    /// Begins an edit or a load, and drops it.
    fn give_up(&mut self, store: &mut Store) -> relata::Result<()> {
        if self.random.chance(50) {
            let words = data::words(&graph_of(&Content::of_store(store)?), &mut self.random);
            let mut edit = store.edit()?;
            words.iter().try_for_each(|word| child::say(&mut edit, word))?;
        } else {
            let (name, _) = SOURCES[self.random.below(SOURCES.len() as u64) as usize];
            let mut load = store.begin_with(&child::schema(), LoadOptions { staging_bytes: 512 })?;
            child::bring(&mut load, name, &data::source(name, &mut self.random, false).0)?;
        }
        self.tell(Event::GivenUp);
        Ok(())
    }

    fn read_node(&mut self) -> relata::Result<()> {
        let node_type = ["place", "person"][self.random.below(2) as usize];
        let node = (node_type.to_owned(), format!("{node_type}{}", self.random.below(40)));
        self.reads(move |worker, store| {
            let found = node_of(store, &node)?;
            if found.is_none() && worker.history.plants(Plant::UncommittedRead) {
                return Ok(Seen::Node(node, Some(SeenNode::default())));
            }
            Ok(Seen::Node(node, found))
        })
    }

    fn read_whole(&mut self) -> relata::Result<()> {
        self.reads(|worker, store| {
            let seen = Seen::Whole(whole(&Content::of_store(store)?, &records_of(store)));
            match worker.before.replace(seen.clone()) {
                Some(before) if before != seen && worker.history.plants(Plant::StaleRead) => Ok(before),
                _ => Ok(seen),
            }
        })
    }

    fn open_snapshot(&mut self) -> relata::Result<()> {
        let began = now();
        let mut snapshot = Snapshot::current(self.history.path)?;
        if let Some(first) = &self.first
            && first.id() != snapshot.id()
            && self.edits > 3
            && self.history.plants(Plant::OldSnapshot)
        {
            snapshot = first.clone();
        }
        let handle = self.history.handles.fetch_add(1, Ordering::Relaxed);
        let (id, hash) = (snapshot.id().to_string(), read_all(&snapshot)?);
        self.tell(Event::Opened { began, handle, id, hash });
        self.first.get_or_insert_with(|| snapshot.clone());
        // For a while, so that some are old when they are read again.
        if self.held.len() > 3 {
            self.held.swap_remove(self.random.below(4) as usize);
        }
        self.held.push((handle, snapshot));
        Ok(())
    }

    fn read_snapshot_again(&mut self) -> relata::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.held.len() as u64) as usize;
        let (handle, snapshot) = &self.held[at];
        let mut hash = read_all(snapshot)?;
        if self.history.plants(Plant::ChangedSnapshot) {
            hash = hash.chars().rev().collect();
        }
        self.tell(Event::Again { handle: *handle, hash });
        Ok(())
    }
}

/// A hash of all that a snapshot holds, verified.
fn read_all(snapshot: &Snapshot) -> relata::Result<String> {
    snapshot.verify()?;
    let hash = Content::of_snapshot(snapshot).hash();
    snapshot.intact()?;
    Ok(hash)
}

/// A hash of what an open store holds, with what its records say.
pub fn whole(content: &Content, records: &[String]) -> String {
    hash_of(&format!("{} {}", content.hash(), records.join(", ")))
}

/// As [`Model::records`](crate::model::Model::records) has them.
pub fn records_of(store: &Store) -> Vec<String> {
    let of = |record: &relata_schema::SourceRecord| match record.dataset == DATASET {
        true => record.fingerprint.clone(),
        // Behind number and time.
        false => record.name.split_once(" UTC: ").map_or_else(|| record.name.clone(), |(_, note)| note.to_owned()),
    };
    store.sources().iter().map(of).collect()
}

fn node_of(store: &Store, node: &Node) -> relata::Result<Option<SeenNode>> {
    let schema = store.schema();
    let node_type = schema.node_type(&node.0)?;
    let Some(number) = store.find(node_type, &node.1)? else { return Ok(None) };
    let mut seen = SeenNode { attributes: attributes_of(store, node_type, number)?, edges: Vec::new() };
    for relation in schema.relation_ids() {
        for direction in Direction::BOTH {
            if schema.edge(relation).near(direction) != node_type {
                continue;
            }
            for neighbor in store.neighbors(relation, direction, number)? {
                let edge = seen_edge(store, relation, direction, &node.1, &neighbor)?;
                seen.edges.push((schema.edge(relation).name.clone(), direction == Direction::Outgoing, edge));
            }
        }
    }
    seen.edges.sort();
    Ok(Some(seen))
}

/// What an edit can be made from: nodes, and which edges there are.
fn graph_of(content: &Content) -> Graph {
    let outgoing = content.edges.iter().filter(|((_, direction), _)| *direction == Direction::Outgoing);
    let edges = outgoing.flat_map(|((relation, _), edges)| {
        edges.iter().map(|(near, far, values)| (relation.clone(), near.clone(), far.clone(), values.clone()))
    });
    Graph { nodes: content.nodes.clone(), edges: edges.collect() }
}
