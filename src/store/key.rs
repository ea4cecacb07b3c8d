//! What a block holds, and the key that says so.

use relata_schema::{AttributeId, Direction, NodeTypeId, RelationId, Schema};

/// A run of blocks: what is read together, in the order of node numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Run {
    /// The edges of a relation, by their near ends.
    Postings { relation: RelationId, direction: Direction },
    /// The values of a node attribute.
    Column { node_type: NodeTypeId, attribute: AttributeId },
    /// The nodes that the segment names.
    Nodes { node_type: NodeTypeId },
    /// Of an edit: nodes of layers below that it deletes, as a node list.
    DeletedNodes { node_type: NodeTypeId },
    /// Of an edit: nodes of layers below whose value of the attribute it removes, as a node list.
    UnsetValues { node_type: NodeTypeId, attribute: AttributeId },
    /// Of an edit: pairs of nodes between which it hides the edges of layers below; of a symmetric relation the lower node
    /// first.
    HiddenEdges { relation: RelationId },
}

/// A block's place in its segment. Its order is that of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BlockKey {
    pub run: Run,
    /// The lowest node in the block.
    pub first: u32,
    /// Counts the blocks with the same `first`, from 0.
    pub number: u32,
}

/// Bytes of a key: segment u32, kind u8, relation or node type u16, attribute u16, direction u8, first u32, number u32,
/// all big-endian, so that the order of the bytes is the order of the numbers.
pub(super) const KEY_BYTES: usize = 18;

impl BlockKey {
    pub(super) fn to_bytes(self, segment: u32) -> [u8; KEY_BYTES] {
        let (kind, owner, attribute, direction) = match self.run {
            Run::Postings { relation, direction } => (1u8, relation.0, 0, u8::from(direction == Direction::Incoming)),
            Run::Column { node_type, attribute } => (2, node_type.0, attribute.0, 0),
            Run::Nodes { node_type } => (3, node_type.0, 0, 0),
            Run::DeletedNodes { node_type } => (4, node_type.0, 0, 0),
            Run::UnsetValues { node_type, attribute } => (5, node_type.0, attribute.0, 0),
            Run::HiddenEdges { relation } => (6, relation.0, 0, 0),
        };
        let mut bytes = [0; KEY_BYTES];
        bytes[0..4].copy_from_slice(&segment.to_be_bytes());
        bytes[4] = kind;
        bytes[5..7].copy_from_slice(&owner.to_be_bytes());
        bytes[7..9].copy_from_slice(&attribute.to_be_bytes());
        bytes[9] = direction;
        bytes[10..14].copy_from_slice(&self.first.to_be_bytes());
        bytes[14..18].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    /// The segment and the key, or nothing where the bytes are no key.
    pub(super) fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Option<(u32, Self)> {
        let two = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let four = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let run = match (bytes[4], two(7), bytes[9]) {
            (1, 0, 0) => Run::Postings { relation: RelationId(two(5)), direction: Direction::Outgoing },
            (1, 0, 1) => Run::Postings { relation: RelationId(two(5)), direction: Direction::Incoming },
            (2, attribute, 0) => Run::Column { node_type: NodeTypeId(two(5)), attribute: AttributeId(attribute) },
            (3, 0, 0) => Run::Nodes { node_type: NodeTypeId(two(5)) },
            (4, 0, 0) => Run::DeletedNodes { node_type: NodeTypeId(two(5)) },
            (5, attribute, 0) => Run::UnsetValues { node_type: NodeTypeId(two(5)), attribute: AttributeId(attribute) },
            (6, 0, 0) => Run::HiddenEdges { relation: RelationId(two(5)) },
            _ => return None,
        };
        Some((four(0), Self { run, first: four(10), number: four(14) }))
    }

    /// For messages: "posting block cell.expresses.gene, outgoing, from node 17".
    pub(super) fn describe(self, schema: &Schema) -> String {
        let number = if self.number > 0 { format!(", number {}", self.number) } else { String::new() };
        format!("{}, from node {}{number}", self.run.describe(schema), self.first)
    }
}

impl Run {
    /// For messages; an id that the schema does not have is given as a number.
    pub(super) fn describe(self, schema: &Schema) -> String {
        let node_type = |id: NodeTypeId| {
            schema.node_types().get(id.index()).map_or_else(|| format!("node type {}", id.0), |known| known.name.clone())
        };
        let name = |owner: NodeTypeId, id: AttributeId| {
            let known = schema.node_types().get(owner.index()).and_then(|owner| owner.attributes.get(id.index()));
            known.map_or_else(|| format!("attribute {}", id.0), |known| known.name.clone())
        };
        let title = |id: RelationId| {
            let known = id.index() < schema.relations().len();
            if known { schema.relation_title(id) } else { format!("of relation {}", id.0) }
        };
        match self {
            Self::Postings { relation, direction } => format!("posting block {}, {direction}", title(relation)),
            Self::Column { node_type: owner, attribute } => {
                format!("column block {}.{}", node_type(owner), name(owner, attribute))
            }
            Self::Nodes { node_type: owner } => format!("node list {}", node_type(owner)),
            Self::DeletedNodes { node_type: owner } => format!("list of deleted nodes {}", node_type(owner)),
            Self::UnsetValues { node_type: owner, attribute } => {
                format!("list of removed values {}.{}", node_type(owner), name(owner, attribute))
            }
            Self::HiddenEdges { relation } => format!("list of hidden edges {}", title(relation)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = BlockKey> {
        let run = prop_oneof![
            (any::<u16>(), any::<bool>()).prop_map(|(relation, incoming)| Run::Postings {
                relation: RelationId(relation),
                direction: if incoming { Direction::Incoming } else { Direction::Outgoing },
            }),
            any::<(u16, u16)>()
                .prop_map(|(owner, attribute)| Run::Column { node_type: NodeTypeId(owner), attribute: AttributeId(attribute) }),
            any::<u16>().prop_map(|owner| Run::Nodes { node_type: NodeTypeId(owner) }),
            any::<u16>().prop_map(|owner| Run::DeletedNodes { node_type: NodeTypeId(owner) }),
            any::<(u16, u16)>().prop_map(|(owner, attribute)| Run::UnsetValues {
                node_type: NodeTypeId(owner),
                attribute: AttributeId(attribute)
            }),
            any::<u16>().prop_map(|relation| Run::HiddenEdges { relation: RelationId(relation) }),
        ];
        (run, any::<u32>(), any::<u32>()).prop_map(|(run, first, number)| BlockKey { run, first, number })
    }

    proptest! {
        #[test]
        fn keys_read_back_and_their_bytes_sort_as_they_do(a in key(), b in key(), segment in any::<u32>()) {
            prop_assert_eq!(BlockKey::from_bytes(&a.to_bytes(segment)), Some((segment, a)));
            prop_assert_eq!(a.cmp(&b), a.to_bytes(segment).cmp(&b.to_bytes(segment)));
        }
    }
}
