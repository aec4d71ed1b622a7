//! Small statements: how long they take, for one client and for several at a time.

use std::time::{Duration, Instant, SystemTime};

use futures::TryStreamExt;
use serde_json::json;
use tokio::task::JoinSet;
use weft_governance::{Error, QueryId};
use weft_ledger::{Event, EventKind, Ledger};
use workload::Layout;
use workload::bench::{Call, Calls, DataFusion, Engine};
use workload::layout::LaidOut;

use super::mesh::Mesh;
use super::{engines, wrong};
use crate::args::BenchArgs;
use crate::client::Client;
use crate::exit::note;

/// Clients at a time.
const CLIENTS: usize = 16;
/// One in so many calls is not counted, and is made before the others.
const WARM_UP: usize = 10;
/// One in so many calls is a join, which takes longer.
const JOINS: usize = 10;

/// Makes the calls, of one client and of several.
///
/// # Errors
/// If something does not start.
pub(super) async fn measure(args: &BenchArgs, mesh: &Mesh, data: &LaidOut) -> Result<Calls, Error> {
    note(&format!("{} calls by one client", args.calls));
    let mut calls = Calls::default();
    let mut alone = engines::start_datafusion(&data.tables).await?;
    let folder = tempfile::tempdir().map_err(|error| wrong(error.to_string()))?;
    let ledger = Ledger::open(&folder.path().join("events.db"));
    let ledger = ledger.map_err(|error| wrong(error.to_string()))?;
    let mut callers = Vec::new();
    for call in Call::OF_CLIENTS {
        callers.push(Caller::open(args, mesh, call).await?);
    }
    let warm_up = args.calls.div_ceil(WARM_UP);
    // Nothing else is measured beside it; those that follow are, and take turns.
    for caller in callers.iter_mut().filter(|it| it.call == Call::One) {
        for nth in 0..warm_up + args.calls {
            let time = caller.make(nth).await;
            note_time(&mut calls, caller.call, time, nth >= warm_up);
        }
    }
    callers.retain(|it| it.call != Call::One);
    for nth in 0..warm_up + args.calls {
        for caller in &mut callers {
            if caller.call == Call::Join && nth % JOINS > 0 {
                continue;
            }
            let time = caller.make(nth).await;
            note_time(&mut calls, caller.call, time, nth >= warm_up);
        }
        let time = point_alone(&mut alone, nth, args.scale).await;
        note_time(&mut calls, Call::PointAlone, time, nth >= warm_up);
        let time = commit(&ledger).await;
        note_time(&mut calls, Call::Commit, time, nth >= warm_up);
    }
    for call in Call::OF_CLIENTS {
        note(&format!("{call} by {CLIENTS} clients"));
        together(args, mesh, call, &mut calls).await?;
    }
    Ok(calls)
}

fn note_time(calls: &mut Calls, call: Call, time: Result<Duration, Error>, counts: bool) {
    match time {
        Ok(time) if counts => calls.add(call, 1, [time]),
        Ok(_) => {}
        Err(error) => calls.failed(call, error),
    }
}

/// As many calls of [`CLIENTS`] as of one, all of which call again as soon as they have an answer.
async fn together(
    args: &BenchArgs,
    mesh: &Mesh,
    call: Call,
    calls: &mut Calls,
) -> Result<(), Error> {
    let count = match call {
        Call::Join => args.calls.div_ceil(JOINS),
        _ => args.calls,
    };
    let each = count.div_ceil(CLIENTS);
    let mut running = JoinSet::new();
    let mut ready = Vec::new();
    for _ in 0..CLIENTS {
        ready.push(Caller::open(args, mesh, call).await?);
    }
    for (client, mut caller) in ready.into_iter().enumerate() {
        running.spawn(async move {
            if call != Call::Join {
                caller.make(client).await?;
            }
            let mut times = Vec::with_capacity(each);
            for nth in 0..each {
                times.push(caller.make(CLIENTS + client * each + nth).await?);
            }
            Ok::<_, Error>(times)
        });
    }
    while let Some(times) = running.join_next().await {
        match times {
            Ok(Ok(times)) => calls.add(call, CLIENTS, times),
            Ok(Err(error)) => calls.failed(call, error),
            Err(error) => calls.failed(call, error),
        }
    }
    Ok(())
}

/// A client that makes one kind of calls.
struct Caller {
    call: Call,
    client: Client,
    layout: Layout,
    scale: f64,
}

impl Caller {
    async fn open(args: &BenchArgs, mesh: &Mesh, call: Call) -> Result<Self, Error> {
        let layout = mesh.options().layout;
        let client = match call {
            Call::PointAtNode => {
                let mut products = layout.products().iter();
                let owner = products.find(|it| it.tables.iter().any(|it| it.name() == "orders"));
                mesh.sign_in_at(owner.map_or("", |it| it.domain)).await?
            }
            _ => mesh.sign_in().await?,
        };
        Ok(Self {
            call,
            client,
            layout,
            scale: args.scale,
        })
    }

    async fn make(&mut self, nth: usize) -> Result<Duration, Error> {
        let sql = self.layout.qualified(&self.call.sql(nth, self.scale));
        let started = Instant::now();
        let rows = self.client.query(&sql).await?;
        let batches: Vec<_> = rows.batches.try_collect().await?;
        let time = started.elapsed();
        let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        match (self.call, rows) {
            (Call::Join, 1..) | (_, 1) => Ok(time),
            _ => Err(wrong(format!("{rows} rows"))),
        }
    }
}

async fn point_alone(alone: &mut DataFusion, nth: usize, scale: f64) -> Result<Duration, Error> {
    let run = alone.run(&Call::PointAlone.sql(nth, scale)).await;
    run.map(|run| run.time)
        .map_err(|error| super::failed(&error))
}

/// How long an entry takes that is like the one for a fragment that a node lets in.
async fn commit(ledger: &Ledger) -> Result<Duration, Error> {
    let event = Event {
        at: SystemTime::now(),
        kind: EventKind::Admitted,
        principal: Some("analyst".to_owned()),
        query: Some(QueryId::generate()),
        fragment: Some(0),
        details: json!({
            "via": "coordinator/main",
            "digest": "0".repeat(64),
            "tables": [{
                "table": "sales.orders.orders",
                "columns": ["o_orderkey", "o_orderdate", "o_totalprice"],
                "grant": QueryId::generate().to_string(),
            }],
        }),
    };
    let started = Instant::now();
    let written = ledger.append(event).await;
    written
        .map(|_| started.elapsed())
        .map_err(|error| wrong(error.to_string()))
}
