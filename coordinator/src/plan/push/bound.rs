//! The first rows of an order, looked for where they come from.
//!
//! The optimizer puts a LIMIT below unions and outer joins, but leaves an order with a limit whole
//! at the top. Where the rows above are those of an input, each at least once and in its order, the
//! first of them come of its first.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr_rewriter::replace_col;
use datafusion::logical_expr::{
    Expr, JoinType, LogicalPlan, Projection, Sort, SortExpr, SubqueryAlias,
};

use super::place::Place;

/// An order with more rows than this is made once, where all of them come together.
const MOST_ROWS: usize = 100_000;

/// Puts a bound of each order with a limit on the inputs that it comes of.
pub(super) fn bound(
    plan: LogicalPlan,
    place: &Place<'_>,
    _state: &SessionState,
) -> Result<LogicalPlan> {
    let bounded = place.rewrite_above(plan, |node| match node {
        LogicalPlan::Sort(sort) => under(sort, place),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(bounded.data)
}

fn under(sort: Sort, place: &Place<'_>) -> Result<Transformed<LogicalPlan>> {
    let volatile = sort.expr.iter().any(|key| key.expr.is_volatile());
    let Some(rows) = sort.fetch.filter(|rows| !volatile && *rows <= MOST_ROWS) else {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    };
    let Some(input) = first(&sort.input, &sort.expr, rows, place)? else {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    };
    let input = Arc::new(input);
    Ok(Transformed::yes(LogicalPlan::Sort(Sort { input, ..sort })))
}

/// `plan` with at least its first `rows` rows by `keys`, and fewer rows than before; `None` if that
/// cannot be.
fn first(
    plan: &LogicalPlan,
    keys: &[SortExpr],
    rows: usize,
    place: &Place<'_>,
) -> Result<Option<LogicalPlan>> {
    if place.runs_with(plan, keys.iter().map(|key| &key.expr))? {
        return Ok(cut_off(plan, keys, rows));
    }
    match plan {
        LogicalPlan::Union(union) => {
            let mut bounded = false;
            let mut inputs = Vec::new();
            for input in &union.inputs {
                let keys = renamed(keys, &union.schema, input.schema())?;
                let input = match first(input, &keys, rows, place)? {
                    Some(input) => {
                        bounded = true;
                        Arc::new(input)
                    }
                    None => Arc::clone(input),
                };
                inputs.push(input);
            }
            let mut union = union.clone();
            union.inputs = inputs;
            Ok(bounded.then_some(LogicalPlan::Union(union)))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let keys = renamed(keys, &alias.schema, alias.input.schema())?;
            let input = first(&alias.input, &keys, rows, place)?;
            let again = |input| SubqueryAlias::try_new(Arc::new(input), alias.alias.clone());
            Ok(input
                .map(again)
                .transpose()?
                .map(LogicalPlan::SubqueryAlias))
        }
        LogicalPlan::Projection(projection) => {
            let Some(keys) = computed(keys, projection)? else {
                return Ok(None);
            };
            let Some(input) = first(&projection.input, &keys, rows, place)? else {
                return Ok(None);
            };
            let mut projection = projection.clone();
            projection.input = Arc::new(input);
            Ok(Some(LogicalPlan::Projection(projection)))
        }
        LogicalPlan::Join(join) => {
            let mut join = join.clone();
            let kept = match join.join_type {
                JoinType::Left | JoinType::LeftMark => &mut join.left,
                JoinType::Right | JoinType::RightMark => &mut join.right,
                JoinType::Inner
                | JoinType::Full
                | JoinType::LeftSemi
                | JoinType::RightSemi
                | JoinType::LeftAnti
                | JoinType::RightAnti => return Ok(None),
            };
            if !keys.iter().all(|key| only_of(&key.expr, kept.schema())) {
                return Ok(None);
            }
            let Some(input) = first(kept, keys, rows, place)? else {
                return Ok(None);
            };
            *kept = Arc::new(input);
            Ok(Some(LogicalPlan::Join(join)))
        }
        _ => Ok(None),
    }
}

fn cut_off(plan: &LogicalPlan, keys: &[SortExpr], rows: usize) -> Option<LogicalPlan> {
    let input = match plan {
        // An order that nobody sees need not be made before this one.
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => Arc::clone(&sort.input),
        LogicalPlan::Sort(sort) if sort.expr == keys && sort.fetch <= Some(rows) => return None,
        plan => Arc::new(plan.clone()),
    };
    Some(LogicalPlan::Sort(Sort {
        expr: keys.to_vec(),
        input,
        fetch: Some(rows),
    }))
}

fn only_of(expr: &Expr, schema: &DFSchema) -> bool {
    expr.column_refs()
        .into_iter()
        .all(|column| schema.has_column(column))
}

/// `keys` over the columns of `to` in place of those of `from` at the same positions.
fn renamed(keys: &[SortExpr], from: &DFSchema, to: &DFSchema) -> Result<Vec<SortExpr>> {
    let (from, to): (Vec<Column>, Vec<Column>) = (from.columns(), to.columns());
    let names = from.iter().zip(&to).collect();
    let rename = |key: &SortExpr| Ok(key.with_expr(replace_col(key.expr.clone(), &names)?));
    keys.iter().map(rename).collect()
}

/// `keys` over the columns of what is projected; `None` if one of them would not come out alike.
fn computed(keys: &[SortExpr], projection: &Projection) -> Result<Option<Vec<SortExpr>>> {
    let mut found = Vec::new();
    for key in keys {
        let made = key.expr.clone().transform_up(|expr| match &expr {
            Expr::Column(column) => {
                let index = projection.schema.index_of_column(column)?;
                let made = projection.expr.get(index).cloned();
                Ok(made.map_or(Transformed::no(expr), |made| made.unalias_nested()))
            }
            _ => Ok(Transformed::no(expr)),
        })?;
        let made = made.data;
        if made.is_volatile() || made.exists(|it| Ok(matches!(it, Expr::ScalarSubquery(_))))? {
            return Ok(None);
        }
        found.push(key.with_expr(made));
    }
    Ok(Some(found))
}
