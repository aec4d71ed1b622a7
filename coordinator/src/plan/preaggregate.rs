//! Partial aggregation below the joins between domains.
//!
//! What an aggregate needs of one domain's rows is often no row but a sum, a count, the least or the
//! greatest value for each key that the rows are joined and grouped by. The domain's node can group
//! them by those keys: one row comes for many, the join matches it as it would have matched each of
//! them, and the aggregate above merges what meets in a group. Of the side of a semi or anti join
//! that is only looked up, each key is needed once.
//!
//! Nothing is computed earlier than the query asks for it unless it cannot fail: a node must not
//! report an error for a row that a join would have dropped.

mod benefit;
mod demand;
mod descent;
mod grouping;
mod merge;
mod side;
#[cfg(test)]
mod tests;
mod total;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Join, JoinType, LogicalPlan};
use tracing::warn;

use super::Sites;
use super::gather::tidied;
use super::site::only_site;
use demand::Demand;
use descent::Descent;
use side::Side;

/// A plan with the answer of the optimized `plan`, in which nodes group rows that are needed by the
/// group; `None` if there are none.
pub(super) fn preaggregate(
    plan: &LogicalPlan,
    sites: &Sites,
    state: &SessionState,
) -> Option<LogicalPlan> {
    grouped(plan, sites, state).unwrap_or_else(|_| {
        warn!("a plan is not grouped, for the pieces did not fit together");
        None
    })
}

fn grouped(plan: &LogicalPlan, sites: &Sites, state: &SessionState) -> Result<Option<LogicalPlan>> {
    let descent = Descent::new(plan, sites)?;
    let grouped = rewrite(plan.clone(), &descent)?;
    if !grouped.transformed {
        return Ok(None);
    }
    let tidied = tidied(grouped.data, state)?;
    Ok(same_columns(&tidied, plan).then_some(tidied))
}

fn rewrite(plan: LogicalPlan, descent: &Descent<'_>) -> Result<Transformed<LogicalPlan>> {
    if only_site(&plan, descent.sites())?.is_some() {
        return Ok(Transformed::no(plan));
    }
    let instead = match &plan {
        LogicalPlan::Aggregate(aggregate) => merge::merged(aggregate, descent)?,
        LogicalPlan::Join(join) => looked_up(join, descent)?,
        _ => None,
    };
    // Each step takes a key away from some rows, so that there is a last one.
    if let Some(instead) = instead.filter(|instead| same_columns(instead, &plan)) {
        return Ok(Transformed::yes(rewrite(instead, descent)?.data));
    }
    plan.map_subqueries(|subquery| rewrite(subquery, descent))?
        .transform_sibling(|plan| plan.map_children(|input| rewrite(input, descent)))
}

/// `join` with each key once on the side that is only looked up.
fn looked_up(join: &Join, descent: &Descent<'_>) -> Result<Option<LogicalPlan>> {
    let side = match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => Side::Right,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => Side::Left,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => return Ok(None),
    };
    let found = descent.through_join(join, side, Demand::default())?;
    Ok(descent::best(found).map(|found| found.plan))
}

fn same_columns(one: &LogicalPlan, other: &LogicalPlan) -> bool {
    let (one, other) = (one.schema(), other.schema());
    one.metadata() == other.metadata()
        && one.fields().len() == other.fields().len()
        && one
            .iter()
            .zip(other.iter())
            .all(|(one, other)| one == other)
}
