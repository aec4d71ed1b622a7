//! Columns that name a row.

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan};
use weft_plan::{product_table_of, shipped_table_of};

/// Sets of columns of `plan`'s output of which no two rows have the same values, as far as the
/// contracts say.
pub(in crate::plan) fn keys(plan: &LogicalPlan) -> Vec<Vec<Column>> {
    let schema = plan.schema();
    indexes(plan)
        .into_iter()
        .map(|key| {
            key.into_iter()
                .map(|index| Column::from(schema.qualified_field(index)))
                .collect()
        })
        .collect()
}

/// The same, as positions.
pub(in crate::plan) fn indexes(plan: &LogicalPlan) -> Vec<Vec<usize>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            if let Some(shipped) = shipped_table_of(scan) {
                let planned = shipped.planned().filter(|_| scan.projection.is_none());
                return planned.map_or_else(Vec::new, |planned| planned.keys.clone());
            }
            let Some(table) = product_table_of(scan).filter(|table| !table.key().is_empty()) else {
                return Vec::new();
            };
            let position = |name: &String| {
                let schema = &scan.projected_schema;
                schema.index_of_column_by_name(Some(&scan.table_name), name)
            };
            let key: Option<Vec<usize>> = table.key().iter().map(position).collect();
            key.into_iter().collect()
        }
        LogicalPlan::Filter(filter) => indexes(&filter.input),
        LogicalPlan::Sort(sort) => indexes(&sort.input),
        LogicalPlan::Limit(limit) => indexes(&limit.input),
        LogicalPlan::SubqueryAlias(alias) => indexes(&alias.input),
        LogicalPlan::Join(join)
            if matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti) =>
        {
            indexes(&join.left)
        }
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => of_inner_join(join),
        LogicalPlan::Projection(projection) => {
            let from: Vec<Option<usize>> = projection
                .expr
                .iter()
                .map(|expr| column_index(expr, &projection.input))
                .collect();
            indexes(&projection.input)
                .into_iter()
                .filter_map(|key| {
                    key.into_iter()
                        .map(|index| from.iter().position(|it| *it == Some(index)))
                        .collect()
                })
                .collect()
        }
        LogicalPlan::Aggregate(aggregate) => {
            let sets = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
            if aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(sets) {
                return Vec::new();
            }
            vec![(0..aggregate.group_expr.len()).collect()]
        }
        _ => Vec::new(),
    }
}

/// The keys of the side whose rows meet at most one row each.
fn of_inner_join(join: &Join) -> Vec<Vec<usize>> {
    let named = |side: &LogicalPlan, which: fn(&(Expr, Expr)) -> &Expr| -> bool {
        let on = join.on.iter();
        let on: Vec<usize> = on
            .filter_map(|pair| column_index(which(pair), side))
            .collect();
        indexes(side)
            .iter()
            .any(|key| key.iter().all(|index| on.contains(index)))
    };
    let mut keys = Vec::new();
    if named(&join.right, |(_, right)| right) {
        keys.extend(indexes(&join.left));
    }
    if named(&join.left, |(left, _)| left) {
        let before = join.left.schema().fields().len();
        let right = indexes(&join.right).into_iter();
        keys.extend(right.map(|key| key.into_iter().map(|index| index + before).collect()));
    }
    keys
}

fn column_index(expr: &Expr, input: &LogicalPlan) -> Option<usize> {
    match expr {
        Expr::Column(column) => input.schema().maybe_index_of_column(column),
        Expr::Alias(alias) => column_index(&alias.expr, input),
        _ => None,
    }
}
