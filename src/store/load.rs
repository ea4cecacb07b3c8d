use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use relata_schema::{AttributeId, AttributeKind, EdgeValue, NodeTypeId, RelationId, Schema, SourceRecord, Tally, Value};

use super::Store;
use super::commit::{Commit, Source};
use super::dictionary::{self, Owner};
use super::edit::DATASET as EDITS;
use super::engine::Tree;
use super::fits;
use super::key::Run;
use super::names::Names;
use super::nodes::NodeSet;
use super::segment::{self, Segment, Written};
use super::staging::{self, Columns, SEGMENT_BYTES, Staging};
use super::writing::Writing;
use crate::disk::sync_folder;
use crate::snapshot::EdgeColumn;
use crate::{Error, Result};

/// Edges of one relation, as columns of equal length.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeBatch<'a> {
    /// Source nodes.
    pub sources: &'a [u32],
    /// Target nodes.
    pub targets: &'a [u32],
    /// In the unit of the relation's time attribute; `i64::MIN` is missing. Empty where no edge has a time.
    pub times: &'a [i64],
    /// One an attribute of the relation, in its order; an empty one is missing throughout, as is that of the time.
    pub attributes: &'a [EdgeColumn<'a>],
}

/// Settings of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Memory for edges and values that wait to be written, in bytes (1 GiB by default, at most 32 GiB are used); reading
    /// waits where it is used up. A source of any size loads, in segments of 64 MiB, or of half this memory where that is
    /// less. An edge with one attribute takes 16 bytes.
    pub staging_bytes: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { staging_bytes: 1 << 30 }
    }
}

/// A load under way: the sources of one manifest, one after another.
pub struct Load<'s> {
    store: &'s mut Store,
    options: LoadOptions,
    schema: Schema,
    /// The keys of each node type, committed ones and this load's, once they are asked for.
    nodes: Vec<OnceLock<Names>>,
    /// The same of edge categories.
    categories: BTreeMap<(RelationId, AttributeId), Names>,
    /// By node type, what the committed sources name that this load does not replace, once it is asked for.
    committed: Vec<OnceLock<NodeSet>>,
    /// By node type, what this load's sources name so far.
    named: Vec<NodeSet>,
    /// Data set and name of all that the load kept, began or removed.
    mentioned: BTreeSet<(String, String)>,
    /// What the load kept and brought, in its order.
    listed: Vec<Listed>,
    /// Places in the commit record of what the load removes.
    removed: Vec<usize>,
    current: Option<Current>,
    /// Whether the commit sees that a snapshot fits the disk as well.
    snapshot_follows: bool,
    spare: Arc<Columns>,
    /// The segments that it has begun so far.
    writing: Writing,
    next_segment: u32,
    /// Whether the segments are the commit's by now.
    handed_over: bool,
}

enum Listed {
    /// The place in the commit record.
    Kept(usize),
    Brought {
        records: Vec<SourceRecord>,
        /// Numbers of its segments, in the order in which they were begun.
        segments: Vec<u32>,
        /// The place in the commit record of what it replaces.
        replaces: Option<usize>,
    },
}

/// The source that is being read.
struct Current {
    dataset: String,
    name: String,
    replaces: Option<usize>,
    staging: Staging,
    /// By node type.
    named: Vec<NodeSet>,
    /// Numbers of its segments so far.
    segments: Vec<u32>,
    edges: u64,
    values: u64,
}

impl<'s> Load<'s> {
    pub(super) fn new(store: &'s mut Store, schema: Schema, options: LoadOptions) -> Result<Self> {
        // Places among the staged edges have 32 bits, and an edge takes at least 12 bytes.
        let options = LoadOptions { staging_bytes: options.staging_bytes.min(32 << 30) };
        let types = schema.node_types().len();
        let next_segment = store.commit.next_segment;
        Ok(Self {
            store,
            options,
            nodes: (0..types).map(|_| OnceLock::new()).collect(),
            categories: BTreeMap::new(),
            committed: (0..types).map(|_| OnceLock::new()).collect(),
            named: vec![NodeSet::default(); types],
            schema,
            mentioned: BTreeSet::new(),
            listed: Vec::new(),
            removed: Vec::new(),
            current: None,
            snapshot_follows: true,
            spare: Arc::default(),
            writing: Writing::default(),
            next_segment,
            handed_over: false,
        })
    }

    /// The schema that the store will have: what it had, and what the load adds. Use its ids.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// No snapshot follows soon: the commit does not ask for its room on the disk then.
    pub fn without_snapshot(&mut self) {
        self.snapshot_follows = false;
    }

    /// The committed sources.
    pub fn sources(&self) -> &[SourceRecord] {
        self.store.sources()
    }

    /// Whether a committed source with this data set, name and fingerprint exists, so that it need not be read again.
    pub fn is_current(&self, dataset: &str, name: &str, fingerprint: &str) -> bool {
        let record = self.store.commit.sources.iter().find_map(|source| source.record(dataset, name));
        record.is_some_and(|record| record.fingerprint == fingerprint)
    }

    /// Sees that these sources (data set and name) can be brought anew in one load, before anything is read: of those that a
    /// repair put together either none or all. What people had edited before the repair is a part of them, goes with them, and
    /// is returned.
    ///
    /// # Errors
    /// When only some of those that belong together are among them.
    pub fn expect_replaceable(&self, brought: &[(&str, &str)]) -> Result<Vec<&SourceRecord>> {
        let mut edits = Vec::new();
        for source in self.store.commit.sources.iter().filter(|source| source.records.len() > 1) {
            let is_brought = |record: &&SourceRecord| brought.contains(&(&*record.dataset, &*record.name));
            let Some(first) = source.records.iter().find(is_brought) else { continue };
            let (own, loaded): (Vec<_>, Vec<_>) = source.records.iter().partition(|record| record.dataset == EDITS);
            if let Some(missing) = loaded.into_iter().find(|record| !is_brought(record)) {
                let found = format!(
                    "`{}` of `{}` anew without `{}` of `{}`, with which a repair put it together",
                    first.name, first.dataset, missing.name, missing.dataset
                );
                let remedy = if missing.dataset == first.dataset {
                    "`relata-load run MANIFEST.toml --store STORE --again` reads every source of the manifest"
                } else {
                    "load the manifests of all of them into a new store"
                };
                return Err(Error::setting("source", found, format!("all of them in one load: {remedy}")));
            }
            edits.extend(own);
        }
        Ok(edits)
    }

    /// Keeps such a source as it is in this load. A source of the store that is neither kept nor begun stays too, but
    /// before those of the load: where two set the same attribute of a node, the load's wins. Sources that a repair put
    /// together are one: keeping any keeps all.
    ///
    /// # Errors
    /// When there is no such source, or the load names it twice.
    pub fn keep(&mut self, dataset: &str, name: &str) -> Result<()> {
        self.expect_new(dataset, name)?;
        let at = self.place(dataset, name).ok_or_else(|| unknown_source(dataset, name))?;
        self.mention(dataset, name);
        if !self.listed.iter().any(|listed| matches!(listed, Listed::Kept(kept) if *kept == at)) {
            self.listed.push(Listed::Kept(at));
        }
        Ok(())
    }

    /// Removes a committed source and all that only it brought.
    ///
    /// # Errors
    /// When there is no such source, or the load keeps or replaces it.
    pub fn remove(&mut self, dataset: &str, name: &str) -> Result<()> {
        self.expect_new(dataset, name)?;
        let at = self.place(dataset, name).ok_or_else(|| unknown_source(dataset, name))?;
        self.mention(dataset, name);
        self.removed.push(at);
        self.forget_committed();
        Ok(())
    }

    /// Begins a source: what follows belongs to it, and replaces what a committed source of the same data set and name
    /// brought.
    ///
    /// # Errors
    /// When another source has not ended yet, or the load names this one twice.
    pub fn begin_source(&mut self, dataset: &str, name: &str) -> Result<()> {
        if let Some(current) = &self.current {
            return Err(not_ended(current));
        }
        self.expect_new(dataset, name)?;
        self.mention(dataset, name);
        let replaces = self.place(dataset, name);
        if replaces.is_some() {
            self.forget_committed();
        }
        self.current = Some(Current {
            dataset: dataset.to_owned(),
            name: name.to_owned(),
            replaces,
            staging: Staging::with(Arc::clone(&self.spare)),
            named: vec![NodeSet::default(); self.schema.node_types().len()],
            segments: Vec::new(),
            edges: 0,
            values: 0,
        });
        Ok(())
    }

    /// The node with this key, made if there is none. Ids are stable for this store. The source names it by this, and by
    /// [`edge`](Self::edge) and [`set`](Self::set).
    ///
    /// # Errors
    /// For an empty or much too long key, or 2^32 − 1 nodes of the type.
    pub fn node(&mut self, node_type: NodeTypeId, key: &str) -> Result<u32> {
        fits::key(&self.schema, node_type, key)?;
        self.names(node_type)?;
        let names = self.nodes[node_type.index()].get_mut().expect("the line above reads them");
        let node = names.number(key, || format!("keys of {}", self.schema.node(node_type).name))?;
        self.name(node_type, node)?;
        Ok(node)
    }

    /// The node with this key, if a source of this load or a committed one that it does not replace has it, or an edit, and no
    /// edit deletes it. Asking does not make the source name it.
    ///
    /// # Errors
    /// When the store is damaged.
    pub fn find(&self, node_type: NodeTypeId, key: &str) -> Result<Option<u32>> {
        let Some(node) = self.names(node_type)?.find(key) else { return Ok(None) };
        Ok(self.sees(node_type, node)?.then_some(node))
    }

    /// All keys of a type that this load can see, by node: committed sources that it does not replace, its own so far, and
    /// what edits make of them.
    ///
    /// # Errors
    /// When the store is damaged.
    pub fn keys(&self, node_type: NodeTypeId) -> Result<Vec<(u32, String)>> {
        let names = self.names(node_type)?;
        let mut own = self.named[node_type.index()].clone();
        if let Some(current) = &self.current {
            own.extend(&current.named[node_type.index()]);
        }
        let mut seen = self.committed(node_type)?.clone();
        seen.extend(&self.store.unhidden(node_type, own)?);
        Ok(seen.iter().map(|node| (node, names.get(node).to_owned())).collect())
    }

    /// All values of a text or category attribute that this load can see, by node; of several sources' the last, and
    /// above them the edits'.
    ///
    /// # Errors
    /// When the store is damaged, or the attribute holds no text.
    pub fn texts(&self, node_type: NodeTypeId, attribute: AttributeId) -> Result<Vec<(u32, String)>> {
        let kind = fits::attribute_kind(&self.schema, node_type, attribute)?;
        if !matches!(kind, AttributeKind::Text | AttributeKind::Category) {
            return Err(Error::setting("attribute", format!("one that holds {kind}"), "one that holds text"));
        }
        let overlay = self.store.overlay()?;
        let mut texts = BTreeMap::new();
        let mut read = |segment: &Segment| -> Result<()> {
            for block in segment.run(Run::Column { node_type, attribute }) {
                texts.extend(segment.column(block, &self.schema)?.into_iter().filter_map(text));
            }
            Ok(())
        };
        let committed = |at: usize| &self.store.commit.sources[at].segments;
        for entry in self.untouched().flat_map(committed) {
            read(&*self.store.segment(entry)?)?;
        }
        for listed in &self.listed {
            match listed {
                Listed::Kept(at) => committed(*at).iter().try_for_each(|entry| read(&*self.store.segment(entry)?))?,
                Listed::Brought { segments, .. } => {
                    segments.iter().try_for_each(|&number| read(&self.own_segment(number)?))?;
                }
            }
        }
        if let Some(current) = &self.current {
            current.segments.iter().try_for_each(|&number| read(&self.own_segment(number)?))?;
            texts.extend(current.staging.values(node_type, attribute).iter().cloned().filter_map(text));
        }
        texts.retain(|&node, _| !overlay.hides_value(0, node_type, attribute, node));
        for (edit, layer) in self.store.commit.edits.iter().zip(1..) {
            let segment = self.store.segment(&edit.segment)?;
            for block in segment.run(Run::Column { node_type, attribute }) {
                let rows = segment.column(block, &self.schema)?.into_iter();
                let rows = rows.filter(|row| !overlay.hides_value(layer, node_type, attribute, row.0));
                texts.extend(rows.filter_map(text));
            }
        }
        Ok(texts.into_iter().collect())
    }

    /// Sets an attribute. Within a load the last source wins; a later one overrides an earlier one.
    ///
    /// # Errors
    /// For a value of another kind than the attribute's, a number that is not finite, or an unknown node.
    pub fn set(&mut self, node_type: NodeTypeId, node: u32, attribute: AttributeId, value: Value) -> Result<()> {
        fits::value(&self.schema, node_type, attribute, &value)?;
        self.name(node_type, node)?;
        let current = self.current.as_mut().expect("`name` needs it too");
        current.staging.value(node_type, node, attribute, value);
        current.values += 1;
        self.spill_when_full()
    }

    /// The code of a category's name, for [`EdgeValue::Category`].
    ///
    /// # Errors
    /// When the attribute is no category.
    pub fn category(&mut self, relation: RelationId, attribute: AttributeId, name: &str) -> Result<u32> {
        fits::category(&self.schema, relation, attribute, name)?;
        self.store.category(&mut self.categories, relation, attribute, name)
    }

    /// Adds an edge. `time` is that of the relation's time attribute; `attributes` holds one value an attribute of the
    /// relation, in its order (`Missing` at the place of the time; NaN is missing). Parallel edges are kept.
    ///
    /// # Errors
    /// For an unknown node or category, a value of another kind than its attribute's, or an infinite number.
    pub fn edge(
        &mut self,
        relation: RelationId,
        source: u32,
        target: u32,
        time: Option<i64>,
        attributes: &[EdgeValue],
    ) -> Result<()> {
        let categories = |at| self.categories.get(&(relation, at)).map_or(0, Names::len);
        fits::edge(&self.schema, relation, time, attributes, categories)?;
        let known = self.schema.edge(relation);
        let (near, far) = (known.source, known.target);
        self.name(near, source)?;
        self.name(far, target)?;
        let current = self.current.as_mut().expect("`name` needs it too");
        // Relations have few attributes; those of the built-in schema have at most five.
        let mut few = [0u32; 8];
        match few.get_mut(..attributes.len()) {
            Some(few) => {
                few.iter_mut().zip(attributes).for_each(|(bits, &value)| *bits = staging::bits(value));
                current.staging.edge(relation, source, target, time, few);
            }
            None => {
                let many: Vec<u32> = attributes.iter().map(|&value| staging::bits(value)).collect();
                current.staging.edge(relation, source, target, time, &many);
            }
        }
        current.edges += 1;
        self.spill_when_full()
    }

    /// Adds many edges of a relation at once: what [`edge`](Self::edge) does, column by column.
    ///
    /// # Errors
    /// As there, and when the columns differ in length; nothing of the batch is added then.
    pub fn edges(&mut self, relation: RelationId, batch: &EdgeBatch<'_>) -> Result<()> {
        let categories = |at| self.categories.get(&(relation, at)).map_or(0, Names::len);
        fits::batch(&self.schema, relation, batch, categories)?;
        let known = self.schema.edge(relation);
        let (near, far) = (known.source, known.target);
        self.name_all(near, batch.sources)?;
        self.name_all(far, batch.targets)?;
        let current = self.current.as_mut().expect("`name_all` needs it too");
        current.staging.edges(relation, batch);
        current.edges += batch.sources.len() as u64;
        self.spill_when_full()
    }

    /// Notes that the source names nodes.
    fn name_all(&mut self, node_type: NodeTypeId, nodes: &[u32]) -> Result<()> {
        let Some(&highest) = nodes.iter().max() else { return Ok(()) };
        self.name(node_type, highest)?;
        if let Some(current) = &mut self.current {
            let named = &mut current.named[node_type.index()];
            // What comes sorted by this end names a node many times over.
            let mut before = highest;
            for &node in nodes {
                if node != before {
                    named.insert(node);
                    before = node;
                }
            }
        }
        Ok(())
    }

    /// How many nodes the source that is being read has named so far.
    pub fn nodes_named(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.named.iter().map(|named| named.len() as u64).sum())
    }

    /// Ends the source: its blocks are written (not yet visible). The tally is the record's, with the nodes, edges and
    /// values (of node attributes) that the source brought.
    ///
    /// # Errors
    /// When no source was begun or it has another name, or the disk refuses.
    pub fn end_source(&mut self, mut record: SourceRecord) -> Result<Tally> {
        record.tally.nodes = self.nodes_named();
        let current = self.end_current(&record)?;
        record.tally.edges = current.edges;
        record.tally.values = current.values;
        let tally = record.tally.clone();
        self.bring(current, vec![record]);
        Ok(tally)
    }

    /// Ends a source that several had brought before; their records stay as they are.
    pub(super) fn end_source_of(&mut self, records: Vec<SourceRecord>) -> Result<()> {
        let first = records.first().ok_or_else(|| Error::setting("source", "no record", "one or more"))?;
        let current = self.end_current(first)?;
        self.bring(current, records);
        Ok(())
    }

    fn end_current(&mut self, record: &SourceRecord) -> Result<Current> {
        let Some(current) = &self.current else {
            return Err(Error::setting("source", format!("the end of `{}`", record.name), "a source that was begun"));
        };
        if (&record.dataset, &record.name) != (&current.dataset, &current.name) {
            return Err(Error::setting(
                "source",
                format!("the end of `{}` of `{}`", record.name, record.dataset),
                format!("that of `{}` of `{}`", current.name, current.dataset),
            ));
        }
        self.write_segment(true)?;
        Ok(self.current.take().expect("it is there above"))
    }

    fn bring(&mut self, current: Current, records: Vec<SourceRecord>) {
        for (all, own) in self.named.iter_mut().zip(&current.named) {
            all.extend(own);
        }
        self.listed.push(Listed::Brought { records, segments: current.segments, replaces: current.replaces });
    }

    /// Makes the whole load visible, durably, at once. One that only kept what is there, with no new schema, writes nothing.
    ///
    /// # Errors
    /// When a source has not ended, or the disk refuses: the store is as it was then.
    pub fn commit(mut self) -> Result<()> {
        if let Some(current) = &self.current {
            return Err(not_ended(current));
        }
        let brought = self.listed.iter().any(|listed| matches!(listed, Listed::Brought { .. }));
        if !brought && self.removed.is_empty() && self.schema == self.store.commit.schema {
            return Ok(());
        }
        self.expect_together()?;
        let commit = self.prepare()?;
        self.handed_over = true;
        self.store.make_current(commit)
    }

    /// Writes all that the next commit record names, durably, and returns that record.
    fn prepare(&mut self) -> Result<Commit> {
        let written = self.written()?;
        let indexed: usize = written.iter().map(|written| segment::index_bytes(&written.blocks)).sum();
        let names: usize = self.nodes.iter().filter_map(OnceLock::get).chain(self.categories.values()).map(Names::bytes).sum();
        let snapshot = if self.snapshot_follows { self.snapshot_bytes(&written) } else { 0 };
        self.store.expect_space(indexed + names, snapshot)?;
        for written in &written {
            self.store.engine.put(Tree::Blocks, segment::index_pages(written.entry.number, &written.blocks))?;
        }
        let nodes = (0u16..).zip(&self.nodes).filter_map(|(at, names)| Some((Owner::Nodes(NodeTypeId(at)), names.get()?)));
        let categories = self.categories.iter().map(|(&(relation, at), names)| (Owner::Categories(relation, at), names));
        let committed = &self.store.commit.dictionaries;
        let dictionaries = dictionary::append_all(&self.store.engine, committed, nodes.chain(categories))?;
        sync_folder(&segment::folder(&self.store.path))?;
        self.store.engine.flush()?;
        let before = &self.store.commit;
        let untouched = self.untouched().map(|at| before.sources[at].clone());
        let listed = self.listed.iter().map(|listed| match listed {
            Listed::Kept(at) => Ok(before.sources[*at].clone()),
            Listed::Brought { records, segments, .. } => {
                let segments = segments.iter().map(|&number| Ok(self.writing.written(number)?.entry.clone()));
                Ok(Source { records: records.clone(), segments: segments.collect::<Result<_>>()? })
            }
        });
        Ok(Commit {
            sequence: before.sequence + 1,
            next_segment: self.next_segment,
            schema: self.schema.clone(),
            sources: untouched.map(Ok).chain(listed).collect::<Result<_>>()?,
            edits: before.edits.clone(),
            dictionaries,
        })
    }

    /// An upper bound of what a snapshot of the commit takes, nearly always: see its file format for the sizes.
    fn snapshot_bytes(&self, written: &[Arc<Written>]) -> u64 {
        let kept = self.listed.iter().filter_map(|listed| match listed {
            Listed::Kept(at) => Some(*at),
            Listed::Brought { .. } => None,
        });
        let committed = self.untouched().chain(kept).flat_map(|at| &self.store.commit.sources[at].segments);
        let brought = written.iter().map(|written| &written.entry);
        let edits = self.store.commit.edits.iter().map(|edit| &edit.segment);
        let mut bytes = 0;
        for entry in committed.chain(brought).chain(edits) {
            // Texts are as long there as here.
            bytes += entry.bytes;
            for known in &entry.edges {
                let widths = self.schema.edge(known.relation).attributes.iter().map(|attribute| match attribute.kind {
                    AttributeKind::Time => 8,
                    _ => 4,
                });
                bytes += 2 * known.edges * (4 + widths.sum::<u64>());
            }
        }
        for node_type in self.schema.node_type_ids() {
            let committed = self.store.dictionary(Owner::Nodes(node_type)).map_or(0, |entry| entry.count);
            let nodes = self.nodes[node_type.index()].get().map_or(committed, Names::len);
            let relations = self.schema.relations().iter().filter(|one| one.source == node_type || one.target == node_type);
            // Keys, their order, a value of each attribute, and where the edges of each relation begin.
            bytes += u64::from(nodes) * 8 * (4 + self.schema.node(node_type).attributes.len() + 2 * relations.count()) as u64;
        }
        bytes
    }

    /// Places of the committed sources that this load neither keeps, replaces nor removes.
    fn untouched(&self) -> impl Iterator<Item = usize> {
        (0..self.store.commit.sources.len()).filter(|at| {
            let listed = self.listed.iter().any(|listed| match listed {
                Listed::Kept(kept) => kept == at,
                Listed::Brought { replaces, .. } => replaces.as_ref() == Some(at),
            });
            let current = self.current.as_ref().is_some_and(|current| current.replaces.as_ref() == Some(at));
            !listed && !current && !self.removed.contains(at)
        })
    }

    /// The place of a committed source.
    fn place(&self, dataset: &str, name: &str) -> Option<usize> {
        self.store.commit.sources.iter().position(|source| source.is(dataset, name))
    }

    fn expect_new(&self, dataset: &str, name: &str) -> Result<()> {
        if self.mentioned.contains(&(dataset.to_owned(), name.to_owned())) {
            return Err(Error::setting("source", format!("`{name}` of `{dataset}` twice"), "each source once in a load"));
        }
        Ok(())
    }

    fn mention(&mut self, dataset: &str, name: &str) {
        self.mentioned.insert((dataset.to_owned(), name.to_owned()));
    }

    /// Sources that a repair put together are replaced or removed together, or not at all.
    fn expect_together(&self) -> Result<()> {
        let gone = |at: usize| {
            let replaced =
                |listed: &Listed| matches!(listed, Listed::Brought { replaces: Some(replaced), .. } if *replaced == at);
            self.removed.contains(&at) || self.listed.iter().any(replaced)
        };
        for (at, source) in self.store.commit.sources.iter().enumerate().filter(|&(at, _)| gone(at)) {
            let is_kept = self.listed.iter().any(|listed| matches!(listed, Listed::Kept(kept) if *kept == at));
            let mentioned = |record: &&SourceRecord| self.mentioned.contains(&(record.dataset.clone(), record.name.clone()));
            let all: Vec<(&str, &str)> =
                source.records.iter().filter(mentioned).map(|record| (&*record.dataset, &*record.name)).collect();
            self.expect_replaceable(&all)?;
            if is_kept {
                let found = format!("`{}` of `{}` kept and replaced in part", all[0].1, all[0].0);
                return Err(Error::setting("source", found, "sources that a repair put together all kept, or all anew"));
            }
        }
        Ok(())
    }

    /// What the committed sources name changes with what the load replaces.
    fn forget_committed(&mut self) {
        self.committed.iter_mut().for_each(|named| drop(named.take()));
    }

    fn names(&self, node_type: NodeTypeId) -> Result<&Names> {
        fits::type_name(&self.schema, node_type)?;
        let cell = &self.nodes[node_type.index()];
        match cell.get() {
            Some(names) => Ok(names),
            None => {
                let names = self.store.read_names(Owner::Nodes(node_type))?;
                Ok(cell.get_or_init(|| names))
            }
        }
    }

    fn committed(&self, node_type: NodeTypeId) -> Result<&NodeSet> {
        let cell = &self.committed[node_type.index()];
        match cell.get() {
            Some(named) => Ok(named),
            None => {
                let kept = self.listed.iter().filter_map(|listed| match listed {
                    Listed::Kept(at) => Some(*at),
                    Listed::Brought { .. } => None,
                });
                let sources = self.untouched().chain(kept).map(|at| &self.store.commit.sources[at]);
                let mut named = self.store.unhidden(node_type, self.store.named(node_type, sources)?)?;
                named.extend(&self.store.named_by_edits(node_type)?);
                Ok(cell.get_or_init(|| named))
            }
        }
    }

    fn sees(&self, node_type: NodeTypeId, node: u32) -> Result<bool> {
        let at = node_type.index();
        let own = self.named[at].contains(node) || self.current.as_ref().is_some_and(|current| current.named[at].contains(node));
        let own = own && !self.store.overlay()?.hides_node(0, node_type, node);
        Ok(own || self.committed(node_type)?.contains(node))
    }

    /// Notes that the source names a node.
    fn name(&mut self, node_type: NodeTypeId, node: u32) -> Result<()> {
        let at = node_type.index();
        match &mut self.current {
            None => Err(Error::setting("source", "a node, value or edge", "`Load::begin_source` before it")),
            Some(current) if current.named.get(at).is_some_and(|named| named.contains(node)) => Ok(()),
            Some(_) => {
                let known = self.names(node_type)?.len();
                if node >= known {
                    let expected = format!("one that `Load::node` or `Load::find` gave, below {known}");
                    return Err(Error::setting(
                        format!("node of type {}", fits::type_name(&self.schema, node_type)?),
                        node.to_string(),
                        expected,
                    ));
                }
                if let Some(current) = &mut self.current {
                    current.named[at].insert(node);
                }
                Ok(())
            }
        }
    }

    fn spill_when_full(&mut self) -> Result<()> {
        match &self.current {
            // At most half, because what was staged before may still be written.
            Some(current) if current.staging.bytes() >= SEGMENT_BYTES.min(self.options.staging_bytes / 2) => {
                self.write_segment(false)
            }
            _ => Ok(()),
        }
    }

    /// All segments of the load, by number.
    fn written(&self) -> Result<Vec<Arc<Written>>> {
        let segments = self.listed.iter().flat_map(|listed| match listed {
            Listed::Brought { segments, .. } => segments.as_slice(),
            Listed::Kept(_) => &[],
        });
        segments.map(|&number| self.writing.written(number)).collect()
    }

    /// A segment of the load, open.
    fn own_segment(&self, number: u32) -> Result<Segment> {
        let written = self.writing.written(number)?;
        Segment::with_blocks(&self.store.path, &written.entry, written.blocks.clone())
    }

    /// Begins to write what is staged as a segment; the last one of a source also lists the nodes that it names.
    fn write_segment(&mut self, last: bool) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.staging.is_empty() && !last {
            return Ok(());
        }
        let number = self.next_segment;
        self.next_segment = segment::after(number)?;
        current.segments.push(number);
        let named = last.then(|| current.named.clone());
        let allowed = self.options.staging_bytes / 2;
        let staged = std::mem::replace(&mut current.staging, Staging::with(Arc::clone(&self.spare)));
        self.writing.begin(&self.store.path, number, staged, named, allowed)
    }
}

/// A load that was not committed takes its segments with it.
impl Drop for Load<'_> {
    fn drop(&mut self) {
        if self.handed_over {
            return;
        }
        self.writing.abandon();
        for number in self.store.commit.next_segment..self.next_segment {
            if let Err(error) = segment::remove(&self.store.path, &self.store.engine, number) {
                // The next load tries again.
                tracing::warn!("{error}");
            }
        }
    }
}

fn text((node, value): (u32, Value)) -> Option<(u32, String)> {
    match value {
        Value::Text(text) | Value::Category(text) => Some((node, text)),
        _ => None,
    }
}

fn unknown_source(dataset: &str, name: &str) -> Error {
    Error::setting("source", format!("`{name}` of `{dataset}`"), "a source that the store has")
}

fn not_ended(current: &Current) -> Error {
    let found = format!("`{}` of `{}`, which was begun", current.name, current.dataset);
    Error::setting("source", found, "its end (`Load::end_source`) before anything else")
}
