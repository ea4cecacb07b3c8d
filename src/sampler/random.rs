//! Random numbers that depend on what they are for, not on when they are drawn.
//!
//! A [`Key`] is a hash of everything that names a choice (purpose, seed, draw, node, relation, …); a [`Random`] counts up
//! from it. So a choice is the same on any thread, in any order, and whatever else is chosen.
//!
//! **Invariant:** what names a choice is hashed in, word by word, never added: draw 1 of node 2 has nothing to do with
//! draw 2 of node 1.

use std::ops::Range;

/// SplitMix64's increment: 2⁶⁴ divided by the golden ratio, odd.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a choice is for, as 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The key of a purpose (a text of the program's own, such as `"relata training order"`) and a user's seed.
    pub fn new(purpose: &str, seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(&seed.to_le_bytes());
        let mut word = [0; 8];
        hasher.finalize_xof().fill(&mut word);
        Self(u64::from_le_bytes(word))
    }

    /// The key of one thing among those that this key is for. The order of calls matters.
    #[inline]
    #[must_use]
    pub fn with(self, word: u64) -> Self {
        self.mixed(Self::mixture(word))
    }

    /// What [`with`](Self::with) makes of a word first: the same for all keys.
    pub(super) fn mixture(word: u64) -> Mixture {
        Mixture(mix(word.wrapping_add(GOLDEN)))
    }

    /// [`with`](Self::with) the word of a mixture.
    #[inline]
    #[must_use]
    pub(super) fn mixed(self, word: Mixture) -> Self {
        Self(mix(self.0 ^ word.0))
    }

    /// Short numbers of this key.
    #[inline]
    pub(super) fn draws(self) -> Draws {
        Draws { key: self.0 }
    }

    /// The number of this key at a place: what [`random`](Self::random) gives after so many others.
    #[inline]
    pub(super) fn at(self, place: u64) -> u64 {
        mix(self.0.wrapping_add(place.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// The numbers of this key, from the first.
    pub fn random(self) -> Random {
        Random { state: self.0 }
    }
}

/// Numbers of 32 bits, each at its place: four rounds of AES on the key and the number of the block of four places (as the ARS
/// generator counts up, with fewer rounds since the key is a hash itself). After two rounds each bit depends on all others.
/// Four of them are made at once in registers of 128 bits, sixteen in registers of 512.
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (ARS); FIPS 197 (the round).
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws {
    key: u64,
}

/// The keys of the rounds of [`Draws`]: the first 512 bits of π behind the point.
const ROUNDS: [u128; 4] = [
    0x243f_6a88_85a3_08d3_1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0_082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377_be54_66cf_34e9_0c6c,
    0xc0ac_29b7_c97c_50dd_3f84_d5b5_b547_0917,
];

impl Draws {
    /// The number at a place.
    #[inline]
    pub(super) fn at(self, place: u32) -> u32 {
        self.four(place / 4)[place as usize % 4]
    }

    /// The numbers at four places, from four times this one.
    #[inline]
    pub(super) fn four(self, block: u32) -> [u32; 4] {
        let mut state = (u128::from(block) << 64 | u128::from(self.key)).to_le_bytes().into();
        for key in ROUNDS {
            aes::hazmat::cipher_round(&mut state, &key.to_le_bytes().into());
        }
        let word = u128::from_le_bytes(state.into());
        [0, 32, 64, 96].map(|shift| (word >> shift) as u32)
    }

    /// The numbers at sixteen places, from four times this one.
    #[inline]
    fn sixteen(self, block: u32) -> [u32; 16] {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vaes") {
            // SAFETY: the processor has what the function is compiled for, and any bits are numbers.
            return unsafe { std::mem::transmute::<std::arch::x86_64::__m512i, [u32; 16]>(wide::sixteen(self, block)) };
        }
        let mut all = [0; 16];
        for (four, block) in all.as_chunks_mut().0.iter_mut().zip(block..) {
            *four = self.four(block);
        }
        all
    }

    /// All numbers from a place on, which is a multiple of sixteen.
    #[inline]
    pub(super) fn from(self, place: u32) -> Words {
        debug_assert!(place.is_multiple_of(16));
        Words { draws: self, place, sixteen: [0; 16] }
    }
}

/// The numbers of [`Draws`], one after the other.
pub(super) struct Words {
    draws: Draws,
    /// That of the next.
    place: u32,
    /// Those around it, unless it is the first of them.
    sixteen: [u32; 16],
}

impl Words {
    #[inline]
    pub(super) fn word(&mut self) -> u32 {
        let at = self.place as usize % 16;
        if at == 0 {
            self.sixteen = self.draws.sixteen(self.place / 4);
        }
        self.place = self.place.wrapping_add(1);
        self.sixteen[at]
    }
}

/// The same in registers of 512 bits.
#[cfg(target_arch = "x86_64")]
pub(super) mod wide {
    use std::arch::x86_64::*;

    use super::{Draws, ROUNDS};

    /// The numbers at sixteen places, from four times this one.
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    pub(in crate::sampler) fn sixteen(draws: Draws, block: u32) -> __m512i {
        let block = i64::from(block);
        let blocks = _mm512_set_epi64(block + 3, 0, block + 2, 0, block + 1, 0, block, 0);
        let mut words = _mm512_mask_mov_epi64(blocks, 0x55, _mm512_set1_epi64(draws.key as i64));
        for key in ROUNDS {
            let key = _mm_set_epi64x((key >> 64) as i64, key as i64);
            words = _mm512_aesenc_epi128(words, _mm512_broadcast_i32x4(key));
        }
        words
    }
}

/// A word, mixed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixture(u64);

/// SplitMix64: number i is a mixture of key + i × 2⁶⁴ / φ, so it is a counter that is hashed.
///
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, with the mixing constants
/// of Stafford's variant 13.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The next 64 bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `bound`, each equally likely; 0 if `bound` is 0.
    ///
    /// Source: Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1), 2019, algorithm 5.
    pub fn below(&mut self, bound: u64) -> u64 {
        let (mut number, mut rest) = split(self.word(), bound);
        if rest < bound {
            let threshold = bound.wrapping_neg() % bound;
            while rest < threshold {
                (number, rest) = split(self.word(), bound);
            }
        }
        number
    }

    /// Puts things in a random order, each equally likely (Fisher and Yates, as Durstenfeld gives it, CACM 7(7), 1964).
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// The numbers `0..count` in a random order: an epoch's.
    pub fn permutation(&mut self, count: u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..count).collect();
        self.shuffle(&mut numbers);
        numbers
    }

    /// Chooses `most` of the candidates in `range`, all of them if they are fewer; each set of that size is equally likely.
    /// They come in `chosen`, ascending; what was in it goes.
    ///
    /// Where few are chosen of many, it draws from the range until enough different candidates have come, so that the time
    /// depends on `most` and not on the range. Since no candidate is treated otherwise than another, no set is either.
    /// Else it goes through the range once (Knuth, TAOCP volume 2, 3.4.2, algorithm S).
    pub fn choose(
        &mut self,
        range: Range<usize>,
        most: usize,
        mut is_candidate: impl FnMut(usize) -> bool,
        chosen: &mut Vec<usize>,
    ) {
        chosen.clear();
        if range.len() / 4 >= most {
            // With candidates throughout, 1.2 × most draws are expected; with hardly any, the range is gone through.
            let mut draws = if most == 0 { 0 } else { 4 * most + 16 };
            while chosen.len() < most && draws > 0 {
                while chosen.len() < most && draws > 0 {
                    draws -= 1;
                    let position = range.start + self.below(range.len() as u64) as usize;
                    if is_candidate(position) {
                        chosen.push(position);
                    }
                }
                chosen.sort_unstable();
                chosen.dedup();
            }
            if chosen.len() == most {
                return;
            }
            chosen.clear();
        }
        chosen.extend(range.filter(|&position| is_candidate(position)));
        if chosen.len() > most {
            let (mut wanted, mut left) = (most as u64, chosen.len() as u64);
            chosen.retain(|_| {
                let is_taken = self.below(left) < wanted;
                wanted -= u64::from(is_taken);
                left -= 1;
                is_taken
            });
        }
    }
}

/// Splits a random word: a number below `bound`, and what is left of the word, from which another may be split. Each number is
/// equally likely, but for a share of `bound` ÷ 2⁶⁴; split from what is left, but for that of the product of the bounds.
#[inline(always)]
pub(super) fn split(word: u64, bound: u64) -> (u64, u64) {
    let product = u128::from(word) * u128::from(bound);
    ((product >> 64) as u64, product as u64)
}

/// SplitMix64's finaliser: one to one, and every bit of the input changes about half of the output's.
#[inline]
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// χ² of counts that should be equal, with as many degrees of freedom as there are counts less one.
    fn chi_square(counts: impl ExactSizeIterator<Item = u64> + Clone) -> f64 {
        let expected = counts.clone().sum::<u64>() as f64 / counts.len() as f64;
        counts.map(|count| (count as f64 - expected).powi(2) / expected).sum()
    }

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        // The first five of seed 1234567, as the algorithm's reference implementation in C gives them.
        let mut random = Random { state: 1_234_567 };
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.word()), expected);
    }

    #[test]
    fn keys_differ_by_purpose_seed_word_and_the_order_of_words() {
        let key = Key::new("a test", 1);
        let keys = [
            key,
            Key::new("another test", 1),
            Key::new("a test", 2),
            key.with(0),
            key.with(1),
            key.with(2),
            key.with(1).with(2),
            key.with(2).with(1),
            key.with(3),
            key.with(0).with(0),
        ];
        assert_eq!(keys.iter().map(|key| key.0).collect::<BTreeSet<_>>().len(), keys.len());
        assert_eq!(key.with(1).random().word(), Key::new("a test", 1).with(1).random().word());
    }

    #[test]
    fn below_is_even_where_a_remainder_would_not_be() {
        let mut random = Key::new("a test", 3).random();
        // Of 64 bits, the remainder by 3 × 2⁶² would give the lowest third twice as often.
        let bound = 3 << 62;
        let mut counts = [0; 3];
        for _ in 0..30_000 {
            counts[(random.below(bound) / (1 << 62)) as usize] += 1;
        }
        let found = chi_square(counts.into_iter());
        assert!(found < 13.8, "χ² {found} of {counts:?} (2 degrees of freedom, p = 0.001)");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut random = Key::new("a test", 4).random();
        let mut counts = BTreeMap::new();
        for _ in 0..24_000 {
            *counts.entry(random.permutation(4)).or_insert(0_u64) += 1;
        }
        assert_eq!(counts.len(), 24);
        let found = chi_square(counts.values().copied());
        assert!(found < 49.7, "χ² {found} (23 degrees of freedom, p = 0.001)");
    }

    /// Counts each set that `choose` gives, over many keys.
    fn sets(range: Range<usize>, most: usize, is_candidate: impl Fn(usize) -> bool) -> BTreeMap<Vec<usize>, u64> {
        let mut counts = BTreeMap::new();
        let mut chosen = vec![99];
        for draw in 0..40_000 {
            Key::new("a test", 5).with(draw).random().choose(range.clone(), most, &is_candidate, &mut chosen);
            assert!(chosen.is_sorted_by(|one, other| one < other), "{chosen:?}");
            assert!(chosen.iter().all(|&position| range.contains(&position) && is_candidate(position)), "{chosen:?}");
            *counts.entry(chosen.clone()).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn every_set_of_candidates_is_equally_likely() {
        // In turn: gone through; drawn; drawn with some refused; drawn in vain, then gone through.
        type Case = (Range<usize>, usize, fn(usize) -> bool, usize, f64);
        let cases: [Case; 4] = [
            (10..16, 3, |_| true, 20, 43.8),
            (7..19, 2, |_| true, 66, 106.0),
            (0..13, 3, |position| position % 2 == 0, 35, 65.3),
            (0..400, 2, |position| position % 80 == 79, 10, 27.9),
        ];
        for (range, most, is_candidate, expected, highest) in cases {
            let counts = sets(range.clone(), most, is_candidate);
            assert_eq!(counts.len(), expected, "{most} of {range:?}");
            let found = chi_square(counts.values().copied());
            assert!(found < highest, "{most} of {range:?}: χ² {found}, expected below {highest} (p = 0.001)");
        }
    }

    #[test]
    fn all_are_chosen_where_there_are_no_more() {
        let mut chosen = Vec::new();
        let mut random = Key::new("a test", 6).random();
        for most in [5, 6, usize::MAX] {
            random.choose(3..8, most, |_| true, &mut chosen);
            assert_eq!(chosen, [3, 4, 5, 6, 7]);
        }
        random.choose(0..1000, 3, |position| position == 500, &mut chosen);
        assert_eq!(chosen, [500]);
        random.choose(0..1000, 0, |_| true, &mut chosen);
        assert!(chosen.is_empty());
        random.choose(4..4, 2, |_| true, &mut chosen);
        assert!(chosen.is_empty());
    }
}
