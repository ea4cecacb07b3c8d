use std::path::PathBuf;

use anyhow::bail;
use relata::snapshot::Snapshot;
use relata::task::{Fold, ResolvedTask, Task, folds, labels};
use relata::train::metrics::Line;
use relata::train::{FitOptions, Keep, Model, Run, fit};

use crate::evaluate;
use crate::info::grouped;

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
    /// Go on from the run's last checkpoint, where it was stopped; from the start if it has none
    #[arg(long)]
    resume: bool,
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
        if self.resume && Run::is_finished(&self.out) {
            let (info, model) = Run::open(&self.out, &snapshot)?;
            println!("{}: the run is finished; it trained on {} rows", self.out.display(), grouped(info.training_rows.into()));
            return self.evaluate(&snapshot, &model, fold, &held_out);
        }
        let mut run = if self.resume { Run::resume(&self.out, &text)? } else { Run::create(&self.out, &text)? };
        // The last epoch.
        let (mut seconds, mut speed, mut waiting) = (0.0, 0.0, 0.0);
        let mut log = |line: &Line| {
            if let Line::Epoch(epoch) = line {
                (seconds, speed, waiting) = (epoch.seconds, epoch.tokens_per_second, epoch.waiting);
            }
            run.log(line)
        };
        let keep = Some(Keep { run: &self.out, resumes: self.resume });
        let options = FitOptions { quiet: self.quiet, label: String::new(), fold, log: &mut log, keep };
        let model = fit(&snapshot, &task, &training, options)?;
        snapshot.intact()?;
        let info = run.finish(&model, &snapshot, fold, &held_out)?;
        println!(
            "trained on {} rows in {seconds:.1} s, {} tokens/s, {:.1}% of the time waiting for the sampler; run: {}",
            grouped(info.training_rows.into()),
            grouped(speed as u64),
            100.0 * waiting,
            self.out.display()
        );
        self.evaluate(&snapshot, &model, fold, &held_out)
    }

    fn evaluate(&self, snapshot: &Snapshot, model: &Model, fold: Option<u32>, held_out: &[u32]) -> anyhow::Result<()> {
        if !held_out.is_empty() {
            for measured in evaluate::measure(snapshot, model, fold, held_out, self.quiet)? {
                measured.print();
            }
            snapshot.intact()?;
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
