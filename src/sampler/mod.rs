//! Typed, temporal subgraphs around seed nodes, drawn from a [`Snapshot`].
//!
//! A [`Sampler`] walks from the seeds along the relations of its [`SamplerConfig`], either direction, for a number of hops.
//! A [`Walk`] says which edges of a node are taken:
//!
//! * **neighbour** (Hamilton, Ying and Leskovec, NeurIPS 2017; as PyG and DGL have it): each node of a hop draws, of each
//!   relation and direction, as many edges as the fanout says: uniformly, without replacement, from all of its edges
//!   that time allows, whatever other nodes drew. The edge that led to the node is among them: drawn again, it counts for
//!   the fanout and is not listed again.
//! * **context** (as the Relational Transformer has it): breadth-first under a budget of tokens, the nodes of a hop in
//!   random order. Rows are nodes and edges. An edge refers to its two ends, its parents: with an edge, the node at its other
//!   end is always taken, and they are paid together. The edges that refer to a node are its children: of each relation and
//!   direction at most a width, uniformly. A node whose children do not all fit into what is left of the budget ends
//!   the walk: its relations and directions take turns, each giving its next edge in a random order of its own, until one
//!   that does not fit; so they share evenly, and each shows a uniform sample. An edge is considered once, from the end
//!   that is expanded first: not drawn there, it does not come back from the other end.
//!
//! **Budget.** An edge costs its relation's tokens, a node those of its type; the last hop's nodes are known by identity
//! only, and cost nothing. Seeds are paid first and are there even if they cost more than there is. There are never more
//! edges than tokens either, so that edges that cost nothing do not make a subgraph as large as the database.
//!
//! **Invariants:**
//! * A node and an edge occur once in a subgraph. Parallel edges are different edges; a symmetric edge is one, and so is
//!   a loop.
//! * With a cutoff, no edge later than it is taken by any path. (Attributes of nodes have times of their own: what of a
//!   node may be shown is for the tokens to say.)
//! * The same snapshot, configuration, seeds and draw give the same subgraph, on any number of threads; a seed's
//!   own subgraph ([`Sampler::sample_each`]) is what [`Sampler::sample`] gives for this seed alone.
//! * Time and memory of a subgraph depend on its own size, not on the database's: a node with a million edges of which
//!   ten are wanted is asked for ten.
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
//! assert_eq!((subgraph.nodes.len(), subgraph.edges.len()), (4, 3)); // two genes, and the other cell through one of them
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buffer;
mod config;
mod context;
mod distinct;
mod graph;
mod growing;
mod listed;
mod neighbour;
mod places;
mod prefetch;
pub mod random;
mod ranked;
mod steps;
mod subgraph;
mod wide;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rayon::prelude::*;

pub use config::{Choice, Costs, EqualTime, Listed, MissingTime, SamplerConfig, Walk};
pub use steps::MOST_HOPS;
pub use subgraph::{Edges, End, Run, SampledEdge, SampledNode, Subgraph};

use crate::snapshot::{Hit, Snapshot};
use crate::spare::Spare;
use crate::{Error, Result};
use graph::{Excluded, Graph};
use growing::Growing;
use random::Key;
use steps::{Step, Steps};

/// Draws subgraphs from a snapshot. See the [module](self).
#[derive(Clone)]
pub struct Sampler {
    snapshot: Snapshot,
    config: SamplerConfig,
    steps: Steps,
    excluded: Excluded,
    key: Key,
    spare: Arc<Spare<Scratch>>,
}

/// Seeds that a thread draws at a time.
const TOGETHER: usize = 16;

/// Memory that is used again from one subgraph to the next.
#[derive(Default)]
struct Scratch {
    growing: Growing,
    rows: neighbour::Rows,
    considered: context::Considered,
}

impl Sampler {
    /// # Errors
    /// [`Error::Setting`] names what cannot be: a relation that the schema does not have, no hops or more than 64, no tokens, a
    /// fanout or width of a relation that is not followed, costs that are not one a type, a choice by what is not there.
    pub fn new(snapshot: &Snapshot, config: SamplerConfig) -> Result<Self> {
        let steps = Steps::resolve(snapshot.schema(), &config)?;
        let excluded = Excluded::resolve(snapshot, &config)?;
        let key = Key::new("relata sampler", config.seed);
        let sampler = Self { snapshot: snapshot.clone(), config, steps, excluded, key, spare: Arc::default() };
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
        self.check(seeds)?;
        self.with_scratch(|scratch| self.drawn(&self.graph(), seeds, self.config.cutoff, draw, scratch))
    }

    /// One subgraph around the seeds of each batch: what [`sample`](Self::sample) gives for it, drawn in parallel.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub fn sample_batches<S: AsRef<[Hit]> + Sync>(&self, batches: &[S], draw: u64) -> Result<Vec<Subgraph>> {
        batches.par_iter().map(|seeds| self.sample(seeds.as_ref(), draw)).collect()
    }

    /// For each seed, in their order, a subgraph of its own: drawn in parallel, and the same whatever other seeds there are.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub fn sample_each(&self, seeds: &[Hit], draw: u64) -> Result<Vec<Subgraph>> {
        self.each(seeds, draw, |&seed| (seed, self.config.cutoff))
    }

    /// The same, each seed with a cutoff of its own in place of the configuration's.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub fn sample_each_until(&self, seeds: &[(Hit, i64)], draw: u64) -> Result<Vec<Subgraph>> {
        self.each(seeds, draw, |&(seed, cutoff)| (seed, Some(cutoff)))
    }

    fn each<S: Sync>(&self, seeds: &[S], draw: u64, seed: impl Fn(&S) -> (Hit, Option<i64>) + Sync) -> Result<Vec<Subgraph>> {
        let graph = self.graph();
        // Some at a time, so that a thread takes its memory once for all of them.
        let drawn: Result<Vec<Vec<Subgraph>>> = seeds
            .par_chunks(TOGETHER)
            .map(|seeds| {
                self.with_scratch(|scratch| {
                    let one = |one: &S| {
                        let (seed, cutoff) = seed(one);
                        self.check(&[seed])?;
                        self.drawn(&graph, &[seed], cutoff, draw, scratch)
                    };
                    seeds.iter().map(one).collect()
                })
            })
            .collect();
        Ok(drawn?.into_iter().flatten().collect())
    }

    fn graph(&self) -> Graph<'_> {
        Graph::new(&self.snapshot, &self.steps, &self.config, &self.excluded)
    }

    fn with_scratch<T>(&self, use_it: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = self.spare.take().unwrap_or_default();
        let outcome = use_it(&mut scratch);
        self.spare.give(scratch);
        outcome
    }

    fn drawn(&self, graph: &Graph<'_>, seeds: &[Hit], cutoff: Option<i64>, draw: u64, scratch: &mut Scratch) -> Result<Subgraph> {
        let key = seeds.iter().fold(self.key.with(draw), |key, &seed| key.with(word(0, seed)));
        let last = graph.last(cutoff);
        let Scratch { growing, rows, considered } = scratch;
        growing.begin(seeds, &graph.counts);
        match &self.config.walk {
            Walk::Neighbour { .. } => neighbour::walk(graph, key, last, growing, rows),
            Walk::Context { tokens, costs, .. } => context::walk(graph, key, last, (*tokens, costs), growing, considered),
        }
        let mut subgraph = growing.finish()?;
        match self.config.listed {
            Listed::Drawn => {}
            Listed::Once => listed::once(graph, &mut subgraph),
            Listed::Induced => listed::induced(graph, last, growing, &mut subgraph),
        }
        Ok(subgraph)
    }

    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have.
    pub(crate) fn check(&self, seeds: &[Hit]) -> Result<()> {
        let is_there = |seed: &&Hit| seed.node < self.snapshot.node_count(seed.node_type);
        let Some(&seed) = seeds.iter().find(|seed| !is_there(seed)) else { return Ok(()) };
        let known = self.snapshot.schema().node_types().get(seed.node_type.index());
        let (found, expected) = match known {
            Some(known) => {
                let count = self.snapshot.node_count(seed.node_type);
                (format!("node {} of {}", seed.node, known.name), format!("below {count}, the number of its nodes"))
            }
            None => {
                let count = self.snapshot.schema().node_types().len();
                (format!("node type number {}", seed.node_type.0), format!("below {count}, the number of node types"))
            }
        };
        Err(Error::Setting { setting: "seeds".to_owned(), found, expected })
    }
}

/// A node at a hop as one number. Hops are at most 64.
fn word(hop: usize, node: Hit) -> u64 {
    (hop as u64) << 48 | u64::from(node.node_type.0) << 32 | u64::from(node.node)
}

/// What names the choices of a node at a hop.
fn node_key(key: Key, hop: usize, node: Hit) -> Key {
    key.with(word(hop, node))
}

/// What names the choice among a node's edges in one step.
fn choice(key: Key, step: &Step) -> Key {
    key.mixed(step.word)
}
