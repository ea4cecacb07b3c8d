use std::sync::mpsc::sync_channel;
use std::thread;

use super::first_order::{Entry, entries};
use crate::sampler::random::Key;
use crate::sampler::{Sampler, Subgraph};
use crate::snapshot::Hit;
use crate::task::{AttentionKind, ResolvedTask};
use crate::tokens::{Batch, ColumnKind, Context, Encoder, State, Vocabulary};
use crate::{Error, Result};

/// How many batches may wait to be computed.
const AHEAD: usize = 3;

/// Contexts that are sorted by size together, in batches: enough that those of a batch are alike.
const SORTED_TOGETHER: usize = 16;

/// What the tokens of a batch are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Question {
    /// The seeds' target.
    Target,
    /// Values that are masked: a share of those shown.
    Masked(f64),
}

impl Question {
    /// The phase of training that asks it.
    pub(super) fn phase(self) -> &'static str {
        match self {
            Self::Target => "train",
            Self::Masked(_) => "pretrain",
        }
    }
}

/// Makes batches from rows: samples, encodes, lays out.
pub(super) struct Batches<'t> {
    pub(super) sampler: &'t Sampler,
    pub(super) encoder: &'t Encoder,
    pub(super) vocabulary: &'t Vocabulary,
    pub(super) task: &'t ResolvedTask,
    pub(super) kinds: Vec<ColumnKind>,
    pub(super) key: Key,
}

/// One pass over some rows.
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

/// A batch, and the rows that it is of, by their place among those asked for.
pub(super) struct Laid {
    pub(super) places: Vec<u32>,
    pub(super) batch: Batch,
    /// The entries of each context's seed.
    pub(super) entries: Vec<Vec<Entry>>,
    pub(super) tokens: usize,
}

impl Batches<'_> {
    /// Goes through `rows` in batches; `each` computes one while the next are made.
    pub(super) fn run(&self, rows: &[u32], pass: &Pass, mut each: impl FnMut(Laid) -> Result<bool>) -> Result<()> {
        let blocks = &self.task.task.model.blocks;
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(AHEAD);
            let maker = scope.spawn(move || -> Result<()> {
                let mut order: Vec<u32> = (0..rows.len() as u32).collect();
                if pass.shuffled {
                    self.key.with(pass.draw).random().shuffle(&mut order);
                }
                let size = self.task.task.train.batch.max(1);
                for group in order.chunks(size * SORTED_TOGETHER) {
                    let mut contexts = self.contexts(rows, group, pass)?;
                    contexts.sort_by_key(|(_, context)| context.tokens.len());
                    let mut batches: Vec<_> = contexts.chunks(size).collect();
                    if pass.shuffled {
                        self.key.with(pass.draw).with(u64::from(group[0])).random().shuffle(&mut batches);
                    }
                    for contexts in batches {
                        let laid = self.lay(contexts, pass, blocks);
                        // The receiver is gone when `each` asked to stop.
                        if sender.send(laid).is_err() {
                            return Ok(());
                        }
                    }
                }
                Ok(())
            });
            let mut outcome = Ok(());
            for laid in &receiver {
                match each(laid) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            drop(receiver);
            match maker.join() {
                Ok(made) => made.and(outcome),
                Err(_) => {
                    Err(Error::Training("the thread that lays out batches panicked; this is a defect of Relata".to_owned()))
                }
            }
        })
    }

    fn contexts(&self, rows: &[u32], group: &[u32], pass: &Pass) -> Result<Vec<(u32, Context)>> {
        let seeds: Vec<Hit> =
            group.iter().map(|&place| Hit { node_type: self.task.node_type, node: rows[place as usize] }).collect();
        self.sampler.map_each(&seeds, pass.draw, |number, subgraph| {
            let place = group[number];
            (place, self.context(subgraph, place, pass))
        })
    }

    fn context(&self, subgraph: &mut Subgraph, place: u32, pass: &Pass) -> Context {
        let mut random = self.key.with(pass.draw).with(u64::from(place)).with(1).random();
        let mut chance = |share: f64| random.below(1 << 32) < (share * (1_u64 << 32) as f64) as u64;
        if pass.edge_dropout > 0.0 {
            subgraph.edges.retain(|_| !chance(pass.edge_dropout));
        }
        let mut context = self.encoder.encode(subgraph);
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

    fn lay(&self, contexts: &[(u32, Context)], pass: &Pass, blocks: &[Vec<AttentionKind>]) -> Laid {
        let reads: Vec<Vec<u32>> = contexts
            .iter()
            .map(|(_, context)| match pass.question {
                Question::Target => vec![context.target],
                Question::Masked(_) => (0..)
                    .zip(&context.tokens)
                    .filter(|(at, token)| token.state == State::Masked && *at != context.target)
                    .map(|(at, _)| at)
                    .collect(),
            })
            .collect();
        let (places, contexts): (Vec<u32>, Vec<&Context>) = contexts.iter().map(|(place, context)| (*place, context)).unzip();
        let tokens = contexts.iter().map(|context| context.tokens.len()).sum();
        let entries = match pass.wants_entries {
            true => contexts.iter().map(|context| entries(context, self.vocabulary)).collect(),
            false => Vec::new(),
        };
        Laid { places, entries, batch: Batch::new(&contexts, &reads, blocks, &self.kinds), tokens }
    }
}
