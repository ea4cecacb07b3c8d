//! Training as a user starts it: killed at any time, it goes on with the steps that would have followed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use relata::snapshot::{EdgeData, SnapshotWriter};
use relata::train::metrics::{self, Line};
use relata_schema::{EdgeValue, Schema, Value};

const TASK: &str = r#"
[task]
node = "cell"
target = "celltype"
[split]
folds = 4
[context]
hops = 1
[model]
width = 32
blocks = [["down", "column"], ["row"]]
[train]
epochs = 4
batch = 8
members = 2
ema = 0.99
validation = 0.2
pretrain_epochs = 1
checkpoint_minutes = 0.0005
[[also]]
link = "expresses"
"#;

/// Cells of two types, each of which expresses some genes more than others.
fn store(folder: &Path) {
    let schema = Schema::biology();
    let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
    let [cell, gene] = ["cell", "gene"].map(|name| schema.node_type(name).unwrap());
    let keys = |prefix: &str, count: u32| (0..count).map(|at| format!("{prefix}{at:04}")).collect::<Vec<_>>();
    writer.nodes(gene, &keys("g", 60)).unwrap();
    writer.nodes(cell, &keys("c", 200)).unwrap();
    let labels: Vec<_> = (0..200).map(|cell| Some(Value::Category(["A", "B"][cell % 2].to_owned()))).collect();
    writer.column(cell, schema.node_attribute(cell, "celltype").unwrap(), &labels).unwrap();
    let mut expresses = EdgeData { attributes: vec![Vec::new()], ..EdgeData::default() };
    for cell in 0..200_u32 {
        for gene in (0..60).filter(|gene| (cell * 31 + gene * 17 + cell * gene) % 3 == 0) {
            expresses.sources.push(cell);
            expresses.targets.push(gene);
            expresses.attributes[0].push(EdgeValue::Number(if gene % 2 == cell % 2 { 4.0 } else { 1.0 }));
        }
    }
    writer.relation(schema.relation("expresses").unwrap(), &expresses).unwrap();
    writer.publish(&[]).unwrap();
}

fn relata(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relata"));
    command.args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    relata(arguments, folder).output().unwrap()
}

/// What the steps, epochs and validations of a run were, without their times.
fn steps(run: &Path) -> Vec<(String, u64, u64)> {
    let of = |line: Line| match line {
        Line::Step(step) => (format!("{} {} {}", step.member, step.phase, step.task), step.step, step.loss.to_bits()),
        Line::Validation(found) => (format!("{} validation", found.member), found.step, found.loss.to_bits()),
        Line::Epoch(epoch) => (format!("{} {}", epoch.member, epoch.phase), epoch.epoch.into(), epoch.loss.to_bits()),
    };
    metrics::read(run).unwrap().into_iter().map(of).collect()
}

/// The bytes of each tensor of a file by its name; the file may have them in any order.
fn tensors(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(file).unwrap();
    let (length, rest) = bytes.split_at(8);
    let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).unwrap();
    let own = |(name, about): (String, serde_json::Value)| {
        let [start, end] = [0, 1].map(|at| about["data_offsets"][at].as_u64().unwrap() as usize);
        (name, data[start..end].to_vec())
    };
    header.into_iter().filter(|(name, _)| name != "__metadata__").map(own).collect()
}

#[test]
fn a_run_that_is_killed_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(&folder.join("cells.relata"));
    std::fs::write(folder.join("task.toml"), TASK).unwrap();
    let arguments = |out: &'static str| ["train", "task.toml", "--store", "cells.relata", "--out", out, "--quiet", "--resume"];
    let begun = Instant::now();
    let whole = run(&arguments("whole"), folder);
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let took = begun.elapsed();
    let mut kills = 0;
    // Ever later, so that it ends in any case.
    for round in 1.. {
        let mut child = relata(&arguments("killed"), folder).spawn().unwrap();
        let limit = Duration::from_secs_f64(took.as_secs_f64() * (0.15 + 0.05 * f64::from(round)));
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() && begun.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(status) = child.try_wait().unwrap() {
            let output = child.wait_with_output().unwrap();
            assert!(status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 1, "{kills}");
    assert_eq!(steps(&folder.join("killed")), steps(&folder.join("whole")));
    for file in ["vocabulary.json", "first-order.json"] {
        let [one, other] = ["killed", "whole"].map(|run| std::fs::read(folder.join(run).join(file)).unwrap());
        assert!(one == other, "{file} differs");
    }
    for file in ["model-0.safetensors", "model-1.safetensors"] {
        let [one, other] = ["killed", "whole"].map(|run| tensors(&folder.join(run).join(file)));
        assert!(one.len() > 10 && one == other, "{file} differs");
    }
    // A finished run is not begun again, and the list has both.
    let again = run(&arguments("killed"), folder);
    assert!(String::from_utf8_lossy(&again.stdout).contains("the run is finished"));
    let again = run(&arguments("killed")[..7], folder);
    let message = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && message.contains("holds a finished run"), "{message}");
    std::fs::create_dir(folder.join("runs")).unwrap();
    for name in ["killed", "whole"] {
        std::fs::rename(folder.join(name), folder.join("runs").join(name)).unwrap();
    }
    let listed = String::from_utf8(run(&["runs"], folder).stdout).unwrap();
    assert!(listed.contains("killed") && listed.contains("whole"), "{listed}");
    let evaluated = run(&["evaluate", "runs/killed", "--store", "cells.relata", "--quiet"], folder);
    let shown = String::from_utf8(evaluated.stdout).unwrap();
    assert!(shown.contains("cell.celltype, ") && shown.contains("link cell.expresses.gene, "), "{shown}");
}
