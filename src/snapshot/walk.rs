use relata_schema::{Direction, NodeTypeId, RelationId};

use super::{Adjacency, Snapshot};
use crate::{Error, Result};

/// A walk of some steps, each along one relation in one direction: "the genes that a cell expresses, and the regions that
/// regulate them".
///
/// ```no_run
/// use relata::snapshot::{Marks, Snapshot, Walk};
/// use relata_schema::Direction;
///
/// let snapshot = Snapshot::current("atlas.relata".as_ref())?;
/// let schema = snapshot.schema();
/// let steps = [(schema.relation("expresses")?, Direction::Outgoing), (schema.relation("regulates")?, Direction::Incoming)];
/// let walk = Walk::new(&snapshot, schema.node_type("cell")?, &steps)?;
/// println!("{} regions", walk.count_distinct(0, &mut Marks::default()));
/// # Ok::<(), relata::Error>(())
/// ```
#[derive(Clone)]
pub struct Walk<'s> {
    steps: Vec<Adjacency<'s>>,
    /// How many nodes there are where each step ends.
    counts: Vec<u32>,
    end: NodeTypeId,
}

/// Memory of a walk over distinct nodes, which is used again by the next one.
#[derive(Default)]
pub struct Marks {
    /// By node, the round in which it was seen last.
    seen: Vec<u32>,
    round: u32,
    here: Vec<u32>,
    next: Vec<u32>,
}

impl<'s> Walk<'s> {
    /// Steps from nodes of a type.
    ///
    /// # Errors
    /// When there is no step, or one does not begin where the one before ends.
    pub fn new(snapshot: &'s Snapshot, from: NodeTypeId, steps: &[(RelationId, Direction)]) -> Result<Self> {
        let schema = snapshot.schema();
        let wrong = |found: String, expected: String| Error::Setting { setting: "walk".to_owned(), found, expected };
        if steps.is_empty() {
            return Err(wrong("no step".to_owned(), "a relation at least".to_owned()));
        }
        let mut end = from;
        let mut walk = Self { steps: Vec::new(), counts: Vec::new(), end };
        for &(relation, direction) in steps {
            let edge = schema.edge(relation);
            if edge.near(direction) != end {
                let expected = format!("a relation that has {} at that end", schema.node(end).name);
                return Err(wrong(format!("{} ({direction})", schema.relation_title(relation)), expected));
            }
            end = edge.far(direction);
            walk.steps.push(snapshot.adjacency(relation, direction));
            walk.counts.push(snapshot.node_count(end));
        }
        walk.end = end;
        Ok(walk)
    }

    /// The type of the nodes at its end.
    pub fn end(&self) -> NodeTypeId {
        self.end
    }

    /// Gives every way from a node to `visit`, as the nodes that it comes to, step by step, until that returns `false`.
    pub fn ways(&self, node: u32, mut visit: impl FnMut(&[u32]) -> bool) {
        let mut way = vec![0; self.steps.len()];
        self.ways_from(0, node, &mut way, &mut visit);
    }

    fn ways_from(&self, step: usize, node: u32, way: &mut [u32], visit: &mut impl FnMut(&[u32]) -> bool) -> bool {
        let is_last = step + 1 == self.steps.len();
        self.steps[step].neighbors(node).iter().all(|&far| {
            way[step] = far;
            if is_last { visit(way) } else { self.ways_from(step + 1, far, way, visit) }
        })
    }

    /// How many different nodes it can end at.
    pub fn count_distinct(&self, node: u32, marks: &mut Marks) -> u64 {
        self.walk_distinct(node, marks);
        marks.here.len() as u64
    }

    /// The different nodes that it can end at, in the order in which they are met.
    pub fn distinct<'m>(&self, node: u32, marks: &'m mut Marks) -> &'m [u32] {
        self.walk_distinct(node, marks);
        &marks.here
    }

    fn walk_distinct(&self, node: u32, marks: &mut Marks) {
        marks.here.clear();
        marks.here.push(node);
        for (adjacency, &count) in self.steps.iter().zip(&self.counts) {
            let round = marks.begin(count);
            let Marks { seen, here, next, .. } = marks;
            next.clear();
            for &near in &*here {
                for &far in adjacency.neighbors(near) {
                    // An edge of a damaged snapshot may end where no node is.
                    if let Some(last) = seen.get_mut(far as usize)
                        && *last != round
                    {
                        *last = round;
                        next.push(far);
                    }
                }
            }
            std::mem::swap(here, next);
        }
    }
}

impl Marks {
    /// A round in which no node of a type with so many has been seen.
    fn begin(&mut self, nodes: u32) -> u32 {
        if self.seen.len() < nodes as usize {
            self.seen.resize(nodes as usize, 0);
        }
        if self.round == u32::MAX {
            self.seen.fill(0);
            self.round = 0;
        }
        self.round += 1;
        self.round
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use relata_schema::Schema;

    use super::*;
    use crate::snapshot::{EdgeData, SnapshotWriter};

    #[test]
    fn walks_meet_the_nodes_of_nested_loops_over_the_edges() {
        let schema = Schema::biology();
        let store = tempfile::tempdir().unwrap();
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let (cell, gene) = (schema.node_type("cell").unwrap(), schema.node_type("gene").unwrap());
        writer.nodes(cell, &(0..20).map(|at| format!("c{at:02}")).collect::<Vec<_>>()).unwrap();
        writer.nodes(gene, &(0..30).map(|at| format!("g{at:02}")).collect::<Vec<_>>()).unwrap();
        let (expresses, interacts) = (schema.relation("expresses").unwrap(), schema.relation("interacts").unwrap());
        let expressed: Vec<(u32, u32)> = (0..90).map(|at| (at * 7 % 20, at * at % 30)).collect();
        let interacting: Vec<(u32, u32)> = (0..40).map(|at| (at * 11 % 30, at * at * 3 % 30)).collect();
        let data = |edges: &[(u32, u32)]| {
            let (sources, targets) = edges.iter().copied().unzip();
            EdgeData { sources, targets, ..EdgeData::default() }
        };
        writer.relation(expresses, &data(&expressed)).unwrap();
        writer.relation(interacts, &data(&interacting)).unwrap();
        writer.publish(&[]).unwrap();
        let snapshot = Snapshot::current(store.path()).unwrap();
        let steps = [(expresses, Direction::Outgoing), (interacts, Direction::Outgoing), (expresses, Direction::Incoming)];
        let walk = Walk::new(&snapshot, cell, &steps).unwrap();
        assert_eq!(walk.end(), cell);
        let mut marks = Marks::default();
        for start in 0..20 {
            let mut expected = Vec::new();
            for &(_, first) in expressed.iter().filter(|edge| edge.0 == start) {
                for &(one, other) in &interacting {
                    // `interacts` is symmetric: an edge is walked both ways, one from a node to itself once.
                    let fars = [(one == first).then_some(other), (other == first && one != other).then_some(one)];
                    for second in fars.into_iter().flatten() {
                        let ends = expressed.iter().filter(|edge| edge.1 == second);
                        expected.extend(ends.map(|&(third, _)| [first, second, third]));
                    }
                }
            }
            let mut found = Vec::new();
            walk.ways(start, |way| {
                found.push(<[u32; 3]>::try_from(way).unwrap());
                true
            });
            let mut few = 0;
            walk.ways(start, |_| {
                few += 1;
                few < 3
            });
            assert_eq!(few, found.len().min(3));
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected);
            let distinct: BTreeSet<u32> = expected.iter().map(|way| way[2]).collect();
            assert_eq!(walk.count_distinct(start, &mut marks), distinct.len() as u64);
            assert_eq!(walk.distinct(start, &mut marks).iter().copied().collect::<BTreeSet<_>>(), distinct);
        }
        let wrong = Walk::new(&snapshot, cell, &[steps[1]]).err().unwrap().to_string();
        assert!(wrong.contains("gene.interacts.gene (outgoing)") && wrong.contains("has cell at that end"), "{wrong}");
    }
}
