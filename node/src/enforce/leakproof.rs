//! Which conditions of the asker may run on rows that the asker must not see.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::fragment::KeyTest;

/// Whether `expr` can neither fail nor tell anything but which visible rows it keeps: comparisons,
/// IN, BETWEEN and IS NULL of an unmasked column with literals of its own type, membership of
/// unmasked columns in keys that came with the fragment, and logic over those. No cast and no other
/// function.
pub(crate) fn is_leakproof(expr: &Expr, schema: &Schema, masked: &BTreeSet<String>) -> bool {
    let leakproof = |expr: &Expr| is_leakproof(expr, schema, masked);
    match expr {
        Expr::Not(inner) => leakproof(inner),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => {
            column_type(inner, schema, masked).is_some()
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And | Operator::Or,
            right,
        }) => leakproof(left) && leakproof(right),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            same_type(left, right, schema, masked) || same_type(right, left, schema, masked)
        }
        Expr::Between(between) => {
            same_type(&between.expr, &between.low, schema, masked)
                && same_type(&between.expr, &between.high, schema, masked)
        }
        Expr::InList(list) => list
            .list
            .iter()
            .all(|value| same_type(&list.expr, value, schema, masked)),
        Expr::ScalarFunction(call) if KeyTest::is(&call.func) => call
            .args
            .iter()
            .all(|key| column_type(key, schema, masked).is_some()),
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

fn same_type(column: &Expr, value: &Expr, schema: &Schema, masked: &BTreeSet<String>) -> bool {
    match (column_type(column, schema, masked), value) {
        (Some(data_type), Expr::Literal(value, _)) => value.data_type() == *data_type,
        _ => false,
    }
}

fn column_type<'a>(
    expr: &Expr,
    schema: &'a Schema,
    masked: &BTreeSet<String>,
) -> Option<&'a arrow::datatypes::DataType> {
    match expr {
        Expr::Column(column) if !masked.contains(&column.name) => schema
            .field_with_name(&column.name)
            .ok()
            .map(|field| field.data_type()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use datafusion::functions::expr_fn::lower;
    use datafusion::prelude::{cast, col, lit};

    use super::*;

    fn leakproof(expr: Expr) -> bool {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
            Field::new("ssn", DataType::Utf8, true),
        ]);
        is_leakproof(&expr, &schema, &BTreeSet::from(["ssn".to_owned()]))
    }

    #[test]
    fn plain_comparisons_of_unmasked_columns_pass() {
        assert!(leakproof(
            col("id").eq(lit(1_i64)).and(col("name").not_eq(lit("x")))
        ));
        assert!(leakproof(
            col("id").in_list(vec![lit(1_i64), lit(2_i64)], true)
        ));
        assert!(leakproof(
            col("id")
                .between(lit(1_i64), lit(2_i64))
                .or(col("name").is_null())
        ));
    }

    #[test]
    fn casts_functions_masked_columns_and_other_types_do_not() {
        assert!(!leakproof(
            cast(col("name"), DataType::Int64).eq(lit(1_i64))
        ));
        assert!(!leakproof(lower(col("name")).eq(lit("x"))));
        assert!(!leakproof(col("ssn").eq(lit("x"))));
        assert!(!leakproof(col("ssn").is_null()));
        assert!(!leakproof(col("id").eq(lit(1_i32))));
        assert!(!leakproof(col("id").eq(col("id"))));
        assert!(!leakproof((lit(1_i64) / col("id")).eq(lit(1_i64))));
    }
}
