//! The tables of the file, form by form.

use rusqlite::{Connection, Transaction};

/// Marks the file as ours: "Weft".
const APPLICATION_ID: i32 = 0x5765_6674;

const EVENTS: &str = "
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

const CHECKPOINTS: &str = "
CREATE TABLE certificates (
    number INTEGER PRIMARY KEY,
    der    BLOB NOT NULL UNIQUE
) STRICT;
CREATE TABLE checkpoints (
    sequence    INTEGER PRIMARY KEY,
    hash        BLOB NOT NULL,
    at          INTEGER NOT NULL,
    certificate INTEGER NOT NULL,
    signature   TEXT NOT NULL
) STRICT;
CREATE TRIGGER checkpoints_are_not_changed BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are not changed'); END;
CREATE TRIGGER checkpoints_are_not_deleted BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are not deleted'); END;
";

/// Which tables a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Events alone.
    Events,
    /// Events and checkpoints.
    Checkpoints,
}

impl Form {
    /// The form of the file, if it is an event log that this version knows.
    pub(crate) fn of(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        Ok(match marks(connection)? {
            (APPLICATION_ID, 1) => Some(Self::Events),
            (APPLICATION_ID, 2) => Some(Self::Checkpoints),
            _ => None,
        })
    }

    /// The first thing in the file that is not as this form has it, by name.
    pub(crate) fn difference(self, connection: &Connection) -> rusqlite::Result<Option<String>> {
        let model = Connection::open_in_memory()?;
        model.execute_batch(EVENTS)?;
        match self {
            Self::Events => {}
            Self::Checkpoints => model.execute_batch(CHECKPOINTS)?,
        }
        let (expected, found) = (objects(&model)?, objects(connection)?);
        let differs = |one: &[Object], other: &[Object]| {
            let odd = one.iter().find(|object| !other.contains(object));
            odd.map(|(_, name, _, _)| name.clone())
        };
        Ok(differs(&expected, &found).or_else(|| differs(&found, &expected)))
    }
}

/// Makes the tables in an empty file and those that are new since an earlier form. Says whether
/// the file is an event log.
pub(super) fn prepare(transaction: Transaction<'_>) -> rusqlite::Result<bool> {
    let empty = marks(&transaction)? == (0, 0) && objects(&transaction)?.is_empty();
    match Form::of(&transaction)? {
        None if !empty => return Ok(false),
        None => {
            transaction.execute_batch(EVENTS)?;
            transaction.execute_batch(CHECKPOINTS)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        Some(Form::Events) => transaction.execute_batch(CHECKPOINTS)?,
        Some(Form::Checkpoints) => return Ok(true),
    }
    transaction.pragma_update(None, "user_version", 2)?;
    transaction.commit()?;
    Ok(true)
}

/// Kind, name, table and text.
type Object = (String, String, String, Option<String>);

fn objects(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut select =
        connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")?;
    let rows = select.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.collect()
}

fn marks(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}

/// A file as the first form had it.
#[cfg(test)]
pub(crate) fn make_first_form(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(EVENTS)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", 1)
}
