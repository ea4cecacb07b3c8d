use relata_schema::{NodeTypeId, nearest};

use super::Snapshot;
use crate::{Error, Result};

/// Separates the identifiers that one text attribute may hold.
const SEPARATOR: char = '|';

/// How many keys around the place of a misspelt one are compared with it.
const NEIGHBOURHOOD: u32 = 2_000;

/// A node that a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its type.
    pub node_type: NodeTypeId,
    /// Its number.
    pub node: u32,
}

/// Every key, label and identifier in lower case, in order.
pub(super) struct SearchIndex {
    /// All texts, one behind the other.
    texts: String,
    /// Start and end of each text in `texts`, and whose it is; ascending by text.
    entries: Vec<(u32, u32, Hit)>,
}

impl SearchIndex {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut index = Self { texts: String::new(), entries: Vec::new() };
        for node_type in snapshot.schema().node_type_ids() {
            let identifiers = &snapshot.schema().node(node_type).identifiers;
            for node in 0..snapshot.node_count(node_type) {
                let hit = Hit { node_type, node };
                index.add(snapshot.key(node_type, node), hit);
                for &attribute in identifiers {
                    for identifier in snapshot.text(node_type, attribute, node).unwrap_or_default().split(SEPARATOR) {
                        index.add(identifier, hit);
                    }
                }
            }
        }
        let texts = std::mem::take(&mut index.texts);
        index.entries.sort_by(|one, other| {
            let text = |entry: &(u32, u32, Hit)| &texts[entry.0 as usize..entry.1 as usize];
            text(one).cmp(text(other)).then((one.2.node_type, one.2.node).cmp(&(other.2.node_type, other.2.node)))
        });
        index.texts = texts;
        index
    }

    fn add(&mut self, text: &str, hit: Hit) {
        let folded = text.trim().to_lowercase();
        // Four gigabytes of names: what is beyond is found by its exact key only.
        if folded.is_empty() || self.texts.len() + folded.len() > u32::MAX as usize {
            return;
        }
        let start = self.texts.len() as u32;
        self.texts.push_str(&folded);
        self.entries.push((start, self.texts.len() as u32, hit));
    }

    fn text(&self, entry: &(u32, u32, Hit)) -> &str {
        &self.texts[entry.0 as usize..entry.1 as usize]
    }
}

impl Snapshot {
    /// Nodes with `query` in their key, label or identifiers, whatever the case: exact ones first, then those that
    /// start with it, then those that hold it; each in the order of the text, without repetition.
    pub fn search(&self, query: &str, node_types: Option<&[NodeTypeId]>, limit: usize) -> Vec<Hit> {
        let query = query.trim().to_lowercase();
        if query.is_empty() {
            return Vec::new();
        }
        let index = self.search_index();
        let mut hits = Vec::new();
        let mut add = |hit: Hit| {
            if node_types.is_none_or(|types| types.contains(&hit.node_type)) && !hits.contains(&hit) {
                hits.push(hit);
            }
            hits.len() >= limit
        };
        let first = index.entries.partition_point(|entry| index.text(entry) < query.as_str());
        let starting = index.entries[first..].iter().take_while(|entry| index.text(entry).starts_with(&query));
        let mut starting: Vec<_> = starting.take(10_000).collect();
        starting.sort_by_key(|entry| entry.1 - entry.0);
        for entry in starting {
            if add(entry.2) {
                return hits;
            }
        }
        for entry in &index.entries {
            if index.text(entry).contains(&query) && add(entry.2) {
                break;
            }
        }
        hits
    }

    /// The keys nearest to one that does not exist, best first: at most `count`.
    pub fn nearest_keys(&self, node_type: NodeTypeId, key: &str, count: usize) -> Vec<&str> {
        let at = self.lower_bound(node_type, key);
        let around = at.saturating_sub(NEIGHBOURHOOD)..at.saturating_add(NEIGHBOURHOOD).min(self.node_count(node_type));
        let close = nearest(key, around.map(|node| self.key(node_type, node)));
        if !close.is_empty() {
            return close.into_iter().take(count).collect();
        }
        let hits = self.search(key, Some(&[node_type]), count);
        hits.into_iter().map(|hit| self.key(node_type, hit.node)).collect()
    }

    /// The node that a person means: by its key, or by a label or identifier that only one node has, whatever the case.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] with the nearest keys.
    pub fn resolve(&self, node_type: NodeTypeId, name: &str) -> Result<u32> {
        if let Some(node) = self.find(node_type, name) {
            return Ok(node);
        }
        let folded = name.trim().to_lowercase();
        let index = self.search_index();
        let first = index.entries.partition_point(|entry| index.text(entry) < folded.as_str());
        let same = index.entries[first..].iter().take_while(|entry| index.text(entry) == folded);
        let mut nodes: Vec<u32> = same.filter(|entry| entry.2.node_type == node_type).map(|entry| entry.2.node).collect();
        nodes.dedup();
        let labelled =
            |nodes: &[u32]| nodes.iter().copied().filter(|&node| self.label(node_type, node).to_lowercase() == folded).collect();
        let by_label: Vec<u32> = labelled(&nodes);
        match (nodes.as_slice(), by_label.as_slice()) {
            (&[only], _) | (_, &[only]) => Ok(only),
            _ => Err(self.unknown_key(node_type, name)),
        }
    }

    /// The error that says that a node does not exist, with the nearest keys.
    pub fn unknown_key(&self, node_type: NodeTypeId, key: &str) -> Error {
        let near = self.nearest_keys(node_type, key, 3);
        let names = near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        Error::UnknownKey {
            node_type: self.schema().node(node_type).name.clone(),
            key: key.to_owned(),
            suggestion: if names.is_empty() { String::new() } else { format!("; did you mean {names}?") },
        }
    }
}
