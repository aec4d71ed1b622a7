//! What a fragment asks of its owner.

use std::collections::BTreeSet;

use crate::id::TableRef;

/// The reading of some columns of one table.
///
/// `columns` are all the columns that the asker's plan can tell anything about: read, filtered on
/// or joined on. An empty set asks for the number of rows alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableAccess {
    /// The table.
    pub table: TableRef,
    /// The columns, by contract name.
    pub columns: BTreeSet<String>,
}
