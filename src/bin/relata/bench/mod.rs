mod query;
mod sample;
mod task;
mod train;

use std::path::Path;

use anyhow::Context;
use relata::sampler::random::Key;
use relata::snapshot::Snapshot;
use relata_schema::NodeTypeId;

/// Measure this machine with a store of yours.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Query(query::Query),
    Sample(sample::Sample),
    Task(task::Task),
    Train(train::Train),
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        match self.what {
            What::Query(query) => query.run(),
            What::Sample(sample) => sample.run(),
            What::Task(task) => task.run(),
            What::Train(train) => train.run(),
        }
    }
}

/// The nodes to begin at: those of a file with a key in each line, or so many by lot.
fn seeds(snapshot: &Snapshot, from: NodeTypeId, file: Option<&Path>, count: usize) -> anyhow::Result<Vec<u32>> {
    let seeds: Vec<u32> = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let keys = text.lines().map(str::trim).filter(|key| !key.is_empty()).take(count);
            keys.map(|key| snapshot.resolve(from, key)).collect::<relata::Result<_>>()?
        }
        None => {
            let nodes = snapshot.node_count(from).max(1);
            let mut random = Key::new("bench", 0).random();
            (0..count).map(|_| random.below(u64::from(nodes)) as u32).collect()
        }
    };
    let name = &snapshot.schema().node(from).name;
    anyhow::ensure!(!seeds.is_empty(), "no node to begin at: found no key of a {name}, expected one at least");
    Ok(seeds)
}

/// The most that this process has held, as Linux says; 0 elsewhere.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
