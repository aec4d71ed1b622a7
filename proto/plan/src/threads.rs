//! Threads for planning: deep statements need a deep stack, and an overflow cannot be caught.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use weft_governance::{Error, ErrorKind, code};

/// Bytes of stack for one planning thread.
const STACK: usize = 64 << 20;

/// A bounded number of planning threads, each made for one piece of work.
#[derive(Debug, Clone)]
pub struct PlannerThreads {
    slots: Arc<Semaphore>,
}

impl PlannerThreads {
    /// At most `threads` at a time; further work waits.
    pub fn new(threads: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(threads.max(1))),
        }
    }

    /// Runs `work` on a planning thread.
    ///
    /// # Errors
    /// What `work` returns, or `WEFT-INTERNAL` if it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| defect("no thread"))?;
        let (answer, asked) = oneshot::channel();
        std::thread::Builder::new()
            .name("weft-planner".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let _slot = slot;
                // The asker may have given up; then nobody wants the answer.
                let _ = answer.send(work());
            })
            .map_err(|error| defect("no planning thread could be started").caused_by(error))?;
        asked.await.map_err(|_| defect("planning failed"))?
    }

    /// Runs a future to its end on a planning thread.
    ///
    /// # Errors
    /// What the future returns, or `WEFT-INTERNAL` if it panicked.
    pub async fn run_async<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let runtime = Handle::current();
        self.run(move || runtime.block_on(work)).await
    }
}

fn defect(message: &str) -> Error {
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
