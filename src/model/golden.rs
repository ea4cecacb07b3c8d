//! The model beside PyTorch's: `tests/golden/golden.safetensors` is what `tests/golden/make.py` wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;

use super::{AskedShape, RelationalTransformer, Shape, TypedColumns, floats};
use crate::task::{ModelConfig, Tokens, TrainConfig};
use crate::tokens::{Batch, ColumnKind, Context, Row, SemanticType, State, Token};
use crate::train::Optimizer;

/// What the script says of its models beside their tensors.
#[derive(Deserialize)]
struct Setup {
    columns: Vec<GoldenColumn>,
    identities: usize,
    contexts: Vec<GoldenContext>,
    texts: Texts,
    models: BTreeMap<String, GoldenModel>,
    learning_rate: f64,
    weight_decay: f64,
    clip: f64,
}

#[derive(Deserialize)]
struct GoldenColumn {
    kind: ColumnKind,
    categories: u32,
    semantic: SemanticType,
}

#[derive(Deserialize)]
struct GoldenContext {
    rows: Vec<GoldenRow>,
    tokens: Vec<GoldenToken>,
    reads: Vec<u32>,
}

#[derive(Deserialize)]
struct GoldenRow {
    tokens: [u32; 2],
    parents: [u32; 2],
    upper: u32,
    lower: u32,
}

#[derive(Deserialize)]
struct GoldenToken {
    row: u32,
    column: u16,
    state: String,
    identity: u32,
    number: Option<f32>,
    code: Option<u32>,
    vector: Option<Vec<f32>>,
}

#[derive(Deserialize)]
struct Texts {
    columns: Vec<Vec<f32>>,
    categories: Vec<Vec<f32>>,
    truths: Vec<[f32; 2]>,
}

#[derive(Deserialize)]
struct GoldenModel {
    config: ModelConfig,
    smoothing: f64,
}

impl GoldenContext {
    fn context(&self) -> Context {
        let mut context = Context::default();
        for token in &self.tokens {
            let state = match token.state.as_str() {
                "missing" => State::Missing,
                "masked" => State::Masked,
                _ => State::Shown,
            };
            let vector = token.vector.as_ref().map(|vector| context.push_vector(token.column, vector));
            let code = token.code.or(vector).unwrap_or(u32::MAX);
            let number = token.number.unwrap_or(f32::NAN);
            let token_of_row = Token { column: token.column, state, identity: token.identity, number, code };
            context.push_token(token.row, token_of_row);
        }
        let row = |row: &GoldenRow| {
            let [start, end] = row.tokens;
            Row { tokens: start..end, parents: row.parents, upper: row.upper, lower: row.lower }
        };
        context.rows = self.rows.iter().map(row).collect();
        context
    }
}

impl Setup {
    fn kinds(&self) -> Vec<ColumnKind> {
        self.columns.iter().map(|column| column.kind).collect()
    }

    fn shape(&self, config: &ModelConfig) -> Shape {
        let counts: Vec<u32> = self.columns.iter().map(|column| column.categories).collect();
        let first = |column: usize| counts[..column].iter().sum();
        Shape {
            config: config.clone(),
            columns: self.columns.iter().enumerate().map(|(at, column)| (column.kind, first(at))).collect(),
            category_counts: counts.clone(),
            identities: self.identities,
            categories: first(counts.len()) as usize,
            asked: AskedShape::default(),
            typed: (config.tokens == Tokens::Typed).then(|| TypedColumns {
                types: self.columns.iter().map(|column| column.semantic).collect(),
                names: self.texts.columns.concat(),
                categories: self.texts.categories.concat(),
                truths: self.texts.truths.clone(),
            }),
        }
    }

    /// Of all that is read in each context, or of the first alone.
    fn batch(&self, config: &ModelConfig, most: usize) -> Batch {
        let contexts: Vec<Context> = self.contexts.iter().map(GoldenContext::context).collect();
        let reads: Vec<Vec<u32>> =
            self.contexts.iter().map(|context| context.reads.iter().take(most).copied().collect()).collect();
        Batch::new(&contexts.iter().collect::<Vec<_>>(), &reads, &config.blocks, &self.kinds())
    }

    /// By column, which of all its answers those of [`batch`](Self::batch) are.
    fn places(&self, most: usize) -> BTreeMap<u16, Vec<usize>> {
        let mut places: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        let mut counts = vec![0; self.columns.len()];
        for context in &self.contexts {
            for (at, &token) in context.reads.iter().enumerate() {
                let column = context.tokens[token as usize].column;
                if at < most {
                    places.entry(column).or_default().push(counts[usize::from(column)]);
                }
                counts[usize::from(column)] += 1;
            }
        }
        places
    }
}

/// A file of the script's.
struct Golden {
    setup: Setup,
    /// Shapes and numbers.
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Golden {
    fn read(folder: &Path) -> Self {
        #[derive(Deserialize)]
        struct Entry {
            shape: Vec<usize>,
            data_offsets: [usize; 2],
        }
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let mut header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).unwrap();
        let about = header.remove("__metadata__").unwrap();
        let tensors = header
            .into_iter()
            .map(|(name, entry)| {
                let Entry { shape, data_offsets: [start, end] } = serde_json::from_value(entry).unwrap();
                let words = data[start..end].as_chunks().0;
                (name, (shape, words.iter().map(|&word| f32::from_le_bytes(word)).collect()))
            })
            .collect();
        Self { setup: serde_json::from_str(about["setup"].as_str().unwrap()).unwrap(), tensors }
    }

    fn committed() -> Self {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
    }

    fn numbers(&self, name: &str) -> &[f32] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("no `{name}`")).1
    }

    /// The names behind `prefix`.
    fn names(&self, prefix: &str) -> BTreeSet<String> {
        self.tensors.keys().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    /// The model with the weights of the file; every parameter of the one is in the other.
    fn model(&self, name: &str, device: &Device) -> RelationalTransformer {
        struct Loader<'g> {
            golden: &'g Golden,
            prefix: String,
            path: Vec<String>,
            met: BTreeSet<String>,
        }
        impl ModuleMapper for Loader<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let name = self.path.join(".");
                let (shape, numbers) = &self.golden.tensors[&format!("{}{name}", self.prefix)];
                assert_eq!(param.dims().as_slice(), shape, "{name}");
                self.met.insert(name);
                let device = param.device();
                Param::from_data(TensorData::new(numbers.clone(), shape.clone()), &device)
            }

            fn enter_module(&mut self, name: &str, _: &str) {
                self.path.push(name.to_owned());
            }

            fn exit_module(&mut self, _: &str, _: &str) {
                self.path.pop();
            }
        }
        let shape = self.setup.shape(&self.setup.models[name].config);
        let prefix = format!("{name}.weight.");
        let mut loader = Loader { golden: self, prefix: prefix.clone(), path: Vec::new(), met: BTreeSet::new() };
        let model = RelationalTransformer::new(&shape, None, 0, device).map(&mut loader);
        assert_eq!(loader.met, self.names(&prefix));
        model
    }
}

/// How far numbers are from those expected, relative to the largest of these.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |largest, number| largest.max(number.abs()));
    // A NaN is infinitely far.
    let far = |(found, expected): (&f32, &f32)| (found - expected).abs() / largest;
    found.iter().zip(expected).map(far).fold(0.0, |most, far| if far <= most { most } else { far })
}

/// The gradients by the names of their parameters.
fn named(gradients: GradientsParams, model: &RelationalTransformer) -> BTreeMap<String, Vec<f32>> {
    struct Visitor {
        gradients: GradientsParams,
        path: Vec<String>,
        found: BTreeMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for Visitor {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.path.join(".");
            let gradient = self.gradients.get::<D>(param.id).unwrap_or_else(|| panic!("`{name}` has no gradient"));
            self.found.insert(name, floats(gradient));
        }

        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
    }
    let mut visitor = Visitor { gradients, path: Vec::new(), found: BTreeMap::new() };
    model.visit(&mut visitor);
    visitor.found
}

/// How far a model's answers are from the file's.
fn of_answers(golden: &Golden, name: &str, model: &RelationalTransformer, most: usize, device: &Device) -> f32 {
    let batch = golden.setup.batch(&golden.setup.models[name].config, most);
    let places = golden.setup.places(most);
    let states = model.forward(&batch, device);
    let mut furthest = 0.0_f32;
    for read in &batch.reads {
        let found = match read.kind {
            ColumnKind::Category => floats(model.scores(states.clone(), read)),
            _ => floats(model.numbers(states.clone(), read)),
        };
        let all = golden.numbers(&format!("{name}.answer.{}", read.column));
        let classes = found.len() / read.states.len();
        let expected: Vec<f32> = places[&read.column].iter().flat_map(|at| &all[at * classes..][..classes]).copied().collect();
        let far = distance(&found, &expected);
        assert!(far < 1e-5, "{name}: answers of column {} are off by {far}", read.column);
        furthest = furthest.max(far);
    }
    let columns: BTreeSet<String> = places.keys().map(u16::to_string).collect();
    assert_eq!(batch.reads.len(), columns.len());
    assert!(most == 1 || columns == golden.names(&format!("{name}.answer.")));
    furthest
}

/// Compares a model with the file, and prints how far it is from it.
fn compare(golden: &Golden, name: &str, is_dense: bool) {
    let device = Device::flex().autodiff();
    let setup = &golden.setup;
    let GoldenModel { config, smoothing } = &setup.models[name];
    let mut model = golden.model(name, &device);
    if is_dense {
        model = model.with_dense_layers();
    }
    // Asked for little, a batch has fewer tokens and a layer other ways.
    let furthest = [1, usize::MAX].map(|most| of_answers(golden, name, &model, most, &device)).into_iter().fold(0.0, f32::max);

    let batch = setup.batch(config, usize::MAX);
    let train = TrainConfig { weight_decay: setup.weight_decay, clip: setup.clip, ..TrainConfig::default() };
    let mut optimizer = Optimizer::new(&train);
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    let (mut steepest, mut of) = (0.0_f32, String::new());
    for step in 0..golden.numbers(&format!("{name}.losses")).len() {
        let loss = model.loss(&batch, *smoothing, &device).expect("some values are known");
        losses.push(loss.clone().into_scalar::<f32>());
        if step == 0 {
            let again = model.loss(&batch, *smoothing, &device).expect("some values are known");
            let found = named(GradientsParams::from_grads(again.backward(), &model), &model);
            let names: BTreeSet<String> = found.keys().cloned().collect();
            assert_eq!(names, golden.names(&format!("{name}.gradient.")));
            for (parameter, numbers) in &found {
                let far = distance(numbers, golden.numbers(&format!("{name}.gradient.{parameter}")));
                assert!(far < 1e-5, "{name}: the gradient of {parameter} is off by {far}");
                if far > steepest {
                    (steepest, of) = (far, parameter.clone());
                }
            }
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let (next, norm) = optimizer.step(model, gradients, setup.learning_rate);
        model = next;
        norms.push(norm as f32);
    }
    let relative = |found: &[f32], name: &str| {
        let pairs = found.iter().zip(golden.numbers(name));
        pairs.map(|(found, expected)| distance(&[*found], &[*expected])).fold(0.0, f32::max)
    };
    let (of_losses, of_norms) = (relative(&losses, &format!("{name}.losses")), relative(&norms, &format!("{name}.norms")));
    println!(
        "{name}, {}: answers {furthest:.1e}, gradients {steepest:.1e} ({of}), losses {of_losses:.1e}, norms {of_norms:.1e}",
        if is_dense { "dense" } else { "fused" }
    );
    assert!(of_losses < 1e-4, "{name}: losses are off by {of_losses}: {losses:?}");
    assert!(of_norms < 1e-4, "{name}: gradients' norms are off by {of_norms}: {norms:?}");
}

#[test]
fn answers_gradients_and_ten_losses_are_those_of_pytorch() {
    let golden = Golden::committed();
    assert_eq!(golden.setup.models.keys().collect::<Vec<_>>(), ["options", "own", "rt"]);
    for name in golden.setup.models.keys() {
        [false, true].into_iter().for_each(|is_dense| compare(&golden, name, is_dense));
    }
}

#[test]
fn pytorch_makes_the_same_file_again() {
    let Some(python) = std::env::var_os("RELATA_PYTHON").filter(|python| !python.is_empty()) else {
        println!("skipped: RELATA_PYTHON names no Python with numpy and torch");
        return;
    };
    if !Command::new(&python).args(["-c", "import numpy, torch"]).output().unwrap().status.success() {
        println!("skipped: {} has no numpy and torch", Path::new(&python).display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/make.py");
    let made = Command::new(python).arg("-B").arg(script).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (committed, again) = (Golden::committed(), Golden::read(folder.path()));
    assert_eq!(committed.tensors.keys().collect::<Vec<_>>(), again.tensors.keys().collect::<Vec<_>>());
    for (name, (shape, numbers)) in &committed.tensors {
        let (own, found) = &again.tensors[name];
        let far = distance(found, numbers);
        assert!(own == shape && far < 1e-5, "{name} is off by {far}");
    }
}
