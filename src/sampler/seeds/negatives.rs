//! Pairs of nodes that are no edges, to learn from beside those that are.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;
use relata_schema::{AttributeId, Direction, NodeTypeId, RelationId};
use serde::{Deserialize, Serialize};

use super::classes::{ClassColumn, Grouped};
use crate::sampler::random::{Key, Random};
use crate::snapshot::{Adjacency, Snapshot};
use crate::{Error, Result};

/// Candidates that are drawn for a negative before all are gone through: of nodes of which a tenth will do, one in a thousand
/// negatives is left over then.
const TRIES: usize = 64;

/// How negatives are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NegativeConfig {
    /// The relation whose edges are the positives.
    pub relation: RelationId,
    /// Negatives for each positive.
    pub per_positive: u32,
    /// Which end of a positive is replaced.
    pub corrupt: Corrupt,
    /// How likely a node is to replace it.
    pub by: EndWeight,
    /// A category or boolean attribute: an end is replaced only by nodes that have its value, or none where it has none. So the
    /// attribute does not give away which pair is the edge. Each end that is replaced must have one of this name.
    pub alike: Option<String>,
    /// Other negatives for another seed.
    pub seed: u64,
}

/// Which end of a positive is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corrupt {
    /// The source.
    Source,
    /// The target. The default: a source is asked for its targets.
    #[default]
    Target,
    /// Either, by a toss for each negative; the other where all that could replace this one are edges.
    Either,
}

/// How likely a node is to replace an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EndWeight {
    /// As any other.
    #[default]
    Uniform,
    /// In proportion to a power of how many edges of the relation it has as this end. A node without any is never drawn
    /// (unless the power is 0).
    Degree {
        /// Finite and not negative.
        power: f64,
    },
}

impl EndWeight {
    /// ¾, found best by Mikolov et al., "Distributed representations of words and phrases and their compositionality", NeurIPS
    /// 2013, section 2.2: a negative that is as popular as the edge's end is harder, but the most popular are not all.
    pub const WORD2VEC: Self = Self::Degree { power: 0.75 };
}

impl NegativeConfig {
    /// One negative for each positive: another target, any with the same probability.
    pub fn new(relation: RelationId) -> Self {
        let (corrupt, by) = (Corrupt::default(), EndWeight::default());
        Self { relation, per_positive: 1, corrupt, by, alike: None, seed: 0 }
    }
}

/// Draws negatives for positives, each by replacing an end.
///
/// **Invariants:**
/// * A negative is no edge of the relation, whenever that was: what comes after a cutoff is no negative before it. Of a symmetric
///   relation, it is none in either order. It is not the positive, which need not be an edge. It is no loop, unless
///   the relation has some.
/// * Negatives of a positive are drawn independently, so one may come twice. Each has exactly the distribution that
///   [`NegativeConfig`] says, among those that are no edges.
/// * They depend on the snapshot, the configuration, the positive and the draw alone: not on the other positives, nor on the
///   number of threads.
///
/// **Cost.** A candidate is looked for among the edges of that end that has fewer: by bisection, or where edges have times and
/// stand in their order, by going through them. Where 64 candidates in a row are edges, all are gone through once. Memory, once:
/// for each end that is replaced 8 bytes a node of its type if weighted, 4 if alike. In a draw, only what that scan of all
/// needs: a copy of a node's neighbours, where edges have times.
///
/// ```
/// use relata::sampler::{NegativeConfig, Negatives};
/// # use relata::snapshot::{EdgeData, Snapshot, SnapshotWriter};
/// # use relata_schema::Schema;
/// # let folder = tempfile::tempdir()?;
/// # let schema = Schema::biology();
/// # let mut writer = SnapshotWriter::create(folder.path(), &schema)?;
/// # let (cell, gene) = (schema.node_type("cell")?, schema.node_type("gene")?);
/// # writer.nodes(cell, &["AAAC"].map(String::from))?;
/// # writer.nodes(gene, &["CD4", "CD8A", "MS4A1"].map(String::from))?;
/// # let edges = EdgeData { sources: vec![0, 0], targets: vec![0, 1], ..EdgeData::default() };
/// # writer.relation(schema.relation("expresses")?, &edges)?;
/// # writer.publish(&[])?;
/// # let snapshot = Snapshot::current(folder.path())?;
/// // The only cell expresses the first two of three genes.
/// let expresses = snapshot.schema().relation("expresses")?;
/// let negatives = Negatives::new(&snapshot, NegativeConfig { per_positive: 2, ..NegativeConfig::new(expresses) })?;
/// assert_eq!(negatives.draw(&[(0, 1)], 0)?, [[(0, 2), (0, 2)]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Negatives {
    snapshot: Snapshot,
    config: NegativeConfig,
    /// The source, then the target, where it may be replaced.
    ends: [Option<End>; 2],
    /// Whether a pair of a node with itself is refused.
    refuses_loops: bool,
    key: Key,
}

/// An end that may be replaced.
#[derive(Clone)]
struct End {
    node_type: NodeTypeId,
    /// From the other end to this one.
    direction: Direction,
    count: u32,
    alike: Option<Alike>,
    /// Sums of the weights of the candidates up to each, in the order of their places; empty where they are all alike.
    sums: Vec<f64>,
}

/// Candidates by class. The last class is those without a value.
#[derive(Clone)]
struct Alike {
    attribute: AttributeId,
    /// How many values there are.
    values: u32,
    grouped: Grouped,
}

impl Negatives {
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) names what cannot be: a relation that the schema does not have, no negatives, a
    /// power that is no weight, an attribute that an end does not have.
    pub fn new(snapshot: &Snapshot, config: NegativeConfig) -> Result<Self> {
        let schema = snapshot.schema();
        let Some(relation) = schema.relations().get(config.relation.index()) else {
            let expected = format!("below {}, the number of relations of the schema", schema.relations().len());
            return Err(Error::setting("negatives.relation", format!("relation number {}", config.relation.0), expected));
        };
        if config.per_positive == 0 {
            return Err(Error::setting("negatives.per_positive", "0", "at least 1"));
        }
        let end = |other: Corrupt, direction| {
            if config.corrupt == other { Ok(None) } else { End::new(snapshot, &config, direction).map(Some) }
        };
        let ends = [end(Corrupt::Target, Direction::Incoming)?, end(Corrupt::Source, Direction::Outgoing)?];
        let refuses_loops = relation.source == relation.target && !has_loops(snapshot, config.relation);
        let key = Key::new("relata negatives", config.seed);
        Ok(Self { snapshot: snapshot.clone(), config, ends, refuses_loops, key })
    }

    /// How they are drawn.
    pub fn config(&self) -> &NegativeConfig {
        &self.config
    }

    /// For each positive, a source and a target, as many negatives as the configuration says, each a source and a target too;
    /// **none** where every candidate is an edge. Others for another `draw`, such as an epoch's number. A positive that is there
    /// twice has the same negatives twice.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a node that the snapshot does not have.
    pub fn draw(&self, positives: &[(u32, u32)], draw: u64) -> Result<Vec<Vec<(u32, u32)>>> {
        let relation = self.snapshot.schema().edge(self.config.relation);
        let counts = [relation.source, relation.target].map(|node_type| (node_type, self.snapshot.node_count(node_type)));
        for &(source, target) in positives {
            for (node, (node_type, count)) in [source, target].into_iter().zip(counts) {
                if node >= count {
                    let found = format!("node {node} of {}", self.snapshot.schema().node(node_type).name);
                    return Err(Error::setting("positives", found, format!("below {count}, the number of its nodes")));
                }
            }
        }
        let candidates = self.ends.each_ref().map(|end| end.as_ref().map(|end| Candidates::new(self, end)));
        let key = self.key.with(draw);
        let one = |&(source, target): &(u32, u32)| {
            let mut random = key.with(u64::from(source) << 32 | u64::from(target)).random();
            self.one(&candidates, (source, target), &mut random)
        };
        Ok(positives.par_iter().map(one).collect())
    }

    fn one(&self, ends: &[Option<Candidates<'_>>; 2], (source, target): (u32, u32), random: &mut Random) -> Vec<(u32, u32)> {
        let wanted = self.config.per_positive as usize;
        let sources = |wanted: usize, random: &mut Random| {
            let found = ends[0].as_ref().map(|end| end.draw((target, source), wanted, random)).unwrap_or_default();
            found.into_iter().map(|source| (source, target)).collect::<Vec<_>>()
        };
        let targets = |wanted: usize, random: &mut Random| {
            let found = ends[1].as_ref().map(|end| end.draw((source, target), wanted, random)).unwrap_or_default();
            found.into_iter().map(|target| (source, target)).collect::<Vec<_>>()
        };
        match self.config.corrupt {
            Corrupt::Source => sources(wanted, random),
            Corrupt::Target => targets(wanted, random),
            Corrupt::Either => {
                let tosses: Vec<bool> = (0..wanted).map(|_| random.below(2) == 1).collect();
                let heads = tosses.iter().filter(|&&toss| toss).count();
                let first = sources(wanted - heads, random);
                if first.len() < wanted - heads {
                    return targets(wanted, random);
                }
                let second = targets(heads, random);
                if second.len() < heads {
                    return sources(wanted, random);
                }
                let (mut first, mut second) = (first.into_iter(), second.into_iter());
                tosses.into_iter().filter_map(|toss| if toss { second.next() } else { first.next() }).collect()
            }
        }
    }
}

fn has_loops(snapshot: &Snapshot, relation: RelationId) -> bool {
    let rows = snapshot.adjacency(relation, Direction::Outgoing);
    let count = snapshot.node_count(snapshot.schema().edge(relation).source);
    (0..count).into_par_iter().any(|node| is_among(&rows, node, node))
}

/// Whether a node's neighbours have another among them.
fn is_among(rows: &Adjacency<'_>, node: u32, other: u32) -> bool {
    let row = rows.neighbors(node);
    // Without times, they are in the order of their numbers.
    if rows.times.is_empty() { row.binary_search(&other).is_ok() } else { row.contains(&other) }
}

impl End {
    fn new(snapshot: &Snapshot, config: &NegativeConfig, direction: Direction) -> Result<Self> {
        let node_type = snapshot.schema().edge(config.relation).far(direction);
        let count = snapshot.node_count(node_type);
        let alike = match &config.alike {
            None => None,
            Some(name) => {
                let column = ClassColumn::of(snapshot, node_type, name, "negatives.alike")?;
                let class = |node| Some(column.class(node).unwrap_or(column.count));
                let grouped = Grouped::of(column.count + 1, count, class);
                Some(Alike { attribute: column.attribute, values: column.count, grouped })
            }
        };
        let mut end = Self { node_type, direction, count, alike, sums: Vec::new() };
        if let EndWeight::Degree { power } = config.by {
            let wrong = |found: String| Error::setting("negatives.by.power", found, "a finite number from 0");
            if !power.is_finite() || power < 0.0 {
                return Err(wrong(power.to_string()));
            }
            let rows = snapshot.adjacency(config.relation, direction.reverse());
            let mut sum = 0.0;
            end.sums = (0..count as usize)
                .map(|place| {
                    sum += (rows.degree(end.node(place)) as f64).powf(power);
                    sum
                })
                .collect();
            if !sum.is_finite() {
                return Err(wrong(format!("{power}, with which the weights are infinite")));
            }
        }
        Ok(end)
    }

    /// The candidate at a place.
    fn node(&self, place: usize) -> u32 {
        match &self.alike {
            Some(alike) => alike.grouped.all()[place],
            None => place as u32,
        }
    }

    /// The sum of the weights before a place.
    fn before(&self, place: usize) -> f64 {
        if place == 0 { 0.0 } else { self.sums[place - 1] }
    }

    fn weight(&self, place: usize) -> f64 {
        if self.sums.is_empty() { 1.0 } else { self.sums[place] - self.before(place) }
    }

    /// A place in a range that is not empty, with a probability in proportion to its weight; `None` where there is no weight, and
    /// rarely, where rounding leads out of the range.
    fn any(&self, places: &Range<usize>, random: &mut Random) -> Option<usize> {
        if self.sums.is_empty() {
            return Some(places.start + random.below(places.len() as u64) as usize);
        }
        let (low, high) = (self.before(places.start), self.before(places.end));
        let point = low + share(random) * (high - low);
        // The first whose sum is above: one of weight 0 has the sum of the one before.
        let place = places.start + self.sums[places.clone()].partition_point(|&sum| sum <= point);
        (place < places.end).then_some(place)
    }
}

/// A number from 0 to below 1.
fn share(random: &mut Random) -> f64 {
    (random.word() >> 11) as f64 / (1_u64 << 53) as f64
}

/// What replaces an end in one draw.
struct Candidates<'a> {
    end: &'a End,
    /// The edges of the end that stays.
    rows: Adjacency<'a>,
    /// Those of the end that is replaced.
    back: Adjacency<'a>,
    classes: Option<ClassColumn<'a>>,
    refuses_loops: bool,
}

impl<'a> Candidates<'a> {
    fn new(negatives: &'a Negatives, end: &'a End) -> Self {
        let Negatives { snapshot, config, refuses_loops, .. } = negatives;
        let read = |alike: &Alike| ClassColumn::read(snapshot, end.node_type, alike.attribute, alike.values);
        Self {
            end,
            rows: snapshot.adjacency(config.relation, end.direction),
            back: snapshot.adjacency(config.relation, end.direction.reverse()),
            classes: end.alike.as_ref().and_then(read),
            refuses_loops: *refuses_loops,
        }
    }

    /// As many as are wanted in place of `replaced`, or none where there is none.
    fn draw(&self, (stays, replaced): (u32, u32), wanted: usize, random: &mut Random) -> Vec<u32> {
        let places = match &self.end.alike {
            None => 0..self.end.count as usize,
            Some(alike) => {
                let class = self.classes.and_then(|classes| classes.class(replaced)).unwrap_or(alike.values);
                alike.grouped.range(class as usize)
            }
        };
        let mut found = Vec::new();
        // The end that is replaced is among them, so they are not empty.
        while found.len() < wanted {
            let mut tries = (0..TRIES).filter_map(|_| self.end.any(&places, random)).map(|place| self.end.node(place));
            match tries.find(|&node| self.may(stays, replaced, node)) {
                Some(node) => found.push(node),
                None => {
                    self.choose((stays, replaced), &places, wanted, random, &mut found);
                    break;
                }
            }
        }
        found
    }

    fn may(&self, stays: u32, replaced: u32, node: u32) -> bool {
        if node == replaced || (self.refuses_loops && node == stays) {
            return false;
        }
        let is_edge = if self.rows.degree(stays) <= self.back.degree(node) {
            is_among(&self.rows, stays, node)
        } else {
            is_among(&self.back, node, stays)
        };
        !is_edge
    }

    /// Goes on to as many as are wanted by going through all candidates: once to sum their weights, and once more to take those
    /// at points in the sum.
    fn choose(
        &self,
        (stays, replaced): (u32, u32),
        places: &Range<usize>,
        wanted: usize,
        random: &mut Random,
        found: &mut Vec<u32>,
    ) {
        let mut row = Cow::Borrowed(self.rows.neighbors(stays));
        if !self.rows.times.is_empty() {
            row.to_mut().sort_unstable();
        }
        let each = |visit: &mut dyn FnMut(u32, f64)| {
            // The candidates of a class ascend, and so do the neighbours.
            let mut edges = row.iter().copied().peekable();
            for place in places.clone() {
                let (node, weight) = (self.end.node(place), self.end.weight(place));
                while edges.next_if(|&edge| edge < node).is_some() {}
                let is_refused = node == replaced || (self.refuses_loops && node == stays) || edges.peek() == Some(&node);
                if weight > 0.0 && !is_refused {
                    visit(node, weight);
                }
            }
        };
        let (mut total, mut last) = (0.0, None);
        each(&mut |node, weight| {
            total += weight;
            last = Some(node);
        });
        // Where rounding leads behind the sum, it is the last one.
        let Some(last) = last else { return };
        let start = found.len();
        let mut points: Vec<(f64, usize)> = (start..wanted).map(|at| (share(random) * total, at)).collect();
        points.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        found.resize(wanted, last);
        let (mut sum, mut points) = (0.0, points.into_iter().peekable());
        each(&mut |node, weight| {
            sum += weight;
            while let Some((_, at)) = points.next_if(|&(point, _)| point < sum) {
                found[at] = node;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use relata_schema::{Schema, Value};

    use super::*;
    use crate::snapshot::{EdgeData, SnapshotWriter};

    const RELATION: RelationId = RelationId(0);

    /// One relation from the first type to the last, as a list of edges.
    #[derive(Clone, Debug)]
    struct Plain {
        /// Nodes of each type, one or two.
        counts: Vec<u32>,
        symmetric: bool,
        timed: bool,
        /// Source, target, time.
        edges: Vec<(u32, u32, i64)>,
    }

    impl Plain {
        fn new(counts: &[u32], edges: impl IntoIterator<Item = (u32, u32)>) -> Self {
            let edges = edges.into_iter().map(|(source, target)| (source, target, 0)).collect();
            Self { counts: counts.to_vec(), symmetric: false, timed: false, edges }
        }

        /// The kind of a node, in a pattern of a, a, b, missing.
        fn kind(node: u32) -> Option<&'static str> {
            [Some("a"), Some("a"), Some("b"), None][node as usize % 4]
        }

        fn write(&self, folder: &std::path::Path) -> Snapshot {
            let kind = "kind = { kind = \"category\" }";
            let nodes: String = (0..self.counts.len()).map(|at| format!("[node.t{at}.attributes]\n{kind}\n")).collect();
            let time = if self.timed { "attributes.time = { kind = \"time\" }" } else { "" };
            let (target, symmetric) = (self.counts.len() - 1, self.symmetric);
            let relation = format!("name = \"r\"\nsource = \"t0\"\ntarget = \"t{target}\"\nsymmetric = {symmetric}\n{time}");
            let schema = Schema::default().extended_by(&format!("{nodes}[[relation]]\n{relation}\n"), "plain.toml").unwrap();
            let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
            for (id, &count) in schema.node_type_ids().zip(&self.counts) {
                writer.nodes(id, &(0..count).map(|node| format!("{node:06}")).collect::<Vec<_>>()).unwrap();
                let kinds: Vec<_> =
                    (0..count).map(|node| Self::kind(node).map(|name| Value::Category(name.to_owned()))).collect();
                writer.column(id, schema.node_attribute(id, "kind").unwrap(), &kinds).unwrap();
            }
            let data = EdgeData {
                sources: self.edges.iter().map(|edge| edge.0).collect(),
                targets: self.edges.iter().map(|edge| edge.1).collect(),
                times: if self.timed { self.edges.iter().map(|edge| edge.2).collect() } else { Vec::new() },
                ..EdgeData::default()
            };
            writer.relation(RELATION, &data).unwrap();
            writer.publish(&[]).unwrap();
            Snapshot::current(folder).unwrap()
        }

        fn is_edge(&self, source: u32, target: u32) -> bool {
            let is_it = |&&(one, other, _): &&(u32, u32, i64)| {
                (one, other) == (source, target) || (self.symmetric && (other, one) == (source, target))
            };
            self.edges.iter().find(is_it).is_some()
        }

        /// Everything that may come for a positive, by the definition.
        fn negatives(&self, (source, target): (u32, u32), config: &NegativeConfig) -> BTreeSet<(u32, u32)> {
            let is_self = self.counts.len() == 1;
            let has_loops = self.edges.iter().any(|edge| edge.0 == edge.1);
            let degree = |node: u32, is_source: bool| {
                let has = |&&(one, other, _): &&(u32, u32, i64)| match self.symmetric {
                    true => one == node || other == node,
                    false => (if is_source { one } else { other }) == node,
                };
                self.edges.iter().filter(has).count()
            };
            let sources = (0..self.counts[0]).map(|node| ((node, target), node, source, true));
            let targets = (0..*self.counts.last().unwrap()).map(|node| ((source, node), node, target, false));
            let candidates = match config.corrupt {
                Corrupt::Source => sources.collect::<Vec<_>>(),
                Corrupt::Target => targets.collect(),
                Corrupt::Either => sources.chain(targets).collect(),
            };
            let may = |&(pair, node, replaced, is_source): &((u32, u32), u32, u32, bool)| {
                node != replaced
                    && !self.is_edge(pair.0, pair.1)
                    && !(is_self && !has_loops && pair.0 == pair.1)
                    && (config.alike.is_none() || Self::kind(node) == Self::kind(replaced))
                    && (config.by == EndWeight::Uniform || degree(node, is_source) > 0)
            };
            candidates.into_iter().filter(may).map(|(pair, ..)| pair).collect()
        }
    }

    fn config() -> NegativeConfig {
        NegativeConfig::new(RELATION)
    }

    /// How often each negative of a positive comes.
    fn counts(snapshot: &Snapshot, config: NegativeConfig, positive: (u32, u32), draws: u64) -> BTreeMap<(u32, u32), u64> {
        let negatives = Negatives::new(snapshot, config).unwrap();
        let mut counts = BTreeMap::new();
        for draw in 0..draws {
            negatives
                .draw(&[positive], draw)
                .unwrap()
                .concat()
                .into_iter()
                .for_each(|pair| *counts.entry(pair).or_insert(0) += 1);
        }
        counts
    }

    /// Compares counts with the shares that they should have.
    fn assert_shares(counts: &BTreeMap<(u32, u32), u64>, shares: &BTreeMap<(u32, u32), f64>, what: &str) {
        assert!(counts.keys().eq(shares.keys()), "{what}: {counts:?}, expected {shares:?}");
        let (drawn, whole) = (counts.values().sum::<u64>() as f64, shares.values().sum::<f64>());
        let expected = |pair: &(u32, u32)| shares[pair] * drawn / whole;
        let found: f64 = counts.iter().map(|(pair, &count)| (count as f64 - expected(pair)).powi(2) / expected(pair)).sum();
        let freedom = counts.len() as f64 - 1.0;
        // The cube root is nearly normal (Wilson and Hilferty, PNAS 17(12), 1931). Four deviations, for many cases are looked at.
        let variance = 2.0 / (9.0 * freedom);
        let deviations = ((found / freedom).cbrt() - (1.0 - variance)) / variance.sqrt();
        assert!(deviations.abs() < 4.0, "{what}: χ² {found}, expected about {freedom}");
    }

    #[test]
    fn every_pair_that_is_no_edge_is_equally_likely() {
        // Many candidates; few, so that most are drawn and some looked for; a relation within one type, where both ends change.
        let cases = [
            ("many", Plain::new(&[2, 40], (0..15).map(|target| (0, target * 2))), (0, 4), Corrupt::Target),
            ("few", Plain::new(&[2, 300], (0..292).map(|target| (0, target))), (0, 4), Corrupt::Target),
            ("sources", Plain::new(&[300, 2], (0..292).map(|source| (source, 1))), (4, 1), Corrupt::Source),
            ("no edge", Plain::new(&[2, 30], []), (0, 4), Corrupt::Target),
        ];
        for timed in [false, true] {
            for (name, plain, positive, corrupt) in &cases {
                let folder = tempfile::tempdir().unwrap();
                let plain = Plain { timed, ..plain.clone() };
                let snapshot = plain.write(folder.path());
                let config = NegativeConfig { per_positive: 5, corrupt: *corrupt, ..config() };
                let shares = plain.negatives(*positive, &config).into_iter().map(|pair| (pair, 1.0)).collect();
                assert_shares(&counts(&snapshot, config, *positive, 4_000), &shares, name);
            }
        }
    }

    #[test]
    fn either_end_is_replaced_by_a_toss() {
        let folder = tempfile::tempdir().unwrap();
        let plain = Plain::new(&[10, 40], (0..20).map(|at| (at % 10, at)));
        let snapshot = plain.write(folder.path());
        let config = NegativeConfig { per_positive: 5, corrupt: Corrupt::Either, ..config() };
        let all = plain.negatives((3, 13), &config);
        let sources = all.iter().filter(|pair| pair.1 == 13).count() as f64;
        let share = |pair: (u32, u32)| if pair.1 == 13 { 1.0 / sources } else { 1.0 / (all.len() as f64 - sources) };
        let shares = all.iter().map(|&pair| (pair, share(pair))).collect();
        assert_shares(&counts(&snapshot, config, (3, 13), 4_000), &shares, "either");
    }

    #[test]
    fn popular_nodes_come_as_often_as_their_degrees_say() {
        // Target k has k edges; source 0 has the targets that 3 divides, or in the dense case all but few.
        for dense in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let edges = (0..60_u32).flat_map(|target| (0..target).map(move |at| (1 + at, target)));
            let is_own = |target: &u32| if dense { target % 20 != 7 } else { target.is_multiple_of(3) };
            let own = (0..60).filter(is_own).map(|target| (0, target));
            let plain = Plain::new(&[80, 60], edges.chain(own));
            let snapshot = plain.write(folder.path());
            for power in [0.75, 1.0] {
                let config = NegativeConfig { per_positive: 5, by: EndWeight::Degree { power }, ..config() };
                let weight = |pair: (u32, u32)| (pair, f64::from(pair.1).powf(power));
                let shares = plain.negatives((0, 0), &config).into_iter().map(weight).collect();
                assert_shares(&counts(&snapshot, config.clone(), (0, 0), 10_000), &shares, "degree");
                let alike = NegativeConfig { alike: Some("kind".to_owned()), ..config };
                let shares = plain.negatives((0, 2), &alike).into_iter().map(weight).collect();
                if !dense {
                    assert_shares(&counts(&snapshot, alike, (0, 2), 10_000), &shares, "degree, alike");
                }
            }
            // With a power of 0, those without edges come as well.
            let config = NegativeConfig { by: EndWeight::Degree { power: 0.0 }, ..config() };
            let uniform = plain.negatives((0, 59), &NegativeConfig::new(RELATION));
            let shares = uniform.into_iter().map(|pair| (pair, 1.0)).collect();
            assert_shares(&counts(&snapshot, config, (0, 59), 10_000), &shares, "power 0");
        }
    }

    #[test]
    fn the_only_candidate_is_found_and_where_there_is_none_nothing_comes() {
        for timed in [false, true] {
            for hole in [0, 77, 499] {
                let folder = tempfile::tempdir().unwrap();
                let edges = (0..500).filter(|&target| target != hole).map(|target| (0, target));
                let plain = Plain { timed, ..Plain::new(&[2, 500], edges.chain((0..500).map(|target| (1, target)))) };
                let snapshot = plain.write(folder.path());
                for by in [EndWeight::Uniform, EndWeight::WORD2VEC] {
                    let config = NegativeConfig { per_positive: 3, by, ..config() };
                    let negatives = Negatives::new(&snapshot, config.clone()).unwrap();
                    for draw in 0..20 {
                        let found = negatives.draw(&[(0, 5), (1, 5), (0, hole)], draw).unwrap();
                        assert_eq!(found, [vec![(0, hole); 3], vec![], vec![]]);
                    }
                    // The other end is replaced where all candidates for one are edges.
                    let either = Negatives::new(&snapshot, NegativeConfig { corrupt: Corrupt::Either, ..config }).unwrap();
                    for draw in 0..20 {
                        let found = either.draw(&[(1, hole), (0, 5)], draw).unwrap();
                        assert_eq!(found, [vec![(0, hole); 3], vec![(0, hole); 3]]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_negative_depends_on_its_positive_and_the_draw_alone() {
        let folder = tempfile::tempdir().unwrap();
        let plain = Plain::new(&[50, 200], (0..2_000).map(|at| (at * 7 % 50, at * at % 200)));
        let snapshot = plain.write(folder.path());
        let config = NegativeConfig { per_positive: 4, corrupt: Corrupt::Either, by: EndWeight::WORD2VEC, seed: 3, ..config() };
        let negatives = Negatives::new(&snapshot, config.clone()).unwrap();
        let positives: Vec<(u32, u32)> = plain.edges.iter().map(|edge| (edge.0, edge.1)).collect();
        let expected = negatives.draw(&positives, 8).unwrap();
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| negatives.draw(&positives, 8)).unwrap(), expected);
        }
        assert_eq!(negatives.draw(&positives[77..78], 8).unwrap(), expected[77..78]);
        assert_ne!(negatives.draw(&positives, 9).unwrap(), expected);
        let other = Negatives::new(&snapshot, NegativeConfig { seed: 4, ..config }).unwrap();
        assert_ne!(other.draw(&positives, 8).unwrap(), expected);
        assert!(negatives.draw(&[], 8).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Plain::new(&[2, 3], [(0, 0)]).write(folder.path());
        let power = |power| NegativeConfig { by: EndWeight::Degree { power }, ..config() };
        let cases = [
            (NegativeConfig::new(RelationId(1)), "negatives.relation: found relation number 1, expected below 1"),
            (NegativeConfig { per_positive: 0, ..config() }, "negatives.per_positive: found 0, expected at least 1"),
            (power(-1.0), "negatives.by.power: found -1, expected a finite number from 0"),
            (power(f64::NAN), "negatives.by.power: found NaN"),
            (
                NegativeConfig { alike: Some("kidn".to_owned()), ..config() },
                "negatives.alike: found `kidn`; did you mean `kind`?",
            ),
        ];
        for (config, expected) in cases {
            let error = Negatives::new(&snapshot, config).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}, expected: {expected}");
        }
        let negatives = Negatives::new(&snapshot, config()).unwrap();
        let error = negatives.draw(&[(0, 0), (1, 3)], 0).unwrap_err().to_string();
        assert!(error.contains("positives: found node 3 of t1, expected below 3"), "{error}");
        assert!(negatives.draw(&[(2, 0)], 0).is_err());
    }

    fn graph() -> impl Strategy<Value = Plain> {
        let shape = (prop::collection::vec(1..12_u32, 1..3), any::<bool>(), any::<bool>(), any::<bool>());
        shape.prop_flat_map(|(counts, symmetric, timed, loops)| {
            let (sources, targets, is_self) = (counts[0], counts[counts.len() - 1], counts.len() == 1);
            prop::collection::vec((0..sources, 0..targets, -2..3_i64), 0..80).prop_map(move |mut edges| {
                edges.retain(|edge| loops || !is_self || edge.0 != edge.1);
                Plain { counts: counts.clone(), symmetric: symmetric && is_self, timed, edges }
            })
        })
    }

    proptest! {
        #[test]
        fn exactly_what_may_be_a_negative_comes(
            plain in graph(),
            corrupt in prop::sample::select(vec![Corrupt::Source, Corrupt::Target, Corrupt::Either]),
            by in prop::sample::select(vec![EndWeight::Uniform, EndWeight::WORD2VEC]),
            alike in any::<bool>(),
            draw in any::<u64>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let snapshot = plain.write(folder.path());
            let alike = alike.then(|| "kind".to_owned());
            let config = NegativeConfig { per_positive: 40, corrupt, by, alike, ..config() };
            let negatives = Negatives::new(&snapshot, config.clone()).unwrap();
            // Edges and pairs that are none.
            let (sources, targets) = (plain.counts[0], *plain.counts.last().unwrap());
            let positives: Vec<(u32, u32)> =
                (0..sources).flat_map(|source| (0..targets).map(move |target| (source, target))).collect();
            for (positive, found) in positives.iter().zip(negatives.draw(&positives, draw).unwrap()) {
                let expected = plain.negatives(*positive, &config);
                prop_assert!(found.iter().all(|pair| expected.contains(pair)), "{positive:?}: {found:?}, may be {expected:?}");
                prop_assert_eq!(found.len(), if expected.is_empty() { 0 } else { 40 }, "{:?}", positive);
            }
        }
    }
}
