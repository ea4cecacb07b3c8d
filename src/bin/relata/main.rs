//! `relata`: look at a store, sample it, train on it, and ask models about it.

mod bench;
mod check;
mod compare;
mod edit;
mod embed;
mod evaluate;
mod export;
mod info;
mod negatives;
mod path;
mod plot;
mod repair;
mod replay;
mod runs;
mod sample;
mod snapshot;
#[cfg(test)]
mod testing;
mod train;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps the pages of results that burn's CPU backend drops and takes again at every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "relata", version, about = "A typed graph of biology, and a relational transformer trained on it")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What a store holds: types, relations, counts, sources, snapshots, models
    Info(info::Args),
    /// Write what is committed as a snapshot
    Snapshot(Whole),
    /// Upsert and delete nodes and edges by hand
    Edit(edit::Args),
    /// Verify every checksum of a store, its snapshots and its embeddings
    Check(Whole),
    /// Rebuild a damaged store from its newest whole snapshot
    ///
    /// The damaged database and segments move to a folder in the store; nothing is deleted. What was committed after the
    /// snapshot is lost. A store that is whole is left alone.
    Repair(Whole),
    /// Draw subgraphs around seed nodes
    Sample(Box<sample::Args>),
    /// Write edges of a relation, and beside each some pairs of nodes that are none
    Negatives(negatives::Args),
    /// Find the shortest paths between two nodes
    Path(path::Args),
    /// Train a model on a task
    Train(train::Args),
    /// List runs: what they are for, how far they are, and how good
    Runs(runs::Args),
    /// Draw the curves of runs: loss, scores, learning rate, speed
    Plot(plot::Args),
    /// Look again at the batch at which a run's loss stopped being a number
    Replay(replay::Args),
    /// Measure a trained model on its held-out rows
    Evaluate(evaluate::Args),
    /// Cross-validate a task beside its baselines, on the same folds
    Compare(compare::Args),
    /// Write a vector for every node of the task's type
    Embed(embed::Args),
    /// Write a snapshot as Parquet, GraphML or AnnData
    Export(export::Args),
    /// Measure this machine with a store of yours
    Bench(bench::Args),
}

/// The arguments of a command about a store as a whole.
#[derive(clap::Args)]
struct Whole {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Info(args) => args.run(),
            Self::Snapshot(Whole { store, quiet }) => snapshot::run(&store, quiet),
            Self::Edit(args) => args.run(),
            Self::Check(Whole { store, quiet }) => check::run(&store, quiet),
            Self::Repair(Whole { store, quiet }) => repair::run(&store, quiet),
            Self::Sample(args) => args.run(),
            Self::Negatives(args) => args.run(),
            Self::Path(args) => args.run(),
            Self::Train(args) => args.run(),
            Self::Runs(args) => args.run(),
            Self::Plot(args) => args.run(),
            Self::Replay(args) => args.run(),
            Self::Evaluate(args) => args.run(),
            Self::Compare(args) => args.run(),
            Self::Embed(args) => args.run(),
            Self::Export(args) => args.run(),
            Self::Bench(args) => args.run(),
        }
    }
}

fn main() -> ExitCode {
    relata::progress::end_with_reader();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use relata::snapshot::{EdgeData, Snapshot, SnapshotWriter};
    use relata_schema::{EdgeValue, Schema};

    use super::*;

    /// Two cells that express three genes.
    fn store() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(folder.path(), &schema).unwrap();
        writer.nodes(schema.node_type("cell").unwrap(), &["c1", "c2"].map(String::from)).unwrap();
        writer.nodes(schema.node_type("gene").unwrap(), &["g1", "g2", "g3"].map(String::from)).unwrap();
        let counts = vec![[3.0, 1.0, 2.0].map(EdgeValue::Number).to_vec()];
        let expresses = EdgeData { sources: vec![0, 0, 1], targets: vec![0, 1, 2], attributes: counts, ..EdgeData::default() };
        writer.relation(schema.relation("expresses").unwrap(), &expresses).unwrap();
        writer.publish(&[]).unwrap();
        folder
    }

    #[test]
    fn no_command_answers_from_a_damaged_snapshot() {
        let store = store();
        let out = store.path().join("out");
        let pairs = store.path().join("out.parquet");
        let commands: [&[&str]; 7] = [
            &["sample", "--type", "cell", "--key", "c1"],
            &["path", "c1", "g1"],
            &["export", "--quiet", "--format", "parquet", "--out", out.to_str().unwrap()],
            &["export", "--quiet", "--format", "graphml", "--out", out.to_str().unwrap()],
            &["export", "--quiet", "--format", "h5ad", "--out", out.to_str().unwrap()],
            &["sample", "--quiet", "--type", "cell", "--all", "--out", out.to_str().unwrap()],
            &["negatives", "--quiet", "--relation", "expresses", "--out", pairs.to_str().unwrap()],
        ];
        let run = |command: &[&str]| {
            let store = ["--store", store.path().to_str().unwrap()];
            Cli::parse_from(["relata"].iter().chain(command).chain(&store)).command.run()
        };
        let file = Snapshot::current(store.path()).unwrap().path().to_owned();
        let id = Snapshot::current_id(store.path()).unwrap().to_string();
        let whole = fs::read(&file).unwrap();
        let mut damages = 0;
        // Where opening the snapshot does not notice it, and which is no gap between sections.
        for at in (0..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            fs::write(&file, damaged).unwrap();
            if !Snapshot::current(store.path()).is_ok_and(|snapshot| snapshot.verify().is_err()) {
                continue;
            }
            damages += 1;
            let of_id: Vec<&str> = commands[2].iter().copied().chain(["--snapshot", &id]).collect();
            for command in commands.into_iter().chain([&of_id[..]]) {
                let refused = run(command).unwrap_err().to_string();
                assert!(refused.contains("is damaged"), "{command:?} with byte {at} changed: {refused}");
                assert!(!out.exists() && !pairs.exists());
            }
        }
        assert!(damages > 20, "{damages} of {} bytes", whole.len());
        fs::write(&file, whole).unwrap();
        for command in commands {
            run(command).unwrap();
            let _ = fs::remove_file(&out).or_else(|_| fs::remove_dir_all(&out));
        }
    }
}
