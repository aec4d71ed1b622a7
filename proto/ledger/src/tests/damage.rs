//! Logs that are cut, and bits that flip. What is not found must have changed nothing.

use std::fs;
use std::path::Path;

use crate::fixture::{Dice, Log};
use crate::record::Stored;
use crate::{Broken, Checkpoint, Ledger};

#[tokio::test]
async fn records_cut_off_below_a_checkpoint_are_missed_at_every_point() {
    const RECORDS: u64 = 30;
    const SEALED: u64 = 20;
    let whole = Log::sealed(30, &[10, 20]).await;
    let kept = whole.newest_checkpoint();
    for left in 0..=RECORDS {
        let log = whole.copy();
        log.tamper(&format!("DELETE FROM events WHERE sequence > {left}"));
        let found = log.verify();
        assert_eq!(
            log.verify_with(&kept).map(|seen| seen.records).ok(),
            (left >= SEALED).then_some(left)
        );
        match found {
            // The stated limit: behind the newest checkpoint nothing is signed.
            Ok(seen) => assert!(left >= SEALED && seen.records == left, "{left}"),
            Err(broken) => {
                assert!(left < SEALED, "{left}: {broken}");
                assert!(matches!(broken, Broken::Truncated { .. }), "{broken}");
                assert_eq!(broken.sequence(), Some(left + 1));
            }
        }
    }
}

#[tokio::test]
async fn a_file_cut_at_any_byte_is_found_out() {
    let log = Log::sealed(60, &[20, 40, 60]).await;
    let whole = Image::of(&log);
    let length = whole.file.len();
    let mut dice = Dice::new(1);
    let cuts = (0..length)
        .step_by(512)
        .chain((0..200).map(|_| dice.below(length)));
    let mut found = 0;
    for cut in cuts {
        whole.put(&log, |file, _| file.truncate(cut));
        found += whole.check(&log, &format!("cut to {cut} bytes"));
    }
    assert!(found > 0);
}

#[tokio::test]
async fn a_journal_cut_at_any_byte_is_found_out() {
    let log = Log::new();
    let whole = Image::with_journal(&log).await;
    let length = whole.journal.len();
    let mut dice = Dice::new(2);
    for cut in (0..250).map(|_| dice.below(length)) {
        whole.put(&log, |_, journal| journal.truncate(cut));
        whole.check(&log, &format!("journal cut to {cut} bytes"));
    }
}

#[tokio::test]
async fn a_bit_that_flips_in_the_file_is_found_or_changes_no_record() {
    let log = Log::sealed(60, &[20, 40, 60]).await;
    let whole = Image::of(&log);
    let mut dice = Dice::new(3);
    let mut found = 0;
    for _ in 0..flips(2_000) {
        let (byte, bit) = (dice.below(whole.file.len()), dice.below(8));
        whole.put(&log, |file, _| file[byte] ^= 1 << bit);
        found += whole.check(&log, &format!("bit {bit} of byte {byte}"));
    }
    assert!(found > 0);
}

#[tokio::test]
async fn a_bit_that_flips_in_the_journal_is_found_or_changes_no_record() {
    let log = Log::new();
    let whole = Image::with_journal(&log).await;
    let mut dice = Dice::new(4);
    let mut found = 0;
    for _ in 0..flips(500) {
        let (byte, bit) = (dice.below(whole.journal.len()), dice.below(8));
        whole.put(&log, |_, journal| journal[byte] ^= 1 << bit);
        found += whole.check(&log, &format!("bit {bit} of byte {byte} of the journal"));
    }
    assert!(found > 0);
}

fn flips(usual: usize) -> usize {
    if crate::fixture::is_full_run() {
        usual * 10
    } else {
        usual
    }
}

/// The bytes of a whole log, and what is in it.
struct Image {
    file: Vec<u8>,
    journal: Vec<u8>,
    records: Vec<Stored>,
    kept: Checkpoint,
}

impl Image {
    /// Of a log that is closed.
    fn of(log: &Log) -> Self {
        let image = Self {
            file: fs::read(log.path()).expect("a file"),
            journal: Vec::new(),
            records: log.records().expect("read"),
            kept: log.newest_checkpoint(),
        };
        image.assert_whole(log);
        image
    }

    /// Of one whose server was killed: the newest records are in the journal. `log` is where it is
    /// put.
    async fn with_journal(log: &Log) -> Self {
        let killed = Log::sealed(20, &[10, 20]).await;
        let ledger: Ledger = killed.open();
        for number in 21..=40 {
            let event = crate::fixture::event(number);
            ledger.append(event).await.expect("appended");
            if number % 10 == 0 {
                let at = crate::fixture::at(number);
                let sealer = crate::fixture::sealer();
                ledger.checkpoint(at, &sealer).await.expect("written");
            }
        }
        let mut image = Self::of(&killed);
        image.journal = fs::read(killed.journal()).expect("a journal");
        assert_eq!((image.records.len(), image.kept.sequence), (40, 40));
        image.put(log, |_, _| {});
        image.assert_whole(log);
        image
    }

    /// Without damage nothing is found.
    fn assert_whole(&self, log: &Log) {
        let seen = log.verify_with(&self.kept).expect("whole");
        assert_eq!(seen.newest_checkpoint.as_ref(), Some(&self.kept));
        assert_eq!(log.records().expect("read"), self.records);
    }

    /// Puts the log in place, damaged.
    fn put(&self, log: &Log, damage: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) {
        let (mut file, mut journal) = (self.file.clone(), self.journal.clone());
        damage(&mut file, &mut journal);
        for entry in fs::read_dir(log.folder()).expect("a folder") {
            remove(&entry.expect("an entry").path());
        }
        fs::write(log.path(), file).expect("written");
        if !self.journal.is_empty() {
            fs::write(log.journal(), journal).expect("written");
        }
    }

    /// Whether the damage is found; if it is not, every record must be as it was. Returns 1 or 0.
    fn check(&self, log: &Log, damage: &str) -> usize {
        match log.verify_with(&self.kept) {
            Err(_) => 1,
            Ok(seen) => {
                assert_eq!(seen.records, self.records.len() as u64, "{damage}");
                let records = log.records().expect("what was verified can be read");
                assert!(records == self.records, "{damage} is not seen");
                0
            }
        }
    }
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("removed");
}
