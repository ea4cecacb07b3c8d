//! The bytes of `snapshots/<id>/graph.relata`, format version 2. All numbers are little-endian.
//!
//! Version 1 had times as [`Part::EdgeTimes`] where version 2 has [`Part::EdgeTimesPacked`]; both are read.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | magic `RELATAGR` |
//! | 8 | 4 | format version |
//! | 12 | 4 | number of sections |
//! | 16 | 8 | offset of the section table |
//! | 24 | 8 | length of the file |
//! | 32 | 32 | BLAKE3 of the section table |
//! | 64 | | sections, each at a multiple of 64, zero-padded |
//! | table offset | 48 each | section table |
//!
//! An entry of the section table:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 1 | [`Part`] |
//! | 1 | 1 | direction (0 outgoing, 1 incoming), where it matters |
//! | 2 | 2 | node type or relation |
//! | 4 | 2 | attribute, where it matters |
//! | 6 | 2 | zero |
//! | 8 | 8 | offset |
//! | 16 | 8 | length in bytes |
//! | 24 | 16 | first half of the BLAKE3 of the section's bytes |
//! | 40 | 8 | zero |
//!
//! The snapshot's identity is the BLAKE3 of all entries' bytes 0 to 7 and 16 to 39 in order: of what there is,
//! not of where it lies. A symmetric relation has outgoing sections only, each edge at both of its ends.
//! Sources (provenance) lie beside in `sources.json`, with a checksum, so that equal content keeps an equal identity.

use relata_schema::Direction;

/// First bytes of the file.
pub const MAGIC: [u8; 8] = *b"RELATAGR";
/// Version that this program writes. It reads this one and all before.
pub const VERSION: u32 = 2;
/// Sections start at multiples of this.
pub const ALIGNMENT: usize = 64;
/// Bytes of the header.
pub const HEADER: usize = 64;
/// Bytes of an entry of the section table.
pub const ENTRY: usize = 48;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Part {
    /// The schema, as JSON.
    Schema = 1,
    /// `nodes + 1` u64 offsets into the key bytes of a type.
    KeyOffsets = 2,
    /// The keys of a type, UTF-8, ascending.
    KeyBytes = 3,
    /// A node column: f64, u32, u8, i64 or f32, by the attribute's kind; for intervals the contig's code, u32.
    NodeValues = 4,
    /// `nodes + 1` u64 offsets into a text column's bytes.
    TextOffsets = 5,
    /// A text column's bytes, UTF-8.
    TextBytes = 6,
    /// 1 where a text is there, 0 where it is missing; one byte a node.
    TextPresent = 7,
    /// `names + 1` u64 offsets of a node category's or contig's names.
    NameOffsets = 8,
    /// Those names, UTF-8, ascending.
    NameBytes = 9,
    /// 0-based starts of intervals, u64.
    IntervalStarts = 10,
    /// Half-open ends of intervals, u64.
    IntervalEnds = 11,
    /// Strands: 0 unknown, 1 forward, 2 reverse; one byte a node.
    IntervalStrands = 12,
    /// `near nodes + 1` u64 positions.
    EdgeOffsets = 13,
    /// Far nodes, u32.
    EdgeTargets = 14,
    /// Times, i64. Of version 1 only.
    EdgeTimes = 15,
    /// An edge column: f32, or u32 codes.
    EdgeValues = 16,
    /// `names + 1` u64 offsets of an edge category's names.
    EdgeNameOffsets = 17,
    /// Those names, UTF-8, ascending.
    EdgeNameBytes = 18,
    /// Times in as many bits as their span needs: see [`Times`](super::Times).
    EdgeTimesPacked = 19,
}

impl Part {
    const ALL: [Self; 19] = [
        Self::Schema,
        Self::KeyOffsets,
        Self::KeyBytes,
        Self::NodeValues,
        Self::TextOffsets,
        Self::TextBytes,
        Self::TextPresent,
        Self::NameOffsets,
        Self::NameBytes,
        Self::IntervalStarts,
        Self::IntervalEnds,
        Self::IntervalStrands,
        Self::EdgeOffsets,
        Self::EdgeTargets,
        Self::EdgeTimes,
        Self::EdgeValues,
        Self::EdgeNameOffsets,
        Self::EdgeNameBytes,
        Self::EdgeTimesPacked,
    ];
}

/// Which section: its part and what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SectionKey {
    /// What it holds.
    pub part: Part,
    /// Node type or relation.
    pub owner: u16,
    /// Attribute, or 0.
    pub attribute: u16,
    /// Direction, or outgoing.
    pub direction: Direction,
}

impl SectionKey {
    /// Of a whole node type, relation or file.
    pub fn of(part: Part, owner: u16) -> Self {
        Self { part, owner, attribute: 0, direction: Direction::Outgoing }
    }

    /// Of one attribute.
    pub fn attribute(part: Part, owner: u16, attribute: u16) -> Self {
        Self { part, owner, attribute, direction: Direction::Outgoing }
    }

    /// The same section of the other walk.
    pub fn toward(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }
}

/// An entry of the section table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which section.
    pub key: SectionKey,
    /// Where it starts.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// First half of its BLAKE3.
    pub checksum: [u8; 16],
}

impl Entry {
    /// As it lies in the table.
    pub fn to_bytes(self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[0] = self.key.part as u8;
        bytes[1] = u8::from(self.key.direction == Direction::Incoming);
        bytes[2..4].copy_from_slice(&self.key.owner.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.key.attribute.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.length.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.checksum);
        bytes
    }

    /// Reads an entry; `None` for a part or direction that no version has.
    pub fn from_bytes(bytes: &[u8; ENTRY]) -> Option<Self> {
        let part = Part::ALL.into_iter().find(|&part| part as u8 == bytes[0])?;
        let direction = match bytes[1] {
            0 => Direction::Outgoing,
            1 => Direction::Incoming,
            _ => return None,
        };
        let mut checksum = [0; 16];
        checksum.copy_from_slice(&bytes[24..40]);
        Some(Self {
            key: SectionKey { part, owner: read_u16(bytes, 2), attribute: read_u16(bytes, 4), direction },
            offset: read_u64(bytes, 8),
            length: read_u64(bytes, 16),
            checksum,
        })
    }

    /// What of it goes into the snapshot's identity.
    pub fn identity(bytes: &[u8; ENTRY]) -> [u8; 32] {
        let mut identity = [0; 32];
        identity[..8].copy_from_slice(&bytes[..8]);
        identity[8..].copy_from_slice(&bytes[16..40]);
        identity
    }
}

/// First half of the BLAKE3 of some bytes.
pub fn checksum(bytes: &[u8]) -> [u8; 16] {
    first_half(&blake3::hash(bytes))
}

/// First half of a BLAKE3 hash.
pub fn first_half(hash: &blake3::Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    half
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(super) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
