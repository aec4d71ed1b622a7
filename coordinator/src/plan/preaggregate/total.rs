//! Expressions that may be computed for rows that the query never asked about.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

/// The greatest number that a decimal of 128 bits can hold, whatever its declared precision.
const GREATEST: f64 = 1.7e38;

/// Whether `expr` has a value, or NULL, for every row there can be, and never an error.
pub(super) fn is_total(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let all = |parts: &[&Expr]| -> Result<bool> {
        for part in parts {
            if !is_total(part, schema)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    match expr {
        Expr::Column(_) | Expr::Literal(..) => Ok(true),
        Expr::Alias(alias) => all(&[&alias.expr]),
        Expr::Not(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsNotUnknown(inner) => all(&[inner]),
        Expr::Between(between) => all(&[&between.expr, &between.low, &between.high]),
        Expr::InList(list) => {
            Ok(all(&[&list.expr])? && all(&list.list.iter().collect::<Vec<_>>())?)
        }
        Expr::Like(like) => {
            let pattern = matches!(&*like.pattern, Expr::Literal(..));
            Ok(pattern && like.escape_char.is_none() && all(&[&like.expr])?)
        }
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter();
            let mut parts: Vec<&Expr> = branches.flat_map(|(w, t)| [&**w, &**t]).collect();
            parts.extend(case.expr.as_deref());
            parts.extend(case.else_expr.as_deref());
            all(&parts)
        }
        Expr::Cast(cast) => {
            let from = cast.expr.get_type(schema)?;
            Ok(keeps_all(&from, cast.field.data_type()) && all(&[&cast.expr])?)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let safe = match op {
                Operator::And | Operator::Or => true,
                Operator::Plus | Operator::Minus | Operator::Multiply => {
                    is_safe_arithmetic(expr, schema)?
                }
                op => is_comparison(*op),
            };
            Ok(safe && all(&[left, right])?)
        }
        Expr::ScalarFunction(function) if function.name() == "date_part" => {
            let [Expr::Literal(..), date] = function.args.as_slice() else {
                return Ok(false);
            };
            let dated = matches!(date.get_type(schema)?, DataType::Date32);
            Ok(dated && all(&[date])?)
        }
        _ => Ok(false),
    }
}

/// Whether `expr` is NULL when all columns in it are. It has at least one.
pub(super) fn is_strict(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_strict(&alias.expr),
        Expr::Cast(cast) => is_strict(&cast.expr),
        Expr::Not(inner) | Expr::Negative(inner) => is_strict(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let lifted = is_comparison(*op)
                || matches!(
                    op,
                    Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide
                );
            lifted && (is_strict(left) || is_strict(right))
        }
        Expr::ScalarFunction(function) if function.name() == "date_part" => {
            function.args.get(1).is_some_and(is_strict)
        }
        _ => false,
    }
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
    )
}

/// Integers wrap round and floats go to infinity, as long as nobody asked otherwise; decimals fail
/// when they do not fit.
fn is_safe_arithmetic(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let data_type = expr.get_type(schema)?;
    Ok(match data_type {
        DataType::Decimal128(..) => bound(expr, schema)?.is_some(),
        data_type => data_type.is_integer() || data_type.is_floating(),
    })
}

/// What no value of a decimal `expr` exceeds, in units of its last digit, if that is certain to fit
/// on the way.
fn bound(expr: &Expr, schema: &DFSchema) -> Result<Option<f64>> {
    let DataType::Decimal128(precision, scale) = expr.get_type(schema)? else {
        return Ok(None);
    };
    let scaled = |inner: &Expr| -> Result<Option<f64>> {
        Ok(match inner.get_type(schema)? {
            DataType::Decimal128(_, own) if own <= scale => {
                bound(inner, schema)?.map(|it| it * digits(scale - own))
            }
            _ => None,
        })
    };
    let bound = match expr {
        Expr::Literal(ScalarValue::Decimal128(value, ..), _) => {
            Some(value.map_or(0.0, |value| value.unsigned_abs() as f64))
        }
        Expr::Alias(alias) => bound(&alias.expr, schema)?,
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Plus | Operator::Minus => {
                let (left, right) = (scaled(left)?, scaled(right)?);
                left.zip(right).map(|(left, right)| left + right)
            }
            Operator::Multiply => {
                let (left, right) = (bound(left, schema)?, bound(right, schema)?);
                left.zip(right).map(|(left, right)| left * right)
            }
            _ => None,
        },
        // Whatever else has this type has no more digits than it says.
        _ => Some(10_f64.powi(precision.into())),
    };
    Ok(bound.filter(|bound| *bound < GREATEST))
}

fn digits(count: i8) -> f64 {
    10_f64.powi(count.into())
}

/// Whether every value of `from` has a value in `to`.
fn keeps_all(from: &DataType, to: &DataType) -> bool {
    if from == to || (from.is_string() && to.is_string()) {
        return true;
    }
    match (whole_digits(from), to) {
        (None, _) => from.is_floating() && matches!(to, DataType::Float64),
        (Some(_), DataType::Float64) => true,
        (Some((whole, fraction)), DataType::Decimal128(precision, scale)) => {
            let kept = i16::from(*precision) - i16::from(*scale);
            precision <= &DECIMAL128_MAX_PRECISION && whole <= kept && fraction <= i16::from(*scale)
        }
        (Some(_), DataType::Int64) => from.is_integer() && *from != DataType::UInt64,
        (Some(_), DataType::Int32) => matches!(from, DataType::Int8 | DataType::Int16),
        _ => false,
    }
}

/// Digits before and after the point of the longest value.
fn whole_digits(data_type: &DataType) -> Option<(i16, i16)> {
    let whole = match data_type {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        DataType::Decimal128(precision, scale) => {
            return Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale)));
        }
        _ => return None,
    };
    Some((whole, 0))
}
