//! `relata-serve`: a store over HTTP.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use relata_web::serve::{ServeConfig, bind, serve, told_to_end};
use relata_web::{AppState, app, page};

/// Serves a store over HTTP, with a page to explore it.
#[derive(Parser)]
#[command(name = "relata-serve", version)]
struct Cli {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Where to listen; port 0 is any that is free
    #[arg(long, default_value = "127.0.0.1:7373", value_parser = resolved)]
    address: SocketAddr,
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
        .with_writer(std::io::stderr)
        .init();
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let state = AppState::open(&cli.store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the server")?;
    runtime.block_on(async {
        let listener = bind(cli.address).await?;
        let address = listener.local_addr().context("cannot tell the address")?;
        println!("Relata serves {} at http://{address} (ctrl-c ends it)", cli.store.display());
        if !page::is_built() {
            println!("This build has no page: install Node.js 20.19 or newer and build again for the full one");
        }
        serve(listener, app(state), &ServeConfig::default(), told_to_end()).await?;
        Ok(())
    })
}
