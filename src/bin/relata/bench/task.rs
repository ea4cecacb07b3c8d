use std::path::PathBuf;

use relata::snapshot::Snapshot;
use relata::task::Task as TaskFile;
use relata::train::metrics::{Line, Phase, Step};
use relata::train::{FitOptions, fit};
use serde::Serialize;

use crate::info::grouped;
use crate::train::fold;

/// How fast a task of yours trains here, and whether steps wait for the sampler.
#[derive(clap::Args)]
pub struct Task {
    /// The task, such as cell-type.toml
    task: PathBuf,
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// Train for so long; the first steps are not measured
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Serialize)]
struct Report {
    /// Those that were measured.
    steps: usize,
    threads: usize,
    tokens_per_second: f64,
    milliseconds_per_step: f64,
    /// Share of the time that steps waited for the next batch.
    waiting: f64,
    /// The longest share of a step.
    longest_waiting: f64,
    peak_megabytes: u64,
}

impl Task {
    pub fn run(self) -> anyhow::Result<()> {
        /// The queue is filled, and the pages of memory are there.
        const FIRST: usize = 5;
        let snapshot = Snapshot::current_verified(&self.store)?;
        let mut task = TaskFile::read(&self.task, snapshot.schema())?;
        let train = &mut task.task.train;
        (train.minutes, train.epochs, train.pretrain_epochs, train.members) = (Some(self.seconds / 60.0), u32::MAX >> 16, 0, 1);
        let rows = fold(&snapshot, &task, 0)?.train;
        let mut steps: Vec<Step> = Vec::new();
        let mut log = |line: &Line| {
            match line {
                Line::Step(step) if step.phase == Phase::Train => steps.push(step.clone()),
                _ => {}
            }
            Ok(())
        };
        let options = FitOptions { quiet: self.quiet, label: String::new(), fold: Some(0), log: &mut log, keep: None };
        fit(&snapshot, &task, &rows, options)?;
        anyhow::ensure!(
            steps.len() > FIRST,
            "--seconds: found {}, in which there were {} steps, expected enough for more than {FIRST}",
            self.seconds,
            steps.len()
        );
        let measured = &steps[FIRST..];
        let seconds = measured.last().map_or(0.0, |last| last.seconds) - steps[FIRST - 1].seconds;
        // Of a step: its tokens, and how long it was.
        let lengths: Vec<f64> = steps.windows(2).skip(FIRST - 1).map(|pair| pair[1].seconds - pair[0].seconds).collect();
        let tokens: f64 = measured.iter().zip(&lengths).map(|(step, length)| step.tokens_per_second * length).sum();
        let waited: f64 = measured.iter().zip(&lengths).map(|(step, length)| step.waiting * length).sum();
        let report = Report {
            steps: measured.len(),
            threads: rayon::current_num_threads(),
            tokens_per_second: tokens / seconds,
            milliseconds_per_step: 1000.0 * seconds / measured.len() as f64,
            waiting: waited / seconds,
            longest_waiting: measured.iter().map(|step| step.waiting).fold(0.0, f64::max),
            peak_megabytes: super::peak_megabytes(),
        };
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
            return Ok(());
        }
        println!(
            "{} tokens/s, {:.1} ms a step, over {} steps on {} threads; at most {} MB",
            grouped(report.tokens_per_second as u64),
            report.milliseconds_per_step,
            grouped(report.steps as u64),
            report.threads,
            grouped(report.peak_megabytes)
        );
        println!(
            "waiting for the sampler: {:.2}% of the time, at most {:.1}% of a step",
            100.0 * report.waiting,
            100.0 * report.longest_waiting
        );
        Ok(())
    }
}
