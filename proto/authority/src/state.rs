//! Leases and join tokens, kept over restarts. Secrets are kept as digests.

mod disabled;
mod login;
mod service;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, OptionalExtension, params};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::convert::{seconds, time};
use weft_wire::identity::Thumbprint;
use weft_wire::token::sha256;

pub(crate) use disabled::Disabled;
pub(crate) use login::LiveLogin;

/// Live leases that one person may have.
const MOST_LEASES: i64 = 1_000;
/// Join tokens that may wait.
const MOST_JOINS: i64 = 1_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS lease (
        digest BLOB PRIMARY KEY, holder TEXT NOT NULL, subject TEXT NOT NULL, expires_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS lease_by_subject ON lease (subject);
    CREATE INDEX IF NOT EXISTS lease_by_end ON lease (expires_at);
    CREATE TABLE IF NOT EXISTS join_token (
        digest BLOB PRIMARY KEY, server TEXT NOT NULL, expires_at INTEGER NOT NULL
    ) WITHOUT ROWID;";

/// The authority's memory. Calls wait for the disk.
pub(crate) struct State {
    db: Mutex<Connection>,
}

/// Whose lease it is, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveLease {
    pub(crate) subject: String,
    pub(crate) expires_at: SystemTime,
}

impl State {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let db = Connection::open(path).map_err(broken)?;
        db.pragma_update(None, "journal_mode", "WAL")
            .map_err(broken)?;
        db.pragma_update(None, "synchronous", "FULL")
            .map_err(broken)?;
        db.execute_batch(SCHEMA).map_err(broken)?;
        for more in [disabled::SCHEMA, login::SCHEMA, service::SCHEMA] {
            db.execute_batch(more).map_err(broken)?;
        }
        Ok(Self { db: Mutex::new(db) })
    }

    /// Opens a lease that only `holder` can use, and returns its secret; none if `subject` is disabled.
    pub(crate) fn open_lease(
        &self,
        holder: &Thumbprint,
        subject: &str,
        expires_at: SystemTime,
        now: SystemTime,
    ) -> Result<Option<String>, Error> {
        let secret = secret()?;
        let db = self.lock();
        db.execute("DELETE FROM lease WHERE expires_at <= ?1", params![at(now)])
            .map_err(broken)?;
        if is_disabled(&db, subject)? {
            return Ok(None);
        }
        let added = db
            .execute(
                "INSERT INTO lease (digest, holder, subject, expires_at) SELECT ?1, ?2, ?3, ?4 \
                 WHERE (SELECT count(*) FROM lease WHERE subject = ?3) < ?5",
                params![
                    digest(&secret),
                    holder.to_string(),
                    subject,
                    at(expires_at),
                    MOST_LEASES
                ],
            )
            .map_err(broken)?;
        if added == 0 {
            return Err(full("too many sessions of this person are open")
                .with_hint("Close sessions that are not needed, or wait until they end."));
        }
        Ok(Some(secret))
    }

    /// A live lease of `holder`.
    pub(crate) fn lease(
        &self,
        secret: &str,
        holder: &Thumbprint,
        now: SystemTime,
    ) -> Result<Option<LiveLease>, Error> {
        self.lock()
            .query_row(
                "SELECT subject, expires_at FROM lease \
                 WHERE digest = ?1 AND holder = ?2 AND expires_at > ?3",
                params![digest(secret), holder.to_string(), at(now)],
                |row| {
                    Ok(LiveLease {
                        subject: row.get(0)?,
                        expires_at: moment(row.get(1)?),
                    })
                },
            )
            .optional()
            .map_err(broken)
    }

    /// Ends a lease of `holder`.
    pub(crate) fn end_lease(&self, secret: &str, holder: &Thumbprint) -> Result<(), Error> {
        self.lock()
            .execute(
                "DELETE FROM lease WHERE digest = ?1 AND holder = ?2",
                params![digest(secret), holder.to_string()],
            )
            .map(|_| ())
            .map_err(broken)
    }

    /// A new join token's secret for `server`.
    pub(crate) fn open_join(
        &self,
        server: &ServerId,
        expires_at: SystemTime,
        now: SystemTime,
    ) -> Result<String, Error> {
        let secret = secret()?;
        let db = self.lock();
        db.execute(
            "DELETE FROM join_token WHERE expires_at <= ?1",
            params![at(now)],
        )
        .map_err(broken)?;
        let added = db
            .execute(
                "INSERT INTO join_token (digest, server, expires_at) SELECT ?1, ?2, ?3 \
                 WHERE (SELECT count(*) FROM join_token) < ?4",
                params![
                    digest(&secret),
                    server.to_string(),
                    at(expires_at),
                    MOST_JOINS
                ],
            )
            .map_err(broken)?;
        if added == 0 {
            return Err(full("too many join tokens are open")
                .with_hint("Use those that were made, or wait an hour until they end."));
        }
        Ok(secret)
    }

    /// The server of a live join token, which stays usable.
    pub(crate) fn join(&self, secret: &str, now: SystemTime) -> Result<Option<ServerId>, Error> {
        self.join_by(
            "SELECT server FROM join_token WHERE digest = ?1 AND expires_at > ?2",
            secret,
            now,
        )
    }

    /// The server of a live join token, which is used up by this.
    pub(crate) fn take_join(
        &self,
        secret: &str,
        now: SystemTime,
    ) -> Result<Option<ServerId>, Error> {
        const TAKE: &str =
            "DELETE FROM join_token WHERE digest = ?1 AND expires_at > ?2 RETURNING server";
        self.join_by(TAKE, secret, now)
    }

    fn join_by(
        &self,
        statement: &str,
        secret: &str,
        now: SystemTime,
    ) -> Result<Option<ServerId>, Error> {
        let server: Option<String> = self
            .lock()
            .query_row(statement, params![digest(secret), at(now)], |row| {
                row.get(0)
            })
            .optional()
            .map_err(broken)?;
        Ok(server.and_then(|server| server.parse().ok()))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_disabled(db: &Connection, subject: &str) -> Result<bool, Error> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM disabled WHERE subject = ?1 AND still = 1)",
        [subject],
        |row| row.get(0),
    )
    .map_err(broken)
}

/// 256 random bits as text.
fn secret() -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| no_randomness())?;
    Ok(bytes)
}

pub(crate) fn no_randomness() -> Error {
    Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        "the machine gives no randomness",
    )
}

fn digest(secret: &str) -> Vec<u8> {
    sha256(secret.as_bytes()).to_vec()
}

fn at(time: SystemTime) -> i64 {
    i64::try_from(seconds(time)).unwrap_or(i64::MAX)
}

fn moment(seconds: i64) -> SystemTime {
    time(u64::try_from(seconds).unwrap_or_default())
}

fn full(message: &str) -> Error {
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
}

fn broken(error: rusqlite::Error) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        "the authority cannot keep its state",
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests;
