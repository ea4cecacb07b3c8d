//! The commit record of version 1: one record a source, no edits, and nothing known of the times of a segment's edges.

use relata_schema::{RelationId, Schema, SourceRecord};
use serde::{Deserialize, Serialize};

use super::super::dictionary::DictionaryEntry;
use super::super::segment::{EdgeStats, SegmentEntry};
use crate::pack::Malformed;

#[derive(Serialize, Deserialize)]
struct Commit {
    sequence: u64,
    next_segment: u32,
    schema: Schema,
    sources: Vec<Source>,
    dictionaries: Vec<DictionaryEntry>,
}

#[derive(Serialize, Deserialize)]
struct Source {
    record: SourceRecord,
    segments: Vec<Segment>,
}

#[derive(Serialize, Deserialize)]
struct Segment {
    number: u32,
    blocks: u64,
    bytes: u64,
    edges: Vec<(RelationId, u64)>,
    hash: [u8; 32],
}

/// Reads the body of a record of version 1.
pub(super) fn decoded(body: &[u8]) -> Result<super::Commit, Malformed> {
    let Commit { sequence, next_segment, schema, sources, dictionaries } = super::super::decoded(body)?;
    let sources = sources.into_iter().map(Source::upgraded).collect();
    Ok(super::Commit { sequence, next_segment, schema, sources, edits: Vec::new(), dictionaries })
}

impl Source {
    fn upgraded(self) -> super::Source {
        super::Source { records: vec![self.record], segments: self.segments.into_iter().map(Segment::upgraded).collect() }
    }
}

impl Segment {
    fn upgraded(self) -> SegmentEntry {
        let edges = self.edges.into_iter().map(|(relation, edges)| EdgeStats { relation, edges, times: None });
        SegmentEntry { number: self.number, blocks: self.blocks, bytes: self.bytes, edges: edges.collect(), hash: self.hash }
    }
}
