//! How a relation's edges become sections: compressed sparse rows of both directions.
//!
//! The edges come in any order. They are gathered by ranges of their source ([`Partition`]); each range is sorted in the
//! processor's cache, written, and at the same time gathered by ranges of the target, which are sorted and written then.
//! So every edge is moved a few times, in order, whatever the size of the relation, and memory is what is allowed.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use relata_schema::{Direction, RelationId};

use super::bucket::{Desk, Rows, sort_bucket};
use super::edges::EdgeData;
use super::format::{Part, SectionKey};
use super::gather::{Gathered, Shape};
use super::times::{self, Coding, Packer};
use super::writer::{Section, SnapshotWriter};
use crate::partition::Partition;
use crate::pool::in_order;
use crate::spare::Spare;
use crate::{Error, Result};

/// What the edges turned out to hold, once all were read.
pub(super) struct Found {
    pub edges: u64,
    pub coding: Coding,
    /// Whether each of the shape's columns has a value.
    pub present: Vec<bool>,
    /// For each of the shape's columns, a category's code in the snapshot by the one that came.
    pub codes: Vec<Vec<u32>>,
}

/// Edges of buckets that are sorted before any of them is appended.
const EDGES_AT_ONCE: u64 = 1 << 19;

impl SnapshotWriter {
    /// A relation's edges. One that is never given has none.
    ///
    /// # Errors
    /// When the columns differ in length, an end is no node of its type, or it cannot be written.
    pub fn relation(&mut self, id: RelationId, data: &EdgeData) -> Result<()> {
        let edges = data.sources.len();
        let odd = |length: usize| length != 0 && length != edges;
        if data.targets.len() != edges || odd(data.times.len()) || data.attributes.iter().any(|column| odd(column.len())) {
            return Err(Error::Setting {
                setting: format!("edges of {}", self.schema.relation_title(id)),
                found: "columns of different lengths".to_owned(),
                expected: format!("{edges} of each"),
            });
        }
        let memory = self.memory();
        let gathered = Gathered::of(&self.schema, &self.counts, &memory, id, data, data.categories.clone())?;
        self.gathered(gathered)
    }

    /// Writes the edges that were gathered.
    pub(crate) fn gathered(&mut self, gathered: Gathered<'_>) -> Result<()> {
        let Gathered { shape, memory, outgoing, survey, names } = gathered;
        let edges = survey.edges.into_inner();
        if edges == 0 {
            return Ok(());
        }
        let (first, last) = survey.times.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut found = Found {
            edges,
            coding: shape.coding.unwrap_or_else(|| Coding::of(first, last)),
            present: survey.present.into_iter().map(AtomicBool::into_inner).collect(),
            codes: Vec::new(),
        };
        for (((&at, used), names), &is_category) in shape.columns.iter().zip(survey.used).zip(&names).zip(&shape.is_category) {
            let (names, codes) = sorted_names(names, &used);
            if is_category && !names.is_empty() {
                let key = |part| SectionKey::attribute(part, shape.id.0, at as u16);
                self.texts(key(Part::EdgeNameOffsets), key(Part::EdgeNameBytes), names.iter().copied())?;
            }
            found.codes.push(codes);
        }
        let passed_on = found.time_words(&shape) + found.present.iter().filter(|&&present| present).count();
        let [sources, targets] = shape.counts;
        let incoming = (!shape.symmetric).then(|| Partition::new(memory, found.edges, [targets, sources], passed_on));
        self.direction(&shape, &found, Direction::Outgoing, &outgoing, incoming.as_ref())?;
        drop(outgoing);
        match &incoming {
            Some(incoming) => self.direction(&shape, &found, Direction::Incoming, incoming, None),
            None => Ok(()),
        }
    }

    /// Sorts and writes one direction's buckets, in order; at the same time passes their edges on to the other direction.
    fn direction(
        &mut self,
        shape: &Shape,
        found: &Found,
        direction: Direction,
        from: &Partition<'_>,
        pass_on: Option<&Partition<'_>>,
    ) -> Result<()> {
        let near_count = shape.counts[usize::from(direction == Direction::Incoming)];
        let mut sections = self.sections(shape, found, direction, near_count)?;
        // Enough for every thread to have one while another ends, and where buckets are large no more than that.
        let average = (found.edges / from.buckets() as u64).max(1);
        let at_once = ((EDGES_AT_ONCE / average) as usize).max(rayon::current_num_threads());
        let pool = Pool::default();
        let sort = |bucket: usize| {
            let nodes = from.nodes(bucket);
            let nodes = nodes.start..nodes.end.min(near_count);
            let (mut rows, mut desk) = (pool.rows.take().unwrap_or_default(), pool.desks.take().unwrap_or_default());
            sort_bucket(shape, found, direction, nodes, &from.take(bucket)?, &mut rows, &mut desk);
            if let Some(other) = pass_on {
                rows.pass_on(other, &mut desk)?;
            }
            pool.desks.give(desk);
            Ok(rows)
        };
        in_order(from.buckets(), at_once, sort, |sorted: Vec<Rows>| {
            self.append(&mut sections, &sorted)?;
            sorted.into_iter().for_each(|rows| pool.rows.give(rows));
            Ok(())
        })?;
        if let (Some(times), Some(packer)) = (&mut sections.times, sections.packer.take()) {
            let mut last = Vec::new();
            packer.finish(&mut last);
            self.put(times, &last)?;
        }
        let Sections { offsets, targets, times, columns, .. } = sections;
        [Some(offsets), Some(targets), times].into_iter().flatten().chain(columns).for_each(|section| self.end(section));
        Ok(())
    }

    /// Places of a direction's sections in the file.
    fn sections(&mut self, shape: &Shape, found: &Found, direction: Direction, near_count: u32) -> Result<Sections> {
        let key = |part| SectionKey::of(part, shape.id.0).toward(direction);
        let mut offsets = self.begin(key(Part::EdgeOffsets), (u64::from(near_count) + 1) * 8);
        self.put(&mut offsets, bytemuck::bytes_of(&0u64))?;
        let targets = self.begin(key(Part::EdgeTargets), found.edges * 4);
        let words = times::words_of(found.edges as usize, found.coding.width) as u64;
        let mut times = shape.timed.then(|| self.begin(key(Part::EdgeTimesPacked), times::HEAD as u64 + 8 * words));
        if let Some(times) = &mut times {
            self.put(times, bytemuck::cast_slice(&found.coding.head()))?;
        }
        let present = shape.columns.iter().zip(&found.present).filter(|&(_, &present)| present);
        let columns = present
            .map(|(&at, _)| {
                let key = SectionKey::attribute(Part::EdgeValues, shape.id.0, at as u16).toward(direction);
                self.begin(key, found.edges * 4)
            })
            .collect();
        let packer = shape.timed.then(|| Packer::new(found.coding.width));
        Ok(Sections { offsets, targets, times, columns, packer, edges: 0, ends: Vec::new(), packed: Vec::new() })
    }

    /// Appends what was sorted, in its order.
    fn append(&self, sections: &mut Sections, sorted: &[Rows]) -> Result<()> {
        let Sections { offsets, targets, times, columns, packer, edges, ends, packed } = sections;
        ends.clear();
        for &degree in sorted.iter().flat_map(|rows| &rows.degrees) {
            *edges += u64::from(degree);
            ends.push(*edges);
        }
        self.put(offsets, bytemuck::cast_slice(ends))?;
        let of_each = |column: &dyn Fn(&Rows) -> &[u32]| -> Vec<&[u8]> {
            sorted.iter().map(|rows| bytemuck::cast_slice(column(rows))).collect()
        };
        self.put_all(targets, &of_each(&|rows| &rows.fars))?;
        if let (Some(times), Some(packer)) = (times, packer) {
            packed.clear();
            sorted.iter().for_each(|rows| packer.pack(rows.codes.each_ref().map(Vec::as_slice), packed));
            self.put(times, packed)?;
        }
        for (at, section) in columns.iter_mut().enumerate() {
            self.put_all(section, &of_each(&|rows| &rows.columns[at]))?;
        }
        Ok(())
    }
}

/// A direction's sections while they are written.
struct Sections {
    offsets: Section,
    targets: Section,
    times: Option<Section>,
    columns: Vec<Section>,
    packer: Option<Packer>,
    /// How many edges were appended.
    edges: u64,
    /// Memory for what is appended: where each list ends, and times.
    ends: Vec<u64>,
    packed: Vec<u8>,
}

impl Found {
    /// In how many words a time is passed on.
    pub fn time_words(&self, shape: &Shape) -> usize {
        if shape.timed { self.coding.words() } else { 0 }
    }
}

/// Memory that goes from bucket to bucket: fresh pages would cost more than what is done in them.
#[derive(Default)]
struct Pool {
    rows: Spare<Rows>,
    desks: Spare<Desk>,
}

/// Names in byte order that some edge uses, and each old code's new one.
fn sorted_names<'n>(names: &'n [String], used: &[AtomicBool]) -> (Vec<&'n str>, Vec<u32>) {
    let is_used = |at: usize| used.get(at).is_some_and(|used| used.load(Ordering::Relaxed));
    let mut kept: Vec<&str> = (0..names.len()).filter(|&at| is_used(at)).map(|at| names[at].as_str()).collect();
    kept.sort_unstable();
    kept.dedup();
    let codes = names.iter().map(|name| kept.binary_search(&name.as_str()).map_or(u32::MAX, |code| code as u32)).collect();
    (kept, codes)
}
