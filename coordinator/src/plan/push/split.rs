//! Conditions of which a node can check only some.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Filter, LogicalPlan};

use super::place::Place;

/// Checks those conditions first that the node below can check.
pub(super) fn split(
    plan: LogicalPlan,
    place: &Place<'_>,
    _state: &SessionState,
) -> Result<LogicalPlan> {
    let split = place.rewrite_above(plan, |node| match node {
        LogicalPlan::Filter(filter) => apart(filter, place),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(split.data)
}

fn apart(filter: Filter, place: &Place<'_>) -> Result<Transformed<LogicalPlan>> {
    if place.runs(&filter.input)?.is_none() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let (mut there, mut here) = (Vec::new(), Vec::new());
    for condition in split_conjunction_owned(filter.predicate.clone()) {
        let alone = Filter::try_new(condition.clone(), Arc::clone(&filter.input))?;
        if place.runs(&LogicalPlan::Filter(alone))?.is_some() {
            there.push(condition);
        } else {
            here.push(condition);
        }
    }
    let (Some(there), Some(here)) = (conjunction(there), conjunction(here)) else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    let input = LogicalPlan::Filter(Filter::try_new(there, filter.input)?);
    let filter = Filter::try_new(here, Arc::new(input))?;
    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
}
