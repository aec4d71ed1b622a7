//! Threads that fragments run on, apart from those that answer calls and send heartbeats: a
//! fragment that computes for seconds must not make the node look dead.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use weft_governance::{Error, ErrorKind, code};

/// Bytes of stack of one thread: deep plans are polled recursively.
const STACK: usize = 16 << 20;

/// The threads. Cheap to clone; they end when the last clone is dropped.
#[derive(Clone)]
pub struct Workers(Arc<Owned>);

struct Owned(Option<Runtime>);

impl Workers {
    /// As many as `threads`.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn start(threads: usize) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("weft-fragment")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(
                    ErrorKind::Internal,
                    code::INTERNAL,
                    "no threads can be started",
                )
                .caused_by(error)
            })?;
        Ok(Self(Arc::new(Owned(Some(runtime)))))
    }

    /// Runs `work` on one of them.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.0.0 {
            Some(runtime) => runtime.spawn(work),
            // Only between the drop of the last clone and its end.
            None => tokio::spawn(work),
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // A runtime must not be waited for on a thread of another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}
