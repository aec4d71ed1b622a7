//! What the owner answers.

use std::collections::BTreeMap;

use crate::grant::Mask;

/// The answer to a [`TableAccess`](crate::TableAccess).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The access may go on as long as the obligations are met.
    Allow(Obligations),
    /// It may not.
    Deny(Denial),
}

/// What the owner's node must do to comply with the grant it decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligations {
    /// The one grant that allows the access; rows of one are never mixed with columns of another.
    pub grant: String,
    /// Only rows for which this is true are visible.
    pub row_filter: Option<String>,
    /// These of the accessed columns are seen through a mask.
    pub masks: BTreeMap<String, Mask>,
}

impl Obligations {
    /// Whether every row and every cell of the accessed columns is visible as it is.
    pub fn is_open(&self) -> bool {
        self.row_filter.is_none() && self.masks.is_empty()
    }
}

/// Why an access is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No grant on the table names the principal.
    NotGranted,
    /// Grants exist, but none covers these columns.
    ColumnsNotGranted(Vec<String>),
    /// Each column is granted, but no single grant covers all of them.
    NoSingleGrant,
}
