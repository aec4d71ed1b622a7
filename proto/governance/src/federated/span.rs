//! How long a grant may be held.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::timestamp::Timestamp;

/// The longest span, in seconds: a hundred years.
const LONGEST: u64 = 36_500 * 86_400;

/// The units, the largest first.
const UNITS: [(&str, u64); 5] = [
    ("w", 604_800),
    ("d", 86_400),
    ("h", 3_600),
    ("min", 60),
    ("s", 1),
];

/// A span of time in whole seconds: at least one, at most a hundred years. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    /// The seconds.
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// The moment that lies this much after `begin`, or the last one that there is.
    pub fn after(self, begin: Timestamp) -> Timestamp {
        let micros = i64::try_from(self.0.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        Timestamp::from_micros(begin.micros().saturating_add(micros)).unwrap_or(Timestamp::LATEST)
    }
}

/// A text that is no span.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("`{text}` is no span from a second to a hundred years; write it as `90d`, `12h` or `4w`")]
pub struct InvalidSpan {
    text: String,
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let seconds = unit.and_then(|(_, of)| number.parse::<u64>().ok()?.checked_mul(*of));
        seconds
            .filter(|seconds| (1..=LONGEST).contains(seconds))
            .map(Self)
            .ok_or_else(|| InvalidSpan {
                text: text.chars().take(40).collect(),
            })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Months of days are what people count in; weeks are read, not written.
        let unit = UNITS
            .iter()
            .skip(1)
            .find(|(_, of)| self.0.is_multiple_of(*of));
        let (name, of) = unit.unwrap_or(&("s", 1));
        write!(f, "{}{name}", self.0 / of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds, written) in [
            ("90d", 7_776_000, "90d"),
            ("2w", 1_209_600, "14d"),
            ("36h", 129_600, "36h"),
            ("90min", 5_400, "90min"),
            ("1s", 1, "1s"),
            ("36500d", LONGEST, "36500d"),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!(
                (span.seconds(), span.to_string().as_str()),
                (seconds, written)
            );
            assert_eq!(written.parse(), Ok(span));
        }
    }

    #[test]
    fn other_texts_are_no_spans() {
        for text in [
            "",
            "90",
            "d",
            "0d",
            "36501d",
            "-1d",
            "1.5h",
            "90 d",
            "1m",
            "99999999999999999999w",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        let span: Span = "90d".parse().expect("span");
        let begin = "2026-01-01".parse().expect("moment");
        assert_eq!(span.after(begin).to_string(), "2026-04-01T00:00:00Z");
        assert_eq!(span.after(Timestamp::LATEST), Timestamp::LATEST);
    }
}
