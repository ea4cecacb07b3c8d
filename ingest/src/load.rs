use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::Receiver;

use rayon::prelude::*;
use relata::progress;
use relata::store::{Load, LoadOptions, Store};
use relata_schema::{SourceRecord, Tally};
use sha2::{Digest, Sha256};

use crate::formats::{self, Format};
use crate::{Backend, DryBackend, Error, Input, Manifest, Report, Result, Sink, Source};

/// How a load is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Show no progress.
    pub quiet: bool,
    /// Read every source again, also those that are as they were.
    pub again: bool,
    /// Commit, and publish no snapshot: for many loads one after another, of which readers need only the last.
    pub no_snapshot: bool,
    /// How much memory the store's side of the load takes.
    pub load: LoadOptions,
}

/// A source, found on the disk and matched with a format.
struct Found<'m> {
    source: &'m Source,
    input: Input,
    format: &'static dyn Format,
    /// Without hash and fingerprint until [`Hashes::name`] adds them.
    record: SourceRecord,
}

/// Finds every source before the first is read, so that a missing last file does not cost the time of the others.
fn find(manifest: &Manifest) -> Result<Vec<Found<'_>>> {
    let mut found = Vec::new();
    for source in &manifest.sources {
        let input = Input::open(&manifest.path_of(source)?)?;
        let format = formats::of(manifest, source, &input)?;
        manifest.check_settings(source, format.name(), format.settings())?;
        format.check(manifest, source)?;
        let record = SourceRecord {
            dataset: manifest.dataset.name.clone(),
            name: manifest.name_of(source)?,
            path: source.path.get_ref().clone(),
            format: format.name().to_owned(),
            bytes: input.bytes(),
            loader: env!("CARGO_PKG_VERSION").to_owned(),
            ..SourceRecord::default()
        };
        found.push(Found { source, input, format, record });
    }
    Ok(found)
}

/// The hashes of sources, in their order: computed by a thread of their own, so that what must be read anyway is read
/// meanwhile.
struct Hashes {
    coming: Receiver<Result<String>>,
    /// What the next fingerprint builds on: a source means what it means after those before it.
    before: String,
}

impl Hashes {
    fn begin(manifest: &Manifest, sources: &[Found<'_>], options: Options) -> Result<Self> {
        let (sender, coming) = std::sync::mpsc::channel();
        let inputs: Vec<Input> = sources.iter().map(|found| found.input.clone()).collect();
        let total = inputs.iter().map(Input::bytes).sum();
        let bar = progress::bytes("hashing", total, options.quiet);
        let hash = move || {
            // As many at once as there are threads, told in their order.
            for inputs in inputs.chunks(rayon::current_num_threads()) {
                let hash = |input: &Input| {
                    let hash = input.sha256();
                    bar.inc(input.bytes());
                    hash
                };
                let hashes: Vec<Result<String>> = inputs.par_iter().map(hash).collect();
                if hashes.into_iter().any(|hash| sender.send(hash).is_err()) {
                    // The load has ended with an error.
                    break;
                }
            }
            bar.finish_and_clear();
        };
        let thread = std::thread::Builder::new().name("hashing".to_owned()).spawn(hash);
        thread.map_err(Error::io(Path::new("hashing"), "cannot begin a thread"))?;
        let before = format!("{} {:?}", env!("CARGO_PKG_VERSION"), (&manifest.dataset, &manifest.schema));
        Ok(Self { coming, before })
    }

    /// Adds hash and fingerprint to the next source's record.
    fn name(&mut self, found: &mut Found<'_>) -> Result<()> {
        let lost = || Error::content(found.input.path(), "the file", "its hash was not computed: the thread that does so ended");
        let sha256 = self.coming.recv().map_err(|_| lost())??;
        let settings = serde_json::to_string(found.source).expect("settings are texts, numbers and maps of them");
        let own = format!("{}\n{sha256}\n{}\n{settings}", self.before, found.format.name());
        let fingerprint: String = Sha256::digest(own.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.before.clone_from(&fingerprint);
        found.record.sha256 = sha256;
        found.record.fingerprint = fingerprint;
        Ok(())
    }
}

fn read(
    manifest: &Manifest,
    found: &Found<'_>,
    backend: &mut dyn Backend,
    resolvers: &mut Resolvers,
    options: Options,
) -> Result<Tally> {
    let bar = progress::bytes(&found.record.name, found.input.bytes(), options.quiet);
    let unmatched = found.source.unmatched.unwrap_or_default();
    let mut sink = Sink::new(backend, resolvers, found.input.path(), unmatched, bar);
    found.format.read(manifest, found.source, &found.input, &mut sink)?;
    Ok(sink.finish())
}

type Resolvers = HashMap<relata_schema::NodeTypeId, crate::identity::Resolver>;

/// Goes through every source and counts what [`run`] would bring into an empty store. Nothing is written.
///
/// # Errors
/// Those that [`run`] would meet in the files and the manifest.
pub fn plan(manifest: &Manifest, options: Options) -> Result<Report> {
    let mut backend = DryBackend::new(manifest.schema.clone());
    let mut resolvers = Resolvers::new();
    let mut sources = Vec::new();
    let mut found = find(manifest)?;
    let mut hashes = Hashes::begin(manifest, &found, options)?;
    for found in &mut found {
        found.record.tally = read(manifest, found, &mut backend, &mut resolvers, options)?;
        hashes.name(found)?;
    }
    for found in found {
        sources.push(found.record);
    }
    Ok(Report { dataset: manifest.dataset.name.clone(), sources, unchanged: Vec::new(), others: Vec::new(), snapshot: None })
}

/// Brings every source into the store at `path` (made if it is not there) as one commit, and publishes a snapshot, but with
/// [`no_snapshot`](Options::no_snapshot): readers see the load with the next one then.
///
/// Sources whose file, settings and predecessors are as they were are kept and not read again, but with
/// [`again`](Options::again).
///
/// # Errors
/// When a file, the manifest or the store is at fault; the store is then as it was.
pub fn run(manifest: &Manifest, path: &Path, options: Options) -> Result<Report> {
    let sources = find(manifest)?;
    let is_new = make_folder(path)?;
    let outcome = run_into(manifest, sources, path, options);
    let is_foreign = matches!(outcome, Err(Error::Store(relata::Error::Locked { .. })));
    if is_new && outcome.is_err() && !is_foreign {
        // The store was made by this load and holds nothing; what stopped the load is the error to tell.
        let _ = std::fs::remove_dir_all(path);
    }
    match outcome {
        Err(Error::Unpublished { source, .. }) if is_new => Err(Error::Store(*source)),
        outcome => outcome,
    }
}

/// Whether the folder was not there before.
fn make_folder(path: &Path) -> Result<bool> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(Error::io(parent, "cannot make the folder of the store"))?;
    }
    match std::fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::io(path, "cannot make the store")(error)),
    }
}

fn run_into(manifest: &Manifest, mut sources: Vec<Found<'_>>, path: &Path, options: Options) -> Result<Report> {
    let mut store = Store::open_or_create(path)?;
    let mut load = store.begin_with(&manifest.schema, options.load)?;
    if options.no_snapshot {
        load.without_snapshot();
    }
    let mut resolvers = Resolvers::new();
    let mut report = Report {
        dataset: manifest.dataset.name.clone(),
        sources: Vec::new(),
        unchanged: Vec::new(),
        others: Vec::new(),
        snapshot: None,
    };
    let mut committed: HashMap<String, SourceRecord> = HashMap::new();
    for record in load.sources() {
        committed.insert(format!("{}\n{}", record.dataset, record.name), record.clone());
    }
    let mut hashes = Hashes::begin(manifest, &sources, options)?;
    let is_known = |found: &Found<'_>| committed.contains_key(&format!("{}\n{}", found.record.dataset, found.record.name));
    // What the store may have already is hashed first; else there is nothing that a hash could decide.
    let are_named = !options.again && sources.iter().any(is_known);
    if are_named {
        sources.iter_mut().try_for_each(|found| hashes.name(found))?;
    }
    let is_current = |load: &Load<'_>, record: &SourceRecord| {
        !options.again && load.is_current(&record.dataset, &record.name, &record.fingerprint)
    };
    let anew: Vec<(&str, &str)> = (sources.iter().map(|found| &found.record))
        .filter(|record| !is_current(&load, record))
        .map(|record| (record.dataset.as_str(), record.name.as_str()))
        .collect();
    for edit in load.expect_replaceable(&anew)? {
        tracing::warn!("{}: the edit `{}`, a part of what is replaced, is lost", path.display(), edit.name);
    }
    for mut found in sources {
        let SourceRecord { dataset, name, .. } = &found.record;
        if is_current(&load, &found.record) {
            load.keep(dataset, name)?;
            report.unchanged.push(name.clone());
            if let Some(before) = committed.get(&format!("{dataset}\n{name}")) {
                found.record = before.clone();
            }
        } else {
            load.begin_source(dataset, name)?;
            found.record.tally = read(manifest, &found, &mut load, &mut resolvers, options)?;
            if !are_named {
                hashes.name(&mut found)?;
            }
            found.record.tally = load.end_source(found.record.clone())?;
        }
        report.sources.push(found.record);
    }
    load.commit()?;
    let is_listed = |record: &SourceRecord| {
        record.dataset == report.dataset && report.sources.iter().any(|source| source.name == record.name)
    };
    report.others = store.sources().iter().filter(|record| !is_listed(record)).cloned().collect();
    if !options.no_snapshot {
        let unpublished = |source| Error::Unpublished { path: path.to_owned(), source: Box::new(source) };
        report.snapshot = Some(store.snapshot(options.quiet).map_err(unpublished)?.to_string());
    }
    Ok(report)
}
