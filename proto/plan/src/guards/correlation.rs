//! Subqueries that speak of the query around them.
//!
//! The engine takes conditions on outer columns out of a subquery and makes a join of them. The
//! subquery's own columns in them go by their names alone from then on: where two of its tables have
//! a column of that name, or its answer has one, the wrong column is compared, and rows are lost or
//! made up. And it finds totals by groups of rows that are there, so that a total of no rows is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, TableReference, not_impl_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, Subquery, lit};
use datafusion::optimizer::analyzer::AnalyzerRule;

/// What the names of such columns begin with.
const PREFIX: &str = "__correlated_";

/// Gives the columns by which a subquery is joined names of their own wherever others have theirs, and
/// a total its row wherever there is nothing to add up.
#[derive(Debug)]
pub(super) struct ToldApart;

impl AnalyzerRule for ToldApart {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut names = Names::default();
        let plan = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Subquery(subquery) => names.tell_apart(subquery),
            node => {
                let names = NamePreserver::new(&node);
                node.map_expressions(|expr| {
                    let name = names.save(&expr);
                    let expr = expr.transform_up(of_one_row)?;
                    Ok(expr.update_data(|expr| name.restore(expr)))
                })
            }
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "told_apart"
    }
}

/// A condition on a subquery that has exactly one row, said of that row: the engine would take a
/// subquery for empty of which no row meets its conditions, and it counts none of them.
fn of_one_row(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Exists(Exists { subquery, negated }) if has_one_row(&subquery) => {
            Transformed::yes(lit(!negated))
        }
        Expr::InSubquery(InSubquery {
            expr,
            subquery,
            negated,
        }) if has_one_row(&subquery) => {
            let value = Expr::ScalarSubquery(subquery);
            Transformed::yes(match negated {
                true => (*expr).not_eq(value),
                false => (*expr).eq(value),
            })
        }
        expr => Transformed::no(expr),
    })
}

/// Whether `subquery` speaks of the query around it and has one row whatever that is.
fn has_one_row(subquery: &Subquery) -> bool {
    let mut plan = subquery.subquery.as_ref();
    loop {
        plan = match plan {
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Aggregate(aggregate) => {
                return aggregate.group_expr.is_empty() && !subquery.outer_ref_columns.is_empty();
            }
            _ => return false,
        };
    }
}

/// How many names were given in one query.
#[derive(Default)]
struct Names(usize);

impl Names {
    fn tell_apart(&mut self, subquery: Subquery) -> Result<Transformed<LogicalPlan>> {
        let mut compared = BTreeSet::new();
        let plan = subquery.subquery.as_ref();
        if loses_rows(plan, true) {
            return not_impl_err!(
                "in a subquery that speaks of the query around it, HAVING, DISTINCT or a join over a \
                 total, and grouping sets"
            );
        }
        collect(plan, &mut compared)?;
        let names: BTreeSet<&str> = compared.iter().map(|column| column.name.as_str()).collect();
        if names.len() == compared.len() && !clashes(plan, &compared) {
            return Ok(Transformed::no(LogicalPlan::Subquery(subquery)));
        }
        let plan = plan.clone().transform_up(|node| match node {
            LogicalPlan::Filter(filter) if is_correlated(&filter) => {
                self.renamed(filter).map(Transformed::yes)
            }
            node => Ok(Transformed::no(node)),
        })?;
        Ok(Transformed::yes(LogicalPlan::Subquery(Subquery {
            subquery: Arc::new(plan.data),
            ..subquery
        })))
    }

    /// `filter` with the columns that it compares with outer ones under names of their own.
    fn renamed(&mut self, filter: Filter) -> Result<LogicalPlan> {
        let columns = filter.input.schema().iter();
        let columns: Vec<Expr> = columns
            .map(|field| Expr::Column(Column::from(field)))
            .collect();
        let mut named = columns.clone();
        let mut conditions = Vec::new();
        for condition in split_conjunction_owned(filter.predicate) {
            if !condition.contains_outer() {
                conditions.push(condition);
                continue;
            }
            let condition = condition.transform(|expr| match expr {
                Expr::Column(column) => {
                    self.0 += 1;
                    let name = format!("{PREFIX}{}", self.0);
                    named.push(Expr::Column(column).alias(&name));
                    let column = Column::new_unqualified(name);
                    Ok(Transformed::yes(Expr::Column(column)))
                }
                expr => Ok(Transformed::no(expr)),
            })?;
            conditions.push(condition.data);
        }
        let Some(predicate) = conjunction(conditions) else {
            return Ok(filter.input.as_ref().clone());
        };
        let named = LogicalPlan::Projection(Projection::try_new(named, filter.input)?);
        let filter = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(named))?);
        // What stands above finds the columns that it knows.
        Projection::try_new(columns, Arc::new(filter)).map(LogicalPlan::Projection)
    }
}

/// Adds the columns that `plan`, without further subqueries, compares with outer ones.
fn collect(plan: &LogicalPlan, compared: &mut BTreeSet<Column>) -> Result<()> {
    plan.apply(|node| {
        match node {
            LogicalPlan::Subquery(_) => return Ok(TreeNodeRecursion::Jump),
            LogicalPlan::Filter(filter) => {
                let conditions = split_conjunction(&filter.predicate).into_iter();
                for condition in conditions.filter(|it| it.contains_outer()) {
                    compared.extend(condition.column_refs().into_iter().cloned());
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Whether `plan` makes a row also of no rows, and the engine would not: it finds groups of rows that
/// are there, and adds what is missing only below what is `plain`.
fn loses_rows(plan: &LogicalPlan, plain: bool) -> bool {
    let mut inputs = plan.inputs().into_iter();
    match plan {
        LogicalPlan::Subquery(_) => false,
        LogicalPlan::Aggregate(aggregate) if compares(&aggregate.input) => {
            let groups = &aggregate.group_expr;
            let is_total = groups.is_empty() && !plain;
            let has_total = |group: &Expr| matches!(group, Expr::GroupingSet(_));
            is_total || groups.iter().any(has_total) || inputs.any(|input| loses_rows(input, false))
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_) => inputs.any(|input| loses_rows(input, plain)),
        _ => inputs.any(|input| loses_rows(input, false)),
    }
}

fn is_correlated(filter: &Filter) -> bool {
    filter.predicate.contains_outer()
}

/// Whether a column that stands above a comparison with outer columns has the name of one in it.
fn clashes(plan: &LogicalPlan, compared: &BTreeSet<Column>) -> bool {
    let clash = |(qualifier, field): (Option<&TableReference>, &Arc<Field>)| {
        let other = |it: &Column| it.name == *field.name() && it.relation.as_ref() != qualifier;
        compared.iter().any(other)
    };
    let mut inputs = plan.inputs().into_iter();
    match plan {
        LogicalPlan::Subquery(_) => false,
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) if compares(plan) => {
            plan.schema().iter().any(clash) || inputs.any(|input| clashes(input, compared))
        }
        _ => inputs.any(|input| clashes(input, compared)),
    }
}

/// Whether `plan`, without further subqueries, compares columns with outer ones.
fn compares(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Subquery(_) => false,
        LogicalPlan::Filter(filter) if is_correlated(filter) => true,
        plan => plan.inputs().into_iter().any(compares),
    }
}
