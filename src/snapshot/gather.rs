//! A relation's edges by ranges of their sources: what is read before any of them is written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use relata_schema::{AttributeKind, RelationId, Schema};

use super::edges::{EdgeBlock, EdgeStream};
use super::times::Coding;
use crate::partition::{Memory, Partition, Scratch};
use crate::vectorised::vectorised;
use crate::{Error, Result};

/// What a relation is, for its writing.
pub(super) struct Shape {
    pub id: RelationId,
    pub title: String,
    /// Nodes at the source and the target.
    pub counts: [u32; 2],
    pub symmetric: bool,
    pub timed: bool,
    /// How times become codes, where that is known before they are read.
    pub coding: Option<Coding>,
    /// Places of the attributes that have a column: all but the time.
    pub columns: Vec<usize>,
    /// Whether each of `columns` is a category.
    pub is_category: Vec<bool>,
}

/// What the edges hold, as far as they are read.
pub(super) struct Survey {
    pub edges: AtomicU64,
    pub times: Mutex<(i64, i64)>,
    pub present: Vec<AtomicBool>,
    /// For each of the shape's columns, which codes occur.
    pub used: Vec<Vec<AtomicBool>>,
}

/// What a thread keeps while it gathers pieces.
#[derive(Default)]
struct Gathering {
    block: EdgeBlock,
    low: Vec<u32>,
    high: Vec<u32>,
    missing: Vec<u32>,
    scratch: Scratch,
}

/// A relation's edges by ranges of their sources, from where they came in any order.
pub(crate) struct Gathered<'m> {
    pub(super) shape: Shape,
    pub(super) memory: &'m Memory,
    pub(super) outgoing: Partition<'m>,
    pub(super) survey: Survey,
    /// For each of the shape's columns, the names of its codes.
    pub(super) names: Vec<Vec<String>>,
}

impl<'m> Gathered<'m> {
    /// Reads a stream; `counts` has the nodes of each type, and `categories` for each attribute the names of its codes.
    ///
    /// # Errors
    /// When an end is no node of its type, or the stream or a temporary file cannot be read or written.
    pub(crate) fn of(
        schema: &Schema,
        counts: &[u32],
        memory: &'m Memory,
        id: RelationId,
        stream: &dyn EdgeStream,
        mut categories: Vec<Vec<String>>,
    ) -> Result<Self> {
        let relation = schema.edge(id);
        let columns: Vec<usize> =
            (0..relation.attributes.len()).filter(|&at| relation.attributes[at].kind != AttributeKind::Time).collect();
        let shape = Shape {
            id,
            title: schema.relation_title(id),
            counts: [relation.source, relation.target].map(|end| counts[end.index()]),
            symmetric: relation.symmetric,
            timed: columns.len() < relation.attributes.len(),
            coding: stream.times().map(|(first, last)| Coding::of(first, last)),
            is_category: columns.iter().map(|&at| relation.attributes[at].kind == AttributeKind::Category).collect(),
            columns,
        };
        let expected = stream.edges() * if shape.symmetric { 2 } else { 1 };
        let outgoing = Partition::new(memory, expected, shape.counts, shape.gathered_time_words() + shape.columns.len());
        categories.resize(relation.attributes.len().max(categories.len()), Vec::new());
        let names: Vec<Vec<String>> = shape.columns.iter().map(|&at| std::mem::take(&mut categories[at])).collect();
        let survey = Survey {
            edges: AtomicU64::new(0),
            times: Mutex::new((i64::MAX, i64::MIN)),
            present: shape.columns.iter().map(|_| AtomicBool::new(false)).collect(),
            used: names.iter().map(|names| names.iter().map(|_| AtomicBool::new(false)).collect()).collect(),
        };
        (0..stream.pieces()).into_par_iter().try_for_each_init(Gathering::default, |gathering, piece| {
            gathering.block.clear();
            stream.read(piece, &mut gathering.block)?;
            gather(&shape, gathering, &outgoing, &survey)
        })?;
        Ok(Self { shape, memory, outgoing, survey, names })
    }
}

vectorised! {
    /// See [`Shape::gather`].
    fn gather(shape: &Shape, gathering: &mut Gathering, partition: &Partition<'_>, survey: &Survey) -> Result<()> {
        shape.gather(gathering, partition, survey)
    }
}

impl Shape {
    /// Sees that a piece's edges are such, notes what they hold, and puts them into the partition.
    #[inline(always)]
    fn gather(&self, gathering: &mut Gathering, partition: &Partition<'_>, survey: &Survey) -> Result<()> {
        let Gathering { block, low, high, missing, scratch } = gathering;
        let edges = block.sources.len();
        self.expect_ends(&block.sources, 0)?;
        self.expect_ends(&block.targets, 1)?;
        missing.resize(edges, EdgeBlock::MISSING);
        if self.timed {
            block.times.resize(edges, i64::MIN);
            match self.coding {
                Some(coding) => {
                    refill(low, block.times.iter().map(|&time| coding.code(time) as u32));
                    if coding.words() > 1 {
                        refill(high, block.times.iter().map(|&time| (coding.code(time) >> 32) as u32));
                    }
                }
                None => {
                    // The least of all is no time but a missing one.
                    let first = block.times.iter().map(|&time| if time == i64::MIN { i64::MAX } else { time }).min();
                    let last = block.times.iter().copied().max();
                    refill(low, block.times.iter().map(|&time| time as u32));
                    refill(high, block.times.iter().map(|&time| (time >> 32) as u32));
                    let mut times = survey.times.lock().unwrap_or_else(PoisonError::into_inner);
                    *times = (times.0.min(first.unwrap_or(i64::MAX)), times.1.max(last.unwrap_or(i64::MIN)));
                }
            }
        }
        let column = |at: usize| block.attributes.get(at).filter(|column| !column.is_empty());
        for (place, &at) in self.columns.iter().enumerate() {
            let Some(column) = column(at) else { continue };
            if column.iter().any(|&bits| bits != EdgeBlock::MISSING) {
                survey.present[place].store(true, Ordering::Relaxed);
            }
            if self.is_category[place] {
                for &code in column {
                    if let Some(used) = survey.used[place].get(code as usize) {
                        used.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        let mut columns: Vec<&[u32]> = Vec::with_capacity(2 + self.columns.len());
        columns.extend([low.as_slice(), high.as_slice()].into_iter().take(self.gathered_time_words()));
        columns.extend(self.columns.iter().map(|&at| column(at).map_or(&missing[..edges], Vec::as_slice)));
        partition.push(&block.sources, &block.targets, &columns, scratch)?;
        survey.edges.fetch_add(edges as u64, Ordering::Relaxed);
        if self.symmetric {
            // Each edge stands at both its ends; one from a node to itself stays one.
            let others: Vec<usize> = (0..edges).filter(|&edge| block.sources[edge] != block.targets[edge]).collect();
            let picked = |column: &[u32]| others.iter().map(|&edge| column[edge]).collect::<Vec<u32>>();
            let (nears, fars) = (picked(&block.targets), picked(&block.sources));
            let columns: Vec<Vec<u32>> = columns.iter().map(|column| picked(column)).collect();
            partition.push(&nears, &fars, &columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), scratch)?;
            survey.edges.fetch_add(others.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// In how many words a time is gathered: as it is, or as its code.
    pub fn gathered_time_words(&self) -> usize {
        match (self.timed, self.coding) {
            (false, _) => 0,
            (true, Some(coding)) => coding.words(),
            (true, None) => 2,
        }
    }

    fn expect_ends(&self, ends: &[u32], which: usize) -> Result<()> {
        match ends.iter().max() {
            Some(&highest) if highest >= self.counts[which] => Err(Error::Setting {
                setting: format!("edges of {}", self.title),
                found: format!("node {highest}"),
                expected: format!("below {}, the number of nodes at that end", self.counts[which]),
            }),
            _ => Ok(()),
        }
    }
}

fn refill<T>(to: &mut Vec<T>, from: impl Iterator<Item = T>) {
    to.clear();
    to.extend(from);
}
