//! The queries of this coordinator: those that run and the last that ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;
use weft_governance::{Error, ErrorKind, Principal, QueryId, ServerId, code};

use super::flow::Flow;
use super::receipts::Receipts;
use super::tally::Tally;

/// Ended queries that are remembered.
const REMEMBERED: usize = 1_000;

/// What a query is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryState {
    /// Others have to end before it begins.
    Queued,
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
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl QueryState {
    /// Whether it has come to its end.
    pub fn is_over(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Finished | Self::Failed | Self::Cancelled => true,
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
    /// The node where the client fetches the rows by itself, if it does.
    pub fetched_at: Option<ServerId>,
}

/// All of them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RunningQueries(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    entries: VecDeque<Entry>,
    ended: Tally,
}

#[derive(Debug)]
struct Entry {
    record: QueryRecord,
    began: Instant,
    stop: Stop,
}

/// Ends a query from outside. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: CancellationToken,
    why: Arc<OnceLock<Error>>,
}

impl Stop {
    /// Ends it, and has its reader told why. Only the first time counts.
    pub fn stop(&self, why: Error) {
        let _ = self.why.set(why);
        self.asked.cancel();
    }

    /// Returns when it is to end.
    pub async fn stopped(&self) -> Error {
        self.asked.cancelled().await;
        self.why.get().cloned().unwrap_or_else(|| ended(false))
    }
}

impl Entry {
    /// What is known of it now.
    fn now(&self) -> QueryRecord {
        let mut record = self.record.clone();
        if !record.state.is_over() {
            record.elapsed = self.began.elapsed();
        }
        record
    }

    fn is_shown_to(&self, asker: &Principal) -> bool {
        self.record.principal == asker.subject || asker.is_admin()
    }
}

impl RunningQueries {
    /// Notes a query that is to run, here or for a client who has its rows from a node, and returns what
    /// ends it.
    pub fn start(
        &self,
        id: QueryId,
        principal: &str,
        flows: Vec<Flow>,
        receipts: Receipts,
        fetched_at: Option<ServerId>,
    ) -> Stop {
        let mut known = self.lock();
        if known.entries.len() >= REMEMBERED {
            let over = known
                .entries
                .iter()
                .position(|it| it.record.state.is_over());
            over.and_then(|oldest| known.entries.remove(oldest));
        }
        let record = QueryRecord {
            id,
            principal: principal.to_owned(),
            state: QueryState::Queued,
            started: SystemTime::now(),
            elapsed: Duration::ZERO,
            rows: 0,
            flows,
            receipts,
            fetched_at,
        };
        let stop = Stop::default();
        known.entries.push_back(Entry {
            record,
            began: Instant::now(),
            stop: stop.clone(),
        });
        stop
    }

    /// Notes that a query has its place and runs.
    pub fn begin(&self, id: QueryId) {
        self.update(id, |record| record.state = QueryState::Running);
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
        let mut known = self.lock();
        let Known { entries, ended } = &mut *known;
        if let Some(entry) = open(entries, id) {
            entry.record.elapsed = entry.began.elapsed();
            entry.record.state = state;
            ended.add(&entry.record);
        }
    }

    /// Ends the query `id`, if it is `asker`'s or `asker` runs the mesh.
    ///
    /// # Errors
    /// `WEFT-NOT-FOUND` if there is no such query that runs, or none that `asker` may know of.
    pub fn kill(&self, id: QueryId, asker: &Principal) -> Result<(), Error> {
        let mut known = self.lock();
        let found = open(&mut known.entries, id).filter(|entry| entry.is_shown_to(asker));
        let Some(entry) = found else {
            let message = format!("there is no query `{id}` that runs");
            return Err(Error::new(ErrorKind::NotFound, code::NOT_FOUND, message)
                .with_hint("`SELECT query_id, state FROM system.runtime.queries` lists them."));
        };
        entry
            .stop
            .stop(ended(entry.record.principal != asker.subject));
        Ok(())
    }

    /// What `asker` may know of, newest last: their own queries, or all for whoever runs the mesh.
    pub fn shown_to(&self, asker: &Principal) -> Vec<QueryRecord> {
        let known = self.lock();
        let shown = known.entries.iter().filter(|it| it.is_shown_to(asker));
        shown.map(Entry::now).collect()
    }

    /// The query `id` of `principal`, if it is remembered.
    pub fn one(&self, principal: &str, id: QueryId) -> Option<QueryRecord> {
        let known = self.lock();
        let mut own = known.entries.iter().map(|it| &it.record);
        own.find(|record| record.id == id && record.principal == principal)
            .cloned()
    }

    /// The numbers of all queries since the start.
    pub fn tally(&self) -> Tally {
        let known = self.lock();
        let open = known.entries.iter().filter(|it| !it.record.state.is_over());
        let mut tally = known.ended.clone();
        open.for_each(|entry| tally.add(&entry.record));
        tally
    }

    fn update(&self, id: QueryId, change: impl FnOnce(&mut QueryRecord)) {
        let mut known = self.lock();
        if let Some(entry) = open(&mut known.entries, id) {
            change(&mut entry.record);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The query `id`, unless it is over.
fn open(entries: &mut VecDeque<Entry>, id: QueryId) -> Option<&mut Entry> {
    let mut newest_first = entries.iter_mut().rev();
    newest_first.find(|it| it.record.id == id && !it.record.state.is_over())
}

/// What the reader of a killed query is told.
fn ended(by_another: bool) -> Error {
    let message = match by_another {
        true => "the query was ended by whoever runs the mesh",
        false => "the query was ended with KILL QUERY",
    };
    Error::new(ErrorKind::Cancelled, code::CANCELLED, message)
        .with_hint("Run it again, or ask those who run the mesh why it was ended.")
}

#[cfg(test)]
mod tests;
