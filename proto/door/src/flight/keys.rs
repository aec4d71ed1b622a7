//! The calls about keys: those that contracts of data products declare. The data may say otherwise;
//! clients draw diagrams and suggest joins by them.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys,
};
use weft_governance::Error;

use super::catalog::broken;
use crate::backend::{ForeignKey, TableEntry};

/// What happens to rows that refer when what they refer to changes: nothing, as nothing enforces it.
const NO_ACTION: u8 = 3;

/// Columns of `GetPrimaryKeys`.
pub(super) static PRIMARY: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("catalog_name", DataType::Utf8, true),
        ("db_schema_name", DataType::Utf8, true),
        ("table_name", DataType::Utf8, false),
        ("column_name", DataType::Utf8, false),
        ("key_name", DataType::Utf8, true),
        ("key_sequence", DataType::Int32, false),
    ])
});

/// Columns of `GetExportedKeys`, `GetImportedKeys` and `GetCrossReference`.
pub(super) static FOREIGN: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("pk_catalog_name", DataType::Utf8, true),
        ("pk_db_schema_name", DataType::Utf8, true),
        ("pk_table_name", DataType::Utf8, false),
        ("pk_column_name", DataType::Utf8, false),
        ("fk_catalog_name", DataType::Utf8, true),
        ("fk_db_schema_name", DataType::Utf8, true),
        ("fk_table_name", DataType::Utf8, false),
        ("fk_column_name", DataType::Utf8, false),
        ("key_sequence", DataType::Int32, false),
        ("fk_key_name", DataType::Utf8, true),
        ("pk_key_name", DataType::Utf8, true),
        ("update_rule", DataType::UInt8, false),
        ("delete_rule", DataType::UInt8, false),
    ])
});

/// Columns of `GetTableTypes`.
pub(super) static TABLE_TYPES: LazyLock<SchemaRef> =
    LazyLock::new(|| schema(&[("table_type", DataType::Utf8, false)]));

/// The table that a call names; an absent catalog or schema stands for any.
struct Named<'a> {
    catalog: Option<&'a String>,
    schema: Option<&'a String>,
    table: &'a str,
}

impl Named<'_> {
    fn is(&self, entry: &TableEntry) -> bool {
        self.is_called(&entry.catalog, &entry.schema, &entry.table)
    }

    fn is_target(&self, key: &ForeignKey) -> bool {
        self.is_called(&key.catalog, &key.schema, &key.table)
    }

    fn is_called(&self, catalog: &str, schema: &str, table: &str) -> bool {
        self.catalog.is_none_or(|it| it == catalog)
            && self.schema.is_none_or(|it| it == schema)
            && self.table == table
    }
}

/// The columns of primary keys.
pub(super) fn primary(
    tables: &[TableEntry],
    of: &CommandGetPrimaryKeys,
) -> Result<RecordBatch, Error> {
    let of = Named {
        catalog: of.catalog.as_ref(),
        schema: of.db_schema.as_ref(),
        table: &of.table,
    };
    let found = tables.iter().filter(|entry| of.is(entry));
    let found: Vec<(&TableEntry, &String, i32)> = found
        .flat_map(|entry| {
            let key = entry.key.iter().zip(1..);
            key.map(move |(column, place)| (entry, column, place))
        })
        .collect();
    let names = |name: &dyn Fn(&TableEntry) -> String| {
        text(found.iter().map(|(entry, ..)| Some(name(entry))))
    };
    let columns: Vec<ArrayRef> = vec![
        names(&|entry| entry.catalog.clone()),
        names(&|entry| entry.schema.clone()),
        names(&|entry| entry.table.clone()),
        text(found.iter().map(|(_, column, _)| Some((*column).clone()))),
        text(found.iter().map(|_| None)),
        Arc::new(Int32Array::from_iter_values(
            found.iter().map(|(.., place)| *place),
        )),
    ];
    RecordBatch::try_new(Arc::clone(&PRIMARY), columns).map_err(|error| broken(error.into()))
}

/// What columns of the table refer to.
pub(super) fn imported(
    tables: &[TableEntry],
    of: &CommandGetImportedKeys,
) -> Result<RecordBatch, Error> {
    let of = Named {
        catalog: of.catalog.as_ref(),
        schema: of.db_schema.as_ref(),
        table: &of.table,
    };
    foreign(tables, |entry, _| of.is(entry))
}

/// What refers to columns of the table.
pub(super) fn exported(
    tables: &[TableEntry],
    of: &CommandGetExportedKeys,
) -> Result<RecordBatch, Error> {
    let of = Named {
        catalog: of.catalog.as_ref(),
        schema: of.db_schema.as_ref(),
        table: &of.table,
    };
    foreign(tables, |_, key| of.is_target(key))
}

/// What refers from one table to the other.
pub(super) fn between(
    tables: &[TableEntry],
    of: &CommandGetCrossReference,
) -> Result<RecordBatch, Error> {
    let to = Named {
        catalog: of.pk_catalog.as_ref(),
        schema: of.pk_db_schema.as_ref(),
        table: &of.pk_table,
    };
    let from = Named {
        catalog: of.fk_catalog.as_ref(),
        schema: of.fk_db_schema.as_ref(),
        table: &of.fk_table,
    };
    foreign(tables, |entry, key| to.is_target(key) && from.is(entry))
}

/// The columns of the foreign keys that are `wanted`.
fn foreign(
    tables: &[TableEntry],
    wanted: impl Fn(&TableEntry, &ForeignKey) -> bool,
) -> Result<RecordBatch, Error> {
    let mut found: Vec<(&TableEntry, &ForeignKey)> = tables
        .iter()
        .flat_map(|entry| entry.foreign_keys.iter().map(move |key| (entry, key)))
        .filter(|(entry, key)| wanted(entry, key))
        .collect();
    found.sort_by_key(|(entry, key)| {
        let to = (&key.catalog, &key.schema, &key.table);
        (to, &entry.catalog, &entry.schema, &entry.table)
    });
    let rows: Vec<(&TableEntry, &ForeignKey, &String, &String, i32)> = found
        .into_iter()
        .flat_map(|(entry, key)| {
            let pairs = key.columns.iter().zip(&key.to).zip(1..);
            pairs.map(move |((column, to), place)| (entry, key, column, to, place))
        })
        .collect();
    let names = |name: &dyn Fn(&TableEntry, &ForeignKey) -> String| {
        text(rows.iter().map(|(entry, key, ..)| Some(name(entry, key))))
    };
    let rules =
        || -> ArrayRef { Arc::new(UInt8Array::from_iter_values(rows.iter().map(|_| NO_ACTION))) };
    let columns: Vec<ArrayRef> = vec![
        names(&|_, key| key.catalog.clone()),
        names(&|_, key| key.schema.clone()),
        names(&|_, key| key.table.clone()),
        text(rows.iter().map(|(.., to, _)| Some((*to).clone()))),
        names(&|entry, _| entry.catalog.clone()),
        names(&|entry, _| entry.schema.clone()),
        names(&|entry, _| entry.table.clone()),
        text(
            rows.iter()
                .map(|(_, _, column, ..)| Some((*column).clone())),
        ),
        Arc::new(Int32Array::from_iter_values(
            rows.iter().map(|(.., place)| *place),
        )),
        text(rows.iter().map(|_| None)),
        text(rows.iter().map(|_| None)),
        rules(),
        rules(),
    ];
    RecordBatch::try_new(Arc::clone(&FOREIGN), columns).map_err(|error| broken(error.into()))
}

fn text(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, data_type, nullable)| Field::new(*name, data_type.clone(), *nullable))
        .collect();
    Arc::new(Schema::new(fields))
}
