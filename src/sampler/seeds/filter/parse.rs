//! The grammar of a filter.

use std::ops::Range;

use relata_schema::located::LocatedError;
use relata_schema::{AttributeId, AttributeKind, Direction, NodeTypeId, Relation, RelationId, Schema, suggestion};

use super::condition::{Condition, Name, Operator, Part, Question, Subject, Values};
use super::words::{Word, words};
use crate::{Error, Result};

/// How deep parentheses and `not` may stand in each other, so that a text of a million of them does not end the stack.
const MOST_DEPTH: usize = 100;

/// Reads a filter's text.
///
/// # Errors
/// [`Error::Located`] says where it is none.
pub(super) fn parse(schema: &Schema, node_type: NodeTypeId, text: &str) -> Result<Condition> {
    let mut parser = Parser { schema, node_type, text, words: words(text)?, at: 0, depth: 0 };
    let condition = parser.any(false)?;
    match parser.at == parser.words.len() {
        true => Ok(condition),
        false => Err(parser.wrong("`and`, `or` or the end")),
    }
}

pub(super) fn error(text: &str, place: Range<usize>, message: impl Into<String>) -> Error {
    LocatedError::new(text, "filter", place, message).into()
}

struct Parser<'a> {
    schema: &'a Schema,
    node_type: NodeTypeId,
    text: &'a str,
    words: Vec<(Word, Range<usize>)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn error(&self, place: Range<usize>, message: impl Into<String>) -> Error {
        error(self.text, place, message)
    }

    /// The next word is not what is expected.
    fn wrong(&self, expected: &str) -> Error {
        let found = match self.words.get(self.at) {
            Some((_, place)) => format!("`{}`", &self.text[place.clone()]),
            None => "the end".to_owned(),
        };
        self.error(self.place(), format!("found {found}, expected {expected}"))
    }

    /// The bytes of the next word.
    fn place(&self) -> Range<usize> {
        self.words.get(self.at).map_or(self.text.len()..self.text.len(), |(_, place)| place.clone())
    }

    fn takes(&mut self, wanted: &Word) -> bool {
        let is_it = self.words.get(self.at).is_some_and(|(word, _)| word == wanted);
        self.at += usize::from(is_it);
        is_it
    }

    fn takes_keyword(&mut self, wanted: &str) -> bool {
        let is_it = matches!(self.words.get(self.at), Some((Word::Bare(word), _)) if word.eq_ignore_ascii_case(wanted));
        self.at += usize::from(is_it);
        is_it
    }

    /// `all or all …`; turned, by De Morgan's rule, all of the parts turned.
    fn any(&mut self, is_turned: bool) -> Result<Condition> {
        let mut parts = vec![self.all(is_turned)?];
        while self.takes_keyword("or") {
            parts.push(self.all(is_turned)?);
        }
        Ok(joined(parts, is_turned))
    }

    /// `one and one …`
    fn all(&mut self, is_turned: bool) -> Result<Condition> {
        let mut parts = vec![self.one(is_turned)?];
        while self.takes_keyword("and") {
            parts.push(self.one(is_turned)?);
        }
        Ok(joined(parts, !is_turned))
    }

    /// `not one`, `( any )`, or a comparison.
    fn one(&mut self, is_turned: bool) -> Result<Condition> {
        let place = self.place();
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.error(place, format!("more than {MOST_DEPTH} parentheses and `not` in each other")));
        }
        let condition = if self.takes_keyword("not") {
            self.one(!is_turned)?
        } else if self.takes(&Word::Open) {
            let inside = self.any(is_turned)?;
            if !self.takes(&Word::Close) {
                return Err(self.wrong("`and`, `or` or `)`"));
            }
            inside
        } else {
            let (subject, name) = self.subject()?;
            let question = self.question(&subject, &name)?;
            Condition::One(subject, if is_turned { turned(question) } else { question })
        };
        self.depth -= 1;
        Ok(condition)
    }

    /// What is asked about, and how it is called.
    fn subject(&mut self) -> Result<(Subject, String)> {
        let place = self.place();
        let (name, is_quoted) = match self.words.get(self.at) {
            Some((Word::Bare(name), _)) => (name.clone(), false),
            Some((Word::Quoted(name), _)) => (name.clone(), true),
            _ => return Err(self.wrong("an attribute, `key`, `degree(RELATION)`, `not` or `(`")),
        };
        self.at += 1;
        if !is_quoted && name == "key" {
            return Ok((Subject::Key, name));
        }
        if !is_quoted && name == "degree" && self.takes(&Word::Open) {
            return Ok((self.degree()?, name));
        }
        let Some((owner, part)) = name.split_once('.').filter(|_| !is_quoted) else {
            return Ok((Subject::Attribute(self.attribute(&name, place)?), name));
        };
        let attribute = self.attribute(owner, place.clone())?;
        let kind = self.kind(attribute);
        if kind != AttributeKind::Interval {
            return Err(self.error(place, format!("`{owner}` is a {kind}; only an interval has parts, such as `.{part}`")));
        }
        match Part::NAMED.iter().find(|(known, _)| *known == part) {
            Some((_, part)) => Ok((Subject::Part(attribute, *part), name)),
            None => {
                let known = Part::NAMED.map(|(known, _)| known);
                let suggestion = suggestion(part, known);
                let message = format!("unknown part `{part}` of `{owner}`{suggestion} (known: {})", known.join(", "));
                Err(self.error(place, message))
            }
        }
    }

    fn attribute(&self, name: &str, place: Range<usize>) -> Result<AttributeId> {
        let owner = self.schema.node(self.node_type);
        owner.attribute(name).ok_or_else(|| {
            let mut known: Vec<&str> = owner.attributes.iter().map(|known| known.name.as_str()).collect();
            known.sort_unstable();
            known.push("key");
            let message = format!(
                "unknown attribute `{name}` of {}{} (known: {}, degree(RELATION))",
                owner.name,
                suggestion(name, known.iter().copied()),
                known.join(", ")
            );
            self.error(place, message)
        })
    }

    fn kind(&self, attribute: AttributeId) -> AttributeKind {
        self.schema.node(self.node_type).attributes[attribute.index()].kind
    }

    /// `relation )` or `relation , direction )`
    fn degree(&mut self) -> Result<Subject> {
        let place = self.place();
        let Some((Word::Bare(name) | Word::Quoted(name), _)) = self.words.get(self.at).cloned() else {
            return Err(self.wrong("a relation"));
        };
        self.at += 1;
        let relation = self.schema.relation(&name).map_err(|unknown| self.error(place.clone(), unknown.to_string()))?;
        let known = self.schema.edge(relation);
        let mut directions = self.directions(known);
        if directions.is_empty() {
            let ids = self.schema.relation_ids();
            let own = ids.filter(|&id| !self.directions(self.schema.edge(id)).is_empty());
            let own: Vec<String> = own.map(|id: RelationId| self.schema.relation_title(id)).collect();
            let (title, owner) = (self.schema.relation_title(relation), &self.schema.node(self.node_type).name);
            let known = if own.is_empty() { "it has none".to_owned() } else { own.join(", ") };
            return Err(self.error(place, format!("found {title}, expected a relation of {owner}: {known}")));
        }
        if self.takes(&Word::Comma) {
            let wanted = Direction::BOTH.into_iter().find(|direction| self.takes_keyword(&direction.to_string()));
            match wanted {
                Some(wanted) if known.symmetric || directions.contains(&wanted) => {
                    directions.retain(|&direction| known.symmetric || direction == wanted);
                }
                Some(wanted) => {
                    self.at -= 1;
                    return Err(self.wrong(&format!("`{}`: {name} leads there from a node of this type", wanted.reverse())));
                }
                None => return Err(self.wrong("`outgoing` or `incoming`")),
            }
        }
        match self.takes(&Word::Close) {
            true => Ok(Subject::Degree(relation, directions)),
            false => Err(self.wrong("`)`, or a `,` and a direction")),
        }
    }

    /// Which ways a relation leads from a node of the type.
    fn directions(&self, relation: &Relation) -> Vec<Direction> {
        relation.directions().iter().copied().filter(|&way| relation.near(way) == self.node_type).collect()
    }

    fn question(&mut self, subject: &Subject, name: &str) -> Result<Question> {
        if self.takes_keyword("is") {
            let is_turned = self.takes_keyword("not");
            let question = if self.takes_keyword("missing") {
                Question::Missing
            } else if self.takes_keyword("known") {
                Question::Known
            } else {
                return Err(self.wrong("`missing` or `known`"));
            };
            return Ok(if is_turned { turned(question) } else { question });
        }
        let place = self.place();
        let is_turned = self.takes_keyword("not");
        let (operator, values) = if self.takes_keyword("in") {
            (if is_turned { Operator::Unequal } else { Operator::Equal }, self.list()?)
        } else if let Some((Word::Operator(operator), _)) = self.words.get(self.at).filter(|_| !is_turned) {
            let operator = *operator;
            self.at += 1;
            (operator, vec![self.value()?])
        } else {
            return Err(self.wrong(if is_turned { "`in`" } else { "`=`, `!=`, `<`, `<=`, `>`, `>=`, `in` or `is`" }));
        };
        self.comparison(subject, name, (operator, place), values)
    }

    /// `( value , value … )`
    fn list(&mut self) -> Result<Vec<Name>> {
        if !self.takes(&Word::Open) {
            return Err(self.wrong("`(`"));
        }
        let mut values = vec![self.value()?];
        while self.takes(&Word::Comma) {
            values.push(self.value()?);
        }
        if self.takes(&Word::Close) { Ok(values) } else { Err(self.wrong("`,` or `)`")) }
    }

    fn value(&mut self) -> Result<Name> {
        let place = self.place();
        let text = match self.words.get(self.at) {
            Some((Word::Quoted(text), _)) => text.clone(),
            Some((Word::Bare(text), _)) => {
                // A value was forgotten, more likely than that one is called so.
                if ["and", "or", "not", "in", "is"].iter().any(|keyword| text.eq_ignore_ascii_case(keyword)) {
                    return Err(self.wrong("a value; one that is called so stands in quotes"));
                }
                text.clone()
            }
            _ => return Err(self.wrong("a value")),
        };
        self.at += 1;
        Ok(Name { text, place })
    }

    /// Values as the subject's kind has them.
    fn comparison(
        &self,
        subject: &Subject,
        name: &str,
        (operator, place): (Operator, Range<usize>),
        values: Vec<Name>,
    ) -> Result<Question> {
        use AttributeKind as Kind;
        let kind = match subject {
            Subject::Key => Kind::Text,
            Subject::Attribute(attribute) => self.kind(*attribute),
            Subject::Part(_, Part::Contig) => Kind::Category,
            Subject::Part(_, Part::Strand) => return self.strands(name, (operator, place), &values),
            Subject::Part(..) | Subject::Degree(..) => Kind::Number,
        };
        if operator.is_ordered() && matches!(kind, Kind::Category | Kind::Boolean) {
            return Err(self.unordered(name, &format!("a {kind}"), place));
        }
        let values = match kind {
            Kind::Number | Kind::Count => {
                let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
                Values::Numbers(self.read(&values, "a number", number)?)
            }
            Kind::Time => Values::Times(self.read(&values, "a whole number of time units", |text| text.parse().ok())?),
            Kind::Boolean => Values::Small(self.read(&values, "true or false", |text| match text {
                "true" => Some(1),
                "false" => Some(0),
                _ => None,
            })?),
            Kind::Category | Kind::Text | Kind::Sequence => Values::Names(values),
            Kind::Interval => {
                let parts = Part::NAMED.map(|(part, _)| format!("`{name}.{part}`")).join(", ");
                return Err(self.error(place, format!("`{name}` is an interval: ask for {parts}, or whether it `is missing`")));
            }
            Kind::Vector(_) => {
                let message = format!("`{name}` is a {kind}: it can only be asked whether it `is missing` or `is known`");
                return Err(self.error(place, message));
            }
        };
        Ok(Question::Compare(operator, values))
    }

    fn strands(&self, name: &str, (operator, place): (Operator, Range<usize>), values: &[Name]) -> Result<Question> {
        if operator.is_ordered() {
            return Err(self.unordered(name, "a strand", place));
        }
        let strand = |text: &str| match text {
            "+" => Some(1),
            "-" => Some(2),
            "." => Some(0),
            _ => None,
        };
        Ok(Question::Compare(operator, Values::Small(self.read(values, "`+`, `-` or `.`", strand)?)))
    }

    fn unordered(&self, name: &str, what: &str, place: Range<usize>) -> Error {
        let found = &self.text[place.clone()];
        self.error(place, format!("found `{found}`, expected `=`, `!=` or `in`: `{name}` is {what}, which has no order"))
    }

    fn read<T>(&self, values: &[Name], expected: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
        let one = |Name { text, place }: &Name| {
            read(text).ok_or_else(|| self.error(place.clone(), format!("found `{text}`, expected {expected}")))
        };
        values.iter().map(one).collect()
    }
}

fn joined(mut parts: Vec<Condition>, needs_all: bool) -> Condition {
    match parts.len() {
        1 => parts.remove(0),
        _ if needs_all => Condition::All(parts),
        _ => Condition::Any(parts),
    }
}

fn turned(question: Question) -> Question {
    match question {
        Question::Missing => Question::Known,
        Question::Known => Question::Missing,
        Question::Compare(operator, values) => Question::Compare(operator.opposite(), values),
    }
}
