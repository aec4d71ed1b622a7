//! The table of a join that moves nearly nothing.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::table::Table;
use super::super::{EngineKind, Points, unit};
use super::Report;

/// How much longer than in one process such a join may take.
const ADDED: Duration = Duration::from_millis(4);
const PERCENTS: [usize; 2] = [50, 99];

/// Writes nothing if no orders were asked for.
pub(super) fn write(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let Some(points) = &report.points else {
        return Ok(());
    };
    writeln!(
        f,
        "One order with its customer, in ms; in the last column, what Weft may take by its median\n{}",
        table(points)
    )?;
    match &points.wrong {
        Some(wrong) => writeln!(f, "One order with its customer: WRONG: {wrong}\n"),
        None => Ok(()),
    }
}

/// For programs: times in seconds.
pub(super) fn json(points: &Points) -> Value {
    let engine = |kind: EngineKind| {
        let [p50, p99] = PERCENTS.map(|percent| points.percentile(kind, percent));
        let figures = json!({
            "count": points.count(kind),
            "p50_seconds": p50.map(|it| it.as_secs_f64()),
            "p99_seconds": p99.map(|it| it.as_secs_f64()),
        });
        (kind.to_string(), figures)
    };
    let engines: Map<String, Value> = points.engines().map(engine).collect();
    json!({
        "engines": engines,
        "limit_seconds": limit(points).map(|it| it.as_secs_f64()),
        "wrong": points.wrong,
    })
}

/// The median that Weft should not exceed.
fn limit(points: &Points) -> Option<Duration> {
    let own = points.percentile(EngineKind::DataFusion, 50)?;
    Some(own + ADDED)
}

fn table(points: &Points) -> Table {
    let mut table = Table::new(["engine", "orders", "p50", "p99", ""]);
    for engine in points.engines() {
        let shown = |percent| {
            let time = points.percentile(engine, percent);
            time.map_or_else(unit::absent, unit::millis)
        };
        let kept = limit(points).zip(points.percentile(engine, 50));
        let kept = match kept.filter(|_| engine == EngineKind::Weft) {
            Some((limit, own)) if own > limit => format!("over {}", unit::millis(limit)),
            Some((limit, _)) => format!("ok, at most {}", unit::millis(limit)),
            None => String::new(),
        };
        let [p50, p99] = PERCENTS.map(shown);
        let count = points.count(engine).to_string();
        table.row(vec![engine.to_string(), count, p50, p99, kept]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_may_be_four_milliseconds_above_that_of_one_process() {
        use EngineKind::{DataFusion, Weft};
        let points = |weft: u64| Points::of([(Weft, vec![weft, 30]), (DataFusion, vec![6, 7])]);
        assert_eq!(
            table(&points(10)).to_string(),
            "\
engine      orders   p50   p99
weft             2  10.0  30.0  ok, at most 10.0
datafusion       2   6.0   7.0
"
        );
        let over = table(&points(11)).to_string();
        assert!(over.contains("over 10.0"), "{over}");
        let json = json(&points(10));
        assert_eq!(json["engines"]["weft"]["p99_seconds"], 0.03);
        assert_eq!(json["limit_seconds"], 0.01);
    }
}
