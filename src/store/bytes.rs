//! Whole numbers in few bits: variable-length bytes, and runs packed to one width with the few large ones set apart.

/// Bytes that are no block of this format. Behind a checksum this means a writer's fault or a forged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

/// Appends `value` in groups of seven bits, the lowest first (LEB128).
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a run of numbers; the reader knows how many there are.
///
/// Layout: the smallest number, a width in bits, the number of exceptions; then the low `width` bits of every difference to
/// the smallest, little-endian; then each exception's distance from the one before and its remaining high bits. The width is
/// the one that makes the whole shortest. (Patched frame of reference: Zukowski et al., "Super-Scalar RAM-CPU Cache
/// Compression", ICDE 2006.)
pub(super) fn put_packed(out: &mut Vec<u8>, values: &[u64]) {
    let Some(&least) = values.iter().min() else { return };
    let mut of_length = [0u64; 65];
    for &value in values {
        of_length[length(value - least)] += 1;
    }
    let longest = (0..=64).rev().find(|&bits| of_length[bits] > 0).unwrap_or(0);
    let (mut width, mut best, mut exceptions) = (longest, (values.len() * longest).div_ceil(8) as u64, 0);
    for candidate in (0..longest).rev() {
        exceptions += of_length[candidate + 1];
        // One byte for the distance, and the high bits in groups of seven.
        let bytes = (values.len() * candidate).div_ceil(8) as u64 + exceptions * (1 + (longest - candidate).div_ceil(7) as u64);
        if bytes < best {
            (width, best) = (candidate, bytes);
        }
    }
    put_varint(out, least);
    out.push(width as u8);
    let large = |&value: &u64| length(value - least) > width;
    put_varint(out, values.iter().filter(|value| large(value)).count() as u64);
    let (mut pending, mut filled) = (0u128, 0);
    for &value in values {
        let low = if width == 64 { value - least } else { (value - least) & ((1 << width) - 1) };
        pending |= u128::from(low) << filled;
        filled += width;
        while filled >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(pending as u8);
    }
    let mut last = 0;
    for (at, value) in values.iter().enumerate().filter(|(_, value)| large(value)) {
        put_varint(out, (at - last) as u64);
        put_varint(out, (value - least) >> width);
        last = at;
    }
}

fn length(value: u64) -> usize {
    (64 - value.leading_zeros()) as usize
}

/// A place in a block that is being read.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
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
    pub(super) fn count(&mut self, most: usize) -> Result<usize, Malformed> {
        usize::try_from(self.varint()?).ok().filter(|&count| count <= most).ok_or(Malformed("a count is too large"))
    }

    /// A run of `count` numbers, as [`put_packed`] wrote it.
    pub(super) fn packed(&mut self, count: usize) -> Result<Vec<u64>, Malformed> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let least = self.varint()?;
        let width = usize::from(self.byte()?);
        if width > 64 {
            return Err(Malformed("a width is above 64 bits"));
        }
        let exceptions = self.count(count)?;
        let packed = self.take((count * width).div_ceil(8))?;
        // Padded, so that the 16 bytes from any value's first byte exist.
        let mut padded = Vec::with_capacity(packed.len() + 16);
        padded.extend_from_slice(packed);
        padded.resize(packed.len() + 16, 0);
        let mut values = Vec::with_capacity(count);
        if width <= 56 {
            let mask = (1u64 << width) - 1;
            values.extend((0..count).map(|at| {
                let bit = at * width;
                let word: [u8; 8] = padded[bit / 8..bit / 8 + 8].try_into().expect("the range is 8 long");
                ((u64::from_le_bytes(word) >> (bit % 8)) & mask).wrapping_add(least)
            }));
        } else {
            let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
            values.extend((0..count).map(|at| {
                let bit = at * width;
                let word: [u8; 16] = padded[bit / 8..bit / 8 + 16].try_into().expect("the range is 16 long");
                ((u128::from_le_bytes(word) >> (bit % 8)) as u64 & mask).wrapping_add(least)
            }));
        }
        let mut at = 0usize;
        for _ in 0..exceptions {
            at = at.saturating_add(self.count(count)?);
            let high = self.varint()?;
            if width == 64 || high.leading_zeros() < width as u32 {
                return Err(Malformed("an exception is longer than 64 bits"));
            }
            let value = values.get_mut(at).ok_or(Malformed("an exception lies outside"))?;
            *value = value.wrapping_add(high << width);
        }
        Ok(values)
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
        assert_eq!(reader.packed(values.len()).unwrap(), values);
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
            let _ = Reader::new(&bytes).packed(count);
            let _ = Reader::new(&bytes).varint();
        }
    }
}
