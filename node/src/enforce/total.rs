//! Expressions that yield something on every row, whatever it holds.

use datafusion::logical_expr::{Expr, Operator};

/// Whether `node` itself, apart from its parts, cannot fail on a row, depend on the moment, or look
/// elsewhere: columns, literals, comparisons, choices among them, and logic.
pub(super) fn is_total(node: &Expr) -> bool {
    match node {
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Between(_)
        | Expr::InList(_)
        // What is simplified may become one, as `note LIKE '%'` does.
        | Expr::Case(_) => true,
        // The engine knows no other escape and says so when the query runs.
        Expr::Like(like) => like.escape_char.is_none_or(|escape| escape == '\\'),
        Expr::BinaryExpr(binary) => matches!(
            binary.op,
            Operator::And
                | Operator::Or
                | Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom
        ),
        _ => false,
    }
}
