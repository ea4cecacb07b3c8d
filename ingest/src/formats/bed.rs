use std::collections::HashSet;

use relata_schema::{AttributeId, AttributeKind, Interval, NodeTypeId, Strand, Value};

use super::Format;
use crate::{Error, Input, Manifest, Result, Sink, Source};

/// BED 3 to 12 and ENCODE's narrowPeak and broadPeak: 0-based, half-open.
///
/// <https://samtools.github.io/hts-specs/BEDv1.pdf>,
/// <https://genome.ucsc.edu/FAQ/FAQformat.html#format12> (narrowPeak), `#format13` (broadPeak).
pub struct Bed;

/// The columns beyond the interval, by the kind of file: attribute and column (from 0).
const BED: &[(&str, usize)] = &[("name", 3), ("score", 4)];
const PEAK: &[(&str, usize)] = &[("name", 3), ("score", 4), ("signal", 6), ("p_value", 7), ("q_value", 8), ("summit", 9)];

impl Format for Bed {
    fn name(&self) -> &'static str {
        "bed"
    }

    fn about(&self) -> &'static str {
        "BED 3 to 12, narrowPeak, broadPeak (0-based, half-open): each line is a region"
    }

    fn settings(&self) -> &'static [&'static str] {
        &["node"]
    }

    fn is_likely(&self, _start: &[u8], name: &str) -> bool {
        [".bed", ".narrowpeak", ".broadpeak"].iter().any(|ending| name.ends_with(ending))
    }

    fn check(&self, manifest: &Manifest, source: &Source) -> Result<()> {
        node_type(manifest, source).map(|_| ())
    }

    fn read(&self, manifest: &Manifest, source: &Source, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        let node_type = sink.schema().node_type(&manifest.schema.node(node_type(manifest, source)?).name)?;
        let owner = sink.schema().node(node_type).clone();
        let locus = owner.attributes.iter().position(|attribute| attribute.kind == AttributeKind::Interval);
        let locus = locus.map(|at| AttributeId(at as u16));
        let plain = super::plain_name(input.path());
        let columns = if plain.ends_with("peak") { PEAK } else { BED };
        let columns: Vec<_> = columns.iter().filter_map(|&(name, at)| Some((at, owner.attribute(name)?))).collect();
        let mut seen = HashSet::new();
        input.lines(|number, line| {
            let is_remark = ["#", "track", "browser"].iter().any(|start| line.starts_with(start));
            if line.trim().is_empty() || is_remark {
                return Ok(());
            }
            sink.read(1);
            let wrong = |message: String| Error::line(input.path(), number, message);
            let fields: Vec<&str> = line.split('\t').collect();
            let [contig, start, end, ..] = fields[..] else {
                let hint = if line.contains(' ') { "; are its columns separated by spaces?" } else { "" };
                return Err(wrong(format!("found {} columns, expected at least 3 separated by tabs{hint}", fields.len())));
            };
            let coordinate = |what: &str, text: &str| {
                text.parse::<u64>().map_err(|_| wrong(format!("{what} `{text}` is no whole number of base pairs")))
            };
            let strand = fields.get(5).copied().unwrap_or(".");
            let strand =
                Strand::from_symbol(strand).ok_or_else(|| wrong(format!("strand `{strand}`, expected `+`, `-` or `.`")))?;
            let interval = Interval::new(contig, coordinate("start", start)?, coordinate("end", end)?, strand)
                .map_err(|error| wrong(error.to_string()))?;
            let key = format!("{}:{}-{}", interval.contig(), interval.start(), interval.end());
            let node = sink.node(node_type, &key)?;
            if number % 1024 == 0 {
                sink.progress(input);
            }
            if !seen.insert(node) {
                sink.drop("interval of an earlier line (a peak with several summits), of which the first is kept", &key);
                return Ok(());
            }
            if let Some(locus) = locus {
                sink.set(node_type, node, locus, Value::Interval(interval))?;
            }
            for &(at, attribute) in &columns {
                let Some(text) = fields.get(at) else { continue };
                // `.` and, in peaks, -1 stand for "not there".
                if *text == "." || (columns.len() > BED.len() && *text == "-1") {
                    continue;
                }
                let declared = &owner.attributes[attribute.index()];
                let value = Value::parse(text, declared.kind)
                    .map_err(|message| wrong(format!("column {} ({}): {message}", at + 1, declared.name)))?;
                if let Some(value) = value {
                    sink.set(node_type, node, attribute, value)?;
                }
            }
            sink.kept(1);
            Ok(())
        })
    }
}

fn node_type(manifest: &Manifest, source: &Source) -> Result<NodeTypeId> {
    match &source.node {
        Some(name) => manifest.schema.node_type(name.get_ref()).map_err(manifest.at(name)),
        None => Ok(manifest.schema.node_type("region")?),
    }
}
