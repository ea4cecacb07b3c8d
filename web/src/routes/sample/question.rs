use std::collections::BTreeMap;

use relata::export::subgraphs::{ArrowStream, Drawing, Grouping};
use relata::sampler::{EqualTime, Filter, Listed, MissingTime, Sampler, Seeds};
use relata::snapshot::{Hit, Snapshot};
use relata_schema::NodeTypeId;
use serde::Deserialize;

use super::bounds;
use crate::routes::settings::{of_a_cutoff, within};
use crate::{ApiError, lookup};

/// Keys that a question names: some of a body's megabyte.
const MOST_KEYS: usize = 10_000;
/// Seeds of one answer. A stream may be long, but whoever wants all of a large store asks `relata sample`.
const MOST_SEEDS: usize = 1_000_000;

/// The body of a question for many subgraphs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleQuestion {
    /// Node type of the seeds.
    #[serde(rename = "type")]
    pub(super) node_type: String,
    /// The seeds: by their keys, all of the type, or those whose attributes are so, as [`Filter`] reads it.
    pub(super) keys: Option<Vec<String>>,
    #[serde(default)]
    pub(super) all: bool,
    #[serde(rename = "where")]
    pub(super) matching: Option<String>,
    /// So many by lot, of all or of those.
    pub(super) count: Option<u32>,
    /// Left out, it is the walk that the settings belong to, or the context walk.
    pub(super) walk: Option<WalkName>,
    /// Neighbour walk: for each hop, the edges that a node takes of each relation and direction; and of one relation, in both.
    pub(super) fanouts: Option<Vec<u32>>,
    #[serde(default)]
    pub(super) fanout_of: BTreeMap<String, Vec<u32>>,
    /// Context walk: its budget, its hops, and the edges that a node takes of each relation and direction.
    pub(super) tokens: Option<u32>,
    pub(super) hops: Option<u32>,
    pub(super) width: Option<u32>,
    /// The same of one relation.
    #[serde(default)]
    pub(super) width_of: BTreeMap<String, u32>,
    /// Hierarchy walk: for each level above and below the seeds, how many nodes it brings.
    pub(super) up: Option<Vec<u32>>,
    pub(super) down: Option<Vec<u32>>,
    /// Rows like each seed to begin at too, random walks for that, and steps of each.
    pub(super) retrieve: Option<u32>,
    pub(super) retrieve_walks: Option<u32>,
    pub(super) retrieve_steps: Option<u32>,
    /// All if left out.
    pub(super) relations: Option<Vec<String>>,
    /// Which edges a node takes, as [`Choice`](relata::sampler::Choice) reads it; and of one relation.
    pub(super) choice: Option<String>,
    #[serde(default)]
    pub(super) choice_of: BTreeMap<String, String>,
    /// Which edges are listed; each once if left out.
    pub(super) listed: Option<Listed>,
    /// Nothing later than this; or for each of the keys, one of its own.
    pub(super) cutoff: Option<i64>,
    pub(super) cutoffs: Option<Vec<i64>>,
    /// What a cutoff does with what has just that time, and with what has none.
    pub(super) equal_time: Option<EqualTime>,
    pub(super) missing_time: Option<MissingTime>,
    /// Of a node type, the time attribute that says since when a node has been there, or null.
    #[serde(default)]
    pub(super) time_of: BTreeMap<String, Option<String>>,
    /// Another draw for another number.
    #[serde(default)]
    pub(super) seed: u64,
    /// Seeds of a subgraph; left out, each has its own.
    pub(super) batch: Option<u32>,
    /// Whether nodes' keys are among the columns.
    #[serde(default)]
    pub(super) with_keys: bool,
}

/// A walk by its name.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalkName {
    Neighbour,
    Context,
    Hierarchy,
}

impl WalkName {
    /// As a question writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Neighbour => "neighbour",
            Self::Context => "context",
            Self::Hierarchy => "hierarchy",
        }
    }
}

impl SampleQuestion {
    /// Whether all numbers are within their bounds, and nothing is said twice.
    pub fn check(&self) -> Result<(), ApiError> {
        self.check_seeds()?;
        self.check_times()?;
        self.check_walk()
    }

    fn check_seeds(&self) -> Result<(), ApiError> {
        let named = [
            ("keys", self.keys.is_some()),
            ("count", self.count.is_some() && self.matching.is_none()),
            ("all", self.all),
            ("where", self.matching.is_some()),
        ];
        let mut given = named.into_iter().filter(|(_, is_given)| *is_given).map(|(parameter, _)| parameter);
        let (first, more) = (given.next(), given.count());
        if first.is_none() || more > 0 {
            let parameter = first.unwrap_or("count");
            let found = usize::from(first.is_some()) + more;
            let message = format!(
                "{parameter}: found {found} of `keys`, `count`, `all` and `where`, expected one; beside `where`, `count` is so many \
                 of those"
            );
            return Err(ApiError::bad_field(parameter, message));
        }
        if let Some(keys) = &self.keys {
            within("keys", keys.len(), 1, MOST_KEYS)?;
        }
        for (parameter, found) in [("count", self.count), ("batch", self.batch)] {
            found.map_or(Ok(()), |found| within(parameter, found as usize, 1, MOST_SEEDS))?;
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), ApiError> {
        let refused = |parameter: &str, found: &str| Err(ApiError::bad_field(parameter, format!("{parameter}: found {found}")));
        if let Some(cutoffs) = &self.cutoffs {
            if self.cutoff.is_some() {
                return refused("cutoffs", "it beside `cutoff`, expected one of them");
            }
            if self.batch.is_some() {
                return refused("cutoffs", "it beside `batch`, expected one of them: seeds of one subgraph have one cutoff");
            }
            let Some(keys) = &self.keys else { return refused("cutoffs", "it without `keys`, expected one for each of them") };
            if cutoffs.len() != keys.len() {
                return refused(
                    "cutoffs",
                    &format!("{} numbers, expected {}, one for each of `keys`", cutoffs.len(), keys.len()),
                );
            }
        }
        let said = [
            ("equal_time", self.equal_time.is_some()),
            ("missing_time", self.missing_time.is_some()),
            ("time_of", !self.time_of.is_empty()),
        ];
        of_a_cutoff(self.cutoff.is_some() || self.cutoffs.is_some(), said)
    }

    /// The subgraphs as a stream.
    pub fn stream(&self, snapshot: &Snapshot) -> Result<ArrowStream, ApiError> {
        let refused = |error| ApiError::bad_setting(None, error);
        let node_type = lookup::node_type(snapshot.schema(), "type", &self.node_type)?;
        let seeds = self.seeds(snapshot, node_type)?;
        let config = self.config(snapshot)?;
        let together = self.batch.map_or(1, |batch| (batch as usize).min(seeds.len())) as u64;
        bounds::check(snapshot, &config, (node_type, together))?;
        let grouping = self.batch.map_or(Grouping::Each, Grouping::Batch);
        let sampler = Sampler::new(snapshot, config).map_err(refused)?;
        let mut drawing = Drawing::new(sampler, 0, seeds, grouping, self.with_keys).map_err(refused)?;
        if let Some(cutoffs) = &self.cutoffs {
            drawing = drawing.until(cutoffs.clone()).map_err(refused)?;
        }
        Ok(ArrowStream::new(drawing)?)
    }

    fn seeds(&self, snapshot: &Snapshot, node_type: NodeTypeId) -> Result<Vec<Hit>, ApiError> {
        if let Some(keys) = &self.keys {
            let hit = |(at, key): (usize, &String)| {
                Ok(Hit { node_type, node: lookup::node(snapshot, node_type, &format!("keys[{at}]"), key)? })
            };
            return keys.iter().enumerate().map(hit).collect();
        }
        let seeds = match &self.matching {
            None => Seeds::all(snapshot, node_type),
            Some(text) => {
                let refused = |error| ApiError::bad_setting(Some("where"), error);
                let filter = Filter::parse(snapshot.schema(), node_type, text).map_err(refused)?;
                Seeds::matching(snapshot, &filter).map_err(refused)?
            }
        };
        let name = &self.node_type;
        if seeds.is_empty() && self.matching.is_some() {
            return Err(ApiError::absent("where", format!("where: no {name} is so")));
        }
        if seeds.is_empty() {
            let message = format!("type: found `{name}`, expected a type that the snapshot has nodes of");
            return Err(ApiError::bad_field("type", message));
        }
        if let Some(count) = self.count {
            return Ok(seeds.by_lot(count, self.seed).iter().collect());
        }
        if seeds.len() > MOST_SEEDS {
            let parameter = if self.matching.is_some() { "where" } else { "all" };
            let nodes = seeds.len();
            let message = format!("{parameter}: found {nodes} nodes, expected at most {MOST_SEEDS}; ask for a `count` of them");
            return Err(ApiError::bad_field(parameter, message));
        }
        Ok(seeds.iter().collect())
    }
}
