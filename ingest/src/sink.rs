use std::collections::HashMap;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use relata::store::{EdgeBatch, Load};
use relata_schema::{AttributeId, Drop, EdgeValue, NodeTypeId, RelationId, Schema, Tally, Value};

use crate::identity::{Match, Resolver};
use crate::known::Known;
use crate::{At, Error, Input, Result, Unmatched};

/// How many examples a report shows of each reason.
const EXAMPLES: usize = 5;

/// Where a [`Sink`]'s nodes and edges go: a store's load, or nowhere ([`DryBackend`]).
pub trait Backend {
    /// The schema whose ids are used.
    fn schema(&self) -> &Schema;
    /// The node with this key, made if there is none.
    fn node(&mut self, node_type: NodeTypeId, key: &str) -> Result<u32>;
    /// The node with exactly this key.
    fn find(&self, node_type: NodeTypeId, key: &str) -> Result<Option<u32>>;
    /// All keys of a type.
    fn keys(&self, node_type: NodeTypeId) -> Result<Vec<(u32, String)>>;
    /// All values of a text attribute.
    fn texts(&self, node_type: NodeTypeId, attribute: AttributeId) -> Result<Vec<(u32, String)>>;
    /// Sets an attribute.
    fn set(&mut self, node_type: NodeTypeId, node: u32, attribute: AttributeId, value: Value) -> Result<()>;
    /// The code of an edge category's name.
    fn category(&mut self, relation: RelationId, attribute: AttributeId, name: &str) -> Result<u32>;
    /// Adds an edge.
    fn edge(&mut self, relation: RelationId, source: u32, target: u32, time: Option<i64>, values: &[EdgeValue]) -> Result<()>;
    /// Adds many edges of one relation.
    fn edges(&mut self, relation: RelationId, batch: &EdgeBatch<'_>) -> Result<()>;
    /// How many nodes the source brought, or a value of them or an edge at them. Asked once, at its end.
    fn nodes_named(&mut self) -> u64;
}

impl Backend for Load<'_> {
    fn schema(&self) -> &Schema {
        Load::schema(self)
    }

    fn node(&mut self, node_type: NodeTypeId, key: &str) -> Result<u32> {
        Ok(Load::node(self, node_type, key)?)
    }

    fn find(&self, node_type: NodeTypeId, key: &str) -> Result<Option<u32>> {
        Ok(Load::find(self, node_type, key)?)
    }

    fn keys(&self, node_type: NodeTypeId) -> Result<Vec<(u32, String)>> {
        Ok(Load::keys(self, node_type)?)
    }

    fn texts(&self, node_type: NodeTypeId, attribute: AttributeId) -> Result<Vec<(u32, String)>> {
        Ok(Load::texts(self, node_type, attribute)?)
    }

    fn set(&mut self, node_type: NodeTypeId, node: u32, attribute: AttributeId, value: Value) -> Result<()> {
        Ok(Load::set(self, node_type, node, attribute, value)?)
    }

    fn category(&mut self, relation: RelationId, attribute: AttributeId, name: &str) -> Result<u32> {
        Ok(Load::category(self, relation, attribute, name)?)
    }

    fn edge(&mut self, relation: RelationId, source: u32, target: u32, time: Option<i64>, values: &[EdgeValue]) -> Result<()> {
        Ok(Load::edge(self, relation, source, target, time, values)?)
    }

    fn edges(&mut self, relation: RelationId, batch: &EdgeBatch<'_>) -> Result<()> {
        Ok(Load::edges(self, relation, batch)?)
    }

    fn nodes_named(&mut self) -> u64 {
        Load::nodes_named(self)
    }
}

/// Keeps names only, for [`plan`](crate::plan).
pub struct DryBackend {
    schema: Schema,
    nodes: Vec<HashMap<String, u32>>,
    /// By node type, then node: whether the source named it.
    named: Vec<Vec<bool>>,
    texts: HashMap<(NodeTypeId, AttributeId), Vec<(u32, String)>>,
    categories: HashMap<(RelationId, AttributeId), HashMap<String, u32>>,
}

impl DryBackend {
    /// For a schema.
    pub fn new(schema: Schema) -> Self {
        let nodes = schema.node_types().iter().map(|_| HashMap::new()).collect();
        let named = vec![Vec::new(); schema.node_types().len()];
        Self { schema, nodes, named, texts: HashMap::new(), categories: HashMap::new() }
    }

    fn name(&mut self, node_type: NodeTypeId, nodes: &[u32]) {
        let named = &mut self.named[node_type.index()];
        for &node in nodes {
            if named.len() <= node as usize {
                named.resize(node as usize + 1, false);
            }
            named[node as usize] = true;
        }
    }

    fn name_ends(&mut self, relation: RelationId, sources: &[u32], targets: &[u32]) {
        let edge = self.schema.edge(relation);
        let (near, far) = (edge.source, edge.target);
        self.name(near, sources);
        self.name(far, targets);
    }
}

impl Backend for DryBackend {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn node(&mut self, node_type: NodeTypeId, key: &str) -> Result<u32> {
        let nodes = &mut self.nodes[node_type.index()];
        let node = match nodes.get(key) {
            Some(&node) => node,
            None => {
                let node = nodes.len() as u32;
                nodes.insert(key.to_owned(), node);
                node
            }
        };
        self.name(node_type, &[node]);
        Ok(node)
    }

    fn find(&self, node_type: NodeTypeId, key: &str) -> Result<Option<u32>> {
        Ok(self.nodes[node_type.index()].get(key).copied())
    }

    fn keys(&self, node_type: NodeTypeId) -> Result<Vec<(u32, String)>> {
        Ok(self.nodes[node_type.index()].iter().map(|(key, &node)| (node, key.clone())).collect())
    }

    fn texts(&self, node_type: NodeTypeId, attribute: AttributeId) -> Result<Vec<(u32, String)>> {
        Ok(self.texts.get(&(node_type, attribute)).cloned().unwrap_or_default())
    }

    fn set(&mut self, node_type: NodeTypeId, node: u32, attribute: AttributeId, value: Value) -> Result<()> {
        if let Value::Text(text) = value
            && self.schema.node(node_type).identifiers.contains(&attribute)
        {
            self.texts.entry((node_type, attribute)).or_default().push((node, text));
        }
        self.name(node_type, &[node]);
        Ok(())
    }

    fn category(&mut self, relation: RelationId, attribute: AttributeId, name: &str) -> Result<u32> {
        let names = self.categories.entry((relation, attribute)).or_default();
        let next = names.len() as u32;
        Ok(*names.entry(name.to_owned()).or_insert(next))
    }

    fn edge(&mut self, relation: RelationId, source: u32, target: u32, _: Option<i64>, _: &[EdgeValue]) -> Result<()> {
        self.name_ends(relation, &[source], &[target]);
        Ok(())
    }

    fn edges(&mut self, relation: RelationId, batch: &EdgeBatch<'_>) -> Result<()> {
        self.name_ends(relation, batch.sources, batch.targets);
        Ok(())
    }

    fn nodes_named(&mut self) -> u64 {
        let named = self.named.iter_mut().flat_map(std::mem::take);
        named.filter(|&is_named| is_named).count() as u64
    }
}

/// What a format's reader calls while it goes through one source: it resolves names, applies the manifest's word on what
/// does not match, and counts everything.
pub struct Sink<'a> {
    backend: &'a mut dyn Backend,
    resolvers: &'a mut HashMap<NodeTypeId, Resolver>,
    path: PathBuf,
    unmatched: Unmatched,
    tally: Tally,
    drops: HashMap<String, usize>,
    bar: ProgressBar,
}

impl<'a> Sink<'a> {
    /// For one source. `resolvers` go from source to source of a load.
    pub fn new(
        backend: &'a mut dyn Backend,
        resolvers: &'a mut HashMap<NodeTypeId, Resolver>,
        path: &Path,
        unmatched: Unmatched,
        bar: ProgressBar,
    ) -> Self {
        Self { backend, resolvers, path: path.to_owned(), unmatched, tally: Tally::default(), drops: HashMap::new(), bar }
    }

    /// The schema whose ids are used.
    pub fn schema(&self) -> &Schema {
        self.backend.schema()
    }

    /// The counts so far, and no more calls.
    pub fn finish(mut self) -> Tally {
        self.bar.finish();
        self.tally.nodes = self.backend.nodes_named();
        self.tally
    }

    /// Shows how far the source is read, in bytes of its file.
    pub fn progress(&self, input: &Input) {
        self.bar.set_position(input.position());
    }

    /// Shows how far the source is read, as a share of its entries.
    pub fn progress_share(&self, done: u64, of: u64) {
        let bytes = self.bar.length().unwrap_or_default();
        self.bar.set_position((bytes as f64 * (done as f64 / of.max(1) as f64)) as u64);
    }

    /// Counts rows that the file holds.
    pub fn read(&mut self, rows: u64) {
        self.tally.read += rows;
    }

    /// Counts rows that reached the graph.
    pub fn kept(&mut self, rows: u64) {
        self.tally.kept += rows;
    }

    /// Counts something that did not reach the graph.
    pub fn drop(&mut self, reason: &str, example: &str) {
        self.drop_many(reason, 1, example);
    }

    /// Counts several at once, of which one is shown.
    pub fn drop_many(&mut self, reason: &str, count: u64, example: &str) {
        let at = match self.drops.get(reason) {
            Some(&at) => at,
            None => {
                self.tally.drops.push(Drop { reason: reason.to_owned(), count: 0, examples: Vec::new() });
                self.drops.insert(reason.to_owned(), self.tally.drops.len() - 1);
                self.tally.drops.len() - 1
            }
        };
        let drop = &mut self.tally.drops[at];
        drop.count += count;
        if drop.examples.len() < EXAMPLES && !example.is_empty() && !drop.examples.iter().any(|known| known == example) {
            drop.examples.push(example.to_owned());
        }
    }

    /// The node with this key, made if there is none.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn node(&mut self, node_type: NodeTypeId, key: &str) -> Result<u32> {
        let node = self.backend.node(node_type, key)?;
        if let Some(resolver) = self.resolvers.get_mut(&node_type) {
            resolver.add_key(key, node);
        }
        Ok(node)
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn set(&mut self, node_type: NodeTypeId, node: u32, attribute: AttributeId, value: Value) -> Result<()> {
        if let Value::Text(text) = &value {
            let place = self.backend.schema().node(node_type).identifiers.iter().position(|&known| known == attribute);
            if let (Some(place), Some(resolver)) = (place, self.resolvers.get_mut(&node_type)) {
                resolver.add_identifiers(text, place as u16, attribute, node);
            }
        }
        self.tally.values += 1;
        self.backend.set(node_type, node, attribute, value)
    }

    /// The code of an edge category's name.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn category(&mut self, relation: RelationId, attribute: AttributeId, name: &str) -> Result<u32> {
        self.backend.category(relation, attribute, name)
    }

    /// Adds an edge.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn edge(
        &mut self,
        relation: RelationId,
        source: u32,
        target: u32,
        time: Option<i64>,
        values: &[EdgeValue],
    ) -> Result<()> {
        self.tally.edges += 1;
        self.backend.edge(relation, source, target, time, values)
    }

    /// Adds many edges of one relation.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn edges(&mut self, relation: RelationId, batch: &EdgeBatch<'_>) -> Result<()> {
        self.tally.edges += batch.sources.len() as u64;
        self.backend.edges(relation, batch)
    }

    /// A number that changes whenever nodes of a type get names, once names are looked up in it.
    pub(crate) fn names_state(&self, node_type: NodeTypeId) -> u64 {
        self.resolvers.get(&node_type).map_or(0, Resolver::state)
    }

    /// What earlier sources found integers to name; see [`Resolver::take_integers`].
    pub(crate) fn take_integers(&mut self, node_type: NodeTypeId, only: Option<AttributeId>) -> Known {
        self.resolvers.get_mut(&node_type).map_or_else(Known::default, |resolver| resolver.take_integers(only))
    }

    /// For later sources.
    pub(crate) fn keep_integers(&mut self, node_type: NodeTypeId, only: Option<AttributeId>, integers: Known) {
        if let Some(resolver) = self.resolvers.get_mut(&node_type) {
            resolver.keep_integers(only, integers);
        }
    }

    /// What `text` names among the nodes of a type, without counting.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn find(&mut self, node_type: NodeTypeId, text: &str, only: Option<AttributeId>) -> Result<Match> {
        let resolver = self.resolvers.entry(node_type).or_default();
        if !resolver.is_filled() {
            // A key that is spelt exactly so goes before every other name.
            if only.is_none()
                && let Some(node) = self.backend.find(node_type, text.trim())?
            {
                return Ok(Match::Node(node));
            }
            resolver.fill(self.backend.keys(node_type)?);
            for (place, &attribute) in self.backend.schema().node(node_type).identifiers.iter().enumerate() {
                for (node, text) in self.backend.texts(node_type, attribute)? {
                    resolver.add_identifiers(&text, place as u16, attribute, node);
                }
            }
        }
        Ok(resolver.find(text, only))
    }

    /// The node with exactly this key, without counting.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn find_key(&self, node_type: NodeTypeId, key: &str) -> Result<Option<u32>> {
        self.backend.find(node_type, key)
    }

    /// The node that `text` names, by the manifest's word on what does not match (`unmatched`, or the source's): `None`
    /// where it is skipped and counted.
    ///
    /// # Errors
    /// Where the manifest says `fail`; the place and the file are named.
    pub fn link(
        &mut self,
        node_type: NodeTypeId,
        text: &str,
        only: Option<AttributeId>,
        unmatched: Option<Unmatched>,
        at: At,
    ) -> Result<Option<u32>> {
        match self.resolve(node_type, text, only, unmatched, at)? {
            Ok(node) => Ok(Some(node)),
            Err(reason) => {
                self.drop(&reason, text.trim());
                Ok(None)
            }
        }
    }

    /// As [`link`](Self::link), but where the text names no node, the reason comes back and nothing is counted: for a
    /// matrix, in which a name stands once and counts as often as it has entries.
    ///
    /// # Errors
    /// As there.
    pub fn resolve(
        &mut self,
        node_type: NodeTypeId,
        text: &str,
        only: Option<AttributeId>,
        unmatched: Option<Unmatched>,
        at: At,
    ) -> Result<Result<u32, String>> {
        let found = self.find(node_type, text, only)?;
        if let Match::Node(node) = found {
            return Ok(Ok(node));
        }
        let name = self.schema().node(node_type).name.clone();
        let what = match only {
            Some(attribute) => self.schema().node(node_type).attributes[attribute.index()].name.clone(),
            None => "key or name".to_owned(),
        };
        match (unmatched.unwrap_or(self.unmatched), found) {
            (Unmatched::Make, Match::Nothing) => {
                self.drop(&format!("{name} made, since none had this {what}"), text.trim());
                self.node(node_type, text.trim()).map(Ok)
            }
            (Unmatched::Fail, found) => {
                let problem = match found {
                    Match::Ambiguous(count) => format!("`{text}` is the {what} of {count} nodes of type {name}, expected one"),
                    _ => format!("no {name} has the {what} `{text}`"),
                };
                let remedy = "load it first, or set `unmatched = \"skip\"` or `\"make\"` in this source";
                let message = format!("{problem}; {remedy}");
                Err(Error::at(&self.path, at, &name, message))
            }
            (_, Match::Ambiguous(_)) => Ok(Err(format!("several {name}s have this {what}, so none is taken"))),
            _ => Ok(Err(format!("no {name} has this {what}"))),
        }
    }
}
