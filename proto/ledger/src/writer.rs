//! The one thread that writes: whatever waits is committed together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::error;

use crate::checkpoint::{Checkpoint, Sealer};
use crate::error::LedgerError;
use crate::event::{Event, EventKind};
use crate::record::{Entry, Recorded};
use crate::store::Store;

/// The most events of one commit.
const BATCH: usize = 512;
/// How long events that nobody waits for wait for others, to share their commit.
const PATIENCE: Duration = Duration::from_millis(100);

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
pub(crate) fn run(
    clock: &Runtime,
    mut store: Store,
    mut jobs: mpsc::Receiver<Job>,
    lost: &AtomicU64,
) {
    while let Some(batch) = clock.block_on(next(&mut jobs)) {
        batch.commit(&mut store, lost);
    }
}

/// What waits, as soon as somebody waits for it or it has waited long enough.
async fn next(jobs: &mut mpsc::Receiver<Job>) -> Option<Batch> {
    let mut batch = Batch::default();
    batch.add(jobs.recv().await?);
    let patience = Instant::now() + PATIENCE;
    while batch.entries.len() < BATCH {
        let job = match batch.is_awaited() {
            true => jobs.try_recv().ok(),
            false => timeout_at(patience, jobs.recv()).await.ok().flatten(),
        };
        match job {
            Some(job) => batch.add(job),
            None => break,
        }
    }
    Some(batch)
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

    /// Whether somebody waits for it.
    fn is_awaited(&self) -> bool {
        !(self.askers.is_empty() && self.seals.is_empty() && self.flushes.is_empty())
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
