//! Human genes, blood cells, ontologies, networks, annotations, tissues and regions in one store: every count beside the
//! files' own, and facts that were looked up in the files by hand.

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use relata::snapshot::{EdgeColumn, NodeColumn, Snapshot};
use relata_schema::{Direction, Tally, Value};
use support::{human_blood, real_data};

/// The lines of a file, decompressed where its name says so.
fn lines(path: &Path) -> Vec<String> {
    let file = File::open(path).unwrap();
    let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
    let text: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    BufReader::new(text).lines().map(Result::unwrap).collect()
}

fn tally(name: &str) -> Tally {
    human_blood().unwrap().report.source(name).unwrap_or_else(|| panic!("no source {name}")).tally.clone()
}

fn dropped(tally: &Tally) -> u64 {
    tally.drops.iter().map(|drop| drop.count).sum()
}

/// The keys at the far ends of a node's edges, sorted.
fn neighbors(snapshot: &Snapshot, relation: &str, direction: Direction, key: &str) -> Vec<String> {
    let id = snapshot.schema().relation(relation).unwrap();
    let edge = snapshot.schema().edge(id);
    let node = snapshot.find(edge.near(direction), key).unwrap_or_else(|| panic!("no node has the key {key}"));
    let far = snapshot.adjacency(id, direction).neighbors(node).iter();
    let mut keys: Vec<String> = far.map(|&far| snapshot.key(edge.far(direction), far).to_owned()).collect();
    keys.sort();
    keys
}

/// The number that an attribute has on the edge between two nodes.
fn number(snapshot: &Snapshot, relation: &str, ends: [&str; 2], attribute: &str) -> f32 {
    let id = snapshot.schema().relation(relation).unwrap();
    let edge = snapshot.schema().edge(id);
    let source = snapshot.find(edge.source, ends[0]).unwrap_or_else(|| panic!("no node has the key {}", ends[0]));
    let adjacency = snapshot.adjacency(id, Direction::Outgoing);
    let column = snapshot.edge_column(id, Direction::Outgoing, snapshot.schema().edge_attribute(id, attribute).unwrap());
    let EdgeColumn::Number(numbers) = column else { panic!("{attribute} is no number") };
    let is_it = |edge_at: &usize| snapshot.key(edge.target, adjacency.targets[*edge_at]) == ends[1];
    numbers[adjacency.range(source).find(is_it).unwrap_or_else(|| panic!("no edge between {ends:?}"))]
}

const CD3D: &str = "ENSG00000167286";

/// What each source read is what its file holds, by its lines and by what its origin says of it; and what it did not keep
/// is explained.
#[test]
fn counts_are_those_of_the_files() {
    let (Some(data), Some(_)) = (real_data(), human_blood()) else { return };
    let rows =
        |path: &str| lines(&data.join(path)).iter().filter(|line| !line.is_empty() && !line.starts_with('#')).count() as u64;
    let terms = |path: &str| lines(&data.join(path)).iter().filter(|line| *line == "[Term]").count() as u64;
    let go = lines(&data.join("go_annotations/GO_annotations-9606-direct-expev.tsv.gz"));
    let pairs: usize = go[1..].iter().map(|line| line.split('\t').nth(6).unwrap().split('|').count()).sum();
    let bgee = lines(&data.join("tissue_expression/present-in-adult.tsv.gz"));
    let header: Vec<&str> = bgee[0].split('\t').collect();
    let ones = |prefix: &str| {
        let is_one =
            |line: &String| line.split('\t').zip(&header).filter(|(cell, name)| *cell == "1" && name.starts_with(prefix)).count();
        bgee[1..].iter().map(is_one).sum::<usize>() as u64
    };
    let genes = "genes_tables/genes_homo_sapiens.csv.gz";
    let regions = "regions_K562_chr22_ABC";
    let crispri = "perturb_crispri_enhancer_gene/EPCrisprBenchmark_combined_data.training_K562.GRCh38.tsv.gz";
    let predicted = format!("{regions}/EnhancerPredictionsFull_threshold0.027_self_promoter.tsv");
    // Source, rows that are in the file, rows that are kept. A join of the same files that was written apart from this
    // program, in Python, kept as many; where identity resolution changes, it shows here.
    let expected = [
        ("genes", rows(genes), 78_894),
        ("gene loci", rows("genes_tables/human_ensembl_latest.csv.gz") - 1, 78_677),
        ("gene identifiers", rows("genes_tables/Homo_sapiens.gene_info.gz"), 33_540),
        ("cell ontology", terms("ontologies/cl-basic_2022-12-15.obo"), 2795),
        ("uberon", terms("ontologies/uberon_full_old.obo"), 4958),
        ("gene ontology terms", go.len() as u64 - 1, 11_345),
        ("pbmc", 2_702_861, 2_702_861),
        ("protein interactions", rows("networks_gene_gene/protein-interactions.txt.gz") - 1, 95_857),
        ("collectri", rows("networks_gene_gene/collectri.csv") - 1, 42_166),
        ("gene ontology annotations", pairs as u64, 94_846),
        ("bgee tissues", ones("UBERON:"), 1_104_704),
        ("bgee cell types", ones("CL:"), 40_938),
        ("k562 peaks", rows(&format!("{regions}/macs2_peaks.narrowPeak")), 26_236),
        ("k562 candidate regions", rows(&format!("{regions}/EnhancerList.bed")), 17_732),
        ("k562 predicted links", rows(&predicted) - 1, 1351),
        ("k562 tested links", rows(crispri) - 1, 10_354),
    ];
    let names: Vec<&str> = human_blood().unwrap().report.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, expected.map(|(name, ..)| name));
    for (name, read, kept) in expected {
        let found = tally(name);
        assert_eq!((found.read, found.kept), (read, kept), "{name}: rows read and kept");
        assert!(dropped(&found) >= read - kept, "{name}: {} rows are not explained: {found:?}", read - kept);
        for drop in &found.drops {
            assert!(!drop.examples.is_empty() && drop.count > 0, "{name}: {drop:?}");
        }
    }
    // As ORIGIN.md has them.
    let origin = [
        ("genes", 78_894),
        ("gene loci", 78_691),
        ("gene identifiers", 56_425),
        ("cell ontology", 2804),
        ("uberon", 4958),
        ("protein interactions", 98_187),
        ("collectri", 43_178),
        ("gene ontology annotations", 95_411),
        ("k562 peaks", 26_612),
        ("k562 candidate regions", 17_732),
        ("k562 predicted links", 1353),
        ("k562 tested links", 10_356),
    ];
    for (name, rows) in origin {
        assert_eq!(tally(name).read, rows, "{name}");
    }
    assert_eq!(tally("bgee tissues").read + tally("bgee cell types").read, 1_150_688);
}

/// Where a row is one edge, its reasons add up to what is missing exactly.
#[test]
fn what_is_left_out_is_accounted_for_row_by_row() {
    let Some(_) = human_blood() else { return };
    for name in
        ["gene loci", "protein interactions", "collectri", "gene ontology annotations", "bgee cell types", "k562 tested links"]
    {
        let found = tally(name);
        assert_eq!(dropped(&found), found.read - found.kept, "{name}: {:?}", found.drops);
        if name != "gene loci" {
            assert_eq!(found.edges, found.kept, "{name}");
        }
    }
    // Tissues that are younger than the UBERON of 2010 are made: no entry is lost for them.
    let bgee = tally("bgee tissues");
    let made = bgee.drops.iter().find(|drop| drop.reason.starts_with("tissue made")).unwrap();
    assert_eq!((made.count, dropped(&bgee) - made.count), (21, bgee.read - bgee.kept));
}

#[test]
fn every_node_and_edge_is_in_the_snapshot() {
    let Some(blood) = human_blood() else { return };
    let snapshot = blood.snapshot();
    snapshot.verify().unwrap();
    let schema = snapshot.schema();
    let nodes = |name: &str| snapshot.node_count(schema.node_type(name).unwrap());
    let edges = |name: &str| snapshot.edge_count(schema.relation(name).unwrap());
    assert_eq!(nodes("cell"), 3774);
    assert_eq!(nodes("cell_type"), 2795);
    assert_eq!(nodes("tissue"), 4958 + 21);
    assert_eq!(nodes("term"), 11_345);
    // GENCODE's, those of the atlas that GENCODE no longer has, and no other.
    assert_eq!(nodes("gene"), 78_894 + 576);
    let expected = [
        ("expresses", 2_702_861),
        ("has_type", 3774),
        ("from_tissue", 3774),
        ("interacts", 95_857),
        ("activates_or_represses", 42_166),
        ("annotated_with", 94_846),
        ("gene.present_in.tissue", 1_104_704),
        ("gene.present_in.cell_type", 40_938),
        ("regulates", 1351 + 10_354),
        ("cell_type.is_a.cell_type", 3705),
        ("tissue.is_a.tissue", 7173),
        ("tissue.part_of.tissue", 3824),
    ];
    for (relation, count) in expected {
        assert_eq!(edges(relation), count, "{relation}");
    }
}

/// Every gene's number of cells and every cell's sum, beside the Matrix Market file of the same counts.
#[test]
fn cells_have_the_counts_of_the_matrix_market_file() {
    let (Some(data), Some(blood)) = (real_data(), human_blood()) else { return };
    let snapshot = blood.snapshot();
    let folder = data.join("rna_pbmc_facs/mtx");
    let first = |line: &String| line.split('\t').next().unwrap().to_owned();
    let genes: Vec<String> = lines(&folder.join("features.tsv.gz")).iter().map(first).collect();
    let barcodes = lines(&folder.join("barcodes.tsv.gz"));
    let (mut cells_of, mut sums) = (vec![0_usize; genes.len()], vec![0_u64; barcodes.len()]);
    let mut counts: HashMap<(usize, usize), f32> = HashMap::new();
    for line in lines(&folder.join("matrix.mtx.gz")).iter().filter(|line| !line.starts_with('%')).skip(1) {
        let [gene, cell, count] = line.split(' ').map(|word| word.parse().unwrap()).collect::<Vec<usize>>()[..] else {
            panic!("{line}")
        };
        cells_of[gene - 1] += 1;
        sums[cell - 1] += count as u64;
        counts.insert((cell - 1, gene - 1), count as f32);
    }
    let schema = snapshot.schema();
    let (cell_type, gene_type) = (schema.node_type("cell").unwrap(), schema.node_type("gene").unwrap());
    let expresses = schema.relation("expresses").unwrap();
    let incoming = snapshot.adjacency(expresses, Direction::Incoming);
    let mut own = 0;
    for (gene, cells) in genes.iter().zip(&cells_of) {
        // A retired id stands for the gene of today; the others are themselves.
        if let Some(node) = snapshot.find(gene_type, gene) {
            assert_eq!(incoming.degree(node), *cells, "{gene}");
            own += 1;
        }
    }
    assert_eq!(own, 16_791 - 107);
    let NodeColumn::Number(totals) = snapshot.column(cell_type, schema.node_attribute(cell_type, "total_counts").unwrap()) else {
        panic!("total_counts is a number")
    };
    for (barcode, sum) in barcodes.iter().zip(&sums) {
        let cell = snapshot.find(cell_type, &format!("pbmc:{barcode}")).unwrap();
        assert_eq!(totals[cell as usize], *sum as f64, "{barcode}");
    }
    // Fifty entries, drawn by a fixed seed, each with its count.
    let mut state = 20_261_124_u64;
    let mut checked = 0;
    while checked < 50 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (cell, gene) = ((state >> 33) as usize % barcodes.len(), (state >> 11) as usize % genes.len());
        let Some(&count) = counts.get(&(cell, gene)).filter(|_| snapshot.find(gene_type, &genes[gene]).is_some()) else {
            continue;
        };
        let ends = [&format!("pbmc:{}", barcodes[cell]), genes[gene].as_str()];
        assert_eq!(number(&snapshot, "expresses", ends, "count"), count, "{ends:?}");
        checked += 1;
    }
}

#[test]
fn cells_have_their_labels_and_kinds() {
    let (Some(data), Some(blood)) = (real_data(), human_blood()) else { return };
    let snapshot = blood.snapshot();
    let schema = snapshot.schema();
    let cell_type = schema.node_type("cell").unwrap();
    let attribute = schema.node_attribute(cell_type, "celltype").unwrap();
    let metadata = lines(&data.join("rna_pbmc_facs/mtx/metadata.tsv"));
    let mut kinds: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for line in &metadata[1..] {
        let fields: Vec<&str> = line.split('\t').collect();
        let key = format!("pbmc:{}", fields[0]);
        let cell = snapshot.find(cell_type, &key).unwrap();
        assert_eq!(snapshot.value(cell_type, attribute, cell), Some(Value::Category(fields[2].to_owned())), "{key}");
        kinds.entry(fields[2].to_owned()).or_default().extend(neighbors(&snapshot, "has_type", Direction::Outgoing, &key));
    }
    assert_eq!((metadata.len() - 1, kinds.len()), (3774, 10));
    let all: HashSet<&String> = kinds.values().flatten().collect();
    assert!(kinds.values().all(|kinds| kinds.len() == 1) && all.len() == 10, "a kind of its own for each label: {kinds:?}");
    assert_eq!(kinds["CD19+ B"], HashSet::from(["CL:0000236".to_owned()]));
    assert_eq!(neighbors(&snapshot, "has_type", Direction::Incoming, "CL:0000236").len(), 767);
    assert_eq!(neighbors(&snapshot, "from_tissue", Direction::Incoming, "UBERON:0000178").len(), 3774);
}

/// Looked up in the files with grep.
#[test]
fn facts_that_were_looked_up_by_hand() {
    let Some(blood) = human_blood() else { return };
    let snapshot = blood.snapshot();
    let gene = snapshot.schema().node_type("gene").unwrap();
    let node = snapshot.find(gene, CD3D).unwrap();
    let text = |attribute: &str| snapshot.text(gene, snapshot.schema().node_attribute(gene, attribute).unwrap(), node);
    assert_eq!(snapshot.label(gene, node), "CD3D");
    assert_eq!((text("entrez"), text("hgnc"), text("synonyms")), (Some("915"), Some("HGNC:1673"), Some("CD3-DELTA|IMD19|T3D")));
    let locus = snapshot.value(gene, snapshot.schema().node_attribute(gene, "locus").unwrap(), node);
    let Some(Value::Interval(locus)) = locus else { panic!("{locus:?}") };
    // chr11, 118334537, 118342705 in the table, from 1 and with its end.
    assert_eq!((locus.contig(), locus.start(), locus.end()), ("chr11", 118_334_536, 118_342_705));

    let symbols = |keys: Vec<String>| {
        let mut symbols: Vec<String> =
            keys.iter().map(|key| snapshot.label(gene, snapshot.find(gene, key).unwrap()).to_owned()).collect();
        symbols.sort();
        symbols
    };
    let partners = ["CANX", "CD3E", "CD8A", "IKZF1", "KCNA3", "PDIA2", "UBC", "VCP"];
    assert_eq!(symbols(neighbors(&snapshot, "interacts", Direction::Outgoing, CD3D)), partners);
    let factors = ["CREB1", "ELF1", "ELF2", "ETS1", "IKZF1", "YY1"];
    assert_eq!(symbols(neighbors(&snapshot, "activates_or_represses", Direction::Incoming, CD3D)), factors);
    let weight = |factor: &str| {
        let factor = snapshot.resolve(gene, factor).unwrap();
        number(&snapshot, "activates_or_represses", [snapshot.key(gene, factor), CD3D], "weight")
    };
    assert_eq!((weight("ELF1"), weight("YY1")), (1.0, -1.0));
    let terms = ["GO:0003713", "GO:0030217", "GO:0042101", "GO:0042803", "GO:0045944", "GO:0046982", "GO:0051260"];
    assert_eq!(neighbors(&snapshot, "annotated_with", Direction::Outgoing, CD3D), terms);
    assert!(neighbors(&snapshot, "gene.present_in.tissue", Direction::Outgoing, CD3D).contains(&"UBERON:0000178".to_owned()));

    // chr22 17213913 17214413 … ADA2 ENSG00000093072 … distance 5422, ABC.Score 0.033859
    let link = ["chr22:17213913-17214413", "ENSG00000093072"];
    assert_eq!(number(&snapshot, "regulates", link, "score"), 0.033_859);
    assert_eq!(number(&snapshot, "regulates", link, "distance"), 5422.0);
    // chr1 3774714 3775214 … CEP104, effect −0.293431866, significant
    let tested = ["chr1:3774714-3775214", "ENSG00000116198"];
    assert_eq!(number(&snapshot, "regulates", tested, "effect_size"), -0.293_431_866_f64 as f32);
    assert_eq!(number(&snapshot, "regulates", tested, "significant"), 1.0);
    // B cells are lymphocytes of B lineage: `is_a: CL:0000945`.
    assert_eq!(neighbors(&snapshot, "cell_type.is_a.cell_type", Direction::Outgoing, "CL:0000236"), ["CL:0000945"]);
}

#[test]
fn loading_it_again_changes_nothing() {
    let Some(blood) = human_blood() else { return };
    let again = blood.load_again();
    assert_eq!(again.unchanged.len(), blood.report.sources.len());
    assert_eq!(again.sources, blood.report.sources);
    assert_eq!(again.snapshot, blood.report.snapshot);
}
