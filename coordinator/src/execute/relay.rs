//! Who sends what to whom within one query: rows of fragments to the plan, keys of fragments to
//! other fragments.
//!
//! Whatever waits for nothing is asked for at once, so that the way to several nodes takes the time of
//! the longest. A fragment whose keys others wait for, that is read in several places, or whose rows
//! may be sent on to another node, is fetched by a task of its own and set aside; all others are
//! fetched as the plan asks for their rows.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use weft_governance::{Error, ErrorKind, code};

use super::bound::{Bound, Told};
use super::fragment_stream::{self, Closings, Luggage, Promised, Rows};
use super::keys::{Collector, Keys};
use super::shipment::{ReadyRows, Shipped};
use super::spool::{Reader, Writer, spool};
use crate::plan::{CutPlan, FragmentPlan, KeyFlow, Reduction, Shipment, Tightened, leaves};
use crate::query::QueryRun;

/// The traffic of one run. Dropping it ends every fetch.
#[derive(Debug)]
pub struct Relay {
    run: Arc<QueryRun>,
    runtime: Arc<RuntimeEnv>,
    sources: Vec<Source>,
    reduction: Reduction,
    shipped: Shipped,
    closings: Closings,
    /// Told when the first node is at work.
    at_work: Arc<Notify>,
    /// Whether the plan reads every fragment, and each once.
    whole: bool,
}

#[derive(Debug)]
struct Source {
    fragment: Arc<FragmentPlan>,
    /// Places of the plan that read it.
    readers: usize,
    fetch: Mutex<Option<Fetch>>,
    asked: Mutex<Asked>,
    /// What rows it need not send.
    bounds: watch::Sender<Option<Told>>,
}

impl Source {
    /// Its rows, if they were asked for. They will not be from now on.
    fn asked(&self) -> Option<Ahead> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *asked, Asked::Read) {
            Asked::Ahead(ahead) => Some(ahead),
            Asked::NotYet | Asked::Read => None,
        }
    }
}

/// Whether the rows of a fragment were asked for before anybody reads them.
#[derive(Debug, Default)]
enum Asked {
    #[default]
    NotYet,
    Ahead(Ahead),
    /// Somebody reads, or has read.
    Read,
}

/// Rows on their way to nobody yet.
type Ahead = AbortOnDropHandle<Result<Rows, Error>>;

/// A fragment that is fetched ahead of its readers.
struct Fetch {
    readers: Vec<Reader>,
    /// By flow.
    keys: BTreeMap<usize, watch::Receiver<Known>>,
    size: watch::Receiver<Size>,
    task: JoinHandle<()>,
}

/// What is known of the keys of a flow.
#[derive(Debug, Clone)]
enum Known {
    NotYet,
    /// The rows that hold them are being read.
    OnTheWay,
    /// Too many of them to be of use.
    TooMany,
    Keys(Arc<Keys>),
    Failed(Error),
}

/// How large a fragment's answer is, compared with what may be sent on of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// So far it is small enough.
    Growing,
    /// All of it is.
    Small,
    /// It is too large.
    Large,
}

/// Keys that a fragment waits for.
type Awaited = Vec<(usize, watch::Receiver<Known>)>;

impl Relay {
    /// The traffic of `cut` for `run`, for which the rows in `shipped` are there already. Rows that
    /// are set aside use the memory of `runtime`.
    ///
    /// # Errors
    /// If the plan is malformed.
    pub fn new(
        cut: &CutPlan,
        run: Arc<QueryRun>,
        runtime: Arc<RuntimeEnv>,
        shipped: Shipped,
    ) -> datafusion::common::Result<Arc<Self>> {
        let leaves = leaves(&cut.plan)?;
        let source = |fragment: &Arc<FragmentPlan>| Source {
            fragment: Arc::clone(fragment),
            readers: leaves.iter().filter(|it| **it == fragment.ordinal).count(),
            fetch: Mutex::default(),
            asked: Mutex::default(),
            bounds: watch::Sender::new(None),
        };
        Ok(Arc::new(Self {
            run,
            runtime,
            sources: cut.fragments.iter().map(source).collect(),
            reduction: cut.reduction.clone(),
            shipped,
            closings: Closings::default(),
            at_work: Arc::default(),
            whole: reads_all(&cut.plan)?,
        }))
    }

    /// Asks for the rows that wait for nothing, by tasks of the runtime that it is called in. What goes wrong
    /// shows when they are read.
    pub fn ask(&self) {
        if !self.whole {
            return;
        }
        for source in &self.sources {
            let ordinal = source.fragment.ordinal;
            let gives_keys = self.flows_from(ordinal).next().is_some();
            if source.readers == 0 {
                continue;
            } else if gives_keys || source.readers > 1 {
                drop(self.fetch(ordinal, None));
            } else {
                self.ask_ahead(source);
            }
        }
    }

    fn ask_ahead(&self, source: &Source) {
        let Some(leave) = self.leave(source) else {
            return;
        };
        let fetch = source.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        if fetch.is_some() {
            return;
        }
        let (fragment, run) = (Arc::clone(&source.fragment), Arc::clone(&self.run));
        let luggage = self.luggage(source);
        let Ok(keys) = self.awaited(fragment.ordinal) else {
            return;
        };
        let ahead = self.goes_ahead(source, &keys);
        let at_work = Arc::clone(&self.at_work);
        let asking = async move {
            let begun = || at_work.notify_one();
            let rows = open(fragment, keys, ahead, luggage, begun, run).await?;
            Ok(rows.inspect(move |_| _ = &leave).boxed())
        };
        let mut asked = source.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*asked, Asked::NotYet) {
            *asked = Asked::Ahead(AbortOnDropHandle::new(tokio::spawn(asking)));
        }
    }

    /// Returns when the first node is at work on what was [asked](Self::ask) for, or after `patience`.
    pub async fn at_work(&self, patience: Duration) {
        if self.whole && self.sources.iter().any(|source| source.readers > 0) {
            let _ = timeout(patience, self.at_work.notified()).await;
        }
    }

    /// Rows and bytes that `fragment` is expected to send.
    pub(super) fn expected(&self, fragment: &FragmentPlan) -> (f64, f64) {
        let rows = self.reduction.rows_of(fragment);
        (rows, rows * fragment.estimate.width())
    }

    /// The rows of the fragment `ordinal`, fetched when the first of them is asked for.
    pub fn rows(
        self: Arc<Self>,
        ordinal: u32,
    ) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + 'static {
        let relay = Arc::clone(&self);
        futures::stream::once(async move { relay.open(ordinal).await })
            .try_flatten()
            // The fetches that others wait for go on for as long as anybody reads.
            .inspect(move |_| _ = &self)
    }

    /// Returns when the nodes have signed for all rows that were read to their end. Until then nobody knows
    /// whether these were all.
    ///
    /// # Errors
    /// If they were not.
    pub async fn ended(&self) -> Result<(), Error> {
        self.closings.ended().await
    }

    /// The rows that have arrived by way of this and earlier shipments once those of `shipment` are
    /// there, if they are at most `most` bytes. Otherwise they wait for the plan.
    ///
    /// # Errors
    /// If they cannot be fetched.
    pub async fn few(&self, shipment: Shipment, most: u64) -> Result<Option<Shipped>, Error> {
        let ordinal = shipment.from;
        let mut size = match self.fetch(ordinal, Some(most))?.as_ref() {
            Some(fetch) => fetch.size.clone(),
            None => return Err(broken()),
        };
        let size = size.wait_for(|size| *size != Size::Growing).await;
        let size = size.map(|size| *size).map_err(|_| broken())?;
        let counted = self.run.counters(ordinal).bytes();
        let bytes = usize::try_from(counted).unwrap_or(usize::MAX);
        let memory = MemoryConsumer::new("rows to ship").register(&self.runtime.memory_pool);
        // Once as rows, once encoded.
        let fits = memory.try_grow(bytes.saturating_mul(2)).is_ok();
        if size != Size::Small || !fits {
            return Ok(None);
        }
        let rows = self.open(ordinal).await?;
        let rows: Vec<RecordBatch> = rows.try_collect().await?;
        self.ended().await?;
        let number = shipment.number;
        let schema = Arc::clone(&self.source(ordinal)?.fragment.read_as);
        let ready = ReadyRows::new(number, schema, &rows, memory)?;
        let mut shipped = self.shipped.clone();
        shipped.insert(number, Arc::new(ready));
        Ok(Some(shipped))
    }

    async fn open(&self, ordinal: u32) -> Result<Rows, Error> {
        let source = self.source(ordinal)?;
        let ahead = source.readers > 1 || self.flows_from(ordinal).next().is_some();
        if let Some(reader) = self.reader(source, ahead)? {
            return Ok(reader.rows());
        }
        if let Some(asked) = source.asked() {
            return asked.await.map_err(|_| broken())?;
        }
        let keys = self.awaited(ordinal)?;
        let run = Arc::clone(&self.run);
        let fragment = Arc::clone(&source.fragment);
        open(fragment, keys, false, self.luggage(source), || (), run).await
    }

    /// Lets the fragment of `target` know that rows worse than `bound` are of no use, unless it knows
    /// of a better one.
    pub(super) fn tighten(&self, target: &Tightened, bound: &Arc<Bound>) {
        let Ok(source) = self.source(target.fragment) else {
            return;
        };
        let told = Told::new(bound, target);
        source.bounds.send_if_modified(|known| {
            let better = known.as_ref().is_none_or(|known| told.is_before(known));
            if better {
                *known = Some(told);
            }
            better
        });
    }

    /// A reader of rows that are fetched ahead, if they are; with `ahead`, they will be.
    fn reader(&self, source: &Source, ahead: bool) -> Result<Option<Reader>, Error> {
        let mut fetch = match ahead {
            true => self.fetch(source.fragment.ordinal, None)?,
            false => source.fetch.lock().unwrap_or_else(PoisonError::into_inner),
        };
        Ok(fetch.as_mut().and_then(|fetch| fetch.readers.pop()))
    }

    fn luggage(&self, source: &Source) -> Luggage {
        let numbers = source.fragment.shipped.iter();
        let ready = numbers.filter_map(|number| self.shipped.get(number));
        Luggage {
            shipped: ready.cloned().collect(),
            bounds: source.bounds.subscribe(),
            closings: self.closings.clone(),
        }
    }

    /// Starts to fetch `ordinal` ahead, unless that has begun, and finds out whether it is larger
    /// than `most` bytes.
    fn fetch(
        &self,
        ordinal: u32,
        most: Option<u64>,
    ) -> Result<MutexGuard<'_, Option<Fetch>>, Error> {
        let source = self.source(ordinal)?;
        let mut fetch = source.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        if fetch.is_none() {
            *fetch = Some(self.start(source, most)?);
        }
        Ok(fetch)
    }

    fn start(&self, source: &Source, most: Option<u64>) -> Result<Fetch, Error> {
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
        let schema = Arc::clone(&fragment.read_as);
        let (writer, readers) = spool(*readers, schema, &self.runtime);
        let (size, seen) = watch::channel(match most {
            Some(_) => Size::Growing,
            None => Size::Large,
        });
        let awaited = self.awaited(fragment.ordinal)?;
        let leave = match self.goes_ahead(source, &awaited) {
            true => self.leave(source),
            false => None,
        };
        let fetching = Fetching {
            fragment: Arc::clone(fragment),
            run: Arc::clone(&self.run),
            runtime: Arc::clone(&self.runtime),
            awaited,
            leave,
            luggage: self.luggage(source),
            outlets,
            at_work: Arc::clone(&self.at_work),
            most: most.unwrap_or_default(),
            size,
            writer,
        };
        Ok(Fetch {
            readers,
            keys,
            size: seen,
            task: tokio::spawn(fetching.run()),
        })
    }

    /// Whether the node of `source` may learn of it while the keys in `awaited` are on their way: not if
    /// there will hardly be any, or if rows of others would leave for nothing.
    fn goes_ahead(&self, source: &Source, awaited: &Awaited) -> bool {
        let likely = |(index, _): &(usize, _)| {
            let flow = self.reduction.flows.get(*index);
            let from = flow.and_then(|flow| self.source(flow.from).ok());
            from.is_some_and(|from| self.reduction.rows_of(&from.fragment) >= 0.5)
        };
        let alone = source.fragment.shipped.is_empty();
        alone && !awaited.is_empty() && awaited.iter().all(likely)
    }

    /// Leave to open a stream from the node of `source` before it is needed.
    fn leave(&self, source: &Source) -> Option<OwnedSemaphorePermit> {
        let node = self.run.registry().up(&source.fragment.site.node).ok()?;
        self.run.channels().ahead(&node).ok()?
    }

    /// The keys that the fragment `ordinal` waits for, on their way. Keys never flow in a circle.
    fn awaited(&self, ordinal: u32) -> Result<Awaited, Error> {
        let flows = self.reduction.flows.iter().enumerate();
        flows
            .filter(|(_, flow)| flow.to == ordinal)
            .map(|(index, flow)| {
                let fetch = self.fetch(flow.from, None)?;
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
        let mut sources = self.sources.iter();
        let found = sources.find(|source| source.fragment.ordinal == ordinal);
        found.ok_or_else(broken)
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

/// The rows of `fragment` that have the keys it waits for. Rows that nothing can have are not asked
/// for; a fragment that its node fails to answer at all is asked for once more.
///
/// With `ahead`, its node learns of it while the keys are still on their way. Calls `begun` when the
/// node is at work.
async fn open(
    fragment: Arc<FragmentPlan>,
    awaited: Awaited,
    ahead: bool,
    luggage: Luggage,
    begun: impl Fn(),
    run: Arc<QueryRun>,
) -> Result<Rows, Error> {
    let waits = !awaited.is_empty();
    let (tell, told) = oneshot::channel();
    let mut beginning = pin!(async {
        if ahead {
            on_the_way(awaited.clone()).await;
        }
        begin(&fragment, &luggage, waits.then_some(told), &begun, &run).await
    });
    let mut known = pin!(known(awaited.clone(), &run));
    // What goes wrong until the keys are known does not matter if there are none.
    let mut first = None;
    let keys = loop {
        tokio::select! {
            biased;
            keys = &mut known => break keys?,
            early = &mut beginning, if ahead && first.is_none() => first = Some(early),
        }
    };
    let Some(keys) = keys else {
        return Ok(futures::stream::empty().boxed());
    };
    for rows in &luggage.shipped {
        run.shipment_counters(rows.number())
            .sent(rows.rows, rows.bytes);
    }
    // Where the beginning has failed, nobody listens.
    let _ = tell.send(keys.clone());
    let first = match first {
        Some(first) => first,
        None => beginning.await,
    };
    match first {
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let (tell, told) = oneshot::channel();
            let _ = tell.send(keys);
            begin(&fragment, &luggage, waits.then_some(told), &begun, &run).await
        }
        first => first,
    }
}

/// Returns when the nodes that keys come from are at work, since they come first.
async fn on_the_way(awaited: Awaited) {
    for (_, mut known) in awaited {
        // Keys that were lost are somebody else's concern.
        let _ = known.wait_for(|it| !matches!(it, Known::NotYet)).await;
    }
}

/// The keys in `awaited` once all of them are known, unless no row can have them.
async fn known(awaited: Awaited, run: &QueryRun) -> Result<Option<Vec<Arc<Keys>>>, Error> {
    let mut keys = Vec::new();
    for (index, mut known) in awaited {
        let known = known.wait_for(|it| !matches!(it, Known::NotYet | Known::OnTheWay));
        match known.await.as_deref() {
            Ok(Known::Keys(found)) if found.are_none() => return Ok(None),
            Ok(Known::Keys(found)) => {
                run.key_counters(index).sent(found.count, found.bytes());
                keys.push(Arc::clone(found));
            }
            Ok(Known::TooMany) => {}
            Ok(Known::Failed(error)) => return Err(error.clone()),
            Ok(Known::NotYet | Known::OnTheWay) | Err(_) => return Err(broken()),
        }
    }
    Ok(Some(keys))
}

/// The rows of `fragment`, of which the first have come. Calls `begun` when its node is at work.
async fn begin(
    fragment: &Arc<FragmentPlan>,
    luggage: &Luggage,
    keys: Option<Promised>,
    begun: impl Fn(),
    run: &Arc<QueryRun>,
) -> Result<Rows, Error> {
    let opening = fragment_stream::open(Arc::clone(fragment), luggage, keys, Arc::clone(run));
    let mut rows = opening.await?;
    begun();
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
    /// Leave to let the node know before the keys are there.
    leave: Option<OwnedSemaphorePermit>,
    luggage: Luggage,
    outlets: Vec<(Collector, watch::Sender<Known>)>,
    at_work: Arc<Notify>,
    /// Bytes up to which all of it may be sent on.
    most: u64,
    size: watch::Sender<Size>,
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
        // Whoever reads finds the end, or what went wrong.
        if *self.size.borrow() == Size::Growing {
            self.size.send_replace(Size::Small);
        }
    }

    async fn fetch(&mut self) -> Result<(), Error> {
        let awaited = std::mem::take(&mut self.awaited);
        let leave = self.leave.take();
        let luggage = self.luggage.clone();
        let (fragment, run) = (Arc::clone(&self.fragment), Arc::clone(&self.run));
        let begun = || {
            self.at_work.notify_one();
            for (_, keys) in &self.outlets {
                keys.send_replace(Known::OnTheWay);
            }
        };
        let mut rows = open(fragment, awaited, leave.is_some(), luggage, begun, run).await?;
        drop(leave);
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
            let large = self.run.counters(self.fragment.ordinal).bytes() > self.most;
            if large {
                self.size.send_replace(Size::Large);
            }
            if large && self.outlets.is_empty() {
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

/// Whether every fragment below `plan` is read to its end, once for each place.
fn reads_all(plan: &LogicalPlan) -> datafusion::common::Result<bool> {
    let mut all = true;
    plan.apply_with_subqueries(|node| {
        all &= !matches!(node, LogicalPlan::Limit(_) | LogicalPlan::RecursiveQuery(_));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(all)
}

fn broken() -> Error {
    let message = "the keys of a fragment were lost";
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
