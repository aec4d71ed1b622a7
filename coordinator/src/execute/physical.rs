//! The coordinator's physical plan, with remote leaves.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{Result, internal_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use weft_plan::{Interrupt, bounded_calls};

use super::relay::Relay;
use super::remote_exec::RemoteFragmentExec;
use super::tighten::TightenExec;
use crate::plan::{RemoteFragment, Tighten};

/// The plan for `plan`, cut before, if one fragment is all of it: there is nothing to be planned.
pub fn only_leaf(plan: &LogicalPlan, relay: &Arc<Relay>) -> Option<Arc<dyn ExecutionPlan>> {
    let whole = RemoteFragment::of(plan)?;
    Some(Arc::new(leaf(whole, Arc::clone(relay))))
}

/// Plans `plan`, cut and optimized before, with the rows of its fragments from `relay`, until `interrupt`
/// ends it.
///
/// # Errors
/// If the engine cannot plan it.
pub async fn physical_plan(
    state: &SessionState,
    plan: &LogicalPlan,
    relay: Arc<Relay>,
    interrupt: &Interrupt,
) -> Result<Arc<dyn ExecutionPlan>> {
    let planner =
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(RemotePlanner { relay })]);
    let plan = bounded_calls(plan.clone(), interrupt)?;
    interrupt.guard(planner.create_physical_plan(&plan, state).await?)
}

struct RemotePlanner {
    relay: Arc<Relay>,
}

#[async_trait]
impl ExtensionPlanner for RemotePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(tighten) = Tighten::of(node) {
            let [input] = physical_inputs else {
                return internal_err!("rows that tighten fragments have one source");
            };
            let tightening = Arc::clone(tighten.tightening());
            let relay = Arc::clone(&self.relay);
            let exec = TightenExec::new(Arc::clone(input), tightening, relay);
            return Ok(Some(Arc::new(exec)));
        }
        let Some(remote) = node.as_any().downcast_ref::<RemoteFragment>() else {
            return Ok(None);
        };
        Ok(Some(Arc::new(leaf(remote, Arc::clone(&self.relay)))))
    }
}

fn leaf(remote: &RemoteFragment, relay: Arc<Relay>) -> RemoteFragmentExec {
    RemoteFragmentExec::new(Arc::clone(remote.fragment()), relay)
}
