//! How a door is doing.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;
use weft_operations::Reading;

use super::calls::Calls;

/// Reads a door's numbers, also after its end. Cheap to clone.
#[derive(Clone)]
pub struct DoorVitals {
    calls: Calls,
    free: Arc<Semaphore>,
    connections: usize,
    sessions: Arc<dyn Fn() -> usize + Send + Sync>,
}

impl DoorVitals {
    pub(super) fn new(
        calls: Calls,
        free: Arc<Semaphore>,
        connections: usize,
        sessions: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        Self {
            calls,
            free,
            connections,
            sessions: Arc::new(sessions),
        }
    }

    /// Whether new work is taken.
    pub fn accepting(&self) -> bool {
        !self.calls.is_stopping()
    }

    /// The numbers of `doors` of one server together.
    pub fn readings(doors: &[&Self]) -> Vec<Reading> {
        let sum = |of: &dyn Fn(&Self) -> u64| doors.iter().map(|door| of(door)).sum::<u64>();
        let mut refused = std::collections::BTreeMap::new();
        for (code, times) in doors.iter().flat_map(|door| door.calls.failed()) {
            *refused.entry(code).or_insert(0) += times;
        }
        let connections = |door: &Self| {
            let free = door.free.available_permits();
            door.connections.saturating_sub(free) as u64
        };
        vec![
            Reading::gauge("connections", "Open connections", sum(&connections)),
            Reading::gauge(
                "sessions",
                "Open sessions of people",
                sum(&|door| (door.sessions)() as u64),
            ),
            Reading::gauge(
                "calls",
                "Calls of clients that are under way",
                sum(&|door| door.calls.under_way() as u64),
            ),
            Reading::counter(
                "calls_failed",
                "Calls that ended with an error, by its code",
                0,
            )
            .by("code", refused),
            Reading::counter(
                "received_bytes",
                "Bytes of messages that came",
                sum(&|door| door.calls.received()),
            ),
            Reading::counter(
                "sent_bytes",
                "Bytes of messages that went out",
                sum(&|door| door.calls.sent()),
            ),
        ]
    }
}

impl fmt::Debug for DoorVitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DoorVitals")
    }
}
