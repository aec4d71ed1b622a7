//! Which types belong to the classes of the standard.

use arrow::datatypes::DataType;
use weft_governance::contract::{ApiVersion, LogicalType, Node, Property};

use super::physical_type::PhysicalType;

/// Formats of `string` that are bytes in most files.
const BINARY_FORMATS: [&str; 3] = ["binary", "byte", "uuid"];

/// Whether `found` belongs to the class `class` of `property`.
pub(super) fn contains(
    class: LogicalType,
    property: &Property,
    version: ApiVersion,
    found: &DataType,
) -> bool {
    let found = value_type(found);
    match class {
        LogicalType::String => is_text(found) || is_binary(found) && may_be_binary(property),
        LogicalType::Boolean => *found == DataType::Boolean,
        LogicalType::Integer => found.is_integer() || is_whole_decimal(found),
        LogicalType::Number => found.is_numeric(),
        LogicalType::Date => is_date(found) || version == ApiVersion::V3_0 && is_time(found),
        LogicalType::Timestamp => matches!(found, DataType::Timestamp(..)),
        LogicalType::Time => matches!(found, DataType::Time32(_) | DataType::Time64(_)),
        LogicalType::Object => {
            matches!(found, DataType::Struct(_)) || is_text(found) && is_json(property)
        }
        LogicalType::Array => is_list(found) || is_text(found) && is_json(property),
        LogicalType::Map => {
            matches!(found, DataType::Map(..)) || is_text(found) && is_json(property)
        }
        LogicalType::Vector => {
            list_items(found).is_some_and(|items| value_type(items).is_numeric())
        }
    }
}

/// The type of the values that a dictionary stands for.
pub(super) fn value_type(found: &DataType) -> &DataType {
    match found {
        DataType::Dictionary(_, values) => value_type(values),
        other => other,
    }
}

pub(super) fn is_text(found: &DataType) -> bool {
    matches!(
        found,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

pub(super) fn is_binary(found: &DataType) -> bool {
    matches!(
        found,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

pub(super) fn is_date(found: &DataType) -> bool {
    matches!(found, DataType::Date32 | DataType::Date64)
}

pub(super) fn is_list(found: &DataType) -> bool {
    list_items(found).is_some()
}

/// The type of a list's items.
pub(super) fn list_items(found: &DataType) -> Option<&DataType> {
    match found {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item.data_type()),
        _ => None,
    }
}

/// In v3.0 there was no class for points in time and times of day but `date`.
fn is_time(found: &DataType) -> bool {
    matches!(
        found,
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_)
    )
}

fn is_whole_decimal(found: &DataType) -> bool {
    match found {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale <= 0,
        _ => false,
    }
}

fn may_be_binary(property: &Property) -> bool {
    let format = property.option("format").and_then(Node::as_text);
    format.is_some_and(|format| BINARY_FORMATS.contains(&format))
        || matches!(
            physical(property),
            Some(PhysicalType::Binary | PhysicalType::Uuid)
        )
}

/// Whether the contract says that the value is written as text.
fn is_json(property: &Property) -> bool {
    matches!(
        physical(property),
        Some(PhysicalType::Json | PhysicalType::Text)
    )
}

fn physical(property: &Property) -> Option<PhysicalType> {
    property
        .physical_type
        .as_deref()
        .and_then(PhysicalType::parse)
}
