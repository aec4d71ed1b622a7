//! A query's rows on their way out: deadline, bookkeeping, one end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::record_batch::RecordBatch;
use futures::Stream;
use futures::stream::BoxStream;
use weft_governance::Error;

use super::run::QueryRun;
use super::running::{QueryState, RunningQueries};

/// Counts what goes out and notes how it ended. Dropped before the end, the query was cancelled.
pub(super) struct Tracked {
    rows: BoxStream<'static, Result<RecordBatch, Error>>,
    sent: u64,
    run: Arc<QueryRun>,
    fragments: u32,
    queries: RunningQueries,
}

impl Tracked {
    pub(super) fn new(
        rows: BoxStream<'static, Result<RecordBatch, Error>>,
        run: Arc<QueryRun>,
        fragments: u32,
        queries: RunningQueries,
    ) -> Self {
        Self {
            rows,
            sent: 0,
            run,
            fragments,
            queries,
        }
    }

    fn note(&self) {
        let bytes = (0..self.fragments)
            .map(|ordinal| self.run.counters(ordinal).bytes())
            .sum();
        self.queries.progress(self.run.id(), self.sent, bytes);
    }
}

impl Stream for Tracked {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.rows.as_mut().poll_next(context);
        match &next {
            Poll::Ready(Some(Ok(batch))) => {
                self.sent += batch.num_rows() as u64;
                self.note();
            }
            Poll::Ready(Some(Err(_))) => self.queries.end(self.run.id(), QueryState::Failed),
            Poll::Ready(None) => {
                self.note();
                self.queries.end(self.run.id(), QueryState::Finished);
            }
            Poll::Pending => {}
        }
        next
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // Only the first end counts, so this is silent after a finish or a failure.
        self.queries.end(self.run.id(), QueryState::Cancelled);
    }
}
