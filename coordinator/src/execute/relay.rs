//! Who sends what to whom within one query: rows of fragments to the plan, keys of fragments to
//! other fragments.
//!
//! A fragment whose keys others wait for, or that is read in several places, is fetched by a task
//! of its own and set aside; all others are fetched as the plan asks for their rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::record_batch::RecordBatch;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weft_governance::{Error, ErrorKind, code};

use super::fragment_stream::{self, Rows};
use super::keys::{Collector, Keys};
use super::spool::{Reader, Writer, spool};
use crate::plan::{CutPlan, FragmentPlan, KeyFlow, Reduction, leaves};
use crate::query::QueryRun;

/// The traffic of one run. Dropping it ends every fetch.
#[derive(Debug)]
pub struct Relay {
    run: Arc<QueryRun>,
    runtime: Arc<RuntimeEnv>,
    sources: Vec<Source>,
    reduction: Reduction,
}

#[derive(Debug)]
struct Source {
    fragment: Arc<FragmentPlan>,
    /// Places of the plan that read it.
    readers: usize,
    fetch: Mutex<Option<Fetch>>,
}

/// A fragment that is fetched ahead of its readers.
struct Fetch {
    readers: Vec<Reader>,
    /// By flow.
    keys: BTreeMap<usize, watch::Receiver<Known>>,
    task: JoinHandle<()>,
}

/// What is known of the keys of a flow.
#[derive(Debug, Clone)]
enum Known {
    NotYet,
    /// Too many of them to be of use.
    TooMany,
    Keys(Arc<Keys>),
    Failed(Error),
}

/// Keys that a fragment waits for.
type Awaited = Vec<(usize, watch::Receiver<Known>)>;

impl Relay {
    /// The traffic of `cut` for `run`. Rows that are set aside use the memory of `runtime`.
    ///
    /// # Errors
    /// If the plan is malformed.
    pub fn new(
        cut: &CutPlan,
        run: Arc<QueryRun>,
        runtime: Arc<RuntimeEnv>,
    ) -> datafusion::common::Result<Arc<Self>> {
        let leaves = leaves(&cut.plan)?;
        let source = |fragment: &Arc<FragmentPlan>| Source {
            fragment: Arc::clone(fragment),
            readers: leaves.iter().filter(|it| **it == fragment.ordinal).count(),
            fetch: Mutex::default(),
        };
        Ok(Arc::new(Self {
            run,
            runtime,
            sources: cut.fragments.iter().map(source).collect(),
            reduction: cut.reduction.clone(),
        }))
    }

    /// Rows and bytes that `fragment` is expected to send.
    pub(super) fn expected(&self, fragment: &FragmentPlan) -> (f64, f64) {
        let rows = self.reduction.rows.get(&fragment.ordinal);
        let rows = rows.copied().unwrap_or(fragment.estimate.rows);
        (rows, rows * fragment.estimate.width())
    }

    /// The rows of the fragment `ordinal`, fetched when the first of them is asked for.
    pub(super) fn rows(
        self: Arc<Self>,
        ordinal: u32,
    ) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + 'static {
        let relay = Arc::clone(&self);
        futures::stream::once(async move { relay.open(ordinal).await })
            .try_flatten()
            // The fetches that others wait for go on for as long as anybody reads.
            .inspect(move |_| _ = &self)
    }

    async fn open(&self, ordinal: u32) -> Result<Rows, Error> {
        let source = self.source(ordinal)?;
        if source.readers > 1 || self.flows_from(ordinal).next().is_some() {
            let mut fetch = self.fetch(ordinal)?;
            let reader = fetch.as_mut().and_then(|fetch| fetch.readers.pop());
            if let Some(reader) = reader {
                return Ok(reader.rows());
            }
        }
        let keys = self.awaited(ordinal)?;
        open(Arc::clone(&source.fragment), keys, Arc::clone(&self.run)).await
    }

    /// Starts to fetch `ordinal` ahead, unless that has begun.
    fn fetch(&self, ordinal: u32) -> Result<MutexGuard<'_, Option<Fetch>>, Error> {
        let source = self.source(ordinal)?;
        let mut fetch = source.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        if fetch.is_none() {
            *fetch = Some(self.start(source)?);
        }
        Ok(fetch)
    }

    fn start(&self, source: &Source) -> Result<Fetch, Error> {
        let Source {
            fragment, readers, ..
        } = source;
        let mut keys = BTreeMap::new();
        let mut outlets = Vec::new();
        for (index, flow) in self.flows_from(fragment.ordinal) {
            let target = &self.source(flow.to)?.fragment.output;
            let (sender, receiver) = watch::channel(Known::NotYet);
            keys.insert(index, receiver);
            outlets.push((Collector::new(flow.clone(), target)?, sender));
        }
        let output = Arc::clone(&fragment.output);
        let (writer, readers) = spool(*readers, output, &self.runtime);
        let fetching = Fetching {
            fragment: Arc::clone(fragment),
            run: Arc::clone(&self.run),
            runtime: Arc::clone(&self.runtime),
            awaited: self.awaited(fragment.ordinal)?,
            outlets,
            writer,
        };
        Ok(Fetch {
            readers,
            keys,
            task: tokio::spawn(fetching.run()),
        })
    }

    /// The keys that the fragment `ordinal` waits for, on their way. Keys never flow in a circle.
    fn awaited(&self, ordinal: u32) -> Result<Awaited, Error> {
        let flows = self.reduction.flows.iter().enumerate();
        flows
            .filter(|(_, flow)| flow.to == ordinal)
            .map(|(index, flow)| {
                let fetch = self.fetch(flow.from)?;
                let keys = fetch.as_ref().and_then(|fetch| fetch.keys.get(&index));
                Ok((index, keys.cloned().ok_or_else(broken)?))
            })
            .collect()
    }

    fn flows_from(&self, ordinal: u32) -> impl Iterator<Item = (usize, &KeyFlow)> {
        let flows = self.reduction.flows.iter().enumerate();
        flows.filter(move |(_, flow)| flow.from == ordinal)
    }

    fn source(&self, ordinal: u32) -> Result<&Source, Error> {
        let index = usize::try_from(ordinal).ok();
        index
            .and_then(|index| self.sources.get(index))
            .ok_or_else(broken)
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetch")
    }
}

/// The rows of `fragment` that have the keys it waits for. A fragment that none can have is not
/// asked for; one that its node fails to answer at all is asked for once more.
async fn open(
    fragment: Arc<FragmentPlan>,
    awaited: Awaited,
    run: Arc<QueryRun>,
) -> Result<Rows, Error> {
    let mut keys = Vec::new();
    for (index, mut known) in awaited {
        let known = known.wait_for(|known| !matches!(known, Known::NotYet));
        match known.await.as_deref() {
            Ok(Known::Keys(found)) if found.are_none() => {
                return Ok(futures::stream::empty().boxed());
            }
            Ok(Known::Keys(found)) => {
                run.key_counters(index).sent(found.count, found.bytes());
                keys.push(Arc::clone(found));
            }
            Ok(Known::TooMany) => {}
            Ok(Known::Failed(error)) => return Err(error.clone()),
            Ok(Known::NotYet) | Err(_) => return Err(broken()),
        }
    }
    match begin(&fragment, &keys, &run).await {
        Err(error) if error.kind() == ErrorKind::Unavailable => begin(&fragment, &keys, &run).await,
        begun => begun,
    }
}

/// The rows of `fragment`, of which the first have come.
async fn begin(
    fragment: &Arc<FragmentPlan>,
    keys: &[Arc<Keys>],
    run: &Arc<QueryRun>,
) -> Result<Rows, Error> {
    let mut rows = fragment_stream::open(Arc::clone(fragment), keys, Arc::clone(run)).await?;
    match rows.next().await {
        Some(Err(error)) => Err(error),
        first => Ok(futures::stream::iter(first).chain(rows).boxed()),
    }
}

/// The task that fetches a fragment ahead.
struct Fetching {
    fragment: Arc<FragmentPlan>,
    run: Arc<QueryRun>,
    runtime: Arc<RuntimeEnv>,
    awaited: Awaited,
    outlets: Vec<(Collector, watch::Sender<Known>)>,
    writer: Writer,
}

impl Fetching {
    async fn run(mut self) {
        let end = self.fetch().await;
        if let Err(error) = &end {
            for (_, keys) in self.outlets {
                keys.send_replace(Known::Failed(error.clone()));
            }
        }
        self.writer.finish(end);
    }

    async fn fetch(&mut self) -> Result<(), Error> {
        let awaited = std::mem::take(&mut self.awaited);
        let fragment = Arc::clone(&self.fragment);
        let mut rows = open(fragment, awaited, Arc::clone(&self.run)).await?;
        let memory = MemoryConsumer::new("join keys").register(&self.runtime.memory_pool);
        let mut read = 0.0;
        while let Some(batch) = rows.try_next().await? {
            read += get_record_batch_memory_size(&batch) as f64;
            let mut bytes = 0;
            for (collector, _) in &mut self.outlets {
                collector.add(&batch)?;
                bytes += collector.bytes();
            }
            let fits = memory.try_resize(bytes).is_ok();
            self.outlets.retain(|(collector, keys)| {
                let worthwhile = fits && !collector.is_lost(read);
                if !worthwhile {
                    keys.send_replace(Known::TooMany);
                }
                worthwhile
            });
            if self.outlets.is_empty() {
                self.writer.release();
            }
            if !self.writer.push(batch).await? && self.outlets.is_empty() {
                return Ok(());
            }
        }
        for (collector, keys) in std::mem::take(&mut self.outlets) {
            let known = match collector.finish() {
                Ok(Some(found)) => Known::Keys(Arc::new(found)),
                Ok(None) => Known::TooMany,
                Err(error) => Known::Failed(error),
            };
            keys.send_replace(known);
        }
        Ok(())
    }
}

fn broken() -> Error {
    let message = "the keys of a fragment were lost";
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
