use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use relata::sampler::{Balance, EpochConfig, Epochs, Filter, Seeds};
use relata::snapshot::{Hit, Snapshot};
use relata::task::{Fold, Guard, ResolvedTask, Task};

use crate::train::fold;

/// Where subgraphs begin.
#[derive(clap::Args)]
pub struct SeedArgs {
    /// Node type of the seeds
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "task")]
    node_type: Option<String>,
    /// A seed: its key, or a label or identifier that only one node has; repeat for more
    #[arg(
        long = "key",
        value_name = "KEY",
        required_unless_present_any = ["count", "all", "matching", "task"],
        conflicts_with_all = ["count", "all", "matching"]
    )]
    keys: Vec<String>,
    /// All nodes of the type
    #[arg(long, conflicts_with = "matching")]
    all: bool,
    /// All nodes of the type whose attributes are so: 'celltype in ("B cell", "T cell") and total_counts >= 500'
    #[arg(long = "where", value_name = "CONDITION")]
    matching: Option<String>,
    /// The rows of this task: what it hides is not shown, nor are targets but those of training rows beside the seed; the
    /// seeds' own stand in the column `target`
    #[arg(long, value_name = "TASK.toml", requires = "out", conflicts_with_all = ["node_type", "keys", "all", "matching"])]
    task: Option<PathBuf>,
    /// The fold whose rows are held out, from 0
    #[arg(long, default_value_t = 0, requires = "task")]
    fold: u32,
    /// Which of the task's rows are the seeds
    #[arg(long, value_enum, default_value_t = PartName::Train, requires = "task")]
    part: PartName,
    /// So many of them, by lot
    #[arg(long)]
    count: Option<u32>,
    /// In the order of this epoch: a permutation of all of them, another for another epoch
    #[arg(long)]
    epoch: Option<u64>,
    /// In that epoch, the classes of this attribute take turns, so that each is there equally often
    #[arg(long, value_name = "ATTRIBUTE", requires = "epoch")]
    balance: Option<String>,
    /// Go on with this batch of the epoch, from 0; each batch has the seeds of `--batch`
    #[arg(long, value_name = "NUMBER", requires_all = ["epoch", "batch"])]
    from_batch: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PartName {
    /// Those that are learnt from
    Train,
    /// Those that are held out
    Test,
}

/// A task, and the rows of one of its folds.
pub struct Asked {
    pub task: ResolvedTask,
    fold: Fold,
}

impl Asked {
    fn rows(&self, part: PartName) -> &[u32] {
        match part {
            PartName::Train => &self.fold.train,
            PartName::Test => &self.fold.test,
        }
    }

    /// What of the rows beside the seeds may be shown.
    pub fn guard(&self, snapshot: &Snapshot) -> Guard {
        Guard::new(snapshot, &self.task, &self.fold.train)
    }
}

impl SeedArgs {
    /// Which draw of the sampler: the epoch's.
    pub fn draw(&self) -> u64 {
        self.epoch.unwrap_or_default()
    }

    /// The task whose rows are the seeds, if they are a task's.
    pub fn asked(&self, snapshot: &Snapshot) -> anyhow::Result<Option<Asked>> {
        let Some(path) = &self.task else { return Ok(None) };
        let task = Task::read(path, snapshot.schema())?;
        let fold = fold(snapshot, &task, self.fold)?;
        Ok(Some(Asked { task, fold }))
    }

    /// The seeds in their order. `batch` is how many of them make a subgraph.
    pub fn seeds(&self, snapshot: &Snapshot, asked: Option<&Asked>, batch: Option<u32>, seed: u64) -> anyhow::Result<Vec<Hit>> {
        let node_type = match (asked, &self.node_type) {
            (Some(asked), _) => asked.task.node_type,
            (None, Some(name)) => snapshot.schema().node_type(name)?,
            (None, None) => bail!("--type: found none, expected the node type of the seeds"),
        };
        let name = &snapshot.schema().node(node_type).name;
        let mut seeds = match (asked, &self.matching) {
            (Some(asked), _) => Seeds::nodes(node_type, asked.rows(self.part).to_vec()),
            (None, Some(text)) => {
                let filter = Filter::parse(snapshot.schema(), node_type, text).context("--where")?;
                let seeds = Seeds::matching(snapshot, &filter).context("--where")?;
                ensure!(!seeds.is_empty(), "--where: no {name} is so");
                seeds
            }
            (None, None) if self.all || self.count.is_some() => Seeds::all(snapshot, node_type),
            (None, None) => {
                let seed = |key: &String| Ok(Hit { node_type, node: snapshot.resolve(node_type, key)? });
                Seeds::listed(self.keys.iter().map(seed).collect::<relata::Result<_>>()?)
            }
        };
        if seeds.is_empty() {
            let option = if self.all { "all" } else { "count" };
            bail!("--{option}: the snapshot has no {name}; `relata info` lists what it has");
        }
        if let Some(count) = self.count {
            seeds = seeds.by_lot(count, seed);
        }
        let Some(epoch) = self.epoch else { return Ok(seeds.iter().collect()) };
        let config = EpochConfig {
            balance: self.balance.clone().map(Balance::Attribute),
            seed,
            ..EpochConfig::new(batch.unwrap_or(1).max(1))
        };
        let epochs = Epochs::new(snapshot, seeds, config)?;
        let first = self.from_batch.unwrap_or_default();
        let batches = epochs.batches();
        ensure!(first < batches.max(1), "--from-batch: found {first}, expected below {batches}, the number of batches");
        Ok((first..batches).flat_map(|number| epochs.batch(epoch, number)).collect())
    }
}
