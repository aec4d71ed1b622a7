//! What a grant lets its grantee do.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What may be done with the rows of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Read them.
    #[default]
    Select,
    /// Read what is computed over groups of them.
    Aggregate {
        /// A group of fewer rows shows nothing.
        min_group_size: GroupSize,
    },
}

impl Action {
    /// The least group that may be shown; `None` if single rows may be.
    pub fn min_group_size(self) -> Option<GroupSize> {
        match self {
            Self::Select => None,
            Self::Aggregate { min_group_size } => Some(min_group_size),
        }
    }
}

/// A number of rows that hides a single one: two or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct GroupSize(u64);

impl GroupSize {
    /// The number of rows.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// A number of rows that hides no single one.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("a group of {rows} hides no single row; the least size is 2")]
pub struct InvalidGroupSize {
    rows: u64,
}

impl TryFrom<u64> for GroupSize {
    type Error = InvalidGroupSize;

    fn try_from(rows: u64) -> Result<Self, InvalidGroupSize> {
        if rows < 2 {
            return Err(InvalidGroupSize { rows });
        }
        Ok(Self(rows))
    }
}

impl From<GroupSize> for u64 {
    fn from(size: GroupSize) -> Self {
        size.0
    }
}

impl fmt::Display for GroupSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_two_rows_or_more() {
        assert_eq!(
            GroupSize::try_from(1).map_err(|error| error.to_string()),
            Err("a group of 1 hides no single row; the least size is 2".to_owned())
        );
        assert_eq!(GroupSize::try_from(2).map(GroupSize::get), Ok(2));
        assert!(serde_json::from_str::<GroupSize>("0").is_err());
        assert!(serde_json::from_str::<GroupSize>("10").is_ok());
    }
}
