//! A segment: one file of checksummed blocks, written once from front to back, and its index in the database.
//!
//! ```text
//! segments/00000017.segment
//!   header   16 bytes: "RELATSEG", format version u32, segment number u32, little-endian
//!   block    key 18 bytes (see `key`), last near node u32 BE, payload length u32 BE, payload, checksum 8 bytes
//!   block    …, in ascending order of their keys, to the end of the file
//! ```
//!
//! The checksum is XXH3 (64 bits, little-endian) of everything before it in the block, so a block under another's key is
//! found too; in version 1 it is the first 8 bytes of the BLAKE3 hash, which takes ten times as long for a block. The BLAKE3
//! hash of a segment's checksums, in order, stands in the commit record with the number of blocks and the file's length.
//!
//! Why not values in sled: it takes about 2.4 times the raw bytes, never reports damage, and panics on a full disk.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use relata_schema::{RelationId, Schema, Value};
use serde::{Deserialize, Serialize};

use super::engine::{Engine, Tree};
use super::key::{BlockKey, KEY_BYTES, Run};
use super::posting::{Decoder, NO_TIME, Postings};
use super::{column, index, nodes, pairs};
use crate::disk::{begin_writing_back, read_at};
use crate::pack::Malformed;
use crate::vectorised::vectorised;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"RELATSEG";
const VERSION: u32 = 2;
const HEADER_BYTES: u64 = 16;
/// Key, last node and length.
const FRAME_BYTES: usize = KEY_BYTES + 8;
pub(super) const CHECKSUM_BYTES: usize = 8;
/// Blocks that share an entry of the database.
pub(super) const PAGE_BLOCKS: usize = 256;

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

impl Default for EdgeTimes {
    fn default() -> Self {
        Self::NONE
    }
}

impl EdgeTimes {
    /// Of no edge.
    pub(super) const NONE: Self = Self { first: i64::MAX, last: i64::MIN, missing: false };

    /// Of `edges` edges with these times: one an edge, or none at all where none has a time.
    pub(super) fn of(times: &[i64], edges: usize) -> Self {
        let (first, last, missing) = span(times);
        Self { first, last, missing: missing || times.len() < edges }
    }

    /// Of these edges and others.
    pub(super) fn and(self, others: Self) -> Self {
        Self { first: self.first.min(others.first), last: self.last.max(others.last), missing: self.missing || others.missing }
    }
}

vectorised! {
    /// The smallest and the largest time but missing ones, and whether one is missing.
    fn span(times: &[i64]) -> (i64, i64, bool) {
        // The least of all is no time but a missing one.
        let known = |time: i64| if time == NO_TIME { i64::MAX } else { time };
        times.iter().fold((i64::MAX, i64::MIN, false), |(first, last, missing), &time| {
            (first.min(known(time)), last.max(time), missing | (time == NO_TIME))
        })
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

/// Blocks with their frames and checksums, one behind the other, ready to be written.
pub(super) struct Frames {
    segment: u32,
    bytes: Vec<u8>,
    /// Their offsets count from the beginning of `bytes`.
    blocks: Vec<Block>,
}

impl Frames {
    pub(super) fn new(segment: u32) -> Self {
        Self::within(segment, Vec::new())
    }

    /// In memory that others took before.
    pub(super) fn within(segment: u32, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { segment, bytes, blocks: Vec::new() }
    }

    /// Their memory, once they are written.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends a block of the nodes from `first` to `last`, whose payload `write` appends. Blocks ascend by run and first
    /// node; of several with the same ones, which a node with much in it fills, the number tells them apart.
    pub(super) fn add(&mut self, run: Run, first: u32, last: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.blocks.last().map(|block| block.key).filter(|key| (key.run, key.first) == (run, first));
        let key = BlockKey { run, first, number: before.map_or(0, |before| before.number + 1) };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&head(self.segment, key, last, 0));
        write(&mut self.bytes);
        // Block writers close a block long before its length needs more than 32 bits; a single longer value is refused by
        // `Load::set`.
        let length = (self.bytes.len() - start - FRAME_BYTES) as u32;
        self.bytes[start + FRAME_BYTES - 4..start + FRAME_BYTES].copy_from_slice(&length.to_be_bytes());
        let checksum = Sums::Xxh3.of(&self.bytes[start..]);
        self.bytes.extend_from_slice(&checksum);
        self.blocks.push(Block { key, last, length, offset: start as u64 });
    }
}

/// What stands before a payload.
fn head(segment: u32, key: BlockKey, last: u32, length: u32) -> [u8; FRAME_BYTES] {
    let mut head = [0; FRAME_BYTES];
    head[..KEY_BYTES].copy_from_slice(&key.to_bytes(segment));
    head[KEY_BYTES..KEY_BYTES + 4].copy_from_slice(&last.to_be_bytes());
    head[KEY_BYTES + 4..].copy_from_slice(&length.to_be_bytes());
    head
}

/// How the blocks of a segment are summed.
#[derive(Clone, Copy)]
enum Sums {
    /// In segments of version 1.
    Blake3,
    /// In those of version 2.
    Xxh3,
}

impl Sums {
    fn of_version(version: u32) -> Option<Self> {
        match version {
            1 => Some(Self::Blake3),
            VERSION => Some(Self::Xxh3),
            _ => None,
        }
    }

    fn of(self, bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
        match self {
            Self::Blake3 => checksum(bytes),
            Self::Xxh3 => twox_hash::XxHash3_64::oneshot(bytes).to_le_bytes(),
        }
    }
}

/// The first bytes of the BLAKE3 hash: the checksum of what the database holds.
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
    /// Bytes that the system was asked to write to the disk.
    written_back: u64,
    blocks: Vec<Block>,
    hasher: blake3::Hasher,
    edges: Vec<EdgeStats>,
}

/// A segment that is written: what the commit record says of it, and its blocks.
pub(super) struct Written {
    pub entry: SegmentEntry,
    pub blocks: Vec<Block>,
}

/// Bytes of a segment that are written back at a time.
const WRITE_BACK: u64 = 8 << 20;

impl SegmentWriter {
    pub(super) fn create(store: &Path, number: u32) -> Result<Self> {
        let path = path(store, number);
        let file = File::create(&path).map_err(Error::io(&path, "cannot make the segment"))?;
        let mut file = BufWriter::with_capacity(1 << 16, file);
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&number.to_le_bytes());
        file.write_all(&header).map_err(Error::io(&path, "cannot write the segment"))?;
        let hasher = blake3::Hasher::new();
        Ok(Self {
            number,
            path,
            file: Some(file),
            offset: HEADER_BYTES,
            written_back: 0,
            blocks: Vec::new(),
            hasher,
            edges: Vec::new(),
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Appends blocks. Keys ascend strictly.
    pub(super) fn put(&mut self, frames: &Frames) -> Result<()> {
        let file = self.file.as_mut().expect("only `finish` and `drop` take it");
        file.write_all(&frames.bytes).map_err(Error::io(&self.path, "cannot write the segment"))?;
        for &block in &frames.blocks {
            debug_assert!(self.blocks.last().is_none_or(|last| last.key < block.key), "{:?}", block.key);
            let end = block.end() as usize;
            self.hasher.update(&frames.bytes[end - CHECKSUM_BYTES..end]);
            self.blocks.push(Block { offset: self.offset + block.offset, ..block });
        }
        self.offset += frames.bytes.len() as u64;
        if self.offset - self.written_back >= WRITE_BACK {
            begin_writing_back(file.get_ref(), self.written_back, self.offset - self.written_back);
            self.written_back = self.offset;
        }
        Ok(())
    }

    /// Notes what edges of a relation were put; relations ascend.
    pub(super) fn count_edges(&mut self, edges: EdgeStats) {
        self.edges.push(edges);
    }

    /// Returns when the file is on the disk. The folder's entry is synced by the commit.
    pub(super) fn finish(mut self) -> Result<Written> {
        let file = self.file.take().expect("only `finish` and `drop` take it");
        let synced = file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all());
        if let Err(error) = synced {
            let _ = std::fs::remove_file(&self.path);
            return Err(Error::io(&self.path, "cannot write the segment")(error));
        }
        let entry = SegmentEntry {
            number: self.number,
            blocks: self.blocks.len() as u64,
            bytes: self.offset,
            edges: std::mem::take(&mut self.edges),
            hash: *self.hasher.finalize().as_bytes(),
        };
        Ok(Written { entry, blocks: std::mem::take(&mut self.blocks) })
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

/// The entries of the database that hold a segment's index: key (segment u32 BE, page u32 BE); value a page of blocks (see
/// [`index`](super::index)), and 8 bytes of checksum over key and page.
pub(super) fn index_pages(number: u32, blocks: &[Block]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let page = move |(page, blocks): (usize, &[Block])| {
        let key = [number.to_be_bytes(), (page as u32).to_be_bytes()].concat();
        let mut value = index::encode(blocks);
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

/// The number after a segment's.
pub(super) fn after(number: u32) -> Result<u32> {
    number.checked_add(1).ok_or(Error::Limit { what: "segments".to_owned(), found: 1 << 32, most: (1 << 32) - 1 })
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

thread_local! {
    /// What a thread keeps between runs of blocks that it reads.
    static READING: RefCell<(Vec<u8>, Decoder)> = RefCell::default();
}

/// A committed or finished segment, open for reading.
pub(super) struct Segment {
    number: u32,
    sums: Sums,
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
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => damaged(&path, "the segment".to_owned(), "it is missing".to_owned()),
            _ => Error::io(&path, "cannot open the segment")(error),
        })?;
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
        let found = u32::from_le_bytes(version.try_into().expect("four bytes were split off"));
        let Some(sums) = Sums::of_version(found) else {
            return Err(Error::Version {
                path,
                what: "the segment",
                found,
                expected: VERSION,
                remedy: format!("Get a newer relata, or, if no newer one wrote it: {}", super::REMEDY_DAMAGED),
            });
        };
        Ok(Self { number: entry.number, sums, path, file, blocks })
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
    pub(super) fn postings<'d>(&self, block: &Block, schema: &Schema, decoder: &'d mut Decoder) -> Result<&'d Postings> {
        let verified = self.read(block, schema)?;
        decoder.decode(block.key.first, verified.payload()).map_err(self.malformed(block, schema))
    }

    /// A column block, verified: nodes and their values.
    pub(super) fn column(&self, block: &Block, schema: &Schema) -> Result<Vec<(u32, Value)>> {
        column::decode(block.key.first, self.read(block, schema)?.payload()).map_err(self.malformed(block, schema))
    }

    /// A block of a node list, verified.
    pub(super) fn nodes(&self, block: &Block, schema: &Schema) -> Result<Vec<u32>> {
        nodes::decode(block.key.first, self.read(block, schema)?.payload()).map_err(self.malformed(block, schema))
    }

    /// A block of hidden edges, verified: the ends of each.
    pub(super) fn pairs(&self, block: &Block, schema: &Schema) -> Result<Vec<(u32, u32)>> {
        pairs::decode(block.key.first, self.read(block, schema)?.payload()).map_err(self.malformed(block, schema))
    }

    /// Reads blocks that follow each other with one request, and gives each one's postings to `visit`, verified.
    pub(super) fn postings_of(
        &self,
        blocks: &[Block],
        schema: &Schema,
        mut visit: impl FnMut(&Postings) -> Result<()>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(()) };
        let length = (last.end() - first.offset) as usize;
        READING.with_borrow_mut(|(bytes, decoder)| {
            if bytes.len() < length {
                bytes.resize(length, 0);
            }
            let bytes = &mut bytes[..length];
            read_at(&self.file, bytes, first.offset).map_err(Error::io(&self.path, "cannot read the segment"))?;
            for block in blocks {
                let frame = &bytes[(block.offset - first.offset) as usize..(block.end() - first.offset) as usize];
                self.verify(block, frame, schema)?;
                let payload = &frame[FRAME_BYTES..frame.len() - CHECKSUM_BYTES];
                visit(decoder.decode(block.key.first, payload).map_err(self.malformed(block, schema))?)?;
            }
            Ok(())
        })
    }

    /// A block whose checksum and key are right.
    pub(super) fn read(&self, block: &Block, schema: &Schema) -> Result<Verified> {
        let mut frame = vec![0; (block.end() - block.offset) as usize];
        read_at(&self.file, &mut frame, block.offset).map_err(Error::io(&self.path, "cannot read the segment"))?;
        self.verify(block, &frame, schema)?;
        Ok(Verified { frame })
    }

    /// Sees that a frame's checksum and key are right.
    fn verify(&self, block: &Block, frame: &[u8], schema: &Schema) -> Result<()> {
        let (body, sum) = frame.split_at(frame.len() - CHECKSUM_BYTES);
        if self.sums.of(body) != sum {
            return Err(self.damaged(block, schema, "its checksum is not that of its bytes"));
        }
        if body[..FRAME_BYTES] != head(self.number, block.key, block.last, block.length) {
            return Err(self.damaged(block, schema, "another block stands in its place"));
        }
        Ok(())
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
        for (key, last, length) in index::decode(entry.number, rows).map_err(|Malformed(found)| wrong(page, found))? {
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
