//! Logins: what people keep on their own machines in place of a password.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};
use weft_governance::{Error, Principal};
use weft_wire::rpc::authority as rpc;

use super::{State, at, broken, digest, full, is_disabled, moment, secret};

/// Live logins that one person may have.
const MOST: i64 = 100;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS login (
        digest BLOB PRIMARY KEY, subject TEXT NOT NULL, principal BLOB, expires_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS login_by_subject ON login (subject);
    CREATE INDEX IF NOT EXISTS login_by_end ON login (expires_at);";

/// Whose login it is, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveLogin {
    pub(crate) subject: String,
    /// What a provider said of the person when they signed in.
    pub(crate) said: Option<Principal>,
    pub(crate) expires_at: SystemTime,
}

impl State {
    /// Opens a login and returns its secret; none if the person is disabled.
    pub(crate) fn open_login(
        &self,
        login: &LiveLogin,
        now: SystemTime,
    ) -> Result<Option<String>, Error> {
        let LiveLogin {
            subject,
            said,
            expires_at,
        } = login;
        let secret = secret()?;
        let db = self.lock();
        db.execute("DELETE FROM login WHERE expires_at <= ?1", params![at(now)])
            .map_err(broken)?;
        if is_disabled(&db, subject)? {
            return Ok(None);
        }
        let said = said.clone().map(|principal| {
            use prost::Message;
            rpc::Principal::from(principal).encode_to_vec()
        });
        let added = db
            .execute(
                "INSERT INTO login (digest, subject, principal, expires_at) SELECT ?1, ?2, ?3, ?4 \
                 WHERE (SELECT count(*) FROM login WHERE subject = ?2) < ?5",
                params![digest(&secret), subject, said, at(*expires_at), MOST],
            )
            .map_err(broken)?;
        if added == 0 {
            return Err(full("too many logins of this person are open").with_hint(
                "End those that are not needed with `weft logout`, or wait until they end.",
            ));
        }
        Ok(Some(secret))
    }

    /// A live login.
    pub(crate) fn login(&self, secret: &str, now: SystemTime) -> Result<Option<LiveLogin>, Error> {
        self.lock()
            .query_row(
                "SELECT subject, principal, expires_at FROM login \
                 WHERE digest = ?1 AND expires_at > ?2",
                params![digest(secret), at(now)],
                |row| {
                    let said: Option<Vec<u8>> = row.get(1)?;
                    Ok(LiveLogin {
                        subject: row.get(0)?,
                        said: said.and_then(|said| {
                            use prost::Message;
                            rpc::Principal::decode(said.as_slice()).ok().map(Into::into)
                        }),
                        expires_at: moment(row.get(2)?),
                    })
                },
            )
            .optional()
            .map_err(broken)
    }

    /// Ends a login.
    pub(crate) fn end_login(&self, secret: &str) -> Result<(), Error> {
        self.lock()
            .execute("DELETE FROM login WHERE digest = ?1", [digest(secret)])
            .map(|_| ())
            .map_err(broken)
    }
}
