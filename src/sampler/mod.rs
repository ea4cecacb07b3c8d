//! Typed, temporal subgraphs around seed nodes, drawn from a [`Snapshot`].
//!
//! A [`Sampler`] walks from the seeds along the relations of its [`SamplerConfig`], either direction, for a number of hops.
//! A [`Walk`] says which edges of a node are taken:
//!
//! * **neighbour** (Hamilton, Ying and Leskovec, NeurIPS 2017; as PyG and DGL have it): each node of a hop draws, of each
//!   relation and direction, as many edges as the fanout says, from all of its edges that time allows, whatever other nodes
//!   drew. Around all seeds together ([`Sampler::sample`]), or around each one for itself ([`Sampler::sample_each`]).
//! * **context** (as the Relational Transformer has it): breadth-first under a budget of tokens, the nodes of a hop in
//!   random order. Rows are nodes and edges. An edge refers to its two ends, its parents: with an edge, the node at its other
//!   end is always taken, and they are paid together. The edges that refer to a node are its children: of each relation and
//!   direction at most a width. A node whose children do not all fit into what is left of the budget ends
//!   the walk: its relations and directions take turns, each giving its next edge in a random order of its own, until one
//!   that does not fit; so they share evenly, and each shows a uniform sample. An edge is considered once, from the end
//!   that is expanded first: not drawn there, it does not come back from the other end.
//! * **hierarchy**: up and down the relations that the schema marks with `contains`, level by level, each with a budget of
//!   nodes. The relations of a level take turns, each giving an edge of those of all of the level's nodes in a random order.
//!
//! Before any of them, [`Retrieval`] may bring rows like the seed, at which the walk begins too.
//!
//! A [`Choice`] says which edges a node takes where it does not take all: any (without replacement, each set equally likely),
//! the latest, by weight, or those of the highest weight. [`Listed`] says which edges of those that were met are listed: as
//! messages to the node that drew them, each once, or all between the nodes.
//!
//! **Budget.** An edge costs its relation's tokens, a node those of its type; the last hop's nodes are known by identity
//! only, and cost nothing. Seeds are paid first and are there even if they cost more than there is. There are never more
//! edges than tokens either, so that edges that cost nothing do not make a subgraph as large as the database.
//!
//! **Time.** With a cutoff, nothing later is met by any path: no edge whose time is later, and no node that came later
//! ([`SamplerConfig::time_of`]), be it a parent, a child or a retrieved row. What has just that time, and what has none, is a
//! choice of the configuration. A seed is there whatever its time, and is not reached from another. (Attributes have times of
//! their own: what of a node may be shown is for the tokens to say.)
//!
//! **Invariants:**
//! * A node occurs once in a subgraph, and so does an edge in each direction that it was drawn in. Parallel edges are
//!   different edges; a symmetric edge is one, and so is a loop.
//! * The same snapshot, configuration, seeds and draw give the same subgraph, on any number of threads and any processor; a
//!   seed's own subgraph is what [`Sampler::sample`] gives for this seed alone.
//! * Time and memory of a subgraph depend on its own size, not on the database's: a node with a million edges of which
//!   ten are wanted is asked for ten. (Choices by weight, and edges refused for the time of their far ends, look at a node's
//!   whole row; induced edges at the rows of all nodes.) Beside it, a sampler has once 4 bytes a node and timed relation for
//!   the cutoff of its configuration, and each thread a megabyte a node type, at most, to find nodes again.
//!
//! A snapshot that is larger than memory is sampled too, at the pace of its disk. Many subgraphs are drawn fastest by
//! [`Sampler::map_each`] and [`Sampler::map_batches`], which keep nothing. What it costs, and why, is in `JOURNAL.md` beside this
//! file.
//!
//! Seeds are a list, all nodes of a type, or what a [`Filter`] finds; [`Epochs`] says in which order a training sees them.
//! [`Negatives`] draws pairs that are no edges, for link tasks.
//!
//! ```
//! use relata::sampler::{Sampler, SamplerConfig, Walk};
//! use relata::snapshot::{EdgeData, Hit, Snapshot, SnapshotWriter};
//! use relata_schema::Schema;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path();
//! # let schema = Schema::biology();
//! # let mut writer = SnapshotWriter::create(path, &schema)?;
//! # let (cell, gene) = (schema.node_type("cell")?, schema.node_type("gene")?);
//! # writer.nodes(cell, &["AAAC", "AAAG"].map(String::from))?;
//! # writer.nodes(gene, &["CD4", "CD8A", "MS4A1"].map(String::from))?;
//! # let edges = EdgeData { sources: vec![0, 0, 1], targets: vec![0, 1, 1], ..EdgeData::default() };
//! # writer.relation(schema.relation("expresses")?, &edges)?;
//! # writer.publish(&[])?;
//! let snapshot = Snapshot::current(path)?;
//! let cell = snapshot.schema().node_type("cell")?;
//! let expresses = snapshot.schema().relation("expresses")?;
//! let sampler = Sampler::new(&snapshot, SamplerConfig::new(Walk::neighbour([10, 5]), [expresses]))?;
//! let subgraph = sampler.sample(&[Hit { node_type: cell, node: snapshot.resolve(cell, "AAAC")? }], 0)?;
//! // Two genes, and the other cell through one of them; three edges, of which two were drawn from both ends.
//! assert_eq!((subgraph.nodes.len(), subgraph.edges.len()), (4, 5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod distinct;
mod graph;
mod prefetch;
pub mod random;
mod ranked;
mod seeds;
mod steps;
mod subgraph;
mod until;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rayon::prelude::*;

pub use config::{Choice, Costs, EqualTime, Listed, MissingTime, Retrieval, SamplerConfig, Walk};
pub use seeds::{Balance, Corrupt, EndWeight, EpochConfig, Epochs, Filter, NegativeConfig, Negatives, Permutation, Seeds};
pub use steps::{MOST_HOPS, MOST_WALKS};
pub use subgraph::{Edges, End, Run, SampledEdge, SampledNode, Subgraph};

use crate::snapshot::{Hit, Snapshot};
use crate::spare::Spare;
use crate::{Error, Result};
use graph::{Graph, Limits};
use random::Key;
use steps::Steps;
use subgraph::growing::{Growing, Piece};
use subgraph::places::Places;
use walk::neighbour::Part;
use walk::{context, hierarchy, listed, neighbour, retrieval};

/// Draws subgraphs from a snapshot. See the [module](self).
#[derive(Clone)]
pub struct Sampler {
    snapshot: Snapshot,
    config: SamplerConfig,
    steps: Steps,
    limits: Limits,
    key: Key,
    spare: Arc<Spare<Scratch>>,
}

/// Seeds that a thread draws at a time.
const TOGETHER: usize = 8;

/// Memory that is used again from one subgraph to the next.
#[derive(Default)]
struct Scratch {
    growing: Growing,
    parts: Vec<Part>,
    rows: neighbour::Rows,
    considered: context::Considered,
    levels: hierarchy::Levels,
    counted: retrieval::Counted,
}

impl Sampler {
    /// # Errors
    /// [`Error::Setting`] names what cannot be: a relation that the schema does not have, no hops or more than 64, no tokens, a
    /// fanout or width of a relation that is not followed, costs that are not one a type, a choice by what is not there.
    pub fn new(snapshot: &Snapshot, config: SamplerConfig) -> Result<Self> {
        let steps = Steps::resolve(snapshot.schema(), &config)?;
        let limits = Limits::resolve(snapshot, &config, &steps)?;
        let key = Key::new("relata sampler", config.seed);
        let sampler = Self { snapshot: snapshot.clone(), config, steps, limits, key, spare: Arc::default() };
        sampler.graph().check_weights(snapshot)?;
        Ok(sampler)
    }

    /// What it draws from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// How it draws.
    pub fn config(&self) -> &SamplerConfig {
        &self.config
    }

    /// One subgraph around all seeds; another for another `draw`, such as an epoch's number.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub fn sample(&self, seeds: &[Hit], draw: u64) -> Result<Subgraph> {
        let made = self.made(&self.graph(), &[(seeds, self.config.cutoff)], draw, 0, &kept);
        Ok(made?.pop().unwrap_or_default())
    }

    /// One subgraph around the seeds of each batch: what [`sample`](Self::sample) gives for it, drawn in parallel.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub fn sample_batches<S: AsRef<[Hit]> + Sync>(&self, batches: &[S], draw: u64) -> Result<Vec<Subgraph>> {
        self.map_batches(batches, draw, kept)
    }

    /// For each seed, in their order, a subgraph of its own: drawn in parallel, and the same whatever other seeds there are.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub fn sample_each(&self, seeds: &[Hit], draw: u64) -> Result<Vec<Subgraph>> {
        self.map_each(seeds, draw, kept)
    }

    /// The same, each seed with a cutoff of its own in place of the configuration's.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have, and for a node type that has several times, of which the
    /// configuration does not [say](SamplerConfig::time_of) since when a node has been there.
    pub fn sample_each_until(&self, seeds: &[(Hit, i64)], draw: u64) -> Result<Vec<Subgraph>> {
        self.limits.check_dated()?;
        self.each(seeds, draw, |&(seed, cutoff)| (seed, Some(cutoff)), kept)
    }

    /// For each seed, in their order, what `make` makes of the seed's number among them and its own subgraph: the same as
    /// [`sample_each`](Self::sample_each) gives, but nothing is kept of it, and its memory is used again for the next. So it is
    /// faster by a quarter where much is drawn: nothing leaves the processor's cache.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub fn map_each<T: Send>(&self, seeds: &[Hit], draw: u64, make: impl Fn(usize, &mut Subgraph) -> T + Sync) -> Result<Vec<T>> {
        self.each(seeds, draw, |&seed| (seed, self.config.cutoff), make)
    }

    /// For each batch, in their order, what `make` makes of its number and of the subgraph around its seeds, as
    /// [`map_each`](Self::map_each) does for each seed.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub fn map_batches<S: AsRef<[Hit]> + Sync, T: Send>(
        &self,
        batches: &[S],
        draw: u64,
        make: impl Fn(usize, &mut Subgraph) -> T + Sync,
    ) -> Result<Vec<T>> {
        let graph = self.graph();
        let one = |(number, seeds): (usize, &S)| {
            let made = self.made(&graph, &[(seeds.as_ref(), self.config.cutoff)], draw, number, &make);
            made.map(Vec::into_iter)
        };
        let made: Result<Vec<_>> = batches.par_iter().enumerate().map(one).collect();
        Ok(made?.into_iter().flatten().collect())
    }

    fn each<S: Sync, T: Send>(
        &self,
        seeds: &[S],
        draw: u64,
        seed: impl Fn(&S) -> (Hit, Option<i64>) + Sync,
        make: impl Fn(usize, &mut Subgraph) -> T + Sync,
    ) -> Result<Vec<T>> {
        let graph = self.graph();
        // Some at a time: while the memory answers one of them, a thread goes on with another.
        let made: Result<Vec<Vec<T>>> = seeds
            .par_chunks(TOGETHER)
            .enumerate()
            .map(|(chunk, seeds)| {
                let seeds: Vec<([Hit; 1], Option<i64>)> =
                    seeds.iter().map(&seed).map(|(seed, cutoff)| ([seed], cutoff)).collect();
                let seeds: Vec<(&[Hit], Option<i64>)> = seeds.iter().map(|(seed, cutoff)| (&seed[..], *cutoff)).collect();
                self.made(&graph, &seeds, draw, chunk * TOGETHER, &make)
            })
            .collect();
        Ok(made?.into_iter().flatten().collect())
    }

    /// What is made of the subgraphs around these, numbered from `first`.
    fn made<T>(
        &self,
        graph: &Graph<'_>,
        all: &[(&[Hit], Option<i64>)],
        draw: u64,
        first: usize,
        make: &impl Fn(usize, &mut Subgraph) -> T,
    ) -> Result<Vec<T>> {
        all.iter().try_for_each(|(seeds, _)| self.check(seeds))?;
        self.with_scratch(|scratch| {
            let mut drawn = self.drawn(graph, all, draw, scratch)?;
            let made = (first..).zip(&mut drawn).map(|(number, drawn)| make(number, drawn)).collect();
            let Scratch { growing, parts, .. } = scratch;
            let pieces = parts.iter_mut().map(|part| &mut part.piece).chain([&mut growing.piece]);
            drawn.into_iter().zip(pieces).for_each(|(drawn, piece)| piece.take_back(drawn));
            Ok(made)
        })
    }

    fn graph(&self) -> Graph<'_> {
        Graph::new(&self.snapshot, &self.steps, &self.config, &self.limits)
    }

    fn with_scratch<T>(&self, use_it: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = self.spare.take().unwrap_or_default();
        let outcome = use_it(&mut scratch);
        self.spare.give(scratch);
        outcome
    }

    /// For each of these a subgraph around its seeds, with its cutoff.
    fn drawn(&self, graph: &Graph<'_>, all: &[(&[Hit], Option<i64>)], draw: u64, scratch: &mut Scratch) -> Result<Vec<Subgraph>> {
        let Scratch { growing, parts, rows, considered, levels, counted } = scratch;
        let mut begin = |piece: &mut Piece, places: &mut Places, (seeds, cutoff): (&[Hit], Option<i64>)| {
            let key = seeds.iter().fold(self.key.with(draw), |key, &seed| key.with(word(0, seed)));
            let last = graph.last(cutoff);
            piece.begin(places, seeds, graph);
            if let Some(retrieval) = &self.config.retrieval {
                for &seed in seeds {
                    let rows = retrieval::retrieve(graph, key.with(word(0, seed)), last, seed, retrieval, counted);
                    piece.retrieve(places, rows);
                }
            }
            (key, last)
        };
        match &self.config.walk {
            Walk::Neighbour { .. } => {
                parts.resize_with(parts.len().max(all.len()), Part::default);
                let parts = &mut parts[..all.len()];
                for (part, &one) in parts.iter_mut().zip(all) {
                    (part.key, part.last) = begin(&mut part.piece, &mut growing.places, one);
                }
                neighbour::walk(graph, parts, &mut growing.places, rows);
                let finish = |part: &mut Part| {
                    if self.config.listed == Listed::Induced {
                        part.piece.take_places(&mut growing.places, graph);
                    }
                    self.listed(graph, part.last, &mut part.piece, &growing.places)
                };
                parts.iter_mut().map(finish).collect()
            }
            Walk::Context { tokens, costs, .. } => {
                let draw = |&one: &_| {
                    let (key, last) = begin(&mut growing.piece, &mut growing.places, one);
                    context::walk(graph, key, last, (*tokens, costs), growing, considered);
                    self.listed(graph, last, &mut growing.piece, &growing.places)
                };
                all.iter().map(draw).collect()
            }
            Walk::Hierarchy { up, down } => {
                let draw = |&one: &_| {
                    let (key, last) = begin(&mut growing.piece, &mut growing.places, one);
                    hierarchy::walk(graph, key, last, [up, down], growing, levels);
                    self.listed(graph, last, &mut growing.piece, &growing.places)
                };
                all.iter().map(draw).collect()
            }
        }
    }

    /// A subgraph that is drawn, with the edges that are to be listed.
    fn listed(&self, graph: &Graph<'_>, last: Option<i64>, piece: &mut Piece, places: &Places) -> Result<Subgraph> {
        let mut subgraph = piece.finish()?;
        match self.config.listed {
            Listed::Drawn => {}
            Listed::Once => listed::once(graph, &mut subgraph),
            Listed::Induced => listed::induced(graph, last, places, &mut subgraph),
        }
        Ok(subgraph)
    }

    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub(crate) fn check(&self, seeds: &[Hit]) -> Result<()> {
        check_seeds(&self.snapshot, seeds)
    }
}

/// A subgraph, to be kept.
fn kept(_: usize, subgraph: &mut Subgraph) -> Subgraph {
    std::mem::take(subgraph).fitted()
}

/// # Errors
/// [`Error::Setting`] names a seed that the snapshot does not have.
fn check_seeds(snapshot: &Snapshot, seeds: &[Hit]) -> Result<()> {
    let is_there = |seed: &&Hit| seed.node < snapshot.node_count(seed.node_type);
    let Some(&seed) = seeds.iter().find(|seed| !is_there(seed)) else { return Ok(()) };
    let known = snapshot.schema().node_types().get(seed.node_type.index());
    let (found, expected) = match known {
        Some(known) => {
            let count = snapshot.node_count(seed.node_type);
            (format!("node {} of {}", seed.node, known.name), format!("below {count}, the number of its nodes"))
        }
        None => {
            let count = snapshot.schema().node_types().len();
            (format!("node type number {}", seed.node_type.0), format!("below {count}, the number of node types"))
        }
    };
    Err(Error::Setting { setting: "seeds".to_owned(), found, expected })
}

/// A node at a hop as one number. Hops are at most 64.
fn word(hop: usize, node: Hit) -> u64 {
    (hop as u64) << 48 | u64::from(node.node_type.0) << 32 | u64::from(node.node)
}
