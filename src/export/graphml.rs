//! GraphML, as networkx, Gephi and Cytoscape read it.
//!
//! Specification: <http://graphml.graphdrawing.org/specification.html>
//!
//! * A node's id is `type:key`. It has `type`, `key` and `label` (what people call it), and its attributes; an edge has
//!   `relation`, and its attributes. A missing value has no `data`.
//! * Numbers are `double`, `float` on edges; counts and times `long`; booleans `boolean`; an interval is `name.contig`,
//!   `name.start`, `name.end` (0-based, half-open) and `name.strand`; a vector its numbers between spaces; the rest `string`.
//! * An attribute that types have with different kinds, or whose name is taken, is called `owner.name`.
//! * XML cannot hold most control characters, nor U+FFFE and U+FFFF. In an id they are written as URLs have them (`%07`, and
//!   `%` itself as `%25`), so that ids stay apart; elsewhere each becomes U+FFFD, and a note counts them.
//! * Edges of a symmetric relation are undirected. networkx reads no graph that has edges of both kinds: for it,
//!   [`SymmetricEdges::Both`] writes them in each direction, or a graph of symmetric relations alone is undirected as a whole.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use indicatif::ProgressBar;
use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use relata_schema::{Attribute, AttributeId, AttributeKind, Direction, NodeTypeId, RelationId, Value, suggestion};

use super::edges::{each_batch, time};
use super::manifest::INTERVAL;
use super::output::Output;
use super::{Exported, Options};
use crate::snapshot::{EdgeColumn, Snapshot};
use crate::{Error, Result, progress};

/// Edges that are gone through at once.
const EDGES: usize = 1 << 16;
/// Above so many bytes the programs that read the file, which hold it in memory several times, are slow.
const LARGE: u64 = 256 << 20;
/// Nodes of a type that the estimate of the size writes.
const SAMPLE: u32 = 500;

/// How the edges of a symmetric relation are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymmetricEdges {
    /// Once, undirected.
    #[default]
    Undirected,
    /// Once in each direction, directed; an edge from a node to itself once.
    Both,
}

/// Which types and relations are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    types: BTreeSet<NodeTypeId>,
    relations: BTreeSet<RelationId>,
}

impl Selection {
    /// By names. Without `relations` they are all between the types; without `types` they are the ends of the relations;
    /// without either it is everything.
    ///
    /// # Errors
    /// For unknown names, with the nearest, and for a relation of which an end is not among the types.
    pub fn of(snapshot: &Snapshot, types: &[String], relations: &[String]) -> Result<Self> {
        let schema = snapshot.schema();
        let mut chosen: BTreeSet<NodeTypeId> = types.iter().map(|name| schema.node_type(name)).collect::<Result<_, _>>()?;
        let mut edges: BTreeSet<RelationId> = relations.iter().map(|name| schema.relation(name)).collect::<Result<_, _>>()?;
        let ends = |id: RelationId| [schema.edge(id).source, schema.edge(id).target];
        match (types.is_empty(), relations.is_empty()) {
            (true, true) => {
                chosen.extend(schema.node_type_ids());
                edges.extend(schema.relation_ids());
            }
            (true, false) => chosen.extend(edges.iter().flat_map(|&id| ends(id))),
            (false, true) => edges.extend(schema.relation_ids().filter(|&id| ends(id).iter().all(|end| chosen.contains(end)))),
            (false, false) => {
                for &id in &edges {
                    if let Some(end) = ends(id).into_iter().find(|end| !chosen.contains(end)) {
                        let end = &schema.node(end).name;
                        return Err(Error::Setting {
                            setting: "relations".to_owned(),
                            found: format!("`{}`, whose end `{end}` is not selected", schema.relation_title(id)),
                            expected: format!("both ends among the types{}", suggestion(end, types.iter().map(String::as_str))),
                        });
                    }
                }
            }
        }
        chosen.retain(|&id| snapshot.node_count(id) > 0);
        edges.retain(|&id| snapshot.edge_count(id) > 0);
        Ok(Self { types: chosen, relations: edges })
    }
}

/// Writes types and relations of a snapshot as one GraphML file.
///
/// # Errors
/// When something is at `out` that may not be replaced, or it cannot be written.
pub fn to_graphml(
    snapshot: &Snapshot,
    selection: &Selection,
    symmetric: SymmetricEdges,
    out: &Path,
    options: Options,
) -> Result<Exported> {
    let output = Output::file(out, options)?;
    let mut exported = Exported::new("graphml", out, snapshot);
    let file = || Error::io(out, "cannot write the GraphML file");
    let document = Document::of(snapshot, selection, symmetric);
    let estimate = document.estimate().map_err(file())?;
    if estimate > LARGE {
        tracing::warn!(
            "the file will have about {} MB; programs that read GraphML hold all of it in memory: select with --types and \
             --relations, or export Parquet",
            estimate / 1_000_000
        );
    }
    let nodes = selection.types.iter().map(|&id| u64::from(snapshot.node_count(id)));
    let edges = selection.relations.iter().map(|&id| snapshot.edge_count(id));
    let bar = progress::bar("graphml", nodes.sum::<u64>() + edges.sum::<u64>(), "nodes and edges", options.quiet);
    let sink = BufWriter::with_capacity(1 << 20, File::create(output.path()).map_err(file())?);
    let mut sink = document.write(sink, &bar).map_err(file())?;
    sink.flush().map_err(file())?;
    bar.finish_and_clear();
    for &id in &selection.types {
        exported.part(snapshot.schema().node(id).name.clone(), snapshot.node_count(id).into());
    }
    for &id in &selection.relations {
        exported.part(snapshot.schema().relation_title(id), snapshot.edge_count(id));
    }
    if document.is_mixed() {
        exported.notes.push(
            "directed and undirected edges stand side by side, which networkx does not read: `--symmetric both` is for it"
                .to_owned(),
        );
    }
    if document.replaced.get() > 0 {
        exported.notes.push(format!("{} characters that XML cannot hold became U+FFFD", document.replaced.get()));
    }
    exported.bytes = output.publish(snapshot)?;
    Ok(exported)
}

/// About how many bytes the file will have.
#[cfg(test)]
pub(super) fn estimate(snapshot: &Snapshot, selection: &Selection, symmetric: SymmetricEdges) -> u64 {
    Document::of(snapshot, selection, symmetric).estimate().expect("it writes to memory")
}

/// Where a value of GraphML belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Domain {
    Node,
    Edge,
}

/// A `key` element: its id, domain, name and type.
struct Key {
    id: String,
    domain: Domain,
    name: String,
    kind: &'static str,
}

struct Document<'s> {
    snapshot: &'s Snapshot,
    selection: &'s Selection,
    symmetric: SymmetricEdges,
    keys: Vec<Key>,
    /// By node type, then attribute, then part of the attribute, the place in `keys`.
    node_keys: BTreeMap<(NodeTypeId, AttributeId), Vec<usize>>,
    edge_keys: BTreeMap<(RelationId, AttributeId), usize>,
    /// The names of the codes of edge categories.
    edge_names: BTreeMap<(RelationId, AttributeId), Vec<&'s str>>,
    /// Characters that XML cannot hold, so far.
    replaced: Cell<u64>,
}

/// Places in `keys` of what every node has (type, key, label) and every edge (relation).
const TYPE: usize = 0;
const KEY: usize = 1;
const LABEL: usize = 2;
const RELATION: usize = 3;
/// Names that attributes of nodes and of edges cannot have; networkx takes an edge's `key` and `id` for its own.
const TAKEN: [(Domain, &[&str]); 2] =
    [(Domain::Node, &["type", "key", "label", "id"]), (Domain::Edge, &["relation", "key", "id"])];

impl<'s> Document<'s> {
    fn of(snapshot: &'s Snapshot, selection: &'s Selection, symmetric: SymmetricEdges) -> Self {
        let mut document = Self {
            snapshot,
            selection,
            symmetric,
            keys: Vec::new(),
            node_keys: BTreeMap::new(),
            edge_keys: BTreeMap::new(),
            edge_names: BTreeMap::new(),
            replaced: Cell::new(0),
        };
        for name in ["type", "key", "label"] {
            document.add_key(Domain::Node, name.to_owned(), "string");
        }
        document.add_key(Domain::Edge, "relation".to_owned(), "string");
        document.add_attributes();
        document
    }

    fn add_key(&mut self, domain: Domain, name: String, kind: &'static str) -> usize {
        let known = |key: &Key| key.domain == domain && key.name == name && key.kind == kind;
        if let Some(at) = self.keys.iter().position(known) {
            return at;
        }
        self.keys.push(Key { id: format!("d{}", self.keys.len()), domain, name, kind });
        self.keys.len() - 1
    }

    fn add_attributes(&mut self) {
        let schema = self.snapshot.schema();
        let mut kinds: BTreeMap<(Domain, &str), BTreeSet<&str>> = BTreeMap::new();
        let of_nodes = self.selection.types.iter().flat_map(|&id| &schema.node(id).attributes);
        let of_edges = self.selection.relations.iter().map(|&id| (id, &schema.edge(id).attributes));
        for attribute in of_nodes {
            kinds.entry((Domain::Node, &attribute.name)).or_default().insert(node_kind(attribute));
        }
        for (relation, attributes) in of_edges {
            for (id, attribute) in (0..).map(AttributeId).zip(attributes) {
                kinds.entry((Domain::Edge, &attribute.name)).or_default().insert(self.edge_kind(relation, id, attribute));
            }
        }
        let shown = |domain: Domain, owner: &str, name: &str| {
            let taken = TAKEN.iter().any(|(place, names)| *place == domain && names.contains(&name));
            let several = kinds.get(&(domain, name)).is_some_and(|kinds| kinds.len() > 1);
            if taken || several { format!("{owner}.{name}") } else { name.to_owned() }
        };
        for &node_type in &self.selection.types {
            let owner = schema.node(node_type);
            for (id, attribute) in (0..).map(AttributeId).zip(&owner.attributes) {
                let name = shown(Domain::Node, &owner.name, &attribute.name);
                let keys = match attribute.kind {
                    AttributeKind::Interval => INTERVAL
                        .into_iter()
                        .zip(["string", "long", "long", "string"])
                        .map(|(part, kind)| self.add_key(Domain::Node, format!("{name}.{part}"), kind))
                        .collect(),
                    _ => vec![self.add_key(Domain::Node, name, node_kind(attribute))],
                };
                self.node_keys.insert((node_type, id), keys);
            }
        }
        for &relation in &self.selection.relations {
            for (id, attribute) in (0..).map(AttributeId).zip(&schema.edge(relation).attributes) {
                let name = shown(Domain::Edge, &schema.edge(relation).name, &attribute.name);
                let key = self.add_key(Domain::Edge, name, self.edge_kind(relation, id, attribute));
                self.edge_keys.insert((relation, id), key);
                self.edge_names.insert((relation, id), self.snapshot.edge_categories(relation, id));
            }
        }
    }

    /// Counts are whole unless a matrix of something else was read into them.
    fn edge_kind(&self, relation: RelationId, id: AttributeId, attribute: &Attribute) -> &'static str {
        let is_whole = || match self.snapshot.edge_column(relation, Direction::Outgoing, id) {
            EdgeColumn::Number(numbers) => numbers.iter().all(|number| number.is_nan() || number.fract() == 0.0),
            EdgeColumn::Category(_) => false,
        };
        match attribute.kind {
            AttributeKind::Boolean => "boolean",
            AttributeKind::Time => "long",
            AttributeKind::Count if is_whole() => "long",
            AttributeKind::Number | AttributeKind::Count => "float",
            _ => "string",
        }
    }

    fn is_undirected(&self, relation: RelationId) -> bool {
        self.symmetric == SymmetricEdges::Undirected && self.snapshot.schema().edge(relation).symmetric
    }

    /// Whether a file without an edge of the other kind is undirected as a whole.
    fn all_undirected(&self) -> bool {
        !self.selection.relations.is_empty() && self.selection.relations.iter().all(|&id| self.is_undirected(id))
    }

    fn is_mixed(&self) -> bool {
        !self.all_undirected() && self.selection.relations.iter().any(|&id| self.is_undirected(id))
    }

    /// About how many bytes the file will have: some nodes and edges of each type are written to nowhere.
    fn estimate(&self) -> io::Result<u64> {
        let mut bytes = 0.0;
        for &node_type in &self.selection.types {
            let count = self.snapshot.node_count(node_type);
            let mut page = Page::to(Vec::new());
            let step = count.div_ceil(SAMPLE).max(1);
            let sample = (0..count).step_by(step as usize);
            let written = sample.len();
            sample.into_iter().try_for_each(|node| self.write_node(&mut page, node_type, node))?;
            bytes += page.into_inner().len() as f64 / written.max(1) as f64 * f64::from(count);
        }
        for &relation in &self.selection.relations {
            let edge = self.snapshot.schema().edge(relation);
            let adjacency = self.snapshot.adjacency(relation, Direction::Outgoing);
            let mut page = Page::to(Vec::new());
            let mut written = 0;
            let step = self.snapshot.node_count(edge.source).div_ceil(SAMPLE).max(1);
            for source in (0..self.snapshot.node_count(edge.source)).step_by(step as usize) {
                if let Some(position) = adjacency.range(source).next() {
                    self.write_edge(&mut page, relation, [source, adjacency.targets[position]], position)?;
                    written += 1;
                }
            }
            let times = if edge.symmetric && !self.is_undirected(relation) { 2.0 } else { 1.0 };
            bytes +=
                times * page.into_inner().len() as f64 / f64::from(written.max(1)) * self.snapshot.edge_count(relation) as f64;
        }
        self.replaced.set(0);
        Ok(bytes as u64)
    }

    fn write<W: Write>(&self, sink: W, bar: &ProgressBar) -> io::Result<W> {
        let mut page = Page::to(sink);
        page.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        page.line()?;
        page.open("graphml", &[("xmlns", "http://graphml.graphdrawing.org/xmlns")])?;
        page.line()?;
        for key in &self.keys {
            let domain = if key.domain == Domain::Node { "node" } else { "edge" };
            let attributes = [("id", key.id.as_str()), ("for", domain), ("attr.name", &key.name), ("attr.type", key.kind)];
            page.empty("key", &attributes)?;
            page.line()?;
        }
        let default = if self.all_undirected() { "undirected" } else { "directed" };
        page.open("graph", &[("id", self.snapshot.id().as_str()), ("edgedefault", default)])?;
        page.line()?;
        for &node_type in &self.selection.types {
            for node in 0..self.snapshot.node_count(node_type) {
                self.write_node(&mut page, node_type, node)?;
                bar.inc(1);
            }
        }
        for &relation in &self.selection.relations {
            self.write_edges(&mut page, relation, bar)?;
        }
        page.close("graph")?;
        page.line()?;
        page.close("graphml")?;
        page.line()?;
        Ok(page.into_inner())
    }

    fn write_node<W: Write>(&self, page: &mut Page<W>, node_type: NodeTypeId, node: u32) -> io::Result<()> {
        let owner = self.snapshot.schema().node(node_type);
        page.open("node", &[("id", &self.node_id(node_type, node))])?;
        self.data(page, TYPE, &owner.name)?;
        self.data(page, KEY, self.snapshot.key(node_type, node))?;
        self.data(page, LABEL, self.snapshot.label(node_type, node))?;
        for at in (0..owner.attributes.len() as u16).map(AttributeId) {
            let (Some(value), Some(keys)) = (self.snapshot.value(node_type, at, node), self.node_keys.get(&(node_type, at)))
            else {
                continue;
            };
            for (&key, text) in keys.iter().zip(shown(&value)) {
                self.data(page, key, &text)?;
            }
        }
        page.close("node")?;
        page.line()
    }

    fn write_edges<W: Write>(&self, page: &mut Page<W>, relation: RelationId, bar: &ProgressBar) -> io::Result<()> {
        let both = self.symmetric == SymmetricEdges::Both && self.snapshot.schema().edge(relation).symmetric;
        each_batch(self.snapshot, relation, EDGES, |batch| {
            for ((&source, &target), &position) in batch.sources.iter().zip(&batch.targets).zip(&batch.positions) {
                self.write_edge(page, relation, [source, target], position)?;
                if both && source != target {
                    self.write_edge(page, relation, [target, source], position)?;
                }
            }
            bar.inc(batch.sources.len() as u64);
            Ok(())
        })
    }

    fn write_edge<W: Write>(
        &self,
        page: &mut Page<W>,
        relation: RelationId,
        [source, target]: [u32; 2],
        position: usize,
    ) -> io::Result<()> {
        let edge = self.snapshot.schema().edge(relation);
        let (source, target) = (self.node_id(edge.source, source), self.node_id(edge.target, target));
        let mut attributes = vec![("source", source.as_str()), ("target", target.as_str())];
        if self.is_undirected(relation) && !self.all_undirected() {
            attributes.push(("directed", "false"));
        }
        page.open("edge", &attributes)?;
        self.data(page, RELATION, &edge.name)?;
        for (id, attribute) in (0..).map(AttributeId).zip(&edge.attributes) {
            let text = self.edge_value(relation, id, attribute.kind, position);
            if let (Some(text), Some(&key)) = (text, self.edge_keys.get(&(relation, id))) {
                self.data(page, key, &text)?;
            }
        }
        page.close("edge")?;
        page.line()
    }

    fn edge_value(&self, relation: RelationId, id: AttributeId, kind: AttributeKind, position: usize) -> Option<String> {
        if kind == AttributeKind::Time {
            let adjacency = self.snapshot.adjacency(relation, Direction::Outgoing);
            return time(&adjacency, position).map(|time| time.to_string());
        }
        match self.snapshot.edge_column(relation, Direction::Outgoing, id) {
            EdgeColumn::Number(numbers) => {
                let number = numbers.get(position).copied().filter(|number| !number.is_nan())?;
                Some(if kind == AttributeKind::Boolean { (number != 0.0).to_string() } else { number.to_string() })
            }
            EdgeColumn::Category(codes) => {
                let code = codes.get(position).copied().filter(|&code| code != u32::MAX)?;
                self.edge_names.get(&(relation, id))?.get(code as usize).map(|&name| name.to_owned())
            }
        }
    }

    /// `type:key`, with what XML cannot hold as URLs write it.
    fn node_id(&self, node_type: NodeTypeId, node: u32) -> String {
        let mut id = format!("{}:", self.snapshot.schema().node(node_type).name);
        for letter in self.snapshot.key(node_type, node).chars() {
            // Tabs and ends of lines would become spaces in an attribute.
            if letter == '%' || letter.is_ascii_control() || !fits_xml(letter) {
                letter.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| id.push_str(&format!("%{byte:02X}")));
            } else {
                id.push(letter);
            }
        }
        id
    }

    fn data<W: Write>(&self, page: &mut Page<W>, key: usize, text: &str) -> io::Result<()> {
        let bad = text.chars().filter(|&letter| !fits_xml(letter)).count();
        self.replaced.set(self.replaced.get() + bad as u64);
        let text = match bad {
            0 => Cow::Borrowed(text),
            _ => text.chars().map(|letter| if fits_xml(letter) { letter } else { '\u{FFFD}' }).collect(),
        };
        page.element("data", ("key", &self.keys[key].id), &text)
    }
}

/// The production `Char` of XML 1.0.
fn fits_xml(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r') || (letter >= ' ' && letter != '\u{FFFE}' && letter != '\u{FFFF}')
}

fn node_kind(attribute: &Attribute) -> &'static str {
    match attribute.kind {
        AttributeKind::Number => "double",
        AttributeKind::Count | AttributeKind::Time => "long",
        AttributeKind::Boolean => "boolean",
        _ => "string",
    }
}

/// A value's texts: four of an interval, else one.
fn shown(value: &Value) -> Vec<String> {
    match value {
        Value::Number(number) => vec![number.to_string()],
        Value::Count(count) => vec![count.to_string()],
        Value::Time(time) => vec![time.to_string()],
        Value::Boolean(truth) => vec![truth.to_string()],
        Value::Category(text) | Value::Text(text) | Value::Sequence(text) => vec![text.clone()],
        Value::Interval(interval) => {
            let places = [interval.start().to_string(), interval.end().to_string(), interval.strand().symbol().to_string()];
            std::iter::once(interval.contig().to_owned()).chain(places).collect()
        }
        Value::Vector(numbers) => {
            let mut text = String::new();
            for (at, number) in numbers.iter().enumerate() {
                let space = if at == 0 { "" } else { " " };
                write!(text, "{space}{number}").expect("a String takes every text");
            }
            vec![text]
        }
    }
}

/// Elements, one line for each that stands for something.
struct Page<W: Write> {
    writer: Writer<W>,
}

impl<W: Write> Page<W> {
    fn to(sink: W) -> Self {
        Self { writer: Writer::new(sink) }
    }

    fn into_inner(self) -> W {
        self.writer.into_inner()
    }

    fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        self.writer.write_event(event)
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.event(Event::Start(BytesStart::new(name).with_attributes(attributes.iter().copied())))
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.event(Event::Empty(BytesStart::new(name).with_attributes(attributes.iter().copied())))
    }

    fn close(&mut self, name: &str) -> io::Result<()> {
        self.event(Event::End(BytesEnd::new(name)))
    }

    fn element(&mut self, name: &str, attribute: (&str, &str), text: &str) -> io::Result<()> {
        self.open(name, &[attribute])?;
        let mut text = escape(text);
        if text.contains('\r') {
            // A reader takes a bare one for an end of line.
            text = Cow::Owned(text.replace('\r', "&#13;"));
        }
        self.event(Event::Text(BytesText::from_escaped(text)))?;
        self.close(name)
    }

    fn line(&mut self) -> io::Result<()> {
        self.writer.get_mut().write_all(b"\n")
    }
}
