//! Stopping a plan that computes and never waits.
//!
//! Dropping a stream, or aborting its task, takes effect where the plan waits for something. A
//! join of two large inputs may compute for minutes without waiting once. Plans that run under an
//! [`Interrupt`] look for its signal at every batch that a leaf or a join makes, and at every
//! evaluation of a join's condition, which is at most one batch of pairs. Calls that are much work for
//! a few rows look for it more often ([`bounded_calls`](crate::bounded_calls)).

mod condition;
mod exec;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use datafusion::physical_plan::unnest::UnnestExec;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use weft_governance::{Error, ErrorKind, code};

use exec::InterruptibleExec;

/// The plans that compute. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RunningPlans(TaskTracker);

impl RunningPlans {
    /// The signal for one more plan.
    pub fn start(&self) -> Interrupt {
        Interrupt {
            stopped: CancellationToken::new(),
            _running: Arc::new(self.0.token()),
        }
    }

    /// Plans of which some part has not come to its end yet.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// The signal that ends one running plan. Every part of the plan holds a clone for as long as it
/// lives.
#[derive(Debug, Clone)]
pub struct Interrupt {
    stopped: CancellationToken,
    _running: Arc<TaskTrackerToken>,
}

impl Interrupt {
    /// Ends the plan: what asks it for rows from now on gets an error.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// Makes `plan` heed this signal.
    ///
    /// # Errors
    /// If a part of the plan does not take its own children back.
    pub fn guard(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let guarded = plan.transform_up(|plan| {
            let plan = self.guard_condition(plan)?;
            Ok(if may_multiply(plan.as_ref()) {
                Transformed::yes(InterruptibleExec::over(plan, self.clone()))
            } else {
                Transformed::no(plan)
            })
        })?;
        Ok(guarded.data)
    }

    fn guard_condition(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>()
            && let Some(filter) = join.filter()
        {
            let filter = condition::guard(filter, self);
            let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter));
            return Ok(Arc::new(join.build()?));
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>()
            && let Some(filter) = join.filter()
        {
            let filter = condition::guard(filter, self);
            return Ok(Arc::new(join.builder().with_filter(Some(filter)).build()?));
        }
        Ok(plan)
    }

    /// # Errors
    /// `WEFT-CANCELLED` once the plan was stopped.
    pub(crate) fn check(&self) -> Result<()> {
        if self.stopped.is_cancelled() {
            let stopped = Error::new(
                ErrorKind::Cancelled,
                code::CANCELLED,
                "the query was stopped",
            );
            return Err(DataFusionError::External(Box::new(stopped)));
        }
        Ok(())
    }
}

/// Whether rows come out that are not bounded by one batch going in.
fn may_multiply(plan: &dyn ExecutionPlan) -> bool {
    plan.children().len() != 1 || plan.downcast_ref::<UnnestExec>().is_some()
}

#[cfg(test)]
mod tests;
