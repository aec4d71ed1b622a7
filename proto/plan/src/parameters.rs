//! Values for the `$n` of a statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::LogicalPlan;
use weft_governance::{Error, ErrorKind, code};

use crate::failure::from_datafusion;

/// The parameters of `plan` in order, as fields `$1`, `$2`, …; text where the type is not known.
///
/// # Errors
/// If a parameter is used with two types, or is not numbered.
pub fn parameter_schema(plan: &LogicalPlan) -> Result<SchemaRef, Error> {
    let mut types = BTreeMap::new();
    for (name, kind) in plan.get_parameter_types().map_err(from_datafusion)? {
        let number: usize = name
            .strip_prefix('$')
            .and_then(|digits| digits.parse().ok())
            .filter(|number| *number > 0)
            .ok_or_else(|| wrong(format!("parameter `{name}` is not numbered")))?;
        types.insert(number, kind.unwrap_or(DataType::Utf8));
    }
    let count = types.keys().last().copied().unwrap_or(0);
    let field = |number: usize| {
        let kind = types.get(&number).cloned().unwrap_or(DataType::Utf8);
        Field::new(format!("${number}"), kind, true)
    };
    Ok(Arc::new(Schema::new(
        (1..=count).map(field).collect::<Vec<_>>(),
    )))
}

/// The one row of `batch` as values, by position.
///
/// # Errors
/// If there is not exactly one row, or a value has no scalar form.
pub fn parameter_values(batch: &RecordBatch) -> Result<Vec<ScalarValue>, Error> {
    if batch.num_rows() != 1 {
        return Err(wrong(format!(
            "{} rows of parameters were bound to a query",
            batch.num_rows()
        ))
        .with_hint("Bind one row of parameters for each execution."));
    }
    batch
        .columns()
        .iter()
        .map(|column| ScalarValue::try_from_array(column, 0).map_err(from_datafusion))
        .collect()
}

/// `plan` with `values` in place of its parameters.
///
/// # Errors
/// If there are fewer values than parameters, or one does not fit.
pub fn bind_parameters(plan: LogicalPlan, values: Vec<ScalarValue>) -> Result<LogicalPlan, Error> {
    let wanted = plan.get_parameter_names().map_err(from_datafusion)?.len();
    if wanted == 0 && values.is_empty() {
        return Ok(plan);
    }
    if values.len() < wanted {
        return Err(wrong(format!(
            "the statement has {wanted} parameters, and {} values came",
            values.len()
        )));
    }
    plan.with_param_values(values).map_err(from_datafusion)
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, code::PLAN, message)
}
