//! What a model thinks of each node: one vector a node, on the disk, with the model and the snapshot it came from.

use std::path::Path;

use crate::Result;

/// What `<store>/models/<name>/model.json` says.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EmbeddingInfo {
    /// The model's name.
    pub model: String,
    /// The snapshot that was embedded, in hexadecimal.
    pub snapshot: String,
    /// The node type's name.
    pub node_type: String,
    /// Numbers a node.
    pub dimension: u32,
    /// How many nodes.
    pub count: u32,
    /// The run that the weights came from, and when.
    pub run: String,
}

/// The embeddings of one node type by one model: row i belongs to `keys[i]`.
pub struct EmbeddingTable {
    /// Provenance.
    pub info: EmbeddingInfo,
    /// Node keys, ascending.
    pub keys: Vec<String>,
    /// `count × dimension`, row-major.
    pub vectors: Vec<f32>,
    /// `count × 2`: a layout for the eye, or empty.
    pub layout: Vec<f32>,
}

impl EmbeddingTable {
    /// Writes `<store>/models/<model>/<node type>.embedding`, whole or not at all.
    pub fn write(&self, _store: &Path) -> Result<()> {
        todo!()
    }
    /// Reads one back, checksum verified.
    pub fn read(_store: &Path, _model: &str, _node_type: &str) -> Result<Self> {
        todo!()
    }
    /// What a store holds: every model and node type.
    pub fn list(_store: &Path) -> Result<Vec<EmbeddingInfo>> {
        todo!()
    }
    /// The row of a key.
    pub fn row(&self, _key: &str) -> Option<usize> {
        todo!()
    }
    /// The `count` rows nearest to `vector` by cosine similarity, best first, without `except`. Exact, in parallel.
    pub fn nearest(&self, _vector: &[f32], _count: usize, _except: Option<usize>) -> Vec<(usize, f32)> {
        todo!()
    }
}
