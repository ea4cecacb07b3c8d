//! How the subgraphs of a question are drawn: its walk, and the sampler's configuration.

use relata::sampler::{Choice, Costs, Listed, Retrieval, SamplerConfig, Walk};
use relata::snapshot::Snapshot;
use relata_schema::Schema;

use super::question::{SampleQuestion, WalkName};
use crate::ApiError;
use crate::routes::settings::{choice, of_relations, relations, times, within};

/// Tokens of a context, and so its edges; and nodes of all levels of a hierarchy.
const MOST_TOKENS: usize = 1 << 16;
/// Hops of a context, and levels of a hierarchy above and below.
const MOST_HOPS: usize = 8;
/// Hops of a neighbour walk.
const MOST_FANOUTS: usize = 4;
/// Edges of each relation and direction that a node takes.
const MOST_FANOUT: usize = 1000;
/// Rows that are retrieved beside a seed, random walks for that, and steps of each; [`bounds`](super::bounds) has their product.
const MOST_ROWS: usize = 1000;
const MOST_WALKS: usize = 100_000;
const MOST_STEPS: usize = 1000;

impl SampleQuestion {
    /// Which walk is asked for: the one that is named, or else the one that a setting belongs to.
    fn walk_name(&self) -> WalkName {
        let is_hierarchy = self.up.is_some() || self.down.is_some();
        self.walk.unwrap_or(match self.fanouts {
            Some(_) => WalkName::Neighbour,
            None if is_hierarchy => WalkName::Hierarchy,
            None => WalkName::Context,
        })
    }

    /// Whether the numbers of the walk are within their bounds, and belong to it.
    pub fn check_walk(&self) -> Result<(), ApiError> {
        let walk = self.walk_name();
        let of_a_walk = [
            ("fanouts", self.fanouts.is_some(), WalkName::Neighbour),
            ("fanout_of", !self.fanout_of.is_empty(), WalkName::Neighbour),
            ("tokens", self.tokens.is_some(), WalkName::Context),
            ("hops", self.hops.is_some(), WalkName::Context),
            ("width", self.width.is_some(), WalkName::Context),
            ("width_of", !self.width_of.is_empty(), WalkName::Context),
            ("up", self.up.is_some(), WalkName::Hierarchy),
            ("down", self.down.is_some(), WalkName::Hierarchy),
        ];
        if let Some((parameter, _, own)) = of_a_walk.iter().find(|(_, is_given, own)| *is_given && *own != walk) {
            let (walk, own) = (walk.name(), own.name());
            let message = format!("{parameter}: found it with the walk `{walk}`, expected it with `{own}`, which it belongs to");
            return Err(ApiError::bad_field(parameter, message));
        }
        let numbers = [
            ("tokens", self.tokens, MOST_TOKENS),
            ("hops", self.hops, MOST_HOPS),
            ("width", self.width, u32::MAX as usize),
            ("retrieve", self.retrieve, MOST_ROWS),
            ("retrieve_walks", self.retrieve_walks, MOST_WALKS),
            ("retrieve_steps", self.retrieve_steps, MOST_STEPS),
        ];
        for (parameter, found, most) in numbers {
            found.map_or(Ok(()), |found| within(parameter, found as usize, 1, most))?;
        }
        for (parameter, found) in [("retrieve_walks", self.retrieve_walks), ("retrieve_steps", self.retrieve_steps)] {
            if found.is_some() && self.retrieve.is_none() {
                let message = format!("{parameter}: found it without `retrieve`, expected both: `retrieve` says how many rows");
                return Err(ApiError::bad_field(parameter, message));
            }
        }
        if let Some(fanouts) = &self.fanouts {
            listed_within("fanouts", "a hop", fanouts, (1, MOST_FANOUTS), (1, MOST_FANOUT))?;
        }
        for (relation, fanouts) in &self.fanout_of {
            listed_within(&format!("fanout_of.{relation}"), "a hop", fanouts, (1, MOST_FANOUTS), (0, MOST_FANOUT))?;
        }
        self.check_levels()
    }

    fn check_levels(&self) -> Result<(), ApiError> {
        if self.walk_name() != WalkName::Hierarchy {
            return Ok(());
        }
        let levels = [("up", self.up.as_deref()), ("down", self.down.as_deref())];
        for (parameter, budgets) in levels {
            budgets.map_or(Ok(()), |budgets| listed_within(parameter, "a level", budgets, (0, MOST_HOPS), (1, MOST_TOKENS)))?;
        }
        let budgets = || levels.into_iter().filter_map(|(_, budgets)| budgets).flatten();
        if budgets().next().is_none() {
            let message = "up: found neither `up` nor `down`, expected one at least: how many nodes each level brings";
            return Err(ApiError::bad_field("up", message));
        }
        let nodes: u64 = budgets().map(|&budget| u64::from(budget)).sum();
        if nodes > MOST_TOKENS as u64 {
            let message = format!("up: found {nodes} nodes of all levels, expected at most {MOST_TOKENS} in `up` and `down`");
            return Err(ApiError::bad_field("up", message));
        }
        Ok(())
    }

    /// How the sampler is to draw. Of seeds with cutoffs of their own, its cutoff is the latest.
    pub fn config(&self, snapshot: &Snapshot) -> Result<SamplerConfig, ApiError> {
        let schema = snapshot.schema();
        let relations = relations(snapshot, self.relations.as_deref())?;
        let retrieval = self.retrieve.map(|rows| Retrieval {
            walks: self.retrieve_walks.unwrap_or(Retrieval::WALKS),
            steps: self.retrieve_steps.unwrap_or(Retrieval::STEPS),
            rows,
        });
        let own = self.cutoffs.iter().flatten().max().copied();
        Ok(SamplerConfig {
            choice: self.choice.as_deref().map_or(Ok(Choice::Uniform), |text| choice("choice", text))?,
            choice_of: of_relations(schema, "choice_of", &self.choice_of, |parameter, text| choice(parameter, text))?,
            listed: self.listed.unwrap_or(Listed::Once),
            retrieval,
            cutoff: self.cutoff.or(own),
            equal_time: self.equal_time.unwrap_or_default(),
            missing_time: self.missing_time.unwrap_or_default(),
            time_of: times(schema, &self.time_of)?,
            seed: self.seed,
            ..SamplerConfig::new(self.walk(schema)?, relations)
        })
    }

    fn walk(&self, schema: &Schema) -> Result<Walk, ApiError> {
        Ok(match self.walk_name() {
            WalkName::Neighbour => {
                let mut fanout_of = Vec::new();
                for (relation, fanouts) in of_relations(schema, "fanout_of", &self.fanout_of, |_, fanouts| Ok(fanouts.clone()))? {
                    let ways = schema.edge(relation).directions().iter();
                    fanout_of.extend(ways.map(|&direction| (relation, direction, fanouts.clone())));
                }
                Walk::Neighbour { fanouts: self.fanouts.clone().unwrap_or(vec![10, 10]), fanout_of }
            }
            WalkName::Context => Walk::Context {
                tokens: self.tokens.unwrap_or(1024),
                hops: self.hops.unwrap_or(2),
                width: self.width,
                width_of: of_relations(schema, "width_of", &self.width_of, |_, &width| Ok(width))?,
                costs: Costs::of_attributes(schema),
            },
            WalkName::Hierarchy => {
                Walk::Hierarchy { up: self.up.clone().unwrap_or_default(), down: self.down.clone().unwrap_or_default() }
            }
        })
    }
}

/// Whether a list has as many numbers as it may, and each is within its bounds.
fn listed_within(
    parameter: &str,
    each: &str,
    numbers: &[u32],
    (fewest, most): (usize, usize),
    (least, largest): (usize, usize),
) -> Result<(), ApiError> {
    if !(fewest..=most).contains(&numbers.len()) {
        let message = format!("{parameter}: found {} numbers, expected {fewest} to {most}, one {each}", numbers.len());
        return Err(ApiError::bad_field(parameter, message));
    }
    numbers
        .iter()
        .enumerate()
        .try_for_each(|(at, &number)| within(&format!("{parameter}[{at}]"), number as usize, least, largest))
}
