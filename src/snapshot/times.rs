//! Times of edges, packed to the bits that their span needs.
//!
//! A section of packed times is `base` (i64), `width` (u64, at most 64), and as many u64 words as `edges × width` bits fill:
//! code i stands at bit `i × width`, the lowest bits first. Code 0 is a missing time, any other is `time − base + 1`.
//! So times in seconds over three years take 27 bits instead of 64, and are read at any place with two loads.

use std::ops::Range;

use crate::pack::put_bits;

/// Bytes before the words.
pub(super) const HEAD: usize = 16;

/// The times of a relation's edges in one direction, in the order of its targets.
#[derive(Clone, Copy, Debug)]
pub struct Times<'s> {
    form: Form<'s>,
}

#[derive(Clone, Copy, Debug)]
enum Form<'s> {
    /// As snapshots of version 1 have them; `i64::MIN` is missing. Empty where the relation has no time.
    Plain(&'s [i64]),
    Packed {
        words: &'s [u64],
        base: i64,
        width: u32,
        edges: usize,
    },
}

impl<'s> Times<'s> {
    /// Times as they are; `i64::MIN` is missing.
    pub fn plain(times: &'s [i64]) -> Self {
        Self { form: Form::Plain(times) }
    }

    /// Reads a packed section of so many edges; no times where it does not fit.
    pub(super) fn packed(section: &'s [u64], edges: usize) -> Self {
        match section {
            [base, width, words @ ..] if *width <= 64 && words.len() == words_of(edges, *width as u32) => {
                Self { form: Form::Packed { words, base: *base as i64, width: *width as u32, edges } }
            }
            _ => Self::plain(&[]),
        }
    }

    /// How many edges there are; 0 where the relation has no time.
    pub fn len(&self) -> usize {
        match self.form {
            Form::Plain(times) => times.len(),
            Form::Packed { edges, .. } => edges,
        }
    }

    /// Whether the relation has no time (or no edge).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time of the edge at a position, in the unit of the relation's time attribute; nothing where it is missing.
    #[inline]
    pub fn get(&self, position: usize) -> Option<i64> {
        Some(self.raw(position)).filter(|&time| time != i64::MIN)
    }

    /// The same, with `i64::MIN` for a missing time: as times are ordered.
    #[inline]
    pub fn raw(&self, position: usize) -> i64 {
        match self.form {
            Form::Plain(times) => times.get(position).copied().unwrap_or(i64::MIN),
            Form::Packed { edges, .. } if position >= edges => i64::MIN,
            Form::Packed { words, base, width, .. } => Coding { base, width }.time(code(words, position, width)),
        }
    }

    /// The end of those in a range of ascending times that are no later than `last`; missing ones are among them.
    pub fn until(&self, range: Range<usize>, last: i64) -> usize {
        let guess = range.start;
        self.until_from(range, last, guess)
    }

    /// The same, looked for around a place first.
    #[inline]
    pub(crate) fn until_from(&self, range: Range<usize>, last: i64, guess: usize) -> usize {
        match self.form {
            Form::Packed { words, base, width, .. } => {
                let coding = Coding { base, width };
                // Times before the base are no time of the relation, as a missing one is.
                let highest = if last < base { 0 } else { coding.code(last) };
                #[cfg(target_arch = "x86_64")]
                if (1..=57).contains(&width) && is_x86_feature_detected!("avx512f") {
                    // SAFETY: the processor has what the function is compiled for; there are words, since there are codes.
                    let end = unsafe { wide::end_around((words, width), &range, highest, guess) };
                    if let Some(end) = end {
                        return end;
                    }
                }
                end_of(range, highest, guess, |position| code(words, position, width))
            }
            Form::Plain(_) => self.partition_point(range, |time| time <= last),
        }
    }

    /// Where in a range a time would stand if times came evenly from the relation's first to its `latest`; asks for the memory
    /// around it.
    #[inline]
    pub(crate) fn guess(&self, range: &Range<usize>, last: i64, latest: i64, ask: impl Fn(&'s [u64], usize)) -> usize {
        let Form::Packed { words, base, width, .. } = self.form else { return range.start };
        let share =
            if last < base { 0.0 } else { (last.wrapping_sub(base) as u64 as f32) / (latest.wrapping_sub(base) as u64 as f32) };
        let guess = range.start + (share.min(1.0) * range.len() as f32) as usize;
        let around = around(range.len());
        let word = |position: usize| position * width as usize / 64;
        ask(words, word(guess.saturating_sub(around).max(range.start)));
        ask(words, word(guess));
        ask(words, word((guess + around).min(range.end)));
        guess
    }

    /// The first position in a range of ascending times whose time (`i64::MIN` is missing) is not `before`.
    pub fn partition_point(&self, range: Range<usize>, before: impl Fn(i64) -> bool) -> usize {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.raw(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// As far as the place of a number among so many evenly spread ones is off mostly: its deviation is at most half the root.
#[inline]
fn around(length: usize) -> usize {
    1 + (length as f32).sqrt() as usize
}

/// The end of those in a range of ascending codes that are at most `highest`, looked for around a place first.
#[inline]
fn end_of(range: Range<usize>, highest: u64, guess: usize, code: impl Fn(usize) -> u64) -> usize {
    let Range { start, end } = range;
    // All before `low` are at most that, none from `high` on is.
    let (mut low, mut high) = (start, end);
    if high - low > 32 {
        let around = around(high - low);
        let (left, right) = (guess.saturating_sub(around).max(start), (guess + around).min(end - 1));
        let is_within = [left, right].map(|position| code(position) <= highest);
        match is_within {
            [true, false] => (low, high) = (left + 1, right),
            [false, _] => high = left,
            [true, true] => low = right + 1,
        }
    }
    let mut length = high - low;
    while length > 0 {
        let half = length / 2;
        // Which half it is in is not foreseeable: so it is no branch.
        let is_within = code(low + half) <= highest;
        low = if is_within { low + half + 1 } else { low };
        length = if is_within { length - half - 1 } else { half };
    }
    low
}

/// The same in registers of 512 bits: eight codes at a time.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;
    use std::ops::Range;

    use super::around;

    /// As [`super::end_of`], if it is around the guess.
    ///
    /// # Safety
    /// The range is within the codes, of 1 to 57 bits each.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn end_around(
        (words, width): (&[u64], u32),
        range: &Range<usize>,
        highest: u64,
        guess: usize,
    ) -> Option<usize> {
        let around = around(range.len());
        let left = guess.saturating_sub(around).max(range.start);
        let right = (guess + around).min(range.end);
        let [one, width] = [1, width].map(|number| _mm512_set1_epi64(i64::from(number)));
        let first = _mm512_set_epi64(8, 7, 6, 5, 4, 3, 2, 1);
        let most = _mm512_set1_epi64(highest as i64);
        let mask = _mm512_sub_epi64(_mm512_sllv_epi64(one, width), one);
        // A code near the end is among the last eight bytes.
        let furthest = _mm512_set1_epi64(8 * words.len() as i64 - 8);
        let (mut low, mut high) = (left, right);
        while low < high {
            // Eight of them leave nine parts.
            let apart = (high - low) / 9 + 1;
            let steps = _mm512_mul_epu32(first, _mm512_set1_epi64(apart as i64));
            let positions = _mm512_add_epi64(_mm512_set1_epi64(low as i64 - 1), steps);
            let known = _mm512_cmplt_epu64_mask(positions, _mm512_set1_epi64(high as i64));
            // Positions are of 34 bits at most, widths of six.
            let bits = _mm512_add_epi64(
                _mm512_mul_epu32(positions, width),
                _mm512_slli_epi64::<32>(_mm512_mul_epu32(_mm512_srli_epi64::<32>(positions), width)),
            );
            let bytes = _mm512_min_epu64(_mm512_srli_epi64::<3>(bits), furthest);
            // SAFETY: eight bytes from there on are within the words.
            let found = unsafe { _mm512_mask_i64gather_epi64::<1>(_mm512_setzero_si512(), known, bytes, words.as_ptr().cast()) };
            let shifts = _mm512_sub_epi64(bits, _mm512_slli_epi64::<3>(bytes));
            let codes = _mm512_and_si512(_mm512_srlv_epi64(found, shifts), mask);
            let within = _mm512_mask_cmple_epu64_mask(known, codes, most).count_ones() as usize;
            low += within * apart;
            high = high.min(low + apart - 1);
        }
        let is_around = (low > left || left == range.start) && (low < right || right == range.end);
        is_around.then_some(low)
    }
}

#[inline]
fn code(words: &[u64], position: usize, width: u32) -> u64 {
    if width == 0 {
        return 0;
    }
    let bit = position * width as usize;
    // Mostly all of it is in the eight bytes from its first one on.
    let bytes: &[u8] = bytemuck::cast_slice(words);
    if let (true, Some(eight)) = (width <= 57, bytes.get(bit / 8..bit / 8 + 8)) {
        let mut word = [0; 8];
        word.copy_from_slice(eight);
        return (u64::from_le_bytes(word) >> (bit % 8)) & (u64::MAX >> (64 - width));
    }
    let (at, shift) = (bit / 64, (bit % 64) as u32);
    let low = words.get(at).copied().unwrap_or_default() >> shift;
    let high = if shift + width > 64 { words.get(at + 1).copied().unwrap_or_default() << (64 - shift) } else { 0 };
    (low | high) & (u64::MAX >> (64 - width))
}

/// The words that the codes of so many edges fill.
pub(super) fn words_of(edges: usize, width: u32) -> usize {
    // 2^32 edges of 64 bits are 2^38 bits.
    (edges * width as usize).div_ceil(64)
}

/// How times become codes, and how wide these are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coding {
    pub base: i64,
    pub width: u32,
}

impl Coding {
    /// For times from `first` to `last`; where all are missing, `first` is above `last`.
    pub(crate) fn of(first: i64, last: i64) -> Self {
        if first > last {
            return Self { base: 0, width: 0 };
        }
        // A missing time is `i64::MIN`, which is no time, so the span is at most 2^64 − 2, and the highest code 2^64 − 1.
        let highest = last.wrapping_sub(first) as u64 + 1;
        Self { base: first, width: 64 - highest.leading_zeros() }
    }

    /// Of a missing time (`i64::MIN`) 0.
    #[inline]
    pub(crate) fn code(self, time: i64) -> u64 {
        if time == i64::MIN { 0 } else { (time.wrapping_sub(self.base) as u64) + 1 }
    }

    /// The time with this code.
    #[inline]
    pub(crate) fn time(self, code: u64) -> i64 {
        if code == 0 { i64::MIN } else { self.base.wrapping_add((code - 1) as i64) }
    }

    /// How many 32-bit words hold a code.
    pub(crate) fn words(self) -> usize {
        if self.width > 32 { 2 } else { 1 }
    }

    pub(super) fn head(self) -> [u64; HEAD / 8] {
        [self.base as u64, u64::from(self.width)]
    }
}

/// Packs codes, a run at a time.
pub(super) struct Packer {
    width: u32,
    /// Fewer than eight codes, which end with no byte.
    waiting: Vec<u64>,
    bytes: usize,
    /// Memory for some codes.
    whole: Vec<u64>,
}

/// Codes that are put together at a time.
const CODES: usize = 1 << 10;

impl Packer {
    pub(super) fn new(width: u32) -> Self {
        Self { width, waiting: Vec::new(), bytes: 0, whole: Vec::new() }
    }

    /// Appends the bytes that are full by now. Of each code the lower and the higher half; without higher ones these are 0.
    pub(super) fn pack(&mut self, [low, high]: [&[u32]; 2], out: &mut Vec<u8>) {
        let mut whole = std::mem::take(&mut self.whole);
        for (at, low) in (0..).step_by(CODES).zip(low.chunks(CODES)) {
            whole.clear();
            match high.get(at..at + low.len()) {
                Some(high) => whole.extend(low.iter().zip(high).map(|(&low, &high)| u64::from(high) << 32 | u64::from(low))),
                None => whole.extend(low.iter().map(|&low| u64::from(low))),
            }
            self.pack_whole(&whole, out);
        }
        self.whole = whole;
    }

    fn pack_whole(&mut self, codes: &[u64], out: &mut Vec<u8>) {
        let before = out.len();
        let missing = (8 - self.waiting.len()) % 8;
        let (first, rest) = codes.split_at(missing.min(codes.len()));
        self.waiting.extend_from_slice(first);
        if self.waiting.len() == 8 {
            put_bits(out, &self.waiting, 0, self.width);
            self.waiting.clear();
        }
        let (eights, behind) = rest.as_chunks::<8>();
        put_bits(out, eights.as_flattened(), 0, self.width);
        self.waiting.extend_from_slice(behind);
        self.bytes += out.len() - before;
    }

    /// Appends what is left, to the end of a word.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        let before = out.len();
        put_bits(out, &self.waiting, 0, self.width);
        let bytes = self.bytes + out.len() - before;
        out.resize(out.len() + bytes.next_multiple_of(8) - bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = i64> {
        prop_oneof![Just(i64::MIN), Just(i64::MIN + 1), Just(i64::MAX), any::<i64>(), 0i64..100]
    }

    proptest! {
        #[test]
        fn packed_times_read_back(
            times in prop_oneof![prop::collection::vec(time(), 0..200), prop::collection::vec(-50i64..1000, 0..200)],
            cut in 0usize..200,
        ) {
            let known = times.iter().copied().filter(|&time| time != i64::MIN);
            let coding = Coding::of(known.clone().min().unwrap_or(i64::MAX), known.max().unwrap_or(i64::MIN));
            let codes: Vec<u64> = times.iter().map(|&time| coding.code(time)).collect();
            let mut packed = Vec::new();
            let mut packer = Packer::new(coding.width);
            let (one, other) = codes.split_at(cut.min(codes.len()));
            for codes in [one, other] {
                let low: Vec<u32> = codes.iter().map(|&code| code as u32).collect();
                let high: Vec<u32> = codes.iter().map(|&code| (code >> 32) as u32).collect();
                packer.pack([&low, if coding.words() > 1 { &high } else { &[] }], &mut packed);
            }
            packer.finish(&mut packed);
            let words = packed.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word));
            let section: Vec<u64> = coding.head().into_iter().chain(words).collect();
            prop_assert_eq!(packed.len(), 8 * words_of(times.len(), coding.width));
            let packed = Times::packed(&section, times.len());
            prop_assert_eq!(packed.len(), times.len());
            prop_assert_eq!((0..times.len()).map(|at| packed.raw(at)).collect::<Vec<_>>(), times);
            prop_assert_eq!(packed.get(cut + 200), None);
        }
    }

    #[test]
    fn three_years_of_seconds_take_27_bits() {
        assert_eq!(Coding::of(1_600_000_000, 1_700_000_000), Coding { base: 1_600_000_000, width: 27 });
        assert_eq!(Coding::of(7, 7).width, 1);
        assert_eq!(Coding::of(i64::MAX, i64::MIN).width, 0);
    }

    #[test]
    fn the_first_later_time_is_found() {
        let times = [i64::MIN, i64::MIN, 3, 5, 5, 9];
        assert_eq!(Times::plain(&times).partition_point(0..6, |time| time <= 5), 5);
        assert_eq!(Times::plain(&times).partition_point(0..6, |time| time == i64::MIN), 2);
        assert_eq!(Times::plain(&times).partition_point(3..4, |time| time <= 9), 4);
    }
}
