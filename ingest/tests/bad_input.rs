//! Bad input: what `relata-load` says, its exit code, and that the store is as it was.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use relata::store::Store;
use support::{Content, Folder, Layout, anndata, relata_load, run};

const GENES: &str = "id,symbol\nENSG00000000001,AAA\nENSG00000000002,BBB\n";
const GOOD: &str = r#"
[[source]]
path = "genes.csv"
node = "gene"
key = "id"
attributes = { symbol = "symbol" }
"#;

/// A folder with a table of genes and a store, `good.relata`, that holds it.
fn folder(files: &[(&str, &[u8])]) -> Folder {
    let folder = Folder::new(files);
    folder.write("genes.csv", GENES);
    let made = run(&folder.manifest("good.toml", GOOD), &folder.path("good.relata"));
    assert!(made.status.success(), "{made:?}");
    folder
}

/// The loader's message, after exit code 1.
fn message(output: &Output) -> String {
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    shown
}

fn assert_says(shown: &str, parts: &[&str]) {
    assert!(shown.starts_with("error: ") && shown.lines().count() == 1, "one line that says `error`: {shown}");
    for part in parts {
        assert!(shown.contains(part), "`{part}` is missing in: {shown}");
    }
}

/// Runs a manifest into the store of the folder and to a new place; both fail with all of `parts` in their message, the store
/// is as it was, and nothing is at the new place. A plan fails with the same message.
fn assert_refused(folder: &Folder, manifest: &Path, parts: &[&str]) {
    let (store, new) = (folder.path("good.relata"), folder.path("new.relata"));
    let before = Content::of(&store);
    let shown = message(&run(manifest, &store));
    assert_says(&shown, parts);
    assert_eq!(Content::of(&store), before);
    assert_eq!(message(&run(manifest, &new)), shown);
    assert!(!new.exists(), "a half-made store was left behind");
    assert_eq!(message(&relata_load(&[Path::new("plan"), manifest])), shown);
    // What was refused left nothing that hinders the next load.
    assert!(run(&folder.path("good.toml"), &store).status.success());
    assert_eq!(Content::of(&store), before);
}

fn with_source(folder: &Folder, source: &str) -> PathBuf {
    folder.manifest("bad.toml", &format!("{GOOD}\n[[source]]\n{source}\n"))
}

#[test]
fn a_missing_file_is_answered_with_the_nearest_name() {
    let folder = folder(&[]);
    let manifest = folder.manifest("bad.toml", &GOOD.replace("genes.csv", "gene.csv"));
    assert_refused(&folder, &manifest, &["gene.csv: there is no such file", "did you mean `genes.csv`?"]);
}

#[test]
fn a_missing_manifest_is_answered_with_the_nearest_name() {
    let folder = folder(&[]);
    let shown = message(&run(&folder.path("god.toml"), &folder.path("good.relata")));
    assert_says(&shown, &["god.toml: there is no such file", "did you mean `good.toml`?"]);
}

#[test]
fn what_the_system_refuses_is_told_once() {
    let folder = folder(&[]);
    let shown = message(&run(&folder.path(""), &folder.path("good.relata")));
    let (manifest, refused) = (folder.path(""), std::io::Error::from_raw_os_error(libc::EISDIR));
    assert_eq!(shown, format!("error: {}: cannot read the manifest: {refused}\n", manifest.display()));
}

#[test]
fn a_truncated_h5ad_names_the_file_and_the_place() {
    let whole = anndata(Layout::Csr);
    let cells = "path = \"cells.h5ad\"\ngenes = { unmatched = \"make\" }\ncells = { attributes = { celltype = \"celltype\" } }";
    // Cut in the matrix, in the tables, and in the first bytes behind the signature.
    for length in [whole.len() - 40, whole.len() / 2, 60] {
        let folder = folder(&[("cells.h5ad", &whole[..length])]);
        let manifest = with_source(&folder, cells);
        assert_refused(&folder, &manifest, &["cells.h5ad: ", "truncated"]);
    }
    let folder = folder(&[("cells.h5ad", &whole)]);
    assert!(run(&with_source(&folder, cells), &folder.path("new.relata")).status.success(), "the whole file loads");
}

#[test]
fn an_h5ad_without_the_named_column_lists_those_that_it_has() {
    let folder = folder(&[("cells.h5ad", &anndata(Layout::Dense))]);
    let manifest = with_source(&folder, "path = \"cells.h5ad\"\ncells = { attributes = { celltype = \"cell_type\" } }");
    let parts = ["cells.h5ad: obs/cell_type: there is no such column", "did you mean `celltype`?", "celltype, depth, note"];
    assert_refused(&folder, &manifest, &parts);
    let manifest = with_source(&folder, "path = \"cells.h5ad\"\ngenes = { column = \"symbl\" }");
    assert_refused(&folder, &manifest, &["var/symbl: there is no such column; did you mean `symbol`?"]);
    let manifest = with_source(&folder, "path = \"cells.h5ad\"\nmatrix = \"layers/counts\"");
    assert_refused(&folder, &manifest, &["cells.h5ad: layers/counts: is not there", "(known: X)"]);
}

#[test]
fn a_bad_line_of_a_gtf_is_named() {
    let good = "#!genome-build GRCh38\nchr1\tX\tgene\t11869\t14409\t.\t+\t.\tgene_id \"ENSG00000223972\";\n";
    for (line, part) in [
        ("chr1\tX\tgene\tmany\t14409\t.\t+\t.\tgene_id \"G\";", "start `many` is no whole number"),
        ("chr1\tX\tgene\t20\t10\t.\t+\t.\tgene_id \"G\";", "start 20 lies behind end 10"),
        ("chr1\tX\tgene\t10\t20\t.\t+\t.\tID=G", "no `gene_id \"…\"`"),
        ("chr1 X gene 10 20", "found 1 columns, expected 9 separated by tabs"),
    ] {
        let folder = folder(&[("genes.gtf", format!("{good}{line}\n").as_bytes())]);
        assert_refused(&folder, &with_source(&folder, "path = \"genes.gtf\""), &["genes.gtf:3: ", part]);
    }
}

#[test]
fn an_unknown_key_stops_a_strict_edge_table() {
    let folder = folder(&[("edges.tsv", b"a\tb\nAAA\tBBB\nAAA\tCCC\n")]);
    let strict =
        "path = \"edges.tsv\"\nrelation = \"interacts\"\ncolumns = { source = \"a\", target = \"b\" }\nunmatched = \"fail\"";
    let manifest = with_source(&folder, strict);
    assert_refused(
        &folder,
        &manifest,
        &["edges.tsv:3: no gene has the key or name `CCC`", "`unmatched = \"skip\"` or `\"make\"`"],
    );
}

#[test]
fn a_table_with_a_bad_cell_or_row_names_line_and_column() {
    let folder = folder(&[
        ("cell.tsv", b"a\tb\ts\nAAA\tBBB\t0.5\nAAA\tBBB\thigh\n"),
        ("row.tsv", b"a\tb\ts\nAAA\tBBB\n"),
        ("bytes.tsv", b"a\tb\ts\nAAA\t\xff\xfe\t1\n"),
    ]);
    let source = |file: &str| {
        let columns = "columns = { source = \"a\", target = \"b\", score = \"s\" }";
        with_source(&folder, &format!("path = \"{file}\"\nrelation = \"interacts\"\n{columns}"))
    };
    assert_refused(&folder, &source("cell.tsv"), &["cell.tsv:3: column 3 (s): found `high`, expected a number"]);
    assert_refused(&folder, &source("row.tsv"), &["row.tsv:2: found 2 columns, expected 3"]);
    assert_refused(&folder, &source("bytes.tsv"), &["bytes.tsv:2: ", "no UTF-8"]);
    let manifest =
        with_source(&folder, "path = \"cell.tsv\"\nrelation = \"interacts\"\ncolumns = { source = \"a\", target = \"bb\" }");
    assert_refused(&folder, &manifest, &["cell.tsv:1: there is no column `bb`; did you mean `b`? (columns: a, b, s)"]);
}

#[test]
fn a_misspelt_field_of_a_manifest_has_its_line_and_the_nearest_name() {
    let folder = folder(&[]);
    let manifest = folder.manifest("bad.toml", &GOOD.replace("attributes", "atributes"));
    assert_refused(&folder, &manifest, &["bad.toml:9:1: unknown field `atributes`", "did you mean `attributes`?"]);
    let manifest = folder.manifest("bad.toml", &GOOD.replace("\"gene\"", "\"gen\""));
    assert_refused(&folder, &manifest, &["bad.toml:7:8: ", "`gen`", "did you mean `gene`?"]);
    let manifest = folder.manifest("bad.toml", &GOOD.replace("{ symbol =", "{ symbl ="));
    assert_refused(&folder, &manifest, &["bad.toml:9:14: ", "`symbl`", "did you mean `symbol`?"]);
    let manifest = with_source(&folder, "name = \"b\"\npath = \"genes.csv\"\nformat = \"tabel\"");
    assert_refused(&folder, &manifest, &["unknown format `tabel`; did you mean `table`?"]);
    let manifest = folder.write("bad.toml", "[dataset]\nname = \"d\"\n[[source]\n");
    assert_refused(&folder, &manifest, &["bad.toml:3:"]);
}

#[test]
fn a_cycle_in_contains_is_named() {
    let schema = "[[relation]]\nname = \"holds\"\nsource = \"gene\"\ntarget = \"tissue\"\ncontains = \"source\"\n";
    let folder = folder(&[("own.toml", schema.as_bytes())]);
    let text = format!("schema = \"own.toml\"\n[dataset]\nname = \"d\"\n{GOOD}");
    let manifest = folder.write("bad.toml", text);
    assert_refused(&folder, &manifest, &["own.toml", "contains", "gene", "tissue"]);
}

#[test]
fn a_store_of_an_unknown_version_is_left_alone() {
    let folder = folder(&[]);
    let store = folder.path("good.relata");
    let before = Content::of(&store);
    let marker = std::fs::read_to_string(store.join("STORE")).unwrap();
    std::fs::write(store.join("STORE"), marker.replace("version 3", "version 9")).unwrap();
    let shown = message(&run(&folder.path("good.toml"), &store));
    assert_says(&shown, &["good.relata: the store has format version 9", "reads version 3", "newer relata"]);
    std::fs::write(store.join("STORE"), &marker).unwrap();
    assert_eq!(Content::of(&store), before);
}

#[test]
fn a_folder_or_file_that_is_no_store_is_left_alone() {
    let folder = folder(&[]);
    std::fs::create_dir(folder.path("notes")).unwrap();
    folder.write("notes/plan.txt", "mine");
    let shown = message(&run(&folder.path("good.toml"), &folder.path("notes")));
    assert_says(&shown, &["notes: no Relata store here", "plan.txt"]);
    assert_eq!(std::fs::read_dir(folder.path("notes")).unwrap().count(), 1);
    let shown = message(&run(&folder.path("good.toml"), &folder.path("genes.csv")));
    assert_says(&shown, &["genes.csv: no Relata store here", "a file"]);
    assert_eq!(std::fs::read_to_string(folder.path("genes.csv")).unwrap(), GENES);
}

#[test]
fn a_second_writer_is_told_of_the_first() {
    let folder = folder(&[]);
    let store = folder.path("good.relata");
    let before = Content::of(&store);
    let first = Store::open(&store).unwrap();
    let more = with_source(&folder, "path = \"genes.csv\"\nname = \"again\"\nnode = \"gene\"\nkey = \"id\"");
    let shown = message(&run(&more, &store));
    let process = format!("process {}", std::process::id());
    assert_says(&shown, &["good.relata: the store is in use by", &process]);
    drop(first);
    assert_eq!(Content::of(&store), before);
    assert!(run(&more, &store).status.success(), "and when the first has ended, the second may");
}

/// A file system of 24 MiB, where the system lets a test make one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(folder.path()).stderr(std::process::Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Leaves so many bytes of a file system free.
fn fill_but(path: &Path, free: u64) {
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::File::create(path).unwrap();
    let mut length = 0;
    while let Ok(written) = file.write(&[0; 1 << 16]) {
        length += written as u64;
    }
    file.set_len(length.checked_sub(free).unwrap()).unwrap();
}

/// Genes whose names do not compress to less than the disk's free space.
fn many_genes(folder: &Folder) -> PathBuf {
    let mut table = "id,symbol\n".to_owned();
    let mut state = 1_u64;
    for number in 0..200_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        table.push_str(&format!("gene{number},symbol{state}x{}\n", state.rotate_left(17)));
    }
    folder.write("many.csv", table);
    let many = "path = \"many.csv\"\nnode = \"gene\"\nkey = \"id\"\nattributes = { symbol = \"symbol\" }";
    with_source(folder, many)
}

#[test]
fn a_full_disk_is_a_clear_error() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no right to mount a small file system");
        return;
    };
    let folder = folder(&[]);
    let store = disk.0.path().join("good.relata");
    assert!(run(&folder.path("good.toml"), &store).status.success());
    let before = Content::of(&store);
    let many = many_genes(&folder);
    let (new, fill) = (disk.0.path().join("new.relata"), disk.0.path().join("fill"));
    // Too little for the load, for its commit, and for its snapshot.
    for free in [100 << 10, 9 << 20, 14 << 20] {
        fill_but(&fill, free);
        let shown = message(&run(&many, &store));
        assert_says(&shown, &["good.relata", "o space left on"]);
        assert_eq!(Content::of(&store), before, "{free} bytes were free");
        let shown = message(&run(&many, &new));
        assert_says(&shown, &["new.relata", "o space left on"]);
        assert!(!new.exists(), "{free} bytes were free");
    }
    std::fs::remove_file(&fill).unwrap();
    assert!(run(&folder.path("good.toml"), &store).status.success(), "what was refused has given its space back");

    // The whole disk is too little for what a snapshot may take, but not for the commit.
    assert_says(&message(&run(&many, &new)), &["the commit and its snapshot may need"]);
    let mut without = Command::new(env!("CARGO_BIN_EXE_relata-load"));
    without.arg("run").arg(&many).arg("--store").arg(&new).args(["--quiet", "--no-snapshot"]);
    assert!(without.status().unwrap().success());
}

/// The same where no small disk can be had: the system refuses what lies beyond a file's allowed size.
#[test]
#[cfg(unix)]
fn a_refused_write_is_a_clear_error() {
    let folder = folder(&[]);
    let (store, new) = (folder.path("good.relata"), folder.path("new.relata"));
    let before = Content::of(&store);
    let many = many_genes(&folder);
    for place in [&store, &new] {
        // Ignored, the signal of the limit leaves the write to fail.
        let script = "trap '' XFSZ && ulimit -f 2048 && exec \"$0\" run \"$1\" --store \"$2\"";
        let mut shell = Command::new("bash");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_relata-load")]).arg(&many).arg(place);
        let Ok(output) = shell.output() else {
            println!("skipped: no bash");
            return;
        };
        let shown = message(&output);
        assert_says(&shown, &[&place.display().to_string(), "too large"]);
    }
    assert_eq!(Content::of(&store), before);
    assert!(!new.exists());
    assert!(run(&many, &store).status.success(), "without the limit it loads");
}
