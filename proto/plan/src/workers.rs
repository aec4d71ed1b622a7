//! Threads that plans run on, apart from those that answer calls and send heartbeats: a plan that
//! computes for seconds must not make its server look dead.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::execution::{SendableRecordBatchStream, TaskContext as PlanContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::stream::{BoxStream, poll_fn as poll_fn_stream};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, block_in_place, yield_now};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};
use weft_governance::{Error, ErrorKind, code};

use crate::interrupt::Interrupt;
use crate::runtime::OwnRuntime;

/// Bytes of stack of one thread: deep plans are polled recursively.
const STACK: usize = 16 << 20;
/// Items that may wait for a slow reader.
const AHEAD: usize = 2;

type Items<T> = BoxStream<'static, Result<T, Error>>;

/// How long work is done where it is asked for before the rest of it is handed to another thread: many times as
/// long as that takes to wake, and not so long that others notice.
const HERE: Duration = Duration::from_millis(5);

thread_local! {
    /// Until when what this thread polls is done here.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The threads. Cheap to clone; they end when the last clone is dropped.
#[derive(Clone)]
pub struct Workers {
    threads: Arc<OwnRuntime>,
    /// The right to do work of theirs elsewhere, which one at a time has.
    here: Arc<Semaphore>,
}

impl Workers {
    /// As many as plans of `partitions` need. One may compute for seconds without a pause, as where a pattern
    /// is made for each row, and takes a thread for each partition all the while: there are as many again
    /// for others, among which the system divides the processors.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn start(partitions: usize) -> Result<Self, Error> {
        let runtime = OwnRuntime::start(
            Builder::new_multi_thread()
                .worker_threads(partitions.max(1).saturating_mul(2))
                .thread_name("weft-worker")
                .thread_stack_size(STACK)
                .enable_all(),
        )?;
        Ok(Self {
            threads: Arc::new(runtime),
            here: Arc::new(Semaphore::new(1)),
        })
    }

    /// Runs `work` on one of them.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match self.threads.get() {
            Some(runtime) => runtime.spawn(work),
            // Only between the drop of the last clone and its end.
            None => tokio::spawn(work),
        }
    }

    /// Does `work` at once, on the caller's thread. Tasks that it starts run on these threads.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _threads = self.threads.get().map(Runtime::enter);
        work()
    }

    /// Runs `work` on one of them, until it is done or the caller drops it.
    pub fn take_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Work<T> {
        let work = AssertUnwindSafe(work).catch_unwind();
        self.go_on(async move { work.await.ok() })
    }

    /// Does `work` on the caller's thread as far as it comes without waiting, but not for long and for one caller
    /// at a time, and the rest on one of them. A few rows are made in less time than a thread takes to wake.
    pub async fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Work<T> {
        let work = AssertUnwindSafe(work).catch_unwind();
        let mut work = async move { work.await.ok() }.boxed();
        if let Ok(_alone) = self.here.try_acquire() {
            // What this thread was to run next, and would keep from all others, goes first.
            yield_now().await;
            let begun = poll_fn(|context| {
                let _slice = Slice::begin();
                Poll::Ready(work.as_mut().poll(context))
            });
            if let Poll::Ready(done) = begun.await {
                return Work(State::Done(done));
            }
        }
        self.go_on(work)
    }

    fn go_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = Option<T>> + Send + 'static,
    ) -> Work<T> {
        Work(State::GoesOn(AbortOnDropHandle::new(self.spawn(work))))
    }

    /// Starts `plan`. What it computes runs on these threads and on no thread of the caller, also
    /// the tasks that its operators start at once.
    ///
    /// # Errors
    /// If an operator cannot start.
    pub fn execute(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<PlanContext>,
    ) -> datafusion::common::Result<SendableRecordBatchStream> {
        self.enter(|| execute_stream(plan, context))
    }

    /// Runs `stream`, that of a plan under `interrupt`, on one of them. If it panics, what is
    /// returned ends with an error; if what is returned is dropped, the plan is stopped.
    pub fn drive<T: Send + 'static>(&self, mut stream: Items<T>, interrupt: Interrupt) -> Items<T> {
        let (items, ready) = mpsc::channel(AHEAD);
        let task = self.spawn(async move {
            while let Some(item) = stream.next().await {
                if items.send(Some(item)).await.is_err() {
                    return;
                }
            }
            // A reader that has left needs no end.
            let _ = items.send(None).await;
        });
        Driven {
            ready,
            task,
            interrupt,
            ended: false,
        }
        .boxed()
    }
}

/// Work on one of the [`Workers`] or on the thread that asked for it. It ends with an error if it panics;
/// dropping it ends it where it waits.
#[derive(Debug)]
pub struct Work<T>(State<T>);

#[derive(Debug)]
enum State<T> {
    /// Nothing came of it, or it was taken already.
    Done(Option<T>),
    GoesOn(AbortOnDropHandle<Option<T>>),
}

impl<T> Unpin for Work<T> {}

impl<T> Future for Work<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let done = match &mut self.0 {
            State::Done(done) => done.take(),
            State::GoesOn(task) => ready!(task.poll_unpin(context)).ok().flatten(),
        };
        Poll::Ready(done.ok_or_else(defect))
    }
}

/// The time in which a thread does what is none of its own work.
struct Slice;

impl Slice {
    fn begin() -> Self {
        UNTIL.set(Some(Instant::now() + HERE));
        Self
    }

    /// Whether this thread does such work and has time left for it.
    fn goes_on() -> bool {
        UNTIL.get().is_some_and(|until| Instant::now() < until)
    }

    /// Whether this thread has done such work for long enough.
    fn is_over() -> bool {
        UNTIL.get().is_some_and(|until| Instant::now() >= until)
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        UNTIL.set(None);
    }
}

/// Gives way to others, before what may be done again and again without waiting; not where a thread does a little
/// of another's work, until it has done enough.
pub async fn breathe() {
    if !Slice::goes_on() {
        yield_now().await;
    }
}

/// `items`, which are waited for where their maker has done enough of another thread's work.
pub(crate) fn in_slices<T>(
    mut items: impl Stream<Item = T> + Unpin,
) -> impl Stream<Item = T> + Unpin {
    poll_fn_stream(move |context| match Slice::is_over() {
        true => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        false => items.poll_next_unpin(context),
    })
}

/// Does `work` that may take seconds without a pause. What this thread of [`Workers`] was to run next goes to
/// another one meanwhile: threads that have nothing to do take what others have queued, but never that.
pub(crate) fn at_length<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        _ => work(),
    }
}

/// `items` until `lost` says why they end. What has come by then is not the answer.
pub fn unless<T: Send + 'static>(
    lost: impl Future<Output = Error> + Send + 'static,
    items: Items<T>,
) -> Items<T> {
    let open = (Box::pin(lost), items);
    futures::stream::try_unfold(open, |(mut lost, mut items)| async move {
        tokio::select! {
            biased;
            lost = &mut lost => Err(lost),
            next = items.try_next() => Ok(next?.map(|item| (item, (lost, items)))),
        }
    })
    .boxed()
}

/// `items` until `end` says why they end, also while nobody reads them: what they hold is given back
/// then. Nothing happens before they are asked for.
pub fn leashed<T: Send + 'static>(
    end: impl Future<Output = Error> + Send + 'static,
    mut items: Items<T>,
) -> Items<T> {
    let start = async move {
        let (ready, came) = mpsc::channel(1);
        let (fail, failed) = oneshot::channel();
        let work = async move {
            let pass = async {
                while let Some(item) = items.next().await {
                    let failed = item.is_err();
                    if ready.send(Some(item)).await.is_err() || failed {
                        return;
                    }
                }
                // A reader that has left needs no end.
                let _ = ready.send(None).await;
            };
            tokio::select! {
                biased;
                error = end => drop(fail.send(error)),
                () = pass => {}
            }
        };
        let task = tokio::spawn(work.instrument(Span::current()));
        let leash = (came, failed, AbortOnDropHandle::new(task));
        futures::stream::try_unfold(Some(leash), |leash| async move {
            let Some((mut came, mut failed, task)) = leash else {
                return Ok(None);
            };
            let next = tokio::select! {
                biased;
                Ok(error) = &mut failed, if !failed.is_terminated() => return Err(error),
                next = came.recv() => next,
            };
            match next {
                Some(Some(item)) => item.map(|item| Some((item, Some((came, failed, task))))),
                Some(None) => Ok(None),
                // It said why it ended, or broke.
                None if failed.is_terminated() => Err(defect()),
                None => Err(failed.await.unwrap_or_else(|_| defect())),
            }
        })
    };
    futures::stream::once(start).flatten().boxed()
}

fn defect() -> Error {
    let message = "the query failed on its way";
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}

/// What a stream on another thread has made. Dropping it stops that stream.
struct Driven<T> {
    /// Items, and `None` after the last: without it the stream did not come to its end.
    ready: mpsc::Receiver<Option<Result<T, Error>>>,
    task: JoinHandle<()>,
    interrupt: Interrupt,
    ended: bool,
}

impl<T> Stream for Driven<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.ready.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Some(item))) => Poll::Ready(Some(item)),
            Poll::Ready(Some(None)) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(Some(Err(defect())))
            }
        }
    }
}

impl<T> Drop for Driven<T> {
    fn drop(&mut self) {
        self.interrupt.stop();
        self.task.abort();
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures::{TryStreamExt, stream};

    use super::*;
    use crate::interrupt::RunningPlans;

    #[tokio::test]
    async fn a_stream_that_panics_is_an_error_and_never_a_short_answer() {
        let workers = Workers::start(1).expect("threads");
        let plans = RunningPlans::default();
        let whole = futures::stream::iter([Ok(1), Ok(2)]).boxed();
        let rows: Vec<i32> = workers
            .drive(whole, plans.start())
            .try_collect()
            .await
            .expect("whole");
        assert_eq!(rows, [1, 2]);
        let broken = futures::stream::iter([1, 2])
            .map(|row| {
                if row == 2 {
                    panic!("row {row}")
                } else {
                    Ok(row)
                }
            })
            .boxed();
        let rows: Result<Vec<i32>, Error> =
            workers.drive(broken, plans.start()).try_collect().await;
        assert_eq!(rows.expect_err("broken").code(), code::INTERNAL);
    }

    #[tokio::test]
    async fn what_a_thread_was_to_run_next_does_not_wait_for_long_work() {
        let workers = Workers::start(1).expect("threads");
        let work = workers.spawn(async {
            let (ran, running) = std::sync::mpsc::channel();
            tokio::spawn(async move { ran.send(()) });
            at_length(|| running.recv_timeout(Duration::from_secs(60)))
        });
        work.await.expect("no panic").expect("the next task ran");
    }

    #[tokio::test]
    async fn what_needs_no_waiting_is_done_where_it_is_begun_for_one_at_a_time() {
        let workers = Workers::start(1).expect("threads");
        let here = thread::current().id();
        let which = async || workers.begin(async { thread::current().id() }).await.await;
        assert_eq!(which().await.expect("done"), here);
        let alone = workers.here.acquire().await.expect("open");
        assert_ne!(which().await.expect("done"), here);
        drop(alone);
        let started = workers.take_on(async { thread::current().id() });
        assert_ne!(started.await.expect("done"), here);
        assert_eq!(which().await.expect("done"), here);
    }

    #[tokio::test]
    async fn what_takes_longer_or_waits_goes_on_elsewhere_and_what_panics_is_an_error() {
        let workers = Workers::start(1).expect("threads");
        let here = thread::current().id();
        let mut seen = in_slices(stream::iter(0..1_000).map(|_| {
            thread::sleep(Duration::from_millis(1));
            thread::current().id()
        }));
        let long = async move {
            let first = seen.next().await;
            (first, seen.skip(20).next().await)
        };
        let (first, last) = workers.begin(long).await.await.expect("done");
        assert_eq!(first, Some(here));
        assert_ne!(last, Some(here));
        let waits = async {
            yield_now().await;
            thread::current().id()
        };
        assert_ne!(workers.begin(waits).await.await.expect("done"), here);
        let breaks = async || -> u8 { panic!("a defect") };
        for work in [workers.begin(breaks()).await, workers.take_on(breaks())] {
            assert_eq!(work.await.expect_err("broken").code(), code::INTERNAL);
        }
        // The right to work here was given back each time.
        assert_eq!(workers.here.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_leash_passes_all_items_and_their_error_on() {
        let never = std::future::pending::<Error>;
        let whole = futures::stream::iter((0..5).map(Ok)).boxed();
        let rows: Vec<i32> = leashed(never(), whole).try_collect().await.expect("whole");
        assert_eq!(rows, [0, 1, 2, 3, 4]);
        let refused = || Error::new(ErrorKind::NotFound, code::NOT_FOUND, "no");
        let failing = futures::stream::iter([Ok(1), Err(refused())]).boxed();
        let rows: Result<Vec<i32>, Error> = leashed(never(), failing).try_collect().await;
        assert_eq!(rows.expect_err("failed").code(), code::NOT_FOUND);
        let broken = futures::stream::iter([1])
            .map(|row| -> Result<i32, Error> { panic!("row {row}") })
            .boxed();
        let rows: Result<Vec<i32>, Error> = leashed(never(), broken).try_collect().await;
        assert_eq!(rows.expect_err("broken").code(), code::INTERNAL);
    }

    #[tokio::test]
    async fn what_is_on_a_leash_ends_although_nobody_reads_it() {
        let (end, ended) = oneshot::channel::<()>();
        let (alive, gone) = oneshot::channel::<()>();
        let endless = futures::stream::repeat_with(move || {
            let _alive = &alive;
            Ok(1)
        });
        let end_of_it = async move {
            let _ = ended.await;
            Error::new(ErrorKind::Cancelled, code::CANCELLED, "enough")
        };
        let mut rows = leashed(end_of_it, endless.boxed());
        assert_eq!(rows.next().await.expect("a row").expect("a row"), 1);
        end.send(()).expect("waiting");
        assert!(gone.await.is_err(), "what the stream held is given back");
        let error = loop {
            match rows
                .next()
                .await
                .expect("an end that is no end of the rows")
            {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), code::CANCELLED);
    }
}
