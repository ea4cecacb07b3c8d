use std::collections::HashMap;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use relata_schema::{AttributeId, AttributeKind, Direction, RelationId};

use crate::sampler::{EqualTime, MissingTime};
use crate::snapshot::{EdgeColumn, Snapshot};
use crate::task::ResolvedTask;
use crate::{Error, Result};

/// Counts are scaled to this sum a row, as is usual for cells ("counts per 10,000").
const COUNTS_A_ROW: f64 = 10_000.0;

/// What the plain models see of the graph: a sparse matrix (compressed rows), one row for each node of the task's type.
///
/// There is a column for each far node of each relation that the task leaves visible and that starts or ends at the
/// task's type (a relation of the type with itself gives both directions columns, a symmetric one only one). Its value:
///
/// * where the relation has a count: `ln(1 + 10,000 · count / (the row's sum over that relation))`, not scaled further;
/// * else, where it has a number: the number as it is;
/// * else 1.
///
/// Several edges to one far node add up. An edge whose count or number is missing, or whose own time the task's cutoff
/// refuses, is not there. The target, hidden attributes and hidden relations never enter, nor do other attributes of the
/// node itself: only its relations.
#[derive(Clone, Debug)]
pub struct Features {
    columns: usize,
    offsets: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f32>,
}

/// What an edge says.
#[derive(Clone, Copy)]
enum Meaning<'s> {
    Count(&'s [f32]),
    Number(&'s [f32]),
    Presence,
}

impl Features {
    /// Reads the visible relations of a task's node type.
    ///
    /// # Errors
    /// When none has an edge, or there are more columns than 4,294,967,295.
    pub fn of(snapshot: &Snapshot, task: &ResolvedTask) -> Result<Self> {
        let schema = snapshot.schema();
        let mut blocks = Vec::new();
        for &relation in &task.relations {
            let known = schema.edge(relation);
            for direction in Direction::BOTH {
                let is_twin = known.symmetric && direction == Direction::Incoming;
                let adjacency = snapshot.adjacency(relation, direction);
                if known.near(direction) == task.node_type && !is_twin && !adjacency.targets.is_empty() {
                    blocks.push((adjacency, meaning(snapshot, relation, direction)));
                }
            }
        }
        let context = &task.task.context;
        let last = match (context.cutoff, context.equal_time) {
            (None, _) => i64::MAX,
            (Some(cutoff), EqualTime::Keep) => cutoff,
            (Some(cutoff), EqualTime::Drop) => cutoff.saturating_sub(1),
        };
        let drops_missing = context.cutoff.is_some() && context.missing_time == MissingTime::Drop;
        let mut columns: HashMap<(usize, u32), u32> = HashMap::new();
        let mut features = Self { columns: 0, offsets: vec![0], indices: Vec::new(), values: Vec::new() };
        let mut row: Vec<(u32, f64)> = Vec::new();
        for node in 0..snapshot.node_count(task.node_type) {
            for (block, (adjacency, meaning)) in blocks.iter().enumerate() {
                row.clear();
                for edge in adjacency.range_until(node, last) {
                    if drops_missing && !adjacency.times.is_empty() && adjacency.times.get(edge).is_none() {
                        continue;
                    }
                    let value = match meaning {
                        Meaning::Count(values) | Meaning::Number(values) => values.get(edge).copied().unwrap_or(f32::NAN),
                        Meaning::Presence => 1.0,
                    };
                    if value.is_finite() {
                        row.push((adjacency.targets[edge], f64::from(value)));
                    }
                }
                row.sort_by_key(|&(far, _)| far); // edges are sorted by time first
                row.dedup_by(|again, first| {
                    let same = again.0 == first.0;
                    if same {
                        first.1 += again.1;
                    }
                    same
                });
                if let Meaning::Count(_) = meaning {
                    let sum: f64 = row.iter().map(|&(_, count)| count).sum();
                    row.iter_mut().for_each(|(_, count)| *count = (COUNTS_A_ROW * *count / sum).ln_1p());
                } else if let Meaning::Presence = meaning {
                    row.iter_mut().for_each(|(_, times)| *times = 1.0);
                }
                for &(far, value) in row.iter().filter(|&&(_, value)| value.is_finite() && value != 0.0) {
                    let next = columns.len();
                    let column = match u32::try_from(next) {
                        Ok(next) => *columns.entry((block, far)).or_insert(next),
                        Err(_) => {
                            let what = "columns of features".to_owned();
                            return Err(Error::Limit { what, found: next as u64, most: u64::from(u32::MAX) });
                        }
                    };
                    features.indices.push(column);
                    features.values.push(value as f32);
                }
            }
            features.offsets.push(features.indices.len());
        }
        features.columns = columns.len();
        if features.columns == 0 {
            return Err(Error::Setting {
                setting: "context.relations".to_owned(),
                found: format!("no edge at any {}", schema.node(task.node_type).name),
                expected: "a visible relation with edges, for the plain models to see".to_owned(),
            });
        }
        Ok(features)
    }

    /// From column and value of each row.
    pub(crate) fn from_rows(columns: usize, rows: &[Vec<(u32, f32)>]) -> Self {
        let mut features = Self { columns, offsets: vec![0], indices: Vec::new(), values: Vec::new() };
        for row in rows {
            features.indices.extend(row.iter().map(|&(column, _)| column));
            features.values.extend(row.iter().map(|&(_, value)| value));
            features.offsets.push(features.indices.len());
        }
        features
    }

    /// How many rows: one for each node of the task's type.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many columns: far nodes that any row has an edge to.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many values are not zero.
    pub fn entries(&self) -> usize {
        self.values.len()
    }

    /// Column and value of what is not zero in a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> {
        let range = self.offsets[row]..self.offsets[row + 1];
        self.indices[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    /// Some rows, in the order of `rows`.
    pub(super) fn select(&self, rows: &[u32]) -> Self {
        let mut selected = Self { columns: self.columns, offsets: vec![0], indices: Vec::new(), values: Vec::new() };
        for &row in rows {
            let range = self.offsets[row as usize]..self.offsets[row as usize + 1];
            selected.indices.extend_from_slice(&self.indices[range.clone()]);
            selected.values.extend_from_slice(&self.values[range]);
            selected.offsets.push(selected.indices.len());
        }
        selected
    }

    /// Rows as columns.
    pub(super) fn transposed(&self) -> Self {
        let mut offsets = vec![0_usize; self.columns + 1];
        for &column in &self.indices {
            offsets[column as usize + 1] += 1;
        }
        for column in 0..self.columns {
            offsets[column + 1] += offsets[column];
        }
        let mut next = offsets.clone();
        let mut indices = vec![0; self.indices.len()];
        let mut values = vec![0.0; self.values.len()];
        for row in 0..self.rows() {
            for (column, value) in self.row(row) {
                let at = &mut next[column as usize];
                indices[*at] = row as u32;
                values[*at] = value;
                *at += 1;
            }
        }
        Self { columns: self.rows(), offsets, indices, values }
    }

    /// The product with a dense matrix: `[rows, columns] × [columns, width] → [rows, width]`. Each row is summed by one
    /// thread, in order, so that the result does not depend on their number.
    pub(super) fn times(&self, dense: ArrayView2<'_, f64>) -> Array2<f64> {
        let width = dense.ncols();
        let dense = dense.as_standard_layout();
        let dense = dense.as_slice().expect("a matrix in standard layout is a slice");
        let mut product = vec![0.0; self.rows() * width];
        product.par_chunks_mut(width.max(1)).with_min_len(16).enumerate().for_each(|(row, sums)| {
            for (column, value) in self.row(row) {
                let value = f64::from(value);
                let factors = &dense[column as usize * width..][..width];
                sums.iter_mut().zip(factors).for_each(|(sum, factor)| *sum += value * factor);
            }
        });
        Array2::from_shape_vec((self.rows(), width), product).expect("it was made of that shape")
    }
}

/// The relation's first count, else its first number, where any edge has one; else that there is an edge.
fn meaning(snapshot: &Snapshot, relation: RelationId, direction: Direction) -> Meaning<'_> {
    let attributes = &snapshot.schema().edge(relation).attributes;
    let first = |kind: AttributeKind| {
        (0..).map(AttributeId).zip(attributes).filter(|(_, attribute)| attribute.kind == kind).find_map(|(id, _)| match snapshot
            .edge_column(relation, direction, id)
        {
            EdgeColumn::Number(values) if !values.is_empty() => Some(values),
            _ => None,
        })
    };
    match (first(AttributeKind::Count), first(AttributeKind::Number)) {
        (Some(counts), _) => Meaning::Count(counts),
        (None, Some(numbers)) => Meaning::Number(numbers),
        (None, None) => Meaning::Presence,
    }
}

#[cfg(test)]
mod tests {
    use relata_schema::{EdgeValue, Schema, Value};

    use super::*;
    use crate::snapshot::{EdgeData, SnapshotWriter};
    use crate::task::Task;

    /// Two cells and three genes. c0 has 1 of g0 and 3 of g2, in two edges (1 + 2); c1 has 5 of g2 and an unknown number
    /// of g1. c0 comes from d0. g0 interacts with g2; r0 regulates g2 with score 0.5.
    fn graph(store: &std::path::Path) -> Snapshot {
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(store, &schema).unwrap();
        let mut nodes = |name: &str, keys: &[&str]| {
            writer.nodes(schema.node_type(name).unwrap(), &keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>()).unwrap();
        };
        nodes("cell", &["c0", "c1"]);
        nodes("gene", &["g0", "g1", "g2"]);
        nodes("donor", &["d0"]);
        nodes("region", &["r0"]);
        let cell = schema.node_type("cell").unwrap();
        let classes = ["T", "B"].map(|name| Some(Value::Category(name.to_owned())));
        writer.column(cell, schema.node_attribute(cell, "celltype").unwrap(), &classes).unwrap();
        let mut relation = |name: &str, sources: &[u32], targets: &[u32], attributes: Vec<Vec<EdgeValue>>| {
            let edges = EdgeData { sources: sources.to_vec(), targets: targets.to_vec(), attributes, ..EdgeData::default() };
            writer.relation(schema.relation(name).unwrap(), &edges).unwrap();
        };
        let numbers = |numbers: &[f32]| {
            numbers.iter().map(|&one| if one.is_nan() { EdgeValue::Missing } else { EdgeValue::Number(one) }).collect()
        };
        relation("expresses", &[0, 0, 0, 1, 1], &[0, 2, 2, 2, 1], vec![numbers(&[1.0, 1.0, 2.0, 5.0, f32::NAN])]);
        relation("from_donor", &[0], &[0], vec![]);
        relation("interacts", &[0], &[2], vec![]);
        relation("region.regulates.gene", &[0], &[2], vec![numbers(&[0.5]), vec![], vec![], vec![], vec![]]);
        writer.publish(&[]).unwrap();
        Snapshot::current(store).unwrap()
    }

    fn features(snapshot: &Snapshot, task: &str) -> Result<Features> {
        Features::of(snapshot, &Task::parse(task, "t.toml", snapshot.schema()).unwrap())
    }

    fn dense(features: &Features) -> Vec<Vec<f32>> {
        (0..features.rows())
            .map(|row| {
                let mut values = vec![0.0; features.columns()];
                features.row(row).for_each(|(column, value)| values[column as usize] = value);
                values
            })
            .collect()
    }

    #[test]
    fn relations_become_columns() {
        let store = tempfile::tempdir().unwrap();
        let snapshot = graph(store.path());
        let cells = features(&snapshot, "[task]\nnode = \"cell\"\ntarget = \"celltype\"").unwrap();
        // c0: g0, g2, d0; c1: g2. Nothing has a known count of g1.
        let log = |share: f64| (10_000.0 * share).ln_1p() as f32;
        assert_eq!(dense(&cells), [[log(0.25), log(0.75), 1.0], [0.0, log(1.0), 0.0]]);

        // Genes see the cells (the other end), their partners (once) and the regions' scores.
        let genes = features(&snapshot, "[task]\nnode = \"gene\"\ntarget = \"biotype\"").unwrap();
        assert_eq!(genes.rows(), 3);
        let rows = dense(&genes);
        let row = |at: usize| rows[at].iter().copied().filter(|&value| value != 0.0).collect::<Vec<_>>();
        assert_eq!(row(0), [log(1.0), 1.0], "c0 and g2");
        assert_eq!(row(1), [0.0; 0]);
        assert_eq!(row(2), [log(3.0 / 8.0), log(5.0 / 8.0), 0.5, 1.0], "c0, c1, r0 and g0");
    }

    #[test]
    fn what_is_hidden_or_left_out_has_no_column() {
        let store = tempfile::tempdir().unwrap();
        let snapshot = graph(store.path());
        let cells = |rest: &str| features(&snapshot, &format!("[task]\nnode = \"cell\"\ntarget = \"celltype\"\n{rest}"));
        assert_eq!(cells("hide = [\"expresses\"]").unwrap().columns(), 1);
        assert_eq!(cells("[context]\nrelations = [\"expresses\"]").unwrap().columns(), 2);
        let message = cells("hide = [\"expresses\", \"from_donor\"]").unwrap_err().to_string();
        assert!(message.contains("no edge at any cell"), "{message}");
    }

    /// A row has an edge of time 5, one of time 6 and one without a time.
    #[test]
    fn a_cutoff_does_with_equal_and_missing_times_what_the_task_says() {
        let store = tempfile::tempdir().unwrap();
        let text = "[node.a]\nattributes.kind = { kind = \"category\" }\n[node.b]\n[[relation]]\nname = \"r\"\nsource = \"a\"\n\
                    target = \"b\"\nattributes.at = { kind = \"time\" }\n";
        let schema = Schema::default().extended_by(text, "times.toml").unwrap();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        writer.nodes(schema.node_type("a").unwrap(), &["a".to_owned()]).unwrap();
        writer.nodes(schema.node_type("b").unwrap(), &["b0", "b1", "b2"].map(String::from)).unwrap();
        let times = vec![5, 6, i64::MIN];
        let edges = EdgeData { sources: vec![0; 3], targets: vec![0, 1, 2], times, ..EdgeData::default() };
        writer.relation(schema.relation("r").unwrap(), &edges).unwrap();
        writer.publish(&[]).unwrap();
        let snapshot = Snapshot::current(store.path()).unwrap();
        for (context, columns) in [
            ("", 3),
            ("missing_time = \"drop\"", 3),
            ("cutoff = 6", 3),
            ("cutoff = 5", 2),
            ("cutoff = 6\nequal_time = \"drop\"", 2),
            ("cutoff = 6\nmissing_time = \"drop\"", 2),
            ("cutoff = 6\nmissing_time = \"drop\"\nequal_time = \"drop\"", 1),
        ] {
            let task = format!("[task]\nnode = \"a\"\ntarget = \"kind\"\n[context]\n{context}");
            assert_eq!(features(&snapshot, &task).unwrap().columns(), columns, "{context}");
        }
    }

    #[test]
    fn products_are_those_of_dense_matrices() {
        let rows: Vec<Vec<(u32, f32)>> = (0..40)
            .map(|row| (0..6).filter(|column| (row * 5 + column * 3) % 4 > 1).map(|column| (column, row as f32 - 7.5)).collect())
            .collect();
        let sparse = Features::from_rows(6, &rows);
        let mut full = Array2::<f64>::zeros((40, 6));
        for (row, entries) in rows.iter().enumerate() {
            entries.iter().for_each(|&(column, value)| full[[row, column as usize]] = f64::from(value));
        }
        let right = Array2::from_shape_fn((6, 3), |(row, column)| (row * 3 + column) as f64 * 0.25);
        assert_eq!(sparse.times(right.view()), full.dot(&right));
        let left = Array2::from_shape_fn((40, 3), |(row, column)| (row * column) as f64 - 3.0);
        assert_eq!(sparse.transposed().times(left.view()), full.t().dot(&left));
        assert_eq!(sparse.select(&[7, 2]).times(right.view()).row(0), full.row(7).dot(&right));
    }
}
