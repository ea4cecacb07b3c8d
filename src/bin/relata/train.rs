use std::path::PathBuf;

use anyhow::bail;
use relata::snapshot::Snapshot;
use relata::task::{Fold, ResolvedTask, Task, folds, labels};
use relata::train::metrics::Line;
use relata::train::{Epoch, FitOptions, Run, fit};

use crate::evaluate;

/// Train a model on a task.
#[derive(clap::Args)]
pub struct Args {
    /// The task, such as cell-type.toml
    task: PathBuf,
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// The run's folder, made anew
    #[arg(long)]
    out: PathBuf,
    /// The fold that is held out, from 0
    #[arg(long, default_value_t = 0)]
    fold: u32,
    /// Train on every row, holding none out
    #[arg(long, conflicts_with = "fold")]
    all: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let snapshot = Snapshot::current_verified(&self.store)?;
        let text = std::fs::read_to_string(&self.task).map_err(relata::Error::io(&self.task, "cannot read the task"))?;
        let task = Task::parse(&text, &self.task.display().to_string(), snapshot.schema())?;
        let (fold, training, held_out) = if self.all {
            (None, labels(&snapshot, &task)?.rows(), Vec::new())
        } else {
            let fold = fold(&snapshot, &task, self.fold)?;
            (Some(self.fold), fold.train, fold.test)
        };
        let mut run = Run::create(&self.out, &text)?;
        let mut last = 0.0;
        let mut on_epoch = |epoch: &Epoch| {
            last = epoch.seconds;
            run.log(&Line::Epoch(epoch.clone()))
        };
        let options = FitOptions { quiet: self.quiet, label: String::new(), on_epoch: &mut on_epoch };
        let model = fit(&snapshot, &task, &training, options)?;
        snapshot.intact()?;
        let info = run.finish(&model, &snapshot, fold, &held_out)?;
        println!("trained on {} rows in {last:.1} s; run: {}", info.training_rows, self.out.display());
        if !held_out.is_empty() {
            let measured = evaluate::measure(&snapshot, &model, &held_out, self.quiet)?;
            snapshot.intact()?;
            measured.print();
        }
        Ok(())
    }
}

/// The fold that a command's `--fold` names.
pub fn fold(snapshot: &Snapshot, task: &ResolvedTask, number: u32) -> anyhow::Result<Fold> {
    let mut folds = folds(snapshot, task)?;
    if number as usize >= folds.len() {
        bail!("--fold: found {number}, expected below {}, the task's `split.folds`", folds.len());
    }
    Ok(folds.swap_remove(number as usize))
}
