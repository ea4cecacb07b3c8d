//! Numbers by integers: what the names of a type's nodes, or of categories, were found to mean.

use std::mem;

use hashbrown::HashMap;

/// The widest range of codes that is kept as a table, in entries of 4 bytes; above it they are hashed.
const WIDEST: i128 = 1 << 24;

/// No number has been given to a code yet.
const UNSEEN: u32 = u32::MAX;

/// A code names nothing.
const LOST: u32 = u32::MAX - 1;

/// Numbers that were found for codes: the nodes that a column's integers, or the places in its dictionary, name.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The code of the table's first entry.
    base: i64,
    table: Vec<u32>,
    /// In the table's stead where the range is too wide for it.
    hashed: Option<HashMap<i64, u32>>,
}

/// What is known of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Unseen,
    Lost,
    Number(u32),
}

impl Known {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.table.clear();
        self.hashed = None;
    }

    /// Forgets which codes name nothing.
    pub fn forget_lost(&mut self) {
        self.table.iter_mut().filter(|number| **number == LOST).for_each(|number| *number = UNSEEN);
        if let Some(hashed) = &mut self.hashed {
            hashed.retain(|_, number| *number != LOST);
        }
    }

    /// What is known of a code.
    pub fn get(&self, code: i64) -> Entry {
        match self.number(code) {
            UNSEEN => Entry::Unseen,
            LOST => Entry::Lost,
            number => Entry::Number(number),
        }
    }

    /// Looks many codes up; says whether each has a number, which `numbers` then holds.
    pub fn all(&self, codes: impl Iterator<Item = i64>, numbers: &mut Vec<u32>) -> bool {
        numbers.clear();
        numbers.extend(codes.map(|code| self.number(code)));
        numbers.iter().fold(0, |highest, &number| highest.max(number)) < LOST
    }

    /// The two highest numbers are not kept, and so are looked up anew each time.
    pub fn insert(&mut self, code: i64, number: u32) {
        if number < LOST {
            self.put(code, number);
        }
    }

    /// Notes that a code names nothing.
    pub fn lose(&mut self, code: i64) {
        self.put(code, LOST);
    }

    fn number(&self, code: i64) -> u32 {
        match &self.hashed {
            Some(hashed) => hashed.get(&code).copied().unwrap_or(UNSEEN),
            None => self.table.get(code.wrapping_sub(self.base) as usize).copied().unwrap_or(UNSEEN),
        }
    }

    fn put(&mut self, code: i64, number: u32) {
        if self.hashed.is_none() {
            self.make_room(code);
        }
        match &mut self.hashed {
            Some(hashed) => drop(hashed.insert(code, number)),
            None => self.table[(code - self.base) as usize] = number,
        }
    }

    /// Widens the table to a code, to twice its width at least; or hashes what it has, where it would become too wide.
    fn make_room(&mut self, code: i64) {
        if self.table.is_empty() {
            self.base = if (0..WIDEST).contains(&i128::from(code)) { 0 } else { code };
        }
        let (base, code, length) = (i128::from(self.base), i128::from(code), self.table.len() as i128);
        let (low, end) = (base.min(code), (base + length).max(code + 1));
        if end - low > WIDEST {
            let table = mem::take(&mut self.table);
            let seen = table.into_iter().enumerate().filter(|&(_, number)| number != UNSEEN);
            self.hashed = Some(seen.map(|(at, number)| (self.base + at as i64, number)).collect());
        } else if low < base {
            let low = (base - length).min(low).max(end - WIDEST).max(i128::from(i64::MIN));
            let mut table = vec![UNSEEN; (base - low) as usize];
            table.append(&mut self.table);
            // It lies between the lowest of 64 bits and a base that had them.
            (self.base, self.table) = (low as i64, table);
        } else if end - base > length {
            self.table.resize((end - base).max(2 * length).min(WIDEST) as usize, UNSEEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Entry {
        fn number(self) -> Option<u32> {
            if let Self::Number(number) = self { Some(number) } else { None }
        }
    }

    /// The table and the hash map say the same as a plain map, whichever way the range grows.
    #[test]
    fn codes_of_any_range_are_known_by_their_number() {
        let ranges: [&[i64]; 5] = [&[5, 7, 6], &[-3, 100, 5], &[-70, -71, 3000], &[1 << 40, 7], &[i64::MIN, i64::MAX, -3]];
        let (mut known, mut plain) = (Known::default(), BTreeMap::new());
        for (step, codes) in ranges.into_iter().enumerate() {
            for (at, &code) in codes.iter().enumerate() {
                let number = (step * 10 + at) as u32;
                let entry = *plain.entry(code).or_insert(if at == 1 { Entry::Lost } else { Entry::Number(number) });
                match entry {
                    Entry::Number(number) => known.insert(code, number),
                    _ => known.lose(code),
                }
            }
            assert_eq!(known.hashed.is_some(), step >= 3, "a table of {} entries", known.table.len());
            let numbers: BTreeMap<i64, u32> = plain.iter().filter_map(|(&code, &entry)| Some((code, entry.number()?))).collect();
            let mut found = Vec::new();
            assert!(known.all(numbers.keys().copied(), &mut found));
            assert!(found.iter().eq(numbers.values()));
            for (&code, entry) in &plain {
                assert_eq!(known.all([codes[0], code].into_iter(), &mut found), entry.number().is_some(), "{code}");
            }
            for code in plain.keys().copied().chain([0, 6, 8, 99, 1 << 20, -4]) {
                assert_eq!(known.get(code), plain.get(&code).copied().unwrap_or(Entry::Unseen), "{code} in step {step}");
            }
        }
        known.insert(8, u32::MAX - 1);
        assert_eq!(known.get(8), Entry::Unseen, "what would read as lost is not kept");
        known.forget_lost();
        assert_eq!((known.get(7), known.get(5)), (Entry::Unseen, Entry::Number(0)));
        known.clear();
        assert_eq!(known.get(5), Entry::Unseen);
        for far in [i64::MIN, i64::MAX] {
            let mut known = Known::default();
            known.insert(far, 1);
            known.insert(far ^ 1, 2);
            assert_eq!((known.get(far), known.get(far ^ 1), known.hashed.is_some()), (Entry::Number(1), Entry::Number(2), false));
            known.insert(0, 3);
            assert_eq!(
                (known.get(far), known.get(far ^ 1), known.get(0)),
                (Entry::Number(1), Entry::Number(2), Entry::Number(3))
            );
        }
    }

    /// Codes in descending order widen the table to below it a few times only.
    #[test]
    fn a_table_is_widened_in_either_direction() {
        let mut known = Known::default();
        for code in (-5000..5_i64).rev() {
            known.insert(code, (code + 5000) as u32);
        }
        assert!((-5000..5_i64).all(|code| known.get(code) == Entry::Number((code + 5000) as u32)));
        assert!(known.table.len() < 4 * 5005, "{}", known.table.len());
    }
}
