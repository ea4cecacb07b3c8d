//! The source tables: what they are, and how random ones are written.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::plain::{CATEGORIES, Kind, RELATIONS};
use crate::random::Random;
use crate::support::Folder;

pub const SCHEMA: &str = r#"
[node.user]
attributes.name = { kind = "text" }

[node.item]
attributes.name = { kind = "text" }

[node.place]

[[relation]]
name = "bought"
source = "user"
target = "item"
attributes.at = { kind = "time", unit = "s" }
attributes.channel = { kind = "category" }
attributes.gift = { kind = "boolean" }
attributes.price = { kind = "number" }

[[relation]]
name = "knows"
source = "user"
target = "user"
symmetric = true
attributes.score = { kind = "number" }
attributes.since = { kind = "time", unit = "s" }

[[relation]]
name = "follows"
source = "user"
target = "user"

[[relation]]
name = "replaces"
source = "item"
target = "item"
attributes.at = { kind = "time", unit = "s" }

[[relation]]
name = "made_in"
source = "item"
target = "place"
attributes.share = { kind = "number" }
"#;

/// File, type, and column of the key.
pub const NODE_TABLES: [(&str, usize, &str); 2] = [("users.tsv", 0, "id"), ("items.parquet", 1, "id")];

/// A table of edges. Its columns are `from`, `to` and the relation's attributes.
pub struct Table {
    pub file: &'static str,
    pub relation: usize,
    rows: usize,
    /// Whether a name that no node has becomes a node; else the row is left out.
    pub makes_source: bool,
    pub makes_target: bool,
}

const fn table(file: &'static str, relation: usize, rows: usize) -> Table {
    Table { file, relation, rows, makes_source: false, makes_target: false }
}

/// In the order of the manifest.
pub const TABLES: [Table; 6] = [
    Table { makes_source: true, ..table(REWRITTEN, 0, 45_000) },
    table("bought-b.parquet", 0, 35_000),
    table("knows.tsv", 1, 40_000),
    table("follows.parquet", 2, 40_000),
    table("replaces.tsv", 3, 20_000),
    Table { makes_target: true, ..table("made-in.parquet", 4, 20_000) },
];

/// The table that is loaded a second time.
pub const REWRITTEN: &str = "bought-a.tsv";

const USERS: u64 = 8_000;
const ITEMS: u64 = 4_000;

impl Table {
    fn source(&self) -> String {
        let known = &RELATIONS[self.relation];
        let end = |column: &str, makes: bool| match makes {
            true => format!("{{ column = \"{column}\", unmatched = \"make\" }}"),
            false => format!("\"{column}\""),
        };
        let attributes: String = known.attributes.iter().map(|(name, _)| format!(", {name} = \"{name}\"")).collect();
        format!(
            "[[source]]\npath = \"{}\"\nrelation = \"{}\"\ncolumns = {{ source = {}, target = {}{attributes} }}\n\n",
            self.file,
            known.name,
            end("from", self.makes_source),
            end("to", self.makes_target)
        )
    }

    /// Rows of texts; `earlier` are those of the same relation so far, of which some come again.
    fn random(&self, random: &mut Random, earlier: &mut Vec<Vec<String>>) -> Vec<Vec<String>> {
        let known = &RELATIONS[self.relation];
        let mut rows: Vec<Vec<String>> = Vec::with_capacity(self.rows);
        while rows.len() < self.rows {
            let mut row = vec![self.end(known.source, random), self.end(known.target, random)];
            if !earlier.is_empty() && random.chance(25) {
                let again = earlier[random.below(earlier.len() as u64) as usize].clone();
                match random.below(3) {
                    // The whole edge again, another one between the same nodes, or one the other way round.
                    0 => {
                        rows.push(again);
                        continue;
                    }
                    2 if known.source == known.target => row = vec![again[1].clone(), again[0].clone()],
                    _ => row = again[..2].to_vec(),
                }
            }
            row.extend(known.attributes.iter().map(|&(_, kind)| value(kind, random)));
            earlier.push(row.clone());
            rows.push(row);
        }
        rows
    }

    /// A key of the type, now and then that of a node with many edges, or one that no table of nodes has.
    fn end(&self, node_type: usize, random: &mut Random) -> String {
        let many = random.below(40) == 0;
        let below = |random: &mut Random, all| random.below(if many { 4 } else { all });
        match node_type {
            // Those with `v` are made by the first table; `x` is made by none, as are items with an odd number.
            0 if random.below(50) == 0 => {
                format!("{}{}", if self.makes_source || random.chance(50) { 'v' } else { 'x' }, random.below(300))
            }
            0 => format!("u{}", below(random, USERS)),
            1 if random.below(100) == 0 => (2 * random.below(100) + 1).to_string(),
            1 => (2 * below(random, ITEMS)).to_string(),
            _ => format!("place {}", random.below(900)),
        }
    }

    fn write(&self, folder: &Folder, rows: &[Vec<String>]) {
        let known = &RELATIONS[self.relation];
        let names: Vec<&str> = ["from", "to"].into_iter().chain(known.attributes.iter().map(|attribute| attribute.0)).collect();
        if self.file.ends_with(".tsv") {
            let lines = rows.iter().map(|row| row.join("\t"));
            let lines: Vec<String> = std::iter::once(names.join("\t")).chain(lines).collect();
            folder.write(self.file, lines.join("\n") + "\n");
            return;
        }
        let end = |at: usize, node_type: usize| match node_type {
            1 => Arc::new(rows.iter().map(|row| row[at].parse::<i64>().ok()).collect::<Int64Array>()) as ArrayRef,
            _ => Arc::new(rows.iter().map(|row| Some(row[at].as_str())).collect::<StringArray>()),
        };
        let mut columns = vec![end(0, known.source), end(1, known.target)];
        for (at, &(_, kind)) in (2..).zip(known.attributes) {
            let cells = rows.iter().map(|row| Some(row[at].as_str()).filter(|text| !matches!(*text, "" | "NA")));
            columns.push(match kind {
                Kind::Time => Arc::new(cells.map(|text| text?.parse().ok()).collect::<Int64Array>()),
                Kind::Number => Arc::new(cells.map(|text| text?.parse().ok()).collect::<Float64Array>()),
                Kind::Boolean => Arc::new(cells.map(|text| text?.parse().ok()).collect::<BooleanArray>()),
                Kind::Category => Arc::new(cells.collect::<StringArray>()),
            });
        }
        write_parquet(folder, self.file, names.into_iter().zip(columns).collect());
    }
}

fn write_parquet(folder: &Folder, file: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(9_000)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder.write(file, bytes);
}

/// A cell, a tenth of which are missing.
fn value(kind: Kind, random: &mut Random) -> String {
    match kind {
        _ if random.below(10) == 0 => ["", "NA"][random.below(2) as usize].to_owned(),
        // Few, so that many edges of a node have the same.
        Kind::Time => (random.below(500) as i64 - 50).to_string(),
        Kind::Number => format!("{}.{:02}", random.below(300), random.below(100)),
        Kind::Boolean => (random.below(2) == 1).to_string(),
        Kind::Category => CATEGORIES[random.below(CATEGORIES.len() as u64) as usize].to_owned(),
    }
}

/// Writes schema, tables and two manifests: of all of them, and of the one that is loaded a second time.
pub fn write(folder: &Folder, random: &mut Random) {
    folder.write("schema.toml", SCHEMA);
    let users: String = (0..USERS).map(|user| format!("u{user}\tuser {user}\n")).collect();
    folder.write("users.tsv", format!("id\tname\n{users}"));
    let items: Int64Array = (0..ITEMS as i64).map(|item| Some(2 * item)).collect();
    let names: StringArray = (0..ITEMS).map(|item| Some(format!("item {item}"))).collect();
    write_parquet(folder, "items.parquet", vec![("id", Arc::new(items)), ("name", Arc::new(names))]);
    let head = "schema = { path = \"schema.toml\", builtin = false }\n[dataset]\nname = \"shop\"\n\n";
    let node = |node_type: &str, file: &str| {
        format!("[[source]]\npath = \"{file}\"\nnode = \"{node_type}\"\nkey = \"id\"\nattributes = {{ name = \"name\" }}\n\n")
    };
    let sources: String = TABLES.iter().map(Table::source).collect();
    folder.write("all.toml", [head, &node("user", "users.tsv"), &node("item", "items.parquet"), &sources].concat());
    folder.write("one.toml", [head, &TABLES[0].source()].concat());
    let mut earlier: Vec<Vec<Vec<String>>> = vec![Vec::new(); RELATIONS.len()];
    for table in &TABLES {
        table.write(folder, &table.random(random, &mut earlier[table.relation]));
    }
}

/// Writes one table anew: other rows, of which there are fewer.
pub fn rewrite_one(folder: &Folder, random: &mut Random) {
    let mut rows = TABLES[0].random(random, &mut Vec::new());
    rows.truncate(TABLES[0].rows / 2);
    TABLES[0].write(folder, &rows);
}
