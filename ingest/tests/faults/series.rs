//! A seeded series of steps that change a store, as files and manifests, beside a plain model of what is in it after each.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use relata::snapshot::Snapshot;
use relata::store::Store;

use crate::child;
use crate::content::{Content, edge_categories};
use crate::data::{self, SCHEMA, SOURCES};
use crate::model::Model;
use crate::phases::Phase;
use crate::program::{self, Program};
use crate::random::Random;

/// Kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Load,
    Pieces,
    Edit,
    /// Many edits, each a commit: no step to interrupt.
    Edits,
    Remove,
    Publish,
}

/// One less than a commit lists before they become one.
pub const EDITS: usize = 63;

/// Something that changes a store.
#[derive(Clone, Debug)]
pub enum Step {
    /// `relata-load run` with this manifest.
    Load(PathBuf),
    /// Loads the sources in this file and publishes, by the library, with so little memory that a source becomes several
    /// segments.
    Pieces { file: PathBuf, bytes: usize },
    /// Commits the edit in this file under this note and publishes, by the library.
    Edit { file: PathBuf, note: String },
    /// Commits the edits in these files, one by one, and publishes.
    Edits { folder: PathBuf },
    /// Removes a source and publishes, by the library.
    Remove(String),
    /// Publishes what is committed, by the library.
    Publish,
}

impl Step {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Load(_) => Kind::Load,
            Self::Pieces { .. } => Kind::Pieces,
            Self::Edit { .. } => Kind::Edit,
            Self::Edits { .. } => Kind::Edits,
            Self::Remove(_) => Kind::Remove,
            Self::Publish => Kind::Publish,
        }
    }

    /// As [`child`] reads it.
    fn words(&self) -> Vec<String> {
        let text = |path: &Path| path.to_str().expect("the folders of the tests are text").to_owned();
        match self {
            Self::Load(manifest) => vec!["load".to_owned(), text(manifest)],
            Self::Pieces { file, bytes } => vec!["pieces".to_owned(), text(file), bytes.to_string()],
            Self::Edit { file, note } => vec!["edit".to_owned(), text(file), note.clone()],
            Self::Edits { folder } => vec!["edits".to_owned(), text(folder)],
            Self::Remove(source) => vec!["remove".to_owned(), source.clone()],
            Self::Publish => vec!["publish".to_owned()],
        }
    }

    pub fn program(&self, store: &Path) -> Program {
        match self {
            Self::Load(manifest) => program::load(manifest, store),
            other => program::child(store, &other.words()),
        }
    }

    /// Does the same in this process.
    pub fn act(&self, store: &Path) -> Result<(), String> {
        match self {
            Self::Load(manifest) => {
                let manifest = relata_ingest::Manifest::read(manifest).map_err(|error| error.to_string())?;
                let quiet = relata_ingest::Options { quiet: true, ..relata_ingest::Options::default() };
                relata_ingest::run(&manifest, store, quiet).map(|_| ()).map_err(|error| error.to_string())
            }
            other => child::act(store, &other.words()).map_err(|error| error.to_string()),
        }
    }
}

/// What a store holds after a step.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub content: Content,
    /// The identity of the snapshot, which is that of the content; none where there is no store yet.
    pub snapshot: Option<String>,
    /// Files in `segments/`.
    pub segments: usize,
    /// The calls that the step made, by what it was at.
    pub phases: Vec<Phase>,
}

impl State {
    pub fn calls(&self) -> u64 {
        self.phases.len() as u64
    }
}

/// Steps, and the states before, between and after them, as one untouched run made them.
pub struct Series {
    pub steps: Vec<Step>,
    /// One more than steps.
    pub states: Vec<State>,
    /// As the steps left it.
    pub store: PathBuf,
    pub seed: u64,
    model: Model,
    random: Random,
    /// Whether relations may have several blocks.
    large: bool,
    folder: tempfile::TempDir,
}

impl Series {
    /// A load, an edit, and so on at random.
    pub fn new(seed: u64, steps: usize, large: bool) -> Self {
        let mut series = Self::empty(seed, large);
        for number in 0..steps {
            let kind = match (number, series.random.below(20)) {
                (0, _) => Kind::Load,
                (1, _) => Kind::Edit,
                (_, 0..=5) => Kind::Edit,
                (_, 6..=9) => Kind::Pieces,
                (_, 10..=12) if series.model.sources().len() > 2 => Kind::Remove,
                (_, 13 | 14) => Kind::Publish,
                _ => Kind::Load,
            };
            series.take(kind);
        }
        series
    }

    /// With these kinds of steps. A removal has a load before it.
    pub fn of(seed: u64, kinds: &[Kind], large: bool) -> Self {
        let mut series = Self::empty(seed, large);
        kinds.iter().for_each(|&kind| series.take(kind));
        series
    }

    fn empty(seed: u64, large: bool) -> Self {
        let folder = crate::random::scratch();
        Self {
            steps: Vec::new(),
            states: vec![State::default()],
            store: folder.path().join("untouched.relata"),
            seed,
            model: Model::default(),
            random: Random(seed),
            large,
            folder,
        }
    }

    /// Takes one more step, in a process and in the model, which must agree.
    fn take(&mut self, kind: Kind) {
        let number = self.steps.len();
        let folder = self.folder.path().join(format!("step-{number}"));
        let step = match kind {
            Kind::Load => self.load(&folder),
            Kind::Pieces => self.pieces(&folder),
            Kind::Edit => self.edit(&folder, number),
            Kind::Edits => {
                for at in 0..EDITS {
                    self.edit(&folder.join(format!("{at:02}")), number);
                }
                Step::Edits { folder }
            }
            Kind::Remove => {
                let at = self.random.below(self.model.sources().len() as u64) as usize;
                let name = self.model.sources().nth(at).expect("a load came before").to_owned();
                self.model.remove(&name);
                Step::Remove(name)
            }
            Kind::Publish => Step::Publish,
        };
        let trace = self.folder.path().join("trace");
        let ended = step.program(&self.store).traced(&trace).run();
        let place = format!("seed {}, step {number} {step:?}", self.seed);
        assert!(ended.status.success(), "{place}: {ended:?}");
        let phases: Vec<Phase> = fs::read_to_string(&trace).unwrap().lines().map(|line| Phase::of(kind, line)).collect();
        assert_eq!(phases.len() as u64, ended.calls, "{place}");
        fs::remove_file(trace).unwrap();
        let snapshot = Snapshot::current(&self.store).unwrap();
        let content = self.model.content();
        assert_eq!(Content::of_snapshot(&snapshot).difference(&content), None, "{place}");
        self.states.push(State {
            content,
            snapshot: Some(snapshot.id().to_string()),
            segments: fs::read_dir(self.store.join("segments")).unwrap().count(),
            phases,
        });
        self.steps.push(step);
    }

    /// Some of the sources, anew, each with its table.
    fn sources(&mut self) -> Vec<(&'static str, &'static str, crate::model::PlainSource, String)> {
        let first = self.random.below(SOURCES.len() as u64) as usize;
        let mut sources = Vec::new();
        for (at, (name, settings)) in SOURCES.iter().enumerate() {
            if at == first || self.random.chance(50) {
                let large = self.large && self.random.chance(40);
                let (source, table) = data::source(name, &mut self.random, large);
                sources.push((*name, *settings, source, table));
            }
        }
        sources
    }

    /// Writes the files and manifest of a load.
    fn load(&mut self, folder: &Path) -> Step {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("schema.toml"), SCHEMA).unwrap();
        let mut manifest = format!("schema = \"schema.toml\"\n[dataset]\nname = \"{}\"\n", child::DATASET);
        let mut brought = Vec::new();
        for (name, settings, source, table) in self.sources() {
            fs::write(folder.join(format!("{name}.tsv")), table).unwrap();
            write!(manifest, "[[source]]\npath = \"{name}.tsv\"\nname = \"{name}\"\n{settings}\n").unwrap();
            brought.push((name.to_owned(), source));
        }
        self.model.bring(brought);
        let path = folder.join("manifest.toml");
        fs::write(&path, manifest).unwrap();
        Step::Load(path)
    }

    fn pieces(&mut self, folder: &Path) -> Step {
        fs::create_dir_all(folder).unwrap();
        let brought: Vec<_> = self.sources().into_iter().map(|(name, _, source, _)| (name.to_owned(), source)).collect();
        let largest = brought.iter().map(|(_, source)| source.edges.len()).max().unwrap_or(0);
        // A handful of segments either way: an edge takes 8 to 36 bytes, and half of the memory is a segment's.
        let bytes = if largest > 1000 { 16 << 10 } else { 512 };
        let file = folder.join("pieces.json");
        fs::write(&file, serde_json::to_vec(&brought).unwrap()).unwrap();
        self.model.bring(brought);
        Step::Pieces { file, bytes }
    }

    fn edit(&mut self, folder: &Path, number: usize) -> Step {
        fs::create_dir_all(folder).unwrap();
        let words = data::words(&self.model.graph(), &mut self.random);
        let file = folder.join("edit.json");
        fs::write(&file, serde_json::to_vec(&words).unwrap()).unwrap();
        let note = format!("step {number}");
        self.model.edit(&note, &words);
        Step::Edit { file, note }
    }
}

#[test]
fn a_series_has_several_segments_a_source_and_several_blocks_a_relation() {
    let series = Series::of(3, &[Kind::Load, Kind::Pieces, Kind::Pieces, Kind::Pieces, Kind::Edit], true);
    let store = Store::open(&series.store).unwrap();
    let checked = store.check_with(true);
    assert_eq!(checked.findings, []);
    println!("{} sources, {} segments, {} blocks, {} edges", checked.sources, checked.segments, checked.blocks, checked.edges);
    assert!(checked.segments >= 2 * checked.sources + checked.edits, "{checked:?}");
    // A block holds 512 edges at most.
    assert!(checked.edges > 2500, "{checked:?}");
    let found = Content::of_store(&store).unwrap();
    let expected = series.states[series.steps.len()].content.with_some_categories(&edge_categories(store.schema()));
    assert_eq!(found.difference(&expected), None);
}
