use std::sync::Arc;

use relata_schema::{AttributeId, NodeTypeId};

use super::ResolvedTask;
use crate::snapshot::Snapshot;

/// Which values of nodes a context of a task may show: the one place that says so, for tokens and for other programs. (The
/// relations that a task hides are not walked.)
///
/// **Invariants:** no target of a seed is ever shown, nor is what the task says is derived from a target, of any node. The
/// targets of another node are shown where it is labelled, and nowhere else: so no label of a group that is held out is seen
/// in training. Everything else is shown.
#[derive(Clone, Debug)]
pub struct Guard {
    targets: Vec<(NodeTypeId, AttributeId)>,
    hidden: Vec<(NodeTypeId, AttributeId)>,
    /// By node type and node; empty for a type of which none is.
    labelled: Vec<Arc<[bool]>>,
}

impl Guard {
    /// `labelled` are the nodes of the task's type whose targets may be seen where they are met beside a seed: training rows, and
    /// no others.
    pub fn new(snapshot: &Snapshot, task: &ResolvedTask, labelled: &[u32]) -> Self {
        let none: Arc<[bool]> = Arc::new([]);
        let targets: Vec<_> = task.targets().collect();
        // Those that are listed once are hidden as targets alone; a target that `hide` names is listed twice.
        let hidden = &task.hidden_attributes;
        let is_derived =
            |one: &&(NodeTypeId, AttributeId)| !targets.contains(one) || hidden.iter().filter(|other| other == one).count() > 1;
        let hidden = hidden.iter().filter(is_derived).copied().collect();
        let mut guard = Self { targets, hidden, labelled: vec![none; snapshot.schema().node_types().len()] };
        guard.label(snapshot, task.node_type, labelled);
        guard
    }

    /// Says which nodes of a type are labelled, instead of what was said before.
    pub fn label(&mut self, snapshot: &Snapshot, node_type: NodeTypeId, labelled: &[u32]) {
        let mut is_labelled = vec![false; snapshot.node_count(node_type) as usize];
        for &node in labelled {
            if let Some(is_labelled) = is_labelled.get_mut(node as usize) {
                *is_labelled = true;
            }
        }
        self.labelled[node_type.index()] = is_labelled.into();
    }

    /// Whether a node's value of an attribute may be shown.
    pub fn shows(&self, node_type: NodeTypeId, attribute: AttributeId, node: u32, is_seed: bool) -> bool {
        if self.hidden.contains(&(node_type, attribute)) {
            return false;
        }
        !self.targets.contains(&(node_type, attribute))
            || (!is_seed && self.labelled[node_type.index()].get(node as usize) == Some(&true))
    }
}

#[cfg(test)]
mod tests {
    use relata_schema::Schema;

    use super::*;
    use crate::snapshot::SnapshotWriter;
    use crate::task::Task;

    #[test]
    fn it_shows_all_but_the_target_of_seeds_and_of_rows_that_are_not_labelled_and_what_is_derived_from_it() {
        let (store, schema) = (tempfile::tempdir().unwrap(), Schema::biology());
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let cell = schema.node_type("cell").unwrap();
        writer.nodes(cell, &["a", "b", "c"].map(String::from)).unwrap();
        writer.publish(&[]).unwrap();
        let text = "[task]\nnode = \"cell\"\ntarget = \"celltype\"\nhide = [\"cell.subpopulation\", \"tissue.name\"]";
        let task = Task::parse(text, "t.toml", &schema).unwrap();
        let guard = Guard::new(&Snapshot::current(store.path()).unwrap(), &task, &[0, 2, 99]);
        let mut hidden = Vec::new();
        for node_type in schema.node_type_ids() {
            for (id, attribute) in (0..).map(AttributeId).zip(&schema.node(node_type).attributes) {
                for node in 0..4 {
                    for is_seed in [false, true] {
                        if !guard.shows(node_type, id, node, is_seed) {
                            hidden.push((schema.node(node_type).name.as_str(), attribute.name.as_str(), node, is_seed));
                        }
                    }
                }
            }
        }
        let mut expected = Vec::new();
        for node in 0..4 {
            for is_seed in [false, true] {
                expected.push(("cell", "subpopulation", node, is_seed));
                expected.push(("tissue", "name", node, is_seed));
                if is_seed || ![0, 2].contains(&node) {
                    expected.push(("cell", "celltype", node, is_seed));
                }
            }
        }
        hidden.sort_unstable();
        expected.sort_unstable();
        assert_eq!(hidden, expected);
    }

    #[test]
    fn every_target_is_hidden_of_seeds_and_shown_of_labelled_rows_but_where_it_is_to_be_hidden() {
        let (store, schema) = (tempfile::tempdir().unwrap(), Schema::biology());
        let mut writer = SnapshotWriter::create(store.path(), &schema).unwrap();
        let [cell, gene] = ["cell", "gene"].map(|name| schema.node_type(name).unwrap());
        writer.nodes(cell, &["a", "b"].map(String::from)).unwrap();
        writer.nodes(gene, &["g", "h"].map(String::from)).unwrap();
        writer.publish(&[]).unwrap();
        let snapshot = Snapshot::current(store.path()).unwrap();
        let text = "[task]\nnode = \"cell\"\ntarget = \"celltype\"\nhide = [\"cell.batch\"]\n[[also]]\ntarget = \"batch\"\n\
                    [[also]]\nnode = \"gene\"\ntarget = \"biotype\"\n[[also]]\nlink = \"expresses\"\n";
        let task = Task::parse(text, "t.toml", &schema).unwrap();
        let mut guard = Guard::new(&snapshot, &task, &[0]);
        guard.label(&snapshot, gene, &[1]);
        let shown = |node_type, name, is_seed| {
            let attribute = schema.node_attribute(node_type, name).unwrap();
            [0, 1].map(|node| guard.shows(node_type, attribute, node, is_seed))
        };
        assert_eq!(shown(cell, "celltype", false), [true, false]);
        assert_eq!(shown(gene, "biotype", false), [false, true]);
        assert_eq!(shown(cell, "batch", false), [false, false]);
        assert_eq!(shown(cell, "condition", true), [true, true]);
        for (node_type, name) in [(cell, "celltype"), (cell, "batch"), (gene, "biotype")] {
            assert_eq!(shown(node_type, name, true), [false, false]);
        }
    }
}
