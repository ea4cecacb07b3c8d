//! Nodes by a category or boolean attribute.

use relata_schema::{AttributeId, AttributeKind, NodeTypeId, suggestion};

use crate::snapshot::{NodeColumn, Snapshot};
use crate::{Error, Result};

/// The class that each node of a type is in: a category's code, or a boolean as 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(in crate::sampler) struct ClassColumn<'s> {
    /// Which attribute it is.
    pub(in crate::sampler) attribute: AttributeId,
    codes: Codes<'s>,
    /// How many classes there are.
    pub(in crate::sampler) count: u32,
}

#[derive(Clone, Copy, Debug)]
enum Codes<'s> {
    Category(&'s [u32]),
    Boolean(&'s [u8]),
}

impl<'s> ClassColumn<'s> {
    /// That of the attribute called `name`, which the setting `what` asks for.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where it is none of the type's category and boolean attributes.
    pub(in crate::sampler) fn of(snapshot: &'s Snapshot, node_type: NodeTypeId, name: &str, what: &str) -> Result<Self> {
        let owner = snapshot.schema().node(node_type);
        let has_classes = |kind| matches!(kind, AttributeKind::Category | AttributeKind::Boolean);
        let found = owner.attribute(name);
        let column = found.and_then(|attribute| {
            let count = match owner.attributes[attribute.index()].kind {
                AttributeKind::Category => snapshot.categories(node_type, attribute).len() as u32,
                _ => 2,
            };
            Self::read(snapshot, node_type, attribute, count)
        });
        match column {
            Some(column) => Ok(column),
            None => {
                let known = owner.attributes.iter().filter(|known| has_classes(known.kind)).map(|known| known.name.as_str());
                let known: Vec<&str> = known.collect();
                let found = match found {
                    Some(attribute) => format!("the {} `{name}`", owner.attributes[attribute.index()].kind),
                    None => format!("`{name}`{}", suggestion(name, known.iter().copied())),
                };
                let names = if known.is_empty() { "it has none".to_owned() } else { known.join(", ") };
                Err(Error::setting(what, found, format!("a category or boolean attribute of {}: {names}", owner.name)))
            }
        }
    }

    /// That of an attribute whose classes were counted before; `None` where it can have none.
    pub(in crate::sampler) fn read(
        snapshot: &'s Snapshot,
        node_type: NodeTypeId,
        attribute: AttributeId,
        count: u32,
    ) -> Option<Self> {
        let codes = match snapshot.column(node_type, attribute) {
            NodeColumn::Category(codes) => Codes::Category(codes),
            NodeColumn::Boolean(truths) => Codes::Boolean(truths),
            _ => return None,
        };
        Some(Self { attribute, codes, count })
    }

    /// A node's class, below the count; `None` where it is missing.
    pub(in crate::sampler) fn class(&self, node: u32) -> Option<u32> {
        let class = match self.codes {
            Codes::Category(codes) => codes.get(node as usize).copied(),
            Codes::Boolean(truths) => truths.get(node as usize).map(|&truth| u32::from(truth)),
        };
        // A missing one is the highest number of its column's type; a snapshot that is not verified may name what is not there.
        class.filter(|&class| class < self.count)
    }
}

/// Members of classes, those of a class together and in order.
#[derive(Clone, Debug)]
pub(in crate::sampler) struct Grouped {
    /// Where each class starts, and the end.
    starts: Vec<usize>,
    members: Vec<u32>,
}

impl Grouped {
    /// The members `0..count`, each in the class that `class` says, below `classes`, or in none.
    pub(in crate::sampler) fn of(classes: u32, count: u32, class: impl Fn(u32) -> Option<u32>) -> Self {
        let mut starts = vec![0; classes as usize + 1];
        (0..count).filter_map(&class).for_each(|class| starts[class as usize + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let (mut next, mut members) = (starts.clone(), vec![0; starts[classes as usize]]);
        for member in 0..count {
            if let Some(class) = class(member) {
                let at = &mut next[class as usize];
                members[*at] = member;
                *at += 1;
            }
        }
        Self { starts, members }
    }

    /// Leaves out classes without members, so that the others have other numbers.
    pub(in crate::sampler) fn without_empty(mut self) -> Self {
        // Where nothing stands between two starts, they are equal.
        self.starts.dedup();
        self
    }

    /// How many classes there are.
    pub(in crate::sampler) fn classes(&self) -> usize {
        self.starts.len() - 1
    }

    /// The positions in [`all`](Self::all) of a class's members.
    pub(in crate::sampler) fn range(&self, class: usize) -> std::ops::Range<usize> {
        self.starts[class]..self.starts[class + 1]
    }

    /// The members of a class.
    pub(in crate::sampler) fn members(&self, class: usize) -> &[u32] {
        &self.members[self.range(class)]
    }

    /// The members of all classes.
    pub(in crate::sampler) fn all(&self) -> &[u32] {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_by_class_and_in_order() {
        let class = |member: u32| [Some(3), Some(0), None, Some(3), Some(1)][member as usize];
        let grouped = Grouped::of(5, 5, class);
        assert_eq!(grouped.all(), [1, 4, 0, 3]);
        let members = |grouped: &Grouped| (0..grouped.classes()).map(|at| grouped.members(at).to_vec()).collect::<Vec<_>>();
        assert_eq!(members(&grouped), [vec![1], vec![4], vec![], vec![0, 3], vec![]]);
        assert_eq!(members(&grouped.without_empty()), [vec![1], vec![4], vec![0, 3]]);
        assert_eq!(Grouped::of(0, 3, |_| None).without_empty().classes(), 0);
        assert_eq!(Grouped::of(4, 3, |_| None).without_empty().classes(), 0);
    }
}
