//! The report for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::{Bytes, EngineKind, Outcome, Raced, Reference, Verdict, unit};
use super::crossings::{Crossed, limit, limit_of_all};
use super::price::Price;
use super::times::{ratio, target, total};
use super::wire::compared;
use super::{Report, calls, catalog, latency, transfer};

/// Times in seconds, sizes in bytes.
pub(super) fn of(report: &Report) -> Value {
    let queries: Vec<Value> = report.queries.iter().map(|it| query(report, it)).collect();
    json!({
        "settings": report.settings,
        "machine": report.machine,
        "queries": queries,
        "total": totals(report),
        "points": report.points.as_ref().map(latency::json),
        "planning": report.planning.as_ref().map(catalog::json),
        "transfer": report.transfer.as_ref().map(transfer::json),
        "calls": report.calls.as_ref().map(calls::json),
        "peak_memory": report.peak_memory,
    })
}

fn query(report: &Report, raced: &Raced) -> Value {
    let verdict = raced.verdict();
    let reason = match &verdict {
        Verdict::Equal | Verdict::Unchecked => None,
        Verdict::Wrong(reason) | Verdict::Failed(reason) => Some(reason),
    };
    let engines: Map<String, Value> = raced
        .outcomes
        .iter()
        .map(|(kind, outcome)| (kind.to_string(), engine(raced, *kind, outcome)))
        .collect();
    let one = std::slice::from_ref(raced);
    json!({
        "query": raced.query,
        "answer": verdict.word(),
        "reason": reason,
        "engines": engines,
        "time_ratio": ratio(one, Raced::best),
        "cpu_ratio": ratio(one, Raced::cpu),
        "crossed": crossed(Crossed::sum(raced.flows())),
        "flows": raced.flows(),
        "wire": compared(raced),
        "reference": reference(report, raced),
        "target_seconds": seconds(target(report, raced)),
        "price": price(one),
    })
}

fn engine(raced: &Raced, kind: EngineKind, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Failed(message) => json!({"error": message}),
        Outcome::Ran(runs) => {
            let times: Vec<f64> = runs.iter().map(|run| run.time.as_secs_f64()).collect();
            let answer = runs.last().map(|run| &run.answer);
            json!({
                "seconds": times,
                "best_seconds": seconds(raced.best(kind)),
                "median_seconds": seconds(raced.median(kind)),
                "cpu_seconds": seconds(raced.cpu(kind)),
                "rows": answer.map(|answer| answer.rows),
                "checksum": answer.and_then(|answer| answer.checksum.clone()),
            })
        }
    }
}

/// The figures at the scale of the report.
fn reference(report: &Report, raced: &Raced) -> Option<Value> {
    let reference = Reference::of(raced.query).filter(|_| report.has_reference())?;
    Some(json!({
        "bytes": reference.scaled(report.settings.scale),
        "fragments": reference.fragments,
        "limit_bytes": limit(&reference, &report.settings),
    }))
}

fn totals(report: &Report) -> Value {
    let engines: Map<String, Value> = report
        .engines()
        .into_iter()
        .map(|kind| {
            let figures = json!({
                "best_seconds": seconds(total(&report.queries, |query| query.best(kind))),
                "median_seconds": seconds(total(&report.queries, |query| query.median(kind))),
                "cpu_seconds": seconds(total(&report.queries, |query| query.cpu(kind))),
            });
            (kind.to_string(), figures)
        })
        .collect();
    let scale = report.settings.scale;
    let references = report.queries.iter().filter(|_| report.has_reference());
    let references = references
        .filter_map(|query| Reference::of(query.query))
        .map(|reference| reference.scaled(scale));
    json!({
        "engines": engines,
        "time_ratio": ratio(&report.queries, Raced::best),
        "cpu_ratio": ratio(&report.queries, Raced::cpu),
        "crossed": crossed(Crossed::sum(report.queries.iter().flat_map(Raced::flows))),
        "reference_bytes": Bytes::sum(references),
        "limit_bytes": limit_of_all(report),
        "target_seconds": seconds(total(&report.queries, |query| target(report, query))),
        "price": price(&report.queries),
    })
}

/// What filters and masks cost; nothing without a copy to compare with.
fn price(queries: &[Raced]) -> Option<Value> {
    let Price {
        bytes,
        copy_bytes,
        best,
        median,
        ..
    } = Price::of(queries)?;
    let copied = queries.iter().flat_map(|it| it.flows_of(EngineKind::Copy));
    Some(json!({
        "bytes": bytes,
        "copy_bytes": copy_bytes,
        "bytes_ratio": unit::ratio(bytes as f64, copy_bytes as f64),
        "time_ratio": best,
        "median_time_ratio": median,
        "copy_crossed": crossed(Crossed::sum(copied)),
    }))
}

fn crossed(crossed: Crossed) -> Value {
    let Crossed {
        requests,
        rows,
        bytes,
    } = crossed;
    json!({"requests": requests, "rows": rows, "bytes": bytes})
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn a_program_finds_every_figure() {
        let json = of(&report(1.0, 3));
        let at = |pointer: &str| {
            json.pointer(pointer)
                .cloned()
                .unwrap_or_else(|| panic!("{pointer}"))
        };
        assert_eq!(at("/settings/off/0"), "gather");
        assert_eq!(at("/machine/profile"), "debug");
        assert_eq!(at("/queries/0/query"), 3);
        assert_eq!(at("/queries/0/answer"), "equal");
        assert_eq!(at("/queries/0/engines/weft/seconds"), json!([0.03, 0.02]));
        assert_eq!(at("/queries/0/engines/weft/best_seconds"), 0.02);
        assert_eq!(at("/queries/0/engines/datafusion/rows"), 2);
        assert_eq!(at("/queries/0/time_ratio"), 2.0);
        assert_eq!(at("/queries/0/flows/0/source"), "sales");
        assert_eq!(at("/queries/0/reference/bytes/semi_join"), 2_194_768);
        assert_eq!(at("/queries/1/answer"), "WRONG");
        assert_eq!(
            at("/queries/1/crossed"),
            json!({"requests": 1, "rows": 1, "bytes": 304})
        );
        assert_eq!(at("/total/crossed/bytes"), 2_001_304);
        assert_eq!(at("/total/reference_bytes/semi_join"), 2_194_768 + 304);
        assert_eq!(at("/total/engines/weft/best_seconds"), 0.032);
        assert_eq!(at("/peak_memory/coordinator"), 64_000_000);
    }
}
