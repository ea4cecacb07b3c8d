//! Repairs of damaged stores: killed at a call or at any instant, and cut from power. Afterwards there are the damaged store or
//! the repaired one, and repairing again completes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relata::snapshot::Snapshot;
use relata::store::Store;

use crate::child;
use crate::content::{Content, edge_categories};
use crate::disk::{Journal, Loss};
use crate::model::Word;
use crate::phases::{Phase, Tally};
use crate::program::{self, Action, Reader};
use crate::random::{Cases, Random, copy_folder, number, scratch, seed};
use crate::series::{Kind, Series, State};
use crate::verify;

const KINDS: [Kind; 4] = [Kind::Load, Kind::Edit, Kind::Pieces, Kind::Edit];

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|&word| word.to_owned()).collect()
}

/// A damaged store, and the state that a repair gives back.
struct Damaged {
    series: Series,
    /// Of the series' states.
    state: usize,
    /// Copied for each case.
    store: PathBuf,
    /// Its segments, but for the damaged one.
    segments: Vec<(String, Vec<u8>)>,
    title: String,
    folder: tempfile::TempDir,
}

impl Damaged {
    fn new(random: &mut Random) -> Self {
        let series = Series::of(random.next(), &KINDS, random.chance(30));
        let folder = scratch();
        let store = folder.path().join("damaged.relata");
        let mut state = KINDS.len();
        let mut title = String::new();
        let last = [state - 1, state].map(|state| &series.states[state].snapshot);
        if random.chance(40) && last[0] != last[1] {
            // An older snapshot is there, since somebody had it open, and the current one is damaged too.
            state -= 1;
            series.steps[..state].iter().for_each(|step| step.act(&store).unwrap());
            let reader = Reader::of(&store);
            series.steps[state].act(&store).unwrap();
            drop(reader);
            let current = series.states[state + 1].snapshot.as_ref().expect("a step was taken");
            let file = store.join("snapshots").join(current).join("graph.relata");
            title = format!("{} and ", harm(&file, random));
        } else {
            copy_folder(&series.store, &store);
        }
        let segments = store.join("segments");
        let names = verify::names(&segments);
        let segment = names[random.below(names.len() as u64) as usize].clone();
        title += &match random.below(5) {
            // Of the state that is lost nothing tells but the database.
            0 if state == KINDS.len() => harm(&store.join("db/db"), random),
            1 => {
                fs::remove_dir_all(store.join("db")).unwrap();
                "db is gone".to_owned()
            }
            _ => harm(&segments.join(&segment), random),
        };
        let whole = names.iter().filter(|name| **name != segment);
        let segments = whole.map(|name| (name.clone(), fs::read(segments.join(name)).unwrap())).collect();
        Self { series, state, store, segments, title, folder }
    }

    fn copy(&self) -> PathBuf {
        let store = self.folder.path().join("s.relata");
        let _ = fs::remove_dir_all(&store);
        copy_folder(&self.store, &store);
        store
    }

    fn expected(&self) -> &State {
        &self.series.states[self.state]
    }
}

/// Cuts a file somewhere, or removes it.
fn harm(file: &Path, random: &mut Random) -> String {
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    if random.chance(30) {
        fs::remove_file(file).unwrap();
        return format!("{name} is gone");
    }
    let length = random.below(fs::metadata(file).unwrap().len());
    fs::File::options().write(true).open(file).unwrap().set_len(length).unwrap();
    format!("{name} is cut to {length} bytes")
}

/// What must be there after a repair was interrupted: what the snapshot holds, and nothing else that passes for whole.
fn is_one_of_two(store: &Path, expected: &State, segments: &[(String, Vec<u8>)]) -> Result<(), String> {
    let id = expected.snapshot.as_ref().expect("a step was taken");
    let from = Snapshot::open(&store.join("snapshots").join(id)).map_err(|error| format!("the snapshot is lost: {error}"))?;
    from.verify().map_err(|error| format!("the snapshot is lost: {error}"))?;
    let found = verify::names(store);
    let places: Vec<PathBuf> = std::iter::once(store.join("segments"))
        .chain(found.iter().filter(|name| name.starts_with("damaged-")).map(|name| store.join(name).join("segments")))
        .collect();
    for (name, bytes) in segments {
        if !places.iter().any(|place| fs::read(place.join(name)).is_ok_and(|found| found == *bytes)) {
            return Err(format!("the old segment {name} is nowhere"));
        }
    }
    match Store::open(store) {
        Ok(opened) if opened.check().is_empty() => holds(&opened, expected),
        _ => Ok(()),
    }
}

fn holds(store: &Store, expected: &State) -> Result<(), String> {
    let found = Content::of_store(store).map_err(|error| format!("it cannot be read: {error}"))?;
    let difference = found.difference(&expected.content.with_some_categories(&edge_categories(store.schema())));
    difference.map_or(Ok(()), |difference| Err(format!("it is whole, and has something else: {difference}")))
}

/// Repairs, to the end: the store is whole, and takes the next edit.
fn is_completed(store: &Path, expected: &State) -> Result<(), String> {
    Store::repair(store, true).map_err(|error| format!("repairing again: {error}"))?;
    {
        let opened = Store::open(store).map_err(|error| format!("it does not open: {error}"))?;
        let findings = opened.check();
        if !findings.is_empty() {
            return Err(format!("check finds {findings:?}"));
        }
        holds(&opened, expected)?;
    }
    let current = Snapshot::current(store).map_err(|error| format!("the current snapshot does not open: {error}"))?;
    if Some(&current.id().to_string()) != expected.snapshot.as_ref() {
        return Err(format!("the current snapshot is {}", current.id()));
    }
    verify::every_snapshot_is_whole(store)?;
    let known = ["STORE", "COMMIT", "COMMIT.writing", "LOCK", "db", "segments", "snapshots"];
    let names = verify::names(store);
    let stray = names.iter().find(|name| !known.contains(&name.as_str()) && !name.starts_with("damaged-"));
    if let Some(stray) = stray {
        return Err(format!("a stray {stray}"));
    }
    drop(current);
    let node = ("person".to_owned(), "after the repair".to_owned());
    let file = store.with_extension("json");
    fs::write(&file, serde_json::to_vec(&[Word::UpsertNode(node.clone())]).unwrap()).unwrap();
    let edit = ["edit", file.to_str().unwrap(), "after the repair"];
    child::act(store, &words(&edit)).map_err(|error| format!("an edit after it: {error}"))?;
    let snapshot = Snapshot::current(store).map_err(|error| error.to_string())?;
    let mut content = expected.content.clone();
    content.nodes.insert(node, std::collections::BTreeMap::new());
    match Content::of_snapshot(&snapshot).difference(&content) {
        None => verify::only_these_snapshots(store, &[snapshot.id().as_str()]),
        Some(difference) => Err(format!("an edit after it: {difference}")),
    }
}

#[test]
fn a_repair_that_is_killed_leaves_one_of_two_stores_and_is_completed_by_the_next() {
    let mut random = Random(seed());
    let wanted = number("RELATA_KILLS", 30);
    let mut cases = Cases::new("kills of repairs");
    let mut tally = Tally::default();
    while tally.kills() < wanted {
        assert!(cases.tried() < 100 + 10 * wanted, "hardly any program is killed");
        let damaged = Damaged::new(&mut random);
        let (command, trace) = (words(&["repair"]), damaged.folder.path().join("trace"));
        let store = damaged.copy();
        let ended = program::child(&store, &command).traced(&trace).run();
        let place = format!("series {}, {}", damaged.series.seed, damaged.title);
        assert!(ended.status.success(), "{place}: {ended:?}");
        let phases: Vec<Phase> = fs::read_to_string(&trace).unwrap().lines().map(Phase::of_repair).collect();
        cases.note(is_completed(&store, damaged.expected()).map_err(|error| format!("{place}: untouched: {error}")));
        for _ in 0..5 {
            let store = damaged.copy();
            let mut tried = Vec::new();
            let outcome = (0..1 + random.below(3)).try_for_each(|_| {
                let program = program::child(&store, &command);
                let program = if random.chance(25) {
                    program.kill_after(Duration::from_micros(random.below(15_000)))
                } else {
                    let action = [Action::KillBefore, Action::KillAfter, Action::KillTorn][random.below(3) as usize];
                    let (phase, call) = tally.call(&phases, &mut random);
                    program.within(phase.paths()).at(call, action)
                };
                let ended = program.run();
                tried.push(ended.last.clone());
                if ended.killed() {
                    tally.add(Phase::of_repair(&ended.last));
                } else if !ended.status.success() {
                    return Err(format!("it ended with {}: {}", ended.status, ended.stderr));
                }
                is_one_of_two(&store, damaged.expected(), &damaged.segments)
            });
            let outcome = outcome.and_then(|()| is_completed(&store, damaged.expected()));
            cases.add(outcome.map_err(|error| format!("{place}, killed at {}: {error}", tried.join(", then at "))));
        }
    }
    cases.end();
    tally.end("kills of repairs", &Phase::OF_REPAIR);
}

#[test]
fn a_call_that_fails_in_a_repair_is_a_clear_error_and_the_next_completes_it() {
    let mut random = Random(seed());
    let share = number("RELATA_FAILURES", 5);
    let mut cases = Cases::new("failing calls of repairs");
    for _ in 0..3 {
        let damaged = Damaged::new(&mut random);
        let command = words(&["repair"]);
        let store = damaged.copy();
        let calls = program::child(&store, &command).run().calls;
        for call in (1..=calls).filter(|_| random.chance(share)).collect::<Vec<_>>() {
            let store = damaged.copy();
            let errno = [libc::EIO, libc::ENOSPC][random.below(2) as usize];
            let action = Action::Fail { errno, on: random.chance(50) };
            let ended = program::child(&store, &command).at(call, action).run();
            let outcome = match ended.status.code() {
                _ if ended.hung || ended.stderr.contains("panicked") => Err(format!("{ended:?}")),
                // What failed was of no consequence.
                Some(0) => Ok(()),
                Some(1) if ended.stderr.contains("error: ") && ended.stderr.contains(store.to_str().unwrap()) => Ok(()),
                _ => Err(format!("{ended:?}")),
            };
            let outcome = outcome
                .and_then(|()| is_one_of_two(&store, damaged.expected(), &damaged.segments))
                .and_then(|()| is_completed(&store, damaged.expected()));
            let place = format!("series {}, {}, {action:?} at call {call}", damaged.series.seed, damaged.title);
            cases.add(outcome.map_err(|error| format!("{place} ({}): {error}", ended.acted_on)));
        }
    }
    cases.end();
}

#[test]
fn a_power_cut_in_a_repair_is_as_good_as_a_kill() {
    let mut random = Random(seed());
    let wanted = number("RELATA_CUTS", 400) / 4;
    let mut cases = Cases::new("power cuts in repairs");
    while cases.tried() < wanted {
        let series = Series::of(random.next(), &KINDS, false);
        let folder = scratch();
        let (root, file) = (folder.path().join("disk"), folder.path().join("journal"));
        fs::create_dir(&root).unwrap();
        let store = root.join("s.relata");
        let mut journal = Journal::new(&root);
        let mut record = |program: program::Program| {
            let ended = program.under(&root).journal(&file).run();
            assert!(ended.status.success(), "{ended:?}");
            journal.append(&file);
            fs::remove_file(&file).unwrap();
            journal.len()
        };
        for step in &series.steps {
            record(step.program(&store));
        }
        let names = verify::names(&store.join("segments"));
        let segment = format!("segments/{}", names[random.below(names.len() as u64) as usize]);
        let length = random.below(fs::metadata(store.join(&segment)).unwrap().len());
        let start = record(program::child(&store, &words(&["damage", &segment, &length.to_string()])));
        let end = record(program::child(&store, &words(&["repair"])));
        let expected = &series.states[KINDS.len()];
        for _ in 0..wanted.min(100) {
            let call = start + random.below((end - start) as u64 + 1) as usize;
            let losses = [Loss::None, Loss::Torn, Loss::All, Loss::Contents, Loss::Holes, Loss::Names, Loss::Some(random.next())];
            let loss = losses[random.below(losses.len() as u64) as usize];
            let folder = scratch();
            journal.after(call, loss, folder.path());
            let store = folder.path().join("s.relata");
            let outcome = is_one_of_two(&store, expected, &[]).and_then(|()| is_completed(&store, expected));
            cases.add(outcome.map_err(|error| {
                let title = journal.title(call);
                format!("series {}, {segment} cut to {length}, before call {call} ({title}), lost {loss:?}: {error}", series.seed)
            }));
        }
    }
    cases.end();
}
