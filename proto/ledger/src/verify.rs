//! Whether a log is what was written.

use std::path::Path;

use rusqlite::Connection;
use thiserror::Error;

use crate::record::{COLUMNS, GENESIS, Stored};
use crate::store;

/// A whole chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many records it has.
    pub records: u64,
    /// The hash of the newest one; zeros if there is none.
    pub head: [u8; 32],
}

/// Where and how a chain is not whole.
#[derive(Debug, Error)]
pub enum Broken {
    /// The file is missing, damaged or something else.
    #[error("the event log cannot be read")]
    Unreadable(#[source] rusqlite::Error),
    /// The file holds no event log of this version.
    #[error("the file is not an event log of this version")]
    NotALedger,
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
}

impl From<rusqlite::Error> for Broken {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Unreadable(cause)
    }
}

/// Checks every record of the log at `path`. Safe while a server writes to it.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(path: &Path) -> Result<Verified, Broken> {
    let connection = store::open_to_read(path)?;
    if !store::is_ours(&connection)? {
        return Err(Broken::NotALedger);
    }
    check(&connection)
}

fn check(connection: &Connection) -> Result<Verified, Broken> {
    let mut select =
        connection.prepare(&format!("SELECT {COLUMNS} FROM events ORDER BY sequence"))?;
    let mut rows = select.query([])?;
    let mut seen = Verified {
        records: 0,
        head: GENESIS,
    };
    while let Some(row) = rows.next()? {
        let record = Stored::read(row)?;
        let (sequence, expected) = (record.sequence, seen.records + 1);
        if sequence != expected {
            return Err(Broken::Missing {
                expected,
                found: sequence,
            });
        }
        if !record.is_intact() {
            return Err(Broken::Changed { sequence });
        }
        if record.previous != seen.head {
            return Err(Broken::Unlinked { sequence });
        }
        seen = Verified {
            records: sequence,
            head: record.hash,
        };
    }
    Ok(seen)
}
