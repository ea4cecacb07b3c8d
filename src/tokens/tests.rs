use std::collections::{BTreeMap, BTreeSet};

use relata_schema::{Direction, Schema, Transform, Value};

use super::*;
use crate::planted;
use crate::sampler::{Retrieval, Sampler, SamplerConfig, Subgraph, Walk};
use crate::snapshot::{EdgeColumn, Hit, Snapshot, SnapshotWriter};
use crate::task::{AttentionKind, ResolvedTask, Task};

fn sampler(snapshot: &Snapshot, task: &ResolvedTask, retrieval: Option<Retrieval>) -> Sampler {
    let context = &task.task.context;
    let costs = Columns::of(snapshot, task).costs();
    let walk = Walk::Context { tokens: context.tokens, hops: context.hops, width: context.width, width_of: Vec::new(), costs };
    let config = SamplerConfig { seed: 1, retrieval, ..SamplerConfig::new(walk, task.relations.clone()) };
    Sampler::new(snapshot, config).unwrap()
}

fn subgraphs(snapshot: &Snapshot, task: &ResolvedTask, rows: &[u32]) -> Vec<Subgraph> {
    let seeds: Vec<Hit> = rows.iter().map(|&node| Hit { node_type: task.node_type, node }).collect();
    sampler(snapshot, task, None).sample_each(&seeds, 0).unwrap()
}

/// Contexts of all cells; those before `training` trained.
fn encoded(settings: &str, cells: u32, training: u32) -> (Snapshot, ResolvedTask, Vocabulary, Vec<Context>) {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = planted::snapshot(folder.path(), cells, 5);
    let task = planted::task(&snapshot, settings);
    let rows: Vec<u32> = (0..training).collect();
    let vocabulary = Vocabulary::learn(&snapshot, &task, &subgraphs(&snapshot, &task, &rows), &rows);
    let encoder = Encoder::new(&snapshot, &task, &vocabulary, &rows).unwrap();
    let all: Vec<u32> = (0..cells).collect();
    let contexts = subgraphs(&snapshot, &task, &all).iter().map(|subgraph| encoder.encode(subgraph)).collect();
    (snapshot, task, vocabulary, contexts)
}

#[test]
fn a_cells_tokens_are_its_attributes_and_one_for_each_gene_with_its_value() {
    let (snapshot, _, vocabulary, contexts) = encoded("[context]\nhops = 1", 30, 20);
    let schema = snapshot.schema();
    let expresses = schema.relation("expresses").unwrap();
    assert_eq!(schema.edge(expresses).attributes[0].transform, Transform::Log1pPer10k);
    let adjacency = snapshot.adjacency(expresses, Direction::Outgoing);
    let count = schema.edge_attribute(expresses, "count").unwrap();
    let EdgeColumn::Number(counts) = snapshot.edge_column(expresses, Direction::Outgoing, count) else { panic!() };
    let column = vocabulary.columns.iter().position(|column| column.title == "cell.expresses.gene>count").unwrap();
    let learnt = &vocabulary.columns[column];
    // The scale is that of the training cells' values, computed here from the definition.
    let value = |cell: u32, at: usize| {
        let total: f64 = counts[adjacency.range(cell)].iter().map(|&count| f64::from(count)).sum();
        (10_000.0 * f64::from(counts[at]) / total).ln_1p()
    };
    let trained: Vec<f64> =
        (0..20).flat_map(|cell| adjacency.range(cell).map(move |at| (cell, at))).map(|(cell, at)| value(cell, at)).collect();
    let mean = trained.iter().sum::<f64>() / trained.len() as f64;
    let deviation = (trained.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / trained.len() as f64).sqrt();
    assert!((learnt.mean - mean).abs() < 1e-4 && (learnt.deviation - deviation).abs() < 1e-4, "{learnt:?}, {mean} {deviation}");
    for (cell, context) in (0..).zip(&contexts) {
        let range = adjacency.range(cell);
        assert_eq!(context.tokens.len(), 1 + range.len(), "the target, and a token an expressed gene");
        let found: BTreeMap<u32, f32> = context
            .tokens
            .iter()
            .filter(|token| usize::from(token.column) == column)
            .map(|token| (token.identity, token.number))
            .collect();
        let expected: Vec<f32> = range.map(|at| ((value(cell, at) - mean) / deviation) as f32).collect();
        assert!(found.values().zip(&expected).all(|(one, other)| (one - other).abs() < 1e-3), "cell {cell}");
    }
}

#[test]
fn columns_have_words_and_meanings() {
    let (_, _, vocabulary, contexts) = encoded("[context]\nhops = 2\n[model]\ntext = 32", 12, 12);
    let symbol = vocabulary.columns.iter().position(|column| column.title == "gene.symbol").unwrap();
    for (title, phrase, semantic, kind) in [
        ("cell.celltype", "celltype of cell", SemanticType::Text, ColumnKind::Category),
        ("gene.symbol", "symbol of gene", SemanticType::Text, ColumnKind::Vector(32)),
        ("cell.expresses.gene>count", "count of cell expresses gene", SemanticType::Number, ColumnKind::Number),
        ("cell.expresses.gene<count", "count of cell expresses gene, reversed", SemanticType::Number, ColumnKind::Number),
        ("gene.annotated_with.term>", "gene annotated with term", SemanticType::Link, ColumnKind::Link),
    ] {
        let column = vocabulary.columns.iter().find(|column| column.title == title).unwrap();
        assert_eq!((column.phrase().as_str(), column.semantic, column.kind), (phrase, semantic, kind));
    }
    let symbols = contexts[0].vectors.iter().find(|(column, _)| usize::from(*column) == symbol).unwrap();
    assert!(symbols.1.chunks(32).any(|vector| vector == features::text("SYM0", 32)));
}

#[test]
fn booleans_are_standardised_as_numbers_are() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Schema::biology();
    let term = schema.node_type("term").unwrap();
    let mut writer = SnapshotWriter::create(folder.path(), &schema).unwrap();
    writer.nodes(term, &["GO:1", "GO:2", "GO:3", "GO:4"].map(str::to_owned)).unwrap();
    let obsolete = [true, false, false, false].map(|truth| Some(Value::Boolean(truth)));
    writer.column(term, schema.node_attribute(term, "obsolete").unwrap(), &obsolete).unwrap();
    writer.publish(&[]).unwrap();
    let snapshot = Snapshot::current(folder.path()).unwrap();
    let task = Task::parse("[task]\nnode = \"term\"\ntarget = \"obsolete\"", "task.toml", &schema).unwrap();
    let rows = [0, 1, 2, 3];
    let vocabulary = Vocabulary::learn(&snapshot, &task, &subgraphs(&snapshot, &task, &rows), &rows);
    let column = vocabulary.target_column();
    assert_eq!((column.semantic, column.categories.len()), (SemanticType::Boolean, 2));
    assert!((column.mean - 0.25).abs() < 1e-9 && (column.deviation - 0.1875_f64.sqrt()).abs() < 1e-9, "{column:?}");
}

#[test]
fn no_target_is_in_any_token_but_those_of_training_rows_beside_the_seed() {
    // Three hops: cell, gene, other cells with their attributes.
    let settings = "[context]\nhops = 3\ntokens = 4000";
    let (snapshot, task, vocabulary, contexts) = encoded(settings, 24, 16);
    let target = vocabulary.target;
    let mut shown_beside = 0;
    for context in &contexts {
        for (at, token) in context.tokens.iter().enumerate() {
            if token.column != target {
                continue;
            }
            if at == context.target as usize {
                assert_eq!(token.state, State::Masked);
            } else {
                assert_ne!(token.state, State::Masked);
                shown_beside += usize::from(token.state == State::Shown);
            }
        }
        let titles: BTreeSet<&str> =
            context.tokens.iter().map(|token| vocabulary.columns[usize::from(token.column)].title.as_str()).collect();
        assert!(!titles.iter().any(|title| title.contains("has_type")), "{titles:?}");
    }
    assert!(shown_beside > 0, "the guard must not drop more than it should");
    // Which labels are shown: exactly those of training cells that have one. Of one cell seen from all others.
    let encoder = Encoder::new(&snapshot, &task, &vocabulary, &(0..16).collect::<Vec<_>>()).unwrap();
    let seeds: Vec<Hit> = (0..24).map(|node| Hit { node_type: task.node_type, node }).collect();
    let beside = Retrieval { walks: 50, steps: 4, rows: 8 };
    let retrieved = sampler(&snapshot, &task, Some(beside)).sample_each(&seeds, 0).unwrap();
    assert!(retrieved.iter().all(|subgraph| subgraph.retrieved.len() == 8), "rows beside the seed");
    for subgraph in subgraphs(&snapshot, &task, &(0..24).collect::<Vec<_>>()).into_iter().chain(retrieved) {
        let context = encoder.encode(&subgraph);
        let cells: Vec<_> = subgraph.nodes.iter().filter(|node| node.node_type == task.node_type && node.hop < 3).collect();
        let states: Vec<State> = context.tokens.iter().filter(|token| token.column == target).map(|token| token.state).collect();
        assert_eq!(states.len(), cells.len());
        for (at, (cell, state)) in cells.iter().zip(states).enumerate() {
            let expected = match cell.node {
                _ if at == 0 => State::Masked,
                node if node < 16 && node % 7 != 6 => State::Shown,
                _ => State::Missing,
            };
            assert_eq!(state, expected, "cell {}", cell.node);
        }
    }
}

#[test]
fn attention_sees_what_its_kind_says_in_a_hand_worked_context() {
    // Row 0: a cell with tokens 0 and 1. Row 1: it expresses gene X, of which there is no row (token 2). Row 2: it expresses
    // gene Y (token 3), whose row 4 has token 5. Row 3: the cell has a type, not contained (token 4). Row 5: gene Y is
    // regulated by a region known by identity (token 6); the gene contains it.
    let row = |tokens, parents, upper, lower| Row { tokens, parents, upper, lower };
    let rows = vec![
        row(0..2, [NO_ROW; 2], NO_ROW, NO_ROW),
        row(2..3, [0, NO_ROW], 0, NO_ROW),
        row(3..4, [0, 4], 0, 4),
        row(4..5, [0, NO_ROW], NO_ROW, NO_ROW),
        row(5..6, [NO_ROW; 2], NO_ROW, NO_ROW),
        row(6..7, [4, NO_ROW], 4, NO_ROW),
    ];
    let columns = [0, 1, 2, 2, 3, 4, 5];
    let tokens = columns.map(|column| Token { column, state: State::Shown, identity: 0, number: 0.0, code: 0 }).to_vec();
    let context = Context { rows, tokens, row_of: vec![0, 0, 1, 2, 3, 4, 5], vectors: Vec::new(), target: 0 };
    let seen = |token, kind| visible(&context, token, kind).into_iter().flatten().collect::<Vec<u32>>();
    use AttentionKind::{Column, Down, Full, Neighbour, Row as OwnRow, Up};
    for (token, kind, expected) in [
        (0, Column, vec![0]),
        (2, Column, vec![2, 3]),
        (0, OwnRow, vec![0, 1]),
        (2, OwnRow, vec![0, 1, 2]),
        (3, OwnRow, vec![0, 1, 3, 5]),
        (0, Neighbour, vec![2, 3, 4]),
        (5, Neighbour, vec![3, 6]),
        (3, Neighbour, vec![]),
        (0, Down, vec![2, 3, 5]),
        (5, Down, vec![6]),
        (3, Down, vec![5]),
        (2, Down, vec![]),
        (5, Up, vec![0, 1, 3]),
        (3, Up, vec![0, 1]),
        (6, Up, vec![5]),
        (4, Up, vec![]),
        (0, Up, vec![]),
        (4, Full, vec![0, 1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(seen(token, kind), expected, "token {token}, {kind:?}");
    }
}

#[test]
fn a_batch_embeds_only_what_the_answer_can_depend_on() {
    let (_, task, vocabulary, contexts) = encoded("[context]\nhops = 2\ntokens = 500", 12, 12);
    let kinds: Vec<ColumnKind> = vocabulary.columns.iter().map(|column| column.kind).collect();
    let reads: Vec<Vec<u32>> = contexts.iter().map(|context| vec![context.target]).collect();
    let embedded =
        |blocks: &[Vec<AttentionKind>]| Batch::new(&contexts.iter().collect::<Vec<_>>(), &reads, blocks, &kinds).numbers.len();
    let all: usize = contexts.iter().map(|context| context.tokens.len()).sum();
    let cells_only = embedded(&[vec![AttentionKind::Row]]);
    assert_eq!(cells_only, contexts.len(), "cells have no other shown attribute than the target here");
    assert_eq!(embedded(&[vec![AttentionKind::Full]]), all);
    let down: usize = contexts
        .iter()
        .map(|context| 1 + visible(context, context.target, AttentionKind::Down).iter().map(|range| range.len()).sum::<usize>())
        .sum();
    assert_eq!(embedded(&[vec![AttentionKind::Down]]), down);
    assert!(down < all && down > cells_only);
    assert_eq!(task.task.context.hops, 2);
}
