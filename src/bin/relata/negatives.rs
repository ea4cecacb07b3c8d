use std::path::PathBuf;
use std::time::Instant;

use relata::export::Options;
use relata::export::negatives::{Pairs, to_negatives};
use relata::sampler::{Corrupt, EndWeight, NegativeConfig};
use relata::snapshot::Snapshot;

use crate::export::Summary;

/// Write edges of a relation, and beside each some pairs of nodes that are none.
#[derive(clap::Args)]
pub struct Args {
    /// The store's folder, such as atlas.relata
    #[arg(long)]
    store: PathBuf,
    /// The relation whose edges are the positives
    #[arg(long)]
    relation: String,
    /// The file to write, by its name's end Arrow IPC or Parquet: pairs.arrow, pairs.parquet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// So many positives, by lot [default: all edges]
    #[arg(long)]
    count: Option<u32>,
    /// Negatives for each positive
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    per_positive: u32,
    /// Which end of a positive is replaced
    #[arg(long, value_enum, default_value_t = CorruptName::Target)]
    corrupt: CorruptName,
    /// How likely a node is to replace it: `uniform`, or in proportion to its `degree`, or to a power of it: `degree:0.75`
    #[arg(long, value_name = "WEIGHT", default_value = "uniform", value_parser = weight)]
    by: EndWeight,
    /// Only nodes that have the same value of this category or boolean replace an end
    #[arg(long, value_name = "ATTRIBUTE")]
    alike: Option<String>,
    /// Of all that is by lot
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Other negatives of the same positives for another number, such as an epoch's
    #[arg(long, default_value_t = 0)]
    draw: u64,
    /// Write the nodes' keys too
    #[arg(long)]
    with_keys: bool,
    /// Replace an earlier file
    #[arg(long)]
    overwrite: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CorruptName {
    Source,
    Target,
    /// By a toss for each negative
    Either,
}

fn weight(text: &str) -> Result<EndWeight, String> {
    let power = match text.split_once(':') {
        None if text == "uniform" => return Ok(EndWeight::Uniform),
        None if text == "degree" => Some(1.0),
        Some(("degree", power)) => power.parse().ok(),
        _ => None,
    };
    let power = power.ok_or_else(|| "expected `uniform`, `degree`, or `degree:` and a power, as in `degree:0.75`".to_owned())?;
    Ok(EndWeight::Degree { power })
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let snapshot = Snapshot::current_checked(&self.store)?;
        let config = NegativeConfig {
            relation: snapshot.schema().relation(&self.relation)?,
            per_positive: self.per_positive,
            corrupt: match self.corrupt {
                CorruptName::Source => Corrupt::Source,
                CorruptName::Target => Corrupt::Target,
                CorruptName::Either => Corrupt::Either,
            },
            by: self.by,
            alike: self.alike,
            seed: self.seed,
        };
        let mut pairs = Pairs::new(&snapshot, config)?.in_draw(self.draw).with_keys(self.with_keys);
        if let Some(count) = self.count {
            pairs = pairs.by_lot(count)?;
        }
        let exported = to_negatives(&pairs, &self.out, Options { overwrite: self.overwrite, quiet: self.quiet })?;
        Summary::of(exported, start).show(self.json)
    }
}

#[cfg(test)]
mod tests {
    use relata::snapshot::{EdgeData, SnapshotWriter};
    use relata_schema::{Schema, Value};

    use super::*;
    use crate::testing::arguments;

    /// One cell expresses the first two of four genes, the third of which is of the same biotype as the first.
    fn store() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(folder.path(), &schema).unwrap();
        let gene = schema.node_type("gene").unwrap();
        writer.nodes(schema.node_type("cell").unwrap(), &["c1".to_owned()]).unwrap();
        writer.nodes(gene, &["g1", "g2", "g3", "g4"].map(String::from)).unwrap();
        let biotypes = ["x", "y", "x", "y"].map(|name| Some(Value::Category(name.to_owned())));
        writer.column(gene, schema.node_attribute(gene, "biotype").unwrap(), &biotypes).unwrap();
        let expresses = EdgeData { sources: vec![0, 0], targets: vec![0, 1], ..EdgeData::default() };
        writer.relation(schema.relation("expresses").unwrap(), &expresses).unwrap();
        writer.publish(&[]).unwrap();
        folder
    }

    fn run(store: &tempfile::TempDir, more: &[&str]) -> anyhow::Result<()> {
        arguments::<Args>(store.path(), &[&["--quiet"], more].concat())?.run()
    }

    #[test]
    fn pairs_become_a_file() {
        let store = store();
        let out = store.path().join("pairs.arrow");
        let place = out.to_str().unwrap();
        let more = ["--relation", "expresses", "--alike", "biotype", "--per-positive", "2", "--with-keys", "--out", place];
        run(&store, &more).unwrap();
        let file = std::fs::File::open(&out).unwrap();
        let batch = arrow_ipc::reader::FileReader::try_new(file, None).unwrap().next().unwrap().unwrap();
        let keys = arrow_array::cast::AsArray::as_string::<i32>(batch.column_by_name("target_key").unwrap()).clone();
        let keys: Vec<&str> = keys.iter().flatten().collect();
        assert_eq!(keys, ["g1", "g3", "g3", "g2", "g4", "g4"]);
        assert!(run(&store, &more).unwrap_err().to_string().contains("--overwrite"));
        let parquet = store.path().join("pairs.parquet");
        let parquet = parquet.to_str().unwrap();
        for more in [
            &["--by", "degree:0.75", "--corrupt", "either", "--count", "1"][..],
            &["--by", "degree", "--corrupt", "source", "--draw", "2", "--seed", "1", "--json", "--overwrite"],
        ] {
            run(&store, &[&["--relation", "expresses", "--out", parquet], more].concat()).unwrap();
        }
    }

    #[test]
    fn what_is_misspelt_is_answered_with_what_would_do() {
        let store = store();
        for (more, expected) in [
            (&["--relation", "expreses", "--out", "x.arrow"][..], "did you mean `expresses`"),
            (&["--relation", "expresses", "--out", "x.csv"], "`.arrow` or `.parquet`"),
            (&["--relation", "expresses", "--out", "x.arrow", "--by", "size"], "expected `uniform`, `degree`, or `degree:`"),
            (&["--relation", "expresses", "--out", "x.arrow", "--by", "degree:-1"], "negatives.by.power: found -1"),
            (&["--relation", "expresses", "--out", "x.arrow", "--alike", "biotpye"], "did you mean `biotype`"),
            (&["--relation", "expresses", "--out", "x.arrow", "--per-positive", "0"], "negatives.per_positive: found 0"),
            (&["--relation", "interacts", "--out", "x.arrow"], "expected a relation that the snapshot has edges of"),
        ] {
            let error = format!("{:#}", run(&store, more).unwrap_err());
            assert!(error.contains(expected), "{error}, expected: {expected}");
        }
    }
}
