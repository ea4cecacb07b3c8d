use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use relata::store::utc;
use relata::train::metrics::{self, Line, Phase};
use serde::Serialize;

use crate::info::{drawn, grouped};

/// List runs: what they are for, how far they are, and how good.
#[derive(clap::Args)]
pub struct Args {
    /// The folder that holds runs, or folders of runs
    #[arg(default_value = "runs")]
    folder: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// A run, as JSON has it.
#[derive(Debug, Serialize)]
struct RunSummary {
    /// Its path below the folder.
    name: String,
    state: State,
    /// What it predicts: `cell.celltype`.
    target: Option<String>,
    /// Done, of all members and phases together.
    epochs: usize,
    steps: u64,
    /// The last that was written, of a step or an epoch.
    loss: Option<f64>,
    best: Option<Best>,
    /// The median over steps; where none is written, over epochs.
    tokens_per_second: Option<f64>,
    seconds: Option<f64>,
    began: Option<String>,
    /// Why the metrics cannot be read.
    problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Finished,
    /// Still training, or stopped before it was done.
    Unfinished,
}

/// The best of a run's validations.
#[derive(Debug, PartialEq, Serialize)]
struct Best {
    score: String,
    value: f64,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let runs = survey(&self.folder)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&runs)?);
        } else if runs.is_empty() {
            let folder = self.folder.display();
            println!("{folder}: no runs here; make one with `relata train TASK.toml --store STORE --out {folder}/first`");
        } else {
            print(&runs);
        }
        Ok(())
    }
}

/// What a run predicts, and the score by which it is judged, as far as its files say.
#[derive(Default)]
pub struct Goal {
    /// The node type and the attribute: `cell.celltype`.
    pub target: Option<String>,
    /// The first of the task's metrics.
    score: Option<String>,
}

impl Goal {
    /// From the folder of a run that need not be finished.
    pub fn of(run: &Path) -> Self {
        let task = fs::read_to_string(run.join("task.toml")).ok().and_then(|text| text.parse::<toml::Table>().ok());
        let task = task.as_ref().and_then(|task| task.get("task"));
        let name = |key: &str| task?.get(key)?.as_str();
        let finished = fs::read(run.join("run.json")).ok();
        let finished = finished.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
        let target = finished.as_ref().and_then(|info| info["target"].as_str()).map(str::to_owned);
        Self {
            target: target.or_else(|| Some(format!("{}.{}", name("node")?, name("target")?))),
            score: task.and_then(|task| task.get("metrics")?.get(0)?.as_str()).map(str::to_owned),
        }
    }
}

/// The runs in a folder, in its folders, and itself if it is one; those that began last come first.
fn survey(folder: &Path) -> anyhow::Result<Vec<RunSummary>> {
    let mut found = vec![folder.to_owned()];
    for path in folders(folder)? {
        if is_run(&path) {
            found.push(path);
        } else {
            found.extend(folders(&path)?);
        }
    }
    let mut runs: Vec<(Option<u64>, RunSummary)> =
        found.iter().filter(|path| is_run(path)).map(|path| summary(path, folder)).collect();
    runs.sort_by(|one, other| (other.0, &one.1.name).cmp(&(one.0, &other.1.name)));
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// The folders in one, links to folders among them.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, relata::Error> {
    let entries = fs::read_dir(folder).map_err(relata::Error::io(folder, "cannot list the runs"))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

fn is_run(folder: &Path) -> bool {
    folder.join("run.json").is_file() || folder.join(metrics::FILE).is_file()
}

/// A run, and when it began, in seconds since 1970.
fn summary(path: &Path, folder: &Path) -> (Option<u64>, RunSummary) {
    let name = path.strip_prefix(folder).unwrap_or(path);
    let name = if name.as_os_str().is_empty() { path } else { name };
    let goal = Goal::of(path);
    let (lines, problem) = match metrics::read(path) {
        Ok(lines) => (lines, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    // The task is the first file that a run writes.
    let written = fs::metadata(path.join("task.toml")).and_then(|file| file.modified()).ok();
    let began = written.and_then(|written| written.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
    let last = lines.last().map(|line| match line {
        Line::Step(step) => step.seconds,
        Line::Validation(validation) => validation.seconds,
        Line::Epoch(epoch) => epoch.seconds,
    });
    let loss = lines.iter().rev().find_map(|line| match line {
        Line::Step(step) => Some(step.loss),
        Line::Epoch(epoch) => Some(epoch.loss),
        Line::Validation(_) => None,
    });
    let run = RunSummary {
        name: name.display().to_string(),
        state: if path.join("run.json").is_file() { State::Finished } else { State::Unfinished },
        epochs: lines.iter().filter(|line| matches!(line, Line::Epoch(_))).count(),
        steps: steps(&lines),
        loss,
        best: best(&lines, goal.score.as_deref()),
        target: goal.target,
        tokens_per_second: speed(&lines),
        seconds: last,
        began: began.map(utc),
        problem,
    };
    (began, run)
}

/// The furthest step of each phase of each member, together.
fn steps(lines: &[Line]) -> u64 {
    let mut furthest = std::collections::BTreeMap::<(u32, Phase), u64>::new();
    for line in lines {
        if let Line::Step(step) = line {
            let known = furthest.entry((step.member, step.phase)).or_default();
            *known = step.step.max(*known);
        }
    }
    furthest.values().sum()
}

/// By the score that is asked for; where no validation has it, by the first that one has.
fn best(lines: &[Line], score: Option<&str>) -> Option<Best> {
    let validations = || lines.iter().filter_map(|line| if let Line::Validation(known) = line { Some(known) } else { None });
    let known = |name: &&str| validations().any(|validation| validation.scores.contains_key(*name));
    let name = score.filter(known).or_else(|| validations().find_map(|known| known.scores.keys().next()).map(String::as_str))?;
    let values = validations().filter_map(|validation| validation.scores.get(name).copied()).filter(|value| !value.is_nan());
    let value = if less_is_better(name) { values.reduce(f64::min) } else { values.reduce(f64::max) };
    Some(Best { score: name.to_owned(), value: value? })
}

/// Whether a score, by its name, is an error or a loss.
fn less_is_better(score: &str) -> bool {
    ["error", "loss", "likelihood", "deviance"].iter().any(|word| score.contains(word))
}

fn speed(lines: &[Line]) -> Option<f64> {
    let of_steps = lines.iter().filter_map(|line| if let Line::Step(step) = line { Some(step.tokens_per_second) } else { None });
    let mut speeds: Vec<f64> = of_steps.collect();
    if speeds.is_empty() {
        let of_epochs = |line: &Line| if let Line::Epoch(epoch) = line { Some(epoch.tokens_per_second) } else { None };
        speeds = lines.iter().filter_map(of_epochs).collect();
    }
    speeds.retain(|speed| speed.is_finite());
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied()
}

fn print(runs: &[RunSummary]) {
    for problem in runs.iter().filter_map(|run| run.problem.as_ref()) {
        println!("problem: {problem}\n");
    }
    let header = ["run", "state", "target", "done", "loss", "best", "tokens/s", "took", "began"];
    let mut table = drawn(&header, &[3, 4, 5, 6, 7]);
    for run in runs {
        let done = match (run.steps, run.epochs) {
            (0, 0) => String::new(),
            (0, epochs) => format!("{} epochs", grouped(epochs as u64)),
            (steps, _) => format!("{} steps", grouped(steps)),
        };
        table.add_row([
            run.name.clone(),
            match run.state {
                State::Finished => "finished".to_owned(),
                State::Unfinished => "unfinished".to_owned(),
            },
            run.target.clone().unwrap_or_default(),
            done,
            run.loss.map(|loss| format!("{loss:.4}")).unwrap_or_default(),
            run.best.as_ref().map(|best| format!("{} {:.4}", best.score, best.value)).unwrap_or_default(),
            run.tokens_per_second.map(|speed| grouped(speed.round() as u64)).unwrap_or_default(),
            run.seconds.map(duration).unwrap_or_default(),
            run.began.clone().unwrap_or_default(),
        ]);
    }
    println!("{table}");
}

/// `4.2 s`, `3 min 07 s` or `2 h 05 min`.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parsed;

    const STEP: &str = r#"{"kind":"step","member":0,"phase":"train","task":"celltype","step":1200,"epoch":1,"loss":0.75,
        "learning_rate":0.001,"gradient_norm":1.5,"tokens_per_second":2500.0,"waiting":0.1,"seconds":187.2}"#;
    const VALIDATION: &str = r#"{"kind":"validation","member":0,"phase":"train","task":"celltype","step":1200,"epoch":1,
        "loss":0.8,"scores":{"accuracy":0.9,"macro_f1":0.6,"mean_absolute_error":2.0},"seconds":188.0}"#;
    const EPOCH: &str = r#"{"kind":"epoch","member":0,"phase":"train","epoch":0,"loss":1.25,"learning_rate":0.001,
        "tokens_per_second":1000.0,"waiting":0.0,"seconds":4.25}"#;
    const TASK: &str = "[task]\nnode = \"cell\"\ntarget = \"celltype\"\n";

    /// A folder `runs` with a run, made of the lines of its metrics.
    fn run(runs: &Path, name: &str, task: &str, lines: &[&str]) -> PathBuf {
        let folder = runs.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("task.toml"), task).unwrap();
        let text: String = lines.iter().map(|line| line.replace('\n', "") + "\n").collect();
        fs::write(folder.join(metrics::FILE), text).unwrap();
        folder
    }

    fn found<'r>(runs: &'r [RunSummary], name: &str) -> &'r RunSummary {
        runs.iter().find(|run| run.name == name).unwrap_or_else(|| panic!("no {name} in {runs:?}"))
    }

    #[test]
    fn runs_are_summed_up() {
        let folder = tempfile::tempdir().unwrap();
        let finished = run(folder.path(), "first", TASK, &[EPOCH, &EPOCH.replace("1.25", "0.5").replace("4.25", "9.5")]);
        fs::write(finished.join("run.json"), r#"{"target":"cell.celltype of all"}"#).unwrap();
        let better = VALIDATION.replace("0.6", "0.7").replace("0.9", "0.8").replace("2.0", "1.0");
        let pretrained = STEP.replace("\"train\"", "\"pretrain\"").replace("1200", "300").replace("2500.0", "500.0");
        let lines = [&pretrained, VALIDATION, &better, &STEP.replace("1200", "1100").replace("2500.0", "2000.0"), STEP, "{\"ki"];
        run(folder.path(), "seeds/0", &format!("{TASK}metrics = [\"macro_f1\", \"accuracy\"]\n"), &lines);
        run(folder.path(), "seeds/1", &format!("{TASK}metrics = [\"mean_absolute_error\"]\n"), &[VALIDATION, &better]);
        run(folder.path(), "empty", "", &[]);
        fs::create_dir(folder.path().join("no-run")).unwrap();
        let runs = survey(folder.path()).unwrap();
        assert_eq!(runs.len(), 4);
        let first = found(&runs, "first");
        assert_eq!((first.state, first.target.as_deref()), (State::Finished, Some("cell.celltype of all")));
        assert_eq!((first.epochs, first.steps, first.loss, &first.best), (2, 0, Some(0.5), &None));
        assert_eq!((first.tokens_per_second, first.seconds), (Some(1000.0), Some(9.5)));
        assert!(first.began.as_ref().unwrap().ends_with("UTC"));
        let zero = found(&runs, &Path::new("seeds").join("0").display().to_string());
        assert_eq!((zero.state, zero.target.as_deref()), (State::Unfinished, Some("cell.celltype")));
        assert_eq!((zero.steps, zero.loss, zero.tokens_per_second, zero.seconds), (1500, Some(0.75), Some(2000.0), Some(187.2)));
        assert_eq!(zero.best, Some(Best { score: "macro_f1".to_owned(), value: 0.7 }));
        let one = found(&runs, &Path::new("seeds").join("1").display().to_string());
        assert_eq!(one.best, Some(Best { score: "mean_absolute_error".to_owned(), value: 1.0 }));
        assert_eq!((one.steps, one.loss, one.seconds), (0, None, Some(188.0)));
        let empty = found(&runs, "empty");
        assert_eq!((empty.epochs, &empty.target, empty.seconds, &empty.problem), (0, &None, None, &None));
        print(&runs);
        // A run's own folder lists that run.
        assert_eq!(survey(&finished).unwrap()[0].target, first.target);
    }

    #[test]
    fn a_run_that_cannot_be_read_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), "whole", TASK, &[EPOCH]);
        run(folder.path(), "damaged", TASK, &[EPOCH, "{}", EPOCH]);
        let runs = survey(folder.path()).unwrap();
        assert_eq!(found(&runs, "whole").epochs, 1);
        let damaged = found(&runs, "damaged");
        assert!(damaged.epochs == 0 && damaged.problem.as_ref().unwrap().contains("line 2 is damaged"), "{damaged:?}");
        print(&runs);
    }

    #[test]
    fn where_there_are_no_runs_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let args = |more: &[&str]| parsed::<Args>(more).unwrap();
        args(&[folder.path().to_str().unwrap()]).run().unwrap();
        args(&[folder.path().to_str().unwrap(), "--json"]).run().unwrap();
        let missing = folder.path().join("runs");
        let error = args(&[missing.to_str().unwrap()]).run().unwrap_err().to_string();
        assert!(error.contains("cannot list the runs"), "{error}");
        assert_eq!(args(&[]).folder, Path::new("runs"));
    }

    #[test]
    fn durations_are_short() {
        let shown = [4.25, 59.4, 59.96, 187.0, 3599.6, 7500.0].map(duration);
        assert_eq!(shown, ["4.2 s", "59.4 s", "1 min 00 s", "3 min 07 s", "1 h 00 min", "2 h 05 min"]);
    }
}
