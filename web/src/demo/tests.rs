use std::collections::BTreeMap;

use relata::snapshot::{EdgeColumn, Snapshot};
use relata::task::Task;
use relata_schema::{Direction, Value};

use super::organism::kinds::{CELL_TYPES, DONORS, TISSUES};
use super::*;

fn loaded(seed: u64) -> (tempfile::TempDir, Organism, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let organism = write(folder.path(), seed).unwrap();
    let store = load(folder.path(), true).unwrap();
    let snapshot = Snapshot::current(&store).unwrap();
    (folder, organism, snapshot)
}

/// Far nodes' keys and the first edge attribute of a node.
fn edges(snapshot: &Snapshot, relation: &str, direction: Direction, key: &str, attribute: &str) -> BTreeMap<String, f32> {
    let id = snapshot.schema().relation(relation).unwrap();
    let edge = snapshot.schema().edge(id);
    let (near, far) = match direction {
        Direction::Outgoing => (edge.source, edge.target),
        Direction::Incoming => (edge.target, edge.source),
    };
    let adjacency = snapshot.adjacency(id, direction);
    let column = edge.attribute(attribute).map(|attribute| snapshot.edge_column(id, direction, attribute));
    let node = snapshot.find(near, key).unwrap_or_else(|| panic!("no {key}"));
    let number = |at: usize| match column {
        Some(EdgeColumn::Number(numbers)) => numbers[at],
        _ => f32::NAN,
    };
    adjacency.range(node).map(|at| (snapshot.key(far, adjacency.targets[at]).to_owned(), number(at))).collect()
}

#[test]
fn the_store_holds_the_organism_and_nothing_else() {
    let (_folder, organism, snapshot) = loaded(SEED);
    let schema = snapshot.schema();
    let transcripts: usize = organism.genes.iter().map(|gene| gene.transcripts.len()).sum();
    let nodes = BTreeMap::from([
        ("gene", organism.genes.len()),
        ("transcript", transcripts),
        ("region", organism.regions.len()),
        ("cell", organism.cells.len()),
        ("cell_type", CELL_TYPES.len()),
        ("tissue", TISSUES.len()),
        ("donor", DONORS.len()),
        ("term", organism.programmes.len()),
    ]);
    for node_type in schema.node_types() {
        let found = snapshot.node_count(schema.node_type(&node_type.name).unwrap());
        assert_eq!(found as usize, nodes.get(node_type.name.as_str()).copied().unwrap_or(0), "{}", node_type.name);
    }
    let labelled = organism.cells.iter().filter(|cell| cell.is_labelled).count();
    let relations = BTreeMap::from([
        ("cell.expresses.gene", organism.cells.iter().map(|cell| cell.counts.len()).sum()),
        ("cell.has_type.cell_type", labelled),
        ("cell.from_donor.donor", organism.cells.len()),
        ("cell.from_tissue.tissue", organism.cells.len()),
        ("gene.transcribed_to.transcript", transcripts),
        ("region.regulates.gene", organism.reported_links.len()),
        ("gene.interacts.gene", organism.interactions.len()),
        ("gene.annotated_with.term", organism.annotations.len()),
        ("term.is_a.term", organism.programmes.iter().filter(|programme| programme.parent.is_some()).count()),
        ("cell_type.is_a.cell_type", CELL_TYPES.iter().filter(|cell_type| cell_type.parent.is_some()).count()),
        ("cell_type.part_of.tissue", CELL_TYPES.iter().filter(|cell_type| cell_type.tissue.is_some()).count()),
        ("tissue.is_a.tissue", TISSUES.iter().filter(|tissue| tissue.kind_of.is_some()).count()),
        ("tissue.part_of.tissue", TISSUES.iter().filter(|tissue| tissue.part_of.is_some()).count()),
    ]);
    for id in schema.relation_ids() {
        let title = schema.relation_title(id);
        assert_eq!(snapshot.edge_count(id) as usize, relations.get(title.as_str()).copied().unwrap_or(0), "{title}");
    }
}

#[test]
fn values_are_those_of_the_organism() {
    let (_folder, organism, snapshot) = loaded(SEED);
    let schema = snapshot.schema();
    let value = |node_type: &str, key: &str, attribute: &str| {
        let node_type = schema.node_type(node_type).unwrap();
        let node = snapshot.find(node_type, key).unwrap_or_else(|| panic!("no {node_type:?} {key}"));
        snapshot.value(node_type, schema.node_attribute(node_type, attribute).unwrap(), node)
    };
    for gene in &organism.genes {
        assert_eq!(value("gene", &gene.id, "symbol"), Some(Value::Text(gene.symbol.clone())));
        assert_eq!(value("gene", &gene.id, "locus"), Some(Value::Interval(gene.locus.clone())));
    }
    for region in &organism.regions {
        assert_eq!(value("region", &region.key(), "locus"), Some(Value::Interval(region.locus.clone())));
        assert_eq!(value("region", &region.key(), "signal"), Some(Value::Number(region.signal)));
        let sequence = Value::Sequence(organism.sequence(region).to_owned());
        assert_eq!(value("region", &region.key(), "sequence"), Some(sequence));
    }
    for cell in &organism.cells {
        let name = cell.is_labelled.then(|| Value::Category(CELL_TYPES[cell.cell_type].name.to_owned()));
        assert_eq!(value("cell", &cell.barcode, "celltype"), name);
        let total = cell.counts.iter().map(|&(_, count)| f64::from(count)).sum();
        assert_eq!(value("cell", &cell.barcode, "total_counts"), Some(Value::Number(total)));
        let out = |relation, attribute| edges(&snapshot, relation, Direction::Outgoing, &cell.barcode, attribute);
        let expected: BTreeMap<String, f32> =
            cell.counts.iter().map(|&(gene, count)| (organism.genes[gene as usize].id.clone(), count as f32)).collect();
        assert_eq!(out("expresses", "count"), expected);
        let types: Vec<String> = out("has_type", "").into_keys().collect();
        assert_eq!(types, if cell.is_labelled { vec![CELL_TYPES[cell.cell_type].id] } else { vec![] });
        assert_eq!(out("from_tissue", "").into_keys().collect::<Vec<_>>(), [TISSUES[cell.tissue].id]);
        assert_eq!(out("from_donor", "").into_keys().collect::<Vec<_>>(), [DONORS[cell.donor].id]);
    }
    for (place, gene) in organism.genes.iter().enumerate() {
        let into = edges(&snapshot, "regulates", Direction::Incoming, &gene.id, "score");
        let links = organism.reported_links.iter().filter(|link| link.gene == place);
        assert_eq!(into, links.map(|link| (organism.regions[link.region].key(), link.score as f32)).collect());
        let terms = edges(&snapshot, "annotated_with", Direction::Outgoing, &gene.id, "");
        let expected = organism.annotations.iter().filter(|(gene, _)| *gene == place);
        assert!(terms.into_keys().eq(expected.map(|&(_, programme)| organism.programmes[programme].id.to_owned())));
        let pairs = organism.interactions.iter().filter_map(|pair| match (pair.first == place, pair.second == place) {
            (true, _) => Some((organism.genes[pair.second].id.clone(), pair.score as f32)),
            (_, true) => Some((organism.genes[pair.first].id.clone(), pair.score as f32)),
            _ => None,
        });
        assert_eq!(edges(&snapshot, "interacts", Direction::Outgoing, &gene.id, "score"), pairs.collect());
    }
    // The helper programme is one of T cells, which is one of lymphocytes.
    let wider = edges(&snapshot, "term.is_a.term", Direction::Outgoing, "PROGRAMME:04", "");
    assert_eq!(wider.into_keys().collect::<Vec<_>>(), ["PROGRAMME:03"]);
    assert_eq!(value("term", "PROGRAMME:04", "namespace"), Some(Value::Category("programme".to_owned())));
    assert_eq!(value("donor", "donor_2", "age"), Some(Value::Number(57.0)));
    assert_eq!(value("cell_type", "CL:9000004", "name"), Some(Value::Text("helper T cell".to_owned())));
}

#[test]
fn the_report_counts_what_is_left_out() {
    let (_folder, organism, snapshot) = loaded(SEED);
    let exons: usize = organism.genes.iter().flat_map(|gene| &gene.transcripts).map(|transcript| transcript.exons.len()).sum();
    let left_out: BTreeMap<&str, u64> = (snapshot.sources().iter())
        .map(|source| (source.name.as_str(), source.tally.drops.iter().map(|drop| drop.count).sum()))
        .filter(|&(_, count)| count > 0)
        .collect();
    let unlabelled = organism.cells.iter().filter(|cell| !cell.is_labelled).count();
    let expected = BTreeMap::from([
        ("genes", exons as u64),
        ("cells", unlabelled as u64),
        ("interactions", organism.withdrawn.len() as u64),
    ]);
    assert_eq!(left_out, expected);
}

#[test]
fn a_second_call_changes_nothing_and_another_seed_replaces_everything() {
    let (folder, organism, snapshot) = loaded(SEED);
    let written = |name: &str| fs::metadata(folder.path().join(name)).unwrap().modified().unwrap();
    let before: Vec<_> = files::ALL.iter().map(|(name, _)| written(name)).collect();
    assert!(write(folder.path(), SEED).unwrap() == organism);
    assert_eq!(files::ALL.iter().map(|(name, _)| written(name)).collect::<Vec<_>>(), before);
    let store = load(folder.path(), true).unwrap();
    assert_eq!(Snapshot::current(&store).unwrap().id(), snapshot.id());

    let other = write(folder.path(), SEED + 1).unwrap();
    let snapshot = Snapshot::current(&load(folder.path(), true).unwrap()).unwrap();
    let cell = snapshot.schema().node_type("cell").unwrap();
    assert_eq!(snapshot.node_count(cell) as usize, other.cells.len());
    assert!(other.cells.iter().all(|known| snapshot.find(cell, &known.barcode).is_some()));
}

#[test]
fn a_file_that_is_gone_or_half_written_is_written_again_and_a_foreign_folder_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("made/as/needed");
    write(&inner, SEED).unwrap();
    let genes = fs::read(inner.join("genes.gtf")).unwrap();
    fs::remove_file(inner.join("genes.gtf")).unwrap();
    write(&inner, SEED).unwrap();
    assert_eq!(fs::read(inner.join("genes.gtf")).unwrap(), genes);
    fs::write(inner.join("genes.gtf"), "half").unwrap();
    marker::write(&inner, SEED, false).unwrap();
    write(&inner, SEED).unwrap();
    assert_eq!(fs::read(inner.join("genes.gtf")).unwrap(), genes);

    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.tex"), "years").unwrap();
    let shown = format!("{:#}", write(foreign.path(), SEED).unwrap_err());
    assert!(shown.contains("found other things here, expected an empty folder"), "{shown}");
    assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 1);
}

#[test]
fn the_task_fits_the_schema_and_hides_the_label() {
    let (folder, _organism, snapshot) = loaded(SEED);
    let task = Task::read(&task(folder.path()), snapshot.schema()).unwrap();
    let title = |id| snapshot.schema().relation_title(id);
    assert_eq!(task.hidden_relations.iter().map(|&id| title(id)).collect::<Vec<_>>(), ["cell.has_type.cell_type"]);
    assert_eq!(snapshot.schema().node(task.node_type).attributes[task.target.index()].name, "celltype");
}

/// Training finds what was planted: types beyond the most frequent one, and programmes beyond chance.
#[test]
fn what_was_planted_is_learnt() {
    let (folder, organism, snapshot) = loaded(SEED);
    let store = folder.path().join(STORE);
    let learnt = learn(folder.path(), &store, &organism, true).unwrap().expect("nothing was learnt before");
    assert!(learnt.held_out > 200);
    assert!(learnt.accuracy > learnt.majority + 0.5, "{learnt}");
    assert!(learnt.same_programme > 3.0 * learnt.same_by_chance, "{learnt}");
    let tables = relata::embedding::EmbeddingTable::list(&store).unwrap();
    assert!(tables.iter().all(|table| table.snapshot == snapshot.id().as_str() && table.model == MODEL));
    let cells = tables.iter().find(|table| table.node_type == "cell").unwrap();
    assert_eq!((cells.count as usize, cells.has_layout), (organism.cells.len(), true));
    assert_eq!(learn(folder.path(), &store, &organism, true).unwrap(), None);
}
