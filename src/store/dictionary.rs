//! Names of nodes and of edge categories, on the disk: appended to, never changed.
//!
//! ```text
//! key    kind u8 (1 nodes, 2 categories), node type or relation u16, attribute u16, first number u32; big-endian
//! value  bincode list of names, numbered on from the first; 8 bytes of checksum over key and value
//! ```
//!
//! The commit record holds how many names count, and a hash over the checksums of their blocks. Blocks beyond that count
//! are what an interrupted commit left; the next load removes them.

use std::collections::BTreeMap;

use relata_schema::{AttributeId, NodeTypeId, RelationId, Schema};
use serde::{Deserialize, Serialize};

use super::engine::{Engine, Tree};
use super::names::Names;
use super::segment::{CHECKSUM_BYTES, checksum};
use crate::{Error, Result};

/// The most names in a block.
const BLOCK_NAMES: u32 = 256;

/// Whose names they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Owner {
    Nodes(NodeTypeId),
    Categories(RelationId, AttributeId),
}

/// What the commit record says of a dictionary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DictionaryEntry {
    pub owner: Owner,
    pub count: u32,
    /// 0 for no block; with each block BLAKE3 of the hash before and the block's checksum.
    pub hash: [u8; 32],
}

impl DictionaryEntry {
    pub(super) fn empty(owner: Owner) -> Self {
        Self { owner, count: 0, hash: [0; 32] }
    }
}

impl Owner {
    fn prefix(self) -> [u8; 5] {
        let (kind, owner, attribute) = match self {
            Self::Nodes(node_type) => (1, node_type.0, 0),
            Self::Categories(relation, attribute) => (2, relation.0, attribute.0),
        };
        let ([a, b], [c, d]) = (owner.to_be_bytes(), attribute.to_be_bytes());
        [kind, a, b, c, d]
    }

    fn key(self, first: u32) -> Vec<u8> {
        [self.prefix().as_slice(), &first.to_be_bytes()].concat()
    }

    /// For messages: "keys of gene".
    pub(super) fn describe(self, schema: &Schema) -> String {
        match self {
            Self::Nodes(id) => match schema.node_types().get(id.index()) {
                Some(node_type) => format!("the keys of {}", node_type.name),
                None => format!("the keys of node type {}", id.0),
            },
            Self::Categories(id, attribute) => match schema.relations().get(id.index()) {
                Some(relation) => match relation.attributes.get(attribute.index()) {
                    Some(attribute) => format!("the categories of {}, {}", schema.relation_title(id), attribute.name),
                    None => format!("the categories of {}, attribute {}", schema.relation_title(id), attribute.0),
                },
                None => format!("the categories of relation {}, attribute {}", id.0, attribute.0),
            },
        }
    }
}

/// Reads the committed names of an owner, verified.
pub(super) fn read(engine: &Engine, entry: &DictionaryEntry, schema: &Schema) -> Result<Names> {
    let mut names = Names::default();
    let mut hash = [0; 32];
    let damaged = |first: u32, found: &str| Error::Damaged {
        path: engine.path().to_owned(),
        record: format!("the dictionary of {}, from number {first}", entry.owner.describe(schema)),
        found: found.to_owned(),
        remedy: super::REMEDY_DAMAGED.to_owned(),
    };
    engine.scan(Tree::Dictionaries, &entry.owner.prefix(), |key, value| {
        let first = names.len();
        if first == entry.count {
            return Ok(false);
        }
        if key != entry.owner.key(first) {
            return Err(damaged(first, "the block is missing"));
        }
        let (body, sum) = value
            .split_at_checked(value.len().wrapping_sub(CHECKSUM_BYTES))
            .ok_or_else(|| damaged(first, "the block is short"))?;
        if checksum(&[key, body].concat()) != sum {
            return Err(damaged(first, "its checksum is not that of its bytes"));
        }
        let block: Vec<String> = super::decoded(body).map_err(|_| damaged(first, "it does not decode as names"))?;
        if block.len() > (entry.count - first) as usize {
            return Err(damaged(first, "it has more names than were committed"));
        }
        block.iter().for_each(|name| names.push(name));
        hash = chained(&hash, sum);
        Ok(true)
    })?;
    if names.len() != entry.count || hash != entry.hash {
        let found = format!("{} names, expected {} with another hash", names.len(), entry.count);
        return Err(damaged(names.len(), &found));
    }
    Ok(names)
}

fn chained(hash: &[u8; 32], sum: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(hash).update(sum).finalize().as_bytes()
}

/// Writes the names that lie beyond the committed ones, and returns what the next commit record says.
pub(super) fn append(engine: &Engine, entry: &DictionaryEntry, names: &Names) -> Result<DictionaryEntry> {
    let mut hash = entry.hash;
    let blocks = (entry.count..names.len()).step_by(BLOCK_NAMES as usize).map(|first| {
        let key = entry.owner.key(first);
        let block: Vec<&str> = (first..names.len()).take(BLOCK_NAMES as usize).map(|number| names.get(number)).collect();
        let mut value = super::encoded(&block);
        let sum = checksum(&[key.as_slice(), value.as_slice()].concat());
        hash = chained(&hash, &sum);
        value.extend_from_slice(&sum);
        (key, value)
    });
    engine.put(Tree::Dictionaries, blocks)?;
    Ok(DictionaryEntry { owner: entry.owner, count: names.len(), hash })
}

/// Writes the names of several owners that lie beyond the committed ones, and returns what the next commit record says of
/// all owners.
pub(super) fn append_all<'n>(
    engine: &Engine,
    committed: &[DictionaryEntry],
    names: impl Iterator<Item = (Owner, &'n Names)>,
) -> Result<Vec<DictionaryEntry>> {
    let mut entries: BTreeMap<Owner, DictionaryEntry> = committed.iter().map(|entry| (entry.owner, entry.clone())).collect();
    for (owner, names) in names {
        let entry = entries.entry(owner).or_insert_with(|| DictionaryEntry::empty(owner));
        if names.len() > entry.count {
            *entry = append(engine, entry, names)?;
        }
    }
    entries.retain(|_, entry| entry.count > 0);
    Ok(entries.into_values().collect())
}

/// Removes the blocks that no commit lists.
pub(super) fn remove_uncommitted(engine: &Engine, committed: &[DictionaryEntry]) -> Result<()> {
    let counts: BTreeMap<[u8; 5], u32> = committed.iter().map(|entry| (entry.owner.prefix(), entry.count)).collect();
    let mut unlisted = Vec::new();
    let mut from = Vec::new();
    while let Some(key) = engine.next_key(Tree::Dictionaries, &from)? {
        let listed = key.split_first_chunk().and_then(|(prefix, rest)| {
            let first = u32::from_be_bytes(rest.try_into().ok()?);
            counts.get::<[u8; 5]>(prefix).filter(|&&count| first < count).map(|&count| (*prefix, count))
        });
        match listed {
            // On to what lies behind the committed blocks of this owner.
            Some((prefix, count)) => from = [prefix.as_slice(), &count.to_be_bytes()].concat(),
            None => {
                from = [key.as_slice(), &[0]].concat();
                unlisted.push(key);
            }
        }
    }
    engine.remove(Tree::Dictionaries, &unlisted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(names: &mut Names, to: u32) {
        for number in names.len()..to {
            names.insert(&format!("gene {number}")).unwrap();
        }
    }

    #[test]
    fn names_are_appended_and_what_no_commit_lists_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("db")).unwrap();
        let schema = Schema::biology();
        let genes = DictionaryEntry::empty(Owner::Nodes(schema.node_type("gene").unwrap()));
        let cells = DictionaryEntry::empty(Owner::Nodes(schema.node_type("cell").unwrap()));
        let mut names = Names::default();
        grown(&mut names, 700);
        let first = append(&engine, &genes, &names).unwrap();
        let other = append(&engine, &cells, &names).unwrap();
        assert_eq!((first.count, other.count), (700, 700));
        // An interrupted commit: longer than the one that follows it.
        grown(&mut names, 2000);
        append(&engine, &first, &names).unwrap();
        remove_uncommitted(&engine, std::slice::from_ref(&first)).unwrap();
        let mut names = read(&engine, &first, &schema).unwrap();
        assert_eq!(names.len(), 700);
        assert_eq!(names.get(699), "gene 699");
        let error = read(&engine, &other, &schema).err().expect("it was not among the committed").to_string();
        assert!(error.contains("the keys of cell"), "{error}");
        grown(&mut names, 710);
        let second = append(&engine, &first, &names).unwrap();
        let names = read(&engine, &second, &schema).unwrap();
        assert_eq!((names.len(), names.find("gene 709")), (710, Some(709)));
    }

    #[test]
    fn a_changed_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("db")).unwrap();
        let schema = Schema::biology();
        let mut names = Names::default();
        grown(&mut names, 300);
        let entry = append(&engine, &DictionaryEntry::empty(Owner::Nodes(NodeTypeId(3))), &names).unwrap();
        let key = entry.owner.key(256);
        let mut value = engine.get(Tree::Dictionaries, &key).unwrap().unwrap();
        value[5] ^= 1;
        engine.put(Tree::Dictionaries, [(key.clone(), value)]).unwrap();
        let error = read(&engine, &entry, &schema).err().expect("a byte was changed").to_string();
        assert!(error.contains("the keys of gene, from number 256"), "{error}");
        engine.remove(Tree::Dictionaries, &[key]).unwrap();
        assert!(read(&engine, &entry, &schema).is_err());
    }
}
