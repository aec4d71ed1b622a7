use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[derive(Default)]
struct Switch(AtomicBool);

impl Vitals for Switch {
    fn checks(&self) -> Vec<(&'static str, bool)> {
        vec![("log", true), ("registered", self.0.load(Ordering::SeqCst))]
    }

    fn readings(&self) -> Vec<Reading> {
        vec![Reading::gauge("sessions", "Open sessions", 2)]
    }
}

fn ask(operations: &Operations, question: &str) -> String {
    let mut stream = TcpStream::connect(operations.address()).expect("open");
    stream.write_all(question.as_bytes()).expect("written");
    let mut answer = String::new();
    // A connection that is closed with bytes unread is reset; what came before counts.
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn get(operations: &Operations, path: &str) -> String {
    ask(
        operations,
        &format!("GET {path} HTTP/1.1\r\nHost: weft\r\n\r\n"),
    )
}

fn open(vitals: &Arc<Switch>) -> Operations {
    let vitals: Arc<dyn Vitals> = Arc::<Switch>::clone(vitals);
    Operations::open(([127, 0, 0, 1], 0).into(), "1.0.0", vitals).expect("opens")
}

#[test]
fn a_server_is_alive_before_it_is_ready() {
    let switch = Arc::<Switch>::default();
    let operations = open(&switch);
    assert!(get(&operations, "/healthz").starts_with("HTTP/1.1 200"));
    let not_yet = get(&operations, "/readyz");
    assert!(not_yet.starts_with("HTTP/1.1 503"), "{not_yet}");
    assert!(not_yet.contains("\"registered\":false"), "{not_yet}");
    switch.0.store(true, Ordering::SeqCst);
    assert!(get(&operations, "/readyz").starts_with("HTTP/1.1 200"));
    let metrics = get(&operations, "/metrics");
    assert!(
        metrics.contains("application/openmetrics-text") && metrics.contains("weft_sessions 2")
    );
}

#[test]
fn nothing_else_is_answered() {
    let operations = open(&Arc::default());
    assert!(get(&operations, "/").starts_with("HTTP/1.1 404"));
    let post = ask(
        &operations,
        "POST /healthz HTTP/1.1\r\nHost: weft\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    let long = "x".repeat(64 << 10);
    let long = get(&operations, &format!("/{long}"));
    assert!(!long.starts_with("HTTP/1.1 200"), "{long}");
}

#[test]
fn those_who_say_nothing_keep_nobody_from_asking_for_long() {
    let operations = open(&Arc::default());
    let silent: Vec<TcpStream> = (0..2 * CONNECTIONS)
        .map(|_| TcpStream::connect(operations.address()).expect("open"))
        .collect();
    drop(silent);
    // What had no place was closed, what had one has left.
    while !get(&operations, "/healthz").starts_with("HTTP/1.1 200") {}
}

#[test]
fn an_address_in_use_is_refused() {
    let first = open(&Arc::default());
    let second = Operations::open(first.address(), "1.0.0", Arc::<Switch>::default());
    let refused = second.expect_err("in use");
    assert_eq!(refused.code(), code::SETTINGS);
    assert!(
        refused
            .hint()
            .is_some_and(|hint| hint.contains("operations.listen"))
    );
}
