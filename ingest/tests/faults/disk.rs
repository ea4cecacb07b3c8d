//! A disk that loses power: the journal of a run, played again up to some call, without what was not made durable by then.
//!
//! The rules are those of POSIX and no kinder: a file's content is durable after `fsync` or `fdatasync` of the file, a name
//! in a folder after `fsync` of the folder, and nothing else makes anything durable (`sync_file_range` writes no length).
//! Changes of the names in one folder reach the disk in their order, as on every file system with a journal.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::random::Random;

/// A file or folder, whatever its name is at the time.
type Id = usize;
type Place = (Id, String);

#[derive(Clone, Debug)]
enum Change {
    Write { file: Id, offset: u64, data: Vec<u8> },
    Truncate { file: Id, length: u64 },
    Enter { place: Place, id: Id },
    Leave { place: Place },
    Move { from: Place, to: Place, id: Id },
    Sync { id: Id },
    Nothing,
}

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the process was killed.
    None,
    /// Nothing, and of the call under way, if it writes, half was done.
    Torn,
    /// All that was not synced.
    All,
    /// Contents that were not synced; names stay.
    Contents,
    /// The same, but files are as long as they were, with zeros in the place of what is lost.
    Holes,
    /// Names that were not synced; contents stay.
    Names,
    /// Some of what was not synced, by this seed.
    Some(u64),
}

/// The journal of one or more runs.
pub struct Journal {
    root: PathBuf,
    changes: Vec<Change>,
    /// What each change was, for people.
    titles: Vec<String>,
    inodes: BTreeMap<u64, Id>,
    /// The folders and what is in them at the journal's end.
    folders: BTreeMap<Id, BTreeMap<String, Id>>,
    ids: usize,
}

const ROOT: Id = 0;

impl Journal {
    /// Of a folder that is empty.
    pub fn new(root: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::read_dir(root).unwrap().count(), 0);
        let inodes = BTreeMap::from([(fs::metadata(root).unwrap().ino(), ROOT)]);
        let folders = BTreeMap::from([(ROOT, BTreeMap::new())]);
        Self { root: root.to_owned(), changes: Vec::new(), titles: Vec::new(), inodes, folders, ids: 1 }
    }

    pub fn len(&self) -> usize {
        self.changes.len()
    }

    pub fn title(&self, at: usize) -> &str {
        self.titles.get(at).map_or("the end", String::as_str)
    }

    /// Appends what the shim wrote of one process; see `shim/src/record.rs`.
    pub fn append(&mut self, file: &Path) {
        let bytes = fs::read(file).unwrap();
        let mut rest = bytes.as_slice();
        while let Some((header, behind)) = rest.split_first_chunk::<32>() {
            let short = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
            let long = |at: usize| u64::from_ne_bytes(*header[at..].first_chunk().unwrap());
            let lengths = [short(4), short(6), long(24) as usize];
            let (one, behind) = behind.split_at(lengths[0]);
            let (two, behind) = behind.split_at(lengths[1]);
            let (data, behind) = behind.split_at(lengths[2]);
            self.record(header[0], [one, two], long(8), long(16), data);
            rest = behind;
        }
        assert!(rest.is_empty(), "a journal that ends in a record");
    }

    fn record(&mut self, kind: u8, paths: [&[u8]; 2], inode: u64, offset: u64, data: &[u8]) {
        let known = self.inodes.get(&inode).copied();
        let file = || known.unwrap_or_else(|| panic!("inode {inode} was never made"));
        let (change, verb) = match kind {
            1 | 8 => {
                let id = self.ids;
                self.ids += 1;
                self.inodes.insert(inode, id);
                let place = self.place(paths[0]);
                self.folders.get_mut(&place.0).unwrap().insert(place.1.clone(), id);
                if kind == 8 {
                    self.folders.insert(id, BTreeMap::new());
                }
                (Change::Enter { place, id }, if kind == 8 { "mkdir" } else { "create" })
            }
            2 => (Change::Truncate { file: file(), length: offset }, "truncate"),
            3 => (Change::Write { file: file(), offset, data: data.to_owned() }, "write"),
            4 => (Change::Sync { id: file() }, "sync"),
            5 => {
                let (from, to) = (self.place(paths[0]), self.place(paths[1]));
                let id = self.folders.get_mut(&from.0).unwrap().remove(&from.1).unwrap();
                self.folders.get_mut(&to.0).unwrap().insert(to.1.clone(), id);
                (Change::Move { from, to, id }, "rename")
            }
            7 | 9 => {
                let place = self.place(paths[0]);
                self.folders.get_mut(&place.0).unwrap().remove(&place.1).unwrap();
                (Change::Leave { place }, "remove")
            }
            10 => (Change::Nothing, "sync_file_range"),
            other => panic!("a record of kind {other}, which no program under test makes"),
        };
        let name = |id: Id| self.path_of(ROOT, id).unwrap_or_else(|| "a removed file".to_owned());
        let shown = match &change {
            Change::Write { file, offset, data } => format!("{verb} {} at {offset}, {} bytes", name(*file), data.len()),
            Change::Truncate { file: id, .. } | Change::Sync { id } => format!("{verb} {}", name(*id)),
            Change::Move { from, to, .. } => format!("{verb} {} to {}", from.1, to.1),
            Change::Enter { place, .. } | Change::Leave { place } => format!("{verb} {}", place.1),
            Change::Nothing => verb.to_owned(),
        };
        self.changes.push(change);
        self.titles.push(shown);
    }

    fn place(&self, path: &[u8]) -> Place {
        let path = Path::new(std::str::from_utf8(path).unwrap());
        let inside = path.strip_prefix(&self.root).unwrap_or_else(|_| panic!("{} is not in the root", path.display()));
        let mut names: Vec<&str> = inside.iter().map(|name| name.to_str().unwrap()).collect();
        let last = names.pop().expect("the root itself stays");
        let folder = names.iter().fold(ROOT, |folder, name| self.folders[&folder][*name]);
        (folder, last.to_owned())
    }

    fn path_of(&self, folder: Id, wanted: Id) -> Option<String> {
        if folder == wanted {
            return Some(String::new());
        }
        let entries = self.folders.get(&folder)?;
        entries.iter().find_map(|(name, &id)| Some(format!("{name}/{}", self.path_of(id, wanted)?)))
    }

    /// Of each file and folder, the call before `end` that synced it last.
    fn synced(&self, end: usize) -> BTreeMap<Id, usize> {
        let syncs = self.changes[..end].iter().enumerate();
        syncs.filter_map(|(at, change)| if let Change::Sync { id } = change { Some((*id, at)) } else { None }).collect()
    }

    /// Writes what is on the disk when the process ended, or the power went, before call `end`, to an empty folder.
    pub fn after(&self, end: usize, loss: Loss, to: &Path) {
        let mut disk = Contents::new();
        let mut random = Random(match loss {
            Loss::Some(seed) => seed,
            _ => 0,
        });
        // Of each folder, whether its next change of a name that is not durable still reaches the disk.
        let mut reaches: BTreeMap<Id, bool> = BTreeMap::new();
        let synced = self.synced(end);
        for (at, change) in self.changes[..end].iter().enumerate() {
            let is_synced = |id: Id| synced.get(&id).is_some_and(|&last| last > at);
            let durable = match change {
                Change::Write { file, .. } | Change::Truncate { file, .. } => is_synced(*file),
                Change::Enter { place, .. } | Change::Leave { place } => is_synced(place.0),
                Change::Move { from, to, .. } => is_synced(from.0) && is_synced(to.0),
                Change::Sync { .. } | Change::Nothing => true,
            };
            let is_name = matches!(change, Change::Enter { .. } | Change::Leave { .. } | Change::Move { .. });
            match loss {
                _ if durable => disk.apply(change),
                Loss::None | Loss::Torn => disk.apply(change),
                Loss::All => {}
                Loss::Contents if is_name => disk.apply(change),
                Loss::Holes if is_name => disk.apply(change),
                Loss::Holes => disk.apply_hole(change),
                Loss::Names if !is_name => disk.apply(change),
                Loss::Contents | Loss::Names => {}
                Loss::Some(_) => match change {
                    Change::Enter { place: (folder, _), .. }
                    | Change::Leave { place: (folder, _) }
                    | Change::Move { to: (folder, _), .. } => {
                        let reaches = reaches.entry(*folder).or_insert(true);
                        *reaches &= random.chance(75);
                        if *reaches {
                            disk.apply(change);
                        }
                    }
                    Change::Write { file, offset, data } => disk.apply_some(*file, *offset, data, &mut random),
                    _ if random.chance(50) => disk.apply(change),
                    _ => {}
                },
            }
        }
        if let (Loss::Torn, Some(Change::Write { file, offset, data })) = (loss, self.changes.get(end)) {
            let half = data[..data.len().div_ceil(2)].to_owned();
            disk.apply(&Change::Write { file: *file, offset: *offset, data: half });
        }
        disk.write(ROOT, &self.folders, to);
    }

    /// Whether the call is a write, so that half of it can be done.
    pub fn is_write(&self, at: usize) -> bool {
        matches!(self.changes.get(at), Some(Change::Write { .. }))
    }
}

/// What a disk holds.
struct Contents {
    names: BTreeMap<Id, BTreeMap<String, Id>>,
    files: BTreeMap<Id, Vec<u8>>,
}

impl Contents {
    fn new() -> Self {
        Self { names: BTreeMap::new(), files: BTreeMap::new() }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { file, offset, data } => {
                let (start, end) = (*offset as usize, *offset as usize + data.len());
                let content = self.grown(*file, end);
                content[start..end].copy_from_slice(data);
            }
            Change::Truncate { file, length } => self.files.entry(*file).or_default().resize(*length as usize, 0),
            Change::Enter { place: (folder, name), id } => {
                self.names.entry(*folder).or_default().insert(name.clone(), *id);
            }
            Change::Leave { place: (folder, name) } => {
                self.names.entry(*folder).or_default().remove(name);
            }
            Change::Move { from, to, id } => {
                self.names.entry(from.0).or_default().remove(&from.1);
                self.names.entry(to.0).or_default().insert(to.1.clone(), *id);
            }
            Change::Sync { .. } | Change::Nothing => {}
        }
    }

    fn grown(&mut self, file: Id, length: usize) -> &mut Vec<u8> {
        let content = self.files.entry(file).or_default();
        if content.len() < length {
            content.resize(length, 0);
        }
        content
    }

    /// The length of a write, without its data.
    fn apply_hole(&mut self, change: &Change) {
        match change {
            Change::Write { file, offset, data } => {
                self.grown(*file, *offset as usize + data.len());
            }
            other => self.apply(other),
        }
    }

    /// Some of the sectors of a write.
    fn apply_some(&mut self, file: Id, offset: u64, data: &[u8], random: &mut Random) {
        const SECTOR: u64 = 512;
        let mut start = 0;
        while start < data.len() {
            let left = SECTOR - (offset + start as u64) % SECTOR;
            let end = data.len().min(start + left as usize);
            if random.chance(60) {
                let data = data[start..end].to_owned();
                self.apply(&Change::Write { file, offset: offset + start as u64, data });
            }
            start = end;
        }
    }

    /// `folders` tells folders from files.
    fn write(&self, folder: Id, folders: &BTreeMap<Id, BTreeMap<String, Id>>, to: &Path) {
        for (name, id) in self.names.get(&folder).into_iter().flatten() {
            let path = to.join(name);
            if folders.contains_key(id) {
                fs::create_dir(&path).unwrap();
                self.write(*id, folders, &path);
            } else {
                fs::write(path, self.files.get(id).map_or(&[][..], Vec::as_slice)).unwrap();
            }
        }
    }
}
