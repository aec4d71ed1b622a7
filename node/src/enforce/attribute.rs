//! `principal_attribute('NAME')` in row filters: what the authority says of the asker.
//!
//! It stands for a text that is put in when the asker is known, as a value and never as SQL. An asker
//! without the attribute has NULL for it.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use weft_governance::Principal;

/// The function, for the parser of row filters. It is never run.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(PrincipalAttribute {
        signature: Signature::exact(vec![DataType::Utf8], Volatility::Volatile),
    })
}

/// Whether `expr` is the function, of an attribute that is named, or that as another type of text.
pub(super) fn is(expr: &Expr) -> bool {
    named(expr).is_some()
}

/// `expr` with the attribute of `principal` in place of the function.
pub(super) fn told(expr: Expr, principal: &Principal) -> Result<Transformed<Expr>> {
    let Some(name) = named(&expr) else {
        return Ok(Transformed::no(expr));
    };
    let value = ScalarValue::Utf8(principal.attributes.get(name).cloned());
    Ok(Transformed::yes(match &expr {
        Expr::Cast(cast) => lit(value.cast_to(cast.field.data_type())?),
        _ => lit(value),
    }))
}

fn named(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Cast(Cast { expr, field }) if field.data_type().is_string() => named(expr),
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let inner = func.inner().as_ref();
            inner.downcast_ref::<PrincipalAttribute>()?;
            match args.as_slice() {
                [Expr::Literal(ScalarValue::Utf8(Some(name)), _)] => Some(name),
                _ => None,
            }
        }
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PrincipalAttribute {
    signature: Signature,
}

impl ScalarUDFImpl for PrincipalAttribute {
    fn name(&self) -> &str {
        "principal_attribute"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("the attribute of nobody")
    }
}
