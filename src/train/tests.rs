use super::metrics::{Line, Phase};
use super::*;
use crate::planted;
use crate::snapshot::Snapshot;
use crate::task::{Labels, ResolvedTask, folds, labels};

const SMALL: &str = "[split]\nfolds = 4\n[context]\nhops = 1\n[model]\nwidth = 16\nheads = 2\nblocks = [[\"down\"]]\n\
                     [train]\nepochs = 12\nbatch = 16\nlearning_rate = 0.01\nedge_dropout = 0.2\n";

fn fitted(snapshot: &Snapshot, task: &ResolvedTask, rows: &[u32]) -> (Model, Vec<Epoch>) {
    let (model, lines) = logged(snapshot, task, rows);
    let epochs = lines.into_iter().filter_map(|line| if let Line::Epoch(epoch) = line { Some(epoch) } else { None });
    (model, epochs.collect())
}

fn logged(snapshot: &Snapshot, task: &ResolvedTask, rows: &[u32]) -> (Model, Vec<Line>) {
    let mut lines = Vec::new();
    let mut log = |line: &Line| {
        lines.push(line.clone());
        Ok(())
    };
    let options = FitOptions { quiet: true, label: String::new(), fold: Some(0), log: &mut log, keep: None };
    let model = fit(snapshot, task, rows, options).unwrap();
    (model, lines)
}

/// The losses of the steps of a task.
fn losses(lines: &[Line], task: &str) -> Vec<f64> {
    let of = |line: &Line| if let Line::Step(step) = line { (step.task == task).then_some(step.loss) } else { None };
    lines.iter().filter_map(of).collect()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
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
    let losses: Vec<f64> = epochs.iter().filter(|epoch| epoch.phase == Phase::Pretrain).map(|epoch| epoch.loss).collect();
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
        ("batch = 16", "batch = 16\naccumulate = 0", "train.accumulate"),
        ("batch = 16", "batch = 16\nema = 1.0", "train.ema"),
        ("batch = 16", "batch = 16\npatience = 2", "train.validation"),
        ("batch = 16", "batch = 16\ncheckpoint_minutes = -1.0", "train.checkpoint_minutes"),
        ("heads = 2", "heads = 2\ntext = 0", "model.text"),
    ] {
        let task = planted::task(&snapshot, &SMALL.replace(from, to));
        let mut ignore = |_: &Line| Ok(());
        let options = FitOptions { quiet: true, label: String::new(), fold: None, log: &mut ignore, keep: None };
        let error = fit(&snapshot, &task, &[0, 1], options).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The part of a text of settings behind `[train]`.
fn with(settings: &str) -> String {
    format!("{SMALL}{settings}\n")
}

#[test]
fn a_batch_computed_in_parts_makes_the_steps_of_one_computed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 60, 6);
    let rows = labels(&snapshot, &planted::task(&snapshot, SMALL)).unwrap().rows();
    let found = |settings: &str| {
        let task = planted::task(&snapshot, &SMALL.replace("epochs = 12", &format!("epochs = 3\n{settings}")));
        losses(&logged(&snapshot, &task, &rows).1, "cell.celltype")
    };
    let whole = found("");
    // Contexts have some 30 tokens each.
    for settings in ["tokens = 100", "tokens = 1"] {
        let parts = found(settings);
        assert_eq!(whole.len(), parts.len());
        let off = whole.iter().zip(&parts).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
        assert!(off < 1e-4 && whole[0] != whole[5], "{settings}: off by {off}");
    }
    // 51 rows in batches of 16 are 4; two of them together are a step.
    assert_eq!([whole.len(), found("accumulate = 2").len()], [12, 6]);
}

#[test]
fn the_best_epoch_is_kept_and_training_stops_where_none_is_better() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 200, 7);
    let settings = with("validation = 0.3\npatience = 2").replace("epochs = 12", "epochs = 60");
    let task = planted::task(&snapshot, &settings);
    let fold = folds(&snapshot, &task).unwrap().swap_remove(0);
    let (model, lines) = logged(&snapshot, &task, &fold.train);
    let found: Vec<f64> = lines
        .iter()
        .filter_map(|line| if let Line::Validation(found) = line { Some(found.scores["macro_f1"]) } else { None })
        .collect();
    assert!((3..60).contains(&found.len()), "{found:?}");
    let best = found.iter().copied().fold(f64::MIN, f64::max);
    let at = found.iter().position(|score| *score == best).unwrap();
    assert_eq!(found.len(), at + 3, "it stops two epochs after the best: {found:?}");
    assert!(best > 0.8, "{found:?}");
    // The rows that were held back did not train, but were asked to make probabilities right.
    assert!(model.temperatures[0].0 > 0.0 && model.temperatures[0] != crate::task::calibration::Temperature::default());
    assert!(accuracy(&snapshot, &model, &fold.test) > 0.8);
    // As many rows as all that were given count as labelled in the end.
    assert_eq!(model.visible.labelled[0].1.len(), fold.train.len());
}

#[test]
fn an_average_of_the_weights_answers_instead_of_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 120, 8);
    let rows = labels(&snapshot, &planted::task(&snapshot, SMALL)).unwrap().rows();
    let answers = |settings: &str| {
        let task = planted::task(&snapshot, &with(settings));
        let (model, lines) = logged(&snapshot, &task, &rows);
        (losses(&lines, "cell.celltype"), model.predict(&snapshot, &rows, true).unwrap(), accuracy(&snapshot, &model, &rows))
    };
    let (plain, average) = (answers(""), answers("ema = 0.9"));
    assert_eq!(plain.0, average.0, "the weights that train are the same");
    assert_ne!(plain.1, average.1);
    assert!(average.2 > 0.85, "{}", average.2);
}

/// Stops a run at a step of the log, as a kill would.
fn stopped(
    snapshot: &Snapshot,
    task: &ResolvedTask,
    text: &str,
    rows: &[u32],
    run: &std::path::Path,
    steps: usize,
) -> Option<Model> {
    let mut writer = Run::resume(run, text).unwrap();
    let mut left = steps;
    let mut log = |line: &Line| {
        if left == 0 {
            return Err(crate::Error::Training("killed".to_owned()));
        }
        left -= usize::from(matches!(line, Line::Step(_)));
        writer.log(line)
    };
    let keep = Some(Keep { run, resumes: true });
    let options = FitOptions { quiet: true, label: String::new(), fold: Some(0), log: &mut log, keep };
    match fit(snapshot, task, rows, options) {
        Ok(model) => {
            writer.finish(&model, snapshot, Some(0), &[]).unwrap();
            Some(model)
        }
        Err(error) => {
            assert_eq!(error.to_string(), "killed");
            None
        }
    }
}

#[test]
fn a_run_that_is_stopped_again_and_again_makes_the_steps_of_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 60, 9);
    for optimizer in ["adamw", "muon"] {
        let settings = with(&format!(
            "optimizer = \"{optimizer}\"\nmembers = 2\nema = 0.9\nvalidation = 0.2\naccumulate = 2\npretrain_epochs = 2\n\
             checkpoint_minutes = 0.0\n[[also]]\ncontrast = \"cell\""
        ))
        .replace("epochs = 12", "epochs = 3")
        .replace("batch = 16", "batch = 4");
        let text = format!("[task]\nnode = \"cell\"\ntarget = \"celltype\"\nhide = [\"has_type\"]\n{settings}");
        let task = planted::task(&snapshot, &settings);
        let rows = labels(&snapshot, &task).unwrap().rows();
        let [once, often] = ["once", "often"].map(|name| folder.path().join(optimizer).join(name));
        let expected = stopped(&snapshot, &task, &text, &rows, &once, usize::MAX).unwrap();
        let mut stops = 0;
        let found = loop {
            match stopped(&snapshot, &task, &text, &rows, &often, 17) {
                Some(model) => break model,
                None => stops += 1,
            }
        };
        assert!(stops > 3, "{stops}");
        let steps = |run| {
            let step = |line: Line| match line {
                Line::Step(step) => Some((step.member, step.phase, step.task, step.step, step.loss, step.gradient_norm)),
                Line::Validation(found) => Some((found.member, found.phase, String::new(), found.step, found.loss, 0.0)),
                Line::Epoch(epoch) => Some((epoch.member, epoch.phase, String::new(), epoch.epoch.into(), epoch.loss, 0.0)),
            };
            metrics::read(run).unwrap().into_iter().filter_map(step).collect::<Vec<_>>()
        };
        let (one, other) = (steps(&once), steps(&often));
        assert_eq!(one.len(), other.len());
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one, other, "{optimizer}");
        }
        let all: Vec<u32> = (0..60).collect();
        assert_eq!(found.predict(&snapshot, &all, true).unwrap(), expected.predict(&snapshot, &all, true).unwrap());
        assert!(!often.join("checkpoint").exists());
    }
}

#[test]
fn a_run_does_not_go_on_as_another() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 40, 10);
    let settings = with("checkpoint_minutes = 0.0");
    let text = format!("[task]\nnode = \"cell\"\ntarget = \"celltype\"\nhide = [\"has_type\"]\n{settings}");
    let task = planted::task(&snapshot, &settings);
    let rows = labels(&snapshot, &task).unwrap().rows();
    let run = folder.path().join("run");
    assert!(stopped(&snapshot, &task, &text, &rows, &run, 3).is_none());
    let error = Run::resume(&run, &text.replace("epochs = 12", "epochs = 13")).err().unwrap().to_string();
    assert!(error.contains("--resume") && error.contains("whose task is another"), "{error}");
    let fails = |snapshot: &Snapshot, fold| {
        let mut ignore = |_: &Line| Ok(());
        let keep = Some(Keep { run: &run, resumes: true });
        let options = FitOptions { quiet: true, label: String::new(), fold, log: &mut ignore, keep };
        fit(snapshot, &task, &rows, options).err().unwrap().to_string()
    };
    let error = fails(&snapshot, Some(1));
    assert!(error.contains("holds out fold 0, expected fold 1"), "{error}");
    let other = tempfile::tempdir().unwrap();
    let error = fails(&planted::snapshot(other.path(), 40, 11), Some(0));
    assert!(error.contains("a checkpoint of snapshot"), "{error}");
    // A checkpoint that was being replaced is found where it was put aside.
    std::fs::rename(run.join("checkpoint"), run.join("checkpoint.old")).unwrap();
    assert!(stopped(&snapshot, &task, &text, &rows, &run, 2).is_none());
    let lines = metrics::read(&run).unwrap();
    let steps: Vec<u64> =
        lines.iter().filter_map(|line| if let Line::Step(step) = line { Some(step.step) } else { None }).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5]);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 40, 12);
    let settings = with("learning_rate = 1e30\nclip = 1e38").replacen("learning_rate = 0.01\n", "", 1);
    let task = planted::task(&snapshot, &settings);
    let rows = labels(&snapshot, &task).unwrap().rows();
    let run = folder.path().join("run");
    let mut ignore = |_: &Line| Ok(());
    let keep = Some(Keep { run: &run, resumes: false });
    let options = FitOptions { quiet: true, label: String::new(), fold: Some(0), log: &mut ignore, keep };
    let error = fit(&snapshot, &task, &rows, options).err().unwrap().to_string();
    assert!(error.contains("`relata replay") && error.contains("a lower `train.learning_rate` (now 1e30)"), "{error}");
    let replay = Replay::of(&run).unwrap();
    assert_eq!(replay.objective, "cell.celltype");
    assert!(!replay.rows.is_empty() && replay.rows.iter().all(|row| row.starts_with('c')), "{:?}", replay.rows);
    assert!(!replay.loss.is_finite() || replay.gradients.iter().any(|looked| looked.not_finite > 0), "{replay:?}");
    assert!(replay.layers[0].name == "embedding" && replay.layers.iter().any(|looked| looked.name == "block 1, down"));
    let error = Replay::of(folder.path()).err().unwrap().to_string();
    assert!(error.contains("did the run fail at one?"), "{error}");
}

#[test]
fn classes_that_are_rare_weigh_as_much_as_others_where_they_are_to() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 400, 13);
    // All of type A, and every tenth of type B.
    let settings = SMALL.replace("[split]", "balance = true\n[split]").replace("epochs = 12", "epochs = 1");
    let found = |settings: &str| {
        let task = planted::task(&snapshot, settings);
        let all = labels(&snapshot, &task).unwrap().rows();
        let rows: Vec<u32> = all.into_iter().filter(|row| row % 2 == 0 || row % 20 == 1).collect();
        // Blind, so that all that can be learnt is how often classes are.
        let (model, _) = logged(&snapshot, &task, &rows);
        let answers = model.predict(&snapshot, &rows, true).unwrap();
        mean(
            &answers
                .iter()
                .map(|answer| if let Answer::Classes(said) = answer { f64::from(said[1]) } else { 0.0 })
                .collect::<Vec<_>>(),
        )
    };
    let blind = |settings: &str| {
        let settings = settings.replace("hops = 1", "hops = 1\nrelations = [\"annotated_with\"]");
        settings.replace("epochs = 1\n", "epochs = 40\n").replace("[model]", "[model]\nfirst_order = false\nstart = \"random\"")
    };
    let (plain, balanced) = (found(&blind(&settings.replace("balance = true\n", ""))), found(&blind(&settings)));
    // 9% of the rows are of type B.
    assert!((plain - 0.09).abs() < 0.03, "{plain}");
    assert!((balanced - 0.5).abs() < 0.1, "{balanced}");
}

/// Cells with a total that their type decides, and a number that is its logarithm.
fn counted(store: &std::path::Path) -> Snapshot {
    planted::snapshot_with(store, 300, 14, |writer, schema| {
        let cell = schema.node_type("cell").unwrap();
        let mut random = crate::sampler::random::Key::new("counts", 1).random();
        // Sums of three are even enough for a test.
        let mut draw = |mean: u64| (0..3).map(|_| random.below(2 * mean / 3 + 1)).sum::<u64>() as f64;
        let totals: Vec<_> =
            (0..300_u32).map(|cell| Some(relata_schema::Value::Number(draw(if cell % 2 == 0 { 600 } else { 60 })))).collect();
        writer.column(cell, schema.node_attribute(cell, "total_counts").unwrap(), &totals).unwrap();
    })
}

#[test]
fn numbers_and_counts_are_learnt_with_each_of_their_losses_beside_a_class() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = counted(folder.path());
    for loss in ["huber", "gaussian", "negative_binomial"] {
        let settings =
            with(&format!("[[also]]\ntarget = \"total_counts\"\nloss = \"{loss}\"")).replace("epochs = 12", "epochs = 25");
        let task = planted::task(&snapshot, &settings);
        let fold = folds(&snapshot, &task).unwrap().swap_remove(0);
        let (model, lines) = logged(&snapshot, &task, &fold.train);
        let [class, total] = ["cell.celltype", "cell.total_counts"].map(|name| losses(&lines, name));
        assert_eq!(class.len(), total.len(), "an epoch has as many steps of one as of the other");
        assert!(accuracy(&snapshot, &model, &fold.test) > 0.85);
        let answers = model.predict_objective(1, &snapshot, &fold.test, true).unwrap();
        let mut means = [Vec::new(), Vec::new()];
        for (&row, answer) in fold.test.iter().zip(&answers) {
            let Answer::Number(number) = answer else { panic!() };
            means[row as usize % 2].push(*number);
        }
        let [high, low] = means.map(|numbers| mean(&numbers));
        assert!((350.0..900.0).contains(&high) && (20.0..200.0).contains(&low), "{loss}: {high} and {low}, planted 600 and 60");
        let scores = scores(&labels(&snapshot, &task.asking(1)).unwrap(), &fold.test, &answers);
        assert!(scores["r2"] > 0.5, "{loss}: {scores:?}");
    }
}

#[test]
fn edges_are_told_from_pairs_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 200, 15);
    // An epoch has as many steps of edges as of cells, nine.
    let settings = with("[[also]]\nlink = \"expresses\"\nnegatives = 2").replace("epochs = 12", "epochs = 60");
    let task = planted::task(&snapshot, &settings);
    let fold = folds(&snapshot, &task).unwrap().swap_remove(0);
    let (model, lines) = logged(&snapshot, &task, &fold.train);
    let found = losses(&lines, "link cell.expresses.gene");
    assert!(mean(&found[found.len() - 10..]) < 0.97 * mean(&found[..10]), "{found:?}");
    let dealt = task.dealt(&snapshot, &fold, Some(0)).unwrap();
    let crate::task::Asked::Edges(edges) = &dealt[1].test else { panic!() };
    let told = model.tell_edges(1, &snapshot, edges, true).unwrap();
    // Markers are in 3/4 of the cells of their type, and any other gene in half of all: of the pairs of an edge and a pair that is
    // none, knowing the type alone puts right: P(edge is a marker) = 3/4 · 1/4 / (1/4 · 3/4 + 3/4 · 1/2) = 1/3, P(none is) = 1/7.
    // Higher: 1/3 · 6/7 + half of the ties: (1/3 · 1/7 + 2/3 · 6/7) / 2 = 0.595.
    assert!(told.edges == edges.len() && told.negatives == 2);
    assert!((0.55..0.75).contains(&told.higher), "{told:?}");
}

#[test]
fn two_views_of_a_cell_find_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), 200, 16);
    let settings = with("[[also]]\ncontrast = \"cell\"\ntemperature = 0.2").replace("epochs = 12", "epochs = 10");
    let task = planted::task(&snapshot, &settings);
    let rows = labels(&snapshot, &task).unwrap().rows();
    let (_, lines) = logged(&snapshot, &task, &rows);
    let found = losses(&lines, "contrast cell");
    // By chance each of 16 is as likely.
    let (first, last) = (mean(&found[..5]), mean(&found[found.len() - 10..]));
    assert!(last < 0.6 * 16.0_f64.ln() && last < 0.8 * first, "{first}, then {last}");
}
