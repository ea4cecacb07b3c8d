use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use relata::sampler::{Costs, EqualTime, Listed, MOST_HOPS, MissingTime, Retrieval, SamplerConfig, Walk};
use relata::snapshot::{Hit, NodeColumn, Snapshot};
use relata::task::ResolvedTask;
use relata_schema::{Direction, RelationId, Schema};

use super::excluded::excluded;

/// How subgraphs are drawn.
#[derive(clap::Args)]
pub struct WalkArgs {
    /// How edges are chosen
    #[arg(long, value_enum, default_value_t = WalkName::Context)]
    walk: WalkName,
    /// Steps from a seed [default: 2]
    #[arg(long)]
    hops: Option<u32>,
    /// Neighbour walk: edges of each relation and direction that a node takes, one number for all hops or one a hop
    /// [default: 10]
    #[arg(long, value_delimiter = ',')]
    fanout: Vec<u32>,
    /// The same of one relation, in both directions, or with `<` before its name from target to source, and with `>` from source
    /// to target only: `expresses=20,10`, `<expresses=0`. Repeat for more
    #[arg(long, value_name = "[<|>]RELATION=NUMBERS")]
    fanout_of: Vec<String>,
    /// Context walk: edges of each relation and direction that a node takes [default: all]
    #[arg(long)]
    width: Option<u32>,
    /// The same of one relation: `expresses=512`. Repeat for more
    #[arg(long, value_name = "RELATION=NUMBER")]
    width_of: Vec<String>,
    /// Context walk: the budget, where a row costs a token an attribute, at least one [default: 1024]
    #[arg(long)]
    tokens: Option<u32>,
    /// Hierarchy walk: for each level above the seeds, how many nodes it brings
    #[arg(long, value_delimiter = ',')]
    up: Vec<u32>,
    /// Hierarchy walk: for each level below the seeds, how many nodes it brings
    #[arg(long, value_delimiter = ',')]
    down: Vec<u32>,
    /// Begin also at so many nodes of the seed's type that are like it: those that random walks from it meet most often
    #[arg(long, value_name = "ROWS")]
    retrieve: Option<u32>,
    /// Random walks for that
    #[arg(long, default_value_t = Retrieval::WALKS, requires = "retrieve")]
    retrieve_walks: u32,
    /// Steps of each of them
    #[arg(long, default_value_t = Retrieval::STEPS, requires = "retrieve")]
    retrieve_steps: u32,
    /// Relations to follow, by name [default: all]
    #[arg(long, value_delimiter = ',')]
    relations: Vec<String>,
    /// Take none of the edges of this file, from either end: in each line a relation and the keys of a source and a target, with
    /// tabs between them
    #[arg(long, value_name = "FILE")]
    exclude: Option<PathBuf>,
    /// Which edges a node takes where it does not take all: `uniform`, `latest`, `weighted:ATTRIBUTE` or `top:ATTRIBUTE`; for
    /// one relation, `expresses=top:count`. Repeat for more
    #[arg(long, value_name = "[RELATION=]CHOICE")]
    choice: Vec<String>,
    /// Which edges are listed
    #[arg(long, value_enum, default_value_t = ListedName::Once)]
    listed: ListedName,
    /// Take nothing later than this, in the unit of the time attributes
    #[arg(long, allow_negative_numbers = true, group = "until")]
    cutoff: Option<i64>,
    /// Take nothing later than the seed's own value of this time attribute: each seed has a cutoff of its own
    #[arg(long, value_name = "ATTRIBUTE", group = "until", conflicts_with = "batch")]
    cutoff_of: Option<String>,
    /// What a cutoff does with what has just that time [default: keep, or what the task says]
    #[arg(long, value_enum, requires = "until")]
    equal_time: Option<KeepName>,
    /// What a cutoff does with what has no time, of a relation or a node type that has times [default: keep, or what the task
    /// says]
    #[arg(long, value_enum, requires = "until")]
    missing_time: Option<KeepName>,
    /// Of a node type, the time attribute that says since when a node has been there, or `none`: `cell.time`, `cell=none`. Repeat
    /// for more
    #[arg(long, value_name = "TYPE.ATTRIBUTE", requires = "until")]
    time_of: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum WalkName {
    /// A fanout per hop and relation
    Neighbour,
    /// Breadth-first under a budget of tokens
    Context,
    /// Up and down the relations that the schema marks with `contains`
    Hierarchy,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KeepName {
    Keep,
    Drop,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ListedName {
    /// As they were drawn: an edge that both of its ends drew is there twice
    Drawn,
    /// Those that were drawn, each once
    Once,
    /// All between the nodes that were met
    Induced,
}

impl WalkArgs {
    pub fn config(&self, snapshot: &Snapshot, seed: u64) -> anyhow::Result<SamplerConfig> {
        let schema = snapshot.schema();
        let relations: Vec<RelationId> = if self.relations.is_empty() {
            schema.relation_ids().collect()
        } else {
            self.relations.iter().map(|name| schema.relation(name)).collect::<Result<_, _>>()?
        };
        let mut config = SamplerConfig {
            cutoff: self.cutoff,
            listed: match self.listed {
                ListedName::Drawn => Listed::Drawn,
                ListedName::Once => Listed::Once,
                ListedName::Induced => Listed::Induced,
            },
            equal_time: if self.equal_time == Some(KeepName::Drop) { EqualTime::Drop } else { EqualTime::Keep },
            missing_time: if self.missing_time == Some(KeepName::Drop) { MissingTime::Drop } else { MissingTime::Keep },
            retrieval: self.retrieve.map(|rows| Retrieval { walks: self.retrieve_walks, steps: self.retrieve_steps, rows }),
            excluded: self.exclude.as_deref().map_or(Ok(Vec::new()), |path| excluded(snapshot, path))?,
            seed,
            ..SamplerConfig::new(self.walk(schema)?, relations)
        };
        for text in &self.choice {
            match text.split_once('=') {
                Some((relation, of)) => config.choice_of.push((schema.relation(relation)?, of.parse().context("--choice")?)),
                None => config.choice = text.parse().context("--choice")?,
            }
        }
        for text in &self.time_of {
            let (owner, name) = match (text.split_once('='), text.split_once('.')) {
                (Some((owner, "none")), _) => (owner, None),
                (_, Some((owner, name))) => (owner, Some(name)),
                _ => bail!(
                    "--time-of: found `{text}`, expected a node type and its time attribute, as in `cell.time`, or `cell=none`"
                ),
            };
            config.time_of.push(SamplerConfig::named_time(schema, owner, name).context("--time-of")?);
        }
        Ok(config)
    }

    fn widths(&self, schema: &Schema) -> anyhow::Result<Vec<(RelationId, u32)>> {
        let one = |text: &String| {
            let (relation, width) = text.split_once('=').context("found no `=`, expected a relation and a number")?;
            let found = || format!("found `{width}`, expected a number");
            anyhow::Ok((schema.relation(relation)?, width.parse().with_context(found)?))
        };
        self.width_of.iter().map(|text| one(text).with_context(|| format!("--width-of {text}"))).collect()
    }

    /// Keeps a walk within what a task lets be seen: not along what it hides, and not beyond its cutoff, as far as nothing else
    /// is asked for.
    pub fn keep_within(&self, task: &ResolvedTask, config: &mut SamplerConfig) {
        let context = &task.task.context;
        config.relations.retain(|relation| !task.hidden_relations.contains(relation));
        config.cutoff = self.cutoff.or(context.cutoff);
        if self.equal_time.is_none() {
            config.equal_time = context.equal_time;
        }
        if self.missing_time.is_none() {
            config.missing_time = context.missing_time;
        }
        // What comes first counts.
        config.time_of.extend_from_slice(&task.time_of);
    }

    /// The seeds' own cutoffs, in their order, if each has one.
    pub fn cutoffs(&self, snapshot: &Snapshot, seeds: &[Hit]) -> anyhow::Result<Option<Vec<i64>>> {
        let (Some(name), Some(first)) = (&self.cutoff_of, seeds.first()) else { return Ok(None) };
        let schema = snapshot.schema();
        let owner = &schema.node(first.node_type).name;
        let (node_type, attribute) = SamplerConfig::named_time(schema, owner, Some(name)).context("--cutoff-of")?;
        let times: &[i64] = match attribute.map(|attribute| snapshot.column(node_type, attribute)) {
            Some(NodeColumn::Time(times)) => times,
            _ => &[],
        };
        let time = |seed: &Hit| times.get(seed.node as usize).copied().filter(|&time| time != i64::MIN);
        let mut missing = seeds.iter().filter(|seed| time(seed).is_none());
        if let Some(first) = missing.next() {
            let (count, all, key) = (1 + missing.count(), seeds.len(), snapshot.key(node_type, first.node));
            bail!(
                "--cutoff-of: found no `{name}` of {count} of {all} seeds, the first `{key}`, expected one of each; leave them out \
                 with `--where '{name} is known'`"
            );
        }
        Ok(Some(seeds.iter().filter_map(time).collect()))
    }

    fn walk(&self, schema: &Schema) -> anyhow::Result<Walk> {
        let hops = self.hops.unwrap_or(2);
        if hops == 0 || hops as usize > MOST_HOPS {
            bail!("--hops: found {hops}, expected 1 to {MOST_HOPS}");
        }
        let of = |walk: WalkName, options: &[(&str, bool)]| match options.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if self.walk != walk => {
                let walk = clap::ValueEnum::to_possible_value(&walk).map(|walk| walk.get_name().to_owned()).unwrap_or_default();
                bail!("--{option} belongs to `--walk {walk}`")
            }
            _ => Ok(()),
        };
        let (has_widths, has_fanouts) = (!self.width_of.is_empty(), !self.fanout_of.is_empty());
        of(WalkName::Context, &[("tokens", self.tokens.is_some()), ("width", self.width.is_some()), ("width-of", has_widths)])?;
        of(WalkName::Neighbour, &[("fanout", !self.fanout.is_empty()), ("fanout-of", has_fanouts)])?;
        of(WalkName::Hierarchy, &[("up", !self.up.is_empty()), ("down", !self.down.is_empty())])?;
        Ok(match self.walk {
            WalkName::Neighbour => {
                let fanouts = match (self.fanout.as_slice(), self.hops) {
                    ([], _) => vec![10; hops as usize],
                    (&[fanout], _) => vec![fanout; hops as usize],
                    (fanouts, Some(hops)) if fanouts.len() != hops as usize => {
                        bail!("--fanout: found {} numbers, expected one, or {hops}: one a hop", fanouts.len())
                    }
                    (fanouts, _) => fanouts.to_vec(),
                };
                let mut fanout_of = Vec::new();
                for text in &self.fanout_of {
                    let of = directed_fanouts(schema, text, fanouts.len()).with_context(|| format!("--fanout-of {text}"))?;
                    fanout_of.extend(of);
                }
                Walk::Neighbour { fanouts, fanout_of }
            }
            WalkName::Context => Walk::Context {
                tokens: self.tokens.unwrap_or(1024),
                hops,
                width: self.width,
                width_of: self.widths(schema)?,
                costs: Costs::of_attributes(schema),
            },
            WalkName::Hierarchy if self.hops.is_some() => {
                bail!("--hops: the levels of `--walk hierarchy` are those of `--up` and `--down`")
            }
            WalkName::Hierarchy if self.up.is_empty() && self.down.is_empty() => {
                bail!("--walk hierarchy needs `--up`, `--down` or both: how many nodes each level brings")
            }
            WalkName::Hierarchy => Walk::Hierarchy { up: self.up.clone(), down: self.down.clone() },
        })
    }
}

/// A relation's fanouts in the directions that are meant: `expresses=20,10`, `<expresses=0`.
fn directed_fanouts(schema: &Schema, text: &str, hops: usize) -> anyhow::Result<Vec<(RelationId, Direction, Vec<u32>)>> {
    let (relation, numbers) = text.split_once('=').context("found no `=`, expected a relation and numbers")?;
    let numbers =
        numbers.split(',').map(|number| number.trim().parse().with_context(|| format!("found `{number}`, expected a number")));
    let mut fanouts: Vec<u32> = numbers.collect::<anyhow::Result<_>>()?;
    if let &[fanout] = fanouts.as_slice() {
        fanouts = vec![fanout; hops];
    }
    ensure!(fanouts.len() == hops, "found {} numbers, expected one, or {hops}: one a hop", fanouts.len());
    let (name, way) = match relation.trim().split_at_checked(1) {
        Some(("<", name)) => (name, Some(&[Direction::Incoming][..])),
        Some((">", name)) => (name, Some(&[Direction::Outgoing][..])),
        _ => (relation.trim(), None),
    };
    let relation = schema.relation(name)?;
    let ways = way.unwrap_or_else(|| schema.edge(relation).directions());
    Ok(ways.iter().map(|&direction| (relation, direction, fanouts.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fanouts_of_a_relation_are_of_the_directions_that_are_meant() {
        let schema = Schema::biology();
        let expresses = schema.relation("expresses").unwrap();
        let read = |text: &str| directed_fanouts(&schema, text, 2).map_err(|error| format!("{error:#}"));
        let (outgoing, incoming) = (Direction::Outgoing, Direction::Incoming);
        assert_eq!(read("expresses=20,10"), Ok(vec![(expresses, outgoing, vec![20, 10]), (expresses, incoming, vec![20, 10])]));
        assert_eq!(read("<expresses=0"), Ok(vec![(expresses, incoming, vec![0, 0])]));
        assert_eq!(read(">expresses=3"), Ok(vec![(expresses, outgoing, vec![3, 3])]));
        for (text, expected) in [
            ("expresses", "no `=`"),
            ("expresses=1,2,3", "found 3 numbers, expected one, or 2"),
            ("expresses=x", "found `x`"),
            ("expreses=1", "did you mean `expresses`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
