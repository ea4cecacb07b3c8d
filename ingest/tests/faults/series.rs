//! A seeded series of steps that change a store, as files and manifests, beside a plain model of what is in it after each.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use relata::snapshot::Snapshot;
use relata_schema::Direction;

use crate::child;
use crate::content::{Attributes, Content};
use crate::program::{self, Program};
use crate::random::Random;

const SCHEMA: &str = r#"
[node.place]
attributes.size = { kind = "number" }
attributes.visitors = { kind = "count" }
attributes.kind = { kind = "category" }
attributes.note = { kind = "text" }
attributes.open = { kind = "boolean" }
attributes.founded = { kind = "time" }
attributes.area = { kind = "interval" }
attributes.position = { kind = "vector(3)" }
attributes.motif = { kind = "sequence" }
[node.person]
attributes.age = { kind = "number" }
[[relation]]
name = "visits"
source = "person"
target = "place"
[relation.attributes]
score = { kind = "number" }
times = { kind = "count" }
paid = { kind = "boolean" }
year = { kind = "time" }
purpose = { kind = "category" }
[[relation]]
name = "near"
source = "place"
target = "place"
symmetric = true
attributes.distance = { kind = "number" }
[[relation]]
name = "knows"
source = "person"
target = "person"
"#;

/// The sources that a manifest of the series may have, with their settings.
const SOURCES: [(&str, &str); 6] = [
    (
        "places",
        r#"node = "place"
key = "key"
attributes = { size = "size", visitors = "visitors", kind = "kind", note = "note", open = "open", founded = "founded", area = "area", position = "position", motif = "motif" }"#,
    ),
    (
        "more-places",
        r#"node = "place"
key = "key"
attributes = { size = "size", visitors = "visitors", kind = "kind", note = "note", open = "open", founded = "founded", area = "area", position = "position", motif = "motif" }"#,
    ),
    (
        "persons",
        r#"node = "person"
key = "key"
attributes = { age = "age" }"#,
    ),
    (
        "visits",
        r#"relation = "visits"
columns = { source = "source", target = "target", score = "score", times = "times", paid = "paid", year = "year", purpose = "purpose" }
unmatched = "make""#,
    ),
    (
        "near",
        r#"relation = "near"
columns = { source = "source", target = "target", distance = "distance" }
unmatched = "make""#,
    ),
    (
        "knows",
        r#"relation = "knows"
columns = { source = "source", target = "target" }
unmatched = "make""#,
    ),
];

/// What a source brings.
#[derive(Clone, Debug, Default)]
struct PlainSource {
    /// Type, key, attributes.
    nodes: Vec<(&'static str, String, Attributes)>,
    /// Relation, source, target, values.
    edges: Vec<(&'static str, String, String, Vec<String>)>,
}

/// Something that changes a store.
#[derive(Clone, Debug)]
pub enum Step {
    /// `relata-load run` with this manifest.
    Load(PathBuf),
    /// Removes a source and publishes, by the library. Edits will stand beside it.
    Remove(String),
    /// Publishes what is committed, by the library.
    Publish,
}

impl Step {
    pub fn program(&self, store: &Path) -> Program {
        match self {
            Self::Load(manifest) => program::load(manifest, store),
            Self::Remove(source) => program::child(store, &["remove", source]),
            Self::Publish => program::child(store, &["publish"]),
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
            Self::Remove(source) => child::act(store, &["remove", source]).map_err(|error| error.to_string()),
            Self::Publish => child::act(store, &["publish"]).map_err(|error| error.to_string()),
        }
    }
}

/// Steps, and what they make of a store that nothing happens to.
pub struct Series {
    pub steps: Vec<Step>,
    /// Before the first step, and after each.
    pub states: Vec<State>,
    /// The store after all steps.
    pub store: PathBuf,
    pub seed: u64,
    _folder: tempfile::TempDir,
}

/// What a store holds between two steps.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub content: Content,
    pub snapshot: Option<String>,
    /// Files of its folder `segments`.
    pub segments: usize,
    /// Calls that change or sync files, of the step that led here.
    pub calls: u64,
}

impl Series {
    /// Steps of a seed: at least one source is new or changed in each. `large` sources have several blocks.
    pub fn new(seed: u64, steps: usize, large: bool) -> Self {
        let folder = crate::random::scratch();
        let store = folder.path().join("untouched.relata");
        let mut random = Random(seed);
        let mut held: Vec<(String, PlainSource)> = Vec::new();
        let mut series = Self { steps: Vec::new(), states: vec![State::default()], store: store.clone(), seed, _folder: folder };
        for number in 0..steps {
            let step = match random.below(10) {
                0 | 1 if held.len() > 2 => {
                    let removed = held.remove(random.below(held.len() as u64) as usize).0;
                    Step::Remove(removed)
                }
                2 if number > 0 => Step::Publish,
                _ => {
                    let folder = series._folder.path().join(format!("step-{number}"));
                    Step::Load(load(&folder, &mut random, &mut held, large))
                }
            };
            let ended = step.program(&store).run();
            assert!(ended.status.success(), "seed {seed}, step {number}: {ended:?}");
            let snapshot = Snapshot::current(&store).unwrap();
            let content = expected(&held);
            assert_eq!(Content::of_snapshot(&snapshot).difference(&content), None, "seed {seed}, step {number}");
            series.states.push(State {
                content,
                snapshot: Some(snapshot.id().to_string()),
                segments: fs::read_dir(store.join("segments")).unwrap().count(),
                calls: ended.calls,
            });
            series.steps.push(step);
        }
        series
    }
}

/// Writes the files and manifest of a load, and does it to the model.
fn load(folder: &Path, random: &mut Random, held: &mut Vec<(String, PlainSource)>, large: bool) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("schema.toml"), SCHEMA).unwrap();
    let mut manifest = "schema = \"schema.toml\"\n[dataset]\nname = \"faults\"\n".to_owned();
    let first = random.below(SOURCES.len() as u64) as usize;
    let mut listed = Vec::new();
    for (at, (name, settings)) in SOURCES.iter().enumerate() {
        if at != first && random.chance(50) {
            continue;
        }
        let (source, table) = if settings.starts_with("node") {
            nodes(if *name == "persons" { "person" } else { "place" }, random)
        } else {
            edges(name, random, large)
        };
        fs::write(folder.join(format!("{name}.tsv")), table).unwrap();
        write!(manifest, "[[source]]\npath = \"{name}.tsv\"\nname = \"{name}\"\n{settings}\n").unwrap();
        listed.push(((*name).to_owned(), source));
    }
    // What the manifest does not name stays, before what it names.
    held.retain(|(name, _)| !listed.iter().any(|(other, _)| other == name));
    held.extend(listed);
    let path = folder.join("manifest.toml");
    fs::write(&path, manifest).unwrap();
    path
}

fn nodes(node_type: &'static str, random: &mut Random) -> (PlainSource, String) {
    let columns: &[&str] = match node_type {
        "place" => &["size", "visitors", "kind", "note", "open", "founded", "area", "position", "motif"],
        _ => &["age"],
    };
    let mut source = PlainSource::default();
    let mut table = format!("key\t{}\n", columns.join("\t"));
    let start = random.below(20);
    for number in start..start + 1 + random.below(15) {
        let key = format!("{node_type}{number}");
        let mut attributes = Attributes::new();
        write!(table, "{key}").unwrap();
        for column in columns {
            let value = if random.chance(20) { String::new() } else { cell(column, random) };
            write!(table, "\t{value}").unwrap();
            if !value.is_empty() {
                attributes.insert((*column).to_owned(), value);
            }
        }
        table.push('\n');
        source.nodes.push((node_type, key, attributes));
    }
    (source, table)
}

/// A value of a column, as it is shown again.
fn cell(column: &str, random: &mut Random) -> String {
    match column {
        "size" | "age" | "score" | "distance" => (random.below(400) as f64 / 4.0).to_string(),
        "visitors" | "times" => random.below(1000).to_string(),
        "kind" | "purpose" => format!("{column} {}", random.below(6)),
        "note" => format!("note {}, été", random.below(1000)),
        "open" | "paid" => random.chance(50).to_string(),
        "founded" | "year" => (random.below(200) as i64 - 100).to_string(),
        "area" => {
            let start = random.below(10_000);
            format!("chr{}:{start}-{}", 1 + random.below(3), start + 1 + random.below(500))
        }
        "position" => (0..3).map(|_| (random.below(40) as f32 / 4.0).to_string()).collect::<Vec<_>>().join(","),
        "motif" => (0..1 + random.below(30)).map(|_| ['A', 'C', 'G', 'T'][random.below(4) as usize]).collect(),
        other => panic!("a column {other}"),
    }
}

fn edges(relation: &'static str, random: &mut Random, large: bool) -> (PlainSource, String) {
    let (from, to, columns): (_, _, &[&str]) = match relation {
        "visits" => ("person", "place", &["score", "times", "paid", "year", "purpose"]),
        "near" => ("place", "place", &["distance"]),
        _ => ("person", "person", &[]),
    };
    let mut source = PlainSource::default();
    let mut table = ["source", "target"].iter().chain(columns).copied().collect::<Vec<_>>().join("\t");
    table.push('\n');
    let count = if large && random.chance(40) { 2500 } else { random.below(40) };
    for _ in 0..count {
        let ends = [format!("{from}{}", random.below(30)), format!("{to}{}", random.below(30))];
        let values: Vec<String> =
            columns.iter().map(|column| if random.chance(20) { String::new() } else { cell(column, random) }).collect();
        let row: Vec<&str> = ends.iter().chain(&values).map(String::as_str).collect();
        writeln!(table, "{}", row.join("\t")).unwrap();
        let [near, far] = ends;
        source.nodes.push((from, near.clone(), Attributes::new()));
        source.nodes.push((to, far.clone(), Attributes::new()));
        source.edges.push((relation, near, far, values));
    }
    (source, table)
}

/// What sources hold together: of an attribute the last value, of edges all.
fn expected(held: &[(String, PlainSource)]) -> Content {
    let mut nodes: BTreeMap<(String, String), Attributes> = BTreeMap::new();
    let mut edges: BTreeMap<(String, Direction), Vec<_>> = BTreeMap::new();
    for (_, source) in held {
        for (node_type, key, attributes) in &source.nodes {
            nodes.entry(((*node_type).to_owned(), key.clone())).or_default().extend(attributes.clone());
        }
        for (relation, near, far, values) in &source.edges {
            let (out, back) = ((near.clone(), far.clone(), values.clone()), (far.clone(), near.clone(), values.clone()));
            let both = *relation == "near" && near != far;
            for (direction, edge, other) in [(Direction::Outgoing, &out, &back), (Direction::Incoming, &back, &out)] {
                let seen = edges.entry(((*relation).to_owned(), direction)).or_default();
                seen.push(edge.clone());
                if both {
                    seen.push(other.clone());
                }
            }
        }
    }
    edges.values_mut().for_each(|edges| edges.sort());
    Content { nodes, edges }
}
