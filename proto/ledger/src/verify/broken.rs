//! Where and how a log is not what was written.

use thiserror::Error;

use crate::checkpoint::SealError;

/// The first thing that is wrong with a log.
#[derive(Debug, Error)]
pub enum Broken {
    /// The file is missing, damaged or something else.
    #[error("the event log cannot be read")]
    Unreadable(#[source] rusqlite::Error),
    /// The file holds no event log of this version.
    #[error("the file is not an event log of this version")]
    NotALedger,
    /// The file is damaged where a record, or the end of the log, should be.
    #[error("the file is damaged at record {sequence}")]
    Damaged {
        /// The record that was about to be read.
        sequence: u64,
        /// What SQLite says.
        #[source]
        cause: rusqlite::Error,
    },
    /// A record has a number that none can have.
    #[error("a record was inserted at {place}, before the first")]
    Stray {
        /// Its number.
        place: i64,
    },
    /// A record is missing.
    #[error("record {expected} is missing, record {found} follows instead")]
    Missing {
        /// The first missing one.
        expected: u64,
        /// The one that stands in its place.
        found: u64,
    },
    /// A record's content does not give its hash.
    #[error("record {sequence} was changed")]
    Changed {
        /// Which one.
        sequence: u64,
    },
    /// A record does not name the hash of the one before it.
    #[error("record {sequence} does not follow from the record before it")]
    Unlinked {
        /// Which one.
        sequence: u64,
    },
    /// The chain was made anew with other records.
    #[error(
        "the records from {first} to {sequence} are not those that the checkpoint of record \
         {sequence} was written for"
    )]
    Rewritten {
        /// The first record that may be another one: the one behind the checkpoint before.
        first: u64,
        /// The record of the checkpoint.
        sequence: u64,
    },
    /// The newest records are gone.
    #[error(
        "record {first} and those behind it are missing: there is a checkpoint of record {sequence}"
    )]
    Truncated {
        /// The first missing one.
        first: u64,
        /// The record of the checkpoint.
        sequence: u64,
    },
    /// The seal of a checkpoint does not hold.
    #[error("the checkpoint of record {sequence} is not signed as it should be")]
    Unsealed {
        /// The record of the checkpoint.
        sequence: u64,
        /// Why not.
        #[source]
        cause: SealError,
    },
    /// A checkpoint that was kept outside the log is not in it.
    #[error("the checkpoint of record {sequence} was removed")]
    NoCheckpoint {
        /// The record of the checkpoint.
        sequence: u64,
    },
    /// A checkpoint was damaged.
    #[error("the first checkpoint of record {sequence} or one behind it cannot be read")]
    UnreadableCheckpoint {
        /// The record behind that of the last good checkpoint.
        sequence: u64,
        /// What SQLite says.
        #[source]
        cause: rusqlite::Error,
    },
    /// The records are there, but the tables, indexes or triggers of the file are not as they were
    /// made.
    #[error("`{object}` is not as this version makes it")]
    Altered {
        /// The name of the first such thing.
        object: String,
    },
}

impl Broken {
    /// The first record of which it is known that it, or what stands in its place, is not what was
    /// written; `None` if that is no question of a record.
    pub fn sequence(&self) -> Option<u64> {
        match self {
            Self::Unreadable(_) | Self::NotALedger | Self::Altered { .. } => None,
            Self::Stray { .. } => Some(1),
            Self::Missing {
                expected: sequence, ..
            }
            | Self::Rewritten {
                first: sequence, ..
            }
            | Self::Truncated {
                first: sequence, ..
            }
            | Self::Damaged { sequence, .. }
            | Self::Changed { sequence }
            | Self::Unlinked { sequence }
            | Self::Unsealed { sequence, .. }
            | Self::NoCheckpoint { sequence }
            | Self::UnreadableCheckpoint { sequence, .. } => Some(*sequence),
        }
    }
}

impl From<rusqlite::Error> for Broken {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Unreadable(cause)
    }
}
