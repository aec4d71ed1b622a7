use std::sync::Arc;
use std::time::Duration;

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt};
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

use super::*;
use crate::failure::from_datafusion;
use crate::workers::Workers;

/// Rows of `t`: its square is more than any machine goes through while a test waits.
const ROWS: i64 = 1_000_000;
/// Longer than any test takes that passes.
const PATIENCE: Duration = Duration::from_secs(60);

fn table(rows: i64) -> SessionContext {
    let schema = Arc::new(Schema::new(vec![
        Field::new("x", DataType::Int64, false),
        Field::new("one", DataType::Int64, false),
    ]));
    let batches = (0..rows)
        .step_by(8_192)
        .map(|start| {
            let x = Int64Array::from_iter_values(start..rows.min(start + 8_192));
            let one = Int64Array::from_iter_values(x.values().iter().map(|_| 1));
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(x), Arc::new(one)])
                .expect("batch")
        })
        .collect();
    let context = SessionContext::new();
    let table = MemTable::try_new(schema, vec![batches]).expect("table");
    context.register_table("t", Arc::new(table)).expect("named");
    context
}

/// Waits until nothing of any plan is left.
async fn ended(plans: &RunningPlans) -> std::result::Result<(), Elapsed> {
    let none = async {
        while plans.count() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, none).await
}

async fn guarded(
    context: &SessionContext,
    sql: &str,
    interrupt: &Interrupt,
) -> Arc<dyn ExecutionPlan> {
    let query = context.sql(sql).await.expect("query");
    let plan = query.create_physical_plan().await.expect("plan");
    interrupt.guard(plan).expect("guarded")
}

#[tokio::test]
async fn a_plan_that_only_computes_ends_when_its_rows_are_dropped() {
    let context = table(ROWS);
    let workers = Workers::start(1).expect("threads");
    let plans = RunningPlans::default();
    for sql in [
        "SELECT count(*) FROM t a JOIN t b ON a.x + b.x < 0",
        "SELECT count(*) FROM t a LEFT JOIN t b ON a.x + b.x < 0",
        "SELECT x FROM t a WHERE NOT EXISTS (SELECT 1 FROM t b WHERE a.x + b.x < -1)",
        "SELECT sum(a.x % 7 + b.x % 7) FROM t a CROSS JOIN t b",
        "SELECT count(*) FROM t a JOIN t b ON a.one = b.one AND a.x + b.x < 0",
        "SELECT sum(a.x % 7 + b.x % 7) FROM t a JOIN t b ON a.one = b.one",
        "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT count(*) FROM r",
    ] {
        let interrupt = plans.start();
        let plan = guarded(&context, sql, &interrupt).await;
        let rows = workers.execute(plan, context.task_ctx()).expect("runs");
        let mut rows = workers.drive(rows.map_err(from_datafusion).boxed(), interrupt);
        let early = timeout(Duration::from_millis(200), rows.next()).await;
        assert!(early.is_err(), "{sql} computes: {early:?}");
        assert_eq!(plans.count(), 1, "{sql}");
        drop(rows);
        ended(&plans).await.expect(sql);
    }
}

#[tokio::test]
async fn a_plan_that_nobody_stops_answers_as_without_a_signal() {
    let context = table(500);
    let workers = Workers::start(1).expect("threads");
    let plans = RunningPlans::default();
    for sql in [
        "SELECT count(*) FROM t a JOIN t b ON a.x + b.x < 400",
        "SELECT a.x, b.x FROM t a FULL JOIN t b ON a.x = b.x + 490 ORDER BY 1, 2",
        "SELECT a.x, b.x FROM t a JOIN t b ON a.x = b.x AND a.x + b.x > 990 ORDER BY 1",
        "SELECT unnest(make_array(x, one)) AS y FROM t WHERE x < 3 ORDER BY y",
        "SELECT x FROM t ORDER BY x DESC LIMIT 3",
    ] {
        let expected = context.sql(sql).await.expect("query");
        let expected = expected.collect().await.expect("rows");
        let plan = guarded(&context, sql, &plans.start()).await;
        let rows = workers.execute(plan, context.task_ctx()).expect("runs");
        let rows: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
        let text = |rows| {
            arrow::util::pretty::pretty_format_batches(rows)
                .expect("text")
                .to_string()
        };
        assert_eq!(text(&rows), text(&expected), "{sql}");
        ended(&plans).await.expect(sql);
    }
}

/// A plan that is made anew over less than was known goes wrong when it runs.
#[tokio::test]
async fn what_is_known_of_the_rows_stays_known() {
    let context = table(3);
    let query = context.sql("SELECT x FROM t").await.expect("query");
    let plan = query.create_physical_plan().await.expect("plan");
    let known = |plan: &dyn ExecutionPlan| {
        let known = StatisticsContext::new().compute(plan, &StatisticsArgs::new());
        known.expect("statistics")
    };
    let bare = known(plan.as_ref());
    assert_eq!(bare.num_rows, Precision::Exact(3), "the control");
    let guarded = RunningPlans::default().start().guard(plan);
    assert_eq!(known(guarded.expect("guarded").as_ref()), bare);
}
