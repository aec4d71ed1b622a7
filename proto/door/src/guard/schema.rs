//! What a schema message must be before Arrow converts it: known types, sane parameters, bounded
//! size. A flat buffer may share its parts, so a small message can describe an endless schema.

use arrow_ipc::{DateUnit, Endianness, Field, IntervalUnit, Precision, Schema, TimeUnit, Type};
use weft_governance::Error;

use super::{malformed, too_large};

/// Nesting that a schema may have.
const MAX_DEPTH: usize = 32;
/// Bytes that names and metadata of a schema may have, written out.
const MAX_TEXT: usize = 4 << 20;
/// Elements that a fixed-size list or binary may have.
const MAX_WIDTH: i32 = 1 << 24;

/// Checks a schema with at most `fields` fields.
pub(super) fn check(schema: &Schema<'_>, fields: usize) -> Result<(), Error> {
    if schema.endianness() != Endianness::Little {
        return Err(malformed("it is not little-endian"));
    }
    let roots = schema
        .fields()
        .ok_or_else(|| malformed("it has no fields"))?;
    let mut budget = Budget {
        limit: fields,
        fields,
        text: MAX_TEXT,
    };
    if let Some(metadata) = schema.custom_metadata() {
        for pair in metadata {
            budget.spend_text(pair.key(), pair.value())?;
        }
    }
    for field in roots {
        check_field(&field, 0, &mut budget)?;
    }
    Ok(())
}

struct Budget {
    limit: usize,
    fields: usize,
    text: usize,
}

impl Budget {
    fn spend_field(&mut self) -> Result<(), Error> {
        self.fields = self
            .fields
            .checked_sub(1)
            .ok_or_else(|| too_large("fields", self.limit))?;
        Ok(())
    }

    fn spend_text(&mut self, key: Option<&str>, value: Option<&str>) -> Result<(), Error> {
        let length = key
            .map_or(0, str::len)
            .saturating_add(value.map_or(0, str::len));
        self.text = self
            .text
            .checked_sub(length.max(1))
            .ok_or_else(|| too_large("bytes of names", MAX_TEXT))?;
        Ok(())
    }
}

fn check_field(field: &Field<'_>, depth: usize, budget: &mut Budget) -> Result<(), Error> {
    budget.spend_field()?;
    budget.spend_text(field.name(), None)?;
    if depth > MAX_DEPTH {
        return Err(malformed("its schema is nested too deeply"));
    }
    if field.dictionary().is_some() {
        return Err(refused("dictionary"));
    }
    if let Some(metadata) = field.custom_metadata() {
        for pair in metadata {
            budget.spend_text(pair.key(), pair.value())?;
        }
    }
    if !check_type(field)? {
        return Err(malformed("a type of its schema has impossible parameters"));
    }
    if takes_children(field.type_type()) {
        for child in field.children().into_iter().flatten() {
            check_field(&child, depth + 1, budget)?;
        }
    }
    Ok(())
}

/// Whether the type's parameters and number of children are possible; an error for types that are
/// not accepted at all.
fn check_type(field: &Field<'_>) -> Result<bool, Error> {
    let possible = match field.type_type() {
        Type::Null | Type::Bool => true,
        Type::Binary | Type::LargeBinary | Type::BinaryView => true,
        Type::Utf8 | Type::LargeUtf8 | Type::Utf8View => true,
        Type::Int => field
            .type_as_int()
            .is_some_and(|t| [8, 16, 32, 64].contains(&t.bitWidth())),
        Type::FloatingPoint => field.type_as_floating_point().is_some_and(|t| {
            [Precision::HALF, Precision::SINGLE, Precision::DOUBLE].contains(&t.precision())
        }),
        Type::Decimal => check_decimal(field),
        Type::Date | Type::Time | Type::Timestamp | Type::Interval | Type::Duration => {
            check_time(field)
        }
        Type::FixedSizeBinary => field
            .type_as_fixed_size_binary()
            .is_some_and(|t| (1..=MAX_WIDTH).contains(&t.byteWidth())),
        Type::List | Type::LargeList => children(field) == 1,
        Type::FixedSizeList => {
            children(field) == 1
                && field
                    .type_as_fixed_size_list()
                    .is_some_and(|t| (1..=MAX_WIDTH).contains(&t.listSize()))
        }
        Type::Struct_ => field.type_as_struct_().is_some(),
        Type::Map => field.type_as_map().is_some() && has_entries(field),
        Type::Union => return Err(refused("union")),
        Type::RunEndEncoded => return Err(refused("run-end encoded")),
        Type::ListView | Type::LargeListView => return Err(refused("list view")),
        _ => return Err(refused("unknown")),
    };
    Ok(possible)
}

fn check_decimal(field: &Field<'_>) -> bool {
    field.type_as_decimal().is_some_and(|decimal| {
        let digits = match decimal.bitWidth() {
            32 => 9,
            64 => 18,
            128 => 38,
            256 => 76,
            _ => 0,
        };
        (1..=digits).contains(&decimal.precision())
            && (-digits..=decimal.precision()).contains(&decimal.scale())
    })
}

fn check_time(field: &Field<'_>) -> bool {
    let units = [
        TimeUnit::SECOND,
        TimeUnit::MILLISECOND,
        TimeUnit::MICROSECOND,
        TimeUnit::NANOSECOND,
    ];
    let times = [
        (32, TimeUnit::SECOND),
        (32, TimeUnit::MILLISECOND),
        (64, TimeUnit::MICROSECOND),
        (64, TimeUnit::NANOSECOND),
    ];
    let intervals = [
        IntervalUnit::YEAR_MONTH,
        IntervalUnit::DAY_TIME,
        IntervalUnit::MONTH_DAY_NANO,
    ];
    let date = field
        .type_as_date()
        .is_some_and(|t| [DateUnit::DAY, DateUnit::MILLISECOND].contains(&t.unit()));
    let time = field
        .type_as_time()
        .is_some_and(|t| times.contains(&(t.bitWidth(), t.unit())));
    let timestamp = field
        .type_as_timestamp()
        .is_some_and(|t| units.contains(&t.unit()));
    let interval = field
        .type_as_interval()
        .is_some_and(|t| intervals.contains(&t.unit()));
    let duration = field
        .type_as_duration()
        .is_some_and(|t| units.contains(&t.unit()));
    date || time || timestamp || interval || duration
}

fn has_entries(field: &Field<'_>) -> bool {
    let mut entries = field.children().into_iter().flatten();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => entry.type_type() == Type::Struct_ && children(&entry) == 2,
        _ => false,
    }
}

fn children(field: &Field<'_>) -> usize {
    field.children().map_or(0, |children| children.len())
}

fn takes_children(data_type: Type) -> bool {
    [
        Type::List,
        Type::LargeList,
        Type::FixedSizeList,
        Type::Struct_,
        Type::Map,
    ]
    .contains(&data_type)
}

fn refused(what: &str) -> Error {
    malformed(format_args!("{what} columns are not accepted"))
        .with_hint("Send plain columns: decode dictionaries, unions and runs before sending.")
}
