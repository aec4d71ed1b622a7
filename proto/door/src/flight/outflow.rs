//! A result on its way to one client.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::FlightData;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, Fuse};
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tracing::Span;
use weft_governance::{Error, ErrorKind, code};

use super::refuse;
use crate::encode::{Encoder, Gathered};

/// What ends a result early.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The time that the client allows.
    pub(crate) deadline: Option<Instant>,
    /// Cancelled by another call, or with the session.
    pub(crate) cancel: CancellationToken,
}

/// Messages of one result: its schema, then its rows. It ends without an error only after the last
/// row. Dropping it drops the rows' source.
///
/// Batches that are there already become one message, as long as it is none that is too large; none of them
/// waits for one that is not made yet.
pub(crate) struct Outflow {
    encoder: Encoder,
    gathered: Gathered,
    ready: VecDeque<FlightData>,
    rows: Option<Fuse<BoxStream<'static, Result<RecordBatch, Error>>>>,
    stop: BoxFuture<'static, Error>,
    /// What comes after the rows that are there already.
    failure: Option<Error>,
    complete: bool,
    started: Instant,
    span: Span,
}

impl fmt::Debug for Outflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outflow")
            .field("encoder", &self.encoder)
            .finish_non_exhaustive()
    }
}

impl Outflow {
    /// A result in the current span.
    pub(crate) fn new(
        mut encoder: Encoder,
        rows: BoxStream<'static, Result<RecordBatch, Error>>,
        stop: Stop,
    ) -> Self {
        let schema = encoder.schema_frame();
        Self {
            encoder,
            gathered: Gathered::default(),
            ready: VecDeque::from([schema]),
            rows: Some(rows.fuse()),
            stop: stop.reached().boxed(),
            failure: None,
            complete: false,
            started: Instant::now(),
            span: Span::current(),
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<FlightData, Error>>> {
        while let Some(rows) = &mut self.rows {
            if let Poll::Ready(error) = self.stop.poll_unpin(cx) {
                return Poll::Ready(Some(Err(error)));
            }
            if let Some(message) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            if let Some(error) = self.failure.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let batches = match rows.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(batch))) => self.gathered.add(batch),
                Poll::Ready(Some(Err(error))) => {
                    self.failure = Some(error);
                    self.gathered.take()
                }
                Poll::Pending if self.gathered.is_empty() => return Poll::Pending,
                Poll::Ready(None) if self.gathered.is_empty() => {
                    self.complete = true;
                    self.rows = None;
                    continue;
                }
                Poll::Ready(None) | Poll::Pending => self.gathered.take(),
            };
            for batch in batches {
                self.ready.extend(self.encoder.encode(&batch)?);
            }
        }
        Poll::Ready(None)
    }
}

impl Stream for Outflow {
    type Item = Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let span = self.span.clone();
        let _entered = span.enter();
        let message = ready!(self.poll_message(cx));
        if matches!(message, Some(Err(_))) {
            self.rows = None;
        }
        Poll::Ready(message.map(|message| message.map_err(|error| refuse(&error))))
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        self.span.in_scope(|| {
            tracing::info!(
                rows = self.encoder.rows(),
                bytes = self.encoder.bytes(),
                elapsed_ms = self.started.elapsed().as_millis() as u64,
                complete = self.complete,
                "result sent"
            );
        });
    }
}

impl Stop {
    async fn reached(self) -> Error {
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.cancel.cancelled() => {
                Error::new(ErrorKind::Cancelled, code::CANCELLED, "the query was cancelled")
            }
            () = deadline => too_late(),
        }
    }
}

/// The error of what took longer than the client waits.
pub(super) fn too_late() -> Error {
    let message = "the query ran longer than the client allowed";
    Error::new(ErrorKind::DeadlineExceeded, code::DEADLINE, message)
        .with_hint("Raise the client's timeout, or ask for less.")
}

/// When the client gives up, from `grpc-timeout`.
pub(super) fn deadline(metadata: &MetadataMap) -> Option<Instant> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    Instant::now().checked_add(timeout(text)?)
}

fn timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > 8 {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        assert_eq!(timeout("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(timeout("150m"), Some(Duration::from_millis(150)));
        assert_eq!(timeout("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for malformed in ["", "S", "1", "123456789S", "1ü", "-1S"] {
            assert_eq!(timeout(malformed), None, "{malformed}");
        }
    }
}
