use std::collections::{BTreeMap, HashMap};

use petgraph::unionfind::UnionFind;

use super::{GroupBy, ResolvedTask, SplitKind};
use crate::snapshot::{NodeColumn, Snapshot};
use crate::{Error, Result};

/// The rows of one round of cross-validation, ascending; every row with a target is in one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Nodes whose target may be learnt from.
    pub train: Vec<u32>,
    /// Nodes whose target is to be predicted.
    pub test: Vec<u32>,
}

/// The target of every node of a task's type; `None` where it is missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Of a category or boolean.
    Classes {
        /// What the codes mean: the category's names in byte order, or `false` and `true`.
        names: Vec<String>,
        /// One a node, below `names.len()`.
        codes: Vec<Option<u32>>,
    },
    /// Of a number or count, in the attribute's unit.
    Numbers(Vec<Option<f64>>),
}

impl Labels {
    /// The nodes whose target is known, ascending.
    pub fn rows(&self) -> Vec<u32> {
        let known: Vec<bool> = match self {
            Self::Classes { codes, .. } => codes.iter().map(Option::is_some).collect(),
            Self::Numbers(numbers) => numbers.iter().map(Option::is_some).collect(),
        };
        (0..).zip(known).filter(|(_, known)| *known).map(|(row, _)| row).collect()
    }
}

/// The target of every node of the task's type.
///
/// # Errors
/// When the target is no category, boolean, number or count, or when it has fewer than two classes.
pub fn labels(snapshot: &Snapshot, task: &ResolvedTask) -> Result<Labels> {
    let schema = snapshot.schema();
    let owner = schema.node(task.node_type);
    let target = &owner.attributes[task.target.index()];
    let title = format!("{}.{}", owner.name, target.name);
    let count = snapshot.node_count(task.node_type) as usize;
    let classes = |names: Vec<String>, mut codes: Vec<Option<u32>>| {
        codes.resize(count, None); // a column that is missing throughout is empty
        let mut seen = vec![false; names.len()];
        for &code in codes.iter().flatten() {
            if let Some(seen) = seen.get_mut(code as usize) {
                *seen = true;
            }
        }
        let found = seen.iter().filter(|&&seen| seen).count();
        if found < 2 {
            return Err(Error::Setting {
                setting: "task.target".to_owned(),
                found: format!("`{title}` with {found} classes among {count} nodes"),
                expected: "at least 2 classes".to_owned(),
            });
        }
        Ok(Labels::Classes { names, codes })
    };
    match snapshot.column(task.node_type, task.target) {
        NodeColumn::Category(codes) => {
            let names: Vec<String> = snapshot.categories(task.node_type, task.target).into_iter().map(str::to_owned).collect();
            let known = names.len();
            classes(names, codes.iter().map(|&code| Some(code).filter(|&code| (code as usize) < known)).collect())
        }
        NodeColumn::Boolean(truths) => {
            let codes = truths.iter().map(|&truth| Some(u32::from(truth)).filter(|&truth| truth < 2)).collect();
            classes(["false", "true"].map(str::to_owned).to_vec(), codes)
        }
        NodeColumn::Number(numbers) => {
            let mut numbers: Vec<Option<f64>> =
                numbers.iter().map(|&number| Some(number).filter(|number| number.is_finite())).collect();
            numbers.resize(count, None);
            Ok(Labels::Numbers(numbers))
        }
        _ => Err(Error::Setting {
            setting: "task.target".to_owned(),
            found: format!("`{title}`, a {}", target.kind),
            expected: "a category, boolean, number or count".to_owned(),
        }),
    }
}

/// Deals the rows that have a target to `split.folds` folds.
///
/// The order in which rows are dealt is a hash of `split.seed` and the node's key, so that a fold depends neither on how
/// nodes are numbered nor on what else was loaded. A class with fewer rows than folds is warned of: some folds have none.
///
/// # Errors
/// Those of [`labels`]; fewer than two folds; fewer rows, or groups, than folds; `kind = "group"` without a category
/// attribute of the task's node type in `split.group`.
pub fn folds(snapshot: &Snapshot, task: &ResolvedTask) -> Result<Vec<Fold>> {
    let split = &task.task.split;
    let labels = labels(snapshot, task)?;
    if split.folds < 2 {
        return Err(Error::setting("split.folds", split.folds.to_string(), "at least 2"));
    }
    let rows = shuffled(snapshot, task, &labels);
    if rows.len() < split.folds as usize {
        let title = &snapshot.schema().node(task.node_type).attributes[task.target.index()].name;
        let found = format!("{} for {} rows with a `{title}`", split.folds, rows.len());
        return Err(Error::setting("split.folds", found, "at most as many folds as rows"));
    }
    let dealt = match split.kind {
        SplitKind::Random => deal([rows], split.folds),
        SplitKind::Stratified => deal(strata(&labels, rows, split.folds), split.folds),
        SplitKind::Group => deal_groups(groups(snapshot, task, &rows)?, split.folds),
    };
    let all = 0..split.folds;
    Ok(all
        .map(|fold| {
            let (mut test, mut train): (Vec<_>, Vec<_>) = dealt.iter().partition(|&&(_, dealt)| dealt == fold);
            test.sort_unstable();
            train.sort_unstable();
            let nodes = |rows: Vec<(u32, u32)>| rows.into_iter().map(|(node, _)| node).collect();
            Fold { train: nodes(train), test: nodes(test) }
        })
        .collect())
}

/// The nodes with a target, by a hash of the seed and their keys.
fn shuffled(snapshot: &Snapshot, task: &ResolvedTask, labels: &Labels) -> Vec<u32> {
    let known: Vec<u32> = match labels {
        Labels::Classes { codes, .. } => (0..).zip(codes).filter_map(|(node, code)| code.map(|_| node)).collect(),
        Labels::Numbers(numbers) => (0..).zip(numbers).filter_map(|(node, number)| number.map(|_| node)).collect(),
    };
    let seed = task.task.split.seed.to_le_bytes();
    let mut rows: Vec<([u8; 32], u32)> = known
        .into_iter()
        .map(|node| {
            let mut hasher = blake3::Hasher::new_derive_key("relata split 1");
            hasher.update(&seed).update(snapshot.key(task.node_type, node).as_bytes());
            (*hasher.finalize().as_bytes(), node)
        })
        .collect();
    rows.sort_unstable();
    rows.into_iter().map(|(_, node)| node).collect()
}

/// One class after the other; of numbers, one stretch of neighbouring values, as long as there are folds, after the other.
fn strata(labels: &Labels, mut rows: Vec<u32>, folds: u32) -> Vec<Vec<u32>> {
    match labels {
        Labels::Classes { names, codes } => {
            let mut strata = vec![Vec::new(); names.len()];
            for row in rows {
                if let Some(code) = codes[row as usize] {
                    strata[code as usize].push(row);
                }
            }
            for (name, stratum) in names.iter().zip(&strata) {
                if !stratum.is_empty() && stratum.len() < folds as usize {
                    tracing::warn!(class = name.as_str(), rows = stratum.len(), folds, "a class has fewer rows than folds");
                }
            }
            strata
        }
        Labels::Numbers(numbers) => {
            let place: std::collections::HashMap<u32, usize> =
                rows.iter().enumerate().map(|(place, &row)| (row, place)).collect();
            let value = |row: u32| numbers[row as usize].unwrap_or_default();
            rows.sort_by(|&one, &other| value(one).total_cmp(&value(other))); // stable: equal values stay shuffled
            rows.chunks(folds as usize)
                .map(|stretch| {
                    let mut stretch = stretch.to_vec();
                    stretch.sort_unstable_by_key(|row| place[row]);
                    stretch
                })
                .collect()
        }
    }
}

/// Round robin, each stratum going on where the one before ended, so that neither a stratum nor the whole has folds that
/// differ by more than one row.
fn deal(strata: impl IntoIterator<Item = Vec<u32>>, folds: u32) -> Vec<(u32, u32)> {
    strata.into_iter().flatten().zip((0..folds).cycle()).collect()
}

/// The rows of each group, largest first.
fn groups(snapshot: &Snapshot, task: &ResolvedTask, rows: &[u32]) -> Result<Vec<Vec<u32>>> {
    let split = &task.task.split;
    let setting = |found: String, expected: &str| Error::setting("split.group", found, expected);
    let (Some(name), Some(group)) = (&split.group, task.group) else {
        return Err(setting("nothing".to_owned(), "a category, interval or relation, since split.kind is `group`"));
    };
    let (mut groups, mut alone) = (Vec::new(), Vec::new());
    match group {
        GroupBy::Attribute(attribute) => {
            let codes = snapshot.codes(task.node_type, attribute);
            groups.resize(snapshot.categories(task.node_type, attribute).len(), Vec::new());
            for &row in rows {
                match codes.get(row as usize).and_then(|&code| groups.get_mut(code as usize)) {
                    Some(group) => group.push(row),
                    None => alone.push(vec![row]),
                }
            }
        }
        GroupBy::Link(relation, direction) => {
            let adjacency = snapshot.adjacency(relation, direction);
            // All nodes of the type take part, so that rows are together that share a node with one that has no target.
            let mut sets = UnionFind::new(snapshot.node_count(task.node_type) as usize);
            let mut first: HashMap<u32, usize> = HashMap::new();
            for node in 0..snapshot.node_count(task.node_type) {
                for &far in adjacency.neighbors(node) {
                    sets.union(*first.entry(far).or_insert(node as usize), node as usize);
                }
            }
            let mut of: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
            for &row in rows {
                match adjacency.degree(row) {
                    0 => alone.push(vec![row]),
                    _ => of.entry(sets.find(row as usize)).or_default().push(row),
                }
            }
            groups.extend(of.into_values());
        }
    }
    groups.retain(|group| !group.is_empty());
    groups.append(&mut alone);
    if groups.len() < split.folds as usize {
        let found = format!("`{}` with {} groups for {} folds", name.get_ref(), groups.len(), split.folds);
        return Err(setting(found, "at least as many groups as folds"));
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.len())); // stable: then by name
    Ok(groups)
}

/// Each group, the largest first, to the fold that has the fewest rows yet.
fn deal_groups(groups: Vec<Vec<u32>>, folds: u32) -> Vec<(u32, u32)> {
    let mut sizes = vec![0_usize; folds as usize];
    let mut dealt = Vec::new();
    for group in groups {
        let least = (0..folds).min_by_key(|&fold| sizes[fold as usize]).unwrap_or_default();
        sizes[least as usize] += group.len();
        dealt.extend(group.into_iter().map(|row| (row, least)));
    }
    dealt
}

#[cfg(test)]
mod tests {
    use relata_schema::{Schema, Value};

    use super::*;
    use crate::snapshot::{EdgeData, SnapshotWriter};
    use crate::task::Task;

    const TASK: &str = "[task]\nnode = \"cell\"\ntarget = \"celltype\"\n[split]\n";

    /// Cells `c000`, `c001`, … with a class, a batch and a number each; an empty text is missing.
    fn cells(rows: &[(&str, &str, f64)], prefix: &str) -> (tempfile::TempDir, Snapshot) {
        let store = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let cell = schema.node_type("cell").unwrap();
        let keys: Vec<String> = (0..rows.len()).map(|at| format!("{prefix}{at:03}")).collect();
        writer.nodes(cell, &keys).unwrap();
        let category = |name: &str| (!name.is_empty()).then(|| Value::Category(name.to_owned()));
        let mut column = |name: &str, values: Vec<Option<Value>>| {
            writer.column(cell, schema.node_attribute(cell, name).unwrap(), &values).unwrap();
        };
        column("celltype", rows.iter().map(|row| category(row.0)).collect());
        column("batch", rows.iter().map(|row| category(row.1)).collect());
        column("total_counts", rows.iter().map(|row| Some(Value::Number(row.2))).collect());
        writer.publish(&[]).unwrap();
        let snapshot = Snapshot::current(store.path()).unwrap();
        (store, snapshot)
    }

    fn task(text: &str) -> ResolvedTask {
        Task::parse(text, "t.toml", &Schema::biology()).unwrap()
    }

    /// 12 T, 7 B, 3 without a class, in 4 batches.
    fn blood() -> Vec<(&'static str, &'static str, f64)> {
        let class = |at| {
            if at < 12 {
                "T"
            } else if at < 19 {
                "B"
            } else {
                ""
            }
        };
        (0..22).map(|at| (class(at), ["w", "x", "y", "z"][at % 4], at as f64)).collect()
    }

    /// Whatever the kind: every row with a target is in one test set, and trains wherever it does not test.
    fn check_partition(folds: &[Fold], expected: &[u32]) {
        let mut tested: Vec<u32> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
        tested.sort_unstable();
        assert_eq!(tested, expected);
        for fold in folds {
            let mut both = [&fold.train[..], &fold.test].concat();
            both.sort_unstable();
            assert_eq!(both, expected);
            assert!(!fold.test.is_empty() && fold.train.is_sorted() && fold.test.is_sorted());
        }
    }

    #[test]
    fn strata_are_dealt_evenly() {
        let (_store, snapshot) = cells(&blood(), "c");
        let folds = folds(&snapshot, &task(&format!("{TASK}folds = 4"))).unwrap();
        check_partition(&folds, &(0..19).collect::<Vec<_>>());
        for fold in &folds {
            let ts = fold.test.iter().filter(|&&row| row < 12).count();
            assert_eq!(ts, 3, "12 T in 4 folds");
            assert!(matches!(fold.test.len() - ts, 1 | 2), "7 B in 4 folds");
        }
    }

    #[test]
    fn the_seed_decides_and_numbering_does_not() {
        let (_store, snapshot) = cells(&blood(), "c");
        let with = |seed: u32, kind: &str| {
            folds(&snapshot, &task(&format!("{TASK}folds = 4\nseed = {seed}\nkind = \"{kind}\""))).unwrap()
        };
        for kind in ["random", "stratified"] {
            assert_eq!(with(0, kind), with(0, kind));
            assert_ne!(with(0, kind), with(1, kind), "{kind}");
        }
        // Three more cells before all others: the others stay where they were.
        let mut more = vec![("", "w", 0.0); 3];
        more.extend(blood());
        let store = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let cell = schema.node_type("cell").unwrap();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let mut keys: Vec<String> = (0..3).map(|at| format!("a{at}")).collect();
        keys.extend((0..22).map(|at| format!("c{at:03}")));
        writer.nodes(cell, &keys).unwrap();
        let classes: Vec<_> = more.iter().map(|row| (!row.0.is_empty()).then(|| Value::Category(row.0.to_owned()))).collect();
        writer.column(cell, schema.node_attribute(cell, "celltype").unwrap(), &classes).unwrap();
        writer.publish(&[]).unwrap();
        let shifted = folds(&Snapshot::current(store.path()).unwrap(), &task(&format!("{TASK}folds = 4"))).unwrap();
        for (one, other) in with(0, "stratified").iter().zip(shifted) {
            assert_eq!(one.test.iter().map(|row| row + 3).collect::<Vec<_>>(), other.test);
        }
    }

    #[test]
    fn groups_stay_together_and_folds_stay_balanced() {
        let mut rows = blood();
        rows.truncate(19);
        // By hand: a has 8 rows, b 5, c 4, one row is alone and so is another; three folds of 8, 6, 5.
        for (at, row) in rows.iter_mut().enumerate() {
            row.1 = match at {
                0..8 => "a",
                8..13 => "b",
                13..17 => "c",
                _ => "",
            };
        }
        let (_store, snapshot) = cells(&rows, "c");
        let split =
            |folds: u32| super::folds(&snapshot, &task(&format!("{TASK}kind = \"group\"\ngroup = \"batch\"\nfolds = {folds}")));
        let folds = split(3).unwrap();
        check_partition(&folds, &(0..19).collect::<Vec<_>>());
        for fold in &folds {
            for group in [0..8, 8..13, 13..17] {
                let inside = fold.test.iter().filter(|&row| group.contains(row)).count();
                assert!(inside == 0 || inside == group.len(), "{fold:?}");
            }
        }
        let sizes: Vec<usize> = folds.iter().map(|fold| fold.test.len()).collect();
        assert_eq!(sizes, [8, 6, 5]);
        let message = split(6).unwrap_err().to_string();
        assert!(message.contains("`batch` with 5 groups for 6 folds"), "{message}");
    }

    #[test]
    fn rows_that_share_a_linked_node_stay_together_and_so_do_those_of_a_chromosome() {
        let schema = Schema::biology();
        let store = tempfile::tempdir().unwrap();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let node = |name| schema.node_type(name).unwrap();
        let keys = |prefix: &str, count: u32| (0..count).map(|at| format!("{prefix}{at:03}")).collect::<Vec<_>>();
        writer.nodes(node("cell"), &keys("c", 40)).unwrap();
        writer.nodes(node("perturbation"), &keys("p", 12)).unwrap();
        writer.nodes(node("gene"), &keys("g", 30)).unwrap();
        let category = |name: String| Some(Value::Category(name));
        // Cells 38 and 39 have no label; 38 received two perturbations, and so ties the cells of both together.
        let labels: Vec<_> = (0..40).map(|cell| (cell < 38).then(|| category(format!("t{}", cell % 2))).flatten()).collect();
        writer.column(node("cell"), schema.node_attribute(node("cell"), "celltype").unwrap(), &labels).unwrap();
        let biotypes: Vec<_> = (0..30).map(|gene| category(format!("b{}", gene % 2))).collect();
        writer.column(node("gene"), schema.node_attribute(node("gene"), "biotype").unwrap(), &biotypes).unwrap();
        let locus = |gene: u32| {
            let interval = relata_schema::Interval::new(format!("chr{}", gene % 7), 10, 20, relata_schema::Strand::Unknown);
            (gene != 29).then(|| Value::Interval(interval.unwrap()))
        };
        let loci: Vec<_> = (0..30).map(locus).collect();
        writer.column(node("gene"), schema.node_attribute(node("gene"), "locus").unwrap(), &loci).unwrap();
        // Cell 37 received none.
        let received: Vec<(u32, u32)> = (0..37).map(|cell| (cell, cell % 12)).chain([(38, 3), (38, 4), (39, 5)]).collect();
        let edges = EdgeData {
            sources: received.iter().map(|edge| edge.0).collect(),
            targets: received.iter().map(|edge| edge.1).collect(),
            ..EdgeData::default()
        };
        writer.relation(schema.relation("received").unwrap(), &edges).unwrap();
        writer.publish(&[]).unwrap();
        let snapshot = Snapshot::current(store.path()).unwrap();

        let text = format!("{TASK}kind = \"group\"\ngroup = \"received\"\nfolds = 4");
        let by_perturbation = folds(&snapshot, &task(&text)).unwrap();
        check_partition(&by_perturbation, &(0..38).collect::<Vec<_>>());
        let perturbations = |rows: &[u32]| {
            let of = |row: &u32| received.iter().filter(|edge| edge.0 == *row).map(|edge| edge.1).collect::<Vec<_>>();
            // What cell 38 ties together counts as one.
            rows.iter().flat_map(of).map(|at| if at == 4 { 3 } else { at }).collect::<std::collections::BTreeSet<_>>()
        };
        for fold in &by_perturbation {
            assert!(perturbations(&fold.train).is_disjoint(&perturbations(&fold.test)), "{fold:?}");
            // No fold is left with little: of 12 groups of about three cells none is far from a quarter.
            assert!((8..=12).contains(&fold.test.len()), "{fold:?}");
        }

        let text = "[task]\nnode = \"gene\"\ntarget = \"biotype\"\n[split]\nkind = \"group\"\ngroup = \"locus\"\nfolds = 3";
        let by_chromosome = folds(&snapshot, &task(text)).unwrap();
        check_partition(&by_chromosome, &(0..30).collect::<Vec<_>>());
        let chromosomes =
            |rows: &[u32]| rows.iter().filter(|&&row| row != 29).map(|row| row % 7).collect::<std::collections::BTreeSet<_>>();
        assert!(by_chromosome.iter().all(|fold| chromosomes(&fold.train).is_disjoint(&chromosomes(&fold.test))));
    }

    #[test]
    fn numbers_are_dealt_along_their_values() {
        let (_store, snapshot) = cells(&blood(), "c");
        let text = "[task]\nnode = \"cell\"\ntarget = \"total_counts\"\n[split]\nfolds = 4";
        let resolved = task(text);
        let Labels::Numbers(numbers) = labels(&snapshot, &resolved).unwrap() else { panic!() };
        assert_eq!(numbers[21], Some(21.0));
        let folds = folds(&snapshot, &resolved).unwrap();
        check_partition(&folds, &(0..22).collect::<Vec<_>>());
        for fold in &folds {
            for stretch in 0..5 {
                let inside = fold.test.iter().filter(|&&row| row / 4 == stretch).count();
                assert_eq!(inside, 1, "one of each four neighbouring values: {fold:?}");
            }
        }
    }

    #[test]
    fn labels_are_classes_by_name() {
        let (_store, snapshot) = cells(&blood(), "c");
        let Labels::Classes { names, codes } = labels(&snapshot, &task(TASK)).unwrap() else { panic!() };
        assert_eq!(names, ["B", "T"]);
        assert_eq!((codes[0], codes[12], codes[21], codes.len()), (Some(1), Some(0), None, 22));
    }

    #[test]
    fn what_cannot_be_split_says_why() {
        let (_store, snapshot) = cells(&blood(), "c");
        let fails = |text: &str, expected: &str| {
            let message = folds(&snapshot, &task(text)).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        fails(&format!("{TASK}folds = 1"), "split.folds: found 1, expected at least 2");
        fails(&format!("{TASK}folds = 20"), "found 20 for 19 rows with a `celltype`");
        fails(&format!("{TASK}kind = \"group\""), "split.group: found nothing");
        fails("[task]\nnode = \"cell\"\ntarget = \"condition\"", "`cell.condition` with 0 classes among 22 nodes");
        fails("[task]\nnode = \"cell\"\ntarget = \"time\"", "`cell.time`, a time, expected a category");

        let wrong = |group: &str| {
            let text = format!("{TASK}kind = \"group\"\ngroup = \"{group}\"");
            Task::parse(&text, "t.toml", &Schema::biology()).unwrap_err().to_string()
        };
        let message = wrong("bacth");
        assert!(message.starts_with("t.toml:6:9: ") && message.contains("did you mean `batch`?"), "{message}");
        let message = wrong("total_counts");
        assert!(message.starts_with("t.toml:6:9: ") && message.contains("expected a category"), "{message}");
    }

    #[test]
    fn a_class_smaller_than_the_folds_is_still_split() {
        let mut rows = blood();
        rows[0].0 = "rare";
        let (_store, snapshot) = cells(&rows, "c");
        let folds = folds(&snapshot, &task(&format!("{TASK}folds = 5"))).unwrap();
        check_partition(&folds, &(0..19).collect::<Vec<_>>());
    }
}
