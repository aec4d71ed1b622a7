//! What it costs that rows are filtered and cells are masked on the way, and not before.

use std::fmt;

use super::super::table::Table;
use super::super::{EngineKind, Raced, unit};
use super::crossings::Crossed;
use super::times::ratio_to;
use super::{Report, name};

/// How many times the bytes of the copy may cross.
const BYTES: f64 = 1.1;
/// How many times as long as over the copy a query may take.
const TIME: f64 = 1.15;

/// Weft under filters and masks beside Weft over a copy without what they hold back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Price {
    /// What crossed.
    pub(super) bytes: u64,
    /// What crossed from the copy.
    pub(super) copy_bytes: u64,
    /// How many times as long the best runs took.
    pub(super) best: Option<f64>,
    /// The same of the median runs.
    pub(super) median: Option<f64>,
}

impl Price {
    /// Of `queries` together, those that both answered; nothing if there is none.
    pub(super) fn of(queries: &[Raced]) -> Option<Self> {
        let both = |query: &&Raced| {
            let ran = |engine| !query.runs(engine).is_empty();
            ran(EngineKind::Weft) && ran(EngineKind::Copy)
        };
        queries.iter().find(both)?;
        let bytes = |engine| {
            let compared = queries.iter().filter(both);
            Crossed::sum(compared.flat_map(|query| query.flows_of(engine))).bytes
        };
        Some(Self {
            bytes: bytes(EngineKind::Weft),
            copy_bytes: bytes(EngineKind::Copy),
            best: ratio_to(EngineKind::Copy, queries, Raced::best),
            median: ratio_to(EngineKind::Copy, queries, Raced::median),
        })
    }

    fn bytes_ratio(&self) -> Option<f64> {
        unit::ratio(self.bytes as f64, self.copy_bytes as f64)
    }

    /// What is more than it should be.
    fn over(&self) -> String {
        let above = |ratio: Option<f64>, limit| ratio.is_some_and(|ratio| ratio > limit);
        let all = [
            (above(self.bytes_ratio(), BYTES), "bytes over"),
            (above(self.best, TIME), "time over"),
        ];
        let over = all.into_iter().filter(|(over, _)| *over);
        let words: Vec<&str> = over.map(|(_, word)| word).collect();
        match words.is_empty() {
            true => "ok".to_owned(),
            false => words.join(", "),
        }
    }
}

/// Writes nothing if there is no copy to compare with.
pub(super) fn write(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    match table(report) {
        Some(table) => writeln!(
            f,
            "What filters and masks cost: weft/copy, where the copy was filtered and masked before\n{table}"
        ),
        None => Ok(()),
    }
}

fn table(report: &Report) -> Option<Table> {
    let all = Price::of(&report.queries)?;
    let mut table = Table::new(["query", "bytes", "copy", "ratio", "best", "median", ""]);
    let mut line = |name: String, price: Price| {
        table.row(vec![
            name,
            unit::bytes(price.bytes),
            unit::bytes(price.copy_bytes),
            unit::times(price.bytes_ratio()),
            unit::times(price.best),
            unit::times(price.median),
            price.over(),
        ]);
    };
    for query in &report.queries {
        if let Some(price) = Price::of(std::slice::from_ref(query)) {
            line(name(query), price);
        }
    }
    line("total".to_owned(), all);
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::super::super::Run;
    use super::super::super::race::tests::{raced, run};
    use super::super::tests::{flow, report};
    use super::*;

    #[test]
    fn the_price_is_that_of_queries_that_both_answered() {
        use EngineKind::{Copy, Weft};
        let runs = |millis, bytes| {
            vec![Run {
                flows: vec![flow("sales", 1, bytes)],
                ..run(millis, 1, Some("a"))
            }]
        };
        let mut report = report(1.0, 3);
        assert!(table(&report).is_none());
        report.queries = vec![
            raced(3, &[(Weft, runs(22, 1_000)), (Copy, runs(20, 1_000))]),
            raced(6, &[(Weft, runs(40, 2_400)), (Copy, runs(30, 2_000))]),
            raced(9, &[(Weft, runs(900, 9_000))]),
        ];
        assert_eq!(
            table(&report).expect("a table").to_string(),
            "\
query    bytes     copy  ratio  best  median
q03    1.00 kB  1.00 kB   1.00  1.10    1.10  ok
q06    2.40 kB  2.00 kB   1.20  1.33    1.33  bytes over, time over
total  3.40 kB  3.00 kB   1.13  1.24    1.24  bytes over, time over
"
        );
    }
}
