//! SHOW and DESCRIBE.

mod statistics;

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::TableReference;
use weft_governance::{Error, ErrorKind, code};
use weft_plan::{FullName, resolve};
use weft_sql::{Show, ast};

use super::Catalogs;
use super::system::{batch, flags, optional, text, type_name};
use super::view::{Entry, View};
use crate::session::Session;

/// The columns of the answer to `show`.
pub fn schema(show: &Show) -> SchemaRef {
    let empty = match show {
        Show::Catalogs => catalogs(&BTreeSet::new()),
        Show::Schemas(_) => schemas(&BTreeSet::new()),
        Show::Tables(_) => tables(&[]),
        Show::Columns(_) => columns(&[]),
        Show::Statistics(_) => statistics::none(),
    };
    empty.map_or_else(
        |_| arrow::datatypes::Schema::empty().into(),
        |batch| batch.schema(),
    )
}

/// Answers `show` with what the session may see.
///
/// # Errors
/// If a named table does not exist for the session.
pub async fn show(
    catalogs_: &Catalogs,
    session: &Session,
    show: &Show,
) -> Result<RecordBatch, Error> {
    let view = catalogs_.view(session).await?;
    match show {
        Show::Catalogs => catalogs(
            &view
                .entries()
                .map(|(name, _)| name.catalog.clone())
                .collect(),
        ),
        Show::Schemas(parent) => schemas(
            &within(&view, parent)
                .map(|(name, _)| (name.catalog.clone(), name.schema.clone()))
                .collect(),
        ),
        Show::Tables(parent) => tables(&within(&view, parent).collect::<Vec<_>>()),
        Show::Columns(table) => {
            let name = resolve(&reference(table)?, &session.names(), view.as_ref())?;
            let Some(Entry::Visible { table, masked, .. }) = view.entry(&name) else {
                return Err(super::not_granted(&name, session));
            };
            let fields = table.visible().fields();
            let rows: Vec<_> = fields
                .iter()
                .map(|field| (field.as_ref(), masked.contains(field.name())))
                .collect();
            columns(&rows)
        }
        Show::Statistics(table) => {
            let name = resolve(&reference(table)?, &session.names(), view.as_ref())?;
            let Some(Entry::Visible { table, .. }) = view.entry(&name) else {
                return Err(super::not_granted(&name, session));
            };
            statistics::statistics(table)
        }
    }
}

type Named<'a> = (&'a FullName, &'a Entry);

fn within<'a>(view: &'a View, parent: &'a [String]) -> impl Iterator<Item = Named<'a>> {
    view.entries().filter(move |(name, entry)| match parent {
        [] => !matches!(entry, Entry::System),
        [catalog] => name.catalog == *catalog,
        [catalog, schema, ..] => name.catalog == *catalog && name.schema == *schema,
    })
}

fn reference(name: &ast::ObjectName) -> Result<TableReference, Error> {
    let parts: Option<Vec<String>> = name
        .0
        .iter()
        .map(|part| {
            let ident = part.as_ident()?;
            Some(match ident.quote_style {
                Some(_) => ident.value.clone(),
                None => ident.value.to_lowercase(),
            })
        })
        .collect();
    match parts.as_deref() {
        Some([table]) => Ok(TableReference::bare(table.as_str())),
        Some([schema, table]) => Ok(TableReference::partial(schema.as_str(), table.as_str())),
        Some([catalog, schema, table]) => Ok(TableReference::full(
            catalog.as_str(),
            schema.as_str(),
            table.as_str(),
        )),
        _ => Err(Error::new(
            ErrorKind::InvalidInput,
            code::SYNTAX,
            format!("`{name}` is not the name of a table"),
        )),
    }
}

fn catalogs(domains: &BTreeSet<String>) -> Result<RecordBatch, Error> {
    batch(vec![("domain", text(domains.iter().cloned()))])
}

fn schemas(products: &BTreeSet<(String, String)>) -> Result<RecordBatch, Error> {
    batch(vec![
        (
            "domain",
            text(products.iter().map(|(domain, _)| domain.clone())),
        ),
        (
            "product",
            text(products.iter().map(|(_, product)| product.clone())),
        ),
    ])
}

fn tables(entries: &[Named<'_>]) -> Result<RecordBatch, Error> {
    let description = |entry: &Entry| match entry {
        Entry::Visible { description, .. } | Entry::Closed { description } => {
            Some(description.clone())
        }
        Entry::System => None,
    };
    batch(vec![
        (
            "domain",
            text(entries.iter().map(|(name, _)| name.catalog.clone())),
        ),
        (
            "product",
            text(entries.iter().map(|(name, _)| name.schema.clone())),
        ),
        (
            "table",
            text(entries.iter().map(|(name, _)| name.table.clone())),
        ),
        (
            "granted",
            flags(
                entries
                    .iter()
                    .map(|(_, entry)| !matches!(entry, Entry::Closed { .. })),
            ),
        ),
        (
            "description",
            optional(entries.iter().map(|(_, entry)| description(entry))),
        ),
    ])
}

fn columns(fields: &[(&arrow::datatypes::Field, bool)]) -> Result<RecordBatch, Error> {
    batch(vec![
        (
            "column",
            text(fields.iter().map(|(field, _)| field.name().clone())),
        ),
        (
            "type",
            text(fields.iter().map(|(field, _)| type_name(field.data_type()))),
        ),
        (
            "nullable",
            flags(fields.iter().map(|(field, _)| field.is_nullable())),
        ),
        ("masked", flags(fields.iter().map(|(_, masked)| *masked))),
    ])
}
