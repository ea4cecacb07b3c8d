//! Whole numbers in few bits: variable-length bytes, and runs packed to one width with the few large ones set apart.

use crate::vectorised::vectorised;

/// Bytes that are no block of this format. Behind a checksum this means a writer's fault or a forged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub &'static str);

/// Appends `value` in groups of seven bits, the lowest first (LEB128).
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

vectorised! {
    /// Appends a run of numbers; the reader knows how many there are.
    ///
    /// Layout: the smallest number, a width in bits, the number of exceptions; then the low `width` bits of every difference to
    /// the smallest, little-endian; then each exception's distance from the one before and its remaining high bits. The width is
    /// the one that makes the whole shortest. (Patched frame of reference: Zukowski et al., "Super-Scalar RAM-CPU Cache
    /// Compression", ICDE 2006.)
    pub(crate) fn put_packed(out: &mut Vec<u8>, values: &[u64]) {
        let Some((least, most)) = least_and_most(values) else { return };
        let longest = length(most - least);
        // Of long runs a sample tells how long the values are; its places shift, so that no period hides from it.
        let step = (values.len() / SAMPLE).max(1);
        let sample = (0..values.len() / step).map(|at| values[at * step + at % step]);
        let mut width = shortest(longest, values.len(), step, sample.map(|value| length(value - least)));
        let is_beyond = |value: u64, width: usize| (value - least) >> width > 0;
        let beyond = |width: usize| match width {
            width if width >= longest => 0,
            width => values.iter().filter(|&&value| is_beyond(value, width)).count(),
        };
        let mut exceptions = beyond(width);
        if step > 1 && exceptions * 8 > values.len() {
            // The sample told too little.
            width = shortest(longest, values.len(), 1, values.iter().map(|&value| length(value - least)));
            exceptions = beyond(width);
        }
        put_varint(out, least);
        out.push(width as u8);
        put_varint(out, exceptions as u64);
        put_bits_here(out, values, least, width as u32);
        if exceptions == 0 {
            return;
        }
        let mut last = 0;
        for (start, eight) in (0..).step_by(8).zip(values.chunks(8)) {
            // Most have none, which one look tells.
            if eight.iter().fold(0, |all, &value| all | (value - least)) >> width == 0 {
                continue;
            }
            for (at, &value) in (start..).zip(eight).filter(|&(_, &value)| is_beyond(value, width)) {
                put_varint(out, (at - last) as u64);
                put_varint(out, (value - least) >> width);
                last = at;
            }
        }
    }
}

/// In four strands, so that no comparison waits for the one before.
#[inline(always)]
fn least_and_most(values: &[u64]) -> Option<(u64, u64)> {
    let mut strands = [(*values.first()?, values[0]); 4];
    let (fours, rest) = values.as_chunks::<4>();
    let note = |strand: &mut (u64, u64), value: u64| *strand = (strand.0.min(value), strand.1.max(value));
    for four in fours {
        strands.iter_mut().zip(four).for_each(|(strand, &value)| note(strand, value));
    }
    rest.iter().for_each(|&value| note(&mut strands[0], value));
    strands.into_iter().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

vectorised! {
    /// Appends the low `width` bits of each value's difference to `least`, in as few bytes as hold them.
    pub(crate) fn put_bits(out: &mut Vec<u8>, values: &[u64], least: u64, width: u32) {
        put_bits_here(out, values, least, width);
    }
}

#[inline(always)]
fn put_bits_here(out: &mut Vec<u8>, values: &[u64], least: u64, width: u32) {
    // A width that is known to the compiler has shifts that are.
    macro_rules! eights_of {
        ($($known:literal)*) => {
            match width {
                $($known => put_eights::<$known>(out, values, least),)*
                _ => values,
            }
        };
    }
    let rest = eights_of!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
    // Eight values end with a byte.
    put_each(out, rest, least, width);
}

/// The same for eight values at a time, of 1 to 32 bits; returns those that are left.
#[inline(always)]
fn put_eights<'v, const WIDTH: usize>(out: &mut Vec<u8>, values: &'v [u64], least: u64) -> &'v [u64] {
    let (eights, rest) = values.as_chunks::<8>();
    let start = out.len();
    // Whole words are written, of which the next one overwrites what is beyond its place.
    out.resize(start + eights.len() * WIDTH + 32, 0);
    let mask = u64::MAX >> (64 - WIDTH);
    // Where the upper four values begin: in the middle of a byte if the width is odd.
    let (upper, shared) = (WIDTH / 2, 4 * (WIDTH % 2));
    let mut place = &mut out[start..];
    for eight in eights {
        let low = |at: usize| (eight[at] - least) & mask;
        let two = |at: usize| low(at) | low(at + 1) << WIDTH;
        let four = |at: usize| u128::from(two(at)) | u128::from(two(at + 2)) << (2 * WIDTH);
        let (first, second) = (four(0), four(4));
        place[..16].copy_from_slice(&first.to_le_bytes());
        let second = second << shared | if shared > 0 { first >> (4 * WIDTH - shared) } else { 0 };
        place[upper..upper + 16].copy_from_slice(&second.to_le_bytes());
        place = &mut place[WIDTH..];
    }
    out.truncate(start + eights.len() * WIDTH);
    rest
}

/// The same one after another, of any width.
#[inline(always)]
fn put_each(out: &mut Vec<u8>, values: &[u64], least: u64, width: u32) {
    if width == 0 {
        return;
    }
    let mask = u64::MAX >> (64 - width);
    let (mut pending, mut filled) = (0u64, 0);
    for &value in values {
        let low = (value - least) & mask;
        pending |= low << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&pending.to_le_bytes());
            filled -= 64;
            pending = if filled == 0 { 0 } else { low >> (width - filled) };
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// The width that makes the whole shortest: of `count` values, of which some lengths are given, each standing for `each`.
#[inline(always)]
fn shortest(longest: usize, count: usize, each: usize, lengths: impl Iterator<Item = usize>) -> usize {
    // Two counts, so that a length that follows itself does not wait for memory.
    let mut of_length = [[0u32; 65]; 2];
    for (at, length) in lengths.enumerate() {
        of_length[at % 2][length] += 1;
    }
    let (mut width, mut best) = (longest, (count * longest).div_ceil(8));
    let mut longer = 0;
    for candidate in (0..longest).rev() {
        longer += (of_length[0][candidate + 1] + of_length[1][candidate + 1]) as usize * each;
        // One byte for the distance, and the high bits in groups of seven.
        let beside = longer * (1 + (longest - candidate).div_ceil(7));
        if beside >= best {
            break;
        }
        let bytes = (count * candidate).div_ceil(8) + beside;
        if bytes < best {
            (width, best) = (candidate, bytes);
        }
    }
    width
}

/// Values that tell how long those of a run are.
const SAMPLE: usize = 128;

#[inline(always)]
fn length(value: u64) -> usize {
    (64 - value.leading_zeros()) as usize
}

/// A place in a block that is being read.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                break;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a number is longer than 64 bits"))
    }

    /// A number that counts things of at most `most`, so that a wrong one cannot ask for much memory.
    pub(crate) fn count(&mut self, most: usize) -> Result<usize, Malformed> {
        usize::try_from(self.varint()?).ok().filter(|&count| count <= most).ok_or(Malformed("a count is too large"))
    }

    /// A run of `count` numbers, as [`put_packed`] wrote it, behind those that `values` has.
    pub(crate) fn packed(&mut self, count: usize, values: &mut Vec<u64>) -> Result<(), Malformed> {
        if count == 0 {
            return Ok(());
        }
        let least = self.varint()?;
        let width = u32::from(self.byte()?);
        if width > 64 {
            return Err(Malformed("a width is above 64 bits"));
        }
        let exceptions = self.count(count)?;
        let behind = self.rest;
        let packed = self.take((count * width as usize).div_ceil(8))?;
        let start = values.len();
        unpack(packed, behind, least, width, count, values);
        let mut at = start;
        for _ in 0..exceptions {
            at = at.saturating_add(self.count(count)?);
            let high = self.varint()?;
            if width == 64 || high.leading_zeros() < width {
                return Err(Malformed("an exception is longer than 64 bits"));
            }
            let value = values.get_mut(at).ok_or(Malformed("an exception lies outside"))?;
            *value = value.wrapping_add(high << width);
        }
        Ok(())
    }
}

vectorised! {
    /// Reads `count` numbers of `width` bits, each plus `least`. `behind` begins with `packed` and may go on.
    fn unpack(packed: &[u8], behind: &[u8], least: u64, width: u32, count: usize, values: &mut Vec<u64>) {
        if width == 0 {
            return values.resize(values.len() + count, least);
        }
        let mask = u64::MAX >> (64 - width);
        let width = width as usize;
        if width > 56 {
            let byte = |at: usize| packed.get(at).copied().unwrap_or(0);
            values.extend((0..count).map(|at| {
                let bit = at * width;
                let word: [u8; 16] = std::array::from_fn(|offset| byte(bit / 8 + offset));
                ((u128::from_le_bytes(word) >> (bit % 8)) as u64 & mask).wrapping_add(least)
            }));
            return;
        }
        let read = |bytes: &[u8], bit: usize| {
            let word = bytes[bit / 8..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            ((word >> (bit % 8)) & mask).wrapping_add(least)
        };
        // Of the last values, the eight bytes from their first one may not be there: they are read from a padded copy.
        let safe = (behind.len().saturating_sub(8) * 8 / width).min(count);
        values.extend((0..safe).map(|at| read(behind, at * width)));
        let from = safe * width / 8;
        let mut tail = [0u8; 24];
        let rest = &packed[from.min(packed.len())..];
        if rest.len() + 8 <= tail.len() {
            tail[..rest.len()].copy_from_slice(rest);
            values.extend((safe..count).map(|at| read(&tail, at * width - from * 8)));
        } else {
            let padded = [rest, &[0; 8]].concat();
            values.extend((safe..count).map(|at| read(&padded, at * width - from * 8)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(values: &[u64]) -> usize {
        let mut bytes = Vec::new();
        put_packed(&mut bytes, values);
        let mut reader = Reader::new(&bytes);
        let mut read = vec![5];
        reader.packed(values.len(), &mut read).unwrap();
        assert_eq!(read[1..], *values);
        assert!(reader.is_at_end());
        bytes.len()
    }

    #[test]
    fn one_large_number_does_not_widen_the_others() {
        let mut values = vec![3; 512];
        assert_eq!(round_trip(&values), 3);
        for (at, value) in values.iter_mut().enumerate() {
            *value += at as u64 % 4;
        }
        let without = round_trip(&values);
        assert_eq!(without, 3 + 512 * 2 / 8);
        values[300] = 1 << 40;
        assert!(round_trip(&values) < without + 12);
    }

    #[test]
    fn eight_at_a_time_are_the_bytes_of_one_after_another() {
        for width in 0..=64u32 {
            for count in [0u64, 1, 7, 8, 9, 64, 77] {
                let values: Vec<u64> = (1..=count).map(|at| 3 + (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1)).collect();
                let (mut at_once, mut each) = (vec![1, 2, 3], vec![1, 2, 3]);
                put_bits(&mut at_once, &values, 3, width);
                put_each(&mut each, &values, 3, width);
                assert_eq!(at_once, each, "width {width}, {count} values");
            }
        }
    }

    #[test]
    fn numbers_of_every_width_read_back_whatever_follows() {
        for width in 0..=64u32 {
            for count in [1usize, 2, 7, 8, 9, 63, 64, 65, 300] {
                let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
                let values: Vec<u64> = (0..count as u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask).collect();
                let mut bytes = Vec::new();
                put_packed(&mut bytes, &values);
                for padding in [0, 1, 7, 8, 20] {
                    let mut behind = bytes.clone();
                    behind.resize(bytes.len() + padding, 0xff);
                    let mut read = Vec::new();
                    Reader::new(&behind).packed(count, &mut read).unwrap();
                    assert_eq!(read, values, "width {width}, {count} values, {padding} bytes behind");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn packed_numbers_read_back(
            values in prop::collection::vec(
                prop_oneof![any::<u64>(), 0u64..1000, Just(u64::MAX), Just(0), (0u64..64).prop_map(|bit| 1 << bit)], 0..300),
        ) {
            round_trip(&values);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..600) {
            let _ = Reader::new(&bytes).packed(count, &mut Vec::new());
            let _ = Reader::new(&bytes).varint();
        }
    }
}
