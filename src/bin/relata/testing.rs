//! What the tests of commands have in common.

use std::path::Path;

use clap::Parser;

#[derive(Parser)]
struct Command<A: clap::Args> {
    #[command(flatten)]
    args: A,
}

/// A command's arguments: its store, and more.
pub fn arguments<A: clap::Args>(store: &Path, more: &[&str]) -> Result<A, clap::Error> {
    let start = ["command", "--store", store.to_str().unwrap()];
    Command::try_parse_from(start.iter().chain(more)).map(|command| command.args)
}
