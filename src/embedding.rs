//! What a model thinks of each node: one vector a node, on the disk, with the model and the snapshot it came from.
//!
//! `<store>/models/<model>/<node type>.embedding`, version 1, little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `RELATAEM` |
//! | 4 | format version |
//! | 4 | length of the JSON |
//! | n | [`EmbeddingInfo`] as JSON |
//! | each key | length u32, UTF-8 bytes |
//! | 4 × count × dimension | vectors, f32, row-major |
//! | 4 × count × 2 | layout for the eye, f32, where the JSON says `has_layout` |
//! | 32 | BLAKE3 of everything before |

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::disk::write_durably;
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"RELATAEM";
const VERSION: u32 = 1;
const EXTENSION: &str = "embedding";

/// Which model, snapshot and node type an embedding is of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EmbeddingInfo {
    /// The model's name.
    pub model: String,
    /// The snapshot that was embedded.
    pub snapshot: String,
    /// The node type's name.
    pub node_type: String,
    /// Numbers a node.
    pub dimension: u32,
    /// How many nodes.
    pub count: u32,
    /// The run whose weights were used.
    pub run: String,
    /// Whether there is a layout for the eye.
    pub has_layout: bool,
}

/// The embeddings of one node type by one model: row i belongs to `keys[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingTable {
    /// Provenance and shape.
    pub info: EmbeddingInfo,
    /// Node keys, ascending.
    pub keys: Vec<String>,
    /// `count × dimension`, row-major.
    pub vectors: Vec<f32>,
    /// `count × 2`: x and y, or empty.
    pub layout: Vec<f32>,
}

impl EmbeddingTable {
    fn path(store: &Path, model: &str, node_type: &str) -> PathBuf {
        store.join("models").join(model).join(node_type).with_extension(EXTENSION)
    }

    /// Writes the table into a store, whole or not at all.
    ///
    /// # Errors
    /// When the model's name is no plain file name, the shapes do not fit, or the file cannot be written.
    pub fn write(&self, store: &Path) -> Result<()> {
        check_name(&self.info.model)?;
        let (count, dimension) = (self.info.count as usize, self.info.dimension as usize);
        let layout = if self.info.has_layout { count * 2 } else { 0 };
        if self.keys.len() != count || self.vectors.len() != count * dimension || self.layout.len() != layout {
            return Err(Error::Setting {
                setting: format!("embedding {} of {}", self.info.model, self.info.node_type),
                found: format!("{} keys, {} numbers, {} of a layout", self.keys.len(), self.vectors.len(), self.layout.len()),
                expected: format!("{count}, {}, {layout}", count * dimension),
            });
        }
        let info = serde_json::to_vec(&self.info).expect("a struct of texts and numbers is JSON");
        let mut bytes = Vec::with_capacity(64 + self.vectors.len() * 4 + self.layout.len() * 4);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(info.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&info);
        for key in &self.keys {
            bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
            bytes.extend_from_slice(key.as_bytes());
        }
        for number in self.vectors.iter().chain(&self.layout) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        let path = Self::path(store, &self.info.model, &self.info.node_type);
        let folder = store.join("models").join(&self.info.model);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot make the model's folder"))?;
        write_durably(&path, &bytes)
    }

    /// Reads a table, its checksum verified.
    ///
    /// # Errors
    /// When there is none, it has another version, or it is damaged.
    pub fn read(store: &Path, model: &str, node_type: &str) -> Result<Self> {
        check_name(model)?;
        let path = Self::path(store, model, node_type);
        let bytes = fs::read(&path).map_err(Error::io(&path, "cannot read the embedding"))?;
        Self::decode(&path, &bytes)
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
        let damaged = |found: &str| Error::Damaged {
            path: path.to_owned(),
            record: "the embedding".to_owned(),
            found: found.to_owned(),
            remedy: "Write it anew with `relata embed`".to_owned(),
        };
        let mut rest = Reader { bytes };
        if rest.take(8) != Some(&MAGIC) {
            return Err(damaged("it does not start as an embedding does"));
        }
        let version = rest.number().ok_or_else(|| damaged("it ends in the header"))?;
        if version != VERSION {
            return Err(Error::Version {
                path: path.to_owned(),
                what: "the embedding",
                found: version,
                expected: VERSION,
                remedy: "Write it anew with `relata embed`".to_owned(),
            });
        }
        let Some((body, hash)) = bytes.split_last_chunk::<32>().map(|(body, hash)| (body, *hash)) else {
            return Err(damaged("it ends in the header"));
        };
        if *blake3::hash(body).as_bytes() != hash {
            return Err(damaged("its checksum does not match"));
        }
        let cut = || damaged("it ends too early");
        let length = rest.number().ok_or_else(cut)? as usize;
        let info: EmbeddingInfo =
            serde_json::from_slice(rest.take(length).ok_or_else(cut)?).map_err(|error| damaged(&error.to_string()))?;
        let mut keys = Vec::new();
        for _ in 0..info.count {
            let length = rest.number().ok_or_else(cut)? as usize;
            let key = std::str::from_utf8(rest.take(length).ok_or_else(cut)?).map_err(|error| damaged(&error.to_string()))?;
            keys.push(key.to_owned());
        }
        let vectors = rest.numbers(info.count as usize * info.dimension as usize).ok_or_else(cut)?;
        let layout = rest.numbers(if info.has_layout { info.count as usize * 2 } else { 0 }).ok_or_else(cut)?;
        Ok(Self { info, keys, vectors, layout })
    }

    /// What a store holds: every model and node type, in order of their names.
    ///
    /// # Errors
    /// When a table cannot be read; [`survey`](Self::survey) goes on with the others.
    pub fn list(store: &Path) -> Result<Vec<EmbeddingInfo>> {
        Self::survey(store).into_iter().map(|(_, info)| info).collect()
    }

    /// Every file of embeddings that a store has, in order of models and node types, each read whole; with what it is, or
    /// what is wrong with it.
    pub fn survey(store: &Path) -> Vec<(PathBuf, Result<EmbeddingInfo>)> {
        let mut paths = Vec::new();
        for folder in fs::read_dir(store.join("models")).into_iter().flatten().flatten() {
            let files = fs::read_dir(folder.path()).into_iter().flatten().flatten().map(|file| file.path());
            paths.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION)));
        }
        paths.sort();
        let read = |path: PathBuf| {
            let info = read_info(&path);
            (path, info)
        };
        paths.into_iter().map(read).collect()
    }

    /// The row of a key.
    pub fn row(&self, key: &str) -> Option<usize> {
        self.keys.binary_search_by(|known| known.as_str().cmp(key)).ok()
    }

    /// A row's vector.
    pub fn vector(&self, row: usize) -> &[f32] {
        let dimension = self.info.dimension as usize;
        &self.vectors[row * dimension..(row + 1) * dimension]
    }

    /// The `count` rows nearest to `vector` by cosine similarity, best first, without `except`. Exact: every row is
    /// compared, in parallel. Equal similarities come in the order of rows; a zero vector is similar to nothing (0).
    pub fn nearest(&self, vector: &[f32], count: usize, except: Option<usize>) -> Vec<(usize, f32)> {
        let dimension = (self.info.dimension as usize).max(1);
        let length = |numbers: &[f32]| numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
        let own = length(vector);
        let mut similar: Vec<(usize, f32)> = self
            .vectors
            .par_chunks_exact(dimension)
            .enumerate()
            .filter(|&(row, _)| Some(row) != except)
            .map(|(row, other)| {
                let product: f32 = vector.iter().zip(other).map(|(one, other)| one * other).sum();
                let lengths = own * length(other);
                (row, if lengths > 0.0 { product / lengths } else { 0.0 })
            })
            .collect();
        let order = |one: &(usize, f32), other: &(usize, f32)| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0));
        if count < similar.len() {
            similar.select_nth_unstable_by(count, order);
            similar.truncate(count);
        }
        similar.sort_by(order);
        similar
    }
}

/// A model's name becomes a folder: letters, digits, `-`, `_` and `.`, and no leading dot.
///
/// # Errors
/// [`Error::Setting`] for any other.
pub fn check_name(name: &str) -> Result<()> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(Error::Setting {
        setting: "model name".to_owned(),
        found: format!("`{name}`"),
        expected: "letters, digits, `-`, `_` and `.`, not starting with a dot".to_owned(),
    })
}

fn read_info(path: &Path) -> Result<EmbeddingInfo> {
    let bytes = fs::read(path).map_err(Error::io(path, "cannot read the embedding"))?;
    EmbeddingTable::decode(path, &bytes).map(|table| table.info)
}

struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn numbers(&mut self, count: usize) -> Option<Vec<f32>> {
        let bytes = self.take(count.checked_mul(4)?)?;
        Some(bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> EmbeddingTable {
        EmbeddingTable {
            info: EmbeddingInfo {
                model: "first".into(),
                snapshot: "0".repeat(32),
                node_type: "cell".into(),
                dimension: 2,
                count: 4,
                run: "runs/first".into(),
                has_layout: true,
            },
            keys: ["a", "b", "c", "d"].map(String::from).to_vec(),
            vectors: vec![1.0, 0.0, 2.0, 0.0, 0.0, 1.0, -1.0, 0.0],
            layout: (0..8).map(|at| at as f32).collect(),
        }
    }

    #[test]
    fn nearest_is_by_angle_and_ties_come_by_row() {
        let table = table();
        assert_eq!(table.nearest(&[1.0, 0.0], 2, None), [(0, 1.0), (1, 1.0)]);
        assert_eq!(table.nearest(table.vector(0), 9, Some(0)), [(1, 1.0), (2, 0.0), (3, -1.0)]);
        assert_eq!(table.nearest(&[0.0, 0.0], 1, None), [(0, 0.0)]);
    }

    #[test]
    fn a_table_reads_back_and_any_flipped_byte_is_found() {
        let store = tempfile::tempdir().unwrap();
        table().write(store.path()).unwrap();
        assert_eq!(EmbeddingTable::read(store.path(), "first", "cell").unwrap(), table());
        assert_eq!(EmbeddingTable::list(store.path()).unwrap(), [table().info]);
        let path = EmbeddingTable::path(store.path(), "first", "cell");
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(EmbeddingTable::decode(&path, &bad).is_err(), "byte {at}");
            assert!(EmbeddingTable::decode(&path, &good[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_damaged_table_does_not_hide_the_others() {
        let store = tempfile::tempdir().unwrap();
        for node_type in ["cell", "gene", "tissue"] {
            let mut table = table();
            table.info.node_type = node_type.into();
            table.write(store.path()).unwrap();
        }
        let path = EmbeddingTable::path(store.path(), "first", "gene");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let survey = EmbeddingTable::survey(store.path());
        let found: Vec<Option<&str>> =
            survey.iter().map(|(_, info)| info.as_ref().ok().map(|info| info.node_type.as_str())).collect();
        assert_eq!(found, [Some("cell"), None, Some("tissue")]);
        assert_eq!(survey[1].0, path);
        assert!(EmbeddingTable::list(store.path()).is_err());
    }

    #[test]
    fn a_models_name_cannot_leave_its_folder() {
        for name in ["", "../x", "a/b", ".hidden"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("cell-type.v2").is_ok());
    }
}
