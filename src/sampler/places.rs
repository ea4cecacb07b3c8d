use relata_schema::NodeTypeId;

use super::random::GOLDEN;
use super::subgraph::{End, SampledNode};
use crate::snapshot::Hit;

/// Slots a node at least; most are then found at once.
const ROOM: usize = 3;

/// Where each node of a subgraph stands in it: a table for each node type, which grows with the subgraph.
#[derive(Default)]
pub(super) struct Places {
    tables: Vec<Table>,
}

/// Places of the nodes of one type, by their numbers.
///
/// What is kept of a place is a stamp: the place, counted on from the highest stamp of the subgraph before. So nothing has to be
/// cleared for the next one: lower stamps are as good as none.
pub(super) struct Table {
    /// How many nodes the type has.
    nodes: usize,
    /// How many have a place.
    count: usize,
    /// The stamp of place 0.
    base: u32,
    /// Stamp and node, with open addresses and linear steps; a power of two of them.
    slots: Vec<u64>,
    /// By node, its stamp: instead of the slots, where these would take more memory.
    direct: Vec<u32>,
}

impl Places {
    /// Forgets all nodes, of which there were so many at most; `counts` says how many nodes each type has.
    pub(super) fn clear(&mut self, known: usize, counts: &[u32]) {
        let is_of = |(table, &count): (&Table, &u32)| table.nodes == count as usize;
        if self.tables.len() != counts.len() || !self.tables.iter().zip(counts).all(is_of) {
            let table = |&count: &u32| Table { nodes: count as usize, count: 0, base: 1, slots: Vec::new(), direct: Vec::new() };
            self.tables = counts.iter().map(table).collect();
        }
        self.tables.iter_mut().for_each(|table| table.clear(known));
    }

    /// The table of a type.
    pub(super) fn of(&mut self, node_type: NodeTypeId) -> &mut Table {
        &mut self.tables[node_type.index()]
    }

    /// The place of a node.
    pub(super) fn get(&self, node: Hit) -> Option<u32> {
        self.tables[node.node_type.index()].get(node.node)
    }
}

impl Table {
    fn clear(&mut self, known: usize) {
        // Half of all stamps are left, at least: places are numbers of 32 bits, and subgraphs of 2³¹ nodes there are none.
        match u32::try_from(known).ok().and_then(|known| self.base.checked_add(known)).filter(|&base| base < 1 << 31) {
            Some(base) => self.base = base,
            None => {
                self.slots.fill(0);
                self.direct.fill(0);
                self.base = 1;
            }
        }
        // The next subgraph may do with less.
        if self.count * 8 * ROOM < self.slots.len() {
            self.slots.truncate((self.count * 2 * ROOM).next_power_of_two());
        }
        self.count = 0;
    }

    fn get(&self, node: u32) -> Option<u32> {
        let stamp = match self.direct.get(node as usize) {
            Some(&stamp) => stamp,
            None if self.slots.is_empty() => 0,
            None => (self.slots[slot(&self.slots, node, self.base)] >> 32) as u32,
        };
        stamp.checked_sub(self.base)
    }

    /// Makes room for so many more.
    #[inline(always)]
    pub(super) fn reserve(&mut self, more: usize) {
        if self.direct.is_empty() && (self.count + more) * ROOM > self.slots.len() {
            self.grow((self.count + more).min(self.nodes));
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, needed: usize) {
        let slots = (needed * ROOM).next_power_of_two().max(64);
        if slots <= self.slots.len() {
            return;
        }
        let base = self.base;
        let held = std::mem::take(&mut self.slots);
        let held = held.into_iter().filter(|&slot| (slot >> 32) as u32 >= base);
        if slots * 2 >= self.nodes {
            self.direct = vec![0; self.nodes];
            held.for_each(|slot| self.direct[slot as u32 as usize] = (slot >> 32) as u32);
        } else {
            self.slots = vec![0; slots];
            for held in held {
                let at = slot(&self.slots, held as u32, base);
                self.slots[at] = held;
            }
        }
    }

    /// Puts in the place of each end's far node the place that it has in the subgraph. Those that have none follow one another
    /// from `next`, and come into `nodes`, which has to have room for all and one more, alike `node` but for its number; says how
    /// many they are. There has to be [room](Self::reserve) for them.
    #[inline(always)]
    pub(super) fn place_all(&mut self, ends: &mut [End], nodes: &mut [SampledNode], node: SampledNode, next: u32) -> usize {
        assert!(nodes.len() > ends.len());
        let base = self.base;
        // Whether a node is new is not foreseeable: so it is written all the same, and counted or not.
        let mut new = 0;
        let mut write = |new: usize, number: u32| {
            // SAFETY: there are at most as many new ones as ends, and one more node than ends.
            unsafe { *nodes.get_unchecked_mut(new) = SampledNode { node: number, ..node } };
        };
        if self.slots.is_empty() {
            for end in ends {
                let held = &mut self.direct[end.far as usize];
                let is_new = *held < base;
                let stamp = if is_new { base + next + new as u32 } else { *held };
                *held = stamp;
                write(new, std::mem::replace(&mut end.far, stamp - base));
                new += usize::from(is_new);
            }
        } else {
            let slots = self.slots.as_mut_slice();
            for end in ends {
                let at = slot(slots, end.far, base);
                // SAFETY: `slot` masks it.
                let held = unsafe { slots.get_unchecked_mut(at) };
                let is_new = ((*held >> 32) as u32) < base;
                *held = if is_new { u64::from(base + next + new as u32) << 32 | u64::from(end.far) } else { *held };
                let place = (*held >> 32) as u32 - base;
                write(new, std::mem::replace(&mut end.far, place));
                new += usize::from(is_new);
            }
        }
        self.count += new;
        new
    }

    /// The place of a node that has one, and false; else gives it `next`, and says true. There has to be
    /// [room](Self::reserve) for it.
    pub(super) fn get_or_insert(&mut self, number: u32, next: u32) -> (u32, bool) {
        let mut end = [End { far: number, offset: 0 }];
        let nothing = SampledNode { node: 0, node_type: NodeTypeId(0), hop: 0 };
        let new = self.place_all(&mut end, &mut [nothing; 2], nothing, next);
        (end[0].far, new > 0)
    }
}

/// The slot that holds a node, or the empty one that would. There is one at least, and their number is a power of two.
#[inline(always)]
fn slot(slots: &[u64], node: u32, base: u32) -> usize {
    assert!(slots.len().is_power_of_two());
    let mask = slots.len() - 1;
    // The upper half of the product depends on all bits of the node (Knuth, TAOCP volume 3, 6.4).
    let mut at = (u64::from(node).wrapping_mul(GOLDEN) >> 32) as usize & mask;
    loop {
        // SAFETY: the mask is one less than the number of slots, which is a power of two.
        let held = unsafe { *slots.get_unchecked(at) };
        if held as u32 == node || ((held >> 32) as u32) < base {
            return at;
        }
        at = (at + 1) & mask;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sampler::random::Key;

    #[test]
    fn a_table_says_what_a_map_says() {
        // Of the first type nearly all nodes come, of the second many, of the third few of many.
        let counts = [900, 4_000_000, u32::MAX];
        let mut places = Places::default();
        let mut known = 0;
        for round in 0..6 {
            places.clear(std::mem::take(&mut known), &counts);
            let mut map = BTreeMap::new();
            let mut random = Key::new("a test", round).random();
            let most = [4_000, 300_000, 10][round as usize % 3];
            for place in 0..most {
                let node_type = NodeTypeId(random.below(3) as u16);
                let bound = u64::from(counts[node_type.index()].min(1_000_000));
                let node = Hit { node_type, node: random.below(bound) as u32 };
                let key = (node_type, node.node);
                assert_eq!(places.get(node), map.get(&key).copied());
                let table = places.of(node_type);
                table.reserve(1);
                let expected = map.get(&key).map_or((place, true), |&place| (place, false));
                assert_eq!(table.get_or_insert(node.node, place), expected);
                map.entry(key).or_insert(place);
            }
            assert!(map.iter().all(|(&(node_type, node), &place)| places.get(Hit { node_type, node }) == Some(place)));
            known = most as usize;
        }
    }

    #[test]
    fn memory_follows_the_subgraph_and_not_the_database() {
        let mut places = Places::default();
        let (counts, cell) = ([u32::MAX], NodeTypeId(0));
        places.clear(0, &counts);
        places.of(cell).reserve(1000);
        assert!(places.of(cell).direct.is_empty() && places.of(cell).slots.len() <= 4096);
        places.of(cell).reserve(100_000);
        (0..100_000).for_each(|node| assert!(places.of(cell).get_or_insert(node * 7, node).1));
        // Once little was held, little is kept for the next.
        places.clear(100_000, &counts);
        assert!(places.of(cell).slots.len() > 100_000);
        places.of(cell).reserve(10);
        places.of(cell).get_or_insert(3, 0);
        places.clear(1, &counts);
        let table = places.of(cell);
        assert!(table.slots.len() < 100);
        // When the stamps come to their end, they begin anew.
        places.tables[0].base = (1 << 31) - 5;
        places.of(cell).reserve(10);
        assert_eq!(places.of(cell).get_or_insert(3, 7), (7, true));
        places.clear(10, &counts);
        assert_eq!((places.tables[0].base, places.get(Hit { node_type: cell, node: 3 })), (1, None));
    }
}
