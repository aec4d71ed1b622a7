//! The SQLite file: its form, the commit of a batch, and reading.

use std::path::Path;
use std::time::Duration;

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
    params_from_iter,
};

use crate::error::LedgerError;
use crate::event::EventKind;
use crate::record::{COLUMNS, Entry, GENESIS, Record, Recorded, Stored};

/// Marks the file as ours: "Weft".
const APPLICATION_ID: i32 = 0x5765_6674;

/// The form of the tables.
const FORM: i32 = 1;

/// How long a commit waits for another process that reads the file's last pages.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE events (
    sequence  INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    principal TEXT,
    query     TEXT,
    fragment  INTEGER,
    details   TEXT NOT NULL,
    previous  BLOB NOT NULL,
    hash      BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_query ON events (query) WHERE query IS NOT NULL;
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are not changed'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are not deleted'); END;
";

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an event log of this version")]
struct NotALedger(String);

/// The connection that writes.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the log at `path`, or makes an empty one that only this user may read.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        create_private(path).map_err(LedgerError::open)?;
        let connection = Connection::open(path).map_err(LedgerError::open)?;
        let mut store = Self { connection };
        let ours = store.prepare().map_err(LedgerError::open)?;
        if !ours {
            return Err(LedgerError::open(NotALedger(path.display().to_string())));
        }
        let newest = newest(&store.connection).map_err(LedgerError::read)?;
        match newest {
            Some(newest) if !newest.is_intact() => Err(LedgerError::Broken {
                sequence: newest.sequence,
            }),
            Some(_) | None => Ok(store),
        }
    }

    /// Sets the connection up and says whether the file is an event log.
    fn prepare(&mut self) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(BUSY)?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection
            .pragma_update(None, "trusted_schema", false)?;
        let transaction = begin(&mut self.connection)?;
        let form = form(&transaction)?;
        let empty: i64 =
            transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if form == (0, 0) && empty == 0 {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", FORM)?;
            transaction.commit()?;
            return Ok(true);
        }
        Ok(form == (APPLICATION_ID, FORM))
    }

    /// Appends `entries` in one durable commit. Nothing is appended on an error.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, LedgerError> {
        self.try_append(entries).map_err(LedgerError::write)
    }

    fn try_append(&mut self, entries: &[Entry]) -> rusqlite::Result<Vec<Recorded>> {
        let transaction = begin(&mut self.connection)?;
        // The end of the chain is read under the lock: another process may have written too.
        let (mut sequence, mut previous) =
            newest(&transaction)?.map_or((0, GENESIS), |newest| (newest.sequence, newest.hash));
        let mut recorded = Vec::with_capacity(entries.len());
        {
            let mut insert = transaction.prepare_cached(&format!(
                "INSERT INTO events ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            ))?;
            for entry in entries {
                sequence += 1;
                let hash = entry.hash(sequence, &previous);
                let Entry {
                    at,
                    kind,
                    principal,
                    query,
                    fragment,
                    details,
                } = entry;
                insert.execute(params![
                    signed(sequence),
                    at,
                    kind,
                    principal,
                    query,
                    fragment,
                    details,
                    previous,
                    hash
                ])?;
                recorded.push(Recorded { sequence, hash });
                previous = hash;
            }
        }
        transaction.commit()?;
        Ok(recorded)
    }
}

/// A connection that can only read, for the log at `path`.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// At most `limit` records behind the one at `after`.
pub(crate) fn read(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Record>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
    ))?;
    let rows = select.query_map(params![signed(after), signed(limit as u64)], Stored::read)?;
    rows.map(|row| row.and_then(Stored::into_record)).collect()
}

/// All records of one of `kinds`, oldest first.
pub(crate) fn read_of(
    connection: &Connection,
    kinds: &[EventKind],
) -> rusqlite::Result<Vec<Record>> {
    let marks = vec!["?"; kinds.len()].join(", ");
    let mut select = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM events WHERE kind IN ({marks}) ORDER BY sequence"
    ))?;
    let kinds = params_from_iter(kinds.iter().map(|kind| kind.as_str()));
    let rows = select.query_map(kinds, Stored::read)?;
    rows.map(|row| row.and_then(Stored::into_record)).collect()
}

/// Whether the file is an event log of this version.
pub(crate) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(form(connection)? == (APPLICATION_ID, FORM))
}

/// SQLite's integers are signed; no log is long enough for the difference to show.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn form(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn newest(connection: &Connection) -> rusqlite::Result<Option<Stored>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM events ORDER BY sequence DESC LIMIT 1"
    ))?;
    select.query_row([], Stored::read).optional()
}

/// Makes the file if it is missing. SQLite gives its journal files the same permissions.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}
