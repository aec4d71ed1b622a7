//! A moment, as grants and statements write it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A moment between the years 0 and 9999, to the microsecond.
///
/// Read from `2027-01-01`, which is midnight UTC, or from RFC 3339; written as RFC 3339 in UTC, in
/// JSON too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// 0000-01-01T00:00:00Z, in microseconds since 1970.
const FIRST: i64 = -62_167_219_200_000_000;
/// 9999-12-31T23:59:59.999999Z, in microseconds since 1970.
const LAST: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// The last moment of the year 9999.
    pub const LATEST: Self = Self(LAST);

    /// The moment `micros` microseconds after the start of 1970 UTC, if its year has four digits.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (FIRST..=LAST).contains(&micros).then_some(Self(micros))
    }

    /// Microseconds since the start of 1970 UTC.
    pub fn micros(self) -> i64 {
        self.0
    }
}

/// Moments outside the years 0 to 9999 become the nearest within.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let since = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => -micros(before.duration()),
        };
        Self(since.clamp(FIRST, LAST))
    }
}

/// A text that is no moment.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("`{text}` is neither a date such as 2027-01-01 nor a time such as 2027-01-01T12:00:00Z")]
pub struct InvalidTimestamp {
    text: String,
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let is_date = text.len() == "2027-01-01".len();
        let parsed = if is_date {
            DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z"))
        } else {
            DateTime::parse_from_rfc3339(text)
        };
        let moment = parsed.ok().map(|moment| moment.timestamp_micros());
        moment
            .and_then(Self::from_micros)
            .ok_or_else(|| InvalidTimestamp {
                text: text.chars().take(40).collect(),
            })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default();
        f.write_str(&moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(moment: Timestamp) -> Self {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_midnight_and_offsets_become_utc() {
        for (text, written) in [
            ("2027-01-01", "2027-01-01T00:00:00Z"),
            ("2027-01-01T12:00:00Z", "2027-01-01T12:00:00Z"),
            ("2027-01-01T01:00:00+02:00", "2026-12-31T23:00:00Z"),
            ("2027-01-01t12:00:00.5z", "2027-01-01T12:00:00.500Z"),
            (
                "2027-01-01T12:00:00.0000019Z",
                "2027-01-01T12:00:00.000001Z",
            ),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("0000-01-01", "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            let read = text.parse().map(|moment: Timestamp| moment.to_string());
            assert_eq!(read, Ok(written.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_names_no_moment_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2027-1-1",
            "2027-02-30",
            "2027-01-01T12:00:00",
            "2027-01-01T25:00:00Z",
            " 2027-01-01",
            "+2027-01-1",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00+01:00",
            "ä027-01-0",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn moments_outside_four_digits_are_clamped() {
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(Timestamp::from(far).micros(), LAST);
        let second = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(second).micros(), -1_000_000);
        assert_eq!(Timestamp::from_micros(LAST + 1), None);
    }
}
