use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::model::{RelationalTransformer, from_processor, on_processor};

/// Numbers that a thread goes through at a time.
const PIECE: usize = 1 << 16;

/// A moving average of a model's parameters: what is asked instead of the last ones, which still move about.
pub(super) struct Average {
    pub(super) decay: f64,
    /// Without gradients.
    pub(super) model: RelationalTransformer,
}

impl Average {
    /// Of a model as it is before the first step.
    pub(super) fn new(decay: f64, model: &RelationalTransformer) -> Self {
        Self { decay, model: model.valid() }
    }

    /// A step further; `step` counts from 1.
    pub(super) fn add(&mut self, model: &RelationalTransformer, step: u64) {
        let mut parameters = Parameters::default();
        model.visit(&mut parameters);
        let kept = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        self.model = self.model.clone().map(&mut Mixer { parameters: parameters.0, share: 1.0 - kept });
    }
}

/// A model's parameters, without gradients, by their numbers.
#[derive(Default)]
struct Parameters(GradientsParams);

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().inner());
    }
}

/// Moves an average a share of the way to parameters.
struct Mixer {
    parameters: GradientsParams,
    share: f64,
}

impl ModuleMapper for Mixer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(parameters) = self.parameters.remove::<D>(id) else { return Param::from_mapped_value(id, tensor, mapper) };
        let mixed = match (on_processor(tensor.clone()), on_processor(parameters.clone())) {
            (Some(mut own), Some(parameters)) => {
                drop(tensor);
                let share = self.share as f32;
                let own_numbers: &mut [f32] = own.storage_mut();
                let pieces = own_numbers.par_chunks_mut(PIECE).zip(parameters.storage::<f32>().par_chunks(PIECE));
                pieces.for_each(|(own, new)| own.iter_mut().zip(new).for_each(|(own, new)| *own += share * (new - *own)));
                from_processor(own)
            }
            _ => tensor.clone() + (parameters - tensor) * self.share,
        };
        Param::from_mapped_value(id, mixed, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AskedShape, Shape, floats};
    use crate::task::ModelConfig;
    use crate::tokens::ColumnKind;

    fn model(seed: u64) -> RelationalTransformer {
        let shape = Shape {
            config: ModelConfig { width: 8, heads: 2, ..ModelConfig::default() },
            columns: vec![(ColumnKind::Number, 0)],
            category_counts: vec![0],
            identities: 4,
            categories: 0,
            typed: None,
            asked: AskedShape::default(),
        };
        RelationalTransformer::new(&shape, None, seed, &crate::model::device().unwrap().autodiff())
    }

    fn numbers(model: &RelationalTransformer) -> Vec<f32> {
        floats(model.identities().unwrap())
    }

    #[test]
    fn it_keeps_less_at_first_and_then_its_share() {
        let models = [0, 1, 2].map(model);
        let mut average = Average::new(0.25, &models[0]);
        let [first, second, third] = [0, 1, 2].map(|at: usize| numbers(&models[at]));
        average.add(&models[1], 1);
        average.add(&models[2], 4);
        // (1 + 1) / (10 + 1), then (1 + 4) / (10 + 4), which is above a quarter.
        let kept = [2.0 / 11.0, 0.25];
        for (at, found) in numbers(&average.model).into_iter().enumerate() {
            let one = kept[0] * first[at] + (1.0 - kept[0]) * second[at];
            let expected = kept[1] * one + (1.0 - kept[1]) * third[at];
            assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        }
        // The models are as they were.
        assert_eq!(numbers(&models[0]), first);
    }
}
