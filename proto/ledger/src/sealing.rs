//! Checkpoints at regular times while a server runs.

use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};
use weft_governance::hex;

use crate::checkpoint::Sealer;
use crate::ledger::Ledger;

/// Writes a checkpoint at once, then regularly, and a last one at the end, each time only if
/// something is new in the log. Dropping it ends it without the last one, like a crash.
#[derive(Debug)]
pub struct Sealing {
    stop: oneshot::Sender<()>,
    task: JoinSet<()>,
}

impl Sealing {
    /// Begins. A checkpoint that cannot be written is reported in the server's log and tried again
    /// the next time. Runs on the Tokio runtime of the caller.
    pub fn start(ledger: Ledger, sealer: Sealer, every: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(run(ledger, sealer, every, stopped));
        Self { stop, task }
    }

    /// Ends it. What was appended before is below a checkpoint when this returns, if one can be
    /// written.
    pub async fn stop(self) {
        let Self { stop, task } = self;
        // A task that is gone already has reported why.
        let _ = stop.send(());
        task.join_all().await;
    }
}

async fn run(ledger: Ledger, sealer: Sealer, every: Duration, mut stopped: oneshot::Receiver<()>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let last = tokio::select! {
            _ = &mut stopped => true,
            _ = ticks.tick() => false,
        };
        match ledger.checkpoint(SystemTime::now(), &sealer).await {
            Ok(Some(written)) => {
                info!(
                    sequence = written.sequence,
                    hash = hex(&written.hash),
                    "checkpoint written"
                );
            }
            Ok(None) => {}
            Err(cause) => error!(cause = ?cause, "checkpoint not written"),
        }
        if last {
            return;
        }
    }
}
