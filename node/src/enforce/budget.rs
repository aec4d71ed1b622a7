//! What may still be read under grants with limits, today.
//!
//! A part of a limit is set aside in the event log before rows leave under it, so that a node that
//! starts anew knows at least what has left. It may count a little more: what was set aside and not
//! used up.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use weft_governance::{Error, ErrorKind, Limits, Timestamp, code};
use weft_ledger::{Event, EventKind, Ledger};

use super::permit::not_audited;

/// The part of a limit that is set aside at a time.
const PART: u64 = 64;
const MICROS_OF_A_DAY: i64 = 24 * 3_600 * 1_000_000;

/// The budgets of all grants. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Budgets(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    spent: Mutex<BTreeMap<String, Spent>>,
}

/// How much of a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    rows: u64,
    bytes: u64,
}

/// What a grant has cost on one day.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    day: i64,
    /// What has left.
    left: Amount,
    /// What may leave by the log.
    set_aside: Amount,
}

/// What the log keeps: all that was set aside for a grant on a day so far.
#[derive(Debug, Serialize, Deserialize)]
struct SetAside {
    grant: String,
    /// Days since 1970-01-01 UTC.
    day: i64,
    amount: Amount,
}

impl Budgets {
    /// Those that `ledger` tells of.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it cannot be read or understood.
    pub(super) fn load(ledger: Ledger) -> Result<Self, Error> {
        let mut spent = BTreeMap::new();
        for record in ledger.read_of(&[EventKind::SetAside]).map_err(unread)? {
            let SetAside { grant, day, amount } =
                serde_json::from_value(record.event.details).map_err(unread)?;
            let known = Spent {
                day,
                left: amount,
                set_aside: amount,
            };
            spent.insert(grant, known);
        }
        let spent = Mutex::new(spent);
        Ok(Self(Arc::new(Shared { ledger, spent })))
    }

    /// # Errors
    /// `WEFT-LIMIT` if nothing may be read under `grant` any more today.
    pub(super) async fn check(&self, grant: &str, limits: Limits) -> Result<(), Error> {
        if limits.is_unlimited() {
            return Ok(());
        }
        let today = day_of(SystemTime::now());
        let spent = self.0.spent.lock().await;
        let left = match spent.get(grant) {
            Some(known) if known.day == today => known.left,
            Some(_) | None => Amount::default(),
        };
        match left.exhausts(limits) {
            true => Err(used_up(grant)),
            false => Ok(()),
        }
    }

    /// Counts `rows` of `bytes` that are about to leave under `grant`. They may when this returns.
    ///
    /// # Errors
    /// `WEFT-LIMIT` if they would be too many, `WEFT-NOT-AUDITED` if that cannot be written down.
    pub(super) async fn charge(
        &self,
        grant: &str,
        limits: Limits,
        rows: u64,
        bytes: u64,
    ) -> Result<(), Error> {
        if limits.is_unlimited() {
            return Ok(());
        }
        let today = day_of(SystemTime::now());
        let mut spent = self.0.spent.lock().await;
        let known = match spent.get(grant) {
            Some(known) if known.day == today => *known,
            Some(_) | None => Spent {
                day: today,
                ..Spent::default()
            },
        };
        let left = known.left.and(rows, bytes);
        if left.exceeds(limits) {
            return Err(used_up(grant));
        }
        let set_aside = match left.is_within(known.set_aside) {
            true => known.set_aside,
            false => {
                let more = left.rounded_up(limits);
                self.0.set_aside(grant, today, more).await?;
                more
            }
        };
        let newer = Spent {
            day: today,
            left,
            set_aside,
        };
        spent.insert(grant.to_owned(), newer);
        Ok(())
    }
}

impl Shared {
    async fn set_aside(&self, grant: &str, day: i64, amount: Amount) -> Result<(), Error> {
        let details = SetAside {
            grant: grant.to_owned(),
            day,
            amount,
        };
        let event = Event {
            at: SystemTime::now(),
            kind: EventKind::SetAside,
            principal: None,
            query: None,
            fragment: None,
            details: serde_json::to_value(details).map_err(not_audited)?,
        };
        let recorded = self.ledger.append(event).await;
        recorded.map(|_| ()).map_err(not_audited)
    }
}

impl Amount {
    fn and(self, rows: u64, bytes: u64) -> Self {
        Self {
            rows: self.rows.saturating_add(rows),
            bytes: self.bytes.saturating_add(bytes),
        }
    }

    fn exceeds(self, limits: Limits) -> bool {
        let over =
            |amount: u64, limit: Option<NonZeroU64>| limit.is_some_and(|it| amount > it.get());
        over(self.rows, limits.rows_per_day) || over(self.bytes, limits.bytes_per_day)
    }

    fn exhausts(self, limits: Limits) -> bool {
        let all =
            |amount: u64, limit: Option<NonZeroU64>| limit.is_some_and(|it| amount >= it.get());
        all(self.rows, limits.rows_per_day) || all(self.bytes, limits.bytes_per_day)
    }

    fn is_within(self, other: Self) -> bool {
        self.rows <= other.rows && self.bytes <= other.bytes
    }

    /// This and a little more, as far as `limits` allow.
    fn rounded_up(self, limits: Limits) -> Self {
        let up = |amount: u64, limit: Option<NonZeroU64>| match limit.map(NonZeroU64::get) {
            Some(limit) => amount.saturating_add(limit / PART).min(limit).max(amount),
            // What is not limited is not counted for long.
            None => u64::MAX,
        };
        Self {
            rows: up(self.rows, limits.rows_per_day),
            bytes: up(self.bytes, limits.bytes_per_day),
        }
    }
}

fn day_of(time: SystemTime) -> i64 {
    Timestamp::from(time).micros().div_euclid(MICROS_OF_A_DAY)
}

fn used_up(grant: &str) -> Error {
    let message = format!("what grant `{grant}` lets be read within a day is used up");
    Error::new(ErrorKind::ResourceExhausted, code::LIMIT, message).with_hint(
        "Days begin at midnight UTC. SHOW GRANTS at the owner's node lists the limits; fewer or \
         aggregated rows cost less.",
    )
}

fn unread(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = "what was read under grants with limits cannot be read from the event log";
    Error::new(ErrorKind::Internal, code::NOT_AUDITED, message).caused_by(cause)
}
