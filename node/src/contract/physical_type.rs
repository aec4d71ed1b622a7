//! The exact types that contracts name, in the words of SQL dialects, Arrow and Parquet.

use arrow::datatypes::{DataType, TimeUnit};

/// The deepest `list<list<…>>`.
const DEPTH: usize = 8;

/// A `physicalType`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PhysicalType {
    /// A type without variants.
    Exactly(DataType),
    /// `decimal(P,S)`.
    Decimal(u8, i8),
    /// `decimal` alone: any precision and scale.
    AnyDecimal,
    /// Text of any length; a declared length is not checked.
    Text,
    /// Text that holds JSON, or the nested value itself.
    Json,
    /// A UUID as text or as 16 bytes.
    Uuid,
    /// Bytes.
    Binary,
    /// A day.
    Date,
    /// A time of day; a unit only if the name says one.
    Time(Option<TimeUnit>),
    /// A point in time; a unit only if the name says one.
    Timestamp(Option<TimeUnit>, Zone),
    /// A list; its items only if the name says them.
    List(Option<Box<PhysicalType>>),
    /// Named parts, which `properties` declares.
    Struct,
    /// Keys and values.
    Map,
}

/// Whether points in time know their zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// The name does not say: dialects differ on `timestamp`.
    Either,
    /// They do not.
    Without,
    /// They do.
    With,
}

impl PhysicalType {
    /// The type that `text` names. `int8` names none: it has 8 bits in Arrow and 8 bytes in
    /// PostgreSQL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        parse(&text.trim().to_lowercase(), DEPTH)
    }
}

fn parse(text: &str, depth: usize) -> Option<PhysicalType> {
    let depth = depth.checked_sub(1)?;
    if let Some(items) = text.strip_suffix("[]") {
        return Some(PhysicalType::List(Some(Box::new(parse(
            items.trim(),
            depth,
        )?))));
    }
    let (name, arguments) = split(text)?;
    if let Some(plain) = plain(&name) {
        // Display widths such as `int(11)` change nothing.
        return Some(PhysicalType::Exactly(plain));
    }
    Some(match name.as_str() {
        "decimal" | "numeric" | "number" | "dec" | "decimal128" | "decimal256" => {
            decimal(arguments)?
        }
        "varchar" | "char" | "character" | "character varying" | "char varying" | "nvarchar"
        | "nchar" | "bpchar" | "varchar2" | "nvarchar2" | "text" | "tinytext" | "mediumtext"
        | "longtext" | "ntext" | "clob" | "string" | "str" | "utf8" | "large_utf8"
        | "large_string" | "string_view" | "utf8_view" | "utf8view" | "enum" => PhysicalType::Text,
        "json" | "jsonb" | "variant" => PhysicalType::Json,
        "uuid" | "uniqueidentifier" => PhysicalType::Uuid,
        "binary"
        | "varbinary"
        | "bytea"
        | "blob"
        | "bytes"
        | "byte_array"
        | "large_binary"
        | "binary_view"
        | "fixed_size_binary"
        | "fixed_len_byte_array"
        | "raw" => PhysicalType::Binary,
        "date" | "date32" => PhysicalType::Date,
        "time" | "time without time zone" | "time32" | "time64" => {
            PhysicalType::Time(unit(arguments))
        }
        "list" | "array" | "large_list" => PhysicalType::List(match arguments {
            Some(items) => Some(Box::new(parse(items.trim(), depth)?)),
            None => None,
        }),
        "struct" | "record" | "row" | "object" => PhysicalType::Struct,
        "map" => PhysicalType::Map,
        other => return timestamp(other, arguments),
    })
}

/// The name without its arguments, and the arguments: `timestamp(3) with time zone` has the name
/// `timestamp with time zone`.
fn split(text: &str) -> Option<(String, Option<&str>)> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(open) = text.find(['(', '[', '<']) else {
        return Some((words(text), None));
    };
    let close = text.rfind([')', ']', '>'])?;
    let (before, rest) = text.split_at(open);
    let arguments = rest.get(1..close.checked_sub(open)?)?;
    let after = text.get(close + 1..)?;
    Some((words(&format!("{before} {after}")), Some(arguments)))
}

/// Types whose name says it all.
fn plain(name: &str) -> Option<DataType> {
    Some(match name {
        "boolean" | "bool" => DataType::Boolean,
        "tinyint" | "byte" => DataType::Int8,
        "smallint" | "int2" | "int16" | "short" => DataType::Int16,
        "int" | "integer" | "int4" | "int32" => DataType::Int32,
        "bigint" | "int64" | "long" => DataType::Int64,
        "utinyint" | "uint8" | "tinyint unsigned" => DataType::UInt8,
        "usmallint" | "uint16" | "smallint unsigned" => DataType::UInt16,
        "uinteger" | "uint32" | "int unsigned" | "integer unsigned" => DataType::UInt32,
        "ubigint" | "uint64" | "bigint unsigned" => DataType::UInt64,
        "float16" | "halffloat" | "half_float" | "half" => DataType::Float16,
        "float" | "real" | "float4" | "float32" => DataType::Float32,
        "double" | "double precision" | "float8" | "float64" => DataType::Float64,
        _ => return None,
    })
}

fn decimal(arguments: Option<&str>) -> Option<PhysicalType> {
    let Some(arguments) = arguments else {
        return Some(PhysicalType::AnyDecimal);
    };
    let mut numbers = arguments.split(',').map(str::trim);
    let precision: u8 = numbers.next()?.parse().ok()?;
    let scale: i8 = numbers.next().map_or(Some(0), |scale| scale.parse().ok())?;
    let fits = (1..=76).contains(&precision) && (0..=76).contains(&scale);
    let fits = fits && scale.unsigned_abs() <= precision && numbers.next().is_none();
    fits.then_some(PhysicalType::Decimal(precision, scale))
}

fn timestamp(name: &str, arguments: Option<&str>) -> Option<PhysicalType> {
    let (unit, zone) = match name {
        // Arrow writes the zone behind the unit: `timestamp[us, tz=UTC]`.
        "timestamp" => match arguments.and_then(|text| text.split_once(',')) {
            Some((text, _)) => (unit(Some(text)), Zone::With),
            None => {
                let arrow = arguments.is_some_and(|text| text.trim().ends_with('s'));
                (
                    unit(arguments),
                    if arrow { Zone::Without } else { Zone::Either },
                )
            }
        },
        "timestamp_s" => (Some(TimeUnit::Second), Zone::Without),
        "timestamp_ms" => (Some(TimeUnit::Millisecond), Zone::Without),
        "timestamp_us" => (Some(TimeUnit::Microsecond), Zone::Without),
        "timestamp_ns" => (Some(TimeUnit::Nanosecond), Zone::Without),
        "timestamp_ntz" | "timestamp without time zone" | "datetime" | "datetime2" => {
            (unit(arguments), Zone::Without)
        }
        "timestamptz"
        | "timestamp_tz"
        | "timestamp_ltz"
        | "timestamp with time zone"
        | "timestamp with local time zone"
        | "datetimeoffset" => (unit(arguments), Zone::With),
        _ => return None,
    };
    Some(PhysicalType::Timestamp(unit, zone))
}

/// The unit that an argument names: Arrow's abbreviation or SQL's number of digits.
fn unit(argument: Option<&str>) -> Option<TimeUnit> {
    match argument?.trim() {
        "s" => Some(TimeUnit::Second),
        "ms" | "3" => Some(TimeUnit::Millisecond),
        "us" | "6" => Some(TimeUnit::Microsecond),
        "ns" | "9" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_dialects_are_understood() {
        let exactly = PhysicalType::Exactly;
        let (micro, milli) = (Some(TimeUnit::Microsecond), Some(TimeUnit::Millisecond));
        for (text, expected) in [
            ("BIGINT", exactly(DataType::Int64)),
            ("int(11)", exactly(DataType::Int32)),
            ("Double  Precision", exactly(DataType::Float64)),
            ("decimal(15, 2)", PhysicalType::Decimal(15, 2)),
            ("NUMBER(9)", PhysicalType::Decimal(9, 0)),
            ("decimal128(38, 10)", PhysicalType::Decimal(38, 10)),
            ("NUMBER", PhysicalType::AnyDecimal),
            ("varchar(18)", PhysicalType::Text),
            ("character varying(10)", PhysicalType::Text),
            ("date32[day]", PhysicalType::Date),
            ("time64[us]", PhysicalType::Time(micro)),
            ("timestamp", PhysicalType::Timestamp(None, Zone::Either)),
            ("timestamp(3)", PhysicalType::Timestamp(milli, Zone::Either)),
            (
                "timestamp[us]",
                PhysicalType::Timestamp(micro, Zone::Without),
            ),
            (
                "timestamp[us, tz=UTC]",
                PhysicalType::Timestamp(micro, Zone::With),
            ),
            (
                "timestamp(6) with time zone",
                PhysicalType::Timestamp(micro, Zone::With),
            ),
            (
                "timestamp_ntz",
                PhysicalType::Timestamp(None, Zone::Without),
            ),
            ("list", PhysicalType::List(None)),
            (
                "array<bigint>",
                PhysicalType::List(Some(Box::new(exactly(DataType::Int64)))),
            ),
            (
                "text[]",
                PhysicalType::List(Some(Box::new(PhysicalType::Text))),
            ),
            ("struct<a: int>", PhysicalType::Struct),
        ] {
            assert_eq!(PhysicalType::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_or_ambiguous_is_no_type() {
        let deep = format!("{}int{}", "list<".repeat(20), ">".repeat(20));
        for text in [
            "",
            "int8",
            "geography",
            "decimal(0)",
            "decimal(77,2)",
            "decimal(5,9)",
            "decimal(a)",
            "decimal(1,2,3)",
            "(",
            ")(",
            "varchar(",
            "list<what>",
            "timestamp_",
            &deep,
        ] {
            assert_eq!(PhysicalType::parse(text), None, "{text}");
        }
    }
}
