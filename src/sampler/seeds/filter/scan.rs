//! A filter's conditions, looked up in a snapshot and gone through column by column.

use std::cmp::Ordering;
use std::ops::Range;

use relata_schema::{AttributeId, NodeTypeId, suggestion};

use super::condition::{Condition, Name, Operator, Part, Question, Subject, Values};
use super::parse::error;
use crate::Result;
use crate::snapshot::{Intervals, NodeColumn, Snapshot};

/// How many known values an error names at most.
const NAMED: usize = 12;

/// What a filter's conditions are looked up in.
pub(super) struct Scan<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) node_type: NodeTypeId,
    /// The filter's, to say where a value stands that does not occur.
    pub(super) text: &'a str,
}

/// A condition that can be asked of nodes.
pub(super) enum Test<'a> {
    All(Vec<Self>),
    Any(Vec<Self>),
    One(Marks<'a>),
}

/// For each node of a range, whether a condition holds.
type Marks<'a> = Box<dyn Fn(Range<usize>) -> Vec<bool> + Send + Sync + 'a>;

impl Test<'_> {
    /// For each node of a range, whether it holds.
    pub(super) fn marks(&self, nodes: Range<usize>) -> Vec<bool> {
        let join = |tests: &[Self], join: fn(bool, bool) -> bool, start: bool| {
            let mut marks = vec![start; nodes.len()];
            for test in tests {
                marks.iter_mut().zip(test.marks(nodes.clone())).for_each(|(mark, other)| *mark = join(*mark, other));
            }
            marks
        };
        match self {
            Self::All(tests) => join(tests, |one, other| one & other, true),
            Self::Any(tests) => join(tests, |one, other| one | other, false),
            Self::One(marks) => marks(nodes),
        }
    }
}

impl<'a> Scan<'a> {
    /// # Errors
    /// [`Error::Located`](crate::Error::Located) for a category value, contig or key that does not occur.
    pub(super) fn test(&self, condition: &'a Condition) -> Result<Test<'a>> {
        let all = |parts: &'a [Condition]| parts.iter().map(|part| self.test(part)).collect::<Result<Vec<_>>>();
        Ok(match condition {
            Condition::All(parts) => Test::All(all(parts)?),
            Condition::Any(parts) => Test::Any(all(parts)?),
            Condition::One(subject, question) => Test::One(self.one(subject, question)?),
        })
    }

    fn one(&self, subject: &'a Subject, question: &'a Question) -> Result<Marks<'a>> {
        let (snapshot, node_type) = (self.snapshot, self.node_type);
        Ok(match *subject {
            Subject::Key => return self.keys(question),
            Subject::Degree(relation, ref directions) => {
                let rows: Vec<_> = directions.iter().map(|&direction| snapshot.adjacency(relation, direction)).collect();
                let degree = move |at: usize| Some(rows.iter().map(|rows| rows.degree(at as u32)).sum::<usize>() as f64);
                marks(degree, question, numbers(question))
            }
            Subject::Part(attribute, part) => {
                let Intervals { contigs, starts, ends, strands } = snapshot.intervals(node_type, attribute);
                let is_known = move |at: usize| contigs.get(at).is_some_and(|&code| code != u32::MAX);
                let base = move |of: &'a [u64], at: usize| of.get(at).filter(|_| is_known(at)).copied();
                match part {
                    Part::Contig => marks(code(contigs), question, self.codes(attribute, question)?),
                    Part::Start => marks(move |at| Some(base(starts, at)? as f64), question, numbers(question)),
                    Part::End => marks(move |at| Some(base(ends, at)? as f64), question, numbers(question)),
                    Part::Length => {
                        let length = move |at| Some(base(ends, at)?.saturating_sub(base(starts, at)?) as f64);
                        marks(length, question, numbers(question))
                    }
                    Part::Strand => {
                        // What is neither forward nor reverse is not known.
                        let strand =
                            move |at| strands.get(at).filter(|_| is_known(at)).map(|&code| if code > 2 { 0 } else { code });
                        marks(strand, question, small(question))
                    }
                }
            }
            Subject::Attribute(attribute) => match snapshot.column(node_type, attribute) {
                NodeColumn::Number(column) => {
                    let number = |at: usize| column.get(at).copied().filter(|number| !number.is_nan());
                    marks(number, question, numbers(question))
                }
                NodeColumn::Category(column) => marks(code(column), question, self.codes(attribute, question)?),
                NodeColumn::Boolean(column) => {
                    marks(|at| column.get(at).copied().filter(|&truth| truth <= 1), question, small(question))
                }
                NodeColumn::Time(column) => {
                    let wanted = match question {
                        Question::Compare(_, Values::Times(times)) => times.clone(),
                        _ => Vec::new(),
                    };
                    marks(|at| column.get(at).copied().filter(|&time| time != i64::MIN), question, wanted)
                }
                NodeColumn::Text => {
                    let wanted = names(question).iter().map(|name| name.text.as_str()).collect();
                    marks(move |at| snapshot.text(node_type, attribute, at as u32), question, wanted)
                }
                // These can only be asked whether they are known.
                NodeColumn::Vector { dimension, values } => {
                    let is_known = move |at: usize| values.get(at * dimension as usize).filter(|first| !first.is_nan());
                    marks(is_known, question, Vec::new())
                }
                NodeColumn::Interval => {
                    let contigs = snapshot.intervals(node_type, attribute).contigs;
                    marks(code(contigs), question, Vec::new())
                }
            },
        })
    }

    /// Nodes are in the order of their keys, so a comparison of keys is one of their numbers.
    fn keys(&self, question: &Question) -> Result<Marks<'a>> {
        let (snapshot, node_type) = (self.snapshot, self.node_type);
        let number = |at: usize| Some(at as u32);
        let Question::Compare(operator, _) = *question else { return Ok(marks(number, question, Vec::new())) };
        let mut wanted = Vec::new();
        for Name { text, place } in names(question) {
            let (first, found) = (snapshot.lower_bound(node_type, text), snapshot.find(node_type, text));
            wanted.push(match operator {
                Operator::Below | Operator::AtLeast => first,
                // Below and from the key behind it.
                Operator::AtMost | Operator::Above => first + u32::from(found.is_some()),
                Operator::Equal | Operator::Unequal => {
                    found.ok_or_else(|| error(self.text, place.clone(), snapshot.unknown_key(node_type, text).to_string()))?
                }
            });
        }
        let operator = match operator {
            Operator::AtMost => Operator::Below,
            Operator::Above => Operator::AtLeast,
            other => other,
        };
        Ok(compared(number, operator, wanted))
    }

    /// The codes of the names that a question names.
    fn codes(&self, attribute: AttributeId, question: &Question) -> Result<Vec<u32>> {
        let wanted = names(question);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.snapshot.categories(self.node_type, attribute);
        let code = |Name { text, place }: &Name| {
            known.binary_search(&text.as_str()).map(|code| code as u32).map_err(|_| {
                let name = &self.snapshot.schema().node(self.node_type).attributes[attribute.index()].name;
                let more = known.len().saturating_sub(NAMED);
                let shown = match known.len() {
                    0 => "none; it is missing throughout".to_owned(),
                    _ if more > 0 => format!("{} and {more} more", known[..NAMED].join(", ")),
                    _ => known.join(", "),
                };
                let suggestion = suggestion(text, known.iter().copied());
                error(self.text, place.clone(), format!("no `{name}` is `{text}`{suggestion} (known: {shown})"))
            })
        };
        wanted.iter().map(code).collect()
    }
}

/// A column of codes, where the highest number is missing.
fn code<'a>(column: &'a [u32]) -> impl Fn(usize) -> Option<u32> + Send + Sync + 'a {
    |at| column.get(at).copied().filter(|&code| code != u32::MAX)
}

fn numbers(question: &Question) -> Vec<f64> {
    match question {
        Question::Compare(_, Values::Numbers(numbers)) => numbers.clone(),
        _ => Vec::new(),
    }
}

fn small(question: &Question) -> Vec<u8> {
    match question {
        Question::Compare(_, Values::Small(small)) => small.clone(),
        _ => Vec::new(),
    }
}

fn names(question: &Question) -> &[Name] {
    match question {
        Question::Compare(_, Values::Names(names)) => names,
        _ => &[],
    }
}

/// Asks a question of what `value` gives for a node, `None` where it is missing.
fn marks<'a, T: PartialOrd + Send + Sync + 'a>(
    value: impl Fn(usize) -> Option<T> + Send + Sync + 'a,
    question: &Question,
    wanted: Vec<T>,
) -> Marks<'a> {
    match question {
        Question::Missing => Box::new(move |nodes| nodes.map(|node| value(node).is_none()).collect()),
        Question::Known => Box::new(move |nodes| nodes.map(|node| value(node).is_some()).collect()),
        Question::Compare(operator, _) => compared(value, *operator, wanted),
    }
}

fn compared<'a, T: PartialOrd + Send + Sync + 'a>(
    value: impl Fn(usize) -> Option<T> + Send + Sync + 'a,
    operator: Operator,
    mut wanted: Vec<T>,
) -> Marks<'a> {
    // None of them is NaN, so they have an order.
    let order = |one: &T, other: &T| one.partial_cmp(other).unwrap_or(Ordering::Equal);
    wanted.sort_by(order);
    // Operators are told apart outside of the loop over the nodes.
    match operator {
        Operator::Equal => holds(value, move |value| wanted.binary_search_by(|one| order(one, value)).is_ok()),
        Operator::Unequal => holds(value, move |value| wanted.binary_search_by(|one| order(one, value)).is_err()),
        Operator::Below => holds(value, move |value| wanted.iter().any(|one| value < one)),
        Operator::AtMost => holds(value, move |value| wanted.iter().any(|one| value <= one)),
        Operator::Above => holds(value, move |value| wanted.iter().any(|one| value > one)),
        Operator::AtLeast => holds(value, move |value| wanted.iter().any(|one| value >= one)),
    }
}

fn holds<'a, T>(
    value: impl Fn(usize) -> Option<T> + Send + Sync + 'a,
    holds: impl Fn(&T) -> bool + Send + Sync + 'a,
) -> Marks<'a> {
    Box::new(move |nodes| nodes.map(|node| value(node).as_ref().is_some_and(&holds)).collect())
}
