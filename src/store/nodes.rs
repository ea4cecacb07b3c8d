//! Sets of nodes, and the payload of a node list: how many, and their gaps, packed.

use crate::pack::{Malformed, Reader, put_packed, put_varint};

/// The most nodes in one block of a list.
pub(super) const BLOCK_NODES: usize = 4096;

/// A set of the nodes of one type, one bit a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NodeSet {
    words: Vec<u64>,
}

impl NodeSet {
    /// Adds a node; says whether it is new.
    pub(super) fn insert(&mut self, node: u32) -> bool {
        let (word, bit) = (node as usize / 64, 1u64 << (node % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    pub(super) fn contains(&self, node: u32) -> bool {
        self.words.get(node as usize / 64).is_some_and(|word| word & (1 << (node % 64)) != 0)
    }

    pub(super) fn extend(&mut self, other: &Self) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (own, other) in self.words.iter_mut().zip(&other.words) {
            *own |= other;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}

impl FromIterator<u32> for NodeSet {
    fn from_iter<I: IntoIterator<Item = u32>>(nodes: I) -> Self {
        let mut set = Self::default();
        for node in nodes {
            set.insert(node);
        }
        set
    }
}

/// The bytes of a list of ascending nodes, of which the key has the first.
pub(super) fn encode(nodes: &[u32]) -> Vec<u8> {
    let gaps: Vec<u64> = nodes.windows(2).map(|pair| u64::from(pair[1] - pair[0])).collect();
    let mut out = Vec::new();
    put_varint(&mut out, nodes.len() as u64);
    put_packed(&mut out, &gaps);
    out
}

/// Reads a list back; `first` is the node of its key.
pub(super) fn decode(first: u32, payload: &[u8]) -> Result<Vec<u32>, Malformed> {
    let mut reader = Reader::new(payload);
    let count = reader.count(BLOCK_NODES)?;
    let mut gaps = Vec::with_capacity(count);
    reader.packed(count.saturating_sub(1), &mut gaps)?;
    if count == 0 || !reader.is_at_end() {
        return Err(Malformed("it is no list of nodes"));
    }
    let mut nodes = Vec::with_capacity(count);
    nodes.push(first);
    let mut node = u64::from(first);
    for gap in gaps {
        node = node.saturating_add(gap);
        nodes.push(u32::try_from(node).map_err(|_| Malformed("a node is above 32 bits"))?);
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_a_set_and_its_list_reads_back(nodes in prop::collection::vec(0u32..5000, 1..300)) {
            let plain: BTreeSet<u32> = nodes.iter().copied().collect();
            let mut set = NodeSet::default();
            let new = nodes.iter().filter(|&&node| set.insert(node)).count();
            let list: Vec<u32> = set.iter().collect();
            prop_assert_eq!(new, plain.len());
            prop_assert_eq!(set.len(), plain.len());
            prop_assert_eq!(&list, &plain.iter().copied().collect::<Vec<_>>());
            prop_assert!((0..5100).all(|node| set.contains(node) == plain.contains(&node)));
            prop_assert_eq!(decode(list[0], &encode(&list)).unwrap(), list);
        }
    }
}
