//! Names and their numbers in memory, both ways.

use std::hash::{BuildHasher, RandomState};

use crate::{Error, Result};

/// Distinct names, numbered from 0 as they come. One buffer holds the text, so that a million names cost little besides it.
#[derive(Clone, Default)]
pub(super) struct Names {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u64>,
    /// A hash table with linear probing: a name's number, or [`FREE`]. At most half full.
    slots: Vec<u32>,
    hasher: RandomState,
}

const FREE: u32 = u32::MAX;

impl Names {
    pub(super) fn len(&self) -> u32 {
        // `insert` keeps the count below `FREE`.
        self.ends.len() as u32
    }

    /// The bytes of all names.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The name with a number below [`len`](Self::len).
    pub(super) fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start as usize..self.ends[at] as usize]
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.slot(name).ok()
    }

    /// The name's number; a new one gets the next. `None` where 2^32 − 1 names are there already.
    pub(super) fn insert(&mut self, name: &str) -> Option<u32> {
        if (self.ends.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        match self.slot(name) {
            Ok(number) => Some(number),
            Err(_) if self.len() == FREE - 1 => None,
            Err(free) => {
                let number = self.len();
                self.text.push_str(name);
                self.ends.push(self.text.len() as u64);
                self.slots[free] = number;
                Some(number)
            }
        }
    }

    /// [`insert`](Self::insert), with the error for names beyond the limit; `what` says of what there are too many.
    pub(super) fn number(&mut self, name: &str, what: impl FnOnce() -> String) -> Result<u32> {
        self.insert(name).ok_or_else(|| Error::Limit { what: what(), found: 1 << 32, most: (1 << 32) - 1 })
    }

    /// The number of the name, or the slot where it would go.
    fn slot(&self, name: &str) -> Result<u32, usize> {
        if self.slots.is_empty() {
            return Err(0);
        }
        let mask = self.slots.len() - 1;
        let mut at = self.hasher.hash_one(name) as usize & mask;
        loop {
            match self.slots[at] {
                FREE => return Err(at),
                number if self.get(number) == name => return Ok(number),
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(16);
        let mask = size - 1;
        let mut slots = vec![FREE; size];
        for number in 0..self.len() {
            let mut at = self.hasher.hash_one(self.get(number)) as usize & mask;
            while slots[at] != FREE {
                at = (at + 1) & mask;
            }
            slots[at] = number;
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
    }
}
