//! How fast rows go from one process to another: the loopback's raw TCP, a plain Arrow Flight server
//! and Weft, read by the same readers in turns.

mod reader;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use reader::{Fetch, Reader, Tls, read as serve_transfer_reader};
pub use source::{Source, SourceProcess};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// Columns of integers.
    Numbers,
    /// All columns of the largest table: integers, decimals, dates and strings.
    Mixed,
}

/// Who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sender {
    /// Bytes without any meaning over a bare socket.
    Tcp,
    /// Arrow Flight as its library has it, batches from memory.
    Plain,
    /// Weft's door in front of the same batches from memory.
    Door,
    /// A node of Weft, from its files, over TLS.
    Node,
    /// A coordinator of Weft, from a node.
    Coordinator,
}

/// Who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReaderKind {
    /// The Flight client of Rust.
    Rust,
    /// That of Python.
    Pyarrow,
}

/// What is sent, by whom, and who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leg {
    /// What is sent.
    pub payload: Payload,
    /// By whom.
    pub sender: Sender,
    /// Who reads it.
    pub reader: ReaderKind,
}

/// One answer that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Carry {
    /// Bytes of rows.
    pub bytes: u64,
    /// How many rows; none over a bare socket.
    pub rows: u64,
    /// From the call to the last byte.
    pub time: Duration,
    /// Processor time of all processes at both ends.
    pub cpu: Duration,
}

/// All that was measured.
#[derive(Debug, Clone, Default)]
pub struct Transfer {
    runs: BTreeMap<Leg, Vec<Carry>>,
    /// The first thing that was not as it should be.
    pub wrong: Option<String>,
}

/// What came of the turns of one leg.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) runs: usize,
    /// Bytes of one run.
    pub(super) bytes: u64,
    /// MiB/s in the best run and in the median of them.
    pub(super) best: f64,
    pub(super) median: f64,
    /// The median beside that of raw TCP.
    pub(super) of_tcp: Option<f64>,
    /// Seconds of processor time of both ends for 10⁹ bytes.
    pub(super) cpu_per_gb: f64,
}

impl Payload {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Numbers, Self::Mixed];

    /// The columns of `lineitem` that it has; none is all.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Numbers => &["l_orderkey", "l_partkey", "l_suppkey", "l_linenumber"],
            Self::Mixed => &[],
        }
    }

    /// What asks for it.
    pub fn sql(self) -> String {
        let columns = match self.columns() {
            [] => "*".to_owned(),
            columns => columns.join(", "),
        };
        format!("select {columns} from lineitem")
    }
}

impl Transfer {
    /// Adds a run of `leg`, whose rows should be as many as those of others of the same payload.
    pub fn add(&mut self, leg: Leg, carry: Carry) {
        let others = self.runs.iter().filter(|(it, _)| {
            it.payload == leg.payload && it.sender != Sender::Tcp && leg.sender != Sender::Tcp
        });
        let mut others = others.flat_map(|(_, runs)| runs);
        if let Some(other) = others.find(|other| other.rows != carry.rows) {
            let message = format!("{leg}: {} rows, {} of another", carry.rows, other.rows);
            self.wrong.get_or_insert(message);
        }
        self.runs.entry(leg).or_default().push(carry);
    }

    /// Notes that a run of `leg` failed.
    pub fn failed(&mut self, leg: Leg, why: impl fmt::Display) {
        self.wrong.get_or_insert(format!("{leg}: {why}"));
    }

    /// The legs that were run, in their order.
    pub(super) fn figures(&self) -> impl Iterator<Item = (Leg, Figures)> {
        self.runs.iter().filter_map(|(leg, runs)| {
            let tcp = Leg {
                payload: leg.payload,
                sender: Sender::Tcp,
                reader: ReaderKind::Rust,
            };
            let (best, median) = speeds(runs)?;
            let tcp = self.runs.get(&tcp).and_then(|runs| speeds(runs));
            let bytes: u64 = runs.iter().map(|run| run.bytes).sum();
            let cpu: Duration = runs.iter().map(|run| run.cpu).sum();
            let figures = Figures {
                runs: runs.len(),
                bytes: bytes / runs.len().max(1) as u64,
                best,
                median,
                of_tcp: tcp.and_then(|(_, tcp)| super::unit::ratio(median, tcp)),
                cpu_per_gb: super::unit::ratio(cpu.as_secs_f64() * 1e9, bytes as f64)?,
            };
            Some((*leg, figures))
        })
    }
}

/// MiB/s of the best run and of the median; nothing without runs.
fn speeds(runs: &[Carry]) -> Option<(f64, f64)> {
    let speed = |run: &Carry| run.bytes as f64 / f64::from(1 << 20) / run.time.as_secs_f64();
    let mut speeds: Vec<f64> = runs.iter().map(speed).collect();
    speeds.sort_by(f64::total_cmp);
    let median = speeds.get(speeds.len() / 2)?;
    Some((*speeds.last()?, *median))
}

impl Sender {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Plain => "plain flight",
            Self::Door => "weft's door",
            Self::Node => "weft node",
            Self::Coordinator => "weft coordinator",
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numbers => "numbers",
            Self::Mixed => "mixed",
        })
    }
}

impl fmt::Display for ReaderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "rust",
            Self::Pyarrow => "pyarrow",
        })
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            payload,
            sender,
            reader,
        } = self;
        write!(f, "{payload} from {} to {reader}", sender.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_compared_with_raw_tcp_and_rows_with_each_other() {
        let leg = |sender| Leg {
            payload: Payload::Mixed,
            sender,
            reader: ReaderKind::Rust,
        };
        let carry = |rows, millis| Carry {
            bytes: 64 << 20,
            rows,
            time: Duration::from_millis(millis),
            cpu: Duration::from_millis(200),
        };
        let mut transfer = Transfer::default();
        transfer.add(leg(Sender::Tcp), carry(0, 32));
        for millis in [128, 64, 80] {
            transfer.add(leg(Sender::Node), carry(7, millis));
        }
        let figures: Vec<_> = transfer.figures().collect();
        let (tcp, node) = (figures[0].1, figures[1].1);
        assert_eq!(tcp.median, 2000.0);
        assert_eq!((node.best, node.median), (1000.0, 800.0));
        assert_eq!(node.of_tcp, Some(0.4));
        assert!((node.cpu_per_gb - 2.98).abs() < 0.01, "{node:?}");
        assert_eq!(transfer.wrong, None);
        transfer.add(leg(Sender::Plain), carry(8, 1));
        assert_eq!(
            transfer.wrong.as_deref(),
            Some("mixed from plain flight to rust: 8 rows, 7 of another")
        );
    }
}
