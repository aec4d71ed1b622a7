//! Rows without what stands where a value is NULL: it would be sent, and may be that of a row that was masked.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// The batch without bytes and items behind values that are NULL, where there are any.
///
/// # Errors
/// If a column cannot be copied.
pub(super) fn shown(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut shown = batch.clone();
    for (number, column) in batch.columns().iter().enumerate() {
        if hides(column) {
            let mut columns = shown.columns().to_vec();
            if let Some(place) = columns.get_mut(number) {
                *place = copied(column)?;
            }
            shown = RecordBatch::try_new(batch.schema(), columns)?;
        }
    }
    Ok(shown)
}

/// What is behind NULL is not copied.
fn copied(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let rows = UInt64Array::from_iter_values(0..column.len() as u64);
    take(column, &rows, None)
}

fn hides(array: &dyn Array) -> bool {
    match array.data_type() {
        DataType::Utf8 => hides_some(array, array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => hides_some(array, array.as_string::<i64>().value_offsets()),
        DataType::Binary => hides_some(array, array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => hides_some(array, array.as_binary::<i64>().value_offsets()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            hides_some(array, list.value_offsets()) || hides(list.values())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            hides_some(array, list.value_offsets()) || hides(list.values())
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            hides_some(array, map.value_offsets()) || hides(map.entries())
        }
        DataType::FixedSizeList(_, _) => hides(array.as_fixed_size_list().values()),
        DataType::Struct(_) => {
            let mut columns = array.as_struct().columns().iter();
            columns.any(|column| hides(column))
        }
        _ => false,
    }
}

/// Whether a row of `array` is NULL and not empty.
fn hides_some<O: OffsetSizeTrait>(array: &dyn Array, offsets: &[O]) -> bool {
    let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return false;
    };
    let mut rows = offsets.windows(2).zip(nulls.iter());
    rows.any(|(row, valid)| !valid && matches!(row, [from, to] if from != to))
}
