//! How large rows are by themselves, whatever the size of the buffers they are a slice of.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, GenericListArray, OffsetSizeTrait, StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

/// Bytes that the values of `array` take once they are written out, about.
pub fn logical_size(array: &dyn Array) -> usize {
    let rows = array.len();
    let validity = if array.nulls().is_some() {
        rows.div_ceil(8)
    } else {
        0
    };
    let values = match array.data_type() {
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()).1 + 4 * rows,
        DataType::LargeUtf8 => span(array.as_string::<i64>().value_offsets()).1 + 8 * rows,
        DataType::Binary => span(array.as_binary::<i32>().value_offsets()).1 + 4 * rows,
        DataType::LargeBinary => span(array.as_binary::<i64>().value_offsets()).1 + 8 * rows,
        DataType::Utf8View => view_bytes(array, array.as_string_view().views()) + 4 * rows,
        DataType::BinaryView => view_bytes(array, array.as_binary_view().views()) + 4 * rows,
        DataType::List(_) => list_size(array.as_list::<i32>()),
        DataType::LargeList(_) => list_size(array.as_list::<i64>()),
        DataType::FixedSizeList(_, _) => logical_size(array.as_fixed_size_list().values()),
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .map(|column| logical_size(column))
            .sum(),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (start, length) = span(map.value_offsets());
            logical_size(&map.entries().slice(start, length)) + 4 * rows
        }
        DataType::Dictionary(_, _) => dictionary_size(array),
        DataType::Boolean => rows.div_ceil(8),
        DataType::FixedSizeBinary(width) => rows * usize::try_from(*width).unwrap_or(0),
        DataType::Null => 0,
        other => match other.primitive_width() {
            Some(width) => rows * width,
            None => share_of(array),
        },
    };
    values + validity
}

/// First offset, and the distance from it to the last.
fn span<O: OffsetSizeTrait>(offsets: &[O]) -> (usize, usize) {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => (
            first.as_usize(),
            last.as_usize().saturating_sub(first.as_usize()),
        ),
        _ => (0, 0),
    }
}

/// Bytes of the values behind the `views` of `array`. What stands where a value is NULL is not written out,
/// and may be that of a row that was filtered out: readers of files leave it there.
fn view_bytes(array: &dyn Array, views: &[u128]) -> usize {
    match array.nulls() {
        Some(nulls) => nulls
            .valid_indices()
            .filter_map(|row| views.get(row))
            .map(view_length)
            .sum(),
        None => views.iter().map(view_length).sum(),
    }
}

/// A view keeps its length in its lowest 32 bits.
fn view_length(view: &u128) -> usize {
    *view as u32 as usize
}

fn list_size<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> usize {
    let (start, length) = span(list.value_offsets());
    logical_size(&list.values().slice(start, length)) + size_of::<O>() * list.len()
}

/// A dictionary goes out as its values: each key costs what it refers to.
fn dictionary_size(array: &dyn Array) -> usize {
    let Some(dictionary) = array.as_any_dictionary_opt() else {
        return share_of(array);
    };
    let values = dictionary.values();
    let Some(length_of) = length_of(values) else {
        return array.len() * (logical_size(values) / values.len().max(1) + 1);
    };
    let Ok(keys) = cast(dictionary.keys(), &DataType::Int64) else {
        return share_of(array);
    };
    let keys = keys.as_primitive::<Int64Type>();
    keys.iter()
        .map(|key| {
            4 + key
                .and_then(|key| usize::try_from(key).ok())
                .map_or(0, &length_of)
        })
        .sum()
}

/// The length of a value by its index, where values have lengths of their own.
fn length_of(values: &ArrayRef) -> Option<Box<dyn Fn(usize) -> usize + '_>> {
    fn by_offsets<O: OffsetSizeTrait>(offsets: &[O]) -> Box<dyn Fn(usize) -> usize + '_> {
        Box::new(|index| offsets.get(index..index + 2).map_or(0, |pair| span(pair).1))
    }
    fn by_views<'a>(values: &'a ArrayRef, views: &'a [u128]) -> Box<dyn Fn(usize) -> usize + 'a> {
        Box::new(|index| match views.get(index) {
            Some(view) if values.is_valid(index) => view_length(view),
            _ => 0,
        })
    }
    let any = values.as_any();
    match values.data_type() {
        DataType::Utf8 => Some(by_offsets(values.as_string::<i32>().value_offsets())),
        DataType::LargeUtf8 => Some(by_offsets(values.as_string::<i64>().value_offsets())),
        DataType::Binary => Some(by_offsets(values.as_binary::<i32>().value_offsets())),
        DataType::LargeBinary => Some(by_offsets(values.as_binary::<i64>().value_offsets())),
        DataType::Utf8View => any
            .downcast_ref::<StringViewArray>()
            .map(|array| by_views(values, array.views())),
        DataType::BinaryView => any
            .downcast_ref::<BinaryViewArray>()
            .map(|array| by_views(values, array.views())),
        _ => None,
    }
}

/// For what has no cheaper measure: everything that the array refers to.
fn share_of(array: &dyn Array) -> usize {
    array.get_array_memory_size()
}
