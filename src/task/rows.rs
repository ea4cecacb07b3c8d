use relata_schema::{Direction, RelationId};

use super::{Ask, Fold, Objective, ResolvedTask, SplitKind, folds, labels};
use crate::Result;
use crate::snapshot::Snapshot;

/// What an objective asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nodes: of an attribute or a contrast.
    Nodes(Vec<u32>),
    /// Sources and targets of edges.
    Edges(Vec<(u32, u32)>),
}

impl Asked {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Nodes(nodes) => nodes.len(),
            Self::Edges(edges) => edges.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What one objective of a task learns from, and what it is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dealt {
    /// Asked in training.
    pub train: Asked,
    /// Held out.
    pub test: Asked,
    /// Edges that no context of any objective shows: those that are asked for, in training or after it.
    pub excluded: Vec<(RelationId, u32, u32)>,
}

impl ResolvedTask {
    /// What each objective learns from and is judged by, given that of the target; `fold` is the fold that is held out, `None` if
    /// none is.
    ///
    /// * Attributes of the task's own node type go by the rows of the target.
    /// * Nodes of another type that have the attribute are dealt by themselves, as the task's split says, but at random where it
    ///   is by groups.
    /// * Edges are dealt at random to as many folds as rows.
    /// * Contrasts need no labels: they learn from all nodes.
    ///
    /// # Errors
    /// Those of [`folds`].
    pub fn dealt(&self, snapshot: &Snapshot, target: &Fold, fold: Option<u32>) -> Result<Vec<Dealt>> {
        (0..self.objectives.len()).map(|at| self.dealt_to(at, snapshot, target, fold)).collect()
    }

    /// Edges that no context shows, as [`dealt`](Self::dealt) has them; no label is looked at.
    pub fn excluded(&self, snapshot: &Snapshot, fold: Option<u32>) -> Vec<(RelationId, u32, u32)> {
        let edges = |objective: &Objective| match &objective.ask {
            Ask::Link { relation, asked, .. } => self.edges(snapshot, *relation, *asked, fold).excluded,
            Ask::Attribute { .. } | Ask::Contrast { .. } => Vec::new(),
        };
        self.objectives.iter().flat_map(edges).collect()
    }

    fn dealt_to(&self, at: usize, snapshot: &Snapshot, target: &Fold, fold: Option<u32>) -> Result<Dealt> {
        let nodes = |fold: Fold| Dealt { train: Asked::Nodes(fold.train), test: Asked::Nodes(fold.test), excluded: Vec::new() };
        match &self.objectives[at].ask {
            Ask::Attribute { .. } if at == 0 => Ok(nodes(target.clone())),
            Ask::Attribute { node_type, .. } => {
                let mut task = self.asking(at);
                if *node_type == self.node_type {
                    let known = labels(snapshot, &task)?.rows();
                    let both = |rows: &[u32]| rows.iter().copied().filter(|row| known.binary_search(row).is_ok()).collect();
                    return Ok(nodes(Fold { train: both(&target.train), test: both(&target.test) }));
                }
                if task.task.split.kind == SplitKind::Group {
                    task.task.split.kind = SplitKind::Random;
                }
                match fold {
                    Some(fold) => Ok(nodes(folds(snapshot, &task)?.swap_remove(fold as usize))),
                    None => Ok(nodes(Fold { train: labels(snapshot, &task)?.rows(), test: Vec::new() })),
                }
            }
            Ask::Link { relation, asked, .. } => Ok(self.edges(snapshot, *relation, *asked, fold)),
            Ask::Contrast { node_type, .. } => {
                Ok(nodes(Fold { train: (0..snapshot.node_count(*node_type)).collect(), test: Vec::new() }))
            }
        }
    }

    fn edges(&self, snapshot: &Snapshot, relation: RelationId, asked: f64, fold: Option<u32>) -> Dealt {
        let known = snapshot.schema().edge(relation);
        let adjacency = snapshot.adjacency(relation, Direction::Outgoing);
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for source in 0..snapshot.node_count(known.source) {
            let mut targets = adjacency.neighbors(source).to_vec();
            targets.sort_unstable();
            targets.dedup();
            // A symmetric edge is listed at both ends.
            for target in targets.into_iter().filter(|&target| !known.symmetric || source <= target) {
                let mut hasher = blake3::Hasher::new_derive_key("relata split of edges 1");
                hasher.update(&self.task.split.seed.to_le_bytes());
                for (node_type, node) in [(known.source, source), (known.target, target)] {
                    let key = snapshot.key(node_type, node);
                    hasher.update(&(key.len() as u64).to_le_bytes()).update(key.as_bytes());
                }
                let mut words = hasher.finalize_xof();
                let mut word = || {
                    let mut bytes = [0; 8];
                    words.fill(&mut bytes);
                    u64::from_le_bytes(bytes)
                };
                let (dealt, drawn) = (word() % u64::from(self.task.split.folds.max(1)), word());
                if fold.is_some_and(|fold| dealt == u64::from(fold)) {
                    test.push((source, target));
                } else if (drawn >> 11) as f64 / (1_u64 << 53) as f64 <= asked {
                    train.push((source, target));
                }
            }
        }
        let excluded = train.iter().chain(&test).map(|&(source, target)| (relation, source, target)).collect();
        Dealt { train: Asked::Edges(train), test: Asked::Edges(test), excluded }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Task;
    use super::*;
    use crate::planted;

    const TASK: &str = "[task]\nnode = \"cell\"\ntarget = \"celltype\"\n[split]\nfolds = 4\n\
                        [[also]]\nlink = \"expresses\"\nasked = 0.5\n[[also]]\nnode = \"cell\"\ntarget = \"total_counts\"\n\
                        [[also]]\ncontrast = \"gene\"\n";

    #[test]
    fn edges_are_held_out_once_and_asked_for_in_their_share() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = planted::snapshot(folder.path(), 60, 1);
        let task = Task::parse(TASK, "t.toml", snapshot.schema()).unwrap();
        let rows = Fold { train: (0..40).collect(), test: (40..60).collect() };
        let relation = snapshot.schema().relation("expresses").unwrap();
        let adjacency = snapshot.adjacency(relation, Direction::Outgoing);
        let all: usize = (0..60).map(|cell| adjacency.neighbors(cell).len()).sum();
        let mut held_out = BTreeSet::new();
        for fold in 0..4 {
            let dealt = task.dealt(&snapshot, &rows, Some(fold)).unwrap();
            let [first, edges, totals, contrast] = dealt.as_slice() else { panic!() };
            assert_eq!((&first.train, &first.test), (&Asked::Nodes(rows.train.clone()), &Asked::Nodes(rows.test.clone())));
            let (Asked::Edges(train), Asked::Edges(test)) = (&edges.train, &edges.test) else { panic!() };
            let train: BTreeSet<_> = train.iter().copied().collect();
            assert!(test.iter().all(|edge| !train.contains(edge) && held_out.insert(*edge)));
            assert!(train.iter().chain(test).all(|&(cell, gene)| adjacency.neighbors(cell).contains(&gene)));
            let excluded: BTreeSet<_> = edges.excluded.iter().map(|&(_, source, target)| (source, target)).collect();
            assert_eq!(excluded, train.iter().chain(test).copied().collect());
            // Of those that are not held out, half; three standard errors.
            let share = train.len() as f64 / (all - test.len()) as f64;
            assert!((share - 0.5).abs() < 3.0 * (0.25 / (all - test.len()) as f64).sqrt(), "{share}");
            // No cell has a total, and all genes are contrasted.
            assert!(totals.train.is_empty());
            assert_eq!(contrast.train.len(), planted::GENES as usize);
        }
        assert_eq!(held_out.len(), all);
        let dealt = task.dealt(&snapshot, &rows, None).unwrap();
        assert!(dealt[1].test.is_empty());
    }
}
