use relata_schema::located::LocatedError;
use relata_schema::{AttributeId, AttributeKind, NodeTypeId, RelationId, Schema};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::Task;
use crate::Result;

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Of a category or boolean: the negative logarithm of the true class's probability.
    CrossEntropy,
    /// Of a number or count: Huber's loss of the standardised number, with δ = 1.
    Huber,
    /// Of a number or count: the negative log-likelihood of a normal distribution, whose variance the model says too.
    Gaussian,
    /// Of a count: the negative log-likelihood of a negative binomial, whose dispersion the model says too.
    NegativeBinomial,
}

impl LossKind {
    /// As a task writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross_entropy",
            Self::Huber => "huber",
            Self::Gaussian => "gaussian",
            Self::NegativeBinomial => "negative_binomial",
        }
    }

    /// Those that an attribute of a kind can have, the one that it has if none is named first.
    fn of(kind: AttributeKind) -> &'static [Self] {
        match kind {
            AttributeKind::Category | AttributeKind::Boolean => &[Self::CrossEntropy],
            AttributeKind::Count => &[Self::Huber, Self::Gaussian, Self::NegativeBinomial],
            AttributeKind::Number => &[Self::Huber, Self::Gaussian, Self::NegativeBinomial],
            _ => &[Self::Huber],
        }
    }
}

/// `[[also]]`: something else that the same model learns, in steps of its own among those of the target, and no more of them in
/// an epoch: if there is more to ask, each epoch asks another sample. It is one of three:
/// an attribute (`node`, `target`), whether edges are there (`link`), or which two views are of the same node (`contrast`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Also {
    /// Of an attribute: the node type that has it.
    pub node: Option<Spanned<String>>,
    /// Of an attribute: its name. No context shows it but of labelled rows beside the seed, as with the task's own. Nodes of
    /// another type than the task's are dealt to folds by themselves.
    pub target: Option<Spanned<String>>,
    /// Of an attribute: what training makes small; by its kind if omitted.
    pub loss: Option<LossKind>,
    /// Of a category: whether the classes weigh the same.
    pub balance: bool,
    /// The relation whose edges are told from pairs that are none. The edges that are asked for are in no context.
    pub link: Option<Spanned<String>>,
    /// Of a link: pairs that are no edges, for each edge.
    pub negatives: Option<u32>,
    /// Of a link: share of the edges that are asked for in training; contexts show the others.
    pub asked: Option<f64>,
    /// The node type whose nodes are told from one another by two views of each.
    pub contrast: Option<Spanned<String>>,
    /// Of a contrast: the relations of the nodes' first and second view; all relations in both if omitted.
    pub views: Vec<Vec<Spanned<String>>>,
    /// Of a contrast: what similarities are divided by.
    pub temperature: Option<f64>,
    /// What its loss is multiplied by; 1 if omitted.
    pub weight: Option<f64>,
}

/// One of the things that a model learns.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// For people and files: `cell.celltype`, `link cell.expresses.gene`, `contrast cell`.
    pub name: String,
    /// What its loss is multiplied by.
    pub weight: f64,
    /// What is asked.
    pub ask: Ask,
}

/// What an objective asks of the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// The value of an attribute.
    Attribute {
        /// Whose it is.
        node_type: NodeTypeId,
        /// Which.
        target: AttributeId,
        /// What training makes small.
        loss: LossKind,
        /// Whether classes weigh the same.
        balance: bool,
    },
    /// Whether an edge is there.
    Link {
        /// Of which relation.
        relation: RelationId,
        /// Pairs that are no edges, for each edge.
        negatives: u32,
        /// Share of the edges that are asked for.
        asked: f64,
    },
    /// Which second view is of the same node as a first.
    Contrast {
        /// Of which type.
        node_type: NodeTypeId,
        /// The relations of each view; all if `None`.
        views: Option<[Vec<RelationId>; 2]>,
        /// What similarities are divided by.
        temperature: f64,
    },
}

impl Ask {
    /// The types of the nodes that are asked for as a whole, not for an attribute.
    pub(crate) fn wholes(&self, schema: &Schema) -> Vec<NodeTypeId> {
        match self {
            Self::Attribute { .. } => Vec::new(),
            Self::Link { relation, .. } => vec![schema.edge(*relation).source, schema.edge(*relation).target],
            Self::Contrast { node_type, .. } => vec![*node_type],
        }
    }
}

/// The weight of an objective that has none written.
pub(super) fn one() -> f64 {
    1.0
}

const ASKED: f64 = 0.3;
const TEMPERATURE: f64 = 0.1;

impl Task {
    /// What is learnt: the target, which was found already, and the others.
    pub(super) fn objectives(
        &self,
        (node_type, target): (NodeTypeId, AttributeId),
        text: &str,
        file: &str,
        schema: &Schema,
    ) -> Result<Vec<Objective>> {
        let at = |name: &Spanned<String>, message: String| LocatedError::new(text, file, name.span(), message);
        let attribute = |node_type: NodeTypeId, target: AttributeId, loss: Option<LossKind>, balance, name: &Spanned<String>| {
            let owner = schema.node(node_type);
            let declared = &owner.attributes[target.index()];
            let title = format!("{}.{}", owner.name, declared.name);
            let known = LossKind::of(declared.kind);
            let loss = loss.unwrap_or(known[0]);
            if !known.contains(&loss) {
                let known: Vec<&str> = known.iter().map(|loss| loss.name()).collect();
                let (found, known) = (loss.name(), known.join(", "));
                return Err(at(name, format!("loss: found `{found}` for `{title}`, a {}, expected {known}", declared.kind)));
            }
            if balance && loss != LossKind::CrossEntropy {
                return Err(at(name, format!("balance: found true for `{title}`, a {}, expected a category", declared.kind)));
            }
            Ok((title, Ask::Attribute { node_type, target, loss, balance }))
        };
        let weighed = |weight: f64, name: &Spanned<String>| {
            if weight >= 0.0 && weight.is_finite() {
                return Ok(weight);
            }
            Err(at(name, format!("weight: found {weight}, expected a number from 0")))
        };
        let main = &self.task;
        let (name, ask) = attribute(node_type, target, main.loss, main.balance, &main.target)?;
        let mut objectives = vec![Objective { name, ask, weight: weighed(main.weight, &main.target)? }];
        for also in &self.also {
            let (place, name, ask) = match (&also.target, &also.link, &also.contrast) {
                (Some(target), None, None) => {
                    let owner = also.node.as_ref().unwrap_or(&main.node);
                    let node_type = schema.node_type(owner.get_ref()).map_err(|error| at(owner, error.to_string()))?;
                    let id = schema.node_attribute(node_type, target.get_ref()).map_err(|error| at(target, error.to_string()))?;
                    let (name, ask) = attribute(node_type, id, also.loss, also.balance, target)?;
                    (target, name, ask)
                }
                (None, Some(link), None) => {
                    let relation = schema.relation(link.get_ref()).map_err(|error| at(link, error.to_string()))?;
                    let (negatives, asked) = (also.negatives.unwrap_or(1), also.asked.unwrap_or(ASKED));
                    if negatives == 0 || !(asked > 0.0 && asked < 1.0) {
                        let found = format!("negatives {negatives}, asked {asked}");
                        return Err(at(link, format!("found {found}, expected at least 1, and a share between 0 and 1")).into());
                    }
                    (link, format!("link {}", schema.relation_title(relation)), Ask::Link { relation, negatives, asked })
                }
                (None, None, Some(contrast)) => {
                    let node_type = schema.node_type(contrast.get_ref()).map_err(|error| at(contrast, error.to_string()))?;
                    let relations = |names: &Vec<Spanned<String>>| {
                        let one =
                            |name: &Spanned<String>| schema.relation(name.get_ref()).map_err(|error| at(name, error.to_string()));
                        names.iter().map(one).collect::<Result<Vec<_>, _>>()
                    };
                    let views = match also.views.as_slice() {
                        [] => None,
                        [one, other] => Some([relations(one)?, relations(other)?]),
                        views => {
                            let message = format!("views: found {}, expected two lists of relations", views.len());
                            return Err(at(contrast, message).into());
                        }
                    };
                    let temperature = also.temperature.unwrap_or(TEMPERATURE);
                    if !(temperature > 0.0 && temperature.is_finite()) {
                        let message = format!("temperature: found {temperature}, expected a number above 0");
                        return Err(at(contrast, message).into());
                    }
                    let name = format!("contrast {}", schema.node(node_type).name);
                    (contrast, name, Ask::Contrast { node_type, views, temperature })
                }
                _ => {
                    let place = [&also.target, &also.link, &also.contrast, &also.node].into_iter().find_map(Option::as_ref);
                    let message = "[[also]]: expected just one of `target` (with `node`), `link` and `contrast`".to_owned();
                    let place = place.map_or_else(|| main.target.span(), Spanned::span);
                    return Err(LocatedError::new(text, file, place, message).into());
                }
            };
            if objectives.iter().any(|known| known.name == name) {
                return Err(at(place, format!("[[also]]: `{name}` is there already")).into());
            }
            objectives.push(Objective { name, ask, weight: weighed(also.weight.unwrap_or(1.0), place)? });
        }
        Ok(objectives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ResolvedTask;

    const HEAD: &str = "[task]\nnode = \"cell\"\ntarget = \"celltype\"\n";

    fn parsed(text: &str) -> Result<ResolvedTask> {
        Task::parse(&format!("{HEAD}{text}"), "task.toml", &Schema::biology())
    }

    #[test]
    fn objectives_come_in_their_order_with_their_defaults() {
        let text = "balance = true\nweight = 0.5\n[[also]]\ntarget = \"total_counts\"\n[[also]]\nnode = \"gene\"\ntarget = \"length\"\n\
                    loss = \"negative_binomial\"\n[[also]]\nlink = \"interacts\"\nnegatives = 3\n[[also]]\ncontrast = \"cell\"\n\
                    views = [[\"expresses\"], [\"accessible\"]]\nweight = 2\n";
        let task = parsed(text).unwrap();
        let names: Vec<&str> = task.objectives.iter().map(|objective| objective.name.as_str()).collect();
        let expected = ["cell.celltype", "cell.total_counts", "gene.length", "link gene.interacts.gene", "contrast cell"];
        assert_eq!(names, expected);
        assert_eq!(task.objectives.iter().map(|objective| objective.weight).collect::<Vec<_>>(), [0.5, 1.0, 1.0, 1.0, 2.0]);
        let losses: Vec<_> = task
            .objectives
            .iter()
            .filter_map(
                |objective| if let Ask::Attribute { loss, balance, .. } = objective.ask { Some((loss, balance)) } else { None },
            )
            .collect();
        assert_eq!(losses, [(LossKind::CrossEntropy, true), (LossKind::Huber, false), (LossKind::NegativeBinomial, false)]);
        assert!(matches!(task.objectives[3].ask, Ask::Link { negatives: 3, asked: 0.3, .. }));
        let Ask::Contrast { views: Some([one, other]), temperature: 0.1, .. } = &task.objectives[4].ask else { panic!() };
        assert_eq!((one.len(), other.len()), (1, 1));
        // As a run saves it, and reads it again.
        let saved = toml::to_string_pretty(&task.task).unwrap();
        assert_eq!(Task::parse(&saved, "saved.toml", &Schema::biology()).unwrap().objectives, task.objectives);
        // Another objective in the place of the target.
        let gene = task.asking(2);
        assert_ne!((gene.node_type, gene.target), (task.node_type, task.target));
    }

    #[test]
    fn what_cannot_be_learnt_has_its_place() {
        for (text, expected) in [
            (
                "loss = \"huber\"",
                &["task.toml:3:10", "found `huber` for `cell.celltype`, a category, expected cross_entropy"][..],
            ),
            ("loss = \"hubr\"", &["task.toml:4:8", "unknown variant `hubr`"]),
            ("weight = -1.0", &["task.toml:3:10", "weight: found -1, expected a number from 0"]),
            ("[[also]]\ntarget = \"total_count\"", &["task.toml:5:10", "did you mean `total_counts`"]),
            ("[[also]]\ntarget = \"total_counts\"\nbalance = true", &["task.toml:5:10", "a number, expected a category"]),
            ("[[also]]\ntarget = \"celltype\"", &["task.toml:5:10", "`cell.celltype` is there already"]),
            ("[[also]]\nnode = \"gen\"\ntarget = \"length\"", &["task.toml:5:8", "did you mean `gene`"]),
            ("[[also]]\nnode = \"gene\"", &["task.toml:5:8", "just one of `target` (with `node`), `link` and `contrast`"]),
            ("[[also]]\nlink = \"interact\"", &["task.toml:5:8", "did you mean `interacts`"]),
            ("[[also]]\nlink = \"interacts\"\nasked = 1.0", &["task.toml:5:8", "a share between 0 and 1"]),
            ("[[also]]\nlink = \"interacts\"\ncontrast = \"cell\"", &["task.toml:5:8", "just one of"]),
            ("[[also]]\ncontrast = \"cel\"", &["task.toml:5:12", "did you mean `cell`"]),
            ("[[also]]\ncontrast = \"cell\"\nviews = [[\"expresses\"]]", &["task.toml:5:12", "found 1, expected two lists"]),
            ("[[also]]\ncontrast = \"cell\"\ntemperature = 0", &["task.toml:5:12", "expected a number above 0"]),
            ("[[also]]\nlinks = \"interacts\"", &["task.toml:5:1", "did you mean `link`"]),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(expected.iter().all(|part| error.contains(part)), "{error}, expected: {expected:?}");
        }
    }
}
