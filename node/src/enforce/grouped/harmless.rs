//! Which expressions over single rows can neither fail nor tell one row from the others.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::AggregateFunctionParams;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable};
use weft_governance::TableRef;

use super::super::total::is_total;
use super::rows::Part;
use super::{Ungrouped, Withheld};

/// What is computed of many rows alike. Of least and greatest values, of lists and of first ones, each
/// is that of a single row.
const FUNCTIONS: [&str; 7] = [
    "count",
    "sum",
    "avg",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
];
/// Functions that yield something for every argument.
const TOTAL: [&str; 4] = ["lower", "upper", "character_length", "coalesce"];

/// Checks `expr` over rows of `table` with `schema`.
///
/// # Errors
/// Unless `expr` is made of columns, literals, comparisons, choices among them, and functions that
/// cannot fail.
pub(super) fn check_harmless(expr: &Expr, schema: &DFSchema, table: &TableRef) -> Withheld<()> {
    let mut refused = None;
    expr.apply(|node| {
        let harmless = match node {
            Expr::Alias(_) => true,
            Expr::Cast(cast) => widens(cast, schema)?,
            Expr::ScalarFunction(call) => TOTAL.contains(&call.func.name()),
            node => is_total(node),
        };
        if harmless {
            return Ok(TreeNodeRecursion::Continue);
        }
        refused = Some(format!(
            "`{node}` below the groups could fail on a row, and so tell of it"
        ));
        Ok(TreeNodeRecursion::Stop)
    })?;
    match refused {
        Some(reason) => Err(Ungrouped::Rows(table.clone(), reason)),
        None => Ok(()),
    }
}

/// # Errors
/// Unless `expr` is one of a few functions over all rows of a group, of values that are the table's
/// own.
pub(super) fn check_aggregate(expr: &Expr, part: &Part) -> Withheld<()> {
    let Some(first) = part.rows.first() else {
        return Ok(());
    };
    let Expr::AggregateFunction(call) = unaliased(expr) else {
        return Err(first.told(&format!("`{expr}` is no aggregate")));
    };
    let name = call.func.name();
    if !FUNCTIONS.contains(&name) {
        return Err(first.told(&format!(
            "`{name}` shows values of single rows; {} may be used",
            FUNCTIONS.join(", ")
        )));
    }
    let AggregateFunctionParams {
        args,
        distinct,
        filter,
        order_by,
        null_treatment: _,
    } = &call.params;
    if filter.is_some() || !order_by.is_empty() {
        return Err(first.told("FILTER and ORDER BY in an aggregate choose single rows"));
    }
    if *distinct && name != "count" {
        return Err(first.told("DISTINCT may be used in count alone"));
    }
    for arg in args {
        let own = match arg {
            Expr::Literal(value, _) => name == "count" && !value.is_null(),
            arg => carried(arg, part.plan.schema())?.is_some_and(|column| {
                let mut tables = part.rows.iter();
                tables.any(|rows| rows.columns.contains(column))
            }),
        };
        if !own {
            return Err(first.told(&format!(
                "`{name}` takes columns of the table as they are, and `{arg}` could weigh single rows"
            )));
        }
    }
    Ok(())
}

/// The column whose values `expr` is, perhaps in a wider type.
pub(super) fn carried<'a>(expr: &'a Expr, schema: &DFSchema) -> Withheld<Option<&'a Column>> {
    match unaliased(expr) {
        Expr::Column(column) => Ok(Some(column)),
        Expr::Cast(cast) if widens(cast, schema)? => carried(&cast.expr, schema),
        _ => Ok(None),
    }
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        expr => expr,
    }
}

/// Whether every value has one in the type that it is cast to.
fn widens(cast: &Cast, schema: &DFSchema) -> Result<bool> {
    let (from, to) = (cast.expr.get_type(schema)?, cast.field.data_type());
    let holds_text = matches!(
        to,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    let integer = |data_type: &DataType| data_type.is_integer();
    Ok(match to {
        to if *to == from => true,
        _ if holds_text => from.is_string() || integer(&from),
        DataType::Float64 => from.is_numeric(),
        DataType::Int64 => integer(&from) && from != DataType::UInt64,
        DataType::UInt64 => from.is_unsigned_integer(),
        DataType::Decimal128(precision, scale) => match from {
            DataType::Decimal128(before, places) => {
                *scale >= places
                    && i16::from(*precision) - i16::from(*scale)
                        >= i16::from(before) - i16::from(places)
            }
            _ => false,
        },
        _ => false,
    })
}
