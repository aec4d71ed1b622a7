//! Which subtrees a node can be asked to run.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{Distinct, Expr, FetchType, LogicalPlan, SkipType, Unnest, Values};
use weft_plan::{MOST_LITERALS, MOST_UNNESTED};

use super::scalar::StandIn;

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
        | LogicalPlan::Distinct(Distinct::All(_) | Distinct::On(_)) => true,
        LogicalPlan::Values(values) => few_literals(values),
        // Its columns are not encoded.
        LogicalPlan::EmptyRelation(empty) => {
            empty.produce_one_row && empty.schema.fields().is_empty()
        }
        LogicalPlan::Unnest(unnest) => unnests_lists_once(unnest),
        LogicalPlan::Subquery(subquery) => subquery.outer_ref_columns.is_empty(),
        LogicalPlan::Limit(limit) => {
            matches!(limit.get_skip_type(), Ok(SkipType::Literal(_)))
                && matches!(limit.get_fetch_type(), Ok(FetchType::Literal(_)))
        }
        LogicalPlan::Repartition(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::RecursiveQuery(_) => false,
    }
}

fn few_literals(Values { values, .. }: &Values) -> bool {
    values.iter().map(Vec::len).sum::<usize>() <= MOST_LITERALS
        && values.iter().flatten().all(is_literal)
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_literal(&alias.expr),
        expr => matches!(expr, Expr::Literal(..)),
    }
}

/// A list in a list could grow a batch beyond every bound before a row of it is sent.
fn unnests_lists_once(unnest: &Unnest) -> bool {
    unnest.exec_columns.len() <= MOST_UNNESTED
        && unnest.struct_type_columns.is_empty()
        && unnest.list_type_columns.len() <= MOST_UNNESTED
        && unnest
            .list_type_columns
            .iter()
            .all(|(_, list)| list.depth == 1)
}

fn expressions_fit(node: &LogicalPlan, functions: &BTreeSet<String>) -> Result<bool> {
    let mut fits = true;
    node.apply_expressions(|expr| {
        fits = fits && fits_whole(expr, functions)?;
        Ok(if fits {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    })?;
    Ok(fits)
}

/// Whether `expr` has a place in a fragment, apart from the plans of its subqueries.
pub(super) fn fits_whole(expr: &Expr, functions: &BTreeSet<String>) -> Result<bool> {
    let mut fits = true;
    expr.apply(|expr| {
        fits = fits && expression_fits(expr, functions);
        Ok(if fits {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
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
        Expr::Literal(value, _) => is_plain(&value.data_type()),
        Expr::ScalarFunction(function) => {
            functions.contains(function.name()) || StandIn::of(&function.func).is_some()
        }
        Expr::AggregateFunction(function) => functions.contains(function.func.name()),
        Expr::WindowFunction(function) => match &function.fun {
            WindowFunctionDefinition::AggregateUDF(function) => functions.contains(function.name()),
            WindowFunctionDefinition::WindowUDF(function) => functions.contains(function.name()),
        },
        _ => false,
    }
}

/// Nested literals are encoded as Arrow IPC, which nodes do not accept inside a plan.
pub(super) fn is_plain(data_type: &DataType) -> bool {
    !data_type.is_nested()
        && !matches!(
            data_type,
            DataType::Dictionary(..) | DataType::Union(..) | DataType::RunEndEncoded(..)
        )
}
