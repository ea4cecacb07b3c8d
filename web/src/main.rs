//! `relata-serve`: a store over HTTP.

use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser};
use relata_web::serve::{ServeConfig, bind, serve, told_to_end};
use relata_web::{AppState, app, demo, page};

/// Keeps the pages of results that burn's CPU backend drops and takes again at every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves a store over HTTP, with a page to explore it.
#[derive(Parser)]
#[command(name = "relata-serve", version)]
struct Cli {
    #[command(flatten)]
    source: Source,
    /// Where to listen; port 0 is any that is free
    #[arg(long, default_value = "127.0.0.1:7373", value_parser = resolved)]
    address: SocketAddr,
}

/// What is served.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: Option<PathBuf>,
    /// Make a small synthetic organism in this folder, load it, train on it, and serve it
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = "demo")]
    demo: Option<PathBuf>,
}

impl Source {
    /// The store, made where it is the demo's.
    fn store(self) -> anyhow::Result<PathBuf> {
        match (self.store, self.demo) {
            (Some(store), _) => Ok(store),
            (None, folder) => {
                let folder = folder.unwrap_or_else(|| "demo".into());
                let organism = demo::write(&folder, demo::SEED)?;
                let store = demo::load(&folder, false)?;
                if let Some(learnt) = demo::learn(&folder, &store, &organism, false)? {
                    println!("{learnt}");
                }
                Ok(store)
            }
        }
    }
}

/// `localhost:7373` as well as `127.0.0.1:7373`.
fn resolved(text: &str) -> Result<SocketAddr, String> {
    let expected = "expected an address and a port, such as 127.0.0.1:7373";
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("{error}; {expected}"))?;
    addresses.next().ok_or_else(|| expected.to_owned())
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,relata_web=info".into()))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { source, address }: Cli) -> anyhow::Result<()> {
    let store = source.store()?;
    let state = AppState::open(&store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the server")?;
    runtime.block_on(async {
        let listener = bind(address).await?;
        let address = listener.local_addr().context("cannot tell the address")?;
        if !page::is_built() {
            tracing::warn!("this build has no page: for the full one, install Node.js 20.19 or newer and build again");
        }
        // Whoever started the program may have stopped reading; it serves all the same.
        let _ = writeln!(io::stdout(), "Relata serves {} at http://{address} (ctrl-c ends it)", store.display());
        serve(listener, app(state), &ServeConfig::default(), told_to_end()).await?;
        Ok(())
    })
}
