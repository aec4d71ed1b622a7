//! Which conditions statistics say nothing of.

use datafusion::common::DFSchema;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::selectivity::interval;
use super::{Estimate, index_of};

/// Whether the part of `input` that meets `condition` is a guess that may be far off.
///
/// Some guesses hardly ever are: most values differ from a given one, most texts do not match a
/// pattern, and of two columns of a row each is often the greater.
pub(in crate::plan) fn is_guess(input: &Estimate, condition: &Expr, schema: &DFSchema) -> bool {
    let guess = |expr: &Expr| is_guess(input, expr, schema);
    let column = |expr: &Expr| index_of(expr, schema).is_some();
    let bounded = || interval(input, condition, schema).is_some();
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => guess(left) || guess(right),
            Operator::Eq => !column(left) && !column(right),
            Operator::NotEq => false,
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                !(bounded() || column(left) && column(right))
            }
            _ => true,
        },
        Expr::Not(inner) => guess(inner),
        Expr::IsNull(inner) => !column(inner),
        Expr::IsNotNull(_) | Expr::Literal(..) => false,
        Expr::Like(like) => !like.negated,
        Expr::InList(list) => !list.negated && !column(&list.expr),
        Expr::Between(between) => !between.negated && !bounded(),
        _ => true,
    }
}
