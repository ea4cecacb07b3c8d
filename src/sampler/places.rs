use relata_schema::NodeTypeId;

use super::random::GOLDEN;
use crate::snapshot::Hit;

/// The slot that holds nothing.
const EMPTY: (u64, u32) = (0, u32::MAX);

/// Where each node of a subgraph stands in it: a table with open addresses and linear steps, at most half full.
/// It grows with the subgraph, whatever the size of the database.
#[derive(Default)]
pub(super) struct Places {
    /// Node and place; a power of two of them.
    slots: Vec<(u64, u32)>,
    count: usize,
}

impl Places {
    /// Forgets all nodes and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.slots.fill(EMPTY);
        self.count = 0;
    }

    /// The place of a node.
    pub(super) fn get(&self, node: Hit) -> Option<u32> {
        let (_, found) = *self.slots.get(self.slot(word(node)))?;
        (found != EMPTY.1).then_some(found)
    }

    /// The place of a node that has one; else gives it `place` and returns `None`.
    pub(super) fn get_or_insert(&mut self, node: Hit, place: u32) -> Option<u32> {
        if self.count * 2 >= self.slots.len() {
            self.grow();
        }
        let at = self.slot(word(node));
        match self.slots[at] {
            (_, found) if found != EMPTY.1 => Some(found),
            _ => {
                self.slots[at] = (word(node), place);
                self.count += 1;
                None
            }
        }
    }

    /// The slot that holds a node, or the empty one that would; in a table without slots, none of them.
    fn slot(&self, word: u64) -> usize {
        let mask = self.slots.len().wrapping_sub(1);
        // The upper half of the product depends on all bits of the word (Knuth, TAOCP volume 3, 6.4).
        let mut at = (word.wrapping_mul(GOLDEN) >> 32) as usize & mask;
        while self.slots.get(at).is_some_and(|&slot| slot.1 != EMPTY.1 && slot.0 != word) {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let larger = vec![EMPTY; (self.slots.len() * 2).max(64)];
        for (word, place) in std::mem::replace(&mut self.slots, larger) {
            if place != EMPTY.1 {
                let at = self.slot(word);
                self.slots[at] = (word, place);
            }
        }
    }
}

/// A node as one number.
fn word(node: Hit) -> u64 {
    let NodeTypeId(node_type) = node.node_type;
    u64::from(node_type) << 32 | u64::from(node.node)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sampler::random::Key;

    #[test]
    fn a_table_says_what_a_map_says() {
        let mut places = Places::default();
        for round in 0..3 {
            let mut map = BTreeMap::new();
            let mut random = Key::new("a test", round).random();
            for place in 0..2_000 {
                let node = Hit { node_type: NodeTypeId(random.below(3) as u16), node: random.below(900) as u32 * 4096 };
                let key = (node.node_type, node.node);
                assert_eq!(places.get(node), map.get(&key).copied());
                assert_eq!(places.get_or_insert(node, place), map.get(&key).copied());
                map.entry(key).or_insert(place);
            }
            assert!(map.iter().all(|(&(node_type, node), &place)| places.get(Hit { node_type, node }) == Some(place)));
            places.clear();
        }
        assert_eq!(places.get(Hit { node_type: NodeTypeId(0), node: 0 }), None);
    }
}
