//! What the node serves: the folders of its data directory that are data products.
//!
//! Owns the way from a folder to tables that can be read, and every check on that way. Who may
//! read them is not decided here: a [`Table`]'s `source` shows every declared column and row.

mod declared;
mod file_table;
mod files;
mod labels;
mod load;
mod near;
mod problem;
mod source;
pub(crate) mod statistics;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
pub use weft_governance::contract::Remark;
use weft_governance::contract::{Referred, ReferredBy};
use weft_governance::federated::Labels;
use weft_governance::{FlowTo, KeyDisclosure, ProductRef, TableRef};

pub use load::{Loaded, load};
pub(crate) use near::NearFiles;
pub use problem::Problem;

/// A data product as its contract and its data give it.
#[derive(Debug, Clone)]
pub struct Product {
    /// Its name.
    pub reference: ProductRef,
    /// The version of its contract.
    pub version: String,
    /// The status of its contract, if that says one.
    pub status: Option<String>,
    /// For people.
    pub description: String,
    /// Who may know that it exists.
    pub discoverable: Discoverable,
    /// Its tables, in the order of the contract.
    pub tables: Vec<Table>,
}

impl Product {
    /// Whether principals without a grant may know that the product exists.
    pub fn is_discoverable(&self) -> bool {
        match self.discoverable {
            Discoverable::Everyone => true,
            Discoverable::Granted => false,
        }
    }
}

/// Who may know that a product exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discoverable {
    /// Everyone who is signed in.
    Everyone,
    /// Only those who are granted something of it.
    Granted,
}

/// Columns of a table that refer to those of a table of this domain or another. The data may say
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The product of the table that is referred to. Nobody has looked whether there is one.
    pub product: ProductRef,
    /// The table and its columns.
    pub to: Referred,
}

/// A table of a product.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub reference: TableRef,
    /// By what other contracts may refer to it, beside its name.
    pub id: Option<String>,
    /// For people.
    pub description: String,
    /// The columns that the contract declares, in its order, by its names.
    pub schema: SchemaRef,
    /// The columns of the primary key that the contract declares; empty if it declares none. The
    /// data may say otherwise: it decides how a query runs, never what it answers.
    pub key: Vec<String>,
    /// How much of each column, in the order of `schema`, may travel to other domains as join keys.
    pub disclosure: Vec<KeyDisclosure>,
    /// Which of its columns refer to those of another table.
    pub foreign_keys: Vec<ForeignKey>,
    /// What people are told of each column, in the order of `schema`.
    pub remarks: Vec<Remark>,
    /// Where its rows may flow.
    pub flow_to: FlowTo,
    /// What the contract says of each column, in the order of `schema`, for federated policies.
    pub labels: Vec<Labels>,
    /// The data behind them, with the same schema.
    pub source: Arc<dyn TableProvider>,
}

impl Table {
    /// The names of the columns that `to` means, if this is their table.
    pub(crate) fn referred<'a>(&'a self, to: &'a Referred) -> Option<Vec<&'a str>> {
        let fields = self.schema.fields();
        let names = to.columns.iter().map(|wanted| match to.by {
            ReferredBy::Name => fields.find(wanted).map(|(_, field)| field.name().as_str()),
            ReferredBy::Id => {
                let mut remarks = self.remarks.iter();
                let place = remarks.position(|it| it.id.as_ref() == Some(wanted))?;
                fields.get(place).map(|field| field.name().as_str())
            }
        });
        let is_it = match to.by {
            ReferredBy::Name => self.reference.table() == to.table,
            ReferredBy::Id => self.id.as_ref() == Some(&to.table),
        };
        names.collect::<Option<_>>().filter(|_| is_it)
    }
}

#[cfg(test)]
mod tests;
