//! Who is signed in: sessions by the credential that names them, and what each holds.
//!
//! Credentials are kept only as digests under a key of the process.
//!
//! A token or a password that comes with every call may be that of several clients at once, so the
//! session that it names is *shared*: it cannot be closed, and every answer offers a bearer of its
//! own to the client. A session that is opened with such a bearer is the client's alone.

mod handles;
mod kept;
mod presented;
mod table;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

pub(crate) use handles::{Handle, Handles};
pub(crate) use kept::{Kept, Shelf};
pub(crate) use presented::{Presented, sign_in_first};
pub(crate) use table::Sessions;

use crate::backend::{Backend, StatementKind};
use crate::limits::Limits;

/// A session with its prepared statements and results.
pub(crate) struct Session<B: Backend> {
    id: Handle,
    inner: Arc<B::Session>,
    expires_at: SystemTime,
    owner: Option<String>,
    place: Place,
    /// Where its client is, if that is the only place that it may be used from.
    settled: OnceLock<IpAddr>,
    statements: Handles<Kept<Arc<Statement<B>>>>,
    results: Handles<Announced<B>>,
}

impl<B: Backend> Session<B> {
    fn new(
        inner: B::Session,
        expires_at: SystemTime,
        owner: Option<String>,
        place: Place,
        limits: &Limits,
    ) -> Result<Self, weft_governance::Error> {
        Ok(Self {
            id: Handle::generate()?,
            inner: Arc::new(inner),
            expires_at,
            owner,
            place,
            settled: OnceLock::new(),
            statements: Handles::new(limits.prepared, limits.prepared_lifetime),
            results: Handles::new(limits.results, limits.result_lifetime),
        })
    }

    /// Names the session in tickets and logs; it lets no one in.
    pub(crate) fn id(&self) -> &Handle {
        &self.id
    }

    /// Whose it is, for what nobody else may use: a person's, or nobody's but its own.
    pub(crate) fn whose(&self) -> Vec<u8> {
        match &self.owner {
            Some(owner) => [b"person", owner.as_bytes()].concat(),
            None => [b"session", self.id.as_bytes().as_slice()].concat(),
        }
    }

    /// The backend's own state.
    pub(crate) fn inner(&self) -> &Arc<B::Session> {
        &self.inner
    }

    /// Prepared statements by the id in their handle.
    pub(crate) fn statements(&self) -> &Handles<Kept<Arc<Statement<B>>>> {
        &self.statements
    }

    /// Results that may be fetched, by the handle in their ticket.
    pub(crate) fn results(&self) -> &Handles<Announced<B>> {
        &self.results
    }

    /// Whether several clients may use it without knowing of each other.
    pub(crate) fn is_shared(&self) -> bool {
        self.place == Place::Shared
    }

    /// Makes the session one that can be used from `address` alone: its bearer is about to be shown to
    /// another server. Tells whether it is.
    pub(crate) fn settle(&self, address: IpAddr) -> bool {
        *self.settled.get_or_init(|| address) == address
    }

    /// Whether it is settled at `address`, or not yet anywhere.
    pub(crate) fn may_settle(&self, address: IpAddr) -> bool {
        self.is_open_to(Some(address))
    }

    /// Whether it can be used from `address`.
    fn is_open_to(&self, address: Option<IpAddr>) -> bool {
        let settled = self.settled.get();
        settled.is_none_or(|settled| Some(*settled) == address)
    }

    /// Whether it is the same person's as `other`.
    fn is_of_owner_of(&self, other: &Self) -> bool {
        self.owner.is_some() && self.owner == other.owner
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.expires_at <= now
    }

    /// Ends every result that is being fetched.
    fn cancel_all(&self) {
        for announced in self.results.drain() {
            announced.cancel.cancel();
        }
        self.statements.drain();
    }

    fn prune(&self, now: Instant) {
        self.statements.prune(now);
        self.results.prune(now);
    }
}

/// What a session is to the credential that named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// One client signed in to it.
    Own,
    /// Everyone who presents the credential is in it.
    Shared,
    /// One client's, opened beside a shared one.
    Beside(Handle),
}

impl<B: Backend> fmt::Debug for Session<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A statement that was prepared in a session.
pub(crate) struct Statement<B: Backend> {
    pub(crate) statement: Arc<B::Statement>,
    /// The schema that is announced for its result, in wire form.
    pub(crate) schema: SchemaRef,
    pub(crate) parameters: SchemaRef,
    pub(crate) kind: StatementKind,
    /// Bytes that it takes, about.
    pub(crate) weight: usize,
    /// The values that were bound last. Clients that bind and go on with the handle that they had rely on
    /// them.
    pub(crate) bound: std::sync::Mutex<Option<Arc<Kept<Bytes>>>>,
}

/// A result that was announced and not fetched yet, or not for the last time.
pub(crate) struct Announced<B: Backend> {
    pub(crate) pending: Kept<Arc<Pending<B>>>,
    pub(crate) cancel: CancellationToken,
}

/// What there is to fetch.
pub(crate) struct Pending<B: Backend> {
    pub(crate) schema: SchemaRef,
    pub(crate) work: Work<B>,
}

/// Where the rows of a result come from.
pub(crate) enum Work<B: Backend> {
    /// From running the statement, once for each row of parameters.
    Run {
        statement: Arc<B::Statement>,
        parameters: Option<RecordBatch>,
    },
    /// From what the command returned when it ran.
    Replay(Vec<RecordBatch>),
}

/// How often sessions and handles whose time is over are swept out.
pub(crate) const SWEEP: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
