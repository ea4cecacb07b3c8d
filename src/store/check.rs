//! Going through everything that a store holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use relata_schema::{Direction, NodeTypeId, RelationId, Schema};

use super::Store;
use super::dictionary::{self, Owner};
use super::key::Run;
use super::nodes::NodeSet;
use super::posting::{Decoder, Postings};
use super::segment::{Block, EdgeStats, EdgeTimes, Segment, SegmentEntry};
use crate::{Error, Result, progress};

/// Something in a store that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// The record in it: "posting block cell.expresses.gene, outgoing, from node 17".
    pub record: String,
    /// What was found and what was expected.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path.display(), self.record, self.found)
    }
}

impl Finding {
    pub(super) fn new(error: Error) -> Self {
        match error {
            Error::Damaged { path, record, found, .. } => Self { path, record, found },
            Error::Io { path, action, source } => Self { path, record: action.to_owned(), found: source.to_string() },
            Error::Engine { path, action, message } => {
                Self { path, record: format!("the database, while {action}"), found: message }
            }
            Error::Version { path, what, found, expected, .. } => {
                let found = format!("it has format version {found}, expected {expected}");
                Self { path, record: what.to_owned(), found }
            }
            other => Self { path: PathBuf::new(), record: "the store".to_owned(), found: other.to_string() },
        }
    }
}

/// What a check went through, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Committed sources.
    pub sources: u64,
    /// Committed edits, or what was folded of them.
    pub edits: u64,
    /// Files of blocks.
    pub segments: u64,
    /// Blocks, each with its checksum and content.
    pub blocks: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Edges, each in both directions.
    pub edges: u64,
    /// Names in dictionaries.
    pub names: u64,
    /// Empty where all is well.
    pub findings: Vec<Finding>,
}

impl Store {
    /// Verifies what is committed. Empty where all is well.
    pub fn check(&self) -> Vec<Finding> {
        self.check_with(true).findings
    }

    /// Verifies what is committed, with a bar unless `quiet`, and says what that was:
    /// * each block: its checksum, its key, and that it decodes;
    /// * each segment: its number of blocks, its length and the hash of all, and that both directions hold the same edges,
    ///   as many as the commit record says;
    /// * each dictionary: its blocks, its hash, and that no name has two numbers;
    /// * that every edge and every value belongs to nodes that its source or edit names and that have a key.
    pub fn check_with(&self, quiet: bool) -> Checked {
        let (sources, edits) = (self.commit.sources.len() as u64, self.commit.edits.len() as u64);
        let mut checked = Checked { sources, edits, ..Checked::default() };
        let mut counts = BTreeMap::new();
        for entry in &self.commit.dictionaries {
            counts.insert(entry.owner, entry.count);
            match dictionary::read(&self.engine, entry, self.schema()) {
                Ok(names) => checked.names += u64::from(names.len()),
                Err(error) => checked.findings.push(Finding::new(error)),
            }
        }
        let total = self.commit.segments().map(|entry| entry.bytes).sum();
        let bar = progress::bytes("check", total, quiet);
        let sources = self.commit.sources.iter().map(|source| source.segments.as_slice());
        let edits = self.commit.edits.iter().map(|edit| std::slice::from_ref(&edit.segment));
        for entries in sources.chain(edits) {
            let segments: Vec<(&SegmentEntry, Segment)> = entries
                .iter()
                .filter_map(|entry| match Segment::open(&self.path, &self.engine, entry) {
                    Ok(segment) => Some((entry, segment)),
                    Err(error) => {
                        checked.findings.push(Finding::new(error));
                        None
                    }
                })
                .collect();
            let named = self.named_by(&segments, &counts, &mut checked);
            for (entry, segment) in &segments {
                self.check_segment(entry, segment, &named, &counts, &mut checked);
                bar.inc(entry.bytes);
            }
        }
        bar.finish_and_clear();
        checked
    }

    /// The nodes that a source names, by node type. Blocks that cannot be read are reported when their turn comes.
    fn named_by(
        &self,
        segments: &[(&SegmentEntry, Segment)],
        counts: &BTreeMap<Owner, u32>,
        checked: &mut Checked,
    ) -> Vec<NodeSet> {
        let mut named = vec![NodeSet::default(); self.schema().node_types().len()];
        for (_, segment) in segments {
            for block in segment.blocks() {
                let Run::Nodes { node_type } = block.key.run else { continue };
                let Some(set) = named.get_mut(node_type.index()) else { continue };
                let Ok(nodes) = segment.nodes(block, self.schema()) else { continue };
                let known = counts.get(&Owner::Nodes(node_type)).copied().unwrap_or(0);
                if let Some(node) = nodes.iter().find(|&&node| node >= known) {
                    checked.findings.push(Finding {
                        path: segment.path().to_owned(),
                        record: block.key.describe(self.schema()),
                        found: format!("node {node} has no key; {known} nodes of the type have one"),
                    });
                }
                nodes.into_iter().for_each(|node| {
                    set.insert(node);
                });
            }
        }
        named
    }

    fn check_segment(
        &self,
        entry: &SegmentEntry,
        segment: &Segment,
        named: &[NodeSet],
        counts: &BTreeMap<Owner, u32>,
        checked: &mut Checked,
    ) {
        let schema = self.schema();
        let mut hasher = blake3::Hasher::new();
        let mut edges: BTreeMap<(RelationId, Direction), Edges> = BTreeMap::new();
        let before = checked.findings.len();
        for block in segment.blocks() {
            match segment.read(block, schema) {
                Ok(verified) => drop(hasher.update(verified.checksum())),
                Err(error) => {
                    checked.findings.push(Finding::new(error));
                    continue;
                }
            }
            match refers_beyond(segment, block, schema, named, counts, &mut edges) {
                Ok(None) => {}
                Ok(Some(found)) => {
                    let record = block.key.describe(schema);
                    checked.findings.push(Finding { path: segment.path().to_owned(), record, found });
                }
                Err(error) => checked.findings.push(Finding::new(error)),
            }
            checked.blocks += 1;
        }
        checked.segments += 1;
        checked.bytes += entry.bytes;
        checked.edges += entry.edges.iter().map(|known| known.edges).sum::<u64>();
        if checked.findings.len() > before {
            // Counts and the hash over all blocks would only say again that some are not right.
            return;
        }
        let mut found = |record: String, found: String| {
            checked.findings.push(Finding { path: segment.path().to_owned(), record, found });
        };
        if hasher.finalize() != entry.hash {
            found("the segment".to_owned(), "the hash of its blocks is not the committed one".to_owned());
        }
        let committed: BTreeMap<RelationId, &EdgeStats> = entry.edges.iter().map(|known| (known.relation, known)).collect();
        let relations: BTreeSet<RelationId> = committed.keys().copied().chain(edges.keys().map(|key| key.0)).collect();
        for relation in relations {
            let [outgoing, incoming] =
                Direction::BOTH.map(|direction| edges.get(&(relation, direction)).copied().unwrap_or_default());
            let expected = committed.get(&relation).map_or(0, |known| known.edges);
            if (outgoing.count, outgoing.sum) != (incoming.count, incoming.sum) || outgoing.count != expected {
                found(
                    schema.relation_title(relation),
                    format!(
                        "{} edges outgoing and {} incoming{}, expected {expected}",
                        outgoing.count,
                        incoming.count,
                        if outgoing.count == incoming.count { " that are not the same" } else { "" },
                    ),
                );
            }
            let told = committed.get(&relation).and_then(|known| known.times);
            if let Some(told) = told.filter(|told| *told != outgoing.times) {
                let record = format!("the times of {}", schema.relation_title(relation));
                found(record, format!("{:?}, expected {told:?}", outgoing.times));
            }
        }
    }
}

/// The edges of one direction: how many, their times, and a sum of hashes of their ends that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Edges {
    count: u64,
    sum: u64,
    /// Of outgoing ones as the commit record tells them; incoming ones may hold ends alone.
    times: EdgeTimes,
}

impl Edges {
    fn add(&mut self, postings: &Postings, direction: Direction) {
        for (&near, &far) in postings.nears.iter().zip(&postings.fars) {
            let (source, target) = match direction {
                Direction::Outgoing => (near, far),
                Direction::Incoming => (far, near),
            };
            self.sum = self.sum.wrapping_add(mixed(u64::from(source) << 32 | u64::from(target)));
        }
        self.count += postings.len() as u64;
        self.times = self.times.and(EdgeTimes::of(&postings.times, postings.len()));
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Decodes a block, adds up its edges, and says where it refers to what is not there.
fn refers_beyond(
    segment: &Segment,
    block: &Block,
    schema: &Schema,
    named: &[NodeSet],
    counts: &BTreeMap<Owner, u32>,
    edges: &mut BTreeMap<(RelationId, Direction), Edges>,
) -> Result<Option<String>> {
    let unnamed = |node_type: NodeTypeId, nodes: &mut dyn Iterator<Item = u32>| {
        let named = named.get(node_type.index());
        let mut beyond = nodes.filter(|&node| named.is_none_or(|named| !named.contains(node)));
        beyond.next().map(|node| format!("its source does not name node {node}"))
    };
    // What an edit hides need not be there any more, but it has had a key.
    let unknown = |node_type: NodeTypeId, nodes: &mut dyn Iterator<Item = u32>| {
        let known = counts.get(&Owner::Nodes(node_type)).copied().unwrap_or(0);
        let mut beyond = nodes.filter(|&node| node >= known);
        beyond.next().map(|node| format!("node {node} has no key; {known} nodes of the type have one"))
    };
    match block.key.run {
        Run::DeletedNodes { node_type } | Run::UnsetValues { node_type, .. } => {
            Ok(unknown(node_type, &mut segment.nodes(block, schema)?.into_iter()))
        }
        Run::HiddenEdges { relation } => {
            let pairs = segment.pairs(block, schema)?;
            let Some(ends) = schema.relations().get(relation.index()) else {
                return Ok(Some("the schema has no such relation".to_owned()));
            };
            let source = unknown(ends.source, &mut pairs.iter().map(|pair| pair.0));
            Ok(source.or_else(|| unknown(ends.target, &mut pairs.iter().map(|pair| pair.1))))
        }
        Run::Nodes { .. } => segment.nodes(block, schema).map(|_| None),
        Run::Column { node_type, .. } => {
            Ok(unnamed(node_type, &mut segment.column(block, schema)?.iter().map(|(node, _)| *node)))
        }
        Run::Postings { relation, direction } => {
            let mut decoder = Decoder::default();
            let postings = segment.postings(block, schema, &mut decoder)?;
            let Some(ends) = schema.relations().get(relation.index()) else {
                return Ok(Some("the schema has no such relation".to_owned()));
            };
            edges.entry((relation, direction)).or_default().add(postings, direction);
            let near = unnamed(ends.near(direction), &mut postings.nears.iter().copied());
            Ok(near.or_else(|| unnamed(ends.far(direction), &mut postings.fars.iter().copied())))
        }
    }
}
