//! Brings together what one node serves, before the cut.
//!
//! The optimizer leaves the joins of a query in the order of its text. Two tables of one domain
//! with a table of another between them would then leave their node apart, each in full, to be
//! joined here. Inner joins may come in any order, and a semi join wherever its condition is known,
//! so those that a node can do by itself are done first.
//!
//! The rest is joined in the order of the fewest rows to be expected, so that a query runs the same
//! way however its text puts the tables.
//!
//! Two tables are joined early only where the declared key of one of them is joined on: such a join
//! makes no rows out of rows, whatever else the query says.

mod cluster;
pub(super) mod key;
mod part;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{Optimizer, OptimizerContext};

use super::site::only_site;
use super::{Optimization, Optimizations, Sites};
use cluster::Cluster;
use part::Assembly;

/// An optimized plan with the same answer, the joins of one node side by side and the others in the
/// order of their size, as far as `steps` say.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn gather(
    plan: LogicalPlan,
    sites: &Sites,
    state: &SessionState,
    steps: &Optimizations,
) -> Result<LogicalPlan> {
    let gathered = regroup(plan.clone(), sites, steps)?;
    if !gathered.transformed {
        return Ok(plan);
    }
    let tidied = tidied(gathered.data, state)?;
    Ok(if tidied.schema() == plan.schema() {
        tidied
    } else {
        plan
    })
}

/// `plan` with what a change left above a join below it again, columns and conditions.
pub(super) fn tidied(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let rules = Optimizer::with_rules(vec![
        Arc::new(PushDownFilter::new()),
        Arc::new(OptimizeProjections::new()),
    ]);
    let config = OptimizerContext::new_with_config_options(Arc::clone(state.config_options()));
    // A second pass would find nothing to do, and take as long as the first.
    rules.optimize(plan, &config.with_max_passes(1), |_, _| {})
}

fn regroup(
    plan: LogicalPlan,
    sites: &Sites,
    steps: &Optimizations,
) -> Result<Transformed<LogicalPlan>> {
    if only_site(&plan, sites)?.is_some() {
        return Ok(Transformed::no(plan));
    }
    if let Some(cluster) = Cluster::of(&plan, sites)?
        && let Some(assembly) = Assembly::new(cluster, sites)?
        && let Some(joined) = assembly.join(
            steps.on(Optimization::Gather),
            steps.on(Optimization::Order),
        )?
    {
        let restored = cluster::restore(joined, plan.schema())?;
        let inputs = below(restored, sites, steps)?;
        return Ok(Transformed::yes(inputs.data));
    }
    below(plan, sites, steps)
}

/// `plan` with everything below it regrouped, except for the cluster that it is part of.
fn below(
    plan: LogicalPlan,
    sites: &Sites,
    steps: &Optimizations,
) -> Result<Transformed<LogicalPlan>> {
    let same = cluster::children_inside(&plan);
    let mut child = 0;
    plan.map_subqueries(|subquery| regroup(subquery, sites, steps))?
        .transform_sibling(|plan| {
            plan.map_children(|input| {
                let inside = child < same && cluster::is_open(&input);
                child += 1;
                if inside {
                    below(input, sites, steps)
                } else {
                    regroup(input, sites, steps)
                }
            })
        })
}
