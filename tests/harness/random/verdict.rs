//! What two engines said of one query, and whether it is the same.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use datafusion::common::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::FutureExt;
use tokio::time::timeout;
use weft_governance::{ErrorKind, code};

use crate::client::{Client, Failure};
use crate::compare::Rows;
use crate::mesh::Mesh;

use super::order;
use super::query::Query;

/// A query that one process needs longer for says nothing of the mesh.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one process said.
#[derive(Debug)]
pub(crate) enum Alone {
    Rows(Rows),
    /// It does not plan the query.
    Refused(String),
    /// It failed on the data.
    Failed(String),
    TooLong,
}

/// How both answers compare.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The same rows, so many.
    Same(usize),
    /// One process refused it, for this reason.
    Refused(String),
    /// One process failed on the data, took too long, or does not keep the order.
    Skipped,
    Different(Difference),
}

/// What is different.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) sort: Sort,
    pub(super) told: String,
}

/// Sorts of differences, so that one does not become another while the query shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Other rows.
    Rows,
    /// Only one process answers.
    Unanswered,
    /// No one answers, and the mesh blames the wrong one.
    Blame,
}

/// Runs `sql` in one process.
pub(crate) async fn alone(context: &SessionContext, sql: &str) -> Alone {
    let refused = |error: DataFusionError| Alone::Refused(error.strip_backtrace());
    let planned = async {
        let frame = context.sql(sql).await.map_err(refused)?;
        let task = frame.task_ctx();
        let plan = frame.create_physical_plan().await.map_err(refused)?;
        let rows = datafusion::physical_plan::collect(plan, task.into()).await;
        rows.map_err(|error| Alone::Failed(error.strip_backtrace()))
    };
    let contained = AssertUnwindSafe(planned).catch_unwind();
    match timeout(PATIENCE, contained).await {
        Ok(Ok(Ok(batches))) => Alone::Rows(Rows::of(&batches)),
        Ok(Ok(Err(alone))) => alone,
        Ok(Err(_)) => Alone::Failed("it panicked".to_owned()),
        Err(_) => Alone::TooLong,
    }
}

/// Runs `query` in both and compares; if it has an order, the order of the rows too.
pub(super) async fn judge(
    context: &SessionContext,
    mesh: &Mesh,
    client: &mut Client,
    query: &Query,
) -> Verdict {
    let sql = &query.to_string();
    let alone = alone(context, sql).await;
    if matches!(alone, Alone::TooLong) {
        return Verdict::Skipped;
    }
    let federated = ask(mesh, client, sql).await;
    match compare(alone, federated, query) {
        Verdict::Different(difference)
            if difference.sort == Sort::Rows && loses_order(context, query).await =>
        {
            Verdict::Skipped
        }
        verdict => verdict,
    }
}

fn compare(alone: Alone, federated: Result<Rows, Failure>, query: &Query) -> Verdict {
    match (alone, federated) {
        (Alone::Rows(alone), Ok(federated)) => same(alone, federated, query),
        (Alone::Rows(alone), Err(error)) => {
            let alone = format!(
                "one process answers {} rows:\n{}",
                alone.len(),
                Start(&alone)
            );
            Verdict::different(Sort::Unanswered, alone, &error)
        }
        (Alone::Refused(reason), Err(error)) if is_wrong_for_refused(&error, &reason) => {
            let alone = format!("one process refuses it: {reason}\n");
            Verdict::different(Sort::Blame, alone, &error)
        }
        (Alone::Failed(reason), Err(error)) if is_wrong_for_failed(&error, &reason) => {
            let alone = format!("one process fails: {reason}\n");
            Verdict::different(Sort::Blame, alone, &error)
        }
        (Alone::Refused(reason), _) => Verdict::Refused(reason),
        (Alone::Failed(_) | Alone::TooLong, _) => Verdict::Skipped,
    }
}

/// Whether one process answers out of order, so that its first rows are any rows.
pub(crate) async fn loses_order(context: &SessionContext, query: &Query) -> bool {
    let whole = Query {
        limit: None,
        ..query.clone()
    };
    let rows = alone(context, &whole.to_string()).await;
    matches!(rows, Alone::Rows(rows) if !order::is_kept(query, &rows))
}

/// Asks the mesh; once more if a node seemed to be gone, which on a busy machine one does that
/// missed its heartbeats.
async fn ask(mesh: &Mesh, client: &mut Client, sql: &str) -> Result<Rows, Failure> {
    match client.query(sql).await {
        Err(error) if error.code() == code::DOMAIN_UNAVAILABLE => {
            mesh.wait_for_all().await;
            client.query(sql).await
        }
        asked => asked,
    }
}

fn same(alone: Rows, federated: Rows, query: &Query) -> Verdict {
    let (alone, federated) = match query.order.is_empty() {
        true => (alone.sorted(), federated.sorted()),
        false => (alone, federated),
    };
    if alone.rows() == federated.rows() {
        return Verdict::Same(alone.len());
    }
    let told = format!(
        "one process answers {} rows:\n{}the mesh answers {} rows:\n{}",
        alone.len(),
        Start(&alone),
        federated.len(),
        Start(&federated)
    );
    let sort = Sort::Rows;
    Verdict::Different(Difference { sort, told })
}

impl Verdict {
    fn different(sort: Sort, alone: String, error: &Failure) -> Self {
        let code = error.code();
        let told = format!("{alone}the mesh says: {code} {error}\n");
        Self::Different(Difference { sort, told })
    }
}

/// A statement that is refused is the asker's; only what the engine calls its own defect may be one.
fn is_wrong_for_refused(error: &Failure, reason: &str) -> bool {
    let defect = error.code() == code::INTERNAL;
    let planned = [
        code::PLAN,
        code::NOT_FOUND,
        code::UNSUPPORTED,
        code::EVALUATION,
        code::SYNTAX,
    ];
    if defect {
        !reason.contains("Internal error")
    } else {
        !planned.contains(&error.code())
    }
}

/// What fails on the data is the asker's, unless the engine itself breaks on it: when it panics, or
/// when it forgot to bring what is compared to one type, as it does in LATERAL.
fn is_wrong_for_failed(error: &Failure, reason: &str) -> bool {
    let breaks = ["panicked", "Can't compare arrays of different types"];
    let is_broken = breaks.iter().any(|broken| reason.contains(broken));
    error.kind() == ErrorKind::Internal && !is_broken
}

/// The first rows.
struct Start<'a>(&'a Rows);

impl fmt::Display for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.0.rows().iter().take(40) {
            writeln!(f, "  {}", row.join(" | "))?;
        }
        Ok(())
    }
}
