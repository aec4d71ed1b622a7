//! Functions and operators that make much out of little, or work long for it, behind a bound.
//!
//! What an expression makes is not in any memory pool, and a process that asks for more memory than
//! there is does not come back. So a call of such a function is measured by its arguments before it
//! runs, one batch at a time. And where a few rows are much work, it is done in slices.

mod operator;
mod size;
mod sliced;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature,
};
use weft_governance::{Error, ErrorKind, code};

use operator::{Form, OperatorCall};
use size::Size;
use sliced::{Slices, Work};

use crate::interrupt::Interrupt;
use crate::workers::at_length;

/// Bytes that one call may make of one batch.
const MOST: u64 = 128 << 20;
/// Bytes that take long to make.
const LONG: u64 = 4 << 20;

/// `function`, bounded if it can make much out of little.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match Size::of(function.name()) {
        Some(_) if function.inner().is::<Bounded>() => function,
        Some(size) => Bounded::function(function, Bound::Size(size)),
        None => function,
    }
}

/// `plan` with every call that can make much out of little bounded, however it got into the plan, and with
/// what is much work for a few rows done in slices, until `interrupt` ends the plan.
///
/// # Errors
/// If a part of the plan does not take its own expressions back.
pub fn bounded_calls(plan: LogicalPlan, interrupt: &Interrupt) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| expr.transform_up(|expr| Ok(bound(expr, interrupt))))
    })
    .map(|bounded| bounded.data)
}

fn bound(expr: Expr, interrupt: &Interrupt) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let mut bounded = bounded(Arc::clone(&func));
            if !is_sliced(&func)
                && let Some(work) = Work::of(func.name(), &args)
            {
                bounded = sliced(bounded, work, interrupt);
            }
            let changed = !Arc::ptr_eq(&bounded, &func);
            let call = ScalarFunction::new_udf(bounded, args);
            Transformed::new_transformed(Expr::ScalarFunction(call), changed)
        }
        expr => match Form::of(expr) {
            Ok((form, left, right)) => operation(form, left, right, interrupt),
            Err(expr) => Transformed::no(expr),
        },
    }
}

/// An operator, as a function if it has to be.
fn operation(form: Form, left: Expr, right: Expr, interrupt: &Interrupt) -> Transformed<Expr> {
    let function = match Work::of_operator(&form, &right) {
        Some(work) => sliced(OperatorCall::function(form), work, interrupt),
        None if form == Form::Binary(Operator::StringConcat) => {
            Bounded::function(OperatorCall::function(form), Bound::Size(Size::Sum))
        }
        None => return Transformed::no(form.written(left, right)),
    };
    let call = ScalarFunction::new_udf(function, vec![left, right]);
    Transformed::yes(Expr::ScalarFunction(call))
}

fn sliced(function: Arc<ScalarUDF>, work: Work, interrupt: &Interrupt) -> Arc<ScalarUDF> {
    let interrupt = interrupt.clone();
    Bounded::function(function, Bound::Slices(Slices { work, interrupt }))
}

fn is_sliced(function: &ScalarUDF) -> bool {
    let bounded = function.inner().downcast_ref::<Bounded>();
    bounded.is_some_and(|it| matches!(it.bound, Bound::Slices(_)))
}

/// A function of the engine, or an operator as one, that refuses to make too much or works in slices.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    bound: Bound,
}

/// What holds a function back.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Bound {
    Size(Size),
    Slices(Slices),
}

impl Bounded {
    fn function(function: Arc<ScalarUDF>, bound: Bound) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Self { function, bound }))
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &self.bound {
            Bound::Size(size) => {
                let bytes = size.estimate(&args.args, args.number_rows)?;
                if bytes > MOST {
                    return Err(too_much(self.name(), *size));
                }
                let make = || self.function.invoke_with_args(args);
                if bytes > LONG {
                    return at_length(make);
                }
                make()
            }
            Bound::Slices(slices) => at_length(|| slices.invoke(&self.function, args)),
        }
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.function.evaluate_bounds(input)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.function.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.inner().preserves_lex_ordering(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// Holds no value: it may tell about rows that the asker does not see.
fn too_much(name: &str, size: Size) -> DataFusionError {
    let mib = MOST >> 20;
    let (message, hint) = match size {
        Size::Compared => (
            format!("`{name}` is asked to compare texts that are too long"),
            "Compare their beginnings, for example with `left(text, 1000)`.",
        ),
        _ => (
            format!("`{name}` would make more than {mib} MiB of one batch of rows"),
            "Make shorter texts or lists, or fewer of them at a time.",
        ),
    };
    let error = Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message).with_hint(hint);
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests;
