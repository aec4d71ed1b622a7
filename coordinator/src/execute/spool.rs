//! Rows on their way from one fragment to one or more places of the plan.
//!
//! Whoever fills a spool is ahead of its readers: as far as it likes while the rows are set aside,
//! by a few batches afterwards. Rows that memory has no room for go to disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::spill_pool::{self, SpillPoolSink};
use datafusion::physical_plan::spill::{SpillManager, get_record_batch_memory_size};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use weft_governance::{Error, ErrorKind, code};
use weft_plan::from_datafusion;

/// Batches that the writer may be ahead once rows are no longer set aside.
const AHEAD: usize = 4;
/// The part of all memory that the rows of one fragment may take: what is set aside early must not
/// leave later joins and sorts without.
const SHARE: usize = 8;
/// Bytes of one file on disk.
const FILE_BYTES: usize = 64 << 20;

/// The writing end. Dropped before [`Writer::finish`], it leaves its readers with an error.
pub(super) struct Writer {
    readers: Vec<mpsc::UnboundedSender<Item>>,
    disks: Vec<SpillPoolSink>,
    room: Arc<Semaphore>,
    aside: bool,
    reservation: MemoryReservation,
    held: Arc<AtomicUsize>,
    most: usize,
    spill: Arc<SpillManager>,
}

/// The reading end.
pub(super) struct Reader(mpsc::UnboundedReceiver<Item>);

enum Item {
    Batch {
        batch: RecordBatch,
        _held: Held,
    },
    /// All later batches.
    Disk(SendableRecordBatchStream),
    End(Result<(), Error>),
}

/// What a waiting batch occupies; given back on drop.
struct Held {
    _memory: Arc<Part>,
    _room: Option<OwnedSemaphorePermit>,
}

/// The memory of one batch.
struct Part {
    memory: MemoryReservation,
    held: Arc<AtomicUsize>,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.held.fetch_sub(self.memory.size(), Ordering::Relaxed);
    }
}

/// A spool for `readers` readers of rows of `schema`.
pub(super) fn spool(
    readers: usize,
    schema: SchemaRef,
    runtime: &Arc<RuntimeEnv>,
) -> (Writer, Vec<Reader>) {
    let consumer = MemoryConsumer::new("rows set aside").with_can_spill(true);
    let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..readers).map(|_| mpsc::unbounded_channel()).unzip();
    let writer = Writer {
        readers: senders,
        disks: Vec::new(),
        room: Arc::new(Semaphore::new(AHEAD)),
        aside: true,
        reservation: consumer.register(&runtime.memory_pool),
        held: Arc::default(),
        most: match runtime.memory_pool.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / SHARE,
            _ => usize::MAX,
        },
        spill: Arc::new(SpillManager::new(Arc::clone(runtime), metrics, schema)),
    };
    (writer, receivers.into_iter().map(Reader).collect())
}

impl Writer {
    /// From now on waits for the reader. A spool with several readers does not: one of them may be
    /// waiting for the end of another.
    pub(super) fn release(&mut self) {
        self.aside = self.readers.len() > 1;
    }

    /// Hands `batch` to all readers, or says that none is left.
    ///
    /// # Errors
    /// If the disk refuses rows that memory has no room for.
    pub(super) async fn push(&mut self, batch: RecordBatch) -> Result<bool, Error> {
        if self.readers.iter().all(mpsc::UnboundedSender::is_closed) {
            return Ok(false);
        }
        if !self.disks.is_empty() {
            return self.write(&batch).map(|()| true);
        }
        let mut room = match (self.aside, self.readers.as_slice()) {
            (false, [reader]) => tokio::select! {
                room = Arc::clone(&self.room).acquire_owned() => room.ok(),
                () = reader.closed() => return Ok(false),
            },
            _ => None,
        };
        let Some(memory) = self.hold(&batch) else {
            self.turn_to_disk();
            return self.write(&batch).map(|()| true);
        };
        for reader in &self.readers {
            let _held = Held {
                _memory: Arc::clone(&memory),
                _room: room.take(),
            };
            // A reader that has left needs nothing.
            let _ = reader.send(Item::Batch {
                batch: batch.clone(),
                _held,
            });
        }
        Ok(true)
    }

    /// Says that no more rows come, and whether these are all.
    pub(super) fn finish(mut self, end: Result<(), Error>) {
        self.disks.clear();
        for reader in &self.readers {
            let _ = reader.send(Item::End(end.clone()));
        }
    }

    fn hold(&self, batch: &RecordBatch) -> Option<Arc<Part>> {
        let bytes = get_record_batch_memory_size(batch);
        if self.held.load(Ordering::Relaxed).saturating_add(bytes) > self.most {
            return None;
        }
        let memory = self.reservation.new_empty();
        memory.try_grow(bytes).ok()?;
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Some(Arc::new(Part {
            memory,
            held: Arc::clone(&self.held),
        }))
    }

    fn turn_to_disk(&mut self) {
        for reader in &self.readers {
            let (writer, rows) = spill_pool::spsc_channel(FILE_BYTES, Arc::clone(&self.spill));
            let _ = reader.send(Item::Disk(rows));
            self.disks.push(writer);
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut disks = self.disks.iter();
        disks.try_for_each(|disk| disk.push_batch(batch).map_err(from_datafusion))
    }
}

impl Reader {
    /// The rows. They end with an error unless all of them came.
    pub(super) fn rows(self) -> BoxStream<'static, Result<RecordBatch, Error>> {
        let start = Reading {
            items: self.0,
            disk: None,
        };
        futures::stream::try_unfold(start, Reading::next).boxed()
    }
}

struct Reading {
    items: mpsc::UnboundedReceiver<Item>,
    disk: Option<SendableRecordBatchStream>,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>, Error> {
        loop {
            if let Some(disk) = &mut self.disk {
                match disk.try_next().await.map_err(from_datafusion)? {
                    Some(batch) => return Ok(Some((batch, self))),
                    None => self.disk = None,
                }
            }
            match self.items.recv().await {
                Some(Item::Batch { batch, .. }) => return Ok(Some((batch, self))),
                Some(Item::Disk(rows)) => self.disk = Some(rows),
                Some(Item::End(end)) => return end.map(|()| None),
                None => return Err(broken()),
            }
        }
    }
}

fn broken() -> Error {
    let message = "the rows of a fragment ended before they were complete";
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
