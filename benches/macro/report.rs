//! What is said of all queries: tables for people, JSON for programs.

mod calls;
mod catalog;
mod crossings;
mod json;
mod latency;
mod price;
mod times;
mod transfer;
mod wire;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{
    Calls, EngineKind, Grants, Keys, Machine, Planning, Points, Raced, Settings, Transfer, Verdict,
    unit,
};

/// The domains that the reference figures are for. Nothing was held back from them.
const REFERENCE_DOMAINS: usize = 3;

/// Everything that was measured.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was asked for.
    pub settings: Settings,
    /// What it was measured on.
    pub machine: Machine,
    /// The queries, in the order of their numbers.
    pub queries: Vec<Raced>,
    /// One order with its customer, if that was asked for.
    pub points: Option<Points>,
    /// Planning with many products, if that was asked for.
    pub planning: Option<Planning>,
    /// Rows from one process to another, if that was asked for.
    pub transfer: Option<Transfer>,
    /// Small statements, if that was asked for.
    pub calls: Option<Calls>,
    /// The most memory that each process had, in bytes.
    pub peak_memory: BTreeMap<String, u64>,
}

impl Report {
    /// Whether a query has a wrong answer or none.
    pub fn is_bad(&self) -> bool {
        let points = self.points.iter().filter_map(|it| it.wrong.as_ref());
        let transfer = self.transfer.iter().filter_map(|it| it.wrong.as_ref());
        let calls = self.calls.iter().filter_map(|it| it.wrong.as_ref());
        let wrong = points.chain(transfer).chain(calls).next().is_some();
        wrong || self.queries.iter().any(|query| query.verdict().is_bad())
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json::of(self)
    }

    /// The engines that were asked.
    fn engines(&self) -> Vec<EngineKind> {
        let asked = |kind: &EngineKind| {
            let mut queries = self.queries.iter();
            queries.any(|query| query.outcomes.contains_key(kind))
        };
        EngineKind::ALL.into_iter().filter(asked).collect()
    }

    /// Whether the reference figures are for what was measured.
    fn has_reference(&self) -> bool {
        self.settings.domains == REFERENCE_DOMAINS && self.settings.grants == Grants::Open
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            scale,
            domains,
            runs,
            warm_up,
            off,
            grants,
            key_disclosure,
            link,
            compression,
        } = &self.settings;
        write!(
            f,
            "TPC-H at scale {scale}, {domains} domain(s), {runs} run(s) after {warm_up} to warm up"
        )?;
        for step in off {
            write!(f, ", without {step}")?;
        }
        if *grants != Grants::Open {
            write!(f, ", {grants} grants")?;
        }
        if *key_disclosure != Keys::List {
            write!(f, ", keys disclosed as {key_disclosure}")?;
        }
        if let Some(link) = link {
            write!(f, ", over a link of {link}")?;
        }
        if compression == "lz4" {
            f.write_str(", rows compressed")?;
        }
        let Machine { cores, profile, .. } = &self.machine;
        write!(f, "\n{cores} core(s), {profile} build")?;
        for (engine, version) in &self.machine.versions {
            write!(f, ", {engine} {version}")?;
        }
        writeln!(f, "\n")?;
        times::write(f, self)?;
        price::write(f, self)?;
        crossings::write(f, self)?;
        wire::write(f, self)?;
        latency::write(f, self)?;
        catalog::write(f, self)?;
        transfer::write(f, self)?;
        calls::write(f, self)?;
        for query in &self.queries {
            match query.verdict() {
                Verdict::Equal | Verdict::Unchecked => {}
                Verdict::Wrong(why) => writeln!(f, "{}: WRONG: {why}", name(query))?,
                Verdict::Failed(why) => writeln!(f, "{}: FAILED: {why}", name(query))?,
            }
        }
        let peak = self.peak_memory.iter();
        let peak: Vec<String> = peak
            .map(|(process, bytes)| format!("{process} {}", unit::bytes(*bytes)))
            .collect();
        writeln!(f, "Peak memory: {}", peak.join(", "))
    }
}

fn name(query: &Raced) -> String {
    format!("q{:02}", query.query)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::race::tests::{raced, run};
    use super::super::{Flow, Run};
    use super::*;

    pub(crate) fn flow(source: &str, rows: u64, bytes: u64) -> Flow {
        Flow {
            source: source.to_owned(),
            destination: "coordinator".to_owned(),
            form: "rows".to_owned(),
            rows,
            bytes,
            requests: 1,
        }
    }

    pub(crate) fn report(scale: f64, domains: usize) -> Report {
        use EngineKind::{DataFusion, Weft};
        let weft = |millis, flows: &[Flow]| Run {
            flows: flows.to_vec(),
            ..run(millis, 2, Some("a"))
        };
        let third = [flow("sales", 100, 2_000_000), flow("crm", 10, 1_000)];
        let queries = vec![
            raced(
                3,
                &[
                    (Weft, vec![weft(30, &third), weft(20, &third)]),
                    (
                        DataFusion,
                        vec![run(10, 2, Some("a")), run(20, 2, Some("a"))],
                    ),
                ],
            ),
            raced(
                6,
                &[
                    (Weft, vec![weft(12, &[flow("sales", 1, 304)])]),
                    (DataFusion, vec![run(6, 3, Some("a"))]),
                ],
            ),
        ];
        let settings = Settings {
            scale,
            domains,
            runs: 2,
            warm_up: 1,
            off: vec!["gather".to_owned()],
            grants: Grants::Open,
            key_disclosure: Keys::List,
            link: None,
            compression: "auto".to_owned(),
        };
        Report {
            settings,
            machine: Machine {
                cores: 2,
                processor: None,
                platform: "linux".to_owned(),
                profile: "debug",
                versions: BTreeMap::from([(Weft, "0.1.0".to_owned())]),
            },
            queries,
            points: None,
            planning: None,
            transfer: None,
            calls: None,
            peak_memory: BTreeMap::from([("coordinator".to_owned(), 64_000_000)]),
        }
    }

    #[test]
    fn the_whole_report_reads_as_it_should() {
        let text = report(1.0, 3).to_string();
        let expected = "\
TPC-H at scale 1, 3 domain(s), 2 run(s) after 1 to warm up, without gather
2 core(s), debug build, weft 0.1.0

Time in ms, best and median; processor time of a run in s
query  weft  median  datafusion  median  weft/datafusion  weft cpu  datafusion cpu  cpu ratio  answer
q03    20.0    25.0        10.0    15.0             2.00      0.05            0.03       1.67  equal
q06    12.0    12.0         6.0     6.0             2.00      0.02            0.01       2.00  WRONG
total  32.0    37.0        16.0    21.0             2.00      0.07            0.04       1.76

What crossed, beside the reference for three domains at scale 1
query  requests  rows    bytes        A      A1        B        C        D       E  bytes/D  limit
q03           2   110  2.00 MB  1.24 GB  303 MB   147 MB  8.72 MB  2.19 MB  485 kB     0.91  ok
q06           1     1    304 B  1.01 GB  312 MB  3.66 MB    304 B    304 B   304 B     1.00  ok
total         3   111  2.00 MB  2.25 GB  616 MB   151 MB  8.72 MB  2.20 MB  485 kB     0.91
";
        assert!(text.starts_with(expected), "{text}");
        assert!(
            text.contains("\nq06: WRONG: 2 rows, 3 of datafusion\n"),
            "{text}"
        );
        assert!(
            text.ends_with("Peak memory: coordinator 64.0 MB\n"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_answer_makes_the_report_bad() {
        let mut report = report(1.0, 3);
        assert!(report.is_bad());
        report.queries.truncate(1);
        assert!(!report.is_bad());
    }
}
