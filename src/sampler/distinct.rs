//! Few of many, each set equally likely.

use std::ops::RangeFrom;

use super::random::Draws;

/// As many as are chosen without memory beside registers.
const FEW: usize = 32;

/// Chooses different numbers below a bound; its memory is used again.
#[derive(Default)]
pub(super) struct Distinct {
    seen: Seen,
    those: Vec<u32>,
}

/// Which numbers came before: a bit a number, or those that came, with open addresses.
#[derive(Default)]
struct Seen {
    bits: Vec<u64>,
    slots: Vec<u32>,
    by_bits: bool,
}

impl Seen {
    /// Forgets all; at most `most` different numbers below `count` will come.
    fn clear(&mut self, count: u32, most: usize) {
        let words = (count as usize).div_ceil(64);
        self.by_bits = words <= 16 * most;
        if self.by_bits {
            self.bits.clear();
            self.bits.resize(words, 0);
        } else {
            self.slots.clear();
            self.slots.resize((4 * most).next_power_of_two(), u32::MAX);
        }
    }

    /// Whether a number comes for the first time.
    fn insert(&mut self, number: u32) -> bool {
        if self.by_bits {
            let (word, bit) = (&mut self.bits[number as usize / 64], 1 << (number % 64));
            let is_new = *word & bit == 0;
            *word |= bit;
            return is_new;
        }
        let mask = self.slots.len() - 1;
        let mut at = number.wrapping_mul(0x9e37_79b1) as usize & mask;
        while self.slots[at] != u32::MAX && self.slots[at] != number {
            at = (at + 1) & mask;
        }
        let is_new = self.slots[at] != number;
        self.slots[at] = number;
        is_new
    }
}

impl Distinct {
    /// Appends `most` different numbers below `count`, all of them if there are no more. Each set of that size is equally
    /// likely, their order is not.
    ///
    /// Source: R. W. Floyd's algorithm F2 (Bentley and Floyd, "A sample of brilliance", CACM 30(9), 1987), with a number below
    /// a bound as Lemire has it: the draw of the first number is at place 0, and so on; those that take the place of a refused
    /// one come behind.
    pub(super) fn choose(&mut self, draws: Draws, count: u32, most: usize, chosen: &mut Vec<u32>) {
        if most >= count as usize {
            chosen.extend(0..count);
        } else if most > FEW {
            self.many(draws, count, most, chosen);
        } else {
            few(draws, count, most, chosen);
        }
    }

    fn many(&mut self, draws: Draws, count: u32, most: usize, chosen: &mut Vec<u32>) {
        self.seen.clear(count, most);
        let mut more = most as u32..;
        for (place, last) in (0..most as u32).zip(count - most as u32..) {
            let number = below(draws, place, last + 1, &mut more);
            let is_new = self.seen.insert(number);
            if !is_new {
                self.seen.insert(last);
            }
            chosen.push(if is_new { number } else { last });
        }
    }

    /// The same of those numbers that `is_one` says, however few they are.
    ///
    /// It draws until enough different ones have come; where they are too few among the numbers for that, it goes through all.
    /// Since none of them is treated otherwise than another, no set is either.
    pub(super) fn choose_those(
        &mut self,
        draws: Draws,
        count: u32,
        most: usize,
        is_one: impl Fn(u32) -> bool,
        chosen: &mut Vec<u32>,
    ) {
        let start = chosen.len();
        if count as usize / 4 >= most && most > 0 {
            let tries = 8 * most + 16;
            self.seen.clear(count, tries);
            // Behind those of `choose`, which may come after.
            let mut more = 1 << 31..;
            for _ in 0..tries {
                let place = more.next().unwrap_or_default();
                let number = below(draws, place, count, &mut more);
                if self.seen.insert(number) && is_one(number) {
                    chosen.push(number);
                    if chosen.len() - start == most {
                        return;
                    }
                }
            }
            chosen.truncate(start);
        }
        let mut those = std::mem::take(&mut self.those);
        those.clear();
        those.extend((0..count).filter(|&number| is_one(number)));
        self.choose(draws, those.len() as u32, most, chosen);
        chosen[start..].iter_mut().for_each(|at| *at = those[*at as usize]);
        self.those = those;
    }
}

/// A number below a bound from the draw at a place, or at the next of `more` where that would not be even.
#[inline]
fn below(draws: Draws, place: u32, bound: u32, more: &mut RangeFrom<u32>) -> u32 {
    let mut product = u64::from(draws.at(place)) * u64::from(bound);
    if (product as u32) < bound {
        let threshold = bound.wrapping_neg() % bound;
        while (product as u32) < threshold {
            product = u64::from(draws.at(more.next().unwrap_or_default())) * u64::from(bound);
        }
    }
    (product >> 32) as u32
}

#[inline]
fn few(draws: Draws, count: u32, most: usize, chosen: &mut Vec<u32>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512cd") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { wide::few(draws, count, most, chosen) };
    }
    few_plain(draws, count, most, chosen);
}

fn few_plain(draws: Draws, count: u32, most: usize, chosen: &mut Vec<u32>) {
    let start = chosen.len();
    let mut more = most as u32..;
    for (place, last) in (0..most as u32).zip(count - most as u32..) {
        let number = below(draws, place, last + 1, &mut more);
        chosen.push(if chosen[start..].contains(&number) { last } else { number });
    }
}

/// The same in registers of 512 bits: sixteen draws at a time, and all of them compared with each other.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;

    use super::{Draws, FEW};
    use crate::sampler::random::{SHORT_GOLDEN, SHORT_MIX};

    /// At most [`FEW`] of more.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd")]
    pub(super) fn few(draws: Draws, count: u32, most: usize, chosen: &mut Vec<u32>) {
        let first = count - most as u32;
        let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let lasts = _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32));
        let known = ((1_u32 << most.min(16)) - 1) as u16;
        let (mut low, mut refused) = sixteen(draws, lanes, lasts, known);
        let mut high = _mm512_setzero_si512();
        if most > 16 {
            let sixteenth = _mm512_set1_epi32(16);
            let behind = ((1_u32 << (most - 16)) - 1) as u16;
            let more;
            (high, more) = sixteen(draws, _mm512_add_epi32(lanes, sixteenth), _mm512_add_epi32(lasts, sixteenth), behind);
            refused |= more;
        }
        if refused != 0 {
            // One in millions, for rows of hundreds.
            return super::few_plain(draws, count, most, chosen);
        }
        // Lanes whose number an earlier one has too: these take their last number instead.
        let conflicts = _mm512_conflict_epi32(low);
        let refused = _mm512_mask_test_epi32_mask(known, conflicts, conflicts);
        // Such a last number may in turn be what a later lane has drawn. Then one lane has to be looked at after the other.
        let beyond = _mm512_sub_epi32(low, _mm512_set1_epi32(first as i32));
        let is_beyond = _mm512_mask_cmplt_epu32_mask(known, beyond, _mm512_set1_epi32(16));
        let of_refused = _mm512_srlv_epi32(_mm512_set1_epi32(i32::from(refused)), beyond);
        let is_taken = _mm512_mask_test_epi32_mask(is_beyond, of_refused, _mm512_set1_epi32(1));
        if is_taken == 0 && most <= 16 {
            low = _mm512_mask_mov_epi32(low, refused, lasts);
        } else {
            (low, high) = one_by_one(first, most, low, high);
        }
        // SAFETY: room for `FEW` is made before all of them are written, and those behind `most` are not counted.
        unsafe {
            chosen.reserve(FEW);
            let end = chosen.as_mut_ptr().add(chosen.len());
            _mm512_storeu_si512(end.cast(), low);
            if most > 16 {
                _mm512_storeu_si512(end.add(16).cast(), high);
            }
            chosen.set_len(chosen.len() + most);
        }
    }

    #[inline(never)]
    #[target_feature(enable = "avx512f")]
    fn one_by_one(first: u32, most: usize, low: __m512i, high: __m512i) -> (__m512i, __m512i) {
        let mut drawn = [0_u32; FEW];
        // SAFETY: it has room for both.
        unsafe {
            _mm512_storeu_si512(drawn.as_mut_ptr().cast(), low);
            _mm512_storeu_si512(drawn.as_mut_ptr().add(16).cast(), high);
        }
        let (mut low, mut high) = (_mm512_set1_epi32(-1), _mm512_set1_epi32(-1));
        for (at, last) in (0..most).zip(first..) {
            let number = _mm512_set1_epi32(drawn[at] as i32);
            let is_there = _mm512_cmpeq_epi32_mask(low, number) | _mm512_cmpeq_epi32_mask(high, number);
            let number = _mm512_set1_epi32(if is_there == 0 { drawn[at] } else { last } as i32);
            let lane = 1_u32 << at;
            low = _mm512_mask_mov_epi32(low, lane as u16, number);
            high = _mm512_mask_mov_epi32(high, (lane >> 16) as u16, number);
        }
        (low, high)
    }

    /// Draws at these places, each below the number behind its last one, and which of those known are not even.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn sixteen(draws: Draws, places: __m512i, lasts: __m512i, known: u16) -> (__m512i, u16) {
        let [low, high] = draws.halves().map(|half| _mm512_set1_epi32(half as i32));
        let counter = _mm512_mullo_epi32(places, _mm512_set1_epi32(SHORT_GOLDEN as i32));
        let word = short_mix(_mm512_xor_si512(short_mix(_mm512_add_epi32(low, counter)), high));
        let bound = _mm512_add_epi32(lasts, _mm512_set1_epi32(1));
        // The products of even lanes, and of odd ones.
        let even = _mm512_mul_epu32(word, bound);
        let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(word), _mm512_srli_epi64::<32>(bound));
        let lower = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd));
        let upper = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd);
        (upper, _mm512_mask_cmplt_epu32_mask(known, lower, bound))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn short_mix(mut word: __m512i) -> __m512i {
        let [first, second] = SHORT_MIX.map(|factor| _mm512_set1_epi32(factor as i32));
        word = _mm512_mullo_epi32(_mm512_xor_si512(word, _mm512_srli_epi32::<16>(word)), first);
        word = _mm512_mullo_epi32(_mm512_xor_si512(word, _mm512_srli_epi32::<15>(word)), second);
        _mm512_xor_si512(word, _mm512_srli_epi32::<16>(word))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::sampler::random::Key;

    /// Floyd's algorithm as it is printed, with a set.
    fn plain(draws: Draws, count: u32, most: usize) -> Vec<u32> {
        if most >= count as usize {
            return (0..count).collect();
        }
        let mut more = most as u32..;
        let (mut set, mut list) = (BTreeSet::new(), Vec::new());
        for (place, last) in (0..most as u32).zip(u64::from(count) - most as u64..) {
            let bound = last + 1;
            let threshold = (1 << 32) % bound;
            let mut word = draws.at(place);
            while u64::from(word) * bound % (1 << 32) < threshold {
                word = draws.at(more.next().unwrap());
            }
            let drawn = (u64::from(word) * bound) >> 32;
            let taken = if set.contains(&drawn) { last } else { drawn };
            set.insert(taken);
            list.push(taken as u32);
        }
        list
    }

    #[test]
    fn all_ways_choose_what_the_plain_one_does() {
        let mut distinct = Distinct::default();
        let mut chosen = Vec::new();
        // Above 2³¹ numbers are refused often.
        for count in [1, 2, 7, 33, 40, 64, 65, 150, 750, 100_000, 3_000_000_000, u32::MAX] {
            for most in [0, 1, 2, 7, 8, 9, 10, 15, 16, 17, 20, 31, 32, 33, 50, 200, 3000] {
                if most >= count as usize && count > 1_000_000 {
                    continue;
                }
                for draw in 0..20 {
                    let draws = Key::new("a test", draw).with(u64::from(count)).with(most as u64).draws();
                    let expected = plain(draws, count, most);
                    chosen.clear();
                    chosen.push(99);
                    distinct.choose(draws, count, most, &mut chosen);
                    assert_eq!(chosen[1..], expected, "{most} of {count}");
                    if most <= FEW && most < count as usize {
                        chosen.clear();
                        few_plain(draws, count, most, &mut chosen);
                        assert_eq!(chosen, expected, "{most} of {count}");
                    }
                    assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), most.min(count as usize));
                }
            }
        }
    }

    #[test]
    fn every_set_is_equally_likely() {
        let mut distinct = Distinct::default();
        for (count, most, sets, highest) in [(6, 3, 20, 43.8), (12, 2, 66, 106.0), (7, 6, 7, 22.5), (40, 39, 40, 72.1)] {
            let mut counts = BTreeMap::new();
            for draw in 0..40_000 {
                let mut chosen = Vec::new();
                distinct.choose(Key::new("a test", 5).with(draw).draws(), count, most, &mut chosen);
                chosen.sort_unstable();
                *counts.entry(chosen).or_insert(0_u64) += 1;
            }
            assert_eq!(counts.len(), sets);
            let expected = 40_000.0 / sets as f64;
            let found: f64 = counts.values().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
            assert!(found < highest, "{most} of {count}: χ² {found}, expected below {highest} (p = 0.001)");
        }
    }

    #[test]
    fn every_position_and_every_pair_is_equally_likely_also_where_registers_are_wide() {
        const DRAWS: u64 = 100_000;
        let mut distinct = Distinct::default();
        let mut chosen = Vec::new();
        // In one register, in two, and in memory.
        for (count, most) in [(20_u32, 5_usize), (50, 10), (150, 20), (150, 40)] {
            let mut positions = vec![0.0; count as usize];
            let mut pairs = vec![0.0; (count * count) as usize];
            for draw in 0..DRAWS {
                chosen.clear();
                distinct.choose(Key::new("a test", 9).with(draw).draws(), count, most, &mut chosen);
                for &one in &chosen {
                    positions[one as usize] += 1.0;
                    chosen.iter().filter(|&&other| one < other).for_each(|other| pairs[(one * count + other) as usize] += 1.0);
                }
            }
            let (n, k, draws) = (f64::from(count), most as f64, DRAWS as f64);
            let share = k / n;
            // Positions of one draw exclude each other: the variance is a binomial's, times n / (n − 1).
            let variance = draws * share * (1.0 - share) * n / (n - 1.0);
            let found: f64 = positions.iter().map(|found| (found - draws * share).powi(2) / variance).sum();
            let around = |found: f64, freedom: f64| (found - freedom).abs() < 4.0 * (2.0 * freedom).sqrt();
            assert!(around(found, n - 1.0), "{most} of {count}: χ² of positions {found}");
            let share = k * (k - 1.0) / n / (n - 1.0);
            let all = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one * count + other) as usize));
            let found: f64 = all.map(|at| (pairs[at] - draws * share).powi(2) / (draws * share * (1.0 - share))).sum();
            assert!(around(found, n * (n - 1.0) / 2.0 - 1.0), "{most} of {count}: χ² of pairs {found}");
        }
    }
}
