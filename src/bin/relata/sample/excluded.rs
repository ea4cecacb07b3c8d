use std::path::Path;

use anyhow::{Context, ensure};
use relata::snapshot::Snapshot;
use relata_schema::RelationId;

/// The edges that a file lists, which no walk takes: in each line a relation and the keys of a source and a target, with tabs
/// between them.
pub fn excluded(snapshot: &Snapshot, path: &Path) -> anyhow::Result<Vec<(RelationId, u32, u32)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--exclude {}", path.display()))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| edge(snapshot, line).with_context(|| format!("{}, line {number}", path.display()))).collect()
}

fn edge(snapshot: &Snapshot, line: &str) -> anyhow::Result<(RelationId, u32, u32)> {
    let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
    ensure!(
        columns.len() == 3,
        "found {} columns, expected 3, with tabs between them: relation, key of the source, key of the target",
        columns.len()
    );
    let schema = snapshot.schema();
    let relation = schema.relation(columns[0])?;
    let ends = schema.edge(relation);
    Ok((relation, snapshot.resolve(ends.source, columns[1])?, snapshot.resolve(ends.target, columns[2])?))
}

#[cfg(test)]
mod tests {
    use relata::snapshot::{EdgeData, SnapshotWriter};
    use relata_schema::Schema;

    use super::*;

    #[test]
    fn edges_are_read_by_the_keys_of_their_ends_and_mistakes_by_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::biology();
        let mut writer = SnapshotWriter::create(folder.path(), &schema).unwrap();
        let expresses = schema.relation("expresses").unwrap();
        writer.nodes(schema.node_type("cell").unwrap(), &["c1", "c2"].map(String::from)).unwrap();
        writer.nodes(schema.node_type("gene").unwrap(), &["CD4", "CD8A"].map(String::from)).unwrap();
        writer.relation(expresses, &EdgeData { sources: vec![0, 1], targets: vec![1, 1], ..EdgeData::default() }).unwrap();
        writer.publish(&[]).unwrap();
        let snapshot = Snapshot::current(folder.path()).unwrap();
        let file = folder.path().join("edges.tsv");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            excluded(&snapshot, &file).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(read("expresses\tc2\tCD8A\n\nexpresses\tc1\tCD4\n"), Ok(vec![(expresses, 1, 1), (expresses, 0, 0)]));
        for (text, expected) in [
            ("expresses\tc1\tCD4\nexpresses c1 CD4\n", "line 2: found 1 columns, expected 3"),
            ("expreses\tc1\tCD4\n", "did you mean `expresses`"),
            ("expresses\tc1\tCD9\n", "line 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
