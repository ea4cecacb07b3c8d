use std::mem;

use hashbrown::HashMap;

use super::column::Codes;

/// The widest range of codes that is kept as a table, in entries of 4 bytes; above it they are hashed.
const WIDEST: i128 = 1 << 24;

/// No number has been given to a code yet.
const UNSEEN: u32 = u32::MAX;

/// A code names nothing.
const LOST: u32 = u32::MAX - 1;

/// Numbers that were found for codes: the nodes that a column's integers, or the places in its dictionary, name.
#[derive(Default)]
pub(super) struct Known {
    /// The code of the table's first entry.
    base: i64,
    table: Vec<u32>,
    /// In the table's stead where the range is too wide for it.
    hashed: Option<HashMap<i64, u32>>,
}

/// What is known of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
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

    /// Makes room for codes; call it before any other method takes them.
    pub fn cover(&mut self, codes: Codes<'_>) {
        let range = match codes {
            Codes::Integers(values) => values.iter().min().zip(values.iter().max()).map(|(&low, &high)| (low, high)),
            Codes::Entries(places) => {
                places.iter().min().zip(places.iter().max()).map(|(&low, &high)| (i64::from(low), i64::from(high)))
            }
        };
        let (Some((low, high)), None) = (range, &self.hashed) else { return };
        let (low, high) = match self.table.len() as i64 {
            0 => (low, high),
            length => (low.min(self.base), high.max(self.base + (length - 1))),
        };
        let width = i128::from(high) - i128::from(low) + 1;
        if width > WIDEST {
            let table = mem::take(&mut self.table);
            let seen = (self.base..).zip(table).filter(|&(_, number)| number != UNSEEN);
            self.hashed = Some(seen.collect());
        } else if self.table.is_empty() || low < self.base {
            let mut table = vec![UNSEEN; width as usize];
            let start = if self.table.is_empty() { 0 } else { (self.base - low) as usize };
            table[start..start + self.table.len()].copy_from_slice(&self.table);
            (self.base, self.table) = (low, table);
        } else if width as usize > self.table.len() {
            self.table.resize(width as usize, UNSEEN);
        }
    }

    pub fn get(&self, code: i64) -> Entry {
        match self.number(code) {
            UNSEEN => Entry::Unseen,
            LOST => Entry::Lost,
            number => Entry::Number(number),
        }
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

    /// Appends the numbers of all codes; says whether each has one.
    pub fn look_up(&self, codes: Codes<'_>, numbers: &mut Vec<u32>) -> bool {
        let start = numbers.len();
        match (codes, &self.hashed) {
            (Codes::Integers(values), None) => numbers.extend(values.iter().map(|&code| self.of_table(code))),
            (Codes::Entries(places), None) => numbers.extend(places.iter().map(|&place| self.of_table(i64::from(place)))),
            (codes, Some(_)) => {
                let count = match codes {
                    Codes::Integers(values) => values.len(),
                    Codes::Entries(places) => places.len(),
                };
                numbers.extend((0..count).map(|row| self.number(codes.at(row))));
            }
        }
        numbers[start..].iter().copied().max().is_none_or(|highest| highest < LOST)
    }

    fn of_table(&self, code: i64) -> u32 {
        self.table.get(code.wrapping_sub(self.base) as usize).copied().unwrap_or(UNSEEN)
    }

    fn number(&self, code: i64) -> u32 {
        match &self.hashed {
            Some(hashed) => hashed.get(&code).copied().unwrap_or(UNSEEN),
            None => self.of_table(code),
        }
    }

    fn put(&mut self, code: i64, number: u32) {
        match &mut self.hashed {
            Some(hashed) => {
                hashed.insert(code, number);
            }
            None => {
                if let Some(entry) = self.table.get_mut(code.wrapping_sub(self.base) as usize) {
                    *entry = number;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The table and the hash map say the same as a plain map, whichever way the range grows.
    #[test]
    fn codes_of_any_range_are_known_by_their_number() {
        let ranges: [&[i64]; 4] = [&[5, 7, 6], &[-3, 100, 5], &[1 << 40, 7], &[i64::MIN, i64::MAX, -3]];
        let (mut known, mut plain) = (Known::default(), BTreeMap::new());
        for (step, codes) in ranges.into_iter().enumerate() {
            known.cover(Codes::Integers(codes));
            for (at, &code) in codes.iter().enumerate() {
                let number = (step * 10 + at) as u32;
                let entry = *plain.entry(code).or_insert(if at == 1 { Entry::Lost } else { Entry::Number(number) });
                match entry {
                    Entry::Number(number) => known.insert(code, number),
                    _ => known.lose(code),
                }
            }
            assert_eq!(known.hashed.is_some(), step >= 2, "a table of {} entries", known.table.len());
            for code in plain.keys().copied().chain([0, 6, 8, 99, 1 << 20, -4]) {
                assert_eq!(known.get(code), plain.get(&code).copied().unwrap_or(Entry::Unseen), "{code} in step {step}");
            }
        }
        let mut numbers = vec![9];
        assert!(known.look_up(Codes::Integers(&[5, 6]), &mut numbers), "both have numbers");
        assert_eq!(numbers, [9, 0, 2]);
        assert!(!known.look_up(Codes::Integers(&[5, 7]), &mut numbers), "7 is lost");
        known.insert(8, u32::MAX - 1);
        assert_eq!(known.get(8), Entry::Unseen, "what would read as lost is not kept");
        known.clear();
        known.cover(Codes::Entries(&[2, 0]));
        assert_eq!(known.get(5), Entry::Unseen);
    }
}
