//! What can go down below an operator that has to stay here.
//!
//! An operator over rows of several nodes stays at the coordinator, but often a part of its work, or
//! work that makes its own smaller, is about one node's rows only. Each step puts such work below,
//! where the cut finds it; none changes what is answered.

mod bound;
mod distinct;
mod not_null;
mod place;
mod split;
mod unite;

use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;

use super::{Optimization, Optimizations, Sites};
pub(super) use place::Place;

/// An optimized plan with the same answer and as much as possible of it within single nodes.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn push(
    plan: LogicalPlan,
    sites: &Sites,
    optimizations: &Optimizations,
    state: &SessionState,
) -> Result<LogicalPlan> {
    let place = Place::new(sites);
    let steps: [(Optimization, Step); 5] = [
        (Optimization::NotNull, not_null::not_null),
        (Optimization::Unite, unite::unite),
        (Optimization::Bound, bound::bound),
        (Optimization::Distinct, distinct::distinct),
        (Optimization::Split, split::split),
    ];
    let mut plan = plan;
    for (step, run) in steps {
        if optimizations.on(step) {
            plan = run(plan, &place, state)?;
        }
    }
    Ok(plan)
}

type Step = fn(LogicalPlan, &Place<'_>, &SessionState) -> Result<LogicalPlan>;
