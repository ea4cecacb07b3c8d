//! The program itself: what it prints, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::small::Small;

fn relata_serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relata-serve"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Ends its program whatever becomes of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let output = relata_serve(arguments).output().unwrap();
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn it_prints_where_it_listens_and_ends_when_told() {
    let small = Small::new();
    let store = small.store().to_str().unwrap();
    let mut running = Running(relata_serve(&["--store", store, "--address", "127.0.0.1:0"]).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).expect(&line).to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    if cfg!(unix) {
        let told = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(running.0.wait().unwrap().success());
    }
}

fn ask(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
#[test]
fn it_outlives_a_snapshot_that_is_cut_short_and_serves_the_next() {
    let small = Small::new();
    let store = small.store().to_str().unwrap();
    let mut running = Running(relata_serve(&["--store", store, "--address", "127.0.0.1:0"]).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).expect(&line).to_owned();
    assert!(ask(&address, "/v1/nodes/gene/ENSG3").starts_with("HTTP/1.1 200"));
    let file = small.snapshot().path().to_owned();
    for length in [std::fs::metadata(&file).unwrap().len() / 2, 0] {
        std::fs::File::options().write(true).open(&file).unwrap().set_len(length).unwrap();
        for path in
            ["/v1/nodes/gene/ENSG3", "/v1/search?q=c", "/v1/stats", "/v1/schema", "/v1/path?from=TP53&to=tissue", "/health"]
        {
            let answer = ask(&address, path);
            assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("cut short"), "{path}: {answer}");
        }
    }
    assert_eq!(running.0.try_wait().unwrap(), None);
    crate::small::publish(small.store(), &["c1", "c7"]);
    let began = std::time::Instant::now();
    while !ask(&address, "/v1/nodes/cell/c7").starts_with("HTTP/1.1 200") {
        assert!(began.elapsed() < Duration::from_secs(20), "the new snapshot is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_damaged_snapshot_is_not_served_at_all() {
    let small = Small::new();
    let file = small.snapshot().path().to_owned();
    let mut bytes = std::fs::read(&file).unwrap();
    let place = bytes.windows(5).rposition(|bytes| bytes == b"ENSG3").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (code, shown) = fails(&["--store", small.store().to_str().unwrap(), "--address", "127.0.0.1:0"]);
    assert_eq!(code, Some(1));
    assert!(shown.contains("checksum does not match") && shown.contains("relata snapshot"), "{shown}");
}

#[test]
fn without_a_store_it_says_so_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (code, shown) = fails(&["--store", folder.path().join("none.relata").to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(shown.contains("no Relata store here (nothing is there)") && shown.contains("relata-load run"), "{shown}");
    let (code, shown) = fails(&[]);
    assert_eq!(code, Some(2));
    assert!(shown.contains("--store") && shown.contains("--demo"), "{shown}");
    let (code, _) = fails(&["--store", "a", "--demo", "b"]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_port_in_use_is_named_with_another_to_choose() {
    let small = Small::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, shown) = fails(&["--store", small.store().to_str().unwrap(), "--address", &address]);
    assert_eq!(code, Some(1));
    assert!(shown.contains(&format!("{address} is in use")) && shown.contains("--address 127.0.0.1:"), "{shown}");
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let small = Small::new();
    let store = small.store().to_str().unwrap();
    let mut running = Running(relata_serve(&["--store", store, "--address", "0.0.0.0:0"]).spawn().unwrap());
    let warning = BufReader::new(running.0.stderr.take().unwrap()).lines().find(|line| {
        let line = line.as_ref().unwrap();
        line.contains("there is no authentication") || line.contains("error")
    });
    assert!(warning.unwrap().unwrap().contains("no authentication"));
}
