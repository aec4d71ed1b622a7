//! The types of columns in files that have no types of their own.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use weft_governance::contract::{ApiVersion, LogicalType, Node, Property};

use super::fit::{Misfit, announced, decimal_type, is_nested};
use super::physical_type::{PhysicalType, Zone};

/// The type that the contract gives `property`; text, if it says nothing.
///
/// # Errors
/// If the contract contradicts itself or does not say the type exactly enough.
pub(crate) fn declared(property: &Property, version: ApiVersion) -> Result<DataType, Misfit> {
    let own = match property.physical_type.as_deref().map(str::trim) {
        Some(text) if !text.is_empty() => {
            let physical = PhysicalType::parse(text).ok_or_else(|| Misfit::UnknownType {
                path: property.name.clone(),
                text: text.to_owned(),
            })?;
            from_physical(&physical, property, version)
                .map_err(|reason| not_from_text(property, text, reason))?
        }
        _ => match property.logical_type {
            Some(class) => from_class(class, property, version)
                .map_err(|reason| not_from_text(property, &class.to_string(), reason))?,
            None => DataType::Utf8View,
        },
    };
    announced(property, version, &own)
}

fn not_from_text(property: &Property, declared: &str, reason: &'static str) -> Misfit {
    Misfit::NotFromText {
        path: property.name.clone(),
        declared: declared.to_owned(),
        reason,
    }
}

fn from_physical(
    physical: &PhysicalType,
    property: &Property,
    version: ApiVersion,
) -> Result<DataType, &'static str> {
    Ok(match physical {
        PhysicalType::Exactly(own) => own.clone(),
        PhysicalType::Decimal(precision, scale) => decimal_type(*precision, *scale),
        PhysicalType::AnyDecimal => return Err("say the precision and scale"),
        // A nested value that is declared as JSON keeps the parts that are declared.
        PhysicalType::Json => match property.logical_type {
            Some(class) if is_nested(class) && has_parts(property) => {
                from_class(class, property, version)?
            }
            _ => DataType::Utf8View,
        },
        PhysicalType::Text | PhysicalType::Uuid => DataType::Utf8View,
        PhysicalType::Binary => return Err("bytes are not text"),
        PhysicalType::Date => DataType::Date32,
        PhysicalType::Time(unit) => time(*unit),
        PhysicalType::Timestamp(unit, zone) => {
            let zoned = match zone {
                Zone::Either => wants_zone(property),
                Zone::Without => false,
                Zone::With => true,
            };
            timestamp(unit.unwrap_or(TimeUnit::Microsecond), zoned, property)
        }
        PhysicalType::List(None) => from_class(LogicalType::Array, property, version)?,
        PhysicalType::List(Some(items)) => list(from_physical(items, property, version)?),
        PhysicalType::Struct => from_class(LogicalType::Object, property, version)?,
        PhysicalType::Map => from_class(LogicalType::Map, property, version)?,
    })
}

fn from_class(
    class: LogicalType,
    property: &Property,
    version: ApiVersion,
) -> Result<DataType, &'static str> {
    let format = property.option("format").and_then(Node::as_text);
    Ok(match class {
        LogicalType::String => DataType::Utf8View,
        LogicalType::Boolean => DataType::Boolean,
        LogicalType::Integer => integer(format)?,
        LogicalType::Number if format == Some("f32") => DataType::Float32,
        LogicalType::Number => DataType::Float64,
        LogicalType::Date => DataType::Date32,
        LogicalType::Time => time(None),
        LogicalType::Timestamp => timestamp(TimeUnit::Microsecond, wants_zone(property), property),
        LogicalType::Object if !property.properties.is_empty() => {
            let fields = property.properties.iter().map(|part| {
                let own = declared(part, version).map_err(|_| "a part has no readable type")?;
                Ok(Field::new(part.source_name(), own, true))
            });
            DataType::Struct(fields.collect::<Result<_, &'static str>>()?)
        }
        LogicalType::Object => return Err("declare its properties"),
        LogicalType::Array => match &property.items {
            Some(items) => {
                list(declared(items, version).map_err(|_| "the items have no readable type")?)
            }
            None => return Err("declare its items"),
        },
        LogicalType::Vector => list(DataType::Float64),
        LogicalType::Map => return Err("maps are read from Parquet only"),
    })
}

fn integer(format: Option<&str>) -> Result<DataType, &'static str> {
    Ok(match format {
        Some("i8") => DataType::Int8,
        Some("i16") => DataType::Int16,
        Some("i32") => DataType::Int32,
        Some("u8") => DataType::UInt8,
        Some("u16") => DataType::UInt16,
        Some("u32") => DataType::UInt32,
        Some("u64") => DataType::UInt64,
        Some("i128" | "u128") => return Err("no integer has 128 bits; use decimal(38,0)"),
        Some(_) | None => DataType::Int64,
    })
}

fn time(unit: Option<TimeUnit>) -> DataType {
    match unit {
        Some(unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => DataType::Time32(unit),
        Some(unit) => DataType::Time64(unit),
        None => DataType::Time64(TimeUnit::Microsecond),
    }
}

fn timestamp(unit: TimeUnit, zoned: bool, property: &Property) -> DataType {
    let zone = || {
        let named = property.option("defaultTimezone").and_then(Node::as_text);
        Arc::from(named.unwrap_or("UTC"))
    };
    DataType::Timestamp(unit, zoned.then(zone))
}

fn wants_zone(property: &Property) -> bool {
    property
        .option("timezone")
        .and_then(Node::as_bool)
        .unwrap_or(false)
}

fn has_parts(property: &Property) -> bool {
    !property.properties.is_empty() || property.items.is_some()
}

fn list(items: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(items, true)))
}
