//! AdamW, and Muon for the weights of layers; with one clipped norm over all gradients.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, AdjustLrFn, GradientsParams, ModuleOptimizer, MuonConfig,
};
use burn::tensor::{Bytes, Device, Tensor};

use crate::disk::write_durably;
use crate::kernels::{AdamWStep, adamw, sum_of_squares};
use crate::model::{from_processor, on_processor};
use crate::task::{OptimizerKind, TrainConfig};
use crate::{Error, Result};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.99;
const EPSILON: f32 = 1e-8;

/// Changes a model's parameters by their gradients.
pub struct Optimizer {
    module: ModuleOptimizer,
    factor: Factor,
    /// The norm that gradients are scaled down to, where theirs is larger.
    clip: f64,
}

/// What all gradients of a step are multiplied by.
#[derive(Clone)]
struct Factor(Arc<AtomicU64>);

impl Factor {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, factor: f64) {
        self.0.store(factor.to_bits(), Ordering::Relaxed);
    }
}

impl Optimizer {
    /// As a task says.
    pub fn new(train: &TrainConfig) -> Self {
        let factor = Factor(Arc::new(AtomicU64::new(1.0_f64.to_bits())));
        let plain = AdamWConfig::new()
            .with_beta_1(BETA_1)
            .with_beta_2(BETA_2)
            .with_epsilon(EPSILON)
            .with_weight_decay(train.weight_decay as f32)
            .build();
        let mut module = ModuleOptimizer::from(Processor { plain, weight_decay: train.weight_decay, factor: factor.clone() });
        if train.optimizer == OptimizerKind::Muon {
            let decay = WeightDecayConfig { penalty: train.weight_decay as f32 };
            // Steps as long as AdamW's, so that the learning rate means the same for both.
            let muon = MuonConfig::new().with_weight_decay(Some(decay)).with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW).build();
            let weights = ParamGroup::from_predicates(vec!["blocks.", ".weight"]);
            module = module.with_group(weights, Scaled { inner: muon, factor: factor.clone() }, None);
        }
        Self { module, factor, clip: train.clip }
    }

    /// The model a step further, and the norm that the gradients had. Where the norm is not finite, the model is as it was.
    pub fn step<M: Module>(&mut self, model: M, gradients: GradientsParams, learning_rate: f64) -> (M, f64) {
        let norm = norm(&model, &gradients);
        if !norm.is_finite() {
            return (model, norm);
        }
        self.factor.set(if norm > self.clip { self.clip / norm } else { 1.0 });
        (self.module.step(learning_rate, model, gradients), norm)
    }

    /// Writes what it keeps of each parameter.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = self.module.into_bytes().map_err(|error| unsaved(path, &error))?;
        write_durably(path, &bytes)
    }

    /// Goes on with what another process has saved, for a model made in the same way.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::io(path, "cannot read the optimizer's state"))?;
        let module = self.module.from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|error| Error::Damaged {
            path: path.to_owned(),
            record: "the optimizer's state".to_owned(),
            found: error.to_string(),
            remedy: "Train again without `--resume`".to_owned(),
        })?;
        Ok(Self { module, ..self })
    }
}

fn unsaved(path: &Path, error: &dyn std::error::Error) -> Error {
    Error::Training(format!("{}: cannot write the optimizer's state: {error}", path.display()))
}

/// The root of the sum of the squares of all gradients.
fn norm<M: Module>(model: &M, gradients: &GradientsParams) -> f64 {
    struct Squares<'g> {
        gradients: &'g GradientsParams,
        sum: f64,
    }
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
            self.sum += match on_processor(gradient.clone()) {
                Some(numbers) => sum_of_squares(numbers.storage()),
                None => f64::from(gradient.square().sum().into_scalar::<f32>()),
            };
        }
    }
    let mut squares = Squares { gradients, sum: 0.0 };
    model.visit(&mut squares);
    squares.sum.sqrt()
}

/// AdamW in one pass over the memory where that is the processor's, else burn's own.
#[derive(Clone)]
struct Processor {
    plain: AdamW,
    weight_decay: f64,
    factor: Factor,
}

impl burn::optim::Optimizer for Processor {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        if tensor.device() != Device::flex() {
            return self.plain.step(learning_rate, tensor, scaled(grad, self.factor.get()), state);
        }
        let AdaptiveMomentumState { time, moment_1, moment_2, .. } = match state {
            Some(state) => state.momentum,
            None => AdaptiveMomentumState::new(0, tensor.zeros_like(), tensor.zeros_like()),
        };
        let [mut parameters, grad, mut means, mut squares] = [tensor, grad, moment_1, moment_2]
            .map(|tensor| on_processor(tensor).expect("it was seen above that this is the processor's"));
        let step = AdamWStep {
            learning_rate,
            beta_1: f64::from(BETA_1),
            beta_2: f64::from(BETA_2),
            epsilon: f64::from(EPSILON),
            weight_decay: self.weight_decay,
            time: time + 1,
            factor: self.factor.get(),
        };
        adamw(step, parameters.storage_mut(), grad.storage(), means.storage_mut(), squares.storage_mut());
        let [parameters, means, squares] = [parameters, means, squares].map(from_processor);
        (parameters, Some(AdamWState::new(AdaptiveMomentumState::new(time + 1, means, squares))))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamW::to_device(state, device)
    }
}

/// Another optimizer, of gradients that are multiplied first.
#[derive(Clone)]
struct Scaled<O> {
    inner: O,
    factor: Factor,
}

impl<O: burn::optim::Optimizer> burn::optim::Optimizer for Scaled<O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<O::State<D>>,
    ) -> (Tensor<D>, Option<O::State<D>>) {
        self.inner.step(learning_rate, tensor, scaled(grad, self.factor.get()), state)
    }

    fn to_device<const D: usize>(state: O::State<D>, device: &Device) -> O::State<D> {
        O::to_device(state, device)
    }
}

fn scaled<const D: usize>(grad: Tensor<D>, factor: f64) -> Tensor<D> {
    if factor == 1.0 { grad } else { grad * factor }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::Optimizer as _;

    use super::*;
    use crate::model::floats;
    use crate::sampler::random::Key;

    #[derive(Module, Debug)]
    struct Small {
        /// As a model's layers are called.
        blocks: Vec<Linear>,
        head: Linear,
    }

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut random = Key::new("optimizer tests", seed).random();
        (0..count).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()
    }

    fn small(device: &Device) -> Small {
        let linear = |size: [usize; 2], seed| {
            let mut linear = LinearConfig::new(size[0], size[1]).init(device);
            linear.weight = Param::from_data(burn::tensor::TensorData::new(numbers(size[0] * size[1], seed), size), device);
            linear.bias = None;
            linear
        };
        Small { blocks: vec![linear([5, 20], 0)], head: linear([20, 3], 1) }
    }

    fn gradients(model: &Small, device: &Device) -> GradientsParams {
        let input = Tensor::<2>::from_data(burn::tensor::TensorData::new(numbers(40, 2), [8, 5]), device);
        let out = model.head.forward(model.blocks[0].forward(input).tanh());
        GradientsParams::from_grads(out.square().sum().backward(), model)
    }

    /// The weights of the block and of the head.
    fn weights(model: &Small) -> [Vec<f32>; 2] {
        [floats(model.blocks[0].weight.val()), floats(model.head.weight.val())]
    }

    fn distance(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn steps_are_those_of_burns_own_with_all_gradients_clipped_together() {
        let device = crate::model::device().unwrap().autodiff();
        let train = TrainConfig { weight_decay: 0.1, clip: 0.5, ..TrainConfig::default() };
        let mut optimizer = Optimizer::new(&train);
        let plain =
            AdamWConfig::new().with_beta_1(BETA_1).with_beta_2(BETA_2).with_epsilon(EPSILON).with_weight_decay(0.1).build();
        let mut model = small(&device);
        let [mut block, mut head] = [model.blocks[0].weight.val(), model.head.weight.val()].map(Tensor::inner);
        let (mut block_state, mut head_state) = (None, None);
        for step in 0..5 {
            let mut found = gradients(&model, &device);
            let of_block = found.remove::<2>(model.blocks[0].weight.id).unwrap();
            let of_head = found.remove::<2>(model.head.weight.id).unwrap();
            let all = floats(of_block.clone()).into_iter().chain(floats(of_head.clone()));
            let expected = all.map(|number| f64::from(number).powi(2)).sum::<f64>().sqrt();
            let (next, norm) = optimizer.step(model.clone(), gradients(&model, &device), 0.01);
            assert!((norm - expected).abs() < 1e-5 * expected && norm > 0.5, "step {step}: {norm} beside {expected}");
            (block, block_state) = plain.step(0.01, block, of_block * (0.5 / expected), block_state);
            (head, head_state) = plain.step(0.01, head, of_head * (0.5 / expected), head_state);
            model = next;
            let [found_block, found_head] = weights(&model);
            let error = distance(&found_block, &floats(block.clone())).max(distance(&found_head, &floats(head.clone())));
            assert!(error < 1e-6, "step {step}: off by {error}");
        }
    }

    #[test]
    fn muon_moves_the_weights_of_layers_and_adamw_the_rest() {
        let device = crate::model::device().unwrap().autodiff();
        let stepped = |optimizer| {
            let train = TrainConfig { optimizer, weight_decay: 0.0, clip: f64::INFINITY, ..TrainConfig::default() };
            let model = small(&device);
            weights(&Optimizer::new(&train).step(model.clone(), gradients(&model, &device), 0.01).0)
        };
        let before = weights(&small(&device));
        let [adamw, muon] = [OptimizerKind::Adamw, OptimizerKind::Muon].map(stepped);
        assert_eq!(adamw[1], muon[1]);
        assert!(distance(&adamw[0], &muon[0]) > 1e-4);
        // All of Muon's singular values are about 0.2 √20 times the learning rate: 5 × 20 numbers of mean square (0.2 · 0.01)².
        let squares: f32 = before[0].iter().zip(&muon[0]).map(|(one, other)| (one - other).powi(2)).sum();
        let mean = (squares / 100.0).sqrt();
        assert!((mean / (0.2 * 0.01) - 1.0).abs() < 0.3, "{mean}");
    }
}
