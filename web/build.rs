//! Builds the page (`page/`, TypeScript and Vite) and lists its files for the server to carry.
//!
//! Writes `$OUT_DIR/page.rs` with two items:
//! - `ASSETS`: path, content type and bytes of each file of the page;
//! - `IS_BUILT`: whether there are any.
//!
//! The page needs node 20.19 or newer and npm. Without them, or when npm fails, the build goes on without the page and
//! warns why. The environment variable `RELATA_PAGE` decides otherwise: `skip` does not try, `require` makes it an error.
//! Nothing in the source tree is written but `page/node_modules`, which git ignores.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest node that Vite runs on.
const NODE: (u32, u32) = (20, 19);
/// What the page is made of, in `page/`; a change of any builds it anew.
const SOURCES: [&str; 8] =
    [".npmrc", "index.html", "package.json", "package-lock.json", "public", "src", "tsconfig.json", "vite.config.ts"];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let page = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("page");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=RELATA_PAGE");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo::rerun-if-changed=page/{source}");
    }

    let wish = std::env::var("RELATA_PAGE").unwrap_or_default();
    let built = out.join("page");
    let files = match wish.as_str() {
        "skip" => Vec::new(),
        _ => match build(&page, &built).and_then(|()| files(&built)) {
            Ok(files) => files,
            Err(error) if wish == "require" => return Err(error),
            Err(error) => {
                warn(&error.to_string());
                Vec::new()
            }
        },
    };
    fs::write(out.join("page.rs"), listing(&files))?;
    Ok(())
}

/// Installs what the page needs, where that is not there yet, and builds it into `built`.
fn build(page: &Path, built: &Path) -> Result<()> {
    let version = run(Command::new("node").arg("--version")).map_err(|error| format!("node is not there ({error})"))?;
    if !is_new_enough(&version) {
        return Err(format!("node is {}, and the page needs {}.{} or newer", version.trim(), NODE.0, NODE.1).into());
    }
    install(page)?;
    run(npm(page).args(["run", "build", "--", "--emptyOutDir", "--logLevel", "warn", "--outDir"]).arg(built))
        .map_err(|error| format!("`npm run build` in web/page failed: {error}"))?;
    Ok(())
}

/// `npm ci`, unless the last one was by the same lock file: its copy lies beside what it installed.
fn install(page: &Path) -> Result<()> {
    let lock = fs::read(page.join("package-lock.json"))?;
    let stamp = page.join("node_modules").join(".installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    // Gone before npm begins: an install that breaks off must not pass for a whole one later.
    if stamp.exists() {
        fs::remove_file(&stamp)?;
    }
    // One retry, soon: without a network, a build should not wait for minutes.
    run(npm(page).args(["ci", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]))
        .map_err(|error| format!("`npm ci` in web/page failed: {error}"))?;
    fs::write(stamp, lock)?;
    Ok(())
}

fn npm(page: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(page).env("NO_COLOR", "1").args(["--no-audit", "--no-fund", "--no-update-notifier"]);
    command
}

/// Runs a command and returns what it prints; where it fails, what it complains of.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = [output.stderr, output.stdout].concat();
    let complaint = String::from_utf8_lossy(&complaint);
    let lines: Vec<&str> = complaint.lines().map(str::trim).filter(|line| !line.is_empty()).take(6).collect();
    Err(if lines.is_empty() { output.status.to_string() } else { lines.join("\n") }.into())
}

/// Whether `v20.19.1` is at least [`NODE`].
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(|number| number.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(Some(major)), Some(Some(minor))) if (major, minor) >= NODE)
}

/// Every file below a folder, by its path with `/` between the parts, in order.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| format!("{} is not UTF-8", name.display()))?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?.into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// The generated module.
fn listing(files: &[String]) -> String {
    let mut text = String::from(
        "/// Path, content type and bytes of each file of the page.\npub static ASSETS: &[(&str, &str, &[u8])] = &[\n",
    );
    for file in files {
        let at = format!("page/{file}");
        writeln!(text, "    ({file:?}, {:?}, include_bytes!({at:?})),", content_type(file)).expect("a string takes all");
    }
    writeln!(text, "];\n/// Whether the page was built with the server.\npub const IS_BUILT: bool = {};", !files.is_empty())
        .expect("a string takes all");
    text
}

fn content_type(file: &str) -> &'static str {
    match file.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn warn(why: &str) {
    println!("cargo::warning=relata-serve is built without its page; the HTTP API is whole.");
    for line in why.lines() {
        println!("cargo::warning=why: {line}");
    }
    let (major, minor) = NODE;
    println!(
        "cargo::warning=to have the page: node {major}.{minor} or newer with npm and a network, then `touch web/build.rs` and build again."
    );
    println!("cargo::warning=to be rid of this warning: set RELATA_PAGE=skip.");
    // A node that is installed later shows as another PATH.
    println!("cargo::rerun-if-env-changed=PATH");
}
