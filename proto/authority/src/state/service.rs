//! Machine users, with the digests of their secrets.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, Row, params};
use weft_governance::{Error, ErrorKind, code};

use super::{State, at, broken, digest, full, moment, secret};
use crate::service_account::{Service, unfit};

/// Services of one mesh.
const MOST: i64 = 10_000;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS service (
        name TEXT PRIMARY KEY, digest BLOB NOT NULL, groups TEXT NOT NULL, attributes TEXT NOT NULL,
        expires_at INTEGER NOT NULL, word_of TEXT NOT NULL
    ) WITHOUT ROWID;";

impl State {
    /// Keeps a new service by the word of `by`, and returns its secret.
    pub(crate) fn create_service(&self, service: &Service, by: &str) -> Result<String, Error> {
        let secret = secret()?;
        let text = |value: Result<String, serde_json::Error>| {
            value.map_err(|error| unfit("the service cannot be kept").caused_by(error))
        };
        let groups = text(serde_json::to_string(&service.groups))?;
        let attributes = text(serde_json::to_string(&service.attributes))?;
        let db = self.lock();
        let count: i64 = db
            .query_row("SELECT count(*) FROM service", [], |row| row.get(0))
            .map_err(broken)?;
        if count >= MOST {
            return Err(full("this mesh has too many services"));
        }
        let added = db
            .execute(
                "INSERT INTO service (name, digest, groups, attributes, expires_at, word_of) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO NOTHING",
                params![
                    service.name,
                    digest(&secret),
                    groups,
                    attributes,
                    at(service.expires_at),
                    by
                ],
            )
            .map_err(broken)?;
        if added == 0 {
            return Err(unfit(&format!("there is a service `{}`", service.name))
                .with_hint("`weft service rotate` gives it a new secret."));
        }
        Ok(secret)
    }

    /// Gives a service another secret, by the word of `by`. The one that it had ends at once.
    pub(crate) fn rotate_service(
        &self,
        name: &str,
        expires_at: SystemTime,
        by: &str,
    ) -> Result<String, Error> {
        let secret = secret()?;
        let changed = self
            .lock()
            .execute(
                "UPDATE service SET digest = ?2, expires_at = ?3, word_of = ?4 WHERE name = ?1",
                params![name, digest(&secret), at(expires_at), by],
            )
            .map_err(broken)?;
        if changed == 0 {
            let message = format!("there is no service `{name}`");
            return Err(Error::new(ErrorKind::NotFound, code::NOT_FOUND, message));
        }
        Ok(secret)
    }

    /// The service called `name`.
    pub(crate) fn service(&self, name: &str) -> Result<Option<Service>, Error> {
        self.lock()
            .query_row(
                "SELECT name, groups, attributes, expires_at FROM service WHERE name = ?1",
                [name],
                read,
            )
            .optional()
            .map_err(broken)
    }

    /// The service that signs in with `secret`, if that has not ended.
    pub(crate) fn service_of(
        &self,
        name: &str,
        secret: &str,
        now: SystemTime,
    ) -> Result<Option<Service>, Error> {
        self.lock()
            .query_row(
                "SELECT name, groups, attributes, expires_at FROM service \
                 WHERE name = ?1 AND digest = ?2 AND expires_at > ?3",
                params![name, digest(secret), at(now)],
                read,
            )
            .optional()
            .map_err(broken)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Service> {
    let list = |column: usize| -> rusqlite::Result<String> { row.get(column) };
    let unreadable = |column: usize, error: serde_json::Error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, error.into())
    };
    Ok(Service {
        name: row.get(0)?,
        groups: serde_json::from_str(&list(1)?).map_err(|error| unreadable(1, error))?,
        attributes: serde_json::from_str(&list(2)?).map_err(|error| unreadable(2, error))?,
        expires_at: moment(row.get(3)?),
    })
}
