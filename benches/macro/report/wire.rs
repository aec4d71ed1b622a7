//! What the kernel counted on the connections to the nodes, beside what Weft counts.

use std::fmt;

use serde::Serialize;

use super::super::table::Table;
use super::super::{Flow, Raced, Wire, unit};
use super::crossings::Crossed;
use super::{Report, name};

/// What TLS and HTTP/2 may add to a stream beside their share of its bytes: headers, the fragment itself
/// with its tokens, the last message.
const STREAM_BYTES: u64 = 8 << 10;
/// One in so many bytes may be theirs.
const SHARE: u64 = 20;

/// Both counts for one query and one domain's node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Compared {
    /// The domain.
    pub(super) domain: String,
    /// Fragments that it answered.
    pub(super) streams: u64,
    /// Bytes that came from its node, by Weft's account.
    pub(super) from: u64,
    /// The same by the kernel's.
    pub(super) wire_from: u64,
    /// Bytes of other domains that went to its node, by Weft's account.
    pub(super) to: u64,
    /// All that went to its node, by the kernel's.
    pub(super) wire_to: u64,
    /// Whether they differ by no more than what the transport may add.
    pub(super) agrees: bool,
}

impl Compared {
    fn of(wire: &Wire, flows: &[Flow]) -> Self {
        let Wire { domain, carried } = wire;
        let sum = |of: &dyn Fn(&Flow) -> bool| Crossed::sum(flows.iter().filter(|flow| of(flow)));
        let from = sum(&|flow| flow.source == *domain && flow.destination == "coordinator");
        let to = sum(&|flow| flow.destination == *domain).bytes;
        let allowed = |counted: u64| counted / SHARE + STREAM_BYTES * from.requests.max(1);
        let close = |counted: u64, carried: u64| counted.abs_diff(carried) <= allowed(counted);
        Self {
            domain: domain.clone(),
            streams: from.requests,
            from: from.bytes,
            wire_from: carried.back,
            to,
            wire_to: carried.there,
            agrees: close(from.bytes, carried.back) && close(to, carried.there),
        }
    }
}

/// Both counts of `query`, for each domain; none if the wire was not looked at.
pub(super) fn compared(query: &Raced) -> Vec<Compared> {
    let wires = query.wire().iter();
    wires.map(|it| Compared::of(it, query.flows())).collect()
}

/// Writes nothing if the wire was not looked at.
pub(super) fn write(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    match table(report) {
        Some(table) => writeln!(
            f,
            "Bytes by Weft's account and on the wire by the kernel's, from and to each node\n{table}"
        ),
        None => Ok(()),
    }
}

fn table(report: &Report) -> Option<Table> {
    let domains = report.queries.iter().find_map(|query| {
        let domains: Vec<String> = query.wire().iter().map(|it| it.domain.clone()).collect();
        (!domains.is_empty()).then_some(domains)
    })?;
    let mut header = vec!["query".to_owned()];
    for domain in &domains {
        header.extend([
            format!("from {domain}"),
            "wire".to_owned(),
            "to".to_owned(),
            "wire".to_owned(),
        ]);
    }
    header.push(String::new());
    let mut table = Table::new(header);
    for query in &report.queries {
        let all = compared(query);
        if all.is_empty() {
            continue;
        }
        let mut cells = vec![name(query)];
        for one in &all {
            cells.extend([one.from, one.wire_from, one.to, one.wire_to].map(unit::bytes));
        }
        let agree = all.iter().all(|one| one.agrees);
        cells.push(if agree { "ok" } else { "apart" }.to_owned());
        table.row(cells);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::super::super::Carried;
    use super::super::tests::flow;
    use super::*;

    #[test]
    fn transport_may_add_a_twentieth_and_something_for_each_stream() {
        let wire = |there, back| Wire {
            domain: "sales".to_owned(),
            carried: Carried { there, back },
        };
        let keys = Flow {
            destination: "sales".to_owned(),
            ..flow("crm", 10, 40_000)
        };
        let flows = [flow("sales", 100, 2_000_000), flow("crm", 10, 500), keys];
        let agrees = |there, back| Compared::of(&wire(there, back), &flows).agrees;
        assert!(agrees(40_000, 2_000_000));
        assert!(agrees(40_000 + 2_000 + 8_192, 2_000_000 + 100_000 + 8_192));
        assert!(!agrees(40_000 + 2_000 + 8_193, 2_000_000));
        assert!(!agrees(40_000, 2_000_000 + 100_000 + 8_193));
        assert!(!agrees(40_000, 1_891_000));
        assert!(!agrees(29_000, 2_000_000));
    }
}
