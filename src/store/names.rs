//! Names and their numbers in memory, both ways.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use crate::{Error, Result};

/// Distinct names, numbered from 0 as they come.
#[derive(Clone, Default)]
pub(super) struct Names {
    texts: Texts,
    /// Made when the first name is looked up.
    index: OnceLock<Index>,
}

/// Names by their numbers. One buffer holds all, so that a million cost little besides their text.
#[derive(Clone, Default)]
struct Texts {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u64>,
}

/// Numbers by names.
#[derive(Clone)]
struct Index {
    /// A hash table with linear probing: half of a name's hash above its number, or [`FREE`]. At most half full.
    slots: Vec<u64>,
    hasher: RandomState,
}

/// The slot of no name: [`MOST`] keeps the highest number from being given.
const FREE: u64 = u64::MAX;

/// The most names.
const MOST: u32 = u32::MAX - 1;

impl Names {
    pub(super) fn len(&self) -> u32 {
        self.texts.len()
    }

    /// The bytes of all names.
    pub(super) fn bytes(&self) -> usize {
        self.texts.text.len()
    }

    /// The name with a number below [`len`](Self::len).
    pub(super) fn get(&self, number: u32) -> &str {
        self.texts.get(number)
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let index = self.index.get_or_init(|| Index::of(&self.texts));
        index.find(name, index.hash(name), &self.texts).ok()
    }

    /// The name's number; a new one gets the next. `None` where 2^32 − 1 names are there already.
    pub(super) fn insert(&mut self, name: &str) -> Option<u32> {
        self.index.get_or_init(|| Index::of(&self.texts));
        let index = self.index.get_mut().expect("the line above makes it");
        let hash = index.hash(name);
        match index.find(name, hash, &self.texts) {
            Ok(number) => Some(number),
            Err(_) if self.texts.len() == MOST => None,
            Err(free) => {
                let number = self.texts.len();
                self.texts.push(name);
                index.put(free, hash, number);
                Some(number)
            }
        }
    }

    /// Gives the next number to a name of which it is known that it is not there, as those that were written together are.
    pub(super) fn push(&mut self, name: &str) {
        debug_assert!(self.index.get().is_none(), "names are read before any is looked up");
        self.texts.push(name);
    }

    /// [`insert`](Self::insert), with the error for names beyond the limit; `what` says of what there are too many.
    pub(super) fn number(&mut self, name: &str, what: impl FnOnce() -> String) -> Result<u32> {
        self.insert(name).ok_or_else(|| Error::Limit { what: what(), found: 1 << 32, most: (1 << 32) - 1 })
    }
}

impl Texts {
    fn len(&self) -> u32 {
        // There are at most `MOST`.
        self.ends.len() as u32
    }

    fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start as usize..self.ends[at] as usize]
    }

    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len() as u64);
    }
}

impl Index {
    fn of(texts: &Texts) -> Self {
        let slots = vec![FREE; (texts.ends.len() * 2 + 2).next_power_of_two().max(16)];
        let mut index = Self { slots, hasher: RandomState::new() };
        for number in 0..texts.len() {
            let name = texts.get(number);
            let hash = index.hash(name);
            if let Err(free) = index.find(name, hash, texts) {
                index.put(free, hash, number);
            }
        }
        index
    }

    fn hash(&self, name: &str) -> u32 {
        self.hasher.hash_one(name) as u32
    }

    /// The number of a name with this hash, or the slot where it would go.
    fn find(&self, name: &str, hash: u32, texts: &Texts) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                FREE => return Err(at),
                // The text, which lies elsewhere in memory, is looked at only where the hash is right.
                slot if (slot >> 32) as u32 == hash && texts.get(slot as u32) == name => return Ok(slot as u32),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Takes a free slot, and makes room for the next name.
    fn put(&mut self, free: usize, hash: u32, number: u32) {
        self.slots[free] = u64::from(hash) << 32 | u64::from(number);
        if (number as usize + 2) * 2 > self.slots.len() {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        let mask = size - 1;
        let mut slots = vec![FREE; size];
        for &slot in self.slots.iter().filter(|&&slot| slot != FREE) {
            let mut at = (slot >> 32) as usize & mask;
            while slots[at] != FREE {
                at = (at + 1) & mask;
            }
            slots[at] = slot;
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn names_and_numbers_agree_with_a_plain_map() {
        let mut names = Names::default();
        let mut plain = HashMap::new();
        assert_eq!(names.find("absent"), None);
        for round in 0..10_000u32 {
            let name = format!("gene{}", round.wrapping_mul(2_654_435_761) % 3_000);
            let next = plain.len() as u32;
            let expected = *plain.entry(name.clone()).or_insert(next);
            assert_eq!(names.insert(&name), Some(expected));
        }
        assert_eq!(names.len() as usize, plain.len());
        for (name, &number) in &plain {
            assert_eq!(names.get(number), name);
            assert_eq!(names.find(name), Some(number));
        }
        assert_eq!(names.find("absent"), None);
        assert_eq!(names.insert(""), Some(plain.len() as u32));
        // The same from names that were written.
        let mut read = Names::default();
        (0..names.len()).for_each(|number| read.push(names.get(number)));
        assert!((0..names.len()).all(|number| read.find(names.get(number)) == Some(number)));
        assert_eq!((read.insert("gene7"), read.insert("absent")), (names.find("gene7"), Some(names.len())));
    }
}
