//! How long small statements take from the call to the last row, for one client and for several at a
//! time, and what a part of that costs by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// `SELECT 1` at the coordinator.
    One,
    /// One order by its key, at the coordinator; one node has it.
    Point,
    /// The same straight at that node.
    PointAtNode,
    /// A join of tables of three domains with their totals: query 5 of TPC-H.
    Join,
    /// The order by DataFusion in one process.
    PointAlone,
    /// One entry of an event log on disk.
    Commit,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// By what was asked for, and how many clients asked at a time.
    times: BTreeMap<(Call, usize), Vec<Duration>>,
    /// The first thing that was not as it should be.
    pub wrong: Option<String>,
}

/// Times that so many percent did not exceed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentiles {
    pub(super) count: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

impl Call {
    /// Those that clients make of a mesh.
    pub const OF_CLIENTS: [Self; 4] = [Self::One, Self::Point, Self::PointAtNode, Self::Join];

    /// The `nth` statement of its kind, with short names of tables, in data of `scale`.
    pub fn sql(self, nth: usize, scale: f64) -> String {
        match self {
            Self::One | Self::Commit => "select 1".to_owned(),
            Self::Point | Self::PointAtNode | Self::PointAlone => format!(
                "select o_orderkey, o_orderdate, o_totalprice from orders where o_orderkey = {}",
                super::points::order_key(nth, scale)
            ),
            Self::Join => {
                let query = crate::tpch::QUERIES.iter().find(|query| query.number == 5);
                query.map_or_else(String::new, |query| query.sql.to_owned())
            }
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "SELECT 1",
            Self::Point => "one order",
            Self::PointAtNode => "one order at its node",
            Self::Join => "join of three domains",
            Self::PointAlone => "one order in process",
            Self::Commit => "one entry of an event log on disk",
        })
    }
}

impl Calls {
    /// Adds times that `call` took when so many clients made it at a time.
    pub fn add(&mut self, call: Call, clients: usize, times: impl IntoIterator<Item = Duration>) {
        self.times.entry((call, clients)).or_default().extend(times);
    }

    /// Notes that `call` failed.
    pub fn failed(&mut self, call: Call, why: impl fmt::Display) {
        self.wrong.get_or_insert(format!("{call}: {why}"));
    }

    /// What was measured, in the order of calls and clients.
    pub(super) fn percentiles(&self) -> impl Iterator<Item = (Call, usize, Percentiles)> {
        self.times
            .iter()
            .filter_map(|((call, clients), times)| Some((*call, *clients, percentiles(times)?)))
    }

    /// The median that `call` of one client should not exceed, if there is an aim.
    pub(super) fn limit(&self, call: Call) -> Option<Duration> {
        /// `SELECT 1`.
        const ONE: Duration = Duration::from_millis(1);
        /// Beside what is done in one process, and an entry on disk.
        const ADDED: Duration = Duration::from_millis(2);
        let median = |call| percentiles(self.times.get(&(call, 1))?).map(|it| it.p50);
        match call {
            Call::One => Some(ONE),
            Call::Point | Call::PointAtNode => {
                Some(median(Call::PointAlone)? + median(Call::Commit)? + ADDED)
            }
            Call::Join | Call::PointAlone | Call::Commit => None,
        }
    }
}

fn percentiles(times: &[Duration]) -> Option<Percentiles> {
    let mut times = times.to_vec();
    times.sort();
    let at = |percent: usize| {
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(place).copied()
    };
    Some(Percentiles {
        count: times.len(),
        p50: at(50)?,
        p99: at(99)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_may_take_what_its_parts_take_and_two_milliseconds() {
        let millis = |all: &[u64]| -> Vec<Duration> {
            all.iter().map(|ms| Duration::from_millis(*ms)).collect()
        };
        let mut calls = Calls::default();
        assert_eq!(calls.limit(Call::Point), None);
        calls.add(Call::PointAlone, 1, millis(&[3, 5, 4]));
        calls.add(Call::Commit, 1, millis(&[1]));
        calls.add(Call::Point, 16, millis(&[90; 200]));
        calls.add(Call::Point, 16, millis(&[1]));
        assert_eq!(calls.limit(Call::Point), Some(Duration::from_millis(7)));
        let all: Vec<_> = calls.percentiles().collect();
        let (call, clients, times) = all[0];
        assert_eq!((call, clients, times.count), (Call::Point, 16, 201));
        assert_eq!(times.p99, Duration::from_millis(90));
    }
}
