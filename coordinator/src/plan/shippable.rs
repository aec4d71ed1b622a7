//! Which subtrees a node can be asked to run.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{Distinct, Expr, FetchType, LogicalPlan, SkipType};

/// Whether every node and expression of `plan`, subqueries included, has a place in a fragment for
/// a node that runs `functions`.
pub(super) fn is_shippable(plan: &LogicalPlan, functions: &BTreeSet<String>) -> Result<bool> {
    let mut fits = true;
    plan.apply_with_subqueries(|node| {
        fits = fits && node_fits(node) && expressions_fit(node, functions)?;
        Ok(if fits {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    })?;
    Ok(fits)
}

fn node_fits(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::TableScan(scan) => scan.filters.is_empty(),
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => true,
        LogicalPlan::Subquery(subquery) => subquery.outer_ref_columns.is_empty(),
        LogicalPlan::Limit(limit) => {
            matches!(limit.get_skip_type(), Ok(SkipType::Literal(_)))
                && matches!(limit.get_fetch_type(), Ok(FetchType::Literal(_)))
        }
        LogicalPlan::Distinct(Distinct::On(_))
        | LogicalPlan::Repartition(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => false,
    }
}

fn expressions_fit(node: &LogicalPlan, functions: &BTreeSet<String>) -> Result<bool> {
    let mut fits = true;
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            fits = fits && expression_fits(expr, functions);
            Ok(if fits {
                TreeNodeRecursion::Continue
            } else {
                TreeNodeRecursion::Stop
            })
        })
    })?;
    Ok(fits)
}

fn expression_fits(expr: &Expr, functions: &BTreeSet<String>) -> bool {
    match expr {
        Expr::Column(_)
        | Expr::Alias(_)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_)
        | Expr::ScalarSubquery(_)
        | Expr::GroupingSet(_) => true,
        Expr::Literal(value, _) => plain(value),
        Expr::ScalarFunction(function) => functions.contains(function.name()),
        Expr::AggregateFunction(function) => functions.contains(function.func.name()),
        Expr::WindowFunction(function) => match &function.fun {
            WindowFunctionDefinition::AggregateUDF(function) => functions.contains(function.name()),
            WindowFunctionDefinition::WindowUDF(function) => functions.contains(function.name()),
        },
        _ => false,
    }
}

/// Nested literals are encoded as Arrow IPC, which nodes do not accept inside a plan.
fn plain(value: &ScalarValue) -> bool {
    !value.data_type().is_nested()
        && !matches!(
            value,
            ScalarValue::Dictionary(..) | ScalarValue::Union(..) | ScalarValue::RunEndEncoded(..)
        )
}
