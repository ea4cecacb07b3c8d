use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use burn_store::{ModuleSnapshot, SafetensorsStore};
use relata::allocator::Keeping;
use relata::model::{AskedShape, RelationalTransformer, Shape, floats};
use relata::sampler::random::Key;
use relata::task::{AttentionKind, ModelConfig, TrainConfig};
use relata::tokens::{Batch, ColumnKind, Context, NO_ROW, Row, State, Token};
use relata::train::Optimizer;
use serde::Serialize;

use crate::info::grouped;

/// Columns of the tables that contexts are made of, six a table.
const COLUMNS: u16 = 30;
const COLUMNS_OF_TABLE: u16 = 6;

/// How many tokens a second a model trains on here: contexts of tables with links, every token's state in the loss.
#[derive(clap::Args)]
pub struct Train {
    /// Tokens of a context
    #[arg(long, default_value_t = 1024)]
    context: usize,
    /// Contexts a step
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Blocks of the model
    #[arg(long, default_value_t = 12)]
    blocks: usize,
    /// Numbers a token
    #[arg(long, default_value_t = 256)]
    width: usize,
    /// Heads of each kind of attention
    #[arg(long, default_value_t = 8)]
    heads: usize,
    /// Numbers a token between the two halves of a feed-forward layer
    #[arg(long, default_value_t = 1024)]
    hidden: usize,
    /// Kinds of attention in each block, of column, row, neighbour, up, down and full
    #[arg(long, value_delimiter = ',', value_parser = kind, default_value = "column,row,neighbour")]
    attention: Vec<AttentionKind>,
    /// Steps that are measured, after one that is not; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Layers of the backend's own operations, with a mask for every pair of tokens
    #[arg(long)]
    dense: bool,
    /// The way back computes again what feed-forward layers hold between
    #[arg(long)]
    recompute: bool,
    /// Writes weights, first states, masks and what the loss is of to this folder, for other programs to train with
    #[arg(long)]
    dump: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// As a task writes it.
fn kind(name: &str) -> Result<AttentionKind, serde_json::Error> {
    serde_json::from_value(name.into())
}

#[derive(Serialize)]
struct Report {
    context: usize,
    batch: usize,
    blocks: usize,
    attention: Vec<AttentionKind>,
    dense: bool,
    threads: usize,
    parameters: usize,
    /// Pairs of a query and a key that it sees, a token and layer.
    visible: f64,
    tokens_per_second: f64,
    seconds: f64,
    forward_seconds: f64,
    backward_seconds: f64,
    optimizer_seconds: f64,
    /// Laying the batch out, which training does beside the steps.
    layout_seconds: f64,
    /// Billions of operations a second: of the products and of attention in a step, three times those forward, what is left
    /// out not counted; and of a product of two matrices of 2048² by the same library, between the steps.
    gflops: f64,
    product_gflops: f64,
    /// The most that the process held.
    peak_megabytes: u64,
    /// Of the first step.
    loss: f64,
}

impl Train {
    pub fn run(self) -> anyhow::Result<()> {
        let blocks = vec![self.attention.clone(); self.blocks];
        let config = ModelConfig {
            width: self.width,
            heads: self.heads,
            blocks: blocks.clone(),
            expansion: self.hidden as f64 / self.width as f64,
            key_norm: false,
            recompute: self.recompute,
            ..ModelConfig::default()
        };
        let shape = Shape {
            config,
            columns: vec![(ColumnKind::Number, 0); usize::from(COLUMNS)],
            category_counts: vec![0; usize::from(COLUMNS)],
            identities: 1,
            categories: 0,
            asked: AskedShape::default(),
            typed: None,
        };
        let contexts: Vec<Context> = (0..self.batch).map(|at| context(self.context, at as u64)).collect();
        let reads: Vec<Vec<u32>> = contexts.iter().map(|context| (0..context.tokens.len() as u32).collect()).collect();
        let kinds = vec![ColumnKind::Number; usize::from(COLUMNS)];
        let begun = Instant::now();
        let batch = Batch::new(&contexts.iter().collect::<Vec<_>>(), &reads, &blocks, &kinds);
        let layout_seconds = begun.elapsed().as_secs_f64();
        let _keeping = Keeping::new();

        let device = relata::model::device()?.autodiff();
        let mut model = RelationalTransformer::new(&shape, None, 0, &device);
        if self.dense {
            model = model.with_dense_layers();
        }
        let tokens = self.context * self.batch;
        let mut random = Key::new("bench of training", 1).random();
        let target: Vec<f32> = (0..tokens * self.width).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect();
        let target = Tensor::<2>::from_data(TensorData::new(target, [tokens, self.width]), &device);
        if let Some(folder) = &self.dump {
            self.write(folder, &model, &contexts, &batch, &target, &device)?;
        }
        let mut optimizer = Optimizer::new(&TrainConfig::default());
        let mut measured = Vec::new();
        let mut rates = Vec::new();
        let mut first_loss = f64::NAN;
        for step in 0..=self.steps {
            rates.push(product_rate(&device));
            let begun = Instant::now();
            let loss = (model.forward(&batch, &device) * target.clone()).mean();
            let value = f64::from(loss.clone().into_scalar::<f32>());
            let forward = begun.elapsed().as_secs_f64();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let backward = begun.elapsed().as_secs_f64();
            (model, _) = optimizer.step(model, gradients, 1e-4);
            let all = begun.elapsed().as_secs_f64();
            if step == 0 {
                first_loss = value;
            } else {
                measured.push([all, forward, backward - forward, all - backward]);
            }
        }
        measured.sort_by(|one, other| one[0].total_cmp(&other[0]));
        rates.sort_by(f64::total_cmp);
        let [seconds, forward_seconds, backward_seconds, optimizer_seconds] = measured[measured.len() / 2];
        let report = Report {
            context: self.context,
            batch: self.batch,
            blocks: self.blocks,
            attention: self.attention.clone(),
            dense: self.dense,
            threads: rayon::current_num_threads(),
            parameters: burn::module::Module::num_params(&model),
            visible: visible(&batch) as f64 / (tokens * self.blocks * self.attention.len()) as f64,
            tokens_per_second: tokens as f64 / seconds,
            seconds,
            forward_seconds,
            backward_seconds,
            optimizer_seconds,
            layout_seconds,
            gflops: self.operations(&batch) / seconds / 1e9,
            product_gflops: rates[rates.len() / 2],
            peak_megabytes: super::peak_megabytes(),
            loss: first_loss,
        };
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            report.print();
        }
        Ok(())
    }

    /// Of a step, forward and backward.
    fn operations(&self, batch: &Batch) -> f64 {
        let (width, hidden) = (self.width as f64, self.hidden as f64);
        let mut count = 0.0;
        for layers in &batch.blocks {
            for layer in layers {
                let reach = &layer.reach;
                count += 4.0 * width * width * (reach.queries.count() + reach.keys.count()) as f64;
                count += 4.0 * width * reach.pattern.pairs().0 as f64;
            }
            count += 6.0 * width * hidden * (self.context * self.batch) as f64;
        }
        3.0 * count
    }

    /// `model.safetensors`, `batch.json`, and numbers row after row, little-endian: `states.f32` and `target.f32` `[contexts,
    /// tokens, width]`; `row.i32` and `column.i32` `[contexts, tokens]`, `parents.i32` `[contexts, tokens, 2]`, -1 for none.
    fn write(
        &self,
        folder: &Path,
        model: &RelationalTransformer,
        contexts: &[Context],
        batch: &Batch,
        target: &Tensor<2>,
        device: &Device,
    ) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        let mut store = SafetensorsStore::from_file(folder.join("model.safetensors")).overwrite(true);
        model.save_into(&mut store)?;
        let embedded = floats(model.embed(batch, device));
        // The first layer's states come out in the order of the contexts.
        let order = &batch.blocks[0][0].reach.kept;
        let states: Vec<f32> = order.iter().flat_map(|at| embedded[at * self.width..(at + 1) * self.width].to_vec()).collect();
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        fs::write(folder.join("states.f32"), bytes(&states))?;
        fs::write(folder.join("target.f32"), bytes(&floats(target.clone())))?;
        let (mut rows, mut columns, mut parents) = (Vec::new(), Vec::new(), Vec::new());
        for context in contexts {
            for (token, &row) in context.tokens.iter().zip(&context.row_of) {
                rows.extend((row as i32).to_le_bytes());
                columns.extend(i32::from(token.column).to_le_bytes());
                for parent in context.rows[row as usize].parents {
                    parents.extend((parent as i32).to_le_bytes());
                }
            }
        }
        fs::write(folder.join("row.i32"), rows)?;
        fs::write(folder.join("column.i32"), columns)?;
        fs::write(folder.join("parents.i32"), parents)?;
        let settings = serde_json::json!({
            "contexts": self.batch, "tokens": self.context, "width": self.width, "heads": self.heads, "hidden": self.hidden,
            "blocks": self.blocks, "attention": self.attention, "epsilon": ModelConfig::default().epsilon,
        });
        fs::write(folder.join("batch.json"), settings.to_string())?;
        Ok(())
    }
}

impl Report {
    fn print(&self) {
        let whole = |number: f64| grouped(number.round() as u64);
        println!(
            "{} tokens/s, {:.2} s a step of {} × {} tokens",
            whole(self.tokens_per_second),
            self.seconds,
            self.batch,
            self.context
        );
        println!(
            "forward {:.2} s, backward {:.2} s, optimizer {:.3} s; laying out, beside: {:.3} s",
            self.forward_seconds, self.backward_seconds, self.optimizer_seconds, self.layout_seconds
        );
        println!(
            "{} GFLOP/s of {} that products of large matrices reach, on {} threads",
            whole(self.gflops),
            whole(self.product_gflops),
            self.threads
        );
        println!(
            "{} parameters; {:.1} keys seen a token and layer; at most {} MB; first loss {:.6}",
            grouped(self.parameters as u64),
            self.visible,
            grouped(self.peak_megabytes),
            self.loss
        );
    }
}

/// Rows of five tables of six columns: a fifth of them refer to none, the others to two of those.
fn context(tokens: usize, number: u64) -> Context {
    let mut random = Key::new("bench of training", 0).with(number).random();
    let mut context = Context::default();
    let rows = tokens.div_ceil(usize::from(COLUMNS_OF_TABLE));
    let without = (rows / 5).max(1);
    for row in 0..rows {
        let is_edge = row >= without;
        let tables = COLUMNS / COLUMNS_OF_TABLE;
        let table = if is_edge { 2 + random.below(u64::from(tables) - 2) as u16 } else { random.below(2) as u16 };
        let start = context.tokens.len() as u32;
        for column in 0..usize::from(COLUMNS_OF_TABLE).min(tokens - start as usize) as u16 {
            let number = random.below(4001) as f32 / 1000.0 - 2.0;
            let column = table * COLUMNS_OF_TABLE + column;
            context.push_token(row as u32, Token { column, state: State::Shown, identity: 0, number, code: u32::MAX });
        }
        let mut parent = || random.below(without as u64) as u32;
        let parents = if is_edge { [parent(), parent()] } else { [NO_ROW; 2] };
        let tokens = start..context.tokens.len() as u32;
        context.rows.push(Row { tokens, parents, upper: NO_ROW, lower: NO_ROW });
    }
    context
}

fn visible(batch: &Batch) -> u64 {
    batch.blocks.iter().flatten().map(|layer| layer.reach.pattern.pairs().0).sum()
}

/// Billions of operations a second of a product of matrices of 2048².
fn product_rate(device: &Device) -> f64 {
    const SIDE: usize = 2048;
    let device = device.clone().inner();
    let matrix = Tensor::<2>::ones([SIDE, SIDE], &device);
    let begun = Instant::now();
    let product = matrix.clone().matmul(matrix);
    let _ = product.slice([0..1, 0..1]).into_scalar::<f32>();
    2.0 * (SIDE as f64).powi(3) / begun.elapsed().as_secs_f64() / 1e9
}
