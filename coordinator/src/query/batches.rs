//! A query's rows on their way out: counted, bounded, with one end.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use futures::Stream;
use futures::stream::BoxStream;
use tracing::info;
use weft_door::encode::logical_size;
use weft_governance::{Error, ErrorKind, QueryId, code};
use weft_ledger::EventKind;
use weft_wire::trace::{Step, StepKind, TraceContext};

use super::running::{QueryState, RunningQueries};
use crate::journal::Journal;

/// How large an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultLimits {
    /// Rows.
    pub rows: u64,
    /// Bytes of their values.
    pub bytes: u64,
}

/// Counts what goes out and notes how it ended. Dropped before the end, the query was cancelled.
pub(super) struct Tracked {
    rows: BoxStream<'static, Result<RecordBatch, Error>>,
    limits: ResultLimits,
    sent: u64,
    bytes: u64,
    started: Instant,
    id: QueryId,
    principal: String,
    queries: RunningQueries,
    journal: Journal,
    ended: Option<QueryState>,
    step: Step,
    stopped: Arc<OnceLock<Error>>,
}

impl Tracked {
    pub(super) fn new(
        rows: BoxStream<'static, Result<RecordBatch, Error>>,
        (id, principal): (QueryId, &str),
        queries: RunningQueries,
        journal: Journal,
        limits: ResultLimits,
        trace: TraceContext,
    ) -> Self {
        let mut step = Step::begin(trace, StepKind::Worked, "query");
        step.note("weft.query", || id.to_string());
        Self {
            rows,
            limits,
            sent: 0,
            bytes: 0,
            started: Instant::now(),
            id,
            principal: principal.to_owned(),
            queries,
            journal,
            ended: None,
            step,
            stopped: Arc::default(),
        }
    }

    /// Where to say why it is stopped, before it is dropped.
    pub(super) fn stopped(&self) -> Arc<OnceLock<Error>> {
        Arc::clone(&self.stopped)
    }

    /// Notes how it ended; only the first end counts.
    fn end(&mut self, state: QueryState, error: Option<&Error>) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(state);
        let sent = self.sent;
        self.step.note("weft.rows", || sent.to_string());
        if let Some(error) = error {
            self.step.fail(error.code());
        }
        self.queries.end(self.id, state);
        let kind = match (state, error) {
            (QueryState::Failed, _) | (QueryState::Cancelled, Some(_)) => EventKind::Failed,
            (QueryState::Cancelled, None) => EventKind::Cancelled,
            _ => EventKind::Finished,
        };
        let (id, principal) = (self.id, self.principal.as_str());
        let error = error.map(Error::code);
        self.journal.ended(kind, id, principal, self.sent, error);
    }

    fn count(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let bytes = batch.columns().iter().map(|column| logical_size(column));
        self.bytes = self.bytes.saturating_add(bytes.sum::<usize>() as u64);
        self.sent = self.sent.saturating_add(batch.num_rows() as u64);
        if self.sent > self.limits.rows {
            return Err(too_large(
                &format!("{} rows", self.limits.rows),
                "result_rows",
            ));
        }
        if self.bytes > self.limits.bytes {
            return Err(too_large(
                &format!("{} bytes", self.limits.bytes),
                "result_bytes",
            ));
        }
        self.queries.progress(self.id, self.sent);
        Ok(())
    }
}

impl Stream for Tracked {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.rows.as_mut().poll_next(context);
        let next = next.map(|next| match next {
            Some(Ok(batch)) => Some(self.count(&batch).map(|()| batch)),
            next => next,
        });
        match &next {
            Poll::Ready(Some(Err(error))) => self.end(QueryState::Failed, Some(error)),
            Poll::Ready(None) => self.end(QueryState::Finished, None),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        next
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // Silent after a finish or a failure.
        let stopped = Arc::clone(&self.stopped);
        self.end(QueryState::Cancelled, stopped.get());
        info!(
            query = %self.id,
            state = self.ended.map(QueryState::name),
            rows = self.sent,
            bytes = self.bytes,
            elapsed_ms = self.started.elapsed().as_millis() as u64,
            "query ended"
        );
    }
}

fn too_large(most: &str, setting: &str) -> Error {
    let message = format!("the answer is larger than {most}");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message).with_hint(format!(
        "Ask for less, or have `limits.{setting}` of the coordinator raised; the rows so far are not the answer."
    ))
}
