//! The table of times.

use std::fmt;
use std::time::Duration;

use super::super::table::Table;
use super::super::{EngineKind, Raced, Reference, unit};
use super::{Report, name};

const PAIR: [EngineKind; 2] = [EngineKind::Weft, EngineKind::DataFusion];

/// Writes the times and, over a slow link, what they could be.
pub(super) fn write(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    writeln!(
        f,
        "Time in ms, best and median; processor time of a run in s\n{}",
        times(report)
    )?;
    match target_table(report) {
        Some(targets) => writeln!(
            f,
            "Over the link: datafusion's best time + D ÷ rate + a round trip for each part of D's plan\n{targets}"
        ),
        None => Ok(()),
    }
}

/// The sum over the queries that `figure` has something to say of; nothing if it has of none.
pub(super) fn total(
    queries: &[Raced],
    figure: impl Fn(&Raced) -> Option<Duration>,
) -> Option<Duration> {
    let mut figures = queries.iter().filter_map(figure).peekable();
    figures.peek()?;
    Some(figures.sum())
}

/// How many times the figure of Weft is that of DataFusion, over the queries that both answered.
pub(super) fn ratio(
    queries: &[Raced],
    figure: impl Fn(&Raced, EngineKind) -> Option<Duration>,
) -> Option<f64> {
    ratio_to(EngineKind::DataFusion, queries, figure)
}

/// How many times the figure of Weft is that of `other`, over the queries that both answered.
pub(super) fn ratio_to(
    other: EngineKind,
    queries: &[Raced],
    figure: impl Fn(&Raced, EngineKind) -> Option<Duration>,
) -> Option<f64> {
    let both = queries.iter().filter_map(|query| {
        let [weft, other] = [EngineKind::Weft, other].map(|engine| figure(query, engine));
        weft.zip(other)
    });
    let (weft, other) = both.fold(Default::default(), |sum: (Duration, Duration), one| {
        (sum.0 + one.0, sum.1 + one.1)
    });
    unit::ratio(weft.as_secs_f64(), other.as_secs_f64())
}

/// The time that a query over the report's link should not exceed by much: DataFusion's own, the
/// bytes of D at the rate of the link, and a round trip for each part of D's plan.
pub(super) fn target(report: &Report, query: &Raced) -> Option<Duration> {
    let link = report.settings.link.filter(|_| report.has_reference())?;
    let reference = Reference::of(query.query)?;
    let waves = u32::try_from(reference.fragments).ok()?;
    let bytes = reference.scaled(report.settings.scale).semi_join;
    let own = query.best(EngineKind::DataFusion)?;
    Some(own + link.time_for(bytes) + link.round_trip * waves)
}

fn times(report: &Report) -> Table {
    let engines = report.engines();
    let compared = PAIR.iter().all(|engine| engines.contains(engine));
    let mut header = vec!["query".to_owned()];
    for engine in &engines {
        header.extend([engine.to_string(), "median".to_owned()]);
    }
    if compared {
        header.push("weft/datafusion".to_owned());
    }
    header.extend(engines.iter().map(|engine| format!("{engine} cpu")));
    if compared {
        header.push("cpu ratio".to_owned());
    }
    header.push("answer".to_owned());
    let mut table = Table::new(header);
    let line = |name: String, queries: &[Raced], answer: &str| {
        let shown = |figure: Option<Duration>, as_text: fn(Duration) -> String| {
            figure.map_or_else(unit::absent, as_text)
        };
        let mut cells = vec![name];
        for engine in &engines {
            cells.push(shown(
                total(queries, |query| query.best(*engine)),
                unit::millis,
            ));
            cells.push(shown(
                total(queries, |query| query.median(*engine)),
                unit::millis,
            ));
        }
        if compared {
            cells.push(unit::times(ratio(queries, Raced::best)));
        }
        for engine in &engines {
            cells.push(shown(
                total(queries, |query| query.cpu(*engine)),
                unit::seconds,
            ));
        }
        if compared {
            cells.push(unit::times(ratio(queries, Raced::cpu)));
        }
        cells.push(answer.to_owned());
        cells
    };
    for query in &report.queries {
        let answer = query.verdict().word();
        table.row(line(name(query), std::slice::from_ref(query), answer));
    }
    table.row(line("total".to_owned(), &report.queries, ""));
    table
}

fn target_table(report: &Report) -> Option<Table> {
    let mut table = Table::new(["query", "weft", "target", "weft/target", ""]);
    let mut sums = (Duration::ZERO, Duration::ZERO);
    let mut line = |name: String, (weft, target): (Duration, Duration)| {
        let ratio = unit::ratio(weft.as_secs_f64(), target.as_secs_f64());
        table.row(vec![
            name,
            unit::millis(weft),
            unit::millis(target),
            unit::times(ratio),
            String::new(),
        ]);
    };
    for query in &report.queries {
        let both = query.best(EngineKind::Weft).zip(target(report, query));
        if let Some(both) = both {
            line(name(query), both);
            sums = (sums.0 + both.0, sums.1 + both.1);
        }
    }
    if sums.1.is_zero() {
        return None;
    }
    line("total".to_owned(), sums);
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn an_engine_that_was_not_asked_has_no_columns() {
        let mut report = report(1.0, 3);
        for query in &mut report.queries {
            query.outcomes.remove(&EngineKind::DataFusion);
        }
        let text = times(&report).to_string();
        assert!(
            text.starts_with("query  weft  median  weft cpu  answer\n"),
            "{text}"
        );
        assert!(text.contains("unchecked"), "{text}");
    }

    #[test]
    fn the_target_over_a_link_is_work_and_bytes_and_round_trips() {
        let mut report = report(0.1, 3);
        assert!(target_table(&report).is_none());
        report.settings.link = Some("100mbit,20ms".parse().expect("a link"));
        // 219,477 bytes at 12.5 MB/s are 17.6 ms; D's plan of query 3 has three parts.
        let third = target(&report, &report.queries[0]).expect("a target");
        assert_eq!(unit::millis(third), "87.6");
        let text = target_table(&report).expect("a table").to_string();
        assert!(text.contains("q03    20.0    87.6         0.23"), "{text}");
        report.settings.domains = 6;
        assert!(target_table(&report).is_none());
    }
}
