//! The one thread that writes: whatever waits is committed together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::checkpoint::{Checkpoint, Sealer};
use crate::error::LedgerError;
use crate::event::{Event, EventKind};
use crate::record::{Entry, Recorded};
use crate::store::Store;

/// The most events of one commit.
const BATCH: usize = 512;

/// What the thread is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Append, and tell the asker when it is durable.
    Append(Entry, oneshot::Sender<Result<Recorded, LedgerError>>),
    /// Append.
    AppendLater(Entry),
    /// Seal the newest record once everything before is durable or lost.
    Seal(SealRequest),
    /// Answer once everything before is durable or lost.
    Flush(oneshot::Sender<()>),
}

/// A checkpoint that is asked for.
#[derive(Debug)]
pub(crate) struct SealRequest {
    pub(crate) at: SystemTime,
    pub(crate) sealer: Sealer,
    pub(crate) asker: oneshot::Sender<Result<Option<Checkpoint>, LedgerError>>,
}

/// Runs until every sender of `jobs` is gone and all that they sent is written.
pub(crate) fn run(mut store: Store, mut jobs: mpsc::Receiver<Job>, lost: Arc<AtomicU64>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = Batch::default();
        batch.add(first);
        while batch.entries.len() < BATCH {
            match jobs.try_recv() {
                Ok(job) => batch.add(job),
                Err(_) => break,
            }
        }
        batch.commit(&mut store, &lost);
    }
}

/// Entries of one commit and who waits for which.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    askers: Vec<(usize, oneshot::Sender<Result<Recorded, LedgerError>>)>,
    seals: Vec<SealRequest>,
    flushes: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn add(&mut self, job: Job) {
        match job {
            Job::Append(entry, asker) => {
                self.askers.push((self.entries.len(), asker));
                self.entries.push(entry);
            }
            Job::AppendLater(entry) => self.entries.push(entry),
            Job::Seal(request) => self.seals.push(request),
            Job::Flush(asker) => self.flushes.push(asker),
        }
    }

    fn commit(mut self, store: &mut Store, lost: &AtomicU64) {
        let unasked = (self.entries.len() - self.askers.len()) as u64;
        let missed = lost.swap(0, Ordering::Relaxed);
        self.entries.extend(loss(missed, self.entries.last()));
        let outcome = if self.entries.is_empty() {
            Ok(Vec::new())
        } else {
            store.append(&self.entries)
        };
        if let Err(cause) = &outcome {
            lost.fetch_add(missed + unasked, Ordering::Relaxed);
            error!(events = self.entries.len(), cause = ?cause, "event log refused a commit");
        }
        // An asker that no longer listens has given up; its event stays.
        for (place, asker) in self.askers {
            let answer = match &outcome {
                Ok(recorded) => recorded.get(place).copied().ok_or(LedgerError::Closed),
                Err(cause) => Err(cause.clone()),
            };
            let _ = asker.send(answer);
        }
        for SealRequest { at, sealer, asker } in self.seals {
            let _ = asker.send(store.seal(at, &sealer));
        }
        for asker in self.flushes {
            let _ = asker.send(());
        }
    }
}

/// The event that says that `missed` others are missing, at the time of the `newest` one.
fn loss(missed: u64, newest: Option<&Entry>) -> Option<Entry> {
    if missed == 0 {
        return None;
    }
    let event = Event {
        at: UNIX_EPOCH,
        kind: EventKind::Lost,
        principal: None,
        query: None,
        fragment: None,
        details: json!({ "count": missed }),
    };
    let entry = Entry::new(event).ok()?;
    Some(match newest {
        Some(newest) => Entry {
            at: newest.at,
            ..entry
        },
        None => entry,
    })
}
