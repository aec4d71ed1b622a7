//! Where the values of a plan's columns come from.

use datafusion::common::Column;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan};
use weft_governance::TableRef;
use weft_governance::contract::Remark;

use crate::leaf::ProductTable;

/// A column of a product's table, as the asker may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainColumn {
    /// Its table.
    pub table: TableRef,
    /// What its owner tells of it.
    pub remark: Remark,
}

/// For each column of `plan`'s answer, the column of a product's table that it repeats unchanged: by
/// whatever name, in other rows or another order, beside other columns. Nothing for what is computed, and
/// nothing for what comes from several tables, as rows of a `UNION` do.
pub fn plain_columns(plan: &LogicalPlan) -> Vec<Option<PlainColumn>> {
    let columns = plan.schema().fields().len();
    (0..columns).map(|column| plain(plan, column)).collect()
}

fn plain(mut plan: &LogicalPlan, mut index: usize) -> Option<PlainColumn> {
    while let Some((input, column)) = origin(plan, index) {
        (plan, index) = (input, column);
    }
    let LogicalPlan::TableScan(scan) = plan else {
        return None;
    };
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<ProductTable>()?;
    let column = match &scan.projection {
        Some(projection) => projection.get(index).copied()?,
        None => index,
    };
    Some(PlainColumn {
        table: table.table().clone(),
        remark: table.remark(column).cloned().unwrap_or_default(),
    })
}

/// The input of `plan` and the column of it that column `index` of `plan` repeats unchanged.
pub fn origin(plan: &LogicalPlan, index: usize) -> Option<(&LogicalPlan, usize)> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let column = column_of(projection.expr.get(index)?)?;
            let index = projection.input.schema().maybe_index_of_column(column)?;
            Some((&projection.input, index))
        }
        LogicalPlan::Filter(filter) => Some((&filter.input, index)),
        LogicalPlan::Sort(sort) => Some((&sort.input, index)),
        LogicalPlan::Limit(limit) => Some((&limit.input, index)),
        LogicalPlan::Repartition(repartition) => Some((&repartition.input, index)),
        LogicalPlan::SubqueryAlias(alias) => Some((&alias.input, index)),
        LogicalPlan::Distinct(Distinct::All(input)) => Some((input, index)),
        LogicalPlan::Window(window) => {
            (index < window.input.schema().fields().len()).then_some((&*window.input, index))
        }
        LogicalPlan::Aggregate(aggregate) => group(aggregate, index),
        LogicalPlan::Join(join) => side(join, index),
        _ => None,
    }
}

/// The column that `expr` is, by whatever name.
pub fn column_of(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => column_of(&alias.expr),
        _ => None,
    }
}

fn group(aggregate: &Aggregate, index: usize) -> Option<(&LogicalPlan, usize)> {
    let grouping_set = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
    if aggregate.group_expr.iter().any(grouping_set) {
        return None;
    }
    let column = column_of(aggregate.group_expr.get(index)?)?;
    let index = aggregate.input.schema().maybe_index_of_column(column)?;
    Some((&aggregate.input, index))
}

fn side(join: &Join, index: usize) -> Option<(&LogicalPlan, usize)> {
    let left = join.left.schema().fields().len();
    let right = join.right.schema().fields().len();
    match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            if index < left {
                Some((&join.left, index))
            } else {
                Some((&join.right, index - left))
            }
        }
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            (index < left).then_some((&*join.left, index))
        }
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            (index < right).then_some((&*join.right, index))
        }
    }
}

#[cfg(test)]
mod tests;
