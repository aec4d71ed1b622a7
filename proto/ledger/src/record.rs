//! A record as it stands in the log, and the hash that chains it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::Row;
use rusqlite::types::Type;
use weft_governance::QueryId;

use crate::error::LedgerError;
use crate::event::{Event, EventKind};

/// The predecessor of the first record.
pub(crate) const GENESIS: [u8; 32] = [0; 32];

/// The columns of a record, in the order that [`Stored::read`] expects.
pub(crate) const COLUMNS: &str =
    "sequence, at, kind, principal, query, fragment, details, previous, hash";

/// The most bytes that the details of one event may have as JSON.
const DETAILS_LIMIT: usize = 256 * 1024;

/// What hashes of this form begin with; another form gets another name.
const FORM: &[u8] = b"weft-ledger/1";

/// An event in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its place, counted from 1 without gaps.
    pub sequence: u64,
    /// What happened.
    pub event: Event,
    /// The hash of the record before it; zeros for the first.
    pub previous: [u8; 32],
    /// The hash of this record, which covers all of the above.
    pub hash: [u8; 32],
}

/// The proof that an event is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The record's place in the log.
    pub sequence: u64,
    /// The record's hash.
    pub hash: [u8; 32],
}

/// An event in the form that is hashed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: i64,
    pub(crate) kind: String,
    pub(crate) principal: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) fragment: Option<u32>,
    pub(crate) details: String,
}

impl Entry {
    pub(crate) fn new(event: Event) -> Result<Self, LedgerError> {
        let Event {
            at,
            kind,
            principal,
            query,
            fragment,
            details,
        } = event;
        let details = details.to_string();
        if details.len() > DETAILS_LIMIT {
            return Err(LedgerError::TooLarge {
                bytes: details.len(),
                limit: DETAILS_LIMIT,
            });
        }
        Ok(Self {
            at: micros(at),
            kind: kind.as_str().to_owned(),
            principal,
            query: query.map(|query| query.to_string()),
            fragment,
            details,
        })
    }

    /// The hash of this entry at `sequence` behind `previous`. Every part is preceded by its
    /// length, so that no two entries have the same bytes.
    pub(crate) fn hash(&self, sequence: u64, previous: &[u8; 32]) -> [u8; 32] {
        let Self {
            at,
            kind,
            principal,
            query,
            fragment,
            details,
        } = self;
        let mut context = Context::new(&SHA256);
        context.update(FORM);
        context.update(&sequence.to_be_bytes());
        context.update(previous);
        context.update(&at.to_be_bytes());
        let fragment = fragment.map(u32::to_be_bytes);
        let parts = [
            Some(kind.as_bytes()),
            principal.as_deref().map(str::as_bytes),
            query.as_deref().map(str::as_bytes),
            fragment.as_ref().map(<[u8; 4]>::as_slice),
            Some(details.as_bytes()),
        ];
        for part in parts {
            // An absent part has a length that no present one has.
            let length = part.map_or(u64::MAX, |bytes| bytes.len() as u64);
            context.update(&length.to_be_bytes());
            context.update(part.unwrap_or_default());
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}

/// A row of the log, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) entry: Entry,
    pub(crate) previous: [u8; 32],
    pub(crate) hash: [u8; 32],
}

impl Stored {
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let place: i64 = row.get(0)?;
        Ok(Self {
            sequence: u64::try_from(place)
                .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, place))?,
            entry: Entry {
                at: row.get(1)?,
                kind: row.get(2)?,
                principal: row.get(3)?,
                query: row.get(4)?,
                fragment: row.get(5)?,
                details: row.get(6)?,
            },
            previous: row.get(7)?,
            hash: row.get(8)?,
        })
    }

    /// Whether the hash is the one that the content gives.
    pub(crate) fn is_intact(&self) -> bool {
        self.entry.hash(self.sequence, &self.previous) == self.hash
    }

    pub(crate) fn into_record(self) -> rusqlite::Result<Record> {
        let Self {
            sequence,
            entry,
            previous,
            hash,
        } = self;
        let Entry {
            at,
            kind,
            principal,
            query,
            fragment,
            details,
        } = entry;
        let event = Event {
            at: time(at),
            kind: kind
                .parse::<EventKind>()
                .map_err(|error| unreadable(2, error))?,
            principal,
            query: query
                .map(|text| text.parse::<QueryId>())
                .transpose()
                .map_err(|error| unreadable(4, error))?,
            fragment,
            details: serde_json::from_str(&details).map_err(|error| unreadable(6, error))?,
        };
        Ok(Record {
            sequence,
            event,
            previous,
            hash,
        })
    }
}

fn unreadable(
    column: usize,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(cause))
}

/// Microseconds since 1970, before it negative.
pub(crate) fn micros(at: SystemTime) -> i64 {
    let clamp = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => clamp(since),
        Err(before) => -clamp(before.duration()),
    }
}

/// The moment so many microseconds after 1970, or before it.
pub(crate) fn time(micros: i64) -> SystemTime {
    let duration = Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 {
        UNIX_EPOCH.checked_sub(duration)
    } else {
        UNIX_EPOCH.checked_add(duration)
    };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            at: 1,
            kind: "admitted".to_owned(),
            principal: Some("ann".to_owned()),
            query: None,
            fragment: Some(0),
            details: "{}".to_owned(),
        }
    }

    #[test]
    fn every_part_of_a_record_counts_in_its_hash() {
        let base = entry();
        let changed = [
            Entry {
                at: 2,
                ..base.clone()
            },
            Entry {
                kind: "denied".to_owned(),
                ..base.clone()
            },
            Entry {
                principal: None,
                ..base.clone()
            },
            Entry {
                principal: Some(String::new()),
                ..base.clone()
            },
            Entry {
                query: Some("q".to_owned()),
                ..base.clone()
            },
            Entry {
                fragment: None,
                ..base.clone()
            },
            Entry {
                details: "{\"a\":1}".to_owned(),
                ..base.clone()
            },
        ];
        let mut hashes: Vec<_> = changed
            .iter()
            .map(|entry| entry.hash(1, &GENESIS))
            .collect();
        hashes.extend([
            base.hash(1, &GENESIS),
            base.hash(2, &GENESIS),
            base.hash(1, &[1; 32]),
        ]);
        let all = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all);
    }

    #[test]
    fn a_byte_that_moves_to_the_next_part_changes_the_hash() {
        let one = Entry {
            principal: Some("ab".to_owned()),
            query: Some("c".into()),
            ..entry()
        };
        let other = Entry {
            principal: Some("a".to_owned()),
            query: Some("bc".into()),
            ..entry()
        };
        assert_ne!(one.hash(1, &GENESIS), other.hash(1, &GENESIS));
    }

    #[test]
    fn times_before_and_after_1970_survive() {
        for micros_since in [-1_500_000, 0, 1_700_000_000_000_001] {
            assert_eq!(micros(time(micros_since)), micros_since);
        }
    }
}
