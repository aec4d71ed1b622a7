//! What an operator sees of a server.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The answer at `path` of the listener for operators at `address`: its status and what it says.
pub async fn operations(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("listens");
    let question = format!("GET {path} HTTP/1.1\r\nHost: weft\r\n\r\n");
    let asked = stream.write_all(question.as_bytes()).await;
    asked.expect("asked");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    read.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// The number that the listener at `address` shows as `name`, with its label.
pub async fn reading(address: SocketAddr, name: &str) -> u64 {
    let (status, text) = operations(address, "/metrics").await;
    assert_eq!(status, 200, "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("`{name}` in\n{text}"));
    line.trim().parse().expect("a number")
}
