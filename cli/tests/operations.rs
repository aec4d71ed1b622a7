//! Whoever operates a mesh, and its processes.

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

#[path = "demo/client.rs"]
mod client;
mod demo;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::Value;

use client::run;
use demo::Demo;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

impl Demo {
    fn start_logging() -> Self {
        Self::start_with(|demo, folder| {
            demo.arg("--dir").arg(folder);
            demo.env("WEFT_LOG_FORMAT", "json").env_remove("WEFT_LOG")
        })
    }

    /// What the server `name` answers at `path`; nothing if nobody listens any more.
    fn operations(&self, name: &str, path: &str) -> Option<(u16, String)> {
        let url = self.text(&format!("/operations/{name}"));
        let address = url.strip_prefix("http://").expect("plain");
        let mut stream = TcpStream::connect(address).ok()?;
        let question = format!("GET {path} HTTP/1.1\r\nHost: weft\r\n\r\n");
        stream.write_all(question.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    /// The lines of the log of `name` that are in the trace of the test.
    fn traced(&self, name: &str) -> Vec<Value> {
        let log = self.folder.path().join("logs").join(format!("{name}.log"));
        let text = std::fs::read_to_string(log).expect("a log");
        let lines = text.lines().filter(|line| line.contains(TRACE));
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

fn eventually<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(happened) = happened() {
            return happened;
        }
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn terminate(pid: u64) {
    let status = Command::new("kill")
        .args(["-TERM", &pid.to_string()])
        .status();
    assert!(status.expect("kill").success());
}

fn alive(pid: u64) -> bool {
    // A process that nobody has waited for yet has ended all the same.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap_or_default();
        !state.trim().starts_with('Z')
    })
}

/// Runs `sql` as the analyst, in the trace of the test; rows are read as `read` says.
async fn ask<T>(
    demo: &Demo,
    sql: &str,
    read: impl AsyncFnOnce(tonic::Streaming<arrow_flight::FlightData>) -> T,
) -> T {
    let mut client = demo.client().await.within(HEADER);
    read(client.messages(sql).await.expect("a stream")).await
}

#[test]
fn every_process_of_a_mesh_says_that_it_is_ready_and_a_trace_goes_through_all() {
    let demo = Demo::start_logging();
    let servers: BTreeMap<String, String> =
        serde_json::from_value(demo.description["operations"].clone()).expect("servers");
    assert_eq!(servers.len(), 5);
    for name in servers.keys() {
        eventually(&format!("{name} is ready"), || {
            demo.operations(name, "/readyz")
                .filter(|(status, _)| *status == 200)
        });
        let (_, metrics) = demo.operations(name, "/metrics").expect("answered");
        assert!(
            metrics.contains("weft_build_info{version=") && metrics.ends_with("# EOF\n"),
            "{metrics}"
        );
    }
    let sql = "SELECT count(*) FROM sales.orders.orders JOIN crm.customers.customer ON o_custkey = c_custkey";
    run(ask(&demo, sql, async |rows| {
        let frames: Vec<_> = rows.collect().await;
        assert!(frames.iter().all(Result::is_ok), "{frames:?}");
    }));
    let ended = eventually("the coordinator notes the end of the query", || {
        let lines = demo.traced("coordinator");
        lines
            .into_iter()
            .find(|line| line["fields"]["message"] == "query ended")
    });
    let query = ended["fields"]["query"].as_str().expect("an id").to_owned();
    for domain in ["sales", "crm"] {
        let finished = eventually(&format!("{domain} notes the end of its fragment"), || {
            let lines = demo.traced(domain);
            lines
                .into_iter()
                .find(|line| line["fields"]["message"] == "fragment finished")
        });
        let fragment = finished["fields"]["fragment"].as_str().expect("an id");
        assert!(fragment.starts_with(&query), "{fragment} is of {query}");
    }
}

#[test]
fn a_coordinator_drains_when_it_is_told_to_stop_and_is_cut_when_it_is_told_again() {
    let demo = Demo::start_logging();
    let pid = demo.pid("coordinator");
    let sql =
        "SELECT a.l_comment, b.l_comment FROM sales.orders.lineitem a, sales.orders.lineitem b";
    run(ask(&demo, sql, async |mut rows| {
        rows.message().await.expect("a schema").expect("a schema");
        rows.message().await.expect("rows").expect("rows");
        terminate(pid);
        eventually("it is no longer ready", || {
            demo.operations("coordinator", "/readyz")
                .filter(|(status, _)| *status == 503)
        });
        let (status, _) = demo
            .operations("coordinator", "/healthz")
            .expect("it lives");
        assert_eq!(status, 200);
        rows.message()
            .await
            .expect("what runs goes on")
            .expect("rows");
        terminate(pid);
        eventually("it is cut", || (!alive(pid)).then_some(()));
    }));
}
