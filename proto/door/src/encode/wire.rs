//! The types that leave a server: those that every Flight SQL client reads.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

/// The schema as it goes over the wire: views become `Utf8` and `Binary`, dictionaries and runs
/// their values, list views lists, small decimals `Decimal128`, at every depth. Names, nullability
/// and metadata stay.
pub fn wire_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(wire_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Whether values of type `from` go out as `to` without a change of meaning; names and nullability
/// of nested fields do not count.
pub(crate) fn fits(from: &DataType, to: &DataType) -> bool {
    *from == DataType::Null || same_shape(&wire_type(from), to)
}

/// Whether rows of the schema `from` go out as those of `to` without a change of meaning.
pub(crate) fn same_columns(to: &Schema, from: &Schema) -> bool {
    let to = wire_schema(to);
    to.fields().len() == from.fields().len()
        && to
            .fields()
            .iter()
            .zip(from.fields())
            .all(|(to, from)| to.name() == from.name() && fits(from.data_type(), to.data_type()))
}

/// Whether rows with the columns of `from` can be sent as those of `announced`, column by column,
/// whatever they are called.
pub fn can_be_sent_as(from: &Schema, announced: &Schema) -> bool {
    let columns = || from.fields().iter().zip(announced.fields());
    from.fields().len() == announced.fields().len()
        && columns().all(|(from, to)| {
            fits(from.data_type(), to.data_type()) && (to.is_nullable() || !from.is_nullable())
        })
}

fn wire_field(field: &FieldRef) -> FieldRef {
    let data_type = wire_type(field.data_type());
    if data_type == *field.data_type() {
        return Arc::clone(field);
    }
    let wired = Field::new(field.name(), data_type, field.is_nullable());
    Arc::new(wired.with_metadata(field.metadata().clone()))
}

fn wire_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => wire_type(values),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(wire_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(wire_field(item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(wire_field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(wire_field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(wire_field).collect()),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        other => other.clone(),
    }
}

fn same_shape(left: &DataType, right: &DataType) -> bool {
    use DataType::{FixedSizeList, LargeList, List, Map, Struct};
    match (left, right) {
        (List(l), List(r)) | (LargeList(l), LargeList(r)) => {
            same_shape(l.data_type(), r.data_type())
        }
        (FixedSizeList(l, n), FixedSizeList(r, m)) => {
            n == m && same_shape(l.data_type(), r.data_type())
        }
        (Map(l, _), Map(r, _)) => same_shape(l.data_type(), r.data_type()),
        (Struct(l), Struct(r)) => {
            l.len() == r.len()
                && l.iter()
                    .zip(r)
                    .all(|(l, r)| same_shape(l.data_type(), r.data_type()))
        }
        (left, right) => left == right,
    }
}
