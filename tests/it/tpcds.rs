//! TPC-DS: several domains answer all 99 queries like one process, and like another engine.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use harness::{
    Answer, Client, Layout, Mesh, MeshOptions, Question, SIX_DOMAINS, THREE_DOMAINS, TpcDs, grant,
    run, single_process,
};
use tempfile::TempDir;
use weft_coordinator::plan::Optimization;

/// Fewer answers with something in them prove too little.
const TELLING: usize = 98;

#[test]
fn all_queries_over_three_domains_equal_one_process_and_duckdb() {
    compare(&THREE_DOMAINS, None);
}

#[test]
fn all_queries_over_six_domains_equal_one_process_and_duckdb() {
    if full() {
        compare(&SIX_DOMAINS, None);
    }
}

/// All steps take half an hour; `WEFT_TPCDS_WITHOUT=hash` tries one alone.
#[test]
fn all_queries_give_the_same_without_any_step_of_the_planner() {
    let one = std::env::var("WEFT_TPCDS_WITHOUT").ok();
    if one.is_some() || full() {
        let wanted = |step: &Optimization| one.as_deref().is_none_or(|one| one == step.name());
        for step in Optimization::ALL.into_iter().filter(wanted) {
            compare(&THREE_DOMAINS, Some(step));
        }
    }
}

fn full() -> bool {
    let full = std::env::var_os("WEFT_TEST_FULL").is_some();
    if !full {
        say("not run: TPC-DS at length, because WEFT_TEST_FULL is not set");
    }
    full
}

fn compare(layout: &Layout, without: Option<Optimization>) {
    let Some(data) = TpcDs::make() else {
        say("not run: TPC-DS, because WEFT_TEST_PYTHON names no interpreter");
        return;
    };
    run(async {
        let folder = TempDir::new().expect("folder");
        let domains = layout.write(&data, folder.path());
        let folders: Vec<_> = domains
            .iter()
            .map(|(domain, _, folder)| (*domain, folder.as_path()))
            .collect();
        let alone = single_process(&folders).await;
        let mesh = mesh(&domains).await;
        let mut analyst = mesh.sign_in("analyst").await;
        if let Some(step) = without {
            let off = format!("SET weft.optimizer.{} = off", step.name());
            analyst.query(&off).await.expect("left out");
        }
        let questions = questions(&data, layout, &alone).await;
        let known = data.answers(&questions);
        let telling = known.iter().filter(|answer| !answer.is_void()).count();

        let mut differences = Vec::new();
        let start = Instant::now();
        for (question, known) in questions.iter().zip(&known) {
            let sql = question.text_in(layout);
            let (federated, alone) = tokio::join!(
                timed(ask(&mut analyst, &sql)),
                timed(ask_alone(&alone, &sql))
            );
            if let Err(difference) = judge(question, &federated.0, &alone.0, known) {
                differences.push(format!(
                    "{} (mesh {:?}, one process {:?}): {difference}",
                    question.name(),
                    federated.1,
                    alone.1
                ));
            }
        }
        say(&format!(
            "TPC-DS over {} domains, without {:?}: {} of {} equal, {telling} of them with rows that \
             tell something, in {:?}",
            domains.len(),
            without.map(Optimization::name),
            questions.len() - differences.len(),
            questions.len(),
            start.elapsed()
        ));
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        assert!(telling >= TELLING, "{telling} answers have rows");
    });
}

async fn mesh(domains: &[(&str, &str, std::path::PathBuf)]) -> Mesh {
    let domains = domains.iter().map(|(domain, product, folder)| {
        let grants = vec![grant("analyst", product)];
        ((*domain).to_owned(), folder.clone(), grants)
    });
    Mesh::start(MeshOptions {
        domains: domains.collect(),
        ..MeshOptions::empty()
    })
    .await
}

/// All 99, each with an order that leaves nothing open.
async fn questions(data: &TpcDs, layout: &Layout, engine: &SessionContext) -> Vec<Question> {
    let mut questions = data.questions();
    for question in &mut questions {
        let plan = engine.sql(&question.text_in(layout)).await;
        let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", question.name()));
        question.order_by_all(plan.schema().fields().len());
    }
    questions
}

fn judge(
    question: &Question,
    federated: &Result<Answer, String>,
    alone: &Result<Answer, String>,
    known: &Answer,
) -> Result<(), String> {
    let federated = federated.as_ref().map_err(|told| format!("mesh: {told}"))?;
    let alone = alone
        .as_ref()
        .map_err(|told| format!("one process: {told}"))?;
    for (what, one, other) in [
        ("mesh and DuckDB", federated, known),
        ("mesh and one process", federated, alone),
        ("one process and DuckDB", alone, known),
    ] {
        one.same_as(other, question.is_ordered())
            .map_err(|difference| format!("{what}: {difference}"))?;
    }
    Ok(())
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let done = work.await;
    (done, start.elapsed())
}

async fn ask(client: &mut Client, sql: &str) -> Result<Answer, String> {
    let rows = client.stream(sql).await.map_err(told)?;
    let batches: Vec<_> = rows.try_collect().await.map_err(told)?;
    Ok(Answer::of(&batches))
}

async fn ask_alone(engine: &SessionContext, sql: &str) -> Result<Answer, String> {
    let rows = engine.sql(sql).await.map_err(told)?;
    let batches = rows.collect().await.map_err(told)?;
    Ok(Answer::of(&batches))
}

fn told(error: impl Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
