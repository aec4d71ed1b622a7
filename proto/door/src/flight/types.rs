//! Types by the names that SQL and ODBC have for them.

use arrow::datatypes::DataType;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};
use weft_governance::{Error, ErrorKind, code};

/// The SQL name of a type.
pub(super) fn name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INTEGER UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "DECIMAL",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "VARBINARY",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL",
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => "ARRAY",
        DataType::Struct(_) => "STRUCT",
        DataType::Map(..) => "MAP",
        DataType::Union(..) => "UNION",
        DataType::Dictionary(_, values) => name(values),
        DataType::RunEndEncoded(_, values) => name(values.data_type()),
    }
}

/// Digits and digits after the point, where a type has them.
pub(super) fn precision(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        _ => None,
    }
}

/// The answer to `GetXdbcTypeInfo`.
///
/// # Errors
/// `Internal` if the list cannot be encoded.
pub(super) fn listed() -> Result<XdbcTypeInfoData, Error> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for (data_type, xdbc, size, kind) in scalars() {
        builder.append(entry(&data_type, xdbc, size, kind));
    }
    builder.build().map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "the list of types cannot be encoded",
        )
        .caused_by(error)
    })
}

/// What decides how a type is written in SQL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Number,
    Unsigned,
    Decimal,
    Text,
    Bytes,
    Time(XdbcDatetimeSubcode),
}

fn scalars() -> Vec<(DataType, XdbcDataType, i32, Kind)> {
    use arrow::datatypes::TimeUnit::{Microsecond, Nanosecond};
    let text = i32::MAX;
    vec![
        (DataType::Boolean, XdbcDataType::XdbcBit, 1, Kind::Plain),
        (DataType::Int8, XdbcDataType::XdbcTinyint, 3, Kind::Number),
        (DataType::Int16, XdbcDataType::XdbcSmallint, 5, Kind::Number),
        (DataType::Int32, XdbcDataType::XdbcInteger, 10, Kind::Number),
        (DataType::Int64, XdbcDataType::XdbcBigint, 19, Kind::Number),
        (
            DataType::UInt8,
            XdbcDataType::XdbcTinyint,
            3,
            Kind::Unsigned,
        ),
        (
            DataType::UInt16,
            XdbcDataType::XdbcSmallint,
            5,
            Kind::Unsigned,
        ),
        (
            DataType::UInt32,
            XdbcDataType::XdbcInteger,
            10,
            Kind::Unsigned,
        ),
        (
            DataType::UInt64,
            XdbcDataType::XdbcBigint,
            20,
            Kind::Unsigned,
        ),
        (DataType::Float32, XdbcDataType::XdbcReal, 7, Kind::Number),
        (
            DataType::Float64,
            XdbcDataType::XdbcDouble,
            15,
            Kind::Number,
        ),
        (
            DataType::Decimal128(38, 10),
            XdbcDataType::XdbcDecimal,
            38,
            Kind::Decimal,
        ),
        (DataType::Utf8, XdbcDataType::XdbcVarchar, text, Kind::Text),
        (
            DataType::Binary,
            XdbcDataType::XdbcVarbinary,
            text,
            Kind::Bytes,
        ),
        (
            DataType::Date32,
            XdbcDataType::XdbcDate,
            10,
            time(XdbcDatetimeSubcode::XdbcSubcodeYear),
        ),
        (
            DataType::Time64(Nanosecond),
            XdbcDataType::XdbcTime,
            18,
            time(XdbcDatetimeSubcode::XdbcSubcodeTime),
        ),
        (
            DataType::Timestamp(Microsecond, None),
            XdbcDataType::XdbcTimestamp,
            29,
            time(XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        ),
        (
            DataType::Timestamp(Microsecond, Some("UTC".into())),
            XdbcDataType::XdbcTimestamp,
            35,
            time(XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone),
        ),
    ]
}

fn time(subcode: XdbcDatetimeSubcode) -> Kind {
    Kind::Time(subcode)
}

fn entry(data_type: &DataType, xdbc: XdbcDataType, size: i32, kind: Kind) -> XdbcTypeInfo {
    let quoted = matches!(kind, Kind::Text | Kind::Time(_));
    let is_number = matches!(kind, Kind::Number | Kind::Unsigned | Kind::Decimal);
    let (subcode, sql_data_type) = match kind {
        Kind::Time(subcode) => (Some(subcode), XdbcDataType::XdbcDatetime),
        _ => (None, xdbc),
    };
    XdbcTypeInfo {
        type_name: name(data_type).to_owned(),
        data_type: xdbc,
        column_size: Some(size),
        literal_prefix: match kind {
            Kind::Bytes => Some("X'".to_owned()),
            _ => quoted.then(|| "'".to_owned()),
        },
        literal_suffix: (quoted || kind == Kind::Bytes).then(|| "'".to_owned()),
        create_params: (kind == Kind::Decimal)
            .then(|| vec!["precision".to_owned(), "scale".to_owned()]),
        nullable: Nullable::NullabilityNullable,
        case_sensitive: kind == Kind::Text,
        searchable: Searchable::Full,
        unsigned_attribute: is_number.then_some(kind == Kind::Unsigned),
        fixed_prec_scale: false,
        auto_increment: is_number.then_some(false),
        local_type_name: Some(name(data_type).to_owned()),
        minimum_scale: (kind == Kind::Decimal).then_some(0),
        maximum_scale: (kind == Kind::Decimal).then_some(38),
        sql_data_type,
        datetime_subcode: subcode,
        num_prec_radix: is_number.then_some(10),
        interval_precision: None,
    }
}
