//! Which types hold every value of another of the same kind.

use arrow::datatypes::DataType;

/// Whether `wide` holds every value of `narrow`, exactly, and is of the same kind.
pub(super) fn is_lossless(narrow: &DataType, wide: &DataType) -> bool {
    use DataType::{
        Float16, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64,
    };
    match (narrow, wide) {
        (Int8, Int16 | Int32 | Int64)
        | (Int16, Int32 | Int64)
        | (Int32, Int64)
        | (UInt8, UInt16 | UInt32 | UInt64 | Int16 | Int32 | Int64)
        | (UInt16, UInt32 | UInt64 | Int32 | Int64)
        | (UInt32, UInt64 | Int64)
        | (Float16, Float32 | Float64)
        | (Float32, Float64) => true,
        _ => match (decimal(narrow), decimal(wide)) {
            (Some((precision, scale)), Some((wide_precision, wide_scale))) => {
                let whole = i16::from(precision) - i16::from(scale);
                let wide_whole = i16::from(wide_precision) - i16::from(wide_scale);
                wide_scale >= scale && wide_whole >= whole
            }
            _ => false,
        },
    }
}

/// The precision and scale of a decimal of any width.
pub(super) fn decimal(found: &DataType) -> Option<(u8, i8)> {
    match found {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_that_lose_nothing_are_wider() {
        use DataType::{Decimal128, Float32, Float64, Int32, Int64, UInt32, UInt64};
        for (narrow, wide) in [
            (Int32, Int64),
            (UInt32, Int64),
            (Float32, Float64),
            (Decimal128(10, 2), Decimal128(15, 2)),
            (Decimal128(10, 2), Decimal128(12, 4)),
        ] {
            assert!(is_lossless(&narrow, &wide), "{narrow} -> {wide}");
            assert!(!is_lossless(&wide, &narrow), "{wide} -> {narrow}");
        }
        for (one, other) in [
            (UInt64, Int64),
            (UInt32, Int32),
            (Int64, Float64),
            (Decimal128(10, 2), Decimal128(11, 4)),
            (Decimal128(10, 2), Decimal128(15, 1)),
        ] {
            assert!(!is_lossless(&one, &other), "{one} -> {other}");
        }
    }
}
