//! `relata-load`: brings files into a store by a manifest.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use relata::store::LoadOptions;
use relata_ingest::{Manifest, Options, Report, formats, plan, run};

#[derive(Parser)]
#[command(name = "relata-load", version, about = "Brings the files of a manifest into a Relata store")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what a manifest would bring and how well its identifiers match, without writing
    Plan {
        /// The manifest, such as blood.toml
        manifest: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Show no progress
        #[arg(long)]
        quiet: bool,
    },
    /// Load a manifest's files into a store, as one commit, and write a snapshot
    Run {
        /// The manifest, such as blood.toml
        manifest: PathBuf,
        /// The store's folder, such as blood.relata; made if it is not there
        #[arg(long)]
        store: PathBuf,
        /// Read every source again, also those that are as they were
        #[arg(long)]
        again: bool,
        /// Commit the load and write no snapshot: readers see it after `relata snapshot`
        #[arg(long)]
        no_snapshot: bool,
        /// Memory for edges and values that wait to be written, in MiB: with less, a source becomes more segments
        #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=32 << 10))]
        memory: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Show no progress
        #[arg(long)]
        quiet: bool,
    },
    /// List the formats and their settings
    Formats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    relata::allocator::keep_memory();
    relata::progress::end_with_reader();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<()> {
    match command {
        Command::Plan { manifest, json, quiet } => {
            let report = plan(&Manifest::read(&manifest)?, Options { quiet: quiet || json, ..Options::default() })?;
            print(&report, json)?;
            if !json {
                println!("\nA plan: nothing was written.");
            }
            Ok(())
        }
        Command::Run { manifest, store, again, no_snapshot, memory, json, quiet } => {
            let load = LoadOptions { staging_bytes: (memory as usize) << 20 };
            let report = run(&Manifest::read(&manifest)?, &store, Options { quiet: quiet || json, again, no_snapshot, load })?;
            print(&report, json)?;
            let path = store.display();
            match &report.snapshot {
                _ if json => {}
                Some(id) => println!("\n{path} now holds snapshot {id}"),
                None => println!("\nno snapshot was written; `relata snapshot --store {path}` makes the load visible to readers"),
            }
            Ok(())
        }
        Command::Formats { json: true } => {
            let describe = |format: &&dyn formats::Format| serde_json::json!({ "name": format.name(), "about": format.about(), "settings": format.settings() });
            let all: Vec<serde_json::Value> = formats::ALL.iter().map(describe).collect();
            println!("{}", serde_json::to_string_pretty(&all)?);
            Ok(())
        }
        Command::Formats { json: false } => {
            println!("A source's format follows from its content and name, or from `format = \"NAME\"`. Every source also knows");
            println!(
                "path, name, format and unmatched. Files may be compressed by gzip or bgzip (h5ad and Parquet have their own compression).\n"
            );
            for format in formats::ALL {
                println!("{:8} {}", format.name(), format.about());
                println!("{:8} settings: {}", "", format.settings().join(", "));
            }
            Ok(())
        }
    }
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
