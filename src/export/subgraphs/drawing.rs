//! Which subgraphs are drawn, some at a time.

use arrow_array::RecordBatch;
use relata_schema::NodeTypeId;

use super::{Row, SubgraphTable};
use crate::sampler::{Choice, Listed, Sampler, SamplerConfig, Subgraph};
use crate::snapshot::Hit;
use crate::{Error, Result};

/// Nodes and edges that are drawn and written at once, about: some megabytes.
const TOGETHER: usize = 1 << 18;
/// Subgraphs that are drawn at once, at most.
const MOST: usize = 1 << 13;
/// The same of those whose nodes' whole rows are looked at, so that what is drawn at once does not take long.
const MOST_OF_ROWS: usize = 1 << 10;
/// Steps of random walks that take about as long as drawing and writing a node or an edge.
const STEPS: u64 = 1 << 4;
/// The first ones tell how large they are; from then on at most so many times as many as before.
const GROWTH: usize = 8;

/// How seeds make subgraphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// One around each seed.
    Each,
    /// One around so many seeds, in their order; the last one has what is left.
    Batch(u32),
}

/// Subgraphs to draw, in their order: with a table to put them in, and where it has come to.
#[derive(Clone)]
pub struct Drawing {
    sampler: Sampler,
    draw: u64,
    seeds: Vec<Hit>,
    /// Of each seed, where it has one of its own in place of the configuration's.
    cutoffs: Option<Vec<i64>>,
    grouping: Grouping,
    table: SubgraphTable,
    /// Subgraphs drawn so far, and their nodes and edges.
    drawn: u64,
    nodes: u64,
    edges: u64,
    /// How many to draw next.
    together: usize,
}

impl Drawing {
    /// The subgraphs around these seeds, in the draw of that number (see [`Sampler::sample`]); with the keys of their nodes,
    /// or without.
    ///
    /// # Errors
    /// [`Error::Setting`] for no seeds, for seeds of more than one type, and for a batch of none.
    pub fn new(sampler: Sampler, draw: u64, seeds: Vec<Hit>, grouping: Grouping, with_keys: bool) -> Result<Self> {
        let Some(&Hit { node_type, .. }) = seeds.first() else { return Err(Error::setting("seeds", "none", "one at least")) };
        if seeds.iter().any(|seed| seed.node_type != node_type) {
            return Err(Error::setting("seeds", "nodes of several types", "nodes of one type"));
        }
        if grouping == Grouping::Batch(0) {
            return Err(Error::setting("batch", "0", "1 at least"));
        }
        sampler.check(&seeds)?;
        let table = SubgraphTable::new(&sampler, draw, node_type, with_keys);
        let cutoffs = None;
        Ok(Self { sampler, draw, seeds, cutoffs, grouping, table, drawn: 0, nodes: 0, edges: 0, together: 1 })
    }

    /// The same, each seed with a cutoff of its own, in their order. That of the sampler's configuration is then
    /// the latest of them: without one it would not have looked at what times there are.
    ///
    /// # Errors
    /// [`Error::Setting`] for seeds that share a subgraph, for more or fewer cutoffs than seeds, and for another cutoff of the
    /// configuration.
    pub fn until(self, cutoffs: Vec<i64>) -> Result<Self> {
        if self.grouping != Grouping::Each {
            return Err(Error::setting("cutoffs", "seeds that share a subgraph", "a subgraph around each"));
        }
        if cutoffs.len() != self.seeds.len() {
            let expected = format!("{}, one for each seed", self.seeds.len());
            return Err(Error::setting("cutoffs", cutoffs.len().to_string(), expected));
        }
        let (found, latest) = (self.sampler.config().cutoff, cutoffs.iter().max());
        if found.as_ref() != latest {
            let shown = |cutoff: Option<&i64>| cutoff.map_or("none".to_owned(), i64::to_string);
            let expected = format!("{}, the latest of the seeds' own", shown(latest));
            return Err(Error::setting("cutoff", shown(found.as_ref()), expected));
        }
        Ok(Self { cutoffs: Some(cutoffs), ..self })
    }

    /// The same, with a table that shows what a guard lets show: see [`SubgraphTable::showing`].
    #[must_use]
    pub fn with_table(self, change: impl FnOnce(SubgraphTable) -> SubgraphTable) -> Self {
        Self { table: change(self.table), ..self }
    }

    /// What draws them.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Their columns.
    pub fn table(&self) -> &SubgraphTable {
        &self.table
    }

    /// The type of their seeds.
    pub fn seed_type(&self) -> NodeTypeId {
        self.table.seed_type()
    }

    /// How seeds make subgraphs.
    pub fn grouping(&self) -> Grouping {
        self.grouping
    }

    /// The seeds' own cutoffs, where they have some.
    pub fn cutoffs(&self) -> Option<&[i64]> {
        self.cutoffs.as_deref()
    }

    /// The draw's number.
    pub fn draw(&self) -> u64 {
        self.draw
    }

    /// How many seeds there are.
    pub fn seeds(&self) -> usize {
        self.seeds.len()
    }

    /// How many subgraphs there are in all.
    pub fn len(&self) -> u64 {
        match self.grouping {
            Grouping::Each => self.seeds.len() as u64,
            Grouping::Batch(seeds) => self.seeds.len().div_ceil(seeds as usize) as u64,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.seeds.is_empty()
    }

    /// Subgraphs, nodes and edges that were drawn so far.
    pub fn drawn(&self) -> [u64; 3] {
        [self.drawn, self.nodes, self.edges]
    }

    /// Draws the next subgraphs: as many as are some megabytes, at most `most`; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Setting`] for a seed that the snapshot does not have, [`Error::Limit`] for a subgraph of more nodes or edges
    /// than a column can count.
    pub fn next_batch(&mut self, most: u64) -> Result<Option<RecordBatch>> {
        let left = (self.len() - self.drawn).min(most);
        if left == 0 {
            return Ok(None);
        }
        let count = self.together.min(usize::try_from(left).unwrap_or(usize::MAX));
        let subgraphs = self.sample(count)?;
        let config = self.sampler.config();
        let cutoff = |at: usize| self.cutoffs.as_ref().map_or(config.cutoff, |cutoffs| cutoffs.get(at).copied());
        let rows: Vec<Row<'_>> = (self.drawn..)
            .zip(&subgraphs)
            .map(|(number, subgraph)| Row { number, subgraph, cutoff: cutoff(number as usize) })
            .collect();
        let batch = self.table.batch(&rows)?;
        let nodes: usize = subgraphs.iter().map(|subgraph| subgraph.nodes.len()).sum();
        let edges: usize = subgraphs.iter().map(|subgraph| subgraph.edges.len()).sum();
        let walked = subgraphs.iter().map(|subgraph| steps(config, subgraph)).sum::<u64>() / STEPS;
        let most = if looks_at_rows(config) { MOST_OF_ROWS } else { MOST };
        let fitting = (TOGETHER * count / (nodes + edges + walked as usize).max(1)).min(self.together * GROWTH);
        self.together = fitting.clamp(1, most);
        self.drawn += count as u64;
        self.nodes += nodes as u64;
        self.edges += edges as u64;
        Ok(Some(batch))
    }

    fn sample(&self, count: usize) -> Result<Vec<Subgraph>> {
        let start = self.drawn as usize;
        match self.grouping {
            Grouping::Each => {
                let seeds = &self.seeds[start..start + count];
                let Some(cutoffs) = &self.cutoffs else { return self.sampler.sample_each(seeds, self.draw) };
                let seeds: Vec<(Hit, i64)> = seeds.iter().copied().zip(cutoffs[start..].iter().copied()).collect();
                self.sampler.sample_each_until(&seeds, self.draw)
            }
            Grouping::Batch(seeds) => {
                let batches: Vec<&[Hit]> = self.seeds.chunks(seeds as usize).skip(start).take(count).collect();
                self.sampler.sample_batches(&batches, self.draw)
            }
        }
    }
}

/// Steps of the random walks from a subgraph's seeds.
fn steps(config: &SamplerConfig, subgraph: &Subgraph) -> u64 {
    let each = config.retrieval.map_or(0, |retrieval| u64::from(retrieval.walks) * u64::from(retrieval.steps));
    each * subgraph.seeds.len() as u64
}

/// Whether nodes' edges are looked at that are not drawn.
fn looks_at_rows(config: &SamplerConfig) -> bool {
    let mut choices = std::iter::once(&config.choice).chain(config.choice_of.iter().map(|(_, choice)| choice));
    config.listed == Listed::Induced || choices.any(|choice| matches!(choice, Choice::Weighted(_) | Choice::Top(_)))
}
