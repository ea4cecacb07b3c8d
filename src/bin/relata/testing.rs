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
    parsed(&[&["--store", store.to_str().unwrap()][..], more].concat())
}

/// The arguments of a command that needs no store.
pub fn parsed<A: clap::Args>(arguments: &[&str]) -> Result<A, clap::Error> {
    Command::try_parse_from([&["command"][..], arguments].concat()).map(|command| command.args)
}
