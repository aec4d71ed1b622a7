//! A disk without room.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::LedgerError;
use crate::fixture::{Log, at, event, on_small_disk, sealer, small_disk, witness};
use crate::record::Entry;
use crate::store::Store;
use crate::{EventKind, Ledger, Verifier};

const NAME: &str = "tests::full_disk::the_process_with_a_small_disk";

#[test]
fn a_full_disk_refuses_events_and_checkpoints_and_takes_them_again_when_there_is_room() {
    let log = Log::new();
    let mut store = Store::open(&log.path()).expect("opened");
    let entries: Vec<Entry> = (0..8)
        .map(|number| Entry::new(event(number)).expect("an entry"))
        .collect();
    store.limit_pages(40);
    let mut written = 0;
    let refused = loop {
        match store.append(&entries) {
            Ok(recorded) => written += recorded.len(),
            Err(cause) => break cause,
        }
    };
    assert!(is_full(&refused), "{refused:?}");
    assert!(written > 0, "there was room first");
    assert_eq!(
        log.records().expect("read").len(),
        written,
        "all or nothing"
    );
    assert_eq!(log.verify().expect("whole").records, written as u64);

    store.limit_pages(1_000);
    store.append(&entries).expect("there is room");
    let checkpoint = store.seal(at(9), &sealer()).expect("there is room");
    assert!(checkpoint.is_some());
    let verified = log.verify().expect("whole");
    assert_eq!(
        (verified.records, verified.checkpoints),
        (written as u64 + 8, 1)
    );
}

/// The same with a file system that is full in earnest, where one may be mounted.
#[test]
fn a_full_file_system_refuses_events_and_takes_them_again_when_there_is_room() {
    // Where nobody may mount, the test above has to do.
    on_small_disk(NAME, None);
}

/// Fills its disk and makes room again, if it was started for that.
#[tokio::test]
async fn the_process_with_a_small_disk() {
    let Some(place) = small_disk() else {
        return;
    };
    let (path, filler) = (place.join("events.sqlite"), place.join("filler"));
    std::fs::write(&filler, vec![0; 200_000]).expect("there is room");
    let ledger = Ledger::open(&path).expect("opened");
    let mut written = 0;
    let refused = loop {
        match ledger.append(event(1)).await {
            Ok(recorded) => written = recorded.sequence,
            Err(cause) => break cause,
        }
    };
    assert!(is_full(&refused), "{refused:?}");
    assert!(written > 0, "there was room first");
    assert_eq!(whole(&path), written);
    ledger.append_later(event(2));
    ledger.flush().await.expect("flushed");

    std::fs::remove_file(&filler).expect("removed");
    ledger.append(event(3)).await.expect("there is room");
    let checkpoint = ledger.checkpoint(at(4), &sealer()).await;
    assert!(checkpoint.expect("there is room").is_some());
    let kinds: Vec<_> = ledger
        .read(written, 10)
        .expect("read")
        .iter()
        .map(|record| record.event.kind)
        .collect();
    assert_eq!(kinds, [EventKind::Admitted, EventKind::Lost]);
    assert_eq!(whole(&path), written + 2);
}

/// How many records the log has, of which none may be wrong.
fn whole(path: &Path) -> u64 {
    let verified = Verifier::new(witness).verify(path);
    verified.expect("whole").records
}

fn is_full(refused: &LedgerError) -> bool {
    match refused {
        LedgerError::Write(cause) => cause.sqlite_error_code() == Some(ErrorCode::DiskFull),
        _ => false,
    }
}
