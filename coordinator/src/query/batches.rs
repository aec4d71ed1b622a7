//! A query's rows on their way out: deadline, bookkeeping, one end.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::record_batch::RecordBatch;
use futures::Stream;
use futures::stream::BoxStream;
use weft_governance::{Error, QueryId};
use weft_ledger::EventKind;

use super::running::{QueryState, RunningQueries};
use crate::journal::Journal;

/// Counts what goes out and notes how it ended. Dropped before the end, the query was cancelled.
pub(super) struct Tracked {
    rows: BoxStream<'static, Result<RecordBatch, Error>>,
    sent: u64,
    id: QueryId,
    principal: String,
    queries: RunningQueries,
    journal: Journal,
    ended: bool,
}

impl Tracked {
    pub(super) fn new(
        rows: BoxStream<'static, Result<RecordBatch, Error>>,
        (id, principal): (QueryId, &str),
        queries: RunningQueries,
        journal: Journal,
    ) -> Self {
        Self {
            rows,
            sent: 0,
            id,
            principal: principal.to_owned(),
            queries,
            journal,
            ended: false,
        }
    }

    /// Notes how it ended; only the first end counts.
    fn end(&mut self, state: QueryState, error: Option<&Error>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.queries.end(self.id, state);
        let kind = match state {
            QueryState::Failed => EventKind::Failed,
            QueryState::Cancelled => EventKind::Cancelled,
            QueryState::Running | QueryState::Finished => EventKind::Finished,
        };
        let (id, principal) = (self.id, self.principal.as_str());
        self.journal.ended(kind, id, principal, self.sent, error);
    }
}

impl Stream for Tracked {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.rows.as_mut().poll_next(context);
        match &next {
            Poll::Ready(Some(Ok(batch))) => {
                self.sent += batch.num_rows() as u64;
                self.queries.progress(self.id, self.sent);
            }
            Poll::Ready(Some(Err(error))) => self.end(QueryState::Failed, Some(error)),
            Poll::Ready(None) => self.end(QueryState::Finished, None),
            Poll::Pending => {}
        }
        next
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // Silent after a finish or a failure.
        self.end(QueryState::Cancelled, None);
    }
}
