use burn::module::Module;
use burn::nn::{Linear, RmsNorm};
use burn::tensor::{Bool, Device, Tensor, TensorData, activation};

use super::indices;
use super::init::Initializer;
use crate::tokens::Sublayer;

/// Stands for "not visible" before the softmax. Finite, so that a padded query, which sees nothing, has a softmax.
const HIDDEN: f32 = -1e9;

/// One kind of attention: multi-head attention of a layer's queries over its keys, both normed, and over the keys' states
/// as values, as they are. What a token holds reaches its readers in proportion, so that a count of 20 weighs more than
/// one of 1; the norm that follows (of the next layer or the head) keeps scales in check.
///
/// At first queries are small and values pass as they are: a layer adds about the mean of what each query sees.
#[derive(Module, Debug)]
pub(super) struct RelationalAttention {
    norm: RmsNorm,
    key_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
}

impl RelationalAttention {
    pub(super) fn new(width: usize, heads: usize, init: &mut Initializer<'_>) -> Self {
        Self {
            norm: init.norm(width),
            key_norm: init.norm(width),
            query: init.linear(width, width, 0.1),
            key: init.linear(width, width, 1.0),
            value: init.pass(width),
            output: init.pass(width),
            heads,
        }
    }

    /// The states that are kept, each with what its query saw added.
    ///
    /// # Shapes
    /// `[states in, width]` to `[states out, width]`.
    pub(super) fn forward(&self, states: Tensor<2>, layer: &Sublayer) -> Tensor<2> {
        let device = states.device();
        let is_identity =
            layer.kept.len() == states.dims()[0] && layer.kept.iter().enumerate().all(|(at, &from)| at == from as usize);
        let kept = if is_identity { states.clone() } else { states.clone().select(0, indices(&layer.kept, &device)) };
        if layer.query_count == 0 || layer.key_count == 0 {
            return kept;
        }
        let queries = self.norm.forward(states.clone().select(0, indices(&layer.queries, &device)));
        let keys = states.select(0, indices(&layer.keys, &device));
        let contexts = layer.queries.len() / layer.query_count;
        let [_, width] = queries.dims();
        let hidden = TensorData::new(layer.hidden.clone(), [contexts, layer.query_count, layer.key_count]);
        let hidden = Tensor::<3, Bool>::from_data(hidden, &device);
        let seen = if layer.query_count * self.heads < width {
            self.few_queries(queries, keys, hidden)
        } else {
            self.many_queries(queries, keys, hidden)
        };
        let seen = self.output.forward(seen);
        if layer.outputs.iter().enumerate().all(|(at, output)| *output == Some(at as u32))
            && layer.outputs.len() == seen.dims()[0]
        {
            return kept + seen;
        }
        let places: Vec<u32> = layer.outputs.iter().map(|output| output.unwrap_or(0)).collect();
        let seen = seen.select(0, indices(&places, &device));
        kept + seen * sees(layer, &device)
    }

    /// Attention as it is usually computed: keys and values of every token are projected.
    ///
    /// # Shapes
    /// queries `[contexts × queries, width]`, keys `[contexts × keys, width]`, hidden `[contexts, queries, keys]` to
    /// `[contexts × queries, width]`.
    fn many_queries(&self, queries: Tensor<2>, keys: Tensor<2>, hidden: Tensor<3, Bool>) -> Tensor<2> {
        let [contexts, query_count, key_count] = hidden.dims();
        let [_, width] = queries.dims();
        let of_head = width / self.heads;
        let split = |projected: Tensor<2>, count| {
            projected.reshape([contexts, count, self.heads, of_head]).swap_dims(1, 2) // [contexts, heads, count, of_head]
        };
        let value = split(self.value.forward(keys.clone()), key_count);
        let key = split(self.key.forward(self.key_norm.forward(keys)), key_count);
        let query = split(self.query.forward(queries), query_count);
        let scores = query.matmul(key.transpose()) * self.scale(width); // [contexts, heads, queries, keys]
        let hidden = hidden.unsqueeze_dim::<4>(1).expand([contexts, self.heads, query_count, key_count]);
        let weights = activation::softmax(scores.mask_fill(hidden, HIDDEN), 3);
        weights.matmul(value).swap_dims(1, 2).reshape([contexts * query_count, width])
    }

    /// The same function for few queries: `q·(x K) = (q Kᵀ)·x` and `w·(x V) = (w·x) V`, so that no token is projected.
    ///
    /// # Shapes
    /// As [`many_queries`](Self::many_queries).
    fn few_queries(&self, queries: Tensor<2>, keys: Tensor<2>, hidden: Tensor<3, Bool>) -> Tensor<2> {
        let [contexts, query_count, key_count] = hidden.dims();
        let [_, width] = queries.dims();
        let (heads, of_head) = (self.heads, width / self.heads);
        let rows = contexts * query_count;
        let keys = keys.reshape([contexts, key_count, width]);
        let query = self.query.forward(queries).reshape([rows, heads, of_head]).swap_dims(0, 1); // [heads, rows, of_head]
        let key = self.key.weight.val().reshape([width, heads, of_head]).permute([1, 2, 0]); // [heads, of_head, width]
        let query = query.matmul(key).swap_dims(0, 1).reshape([contexts, query_count * heads, width]);
        let normed = self.key_norm.forward(keys.clone());
        let scores = query.matmul(normed.transpose()) * self.scale(width); // [contexts, queries × heads, keys]
        let hidden = hidden.unsqueeze_dim::<4>(2).expand([contexts, query_count, heads, key_count]);
        let hidden = hidden.reshape([contexts, query_count * heads, key_count]);
        let weights = activation::softmax(scores.mask_fill(hidden, HIDDEN), 2);
        let seen = weights.matmul(keys).reshape([rows, heads, width]).swap_dims(0, 1); // [heads, rows, width]
        let value = self.value.weight.val().reshape([width, heads, of_head]).swap_dims(0, 1); // [heads, width, of_head]
        seen.matmul(value).swap_dims(0, 1).reshape([rows, width])
    }

    fn scale(&self, width: usize) -> f64 {
        ((width / self.heads) as f64).powf(-0.5)
    }
}

/// 1 for each state coming out that saw something, else 0: `[states out, 1]`.
fn sees(layer: &Sublayer, device: &Device) -> Tensor<2> {
    let sees: Vec<f32> = layer.outputs.iter().map(|output| f32::from(u8::from(output.is_some()))).collect();
    let count = sees.len();
    Tensor::from_data(TensorData::new(sees, [count, 1]), device)
}
