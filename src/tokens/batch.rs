use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::sight::{Seen, Sight};
use super::{ColumnKind, Context, State};
use crate::kernels::{Pattern, PatternBuilder, Reach, Rows};
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
    /// Which states are read and written, and who sees whom.
    pub reach: Arc<Reach>,
    /// For each context, its first query and its first key; at the end the number of all.
    pub firsts: Vec<[u32; 2]>,
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
        let plans: Vec<Plan> = contexts.par_iter().zip(reads).map(|(context, reads)| Plan::of(context, reads, &layers)).collect();
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
        let mut sublayers: Vec<Sublayer> = Vec::new();
        for (at, &kind) in layers.iter().enumerate() {
            // Where nothing was left out, blocks are alike but for the first.
            let is_known = |before: &usize| {
                layers[*before] == kind && plans.iter().all(|plan| plan.is_alike(*before, at) && plan.keeps_all(at))
            };
            let known = (1..at).find(is_known);
            let sublayer = match known {
                Some(before) => sublayers[before].clone(),
                None => sublayer(at, &plans, &mut places),
            };
            sublayers.push(sublayer);
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
            for &token in plan.needed(0) {
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
    /// Tokens that are needed somewhere, ascending; the sets of several layers may be the same.
    sets: Vec<Vec<u32>>,
    /// By layer, which set goes into it; at the end which is read.
    needed: Vec<usize>,
    /// What is seen, by kind and by the set that comes out.
    seen: Vec<Seen>,
    /// By layer, which of `seen`.
    seen_by: Vec<usize>,
}

impl Plan {
    fn of(context: &Context, reads: &[u32], layers: &[AttentionKind]) -> Self {
        let mut plan = Self { sets: vec![reads.to_vec()], needed: vec![0], seen: Vec::new(), seen_by: Vec::new() };
        let mut sights: Vec<(AttentionKind, Sight)> = Vec::new();
        // By kind and the set that comes out: what is seen, and the set that goes in.
        let mut known: Vec<(AttentionKind, usize, usize, usize)> = Vec::new();
        for &kind in layers.iter().rev() {
            let out = plan.needed[plan.needed.len() - 1];
            let found = known.iter().find(|(of, set, ..)| (*of, *set) == (kind, out)).copied();
            let (_, _, seen, into) = found.unwrap_or_else(|| {
                let at = sights.iter().position(|(of, _)| *of == kind).unwrap_or_else(|| {
                    sights.push((kind, Sight::of(context, kind)));
                    sights.len() - 1
                });
                let mut is_needed = vec![false; context.tokens.len()];
                plan.sets[out].iter().for_each(|&token| is_needed[token as usize] = true);
                let seen = sights[at].1.reach(&is_needed);
                seen.keys.iter().for_each(|&token| is_needed[token as usize] = true);
                let set: Vec<u32> = (0..).zip(&is_needed).filter(|(_, is)| **is).map(|(at, _)| at).collect();
                // Sets grow, so that only the last can be the same.
                let into = if plan.sets[out].len() == set.len() {
                    out
                } else {
                    plan.sets.push(set);
                    plan.sets.len() - 1
                };
                plan.seen.push(seen);
                let entry = (kind, out, plan.seen.len() - 1, into);
                known.push(entry);
                entry
            });
            plan.seen_by.push(seen);
            plan.needed.push(into);
        }
        plan.needed.reverse();
        plan.seen_by.reverse();
        plan
    }

    fn needed(&self, layer: usize) -> &[u32] {
        &self.sets[self.needed[layer]]
    }

    fn seen(&self, layer: usize) -> &Seen {
        &self.seen[self.seen_by[layer]]
    }

    fn keeps_all(&self, layer: usize) -> bool {
        self.needed[layer] == self.needed[layer + 1]
    }

    fn is_alike(&self, one: usize, other: usize) -> bool {
        self.needed[one] == self.needed[other]
            && self.needed[one + 1] == self.needed[other + 1]
            && self.seen_by[one] == self.seen_by[other]
    }
}

/// Lays out one layer, and moves `places` from the states going in to those coming out.
fn sublayer(at: usize, plans: &[Plan], places: &mut [Vec<u32>]) -> Sublayer {
    let (mut kept, mut queries, mut keys, mut outputs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let inputs = plans.iter().map(|plan| plan.needed(at).len()).sum();
    let mut firsts = vec![[0, 0]];
    let mut pattern = PatternBuilder::default();
    let mut moved = Vec::new();
    for (plan, own) in plans.iter().zip(places) {
        let seen = plan.seen(at);
        let first_key = keys.len() as u32;
        keys.extend(seen.keys.iter().map(|&key| own[key as usize]));
        for (count, ranges) in &seen.groups {
            moved.clear();
            moved.extend(seen.ranges[ranges.clone()].iter().map(|range| range.start + first_key..range.end + first_key));
            // A column that fills groups has them for itself.
            let is_alone = seen.is_by_column && *count >= Pattern::GROUP;
            if is_alone {
                pattern.close();
            }
            pattern.push_alike(*count, &moved);
            if is_alone {
                pattern.close();
            }
        }
        pattern.close();
        let mut next = vec![u32::MAX; own.len()];
        for &token in plan.needed(at + 1) {
            next[token as usize] = kept.len() as u32;
            kept.push(own[token as usize]);
        }
        for &query in &seen.queries {
            queries.push(own[query as usize]);
            outputs.push(next[query as usize]);
        }
        *own = next;
        firsts.push([queries.len() as u32, keys.len() as u32]);
    }
    let pattern = pattern.finish(keys.len());
    let [kept, queries, places, keys] = [kept, queries, outputs, keys].map(Rows::new);
    Sublayer { reach: Arc::new(Reach { inputs, kept, queries, places, keys, pattern }), firsts }
}
