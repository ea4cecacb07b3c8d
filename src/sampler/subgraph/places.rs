use std::mem::MaybeUninit;

use relata_schema::NodeTypeId;

use super::{End, SampledNode};
use crate::sampler::random::GOLDEN;
use crate::snapshot::Hit;

/// Slots a node at least; most are then found at once.
const ROOM: usize = 3;

/// A type of at most so many nodes has its stamps by node from the first: a megabyte, and no slot is ever looked for.
const FEW_NODES: usize = 1 << 18;

/// Where each node of a subgraph stands in it: a table for each node type, which grows with the subgraph.
#[derive(Default)]
pub(in crate::sampler) struct Places {
    tables: Vec<Table>,
}

/// Places of the nodes of one type, by their numbers.
///
/// What is kept of a place is a stamp: the place, counted on from the highest stamp of the subgraph before. So nothing has to be
/// cleared for the next one: lower stamps are as good as none.
pub(in crate::sampler) struct Table {
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
    /// Forgets all nodes; `counts` says how many nodes each type has.
    pub(in crate::sampler) fn clear(&mut self, counts: &[u32]) {
        let is_of = |(table, &count): (&Table, &u32)| table.nodes == count as usize;
        if self.tables.len() != counts.len() || !self.tables.iter().zip(counts).all(is_of) {
            let table = |&count: &u32| Table { nodes: count as usize, count: 0, base: 1, slots: Vec::new(), direct: Vec::new() };
            self.tables = counts.iter().map(table).collect();
        }
        // Places count all nodes, of whatever type.
        let known = self.tables.iter().map(|table| table.count).sum();
        self.tables.iter_mut().for_each(|table| table.clear(known));
    }

    /// The table of a type.
    pub(in crate::sampler) fn of(&mut self, node_type: NodeTypeId) -> &mut Table {
        &mut self.tables[node_type.index()]
    }

    /// The place of a node.
    pub(in crate::sampler) fn get(&self, node: Hit) -> Option<u32> {
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
    pub(in crate::sampler) fn reserve(&mut self, more: usize) {
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
        if slots * 2 >= self.nodes || self.nodes <= FEW_NODES {
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

    /// Writes an end for each edge, with the place that its far node has in the subgraph. Far nodes that have none follow one
    /// another from `next`, and come into `nodes`, alike `node` but for their number; says how many they are. There has to be
    /// [room](Self::reserve) for them, `ends` needs as many as there are edges, and `nodes` one more.
    #[inline(always)]
    pub(in crate::sampler) fn place_all(&mut self, fars: Fars<'_>, into: Into<'_>, node: SampledNode, next: u32) -> usize {
        let Fars { targets, last, positions, offsets } = fars;
        let Into { ends, nodes } = into;
        let count = positions.len();
        assert!(offsets.len() == count && ends.len() >= count && nodes.len() > count);
        let base = self.base;
        let first = base + next;
        let mut stamp = first;
        // SAFETY: `at` is below the number of edges, and there are at most as many new nodes as edges, and one more node than edges;
        // positions are chosen among those of a node's edges, and these are within the targets.
        macro_rules! place {
            ($at:ident, $number:ident, $held:expr) => {
                for $at in 0..count {
                    let position = unsafe { *positions.get_unchecked($at) } as usize;
                    debug_assert!(position < targets.len());
                    let $number = unsafe { *targets.get_unchecked(position) }.min(last);
                    let held: u32 = $held;
                    let is_new = held == stamp;
                    unsafe {
                        ends.get_unchecked_mut($at).write(End { far: held - base, offset: *offsets.get_unchecked($at) });
                        // Whether a node is new is not foreseeable: so it is written all the same, and counted or not.
                        nodes.get_unchecked_mut((stamp - first) as usize).write(SampledNode { node: $number, ..node });
                    }
                    stamp += u32::from(is_new);
                }
            };
        }
        if self.slots.is_empty() {
            let direct = self.direct.as_mut_slice();
            assert!(direct.len() > last as usize);
            place!(at, number, {
                // SAFETY: there is one for each node up to the last.
                let held = unsafe { direct.get_unchecked_mut(number as usize) };
                *held = if *held < base { stamp } else { *held };
                *held
            });
        } else {
            let slots = self.slots.as_mut_slice();
            place!(at, number, {
                let slot = slot(slots, number, base);
                // SAFETY: `slot` masks it.
                let held = unsafe { slots.get_unchecked_mut(slot) };
                *held = if ((*held >> 32) as u32) < base { u64::from(stamp) << 32 | u64::from(number) } else { *held };
                (*held >> 32) as u32
            });
        }
        let new = (stamp - first) as usize;
        self.count += new;
        new
    }

    /// The place of a node that has one, and false; else gives it `next`, and says true. There has to be
    /// [room](Self::reserve) for it.
    #[inline(always)]
    pub(in crate::sampler) fn get_or_insert(&mut self, number: u32, next: u32) -> (u32, bool) {
        let base = self.base;
        let (stamp, is_new) = if self.slots.is_empty() {
            let held = &mut self.direct[number as usize];
            let is_new = *held < base;
            *held = if is_new { base + next } else { *held };
            (*held, is_new)
        } else {
            let at = slot(&self.slots, number, base);
            let held = &mut self.slots[at];
            let is_new = ((*held >> 32) as u32) < base;
            *held = if is_new { u64::from(base + next) << 32 | u64::from(number) } else { *held };
            ((*held >> 32) as u32, is_new)
        };
        self.count += usize::from(is_new);
        (stamp - base, is_new)
    }
}

/// Far nodes of one type, which are not looked up yet.
pub(in crate::sampler) struct Fars<'t> {
    /// By position.
    pub(in crate::sampler) targets: &'t [u32],
    /// The last node of the type; a snapshot that is not verified may name what is not there.
    pub(in crate::sampler) last: u32,
    /// The positions of edges to them.
    pub(in crate::sampler) positions: &'t [u64],
    /// Of each, what its end says of it.
    pub(in crate::sampler) offsets: &'t [u32],
}

/// Where ends and new nodes are written.
pub(in crate::sampler) struct Into<'t> {
    pub(in crate::sampler) ends: &'t mut [MaybeUninit<End>],
    pub(in crate::sampler) nodes: &'t mut [MaybeUninit<SampledNode>],
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
        for round in 0..6 {
            places.clear(&counts);
            let mut map = BTreeMap::new();
            let mut random = Key::new("a test", round).random();
            let most = [4_000, 300_000, 10][round as usize % 3];
            for _ in 0..most {
                let place = map.len() as u32;
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
        }
    }

    #[test]
    fn memory_follows_the_subgraph_and_not_the_database() {
        let mut places = Places::default();
        let (counts, cell) = ([u32::MAX], NodeTypeId(0));
        places.clear(&counts);
        places.of(cell).reserve(1000);
        assert!(places.of(cell).direct.is_empty() && places.of(cell).slots.len() <= 4096);
        places.of(cell).reserve(100_000);
        (0..100_000).for_each(|node| assert!(places.of(cell).get_or_insert(node * 7, node).1));
        // Once little was held, little is kept for the next.
        places.clear(&counts);
        assert!(places.of(cell).slots.len() > 100_000);
        places.of(cell).reserve(10);
        places.of(cell).get_or_insert(3, 0);
        places.clear(&counts);
        let table = places.of(cell);
        assert!(table.slots.len() < 100);
        // When the stamps come to their end, they begin anew.
        places.tables[0].base = (1 << 31) - 1;
        places.of(cell).reserve(10);
        assert_eq!(places.of(cell).get_or_insert(3, 7), (7, true));
        places.clear(&counts);
        assert_eq!((places.tables[0].base, places.get(Hit { node_type: cell, node: 3 })), (1, None));
    }
}
