use std::time::Duration;

use rusqlite::Connection;

use crate::fixture::{Log, ODD_NAME, at, event, on_small_disk, sealer, small_disk, witness};
use crate::record::Entry;
use crate::store::{Store, make_first_form};
use crate::{Broken, LedgerError, Sealer, Sealing, Verifier, newest_checkpoint, verify};

#[tokio::test]
async fn a_checkpoint_names_the_newest_record_and_is_written_once() {
    let log = Log::new();
    let ledger = log.open();
    let none = ledger.checkpoint(at(0), &sealer()).await.expect("asked");
    assert_eq!(none, None, "there is nothing to seal");
    ledger.append(event(1)).await.expect("appended");
    let newest = ledger.append(event(2)).await.expect("appended");
    let written = ledger.checkpoint(at(3), &sealer()).await.expect("asked");
    let written = written.expect("something is new");
    assert_eq!(
        (written.sequence, written.hash, written.at),
        (newest.sequence, newest.hash, at(3))
    );
    assert!(witness(&written).is_ok());
    let again = ledger.checkpoint(at(4), &sealer()).await.expect("asked");
    assert_eq!(again, None, "nothing is new");
    assert_eq!(ledger.newest_checkpoint().expect("read"), Some(written));
}

#[tokio::test]
async fn a_verified_log_says_what_it_holds() {
    let log = Log::sealed(5, &[2, 4]).await;
    let verified = log.verify().expect("whole");
    assert_eq!((verified.records, verified.checkpoints), (5, 2));
    assert_eq!(verified.times, Some((at(1), at(5))));
    assert_eq!(verified.newest_checkpoint, Some(log.newest_checkpoint()));
    assert_eq!(log.newest_checkpoint().sequence, 4);
    assert_eq!(
        log.verify_with(&log.newest_checkpoint()).expect("whole"),
        verified
    );
}

#[tokio::test]
async fn an_empty_log_is_whole() {
    let log = Log::filled(0).await;
    let verified = log.verify().expect("whole");
    assert_eq!((verified.records, verified.times), (0, None));
    assert_eq!(newest_checkpoint(&log.path()).expect("readable"), None);
}

#[tokio::test]
async fn a_key_that_does_not_sign_leaves_no_checkpoint_and_events_go_on() {
    let log = Log::filled(1).await;
    let ledger = log.open();
    let broken = Sealer::new(|_| Err("the key is gone".into()));
    let refused = ledger.checkpoint(at(2), &broken).await;
    assert!(matches!(refused, Err(LedgerError::Unsealed(_))));
    ledger.append(event(2)).await.expect("appended");
    let written = ledger.checkpoint(at(3), &sealer()).await.expect("asked");
    assert_eq!(written.map(|written| written.sequence), Some(2));
}

#[tokio::test]
async fn a_running_server_seals_what_is_new_and_once_more_when_it_stops() {
    let log = Log::filled(1).await;
    let ledger = log.open();
    let sealing = Sealing::start(ledger.clone(), sealer(), Duration::from_millis(1));
    for number in 2..5 {
        let newest = ledger.append(event(number)).await.expect("appended");
        let sealed = || {
            let newest = ledger.newest_checkpoint().expect("read");
            newest.map_or(0, |checkpoint| checkpoint.sequence)
        };
        while sealed() < newest.sequence {
            tokio::task::yield_now().await;
        }
    }
    sealing.stop().await;

    let rarely = Sealing::start(ledger.clone(), sealer(), Duration::from_secs(3600));
    ledger.append_later(event(5));
    rarely.stop().await;
    let verified = log.verify().expect("whole");
    let sealed = verified.newest_checkpoint.map(|newest| newest.sequence);
    assert_eq!((verified.records, sealed), (5, Some(5)));
}

#[tokio::test]
async fn checkpoints_cannot_be_changed_or_deleted_by_accident() {
    let log = Log::sealed(1, &[1]).await;
    let connection = Connection::open(log.path()).expect("opened");
    for sql in ["UPDATE checkpoints SET at = 0", "DELETE FROM checkpoints"] {
        assert!(connection.execute_batch(sql).is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_log_that_ends_before_its_checkpoint_is_not_continued() {
    let log = Log::sealed(3, &[3]).await;
    log.tamper("DELETE FROM events WHERE sequence = 3");
    let refused = crate::Ledger::open(&log.path()).expect_err("refused");
    assert!(
        matches!(refused, LedgerError::Truncated { sequence: 3 }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_log_without_room_for_checkpoints_is_read_and_gets_it_when_it_is_opened() {
    let log = Log::new();
    let connection = Connection::open(log.path()).expect("opened");
    make_first_form(&connection).expect("made");
    drop(connection);
    assert_eq!(log.verify().expect("whole").records, 0);
    assert_eq!(newest_checkpoint(&log.path()).expect("readable"), None);

    let ledger = log.open();
    ledger.append(event(1)).await.expect("appended");
    let written = ledger.checkpoint(at(2), &sealer()).await.expect("asked");
    assert!(written.is_some());
    assert_eq!(log.verify().expect("whole").checkpoints, 1);
}

#[tokio::test]
async fn a_log_is_verified_while_it_is_written() {
    let log = Log::new();
    let ledger = log.open();
    for number in 1..20 {
        ledger.append(event(number)).await.expect("appended");
        ledger
            .checkpoint(at(number), &sealer())
            .await
            .expect("asked");
        let verified = log.verify().expect("whole");
        assert_eq!(
            (verified.records, verified.checkpoints),
            (u64::from(number), u64::from(number))
        );
    }
}

#[tokio::test]
async fn a_server_that_begins_to_write_in_the_middle_is_noticed() {
    let log = Log::sealed(3, &[3]).await;
    let mut server = None;
    let verifier = Verifier::new(|_| {
        if server.is_none() {
            let mut store = Store::open(&log.path())?;
            store.append(&[Entry::new(event(4))?])?;
            server = Some(store);
        }
        Ok(())
    });
    assert_eq!(verifier.verify(&log.path()).expect("whole").records, 4);
}

#[tokio::test]
async fn verifying_leaves_the_file_as_it_is_and_nothing_beside_it() {
    let log = Log::sealed(10, &[10]).await;
    let before = std::fs::read(log.path()).expect("read");
    log.verify().expect("whole");
    assert_eq!(std::fs::read(log.path()).expect("read"), before);
    let files = std::fs::read_dir(log.folder()).expect("a folder");
    assert_eq!(files.count(), 1);
}

#[tokio::test]
async fn a_seal_by_a_stranger_is_named() {
    let log = Log::sealed(5, &[2, 4]).await;
    let stranger = Verifier::new(|checkpoint| match checkpoint.sequence {
        4 => Err("nobody knows who signed".into()),
        _ => Ok(()),
    });
    let broken = stranger.verify(&log.path()).expect_err("refused");
    assert!(
        matches!(broken, Broken::Unsealed { sequence: 4, .. }),
        "{broken}"
    );
    assert!(verify(&log.path()).is_ok(), "the chain itself is whole");
}

#[tokio::test]
async fn a_log_on_a_disk_that_cannot_be_written_is_verified() {
    let log = Log::sealed(3, &[3]).await;
    on_small_disk(
        "tests::checkpoints::the_process_that_cannot_write",
        Some(&log),
    );
}

/// Verifies the log on its disk, if it was started for that.
#[test]
fn the_process_that_cannot_write() {
    let Some(place) = small_disk() else {
        return;
    };
    assert!(std::fs::write(place.join("file"), "text").is_err());
    let verified = Verifier::new(witness).verify(&place.join(ODD_NAME));
    assert_eq!(verified.expect("whole").records, 3);
}
