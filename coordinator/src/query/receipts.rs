//! What nodes signed for the fragments of a query.

use std::sync::{Arc, Mutex, PoisonError};

/// The receipts that have come for one query, as text. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Receipts(Arc<Mutex<Vec<String>>>);

impl Receipts {
    /// Keeps one more.
    pub(crate) fn keep(&self, receipt: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(receipt);
    }

    /// Those that have come so far.
    pub fn all(&self) -> Vec<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }
}
