//! `relata`: look at a store, sample it, train on it, and ask models about it.

mod bench;
mod check;
mod compare;
mod edit;
mod embed;
mod evaluate;
mod export;
mod info;
mod path;
mod repair;
mod sample;
mod snapshot;
mod train;

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
    Snapshot(snapshot::Args),
    /// Upsert and delete nodes and edges by hand
    Edit(edit::Args),
    /// Verify every checksum of a store and its snapshots
    Check(check::Args),
    /// Rebuild a damaged store from its newest whole snapshot
    Repair(repair::Args),
    /// Draw subgraphs around seed nodes
    Sample(sample::Args),
    /// Find the shortest paths between two nodes
    Path(path::Args),
    /// Train a model on a task
    Train(train::Args),
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

fn main() -> ExitCode {
    relata::progress::end_with_reader();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    let outcome = match Cli::parse().command {
        Command::Info(args) => args.run(),
        Command::Snapshot(args) => args.run(),
        Command::Edit(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Repair(args) => args.run(),
        Command::Sample(args) => args.run(),
        Command::Path(args) => args.run(),
        Command::Train(args) => args.run(),
        Command::Evaluate(args) => args.run(),
        Command::Compare(args) => args.run(),
        Command::Embed(args) => args.run(),
        Command::Export(args) => args.run(),
        Command::Bench(args) => args.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
