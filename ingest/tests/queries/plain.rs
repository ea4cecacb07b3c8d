//! The graph that the source tables and the changes by hand make, worked out the plain way: rows in lists, read and gone
//! through one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use relata_schema::Direction;
use serde_json::{Map, Value as Json, json};

use crate::random::Random;
use crate::support::Folder;
use crate::tables::{NODE_TABLES, TABLES, Table};

pub const TYPES: [&str; 3] = ["user", "item", "place"];

/// All names that an edge category has in these tables.
pub const CATEGORIES: [&str; 5] = ["web", "shop", "phone", "fair", "gift card"];

/// No value.
pub const MISSING: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Number,
    Boolean,
    Category,
    Time,
}

pub struct Relation {
    pub name: &'static str,
    /// Numbers of types.
    pub source: usize,
    pub target: usize,
    pub symmetric: bool,
    pub attributes: &'static [(&'static str, Kind)],
}

const fn directed(name: &'static str, source: usize, target: usize, attributes: &'static [(&'static str, Kind)]) -> Relation {
    Relation { name, source, target, symmetric: false, attributes }
}

/// As the schema has them.
pub const RELATIONS: [Relation; 5] = [
    directed(
        "bought",
        0,
        1,
        &[("at", Kind::Time), ("channel", Kind::Category), ("gift", Kind::Boolean), ("price", Kind::Number)],
    ),
    Relation { symmetric: true, ..directed("knows", 0, 0, &[("score", Kind::Number), ("since", Kind::Time)]) },
    directed("follows", 0, 0, &[]),
    directed("replaces", 1, 1, &[("at", Kind::Time)]),
    directed("made_in", 1, 2, &[("share", Kind::Number)]),
];

impl Relation {
    pub fn near(&self, direction: Direction) -> usize {
        if direction == Direction::Outgoing { self.source } else { self.target }
    }

    pub fn far(&self, direction: Direction) -> usize {
        self.near(direction.reverse())
    }

    /// Whether a row is an edge between these, in either orientation where that is the same.
    fn joins(&self, row: &Row, source: &str, target: &str) -> bool {
        (row.source == source && row.target == target) || (self.symmetric && row.source == target && row.target == source)
    }
}

/// An edge, by the keys of its ends.
#[derive(Clone, Debug)]
pub struct Row {
    pub source: String,
    pub target: String,
    pub time: Option<i64>,
    /// By the relation's attributes: the bits of a number, 1 or 0 of a boolean, the place of a category's name.
    pub values: [u32; 4],
}

/// A change by hand.
#[derive(Clone)]
pub enum Change {
    UpsertNode(usize, String),
    DeleteNode(usize, String),
    UpsertEdge(usize, Row),
    DeleteEdge(usize, String, String),
}

impl Change {
    /// As `relata edit` reads it.
    pub fn line(&self) -> String {
        let of_node = |change: &str, node_type: usize, key: &str| json!({ change: "node", "type": TYPES[node_type], "key": key });
        let line = match self {
            Self::UpsertNode(node_type, key) => of_node("upsert", *node_type, key),
            Self::DeleteNode(node_type, key) => of_node("delete", *node_type, key),
            Self::DeleteEdge(relation, source, target) => {
                json!({ "delete": "edge", "relation": RELATIONS[*relation].name, "source": source, "target": target })
            }
            Self::UpsertEdge(relation, row) => {
                let known = &RELATIONS[*relation];
                let value = |(&(name, kind), &bits): (&(&'static str, Kind), &u32)| match kind {
                    Kind::Time => row.time.map(|time| (name.to_owned(), json!(time))),
                    _ if bits == MISSING => None,
                    Kind::Number => Some((name.to_owned(), json!(f32::from_bits(bits)))),
                    Kind::Boolean => Some((name.to_owned(), json!(f32::from_bits(bits) == 1.0))),
                    Kind::Category => Some((name.to_owned(), json!(CATEGORIES[bits as usize]))),
                };
                let set: Map<String, Json> = known.attributes.iter().zip(&row.values).filter_map(value).collect();
                json!({ "upsert": "edge", "relation": known.name, "source": row.source, "target": row.target, "set": set })
            }
        };
        line.to_string()
    }
}

/// What the tables hold, and what the changes made of it.
#[derive(Default)]
pub struct Content {
    /// Keys, by type.
    pub nodes: [BTreeSet<String>; TYPES.len()],
    /// By relation.
    pub edges: [Vec<Row>; RELATIONS.len()],
    /// All keys that a table or change ever named, be it that a table's row was left out.
    seen: [BTreeSet<String>; TYPES.len()],
    /// Of the tables of nodes.
    listed: [BTreeSet<String>; TYPES.len()],
    /// What was kept of each table of edges.
    rows: BTreeMap<&'static str, Vec<Row>>,
    /// Sources that a table of edges made in rows that it left out.
    made: BTreeMap<&'static str, BTreeSet<String>>,
    changes: Vec<Change>,
}

impl Content {
    /// Reads the tables in their order.
    pub fn read_all(&mut self, folder: &Folder) {
        for (file, node_type, key) in NODE_TABLES {
            let (columns, rows) = cells(&folder.path(file));
            let key = place(&columns, key);
            self.listed[node_type].extend(rows.into_iter().map(|mut row| row.swap_remove(key)));
        }
        self.nodes.clone_from(&self.listed);
        TABLES.iter().for_each(|table| self.read(folder, table));
        self.rebuild();
    }

    /// Reads one table in the place of what it held before.
    pub fn read_again(&mut self, folder: &Folder, file: &str) {
        let table = TABLES.iter().find(|table| table.file == file).unwrap();
        self.rows.remove(table.file);
        self.rebuild();
        self.read(folder, table);
        self.rebuild();
    }

    /// What a row names it must find, or makes.
    fn read(&mut self, folder: &Folder, table: &Table) {
        let relation = &RELATIONS[table.relation];
        let mut rows = table.read(&folder.path(table.file));
        let mut made = BTreeSet::new();
        rows.retain(|row| {
            let has_source = table.makes_source || self.nodes[relation.source].contains(&row.source);
            let has_both = has_source && (table.makes_target || self.nodes[relation.target].contains(&row.target));
            insert_ends(if has_both { &mut self.nodes } else { &mut self.seen }, relation, row);
            if table.makes_source && !has_both {
                // The target is what the row is left out for.
                made.insert(row.source.clone());
            }
            has_both
        });
        self.nodes[relation.source].extend(made.iter().cloned());
        self.made.insert(table.file, made);
        self.rows.insert(table.file, rows);
    }

    /// All rows, and above them all changes, one after another.
    fn rebuild(&mut self) {
        self.nodes.clone_from(&self.listed);
        self.edges = Default::default();
        for (file, rows) in &self.rows {
            let table = TABLES.iter().find(|table| table.file == *file).unwrap();
            let relation = &RELATIONS[table.relation];
            rows.iter().for_each(|row| insert_ends(&mut self.nodes, relation, row));
            self.nodes[relation.source].extend(self.made[file].iter().cloned());
            self.edges[table.relation].extend(rows.iter().cloned());
        }
        for change in std::mem::take(&mut self.changes) {
            self.apply(change);
        }
        self.see();
    }

    fn see(&mut self) {
        for (seen, nodes) in self.seen.iter_mut().zip(&self.nodes) {
            let new: Vec<String> = nodes.difference(seen).cloned().collect();
            seen.extend(new);
        }
    }

    fn apply(&mut self, change: Change) {
        match &change {
            Change::UpsertNode(node_type, key) => {
                self.nodes[*node_type].insert(key.clone());
                self.seen[*node_type].insert(key.clone());
            }
            Change::DeleteNode(node_type, key) => {
                self.nodes[*node_type].remove(key);
                for (relation, rows) in RELATIONS.iter().zip(&mut self.edges) {
                    let ends_there = |row: &Row| {
                        (relation.source == *node_type && row.source == *key)
                            || (relation.target == *node_type && row.target == *key)
                    };
                    rows.retain(|row| !ends_there(row));
                }
            }
            Change::UpsertEdge(relation, row) => {
                self.edges[*relation].retain(|other| !RELATIONS[*relation].joins(other, &row.source, &row.target));
                self.edges[*relation].push(row.clone());
                // An edit names the ends of its edges, as a table does.
                insert_ends(&mut self.nodes, &RELATIONS[*relation], row);
            }
            Change::DeleteEdge(relation, source, target) => {
                self.edges[*relation].retain(|other| !RELATIONS[*relation].joins(other, source, target));
            }
        }
        self.changes.push(change);
    }

    /// Makes random changes, each of what the ones before have left.
    pub fn change(&mut self, random: &mut Random) -> Vec<Change> {
        let before = self.changes.len();
        for _ in 0..120 {
            let relation = random.below(RELATIONS.len() as u64) as usize;
            let node_type = random.below(TYPES.len() as u64) as usize;
            let change = match random.below(20) {
                0 => Change::UpsertNode(node_type, format!("new{}", random.below(50))),
                1..3 => Change::DeleteNode(node_type, self.node(node_type, random)),
                3 => match self.gone(node_type).next() {
                    Some(gone) => Change::UpsertNode(node_type, gone.clone()),
                    None => continue,
                },
                4..12 => Change::UpsertEdge(relation, self.row(relation, random)),
                _ => {
                    let Row { source, target, .. } = self.existing(relation, random);
                    Change::DeleteEdge(relation, source, target)
                }
            };
            self.apply(change);
        }
        self.changes[before..].to_vec()
    }

    /// Keys that were named, and that no node has.
    fn gone(&self, node_type: usize) -> impl Iterator<Item = &String> {
        self.seen[node_type].difference(&self.nodes[node_type])
    }

    fn node(&self, node_type: usize, random: &mut Random) -> String {
        let nodes = &self.nodes[node_type];
        // Now and then one of the last, which earlier changes made.
        let place = if random.chance(20) {
            nodes.len() - 1 - random.below(40) as usize
        } else {
            random.below(nodes.len() as u64) as usize
        };
        nodes.iter().nth(place).unwrap().clone()
    }

    /// An edge that is there; of a symmetric relation from either end.
    fn existing(&self, relation: usize, random: &mut Random) -> Row {
        let rows = &self.edges[relation];
        let mut row = rows[random.below(rows.len() as u64) as usize].clone();
        if RELATIONS[relation].symmetric && random.chance(50) {
            std::mem::swap(&mut row.source, &mut row.target);
        }
        row
    }

    /// An edge with other values, between nodes that have one already or not.
    fn row(&self, relation: usize, random: &mut Random) -> Row {
        let known = &RELATIONS[relation];
        let Row { source, target, .. } = match random.chance(50) {
            true => self.existing(relation, random),
            false => Row { source: self.node(known.source, random), target: self.node(known.target, random), ..Row::bare() },
        };
        let mut row = Row { source, target, ..Row::bare() };
        for (at, &(_, kind)) in known.attributes.iter().enumerate() {
            match kind {
                _ if random.chance(20) => {}
                Kind::Time => row.time = Some(random.below(1000) as i64 - 100),
                Kind::Number => row.values[at] = (random.below(4000) as f32 / 8.0).to_bits(),
                Kind::Boolean => row.values[at] = (random.below(2) as f32).to_bits(),
                Kind::Category => row.values[at] = random.below(CATEGORIES.len() as u64) as u32,
            }
        }
        row
    }
}

fn insert_ends(nodes: &mut [BTreeSet<String>; TYPES.len()], relation: &Relation, row: &Row) {
    for (node_type, key) in [(relation.source, &row.source), (relation.target, &row.target)] {
        if !nodes[node_type].contains(key) {
            nodes[node_type].insert(key.clone());
        }
    }
}

impl Row {
    fn bare() -> Self {
        Self { source: String::new(), target: String::new(), time: None, values: [MISSING; 4] }
    }
}

impl Table {
    fn read(&self, path: &Path) -> Vec<Row> {
        let known = &RELATIONS[self.relation];
        let (columns, rows) = cells(path);
        let (source, target) = (place(&columns, "from"), place(&columns, "to"));
        let places: Vec<usize> = known.attributes.iter().map(|(name, _)| place(&columns, name)).collect();
        let read = |mut cells: Vec<String>| {
            let mut row = Row::bare();
            for (at, (&(_, kind), &place)) in known.attributes.iter().zip(&places).enumerate() {
                match (kind, cells[place].as_str()) {
                    (_, "" | "NA") => {}
                    (Kind::Time, text) => row.time = Some(text.parse().unwrap()),
                    (Kind::Number, text) => row.values[at] = (text.parse::<f64>().unwrap() as f32).to_bits(),
                    (Kind::Boolean, text) => row.values[at] = f32::from(u8::from(text.parse::<bool>().unwrap())).to_bits(),
                    (Kind::Category, text) => row.values[at] = CATEGORIES.iter().position(|name| *name == text).unwrap() as u32,
                }
            }
            row.source = std::mem::take(&mut cells[source]);
            row.target = std::mem::take(&mut cells[target]);
            row
        };
        rows.into_iter().map(read).collect()
    }
}

fn place(columns: &[String], name: &str) -> usize {
    columns.iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"))
}

/// A table's columns and its cells as texts; of Parquet by the row reader, which the loader does not use.
fn cells(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let file = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let columns = file.metadata().file_metadata().schema_descr().columns().iter().map(|column| column.name().to_owned());
        let text = |field: &Field| match field {
            Field::Null => String::new(),
            Field::Str(text) => text.clone(),
            Field::Long(number) => number.to_string(),
            Field::Double(number) => number.to_string(),
            Field::Bool(truth) => truth.to_string(),
            other => panic!("no table has {other}"),
        };
        let rows =
            file.get_row_iter(None).unwrap().map(|row| row.unwrap().get_column_iter().map(|(_, field)| text(field)).collect());
        return (columns.collect(), rows.collect());
    }
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    (lines.next().unwrap(), lines.collect())
}

/// An edge, seen from one of its ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub time: Option<i64>,
    pub far: u32,
    pub values: [u32; 4],
}

/// The edges by the node that they are at, and nodes as numbers in the order of their keys.
pub struct Graph {
    /// By type.
    pub keys: Vec<Vec<String>>,
    /// By type, keys that no node has.
    pub gone: Vec<Vec<String>>,
    /// By relation, direction and node, sorted.
    lists: Vec<[Vec<Vec<Edge>>; 2]>,
}

impl Graph {
    pub fn of(content: &Content) -> Self {
        let keys: Vec<Vec<String>> = content.nodes.iter().map(|nodes| nodes.iter().cloned().collect()).collect();
        let numbers: Vec<HashMap<&str, u32>> =
            keys.iter().map(|keys| keys.iter().map(String::as_str).zip(0..).collect()).collect();
        let mut lists = Vec::new();
        for (relation, rows) in RELATIONS.iter().zip(&content.edges) {
            let mut sides = Direction::BOTH.map(|direction| vec![Vec::new(); keys[relation.near(direction)].len()]);
            for row in rows {
                let (source, target) =
                    (numbers[relation.source][row.source.as_str()], numbers[relation.target][row.target.as_str()]);
                let edge = |far| Edge { time: row.time, far, values: row.values };
                sides[0][source as usize].push(edge(target));
                sides[1][target as usize].push(edge(source));
                if relation.symmetric && source != target {
                    // It is at both its ends, whichever way one looks.
                    sides[0][target as usize].push(edge(source));
                    sides[1][source as usize].push(edge(target));
                }
            }
            sides.iter_mut().flatten().for_each(|list| list.sort_unstable());
            lists.push(sides);
        }
        let gone = (0..TYPES.len()).map(|node_type| content.gone(node_type).cloned().collect()).collect();
        Self { keys, gone, lists }
    }

    /// The edges of a relation at a node.
    pub fn edges(&self, relation: usize, direction: Direction, node: u32) -> &[Edge] {
        &self.lists[relation][usize::from(direction == Direction::Incoming)][node as usize]
    }
}
