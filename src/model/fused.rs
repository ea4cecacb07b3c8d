//! Whole layers as operations of burn's, on the processor: [`kernels`](crate::kernels), with the gradients that these give.
//! Other backends have the same layers made of burn's own operations.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, backend_extension};
use burn::tensor::{Device, Tensor, TensorData};

use crate::kernels::{AttentionKept, AttentionLayer, FeedForward, FeedForwardKept, Norm, Reach};

/// What of a layer of attention is no tensor; the layer's tensors follow the states as the fields do.
#[derive(Clone, Copy, Debug)]
pub struct AttentionOptions {
    pub heads: usize,
    pub is_normed: bool,
    pub is_counted: bool,
    pub epsilon: f32,
    pub has_key_norm: bool,
    pub has_gate: bool,
    pub has_scales: bool,
}

/// What of a feed-forward layer is no tensor.
#[derive(Clone, Copy, Debug)]
pub struct FeedForwardOptions {
    pub epsilon: f32,
    pub recomputes: bool,
}

/// The weights of a layer of attention. What a layer has none of is one 0, which nobody reads.
#[derive(ExtensionType)]
pub struct AttentionWeights<B: Backend> {
    pub query: FloatTensor<B>,
    pub key: FloatTensor<B>,
    pub value: FloatTensor<B>,
    pub output: FloatTensor<B>,
    pub gate: FloatTensor<B>,
    pub gamma: FloatTensor<B>,
    pub key_gamma: FloatTensor<B>,
    pub scales: FloatTensor<B>,
}

/// The weights of a feed-forward layer.
#[derive(ExtensionType)]
pub struct FeedForwardWeights<B: Backend> {
    pub gate: FloatTensor<B>,
    pub up: FloatTensor<B>,
    pub down: FloatTensor<B>,
    pub gamma: FloatTensor<B>,
}

/// Layers, of states `[states, width]` and weights.
#[backend_extension(Flex, Autodiff)]
pub trait Layers: Backend {
    /// See [`AttentionLayer`].
    fn attention_layer(
        states: FloatTensor<Self>,
        #[extension_type] weights: AttentionWeights<Self>,
        reach: Arc<Reach>,
        options: AttentionOptions,
    ) -> FloatTensor<Self>;

    /// See [`FeedForward`].
    fn feed_forward_layer(
        states: FloatTensor<Self>,
        #[extension_type] weights: FeedForwardWeights<Self>,
        options: FeedForwardOptions,
    ) -> FloatTensor<Self>;
}

/// Whether a tensor's backend has these operations.
pub(super) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device().inner() == Device::flex()
}

/// The memory of a tensor that no gradient is asked of, its numbers one after the other, if it is this processor's.
pub(crate) fn on_processor<const D: usize>(tensor: Tensor<D>) -> Option<Numbers> {
    if is_fused(&tensor) { tensor.try_into_primitive::<Flex>().ok().map(flat) } else { None }
}

/// A tensor of numbers of the processor's.
pub(crate) fn from_processor<const D: usize>(numbers: Numbers) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(numbers)
}

/// A layer of attention as one operation.
pub(super) fn attention(
    states: Tensor<2>,
    weights: AttentionWeights<Dispatch>,
    reach: Arc<Reach>,
    options: AttentionOptions,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::attention_layer(states.into_dispatch(), weights, reach, options))
}

/// A feed-forward layer as one operation.
pub(super) fn feed_forward(states: Tensor<2>, weights: FeedForwardWeights<Dispatch>, options: FeedForwardOptions) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::feed_forward_layer(states.into_dispatch(), weights, options))
}

pub(crate) type Numbers = FloatTensor<Flex>;

/// A tensor whose numbers lie one after the other.
fn flat(tensor: Numbers) -> Numbers {
    if tensor.layout().contiguous_offsets() == Some((0, tensor.storage::<f32>().len())) { tensor } else { tensor.to_contiguous() }
}

fn tensor(numbers: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> Numbers {
    Flex::float_from_data(TensorData::new(numbers, shape.into()), &Default::default())
}

/// The numbers of a tensor that [`flat`] has made.
fn slice(tensor: &Numbers) -> &[f32] {
    tensor.storage()
}

fn attention_of(weights: &AttentionWeights<Flex>, options: AttentionOptions) -> AttentionLayer<'_> {
    let AttentionOptions { heads, is_normed, is_counted, epsilon, .. } = options;
    AttentionLayer {
        heads,
        is_normed,
        is_counted,
        norm: Norm { gamma: slice(&weights.gamma), epsilon },
        key_norm: options.has_key_norm.then(|| Norm { gamma: slice(&weights.key_gamma), epsilon }),
        query: slice(&weights.query),
        key: slice(&weights.key),
        value: slice(&weights.value),
        output: slice(&weights.output),
        gate: options.has_gate.then(|| slice(&weights.gate)),
        scales: options.has_scales.then(|| slice(&weights.scales)),
    }
}

fn feed_forward_of(weights: &FeedForwardWeights<Flex>, options: FeedForwardOptions) -> FeedForward<'_> {
    let norm = Norm { gamma: slice(&weights.gamma), epsilon: options.epsilon };
    FeedForward { norm, gate: slice(&weights.gate), up: slice(&weights.up), down: slice(&weights.down) }
}

impl Layers for Flex {
    fn attention_layer(
        states: Numbers,
        weights: AttentionWeights<Self>,
        reach: Arc<Reach>,
        options: AttentionOptions,
    ) -> Numbers {
        attend(&flat(states), &weights.flat(), &reach, options).0
    }

    fn feed_forward_layer(states: Numbers, weights: FeedForwardWeights<Self>, options: FeedForwardOptions) -> Numbers {
        feed(&flat(states), &weights.flat(), options, false).0
    }
}

fn attend(
    states: &Numbers,
    weights: &AttentionWeights<Flex>,
    reach: &Reach,
    options: AttentionOptions,
) -> (Numbers, AttentionKept) {
    let layer = attention_of(weights, options);
    let width = layer.norm.gamma.len();
    let (out, kept) = layer.forward(slice(states), reach);
    (tensor(out, [reach.kept.count(), width]), kept)
}

fn feed(
    states: &Numbers,
    weights: &FeedForwardWeights<Flex>,
    options: FeedForwardOptions,
    keeps: bool,
) -> (Numbers, Option<FeedForwardKept>) {
    let layer = feed_forward_of(weights, options);
    let width = layer.norm.gamma.len();
    let (out, kept) = layer.forward(slice(states), keeps);
    let rows = out.len() / width;
    (tensor(out, [rows, width]), kept)
}

impl<B: Backend> AttentionWeights<B> {
    fn into_array(self) -> [FloatTensor<B>; 8] {
        let Self { query, key, value, output, gate, gamma, key_gamma, scales } = self;
        [query, key, value, output, gate, gamma, key_gamma, scales]
    }

    fn from_array(array: [FloatTensor<B>; 8]) -> Self {
        let [query, key, value, output, gate, gamma, key_gamma, scales] = array;
        Self { query, key, value, output, gate, gamma, key_gamma, scales }
    }
}

impl AttentionWeights<Flex> {
    fn flat(self) -> Self {
        Self::from_array(self.into_array().map(flat))
    }
}

impl<B: Backend> FeedForwardWeights<B> {
    fn into_array(self) -> [FloatTensor<B>; 4] {
        let Self { gate, up, down, gamma } = self;
        [gate, up, down, gamma]
    }

    fn from_array(array: [FloatTensor<B>; 4]) -> Self {
        let [gate, up, down, gamma] = array;
        Self { gate, up, down, gamma }
    }
}

impl FeedForwardWeights<Flex> {
    fn flat(self) -> Self {
        Self::from_array(self.into_array().map(flat))
    }
}

/// What the way back needs of an operation: what went in, and what was kept.
#[derive(Clone, Debug)]
struct State<W, O, K> {
    states: Numbers,
    weights: W,
    options: O,
    kept: K,
}

#[derive(Debug)]
struct AttentionBackward;

impl Backward<Flex, 9> for AttentionBackward {
    type State = State<[Numbers; 8], (Arc<Reach>, AttentionOptions), Arc<AttentionKept>>;

    fn backward(self, ops: Ops<Self::State, 9>, grads: &mut Gradients, _: &mut Checkpointer) {
        let State { states, weights, options: (reach, options), kept } = ops.state;
        let weights = AttentionWeights::from_array(weights);
        let grad = flat(grads.consume::<Flex>(&ops.node));
        let layer = attention_of(&weights, options);
        let found = layer.backward(slice(&states), &reach, &kept, slice(&grad));
        let all = [
            found.states,
            found.query,
            found.key,
            found.value,
            found.output,
            found.gate,
            found.gamma,
            found.key_gamma,
            found.scales,
        ];
        let weights = weights.into_array();
        register(ops.parents.map(|parent| parent.map(|parent| parent.id)), std::iter::once(&states).chain(&weights), all, grads);
    }
}

#[derive(Debug)]
struct FeedForwardBackward;

impl Backward<Flex, 5> for FeedForwardBackward {
    type State = State<[Numbers; 4], FeedForwardOptions, Option<Arc<FeedForwardKept>>>;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let State { states, weights, options, kept } = ops.state;
        let weights = FeedForwardWeights::from_array(weights);
        let grad = flat(grads.consume::<Flex>(&ops.node));
        let layer = feed_forward_of(&weights, options);
        let found = layer.backward(slice(&states), kept.map(Arc::unwrap_or_clone), slice(&grad));
        let all = [found.states, found.gate, found.up, found.down, found.gamma];
        let weights = weights.into_array();
        register(ops.parents.map(|parent| parent.map(|parent| parent.id)), std::iter::once(&states).chain(&weights), all, grads);
    }
}

/// Gives each input that wants it its gradient, of its own shape.
fn register<'t, const N: usize>(
    parents: [Option<NodeId>; N],
    inputs: impl Iterator<Item = &'t Numbers>,
    found: [Vec<f32>; N],
    grads: &mut Gradients,
) {
    for ((parent, input), numbers) in parents.into_iter().zip(inputs).zip(found) {
        if let Some(parent) = parent {
            grads.register::<Flex>(parent, tensor(numbers, input.layout().shape().clone()));
        }
    }
}

impl<C: CheckpointStrategy> Layers for Autodiff<Flex, C> {
    fn attention_layer(
        states: FloatTensor<Self>,
        weights: AttentionWeights<Self>,
        reach: Arc<Reach>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        let [states, query, key, value, output, gate, gamma, key_gamma, scales] = {
            let [query, key, value, output, gate, gamma, key_gamma, scales] = weights.into_array();
            [states, query, key, value, output, gate, gamma, key_gamma, scales].map(FloatTensor::<Self>::into_parts)
        };
        let nodes = [states.1, query.1, key.1, value.1, output.1, gate.1, gamma.1, key_gamma.1, scales.1];
        let weights = [query.0, key.0, value.0, output.0, gate.0, gamma.0, key_gamma.0, scales.0].map(flat);
        let (states, weights) = (flat(states.0), AttentionWeights::from_array(weights));
        let (out, kept) = attend(&states, &weights, &reach, options);
        match AttentionBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (weights, options, kept) = (weights.into_array(), (reach, options), Arc::new(kept));
                prep.finish(State { states, weights, options, kept }, out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn feed_forward_layer(
        states: FloatTensor<Self>,
        weights: FeedForwardWeights<Self>,
        options: FeedForwardOptions,
    ) -> FloatTensor<Self> {
        let [gate, up, down, gamma] = weights.into_array();
        let [states, gate, up, down, gamma] = [states, gate, up, down, gamma].map(FloatTensor::<Self>::into_parts);
        let nodes = [states.1, gate.1, up.1, down.1, gamma.1];
        let weights = FeedForwardWeights::from_array([gate.0, up.0, down.0, gamma.0].map(flat));
        let states = flat(states.0);
        match FeedForwardBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (out, kept) = feed(&states, &weights, options, !options.recomputes);
                prep.finish(State { states, weights: weights.into_array(), options, kept: kept.map(Arc::new) }, out)
            }
            OpsKind::UnTracked(prep) => prep.finish(feed(&states, &weights, options, false).0),
        }
    }
}
