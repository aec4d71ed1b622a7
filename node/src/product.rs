//! What the node serves: the folders of its data directory that are data products.
//!
//! Owns the way from a folder to tables that can be read, and every check on that way. Who may
//! read them is not decided here: a [`Table`]'s `source` shows every declared column and row.

mod declared;
mod file_table;
mod files;
mod labels;
mod load;
mod problem;
mod source;
pub(crate) mod statistics;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use weft_governance::contract::ForeignKey;
use weft_governance::federated::Labels;
use weft_governance::{FlowTo, KeyDisclosure, ProductRef, TableRef};

pub use load::{Loaded, load};
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

/// What a contract tells people of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remark {
    /// What it holds.
    pub description: Option<String>,
    /// How confidential it is, in the owner's words.
    pub classification: Option<String>,
}

/// A table of a product.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub reference: TableRef,
    /// For people.
    pub description: String,
    /// The columns that the contract declares, in its order, by its names.
    pub schema: SchemaRef,
    /// The columns of the primary key that the contract declares; empty if it declares none. The
    /// data may say otherwise: it decides how a query runs, never what it answers.
    pub key: Vec<String>,
    /// How much of each column, in the order of `schema`, may travel to other domains as join keys.
    pub disclosure: Vec<KeyDisclosure>,
    /// Which of its columns refer to those of another table of the product. The data may say otherwise.
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

#[cfg(test)]
mod tests;
