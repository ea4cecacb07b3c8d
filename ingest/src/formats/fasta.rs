use std::collections::HashSet;

use relata_schema::{AttributeId, AttributeKind, Interval, NodeTypeId, Schema, Strand, Value};

use super::Format;
use crate::identity::Match;
use crate::{At, Error, Input, Manifest, Result, Sink, Source, Unmatched};

/// FASTA of nucleotides: `>name description`, then lines of IUPAC letters.
///
/// <https://www.ncbi.nlm.nih.gov/genbank/fastaformat/>. The name ends at the first white space; `bedtools getfasta` writes
/// `chr1:100-200`, which is a region's key.
pub struct Fasta;

impl Format for Fasta {
    fn name(&self) -> &'static str {
        "fasta"
    }

    fn about(&self) -> &'static str {
        "FASTA of nucleotides: each record is a node (a region unless `node` says otherwise) and its sequence"
    }

    fn settings(&self) -> &'static [&'static str] {
        &["node"]
    }

    fn is_likely(&self, start: &[u8], _name: &str) -> bool {
        start.starts_with(b">")
    }

    fn check(&self, manifest: &Manifest, source: &Source) -> Result<()> {
        Target::of(manifest, source, &manifest.schema).map(|_| ())
    }

    fn read(&self, manifest: &Manifest, source: &Source, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        let target = Target::of(manifest, source, sink.schema())?;
        let mut described = HashSet::new();
        let mut record: Option<Record> = None;
        input.lines(|number, line| {
            if number % 1024 == 0 {
                sink.progress(input);
            }
            let line = line.trim_end();
            if let Some(title) = line.strip_prefix('>') {
                if let Some(done) = record.take() {
                    target.bring(done, &mut described, input, sink)?;
                }
                let name = title.split_whitespace().next().filter(|_| !title.starts_with(char::is_whitespace));
                let name = name.ok_or_else(|| {
                    Error::line(input.path(), number, format!("found `{line}`, expected `>` and the record's name"))
                })?;
                record = Some(Record { name: name.to_owned(), line: number, letters: String::new() });
                return Ok(());
            }
            if line.is_empty() || line.starts_with(';') {
                return Ok(());
            }
            let Some(record) = &mut record else {
                let found: String = line.chars().take(40).collect();
                return Err(Error::line(
                    input.path(),
                    number,
                    format!("found `{found}`, expected a record's first line, `>name`"),
                ));
            };
            // Says which letter is none.
            match Value::parse(line, AttributeKind::Sequence) {
                Err(_) => Err(Error::line(input.path(), number, bad_letter(line, &record.name))),
                Ok(_) => {
                    record.letters.push_str(line);
                    Ok(())
                }
            }
        })?;
        match record {
            Some(done) => target.bring(done, &mut described, input, sink),
            None => Ok(()),
        }
    }
}

fn bad_letter(line: &str, name: &str) -> String {
    let is_letter = |letter: char| Value::parse(&letter.to_string(), AttributeKind::Sequence).is_ok();
    match line.chars().enumerate().find(|&(_, letter)| letter.is_whitespace() || !is_letter(letter)) {
        Some((at, letter)) => {
            format!("found `{letter}` at column {} of record `{name}`, expected IUPAC letters of nucleotides or `-`", at + 1)
        }
        None => format!("record `{name}` has something else than IUPAC letters of nucleotides"),
    }
}

struct Record {
    name: String,
    line: u64,
    letters: String,
}

/// What records become.
struct Target {
    node_type: NodeTypeId,
    sequence: AttributeId,
    locus: Option<AttributeId>,
    unmatched: Unmatched,
}

impl Target {
    fn of(manifest: &Manifest, source: &Source, schema: &Schema) -> Result<Self> {
        let (name, span) = match &source.node {
            Some(name) => (name.get_ref().as_str(), name.span()),
            None => ("region", source.path.span()),
        };
        let node_type = schema.node_type(name).map_err(|unknown| manifest.error(span.clone(), unknown.to_string()))?;
        let of_kind = |kind| {
            let at = schema.node(node_type).attributes.iter().position(|attribute| attribute.kind == kind);
            at.map(|at| AttributeId(at as u16))
        };
        let Some(sequence) = of_kind(AttributeKind::Sequence) else {
            let has: Vec<String> = (schema.node_types().iter())
                .filter(|one| one.attributes.iter().any(|attribute| attribute.kind == AttributeKind::Sequence))
                .map(|one| one.name.clone())
                .collect();
            let message = format!("{name} has no attribute of kind sequence (types that have one: {})", has.join(", "));
            return Err(manifest.error(span, message));
        };
        let unmatched = source.unmatched.unwrap_or(Unmatched::Make);
        Ok(Self { node_type, sequence, locus: of_kind(AttributeKind::Interval), unmatched })
    }

    fn bring(&self, record: Record, described: &mut HashSet<u32>, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        sink.read(1);
        if record.letters.is_empty() {
            let message = format!("record `{}` has no sequence", record.name);
            return Err(Error::line(input.path(), record.line, message));
        }
        let node = match self.unmatched {
            Unmatched::Make => {
                let is_new = sink.find(self.node_type, &record.name, None)? == Match::Nothing;
                let node = sink.node(self.node_type, &record.name)?;
                if let (true, Some(locus), Some(interval)) = (is_new, self.locus, interval(&record.name)) {
                    sink.set(self.node_type, node, locus, Value::Interval(interval))?;
                }
                Some(node)
            }
            other => sink.link(self.node_type, &record.name, None, Some(other), At::Line(record.line))?,
        };
        let Some(node) = node else { return Ok(()) };
        if !described.insert(node) {
            sink.drop("record with the name of an earlier one, of which the first is kept", &record.name);
            return Ok(());
        }
        sink.set(self.node_type, node, self.sequence, Value::Sequence(record.letters))?;
        sink.kept(1);
        Ok(())
    }
}

/// The interval in a name such as `chr1:100-200` (0-based, half-open).
fn interval(name: &str) -> Option<Interval> {
    let (contig, range) = name.rsplit_once(':')?;
    let (start, end) = range.split_once('-')?;
    Interval::new(contig, start.parse().ok()?, end.parse().ok()?, Strand::Unknown).ok()
}
