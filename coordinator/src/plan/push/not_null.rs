//! Rows whose key is NULL, which an equality matches with nothing.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{NullEquality, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, Join, JoinType, LogicalPlan};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{Optimizer, OptimizerContext};

use super::place::Place;

/// Leaves rows out that a join of several nodes' rows would drop for want of a key.
pub(super) fn not_null(
    plan: LogicalPlan,
    place: &Place<'_>,
    state: &SessionState,
) -> Result<LogicalPlan> {
    let filtered = place.rewrite_above(plan.clone(), |node| match node {
        LogicalPlan::Join(join) => below(join),
        node => Ok(Transformed::no(node)),
    })?;
    if !filtered.transformed {
        return Ok(plan);
    }
    // A key of a join below goes on down to where it comes from.
    let rules = Optimizer::with_rules(vec![Arc::new(PushDownFilter::new())]);
    let config = OptimizerContext::new_with_config_options(state.config_options().clone());
    let pushed = rules.optimize(filtered.data, &config, |_, _| {})?;
    Ok(if pushed.schema() == plan.schema() {
        pushed
    } else {
        plan
    })
}

fn below(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let (left, right) = droppable(&join);
    let whole = LogicalPlan::Join(join.clone());
    if !(left || right) {
        return Ok(Transformed::no(whole));
    }
    let keys = |which: fn(&(Expr, Expr)) -> &Expr| join.on.iter().map(which).collect::<Vec<_>>();
    let left = with_keys(&join.left, left, &keys(|(left, _)| left))?;
    let right = with_keys(&join.right, right, &keys(|(_, right)| right))?;
    if left.is_none() && right.is_none() {
        return Ok(Transformed::no(whole));
    }
    join.left = left.map_or(join.left, Arc::new);
    join.right = right.map_or(join.right, Arc::new);
    Ok(Transformed::yes(LogicalPlan::Join(join)))
}

/// Whether rows of the left and of the right side that match nothing are dropped.
fn droppable(join: &Join) -> (bool, bool) {
    if join.on.is_empty()
        || join.null_aware
        || join.null_equality != NullEquality::NullEqualsNothing
    {
        return (false, false);
    }
    match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => (true, true),
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => (false, true),
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => (true, false),
        JoinType::Full => (false, false),
    }
}

/// `side` without rows of which one of `keys` is NULL, if that can be.
fn with_keys(
    side: &Arc<LogicalPlan>,
    droppable: bool,
    keys: &[&Expr],
) -> Result<Option<LogicalPlan>> {
    if !droppable {
        return Ok(None);
    }
    let mut missing = Vec::new();
    for key in keys {
        let known = Expr::IsNotNull(Box::new((*key).clone()));
        if !key.is_volatile()
            && key.nullable(side.schema().as_ref())?
            && !is_kept(side, key)
            && !missing.contains(&known)
        {
            missing.push(known);
        }
    }
    let Some(predicate) = conjunction(missing) else {
        return Ok(None);
    };
    let filter = Filter::try_new(predicate, Arc::clone(side))?;
    Ok(Some(LogicalPlan::Filter(filter)))
}

/// Whether `side` has no row without `key` already, as far as its top says.
fn is_kept(side: &LogicalPlan, key: &Expr) -> bool {
    use datafusion::logical_expr::utils::split_conjunction;
    match side {
        LogicalPlan::Filter(filter) => split_conjunction(&filter.predicate)
            .into_iter()
            .any(|condition| matches!(condition, Expr::IsNotNull(known) if known.as_ref() == key)),
        _ => false,
    }
}
