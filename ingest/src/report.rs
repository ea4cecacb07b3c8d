use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use relata_schema::SourceRecord;
use serde::Serialize;

/// What a load brought, or would bring: one record a source.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The data set.
    pub dataset: String,
    /// The sources, in the order of the manifest.
    pub sources: Vec<SourceRecord>,
    /// Names of sources that were unchanged and not read again.
    pub unchanged: Vec<String>,
    /// The snapshot that was published, if one was.
    pub snapshot: Option<String>,
}

impl Report {
    /// The record of a source.
    pub fn source(&self, name: &str) -> Option<&SourceRecord> {
        self.sources.iter().find(|source| source.name == name)
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Two tables: counts a source, and why something was left out.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = Table::new();
        counts.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        let title = |text: &str| Cell::new(text);
        counts.set_header(["source", "format", "rows read", "kept", "nodes", "edges", "values", "left out"].map(title));
        let number = |number: u64| Cell::new(grouped(number)).set_alignment(CellAlignment::Right);
        for source in &self.sources {
            let tally = &source.tally;
            let left_out = tally.drops.iter().map(|drop| drop.count).sum();
            let name =
                if self.unchanged.contains(&source.name) { format!("{} (unchanged)", source.name) } else { source.name.clone() };
            let mut row = vec![Cell::new(name), Cell::new(&source.format)];
            row.extend([tally.read, tally.kept, tally.nodes, tally.edges, tally.values, left_out].map(number));
            counts.add_row(row);
        }
        writeln!(f, "{counts}")?;
        if self.sources.iter().all(|source| source.tally.drops.is_empty()) {
            return Ok(());
        }
        let mut drops = Table::new();
        drops.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        drops.set_header(["source", "left out", "why", "such as"].map(title));
        for source in &self.sources {
            for drop in &source.tally.drops {
                drops.add_row(vec![
                    Cell::new(&source.name),
                    number(drop.count),
                    Cell::new(&drop.reason),
                    Cell::new(drop.examples.join(", ")),
                ]);
            }
        }
        writeln!(f, "{drops}")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (2_702_861, "2,702,861")] {
            assert_eq!(super::grouped(number), shown);
        }
    }
}
