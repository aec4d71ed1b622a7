//! Who is signed in: sessions by the credential that names them, and what each holds.
//!
//! Credentials are kept only as digests under a key of the process.

mod handles;
mod presented;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio_util::sync::CancellationToken;

pub(crate) use handles::{Handle, Handles};
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
    statements: Handles<Statement<B>>,
    results: Handles<Pending<B>>,
}

impl<B: Backend> Session<B> {
    fn new(
        inner: B::Session,
        expires_at: SystemTime,
        owner: Option<String>,
        limits: &Limits,
    ) -> Result<Self, weft_governance::Error> {
        Ok(Self {
            id: Handle::generate()?,
            inner: Arc::new(inner),
            expires_at,
            owner,
            statements: Handles::new(limits.prepared, limits.prepared_lifetime),
            results: Handles::new(limits.results, limits.result_lifetime),
        })
    }

    /// Names the session in tickets and logs; it lets no one in.
    pub(crate) fn id(&self) -> &Handle {
        &self.id
    }

    /// The backend's own state.
    pub(crate) fn inner(&self) -> &Arc<B::Session> {
        &self.inner
    }

    /// Prepared statements by handle.
    pub(crate) fn statements(&self) -> &Handles<Statement<B>> {
        &self.statements
    }

    /// Results that may be fetched, by the handle in their ticket.
    pub(crate) fn results(&self) -> &Handles<Pending<B>> {
        &self.results
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.expires_at <= now
    }

    /// Ends every result that is being fetched.
    fn cancel_all(&self) {
        for pending in self.results.drain() {
            pending.cancel.cancel();
        }
        self.statements.drain();
    }

    fn prune(&self, now: Instant) {
        self.statements.prune(now);
        self.results.prune(now);
    }
}

impl<B: Backend> fmt::Debug for Session<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A prepared statement and the parameters bound to it.
pub(crate) struct Statement<B: Backend> {
    pub(crate) statement: Arc<B::Statement>,
    /// The schema that is announced for its result, in wire form.
    pub(crate) schema: SchemaRef,
    pub(crate) parameters: SchemaRef,
    pub(crate) kind: StatementKind,
    pub(crate) bound: std::sync::Mutex<Option<RecordBatch>>,
}

/// A result that was announced and not fetched yet, or not for the last time.
pub(crate) struct Pending<B: Backend> {
    pub(crate) schema: SchemaRef,
    pub(crate) work: Work<B>,
    pub(crate) cancel: CancellationToken,
}

/// Where the rows of a result come from.
pub(crate) enum Work<B: Backend> {
    /// From running the statement.
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
