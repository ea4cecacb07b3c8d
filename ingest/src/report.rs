use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use relata_schema::SourceRecord;
use serde::Serialize;

/// Columns of text that the tables take at most.
const WIDTH: u16 = 120;
/// One line under the header, none elsewhere.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// What a load brought, or would bring: one record a source.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The data set.
    pub dataset: String,
    /// The sources, in the order of the manifest.
    pub sources: Vec<SourceRecord>,
    /// Names of sources that were unchanged and not read again.
    pub unchanged: Vec<String>,
    /// What else the store holds: sources of other data sets, and of this one that the manifest does not name (any more).
    pub others: Vec<SourceRecord>,
    /// The snapshot that was published, if one was.
    pub snapshot: Option<String>,
}

impl Report {
    /// The record of a source.
    pub fn source(&self, name: &str) -> Option<&SourceRecord> {
        self.sources.iter().find(|source| source.name == name)
    }

    fn counts(&self) -> Table {
        let mut table = table(["source", "format", "rows read", "kept", "left out", "nodes", "edges", "values"]);
        for source in &self.sources {
            let tally = &source.tally;
            let is_unchanged = self.unchanged.contains(&source.name);
            let name = if is_unchanged { format!("{} (unchanged)", source.name) } else { source.name.clone() };
            let mut row = vec![Cell::new(name), Cell::new(&source.format)];
            let left_out = tally.read.saturating_sub(tally.kept);
            row.extend([tally.read, tally.kept, left_out, tally.nodes, tally.edges, tally.values].map(number));
            table.add_row(row);
        }
        table
    }

    fn drops(&self) -> Table {
        let mut table = table(["source", "count", "left out or changed, because", "such as"]);
        for source in &self.sources {
            for (at, drop) in source.tally.drops.iter().enumerate() {
                let name = if at == 0 { source.name.as_str() } else { "" };
                let examples = drop.examples.join(", ");
                table.add_row(vec![Cell::new(name), number(drop.count), Cell::new(&drop.reason), Cell::new(examples)]);
            }
        }
        table
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header.map(Cell::new));
    table
}

fn number(number: u64) -> Cell {
    Cell::new(grouped(number)).set_alignment(CellAlignment::Right)
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Two tables, at most 120 columns wide: counts a source, and why something was left out.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |table: Table| table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n");
        writeln!(f, "{}", lines(self.counts()))?;
        if self.sources.iter().any(|source| !source.tally.drops.is_empty()) {
            writeln!(f, "\n{}", lines(self.drops()))?;
        }
        for other in self.others.iter().filter(|other| other.dataset == self.dataset) {
            writeln!(f, "\nThe store also holds `{}`, which an earlier manifest of {} named.", other.name, self.dataset)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use relata_schema::{Drop, Tally};

    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (2_702_861, "2,702,861")] {
            assert_eq!(grouped(number), shown);
        }
    }

    #[test]
    fn a_report_fits_120_columns_and_says_why() {
        let drop = |reason: &str, count, example: &str| Drop {
            reason: reason.to_owned(),
            count,
            examples: (0..5).map(|number| format!("{example}{number}")).collect(),
        };
        let tally = Tally {
            read: 1_000_000,
            kept: 999_000,
            drops: vec![
                drop("no gene has this entrez", 1000, "ENSG0000012345"),
                drop("a very long reason ".repeat(9).trim(), 1, "x"),
            ],
            ..Tally::default()
        };
        let source = SourceRecord {
            name: "a source with a long name".to_owned(),
            format: "table".to_owned(),
            tally,
            ..Default::default()
        };
        let report = Report {
            dataset: "d".to_owned(),
            sources: vec![source.clone()],
            unchanged: vec![source.name.clone()],
            others: vec![SourceRecord { dataset: "d".to_owned(), name: "gone".to_owned(), ..Default::default() }],
            snapshot: None,
        };
        let shown = report.to_string();
        assert!(shown.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{shown}");
        for part in ["(unchanged)", "1,000,000", "999,000", "no gene has this entrez", "ENSG00000123450", "also holds `gone`"] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
    }
}
