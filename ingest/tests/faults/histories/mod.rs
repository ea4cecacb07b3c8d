//! Histories: eight threads, in one process that shares a store or in two that take turns, upsert, delete, load, remove, publish
//! and read, and are killed at random instants; a [`checker`] compares what they saw with the plain model.
//!
//! One [`Store`] has a store's folder open at a time, whoever asks: another, of the same process or of another one, is told
//! [`Error::Locked`](relata::Error::Locked). So threads share it behind a lock, or take turns in opening it. Snapshots are opened
//! by anybody at any time.

mod checker;
pub mod threads;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use relata::snapshot::Snapshot;
use relata::store::Store;
use serde::{Deserialize, Serialize};

use crate::child;
use crate::content::{Content, edge_categories};
use crate::data::{self, SOURCES};
use crate::model::Model;
use crate::program;
use crate::random::{Random, number, scratch, seed};
use crate::verify;
use checker::{Process, Start, check};
use threads::{Change, EVENT, Event, Plant, Seen, Setting, Told, now, records_of, whole};

const THREADS: usize = 8;

/// Longer than any operation takes, of all threads.
const PATIENCE: Duration = Duration::from_secs(60);

/// Changes of a store before a new one is begun: each edit has its record, and all records are in every commit.
const CHANGES: u64 = 1500;

/// How often one did not get the store.
const REFUSED: &str = "refused, since another had the store";

/// How often a process was killed in the middle of one.
const IN_EDITS: &str = "kills in edits";

/// How the threads come by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// One process shares one open store.
    Shared,
    /// Two processes, each of whose threads opens the store for every operation.
    Apart,
}

/// How often what was done.
#[derive(Debug, Default)]
struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    fn count(&mut self, processes: &[Process]) {
        for process in processes {
            let mut under_way: BTreeMap<usize, &'static str> = BTreeMap::new();
            for told in &process.told {
                match &told.event {
                    Event::Began { change } => {
                        let (done, open) = match change {
                            Change::Edit { .. } => ("edits", IN_EDITS),
                            Change::Bring(_) => ("loads", "kills in loads"),
                            Change::Remove(_) => ("removals", "kills in removals"),
                        };
                        self.add(done);
                        under_way.insert(told.thread, open);
                    }
                    Event::Publishing => drop(under_way.insert(told.thread, "kills in publishings")),
                    Event::Acknowledged => drop(under_way.remove(&told.thread)),
                    Event::Published { .. } => {
                        under_way.remove(&told.thread);
                        self.add("publishings");
                    }
                    Event::Read { seen: Seen::Whole(_), .. } => self.add("reads of all"),
                    Event::Read { seen: Seen::Node(..), .. } => self.add("reads of a node"),
                    Event::Opened { .. } => self.add("snapshots opened"),
                    Event::Again { .. } => self.add("snapshots read again"),
                    Event::GivenUp => self.add("changes given up"),
                    Event::Refused => self.add(REFUSED),
                    Event::Failed { .. } => self.add("failures"),
                }
            }
            if process.killed {
                self.add("kills");
                under_way.into_values().for_each(|open| self.add(open));
            }
        }
    }

    fn changes(&self) -> u64 {
        self.of("edits") + self.of("loads") + self.of("removals")
    }
}

/// A process of a history, and what it tells.
struct Running {
    process: Child,
    told: JoinHandle<Vec<Told>>,
    /// How many changes and publishings it has begun.
    begun: Arc<AtomicU64>,
}

impl Running {
    fn start(store: &Path, setting: &Setting) -> Self {
        let setting = serde_json::to_string(setting).unwrap();
        let mut command = program::own(store, &["history".to_owned(), setting]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().expect("it was asked for"));
        let begun = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&begun);
        let told = std::thread::spawn(move || {
            let lines = lines.split(b'\n').map_while(Result::ok);
            // The last line of a process that was killed may be a part of one.
            let told = lines.filter_map(|line| serde_json::from_slice(line.strip_prefix(EVENT.as_bytes())?).ok());
            let counted = told.inspect(|told: &Told| {
                let begins = matches!(told.event, Event::Began { .. } | Event::Publishing);
                count.fetch_add(u64::from(begins), Ordering::Relaxed);
            });
            counted.collect()
        });
        Self { process, told, begun }
    }

    /// Kills it, in half of the cases soon after it has begun a change: most of the time nothing is under way.
    fn kill(mut self, random: &mut Random) -> Process {
        if random.chance(50) {
            let (before, since) = (self.begun.load(Ordering::Relaxed), Instant::now());
            while self.begun.load(Ordering::Relaxed) == before && since.elapsed() < Duration::from_secs(1) {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_micros(random.below(2500)));
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        Process { told: self.told.join().unwrap(), killed: true }
    }

    fn end(mut self) -> Result<Process, String> {
        drop(self.process.stdin.take());
        let since = Instant::now();
        let status = loop {
            match self.process.try_wait().unwrap() {
                Some(status) => break status,
                None if since.elapsed() > PATIENCE => {
                    self.process.kill().unwrap();
                    self.process.wait().unwrap();
                    return Err("a process does not end".to_owned());
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let told = self.told.join().unwrap();
        if status.success() { Ok(Process { told, killed: false }) } else { Err(format!("a process ended with {status}")) }
    }
}

/// A store and what is known of it.
struct Subject {
    folder: tempfile::TempDir,
    start: Start,
    categories: BTreeSet<(String, usize)>,
    changes: u64,
}

impl Subject {
    fn new(random: &mut Random) -> Self {
        let folder = scratch();
        let path = folder.path().join("s.relata");
        let mut store = Store::open_or_create(&path).unwrap();
        let mut model = Model::default();
        let mut load = store.begin(&child::schema()).unwrap();
        let mut brought = Vec::new();
        for (name, _) in SOURCES {
            let (mut source, _) = data::source(name, random, false);
            source.fingerprint = format!("{:016x}", random.next());
            child::bring(&mut load, name, &source).unwrap();
            brought.push((name.to_owned(), source));
        }
        model.bring(brought);
        load.commit().unwrap();
        store.snapshot(true).unwrap();
        let categories = edge_categories(store.schema());
        let published = model.content().hash();
        Self { folder, start: Start { model, published }, categories, changes: 0 }
    }

    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("s.relata")
    }

    /// What this process sees when all others have ended, as one more that takes part.
    fn look(&self, random: &mut Random) -> Result<Process, String> {
        let path = self.store();
        let mut told = Vec::new();
        let mut tell = |event| told.push(Told { at: now(), thread: THREADS, event });
        let began = now();
        let mut store = Store::open(&path).map_err(|error| format!("it does not open: {error}"))?;
        let findings = store.check();
        if !findings.is_empty() {
            return Err(format!("check finds {findings:?}"));
        }
        let content = Content::of_store(&store).map_err(|error| format!("it cannot be read: {error}"))?;
        tell(Event::Read { began, seen: Seen::Whole(whole(&content, &records_of(&store))) });
        let mut open = || {
            let began = now();
            let snapshot = Snapshot::current(&path).and_then(|snapshot| snapshot.verify().map(|()| snapshot));
            let snapshot = snapshot.map_err(|error| format!("the current snapshot is not whole: {error}"))?;
            let (id, hash) = (snapshot.id().to_string(), Content::of_snapshot(&snapshot).hash());
            tell(Event::Opened { began, handle: 0, id: id.clone(), hash });
            Ok::<String, String>(id)
        };
        open()?;
        verify::every_snapshot_is_whole(&path)?;
        if random.chance(50) {
            tell(Event::Publishing);
            let id = store.snapshot(true).map_err(|error| format!("publishing: {error}"))?.to_string();
            tell(Event::Published { id: id.clone() });
            let began = now();
            let snapshot = Snapshot::current(&path).map_err(|error| error.to_string())?;
            let hash = Content::of_snapshot(&snapshot).hash();
            tell(Event::Opened { began, handle: 0, id: snapshot.id().to_string(), hash });
            verify::only_these_snapshots(&path, &[&id])?;
        }
        Ok(Process { told, killed: false })
    }
}

/// Runs one or two processes for a while, kills or ends them, and checks what they told.
fn round(
    subject: &mut Subject,
    setting: &Setting,
    longest: u64,
    ids: &mut BTreeMap<String, String>,
    counts: &mut Counts,
    random: &mut Random,
) -> Result<(), String> {
    let store = subject.store();
    let mut running: Vec<Running> = match setting.mode {
        Mode::Shared => vec![Running::start(&store, setting)],
        Mode::Apart => [0, 1]
            .map(|number| {
                let seed = setting.seed + number;
                Running::start(&store, &Setting { threads: setting.threads / 2, seed, ..setting.clone() })
            })
            .into_iter()
            .collect(),
    };
    let mut processes = Vec::new();
    while !running.is_empty() {
        std::thread::sleep(Duration::from_millis(50 + random.below(longest)));
        let next = running.swap_remove(random.below(running.len() as u64) as usize);
        processes.push(if random.chance(80) { next.kill(random) } else { next.end()? });
    }
    counts.count(&processes);
    processes.push(subject.look(random)?);
    subject.start.model = check(&subject.start, &processes, &subject.categories, ids)?;
    let last = processes.iter().flat_map(|process| &process.told).rev();
    let hash = last.filter_map(|told| match &told.event {
        Event::Opened { hash, .. } => Some(hash.clone()),
        _ => None,
    });
    subject.start.published = hash.take(1).next().expect("this process opened it");
    Ok(())
}

/// A history of so many seconds; an anomaly is the error.
fn history(seed: u64, seconds: u64, plant: Plant) -> Result<Counts, String> {
    let mut random = Random(seed);
    let (mut counts, mut ids) = (Counts::default(), BTreeMap::new());
    let mut subject = Subject::new(&mut random);
    // Short ones kill more often; in long ones there is more between two kills.
    let longest = if seconds < 60 { 400 } else { 1500 };
    let since = Instant::now();
    let mut number = 0;
    // On a slow machine a short one may take longer to meet what it is for.
    let is_short = |counts: &Counts| counts.of(IN_EDITS) == 0 && plant == Plant::Nothing && since.elapsed() < PATIENCE;
    while since.elapsed() < Duration::from_secs(seconds) || is_short(&counts) {
        let mode = if number % 2 == 0 { Mode::Shared } else { Mode::Apart };
        let setting = Setting { mode, threads: THREADS, seed: random.next() >> 24, plant };
        let before = counts.changes();
        round(&mut subject, &setting, longest, &mut ids, &mut counts, &mut random)
            .map_err(|error| format!("round {number}, {setting:?}: {error}"))?;
        subject.changes += counts.changes() - before;
        number += 1;
        if subject.changes > CHANGES {
            subject = Subject::new(&mut random);
        }
    }
    Ok(counts)
}

#[test]
fn histories() {
    let seconds = number("RELATA_HISTORY_SECONDS", 5);
    let counts = match history(seed(), seconds, Plant::Nothing) {
        Ok(counts) => counts,
        Err(anomaly) => panic!("{anomaly}"),
    };
    println!("a history of {seconds} s, {THREADS} threads: {:?}", counts.0);
    let reads = ["reads of all", "reads of a node", "snapshots opened", "snapshots read again"];
    for kind in ["edits", "loads", "publishings", "kills", IN_EDITS, REFUSED].iter().chain(&reads) {
        assert!(counts.of(kind) > 0, "no {kind}");
    }
}

/// The control: what should never be is found.
#[test]
fn a_planted_anomaly_is_found() {
    let seed = seed();
    for (plant, expected) in [
        (Plant::LostEdit, "read what is committed after none"),
        (Plant::StaleRead, "read what is committed after none"),
        (Plant::UncommittedRead, "read what is committed after none"),
        (Plant::ChangedSnapshot, "an open snapshot had"),
        (Plant::OldSnapshot, "opened a snapshot of changes"),
    ] {
        let found = history(seed, 10, plant).err();
        println!("{plant:?}: {}", found.clone().unwrap_or_default().chars().take(300).collect::<String>());
        assert!(found.as_ref().is_some_and(|found| found.contains(expected)), "{plant:?}: {found:?}");
    }
}
