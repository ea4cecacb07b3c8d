//! The model beside a plain one: 64-bit loops over all tokens and a dense mask, straight from the definitions.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use burn_store::ModuleSnapshot;
use relata_schema::Schema;

use super::{AskedShape, RelationalTransformer, Shape, TypedColumns, floats};
use crate::sampler::random::{Key, Random};
use crate::task::{AttentionKind, ModelConfig, Task};
use crate::tokens::{Batch, ColumnKind, Context, NO_ROW, Row, SemanticType, State, Token, visible};

const COLUMNS: [(ColumnKind, u32); 5] = [
    (ColumnKind::Number, 0),
    (ColumnKind::Category, 0),
    (ColumnKind::Number, 3),
    (ColumnKind::Vector(3), 3),
    (ColumnKind::Link, 3),
];
const IDENTITIES: u32 = 7;

fn shape(width: usize, heads: usize, blocks: Vec<Vec<AttentionKind>>) -> Shape {
    Shape {
        config: ModelConfig { width, heads, blocks, expansion: 1.5, ..ModelConfig::default() },
        columns: COLUMNS.to_vec(),
        category_counts: vec![0, 3, 0, 0, 0],
        identities: IDENTITIES as usize,
        categories: 3,
        asked: AskedShape::default(),
        typed: None,
    }
}

/// A context of random rows: nodes, and edges between them or to nothing, some of them of a hierarchy.
fn random_context(random: &mut Random, most_rows: u64) -> Context {
    let mut context = Context::default();
    for row in 0..1 + random.below(most_rows) as u32 {
        let start = context.tokens.len() as u32;
        for _ in 0..1 + random.below(3) {
            let column = random.below(5) as u16;
            let state = match (random.below(6), COLUMNS[usize::from(column)].0) {
                (0, _) => State::Missing,
                (1, ColumnKind::Number | ColumnKind::Category) => State::Masked,
                _ => State::Shown,
            };
            let code = match COLUMNS[usize::from(column)].0 {
                ColumnKind::Category => random.below(3) as u32,
                ColumnKind::Vector(_) if state == State::Shown => {
                    let vector: Vec<f32> = (0..3).map(|_| random.below(100) as f32 / 50.0 - 1.0).collect();
                    context.push_vector(column, &vector)
                }
                _ => u32::MAX,
            };
            let identity = random.below(u64::from(IDENTITIES)) as u32;
            context.push_token(row, Token { column, state, identity, number: random.below(400) as f32 / 100.0 - 2.0, code });
        }
        let any = |random: &mut Random| if random.below(3) == 0 { NO_ROW } else { random.below(u64::from(row.max(1))) as u32 };
        let is_edge = row > 0 && random.below(3) > 0;
        let (parents, upper, lower) = if is_edge {
            (([random.below(u64::from(row)) as u32, any(random)]), any(random), any(random))
        } else {
            ([NO_ROW; 2], NO_ROW, NO_ROW)
        };
        context.rows.push(Row { tokens: start..context.tokens.len() as u32, parents, upper, lower });
    }
    context
}

/// The parameters by name, as 64-bit numbers.
struct Plain {
    weights: HashMap<String, Vec<f64>>,
    width: usize,
    heads: usize,
    config: ModelConfig,
}

impl Plain {
    fn of(model: &RelationalTransformer, shape: &Shape) -> Self {
        let weights = model
            .collect(None, None, true)
            .into_iter()
            .map(|tensor| {
                let bytes = tensor.to_bytes().expect("a parameter has data");
                let numbers: Vec<f32> =
                    bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
                (tensor.name.clone(), numbers.into_iter().map(f64::from).collect())
            })
            .collect();
        Self { weights, width: shape.config.width, heads: shape.config.heads, config: shape.config.clone() }
    }

    fn get(&self, name: &str) -> &[f64] {
        self.weights.get(name).unwrap_or_else(|| panic!("no `{name}` among {:?}", self.weights.keys()))
    }

    /// `x W`, W being `[inputs, outputs]`.
    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weight = self.get(name);
        let outputs = weight.len() / x.len();
        (0..outputs).map(|out| x.iter().enumerate().map(|(at, x)| x * weight[at * outputs + out]).sum()).collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let rms = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + 1e-5).sqrt();
        x.iter().zip(self.get(name)).map(|(x, gamma)| x / rms * gamma).collect()
    }

    fn row(&self, name: &str, row: usize) -> &[f64] {
        &self.get(name)[row * self.width..(row + 1) * self.width]
    }

    fn embed(&self, context: &Context, token: &Token) -> Vec<f64> {
        let (kind, first) = COLUMNS[usize::from(token.column)];
        let column = usize::from(token.column);
        // Place 0 is nobody's, but a batch where some are somebody's adds its vector all the same.
        let identity = self.row("embedding.identity", token.identity as usize);
        let constant = self.row("embedding.column", column);
        let value: Vec<f64> = match (token.state, kind) {
            (State::Missing, _) => self.row("embedding.absent", 2 * column).to_vec(),
            (State::Masked, _) => self.row("embedding.absent", 2 * column + 1).to_vec(),
            (State::Shown, ColumnKind::Number) => {
                let x = f64::from(token.number);
                let mut features = vec![x];
                for octave in 0..4 {
                    let angle = x * std::f64::consts::FRAC_PI_4 * f64::from(1 << octave);
                    features.extend([angle.sin(), angle.cos()]);
                }
                let weights = &self.get("embedding.number")[column * 18 * self.width..(column + 1) * 18 * self.width];
                let project = |out: usize| -> f64 {
                    features.iter().enumerate().map(|(at, x)| x * weights[at * 2 * self.width + out]).sum()
                };
                // The identity's share is added here already: identity × (1 + scale) = identity + identity × scale.
                (0..self.width).map(|at| identity[at] * project(at) + project(self.width + at)).collect()
            }
            (State::Shown, ColumnKind::Category) => self.row("embedding.category", (first + token.code) as usize).to_vec(),
            (State::Shown, ColumnKind::Vector(_)) => {
                let (_, vectors) = context.vectors.iter().find(|(id, _)| *id == token.column).unwrap();
                let vector: Vec<f64> = vectors[token.code as usize * 3..][..3].iter().map(|&x| f64::from(x)).collect();
                self.linear("embedding.vector", &vector)
            }
            (State::Shown, ColumnKind::Link) => vec![0.0; self.width],
        };
        (0..self.width).map(|at| identity[at] + constant[at] + value[at]).collect()
    }

    fn attention(&self, name: &str, kind: AttentionKind, context: &Context, states: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let config = &self.config;
        let normed: Vec<Vec<f64>> = states.iter().map(|x| self.norm(&format!("{name}.norm.gamma"), x)).collect();
        let key_normed: Vec<Vec<f64>> = match config.key_norm {
            true => states.iter().map(|x| self.norm(&format!("{name}.key_norm.gamma"), x)).collect(),
            false => normed.clone(),
        };
        let of_head = self.width / self.heads;
        let project = |part: &str, of: &[Vec<f64>]| -> Vec<Vec<f64>> {
            of.iter().map(|x| self.linear(&format!("{name}.{part}.weight"), x)).collect()
        };
        let by_head = |rows: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            let part = |part: &[f64]| -> Vec<f64> {
                let rms = (part.iter().map(|x| x * x).sum::<f64>() / of_head as f64 + 1e-6).sqrt();
                part.iter().map(|x| if config.qk_norm { x / rms } else { *x }).collect()
            };
            rows.iter().map(|row| row.chunks_exact(of_head).flat_map(part).collect()).collect()
        };
        let (query, key) = (by_head(project("query", &normed)), by_head(project("key", &key_normed)));
        let value = project("value", if config.key_norm { states } else { &normed });
        (0..states.len())
            .map(|at| {
                let seen: Vec<usize> = visible(context, at as u32, kind).into_iter().flatten().map(|key| key as usize).collect();
                if seen.is_empty() {
                    return states[at].clone();
                }
                let mut out = vec![0.0; self.width];
                for head in 0..self.heads {
                    let part = head * of_head..(head + 1) * of_head;
                    let mut factor = (of_head as f64).sqrt().recip();
                    if config.log_scale {
                        factor *= (seen.len() as f64).ln();
                    }
                    if config.head_scale {
                        factor *= self.get(&format!("{name}.scales"))[head];
                    }
                    let score = |other: usize| -> f64 {
                        let product: f64 =
                            query[at][part.clone()].iter().zip(&key[other][part.clone()]).map(|(q, k)| q * k).sum();
                        (product * factor).exp()
                    };
                    let scores: Vec<f64> = seen.iter().map(|&other| score(other)).collect();
                    let total: f64 = scores.iter().sum();
                    for (score, &other) in scores.iter().zip(&seen) {
                        part.clone().for_each(|at| out[at] += score / total * value[other][at]);
                    }
                }
                if config.gate {
                    let gate = self.linear(&format!("{name}.gate.weight"), &normed[at]);
                    out.iter_mut().zip(gate).for_each(|(out, gate)| *out /= 1.0 + (-gate).exp());
                }
                let out = self.linear(&format!("{name}.output.weight"), &out);
                states[at].iter().zip(out).map(|(x, out)| x + out).collect()
            })
            .collect()
    }

    fn feed_forward(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let normed = self.norm(&format!("{name}.norm.gamma"), x);
        let gate = self.linear(&format!("{name}.gate.weight"), &normed);
        let up = self.linear(&format!("{name}.up.weight"), &normed);
        let hidden: Vec<f64> = gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect();
        let out = self.linear(&format!("{name}.down.weight"), &hidden);
        x.iter().zip(out).map(|(x, out)| x + out).collect()
    }

    /// The last states of all tokens.
    fn forward(&self, context: &Context, blocks: &[Vec<AttentionKind>]) -> Vec<Vec<f64>> {
        let mut states: Vec<Vec<f64>> = context.tokens.iter().map(|token| self.embed(context, token)).collect();
        for (block, kinds) in blocks.iter().enumerate() {
            for (at, &kind) in kinds.iter().enumerate() {
                states = self.attention(&format!("blocks.{block}.attention.{at}"), kind, context, &states);
            }
            states = states.iter().map(|x| self.feed_forward(&format!("blocks.{block}.feed_forward"), x)).collect();
        }
        states.iter().map(|x| self.norm("norm.gamma", x)).collect()
    }
}

/// A model of random blocks and options, and a batch for it.
struct Case {
    shape: Shape,
    contexts: Vec<Context>,
    reads: Vec<Vec<u32>>,
    batch: Batch,
}

impl Case {
    fn random(round: u64) -> Self {
        use AttentionKind::{Column, Down, Full, Neighbour, Row, Up};
        let all = [Column, Row, Neighbour, Up, Down, Full];
        let mut random = Key::new("model tests", round).random();
        // Few tokens and many heads take the projecting path, many tokens and one head the other.
        let (width, heads) = [(8, 4), (16, 1), (12, 2)][random.below(3) as usize];
        let blocks: Vec<Vec<AttentionKind>> =
            (0..1 + random.below(3)).map(|_| (0..1 + random.below(3)).map(|_| all[random.below(6) as usize]).collect()).collect();
        let mut shape = shape(width, heads, blocks.clone());
        let config = &mut shape.config;
        for option in [&mut config.key_norm, &mut config.qk_norm, &mut config.log_scale, &mut config.head_scale, &mut config.gate]
        {
            *option = random.below(2) == 0;
        }
        config.recompute = random.below(2) == 0;
        let contexts: Vec<Context> = (0..1 + random.below(4)).map(|_| random_context(&mut random, 12)).collect();
        let reads: Vec<Vec<u32>> = contexts
            .iter()
            .map(|context| {
                let tokens = 0..context.tokens.len() as u32;
                tokens.filter(|&token| token == 0 || random.below(3) == 0).collect()
            })
            .collect();
        let kinds: Vec<ColumnKind> = COLUMNS.iter().map(|(kind, _)| *kind).collect();
        let batch = Batch::new(&contexts.iter().collect::<Vec<_>>(), &reads, &blocks, &kinds);
        Self { shape, contexts, reads, batch }
    }
}

#[test]
fn the_model_equals_the_plain_one_over_random_contexts_and_layers() {
    let device = super::device().unwrap();
    for round in 0..60 {
        let Case { shape, contexts, reads, batch } = Case::random(round);
        let (width, blocks) = (shape.config.width, &shape.config.blocks);
        let model = RelationalTransformer::new(&shape, None, round, &device);
        let plain = Plain::of(&model, &shape);
        let expected: Vec<Vec<Vec<f64>>> = contexts.iter().map(|context| plain.forward(context, blocks)).collect();
        for model in [model.clone().with_dense_layers(), model] {
            let states = floats(model.forward(&batch, &device));
            for read in &batch.reads {
                let mut asked = contexts.iter().zip(&reads).enumerate().flat_map(|(at, (context, reads))| {
                    let own = reads.iter().filter(|&&token| context.tokens[token as usize].column == read.column);
                    own.map(move |&token| (at, token))
                });
                for &state in &read.states {
                    let (context, token) = asked.next().expect("as many states as reads");
                    let found = &states[state as usize * width..(state as usize + 1) * width];
                    let expected = &expected[context][token as usize];
                    let far = |(one, other): (&f32, &f64)| (f64::from(*one) - other).abs();
                    let error = found.iter().zip(expected).map(far).fold(0.0, f64::max);
                    assert!(error < 1e-5, "round {round}, {blocks:?}: token {token} of context {context} is off by {error}");
                }
                assert!(asked.next().is_none());
            }
        }
    }
}

/// A model's gradients by the names of its parameters.
fn gradients(model: &RelationalTransformer, batch: &Batch, device: &Device) -> Vec<(String, Vec<f32>)> {
    struct Visitor {
        grads: GradientsParams,
        path: Vec<String>,
        found: Vec<(String, Vec<f32>)>,
    }
    impl ModuleVisitor for Visitor {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let grad = self.grads.get::<D>(param.id).map_or_else(Vec::new, floats);
            self.found.push((self.path.join("."), grad));
        }

        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
    }
    let loss = model.forward(batch, device).powi_scalar(3).mean();
    let grads = GradientsParams::from_grads(loss.backward(), model);
    let mut visitor = Visitor { grads, path: Vec::new(), found: Vec::new() };
    model.visit(&mut visitor);
    visitor.found
}

#[test]
fn layers_as_one_operation_have_the_gradients_of_layers_of_many() {
    let device = super::device().unwrap().autodiff();
    for round in 0..60 {
        let Case { shape, batch, .. } = Case::random(round);
        let model = RelationalTransformer::new(&shape, None, round, &device);
        let dense = gradients(&model.clone().with_dense_layers(), &batch, &device);
        let fused = gradients(&model, &batch, &device);
        for ((name, dense), (_, fused)) in dense.iter().zip(&fused) {
            assert_eq!(dense.len(), fused.len(), "round {round}, {name}");
            let largest = dense.iter().fold(1.0_f32, |largest, number| largest.max(number.abs()));
            let error = dense.iter().zip(fused).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max) / largest;
            assert!(error < 1e-5, "round {round}, {name}: off by {error}");
        }
        assert!(fused.iter().any(|(_, numbers)| numbers.iter().any(|&number| number != 0.0)));
    }
}

#[test]
fn rt_v1_has_its_parameters() {
    let text = include_str!("../../tests/tasks/rt-v1.toml");
    let config = Task::parse(text, "rt-v1.toml", &Schema::biology()).unwrap().task.model;
    let types = [SemanticType::Number, SemanticType::Datetime, SemanticType::Boolean, SemanticType::Text, SemanticType::Link];
    let kinds = [ColumnKind::Number, ColumnKind::Number, ColumnKind::Category, ColumnKind::Vector(config.text), ColumnKind::Link];
    let text = config.text as usize;
    let shape = Shape {
        config,
        columns: kinds.map(|kind| (kind, 0)).to_vec(),
        category_counts: vec![0, 0, 2, 0, 0],
        identities: 1000,
        categories: 2,
        asked: AskedShape::default(),
        typed: Some(TypedColumns {
            types: types.to_vec(),
            names: vec![0.0; types.len() * text],
            categories: vec![0.0; 2 * text],
            truths: vec![[0.0, 1.0]; types.len()],
        }),
    };
    let model = RelationalTransformer::new(&shape, None, 0, &Device::flex());
    assert_eq!(model.num_params(), 22_336_131);
    assert!(model.identities().is_none());
}

#[test]
fn equal_seeds_give_equal_models() {
    let device = super::device().unwrap();
    let shape = shape(8, 2, vec![vec![AttentionKind::Row]]);
    let weights = |seed| Plain::of(&RelationalTransformer::new(&shape, None, seed, &device), &shape).weights;
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

/// The backends that this build has beside Flex: LibTorch on the processor, and a card where `RELATA_BACKEND` says that there is
/// one.
#[cfg(any(feature = "tch", feature = "cuda"))]
fn others() -> Vec<Device> {
    let chosen = super::device().unwrap();
    #[cfg(feature = "tch")]
    #[allow(deprecated, reason = "burn will drop burn-tch; until then LibTorch is the second backend")]
    let libtorch = vec![Device::libtorch()];
    #[cfg(not(feature = "tch"))]
    let libtorch = Vec::new();
    let is_new = |device: &Device| *device != Device::flex() && !libtorch.contains(device);
    libtorch.iter().cloned().chain(Some(chosen).filter(is_new)).collect()
}

/// How far apart two lists of numbers are, of the largest of them.
#[cfg(any(feature = "tch", feature = "cuda"))]
fn apart(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    let largest = one.iter().fold(1e-3_f32, |largest, number| largest.max(number.abs()));
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max) / largest
}

#[cfg(any(feature = "tch", feature = "cuda"))]
#[test]
fn other_backends_have_the_states_and_gradients_of_flex() {
    use crate::task::Precision;
    for device in others() {
        for round in 0..20 {
            let Case { mut shape, batch, .. } = Case::random(round);
            for (precision, most) in [(Precision::F32, 1e-4), (Precision::Bf16, 1e-2)] {
                shape.config.precision = precision;
                let found = |device: &Device| {
                    let model = RelationalTransformer::new(&shape, None, round, &device.clone().autodiff());
                    let states = floats(model.valid().forward(&batch, device));
                    (states, gradients(&model, &batch, &device.clone().autodiff()))
                };
                let ((flex, flex_gradients), (other, gradients)) = (found(&Device::flex()), found(&device));
                let error = apart(&flex, &other);
                assert!(error < most, "round {round}, {precision:?} on {device:?}: states are off by {error}");
                if precision == Precision::F32 {
                    for ((name, flex), (_, other)) in flex_gradients.iter().zip(&gradients) {
                        let error = apart(flex, other);
                        assert!(error < 1e-3, "round {round} on {device:?}: the gradient of {name} is off by {error}");
                    }
                }
            }
        }
    }
}
