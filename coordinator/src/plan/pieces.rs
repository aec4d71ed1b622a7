//! From an optimized plan to a query in pieces: all steps in their order.

use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;

use super::cut::{CutPlan, Cutter};
use super::gather::gather;
use super::preaggregate::preaggregate;
use super::push::push;
use super::reduce::reduce;
use super::scalar::Scalars;
use super::{Optimization, Optimizations, Sites};

/// Takes an optimized plan apart: what each node runs, what is found first, what stays here.
///
/// # Errors
/// If the plan is malformed.
pub fn pieces(
    plan: LogicalPlan,
    sites: &Sites,
    steps: &Optimizations,
    state: &SessionState,
) -> Result<CutPlan> {
    let mut scalars = Scalars::default();
    let plan = match steps.on(Optimization::Bind) {
        true => scalars.take(plan, sites)?.data,
        false => plan,
    };
    let context = state.task_ctx();
    let mut cutter = Cutter::new(sites, steps, &context);
    let mut cut = |plan| {
        let plan = gather(plan, sites, state, steps)?;
        let plan = match steps.on(Optimization::Preaggregate) {
            true => preaggregate(plan, sites, state),
            false => plan,
        };
        let plan = push(plan, sites, steps, state)?;
        cutter.cut(plan)
    };
    let scalars: Vec<LogicalPlan> = scalars
        .plans
        .into_iter()
        .map(&mut cut)
        .collect::<Result<_>>()?;
    let plan = cut(plan)?;
    let mut cut = CutPlan::new(plan, scalars, cutter.finish())?;
    if steps.on(Optimization::Reduce) {
        let weigh = steps.on(Optimization::Weigh);
        cut.reduction = reduce(&cut, weigh)?;
    }
    Ok(cut)
}
