use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use weft_governance::code;

use super::*;
use crate::failure::from_datafusion;
use crate::functions::query_functions;
use crate::interrupt::RunningPlans;

/// Of a plan that nobody stops.
fn signal() -> Interrupt {
    RunningPlans::default().start()
}

fn session() -> SessionContext {
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(SessionConfig::new().with_target_partitions(1))
        .with_scalar_functions(query_functions())
        .build();
    SessionContext::new_with_state(state)
}

async fn run(sql: &str) -> std::result::Result<String, weft_governance::Error> {
    let session = session();
    let ask = async {
        let (state, plan) = session.sql(sql).await?.into_parts();
        let plan = bounded_calls(state.optimize(&plan)?, &signal())?;
        let plan = state
            .query_planner()
            .create_physical_plan(&plan, &state)
            .await?;
        datafusion::physical_plan::collect(plan, session.task_ctx()).await
    };
    let batches = ask.await.map_err(from_datafusion)?;
    let batch = batches.first().expect("a batch");
    let options = datafusion::arrow::util::display::FormatOptions::default();
    let column =
        datafusion::arrow::util::display::ArrayFormatter::try_new(batch.column(0), &options);
    Ok(column.expect("printable").value(0).to_string())
}

#[tokio::test]
async fn what_would_make_too_much_is_refused_before_it_is_made() {
    for call in [
        "repeat('x', 1000000000)",
        "repeat('xx', 9223372036854775807)",
        "lpad('x', 1000000000, 'ab')",
        "rpad('x', 1000000000)",
        "array_repeat(1, 1000000000)",
        "array_resize([1], 1000000000, 0)",
        "range(1000000000)",
        "range(0, 1000000000)",
        "range(1000000000, 0, -1)",
        "generate_series(1, 1000000000, 2)",
        "generate_series(-9223372036854775807, 9223372036854775807)",
        "generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2001-01-01', INTERVAL '1 millisecond')",
        "replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
        "regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000000), 'g')",
        "array_to_string(range(1000000), repeat('b', 1000000))",
        "array_replace_all(array_repeat('a', 1000000), 'a', repeat('b', 1000000))",
    ] {
        for sql in [
            format!("SELECT {call}"),
            // Out of reach of the optimizer, which would do it before the query runs.
            format!("SELECT {call} FROM (VALUES (random()), (random())) t(x) WHERE x < 2"),
        ] {
            let refused = run(&sql).await.expect_err(&sql);
            assert_eq!(refused.code(), code::RESOURCES, "{sql}: {refused}");
            assert!(refused.hint().is_some(), "{sql}");
        }
    }
}

#[tokio::test]
async fn doubling_ends_at_the_bound() {
    for double in ["x || x", "concat(x, x)", "concat_ws('', x, x)"] {
        let doubled = (0..9).fold(
            "SELECT repeat('x', n) AS x FROM (VALUES (1000000)) t(n)".to_owned(),
            |from, step| format!("SELECT {double} AS x FROM ({from}) t{step} WHERE x <> ''"),
        );
        let refused = run(&doubled).await.expect_err("refused");
        assert_eq!(refused.code(), code::RESOURCES, "{double}: {refused}");
    }
    let lists = (0..9).fold(
        "SELECT range(n) AS x FROM (VALUES (1000000)) t(n)".to_owned(),
        |from, step| {
            format!("SELECT array_concat(x, x) AS x FROM ({from}) t{step} WHERE cardinality(x) > 0")
        },
    );
    let refused = run(&lists).await.expect_err("refused");
    assert_eq!(refused.code(), code::RESOURCES, "{refused}");
}

#[tokio::test]
async fn what_makes_little_is_made() {
    for (sql, answer) in [
        ("SELECT repeat('ab', 3)", "ababab"),
        ("SELECT repeat(x, 2) FROM (VALUES ('é'), (NULL)) t(x)", "éé"),
        ("SELECT lpad(x, 5, '*') FROM (VALUES ('ab')) t(x)", "***ab"),
        ("SELECT x || 'b' || x FROM (VALUES ('a')) t(x)", "aba"),
        ("SELECT [1] || [n] FROM (VALUES (2)) t(n)", "[1, 2]"),
        ("SELECT concat(x, 1, NULL) FROM (VALUES ('a')) t(x)", "a1"),
        (
            "SELECT generate_series(1, n, 3) FROM (VALUES (10)) t(n)",
            "[1, 4, 7, 10]",
        ),
        (
            "SELECT cardinality(generate_series(DATE '2020-01-01', DATE '2029-12-31', INTERVAL '1 day'))",
            "3653",
        ),
        (
            "SELECT replace(x, 'a', 'bb') FROM (VALUES ('aXa')) t(x)",
            "bbXbb",
        ),
        (
            "SELECT regexp_replace(x, 'a', 'b', 'g') FROM (VALUES ('aXa')) t(x)",
            "bXb",
        ),
        (
            "SELECT array_to_string([1, n], '-') FROM (VALUES (2)) t(n)",
            "1-2",
        ),
        ("SELECT NULL || x FROM (VALUES ('a')) t(x)", ""),
    ] {
        assert_eq!(
            run(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")),
            answer,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_bounded_call_is_named_like_the_call_that_it_stands_for() {
    let session = session();
    let sql = "SELECT x || 'b', concat(x, 'a'), x ~ x, x NOT LIKE x, x SIMILAR TO x, regexp_like(x, x), \
         levenshtein(x, x), max(x || x) FROM (VALUES ('a')) t(x) GROUP BY 1, 2, 3, 4, 5, 6, 7";
    let (state, plan) = session.sql(sql).await.expect("planned").into_parts();
    let plan = state.optimize(&plan).expect("optimized");
    let bounded = bounded_calls(plan.clone(), &signal()).expect("bounded");
    assert_eq!(bounded.schema(), plan.schema());
    let twice = bounded_calls(bounded.clone(), &signal()).expect("bounded");
    assert_eq!(twice.to_string(), bounded.to_string());
}

/// Calls with a pattern `p` of their own for each row, or two texts to be compared.
const MUCH_WORK: [&str; 16] = [
    "t ~ p",
    "t !~ p",
    "t ~* p",
    "t !~* p",
    "t LIKE p",
    "t NOT LIKE p",
    "t ILIKE p",
    "t NOT ILIKE p",
    "t SIMILAR TO p",
    "'x7' ~ p",
    "regexp_like(t, p)",
    "regexp_match(t, p)",
    "regexp_count(t, p)",
    "regexp_instr(t, p)",
    "regexp_replace(t, p, '-', 'g')",
    "levenshtein(t, p)",
];

/// Texts and patterns, all different or hardly, some of them NULL.
const PAIRS: &str = "SELECT 'x' || n AS t, CASE WHEN n % 7 = 0 THEN NULL WHEN n > 400 THEN 'x%5' \
     ELSE '[xy]' || (n % 50) || '$' END AS p FROM (SELECT unnest(range(600)) AS n)";

/// What `calls` answer for each of the [`PAIRS`], with and without what bounds them.
async fn answers(calls: &str, interrupt: Option<&Interrupt>) -> Result<Vec<RecordBatch>> {
    let session = session();
    let sql = format!("SELECT {calls} FROM ({PAIRS})");
    let (state, plan) = session.sql(&sql).await?.into_parts();
    let plan = state.optimize(&plan)?;
    let plan = match interrupt {
        Some(interrupt) => bounded_calls(plan, interrupt)?,
        None => plan,
    };
    let plan = state
        .query_planner()
        .create_physical_plan(&plan, &state)
        .await?;
    datafusion::physical_plan::collect(plan, session.task_ctx()).await
}

#[tokio::test]
async fn slices_answer_what_the_whole_would() {
    for call in MUCH_WORK {
        let whole = answers(call, None).await.expect(call);
        let sliced = answers(call, Some(&signal())).await.expect(call);
        assert_eq!(sliced, whole, "{call}");
        let rows: usize = whole.iter().map(RecordBatch::num_rows).sum();
        let values = whole.iter().map(|batch| batch.column(0));
        let nulls: usize = values.map(|column| column.null_count()).sum();
        assert!(
            rows == 600 && nulls < rows,
            "{call}: {nulls} of {rows} are NULL"
        );
    }
}

#[tokio::test]
async fn what_is_much_work_is_refused_once_its_plan_was_stopped() {
    for call in MUCH_WORK {
        let signal = signal();
        signal.stop();
        let stopped = from_datafusion(answers(call, Some(&signal)).await.expect_err(call));
        assert_eq!(stopped.code(), code::CANCELLED, "{call}: {stopped}");
    }
}

#[tokio::test]
async fn a_query_can_be_stopped_while_it_makes_patterns() {
    let signal = signal();
    let ended = signal.clone();
    // Minutes of work, if nothing stops it.
    let query = answers("t ~ ('(a|b){100}' || t)", Some(&signal));
    let stop = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        ended.stop();
    });
    let stopped = from_datafusion(query.await.expect_err("stopped"));
    assert_eq!(stopped.code(), code::CANCELLED, "{stopped}");
    stop.join().expect("done");
}

#[tokio::test]
async fn long_texts_are_not_compared() {
    for sql in [
        "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))",
        "SELECT levenshtein(repeat(x, 1000000), repeat('b', 1000000)) FROM (VALUES ('a')) t(x)",
    ] {
        let refused = run(sql).await.expect_err(sql);
        assert_eq!(refused.code(), code::RESOURCES, "{sql}: {refused}");
        assert!(
            refused.hint().is_some_and(|hint| hint.contains("left(")),
            "{sql}"
        );
    }
}
