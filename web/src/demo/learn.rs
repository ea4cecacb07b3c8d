use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use relata::embedding::EmbeddingTable;
use relata::snapshot::Snapshot;
use relata::task::metrics::accuracy;
use relata::task::{Labels, Task, folds, labels};
use relata::train::metrics::Line;
use relata::train::{FitOptions, Run, fit};

use super::Organism;

/// The name of the demo's model, in its store.
pub const MODEL: &str = "cell-type";

/// What training found out, beside what was planted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learnt {
    /// Cells whose type was not shown.
    pub held_out: usize,
    /// Share of them whose true type was found.
    pub accuracy: f64,
    /// Share of them that are of the most frequent type.
    pub majority: f64,
    /// Genes of a programme whose identity was learnt.
    pub genes: usize,
    /// Share of these whose nearest gene of any programme, by what was learnt, is of the same.
    pub same_programme: f64,
    /// That share if genes were dealt at random.
    pub same_by_chance: f64,
    /// For training and embedding.
    pub seconds: f64,
}

/// Trains the folder's task on four fifths of the cells, checks it on the rest and against the organism, and embeds every
/// cell and gene into the store. Nothing is done where the store has the model of its current snapshot already.
///
/// # Errors
/// When the store or task cannot be read, or the run not written.
pub fn learn(folder: &Path, store: &Path, organism: &Organism, quiet: bool) -> Result<Option<Learnt>> {
    let snapshot = Snapshot::current(store)?;
    if EmbeddingTable::list(store)?.iter().any(|known| known.model == MODEL && known.snapshot == snapshot.id().as_str()) {
        return Ok(None);
    }
    let begun = Instant::now();
    let path = super::task(folder);
    let text = fs::read_to_string(&path).with_context(|| format!("{}: cannot read the task", path.display()))?;
    let task = Task::parse(&text, &path.display().to_string(), snapshot.schema())?;
    let fold = folds(&snapshot, &task)?.swap_remove(0);
    let run_folder = folder.join("runs").join(MODEL);
    if run_folder.exists() {
        fs::remove_dir_all(&run_folder).with_context(|| format!("{}: cannot remove an earlier run", run_folder.display()))?;
    }
    let mut run = Run::create(&run_folder, &text)?;
    let mut log = |line: &Line| run.log(line);
    let options = FitOptions { quiet, label: String::new(), fold: Some(0), log: &mut log, keep: None };
    let model = fit(&snapshot, &task, &fold.train, options)?;
    run.finish(&model, &snapshot, Some(0), &fold.test)?;

    let answers = model.predict(&snapshot, &fold.test, quiet)?;
    let Labels::Classes { names, .. } = labels(&snapshot, &task)? else { bail!("{}: the target has no classes", path.display()) };
    let mut truth = Vec::new();
    let mut found = Vec::new();
    for (&row, answer) in fold.test.iter().zip(&answers) {
        let barcode = snapshot.key(task.node_type, row);
        let planted = organism.cell_type(barcode).with_context(|| format!("the organism has no cell {barcode}"))?;
        truth.push(names.iter().position(|name| name == planted).map_or(u32::MAX, |code| code as u32));
        found.push(answer.class().unwrap_or(u32::MAX));
    }
    let tables = model.embed(&snapshot, MODEL, &format!("runs/{MODEL}"), quiet)?;
    for table in &tables {
        table.write(store)?;
    }
    let (genes, same_programme, same_by_chance) =
        tables.iter().find(|table| table.info.node_type == "gene").map_or((0, 0.0, 0.0), |table| programmes(table, organism));
    Ok(Some(Learnt {
        held_out: truth.len(),
        accuracy: accuracy(&truth, &found),
        majority: most_frequent(&truth),
        genes,
        same_programme,
        same_by_chance,
        seconds: begun.elapsed().as_secs_f64(),
    }))
}

/// How many genes have a programme and a vector, how often the nearest of them is of the same programme, and how often it
/// would be by chance.
fn programmes(table: &EmbeddingTable, organism: &Organism) -> (usize, f64, f64) {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for gene in &organism.genes {
        if let Some(programme) = gene.programme {
            known.insert(&gene.id, programme);
        }
    }
    let rows: Vec<(usize, usize)> =
        table.keys.iter().enumerate().filter_map(|(row, key)| Some((row, *known.get(key.as_str())?))).collect();
    let programme_of: HashMap<usize, usize> = rows.iter().copied().collect();
    let (mut same, mut by_chance) = (0, 0.0);
    for &(row, programme) in &rows {
        let near = table.nearest(table.vector(row), table.keys.len(), Some(row));
        let first = near.iter().find_map(|(other, _)| programme_of.get(other));
        same += usize::from(first == Some(&programme));
        let others = rows.iter().filter(|(other, theirs)| *other != row && *theirs == programme).count();
        by_chance += others as f64 / (rows.len() - 1).max(1) as f64;
    }
    let count = rows.len().max(1) as f64;
    (rows.len(), same as f64 / count, by_chance / count)
}

fn most_frequent(codes: &[u32]) -> f64 {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    codes.iter().for_each(|&code| *counts.entry(code).or_default() += 1);
    counts.values().copied().max().unwrap_or(0) as f64 / codes.len().max(1) as f64
}

impl fmt::Display for Learnt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        writeln!(f, "learnt in {:.0} s, beside what was planted:", self.seconds)?;
        writeln!(
            f,
            "  cell types: {} of {} held-out cells are found (the most frequent type is {})",
            percent(self.accuracy),
            self.held_out,
            percent(self.majority)
        )?;
        write!(
            f,
            "  gene programmes: for {} of {} genes the nearest one is of the same programme (by chance {})",
            percent(self.same_programme),
            self.genes,
            percent(self.same_by_chance)
        )
    }
}
