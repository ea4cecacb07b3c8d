//! What is to be learnt, from which rows, judged how: a task's TOML.
//!
//! * A [`Task`] is the file, a [`ResolvedTask`] the same with its names found in a schema.
//! * [`labels`] reads the target of every row, [`folds`] deals the rows to training and test.
//! * A [`Guard`] says which values a context may show.
//! * [`metrics`] judges predictions, [`calibration`] their probabilities.
//!
//! ```
//! use relata::task::{Baseline, Task};
//! use relata_schema::Schema;
//!
//! let text = r#"
//!     [task]
//!     node = "cell"
//!     target = "celltype"
//!     hide = ["cell.subpopulation", "has_type"]
//!     baselines = ["majority", "knn", "logistic"]
//!     [split]
//!     kind = "stratified"
//!     folds = 5
//! "#;
//! let resolved = Task::parse(text, "cell-type.toml", &Schema::biology())?;
//! assert_eq!(resolved.task.task.baselines[2], Baseline::Logistic);
//! # Ok::<(), relata::Error>(())
//! ```

pub mod calibration;
mod guard;
pub mod metrics;
mod model;
mod objective;
mod rows;
mod sampling;
mod split;

use std::path::Path;

use relata_schema::located::{LocatedError, from_toml};
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, RelationId, Schema, nearest};
use serde::{Deserialize, Serialize};
use toml::Spanned;

pub use guard::Guard;
pub use model::{AttentionKind, Decay, ModelConfig, OptimizerKind, Precision, Start, Tokens, TrainConfig};
pub use objective::{Also, Ask, LossKind, Objective};
pub use rows::{Asked, Dealt};
pub use sampling::{ContextConfig, TimeOf};
pub use split::{Fold, Labels, folds, labels};

use crate::Result;

/// A task as its file says it; every omitted setting has a default. It is saved with each run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What is predicted.
    pub task: Target,
    /// What else the same model learns.
    #[serde(default)]
    pub also: Vec<Also>,
    /// Which rows train and which test.
    #[serde(default)]
    pub split: SplitConfig,
    /// What of the graph is shown around a row.
    #[serde(default)]
    pub context: ContextConfig,
    /// The model's shape.
    #[serde(default)]
    pub model: ModelConfig,
    /// How it is trained.
    #[serde(default)]
    pub train: TrainConfig,
}

/// `[task]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The node type whose rows are predicted.
    pub node: Spanned<String>,
    /// The attribute that is predicted; its kind decides the head: category → classes, boolean → two classes,
    /// number or count → regression.
    pub target: Spanned<String>,
    /// Attributes (`cell.subpopulation`) and relations (`cell.has_type.cell_type`) that say the target in other words:
    /// never shown. The target itself is always hidden.
    #[serde(default)]
    pub hide: Vec<Spanned<String>>,
    /// What training makes small; by the kind of the target if omitted.
    #[serde(default)]
    pub loss: Option<LossKind>,
    /// Whether the classes weigh the same, however many rows they have; else rows do.
    #[serde(default)]
    pub balance: bool,
    /// What its loss is multiplied by, beside those of `[[also]]`.
    #[serde(default = "objective::one")]
    pub weight: f64,
    /// What is reported; the first decides which epoch's model is best.
    #[serde(default = "default_metrics")]
    pub metrics: Vec<Metric>,
    /// Plain models to report beside.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
}

fn default_metrics() -> Vec<Metric> {
    vec![Metric::MacroF1, Metric::Accuracy]
}

/// A measure of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of rows that are right.
    Accuracy,
    /// F1 of each class, averaged without weights.
    MacroF1,
    /// Coefficient of determination.
    R2,
    /// Mean absolute error.
    MeanAbsoluteError,
}

/// A plain model that a task is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Always the most frequent class.
    Majority,
    /// The most frequent class of the 15 nearest training rows, on 50 principal components.
    Knn,
    /// Multinomial logistic regression.
    Logistic,
}

impl Metric {
    /// As a task writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::MacroF1 => "macro_f1",
            Self::R2 => "r2",
            Self::MeanAbsoluteError => "mean_absolute_error",
        }
    }

    /// Whether a lower one is better.
    pub fn is_error(self) -> bool {
        self == Self::MeanAbsoluteError
    }
}

impl Baseline {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Majority, Self::Knn, Self::Logistic];

    /// As a task writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Knn => "knn",
            Self::Logistic => "logistic",
        }
    }
}

/// `[split]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// How rows are dealt to folds.
    pub kind: SplitKind,
    /// How many folds.
    pub folds: u32,
    /// For `group`: what those that stay together share. A category (`batch`, a cluster of sequences), an interval (`locus`: its
    /// chromosome), or a relation of the node type (`from_donor`, `received`): then rows that are linked to the same node stay
    /// together, and so do those that share one with a third.
    pub group: Option<Spanned<String>>,
    /// Of the shuffle.
    pub seed: u64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { kind: SplitKind::Stratified, folds: 5, group: None, seed: 0 }
    }
}

/// How rows are dealt to folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitKind {
    /// At random.
    Random,
    /// At random within each class, so that folds have the same mixture; for numbers, within each stretch of
    /// neighbouring values.
    Stratified,
    /// Whole groups at a time, so that what the members of a group have in common cannot be learnt from one and asked of
    /// another; a row without a group is one of its own.
    Group,
}

/// A task whose names were found in a schema.
#[derive(Clone, Debug)]
pub struct ResolvedTask {
    /// The task.
    pub task: Task,
    /// The predicted node type.
    pub node_type: NodeTypeId,
    /// The predicted attribute.
    pub target: AttributeId,
    /// Attributes never shown, the targets among them.
    pub hidden_attributes: Vec<(NodeTypeId, AttributeId)>,
    /// Relations never followed.
    pub hidden_relations: Vec<RelationId>,
    /// Relations that the walk may follow.
    pub relations: Vec<RelationId>,
    /// Which time attribute of a node type says since when its nodes have been there, where the context says it.
    pub time_of: Vec<(NodeTypeId, Option<AttributeId>)>,
    /// What the members of a group share, if the split is by groups.
    pub group: Option<GroupBy>,
    /// What is learnt: the target first, then the others.
    pub objectives: Vec<Objective>,
}

impl ResolvedTask {
    /// The attributes that are predicted, the target first.
    pub fn targets(&self) -> impl Iterator<Item = (NodeTypeId, AttributeId)> {
        self.objectives.iter().filter_map(|objective| match objective.ask {
            Ask::Attribute { node_type, target, .. } => Some((node_type, target)),
            Ask::Link { .. } | Ask::Contrast { .. } => None,
        })
    }

    /// The same task with another of its objectives in the place of the target.
    #[must_use]
    pub fn asking(&self, objective: usize) -> Self {
        let mut task = self.clone();
        if let Ask::Attribute { node_type, target, .. } = self.objectives[objective].ask {
            (task.node_type, task.target) = (node_type, target);
        }
        task
    }
}

/// What the members of a group share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// A category, or the contig of an interval.
    Attribute(AttributeId),
    /// A node that they are linked to, by edges of a relation that are walked in a direction.
    Link(RelationId, Direction),
}

impl Task {
    /// Reads a task's TOML and finds its names in `schema`.
    ///
    /// # Errors
    /// With file, line and the nearest known name.
    pub fn read(path: &Path, schema: &Schema) -> Result<ResolvedTask> {
        let text = std::fs::read_to_string(path).map_err(crate::Error::io(path, "cannot read the task"))?;
        Self::parse(&text, &path.display().to_string(), schema)
    }

    /// As [`Task::read`], from a text; `file` is only for messages.
    ///
    /// # Errors
    /// With file, line and the nearest known name.
    pub fn parse(text: &str, file: &str, schema: &Schema) -> Result<ResolvedTask> {
        let task: Self = from_toml(text, file)?;
        task.resolve(text, file, schema)
    }

    fn resolve(self, text: &str, file: &str, schema: &Schema) -> Result<ResolvedTask> {
        let at = |name: &Spanned<String>, message: String| LocatedError::new(text, file, name.span(), message);
        let node_type = schema.node_type(self.task.node.get_ref()).map_err(|error| at(&self.task.node, error.to_string()))?;
        let target = schema
            .node_attribute(node_type, self.task.target.get_ref())
            .map_err(|error| at(&self.task.target, error.to_string()))?;
        let mut hidden_attributes = vec![(node_type, target)];
        let mut hidden_relations = Vec::new();
        for name in &self.task.hide {
            match find_attribute(schema, name.get_ref()) {
                Some(found) => hidden_attributes.push(found),
                None => hidden_relations.push(schema.relation(name.get_ref()).map_err(|error| at(name, error.to_string()))?),
            }
        }
        let group = match &self.split.group {
            Some(name) => Some(group_by(schema, node_type, name.get_ref()).map_err(|message| at(name, message))?),
            None => None,
        };
        let relations = match &self.context.relations {
            None => schema.relation_ids().collect(),
            Some(names) => names
                .iter()
                .map(|name| schema.relation(name.get_ref()).map_err(|error| at(name, error.to_string()).into()))
                .collect::<Result<Vec<_>>>()?,
        };
        let relations = relations.into_iter().filter(|id| !hidden_relations.contains(id)).collect();
        let time_of = self.context.times(text, file, schema)?;
        let objectives = self.objectives((node_type, target), text, file, schema)?;
        let mut task = ResolvedTask {
            task: self,
            node_type,
            target,
            hidden_attributes,
            hidden_relations,
            relations,
            time_of,
            group,
            objectives,
        };
        let also: Vec<_> = task.targets().skip(1).collect();
        task.hidden_attributes.extend(also);
        Ok(task)
    }
}

/// `batch`, `locus` or `from_donor`
fn group_by(schema: &Schema, node_type: NodeTypeId, name: &str) -> Result<GroupBy, String> {
    let owner = schema.node(node_type);
    let is_group = |kind| matches!(kind, AttributeKind::Category | AttributeKind::Interval);
    if let Some(id) = owner.attribute(name) {
        let kind = owner.attributes[id.index()].kind;
        if is_group(kind) {
            return Ok(GroupBy::Attribute(id));
        }
        let known = owner.attributes.iter().filter(|known| is_group(known.kind)).map(|known| known.name.as_str());
        let known = known.collect::<Vec<_>>().join(", ");
        let owner = &owner.name;
        return Err(format!("split.group: found `{name}`, a {kind}, expected a category or interval of `{owner}`: {known}"));
    }
    let links = |id: RelationId| {
        let relation = schema.edge(id);
        let direction = [(relation.source, Direction::Outgoing), (relation.target, Direction::Incoming)];
        direction.into_iter().find(|(near, _)| *near == node_type).map(|(_, direction)| GroupBy::Link(id, direction))
    };
    match schema.relation(name).map(links) {
        Ok(Some(link)) => Ok(link),
        Ok(None) => Err(format!("split.group: found `{name}`, a relation that `{}` is no end of", owner.name)),
        Err(_) => {
            let relations = schema.relation_ids().filter(|&id| links(id).is_some()).map(|id| schema.edge(id).name.as_str());
            let attributes = owner.attributes.iter().filter(|known| is_group(known.kind)).map(|known| known.name.as_str());
            let known: Vec<&str> = attributes.chain(relations).collect();
            let near = nearest(name, known.iter().copied());
            let owner = &owner.name;
            Err(match near.as_slice() {
                [] => format!(
                    "split.group: found `{name}`, expected a category, interval or relation of `{owner}`: {}",
                    known.join(", ")
                ),
                near => {
                    let near = near.iter().map(|near| format!("`{near}`")).collect::<Vec<_>>().join(" or ");
                    format!("split.group: found `{name}`, which `{owner}` does not have; did you mean {near}?")
                }
            })
        }
    }
}

/// `cell.subpopulation`
fn find_attribute(schema: &Schema, name: &str) -> Option<(NodeTypeId, AttributeId)> {
    let (owner, attribute) = name.split_once('.')?;
    let node_type = schema.node_type(owner).ok()?;
    Some((node_type, schema.node(node_type).attribute(attribute)?))
}
