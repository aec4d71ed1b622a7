//! The one error that crosses a crate's edge.

use std::error::Error as StdError;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{DomainId, QueryId};

/// What a caller can do about an error. A kind exists only where a caller would act differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The request is wrong; change it.
    InvalidInput,
    /// The named thing does not exist, or may not be known to exist.
    NotFound,
    /// Sign in, or sign in again.
    Unauthenticated,
    /// Signed in, but not granted.
    PermissionDenied,
    /// What was asked is outside what this server can do.
    Unsupported,
    /// A limit of this server was reached; ask for less or try later.
    ResourceExhausted,
    /// A server cannot be reached, or went away while it was working.
    Unavailable,
    /// The two sides see different schemas of a product; refresh and try again.
    SchemaDrift,
    /// The time allowed for the request has passed.
    DeadlineExceeded,
    /// The asker gave up.
    Cancelled,
    /// A defect of ours, or of the machine.
    Internal,
}

/// An error with a code to look up, a message for people and a hint that says what to do.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    hint: Option<String>,
    domain: Option<DomainId>,
    // Boxed, so that results that may be errors stay small.
    query: Option<Box<QueryId>>,
    /// Seconds. Errors are returned by value and stay small.
    retry_after: Option<NonZeroU32>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a stable `code` (`WEFT-…`). The message is lower case, without a
    /// period and without its cause.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            hint: None,
            domain: None,
            query: None,
            retry_after: None,
            source: None,
        }
    }

    /// Adds a full sentence that says what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says after which time, in whole seconds and rounded up, the same may be tried again; before, it
    /// would be refused again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.retry_after = Some(NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN));
        self
    }

    /// Names the domain at which it happened.
    #[must_use]
    pub fn at(mut self, domain: DomainId) -> Self {
        self.domain = Some(domain);
        self
    }

    /// Names the query that failed, by which its asker finds it in lists and logs.
    #[must_use]
    pub fn of(mut self, query: QueryId) -> Self {
        self.query = Some(Box::new(query));
        self
    }

    /// Adds the cause; it stays in this process's log and never crosses a domain.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable code, `WEFT-…`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do, if that is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// After which time the same may be tried again, if trying again helps.
    pub fn retries_after(&self) -> Option<Duration> {
        self.retry_after
            .map(|seconds| Duration::from_secs(seconds.get().into()))
    }

    /// The domain at which it happened, if it was not here.
    pub fn domain(&self) -> Option<&DomainId> {
        self.domain.as_ref()
    }

    /// The query that failed, if it had begun.
    pub fn query(&self) -> Option<QueryId> {
        self.query.as_deref().copied()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "domain `{domain}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
