//! What the owner answers.

use std::collections::BTreeMap;

use crate::action::GroupSize;
use crate::grant::Mask;
use crate::limits::Limits;

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
    /// Nothing may be shown of fewer rows together than these; absent, single rows may be.
    pub min_group_size: Option<GroupSize>,
    /// How much may be read under the grant.
    pub limits: Limits,
}

impl Obligations {
    /// Whether every row and every cell of the accessed columns is visible as it is.
    pub fn is_open(&self) -> bool {
        self.row_filter.is_none() && self.masks.is_empty() && self.min_group_size.is_none()
    }

    /// Whether the same rows and cells are visible as under `other`, whichever grants decide.
    pub fn shows_as(&self, other: &Self) -> bool {
        self.row_filter == other.row_filter
            && self.masks == other.masks
            && self.min_group_size == other.min_group_size
    }
}

/// Why an access is denied. Tells only of grants to the principal, never of what others hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No grant on the table names the principal, or none that would allow the access.
    NotGranted,
    /// Grants exist, but none covers these columns.
    ColumnsNotGranted(Vec<String>),
    /// Each column is granted, but no single grant covers all of them.
    NoSingleGrant,
    /// A grant covers the columns, but for aggregates over groups of rows alone.
    AggregateOnly,
    /// Nothing is held now; a grant to the principal would allow the access for another purpose.
    Purpose,
    /// Nothing is held now; a grant to the principal will allow the access later.
    NotYet,
    /// Nothing is held now; a grant to the principal did allow the access and has ended.
    Expired,
}
