//! Rows of which one is as good as many equal ones.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Aggregate, Expr, Join, JoinType, LogicalPlan, SubqueryAlias};

use super::place::Place;
use crate::plan::gather::key::keys;

/// Leaves one of equal rows wherever rows of several nodes are only asked whether they are there.
pub(super) fn distinct(
    plan: LogicalPlan,
    place: &Place<'_>,
    _state: &SessionState,
) -> Result<LogicalPlan> {
    let reduced = place.rewrite_above(plan, |node| match node {
        LogicalPlan::Aggregate(aggregate) => below_aggregate(aggregate, place),
        LogicalPlan::Join(join) => below_join(join, place),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(reduced.data)
}

/// Grouping without anything computed of the groups makes rows distinct.
fn below_aggregate(aggregate: Aggregate, place: &Place<'_>) -> Result<Transformed<LogicalPlan>> {
    let plain = |expr: &Expr| !expr.is_volatile() && !matches!(expr, Expr::GroupingSet(_));
    let distinct = aggregate.aggr_expr.is_empty() && aggregate.group_expr.iter().all(plain);
    if !distinct {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    Ok(match once(&aggregate.input, place)? {
        Some(input) => {
            let input = Arc::new(input);
            Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new_with_schema(
                input,
                aggregate.group_expr,
                aggregate.aggr_expr,
                aggregate.schema,
            )?))
        }
        None => Transformed::no(LogicalPlan::Aggregate(aggregate)),
    })
}

/// One side of a semi, anti or mark join is only asked for a match.
fn below_join(mut join: Join, place: &Place<'_>) -> Result<Transformed<LogicalPlan>> {
    let asked = match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => &mut join.right,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => &mut join.left,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
    };
    let told_apart = |filter: &Expr| filter.is_volatile() || !is_exact(asked);
    if join.filter.as_ref().is_some_and(told_apart) {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let Some(input) = once(asked, place)? else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    *asked = Arc::new(input);
    Ok(Transformed::yes(LogicalPlan::Join(join)))
}

/// `plan` with fewer equal rows in what comes from nodes, and at least one of each; `None` if there
/// is nothing to gain.
fn once(plan: &LogicalPlan, place: &Place<'_>) -> Result<Option<LogicalPlan>> {
    if place.runs(plan)?.is_some() {
        return if is_distinct(plan) {
            Ok(None)
        } else {
            made_distinct(plan).map(Some)
        };
    }
    match plan {
        LogicalPlan::Union(union) => {
            let mut reduced = false;
            let mut inputs = Vec::new();
            for input in &union.inputs {
                let input = match once(input, place)? {
                    Some(input) => {
                        reduced = true;
                        Arc::new(input)
                    }
                    None => Arc::clone(input),
                };
                inputs.push(input);
            }
            let mut union = union.clone();
            union.inputs = inputs;
            Ok(reduced.then_some(LogicalPlan::Union(union)))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = once(&alias.input, place)?;
            let again = |input| SubqueryAlias::try_new(Arc::new(input), alias.alias.clone());
            Ok(input
                .map(again)
                .transpose()?
                .map(LogicalPlan::SubqueryAlias))
        }
        LogicalPlan::Projection(projection)
            if is_exact(&projection.input) && !projection.expr.iter().any(Expr::is_volatile) =>
        {
            let mut projection = projection.clone();
            let Some(input) = once(&projection.input, place)? else {
                return Ok(None);
            };
            projection.input = Arc::new(input);
            Ok(Some(LogicalPlan::Projection(projection)))
        }
        LogicalPlan::Filter(filter)
            if is_exact(&filter.input) && !filter.predicate.is_volatile() =>
        {
            let mut filter = filter.clone();
            let Some(input) = once(&filter.input, place)? else {
                return Ok(None);
            };
            filter.input = Arc::new(input);
            Ok(Some(LogicalPlan::Filter(filter)))
        }
        _ => Ok(None),
    }
}

/// Whether making `plan` distinct would, as far as is known, take no row away. That it is so is
/// not relied on.
fn is_distinct(plan: &LogicalPlan) -> bool {
    plan.schema().fields().is_empty() || plan.max_rows() == Some(1) || !keys(plan).is_empty()
}

/// Whether equal rows of `plan` cannot be told apart. 0.0 and -0.0 are equal, and can.
fn is_exact(plan: &LogicalPlan) -> bool {
    let mut types = plan.schema().fields().iter().map(|field| field.data_type());
    !types.any(|kind| kind.is_floating() || kind.is_nested())
}

fn made_distinct(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let columns = plan
        .schema()
        .iter()
        .map(|field| Expr::Column(Column::from(field)));
    let columns = columns.collect();
    let aggregate = Aggregate::try_new(Arc::new(plan.clone()), columns, Vec::new())?;
    Ok(LogicalPlan::Aggregate(aggregate))
}
