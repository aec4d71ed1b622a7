//! The type under which a column is announced, or why its data does not keep the contract.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use thiserror::Error;
use weft_governance::contract::{ApiVersion, LogicalType, Property};

use super::class::{contains, is_binary, is_date, is_list, is_text, list_items, value_type};
use super::physical_type::{PhysicalType, Zone};
use super::widening::{decimal, is_lossless};

/// Why data does not keep what a property promises.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Misfit {
    /// The data has another type.
    #[error("`{path}` is declared `{expected}`, but is `{found}`")]
    Type {
        /// The column, or the part of it.
        path: String,
        /// What the contract says.
        expected: String,
        /// What the data has.
        found: String,
    },
    /// The contract names a type that nobody here knows.
    #[error("`physicalType` `{text}` of `{path}` is not known")]
    UnknownType {
        /// The column, or the part of it.
        path: String,
        /// The name.
        text: String,
    },
    /// A part of an object is not there.
    #[error("`{path}` is not in the data")]
    MissingPart {
        /// The part.
        path: String,
    },
    /// A part of an object has another name in the data.
    #[error("`{path}` has another `physicalName`, which only whole columns may have")]
    RenamedPart {
        /// The part.
        path: String,
    },
    /// Text files cannot hold this type, or the contract does not say it exactly enough.
    #[error("`{path}` is declared `{declared}`, which cannot be read from text: {reason}")]
    NotFromText {
        /// The column, or the part of it.
        path: String,
        /// What the contract says.
        declared: String,
        /// Why.
        reason: &'static str,
    },
}

/// The type under which `property` is announced when the data has `found`.
///
/// # Errors
/// If `found` is not what the contract says.
pub(crate) fn announced(
    property: &Property,
    version: ApiVersion,
    found: &DataType,
) -> Result<DataType, Misfit> {
    announced_at(&property.name, property, version, found)
}

fn announced_at(
    path: &str,
    property: &Property,
    version: ApiVersion,
    found: &DataType,
) -> Result<DataType, Misfit> {
    let misfit = |expected: &str| Misfit::Type {
        path: path.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    };
    if let Some(class) = property.logical_type
        && !contains(class, property, version, found)
    {
        return Err(misfit(&class.to_string()));
    }
    let announced = match property.physical_type.as_deref().map(str::trim) {
        None | Some("") => found.clone(),
        Some(text) => {
            let Some(physical) = PhysicalType::parse(text) else {
                return Err(Misfit::UnknownType {
                    path: path.to_owned(),
                    text: text.to_owned(),
                });
            };
            physical.announce(found).ok_or_else(|| misfit(text))?
        }
    };
    with_parts(path, property, version, announced)
}

/// `found` with only the parts that the contract declares, if it declares any.
fn with_parts(
    path: &str,
    property: &Property,
    version: ApiVersion,
    found: DataType,
) -> Result<DataType, Misfit> {
    let item = |field: &FieldRef, items: &Property| {
        let path = format!("{path}[]");
        let item = announced_at(&path, items, version, field.data_type())?;
        Ok(Arc::new(Field::new(
            field.name(),
            item,
            field.is_nullable(),
        )))
    };
    match (&found, &property.items) {
        (DataType::Struct(fields), _) if !property.properties.is_empty() => {
            let parts = property
                .properties
                .iter()
                .map(|part| part_of(&format!("{path}.{}", part.name), part, version, fields));
            Ok(DataType::Struct(parts.collect::<Result<Fields, _>>()?))
        }
        (DataType::List(field), Some(items)) => Ok(DataType::List(item(field, items)?)),
        (DataType::LargeList(field), Some(items)) => Ok(DataType::LargeList(item(field, items)?)),
        (DataType::FixedSizeList(field, size), Some(items)) => {
            Ok(DataType::FixedSizeList(item(field, items)?, *size))
        }
        _ => Ok(found),
    }
}

fn part_of(
    path: &str,
    part: &Property,
    version: ApiVersion,
    fields: &Fields,
) -> Result<FieldRef, Misfit> {
    if part.source_name() != part.name {
        return Err(Misfit::RenamedPart {
            path: path.to_owned(),
        });
    }
    let (_, field) = fields.find(&part.name).ok_or_else(|| Misfit::MissingPart {
        path: path.to_owned(),
    })?;
    let announced = announced_at(path, part, version, field.data_type())?;
    Ok(Arc::new(Field::new(
        &part.name,
        announced,
        field.is_nullable(),
    )))
}

impl PhysicalType {
    /// `found` itself if it is this type, this type if it holds all of `found`, else nothing.
    fn announce(&self, found: &DataType) -> Option<DataType> {
        let value = value_type(found);
        let keep = |fits: bool| fits.then(|| found.clone());
        match self {
            Self::Exactly(own) => match value == own {
                true => Some(found.clone()),
                false => is_lossless(value, own).then(|| own.clone()),
            },
            Self::Decimal(precision, scale) => {
                let own = decimal_type(*precision, *scale);
                match decimal(value) == Some((*precision, *scale)) {
                    true => Some(found.clone()),
                    false => is_lossless(value, &own).then_some(own),
                }
            }
            Self::AnyDecimal => keep(decimal(value).is_some()),
            Self::Text => keep(is_text(value)),
            Self::Json => keep(is_text(value) || value.is_nested()),
            Self::Uuid => keep(is_text(value) || *value == DataType::FixedSizeBinary(16)),
            Self::Binary => keep(is_binary(value)),
            Self::Date => keep(is_date(value)),
            Self::Time(unit) => match value {
                DataType::Time32(own) | DataType::Time64(own) => keep(same_unit(*unit, *own)),
                _ => None,
            },
            Self::Timestamp(unit, zone) => match value {
                DataType::Timestamp(own, own_zone) => {
                    keep(same_unit(*unit, *own) && zone.allows(own_zone.is_some()))
                }
                _ => None,
            },
            Self::List(items) => match (items, list_items(value)) {
                (_, None) => None,
                (None, Some(_)) => keep(is_list(value)),
                (Some(items), Some(own)) => keep(items.announce(own).as_ref() == Some(own)),
            },
            Self::Struct => keep(matches!(value, DataType::Struct(_))),
            Self::Map => keep(matches!(value, DataType::Map(..))),
        }
    }
}

impl Zone {
    fn allows(self, zoned: bool) -> bool {
        match self {
            Self::Either => true,
            Self::Without => !zoned,
            Self::With => zoned,
        }
    }
}

/// The narrowest decimal that DataFusion computes with.
pub(super) fn decimal_type(precision: u8, scale: i8) -> DataType {
    if precision <= 38 {
        DataType::Decimal128(precision, scale)
    } else {
        DataType::Decimal256(precision, scale)
    }
}

fn same_unit(declared: Option<TimeUnit>, found: TimeUnit) -> bool {
    declared.is_none_or(|declared| declared == found)
}

/// The classes of values that have parts.
pub(super) fn is_nested(class: LogicalType) -> bool {
    match class {
        LogicalType::Object | LogicalType::Array | LogicalType::Map | LogicalType::Vector => true,
        LogicalType::String
        | LogicalType::Date
        | LogicalType::Timestamp
        | LogicalType::Time
        | LogicalType::Number
        | LogicalType::Integer
        | LogicalType::Boolean => false,
    }
}

#[cfg(test)]
mod tests;
