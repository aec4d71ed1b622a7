//! What an admission costs before its rows may leave: its event on disk.

use std::time::SystemTime;

use divan::Bencher;
use serde_json::json;
use tokio::runtime::Builder;
use weft_governance::QueryId;
use weft_ledger::{Event, EventKind, Ledger};

/// An admission to two tables.
fn admission() -> Event {
    let table = |name: &str| {
        json!({
            "table": name,
            "columns": ["o_orderkey", "o_custkey", "o_orderdate", "o_totalprice"],
            "grant": QueryId::generate().to_string(),
            "row_filter": true,
            "min_group_size": null,
            "masked": ["o_totalprice"],
        })
    };
    Event {
        at: SystemTime::now(),
        kind: EventKind::Admitted,
        principal: Some("analyst".to_owned()),
        query: Some(QueryId::generate()),
        fragment: Some(0),
        details: json!({
            "via": "coordinator/main",
            "digest": "0".repeat(64),
            "epoch": 1,
            "policy": null,
            "purpose": "forecasting",
            "tables": [table("sales.orders.orders"), table("sales.orders.lineitem")],
            "keys": [],
            "shipped": [],
            "refused": null,
        }),
    }
}

/// One after the other: each waits for the disk alone.
#[divan::bench]
fn one_admission(bencher: Bencher<'_, '_>) {
    admissions(bencher, 1);
}

/// Eight that come together share a commit.
#[divan::bench]
fn eight_admissions(bencher: Bencher<'_, '_>) {
    admissions(bencher, 8);
}

fn admissions(bencher: Bencher<'_, '_>, together: usize) {
    let folder = tempfile::tempdir().expect("folder");
    let ledger = Ledger::open(&folder.path().join("events.db")).expect("log");
    let runtime = Builder::new_current_thread().build().expect("runtime");
    bencher.bench_local(|| {
        let appended = (0..together).map(|_| ledger.append(admission()));
        runtime
            .block_on(futures::future::try_join_all(appended))
            .expect("on disk")
    });
}
