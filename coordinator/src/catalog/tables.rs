//! The tables of a view as clients are told of them.

use std::sync::Arc;

use weft_door::{ForeignKey, TableEntry, TableKind};
use weft_governance::contract::{Referred, ReferredBy};
use weft_governance::{Error, Principal};
use weft_plan::FullName;

use super::describe::Reference;
use super::system;
use super::view::{Entry, View};

/// Every table that `asker`, whose `view` it is, may query.
///
/// # Errors
/// `Internal` if a system table has no shape.
pub(super) fn listed(view: &View, asker: &Principal) -> Result<Vec<TableEntry>, Error> {
    let entries = view.entries();
    let entries = entries.filter_map(|(name, entry)| match entry {
        Entry::Visible {
            table,
            description,
            notes,
            ..
        } => Some(Ok(TableEntry {
            catalog: name.catalog.clone(),
            schema: name.schema.clone(),
            table: name.table.clone(),
            kind: TableKind::Table,
            columns: Arc::clone(table.visible()),
            remarks: notes.remarks.clone(),
            key: table.key().to_vec(),
            foreign_keys: foreign_keys(view, name, &notes.references),
            description: Some(description.clone()),
        })),
        Entry::System => Some(system_table(name, asker)),
        Entry::Closed { .. } => None,
    });
    entries.collect()
}

fn system_table(name: &FullName, asker: &Principal) -> Result<TableEntry, Error> {
    Ok(TableEntry {
        catalog: name.catalog.clone(),
        schema: name.schema.clone(),
        table: name.table.clone(),
        kind: TableKind::SystemTable,
        columns: system::schema(name, asker)?,
        remarks: Vec::new(),
        key: Vec::new(),
        foreign_keys: Vec::new(),
        description: system::description(name).map(str::to_owned),
    })
}

/// The `references` of the table `name` of which both ends are seen as they are.
fn foreign_keys(view: &View, name: &FullName, references: &[Reference]) -> Vec<ForeignKey> {
    let keys = references.iter().filter_map(|reference| {
        let Reference {
            columns,
            product,
            to,
        } = reference;
        let catalog = product.domain().as_str();
        let (table, to) = match catalog == name.catalog {
            // Its node has looked.
            true => (to.table.clone(), to.columns.clone()),
            false => seen(view, catalog, product.product(), to)?,
        };
        Some(ForeignKey {
            columns: columns.clone(),
            catalog: catalog.to_owned(),
            schema: product.product().to_owned(),
            table,
            to,
        })
    });
    keys.collect()
}

/// The names of the table and the columns that `to` means, if all of them are seen as they are.
fn seen(view: &View, catalog: &str, schema: &str, to: &Referred) -> Option<(String, Vec<String>)> {
    view.tables(catalog, schema).find_map(|(name, entry)| {
        let Entry::Visible {
            table,
            notes,
            masked,
            ..
        } = entry
        else {
            return None;
        };
        let is_it = match to.by {
            ReferredBy::Name => name.table == to.table,
            ReferredBy::Id => notes.id.as_ref() == Some(&to.table),
        };
        // Of which columns single cells are not shown, nobody has said.
        if !is_it || table.is_grouped() {
            return None;
        }
        let fields = table.visible().fields();
        let columns = to.columns.iter().map(|wanted| {
            let field = match to.by {
                ReferredBy::Name => fields.find(wanted).map(|(_, field)| field)?,
                ReferredBy::Id => {
                    let mut remarks = notes.remarks.iter();
                    fields.get(remarks.position(|it| it.id.as_ref() == Some(wanted))?)?
                }
            };
            let shown = !masked.contains(field.name());
            shown.then(|| field.name().clone())
        });
        Some((name.table.clone(), columns.collect::<Option<_>>()?))
    })
}
