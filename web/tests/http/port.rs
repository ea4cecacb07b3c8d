//! Over a real port: what only a connection can show.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use relata_web::serve::{BindError, ServeConfig, bind, serve};
use tokio::sync::oneshot;

use crate::small::Small;

/// A server on a free port of the loopback, in a thread of its own.
struct Running {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(app: Router, config: ServeConfig) -> Self {
        let (send_address, address) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
                send_address.send(listener.local_addr().unwrap()).unwrap();
                let ended = async {
                    let _ = ended.await;
                };
                serve(listener, app, &config, ended).await.unwrap();
            });
        });
        Self { address: address.recv().unwrap(), end: Some(end), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        // A test that waits in vain fails rather than hangs.
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn end(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

fn quick() -> ServeConfig {
    ServeConfig {
        header_timeout: Duration::from_millis(300),
        request_timeout: Duration::from_millis(600),
        ..ServeConfig::default()
    }
}

/// Sends a request whole, and reads to the connection's end.
fn ask(running: &Running, request: &str) -> String {
    let mut stream = running.connect();
    stream.write_all(request.as_bytes()).unwrap();
    read_all(&mut stream)
}

fn read_all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}; so far {}", String::from_utf8_lossy(&text)),
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_request_over_the_port_is_answered() {
    let small = Small::new();
    let running = Running::start(small.app(), quick());
    let answer = ask(&running, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains(r#""status":"ok""#), "{answer}");
}

#[test]
fn headers_that_do_not_end_are_not_waited_for() {
    let small = Small::new();
    let running = Running::start(small.app(), quick());
    let mut stream = running.connect();
    let began = Instant::now();
    // Never quiet, never done: each piece comes well within the time for all.
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n").unwrap();
    let mut talker = stream.try_clone().unwrap();
    let talking = std::thread::spawn(move || {
        for number in 0..200 {
            std::thread::sleep(Duration::from_millis(50));
            if talker.write_all(format!("X-{number}: 1\r\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    let answer = read_all(&mut stream);
    let took = began.elapsed();
    assert!(!answer.contains("200 OK"), "{answer}");
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&took), "{took:?}");
    drop(stream);
    talking.join().unwrap();
    // Others are served meanwhile and after.
    assert!(ask(&running, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").contains("200 OK"));
}

#[test]
fn a_body_that_does_not_come_is_answered_in_time() {
    let small = Small::new();
    let running = Running::start(small.app(), quick());
    let mut stream = running.connect();
    let head = "POST /v1/embeddings/first/cell/nearest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"key\"";
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_all(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains(r#""code":"timed_out""#), "{answer}");
}

#[test]
fn another_sites_name_is_refused_on_the_loopback() {
    let small = Small::new();
    let running = Running::start(small.app(), quick());
    let with = |host: &str| ask(&running, &format!("GET /v1/stats HTTP/1.1\r\n{host}Connection: close\r\n\r\n"));
    for host in ["Host: evil.example\r\n", "Host: evil.example:7373\r\n", "Host: localhost.evil.example\r\n", ""] {
        let answer = with(host);
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(r#""code":"bad_host""#), "{host}: {answer}");
        assert!(!answer.contains("node_types"), "{host}: {answer}");
    }
    for host in ["Host: localhost:7373\r\n", "Host: 127.0.0.1\r\n", "Host: [::1]:80\r\n"] {
        assert!(with(host).starts_with("HTTP/1.1 200"), "{host}");
    }
}

#[test]
fn answers_are_compressed_where_the_caller_can_read_it() {
    let small = Small::new();
    let running = Running::start(small.app(), quick());
    let request = "GET /v1/schema HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n";
    let packed = ask(&running, request);
    assert!(packed.contains("content-encoding: gzip"), "{packed}");
    let plain = ask(&running, "GET /v1/schema HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(plain.contains(r#""node_types""#) && plain.len() > 2 * packed.len());
}

#[test]
fn what_is_under_way_is_answered_before_the_end() {
    let (began, beginning) = std::sync::mpsc::channel();
    let slow = Router::new().route(
        "/slow",
        get(move || {
            let began = began.clone();
            async move {
                began.send(()).unwrap();
                tokio::time::sleep(Duration::from_millis(400)).await;
                "done"
            }
        }),
    );
    let mut running = Running::start(slow, ServeConfig::default());
    let mut stream = running.connect();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    beginning.recv_timeout(Duration::from_secs(10)).unwrap();
    let address = running.address;
    let reading = std::thread::spawn(move || read_all(&mut stream));
    let began = Instant::now();
    running.end();
    assert!(reading.join().unwrap().ends_with("done"));
    assert!(began.elapsed() < Duration::from_secs(5), "an idle connection was waited for");
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

#[test]
fn many_connections_at_once_are_all_answered() {
    let small = Small::new();
    // Fewer at once than there are: the others wait for their turn.
    let config = ServeConfig { connections: 8, ..ServeConfig::default() };
    let running = Running::start(small.app(), config);
    std::thread::scope(|scope| {
        for at in 0..32 {
            let running = &running;
            scope.spawn(move || {
                let path = ["/v1/schema", "/v1/search?q=c", "/v1/nodes/gene/tp53", "/v1/layouts/first/cell"][at % 4];
                for _ in 0..5 {
                    let answer = ask(running, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
                    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
                }
            });
        }
    });
}

#[tokio::test]
async fn a_port_in_use_says_how_to_choose_another() {
    let first = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = bind(address).await.unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }));
    let shown = error.to_string();
    assert!(shown.contains(&format!("{address} is in use")) && shown.contains("--address 127.0.0.1:"), "{shown}");
}

#[tokio::test]
async fn an_address_that_the_system_refuses_is_told_with_its_cause_once() {
    // Kept for documentation (RFC 5737), so that no machine has it.
    let address = ([192, 0, 2, 1], 7373).into();
    let error = bind(address).await.unwrap_err();
    let BindError::Refused { source, .. } = &error else { panic!("{error}") };
    let told = format!("{address}: cannot listen there: {source}; choose another address with `--address`");
    assert_eq!(format!("{:#}", anyhow::Error::from(error)), told);
}
