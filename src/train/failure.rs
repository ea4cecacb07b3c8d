//! A batch at which training failed, kept so that it can be looked at.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::batches::{Laid, Pairs, laid_out};
use super::objectives::Cost;
use super::weights;
use crate::disk::write_durably;
use crate::model::{RelationalTransformer, Shape, floats};
use crate::tokens::{ColumnKind, Context, State, VocabularyColumn};
use crate::{Error, Result};

/// What the model was asked, and what is needed to ask it again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) objective: String,
    /// Keys of what was asked about.
    pub(super) rows: Vec<String>,
    /// Titles of the columns.
    pub(super) columns: Vec<String>,
    pub(super) kinds: Vec<ColumnKind>,
    pub(super) shape: Shape,
    pub(super) cost: Cost,
    pub(super) counts: Option<VocabularyColumn>,
    pub(super) contexts: Vec<Context>,
    pub(super) reads: Vec<Vec<u32>>,
    pub(super) pairs: Option<Pairs>,
}

/// What a second look at a failed batch finds.
#[derive(Debug, Serialize)]
pub struct Replay {
    /// What training said.
    pub failed: String,
    /// What was asked.
    pub objective: String,
    /// The keys of what it was asked about.
    pub rows: Vec<String>,
    /// The sum of the losses, now.
    pub loss: f64,
    /// The values that went in, by column.
    pub values: Vec<Looked>,
    /// The states behind each layer, in their order.
    pub layers: Vec<Looked>,
    /// The gradients, by parameter.
    pub gradients: Vec<Looked>,
}

/// Some numbers, looked at.
#[derive(Debug, Serialize)]
pub struct Looked {
    /// What they are of.
    pub name: String,
    /// How many.
    pub count: usize,
    /// How many are infinite or no numbers.
    pub not_finite: usize,
    /// The largest of the others, without its sign; 0 where there is none.
    pub largest: f32,
}

impl Looked {
    fn at(name: String, numbers: &[f32]) -> Self {
        let finite = numbers.iter().filter(|number| number.is_finite());
        let largest = finite.clone().map(|number| number.abs()).fold(0.0, f32::max);
        Self { name, count: numbers.len(), not_finite: numbers.len() - finite.count(), largest }
    }
}

fn folder(run: &Path) -> PathBuf {
    run.join("failed")
}

impl Failure {
    /// Writes it, with the weights that the batch met.
    pub(super) fn save(&self, run: &Path, model: &RelationalTransformer) -> Result<()> {
        let folder = folder(run);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot keep the failed batch"))?;
        weights::save(model, &folder.join("model.safetensors"))?;
        let text = serde_json::to_vec(self).expect("a struct of texts and numbers is JSON");
        write_durably(&folder.join("batch.json"), &text)
    }
}

impl Replay {
    /// Looks again at the batch that a run failed at.
    ///
    /// # Errors
    /// When the run has none, or it cannot be read.
    pub fn of(run: &Path) -> Result<Self> {
        let path = folder(run).join("batch.json");
        let text = fs::read(&path).map_err(Error::io(&path, "cannot read the failed batch (did the run fail at one?)"))?;
        let failure: Failure = serde_json::from_slice(&text).map_err(|error| Error::Damaged {
            path: path.clone(),
            record: "the failed batch".to_owned(),
            found: error.to_string(),
            remedy: "Train again with `relata train`".to_owned(),
        })?;
        let device = crate::model::device()?.autodiff();
        let mut model = RelationalTransformer::new(&failure.shape, None, 0, &device);
        weights::load(&mut model, &folder(run).join("model.safetensors"))?;
        let blocks = &failure.shape.config.blocks;
        let batch = laid_out(&failure.contexts, &failure.reads, blocks, &failure.kinds, failure.counts.as_ref());
        let tokens = failure.contexts.iter().map(|context| context.tokens.len()).sum();
        let values = failure.values();
        let Failure { what, objective, rows, cost, contexts, reads, pairs, .. } = failure;
        let laid = Laid { places: Vec::new(), batch, contexts, reads, entries: Vec::new(), tokens, pairs };
        let mut layers = Vec::new();
        model.watched(&laid.batch, &device, |name, states| layers.push(Looked::at(name.to_string(), &floats(states.clone()))));
        let (mut loss, mut gradients) = (f64::NAN, Vec::new());
        if let Some(sum) = cost.of(&model, &laid, &device) {
            loss = f64::from(sum.clone().into_scalar::<f32>());
            let found = GradientsParams::from_grads(sum.backward(), &model);
            let mut look = Gradients { found, path: Vec::new(), looked: Vec::new() };
            model.visit(&mut look);
            gradients = look.looked;
        }
        Ok(Self { failed: what, objective, rows, loss, values, layers, gradients })
    }
}

impl Failure {
    /// The values that are shown, by column.
    fn values(&self) -> Vec<Looked> {
        let of_column = |(at, (name, kind)): (usize, (&String, &ColumnKind))| {
            let at = at as u16;
            let numbers: Vec<f32> = match kind {
                ColumnKind::Number => {
                    let shown = |token: &&crate::tokens::Token| token.column == at && token.state == State::Shown;
                    self.contexts.iter().flat_map(|context| &context.tokens).filter(shown).map(|token| token.number).collect()
                }
                ColumnKind::Vector(_) => {
                    let own = self.contexts.iter().flat_map(|context| &context.vectors).filter(|(column, _)| *column == at);
                    own.flat_map(|(_, numbers)| numbers.iter().copied()).collect()
                }
                ColumnKind::Category | ColumnKind::Link => Vec::new(),
            };
            (!numbers.is_empty()).then(|| Looked::at(name.clone(), &numbers))
        };
        self.columns.iter().zip(&self.kinds).enumerate().filter_map(of_column).collect()
    }
}

/// Looks at the gradient of each parameter.
struct Gradients {
    found: GradientsParams,
    path: Vec<String>,
    looked: Vec<Looked>,
}

impl ModuleVisitor for Gradients {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.found.get::<D>(param.id) {
            self.looked.push(Looked::at(self.path.join("."), &floats(gradient)));
        }
    }
}
