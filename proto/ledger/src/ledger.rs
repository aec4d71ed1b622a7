//! The handle that servers hold.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};
use weft_governance::QueryId;

use crate::checkpoint::{Checkpoint, Sealer};
use crate::error::LedgerError;
use crate::event::{Event, EventKind};
use crate::record::{Entry, Record, Recorded};
use crate::store::{self, Store, checkpoints};
use crate::writer::{self, Job, SealRequest};

/// How many events may wait for the thread that writes.
const QUEUE: usize = 4096;

/// The most records of one [`Ledger::read`].
const PAGE: usize = 10_000;

/// Which records are read: those of which all that is said here is true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Somebody asked for it, and it was this subject.
    pub principal: Option<String>,
    /// It belongs to this query.
    pub query: Option<QueryId>,
}

/// Where the next page begins, and where the last one ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub(crate) after: u64,
    pub(crate) until: u64,
}

/// An open event log. Clones share it; when the last one is dropped, the drop waits until all
/// that was handed in is written.
#[derive(Debug, Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
    handed_in: AtomicU64,
    failing: AtomicBool,
    reader: Mutex<Connection>,
    /// Whoever reads pages waits here, and not on a thread.
    turn: Arc<Semaphore>,
}

impl Ledger {
    /// Opens the log at `path`, or begins one there. The folder must exist.
    ///
    /// # Errors
    /// [`LedgerError::Open`] if the file cannot be opened or is something else,
    /// [`LedgerError::Broken`] if its newest record was changed, [`LedgerError::Truncated`] if
    /// records below its newest checkpoint are gone.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let store = Store::open(path)?;
        let reader = store::open_to_read(path).map_err(LedgerError::open)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let missed = Arc::clone(&lost);
        let clock = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(LedgerError::open)?;
        let thread = std::thread::Builder::new()
            .name("weft-ledger".to_owned())
            .spawn(move || writer::run(&clock, store, queue, &missed))
            .map_err(LedgerError::open)?;
        let shared = Shared {
            jobs: Some(jobs),
            thread: Some(thread),
            lost,
            handed_in: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            reader: Mutex::new(reader),
            turn: Arc::new(Semaphore::new(1)),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Appends `event` and returns when it is durable. Events of many callers share a commit. A
    /// caller that stops waiting does not take its event back.
    ///
    /// # Errors
    /// If the event is not in the log: it is too large, or the commit failed.
    pub async fn append(&self, event: Event) -> Result<Recorded, LedgerError> {
        let entry = Entry::new(event)?;
        let (asker, answer) = oneshot::channel();
        let jobs = self.shared.jobs.as_ref().ok_or(LedgerError::Closed)?;
        jobs.send(Job::Append(entry, asker))
            .await
            .map_err(|_| LedgerError::Closed)?;
        self.shared.handed_in.fetch_add(1, Ordering::Relaxed);
        let recorded = answer.await.map_err(|_| LedgerError::Closed)?;
        self.shared
            .failing
            .store(recorded.is_err(), Ordering::Relaxed);
        recorded
    }

    /// Events that were handed in since it was opened.
    pub fn handed_in(&self) -> u64 {
        self.shared.handed_in.load(Ordering::Relaxed)
    }

    /// Events that are not in the log, and that no record counts yet.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Whether the last event that somebody waited for is in the log, and further ones are taken.
    pub fn is_writable(&self) -> bool {
        let taken = self
            .shared
            .jobs
            .as_ref()
            .is_some_and(|jobs| !jobs.is_closed());
        taken && !self.shared.failing.load(Ordering::Relaxed)
    }

    /// Appends `event` without waiting. If it cannot be recorded, a later record of the kind
    /// [`Lost`](crate::EventKind::Lost) counts it.
    pub fn append_later(&self, event: Event) {
        self.shared.handed_in.fetch_add(1, Ordering::Relaxed);
        let queued = Entry::new(event)
            .ok()
            .zip(self.shared.jobs.as_ref())
            .is_some_and(|(entry, jobs)| jobs.try_send(Job::AppendLater(entry)).is_ok());
        if !queued {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a checkpoint for the newest record at the time `at`, signed by `sealer`; for all that
    /// was handed in before, it is durable when this returns. Returns `None` if there is nothing
    /// new since the last one.
    ///
    /// # Errors
    /// [`LedgerError::Unsealed`] if `sealer` does not sign, [`LedgerError::Write`] if the commit
    /// failed.
    pub async fn checkpoint(
        &self,
        at: SystemTime,
        sealer: &Sealer,
    ) -> Result<Option<Checkpoint>, LedgerError> {
        let (asker, answer) = oneshot::channel();
        let sealer = sealer.clone();
        let jobs = self.shared.jobs.as_ref().ok_or(LedgerError::Closed)?;
        jobs.send(Job::Seal(SealRequest { at, sealer, asker }))
            .await
            .map_err(|_| LedgerError::Closed)?;
        answer.await.map_err(|_| LedgerError::Closed)?
    }

    /// The newest checkpoint. Reads the file and so blocks the thread for that long.
    ///
    /// # Errors
    /// [`LedgerError::Read`] if the file cannot be read.
    pub fn newest_checkpoint(&self) -> Result<Option<Checkpoint>, LedgerError> {
        checkpoints::newest(&self.reader()).map_err(LedgerError::read)
    }

    /// Returns when everything handed in before is durable or counted as lost.
    ///
    /// # Errors
    /// [`LedgerError::Closed`] if nothing is written any more.
    pub async fn flush(&self) -> Result<(), LedgerError> {
        let (asker, answer) = oneshot::channel();
        let jobs = self.shared.jobs.as_ref().ok_or(LedgerError::Closed)?;
        jobs.send(Job::Flush(asker))
            .await
            .map_err(|_| LedgerError::Closed)?;
        answer.await.map_err(|_| LedgerError::Closed)
    }

    /// The durable records behind the one at `after`, oldest first: at most `limit`, and never
    /// more than 10,000. Reads the file and so blocks the thread for that long.
    ///
    /// # Errors
    /// [`LedgerError::Read`] if the file cannot be read.
    pub fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, LedgerError> {
        store::read(&self.reader(), after, limit.min(PAGE)).map_err(LedgerError::read)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.shared
            .reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of the records that `which` picks, oldest first, and where to go on: from the beginning,
    /// or from `place`. At most 1,000 of them and about 1 MiB. What was handed in before the beginning is
    /// among them, what comes after it is not. One page is read at a time, by a thread that may block.
    ///
    /// # Errors
    /// [`LedgerError::Read`] if the file cannot be read.
    pub async fn page(
        &self,
        which: &Which,
        place: Option<Place>,
    ) -> Result<(Vec<Record>, Option<Place>), LedgerError> {
        if place.is_none() {
            self.flush().await?;
        }
        let turn = Arc::clone(&self.shared.turn).acquire_owned().await;
        let turn = turn.map_err(|_| LedgerError::Closed)?;
        let (ledger, which) = (self.clone(), which.clone());
        let reading = tokio::task::spawn_blocking(move || {
            // Kept for as long as it reads, also if nobody waits for it any more.
            let _turn = turn;
            store::read_page(&ledger.reader(), &which, place).map_err(LedgerError::read)
        });
        reading.await.map_err(|_| LedgerError::Closed)?
    }

    /// All durable records of one of `kinds`, oldest first: for kinds that are few. Reads the whole
    /// file and so blocks the thread for that long.
    ///
    /// # Errors
    /// [`LedgerError::Read`] if the file cannot be read.
    pub fn read_of(&self, kinds: &[EventKind]) -> Result<Vec<Record>, LedgerError> {
        store::read_of(&self.reader(), kinds).map_err(LedgerError::read)
    }
}

/// All durable records of one of `kinds` in the log at `path`, oldest first, without writing to it: a
/// server may be using it.
///
/// # Errors
/// [`LedgerError::Open`] if the file is not there, [`LedgerError::Read`] if it cannot be read.
pub fn read_of(path: &Path, kinds: &[EventKind]) -> Result<Vec<Record>, LedgerError> {
    let reader = store::open_to_read(path).map_err(LedgerError::open)?;
    store::read_of(&reader, kinds).map_err(LedgerError::read)
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // The thread's own panic has been reported by then; there is nothing left to do.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
