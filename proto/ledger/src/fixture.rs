//! Logs for tests, what can be done to them, and a signature that needs no key pair.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use weft_governance::{QueryId, hex};

use crate::record::{COLUMNS, Stored};
use crate::{
    Broken, Checkpoint, Event, EventKind, Ledger, Seal, SealError, Sealer, Verified, Verifier,
};

/// Tells a test which small disk is its own.
const SMALL_DISK: &str = "WEFT_LEDGER_SMALL_DISK";

const TRIGGERS: [&str; 4] = [
    "events_are_not_changed",
    "events_are_not_deleted",
    "checkpoints_are_not_changed",
    "checkpoints_are_not_deleted",
];

/// A log in a folder of its own.
pub(crate) struct Log {
    dir: TempDir,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    /// A log of `records` records, closed.
    pub(crate) async fn filled(records: u32) -> Self {
        Self::sealed(records, &[]).await
    }

    /// The same, with a checkpoint of each record in `checkpoints`.
    pub(crate) async fn sealed(records: u32, checkpoints: &[u32]) -> Self {
        let log = Self::new();
        let ledger = log.open();
        for number in 1..=records {
            ledger.append(event(number)).await.expect("appended");
            if checkpoints.contains(&number) {
                let written = ledger.checkpoint(at(number), &sealer()).await;
                assert!(written.expect("written").is_some());
            }
        }
        log
    }

    /// Another log with the same records. This one is closed.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        std::fs::copy(self.path(), copy.path()).expect("copied");
        copy
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder().join("events.sqlite")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder().join("events.sqlite-wal")
    }

    pub(crate) fn open(&self) -> Ledger {
        Ledger::open(&self.path()).expect("opened")
    }

    /// Runs `sql` on the file behind the log's back, and leaves no trace of how.
    pub(crate) fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.path()).expect("opened");
        connection
            .pragma_update(None, "synchronous", "OFF")
            .expect("set");
        let mut triggers = String::new();
        for name in TRIGGERS {
            let text: String = connection
                .query_row(
                    "SELECT sql FROM sqlite_schema WHERE name = ?1",
                    [name],
                    |row| row.get(0),
                )
                .expect("a trigger");
            triggers.push_str(&text);
            triggers.push(';');
            connection
                .execute_batch(&format!("DROP TRIGGER {name}"))
                .expect("dropped");
        }
        connection.execute_batch(sql).expect("tampered");
        connection.execute_batch(&triggers).expect("made again");
    }

    /// Checks all, seals too.
    pub(crate) fn verify(&self) -> Result<Verified, Broken> {
        Verifier::new(witness).verify(&self.path())
    }

    /// Checks all, and against a checkpoint that was kept.
    pub(crate) fn verify_with(&self, kept: &Checkpoint) -> Result<Verified, Broken> {
        Verifier::new(witness)
            .expecting(kept.clone())
            .verify(&self.path())
    }

    pub(crate) fn newest_checkpoint(&self) -> Checkpoint {
        crate::newest_checkpoint(&self.path())
            .expect("readable")
            .expect("a checkpoint")
    }

    /// Every record as it is in the file.
    pub(crate) fn records(&self) -> rusqlite::Result<Vec<Stored>> {
        let connection = crate::store::open_to_read(&self.path())?;
        let mut select =
            connection.prepare(&format!("SELECT {COLUMNS} FROM events ORDER BY sequence"))?;
        let rows = select.query_map([], Stored::read)?;
        rows.collect()
    }
}

pub(crate) fn event(number: u32) -> Event {
    Event {
        at: at(number),
        kind: EventKind::Admitted,
        principal: Some("ann".to_owned()),
        query: Some(QueryId::generate()),
        fragment: Some(number),
        details: json!({ "tables": ["sales.orders.lineitem"], "number": number }),
    }
}

pub(crate) fn at(number: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_000 + u64::from(number))
}

/// Signs with a secret that [`witness`] knows.
pub(crate) fn sealer() -> Sealer {
    Sealer::new(|statement| {
        let certificate = b"node/sales/s1".to_vec();
        let signature = signature(statement, &certificate);
        Ok(Seal {
            certificate,
            signature,
        })
    })
}

pub(crate) fn witness(checkpoint: &Checkpoint) -> Result<(), SealError> {
    let Seal {
        certificate,
        signature: found,
    } = &checkpoint.seal;
    if *found == signature(&checkpoint.statement(), certificate) {
        Ok(())
    } else {
        Err("the signature is another one".into())
    }
}

fn signature(statement: &str, certificate: &[u8]) -> String {
    let signed = [b"secret".as_slice(), certificate, statement.as_bytes()].concat();
    hex(digest(&SHA256, &signed).as_ref())
}

/// Numbers that look random and are the same in every run: xorshift of Marsaglia.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("small")
    }
}

/// Whether the long form of tests is asked for.
pub(crate) fn is_full_run() -> bool {
    std::env::var_os("WEFT_TEST_FULL").is_some_and(|value| value == "1")
}

/// Runs the test `name` in a process that has a small file system of its own, where this user may
/// mount one. With `log`, that is a copy in it and nothing can be written.
///
/// # Panics
/// If the test fails.
pub(crate) fn on_small_disk(name: &str, log: Option<&Log>) {
    let folder = tempfile::tempdir().expect("a directory");
    let program = std::env::current_exe().expect("a program");
    let run = |then: &str| {
        let script = format!("mount -t tmpfs -o size=512k tmpfs \"${SMALL_DISK}\" && {then}");
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .env(SMALL_DISK, folder.path())
            .env("PROGRAM", &program)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(log) = log {
            command.env("LOG", log.path());
        }
        command.status().is_ok_and(|status| status.success())
    };
    if !run("true") {
        return;
    }
    let place = match log {
        Some(_) => format!(
            "cp \"$LOG\" \"${SMALL_DISK}/{ODD_NAME}\" && mount -o remount,ro \"${SMALL_DISK}\" && "
        ),
        None => String::new(),
    };
    assert!(run(&format!("{place} exec \"$PROGRAM\" --exact {name}")));
}

/// What a log may be called, too.
pub(crate) const ODD_NAME: &str = "ö %41?#.sqlite";

/// The small file system of this process, if it was given one.
pub(crate) fn small_disk() -> Option<PathBuf> {
    std::env::var_os(SMALL_DISK).map(PathBuf::from)
}
