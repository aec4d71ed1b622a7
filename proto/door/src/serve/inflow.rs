//! What calls bring: bounded for each, and for all of them together until they are answered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::status::to_status;

/// Bytes that may wait for an answer on a connection on which nobody has signed in.
const STRANGERS: usize = 256 << 10;

/// Bytes that came and wait for an answer, of all calls.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    refusal: fn(usize) -> Error,
    held: AtomicUsize,
    received: Arc<AtomicU64>,
}

impl Budget {
    /// That of a door.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            refusal: too_much,
            held: AtomicUsize::new(0),
            received: Arc::default(),
        })
    }

    /// That of one connection on which nobody has signed in yet: strangers take nothing from others.
    pub(super) fn of_a_stranger(&self) -> Arc<Self> {
        Arc::new(Self {
            most: STRANGERS,
            refusal: sign_in_before,
            held: AtomicUsize::new(0),
            received: Arc::clone(&self.received),
        })
    }

    /// Bytes that came since the start.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// What one call holds of the budget, until it is answered or dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
    answered: AtomicBool,
}

impl Held {
    pub(super) fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget,
            bytes: AtomicUsize::new(0),
            answered: AtomicBool::new(false),
        })
    }

    /// The call is answered: what it brought was taken in, and what it still brings is.
    pub(super) fn release(&self) {
        self.answered.store(true, Ordering::Release);
        let held = self.bytes.swap(0, Ordering::AcqRel);
        self.budget.held.fetch_sub(held, Ordering::AcqRel);
    }

    fn take(&self, bytes: usize) -> Result<(), Status> {
        self.budget
            .received
            .fetch_add(bytes as u64, Ordering::Relaxed);
        if self.answered.load(Ordering::Acquire) {
            return Ok(());
        }
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let held = self.budget.held.fetch_add(bytes, Ordering::AcqRel) + bytes;
        match held <= self.budget.most {
            true => Ok(()),
            false => Err(to_status(&(self.budget.refusal)(self.budget.most))),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

/// The body of a call.
pub(super) struct Inflow {
    body: Body,
    left: usize,
    most: usize,
    held: Arc<Held>,
}

impl Inflow {
    /// `body`, of which `most` bytes are taken in.
    pub(super) fn new(body: Body, most: usize, held: Arc<Held>) -> Self {
        Self {
            body,
            left: most,
            most,
            held,
        }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Status> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or_else(|| to_status(&too_large(self.most)))?;
        self.held.take(bytes)
    }
}

impl http_body::Body for Inflow {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(status) = self.take(data.len())
        {
            self.body = Body::empty();
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn too_large(most: usize) -> Error {
    let message = format!("the call brings more than {most} bytes");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("Bind long lists of values as parameters, or have `door.control` raised.")
}

fn sign_in_before(most: usize) -> Error {
    let message = format!("{most} bytes came before somebody signed in, all that is allowed");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("Sign in on this connection first; then calls may be larger.")
}

fn too_much(most: usize) -> Error {
    let message =
        format!("calls that wait for an answer have brought {most} bytes, all that is allowed");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("Try again in a moment, or have `door.incoming` raised.")
        .retry_after(Duration::from_secs(1))
}
