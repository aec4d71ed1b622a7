//! Metadata calls: what there is to query, answered from the backend's list of tables.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{
    GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder, SqlInfoDataBuilder,
    XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTables};
use weft_governance::{Error, ErrorKind, code};

use super::desk::Desk;
use super::pattern::matches;
use super::{keys, types, unsupported};
use crate::backend::{Backend, TableEntry, TableKind};
use crate::columns::{Origin, tell, tell_origin, told};
use crate::encode::wire_schema;
use crate::session::Session;

/// Where a table's description is found.
const DESCRIPTION: &str = "description";

/// The columns of a metadata call's answer; nothing for other commands.
pub(super) fn schema(command: &Command) -> Option<SchemaRef> {
    Some(match command {
        Command::CommandGetCatalogs(_) => GetCatalogsBuilder::new().schema(),
        Command::CommandGetDbSchemas(_) => schemas_builder().schema(),
        Command::CommandGetTables(command) => tables_builder(command.include_schema).schema(),
        Command::CommandGetTableTypes(_) => Arc::clone(&keys::TABLE_TYPES),
        Command::CommandGetSqlInfo(_) => Arc::new(SqlInfoDataBuilder::schema().clone()),
        Command::CommandGetXdbcTypeInfo(_) => XdbcTypeInfoDataBuilder::new().schema(),
        Command::CommandGetPrimaryKeys(_) => Arc::clone(&keys::PRIMARY),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Arc::clone(&keys::FOREIGN),
        _ => return None,
    })
}

/// The answer to a metadata call.
pub(super) async fn answer<B: Backend>(
    desk: &Desk<B>,
    session: &Session<B>,
    command: Command,
) -> Result<RecordBatch, Error> {
    let tables = || desk.backend().tables(session.inner());
    match command {
        Command::CommandGetCatalogs(_) => catalogs(&tables().await?),
        Command::CommandGetDbSchemas(filter) => schemas(&tables().await?, &filter),
        Command::CommandGetTables(filter) => list(tables().await?, &filter),
        Command::CommandGetTableTypes(_) => table_types(),
        Command::CommandGetSqlInfo(wanted) => {
            wanted.into_builder(desk.about()).build().map_err(broken)
        }
        Command::CommandGetXdbcTypeInfo(wanted) => {
            wanted.into_builder(desk.types()).build().map_err(broken)
        }
        Command::CommandGetPrimaryKeys(of) => keys::primary(&tables().await?, &of),
        Command::CommandGetImportedKeys(of) => keys::imported(&tables().await?, &of),
        Command::CommandGetExportedKeys(of) => keys::exported(&tables().await?, &of),
        Command::CommandGetCrossReference(of) => keys::between(&tables().await?, &of),
        _ => Err(unsupported("the ticket is for no metadata")),
    }
}

fn catalogs(tables: &[TableEntry]) -> Result<RecordBatch, Error> {
    let names: BTreeSet<&str> = tables.iter().map(|table| table.catalog.as_str()).collect();
    let mut builder = GetCatalogsBuilder::new();
    names.into_iter().for_each(|name| builder.append(name));
    builder.build().map_err(broken)
}

fn schemas(tables: &[TableEntry], filter: &CommandGetDbSchemas) -> Result<RecordBatch, Error> {
    let CommandGetDbSchemas {
        catalog,
        db_schema_filter_pattern,
    } = filter;
    let names: BTreeSet<(&str, &str)> = tables
        .iter()
        .filter(|table| {
            catalog
                .as_ref()
                .is_none_or(|catalog| *catalog == table.catalog)
        })
        .filter(|table| fits(db_schema_filter_pattern.as_ref(), &table.schema))
        .map(|table| (table.catalog.as_str(), table.schema.as_str()))
        .collect();
    let mut builder = schemas_builder();
    names
        .into_iter()
        .for_each(|(catalog, schema)| builder.append(catalog, schema));
    builder.build().map_err(broken)
}

fn list(tables: Vec<TableEntry>, filter: &CommandGetTables) -> Result<RecordBatch, Error> {
    let CommandGetTables {
        catalog,
        db_schema_filter_pattern,
        table_name_filter_pattern,
        table_types,
        include_schema,
    } = filter;
    let mut builder = tables_builder(*include_schema);
    let wanted = tables.into_iter().filter(|table| {
        catalog
            .as_ref()
            .is_none_or(|catalog| *catalog == table.catalog)
            && fits(db_schema_filter_pattern.as_ref(), &table.schema)
            && fits(table_name_filter_pattern.as_ref(), &table.table)
            && (table_types.is_empty() || table_types.iter().any(|t| t == table.kind.as_str()))
    });
    for table in wanted {
        let columns = described(&table);
        let TableEntry {
            catalog,
            schema,
            table,
            kind,
            ..
        } = table;
        builder
            .append(catalog, schema, table, kind.as_str(), &columns)
            .map_err(broken)?;
    }
    builder.build().map_err(broken)
}

fn table_types() -> Result<RecordBatch, Error> {
    let names = StringArray::from_iter_values(TableKind::ALL.iter().map(|kind| kind.as_str()));
    RecordBatch::try_new(Arc::clone(&keys::TABLE_TYPES), vec![Arc::new(names)])
        .map_err(|error| broken(error.into()))
}

/// The table's columns in wire form, with the metadata that clients show.
fn described(table: &TableEntry) -> Schema {
    let wired = wire_schema(&table.columns);
    let fields: Vec<Field> = wired
        .fields()
        .iter()
        .enumerate()
        .map(|(place, field)| described_column(table, place, field))
        .collect();
    let mut metadata = HashMap::new();
    if let Some(description) = &table.description {
        metadata.insert(DESCRIPTION.to_owned(), description.clone());
    }
    Schema::new_with_metadata(fields, metadata)
}

/// Columns with the names of their types, by which drivers choose how to show them.
pub(super) fn named_types(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| told(field, |metadata| tell_type(metadata, field)))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn tell_type(metadata: &mut HashMap<String, String>, field: &Field) {
    let name = types::name(field.data_type()).to_owned();
    tell(metadata, "TYPE_NAME", name);
    if let Some((precision, scale)) = types::precision(field.data_type()) {
        tell(metadata, "PRECISION", precision.to_string());
        tell(metadata, "SCALE", scale.to_string());
    }
}

fn described_column(table: &TableEntry, place: usize, field: &Field) -> Field {
    let origin = Origin {
        catalog: table.catalog.clone(),
        schema: table.schema.clone(),
        table: table.table.clone(),
        remark: table.remarks.get(place).cloned().unwrap_or_default(),
    };
    told(field, |metadata| {
        tell_type(metadata, field);
        tell_origin(metadata, &origin);
        for (key, value) in [
            ("IS_AUTO_INCREMENT", "0"),
            ("IS_CASE_SENSITIVE", "1"),
            ("IS_READ_ONLY", "1"),
            ("IS_SEARCHABLE", "1"),
        ] {
            tell(metadata, key, value.to_owned());
        }
    })
}

fn fits(pattern: Option<&String>, name: &str) -> bool {
    pattern.is_none_or(|pattern| matches(pattern, name))
}

/// A builder without filters of its own: ours take any pattern.
fn tables_builder(include_schema: bool) -> GetTablesBuilder {
    let no = None::<String>;
    GetTablesBuilder::new(
        no.clone(),
        no.clone(),
        no,
        Vec::<String>::new(),
        include_schema,
    )
}

fn schemas_builder() -> GetDbSchemasBuilder {
    GetDbSchemasBuilder::new(None::<String>, None::<String>)
}

pub(super) fn broken(error: FlightError) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        "metadata cannot be encoded",
    )
    .caused_by(error)
}
