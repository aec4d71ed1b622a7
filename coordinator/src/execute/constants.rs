//! Answers that are in the plan already.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, Projection};

/// The one row of `plan`, optimized before, if all that it does is to name constants, as for the
/// `SELECT 1` by which clients find out whether anybody answers.
///
/// # Errors
/// If the engine cannot make a column of a constant.
pub fn constants(plan: &LogicalPlan) -> Result<Option<RecordBatch>> {
    let LogicalPlan::Projection(Projection {
        expr,
        input,
        schema,
        ..
    }) = plan
    else {
        return Ok(None);
    };
    let one_row = matches!(
        input.as_ref(),
        LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: true,
            ..
        })
    );
    let values: Option<Vec<&ScalarValue>> = expr.iter().map(constant).collect();
    let Some(values) = values.filter(|values| one_row && !values.is_empty()) else {
        return Ok(None);
    };
    let columns: Result<Vec<ArrayRef>> = values.into_iter().map(ScalarValue::to_array).collect();
    let row = RecordBatch::try_new(Arc::clone(schema.inner()), columns?)?;
    Ok(Some(row))
}

fn constant(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => constant(&alias.expr),
        _ => None,
    }
}
