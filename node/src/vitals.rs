//! How the node is doing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use weft_door::DoorVitals;
use weft_ledger::Ledger;
use weft_operations::{Reading, Vitals};
use weft_wire::authority::TokenKeys;

use crate::enforce::{Federation, Gate};
use crate::fragment::Engine;

/// Pause before the authority is asked for its keys again.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads the node's numbers.
pub(crate) struct NodeVitals {
    /// Its door.
    pub(crate) door: DoorVitals,
    /// Checks tokens.
    pub(crate) keys: Arc<TokenKeys>,
    /// Runs fragments.
    pub(crate) engine: Engine,
    /// Knows the policy.
    pub(crate) gate: Gate,
    /// The event log.
    pub(crate) ledger: Ledger,
    /// Whether the coordinator has welcomed it, if it joins one.
    pub(crate) joined: Option<watch::Receiver<bool>>,
}

impl Vitals for NodeVitals {
    fn checks(&self) -> Vec<(&'static str, bool)> {
        let followed = match self.gate.policy().federation() {
            Federation::Free | Federation::InForce(_) => true,
            Federation::Awaited | Federation::Unreadable { .. } => false,
        };
        let registered = self.joined.as_ref().is_none_or(|joined| *joined.borrow());
        vec![
            ("accepting", self.door.accepting()),
            ("authority", self.keys.is_ready()),
            ("log", self.ledger.is_writable()),
            ("policy", followed),
            ("registered", registered),
        ]
    }

    fn readings(&self) -> Vec<Reading> {
        let mut readings = DoorVitals::readings(&[&self.door]);
        readings.extend([
            Reading::gauge(
                "fragments_running",
                "Fragments of which some part computes",
                self.engine.running() as u64,
            ),
            Reading::counter(
                "fragments",
                "Fragments that were run",
                self.engine.started(),
            ),
            Reading::gauge(
                "memory_reserved_bytes",
                "Memory that fragments have reserved",
                self.engine.reserved() as u64,
            ),
            Reading::counter("events", "Events for the log", self.ledger.handed_in()),
            Reading::gauge(
                "events_lost",
                "Events that are not in the log, and that no record counts yet",
                self.ledger.lost(),
            ),
        ]);
        readings
    }
}

/// Fetches the authority's keys before somebody needs them.
pub(crate) async fn prepare(keys: Arc<TokenKeys>) {
    while let Err(error) = keys.prepare().await {
        tracing::debug!(%error, "the authority's keys are not known yet");
        tokio::time::sleep(AGAIN).await;
    }
}
