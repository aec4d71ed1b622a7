//! Rows that shipped rows have no partner for are dropped before they are joined among themselves, and
//! before they are grouped.
//!
//! The node would do all of that with all of its rows and join the outcome with the shipped rows last.
//! They tell before that which rows are needed, by the columns that they are joined on in the end.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, NullEquality, Result};
use datafusion::logical_expr::{Expr, Join, JoinConstraint, JoinType, LogicalPlan, Projection};
use weft_plan::{origin, shipped_table_of};

use crate::plan::estimate::Estimate;

/// The part of the rows that are expected to be needed, up to which it is worth to look for the others
/// first.
const WORTHWHILE: f64 = 0.5;

/// `plan` with its own rows checked against shipped rows below their groups.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn early(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::Join(join) = &node else {
            return Ok(Transformed::no(node));
        };
        let checked = match (
            join.join_type,
            is_shipped(&join.left),
            is_shipped(&join.right),
        ) {
            (JoinType::Inner, false, true) => {
                let on = join.on.iter().map(|(own, shipped)| (own, shipped));
                let left = checked(&join.left, &join.right, on, join.null_equality)?;
                left.map(|left| (left, Arc::clone(&join.right)))
            }
            (JoinType::Inner, true, false) => {
                let on = join.on.iter().map(|(shipped, own)| (own, shipped));
                let right = checked(&join.right, &join.left, on, join.null_equality)?;
                right.map(|right| (Arc::clone(&join.left), right))
            }
            _ => None,
        };
        Ok(match checked {
            Some((left, right)) => {
                let join = Join {
                    left,
                    right,
                    ..join.clone()
                };
                Transformed::yes(LogicalPlan::Join(join))
            }
            None => Transformed::no(node),
        })
    })
    .map(|checked| checked.data)
}

/// Whether `plan` is shipped rows and nothing else.
fn is_shipped(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => shipped_table_of(scan).is_some(),
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(is_shipped)
        }
        _ => false,
    }
}

/// What rows are checked against.
struct Keys {
    plan: LogicalPlan,
    /// What the join says of NULL.
    nulls: NullEquality,
}

/// `plan`, joined with `shipped` on columns `on`, with that check below its groups, if it has any.
fn checked<'a>(
    plan: &LogicalPlan,
    shipped: &LogicalPlan,
    on: impl Iterator<Item = (&'a Expr, &'a Expr)>,
    nulls: NullEquality,
) -> Result<Option<Arc<LogicalPlan>>> {
    let (mut columns, mut keys) = (Vec::new(), Vec::new());
    for (own, shipped_key) in on {
        let (Expr::Column(own), Expr::Column(key)) = (own, shipped_key) else {
            return Ok(None);
        };
        let places = plan.schema().maybe_index_of_column(own);
        let places = places.zip(shipped.schema().maybe_index_of_column(key));
        let Some((place, key_place)) = places else {
            return Ok(None);
        };
        let (own, key_type) = (
            plan.schema().field(place),
            shipped.schema().field(key_place),
        );
        if own.data_type() != key_type.data_type() {
            return Ok(None);
        }
        keys.push(Expr::Column(key.clone()).alias(format!("__shipped_key_{}", columns.len())));
        columns.push(place);
    }
    if columns.is_empty() {
        return Ok(None);
    }
    let keys = Projection::try_new(keys, Arc::new(shipped.clone()))?;
    let keys = Keys {
        plan: LogicalPlan::Projection(keys),
        nulls,
    };
    Ok(laid(plan, &columns, &keys, false)?.map(Arc::new))
}

/// `plan` with `keys` laid on its `columns` as far down as they come from, if that is below a join or
/// an aggregate and spares it most of the rows.
fn laid(
    plan: &LogicalPlan,
    columns: &[usize],
    keys: &Keys,
    below: bool,
) -> Result<Option<LogicalPlan>> {
    let Some((input, places)) = lower(plan, columns) else {
        if !below {
            return Ok(None);
        }
        let reduced = reduced(plan, columns, keys)?;
        let kept = Estimate::of(&reduced).rows / Estimate::of(plan).rows.max(1.0);
        return Ok((kept < WORTHWHILE).then_some(reduced));
    };
    let below = below || matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Join(_));
    let Some(laid) = laid(input, &places, keys, below)? else {
        return Ok(None);
    };
    let inputs = plan.inputs().into_iter();
    let inputs = inputs.map(|it| match std::ptr::eq(it, input) {
        true => laid.clone(),
        false => it.clone(),
    });
    let inputs = inputs.collect();
    plan.with_new_exprs(plan.expressions(), inputs).map(Some)
}

/// The input that all `columns` of `plan` come from, and their places there, if rows that are
/// dropped there are the same that would be dropped here.
fn lower<'a>(plan: &'a LogicalPlan, columns: &[usize]) -> Option<(&'a LogicalPlan, Vec<usize>)> {
    let passes = match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Join(join) => join.join_type == JoinType::Inner,
        _ => false,
    };
    if !passes {
        return None;
    }
    let mut found: Option<&LogicalPlan> = None;
    let mut places = Vec::with_capacity(columns.len());
    for column in columns {
        let (input, place) = origin(plan, *column)?;
        if found.is_some_and(|known| !std::ptr::eq(known, input)) {
            return None;
        }
        found = Some(input);
        places.push(place);
    }
    Some((found?, places))
}

fn reduced(plan: &LogicalPlan, columns: &[usize], keys: &Keys) -> Result<LogicalPlan> {
    let on = columns.iter().zip(keys.plan.schema().iter());
    let on = on.map(|(place, key)| {
        let own = Column::from(plan.schema().qualified_field(*place));
        (Expr::Column(own), Expr::Column(Column::from(key)))
    });
    let join = Join::try_new(
        Arc::new(plan.clone()),
        Arc::new(keys.plan.clone()),
        on.collect(),
        None,
        JoinType::LeftSemi,
        JoinConstraint::On,
        keys.nulls,
        false,
    )?;
    Ok(LogicalPlan::Join(join))
}
