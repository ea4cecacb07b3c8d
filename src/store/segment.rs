//! A segment: one file of checksummed blocks, written once from front to back, and its index in the database.
//!
//! ```text
//! segments/00000017.segment
//!   header   16 bytes: "RELATSEG", format version u32, segment number u32, little-endian
//!   block    key 18 bytes (see `key`), last near node u32 BE, payload length u32 BE, payload, checksum 8 bytes
//!   block    …, in ascending order of their keys, to the end of the file
//! ```
//!
//! The checksum is the first 8 bytes of the BLAKE3 hash of everything before it in the block, so a block under another's
//! key is found too. The hash of a segment is that of its checksums, in order; the commit record holds it with the
//! number of blocks and the file's length.
//!
//! Why not values in sled: it takes about 2.4 times the raw bytes, never reports damage, and panics on a full disk.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use relata_schema::{RelationId, Schema, Value};
use serde::{Deserialize, Serialize};

use super::bytes::Malformed;
use super::engine::{Engine, Tree};
use super::key::{BlockKey, KEY_BYTES, Run};
use super::posting::{NO_TIME, Postings};
use super::{column, nodes};
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"RELATSEG";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 16;
/// Key, last node and length.
const FRAME_BYTES: usize = KEY_BYTES + 8;
pub(super) const CHECKSUM_BYTES: usize = 8;
/// Blocks that share an entry of the database.
const PAGE_BLOCKS: usize = 256;

/// What the commit record says of a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SegmentEntry {
    pub number: u32,
    pub blocks: u64,
    /// The file's length.
    pub bytes: u64,
    /// What edges of which relation, ascending by relation.
    pub edges: Vec<EdgeStats>,
    /// BLAKE3 of the blocks' checksums.
    pub hash: [u8; 32],
}

/// What the commit record says of a relation's edges in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EdgeStats {
    pub relation: RelationId,
    /// How many.
    pub edges: u64,
    /// `None` where a segment of version 1 does not tell.
    pub times: Option<EdgeTimes>,
}

/// The times of edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EdgeTimes {
    /// The smallest; above `last` where no edge has a time.
    pub first: i64,
    /// The largest.
    pub last: i64,
    /// Whether an edge has none.
    pub missing: bool,
}

impl EdgeTimes {
    /// Of `edges` edges with these times: one an edge, or none at all where none has a time.
    pub(super) fn of(times: &[i64], edges: usize) -> Self {
        let present = times.iter().copied().filter(|&time| time != NO_TIME);
        let (first, last) = present.fold((i64::MAX, i64::MIN), |(first, last), time| (time.min(first), time.max(last)));
        let missing = times.len() < edges || times.contains(&NO_TIME);
        Self { first, last, missing }
    }
}

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    pub key: BlockKey,
    /// The highest near node in it.
    pub last: u32,
    /// Of the payload.
    pub length: u32,
    /// Of the frame, from the file's beginning.
    pub offset: u64,
}

impl Block {
    fn end(&self) -> u64 {
        self.offset + (FRAME_BYTES + CHECKSUM_BYTES) as u64 + u64::from(self.length)
    }
}

/// A block with its frame and checksum, ready to be written.
pub(super) struct Frame {
    key: BlockKey,
    last: u32,
    bytes: Vec<u8>,
}

impl Frame {
    pub(super) fn new(segment: u32, key: BlockKey, last: u32, payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(FRAME_BYTES + payload.len() + CHECKSUM_BYTES);
        bytes.extend_from_slice(&key.to_bytes(segment));
        bytes.extend_from_slice(&last.to_be_bytes());
        // Block writers close a block long before its length needs more than 32 bits; a single longer value is refused by
        // `Load::set`.
        bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        bytes.extend_from_slice(payload);
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        Self { key, last, bytes }
    }
}

pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = blake3::hash(bytes);
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

pub(super) fn folder(store: &Path) -> PathBuf {
    store.join("segments")
}

pub(super) fn path(store: &Path, number: u32) -> PathBuf {
    folder(store).join(format!("{number:08}.segment"))
}

/// A segment being written. Dropped before [`finish`](Self::finish), its file goes.
pub(super) struct SegmentWriter {
    number: u32,
    path: PathBuf,
    file: Option<BufWriter<File>>,
    offset: u64,
    blocks: Vec<Block>,
    hasher: blake3::Hasher,
    edges: Vec<EdgeStats>,
}

impl SegmentWriter {
    pub(super) fn create(store: &Path, number: u32) -> Result<Self> {
        let path = path(store, number);
        let file = File::create(&path).map_err(Error::io(&path, "cannot make the segment"))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&number.to_le_bytes());
        file.write_all(&header).map_err(Error::io(&path, "cannot write the segment"))?;
        let hasher = blake3::Hasher::new();
        Ok(Self { number, path, file: Some(file), offset: HEADER_BYTES, blocks: Vec::new(), hasher, edges: Vec::new() })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Appends a block. Keys ascend strictly.
    pub(super) fn put(&mut self, frame: &Frame) -> Result<()> {
        debug_assert!(self.blocks.last().is_none_or(|last| last.key < frame.key), "{:?}", frame.key);
        let file = self.file.as_mut().expect("only `finish` and `drop` take it");
        file.write_all(&frame.bytes).map_err(Error::io(&self.path, "cannot write the segment"))?;
        self.hasher.update(&frame.bytes[frame.bytes.len() - CHECKSUM_BYTES..]);
        let length = (frame.bytes.len() - FRAME_BYTES - CHECKSUM_BYTES) as u32;
        self.blocks.push(Block { key: frame.key, last: frame.last, length, offset: self.offset });
        self.offset += frame.bytes.len() as u64;
        Ok(())
    }

    /// Notes what edges of a relation were put; relations ascend.
    pub(super) fn count_edges(&mut self, edges: EdgeStats) {
        self.edges.push(edges);
    }

    /// Returns when the file is on the disk. The folder's entry is synced by the commit.
    pub(super) fn finish(mut self) -> Result<(SegmentEntry, Vec<Block>)> {
        let file = self.file.take().expect("only `finish` and `drop` take it");
        let failed = |source| Error::Io { path: self.path.clone(), action: "cannot write the segment", source };
        let synced = file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all());
        if let Err(error) = synced {
            let _ = std::fs::remove_file(&self.path);
            return Err(failed(error));
        }
        let entry = SegmentEntry {
            number: self.number,
            blocks: self.blocks.len() as u64,
            bytes: self.offset,
            edges: std::mem::take(&mut self.edges),
            hash: *self.hasher.finalize().as_bytes(),
        };
        Ok((entry, std::mem::take(&mut self.blocks)))
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // What the buffer still holds is of no use.
            let _ = file.into_parts();
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The entries of the database that hold a segment's index: key (segment u32 BE, page u32 BE), value a bincode list of
/// (block key, last node, length), and 8 bytes of checksum over key and value.
pub(super) fn index_pages(number: u32, blocks: &[Block]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let page = move |(page, blocks): (usize, &[Block])| {
        let key = [number.to_be_bytes(), (page as u32).to_be_bytes()].concat();
        let rows: Vec<([u8; KEY_BYTES], u32, u32)> =
            blocks.iter().map(|block| (block.key.to_bytes(number), block.last, block.length)).collect();
        let mut value = super::encoded(&rows);
        let sum = checksum(&[key.as_slice(), value.as_slice()].concat());
        value.extend_from_slice(&sum);
        (key, value)
    };
    blocks.chunks(PAGE_BLOCKS).enumerate().map(page)
}

/// The most bytes that a segment's index takes, before sled's own.
pub(super) fn index_bytes(blocks: &[Block]) -> usize {
    blocks.len() * (KEY_BYTES + 10) + blocks.len().div_ceil(PAGE_BLOCKS) * (16 + CHECKSUM_BYTES)
}

/// Removes a segment's file and index.
pub(super) fn remove(store: &Path, engine: &Engine, number: u32) -> Result<()> {
    let mut keys = Vec::new();
    engine.scan(Tree::Blocks, &number.to_be_bytes(), |key, _| {
        keys.push(key.to_vec());
        Ok(true)
    })?;
    engine.remove(Tree::Blocks, &keys)?;
    let path = path(store, number);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(&path, "cannot remove a segment that is no longer needed")(error))
        }
        _ => Ok(()),
    }
}

/// The numbers of all segments that have a file or an index.
pub(super) fn present(store: &Path, engine: &Engine) -> Result<Vec<u32>> {
    let folder = folder(store);
    let failed = |error| Error::io(&folder, "cannot list the segments")(error);
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".segment")).and_then(|stem| stem.parse::<u32>().ok());
        numbers.extend(number);
    }
    let mut from = Vec::new();
    while let Some(key) = engine.next_key(Tree::Blocks, &from)? {
        let number = key.first_chunk().map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes));
        numbers.push(number);
        let Some(next) = number.checked_add(1) else { break };
        from = next.to_be_bytes().to_vec();
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// A committed or finished segment, open for reading.
pub(super) struct Segment {
    number: u32,
    path: PathBuf,
    file: File,
    /// Ascending by key.
    blocks: Vec<Block>,
}

impl Segment {
    /// Opens a segment by the commit record. Its index is complete and fits the file's length afterwards; each block is
    /// verified when it is read.
    pub(super) fn open(store: &Path, engine: &Engine, entry: &SegmentEntry) -> Result<Self> {
        let blocks = read_index(engine, entry)?;
        Self::with_blocks(store, entry, blocks)
    }

    /// Opens a segment whose blocks are known.
    pub(super) fn with_blocks(store: &Path, entry: &SegmentEntry, blocks: Vec<Block>) -> Result<Self> {
        let path = path(store, entry.number);
        let mut file = File::open(&path).map_err(Error::io(&path, "cannot open the segment"))?;
        let bytes = file.metadata().map_err(Error::io(&path, "cannot look at the segment"))?.len();
        if bytes != entry.bytes {
            let found = format!("it has {bytes} bytes, expected {}", entry.bytes);
            return Err(damaged(&path, "the segment".to_owned(), found));
        }
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact(&mut header).map_err(Error::io(&path, "cannot read the segment"))?;
        let (magic, numbers) = header.split_at(MAGIC.len());
        let (version, number) = numbers.split_at(4);
        if magic != MAGIC || number != entry.number.to_le_bytes() {
            return Err(damaged(&path, "the segment's header".to_owned(), "it is not that of this segment".to_owned()));
        }
        if version != VERSION.to_le_bytes() {
            let found = u32::from_le_bytes(version.try_into().expect("four bytes were split off"));
            return Err(Error::Version {
                path,
                what: "the segment",
                found,
                expected: VERSION,
                remedy: super::REMEDY_DAMAGED.to_owned(),
            });
        }
        Ok(Self { number: entry.number, path, file, blocks })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The blocks of a run, ascending.
    pub(super) fn run(&self, run: Run) -> &[Block] {
        let start = self.blocks.partition_point(|block| block.key.run < run);
        let end = self.blocks.partition_point(|block| block.key.run <= run);
        &self.blocks[start..end]
    }

    /// The blocks of a run that may hold a near node.
    pub(super) fn run_of(&self, run: Run, node: u32) -> &[Block] {
        let blocks = self.run(run);
        let start = blocks.partition_point(|block| block.last < node);
        let end = blocks.partition_point(|block| block.key.first <= node);
        blocks.get(start..end).unwrap_or_default()
    }

    /// A posting block, verified.
    pub(super) fn postings(&self, block: &Block, schema: &Schema) -> Result<Postings> {
        Postings::decode(block.key.first, self.read(block, schema)?.payload()).map_err(self.malformed(block, schema))
    }

    /// A column block, verified: nodes and their values.
    pub(super) fn column(&self, block: &Block, schema: &Schema) -> Result<Vec<(u32, Value)>> {
        column::decode(block.key.first, self.read(block, schema)?.payload()).map_err(self.malformed(block, schema))
    }

    /// A block of a node list, verified.
    pub(super) fn nodes(&self, block: &Block, schema: &Schema) -> Result<Vec<u32>> {
        nodes::decode(block.key.first, self.read(block, schema)?.payload()).map_err(self.malformed(block, schema))
    }

    /// A block whose checksum and key are right.
    pub(super) fn read(&self, block: &Block, schema: &Schema) -> Result<Verified> {
        let mut frame = vec![0; (block.end() - block.offset) as usize];
        read_at(&self.file, &mut frame, block.offset).map_err(Error::io(&self.path, "cannot read the segment"))?;
        let (body, sum) = frame.split_at(frame.len() - CHECKSUM_BYTES);
        if checksum(body) != sum {
            return Err(self.damaged(block, schema, "its checksum is not that of its bytes"));
        }
        let expected = Frame::new(self.number, block.key, block.last, &[]);
        let expected = &expected.bytes[..FRAME_BYTES - 4];
        if body[..FRAME_BYTES - 4] != *expected || body[FRAME_BYTES - 4..FRAME_BYTES] != block.length.to_be_bytes() {
            return Err(self.damaged(block, schema, "another block stands in its place"));
        }
        Ok(Verified { frame })
    }

    /// The error for a block whose checksum is right but whose payload is not what this version writes.
    fn malformed(&self, block: &Block, schema: &Schema) -> impl FnOnce(Malformed) -> Error {
        let (path, record) = (self.path.clone(), block.key.describe(schema));
        move |Malformed(found)| damaged(&path, record, found.to_owned())
    }

    fn damaged(&self, block: &Block, schema: &Schema, found: &str) -> Error {
        damaged(&self.path, block.key.describe(schema), found.to_owned())
    }
}

/// The bytes of a block as they should be.
pub(super) struct Verified {
    frame: Vec<u8>,
}

impl Verified {
    pub(super) fn payload(&self) -> &[u8] {
        &self.frame[FRAME_BYTES..self.frame.len() - CHECKSUM_BYTES]
    }

    pub(super) fn checksum(&self) -> &[u8] {
        &self.frame[self.frame.len() - CHECKSUM_BYTES..]
    }
}

/// Reads a segment's index, and sees that it is whole: as many blocks as the commit record says, without a gap from the
/// file's beginning to its end.
fn read_index(engine: &Engine, entry: &SegmentEntry) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut offset = HEADER_BYTES;
    let mut page = 0u32;
    let wrong = |page: u32, found: &str| {
        damaged(engine.path(), format!("page {page} of the index of segment {}", entry.number), found.to_owned())
    };
    engine.scan(Tree::Blocks, &entry.number.to_be_bytes(), |key, value| {
        if *key != *[entry.number.to_be_bytes(), page.to_be_bytes()].concat() {
            return Err(wrong(page, "it is missing"));
        }
        let (rows, sum) =
            value.split_at_checked(value.len().wrapping_sub(CHECKSUM_BYTES)).ok_or_else(|| wrong(page, "it is short"))?;
        if checksum(&[key, rows].concat()) != sum {
            return Err(wrong(page, "its checksum is not that of its bytes"));
        }
        let rows: Vec<([u8; KEY_BYTES], u32, u32)> =
            super::decoded(rows).map_err(|_| wrong(page, "it does not decode as a page"))?;
        for (key, last, length) in rows {
            let key = BlockKey::from_bytes(&key).filter(|&(number, _)| number == entry.number);
            let (_, key) = key.ok_or_else(|| wrong(page, "it has a key that is none"))?;
            if blocks.last().is_some_and(|before| before.key >= key) {
                return Err(wrong(page, "its keys do not ascend"));
            }
            let block = Block { key, last, length, offset };
            offset = block.end();
            blocks.push(block);
        }
        page += 1;
        Ok(true)
    })?;
    if blocks.len() as u64 != entry.blocks || offset != entry.bytes {
        let found = format!("{} blocks of {offset} bytes, expected {} of {}", blocks.len(), entry.blocks, entry.bytes);
        return Err(damaged(engine.path(), format!("the index of segment {}", entry.number), found));
    }
    Ok(blocks)
}

fn damaged(path: &Path, record: String, found: String) -> Error {
    Error::Damaged { path: path.to_owned(), record, found, remedy: super::REMEDY_DAMAGED.to_owned() }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[read..];
        offset += read as u64;
    }
    Ok(())
}
