//! Where a column's values come from, and how far down a condition on it may go.

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, Window};
use weft_governance::KeyDisclosure;
use weft_plan::{column_of, origin, product_table_of, shipped_table_of};

use crate::plan::RemoteFragment;

/// A column of a fragment's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) struct Place {
    pub(in crate::plan) fragment: u32,
    pub(in crate::plan) column: usize,
}

/// The fragment's column that holds every value that column `index` of `plan` holds; without
/// `strict`, NULL perhaps excepted.
pub(super) fn source(plan: &LogicalPlan, index: usize, strict: bool) -> Option<Place> {
    if let Some(place) = leaf(plan, index) {
        return Some(place);
    }
    if let LogicalPlan::Join(join) = plan
        && strict
        && !is_preserved(join, index)
    {
        return None;
    }
    let (input, index) = origin(plan, index)?;
    source(input, index, strict)
}

/// The fragments' columns that a condition "is one of these keys" on column `index` of `plan` may
/// be laid on instead, if rows that do not meet it are of no use above. `strict` is for keys that
/// may be NULL.
pub(in crate::plan) fn targets(
    plan: &LogicalPlan,
    index: usize,
    strict: bool,
) -> Result<Vec<Place>> {
    if let Some(place) = leaf(plan, index) {
        return Ok(vec![place]);
    }
    if let LogicalPlan::Union(union) = plan {
        let mut places = Vec::new();
        for input in &union.inputs {
            places.extend(targets(input, index, strict)?);
        }
        return Ok(places);
    }
    let passes = match plan {
        LogicalPlan::Limit(_) => false,
        LogicalPlan::Sort(sort) => sort.fetch.is_none(),
        LogicalPlan::Window(window) => is_partitioned_by(window, index),
        // A row that lost its partner to the condition shows up with NULL in the column, and is of
        // no use above either, unless NULL is a key.
        LogicalPlan::Join(join) => !strict || is_preserved(join, index),
        _ => true,
    };
    match origin(plan, index).filter(|_| passes) {
        Some((input, index)) => targets(input, index, strict),
        None => Ok(Vec::new()),
    }
}

/// How much of column `index` of a fragment's `plan` may travel to other domains.
pub(in crate::plan) fn disclosure(plan: &LogicalPlan, index: usize) -> Result<KeyDisclosure> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let column = match &scan.projection {
                Some(projection) => projection.get(index).copied(),
                None => Some(index),
            };
            let Some(column) = column else {
                return Ok(KeyDisclosure::None);
            };
            let own = product_table_of(scan).map(|table| table.disclosure(column));
            let came = shipped_table_of(scan);
            let came = came.and_then(|it| it.planned()?.disclosure.get(column).copied());
            Ok(own.or(came).unwrap_or_default())
        }
        LogicalPlan::Union(union) => {
            let mut least = KeyDisclosure::List;
            for input in &union.inputs {
                least = least.min(disclosure(input, index)?);
            }
            Ok(least)
        }
        plan => match origin(plan, index) {
            Some((input, index)) => disclosure(input, index),
            None => Ok(KeyDisclosure::None),
        },
    }
}

/// The fragments that `plan` reads, each as often as it is read.
///
/// # Errors
/// If the plan is malformed.
pub fn leaves(plan: &LogicalPlan) -> Result<Vec<u32>> {
    let mut leaves = Vec::new();
    plan.apply_with_subqueries(|node| {
        leaves.extend(RemoteFragment::of(node).map(|it| it.fragment().ordinal));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(leaves)
}

fn leaf(plan: &LogicalPlan, column: usize) -> Option<Place> {
    let remote = RemoteFragment::of(plan)?;
    Some(Place {
        fragment: remote.fragment().ordinal,
        column,
    })
}

/// Whether no row appears in the join's answer with NULL in place of column `index`.
fn is_preserved(join: &Join, index: usize) -> bool {
    let in_left = index < join.left.schema().fields().len();
    match join.join_type {
        JoinType::Left => in_left,
        JoinType::Right => !in_left,
        JoinType::Full => false,
        JoinType::Inner
        | JoinType::LeftSemi
        | JoinType::RightSemi
        | JoinType::LeftAnti
        | JoinType::RightAnti
        | JoinType::LeftMark
        | JoinType::RightMark => true,
    }
}

fn is_partitioned_by(window: &Window, index: usize) -> bool {
    let schema = window.input.schema();
    let is_it = |expr: &Expr| {
        column_of(expr).and_then(|column| schema.maybe_index_of_column(column)) == Some(index)
    };
    window.window_expr.iter().all(|expr| match expr {
        Expr::WindowFunction(function) => function.params.partition_by.iter().any(is_it),
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::WindowFunction(function) => function.params.partition_by.iter().any(is_it),
            _ => false,
        },
        _ => false,
    })
}
