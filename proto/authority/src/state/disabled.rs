//! People who are disabled, and those who were not long ago.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rusqlite::{Transaction, params};
use weft_governance::Error;

use super::{State, at, broken};

/// Nothing lives longer that was issued before somebody was disabled.
const KEPT: Duration = Duration::from_secs(13 * 3_600);
/// Who disabled those whom the settings disable.
const SETTINGS: &str = "the settings";

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS disabled (
        subject TEXT PRIMARY KEY, since INTEGER NOT NULL, still INTEGER NOT NULL, word_of TEXT NOT NULL
    ) WITHOUT ROWID;";

/// That somebody is disabled, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disabled {
    /// The newest second at which they were disabled: nothing that was issued until then is good.
    pub(crate) since: u64,
    /// Whether they are.
    pub(crate) still: bool,
}

impl State {
    /// Disables `subject` and ends their leases and logins.
    pub(crate) fn disable(&self, subject: &str, by: &str, now: SystemTime) -> Result<(), Error> {
        let mut db = self.lock();
        let change = db.transaction().map_err(broken)?;
        disable(&change, subject, by, now)?;
        change.commit().map_err(broken)
    }

    /// Ends that `subject` is disabled. What they had does not come back.
    pub(crate) fn enable(&self, subject: &str, by: &str) -> Result<(), Error> {
        self.lock()
            .execute(
                "UPDATE disabled SET still = 0, word_of = ?2 WHERE subject = ?1 AND still = 1",
                params![subject, by],
            )
            .map(|_| ())
            .map_err(broken)
    }

    /// Disables `names` and enables those whom earlier settings disabled.
    pub(crate) fn disabled_by_settings(
        &self,
        names: &[&str],
        now: SystemTime,
    ) -> Result<(), Error> {
        let before: Vec<String> = {
            let db = self.lock();
            let mut rows = db
                .prepare("SELECT subject FROM disabled WHERE still = 1 AND word_of = ?1")
                .map_err(broken)?;
            let rows = rows
                .query_map([SETTINGS], |row| row.get(0))
                .map_err(broken)?;
            rows.collect::<Result<_, _>>().map_err(broken)?
        };
        for subject in before.iter().filter(|it| !names.contains(&it.as_str())) {
            self.enable(subject, SETTINGS)?;
        }
        for subject in names.iter().filter(|it| !before.iter().any(|b| b == *it)) {
            self.disable(subject, SETTINGS, now)?;
        }
        Ok(())
    }

    /// Who is disabled, or was within the time that anything lives.
    pub(crate) fn disabled(&self, now: SystemTime) -> Result<BTreeMap<String, Disabled>, Error> {
        let db = self.lock();
        db.execute(
            "DELETE FROM disabled WHERE still = 0 AND since < ?1",
            params![at(now.checked_sub(KEPT).unwrap_or(SystemTime::UNIX_EPOCH))],
        )
        .map_err(broken)?;
        let mut rows = db
            .prepare("SELECT subject, since, still FROM disabled")
            .map_err(broken)?;
        let rows = rows.query_map([], |row| {
            let since: i64 = row.get(1)?;
            let disabled = Disabled {
                since: u64::try_from(since).unwrap_or_default(),
                still: row.get(2)?,
            };
            Ok((row.get(0)?, disabled))
        });
        rows.map_err(broken)?
            .collect::<Result<_, _>>()
            .map_err(broken)
    }
}

fn disable(
    change: &Transaction<'_>,
    subject: &str,
    by: &str,
    now: SystemTime,
) -> Result<(), Error> {
    // A clock that was set back makes nothing good again.
    change
        .execute(
            "INSERT INTO disabled (subject, since, still, word_of) VALUES (?1, ?2, 1, ?3) \
             ON CONFLICT (subject) DO UPDATE \
             SET since = max(since, excluded.since), still = 1, word_of = excluded.word_of",
            params![subject, at(now), by],
        )
        .map_err(broken)?;
    for what in [
        "DELETE FROM lease WHERE subject = ?1",
        "DELETE FROM login WHERE subject = ?1",
    ] {
        change.execute(what, params![subject]).map_err(broken)?;
    }
    Ok(())
}
