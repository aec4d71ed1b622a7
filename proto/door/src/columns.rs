//! What the metadata of columns tells clients, by the keys of Flight SQL.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};

use weft_governance::TableRef;

use crate::backend::Remark;

const PREFIX: &str = "ARROW:FLIGHT:SQL:";
/// Where a column's classification is found.
const CLASSIFICATION: &str = "weft.classification";

/// The table whose column a column of a result shows unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// First part of the table's name: the domain.
    pub catalog: String,
    /// Second part: the product.
    pub schema: String,
    /// Last part.
    pub table: String,
    /// What is told of the column.
    pub remark: Remark,
}

impl Origin {
    /// A column of which `remark` is told, of a product's `table`.
    pub fn of(table: &TableRef, remark: Remark) -> Self {
        Self {
            catalog: table.domain().to_string(),
            schema: table.product().product().to_owned(),
            table: table.table().to_owned(),
            remark,
        }
    }
}

/// Says of each column of a result where it comes from: as many `origins` as `schema` has columns, none
/// for what is computed. Whoever sees the result must be allowed to see those columns.
pub fn with_origins(schema: &Schema, origins: &[Option<Origin>]) -> SchemaRef {
    let origins = origins.iter().chain(std::iter::repeat(&None));
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .zip(origins)
        .map(|(field, origin)| match origin {
            Some(origin) => Arc::new(told(field, |metadata| tell_origin(metadata, origin))),
            None => Arc::clone(field),
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// `field`, with what `tell` adds to its metadata.
pub(crate) fn told(field: &Field, tell: impl FnOnce(&mut HashMap<String, String>)) -> Field {
    let mut metadata = field.metadata().clone();
    tell(&mut metadata);
    field.clone().with_metadata(metadata)
}

/// Adds where a column comes from and what is told of it.
pub(crate) fn tell_origin(metadata: &mut HashMap<String, String>, origin: &Origin) {
    let Origin {
        catalog,
        schema,
        table,
        remark,
    } = origin;
    let Remark {
        description,
        classification,
        id: _,
    } = remark;
    tell(metadata, "CATALOG_NAME", catalog.clone());
    tell(metadata, "DB_SCHEMA_NAME", schema.clone());
    tell(metadata, "TABLE_NAME", table.clone());
    if let Some(description) = description {
        tell(metadata, "REMARKS", description.clone());
    }
    if let Some(classification) = classification {
        metadata.insert(CLASSIFICATION.to_owned(), classification.clone());
    }
}

/// Adds a `value` by the key that Flight SQL has for it.
pub(crate) fn tell(metadata: &mut HashMap<String, String>, key: &str, value: String) {
    metadata.insert(format!("{PREFIX}{key}"), value);
}
