//! The table of how long small statements take.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::Calls;
use super::super::table::Table;
use super::Report;

/// Writes nothing if no calls were asked for.
pub(super) fn write(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let Some(calls) = &report.calls else {
        return Ok(());
    };
    writeln!(
        f,
        "Small statements, in ms; in the last column, what one client may wait by its median\n{}",
        table(calls)
    )?;
    match &calls.wrong {
        Some(wrong) => writeln!(f, "Small statements: WRONG: {wrong}\n"),
        None => Ok(()),
    }
}

/// For programs: times in seconds.
pub(super) fn json(calls: &Calls) -> Value {
    let all = calls.percentiles().map(|(call, clients, times)| {
        let limit = calls.limit(call).filter(|_| clients == 1);
        json!({
            "call": call,
            "clients": clients,
            "count": times.count,
            "p50_seconds": times.p50.as_secs_f64(),
            "p99_seconds": times.p99.as_secs_f64(),
            "limit_seconds": limit.map(|it| it.as_secs_f64()),
        })
    });
    json!({"calls": all.collect::<Vec<_>>(), "wrong": calls.wrong})
}

fn table(calls: &Calls) -> Table {
    let mut table = Table::new(["call", "clients", "count", "p50", "p99", ""]);
    for (call, clients, times) in calls.percentiles() {
        let limit = calls.limit(call).filter(|_| clients == 1);
        let kept = match limit {
            Some(limit) if times.p50 > limit => format!("over {}", precise(limit)),
            Some(limit) => format!("ok, at most {}", precise(limit)),
            None => String::new(),
        };
        table.row(vec![
            call.to_string(),
            clients.to_string(),
            times.count.to_string(),
            precise(times.p50),
            precise(times.p99),
            kept,
        ]);
    }
    table
}

/// Milliseconds with two digits after the point.
fn precise(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::super::super::Call;
    use super::*;

    #[test]
    fn one_client_is_judged_and_several_are_not() {
        let mut calls = Calls::default();
        calls.add(Call::One, 1, [Duration::from_micros(900)]);
        calls.add(Call::One, 16, [Duration::from_micros(5_100)]);
        assert_eq!(
            table(&calls).to_string(),
            "\
call      clients  count   p50   p99
SELECT 1        1      1  0.90  0.90  ok, at most 1.00
SELECT 1       16      1  5.10  5.10
"
        );
        let json = json(&calls);
        assert_eq!(json["calls"][0]["limit_seconds"], 0.001);
        assert!(json["calls"][1]["limit_seconds"].is_null());
    }
}
