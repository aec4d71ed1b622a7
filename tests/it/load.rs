//! Many clients at a time. Short in CI, at length with `WEFT_TEST_FULL=1`, and otherwise as long and as many
//! as the environment says:
//!
//! - `WEFT_LOAD_SECONDS`: how long each load lasts (2, at length 60)
//! - `WEFT_LOAD_CLIENTS`: clients at a time (8, at length 64)
//! - `WEFT_LOAD_CAPACITY`: queries that run and wait at a time (8, at length 50); ten times as many clients
//!   are ten times too many
//! - `WEFT_LOAD_SOCKETS`: connections that say nothing, at each of three doors (300, at length 700)
//! - `WEFT_LOAD_CANCELS`: queries that are given up (40, at length 200)
//!
//! Times are printed and never judged: they are those of the machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use harness::{Client, Mesh, MeshOptions, Published, grant, run};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weft_coordinator::QueryLimits;
use weft_governance::{Error, code};

fn from_environment(name: &str, [short, long]: [usize; 2]) -> usize {
    let at_length = std::env::var_os("WEFT_TEST_FULL").is_some_and(|value| value == "1");
    let usual = if at_length { long } else { short };
    let said = std::env::var(name).ok().map(|text| text.parse());
    said.transpose().expect("a number").unwrap_or(usual)
}

fn load() -> Duration {
    Duration::from_secs(from_environment("WEFT_LOAD_SECONDS", [2, 60]) as u64)
}

/// The time that so many percent of `times`, which are sorted, did not exceed.
fn percentile(times: &[Duration], percent: usize) -> Option<Duration> {
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(place).copied()
}

async fn mesh(limits: QueryLimits, door: weft_door::Limits) -> Mesh {
    let ids: Vec<String> = (0..100_000).map(|id| id.to_string()).collect();
    let numbers = Published {
        domain: "sales",
        product: "numbers",
        tables: &[("t", &[("id", "integer", "bigint")], &ids.join("\n"))],
    };
    let options = MeshOptions {
        query_limits: limits,
        door,
        ..MeshOptions::empty()
    };
    let grants = vec![("sales", grant("analyst", "numbers"))];
    Mesh::publish_with(options, &[numbers], grants).await
}

/// Clients come back after so small a part of the time that they were told.
const HURRY: u32 = 4;

const POINT: &str = "SELECT id FROM sales.numbers.t WHERE id = 77";

/// What clients have seen.
#[derive(Default)]
struct Seen {
    answers: usize,
    /// After how long they were refused because there was no room to wait.
    refused: Vec<Duration>,
    /// The same because they had waited for too long.
    waited: Vec<Duration>,
}

/// Has `clients` ask for as long as `load`; every error is judged by `allowed`.
async fn ask(
    mesh: &Arc<Mesh>,
    clients: usize,
    load: Duration,
    allowed: fn(&Error) -> bool,
) -> Seen {
    let bearer = mesh.sign_in("analyst").await.bearer().to_owned();
    let end = Instant::now() + load;
    let asking = (0..clients).map(|_| {
        let (mesh, bearer) = (Arc::clone(mesh), bearer.clone());
        tokio::spawn(async move {
            let mut client: Client = mesh.bring(&bearer).await;
            let mut seen = Seen::default();
            while Instant::now() < end {
                let asked = Instant::now();
                match client.query(POINT).await {
                    Ok(rows) => {
                        assert_eq!(rows.only(), "77");
                        seen.answers += 1;
                    }
                    Err(error) => {
                        assert!(allowed(&error), "{error:?}");
                        match error.message().contains("waited") {
                            true => seen.waited.push(asked.elapsed()),
                            false => seen.refused.push(asked.elapsed()),
                        }
                        // A client that does as it is told comes back later; this one is in a hurry.
                        let told = error.retries_after().unwrap_or_default();
                        tokio::time::sleep(told / HURRY).await;
                    }
                }
            }
            seen
        })
    });
    let mut all = Seen::default();
    for seen in join_all(asking).await {
        let Seen {
            answers,
            refused,
            waited,
        } = seen.expect("no client fails");
        all.answers += answers;
        all.refused.extend(refused);
        all.waited.extend(waited);
    }
    all
}

#[test]
fn clients_are_served_side_by_side_and_leave_nothing_behind() {
    let (clients, load) = (from_environment("WEFT_LOAD_CLIENTS", [8, 64]), load());
    run(async {
        let mesh = Arc::new(mesh(QueryLimits::default(), Default::default()).await);
        let seen = ask(&mesh, clients, load, |_| false).await;
        assert!(seen.answers >= clients);
        mesh.wait_until_idle().await;
        println!("{clients} clients: {} answers in {load:?}", seen.answers);
    });
}

#[test]
fn beyond_capacity_clients_are_refused_with_a_time_to_come_back_and_others_served() {
    let (capacity, load) = (from_environment("WEFT_LOAD_CAPACITY", [8, 50]), load());
    run(async {
        let places = capacity / 2;
        let limits = QueryLimits {
            max_concurrent: places,
            max_per_principal: places,
            queue: capacity - places,
            ..QueryLimits::default()
        };
        let mesh = Arc::new(mesh(limits, Default::default()).await);
        let peak = ask(&mesh, capacity, load, |_| false).await.answers;
        let refusal = |error: &Error| {
            error.code() == code::RESOURCES
                && error.retries_after().is_some()
                && error.hint().is_some()
        };
        let mut seen = ask(&mesh, 10 * capacity, load, refusal).await;
        assert!(seen.answers > 0, "some are served");
        assert!(!seen.refused.is_empty(), "the control: others are refused");
        mesh.wait_until_idle().await;
        seen.refused.sort();
        seen.waited.sort();
        println!(
            "{} clients, room for {capacity}: {} answers where {capacity} clients get {peak} ({:.0} %); \
             {} refused at once, 50 % within {:?}, 99 % within {:?}; {} after they waited, 99 % within {:?}",
            10 * capacity,
            seen.answers,
            100.0 * seen.answers as f64 / peak.max(1) as f64,
            seen.refused.len(),
            percentile(&seen.refused, 50),
            percentile(&seen.refused, 99),
            seen.waited.len(),
            percentile(&seen.waited, 99),
        );
    });
}

#[test]
fn connections_that_say_nothing_or_half_of_it_keep_nobody_out() {
    let sockets = from_environment("WEFT_LOAD_SOCKETS", [300, 700]);
    run(async {
        let door = weft_door::Limits {
            connections: 100,
            ..Default::default()
        };
        let mesh = mesh(QueryLimits::default(), door).await;
        let mut before = mesh.sign_in("analyst").await;
        let doors = [
            mesh.coordinator.client_address().expect("an address"),
            mesh.coordinator.address(),
            mesh.node("sales").address(),
        ];
        let mut open = Vec::new();
        for number in 0..sockets {
            for address in doors {
                let mut socket = TcpStream::connect(address).await.expect("accepted");
                // A TLS handshake, and HTTP/2, that begin and do not go on.
                let begun: &[u8] = match number % 3 {
                    0 => b"",
                    1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                    _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
                };
                // It may have been cut by now.
                let _ = socket.write_all(begun).await;
                open.push(socket);
            }
        }
        let asked = Instant::now();
        assert_eq!(before.value(POINT).await, "77", "who was there stays");
        let mut late = mesh.sign_in("analyst").await;
        assert_eq!(late.value(POINT).await, "77", "who comes now is let in");
        let mut direct = mesh.sign_in_at("sales", "analyst").await;
        assert_eq!(direct.value(POINT).await, "77", "at the node as well");
        println!(
            "{} silent connections: served in {:?}",
            open.len(),
            asked.elapsed()
        );
    });
}

#[test]
fn queries_that_are_given_up_leave_nodes_idle_and_memory_free() {
    let cancels = from_environment("WEFT_LOAD_CANCELS", [40, 200]);
    run(async {
        let mesh = mesh(QueryLimits::default(), Default::default()).await;
        let bearer = mesh.sign_in("analyst").await.bearer().to_owned();
        let given_up = (0..cancels).map(|number| {
            let bearer = bearer.clone();
            let mesh = &mesh;
            async move {
                let mut client = mesh.bring(&bearer).await;
                let sql = "SELECT count(*), max(a.id) FROM sales.numbers.t a, sales.numbers.t b WHERE a.id + b.id < 0";
                let mut rows = client.stream(sql).await.expect("starts");
                let patience = Duration::from_millis(10 * (number % 20) as u64);
                let waited = tokio::time::timeout(patience, rows.next()).await;
                assert!(waited.is_err(), "it computes");
            }
        });
        join_all(given_up).await;
        let from = Instant::now();
        mesh.wait_until_idle().await;
        println!(
            "{cancels} queries given up: idle after {:?}",
            from.elapsed()
        );
        let mut analyst = mesh.sign_in("analyst").await;
        assert_eq!(analyst.value(POINT).await, "77");
    });
}
