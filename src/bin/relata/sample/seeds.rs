use anyhow::{Context, bail, ensure};
use relata::sampler::random::Key;
use relata::sampler::{Balance, EpochConfig, Epochs, Filter, Seeds};
use relata::snapshot::{Hit, Snapshot};

/// Where subgraphs begin.
#[derive(clap::Args)]
pub struct SeedArgs {
    /// Node type of the seeds
    #[arg(long = "type", value_name = "TYPE")]
    node_type: String,
    /// A seed: its key, or a label or identifier that only one node has; repeat for more
    #[arg(
        long = "key",
        value_name = "KEY",
        required_unless_present_any = ["count", "all", "matching"],
        conflicts_with_all = ["count", "all", "matching"]
    )]
    keys: Vec<String>,
    /// All nodes of the type
    #[arg(long, conflicts_with = "matching")]
    all: bool,
    /// All nodes of the type whose attributes are so: 'celltype in ("B cell", "T cell") and total_counts >= 500'
    #[arg(long = "where", value_name = "CONDITION")]
    matching: Option<String>,
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
    from_batch: Option<usize>,
}

impl SeedArgs {
    /// The seeds in their order. `batch` is how many of them make a subgraph.
    pub fn seeds(&self, snapshot: &Snapshot, batch: Option<u32>, seed: u64) -> anyhow::Result<Vec<Hit>> {
        let node_type = snapshot.schema().node_type(&self.node_type)?;
        let mut seeds = match (&self.matching, self.all || self.count.is_some()) {
            (Some(text), _) => {
                let filter = Filter::parse(snapshot.schema(), node_type, text).context("--where")?;
                let seeds = Seeds::matching(snapshot, &filter).context("--where")?;
                ensure!(!seeds.is_empty(), "--where: no {} is so", self.node_type);
                seeds
            }
            (None, true) => Seeds::all(snapshot, node_type),
            (None, false) => {
                let seed = |key: &String| Ok(Hit { node_type, node: snapshot.resolve(node_type, key)? });
                Seeds::listed(self.keys.iter().map(seed).collect::<relata::Result<_>>()?)
            }
        };
        if seeds.is_empty() {
            let option = if self.all { "all" } else { "count" };
            bail!("--{option}: the snapshot has no {}; `relata info` lists what it has", self.node_type);
        }
        if let Some(count) = self.count {
            let mut chosen = Vec::new();
            let mut random = Key::new("relata sample seeds", seed).random();
            random.choose(0..seeds.len(), count as usize, |_| true, &mut chosen);
            seeds = Seeds::listed(chosen.into_iter().filter_map(|at| seeds.get(at)).collect());
        }
        let Some(epoch) = self.epoch else { return Ok(seeds.iter().collect()) };
        let config = EpochConfig {
            balance: self.balance.clone().map(Balance::Attribute),
            seed,
            ..EpochConfig::new(batch.unwrap_or(1).max(1) as usize)
        };
        let epochs = Epochs::new(snapshot, seeds, config)?;
        let first = self.from_batch.unwrap_or_default();
        let batches = epochs.batches();
        ensure!(first < batches.max(1), "--from-batch: found {first}, expected below {batches}, the number of batches");
        Ok((first..batches).flat_map(|number| epochs.batch(epoch, number)).collect())
    }
}
