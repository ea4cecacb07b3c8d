//! The payload of a block of hidden edges: the ends of each, without more.
//!
//! ```text
//! pairs         varint    n, at most BLOCK_PAIRS
//! source gaps   packed    n: each source minus the one before; the first minus the key's
//! targets       packed    n
//! ```

use crate::pack::{Malformed, Reader, put_packed, put_varint};

/// The most pairs in one block.
pub(super) const BLOCK_PAIRS: usize = 1024;

/// The bytes of pairs that ascend; the key has the first source.
pub(super) fn encode(pairs: &[(u32, u32)]) -> Vec<u8> {
    let mut before = pairs.first().map_or(0, |pair| pair.0);
    let gaps: Vec<u64> = pairs.iter().map(|pair| u64::from(pair.0 - std::mem::replace(&mut before, pair.0))).collect();
    let targets: Vec<u64> = pairs.iter().map(|pair| u64::from(pair.1)).collect();
    let mut out = Vec::new();
    put_varint(&mut out, pairs.len() as u64);
    put_packed(&mut out, &gaps);
    put_packed(&mut out, &targets);
    out
}

/// Reads pairs back; `first` is the source of the block's key.
pub(super) fn decode(first: u32, payload: &[u8]) -> Result<Vec<(u32, u32)>, Malformed> {
    let mut reader = Reader::new(payload);
    let count = reader.count(BLOCK_PAIRS)?;
    let (mut gaps, mut targets) = (Vec::new(), Vec::new());
    reader.packed(count, &mut gaps)?;
    reader.packed(count, &mut targets)?;
    if count == 0 || !reader.is_at_end() {
        return Err(Malformed("it is no list of pairs"));
    }
    let narrow = |node: u64| u32::try_from(node).map_err(|_| Malformed("a node is above 32 bits"));
    let mut source = u64::from(first);
    let pair = |(gap, target): (u64, u64)| {
        source = source.saturating_add(gap);
        Ok((narrow(source)?, narrow(target)?))
    };
    gaps.into_iter().zip(targets).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pairs_read_back(pairs in prop::collection::btree_set((0u32..5000, any::<u32>()), 1..300)) {
            let list: Vec<(u32, u32)> = pairs.iter().copied().collect();
            let read: BTreeSet<(u32, u32)> = decode(list[0].0, &encode(&list)).unwrap().into_iter().collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), first: u32) {
            let _ = decode(first, &bytes);
        }
    }
}
