use burn::module::{Module, Param};
use burn::nn::{Linear, RmsNorm};
use burn::tensor::{Tensor, activation};

use super::dense::Dense;
use super::fused::{self, AttentionOptions, AttentionWeights};
use super::indices;
use super::init::Initializer;
use super::precision::product;
use crate::kernels::Rows;
use crate::task::{ModelConfig, Precision};
use crate::tokens::Sublayer;

/// Stands for "not visible" before the softmax. Finite, so that a padded query, which sees nothing, has a softmax.
const HIDDEN: f32 = -1e9;

/// Added to a mean square before its root, where queries and keys are normed head by head.
const EPSILON: f64 = 1e-6;

/// One kind of attention: multi-head attention of a layer's queries over its keys.
///
/// With a norm of their own, keys are normed, and values are of their states as they are: what a token holds reaches its
/// readers in proportion, so that a count of 20 weighs more than one of 1; the norm that follows (of the next layer or the
/// head) keeps scales in check. Without, one norm serves all three, as is usual.
///
/// At first queries are small and values pass as they are: a layer adds about the mean of what each query sees.
#[derive(Module, Debug)]
pub(super) struct RelationalAttention {
    norm: RmsNorm,
    key_norm: Option<RmsNorm>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// Times the query's norm, and its sigmoid: what is let through.
    gate: Option<Linear>,
    /// What the heads' scores are multiplied by: `[heads]`.
    scales: Option<Param<Tensor<1>>>,
    heads: usize,
    is_normed: bool,
    is_counted: bool,
    #[module(skip)]
    precision: Precision,
    /// Made of the backend's operations though there are kernels.
    pub(super) is_dense: bool,
}

impl RelationalAttention {
    pub(super) fn new(config: &ModelConfig, init: &mut Initializer<'_>) -> Self {
        let width = config.width;
        Self {
            norm: init.norm(width, config.epsilon),
            key_norm: config.key_norm.then(|| init.norm(width, config.epsilon)),
            query: init.linear(width, width, 0.1),
            key: init.linear(width, width, 1.0),
            value: init.pass(width),
            output: init.pass(width),
            gate: config.gate.then(|| init.linear(width, width, 0.1)),
            scales: config.head_scale.then(|| init.constant([config.heads], 1.0)),
            heads: config.heads,
            is_normed: config.qk_norm,
            is_counted: config.log_scale,
            precision: config.precision,
            is_dense: false,
        }
    }

    /// The states that are kept, each with what its query saw added.
    ///
    /// # Shapes
    /// `[states in, width]` to `[states out, width]`.
    pub(super) fn forward(&self, states: Tensor<2>, layer: &Sublayer) -> Tensor<2> {
        let [query_count, key_count] = Dense::most(layer);
        if query_count == 0 || key_count == 0 {
            return kept(states, &layer.reach.kept);
        }
        let is_few = query_count * self.heads < self.norm.gamma.dims()[0];
        if is_few && self.key_norm.is_some() && !self.is_normed {
            return self.dense(states, layer, Self::few_queries);
        }
        if fused::is_fused(&states) && !self.is_dense {
            return self.fused(states, layer);
        }
        self.dense(states, layer, Self::many_queries)
    }

    /// The whole layer as one operation.
    fn fused(&self, states: Tensor<2>, layer: &Sublayer) -> Tensor<2> {
        let options = AttentionOptions {
            heads: self.heads,
            is_normed: self.is_normed,
            is_counted: self.is_counted,
            epsilon: self.norm.epsilon as f32,
            has_key_norm: self.key_norm.is_some(),
            has_gate: self.gate.is_some(),
            has_scales: self.scales.is_some(),
        };
        let none = || Tensor::<1>::zeros([1], &self.norm.gamma.device()).into_dispatch();
        let weights = AttentionWeights {
            query: self.query.weight.val().into_dispatch(),
            key: self.key.weight.val().into_dispatch(),
            value: self.value.weight.val().into_dispatch(),
            output: self.output.weight.val().into_dispatch(),
            gate: self.gate.as_ref().map_or_else(none, |gate| gate.weight.val().into_dispatch()),
            gamma: self.norm.gamma.val().into_dispatch(),
            key_gamma: self.key_norm.as_ref().map_or_else(none, |norm| norm.gamma.val().into_dispatch()),
            scales: self.scales.as_ref().map_or_else(none, |scales| scales.val().into_dispatch()),
        };
        fused::attention(states, weights, layer.reach.clone(), options)
    }

    fn dense(
        &self,
        states: Tensor<2>,
        layer: &Sublayer,
        attend: fn(&Self, Tensor<2>, Tensor<2>, &Dense) -> Tensor<2>,
    ) -> Tensor<2> {
        let dense = Dense::of(layer);
        let kept = kept(states.clone(), &layer.reach.kept);
        let queries = self.norm.forward(dense.queries(states.clone()));
        let seen = attend(self, queries.clone(), dense.keys(states), &dense);
        let seen = match &self.gate {
            Some(gate) => seen * activation::sigmoid(self.times(queries, gate)),
            None => seen,
        };
        kept + dense.outputs(self.times(seen, &self.output))
    }

    /// Attention as it is usually computed: keys and values of every token are projected.
    ///
    /// # Shapes
    /// queries, normed, `[contexts × queries, width]`, keys' states `[contexts × keys, width]` to
    /// `[contexts × queries, width]`.
    fn many_queries(&self, queries: Tensor<2>, keys: Tensor<2>, dense: &Dense) -> Tensor<2> {
        let (contexts, query_count, key_count) = (dense.contexts, dense.query_count, dense.key_count);
        let [_, width] = queries.dims();
        let of_head = width / self.heads;
        let split = |projected: Tensor<2>, count| {
            projected.reshape([contexts, count, self.heads, of_head]).swap_dims(1, 2) // [contexts, heads, count, of_head]
        };
        let (normed, values) = match &self.key_norm {
            Some(norm) => (norm.forward(keys.clone()), keys),
            None => {
                let normed = self.norm.forward(keys);
                (normed.clone(), normed)
            }
        };
        let value = split(self.times(values, &self.value), key_count);
        let key = self.normed(split(self.times(normed, &self.key), key_count));
        let query = self.normed(split(self.times(queries, &self.query), query_count));
        let scores = self.product(query, key.transpose()); // [contexts, heads, queries, keys]
        let scores = scores * self.factors(width, dense).swap_dims(1, 2);
        let hidden = dense.hidden(&value.device());
        let hidden = hidden.unsqueeze_dim::<4>(1).expand([contexts, self.heads, query_count, key_count]);
        let weights = activation::softmax(scores.mask_fill(hidden, HIDDEN), 3);
        self.product(weights, value).swap_dims(1, 2).reshape([contexts * query_count, width])
    }

    /// The same function for few queries: `q·(x K) = (q Kᵀ)·x` and `w·(x V) = (w·x) V`, so that no token is projected.
    ///
    /// # Shapes
    /// As [`many_queries`](Self::many_queries).
    fn few_queries(&self, queries: Tensor<2>, keys: Tensor<2>, dense: &Dense) -> Tensor<2> {
        let (contexts, query_count, key_count) = (dense.contexts, dense.query_count, dense.key_count);
        let [_, width] = queries.dims();
        let (heads, of_head) = (self.heads, width / self.heads);
        let rows = contexts * query_count;
        let keys = keys.reshape([contexts, key_count, width]);
        let query = self.times(queries, &self.query).reshape([rows, heads, of_head]).swap_dims(0, 1); // [heads, rows, of_head]
        let key = self.key.weight.val().reshape([width, heads, of_head]).permute([1, 2, 0]); // [heads, of_head, width]
        let query = self.product(query, key).swap_dims(0, 1).reshape([contexts, query_count * heads, width]);
        let normed = match &self.key_norm {
            Some(norm) => norm.forward(keys.clone()),
            None => self.norm.forward(keys.clone()),
        };
        let scores = self.product(query, normed.transpose()); // [contexts, queries × heads, keys]
        let scores = scores * self.factors(width, dense).reshape([contexts, query_count * heads, 1]);
        let hidden = dense.hidden(&keys.device());
        let hidden = hidden.unsqueeze_dim::<4>(2).expand([contexts, query_count, heads, key_count]);
        let hidden = hidden.reshape([contexts, query_count * heads, key_count]);
        let weights = activation::softmax(scores.mask_fill(hidden, HIDDEN), 2);
        let seen = self.product(weights, keys).reshape([rows, heads, width]).swap_dims(0, 1); // [heads, rows, width]
        let value = self.value.weight.val().reshape([width, heads, of_head]).swap_dims(0, 1); // [heads, width, of_head]
        self.product(seen, value).swap_dims(0, 1).reshape([rows, width])
    }

    fn product<const D: usize>(&self, one: Tensor<D>, other: Tensor<D>) -> Tensor<D> {
        product(one, other, self.precision)
    }

    fn times(&self, states: Tensor<2>, linear: &Linear) -> Tensor<2> {
        self.product(states, linear.weight.val())
    }

    /// Divided by the root mean square of the last dimension, if the configuration says so.
    fn normed(&self, parts: Tensor<4>) -> Tensor<4> {
        if !self.is_normed {
            return parts;
        }
        let rms = (parts.clone().square().mean_dim(3) + EPSILON).sqrt();
        parts / rms
    }

    /// What scores are multiplied by: `[contexts, queries, heads, 1]`.
    fn factors(&self, width: usize, dense: &Dense) -> Tensor<4> {
        let (contexts, query_count, heads) = (dense.contexts, dense.query_count, self.heads);
        let device = self.norm.gamma.device();
        let mut factors = Tensor::<4>::ones([contexts, query_count, heads, 1], &device) * ((width / heads) as f64).powf(-0.5);
        if self.is_counted {
            factors = factors * dense.logarithms(&device).reshape([contexts, query_count, 1, 1]);
        }
        match &self.scales {
            Some(scales) => factors * scales.val().reshape([1, 1, heads, 1]),
            None => factors,
        }
    }
}

fn kept(states: Tensor<2>, kept: &Rows) -> Tensor<2> {
    match kept {
        Rows::First(count) if *count == states.dims()[0] => states,
        rows => {
            let places: Vec<u32> = rows.iter().map(|row| row as u32).collect();
            let device = states.device();
            states.select(0, indices(&places, &device))
        }
    }
}
