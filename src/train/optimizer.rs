//! AdamW, and Muon for the weights of layers; with one clipped norm over all gradients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::Flex;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, AdjustLrFn, GradientsParams, ModuleOptimizer, MuonConfig,
};
use burn::tensor::{Device, Tensor};

use crate::kernels::{AdamWStep, adamw, sum_of_squares};
use crate::task::{OptimizerKind, TrainConfig};

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

    /// The model a step further, and the norm that the gradients had.
    pub fn step<M: Module>(&mut self, model: M, gradients: GradientsParams, learning_rate: f64) -> (M, f64) {
        let norm = norm(&model, &gradients);
        self.factor.set(if norm > self.clip { self.clip / norm } else { 1.0 });
        (self.module.step(learning_rate, model, gradients), norm)
    }
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

type Numbers = <Flex as burn::backend::BackendTypes>::FloatTensorPrimitive;

/// The tensor's memory, if it is this processor's.
fn on_processor<const D: usize>(tensor: Tensor<D>) -> Option<Numbers> {
    if tensor.device() != Device::flex() {
        return None;
    }
    let numbers = tensor.try_into_primitive::<Flex>().ok()?;
    let whole = (0, numbers.storage::<f32>().len());
    Some(if numbers.layout().contiguous_offsets() == Some(whole) { numbers } else { numbers.to_contiguous() })
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
        let [parameters, means, squares] = [parameters, means, squares].map(Tensor::from_primitive::<Flex>);
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
