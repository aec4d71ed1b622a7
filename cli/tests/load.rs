//! Load on real processes, whose memory is measured: short in CI, at length with `WEFT_TEST_FULL=1`.
//!
//! Times are printed and never judged: they are those of the machine.

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

#[path = "demo/client.rs"]
mod client;
mod demo;

use std::time::{Duration, Instant};

use futures::future::join_all;
use prost::Message;

use client::{at_length, run, seconds};
use demo::Demo;

/// So much may a server have while it sends an answer, however large that is and however slowly it is
/// read.
const HELD: u64 = 256 << 20;
/// So much may a server keep of what many clients had it do, once it has done all of it before.
const GROWN: u64 = 32 << 20;
/// Those that have a part in the answers.
const SERVERS: [&str; 2] = ["coordinator", "sales"];
/// Bytes of a row of the large answer, at least.
const ROW: usize = 48;

#[test]
fn a_large_answer_to_a_slow_reader_is_not_held_in_memory() {
    let size: usize = if at_length() { 1 << 30 } else { 96 << 20 };
    let (silence, slowness) = (seconds(2, 10), seconds(2, 20));
    let demo = Demo::start();
    run(async {
        let mut client = demo.client().await;
        let sql = format!(
            "SELECT a.l_comment, b.l_comment AS other, a.l_orderkey, b.l_partkey \
             FROM sales.orders.lineitem a, sales.orders.lineitem b LIMIT {}",
            size / ROW
        );
        let mut messages = client.messages(&sql).await.expect("planned");
        let mut bytes = 0;
        let (started, mut patience) = (Instant::now(), Duration::ZERO);
        while let Some(message) = messages.message().await.expect("goes on") {
            let before = bytes;
            bytes += message.encoded_len();
            if before == 0 || (before < 4 << 20 && bytes >= 4 << 20) {
                // The windows fill, and then all of the way behind them.
                tokio::time::sleep(silence).await;
            } else if patience < slowness {
                let pause = Duration::from_millis(50);
                tokio::time::sleep(pause).await;
                patience += pause;
            }
        }
        println!("{bytes} bytes in {:?}", started.elapsed());
        assert!(bytes >= size, "{bytes}");
        for server in SERVERS {
            let most = demo.peak(server);
            println!("{server}: {} MiB at most", most >> 20);
            assert!(most <= HELD, "{server}: {} MiB are held", most >> 20);
        }
        client.is_served().await;
    });
}

#[test]
fn many_clients_are_served_without_errors_and_in_the_same_memory() {
    let clients = if at_length() { 64 } else { 8 };
    let load = seconds(4, 60);
    let demo = Demo::start();
    run(async {
        let asking = async |load: Duration| {
            let end = Instant::now() + load;
            let each = (0..clients).map(|number| {
                let demo = &demo;
                async move {
                    let mut client = demo.client().await;
                    let mut answers = 0;
                    while Instant::now() < end {
                        let sql = QUERIES[(number + answers) % QUERIES.len()];
                        let bytes = client.size(sql).await.expect(sql);
                        assert!(bytes > 0, "{sql}");
                        answers += 1;
                    }
                    answers
                }
            });
            join_all(each).await.into_iter().sum::<usize>()
        };
        // What is cached, pooled and kept for later is there by then.
        asking(load / 4).await;
        let before = SERVERS.map(|server| demo.resident(server));
        let answers = asking(load).await;
        println!("{clients} clients: {answers} answers in {load:?}");
        assert!(answers >= clients);
        for (server, before) in SERVERS.into_iter().zip(before) {
            let after = demo.resident(server);
            println!("{server}: {} MiB, then {} MiB", before >> 20, after >> 20);
            let grown = after.saturating_sub(before);
            assert!(grown <= GROWN, "{server}: {} MiB more", grown >> 20);
        }
    });
}

/// What many ask: one row, few rows, many rows, and rows of several domains.
const QUERIES: [&str; 5] = [
    "SELECT 1",
    "SELECT o_totalprice FROM sales.orders.orders WHERE o_orderkey = 7",
    "SELECT l_orderkey, l_comment FROM sales.orders.lineitem WHERE l_partkey < 300",
    "SELECT n_name, count(*) FROM sales.orders.orders JOIN crm.customers.customer ON o_custkey = c_custkey \
     JOIN crm.customers.nation ON c_nationkey = n_nationkey GROUP BY n_name",
    "SELECT l_returnflag, sum(l_quantity) FROM sales.orders.lineitem GROUP BY l_returnflag",
];
