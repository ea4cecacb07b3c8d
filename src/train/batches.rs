use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use relata_schema::NodeTypeId;

use super::first_order::{Entry, entries};
use crate::sampler::random::Key;
use crate::sampler::{Negatives, Sampler, Subgraph};
use crate::snapshot::Hit;
use crate::task::{Asked, AttentionKind, ResolvedTask};
use crate::tokens::{Batch, ColumnKind, Context, Encoder, State, Vocabulary, VocabularyColumn};
use crate::{Error, Result};

/// How many steps may wait to be computed.
const AHEAD: usize = 8;

/// Batches whose contexts are sorted by size together: enough that those of a batch are alike.
const SORTED_TOGETHER: usize = 16;

/// A draw of the sampler for the other view of a contrast, beside that of an epoch.
const OTHER_VIEW: u64 = 1 << 40;

/// What the tokens of a batch are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Question {
    /// The seeds' target.
    Target,
    /// Values that are masked: a share of those shown.
    Masked(f64),
    /// The seeds as a whole.
    Whole,
}

/// Makes the batches of one objective: samples, encodes, lays out.
pub(super) struct Batches<'t> {
    pub(super) sampler: &'t Sampler,
    pub(super) encoder: &'t Encoder,
    pub(super) vocabulary: &'t Vocabulary,
    pub(super) task: &'t ResolvedTask,
    pub(super) kinds: Vec<ColumnKind>,
    pub(super) key: Key,
    /// The column whose numbers are asked for as they are, not standardised.
    pub(super) counts: Option<&'t VocabularyColumn>,
    pub(super) makes: Makes<'t>,
}

/// What batches are of.
pub(super) enum Makes<'t> {
    /// Nodes of a type.
    Nodes(NodeTypeId),
    /// Edges between two types, and pairs that are none.
    Edges { ends: [NodeTypeId; 2], negatives: Box<Negatives> },
    /// Two views of each node.
    Views { node_type: NodeTypeId, samplers: [&'t Sampler; 2] },
}

/// One pass over what is asked.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    /// Which draw of the sampler.
    pub(super) draw: u64,
    pub(super) question: Question,
    /// Share of edges that are left out.
    pub(super) edge_dropout: f64,
    /// Whether rows come in a random order.
    pub(super) shuffled: bool,
    /// Whether the seeds' entries are asked for.
    pub(super) wants_entries: bool,
}

impl Pass {
    /// Of asking a trained model.
    pub(super) fn asking(question: Question, wants_entries: bool) -> Self {
        /// Draws of the sampler below this are for training.
        const ASKING: u64 = 1 << 32;
        Self { draw: ASKING, question, edge_dropout: 0.0, shuffled: false, wants_entries }
    }
}

/// A batch, or a part of one, and what it is of, by their place among those asked for.
pub(super) struct Laid {
    pub(super) places: Vec<u32>,
    pub(super) batch: Batch,
    pub(super) contexts: Vec<Context>,
    /// The tokens that are read, of each context.
    pub(super) reads: Vec<Vec<u32>>,
    /// The entries of each context's seed.
    pub(super) entries: Vec<Vec<Entry>>,
    pub(super) tokens: usize,
    pub(super) pairs: Option<Pairs>,
}

/// Places among a batch's last states.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Pairs {
    pub(super) one: Vec<u32>,
    pub(super) other: Vec<u32>,
    /// As many for each pair, one pair behind the other; both ends.
    pub(super) negatives: [Vec<u32>; 2],
}

/// What one step of training is made of.
pub(super) struct Step {
    /// Which of the sources.
    pub(super) source: usize,
    pub(super) parts: Vec<Laid>,
    /// How long it was waited for.
    pub(super) waited: Duration,
}

/// A batch that is not laid out yet.
enum Made {
    /// Contexts, with their places among what is asked.
    Contexts(Vec<(u32, Context)>),
    /// The places alone.
    Places(Vec<u32>),
}

/// The batches of one pass, in their order.
pub(super) struct Source<'s> {
    batches: &'s Batches<'s>,
    asked: &'s Asked,
    pass: Pass,
    order: Vec<u32>,
    /// How many of the order are in the queue or gone.
    taken: usize,
    queue: VecDeque<Vec<Made>>,
    /// Contexts a batch, batches a step, tokens a part.
    size: usize,
    accumulate: usize,
    tokens: usize,
}

impl<'s> Source<'s> {
    pub(super) fn new(batches: &'s Batches<'s>, asked: &'s Asked, pass: Pass) -> Self {
        let train = &batches.task.task.train;
        let mut order: Vec<u32> = (0..asked.len() as u32).collect();
        if pass.shuffled {
            batches.key.with(pass.draw).random().shuffle(&mut order);
        }
        let (size, tokens) = (train.batch.max(1), train.tokens.max(1));
        let accumulate = if pass.shuffled { train.accumulate.max(1) } else { 1 };
        Self { batches, asked, pass, order, taken: 0, queue: VecDeque::new(), size, accumulate, tokens }
    }

    /// How many steps there are.
    pub(super) fn steps(&self) -> usize {
        self.order.len().div_ceil(self.size * self.accumulate)
    }

    /// How many are sorted and made together.
    fn group(&self) -> usize {
        self.size * SORTED_TOGETHER.next_multiple_of(self.accumulate)
    }

    /// Leaves steps out.
    fn skip(&mut self, steps: usize) -> Result<()> {
        let of_group = self.group() / (self.size * self.accumulate);
        self.taken = (self.taken + steps / of_group * self.group()).min(self.order.len());
        for _ in 0..steps % of_group {
            self.next()?;
        }
        Ok(())
    }

    /// The batches of the next step.
    fn next(&mut self) -> Result<Option<Vec<Made>>> {
        if self.queue.is_empty() && self.taken < self.order.len() {
            let group = &self.order[self.taken..(self.taken + self.group()).min(self.order.len())];
            self.taken += group.len();
            let batches = match (self.asked, &self.batches.makes) {
                (Asked::Nodes(rows), Makes::Nodes(_)) => self.sorted(rows, group)?,
                _ => group.chunks(self.size).map(|places| Made::Places(places.to_vec())).collect(),
            };
            let mut batches = batches.into_iter().peekable();
            while batches.peek().is_some() {
                self.queue.push_back(batches.by_ref().take(self.accumulate).collect());
            }
        }
        Ok(self.queue.pop_front())
    }

    /// Contexts of like sizes, in batches.
    fn sorted(&self, rows: &[u32], group: &[u32]) -> Result<Vec<Made>> {
        let mut contexts = self.batches.contexts(rows, group, &self.pass)?;
        contexts.sort_by_key(|(_, context)| context.tokens.len());
        let mut contexts = contexts.into_iter();
        let mut batches: Vec<Made> = Vec::new();
        while contexts.len() > 0 {
            batches.push(Made::Contexts(contexts.by_ref().take(self.size).collect()));
        }
        if self.pass.shuffled {
            self.batches.key.with(self.pass.draw).with(u64::from(group[0])).random().shuffle(&mut batches);
        }
        Ok(batches)
    }

    /// A batch, in parts.
    fn laid(&self, made: Made) -> Result<Vec<Laid>> {
        match (made, &self.batches.makes, self.asked) {
            (Made::Contexts(contexts), ..) => {
                let sizes: Vec<usize> = contexts.iter().map(|(_, context)| context.tokens.len()).collect();
                let mut contexts = contexts.into_iter();
                let part = |count| self.batches.lay(contexts.by_ref().take(count).collect(), &self.pass);
                Ok(parts(&sizes, self.tokens).map(part).collect())
            }
            (Made::Places(places), Makes::Views { samplers, .. }, Asked::Nodes(rows)) => self.views(rows, &places, samplers),
            (Made::Places(places), Makes::Edges { ends, negatives }, Asked::Edges(edges)) => {
                self.batch_of_edges(edges, &places, *ends, negatives)
            }
            (Made::Places(_), ..) => Ok(Vec::new()),
        }
    }

    fn views(&self, rows: &[u32], places: &[u32], samplers: &[&Sampler; 2]) -> Result<Vec<Laid>> {
        let mut contexts = Vec::new();
        for (sampler, draw) in samplers.iter().zip([self.pass.draw, self.pass.draw + OTHER_VIEW]) {
            contexts.extend(self.batches.contexts_of(&self.batches.hits(rows, places), draw, sampler, &self.pass)?);
        }
        let count = places.len() as u32;
        let laid = self.batches.lay(contexts, &self.pass);
        let states = laid.states();
        let [one, other] = [0..count, count..2 * count].map(|view| view.map(|at| states[at as usize]).collect());
        Ok(vec![Laid { places: places.to_vec(), pairs: Some(Pairs { one, other, ..Pairs::default() }), ..laid }])
    }

    fn batch_of_edges(
        &self,
        edges: &[(u32, u32)],
        places: &[u32],
        ends: [NodeTypeId; 2],
        negatives: &Negatives,
    ) -> Result<Vec<Laid>> {
        let count = negatives.config().per_positive as usize;
        let positives: Vec<(u32, u32)> = places.iter().map(|&place| edges[place as usize]).collect();
        let drawn = negatives.draw(&positives, self.pass.draw)?;
        // Where every candidate is an edge there is nothing to tell one from.
        let asked: Vec<_> = places.iter().zip(positives).zip(drawn).filter(|(_, drawn)| drawn.len() == count).collect();
        let mut hits: Vec<Hit> = Vec::new();
        let mut known: HashMap<Hit, u32> = HashMap::new();
        let mut place_of = |(source, target): (u32, u32)| {
            [source, target]
                .into_iter()
                .zip(ends)
                .map(|(node, node_type)| Hit { node_type, node })
                .map(|hit| {
                    *known.entry(hit).or_insert_with(|| {
                        hits.push(hit);
                        hits.len() as u32 - 1
                    })
                })
                .collect::<Vec<u32>>()
        };
        // For each edge: its ends, then those of its negatives.
        let pairs: Vec<Vec<u32>> = asked
            .iter()
            .map(|((_, edge), drawn)| std::iter::once(edge).chain(drawn).flat_map(|&pair| place_of(pair)).collect())
            .collect();
        let contexts = self.batches.contexts_of(&hits, self.pass.draw, self.batches.sampler, &self.pass)?;
        let sizes: Vec<usize> =
            pairs.iter().map(|pair| pair.iter().map(|&at| contexts[at as usize].1.tokens.len()).sum()).collect();
        let mut from = 0;
        let lay = |count: usize| {
            let part = from..from + count;
            from = part.end;
            let mut own: Vec<u32> = pairs[part.clone()].iter().flatten().copied().collect();
            own.sort_unstable();
            own.dedup();
            let laid = self.batches.lay(own.iter().map(|&at| contexts[at as usize].clone()).collect(), &self.pass);
            let states = laid.states();
            let state = |at: u32| states[own.binary_search(&at).expect("a part has the contexts of its pairs")];
            let ends = |end: usize, pairs: &[Vec<u32>]| -> Vec<u32> { pairs.iter().map(|pair| state(pair[end])).collect() };
            let others = |end: usize| -> Vec<u32> {
                let behind = |pair: &Vec<u32>| pair[2..].iter().skip(end).step_by(2).map(|&at| state(at)).collect::<Vec<_>>();
                pairs[part.clone()].iter().flat_map(behind).collect()
            };
            let own = &pairs[part.clone()];
            let found = Pairs { one: ends(0, own), other: ends(1, own), negatives: [others(0), others(1)] };
            let places = asked[part.clone()].iter().map(|((place, _), _)| **place).collect();
            Laid { places, pairs: Some(found), ..laid }
        };
        Ok(parts(&sizes, self.tokens).map(lay).collect())
    }
}

/// How many of each part, so that no part but one of a single thing is larger than `most`.
fn parts(sizes: &[usize], most: usize) -> std::vec::IntoIter<usize> {
    let mut counts = Vec::new();
    let mut sum = 0;
    for &size in sizes {
        match counts.last_mut() {
            Some(count) if sum + size <= most => {
                *count += 1;
                sum += size;
            }
            _ => {
                counts.push(1);
                sum = size;
            }
        }
    }
    counts.into_iter()
}

impl Laid {
    /// The place among the last states of what each context was read for.
    fn states(&self) -> Vec<u32> {
        let mut states = vec![u32::MAX; self.contexts.len()];
        for read in &self.batch.reads {
            for (&state, &context) in read.states.iter().zip(&read.contexts) {
                states[context as usize] = state;
            }
        }
        states
    }
}

/// Computes the steps of several sources, in the order of `sequence` but for the first `skipped`, while the next are made on
/// another thread. Stops where `each` says false.
pub(super) fn run(
    mut sources: Vec<Source<'_>>,
    sequence: &[usize],
    skipped: usize,
    mut each: impl FnMut(Step) -> Result<bool>,
) -> Result<()> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let maker = scope.spawn(move || -> Result<()> {
            let (gone, left) = sequence.split_at(skipped.min(sequence.len()));
            for (at, source) in sources.iter_mut().enumerate() {
                source.skip(gone.iter().filter(|&&of| of == at).count())?;
            }
            for &source in left {
                if let Some(made) = sources[source].next()? {
                    let mut parts = Vec::new();
                    for made in made {
                        parts.extend(sources[source].laid(made)?);
                    }
                    // The receiver is gone when `each` asked to stop.
                    if sender.send((source, parts)).is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        let mut outcome = Ok(());
        let mut begun = Instant::now();
        for (source, parts) in &receiver {
            match each(Step { source, parts, waited: begun.elapsed() }) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            begun = Instant::now();
        }
        drop(receiver);
        match maker.join() {
            Ok(made) => made.and(outcome),
            Err(_) => Err(Error::Training("the thread that lays out batches panicked; this is a defect of Relata".to_owned())),
        }
    })
}

impl<'t> Batches<'t> {
    /// Goes through rows in batches; `each` computes one while the next are made.
    pub(super) fn run(&'t self, rows: &[u32], pass: &Pass, mut each: impl FnMut(Laid) -> Result<bool>) -> Result<()> {
        let asked = Asked::Nodes(rows.to_vec());
        self.run_asked(&asked, pass, &mut each)
    }

    /// The same, for whatever is asked.
    pub(super) fn run_asked(&self, asked: &Asked, pass: &Pass, each: &mut dyn FnMut(Laid) -> Result<bool>) -> Result<()> {
        let source = Source::new(self, asked, *pass);
        let sequence = vec![0; source.steps()];
        run(vec![source], &sequence, 0, |step| {
            for laid in step.parts {
                if !each(laid)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn hits(&self, rows: &[u32], places: &[u32]) -> Vec<Hit> {
        let (Makes::Nodes(node_type) | Makes::Views { node_type, .. }) = self.makes else { return Vec::new() };
        places.iter().map(|&place| Hit { node_type, node: rows[place as usize] }).collect()
    }

    fn contexts(&self, rows: &[u32], places: &[u32], pass: &Pass) -> Result<Vec<(u32, Context)>> {
        self.sampler.map_each(&self.hits(rows, places), pass.draw, |number, subgraph| {
            let place = places[number];
            (place, self.context(subgraph, u64::from(place), pass.draw, pass))
        })
    }

    /// Contexts of nodes as a whole.
    fn contexts_of(&self, hits: &[Hit], draw: u64, sampler: &Sampler, pass: &Pass) -> Result<Vec<(u32, Context)>> {
        sampler.map_each(hits, draw, |number, subgraph| {
            let hit = hits[number];
            let place = u64::from(hit.node_type.0) << 32 | u64::from(hit.node);
            (number as u32, self.context(subgraph, place, draw, pass))
        })
    }

    fn context(&self, subgraph: &mut Subgraph, place: u64, draw: u64, pass: &Pass) -> Context {
        let mut random = self.key.with(draw).with(place).with(1).random();
        let mut chance = |share: f64| random.below(1 << 32) < (share * (1_u64 << 32) as f64) as u64;
        if pass.edge_dropout > 0.0 {
            subgraph.edges.retain(|_| !chance(pass.edge_dropout));
        }
        let mut context = match pass.question {
            Question::Whole => self.encoder.encode_whole(subgraph),
            Question::Target | Question::Masked(_) => self.encoder.encode(subgraph),
        };
        if let Question::Masked(share) = pass.question {
            for token in &mut context.tokens {
                let has_value = matches!(self.kinds[usize::from(token.column)], ColumnKind::Number | ColumnKind::Category);
                if token.state == State::Shown && has_value && chance(share) {
                    token.state = State::Masked;
                }
            }
        }
        context
    }

    fn lay(&self, contexts: Vec<(u32, Context)>, pass: &Pass) -> Laid {
        let reads: Vec<Vec<u32>> = contexts
            .iter()
            .map(|(_, context)| match pass.question {
                Question::Target | Question::Whole => vec![context.target],
                Question::Masked(_) => (0..)
                    .zip(&context.tokens)
                    .filter(|(at, token)| token.state == State::Masked && *at != context.target)
                    .map(|(at, _)| at)
                    .collect(),
            })
            .collect();
        let (places, contexts): (Vec<u32>, Vec<Context>) = contexts.into_iter().unzip();
        let tokens = contexts.iter().map(|context| context.tokens.len()).sum();
        let entries = match pass.wants_entries {
            true => contexts.iter().map(|context| entries(context, self.vocabulary)).collect(),
            false => Vec::new(),
        };
        let counts = self.counts.filter(|_| pass.question == Question::Target);
        let batch = laid_out(&contexts, &reads, &self.task.task.model.blocks, &self.kinds, counts);
        Laid { places, entries, batch, contexts, reads, tokens, pairs: None }
    }
}

/// Contexts as a batch; the numbers that are read are counts as they are where a column of them is given.
pub(super) fn laid_out(
    contexts: &[Context],
    reads: &[Vec<u32>],
    blocks: &[Vec<AttentionKind>],
    kinds: &[ColumnKind],
    counts: Option<&VocabularyColumn>,
) -> Batch {
    let all: Vec<&Context> = contexts.iter().collect();
    let mut batch = Batch::new(&all, reads, blocks, kinds);
    if let Some(column) = counts {
        for number in batch.reads.iter_mut().flat_map(|read| &mut read.numbers).filter(|number| !number.is_nan()) {
            *number = column.original(f64::from(*number)).round().max(0.0) as f32;
        }
    }
    batch
}
