//! How the authority is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use weft_operations::{Reading, Vitals};

/// Reads the authority's numbers.
pub(crate) struct AuthorityVitals {
    /// The task that answers calls.
    pub(crate) serving: AbortHandle,
    /// Whether it is about to end.
    pub(crate) stopping: AtomicBool,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Those that are still free.
    pub(crate) places: Arc<Semaphore>,
}

impl Vitals for AuthorityVitals {
    fn checks(&self) -> Vec<(&'static str, bool)> {
        let serving = !self.serving.is_finished() && !self.stopping.load(Ordering::Relaxed);
        vec![("accepting", serving)]
    }

    fn readings(&self) -> Vec<Reading> {
        let free = self.places.available_permits();
        let open = self.connections.saturating_sub(free) as u64;
        vec![Reading::gauge("connections", "Open connections", open)]
    }
}
