//! The order in which a training sees its seeds.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use relata_schema::NodeTypeId;
use serde::{Deserialize, Serialize};

use super::classes::{ClassColumn, Grouped};
use super::{Filter, Permutation};
use crate::sampler::check_seeds;
use crate::sampler::random::Key;
use crate::snapshot::{Hit, Snapshot};
use crate::{Error, Result};

/// Nodes to start from, in an order of their own; cheap to clone.
#[derive(Clone, Debug)]
pub struct Seeds(Kind);

#[derive(Clone, Debug)]
enum Kind {
    All { node_type: NodeTypeId, count: u32 },
    Nodes { node_type: NodeTypeId, nodes: Arc<[u32]> },
    Listed(Arc<[Hit]>),
}

impl Seeds {
    /// All nodes of a type: a range, which takes no memory.
    pub fn all(snapshot: &Snapshot, node_type: NodeTypeId) -> Self {
        Self(Kind::All { node_type, count: snapshot.node_count(node_type) })
    }

    /// Some nodes of a type.
    pub fn nodes(node_type: NodeTypeId, nodes: Vec<u32>) -> Self {
        Self(Kind::Nodes { node_type, nodes: nodes.into() })
    }

    /// The nodes that a filter finds.
    ///
    /// # Errors
    /// Those of [`Filter::nodes`].
    pub fn matching(snapshot: &Snapshot, filter: &Filter) -> Result<Self> {
        Ok(Self::nodes(snapshot.schema().node_type(filter.node_type())?, filter.nodes(snapshot)?))
    }

    /// Any nodes. One that is there twice is two seeds.
    pub fn listed(hits: Vec<Hit>) -> Self {
        Self(Kind::Listed(hits.into()))
    }

    /// So many of them by lot, each set of that size equally likely, in their order; all of them if they are fewer.
    #[must_use]
    pub fn by_lot(&self, count: u32, seed: u64) -> Self {
        let mut chosen = Vec::new();
        let mut random = Key::new("relata sample seeds", seed).random();
        random.choose(0..self.len(), count as usize, |_| true, &mut chosen);
        Self::listed(chosen.into_iter().filter_map(|position| self.get(position)).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::All { count, .. } => *count as usize,
            Kind::Nodes { nodes, .. } => nodes.len(),
            Kind::Listed(hits) => hits.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seed at a position.
    pub fn get(&self, position: usize) -> Option<Hit> {
        match &self.0 {
            Kind::All { node_type, count } => {
                let node = u32::try_from(position).ok().filter(|node| node < count)?;
                Some(Hit { node_type: *node_type, node })
            }
            Kind::Nodes { node_type, nodes } => nodes.get(position).map(|&node| Hit { node_type: *node_type, node }),
            Kind::Listed(hits) => hits.get(position).copied(),
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Hit> {
        (0..self.len()).filter_map(|position| self.get(position))
    }

    /// The type of all of them; `None` where there is no seed, or they differ.
    fn node_type(&self) -> Option<NodeTypeId> {
        let first = self.get(0)?.node_type;
        match &self.0 {
            Kind::Listed(hits) if hits.iter().any(|hit| hit.node_type != first) => None,
            _ => Some(first),
        }
    }
}

/// How seeds become batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochConfig {
    /// Seeds a batch; the last of an epoch may have fewer.
    pub batch: u32,
    /// Whether each epoch has an order of its own. If not, it is that of the seeds.
    pub shuffle: bool,
    /// Whether a last batch that has fewer seeds is left out.
    pub drop_last: bool,
    /// Whether classes are shown equally often, however many seeds are in each.
    pub balance: Option<Balance>,
    /// Other orders for another seed.
    pub seed: u64,
}

impl EpochConfig {
    /// Each seed once an epoch in a random order, the last batch included: no seed is unseen, and none is seen more than others.
    pub fn new(batch: u32) -> Self {
        Self { batch, shuffle: true, drop_last: false, balance: None, seed: 0 }
    }
}

/// What classes are balanced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The values of a category or boolean attribute, by its name. All seeds have one type then.
    Attribute(String),
    /// A class for each seed, any number; `u32::MAX` is none.
    Classes(Vec<u32>),
}

/// Batches of seeds, epoch after epoch, each given without those before it.
///
/// * Shuffled, an epoch is a [`Permutation`] of all seeds, another each time: each seed comes once an epoch, and may come
///   anywhere in it.
/// * Balanced, the classes take turns, seed by seed and on from epoch to epoch: any stretch of seeds, so any batch and any
///   epoch, has of each class as many as of any other, or one more. Within a class its members come one after the other, and
///   again from the first, or shuffled, in another permutation; where an epoch ends does not matter. So of two members of
///   a class none is ever more than one turn ahead. An epoch has as many seeds as there are seeds with a class (less
///   a dropped last batch): members of small classes come several times in it, and some of large ones in a later epoch.
///   Seeds whose class is missing are left out.
///
/// **Invariant:** a batch depends on the seeds, the configuration, the epoch and its number alone. A training that goes on
/// at a batch sees what it would have seen.
///
/// ```
/// use relata::sampler::{EpochConfig, Epochs, Seeds};
/// # use relata::snapshot::{Snapshot, SnapshotWriter};
/// # use relata_schema::Schema;
/// # let folder = tempfile::tempdir()?;
/// # let schema = Schema::biology();
/// # let cell = schema.node_type("cell")?;
/// # let mut writer = SnapshotWriter::create(folder.path(), &schema)?;
/// # writer.nodes(cell, &["AAAC", "AAAG", "AAAT"].map(String::from))?;
/// # writer.publish(&[])?;
/// # let snapshot = Snapshot::current(folder.path())?;
/// let epochs = Epochs::new(&snapshot, Seeds::all(&snapshot, cell), EpochConfig::new(2))?;
/// assert_eq!(epochs.batches(), 2);
/// for epoch in 0..3 {
///     for batch in epochs.from_batch(epoch, 0) {
///         assert!(batch.len() <= 2);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Epochs {
    seeds: Seeds,
    config: EpochConfig,
    /// The positions of seeds by class, if classes are balanced.
    classes: Option<Arc<Grouped>>,
    /// Seeds an epoch.
    count: u64,
    key: Key,
    /// Which share of the batches, and of how many.
    shard: (u64, u64),
}

impl Epochs {
    /// # Errors
    /// [`Error::Setting`] for a batch of 0 seeds, a seed that the snapshot does not have, an attribute that has no classes,
    /// seeds of several types with one, or not as many classes as seeds; [`Error::Limit`] for more than 2³² seeds.
    pub fn new(snapshot: &Snapshot, seeds: Seeds, config: EpochConfig) -> Result<Self> {
        if config.batch == 0 {
            return Err(Error::setting("batch", "0 seeds", "at least 1"));
        }
        let limit = |_| Error::Limit { what: "seeds".to_owned(), found: seeds.len() as u64, most: u32::MAX.into() };
        let len = u32::try_from(seeds.len()).map_err(limit)?;
        match &seeds.0 {
            Kind::All { .. } => check_seeds(snapshot, seeds.get(seeds.len().saturating_sub(1)).as_slice())?,
            Kind::Nodes { .. } => seeds.iter().try_for_each(|hit| check_seeds(snapshot, &[hit]))?,
            Kind::Listed(hits) => check_seeds(snapshot, hits)?,
        }
        let classes = match &config.balance {
            Some(balance) => Some(Arc::new(classes(snapshot, &seeds, len, balance)?)),
            None => None,
        };
        let all = classes.as_ref().map_or(u64::from(len), |classes| classes.all().len() as u64);
        let batch = u64::from(config.batch);
        let count = if config.drop_last { all / batch * batch } else { all };
        let key = Key::new("relata epochs", config.seed);
        Ok(Self { seeds, config, classes, count, key, shard: (0, 1) })
    }

    /// The share of one of several workers: of every `of` batches, the one at `k`. The shares have no batch in common, all
    /// batches are in one of them, and each has as many as any other, or one less.
    ///
    /// # Errors
    /// [`Error::Setting`] where `k` is not below `of`.
    pub fn shard(&self, k: u32, of: u32) -> Result<Self> {
        if k >= of {
            return Err(Error::setting("shard", format!("{k} of {of}"), "a number below that of shards"));
        }
        Ok(Self { shard: (k.into(), of.into()), ..self.clone() })
    }

    /// What the batches are made of.
    pub fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    /// How they are made.
    pub fn config(&self) -> &EpochConfig {
        &self.config
    }

    /// Batches an epoch, of this shard.
    pub fn batches(&self) -> u64 {
        let (k, of) = self.shard;
        self.count.div_ceil(self.config.batch.into()).saturating_sub(k).div_ceil(of)
    }

    /// The seeds of one batch; none behind the last of an epoch.
    pub fn batch(&self, epoch: u64, number: u64) -> Vec<Hit> {
        if number >= self.batches() {
            return Vec::new();
        }
        let (k, of) = self.shard;
        let batch = u64::from(self.config.batch);
        let start = (number * of + k) * batch;
        let slots = start..self.count.min(start + batch);
        let positions = match &self.classes {
            None => self.once(epoch, slots),
            Some(classes) => self.in_turns(classes, epoch, slots),
        };
        positions.into_iter().filter_map(|position| self.seeds.get(position)).collect()
    }

    /// The batches of an epoch from one of them on.
    pub fn from_batch(&self, epoch: u64, number: u64) -> impl Iterator<Item = Vec<Hit>> {
        (number..self.batches()).map(move |number| self.batch(epoch, number))
    }

    fn once(&self, epoch: u64, slots: Range<u64>) -> Vec<usize> {
        if !self.config.shuffle {
            return slots.map(|slot| slot as usize).collect();
        }
        let order = Permutation::new(self.key.with(epoch), self.seeds.len() as u64);
        slots.map(|slot| order.at(slot) as usize).collect()
    }

    fn in_turns(&self, classes: &Grouped, epoch: u64, slots: Range<u64>) -> Vec<usize> {
        let mut orders: HashMap<usize, (u64, Permutation)> = HashMap::new();
        let before = u128::from(epoch) * u128::from(self.count);
        let position = |slot: u64| {
            let turn = before + u128::from(slot);
            let (class, turn) = ((turn % classes.classes() as u128) as usize, turn / classes.classes() as u128);
            let members = classes.members(class);
            let (pass, place) = ((turn / members.len() as u128) as u64, (turn % members.len() as u128) as usize);
            if !self.config.shuffle {
                return members[place] as usize;
            }
            let new = || Permutation::new(self.key.with(class as u64).with(pass), members.len() as u64);
            let (known, order) = orders.entry(class).or_insert_with(|| (pass, new()));
            if *known != pass {
                (*known, *order) = (pass, new());
            }
            members[order.at(place as u64) as usize] as usize
        };
        slots.map(position).collect()
    }
}

fn classes(snapshot: &Snapshot, seeds: &Seeds, len: u32, balance: &Balance) -> Result<Grouped> {
    let grouped = match balance {
        Balance::Attribute(_) if len == 0 => Grouped::of(0, 0, |_| None),
        Balance::Attribute(name) => {
            let Some(node_type) = seeds.node_type() else {
                return Err(Error::setting("balance", "seeds of several types", "one, whose attribute it is"));
            };
            let column = ClassColumn::of(snapshot, node_type, name, "balance")?;
            Grouped::of(column.count, len, |at| column.class(seeds.get(at as usize)?.node))
        }
        Balance::Classes(numbers) if numbers.len() != len as usize => {
            return Err(Error::setting("balance", format!("{} classes", numbers.len()), format!("{len}, one a seed")));
        }
        Balance::Classes(numbers) => {
            let mut known: Vec<u32> = numbers.iter().copied().filter(|&class| class != u32::MAX).collect();
            known.sort_unstable();
            known.dedup();
            let class = |at: u32| known.binary_search(&numbers[at as usize]).ok().map(|class| class as u32);
            Grouped::of(known.len() as u32, len, class)
        }
    };
    Ok(grouped.without_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use relata_schema::{Schema, Value};

    use super::*;
    use crate::snapshot::SnapshotWriter;

    const THING: NodeTypeId = NodeTypeId(0);
    const OTHER: NodeTypeId = NodeTypeId(1);

    /// Things with a class each, `None` is missing, and as many others.
    fn write(classes: &[Option<&str>], folder: &std::path::Path) -> Snapshot {
        let attributes = "kind = { kind = \"category\" }\nis_large = { kind = \"boolean\" }\nsize = { kind = \"number\" }\n";
        let text = format!("[node.thing.attributes]\n{attributes}[node.other]\n");
        let schema = Schema::default().extended_by(&text, "test.toml").unwrap();
        let keys: Vec<String> = (0..classes.len()).map(|at| format!("{at:04}")).collect();
        let mut writer = SnapshotWriter::create(folder, &schema).unwrap();
        writer.nodes(THING, &keys).unwrap();
        writer.nodes(OTHER, &keys).unwrap();
        let kinds: Vec<_> = classes.iter().map(|class| class.map(|name| Value::Category(name.to_owned()))).collect();
        writer.column(THING, schema.node_attribute(THING, "kind").unwrap(), &kinds).unwrap();
        let large: Vec<_> = (0..classes.len()).map(|at| (at % 5 != 4).then_some(Value::Boolean(at % 5 == 0))).collect();
        writer.column(THING, schema.node_attribute(THING, "is_large").unwrap(), &large).unwrap();
        writer.publish(&[]).unwrap();
        Snapshot::current(folder).unwrap()
    }

    fn nodes(batches: impl IntoIterator<Item = Vec<Hit>>) -> Vec<u32> {
        batches.into_iter().flatten().map(|hit| hit.node).collect()
    }

    #[test]
    fn each_seed_comes_once_an_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = write(&[None; 1_000], folder.path());
        let hits: Vec<Hit> = (0..1_000).map(|node| Hit { node_type: NodeTypeId((node % 2) as u16), node }).collect();
        let all = Seeds::all(&snapshot, THING);
        assert_eq!(all.iter().count(), 1_000);
        for seeds in [all, Seeds::nodes(OTHER, (0..1_000).rev().collect()), Seeds::listed(hits)] {
            let expected: Vec<Hit> = seeds.iter().collect();
            for (batch, drop_last, batches, last) in
                [(64, false, 16, 40), (64, true, 15, 64), (100, true, 10, 100), (2_000, false, 1, 1_000), (2_000, true, 0, 0)]
            {
                for shuffle in [false, true] {
                    let config = EpochConfig { drop_last, shuffle, ..EpochConfig::new(batch) };
                    let epochs = Epochs::new(&snapshot, seeds.clone(), config).unwrap();
                    assert_eq!(epochs.batches(), batches);
                    let mut orders = BTreeSet::new();
                    for epoch in 0..3 {
                        let found: Vec<Vec<Hit>> = epochs.from_batch(epoch, 0).collect();
                        assert_eq!(found.last().map_or(0, Vec::len), last);
                        let found = found.concat();
                        if shuffle {
                            assert!(found != expected[..found.len()] || found.is_empty());
                        } else {
                            assert_eq!(found, expected[..found.len()]);
                        }
                        let ends: BTreeSet<(u16, u32)> = found.iter().map(|hit| (hit.node_type.0, hit.node)).collect();
                        assert_eq!(ends.len(), found.len(), "a seed twice");
                        let expected = if drop_last { batches as usize * batch as usize } else { 1_000 };
                        assert_eq!(found.len(), expected);
                        orders.insert(found.iter().map(|hit| hit.node).collect::<Vec<_>>());
                    }
                    assert_eq!(orders.len(), if shuffle && batches > 0 { 3 } else { 1 });
                    assert!(epochs.batch(0, batches).is_empty() && epochs.batch(u64::MAX, u64::MAX).is_empty());
                }
            }
        }
    }

    #[test]
    fn a_seed_may_come_in_any_batch() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = write(&[None; 400], folder.path());
        let epochs = Epochs::new(&snapshot, Seeds::all(&snapshot, THING), EpochConfig::new(20)).unwrap();
        let mut counts = [0_u64; 20];
        for epoch in 0..4_000 {
            let is_there = |number: &u64| epochs.batch(epoch, *number).iter().any(|hit| hit.node == 399);
            counts[(0..20).find(is_there).unwrap() as usize] += 1;
        }
        let found: f64 = counts.iter().map(|&count| (count as f64 - 200.0).powi(2) / 200.0).sum();
        assert!(found < 43.8, "χ² {found} of {counts:?} (19 degrees of freedom, p = 0.001)");
    }

    #[test]
    fn a_training_that_goes_on_sees_what_it_would_have_seen() {
        let folder = tempfile::tempdir().unwrap();
        let kinds: Vec<_> = (0..317).map(|at| [Some("a"), Some("b"), None, Some("b"), Some("c")][at * at % 5]).collect();
        let snapshot = write(&kinds, folder.path());
        let orders = [None, Some(Balance::Attribute("kind".to_owned()))];
        for (balance, drop_last) in orders.into_iter().flat_map(|balance| [(balance.clone(), false), (balance, true)]) {
            let config = EpochConfig { balance, drop_last, seed: 3, ..EpochConfig::new(10) };
            let new = || Epochs::new(&snapshot, Seeds::all(&snapshot, THING), config.clone()).unwrap();
            let run = |epoch, number| {
                let epochs = new();
                let rest = epochs.from_batch(epoch, number).collect::<Vec<_>>();
                rest.into_iter().chain((epoch + 1..4).flat_map(|epoch| epochs.from_batch(epoch, 0).collect::<Vec<_>>())).collect()
            };
            let whole: Vec<Vec<Hit>> = run(0, 0);
            let batches = new().batches();
            for at in 0..whole.len() as u64 {
                assert_eq!(run(at / batches, at % batches), whole[at as usize..]);
            }
            let other = Epochs::new(&snapshot, Seeds::all(&snapshot, THING), EpochConfig { seed: 4, ..config }).unwrap();
            assert_ne!(other.batch(0, 0), whole[0]);
        }
    }

    #[test]
    fn classes_come_equally_often_and_so_do_the_members_of_each() {
        let folder = tempfile::tempdir().unwrap();
        // 100 of a, 33 of b, 7 of c, 11 missing.
        let kind = |at: u32| match at {
            0..100 => Some("a"),
            100..133 => Some("b"),
            133..140 => Some("c"),
            _ => None,
        };
        let kinds: Vec<_> = (0..151).map(kind).collect();
        let snapshot = write(&kinds, folder.path());
        let numbers = (0..151).map(|at| kind(at).map_or(u32::MAX, |kind| 7 * u32::from(kind.as_bytes()[0])));
        let even = |counts: &[usize]| counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1;
        for balance in [Balance::Attribute("kind".to_owned()), Balance::Classes(numbers.collect())] {
            for (shuffle, drop_last) in [(true, false), (true, true), (false, false)] {
                let config = EpochConfig { shuffle, drop_last, balance: Some(balance.clone()), ..EpochConfig::new(16) };
                let epochs = Epochs::new(&snapshot, Seeds::all(&snapshot, THING), config).unwrap();
                let count = if drop_last { 128 } else { 140 };
                let mut seen: BTreeMap<u32, usize> = (0..140).map(|node| (node, 0)).collect();
                let mut orders = BTreeSet::new();
                for epoch in 0..50 {
                    let mut shown = Vec::new();
                    for batch in epochs.from_batch(epoch, 0) {
                        let of = |name| batch.iter().filter(|hit| kind(hit.node) == Some(name)).count();
                        assert!(even(&["a", "b", "c"].map(of)), "{batch:?}");
                        shown.extend(nodes([batch]));
                    }
                    assert_eq!(shown.len(), count);
                    let of = |name| shown.iter().filter(|&&node| kind(node) == Some(name)).count();
                    assert!(even(&["a", "b", "c"].map(of)));
                    for node in &shown {
                        *seen.get_mut(node).expect("a node without a class was shown") += 1;
                    }
                    for range in [0..100, 100..133, 133..140] {
                        assert!(even(&seen.range(range).map(|(_, &count)| count).collect::<Vec<_>>()), "{seen:?}");
                    }
                    orders.insert(shown.into_iter().filter(|&node| kind(node) == Some("c")).take(7).collect::<Vec<_>>());
                }
                // Shuffled, the few of a class come in many orders.
                assert!(if shuffle { orders.len() > 40 } else { orders.len() <= 7 }, "{}", orders.len());
            }
        }
        let config = EpochConfig { balance: Some(Balance::Attribute("is_large".to_owned())), ..EpochConfig::new(10) };
        let epochs = Epochs::new(&snapshot, Seeds::all(&snapshot, THING), config).unwrap();
        let shown = nodes(epochs.from_batch(0, 0));
        let large = shown.iter().filter(|&&node| node % 5 == 0).count();
        assert!(shown.len() == 121 && (60..=61).contains(&large) && shown.iter().all(|node| node % 5 != 4));
    }

    #[test]
    fn workers_share_the_batches() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = write(&[Some("a"); 100], folder.path());
        for balance in [None, Some(Balance::Attribute("kind".to_owned()))] {
            let config = EpochConfig { balance, ..EpochConfig::new(7) };
            let epochs = Epochs::new(&snapshot, Seeds::all(&snapshot, THING), config).unwrap();
            let whole: Vec<Vec<Hit>> = epochs.from_batch(2, 0).collect();
            for of in [1, 2, 4, 15, 20] {
                let shares: Vec<Vec<Vec<Hit>>> =
                    (0..of).map(|k| epochs.shard(k, of).unwrap().from_batch(2, 0).collect()).collect();
                for (at, batch) in whole.iter().enumerate() {
                    assert_eq!(&shares[at % of as usize][at / of as usize], batch);
                }
                assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), whole.len());
            }
            assert!(epochs.shard(2, 2).is_err() && epochs.shard(0, 0).is_err());
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = write(&[None; 3], folder.path());
        let hit = |node_type, node| Hit { node_type, node };
        let all = || Seeds::all(&snapshot, THING);
        let by = |name: &str| Some(Balance::Attribute(name.to_owned()));
        let mixed = Seeds::listed(vec![hit(THING, 0), hit(OTHER, 0)]);
        let cases = [
            (all(), 0, None, "batch: found 0 seeds, expected at least 1"),
            (Seeds::nodes(THING, vec![0, 3]), 1, None, "seeds: found node 3 of thing, expected below 3"),
            (Seeds::listed(vec![hit(NodeTypeId(2), 0)]), 1, None, "seeds: found node type number 2"),
            (all(), 1, by("kidn"), "balance: found `kidn`; did you mean `kind`?"),
            (all(), 1, by("size"), "balance: found the number `size`, expected a category or boolean attribute of thing: "),
            (Seeds::all(&snapshot, OTHER), 1, by("kind"), "of other: it has none"),
            (mixed, 1, by("kind"), "balance: found seeds of several types"),
            (all(), 1, Some(Balance::Classes(vec![1])), "balance: found 1 classes, expected 3, one a seed"),
        ];
        for (seeds, batch, balance, expected) in cases {
            let error = Epochs::new(&snapshot, seeds, EpochConfig { balance, ..EpochConfig::new(batch) }).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}, expected: {expected}");
        }
        // No seeds, and none with a class, give no batches.
        for (seeds, balance) in [(Seeds::listed(Vec::new()), by("kind")), (all(), by("kind")), (Seeds::listed(Vec::new()), None)]
        {
            let epochs = Epochs::new(&snapshot, seeds, EpochConfig { balance, ..EpochConfig::new(1) }).unwrap();
            assert_eq!((epochs.batches(), epochs.batch(0, 0).len()), (0, 0));
        }
    }
}
