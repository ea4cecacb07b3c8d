//! Damage: a flipped bit, a cut or a lost file, of each kind of file that a store has. Each is read in a process of its own.

use std::fs;
use std::path::{Path, PathBuf};

use relata::embedding::{EmbeddingInfo, EmbeddingTable};

use crate::program;
use crate::random::{Cases, Random, copy_folder, number, scratch, seed};
use crate::series::{Kind, Series};

/// Address space of a reader: some threads' stacks and arenas, and the database's cache.
const MEMORY: u64 = 4 << 30;

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip { byte: usize, bit: u8 },
    Cut { length: usize },
    Loss,
}

#[test]
fn what_is_damaged_is_named_or_reads_as_before() {
    let mut random = Random(seed());
    let flips = number("RELATA_FLIPS", 300);
    let whole = Whole::new(&mut random);
    let mut cases = Cases::new("damaged files");
    for case in 0..flips + flips / 5 {
        // The database has one file, and the most that can go wrong.
        let file = match random.chance(30) {
            true => Path::new("db/db"),
            false => &whole.files[random.below(whole.files.len() as u64) as usize],
        };
        let length = fs::metadata(whole.store.join(file)).unwrap().len();
        if length == 0 {
            continue;
        }
        let damage = match case < flips {
            true => Damage::Flip { byte: random.below(length) as usize, bit: random.below(8) as u8 },
            false => Damage::Cut { length: random.below(length) as usize },
        };
        cases.add(whole.outcome(file, damage));
    }
    // A model that is gone is not missed by anything; of what refers to nothing only damage can be told.
    for file in whole.files.iter().filter(|file| !file.starts_with("models")) {
        cases.add(whole.outcome(file, Damage::Loss));
    }
    cases.end();
}

/// A store without damage, with two snapshots and an embedding.
struct Whole {
    series: Series,
    store: PathBuf,
    /// From the store's folder.
    files: Vec<PathBuf>,
    hash: String,
    folder: tempfile::TempDir,
}

impl Whole {
    fn new(random: &mut Random) -> Self {
        let series = Series::of(random.next(), &[Kind::Load, Kind::Pieces, Kind::Edit, Kind::Load, Kind::Edit], true);
        let store = series.store.clone();
        let table = EmbeddingTable {
            info: EmbeddingInfo {
                model: "first".into(),
                snapshot: "0".repeat(32),
                node_type: "place".into(),
                dimension: 2,
                count: 2,
                run: "runs/first".into(),
                has_layout: false,
            },
            keys: vec!["a".into(), "b".into()],
            vectors: vec![1.0, 2.0, 3.0, 4.0],
            layout: Vec::new(),
        };
        table.write(&store).unwrap();
        let mut files = Vec::new();
        list(&store, Path::new(""), &mut files);
        let folder = scratch();
        let mut whole = Self { series, store, files, hash: String::new(), folder };
        let copy = whole.folder.path().join("whole.relata");
        copy_folder(&whole.store, &copy);
        let answer = whole.read(&copy).unwrap();
        assert_eq!(answer.lines().count(), 1, "{answer}");
        whole.hash = answer;
        whole
    }

    /// What a process of its own reads: a hash, and what is wrong.
    fn read(&self, store: &Path) -> Result<String, String> {
        let answer = self.folder.path().join("answer");
        let _ = fs::remove_file(&answer);
        let ended = program::child(store, &["read".to_owned(), answer.to_str().unwrap().to_owned()]).limited(MEMORY).run();
        if ended.hung {
            return Err("reading it hung".to_owned());
        }
        if !ended.status.success() || ended.stderr.contains("panicked") {
            return Err(format!("reading it ended with {}: {}", ended.status, ended.stderr.trim()));
        }
        fs::read_to_string(&answer).map_err(|error| error.to_string())
    }

    fn outcome(&self, file: &Path, damage: Damage) -> Result<(), String> {
        let store = self.folder.path().join("s.relata");
        let _ = fs::remove_dir_all(&store);
        copy_folder(&self.store, &store);
        let path = store.join(file);
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            Damage::Flip { byte, bit } => bytes[byte] ^= 1 << bit,
            Damage::Cut { length } => bytes.truncate(length),
            Damage::Loss => {}
        }
        match damage {
            Damage::Loss => fs::remove_file(&path).unwrap(),
            _ => fs::write(&path, bytes).unwrap(),
        }
        let replay = |error: String| format!("series {}, {}, {damage:?}: {error}", self.series.seed, file.display());
        let answer = self.read(&store).map_err(replay)?;
        let (hash, wrong) = answer.split_once('\n').unwrap_or((&answer, ""));
        // The database's files are one thing to those who use it.
        let part = file.iter().next().unwrap().to_str().unwrap();
        match (wrong.is_empty(), hash == self.hash) {
            (true, true) => Ok(()),
            (true, false) => Err(replay("something else is read, and nothing said".to_owned())),
            (false, _) if wrong.contains(part) => Ok(()),
            // Another version is one of the store's.
            (false, _) if part == "STORE" && wrong.contains("the store has format version") => Ok(()),
            (false, _) => Err(replay(format!("what is said does not name it: {wrong}"))),
        }
    }
}

fn list(store: &Path, folder: &Path, files: &mut Vec<PathBuf>) {
    let mut names: Vec<_> = fs::read_dir(store.join(folder)).unwrap().map(|entry| entry.unwrap()).collect();
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            list(store, &path, files);
        } else {
            files.push(path);
        }
    }
}
