//! How much may be read under a grant.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// The most that may be read under a grant within a day. What is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Rows that leave the owner.
    pub rows_per_day: Option<NonZeroU64>,
    /// Bytes that leave the owner.
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
