use serde_json::json;
use weft_governance::hex;

use super::*;
use crate::fixture::{Log, event};
use crate::{Broken, EventKind, verify};

#[tokio::test]
async fn an_event_is_read_back_as_it_was_appended() {
    let log = Log::new();
    let ledger = log.open();
    let appended = event(7);
    let recorded = ledger.append(appended.clone()).await.expect("appended");
    let records = ledger.read(0, 10).expect("read");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].event, appended);
    assert_eq!(
        (records[0].sequence, records[0].hash),
        (recorded.sequence, recorded.hash)
    );
}

#[tokio::test]
async fn each_record_holds_the_hash_of_the_one_before_it_across_restarts() {
    let log = Log::filled(3).await;
    let ledger = log.open();
    ledger.append(event(3)).await.expect("appended");
    let records = ledger.read(0, 10).expect("read");
    assert_eq!(records[0].previous, [0; 32]);
    for pair in records.windows(2) {
        assert_eq!(pair[1].previous, pair[0].hash);
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
    }
    let verified = verify(&log.path()).expect("whole");
    assert_eq!((verified.records, verified.head), (4, records[3].hash));
}

#[tokio::test]
async fn reading_goes_on_behind_a_record_and_stops_at_the_limit() {
    let log = Log::filled(5).await;
    let numbers = |after, limit| {
        let records = log.open().read(after, limit).expect("read");
        records
            .iter()
            .map(|record| record.sequence)
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(2, 2), [3, 4]);
    assert_eq!(numbers(4, 10), [5]);
    assert!(numbers(5, 10).is_empty());
    assert!(numbers(u64::MAX, 10).is_empty());
}

#[tokio::test]
async fn only_the_records_of_a_principal_or_a_query_are_read_if_that_is_asked_for() {
    let (log, query) = (Log::new(), QueryId::generate());
    let ledger = log.open();
    for (number, who, about) in [
        (0, "ann", None),
        (1, "bob", Some(query)),
        (2, "ann", Some(query)),
    ] {
        let told = Event {
            principal: Some(who.to_owned()),
            query: about,
            ..event(number)
        };
        ledger.append(told).await.expect("appended");
    }
    assert_eq!(picked(&ledger, None, None).await, [1, 2, 3]);
    assert_eq!(picked(&ledger, Some("ann"), None).await, [1, 3]);
    assert_eq!(picked(&ledger, None, Some(query)).await, [2, 3]);
    assert_eq!(picked(&ledger, Some("ann"), Some(query)).await, [3]);
    let injected = picked(&ledger, Some("ann' OR '1' = '1"), None).await;
    assert!(injected.is_empty());
}

#[tokio::test]
async fn pages_end_where_the_log_ended_at_their_beginning() {
    let log = Log::filled(2_000).await;
    let ledger = log.open();
    let which = Which::default();
    let (first, place) = ledger.page(&which, None).await.expect("read");
    ledger.append(event(7)).await.expect("appended");
    let (second, place) = ledger.page(&which, place).await.expect("read");
    assert_eq!((first.len(), second.len()), (1_000, 1_000));
    assert_eq!(second.last().expect("full").sequence, 2_000);
    if place.is_some() {
        let (rest, place) = ledger.page(&which, place).await.expect("read");
        assert!(rest.is_empty() && place.is_none());
    }
    assert_eq!(picked(&ledger, None, None).await.len(), 2_001);
}

#[tokio::test]
async fn large_records_make_short_pages() {
    let log = Log::new();
    let ledger = log.open();
    for number in 0..10 {
        let large = Event {
            details: json!({"text": "x".repeat(250_000)}),
            ..event(number)
        };
        ledger.append(large).await.expect("appended");
    }
    let (page, place) = ledger.page(&Which::default(), None).await.expect("read");
    assert_eq!((page.len(), place.is_some()), (5, true));
    assert_eq!(picked(&ledger, None, None).await.len(), 10);
}

/// The places of the records that are picked.
async fn picked(ledger: &Ledger, principal: Option<&str>, query: Option<QueryId>) -> Vec<u64> {
    let principal = principal.map(str::to_owned);
    let (which, mut place) = (Which { principal, query }, None);
    let mut numbers = Vec::new();
    loop {
        let (records, next) = ledger.page(&which, place).await.expect("read");
        numbers.extend(records.iter().map(|record| record.sequence));
        if next.is_none() {
            return numbers;
        }
        place = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_at_once_get_records_without_gaps() {
    let log = Log::new();
    let ledger = log.open();
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..200 {
        let ledger = ledger.clone();
        callers.spawn(async move { ledger.append(event(number)).await.expect("appended") });
    }
    let mut places: Vec<u64> = callers
        .join_all()
        .await
        .iter()
        .map(|r| r.sequence)
        .collect();
    places.sort_unstable();
    assert_eq!(places, (1..=200).collect::<Vec<_>>());
    assert_eq!(verify(&log.path()).expect("whole").records, 200);
}

#[tokio::test]
async fn two_handles_on_one_file_write_one_chain() {
    let log = Log::new();
    let (one, other) = (log.open(), log.open());
    for number in 0..10 {
        one.append(event(number)).await.expect("appended");
        other.append(event(number)).await.expect("appended");
    }
    assert_eq!(verify(&log.path()).expect("whole").records, 20);
}

#[tokio::test]
async fn events_handed_in_without_waiting_are_there_after_a_flush_and_after_a_drop() {
    let log = Log::new();
    let ledger = log.open();
    ledger.append_later(event(1));
    ledger.flush().await.expect("flushed");
    assert_eq!(ledger.read(0, 10).expect("read").len(), 1);
    ledger.append_later(event(2));
    drop(ledger);
    assert_eq!(verify(&log.path()).expect("whole").records, 2);
}

#[tokio::test]
async fn an_event_that_could_not_be_recorded_is_counted() {
    let log = Log::new();
    let ledger = log.open();
    let oversize = || Event {
        details: json!("x".repeat(300_000)),
        ..event(1)
    };
    let refused = ledger.append(oversize()).await.expect_err("refused");
    assert!(matches!(
        refused,
        LedgerError::TooLarge { bytes: 300_002, .. }
    ));
    assert!(
        ledger.read(0, 10).expect("read").is_empty(),
        "a refusal told to the caller is no loss"
    );

    ledger.append_later(oversize());
    ledger.append_later(oversize());
    ledger.append(event(2)).await.expect("appended");
    let records = ledger.read(0, 10).expect("read");
    let kinds: Vec<_> = records.iter().map(|record| record.event.kind).collect();
    assert_eq!(kinds, [EventKind::Admitted, EventKind::Lost]);
    assert_eq!(records[1].event.details, json!({ "count": 2 }));
    assert_eq!(records[1].event.at, records[0].event.at);
}

#[tokio::test]
async fn a_failed_commit_reaches_its_caller_and_the_log_goes_on_afterwards() {
    let log = Log::filled(1).await;
    let ledger = log.open();
    let connection = Connection::open(log.path()).expect("opened");
    let refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END";
    connection.execute_batch(refuse).expect("made");
    ledger.append_later(event(2));
    let refused = ledger.append(event(3)).await.expect_err("refused");
    assert!(matches!(refused, LedgerError::Write(_)), "{refused}");

    connection
        .execute_batch("DROP TRIGGER refuse")
        .expect("dropped");
    ledger.append(event(4)).await.expect("appended");
    let records = ledger.read(1, 10).expect("read");
    assert_eq!(records[0].event.fragment, Some(4));
    assert_eq!(records[1].event.details, json!({ "count": 1 }));
}

#[tokio::test]
async fn a_changed_record_is_found() {
    let log = Log::filled(3).await;
    log.tamper("UPDATE events SET principal = 'bob' WHERE sequence = 2");
    assert!(matches!(
        verify(&log.path()),
        Err(Broken::Changed { sequence: 2 })
    ));
}

#[tokio::test]
async fn a_changed_record_with_a_matching_hash_breaks_the_next_link() {
    let log = Log::filled(3).await;
    let records = log.open().read(0, 10).expect("read");
    let forged = Entry::new(Event {
        principal: Some("bob".to_owned()),
        ..records[1].event.clone()
    })
    .expect("an entry")
    .hash(2, &records[1].previous);
    let hex = hex(&forged);
    log.tamper(&format!(
        "UPDATE events SET principal = 'bob', hash = x'{hex}' WHERE sequence = 2"
    ));
    assert!(matches!(
        verify(&log.path()),
        Err(Broken::Unlinked { sequence: 3 })
    ));
}

#[tokio::test]
async fn a_missing_record_is_found() {
    let log = Log::filled(3).await;
    log.tamper("DELETE FROM events WHERE sequence = 2");
    assert!(matches!(
        verify(&log.path()),
        Err(Broken::Missing {
            expected: 2,
            found: 3
        })
    ));
}

#[tokio::test]
async fn cutting_off_the_end_shows_in_the_head() {
    let log = Log::filled(3).await;
    let before = verify(&log.path()).expect("whole");
    log.tamper("DELETE FROM events WHERE sequence = 3");
    let after = verify(&log.path()).expect("whole");
    assert_eq!(after.records, 2);
    assert_ne!(after.head, before.head);
}

#[tokio::test]
async fn a_log_whose_newest_record_was_changed_is_not_continued() {
    let log = Log::filled(2).await;
    log.tamper("UPDATE events SET details = '{}' WHERE sequence = 2");
    let refused = Ledger::open(&log.path()).expect_err("refused");
    assert!(
        matches!(refused, LedgerError::Broken { sequence: 2 }),
        "{refused}"
    );
}

#[tokio::test]
async fn records_cannot_be_changed_or_deleted_by_accident() {
    let log = Log::filled(1).await;
    let connection = Connection::open(log.path()).expect("opened");
    for sql in ["UPDATE events SET at = 0", "DELETE FROM events"] {
        assert!(connection.execute_batch(sql).is_err(), "{sql}");
    }
}

#[test]
fn a_file_that_is_something_else_is_left_alone() {
    let log = Log::new();
    std::fs::write(log.path(), "name,age\nann,30\n".repeat(100)).expect("written");
    assert!(matches!(
        Ledger::open(&log.path()),
        Err(LedgerError::Open(_))
    ));
    assert!(matches!(verify(&log.path()), Err(Broken::Unreadable(_))));

    let other = Log::new();
    let connection = Connection::open(other.path()).expect("opened");
    connection
        .execute_batch("CREATE TABLE t (a)")
        .expect("made");
    assert!(matches!(
        Ledger::open(&other.path()),
        Err(LedgerError::Open(_))
    ));
    assert!(matches!(verify(&other.path()), Err(Broken::NotALedger)));
}

#[test]
fn verifying_a_missing_file_makes_none() {
    let log = Log::new();
    assert!(matches!(verify(&log.path()), Err(Broken::Unreadable(_))));
    assert!(!log.path().exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let log = Log::new();
    let _open = log.open();
    for name in ["events.sqlite", "events.sqlite-wal"] {
        let mode = log
            .folder()
            .join(name)
            .metadata()
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}
