use std::ops::Range;

use super::{ColumnKind, Context, State, visible};
use crate::task::AttentionKind;

/// How a group's tokens are embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// From [`Batch::numbers`].
    Number,
    /// From [`Batch::codes`].
    Category,
    /// From the group's vectors.
    Vector,
    /// By the column alone.
    Link,
    /// The learnt vector of missing values.
    Missing,
    /// The learnt vector of masked values.
    Masked,
}

/// Tokens of one column and form; they lie together, so that each column's numbers are one matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The column, by number in the vocabulary.
    pub column: u16,
    /// How they are embedded.
    pub form: Form,
    /// Their places among the batch's tokens.
    pub tokens: Range<usize>,
    /// Of form [`Form::Vector`]: one vector a token, row-major.
    pub vectors: Vec<f32>,
}

/// One attention layer's reads and writes. States are numbered from 0 through the batch; each layer has a set of them
/// going in and a smaller or equal set coming out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sublayer {
    /// Which kind of attention.
    pub kind: AttentionKind,
    /// For each state coming out, its place among those going in.
    pub kept: Vec<u32>,
    /// `contexts × query_count` places among the states going in; 0 where a context has fewer.
    pub queries: Vec<u32>,
    /// Queries of the context that has the most.
    pub query_count: usize,
    /// `contexts × key_count` places among the states going in; 0 where a context has fewer.
    pub keys: Vec<u32>,
    /// Keys of the context that has the most.
    pub key_count: usize,
    /// `contexts × query_count × key_count`: true where a query may not see a key.
    pub hidden: Vec<bool>,
    /// For each state coming out: its place among `queries`, or `None` where it sees nothing and stays as it is.
    pub outputs: Vec<Option<u32>>,
}

/// What is read from the last states: the tokens of one column that a model is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The column, by number in the vocabulary.
    pub column: u16,
    /// What its values are.
    pub kind: ColumnKind,
    /// Places among the last states.
    pub states: Vec<u32>,
    /// The context of each.
    pub contexts: Vec<u32>,
    /// The true values, where they are numbers; NaN where not known.
    pub numbers: Vec<f32>,
    /// The true values, where they are categories; `u32::MAX` where not known.
    pub codes: Vec<u32>,
}

/// Contexts, laid out for a model whose blocks are known.
///
/// Going backwards from the tokens that are read, each attention layer gets only the queries whose outcome somebody
/// reads, and the keys that these may see. What is left out could not have changed the result, so this is exact; it turns
/// the cost of a layer from all pairs of tokens into those pairs that matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// How many contexts.
    pub contexts: usize,
    /// The tokens that are embedded, by column and form.
    pub groups: Vec<Group>,
    /// Of each token: its number, 0 where it has none.
    pub numbers: Vec<f32>,
    /// Of each token: its category's place in its column, 0 where it has none.
    pub codes: Vec<u32>,
    /// Of each token: whose it is.
    pub identities: Vec<u32>,
    /// For each block, its attention layers in order.
    pub blocks: Vec<Vec<Sublayer>>,
    /// What is read.
    pub reads: Vec<Read>,
}

impl Batch {
    /// Lays out contexts. `reads` are for each context the tokens to be read, ascending; `kinds` are the columns' kinds.
    pub fn new(contexts: &[&Context], reads: &[Vec<u32>], blocks: &[Vec<AttentionKind>], kinds: &[ColumnKind]) -> Self {
        let layers: Vec<AttentionKind> = blocks.iter().flatten().copied().collect();
        let plans: Vec<Plan> = contexts.iter().zip(reads).map(|(context, reads)| Plan::of(context, reads, &layers)).collect();
        let mut batch = Self {
            contexts: contexts.len(),
            groups: Vec::new(),
            numbers: Vec::new(),
            codes: Vec::new(),
            identities: Vec::new(),
            blocks: Vec::new(),
            reads: Vec::new(),
        };
        let mut places = batch.embed(contexts, &plans, kinds);
        let mut sublayers = Vec::new();
        for (at, &kind) in layers.iter().enumerate() {
            sublayers.push(sublayer(kind, at, contexts, &plans, &mut places));
        }
        let mut sublayers = sublayers.into_iter();
        batch.blocks = blocks.iter().map(|block| sublayers.by_ref().take(block.len()).collect()).collect();
        batch.read(contexts, reads, &places, kinds);
        batch
    }

    /// Orders the tokens that are needed by column and form; gives each context's tokens their places.
    fn embed(&mut self, contexts: &[&Context], plans: &[Plan], kinds: &[ColumnKind]) -> Vec<Vec<u32>> {
        let mut order: Vec<(u16, Form, u32, u32)> = Vec::new();
        for (at, (context, plan)) in (0..).zip(contexts.iter().zip(plans)) {
            for &token in &plan.needed[0] {
                let known = &context.tokens[token as usize];
                order.push((known.column, form(known.state, kinds[usize::from(known.column)]), at, token));
            }
        }
        order.sort_unstable();
        let mut places: Vec<Vec<u32>> = contexts.iter().map(|context| vec![u32::MAX; context.tokens.len()]).collect();
        for (place, &(column, form, at, token)) in order.iter().enumerate() {
            let context = contexts[at as usize];
            let known = &context.tokens[token as usize];
            places[at as usize][token as usize] = place as u32;
            let shown = known.state == State::Shown;
            self.numbers.push(if shown && form == Form::Number { known.number } else { 0.0 });
            self.codes.push(if shown && form == Form::Category { known.code } else { 0 });
            self.identities.push(known.identity);
            if self.groups.last().is_none_or(|group| (group.column, group.form) != (column, form)) {
                self.groups.push(Group { column, form, tokens: place..place, vectors: Vec::new() });
            }
            if let Some(group) = self.groups.last_mut() {
                group.tokens.end = place + 1;
                if let (Form::Vector, ColumnKind::Vector(dimension)) = (form, kinds[usize::from(column)]) {
                    let dimension = dimension as usize;
                    let start = known.code as usize * dimension;
                    let own = context.vectors.iter().find(|(id, _)| *id == column).map_or(&[][..], |(_, values)| values);
                    group.vectors.extend_from_slice(&own[start..start + dimension]);
                }
            }
        }
        places
    }

    fn read(&mut self, contexts: &[&Context], reads: &[Vec<u32>], places: &[Vec<u32>], kinds: &[ColumnKind]) {
        for (at, (context, tokens)) in (0..).zip(contexts.iter().zip(reads)) {
            for &token in tokens {
                let known = &context.tokens[token as usize];
                let found = self.reads.iter().position(|read| read.column == known.column);
                let found = found.unwrap_or_else(|| {
                    let kind = kinds[usize::from(known.column)];
                    let (states, numbers) = (Vec::new(), Vec::new());
                    self.reads.push(Read {
                        column: known.column,
                        kind,
                        states,
                        contexts: Vec::new(),
                        numbers,
                        codes: Vec::new(),
                    });
                    self.reads.len() - 1
                });
                let read = &mut self.reads[found];
                read.states.push(places[at as usize][token as usize]);
                read.contexts.push(at);
                read.numbers.push(known.number);
                read.codes.push(known.code);
            }
        }
    }
}

fn form(state: State, kind: ColumnKind) -> Form {
    match (state, kind) {
        (State::Missing, _) => Form::Missing,
        (State::Masked, _) => Form::Masked,
        (State::Shown, ColumnKind::Number) => Form::Number,
        (State::Shown, ColumnKind::Category) => Form::Category,
        (State::Shown, ColumnKind::Vector(_)) => Form::Vector,
        (State::Shown, ColumnKind::Link) => Form::Link,
    }
}

/// One context's share in each layer.
struct Plan {
    /// By layer: the tokens that go into it; at the end those that are read. Ascending.
    needed: Vec<Vec<u32>>,
    /// By layer: the tokens that see something, and what.
    queries: Vec<Vec<(u32, Vec<Range<u32>>)>>,
    /// By layer: what any of them sees, ascending.
    keys: Vec<Vec<u32>>,
}

impl Plan {
    fn of(context: &Context, reads: &[u32], layers: &[AttentionKind]) -> Self {
        let mut plan = Self { needed: vec![reads.to_vec()], queries: Vec::new(), keys: Vec::new() };
        let mut is_key = vec![false; context.tokens.len()];
        for &kind in layers.iter().rev() {
            let last = &plan.needed[plan.needed.len() - 1];
            let mut queries: Vec<(u32, Vec<Range<u32>>)> = Vec::new();
            for &token in last {
                // Tokens of a row see the same by most kinds.
                let same = queries.last().filter(|(before, _)| {
                    kind != AttentionKind::Column && context.row_of[*before as usize] == context.row_of[token as usize]
                });
                let seen = match same {
                    Some((_, seen)) => seen.clone(),
                    None => visible(context, token, kind),
                };
                if !seen.is_empty() {
                    queries.push((token, seen));
                }
            }
            is_key.fill(false);
            for range in queries.iter().flat_map(|(_, seen)| seen) {
                is_key[range.start as usize..range.end as usize].fill(true);
            }
            let keys: Vec<u32> = (0..).zip(&is_key).filter(|(_, is)| **is).map(|(at, _)| at).collect();
            for &token in last {
                is_key[token as usize] = true;
            }
            let needed = (0..).zip(&is_key).filter(|(_, is)| **is).map(|(at, _)| at).collect();
            plan.needed.push(needed);
            plan.queries.push(queries);
            plan.keys.push(keys);
        }
        plan.needed.reverse();
        plan.queries.reverse();
        plan.keys.reverse();
        plan
    }
}

/// Lays out one layer, and moves `places` from the states going in to those coming out.
fn sublayer(kind: AttentionKind, at: usize, contexts: &[&Context], plans: &[Plan], places: &mut [Vec<u32>]) -> Sublayer {
    let query_count = plans.iter().map(|plan| plan.queries[at].len()).max().unwrap_or(0);
    let key_count = plans.iter().map(|plan| plan.keys[at].len()).max().unwrap_or(0);
    let mut layer = Sublayer {
        kind,
        kept: Vec::new(),
        queries: vec![0; contexts.len() * query_count],
        query_count,
        keys: vec![0; contexts.len() * key_count],
        key_count,
        hidden: vec![true; contexts.len() * query_count * key_count],
        outputs: Vec::new(),
    };
    for (number, plan) in plans.iter().enumerate() {
        let own = &mut places[number];
        let mut place_of_key = vec![u32::MAX; own.len()];
        for (place, &key) in plan.keys[at].iter().enumerate() {
            layer.keys[number * key_count + place] = own[key as usize];
            place_of_key[key as usize] = place as u32;
        }
        for (place, (query, seen)) in plan.queries[at].iter().enumerate() {
            let row = number * query_count + place;
            layer.queries[row] = own[*query as usize];
            let hidden = &mut layer.hidden[row * key_count..(row + 1) * key_count];
            for range in seen {
                // All of a range are keys, so their places are consecutive.
                let first = place_of_key[range.start as usize] as usize;
                hidden[first..first + range.len()].fill(false);
            }
        }
        let mut queries = plan.queries[at].iter().enumerate().peekable();
        let mut next = vec![u32::MAX; own.len()];
        for &token in &plan.needed[at + 1] {
            next[token as usize] = layer.kept.len() as u32;
            layer.kept.push(own[token as usize]);
            let output = queries.next_if(|(_, (query, _))| *query == token);
            layer.outputs.push(output.map(|(place, _)| (number * query_count + place) as u32));
        }
        *own = next;
    }
    layer
}
