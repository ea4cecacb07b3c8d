use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Checkpoint};
use super::metrics::{self, Line};
use super::objectives::shape;
use super::{FirstOrder, Model, Visible, weights};
use crate::disk::write_durably;
use crate::model::RelationalTransformer;
use crate::snapshot::Snapshot;
use crate::task::calibration::Temperature;
use crate::task::{Fold, Task};
use crate::tokens::Vocabulary;
use crate::{Error, Result};

const VERSION: u32 = 2;

/// What a run is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Of the run directory's files.
    pub format_version: u32,
    /// Of the program.
    pub relata: String,
    /// The snapshot that it was trained on.
    pub snapshot: String,
    /// The task's node type and target.
    pub target: String,
    /// The fold that was held out, from 0; `None` where all rows trained.
    pub fold: Option<u32>,
    /// Rows that trained.
    pub training_rows: u32,
    /// Keys of the held-out rows.
    pub held_out: Vec<String>,
    /// For each objective, what its probabilities' logarithms are divided by; 1 where nothing was held back to tell.
    #[serde(default)]
    pub temperatures: Vec<Temperature>,
    /// Every setting of the task with its default.
    pub settings: serde_json::Value,
}

/// A run's folder, while it trains.
pub struct Run {
    path: PathBuf,
    metrics: File,
}

impl Run {
    /// Makes the folder, with the task's text in it.
    ///
    /// # Errors
    /// When there is a run already, or it cannot be written.
    pub fn create(path: &Path, task: &str) -> Result<Self> {
        if Self::is_finished(path) {
            let found = format!("{}, which holds a finished run", path.display());
            return Err(Error::setting("--out", found, "a new folder"));
        }
        if Checkpoint::open(path)?.is_some() {
            let found = format!("{}, which holds a run that was stopped", path.display());
            return Err(Error::setting("--out", found, "a new folder, or `--resume` to go on with it"));
        }
        fs::create_dir_all(path).map_err(Error::io(path, "cannot make the run's folder"))?;
        write_durably(&path.join("task.toml"), task.as_bytes())?;
        let file = path.join(metrics::FILE);
        let metrics = File::create(&file).map_err(Error::io(&file, "cannot write the metrics"))?;
        Ok(Self { path: path.to_owned(), metrics })
    }

    /// Whether a folder holds a run that has trained to its end.
    pub fn is_finished(path: &Path) -> bool {
        path.join("run.json").exists()
    }

    /// Opens the folder of a run that was stopped, with the metrics that it had at its last checkpoint; makes it where there is
    /// none.
    ///
    /// # Errors
    /// When the run is finished, or its task is another.
    pub fn resume(path: &Path, task: &str) -> Result<Self> {
        let file = path.join("task.toml");
        if !file.exists() || Self::is_finished(path) {
            return Self::create(path, task);
        }
        let known = fs::read_to_string(&file).map_err(Error::io(&file, "cannot read the run's task"))?;
        if known != task {
            let found = format!("{}, whose task is another", path.display());
            return Err(Error::setting("--resume", found, format!("the task of {}", file.display())));
        }
        let Some(checkpoint) = Checkpoint::open(path)? else { return Self::create(path, task) };
        let progress = checkpoint.progress;
        let is_before = |line: &Line| {
            let now = (progress.member, progress.phase);
            match line {
                Line::Step(step) => ((step.member, step.phase), step.step) <= (now, progress.step),
                Line::Epoch(epoch) => ((epoch.member, epoch.phase), epoch.epoch) < (now, progress.epoch),
                Line::Validation(found) => ((found.member, found.phase), found.epoch) < (now, progress.epoch),
            }
        };
        let kept: Vec<String> = metrics::read(path)?.iter().filter(|line| is_before(line)).map(json).collect();
        let file = path.join(metrics::FILE);
        write_durably(&file, kept.concat().as_bytes())?;
        let metrics = File::options().append(true).open(&file).map_err(Error::io(&file, "cannot write the metrics"))?;
        Ok(Self { path: path.to_owned(), metrics })
    }

    /// Adds a line to the metrics.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn log(&mut self, line: &Line) -> Result<()> {
        self.metrics
            .write_all(json(line).as_bytes())
            .map_err(Error::io(&self.path.join(metrics::FILE), "cannot write the metrics"))
    }

    /// Writes the model, and last of all `run.json`, which makes the run a finished one.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn finish(self, model: &Model, snapshot: &Snapshot, fold: Option<u32>, held_out: &[u32]) -> Result<RunInfo> {
        let schema = snapshot.schema();
        let task = &model.task;
        let vocabulary = serde_json::to_vec(&model.vocabulary).expect("a struct of texts and numbers is JSON");
        write_durably(&self.path.join("vocabulary.json"), &vocabulary)?;
        for (member, transformer) in model.members.iter().enumerate() {
            weights::save(transformer, &weights::path(&self.path, member as u32))?;
        }
        if let Some(first_order) = &model.first_order {
            let text = serde_json::to_vec(first_order).expect("a struct of numbers is JSON");
            write_durably(&self.path.join("first-order.json"), &text)?;
        }
        let info = RunInfo {
            format_version: VERSION,
            relata: env!("CARGO_PKG_VERSION").to_owned(),
            snapshot: snapshot.id().to_string(),
            target: format!(
                "{}.{}",
                schema.node(task.node_type).name,
                schema.node(task.node_type).attributes[task.target.index()].name
            ),
            fold,
            training_rows: model.visible.labelled.first().map_or(0, |(_, rows)| rows.len() as u32),
            held_out: held_out.iter().map(|&row| snapshot.key(task.node_type, row).to_owned()).collect(),
            temperatures: model.temperatures.clone(),
            settings: serde_json::to_value(&task.task).expect("a task of texts and numbers is JSON"),
        };
        let text = serde_json::to_vec_pretty(&info).expect("a struct of texts and numbers is JSON");
        write_durably(&self.path.join("run.json"), &text)?;
        checkpoint::clear(&self.path);
        Ok(info)
    }

    /// Reads a finished run for a snapshot, which may be another than it was trained on.
    ///
    /// # Errors
    /// When the folder holds no finished run of this version, or the snapshot does not fit.
    pub fn open(path: &Path, snapshot: &Snapshot) -> Result<(RunInfo, Model)> {
        let file = path.join("run.json");
        let text = fs::read(&file).map_err(Error::io(&file, "cannot read the run (is it a finished one?)"))?;
        let damaged = |file: &Path, found: String| Error::Damaged {
            path: file.to_owned(),
            record: "the run".to_owned(),
            found,
            remedy: "Train again with `relata train`".to_owned(),
        };
        let info: RunInfo = serde_json::from_slice(&text).map_err(|error| damaged(&file, error.to_string()))?;
        if info.format_version != VERSION {
            return Err(Error::Version {
                path: file,
                what: "the run",
                found: info.format_version,
                expected: VERSION,
                remedy: "Train again with `relata train`".to_owned(),
            });
        }
        let task = Task::read(&path.join("task.toml"), snapshot.schema())?;
        let file = path.join("vocabulary.json");
        let text = fs::read(&file).map_err(Error::io(&file, "cannot read the vocabulary"))?;
        let vocabulary: Vocabulary = serde_json::from_slice(&text).map_err(|error| damaged(&file, error.to_string()))?;
        let shape = shape(&vocabulary, &task, snapshot.schema());
        let device = crate::model::device()?;
        let mut members = Vec::new();
        for member in 0..task.task.train.members {
            let mut transformer = RelationalTransformer::new(&shape, None, 0, &device);
            weights::load(&mut transformer, &weights::path(path, member))?;
            members.push(transformer);
        }
        let file = path.join("first-order.json");
        let first_order: Option<FirstOrder> = match fs::read(&file) {
            Ok(text) => Some(serde_json::from_slice(&text).map_err(|error| damaged(&file, error.to_string()))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io(&file, "cannot read the linear term")(error)),
        };
        if first_order.as_ref().is_some_and(|term| !term.fits(&vocabulary)) {
            return Err(damaged(&file, "it is of another vocabulary".to_owned()));
        }
        // Only rows that were not held out may show their targets; with another snapshot none may.
        let visible = if info.snapshot == snapshot.id().as_str() {
            let held_out: std::collections::HashSet<&str> = info.held_out.iter().map(String::as_str).collect();
            let is_labelled = |row: &u32| !held_out.contains(snapshot.key(task.node_type, *row));
            let labelled: Vec<u32> = (0..snapshot.node_count(task.node_type)).filter(is_labelled).collect();
            let dealt = task.dealt(snapshot, &Fold { train: labelled.clone(), test: Vec::new() }, info.fold)?;
            Visible::new(&task, labelled, &dealt)
        } else {
            Visible { labelled: Vec::new(), excluded: task.excluded(snapshot, info.fold) }
        };
        let mut temperatures = info.temperatures.clone();
        temperatures.resize(task.objectives.len(), Temperature::default());
        Ok((info, Model { task, vocabulary, members, first_order, temperatures, visible }))
    }
}

/// A line of the metrics.
fn json(line: &Line) -> String {
    serde_json::to_string(line).expect("a struct of texts and numbers is JSON") + "\n"
}
