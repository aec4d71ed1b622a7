//! Literals of a fragment.

use datafusion_proto::generated::datafusion_common::ScalarValue;
use datafusion_proto::generated::datafusion_common::scalar_value::Value;
use weft_governance::Error;

use super::refused;

/// Allows plain values. Nested ones carry Arrow IPC bytes, which are not to be decoded here.
pub(super) fn literal(value: &ScalarValue) -> Result<(), Error> {
    use Value as V;
    match value
        .value
        .as_ref()
        .ok_or_else(|| refused("an empty literal"))?
    {
        V::NullValue(_)
        | V::BoolValue(_)
        | V::Utf8Value(_)
        | V::LargeUtf8Value(_)
        | V::Utf8ViewValue(_)
        | V::Int8Value(_)
        | V::Int16Value(_)
        | V::Int32Value(_)
        | V::Int64Value(_)
        | V::Uint8Value(_)
        | V::Uint16Value(_)
        | V::Uint32Value(_)
        | V::Uint64Value(_)
        | V::Float32Value(_)
        | V::Float64Value(_)
        | V::Date32Value(_)
        | V::Date64Value(_)
        | V::Time32Value(_)
        | V::Time64Value(_)
        | V::TimestampValue(_)
        | V::Decimal32Value(_)
        | V::Decimal64Value(_)
        | V::Decimal128Value(_)
        | V::Decimal256Value(_)
        | V::IntervalYearmonthValue(_)
        | V::IntervalDaytimeValue(_)
        | V::IntervalMonthDayNano(_)
        | V::DurationSecondValue(_)
        | V::DurationMillisecondValue(_)
        | V::DurationMicrosecondValue(_)
        | V::DurationNanosecondValue(_)
        | V::BinaryValue(_)
        | V::LargeBinaryValue(_)
        | V::BinaryViewValue(_)
        | V::FixedSizeBinaryValue(_) => Ok(()),
        V::LargeListValue(_)
        | V::ListValue(_)
        | V::FixedSizeListValue(_)
        | V::ListViewValue(_)
        | V::LargeListViewValue(_)
        | V::StructValue(_)
        | V::MapValue(_)
        | V::DictionaryValue(_)
        | V::UnionValue(_)
        | V::RunEndEncodedValue(_) => Err(refused("a nested literal")),
    }
}
