//! Threads that plans run on, apart from those that answer calls and send heartbeats: a plan that
//! computes for seconds must not make its server look dead.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use datafusion::execution::{SendableRecordBatchStream, TaskContext as PlanContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, block_in_place};
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

/// The threads. Cheap to clone; they end when the last clone is dropped.
#[derive(Clone)]
pub struct Workers(Arc<OwnRuntime>);

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
        Ok(Self(Arc::new(runtime)))
    }

    /// Runs `work` on one of them.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match self.0.get() {
            Some(runtime) => runtime.spawn(work),
            // Only between the drop of the last clone and its end.
            None => tokio::spawn(work),
        }
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
        let _threads = self.0.get().map(Runtime::enter);
        execute_stream(plan, context)
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
    use std::time::Duration;

    use futures::TryStreamExt;

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
