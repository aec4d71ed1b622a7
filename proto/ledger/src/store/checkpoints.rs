//! The checkpoints in the file.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::signed;
use crate::checkpoint::{Checkpoint, Seal};
use crate::record::{micros, time};

/// A checkpoint's columns, in the order that [`read`] expects.
const SELECT: &str = "SELECT sequence, hash, at, der, signature FROM checkpoints
    LEFT JOIN certificates ON certificates.number = checkpoints.certificate";

/// Adds a checkpoint, and its certificate if that is new.
pub(super) fn insert(connection: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    let Checkpoint {
        sequence,
        hash,
        at,
        seal: Seal {
            certificate,
            signature,
        },
    } = checkpoint;
    connection.execute(
        "INSERT INTO certificates (der) VALUES (?1) ON CONFLICT DO NOTHING",
        params![certificate],
    )?;
    connection.execute(
        "INSERT INTO checkpoints (sequence, hash, at, certificate, signature)
         SELECT ?1, ?2, ?3, number, ?5 FROM certificates WHERE der = ?4",
        params![signed(*sequence), hash, micros(*at), certificate, signature],
    )?;
    Ok(())
}

/// The checkpoint of the newest record that has one.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Option<Checkpoint>> {
    let mut select =
        connection.prepare_cached(&format!("{SELECT} ORDER BY sequence DESC LIMIT 1"))?;
    select.query_row([], read).optional()
}

/// The first checkpoint of the records from `place` on.
pub(crate) fn from(connection: &Connection, place: i64) -> rusqlite::Result<Option<Checkpoint>> {
    let mut select = connection.prepare_cached(&format!(
        "{SELECT} WHERE sequence >= ?1 ORDER BY sequence LIMIT 1"
    ))?;
    select.query_row([place], read).optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    let place: i64 = row.get(0)?;
    let at: i64 = row.get(2)?;
    Ok(Checkpoint {
        sequence: u64::try_from(place)
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, place))?,
        hash: row.get(1)?,
        at: time(at),
        seal: Seal {
            certificate: row.get(3)?,
            signature: row.get(4)?,
        },
    })
}

/// `at` as it is stored.
pub(super) fn whole_micros(at: SystemTime) -> SystemTime {
    time(micros(at))
}
