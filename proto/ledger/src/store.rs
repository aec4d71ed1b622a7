//! The SQLite file: the commit of a batch, the checkpoint behind it, and reading.

pub(crate) mod checkpoints;
mod schema;

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::types::Value;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
    params_from_iter,
};

use crate::checkpoint::{Checkpoint, Sealer, statement};
use crate::error::LedgerError;
use crate::event::EventKind;
use crate::ledger::{Place, Which};
use crate::record::{COLUMNS, Entry, GENESIS, Record, Recorded, Stored};

pub(crate) use schema::Form;
#[cfg(test)]
pub(crate) use schema::make_first_form;

/// How long a commit waits for another process that reads the file's last pages.
const BUSY: Duration = Duration::from_secs(5);

/// Records of a page.
const PAGE_RECORDS: usize = 1_000;
/// Bytes of details after which a page ends.
const PAGE_BYTES: usize = 1 << 20;
/// Records that are looked at for one page.
const WINDOW: u64 = 20_000;

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
        store.check_end()?;
        Ok(store)
    }

    /// Whether the newest record, and the one of the newest checkpoint, are what was written.
    fn check_end(&self) -> Result<(), LedgerError> {
        let newest = newest(&self.connection).map_err(LedgerError::read)?;
        if let Some(Stored { sequence, .. }) = newest.filter(|newest| !newest.is_intact()) {
            return Err(LedgerError::Broken { sequence });
        }
        let checkpoint = checkpoints::newest(&self.connection).map_err(LedgerError::read)?;
        let Some(Checkpoint { sequence, hash, .. }) = checkpoint else {
            return Ok(());
        };
        match record(&self.connection, sequence).map_err(LedgerError::read)? {
            None => Err(LedgerError::Truncated { sequence }),
            Some(record) if record.hash != hash => Err(LedgerError::Broken { sequence }),
            Some(_) => Ok(()),
        }
    }

    /// Sets the connection up and says whether the file is an event log.
    fn prepare(&mut self) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(BUSY)?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection
            .pragma_update(None, "trusted_schema", false)?;
        schema::prepare(begin(&mut self.connection)?)
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

    /// Seals the newest record, unless it is sealed or there is none.
    pub(crate) fn seal(
        &mut self,
        at: SystemTime,
        sealer: &Sealer,
    ) -> Result<Option<Checkpoint>, LedgerError> {
        let transaction = begin(&mut self.connection).map_err(LedgerError::write)?;
        let Some(newest) = newest(&transaction).map_err(LedgerError::read)? else {
            return Ok(None);
        };
        let sealed = checkpoints::newest(&transaction).map_err(LedgerError::read)?;
        if sealed.is_some_and(|sealed| sealed.sequence >= newest.sequence) {
            return Ok(None);
        }
        let Stored { sequence, hash, .. } = newest;
        let at = checkpoints::whole_micros(at);
        let seal = sealer
            .seal(&statement(sequence, &hash, at))
            .map_err(LedgerError::unsealed)?;
        let checkpoint = Checkpoint {
            sequence,
            hash,
            at,
            seal,
        };
        checkpoints::insert(&transaction, &checkpoint)
            .and_then(|()| transaction.commit())
            .map_err(LedgerError::write)?;
        Ok(Some(checkpoint))
    }

    /// Leaves room for so many pages, as if the disk were full behind them.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) {
        let limit = format!("PRAGMA max_page_count = {pages}");
        let set = self
            .connection
            .query_row(&limit, [], |row| row.get::<_, i64>(0));
        assert_eq!(set.expect("limited"), i64::from(pages));
    }
}

/// A connection that can only read, for the log at `path`.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// A connection for a file that nobody writes and beside which there is no journal. Nothing is made
/// beside it either: it may be evidence, and lie where nothing can be written.
pub(crate) fn open_unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                name.push(char::from(*byte));
            }
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name.push_str("?immutable=1");
    Connection::open_with_flags(name, flags)
}

/// What shows that a file is written: the length of its journal, and its own length and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    journal: u64,
    file: Option<(u64, SystemTime)>,
}

impl Trace {
    pub(crate) fn of(path: &Path) -> Self {
        let mut journal = OsString::from(path);
        journal.push("-wal");
        let file = std::fs::metadata(path).ok();
        Self {
            journal: std::fs::metadata(journal).map_or(0, |journal| journal.len()),
            file: file.and_then(|file| Some((file.len(), file.modified().ok()?))),
        }
    }

    /// Whether there is a file, and all records are in it and none in its journal.
    pub(crate) fn is_complete(&self) -> bool {
        self.file.is_some() && self.journal == 0
    }
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

/// Records that `which` picks from `place` on, bounded in number, size, and in how many are looked at.
pub(crate) fn read_page(
    connection: &Connection,
    which: &Which,
    place: Option<Place>,
) -> rusqlite::Result<(Vec<Record>, Option<Place>)> {
    let newest = || newest(connection).map(|it| it.map_or(0, |newest| newest.sequence));
    let Place { after, until } = match place {
        Some(place) => place,
        None => Place {
            after: 0,
            until: newest()?,
        },
    };
    let Which { principal, query } = which;
    // The records of a query are found without looking at others.
    let end = match query {
        Some(_) => until,
        None => until.min(after.saturating_add(WINDOW)),
    };
    let query = query.map(|query| query.to_string());
    let conditions = [("principal", principal.as_ref()), ("query", query.as_ref())];
    let mut text = format!("SELECT {COLUMNS} FROM events WHERE sequence > ?1 AND sequence <= ?2");
    let mut values = vec![Value::from(signed(after)), Value::from(signed(end))];
    for (column, value) in conditions {
        if let Some(value) = value {
            values.push(Value::from(value.clone()));
            text.push_str(&format!(" AND {column} = ?{}", values.len()));
        }
    }
    text.push_str(" ORDER BY sequence");
    let mut select = connection.prepare_cached(&text)?;
    let mut rows = select.query_map(params_from_iter(values), Stored::read)?;
    let (mut records, mut size) = (Vec::new(), 0);
    while records.len() < PAGE_RECORDS && size < PAGE_BYTES {
        let Some(stored) = rows.next().transpose()? else {
            let more = (end < until).then_some(Place { after: end, until });
            return Ok((records, more));
        };
        size += stored.entry.details.len();
        records.push(stored.into_record()?);
    }
    let last = records.last().map_or(end, |last| last.sequence);
    Ok((records, Some(Place { after: last, until })))
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

/// SQLite's integers are signed; no log is long enough for the difference to show.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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

fn record(connection: &Connection, sequence: u64) -> rusqlite::Result<Option<Stored>> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE sequence = ?1"))?;
    select
        .query_row([signed(sequence)], Stored::read)
        .optional()
}

/// Makes the file if it is missing. SQLite gives its journal files the same permissions.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}
