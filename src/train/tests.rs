use super::*;
use crate::planted;
use crate::snapshot::Snapshot;
use crate::task::{Labels, ResolvedTask, folds, labels};

const SMALL: &str = "[split]\nfolds = 4\n[context]\nhops = 1\n[model]\nwidth = 16\nheads = 2\nblocks = [[\"down\"]]\n\
                     [train]\nepochs = 12\nbatch = 16\nlearning_rate = 0.01\nedge_dropout = 0.2\n";

fn fitted(snapshot: &Snapshot, task: &ResolvedTask, rows: &[u32]) -> (Model, Vec<Epoch>) {
    let mut epochs = Vec::new();
    let mut on_epoch = |epoch: &Epoch| {
        epochs.push(epoch.clone());
        Ok(())
    };
    let model = fit(snapshot, task, rows, FitOptions { quiet: true, label: String::new(), on_epoch: &mut on_epoch }).unwrap();
    (model, epochs)
}

fn accuracy(snapshot: &Snapshot, model: &Model, rows: &[u32]) -> f64 {
    let Labels::Classes { codes, .. } = labels(snapshot, &model.task).unwrap() else { panic!() };
    let answers = model.predict(snapshot, rows, true).unwrap();
    let right = rows.iter().zip(&answers).filter(|(row, answer)| codes[**row as usize] == answer.class()).count();
    right as f64 / rows.len() as f64
}

#[test]
fn a_planted_truth_is_learnt_and_chance_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 300, 1);
    let task = planted::task(&snapshot, SMALL);
    let fold = folds(&snapshot, &task).unwrap().swap_remove(0);
    let (model, epochs) = fitted(&snapshot, &task, &fold.train);
    assert!(epochs[11].loss < 0.5 * epochs[0].loss, "{epochs:?}");
    let found = accuracy(&snapshot, &model, &fold.test);
    assert!(found > 0.85, "{found}: with markers three times as strong in their type, most cells are told apart");
    // Without the genes there is nothing to learn from.
    let blind = planted::task(&snapshot, &SMALL.replace("hops = 1", "hops = 1\nrelations = [\"annotated_with\"]"));
    let (model, _) = fitted(&snapshot, &blind, &fold.train);
    let found = accuracy(&snapshot, &model, &fold.test);
    assert!(found < 0.7, "{found}: a cell that shows nothing cannot be told from another; does its label leak?");
}

#[test]
fn equal_seeds_train_equal_models_at_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 60, 2);
    let task = planted::task(&snapshot, &SMALL.replace("epochs = 12", "epochs = 2"));
    let rows = labels(&snapshot, &task).unwrap().rows();
    let answers = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fitted(&snapshot, &task, &rows).0.predict(&snapshot, &rows, true).unwrap())
    };
    assert_eq!(answers(1), answers(2));
}

#[test]
fn pretraining_lowers_its_own_loss() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 120, 3);
    let settings =
        SMALL.replace("epochs = 12", "epochs = 1\npretrain_epochs = 8").replace("[[\"down\"]]", "[[\"down\", \"up\"]]");
    let task = planted::task(&snapshot, &settings);
    let rows = labels(&snapshot, &task).unwrap().rows();
    let (_, epochs) = fitted(&snapshot, &task, &rows);
    let losses: Vec<f64> = epochs.iter().filter(|epoch| epoch.phase == "pretrain").map(|epoch| epoch.loss).collect();
    assert_eq!(losses.len(), 8);
    assert!(losses[7] < 0.97 * losses[0], "{losses:?}");
}

#[test]
fn a_run_reads_back_and_answers_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 60, 4);
    let settings = format!("{}members = 2\n", SMALL.replace("epochs = 12", "epochs = 2"));
    let text = format!("[task]\nnode = \"cell\"\ntarget = \"celltype\"\nhide = [\"has_type\"]\n{settings}");
    let task = planted::task(&snapshot, &settings);
    let rows = labels(&snapshot, &task).unwrap().rows();
    let (model, epochs) = fitted(&snapshot, &task, &rows[..40]);
    let path = folder.path().join("run");
    let mut run = Run::create(&path, &text).unwrap();
    epochs.iter().for_each(|epoch| run.log(&metrics::Line::Epoch(epoch.clone())).unwrap());
    let info = run.finish(&model, &snapshot, Some(0), &rows[40..]).unwrap();
    let (read, again) = Run::open(&path, &snapshot).unwrap();
    assert_eq!(read, info);
    assert_eq!(again.predict(&snapshot, &rows, true).unwrap(), model.predict(&snapshot, &rows, true).unwrap());
    let lines = metrics::read(&path).unwrap();
    let same = |(line, epoch): (&metrics::Line, &Epoch)| matches!(line, metrics::Line::Epoch(read) if read.phase == epoch.phase);
    assert!(lines.len() == 4 && lines.iter().zip(&epochs).all(same), "{lines:?}");
    assert!(epochs.iter().all(|epoch| (0.0..1.0).contains(&epoch.waiting)), "{epochs:?}");
    let error = Run::create(&path, &text).err().unwrap().to_string();
    assert!(error.contains("holds a finished run"), "{error}");
    let tables = again.embed(&snapshot, "first", "run", true).unwrap();
    let types: Vec<&str> = tables.iter().map(|table| table.info.node_type.as_str()).collect();
    assert_eq!(types, ["cell", "gene"]);
    assert_eq!((tables[0].info.count, tables[0].info.dimension), (60, 32));
}

#[test]
fn typed_tokens_train_and_leave_no_identities() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 60, 6);
    let settings = SMALL
        .replace("hops = 1", "hops = 2\nrelations = [\"expresses\"]\nwidth = 100")
        .replace("[[\"down\"]]", "[[\"row\", \"neighbour\"], [\"row\", \"neighbour\"]]\ntokens = \"typed\"\nfirst_order = false");
    let task = planted::task(&snapshot, &settings);
    let rows = labels(&snapshot, &task).unwrap().rows();
    let (model, epochs) = fitted(&snapshot, &task, &rows);
    let least = epochs[6..].iter().fold(f64::INFINITY, |least, epoch| least.min(epoch.loss));
    assert!(least < epochs[0].loss, "{epochs:?}");
    let path = folder.path().join("run");
    let text = format!("[task]\nnode = \"cell\"\ntarget = \"celltype\"\nhide = [\"has_type\"]\n{settings}");
    Run::create(&path, &text).unwrap().finish(&model, &snapshot, None, &[]).unwrap();
    let (_, again) = Run::open(&path, &snapshot).unwrap();
    assert_eq!(again.predict(&snapshot, &rows, true).unwrap(), model.predict(&snapshot, &rows, true).unwrap());
    let tables = again.embed(&snapshot, "typed", "run", true).unwrap();
    assert_eq!(tables.iter().map(|table| table.info.node_type.as_str()).collect::<Vec<_>>(), ["cell"]);
}

#[test]
fn settings_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 20, 5);
    for (from, to, expected) in [
        ("heads = 2", "heads = 3", "model.width"),
        ("[[\"down\"]]", "[[]]", "model.blocks"),
        ("learning_rate = 0.01", "learning_rate = -1.0", "train.learning_rate"),
        ("learning_rate = 0.01", "learning_rate = 0.01\nmask = 1.5", "train.mask"),
        ("batch = 16", "batch = 0", "train.batch"),
        ("heads = 2", "heads = 2\ntext = 0", "model.text"),
    ] {
        let task = planted::task(&snapshot, &SMALL.replace(from, to));
        let mut ignore = |_: &Epoch| Ok(());
        let options = FitOptions { quiet: true, label: String::new(), on_epoch: &mut ignore };
        let error = fit(&snapshot, &task, &[0, 1], options).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
