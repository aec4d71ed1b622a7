//! How the coordinator is doing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_door::DoorVitals;
use weft_operations::{Reading, Vitals};
use weft_plan::{Memory, RunningPlans};
use weft_wire::authority::TokenKeys;

use crate::query::{QueryEngine, RunningQueries};
use crate::registry::{NodeStatus, Registry};

/// Signs of life that nodes have the time for, before a coordinator of which none has heard is ready
/// without them.
const PATIENCE: u32 = 3;
/// Pause before the authority is asked for its keys again.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads the coordinator's numbers.
pub(crate) struct CoordinatorVitals {
    /// Its doors, once they are open.
    pub(crate) doors: Vec<DoorVitals>,
    keys: Arc<TokenKeys>,
    queries: RunningQueries,
    memory: Memory,
    plans: RunningPlans,
    registry: Registry,
    started: Instant,
}

impl CoordinatorVitals {
    pub(crate) fn new(engine: &QueryEngine, keys: Arc<TokenKeys>) -> Self {
        Self {
            doors: Vec::new(),
            keys,
            queries: engine.queries.clone(),
            memory: engine.memory.clone(),
            plans: engine.plans.clone(),
            registry: engine.resources.registry.clone(),
            started: Instant::now(),
        }
    }

    /// A coordinator that has just started knows of no node until the nodes find it.
    fn knows_nodes(&self) -> bool {
        let waited = self.started.elapsed() > self.registry.heartbeat() * PATIENCE;
        waited || !self.registry.mesh().nodes.is_empty()
    }
}

impl Vitals for CoordinatorVitals {
    fn checks(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("accepting", self.doors.iter().all(DoorVitals::accepting)),
            ("authority", self.keys.is_ready()),
            ("nodes", self.knows_nodes()),
        ]
    }

    fn readings(&self) -> Vec<Reading> {
        let mesh = self.registry.mesh();
        let nodes = [NodeStatus::Up, NodeStatus::Unreachable].map(|status| {
            let nodes = mesh.nodes.values().filter(|node| node.status == status);
            (status.name(), nodes.count() as u64)
        });
        let doors: Vec<&DoorVitals> = self.doors.iter().collect();
        let mut readings = DoorVitals::readings(&doors);
        readings.extend(self.queries.tally().readings());
        readings.extend([
            Reading::gauge(
                "memory_reserved_bytes",
                "Memory that plans have reserved",
                self.memory.reserved() as u64,
            ),
            Reading::gauge("plans", "Plans that compute", self.plans.count() as u64),
            Reading::gauge("nodes", "Nodes that are known", 0).by("status", nodes),
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
