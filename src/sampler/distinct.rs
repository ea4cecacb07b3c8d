//! Few of many, each set equally likely.

use super::random::Draws;

/// As many as are chosen without memory beside registers.
pub(super) const FEW: usize = 32;

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
            let start = chosen.len();
            chosen.resize(start + FEW, 0);
            few(draws, count, most, &mut chosen[start..]);
            chosen.truncate(start + most);
        }
    }

    fn many(&mut self, draws: Draws, count: u32, most: usize, chosen: &mut Vec<u32>) {
        self.seen.clear(count, most);
        let (mut words, mut more) = (draws.from(0), most as u32..);
        for last in (count - most as u32..).take(most) {
            let number = below(words.word(), last + 1, || draws.at(more.next().unwrap_or_default()));
            let is_new = self.seen.insert(number);
            if !is_new {
                self.seen.insert(last);
            }
            chosen.push(if is_new { number } else { last });
        }
    }

    /// The same of those numbers that `is_one` says, however few they are; it is told in time which it will be asked for.
    ///
    /// It draws until enough different ones have come; where they are too few among the numbers for that, it goes through all.
    /// Since none of them is treated otherwise than another, no set is either.
    pub(super) fn choose_those(
        &mut self,
        draws: Draws,
        count: u32,
        most: usize,
        (ask, is_one): (impl Fn(u32), impl Fn(u32) -> bool),
        chosen: &mut Vec<u32>,
    ) {
        let start = chosen.len();
        if count as usize / 4 >= most && most > 0 {
            let tries = 8 * most + 16;
            self.seen.clear(count, tries);
            // Behind those of `choose`, which may come after.
            let mut words = draws.from(1 << 31);
            let mut numbers = [0; 16];
            for first in (0..tries).step_by(numbers.len()) {
                let numbers = &mut numbers[..(tries - first).min(16)];
                for number in numbers.iter_mut() {
                    *number = below(words.word(), count, || words.word());
                    ask(*number);
                }
                for &number in &*numbers {
                    if self.seen.insert(number) && is_one(number) {
                        chosen.push(number);
                        if chosen.len() - start == most {
                            return;
                        }
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

/// A number below a bound from a draw, or from one of `more` where that would not be even.
#[inline]
fn below(word: u32, bound: u32, mut more: impl FnMut() -> u32) -> u32 {
    let mut product = u64::from(word) * u64::from(bound);
    if (product as u32) < bound {
        let threshold = bound.wrapping_neg() % bound;
        while (product as u32) < threshold {
            product = u64::from(more()) * u64::from(bound);
        }
    }
    (product >> 32) as u32
}

/// Writes at most [`FEW`] different numbers below `count` to the beginning of a place with room for as many, as
/// [`Distinct::choose`] does, and says how many; what is behind them may be anything.
#[inline(always)]
pub(super) fn few(draws: Draws, count: u32, most: usize, to: &mut [u32]) -> usize {
    assert!(most <= FEW && to.len() >= FEW);
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512cd") && is_x86_feature_detected!("vaes") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { wide::few(draws, count, most, to) };
    }
    few_plain(draws, count, most, to)
}

fn few_plain(draws: Draws, count: u32, most: usize, to: &mut [u32]) -> usize {
    if count as usize <= most {
        to.iter_mut().zip(0..count).for_each(|(to, number)| *to = number);
        return count as usize;
    }
    let (mut words, mut more) = (draws.from(0), most as u32..);
    for (place, last) in (0..most).zip(count - most as u32..) {
        let number = below(words.word(), last + 1, || draws.at(more.next().unwrap_or_default()));
        to[place] = if to[..place].contains(&number) { last } else { number };
    }
    most
}

/// The same in registers of 512 bits: sixteen draws at a time, and all of them compared with each other.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;

    use super::{Draws, FEW};
    use crate::sampler::random::wide;

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,vaes")]
    pub(super) fn few(draws: Draws, count: u32, most: usize, to: &mut [u32]) -> usize {
        let to: &mut [u32; FEW] = to.first_chunk_mut().expect("room for all");
        let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let first = _mm512_set1_epi32(count.wrapping_sub(most as u32) as i32);
        let is_all = count as usize <= most;
        // Whether there is a choice is not foreseeable: so it is made all the same, and counts or not.
        let all = if is_all { 0xffff } else { 0 };
        let known = ((1_u32 << most.min(16)) - 1) as u16;
        let low = sixteen(draws, 0, _mm512_add_epi32(lanes, first), known);
        let first_conflicts = _mm512_conflict_epi32(low.numbers);
        let mut again = u32::from(_mm512_mask_test_epi32_mask(known, first_conflicts, first_conflicts));
        let mut uneven = low.uneven;
        if most <= 16 {
            let [taken] = taken([low], first, known.into(), again);
            store(to, 0, _mm512_mask_mov_epi32(taken, all, lanes));
        } else {
            let lanes = [lanes, _mm512_add_epi32(lanes, _mm512_set1_epi32(16))];
            let behind = ((1_u32 << (most - 16)) - 1) as u16;
            let high = sixteen(draws, 4, _mm512_add_epi32(lanes[1], first), behind);
            let conflicts = _mm512_conflict_epi32(high.numbers);
            let mut same = _mm512_mask_test_epi32_mask(behind, conflicts, conflicts);
            let mut turned = low.numbers;
            for _ in 0..16 {
                same |= _mm512_mask_cmpeq_epi32_mask(behind, high.numbers, turned);
                turned = _mm512_alignr_epi32::<1>(turned, turned);
            }
            again |= u32::from(same) << 16;
            uneven |= high.uneven;
            let taken = taken([low, high], first, u32::from(known) | u32::from(behind) << 16, again);
            for (at, (taken, lanes)) in taken.into_iter().zip(lanes).enumerate() {
                store(to, 16 * at, _mm512_mask_mov_epi32(taken, all, lanes));
            }
        }
        if uneven != 0 && !is_all {
            // One in millions, for rows of hundreds.
            return super::few_plain(draws, count, most, to);
        }
        most.min(count as usize)
    }

    /// Sixteen draws.
    #[derive(Clone, Copy)]
    struct Drawn {
        numbers: __m512i,
        /// Of each, the highest that it could be, which takes its place where it was drawn before.
        lasts: __m512i,
        /// Those that would not be even.
        uneven: u16,
    }

    /// What Floyd's algorithm takes for these draws. `again` are those whose number an earlier one has too: their last number is
    /// taken instead. Such a last number may be what a later one has drawn; so that is drawn again as well.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn taken<const HALVES: usize>(drawn: [Drawn; HALVES], first: __m512i, known: u32, again: u32) -> [__m512i; HALVES] {
        // Of lanes, those as far behind the first last number as a lane that is drawn again.
        let mut halves = [(first, 0_u16); HALVES];
        for (half, drawn) in halves.iter_mut().zip(drawn) {
            let beyond = _mm512_sub_epi32(drawn.numbers, first);
            *half = (beyond, _mm512_cmplt_epu32_mask(beyond, _mm512_set1_epi32(FEW as i32)));
        }
        let follow = |all: u32| {
            let all = _mm512_set1_epi32(all as i32);
            let mut found = again;
            for (half, &(beyond, is_beyond)) in halves.iter().enumerate() {
                let of_those = _mm512_srlv_epi32(all, beyond);
                found |= u32::from(_mm512_mask_test_epi32_mask(is_beyond, of_those, _mm512_set1_epi32(1))) << (16 * half);
            }
            found & known
        };
        // Mostly there is none that follows.
        let mut all = again;
        loop {
            let more = follow(all);
            if more == all {
                break;
            }
            all = more;
        }
        let mut taken = [first; HALVES];
        for (half, (taken, drawn)) in taken.iter_mut().zip(drawn).enumerate() {
            *taken = _mm512_mask_mov_epi32(drawn.numbers, (all >> (16 * half)) as u16, drawn.lasts);
        }
        taken
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(to: &mut [u32; FEW], at: usize, numbers: __m512i) {
        let to: &mut [u32; 16] = to[at..].first_chunk_mut().expect("half of it, or all");
        // SAFETY: it has room for sixteen.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), numbers) };
    }

    /// Draws at sixteen places, from four times this one, each below the number behind its last one.
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn sixteen(draws: Draws, block: u32, lasts: __m512i, known: u16) -> Drawn {
        let word = wide::sixteen(draws, block);
        let bound = _mm512_add_epi32(lasts, _mm512_set1_epi32(1));
        // The products of even lanes, and of odd ones.
        let even = _mm512_mul_epu32(word, bound);
        let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(word), _mm512_srli_epi64::<32>(bound));
        let lower = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd));
        let numbers = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd);
        Drawn { numbers, lasts, uneven: _mm512_mask_cmplt_epu32_mask(known, lower, bound) }
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
                        chosen.resize(FEW, 0);
                        assert_eq!(few_plain(draws, count, most, &mut chosen), most);
                        assert_eq!(chosen[..most], expected, "{most} of {count}");
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
