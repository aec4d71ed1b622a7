//! Masks as expressions of the engine.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::expr_fn::{
    character_length, concat, date_trunc, encode, repeat, right, sha256,
};
use datafusion::logical_expr::{Expr, cast, col, lit, when};
use weft_governance::{Cells, Error, ErrorKind, Grant, Mask, code};

/// Refuses a grant whose masks do not fit the types of its columns.
pub(crate) fn check(grant: &Grant, schema: &Schema) -> std::result::Result<(), Error> {
    for (column, mask) in &grant.masks {
        let fits = schema
            .field_with_name(column)
            .is_ok_and(|field| mask.fits(cells(field.data_type())));
        if !fits {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                code::SETTINGS,
                format!("mask `{mask}` of grant `{}` does not fit column `{column}`", grant.id),
            )
            .with_hint("Text takes sha-256 and show-last-4, dates and timestamps take truncate-to-year, every column takes replace-with-null."));
        }
    }
    Ok(())
}

/// What a masked column shows. The type stays; NULL stays NULL.
pub(crate) fn masked(column: &str, data_type: &DataType, mask: Mask) -> Result<Expr> {
    let value = || col(datafusion::common::Column::new_unqualified(column));
    let shown = match mask {
        Mask::ReplaceWithNull => Expr::Literal(ScalarValue::try_from(data_type)?, None),
        Mask::ShowLast4 => {
            let hidden = character_length(value()) - lit(4_i64);
            let crosses = repeat(lit("X"), cast(hidden.clone(), DataType::Int64));
            when(
                value().is_null(),
                Expr::Literal(ScalarValue::Utf8View(None), None),
            )
            .when(hidden.lt_eq(lit(0_i64)), value())
            .otherwise(concat(vec![crosses, right(value(), lit(4_i64))]))?
        }
        Mask::Sha256 => encode(sha256(value()), lit("hex")),
        Mask::TruncateToYear => date_trunc(lit("year"), value()),
    };
    Ok(cast(shown, data_type.clone()))
}

/// What masks tell apart.
pub(crate) fn cells(data_type: &DataType) -> Cells {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Cells::Text,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Cells::Time,
        _ => Cells::Other,
    }
}
