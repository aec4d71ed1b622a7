//! Numbers of all queries together, for whoever runs the coordinator.

use std::collections::BTreeMap;

use weft_operations::Reading;

use super::running::{QueryRecord, QueryState};

/// What queries have done since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Queries that wait for their place.
    pub queued: u64,
    /// Queries that run.
    pub running: u64,
    /// Queries that came to their end.
    pub finished: u64,
    /// Queries that an error ended.
    pub failed: u64,
    /// Queries that somebody ended.
    pub cancelled: u64,
    /// Rows of answers.
    pub rows: u64,
    /// Requests that nodes were sent.
    pub fragments: u64,
    /// Bytes that crossed the boundary of a domain, by the form in which they did.
    pub crossed: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts `query` as it is now.
    pub(super) fn add(&mut self, query: &QueryRecord) {
        let state = match query.state {
            QueryState::Queued => &mut self.queued,
            QueryState::Running => &mut self.running,
            QueryState::Finished => &mut self.finished,
            QueryState::Failed => &mut self.failed,
            QueryState::Cancelled => &mut self.cancelled,
        };
        *state += 1;
        self.rows += query.rows;
        for flow in &query.flows {
            self.fragments += flow.counters.requests();
            *self.crossed.entry(flow.form.name()).or_insert(0) += flow.counters.bytes();
        }
    }

    /// As an operator reads it.
    pub fn readings(&self) -> Vec<Reading> {
        let ended = [
            ("finished", self.finished),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
        ];
        vec![
            Reading::gauge("queries_running", "Queries that run", self.running),
            Reading::gauge(
                "queries_queued",
                "Queries that wait for a place",
                self.queued,
            ),
            Reading::counter("queries", "Queries that have ended", 0).by("state", ended),
            Reading::counter("result_rows", "Rows of answers", self.rows),
            Reading::counter(
                "fragments",
                "Fragments that nodes were sent",
                self.fragments,
            ),
            Reading::counter(
                "boundary_bytes",
                "Bytes that crossed the boundary of a domain, by their form",
                0,
            )
            .by("form", self.crossed.clone()),
        ]
    }
}
