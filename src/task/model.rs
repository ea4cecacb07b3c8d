use serde::{Deserialize, Serialize};

/// Which tokens a token may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Tokens of the same attribute (column).
    Column,
    /// Tokens of the same row and of the rows it refers to (its parents).
    Row,
    /// Tokens of the rows that refer to this one.
    Neighbour,
    /// Tokens of what contains this row: queries climb the hierarchy.
    Up,
    /// Tokens of what this row contains.
    Down,
    /// All tokens of the context.
    Full,
}

impl AttentionKind {
    /// As a task writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Column => "column",
            Self::Row => "row",
            Self::Neighbour => "neighbour",
            Self::Up => "up",
            Self::Down => "down",
            Self::Full => "full",
        }
    }
}

/// In what layers' products are computed; parameters, norms and sums have 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    F32,
    /// bfloat16: on cards, and with LibTorch.
    Bf16,
}

/// What tokens and answers are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// Whose the value is, the value, and its column, each with vectors of its own; an answer a column.
    Identity,
    /// As the relational transformer has it (Ranjan et al. 2025, <https://arxiv.org/abs/2510.06377>): the column's name as a
    /// text, and the value by its semantic type; an answer a semantic type. A token does not say whose it is: only rows do, so
    /// `context.hops` must reach what is to be told apart. Identities have no vectors.
    Typed,
}

/// Where identities' vectors start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Small and random.
    Random,
    /// The principal axes of the matrix of training rows × identities, so that what a row's edges have in common is in
    /// its state from the first step.
    Spectral,
}

/// `[model]`: the model's shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Numbers a token.
    pub width: usize,
    /// What tokens and answers are made of: `identity`, or `typed`.
    pub tokens: Tokens,
    /// Numbers that a text becomes.
    pub text: u32,
    /// Attention heads.
    pub heads: usize,
    /// For each block the kinds of attention in it.
    pub blocks: Vec<Vec<AttentionKind>>,
    /// Width of the feed-forward layer, as a multiple of `width`.
    pub expansion: f64,
    /// Whether keys have a norm of their own, and values are of the states as they are; else one norm serves queries, keys and
    /// values.
    pub key_norm: bool,
    /// Whether queries and keys are divided by their root mean square, head by head (Henry et al. 2020,
    /// <https://arxiv.org/abs/2010.04245>).
    pub qk_norm: bool,
    /// Whether scores are multiplied by the logarithm of the number of keys that the query sees (Nakanishi 2025,
    /// <https://arxiv.org/abs/2501.19399>).
    pub log_scale: bool,
    /// Whether each head has a learnt number that its scores are multiplied by.
    pub head_scale: bool,
    /// Whether what is attended to passes a gate, the sigmoid of a projection of the query's state (Qiu et al. 2025,
    /// <https://arxiv.org/abs/2505.06708>).
    pub gate: bool,
    /// Added to mean squares in norms.
    pub epsilon: f64,
    /// Whether the way back computes again what feed-forward layers hold between: slower by a tenth or so, for half the memory.
    pub recompute: bool,
    /// In what layers' products are computed: `f32`, or `bf16`, which Flex does not do.
    pub precision: Precision,
    /// Where identities' vectors start: at random, or at the principal axes of the training rows' edges. Typed tokens have none,
    /// and start at random.
    pub start: Start,
    /// Whether a linear term over the seed's own edges answers beside the transformer (for classes only), and the two
    /// probabilities are averaged: as in wide-and-deep models (Cheng et al. 2016, <https://arxiv.org/abs/1606.07792>).
    pub first_order: bool,
}

impl Default for ModelConfig {
    fn default() -> Self {
        use AttentionKind::{Down, Neighbour, Row};
        Self {
            width: 64,
            tokens: Tokens::Identity,
            text: 256,
            heads: 4,
            // From the seed's edges to the seed: a layer costs what the seed's tokens see, not all pairs.
            blocks: vec![vec![Down, Neighbour, Row]],
            expansion: 2.0,
            key_norm: true,
            qk_norm: false,
            log_scale: false,
            head_scale: false,
            gate: false,
            epsilon: 1e-5,
            recompute: false,
            precision: Precision::F32,
            start: Start::Spectral,
            first_order: true,
        }
    }
}

/// What changes the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// AdamW (Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>).
    Adamw,
    /// Muon (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>) for the weights of layers, with steps as long as
    /// AdamW's (Liu et al. 2025, <https://arxiv.org/abs/2502.16982>); AdamW for what is no matrix of a layer.
    Muon,
}

/// How the learning rate falls once it has risen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// As a cosine, to 0 (Loshchilov and Hutter 2017, <https://arxiv.org/abs/1608.03983>).
    Cosine,
    /// In a straight line, to 0.
    Linear,
    /// Not at all.
    Constant,
}

/// `[train]`: how it is trained.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training rows.
    pub epochs: u32,
    /// Passes of masked-value pretraining before, over all rows of the task's node type; their targets stay hidden.
    pub pretrain_epochs: u32,
    /// Contexts a batch.
    pub batch: usize,
    /// Batches a step: their gradients are added up.
    pub accumulate: usize,
    /// Tokens that are computed at once, at most: a batch of more is computed in parts, whose gradients are added up to the same
    /// step. This is what bounds the memory of training. A single context is never cut, nor is a batch of contrasts.
    pub tokens: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Share of the steps over which the learning rate rises in a straight line.
    pub warm_up: f64,
    /// How it falls behind them: `cosine`, `linear`, or `constant`.
    pub decay: Decay,
    /// What changes the parameters: `adamw`, or `muon`.
    pub optimizer: OptimizerKind,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The norm of all gradients together that they are scaled down to, where theirs is larger.
    pub clip: f64,
    /// What a moving average of the parameters keeps of itself at each step, such as 0.999; the model is then that average
    /// (Polyak and Juditsky 1992, <https://doi.org/10.1137/0330046>). The parameters themselves if 0. The first averages keep
    /// less: at step n at most (1 + n) / (10 + n).
    pub ema: f64,
    /// Share of the training rows that do not train but tell which epoch's model is best, by the task's first metric; that one is
    /// kept. None if 0: then the last is kept.
    pub validation: f64,
    /// Stop after so many epochs without a better one, with `validation`; 0 for never.
    pub patience: u32,
    /// Whether the rows of `validation` also tell the temperature that makes the probabilities of classes as often right as they
    /// say.
    pub calibrate: bool,
    /// Minutes between checkpoints, from which `relata train --resume` goes on.
    pub checkpoint_minutes: f64,
    /// Share of a training context's edges that each epoch leaves out at random: what the model says must not hang on
    /// single ones. It regularises as dropout on the inputs does (Wager et al. 2013, <https://arxiv.org/abs/1307.1493>).
    pub edge_dropout: f64,
    /// Share of a class's weight in the loss that is spread over all classes.
    pub label_smoothing: f64,
    /// Share of values that pretraining masks.
    pub mask: f64,
    /// Models trained from different first values, whose answers are averaged.
    pub members: u32,
    /// Of every random choice.
    pub seed: u64,
    /// Stop after so many minutes, if given; the learning rate falls accordingly.
    pub minutes: Option<f64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            pretrain_epochs: 0,
            batch: 32,
            accumulate: 1,
            tokens: 65_536,
            learning_rate: 3e-3,
            warm_up: 0.05,
            decay: Decay::Cosine,
            optimizer: OptimizerKind::Adamw,
            weight_decay: 0.01,
            clip: 1.0,
            ema: 0.0,
            validation: 0.0,
            patience: 0,
            calibrate: true,
            checkpoint_minutes: 5.0,
            edge_dropout: 0.2,
            label_smoothing: 0.0,
            mask: 0.15,
            members: 1,
            seed: 0,
            minutes: None,
        }
    }
}
