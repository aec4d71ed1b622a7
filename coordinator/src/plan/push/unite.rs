//! Unions of which some branches are one node's.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, Union};
use weft_governance::ServerId;

use super::place::Place;

/// Unites the branches of each node among themselves first.
pub(super) fn unite(
    plan: LogicalPlan,
    place: &Place<'_>,
    _state: &SessionState,
) -> Result<LogicalPlan> {
    let united = place.rewrite_above(plan, |node| match node {
        LogicalPlan::Union(union) => regroup(union, place),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(united.data)
}

type Branches = Vec<Arc<LogicalPlan>>;

fn regroup(union: Union, place: &Place<'_>) -> Result<Transformed<LogicalPlan>> {
    // In the order of their first branches, so that the first one goes on naming the columns.
    let mut groups: Vec<(Option<ServerId>, Branches)> = Vec::new();
    for input in &union.inputs {
        let node = place.runs(input)?.map(|site| site.node.clone());
        let known = groups.iter_mut();
        let known = known
            .filter(|_| node.is_some())
            .find(|(other, _)| *other == node);
        match known {
            Some((_, inputs)) => inputs.push(Arc::clone(input)),
            None => groups.push((node, vec![Arc::clone(input)])),
        }
    }
    if groups.len() < 2 || groups.len() == union.inputs.len() {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs: Result<Branches> = groups.into_iter().map(|(_, group)| whole(group)).collect();
    // Branches whose types do not agree cannot be united apart from the others.
    Ok(match inputs {
        Ok(inputs) => Transformed::yes(LogicalPlan::Union(Union { inputs, ..union })),
        Err(_) => Transformed::no(LogicalPlan::Union(union)),
    })
}

fn whole(group: Branches) -> Result<Arc<LogicalPlan>> {
    match <[_; 1]>::try_from(group) {
        Ok([only]) => Ok(only),
        Err(several) => Ok(Arc::new(LogicalPlan::Union(Union::try_new(several)?))),
    }
}
