//! Why the log did not do what it was asked.

use std::sync::Arc;

use thiserror::Error;

use crate::checkpoint::SealError;

/// A refusal of the log. Clones share their cause: one failed commit fails all of its events.
#[derive(Debug, Clone, Error)]
pub enum LedgerError {
    /// The file cannot be opened or created, or is no event log.
    #[error("the event log cannot be opened")]
    Open(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The events of this commit are not in the log.
    #[error("the event log cannot be written")]
    Write(#[source] Arc<rusqlite::Error>),
    /// The log cannot be read.
    #[error("the event log cannot be read")]
    Read(#[source] Arc<rusqlite::Error>),
    /// The newest record does not have the hash that its content gives.
    #[error("record {sequence} of the event log was changed")]
    Broken {
        /// Which record.
        sequence: u64,
    },
    /// Records that a checkpoint was written for are gone.
    #[error("the event log ends before record {sequence}, which it once had")]
    Truncated {
        /// The record of the newest checkpoint.
        sequence: u64,
    },
    /// The server's key does not sign.
    #[error("the event log cannot be sealed")]
    Unsealed(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The details of the event are longer than a record may be.
    #[error("the event's details have {bytes} bytes, more than the {limit} of a record")]
    TooLarge {
        /// Their length as JSON.
        bytes: usize,
        /// The most that is recorded.
        limit: usize,
    },
    /// The thread that writes has ended.
    #[error("the event log is closed")]
    Closed,
}

impl LedgerError {
    pub(crate) fn open(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Open(Arc::new(cause))
    }

    pub(crate) fn unsealed(cause: SealError) -> Self {
        Self::Unsealed(Arc::from(cause))
    }

    pub(crate) fn write(cause: rusqlite::Error) -> Self {
        Self::Write(Arc::new(cause))
    }

    pub(crate) fn read(cause: rusqlite::Error) -> Self {
        Self::Read(Arc::new(cause))
    }
}
