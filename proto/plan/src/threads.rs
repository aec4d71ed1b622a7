//! Threads for planning: deep statements need a deep stack, and an overflow cannot be caught.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weft_governance::{Error, ErrorKind, code};

use crate::runtime::OwnRuntime;

/// Pieces of work that may wait for each thread.
const WAITING: usize = 64;

/// Bytes of stack for one planning thread.
const STACK: usize = 64 << 20;

/// How much a piece of work takes, and so where it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Less time than a sleeping thread takes to wake, and little stack: it is done at once, on the thread
    /// that asks.
    Least,
    /// Little time and stack: it is done at once if nothing else is planned, so that one asker does not
    /// wait for a thread to wake, and many do not keep the asking threads from what else they do.
    Brief,
    /// It is done on a planning thread.
    Any,
}

impl Effort {
    /// Of work that is known to take the least if it `is_brief`.
    pub fn least_if(is_brief: bool) -> Self {
        match is_brief {
            true => Self::Least,
            false => Self::Any,
        }
    }

    /// Of work that is known to be brief if it `is_plain`.
    pub fn brief_if(is_plain: bool) -> Self {
        match is_plain {
            true => Self::Brief,
            false => Self::Any,
        }
    }
}

/// A bounded number of planning threads. One that has nothing to do ends after a while, and gives the
/// memory back that a deep statement has taken. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PlannerThreads {
    slots: Arc<Semaphore>,
    /// What runs or waits.
    taken: Arc<Semaphore>,
    threads: Arc<OwnRuntime>,
    /// As many slots as there are.
    most: u32,
}

impl PlannerThreads {
    /// At most `threads` at a time; further work waits, so much of it and no more.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let threads = threads.max(1);
        let runtime = OwnRuntime::start(
            Builder::new_current_thread()
                .max_blocking_threads(threads)
                .thread_name("weft-planner")
                .thread_stack_size(STACK),
        )?;
        Ok(Self {
            slots: Arc::new(Semaphore::new(threads)),
            taken: Arc::new(Semaphore::new(threads * (1 + WAITING))),
            threads: Arc::new(runtime),
            most: u32::try_from(threads).unwrap_or(u32::MAX),
        })
    }

    /// Runs `work`, where its `effort` tells.
    ///
    /// # Errors
    /// What `work` returns, `WEFT-RESOURCES` if too much waits already, or `WEFT-INTERNAL` if it
    /// panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        effort: Effort,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let alone = match effort {
            Effort::Least => return here(work),
            Effort::Brief => self.alone(),
            Effort::Any => None,
        };
        match alone {
            Some(alone) => here(|| {
                let _alone = alone;
                work()
            }),
            None => self.run_there(work).await,
        }
    }

    /// Runs a future, where its `effort` tells. One that was begun where it was asked for goes on, if it
    /// waits for something, on a planning thread.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub async fn run_async<T: Send + 'static>(
        &self,
        effort: Effort,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let mut work = AssertUnwindSafe(work).catch_unwind().boxed();
        let crashed = |_| Err(defect("planning failed"));
        let alone = match effort {
            Effort::Least | Effort::Brief => self.alone(),
            Effort::Any => None,
        };
        if let Some(alone) = alone {
            let begun = futures::poll!(&mut work);
            drop(alone);
            if let Poll::Ready(done) = begun {
                return done.unwrap_or_else(crashed);
            }
        }
        let runtime = Handle::current();
        let work = async move { work.await.unwrap_or_else(crashed) };
        self.run_there(move || runtime.block_on(work)).await
    }

    /// Runs `work` on a planning thread.
    async fn run_there<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let taken = Arc::clone(&self.taken).try_acquire_owned();
        let taken = taken.map_err(|_| busy())?;
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| defect("no thread"))?;
        let threads = self.threads.get().ok_or_else(|| defect("no thread"))?;
        let working = threads.spawn_blocking(move || {
            let _taken = (slot, taken);
            work()
        });
        working.await.map_err(|_| defect("planning failed"))?
    }

    /// Holds all threads back, if nothing is planned.
    fn alone(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots)
            .try_acquire_many_owned(self.most)
            .ok()
    }
}

/// Runs `work` at once, on the thread that asks.
fn here<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // What a panic leaves half done is dropped with the work.
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(defect("planning failed")))
}

fn busy() -> Error {
    let message = "more statements wait to be planned than this server lets wait";
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("Try again in a second.")
        .retry_after(Duration::from_secs(1))
}

fn defect(message: &str) -> Error {
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};

    use super::*;

    #[tokio::test]
    async fn a_thread_serves_again_also_after_a_panic() {
        let threads = PlannerThreads::new(1).expect("a thread");
        let which = async || {
            threads
                .run(Effort::Any, || Ok(thread::current().id()))
                .await
        };
        let first: ThreadId = which().await.expect("an answer");
        let failed = threads
            .run(Effort::Any, || -> Result<(), Error> { panic!("a defect") })
            .await;
        assert_eq!(failed.expect_err("an error").code(), code::INTERNAL);
        assert_eq!(which().await.expect("an answer"), first);
        assert_ne!(first, thread::current().id());
    }

    #[tokio::test]
    async fn a_future_may_use_the_runtime_of_its_asker() {
        let threads = PlannerThreads::new(2).expect("threads");
        let here = tokio::runtime::Handle::current().id();
        let there = threads.run_async(Effort::Any, async {
            Ok(tokio::runtime::Handle::current().id())
        });
        assert_eq!(there.await.expect("an answer"), here);
    }

    #[tokio::test]
    async fn brief_work_is_done_where_it_is_asked_for_unless_others_plan() {
        let threads = PlannerThreads::new(2).expect("threads");
        let here = thread::current().id();
        let brief = async || {
            let plain = threads
                .run(Effort::Brief, || Ok(thread::current().id()))
                .await;
            let future = async { Ok(thread::current().id()) };
            let future = threads.run_async(Effort::Brief, future).await;
            [plain.expect("an answer"), future.expect("an answer")]
        };
        assert_eq!(brief().await, [here; 2]);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::spawn({
            let threads = threads.clone();
            async move {
                threads
                    .run(Effort::Any, move || Ok(wait.recv().is_ok()))
                    .await
            }
        });
        while threads.slots.available_permits() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(!brief().await.contains(&here));
        go.send(()).expect("waiting");
        assert!(busy.await.expect("no panic").expect("an answer"));
    }

    #[tokio::test]
    async fn brief_work_may_wait_and_may_panic() {
        let threads = PlannerThreads::new(2).expect("threads");
        let here = thread::current().id();
        let waits = async {
            tokio::task::yield_now().await;
            Ok(thread::current().id())
        };
        let there = threads
            .run_async(Effort::Brief, waits)
            .await
            .expect("an answer");
        assert_ne!(there, here);
        let failed = threads.run(Effort::Brief, || -> Result<(), Error> {
            panic!("a defect")
        });
        assert_eq!(failed.await.expect_err("an error").code(), code::INTERNAL);
        let fails = || -> Result<(), Error> { panic!("a defect") };
        let failed = threads
            .run_async(Effort::Brief, async move { fails() })
            .await;
        assert_eq!(failed.expect_err("an error").code(), code::INTERNAL);
        assert_eq!(threads.slots.available_permits(), 2);
    }

    #[tokio::test]
    async fn work_of_which_the_asker_gave_up_does_not_start() {
        let threads = PlannerThreads::new(1).expect("a thread");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::spawn({
            let threads = threads.clone();
            async move {
                threads
                    .run(Effort::Any, move || Ok(wait.recv().is_ok()))
                    .await
            }
        });
        while threads.slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let (done, ran) = std::sync::mpsc::channel();
        let given_up = threads.run(Effort::Any, move || {
            let _ = done.send(());
            Ok(())
        });
        let late = tokio::time::timeout(std::time::Duration::ZERO, given_up);
        assert!(late.await.is_err(), "the only thread is busy");
        go.send(()).expect("waiting");
        assert!(busy.await.expect("no panic").expect("an answer"));
        threads
            .run(Effort::Any, || Ok(()))
            .await
            .expect("an answer");
        assert!(ran.try_recv().is_err());
    }
}
