//! Answers that are in the plan already.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::{DFSchemaRef, Result, ScalarValue};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, Projection};

/// Whether all that `plan` does is to name constants, as for the `SELECT 1` by which clients find out whether
/// anybody answers: there is nothing to be planned.
pub fn are_constants(plan: &LogicalPlan) -> bool {
    values(plan).is_some()
}

/// The one row of `plan`, if all that it does is to name constants.
///
/// # Errors
/// If the engine cannot make a column of a constant.
pub fn constants(plan: &LogicalPlan) -> Result<Option<RecordBatch>> {
    let Some((values, schema)) = values(plan) else {
        return Ok(None);
    };
    let columns: Result<Vec<ArrayRef>> = values.into_iter().map(ScalarValue::to_array).collect();
    let row = RecordBatch::try_new(Arc::clone(schema.inner()), columns?)?;
    Ok(Some(row))
}

fn values(plan: &LogicalPlan) -> Option<(Vec<&ScalarValue>, &DFSchemaRef)> {
    let LogicalPlan::Projection(Projection {
        expr,
        input,
        schema,
        ..
    }) = plan
    else {
        return None;
    };
    let LogicalPlan::EmptyRelation(EmptyRelation {
        produce_one_row: true,
        ..
    }) = input.as_ref()
    else {
        return None;
    };
    let values: Vec<&ScalarValue> = expr.iter().map(constant).collect::<Option<_>>()?;
    (!values.is_empty()).then_some((values, schema))
}

fn constant(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => constant(&alias.expr),
        _ => None,
    }
}
