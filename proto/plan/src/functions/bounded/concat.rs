//! `||` as a function, so that it can be measured like one.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::Result;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};

use super::size::Size;
use super::{MOST, too_much};

const OPERATOR: Operator = Operator::StringConcat;

/// `left || right`.
pub(super) fn call(left: Expr, right: Expr) -> Expr {
    let function = Arc::new(ScalarUDF::from(Concat {
        signature: Signature::any(2, Volatility::Immutable),
    }));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]))
}

/// Stands for the operator, and is named and typed like it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names = args.iter().map(|arg| arg.schema_name().to_string());
        Ok(names.collect::<Vec<_>>().join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [left, right] => BinaryTypeCoercer::new(left, &OPERATOR, right).get_result_type(),
            _ => datafusion::common::plan_err!("`||` takes two operands"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone());
        let data_type = self.return_type(&types.collect::<Vec<_>>())?;
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), data_type, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if Size::Sum.estimate(&args.args, args.number_rows)? > MOST {
            return Err(too_much(self.name()));
        }
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        let mut operands = args
            .args
            .into_iter()
            .zip(&args.arg_fields)
            .map(|(arg, field)| {
                let operand: Arc<dyn PhysicalExpr> = match arg {
                    ColumnarValue::Array(array) => {
                        let column = Column::new(field.name(), columns.len());
                        fields.push(Arc::clone(field));
                        columns.push(array);
                        Arc::new(column)
                    }
                    ColumnarValue::Scalar(value) => Arc::new(Literal::new(value)),
                };
                operand
            });
        let (Some(left), Some(right)) = (operands.next(), operands.next()) else {
            return datafusion::common::plan_err!("`||` takes two operands");
        };
        drop(operands);
        let rows = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)?;
        BinaryExpr::new(left, OPERATOR, right).evaluate(&batch)
    }
}
