//! A query's rows on their way out: deadline, bookkeeping, one end.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::record_batch::RecordBatch;
use futures::Stream;
use futures::stream::BoxStream;
use weft_governance::{Error, QueryId};

use super::running::{QueryState, RunningQueries};

/// Counts what goes out and notes how it ended. Dropped before the end, the query was cancelled.
pub(super) struct Tracked {
    rows: BoxStream<'static, Result<RecordBatch, Error>>,
    sent: u64,
    id: QueryId,
    queries: RunningQueries,
}

impl Tracked {
    pub(super) fn new(
        rows: BoxStream<'static, Result<RecordBatch, Error>>,
        id: QueryId,
        queries: RunningQueries,
    ) -> Self {
        Self {
            rows,
            sent: 0,
            id,
            queries,
        }
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
            Poll::Ready(Some(Err(_))) => self.queries.end(self.id, QueryState::Failed),
            Poll::Ready(None) => self.queries.end(self.id, QueryState::Finished),
            Poll::Pending => {}
        }
        next
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // Only the first end counts, so this is silent after a finish or a failure.
        self.queries.end(self.id, QueryState::Cancelled);
    }
}
