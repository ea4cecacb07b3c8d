//! A relation's edges, one after another.

use relata_schema::{Direction, RelationId};

use crate::snapshot::{Adjacency, Snapshot};

/// Edges of one relation, a part of them at a time.
#[derive(Default)]
pub(super) struct EdgeBatch {
    /// Source nodes.
    pub sources: Vec<u32>,
    /// Target nodes.
    pub targets: Vec<u32>,
    /// Places in the outgoing adjacency, and so in its columns.
    pub positions: Vec<usize>,
}

impl EdgeBatch {
    fn clear(&mut self) {
        self.sources.clear();
        self.targets.clear();
        self.positions.clear();
    }
}

/// Goes through a relation's edges in the order of their sources, `most` at a time. A symmetric edge, which stands at both
/// of its ends, comes once, from the node with the smaller number.
///
/// # Errors
/// Those of `each`.
pub(super) fn each_batch<E>(
    snapshot: &Snapshot,
    relation: RelationId,
    most: usize,
    mut each: impl FnMut(&EdgeBatch) -> Result<(), E>,
) -> Result<(), E> {
    let edge = snapshot.schema().edge(relation);
    let adjacency = snapshot.adjacency(relation, Direction::Outgoing);
    let mut batch = EdgeBatch::default();
    for source in 0..snapshot.node_count(edge.source) {
        for position in adjacency.range(source) {
            let target = adjacency.targets[position];
            if edge.symmetric && target < source {
                continue;
            }
            batch.sources.push(source);
            batch.targets.push(target);
            batch.positions.push(position);
            if batch.sources.len() == most {
                each(&batch)?;
                batch.clear();
            }
        }
    }
    if batch.sources.is_empty() { Ok(()) } else { each(&batch) }
}

/// The time of the edge at a position, if it has one.
pub(super) fn time(adjacency: &Adjacency<'_>, position: usize) -> Option<i64> {
    adjacency.times.get(position)
}
