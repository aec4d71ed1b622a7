//! What is said of a log that is whole.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use weft_governance::{ServerId, hex};
use weft_ledger::Verified;

/// A few lines for people: a name and a value each.
pub(super) fn of(verified: &Verified, server: Option<&ServerId>) -> String {
    let Verified {
        records,
        head,
        times,
        checkpoints,
        newest_checkpoint,
    } = verified;
    let mut lines = vec![format!("records      {records}")];
    if let Some((first, newest)) = times {
        lines.push(format!("first        {}", moment(*first)));
        lines.push(format!("newest       {}", moment(*newest)));
        lines.push(format!("hash         {}", hex(head)));
    }
    lines.push(format!("checkpoints  {checkpoints}"));
    if let Some(newest) = newest_checkpoint {
        let server = server.map_or_else(String::new, |server| format!(", by {server}"));
        lines.push(format!(
            "sealed       up to record {}, {}{server}",
            newest.sequence,
            moment(newest.at)
        ));
    }
    let sealed = newest_checkpoint
        .as_ref()
        .map_or(0, |newest| newest.sequence);
    let unsealed = records.saturating_sub(sealed);
    if unsealed > 0 {
        lines.push(format!(
            "unsealed     {unsealed}: what is behind the newest checkpoint can be cut off unnoticed"
        ));
    }
    lines.join("\n")
}

/// To the microsecond, in UTC; as a number of microseconds if no calendar has it.
fn moment(at: SystemTime) -> String {
    let since = match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
    };
    match DateTime::<Utc>::from_timestamp_micros(since) {
        Some(moment) => moment.to_rfc3339_opts(SecondsFormat::Micros, true),
        None => since.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weft_ledger::{Checkpoint, Seal};

    use super::*;

    #[test]
    fn a_report_says_how_far_the_signature_reaches() {
        let at = UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001);
        let verified = Verified {
            records: 9,
            head: [0xab; 32],
            times: Some((at, at)),
            checkpoints: 2,
            newest_checkpoint: Some(Checkpoint {
                sequence: 7,
                hash: [1; 32],
                at,
                seal: Seal {
                    certificate: Vec::new(),
                    signature: String::new(),
                },
            }),
        };
        let server: ServerId = "node/sales/s1".parse().expect("an id");
        let text = of(&verified, Some(&server));
        let expected = format!(
            "records      9\n\
             first        2023-11-14T22:13:20.000001Z\n\
             newest       2023-11-14T22:13:20.000001Z\n\
             hash         {}\n\
             checkpoints  2\n\
             sealed       up to record 7, 2023-11-14T22:13:20.000001Z, by node/sales/s1\n\
             unsealed     2: what is behind the newest checkpoint can be cut off unnoticed",
            "ab".repeat(32)
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_time_that_no_calendar_has_is_a_number() {
        let far = UNIX_EPOCH + Duration::from_micros(i64::MAX.unsigned_abs());
        assert_eq!(moment(far), i64::MAX.to_string());
    }
}
