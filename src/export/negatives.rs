//! Edges of a relation, and pairs of nodes that are none, for link tasks of other programs: one row a pair, in Arrow IPC or
//! Parquet.
//!
//! [`Pairs`] says which; [`to_negatives`] writes them. The positives come in the order of their sources, each followed by its
//! negatives, of which there are as many as the [`NegativeConfig`] says, or none where every candidate is an edge.
//!
//! | column | type | what it is |
//! |---|---|---|
//! | `positive` | uint64 | the number of the positive that the pair is, or belongs to, from 0 |
//! | `source`, `target` | uint32 | the pair's nodes, by their numbers in the snapshot |
//! | `label` | uint8 | 1: it is an edge; 0: it is none |
//! | `source_key`, `target_key` | string | their keys; only where keys are asked for |
//!
//! An edge of a symmetric relation comes once, from the node with the smaller number. Parallel edges are positives each.
//!
//! | entry of the schema's metadata | what it is |
//! |---|---|
//! | `relata.version` | the program's |
//! | `relata.snapshot` | the snapshot's id |
//! | `relata.relation` | the relation's name in full |
//! | `relata.negatives` | JSON of the [`NegativeConfig`], its seed among it |
//! | `relata.draw` | the draw's number, such as an epoch's |
//! | `relata.positives` | how many positives there are |
//!
//! **Invariants:** the file appears whole or not at all. Its bytes depend on the snapshot, the configuration, the draw and which
//! positives are asked for, not on threads. Memory is that of [`Negatives`], some megabytes of rows, and for positives by lot 8
//! bytes each.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt8Array, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use indicatif::ProgressBar;
use relata_schema::NodeTypeId;

use super::edges::each_batch;
use super::output::Output;
use super::parquet::refused;
use super::table::{TableWriter, metadata};
use super::{Exported, Options, TableFormat};
use crate::sampler::random::Key;
use crate::sampler::{NegativeConfig, Negatives};
use crate::snapshot::Snapshot;
use crate::{Error, Result, progress};

/// Rows that are drawn and written at once, about.
const ROWS: usize = 1 << 17;
/// Negatives of a positive at most: those of one are held together.
const MOST: u32 = 1 << 16;

/// Which pairs are written.
#[derive(Clone)]
pub struct Pairs {
    snapshot: Snapshot,
    negatives: Negatives,
    draw: u64,
    count: Option<u32>,
    with_keys: bool,
}

impl Pairs {
    /// All edges of a relation, and the negatives of each in draw 0, without keys.
    ///
    /// # Errors
    /// [`Error::Setting`] for what [`Negatives::new`] refuses, for more than 65,536 negatives of a positive, and for a relation
    /// without edges.
    pub fn new(snapshot: &Snapshot, config: NegativeConfig) -> Result<Self> {
        if config.per_positive > MOST {
            let found = config.per_positive.to_string();
            return Err(Error::setting("negatives.per_positive", found, format!("at most {MOST}")));
        }
        let relation = config.relation;
        let negatives = Negatives::new(snapshot, config)?;
        if snapshot.edge_count(relation) == 0 {
            let expected = "a relation that the snapshot has edges of".to_owned();
            return Err(Error::setting("negatives.relation", snapshot.schema().relation_title(relation), expected));
        }
        Ok(Self { snapshot: snapshot.clone(), negatives, draw: 0, count: None, with_keys: false })
    }

    /// Other negatives for another draw, such as an epoch's number; the positives stay.
    #[must_use]
    pub fn in_draw(self, draw: u64) -> Self {
        Self { draw, ..self }
    }

    /// So many of the edges by lot, each set of that size equally likely; all of them if they are fewer.
    ///
    /// # Errors
    /// [`Error::Setting`] for none.
    pub fn by_lot(self, count: u32) -> Result<Self> {
        if count == 0 {
            return Err(Error::setting("count", "0", "1 at least"));
        }
        Ok(Self { count: Some(count), ..self })
    }

    /// With the keys of their nodes, or without.
    #[must_use]
    pub fn with_keys(self, with_keys: bool) -> Self {
        Self { with_keys, ..self }
    }

    /// The numbers of the positives among all edges, ascending; `None` is all of them.
    fn chosen(&self, edges: u64) -> Option<Vec<usize>> {
        let count = self.count.filter(|&count| u64::from(count) < edges)?;
        let mut chosen = Vec::new();
        let mut random = Key::new("relata positives", self.negatives.config().seed).random();
        random.choose(0..edges as usize, count as usize, |_| true, &mut chosen);
        Some(chosen)
    }

    fn schema(&self, positives: u64) -> SchemaRef {
        let config = self.negatives.config();
        let column = |name: &str, data_type| Field::new(name, data_type, false);
        let mut fields = vec![
            column("positive", DataType::UInt64),
            column("source", DataType::UInt32),
            column("target", DataType::UInt32),
            column("label", DataType::UInt8),
        ];
        if self.with_keys {
            fields.extend(["source_key", "target_key"].map(|name| column(name, DataType::Utf8)));
        }
        let said = [
            ("relation", self.snapshot.schema().relation_title(config.relation)),
            ("negatives", serde_json::to_string(config).expect("numbers and texts are JSON")),
            ("draw", self.draw.to_string()),
            ("positives", positives.to_string()),
        ];
        Arc::new(ArrowSchema::new_with_metadata(fields, metadata(&self.snapshot, said)))
    }
}

/// Writes pairs as one file, in the format that its name ends with: `.arrow` or `.parquet`.
///
/// # Errors
/// When its name ends otherwise, something is at `out` that may not be replaced, or it cannot be written.
pub fn to_negatives(pairs: &Pairs, out: &Path, options: Options) -> Result<Exported> {
    let Some(format) = TableFormat::of(out) else {
        let expected = "a name that ends with `.arrow` or `.parquet`".to_owned();
        return Err(Error::setting("the export's place", out.display().to_string(), expected));
    };
    let Pairs { snapshot, negatives, .. } = pairs;
    let edges = snapshot.edge_count(negatives.config().relation);
    let chosen = pairs.chosen(edges);
    let positives = chosen.as_ref().map_or(edges, |chosen| chosen.len() as u64);
    let output = Output::file(out, options)?;
    let schema = pairs.schema(positives);
    let writer = TableWriter::create(output.path().to_owned(), &schema, format)?;
    let bar = progress::bar("negatives", positives, "positives", options.quiet);
    let mut writing = Writing { pairs, schema, writer, bar, out, waiting: Vec::new(), positives: 0, negatives: 0, alone: 0 };
    writing.all(chosen)?;
    writing.bar.finish_and_clear();
    let (negatives, alone) = (writing.negatives, writing.alone);
    writing.writer.close()?;
    let mut exported = Exported::new(format.name(), out, snapshot);
    exported.part("positives", positives);
    exported.part("negatives", negatives);
    if alone > 0 {
        let note = format!("{alone} of {positives} positives have no negatives: every pair that could be one is an edge");
        exported.notes.push(note);
    }
    exported.bytes = output.publish(snapshot)?;
    Ok(exported)
}

/// A file of pairs that is being written.
struct Writing<'p> {
    pairs: &'p Pairs,
    schema: SchemaRef,
    writer: TableWriter,
    bar: ProgressBar,
    out: &'p Path,
    /// Positives whose negatives are not drawn yet.
    waiting: Vec<(u32, u32)>,
    /// Positives and negatives written so far, and positives that have no negatives.
    positives: u64,
    negatives: u64,
    alone: u64,
}

impl Writing<'_> {
    /// Writes the edges of these numbers, or all of them, and their negatives.
    fn all(&mut self, chosen: Option<Vec<usize>>) -> Result<()> {
        let config = self.pairs.negatives.config();
        let together = (ROWS / (1 + config.per_positive as usize)).max(1);
        let mut chosen = chosen.map(|chosen| chosen.into_iter().peekable());
        let mut number = 0;
        let walked: Result<()> = each_batch(&self.pairs.snapshot, config.relation, ROWS, |batch| {
            for (&source, &target) in batch.sources.iter().zip(&batch.targets) {
                let is_meant = chosen.as_mut().is_none_or(|chosen| chosen.next_if_eq(&number).is_some());
                number += 1;
                if is_meant {
                    self.waiting.push((source, target));
                    if self.waiting.len() == together {
                        self.flush()?;
                    }
                }
            }
            Ok(())
        });
        walked?;
        if self.waiting.is_empty() { Ok(()) } else { self.flush() }
    }

    /// Draws the negatives of those that wait, and writes both.
    fn flush(&mut self) -> Result<()> {
        let drawn = self.pairs.negatives.draw(&self.waiting, self.pairs.draw)?;
        let mut rows = Rows::default();
        for ((number, positive), negatives) in (self.positives..).zip(&self.waiting).zip(&drawn) {
            rows.push(number, *positive, 1);
            negatives.iter().for_each(|&negative| rows.push(number, negative, 0));
            self.negatives += negatives.len() as u64;
            self.alone += u64::from(negatives.is_empty());
        }
        self.positives += self.waiting.len() as u64;
        self.bar.inc(self.waiting.len() as u64);
        self.waiting.clear();
        let columns = rows.columns(self.pairs)?;
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| refused(self.out, error))?;
        self.writer.write(&batch)
    }
}

/// Pairs on their way into columns.
#[derive(Default)]
struct Rows {
    positives: Vec<u64>,
    sources: Vec<u32>,
    targets: Vec<u32>,
    labels: Vec<u8>,
}

impl Rows {
    fn push(&mut self, positive: u64, (source, target): (u32, u32), label: u8) {
        self.positives.push(positive);
        self.sources.push(source);
        self.targets.push(target);
        self.labels.push(label);
    }

    /// # Errors
    /// [`Error::Limit`] when keys have more bytes than a column can count.
    fn columns(self, pairs: &Pairs) -> Result<Vec<ArrayRef>> {
        let Pairs { snapshot, negatives, with_keys, .. } = pairs;
        let relation = snapshot.schema().edge(negatives.config().relation);
        let mut keys: Vec<ArrayRef> = Vec::new();
        if *with_keys {
            keys.push(keys_of(snapshot, relation.source, &self.sources)?);
            keys.push(keys_of(snapshot, relation.target, &self.targets)?);
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(self.positives)),
            Arc::new(UInt32Array::from(self.sources)),
            Arc::new(UInt32Array::from(self.targets)),
            Arc::new(UInt8Array::from(self.labels)),
        ];
        columns.extend(keys);
        Ok(columns)
    }
}

fn keys_of(snapshot: &Snapshot, node_type: NodeTypeId, nodes: &[u32]) -> Result<ArrayRef> {
    let keys = || nodes.iter().map(|&node| snapshot.key(node_type, node));
    let found = keys().map(|key| key.len() as u64).sum();
    let most = i32::MAX as u64;
    if found > most {
        return Err(Error::Limit { what: "bytes of keys that are written at once".to_owned(), found, most });
    }
    Ok(Arc::new(StringArray::from_iter_values(keys())))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::fs::{self, File};

    use arrow_array::cast::AsArray;
    use arrow_array::types::{UInt8Type, UInt32Type, UInt64Type};
    use arrow_ipc::reader::FileReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use relata_schema::{RelationId, Schema};

    use super::*;
    use crate::export::table::read;
    use crate::sampler::{Corrupt, EndWeight};
    use crate::snapshot::{EdgeData, SnapshotWriter};

    const QUIET: Options = Options { overwrite: false, quiet: true };
    const R: RelationId = RelationId(0);

    /// Nodes of types `a` and `b`, and edges of `r` from one to the other, or where there are no `b`, within `a` and symmetric.
    fn store(folder: &Path, [sources, targets]: [u32; 2], edges: &[(u32, u32)]) -> Snapshot {
        let ends = if targets == 0 { "target = \"a\"\nsymmetric = true" } else { "target = \"b\"" };
        let text = format!("[node.a]\n[node.b]\n[[relation]]\nname = \"r\"\nsource = \"a\"\n{ends}\n");
        let schema = Schema::default().extended_by(&text, "pairs.toml").unwrap();
        let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
        for (node_type, count) in schema.node_type_ids().zip([sources, targets]) {
            let name = &schema.node(node_type).name;
            writer.nodes(node_type, &(0..count).map(|at| format!("{name}{at:04}")).collect::<Vec<_>>()).unwrap();
        }
        let (sources, targets) = edges.iter().copied().unzip();
        writer.relation(R, &EdgeData { sources, targets, ..EdgeData::default() }).unwrap();
        writer.publish(&[]).unwrap();
        Snapshot::current(folder).unwrap()
    }

    type Row = (u64, u32, u32, u8);

    fn rows(batches: &[RecordBatch]) -> Vec<Row> {
        let mut rows = Vec::new();
        for batch in batches {
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            let [sources, targets] = ["source", "target"].map(|name| column(name).as_primitive::<UInt32Type>().clone());
            let positives = column("positive").as_primitive::<UInt64Type>().clone();
            let labels = column("label").as_primitive::<UInt8Type>().clone();
            for at in 0..batch.num_rows() {
                rows.push((positives.value(at), sources.value(at), targets.value(at), labels.value(at)));
            }
        }
        rows
    }

    fn metadata(path: &Path) -> HashMap<String, String> {
        let file = File::open(path).unwrap();
        let schema = match path.extension().unwrap() == "parquet" {
            true => ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().clone(),
            false => FileReader::try_new(file, None).unwrap().schema(),
        };
        ["version", "snapshot", "relation", "negatives", "draw", "positives"]
            .map(|name| (name.to_owned(), schema.metadata()[&format!("relata.{name}")].clone()))
            .into()
    }

    /// The first source has two of three targets, so that one pair alone is no edge; the second has all three.
    #[test]
    fn a_positive_is_followed_by_its_negatives() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = store(&folder.path().join("s.relata"), [2, 3], &[(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)]);
        let config = NegativeConfig { per_positive: 2, ..NegativeConfig::new(R) };
        let pairs = Pairs::new(&snapshot, config.clone()).unwrap().with_keys(true).in_draw(3);
        for name in ["pairs.arrow", "pairs.parquet"] {
            let out = folder.path().join(name);
            let exported = to_negatives(&pairs, &out, QUIET).unwrap();
            let parts: Vec<u64> = exported.parts.iter().map(|part| part.rows).collect();
            assert_eq!((parts, exported.bytes), (vec![5, 4], fs::metadata(&out).unwrap().len()));
            assert_eq!(exported.notes, ["3 of 5 positives have no negatives: every pair that could be one is an edge"]);
            let batches = read(&out);
            let expected = [
                (0, 0, 0, 1),
                (0, 0, 1, 0),
                (0, 0, 1, 0),
                (1, 0, 2, 1),
                (1, 0, 1, 0),
                (1, 0, 1, 0),
                (2, 1, 0, 1),
                (3, 1, 1, 1),
                (4, 1, 2, 1),
            ];
            assert_eq!(rows(&batches), expected);
            let keys = |name: &str| {
                let column = batches[0].column_by_name(name).unwrap().as_string::<i32>().clone();
                column.iter().map(|key| key.unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(keys("source_key"), expected.map(|(_, source, ..)| format!("a{source:04}")));
            assert_eq!(keys("target_key"), expected.map(|(_, _, target, _)| format!("b{target:04}")));
            let schema = batches[0].schema();
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(names, ["positive", "source", "target", "label", "source_key", "target_key"]);
            let metadata = metadata(&out);
            assert_eq!((metadata["relation"].as_str(), metadata["draw"].as_str()), ("a.r.b", "3"));
            assert_eq!((metadata["positives"].as_str(), metadata["snapshot"].as_str()), ("5", snapshot.id().as_str()));
            assert_eq!(serde_json::from_str::<NegativeConfig>(&metadata["negatives"]).unwrap(), config);
        }
    }

    /// Of a relation within one type, symmetric, with a few hundred edges: so many that there are several pieces.
    #[test]
    fn no_negative_is_an_edge_and_the_bytes_are_the_same_on_any_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        let edges: Vec<(u32, u32)> = (0..900).map(|at| (at * 7 % 60, at * at % 61)).filter(|(a, b)| a != b).collect();
        let snapshot = store(&folder.path().join("s.relata"), [61, 0], &edges);
        let known: BTreeSet<(u32, u32)> = edges.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
        let config = NegativeConfig {
            per_positive: 300,
            corrupt: Corrupt::Either,
            by: EndWeight::WORD2VEC,
            seed: 2,
            ..NegativeConfig::new(R)
        };
        let pairs = Pairs::new(&snapshot, config).unwrap().with_keys(true);
        let mut written: Vec<Vec<Vec<u8>>> = Vec::new();
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let files = ["arrow", "parquet"].map(|format| {
                let out = folder.path().join(format!("{threads}.{format}"));
                pool.install(|| to_negatives(&pairs, &out, QUIET)).unwrap();
                fs::read(out).unwrap()
            });
            written.push(files.to_vec());
        }
        assert!(written[0] == written[1] && written[0] == written[2]);
        let batches = read(&folder.path().join("1.arrow"));
        assert!(batches.len() > 1);
        let rows = rows(&batches);
        assert_eq!(rows, self::rows(&read(&folder.path().join("1.parquet"))));
        let positives: Vec<(u32, u32)> = rows.iter().filter(|row| row.3 == 1).map(|row| (row.1, row.2)).collect();
        let mut expected: Vec<(u32, u32)> = edges.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
        expected.sort_unstable();
        assert_eq!(positives, expected);
        assert_eq!(rows.len(), positives.len() * 301);
        for &(number, source, target, label) in &rows {
            let positive = positives[number as usize];
            assert_eq!(known.contains(&(source, target)), label == 1);
            assert!(source == positive.0 || target == positive.1);
        }
    }

    #[test]
    fn positives_by_lot_are_edges_each_as_likely_as_another() {
        let folder = tempfile::tempdir().unwrap();
        let edges: Vec<(u32, u32)> = (0..20).map(|at| (at % 4, at)).collect();
        let snapshot = store(&folder.path().join("s.relata"), [4, 50], &edges);
        let mut counts = vec![0_u32; 20];
        for seed in 0..400 {
            let pairs = Pairs::new(&snapshot, NegativeConfig { seed, ..NegativeConfig::new(R) }).unwrap().by_lot(5).unwrap();
            let out = folder.path().join("pairs.arrow");
            to_negatives(&pairs, &out, Options { overwrite: true, quiet: true }).unwrap();
            let rows = rows(&read(&out));
            let positives: Vec<&Row> = rows.iter().filter(|row| row.3 == 1).collect();
            assert_eq!((positives.len(), rows.len()), (5, 10));
            for (number, row) in positives.iter().enumerate() {
                assert_eq!((row.0, edges[row.2 as usize]), (number as u64, (row.1, row.2)));
                counts[row.2 as usize] += 1;
            }
        }
        // Each is expected 100 times, with a standard deviation below 9.
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
        let pairs = Pairs::new(&snapshot, NegativeConfig::new(R)).unwrap().by_lot(99).unwrap();
        let exported = to_negatives(&pairs, &folder.path().join("all.arrow"), QUIET).unwrap();
        assert_eq!(exported.parts[0].rows, 20);
    }

    #[test]
    fn what_cannot_be_is_said_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = store(&folder.path().join("s.relata"), [2, 3], &[(0, 0)]);
        let empty = store(&folder.path().join("e.relata"), [2, 3], &[]);
        let refused = |snapshot, config| Pairs::new(snapshot, config).err().unwrap().to_string();
        assert!(refused(&empty, NegativeConfig::new(R)).contains("found a.r.b, expected a relation that the snapshot has edges"));
        let many = NegativeConfig { per_positive: 65_537, ..NegativeConfig::new(R) };
        assert!(refused(&snapshot, many).contains("negatives.per_positive: found 65537, expected at most 65536"));
        let pairs = Pairs::new(&snapshot, NegativeConfig::new(R)).unwrap();
        assert!(pairs.clone().by_lot(0).err().unwrap().to_string().contains("count: found 0"));
        let error = to_negatives(&pairs, &folder.path().join("pairs.csv"), QUIET).unwrap_err().to_string();
        assert!(error.contains("pairs.csv") && error.contains("`.arrow` or `.parquet`"), "{error}");
        let out = folder.path().join("pairs.arrow");
        to_negatives(&pairs, &out, QUIET).unwrap();
        let before = fs::read(&out).unwrap();
        assert!(to_negatives(&pairs.in_draw(1), &out, QUIET).unwrap_err().to_string().contains("--overwrite"));
        assert_eq!(fs::read(&out).unwrap(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
