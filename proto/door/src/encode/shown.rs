//! Rows without what stands where a value is NULL: it would be sent, and may be that of a row that was masked.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, FixedSizeBinaryArray,
    FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, PrimitiveArray, RecordBatch,
    StructArray, UInt64Array, downcast_primitive_array, make_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;

/// The batch without bytes and items behind values that are NULL, where there are any.
///
/// # Errors
/// If a column cannot be copied.
pub(super) fn shown(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.columns().iter().any(|column| hides(column)) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(copied);
    RecordBatch::try_new(batch.schema(), columns.collect::<Result<_, _>>()?)
}

/// The column without what it hides. Taking rows leaves bytes and items behind that stand where a value is
/// NULL, but only on the outside: what is within is taken by itself.
fn copied(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !hides(column) {
        return Ok(Arc::clone(column));
    }
    let column = match column.data_type() {
        // Taking rows copies values of a fixed width as they are.
        DataType::Boolean => {
            return Ok(Arc::new(
                column.as_boolean().iter().collect::<BooleanArray>(),
            ));
        }
        DataType::FixedSizeBinary(width) => {
            let rows = column.as_fixed_size_binary().iter();
            let rows = FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows, *width)?;
            return Ok(Arc::new(rows));
        }
        _ => {
            if let Some(column) = zeroed(column) {
                return Ok(column);
            }
            let rows = UInt64Array::from_iter_values(0..column.len() as u64);
            take(column, &rows, None)?
        }
    };
    Ok(match column.data_type() {
        DataType::List(item) => Arc::new(list(item, column.as_list::<i32>())?),
        DataType::LargeList(item) => Arc::new(list(item, column.as_list::<i64>())?),
        DataType::FixedSizeList(item, size) => {
            let list = column.as_fixed_size_list();
            let values = beneath(list.values(), items_beneath(list).as_ref())?;
            let nulls = list.nulls().cloned();
            Arc::new(FixedSizeListArray::try_new(
                Arc::clone(item),
                *size,
                values,
                nulls,
            )?)
        }
        DataType::Map(entry, ordered) => {
            let map = column.as_map();
            let entries = fields(map.entries())?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(
                Arc::clone(entry),
                offsets,
                entries,
                nulls,
                *ordered,
            )?)
        }
        DataType::Struct(_) => Arc::new(fields(column.as_struct())?),
        _ => column,
    })
}

/// The column, if it is one of numbers, with nothing where a value is NULL.
fn zeroed(column: &ArrayRef) -> Option<ArrayRef> {
    fn zeroed<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> ArrayRef {
        let values: PrimitiveArray<T> = array.iter().collect();
        Arc::new(values.with_data_type(array.data_type().clone()))
    }
    let column: &dyn Array = column.as_ref();
    downcast_primitive_array!(
        column => Some(zeroed(column)),
        _ => None
    )
}

/// Whether a number stands where a value is NULL.
fn hides_number(array: &dyn Array) -> bool {
    fn hides<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, nulls: &NullBuffer) -> bool {
        let mut rows = array.values().iter().zip(nulls.iter());
        rows.any(|(value, valid)| !valid && *value != T::Native::default())
    }
    let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return false;
    };
    downcast_primitive_array!(
        array => hides(array, nulls),
        _ => match array.data_type() {
            DataType::Boolean => {
                let mut rows = array.as_boolean().values().iter().zip(nulls.iter());
                rows.any(|(value, valid)| !valid && value)
            }
            DataType::FixedSizeBinary(_) => true,
            _ => false,
        }
    )
}

fn list<O: OffsetSizeTrait>(
    item: &FieldRef,
    list: &GenericListArray<O>,
) -> Result<GenericListArray<O>, ArrowError> {
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    GenericListArray::try_new(Arc::clone(item), offsets, copied(list.values())?, nulls)
}

fn fields(array: &StructArray) -> Result<StructArray, ArrowError> {
    let columns = array.columns().iter();
    let columns = columns.map(|column| beneath(column, array.nulls()));
    let columns = columns.collect::<Result<_, _>>()?;
    StructArray::try_new(array.fields().clone(), columns, array.nulls().cloned())
}

/// The column without what it hides, also where what it is a part of is NULL.
fn beneath(column: &ArrayRef, outer: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    if !shows_beneath(column, outer) {
        return copied(column);
    }
    let with_nulls = |column: &ArrayRef, nulls| -> Result<ArrayRef, ArrowError> {
        let data = column.to_data().into_builder().nulls(nulls).build()?;
        Ok(make_array(data))
    };
    let shown = copied(&with_nulls(
        column,
        NullBuffer::union(column.nulls(), outer),
    )?)?;
    match column.nulls() {
        Some(_) => Ok(shown),
        // Bits for it need not be sent.
        None => with_nulls(&shown, None),
    }
}

/// Whether the column has a value where what it is a part of is NULL.
fn shows_beneath(column: &dyn Array, outer: Option<&NullBuffer>) -> bool {
    let Some(outer) = outer.filter(|outer| outer.null_count() > 0) else {
        return false;
    };
    let own = column.nulls();
    *column.data_type() != DataType::Null && own.is_none_or(|own| !own.contains(outer))
}

/// Which items of the list are of no list that is NULL.
fn items_beneath(list: &FixedSizeListArray) -> Option<NullBuffer> {
    let size = usize::try_from(list.value_length()).unwrap_or(0);
    list.nulls().map(|nulls| nulls.expand(size))
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
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let items = list.values();
            shows_beneath(items, items_beneath(list).as_ref()) || hides(items)
        }
        DataType::Struct(_) => {
            let mut columns = array.as_struct().columns().iter();
            columns.any(|column| shows_beneath(column, array.nulls()) || hides(column))
        }
        _ => hides_number(array),
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
