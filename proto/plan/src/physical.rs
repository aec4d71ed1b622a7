//! Physical plans, also of what the engine refuses to run in several partitions.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::ExecutionPlan;
use futures::future::BoxFuture;

/// A plan that is being made in a session.
type Planning<'a> = BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>>;

/// What `plan` makes in `state`; if the engine finds fault with that, what it makes in one partition.
///
/// With some orders of constants, the steps that spread work over partitions leave a plan behind that
/// the engine's own check refuses.
///
/// # Errors
/// What the engine says of the first attempt.
pub async fn in_partitions(
    state: &SessionState,
    plan: impl for<'a> Fn(&'a SessionState) -> Planning<'a>,
) -> Result<Arc<dyn ExecutionPlan>> {
    match plan(state).await {
        Err(error) if is_of_the_planner(&error) => {
            let config = state.config().clone().with_target_partitions(1);
            let one = SessionStateBuilder::new_from_existing(state.clone()).with_config(config);
            plan(&one.build()).await.map_err(|_| error)
        }
        planned => planned,
    }
}

fn is_of_the_planner(error: &DataFusionError) -> bool {
    matches!(
        error.find_root(),
        DataFusionError::Plan(_) | DataFusionError::Internal(_)
    )
}
