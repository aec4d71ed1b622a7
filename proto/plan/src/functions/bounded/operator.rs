//! Operators as functions, so that they can be measured and cut into pieces like them.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Like, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{self, Column, LikeExpr, Literal, similar_to};

/// An operator with two operands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Binary(Operator),
    Like(Negated, CaseInsensitive, Option<char>),
    SimilarTo(Negated, CaseInsensitive),
}

type Negated = bool;
type CaseInsensitive = bool;

impl Form {
    /// `expr` as an operator and its operands, if it is one that the engine knows.
    pub(super) fn of(expr: Expr) -> std::result::Result<(Self, Expr, Expr), Expr> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                Ok((Self::Binary(op), *left, *right))
            }
            Expr::Like(like) if matches!(like.escape_char, None | Some('\\')) => {
                let form = Self::Like(like.negated, like.case_insensitive, like.escape_char);
                Ok((form, *like.expr, *like.pattern))
            }
            Expr::SimilarTo(like) if like.escape_char.is_none() => {
                let form = Self::SimilarTo(like.negated, like.case_insensitive);
                Ok((form, *like.expr, *like.pattern))
            }
            other => Err(other),
        }
    }

    /// As it was written.
    pub(super) fn written(&self, left: Expr, right: Expr) -> Expr {
        let (left, right) = (Box::new(left), Box::new(right));
        match self {
            Self::Binary(op) => Expr::BinaryExpr(BinaryExpr::new(left, *op, right)),
            Self::Like(negated, any_case, escape) => {
                Expr::Like(Like::new(*negated, left, right, *escape, *any_case))
            }
            Self::SimilarTo(negated, any_case) => {
                Expr::SimilarTo(Like::new(*negated, left, right, None, *any_case))
            }
        }
    }

    fn physical(
        &self,
        left: Arc<dyn PhysicalExpr>,
        right: Arc<dyn PhysicalExpr>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(match self {
            Self::Binary(op) => Arc::new(expressions::BinaryExpr::new(left, *op, right)),
            Self::Like(negated, any_case, _) => {
                Arc::new(LikeExpr::new(*negated, *any_case, left, right))
            }
            Self::SimilarTo(negated, any_case) => similar_to(*negated, *any_case, left, right)?,
        })
    }
}

/// Stands for an operator, and is named and typed like it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OperatorCall {
    form: Form,
    name: String,
    signature: Signature,
}

impl OperatorCall {
    /// The function that does what an operator of this form does.
    pub(super) fn function(form: Form) -> Arc<ScalarUDF> {
        let name = match &form {
            Form::Binary(op) => op.to_string(),
            Form::Like(..) => "LIKE".to_owned(),
            Form::SimilarTo(..) => "SIMILAR TO".to_owned(),
        };
        Arc::new(ScalarUDF::from(Self {
            form,
            name,
            signature: Signature::any(2, Volatility::Immutable),
        }))
    }
}

impl ScalarUDFImpl for OperatorCall {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => {
                let written = self.form.written(left.clone(), right.clone());
                Ok(written.schema_name().to_string())
            }
            _ => plan_err!("`{}` takes two operands", self.name),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match (&self.form, arg_types) {
            (Form::Binary(op), [left, right]) => {
                BinaryTypeCoercer::new(left, op, right).get_result_type()
            }
            (Form::Like(..) | Form::SimilarTo(..), [_, _]) => Ok(DataType::Boolean),
            _ => plan_err!("`{}` takes two operands", self.name),
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
            return plan_err!("`{}` takes two operands", self.name);
        };
        drop(operands);
        let rows = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)?;
        self.form.physical(left, right)?.evaluate(&batch)
    }
}
