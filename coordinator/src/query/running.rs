//! The queries of this coordinator: those that run and the last that ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use weft_governance::{Error, ErrorKind, QueryId, code};

use super::flow::Flow;
use super::receipts::Receipts;

/// Ended queries that are remembered.
const REMEMBERED: usize = 1_000;

/// What a query is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryState {
    /// Rows are made or read.
    Running,
    /// All rows were read.
    Finished,
    /// An error ended it.
    Failed,
    /// The asker left before the end.
    Cancelled,
}

impl QueryState {
    /// The name in `system.runtime.queries`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One line of `system.runtime.queries`.
#[derive(Debug, Clone)]
pub struct QueryRecord {
    /// The query.
    pub id: QueryId,
    /// Who asked.
    pub principal: String,
    /// What it is doing.
    pub state: QueryState,
    /// When it started.
    pub started: SystemTime,
    /// How long it ran, or has run so far.
    pub elapsed: Duration,
    /// Rows of the answer so far.
    pub rows: u64,
    /// What crosses the boundaries of domains, one for each fragment.
    pub flows: Vec<Flow>,
    /// What nodes have signed for it.
    pub receipts: Receipts,
}

/// All of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunningQueries {
    records: Arc<Mutex<VecDeque<(QueryRecord, Instant)>>>,
    allowed: usize,
}

impl RunningQueries {
    /// At most `allowed` queries at a time.
    pub fn new(allowed: usize) -> Self {
        Self {
            records: Arc::default(),
            allowed,
        }
    }

    /// Notes a query that starts.
    ///
    /// # Errors
    /// `WEFT-RESOURCES` if too many run.
    pub fn start(
        &self,
        id: QueryId,
        principal: &str,
        flows: Vec<Flow>,
        receipts: Receipts,
    ) -> Result<(), Error> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let running = records
            .iter()
            .filter(|(r, _)| r.state == QueryState::Running)
            .count();
        if running >= self.allowed {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                code::RESOURCES,
                format!("{running} queries run already, and no more are allowed at a time"),
            )
            .with_hint("Try again when one of them has ended."));
        }
        let ended = |(record, _): &(QueryRecord, Instant)| record.state != QueryState::Running;
        if records.len() >= REMEMBERED
            && let Some(oldest) = records.iter().position(ended)
        {
            records.remove(oldest);
        }
        let record = QueryRecord {
            id,
            principal: principal.to_owned(),
            state: QueryState::Running,
            started: SystemTime::now(),
            elapsed: Duration::ZERO,
            rows: 0,
            flows,
            receipts,
        };
        records.push_back((record, Instant::now()));
        Ok(())
    }

    /// Notes what crosses for a query that goes on in another way than it was to.
    pub fn change_flows(&self, id: QueryId, flows: Vec<Flow>) {
        self.update(id, |record| record.flows = flows);
    }

    /// Notes how many rows of its answer a query has made.
    pub fn progress(&self, id: QueryId, rows: u64) {
        self.update(id, |record| record.rows = rows);
    }

    /// Notes how a query ended; only the first end counts.
    pub fn end(&self, id: QueryId, state: QueryState) {
        self.update(id, |record| record.state = state);
    }

    /// What `principal` asked, newest last.
    pub fn of(&self, principal: &str) -> Vec<QueryRecord> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records
            .iter()
            .filter(|(record, _)| record.principal == principal)
            .map(|(record, started)| {
                let mut record = record.clone();
                if record.state == QueryState::Running {
                    record.elapsed = started.elapsed();
                }
                record
            })
            .collect()
    }

    /// The query `id` of `principal`, if it is remembered.
    pub fn one(&self, principal: &str, id: QueryId) -> Option<QueryRecord> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = records.iter().map(|(record, _)| record);
        own.find(|record| record.id == id && record.principal == principal)
            .cloned()
    }

    fn update(&self, id: QueryId, change: impl FnOnce(&mut QueryRecord)) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let found = records
            .iter_mut()
            .rev()
            .find(|(record, _)| record.id == id && record.state == QueryState::Running);
        if let Some((record, started)) = found {
            record.elapsed = started.elapsed();
            change(record);
        }
    }
}
