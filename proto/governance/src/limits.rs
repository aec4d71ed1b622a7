//! How much may be read under a grant.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// The most that may be read under a grant, by all who hold it together, within a day of UTC. What is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Rows that leave the owner, of all answers for which the grant's table is read.
    pub rows_per_day: Option<NonZeroU64>,
    /// Bytes of those rows as Arrow holds them.
    pub bytes_per_day: Option<NonZeroU64>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        let Self {
            rows_per_day,
            bytes_per_day,
        } = self;
        rows_per_day.is_none() && bytes_per_day.is_none()
    }
}
