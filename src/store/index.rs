//! A page of a segment's index: the keys, last nodes and lengths of some blocks, in a few bytes each.
//!
//! ```text
//! tag            u8        255
//! runs           varint    how many follow; the blocks of each have kind, owner, attribute and direction in common
//! run            6 bytes   these, as in the key
//! blocks         varint    m
//! first nodes    packed    m: the first as it is, then gaps
//! numbers        packed    m
//! last nodes     packed    m: each minus the first node
//! lengths        packed    m
//! ```
//!
//! Before the second version of the store a page was a bincode list of (key, last node, length), which never begins with
//! 255; such pages are read too.

use super::key::{BlockKey, KEY_BYTES};
use super::segment::Block;
use crate::pack::{Malformed, Reader, put_packed, put_varint};

const TAG: u8 = 255;
/// Where a run stands in a key.
const RUN: std::ops::Range<usize> = 4..10;

/// A block without its offset: key, last node, length.
type Row = (BlockKey, u32, u32);

/// The bytes of a page of blocks that ascend by key.
pub(super) fn encode(blocks: &[Block]) -> Vec<u8> {
    let mut out = vec![TAG];
    put_varint(&mut out, blocks.chunk_by(|a, b| a.key.run == b.key.run).count() as u64);
    let mut numbers = Vec::new();
    for blocks in blocks.chunk_by(|a, b| a.key.run == b.key.run) {
        out.extend_from_slice(&blocks[0].key.to_bytes(0)[RUN]);
        put_varint(&mut out, blocks.len() as u64);
        let mut before = 0;
        let mut put = |number: &mut dyn FnMut(&Block) -> u32| {
            numbers.clear();
            numbers.extend(blocks.iter().map(|block| u64::from(number(block))));
            put_packed(&mut out, &numbers);
        };
        put(&mut |block| block.key.first - std::mem::replace(&mut before, block.key.first));
        put(&mut |block| block.key.number);
        put(&mut |block| block.last - block.key.first);
        put(&mut |block| block.length);
    }
    out
}

/// Reads a page of a segment back.
pub(super) fn decode(segment: u32, page: &[u8]) -> Result<Vec<Row>, Malformed> {
    if page.first() != Some(&TAG) {
        return decode_first_version(segment, page);
    }
    let mut reader = Reader::new(&page[1..]);
    let mut rows = Vec::new();
    let runs = reader.count(page.len())?;
    for _ in 0..runs {
        let mut key = [0; KEY_BYTES];
        key[RUN].copy_from_slice(reader.take(RUN.len())?);
        let (_, key) = BlockKey::from_bytes(&key).ok_or(Malformed("it has a key that is none"))?;
        let blocks = reader.count(super::segment::PAGE_BLOCKS)?;
        let mut column = || {
            let mut numbers = Vec::new();
            reader.packed(blocks, &mut numbers).map(|()| numbers)
        };
        let (gaps, numbers, spans, lengths) = (column()?, column()?, column()?, column()?);
        let narrow = |number: u64| u32::try_from(number).map_err(|_| Malformed("a number is above 32 bits"));
        let mut first = 0u64;
        for at in 0..blocks {
            first = first.saturating_add(gaps[at]);
            let key = BlockKey { first: narrow(first)?, number: narrow(numbers[at])?, ..key };
            rows.push((key, narrow(first.saturating_add(spans[at]))?, narrow(lengths[at])?));
        }
    }
    if reader.is_at_end() { Ok(rows) } else { Err(Malformed("bytes follow its end")) }
}

fn decode_first_version(segment: u32, page: &[u8]) -> Result<Vec<Row>, Malformed> {
    let rows: Vec<([u8; KEY_BYTES], u32, u32)> = super::decoded(page).map_err(|_| Malformed("it does not decode as a page"))?;
    let row = |(key, last, length): ([u8; KEY_BYTES], u32, u32)| {
        let key = BlockKey::from_bytes(&key).filter(|&(number, _)| number == segment);
        key.map(|(_, key)| (key, last, length)).ok_or(Malformed("it has a key that is none"))
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relata_schema::{AttributeId, Direction, NodeTypeId, RelationId};

    use super::*;
    use crate::store::key::Run;

    fn blocks() -> impl Strategy<Value = Vec<Block>> {
        let run = prop_oneof![
            (0u16..3, any::<bool>()).prop_map(|(relation, incoming)| Run::Postings {
                relation: RelationId(relation),
                direction: if incoming { Direction::Incoming } else { Direction::Outgoing },
            }),
            (0u16..3, 0u16..2)
                .prop_map(|(owner, attribute)| Run::Column { node_type: NodeTypeId(owner), attribute: AttributeId(attribute) }),
        ];
        let block = (run, any::<u32>(), 0u32..4, any::<u32>(), any::<u32>());
        prop::collection::vec(block, 1..200).prop_map(|blocks| {
            let mut blocks: Vec<Block> = blocks
                .into_iter()
                .map(|(run, first, number, last, length)| Block {
                    key: BlockKey { run, first, number },
                    last: last.max(first),
                    length,
                    offset: 0,
                })
                .collect();
            blocks.sort_by_key(|block| block.key);
            blocks
        })
    }

    proptest! {
        #[test]
        fn pages_of_both_versions_read_back(blocks in blocks(), segment in any::<u32>()) {
            let rows: Vec<Row> = blocks.iter().map(|block| (block.key, block.last, block.length)).collect();
            prop_assert_eq!(&decode(segment, &encode(&blocks)).unwrap(), &rows);
            let first: Vec<_> = rows.iter().map(|&(key, last, length)| (key.to_bytes(segment), last, length)).collect();
            prop_assert_eq!(&decode(segment, &super::super::encoded(&first)).unwrap(), &rows);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(7, &bytes);
            let _ = decode(7, &[&[TAG], bytes.as_slice()].concat());
        }
    }
}
