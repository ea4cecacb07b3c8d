//! Which node a text means.

use std::borrow::Cow;

use hashbrown::HashMap;
use relata_schema::AttributeId;
use relata_schema::identifier::{curie, unversioned};
use smallvec::SmallVec;

use crate::known::Known;

/// What became of a text that should name a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// One node.
    Node(u32),
    /// Several, equally well: none is taken.
    Ambiguous(usize),
    /// None.
    Nothing,
}

/// Where a name of a node stands: its key, or an identifier attribute by its place in the schema's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Key,
    Identifier(u16),
}

#[derive(Clone, Debug)]
struct Name {
    node: u32,
    rank: Rank,
    attribute: Option<AttributeId>,
    /// As it is written, where that is not lower case.
    spelling: Option<Box<str>>,
}

/// The names of a node type's nodes: keys, and identifier attributes in the order of the schema.
///
/// A text is looked up as it is, then as an ontology id with a colon, then as an Ensembl id without version. Among
/// nodes that share a name, the exact spelling goes before another case, then the key before identifiers, then the
/// earlier identifier attribute (symbol) before a later one (synonyms). Two nodes that are equally good are ambiguous.
///
/// A new one is empty and takes no names: as long as only keys are asked for, the store finds them as well. Once it is
/// [filled](Self::fill), it takes those that are added.
#[derive(Debug, Default)]
pub struct Resolver {
    is_filled: bool,
    /// By the text in lower case. Nearly every one names one node.
    names: HashMap<String, SmallVec<[Name; 1]>>,
    state: u64,
    /// What integers name in an attribute, or in the key and all of them, and the state in which that was so.
    integers: Vec<(Option<AttributeId>, u64, Known)>,
}

impl Resolver {
    /// Takes the keys of a type's nodes.
    pub fn fill(&mut self, keys: Vec<(u32, String)>) {
        self.is_filled = true;
        self.names.reserve(keys.len());
        for (node, key) in keys {
            self.add_text(key.into(), node, Rank::Key, None);
        }
    }

    /// Whether it has the names of all nodes.
    pub fn is_filled(&self) -> bool {
        self.is_filled
    }

    /// Adds a key.
    pub fn add_key(&mut self, key: &str, node: u32) {
        self.add_text(key.into(), node, Rank::Key, None);
    }

    /// Adds the identifiers in one value of the `place`th identifier attribute, separated by `|`.
    pub fn add_identifiers(&mut self, value: &str, place: u16, attribute: AttributeId, node: u32) {
        for identifier in value.split('|').map(str::trim).filter(|identifier| !identifier.is_empty()) {
            self.add_text(identifier.into(), node, Rank::Identifier(place), Some(attribute));
        }
    }

    fn add_text(&mut self, text: Cow<'_, str>, node: u32, rank: Rank, attribute: Option<AttributeId>) {
        if !self.is_filled {
            return;
        }
        let (folded, spelling) = match lower_case(&text) {
            // Nearly every text; one that is owned becomes the name as it stands.
            Cow::Borrowed(_) => (text, None),
            Cow::Owned(folded) if folded == text => (text, None),
            Cow::Owned(folded) => (Cow::Owned(folded), Some(Box::from(&*text))),
        };
        let names = match folded {
            Cow::Borrowed(folded) => self.names.entry_ref(folded).or_default(),
            Cow::Owned(folded) => self.names.entry(folded).or_default(),
        };
        let known = |name: &Name| name.node == node && name.rank == rank && name.spelling == spelling;
        if !names.iter().any(known) {
            names.push(Name { node, rank, attribute, spelling });
            self.state += 1;
        }
    }

    /// A number that changes with every name that is added.
    pub fn state(&self) -> u64 {
        self.state
    }

    /// The nodes that integers were found to name, in `only`, as long as no name was added since.
    pub(crate) fn take_integers(&mut self, only: Option<AttributeId>) -> Known {
        let state = self.state;
        match self.integers.iter_mut().find(|(known, _, _)| *known == only) {
            Some((_, then, integers)) if *then == state => std::mem::take(integers),
            _ => Known::default(),
        }
    }

    /// Keeps them for [`take_integers`](Self::take_integers).
    pub(crate) fn keep_integers(&mut self, only: Option<AttributeId>, mut integers: Known) {
        integers.forget_lost();
        self.integers.retain(|(known, _, _)| *known != only);
        self.integers.push((only, self.state, integers));
    }

    /// The node that `text` names, in the key or any identifier, or in the attribute `only`.
    pub fn find(&self, text: &str, only: Option<AttributeId>) -> Match {
        let text = text.trim();
        let found = self.find_spelling(text, only);
        if found != Match::Nothing {
            return found;
        }
        let with_colon = curie(text);
        for other in [with_colon.as_str(), unversioned(text)] {
            if other != text {
                let found = self.find_spelling(other, only);
                if found != Match::Nothing {
                    return found;
                }
            }
        }
        Match::Nothing
    }

    fn find_spelling(&self, text: &str, only: Option<AttributeId>) -> Match {
        let folded = lower_case(text);
        let Some(names) = self.names.get(&*folded) else { return Match::Nothing };
        if let ([name], None) = (names.as_slice(), only) {
            return Match::Node(name.node);
        }
        let quality = |name: &Name| {
            let spelling = name.spelling.as_deref().unwrap_or(&folded);
            (spelling != text, name.rank)
        };
        let fits = |name: &&Name| only.is_none() || name.attribute == only;
        let Some(best) = names.iter().filter(fits).map(quality).min() else { return Match::Nothing };
        let mut nodes: Vec<u32> = names.iter().filter(fits).filter(|name| quality(name) == best).map(|name| name.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        match nodes.as_slice() {
            [only] => Match::Node(*only),
            several => Match::Ambiguous(several.len()),
        }
    }
}

fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOL: AttributeId = AttributeId(0);
    const SYNONYMS: AttributeId = AttributeId(3);

    fn genes() -> Resolver {
        let mut genes = Resolver::default();
        genes.add_key("TP53", 7);
        assert!(!genes.is_filled() && genes.state() == 0, "it takes no names before it is filled");
        genes.fill(Vec::new());
        genes.add_key("ENSG00000141510", 0);
        genes.add_identifiers("TP53", 0, SYMBOL, 0);
        genes.add_identifiers("p53|LFS1", 1, SYNONYMS, 0);
        genes.add_key("ENSG00000000002", 1);
        genes.add_identifiers("LFS1", 0, SYMBOL, 1);
        genes.add_identifiers("SHARED", 1, SYNONYMS, 1);
        genes.add_key("ENSG00000000003", 2);
        genes.add_identifiers("Shared | other", 1, SYNONYMS, 2);
        genes.add_key("CL:0000236", 3);
        genes
    }

    #[test]
    fn keys_symbols_and_synonyms_are_found_in_any_spelling() {
        let genes = genes();
        for text in ["ENSG00000141510", "ENSG00000141510.16", "TP53", "tp53", " p53 "] {
            assert_eq!(genes.find(text, None), Match::Node(0), "{text}");
        }
        assert_eq!(genes.find("CL_0000236", None), Match::Node(3));
        assert_eq!(genes.find("TP54", None), Match::Nothing);
    }

    #[test]
    fn a_symbol_goes_before_a_synonym_and_equals_are_ambiguous() {
        let genes = genes();
        assert_eq!(genes.find("LFS1", None), Match::Node(1));
        assert_eq!(genes.find("LFS1", Some(SYNONYMS)), Match::Node(0));
        assert_eq!(genes.find("SHARED", None), Match::Node(1));
        assert_eq!(genes.find("shared", None), Match::Ambiguous(2));
        assert_eq!(genes.find("TP53", Some(SYNONYMS)), Match::Nothing);
    }
}
