//! Records that are changed by SQL, by someone who knows how the chain is made.

use rusqlite::Connection;
use weft_governance::hex;

use crate::Broken;
use crate::fixture::Log;
use crate::record::GENESIS;

/// A log of nine records, sealed at 4 and at 8.
async fn nine() -> Log {
    let log = Log::sealed(9, &[4, 8]).await;
    log.verify().expect("whole");
    log
}

/// What `verify` finds in a copy of `whole` after `sql` ran on it.
fn broken_by(whole: &Log, sql: &str) -> Broken {
    let log = whole.copy();
    log.tamper(sql);
    log.verify().expect_err(sql)
}

#[tokio::test]
async fn every_change_of_a_record_is_named() {
    let nine = nine().await;
    let changes = [
        "at = at + 1",
        "kind = 'denied'",
        "principal = 'bob'",
        "principal = NULL",
        "query = NULL",
        "fragment = NULL",
        "fragment = -1",
        "details = '{}'",
        "details = details || ' '",
        "hash = zeroblob(32)",
        "hash = x'00'",
        "previous = zeroblob(32)",
    ];
    for change in changes {
        let broken = broken_by(
            &nine,
            &format!("UPDATE events SET {change} WHERE sequence = 5"),
        );
        assert!(
            matches!(broken, Broken::Changed { sequence: 5 }),
            "{change}: {broken}"
        );
        assert_eq!(broken.sequence(), Some(5));
    }
}

#[tokio::test]
async fn a_dropped_record_is_named_wherever_it_was() {
    let nine = nine().await;
    for place in 1..=8 {
        let broken = broken_by(
            &nine,
            &format!("DELETE FROM events WHERE sequence = {place}"),
        );
        assert_eq!(broken.sequence(), Some(place), "{broken}");
        assert!(matches!(broken, Broken::Missing { .. }), "{broken}");
    }
}

#[tokio::test]
async fn a_dropped_record_whose_gap_is_closed_is_named() {
    let nine = nine().await;
    let broken = broken_by(
        &nine,
        "DELETE FROM events WHERE sequence = 3;
         UPDATE events SET sequence = -sequence WHERE sequence > 3;
         UPDATE events SET sequence = -sequence - 1 WHERE sequence < 0;",
    );
    assert!(
        matches!(broken, Broken::Changed { sequence: 3 }),
        "{broken}"
    );
}

#[tokio::test]
async fn swapped_records_are_named() {
    let nine = nine().await;
    let broken = broken_by(
        &nine,
        "UPDATE events SET sequence = 100 WHERE sequence = 3;
         UPDATE events SET sequence = 3 WHERE sequence = 6;
         UPDATE events SET sequence = 6 WHERE sequence = 100;",
    );
    assert!(
        matches!(broken, Broken::Changed { sequence: 3 }),
        "{broken}"
    );
}

#[tokio::test]
async fn an_inserted_record_is_named_in_the_middle_before_the_first_and_behind_the_last() {
    let nine = nine().await;
    let copy = "INSERT INTO events SELECT {to}, at, kind, principal, query, fragment, details,
        previous, hash FROM events WHERE sequence = {from};";
    let insert = |from: i64, to: i64| {
        copy.replace("{from}", &from.to_string())
            .replace("{to}", &to.to_string())
    };
    let middle = format!(
        "UPDATE events SET sequence = -sequence WHERE sequence > 4;
         UPDATE events SET sequence = 1 - sequence WHERE sequence < 0; {}",
        insert(4, 5)
    );
    let broken = broken_by(&nine, &middle);
    assert!(
        matches!(broken, Broken::Changed { sequence: 5 }),
        "{broken}"
    );
    for place in [0, -1, i64::MIN] {
        let broken = broken_by(&nine, &insert(1, place));
        assert!(matches!(broken, Broken::Stray { .. }), "{broken}");
    }
    let broken = broken_by(&nine, &insert(9, 10));
    assert!(
        matches!(broken, Broken::Changed { sequence: 10 }),
        "{broken}"
    );
    let broken = broken_by(&nine, &insert(9, i64::MAX));
    assert!(
        matches!(broken, Broken::Missing { expected: 10, .. }),
        "{broken}"
    );
}

#[tokio::test]
async fn a_first_record_that_hides_at_a_negative_place_is_named() {
    let nine = nine().await;
    let broken = broken_by(&nine, "UPDATE events SET sequence = -1 WHERE sequence = 1");
    assert!(matches!(broken, Broken::Stray { place: -1 }), "{broken}");
}

#[tokio::test]
async fn a_chain_that_is_made_anew_fits_no_checkpoint() {
    let nine = nine().await;
    for (from, first, sequence) in [(1, 1, 4), (4, 1, 4), (5, 5, 8), (8, 5, 8)] {
        let log = nine.copy();
        forge(&log, from);
        assert!(
            crate::Verifier::new(|_| Ok(()))
                .verify(&log.path())
                .is_err()
        );
        let broken = log.verify().expect_err("found");
        let Broken::Rewritten {
            first: f,
            sequence: s,
        } = broken
        else {
            panic!("{broken}");
        };
        assert_eq!((f, s), (first, sequence));
    }
}

#[tokio::test]
async fn what_was_made_anew_behind_the_newest_checkpoint_shows_against_none() {
    let log = nine().await;
    forge(&log, 9);
    // The stated limit: this record is under no signature.
    assert_eq!(log.verify().expect("not seen").records, 9);
}

#[tokio::test]
async fn a_checkpoint_that_was_changed_is_named() {
    let nine = nine().await;
    let changes = [
        "hash = zeroblob(32)",
        "at = at + 1",
        "signature = 'x'",
        "sequence = 7",
    ];
    for change in changes {
        let broken = broken_by(
            &nine,
            &format!("UPDATE checkpoints SET {change} WHERE sequence = 8"),
        );
        assert!(
            matches!(broken, Broken::Unsealed { .. }),
            "{change}: {broken}"
        );
    }
    let broken = broken_by(&nine, "UPDATE certificates SET der = x'00'");
    assert!(
        matches!(broken, Broken::Unsealed { sequence: 4, .. }),
        "{broken}"
    );
    for unreadable in [
        "DELETE FROM certificates",
        "UPDATE checkpoints SET certificate = 7",
        "UPDATE checkpoints SET hash = x'00'",
        "UPDATE checkpoints SET sequence = -4 WHERE sequence = 4",
    ] {
        let broken = broken_by(&nine, unreadable);
        assert!(
            matches!(broken, Broken::UnreadableCheckpoint { .. }),
            "{broken}"
        );
    }
    let broken = broken_by(
        &nine,
        "UPDATE checkpoints SET sequence = 0 WHERE sequence = 4",
    );
    assert!(matches!(broken, Broken::Stray { place: 0 }), "{broken}");
}

#[tokio::test]
async fn a_removed_checkpoint_shows_against_its_copy() {
    let log = nine().await;
    let kept = log.newest_checkpoint();
    log.tamper("DELETE FROM checkpoints WHERE sequence = 8");
    assert_eq!(log.verify().expect("not seen").checkpoints, 1);
    let broken = log.verify_with(&kept).expect_err("found");
    assert!(
        matches!(broken, Broken::NoCheckpoint { sequence: 8 }),
        "{broken}"
    );

    log.tamper("DELETE FROM events WHERE sequence > 6");
    assert_eq!(log.verify().expect("not seen").records, 6);
    let broken = log.verify_with(&kept).expect_err("found");
    let expected = matches!(
        broken,
        Broken::Truncated {
            first: 7,
            sequence: 8
        }
    );
    assert!(expected, "{broken}");
}

#[tokio::test]
async fn a_kept_checkpoint_that_nobody_signed_proves_nothing() {
    let log = nine().await;
    let mut kept = log.newest_checkpoint();
    kept.at += std::time::Duration::from_secs(1);
    let broken = log.verify_with(&kept).expect_err("found");
    assert!(
        matches!(broken, Broken::Unsealed { sequence: 8, .. }),
        "{broken}"
    );
}

#[tokio::test]
async fn tables_that_are_not_as_they_were_made_are_named() {
    let changes = [
        ("DROP INDEX events_by_query", "events_by_query"),
        ("CREATE TABLE notes (text)", "notes"),
        (
            "CREATE TRIGGER silent BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END",
            "silent",
        ),
        (
            "ALTER TABLE events RENAME TO others;
             CREATE VIEW events AS SELECT * FROM others ORDER BY random()",
            "events",
        ),
    ];
    for (sql, name) in changes {
        let log = Log::sealed(3, &[3]).await;
        let connection = Connection::open(log.path()).expect("opened");
        connection.execute_batch(sql).expect("tampered");
        let broken = log.verify().expect_err(sql);
        let Broken::Altered { object } = broken else {
            panic!("{broken}");
        };
        assert_eq!(object, name);
    }
}

/// Changes the record at `from` and makes the chain anew from there, each hash as it should be.
fn forge(log: &Log, from: u64) {
    let mut records = log.records().expect("read");
    let mut previous = GENESIS;
    let mut sql = String::new();
    for record in &mut records {
        if record.sequence == from {
            record.entry.principal = Some("bob".to_owned());
        }
        record.previous = previous;
        record.hash = record.entry.hash(record.sequence, &previous);
        previous = record.hash;
        let principal = record.entry.principal.as_deref().unwrap_or_default();
        sql.push_str(&format!(
            "UPDATE events SET principal = '{principal}', previous = x'{}', hash = x'{}'
             WHERE sequence = {};",
            hex(&record.previous),
            hex(&record.hash),
            record.sequence
        ));
    }
    log.tamper(&sql);
}
