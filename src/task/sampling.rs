use std::collections::BTreeMap;

use relata_schema::located::LocatedError;
use relata_schema::{AttributeId, NodeTypeId, Schema};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::ResolvedTask;
use crate::Result;
use crate::sampler::{EqualTime, MissingTime, Retrieval, SamplerConfig, Walk};

/// `[context]`: what of the graph is shown around a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextConfig {
    /// Tokens a context holds at most.
    pub tokens: u32,
    /// Relations that the walk may follow, in either direction; all but the hidden ones if omitted.
    pub relations: Option<Vec<Spanned<String>>>,
    /// Steps from the seed.
    pub hops: u32,
    /// Children (rows that refer to a row) taken for each row and relation, at most; all if omitted.
    pub width: Option<u32>,
    /// The same for one relation: `width_of = { expresses = 512 }`.
    pub width_of: BTreeMap<String, u32>,
    /// Nothing later than this, in the unit of the time attributes.
    pub cutoff: Option<i64>,
    /// What the cutoff does with what has just its time: `keep`, or `drop`.
    pub equal_time: EqualTime,
    /// What the cutoff does with what has no time, of a relation or a node type that has times: `keep`, or `drop`.
    pub missing_time: MissingTime,
    /// For a node type, the time attribute that says since when a node has been there, or false where its nodes always were:
    /// `time_of = { cell = "time", donor = false }`. Else it is the only one that the type has.
    pub time_of: BTreeMap<Spanned<String>, Spanned<TimeOf>>,
    /// Rows that are shown beside the seed because random walks from it meet them most often, at most; none if omitted.
    pub retrieve: Option<u32>,
    /// Random walks for that.
    pub retrieve_walks: u32,
    /// Steps of each of them.
    pub retrieve_steps: u32,
}

/// Which time attribute of a node type counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the name of a time attribute, or false")]
pub enum TimeOf {
    /// The one of this name; `none` is as false.
    Attribute(String),
    /// False: none does.
    Never(bool),
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self {
            tokens: 1024,
            relations: None,
            hops: 2,
            width: None,
            width_of: BTreeMap::new(),
            cutoff: None,
            equal_time: EqualTime::default(),
            missing_time: MissingTime::default(),
            time_of: BTreeMap::new(),
            retrieve: None,
            retrieve_walks: Retrieval::WALKS,
            retrieve_steps: Retrieval::STEPS,
        }
    }
}

impl ContextConfig {
    /// Finds the names of `time_of` in a schema; `text` and `file` are for messages.
    pub(super) fn times(&self, text: &str, file: &str, schema: &Schema) -> Result<Vec<(NodeTypeId, Option<AttributeId>)>> {
        let one = |(owner, time): (&Spanned<String>, &Spanned<TimeOf>)| {
            let at = |message: String| LocatedError::new(text, file, time.span(), message);
            let name = owner.get_ref();
            schema.node_type(name).map_err(|error| LocatedError::new(text, file, owner.span(), error.to_string()))?;
            let attribute = match time.get_ref() {
                TimeOf::Attribute(attribute) if attribute == "none" => None,
                TimeOf::Attribute(attribute) => Some(attribute.as_str()),
                TimeOf::Never(false) => None,
                TimeOf::Never(true) => {
                    let message = format!("time_of {name}: found true, expected the name of a time of {name}, or false");
                    return Err(at(message).into());
                }
            };
            Ok(SamplerConfig::named_time(schema, name, attribute).map_err(|error| at(error.to_string()))?)
        };
        self.time_of.iter().map(one).collect()
    }

    /// The rows to retrieve, if any.
    fn retrieval(&self) -> Option<Retrieval> {
        let (walks, steps) = (self.retrieve_walks, self.retrieve_steps);
        self.retrieve.map(|rows| Retrieval { walks, steps, rows })
    }
}

impl ResolvedTask {
    /// How a walk draws the contexts of this task: along its relations, up to its cutoff, with its retrieved rows.
    pub fn sampler_config(&self, walk: Walk) -> SamplerConfig {
        let context = &self.task.context;
        SamplerConfig {
            retrieval: context.retrieval(),
            cutoff: context.cutoff,
            equal_time: context.equal_time,
            missing_time: context.missing_time,
            time_of: self.time_of.clone(),
            seed: self.task.train.seed,
            ..SamplerConfig::new(walk, self.relations.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Task;
    use super::*;

    const HEAD: &str = "[task]\nnode = \"cell\"\ntarget = \"celltype\"\n[context]\n";

    fn parse(context: &str) -> Result<ResolvedTask> {
        Task::parse(&format!("{HEAD}{context}"), "task.toml", &Schema::biology())
    }

    #[test]
    fn a_context_says_all_that_its_sampler_does() {
        let schema = Schema::biology();
        let (cell, donor) = (schema.node_type("cell").unwrap(), schema.node_type("donor").unwrap());
        let time = schema.node_attribute(cell, "time").unwrap();
        let walk = Walk::neighbour([1]);
        let plain = parse("").unwrap().sampler_config(walk.clone());
        assert_eq!(plain, SamplerConfig::new(walk.clone(), schema.relation_ids()));
        let context = "cutoff = 9\nequal_time = \"drop\"\nmissing_time = \"drop\"\nretrieve = 4\nretrieve_walks = 50\n\
                       retrieve_steps = 6\nrelations = [\"expresses\"]\ntime_of = { cell = \"time\", donor = false, gene = \"none\" }\n\
                       [train]\nseed = 3\n";
        let task = parse(context).unwrap();
        let expected = SamplerConfig {
            cutoff: Some(9),
            equal_time: EqualTime::Drop,
            missing_time: MissingTime::Drop,
            retrieval: Some(Retrieval { walks: 50, steps: 6, rows: 4 }),
            time_of: vec![(cell, Some(time)), (donor, None), (schema.node_type("gene").unwrap(), None)],
            seed: 3,
            ..SamplerConfig::new(walk.clone(), [schema.relation("expresses").unwrap()])
        };
        assert_eq!(task.sampler_config(walk.clone()), expected);
        // As a run saves it, and reads it again.
        let saved = toml::to_string_pretty(&task.task).unwrap();
        assert_eq!(Task::parse(&saved, "saved.toml", &schema).unwrap().sampler_config(walk.clone()), expected);
        let retrieved = parse("retrieve = 2").unwrap().sampler_config(walk).retrieval;
        assert_eq!(retrieved, Some(Retrieval { walks: 1000, steps: 20, rows: 2 }));
    }

    #[test]
    fn what_is_misspelt_has_its_place() {
        for (context, expected) in [
            ("time_of = { cel = \"time\" }", &["task.toml:5:", "did you mean `cell`"][..]),
            ("time_of = { cell = \"tme\" }", &["task.toml:5:20", "did you mean `time`"]),
            ("time_of = { cell = \"batch\" }", &["task.toml:5:20", "found `batch`, a category, expected a time of cell: time"]),
            ("time_of = { cell = true }", &["task.toml:5:20", "found true, expected the name of a time of cell, or false"]),
            ("time_of = { cell = 5 }", &["task.toml:5:", "expected the name of a time attribute, or false"]),
            ("hops = 1\nequal_time = \"lose\"", &["task.toml:6:14", "unknown variant `lose`"]),
            ("missing_times = \"drop\"", &["task.toml:5:1", "did you mean `missing_time`"]),
            ("retreive = 2", &["task.toml:5:1", "did you mean `retrieve`"]),
        ] {
            let error = parse(context).unwrap_err().to_string();
            assert!(expected.iter().all(|part| error.contains(part)), "{error}, expected: {expected:?}");
        }
    }
}
