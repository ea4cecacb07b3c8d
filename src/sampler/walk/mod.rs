//! Which edges are taken, and which of those are listed.

pub(super) mod context;
pub(super) mod hierarchy;
pub(super) mod listed;
pub(super) mod neighbour;
pub(super) mod retrieval;

use super::random::Key;
use super::steps::Step;
use super::word;
use crate::snapshot::Hit;

/// What names the choices of a node at a hop.
fn node_key(key: Key, hop: usize, node: Hit) -> Key {
    key.with(word(hop, node))
}

/// What names the choice among a node's edges in one step.
fn choice(key: Key, step: &Step) -> Key {
    key.mixed(step.word)
}
