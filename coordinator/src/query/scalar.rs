//! The value of a scalar subquery.

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use weft_governance::{Error, ErrorKind, code};
use weft_plan::from_datafusion;

/// The one value in `rows`, of type `data_type`; NULL if there is no row.
///
/// # Errors
/// If there are several rows, or a row fails.
pub(super) async fn only_value(
    mut rows: BoxStream<'static, Result<RecordBatch, Error>>,
    data_type: &DataType,
) -> Result<ScalarValue, Error> {
    let mut found = None;
    while let Some(batch) = rows.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        if batch.num_rows() > 1 || found.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                code::EVALUATION,
                "a scalar subquery returned more than one row",
            ));
        }
        found = batch.columns().first().cloned();
    }
    let value = match found {
        Some(column) => ScalarValue::try_from_array(&column, 0),
        None => ScalarValue::try_from(data_type),
    };
    value
        .and_then(|value| value.cast_to(data_type))
        .map_err(from_datafusion)
}

/// Bytes of the value itself.
pub(super) fn bytes(value: &ScalarValue) -> u64 {
    let bytes = match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map_or(0, String::len)
        }
        ScalarValue::Binary(bytes)
        | ScalarValue::LargeBinary(bytes)
        | ScalarValue::BinaryView(bytes) => bytes.as_ref().map_or(0, Vec::len),
        value => value.data_type().primitive_width().unwrap_or(1),
    };
    bytes as u64
}
