use relata_schema::{NodeTypeId, SchemaError, nearest};

use super::Snapshot;
use crate::{Error, Result};

/// Separates the identifiers that one text attribute may hold.
const SEPARATOR: char = '|';

/// How many keys around the place of a misspelt one are compared with it.
const NEIGHBOURHOOD: u32 = 2_000;

/// A node that a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    /// All nodes, of any type, that a name may mean: those with this key; else those with this label, whatever the case;
    /// else those with this identifier.
    pub fn named(&self, name: &str) -> Vec<Hit> {
        let types = self.schema().node_type_ids();
        let by_key: Vec<Hit> = types.filter_map(|node_type| Some(Hit { node_type, node: self.find(node_type, name)? })).collect();
        if !by_key.is_empty() {
            return by_key;
        }
        let folded = name.trim().to_lowercase();
        let index = self.search_index();
        let first = index.entries.partition_point(|entry| index.text(entry) < folded.as_str());
        let same = index.entries[first..].iter().take_while(|entry| index.text(entry) == folded);
        let mut hits: Vec<Hit> = same.map(|entry| entry.2).collect();
        hits.dedup();
        let by_label = |hit: &Hit| self.label(hit.node_type, hit.node).to_lowercase() == folded;
        let labelled: Vec<Hit> = hits.iter().copied().filter(by_label).collect();
        if labelled.is_empty() { hits } else { labelled }
    }

    /// The type and the key in `type:key`; nothing where what is before the first colon is no type. Keys may hold colons.
    pub fn typed<'t>(&self, text: &'t str) -> Option<(NodeTypeId, &'t str)> {
        let (node_type, key) = text.split_once(':')?;
        Some((self.schema().node_type(node_type).ok()?, key))
    }

    /// A node as [`typed`](Self::typed) and [`locate`](Self::locate) read it: `gene:ENSG00000167286`.
    pub fn title(&self, hit: Hit) -> String {
        format!("{}:{}", self.schema().node(hit.node_type).name, self.key(hit.node_type, hit.node))
    }

    /// The node that a person writes as `type:key`, or by a key, label or identifier alone that no other node has.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] or an unknown type, with the nearest; [`Error::Setting`] with the candidates where there are
    /// several.
    pub fn locate(&self, text: &str) -> Result<Hit> {
        if let Some((node_type, key)) = self.typed(text) {
            return Ok(Hit { node_type, node: self.resolve(node_type, key)? });
        }
        match self.named(text).as_slice() {
            &[only] => Ok(only),
            [] => {
                if let Some(error) = self.misspelt_type(text) {
                    return Err(error.into());
                }
                let near: Vec<String> = self.near(text, 3).into_iter().map(|hit| format!("`{}`", self.title(hit))).collect();
                let suggestion = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
                Err(Error::UnknownKey { node_type: "node".to_owned(), key: text.to_owned(), suggestion })
            }
            several => Err(Error::Setting {
                setting: format!("`{text}`"),
                found: format!("{} nodes of this name", several.len()),
                expected: format!("one of {}", self.titles(several).join(", ")),
            }),
        }
    }

    /// The first few of some nodes, as [`title`](Self::title) writes them.
    pub fn titles(&self, hits: &[Hit]) -> Vec<String> {
        hits.iter().take(10).map(|&hit| self.title(hit)).collect()
    }

    /// The error for `gnee:CD3D`, where the word before the colon is nearly a type.
    pub fn misspelt_type(&self, text: &str) -> Option<SchemaError> {
        let (word, _) = text.split_once(':')?;
        let types = self.schema().node_types().iter().map(|known| known.name.as_str());
        if nearest(word, types).is_empty() { None } else { self.schema().node_type(word).err() }
    }

    /// Nodes of any type whose keys are near to one that no node has.
    pub fn near(&self, key: &str, count: usize) -> Vec<Hit> {
        let of_type = |node_type| {
            let keys = self.nearest_keys(node_type, key, count);
            keys.into_iter().filter_map(move |key| Some(Hit { node_type, node: self.find(node_type, key)? }))
        };
        let all: Vec<Hit> = self.schema().node_type_ids().flat_map(of_type).collect();
        let close = nearest(key, all.iter().map(|hit| self.key(hit.node_type, hit.node)));
        let is_close = |hit: &&Hit| close.contains(&self.key(hit.node_type, hit.node));
        // Where no key is near, those are left that hold the text.
        let mut chosen: Vec<Hit> = all.iter().filter(is_close).copied().collect();
        if chosen.is_empty() {
            chosen = all;
        }
        chosen.truncate(count);
        chosen
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
