use relata_schema::identifier::unversioned;
use relata_schema::{EdgeValue, Interval, Strand, Value};

use super::Format;
use crate::{Error, Input, Manifest, Result, Sink, Source};

/// GTF 2.2, as Ensembl and GENCODE write it: 1-based, the end included.
///
/// <https://www.ensembl.org/info/website/upload/gff.html>
pub struct Gtf;

impl Format for Gtf {
    fn name(&self) -> &'static str {
        "gtf"
    }

    fn about(&self) -> &'static str {
        "GTF 2.2 of Ensembl or GENCODE (1-based, end included): genes, and transcripts if asked for"
    }

    fn settings(&self) -> &'static [&'static str] {
        &["transcripts"]
    }

    fn is_likely(&self, start: &[u8], name: &str) -> bool {
        let text = String::from_utf8_lossy(start);
        let first = text.lines().find(|line| !line.starts_with('#') && !line.is_empty()).unwrap_or_default();
        let fields: Vec<&str> = first.split('\t').collect();
        name.ends_with(".gtf") || (fields.len() == 9 && fields[8].contains("gene_id \""))
    }

    fn check(&self, _manifest: &Manifest, _source: &Source) -> Result<()> {
        Ok(())
    }

    fn read(&self, _manifest: &Manifest, source: &Source, input: &Input, sink: &mut Sink<'_>) -> Result<()> {
        let with_transcripts = source.transcripts.as_ref().is_some_and(|setting| *setting.get_ref());
        let schema = sink.schema().clone();
        let (gene, transcript) = (schema.node_type("gene")?, schema.node_type("transcript")?);
        let of_gene = |name| schema.node_attribute(gene, name);
        let (symbol, biotype, locus) = (of_gene("symbol")?, of_gene("biotype")?, of_gene("locus")?);
        let of_transcript = |name| schema.node_attribute(transcript, name);
        let (name, kind, place) = (of_transcript("name")?, of_transcript("biotype")?, of_transcript("locus")?);
        let transcribed = schema.relation("gene.transcribed_to.transcript")?;
        let missing = vec![EdgeValue::Missing; schema.edge(transcribed).attributes.len()];
        input.lines(|number, line| {
            if line.trim().is_empty() || line.starts_with('#') {
                return Ok(());
            }
            sink.read(1);
            if number % 1024 == 0 {
                sink.progress(input);
            }
            let record = Record::parse(line).map_err(|message| Error::line(input.path(), number, message))?;
            let is_transcript = record.feature == "transcript";
            if record.feature != "gene" && !(with_transcripts && is_transcript) {
                sink.drop(&format!("feature {}", record.feature), "");
                return Ok(());
            }
            let text = |text: &str| Value::Text(text.to_owned());
            let category = |text: &str| Value::Category(text.to_owned());
            let gene_node = sink.node(gene, unversioned(record.gene_id))?;
            if is_transcript {
                let id = record
                    .attribute("transcript_id")
                    .ok_or_else(|| Error::line(input.path(), number, "a transcript without `transcript_id`".to_owned()))?;
                let node = sink.node(transcript, unversioned(id))?;
                if let Some(value) = record.attribute("transcript_name") {
                    sink.set(transcript, node, name, text(value))?;
                }
                if let Some(value) = record.attribute("transcript_type").or_else(|| record.attribute("transcript_biotype")) {
                    sink.set(transcript, node, kind, category(value))?;
                }
                sink.set(transcript, node, place, Value::Interval(record.interval))?;
                sink.edge(transcribed, gene_node, node, None, &missing)?;
            } else {
                if let Some(value) = record.attribute("gene_name") {
                    sink.set(gene, gene_node, symbol, text(value))?;
                }
                if let Some(value) = record.attribute("gene_type").or_else(|| record.attribute("gene_biotype")) {
                    sink.set(gene, gene_node, biotype, category(value))?;
                }
                sink.set(gene, gene_node, locus, Value::Interval(record.interval))?;
            }
            sink.kept(1);
            Ok(())
        })
    }
}

struct Record<'l> {
    feature: &'l str,
    interval: Interval,
    gene_id: &'l str,
    attributes: &'l str,
}

impl<'l> Record<'l> {
    fn parse(line: &'l str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [contig, _source, feature, start, end, _score, strand, _frame, attributes] = fields[..] else {
            return Err(format!("found {} columns, expected 9 separated by tabs", fields.len()));
        };
        let coordinate = |what: &str, text: &str| {
            text.parse::<u64>().map_err(|_| format!("{what} `{text}` is no whole number (columns 4 and 5 are base pairs from 1)"))
        };
        let strand = Strand::from_symbol(strand).ok_or_else(|| format!("strand `{strand}`, expected `+`, `-` or `.`"))?;
        let interval = Interval::from_one_based(contig, coordinate("start", start)?, coordinate("end", end)?, strand)
            .map_err(|error| error.to_string())?;
        let gene_id = attribute(attributes, "gene_id").ok_or_else(|| {
            "no `gene_id \"…\"` among the attributes (column 9); a GFF3 file has `ID=…` and is no GTF".to_owned()
        })?;
        Ok(Self { feature, interval, gene_id, attributes })
    }

    fn attribute(&self, key: &str) -> Option<&'l str> {
        attribute(self.attributes, key)
    }
}

/// The value of `key "value";`, the quotes being optional as for numbers.
fn attribute<'l>(attributes: &'l str, key: &str) -> Option<&'l str> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches([' ', ';']);
        let (name, behind) = rest.split_once(' ')?;
        let behind = behind.trim_start();
        let (value, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_once(';').unwrap_or((behind, "")),
        };
        if name == key {
            return Some(value);
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "chr1\tHAVANA\tgene\t11869\t14409\t.\t+\t.\tgene_id \"ENSG00000223972.5\"; gene_type \"a; b\"; level 2; gene_name \"DDX11L1\";";

    #[test]
    fn a_line_of_gencode_is_read_and_its_interval_converted() {
        let record = Record::parse(LINE).unwrap();
        assert_eq!((record.feature, record.gene_id), ("gene", "ENSG00000223972.5"));
        assert_eq!((record.interval.start(), record.interval.end()), (11868, 14409));
        assert_eq!(record.attribute("gene_type"), Some("a; b"));
        assert_eq!(record.attribute("level"), Some("2"));
        assert_eq!(record.attribute("gene_name"), Some("DDX11L1"));
        assert_eq!(record.attribute("tag"), None);
    }

    #[test]
    fn a_bad_line_says_what_is_wrong() {
        for (line, expected) in [
            ("chr1 HAVANA gene", "found 1 columns, expected 9"),
            (&LINE.replace("11869", "x"), "start `x` is no whole number"),
            (&LINE.replace("11869", "20000"), "start 20000 lies behind end 14409"),
            (&LINE.replace("11869", "0"), "coordinate 0"),
            (&LINE.replace("\t+\t", "\t*\t"), "strand `*`"),
            (&LINE.replace("gene_id", "ID"), "no `gene_id"),
        ] {
            let message = Record::parse(line).err().unwrap();
            assert!(message.contains(expected), "{message}");
        }
    }
}
