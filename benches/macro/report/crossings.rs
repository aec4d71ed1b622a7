//! The tables of what crossed the boundaries of domains.

use std::collections::BTreeMap;
use std::fmt;

use super::super::table::Table;
use super::super::{Bytes, Flow, Grants, Keys, Raced, Reference, Settings, unit};
use super::{REFERENCE_DOMAINS, Report, name};

/// What a fragment may cost beside its rows: schema, headers, the last message.
const FRAGMENT_BYTES: u64 = 4 << 10;
/// What all queries should ship at most at scale 1 if their keys may not travel as they are.
const UNDISCLOSED_BYTES: u64 = 150_000_000;

/// What crossed several boundaries together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Crossed {
    pub(super) requests: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Crossed {
    /// The sum of `flows`.
    pub(super) fn sum<'a>(flows: impl IntoIterator<Item = &'a Flow>) -> Self {
        flows.into_iter().fold(Self::default(), |sum, flow| Self {
            requests: sum.requests + flow.requests,
            rows: sum.rows + flow.rows,
            bytes: sum.bytes + flow.bytes,
        })
    }
}

/// The most bytes that a query should ship, beside what its fragments cost: a quarter more than D; C if
/// its keys may not travel as they are.
pub(super) fn limit(reference: &Reference, settings: &Settings) -> u64 {
    let bytes = reference.scaled(settings.scale);
    let allowed = match settings.key_disclosure {
        Keys::List => bytes.semi_join + bytes.semi_join / 4,
        Keys::Bloom | Keys::Range | Keys::None => bytes.domain_subplan,
    };
    allowed + FRAGMENT_BYTES * reference.fragments
}

/// The most bytes that all queries should ship together if their keys may not travel as they are.
pub(super) fn limit_of_all(report: &Report) -> Option<u64> {
    let applies = report.has_reference() && report.settings.key_disclosure != Keys::List;
    // Far below the integers that a float holds exactly.
    applies.then(|| (UNDISCLOSED_BYTES as f64 * report.settings.scale).round() as u64)
}

/// Writes the sums beside the reference, and then each boundary by itself.
pub(super) fn write(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let scale = report.settings.scale;
    if report.settings.grants != Grants::Open {
        writeln!(
            f,
            "What crossed (the reference figures are for open grants)"
        )?;
    } else if !report.has_reference() {
        writeln!(
            f,
            "What crossed (the reference figures are for {REFERENCE_DOMAINS} domains)"
        )?;
    } else if scale == 1.0 {
        writeln!(
            f,
            "What crossed, beside the reference for three domains at scale 1"
        )?;
    } else {
        writeln!(
            f,
            "What crossed, beside the reference for three domains at scale 1, times {scale}: too much for results that do not grow"
        )?;
    }
    writeln!(f, "{}", sums(report))?;
    writeln!(f, "Each boundary\n{}", boundaries(report))
}

fn sums(report: &Report) -> Table {
    let mut header = vec!["query", "requests", "rows", "bytes"];
    if report.has_reference() {
        header.extend(["A", "A1", "B", "C", "D", "E", "bytes/D", "limit"]);
    } else {
        header.push("");
    }
    let mut table = Table::new(header);
    let scale = report.settings.scale;
    let mut references = Vec::new();
    for query in &report.queries {
        let crossed = Crossed::sum(query.flows());
        let reference = Reference::of(query.query).filter(|_| report.has_reference());
        let kept = match &reference {
            Some(reference) => within(crossed.bytes, limit(reference, &report.settings)),
            None => "",
        };
        let figures = reference.map(|reference| reference.scaled(scale));
        references.extend(figures);
        table.row(line(name(query), crossed, figures, kept));
    }
    let all = Crossed::sum(report.queries.iter().flat_map(Raced::flows));
    let kept = limit_of_all(report).map_or("", |limit| within(all.bytes, limit));
    table.row(line("total".to_owned(), all, Bytes::sum(references), kept));
    table
}

fn within(bytes: u64, limit: u64) -> &'static str {
    if bytes > limit { "over" } else { "ok" }
}

fn line(name: String, crossed: Crossed, reference: Option<Bytes>, kept: &str) -> Vec<String> {
    let mut cells = vec![
        name,
        crossed.requests.to_string(),
        crossed.rows.to_string(),
        unit::bytes(crossed.bytes),
    ];
    if let Some(reference) = reference {
        let Bytes {
            whole_tables,
            used_columns,
            filter_projection,
            domain_subplan,
            semi_join,
            best,
        } = reference;
        let figures = [
            whole_tables,
            used_columns,
            filter_projection,
            domain_subplan,
            semi_join,
            best,
        ];
        cells.extend(figures.map(unit::bytes));
        let ratio = unit::ratio(crossed.bytes as f64, semi_join as f64);
        cells.push(unit::times(ratio));
    }
    cells.push(kept.to_owned());
    cells
}

fn boundaries(report: &Report) -> Table {
    let mut all: BTreeMap<String, Vec<&Flow>> = BTreeMap::new();
    for flow in report.queries.iter().flat_map(Raced::flows) {
        all.entry(boundary(flow)).or_default().push(flow);
    }
    let mut header = vec!["query".to_owned()];
    for boundary in all.keys() {
        header.extend([format!("{boundary} rows"), "bytes".to_owned()]);
    }
    header.push(String::new());
    let mut table = Table::new(header);
    let line = |name: String, flows: &dyn Fn(&str) -> Crossed| {
        let mut cells = vec![name];
        for boundary in all.keys() {
            let crossed = flows(boundary);
            cells.extend([crossed.rows.to_string(), unit::bytes(crossed.bytes)]);
        }
        cells.push(String::new());
        cells
    };
    for query in &report.queries {
        let own = |at: &str| Crossed::sum(query.flows().iter().filter(|flow| boundary(flow) == at));
        table.row(line(name(query), &own));
    }
    let sum = |at: &str| Crossed::sum(all.get(at).into_iter().flatten().copied());
    table.row(line("total".to_owned(), &sum));
    table
}

/// The boundary by its domain; by both ends if the coordinator is not one of them.
fn boundary(flow: &Flow) -> String {
    match flow.destination.as_str() {
        "coordinator" => flow.source.clone(),
        destination => format!("{} to {destination}", flow.source),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{flow, report};
    use super::*;

    #[test]
    fn each_boundary_has_its_rows_and_bytes() {
        assert_eq!(
            boundaries(&report(1.0, 3)).to_string(),
            "\
query  crm rows    bytes  sales rows    bytes
q03          10  1.00 kB         100  2.00 MB
q06           0      0 B           1    304 B
total        10  1.00 kB         101  2.00 MB
"
        );
        let between = Flow {
            destination: "sales".to_owned(),
            ..flow("crm", 1, 8)
        };
        assert_eq!(boundary(&between), "crm to sales");
    }

    #[test]
    fn a_query_over_its_limit_is_marked() {
        let sixth = Reference::of(6).expect("known");
        let mut report = report(1.0, 3);
        assert_eq!(limit(&sixth, &report.settings), 304 + 76 + 4_096);
        report.settings.scale = 0.1;
        let text = sums(&report).to_string();
        assert!(text.contains("9.12  over"), "2.00 MB and 219 kB: {text}");
        report.settings.scale = 1.0;
        assert!(!sums(&report).to_string().contains("over"));
    }

    #[test]
    fn without_keys_the_limit_is_what_domains_can_do_alone() {
        let mut report = report(1.0, 3);
        assert_eq!(limit_of_all(&report), None);
        report.settings.key_disclosure = Keys::None;
        let third = Reference::of(3).expect("known");
        assert_eq!(limit(&third, &report.settings), 8_724_144 + 3 * 4_096);
        assert_eq!(limit_of_all(&report), Some(150_000_000));
        let text = sums(&report).to_string();
        assert!(text.ends_with("0.91  ok\n"), "{text}");
        report.settings.grants = Grants::Guarded;
        assert_eq!(limit_of_all(&report), None);
    }

    #[test]
    fn other_layouts_have_no_reference() {
        let text = sums(&report(1.0, 6)).to_string();
        assert!(
            text.starts_with("query  requests  rows    bytes\n"),
            "{text}"
        );
    }
}
