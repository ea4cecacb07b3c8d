//! What a program was at when it made a call, and how often it was killed there.

use std::collections::BTreeMap;

use crate::random::Random;
use crate::series::Kind;

/// In the order in which a step goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before anything else: the lock, a new store's folders.
    Open,
    /// Segments of a load.
    Load,
    /// The segment of an edit.
    Upsert,
    /// Names, indexes and the commit record in the database, `COMMIT`, and the removal of segments that it no longer lists.
    Commit,
    /// A snapshot, until it is the current one.
    Publish,
    /// Snapshots that nobody reads any more.
    Drop,
    /// A repair's new store, beside the old one.
    Rebuild,
    /// Old parts out, new parts in.
    Replace,
}

impl Phase {
    /// Those of the steps of a series.
    pub const OF_STEPS: [Self; 6] = [Self::Open, Self::Load, Self::Upsert, Self::Commit, Self::Publish, Self::Drop];
    /// Those of a repair.
    pub const OF_REPAIR: [Self; 4] = [Self::Open, Self::Rebuild, Self::Replace, Self::Publish];

    /// What the paths of its calls have, as the shim takes it.
    pub fn paths(self) -> &'static str {
        match self {
            Self::Open => "/LOCK|/STORE",
            Self::Load | Self::Upsert => "/segments",
            Self::Commit => "/db|/COMMIT",
            Self::Publish => "/snapshots",
            Self::Drop => "/snapshots/dropping-",
            Self::Rebuild => "/repairing/",
            Self::Replace => "/damaged-",
        }
    }

    /// Of a call of a repair.
    pub fn of_repair(call: &str) -> Self {
        let has = |part: &str| call.contains(part);
        let is_put_back = call.starts_with("rename") && ["/db", "/COMMIT", "/segments"].iter().any(|part| call.ends_with(part));
        match () {
            () if has("/repairing/") => Self::Rebuild,
            () if has("/damaged-") || has("/repairing") || is_put_back => Self::Replace,
            () if has("/snapshots") => Self::Publish,
            () => Self::Open,
        }
    }

    /// Of a call in a kind of step: its name and path, as the shim writes them.
    pub fn of(kind: Kind, call: &str) -> Self {
        let has = |part: &str| call.contains(part);
        match kind {
            _ if has("/snapshots/dropping-") => Self::Drop,
            _ if has("/snapshots") => Self::Publish,
            _ if has("/db") || has("/COMMIT") || call.starts_with("unlink") && has("/segments/") => Self::Commit,
            Kind::Edit if has("/segments") => Self::Upsert,
            _ if has("/segments") => Self::Load,
            _ => Self::Open,
        }
    }
}

/// Kills by phase.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<Phase, u64>);

impl Tally {
    pub fn add(&mut self, phase: Phase) {
        *self.0.entry(phase).or_default() += 1;
    }

    fn of(&self, phase: Phase) -> u64 {
        self.0.get(&phase).copied().unwrap_or(0)
    }

    /// All kills.
    pub fn kills(&self) -> u64 {
        self.0.values().sum()
    }

    /// The phase of a program that was hit least, and the number of one of the program's calls in it, from 1: some phases are
    /// many calls long and others few.
    pub fn call(&self, phases: &[Phase], random: &mut Random) -> (Phase, u64) {
        let rarest = phases.iter().copied().min_by_key(|&phase| (self.of(phase), phase));
        let rarest = rarest.expect("a program that makes no call cannot be killed at one");
        let calls = phases.iter().filter(|&&phase| phase == rarest).count() as u64;
        (rarest, 1 + random.below(calls))
    }

    /// Prints all counts, and fails where one of these is zero.
    pub fn end(&self, title: &str, expected: &[Phase]) {
        let counts: Vec<String> = self.0.iter().map(|(phase, count)| format!("{phase:?} {count}")).collect();
        println!("{title} by phase: {}", counts.join(", "));
        let missed = expected.iter().find(|&&phase| self.of(phase) == 0);
        assert_eq!(missed, None, "a phase without {title}");
    }
}
